//! Bolts at the end of the benchmarks' topologies: they count, and ack each tuple.
//!
//! What stands in the middle (split, pass on) are the built-in bolts that everybody has.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::meter::{Count, Counter, Meter};
use crate::clock;
use crate::component::{Bolt, Collector, ComponentFailure, Result, TaskContext};
use crate::tuple::{HeldTuple, Tuple};
use crate::values;

/// Counts and acks, after a sleep if it is told to.
pub struct NullBolt {
    tally: Tally,
    sleep: Duration,
}

/// Emits each word with how often it came: (word, count: long).
pub struct CountBolt {
    tally: Tally,
    counts: HashMap<Box<str>, i64, foldhash::fast::RandomState>,
}

/// Records how long ago the time in each tuple was.
pub struct LatencyBolt {
    tally: Tally,
}

/// Appends lines to a file of its own in the run's directory; acks them when so many have come and
/// are on the disk.
pub struct FileBolt {
    tally: Tally,
    sync_every: usize,
    file: Option<File>,
    lines: Vec<u8>,
    held: Vec<HeldTuple>,
}

/// How many tuples a bolt got.
struct Tally {
    directory: String,
    shown: Option<(Arc<Meter>, Arc<Counter>)>,
    n_executed: u64,
}

// === impl Tally ===

impl Tally {
    fn new(directory: String) -> Self {
        Tally {
            directory,
            shown: None,
            n_executed: 0,
        }
    }

    fn open(&mut self) -> Result<()> {
        let meter = Meter::of(&self.directory)?;
        let counter = meter.counter(Count::Executed);
        self.shown = Some((meter, counter));
        Ok(())
    }

    #[inline]
    fn count(&mut self) {
        self.n_executed += 1;
        if let Some((_, counter)) = &self.shown {
            counter.set(self.n_executed);
        }
    }
}

// === impl NullBolt ===

impl NullBolt {
    pub fn new(directory: String, sleep: Duration) -> Self {
        let tally = Tally::new(directory);
        NullBolt { tally, sleep }
    }
}

impl Bolt for NullBolt {
    fn prepare(&mut self, _: &TaskContext) -> Result<()> {
        self.tally.open()
    }

    #[inline]
    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if !self.sleep.is_zero() {
            std::thread::sleep(self.sleep);
        }
        self.tally.count();
        out.ack(tuple);
        Ok(())
    }

    fn blocks(&self) -> bool {
        !self.sleep.is_zero()
    }
}

// === impl CountBolt ===

impl CountBolt {
    pub fn new(directory: String) -> Self {
        CountBolt {
            tally: Tally::new(directory),
            counts: HashMap::default(),
        }
    }
}

impl Bolt for CountBolt {
    fn prepare(&mut self, _: &TaskContext) -> Result<()> {
        self.tally.open()
    }

    #[inline]
    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        self.tally.count();
        let word = tuple.str(0)?;
        let count = match self.counts.get_mut(word) {
            Some(count) => {
                *count += 1;
                *count
            }
            None => {
                self.counts.insert(word.into(), 1);
                1
            }
        };
        out.emit(tuple, values![word, count])?;
        out.ack(tuple);
        Ok(())
    }
}

// === impl LatencyBolt ===

impl LatencyBolt {
    pub fn new(directory: String) -> Self {
        let tally = Tally::new(directory);
        LatencyBolt { tally }
    }
}

impl Bolt for LatencyBolt {
    fn prepare(&mut self, _: &TaskContext) -> Result<()> {
        self.tally.open()
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        let stamp = tuple.long(0)? as u64;
        self.tally.count();
        if let Some((meter, _)) = &self.tally.shown {
            meter.record_bolt(clock::machine_nanos().saturating_sub(stamp));
        }
        out.ack(tuple);
        Ok(())
    }
}

// === impl FileBolt ===

impl FileBolt {
    pub fn new(directory: String, sync_every: usize) -> Self {
        FileBolt {
            tally: Tally::new(directory),
            sync_every,
            file: None,
            lines: Vec::new(),
            held: Vec::new(),
        }
    }
}

impl Bolt for FileBolt {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        self.tally.open()?;
        let path = Path::new(&self.tally.directory).join(format!("file-{}", context.task()));
        let file = File::create(&path).map_err(|error| {
            ComponentFailure::from(error).context(format!("create {}", path.display()))
        })?;
        self.file = Some(file);
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        self.tally.count();
        self.lines.extend_from_slice(tuple.str(0)?.as_bytes());
        self.lines.push(b'\n');
        self.held.push(tuple.hold());
        if self.held.len() < self.sync_every {
            return Ok(());
        }
        if let Some(file) = &mut self.file {
            file.write_all(&self.lines)?;
            file.sync_data()?;
        }
        self.lines.clear();
        for held in self.held.drain(..) {
            out.ack(&held.view());
        }
        Ok(())
    }

    fn blocks(&self) -> bool {
        true
    }
}

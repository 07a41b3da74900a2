//! Counts words, each occurrence once even when it is replayed, and shows its totals in a file.
//!
//! Counts live in memory: a worker that dies takes them along.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::component::native::is_tick;
use crate::component::{Bolt, Collector, ComponentFailure, Result, TaskContext};
use crate::tuple::{Tuple, ValueRef};
use crate::values;

/// Counts the first field, a text: emits (word, count), the count a long.
pub struct CountBolt {
    counts: HashMap<Box<str>, i64>,
    n_words: u64,
    n_repeats: u64,
    repeats: Repeats,
    seen: HashSet<(i64, i64)>,
    dump: Option<Dump>,
}

/// What a tuple means that came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// Tuples are (word): each counts.
    Counted,
    /// Tuples are (word, line, position): a line and position that came before is acked, and
    /// neither counted nor emitted.
    Dropped,
}

/// What one task has counted: the JSON object in its file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Words counted.
    pub words: u64,
    /// Words that came again and were not counted.
    pub repeats: u64,
    pub counts: HashMap<Box<str>, i64>,
}

/// The file of the totals, and when it is due.
struct Dump {
    path: String,
    /// `path` with the task's number: known once prepared.
    file: PathBuf,
    is_stale: bool,
    written_ms: u64,
}

// === impl CountBolt ===

impl CountBolt {
    /// With a `path`, the totals of task N stand in the file `path.N`, no older than 100 ms.
    pub fn new(repeats: Repeats, path: Option<String>) -> Self {
        let dump = |path| Dump {
            path,
            file: PathBuf::new(),
            is_stale: true,
            written_ms: 0,
        };
        CountBolt {
            counts: HashMap::new(),
            n_words: 0,
            n_repeats: 0,
            repeats,
            seen: HashSet::new(),
            dump: path.map(dump),
        }
    }

    fn is_repeat(&mut self, tuple: &Tuple<'_>) -> Result<bool> {
        if self.repeats == Repeats::Counted {
            return Ok(false);
        }
        let place = (whole(tuple, 1)?, whole(tuple, 2)?);
        Ok(!self.seen.insert(place))
    }

    fn count(&mut self, word: &str) -> i64 {
        self.n_words += 1;
        if let Some(count) = self.counts.get_mut(word) {
            *count += 1;
            return *count;
        }
        self.counts.insert(word.into(), 1);
        1
    }

    fn write_totals(&mut self) -> Result<()> {
        let Some(dump) = &mut self.dump else {
            return Ok(());
        };
        let totals = Totals {
            words: self.n_words,
            repeats: self.n_repeats,
            counts: std::mem::take(&mut self.counts),
        };
        let written = serde_json::to_vec(&totals);
        self.counts = totals.counts;
        // Beside the file, under a name that no other task's file has.
        let next = PathBuf::from(format!("{}.next", dump.file.display()));
        std::fs::write(&next, written?)
            .and_then(|()| std::fs::rename(&next, &dump.file))
            .map_err(|error| {
                ComponentFailure::from(error).context(format!("write {}", dump.file.display()))
            })?;
        dump.is_stale = false;
        dump.written_ms = clock::monotonic_millis();
        Ok(())
    }
}

impl Bolt for CountBolt {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        if let Some(dump) = &mut self.dump {
            dump.file = PathBuf::from(format!("{}.{}", dump.path, context.task()));
        }
        self.write_totals()
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if is_tick(tuple, out) {
            return Ok(());
        }
        if let Some(dump) = &mut self.dump {
            dump.is_stale = true;
        }
        if self.is_repeat(tuple)? {
            self.n_repeats += 1;
            out.ack(tuple);
            return Ok(());
        }
        let word = tuple.str(0)?;
        let count = self.count(word);
        out.emit(tuple, values![word, count])?;
        out.ack(tuple);
        Ok(())
    }

    fn poll(&mut self, out: &mut Collector<'_>) -> Result<()> {
        let Some(dump) = self.dump.as_ref().filter(|dump| dump.is_stale) else {
            return Ok(());
        };
        let due_ms = dump.written_ms + DUMP_INTERVAL_MS;
        match due_ms.saturating_sub(clock::monotonic_millis()) {
            0 => self.write_totals(),
            wait_ms => {
                out.wake_after(Duration::from_millis(wait_ms));
                Ok(())
            }
        }
    }

    fn cleanup(&mut self) {
        if let Err(failure) = self.write_totals() {
            tracing::warn!("the last totals are not written: {failure}");
        }
    }
}

/// JSON children send small numbers as ints and big ones as longs.
fn whole(tuple: &Tuple<'_>, index: usize) -> Result<i64> {
    match tuple.value(index)? {
        ValueRef::Int(value) => Ok(i64::from(value)),
        _ => Ok(tuple.long(index)?),
    }
}

const DUMP_INTERVAL_MS: u64 = 100;

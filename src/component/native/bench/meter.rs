//! What the benchmark's components of one process have counted: a line ten times a second in the
//! file `meter-PID` of the run's directory.
//!
//! A line is `NANOS EMITTED ACKED FAILED EXECUTED ALLOCATIONS FIRST DONE`, then what is new in the
//! histograms, `A` (emit to ack) and `B` (emit to bolt), as `A<bucket>:<count>`. Times are of the
//! machine's monotonic clock; a count that a side does not have is `-`. The file `rate` there says
//! how many tuples a second all spouts together shall emit.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::histogram::SharedHistogram;
use crate::component::{ComponentFailure, Result};
use crate::{allocations, clock};

/// The counters of a process, for one run.
pub struct Meter {
    directory: PathBuf,
    /// Tuples a second; 0: as many as may be.
    rate: AtomicU64,
    counters: Mutex<Vec<(Count, Arc<Counter>)>>,
    first_nanos: AtomicU64,
    done_nanos: AtomicU64,
    to_ack: SharedHistogram,
    to_bolt: SharedHistogram,
}

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    Emitted,
    Acked,
    Failed,
    /// By the last bolt.
    Executed,
}

/// A counter of one task, on cache lines of its own: plain stores, read from outside.
#[derive(Default)]
#[repr(align(128))]
pub struct Counter(AtomicU64);

// === impl Counter ===

impl Counter {
    #[inline]
    pub fn set(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl Meter ===

impl Meter {
    /// The meter of this process for a run's directory; it writes as long as anybody has it.
    pub fn of(directory: &str) -> Result<Arc<Meter>> {
        let mut meters = METERS.lock().unwrap_or_else(PoisonError::into_inner);
        meters.retain(|meter| meter.strong_count() > 0);
        let there = meters.iter().filter_map(Weak::upgrade);
        if let Some(meter) = { there }.find(|meter| meter.directory == Path::new(directory)) {
            return Ok(meter);
        }
        allocations::count();
        let meter = Arc::new(Meter {
            directory: PathBuf::from(directory),
            rate: AtomicU64::new(0),
            counters: Mutex::default(),
            first_nanos: AtomicU64::new(0),
            done_nanos: AtomicU64::new(0),
            to_ack: SharedHistogram::default(),
            to_bolt: SharedHistogram::default(),
        });
        meter.read_rate();
        let path = meter
            .directory
            .join(format!("meter-{}", std::process::id()));
        let file = File::options().create(true).append(true).open(&path);
        let file = file.map_err(|error| {
            ComponentFailure::from(error).context(format!("write {}", path.display()))
        })?;
        let weak = Arc::downgrade(&meter);
        let thread = std::thread::Builder::new().name("bench-meter".to_owned());
        thread.spawn(move || write(&weak, file))?;
        meters.push(Arc::downgrade(&meter));
        Ok(meter)
    }

    /// A new counter, for one task.
    pub fn counter(&self, count: Count) -> Arc<Counter> {
        let counter = Arc::new(Counter::default());
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.push((count, Arc::clone(&counter)));
        counter
    }

    /// Tuples a second that all spouts together shall emit; 0: as many as they can.
    #[inline]
    pub fn rate(&self) -> u64 {
        self.rate.load(Ordering::Relaxed)
    }

    /// A spout emits for the first time.
    pub fn began(&self) {
        let now = clock::machine_nanos();
        let first = &self.first_nanos;
        // Only the first of all counts.
        let _ = first.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The last tree of a spout that has an end is complete.
    pub fn ended(&self) {
        let now = clock::machine_nanos();
        self.done_nanos.store(now, Ordering::Relaxed);
    }

    pub fn record_ack(&self, nanos: u64) {
        self.to_ack.record(nanos);
    }

    pub fn record_bolt(&self, nanos: u64) {
        self.to_bolt.record(nanos);
    }

    /// No file, or none that can be read: no limit.
    fn read_rate(&self) {
        let text = std::fs::read_to_string(self.directory.join(RATE_FILE));
        let rate = text.ok().and_then(|text| text.trim().parse().ok());
        self.rate.store(rate.unwrap_or(0), Ordering::Relaxed);
    }

    fn line(&self) -> String {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = |wanted: Count| -> u64 {
            let those = counters.iter().filter(|(count, _)| *count == wanted);
            those.map(|(_, counter)| counter.get()).sum()
        };
        let mut line = clock::machine_nanos().to_string();
        for count in [Count::Emitted, Count::Acked, Count::Failed, Count::Executed] {
            // Writing to a text cannot fail.
            let _ = write!(line, " {}", sum(count));
        }
        drop(counters);
        let first = self.first_nanos.load(Ordering::Relaxed);
        let done = self.done_nanos.load(Ordering::Relaxed);
        let _ = write!(line, " {} {first} {done}", allocations::so_far());
        for (name, histogram) in [('A', &self.to_ack), ('B', &self.to_bolt)] {
            for (bucket, count) in histogram.take() {
                let _ = write!(line, " {name}{bucket}:{count}");
            }
        }
        line.push('\n');
        line
    }
}

/// Writes lines until nobody has the meter any more.
fn write(meter: &Weak<Meter>, mut file: File) {
    allocations::leave_out_this_thread();
    while let Some(meter) = meter.upgrade() {
        let written = file.write_all(meter.line().as_bytes());
        if let Err(error) = written {
            tracing::warn!("the meter of a benchmark cannot write: {error}");
            return;
        }
        meter.read_rate();
        drop(meter);
        std::thread::sleep(WRITE_EVERY);
    }
}

/// In the run's directory: tuples a second.
pub const RATE_FILE: &str = "rate";
const WRITE_EVERY: Duration = Duration::from_millis(100);
static METERS: Mutex<Vec<Weak<Meter>>> = Mutex::new(Vec::new());

//! Spouts of the benchmarks: as fast as they may, at a rate, or with a sleep between emits.
//!
//! Latency is stamped at one emit in 1024; at a rate at more of them, with the time at which the
//! tuple was due, so that a late one counts as late.

use std::sync::Arc;
use std::time::Duration;

use super::meter::{Count, Counter, Meter};
use super::sources::Source;
use crate::clock;
use crate::component::{Result, Spout, SpoutCollector, TaskContext};
use crate::tuple::Value;
use crate::values;

/// Whether a spout gives message ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracking {
    Tracked,
    Untracked,
}

/// Emits what its source has: (text).
pub struct MeteredSpout<S> {
    directory: String,
    tracking: Tracking,
    source: S,
    gauges: Option<Gauges>,
    n_emitted: u64,
    n_acked: u64,
    n_failed: u64,
    /// The next look at clock and rate.
    n_until: u64,
    pace: Pace,
    /// Id and time of stamped tuples, by the id's remainder.
    stamps: Vec<(u64, u64)>,
}

/// The time, after a sleep: (nanoseconds: long).
pub struct SleepSpout {
    directory: String,
    tracking: Tracking,
    sleep: Duration,
    gauges: Option<Gauges>,
    n_emitted: u64,
    n_acked: u64,
    due_nanos: u64,
}

struct Gauges {
    meter: Arc<Meter>,
    emitted: Arc<Counter>,
    acked: Arc<Counter>,
    failed: Arc<Counter>,
}

/// How fast a spout emits.
struct Pace {
    /// Of all spouts together; 0 without a limit.
    rate: u64,
    n_spouts: u64,
    start_nanos: u64,
    n_at_start: u64,
    stamp_every: u64,
}

// === impl MeteredSpout ===

impl<S: Source> MeteredSpout<S> {
    pub fn new(directory: String, tracking: Tracking, source: S) -> Self {
        MeteredSpout {
            directory,
            tracking,
            source,
            gauges: None,
            n_emitted: 0,
            n_acked: 0,
            n_failed: 0,
            n_until: 0,
            pace: Pace {
                rate: 0,
                n_spouts: 1,
                start_nanos: 0,
                n_at_start: 0,
                stamp_every: STAMP_EVERY,
            },
            stamps: Vec::new(),
        }
    }

    /// Whether the next tuple may go; if so, up to which no other look is needed.
    #[cold]
    fn is_due(&mut self, out: &mut SpoutCollector<'_>) -> bool {
        let Some(gauges) = &self.gauges else {
            return false;
        };
        let n_emitted = self.n_emitted;
        let pace = &mut self.pace;
        if pace.rate != gauges.meter.rate() {
            pace.set(gauges.meter.rate(), n_emitted);
            self.stamps.fill(NO_STAMP);
        }
        if pace.rate == 0 {
            self.n_until = n_emitted + STAMP_EVERY;
            return true;
        }
        let now = clock::machine_nanos();
        let n_due = pace.n_due(now);
        self.n_until = n_due.min(n_emitted + STAMP_EVERY);
        if n_due <= n_emitted {
            let wait = pace.due_nanos(n_emitted).saturating_sub(now);
            out.wake_after(Duration::from_nanos(wait.min(LOOK_NANOS)));
        }
        n_due > n_emitted
    }

    #[inline]
    fn stamp(&mut self, id: u64) {
        if id.is_multiple_of(self.pace.stamp_every) {
            let time = match self.pace.rate {
                0 => clock::machine_nanos(),
                _ => self.pace.due_nanos(id),
            };
            let place = self.pace.place(id);
            self.stamps[place] = (id, time);
        }
    }
}

impl<S: Source> Spout for MeteredSpout<S> {
    fn open(&mut self, context: &TaskContext) -> Result<()> {
        self.gauges = Some(Gauges::of(&self.directory)?);
        self.pace.n_spouts = context.tasks_of(context.component().as_str()).count() as u64;
        self.stamps = vec![NO_STAMP; N_STAMPS];
        self.source.open()
    }

    #[inline]
    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        if self.n_emitted >= self.n_until && !self.is_due(out) {
            return Ok(());
        }
        let id = self.n_emitted;
        if self.tracking == Tracking::Tracked {
            self.stamp(id);
        }
        let Some(text) = self.source.next() else {
            return Ok(());
        };
        self.n_emitted += 1;
        if let Some(gauges) = &self.gauges {
            if id == 0 {
                gauges.meter.began();
            }
            gauges.emitted.set(self.n_emitted);
        }
        match self.tracking {
            Tracking::Untracked => out.emit(values![text]),
            Tracking::Tracked => out.emit_reliable(values![text], Value::Long(id as i64)),
        }
    }

    #[inline]
    fn ack(&mut self, id: &Value) {
        self.n_acked += 1;
        let Some(gauges) = &self.gauges else { return };
        gauges.acked.set(self.n_acked);
        if let Value::Long(id) = *id
            && (id as u64).is_multiple_of(self.pace.stamp_every)
            && let (stamped, at) = self.stamps[self.pace.place(id as u64)]
            && stamped == id as u64
        {
            let nanos = clock::machine_nanos().saturating_sub(at);
            gauges.meter.record_ack(nanos);
        }
        if self.source.size() == Some(self.n_acked) {
            gauges.meter.ended();
        }
    }

    fn fail(&mut self, _: &Value) {
        self.n_failed += 1;
        if let Some(gauges) = &self.gauges {
            gauges.failed.set(self.n_failed);
        }
    }
}

// === impl Pace ===

impl Pace {
    fn set(&mut self, rate: u64, n_emitted: u64) {
        self.rate = rate;
        self.start_nanos = clock::machine_nanos();
        self.n_at_start = n_emitted;
        self.stamp_every = match rate {
            0 => STAMP_EVERY,
            rate => (1 << (1 + rate / STAMPS_A_SECOND).ilog2()).min(STAMP_EVERY),
        };
    }

    /// How many tuples should have been emitted by a time, those before the rate was set included.
    /// The first is due at once.
    fn n_due(&self, now: u64) -> u64 {
        let nanos = u128::from(now.saturating_sub(self.start_nanos));
        let n_due = nanos * u128::from(self.rate) / u128::from(self.n_spouts) / NANOS;
        self.n_at_start + 1 + u64::try_from(n_due).unwrap_or(u64::MAX / 2)
    }

    fn due_nanos(&self, id: u64) -> u64 {
        let n_before = u128::from(id.saturating_sub(self.n_at_start));
        let nanos = n_before * NANOS * u128::from(self.n_spouts) / u128::from(self.rate.max(1));
        self.start_nanos + u64::try_from(nanos).unwrap_or(u64::MAX / 2)
    }

    fn place(&self, id: u64) -> usize {
        (id / self.stamp_every) as usize % N_STAMPS
    }
}

// === impl SleepSpout ===

impl SleepSpout {
    pub fn new(directory: String, tracking: Tracking, sleep: Duration) -> Self {
        SleepSpout {
            directory,
            tracking,
            sleep,
            gauges: None,
            n_emitted: 0,
            n_acked: 0,
            due_nanos: 0,
        }
    }
}

impl Spout for SleepSpout {
    fn open(&mut self, _: &TaskContext) -> Result<()> {
        self.gauges = Some(Gauges::of(&self.directory)?);
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        let now = clock::machine_nanos();
        if now < self.due_nanos {
            out.wake_after(Duration::from_nanos(self.due_nanos - now));
            return Ok(());
        }
        let sleep = u64::try_from(self.sleep.as_nanos()).unwrap_or(u64::MAX / 2);
        self.due_nanos = now + sleep;
        self.n_emitted += 1;
        if let Some(gauges) = &self.gauges {
            gauges.meter.began();
            gauges.emitted.set(self.n_emitted);
        }
        let now = now as i64;
        match self.tracking {
            Tracking::Untracked => out.emit(values![now]),
            Tracking::Tracked => out.emit_reliable(values![now], Value::Long(now)),
        }
    }

    fn ack(&mut self, id: &Value) {
        self.n_acked += 1;
        let Some(gauges) = &self.gauges else { return };
        gauges.acked.set(self.n_acked);
        if let Value::Long(stamp) = *id {
            let nanos = clock::machine_nanos().saturating_sub(stamp as u64);
            gauges.meter.record_ack(nanos);
        }
    }
}

// === impl Gauges ===

impl Gauges {
    fn of(directory: &str) -> Result<Self> {
        let meter = Meter::of(directory)?;
        Ok(Gauges {
            emitted: meter.counter(Count::Emitted),
            acked: meter.counter(Count::Acked),
            failed: meter.counter(Count::Failed),
            meter,
        })
    }
}

/// Without a rate one tuple in so many is stamped.
const STAMP_EVERY: u64 = 1024;
/// With a rate about so many are.
const STAMPS_A_SECOND: u64 = 20_000;
/// As many stamped emits may be pending at once; older ones are not measured.
const N_STAMPS: usize = 4096;
const NO_STAMP: (u64, u64) = (u64::MAX, 0);
/// How long a spout sleeps at most without a look at the rate.
const LOOK_NANOS: u64 = 100_000_000;
const NANOS: u128 = 1_000_000_000;

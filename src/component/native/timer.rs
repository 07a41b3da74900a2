//! Emits at a fixed pace.

use std::time::Duration;

use crate::clock;
use crate::component::{Result, Spout, SpoutCollector, TaskContext};
use crate::values;

/// Emits (sequence from 0, wall milliseconds) every so often, untracked.
pub struct TimerSpout {
    pace: Pace,
    count: Option<i64>,
    sequence: i64,
}

/// When a spout may emit again: one emit per interval, with no catching up on missed ones.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    interval_ms: u64,
    due_ms: u64,
}

// === impl TimerSpout ===

impl TimerSpout {
    /// `count` emits in all, or no end of them.
    pub fn new(interval_ms: u64, count: Option<i64>) -> Self {
        TimerSpout {
            pace: Pace::new(interval_ms),
            count,
            sequence: 0,
        }
    }
}

impl Spout for TimerSpout {
    fn open(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        if self.count.is_some_and(|count| self.sequence >= count) || !self.pace.is_due(out) {
            return Ok(());
        }
        out.emit(values![self.sequence, clock::wall_millis()])?;
        self.sequence += 1;
        Ok(())
    }
}

// === impl Pace ===

impl Pace {
    pub fn new(interval_ms: u64) -> Self {
        Pace {
            interval_ms,
            due_ms: 0,
        }
    }

    /// Whether it is time; if so the next interval begins, if not the spout is called when it is.
    pub fn is_due(&mut self, out: &mut SpoutCollector<'_>) -> bool {
        if self.interval_ms == 0 {
            return true;
        }
        let now_ms = clock::monotonic_millis();
        let wait_ms = self.due_ms.saturating_sub(now_ms);
        if wait_ms > 0 {
            out.wake_after(Duration::from_millis(wait_ms));
            return false;
        }
        let is_late = now_ms >= self.due_ms + self.interval_ms;
        self.due_ms = if is_late { now_ms } else { self.due_ms } + self.interval_ms;
        true
    }
}

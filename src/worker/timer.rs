//! Timers of one thread: what is due for which of its executors.
//!
//! Reads no clock and runs nothing; the reactor asks what is due and delivers it in the executor's
//! turn, so that no timer ever waits behind data.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What an executor is to do at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// A tick tuple for each task of a bolt.
    Tick,
    /// Rotate the pending tuples of a spout, or the ledger of an acker.
    Expire,
    /// Move the live counters into their windows.
    RotateStats,
    /// Leave a copy of the statistics for the heartbeat.
    ShowStats,
    /// Run: a component asked for it, or an idle spout's pause is over.
    Call,
    /// Make a component anew after it failed to start or panicked.
    Restart,
}

/// Pending alarms, soonest first. Times are monotonic microseconds.
#[derive(Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(u64, u32, Alarm)>>,
}

// === impl Timers ===

impl Timers {
    pub fn set(&mut self, due_us: u64, executor: usize, alarm: Alarm) {
        self.heap.push(Reverse((due_us, executor as u32, alarm)));
    }

    /// When the soonest alarm is due.
    #[inline]
    pub fn next_us(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((due_us, ..))| *due_us)
    }

    /// Removes an alarm that is due: its time, its executor and what it is.
    #[inline]
    pub fn pop_due(&mut self, now_us: u64) -> Option<(u64, usize, Alarm)> {
        if self.next_us()? > now_us {
            return None;
        }
        let Reverse((due_us, executor, alarm)) = self.heap.pop()?;
        Some((due_us, executor as usize, alarm))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_come_when_due_and_soonest_first() {
        let mut timers = Timers::default();
        timers.set(30, 1, Alarm::Tick);
        timers.set(10, 2, Alarm::Call);
        timers.set(20, 1, Alarm::Expire);
        assert_eq!(timers.next_us(), Some(10));
        assert_eq!(timers.pop_due(9), None);
        assert_eq!(timers.pop_due(25), Some((10, 2, Alarm::Call)));
        assert_eq!(timers.pop_due(25), Some((20, 1, Alarm::Expire)));
        assert_eq!(timers.pop_due(25), None);
        assert_eq!(timers.next_us(), Some(30));
    }
}

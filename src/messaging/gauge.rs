//! How full a receiver is, as its senders see it: the credit that bounds memory.
//!
//! A gauge counts and tells when there is room again; who then runs or sends is decided elsewhere.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// How much waits for one receiver: tuples for an executor of this worker, bytes for one of another
/// worker.
// Written by two threads at each batch: no other data may share its lines, nor the pair that a core
// fetches at once.
#[repr(align(128))]
pub struct Gauge {
    n_queued: AtomicUsize,
    capacity: usize,
    awaited: AtomicBool,
}

/// For how long one waited for room, in all. One thread waits, others look; for a moment they may
/// see less than there is.
#[derive(Debug, Default)]
pub struct WaitMeter {
    total_us: AtomicU64,
    /// 0 while it does not wait.
    since_us: AtomicU64,
}

// === impl WaitMeter ===

impl WaitMeter {
    /// It waits. Times are of one monotonic clock.
    pub fn begin(&self, now_us: u64) {
        self.since_us.store(now_us.max(1), Ordering::Relaxed);
    }

    /// It goes on, if it waited.
    pub fn end(&self, now_us: u64) {
        let since_us = self.since_us.swap(0, Ordering::Relaxed);
        if since_us != 0 {
            let waited_us = now_us.saturating_sub(since_us);
            self.total_us.fetch_add(waited_us, Ordering::Relaxed);
        }
    }

    /// With what it waits now.
    pub fn total_us(&self, now_us: u64) -> u64 {
        let since_us = self.since_us.load(Ordering::Relaxed);
        let now = match since_us {
            0 => 0,
            since_us => now_us.saturating_sub(since_us),
        };
        self.total_us.load(Ordering::Relaxed) + now
    }
}

// === impl Gauge ===

impl Gauge {
    /// At `capacity`, in the gauge's unit, the receiver counts as full.
    pub fn new(capacity: usize) -> Self {
        Gauge {
            n_queued: AtomicUsize::new(0),
            capacity: capacity.max(1),
            awaited: AtomicBool::new(false),
        }
    }

    #[inline]
    pub fn n_queued(&self) -> usize {
        self.n_queued.load(Ordering::Relaxed)
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// 0 when nothing waits, 1 when the receiver counts as full.
    pub fn fullness(&self) -> f64 {
        (self.n_queued() as f64 / self.capacity as f64).min(1.0)
    }

    #[inline]
    pub fn is_full(&self) -> bool {
        self.n_queued() >= self.capacity
    }

    #[inline]
    pub fn add(&self, n: usize) {
        self.n_queued.fetch_add(n, Ordering::SeqCst);
    }

    /// Counts as taken. True when someone waits for room and there is some again: the caller
    /// then wakes all who may wait.
    #[inline]
    #[must_use]
    pub fn take(&self, n: usize) -> bool {
        let before = self.n_queued.fetch_sub(n, Ordering::SeqCst);
        // Half empty before anyone is woken, so that a wake buys many tuples.
        before.saturating_sub(n) <= self.capacity / 2
            && self.awaited.load(Ordering::SeqCst)
            && self.awaited.swap(false, Ordering::SeqCst)
    }

    /// Before waiting for room: true when there is still little, and then `take` will say when not.
    pub fn await_room(&self) -> bool {
        self.awaited.store(true, Ordering::SeqCst);
        self.n_queued.load(Ordering::SeqCst) > self.capacity / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_add_up_and_show_while_they_last() {
        let meter = WaitMeter::default();
        meter.end(5);
        assert_eq!(meter.total_us(10), 0);
        meter.begin(10);
        assert_eq!(meter.total_us(25), 15);
        meter.end(30);
        assert_eq!(meter.total_us(99), 20);
        meter.begin(100);
        meter.end(101);
        assert_eq!(meter.total_us(200), 21);
    }

    #[test]
    fn a_full_gauge_tells_once_when_there_is_room() {
        let gauge = Gauge::new(10);
        gauge.add(12);
        assert!(gauge.is_full());
        assert!(gauge.await_room());
        assert!(!gauge.take(3));
        assert!(!gauge.is_full());
        assert!(gauge.take(4));
        assert!(!gauge.take(5));
        assert!(!gauge.await_room());
    }
}

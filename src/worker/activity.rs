//! What each thread of a worker does at this moment, for whoever wants to look from outside.
//!
//! Costs a turn two stores that nobody else writes. Judges nothing.

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

/// One thread's. A cache line of its own: its thread writes it all the time.
#[derive(Debug)]
#[repr(align(128))]
pub struct Activity {
    /// The kernel's number of the thread; 0 before it runs.
    tid: AtomicI32,
    /// Place of the executor whose turn it is among those of the thread; `NOBODY` between turns.
    place: AtomicU32,
    /// Monotonic microseconds of the round that the last turn belongs to.
    since_us: AtomicU64,
}

/// What a thread was seen doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub tid: i32,
    /// Place of the executor whose turn it is, if it is anybody's.
    pub place: Option<usize>,
    /// When its round began, in monotonic microseconds.
    pub since_us: u64,
}

// === impl Activity ===

impl Default for Activity {
    fn default() -> Self {
        Activity {
            tid: AtomicI32::new(0),
            place: AtomicU32::new(NOBODY),
            since_us: AtomicU64::new(0),
        }
    }
}

impl Activity {
    /// The calling thread is the one that this is about.
    pub fn begin(&self) {
        self.tid
            .store(nix::unistd::gettid().as_raw(), Ordering::Relaxed);
    }

    #[inline]
    pub fn enter(&self, place: usize, now_us: u64) {
        self.since_us.store(now_us, Ordering::Relaxed);
        self.place.store(place as u32, Ordering::Relaxed);
    }

    #[inline]
    pub fn leave(&self) {
        self.place.store(NOBODY, Ordering::Relaxed);
    }

    pub fn look(&self) -> Seen {
        let place = self.place.load(Ordering::Relaxed);
        Seen {
            tid: self.tid.load(Ordering::Relaxed),
            place: (place != NOBODY).then_some(place as usize),
            since_us: self.since_us.load(Ordering::Relaxed),
        }
    }
}

const NOBODY: u32 = u32::MAX;

//! How a thread waits: it spins for some tens of microseconds while cores are free, then it parks.
//!
//! A wake from a park costs as much as thousands of tuples, an idle core that spins costs everybody
//! else. Which of the two is right depends on who else wants the core, and that is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use crate::clock;

/// What the timers of an engine go by.
#[derive(Clone, Debug)]
pub enum Time {
    Real,
    /// Microseconds that a test sets. Waits have no time-out then: who sets it rings the doors.
    Simulated(Arc<AtomicU64>),
}

/// Whether threads may spin before they park.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spinning {
    /// All threads of the node fit its cores.
    Allowed,
    Forbidden,
}

/// The waiting of one thread.
pub struct Rest {
    spinning: Spinning,
    /// No spinning before this: others want the core.
    suspended_until: Option<Instant>,
    checked_at: Instant,
    n_preempted: i64,
}

// === impl Time ===

impl Time {
    /// Monotonic microseconds.
    #[inline]
    pub fn now_us(&self) -> u64 {
        match self {
            Time::Real => clock::monotonic_micros(),
            Time::Simulated(now_us) => now_us.load(Ordering::SeqCst),
        }
    }
}

// === impl Rest ===

impl Rest {
    pub fn new(spinning: Spinning) -> Self {
        Rest {
            spinning,
            suspended_until: None,
            checked_at: Instant::now(),
            n_preempted: n_preempted(),
        }
    }

    /// Watches for input for a moment; true when there is some, or when a timer is about to be due.
    pub fn spin(&mut self, until_us: Option<u64>, has_input: impl Fn() -> bool) -> bool {
        if self.spinning == Spinning::Forbidden {
            return false;
        }
        let started = Instant::now();
        if self.suspended_until.is_some_and(|until| started < until) {
            return false;
        }
        if started.duration_since(self.checked_at) >= CHECK_EVERY {
            self.check(started);
        }
        let until = until_us.map_or(SPIN, |us| Duration::from_micros(us).min(SPIN));
        loop {
            for _ in 0..32 {
                if has_input() {
                    return true;
                }
                std::hint::spin_loop();
            }
            if started.elapsed() >= until {
                return until < SPIN;
            }
        }
    }

    /// Whoever was preempted often has shared its core with others that had work to do.
    fn check(&mut self, now: Instant) {
        let n_preempted = n_preempted();
        let n_of_late = n_preempted - self.n_preempted;
        self.suspended_until = (n_of_late > PREEMPTIONS_MAX).then(|| now + SUSPENSION);
        self.n_preempted = n_preempted;
        self.checked_at = now;
    }
}

/// How often the kernel took the core away from this thread.
fn n_preempted() -> i64 {
    getrusage(UsageWho::RUSAGE_THREAD).map_or(0, |usage| usage.involuntary_context_switches())
}

/// Two wakes' worth.
const SPIN: Duration = Duration::from_micros(50);
const CHECK_EVERY: Duration = Duration::from_millis(50);
/// Preemptions between two checks above which others want the core.
const PREEMPTIONS_MAX: i64 = 5;
const SUSPENSION: Duration = Duration::from_millis(500);

//! Which core each thread of the engine runs on, so that one that waits sees whether it keeps
//! another from the very work that it waits for.
//!
//! The kernel puts two threads on one core when somebody else has the other one, and lets them be
//! there for tens of milliseconds after that has gone. Moves nobody: that is the kernel's business.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sched::sched_getcpu;

use crate::worker::queue::Door;
use crate::worker::rest::Spinning;

/// The core that a thread last saw itself on. Written when that changes, read by all others.
#[derive(Debug)]
#[repr(align(128))]
pub struct Whereabouts(AtomicU32);

/// Whether another thread of the engine is on the core of this one, unless it has moved since it
/// last looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Company {
    Nobody,
    Asleep,
    /// It waits for this one to leave the core.
    Waiting,
}

/// What the other threads of the engine do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Siblings {
    pub company: Company,
    /// Whether any of them may bring something without being woken.
    pub is_any_awake: bool,
}

/// One thread among those of the engine.
pub struct Here {
    index: usize,
    all: Arc<[Whereabouts]>,
    /// Nobody to be in the way of, or no spinning.
    is_alone: bool,
    looked_us: u64,
}

// === impl Whereabouts ===

impl Whereabouts {
    fn note(&self, core: u32) {
        // Others' copies of the line stay good while nothing changes.
        if self.0.load(Ordering::Relaxed) != core {
            self.0.store(core, Ordering::Relaxed);
        }
    }

    fn core(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Whereabouts {
    fn default() -> Self {
        Whereabouts(AtomicU32::new(UNKNOWN))
    }
}

// === impl Here ===

impl Here {
    pub fn new(index: usize, all: Arc<[Whereabouts]>, spinning: Spinning) -> Self {
        Here {
            index,
            is_alone: all.len() < 2 || spinning == Spinning::Forbidden,
            all,
            looked_us: 0,
        }
    }

    /// Once a round: a thread without rest tells the others where it is, too.
    #[inline]
    pub fn round(&mut self, now_us: u64) {
        if now_us.wrapping_sub(self.looked_us) >= LOOK_EVERY_US && !self.is_alone {
            self.looked_us = now_us;
            self.all[self.index].note(core());
        }
    }

    /// What the others do.
    pub fn siblings(&self, doors: &[Arc<Door>]) -> Siblings {
        if self.is_alone {
            return Siblings::NONE;
        }
        let core = core();
        self.all[self.index].note(core);
        self.seen_from(core, |other| doors[other].is_parked())
    }

    fn seen_from(&self, core: u32, sleeps: impl Fn(usize) -> bool) -> Siblings {
        let mut siblings = Siblings::NONE;
        for (other, whereabouts) in self.all.iter().enumerate() {
            if other == self.index {
                continue;
            }
            let company = match sleeps(other) {
                true => Company::Asleep,
                false => Company::Waiting,
            };
            siblings.is_any_awake |= company == Company::Waiting;
            if core != UNKNOWN && whereabouts.core() == core {
                siblings.company = siblings.company.max(company);
            }
        }
        siblings
    }
}

impl Siblings {
    const NONE: Siblings = Siblings {
        company: Company::Nobody,
        is_any_awake: false,
    };
}

/// A look costs some nanoseconds.
fn core() -> u32 {
    sched_getcpu().map_or(UNKNOWN, |core| core as u32)
}

const UNKNOWN: u32 = u32::MAX;
/// As long as a spin.
const LOOK_EVERY_US: u64 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn three(spinning: Spinning) -> (Here, Arc<[Whereabouts]>) {
        let all: Arc<[Whereabouts]> = (0..3).map(|_| Whereabouts::default()).collect();
        (Here::new(1, all.clone(), spinning), all)
    }

    #[test]
    fn only_those_that_do_not_sleep_wait_for_a_core() {
        let (here, all) = three(Spinning::Allowed);
        let nobody_sleeps = |_| false;
        let company = |core, sleeps: fn(usize) -> bool| here.seen_from(core, sleeps).company;
        assert_eq!(company(7, nobody_sleeps), Company::Nobody);
        all[1].note(7);
        assert_eq!(company(7, nobody_sleeps), Company::Nobody);
        all[2].note(7);
        assert_eq!(company(7, nobody_sleeps), Company::Waiting);
        assert_eq!(company(7, |_| true), Company::Asleep);
        all[0].note(7);
        assert_eq!(company(7, |other| other == 2), Company::Waiting);
        assert_eq!(company(6, nobody_sleeps), Company::Nobody);
        all[2].note(UNKNOWN);
        assert_eq!(company(UNKNOWN, nobody_sleeps), Company::Nobody);
    }

    #[test]
    fn who_is_awake_counts_wherever_it_is() {
        let (here, _) = three(Spinning::Allowed);
        // Itself does not.
        assert!(!here.seen_from(7, |other| other != 1).is_any_awake);
        assert!(here.seen_from(7, |other| other != 2).is_any_awake);
        let (here, _) = three(Spinning::Forbidden);
        assert_eq!(here.siblings(&[]), Siblings::NONE);
    }

    #[test]
    fn a_thread_says_where_it_is_now_and_then() {
        let (mut here, all) = three(Spinning::Allowed);
        here.round(LOOK_EVERY_US);
        assert_ne!(all[1].core(), UNKNOWN);
        all[1].note(UNKNOWN);
        here.round(LOOK_EVERY_US + 1);
        assert_eq!(all[1].core(), UNKNOWN);
        let (mut here, all) = three(Spinning::Forbidden);
        here.round(LOOK_EVERY_US);
        assert_eq!(all[1].core(), UNKNOWN);
    }
}

//! A spout executor's tracked tuples: draws their roots and keeps what is pending.
//!
//! The table itself, its slots and its time-outs, is `acker::PendingTable`.

use crate::acker::{Outcome, Pending, PendingTable};
use crate::component::ComponentFailure;
use crate::grouping::{SLOT_BITS, acker_index, draw_root};
use crate::id::TaskId;
use crate::tuple::Value;

/// Pending tuples of one executor, all its tasks together.
pub struct Tracker {
    table: PendingTable,
    n_ackers: usize,
    /// Ackers of this thread, or else of this worker, by their index.
    near_ackers: Vec<usize>,
    /// Above the slot in each root: see `grouping::draw_root`.
    salt: u32,
    random: fastrand::Rng,
}

// === impl Tracker ===

impl Tracker {
    /// `near_ackers` are indices below `n_ackers`; without any the roots fall to all alike.
    pub fn new(
        n_pending_max: Option<usize>,
        n_ackers: usize,
        near_ackers: Vec<usize>,
        mut random: fastrand::Rng,
    ) -> Self {
        Tracker {
            salt: u32::from(random.u8(..)) << SLOT_BITS,
            table: PendingTable::new(n_pending_max),
            n_ackers,
            near_ackers,
            random,
        }
    }

    #[inline]
    pub fn n_pending(&self) -> usize {
        self.table.len()
    }

    #[inline]
    pub fn is_full(&self) -> bool {
        self.table.is_full()
    }

    /// Takes a tuple that is about to be emitted; gives its root.
    // Inlined, as what it calls, so that the tuple is written where it stays.
    #[inline(always)]
    pub fn insert(&mut self, pending: Pending) -> Result<u64, ComponentFailure> {
        let Some(slot) = self.table.next_slot() else {
            return Err(too_many(self.table.len()));
        };
        let preferred = match self.near_ackers.as_slice() {
            [] => None,
            [one] => Some(*one),
            many => self.random.choice(many).copied(),
        };
        let root = draw_root(&mut self.random, self.n_ackers, preferred, self.salt | slot);
        self.table.handle_emit(root, pending);
        Ok(root)
    }

    /// Ends a tree or extends it: the tuple that is over, to be released when its spout has heard
    /// of it.
    #[inline]
    pub fn look(&mut self, root: u64, outcome: Outcome) -> Option<&Pending> {
        self.table.handle_done(root, outcome)
    }

    /// Gives the place of a tuple that is over to the next one.
    #[inline]
    pub fn release(&mut self, root: u64) {
        self.table.release(root);
    }

    /// Pending roots that fall to these ackers, by their indices.
    pub fn roots_of(&self, ackers: &[usize]) -> impl Iterator<Item = u64> {
        let roots = self.table.roots();
        roots.filter(|root| ackers.contains(&acker_index(*root, self.n_ackers)))
    }

    /// Pending roots of a task's tuples with such ids.
    pub fn roots_with(&self, task: TaskId, is_meant: impl Fn(&Value) -> bool) -> Vec<u64> {
        self.table.roots_of(task, is_meant).collect()
    }

    /// Drops what a task has pending, as when its component is made anew.
    pub fn forget(&mut self, task: TaskId) {
        self.table.forget(task);
    }

    /// A time-out has passed: appends what expired.
    pub fn rotate(&mut self, expired: &mut Vec<Pending>) {
        self.table.handle_tick(expired);
    }
}

#[cold]
fn too_many(n_pending: usize) -> ComponentFailure {
    let text = format!("{n_pending} tuples are pending: set topology.max.spout.pending");
    ComponentFailure::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuple::StreamNumber;

    #[test]
    fn roots_prefer_the_near_acker() {
        let mut tracker = Tracker::new(Some(100), 3, vec![1], fastrand::Rng::with_seed(7));
        for number in 0..100 {
            let pending = Pending {
                task: TaskId(1),
                stream: StreamNumber(0),
                id: Value::Long(number),
                emitted_us: 0,
            };
            let root = tracker.insert(pending.clone()).unwrap();
            assert_eq!(acker_index(root, 3), 1);
            if number % 2 == 0 {
                assert_eq!(tracker.look(root, Outcome::Acked), Some(&pending));
                tracker.release(root);
            }
        }
        assert_eq!(tracker.n_pending(), 50);
    }
}

//! Shuffle grouping without load awareness: round robin over targets that were permuted once
//! (data-plane 2.2). Weighs no load: that is a grouping of its own.

use crate::id::TaskId;

#[derive(Clone, Debug)]
pub struct Shuffle {
    targets: Vec<TaskId>,
    cursor: usize,
}

// === impl Shuffle ===

impl Shuffle {
    pub(super) fn new(mut targets: Vec<TaskId>, random: &mut fastrand::Rng) -> Self {
        random.shuffle(&mut targets);
        Shuffle { targets, cursor: 0 }
    }

    pub(super) fn only_target(&self) -> Option<TaskId> {
        match self.targets.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }

    /// The next target; the first one is the second of the permutation, as in Storm.
    #[inline]
    pub(super) fn choose(&mut self) -> Option<TaskId> {
        self.cursor += 1;
        if self.cursor >= self.targets.len() {
            self.cursor = 0;
        }
        self.targets.get(self.cursor).copied()
    }
}

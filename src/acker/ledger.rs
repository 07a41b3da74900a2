//! The acker's ledger: one number for each tuple tree, zero when every tuple of it was acked
//! (data-plane 3.2). Inputs may arrive in any order.
//!
//! Does not know which spouts exist: it answers whom an init named.

use crate::id::TaskId;
use crate::limits;

use super::trees::{NO_TASK, Tree, Trees};

/// The trees of one acker task.
#[derive(Debug)]
pub struct AckLedger {
    trees: Trees,
    n_refused: u64,
}

/// What spouts and bolts tell the acker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerRecord {
    /// `__ack_init`: `value` is the XOR of the edges to the first tuples.
    Init {
        root: u64,
        value: u64,
        spout_task: TaskId,
    },
    /// `__ack_ack`: `value` is the edge of the acked tuple and those of the ones anchored to it,
    /// XORed.
    Ack { root: u64, value: u64 },
    /// `__ack_fail`.
    Fail { root: u64 },
    /// `__ack_reset_timeout`: someone still works on it.
    Reset { root: u64 },
}

/// What the acker tells a spout task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    pub root: u64,
    pub spout_task: TaskId,
    pub outcome: Outcome,
    /// Since the acker first heard of the root, in milliseconds.
    pub elapsed_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Acked,
    Failed,
    /// Not over: its timeout starts anew.
    Reset,
}

// === impl AckLedger ===

impl AckLedger {
    pub fn new() -> Self {
        AckLedger::with_max(limits::ACKER_TREES_MAX)
    }

    /// Holds up to `n_trees_max` trees at once.
    pub fn with_max(n_trees_max: usize) -> Self {
        AckLedger {
            trees: Trees::new(n_trees_max),
            n_refused: 0,
        }
    }

    /// Trees that are not over, and orphans of late records.
    pub fn len(&self) -> usize {
        self.trees.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes one record. `now_ms` may be of any clock that does not go back.
    #[inline]
    pub fn handle(&mut self, record: LedgerRecord, now_ms: i64) -> Option<Notice> {
        let root = record.root();
        let Some(place) = self.trees.place(root, now_ms) else {
            self.n_refused += 1;
            return None;
        };
        let tree = self.trees.get_mut(place)?;
        tree.apply(record);
        let outcome = tree.judge(record);
        let notice = outcome.map(|outcome| Notice {
            root,
            spout_task: TaskId(tree.spout_task),
            outcome,
            elapsed_ms: now_ms.wrapping_sub(tree.started_ms),
        });
        match outcome {
            Some(Outcome::Acked | Outcome::Failed) => self.trees.remove(place),
            _ if record.renews() => self.trees.renew(place),
            _ => {}
        }
        notice
    }

    /// Once each message timeout: forgets trees that began three of them ago, longer than any spout
    /// waits. Fails and resets count as beginnings; inits and acks do not.
    pub fn handle_tick(&mut self) {
        self.trees.rotate(N_BUCKETS);
    }

    /// Records since the last call that were for more trees than a ledger holds: those trees fail
    /// by time-out.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.n_refused)
    }
}

impl Default for AckLedger {
    fn default() -> Self {
        AckLedger::new()
    }
}

// === impl LedgerRecord ===

impl LedgerRecord {
    #[inline]
    pub fn root(&self) -> u64 {
        match *self {
            LedgerRecord::Init { root, .. }
            | LedgerRecord::Ack { root, .. }
            | LedgerRecord::Fail { root }
            | LedgerRecord::Reset { root } => root,
        }
    }

    /// Whether the tree's time in the ledger starts anew.
    #[inline]
    fn renews(&self) -> bool {
        matches!(self, LedgerRecord::Fail { .. } | LedgerRecord::Reset { .. })
    }
}

// === impl Tree ===

impl Tree {
    #[inline]
    fn apply(&mut self, record: LedgerRecord) {
        match record {
            LedgerRecord::Init {
                value, spout_task, ..
            } => {
                self.value ^= value;
                // Storm waits for a task that is not negative, its mark of an unknown one.
                self.spout_task = spout_task.0.max(NO_TASK);
            }
            LedgerRecord::Ack { value, .. } => self.value ^= value,
            LedgerRecord::Fail { .. } => self.is_failed = true,
            LedgerRecord::Reset { .. } => {}
        }
    }

    /// A tree that is complete counts as acked even when a tuple of it failed, as in Storm.
    #[inline]
    fn judge(&self, record: LedgerRecord) -> Option<Outcome> {
        if self.spout_task < 0 {
            None
        } else if self.value == 0 {
            Some(Outcome::Acked)
        } else if self.is_failed {
            Some(Outcome::Failed)
        } else {
            matches!(record, LedgerRecord::Reset { .. }).then_some(Outcome::Reset)
        }
    }
}

/// Entries live two to three message timeouts, so that they outlast the spout's.
const N_BUCKETS: u16 = 3;

//! The acker's ledger: one number for each tuple tree, zero when every tuple of it was acked
//! (data-plane 3.2). Inputs may arrive in any order.
//!
//! Does not know which spouts exist: it answers whom an init named.

use crate::id::TaskId;

use super::rotating::{Disposition, RotatingMap};

/// The trees of one acker task.
#[derive(Debug)]
pub struct AckLedger {
    trees: RotatingMap<u64, Tree>,
}

/// What spouts and bolts tell the acker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckRecord {
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

#[derive(Debug)]
struct Tree {
    value: u64,
    started_ms: i64,
    /// Unknown until the init arrives.
    spout_task: Option<TaskId>,
    is_failed: bool,
}

// === impl AckLedger ===

impl AckLedger {
    pub fn new() -> Self {
        AckLedger {
            trees: RotatingMap::new(N_BUCKETS),
        }
    }

    /// Trees that are not over, and orphans of late records.
    pub fn len(&self) -> usize {
        self.trees.len()
    }

    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// Takes one record. `now_ms` may be of any clock that does not go back.
    #[inline]
    pub fn handle(&mut self, record: AckRecord, now_ms: i64) -> Option<Notice> {
        let absent = || Tree {
            value: 0,
            started_ms: now_ms,
            spout_task: None,
            is_failed: false,
        };
        let root = record.root();
        self.trees.update(root, absent, |tree| {
            tree.apply(record);
            let (disposition, outcome) = tree.judge(record);
            let notice = outcome
                .zip(tree.spout_task)
                .map(|(outcome, spout_task)| Notice {
                    root,
                    spout_task,
                    outcome,
                    elapsed_ms: now_ms.wrapping_sub(tree.started_ms),
                });
            (disposition, notice)
        })
    }

    /// Takes many records and appends what comes of them.
    pub fn handle_all(
        &mut self,
        records: impl IntoIterator<Item = AckRecord>,
        now_ms: i64,
        notices: &mut Vec<Notice>,
    ) {
        for record in records {
            notices.extend(self.handle(record, now_ms));
        }
    }

    /// Once each message timeout: forgets trees of which nothing was heard for the last three,
    /// longer than any spout waits.
    pub fn handle_tick(&mut self) {
        self.trees.rotate(|_, _| {});
    }
}

impl Default for AckLedger {
    fn default() -> Self {
        AckLedger::new()
    }
}

// === impl AckRecord ===

impl AckRecord {
    #[inline]
    pub fn root(&self) -> u64 {
        match *self {
            AckRecord::Init { root, .. }
            | AckRecord::Ack { root, .. }
            | AckRecord::Fail { root }
            | AckRecord::Reset { root } => root,
        }
    }
}

// === impl Tree ===

impl Tree {
    #[inline]
    fn apply(&mut self, record: AckRecord) {
        match record {
            AckRecord::Init {
                value, spout_task, ..
            } => {
                self.value ^= value;
                // Storm waits for a task that is not negative, its mark of an unknown one.
                self.spout_task = Some(spout_task).filter(|task| task.0 >= 0);
            }
            AckRecord::Ack { value, .. } => self.value ^= value,
            AckRecord::Fail { .. } => self.is_failed = true,
            AckRecord::Reset { .. } => {}
        }
    }

    /// A tree that is complete counts as acked even when a tuple of it failed, as in Storm.
    #[inline]
    fn judge(&self, record: AckRecord) -> (Disposition, Option<Outcome>) {
        let is_reset = matches!(record, AckRecord::Reset { .. });
        let renews = is_reset || matches!(record, AckRecord::Fail { .. });
        let kept = if renews {
            Disposition::Renew
        } else {
            Disposition::Keep
        };
        match self.spout_task {
            None => (kept, None),
            Some(_) if self.value == 0 => (Disposition::Remove, Some(Outcome::Acked)),
            Some(_) if self.is_failed => (Disposition::Remove, Some(Outcome::Failed)),
            Some(_) => (kept, is_reset.then_some(Outcome::Reset)),
        }
    }
}

/// Entries live two to three message timeouts, so that they outlast the spout's.
const N_BUCKETS: u64 = 3;

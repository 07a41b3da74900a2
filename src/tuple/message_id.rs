//! What tells one tuple from all others, and what ties it to the trees it belongs to.
//!
//! Does not draw ids: randomness is the caller's.

use std::fmt;

use crate::id::TaskId;

/// Globally unique: no two tuples of a topology's life share all three parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TupleId {
    /// Of the worker that emitted the tuple; a restarted task never uses one again.
    pub generation: i64,
    /// The task that emitted it.
    pub task: TaskId,
    pub sequence: u64,
}

/// A tuple's edge in one tree: the tree's root and the edge's own random number (data-plane 1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Anchor {
    pub root: u64,
    pub edge: u64,
}

// === impl TupleId ===

/// `generation:task:sequence`, the form that multilang children are given.
impl fmt::Display for TupleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.generation, self.task, self.sequence)
    }
}

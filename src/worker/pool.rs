//! Empty batches that are kept for reuse, up to a bound.

use std::sync::Arc;

use crate::tuple::{StreamTable, TupleBatch};

/// A stack of empty batches: the one that was used last is the warmest.
pub struct BatchPool {
    #[expect(
        clippy::vec_box,
        reason = "batches travel by pointer, here and everywhere"
    )]
    batches: Vec<Box<TupleBatch>>,
    n_max: usize,
}

// === impl BatchPool ===

impl BatchPool {
    pub fn new(n_max: usize) -> Self {
        BatchPool {
            batches: Vec::new(),
            n_max,
        }
    }

    #[inline]
    pub fn take(&mut self) -> Option<Box<TupleBatch>> {
        self.batches.pop()
    }

    /// A batch of the pool, or a new one.
    #[inline]
    pub fn take_or_new(&mut self, streams: &Arc<StreamTable>) -> Box<TupleBatch> {
        self.take().unwrap_or_else(|| fresh(streams))
    }

    /// Empties a batch and keeps it, unless there are enough.
    #[inline]
    pub fn keep(&mut self, mut batch: Box<TupleBatch>) {
        if self.batches.len() < self.n_max {
            batch.clear();
            self.batches.push(batch);
        }
    }

    /// Takes batches of `other` until there are `n_wanted`.
    #[inline]
    pub fn refill(&mut self, n_wanted: usize, other: &mut BatchPool) {
        while self.batches.len() < n_wanted.min(self.n_max) {
            match other.take() {
                Some(batch) => self.batches.push(batch),
                None => break,
            }
        }
    }
}

#[cold]
fn fresh(streams: &Arc<StreamTable>) -> Box<TupleBatch> {
    Box::new(TupleBatch::new(streams.clone()))
}

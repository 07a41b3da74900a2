//! Empty batches that are kept for reuse, up to a bound in bytes.

use std::sync::Arc;

use crate::limits;
use crate::tuple::{StreamTable, TupleBatch};

/// A stack of empty batches: the one that was used last is the warmest.
#[derive(Default)]
pub struct BatchPool {
    #[expect(
        clippy::vec_box,
        reason = "batches travel by pointer, here and everywhere"
    )]
    batches: Vec<Box<TupleBatch>>,
    /// What the batches take, in bytes.
    n_bytes: usize,
}

// === impl BatchPool ===

impl BatchPool {
    #[inline]
    pub fn take(&mut self) -> Option<Box<TupleBatch>> {
        let batch = self.batches.pop()?;
        self.n_bytes -= batch.room_bytes();
        Some(batch)
    }

    /// A batch of the pool, or a new one.
    #[inline]
    pub fn take_or_new(&mut self, streams: &Arc<StreamTable>) -> Box<TupleBatch> {
        self.take().unwrap_or_else(|| fresh(streams))
    }

    /// Empties a batch and keeps it, unless there are enough.
    #[inline]
    pub fn keep(&mut self, mut batch: Box<TupleBatch>) {
        if self.n_bytes < limits::BATCH_POOL_BYTES {
            batch.clear();
            self.n_bytes += batch.room_bytes();
            self.batches.push(batch);
        }
    }
}

#[cold]
fn fresh(streams: &Arc<StreamTable>) -> Box<TupleBatch> {
    Box::new(TupleBatch::new(streams.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TaskId;
    use crate::tuple::{Fields, StreamInfo, StreamNumber, TupleHead};
    use crate::values;

    fn batch(n_tuples: u64) -> Box<TupleBatch> {
        let info = StreamInfo {
            component: "spout".into(),
            stream: "default".into(),
            fields: Fields::new(["text"]).unwrap(),
            direct: false,
        };
        let mut batch = fresh(&Arc::new(StreamTable::new([info]).unwrap()));
        for sequence in 0..n_tuples {
            let head = TupleHead {
                sequence,
                generation: 1,
                timestamp_us: 0,
                source_task: TaskId(2),
                target_task: TaskId(0),
                stream: StreamNumber(0),
            };
            batch.push(head, &[], &values!["x"]).unwrap();
        }
        batch
    }

    #[test]
    fn bytes_bound_it_be_they_of_many_or_of_large_batches() {
        for n_tuples in [1, 256] {
            let mut pool = BatchPool::default();
            let n_bytes = batch(n_tuples).room_bytes();
            let n_kept = limits::BATCH_POOL_BYTES.div_ceil(n_bytes);
            for _ in 0..n_kept + 10 {
                pool.keep(batch(n_tuples));
            }
            let taken = std::iter::from_fn(|| pool.take()).count();
            assert_eq!((taken, pool.n_bytes), (n_kept, 0));
        }
    }
}

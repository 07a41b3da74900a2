//! What waits for one executor: batches in the order they came, and how far the first one is done.
//!
//! Batches keep where they came from, so that their memory goes back there.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::messaging::gauge::Gauge;
use crate::messaging::receiving::Receipt;
use crate::tuple::TupleBatch;

/// The queue of one executor.
pub struct Inbox {
    batches: VecDeque<Queued>,
    /// Tuples of the first batch that are done.
    cursor: usize,
    gauge: Arc<Gauge>,
}

/// A batch and the thread that its memory belongs to.
pub struct Queued {
    pub batch: Box<TupleBatch>,
    pub origin: Origin,
}

/// Where an empty batch goes.
#[derive(Debug)]
pub enum Origin {
    Thread(usize),
    /// The links' pool; and who sent it may send as much again.
    Link(Receipt),
}

// === impl Inbox ===

impl Inbox {
    pub fn new(gauge: Arc<Gauge>) -> Self {
        Inbox {
            batches: VecDeque::new(),
            cursor: 0,
            gauge,
        }
    }

    /// Queues a batch whose tuples its sender has counted already.
    #[inline]
    pub fn push(&mut self, queued: Queued) {
        self.batches.push_back(queued);
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// The first batch and the place of the next tuple in it.
    #[inline]
    pub fn current(&mut self) -> Option<(&TupleBatch, &mut usize)> {
        let queued = self.batches.front()?;
        Some((&queued.batch, &mut self.cursor))
    }

    /// Takes out the first batch, when it is done. True as second when someone waits for the room.
    pub fn finish(&mut self) -> Option<(Queued, bool)> {
        let n_tuples = self.batches.front()?.batch.len();
        if self.cursor < n_tuples {
            return None;
        }
        self.cursor = 0;
        let queued = self.batches.pop_front()?;
        let has_waiter = self.gauge.take(n_tuples);
        Some((queued, has_waiter))
    }
}

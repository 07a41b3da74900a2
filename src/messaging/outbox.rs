//! What waits to be sent to one other worker: tuples for one of its components, or acks.
//!
//! Filled by executor threads, emptied by the links' tasks; both sides only hold a lock to push or
//! swap. Survives connections: what was not written to one goes into the next.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::limits;
use crate::messaging::acks::AckRecord;
use crate::messaging::gauge::Gauge;

/// Encoded batches for one component, in the order they were emitted, with their memory recycled.
pub struct DataOutbox {
    /// Tuples that wait: emitters look at it before they run.
    pub gauge: Gauge,
    queue: Mutex<Frames>,
    filled: Notify,
    counters: LinkCounters,
}

/// One encoded batch.
#[derive(Default)]
pub struct DataFrame {
    /// With its length before it.
    pub bytes: Vec<u8>,
    pub n_tuples: usize,
}

/// Ack records for one other worker. They merge while they wait.
pub struct AckOutbox {
    queue: Mutex<Vec<AckRecord>>,
    filled: Notify,
    counters: LinkCounters,
}

/// What happened on the way to one other worker. Only grows.
#[derive(Debug, Default)]
pub struct LinkCounters {
    /// Tuples or ack records.
    n_sent: AtomicU64,
    /// Known not to have arrived: their roots fail by time-out.
    n_lost: AtomicU64,
    n_connects: AtomicU64,
}

#[derive(Default)]
struct Frames {
    waiting: VecDeque<DataFrame>,
    spare: Vec<Vec<u8>>,
}

// === impl DataOutbox ===

impl DataOutbox {
    /// `capacity` in tuples.
    pub fn new(capacity: usize) -> Self {
        DataOutbox {
            gauge: Gauge::new(capacity),
            queue: Mutex::default(),
            filled: Notify::new(),
            counters: LinkCounters::default(),
        }
    }

    /// Memory for the next frame.
    pub fn buffer(&self) -> Vec<u8> {
        self.lock().spare.pop().unwrap_or_default()
    }

    /// Queues a frame. Never refuses: who fills it looks at the gauge first.
    pub fn push(&self, frame: DataFrame) {
        self.gauge.add(frame.n_tuples);
        self.lock().waiting.push_back(frame);
        self.filled.notify_one();
    }

    /// Waits until there is a frame and takes the oldest. Cancel safe.
    pub async fn next(&self) -> DataFrame {
        loop {
            if let Some(frame) = self.try_next() {
                return frame;
            }
            self.filled.notified().await;
        }
    }

    /// Waits until there is a frame, and leaves it. Cancel safe.
    pub async fn filled(&self) {
        while self.is_empty() {
            self.filled.notified().await;
        }
    }

    /// The oldest frame.
    pub fn try_next(&self) -> Option<DataFrame> {
        self.lock().waiting.pop_front()
    }

    /// Puts a frame back that was not sent at all.
    pub fn put_back(&self, frame: DataFrame) {
        self.lock().waiting.push_front(frame);
        self.filled.notify_one();
    }

    /// A frame was handed to the system. True when someone waits for the room.
    #[must_use]
    pub fn sent(&self, frame: DataFrame) -> bool {
        self.counters.add_sent(frame.n_tuples);
        self.finished(frame)
    }

    /// A frame broke off with its connection. True when someone waits for the room.
    #[must_use]
    pub fn lost(&self, frame: DataFrame) -> bool {
        self.counters.add_lost(frame.n_tuples);
        self.finished(frame)
    }

    /// Gives up on all that waits, as when the other worker is gone for good.
    #[must_use]
    pub fn discard(&self) -> bool {
        let mut has_waiter = false;
        while let Some(frame) = self.try_next() {
            has_waiter |= self.lost(frame);
        }
        has_waiter
    }

    pub fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    pub fn counters(&self) -> &LinkCounters {
        &self.counters
    }

    fn finished(&self, frame: DataFrame) -> bool {
        let mut bytes = frame.bytes;
        if bytes.capacity() <= limits::LINK_BUFFER_KEEP_BYTES {
            bytes.clear();
            let mut frames = self.lock();
            if frames.spare.len() < SPARE_BUFFERS {
                frames.spare.push(bytes);
            }
        }
        self.gauge.take(frame.n_tuples)
    }

    fn lock(&self) -> MutexGuard<'_, Frames> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl AckOutbox ===

impl Default for AckOutbox {
    fn default() -> Self {
        AckOutbox {
            queue: Mutex::default(),
            filled: Notify::new(),
            counters: LinkCounters::default(),
        }
    }
}

impl AckOutbox {
    /// Queues records; those beyond the bound are lost and counted.
    pub fn extend(&self, records: &[AckRecord]) {
        let mut queue = self.lock();
        for record in records {
            if queue.last_mut().is_some_and(|last| last.merge(record)) {
                continue;
            }
            if queue.len() >= limits::ACK_OUTBOX_RECORDS_MAX {
                self.counters.add_lost(1);
                continue;
            }
            queue.push(*record);
        }
        drop(queue);
        self.filled.notify_one();
    }

    /// Waits until there are records and takes all; `into` is empty. Cancel safe.
    pub async fn next(&self, into: &mut Vec<AckRecord>) {
        while !self.try_next(into) {
            self.filled.notified().await;
        }
    }

    /// Takes all records; false when there are none.
    pub fn try_next(&self, into: &mut Vec<AckRecord>) -> bool {
        std::mem::swap(&mut *self.lock(), into);
        !into.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub fn counters(&self) -> &LinkCounters {
        &self.counters
    }

    fn lock(&self) -> MutexGuard<'_, Vec<AckRecord>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl LinkCounters ===

impl LinkCounters {
    pub fn add_sent(&self, n: usize) {
        self.n_sent.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub fn add_lost(&self, n: usize) {
        self.n_lost.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub fn add_connect(&self) {
        self.n_connects.fetch_add(1, Ordering::Relaxed);
    }

    pub fn n_sent(&self) -> u64 {
        self.n_sent.load(Ordering::Relaxed)
    }

    pub fn n_lost(&self) -> u64 {
        self.n_lost.load(Ordering::Relaxed)
    }

    pub fn n_connects(&self) -> u64 {
        self.n_connects.load(Ordering::Relaxed)
    }
}

/// Buffers kept for reuse.
const SPARE_BUFFERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TaskId;
    use crate::messaging::acks::AckKind;

    #[test]
    fn frames_keep_their_order_and_their_memory() {
        let outbox = DataOutbox::new(100);
        for n_tuples in [10, 20] {
            let mut bytes = outbox.buffer();
            bytes.push(n_tuples as u8);
            outbox.push(DataFrame { bytes, n_tuples });
        }
        assert_eq!(outbox.gauge.n_queued(), 30);
        let first = outbox.try_next().unwrap();
        assert_eq!(first.bytes, [10]);
        outbox.put_back(first);
        let first = outbox.try_next().unwrap();
        assert!(!outbox.sent(first));
        assert_eq!(outbox.gauge.n_queued(), 20);
        assert!(outbox.buffer().capacity() > 0);
        assert!(!outbox.discard());
        assert_eq!(outbox.gauge.n_queued(), 0);
        assert_eq!(
            (outbox.counters().n_sent(), outbox.counters().n_lost()),
            (10, 20)
        );
    }

    #[test]
    fn ack_records_are_bounded_and_counted() {
        let outbox = AckOutbox::default();
        let record = |root| AckRecord {
            root,
            value: 1,
            task: TaskId(0),
            kind: AckKind::Ack,
        };
        let n_records = limits::ACK_OUTBOX_RECORDS_MAX as u64 + 3;
        let records: Vec<_> = (0..n_records).map(record).collect();
        outbox.extend(&records);
        assert_eq!(outbox.counters().n_lost(), 3);
        let mut taken = Vec::new();
        assert!(outbox.try_next(&mut taken));
        assert_eq!(taken.len(), limits::ACK_OUTBOX_RECORDS_MAX);
        assert!(outbox.is_empty());
    }
}

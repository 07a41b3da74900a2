//! Where executor threads leave what goes to one other worker, for the links' task to take.
//!
//! Both sides only hold a lock to push or swap. `sending` has the rules; here are the lock, the
//! bell and the counters. Survives connections.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::id::ExecutorId;
use crate::limits;
use crate::messaging::acks::{self, AckRecord};
use crate::messaging::gauge::{Gauge, WaitMeter};
use crate::messaging::sending::{DataFrame, FrameBytes, Sending};

/// All that goes to one other worker.
pub struct Outbox {
    sending: Mutex<Sending>,
    acks: Mutex<Vec<AckRecord>>,
    filled: Notify,
    counters: LinkCounters,
}

/// What goes to one executor of another worker.
pub struct DataOutbox {
    /// Bytes that are on their way and not yet taken off the receiver's queue: emitters look at it
    /// before they run.
    pub gauge: Arc<Gauge>,
    pub executor: ExecutorId,
    line: usize,
    outbox: Arc<Outbox>,
}

/// What one write takes along, and memory that the next one uses again.
#[derive(Default)]
pub(super) struct Load {
    pub frames: Vec<DataFrame>,
    ack_frames: Vec<FrameBytes>,
    records: Vec<AckRecord>,
}

/// What happened on the way to one other worker. Only grows.
#[derive(Debug, Default)]
pub struct LinkCounters {
    /// Ack records.
    n_acks_sent: AtomicU64,
    n_acks_lost: AtomicU64,
    /// Tuples that were lost on the way: their trees were failed.
    n_lost: AtomicU64,
    n_connects: AtomicU64,
    /// Bytes of frames before they were packed, and as they were sent.
    n_plain_bytes: AtomicU64,
    n_sent_bytes: AtomicU64,
    /// For credit, while nothing of what waits has any.
    pub waits: WaitMeter,
    face: Mutex<LinkFace>,
}

/// What the newest connection of a link speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkFace {
    /// None: nothing is packed.
    pub codec: Option<&'static str>,
    /// None: it is not encrypted.
    pub cipher: Option<&'static str>,
}

// === impl Outbox ===

impl Outbox {
    /// With a window of so many bytes to each executor.
    pub fn new(executors: &[ExecutorId], window_bytes: usize) -> (Arc<Self>, Vec<Arc<DataOutbox>>) {
        let gauges: Vec<_> = executors
            .iter()
            .map(|executor| (*executor, Arc::new(Gauge::new(window_bytes))))
            .collect();
        let outbox = Arc::new(Outbox {
            sending: Mutex::new(Sending::new(gauges.iter().cloned())),
            acks: Mutex::default(),
            filled: Notify::new(),
            counters: LinkCounters::default(),
        });
        let line = |(line, (executor, gauge))| {
            Arc::new(DataOutbox {
                gauge,
                executor,
                line,
                outbox: outbox.clone(),
            })
        };
        let lines = gauges.into_iter().enumerate().map(line).collect();
        (outbox, lines)
    }

    /// Queues ack records; those beyond the bound are lost and counted.
    pub fn extend_acks(&self, records: &[AckRecord]) {
        let mut queue = self.lock_acks();
        for record in records {
            if queue.last_mut().is_some_and(|last| last.merge(record)) {
                continue;
            }
            if queue.len() >= limits::ACK_OUTBOX_RECORDS_MAX {
                self.counters.n_acks_lost.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            queue.push(*record);
        }
        drop(queue);
        self.filled.notify_one();
    }

    /// These ack frames were written, and the process that may have got them looks gone. It lives
    /// on where only the network is broken: what can be said twice is queued once more, and the
    /// trees of the rest fail. To another process all of it is late, and comes to nothing.
    pub(super) fn doubt(&self, ack_frames: &[FrameBytes]) {
        let mut records = Vec::new();
        for frame in ack_frames {
            // We wrote it ourselves.
            if let Some((count, bytes)) = acks::split_frame(frame) {
                let _ = acks::read(count, bytes, &mut records);
            }
        }
        let is_lost = |record: &&AckRecord| record.after_doubt() != Some(**record);
        let n_lost = records.iter().filter(is_lost).count() as u64;
        let counter = &self.counters.n_acks_lost;
        counter.fetch_add(n_lost, Ordering::Relaxed);
        let again: Vec<_> = records.iter().filter_map(AckRecord::after_doubt).collect();
        self.extend_acks(&again);
    }

    /// Ends when something may be there to be taken. Cancel safe.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    pub(super) fn ring(&self) {
        self.filled.notify_one();
    }

    /// Takes what is to be written next, in the place of what was taken before: acks first, then
    /// as many tuples as one write should have and credits allow.
    pub(super) fn take(&self, load: &mut Load) {
        let Load {
            frames,
            ack_frames,
            records,
        } = load;
        frames.clear();
        records.clear();
        // A burst's memory is not kept.
        records.shrink_to(limits::ACK_LIST_KEEP_RECORDS);
        std::mem::swap(&mut *self.lock_acks(), records);
        for part in records.chunks(limits::ACK_FRAME_RECORDS) {
            let mut bytes = self.sending().ack_buffer();
            if let Some(unshared) = Arc::get_mut(&mut bytes) {
                acks::write_frame(part, unshared);
                ack_frames.push(bytes);
            }
        }
        let n_acks = records.len() as u64;
        self.counters
            .n_acks_sent
            .fetch_add(n_acks, Ordering::Relaxed);
        self.sending()
            .take(ack_frames, limits::LINK_WRITE_BYTES, frames);
    }

    /// Whether nothing waits to be handed to the system.
    pub fn is_empty(&self) -> bool {
        self.lock_acks().is_empty() && self.sending().is_empty()
    }

    /// Tuples that wait here, and one more where acks do.
    pub fn n_waiting(&self) -> usize {
        let n_acks = usize::from(!self.lock_acks().is_empty());
        self.sending().n_waiting() + n_acks
    }

    pub fn counters(&self) -> &LinkCounters {
        &self.counters
    }

    pub(crate) fn sending(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_acks(&self) -> MutexGuard<'_, Vec<AckRecord>> {
        self.acks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl DataOutbox ===

impl DataOutbox {
    /// Memory for the next frame, which nobody else has.
    pub fn buffer(&self) -> FrameBytes {
        self.outbox.sending().buffer()
    }

    /// Queues a frame. False, and it is lost, where the worker is wanted no more.
    #[must_use]
    pub fn push(&self, frame: DataFrame) -> bool {
        let is_taken = self.outbox.sending().push(self.line, frame);
        self.outbox.ring();
        is_taken
    }

    /// Whether far too much waits: an edge that waits for room never gets there.
    pub fn is_overfull(&self) -> bool {
        self.outbox.sending().is_overfull(self.line)
    }
}

// === impl LinkCounters ===

impl LinkCounters {
    /// A connection was made that speaks so.
    pub(super) fn show(&self, face: LinkFace) {
        *self.face.lock().unwrap_or_else(PoisonError::into_inner) = face;
    }

    pub fn face(&self) -> LinkFace {
        *self.face.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add_bytes(&self, n_plain: usize, n_sent: usize) {
        self.n_plain_bytes
            .fetch_add(n_plain as u64, Ordering::Relaxed);
        self.n_sent_bytes
            .fetch_add(n_sent as u64, Ordering::Relaxed);
    }

    /// Bytes of frames before they were packed, and as they were sent.
    pub fn bytes(&self) -> (u64, u64) {
        let read = |bytes: &AtomicU64| bytes.load(Ordering::Relaxed);
        (read(&self.n_plain_bytes), read(&self.n_sent_bytes))
    }

    pub(super) fn add_lost(&self, n_tuples: usize) {
        self.n_lost.fetch_add(n_tuples as u64, Ordering::Relaxed);
    }

    pub(super) fn add_connect(&self) {
        self.n_connects.fetch_add(1, Ordering::Relaxed);
    }

    pub fn n_lost(&self) -> u64 {
        self.n_lost.load(Ordering::Relaxed)
    }

    pub fn n_acks_lost(&self) -> u64 {
        self.n_acks_lost.load(Ordering::Relaxed)
    }

    pub fn n_connects(&self) -> u64 {
        self.n_connects.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TaskId;
    use crate::messaging::acks::AckKind;

    #[test]
    fn ack_records_are_bounded_and_counted() {
        let (outbox, _) = Outbox::new(&[], 1);
        let record = |root| AckRecord {
            root,
            value: 1,
            task: TaskId(0),
            kind: AckKind::Ack,
        };
        let n_records = limits::ACK_OUTBOX_RECORDS_MAX as u64 + 3;
        let records: Vec<_> = (0..n_records).map(record).collect();
        outbox.extend_acks(&records);
        assert_eq!(outbox.counters().n_acks_lost(), 3);
        let mut load = Load::default();
        outbox.take(&mut load);
        assert_eq!(load.records.len(), limits::ACK_OUTBOX_RECORDS_MAX);
        assert_eq!(
            load.frames.len(),
            limits::ACK_OUTBOX_RECORDS_MAX.div_ceil(limits::ACK_FRAME_RECORDS)
        );
        assert!(outbox.is_empty());
    }
}

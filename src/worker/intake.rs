//! What other workers send, into the inboxes and ledgers of this one.
//!
//! Runs on the links' thread: sorts tuples by executor and records by thread, and tells a link to
//! wait while a receiver is full.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::grouping::acker_index;
use crate::id::TaskId;
use crate::messaging::acks::AckRecord;
use crate::messaging::decode::{self, DecodeError, Rows};
use crate::messaging::server::Intake;
use crate::tuple::{Anchor, TupleBatch, TupleError, TupleHead, ValueRef};
use crate::wire::messages;
use crate::worker::queue::{Injected, Packet};
use crate::worker::shared::{ExecutorHandle, Shared};

/// The intake of one worker.
pub struct WorkerIntake {
    shared: Arc<Shared>,
    /// In the order of their ids.
    ackers: Vec<TaskId>,
}

/// Tuples of one frame by their receivers.
struct Sorting<'s> {
    shared: &'s Shared,
    /// Few receivers in one frame: looked through in order, the last one first.
    open: Vec<(&'s ExecutorHandle, Box<TupleBatch>)>,
    last: usize,
    n_misrouted: u64,
}

// === impl WorkerIntake ===

impl WorkerIntake {
    pub fn new(shared: Arc<Shared>, ackers: Vec<TaskId>) -> Self {
        WorkerIntake { shared, ackers }
    }

    /// The full executors of a component, or of all.
    fn full(&self, component: Option<&str>) -> impl Iterator<Item = &ExecutorHandle> {
        let executors = self.shared.executors.iter();
        executors.filter(move |handle| {
            handle.gauge.is_full() && component.is_none_or(|id| handle.component.as_str() == id)
        })
    }

    /// False when there is room already.
    fn await_room(&self, component: Option<&str>) -> bool {
        let mut has_to_wait = false;
        for handle in self.full(component) {
            has_to_wait |= handle.gauge.await_room();
        }
        has_to_wait
    }

    fn thread_of(&self, record: &AckRecord) -> Option<usize> {
        let task = match record.is_for_acker() {
            true => *self
                .ackers
                .get(acker_index(record.root, self.ackers.len()))?,
            false => record.task,
        };
        self.shared.executor_of(task).map(|handle| handle.thread)
    }
}

impl Intake for WorkerIntake {
    fn data(&self, batch: &messages::MessageBatch) -> Result<(), DecodeError> {
        let mut sorting = Sorting {
            shared: &self.shared,
            open: Vec::new(),
            last: 0,
            n_misrouted: 0,
        };
        let read = decode::read_batch(batch, &self.shared.streams, &mut sorting);
        let misrouted = &self.shared.counters.n_misrouted;
        misrouted.fetch_add(sorting.n_misrouted, Ordering::Relaxed);
        let n_rows: usize = sorting.open.iter().map(|(_, batch)| batch.len()).sum();
        // What was read before an error is delivered: its roots may still complete.
        for (handle, batch) in sorting.open {
            deliver(&self.shared, handle, batch);
        }
        let received = &self.shared.counters.n_received;
        received.fetch_add(n_rows as u64 + sorting.n_misrouted, Ordering::SeqCst);
        read
    }

    fn acks(&self, records: Vec<AckRecord>) {
        let n_threads = self.shared.doors.len();
        let mut by_thread: Vec<Vec<AckRecord>> = vec![Vec::new(); n_threads];
        let mut n_lost = 0;
        for record in records {
            match self.thread_of(&record) {
                Some(thread) => by_thread[thread].push(record),
                None => n_lost += 1,
            }
        }
        let lost = &self.shared.counters.n_acks_lost;
        lost.fetch_add(n_lost, Ordering::Relaxed);
        for (records, door) in by_thread.into_iter().zip(&self.shared.doors) {
            if !records.is_empty() {
                door.inject(Injected::Acks(records));
            }
        }
    }

    /// A link waits for none but those that it feeds: so waits follow the edges of the topology,
    /// and never come back over another worker to where they began.
    async fn room(&self, component: Option<&str>) {
        while self.full(component).next().is_some() {
            let told = self.shared.room.notified();
            tokio::pin!(told);
            // Registered before the gauges are asked to tell: no notice is missed.
            told.as_mut().enable();
            if self.await_room(component) {
                told.await;
            }
        }
    }
}

fn deliver(shared: &Shared, handle: &ExecutorHandle, batch: Box<TupleBatch>) {
    handle.gauge.add(batch.len());
    shared.doors[handle.thread].inject(Injected::Data(Packet {
        executor: handle.place as u32,
        batch,
    }));
}

impl Rows for Sorting<'_> {
    #[inline]
    fn row(
        &mut self,
        head: TupleHead,
        anchors: &[Anchor],
        values: &[ValueRef<'_>],
    ) -> Result<(), TupleError> {
        let target = head.target_task;
        let is_for = |(handle, _): &(&ExecutorHandle, Box<TupleBatch>)| handle.id.contains(target);
        if !self.open.get(self.last).is_some_and(is_for) {
            match self.open.iter().position(is_for) {
                Some(place) => self.last = place,
                None => {
                    let Some(handle) = self.shared.executor_of(target) else {
                        self.n_misrouted += 1;
                        return Ok(());
                    };
                    self.open.push((handle, self.shared.take_batch()));
                    self.last = self.open.len() - 1;
                }
            }
        }
        match self.open.get_mut(self.last) {
            Some((_, batch)) => batch.push(head, anchors, values),
            None => Ok(()),
        }
    }
}

//! What other workers send, into the inboxes and ledgers of this one.
//!
//! Runs on the links' thread: decodes tuples into the batches that executors get, and sorts records
//! by thread. Waits for nobody.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::grouping::acker_index;
use crate::id::{ExecutorId, TaskId};
use crate::messaging::acks::AckRecord;
use crate::messaging::decode::{DecodeError, Incoming};
use crate::messaging::receiving::Receipt;
use crate::messaging::server::{Intake, Intakes};
use crate::tuple::TupleBatch;
use crate::worker::lane::BATCH_TUPLES;
use crate::worker::program::Program;
use crate::worker::queue::{Injected, Packet};
use crate::worker::shared::Shared;

/// Makes the intakes of one worker's links.
pub struct WorkerIntakes {
    shared: Arc<Shared>,
    program: Arc<Program>,
    /// In the order of their ids.
    ackers: Arc<[TaskId]>,
}

/// The intake of one link.
pub struct WorkerIntake {
    shared: Arc<Shared>,
    program: Arc<Program>,
    ackers: Arc<[TaskId]>,
    /// Batches that are not full; few executors get tuples at a time.
    open: Vec<Open>,
    records: Vec<Vec<AckRecord>>,
}

/// Tuples of some frames for one executor.
struct Open {
    executor: ExecutorId,
    batch: Box<TupleBatch>,
    receipt: Receipt,
}

// === impl WorkerIntakes ===

impl WorkerIntakes {
    pub fn new(shared: Arc<Shared>, program: Arc<Program>) -> Self {
        WorkerIntakes {
            shared,
            ackers: program.ackers.as_slice().into(),
            program,
        }
    }
}

impl Intakes for WorkerIntakes {
    type Intake = WorkerIntake;

    fn intake(&self) -> WorkerIntake {
        WorkerIntake {
            shared: self.shared.clone(),
            program: self.program.clone(),
            ackers: self.ackers.clone(),
            open: Vec::new(),
            records: vec![Vec::new(); self.shared.doors.len()],
        }
    }
}

// === impl WorkerIntake ===

impl WorkerIntake {
    fn thread_of(&self, record: &AckRecord) -> Option<usize> {
        let task = match record.is_for_acker() {
            true => *self
                .ackers
                .get(acker_index(record.root, self.ackers.len()))?,
            false => record.task,
        };
        self.shared.executor_of(task).map(|handle| handle.thread)
    }

    /// Puts the frame into the open batch of its executor, or into a new one.
    fn add(
        &mut self,
        executor: ExecutorId,
        incoming: &Incoming<'_>,
        receipt: Receipt,
    ) -> Result<(), DecodeError> {
        let is_mine = |open: &&mut Open| open.receipt.is_like(&receipt);
        if let Some(open) = self.open.iter_mut().find(is_mine) {
            incoming.read_into(&mut open.batch, executor)?;
            open.receipt.join(receipt);
            return Ok(());
        }
        let mut batch = self.shared.take_batch();
        if let Err(error) = incoming.read_into(&mut batch, executor) {
            self.shared.give_batch(batch);
            return Err(error);
        }
        self.open.push(Open {
            executor,
            batch,
            receipt,
        });
        Ok(())
    }
}

impl Intake for WorkerIntake {
    fn executor_of(&self, task: TaskId) -> Option<ExecutorId> {
        self.shared.executor_of(task).map(|handle| handle.id)
    }

    fn has_task(&self, task: TaskId) -> bool {
        self.program.component_of(task).is_some()
    }

    fn tuples(
        &mut self,
        executor: ExecutorId,
        incoming: &Incoming<'_>,
        receipt: Receipt,
    ) -> Result<(), DecodeError> {
        self.add(executor, incoming, receipt)?;
        let received = &self.shared.counters.n_received;
        received.fetch_add(incoming.n_rows() as u64, Ordering::SeqCst);
        let is_full = |open: &Open| open.executor == executor && open.batch.len() >= BATCH_TUPLES;
        if let Some(place) = self.open.iter().position(is_full) {
            deliver(&self.shared, self.open.swap_remove(place));
        }
        Ok(())
    }

    fn fail(&mut self, incoming: &Incoming<'_>) {
        let n_tuples = incoming.n_rows() as u64;
        let counters = &self.shared.counters;
        counters.n_misrouted.fetch_add(n_tuples, Ordering::Relaxed);
        counters.n_received.fetch_add(n_tuples, Ordering::SeqCst);
        self.shared.fail(incoming.roots());
    }

    fn acks(&mut self, records: &[AckRecord]) {
        let mut n_lost = 0;
        for record in records {
            match self.thread_of(record) {
                Some(thread) => self.records[thread].push(*record),
                None => n_lost += 1,
            }
        }
        let lost = &self.shared.counters.n_acks_lost;
        lost.fetch_add(n_lost, Ordering::Relaxed);
    }

    fn flush(&mut self) {
        for open in self.open.drain(..) {
            deliver(&self.shared, open);
        }
        for (records, door) in self.records.iter_mut().zip(&self.shared.doors) {
            if !records.is_empty() {
                let empty = self.shared.take_records();
                door.inject(Injected::Acks(std::mem::replace(records, empty)));
            }
        }
    }
}

fn deliver(shared: &Shared, open: Open) {
    let Some(handle) = shared.executor_of(open.executor.first) else {
        // It was there a moment ago, and executors never leave.
        return shared.give_batch(open.batch);
    };
    handle.gauge.add(open.batch.len());
    let packet = Packet {
        executor: handle.place as u32,
        batch: open.batch,
    };
    shared.doors[handle.thread].inject(Injected::Data(packet, open.receipt));
}

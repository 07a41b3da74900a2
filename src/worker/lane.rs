//! Where an executor's tuples wait until its turn ends: one open batch for each receiver.
//!
//! A lane leads to an executor of this thread, of another thread, or to another worker. Lanes only
//! gather and say whether a receiver is full; the reactor carries batches away.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::id::TaskId;
use crate::limits;
use crate::messaging::gauge::Gauge;
use crate::messaging::outbox::DataOutbox;
use crate::tuple::{Anchor, StreamTable, TupleBatch, TupleError, TupleHead, ValueRef};
use crate::worker::pool::BatchPool;

/// Where a lane leads.
#[derive(Clone)]
pub enum Destination {
    /// An executor of the same thread, by its place there.
    Near { executor: usize, gauge: Arc<Gauge> },
    /// An executor of another thread of this worker.
    Far {
        thread: usize,
        executor: u32,
        gauge: Arc<Gauge>,
    },
    /// An executor of another worker.
    Peer(Arc<DataOutbox>),
    /// No worker has the tasks now: tuples wait for an assignment.
    Nowhere,
}

/// One lane.
pub struct Lane {
    pub destination: Destination,
    open: Option<Box<TupleBatch>>,
    sealed: VecDeque<Box<TupleBatch>>,
    is_dirty: bool,
    /// Whether a full receiver stops the executor: not where the receiver may be waiting for us.
    pub blocks: bool,
}

/// The lanes of one executor.
pub struct Lanes {
    lanes: Vec<Lane>,
    /// Lane of each task by its id; `NO_LANE` for tasks that nothing is sent to.
    of_task: Vec<u32>,
    dirty: Vec<u32>,
    last: u32,
    /// Lent by the thread for the executor's turns.
    spare: BatchPool,
    streams: Arc<StreamTable>,
    n_sealed: usize,
}

// === impl Destination ===

impl Destination {
    pub fn gauge(&self) -> Option<&Gauge> {
        match self {
            Destination::Near { gauge, .. } | Destination::Far { gauge, .. } => Some(gauge),
            Destination::Peer(outbox) => Some(&outbox.gauge),
            Destination::Nowhere => None,
        }
    }
}

// === impl Lane ===

impl Lane {
    pub fn new(destination: Destination) -> Self {
        Lane {
            destination,
            open: None,
            sealed: VecDeque::new(),
            is_dirty: false,
            blocks: true,
        }
    }

    /// The batch that goes next, oldest first.
    pub fn take(&mut self) -> Option<Box<TupleBatch>> {
        self.sealed.pop_front().or_else(|| {
            self.is_dirty = false;
            self.open.take()
        })
    }

    /// Whether what the turn has left is taken where the lane leads. To be asked once before all of
    /// it goes: what leaves one turn together finds room together, however much it is, or it would
    /// fail each time it is replayed.
    pub fn is_open(&self) -> bool {
        match &self.destination {
            Destination::Peer(outbox) => self.blocks || !outbox.is_overfull(),
            _ => true,
        }
    }

    /// Puts a batch back that could not go.
    pub fn put_back(&mut self, batch: Box<TupleBatch>) {
        self.sealed.push_front(batch);
    }

    /// Whether the executor has to wait for the receiver.
    #[inline]
    pub fn is_full(&self) -> bool {
        if !self.sealed.is_empty() {
            return true;
        }
        self.blocks && self.destination.gauge().is_some_and(Gauge::is_full)
    }

    /// Asks the receiver to tell when there is room. False when there is some already.
    pub fn await_room(&self) -> bool {
        match self.destination.gauge() {
            Some(gauge) => gauge.await_room() || !self.sealed.is_empty(),
            None => true,
        }
    }
}

// === impl Lanes ===

impl Lanes {
    /// `of_task` gives the lane of each task by its id, `NO_LANE` for none.
    pub fn new(lanes: Vec<Lane>, of_task: Vec<u32>, streams: Arc<StreamTable>) -> Self {
        Lanes {
            lanes,
            of_task,
            dirty: Vec::new(),
            last: NO_LANE,
            spare: BatchPool::default(),
            streams,
            n_sealed: 0,
        }
    }

    /// Adds the first tuple of an emit.
    // Inlined whole, as `TupleBatch::push` is, with what is rare kept out of it.
    #[inline(always)]
    pub fn push(
        &mut self,
        head: TupleHead,
        anchors: &[Anchor],
        values: &[ValueRef<'_>],
    ) -> Result<(), TupleError> {
        let number = self.lane_of(head.target_task);
        let Some(lane) = self.lanes.get_mut(number as usize) else {
            return Ok(());
        };
        self.last = number;
        let batch = match &mut lane.open {
            Some(batch) => batch,
            none => none.insert(open(
                (number, &mut lane.is_dirty),
                &mut self.dirty,
                (&mut self.spare, &self.streams),
            )),
        };
        batch.push(head, anchors, values)?;
        if is_full(batch) {
            self.seal(number);
        }
        Ok(())
    }

    /// Adds a further tuple of the emit that `push` has just added one of.
    #[inline]
    pub fn push_next(
        &mut self,
        head: TupleHead,
        anchors: &[Anchor],
        values: &[ValueRef<'_>],
    ) -> Result<(), TupleError> {
        let number = self.lane_of(head.target_task);
        if number == self.last
            && let Some(batch) = self
                .lanes
                .get_mut(number as usize)
                .and_then(|l| l.open.as_mut())
            && !batch.is_empty()
        {
            batch.push_again(head, anchors)?;
            if is_full(batch) {
                self.seal(number);
            }
            return Ok(());
        }
        self.push(head, anchors, values)
    }

    /// Whether a batch is full: time to end the turn and publish.
    #[inline]
    pub fn has_sealed(&self) -> bool {
        self.n_sealed > 0
    }

    /// Whether a tuple for a task would be taken at once.
    pub fn has_room(&self, task: TaskId) -> bool {
        let lane = self.lanes.get(self.lane_of(task) as usize);
        lane.is_some_and(|lane| {
            let gauge = lane.destination.gauge();
            lane.sealed.is_empty() && gauge.is_some_and(|gauge| !gauge.is_full())
        })
    }

    /// Whether any receiver is full, or something could not be delivered yet.
    #[inline]
    pub fn is_blocked(&self) -> bool {
        self.lanes.iter().any(Lane::is_full)
    }

    /// Before the executor waits for its receivers: false when it need not.
    pub fn await_room(&self) -> bool {
        // All full ones are asked, not only the first: any of them may be the one that stays full.
        let mut has_to_wait = false;
        for lane in self.lanes.iter().filter(|lane| lane.is_full()) {
            has_to_wait |= lane.await_room();
        }
        has_to_wait
    }

    /// Whether anything waits to be delivered.
    #[inline]
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Whether anything waits to get into the ring to another thread.
    pub fn awaits_ring(&self) -> bool {
        let mut dirty = self
            .dirty
            .iter()
            .filter_map(|n| self.lanes.get(*n as usize));
        dirty.any(|lane| matches!(lane.destination, Destination::Far { .. }))
    }

    /// The lanes with something to deliver. To be given back by `done` with those that still have.
    pub fn take_dirty(&mut self) -> Vec<u32> {
        self.n_sealed = 0;
        self.last = NO_LANE;
        std::mem::take(&mut self.dirty)
    }

    /// Ends a delivery that began with `take_dirty`.
    pub fn done(&mut self, mut dirty: Vec<u32>) {
        let lanes = &mut self.lanes;
        dirty.retain(|number| {
            let lane = &mut lanes[*number as usize];
            lane.is_dirty = !lane.sealed.is_empty() || lane.open.is_some();
            lane.is_dirty
        });
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
    }

    pub fn lane_mut(&mut self, number: u32) -> &mut Lane {
        &mut self.lanes[number as usize]
    }

    /// Takes the thread's empty batches for a turn, and gives them back after it: how many it will
    /// need, nobody knows.
    #[inline]
    pub fn swap_pool(&mut self, pool: &mut BatchPool) {
        std::mem::swap(&mut self.spare, pool);
    }

    /// Leads the lanes anew; what waits is spread over the new ones.
    pub fn replace(&mut self, lanes: Vec<Lane>, of_task: Vec<u32>) -> Result<(), TupleError> {
        let mut old = std::mem::replace(&mut self.lanes, lanes);
        self.of_task = of_task;
        self.dirty.clear();
        self.n_sealed = 0;
        self.last = NO_LANE;
        for lane in &mut old {
            while let Some(batch) = lane.take() {
                for tuple in batch.iter() {
                    self.push_copy(&tuple)?;
                }
            }
        }
        Ok(())
    }

    fn push_copy(&mut self, tuple: &crate::tuple::Tuple<'_>) -> Result<(), TupleError> {
        let target = tuple.target_task();
        let number = self.lane_of(target);
        let Some(lane) = self.lanes.get_mut(number as usize) else {
            return Ok(());
        };
        if !lane.is_dirty {
            lane.is_dirty = true;
            self.dirty.push(number);
        }
        let (spare, streams) = (&mut self.spare, &self.streams);
        let open = lane.open.get_or_insert_with(|| spare.take_or_new(streams));
        open.push_from(tuple, target)?;
        if is_full(open) {
            self.seal(number);
        }
        Ok(())
    }

    #[inline]
    fn lane_of(&self, task: TaskId) -> u32 {
        let index = usize::try_from(task.0).unwrap_or(usize::MAX);
        self.of_task.get(index).copied().unwrap_or(NO_LANE)
    }

    #[cold]
    fn seal(&mut self, number: u32) {
        let lane = &mut self.lanes[number as usize];
        lane.sealed.extend(lane.open.take());
        self.n_sealed += 1;
        self.last = NO_LANE;
    }
}

/// Whether a batch goes although the turn goes on.
#[inline(always)]
fn is_full(batch: &TupleBatch) -> bool {
    batch.len() >= BATCH_TUPLES || batch.n_bytes_outside() >= limits::BATCH_BYTES
}

/// A batch for a lane that has none; the lane has something to deliver from now on.
#[cold]
fn open(
    (number, is_dirty): (u32, &mut bool),
    dirty: &mut Vec<u32>,
    (spare, streams): (&mut BatchPool, &Arc<StreamTable>),
) -> Box<TupleBatch> {
    if !std::mem::replace(is_dirty, true) {
        dirty.push(number);
    }
    spare.take_or_new(streams)
}

/// Of tasks that nothing is sent to.
pub const NO_LANE: u32 = u32::MAX;

/// Tuples at which a batch goes although the turn goes on: the batch stays within the caches. Large
/// ones end it earlier: see `limits::BATCH_BYTES`.
pub const BATCH_TUPLES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ExecutorId;
    use crate::messaging::outbox::Outbox;
    use crate::messaging::sending::DataFrame;
    use crate::tuple::{Fields, StreamInfo, StreamNumber};
    use crate::values;

    fn streams() -> Arc<StreamTable> {
        let info = StreamInfo {
            component: "spout".into(),
            stream: "default".into(),
            fields: Fields::new(["text"]).unwrap(),
            direct: false,
        };
        Arc::new(StreamTable::new([info]).unwrap())
    }

    fn head(sequence: u64) -> TupleHead {
        TupleHead {
            sequence,
            generation: 1,
            timestamp_us: 0,
            source_task: TaskId(2),
            target_task: TaskId(0),
            stream: StreamNumber(0),
        }
    }

    /// Tuples of each batch that `n_tuples` texts of so many bytes come to.
    fn batches(n_tuples: u64, n_bytes: usize) -> Vec<usize> {
        let lane = Lane::new(Destination::Nowhere);
        let mut lanes = Lanes::new(vec![lane], vec![0], streams());
        let text = "x".repeat(n_bytes);
        for sequence in 0..n_tuples {
            lanes.push(head(sequence), &[], &values![&text]).unwrap();
        }
        let taken = std::iter::from_fn(|| lanes.lane_mut(0).take());
        taken.map(|batch| batch.len()).collect()
    }

    #[test]
    fn a_batch_ends_by_tuples_or_by_bytes() {
        assert_eq!(batches(600, 10), [256, 256, 88]);
        assert_eq!(batches(600, 1000), [256, 256, 88]);
        assert_eq!(batches(25, limits::BATCH_BYTES / 10), [11, 11, 3]);
        assert_eq!(batches(3, 2 * limits::BATCH_BYTES), [1, 1, 1]);
    }

    #[test]
    fn nested_values_count_by_what_they_hold() {
        let lane = Lane::new(Destination::Nowhere);
        let mut lanes = Lanes::new(vec![lane], vec![0], streams());
        let long = crate::tuple::Value::from("x".repeat(limits::BATCH_BYTES).as_str());
        let list = crate::tuple::Value::List(vec![long]);
        lanes.push(head(0), &[], &values![&list]).unwrap();
        assert!(lanes.has_sealed());
    }

    #[test]
    fn only_an_edge_that_waits_for_nobody_finds_no_room() {
        let executor = ExecutorId {
            first: TaskId(0),
            last: TaskId(0),
        };
        let (_, lines) = Outbox::new(&[executor], 1000);
        let mut lane = Lane::new(Destination::Peer(lines[0].clone()));
        let bytes = Arc::new(vec![0; limits::LOOSE_BYTES_MAX]);
        assert!(lane.is_open());
        assert!(lines[0].push(DataFrame { bytes, n_tuples: 1 }));
        assert!(lane.is_open() && lane.is_full());
        lane.blocks = false;
        assert!(!lane.is_open() && !lane.is_full());
    }
}

//! A slab of tuples: rows of 64 bytes, value cells of 24, an arena for what is longer.
//!
//! Batches are made once and recycled, so that a tuple costs no allocation (performance.md 2f: one
//! allocation freed on another core costs as much as 25 to 50 tuples). Does not decide who gets a
//! tuple or when a batch travels.

mod columns;

use std::cell::Cell as Mutable;
use std::sync::Arc;

use crate::id::TaskId;

use super::cell::{Cell, Heap};
use super::error::TupleError;
use super::prefetch;
use super::stream::{StreamInfo, StreamNumber, StreamTable};
use super::value::ValueRef;
use super::{Anchor, HeldTuple, Tuple, TupleId};

pub use columns::{Mark, RowSlice, RowValues};

/// Tuples one behind another. `clear` keeps the memory for the next ones.
// One thread fills a batch while another reads its neighbour: they must not share lines, nor the
// pair that a core fetches at once.
#[repr(align(128))]
pub struct TupleBatch {
    rows: Vec<Row>,
    store: Store,
}

/// What an emitter says of a tuple beside its anchors and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TupleHead {
    /// Counts the tuples of `source_task` within `generation`.
    pub sequence: u64,
    /// Of the worker that emitted the tuple.
    pub generation: i64,
    /// Microseconds since the Unix epoch: event time where the component set one, else of emission.
    pub timestamp_us: i64,
    pub source_task: TaskId,
    pub target_task: TaskId,
    pub stream: StreamNumber,
}

/// The fixed part of a tuple: one cache line.
#[derive(Clone)]
#[repr(align(64))]
pub(super) struct Row {
    sequence: u64,
    timestamp_us: i64,
    /// The only anchor of most tuples; meaningless for any other number of them.
    anchor: Anchor,
    out_ack: Mutable<u64>,
    source_task: TaskId,
    target_task: TaskId,
    stream: StreamNumber,
    first_value: u32,
    n_values: u16,
    /// 0 for the store's `generation`, else one more than a place in its `other_generations`.
    generation: u16,
    anchors: Anchors,
}

/// Where a row finds what does not lie in it.
struct Links {
    first_value: u32,
    generation: u16,
    anchors: Anchors,
}

/// Where a row's anchors are, in 32 bits.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Anchors(u32);

/// What rows refer to. Shared by batches, where rows are many, and held tuples, where there is one.
pub(super) struct Store {
    streams: Arc<StreamTable>,
    cells: Vec<Cell>,
    heap: Heap,
    /// Of all rows but few; that of the first row.
    generation: Option<i64>,
    other_generations: Vec<i64>,
    more_anchors: Vec<Anchor>,
    /// Start and length in `more_anchors`, of each row that has two or more.
    anchor_spans: Vec<(usize, usize)>,
    /// See `Tuple::stamp_us`.
    stamp_us: Mutable<i64>,
    /// A stream and a number of values that are known to fit: those of the last row, mostly those
    /// of the next one.
    fitting: Option<(StreamNumber, usize)>,
}

// === impl TupleBatch ===

impl TupleBatch {
    /// An empty batch without memory; it grows to what passes through it.
    pub fn new(streams: Arc<StreamTable>) -> Self {
        TupleBatch {
            rows: Vec::new(),
            store: Store::new(streams),
        }
    }

    /// An empty batch with room for `n_tuples` of `n_values` small values each.
    pub fn with_capacity(streams: Arc<StreamTable>, n_tuples: usize, n_values: usize) -> Self {
        let mut batch = TupleBatch::new(streams);
        batch.rows.reserve(n_tuples);
        batch.store.cells.reserve(n_tuples.saturating_mul(n_values));
        batch
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Streams and fields of the topology that these tuples belong to.
    pub fn streams(&self) -> &Arc<StreamTable> {
        &self.store.streams
    }

    /// Appends a tuple. Refuses another number of values than its stream has fields.
    // Inlined whole: a head or a row that goes through memory on its way is read back in other
    // pieces than it was written in, and the processor waits for that.
    #[inline(always)]
    pub fn push(
        &mut self,
        head: TupleHead,
        anchors: &[Anchor],
        values: &[ValueRef<'_>],
    ) -> Result<(), TupleError> {
        let links = self.store.link(&head, anchors, values.len())?;
        let Store { cells, heap, .. } = &mut self.store;
        let (rows_end, cells_end) = (self.rows.len() + ROWS_AHEAD, cells.len() + ROWS_AHEAD);
        prefetch::for_writing(self.rows.as_ptr().wrapping_add(rows_end));
        prefetch::for_writing(cells.as_ptr().wrapping_add(cells_end));
        values.iter().for_each(|value| heap.write(cells, *value));
        self.rows.push(Row::new(head, anchors, values.len(), links));
        Ok(())
    }

    /// Appends a tuple with the values of one that lies elsewhere.
    pub fn push_values_of(
        &mut self,
        head: TupleHead,
        anchors: &[Anchor],
        tuple: &Tuple<'_>,
    ) -> Result<(), TupleError> {
        let links = self.store.link(&head, anchors, tuple.len())?;
        self.store.copy_cells(tuple.row, tuple.store);
        self.rows.push(Row::new(head, anchors, tuple.len(), links));
        Ok(())
    }

    /// Appends a tuple as it is (same id, anchors and values) for another task.
    ///
    /// What was XORed into its `out_ack` stays behind.
    pub fn push_from(&mut self, tuple: &Tuple<'_>, target: TaskId) -> Result<(), TupleError> {
        let head = TupleHead {
            target_task: target,
            ..tuple.head()
        };
        self.push_values_of(head, tuple.anchors(), tuple)
    }

    /// Appends a tuple as it is, but its values stay behind, too.
    pub fn push_without_values(&mut self, tuple: &Tuple<'_>) -> Result<(), TupleError> {
        let (head, anchors) = (tuple.head(), tuple.anchors());
        let links = self.store.link(&head, anchors, tuple.len())?;
        self.rows.push(Row::new(head, anchors, 0, links));
        Ok(())
    }

    /// Appends a tuple that shares the values of the last one: further targets of one emit, for
    /// which nothing but the row is written.
    #[inline]
    pub fn push_again(&mut self, head: TupleHead, anchors: &[Anchor]) -> Result<(), TupleError> {
        let Some((first_value, n_values)) = self
            .rows
            .last()
            .map(|last| (last.first_value, last.n_values))
        else {
            return Err(TupleError::NothingToRepeat);
        };
        let n_values = usize::from(n_values);
        let links = Links {
            first_value,
            ..self.store.link(&head, anchors, n_values)?
        };
        self.rows.push(Row::new(head, anchors, n_values, links));
        Ok(())
    }

    /// The tuple at `index`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Tuple<'_>> {
        let row = self.rows.get(index)?;
        Some(Tuple {
            row,
            store: &self.store,
        })
    }

    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Tuple<'_>> + DoubleEndedIterator {
        self.rows.iter().map(|row| Tuple {
            row,
            store: &self.store,
        })
    }

    /// When the tuple that is about to be executed started, in microseconds since the epoch, if it
    /// is sampled; 0 otherwise. What holds that tuple takes it along (`Tuple::stamp_us`).
    #[inline]
    pub fn stamp(&self, at_us: i64) {
        self.store.stamp_us.set(at_us);
    }

    /// Bytes that long texts and byte strings have room for.
    pub fn arena_bytes(&self) -> usize {
        self.store.heap.arena_bytes()
    }

    /// Bytes of the values that do not lie inside their cells.
    #[inline(always)]
    pub fn n_bytes_outside(&self) -> usize {
        self.store.heap.n_bytes
    }

    /// Bytes of memory for rows, values and texts, whether anything is in it or not.
    pub fn room_bytes(&self) -> usize {
        size_of::<Self>()
            + self.rows.capacity() * size_of::<Row>()
            + self.store.cells.capacity() * size_of::<Cell>()
            + self.arena_bytes()
    }

    /// Drops all tuples and keeps the memory, unless something unusually large passed through.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.rows.shrink_to(ROWS_KEEP);
        self.store.clear();
    }
}

impl std::fmt::Debug for TupleBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

// === impl Row ===

impl Row {
    #[inline(always)]
    fn new(head: TupleHead, anchors: &[Anchor], n_values: usize, links: Links) -> Self {
        Row {
            sequence: head.sequence,
            timestamp_us: head.timestamp_us,
            anchor: match anchors {
                [one] => *one,
                _ => Anchor::default(),
            },
            out_ack: Mutable::new(0),
            source_task: head.source_task,
            target_task: head.target_task,
            stream: head.stream,
            first_value: links.first_value,
            // A stream has at most FIELDS_MAX fields.
            n_values: n_values as u16,
            generation: links.generation,
            anchors: links.anchors,
        }
    }

    #[inline]
    pub(super) fn n_values(&self) -> usize {
        usize::from(self.n_values)
    }

    #[inline]
    pub(super) fn stream(&self) -> StreamNumber {
        self.stream
    }

    #[inline]
    pub(super) fn out_ack(&self) -> &Mutable<u64> {
        &self.out_ack
    }
}

// === impl Anchors ===

impl Anchors {
    const NONE: Anchors = Anchors(0);
    /// In the row itself.
    const INLINE: Anchors = Anchors(1);

    #[inline]
    fn span(index: usize) -> Option<Self> {
        u32::try_from(index).ok()?.checked_add(2).map(Anchors)
    }

    #[inline]
    fn span_index(self) -> usize {
        self.0 as usize - 2
    }
}

// === impl Store ===

impl Store {
    pub(super) fn new(streams: Arc<StreamTable>) -> Self {
        Store {
            streams,
            cells: Vec::new(),
            heap: Heap::default(),
            generation: None,
            other_generations: Vec::new(),
            more_anchors: Vec::new(),
            anchor_spans: Vec::new(),
            stamp_us: Mutable::new(0),
            fitting: None,
        }
    }

    /// An owned copy of one row of another store.
    pub(super) fn hold(row: &Row, from: &Store) -> HeldTuple {
        let tuple = Tuple { row, store: from };
        let mut store = Store::new(from.streams.clone());
        store.cells.reserve_exact(row.n_values());
        store.stamp_us.set(from.stamp_us.get());
        let (head, anchors) = (tuple.head(), tuple.anchors());
        // It fitted where it lies, and may have left its values behind since.
        store.fitting = Some((head.stream, tuple.len()));
        let links = store
            .link(&head, anchors, tuple.len())
            .expect("an empty store takes any row of the same streams");
        let held = Row::new(head, anchors, tuple.len(), links);
        held.out_ack.set(row.out_ack.get());
        store.copy_cells(row, from);
        HeldTuple { row: held, store }
    }

    #[inline]
    pub(super) fn cell(&self, row: &Row, index: usize) -> Option<&Cell> {
        self.cells_of(row).get(index)
    }

    #[inline]
    pub(super) fn heap(&self) -> &Heap {
        &self.heap
    }

    #[inline]
    pub(super) fn values<'a>(
        &'a self,
        row: &Row,
    ) -> impl ExactSizeIterator<Item = ValueRef<'a>> + DoubleEndedIterator + Clone + use<'a> {
        self.cells_of(row).iter().map(|cell| self.heap.read(cell))
    }

    #[inline]
    pub(super) fn anchors<'a>(&'a self, row: &'a Row) -> &'a [Anchor] {
        match row.anchors {
            Anchors::NONE => &[],
            Anchors::INLINE => std::slice::from_ref(&row.anchor),
            span => {
                let (start, n_anchors) = self.anchor_spans[span.span_index()];
                &self.more_anchors[start..start + n_anchors]
            }
        }
    }

    #[inline]
    pub(super) fn head(&self, row: &Row) -> TupleHead {
        TupleHead {
            sequence: row.sequence,
            generation: self.generation(row),
            timestamp_us: row.timestamp_us,
            source_task: row.source_task,
            target_task: row.target_task,
            stream: row.stream,
        }
    }

    pub(super) fn id(&self, row: &Row) -> TupleId {
        TupleId {
            generation: self.generation(row),
            task: row.source_task,
            sequence: row.sequence,
        }
    }

    #[inline]
    pub(super) fn streams(&self) -> &Arc<StreamTable> {
        &self.streams
    }

    #[inline]
    pub(super) fn stamp_us(&self) -> i64 {
        self.stamp_us.get()
    }

    /// Rows are made by `row` alone, which knows that their stream exists.
    #[inline]
    pub(super) fn info(&self, row: &Row) -> &StreamInfo {
        self.streams
            .get(row.stream)
            .expect("rows are made for known streams")
    }

    /// Makes place for a row whose values, `n_values` of them, will be the next cells.
    #[inline(always)]
    fn link(
        &mut self,
        head: &TupleHead,
        anchors: &[Anchor],
        n_values: usize,
    ) -> Result<Links, TupleError> {
        if self.fitting != Some((head.stream, n_values)) {
            self.streams.check_arity(head.stream, n_values)?;
            self.fitting = Some((head.stream, n_values));
        }
        let first_value = u32::try_from(self.cells.len()).map_err(|_| TupleError::BatchFull)?;
        Ok(Links {
            first_value,
            generation: self.place_generation(head.generation)?,
            anchors: match anchors {
                [] => Anchors::NONE,
                [_] => Anchors::INLINE,
                many => self.place_anchors(many)?,
            },
        })
    }

    #[inline]
    fn place_generation(&mut self, generation: i64) -> Result<u16, TupleError> {
        if self.generation == Some(generation) {
            return Ok(0);
        }
        self.place_other_generation(generation)
    }

    #[cold]
    fn place_other_generation(&mut self, generation: i64) -> Result<u16, TupleError> {
        if self.generation.is_none() {
            self.generation = Some(generation);
            return Ok(0);
        }
        let known = self
            .other_generations
            .iter()
            .position(|other| *other == generation);
        let index = known.unwrap_or(self.other_generations.len());
        let place = u16::try_from(index + 1).map_err(|_| TupleError::BatchFull)?;
        if known.is_none() {
            self.other_generations.push(generation);
        }
        Ok(place)
    }

    #[inline]
    fn generation(&self, row: &Row) -> i64 {
        match row.generation {
            0 => self.generation.unwrap_or_default(),
            other => self.other_generations[usize::from(other) - 1],
        }
    }

    #[cold]
    fn place_anchors(&mut self, anchors: &[Anchor]) -> Result<Anchors, TupleError> {
        let place = Anchors::span(self.anchor_spans.len()).ok_or(TupleError::BatchFull)?;
        self.anchor_spans
            .push((self.more_anchors.len(), anchors.len()));
        self.more_anchors.extend_from_slice(anchors);
        Ok(place)
    }

    fn copy_cells(&mut self, row: &Row, from: &Store) {
        let Store { cells, heap, .. } = self;
        from.cells_of(row)
            .iter()
            .for_each(|cell| heap.adopt(cells, cell, &from.heap));
    }

    #[inline]
    fn cells_of(&self, row: &Row) -> &[Cell] {
        let first = row.first_value as usize;
        &self.cells[first..first + row.n_values()]
    }

    fn clear(&mut self) {
        self.cells.clear();
        self.cells.shrink_to(CELLS_KEEP);
        self.heap.clear();
        self.generation = None;
        self.other_generations.clear();
        self.more_anchors.clear();
        self.more_anchors.shrink_to(CELLS_KEEP);
        self.anchor_spans.clear();
        self.stamp_us.set(0);
    }
}

/// Rows and cells that a cleared batch keeps: some 6 MB at most, far above the batches of a turn.
const ROWS_KEEP: usize = 64 * 1024;
const CELLS_KEEP: usize = 64 * 1024;

/// Whoever read a recycled batch last still has its lines: so many rows and cells ahead they are
/// asked for. Too few stores of a tuple wait in the processor to hide it (`benches/tuple-path.md`).
const ROWS_AHEAD: usize = 16;

const _: () = assert!(size_of::<Row>() == 64);

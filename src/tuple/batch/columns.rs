//! Rows as codecs see them: one field of many rows, and rows that are filled value by value.
//!
//! Looks nothing up for a row and copies nothing. Knows no bytes.

use std::ops::Range;

use super::{Anchors, Row, Store, TupleBatch, TupleHead};
use crate::tuple::Anchor;
use crate::tuple::cell::{Cell, Heap};
use crate::tuple::error::TupleError;
use crate::tuple::value::ValueRef;

/// Rows of a batch, to be read field by field.
#[derive(Clone, Copy)]
pub struct RowSlice<'a> {
    rows: &'a [Row],
    store: &'a Store,
}

/// Takes the values of a row that is being appended.
pub struct RowValues<'a> {
    cells: &'a mut Vec<Cell>,
    heap: &'a mut Heap,
}

/// How far a batch was filled.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    n_rows: usize,
    n_cells: usize,
}

// === impl TupleBatch ===

impl TupleBatch {
    /// Some of the rows; none for a range beyond the last one.
    pub fn slice(&self, range: Range<usize>) -> Option<RowSlice<'_>> {
        Some(RowSlice {
            rows: self.rows.get(range)?,
            store: &self.store,
        })
    }

    /// Appends a tuple whose `n_values` values `fill` gives. Nothing is appended when that fails.
    #[inline]
    pub fn push_with<E: From<TupleError>>(
        &mut self,
        head: TupleHead,
        anchors: &[Anchor],
        n_values: usize,
        fill: impl FnOnce(&mut RowValues<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let links = self.store.link(&head, anchors, n_values)?;
        let Store { cells, heap, .. } = &mut self.store;
        let n_before = cells.len();
        let filled = fill(&mut RowValues { cells, heap });
        let n_given = cells.len() - n_before;
        if filled.is_err() || n_given != n_values {
            cells.truncate(n_before);
            filled?;
            return Err(self
                .store
                .streams
                .check_arity(head.stream, n_given)
                .map_or_else(E::from, |()| E::from(TupleError::BatchFull)));
        }
        self.rows.push(Row::new(head, anchors, n_values, links));
        Ok(())
    }

    /// Where the batch ends now, for `rewind`.
    pub fn mark(&self) -> Mark {
        Mark {
            n_rows: self.rows.len(),
            n_cells: self.store.cells.len(),
        }
    }

    /// Drops the rows that were appended since `mark`.
    pub fn rewind(&mut self, mark: Mark) {
        self.rows.truncate(mark.n_rows);
        self.store.cells.truncate(mark.n_cells);
    }

    /// Makes room for so many rows more, of `n_values` small values each.
    pub fn reserve(&mut self, n_rows: usize, n_values: usize) {
        self.rows.reserve(n_rows);
        self.store.cells.reserve(n_rows.saturating_mul(n_values));
    }
}

// === impl RowValues ===

impl RowValues<'_> {
    #[inline]
    pub fn push(&mut self, value: ValueRef<'_>) {
        self.heap.write(self.cells, value);
    }
}

// === impl RowSlice ===

impl<'a> RowSlice<'a> {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Of the first row.
    pub fn first_head(&self) -> Option<TupleHead> {
        self.rows.first().map(|row| self.store.head(row))
    }

    /// How many rows from the first on are of its source task and generation.
    pub fn n_of_one_source(&self) -> usize {
        let Some(first) = self.rows.first() else {
            return 0;
        };
        let is_other =
            |row: &Row| row.source_task != first.source_task || row.generation != first.generation;
        self.rows.iter().position(is_other).unwrap_or(self.len())
    }

    #[inline]
    pub fn sequences(&self) -> impl ExactSizeIterator<Item = u64> + Clone + use<'a> {
        self.rows.iter().map(|row| row.sequence)
    }

    #[inline]
    pub fn timestamps_us(&self) -> impl ExactSizeIterator<Item = i64> + Clone + use<'a> {
        self.rows.iter().map(|row| row.timestamp_us)
    }

    #[inline]
    pub fn streams(&self) -> impl ExactSizeIterator<Item = u32> + Clone + use<'a> {
        self.rows.iter().map(|row| row.stream.0)
    }

    #[inline]
    pub fn targets(&self) -> impl ExactSizeIterator<Item = i32> + Clone + use<'a> {
        self.rows.iter().map(|row| row.target_task.0)
    }

    #[inline]
    pub fn n_values(&self) -> impl ExactSizeIterator<Item = u16> + Clone + use<'a> {
        self.rows.iter().map(|row| row.n_values)
    }

    #[inline]
    pub fn n_anchors(&self) -> impl ExactSizeIterator<Item = usize> + Clone + use<'a> {
        let store = self.store;
        self.rows.iter().map(|row| store.anchors(row).len())
    }

    /// The anchor of each row, where every row has exactly one.
    #[inline]
    pub fn single_anchors(
        &self,
    ) -> Option<impl ExactSizeIterator<Item = &'a Anchor> + Clone + use<'a>> {
        let are_single = self.rows.iter().all(|row| row.anchors == Anchors::INLINE);
        are_single.then(|| self.rows.iter().map(|row| &row.anchor))
    }

    /// All anchors of all rows.
    pub fn anchors(&self) -> impl Iterator<Item = &'a Anchor> + Clone + use<'a> {
        let store = self.store;
        self.rows.iter().flat_map(|row| store.anchors(row))
    }

    /// Value `index` of each row that has as many.
    #[inline]
    pub fn column(&self, index: usize) -> impl Iterator<Item = ValueRef<'a>> + Clone + use<'a> {
        let store = self.store;
        let with = self.rows.iter().filter(move |row| row.n_values() > index);
        with.map(move |row| {
            let cell = &store.cells[row.first_value as usize + index];
            store.heap.read(cell)
        })
    }
}

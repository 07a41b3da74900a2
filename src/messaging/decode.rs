//! The body of a `MessageBatch` back into tuples. `codec` defines the layout.
//!
//! Reads whatever a peer sends: each row is checked against the streams of the topology before
//! anything is made of it, and nothing is allocated for a number that the peer only claims. A
//! batch is taken whole or not at all.

use crate::id::{ExecutorId, TaskId};
use crate::limits;
use crate::messaging::codec::{BODY_VERSION, BatchHead, MIXED};
use crate::messaging::numbers::Numbers;
use crate::messaging::packed::{Cursor, PackedError, Unpacked, narrow, tag};
use crate::tuple::{Anchor, RowValues, StreamNumber, TupleBatch, TupleError, TupleHead, ValueRef};

/// Why a batch was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error(transparent)]
    Value(#[from] PackedError),
    #[error("body version {version}, only {BODY_VERSION} is known here")]
    UnknownVersion { version: i32 },
    #[error(
        "{count} tuples announced, 1 to {} are taken",
        limits::BATCH_TUPLES_MAX
    )]
    BadCount { count: i32 },
    #[error("stream number {number} does not exist in this topology")]
    UnknownStream { number: u64 },
    #[error("{n_values} values in one batch")]
    TooManyValues { n_values: u64 },
    #[error("a tuple for task {target} among those for executor {executor}")]
    OtherExecutor { target: u64, executor: ExecutorId },
    #[error("{left} bytes follow the last value")]
    TrailingBytes { left: usize },
    #[error(transparent)]
    Tuple(#[from] TupleError),
}

/// A batch whose columns were found.
pub struct Incoming<'a> {
    head: BatchHead,
    n_rows: usize,
    sequences: Numbers<'a>,
    timestamps: Numbers<'a>,
    streams: Numbers<'a>,
    targets: Numbers<'a>,
    n_anchors: Numbers<'a>,
    n_values: Numbers<'a>,
    roots: Numbers<'a>,
    edges: Numbers<'a>,
    n_roots: usize,
    columns: Cursor<'a>,
}

/// The values of one column, each taken once, in the order of the rows that have one.
#[derive(Clone, Copy)]
enum Column<'a> {
    Numbers {
        tag: u8,
        numbers: Numbers<'a>,
        next: usize,
    },
    Texts {
        lengths: Numbers<'a>,
        next: usize,
        rest: &'a str,
    },
    ByteStrings {
        lengths: Numbers<'a>,
        next: usize,
        rest: &'a [u8],
    },
    /// One after another.
    Uniform {
        tag: u8,
        data: Cursor<'a>,
    },
    Mixed {
        tags: &'a [u8],
        data: Cursor<'a>,
    },
}

// === impl Incoming ===

impl<'a> Incoming<'a> {
    /// Finds the columns that are not values.
    pub fn open(head: BatchHead, body: &'a [u8]) -> Result<Self, DecodeError> {
        if head.body_version != BODY_VERSION {
            let version = head.body_version;
            return Err(DecodeError::UnknownVersion { version });
        }
        let n_rows = usize::try_from(head.count).unwrap_or(0);
        if n_rows == 0 || n_rows > limits::BATCH_TUPLES_MAX {
            return Err(DecodeError::BadCount { count: head.count });
        }
        let mut cursor = Cursor::new(body);
        let mut by_row = || Numbers::open(&mut cursor, n_rows);
        let (sequences, timestamps) = (by_row()?, by_row()?);
        let (streams, targets) = (by_row()?, by_row()?);
        let (n_anchors, n_values) = (by_row()?, by_row()?);
        let n_roots = n_anchors
            .sum(n_rows)
            .and_then(|sum| usize::try_from(sum).ok());
        // Roots on a line take no bytes each: what a peer only counts must not cost memory.
        let n_roots = n_roots.filter(|n_roots| *n_roots <= limits::BATCH_ANCHORS_MAX);
        let n_roots = n_roots.ok_or(PackedError::Truncated)?;
        Ok(Incoming {
            head,
            n_rows,
            sequences,
            timestamps,
            streams,
            targets,
            n_anchors,
            n_values,
            roots: Numbers::open(&mut cursor, n_roots)?,
            edges: Numbers::open(&mut cursor, n_roots)?,
            n_roots,
            columns: cursor,
        })
    }

    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The task that the first tuple is for.
    pub fn first_target(&self) -> Result<TaskId, DecodeError> {
        let target = u32::try_from(self.targets.get(0)).map_err(|_| PackedError::OutOfRange)?;
        Ok(TaskId(target as i32))
    }

    /// The trees that the tuples belong to, some perhaps more than once.
    pub fn roots(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.n_roots).map(|index| self.roots.get(index))
    }

    /// Appends all tuples, which must be for `executor`. Nothing is appended when that fails.
    pub fn read_into(
        &self,
        batch: &mut TupleBatch,
        executor: ExecutorId,
    ) -> Result<(), DecodeError> {
        let mark = batch.mark();
        let read = self.try_read_into(batch, executor);
        if read.is_err() {
            batch.rewind(mark);
        }
        read
    }

    fn try_read_into(
        &self,
        batch: &mut TupleBatch,
        executor: ExecutorId,
    ) -> Result<(), DecodeError> {
        let n_values = self.n_values.sum(self.n_rows).unwrap_or(u64::MAX);
        let n_columns = self.n_values.max(self.n_rows);
        // A column takes bytes even where its values take none, and is held against every row.
        let n_columns_max = self.columns.left().min(batch.streams().n_fields_max());
        if n_values > limits::BATCH_VALUES_MAX as u64 || n_columns > n_columns_max as u64 {
            return Err(DecodeError::TooManyValues { n_values });
        }
        let n_columns = n_columns as usize;
        let mut few = [Column::NONE; FEW_COLUMNS];
        let mut many = Vec::new();
        let columns = match few.get_mut(..n_columns) {
            Some(few) => few,
            None => {
                many.resize(n_columns, Column::NONE);
                many.as_mut_slice()
            }
        };
        let mut rest = self.columns;
        for (index, column) in columns.iter_mut().enumerate() {
            let n = self.n_values.n_above(index as u64, self.n_rows);
            *column = Column::open(&mut rest, n)?;
        }
        if rest.left() > 0 {
            return Err(DecodeError::TrailingBytes { left: rest.left() });
        }
        batch.reserve(self.n_rows.min(RESERVE_MAX), n_columns.min(FEW_COLUMNS));
        self.read_rows(batch, columns, executor)?;
        let left = columns.iter().map(Column::left).sum();
        match left {
            0 => Ok(()),
            left => Err(DecodeError::TrailingBytes { left }),
        }
    }

    fn read_rows(
        &self,
        batch: &mut TupleBatch,
        columns: &mut [Column<'_>],
        executor: ExecutorId,
    ) -> Result<(), DecodeError> {
        let (first, last) = (executor.first.0 as u32, executor.last.0 as u32);
        let mut next_anchor = 0;
        let (mut few_anchors, mut many_anchors) = ([NO_ANCHOR; FEW_ANCHORS], Vec::new());
        for row in 0..self.n_rows {
            let target = self.targets.get(row);
            if !(u64::from(first)..=u64::from(last)).contains(&target) {
                return Err(DecodeError::OtherExecutor { target, executor });
            }
            let number = self.streams.get(row);
            let stream = u32::try_from(number);
            let head = TupleHead {
                sequence: self.sequences.get(row),
                generation: self.head.generation,
                timestamp_us: self.timestamps.get(row) as i64,
                source_task: TaskId(self.head.source_task),
                target_task: TaskId(target as u32 as i32),
                stream: StreamNumber(stream.map_err(|_| DecodeError::UnknownStream { number })?),
            };
            let n_values = self.n_values.get(row) as usize;
            let mine = columns.get_mut(..n_values).unwrap_or_default();
            let fill = |values: &mut RowValues<'_>| {
                mine.iter_mut().try_for_each(|column| column.next(values))
            };
            match self.n_anchors.get(row) {
                0 => batch.push_with(head, &[], n_values, fill)?,
                1 => {
                    let anchor = self.anchor(next_anchor);
                    next_anchor += 1;
                    batch.push_with(head, &[anchor], n_values, fill)?;
                }
                n => {
                    // As many as were counted when the columns were opened.
                    let end = next_anchor + n as usize;
                    let anchors = (next_anchor..end).map(|index| self.anchor(index));
                    next_anchor = end;
                    let anchors = match few_anchors.get_mut(..n as usize) {
                        Some(few) => {
                            few.iter_mut()
                                .zip(anchors)
                                .for_each(|(place, anchor)| *place = anchor);
                            &*few
                        }
                        None => {
                            many_anchors.clear();
                            many_anchors.extend(anchors);
                            &many_anchors
                        }
                    };
                    batch.push_with(head, anchors, n_values, fill)?;
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn anchor(&self, index: usize) -> Anchor {
        Anchor {
            root: self.roots.get(index),
            edge: self.edges.get(index),
        }
    }
}

// === impl Column ===

impl<'a> Column<'a> {
    const NONE: Column<'static> = Column::Numbers {
        tag: tag::NULL,
        numbers: Numbers::ZEROS,
        next: 0,
    };

    /// Takes a column of `n` values off `cursor`.
    fn open(cursor: &mut Cursor<'a>, n: usize) -> Result<Self, DecodeError> {
        let length = u32::from_le_bytes(cursor.array()?);
        let mut data = Cursor::new(cursor.slice(length as usize)?);
        let tag = data.byte()?;
        let column = match tag {
            MIXED => Column::Mixed {
                tags: data.slice(n)?,
                data,
            },
            tag::NULL => Column::NONE,
            tag::BOOL | tag::BYTE | tag::SHORT | tag::INT | tag::LONG | tag::CHAR => {
                let numbers = Numbers::open(&mut data, n)?;
                Column::Numbers {
                    tag,
                    numbers,
                    next: 0,
                }
            }
            tag::STR | tag::BYTES => {
                let lengths = Numbers::open(&mut data, n)?;
                let n_bytes = lengths.sum(n).and_then(|sum| usize::try_from(sum).ok());
                let rest = data.slice(n_bytes.ok_or(PackedError::Truncated)?)?;
                let next = 0;
                match tag {
                    tag::STR => Column::Texts {
                        lengths,
                        next,
                        rest: std::str::from_utf8(rest).map_err(|_| PackedError::NotUtf8)?,
                    },
                    _ => Column::ByteStrings {
                        lengths,
                        next,
                        rest,
                    },
                }
            }
            tag => return Ok(Column::Uniform { tag, data }),
        };
        match column {
            Column::Mixed { .. } => Ok(column),
            _ if data.left() > 0 => Err(DecodeError::TrailingBytes { left: data.left() }),
            _ => Ok(column),
        }
    }

    #[inline(always)]
    fn next(&mut self, values: &mut RowValues<'_>) -> Result<(), DecodeError> {
        match self {
            Column::Texts {
                lengths,
                next,
                rest,
            } => {
                let n_bytes = lengths.get(*next) as usize;
                *next += 1;
                let cut = rest.split_at_checked(n_bytes);
                let (text, behind) = cut.ok_or(PackedError::NotUtf8)?;
                *rest = behind;
                values.push(ValueRef::Str(text));
            }
            Column::Numbers { tag, numbers, next } => {
                let number = numbers.get(*next);
                *next += 1;
                values.push(flat(*tag, number as i64)?);
            }
            Column::ByteStrings {
                lengths,
                next,
                rest,
            } => {
                let n_bytes = lengths.get(*next) as usize;
                *next += 1;
                let cut = rest.split_at_checked(n_bytes);
                let (bytes, behind) = cut.ok_or(PackedError::Truncated)?;
                *rest = behind;
                values.push(ValueRef::Bytes(bytes));
            }
            Column::Uniform { tag, data } => push(data.value(*tag)?, values),
            Column::Mixed { tags, data } => {
                let (tag, behind) = tags.split_first().ok_or(PackedError::Truncated)?;
                *tags = behind;
                push(data.value(*tag)?, values);
            }
        }
        Ok(())
    }

    /// Bytes that no value took.
    fn left(&self) -> usize {
        match self {
            Column::Uniform { data, .. } | Column::Mixed { data, .. } => data.left(),
            // Their lengths were held against their bytes when they were opened.
            _ => 0,
        }
    }
}

fn push(value: Unpacked<'_>, values: &mut RowValues<'_>) {
    match value {
        Unpacked::Flat(value) => values.push(value),
        Unpacked::Nested(value) => values.push(value.as_ref()),
    }
}

/// A value of a type that is written as a number.
#[inline(always)]
fn flat(tag: u8, number: i64) -> Result<ValueRef<'static>, PackedError> {
    Ok(match tag {
        tag::LONG => ValueRef::Long(number),
        tag::INT => ValueRef::Int(narrow(number)?),
        tag::SHORT => ValueRef::Short(narrow(number)?),
        tag::BYTE => ValueRef::Byte(narrow(number)?),
        tag::CHAR => ValueRef::Char(narrow(number)?),
        tag::BOOL => ValueRef::Bool(narrow::<u8>(number)? != 0),
        _ => ValueRef::Null,
    })
}

/// Columns that are read without an allocation.
const FEW_COLUMNS: usize = 16;
/// Anchors of a tuple that are read without an allocation.
const FEW_ANCHORS: usize = 16;
const NO_ANCHOR: Anchor = Anchor { root: 0, edge: 0 };
/// Rows for which room is made at once: a peer may claim many.
const RESERVE_MAX: usize = 1024;

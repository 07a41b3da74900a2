//! The body of a `MessageBatch` back into tuples. `codec` defines the layout.
//!
//! Reads whatever a peer sends: each row is checked against the streams of the topology before
//! anything is made of it, and nothing is allocated for a number that the peer only claims.

use crate::id::TaskId;
use crate::limits;
use crate::messaging::codec::{BODY_VERSION, BY_ROW, PLAIN};
use crate::messaging::packed::{Cursor, PackedError, Unpacked};
use crate::tuple::{Anchor, StreamNumber, StreamTable, TupleError, TupleHead, Value, ValueRef};
use crate::wire::messages;

/// Why a batch was refused. Rows before the bad one may have been delivered.
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
    #[error("unknown mode {mode} of a column")]
    UnknownMode { mode: u8 },
    #[error("stream number {number} does not exist in this topology")]
    UnknownStream { number: u64 },
    #[error("{found} values for a stream of {declared} fields")]
    Arity { declared: usize, found: u64 },
    #[error("a tuple with {n_anchors} anchors")]
    TooManyAnchors { n_anchors: u64 },
    #[error("{left} bytes follow the last column")]
    TrailingBytes { left: usize },
    #[error(transparent)]
    Tuple(#[from] TupleError),
}

/// Gets the tuples of a batch, in order.
pub trait Rows {
    /// Takes one tuple. An error ends the reading.
    fn row(
        &mut self,
        head: TupleHead,
        anchors: &[Anchor],
        values: &[ValueRef<'_>],
    ) -> Result<(), TupleError>;
}

/// Reads all tuples of `batch` into `rows`.
pub fn read_batch(
    batch: &messages::MessageBatch,
    streams: &StreamTable,
    rows: &mut impl Rows,
) -> Result<(), DecodeError> {
    if batch.body_version != BODY_VERSION {
        let version = batch.body_version;
        return Err(DecodeError::UnknownVersion { version });
    }
    let bad_count = DecodeError::BadCount { count: batch.count };
    let n_rows = match usize::try_from(batch.count) {
        Ok(count) if (1..=limits::BATCH_TUPLES_MAX).contains(&count) => count,
        _ => return Err(bad_count),
    };
    let widest = streams.iter().map(|(_, info)| info.fields.len()).max();
    let mut body = Body::open(&batch.body, n_rows, widest.unwrap_or_default())?;
    let mut head = TupleHead {
        sequence: batch.first_sequence as u64,
        generation: batch.generation,
        timestamp_us: batch.first_timestamp_us,
        source_task: TaskId(batch.source_task),
        target_task: TaskId(0),
        stream: StreamNumber(0),
    };
    let mut anchors = Vec::new();
    for row in 0..n_rows {
        if row > 0 {
            body.step(&mut head)?;
        }
        body.address(&mut head)?;
        body.anchors(&mut anchors)?;
        let n_values = body.n_values(head.stream, streams)?;
        body.values(n_values, |values| rows.row(head, &anchors, values))?;
    }
    Ok(())
}

/// Cursors to all columns of a body.
struct Body<'a> {
    sequences: Option<Cursor<'a>>,
    timestamps: Option<Cursor<'a>>,
    streams: Numbers<'a>,
    targets: Numbers<'a>,
    n_anchors: Numbers<'a>,
    anchors: Cursor<'a>,
    n_values: Numbers<'a>,
    columns: Vec<Column<'a>>,
}

#[derive(Clone, Copy)]
enum Numbers<'a> {
    All(u64),
    Each(Cursor<'a>),
}

struct Column<'a> {
    tags: Tags<'a>,
    data: Cursor<'a>,
}

enum Tags<'a> {
    All(u8),
    Each(Cursor<'a>),
}

// === impl Body ===

impl<'a> Body<'a> {
    /// `widest` is the largest number of fields of any stream.
    fn open(bytes: &'a [u8], n_rows: usize, widest: usize) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        let sequences = open_deltas(&mut cursor, n_rows)?;
        let timestamps = open_deltas(&mut cursor, n_rows)?;
        let streams = Numbers::open(&mut cursor, n_rows)?;
        let targets = Numbers::open(&mut cursor, n_rows)?;
        let n_anchors = Numbers::open(&mut cursor, n_rows)?;
        let n_all = n_anchors.sum(n_rows)?;
        let n_bytes = usize::try_from(n_all)
            .ok()
            .and_then(|n_all| n_all.checked_mul(ANCHOR_BYTES));
        let anchors = Cursor::new(cursor.slice(n_bytes.ok_or(PackedError::Truncated)?)?);
        let n_values = Numbers::open(&mut cursor, n_rows)?;
        let n_columns = n_values.max(n_rows)?;
        if n_columns > widest as u64 {
            let (declared, found) = (widest, n_columns);
            return Err(DecodeError::Arity { declared, found });
        }
        let mut columns = Vec::new();
        for index in 0..n_columns {
            columns.push(Column::open(&mut cursor, || {
                n_values.n_above(index, n_rows)
            })?);
        }
        if cursor.left() > 0 {
            let left = cursor.left();
            return Err(DecodeError::TrailingBytes { left });
        }
        Ok(Body {
            sequences,
            timestamps,
            streams,
            targets,
            n_anchors,
            anchors,
            n_values,
            columns,
        })
    }

    #[inline]
    fn step(&mut self, head: &mut TupleHead) -> Result<(), PackedError> {
        let delta = match &mut self.sequences {
            None => 1,
            Some(deltas) => deltas.varint()?,
        };
        head.sequence = head.sequence.wrapping_add(delta);
        if let Some(deltas) = &mut self.timestamps {
            head.timestamp_us = head.timestamp_us.wrapping_add(deltas.zigzag()?);
        }
        Ok(())
    }

    #[inline]
    fn address(&mut self, head: &mut TupleHead) -> Result<(), DecodeError> {
        let number = self.streams.next()?;
        let stream = u32::try_from(number);
        head.stream = StreamNumber(stream.map_err(|_| DecodeError::UnknownStream { number })?);
        let target = u32::try_from(self.targets.next()?);
        head.target_task = TaskId(target.map_err(|_| PackedError::OutOfRange)? as i32);
        Ok(())
    }

    #[inline]
    fn anchors(&mut self, into: &mut Vec<Anchor>) -> Result<(), DecodeError> {
        into.clear();
        // The sum of these was found to be there, so each is no more than the body holds.
        for _ in 0..self.n_anchors.next()? {
            let root = u64::from_le_bytes(self.anchors.array()?);
            let edge = u64::from_le_bytes(self.anchors.array()?);
            into.push(Anchor { root, edge });
        }
        Ok(())
    }

    #[inline]
    fn n_values(
        &mut self,
        stream: StreamNumber,
        streams: &StreamTable,
    ) -> Result<usize, DecodeError> {
        let found = self.n_values.next()?;
        let number = u64::from(stream.0);
        let info = streams
            .get(stream)
            .ok_or(DecodeError::UnknownStream { number })?;
        let declared = info.fields.len();
        if found != declared as u64 {
            return Err(DecodeError::Arity { declared, found });
        }
        Ok(declared)
    }

    #[inline]
    fn values(
        &mut self,
        n_values: usize,
        row: impl FnOnce(&[ValueRef<'_>]) -> Result<(), TupleError>,
    ) -> Result<(), DecodeError> {
        // There are as many columns as the widest row has values.
        let columns = self.columns.get_mut(..n_values).unwrap_or_default();
        match columns {
            [column] => match column.next()? {
                Unpacked::Flat(value) => Ok(row(&[value])?),
                Unpacked::Nested(value) => Ok(row(&[value.as_ref()])?),
            },
            few if n_values <= FLAT_VALUES => few_values(few, row),
            many => many_values(many, row),
        }
    }
}

/// Values of a row that fit on the stack: nothing is allocated for flat ones.
fn few_values(
    columns: &mut [Column<'_>],
    row: impl FnOnce(&[ValueRef<'_>]) -> Result<(), TupleError>,
) -> Result<(), DecodeError> {
    let mut flat = [ValueRef::Null; FLAT_VALUES];
    let mut nested: Vec<(usize, Value)> = Vec::new();
    for (index, (column, place)) in columns.iter_mut().zip(&mut flat).enumerate() {
        match column.next()? {
            Unpacked::Flat(value) => *place = value,
            Unpacked::Nested(value) => nested.push((index, value)),
        }
    }
    for (index, value) in &nested {
        if let Some(place) = flat.get_mut(*index) {
            *place = value.as_ref();
        }
    }
    let values = flat.get(..columns.len()).unwrap_or_default();
    Ok(row(values)?)
}

fn many_values(
    columns: &mut [Column<'_>],
    row: impl FnOnce(&[ValueRef<'_>]) -> Result<(), TupleError>,
) -> Result<(), DecodeError> {
    let owned = columns.iter_mut().map(|column| match column.next()? {
        Unpacked::Flat(value) => Ok(value.to_value()),
        Unpacked::Nested(value) => Ok(value),
    });
    let owned = owned.collect::<Result<Vec<Value>, PackedError>>()?;
    let values: Vec<ValueRef<'_>> = owned.iter().map(Value::as_ref).collect();
    Ok(row(&values)?)
}

fn open_deltas<'a>(
    cursor: &mut Cursor<'a>,
    n_rows: usize,
) -> Result<Option<Cursor<'a>>, DecodeError> {
    match cursor.byte()? {
        PLAIN => Ok(None),
        BY_ROW => {
            let start = *cursor;
            for _ in 1..n_rows {
                cursor.varint()?;
            }
            Ok(Some(start))
        }
        mode => Err(DecodeError::UnknownMode { mode }),
    }
}

// === impl Numbers ===

impl<'a> Numbers<'a> {
    fn open(cursor: &mut Cursor<'a>, n_rows: usize) -> Result<Self, DecodeError> {
        match cursor.byte()? {
            PLAIN => Ok(Numbers::All(cursor.varint()?)),
            BY_ROW => {
                let start = *cursor;
                for _ in 0..n_rows {
                    cursor.varint()?;
                }
                Ok(Numbers::Each(start))
            }
            mode => Err(DecodeError::UnknownMode { mode }),
        }
    }

    #[inline]
    fn next(&mut self) -> Result<u64, PackedError> {
        match self {
            Numbers::All(number) => Ok(*number),
            Numbers::Each(cursor) => cursor.varint(),
        }
    }

    fn sum(mut self, n_rows: usize) -> Result<u64, DecodeError> {
        let mut sum = 0u64;
        for _ in 0..n_rows {
            let n_anchors = self.next()?;
            let next = sum.checked_add(n_anchors);
            sum = next.ok_or(DecodeError::TooManyAnchors { n_anchors })?;
        }
        Ok(sum)
    }

    fn max(mut self, n_rows: usize) -> Result<u64, DecodeError> {
        let mut max = 0;
        for _ in 0..n_rows {
            max = self.next()?.max(max);
        }
        Ok(max)
    }

    /// How many rows have a number above `bound`.
    fn n_above(mut self, bound: u64, n_rows: usize) -> Result<usize, PackedError> {
        let mut n_above = 0;
        for _ in 0..n_rows {
            n_above += usize::from(self.next()? > bound);
        }
        Ok(n_above)
    }
}

// === impl Column ===

impl<'a> Column<'a> {
    fn open(
        cursor: &mut Cursor<'a>,
        n_tags: impl FnOnce() -> Result<usize, PackedError>,
    ) -> Result<Self, DecodeError> {
        let length = u32::from_le_bytes(cursor.array()?);
        let mut data = Cursor::new(cursor.slice(length as usize)?);
        let tags = match data.byte()? {
            PLAIN => Tags::All(data.byte()?),
            BY_ROW => Tags::Each(Cursor::new(data.slice(n_tags()?)?)),
            mode => return Err(DecodeError::UnknownMode { mode }),
        };
        Ok(Column { tags, data })
    }

    #[inline]
    fn next(&mut self) -> Result<Unpacked<'a>, PackedError> {
        let tag = match &mut self.tags {
            Tags::All(tag) => *tag,
            Tags::Each(tags) => tags.byte()?,
        };
        self.data.value(tag)
    }
}

const ANCHOR_BYTES: usize = 16;
/// Values of a row that are read without an allocation.
const FLAT_VALUES: usize = 16;

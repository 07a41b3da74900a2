//! `MessageBatch` as bytes: a Thrift header written by hand and a columnar body in its one binary
//! field.
//!
//! Body version 2, all of it little endian; `numbers` as in that module, tags and values as in
//! `packed`:
//!
//! ```text
//! sequences, timestamps, streams, targets, n_anchors, n_values: numbers, one for each row
//! roots, edges: numbers, one for each anchor of each row
//! columns, one after another, as many as the row with the most values has, each for the rows that
//! have such a value:
//!     4 bytes   how many bytes of the column follow
//!     0         types differ: a tag a row, then the values one after another
//!     tag       all of one type, and then
//!               integers, booleans, characters    numbers
//!               texts, byte strings               numbers (lengths), then all bytes
//!               floats, doubles                   4 or 8 bytes each
//!               others                            the values one after another
//! ```
//!
//! A reader finds every row without those before it, and most columns of a batch (equal streams,
//! counting sequences, texts of one length) take a few bytes. Decides nothing about connections,
//! sizes of batches or compression.

use std::ops::Range;

use crate::limits;
use crate::messaging::numbers;
use crate::messaging::packed::{self, PackedError, tag};
use crate::tuple::{RowSlice, TupleBatch, ValueRef};

/// Why rows could not be written. Nothing of them is in the output then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error(transparent)]
    Value(#[from] PackedError),
    #[error("a batch of {n_bytes} bytes exceeds {}", limits::LINK_FRAME_BYTES_MAX)]
    TooLarge { n_bytes: usize },
    #[error("{n_values} values and {n_anchors} anchors are too many for one batch")]
    TooMany { n_values: usize, n_anchors: usize },
    #[error("a batch must be of one source task and generation, and not empty")]
    Mixed,
}

/// What the header of a batch says of all its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHead {
    pub generation: i64,
    pub source_task: i32,
    pub count: i32,
    pub body_version: i32,
}

/// Rows that may travel in one `MessageBatch`: of one source task and one generation.
pub fn runs(batch: &TupleBatch) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        let end = batch.len().min(start + limits::BATCH_TUPLES_MAX);
        let rows = batch.slice(start..end).filter(|rows| !rows.is_empty())?;
        let run = start..start + rows.n_of_one_source();
        start = run.end;
        Some(run)
    })
}

/// Appends the frame that carries `rows` of `batch`, without its length.
pub fn write_frame(
    batch: &TupleBatch,
    rows: Range<usize>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let frame_start = out.len();
    let rows = batch.slice(rows).ok_or(EncodeError::Mixed)?;
    let written = try_write_frame(&rows, out);
    if written.is_err() {
        out.truncate(frame_start);
    }
    written
}

fn try_write_frame(rows: &RowSlice<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let first = rows.first_head().ok_or(EncodeError::Mixed)?;
    if rows.n_of_one_source() < rows.len() {
        return Err(EncodeError::Mixed);
    }
    let n_values = rows.n_values().map(usize::from).sum();
    let n_anchors = rows.n_anchors().sum();
    let are_many = rows.len() > limits::BATCH_TUPLES_MAX;
    if are_many || n_values > limits::BATCH_VALUES_MAX || n_anchors > limits::BATCH_ANCHORS_MAX {
        return Err(EncodeError::TooMany {
            n_values,
            n_anchors,
        });
    }
    let frame_start = out.len();
    out.extend_from_slice(&[THRIFT_STRUCT, 0, BATCH_FRAME_ID]);
    put_i64_field(1, first.generation, out);
    put_i32_field(2, first.source_task.0, out);
    put_i64_field(3, first.sequence as i64, out);
    put_i64_field(4, first.timestamp_us, out);
    put_i32_field(5, rows.len() as i32, out);
    put_i32_field(6, BODY_VERSION, out);
    out.extend_from_slice(&[THRIFT_STRING, 0, 7, 0, 0, 0, 0]);
    let body_start = out.len();
    write_body(rows, out)?;
    let body_bytes = out.len() - body_start;
    out.extend_from_slice(&[THRIFT_STOP, THRIFT_STOP]);
    let n_bytes = out.len() - frame_start;
    if n_bytes > limits::LINK_FRAME_BYTES_MAX {
        return Err(EncodeError::TooLarge { n_bytes });
    }
    // It fits: it is no larger than the bound just checked.
    patch(out, body_start - 4, (body_bytes as u32).to_be_bytes());
    Ok(())
}

/// The head and body of a frame laid out as `write_frame` does; none for any other, which may
/// still be a batch to a generic reader.
pub fn split_frame(frame: &[u8]) -> Option<(BatchHead, &[u8])> {
    let (fixed, rest) = frame.split_first_chunk::<HEAD_BYTES>()?;
    let mut place = 0;
    let mut field = |prefix: &[u8], width: usize| {
        let start = place + prefix.len();
        let has_prefix = fixed.get(place..start)? == prefix;
        place = start + width;
        fixed.get(start..place).filter(|_| has_prefix)
    };
    let generation = field(&[THRIFT_STRUCT, 0, BATCH_FRAME_ID, THRIFT_I64, 0, 1], 8)?;
    let source_task = field(&[THRIFT_I32, 0, 2], 4)?;
    field(&[THRIFT_I64, 0, 3], 8)?;
    field(&[THRIFT_I64, 0, 4], 8)?;
    let count = field(&[THRIFT_I32, 0, 5], 4)?;
    let body_version = field(&[THRIFT_I32, 0, 6], 4)?;
    let n_bytes = field(&[THRIFT_STRING, 0, 7], 4)?;
    let n_bytes = usize::try_from(i32::from_be_bytes(n_bytes.try_into().ok()?)).ok()?;
    let (body, end) = rest.split_at_checked(n_bytes)?;
    let head = BatchHead {
        generation: i64::from_be_bytes(generation.try_into().ok()?),
        source_task: i32::from_be_bytes(source_task.try_into().ok()?),
        count: i32::from_be_bytes(count.try_into().ok()?),
        body_version: i32::from_be_bytes(body_version.try_into().ok()?),
    };
    (end == [THRIFT_STOP, THRIFT_STOP]).then_some((head, body))
}

impl From<&crate::wire::messages::MessageBatch> for BatchHead {
    fn from(batch: &crate::wire::messages::MessageBatch) -> Self {
        BatchHead {
            generation: batch.generation,
            source_task: batch.source_task,
            count: batch.count,
            body_version: batch.body_version,
        }
    }
}

/// Fills in what stands before something whose length is known only now.
pub(super) fn patch<const N: usize>(out: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(place) = out.get_mut(at..at + N) {
        place.copy_from_slice(&bytes);
    }
}

fn put_i32_field(id: u8, value: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[THRIFT_I32, 0, id]);
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_i64_field(id: u8, value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[THRIFT_I64, 0, id]);
    out.extend_from_slice(&value.to_be_bytes());
}

fn write_body(rows: &RowSlice<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    numbers::put(rows.sequences(), out);
    numbers::put(rows.timestamps_us().map(|at_us| at_us as u64), out);
    numbers::put(rows.streams().map(u64::from), out);
    numbers::put(rows.targets().map(|task| u64::from(task as u32)), out);
    numbers::put(rows.n_anchors().map(|n| n as u64), out);
    numbers::put(rows.n_values().map(u64::from), out);
    match rows.single_anchors() {
        Some(anchors) => {
            numbers::put(anchors.clone().map(|anchor| anchor.root), out);
            numbers::put(anchors.map(|anchor| anchor.edge), out);
        }
        None => {
            numbers::put(rows.anchors().map(|anchor| anchor.root), out);
            numbers::put(rows.anchors().map(|anchor| anchor.edge), out);
        }
    }
    let n_columns = rows.n_values().max().unwrap_or_default();
    for index in 0..usize::from(n_columns) {
        write_column(rows.column(index), out)?;
    }
    Ok(())
}

fn write_column<'a>(
    values: impl Iterator<Item = ValueRef<'a>> + Clone,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut tags = values.clone().map(packed::tag_of);
    let first = tags.next().unwrap_or_default();
    if tags.all(|tag| tag == first) {
        out.push(first);
        write_uniform(first, values, out)?;
    } else {
        out.push(MIXED);
        out.extend(values.clone().map(packed::tag_of));
        put_values(values, out)?;
    }
    let n_bytes = out.len() - start - 4;
    let length = u32::try_from(n_bytes).map_err(|_| EncodeError::TooLarge { n_bytes })?;
    patch(out, start, length.to_le_bytes());
    Ok(())
}

/// The values of a column whose tags are all `tag`.
fn write_uniform<'a>(
    tag: u8,
    values: impl Iterator<Item = ValueRef<'a>> + Clone,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    match tag {
        tag::NULL => {}
        tag::BOOL | tag::BYTE | tag::SHORT | tag::INT | tag::LONG | tag::CHAR => {
            numbers::put(values.map(number), out);
        }
        tag::STR | tag::BYTES => {
            let pieces = values.map(bytes);
            // Tuples may share values that are large: what would be no frame is not made first.
            let n_bytes = pieces.clone().map(<[u8]>::len).sum();
            if n_bytes > limits::LINK_FRAME_BYTES_MAX {
                return Err(EncodeError::TooLarge { n_bytes });
            }
            numbers::put(pieces.clone().map(|piece| piece.len() as u64), out);
            pieces.for_each(|piece| put_piece(piece, out));
        }
        _ => put_values(values, out)?,
    }
    Ok(())
}

/// Values one after another, as far as they fit a frame.
fn put_values<'a>(
    values: impl Iterator<Item = ValueRef<'a>>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let start = out.len();
    for value in values {
        packed::put_value(value, out)?;
        let n_bytes = out.len() - start;
        if n_bytes > limits::LINK_FRAME_BYTES_MAX {
            return Err(EncodeError::TooLarge { n_bytes });
        }
    }
    Ok(())
}

#[inline]
fn number(value: ValueRef<'_>) -> u64 {
    let signed = match value {
        ValueRef::Bool(v) => i64::from(v),
        ValueRef::Byte(v) => v.into(),
        ValueRef::Short(v) => v.into(),
        ValueRef::Int(v) => v.into(),
        ValueRef::Long(v) => v,
        ValueRef::Char(v) => v.into(),
        // No value of such a column.
        _ => 0,
    };
    signed as u64
}

#[inline]
fn bytes(value: ValueRef<'_>) -> &[u8] {
    match value {
        ValueRef::Str(v) => v.as_bytes(),
        ValueRef::Bytes(v) => v,
        // No value of such a column.
        _ => &[],
    }
}

/// Appends a few bytes in pieces of fixed size that overlap: a call of memcpy costs more than they
/// do.
#[inline]
fn put_piece(piece: &[u8], out: &mut Vec<u8>) {
    match (piece.first_chunk::<8>(), piece.last_chunk::<8>()) {
        (Some(head), Some(tail)) if piece.len() <= 16 => {
            let end = out.len() + piece.len();
            out.extend_from_slice(head);
            out.extend_from_slice(&[0; 8]);
            out.truncate(end);
            if let Some(place) = out.last_chunk_mut::<8>() {
                *place = *tail;
            }
        }
        _ => out.extend_from_slice(piece),
    }
}

/// What `body_version` says of this layout.
pub const BODY_VERSION: i32 = 2;

/// In the place of a column's tag: its values have types of their own.
pub(super) const MIXED: u8 = 0;

/// Of all that stands before the body.
const HEAD_BYTES: usize = 3 + 11 + 7 + 11 + 11 + 7 + 7 + 7;

const THRIFT_STOP: u8 = 0;
const THRIFT_I32: u8 = 8;
const THRIFT_I64: u8 = 10;
const THRIFT_STRING: u8 = 11;
const THRIFT_STRUCT: u8 = 12;
const BATCH_FRAME_ID: u8 = 4;

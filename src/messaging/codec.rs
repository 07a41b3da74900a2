//! `MessageBatch` as bytes: a Thrift header written by hand and a columnar body in its one binary
//! field.
//!
//! Body version 1, all of it little endian, `varint` and `zigzag` as in `packed`:
//!
//! ```text
//! sequences   0                          each one more than the one before
//!             1 varint*                  differences to the one before (wrapping)
//! timestamps  0                          all as the first
//!             1 zigzag*                  differences to the one before (wrapping)
//! streams     0 varint | 1 varint*       one for all, or one a row
//! targets     0 varint | 1 varint*       task ids
//! n_anchors   0 varint | 1 varint*       then root and edge, 8 bytes each, of all rows
//! n_values    0 varint | 1 varint*
//! columns     one after another, as many as the row with the most values has:
//!             u32 length of what follows, then
//!             0 tag data* | 1 tag* data* of the rows that have such a value
//! ```
//!
//! First sequence and timestamp are in the header. Decides nothing about connections, sizes of
//! batches or compression.

use std::ops::Range;

use crate::messaging::packed::{self, PackedError};
use crate::tuple::{Tuple, TupleBatch};

/// Why rows could not be written. Nothing of them is in the output then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error(transparent)]
    Value(#[from] PackedError),
    #[error(
        "a batch of {n_bytes} bytes exceeds {}",
        crate::limits::LINK_FRAME_BYTES_MAX
    )]
    TooLarge { n_bytes: usize },
    #[error("a batch must be of one source task and generation, and not empty")]
    Mixed,
}

/// Rows that may travel in one `MessageBatch`: of one source task and one generation.
pub fn runs(batch: &TupleBatch) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        let first = batch.get(start)?.head();
        let same = |tuple: Tuple<'_>| {
            let head = tuple.head();
            (head.source_task, head.generation) == (first.source_task, first.generation)
        };
        let mut end = start + 1;
        while end - start < ROWS_MAX && batch.get(end).is_some_and(same) {
            end += 1;
        }
        let run = start..end;
        start = end;
        Some(run)
    })
}

/// Appends one frame, its length included, that carries `rows` of `batch`.
pub fn write_frame(
    batch: &TupleBatch,
    rows: Range<usize>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let frame_start = out.len();
    let written = try_write_frame(batch, rows, out);
    if written.is_err() {
        out.truncate(frame_start);
    }
    written
}

fn try_write_frame(
    batch: &TupleBatch,
    rows: Range<usize>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let first = batch.get(rows.start).ok_or(EncodeError::Mixed)?.head();
    let frame_start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&[THRIFT_STRUCT, 0, BATCH_FRAME_ID]);
    put_i64_field(1, first.generation, out);
    put_i32_field(2, first.source_task.0, out);
    put_i64_field(3, first.sequence as i64, out);
    put_i64_field(4, first.timestamp_us, out);
    put_i32_field(5, rows.len() as i32, out);
    put_i32_field(6, BODY_VERSION, out);
    out.extend_from_slice(&[THRIFT_STRING, 0, 7, 0, 0, 0, 0]);
    let body_start = out.len();
    write_body(batch, rows, out)?;
    let body_bytes = out.len() - body_start;
    out.extend_from_slice(&[THRIFT_STOP, THRIFT_STOP]);
    let n_bytes = out.len() - frame_start - 4;
    if n_bytes > crate::limits::LINK_FRAME_BYTES_MAX {
        return Err(EncodeError::TooLarge { n_bytes });
    }
    // Both fit: they are no larger than the bound just checked.
    patch(out, body_start - 4, (body_bytes as u32).to_be_bytes());
    patch(out, frame_start, (n_bytes as u32).to_be_bytes());
    Ok(())
}

/// Fills in a length for which four bytes were left at `at`.
pub(super) fn patch(out: &mut [u8], at: usize, length: [u8; 4]) {
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&length);
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

fn write_body(
    batch: &TupleBatch,
    rows: Range<usize>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let tuples = || rows.clone().filter_map(|row| batch.get(row));
    write_sequences(tuples(), out)?;
    write_timestamps(tuples(), out);
    write_numbers(tuples().map(|t| u64::from(t.stream_number().0)), out);
    write_numbers(tuples().map(|t| t.target_task().0 as u32 as u64), out);
    write_numbers(tuples().map(|t| t.anchors().len() as u64), out);
    for anchor in tuples().flat_map(|tuple| tuple.anchors()) {
        out.extend_from_slice(&anchor.root.to_le_bytes());
        out.extend_from_slice(&anchor.edge.to_le_bytes());
    }
    write_numbers(tuples().map(|t| t.len() as u64), out);
    let n_columns = tuples().map(|t| t.len()).max().unwrap_or_default();
    for column in 0..n_columns {
        write_column(tuples().filter_map(|t| t.value(column).ok()), out)?;
    }
    Ok(())
}

fn write_sequences<'a>(
    tuples: impl Iterator<Item = Tuple<'a>> + Clone,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let heads = || tuples.clone().map(|tuple| tuple.head());
    let pairs = || heads().zip(heads().skip(1));
    let of_one_source = |(a, b): (crate::tuple::TupleHead, crate::tuple::TupleHead)| {
        (a.source_task, a.generation) == (b.source_task, b.generation)
    };
    if !pairs().all(of_one_source) {
        return Err(EncodeError::Mixed);
    }
    let deltas = || pairs().map(|(a, b)| b.sequence.wrapping_sub(a.sequence));
    if deltas().all(|delta| delta == 1) {
        out.push(PLAIN);
    } else {
        out.push(BY_ROW);
        deltas().for_each(|delta| packed::put_varint(delta, out));
    }
    Ok(())
}

fn write_timestamps<'a>(tuples: impl Iterator<Item = Tuple<'a>> + Clone, out: &mut Vec<u8>) {
    let times = || tuples.clone().map(|tuple| tuple.timestamp_us());
    let deltas = || times().zip(times().skip(1)).map(|(a, b)| b.wrapping_sub(a));
    if deltas().all(|delta| delta == 0) {
        out.push(PLAIN);
    } else {
        out.push(BY_ROW);
        deltas().for_each(|delta| packed::put_zigzag(delta, out));
    }
}

fn write_numbers(numbers: impl Iterator<Item = u64> + Clone, out: &mut Vec<u8>) {
    let mut rest = numbers.clone();
    let first = rest.next().unwrap_or_default();
    if rest.all(|number| number == first) {
        out.push(PLAIN);
        packed::put_varint(first, out);
    } else {
        out.push(BY_ROW);
        numbers.for_each(|number| packed::put_varint(number, out));
    }
}

fn write_column<'a>(
    values: impl Iterator<Item = crate::tuple::ValueRef<'a>> + Clone,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let column_start = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut tags = values.clone().map(packed::tag_of);
    let first = tags.next().unwrap_or_default();
    if tags.all(|tag| tag == first) {
        out.extend_from_slice(&[PLAIN, first]);
    } else {
        out.push(BY_ROW);
        out.extend(values.clone().map(packed::tag_of));
    }
    for value in values {
        packed::put_value(value, out)?;
    }
    let n_bytes = out.len() - column_start - 4;
    let length = u32::try_from(n_bytes).map_err(|_| EncodeError::TooLarge { n_bytes })?;
    patch(out, column_start, length.to_le_bytes());
    Ok(())
}

/// What `body_version` says of this layout.
pub const BODY_VERSION: i32 = 1;

pub(super) const PLAIN: u8 = 0;
pub(super) const BY_ROW: u8 = 1;

/// Rows in a batch at most: what keeps a frame near the size that sockets like.
const ROWS_MAX: usize = 4096;

const THRIFT_STOP: u8 = 0;
const THRIFT_I32: u8 = 8;
const THRIFT_I64: u8 = 10;
const THRIFT_STRING: u8 = 11;
const THRIFT_STRUCT: u8 = 12;
const BATCH_FRAME_ID: u8 = 4;

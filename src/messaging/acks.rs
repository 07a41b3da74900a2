//! Ack traffic: what spouts and bolts tell ackers and what ackers tell spouts, packed.
//!
//! One record is 24 bytes in memory and 9 to 21 on the wire. What the records mean is the
//! business of `acker::ledger`; here they are only merged, written and read.

use crate::id::TaskId;
use crate::limits;
use crate::messaging::codec;

/// One message of the ack protocol (data-plane 3.1, 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckRecord {
    pub root: u64,
    /// `Init` and `Ack`: XOR of edges. Notices: milliseconds from the acker's first sight of the
    /// root. `Tally`: how many messages it counts.
    pub value: u64,
    /// `Init` and notices: the spout's task. `Tally`: the number of the stream that the messages
    /// would have come by in Storm.
    pub task: TaskId,
    pub kind: AckKind,
}

/// Who a record is for and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckKind {
    /// To the acker: a spout emitted a tree.
    Init,
    /// To the acker: a bolt is done with tuples of a tree.
    Ack,
    /// To the acker: a bolt failed a tuple of a tree.
    Fail,
    /// To the acker: a bolt asks for more time.
    Reset,
    /// To the spout: the tree is complete.
    Completed,
    /// To the spout: the tree failed.
    Failed,
    /// To the spout: the time-out of the tree starts anew.
    Extended,
    /// To the acker: so many messages came to it by a stream, for its statistics.
    Tally,
}

/// Why ack records could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AckBatchError {
    #[error(
        "{count} ack records announced, at most {} are taken",
        limits::ACK_RECORDS_MAX
    )]
    TooMany { count: i64 },
    #[error("the records end within one")]
    Truncated,
    #[error("{left} bytes follow the last record")]
    TrailingBytes { left: usize },
    #[error("unknown kind {kind} of ack record")]
    UnknownKind { kind: u8 },
}

// === impl AckRecord ===

impl AckRecord {
    /// Has a tree fail.
    pub fn fail(root: u64) -> Self {
        AckRecord {
            root,
            value: 0,
            task: TaskId(0),
            kind: AckKind::Fail,
        }
    }

    /// What is left to say of a record of which nobody knows whether it arrived: the same once more
    /// where that does no harm, else that its tree fails; nothing of what only counts.
    pub fn after_doubt(&self) -> Option<Self> {
        match self.kind {
            AckKind::Init | AckKind::Ack => Some(AckRecord::fail(self.root)),
            AckKind::Tally => None,
            AckKind::Fail
            | AckKind::Reset
            | AckKind::Completed
            | AckKind::Failed
            | AckKind::Extended => Some(*self),
        }
    }

    /// Whether the record goes to an acker; else to a spout.
    #[inline]
    pub fn is_for_acker(&self) -> bool {
        (self.kind as u8) <= AckKind::Reset as u8 || self.kind == AckKind::Tally
    }

    /// Whether it tells a spout task what became of a tree.
    #[inline]
    pub fn is_notice_to(&self, task: TaskId) -> bool {
        self.task == task && !self.is_for_acker()
    }

    /// Takes in the record that follows it, where both say no more than one can.
    #[inline]
    pub fn merge(&mut self, next: &AckRecord) -> bool {
        let merges = self.root == next.root
            && next.kind == AckKind::Ack
            && matches!(self.kind, AckKind::Ack | AckKind::Init);
        if merges {
            self.value ^= next.value;
        }
        merges
    }
}

// === impl AckKind ===

impl AckKind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => AckKind::Init,
            1 => AckKind::Ack,
            2 => AckKind::Fail,
            3 => AckKind::Reset,
            4 => AckKind::Completed,
            5 => AckKind::Failed,
            6 => AckKind::Extended,
            7 => AckKind::Tally,
            _ => return None,
        })
    }

    fn has_value(self) -> bool {
        !matches!(self, AckKind::Fail | AckKind::Reset)
    }

    fn has_task(self) -> bool {
        !matches!(self, AckKind::Ack | AckKind::Fail | AckKind::Reset)
    }
}

/// Appends the records: kind, root, then value and task where the kind has them, little endian.
pub fn write(records: &[AckRecord], out: &mut Vec<u8>) {
    out.reserve(records.len() * RECORD_BYTES_MAX);
    for record in records {
        out.push(record.kind as u8);
        out.extend_from_slice(&record.root.to_le_bytes());
        if record.kind.has_value() {
            out.extend_from_slice(&record.value.to_le_bytes());
        }
        if record.kind.has_task() {
            out.extend_from_slice(&record.task.0.to_le_bytes());
        }
    }
}

/// Appends a frame of the link, without its length, with at most `limits::ACK_RECORDS_MAX` records.
pub fn write_frame(records: &[AckRecord], out: &mut Vec<u8>) {
    out.extend_from_slice(&FRAME_START);
    out.extend_from_slice(&(records.len() as i32).to_be_bytes());
    out.extend_from_slice(&RECORDS_FIELD);
    out.extend_from_slice(&[0; 4]);
    let records_start = out.len();
    write(records, out);
    let n_bytes = (out.len() - records_start) as u32;
    out.extend_from_slice(&FRAME_END);
    codec::patch(out, records_start - 4, n_bytes.to_be_bytes());
}

/// Count and records of a frame laid out as `write_frame` does; none for any other, which may still
/// be one to a generic reader.
pub fn split_frame(frame: &[u8]) -> Option<(i32, &[u8])> {
    let rest = frame.strip_prefix(&FRAME_START)?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let rest = rest.strip_prefix(&RECORDS_FIELD)?;
    let (n_bytes, rest) = rest.split_first_chunk::<4>()?;
    let n_bytes = usize::try_from(i32::from_be_bytes(*n_bytes)).ok()?;
    let (records, end) = rest.split_at_checked(n_bytes)?;
    (end == FRAME_END).then_some((i32::from_be_bytes(*count), records))
}

/// Reads `count` records and nothing else from `bytes`, into `records`.
pub fn read(
    count: i32,
    mut bytes: &[u8],
    records: &mut Vec<AckRecord>,
) -> Result<(), AckBatchError> {
    let n_records = usize::try_from(count).unwrap_or(usize::MAX);
    if n_records > limits::ACK_RECORDS_MAX {
        let count = i64::from(count);
        return Err(AckBatchError::TooMany { count });
    }
    records.reserve(n_records.min(bytes.len() / RECORD_BYTES_MIN));
    for _ in 0..n_records {
        records.push(read_one(&mut bytes)?);
    }
    if !bytes.is_empty() {
        return Err(AckBatchError::TrailingBytes { left: bytes.len() });
    }
    Ok(())
}

fn read_one(bytes: &mut &[u8]) -> Result<AckRecord, AckBatchError> {
    let [kind] = take(bytes)?;
    let kind = AckKind::from_byte(kind).ok_or(AckBatchError::UnknownKind { kind })?;
    let root = u64::from_le_bytes(take(bytes)?);
    let value = match kind.has_value() {
        true => u64::from_le_bytes(take(bytes)?),
        false => 0,
    };
    let task = match kind.has_task() {
        true => TaskId(i32::from_le_bytes(take(bytes)?)),
        false => TaskId(0),
    };
    Ok(AckRecord {
        root,
        value,
        task,
        kind,
    })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], AckBatchError> {
    let (head, rest) = bytes.split_first_chunk().ok_or(AckBatchError::Truncated)?;
    *bytes = rest;
    Ok(*head)
}

/// A union's variant 5, a struct: an i32 field 1 and a binary field 2 (Thrift binary protocol).
const FRAME_START: [u8; 6] = [12, 0, 5, 8, 0, 1];
const RECORDS_FIELD: [u8; 3] = [11, 0, 2];
const FRAME_END: [u8; 2] = [0, 0];

/// The most that a frame of `limits::ACK_FRAME_RECORDS` takes.
pub const FRAME_BYTES_MAX: usize = FRAME_START.len()
    + RECORDS_FIELD.len()
    + 2 * size_of::<u32>()
    + limits::ACK_FRAME_RECORDS * RECORD_BYTES_MAX
    + FRAME_END.len();

const RECORD_BYTES_MIN: usize = 9;
const RECORD_BYTES_MAX: usize = 21;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = AckRecord> {
        (0u8..8, any::<u64>(), any::<u64>(), any::<i32>()).prop_map(|(kind, root, value, task)| {
            let kind = AckKind::from_byte(kind).unwrap();
            AckRecord {
                root,
                value: if kind.has_value() { value } else { 0 },
                task: TaskId(if kind.has_task() { task } else { 0 }),
                kind,
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(records in prop::collection::vec(record(), 0..50)) {
            let mut bytes = Vec::new();
            write(&records, &mut bytes);
            let mut back = Vec::new();
            read(records.len() as i32, &bytes, &mut back).unwrap();
            prop_assert_eq!(&back, &records);
            if !bytes.is_empty() {
                let cut = &bytes[..bytes.len() - 1];
                let error = read(records.len() as i32, cut, &mut Vec::new());
                prop_assert_eq!(error, Err(AckBatchError::Truncated));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            count in any::<i32>(),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = read(count, &bytes, &mut Vec::new());
        }
    }

    #[test]
    fn only_acks_merge_and_only_into_their_own_tree() {
        let record = |root, value, kind| AckRecord {
            root,
            value,
            task: TaskId(0),
            kind,
        };
        let mut first = record(1, 0b0110, AckKind::Init);
        assert!(first.merge(&record(1, 0b0011, AckKind::Ack)));
        assert_eq!(first.value, 0b0101);
        assert!(!first.merge(&record(2, 1, AckKind::Ack)));
        assert!(!first.merge(&record(1, 0, AckKind::Fail)));
        assert!(!record(1, 0, AckKind::Fail).merge(&first));
    }
}

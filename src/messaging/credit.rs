//! `Credit` as bytes: written and read by hand as `codec` does with batches, into memory that is
//! used again, since one comes for every few batches of a busy link.
//!
//! What credits mean is said in `sending` and `receiving`.

use crate::messaging::codec;
use crate::messaging::frame::{self, Checksums, FrameError};
use crate::wire::messages::{Credit, Frame, Grant};

/// Appends the frame of a credit with what stands before it on the wire.
pub fn write_frame(credit: &Credit, checksums: &mut Checksums, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; frame::HEAD_BYTES]);
    let frame_start = out.len();
    write(credit, out);
    let head = frame::head(out.get(frame_start..).unwrap_or_default(), checksums);
    codec::patch(out, start, head);
}

fn write(credit: &Credit, out: &mut Vec<u8>) {
    out.extend_from_slice(&FRAMES_FIELD);
    out.extend_from_slice(&credit.frames.to_be_bytes());
    out.extend_from_slice(&GRANTS_FIELD);
    // A worker has fewer executors than that.
    out.extend_from_slice(&(credit.grants.len() as u32).to_be_bytes());
    for grant in &credit.grants {
        out.extend_from_slice(&TASK_FIELD);
        out.extend_from_slice(&grant.task.to_be_bytes());
        out.extend_from_slice(&RECEIVED_FIELD);
        out.extend_from_slice(&grant.received.to_be_bytes());
        out.extend_from_slice(&CONSUMED_FIELD);
        out.extend_from_slice(&grant.consumed.to_be_bytes());
        out.extend_from_slice(&GRANT_END);
    }
    out.extend_from_slice(&FRAME_END);
}

/// Reads a frame in the place of what `credit` held. False when it is another one.
pub fn read_frame(frame: &[u8], credit: &mut Credit) -> Result<bool, FrameError> {
    if read(frame, credit).is_some() {
        return Ok(true);
    }
    // Laid out in another way, perhaps with fields of a later version.
    match frame::decode(frame)? {
        Frame::Credit(read) => {
            *credit = read;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Reads a frame laid out as `write` does; none for any other.
fn read(frame: &[u8], credit: &mut Credit) -> Option<()> {
    let mut rest = frame;
    credit.grants.clear();
    credit.frames = i64::from_be_bytes(field(&FRAMES_FIELD, &mut rest)?);
    let n_grants = u32::from_be_bytes(field(&GRANTS_FIELD, &mut rest)?);
    let n_bytes = usize::try_from(n_grants).ok()?.checked_mul(GRANT_BYTES)?;
    // A number alone makes no room.
    let (mut grants, end) = rest.split_at_checked(n_bytes)?;
    while !grants.is_empty() {
        credit.grants.push(Grant {
            task: i32::from_be_bytes(field(&TASK_FIELD, &mut grants)?),
            received: i64::from_be_bytes(field(&RECEIVED_FIELD, &mut grants)?),
            consumed: i64::from_be_bytes(field(&CONSUMED_FIELD, &mut grants)?),
        });
        grants = grants.strip_prefix(&GRANT_END)?;
    }
    (end == FRAME_END).then_some(())
}

fn field<const N: usize>(head: &[u8], rest: &mut &[u8]) -> Option<[u8; N]> {
    let (value, behind) = rest.strip_prefix(head)?.split_first_chunk()?;
    *rest = behind;
    Some(*value)
}

/// A union's variant 7, a struct: an i64 field 1 and a list field 2 of structs (Thrift binary
/// protocol).
const FRAMES_FIELD: [u8; 6] = [12, 0, 7, 10, 0, 1];
const GRANTS_FIELD: [u8; 4] = [15, 0, 2, 12];
const TASK_FIELD: [u8; 3] = [8, 0, 1];
const RECEIVED_FIELD: [u8; 3] = [10, 0, 2];
const CONSUMED_FIELD: [u8; 3] = [10, 0, 3];
const GRANT_END: [u8; 1] = [0];
const GRANT_BYTES: usize = 3 + 4 + 3 + 8 + 3 + 8 + 1;
const FRAME_END: [u8; 2] = [0, 0];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messaging::frame::decode;
    use crate::testing::allocations;
    use crate::wire;

    fn credit(n_grants: i32) -> Credit {
        let grant = |task| Grant {
            task,
            received: i64::from(task) << 40,
            consumed: i64::MAX - i64::from(task),
        };
        Credit {
            frames: 1 << 50,
            grants: (0..n_grants).map(grant).collect(),
        }
    }

    #[test]
    fn bytes_are_those_of_the_generated_type() {
        for n_grants in [0, 1, 300] {
            let credit = credit(n_grants);
            let mut bytes = Vec::new();
            write_frame(&credit, &mut Checksums::new(None), &mut bytes);
            let frame = &bytes[frame::HEAD_BYTES..];
            assert_eq!(
                frame,
                wire::to_bytes(&Frame::Credit(credit.clone())).unwrap()
            );
            assert_eq!(bytes[..4], (frame.len() as u32).to_be_bytes());
            let mut back = self::credit(2);
            assert_eq!(read(frame, &mut back), Some(()));
            assert_eq!(back, credit);
        }
    }

    #[test]
    fn other_frames_are_read_as_the_generated_types_read_them() {
        let mut bytes = Vec::new();
        write(&credit(2), &mut bytes);
        // Each byte changed in turn, and every cut.
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            for frame in [&other[..], &bytes[..at]] {
                let mut read = Credit::default();
                let is_credit = read_frame(frame, &mut read);
                match decode(frame) {
                    Ok(Frame::Credit(expected)) => {
                        assert!(is_credit.unwrap());
                        assert_eq!(read, expected);
                    }
                    Ok(_) => assert!(!is_credit.unwrap()),
                    Err(_) => assert!(is_credit.is_err()),
                }
            }
        }
    }

    #[test]
    fn a_credit_like_the_last_one_takes_no_memory() {
        let (from, mut into) = (credit(10), Credit::default());
        let (mut sums, mut bytes) = (Checksums::new(Some(1)), Vec::new());
        let mut go = || {
            bytes.clear();
            write_frame(&from, &mut sums, &mut bytes);
            read_frame(&bytes[frame::HEAD_BYTES..], &mut into).unwrap()
        };
        assert!(go());
        assert_eq!(allocations::during(go), (0, true));
    }
}

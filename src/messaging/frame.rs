//! Frames on a link between workers: a 4-byte length, big endian, and a Thrift union; after the
//! greeting a checksum between them.
//!
//! Bounds what a peer may announce; what frames mean is said in `codec`, `acks` and `link`. Reads
//! into one buffer and lends frames out of it: none is copied.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::limits;
use crate::wire::{self, WireError, messages};

/// Reads frames from one connection.
pub struct FrameReader<R> {
    source: R,
    buffer: Vec<u8>,
    /// What was read and not yet lent out.
    filled: std::ops::Range<usize>,
    bytes_max: usize,
    checksums: Checksums,
}

/// Whether frames have a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// Greetings: whoever speaks another version must be able to read why it is refused.
    Absent,
    Present,
}

/// Why a frame could not be read: the connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {n_bytes} bytes announced, 1 to {bytes_max} are taken")]
    BadLength { n_bytes: i64, bytes_max: usize },
    #[error("the connection ended within a frame")]
    Truncated,
    #[error("a frame came damaged: its checksum is wrong")]
    BadChecksum,
    #[error("nothing came for long while a frame was not complete")]
    Stalled,
    #[error("a frame that is none of ours")]
    Unknown,
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

// === impl FrameReader ===

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// For greetings, which have at most `bytes_max`.
    pub fn new(source: R, bytes_max: usize) -> Self {
        FrameReader {
            source,
            buffer: Vec::new(),
            filled: 0..0,
            bytes_max,
            checksums: Checksums::Absent,
        }
    }

    /// After the greeting: larger frames, with checksums.
    pub fn greeted(&mut self) {
        self.bytes_max = limits::LINK_FRAME_BYTES_MAX;
        self.checksums = Checksums::Present;
    }

    /// The next frame, decoded, or none when the connection ended between frames. Cancel safe.
    pub async fn next(&mut self) -> Result<Option<messages::Frame>, FrameError> {
        loop {
            if let Some(frame) = self.take_whole()? {
                return decode(frame).map(Some);
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// Reads what is there; false when the connection ended between frames. Cancel safe.
    pub async fn fill(&mut self) -> Result<bool, FrameError> {
        self.make_room();
        let place = self.buffer.get_mut(self.filled.end..).unwrap_or_default();
        let n_read = self.source.read(place).await?;
        self.filled.end += n_read;
        match n_read {
            0 if self.filled.is_empty() => Ok(false),
            0 => Err(FrameError::Truncated),
            _ => Ok(true),
        }
    }

    /// The next frame that was read whole.
    pub fn take_whole(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let read = self.buffer.get(self.filled.clone()).unwrap_or_default();
        let Some((length, rest)) = read.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let announced = i32::from_be_bytes(*length);
        let n_bytes = usize::try_from(announced).unwrap_or(0);
        if n_bytes == 0 || n_bytes > self.bytes_max {
            return Err(FrameError::BadLength {
                n_bytes: announced.into(),
                bytes_max: self.bytes_max,
            });
        }
        let (checksum, rest) = match (self.checksums, rest.split_first_chunk::<4>()) {
            (Checksums::Absent, _) => (None, rest),
            (Checksums::Present, Some((checksum, rest))) => (Some(checksum), rest),
            (Checksums::Present, None) => return Ok(None),
        };
        let Some(frame) = rest.get(..n_bytes) else {
            return Ok(None);
        };
        if checksum.is_some_and(|sum| u32::from_be_bytes(*sum) != crc32fast::hash(frame)) {
            return Err(FrameError::BadChecksum);
        }
        self.filled.start += read.len() - rest.len() + n_bytes;
        Ok(Some(frame))
    }

    /// Whether a frame has begun and not ended.
    pub fn has_part(&self) -> bool {
        !self.filled.is_empty()
    }

    /// Room to read into. Grows with what arrives: an announced length alone reserves nothing.
    fn make_room(&mut self) {
        if self.filled.is_empty() {
            self.filled = 0..0;
            if self.buffer.len() > limits::LINK_BUFFER_KEEP_BYTES {
                self.buffer = Vec::new();
            }
        }
        let n_free = self.buffer.len() - self.filled.end;
        if n_free > self.buffer.len() / 4 {
            return;
        }
        if self.filled.start >= self.buffer.len() / 2 && self.filled.start > 0 {
            self.buffer.copy_within(self.filled.clone(), 0);
            self.filled = 0..self.filled.len();
            return;
        }
        let doubled = self.buffer.len() * 2;
        let n_bytes = doubled.clamp(READ_BYTES_MIN, limits::LINK_READ_BYTES.max(doubled));
        self.buffer.resize(n_bytes, 0);
    }
}

/// A frame as the generated types read it.
pub fn decode(frame: &[u8]) -> Result<messages::Frame, FrameError> {
    match wire::from_bytes::<messages::Frame>(frame)? {
        messages::Frame::Unset => Err(FrameError::Unknown),
        frame => Ok(frame),
    }
}

/// A frame with what stands before it on the wire.
pub fn to_bytes(frame: &messages::Frame, checksums: Checksums) -> Result<Vec<u8>, FrameError> {
    let body = wire::to_bytes(frame)?;
    if body.len() > limits::LINK_FRAME_BYTES_MAX {
        return Err(FrameError::BadLength {
            n_bytes: i64::try_from(body.len()).unwrap_or(i64::MAX),
            bytes_max: limits::LINK_FRAME_BYTES_MAX,
        });
    }
    let head = head(&body);
    let n_head = match checksums {
        Checksums::Absent => 4,
        Checksums::Present => HEAD_BYTES,
    };
    let mut bytes = Vec::with_capacity(n_head + body.len());
    bytes.extend(head.iter().take(n_head));
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Length and checksum of a frame, which is no longer than `limits::LINK_FRAME_BYTES_MAX`.
#[inline]
pub fn head(frame: &[u8]) -> [u8; HEAD_BYTES] {
    let [a, b, c, d] = (frame.len() as u32).to_be_bytes();
    let [e, f, g, h] = crc32fast::hash(frame).to_be_bytes();
    [a, b, c, d, e, f, g, h]
}

pub const HEAD_BYTES: usize = 8;

/// Most links are quiet: a buffer begins small.
const READ_BYTES_MIN: usize = 16 << 10;

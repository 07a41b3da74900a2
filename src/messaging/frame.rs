//! Frames on a link between workers: a 4-byte length, big endian, and a Thrift union; after the
//! greeting a checksum between them, which counts frames too.
//!
//! Bounds what a peer may announce; what frames mean is said in `codec`, `acks` and `link`. Reads
//! into one buffer and lends frames out of it: none is copied.

use std::io;
use std::ops::Range;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::limits;
use crate::wire::{self, WireError, messages};

/// Reads frames from one connection.
pub struct FrameReader<R> {
    source: R,
    buffer: Vec<u8>,
    /// What was read and not yet lent out.
    filled: Range<usize>,
    bytes_max: usize,
    /// None in greetings: whoever speaks another version must be able to read why it is refused.
    checksums: Option<Checksums>,
}

/// Checksums of the frames of one direction of a connection, one after another.
///
/// Numbered ones begin where the connection's salt and the frame's number say, so that a frame that
/// comes twice, out of turn or from another connection is found out as a damaged one is.
#[derive(Clone, Copy, Debug)]
pub struct Checksums {
    next: u32,
    step: u32,
}

/// Why a frame could not be read: the connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {n_bytes} bytes announced, 1 to {bytes_max} are taken")]
    BadLength { n_bytes: i64, bytes_max: usize },
    #[error("the connection ended within a frame")]
    Truncated,
    #[error("a frame came damaged, repeated or out of turn: its checksum is wrong")]
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

// === impl Checksums ===

impl Checksums {
    /// As the connection's salt says; without one, of the frames alone.
    pub fn new(salt: Option<i32>) -> Self {
        match salt {
            Some(salt) => Checksums {
                next: salt as u32,
                step: 1,
            },
            None => Checksums { next: 0, step: 0 },
        }
    }

    /// Of the next frame.
    #[inline]
    fn next(&mut self, frame: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.next);
        self.next = self.next.wrapping_add(self.step);
        hasher.update(frame);
        hasher.finalize()
    }
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
            checksums: None,
        }
    }

    /// After the greeting: larger frames, with checksums.
    pub fn greeted(&mut self, checksums: Checksums) {
        self.bytes_max = limits::LINK_FRAME_BYTES_MAX;
        self.checksums = Some(checksums);
    }

    /// The next frame, decoded, or none when the connection ended between frames. Cancel safe.
    pub async fn next(&mut self) -> Result<Option<messages::Frame>, FrameError> {
        let frame = self.next_whole().await?;
        frame.map(decode).transpose()
    }

    /// The next frame as it came, or none when the connection ended between frames. Cancel safe.
    pub async fn next_whole(&mut self) -> Result<Option<&[u8]>, FrameError> {
        loop {
            if let Some(place) = self.find_whole()? {
                return Ok(self.buffer.get(place));
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
        let place = self.find_whole()?;
        Ok(place.and_then(|place| self.buffer.get(place)))
    }

    /// Where the next frame lies, if it was read whole; from here on it counts as taken.
    fn find_whole(&mut self) -> Result<Option<Range<usize>>, FrameError> {
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
        let (checksum, rest) = match (self.checksums.is_some(), rest.split_first_chunk::<4>()) {
            (false, _) => (None, rest),
            (true, Some((checksum, rest))) => (Some(u32::from_be_bytes(*checksum)), rest),
            (true, None) => return Ok(None),
        };
        let Some(frame) = rest.get(..n_bytes) else {
            return Ok(None);
        };
        let expected = self.checksums.as_mut().map(|sums| sums.next(frame));
        if checksum != expected {
            return Err(FrameError::BadChecksum);
        }
        let start = self.filled.start + read.len() - rest.len();
        self.filled.start = start + n_bytes;
        Ok(Some(start..self.filled.start))
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

/// A greeting with its length before it, which is all that stands before one on the wire.
pub fn to_bytes(frame: &messages::Frame) -> Result<Vec<u8>, FrameError> {
    let body = wire::to_bytes(frame)?;
    if body.len() > limits::LINK_FRAME_BYTES_MAX {
        return Err(FrameError::BadLength {
            n_bytes: i64::try_from(body.len()).unwrap_or(i64::MAX),
            bytes_max: limits::LINK_FRAME_BYTES_MAX,
        });
    }
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
    bytes.extend((body.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Length and checksum of the next frame, which is no longer than `limits::LINK_FRAME_BYTES_MAX`.
#[inline]
pub fn head(frame: &[u8], checksums: &mut Checksums) -> [u8; HEAD_BYTES] {
    let [a, b, c, d] = (frame.len() as u32).to_be_bytes();
    let [e, f, g, h] = checksums.next(frame).to_be_bytes();
    [a, b, c, d, e, f, g, h]
}

pub const HEAD_BYTES: usize = 8;

/// Most links are quiet: a buffer begins small.
const READ_BYTES_MIN: usize = 16 << 10;

//! Frames on a link between workers: a 4-byte length, big endian, and a Thrift union.
//!
//! Bounds what a peer may announce; what frames mean is said in `codec`, `acks` and `link`.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::limits;
use crate::wire::{self, WireError, messages};

/// Reads frames from one connection.
pub struct FrameReader<R> {
    source: R,
    buffer: BytesMut,
    bytes_max: usize,
}

/// Why a frame could not be read: the connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {n_bytes} bytes announced, 1 to {bytes_max} are taken")]
    BadLength { n_bytes: i64, bytes_max: usize },
    #[error("the connection ended within a frame")]
    Truncated,
    #[error("a frame that is none of ours")]
    Unknown,
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

// === impl FrameReader ===

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Takes no frame above `bytes_max`; see `set_bytes_max`.
    pub fn new(source: R, bytes_max: usize) -> Self {
        FrameReader {
            source,
            buffer: BytesMut::new(),
            bytes_max,
        }
    }

    /// After the peer has said who it is it may send larger frames.
    pub fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// The connection, for what follows the last frame that was read.
    pub fn into_source(self) -> R {
        self.source
    }

    /// The next frame, or none when the connection ended between frames. Cancel safe.
    pub async fn next(&mut self) -> Result<Option<messages::Frame>, FrameError> {
        let Some(bytes) = self.next_bytes().await? else {
            return Ok(None);
        };
        match wire::from_bytes::<messages::Frame>(&bytes)? {
            messages::Frame::Unset => Err(FrameError::Unknown),
            frame => Ok(Some(frame)),
        }
    }

    async fn next_bytes(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            if let Some(frame) = self.take_whole()? {
                return Ok(Some(frame));
            }
            if self.source.read_buf(&mut self.buffer).await? == 0 {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(FrameError::Truncated),
                };
            }
        }
    }

    fn take_whole(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some((length, _)) = self.buffer.split_first_chunk::<4>() else {
            self.buffer.reserve(READ_BYTES);
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
        if self.buffer.len() - 4 < n_bytes {
            // Grows with what arrives: an announced length alone reserves nothing.
            self.buffer.reserve(READ_BYTES);
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(4 + n_bytes);
        Ok(Some(frame.split_off(4).freeze()))
    }
}

/// A frame with its length before it.
pub fn to_bytes(frame: &messages::Frame) -> Result<Vec<u8>, FrameError> {
    let body = wire::to_bytes(frame)?;
    let length = i32::try_from(body.len()).map_err(|_| FrameError::BadLength {
        n_bytes: i64::MAX,
        bytes_max: limits::LINK_FRAME_BYTES_MAX,
    })?;
    let mut bytes = Vec::with_capacity(4 + body.len());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

const READ_BYTES: usize = 64 << 10;

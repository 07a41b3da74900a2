//! Cuts a child's output into messages: lines up to one that is exactly `end`, or MessagePack
//! objects.
//!
//! Holds bytes of one unfinished message at most, up to the given length; does not read or parse.

use bytes::{Buf, Bytes, BytesMut};

use crate::component::multilang::Serializer;
use crate::component::multilang::msgpack;

/// The bytes read so far and where the search in them stands.
#[derive(Debug)]
pub struct Framer {
    pub(crate) buffer: BytesMut,
    serializer: Serializer,
    bytes_max: usize,
    detected: bool,
    lines: Lines,
    extent: msgpack::Extent,
}

/// Where the search for the line `end` stands.
#[derive(Debug, Default)]
struct Lines {
    line_start: usize,
    scanned: usize,
    /// The last line ended in CR: an LF right after it belongs to that line end.
    skip_line_feed: bool,
    /// A line of this message ended in CR.
    has_returns: bool,
}

/// Why a child's output cannot be cut into messages.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FramingError {
    #[error("a message of more than {bytes_max} bytes")]
    TooLong { bytes_max: usize },
    #[error("not MessagePack: {0}")]
    MessagePack(#[from] msgpack::MessagePackError),
}

// === impl Framer ===

impl Framer {
    pub fn new(serializer: Serializer, bytes_max: usize) -> Self {
        Framer {
            buffer: BytesMut::new(),
            serializer,
            bytes_max,
            detected: false,
            lines: Lines::default(),
            extent: msgpack::Extent::default(),
        }
    }

    /// Where the next bytes from the child go.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// What the child speaks: as configured until its first byte says otherwise.
    pub fn serializer(&self) -> Serializer {
        self.serializer
    }

    /// The next whole message, without its framing.
    pub fn next_message(&mut self) -> Result<Option<Bytes>, FramingError> {
        self.detect();
        let found = match self.serializer {
            Serializer::Json => self.lines.search(&mut self.buffer),
            Serializer::MessagePack => self.extent.search(&mut self.buffer)?,
        };
        if found.is_none() && self.buffer.len() > self.bytes_max {
            return Err(FramingError::TooLong {
                bytes_max: self.bytes_max,
            });
        }
        Ok(found)
    }

    /// At the end of the output: a last message whose `end` has no line end, or what is left over.
    pub fn finish(&mut self) -> Result<Bytes, Bytes> {
        let rest = self.buffer.split().freeze();
        let Lines {
            line_start,
            has_returns,
            ..
        } = std::mem::take(&mut self.lines);
        match self.serializer {
            Serializer::Json if rest.get(line_start..) == Some(b"end") => {
                Ok(joined(rest.slice(..line_start), has_returns))
            }
            _ => Err(rest),
        }
    }

    /// The first byte of a MessagePack map cannot begin a JSON object, nor the other way round.
    fn detect(&mut self) {
        if self.detected {
            return;
        }
        let Some(first) = self.buffer.first() else {
            return;
        };
        self.detected = true;
        match first {
            0x80..=0x8f | 0xde | 0xdf => self.serializer = Serializer::MessagePack,
            b'{' => self.serializer = Serializer::Json,
            _ => {}
        }
    }
}

// === impl Lines ===

impl Lines {
    fn search(&mut self, buffer: &mut BytesMut) -> Option<Bytes> {
        loop {
            if self.skip_line_feed && self.scanned < buffer.len() {
                self.skip_line_feed = false;
                if buffer.get(self.scanned) == Some(&b'\n') {
                    match self.scanned {
                        // It belongs to the message before.
                        0 => buffer.advance(1),
                        _ => self.scanned += 1,
                    }
                    self.line_start = self.scanned;
                }
            }
            let unseen = buffer.get(self.scanned..).unwrap_or_default();
            let Some(offset) = memchr::memchr2(b'\n', b'\r', unseen) else {
                self.scanned = buffer.len();
                return None;
            };
            let line_end = self.scanned + offset;
            self.skip_line_feed = buffer.get(line_end) == Some(&b'\r');
            self.has_returns |= self.skip_line_feed;
            let is_end = buffer.get(self.line_start..line_end) == Some(b"end");
            self.scanned = line_end + 1;
            if is_end {
                let message = buffer.split_to(self.line_start).freeze();
                buffer.advance(self.scanned - self.line_start);
                self.scanned = 0;
                self.line_start = 0;
                let has_returns = std::mem::take(&mut self.has_returns);
                return Some(joined(message, has_returns));
            }
            self.line_start = self.scanned;
        }
    }
}

/// Lines with whatever ends they had, as lines joined by LF.
fn joined(mut lines: Bytes, has_returns: bool) -> Bytes {
    if has_returns {
        let mut text = Vec::with_capacity(lines.len());
        let mut previous = b' ';
        for byte in &lines {
            match byte {
                b'\n' if previous == b'\r' => {}
                b'\r' => text.push(b'\n'),
                _ => text.push(*byte),
            }
            previous = *byte;
        }
        lines = text.into();
    }
    if lines.last() == Some(&b'\n') {
        lines.truncate(lines.len() - 1);
    }
    lines
}

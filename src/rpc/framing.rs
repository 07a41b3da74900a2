//! Where messages begin and end in a stream of bytes, and the two moves on a stream: fill and send.
//!
//! `Inbound` is pure: bytes in, whole messages out. Deadlines are its callers' business, and what a
//! message means is `wire`'s.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::wire::WireError;
use crate::wire::scan::Scanner;

/// How messages stand in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A 4-byte big-endian length before each message: the default transport (control-plane 1.1).
    Framed,
    /// One after the other; each ends where its struct ends: inside TLS (control-plane 1.5).
    Unframed,
}

/// Bytes of one connection on their way in. Its memory follows the bytes that arrived, never a
/// length that the peer announced.
#[derive(Debug)]
pub struct Inbound {
    form: Form,
    bytes_max: usize,
    buffer: BytesMut,
    /// How far an unframed message is known.
    scanner: Scanner,
}

/// The stream cannot be a stream of messages, or not one for us. The connection has to be closed.
#[derive(Debug, thiserror::Error)]
pub enum FramingError {
    /// Also what an HTTP request, an SSH banner or a TLS hello looks like on a framed port.
    #[error("a frame announces {length} bytes; 1 to {bytes_max} are accepted{}", guess(*length))]
    Length { length: i32, bytes_max: usize },
    #[error("no message: {0}")]
    Message(#[source] WireError),
}

// === impl Inbound ===

impl Inbound {
    /// Messages of up to `bytes_max` bytes, without their length.
    pub fn new(form: Form, bytes_max: usize) -> Self {
        Inbound {
            form,
            bytes_max,
            buffer: BytesMut::new(),
            scanner: Scanner::message(bytes_max),
        }
    }

    /// Bytes that arrived and are not yet part of a message handed out.
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// Takes bytes that arrived.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Room for more bytes of the stream: as much again as already arrived, within bounds.
    pub fn room(&mut self) -> &mut BytesMut {
        let earned = self.buffer.len().clamp(ROOM_MIN, ROOM_MAX);
        self.buffer.reserve(earned);
        &mut self.buffer
    }

    /// The next whole message, if all of it is there.
    pub fn poll_message(&mut self) -> Result<Option<Bytes>, FramingError> {
        match self.form {
            Form::Framed => self.poll_frame(),
            Form::Unframed => self.poll_unframed(),
        }
    }

    fn poll_frame(&mut self) -> Result<Option<Bytes>, FramingError> {
        let Some(header) = self.buffer.first_chunk::<FRAME_HEADER_BYTES>() else {
            return Ok(None);
        };
        let announced = i32::from_be_bytes(*header);
        let length = match usize::try_from(announced) {
            Ok(length) if length > 0 && length <= self.bytes_max => length,
            _ => {
                return Err(FramingError::Length {
                    length: announced,
                    bytes_max: self.bytes_max,
                });
            }
        };
        if self.buffer.len() - FRAME_HEADER_BYTES < length {
            return Ok(None);
        }
        self.buffer.advance(FRAME_HEADER_BYTES);
        Ok(Some(self.split(length)))
    }

    fn poll_unframed(&mut self) -> Result<Option<Bytes>, FramingError> {
        let end = self.scanner.scan(&self.buffer);
        let Some(end) = end.map_err(FramingError::Message)? else {
            return Ok(None);
        };
        self.scanner = Scanner::message(self.bytes_max);
        Ok(Some(self.split(end)))
    }

    /// The first `length` bytes, which must be there. An empty rest gives its memory back: a
    /// connection that idles owns no buffer.
    fn split(&mut self, length: usize) -> Bytes {
        let message = self.buffer.split_to(length).freeze();
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        message
    }
}

/// Waits for bytes and takes them; 0 means that the peer ended the stream. Can be dropped at any
/// time without losing bytes.
pub async fn fill<S>(stream: &mut S, inbound: &mut Inbound) -> io::Result<usize>
where
    S: AsyncRead + Unpin,
{
    if inbound.held() > 0 {
        return stream.read_buf(inbound.room()).await;
    }
    // Most connections wait here, most requests are small: a few bytes on the task instead of a
    // buffer.
    let mut first = [0; FIRST_BYTES];
    let n_read = stream.read(&mut first).await?;
    inbound.handle_bytes(first.get(..n_read).unwrap_or_default());
    Ok(n_read)
}

/// Sends one message whole. Dropped half-way, it leaves a stream that cannot be used again.
pub async fn send<S>(stream: &mut S, form: Form, message: &[u8]) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    match form {
        Form::Framed => {
            let length = i32::try_from(message.len())
                .map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
            let header = length.to_be_bytes();
            let mut frame = Buf::chain(header.as_slice(), message);
            stream.write_all_buf(&mut frame).await?;
        }
        Form::Unframed => stream.write_all(message).await?,
    }
    stream.flush().await
}

const FRAME_HEADER_BYTES: usize = 4;
const FIRST_BYTES: usize = 512;
const ROOM_MIN: usize = 4096;
const ROOM_MAX: usize = 65_536;

/// What a client probably sent whose first four bytes are no length: the start of another protocol.
fn guess(length: i32) -> &'static str {
    match &length.to_be_bytes() {
        [0x80, 0x01, 0x00, _] => {
            ". This is a Thrift message without a frame: give the client a framed transport \
             (TFramedTransport)"
        }
        [0x82, 0x21, ..] => {
            ". This is Thrift's compact protocol without a frame: give the client TBinaryProtocol \
             and a framed transport"
        }
        [0x16, 0x03, ..] => ". This is TLS: connect without it, or to the TLS port",
        b"GET " | b"POST" | b"PUT " | b"HEAD" | b"HTTP" => {
            ". This is HTTP: this port speaks Thrift, the port of HTTP is another"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as i32).to_be_bytes().to_vec();
        bytes.extend_from_slice(payload);
        bytes
    }

    fn refused(header: [u8; 4]) -> i32 {
        let mut inbound = Inbound::new(Form::Framed, 1000);
        inbound.handle_bytes(&header);
        match inbound.poll_message().unwrap_err() {
            FramingError::Length { length, .. } => length,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn another_protocol_is_named_with_what_to_change() {
        let told = |header: [u8; 4]| {
            let mut inbound = Inbound::new(Form::Framed, 1000);
            inbound.handle_bytes(&header);
            inbound.poll_message().unwrap_err().to_string()
        };
        for (header, wanted) in [
            ([0x80, 0x01, 0x00, 0x01], "TFramedTransport"),
            ([0x82, 0x21, 0x01, 0x00], "TBinaryProtocol"),
            ([0x16, 0x03, 0x01, 0x00], "TLS port"),
            (*b"GET ", "HTTP"),
        ] {
            assert!(told(header).contains(wanted), "{}", told(header));
        }
        assert!(told(*b"SSH-").ends_with("are accepted"));
    }

    #[test]
    fn frames_come_out_whole_however_they_were_cut() {
        let mut stream = frame(b"one");
        stream.extend(frame(b"second"));
        for cut in 1..=stream.len() {
            let mut inbound = Inbound::new(Form::Framed, 1000);
            let mut messages = Vec::new();
            for piece in stream.chunks(cut) {
                inbound.handle_bytes(piece);
                while let Some(message) = inbound.poll_message().unwrap() {
                    messages.push(message);
                }
            }
            assert_eq!(messages, [&b"one"[..], b"second"], "cut every {cut} bytes");
            assert_eq!(inbound.held(), 0);
        }
    }

    #[test]
    fn unframed_messages_end_where_their_struct_ends() {
        // A call of `m` with one string of two bytes, and one without fields.
        let first =
            b"\x80\x01\x00\x01\x00\x00\x00\x01m\x00\x00\x00\x07\x0b\x00\x01\x00\x00\x00\x02hi\x00";
        let second = b"\x80\x01\x00\x01\x00\x00\x00\x01m\x00\x00\x00\x08\x00";
        let stream = [&first[..], second].concat();
        for cut in 1..=stream.len() {
            let mut inbound = Inbound::new(Form::Unframed, 1000);
            let mut messages = Vec::new();
            for piece in stream.chunks(cut) {
                inbound.handle_bytes(piece);
                while let Some(message) = inbound.poll_message().unwrap() {
                    messages.push(message);
                }
            }
            assert_eq!(messages, [&first[..], second], "cut every {cut} bytes");
        }
        let mut inbound = Inbound::new(Form::Unframed, 1000);
        inbound.handle_bytes(b"GET / HTTP/1.1\r\n\r\n");
        assert!(inbound.poll_message().is_err());
        let mut inbound = Inbound::new(Form::Unframed, 20);
        inbound.handle_bytes(first);
        assert!(inbound.poll_message().is_err(), "longer than allowed");
    }

    #[test]
    fn lengths_out_of_bounds_are_refused_before_their_bytes_come() {
        assert_eq!(refused([0, 0, 0, 0]), 0);
        assert_eq!(refused([0xff; 4]), -1);
        assert_eq!(refused(1001i32.to_be_bytes()), 1001);
        assert_eq!(refused(*b"GET "), 1_195_725_856);
        assert_eq!(refused(*b"SSH-"), 1_397_966_893);
        let mut inbound = Inbound::new(Form::Framed, 1000);
        inbound.handle_bytes(&frame(&[7; 1000]));
        assert_eq!(inbound.poll_message().unwrap().unwrap().len(), 1000);
    }

    #[test]
    fn memory_follows_the_bytes_that_arrived() {
        let mut inbound = Inbound::new(Form::Framed, 16_384_000);
        inbound.handle_bytes(&16_384_000i32.to_be_bytes());
        assert!(inbound.poll_message().unwrap().is_none());
        assert!(inbound.room().capacity() <= 2 * ROOM_MIN);
        inbound.handle_bytes(&[0; 100_000]);
        assert!(inbound.poll_message().unwrap().is_none());
        assert!(inbound.room().capacity() <= 400_000);
    }

    #[test]
    fn an_idle_connection_owns_no_buffer() {
        let mut inbound = Inbound::new(Form::Framed, 1000);
        inbound.handle_bytes(&frame(b"one"));
        drop(inbound.poll_message().unwrap());
        assert_eq!(inbound.buffer.capacity(), 0);
    }
}

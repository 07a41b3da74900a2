//! The envelope of a call: headers, replies, and TApplicationException for what no IDL declares.
//!
//! Reads strict and legacy headers, writes strict ones. The generated dispatchers and clients
//! stand on `Request` and `Link`; sockets and frames are not known here.

use bytes::Bytes;
use thrift::protocol::TMessageType;

use super::{Input, Output, TType, Text, Wire, WireError, code, scan};
use crate::rpc::{Channel, Close, Failure};

/// What stands before the struct of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Of the method.
    pub name: String,
    /// Call 1, reply 2, exception 3, oneway 4. Servers do not look at it (control-plane 1.3).
    pub kind: u8,
    pub seqid: i32,
}

/// A call that came in.
#[derive(Debug)]
pub struct Request {
    header: Header,
    arguments: Bytes,
    /// Why the arguments cannot be decoded.
    refused: Option<WireError>,
}

/// The end of a channel that a generated client holds.
#[derive(Debug)]
pub struct Link<C> {
    channel: C,
    seqid: i32,
}

/// What Thrift answers with when the IDL has no word for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationException {
    pub message: String,
    pub kind: i32,
}

/// Splits a message into its header and what follows.
pub fn read_header(message: &[u8]) -> Result<(Header, &[u8]), WireError> {
    let (first, rest) = split_i32(message)?;
    if let Ok(n) = usize::try_from(first) {
        let (name, rest) = rest.split_at_checked(n).ok_or(WireError::EndsEarly)?;
        let (kind, rest) = rest.split_first().ok_or(WireError::EndsEarly)?;
        return header(name, *kind, rest);
    }
    let [high, low, _, kind] = first.to_be_bytes();
    if [high, low] != STRICT_1 {
        return Err(WireError::Version);
    }
    let (n, rest) = split_i32(rest)?;
    let n = usize::try_from(n).map_err(|_| WireError::NegativeLength(n))?;
    let (name, rest) = rest.split_at_checked(n).ok_or(WireError::EndsEarly)?;
    header(name, kind, rest)
}

fn header<'a>(name: &[u8], kind: u8, rest: &'a [u8]) -> Result<(Header, &'a [u8]), WireError> {
    let (seqid, rest) = split_i32(rest)?;
    let name = String::from_utf8_lossy(name).into_owned();
    Ok((Header { name, kind, seqid }, rest))
}

fn split_i32(bytes: &[u8]) -> Result<(i32, &[u8]), WireError> {
    let (word, rest) = bytes.split_first_chunk().ok_or(WireError::EndsEarly)?;
    Ok((i32::from_be_bytes(*word), rest))
}

/// A call; `arguments` writes the fields of the struct of arguments.
pub fn write_call(
    name: &str,
    seqid: i32,
    arguments: impl FnOnce(&mut Output) -> Result<(), WireError>,
) -> Result<Bytes, WireError> {
    let mut out = Output::new();
    out.message_begin(name, TMessageType::Call, seqid)?;
    out.struct_begin()?;
    arguments(&mut out)?;
    out.struct_end()?;
    Ok(out.into_bytes())
}

pub fn write_reply<T: Wire>(name: &str, seqid: i32, result: &T) -> Result<Bytes, WireError> {
    let mut out = Output::new();
    out.message_begin(name, TMessageType::Reply, seqid)?;
    result.write(&mut out)?;
    Ok(out.into_bytes())
}

/// The answer to a call that failed: an exception, or the empty result that Java gives for null.
pub fn write_failure(name: &str, seqid: i32, failure: &Failure) -> Result<Bytes, WireError> {
    let (kind, message) = match failure {
        Failure::NoResult => return write_reply(name, seqid, &Empty),
        Failure::UnknownMethod(_) => (UNKNOWN_METHOD, failure.to_string()),
        Failure::Protocol(message) => (PROTOCOL_ERROR, message.clone()),
        Failure::Internal(cause) if cause.is_empty() => (INTERNAL_ERROR, internal(name)),
        Failure::Internal(_) | Failure::Transport(_) => {
            let text = format!("{}: {failure}", internal(name));
            (INTERNAL_ERROR, text)
        }
    };
    let mut out = Output::new();
    out.message_begin(name, TMessageType::Exception, seqid)?;
    ApplicationException { message, kind }.write(&mut out)?;
    Ok(out.into_bytes())
}

fn internal(name: &str) -> String {
    format!("Internal error processing {name}")
}

/// The result of the call `seqid` from the message that answers it.
fn read_reply<T: Wire>(message: &[u8], seqid: i32) -> Result<T, Failure> {
    let (header, body) = read_header(message)?;
    if header.seqid != seqid {
        let text = format!("reply {} to call {seqid}", header.seqid);
        return Err(Failure::Protocol(text));
    }
    if header.kind != u8::from(TMessageType::Exception) {
        return Ok(super::from_bytes(body)?);
    }
    let exception: ApplicationException = super::from_bytes(body)?;
    Err(match exception.kind {
        UNKNOWN_METHOD => Failure::UnknownMethod(header.name),
        MISSING_RESULT => Failure::NoResult,
        PROTOCOL_ERROR => Failure::Protocol(exception.message),
        _ => Failure::Internal(exception.message),
    })
}

// === impl Request ===

impl Request {
    /// Refuses what must close the connection; arguments that cannot be decoded are kept for a
    /// reply.
    pub fn open(message: &Bytes) -> Result<Self, Close> {
        let (header, body) = read_header(message).map_err(|error| Close(error.to_string()))?;
        let refused = match scan::value_end(body, code(TType::Struct)) {
            Ok(_) => None,
            Err(error) if error.closes() => return Err(Close(error.to_string())),
            Err(error) => Some(error),
        };
        Ok(Request {
            header,
            arguments: message.slice_ref(body),
            refused,
        })
    }

    pub fn method(&self) -> &str {
        &self.header.name
    }

    /// Decodes the arguments and lets go of their bytes. Bytes after them are ignored.
    pub fn arguments<A: Wire>(&mut self) -> Result<A, Failure> {
        if let Some(error) = self.refused.take() {
            return Err(error.into());
        }
        let bytes = std::mem::take(&mut self.arguments);
        Ok(A::read(&mut Input::of_call(&bytes))?)
    }

    pub fn unknown_method(&self) -> Failure {
        Failure::UnknownMethod(self.header.name.clone())
    }

    pub fn reply<T: Wire>(&self, result: &T) -> Result<Bytes, Failure> {
        let reply = write_reply(&self.header.name, self.header.seqid, result);
        reply.map_err(|error| Failure::Internal(error.to_string()))
    }

    /// The bytes to send for an outcome.
    pub fn answer(&self, outcome: Result<Bytes, Failure>) -> Result<Bytes, Close> {
        let Header { name, seqid, .. } = &self.header;
        let reply = outcome.or_else(|failure| write_failure(name, *seqid, &failure));
        reply.map_err(|error| Close(error.to_string()))
    }
}

// === impl Link ===

impl<C: Channel> Link<C> {
    pub fn new(channel: C) -> Self {
        Link { channel, seqid: 0 }
    }

    pub fn channel(&mut self) -> &mut C {
        &mut self.channel
    }

    pub fn into_channel(self) -> C {
        self.channel
    }

    /// One call: `arguments` writes the fields of the struct of arguments.
    pub async fn call<R: Wire>(
        &mut self,
        name: &str,
        arguments: impl FnOnce(&mut Output) -> Result<(), WireError>,
    ) -> Result<R, Failure> {
        self.seqid = self.seqid.wrapping_add(1);
        let message = write_call(name, self.seqid, arguments)?;
        let reply = self.channel.call(message).await?;
        read_reply(&reply, self.seqid)
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Failure::Protocol(error.to_string())
    }
}

// === impl ApplicationException ===

impl Wire for ApplicationException {
    const TYPE: TType = TType::Struct;

    fn write(&self, out: &mut Output) -> Result<(), WireError> {
        out.struct_begin()?;
        out.field(1, &self.message)?;
        out.field(2, &self.kind)?;
        out.struct_end()
    }

    fn read(input: &mut Input<'_>) -> Result<Self, WireError> {
        let (mut message, mut exception_kind) = (None, None);
        input.struct_begin()?;
        while let Some((id, kind)) = input.field_begin()? {
            match id {
                1 => input.field(kind, &mut message)?,
                2 => input.field(kind, &mut exception_kind)?,
                _ => input.skip(kind)?,
            }
        }
        input.struct_end()?;
        Ok(ApplicationException {
            message: message.unwrap_or_default(),
            kind: exception_kind.unwrap_or_default(),
        })
    }

    fn describe(&self, text: &mut Text) {
        text.push(&self.message);
    }
}

/// A struct without fields.
#[derive(Default)]
struct Empty;

impl Wire for Empty {
    const TYPE: TType = TType::Struct;

    fn write(&self, out: &mut Output) -> Result<(), WireError> {
        out.struct_begin()?;
        out.struct_end()
    }

    fn read(input: &mut Input<'_>) -> Result<Self, WireError> {
        input.skip(TType::Struct)?;
        Ok(Empty)
    }

    fn describe(&self, _text: &mut Text) {}
}

/// First bytes of a strict header.
const STRICT_1: [u8; 2] = [0x80, 0x01];

// Types of TApplicationException.
pub const UNKNOWN_METHOD: i32 = 1;
pub const MISSING_RESULT: i32 = 5;
pub const INTERNAL_ERROR: i32 = 6;
pub const PROTOCOL_ERROR: i32 = 7;

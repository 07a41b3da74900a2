//! Thrift's binary protocol: the generated types, how they are read and written, and where a
//! message ends.
//!
//! Bytes come in as whole slices; nothing here knows a socket. Every length, count and depth in
//! them is held against the bytes that are really there before anything is allocated (`scan`).

mod base;
mod generated;
mod input;
pub mod message;
mod open;
mod output;
pub mod scan;
pub mod stored;
mod text;

#[cfg(test)]
pub(crate) mod tests;

use bytes::Bytes;
pub use thrift::protocol::TType;

use crate::limits;

pub use generated::{messages, storm};
pub use input::{Input, Required};
pub use open::{Enumeration, Open};
pub use output::Output;
pub use text::Text;

/// A type that goes over the wire.
pub trait Wire: Default {
    /// Its type in field and container headers.
    const TYPE: TType;

    /// What Java shows for a field of this type that is not set.
    const ABSENT: &'static str = "null";

    fn write(&self, out: &mut Output) -> Result<(), WireError>;

    fn read(input: &mut Input<'_>) -> Result<Self, WireError>;

    /// Adds what Java's `toString` shows of the value: error texts hold it (control-plane 1.3).
    fn describe(&self, text: &mut Text);

    /// Whether a value whose type byte was `TYPE` is one of these: containers look at the types of
    /// their elements.
    fn fits(_rest: &[u8]) -> bool {
        true
    }

    /// The value that stands at the start of `rest` as a number of another width, if it is one of
    /// these all the same.
    fn of_other_width(_kind: TType, _rest: &[u8]) -> Option<Self> {
        None
    }
}

/// Why bytes are not what they should be. The texts go to the peer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    #[error("the message ends too early")]
    EndsEarly,
    #[error("not a message of the binary protocol, version 1")]
    Version,
    #[error("Negative length: {0}")]
    NegativeLength(i32),
    #[error("Unrecognized type {0}")]
    UnrecognizedType(u8),
    #[error("nested deeper than {} levels", limits::WIRE_DEPTH_MAX)]
    TooDeep,
    #[error("larger than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    /// `shown` is what Java's `toString` gives for what was read.
    #[error("Required field '{field}' is unset! Struct:{shown}")]
    RequiredFieldMissing { field: &'static str, shown: String },
    #[error("a container inside another holds elements of type {found} instead of {expected}")]
    ElementType { found: u8, expected: u8 },
    /// Refused by the protocol underneath.
    #[error("{0}")]
    Protocol(String),
}

/// The value in binary protocol, without a header: the form of records on disk.
pub fn to_bytes<T: Wire>(value: &T) -> Result<Bytes, WireError> {
    let mut out = Output::new();
    value.write(&mut out)?;
    Ok(out.into_bytes())
}

/// Reads what `to_bytes` wrote, from any writer of the protocol. Bytes after the value are ignored.
pub fn from_bytes<T: Wire>(bytes: &[u8]) -> Result<T, WireError> {
    scan::value_end(bytes, code(T::TYPE))?;
    T::read(&mut Input::new(bytes))
}

/// Reads and writes again: what a type makes of a peer's bytes.
pub fn recode<T: Wire>(bytes: &[u8]) -> Result<Bytes, WireError> {
    to_bytes(&from_bytes::<T>(bytes)?)
}

/// A method of a service, for tables of authorisation and for tests that go over all of them.
#[derive(Debug)]
pub struct Method {
    /// As in the IDL.
    pub name: &'static str,
    /// Reads and writes again the struct of its arguments.
    pub recode_arguments: fn(&[u8]) -> Result<Bytes, WireError>,
    /// Reads and writes again the struct of its result.
    pub recode_reply: fn(&[u8]) -> Result<Bytes, WireError>,
}

/// The byte that stands for a type.
pub(crate) fn code(kind: TType) -> u8 {
    match kind {
        TType::Stop => 0,
        TType::Void => 1,
        TType::Bool => 2,
        TType::I08 => 3,
        TType::Double => 4,
        TType::I16 => 6,
        TType::I32 => 8,
        TType::I64 => 10,
        TType::String | TType::Utf7 => 11,
        TType::Struct => 12,
        TType::Map => 13,
        TType::Set => 14,
        TType::List => 15,
        TType::Uuid => 16,
    }
}

// === impl WireError ===

impl WireError {
    /// The sender has not sent a whole message, or none of this protocol: Java's servers close the
    /// connection without a reply (control-plane 1.3).
    pub fn closes(&self) -> bool {
        matches!(self, WireError::EndsEarly | WireError::Version)
    }
}

impl From<thrift::Error> for WireError {
    fn from(error: thrift::Error) -> Self {
        match error {
            thrift::Error::Transport(_) => WireError::EndsEarly,
            thrift::Error::Protocol(error) => match error.kind {
                thrift::ProtocolErrorKind::DepthLimit => WireError::TooDeep,
                _ => WireError::Protocol(error.message),
            },
            other => WireError::Protocol(other.to_string()),
        }
    }
}

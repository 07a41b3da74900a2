//! SASL as Thrift carries it: who is there is settled before the first call (control-plane 1.4).
//!
//! Pure: messages in, messages out; sockets are `rpc`'s. Mechanisms are PLAIN and DIGEST-MD5, and
//! nothing is wrapped after the negotiation.

mod challenge;
pub mod client;
mod digest;
pub mod server;

use crate::limits;

/// What stands before each message of the negotiation.
pub const HEADER_BYTES: usize = 5;

/// One message of a negotiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub status: Status,
    pub payload: Vec<u8>,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The mechanism that the client wants.
    Start,
    /// Go on: a challenge or a response.
    Ok,
    /// Not authenticated; the payload says why.
    Bad,
    /// Something else went wrong; the payload says what.
    Error,
    /// The sender has all it needs.
    Complete,
}

/// Bytes that are no such message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error("status {0} is none of the negotiation's; the peer speaks another transport")]
    Status(u8),
    #[error("a message announces {announced} bytes; {bytes_max} at most are read before a login")]
    Length { announced: u32, bytes_max: usize },
}

// === impl Message ===

impl Message {
    pub fn new(status: Status, payload: impl Into<Vec<u8>>) -> Self {
        Message {
            status,
            payload: payload.into(),
        }
    }

    /// Status and length of the payload that follows.
    pub fn header(bytes: [u8; HEADER_BYTES]) -> Result<(Status, usize), MessageError> {
        let [status, length @ ..] = bytes;
        let status = Status::of(status).ok_or(MessageError::Status(status))?;
        let announced = u32::from_be_bytes(length);
        let bytes_max = limits::SASL_MESSAGE_BYTES_MAX;
        match usize::try_from(announced) {
            Ok(length) if length <= bytes_max => Ok((status, length)),
            _ => Err(MessageError::Length {
                announced,
                bytes_max,
            }),
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        let mut bytes = vec![self.status.code()];
        bytes.extend(length.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

// === impl Status ===

impl Status {
    fn of(code: u8) -> Option<Self> {
        Some(match code {
            1 => Status::Start,
            2 => Status::Ok,
            3 => Status::Bad,
            4 => Status::Error,
            5 => Status::Complete,
            _ => return None,
        })
    }

    fn code(self) -> u8 {
        match self {
            Status::Start => 1,
            Status::Ok => 2,
            Status::Bad => 3,
            Status::Error => 4,
            Status::Complete => 5,
        }
    }
}

/// Names of the mechanisms.
const PLAIN: &str = "PLAIN";
const DIGEST: &str = "DIGEST-MD5";

/// Storm's name of its services and of their realm.
const SERVICE: &str = "storm_thrift_server";
const REALM: &str = "localhost";

#[cfg(test)]
mod tests;

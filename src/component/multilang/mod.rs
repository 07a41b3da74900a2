//! Storm's multilang protocol: the messages between a worker and a child process in any language.
//!
//! Pure: bytes in, messages out, and the other way round. Starting children, pipes, time-outs and
//! what a message does to a topology are in `shell`.

pub mod answer;
pub mod framing;
pub mod handshake;
pub mod json_read;
pub mod json_write;
pub mod message;
pub mod msgpack;
pub mod node;
mod number;
pub mod write;

pub use answer::{Answer, Outcome};
pub use framing::{Framer, FramingError};
pub use handshake::Handshake;
pub use json_write::{BytesPolicy, UnwritableError};
pub use message::{Command, Fault, FromChild, LogLevel, ProtocolError};
pub use write::{Encoder, Envelope, SpoutCommand, TupleSource};

/// How messages become bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Serializer {
    #[default]
    Json,
    MessagePack,
}

/// `topology.multilang.serializer` names a class that we have no equal of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "topology.multilang.serializer is {class}: only JSON ({JSON_CLASS}) and MessagePack \
     ({MESSAGE_PACK_CLASS}) are spoken here, not serializers in Java"
)]
pub struct UnknownSerializerError {
    pub class: String,
}

// === impl Serializer ===

impl Serializer {
    /// The serializer that stands behind a Java class name, in any of the packages it has lived in.
    pub fn from_class(class: &str) -> Result<Self, UnknownSerializerError> {
        match class {
            JSON_CLASS | "backtype.storm.multilang.JsonSerializer" => Ok(Serializer::Json),
            MESSAGE_PACK_CLASS
            | "org.apache.storm.multilang.MessagePackSerializer"
            | "backtype.storm.multilang.MessagePackSerializer" => Ok(Serializer::MessagePack),
            _ => Err(UnknownSerializerError {
                class: class.to_owned(),
            }),
        }
    }

    /// The serializer of one component: its script's own word wins over the topology's setting,
    /// since the child will speak what it was told (streamparse's `-s msgpack`).
    pub fn for_script(self, script: &str) -> Self {
        let mut words = script.split_whitespace();
        while let Some(word) = words.next() {
            let named = match word {
                "-s" | "--serializer" => words.next(),
                _ => word
                    .strip_prefix("--serializer=")
                    .or_else(|| word.strip_prefix("-s=")),
            };
            match named {
                Some("msgpack") => return Serializer::MessagePack,
                Some("json") => return Serializer::Json,
                _ => {}
            }
        }
        self
    }
}

const JSON_CLASS: &str = "org.apache.storm.multilang.JsonSerializer";
const MESSAGE_PACK_CLASS: &str = "com.yelp.pyleus.serializer.MessagePackSerializer";

#[cfg(test)]
mod tests;

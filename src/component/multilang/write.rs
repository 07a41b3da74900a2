//! Writes messages for a child, framing included, in either serializer.
//!
//! Appends to a buffer that the caller sends; what cannot be written leaves the buffer as it was.

use crate::component::multilang::handshake::Handshake;
use crate::component::multilang::json_write::{self, BytesPolicy, UnwritableError};
use crate::component::multilang::{Serializer, msgpack};
use crate::id::TaskId;
use crate::tuple::ValueRef;

/// How one child is written to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Encoder {
    pub serializer: Serializer,
    pub bytes: BytesPolicy,
}

/// Where a tuple comes from.
#[derive(Debug, Clone, Copy)]
pub struct TupleSource<'a> {
    /// None for heartbeats: the key has to be there and null, adapters read it.
    pub component: Option<&'a str>,
    pub stream: &'a str,
    pub task: TaskId,
}

/// A tuple's message but for its values and its id: what all tuples of one source have in common,
/// written once.
#[derive(Debug)]
pub struct Envelope {
    encoder: Encoder,
    /// Up to the values.
    head: Vec<u8>,
    /// From the values to the id.
    between: Vec<u8>,
}

/// What a spout's child is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoutCommand {
    Next,
    Ack,
    Fail,
    Activate,
    Deactivate,
}

// === impl Encoder ===

impl Encoder {
    /// The first message that a child gets.
    pub fn handshake(
        self,
        out: &mut Vec<u8>,
        handshake: &Handshake,
    ) -> Result<(), UnwritableError> {
        self.framed(out, |message| message.value(handshake.as_value().as_ref()))
    }

    /// What keeps a silent bolt's child talking.
    pub fn heartbeat(self, out: &mut Vec<u8>, id: &str) {
        let source = TupleSource {
            component: None,
            stream: "__heartbeat",
            task: TaskId::SYSTEM,
        };
        let written = Envelope::new(self, source).tuple(out, id, [].into_iter());
        debug_assert!(written.is_ok(), "a heartbeat has no bytes in it");
    }

    /// The tasks that got what the child emitted.
    pub fn task_ids(self, out: &mut Vec<u8>, tasks: &[TaskId]) {
        let written = self.framed(out, |message| {
            message.list(tasks.iter().map(|task| ValueRef::Int(task.0)))
        });
        debug_assert!(written.is_ok(), "numbers can be written");
    }

    /// A command for a spout's child. Commands that concern no tuple have an empty text as id.
    pub fn command(
        self,
        out: &mut Vec<u8>,
        command: SpoutCommand,
        id: ValueRef<'_>,
    ) -> Result<(), UnwritableError> {
        self.framed(out, |message| {
            message.map(&[("id", id), ("command", ValueRef::Str(command.name()))])
        })
    }

    fn framed(
        self,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Message<'_>) -> Result<(), UnwritableError>,
    ) -> Result<(), UnwritableError> {
        let start = out.len();
        let written = write(&mut Message { encoder: self, out });
        match written {
            Err(_) => out.truncate(start),
            Ok(()) if self.serializer == Serializer::Json => out.extend_from_slice(b"\nend\n"),
            Ok(()) => {}
        }
        written
    }
}

// === impl Envelope ===

impl Envelope {
    pub fn new(encoder: Encoder, source: TupleSource<'_>) -> Self {
        let (mut head, mut between) = (Vec::new(), Vec::new());
        let component = source.component.map_or(ValueRef::Null, ValueRef::Str);
        let mut message = Message {
            encoder,
            out: &mut head,
        };
        // The order of the keys is Storm's.
        message.open_map(5);
        let mut is_written = message.entry("comp", component, Position::First);
        message.key("tuple", Position::Later);
        message.out = &mut between;
        let rest = [
            ("task", ValueRef::Int(source.task.0)),
            ("stream", ValueRef::Str(source.stream)),
        ];
        for (key, value) in rest {
            is_written = is_written.and(message.entry(key, value, Position::Later));
        }
        message.key("id", Position::Later);
        debug_assert!(is_written.is_ok(), "there are no bytes in it");
        Envelope {
            encoder,
            head,
            between,
        }
    }

    /// A tuple for a bolt's child, which acks, fails and anchors by `id`.
    pub fn tuple<'v>(
        &self,
        out: &mut Vec<u8>,
        id: &str,
        values: impl ExactSizeIterator<Item = ValueRef<'v>>,
    ) -> Result<(), UnwritableError> {
        self.encoder.framed(out, |message| {
            message.out.extend_from_slice(&self.head);
            message.list(values)?;
            message.out.extend_from_slice(&self.between);
            message.value(ValueRef::Str(id))?;
            message.close(b'}');
            Ok(())
        })
    }
}

// === impl SpoutCommand ===

impl SpoutCommand {
    fn name(self) -> &'static str {
        match self {
            SpoutCommand::Next => "next",
            SpoutCommand::Ack => "ack",
            SpoutCommand::Fail => "fail",
            SpoutCommand::Activate => "activate",
            SpoutCommand::Deactivate => "deactivate",
        }
    }
}

/// A message under construction.
struct Message<'o> {
    encoder: Encoder,
    out: &'o mut Vec<u8>,
}

// === impl Message ===

impl Message<'_> {
    fn map(&mut self, entries: &[(&'static str, ValueRef<'_>)]) -> Result<(), UnwritableError> {
        self.open_map(entries.len());
        let mut position = Position::First;
        for (key, value) in entries {
            self.entry(key, *value, position)?;
            position = Position::Later;
        }
        self.close(b'}');
        Ok(())
    }

    fn list<'v>(
        &mut self,
        values: impl ExactSizeIterator<Item = ValueRef<'v>>,
    ) -> Result<(), UnwritableError> {
        match self.encoder.serializer {
            Serializer::Json => self.out.push(b'['),
            Serializer::MessagePack => msgpack::write_array_head(self.out, values.len()),
        }
        let mut position = Position::First;
        for value in values {
            self.comma(position);
            position = Position::Later;
            self.value(value)?;
        }
        self.close(b']');
        Ok(())
    }

    fn value(&mut self, value: ValueRef<'_>) -> Result<(), UnwritableError> {
        match self.encoder.serializer {
            Serializer::Json => json_write::write(self.out, value, self.encoder.bytes),
            Serializer::MessagePack => {
                msgpack::write(self.out, value);
                Ok(())
            }
        }
    }

    fn entry(
        &mut self,
        key: &'static str,
        value: ValueRef<'_>,
        position: Position,
    ) -> Result<(), UnwritableError> {
        self.key(key, position);
        self.value(value)
    }

    fn key(&mut self, key: &'static str, position: Position) {
        self.comma(position);
        match self.encoder.serializer {
            // Our keys have nothing to escape.
            Serializer::Json => {
                self.out.push(b'"');
                self.out.extend_from_slice(key.as_bytes());
                self.out.extend_from_slice(b"\":");
            }
            Serializer::MessagePack => msgpack::write_text(self.out, key),
        }
    }

    fn open_map(&mut self, n_entries: usize) {
        match self.encoder.serializer {
            Serializer::Json => self.out.push(b'{'),
            Serializer::MessagePack => msgpack::write_map_head(self.out, n_entries),
        }
    }

    fn comma(&mut self, position: Position) {
        if self.encoder.serializer == Serializer::Json && position == Position::Later {
            self.out.push(b',');
        }
    }

    fn close(&mut self, bracket: u8) {
        if self.encoder.serializer == Serializer::Json {
            self.out.push(bracket);
        }
    }
}

/// Whether a comma goes before an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    First,
    Later,
}

//! Writes messages for a child, framing included, in either serializer.
//!
//! Appends to a buffer that the caller sends; what cannot be written leaves the buffer as it was.

use crate::component::multilang::handshake::Handshake;
use crate::component::multilang::json_write::{self, BytesPolicy, UnwritableError};
use crate::component::multilang::{Serializer, msgpack};
use crate::id::TaskId;
use crate::tuple::ValueRef;

/// How one child is written to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Encoder {
    pub serializer: Serializer,
    pub bytes: BytesPolicy,
}

/// Everything about a tuple but its values.
#[derive(Debug, Clone, Copy)]
pub struct TupleSource<'a> {
    pub component: &'a str,
    pub stream: &'a str,
    pub task: TaskId,
    /// What the child acks, fails and anchors by.
    pub id: &'a str,
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

    /// A tuple for a bolt's child.
    pub fn tuple<'v>(
        self,
        out: &mut Vec<u8>,
        source: TupleSource<'_>,
        values: impl ExactSizeIterator<Item = ValueRef<'v>>,
    ) -> Result<(), UnwritableError> {
        let component = ValueRef::Str(source.component);
        self.framed(out, |message| message.tuple(component, source, values))
    }

    /// What keeps a silent bolt's child talking.
    pub fn heartbeat(self, out: &mut Vec<u8>, id: &str) {
        let source = TupleSource {
            component: "",
            stream: "__heartbeat",
            task: TaskId::SYSTEM,
            id,
        };
        // The key has to be there and null: adapters read it.
        let written = self.framed(out, |message| {
            message.tuple(ValueRef::Null, source, [].into_iter())
        });
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
    /// The order of the keys is Storm's.
    fn tuple<'v>(
        &mut self,
        component: ValueRef<'_>,
        source: TupleSource<'_>,
        values: impl ExactSizeIterator<Item = ValueRef<'v>>,
    ) -> Result<(), UnwritableError> {
        self.open_map(5);
        self.key("comp", Position::First);
        self.value(component)?;
        self.key("tuple", Position::Later);
        self.list(values)?;
        let rest = [
            ("task", ValueRef::Int(source.task.0)),
            ("stream", ValueRef::Str(source.stream)),
            ("id", ValueRef::Str(source.id)),
        ];
        for (key, value) in rest {
            self.key(key, Position::Later);
            self.value(value)?;
        }
        self.close(b'}');
        Ok(())
    }

    fn map(&mut self, entries: &[(&str, ValueRef<'_>)]) -> Result<(), UnwritableError> {
        self.open_map(entries.len());
        let mut position = Position::First;
        for (key, value) in entries {
            self.key(key, position);
            position = Position::Later;
            self.value(*value)?;
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

    fn key(&mut self, key: &str, position: Position) {
        self.comma(position);
        match self.encoder.serializer {
            Serializer::Json => {
                json_write::write_text(self.out, key);
                self.out.push(b':');
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

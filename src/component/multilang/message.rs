//! The messages between a worker and a shell child, apart from how they are framed and carried.
//!
//! Says what a message is and which are malformed; what a message does is up to the component that
//! runs the child (`shell`).

use std::borrow::Cow;

use crate::component::multilang::node::Node;
use crate::component::multilang::{Serializer, json_read, msgpack};
use crate::id::TaskId;
use crate::tuple::Value;

/// One message from a child. Absent and null are the same.
#[derive(Debug, Clone, PartialEq)]
pub struct FromChild {
    pub command: Command,
    /// Of the tuple that is acked or failed; of a spout's emit, whatever the child chose.
    pub id: Option<Value>,
    /// Ids of tuples that an emit is anchored to; one that is null stands for no tuple at all.
    pub anchors: Vec<Option<Box<str>>>,
    /// Absent: the stream `default`. An empty name is a stream of that name.
    pub stream: Option<Box<str>>,
    /// The task of a direct emit; 0 is none. May be out of range.
    pub task: i64,
    pub msg: Option<Box<str>>,
    pub tuple: Option<Vec<Value>>,
    pub need_task_ids: bool,
    /// A name that is no text counts as absent.
    pub metric_name: Option<Box<str>>,
    pub metric_params: Value,
    pub level: LogLevel,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Emit,
    Ack,
    Fail,
    Log,
    Error,
    Metrics,
    Sync,
    /// Ignored from bolts, an error from spouts.
    Other(Box<str>),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogLevel {
    Trace,
    Debug,
    #[default]
    Info,
    Warn,
    Error,
}

/// A message that breaks the protocol, with its beginning for whoever has to mend the child.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{fault}; the child wrote: {excerpt}")]
pub struct ProtocolError {
    pub fault: Fault,
    /// The first kilobyte of what the child wrote.
    pub excerpt: String,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Json(#[from] json_read::JsonError),
    #[error(transparent)]
    MessagePack(#[from] msgpack::MessagePackError),
    #[error("a message without a command")]
    NoCommand,
    #[error("`{key}` is not {expected}")]
    WrongType {
        key: &'static str,
        expected: &'static str,
    },
}

// === impl FromChild ===

impl FromChild {
    /// Reads one message without its framing.
    pub fn read(serializer: Serializer, bytes: &[u8]) -> Result<Self, ProtocolError> {
        let message = |text: &Text<'_>| {
            let mut known = Known::default();
            text.each_field(&mut |key, node| {
                if let Some(slot) = known.slot(&key) {
                    *slot = node;
                }
            })?;
            FromChild::from_known(known, serializer)
        };
        read(serializer, bytes, message)
    }

    /// A direct emit's target; the number as an error where it names no task. None: not direct.
    pub fn direct_task(&self) -> Option<Result<TaskId, i64>> {
        let task = Some(self.task).filter(|task| *task != 0)?;
        Some(i32::try_from(task).map(TaskId).map_err(|_| task))
    }

    fn from_known(known: Known<'_>, serializer: Serializer) -> Result<Self, Fault> {
        let command = text(known.command, "command")?.ok_or(Fault::NoCommand)?;
        let command = Command::from(command);
        Ok(FromChild {
            level: match command {
                Command::Log => LogLevel::from_node(&known.level),
                _ => LogLevel::Info,
            },
            command,
            id: id(known.id, serializer),
            anchors: anchors(known.anchors)?,
            stream: boxed(text(known.stream, "stream")?),
            task: task(known.task)?,
            msg: boxed(text(known.msg, "msg")?),
            tuple: tuple(known.tuple)?,
            need_task_ids: flag(known.need_task_ids)?,
            metric_name: boxed(text(known.name, "name").unwrap_or_default()),
            metric_params: known.params.into_value(),
        })
    }
}

/// Reads a child's answer to the handshake: its process id, or nothing where it gives none.
pub fn read_pid(serializer: Serializer, bytes: &[u8]) -> Result<Option<Value>, ProtocolError> {
    read(serializer, bytes, |text| {
        let mut pid = Node::Null;
        text.each_field(&mut |key, node| {
            if key == "pid" {
                pid = node;
            }
        })?;
        match pid {
            Node::Null => Ok(None),
            Node::Number(pid) => Ok(Some(pid)),
            _ => Err(Fault::WrongType {
                key: "pid",
                expected: "a number",
            }),
        }
    })
}

/// The first kilobyte of what a child wrote, as text.
pub fn excerpt(bytes: &[u8]) -> String {
    let shown = bytes.get(..EXCERPT_BYTES_MAX).unwrap_or(bytes);
    let mut text = String::from_utf8_lossy(shown).into_owned();
    if shown.len() < bytes.len() {
        text.push_str("...");
    }
    text
}

fn read<T>(
    serializer: Serializer,
    bytes: &[u8],
    take: impl FnOnce(&Text<'_>) -> Result<T, Fault>,
) -> Result<T, ProtocolError> {
    let text = match serializer {
        Serializer::Json => Text::Json(String::from_utf8_lossy(bytes)),
        Serializer::MessagePack => Text::MessagePack(bytes),
    };
    take(&text).map_err(|fault| ProtocolError {
        fault,
        excerpt: excerpt(bytes),
    })
}

/// A message that nobody has looked into.
enum Text<'a> {
    Json(Cow<'a, str>),
    MessagePack(&'a [u8]),
}

// === impl Text ===

impl Text<'_> {
    fn each_field<'a>(&'a self, take: &mut dyn FnMut(Cow<'a, str>, Node<'a>)) -> Result<(), Fault> {
        match self {
            Text::Json(text) => {
                // Storm refuses a byte order mark; .NET writes one before its first message.
                let text = text.strip_prefix('\u{feff}').unwrap_or(text);
                Ok(json_read::each_field(text, take)?)
            }
            Text::MessagePack(bytes) => Ok(msgpack::each_field(bytes, take)?),
        }
    }
}

/// The fields that messages have; of a key that comes twice the last value counts.
struct Known<'a> {
    command: Node<'a>,
    id: Node<'a>,
    anchors: Node<'a>,
    stream: Node<'a>,
    task: Node<'a>,
    msg: Node<'a>,
    tuple: Node<'a>,
    need_task_ids: Node<'a>,
    name: Node<'a>,
    params: Node<'a>,
    level: Node<'a>,
}

// === impl Known ===

impl Default for Known<'_> {
    fn default() -> Self {
        Known {
            command: Node::Null,
            id: Node::Null,
            anchors: Node::Null,
            stream: Node::Null,
            task: Node::Null,
            msg: Node::Null,
            tuple: Node::Null,
            need_task_ids: Node::Null,
            name: Node::Null,
            params: Node::Null,
            level: Node::Null,
        }
    }
}

impl<'a> Known<'a> {
    fn slot(&mut self, key: &str) -> Option<&mut Node<'a>> {
        Some(match key {
            "command" => &mut self.command,
            "id" => &mut self.id,
            "anchors" => &mut self.anchors,
            "stream" => &mut self.stream,
            "task" => &mut self.task,
            "msg" => &mut self.msg,
            "tuple" => &mut self.tuple,
            "need_task_ids" => &mut self.need_task_ids,
            "name" => &mut self.name,
            "params" => &mut self.params,
            "level" => &mut self.level,
            _ => return None,
        })
    }
}

// === impl Command ===

impl From<Cow<'_, str>> for Command {
    fn from(name: Cow<'_, str>) -> Self {
        match &*name {
            "emit" => Command::Emit,
            "ack" => Command::Ack,
            "fail" => Command::Fail,
            "log" => Command::Log,
            "error" => Command::Error,
            "metrics" => Command::Metrics,
            "sync" => Command::Sync,
            _ => Command::Other(name.into()),
        }
    }
}

// === impl LogLevel ===

impl LogLevel {
    /// Anything but the numbers 0 to 4 is info.
    fn from_node(node: &Node<'_>) -> Self {
        let level = match node {
            Node::Number(Value::Int(level)) => i64::from(*level),
            Node::Number(Value::Long(level)) => *level,
            Node::Number(Value::Double(level)) => *level as i64,
            _ => return LogLevel::Info,
        };
        match level {
            0 => LogLevel::Trace,
            1 => LogLevel::Debug,
            3 => LogLevel::Warn,
            4 => LogLevel::Error,
            _ => LogLevel::Info,
        }
    }
}

fn text<'a>(node: Node<'a>, key: &'static str) -> Result<Option<Cow<'a, str>>, Fault> {
    match node {
        Node::Null => Ok(None),
        Node::Text(text) => Ok(Some(text)),
        // Python 2 children write text as raw bytes.
        Node::Bytes(bytes) => Ok(Some(String::from_utf8_lossy(bytes))),
        _ => Err(Fault::WrongType {
            key,
            expected: "text",
        }),
    }
}

fn boxed(text: Option<Cow<'_, str>>) -> Option<Box<str>> {
    text.map(Box::from)
}

/// Over MessagePack numbers become text, as the adapters written for it expect in ack and fail.
fn id(node: Node<'_>, serializer: Serializer) -> Option<Value> {
    match (node, serializer) {
        (Node::Null, _) => None,
        (Node::Number(number), Serializer::MessagePack) => {
            Some(Value::Str(number.to_string().into()))
        }
        (Node::Bytes(bytes), _) => Some(Value::Str(String::from_utf8_lossy(bytes).into())),
        (node, _) => Some(node.into_value()),
    }
}

fn anchors(node: Node<'_>) -> Result<Vec<Option<Box<str>>>, Fault> {
    let wrong = Fault::WrongType {
        key: "anchors",
        expected: "an id or a list of ids",
    };
    match node {
        Node::Null => Ok(Vec::new()),
        Node::List(items) => {
            let id = |item| match item {
                Value::Null => Some(None),
                item => id_text(item).map(Some),
            };
            items
                .into_iter()
                .map(id)
                .collect::<Option<_>>()
                .ok_or(wrong)
        }
        node => Ok(vec![Some(id_text(node.into_value()).ok_or(wrong)?)]),
    }
}

/// A tuple's id as text. Adapters that keep ids as numbers send them back as numbers.
pub fn id_text(id: Value) -> Option<Box<str>> {
    match id {
        Value::Str(text) => Some(text),
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into()),
        Value::Int(_) | Value::Long(_) | Value::BigInteger(_) => Some(id.to_string().into()),
        _ => None,
    }
}

fn task(node: Node<'_>) -> Result<i64, Fault> {
    match node {
        Node::Null => Ok(0),
        Node::Number(Value::Int(task)) => Ok(i64::from(task)),
        Node::Number(Value::Long(task)) => Ok(task),
        _ => Err(Fault::WrongType {
            key: "task",
            expected: "a whole number of at most 64 bits",
        }),
    }
}

fn tuple(node: Node<'_>) -> Result<Option<Vec<Value>>, Fault> {
    match node {
        Node::Null => Ok(None),
        Node::List(values) => Ok(Some(values)),
        _ => Err(Fault::WrongType {
            key: "tuple",
            expected: "a list",
        }),
    }
}

fn flag(node: Node<'_>) -> Result<bool, Fault> {
    match node {
        Node::Null => Ok(true),
        Node::Bool(flag) => Ok(flag),
        _ => Err(Fault::WrongType {
            key: "need_task_ids",
            expected: "true or false",
        }),
    }
}

const EXCERPT_BYTES_MAX: usize = 1024;

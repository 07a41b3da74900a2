//! The handshake of a task: its context as multilang children know it.

use crate::component::TaskContext;
use crate::component::multilang::Handshake;
use crate::grouping::java_hash;
use crate::id::TaskId;
use crate::tuple::{Value, ValueRef};
use crate::wire::storm::{Grouping, StreamInfo};

/// What a child of this task is told first.
pub fn handshake(context: &TaskContext) -> Handshake {
    let pid_dir = &context.place().pid_dir;
    let pid_dir = std::path::absolute(pid_dir).unwrap_or_else(|_| pid_dir.clone());
    Handshake::new(
        pid_dir.to_string_lossy().into_owned(),
        described(context),
        context.conf().iter(),
    )
}

/// The context, its keys in Storm's order.
fn described(context: &TaskContext) -> Value {
    let own = context.component().as_str();
    let mut streams: Vec<_> = context.streams().into_keys().collect();
    let n_streams = streams.len();
    streams.sort_by_key(|stream| bucket(stream.as_str(), n_streams));
    let entries = [
        ("componentid", text(own)),
        (
            "streams",
            list(streams.iter().map(|stream| text(stream.as_str()))),
        ),
        ("stream->target->grouping", targets(context)),
        ("stream->outputfields", fields_of(context, own)),
        ("source->stream->grouping", sources(context)),
        ("task->component", task_components(context)),
        ("source->stream->fields", source_fields(context)),
        ("taskid", Value::Int(context.task().0)),
    ];
    Value::Map(entries.map(|(key, value)| (text(key), value)).into())
}

fn targets(context: &TaskContext) -> Value {
    map(context.targets().iter().map(|(stream, subscribers)| {
        let of_stream = subscribers
            .iter()
            .map(|(component, how)| (component.as_str(), grouping(how)));
        (stream.as_str(), map(of_stream))
    }))
}

fn sources(context: &TaskContext) -> Value {
    let sources = context.sources();
    by_component(context, |component| {
        let of_component = sources
            .iter()
            .filter(|((source, _), _)| source.as_str() == component);
        map(of_component.map(|((_, stream), how)| (stream.as_str(), grouping(how))))
    })
}

/// All streams of each source, subscribed or not.
fn source_fields(context: &TaskContext) -> Value {
    by_component(context, |component| fields_of(context, component))
}

fn by_component(context: &TaskContext, value: impl Fn(&str) -> Value) -> Value {
    let sources = context.sources();
    let mut components: Vec<_> = sources
        .keys()
        .map(|(component, _)| component.as_str())
        .collect();
    // In order already, with a component once for each of its streams.
    components.dedup();
    map(components
        .into_iter()
        .map(|component| (component, value(component))))
}

fn fields_of(context: &TaskContext, component: &str) -> Value {
    let fields = |info: &StreamInfo| list(info.output_fields.iter().map(|field| text(field)));
    let streams = context.streams_of(component);
    map(streams
        .iter()
        .map(|(stream, info)| (stream.as_str(), fields(info))))
}

/// Ackers and their like are there, the system component is not. Keys are text.
fn task_components(context: &TaskContext) -> Value {
    let tasks = context.task_components().iter();
    let tasks: Vec<_> = tasks
        .filter(|(task, _)| **task != TaskId::SYSTEM)
        .map(|(task, component)| (task.to_string(), component.as_str()))
        .collect();
    map(tasks
        .iter()
        .map(|(task, component)| (task.as_str(), text(component))))
}

fn grouping(grouping: &Grouping) -> Value {
    let kind = match grouping {
        Grouping::Fields(_) => "FIELDS",
        Grouping::Shuffle(_) => "SHUFFLE",
        Grouping::All(_) => "ALL",
        Grouping::None(_) => "NONE",
        Grouping::Direct(_) => "DIRECT",
        Grouping::CustomObject(_) => "CUSTOM_OBJECT",
        Grouping::CustomSerialized(_) => "CUSTOM_SERIALIZED",
        Grouping::LocalOrShuffle(_) => "LOCAL_OR_SHUFFLE",
        Grouping::Unset => return Value::Map(Vec::new()),
    };
    let kind = ("type", text(kind));
    match grouping {
        Grouping::Fields(fields) => map([
            kind,
            ("fields", list(fields.iter().map(|field| text(field)))),
        ]),
        _ => map([kind]),
    }
}

/// In the order of a Java hash map, as far as the keys decide it: adapters do not depend on it, but
/// recorded handshakes then read alike.
fn map<'k>(entries: impl IntoIterator<Item = (&'k str, Value)>) -> Value {
    let mut entries: Vec<_> = entries.into_iter().collect();
    let n_entries = entries.len();
    entries.sort_by_key(|(key, _)| bucket(key, n_entries));
    Value::Map(
        entries
            .into_iter()
            .map(|(key, value)| (text(key), value))
            .collect(),
    )
}

/// Where a Java hash map of so many entries keeps a key.
fn bucket(key: &str, n_entries: usize) -> u32 {
    let n_buckets = (n_entries * 4).div_ceil(3).next_power_of_two().max(16);
    let hash = java_hash(ValueRef::Str(key)) as u32;
    (hash ^ (hash >> 16)) & u32::try_from(n_buckets - 1).unwrap_or(u32::MAX)
}

fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::List(items.into_iter().collect())
}

fn text(text: &str) -> Value {
    Value::Str(text.into())
}

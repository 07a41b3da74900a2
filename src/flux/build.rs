//! From a document to a `StormTopology`: components, spouts, bolts, and the streams between them.
//!
//! Checks what only the files can get wrong; what Nimbus says of names, fields and conf is
//! Nimbus's.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::document::{Document, Entry};
use super::node::{Node, Object};
use super::objects::{Bean, Beans};
use super::show::Outline;
use super::vertex::{self, Vertex};
use super::{Definition, DefinitionError, FluxError, Warning};
use crate::component::registry::Kind;
use crate::conf::{Conf, validate};
use crate::limits;
use crate::topology::{self, DEFAULT_STREAM};
use crate::wire::storm::{
    Bolt, GlobalStreamId, Grouping, JavaObject, JavaObjectArg, NullStruct, SpoutSpec, StormTopology,
};

type Result<T, E = DefinitionError> = std::result::Result<T, E>;

/// A stream as it is read, before the bolt that it leads to is there.
struct Stream {
    from: String,
    to: String,
    stream: String,
    kind: String,
    grouping: Grouping,
}

/// Builds the topology of a document.
pub fn definition(document: Document, mut warnings: Vec<Warning>) -> Result<Definition, FluxError> {
    let mut beans = Beans::default();
    for entry in &document.components {
        beans.add(entry).map_err(|error| error.of(&entry.origin))?;
    }
    let conf = conf(&document)?;
    let mut outline = Outline::default();
    let mut topology = StormTopology::default();
    for entry in &document.spouts {
        let spout = vertex(entry, Kind::Spout, &beans, &mut warnings)?;
        outline.spout(&entry.id, &spout);
        let spec = SpoutSpec {
            spout_object: spout.object,
            common: spout.common,
        };
        topology.spouts.insert(entry.id.clone(), spec);
    }
    let mut bolts = BTreeMap::new();
    for entry in &document.bolts {
        if topology.spouts.contains_key(&entry.id) {
            return Err(taken(entry));
        }
        let bolt = vertex(entry, Kind::Bolt, &beans, &mut warnings)?;
        outline.bolt(&entry.id, &bolt);
        bolts.insert(entry.id.as_str(), bolt);
    }
    let mut fed = HashSet::new();
    for (at, entry) in document.streams.iter().enumerate() {
        let known = |id: &str| topology.spouts.contains_key(id) || bolts.contains_key(id);
        let stream = stream(entry, at, &known, &beans).map_err(|e| e.of(&entry.origin))?;
        outline.stream(&stream.from, &stream.kind, &stream.to);
        let source = GlobalStreamId {
            component_id: stream.from,
            stream_id: stream.stream,
        };
        let Some(bolt) = bolts.get_mut(stream.to.as_str()) else {
            let what = format!("to: {} is no bolt of this definition", stream.to);
            return Err(wrong(entry, at, what));
        };
        if bolt.common.inputs.insert(source, stream.grouping).is_some() {
            let what = format!(
                "{} has this stream already; a bolt takes one once",
                stream.to
            );
            return Err(wrong(entry, at, what));
        }
        fed.insert(stream.to);
    }
    for entry in &document.bolts {
        let Some(bolt) = bolts.remove(entry.id.as_str()) else {
            continue;
        };
        if fed.contains(&entry.id) {
            let bolt = Bolt {
                bolt_object: bolt.object,
                common: bolt.common,
            };
            topology.bolts.insert(entry.id.clone(), bolt);
        } else {
            warn(&mut warnings, entry, unfed(entry));
        }
    }
    Ok(Definition {
        name: document.name,
        conf,
        topology,
        outline,
        warnings,
    })
}

fn taken(entry: &Entry) -> FluxError {
    let error = DefinitionError {
        line: entry.node.line,
        place: format!("bolts: {}", entry.id),
        what: "a spout has this id already".to_owned(),
    };
    error.of(&entry.origin)
}

fn unfed(entry: &Entry) -> String {
    format!(
        "line {}: no stream leads to the bolt {}: it is left out, as in Storm",
        entry.node.line, entry.id
    )
}

fn wrong(entry: &Entry, at: usize, what: String) -> FluxError {
    let place = format!("streams[{at}]");
    let line = entry.node.line;
    DefinitionError { line, place, what }.of(&entry.origin)
}

fn conf(document: &Document) -> Result<Conf, FluxError> {
    let mut conf = Conf::new();
    for (key, entry) in &document.config {
        let value = entry.node.json();
        let checked = validate::topology(&Conf::new().with(key, value.clone()));
        checked.map_err(|violation| {
            // What a placeholder that nothing filled has become is seen nowhere else.
            let violation = violation.to_string();
            let reason = violation.trim_end_matches('.');
            let what = format!("{reason}; it is {}", short(&value));
            let (line, place) = (entry.node.line, format!("config: {key}"));
            DefinitionError { line, place, what }.of(&entry.origin)
        })?;
        conf.set(key, value);
    }
    Ok(conf)
}

/// The beginning of a value.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn vertex(
    entry: &Entry,
    kind: Kind,
    beans: &Beans,
    warnings: &mut Vec<Warning>,
) -> Result<Vertex, FluxError> {
    let built = Object::of(&entry.node, format!("{kind}s: {}", entry.id))
        .and_then(|object| vertex::build(&object, kind, beans));
    let mut built = built.map_err(|error| error.of(&entry.origin))?;
    if let Some(what) = built.warning.take() {
        warn(warnings, entry, what);
    }
    Ok(built)
}

fn warn(warnings: &mut Vec<Warning>, entry: &Entry, what: String) {
    if warnings.len() < limits::FLUX_WARNINGS_MAX {
        let origin = (*entry.origin).clone();
        warnings.push(Warning { origin, what });
    }
}

fn stream(entry: &Entry, at: usize, known: &dyn Fn(&str) -> bool, beans: &Beans) -> Result<Stream> {
    let object = Object::of(&entry.node, format!("streams[{at}]"))?;
    object.only(&["name", "id", "from", "to", "grouping"])?;
    let (from, to) = (object.text("from")?, object.text("to")?);
    if !known(&from) && !topology::is_system_id(&from) {
        return Err(object.wrong(format!(
            "from: {from} is no spout or bolt of this definition"
        )));
    }
    let missing = || object.wrong("grouping is missing, as in {type: SHUFFLE}");
    let grouping = object.get("grouping").ok_or_else(missing)?;
    let grouping = Object::of(grouping, format!("streams[{at}]: grouping"))?;
    grouping.only(&["type", "args", "streamId", "customClass"])?;
    let stream = grouping.optional_text("streamId")?;
    let kind = grouping.text("type")?;
    Ok(Stream {
        from,
        to,
        stream: stream.unwrap_or_else(|| DEFAULT_STREAM.to_owned()),
        grouping: choose(&grouping, &kind, beans)?,
        kind,
    })
}

fn choose(object: &Object<'_>, kind: &str, beans: &Beans) -> Result<Grouping> {
    let null = NullStruct::default();
    Ok(match kind {
        "SHUFFLE" => Grouping::Shuffle(null),
        "LOCAL_OR_SHUFFLE" => Grouping::LocalOrShuffle(null),
        "ALL" => Grouping::All(null),
        "NONE" => Grouping::None(null),
        "DIRECT" => Grouping::Direct(null),
        "GLOBAL" => Grouping::Fields(Vec::new()),
        "FIELDS" => {
            let fields = object.get("args").and_then(Node::texts);
            let fields = fields.filter(|fields| !fields.is_empty());
            let missing = || object.wrong("FIELDS needs args, the fields' names");
            Grouping::Fields(fields.ok_or_else(missing)?)
        }
        "CUSTOM" => {
            let missing = || object.wrong("CUSTOM needs a customClass with its className");
            let class = object.get("customClass").ok_or_else(missing)?;
            let class = Object::of(class, format!("{}: customClass", object.place))?;
            Grouping::CustomObject(custom(&class, beans)?)
        }
        _ => {
            let known = "SHUFFLE, LOCAL_OR_SHUFFLE, FIELDS, GLOBAL, ALL, NONE, DIRECT, CUSTOM";
            return Err(object.wrong(format!("type {kind} is none of {known}")));
        }
    })
}

/// A grouping by its class: those that are built in.
fn custom(object: &Object<'_>, beans: &Beans) -> Result<JavaObject> {
    object.only(&["className", "constructorArgs"])?;
    let class = object.text("className")?;
    let mut args_list = Vec::new();
    for arg in beans.args(object, "constructorArgs")? {
        match (arg.texts(), arg.whole(), arg) {
            (Some(fields), _, _) => {
                args_list.extend(fields.into_iter().map(JavaObjectArg::StringArg));
            }
            (_, Some(number), _) => args_list.push(JavaObjectArg::IntArg(number)),
            (_, _, Bean::Plain(Value::String(field))) => {
                args_list.push(JavaObjectArg::StringArg(field));
            }
            _ => return Err(object.wrong("constructorArgs: fields or a number are taken")),
        }
    }
    let grouping = JavaObject {
        full_class_name: class,
        args_list,
    };
    match topology::custom_grouping(&grouping) {
        Some(topology::CustomGrouping::OfProgram) | None => Err(object.wrong(format!(
            "the grouping {} is not built in, or not with these arguments; other classes take a \
             JVM, which workers here do not have. Built in are {}",
            grouping.full_class_name,
            topology::CUSTOM_GROUPINGS.join(", "),
        ))),
        Some(_) => Ok(grouping),
    }
}

const SHOWN_CHARS: usize = 60;

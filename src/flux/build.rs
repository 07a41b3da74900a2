//! From a parsed definition to a `StormTopology`.
//!
//! Checks what only the file can get wrong; names, fields and subscriptions are Nimbus's to judge.

use serde_json::{Map, Value};

use super::DefinitionError;
use crate::wire::storm::{
    Bolt, ComponentCommon, ComponentObject, GlobalStreamId, Grouping, JavaObject, JavaObjectArg,
    NullStruct, ShellComponent, SpoutSpec, StormTopology, StreamInfo,
};

type Result<T> = std::result::Result<T, DefinitionError>;

/// One entry of `spouts` or `bolts`, half built.
struct Component {
    id: String,
    object: ComponentObject,
    common: ComponentCommon,
}

/// Builds spouts, bolts and the streams between them.
pub fn topology(map: &Map<String, Value>) -> Result<StormTopology> {
    let mut topology = StormTopology::default();
    for entry in list(map, "spouts", "the file")? {
        let Component { id, object, common } = component(entry, "spouts")?;
        let spout = SpoutSpec {
            spout_object: object,
            common,
        };
        if topology.spouts.insert(id.clone(), spout).is_some() {
            return Err(wrong(&format!("spouts: {id}"), "occurs twice"));
        }
    }
    for entry in list(map, "bolts", "the file")? {
        let Component { id, object, common } = component(entry, "bolts")?;
        let bolt = Bolt {
            bolt_object: object,
            common,
        };
        if topology.bolts.insert(id.clone(), bolt).is_some() {
            return Err(wrong(&format!("bolts: {id}"), "occurs twice"));
        }
    }
    for (index, entry) in list(map, "streams", "the file")?.iter().enumerate() {
        subscribe(&mut topology, entry, &format!("streams[{index}]"))?;
    }
    Ok(topology)
}

/// Refuses keys that would be ignored otherwise.
pub fn only(map: &Map<String, Value>, place: &str, known: &[&str]) -> Result<()> {
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(wrong(
            place,
            format!("{key} is not supported; known are: {}", known.join(", ")),
        )),
        None => Ok(()),
    }
}

pub fn wrong(place: &str, what: impl Into<String>) -> DefinitionError {
    DefinitionError {
        place: place.to_owned(),
        what: what.into(),
    }
}

fn component(entry: &Value, kind: &str) -> Result<Component> {
    let map = object(entry, kind)?;
    let id = text(map, "id", kind)?;
    let place = format!("{kind}: {id}");
    let known = [
        "id",
        "className",
        "constructorArgs",
        "configMethods",
        "parallelism",
        "outputs",
        "name",
    ];
    only(map, &place, &known)?;
    let class = text(map, "className", &place)?;
    let args = list(map, "constructorArgs", &place)?;
    let mut common = ComponentCommon {
        parallelism_hint: Some(1),
        ..ComponentCommon::default()
    };
    if let Some(parallelism) = map.get("parallelism") {
        let parallelism = parallelism.as_i64().and_then(|n| i32::try_from(n).ok());
        let not_a_number = || wrong(&place, "parallelism must be a number");
        common.parallelism_hint = Some(parallelism.ok_or_else(not_a_number)?);
    }
    let object = if SHELL_CLASSES.contains(&class.as_str()) {
        if let Some(fields) = args.get(1) {
            declare(&mut common, "default", fields, &place)?;
        }
        ComponentObject::Shell(shell(args.first(), &place)?)
    } else {
        ComponentObject::JavaObject(JavaObject {
            full_class_name: class,
            args_list: args
                .iter()
                .map(|arg| argument(arg, &place))
                .collect::<Result<_>>()?,
        })
    };
    match map.get("outputs") {
        None => {}
        Some(Value::Object(streams)) => {
            for (stream, fields) in streams {
                declare(&mut common, stream, fields, &place)?;
            }
        }
        Some(fields) => declare(&mut common, "default", fields, &place)?,
    }
    for method in list(map, "configMethods", &place)? {
        configure(&mut common, method, &place)?;
    }
    Ok(Component { id, object, common })
}

/// The methods of Flux's shell wrappers.
fn configure(common: &mut ComponentCommon, method: &Value, place: &str) -> Result<()> {
    let map = object(method, place)?;
    let name = text(map, "name", place)?;
    let args = list(map, "args", place)?;
    match (name.as_str(), args) {
        ("setDefaultStream", [fields]) => declare(common, "default", fields, place),
        ("setNamedStream", [Value::String(stream), fields]) => {
            declare(common, stream, fields, place)
        }
        ("addComponentConfig", [Value::String(key), value]) => {
            let conf = common.json_conf.as_deref().unwrap_or("{}");
            let mut conf: Map<String, Value> = serde_json::from_str(conf).unwrap_or_default();
            conf.insert(key.clone(), value.clone());
            common.json_conf = Some(Value::Object(conf).to_string());
            Ok(())
        }
        _ => Err(wrong(
            place,
            format!(
                "configMethods: {name} with {} arguments; known are setDefaultStream(fields), \
                 setNamedStream(stream, fields), addComponentConfig(key, value)",
                args.len()
            ),
        )),
    }
}

fn shell(command: Option<&Value>, place: &str) -> Result<ShellComponent> {
    let not_a_command = || {
        wrong(
            place,
            "constructorArgs must begin with the command, as in [python3, bolt.py]",
        )
    };
    let words = command
        .and_then(Value::as_array)
        .ok_or_else(not_a_command)?;
    let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
    match words.ok_or_else(not_a_command)?.as_slice() {
        [program] => Ok(ShellComponent {
            execution_command: Some((*program).to_owned()),
            script: None,
        }),
        [program, script] => Ok(ShellComponent {
            execution_command: Some((*program).to_owned()),
            script: Some((*script).to_owned()),
        }),
        [] => Err(not_a_command()),
        _ => Err(wrong(
            place,
            "a command has a program and one argument (Thrift's ShellComponent holds no more): put \
             the rest into a script",
        )),
    }
}

fn argument(arg: &Value, place: &str) -> Result<JavaObjectArg> {
    match arg {
        Value::String(text) => Ok(JavaObjectArg::StringArg(text.clone())),
        Value::Bool(flag) => Ok(JavaObjectArg::BoolArg(*flag)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(long), _) => Ok(JavaObjectArg::LongArg(long)),
            (None, Some(double)) => Ok(JavaObjectArg::DoubleArg(double)),
            (None, None) => Err(wrong(
                place,
                format!("constructorArgs: {number} is too large"),
            )),
        },
        other => Err(wrong(
            place,
            format!(
                "constructorArgs: {other}: built-in components take texts, numbers and booleans"
            ),
        )),
    }
}

fn declare(common: &mut ComponentCommon, stream: &str, fields: &Value, place: &str) -> Result<()> {
    let fields = fields.as_array().and_then(|fields| {
        fields
            .iter()
            .map(|field| field.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
    });
    let not_names = || {
        wrong(
            place,
            format!("the fields of stream {stream} must be a list of names"),
        )
    };
    let output_fields = fields.ok_or_else(not_names)?;
    common.streams.insert(
        stream.to_owned(),
        StreamInfo {
            output_fields,
            direct: false,
        },
    );
    Ok(())
}

fn subscribe(topology: &mut StormTopology, entry: &Value, place: &str) -> Result<()> {
    let map = object(entry, place)?;
    only(map, place, &["name", "id", "from", "to", "grouping"])?;
    let (from, to) = (text(map, "from", place)?, text(map, "to", place)?);
    let grouping = match map.get("grouping") {
        Some(grouping) => object(grouping, place)?,
        None => return Err(wrong(place, "grouping is missing, as in {type: SHUFFLE}")),
    };
    only(grouping, place, &["type", "args", "streamId"])?;
    let stream = grouping
        .get("streamId")
        .and_then(Value::as_str)
        .unwrap_or("default");
    let source = GlobalStreamId {
        component_id: from,
        stream_id: stream.to_owned(),
    };
    let chosen = kind(grouping, place)?;
    let no_bolt = || wrong(place, format!("to: {to} is no bolt of this file"));
    let bolt = topology.bolts.get_mut(&to).ok_or_else(no_bolt)?;
    bolt.common.inputs.insert(source, chosen);
    Ok(())
}

fn kind(grouping: &Map<String, Value>, place: &str) -> Result<Grouping> {
    let name = text(grouping, "type", place)?;
    let null = NullStruct::default();
    Ok(match name.as_str() {
        "SHUFFLE" => Grouping::Shuffle(null),
        "LOCAL_OR_SHUFFLE" => Grouping::LocalOrShuffle(null),
        "ALL" => Grouping::All(null),
        "NONE" => Grouping::None(null),
        "DIRECT" => Grouping::Direct(null),
        "GLOBAL" => Grouping::Fields(Vec::new()),
        "FIELDS" => {
            let fields = list(grouping, "args", place)?.iter().map(Value::as_str);
            let fields: Option<Vec<_>> = fields.map(|field| field.map(str::to_owned)).collect();
            let missing = || wrong(place, "grouping FIELDS needs args, the fields' names");
            Grouping::Fields(
                fields
                    .filter(|fields| !fields.is_empty())
                    .ok_or_else(missing)?,
            )
        }
        _ => {
            let known = "SHUFFLE, LOCAL_OR_SHUFFLE, FIELDS, GLOBAL, ALL, NONE, DIRECT";
            return Err(wrong(place, format!("grouping {name}; known are {known}")));
        }
    })
}

fn object<'a>(value: &'a Value, place: &str) -> Result<&'a Map<String, Value>> {
    value
        .as_object()
        .ok_or_else(|| wrong(place, "must be `key: value` lines"))
}

fn text(map: &Map<String, Value>, key: &str, place: &str) -> Result<String> {
    match map.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(wrong(place, format!("{key} must be text"))),
        None => Err(wrong(place, format!("{key} is missing"))),
    }
}

fn list<'a>(map: &'a Map<String, Value>, key: &str, place: &str) -> Result<&'a [Value]> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(entries)) => Ok(entries),
        Some(_) => Err(wrong(place, format!("{key} must be a list"))),
    }
}

/// Flux's own names for components that are processes.
const SHELL_CLASSES: [&str; 2] = [
    "org.apache.storm.flux.wrappers.spouts.FluxShellSpout",
    "org.apache.storm.flux.wrappers.bolts.FluxShellBolt",
];

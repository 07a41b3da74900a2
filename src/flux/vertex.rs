//! One entry of `spouts` or `bolts`.

use serde_json::{Map, Value, json};

use super::node::{Object, Yaml};
use super::objects::{Beans, OBJECT_KEYS};
use super::{DefinitionError, native, shell};
use crate::component::registry::Kind;
use crate::conf::{Conf, keys, validate};
use crate::wire::storm::{ComponentCommon, ComponentObject, StreamInfo};

type Result<T> = std::result::Result<T, DefinitionError>;

/// A component half built.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub object: ComponentObject,
    pub streams: std::collections::BTreeMap<String, StreamInfo>,
    pub conf: Option<Map<String, Value>>,
}

/// A component as its entry says.
#[derive(Clone, Debug)]
pub struct Vertex {
    pub class: String,
    pub object: ComponentObject,
    pub common: ComponentCommon,
    /// What the entry says in vain.
    pub warning: Option<String>,
}

// === impl Draft ===

impl Draft {
    /// Names the fields of a stream.
    pub fn declare(&mut self, stream: &str, output_fields: Vec<String>) {
        let info = StreamInfo {
            output_fields,
            direct: false,
        };
        self.streams.insert(stream.to_owned(), info);
    }

    /// A setting of the component.
    pub fn set(&mut self, key: &str, value: Value) {
        let conf = self.conf.get_or_insert_default();
        conf.insert(key.to_owned(), value);
    }

    pub fn unset(&mut self, key: &str) {
        if let Some(conf) = &mut self.conf {
            conf.remove(key);
        }
    }
}

/// Builds an entry.
pub fn build(object: &Object<'_>, kind: Kind, beans: &Beans) -> Result<Vertex> {
    let known: Vec<&str> = OBJECT_KEYS.iter().chain(&VERTEX_KEYS).copied().collect();
    object.only(&known)?;
    let class = object.text("className")?;
    let args = beans.args(object, "constructorArgs")?;
    let calls = beans.calls(object)?;
    let mut draft = match shell::kind(&class) {
        Some(shell_kind) if shell_kind == kind => shell::build(object, &args, &calls)?,
        Some(other) => return Err(object.wrong(format!("{class} is a {other}, not a {kind}"))),
        None => native::build(object, (&class, kind), &args, &calls)?,
    };
    outputs(object, &mut draft)?;
    let warning = resources(object, &mut draft)?;
    if let Some(n_tasks) = object.whole("numTasks")?.filter(|n| *n >= 0) {
        draft.set(keys::TOPOLOGY_TASKS, json!(n_tasks));
    }
    config(object, &mut draft)?;
    let parallelism = object.whole("parallelism")?.unwrap_or(1);
    if parallelism < 1 {
        return Err(object.wrong("parallelism must be 1 or more"));
    }
    Ok(Vertex {
        class,
        object: draft.object,
        common: ComponentCommon {
            streams: draft.streams,
            parallelism_hint: Some(parallelism),
            json_conf: draft.conf.map(|conf| Value::Object(conf).to_string()),
            ..ComponentCommon::default()
        },
        warning,
    })
}

/// Our own shorthand: `outputs`, the fields of the stream `default`, or streams with their fields.
/// It says what the component emits, whatever its class declares.
fn outputs(object: &Object<'_>, draft: &mut Draft) -> Result<()> {
    let Some(node) = object.get("outputs") else {
        return Ok(());
    };
    let not_names = |stream: &str| {
        let what = format!("the fields of stream {stream} must be a list of names");
        object.wrong_at(node, what)
    };
    draft.streams.clear();
    match &node.yaml {
        Yaml::Map(streams) => {
            for (stream, fields) in streams {
                let fields = fields.texts().ok_or_else(|| not_names(stream))?;
                draft.declare(stream, fields);
            }
        }
        _ => draft.declare("default", node.texts().ok_or_else(|| not_names("default"))?),
    }
    Ok(())
}

/// What the component asks of its machine, written as Storm's topology builder writes it. Gives
/// what of it counts for nothing.
fn resources(object: &Object<'_>, draft: &mut Draft) -> Result<Option<String>> {
    let load = |key| Ok(object.whole(key)?.filter(|load| *load >= 0));
    let (on_heap, mut off_heap) = (load("onHeapMemoryLoad")?, load("offHeapMemoryLoad")?);
    let mut warning = None;
    if on_heap.is_none() && off_heap.take().is_some() {
        let what = "offHeapMemoryLoad counts only beside an onHeapMemoryLoad: it is left out";
        warning = Some(object.wrong(what).to_string());
    }
    let mut amounts = Map::new();
    let memory = [
        (keys::TOPOLOGY_COMPONENT_RESOURCES_ONHEAP_MEMORY_MB, on_heap),
        (
            keys::TOPOLOGY_COMPONENT_RESOURCES_OFFHEAP_MEMORY_MB,
            off_heap,
        ),
    ];
    for (key, load) in memory {
        if let Some(load) = load.map(f64::from) {
            amounts.insert(key.to_owned(), json!(load));
            draft.set(key, json!(load));
        }
    }
    if let Some(load) = load("cpuLoad")? {
        let key = keys::TOPOLOGY_COMPONENT_CPU_PCORE_PERCENT;
        amounts.insert(key.to_owned(), json!(f64::from(load)));
        draft.set(key, json!(load));
    }
    if !amounts.is_empty() {
        draft.set(
            keys::TOPOLOGY_COMPONENT_RESOURCES_MAP,
            Value::Object(amounts),
        );
    }
    Ok(warning)
}

/// `config`: settings of this component alone.
fn config(object: &Object<'_>, draft: &mut Draft) -> Result<()> {
    let settings = object.json_map("config")?;
    let node = object.get("config");
    let wrong = |what: String| match node {
        Some(node) => object.wrong_at(node, what),
        None => object.wrong(what),
    };
    if settings.contains_key(keys::TOPOLOGY_KRYO_REGISTER) {
        let key = keys::TOPOLOGY_KRYO_REGISTER;
        return Err(wrong(format!(
            "config: {key} is of a topology, not of one component"
        )));
    }
    let checked = validate::topology(&Conf::from(settings.clone()));
    checked.map_err(|violation| wrong(format!("config: {violation}")))?;
    for (key, value) in settings {
        draft.set(&key, value);
    }
    Ok(())
}

/// What spouts and bolts may say beyond other objects. `name` and `outputs` are ours.
const VERTEX_KEYS: [&str; 8] = [
    "parallelism",
    "numTasks",
    "onHeapMemoryLoad",
    "offHeapMemoryLoad",
    "cpuLoad",
    "config",
    "outputs",
    "name",
];

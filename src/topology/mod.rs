//! A topology as data: its components, streams and subscriptions, and the names that Storm
//! reserves.
//!
//! A submission goes through `validate::name`, `normalise::conf`, `normalise::topology`,
//! `system::build` (which runs the basic, structure and limit checks), `validate::sizes` and
//! `validate::runnable`; then `tasks` numbers it. Nothing here runs, stores or schedules a
//! topology, and nothing recurses over what a caller sent.

pub mod blob_map;
pub mod conf;
pub mod normalise;
pub mod system;
pub mod tasks;
pub mod validate;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use crate::id::{ComponentId, StreamId};
use crate::limits;
use crate::wire::storm::{
    ComponentCommon, ComponentObject, Grouping, JavaObject, JavaObjectArg, StormTopology,
    StreamInfo,
};

pub use conf::component_conf;

/// Why a topology is not accepted. The text is Storm's own where Storm has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopology {
    /// Storm's InvalidTopologyException.
    #[error("{0}")]
    Refused(String),
    /// A component's `json_conf` that cannot be read. Storm fails here without a declared
    /// exception.
    #[error("component [{component}]: {cause}")]
    ComponentConf {
        component: String,
        cause: conf::ComponentConfError,
    },
    /// A value of the topology's or daemon's conf that cannot be read as what it must be.
    #[error("{0}")]
    Conf(String),
}

/// What a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComponentKind {
    Spout,
    Bolt,
    StateSpout,
}

/// One component of a topology, borrowed from it.
#[derive(Clone, Copy, Debug)]
pub struct Component<'a> {
    pub id: &'a str,
    pub kind: ComponentKind,
    pub object: &'a ComponentObject,
    pub common: &'a ComponentCommon,
}

/// One stream that a component may emit on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamDeclaration {
    pub component: ComponentId,
    pub stream: StreamId,
    /// Names of the values of a tuple, in order.
    pub fields: Vec<String>,
    /// Whether the emitter names the target task of each tuple.
    pub direct: bool,
}

/// A grouping that Thrift names as a class and that runs here natively.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomGrouping {
    /// `PartialKeyGrouping` over these fields; none: over the first value.
    PartialKey(Vec<String>),
    /// The first so many tasks get every tuple: Storm's `NGrouping`.
    First(usize),
    /// Code of the topology's own program, which knows it by subscriber and stream.
    OfProgram,
}

// === impl InvalidTopology ===

impl InvalidTopology {
    fn refused(reason: String) -> Self {
        InvalidTopology::Refused(cut(reason))
    }

    fn conf(reason: impl fmt::Display) -> Self {
        InvalidTopology::Conf(cut(reason.to_string()))
    }
}

/// Every component: spouts, then bolts, then state spouts, each kind in byte order of ids.
pub fn components(topology: &StormTopology) -> impl Iterator<Item = Component<'_>> + Clone {
    let spouts = topology.spouts.iter().map(|(id, spout)| Component {
        id,
        kind: ComponentKind::Spout,
        object: &spout.spout_object,
        common: &spout.common,
    });
    let bolts = topology.bolts.iter().map(|(id, bolt)| Component {
        id,
        kind: ComponentKind::Bolt,
        object: &bolt.bolt_object,
        common: &bolt.common,
    });
    let state_spouts = topology.state_spouts.iter().map(|(id, spout)| Component {
        id,
        kind: ComponentKind::StateSpout,
        object: &spout.state_spout_object,
        common: &spout.common,
    });
    spouts.chain(bolts).chain(state_spouts)
}

/// The component of that id. Where kinds share an id, which no valid topology does, the spout.
pub fn component<'a>(topology: &'a StormTopology, id: &str) -> Option<Component<'a>> {
    let found = topology
        .spouts
        .get_key_value(id)
        .map(|(id, spout)| Component {
            id,
            kind: ComponentKind::Spout,
            object: &spout.spout_object,
            common: &spout.common,
        });
    let found = found.or_else(|| {
        topology
            .bolts
            .get_key_value(id)
            .map(|(id, bolt)| Component {
                id,
                kind: ComponentKind::Bolt,
                object: &bolt.bolt_object,
                common: &bolt.common,
            })
    });
    found.or_else(|| {
        topology
            .state_spouts
            .get_key_value(id)
            .map(|(id, spout)| Component {
                id,
                kind: ComponentKind::StateSpout,
                object: &spout.state_spout_object,
                common: &spout.common,
            })
    })
}

/// Every stream of a system topology, by component and then stream, both in Java's order of text:
/// the order in which Storm numbers streams (data-plane 1.5).
pub fn streams(topology: &StormTopology) -> Vec<StreamDeclaration> {
    let mut all: Vec<StreamDeclaration> = components(topology)
        .flat_map(|component| {
            let id = ComponentId::from(component.id);
            let declare = move |(stream, info): (&String, &StreamInfo)| StreamDeclaration {
                component: id.clone(),
                stream: StreamId::from(stream.as_str()),
                fields: info.output_fields.clone(),
                direct: info.direct,
            };
            component.common.streams.iter().map(declare)
        })
        .collect();
    all.sort_by(|a, b| {
        java_order(a.component.as_str(), b.component.as_str())
            .then_with(|| java_order(a.stream.as_str(), b.stream.as_str()))
    });
    all
}

/// Who reads each stream of `component`, by stream; subscribers in Java's order of ids.
pub fn subscribers(
    topology: &StormTopology,
    component: &ComponentId,
) -> BTreeMap<StreamId, Vec<(ComponentId, Grouping)>> {
    let mut by_stream: BTreeMap<StreamId, Vec<(ComponentId, Grouping)>> = BTreeMap::new();
    for subscriber in components(topology) {
        for (source, grouping) in &subscriber.common.inputs {
            if source.component_id == component.as_str() {
                by_stream
                    .entry(StreamId::from(source.stream_id.as_str()))
                    .or_default()
                    .push((ComponentId::from(subscriber.id), grouping.clone()));
            }
        }
    }
    for readers in by_stream.values_mut() {
        readers.sort_by(|a, b| java_order(a.0.as_str(), b.0.as_str()));
    }
    by_stream
}

/// The native equivalent of a grouping named by its Java class, if there is one.
pub fn custom_grouping(object: &JavaObject) -> Option<CustomGrouping> {
    let class = object.full_class_name.as_str();
    if class == PROGRAM {
        return Some(CustomGrouping::OfProgram);
    }
    let class = class
        .strip_prefix("backtype.storm.")
        .or_else(|| class.strip_prefix("org.apache.storm."));
    if class == N_GROUPING.strip_prefix("org.apache.storm.") {
        return match object.args_list.as_slice() {
            [JavaObjectArg::IntArg(n)] => usize::try_from(*n).ok().map(CustomGrouping::First),
            _ => None,
        };
    }
    if class != PARTIAL_KEY_GROUPING.strip_prefix("org.apache.storm.") {
        return None;
    }
    let field = |argument: &JavaObjectArg| match argument {
        JavaObjectArg::StringArg(name) => Some(name.clone()),
        _ => None,
    };
    object
        .args_list
        .iter()
        .map(field)
        .collect::<Option<_>>()
        .map(CustomGrouping::PartialKey)
}

/// Whether Storm reserves this component or stream id.
pub fn is_system_id(id: &str) -> bool {
    id.starts_with("__")
}

/// The order of Java's `String.compareTo`: by UTF-16 code units, so that characters beyond the
/// basic plane sort before U+E000 and up. Task and stream numbers follow it.
pub fn java_order(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

/// Executors that a component starts with: its parallelism hint, 1 without one. May be 0 or
/// negative.
pub fn parallelism(common: &ComponentCommon) -> i32 {
    common.parallelism_hint.unwrap_or(1)
}

/// Keeps a reason from growing with the text of a caller that it quotes.
fn cut(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(limits::ERROR_TEXT_BYTES_MAX));
    reason
}

/// Stands as the class of components and groupings that are code of the topology's own program: the
/// executable in its jar, which knows them by their ids.
pub const PROGRAM: &str = "stormwire.Program";

/// Groupings that topologies may name by their Java classes.
pub const CUSTOM_GROUPINGS: [&str; 2] = [PARTIAL_KEY_GROUPING, N_GROUPING];

/// Storm's class of the grouping to the first tasks.
const N_GROUPING: &str = "org.apache.storm.testing.NGrouping";

/// Storm's class of the partial key grouping.
pub const PARTIAL_KEY_GROUPING: &str = "org.apache.storm.grouping.PartialKeyGrouping";

/// The ledger of tuple trees.
pub const ACKER: &str = "__acker";
/// Receives sampled tuples of debugged components.
pub const EVENT_LOGGER: &str = "__eventlogger";
/// The pseudo component that ticks come from; task -1 of every worker.
pub const SYSTEM: &str = "__system";
/// Component ids of metrics consumers: this and the class.
pub const METRICS_CONSUMER_PREFIX: &str = "__metrics_";

/// The stream that a component emits on when it names none.
pub const DEFAULT_STREAM: &str = "default";
pub const ACK_INIT_STREAM: &str = "__ack_init";
pub const ACK_STREAM: &str = "__ack_ack";
pub const ACK_FAIL_STREAM: &str = "__ack_fail";
pub const ACK_RESET_TIMEOUT_STREAM: &str = "__ack_reset_timeout";
pub const METRICS_STREAM: &str = "__metrics";
pub const SYSTEM_STREAM: &str = "__system";
pub const EVENT_LOG_STREAM: &str = "__eventlog";
pub const FEEDBACK_STREAM: &str = "__feedback";
pub const TICK_STREAM: &str = "__tick";
pub const FLUSH_STREAM: &str = "__flush";
pub const METRICS_TICK_STREAM: &str = "__metrics_tick";
pub const FEEDBACK_TICK_STREAM: &str = "__feedback_tick";

#[cfg(test)]
mod tests;

//! The topology that really runs: the user's, plus Storm's own components and streams
//! (control-plane 4.5). It is derived whenever it is needed and never stored.
//!
//! What the added components do is the worker's matter.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use crate::conf::{Conf, keys};
use crate::wire::storm::{
    Bolt, ComponentCommon, ComponentObject, GlobalStreamId, Grouping, NullStruct, StormTopology,
    StreamInfo,
};

use super::{
    ACK_FAIL_STREAM, ACK_INIT_STREAM, ACK_RESET_TIMEOUT_STREAM, ACK_STREAM, ACKER, Component,
    ComponentKind, EVENT_LOG_STREAM, EVENT_LOGGER, FEEDBACK_STREAM, FEEDBACK_TICK_STREAM,
    FLUSH_STREAM, InvalidTopology, METRICS_CONSUMER_PREFIX, METRICS_STREAM, METRICS_TICK_STREAM,
    SYSTEM, SYSTEM_STREAM, TICK_STREAM, components, conf, validate,
};

/// One entry of `topology.metrics.consumer.register`.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsConsumer {
    /// `__metrics_<class>`, and `#2`, `#3`.. for further entries of a class.
    pub id: String,
    pub class: String,
    /// Executors and tasks.
    pub parallelism: i32,
    /// The whole entry, with `argument`, `whitelist` and the like.
    pub entry: Value,
}

/// The system topology of a user topology under its effective conf (the daemon's, overlaid by the
/// topology's), which must be normalised for task counts to be right.
///
/// Errors when the topology breaks one of Storm's rules or one of our limits.
pub fn build(user: &StormTopology, conf: &Conf) -> Result<StormTopology, InvalidTopology> {
    let system = derive(user, conf)?;
    validate::structure(&system)?;
    validate::executors(&system, conf)?;
    Ok(system)
}

/// The system topology before the checks that need it whole.
pub(super) fn derive(user: &StormTopology, conf: &Conf) -> Result<StormTopology, InvalidTopology> {
    let consumers = metrics_consumers(conf)?;
    validate::limits(user, consumers.len())?;
    validate::basic(user)?;
    let mut system = user.clone();
    add_acker(&mut system, conf)?;
    add_event_logger(&mut system, conf)?;
    let feedback = conf
        .flag(keys::TOPOLOGY_UPSTREAM_FEEDBACK_ENABLE)
        .map_err(InvalidTopology::conf)?
        .unwrap_or(false);
    if feedback {
        declare_everywhere(&mut system, FEEDBACK_STREAM, &["task-info", "feedback"]);
    }
    add_metrics_consumers(&mut system, consumers);
    let feedback_tick = feedback.then_some((FEEDBACK_TICK_STREAM, stream(&["interval"])));
    add_system(&mut system, feedback_tick);
    declare_everywhere(&mut system, METRICS_STREAM, &["task-info", "data-points"]);
    declare_everywhere(&mut system, SYSTEM_STREAM, &["event"]);
    Ok(system)
}

/// Tasks of `__acker`: `topology.acker.executors`, or one for each worker.
pub fn n_ackers(conf: &Conf) -> Result<i32, InvalidTopology> {
    executors_or_workers(conf, keys::TOPOLOGY_ACKER_EXECUTORS)
}

/// Tasks of `__eventlogger`: `topology.eventlogger.executors`, or one for each worker. 0: there is
/// none.
pub fn n_event_loggers(conf: &Conf) -> Result<i32, InvalidTopology> {
    executors_or_workers(conf, keys::TOPOLOGY_EVENTLOGGER_EXECUTORS)
}

/// The metrics consumers that the conf registers, with their component ids.
pub fn metrics_consumers(conf: &Conf) -> Result<Vec<MetricsConsumer>, InvalidTopology> {
    let entries = match conf.get(keys::TOPOLOGY_METRICS_CONSUMER_REGISTER) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(entries)) => entries,
        Some(other) => return Err(not_a_consumer(other)),
    };
    let mut n_of_class: BTreeMap<&str, usize> = BTreeMap::new();
    let mut consumers = Vec::new();
    for entry in entries {
        let class = entry.get("class").and_then(Value::as_str);
        let class = class.ok_or_else(|| not_a_consumer(entry))?;
        let n = n_of_class.entry(class).or_default();
        *n += 1;
        let suffix = if *n > 1 {
            format!("#{n}")
        } else {
            String::new()
        };
        let parallelism = match entry.get("parallelism.hint") {
            None | Some(Value::Null) => Some(1),
            Some(hint) => hint.as_i64().and_then(|hint| i32::try_from(hint).ok()),
        };
        consumers.push(MetricsConsumer {
            id: format!("{METRICS_CONSUMER_PREFIX}{class}{suffix}"),
            class: class.to_owned(),
            parallelism: parallelism.ok_or_else(|| not_a_consumer(entry))?,
            entry: entry.clone(),
        });
    }
    Ok(consumers)
}

fn not_a_consumer(entry: &Value) -> InvalidTopology {
    let key = keys::TOPOLOGY_METRICS_CONSUMER_REGISTER;
    InvalidTopology::conf(format!(
        "{key} must be a list of maps with a class and an integer parallelism.hint, not {entry}"
    ))
}

fn executors_or_workers(conf: &Conf, key: &str) -> Result<i32, InvalidTopology> {
    if let Some(n_executors) = conf::int(conf, key)? {
        return Ok(n_executors);
    }
    let n_workers = conf::int(conf, keys::TOPOLOGY_WORKERS)?;
    n_workers.ok_or_else(|| {
        InvalidTopology::conf(format!(
            "neither {key} nor {} is set",
            keys::TOPOLOGY_WORKERS
        ))
    })
}

fn message_timeout_secs(conf: &Conf) -> Result<i32, InvalidTopology> {
    let key = keys::TOPOLOGY_MESSAGE_TIMEOUT_SECS;
    conf::int(conf, key)?.ok_or_else(|| InvalidTopology::conf(format!("{key} is not set")))
}

fn add_acker(system: &mut StormTopology, conf: &Conf) -> Result<(), InvalidTopology> {
    let timeout_secs = message_timeout_secs(conf)?;
    let by_root = || Grouping::Fields(vec!["id".to_owned()]);
    let mut acker = system_bolt(n_ackers(conf)?, Some(timeout_secs));
    for verdict in VERDICT_STREAMS {
        let direct = StreamInfo {
            direct: true,
            ..stream(&["id", "time-delta-ms"])
        };
        acker.common.streams.insert(verdict.to_owned(), direct);
    }
    for (id, bolt) in &mut system.bolts {
        for verdict in VERDICT_STREAMS {
            let fields: &[&str] = if verdict == ACK_STREAM {
                &["id", "ack-val"]
            } else {
                &["id"]
            };
            bolt.common
                .streams
                .insert(verdict.to_owned(), stream(fields));
            acker.common.inputs.insert(source(id, verdict), by_root());
        }
    }
    for (id, spout) in &mut system.spouts {
        let init = stream(&["id", "init-val", "spout-task"]);
        spout
            .common
            .streams
            .insert(ACK_INIT_STREAM.to_owned(), init);
        acker
            .common
            .inputs
            .insert(source(id, ACK_INIT_STREAM), by_root());
        for verdict in VERDICT_STREAMS {
            let direct = Grouping::Direct(NullStruct::default());
            spout.common.inputs.insert(source(ACKER, verdict), direct);
        }
        // The tick drives a spout's timeouts, so no user may choose another frequency.
        let mut own = conf::json_conf(&Component {
            id,
            kind: ComponentKind::Spout,
            object: &spout.spout_object,
            common: &spout.common,
        })?;
        own.set(keys::TOPOLOGY_TICK_TUPLE_FREQ_SECS, timeout_secs);
        spout.common.json_conf = Some(own.to_json());
    }
    system.bolts.insert(ACKER.to_owned(), acker);
    Ok(())
}

/// Comes after the acker, which therefore feeds it too.
fn add_event_logger(system: &mut StormTopology, conf: &Conf) -> Result<(), InvalidTopology> {
    let n_loggers = n_event_loggers(conf)?;
    if n_loggers <= 0 {
        return Ok(());
    }
    let mut logger = system_bolt(n_loggers, Some(message_timeout_secs(conf)?));
    let by_component = || Grouping::Fields(vec!["component-id".to_owned()]);
    let sources = components(system).map(|c| (source(c.id, EVENT_LOG_STREAM), by_component()));
    logger.common.inputs = sources.collect();
    let fields = ["component-id", "message-id", "ts", "values"];
    declare_everywhere(system, EVENT_LOG_STREAM, &fields);
    system.bolts.insert(EVENT_LOGGER.to_owned(), logger);
    Ok(())
}

/// Consumers read the metrics of all that is there before them and of `__system`, not each other's.
fn add_metrics_consumers(system: &mut StormTopology, consumers: Vec<MetricsConsumer>) {
    let mut sources: Vec<String> = components(system).map(|c| c.id.to_owned()).collect();
    sources.push(SYSTEM.to_owned());
    for consumer in consumers {
        let mut bolt = system_bolt(consumer.parallelism, None);
        let shuffle = || Grouping::Shuffle(NullStruct::default());
        let inputs = sources
            .iter()
            .map(|id| (source(id, METRICS_STREAM), shuffle()));
        bolt.common.inputs = inputs.collect();
        system.bolts.insert(consumer.id, bolt);
    }
}

fn add_system(system: &mut StormTopology, feedback_tick: Option<(&str, StreamInfo)>) {
    let mut bolt = system_bolt(0, None);
    let streams = [
        (TICK_STREAM, stream(&["rate_secs"])),
        (FLUSH_STREAM, stream(&[])),
        (METRICS_TICK_STREAM, stream(&["interval"])),
    ];
    let streams = streams.into_iter().chain(feedback_tick);
    bolt.common.streams = streams.map(|(id, info)| (id.to_owned(), info)).collect();
    system.bolts.insert(SYSTEM.to_owned(), bolt);
}

fn declare_everywhere(system: &mut StormTopology, id: &str, fields: &[&str]) {
    let spouts = system.spouts.values_mut().map(|spout| &mut spout.common);
    let bolts = system.bolts.values_mut().map(|bolt| &mut bolt.common);
    let state_spouts = system
        .state_spouts
        .values_mut()
        .map(|spout| &mut spout.common);
    for common in spouts.chain(bolts).chain(state_spouts) {
        common.streams.insert(id.to_owned(), stream(fields));
    }
}

fn system_bolt(n_tasks: i32, tick_secs: Option<i32>) -> Bolt {
    let mut conf = Conf::default();
    conf.set(keys::TOPOLOGY_TASKS, n_tasks);
    if let Some(secs) = tick_secs {
        conf.set(keys::TOPOLOGY_TICK_TUPLE_FREQ_SECS, secs);
    }
    Bolt {
        bolt_object: ComponentObject::SerializedJava(Bytes::from_static(BUILT_IN)),
        common: ComponentCommon {
            parallelism_hint: Some(n_tasks),
            json_conf: Some(conf.to_json()),
            ..ComponentCommon::default()
        },
    }
}

fn stream(fields: &[&str]) -> StreamInfo {
    StreamInfo {
        output_fields: fields.iter().map(|&field| field.to_owned()).collect(),
        direct: false,
    }
}

fn source(component: &str, stream: &str) -> GlobalStreamId {
    GlobalStreamId {
        component_id: component.to_owned(),
        stream_id: stream.to_owned(),
    }
}

/// Streams on which bolts tell the acker, and the acker the spouts, how a tuple fares.
const VERDICT_STREAMS: [&str; 3] = [ACK_STREAM, ACK_FAIL_STREAM, ACK_RESET_TIMEOUT_STREAM];

/// Stands where Storm has the serialized Java object of a system component. Workers know these by
/// id.
const BUILT_IN: &[u8] = b"stormwire built-in component";

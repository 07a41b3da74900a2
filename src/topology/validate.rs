//! Which topologies are accepted: Storm's own rules in Storm's words, our limits, and what this
//! cluster can run (control-plane 4.1).
//!
//! The conf's own values are checked by `crate::conf::validate`. Cycles of subscription are legal.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::conf::{Conf, keys};
use crate::limits;
use crate::wire::storm::{ComponentObject, Grouping, StormTopology};

use super::{
    Component, ComponentKind, InvalidTopology, components, conf, custom_grouping, is_system_id,
    normalise,
};

/// Storm's rule for the name of a topology: not empty, and without slash, dot, colon or backslash.
pub fn name(name: Option<&str>) -> Result<(), InvalidTopology> {
    match name {
        Some(name) if !name.is_empty() && !name.contains(['/', '.', ':', '\\']) => Ok(()),
        other => refuse(format!(
            "Topology name '{}' is not valid. It can't be null and it must match ^[^/.:\\\\]+$",
            other.unwrap_or("null")
        )),
    }
}

/// Whether blobs and files can be named after the topology. Storm finds out late and then fails
/// without a reason, so submissions are checked for it beside `name`.
pub fn storable_name(name: &str) -> Result<(), InvalidTopology> {
    let max = limits::TOPOLOGY_NAME_BYTES_MAX;
    if name.len() > max {
        let n_bytes = name.len();
        return refuse(format!(
            "Topology name is not valid. It has {n_bytes} bytes, more than {max} (limit \
             TOPOLOGY_NAME_BYTES_MAX)"
        ));
    }
    let is_legal = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | '\t');
    match name.chars().find(|&c| !is_legal(c)) {
        Some(illegal) => refuse(format!(
            "Topology name {name:?} is not valid. It becomes part of file names, which cannot \
             contain {illegal:?}"
        )),
        None => Ok(()),
    }
}

/// Storm's checks of a topology by itself: ids, inputs of spouts, tasks without executors.
pub fn basic(topology: &StormTopology) -> Result<(), InvalidTopology> {
    unique_ids(topology)?;
    for component in components(topology) {
        if is_system_id(component.id) {
            return refuse(format!("{} is not a valid component id.", component.id));
        }
        if let Some(stream) = component.common.streams.keys().find(|id| is_system_id(id)) {
            return refuse(format!("{stream} is not a valid stream id."));
        }
        if component.kind == ComponentKind::Spout && !component.common.inputs.is_empty() {
            return refuse("May not declare inputs for a spout".to_owned());
        }
        let own = conf::json_conf(&component)?;
        let n_tasks = conf::component_int(&component, &own, keys::TOPOLOGY_TASKS)?.unwrap_or(0);
        if n_tasks > 0 && super::parallelism(component.common) <= 0 {
            return refuse(
                "Number of executors must be greater than 0 when number of tasks is greater than 0"
                    .to_owned(),
            );
        }
    }
    Ok(())
}

fn unique_ids(topology: &StormTopology) -> Result<(), InvalidTopology> {
    let mut seen = BTreeSet::new();
    let repeated: BTreeSet<&str> = components(topology)
        .map(|c| c.id)
        .filter(|id| !seen.insert(*id))
        .collect();
    if repeated.is_empty() {
        return Ok(());
    }
    refuse(format!("Duplicate component ids: [{}]", join(repeated)))
}

/// Storm's check of subscriptions: their component, stream and fields exist. A field may belong to
/// any stream of the source. Run over the system topology, it lets users subscribe to system
/// streams.
pub fn structure(topology: &StormTopology) -> Result<(), InvalidTopology> {
    dangling(topology).next().map_or(Ok(()), Err)
}

/// What is wrong with each subscription that does not hold.
fn dangling(topology: &StormTopology) -> impl Iterator<Item = InvalidTopology> {
    let sources: BTreeMap<&str, Component<'_>> = components(topology)
        .map(|component| (component.id, component))
        .collect();
    let mut fields_of: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
    let inputs = components(topology).flat_map(|subscriber| {
        let inputs = subscriber.common.inputs.iter();
        inputs.map(move |(input, grouping)| (subscriber.id, input, grouping))
    });
    inputs.filter_map(move |(id, input, grouping)| {
        let (from, stream) = (input.component_id.as_str(), input.stream_id.as_str());
        let Some(source) = sources.get(from) else {
            return Some(InvalidTopology::Refused(format!(
                "Component: [{id}] subscribes from non-existent component [{from}]"
            )));
        };
        if !source.common.streams.contains_key(stream) {
            return Some(InvalidTopology::Refused(format!(
                "Component: [{id}] subscribes from non-existent stream: [{stream}] of component \
                 [{from}]"
            )));
        }
        let Grouping::Fields(fields) = grouping else {
            return None;
        };
        let known = fields_of
            .entry(source.id)
            .or_insert_with(|| all_fields(source));
        let missing: BTreeSet<&str> = fields
            .iter()
            .map(String::as_str)
            .filter(|field| !known.contains(field))
            .collect();
        if missing.is_empty() {
            return None;
        }
        let missing = join(missing);
        // The plus sign is Storm's.
        Some(InvalidTopology::Refused(format!(
            "Component: [{id}] subscribes from stream: [{stream}] of component [{from}] + with \
             non-existent fields: [{missing}]"
        )))
    })
}

fn all_fields<'a>(component: &Component<'a>) -> HashSet<&'a str> {
    let streams = component.common.streams.values();
    streams
        .flat_map(|stream| &stream.output_fields)
        .map(String::as_str)
        .collect()
}

/// The cluster's own bounds: `nimbus.slots.perTopology` (not under the resource-aware scheduler,
/// which decides about workers itself) and `nimbus.executors.perTopology`. `conf` is the effective
/// conf, `topology` the user's.
pub fn sizes(topology: &StormTopology, conf: &Conf, daemon: &Conf) -> Result<(), InvalidTopology> {
    let n_workers = conf::int(conf, keys::TOPOLOGY_WORKERS)?.unwrap_or(1);
    let most = conf::int(daemon, keys::NIMBUS_SLOTS_PER_TOPOLOGY)?;
    if let Some(most) = most
        && n_workers > most
        && !normalise::is_resource_aware(daemon)
    {
        return refuse(format!(
            "Failed to submit topology. Topology requests more than {most} workers."
        ));
    }
    let hints = components(topology).map(|component| super::parallelism(component.common));
    let n_executors: i64 = hints.map(i64::from).sum();
    let most = conf::int(daemon, keys::NIMBUS_EXECUTORS_PER_TOPOLOGY)?;
    match most {
        Some(most) if n_executors > i64::from(most) => refuse(format!(
            "Failed to submit topology. Topology requests more than {most} executors."
        )),
        _ => Ok(()),
    }
}

/// Our limits on what a user's topology may declare, before anything is derived from it: numbers of
/// components, streams and subscriptions, and the text of ids.
pub fn limits(topology: &StormTopology, n_metrics_consumers: usize) -> Result<(), InvalidTopology> {
    let mut n_components = n_metrics_consumers;
    let (mut n_streams, mut n_inputs) = (0, 0);
    for component in components(topology) {
        n_components += 1;
        n_streams += component.common.streams.len();
        n_inputs += component.common.inputs.len();
    }
    // Every consumer will read from every component.
    n_inputs += n_metrics_consumers.saturating_mul(n_components);
    let counts = [
        (
            "components",
            n_components,
            "TOPOLOGY_COMPONENTS_MAX",
            limits::TOPOLOGY_COMPONENTS_MAX,
        ),
        (
            "streams",
            n_streams,
            "TOPOLOGY_STREAMS_MAX",
            limits::TOPOLOGY_STREAMS_MAX,
        ),
        (
            "subscriptions",
            n_inputs,
            "TOPOLOGY_INPUTS_MAX",
            limits::TOPOLOGY_INPUTS_MAX,
        ),
    ];
    for (what, n, limit, max) in counts {
        if n > max {
            return refuse(format!(
                "Topology has {n} {what}, more than {max} (limit {limit})"
            ));
        }
    }
    for component in components(topology) {
        id_text("Component", component.id)?;
        for stream in component.common.streams.keys() {
            id_text("Stream", stream)?;
        }
    }
    Ok(())
}

fn id_text(what: &str, id: &str) -> Result<(), InvalidTopology> {
    let max = limits::TOPOLOGY_ID_BYTES_MAX;
    if id.len() > max {
        let start: String = id.chars().take(ID_SHOWN_CHARS).collect();
        let n = id.len();
        return refuse(format!(
            "{what} id [{start}..] has {n} bytes, more than {max} (limit TOPOLOGY_ID_BYTES_MAX)"
        ));
    }
    if id.contains('\0') {
        return refuse(format!("{what} id {id:?} contains a NUL character"));
    }
    Ok(())
}

/// Our limits on executors and tasks of a system topology, which hold for ackers and the like too.
pub fn executors(system: &StormTopology, conf: &Conf) -> Result<(), InvalidTopology> {
    let hints = components(system).map(|c| (c.id, super::parallelism(c.common)));
    let limit = keys::STORMWIRE_TOPOLOGY_EXECUTORS_MAX;
    at_most("executors", hints, limit, conf::int(conf, limit)?)?;
    let tasks = components(system).map(|c| Ok((c.id, conf::tasks(&c)?)));
    n_tasks(&tasks.collect::<Result<Vec<_>, InvalidTopology>>()?, conf)
}

/// Refuses components that have more tasks together than `stormwire.topology.tasks.max`.
pub fn n_tasks(tasks: &[(&str, i32)], conf: &Conf) -> Result<(), InvalidTopology> {
    let limit = keys::STORMWIRE_TOPOLOGY_TASKS_MAX;
    at_most(
        "tasks",
        tasks.iter().copied(),
        limit,
        conf::int(conf, limit)?,
    )
}

fn at_most<'a>(
    what: &str,
    counts: impl Iterator<Item = (&'a str, i32)> + Clone,
    limit: &str,
    max: Option<i32>,
) -> Result<(), InvalidTopology> {
    let max = i64::from(max.unwrap_or(limits::TOPOLOGY_TASKS_MAX));
    let total: i64 = counts.clone().map(|(_, n)| i64::from(n.max(0))).sum();
    if total <= max {
        return Ok(());
    }
    let (largest, n) = counts.max_by_key(|(_, n)| *n).unwrap_or_default();
    refuse(format!(
        "Topology requests {total} {what}, more than {max} (limit {limit}); component [{largest}] \
         alone requests {n}"
    ))
}

/// Storm's check that the largest component fits a worker's heap, under every scheduler. Only
/// memory that a component declares itself counts. `submitted` is the topology's conf.
pub fn heap(
    topology: &StormTopology,
    submitted: &Conf,
    daemon: &Conf,
) -> Result<(), InvalidTopology> {
    let heap_mb = amount(submitted, keys::TOPOLOGY_WORKER_MAX_HEAP_SIZE_MB)?;
    let daemon_mb = amount(daemon, keys::TOPOLOGY_WORKER_MAX_HEAP_SIZE_MB)?;
    let Some(heap_mb) = heap_mb.or(daemon_mb) else {
        return Ok(());
    };
    let mut largest_mb: f64 = 0.0;
    for component in components(topology) {
        let own = conf::json_conf(&component)?;
        let onheap_mb = amount(&own, keys::TOPOLOGY_COMPONENT_RESOURCES_ONHEAP_MEMORY_MB)?;
        let offheap_mb = amount(&own, keys::TOPOLOGY_COMPONENT_RESOURCES_OFFHEAP_MEMORY_MB)?;
        largest_mb = largest_mb.max(onheap_mb.unwrap_or(0.0) + offheap_mb.unwrap_or(0.0));
    }
    if heap_mb < largest_mb {
        return refuse(format!(
            "Topology will not be able to be successfully scheduled: Config \
             TOPOLOGY_WORKER_MAX_HEAP_SIZE_MB={heap_mb:?} < {largest_mb:?} (Largest memory \
             requirement of a component in the topology). Perhaps set \
             TOPOLOGY_WORKER_MAX_HEAP_SIZE_MB to a larger amount"
        ));
    }
    Ok(())
}

fn amount(conf: &Conf, key: &str) -> Result<Option<f64>, InvalidTopology> {
    conf.float(key)
        .map_err(|error| InvalidTopology::Conf(error.to_string()))
}

/// Whether this cluster can run the user's topology. `is_native` knows the class names of built-in
/// components.
///
/// Refuses code that needs a JVM, choices left empty, and values that Storm accepts and later fails
/// on.
pub fn runnable(
    topology: &StormTopology,
    is_native: &dyn Fn(&str) -> bool,
) -> Result<(), InvalidTopology> {
    for component in components(topology) {
        has_code(&component, is_native)?;
        has_groupings(&component)?;
        resources(&component)?;
    }
    if topology
        .worker_hooks
        .as_ref()
        .is_some_and(|hooks| !hooks.is_empty())
    {
        return refuse(
            "Topology has worker hooks, which are serialized Java objects: they need a worker on \
             a JVM, which is not there yet"
                .to_owned(),
        );
    }
    shared_memory(topology)
}

fn has_code(
    component: &Component<'_>,
    is_native: &dyn Fn(&str) -> bool,
) -> Result<(), InvalidTopology> {
    let id = component.id;
    if component.kind == ComponentKind::StateSpout {
        return refuse(format!(
            "Component: [{id}] is a state spout, which nothing can run"
        ));
    }
    match component.object {
        ComponentObject::Unset => refuse(format!(
            "Component: [{id}] has no code: its object sets none of serialized_java, shell and \
             java_object"
        )),
        ComponentObject::SerializedJava(_) => refuse(format!(
            "Component: [{id}] is a serialized Java object: it needs a worker on a JVM, which is \
             not there yet. Use a shell component or the class name of a built-in one"
        )),
        ComponentObject::JavaObject(object) if !is_native(&object.full_class_name) => {
            refuse(format!(
                "Component: [{id}] names the class [{}], which is not one of the built-in \
                 components; other classes need a worker on a JVM, which is not there yet",
                object.full_class_name
            ))
        }
        ComponentObject::JavaObject(_) | ComponentObject::Shell(_) => Ok(()),
    }
}

fn has_groupings(component: &Component<'_>) -> Result<(), InvalidTopology> {
    for (input, grouping) in &component.common.inputs {
        let reason = match grouping {
            Grouping::Unset => "without a grouping: none of its choices is set".to_owned(),
            Grouping::CustomSerialized(_) => "with a serialized Java grouping: it needs a worker \
                                              on a JVM, which is not there yet"
                .to_owned(),
            Grouping::CustomObject(object) if custom_grouping(object).is_none() => format!(
                "with a grouping of the class [{}], which is not built in; other classes need a \
                 worker on a JVM, which is not there yet",
                object.full_class_name
            ),
            _ => continue,
        };
        return refuse(format!(
            "Component: [{}] subscribes from stream: [{}] of component [{}] {reason}",
            component.id, input.stream_id, input.component_id
        ));
    }
    Ok(())
}

fn resources(component: &Component<'_>) -> Result<(), InvalidTopology> {
    let own = conf::json_conf(component)?;
    for key in RESOURCE_KEYS {
        let amount = amount(&own, key).map_err(|error| {
            InvalidTopology::Refused(format!("Component: [{}] {key}: {error}", component.id))
        })?;
        if let Some(amount) = amount.filter(|amount| !is_amount(*amount)) {
            let id = component.id;
            return refuse(format!("Component: [{id}] asks for {amount} of {key}"));
        }
    }
    Ok(())
}

fn shared_memory(topology: &StormTopology) -> Result<(), InvalidTopology> {
    let declared = topology.shared_memory.iter().flatten();
    for (name, memory) in declared.clone() {
        let amounts = [memory.on_heap, memory.off_heap_worker, memory.off_heap_node];
        if let Some(amount) = amounts
            .into_iter()
            .flatten()
            .find(|amount| !is_amount(*amount))
        {
            return refuse(format!("Shared memory [{name}] asks for {amount} MB"));
        }
    }
    let declared: BTreeSet<&String> = declared.map(|(name, _)| name).collect();
    for (component, names) in topology.component_to_shared_memory.iter().flatten() {
        // Storm accepts this, and its first scheduling round then ends Nimbus.
        if let Some(name) = names.iter().find(|name| !declared.contains(name)) {
            return refuse(format!(
                "Component: [{component}] uses the shared memory [{name}], which the topology does \
                 not declare"
            ));
        }
    }
    Ok(())
}

fn is_amount(amount: f64) -> bool {
    amount.is_finite() && amount >= 0.0
}

fn join(names: BTreeSet<&str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

fn refuse<T>(reason: String) -> Result<T, InvalidTopology> {
    Err(InvalidTopology::Refused(reason))
}

/// What a component may ask a scheduler for.
const RESOURCE_KEYS: [&str; 3] = [
    keys::TOPOLOGY_COMPONENT_RESOURCES_ONHEAP_MEMORY_MB,
    keys::TOPOLOGY_COMPONENT_RESOURCES_OFFHEAP_MEMORY_MB,
    keys::TOPOLOGY_COMPONENT_CPU_PCORE_PERCENT,
];

/// How much of an id that is too long an error repeats.
const ID_SHOWN_CHARS: usize = 40;

#[cfg(test)]
mod tests;

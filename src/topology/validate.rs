//! Which topologies are accepted: Storm's own rules in Storm's words, our limits, and what this
//! cluster can run (control-plane 4.1).
//!
//! The conf's own values are checked by `crate::conf::validate`. Cycles of subscription are legal.

mod bounds;
mod runnable;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::conf::{Conf, keys};
use crate::limits;
use crate::scheduler::resources::Resources;
use crate::wire::storm::{Grouping, StormTopology};

use super::{Component, ComponentKind, InvalidTopology, components, conf, is_system_id, normalise};

pub use bounds::{executors, limits, n_tasks};
pub use runnable::runnable;

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

/// The limit on a topology's name.
pub fn name_length(name: &str) -> Result<(), InvalidTopology> {
    let max = limits::TOPOLOGY_NAME_BYTES_MAX;
    if name.len() > max {
        let n_bytes = name.len();
        return refuse(format!(
            "Topology name is not valid. It has {n_bytes} bytes, more than {max} (limit \
             TOPOLOGY_NAME_BYTES_MAX)"
        ));
    }
    Ok(())
}

/// Whether blobs and files can be named after the topology. Storm finds out late and then fails
/// without a reason, so submissions are checked for it beside `name`.
pub fn storable_name(name: &str) -> Result<(), InvalidTopology> {
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
    // Where kinds share an id, the last of them counts, for its own subscriptions too.
    let counting: Vec<Component<'_>> = components(topology)
        .filter(|one| std::ptr::eq(sources[one.id].common, one.common))
        .collect();
    let inputs = counting.into_iter().flat_map(|subscriber| {
        let inputs = subscriber.common.inputs.iter();
        inputs.map(move |(input, grouping)| (subscriber.id, input, grouping))
    });
    inputs.filter_map(move |(id, input, grouping)| {
        let (from, stream) = (input.component_id.as_str(), input.stream_id.as_str());
        let Some(source) = sources.get(from) else {
            return Some(InvalidTopology::refused(format!(
                "Component: [{id}] subscribes from non-existent component [{from}]"
            )));
        };
        if !source.common.streams.contains_key(stream) {
            return Some(InvalidTopology::refused(format!(
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
        // In the order that the grouping has them.
        let missing: Vec<&str> = fields
            .iter()
            .map(String::as_str)
            .filter(|field| !known.contains(field))
            .collect();
        if missing.is_empty() {
            return None;
        }
        let missing = join(missing);
        // The plus sign is Storm's.
        Some(InvalidTopology::refused(format!(
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

/// Storm's check that the largest component fits a worker's heap, under every scheduler. The
/// daemon's conf says nothing of components here. `submitted` is the topology's conf.
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
        largest_mb = largest_mb.max(Resources::of(&component, submitted)?.memory_mb());
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
    conf.float(key).map_err(InvalidTopology::conf)
}

fn join<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

fn refuse<T>(reason: String) -> Result<T, InvalidTopology> {
    Err(InvalidTopology::refused(reason))
}

#[cfg(test)]
mod tests;

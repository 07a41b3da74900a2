//! Our limits on a topology, each of which says its name (`crate::limits`, or a configuration key).

use crate::conf::{Conf, keys};
use crate::limits;
use crate::wire::storm::StormTopology;

use super::super::{InvalidTopology, components, conf, parallelism};
use super::refuse;

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
    let hints = components(system).map(|c| (c.id, parallelism(c.common)));
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

/// How much of an id that is too long an error repeats.
const ID_SHOWN_CHARS: usize = 40;

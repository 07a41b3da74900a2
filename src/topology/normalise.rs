//! What Nimbus makes of a submitted conf and topology before it stores them (control-plane 4.4).
//!
//! Who submitted and who may use the topology is stamped by Nimbus.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::conf::{Conf, keys};
use crate::scheduler::resources::Resources;
use crate::wire::storm::{ComponentCommon, StormTopology};

use super::conf::{component_int, int, json_conf};
use super::{Component, InvalidTopology, components, system, validate};

/// The topology's conf as it is stored: what was submitted, with the kryo settings of all
/// components merged in, executor numbers written out, and the keys fixed that only the cluster may
/// decide.
///
/// The saved conf is the daemon's overlaid by this one. What exceeds our limits is refused here
/// already, before any work goes into it.
pub fn conf(
    daemon: &Conf,
    submitted: &Conf,
    topology: &StormTopology,
) -> Result<Conf, InvalidTopology> {
    validate::limits(topology, 0)?;
    let merged = daemon.overlay(submitted);
    let mut conf = submitted.clone();
    let (register, decorators) = kryo(&merged, topology)?;
    conf.set(keys::TOPOLOGY_KRYO_REGISTER, register);
    conf.set(keys::TOPOLOGY_KRYO_DECORATORS, decorators);
    for key in WRITTEN_OUT {
        conf.set(key, merged.get(key).cloned().unwrap_or(Value::Null));
    }
    for key in CLUSTER_DECIDES {
        conf.set(key, daemon.get(key).cloned().unwrap_or(Value::Null));
    }
    if !merged.contains(keys::TOPOLOGY_METRICS_REPORTERS)
        && let Some(reporters) = merged.get(keys::STORM_METRICS_REPORTERS)
    {
        conf.set(keys::TOPOLOGY_METRICS_REPORTERS, reporters.clone());
    }
    remove_forbidden(daemon, &mut conf)?;
    hold(daemon, &mut conf)?;
    Ok(conf)
}

/// Settings that are to be laid over a topology's stored conf, without those that only the cluster
/// may decide, or that say which topology it is.
pub fn overrides(daemon: &Conf, mut conf: Conf) -> Result<Conf, InvalidTopology> {
    for key in CLUSTER_DECIDES.into_iter().chain(TLS_TO_NIMBUS) {
        conf.remove(key);
    }
    for key in [keys::STORM_ID, keys::TOPOLOGY_NAME] {
        conf.remove(key);
    }
    remove_forbidden(daemon, &mut conf)?;
    Ok(conf)
}

/// Holds a topology's conf to what its cluster asks of all: links, and calls to Nimbus, that are as
/// safe as the cluster's, and a worker time-out that is not above the cluster's longest.
pub fn hold(daemon: &Conf, conf: &mut Conf) -> Result<(), InvalidTopology> {
    let key = keys::STORM_MESSAGING_NETTY_AUTHENTICATION;
    conf.set(key, flag(daemon, key)? || flag(conf, key)?);
    // A topology may ask for more than its cluster does, never for less.
    if flag(daemon, keys::STORMWIRE_LINK_ENCRYPTION)?
        || flag(daemon, keys::STORM_MESSAGING_NETTY_TLS_ENABLE)?
    {
        conf.set(keys::STORMWIRE_LINK_ENCRYPTION, true);
    }
    let [of_workers, of_clients] = TLS_TO_NIMBUS;
    let is_tls = flag(daemon, of_workers)? || flag(conf, of_workers)?;
    conf.set(of_workers, is_tls);
    conf.set(of_clients, is_tls || flag(daemon, of_clients)?);
    let merged = daemon.overlay(conf);
    let timeout_secs = int(&merged, keys::TOPOLOGY_WORKER_TIMEOUT_SECS)?;
    let max_secs = int(&merged, keys::WORKER_MAX_TIMEOUT_SECS)?;
    if let (Some(timeout_secs), Some(max_secs)) = (timeout_secs, max_secs)
        && timeout_secs > max_secs
    {
        conf.set(keys::TOPOLOGY_WORKER_TIMEOUT_SECS, max_secs);
    }
    Ok(())
}

/// The topology as it is stored: each component's `json_conf` says its `topology.tasks`. `conf` is
/// the effective one. Parallelism hints stay as they are.
pub fn topology(topology: &StormTopology, conf: &Conf) -> Result<StormTopology, InvalidTopology> {
    let mut normalised = topology.clone();
    for component in components(topology) {
        let mut own = json_conf(&component)?;
        let n_tasks = n_tasks(&component, &own, conf)?;
        own.set(keys::TOPOLOGY_TASKS, n_tasks);
        let json = Some(own.to_json());
        if let Some(common) = common_mut(&mut normalised, &component) {
            common.json_conf = json;
        }
    }
    Ok(normalised)
}

/// Executor numbers that the resource-aware scheduler settles for a topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceAware {
    /// Workers that the topology will need, by its memory.
    pub estimated_workers: i32,
    pub acker_executors: i32,
    pub acker_executors_per_worker: i32,
    pub event_logger_executors: i32,
}

// === impl ResourceAware ===

impl ResourceAware {
    /// Writes the numbers into the conf that is saved.
    pub fn write(self, conf: &mut Conf) {
        conf.set(keys::TOPOLOGY_ACKER_EXECUTORS, self.acker_executors);
        conf.set(
            keys::TOPOLOGY_RAS_ACKER_EXECUTORS_PER_WORKER,
            self.acker_executors_per_worker,
        );
        conf.set(
            keys::TOPOLOGY_EVENTLOGGER_EXECUTORS,
            self.event_logger_executors,
        );
    }
}

/// The numbers of system executors under the resource-aware scheduler, where their default is one
/// for each estimated worker. `conf` is the effective one, `topology` need not be normalised.
pub fn resource_aware(
    topology: &StormTopology,
    conf: &Conf,
) -> Result<ResourceAware, InvalidTopology> {
    let estimated_workers = estimated_workers(topology, conf)?;
    let per_worker = int(conf, keys::TOPOLOGY_RAS_ACKER_EXECUTORS_PER_WORKER)?.unwrap_or(1);
    let (acker_executors, acker_executors_per_worker) =
        match int(conf, keys::TOPOLOGY_ACKER_EXECUTORS)? {
            Some(set) if estimated_workers > 0 => {
                (set, (set - 1).div_euclid(estimated_workers) + 1)
            }
            Some(set) => (set, 0),
            None => (estimated_workers.saturating_mul(per_worker), per_worker),
        };
    let event_loggers = int(conf, keys::TOPOLOGY_EVENTLOGGER_EXECUTORS)?;
    Ok(ResourceAware {
        estimated_workers,
        acker_executors,
        acker_executors_per_worker,
        event_logger_executors: event_loggers.unwrap_or(estimated_workers),
    })
}

/// Whether the cluster runs the resource-aware scheduler.
pub fn is_resource_aware(daemon: &Conf) -> bool {
    daemon.get(keys::STORM_SCHEDULER).and_then(Value::as_str) == Some(RESOURCE_AWARE_SCHEDULER)
}

fn estimated_workers(topology: &StormTopology, conf: &Conf) -> Result<i32, InvalidTopology> {
    let mut total_mb = 0.0;
    for component in components(topology) {
        let own = json_conf(&component)?;
        let n_tasks = n_tasks(&component, &own, conf)?;
        total_mb += Resources::of(&component, conf)?.onheap_mb * f64::from(n_tasks);
    }
    let acker_mb = Resources::of_system(super::ACKER, conf)?.memory_mb();
    // Storm's estimate caps ackers as it does any component's tasks, though their number is not.
    let n_ackers = system::n_ackers(conf)?;
    let n_max = int(conf, keys::TOPOLOGY_MAX_TASK_PARALLELISM)?.unwrap_or(n_ackers);
    total_mb += acker_mb * f64::from(n_ackers.min(n_max));
    let heap_mb = float(conf, keys::TOPOLOGY_WORKER_MAX_HEAP_SIZE_MB)?;
    let daemon_mb = float(conf, keys::WORKER_HEAP_MEMORY_MB)?.unwrap_or(HEAP_DEFAULT_MB);
    let heap_mb = heap_mb.unwrap_or(daemon_mb);
    // A cast from f64 saturates, and turns what is no number into 0.
    Ok((total_mb / heap_mb).ceil() as i32)
}

/// Tasks of a component before normalisation: its own `topology.tasks`, else the topology's, else
/// one for each executor; at most `topology.max.task.parallelism`.
fn n_tasks(component: &Component<'_>, own: &Conf, conf: &Conf) -> Result<i32, InvalidTopology> {
    // As in a merge of maps: a key that the component has hides the topology's, even when it is
    // null.
    let setting = |key| {
        if own.contains(key) {
            component_int(component, own, key)
        } else {
            int(conf, key)
        }
    };
    let n_tasks = setting(keys::TOPOLOGY_TASKS)?;
    let n_tasks = n_tasks.unwrap_or_else(|| super::parallelism(component.common));
    let n_max = setting(keys::TOPOLOGY_MAX_TASK_PARALLELISM)?;
    Ok(n_max.map_or(n_tasks, |n_max| n_tasks.min(n_max)))
}

fn common_mut<'a>(
    topology: &'a mut StormTopology,
    component: &Component<'_>,
) -> Option<&'a mut ComponentCommon> {
    use super::ComponentKind::*;
    match component.kind {
        Spout => topology
            .spouts
            .get_mut(component.id)
            .map(|spout| &mut spout.common),
        Bolt => topology
            .bolts
            .get_mut(component.id)
            .map(|bolt| &mut bolt.common),
        StateSpout => topology
            .state_spouts
            .get_mut(component.id)
            .map(|spout| &mut spout.common),
    }
}

/// Kryo registrations as one map from class to serializer (null: the default one), and decorators
/// without repetition. What the topology says wins over what a component says.
fn kryo(merged: &Conf, topology: &StormTopology) -> Result<(Value, Value), InvalidTopology> {
    let mut register = Map::new();
    let mut decorators = BTreeSet::new();
    for component in components(topology) {
        let own = json_conf(&component)?;
        collect_kryo(&own, &mut register, &mut decorators)?;
    }
    collect_kryo(merged, &mut register, &mut decorators)?;
    let decorators = decorators.into_iter().map(Value::String).collect();
    Ok((Value::Object(register), Value::Array(decorators)))
}

fn collect_kryo(
    conf: &Conf,
    register: &mut Map<String, Value>,
    decorators: &mut BTreeSet<String>,
) -> Result<(), InvalidTopology> {
    let key = keys::TOPOLOGY_KRYO_REGISTER;
    match conf.get(key) {
        None | Some(Value::Null) => {}
        Some(Value::Object(map)) => register.extend(map.clone()),
        Some(Value::Array(entries)) => {
            for entry in entries {
                match entry {
                    Value::String(class) => {
                        register.insert(class.clone(), Value::Null);
                    }
                    Value::Object(map) => register.extend(map.clone()),
                    other => return Err(unusable(key, other)),
                }
            }
        }
        Some(other) => return Err(unusable(key, other)),
    }
    let key = keys::TOPOLOGY_KRYO_DECORATORS;
    match conf.get(key) {
        None | Some(Value::Null) => {}
        Some(Value::Array(classes)) => {
            for class in classes {
                let class = class.as_str().ok_or_else(|| unusable(key, class))?;
                decorators.insert(class.to_owned());
            }
        }
        Some(other) => return Err(unusable(key, other)),
    }
    Ok(())
}

fn unusable(key: &str, value: &Value) -> InvalidTopology {
    InvalidTopology::conf(format!("{key} cannot be {value}"))
}

/// Removes what a topology may not decide about the cluster (control-plane 3.2).
fn remove_forbidden(daemon: &Conf, conf: &mut Conf) -> Result<(), InvalidTopology> {
    for key in [
        keys::STORM_LOCAL_HOSTNAME,
        keys::STORM_WORKERS_ARTIFACTS_DIR,
        keys::STORMWIRE_TOPOLOGY_EXECUTORS_MAX,
        keys::STORMWIRE_TOPOLOGY_TASKS_MAX,
    ] {
        conf.remove(key);
    }
    if daemon
        .text(keys::STORM_ZOOKEEPER_AUTH_SCHEME)
        .ok()
        .flatten()
        .is_none()
    {
        conf.remove(keys::STORM_ZOOKEEPER_TOPOLOGY_AUTH_SCHEME);
        conf.remove(keys::STORM_ZOOKEEPER_TOPOLOGY_AUTH_PAYLOAD);
    }
    if !flag(daemon, keys::STORM_TOPOLOGY_CLASSPATH_BEGINNING_ENABLED)? {
        conf.remove(keys::TOPOLOGY_CLASSPATH_BEGINNING);
    }
    Ok(())
}

fn flag(conf: &Conf, key: &str) -> Result<bool, InvalidTopology> {
    let value = conf.flag(key).map_err(InvalidTopology::conf)?;
    Ok(value.unwrap_or(false))
}

fn float(conf: &Conf, key: &str) -> Result<Option<f64>, InvalidTopology> {
    conf.float(key).map_err(InvalidTopology::conf)
}

/// Written into the stored conf from wherever they come, also when that is null.
const WRITTEN_OUT: [&str; 3] = [
    keys::TOPOLOGY_ACKER_EXECUTORS,
    keys::TOPOLOGY_EVENTLOGGER_EXECUTORS,
    keys::TOPOLOGY_MAX_TASK_PARALLELISM,
];

/// Taken from the daemon's conf whatever the topology says.
const CLUSTER_DECIDES: [&str; 2] = [keys::STORM_CGROUP_HIERARCHY_DIR, keys::WORKER_METRICS];

/// Whether a topology's workers call Nimbus over TLS: its own key, which it may set where its
/// cluster does not, and that of all clients, which follows.
const TLS_TO_NIMBUS: [&str; 2] = [
    keys::TOPOLOGY_WORKER_NIMBUS_THRIFT_CLIENT_USE_TLS,
    keys::NIMBUS_THRIFT_CLIENT_USE_TLS,
];

const RESOURCE_AWARE_SCHEDULER: &str = "org.apache.storm.scheduler.resource.ResourceAwareScheduler";

/// Storm's defaults, for a conf that does not even have those.
const HEAP_DEFAULT_MB: f64 = 768.0;

#[cfg(test)]
mod tests;

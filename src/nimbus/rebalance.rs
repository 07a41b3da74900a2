//! Rebalancing: what is asked is checked and kept, and when it is due the topology that results is
//! worked out for the next round to place.
//!
//! The delay is `transition`'s and `steer`'s, placing is `schedule`'s. What a rebalance changes in
//! records and blobs is one commit: the contents of blobs lie in it until they are in their files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::blobs::{BlobClient, Blobs};
use super::fault::Fault;
use super::leader::{Edit, Leader};
use super::plan::{BlobKeys, Plan};
use super::state::{State, Topology};
use super::submit;
use crate::blob::{BlobError, BlobKey, LocalBlobs};
use crate::clock;
use crate::component::factory;
use crate::conf::{Conf, ConfError, keys, validate};
use crate::id::TopologyId;
use crate::limits;
use crate::topology::{self, InvalidTopology};
use crate::wire::messages::RedoRecord;
use crate::wire::storm::{ErrorInfo, RebalanceOptions, StormTopology, TopologyActionOptions};
use crate::wire::{WireError, stored};

/// A topology as it is to be after its rebalance.
#[derive(Debug)]
pub(crate) struct Next {
    /// What it was made of: if that changed meanwhile, this is void.
    pub seen: Arc<Topology>,
    pub topology: Arc<Topology>,
    /// New contents of its blobs.
    pub redo: RedoRecord,
    /// Whether workers run that have to take the change up before spouts may emit.
    pub settles: bool,
}

/// Why what was asked cannot be done any more.
#[derive(Debug, thiserror::Error)]
enum NextError {
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Invalid(#[from] InvalidTopology),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("its blobs are damaged")]
    NoPlan,
}

/// Who asks for a rebalance.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub principal: Option<String>,
    pub client: BlobClient,
}

/// Storm's checks of a client's options, and what is kept of them.
pub(crate) fn checked(
    leader: &Leader,
    topology: &Topology,
    mut options: RebalanceOptions,
    by: Asker,
) -> Result<RebalanceOptions, Fault> {
    options.principal = by.principal;
    let plan = topology.plan.as_ref();
    let plan =
        plan.ok_or_else(|| Fault::Internal(format!("the blobs of {} are damaged", topology.id)))?;
    check_executors(
        topology.name(),
        plan,
        options.num_executors.iter().flatten(),
    )?;
    if options.num_workers.is_some_and(|n_workers| n_workers < 0) {
        // Storm takes it, and the whole daemon ends in the next round.
        let text = "Number of workers must be greater than 0";
        return Err(Fault::InvalidTopology(text.to_owned()));
    }
    check_resources(options.topology_resources_overrides.iter().flatten())?;
    if let Some(text) = options.topology_conf_overrides.take() {
        options.topology_conf_overrides = conf_overrides(leader, &text, &by.client)?;
    }
    // What cannot be carried out later is refused now.
    let next = next_plan(plan, &options, &leader.conf).map_err(|error| match error {
        NextError::Invalid(error) => error.into(),
        NextError::Conf(error) => Fault::InvalidTopology(error.to_string()),
        other => Fault::Internal(other.to_string()),
    })?;
    if let Some((plan, _)) = next {
        submit::check_links(&plan.conf, &leader.conf)?;
        let runs = factory::check(&plan.user, &plan.conf);
        runs.map_err(|error| Fault::InvalidTopology(error.to_string()))?;
    }
    Ok(options)
}

fn check_executors<'a>(
    name: &str,
    plan: &Plan,
    wanted: impl Iterator<Item = (&'a String, &'a i32)>,
) -> Result<(), Fault> {
    let known: BTreeSet<&str> = topology::components(&plan.user).map(|c| c.id).collect();
    for (component, n_executors) in wanted {
        if !topology::is_system_id(component) && !known.contains(component.as_str()) {
            let known: Vec<&str> = known.into_iter().collect();
            return Err(Fault::InvalidTopology(format!(
                "Invalid component {component} for topology {name}, valid values are {}",
                known.join(",")
            )));
        }
        if *n_executors <= 0 {
            let text = "Number of executors must be greater than 0";
            return Err(Fault::InvalidTopology(text.to_owned()));
        }
    }
    Ok(())
}

/// Storm takes any number, and its schedulers then count with it.
fn check_resources<'a>(
    overrides: impl Iterator<Item = (&'a String, &'a BTreeMap<String, f64>)>,
) -> Result<(), Fault> {
    for (component, resources) in overrides {
        for (name, amount) in resources {
            if !amount.is_finite() || *amount < 0.0 {
                return Err(Fault::InvalidTopology(format!(
                    "{name} of component {component} must be a number of at least 0: {amount}"
                )));
            }
        }
    }
    Ok(())
}

/// The overrides without what a user may not set; none when nothing is left.
fn conf_overrides(
    leader: &Leader,
    text: &str,
    client: &BlobClient,
) -> Result<Option<String>, Fault> {
    let conf = Conf::from_json(text).map_err(|error| Fault::Internal(error.to_string()))?;
    let conf = topology::normalise::overrides(&leader.conf, without_own(conf))?;
    validate::topology(&conf).map_err(|violation| match violation.is_invalid_topology() {
        true => Fault::InvalidTopology(violation.to_string()),
        false => Fault::Internal(violation.to_string()),
    })?;
    Blobs { leader, client }.check_map(&conf)?;
    Ok((!conf.is_empty()).then(|| conf.to_json()))
}

/// Whose a topology is and where it runs is not its user's to say.
fn without_own(mut conf: Conf) -> Conf {
    for key in [
        keys::TOPOLOGY_SUBMITTER_PRINCIPAL,
        keys::TOPOLOGY_SUBMITTER_USER,
        keys::STORM_ZOOKEEPER_SUPERACL,
        keys::STORM_ZOOKEEPER_TOPOLOGY_AUTH_SCHEME,
        keys::STORM_ZOOKEEPER_TOPOLOGY_AUTH_PAYLOAD,
    ] {
        conf.remove(key);
    }
    conf
}

/// The state as a round is to see it: topologies whose rebalance is due as they are to be, and what
/// that means for each.
pub(crate) fn prepare(
    leader: &Leader,
    state: Arc<State>,
) -> (Arc<State>, BTreeMap<TopologyId, Arc<Next>>) {
    let is_due = |topology: &&Arc<Topology>| topology.lifecycle.is_placing();
    let due: Vec<_> = state.topologies.values().filter(is_due).cloned().collect();
    if due.is_empty() {
        return (state, BTreeMap::new());
    }
    let mut topologies = state.topologies.clone();
    let mut nexts = BTreeMap::new();
    for seen in due {
        let id = seen.id.clone();
        let next = Arc::new(next(leader, seen));
        topologies.insert(id.clone(), Arc::clone(&next.topology));
        nexts.insert(id, next);
    }
    (Arc::new(State::new(topologies, state.version)), nexts)
}

fn next(leader: &Leader, seen: Arc<Topology>) -> Next {
    let options = match &seen.base.topology_action_options {
        Some(TopologyActionOptions::RebalanceOptions(options)) => options.clone(),
        _ => RebalanceOptions::default(),
    };
    let changed = seen.plan.as_ref().ok_or(NextError::NoPlan);
    let changed = changed.and_then(|plan| next_plan(plan, &options, &leader.conf));
    let (options, changed) = match changed {
        Ok(changed) => (options, changed),
        Err(error) => {
            // It was sound when it was asked for: Nimbus has another conf or version since.
            tracing::error!(topology = %seen.id, %error, "a rebalance changes nothing");
            report(leader, &seen, &error);
            (RebalanceOptions::default(), None)
        }
    };
    let settles = leader
        .stillness()
        .is_alive(&seen.id, clock::monotonic_millis());
    let (plan, redo) = match changed {
        Some((plan, redo)) => (Some(Arc::new(plan)), redo),
        None => (seen.plan.clone(), RedoRecord::default()),
    };
    let topology = Arc::new(rebalanced(&seen, &options, plan));
    Next {
        topology,
        seen,
        redo,
        settles,
    }
}

/// Storm's merge of a record: what is blank in the options stays as it is.
fn rebalanced(seen: &Topology, options: &RebalanceOptions, plan: Option<Arc<Plan>>) -> Topology {
    let mut base = seen.base.clone();
    let lifecycle = seen.lifecycle.rebalanced();
    base.status = lifecycle.status().into();
    base.prev_status = None;
    base.topology_action_options = None;
    if let Some(n_workers) = options.num_workers.filter(|n_workers| *n_workers > 0) {
        base.num_workers = n_workers;
    }
    let mut hints = base.component_executors.take().unwrap_or_default();
    hints.extend(options.num_executors.clone().unwrap_or_default());
    let executors = match &plan {
        Some(plan) => Arc::new(plan.executors(&hints)),
        None => Arc::clone(&seen.executors),
    };
    base.component_executors = Some(hints);
    Topology {
        base,
        lifecycle,
        plan,
        executors,
        ..seen.clone()
    }
}

/// Puts what a placed rebalance changes beside the assignment into an edit.
pub(crate) fn commit(edit: &mut Edit, next: &Next) -> Result<(), WireError> {
    let topology = &next.topology;
    edit.batch.base(&topology.id, &topology.base)?;
    edit.batch.remove_deadline(&topology.id);
    if next.redo != RedoRecord::default() {
        edit.batch.redo(&topology.id, &next.redo)?;
        edit.redo.push((topology.id.clone(), next.redo.clone()));
    }
    Ok(())
}

/// Brings what was committed into its files. Doing so again changes nothing.
pub(crate) fn redo(
    blobs: &LocalBlobs,
    id: &TopologyId,
    redo: &RedoRecord,
) -> Result<(), BlobError> {
    let keys = BlobKeys::new(id)?;
    let put = |key: &BlobKey, content: &Option<Bytes>| match content {
        Some(content) => blobs.put(key, content).map(|_| ()),
        None => Ok(()),
    };
    put(&keys.code, &redo.code)?;
    put(&keys.conf, &redo.conf)
}

/// Plan and blobs after the overrides; none when there are no overrides.
fn next_plan(
    plan: &Plan,
    options: &RebalanceOptions,
    daemon: &Conf,
) -> Result<Option<(Plan, RedoRecord)>, NextError> {
    let resources = options.topology_resources_overrides.as_ref();
    let resources = resources.filter(|overrides| !overrides.is_empty());
    let overrides = options.topology_conf_overrides.as_deref();
    if resources.is_none() && overrides.is_none() {
        return Ok(None);
    }
    let mut redo = RedoRecord::default();
    let mut conf = plan.conf.clone();
    if let Some(overrides) = overrides {
        conf = conf.overlay(&Conf::from_json(overrides)?);
        topology::normalise::hold(daemon, &mut conf)?;
        check_size(&conf)?;
        redo.conf = Some(stored::pack_conf(&conf));
    }
    let mut user = plan.user.clone();
    if let Some(resources) = resources {
        override_resources(&mut user, resources)?;
        redo.code = Some(stored::pack_struct(&user)?);
    }
    let plan = Plan::new(user, conf, daemon)?;
    topology::validate::sizes(&plan.user, &plan.conf, daemon)?;
    Ok(Some((plan, redo)))
}

/// A conf grows with each rebalance, and what does not unpack again is no conf any more.
fn check_size(conf: &Conf) -> Result<(), InvalidTopology> {
    let n_bytes = conf.to_json().len();
    if n_bytes > limits::STORED_BYTES_MAX {
        let most = limits::STORED_BYTES_MAX;
        return Err(InvalidTopology::Refused(format!(
            "The topology's conf would have {n_bytes} bytes, more than {most} (limit \
             STORED_BYTES_MAX)"
        )));
    }
    Ok(())
}

/// Puts resources into the confs of the components that they are for. Components that do not exist
/// are passed over, as in Storm.
fn override_resources(
    user: &mut StormTopology,
    overrides: &BTreeMap<String, BTreeMap<String, f64>>,
) -> Result<(), InvalidTopology> {
    for (id, resources) in overrides {
        let Some(component) = topology::component(user, id) else {
            tracing::warn!(
                component = id,
                "resources for a component that is not there"
            );
            continue;
        };
        let conf = topology::conf::json_conf(&component)?;
        let common = match user.spouts.get_mut(id) {
            Some(spout) => Some(&mut spout.common),
            None => user.bolts.get_mut(id).map(|bolt| &mut bolt.common),
        };
        if let Some(common) = common {
            common.json_conf = Some(with_resources(conf, resources).to_json());
        }
    }
    Ok(())
}

/// A component's conf with these resources instead of its own.
fn with_resources(mut conf: Conf, resources: &BTreeMap<String, f64>) -> Conf {
    let mut map = conf.map(keys::TOPOLOGY_COMPONENT_RESOURCES_MAP).cloned();
    let map = map.get_or_insert_default();
    for (name, amount) in resources {
        // Named in the old way or in the new one, it counts once.
        let own = OWN_RESOURCES
            .iter()
            .find(|(short, long)| name == short || name == long);
        let short = match own {
            Some((short, long)) => {
                conf.remove(long);
                map.remove(*long);
                *short
            }
            None => name,
        };
        map.insert(short.to_owned(), Value::from(*amount));
    }
    conf.set(keys::TOPOLOGY_COMPONENT_RESOURCES_MAP, map.clone());
    conf
}

fn report(leader: &Leader, topology: &Topology, error: &NextError) {
    let error = ErrorInfo {
        error: format!("a rebalance changed nothing: {error}"),
        error_time_secs: clock::wall_secs_i32(),
        ..ErrorInfo::default()
    };
    let component = topology::SYSTEM.into();
    leader.errors().report(&topology.id, &component, error);
}

/// Storm's own resources: what components call them now, and what they called them once.
const OWN_RESOURCES: [(&str, &str); 3] = [
    (
        "onheap.memory.mb",
        keys::TOPOLOGY_COMPONENT_RESOURCES_ONHEAP_MEMORY_MB,
    ),
    (
        "offheap.memory.mb",
        keys::TOPOLOGY_COMPONENT_RESOURCES_OFFHEAP_MEMORY_MB,
    ),
    (
        "cpu.pcore.percent",
        keys::TOPOLOGY_COMPONENT_CPU_PCORE_PERCENT,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nimbus::tests::words;

    #[test]
    fn a_conf_does_not_outgrow_what_can_be_read_again() {
        let daemon = Conf::defaults();
        let user = topology::normalise::topology(&words(1), &daemon).expect("sound");
        let large = "x".repeat(limits::STORED_BYTES_MAX);
        let next = |conf: Conf| {
            let plan = Plan::new(user.clone(), conf, &daemon).expect("sound");
            let options = RebalanceOptions {
                topology_conf_overrides: Some(Conf::new().with("more", 1).to_json()),
                ..RebalanceOptions::default()
            };
            next_plan(&plan, &options, &daemon).map(drop)
        };
        next(daemon.clone()).expect("room");
        let refused = next(daemon.clone().with("large", large));
        let refused = refused.expect_err("no room").to_string();
        assert!(refused.contains("STORED_BYTES_MAX"), "{refused}");
    }
}

//! What the workers of a topology are asked to tell of themselves: stacks, profiles, memory.
//!
//! Keeps the requests until the worker that one is for has carried it out, or nobody did in time.
//! Carries nothing out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::fault::Fault;
use super::leader::{ChangeError, Edit, Leader};
use super::state::{Controls, State, Topology};
use crate::clock;
use crate::id::{Slot, TopologyId};
use crate::limits;
use crate::wire::messages::WorkerReport;
use crate::wire::storm::{ProfileAction, ProfileRequest};

/// Keeps a request, in place of one of the same host, port and action; on disk when this returns.
pub(crate) async fn set(
    leader: Arc<Leader>,
    id: TopologyId,
    mut request: ProfileRequest,
) -> Result<(), Fault> {
    // One whose time is long over, as most are that name none, waits for its worker all the same.
    let earliest_ms = clock::wall_millis() - limits::PROFILE_REQUEST_MS_MAX / 2;
    request.time_stamp = Some(request.time_stamp.unwrap_or(0).max(earliest_ms));
    let key = key(&request).ok_or_else(|| {
        Fault::Internal("a request for a profile names a port and a known action".to_owned())
    })?;
    if key.len() > limits::PROFILE_KEY_BYTES_MAX {
        return Err(Fault::Internal("the host's name is too long".to_owned()));
    }
    let text = key.clone();
    leader
        .change(|state| {
            let topology = state.topologies.get(&id);
            let topology = topology.ok_or_else(|| Fault::NotAlive(id.to_string()))?;
            let mut profiles = topology.controls.profiles.clone();
            profiles.insert(key, request);
            if profiles.len() > limits::PROFILE_REQUESTS_MAX {
                let n = limits::PROFILE_REQUESTS_MAX;
                return Err(Fault::Internal(format!("{n} requests wait already")));
            }
            Ok((edit(topology, profiles)?, ()))
        })
        .await?;
    tracing::info!(topology = %id, request = text, "a profile was asked for");
    Ok(())
}

/// The requests of one kind that are still to come, one at most for each slot that runs the
/// component.
pub(crate) fn pending(
    topology: &Topology,
    component: &str,
    action: ProfileAction,
    now_ms: i64,
) -> Vec<ProfileRequest> {
    let runs = |executor| {
        let of = topology.executors.get(executor);
        of.is_some_and(|id| id.as_str() == component)
    };
    let slots: BTreeSet<&Slot> = topology
        .placement()
        .filter(|(executor, _)| runs(executor))
        .map(|(_, slot)| slot)
        .collect();
    let key = |slot: &Slot| Some(key_of(host(topology, slot)?, slot.port.into(), action));
    let keys: BTreeSet<String> = slots.into_iter().filter_map(key).collect();
    let found = keys
        .iter()
        .filter_map(|key| topology.controls.profiles.get(key));
    let is_pending = |request: &&ProfileRequest| request.time_stamp.unwrap_or(0) > now_ms;
    found.filter(is_pending).cloned().collect()
}

/// A worker carried requests out: they are done, unless they were replaced meanwhile.
pub(crate) async fn done(leader: &Leader, report: &WorkerReport) -> Result<(), ChangeError> {
    let done = report.profiled.as_deref().unwrap_or_default();
    let id = TopologyId::from(report.topology_id.as_str());
    let is_its_own = |topology: &Topology, request: &ProfileRequest| {
        let Ok(port) = u16::try_from(report.port) else {
            return false;
        };
        let slot = Slot {
            node: report.node.as_str().into(),
            port,
        };
        let node = &request.node_info;
        host(topology, &slot) == Some(&node.node) && node.port.contains(&port.into())
    };
    leader
        .change(|state: &State| {
            let Some(topology) = state.topologies.get(&id) else {
                return Ok((Edit::default(), ()));
            };
            let mut profiles = topology.controls.profiles.clone();
            for request in done.iter().filter(|request| is_its_own(topology, request)) {
                if let Some(key) = key(request)
                    && profiles.get(&key) == Some(request)
                {
                    profiles.remove(&key);
                }
            }
            if profiles.len() == topology.controls.profiles.len() {
                return Ok((Edit::default(), ()));
            }
            Ok((edit(topology, profiles)?, ()))
        })
        .await
}

/// Drops requests that no worker carried out long after their time.
pub(crate) async fn expire(leader: &Leader) -> Result<(), ChangeError> {
    let now_ms = clock::wall_millis();
    let is_over = |request: &ProfileRequest| {
        let end_ms = request.time_stamp.unwrap_or(0);
        end_ms.saturating_add(limits::PROFILE_REQUEST_MS_MAX) <= now_ms
    };
    let has_expired = |t: &&Arc<Topology>| t.controls.profiles.values().any(is_over);
    if !leader.state().topologies.values().any(|t| has_expired(&t)) {
        return Ok(());
    }
    leader
        .change(|state: &State| {
            let mut all = Edit::default();
            for topology in state.topologies.values().filter(has_expired) {
                let mut left = topology.controls.profiles.clone();
                left.retain(|_, request| !is_over(request));
                let one = edit(topology, left.clone())?;
                all.batch
                    .profiles(&topology.id, left.into_values().collect())?;
                all.topologies.extend(one.topologies);
            }
            Ok::<_, ChangeError>((all, ()))
        })
        .await
}

/// Requests as a topology holds them. One that makes no sense is left out.
pub(crate) fn by_key(requests: Vec<ProfileRequest>) -> BTreeMap<String, ProfileRequest> {
    let keyed = |request: ProfileRequest| Some((key(&request)?, request));
    requests.into_iter().filter_map(keyed).collect()
}

/// Storm's name of a request.
fn key(request: &ProfileRequest) -> Option<String> {
    let node = &request.node_info;
    let action = request.action.known()?;
    Some(key_of(&node.node, *node.port.first()?, action))
}

fn key_of(host: &str, port: i64, action: ProfileAction) -> String {
    format!("{host}_{port}_{}", action.name())
}

/// The host of a slot, as its supervisor calls it.
fn host<'t>(topology: &'t Topology, slot: &Slot) -> Option<&'t String> {
    let assigned = topology.assigned.as_ref()?;
    assigned
        .assignment()
        .node_host
        .as_ref()?
        .get(slot.node.as_str())
}

fn edit(
    topology: &Topology,
    profiles: BTreeMap<String, ProfileRequest>,
) -> Result<Edit, ChangeError> {
    let mut edit = Edit::default();
    edit.batch
        .profiles(&topology.id, profiles.values().cloned().collect())?;
    let changed = topology.with_controls(Controls {
        profiles,
        ..topology.controls.as_ref().clone()
    });
    edit.topologies.push((topology.id.clone(), Some(changed)));
    Ok(edit)
}

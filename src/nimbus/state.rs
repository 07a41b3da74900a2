//! What Nimbus knows of its topologies: an immutable snapshot that each change replaces whole.
//!
//! Readers never wait. What changes every second (heartbeats) is in `beats`; how a change gets to
//! disk first is in `leader`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use super::plan::Plan;
use super::transition::Lifecycle;
use crate::id::{ComponentId, ExecutorId, NodeId, Slot, TaskId, TopologyId};
use crate::limits;
use crate::scheduler::{Placement, Standing};
use crate::wire::messages::{AssignmentRecord, TopologyPhase, TopologyWork};
use crate::wire::storm::{
    Assignment, Credentials, LogConfig, NodeInfo, ProfileRequest, StormBase, TopologyStatus,
};

/// All topologies at one moment.
#[derive(Debug)]
pub(crate) struct State {
    pub topologies: BTreeMap<TopologyId, Arc<Topology>>,
    /// Another number after each change. Starts at the boot's wall clock in microseconds, so that
    /// no number of an earlier run comes again.
    pub version: i64,
    /// Made when it is first asked for.
    nodes: OnceLock<BTreeMap<NodeId, NodeUse>>,
}

/// What runs on a node.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeUse {
    pub n_slots: usize,
    /// In the order of their ids.
    pub topologies: Vec<Arc<Topology>>,
}

/// One topology at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    pub id: TopologyId,
    pub base: StormBase,
    pub lifecycle: Lifecycle,
    /// None when its blobs cannot be read: then it stays where it is until somebody kills it.
    pub plan: Option<Arc<Plan>>,
    /// Executors that it should have.
    pub executors: Arc<BTreeMap<ExecutorId, ComponentId>>,
    pub assigned: Option<Arc<Assigned>>,
    pub sched_status: Option<String>,
    pub controls: Arc<Controls>,
}

/// What operators asked of a topology's workers, beside what its `StormBase` holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Controls {
    /// None: nobody ever set a level.
    pub log_config: Option<LogConfig>,
    pub credentials: Option<Credentials>,
    /// One for each host, port and action, as Storm keeps them.
    pub profiles: BTreeMap<String, ProfileRequest>,
}

/// Where a topology runs.
#[derive(Debug)]
pub(crate) struct Assigned {
    pub record: AssignmentRecord,
    /// The same as the record says.
    pub placement: Arc<Placement>,
    /// The slots of the placement.
    pub slots: Arc<BTreeSet<Slot>>,
    /// While it is being taken up: until when spouts wait for that, in monotonic milliseconds.
    pub settles_until_ms: Option<u64>,
    /// The same, from the workers' side.
    by_slot: Arc<BTreeMap<Slot, BTreeSet<ExecutorId>>>,
    n_tasks: usize,
}

// === impl State ===

impl State {
    pub fn new(topologies: BTreeMap<TopologyId, Arc<Topology>>, version: i64) -> Self {
        State {
            topologies,
            version,
            nodes: OnceLock::new(),
        }
    }

    pub fn by_name(&self, name: &str) -> Option<&Arc<Topology>> {
        self.topologies
            .values()
            .find(|topology| topology.base.name == name)
    }

    /// What runs on a node; none when nothing does.
    pub fn on(&self, node: &NodeId) -> Option<&NodeUse> {
        self.by_node().get(node)
    }

    /// Nodes that some assignment names.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeId> {
        self.by_node().keys()
    }

    fn by_node(&self) -> &BTreeMap<NodeId, NodeUse> {
        self.nodes.get_or_init(|| {
            let mut nodes: BTreeMap<NodeId, NodeUse> = BTreeMap::new();
            for topology in self.topologies.values() {
                for slot in topology.slots() {
                    let node = match nodes.get_mut(&slot.node) {
                        Some(node) => node,
                        None => nodes.entry(slot.node.clone()).or_default(),
                    };
                    node.n_slots += 1;
                    // A topology's slots come one after another, and so do those on one node.
                    if !node
                        .topologies
                        .last()
                        .is_some_and(|last| Arc::ptr_eq(last, topology))
                    {
                        node.topologies.push(Arc::clone(topology));
                    }
                }
            }
            nodes
        })
    }
}

impl Clone for State {
    fn clone(&self) -> Self {
        // A copy is made to be changed: what follows from the topologies is made anew.
        State::new(self.topologies.clone(), self.version)
    }
}

// === impl Topology ===

impl Topology {
    pub fn name(&self) -> &str {
        &self.base.name
    }

    pub fn status(&self) -> TopologyStatus {
        self.lifecycle.status()
    }

    /// Executors with their slots; empty when it runs nowhere.
    pub fn placement(&self) -> impl Iterator<Item = (&ExecutorId, &Slot)> {
        self.assigned
            .iter()
            .flat_map(|assigned| assigned.placement.iter())
    }

    /// In their order.
    pub fn slots(&self) -> impl ExactSizeIterator<Item = &Slot> {
        let assigned = self.assigned.as_ref();
        assigned
            .map_or(NO_SLOTS, |assigned| &*assigned.by_slot)
            .keys()
    }

    /// The executors of one slot; none when it is not the topology's.
    pub fn executors_at(&self, slot: &Slot) -> Option<&BTreeSet<ExecutorId>> {
        self.assigned.as_ref()?.by_slot.get(slot)
    }

    /// Tasks that are assigned.
    pub fn n_tasks(&self) -> usize {
        self.assigned
            .as_ref()
            .map_or(0, |assigned| assigned.n_tasks)
    }

    /// What its supervisors and workers have to know.
    pub fn work(&self) -> Option<TopologyWork> {
        let assigned = self.assigned.as_ref()?;
        Some(TopologyWork {
            assignment: assigned.record.assignment.clone(),
            epoch: assigned.record.epoch,
            status: self.status().into(),
            component_debug: self.base.component_debug.clone().unwrap_or_default(),
            slot_epochs: assigned.record.slot_epochs.clone(),
            phase: Some(self.phase().into()),
            blobs_epoch: assigned.record.blobs_epoch,
            log_config: self.controls.log_config.clone(),
            credentials: self.controls.credentials.clone(),
            profile_requests: self.controls.requests(),
            ..TopologyWork::default()
        })
    }

    /// The same topology with other controls.
    pub fn with_controls(&self, controls: Controls) -> Arc<Self> {
        Arc::new(Topology {
            controls: Arc::new(controls),
            ..self.clone()
        })
    }

    fn phase(&self) -> TopologyPhase {
        let is_settling = |assigned: &Arc<Assigned>| assigned.settles_until_ms.is_some();
        if self.lifecycle.is_draining() || self.lifecycle.is_placing() {
            TopologyPhase::Draining
        } else if self.assigned.as_ref().is_some_and(is_settling) {
            TopologyPhase::Settling
        } else {
            TopologyPhase::Steady
        }
    }

    /// Whole seconds since it was submitted, by the wall clock.
    pub fn uptime_secs(&self, now_secs: i64) -> i32 {
        let launched = i64::from(self.base.launch_time_secs.unwrap_or(0));
        i32::try_from(now_secs.saturating_sub(launched).max(0)).unwrap_or(i32::MAX)
    }
}

// === impl Controls ===

impl Controls {
    fn requests(&self) -> Option<Vec<ProfileRequest>> {
        let requests = self.profiles.values().cloned();
        (!self.profiles.is_empty()).then(|| requests.collect())
    }
}

// === impl Assigned ===

impl Assigned {
    /// Reads the placement out of a record. Entries that make no sense are left out.
    pub fn new(record: AssignmentRecord, now_ms: u64) -> Self {
        let entries = record.assignment.executor_node_port.iter().flatten();
        let placement: Placement = entries
            .filter_map(|(executor, slot)| Some((executor_id(executor)?, slot_of(slot)?)))
            .collect();
        Assigned::standing(record, placement.into(), now_ms)
    }

    /// A record with the standing that it says.
    pub fn standing(record: AssignmentRecord, standing: Standing, now_ms: u64) -> Self {
        let Standing { placement, slots } = standing;
        let is_settling = record.is_settling == Some(true);
        let mut by_slot: BTreeMap<Slot, BTreeSet<ExecutorId>> = BTreeMap::new();
        let mut n_tasks: usize = 0;
        for (executor, slot) in placement.iter() {
            n_tasks = n_tasks.saturating_add(executor.tasks().count());
            match by_slot.get_mut(slot) {
                Some(executors) => drop(executors.insert(*executor)),
                None => drop(by_slot.insert(slot.clone(), [*executor].into())),
            }
        }
        Assigned {
            record,
            placement,
            slots,
            settles_until_ms: is_settling.then(|| now_ms.saturating_add(SETTLE_MS)),
            by_slot: Arc::new(by_slot),
            n_tasks,
        }
    }

    /// The same, now that all workers follow it.
    pub fn settled(&self) -> Self {
        let mut record = self.record.clone();
        record.is_settling = None;
        Assigned {
            record,
            placement: Arc::clone(&self.placement),
            slots: Arc::clone(&self.slots),
            settles_until_ms: None,
            by_slot: Arc::clone(&self.by_slot),
            n_tasks: self.n_tasks,
        }
    }

    /// The epoch since which a slot runs the same: no worker of an earlier one may be there. 0 for
    /// one that has run the same since always.
    pub fn epoch_of(&self, slot: &Slot) -> i64 {
        let epochs = self.record.slot_epochs.as_ref();
        let epoch = epochs.and_then(|epochs| epochs.get(&node_info(slot)));
        epoch.copied().unwrap_or(0)
    }

    pub fn assignment(&self) -> &Assignment {
        &self.record.assignment
    }
}

const NO_SLOTS: &BTreeMap<Slot, BTreeSet<ExecutorId>> = &BTreeMap::new();

/// An executor as assignments write it.
pub(crate) fn executor_key(executor: ExecutorId) -> Vec<i64> {
    vec![i64::from(executor.first.0), i64::from(executor.last.0)]
}

/// A slot as assignments write it.
pub(crate) fn node_info(slot: &Slot) -> NodeInfo {
    NodeInfo {
        node: slot.node.as_str().to_owned(),
        port: BTreeSet::from([i64::from(slot.port)]),
    }
}

fn executor_id(key: &[i64]) -> Option<ExecutorId> {
    let task = |number: &i64| i32::try_from(*number).ok().map(TaskId);
    match key {
        [first, last] => Some(ExecutorId::new(task(first)?, task(last)?)),
        _ => None,
    }
}

fn slot_of(info: &NodeInfo) -> Option<Slot> {
    let port = u16::try_from(*info.port.first()?).ok()?;
    let node = NodeId::from(info.node.as_str());
    Some(Slot { node, port })
}

const SETTLE_MS: u64 = limits::REBALANCE_SETTLE_MAX.as_millis() as u64;

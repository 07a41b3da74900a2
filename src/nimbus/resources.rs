//! What topologies, workers and supervisors asked for, were given and use: the one place where the
//! figures come from that clients are shown (control-plane 6.5, 9.4).
//!
//! Decides nothing: that is the scheduler's business.

use std::collections::{BTreeMap, BTreeSet};

use super::state::{State, Topology, node_info};
use crate::conf::{Conf, ConfError, keys};
use crate::id::{NodeId, Slot};
use crate::scheduler::Placement;
use crate::scheduler::demand::Demand;
use crate::scheduler::resources::{CPU, Capacity, OFFHEAP, ONHEAP, Resources, short_name};
use crate::wire::storm::{NodeInfo, WorkerResources};

/// What a topology asked for, or was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Amounts {
    /// With shared memory.
    pub total: Resources,
    pub shared_onheap_mb: f64,
    pub shared_offheap_mb: f64,
}

/// What runs on a supervisor takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NodeUse {
    pub memory_mb: f64,
    pub cpu: f64,
    pub generic: BTreeMap<String, f64>,
}

/// What no topology could use, since one executor with an acker would not fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fragment {
    pub memory_mb: f64,
    pub cpu: f64,
}

/// Below these a supervisor's rest counts as a fragment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Useful {
    memory_mb: f64,
    cpu: f64,
}

// === impl Amounts ===

impl Amounts {
    pub fn regular_onheap_mb(&self) -> f64 {
        self.total.onheap_mb - self.shared_onheap_mb
    }

    pub fn regular_offheap_mb(&self) -> f64 {
        self.total.offheap_mb - self.shared_offheap_mb
    }
}

/// What all executors ask for, placed or not, with all memory that they declare to share.
pub(crate) fn requested(topology: &Topology) -> Amounts {
    let Some(plan) = &topology.plan else {
        return Amounts::default();
    };
    let shared = plan.demand.shared_once();
    let regular = plan.demand.requested(topology.executors.values());
    Amounts {
        total: regular.plus(&shared),
        shared_onheap_mb: shared.onheap_mb,
        shared_offheap_mb: shared.offheap_mb,
    }
}

/// What the workers were given, and what they share on their nodes.
pub(crate) fn assigned(topology: &Topology) -> Amounts {
    let mut sum = Amounts::default();
    for given in workers(topology).values() {
        sum.total.onheap_mb += given.mem_on_heap.unwrap_or(0.0);
        sum.total.offheap_mb += given.mem_off_heap.unwrap_or(0.0);
        sum.total.cpu += given.cpu.unwrap_or(0.0);
        sum.shared_onheap_mb += given.shared_mem_on_heap.unwrap_or(0.0);
        sum.shared_offheap_mb += given.shared_mem_off_heap.unwrap_or(0.0);
        for (name, amount) in generic(given) {
            *sum.total.generic.entry(name.to_owned()).or_default() += amount;
        }
    }
    let shared_mb: f64 = shared_on_nodes(topology).values().sum();
    sum.total.offheap_mb += shared_mb;
    sum.shared_offheap_mb += shared_mb;
    sum
}

/// What each worker of a topology was given.
pub(crate) fn workers(topology: &Topology) -> &BTreeMap<NodeInfo, WorkerResources> {
    static NONE: BTreeMap<NodeInfo, WorkerResources> = BTreeMap::new();
    let assigned = topology.assigned.as_ref();
    let given = assigned.and_then(|assigned| assigned.assignment().worker_resources.as_ref());
    given.unwrap_or(&NONE)
}

/// What runs on each supervisor takes.
pub(crate) fn of_nodes(state: &State) -> BTreeMap<NodeId, NodeUse> {
    let mut used: BTreeMap<NodeId, NodeUse> = BTreeMap::new();
    for topology in state.topologies.values() {
        for (at, given) in workers(topology) {
            let on_node = used.entry(NodeId::from(at.node.as_str())).or_default();
            let memory = [given.mem_on_heap, given.mem_off_heap];
            on_node.memory_mb += memory.into_iter().flatten().sum::<f64>();
            on_node.cpu += given.cpu.unwrap_or(0.0);
            for (name, amount) in generic(given) {
                *on_node.generic.entry(name.to_owned()).or_default() += amount;
            }
        }
        for (node, shared_mb) in shared_on_nodes(topology) {
            used.entry(node.clone()).or_default().memory_mb += shared_mb;
        }
    }
    used
}

// === impl Useful ===

impl Useful {
    /// One component and one acker, as the daemon's conf has them.
    pub fn read(conf: &Conf) -> Result<Self, ConfError> {
        let component_mb = keys::TOPOLOGY_COMPONENT_RESOURCES_ONHEAP_MEMORY_MB;
        let acker_mb = keys::TOPOLOGY_ACKER_RESOURCES_ONHEAP_MEMORY_MB;
        Ok(Useful {
            memory_mb: conf.float_or(component_mb, 256.0)? + conf.float_or(acker_mb, 128.0)?,
            cpu: conf.float_or(keys::TOPOLOGY_COMPONENT_CPU_PCORE_PERCENT, 50.0)?
                + conf.float_or(keys::TOPOLOGY_ACKER_CPU_PCORE_PERCENT, 50.0)?,
        })
    }

    /// What is left of a supervisor, if it is too little of something.
    pub fn fragment(self, capacity: &Capacity, used: &NodeUse) -> Option<Fragment> {
        let left = Fragment {
            memory_mb: capacity.memory_mb - used.memory_mb,
            cpu: capacity.cpu - used.cpu,
        };
        (self.memory_mb > left.memory_mb || self.cpu > left.cpu).then_some(left)
    }
}

/// What the executors of each worker of a placement ask for together; a worker takes at least
/// `cpu_min` percent of a core.
pub(crate) fn of_workers(
    topology: &Topology,
    placement: &Placement,
    cpu_min: f64,
) -> BTreeMap<NodeInfo, WorkerResources> {
    let Some(plan) = &topology.plan else {
        return BTreeMap::new();
    };
    let mut by_slot: BTreeMap<&Slot, BTreeMap<usize, u32>> = BTreeMap::new();
    for (executor, slot) in placement {
        let counts = by_slot.entry(slot).or_default();
        let component = topology.executors.get(executor);
        if let Some(place) = component.and_then(|component| plan.demand.place(component)) {
            *counts.entry(place).or_default() += 1;
        }
    }
    let resources = |(slot, counts): (&Slot, BTreeMap<usize, u32>)| {
        let counts: Vec<(usize, u32)> = counts.into_iter().collect();
        (node_info(slot), of_worker(&plan.demand, &counts, cpu_min))
    };
    by_slot.into_iter().map(resources).collect()
}

fn of_worker(demand: &Demand, counts: &[(usize, u32)], cpu_min: f64) -> WorkerResources {
    let used = demand.worker(counts, cpu_min);
    let shared = [
        (ONHEAP, used.shared_onheap_mb),
        (OFFHEAP, used.shared_offheap_mb),
    ];
    let shared = shared.into_iter().filter(|(_, amount)| *amount > 0.0);
    WorkerResources {
        mem_on_heap: Some(used.total.onheap_mb),
        mem_off_heap: Some(used.total.offheap_mb),
        cpu: Some(used.total.cpu),
        shared_mem_on_heap: Some(used.shared_onheap_mb),
        shared_mem_off_heap: Some(used.shared_offheap_mb),
        shared_resources: Some(shared.map(|(name, mb)| (name.to_owned(), mb)).collect()),
        resources: Some(used.total.by_name()),
    }
}

/// What users named, of what a worker was given.
fn generic(given: &WorkerResources) -> impl Iterator<Item = (&str, f64)> {
    let all = given.resources.iter().flatten();
    let is_own = |name: &str| [ONHEAP, OFFHEAP, CPU].contains(&short_name(name));
    all.map(|(name, amount)| (name.as_str(), *amount))
        .filter(move |(name, _)| !is_own(name))
}

/// Memory that a topology shares on each node that it uses.
fn shared_on_nodes(topology: &Topology) -> BTreeMap<&NodeId, f64> {
    let plan = topology.plan.as_ref();
    let Some(plan) = plan.filter(|plan| plan.demand.shares_on_nodes()) else {
        return BTreeMap::new();
    };
    let mut by_node: BTreeMap<&NodeId, BTreeSet<usize>> = BTreeMap::new();
    for (executor, slot) in topology.placement() {
        let component = topology.executors.get(executor);
        let place = component.and_then(|component| plan.demand.place(component));
        by_node.entry(&slot.node).or_default().extend(place);
    }
    let shared = |(node, places): (_, BTreeSet<usize>)| {
        let counts: Vec<_> = places.into_iter().map(|place| (place, 1)).collect();
        (node, plan.demand.shared_on_node(&counts))
    };
    by_node.into_iter().map(shared).collect()
}

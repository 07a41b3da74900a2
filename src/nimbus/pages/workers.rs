//! The workers of a topology, as topology and supervisor pages list them.

use std::collections::BTreeMap;

use crate::id::{NodeId, Slot};
use crate::nimbus::info::{Info, Placed};
use crate::nimbus::state::{Topology, node_info};
use crate::stats::aggregate::SystemParts;
use crate::topology::is_system_id;
use crate::wire::storm::WorkerSummary;

impl Info<'_> {
    /// Of all nodes.
    pub(super) fn workers_of(
        &self,
        topology: &Topology,
        placed: &[Placed<'_>],
        system: SystemParts,
    ) -> Vec<WorkerSummary> {
        let mut workers: BTreeMap<&Slot, WorkerSummary> = BTreeMap::new();
        for one in placed {
            let worker = workers
                .entry(one.slot)
                .or_insert_with(|| empty(topology, one));
            // All executors of a worker have its age; those that were not heard of have none.
            worker.uptime_secs = worker.uptime_secs.max(Some(
                one.worker.as_ref().map_or(0, |worker| worker.uptime_secs),
            ));
            worker.num_executors = worker.num_executors.map(|n| n.saturating_add(1));
            if system == SystemParts::Shown || !is_system_id(one.component) {
                let tasks = worker.component_to_num_tasks.get_or_insert_default();
                let n_tasks = i64::try_from(one.executor.tasks().count()).unwrap_or(i64::MAX);
                *tasks.entry(one.component.to_owned()).or_default() += n_tasks;
            }
        }
        workers.into_values().collect()
    }

    /// Of one node.
    pub(super) fn workers_on(
        &self,
        topology: &Topology,
        node: &NodeId,
        system: SystemParts,
    ) -> Vec<WorkerSummary> {
        let mut placed = self.placed(topology);
        placed.retain(|placed| placed.slot.node == *node);
        self.workers_of(topology, &placed, system)
    }
}

fn empty(topology: &Topology, one: &Placed<'_>) -> WorkerSummary {
    let assignment = topology
        .assigned
        .as_ref()
        .map(|assigned| assigned.assignment());
    let resources = assignment.and_then(|assignment| assignment.worker_resources.as_ref());
    let given = resources
        .and_then(|resources| resources.get(&node_info(one.slot)))
        .cloned()
        .unwrap_or_default();
    WorkerSummary {
        supervisor_id: Some(one.slot.node.as_str().to_owned()),
        host: Some(one.host.to_owned()),
        port: Some(i32::from(one.slot.port)),
        topology_id: Some(topology.id.as_str().to_owned()),
        topology_name: Some(topology.name().to_owned()),
        num_executors: Some(0),
        component_to_num_tasks: Some(BTreeMap::new()),
        uptime_secs: Some(0),
        assigned_memonheap: Some(given.mem_on_heap.unwrap_or(0.0)),
        assigned_memoffheap: Some(given.mem_off_heap.unwrap_or(0.0)),
        assigned_cpu: Some(given.cpu.unwrap_or(0.0)),
        owner: topology.base.owner.clone(),
        ..WorkerSummary::default()
    }
}

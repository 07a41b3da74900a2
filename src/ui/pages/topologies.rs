//! `topology/summary`: all topologies. And `topology-workers`: where one of them runs.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Site, generic, object, uptime};
use crate::percent::encode;
use crate::wire::storm::{TopologyInfo, TopologySummary};

/// All topologies.
pub(in crate::ui) fn summary(topologies: &[TopologySummary], site: &Site) -> Value {
    json!({
        "topologies": topologies.iter().map(topology).collect::<Vec<_>>(),
        "schedulerDisplayResource": site.display_resource,
    })
}

/// One of them, here and on its owner's page.
pub(super) fn topology(topology: &TopologySummary) -> Value {
    let amount = |amount: Option<f64>| amount.unwrap_or(0.0);
    let requested = [topology.requested_memonheap, topology.requested_memoffheap].map(amount);
    let assigned = [topology.assigned_memonheap, topology.assigned_memoffheap].map(amount);
    json!({
        "id": topology.id,
        "encodedId": encode(&topology.id),
        "owner": topology.owner,
        "name": topology.name,
        "status": topology.status,
        "uptime": uptime(topology.uptime_secs),
        "uptimeSeconds": topology.uptime_secs,
        "tasksTotal": topology.num_tasks,
        "workersTotal": topology.num_workers,
        "executorsTotal": topology.num_executors,
        "replicationCount": topology.replication_count.unwrap_or(0),
        "schedulerInfo": topology.sched_status,
        "requestedMemOnHeap": requested[0],
        "requestedMemOffHeap": requested[1],
        // Storm adds what is assigned on the heap to what is requested off it.
        "requestedTotalMem": requested[0] + requested[1],
        "requestedCpu": amount(topology.requested_cpu),
        "requestedGenericResources": generic(topology.requested_generic_resources.as_ref()),
        "assignedMemOnHeap": assigned[0],
        "assignedMemOffHeap": assigned[1],
        "assignedTotalMem": assigned[0] + assigned[1],
        "assignedCpu": amount(topology.assigned_cpu),
        "assignedGenericResources": generic(topology.assigned_generic_resources.as_ref()),
        "topologyVersion": topology.topology_version,
        "stormVersion": topology.storm_version,
    })
}

/// Hosts and ports of a topology's workers.
pub(in crate::ui) fn workers(info: &TopologyInfo, site: &Site) -> Value {
    let executors = info.executors.iter();
    let workers: BTreeSet<_> = executors.map(|each| (&each.host, each.port)).collect();
    let listed = workers
        .iter()
        .map(|(host, port)| json!({"host": host, "port": port}));
    let mut page = object(json!({ "hostPortList": listed.collect::<Vec<_>>() }));
    site.links.sign(&mut page);
    page.into()
}

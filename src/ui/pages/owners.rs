//! `owner-resources`: what the topologies of each owner ask for, have and are promised.

use serde_json::{Value, json};

use super::{Site, object, topologies};
use crate::wire::storm::{OwnerResourceSummary, TopologySummary};

/// All owners.
pub(in crate::ui) fn all(owners: &[OwnerResourceSummary], site: &Site) -> Value {
    json!({
        "schedulerDisplayResource": site.display_resource,
        "owners": owners.iter().map(owner).collect::<Vec<_>>(),
    })
}

/// One owner, with its topologies among `all`.
pub(in crate::ui) fn one(
    found: &OwnerResourceSummary,
    all: &[TopologySummary],
    site: &Site,
) -> Value {
    let own = all
        .iter()
        .filter(|each| each.owner.as_deref() == Some(found.owner.as_str()));
    let mut page = object(owner(found));
    page.insert(
        "schedulerDisplayResource".to_owned(),
        site.display_resource.clone(),
    );
    page.insert(
        "topologies".to_owned(),
        own.map(topologies::topology).collect(),
    );
    page.into()
}

fn owner(owner: &OwnerResourceSummary) -> Value {
    let count = |count: Option<i32>| count.unwrap_or(0);
    let amount = |amount: Option<f64>| amount.unwrap_or(0.0);
    json!({
        "owner": owner.owner,
        "totalTopologies": count(owner.total_topologies),
        "totalExecutors": count(owner.total_executors),
        "totalWorkers": count(owner.total_workers),
        "totalTasks": count(owner.total_tasks),
        "totalMemoryUsage": amount(owner.memory_usage),
        "totalCpuUsage": amount(owner.cpu_usage),
        "memoryGuarantee": promised(owner.memory_guarantee),
        "cpuGuarantee": promised(owner.cpu_guarantee),
        "isolatedNodes": owner.isolated_node_guarantee.unwrap_or(-1),
        "memoryGuaranteeRemaining": promised(owner.memory_guarantee_remaining),
        "cpuGuaranteeRemaining": promised(owner.cpu_guarantee_remaining),
        "totalReqOnHeapMem": amount(owner.requested_on_heap_memory),
        "totalReqOffHeapMem": amount(owner.requested_off_heap_memory),
        "totalReqMem": amount(owner.requested_total_memory),
        "totalReqCpu": amount(owner.requested_cpu),
        "totalAssignedOnHeapMem": amount(owner.assigned_on_heap_memory),
        "totalAssignedOffHeapMem": amount(owner.assigned_off_heap_memory),
    })
}

fn promised(amount: Option<f64>) -> Value {
    match amount.filter(|amount| *amount != -1.0) {
        Some(amount) => json!(amount),
        None => json!("N/A"),
    }
}

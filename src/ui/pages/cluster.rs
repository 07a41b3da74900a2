//! `cluster/summary`: the cluster in one object.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::supervisors::{total_cpu, total_memory};
use super::{Site, decimals, difference, generic, object, uptime};
use crate::wire::storm::{ClusterSummary, SupervisorSummary};

/// `user` is who asks.
pub(in crate::ui) fn summary(cluster: &ClusterSummary, user: Option<&str>, site: &Site) -> Value {
    let (supervisors, topologies) = (&cluster.supervisors, &cluster.topologies);
    let slots = |of: fn(&SupervisorSummary) -> i32| -> i64 {
        supervisors.iter().map(of).map(i64::from).sum()
    };
    let amount = |of: fn(&SupervisorSummary) -> f64| -> f64 {
        supervisors.iter().map(of).sum::<f64>() + 0.0
    };
    let total_slots = slots(|each| each.num_workers);
    let used_slots = slots(|each| each.num_used_workers);
    let (memory, cpu) = (amount(total_memory), amount(total_cpu));
    let used_memory = amount(|each| each.used_mem.unwrap_or(0.0));
    let used_cpu = amount(|each| each.used_cpu.unwrap_or(0.0));
    let total_generic = sum(supervisors.iter().map(|each| &each.total_resources));
    let used_generic = sum(supervisors.iter().map(|each| &each.used_generic_resources));
    let executors = topologies.iter().map(|each| i64::from(each.num_executors));
    let tasks = topologies.iter().map(|each| i64::from(each.num_tasks));
    let mut page = object(json!({
        "user": user,
        "stormVersion": site.version,
        "stormVersionInfo": {
            "version": site.version,
            "revision": "Unknown",
            "branch": "Unknown",
            "date": "Unknown",
            "srcChecksum": "Unknown",
        },
        // Gone since Storm 1.0; streamparse still shows it.
        "nimbusUptime": uptime(cluster.nimbus_uptime_secs),
        "supervisors": supervisors.len(),
        "topologies": topologies.len(),
        "slotsTotal": total_slots,
        "slotsUsed": used_slots,
        "slotsFree": total_slots - used_slots,
        "executorsTotal": executors.sum::<i64>(),
        "tasksTotal": tasks.sum::<i64>(),
        "schedulerDisplayResource": site.display_resource,
        "totalMem": memory,
        "totalCpu": cpu,
        "availMem": memory - used_memory,
        "availCpu": cpu - used_cpu,
        "fragmentedMem": amount(|each| each.fragmented_mem.unwrap_or(0.0)),
        "fragmentedCpu": amount(|each| each.fragmented_cpu.unwrap_or(0.0)),
        "memAssignedPercentUtil": percent(used_memory, memory),
        "cpuAssignedPercentUtil": percent(used_cpu, cpu),
        "totalGenerics": generic(Some(&total_generic)),
        "availGenerics": generic(Some(&difference(&total_generic, &used_generic))),
    }));
    site.sign(&mut page);
    page.into()
}

fn percent(used: f64, total: f64) -> Value {
    if total > 0.0 {
        decimals(Some(used * 100.0 / total))
    } else {
        json!("0.0")
    }
}

fn sum<'a>(maps: impl Iterator<Item = &'a Option<BTreeMap<String, f64>>>) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for (name, amount) in maps.flatten().flatten() {
        *sums.entry(name.clone()).or_insert(0.0) += amount;
    }
    sums
}

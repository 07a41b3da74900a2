//! `supervisor/summary` and `supervisor`: machines, and the workers on them.

use serde_json::{Value, json};

use super::{CPU, MEMORY, Site, difference, generic, object, uptime};
use crate::conf::keys;
use crate::wire::storm::{SupervisorPageInfo, SupervisorSummary, WorkerSummary};

/// All supervisors.
pub(in crate::ui) fn summary(supervisors: &[SupervisorSummary], site: &Site) -> Value {
    let mut page = object(json!({
        "supervisors": shown(supervisors, site),
        "schedulerDisplayResource": site.display_resource,
    }));
    site.links.sign(&mut page);
    page.into()
}

/// One supervisor, or those of one host.
pub(in crate::ui) fn page(info: &SupervisorPageInfo, site: &Site) -> Value {
    let supervisors = info.supervisor_summaries.as_deref().unwrap_or_default();
    let workers = info.worker_summaries.as_deref().unwrap_or_default();
    let mut page = object(json!({
        "supervisors": shown(supervisors, site),
        "workers": workers.iter().map(|each| worker(each, site)).collect::<Vec<_>>(),
        "schedulerDisplayResource": site.display_resource,
    }));
    site.links.sign(&mut page);
    page.into()
}

/// One worker, on this page and on a topology's.
pub(super) fn worker(worker: &WorkerSummary, site: &Site) -> Value {
    let host = worker.host.as_deref().unwrap_or_default();
    let topology = worker.topology_id.as_deref().unwrap_or_default();
    let port = worker.port.unwrap_or(0);
    let uptime_secs = worker.uptime_secs.unwrap_or(0);
    json!({
        "supervisorId": worker.supervisor_id,
        "host": worker.host,
        "port": port,
        "topologyId": worker.topology_id,
        "topologyName": worker.topology_name,
        "executorsTotal": worker.num_executors.unwrap_or(0),
        "assignedMemOnHeap": worker.assigned_memonheap.unwrap_or(0.0),
        "assignedMemOffHeap": worker.assigned_memoffheap.unwrap_or(0.0),
        "assignedCpu": worker.assigned_cpu.unwrap_or(0.0),
        "componentNumTasks": worker.component_to_num_tasks,
        "uptime": uptime(uptime_secs),
        "uptimeSeconds": uptime_secs,
        "workerLogLink": site.links.worker_log(host, port, topology),
        "owner": worker.owner,
    })
}

/// In MB.
pub(super) fn total_memory(supervisor: &SupervisorSummary) -> f64 {
    total(supervisor, MEMORY, keys::SUPERVISOR_MEMORY_CAPACITY_MB)
}

/// In per cent of a core.
pub(super) fn total_cpu(supervisor: &SupervisorSummary) -> f64 {
    total(supervisor, CPU, keys::SUPERVISOR_CPU_CAPACITY)
}

/// Old supervisors name resources by the keys of their conf.
fn total(supervisor: &SupervisorSummary, name: &str, old_name: &str) -> f64 {
    let resources = supervisor.total_resources.as_ref();
    let found = resources.and_then(|all| all.get(name).or_else(|| all.get(old_name)));
    found.copied().unwrap_or(0.0)
}

fn shown(supervisors: &[SupervisorSummary], site: &Site) -> Vec<Value> {
    let one = |each| supervisor(each, site);
    supervisors.iter().map(one).collect()
}

fn supervisor(supervisor: &SupervisorSummary, site: &Site) -> Value {
    let (slots, used) = (supervisor.num_workers, supervisor.num_used_workers);
    let (memory, cpu) = (total_memory(supervisor), total_cpu(supervisor));
    let used_memory = supervisor.used_mem.unwrap_or(0.0);
    let used_cpu = supervisor.used_cpu.unwrap_or(0.0);
    let total = supervisor.total_resources.clone().unwrap_or_default();
    let used_generic = supervisor.used_generic_resources.as_ref();
    let left = difference(&total, used_generic.unwrap_or(&Default::default()));
    json!({
        "id": supervisor.supervisor_id,
        "host": supervisor.host,
        "uptime": uptime(supervisor.uptime_secs),
        "uptimeSeconds": supervisor.uptime_secs,
        "blacklisted": supervisor.blacklisted.unwrap_or(false),
        "slotsTotal": slots,
        "slotsUsed": used,
        "slotsFree": slots.saturating_sub(used).max(0),
        "totalMem": memory,
        "totalCpu": cpu,
        "usedMem": used_memory,
        "usedCpu": used_cpu,
        "availMem": memory - used_memory,
        "availCpu": cpu - used_cpu,
        "logLink": site.links.daemon_log(&supervisor.host, "supervisor.log"),
        "version": supervisor.version,
        "totalGenericResources": generic(Some(&total)),
        "usedGenericResources": generic(used_generic),
        "availGenericResources": generic(Some(&left)),
    })
}

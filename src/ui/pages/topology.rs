//! `topology/{id}`: one topology with its components and workers.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    CPU, OFF_HEAP, ON_HEAP, Site, amount, decimals, generic, hint, object, supervisors, uptime,
};
use crate::conf::{Conf, keys};
use crate::percent::encode;
use crate::wire::storm::{
    BoltAggregateStats, ComponentAggregateStats, ErrorInfo, SpecificAggregateStats,
    SpoutAggregateStats, TopologyPageInfo, TopologyStats,
};

/// For whom a page is, and what of it was asked for.
#[derive(Clone, Copy, Debug)]
pub(in crate::ui) struct View<'a> {
    pub user: Option<&'a str>,
    pub window: &'a str,
    /// Wall seconds, for the age of errors.
    pub now_secs: i64,
}

/// The page of a topology.
pub(in crate::ui) fn page(info: &TopologyPageInfo, view: View<'_>, site: &Site) -> Value {
    let conf = info.topology_conf.as_deref().unwrap_or_default();
    let conf = Conf::from_json(conf).unwrap_or_default();
    let debug = info.debug_options.as_ref();
    let is_debugged = debug.is_some_and(|options| options.enable == Some(true));
    let sampled = debug.and_then(|options| options.samplingpct);
    let workers = info.workers.iter().flatten();
    let shown = Shown {
        site,
        topology: &info.id,
        now_secs: view.now_secs,
    };
    let mut page = object(json!({
        "id": info.id,
        "encodedId": encode(&info.id),
        "owner": info.owner,
        "name": info.name,
        "status": info.status,
        "uptime": uptime(info.uptime_secs.unwrap_or(0)),
        "uptimeSeconds": info.uptime_secs.unwrap_or(0),
        "tasksTotal": info.num_tasks.unwrap_or(0),
        "workersTotal": info.num_workers.unwrap_or(0),
        "executorsTotal": info.num_executors.unwrap_or(0),
        "schedulerInfo": info.sched_status,
        "replicationCount": info.replication_count.unwrap_or(0),
        "topologyVersion": info.topology_version,
        "stormVersion": info.storm_version,
        "topologyStats": info.topology_stats.as_ref().map_or_else(Vec::new, windows),
        "spouts": rows(&info.id_to_spout_agg_stats, spout, &shown),
        "bolts": rows(&info.id_to_bolt_agg_stats, bolt, &shown),
        "workers": workers.map(|each| supervisors::worker(each, site)).collect::<Vec<_>>(),
        "debug": is_debugged,
        "samplingPct": sampled.filter(|_| is_debugged).unwrap_or(SAMPLED_PERCENT),
        "user": view.user,
        "window": view.window,
        "windowHint": hint(view.window),
        "msgTimeout": conf.get(keys::TOPOLOGY_MESSAGE_TIMEOUT_SECS),
        "configuration": conf.into_map(),
        "visualizationTable": [],
        "schedulerDisplayResource": site.display_resource,
    }));
    page.append(&mut resources(info));
    site.sign(&mut page);
    page.into()
}

fn resources(info: &TopologyPageInfo) -> Map<String, Value> {
    let amount = |amount: Option<f64>| amount.unwrap_or(0.0);
    let requested = [info.requested_memonheap, info.requested_memoffheap].map(amount);
    let assigned = [info.assigned_memonheap, info.assigned_memoffheap].map(amount);
    object(json!({
        "requestedMemOnHeap": requested[0],
        "requestedMemOffHeap": requested[1],
        "requestedTotalMem": requested[0] + requested[1],
        "requestedCpu": amount(info.requested_cpu),
        "requestedRegularOnHeapMem": amount(info.requested_regular_on_heap_memory),
        "requestedSharedOnHeapMem": amount(info.requested_shared_on_heap_memory),
        "requestedRegularOffHeapMem": amount(info.requested_regular_off_heap_memory),
        "requestedSharedOffHeapMem": amount(info.requested_shared_off_heap_memory),
        "requestedGenericResources": generic(info.requested_generic_resources.as_ref()),
        "assignedMemOnHeap": assigned[0],
        "assignedMemOffHeap": assigned[1],
        "assignedTotalMem": assigned[0] + assigned[1],
        "assignedCpu": amount(info.assigned_cpu),
        "assignedRegularOnHeapMem": amount(info.assigned_regular_on_heap_memory),
        "assignedSharedOnHeapMem": amount(info.assigned_shared_on_heap_memory),
        "assignedRegularOffHeapMem": amount(info.assigned_regular_off_heap_memory),
        "assignedSharedOffHeapMem": amount(info.assigned_shared_off_heap_memory),
        "assignedGenericResources": generic(info.assigned_generic_resources.as_ref()),
    }))
}

/// One row for each window that was reported.
fn windows(stats: &TopologyStats) -> Vec<Value> {
    let row = |window: &String, emitted: i64| {
        let count = |counts: &Option<BTreeMap<String, i64>>| {
            let counts = counts.as_ref();
            counts.and_then(|counts| counts.get(window)).copied()
        };
        let latencies = stats.window_to_complete_latencies_ms.as_ref();
        let latency = latencies.and_then(|all| all.get(window)).copied();
        json!({
            "window": window,
            "windowPretty": hint(window),
            "emitted": emitted,
            "transferred": count(&stats.window_to_transferred),
            "completeLatency": decimals(latency),
            "acked": count(&stats.window_to_acked).unwrap_or(0),
            "failed": count(&stats.window_to_failed).unwrap_or(0),
        })
    };
    let emitted = stats.window_to_emitted.iter().flatten();
    emitted
        .map(|(window, emitted)| row(window, *emitted))
        .collect()
}

/// Where rows of components are shown.
struct Shown<'a> {
    site: &'a Site,
    topology: &'a str,
    now_secs: i64,
}

fn rows(
    stats: &Option<BTreeMap<String, ComponentAggregateStats>>,
    row: fn(&str, &ComponentAggregateStats, &Shown<'_>) -> Value,
    shown: &Shown<'_>,
) -> Vec<Value> {
    let stats = stats.iter().flatten();
    stats.map(|(id, stats)| row(id, stats, shown)).collect()
}

fn spout(id: &str, stats: &ComponentAggregateStats, shown: &Shown<'_>) -> Value {
    let mut row = component(stats, shown);
    row.append(&mut object(json!({
        "spoutId": id,
        "encodedSpoutId": encode(id),
        "completeLatency": decimals(Some(of_spout(stats).complete_latency_ms.unwrap_or(0.0))),
    })));
    row.into()
}

fn bolt(id: &str, stats: &ComponentAggregateStats, shown: &Shown<'_>) -> Value {
    let bolt = of_bolt(stats);
    let text = |value: Option<f64>| decimals(Some(value.unwrap_or(0.0)));
    let mut row = component(stats, shown);
    row.append(&mut object(json!({
        "boltId": id,
        "encodedBoltId": encode(id),
        "capacity": text(bolt.capacity),
        "executeLatency": text(bolt.execute_latency_ms),
        "executed": bolt.executed.unwrap_or(0),
        "processLatency": text(bolt.process_latency_ms),
    })));
    row.into()
}

/// What rows of spouts and bolts have in common.
fn component(stats: &ComponentAggregateStats, shown: &Shown<'_>) -> Map<String, Value> {
    let common = stats.common_stats.clone().unwrap_or_default();
    let requested = common.resources_map.as_ref();
    let mut row = object(json!({
        "executors": common.num_executors.unwrap_or(0),
        "tasks": common.num_tasks.unwrap_or(0),
        "emitted": common.emitted.unwrap_or(0),
        "transferred": common.transferred.unwrap_or(0),
        "acked": common.acked.unwrap_or(0),
        "failed": common.failed.unwrap_or(0),
        "requestedMemOnHeap": amount(requested, ON_HEAP),
        "requestedMemOffHeap": amount(requested, OFF_HEAP),
        "requestedCpu": amount(requested, CPU),
        "requestedGenericResourcesComp": generic(requested),
        "lastError": "",
        "errorHost": "",
        "errorPort": null,
        "errorWorkerLogLink": "",
        "errorTime": null,
        "errorLapsedSecs": null,
    }));
    if let Some(last) = &stats.last_error {
        row.append(&mut error(last, shown.topology, shown.now_secs, shown.site));
        row.insert("lastError".to_owned(), json!(beginning(&last.error)));
    }
    row
}

/// Where and when an error was, on this page and on a component's.
pub(super) fn error(
    error: &ErrorInfo,
    topology: &str,
    now_secs: i64,
    site: &Site,
) -> Map<String, Value> {
    let host = error.host.as_deref().unwrap_or_default();
    let port = error.port.unwrap_or(0);
    object(json!({
        "errorTime": error.error_time_secs,
        "errorHost": error.host,
        "errorPort": port,
        "errorWorkerLogLink": site.links.worker_log(host, port, topology),
        "errorLapsedSecs": now_secs.saturating_sub(i64::from(error.error_time_secs)),
    }))
}

/// As much of an error as a row shows.
pub(super) fn beginning(error: &str) -> String {
    error.chars().take(200).collect()
}

/// A spout's part of the statistics.
pub(super) fn of_spout(stats: &ComponentAggregateStats) -> SpoutAggregateStats {
    match &stats.specific_stats {
        Some(SpecificAggregateStats::Spout(spout)) => spout.clone(),
        _ => SpoutAggregateStats::default(),
    }
}

/// A bolt's part of the statistics.
pub(super) fn of_bolt(stats: &ComponentAggregateStats) -> BoltAggregateStats {
    match &stats.specific_stats {
        Some(SpecificAggregateStats::Bolt(bolt)) => bolt.clone(),
        _ => BoltAggregateStats::default(),
    }
}

/// What Storm shows while nothing was said about sampling.
pub(super) const SAMPLED_PERCENT: f64 = 10.0;

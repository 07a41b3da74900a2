//! `topology/{id}/component/{c}`: one component with its streams, executors and errors.

use serde_json::{Map, Value, json};

use super::links::Links;
use super::topology::{SAMPLED_PERCENT, View, beginning, error, of_bolt, of_spout};
use super::{CPU, OFF_HEAP, ON_HEAP, Site, amount, decimals, generic, hint, object, uptime};
use crate::percent::encode;
use crate::wire::messages::TaskMetric;
use crate::wire::storm::{
    CommonAggregateStats, ComponentAggregateStats, ComponentPageInfo, ComponentType,
    ExecutorAggregateStats, ProfileRequest,
};

/// What only Nimbus's conf and other calls say.
#[derive(Clone, Copy, Debug)]
pub(in crate::ui) struct Besides<'a> {
    /// `worker.profiler.enabled`.
    pub may_profile: bool,
    /// Of the component's workers.
    pub profiles: &'a [ProfileRequest],
    pub now_ms: i64,
    /// What its tasks report of themselves in numbers.
    pub metrics: &'a [TaskMetric],
}

/// The page of a component; `topology` is the id that was asked for.
pub(in crate::ui) fn page(
    (topology, info): (&str, &ComponentPageInfo),
    besides: Besides<'_>,
    view: View<'_>,
    site: &Site,
) -> Value {
    let requested = info.resources_map.as_ref();
    let debug = info.debug_options.as_ref();
    let sampled = debug.map(|options| options.samplingpct.unwrap_or(0.0));
    let is_spout = info.component_type.known() == Some(ComponentType::Spout);
    let mut page = object(json!({
        "user": view.user,
        "id": info.component_id,
        "encodedId": encode(&info.component_id),
        "name": info.topology_name,
        "executors": info.num_executors.unwrap_or(0),
        "tasks": info.num_tasks.unwrap_or(0),
        "requestedMemOnHeap": amount(requested, ON_HEAP),
        "requestedMemOffHeap": amount(requested, OFF_HEAP),
        "requestedCpu": amount(requested, CPU),
        "requestedGenericResources": generic(requested),
        "schedulerDisplayResource": site.display_resource,
        "topologyId": topology,
        "encodedTopologyId": encode(topology),
        "topologyStatus": info.topology_status,
        "window": view.window,
        "windowHint": hint(view.window),
        "componentType": if is_spout { "spout" } else { "bolt" },
        "debug": debug.is_some_and(|options| options.enable == Some(true)),
        "samplingPct": sampled.unwrap_or(SAMPLED_PERCENT),
        "profilingAndDebuggingCapable": true,
        "profileActionEnabled": besides.may_profile,
        "profilerActive": running(topology, besides, &site.links),
        "componentErrors": errors(topology, info, view, site),
        OURS: { "taskMetrics": metrics(besides.metrics) },
    }));
    let host = info.eventlog_host.as_deref();
    if let Some(host) = host.filter(|host| !host.is_empty()) {
        let port = info.eventlog_port.unwrap_or(0);
        let link = site.links.events(host, port, topology);
        page.insert("eventLogLink".to_owned(), json!(link));
    }
    let executors = info.exec_stats.iter().flatten();
    if is_spout {
        let rows = executors.map(|each| spout_executor(topology, each, site));
        page.insert("executorStats".to_owned(), rows.collect());
        page.append(&mut spout(info));
    } else {
        let rows = executors.map(|each| bolt_executor(topology, each, site));
        page.insert("executorStats".to_owned(), rows.collect());
        page.append(&mut bolt(info));
    }
    page.into()
}

/// The parts that only spouts have.
fn spout(info: &ComponentPageInfo) -> Map<String, Value> {
    let windows = info.window_to_stats.iter().flatten();
    let windows = windows.map(|(window, stats)| {
        let last_error = stats.last_error.as_ref();
        let mut row = counts(&common(stats));
        row.append(&mut object(json!({
            "window": window,
            "windowPretty": hint(window),
            // A number, here alone.
            "completeLatency": of_spout(stats).complete_latency_ms.unwrap_or(0.0),
            "lastError": last_error.map_or_else(String::new, |error| beginning(&error.error)),
        })));
        row
    });
    let outputs = info.sid_to_output_stats.iter().flatten();
    let outputs = outputs.map(|(stream, stats)| {
        let mut row = counts(&common(stats));
        row.insert("stream".to_owned(), json!(stream));
        let latency = of_spout(stats).complete_latency_ms;
        row.insert("completeLatency".to_owned(), text(latency));
        row
    });
    object(json!({
        "spoutSummary": windows.collect::<Vec<_>>(),
        "outputStats": outputs.collect::<Vec<_>>(),
    }))
}

/// The parts that only bolts have.
fn bolt(info: &ComponentPageInfo) -> Map<String, Value> {
    let windows = info.window_to_stats.iter().flatten();
    let windows = windows.map(|(window, stats)| {
        let mut row = counts(&common(stats));
        row.append(&mut executed(stats));
        row.insert("window".to_owned(), json!(window));
        row.insert("windowPretty".to_owned(), json!(hint(window)));
        row.insert("capacity".to_owned(), text(of_bolt(stats).capacity));
        row
    });
    let inputs = info.gsid_to_input_stats.iter().flatten();
    let inputs = inputs.map(|(source, stats)| {
        let common = common(stats);
        let mut row = executed(stats);
        row.append(&mut object(json!({
            "component": source.component_id,
            "encodedComponentId": encode(&source.component_id),
            "stream": source.stream_id,
            "acked": common.acked.unwrap_or(0),
            "failed": common.failed.unwrap_or(0),
        })));
        row
    });
    let outputs = info.sid_to_output_stats.iter().flatten();
    let outputs = outputs.map(|(stream, stats)| {
        let common = common(stats);
        json!({
            "stream": stream,
            "emitted": common.emitted.unwrap_or(0),
            "transferred": common.transferred.unwrap_or(0),
        })
    });
    object(json!({
        "boltStats": windows.collect::<Vec<_>>(),
        "inputStats": inputs.collect::<Vec<_>>(),
        "outputStats": outputs.collect::<Vec<_>>(),
    }))
}

fn spout_executor(topology: &str, executor: &ExecutorAggregateStats, site: &Site) -> Value {
    let stats = executor.stats.clone().unwrap_or_default();
    let mut row = executor_row(topology, executor, site);
    let latency = of_spout(&stats).complete_latency_ms;
    row.insert("completeLatency".to_owned(), text(latency));
    row.into()
}

fn bolt_executor(topology: &str, executor: &ExecutorAggregateStats, site: &Site) -> Value {
    let stats = executor.stats.clone().unwrap_or_default();
    let mut row = executor_row(topology, executor, site);
    row.append(&mut executed(&stats));
    row.insert("capacity".to_owned(), text(of_bolt(&stats).capacity));
    row.into()
}

/// What executors of spouts and bolts have in common.
fn executor_row(
    topology: &str,
    executor: &ExecutorAggregateStats,
    site: &Site,
) -> Map<String, Value> {
    let summary = executor.exec_summary.clone().unwrap_or_default();
    let tasks = &summary.executor_info;
    let id = format!("[{}-{}]", tasks.task_start, tasks.task_end);
    let (host, port) = (&summary.host, summary.port);
    let mut row = counts(&executor.stats.as_ref().map(common).unwrap_or_default());
    row.append(&mut object(json!({
        "id": id,
        "encodedId": encode(&id),
        "uptime": uptime(summary.uptime_secs),
        "uptimeSeconds": summary.uptime_secs,
        "host": host,
        "port": port,
        "workerLogLink": site.links.worker_log(host, port, topology),
    })));
    row
}

fn common(stats: &ComponentAggregateStats) -> CommonAggregateStats {
    stats.common_stats.clone().unwrap_or_default()
}

fn counts(common: &CommonAggregateStats) -> Map<String, Value> {
    object(json!({
        "emitted": common.emitted.unwrap_or(0),
        "transferred": common.transferred.unwrap_or(0),
        "acked": common.acked.unwrap_or(0),
        "failed": common.failed.unwrap_or(0),
    }))
}

fn executed(stats: &ComponentAggregateStats) -> Map<String, Value> {
    let bolt = of_bolt(stats);
    object(json!({
        "executeLatency": text(bolt.execute_latency_ms),
        "executed": bolt.executed.unwrap_or(0),
        "processLatency": text(bolt.process_latency_ms),
    }))
}

fn text(value: Option<f64>) -> Value {
    decimals(Some(value.unwrap_or(0.0)))
}

/// Errors, the oldest first.
fn errors(topology: &str, info: &ComponentPageInfo, view: View<'_>, site: &Site) -> Vec<Value> {
    let mut errors: Vec<_> = info.errors.iter().flatten().collect();
    errors.sort_by_key(|error| error.error_time_secs);
    let row = |each: &&_| {
        let mut row = error(each, topology, view.now_secs, site);
        row.insert("error".to_owned(), json!(each.error));
        row.into()
    };
    errors.iter().map(row).collect()
}

/// Metrics by name and task. Storm's page has none of them.
fn metrics(metrics: &[TaskMetric]) -> Vec<Value> {
    let mut metrics: Vec<_> = metrics.iter().collect();
    metrics.sort_by(|a, b| (&a.name, a.task).cmp(&(&b.name, b.task)));
    let row = |each: &&TaskMetric| {
        // What is no number has none in JSON either: null.
        json!({ "name": each.name, "task": each.task, "value": each.value })
    };
    metrics.iter().map(row).collect()
}

/// Profiles that are being taken in workers of the component.
fn running(topology: &str, besides: Besides<'_>, links: &Links) -> Vec<Value> {
    let row = |request: &ProfileRequest| {
        let host = &request.node_info.node;
        let port = request.node_info.port.first().map(i64::to_string);
        let port = port.unwrap_or_default();
        let end_ms = request.time_stamp.unwrap_or(0);
        json!({
            "host": host,
            "port": port,
            "dumplink": links.dumps(host, &port, topology),
            "timestamp": besides.now_ms.saturating_sub(end_ms),
        })
    };
    besides.profiles.iter().map(row).collect()
}

/// Where a page says what Storm's says nowhere, whatever keys later versions of Storm add.
const OURS: &str = "stormwire";

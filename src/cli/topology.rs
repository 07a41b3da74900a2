//! `list`, `info`: looking at topologies over Thrift.
//!
//! What changes them is in `steer`.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;

use super::ClientArgs;
use super::client::{self, refused};
use super::daemon::say;
use super::flow;
use super::shape::Shape;
use super::table::{span, table};
use crate::clock;
use crate::wire::messages::{TaskMetric, metric_reader, topology_flows};
use crate::wire::storm::{
    ErrorInfo, ExecutorSpecificStats, ExecutorSummary, GlobalStreamId, TopologyInfo,
    TopologySummary,
};

/// A topology to look at.
#[derive(Debug, Args)]
pub struct NameArgs {
    /// The topology's name.
    pub name: String,
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `stormwire list`.
pub fn list(args: &ClientArgs) -> Result<i32> {
    let topologies = client::block_on(async {
        let mut nimbus = client::connect(args).await?;
        nimbus
            .get_topology_summaries()
            .await
            .map_err(|e| refused("list topologies", e))
    })?;
    let text = match Shape::of_output() {
        _ if topologies.is_empty() => "No topologies running.".to_owned(),
        Shape::People => for_people(topologies),
        Shape::Storm => as_storm(&topologies),
    };
    say(text);
    Ok(0)
}

fn for_people(mut topologies: Vec<TopologySummary>) -> String {
    topologies.sort_by(|a, b| a.name.cmp(&b.name));
    let head = [
        "NAME",
        "STATUS",
        "TASKS",
        "EXECUTORS",
        "WORKERS",
        "UPTIME",
        "ID",
        "OWNER",
    ];
    let rows = topologies.into_iter().map(|topology| {
        [
            topology.name,
            topology.status,
            topology.num_tasks.to_string(),
            topology.num_executors.to_string(),
            topology.num_workers.to_string(),
            span(topology.uptime_secs),
            topology.id,
            topology.owner.unwrap_or_default(),
        ]
    });
    table(head, rows)
}

/// The table of Storm's client, in Nimbus's order. Columns grow with their cells and are never cut,
/// so that scripts find each by counting blanks.
fn as_storm(topologies: &[TopologySummary]) -> String {
    let row = |cells: [&str; 7]| {
        let [name, status, tasks, workers, uptime, id, owner] = cells;
        format!(
            "{name:<20} {status:<10} {tasks:<10} {workers:<12} {uptime:<12} {id:<20} {owner:<20}"
        )
    };
    let head = [
        "Topology_name",
        "Status",
        "Num_tasks",
        "Num_workers",
        "Uptime_secs",
        "Topology_Id",
        "Owner",
    ];
    let mut lines = vec![row(head), "-".repeat(RULE_COLUMNS)];
    lines.extend(topologies.iter().map(|topology| {
        let numbers = [
            topology.num_tasks,
            topology.num_workers,
            topology.uptime_secs,
        ];
        let [tasks, workers, uptime] = numbers.map(|number| number.to_string());
        let owner = topology.owner.as_deref().unwrap_or("null");
        let (name, status, id) = (&topology.name, &topology.status, &topology.id);
        row([name, status, &tasks, &workers, &uptime, id, owner])
    }));
    lines.join("\n")
}

/// `stormwire info`.
pub fn info(args: &NameArgs) -> Result<i32> {
    let name = &args.name;
    let (info, metrics, flows) = client::block_on(async {
        let mut nimbus = client::connect(&args.client).await?;
        let info = nimbus.get_topology_info_by_name(Some(name)).await;
        let info = info.map_err(|e| refused(&format!("show {name}"), e))?;
        let mut reader = metric_reader::Client::new(nimbus.into_channel());
        // A Nimbus that is not ours has no such call.
        let metrics = reader.get_task_metrics(Some(name), None).await;
        let mut flows = topology_flows::Client::new(reader.into_channel());
        let flows = flows.topology_flow(Some(name)).await;
        Ok((info, metrics.unwrap_or_default(), flows.unwrap_or_default()))
    })?;
    let (name, status, id) = (&info.name, &info.status, &info.id);
    let up = span(info.uptime_secs);
    let mut parts = vec![
        format!("{name} ({status}), up {up}\nid {id}"),
        components(&info),
    ];
    if !metrics.is_empty() {
        parts.push(metrics_table(metrics));
    }
    parts.extend(flow::links(&flows));
    parts.extend(flow::waits(&flows, &info.executors));
    let now_secs = clock::wall_secs_i32();
    for (component, errors) in &info.errors {
        let errors = errors.iter();
        parts.extend(errors.map(|error| error_line(component, error, now_secs)));
    }
    say(parts.join("\n\n"));
    Ok(0)
}

fn error_line(component: &str, error: &ErrorInfo, now_secs: i32) -> String {
    let place = match (&error.host, error.port) {
        (Some(host), Some(port)) => format!(" on {host}:{port}"),
        (Some(host), None) => format!(" on {host}"),
        _ => String::new(),
    };
    let age = span(now_secs.saturating_sub(error.error_time_secs));
    format!("{component}{place}, {age} ago: {}", error.error.trim_end())
}

/// What tasks report of themselves in numbers.
fn metrics_table(metrics: Vec<TaskMetric>) -> String {
    let rows = metrics.into_iter().map(|metric| {
        let TaskMetric {
            component,
            task,
            name,
            value,
        } = metric;
        [component, task.to_string(), name, value.to_string()]
    });
    table(["COMPONENT", "TASK", "METRIC", "VALUE"], rows)
}

/// How many tuples of a stream a spout's executor saw completed.
pub fn spout_acked(executor: &ExecutorSummary, stream: &str) -> Option<i64> {
    let stats = executor.stats.as_ref()?;
    let ExecutorSpecificStats::Spout(spout) = &stats.specific else {
        return None;
    };
    spout.acked.get(ALL_TIME)?.get(stream).copied()
}

/// What a component did since its executors started.
#[derive(Default)]
struct Totals {
    n_executors: usize,
    n_tasks: i32,
    emitted: i64,
    acked: i64,
    failed: i64,
    latency_ms: f64,
    n_timed: i64,
}

/// A row for each component.
pub fn components(info: &TopologyInfo) -> String {
    let mut totals: BTreeMap<&str, Totals> = BTreeMap::new();
    for executor in &info.executors {
        totals
            .entry(&executor.component_id)
            .or_default()
            .add(executor);
    }
    let head = [
        "COMPONENT",
        "EXECUTORS",
        "TASKS",
        "EMITTED",
        "ACKED",
        "FAILED",
        "LATENCY MS",
    ];
    let rows = totals.iter().map(|(component, totals)| {
        [
            (*component).to_owned(),
            totals.n_executors.to_string(),
            totals.n_tasks.to_string(),
            totals.emitted.to_string(),
            totals.acked.to_string(),
            totals.failed.to_string(),
            format!("{:.3}", totals.latency_ms()),
        ]
    });
    table(head, rows)
}

// === impl Totals ===

impl Totals {
    fn add(&mut self, executor: &ExecutorSummary) {
        self.n_executors += 1;
        self.n_tasks += executor.executor_info.task_end - executor.executor_info.task_start + 1;
        let Some(stats) = &executor.stats else { return };
        self.emitted += user_streams(stats.emitted.get(ALL_TIME));
        match &stats.specific {
            ExecutorSpecificStats::Spout(spout) => {
                self.acked += user_streams(spout.acked.get(ALL_TIME));
                self.failed += user_streams(spout.failed.get(ALL_TIME));
                let averages = spout.complete_ms_avg.get(ALL_TIME);
                for (stream, average) in averages.into_iter().flatten() {
                    let counts = spout.acked.get(ALL_TIME);
                    self.time(*average, counts.and_then(|counts| counts.get(stream)));
                }
            }
            ExecutorSpecificStats::Bolt(bolt) => {
                self.acked += inputs(bolt.acked.get(ALL_TIME));
                self.failed += inputs(bolt.failed.get(ALL_TIME));
                let averages = bolt.process_ms_avg.get(ALL_TIME);
                for (input, average) in averages.into_iter().flatten() {
                    let counts = bolt.acked.get(ALL_TIME);
                    self.time(*average, counts.and_then(|counts| counts.get(input)));
                }
            }
            _ => {}
        }
    }

    fn time(&mut self, average_ms: f64, count: Option<&i64>) {
        let count = count.copied().unwrap_or(0);
        self.latency_ms += average_ms * count as f64;
        self.n_timed += count;
    }

    /// Complete latency of a spout, process latency of a bolt.
    fn latency_ms(&self) -> f64 {
        if self.n_timed == 0 {
            0.0
        } else {
            self.latency_ms / self.n_timed as f64
        }
    }
}

/// Storm's own streams are left out, as its UI does.
fn user_streams(counts: Option<&BTreeMap<String, i64>>) -> i64 {
    let counts = counts.into_iter().flatten();
    counts
        .filter(|(stream, _)| !stream.starts_with("__"))
        .map(|(_, count)| count)
        .sum()
}

fn inputs(counts: Option<&BTreeMap<GlobalStreamId, i64>>) -> i64 {
    let counts = counts.into_iter().flatten();
    counts
        .filter(|(input, _)| !input.stream_id.starts_with("__"))
        .map(|(_, count)| count)
        .sum()
}

/// Of the line below the head of Storm's list.
const RULE_COLUMNS: usize = 88;
/// The window since the start, as Storm spells it.
pub const ALL_TIME: &str = ":all-time";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_where_it_was_and_how_long_ago() {
        let check = |host: Option<&str>, port, error_time_secs, expected: &str| {
            let error = ErrorInfo {
                error: "no such word\n".to_owned(),
                error_time_secs,
                host: host.map(str::to_owned),
                port,
            };
            assert_eq!(error_line("split", &error, 4000), expected);
        };
        check(
            Some("h"),
            Some(6700),
            3997,
            "split on h:6700, 3s ago: no such word",
        );
        check(
            Some("h"),
            None,
            340,
            "split on h, 1h 1m 0s ago: no such word",
        );
        // A supervisor's clock that is ahead.
        check(None, None, 4002, "split, 0s ago: no such word");
    }
}

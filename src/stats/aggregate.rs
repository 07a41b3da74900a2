//! Sums over the statistics of executors, as Storm's topology and component pages show them
//! (control-plane 9.4 and 9.5).
//!
//! Takes what was reported and adds it up; knows neither who is assigned where nor what a topology
//! looks like.

mod component;
mod topology;

use std::collections::BTreeMap;

use crate::id::ExecutorId;
use crate::topology::is_system_id;
use crate::wire::storm::{
    BoltAggregateStats, CommonAggregateStats, ComponentAggregateStats, ComponentType,
    ExecutorStats, GlobalStreamId, SpecificAggregateStats, SpoutAggregateStats,
};

pub use component::{ComponentSums, component};
pub use topology::{TopologySums, topology};

/// What one executor reported last, and where it runs.
#[derive(Clone, Copy, Debug)]
pub struct Beat<'a> {
    pub executor: ExecutorId,
    pub component: &'a str,
    pub host: &'a str,
    pub port: i32,
    /// Of its worker.
    pub uptime_secs: i32,
    pub stats: &'a ExecutorStats,
}

/// What of the statistics is wanted.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// A window's name. One that does not exist has nothing in it.
    pub window: Option<&'a str>,
    pub system: SystemParts,
}

/// Whether the components and streams that Storm adds to a topology count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemParts {
    Shown,
    Hidden,
}

/// What is summed up, of an executor, a stream or a component.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    n_executors: i32,
    n_tasks: i32,
    emitted: i64,
    transferred: i64,
    acked: i64,
    failed: i64,
    executed: i64,
    /// Each latency times how often it was measured.
    execute_ms: f64,
    process_ms: f64,
    complete_ms: f64,
    capacity: f64,
}

type Windows<K, T> = BTreeMap<String, BTreeMap<K, T>>;

/// A stream as statistics name it: one's own by its id, another's with its component.
trait StreamKey: Ord {
    fn stream(&self) -> &str;
}

// === impl View ===

impl View<'_> {
    /// The window's part of some figures; none when they do not have it.
    fn of<'a, K: Ord, T>(&self, figures: &'a Windows<K, T>) -> Option<&'a BTreeMap<K, T>> {
        figures.get(self.window?)
    }
}

// === impl SystemParts ===

impl SystemParts {
    /// Whether a component or a stream of that name counts.
    pub fn shows(self, id: &str) -> bool {
        self == SystemParts::Shown || !is_system_id(id)
    }
}

// === impl Sums ===

impl Sums {
    fn add_executor(&mut self, executor: ExecutorId) {
        let n_tasks = i32::try_from(executor.tasks().count()).unwrap_or(i32::MAX);
        self.n_executors = self.n_executors.saturating_add(1);
        self.n_tasks = self.n_tasks.saturating_add(n_tasks);
    }

    /// As Storm shows a component of that kind. Averages of nothing are 0.
    fn shown(&self, kind: ComponentType) -> ComponentAggregateStats {
        let specific = match kind {
            ComponentType::Spout => SpecificAggregateStats::Spout(SpoutAggregateStats {
                complete_latency_ms: Some(average(self.complete_ms, self.acked)),
            }),
            ComponentType::Bolt => SpecificAggregateStats::Bolt(BoltAggregateStats {
                execute_latency_ms: Some(average(self.execute_ms, self.executed)),
                process_latency_ms: Some(average(self.process_ms, self.executed)),
                executed: Some(self.executed),
                capacity: Some(self.capacity),
            }),
        };
        ComponentAggregateStats {
            type_: Some(kind.into()),
            common_stats: Some(CommonAggregateStats {
                num_executors: Some(self.n_executors),
                num_tasks: Some(self.n_tasks),
                emitted: Some(self.emitted),
                transferred: Some(self.transferred),
                acked: Some(self.acked),
                failed: Some(self.failed),
                resources_map: None,
            }),
            specific_stats: Some(specific),
            last_error: None,
        }
    }
}

impl StreamKey for String {
    fn stream(&self) -> &str {
        self
    }
}

impl StreamKey for GlobalStreamId {
    fn stream(&self) -> &str {
        &self.stream_id
    }
}

/// Share of the last ten minutes, or of the worker's life, that a bolt's executor spent in
/// `execute`.
pub fn capacity(stats: &crate::wire::storm::BoltStats, uptime_secs: i32) -> f64 {
    let span_secs = uptime_secs.min(TEN_MINUTES_SECS);
    let view = View {
        window: Some("600"),
        system: SystemParts::Shown,
    };
    let busy_ms = weighted(view.of(&stats.execute_ms_avg), view.of(&stats.executed));
    match span_secs {
        1.. => busy_ms / (1000.0 * f64::from(span_secs)),
        _ => 0.0,
    }
}

/// Sum of the counts of streams.
fn total<K>(counts: Option<&BTreeMap<K, i64>>) -> i64 {
    let counts = counts.into_iter().flat_map(BTreeMap::values);
    counts.fold(0, |sum, count| sum.wrapping_add(*count))
}

/// As `total`, of the streams that are shown.
fn total_shown<K: StreamKey>(counts: Option<&BTreeMap<K, i64>>, system: SystemParts) -> i64 {
    let counts = counts.into_iter().flatten();
    let shown = counts.filter(|(key, _)| system.shows(key.stream()));
    shown.fold(0, |sum, (_, count)| sum.wrapping_add(*count))
}

/// Sum of averages, each times its count.
fn weighted<K: Ord>(averages: Option<&BTreeMap<K, f64>>, counts: Option<&BTreeMap<K, i64>>) -> f64 {
    let averages = averages.into_iter().flatten();
    let products = averages.map(|(key, average)| average * count_of(counts, key) as f64);
    // The sum of no floats is -0.0, which would be shown with its sign.
    products.sum::<f64>() + 0.0
}

fn count_of<K: Ord>(counts: Option<&BTreeMap<K, i64>>, key: &K) -> i64 {
    counts
        .and_then(|counts| counts.get(key))
        .copied()
        .unwrap_or(0)
}

fn average(total: f64, n: i64) -> f64 {
    if n > 0 { total / n as f64 } else { 0.0 }
}

const TEN_MINUTES_SECS: i32 = 600;

#[cfg(test)]
mod tests;

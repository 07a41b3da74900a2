//! The sums of a component's page: all windows, and in one of them each stream and each executor.

use std::collections::BTreeMap;

use super::{
    Beat, StreamKey, Sums, View, Windows, capacity, count_of, total, total_shown, weighted,
};
use crate::wire::storm::{
    BoltStats, ComponentAggregateStats, ComponentType, ExecutorAggregateStats, ExecutorInfo,
    ExecutorSpecificStats, ExecutorSummary, GlobalStreamId, SpoutStats,
};

/// The sums of a component.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ComponentSums {
    /// Executors that reported.
    pub n_executors: i32,
    pub n_tasks: i32,
    /// All windows that were reported.
    pub windows: BTreeMap<String, ComponentAggregateStats>,
    /// A bolt's sources.
    pub inputs: BTreeMap<GlobalStreamId, ComponentAggregateStats>,
    pub outputs: BTreeMap<String, ComponentAggregateStats>,
    pub executors: Vec<ExecutorAggregateStats>,
}

/// What gathers while executors are added.
#[derive(Default)]
struct Gathered {
    own: Sums,
    windows: BTreeMap<String, Sums>,
    inputs: BTreeMap<GlobalStreamId, Sums>,
    outputs: BTreeMap<String, Sums>,
}

/// Adds up the executors of one component of that kind.
pub fn component<'a>(
    beats: impl Iterator<Item = Beat<'a>>,
    kind: ComponentType,
    view: View<'_>,
) -> ComponentSums {
    let mut all = Gathered::default();
    let mut executors = Vec::new();
    for beat in beats.filter(|beat| view.system.shows(beat.component)) {
        let of_executor = match (&beat.stats.specific, kind) {
            (ExecutorSpecificStats::Spout(spout), ComponentType::Spout) => {
                all.add_spout(&beat, spout, view)
            }
            (ExecutorSpecificStats::Bolt(bolt), ComponentType::Bolt) => {
                all.add_bolt(&beat, bolt, view)
            }
            // Statistics of another kind of component than it is.
            _ => continue,
        };
        all.own.add_executor(beat.executor);
        executors.push(ExecutorAggregateStats {
            exec_summary: Some(summary(&beat)),
            stats: Some(of_executor.shown(kind)),
        });
    }
    ComponentSums {
        n_executors: all.own.n_executors,
        n_tasks: all.own.n_tasks,
        windows: shown(all.windows, kind),
        inputs: shown(all.inputs, kind),
        outputs: shown(all.outputs, kind),
        executors,
    }
}

// === impl Gathered ===

impl Gathered {
    fn add_spout(&mut self, beat: &Beat<'_>, spout: &SpoutStats, view: View<'_>) -> Sums {
        self.add_emitted(beat, view);
        let windows = &mut self.windows;
        add_windows(windows, &spout.acked, |sums, acked| {
            sums.acked = sums.acked.wrapping_add(total(Some(acked)));
        });
        add_windows(windows, &spout.failed, |sums, failed| {
            sums.failed = sums.failed.wrapping_add(total(Some(failed)));
        });
        for (window, acked) in &spout.acked {
            let latencies = spout.complete_ms_avg.get(window);
            windows.entry(window.clone()).or_default().complete_ms +=
                weighted(latencies, Some(acked));
        }
        let (acked, failed) = (view.of(&spout.acked), view.of(&spout.failed));
        let latencies = view.of(&spout.complete_ms_avg);
        add_streams(&mut self.outputs, acked, |sums, n| {
            sums.acked = sums.acked.wrapping_add(n);
        });
        add_streams(&mut self.outputs, failed, |sums, n| {
            sums.failed = sums.failed.wrapping_add(n);
        });
        // Where nothing counts what was acked, a latency says nothing.
        let measured = acked.and(latencies).into_iter().flatten();
        for (stream, latency) in measured {
            let n_acked = count_of(acked, stream);
            self.outputs.entry(stream.clone()).or_default().complete_ms += latency * n_acked as f64;
        }
        Sums {
            acked: total(acked),
            failed: total(failed),
            complete_ms: weighted(latencies, acked),
            ..emitted(beat, view)
        }
    }

    fn add_bolt(&mut self, beat: &Beat<'_>, bolt: &BoltStats, view: View<'_>) -> Sums {
        self.add_emitted(beat, view);
        self.add_bolt_windows(bolt);
        let (acked, failed) = (view.of(&bolt.acked), view.of(&bolt.failed));
        add_streams(&mut self.inputs, acked, |sums, n| {
            sums.acked = sums.acked.wrapping_add(n);
        });
        add_streams(&mut self.inputs, failed, |sums, n| {
            sums.failed = sums.failed.wrapping_add(n);
        });
        let mut own = Sums {
            acked: total(acked),
            failed: total(failed),
            capacity: capacity(bolt, beat.uptime_secs),
            ..emitted(beat, view)
        };
        let (execute, executed) = (view.of(&bolt.execute_ms_avg), view.of(&bolt.executed));
        let (Some(execute), Some(executed)) = (execute, executed) else {
            return own;
        };
        let process = view.of(&bolt.process_ms_avg);
        // Storm counts here, other than for a whole component, only the streams that have an
        // execute latency.
        for (source, execute_ms) in execute {
            let n = count_of(Some(executed), source);
            let process_ms = process.and_then(|process| process.get(source));
            let process_ms = process_ms.copied().unwrap_or(0.0);
            let of_source = self.inputs.entry(source.clone()).or_default();
            for sums in [of_source, &mut own] {
                sums.executed = sums.executed.wrapping_add(n);
                sums.execute_ms += execute_ms * n as f64;
                sums.process_ms += process_ms * n as f64;
            }
        }
        own
    }

    fn add_bolt_windows(&mut self, bolt: &BoltStats) {
        let windows = &mut self.windows;
        add_windows(windows, &bolt.acked, |sums, acked| {
            sums.acked = sums.acked.wrapping_add(total(Some(acked)));
        });
        add_windows(windows, &bolt.failed, |sums, failed| {
            sums.failed = sums.failed.wrapping_add(total(Some(failed)));
        });
        for (window, executed) in &bolt.executed {
            let sums = windows.entry(window.clone()).or_default();
            let (execute, process) = (&bolt.execute_ms_avg, &bolt.process_ms_avg);
            sums.executed = sums.executed.wrapping_add(total(Some(executed)));
            sums.execute_ms += weighted(execute.get(window), Some(executed));
            sums.process_ms += weighted(process.get(window), Some(executed));
        }
    }

    fn add_emitted(&mut self, beat: &Beat<'_>, view: View<'_>) {
        let stats = beat.stats;
        add_windows(&mut self.windows, &stats.emitted, |sums, streams| {
            let n = total_shown(Some(streams), view.system);
            sums.emitted = sums.emitted.wrapping_add(n);
        });
        add_windows(&mut self.windows, &stats.transferred, |sums, streams| {
            let n = total_shown(Some(streams), view.system);
            sums.transferred = sums.transferred.wrapping_add(n);
        });
        let is_shown = |(stream, _): &(&String, &i64)| view.system.shows(stream);
        let emitted = view.of(&stats.emitted).into_iter().flatten();
        for (stream, n) in emitted.filter(is_shown) {
            let sums = self.outputs.entry(stream.clone()).or_default();
            sums.emitted = sums.emitted.wrapping_add(*n);
        }
        let transferred = view.of(&stats.transferred).into_iter().flatten();
        for (stream, n) in transferred.filter(is_shown) {
            let sums = self.outputs.entry(stream.clone()).or_default();
            sums.transferred = sums.transferred.wrapping_add(*n);
        }
    }
}

fn emitted(beat: &Beat<'_>, view: View<'_>) -> Sums {
    let shown = |figures| total_shown(view.of(figures), view.system);
    Sums {
        emitted: shown(&beat.stats.emitted),
        transferred: shown(&beat.stats.transferred),
        ..Sums::default()
    }
}

fn add_windows<K: StreamKey>(
    windows: &mut BTreeMap<String, Sums>,
    figures: &Windows<K, i64>,
    add: impl Fn(&mut Sums, &BTreeMap<K, i64>),
) {
    for (window, streams) in figures {
        add(windows.entry(window.clone()).or_default(), streams);
    }
}

fn add_streams<K: StreamKey + Clone>(
    by_stream: &mut BTreeMap<K, Sums>,
    counts: Option<&BTreeMap<K, i64>>,
    add: impl Fn(&mut Sums, i64),
) {
    for (stream, n) in counts.into_iter().flatten() {
        add(by_stream.entry(stream.clone()).or_default(), *n);
    }
}

fn shown<K: Ord>(
    sums: BTreeMap<K, Sums>,
    kind: ComponentType,
) -> BTreeMap<K, ComponentAggregateStats> {
    let shown = sums.into_iter().map(|(key, sums)| (key, sums.shown(kind)));
    shown.collect()
}

fn summary(beat: &Beat<'_>) -> ExecutorSummary {
    ExecutorSummary {
        executor_info: ExecutorInfo {
            task_start: beat.executor.first.0,
            task_end: beat.executor.last.0,
        },
        component_id: beat.component.to_owned(),
        host: beat.host.to_owned(),
        port: beat.port,
        uptime_secs: beat.uptime_secs,
        stats: None,
    }
}

//! The sums of a topology's page: each component in one window, the whole topology in all.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Beat, StreamKey, Sums, View, Windows, average, capacity, total, total_shown, weighted,
};
use crate::wire::storm::{
    BoltStats, ComponentAggregateStats, ComponentType, ExecutorSpecificStats, SpoutStats,
    TopologyStats,
};

/// The sums of a topology.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopologySums {
    /// By component; one that did not report is absent.
    pub spouts: BTreeMap<String, ComponentAggregateStats>,
    pub bolts: BTreeMap<String, ComponentAggregateStats>,
    pub totals: TopologyStats,
    /// Workers that reported.
    pub n_workers: usize,
}

/// Sums by window.
#[derive(Default)]
struct Totals {
    emitted: BTreeMap<String, i64>,
    transferred: BTreeMap<String, i64>,
    acked: BTreeMap<String, i64>,
    failed: BTreeMap<String, i64>,
    complete_ms: BTreeMap<String, f64>,
}

/// Adds up the executors of one topology.
pub fn topology<'a>(beats: impl Iterator<Item = Beat<'a>>, view: View<'_>) -> TopologySums {
    let mut totals = Totals::default();
    let mut workers = BTreeSet::new();
    let mut spouts: BTreeMap<String, Sums> = BTreeMap::new();
    let mut bolts: BTreeMap<String, Sums> = BTreeMap::new();
    for beat in beats.filter(|beat| view.system.shows(beat.component)) {
        let by_component = match &beat.stats.specific {
            ExecutorSpecificStats::Spout(_) => &mut spouts,
            ExecutorSpecificStats::Bolt(_) => &mut bolts,
            ExecutorSpecificStats::Unset => continue,
        };
        workers.insert((beat.host, beat.port));
        let sums = by_component.entry(beat.component.to_owned()).or_default();
        add(sums, &beat, view);
        totals.add(&beat, view);
    }
    let shown = |sums: BTreeMap<String, Sums>, kind| {
        let shown = sums.into_iter().map(|(id, sums)| (id, sums.shown(kind)));
        shown.collect()
    };
    TopologySums {
        spouts: shown(spouts, ComponentType::Spout),
        bolts: shown(bolts, ComponentType::Bolt),
        totals: totals.shown(),
        n_workers: workers.len(),
    }
}

fn add(sums: &mut Sums, beat: &Beat<'_>, view: View<'_>) {
    let stats = beat.stats;
    let shown = |figures| total_shown(view.of(figures), view.system);
    sums.add_executor(beat.executor);
    sums.emitted = sums.emitted.wrapping_add(shown(&stats.emitted));
    sums.transferred = sums.transferred.wrapping_add(shown(&stats.transferred));
    match &stats.specific {
        ExecutorSpecificStats::Spout(spout) => add_spout(sums, spout, view),
        ExecutorSpecificStats::Bolt(bolt) => {
            add_bolt(sums, bolt, view);
            // The busiest executor decides.
            sums.capacity = sums.capacity.max(capacity(bolt, beat.uptime_secs));
        }
        ExecutorSpecificStats::Unset => {}
    }
}

fn add_spout(sums: &mut Sums, spout: &SpoutStats, view: View<'_>) {
    let acked = view.of(&spout.acked);
    sums.acked = sums.acked.wrapping_add(total(acked));
    sums.failed = sums.failed.wrapping_add(total(view.of(&spout.failed)));
    sums.complete_ms += whole(weighted(view.of(&spout.complete_ms_avg), acked));
}

fn add_bolt(sums: &mut Sums, bolt: &BoltStats, view: View<'_>) {
    let executed = view.of(&bolt.executed);
    sums.acked = sums.acked.wrapping_add(total(view.of(&bolt.acked)));
    sums.failed = sums.failed.wrapping_add(total(view.of(&bolt.failed)));
    sums.executed = sums.executed.wrapping_add(total(executed));
    sums.execute_ms += whole(weighted(view.of(&bolt.execute_ms_avg), executed));
    sums.process_ms += whole(weighted(view.of(&bolt.process_ms_avg), executed));
}

/// Storm adds the latencies of a component's executors in whole milliseconds.
fn whole(total_ms: f64) -> f64 {
    total_ms as i64 as f64
}

// === impl Totals ===

impl Totals {
    /// All windows that were reported. What was acked counts at the spouts only.
    fn add(&mut self, beat: &Beat<'_>, view: View<'_>) {
        let of_shown = |streams: &BTreeMap<String, i64>| total_shown(Some(streams), view.system);
        add_windows(&mut self.emitted, &beat.stats.emitted, of_shown);
        add_windows(&mut self.transferred, &beat.stats.transferred, of_shown);
        let ExecutorSpecificStats::Spout(spout) = &beat.stats.specific else {
            return;
        };
        add_windows(&mut self.acked, &spout.acked, |streams| {
            total(Some(streams))
        });
        add_windows(&mut self.failed, &spout.failed, |streams| {
            total(Some(streams))
        });
        for (window, acked) in &spout.acked {
            let latencies = spout.complete_ms_avg.get(window);
            *self.complete_ms.entry(window.clone()).or_default() +=
                weighted(latencies, Some(acked));
        }
    }

    fn shown(self) -> TopologyStats {
        let acked = &self.acked;
        // A window in which nothing was acked has no latency here, not one of 0.
        let latency = |(window, total_ms): (String, f64)| {
            let n_acked = acked.get(&window).copied().filter(|n| *n > 0)?;
            Some((window, average(total_ms, n_acked)))
        };
        TopologyStats {
            window_to_complete_latencies_ms: Some(
                self.complete_ms.into_iter().filter_map(latency).collect(),
            ),
            window_to_emitted: Some(self.emitted),
            window_to_transferred: Some(self.transferred),
            window_to_acked: Some(self.acked),
            window_to_failed: Some(self.failed),
        }
    }
}

fn add_windows<K: StreamKey>(
    sums: &mut BTreeMap<String, i64>,
    figures: &Windows<K, i64>,
    of: impl Fn(&BTreeMap<K, i64>) -> i64,
) {
    for (window, streams) in figures {
        let sum = sums.entry(window.clone()).or_default();
        *sum = sum.wrapping_add(of(streams));
    }
}

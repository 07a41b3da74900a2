//! Windows of a side that runs: rates, latencies, and what its processes took meanwhile.
//!
//! A window in which other processes used the machine is left out where a quiet one remains.

use std::time::Duration;

use anyhow::Result;

use super::histogram::Histogram;
use super::machine::{self, Usage};
use super::meters::{Count, Leg, Meters};
use super::side::{Running, Side};
use super::{Figure, Span};
use crate::clock;

/// What windows came to: a value for each.
#[derive(Clone, Debug, Default)]
pub struct Windows(Vec<Window>);

#[derive(Clone, Debug, Default)]
pub struct Window {
    /// A second.
    pub rate: f64,
    /// In microseconds, of `QUANTILES`.
    pub to_ack: Option<[f64; 3]>,
    pub to_bolt: Option<[f64; 3]>,
    pub cores: f64,
    /// Of them, what processes took that started none.
    pub leaf_cores: f64,
    pub other_cores: f64,
    pub resident_mib: f64,
    pub n_threads: f64,
    pub failed: f64,
    /// For 1000 of what `rate` counts.
    pub allocations: f64,
    /// Over loopback, for one of what `rate` counts.
    pub loopback_bytes: f64,
}

/// What is seen at the edges of a window.
struct Look {
    nanos: u64,
    usage: Usage,
    leaves: Usage,
    busy: Duration,
    loopback_bytes: u64,
}

/// Lets the side run and looks: `n_windows` windows, counting what `done` counts.
pub fn windows(running: &Running, span: &Span, done: Count) -> Result<Windows> {
    let mut looks = vec![Look::now(running)];
    for _ in 0..span.n_windows {
        std::thread::sleep(span.window);
        looks.push(Look::now(running));
    }
    let last = looks.last().map_or(0, |look| look.nanos);
    let meters = running.until("the meters", |meters| meters.reach(last))?;
    let pairs = looks.windows(2);
    let window = |pair: &[Look]| Window::between((&pair[0], &pair[1]), &meters, done);
    Ok(Windows(pairs.map(window).collect()))
}

// === impl Look ===

impl Look {
    fn now(running: &Running) -> Self {
        let tree = machine::tree_usage(running.pid());
        Look {
            usage: tree.all,
            leaves: tree.leaves,
            busy: machine::busy(),
            loopback_bytes: machine::loopback_bytes(),
            nanos: clock::machine_nanos(),
        }
    }
}

// === impl Window ===

impl Window {
    fn between((before, after): (&Look, &Look), meters: &Meters, done: Count) -> Self {
        let (from, to) = (before.nanos, after.nanos);
        let secs = (to - from) as f64 / 1e9;
        let grown = |count| meters.at(count, to) - meters.at(count, from);
        let n_done = grown(done);
        let own = after.usage.cpu.saturating_sub(before.usage.cpu);
        let leaves = after.leaves.cpu.saturating_sub(before.leaves.cpu);
        let all = after.busy.saturating_sub(before.busy);
        let quantiles = |leg| quantiles(&meters.latencies(leg, from, to));
        let n_bytes = after.loopback_bytes - before.loopback_bytes;
        Window {
            rate: n_done / secs,
            to_ack: quantiles(Leg::EmitToAck),
            to_bolt: quantiles(Leg::EmitToBolt),
            cores: own.as_secs_f64() / secs,
            leaf_cores: leaves.as_secs_f64() / secs,
            other_cores: all.saturating_sub(own).as_secs_f64() / secs,
            resident_mib: after.usage.resident_bytes as f64 / MIB,
            n_threads: after.usage.n_threads as f64,
            failed: grown(Count::Failed),
            allocations: grown(Count::Allocations) / n_done * 1e3,
            loopback_bytes: n_bytes as f64 / n_done,
        }
    }
}

fn quantiles(histogram: &Histogram) -> Option<[f64; 3]> {
    let micros = |(quantile, _)| histogram.quantile(quantile).map(|nanos| nanos as f64 / 1e3);
    match QUANTILES.map(micros) {
        [Some(middle), Some(late), Some(latest)] => Some([middle, late, latest]),
        _ => None,
    }
}

// === impl Windows ===

impl Windows {
    pub fn add(&mut self, more: Windows) {
        self.0.extend(more.0);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Of a run that has come to its end: from its first emit to its last ack, without what it
    /// took of the machine.
    pub fn whole(meters: &Meters, (first, done): (u64, u64)) -> Self {
        let n_acked = meters.latest(Count::Acked) as f64;
        Windows(vec![Window {
            rate: n_acked / ((done - first) as f64 / 1e9),
            to_ack: quantiles(&meters.latencies(Leg::EmitToAck, 0, u64::MAX)),
            allocations: meters.grown(Count::Allocations) as f64 / n_acked * 1e3,
            ..Window::default()
        }])
    }

    /// Those in which others used no more than a twentieth of a core; all if there is none.
    fn quiet(&self) -> Vec<&Window> {
        let is_quiet = |window: &&Window| window.other_cores <= OTHERS_MAX;
        let quiet: Vec<&Window> = self.0.iter().filter(is_quiet).collect();
        match quiet.is_empty() {
            true => self.0.iter().collect(),
            false => quiet,
        }
    }

    /// The middle rate, and the middle of each latency of a leg, where there is any.
    pub fn rate(&self) -> f64 {
        Figure::new("", ("", ""), self.each(|window| window.rate)).median()
    }

    pub fn worst_late(&self) -> f64 {
        let late = self.0.iter().filter_map(|window| window.to_ack);
        late.map(|[_, late, _]| late).fold(0.0, f64::max)
    }

    fn each(&self, value: impl Fn(&Window) -> f64) -> Vec<f64> {
        self.quiet().into_iter().map(value).collect()
    }

    /// The first figure: how fast.
    pub fn speed(&self, case: &str, side: Side, what: &'static str) -> Figure {
        let rates = self.each(|window| window.rate / 1e6);
        Figure::new(case, (what, "M/s"), rates).of(side)
    }

    /// Emit to ack, and emit to bolt where that was stamped.
    pub fn latencies(&self, case: &str, side: Side) -> Vec<Figure> {
        type OfWindow = fn(&Window) -> Option<[f64; 3]>;
        let legs: [(&str, OfWindow); 2] = [
            ("emit to ack", |window| window.to_ack),
            ("emit to bolt", |window| window.to_bolt),
        ];
        let mut figures = Vec::new();
        for (leg, of) in legs {
            for (place, (_, name)) in QUANTILES.iter().enumerate() {
                let quiet = self.quiet().into_iter();
                let values: Vec<f64> = quiet
                    .filter_map(|window| Some(of(window)?[place]))
                    .collect();
                if !values.is_empty() {
                    let what = format!("{leg}, {name}");
                    figures.push(Figure::new(case, (what, "us"), values).of(side));
                }
            }
        }
        figures
    }

    /// What the engine of a shell bolt took, and what its child did.
    pub fn engine_costs(&self, case: &str, side: Side) -> Vec<Figure> {
        let figure = |what, values| Figure::new(case, (what, "cores"), values).of(side);
        vec![
            figure(
                "CPU of the engine",
                self.each(|window| window.cores - window.leaf_cores),
            ),
            figure("CPU of the child", self.each(|window| window.leaf_cores)),
        ]
    }

    /// What the processes took.
    pub fn costs(&self, case: &str, side: Side, n_workers: usize) -> Vec<Figure> {
        let figure =
            |what: &'static str, unit, values| Figure::new(case, (what, unit), values).of(side);
        let mut figures = vec![
            figure("CPU", "cores", self.each(|window| window.cores)),
            figure(
                "others' CPU",
                "cores",
                self.each(|window| window.other_cores),
            ),
            figure("memory", "MiB", self.each(|window| window.resident_mib)),
            figure("threads", "", self.each(|window| window.n_threads)),
        ];
        if self.0.iter().any(|window| window.failed > 0.0) {
            figures.push(figure("failed", "", self.each(|window| window.failed)));
        }
        let bytes = self.each(|window| window.loopback_bytes);
        if n_workers > 1 && is_countable(&bytes) {
            figures.push(figure("loopback for a tuple", "B", bytes));
        }
        figures.extend(self.allocations(case, side));
        figures
    }

    /// None of genuine Storm, whose meters do not count them.
    pub fn allocations(&self, case: &str, side: Side) -> Option<Figure> {
        let values = self.each(|window| window.allocations);
        let is_known = side != Side::Genuine && is_countable(&values);
        let what = ("allocations for 1000 tuples", "");
        is_known.then(|| Figure::new(case, what, values).of(side))
    }
}

/// Whether there was anything to divide by.
fn is_countable(values: &[f64]) -> bool {
    values.iter().all(|value| value.is_finite())
}

pub const QUANTILES: [(f64, &str); 3] = [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")];
/// Of a core.
const OTHERS_MAX: f64 = 0.05;
pub const MIB: f64 = 1024.0 * 1024.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn window(rate: f64, other_cores: f64) -> Window {
        Window {
            rate,
            other_cores,
            ..Window::default()
        }
    }

    #[test]
    fn windows_with_others_at_work_count_only_where_there_is_no_other() {
        let both = Windows(vec![window(1.0, 0.0), window(9.0, 0.5)]);
        assert_eq!(both.rate(), 1.0);
        let loud = Windows(vec![window(5.0, 0.3), window(9.0, 0.5)]);
        assert_eq!(loud.rate(), 7.0);
    }
}

//! The tuple path by itself: an engine without network or daemons, its tuples counted by the
//! components.
//!
//! Parameters are storm-perf's (ConstSpoutNullBolt, ConstSpoutIdBoltNullBolt). While other
//! processes use the cores rates are worth little; a line tells how much they did. Tuples a CPU
//! second suffer less from them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::components::{self, CountingFactory, Gauges, Tracking};
use super::histogram::Histogram;
use super::machine::{self, Usage};
use super::{Case, Figure, Options, ReferenceKind};
use crate::component::Factory;
use crate::conf::{Conf, keys};
use crate::id::TopologyId;
use crate::topology::tasks;
use crate::worker::engine::{Engine, EngineOptions};
use crate::worker::program::Program;
use crate::worker::rest::Spinning;

/// What is seen at the edges of a window.
struct Look {
    at: Instant,
    n_done: u64,
    usage: Usage,
    busy: Duration,
}

/// What windows came to.
#[derive(Default)]
struct Windows {
    rates: Vec<f64>,
    per_cpu_second: Vec<f64>,
    cores: Vec<f64>,
    other_cores: Vec<f64>,
    latencies: [Vec<f64>; QUANTILES.len()],
}

/// Runs one engine case on so many threads.
pub fn run(case: Case, n_threads: usize, options: &Options) -> Result<Vec<Figure>> {
    let (bolts, tracking): (&[&str], _) = match case {
        Case::Null => (&[components::SINK], Tracking::Untracked),
        Case::NullAcked => (&[components::SINK], Tracking::Tracked),
        Case::Id => (&[components::ID, components::SINK], Tracking::Untracked),
        Case::IdAcked => (&[components::ID, components::SINK], Tracking::Tracked),
        other => bail!("{} is no engine case", other.name()),
    };
    let gauges = Arc::new(Gauges::default());
    let factory = Arc::new(CountingFactory {
        gauges: Arc::clone(&gauges),
        tracking,
    });
    let engine = start(factory, bolts, tracking, engine_options(n_threads))?;
    std::thread::sleep(options.warm_up);
    let mut windows = Windows::default();
    gauges.take_latencies();
    for _ in 0..options.n_windows {
        let before = Look::now(&gauges, tracking);
        std::thread::sleep(options.window);
        let after = Look::now(&gauges, tracking);
        windows.add(&before, &after, &gauges.take_latencies());
    }
    let resident = machine::own_usage().resident_bytes;
    let errors = engine.take_errors();
    let has_failed = engine.has_failed();
    engine.stop(PATIENCE)?;
    if let Some(error) = errors.first() {
        bail!("component {} reported: {}", error.component, error.text);
    }
    if has_failed || windows.rates.contains(&0.0) {
        bail!("no tuple arrived in a window of {:?}", options.window);
    }
    Ok(figures(case, n_threads, windows, resident))
}

/// Starts the engine of a chain of `bolts`.
pub fn start(
    factory: Arc<dyn Factory>,
    bolts: &[&str],
    tracking: Tracking,
    options: EngineOptions,
) -> Result<Engine> {
    let n_ackers = match tracking {
        Tracking::Tracked => 1,
        Tracking::Untracked => 0,
    };
    let conf = Conf::defaults()
        .with(keys::TOPOLOGY_WORKERS, 1)
        .with(keys::TOPOLOGY_ACKER_EXECUTORS, n_ackers)
        .with(keys::TOPOLOGY_MAX_SPOUT_PENDING, 5000)
        .with(keys::TOPOLOGY_STATS_SAMPLE_RATE, 0.0005);
    let id = TopologyId::from("bench-1-1");
    let program = Program::new(id, components::chain(bolts), conf)?;
    let wanted = tasks::parallelism(&program.system);
    let executors = tasks::executors(&program.view.task_components, &wanted);
    let executors: Vec<_> = executors.into_keys().collect();
    let engine = Engine::start(Arc::new(program), &executors, factory, options);
    let engine = engine.context("cannot start an engine")?;
    engine.activate();
    Ok(engine)
}

fn engine_options(n_threads: usize) -> EngineOptions {
    let spinning = match n_threads <= machine::n_cores() {
        true => Spinning::Allowed,
        false => Spinning::Forbidden,
    };
    EngineOptions {
        n_threads,
        spinning,
        ..EngineOptions::local(1)
    }
}

// === impl Look ===

impl Look {
    fn now(gauges: &Gauges, tracking: Tracking) -> Self {
        Look {
            n_done: match tracking {
                Tracking::Tracked => gauges.n_acked(),
                Tracking::Untracked => gauges.n_executed(),
            },
            at: Instant::now(),
            usage: machine::own_usage(),
            busy: machine::busy(),
        }
    }
}

// === impl Windows ===

impl Windows {
    fn add(&mut self, before: &Look, after: &Look, latencies: &Histogram) {
        let secs = after.at.duration_since(before.at).as_secs_f64();
        let n_done = after.n_done - before.n_done;
        let own = (after.usage.cpu - before.usage.cpu).as_secs_f64();
        let all = (after.busy - before.busy).as_secs_f64();
        self.rates.push(n_done as f64 / secs / 1e6);
        self.per_cpu_second
            .push(n_done as f64 / own.max(1e-3) / 1e6);
        self.cores.push(own / secs);
        self.other_cores.push((all - own).max(0.0) / secs);
        for (values, (quantile, _)) in self.latencies.iter_mut().zip(QUANTILES) {
            values.extend(latencies.quantile(quantile).map(|nanos| nanos as f64 / 1e3));
        }
    }
}

fn figures(case: Case, n_threads: usize, windows: Windows, resident: u64) -> Vec<Figure> {
    let name = match n_threads {
        1 => format!("{}, 1 thread", case.name()),
        n => format!("{}, {n} threads", case.name()),
    };
    let rate = Figure::new(&name, ("tuples", "M/s"), windows.rates);
    let mut figures = vec![rate.against(ReferenceKind::Ceiling, ceiling(case))];
    for (values, (_, what)) in windows.latencies.into_iter().zip(QUANTILES) {
        if !values.is_empty() {
            figures.push(Figure::new(&name, (what, "us"), values));
        }
    }
    let per_cpu_second = ("tuples a CPU second", "M");
    figures.push(Figure::new(&name, per_cpu_second, windows.per_cpu_second));
    figures.push(Figure::new(&name, ("own CPU", "cores"), windows.cores));
    figures.push(Figure::new(
        &name,
        ("others' CPU", "cores"),
        windows.other_cores,
    ));
    let resident = vec![resident as f64 / MIB];
    figures.push(Figure::new(&name, ("memory", "MiB"), resident));
    figures
}

/// M tuples/s of a bare pipeline on two cores of 2.3 GHz, as measured for the design: one inline
/// value, or values copied flat where inline ones were not measured.
fn ceiling(case: Case) -> f64 {
    match case {
        Case::Null => 229.0,
        Case::NullAcked => 103.0,
        Case::Id => 59.0,
        _ => 43.0,
    }
}

const QUANTILES: [(f64, &str); 3] = [
    (0.5, "emit to ack, p50"),
    (0.99, "emit to ack, p99"),
    (0.999, "emit to ack, p99.9"),
];
const MIB: f64 = 1024.0 * 1024.0;
const PATIENCE: Duration = Duration::from_secs(10);

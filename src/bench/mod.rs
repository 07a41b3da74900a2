//! The cases of `stormwire bench` and what they measure.
//!
//! Tuple cases (`suite`) run in this process, in a cluster of processes, and as genuine Storm; the
//! others against real daemons. Prints nothing but progress; `cli::bench` shows the figures.

pub mod calibrate;
pub mod certificates;
pub mod child;
pub mod cluster;
pub mod control;
pub mod dev;
pub mod drpc;
pub mod fixed;
pub mod fleet;
pub mod flow;
pub mod gateway;
pub mod genuine;
pub mod machine;
pub mod measure;
pub mod meters;
pub mod plan;
pub mod scale;
pub mod side;
pub mod submission;
pub mod suite;
pub mod words;

mod components;
mod engine;
#[cfg(test)]
mod guards;

pub use crate::component::native::bench::histogram;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use flow::Checked;
use genuine::Installed;
use side::Side;
use suite::{Child, Flow, Variant};

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Tuples through a topology.
    Flow(Flow),
    /// What the machine can do: rings, lines, wakes, loopback.
    Calibrate,
    /// getClusterInfo calls to a Nimbus in this process, over loopback.
    ClusterInfo,
    /// Submit to first tuple, kill to free slot, on `stormwire dev`.
    Submit,
    /// What `stormwire dev` and a topology take when nothing happens.
    Idle,
    /// Death of a worker by SIGKILL to its next tuple.
    Restart,
    /// Calls of a function that a built-in bolt answers, on `stormwire dev`, over loopback.
    Drpc,
    /// Tuples to and from a process of its own, on `stormwire dev`, over loopback.
    Gateway,
    /// Calls to a Nimbus with more and more topologies, whose supervisors and workers report.
    ControlScale,
}

/// How cases run.
#[derive(Clone, Debug)]
pub struct Options {
    pub ours: Span,
    pub genuine: Span,
    /// Genuine and ours in turn, so often.
    pub n_rounds: usize,
    /// Repetitions of what happens once: a submit, a death.
    pub n_repetitions: usize,
    /// How long idleness is watched.
    pub idle: Duration,
    /// How long a topology with a bolt that is too slow is watched.
    pub blocked: Duration,
    /// Numbers of threads of the engine in this process.
    pub threads: Vec<usize>,
    /// Numbers of topologies at which the control plane is measured, growing.
    pub topologies: Vec<usize>,
    /// With the variants that take long.
    pub is_long: bool,
    /// Genuine Storm, where it is to run beside ours.
    pub installed: Option<Installed>,
    pub only: Only,
}

/// When and how long a rate is looked at.
#[derive(Clone, Debug)]
pub struct Span {
    /// Before the first window.
    pub warm_up: Duration,
    pub window: Duration,
    pub n_windows: usize,
}

/// What a person wants other than the standard variants.
#[derive(Clone, Debug, Default)]
pub struct Only {
    pub is_acked: Option<bool>,
    pub n_workers: Option<usize>,
    /// 0: no bound.
    pub pending: Option<i64>,
    pub batch: Option<i64>,
    /// In a worker process, also where one is enough.
    pub in_cluster: bool,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Figure {
    pub case: String,
    /// Ours without further words, if none.
    pub side: Option<Side>,
    pub what: Cow<'static, str>,
    pub unit: &'static str,
    /// One for each window or repetition.
    pub values: Vec<f64>,
    pub reference: Option<Reference>,
    /// From and to: of genuine Storm, elsewhere.
    pub recorded: Option<(f64, f64)>,
    pub is_headline: bool,
    pub is_better_when_less: bool,
}

/// What a figure is held against.
#[derive(Clone, Copy, Debug)]
pub struct Reference {
    pub kind: ReferenceKind,
    pub value: f64,
    pub aim: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceKind {
    AtLeast,
    AtMost,
}

/// A directory that goes with its owner.
pub struct Scratch(PathBuf);

/// Runs one case.
pub fn run(case: Case, options: &Options, checked: &mut Checked) -> Result<Vec<Figure>> {
    match case {
        Case::Flow(flow) => {
            let mut figures = Vec::new();
            for variant in options.only.variants(flow, options.is_long) {
                eprintln!("{} ..", variant.name());
                figures.extend(flow::run(&variant, options, checked)?);
            }
            figures.extend(flow::penalties(&figures));
            Ok(figures)
        }
        Case::Calibrate => calibrate::machine(),
        Case::ClusterInfo => control::cluster_info(options),
        Case::Submit => cluster::submit(options),
        Case::Idle => cluster::idle(options),
        Case::Restart => cluster::restart(options),
        Case::Drpc => drpc::round_trip(options),
        Case::Gateway => gateway::flows(options),
        Case::ControlScale => scale::control_scale(options),
    }
}

// === impl Case ===

impl Case {
    /// All, in the order of the table.
    pub fn all() -> Vec<Case> {
        let flows = Flow::ALL.into_iter().map(Case::Flow);
        let others = [
            Case::Submit,
            Case::Restart,
            Case::Idle,
            Case::Drpc,
            Case::Gateway,
            Case::ClusterInfo,
            Case::ControlScale,
        ];
        [Case::Calibrate]
            .into_iter()
            .chain(flows)
            .chain(others)
            .collect()
    }

    /// Whether it is part of a run without names: all but what takes minutes.
    pub fn is_standard(self) -> bool {
        self != Case::ControlScale
    }

    pub fn named(name: &str) -> Option<Case> {
        Case::all().into_iter().find(|case| case.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Case::Flow(flow) => flow.name(),
            Case::Calibrate => "calibrate",
            Case::ClusterInfo => "cluster-info",
            Case::Submit => "submit",
            Case::Idle => "idle",
            Case::Restart => "restart",
            Case::Drpc => "drpc",
            Case::Gateway => "gateway",
            Case::ControlScale => "control-scale",
        }
    }

    /// What it is, in a line.
    pub fn meaning(self) -> &'static str {
        match self {
            Case::Flow(Flow::ConstSpout) => "a spout alone",
            Case::Flow(Flow::ConstNull) => "ConstSpout to NullBolt",
            Case::Flow(Flow::ConstIdNull) => "ConstSpout to IdBolt to NullBolt",
            Case::Flow(Flow::WordCount) => "lines of a file, split, counted (FileReadWordCount)",
            Case::Flow(Flow::Compression) => "long lines between two workers, compressed or not",
            Case::Flow(Flow::SimpleWordCount) => "words of a file, counted",
            Case::Flow(Flow::Files) => "30,000 random texts to a file, synced each 1000",
            Case::Flow(Flow::LowThroughput) => "a tuple each 1 ms (--long: 10, 100): latency, CPU",
            Case::Flow(Flow::BackPressure) => "against a bolt that sleeps 1 ms: memory",
            Case::Flow(Flow::ThroughputLatency) => {
                "word count at rates that double; over two workers under TLS, too"
            }
            Case::Flow(Flow::Tls) => {
                "ConstSpout to NullBolt between two workers, plain and under TLS"
            }
            Case::Flow(Flow::Shell(Child::Fast)) => "ConstSpout to a child that acks in bulk",
            Case::Flow(Flow::Shell(Child::Plain)) => "ConstSpout to a child in plain Python",
            Case::Calibrate => "what the machine can do: ring, line, wake, loopback",
            Case::ClusterInfo => "getClusterInfo calls a second",
            Case::Submit => "submit to first tuple, kill to free slot",
            Case::Idle => "an idle cluster, then 100 idle executors",
            Case::Restart => "a worker killed until its first tuple",
            Case::Drpc => "function calls: latency, rate",
            Case::Gateway => "tuples to and from a process of its own: rate, worker's time",
            Case::ControlScale => "submits and calls with up to 1000 topologies",
        }
    }
}

// === impl Only ===

impl Only {
    /// The standard variants of a case that are wanted, or one that is just so.
    fn variants(&self, flow: Flow, is_long: bool) -> Vec<Variant> {
        let mut variants = flow.variants(is_long);
        let mut keep = |is_wanted: &dyn Fn(&Variant) -> bool, change: &dyn Fn(&mut Variant)| {
            let mut wanted: Vec<Variant> = variants
                .iter()
                .filter(|each| is_wanted(each))
                .cloned()
                .collect();
            if wanted.is_empty() {
                wanted = variants.clone();
                wanted.iter_mut().for_each(change);
                let names: Vec<String> = wanted.iter().map(Variant::name).collect();
                let is_first = |at: usize| !names[..at].contains(&names[at]);
                let numbered = wanted.into_iter().enumerate();
                wanted = numbered
                    .filter(|(at, _)| is_first(*at))
                    .map(|(_, each)| each)
                    .collect();
            }
            variants = wanted;
        };
        if let Some(n_workers) = self.n_workers {
            keep(&|each| each.n_workers == n_workers, &|each| {
                each.n_workers = n_workers
            });
        }
        if let Some(is_acked) = self.is_acked {
            keep(&|each| each.is_acked == is_acked, &|each| {
                each.is_acked = is_acked
            });
        }
        for variant in &mut variants {
            if let Some(pending) = self.pending {
                variant.pending = (pending > 0).then_some(pending);
            }
            variant.batch = self.batch.unwrap_or(variant.batch);
            variant.in_cluster |= self.in_cluster;
        }
        variants
    }
}

// === impl Options ===

impl Options {
    /// What is published: each side twice, three windows each.
    pub fn full(window: Duration) -> Self {
        Options {
            ours: Span::new(2000, window, 3),
            genuine: Span::new(20_000, Duration::from_secs(5).max(window), 3),
            n_rounds: 2,
            n_repetitions: 5,
            idle: Duration::from_secs(10),
            blocked: Duration::from_secs(10),
            threads: vec![machine::n_cores()],
            topologies: vec![10, 100, 300, 1000],
            is_long: false,
            installed: None,
            only: Only::default(),
        }
    }

    /// More variants, longer watches.
    pub fn long() -> Self {
        Options {
            ours: Span::new(5000, Duration::from_secs(10), 3),
            genuine: Span::new(30_000, Duration::from_secs(10), 3),
            idle: Duration::from_secs(60),
            blocked: Duration::from_secs(60),
            is_long: true,
            ..Options::full(Duration::from_secs(10))
        }
    }

    /// A table within minutes, genuine Storm included.
    pub fn quick() -> Self {
        Options {
            ours: Span::new(1000, Duration::from_secs(1), 3),
            genuine: Span::new(8000, Duration::from_secs(3), 2),
            n_rounds: 1,
            n_repetitions: 3,
            idle: Duration::from_secs(5),
            blocked: Duration::from_secs(3),
            ..Options::full(Duration::from_secs(1))
        }
    }

    /// Only whether everything runs.
    pub fn smoke() -> Self {
        Options {
            ours: Span::new(100, Duration::from_millis(200), 2),
            genuine: Span::new(1000, Duration::from_secs(1), 1),
            n_rounds: 1,
            n_repetitions: 1,
            idle: Duration::from_secs(1),
            blocked: Duration::from_secs(1),
            topologies: vec![2, 4],
            ..Options::full(Duration::from_secs(1))
        }
    }
}

// === impl Span ===

impl Span {
    fn new(warm_up_ms: u64, window: Duration, n_windows: usize) -> Self {
        Span {
            warm_up: Duration::from_millis(warm_up_ms),
            window,
            n_windows,
        }
    }
}

// === impl Figure ===

impl Figure {
    pub fn new<W: Into<Cow<'static, str>>>(
        case: &str,
        (what, unit): (W, &'static str),
        values: Vec<f64>,
    ) -> Self {
        Figure {
            case: case.to_owned(),
            side: None,
            what: what.into(),
            unit,
            values,
            reference: None,
            recorded: None,
            is_headline: false,
            is_better_when_less: false,
        }
    }

    pub fn against(mut self, kind: ReferenceKind, value: f64) -> Self {
        self.is_better_when_less = kind == ReferenceKind::AtMost;
        self.is_headline = true;
        let aim = None;
        self.reference = Some(Reference { kind, value, aim });
        self
    }

    /// Beyond the reference.
    pub fn aiming_at(mut self, aim: f64) -> Self {
        self.reference = self.reference.map(|reference| Reference {
            aim: Some(aim),
            ..reference
        });
        self
    }

    pub fn of(mut self, side: Side) -> Self {
        self.side = Some(side);
        self
    }

    /// What genuine Storm had elsewhere.
    pub fn recorded(mut self, recorded: Option<(f64, f64)>) -> Self {
        self.recorded = recorded;
        self
    }

    /// For the table of what matters most.
    pub fn headline(mut self) -> Self {
        self.is_headline = true;
        self
    }

    pub fn better_when_less(mut self) -> Self {
        self.is_better_when_less = true;
        self
    }

    pub fn is_genuine(&self) -> bool {
        self.side == Some(Side::Genuine)
    }

    /// The middle one; of an even number the mean of the two in the middle. Not a number without
    /// values.
    pub fn median(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[middle],
            _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
        }
    }

    pub fn min(&self) -> f64 {
        self.values.iter().copied().fold(f64::NAN, f64::min)
    }

    pub fn max(&self) -> f64 {
        self.values.iter().copied().fold(f64::NAN, f64::max)
    }
}

// === impl Scratch ===

impl Scratch {
    pub fn new() -> Result<Self> {
        let name = format!("stormwire-bench-{}", uuid::Uuid::new_v4());
        let path = std::env::temp_dir().join(name);
        let made = std::fs::create_dir(&path);
        made.with_context(|| format!("cannot make the directory {}", path.display()))?;
        Ok(Scratch(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        let figure = |values: &[f64]| Figure::new("null", ("rate", "M/s"), values.to_vec());
        assert_eq!(figure(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(figure(&[4.0, 1.0]).median(), 2.5);
        assert!(figure(&[]).median().is_nan());
        assert_eq!(
            (figure(&[3.0, 1.0]).min(), figure(&[3.0, 1.0]).max()),
            (1.0, 3.0)
        );
    }

    #[test]
    fn every_case_goes_by_the_name_that_selects_it() {
        for case in Case::all() {
            assert_eq!(Case::named(case.name()), Some(case));
        }
    }

    #[test]
    fn what_is_wanted_is_chosen_or_made() {
        let names = |only: Only, flow| -> Vec<String> {
            let variants = only.variants(flow, false);
            variants.iter().map(Variant::name).collect()
        };
        let two = Only {
            n_workers: Some(2),
            is_acked: Some(true),
            ..Only::default()
        };
        assert_eq!(
            names(two.clone(), Flow::ConstNull),
            ["const-null, acked, 2 workers"]
        );
        assert_eq!(
            names(two, Flow::WordCount),
            ["word-count, acked, 2 workers"]
        );
        let pending = Only {
            pending: Some(0),
            n_workers: Some(1),
            ..Only::default()
        };
        assert_eq!(
            names(pending, Flow::ConstNull),
            ["const-null, no acks", "const-null, acked, no bound"]
        );
    }
}

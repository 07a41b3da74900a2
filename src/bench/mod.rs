//! The cases of `stormwire bench` and what they measure.
//!
//! Engine cases run in this process, control and cluster cases against real daemons. Prints nothing
//! but progress; `cli::bench` shows the figures. Genuine Storm is not run here.

pub mod cluster;
pub mod components;
pub mod control;
pub mod dev;
pub mod drpc;
pub mod engine;
pub mod fleet;
pub mod histogram;
pub mod machine;
pub mod scale;
pub mod submission;

#[cfg(test)]
mod guards;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

/// What can be measured, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Case {
    /// ConstSpout to NullBolt, no acks.
    Null,
    /// ConstSpout to NullBolt, acked, 5000 pending.
    NullAcked,
    /// ConstSpout to IdBolt to NullBolt, no acks.
    Id,
    /// ConstSpout to IdBolt to NullBolt, acked, 5000 pending.
    IdAcked,
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
    /// Calls to a Nimbus with more and more topologies, whose supervisors and workers report.
    ControlScale,
}

/// How cases run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Before the first window.
    pub warm_up: Duration,
    pub window: Duration,
    pub n_windows: usize,
    /// Repetitions of what happens once: a submit, a death.
    pub n_repetitions: usize,
    /// How long idleness is watched.
    pub idle: Duration,
    /// Numbers of threads of the engine cases.
    pub threads: Vec<usize>,
    /// Numbers of topologies at which the control plane is measured, growing.
    pub topologies: Vec<usize>,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Figure {
    pub case: String,
    pub what: &'static str,
    pub unit: &'static str,
    /// One for each window or repetition.
    pub values: Vec<f64>,
    pub reference: Option<Reference>,
}

/// What a figure is held against.
#[derive(Clone, Copy, Debug)]
pub struct Reference {
    pub kind: ReferenceKind,
    pub value: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceKind {
    /// The most that was measured on two such cores with a bare pipeline of the same tuples.
    Ceiling,
    AtLeast,
    AtMost,
}

/// A directory that goes with its owner.
pub struct Scratch(PathBuf);

/// Runs one case.
pub fn run(case: Case, options: &Options) -> Result<Vec<Figure>> {
    match case {
        Case::Null | Case::NullAcked | Case::Id | Case::IdAcked => {
            let mut figures = Vec::new();
            for n_threads in &options.threads {
                figures.extend(engine::run(case, *n_threads, options)?);
            }
            Ok(figures)
        }
        Case::ClusterInfo => control::cluster_info(options),
        Case::Submit => cluster::submit(options),
        Case::Idle => cluster::idle(options),
        Case::Restart => cluster::restart(options),
        Case::Drpc => drpc::round_trip(options),
        Case::ControlScale => scale::control_scale(options),
    }
}

// === impl Case ===

impl Case {
    pub const ALL: [Case; 10] = [
        Case::Null,
        Case::NullAcked,
        Case::Id,
        Case::IdAcked,
        Case::ClusterInfo,
        Case::Submit,
        Case::Idle,
        Case::Restart,
        Case::Drpc,
        Case::ControlScale,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Case::Null => "null",
            Case::NullAcked => "null-acked",
            Case::Id => "id",
            Case::IdAcked => "id-acked",
            Case::ClusterInfo => "cluster-info",
            Case::Submit => "submit",
            Case::Idle => "idle",
            Case::Restart => "restart",
            Case::Drpc => "drpc",
            Case::ControlScale => "control-scale",
        }
    }
}

// === impl Options ===

impl Options {
    /// What is published: three windows of `window` after two seconds.
    pub fn full(window: Duration) -> Self {
        Options {
            warm_up: Duration::from_secs(2),
            window,
            n_windows: 3,
            n_repetitions: 5,
            idle: Duration::from_secs(10),
            threads: vec![machine::n_cores()],
            topologies: vec![10, 100, 300, 1000],
        }
    }

    /// Only whether everything runs.
    pub fn smoke() -> Self {
        Options {
            warm_up: Duration::from_millis(100),
            window: Duration::from_millis(200),
            n_windows: 2,
            n_repetitions: 1,
            idle: Duration::from_secs(1),
            threads: vec![machine::n_cores()],
            topologies: vec![2, 4],
        }
    }
}

// === impl Figure ===

impl Figure {
    pub fn new(case: &str, (what, unit): (&'static str, &'static str), values: Vec<f64>) -> Self {
        Figure {
            case: case.to_owned(),
            what,
            unit,
            values,
            reference: None,
        }
    }

    pub fn against(mut self, kind: ReferenceKind, value: f64) -> Self {
        self.reference = Some(Reference { kind, value });
        self
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
        for case in Case::ALL {
            let value = clap::ValueEnum::to_possible_value(&case).unwrap();
            assert_eq!(value.get_name(), case.name());
        }
    }
}

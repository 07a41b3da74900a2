//! An engine of a chain of constant components: for the guards, and for what counts instructions.
//!
//! Benchmarks run theirs by `side`.

use std::sync::Arc;

use anyhow::{Context, Result};

use super::components::{self, Tracking};
use crate::component::Factory;
use crate::conf::{Conf, keys};
use crate::id::TopologyId;
use crate::topology::tasks;
use crate::worker::engine::{Engine, EngineOptions};
use crate::worker::program::Program;

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

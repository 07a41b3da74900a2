//! A number of tuples through an engine of one thread, and nothing else: what
//! `interop-tests/test_instructions.py` counts instructions and system calls of, from outside.
//!
//! Measures nothing. Time stands still, so that nothing is done for the passing of it: the same
//! work is done in the same turns, however fast the machine is and whoever else uses it.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use anyhow::{Context, Result, bail};

use super::components::{self, ConstFactory, End, Tracking};
use super::engine;
use super::suite::Flow;
use super::{Case, Only};
use crate::worker::engine::EngineOptions;
use crate::worker::rest::Time;

/// Runs `n_tuples` through the case, which is one of constant tuples.
pub fn run(case: Case, only: &Only, n_tuples: u64) -> Result<()> {
    let bolts: &[&str] = match case {
        Case::Flow(Flow::ConstNull) => &[components::SINK],
        Case::Flow(Flow::ConstIdNull) => &[components::ID, components::SINK],
        other => bail!("{} does not run by a number of tuples", other.name()),
    };
    let tracking = match only.is_acked {
        Some(true) => Tracking::Tracked,
        _ => Tracking::Untracked,
    };
    let (done, is_done) = sync_channel(1);
    let end = Some(End { n_tuples, done });
    let options = EngineOptions {
        time: Time::Simulated(Arc::default()),
        ..EngineOptions::local(1)
    };
    let factory = Arc::new(ConstFactory { tracking, end });
    let engine = engine::start(factory, bolts, tracking, options)?;
    is_done
        .recv()
        .context("the engine ended before its tuples")?;
    // Its end would be counted, too: the process takes it along.
    drop(engine);
    Ok(())
}

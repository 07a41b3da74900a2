//! Spouts and bolts that are built in: what a topology can name instead of bringing code.
//!
//! A file for each. Their names, arguments and outputs stand in `registry`.

pub mod bench;
pub mod count;
pub mod digest;
pub mod event_log;
pub mod file_line;
pub mod file_sink;
pub mod filter;
pub mod ledger;
pub mod pass;
pub mod sample;
pub mod sentence;
pub mod split;
pub mod timer;
pub mod window;

use std::path::PathBuf;

use crate::component::{Collector, TaskContext};
use crate::tuple::Tuple;

/// Acks a tick and says so: bolts that have no use for ticks ask this first.
pub(super) fn is_tick(tuple: &Tuple<'_>, out: &mut Collector<'_>) -> bool {
    let is_tick = tuple.is_tick();
    if is_tick {
        out.ack(tuple);
    }
    is_tick
}

/// A path as a topology gives it: relative ones lie in the jar's `resources`.
fn resource(context: &TaskContext, path: &str) -> PathBuf {
    context.place().code_dir.join("resources").join(path)
}

#[cfg(test)]
mod tests;

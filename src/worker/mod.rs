//! A worker: runs the executors of one slot and moves their tuples.

pub mod emit;
pub mod lane;
pub mod meter;
pub mod queue;
pub mod report;
pub mod timer;
pub mod tracker;

#[cfg(test)]
pub(crate) mod harness;

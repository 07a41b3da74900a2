//! A worker: runs the executors of one slot and moves their tuples.
//!
//! `engine` is the whole without a network; `program` is the topology, `assemble` and `wiring` put
//! the threads (`reactor`) together. What components see of it is `component`.

pub mod ack_counts;
pub mod acking;
pub mod activity;
mod assemble;
pub mod bolt;
pub mod controls;
mod door;
pub mod dump;
pub mod emit;
pub mod engine;
pub mod executor;
mod flow;
mod gateway;
pub mod inbox;
pub mod intake;
pub mod kernel;
pub mod lane;
mod lease;
pub mod loads;
pub mod log_levels;
pub mod meter;
mod nimbus_line;
mod peers;
pub mod pool;
mod process;
pub mod profile;
pub mod program;
pub mod queue;
pub mod reactor;
pub mod report;
pub mod rest;
pub mod route;
pub mod sampler;
pub mod sampling;
pub mod shared;
pub mod spout;
mod sync;
pub mod task;
pub mod timer;
pub mod tracker;
pub mod transfer;
mod turn;
pub mod whereabouts;
pub mod wiring;

pub use lease::EXIT_PAUSED;
pub use process::{EXIT_RESTART, FAILURE_FILE, run};

#[cfg(test)]
pub(crate) mod harness;
#[cfg(test)]
mod tests;

//! Engines in this process, driven by conditions with bounded waits and by simulated time.

mod acking;
mod allocations;
mod flow;
mod groupings;
mod links;
mod restarts;
mod support;

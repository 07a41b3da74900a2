//! Engines in this process, driven by conditions with bounded waits and by simulated time.

mod acking;
mod flow;
mod groupings;
mod links;
mod support;

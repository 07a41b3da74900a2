//! What tests stand on: golden vectors of genuine Storm, a count of allocations.
//!
//! Nothing here runs in a daemon.

#[cfg(test)]
pub mod allocations;
#[cfg(test)]
pub mod fixtures;
#[cfg(test)]
pub mod typed;

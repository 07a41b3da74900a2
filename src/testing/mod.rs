//! What tests stand on: clusters of real processes, seeded faults, golden vectors of genuine Storm,
//! a count of allocations.
//!
//! Nothing here runs in a daemon.

pub mod cluster;
pub mod figures;
pub mod fuzz;
pub mod ledger;
pub mod nemesis;

#[cfg(test)]
pub mod allocations;
#[cfg(test)]
pub mod fixtures;
#[cfg(test)]
pub mod log;
#[cfg(test)]
pub mod replay;
#[cfg(test)]
pub mod thrift_json;
#[cfg(test)]
pub mod typed;

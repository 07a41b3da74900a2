//! What tests stand on: golden vectors of genuine Storm.
//!
//! Nothing here runs in a daemon.

#[cfg(test)]
pub mod fixtures;

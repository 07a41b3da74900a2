//! The data plane's connections between workers of one topology.
//!
//! Batches and ack records in, bytes out, and back. Each ordered pair of workers has one
//! connection, on which tuples and acks go one way and credits the other. Runs no executors: what
//! arrives goes to an `Intake`, what leaves lies in outboxes.

pub mod acks;
pub mod client;
pub mod codec;
pub mod compress;
pub mod credit;
pub mod decode;
pub mod fence;
pub mod frame;
pub mod gauge;
pub mod link;
pub mod numbers;
pub mod outbox;
pub mod packed;
pub mod packed_record;
pub mod packing;
pub mod pays;
pub mod peer_packing;
pub mod receiving;
pub mod sending;
pub mod server;
pub mod transport;

#[cfg(test)]
mod tests;

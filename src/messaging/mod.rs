//! The data plane's connections between workers of one topology.
//!
//! Batches and ack records in, bytes out, and back. Each ordered pair of workers has two
//! connections, one for data and one for acks, so that acks never wait behind data. Knows no
//! executors: what arrives goes to an `Intake`, what leaves lies in outboxes.

pub mod acks;
pub mod client;
pub mod codec;
pub mod decode;
pub mod frame;
pub mod gauge;
pub mod link;
pub mod outbox;
pub mod packed;
pub mod server;
pub mod transport;

#[cfg(test)]
mod tests;

//! Shell components: spouts and bolts that are child processes and speak the multilang protocol.
//!
//! `bolt` and `spout` live with their executors and never wait; `attend` starts, watches and ends a
//! child, `pipes` reads and writes it; `link` is what the two sides share. The messages themselves
//! are `multilang`'s.

mod attend;
mod bolt;
mod context;
mod death;
mod envelopes;
mod held;
mod keeper;
mod link;
mod liveness;
mod outbox;
mod pace;
mod pipes;
mod process;
mod report;
mod restart;
mod settings;
mod spout;
mod stderr;
mod turns;

pub use bolt::ShellBolt;
pub use settings::serializer;
pub use spout::ShellSpout;

#[cfg(test)]
mod tests;

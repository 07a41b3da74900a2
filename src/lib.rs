//! Stormwire: Apache Storm's daemons in Rust, speaking Storm's Thrift protocols.
//!
//! To write a topology, begin with [`prelude`], [`builder::TopologyBuilder`] and
//! [`program::main`]; the README has a first one, and `examples/` some more.
//!
//! The modules stand in reading order, which is also the order of the layers: each may import its
//! own layer and lower ones. `src/README.md` is the map.

// L1 ground
pub mod allocations;
pub mod backoff;
pub mod clock;
pub mod conf;
pub mod id;
pub mod limits;
pub mod log_file;
pub mod partition;
mod percent;
pub mod ports;
pub mod process;
pub mod version;

// L2 wire
pub mod auth;
pub mod http;
pub mod rpc;
pub mod wire;

// L3 model
pub mod acker;
pub mod grouping;
pub mod scheduler;
pub mod stats;
pub mod topology;
pub mod tuple;
pub mod window;

// L4 the outside
pub mod blob;
pub mod cluster;
pub mod messaging;

// L5 execution
pub mod builder;
pub mod component;
pub mod worker;

// L6 daemons
pub mod drpc;
pub mod logviewer;
pub mod nimbus;
pub mod supervisor;
pub mod ui;

// L7 surface
pub mod bench;
pub mod cli;
pub mod flux;
pub mod prelude;
pub mod testing;
#[cfg(test)]
mod tidy;

pub use cli::program;

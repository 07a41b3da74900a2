//! The cluster's shared state: typed records over a `Store`.
//!
//! Holds no rules about topologies; it only names, encodes and keeps what Nimbus decides.

mod embedded;
mod embedded_file;
mod embedded_thread;
mod memory;
pub mod path;
mod state;
mod store;
mod watches;

pub use embedded::{EmbeddedStore, OpenError};
pub use memory::MemoryStore;
pub use state::{Batch, ClusterState, LINK_AUTHORITY, Stored, StoredKey, StoredTopology};
pub use store::{Change, Entry, Epoch, Expected, Pending, Store, StoreError, Version, Write};

//! Components in processes of their own: a *peer* of any language connects to the worker over
//! Thrift, holds tasks of a component that the topology declares as `stormwire.GatewaySpout` or
//! `stormwire.GatewayBolt`, and says what Storm's collectors say.
//!
//! To the engine `spout` and `bolt` are ordinary components. Each component has a *desk* in each
//! worker (`desk`: one state machine, pure), where its tasks have a *post* and its peers a session;
//! the *hall* has all desks of a worker, and lets calls wait. Sockets are `worker::gateway`'s.

pub mod bolt;
mod desk;
mod division;
mod emission;
pub mod hall;
mod handle;
mod post;
mod receipts;
mod run;
mod settings;
pub mod spout;
mod value;

#[cfg(test)]
mod tests;

pub use bolt::GatewayBolt;
pub use spout::GatewaySpout;

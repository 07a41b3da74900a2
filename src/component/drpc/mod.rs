//! The built-in components of DRPC topologies, under Storm's class names (control-plane 10.3): the
//! spout that takes requests, what joins requests and results, and the bolt that returns results.
//!
//! `fetch` and `answer` talk to DRPC servers; they run on the worker's runtime and never in an
//! executor's turn. The server is the daemon's (`crate::drpc`).

pub mod access;
pub mod answer;
pub mod coordinated;
pub mod fetch;
pub mod join_result;
pub mod prepare_request;
pub mod reach;
pub mod return_results;
pub mod sample;
pub mod spout;
pub mod tracking;

#[cfg(test)]
mod tests;

use serde_json::{Value as Json, json};

use crate::component::{ComponentFailure, Result, TaskContext};
use crate::rpc::client::Address;
use crate::tuple::{Value, ValueRef};

/// Where the result of a request goes: what a DRPC spout emits as JSON beside the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnInfo {
    pub id: String,
    pub server: Address,
}

/// A request's id within a topology, as the key of a map. Whole numbers of all widths are the same:
/// JSON has but one kind, so a shell component may change it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RequestKey {
    Whole(i64),
    Other(Value),
}

// === impl ReturnInfo ===

impl ReturnInfo {
    pub fn to_json(&self) -> String {
        let Address { host, port } = &self.server;
        json!({ "id": self.id, "host": host, "port": port }).to_string()
    }

    /// Reads what `to_json` or Storm's spout wrote.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = |what: &str| ComponentFailure::new(format!("return info {what}: {text}"));
        let info: Json = serde_json::from_str(text).map_err(|_| refused("is no JSON"))?;
        let text_of = |key: &str| info[key].as_str().map(str::to_owned);
        let port = match &info["port"] {
            Json::String(port) => port.parse().ok(),
            port => port.as_u64().and_then(|port| u16::try_from(port).ok()),
        };
        Ok(ReturnInfo {
            id: text_of("id").ok_or_else(|| refused("has no id"))?,
            server: Address {
                host: text_of("host").ok_or_else(|| refused("has no host"))?,
                port: port.ok_or_else(|| refused("has no port"))?,
            },
        })
    }
}

// === impl RequestKey ===

impl From<ValueRef<'_>> for RequestKey {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Byte(v) => RequestKey::Whole(v.into()),
            ValueRef::Short(v) => RequestKey::Whole(v.into()),
            ValueRef::Int(v) => RequestKey::Whole(v.into()),
            ValueRef::Long(v) => RequestKey::Whole(v),
            other => RequestKey::Other(other.to_value()),
        }
    }
}

fn runtime(context: &TaskContext) -> Result<tokio::runtime::Handle> {
    let runtime = context.place().runtime.clone();
    runtime.ok_or_else(|| {
        ComponentFailure::new("DRPC components need a worker with a runtime for sockets")
    })
}

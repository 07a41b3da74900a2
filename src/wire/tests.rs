//! The generated types and what they stand on, against recorded traffic, hostile bytes and a model.

#[path = "../../thrift/emit.rs"]
mod emit;
#[path = "../../thrift/idl.rs"]
pub(crate) mod idl;

mod bombs;
mod generator;
mod properties;
mod recorded;
mod schema;
mod services;
mod values;
mod widths;

use bytes::Bytes;

use super::messages::{self, coordination, drpc_spouts};
use super::storm::{self, distributed_rpc, distributed_rpc_invocations, nimbus, supervisor};
use super::{Method, WireError, recode};

/// Every service: its file, its name and its methods.
static SERVICES: [(&str, &str, &[Method]); 6] = [
    ("storm", "Nimbus", nimbus::METHODS),
    ("storm", "Supervisor", supervisor::METHODS),
    ("storm", "DistributedRPC", distributed_rpc::METHODS),
    (
        "storm",
        "DistributedRPCInvocations",
        distributed_rpc_invocations::METHODS,
    ),
    ("messages", "Coordination", coordination::METHODS),
    ("messages", "DrpcSpouts", drpc_spouts::METHODS),
];

/// Reads and writes again.
type Recode = fn(&[u8]) -> Result<Bytes, WireError>;

/// Structs that travel or rest outside of calls: their file, name and reader.
static RECORDS: [(&str, &str, Recode); 12] = [
    ("messages", "Frame", recode::<messages::Frame>),
    ("messages", "Message", recode::<messages::Message>),
    ("messages", "Value", recode::<messages::Value>),
    ("messages", "WorkerLaunch", recode::<messages::WorkerLaunch>),
    (
        "messages",
        "ProcessRecord",
        recode::<messages::ProcessRecord>,
    ),
    (
        "messages",
        "AssignmentRecord",
        recode::<messages::AssignmentRecord>,
    ),
    ("storm", "StormTopology", recode::<storm::StormTopology>),
    ("storm", "StormBase", recode::<storm::StormBase>),
    (
        "storm",
        "ClusterWorkerHeartbeat",
        recode::<storm::ClusterWorkerHeartbeat>,
    ),
    (
        "storm",
        "LSWorkerHeartbeat",
        recode::<storm::LSWorkerHeartbeat>,
    ),
    (
        "storm",
        "LSSupervisorAssignments",
        recode::<storm::LSSupervisorAssignments>,
    ),
    ("storm", "WorkerToken", recode::<storm::WorkerToken>),
];

/// A length or count as the wire has it.
fn i32_bytes(value: usize) -> [u8; 4] {
    i32::try_from(value).unwrap().to_be_bytes()
}

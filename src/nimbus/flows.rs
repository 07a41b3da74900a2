//! What flows between the workers of a topology and where it is held up: our service beside Storm's
//! on Nimbus's port, for which no struct of Storm's has a place.
//!
//! Knows what workers reported last, and adds nothing up.

use super::fault::Fault;
use super::service::NimbusService;
use crate::auth::Operation;
use crate::rpc::{Caller, Failure};
use crate::wire::messages::WorkerFlow;
use crate::wire::messages::topology_flows::{self, TopologyFlowError};
use crate::wire::storm::{AuthorizationException, NotAliveException};

impl topology_flows::Service for NimbusService {
    async fn topology_flow(
        &self,
        caller: &Caller,
        topology: Option<String>,
    ) -> Result<Vec<WorkerFlow>, TopologyFlowError> {
        let topology = self
            .permit_by_name(caller, Operation::TopologyFlow, topology.as_deref())
            .await?;
        Ok(self.leader.beats().flows(&topology.id))
    }
}

impl From<Fault> for TopologyFlowError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Denied(msg) => AuthorizationException { msg }.into(),
            Fault::NotAlive(msg) => NotAliveException { msg }.into(),
            other => Failure::Internal(other.to_string()).into(),
        }
    }
}

//! Storm's Supervisor service.
//!
//! A push of assignments is only a nudge: the supervisor asks Nimbus at once. So there is one
//! source of truth, and a push that comes late or from an old leader cannot undo what a pull said.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use super::layout::Layout;
use crate::auth::{Gate, Operation, Refused, Target};
use crate::id::TopologyId;
use crate::limits;
use crate::rpc::{Caller, Failure};
use crate::wire::messages::SupervisorDirective;
use crate::wire::stored;
use crate::wire::storm::supervisor::{
    GetLocalAssignmentForStormError, SendSupervisorAssignmentsError,
    SendSupervisorWorkerHeartbeatError, Service,
};
use crate::wire::storm::{
    Assignment, AuthorizationException, NotAliveException, SupervisorAssignments,
    SupervisorWorkerHeartbeat,
};

/// What the service and the supervisor's core share.
#[derive(Default)]
pub struct Shared {
    /// Nimbus's last word.
    pub directive: ArcSwapOption<SupervisorDirective>,
    /// Fires when Nimbus pushed.
    pub nudged: Notify,
}

/// The service.
pub struct SupervisorService {
    pub shared: Arc<Shared>,
    pub layout: Layout,
    /// What texts call this supervisor, as Storm's do.
    pub host: String,
    pub gate: Gate,
}

// === impl SupervisorService ===

impl SupervisorService {
    /// Whether the caller may, by the topology's conf if that is here.
    async fn permit(
        &self,
        caller: &Caller,
        operation: Operation,
        id: &str,
    ) -> Result<(), AuthorizationException> {
        let code = self.layout.code(&TopologyId::from(id));
        let stored = tokio::fs::read(code.join("stormconf.ser")).await.ok();
        let conf = stored.and_then(|stored| stored::unpack_conf(&stored).ok());
        let target = match &conf {
            Some(conf) => Target::Topology { name: id, conf },
            None => Target::Named(id),
        };
        let permitted = self.gate.permit(caller, operation, target).await;
        permitted.map_err(denied)
    }
}

fn denied(refused: Refused) -> AuthorizationException {
    let msg = short(refused.to_string());
    AuthorizationException { msg }
}

impl Service for SupervisorService {
    async fn send_supervisor_assignments(
        &self,
        caller: &Caller,
        _: Option<SupervisorAssignments>,
    ) -> Result<(), SendSupervisorAssignmentsError> {
        let operation = Operation::SendSupervisorAssignments;
        let permitted = self.gate.permit(caller, operation, Target::Cluster).await;
        permitted.map_err(denied)?;
        self.shared.nudged.notify_one();
        Ok(())
    }

    async fn get_local_assignment_for_storm(
        &self,
        caller: &Caller,
        id: Option<String>,
    ) -> Result<Assignment, GetLocalAssignmentForStormError> {
        let id = id.ok_or_else(|| Failure::Internal("`id` is null".to_owned()))?;
        self.permit(caller, Operation::GetLocalAssignmentForStorm, &id)
            .await?;
        let directive = self.shared.directive.load();
        let work = directive
            .as_ref()
            .and_then(|directive| directive.topologies.get(&id));
        match work {
            Some(work) => Ok(work.assignment.clone()),
            None => {
                let (id, host) = (short(id), &self.host);
                let msg = format!("No local assignment assigned for storm: {id} for node: {host}");
                Err(NotAliveException { msg }.into())
            }
        }
    }

    /// A worker asks here whether its topology still has business on this machine. That it lives
    /// its supervisor sees elsewhere: by its process, its file and its reports to Nimbus.
    async fn send_supervisor_worker_heartbeat(
        &self,
        caller: &Caller,
        heartbeat: Option<SupervisorWorkerHeartbeat>,
    ) -> Result<(), SendSupervisorWorkerHeartbeatError> {
        let heartbeat =
            heartbeat.ok_or_else(|| Failure::Internal("`heartbeat` is null".to_owned()))?;
        let id = heartbeat.storm_id;
        let code = self.layout.code(&TopologyId::from(id.as_str()));
        let is_here = tokio::fs::try_exists(code.join("stormconf.ser")).await;
        if is_here.unwrap_or(false) {
            let operation = Operation::SendLocalWorkerHeartbeat;
            return Ok(self.permit(caller, operation, &id).await?);
        }
        let id = short(id);
        let text = format!("{id} does not appear to be alive, you should probably exit");
        Err(Failure::Internal(text).into())
    }
}

/// Keeps a reply from growing with the id that it quotes.
fn short(mut id: String) -> String {
    id.truncate(id.floor_char_boundary(limits::TOPOLOGY_ID_BYTES_MAX));
    id
}

#[cfg(test)]
mod tests;

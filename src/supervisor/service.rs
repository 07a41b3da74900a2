//! Storm's Supervisor service, as far as our daemons need it.
//!
//! A push of assignments is only a nudge: the supervisor asks Nimbus at once. So there is one
//! source of truth, and a push that comes late or from an old leader cannot undo what a pull said.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use crate::id::NodeId;
use crate::rpc::Caller;
use crate::wire::messages::SupervisorDirective;
use crate::wire::storm::supervisor::{
    GetLocalAssignmentForStormError, SendSupervisorAssignmentsError, Service,
};
use crate::wire::storm::{Assignment, NotAliveException, SupervisorAssignments};

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
    pub node: NodeId,
}

impl Service for SupervisorService {
    async fn send_supervisor_assignments(
        &self,
        _: &Caller,
        _: Option<SupervisorAssignments>,
    ) -> Result<(), SendSupervisorAssignmentsError> {
        self.shared.nudged.notify_one();
        Ok(())
    }

    async fn get_local_assignment_for_storm(
        &self,
        _: &Caller,
        id: Option<String>,
    ) -> Result<Assignment, GetLocalAssignmentForStormError> {
        let id = id.unwrap_or_default();
        let directive = self.shared.directive.load();
        let work = directive
            .as_ref()
            .and_then(|directive| directive.topologies.get(&id));
        match work {
            Some(work) => Ok(work.assignment.clone()),
            None => {
                let node = &self.node;
                let msg = format!("No local assignment assigned for storm: {id} for node: {node}");
                Err(NotAliveException { msg }.into())
            }
        }
    }
}

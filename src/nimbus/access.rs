//! What Nimbus asks its gate before each call, and who submits: the first line of every method.
//!
//! The rules are `auth`'s. A topology is looked up before its rules are asked: an unknown one is
//! not alive for everybody (control-plane 3.1).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::blobs::{self, BlobClient};
use super::fault::Fault;
use super::history::Viewer;
use super::leader::Leader;
use super::service::NimbusService;
use super::state::Topology;
use super::submit::Submitter;
use crate::auth::{Operation, Rank, Target};
use crate::conf::{Conf, keys};
use crate::id::TopologyId;
use crate::rpc::Caller;

// === impl NimbusService ===

impl NimbusService {
    /// For calls about the cluster, blobs and files.
    pub(super) async fn permit(&self, caller: &Caller, operation: Operation) -> Result<(), Fault> {
        let gate = &self.leader.gate;
        Ok(gate.permit(caller, operation, Target::Cluster).await?)
    }

    /// For calls that name a topology and need no rights on it.
    pub(super) async fn permit_named(
        &self,
        caller: &Caller,
        operation: Operation,
        name: Option<&str>,
    ) -> Result<(), Fault> {
        let target = name.map_or(Target::Cluster, Target::Named);
        Ok(self.leader.gate.permit(caller, operation, target).await?)
    }

    /// For calls on a topology; it is not alive, or the caller may do this to it.
    pub(super) async fn permit_by_name(
        &self,
        caller: &Caller,
        operation: Operation,
        name: Option<&str>,
    ) -> Result<Arc<Topology>, Fault> {
        let topology = Arc::clone(self.info().by_name(name)?);
        permit_topology(&self.leader, caller, operation, &topology).await?;
        Ok(topology)
    }

    /// As `permit_by_name`, by its id.
    pub(super) async fn permit_by_id(
        &self,
        caller: &Caller,
        operation: Operation,
        id: Option<&str>,
    ) -> Result<Arc<Topology>, Fault> {
        let topology = Arc::clone(self.info().by_id(id)?);
        permit_topology(&self.leader, caller, operation, &topology).await?;
        Ok(topology)
    }

    /// Somebody of that name, for whom somebody asks.
    pub(super) async fn viewer(&self, user: String) -> Viewer {
        let groups = self.leader.gate.identities().groups(&user).await;
        Viewer {
            groups: groups.iter().cloned().collect(),
            user,
        }
    }

    /// Topologies that the caller may look at.
    pub(super) async fn visible(&self, caller: &Caller) -> BTreeSet<TopologyId> {
        let mut visible = BTreeSet::new();
        for (id, topology) in &self.leader.state().topologies {
            let permitted = permit_topology(&self.leader, caller, Operation::GetTopology, topology);
            if permitted.await.is_ok() {
                visible.insert(id.clone());
            }
        }
        visible
    }

    /// What a caller is to blobs.
    pub(super) async fn blob_client(&self, caller: &Caller) -> BlobClient {
        let rank = self.leader.gate.rank(caller).await;
        let to_user = |principal: &str| self.leader.gate.identities().user(principal);
        let user = caller.principal.as_deref().map(to_user);
        BlobClient {
            visitor: blobs::visitor(&self.leader, rank, user.clone()),
            owner: caller.principal.clone(),
            user,
        }
    }

    /// Whose history a caller is shown: where there are rules, only admins see that of others or of
    /// everybody. Storm believes whatever name it is told (control-plane 3.3).
    pub(super) async fn history_of(&self, caller: &Caller, user: Option<String>) -> Option<String> {
        let gate = &self.leader.gate;
        let is_free = !gate.has_rules() || gate.rank(caller).await == Rank::Admin;
        match &caller.principal {
            Some(principal) if !is_free => Some(gate.identities().user(principal)),
            _ => user,
        }
    }

    /// Whose topology a submission makes.
    pub(super) fn submitter(&self, caller: &Caller) -> Submitter {
        let to_user = |principal: &str| self.leader.gate.identities().user(principal);
        Submitter::new(caller.principal.as_deref().map(to_user))
    }
}

/// Whether the caller may do this to the topology.
pub(super) async fn permit_topology(
    leader: &Leader,
    caller: &Caller,
    operation: Operation,
    topology: &Topology,
) -> Result<(), Fault> {
    let damaged;
    let conf = match &topology.plan {
        Some(plan) => &plan.conf,
        // Its conf cannot be read: whoever submitted it can still end it.
        None => {
            let owners = [&topology.base.owner, &topology.base.principal];
            let owners = owners.into_iter().flatten().cloned();
            let owners: Vec<_> = owners.filter(|owner| !owner.is_empty()).collect();
            damaged = Conf::new()
                .with(keys::TOPOLOGY_USERS, owners)
                .with(keys::STORM_ID, topology.id.as_str());
            &damaged
        }
    };
    let name = topology.name();
    let target = Target::Topology { name, conf };
    Ok(leader.gate.permit(caller, operation, target).await?)
}

//! Storm's push: tells supervisors of new assignments by a call of theirs.
//!
//! Only makes them faster: a push that fails is logged and forgotten, since each supervisor also
//! asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::beats::SupervisorBeat;
use super::leader::Leader;
use crate::auth::door::Key;
use crate::id::NodeId;
use crate::limits;
use crate::rpc::client::{Address, ClientOptions, Connection};
use crate::wire::storm::{SupervisorAssignments, supervisor};

/// Pushes on their way; dropping it ends them.
pub(crate) struct Pushes {
    permits: Arc<Semaphore>,
    tasks: JoinSet<()>,
}

// === impl Pushes ===

impl Default for Pushes {
    fn default() -> Self {
        Pushes {
            permits: Arc::new(Semaphore::new(limits::PUSHES_MAX)),
            tasks: JoinSet::new(),
        }
    }
}

impl Pushes {
    /// Sends each node the assignments that name its host. Returns at once.
    pub fn push(
        &mut self,
        leader: &Leader,
        supervisors: &BTreeMap<NodeId, SupervisorBeat>,
        nodes: &BTreeSet<NodeId>,
    ) {
        while self.tasks.try_join_next().is_some() {}
        for node in nodes {
            let info = supervisors.get(node).map(|beat| &beat.info);
            let port = info.and_then(|info| u16::try_from(info.server_port?).ok());
            let (Some(info), Some(port)) = (info, port.filter(|port| *port > 0)) else {
                continue;
            };
            // Beyond this, so many supervisors do not answer that asking must do.
            if self.tasks.len() >= limits::PUSHES_WAITING_MAX {
                return;
            }
            let address = Address::new(&info.hostname, port);
            let assignments = for_host(leader, &info.hostname);
            let permits = Arc::clone(&self.permits);
            let key = leader.supervisor_key.clone();
            self.tasks.spawn(async move {
                // The semaphore is never closed.
                let Ok(_permit) = permits.acquire().await else {
                    return;
                };
                let pushed = tokio::time::timeout(PUSH_WAIT_MAX, send(&address, key, &assignments));
                match pushed.await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(%address, error, "a push failed"),
                    Err(_) => tracing::debug!(%address, "a push took too long"),
                }
            });
        }
    }
}

fn for_host(leader: &Leader, host: &str) -> SupervisorAssignments {
    let state = leader.state();
    let assignments = state.topologies.iter().filter_map(|(id, topology)| {
        let assignment = topology.assigned.as_ref()?.assignment();
        let mut hosts = assignment.node_host.iter().flatten();
        let concerns = hosts.any(|(_, of_node)| of_node == host);
        concerns.then(|| (id.as_str().to_owned(), assignment.clone()))
    });
    SupervisorAssignments {
        storm_assignment: Some(assignments.collect()),
    }
}

async fn send(
    address: &Address,
    key: Key,
    assignments: &SupervisorAssignments,
) -> Result<(), String> {
    let options = ClientOptions {
        connect_wait_max: PUSH_WAIT_MAX,
        call_wait_max: PUSH_WAIT_MAX,
        key,
        ..ClientOptions::default()
    };
    let connection = Connection::open(address, &options).await;
    let mut client = supervisor::Client::new(connection.map_err(|error| error.to_string())?);
    let sent = client.send_supervisor_assignments(Some(assignments)).await;
    sent.map_err(|error| error.to_string())
}

const PUSH_WAIT_MAX: Duration = Duration::from_secs(5);

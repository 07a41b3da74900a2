//! Steering topologies: kill, activate, deactivate, and the steps that follow by themselves.
//!
//! Which event changes what is in `transition`; here it reaches the store, the workers and the
//! blobs.

use std::sync::Arc;
use std::time::Duration;

use super::blobs;
use super::fault::Fault;
use super::leader::{ChangeError, Edit, Leader};
use super::state::{State, Topology};
use super::submit::remove_blobs;
use super::transition::{Event, Lifecycle, Reaction, Step};
use crate::clock;
use crate::conf::keys;
use crate::id::TopologyId;
use crate::wire::messages::DeadlineRecord;
use crate::wire::storm::{KillOptions, TopologyActionOptions};

/// What a client asks of a topology.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Activate,
    Deactivate,
    /// After so many seconds, else after its message timeout.
    Kill {
        wait_secs: Option<i32>,
    },
}

/// Carries out an order on the topology of that name; on disk when this returns.
pub(crate) async fn order(leader: Arc<Leader>, name: String, order: Order) -> Result<(), Fault> {
    let now_ms = clock::monotonic_millis();
    leader
        .change(|state| {
            let topology = state
                .by_name(&name)
                .ok_or_else(|| Fault::NotAlive(format!("{name} is not alive")))?;
            let event = order.event(topology);
            let reaction = topology
                .lifecycle
                .handle_event(event, now_ms, topology.id.as_str())?;
            match reaction {
                Reaction::Unchanged => Ok((Edit::default(), ())),
                Reaction::Changed(lifecycle) => {
                    tracing::info!(topology = %topology.id, status = ?lifecycle.status(), "status");
                    Ok((changed(topology, lifecycle, now_ms)?, ()))
                }
            }
        })
        .await
}

/// Carries out what is due, when it is due, until Nimbus stops.
pub(crate) async fn run_due(leader: Arc<Leader>) {
    let mut stop = leader.stopping();
    loop {
        let now_ms = clock::monotonic_millis();
        let mut wait = None;
        for topology in leader.state().topologies.values() {
            match topology.lifecycle.poll_step(now_ms) {
                Some(Step::Remove) => {
                    if let Err(error) = remove(&leader, &topology.id).await {
                        tracing::error!(topology = %topology.id, %error, "could not be removed");
                        wait = Some(RETRY);
                    }
                }
                None => {
                    let due = topology.lifecycle.due();
                    let left =
                        due.map(|due| Duration::from_millis(due.at_ms.saturating_sub(now_ms)));
                    wait = wait.into_iter().chain(left).min();
                }
            }
        }
        tokio::select! {
            _ = stop.wait_for(|stopped| *stopped) => return,
            () = leader.due_changed.notified() => {}
            () = tokio::time::sleep(wait.unwrap_or(IDLE)) => {}
        }
    }
}

fn changed(topology: &Topology, lifecycle: Lifecycle, now_ms: u64) -> Result<Edit, ChangeError> {
    let mut edit = Edit::default();
    let mut base = topology.base.clone();
    base.status = lifecycle.status().into();
    if let Some(due) = lifecycle.due() {
        let secs = i32::try_from(due.delay_ms / 1000).unwrap_or(i32::MAX);
        let options = KillOptions {
            wait_secs: Some(secs),
        };
        base.topology_action_options = Some(TopologyActionOptions::KillOptions(options));
        let left_ms = due.at_ms.saturating_sub(now_ms);
        let deadline = DeadlineRecord {
            due_ms: clock::wall_millis().saturating_add_unsigned(left_ms),
            delay_ms: i64::try_from(due.delay_ms).unwrap_or(i64::MAX),
        };
        edit.batch.deadline(&topology.id, &deadline)?;
    }
    edit.batch.base(&topology.id, &base)?;
    let topology = Topology {
        base,
        lifecycle,
        ..topology.clone()
    };
    edit.topologies
        .push((topology.id.clone(), Some(Arc::new(topology))));
    Ok(edit)
}

/// Ends a topology: its records first, so that its blobs are never missed.
async fn remove(leader: &Arc<Leader>, id: &TopologyId) -> Result<(), ChangeError> {
    let now_ms = clock::monotonic_millis();
    let decide = |state: &State| {
        let is_due = |topology: &&Arc<Topology>| topology.lifecycle.poll_step(now_ms).is_some();
        let mut edit = Edit::default();
        // A second kill may have put it off meanwhile.
        let found = state.topologies.get(id).filter(is_due).cloned();
        if found.is_some() {
            edit.batch.remove_topology(id);
            edit.topologies.push((id.clone(), None));
        }
        Ok::<_, ChangeError>((edit, found))
    };
    if let Some(gone) = leader.change(decide).await? {
        tracing::info!(topology = %id, "removed");
        let removing = Arc::clone(leader);
        let removed = tokio::task::spawn_blocking(move || {
            blobs::remove_dependencies(&removing, &gone);
            remove_blobs(&removing, &gone.id);
        });
        if let Err(error) = removed.await {
            tracing::error!(%error, "blobs stay until the next start");
        }
        leader.schedule_soon.notify_one();
    }
    Ok(())
}

// === impl Order ===

impl Order {
    fn event(self, topology: &Topology) -> Event {
        match self {
            Order::Activate => Event::Activate,
            Order::Deactivate => Event::Inactivate,
            Order::Kill { wait_secs } => {
                let own = || {
                    let plan = topology.plan.as_ref()?;
                    plan.conf.secs(keys::TOPOLOGY_MESSAGE_TIMEOUT_SECS).ok()
                };
                let given = wait_secs.map(|secs| u64::try_from(secs).unwrap_or(0));
                let delay = given.map(Duration::from_secs).or_else(own);
                Event::Kill {
                    delay: delay.unwrap_or(MESSAGE_TIMEOUT),
                }
            }
        }
    }
}

/// Between attempts at a step that could not be saved.
const RETRY: Duration = Duration::from_secs(1);
/// Nothing is due: a change wakes us.
const IDLE: Duration = Duration::from_secs(3600);
/// Storm's default, for topologies whose conf cannot be read.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);

//! Steering topologies: kill, activate, deactivate, rebalance, and the steps that follow by
//! themselves.
//!
//! Which event changes what is in `transition`, what a rebalance comes to in `rebalance`; here it
//! reaches the store, the workers and the blobs.

use std::sync::Arc;
use std::time::Duration;

use super::blobs;
use super::fault::Fault;
use super::history;
use super::leader::{ChangeError, Edit, Leader};
use super::rebalance::{self, Asker};
use super::state::{Assigned, State, Topology};
use super::submit::remove_blobs;
use super::transition::{Event, Flow, Lifecycle, Reaction, Step};
use crate::clock;
use crate::conf::keys;
use crate::id::TopologyId;
use crate::wire::messages::DeadlineRecord;
use crate::wire::storm::{KillOptions, RebalanceOptions, TopologyActionOptions, TopologyStatus};

/// What a client asks of a topology.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    Activate,
    Deactivate,
    /// After so many seconds, else after its message timeout.
    Kill {
        wait_secs: Option<i32>,
    },
    /// The delay is as that of a kill. `by` whom is known until the options are checked.
    Rebalance {
        options: Box<RebalanceOptions>,
        by: Option<Box<Asker>>,
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
            // Bad options are refused whatever the status, as in Storm.
            let order = order.checked(&leader, topology)?;
            let event = order.event(topology);
            let reaction = topology
                .lifecycle
                .handle_event(event, now_ms, topology.id.as_str())?;
            match reaction {
                Reaction::Unchanged => Ok((Edit::default(), ())),
                Reaction::Changed(lifecycle) => {
                    tracing::info!(topology = %topology.id, status = ?lifecycle.status(), "status");
                    let is_kill = matches!(order, Order::Kill { .. });
                    let options = order.options(&lifecycle);
                    let mut edit = changed(topology, lifecycle, options, now_ms)?;
                    if is_kill {
                        history::note(&mut edit, topology)?;
                    }
                    Ok((edit, ()))
                }
            }
        })
        .await
}

/// Carries out what is due, when it is due, until Nimbus stops.
pub(crate) async fn run_due(leader: Arc<Leader>) {
    let mut stop = leader.stopping();
    loop {
        let mut wait = None;
        for topology in leader.state().topologies.values() {
            let next = match take_step(&leader, topology).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(topology = %topology.id, %error, "a step could not be saved");
                    Some(RETRY)
                }
            };
            wait = wait.into_iter().chain(next).min();
        }
        tokio::select! {
            _ = stop.wait_for(|stopped| *stopped) => return,
            () = leader.due_changed.notified() => {}
            () = tokio::time::sleep(wait.unwrap_or(IDLE)) => {}
        }
    }
}

/// Does what is due of one topology; says when to look at it again.
async fn take_step(
    leader: &Arc<Leader>,
    topology: &Arc<Topology>,
) -> Result<Option<Duration>, ChangeError> {
    let now_ms = clock::monotonic_millis();
    let lifecycle = &topology.lifecycle;
    let flow = match lifecycle.is_draining() {
        true => leader.stillness().flow(&topology.id, now_ms),
        false => Flow::Still,
    };
    match lifecycle.poll_step(now_ms, flow) {
        Some(Step::Remove) => remove(leader, &topology.id).await?,
        Some(Step::Drain) => advance(leader, topology, lifecycle.draining(now_ms)).await?,
        Some(Step::Place) => {
            if flow == Flow::Moving {
                tracing::warn!(topology = %topology.id, "rebalanced with tuples under way");
            }
            advance(leader, topology, lifecycle.placing()).await?;
            leader.schedule_soon.notify_one();
        }
        None => {}
    }
    let is_settling = settle(leader, topology, now_ms).await?;
    let left_ms = lifecycle
        .look_ms()
        .map(|at_ms| at_ms.saturating_sub(now_ms));
    let left = left_ms.map(Duration::from_millis);
    let is_watched = is_settling || lifecycle.is_draining();
    Ok(left.into_iter().chain(is_watched.then_some(LOOK)).min())
}

/// Notes how far a rebalance has come; on disk there is nothing new.
async fn advance(
    leader: &Arc<Leader>,
    seen: &Arc<Topology>,
    lifecycle: Lifecycle,
) -> Result<(), ChangeError> {
    let decide = |state: &State| {
        let mut edit = Edit::default();
        // A kill may have come meanwhile.
        if state
            .topologies
            .get(&seen.id)
            .is_some_and(|now| now.lifecycle == seen.lifecycle)
        {
            replace(&mut edit, state, &seen.id, |topology| {
                topology.lifecycle = lifecycle
            });
        }
        Ok((edit, ()))
    };
    leader.change(decide).await
}

/// Lets the spouts of a topology go on once all its workers follow its new assignment. False when
/// there is nothing to wait for any more.
async fn settle(
    leader: &Arc<Leader>,
    topology: &Topology,
    now_ms: u64,
) -> Result<bool, ChangeError> {
    let settling = topology.assigned.as_ref();
    let settling = settling.and_then(|at| Some((at, at.settles_until_ms?)));
    let Some((assigned, until_ms)) = settling else {
        return Ok(false);
    };
    let slots = topology.slots();
    let slots = slots.map(|slot| (slot, assigned.epoch_of(slot)));
    let epoch = assigned.record.epoch;
    let follow_all = leader.stillness().follows(&topology.id, epoch, slots);
    if !follow_all && now_ms < until_ms {
        return Ok(true);
    }
    if !follow_all {
        tracing::warn!(topology = %topology.id, "goes on although workers are missing");
    }
    let settled = Arc::new(assigned.settled());
    let decide = |state: &State| {
        let mut edit = Edit::default();
        let now = state.topologies.get(&topology.id);
        let is_same = |now: &Arc<Assigned>| Arc::ptr_eq(now, assigned);
        if now
            .and_then(|now| now.assigned.as_ref())
            .is_some_and(is_same)
        {
            edit.batch.assignment(&topology.id, &settled.record)?;
            replace(&mut edit, state, &topology.id, |topology| {
                topology.assigned = Some(settled);
            });
        }
        Ok::<_, ChangeError>((edit, ()))
    };
    leader.change(decide).await?;
    tracing::info!(topology = %topology.id, epoch, "settled");
    Ok(false)
}

/// Puts a changed topology into an edit.
fn replace(edit: &mut Edit, state: &State, id: &TopologyId, change: impl FnOnce(&mut Topology)) {
    if let Some(topology) = state.topologies.get(id) {
        let mut topology = Topology::clone(topology);
        change(&mut topology);
        edit.topologies.push((id.clone(), Some(Arc::new(topology))));
    }
}

fn changed(
    topology: &Topology,
    lifecycle: Lifecycle,
    options: Option<TopologyActionOptions>,
    now_ms: u64,
) -> Result<Edit, ChangeError> {
    let mut edit = Edit::default();
    let mut base = topology.base.clone();
    base.status = lifecycle.status().into();
    base.prev_status = match lifecycle.status() {
        TopologyStatus::Rebalancing => Some(lifecycle.previous().into()),
        _ => None,
    };
    if let Some(options) = options {
        base.topology_action_options = Some(options);
    }
    if let Some(due) = lifecycle.due() {
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
        let is_due = |topology: &&Arc<Topology>| {
            topology.lifecycle.poll_step(now_ms, Flow::Moving) == Some(Step::Remove)
        };
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
    /// The order with what is kept of it.
    fn checked(self, leader: &Leader, topology: &Topology) -> Result<Self, Fault> {
        let Order::Rebalance {
            options,
            by: Some(by),
        } = self
        else {
            return Ok(self);
        };
        let options = rebalance::checked(leader, topology, *options, *by)?;
        Ok(Order::Rebalance {
            options: Box::new(options),
            by: None,
        })
    }

    fn event(&self, topology: &Topology) -> Event {
        match self {
            Order::Activate => Event::Activate,
            Order::Deactivate => Event::Inactivate,
            Order::Kill { wait_secs } => Event::Kill {
                delay: delay(*wait_secs, topology),
            },
            Order::Rebalance { options, .. } => Event::Rebalance {
                delay: delay(options.wait_secs, topology),
            },
        }
    }

    /// What the record keeps of it.
    fn options(self, lifecycle: &Lifecycle) -> Option<TopologyActionOptions> {
        let delay_ms = lifecycle.due()?.delay_ms;
        let wait_secs = Some(i32::try_from(delay_ms / 1000).unwrap_or(i32::MAX));
        match self {
            Order::Activate | Order::Deactivate => None,
            Order::Kill { .. } => Some(TopologyActionOptions::KillOptions(KillOptions {
                wait_secs,
            })),
            Order::Rebalance { options, .. } => {
                let options = RebalanceOptions {
                    wait_secs,
                    ..*options
                };
                Some(TopologyActionOptions::RebalanceOptions(options))
            }
        }
    }
}

/// So many seconds, else the topology's message timeout.
fn delay(wait_secs: Option<i32>, topology: &Topology) -> Duration {
    let own = || {
        let plan = topology.plan.as_ref()?;
        plan.conf.secs(keys::TOPOLOGY_MESSAGE_TIMEOUT_SECS).ok()
    };
    let given = wait_secs.map(|secs| u64::try_from(secs).unwrap_or(0));
    let delay = given.map(Duration::from_secs).or_else(own);
    delay.unwrap_or(MESSAGE_TIMEOUT)
}

/// Between attempts at a step that could not be saved.
const RETRY: Duration = Duration::from_secs(1);
/// Between looks at reports of workers that something waits for.
const LOOK: Duration = Duration::from_millis(20);
/// Nothing is due: a change wakes us.
const IDLE: Duration = Duration::from_secs(3600);
/// Storm's default, for topologies whose conf cannot be read.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);

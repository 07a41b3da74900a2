//! The other workers of the topology: a peer for each slot of the assignment, kept across changes
//! of it.
//!
//! Turns assignments into routes and starts and ends the tasks that keep the links. Runs on the
//! links' thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::conf::{ConfError, keys};
use crate::id::{ComponentId, NodeId, Slot, TaskId};
use crate::limits;
use crate::messaging::client::{Peer, Reconnects, Wanted};
use crate::messaging::link::LinkIdentity;
use crate::wire::messages::TopologyWork;
use crate::wire::storm;
use crate::worker::program::Program;
use crate::worker::route::Routes;
use crate::worker::shared::Shared;

/// The peers of one worker.
pub struct Peers {
    own: Slot,
    program: Arc<Program>,
    identity: Arc<LinkIdentity>,
    reconnects: Reconnects,
    kept: BTreeMap<Slot, Kept>,
    /// Filled once the engine is there.
    shared: Arc<OnceLock<Arc<Shared>>>,
}

struct Kept {
    peer: Arc<Peer>,
    wanted: watch::Sender<Wanted>,
    task: JoinHandle<()>,
}

// === impl Peers ===

impl Peers {
    pub fn new(
        own: Slot,
        identity: Arc<LinkIdentity>,
        program: Arc<Program>,
    ) -> Result<Self, ConfError> {
        let conf = program.conf.clone();
        let millis = |key, default| -> Result<Duration, ConfError> {
            let ms = u64::try_from(conf.int_or(key, default)?).unwrap_or(0);
            Ok(Duration::from_millis(ms.max(1)))
        };
        Ok(Peers {
            own,
            program,
            identity,
            reconnects: Reconnects {
                base: millis(keys::STORM_MESSAGING_NETTY_MIN_SLEEP_MS, 100)?,
                ceiling: millis(keys::STORM_MESSAGING_NETTY_MAX_SLEEP_MS, 1000)?,
            },
            kept: BTreeMap::new(),
            shared: Arc::default(),
        })
    }

    /// Whose threads to wake when there is room for more.
    pub fn attach(&self, shared: Arc<Shared>) {
        let _ = self.shared.set(shared);
    }

    /// Keeps exactly the peers of an assignment, and gives the routes to them.
    pub fn follow(&mut self, work: &TopologyWork) -> Routes {
        let assignment = &work.assignment;
        let since = |slot: &Slot| {
            let epochs = work.slot_epochs.as_ref();
            epochs.and_then(|epochs| epochs.get(&info(slot))).copied()
        };
        let mut tasks = tasks_by_slot(assignment);
        tasks.remove(&self.own);
        let hosts = assignment.node_host.as_ref();
        let address = |slot: &Slot| {
            let host = hosts.and_then(|hosts| hosts.get(slot.node.as_str()));
            let host = host.map_or(slot.node.as_str(), String::as_str);
            match host.contains(':') {
                true => format!("[{host}]:{}", slot.port),
                false => format!("{host}:{}", slot.port),
            }
        };
        self.kept.retain(|slot, kept| {
            // Another set of tasks, or another epoch, is another process there.
            let components = tasks
                .get(slot)
                .map(|tasks| components(&self.program, tasks));
            let is_kept = kept.peer.address == address(slot)
                && kept.peer.epoch() == since(slot).unwrap_or(0)
                && components.is_some_and(|c| c.iter().all(|id| kept.peer.data(id).is_some()));
            if !is_kept {
                kept.wanted.send_replace(Wanted::No);
            }
            is_kept
        });
        let mut workers = Vec::new();
        for (slot, tasks) in tasks {
            let to = (address(&slot), components(&self.program, &tasks));
            let since = since(&slot).unwrap_or(0);
            let kept = self.kept.entry(slot);
            let shared = self.shared.clone();
            let open = || open((to.0, to.1, since), shared, &self.identity, self.reconnects);
            workers.push((kept.or_insert_with(open).peer.clone(), tasks));
        }
        Routes::new(workers)
    }

    /// Whether everything was handed to the system.
    pub fn is_empty(&self) -> bool {
        let mut peers = self.kept.values().map(|kept| &kept.peer);
        peers.all(|peer| peer.is_empty())
    }

    /// Sends what is there, for at most `patience`, and ends all links.
    pub async fn close(self, patience: Duration) {
        for kept in self.kept.values() {
            kept.wanted.send_replace(Wanted::UntilEmpty);
        }
        let deadline = tokio::time::Instant::now() + patience;
        for kept in self.kept.into_values() {
            let mut task = kept.task;
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                kept.wanted.send_replace(Wanted::No);
                task.abort();
            }
        }
    }
}

fn open(
    (address, components, since): (String, BTreeSet<ComponentId>, i64),
    shared: Arc<OnceLock<Arc<Shared>>>,
    identity: &Arc<LinkIdentity>,
    reconnects: Reconnects,
) -> Kept {
    let on_room = move || {
        if let Some(shared) = shared.get() {
            shared.ring_all();
        }
    };
    let capacity = limits::OUTBOX_TUPLES_MAX;
    let peer = Peer::new(address, components, capacity, on_room);
    let peer = Arc::new(peer.since(since));
    let (wanted, receiver) = watch::channel(Wanted::Yes);
    let run = peer.clone().run(identity.clone(), reconnects, receiver);
    Kept {
        peer,
        wanted,
        task: tokio::spawn(run),
    }
}

/// A slot as assignments write it.
fn info(slot: &Slot) -> storm::NodeInfo {
    storm::NodeInfo {
        node: slot.node.as_str().to_owned(),
        port: BTreeSet::from([i64::from(slot.port)]),
    }
}

/// The components of some tasks.
fn components(program: &Program, tasks: &[TaskId]) -> BTreeSet<ComponentId> {
    let components = tasks.iter().filter_map(|task| program.component_of(*task));
    components.cloned().collect()
}

/// The tasks of each slot of an assignment. What makes no sense in it is left out.
fn tasks_by_slot(assignment: &storm::Assignment) -> BTreeMap<Slot, Vec<TaskId>> {
    let mut slots: BTreeMap<Slot, Vec<TaskId>> = BTreeMap::new();
    for (executor, place) in assignment.executor_node_port.iter().flatten() {
        let port = place.port.first().map(|port| u16::try_from(*port));
        let (Some(Ok(port)), [first, last]) = (port, executor.as_slice()) else {
            continue;
        };
        let slot = Slot {
            node: NodeId::from(place.node.as_str()),
            port,
        };
        let (Ok(first), Ok(last)) = (i32::try_from(*first), i32::try_from(*last)) else {
            continue;
        };
        slots
            .entry(slot)
            .or_default()
            .extend((first..=last).map(TaskId));
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_gives_tasks_by_slot() {
        let place = |node: &str, port| storm::NodeInfo {
            node: node.to_owned(),
            port: [port].into(),
        };
        let assignment = storm::Assignment {
            executor_node_port: Some(BTreeMap::from([
                (vec![1, 2], place("a", 6700)),
                (vec![3, 3], place("b", 6700)),
                (vec![4, 4], place("a", 6700)),
                (vec![5, 5], place("a", 1 << 20)),
                (vec![6], place("a", 6700)),
            ])),
            ..storm::Assignment::default()
        };
        let slots = tasks_by_slot(&assignment);
        let tasks: Vec<Vec<i32>> = slots
            .values()
            .map(|tasks| tasks.iter().map(|task| task.0).collect())
            .collect();
        assert_eq!(tasks, [vec![1, 2, 4], vec![3]]);
    }
}

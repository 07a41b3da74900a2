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

use crate::conf::{Conf, ConfError, keys};
use crate::grouping::Locality;
use crate::id::{ExecutorId, NodeId, Slot, TaskId};
use crate::messaging::client::{Peer, PeerWatch, Reconnects, Wanted};
use crate::messaging::link::LinkIdentity;
use crate::messaging::receiving::Sender;
use crate::wire::messages::TopologyWork;
use crate::wire::storm;
use crate::worker::route::{Route, Routes};
use crate::worker::shared::Shared;

/// The peers of one worker.
pub struct Peers {
    own: Slot,
    identity: Arc<LinkIdentity>,
    reconnects: Reconnects,
    /// `stormwire.link.window.bytes`.
    window_bytes: usize,
    racks: Racks,
    kept: BTreeMap<Slot, Kept>,
    /// Filled once the engine is there.
    shared: Arc<OnceLock<Arc<Shared>>>,
}

/// `stormwire.network.racks`: rack by host.
struct Racks(BTreeMap<String, String>);

/// Tells the engine of what happens to a peer, once there is an engine.
struct Watch(Arc<OnceLock<Arc<Shared>>>);

struct Kept {
    peer: Arc<Peer>,
    wanted: watch::Sender<Wanted>,
    task: JoinHandle<()>,
}

// === impl Peers ===

impl Peers {
    pub fn new(identity: Arc<LinkIdentity>, conf: &Conf) -> Result<Self, ConfError> {
        let millis = |key, default| -> Result<Duration, ConfError> {
            let ms = u64::try_from(conf.int_or(key, default)?).unwrap_or(0);
            Ok(Duration::from_millis(ms.max(1)))
        };
        Ok(Peers {
            own: Slot {
                node: identity.node.clone(),
                port: identity.port,
            },
            identity,
            reconnects: Reconnects {
                base: millis(keys::STORM_MESSAGING_NETTY_MIN_SLEEP_MS, 100)?,
                ceiling: millis(keys::STORM_MESSAGING_NETTY_MAX_SLEEP_MS, 1000)?,
            },
            window_bytes: window_bytes(conf)?,
            racks: Racks(conf.text_map(keys::STORMWIRE_NETWORK_RACKS)?),
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
        let mut executors = executors_by_slot(assignment);
        executors.remove(&self.own);
        let hosts = assignment.node_host.as_ref();
        let host_of = |node: &NodeId| {
            let host = hosts.and_then(|hosts| hosts.get(node.as_str()));
            host.map_or_else(|| node.as_str().to_owned(), String::clone)
        };
        let own_host = host_of(&self.own.node);
        let address = |slot: &Slot| {
            let host = host_of(&slot.node);
            match host.contains(':') {
                true => format!("[{host}]:{}", slot.port),
                false => format!("{host}:{}", slot.port),
            }
        };
        self.kept.retain(|slot, kept| {
            // Another set of executors, or another epoch, is another process there.
            let has_same = |executors: &BTreeSet<ExecutorId>| {
                executors.iter().copied().eq(kept.peer.executors())
            };
            let is_kept = kept.peer.address == address(slot)
                && kept.peer.epoch() == since(slot).unwrap_or(0)
                && executors.get(slot).is_some_and(has_same);
            if !is_kept {
                kept.wanted.send_replace(Wanted::No);
            }
            is_kept
        });
        let mut workers = Vec::new();
        for (slot, executors) in executors {
            let address = address(&slot);
            let since = since(&slot).unwrap_or(0);
            let tasks = executors
                .iter()
                .flat_map(|executor| executor.tasks())
                .collect();
            if !self.kept.contains_key(&slot) {
                let executors: Vec<_> = executors.into_iter().collect();
                let watch = Watch(self.shared.clone());
                let peer = Peer::new(address, &executors, self.window_bytes, watch);
                self.kept.insert(slot.clone(), self.open(peer.since(since)));
            }
            let kept = self.kept.get(&slot);
            let locality = match slot.node == self.own.node {
                true => Locality::Host,
                false => self.racks.locality(&own_host, &host_of(&slot.node)),
            };
            workers.extend(kept.map(|kept| Route {
                peer: kept.peer.clone(),
                locality,
                tasks,
            }));
        }
        Routes::new(workers)
    }

    fn open(&self, peer: Peer) -> Kept {
        let peer = Arc::new(peer);
        let (wanted, receiver) = watch::channel(Wanted::Yes);
        let run = peer
            .clone()
            .run(self.identity.clone(), self.reconnects, receiver);
        Kept {
            peer,
            wanted,
            task: tokio::spawn(run),
        }
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

// === impl Racks ===

impl Racks {
    /// Of two hosts. Those that the map does not name stand on one rack: without it all hosts do,
    /// as by Storm's default.
    fn locality(&self, one: &str, other: &str) -> Locality {
        match self.0.get(one) == self.0.get(other) {
            true => Locality::Rack,
            false => Locality::Anywhere,
        }
    }
}

// === impl Watch ===

impl PeerWatch for Watch {
    fn room(&self) {
        if let Some(shared) = self.0.get() {
            shared.ring_all();
        }
    }

    fn lost(&self, roots: Vec<u64>) {
        if let Some(shared) = self.0.get() {
            shared.fail(roots);
        }
    }

    fn gone(&self) {
        if let Some(shared) = self.0.get() {
            shared.review_routes();
        }
    }
}

/// Bytes that may be on their way between two workers to one executor, or wait for it.
pub fn window_bytes(conf: &Conf) -> Result<usize, ConfError> {
    let bytes = conf.int_or(keys::STORMWIRE_LINK_WINDOW_BYTES, 4 << 20)?;
    Ok(usize::try_from(bytes).unwrap_or(1).max(1))
}

/// The workers of an assignment, as links know them.
pub fn senders(work: &TopologyWork) -> BTreeSet<Sender> {
    let slots = executors_by_slot(&work.assignment).into_keys();
    slots
        .map(|slot| (slot.node.to_string(), slot.port.into()))
        .collect()
}

/// A slot as assignments write it.
fn info(slot: &Slot) -> storm::NodeInfo {
    storm::NodeInfo {
        node: slot.node.as_str().to_owned(),
        port: BTreeSet::from([i64::from(slot.port)]),
    }
}

/// The executors of each slot of an assignment. What makes no sense in it is left out.
fn executors_by_slot(assignment: &storm::Assignment) -> BTreeMap<Slot, BTreeSet<ExecutorId>> {
    let mut slots: BTreeMap<Slot, BTreeSet<ExecutorId>> = BTreeMap::new();
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
        let executor = ExecutorId::new(TaskId(first), TaskId(last));
        slots.entry(slot).or_default().insert(executor);
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_without_a_rack_share_one() {
        let racks = [("a", "r1"), ("b", "r1"), ("c", "r2")];
        let racks = racks.map(|(host, rack)| (host.to_owned(), rack.to_owned()));
        let racks = Racks(racks.into());
        assert_eq!(racks.locality("a", "b"), Locality::Rack);
        assert_eq!(racks.locality("a", "c"), Locality::Anywhere);
        assert_eq!(racks.locality("a", "unknown"), Locality::Anywhere);
        assert_eq!(racks.locality("x", "y"), Locality::Rack);
        assert_eq!(Racks(BTreeMap::new()).locality("a", "c"), Locality::Rack);
    }

    #[test]
    fn an_assignment_gives_executors_by_slot() {
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
        let slots = executors_by_slot(&assignment);
        let ranges = |executors: &BTreeSet<ExecutorId>| -> Vec<(i32, i32)> {
            executors.iter().map(|e| (e.first.0, e.last.0)).collect()
        };
        let executors: Vec<_> = slots.values().map(ranges).collect();
        assert_eq!(executors, [vec![(1, 2), (4, 4)], vec![(3, 3)]]);
    }
}

//! Which other worker has which task: a snapshot, refreshed when the assignment changes.
//!
//! Tasks of this worker are not here: they never move while it lives (data-plane 5.4).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::TaskId;
use crate::messaging::client::Peer;

/// Other workers and their tasks.
#[derive(Clone, Default)]
pub struct Routes {
    peers: Vec<Arc<Peer>>,
    /// Place in `peers`.
    by_task: BTreeMap<TaskId, usize>,
}

impl PartialEq for Routes {
    /// Whether both lead to the same links.
    fn eq(&self, other: &Self) -> bool {
        let pairs = || self.peers.iter().zip(&other.peers);
        self.by_task == other.by_task
            && self.peers.len() == other.peers.len()
            && pairs().all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

// === impl Routes ===

impl Routes {
    pub fn new(workers: impl IntoIterator<Item = (Arc<Peer>, Vec<TaskId>)>) -> Self {
        let mut routes = Routes::default();
        for (peer, tasks) in workers {
            let place = routes.peers.len();
            routes.peers.push(peer);
            routes
                .by_task
                .extend(tasks.into_iter().map(|task| (task, place)));
        }
        routes
    }

    pub fn peers(&self) -> &[Arc<Peer>] {
        &self.peers
    }

    /// Place in `peers` of the worker that has `task`.
    pub fn place_of(&self, task: TaskId) -> Option<usize> {
        self.by_task.get(&task).copied()
    }

    pub fn peer_of(&self, task: TaskId) -> Option<&Arc<Peer>> {
        self.peers.get(self.place_of(task)?)
    }
}

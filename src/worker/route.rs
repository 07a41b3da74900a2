//! Which other worker has which task: a snapshot, refreshed when the assignment changes.
//!
//! Tasks of this worker are not here: they never move while it lives (data-plane 5.4).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::grouping::Locality;
use crate::id::TaskId;
use crate::messaging::client::Peer;

/// Other workers and their tasks.
#[derive(Clone, Default)]
pub struct Routes {
    peers: Vec<Arc<Peer>>,
    /// How far each peer is.
    localities: Vec<Locality>,
    /// Place in `peers`.
    by_task: BTreeMap<TaskId, usize>,
}

/// One other worker.
pub struct Route {
    pub peer: Arc<Peer>,
    pub locality: Locality,
    pub tasks: Vec<TaskId>,
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
    pub fn new(workers: impl IntoIterator<Item = Route>) -> Self {
        let mut routes = Routes::default();
        for Route {
            peer,
            locality,
            tasks,
        } in workers
        {
            let place = routes.peers.len();
            routes.peers.push(peer);
            routes.localities.push(locality);
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

    /// How far the worker is that has `task`.
    pub fn locality_of(&self, task: TaskId) -> Locality {
        let place = self.place_of(task);
        let locality = place.and_then(|place| self.localities.get(place));
        locality.copied().unwrap_or(Locality::Anywhere)
    }

    pub fn peer_of(&self, task: TaskId) -> Option<&Arc<Peer>> {
        self.peers.get(self.place_of(task)?)
    }
}

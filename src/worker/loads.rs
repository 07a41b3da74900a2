//! How loaded and how far away tasks are, as one worker sees them: what shuffles by load go by.
//!
//! Of a task elsewhere it knows what is on its way there and not yet taken off its queue, so nobody
//! has to tell it.

use crate::grouping::{Loads, Locality};
use crate::id::TaskId;
use crate::worker::route::Routes;
use crate::worker::shared::Shared;

/// The loads at this moment.
pub struct TaskLoads<'a> {
    shared: &'a Shared,
    routes: &'a Routes,
}

// === impl TaskLoads ===

impl<'a> TaskLoads<'a> {
    pub fn new(shared: &'a Shared, routes: &'a Routes) -> Self {
        TaskLoads { shared, routes }
    }
}

impl Loads for TaskLoads<'_> {
    fn locality(&self, task: TaskId) -> Locality {
        match self.shared.is_local(task) {
            true => Locality::Worker,
            false => self.routes.locality_of(task),
        }
    }

    /// A task that nobody has now counts as full.
    fn load(&self, task: TaskId) -> f64 {
        if let Some(handle) = self.shared.executor_of(task) {
            return handle.gauge.fullness();
        }
        let outbox = self.routes.peer_of(task).and_then(|peer| peer.data(task));
        outbox.map_or(1.0, |outbox| outbox.gauge.fullness())
    }
}

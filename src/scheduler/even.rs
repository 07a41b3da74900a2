//! Storm's even scheduler, and its default one, which first gives up slots that hold too many or
//! too few executors (control-plane 6.4).
//!
//! Does not move workers to idle supervisors (`nimbus.even.rebalance.idle.supervisor.enabled`, off
//! by default in Storm).

use std::collections::BTreeSet;

use crate::id::{ExecutorId, Slot};
use crate::partition::shares;

use super::{Cluster, Scheduler, Topology};

/// Deals executors without a place over free slots, in turn. Moves nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct EvenScheduler;

/// Storm's default: frees the slots of a topology that do not fit an even spread, then places
/// evenly.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultScheduler;

// === impl EvenScheduler ===

impl Scheduler for EvenScheduler {
    fn schedule(&mut self, cluster: &mut Cluster) {
        for topology in needy(cluster) {
            place(cluster, &topology);
        }
    }
}

// === impl DefaultScheduler ===

impl Scheduler for DefaultScheduler {
    fn schedule(&mut self, cluster: &mut Cluster) {
        for topology in needy(cluster) {
            let misfits = misfits(cluster, &topology);
            if !misfits.is_empty() {
                cluster.vacate(&topology.id, &misfits);
            }
            place(cluster, &topology);
        }
    }
}

fn needy(cluster: &Cluster) -> Vec<Topology> {
    let ids: BTreeSet<_> = cluster.needs_scheduling().into_iter().collect();
    let topologies = cluster.topologies().iter();
    topologies
        .filter(|topology| ids.contains(&topology.id))
        .cloned()
        .collect()
}

/// Slots whose number of executors has no place in the even spread over the slots that the topology
/// may use. None when every executor runs and no further slot can be had.
fn misfits(cluster: &Cluster, topology: &Topology) -> BTreeSet<Slot> {
    let used = cluster.slots(&topology.id);
    let n_reassignable = used
        .keys()
        .filter(|slot| cluster.is_reassignable(slot))
        .count();
    let n_slots = topology
        .n_workers
        .min(n_reassignable + cluster.n_free_slots());
    let is_complete = used.values().map(Vec::len).sum::<usize>() == topology.executors.len();
    if n_slots == 0 || (n_slots <= used.len() && is_complete) {
        return BTreeSet::new();
    }
    let mut spread = shares(topology.executors.len(), n_slots);
    let mut misfits = BTreeSet::new();
    for (slot, executors) in used {
        match spread.get_mut(&executors.len()) {
            Some(n_left) if *n_left > 0 => *n_left -= 1,
            _ => {
                misfits.insert(slot);
            }
        }
    }
    misfits
}

fn place(cluster: &mut Cluster, topology: &Topology) {
    let n_used = cluster.slots(&topology.id).len();
    let n_total = topology.n_workers.min(cluster.n_free_slots() + n_used);
    let slots = cluster.free_slots(n_total.saturating_sub(n_used));
    if slots.is_empty() {
        return;
    }
    let mut dealt: Vec<Vec<ExecutorId>> = vec![Vec::new(); slots.len()];
    for (turn, executor) in cluster.unplaced(topology).into_iter().enumerate() {
        dealt[turn % slots.len()].push(executor);
    }
    for (slot, executors) in slots.iter().zip(&dealt) {
        cluster
            .assign(&topology.id, slot, executors)
            .expect("the slot is free and the executors are unplaced");
    }
}

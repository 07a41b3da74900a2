//! Storm's even scheduler, and its default one, which first gives up slots that hold too many or
//! too few executors (control-plane 6.4). Both may move workers to supervisors that have none.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::id::{ExecutorId, NodeId, Slot, TopologyId};
use crate::partition::shares;

use super::{Cluster, Scheduler, Topology};

/// Deals executors without a place over free slots, in turn. Moves nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct EvenScheduler {
    /// None: idle supervisors stay idle.
    pub idle: Option<IdleRebalance>,
}

/// Storm's default: frees the slots of a topology that do not fit an even spread, then places
/// evenly.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultScheduler {
    /// None: idle supervisors stay idle.
    pub idle: Option<IdleRebalance>,
}

/// Moves workers to supervisors that have none
/// (`nimbus.even.rebalance.idle.supervisor.enabled`).
#[derive(Clone, Copy, Debug)]
pub struct IdleRebalance {
    /// Before this a supervisor may go again.
    pub uptime_min_secs: i64,
    /// Workers of one topology that move in one round; None: as many as its share.
    pub moves_max: Option<usize>,
}

// === impl EvenScheduler ===

impl Scheduler for EvenScheduler {
    fn schedule(&mut self, cluster: &mut Cluster) {
        if let Some(idle) = self.idle {
            idle.rebalance(cluster, |_| true);
        }
        for topology in needy(cluster, |_| true) {
            place(cluster, &topology);
        }
    }

    fn depends_on_time(&self) -> bool {
        self.idle.is_some()
    }
}

// === impl DefaultScheduler ===

impl DefaultScheduler {
    /// As a round, for some topologies only.
    pub fn place(&self, cluster: &mut Cluster, is_meant: impl Fn(&Topology) -> bool) {
        if let Some(idle) = self.idle {
            idle.rebalance(cluster, &is_meant);
        }
        for topology in needy(cluster, is_meant) {
            let misfits = misfits(cluster, &topology);
            if !misfits.is_empty() {
                cluster.vacate(&topology.id, &misfits);
            }
            place(cluster, &topology);
        }
    }
}

impl Scheduler for DefaultScheduler {
    fn schedule(&mut self, cluster: &mut Cluster) {
        self.place(cluster, |_| true);
    }

    fn depends_on_time(&self) -> bool {
        self.idle.is_some()
    }
}

// === impl IdleRebalance ===

impl IdleRebalance {
    fn rebalance(self, cluster: &mut Cluster, is_meant: impl Fn(&Topology) -> bool) {
        let (n_open, mut idle) = self.idle(cluster);
        let idle_nodes: BTreeSet<NodeId> = idle.iter().map(|slot| slot.node.clone()).collect();
        if idle_nodes.is_empty() {
            return;
        }
        let budget = |topology: &Topology| {
            let share = topology.n_workers / n_open * idle_nodes.len();
            self.moves_max
                .map_or(share, |moves_max| share.min(moves_max))
        };
        let uses_all = |topology: &Topology| {
            let slots = cluster.slots(&topology.id);
            let nodes: BTreeSet<&NodeId> = slots.keys().map(|slot| &slot.node).collect();
            idle_nodes.iter().all(|node| nodes.contains(node))
        };
        let meant = cluster
            .topologies()
            .iter()
            .filter(|topology| is_meant(topology));
        let meant = meant.filter(|topology| budget(topology) > 0 && !uses_all(topology));
        let mut left: BTreeMap<_, usize> = meant
            .map(|topology| (topology.id.clone(), budget(topology)))
            .collect();
        while !idle.is_empty() && left.values().any(|n| *n > 0) {
            for (id, n_left) in left.iter_mut().filter(|(_, n)| **n > 0) {
                let Some(target) = idle.front().cloned() else {
                    break;
                };
                let Some((victim, executors)) = crowded(cluster, id) else {
                    *n_left = 0;
                    continue;
                };
                idle.pop_front();
                cluster.vacate(id, &BTreeSet::from([victim]));
                cluster
                    .assign(id, &target, &executors)
                    .expect("the slot is idle and the executors were just freed");
                *n_left -= 1;
            }
        }
    }

    /// How many supervisors may be given work, and the slots of those that have been there for a
    /// while and carry nothing.
    fn idle(self, cluster: &Cluster) -> (usize, VecDeque<Slot>) {
        let mut n_open = 0;
        let mut idle = VecDeque::new();
        for (node, supervisor) in cluster.supervisors() {
            if !cluster.is_open(node) || supervisor.ports.is_empty() {
                continue;
            }
            n_open += 1;
            let is_idle = cluster.free_ports(node) == Some(&supervisor.ports);
            if is_idle && supervisor.uptime_secs >= self.uptime_min_secs {
                idle.extend(supervisor.ports.iter().map(|port| Slot {
                    node: node.clone(),
                    port: *port,
                }));
            }
        }
        (n_open, idle)
    }
}

/// The worker that a topology can spare: on its most crowded node, at the highest port.
fn crowded(cluster: &Cluster, id: &TopologyId) -> Option<(Slot, Vec<ExecutorId>)> {
    let mut by_node: BTreeMap<NodeId, Vec<(Slot, Vec<ExecutorId>)>> = BTreeMap::new();
    for (slot, executors) in cluster.slots(id) {
        by_node
            .entry(slot.node.clone())
            .or_default()
            .push((slot, executors));
    }
    let crowded = by_node.into_values().filter(|slots| slots.len() >= 2);
    let mut most = crowded.fold(None, |most: Option<Vec<_>>, slots| match most {
        Some(most) if most.len() >= slots.len() => Some(most),
        _ => Some(slots),
    })?;
    most.pop()
}

fn needy(cluster: &Cluster, is_meant: impl Fn(&Topology) -> bool) -> Vec<Topology> {
    let topologies = cluster.topologies().iter();
    topologies
        .filter(|topology| cluster.is_needy(topology) && is_meant(topology))
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

//! Storm's multitenant scheduler: each user that is named has a number of machines for its
//! topologies, some of which may have machines for themselves (`topology.isolate.machines`); the
//! others share what is left (control-plane 6.5).
//!
//! Machines are supervisors here, as in Storm. What a topology that is ending still holds is left
//! to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::id::{ComponentId, ExecutorId, NodeId, Slot, TopologyId};

use super::{Cluster, Scheduler, Topology};

/// The scheduler with the machines that users may have.
#[derive(Clone, Debug)]
pub struct MultitenantScheduler {
    machines: BTreeMap<String, usize>,
}

/// A round's cluster, and whose machines are whose.
struct Round<'c> {
    cluster: &'c mut Cluster,
    /// Machines that carry nothing.
    free: BTreeSet<NodeId>,
    shared: SharedPool,
    pools: Vec<UserPool>,
}

/// Where everybody runs who has no machines.
#[derive(Default)]
struct SharedPool {
    nodes: BTreeSet<NodeId>,
    topologies: Vec<Topology>,
}

/// The machines of one user, by topology.
#[derive(Default)]
struct UserPool {
    n_max: usize,
    topologies: Vec<(Topology, BTreeSet<NodeId>)>,
}

/// What a pool wants of others, or may do.
enum Room {
    /// So many more slots may be used.
    Slots(usize),
    /// None, for this reason.
    None(String),
}

// === impl MultitenantScheduler ===

impl MultitenantScheduler {
    pub fn new(machines: BTreeMap<String, usize>) -> Self {
        MultitenantScheduler { machines }
    }
}

impl Scheduler for MultitenantScheduler {
    fn schedule(&mut self, cluster: &mut Cluster) {
        let nodes = cluster
            .supervisors()
            .keys()
            .filter(|node| cluster.is_open(node));
        let free = nodes
            .filter(|node| n_used(cluster, node) == 0)
            .cloned()
            .collect();
        let mut round = Round {
            cluster,
            free,
            shared: SharedPool::default(),
            pools: Vec::new(),
        };
        round.sort(&self.machines);
        for pool in 0..round.pools.len() {
            for at in 0..round.pools[pool].topologies.len() {
                round.serve_user(pool, at);
            }
        }
        round.serve_shared();
    }
}

// === impl Round ===

impl Round<'_> {
    /// Puts each topology into its pool.
    fn sort(&mut self, machines: &BTreeMap<String, usize>) {
        let users: Vec<&String> = machines.keys().collect();
        self.pools = machines
            .values()
            .map(|n_max| UserPool {
                n_max: *n_max,
                topologies: Vec::new(),
            })
            .collect();
        for topology in self.cluster.topologies().to_vec() {
            let slots = self.cluster.slots(&topology.id).into_keys();
            let nodes: BTreeSet<NodeId> = slots.map(|slot| slot.node).collect();
            let owner = topology.owner.as_ref();
            let user = owner.and_then(|owner| users.iter().position(|user| *user == owner));
            // One that shares a machine with others cannot have it for itself.
            let is_alone = nodes
                .iter()
                .all(|node| holders(self.cluster, node).len() <= 1);
            match user.filter(|_| is_alone) {
                Some(user) => self.pools[user].topologies.push((topology, nodes)),
                None => {
                    self.shared.nodes.extend(nodes);
                    self.shared.topologies.push(topology);
                }
            }
        }
    }

    fn serve_user(&mut self, pool: usize, at: usize) {
        let (topology, nodes) = &self.pools[pool].topologies[at];
        let topology = topology.clone();
        let wanted = topology.demand.wishes.machines;
        let n_wanted = wanted.map(|n| n.min(topology.executors.len()));
        let is_off = n_wanted.is_some_and(|n_wanted| n_wanted != nodes.len());
        if self.cluster.is_needy(&topology) || is_off {
            let room = match n_wanted {
                Some(n_wanted) => self.machines_for(pool, at, n_wanted),
                None => self.slots_for(pool, at),
            };
            match room {
                Room::Slots(n_slots) => {
                    let nodes = self.pools[pool].topologies[at].1.clone();
                    let mut deal = Deal::new(self.cluster, &topology, n_slots);
                    while let Some(node) = self.best(&nodes) {
                        if !deal.next(self.cluster, &topology, &node) {
                            break;
                        }
                    }
                }
                Room::None(reason) => {
                    self.cluster.set_status(&topology.id, reason);
                    return;
                }
            }
        }
        let n_nodes = self.pools[pool].topologies[at].1.len();
        let status = format!("Scheduled Isolated on {n_nodes} Nodes");
        self.cluster.set_status(&topology.id, status);
    }

    /// Machines for a topology that wants some for itself.
    fn machines_for(&mut self, pool: usize, at: usize, n_wanted: usize) -> Room {
        let (topology, nodes) = &self.pools[pool].topologies[at];
        let topology = topology.clone();
        let n_needed = n_wanted.saturating_sub(nodes.len());
        let n_own = self.n_lendable(pool);
        let n_left = self.pools[pool].n_left();
        if n_needed.saturating_sub(n_own) > n_left {
            return Room::None(too_many(self.pools[pool].n_max, n_needed - n_own - n_left));
        }
        let n_others = self.free.len() + self.shared.n_open(self.cluster);
        let n_from_others = n_left.min(n_others).min(n_needed);
        let n_from_own = n_needed - n_from_others;
        if n_from_own > n_own {
            let reason = "Not Enough Nodes Available to Schedule Topology";
            return Room::None(reason.to_owned());
        }
        let mut found = self.take_from_others(n_from_others, |_, _| 1);
        found.extend(self.take_from_own(pool, n_from_own));
        let nodes = &mut self.pools[pool].topologies[at].1;
        nodes.extend(found);
        let nodes = nodes.clone();
        let n_requested = topology.n_workers.min(topology.executors.len());
        let n_used: usize = nodes.iter().map(|node| n_used(self.cluster, node)).sum();
        let n_free: usize = nodes.iter().map(|node| n_free(self.cluster, node)).sum();
        match n_requested.saturating_sub(n_used).min(n_free) {
            0 if topology.n_workers > n_used => Room::None(format!(
                "Running with fewer slots than requested {n_used}/{} on {} node(s) with {} total \
                 slots",
                topology.n_workers,
                nodes.len(),
                n_used + n_free
            )),
            0 => Room::None(
                "Node has partially crashed, if this situation persists rebalance the topology."
                    .to_owned(),
            ),
            n_slots => Room::Slots(n_slots),
        }
    }

    /// Slots for a topology that shares the user's machines with none but does not ask for a
    /// number of them.
    fn slots_for(&mut self, pool: usize, at: usize) -> Room {
        let (topology, nodes) = &self.pools[pool].topologies[at];
        let n_requested = topology.n_workers.min(topology.executors.len());
        let n_used = nodes
            .iter()
            .map(|node| n_used_by(self.cluster, node, &topology.id));
        let n_used: usize = n_used.sum();
        let n_free: usize = nodes.iter().map(|node| n_free(self.cluster, node)).sum();
        let n_others = match n_requested > n_free {
            true => self.n_slots_of_others(),
            false => 0,
        };
        let n_slots = n_requested.saturating_sub(n_used).min(n_free + n_others);
        if n_slots == 0 {
            let reason = "Not Enough Slots Available to Schedule Topology";
            return Room::None(reason.to_owned());
        }
        let n_needed = n_slots.saturating_sub(n_free);
        let n_new = self.n_machines_with(n_needed);
        let n_left = self.pools[pool].n_left();
        if n_new > n_left {
            return Room::None(too_many(self.pools[pool].n_max, n_new - n_left));
        }
        let found = self.take_from_others(n_needed, n_total);
        self.pools[pool].topologies[at].1.extend(found);
        Room::Slots(n_slots)
    }

    fn serve_shared(&mut self) {
        for topology in self.shared.topologies.clone() {
            if !self.cluster.is_needy(&topology) {
                self.cluster
                    .set_status(&topology.id, "Fully Scheduled".to_owned());
                continue;
            }
            let status = self.serve_sharing(&topology);
            self.cluster.set_status(&topology.id, status);
        }
    }

    fn serve_sharing(&mut self, topology: &Topology) -> String {
        let n_declared = topology.n_workers;
        let n_requested = n_declared.min(topology.executors.len());
        let n_running = self.cluster.n_slots(&topology.id);
        let n_here = self.shared.n_free(self.cluster);
        let n_more = match n_requested > n_here {
            true => self
                .free
                .iter()
                .map(|node| n_total(self.cluster, node))
                .sum(),
            false => 0,
        };
        let mut n_slots = n_requested.saturating_sub(n_running).min(n_here + n_more);
        let n_unplaced = self.cluster.unplaced(topology).len();
        if n_slots == 0 {
            return match n_unplaced {
                0 if n_running < n_requested => fewer(n_running, n_declared),
                0 => could_use(n_running, n_declared),
                n_unplaced => format!(
                    "Not fully scheduled (No free slots in default pool) {n_unplaced} executors \
                     not scheduled"
                ),
            };
        }
        for _ in n_here..n_slots {
            if self.shared.n_free(self.cluster) >= n_slots {
                break;
            }
            let Some(node) = self.free.pop_first() else {
                break;
            };
            self.shared.nodes.insert(node);
        }
        if n_unplaced == 0 {
            // It runs with fewer workers than it could have: it is dealt anew.
            let slots = self.cluster.slots(&topology.id).into_keys().collect();
            self.cluster.vacate(&topology.id, &slots);
            n_slots = n_requested.min(self.shared.n_free(self.cluster));
        }
        let mut deal = Deal::new(self.cluster, topology, n_slots);
        let mut nodes: VecDeque<NodeId> = self.shared.nodes.iter().cloned().collect();
        while let Some(node) = nodes.front().cloned() {
            if n_free(self.cluster, &node) == 0 {
                nodes.pop_front();
            } else if !deal.next(self.cluster, topology, &node) {
                break;
            }
        }
        match self.cluster.n_slots(&topology.id) {
            n_used if n_used < n_requested => fewer(n_used, n_declared),
            n_used if n_used < n_declared => could_use(n_used, n_declared),
            _ => "Fully Scheduled".to_owned(),
        }
    }

    /// The machine with a free slot that carries least.
    fn best(&self, nodes: &BTreeSet<NodeId>) -> Option<NodeId> {
        let with_room = nodes.iter().filter(|node| n_free(self.cluster, node) > 0);
        with_room
            .min_by_key(|node| {
                let n_free = n_free(self.cluster, node);
                (n_used(self.cluster, node), std::cmp::Reverse(n_free))
            })
            .cloned()
    }

    fn n_slots_of_others(&self) -> usize {
        let nodes = self.free.iter().chain(&self.shared.nodes);
        nodes.map(|node| n_total(self.cluster, node)).sum()
    }

    /// How many machines of others so many slots would take.
    fn n_machines_with(&self, n_slots: usize) -> usize {
        let mut n_left = n_slots;
        let shared = self.shared.by_use(self.cluster);
        let nodes = self.free.iter().chain(&shared).take_while(|node| {
            let is_short = n_left > 0;
            n_left = n_left.saturating_sub(n_total(self.cluster, node));
            is_short
        });
        nodes.count()
    }

    /// Takes machines that are free, then such as others share, until `worth` of them is enough.
    fn take_from_others(
        &mut self,
        n: usize,
        worth: impl Fn(&Cluster, &NodeId) -> usize,
    ) -> BTreeSet<NodeId> {
        let mut taken = BTreeSet::new();
        let mut n_left = n;
        while n_left > 0 {
            let Some(node) = self.free.pop_first() else {
                break;
            };
            n_left = n_left.saturating_sub(worth(self.cluster, &node));
            taken.insert(node);
        }
        for node in self.shared.by_use(self.cluster) {
            if n_left == 0 {
                break;
            }
            clear(self.cluster, &node);
            n_left = n_left.saturating_sub(worth(self.cluster, &node));
            self.shared.nodes.remove(&node);
            taken.insert(node);
        }
        taken
    }

    /// Machines of a user's topologies that asked for no number of them.
    fn n_lendable(&self, pool: usize) -> usize {
        let lending = self.pools[pool].topologies.iter();
        let lending = lending.filter(|(topology, _)| topology.demand.wishes.machines.is_none());
        lending.map(|(_, nodes)| nodes.len()).sum()
    }

    fn take_from_own(&mut self, pool: usize, n: usize) -> BTreeSet<NodeId> {
        let mut taken = BTreeSet::new();
        for (topology, nodes) in &mut self.pools[pool].topologies {
            if topology.demand.wishes.machines.is_some() {
                continue;
            }
            while taken.len() < n {
                let Some(node) = nodes.pop_first() else {
                    break;
                };
                clear(self.cluster, &node);
                taken.insert(node);
            }
        }
        taken
    }
}

// === impl SharedPool ===

impl SharedPool {
    fn n_open(&self, cluster: &Cluster) -> usize {
        self.nodes
            .iter()
            .filter(|node| cluster.is_open(node))
            .count()
    }

    fn n_free(&self, cluster: &Cluster) -> usize {
        self.nodes.iter().map(|node| n_free(cluster, node)).sum()
    }

    /// Its machines that may be given, those that carry least first.
    fn by_use(&self, cluster: &Cluster) -> Vec<NodeId> {
        let open = self.nodes.iter().filter(|node| cluster.is_open(node));
        let mut nodes: Vec<NodeId> = open.cloned().collect();
        nodes.sort_by_key(|node| n_used(cluster, node));
        nodes
    }
}

// === impl UserPool ===

impl UserPool {
    /// Machines that the user may have beyond those that it has.
    fn n_left(&self) -> usize {
        let n_used: usize = self.topologies.iter().map(|(_, nodes)| nodes.len()).sum();
        self.n_max.saturating_sub(n_used)
    }
}

/// Executors dealt over slots in turn; those of components to be spread, one to a machine.
struct Deal {
    slots: VecDeque<Vec<ExecutorId>>,
    spread: BTreeMap<ComponentId, VecDeque<ExecutorId>>,
    on_node: BTreeMap<NodeId, BTreeSet<ComponentId>>,
}

// === impl Deal ===

impl Deal {
    fn new(cluster: &Cluster, topology: &Topology, n_slots: usize) -> Self {
        let mut deal = Deal {
            slots: vec![Vec::new(); n_slots].into(),
            spread: BTreeMap::new(),
            on_node: BTreeMap::new(),
        };
        for (executor, slot) in cluster.placement(&topology.id) {
            let here = deal.on_node.entry(slot.node.clone()).or_default();
            here.extend(topology.executors.get(executor).cloned());
        }
        let mut unplaced = cluster.unplaced(topology);
        unplaced.sort_by_key(|executor| (&topology.executors[executor], *executor));
        let mut turn = 0;
        for executor in unplaced {
            let component = &topology.executors[&executor];
            if topology.demand.wishes.constraints.is_spread(component) {
                let spread = deal.spread.entry(component.clone()).or_default();
                spread.push_back(executor);
            } else if n_slots > 0 {
                deal.slots[turn % n_slots].push(executor);
                turn += 1;
            }
        }
        deal
    }

    /// Fills a slot of a machine; whether there is more to fill.
    fn next(&mut self, cluster: &mut Cluster, topology: &Topology, node: &NodeId) -> bool {
        let Some(mut executors) = self.slots.pop_front() else {
            return false;
        };
        let is_last = self.slots.is_empty();
        let here = self.on_node.entry(node.clone()).or_default();
        for (component, waiting) in &mut self.spread {
            if is_last {
                executors.extend(waiting.drain(..));
            } else if !waiting.is_empty() && here.insert(component.clone()) {
                executors.extend(waiting.pop_front());
            }
        }
        let port = cluster.free_ports(node).and_then(BTreeSet::first).copied();
        if let Some(port) = port {
            let slot = Slot {
                node: node.clone(),
                port,
            };
            cluster
                .assign(&topology.id, &slot, &executors)
                .expect("the slot is free and the executors run nowhere");
        }
        !is_last
    }
}

fn too_many(n_max: usize, n_over: usize) -> String {
    format!(
        "Max Nodes({n_max}) for this user would be exceeded. {n_over} more nodes needed to run \
         topology."
    )
}

fn fewer(n_used: usize, n_declared: usize) -> String {
    format!("Running with fewer slots than requested ({n_used}/{n_declared})")
}

fn could_use(n_used: usize, n_declared: usize) -> String {
    format!("Fully Scheduled (requested {n_declared} slots, but could only use {n_used})")
}

/// Takes off a machine what topologies of this round run there.
fn clear(cluster: &mut Cluster, node: &NodeId) {
    let taking_part: Vec<TopologyId> = cluster
        .topologies()
        .iter()
        .map(|topology| topology.id.clone())
        .collect();
    for id in taking_part {
        let slots = cluster
            .slots(&id)
            .into_keys()
            .filter(|slot| slot.node == *node);
        let slots: BTreeSet<Slot> = slots.collect();
        if !slots.is_empty() {
            cluster.vacate(&id, &slots);
        }
    }
}

fn slots_of<'c>(
    cluster: &'c Cluster,
    node: &NodeId,
) -> impl Iterator<Item = (&'c Slot, &'c TopologyId)> {
    let slot = |port| Slot {
        node: node.clone(),
        port,
    };
    cluster.occupied().range(slot(0)..=slot(u16::MAX))
}

fn holders<'c>(cluster: &'c Cluster, node: &NodeId) -> BTreeSet<&'c TopologyId> {
    slots_of(cluster, node).map(|(_, holder)| holder).collect()
}

fn n_used(cluster: &Cluster, node: &NodeId) -> usize {
    slots_of(cluster, node).count()
}

fn n_used_by(cluster: &Cluster, node: &NodeId, topology: &TopologyId) -> usize {
    let slots = slots_of(cluster, node);
    slots.filter(|(_, holder)| *holder == topology).count()
}

fn n_free(cluster: &Cluster, node: &NodeId) -> usize {
    let ports = cluster.free_ports(node).filter(|_| cluster.is_open(node));
    ports.map_or(0, BTreeSet::len)
}

fn n_total(cluster: &Cluster, node: &NodeId) -> usize {
    n_free(cluster, node) + n_used(cluster, node)
}

#[cfg(test)]
mod tests;

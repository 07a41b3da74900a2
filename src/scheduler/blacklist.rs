//! Which supervisors get no new work because they were missing, or had dead slots, too often of
//! late; and which of them do after all when the others do not suffice (control-plane 6.4).
//!
//! What runs on a supervisor stays there. Pushes that failed do not count: ours are only nudges.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::id::NodeId;

use super::resources::Capacity;
use super::{Cluster, Supervisor};

/// Remembers over a window of turns who was bad.
#[derive(Debug)]
pub struct Blacklist {
    settings: Settings,
    /// Every supervisor heard of within the window, with the ports it was ever seen with.
    known: BTreeMap<NodeId, BTreeSet<u16>>,
    /// Bad since the last turn, with the ports that were missing.
    bad: BTreeMap<NodeId, BTreeSet<u16>>,
    window: VecDeque<BTreeMap<NodeId, BTreeSet<u16>>>,
    /// With the turns that are left of it.
    listed: BTreeMap<NodeId, u64>,
}

/// What the daemon's conf says, in turns: the periods of scheduling.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub window_turns: usize,
    /// In how many turns of the window a supervisor may be bad before it is listed.
    pub tolerated_turns: usize,
    pub listed_turns: u64,
    /// Whether a supervisor with a dead slot counts as bad.
    pub counts_slots: bool,
    pub relief: Relief,
}

/// When supervisors are let off the list before their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relief {
    /// When slots are scarce.
    Slots,
    /// When slots, or any resource, are scarce.
    Resources,
}

// === impl Blacklist ===

impl Blacklist {
    pub fn new(settings: Settings) -> Self {
        Blacklist {
            settings,
            known: BTreeMap::new(),
            bad: BTreeMap::new(),
            window: VecDeque::new(),
            listed: BTreeMap::new(),
        }
    }

    /// Who gets no new work.
    pub fn listed(&self) -> impl Iterator<Item = &NodeId> {
        self.listed.keys()
    }

    /// Notes who is missing, and whose slots are, in a round. Cheap.
    pub fn observe(&mut self, supervisors: &BTreeMap<NodeId, Supervisor>) {
        for (node, ports) in &self.known {
            if !supervisors.contains_key(node) {
                self.bad.insert(node.clone(), ports.clone());
            }
        }
        for (node, supervisor) in supervisors {
            let known = self.known.entry(node.clone()).or_default();
            let missing: BTreeSet<u16> = known.difference(&supervisor.ports).copied().collect();
            if self.settings.counts_slots && !missing.is_empty() {
                self.bad.entry(node.clone()).or_default().extend(missing);
            }
            known.extend(&supervisor.ports);
        }
    }

    /// A period of scheduling is over: lists who was bad too often, and lets go whose time is over.
    pub fn turn(&mut self) {
        self.listed.retain(|_, turns_left| {
            *turns_left = turns_left.saturating_sub(1);
            *turns_left > 0
        });
        self.window.push_back(std::mem::take(&mut self.bad));
        while self.window.len() > self.settings.window_turns {
            self.window.pop_front();
        }
        let mut n_bad: BTreeMap<&NodeId, usize> = BTreeMap::new();
        for node in self.window.iter().flat_map(BTreeMap::keys) {
            *n_bad.entry(node).or_default() += 1;
        }
        let n_tolerated = self.settings.tolerated_turns;
        for (node, _) in n_bad.into_iter().filter(|(_, n)| *n >= n_tolerated) {
            let turns = self.settings.listed_turns.max(1);
            self.listed.entry(node.clone()).or_insert(turns);
        }
        self.forget();
    }

    /// Keeps new work of this round away from listed supervisors, and from others on their hosts.
    pub fn apply(&mut self, cluster: &mut Cluster) {
        let relieved = self.relieved(cluster);
        for node in &relieved {
            self.listed.remove(node);
        }
        cluster.grey_list(relieved);
        let host = |node| Some(cluster.supervisors().get(node)?.host.clone());
        let hosts: BTreeSet<String> = self.listed.keys().filter_map(host).collect();
        if !hosts.is_empty() {
            cluster.blacklist_hosts(hosts);
        }
    }

    /// Supervisors that are needed all the same, whole hosts in order of their names.
    fn relieved(&self, cluster: &Cluster) -> BTreeSet<NodeId> {
        let mut relieved = BTreeSet::new();
        if self.listed.is_empty() {
            return relieved;
        }
        let mut hosts: BTreeMap<&str, Vec<&NodeId>> = BTreeMap::new();
        for node in self.listed.keys() {
            if let Some(supervisor) = cluster.supervisors().get(node) {
                hosts.entry(&supervisor.host).or_default().push(node);
            }
        }
        let mut shortage = match self.settings.relief {
            Relief::Slots => Shortage::of_slots(cluster, &self.listed),
            Relief::Resources => Shortage::of_resources(cluster, &self.listed),
        };
        for nodes in hosts.into_values() {
            if !shortage.is_there() {
                break;
            }
            for node in nodes {
                shortage.less(cluster, node);
                relieved.insert(node.clone());
            }
        }
        relieved
    }

    /// Supervisors and ports that were missing all through the window are gone, not bad.
    fn forget(&mut self) {
        if self.window.len() < self.settings.window_turns || self.window.is_empty() {
            return;
        }
        let mut always = self.window[0].clone();
        for bad in &self.window {
            always.retain(|node, ports| {
                let missing = bad.get(node);
                ports.retain(|port| missing.is_some_and(|missing| missing.contains(port)));
                missing.is_some()
            });
        }
        for (node, ports) in always {
            let Some(known) = self.known.get_mut(&node) else {
                continue;
            };
            known.retain(|port| !ports.contains(port));
            if known.is_empty() {
                self.known.remove(&node);
            }
        }
    }
}

/// What is lacking without the listed supervisors.
struct Shortage {
    n_slots: i64,
    /// None where resources do not count.
    resources: Option<Capacity>,
}

// === impl Shortage ===

impl Shortage {
    fn of_slots(cluster: &Cluster, listed: &BTreeMap<NodeId, u64>) -> Self {
        let needy = cluster.topologies().iter().filter(|t| cluster.is_needy(t));
        let needed = needy.map(|t| count(t.n_workers) - count(cluster.n_slots(&t.id)));
        Shortage {
            n_slots: needed.sum::<i64>() - n_free(cluster, listed),
            resources: None,
        }
    }

    fn of_resources(cluster: &Cluster, listed: &BTreeMap<NodeId, u64>) -> Self {
        let mut n_slots = -n_free(cluster, listed);
        let mut lacking = Capacity::default();
        let mut least_one = false;
        let needy = cluster.topologies().iter();
        for topology in needy.filter(|topology| cluster.lacks_executors(topology)) {
            let asked = topology.demand.requested(topology.executors.values());
            let n_workers = (asked.onheap_mb / topology.demand.wishes.heap_max_mb).ceil();
            // A cast from f64 saturates, and turns what is no number into 0.
            n_slots += n_workers as i64 - count(cluster.n_slots(&topology.id));
            lacking.add(&Capacity {
                memory_mb: asked.memory_mb(),
                cpu: asked.cpu,
                generic: asked.generic,
            });
            least_one = true;
        }
        if !least_one {
            n_slots = 0;
        }
        for (node, left) in left_on_nodes(cluster) {
            if !listed.contains_key(&node) {
                lacking.subtract(&left);
            }
        }
        Shortage {
            n_slots,
            resources: Some(lacking),
        }
    }

    fn is_there(&self) -> bool {
        self.n_slots > 0 || self.resources.as_ref().is_some_and(Capacity::is_any)
    }

    fn less(&mut self, cluster: &Cluster, node: &NodeId) {
        self.n_slots -= count(cluster.free_ports(node).map_or(0, BTreeSet::len));
        let supervisor = cluster.supervisors().get(node);
        if let (Some(lacking), Some(supervisor)) = (&mut self.resources, supervisor) {
            lacking.subtract(&supervisor.capacity);
        }
    }
}

/// What topologies leave of each supervisor's resources, but for what they share on nodes.
fn left_on_nodes(cluster: &Cluster) -> BTreeMap<NodeId, Capacity> {
    let supervisors = cluster.supervisors().iter();
    let mut left: BTreeMap<NodeId, Capacity> = supervisors
        .map(|(node, supervisor)| (node.clone(), supervisor.capacity.clone()))
        .collect();
    let topologies = cluster.topologies().iter().chain(cluster.bystanders());
    for topology in topologies {
        for (slot, executors) in cluster.slots(&topology.id) {
            let components = executors.iter().filter_map(|e| topology.executors.get(e));
            let asked = topology.demand.requested(components);
            if let Some(left) = left.get_mut(&slot.node) {
                left.subtract(&Capacity {
                    memory_mb: asked.memory_mb(),
                    cpu: asked.cpu,
                    generic: asked.generic,
                });
            }
        }
    }
    left
}

fn n_free(cluster: &Cluster, listed: &BTreeMap<NodeId, u64>) -> i64 {
    let usable = cluster
        .supervisors()
        .keys()
        .filter(|node| !listed.contains_key(*node));
    let n_free = usable.map(|node| cluster.free_ports(node).map_or(0, BTreeSet::len));
    count(n_free.sum())
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;

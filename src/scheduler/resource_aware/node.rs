//! The board that a resource-aware round plays on: nodes with their slots, what is used on each and
//! what is left, and the topologies with their executors.
//!
//! Sums are made anew from the parts whenever a slot changes, so that no rounding adds up over a
//! search. Which executor goes where is the search's business.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{ComponentId, ExecutorId, NodeId, Slot};
use crate::scheduler::demand::{Crowding, Demand};
use crate::scheduler::{Cluster, Topology, java_order};
use crate::topology;

use super::amounts::{Ask, Names, Offer};

/// Everything a round knows.
pub struct Board<'a> {
    pub names: Names,
    pub nodes: Vec<Node>,
    pub hosts: Vec<Host>,
    pub racks: Vec<Rack>,
    pub topologies: Vec<Held<'a>>,
    /// Supervisors that were let out of the blacklist for want of others: used last.
    pub grey: Vec<usize>,
    cpu_min: f64,
    by_id: BTreeMap<NodeId, usize>,
}

/// A supervisor.
pub struct Node {
    pub id: NodeId,
    pub host: usize,
    pub rack: usize,
    /// Not blacklisted: new work may go there.
    pub is_open: bool,
    pub total: Offer,
    /// What no worker uses.
    pub available: Offer,
    pub slots: Vec<Port>,
    /// Where its id stands among those of all nodes.
    pub turn: usize,
    /// Memory that topologies share on this node, off the heap.
    shared_mb: BTreeMap<usize, f64>,
    hash: i32,
}

/// One port of a node.
pub struct Port {
    pub number: u16,
    /// The supervisor lists it, and it is not dead in this round.
    pub is_offered: bool,
    pub used: Option<Used>,
}

/// What a slot holds.
pub struct Used {
    pub topology: usize,
    /// Executors of each component.
    pub counts: Vec<(usize, u32)>,
    pub ask: Ask,
}

/// Supervisors of one host.
pub struct Host {
    pub name: String,
    pub nodes: Vec<usize>,
    /// Where its name stands among those of all hosts.
    pub turn: usize,
}

/// Hosts of one rack.
pub struct Rack {
    pub name: String,
    pub hosts: Vec<usize>,
    /// Where its name stands among those of all racks.
    pub turn: usize,
}

/// A topology and where its executors are.
pub struct Held<'a> {
    pub topology: &'a Topology,
    /// What an executor of each component asks for.
    pub asks: Vec<Ask>,
    /// Executors that run: node and port by place. Those on nodes that are gone have none.
    pub placed: BTreeMap<ExecutorId, Option<Spot>>,
}

/// A port of a node, both by place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    pub node: usize,
    pub port: usize,
}

// === impl Board ===

impl<'a> Board<'a> {
    /// Sets up a round. Bystanders hold what they have and take no part.
    pub fn new(cluster: &'a Cluster, cpu_min: f64) -> Self {
        let players = cluster.topologies().iter();
        let all: Vec<&Topology> = players.chain(cluster.bystanders()).collect();
        let asked = all.iter().flat_map(|t| &t.demand.components);
        let asked = asked.flat_map(|component| component.request.generic.keys());
        let offered = cluster.supervisors().values();
        let offered = offered.flat_map(|supervisor| supervisor.capacity.generic.keys());
        let mut board = Board {
            names: Names::of(asked.chain(offered)),
            nodes: Vec::new(),
            hosts: Vec::new(),
            racks: Vec::new(),
            topologies: Vec::new(),
            grey: Vec::new(),
            cpu_min,
            by_id: BTreeMap::new(),
        };
        board.set_up_nodes(cluster);
        for (at, topology) in all.into_iter().enumerate() {
            board.hold(at, topology, cluster);
        }
        for node in 0..board.nodes.len() {
            board.close_foreign(node, cluster);
            board.settle(node);
        }
        board
    }

    /// A supervisor's place.
    pub fn place(&self, node: &NodeId) -> Option<usize> {
        self.by_id.get(node).copied()
    }

    /// A place as others name it.
    pub fn slot(&self, spot: Spot) -> Slot {
        let node = &self.nodes[spot.node];
        Slot {
            node: node.id.clone(),
            port: node.slots[spot.port].number,
        }
    }

    /// Ports of a node that carry nothing, in the order in which Storm tries them.
    pub fn free_ports(&self, node: usize) -> Vec<usize> {
        let node = &self.nodes[node];
        let hash = |port: &usize| java_order::slot_hash(node.hash, node.slots[*port].number);
        let is_free = |port: &usize| node.slots[*port].used.is_none();
        let mut ports: Vec<usize> = (0..node.slots.len())
            .filter(|port| node.slots[*port].is_offered)
            .collect();
        // Storm keeps all slots in a table by their ids, and the free ones in another.
        let by_id = |port: &usize| {
            java_order::text_hash(&format!("{}:{}", node.id, node.slots[*port].number))
        };
        let n_buckets = java_order::grown(node.slots.len());
        java_order::arrange(&mut ports, n_buckets, by_id);
        ports.retain(is_free);
        let n_buckets = java_order::grown(ports.len());
        java_order::arrange(&mut ports, n_buckets, hash);
        ports
    }

    /// Whether an executor of a component could ever find room on a node as it is.
    pub fn could_fit(&self, topology: usize, component: usize, node: usize) -> bool {
        let node = &self.nodes[node];
        let ask = &self.topologies[topology].asks[component];
        node.is_open && node.available.could_fit(ask, self.cpu_min)
    }

    /// Whether an executor of a component fits into a slot that is free or its topology's.
    pub fn fits(&self, topology: usize, component: usize, spot: Spot) -> bool {
        if !self.could_fit(topology, component, spot.node) {
            return false;
        }
        let node = &self.nodes[spot.node];
        let demand = self.demand(topology);
        let used = node.slots[spot.port].used.as_ref();
        let used = used.filter(|used| used.topology == topology);
        let mut counts = used.map_or_else(Vec::new, |used| used.counts.clone());
        let (before_cpu, before_mb) =
            used.map_or((0.0, 0.0), |used| (used.ask.cpu, used.ask.memory_mb()));
        count(&mut counts, component);
        let after = self.ask(topology, &counts);
        let mut added_mb = after.memory_mb() - before_mb;
        if demand.shares_on_nodes() {
            let mut on_node = self.counts_on(topology, spot.node);
            count(&mut on_node, component);
            let before = node.shared_mb.get(&topology).copied().unwrap_or(0.0);
            added_mb += demand.shared_on_node(&on_node) - before;
        }
        if after.cpu - before_cpu > node.available.cpu
            || added_mb > node.available.memory_mb
            || after.onheap_mb > demand.wishes.heap_max_mb
        {
            return false;
        }
        match demand.wishes.crowding {
            Crowding::Free => true,
            Crowding::OneExecutorPerWorker => used.is_none(),
            Crowding::OneComponentPerWorker => counts.len() <= 1,
        }
    }

    /// Puts an executor into a slot that is free or its topology's.
    pub fn put(&mut self, topology: usize, executor: ExecutorId, component: usize, spot: Spot) {
        let old = self.topologies[topology]
            .placed
            .insert(executor, Some(spot));
        assert!(old.is_none(), "an executor is placed once");
        let port = &mut self.nodes[spot.node].slots[spot.port];
        let used = port.used.get_or_insert_with(|| Used {
            topology,
            counts: Vec::new(),
            ask: Ask::default(),
        });
        assert_eq!(used.topology, topology, "a slot has one topology");
        count(&mut used.counts, component);
        self.reckon(topology, spot);
    }

    /// Takes an executor from where it is.
    pub fn remove(&mut self, topology: usize, executor: ExecutorId, component: usize) {
        let Some(Some(spot)) = self.topologies[topology].placed.remove(&executor) else {
            return;
        };
        let port = &mut self.nodes[spot.node].slots[spot.port];
        let used = port.used.as_mut().expect("an executor is there");
        let place = used.counts.iter().position(|(c, _)| *c == component);
        let place = place.expect("an executor of the component is there");
        used.counts[place].1 -= 1;
        if used.counts[place].1 == 0 {
            used.counts.remove(place);
        }
        if used.counts.is_empty() {
            port.used = None;
        }
        self.reckon(topology, spot);
    }

    /// Executors of each component of a topology on a node.
    pub fn counts_on(&self, topology: usize, node: usize) -> Vec<(usize, u32)> {
        let mut counts: Vec<(usize, u32)> = Vec::new();
        let used = self.nodes[node]
            .slots
            .iter()
            .filter_map(|p| p.used.as_ref());
        for used in used.filter(|used| used.topology == topology) {
            for (component, n) in &used.counts {
                match counts.iter_mut().find(|(c, _)| c == component) {
                    Some((_, sum)) => *sum += n,
                    None => counts.push((*component, *n)),
                }
            }
        }
        counts
    }

    /// Sum of what some executors of a topology ask for, without what they share.
    pub fn asked(&self, topology: usize, executors: impl Iterator<Item = ExecutorId>) -> Ask {
        let held = &self.topologies[topology];
        let mut counts = vec![0u32; held.asks.len()];
        for component in executors.filter_map(|executor| held.component(executor)) {
            counts[component] += 1;
        }
        let mut sum = self.names.no_ask();
        for (ask, n) in held.asks.iter().zip(counts) {
            sum.add(ask, f64::from(n));
        }
        sum
    }

    /// Memory that a topology uses: of its workers, and what it shares on nodes.
    pub fn used_mb(&self, topology: usize) -> f64 {
        let spots: BTreeSet<Spot> = self.topologies[topology]
            .placed
            .values()
            .filter_map(|spot| *spot)
            .collect();
        let nodes: BTreeSet<usize> = spots.iter().map(|spot| spot.node).collect();
        let of_worker = |spot: &Spot| {
            let used = &self.nodes[spot.node].slots[spot.port].used;
            used.as_ref().map_or(0.0, |used| used.ask.memory_mb())
        };
        let of_node = |node: &usize| {
            let shared = self.nodes[*node].shared_mb.get(&topology);
            shared.copied().unwrap_or(0.0)
        };
        spots.iter().map(of_worker).sum::<f64>() + nodes.iter().map(of_node).sum::<f64>()
    }

    /// What no worker uses, on all nodes that may be given work.
    pub fn available(&self) -> Offer {
        let mut sum = self.names.nothing();
        for node in self.nodes.iter().filter(|node| node.is_open) {
            sum.add(&node.available);
        }
        sum
    }

    pub fn demand(&self, topology: usize) -> &'a Demand {
        &self.topologies[topology].topology.demand
    }

    fn set_up_nodes(&mut self, cluster: &Cluster) {
        let mut hosts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut racks: BTreeMap<&str, usize> = BTreeMap::new();
        for (id, supervisor) in cluster.supervisors() {
            let rack = *racks.entry(&supervisor.rack).or_insert_with(|| {
                let name = supervisor.rack.clone();
                self.racks.push(Rack {
                    name,
                    hosts: Vec::new(),
                    turn: 0,
                });
                self.racks.len() - 1
            });
            let host = *hosts.entry(&supervisor.host).or_insert_with(|| {
                let name = supervisor.host.clone();
                self.hosts.push(Host {
                    name,
                    nodes: Vec::new(),
                    turn: 0,
                });
                self.hosts.len() - 1
            });
            let place = self.nodes.len();
            let is_open = cluster.is_open(id);
            // Nodes that may not be used are not ranked.
            if is_open {
                self.hosts[host].nodes.push(place);
                if !self.racks[rack].hosts.contains(&host) {
                    self.racks[rack].hosts.push(host);
                }
            }
            let port = |number: &u16| Port {
                number: *number,
                is_offered: true,
                used: None,
            };
            self.nodes.push(Node {
                id: id.clone(),
                host,
                rack,
                is_open,
                total: self.names.offer(&supervisor.capacity),
                available: Offer::default(),
                slots: supervisor.ports.iter().map(port).collect(),
                turn: 0,
                shared_mb: BTreeMap::new(),
                hash: java_order::text_hash(id.as_str()),
            });
            self.by_id.insert(id.clone(), place);
        }
        for (turn, place) in by_name(&self.racks, |rack| &rack.name) {
            self.racks[place].turn = turn;
        }
        for (turn, place) in by_name(&self.hosts, |host| &host.name) {
            self.hosts[place].turn = turn;
        }
        for (turn, place) in by_name(&self.nodes, |node| node.id.as_str()) {
            self.nodes[place].turn = turn;
        }
        self.grey = cluster
            .grey()
            .iter()
            .filter_map(|id| self.place(id))
            .collect();
    }

    fn hold(&mut self, at: usize, topology: &'a Topology, cluster: &Cluster) {
        let demand = &topology.demand;
        let asks = demand.components.iter().map(|c| self.names.ask(&c.request));
        let mut held = Held {
            topology,
            asks: asks.collect(),
            placed: BTreeMap::new(),
        };
        let mut last: Option<(&Slot, Option<Spot>)> = None;
        let mut spots = BTreeSet::new();
        for (executor, slot) in cluster.placement(&topology.id) {
            let spot = match last {
                Some((known, spot)) if known == slot => spot,
                _ => self.spot(slot),
            };
            last = Some((slot, spot));
            held.placed.insert(*executor, spot);
            let (Some(spot), Some(component)) = (spot, held.component(*executor)) else {
                continue;
            };
            spots.insert(spot);
            let port = &mut self.nodes[spot.node].slots[spot.port];
            let used = port.used.get_or_insert_with(|| Used {
                topology: at,
                counts: Vec::new(),
                ask: Ask::default(),
            });
            count(&mut used.counts, component);
        }
        self.topologies.push(held);
        let mut nodes = BTreeSet::new();
        for spot in spots {
            self.reckon_slot(at, spot);
            nodes.insert(spot.node);
        }
        for node in nodes {
            self.reckon_shared(at, node);
        }
    }

    /// Ports that hold a topology of which nothing is known are none to give.
    fn close_foreign(&mut self, node: usize, cluster: &Cluster) {
        let node = &mut self.nodes[node];
        let free = cluster.free_ports(&node.id);
        for port in node.slots.iter_mut().filter(|port| port.used.is_none()) {
            port.is_offered &= free.is_some_and(|free| free.contains(&port.number));
        }
    }

    /// The place of a slot; a port that its supervisor does not offer is there all the same.
    fn spot(&mut self, slot: &Slot) -> Option<Spot> {
        let node = self.place(&slot.node)?;
        let slots = &mut self.nodes[node].slots;
        let port = slots.iter().position(|port| port.number == slot.port);
        let port = port.unwrap_or_else(|| {
            slots.push(Port {
                number: slot.port,
                is_offered: false,
                used: None,
            });
            slots.len() - 1
        });
        Some(Spot { node, port })
    }

    /// A slot of this topology changed.
    fn reckon(&mut self, topology: usize, spot: Spot) {
        self.reckon_slot(topology, spot);
        self.reckon_shared(topology, spot.node);
        self.settle(spot.node);
    }

    fn reckon_slot(&mut self, topology: usize, spot: Spot) {
        let port = &mut self.nodes[spot.node].slots[spot.port];
        let Some(mut used) = port.used.take() else {
            return;
        };
        used.ask = self.ask(topology, &used.counts);
        self.nodes[spot.node].slots[spot.port].used = Some(used);
    }

    fn reckon_shared(&mut self, topology: usize, node: usize) {
        let demand = self.demand(topology);
        if !demand.shares_on_nodes() {
            return;
        }
        let shared_mb = demand.shared_on_node(&self.counts_on(topology, node));
        if shared_mb > 0.0 {
            self.nodes[node].shared_mb.insert(topology, shared_mb);
        } else {
            self.nodes[node].shared_mb.remove(&topology);
        }
    }

    fn settle(&mut self, node: usize) {
        let mut sum = self.names.no_ask();
        let node = &mut self.nodes[node];
        for used in node.slots.iter().filter_map(|port| port.used.as_ref()) {
            sum.add(&used.ask, 1.0);
        }
        sum.offheap_mb += node.shared_mb.values().sum::<f64>();
        node.available.clone_from(&node.total);
        node.available.take(&sum);
    }

    /// What a worker with these executors takes.
    fn ask(&self, topology: usize, counts: &[(usize, u32)]) -> Ask {
        let asks = &self.topologies[topology].asks;
        let mut ask = self.names.no_ask();
        for (component, n) in counts {
            ask.add(&asks[*component], f64::from(*n));
        }
        let (onheap_mb, offheap_mb) = self.demand(topology).shared_in_worker(counts);
        ask.onheap_mb += onheap_mb;
        ask.offheap_mb += offheap_mb;
        ask.cpu = ask.cpu.max(self.cpu_min);
        ask
    }
}

// === impl Held ===

impl Held<'_> {
    /// The place of an executor's component.
    pub fn component(&self, executor: ExecutorId) -> Option<usize> {
        let id: &ComponentId = self.topology.executors.get(&executor)?;
        self.topology.demand.place(id)
    }

    /// Executors that run nowhere, in order.
    pub fn unplaced(&self) -> Vec<ExecutorId> {
        let executors = self.topology.executors.keys().copied();
        executors
            .filter(|executor| !self.placed.contains_key(executor))
            .collect()
    }
}

/// Places in the order of their names, numbered: rankings compare numbers, not texts.
fn by_name<T, F: Fn(&T) -> &str>(
    items: &[T],
    name: F,
) -> impl Iterator<Item = (usize, usize)> + use<T, F> {
    let mut places: Vec<usize> = (0..items.len()).collect();
    places.sort_by(|a, b| topology::java_order(name(&items[*a]), name(&items[*b])));
    places.into_iter().enumerate()
}

/// Counts one more executor of a component.
fn count(counts: &mut Vec<(usize, u32)>, component: usize) {
    match counts.iter_mut().find(|(c, _)| *c == component) {
        Some((_, n)) => *n += 1,
        None => counts.push((component, 1)),
    }
}

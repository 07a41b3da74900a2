//! Scheduling as a pure function: a snapshot of the cluster in, assignments out.
//!
//! Who is alive, when a round runs and what becomes of its result is Nimbus's business. The
//! schedulers that judge resources, isolate machines or avoid bad supervisors are not here yet;
//! they will implement `Scheduler` and wrap one another.

pub mod even;

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{ComponentId, ExecutorId, NodeId, Slot, TopologyId};

/// Where each executor of a topology runs.
pub type Placement = BTreeMap<ExecutorId, Slot>;

/// Places what is not placed yet.
pub trait Scheduler: Send {
    /// Runs one round over `cluster`. State kept between rounds belongs to the scheduler.
    fn schedule(&mut self, cluster: &mut Cluster);
}

/// A supervisor that is alive in this round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervisor {
    pub host: String,
    /// Ports that may carry workers, without those judged dead in this round.
    pub ports: BTreeSet<u16>,
}

/// A topology that may be scheduled in this round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    pub id: TopologyId,
    /// Workers asked for. Fewer are used when slots or executors are scarce.
    pub n_workers: usize,
    pub executors: BTreeMap<ExecutorId, ComponentId>,
}

/// The snapshot that a round works on, and its result.
///
/// A slot carries workers of one topology only, and an executor is placed at most once: `assign`
/// refuses anything else.
#[derive(Clone, Debug)]
pub struct Cluster {
    supervisors: BTreeMap<NodeId, Supervisor>,
    topologies: Vec<Topology>,
    placements: BTreeMap<TopologyId, Placement>,
    occupied: BTreeMap<Slot, TopologyId>,
    /// Ports that carry nothing, of supervisors that may be given work.
    free: BTreeMap<NodeId, BTreeSet<u16>>,
    n_free: usize,
    blacklisted_hosts: BTreeSet<String>,
    statuses: BTreeMap<TopologyId, String>,
}

/// Why executors cannot be put onto a slot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssignError {
    #[error("slot [{slot}] is taken by topology [{holder}]")]
    SlotTaken { slot: Slot, holder: TopologyId },
    #[error("executor {executor} of topology [{topology}] runs on slot [{slot}] already")]
    ExecutorPlaced {
        topology: TopologyId,
        executor: ExecutorId,
        slot: Slot,
    },
}

// === impl Cluster ===

impl Cluster {
    /// A snapshot. `topologies` are served in the order given. `existing` holds the executors that
    /// are alive, also those of topologies that this round leaves alone and those on supervisors
    /// that are gone. What `existing` places onto a slot of another topology counts as not placed,
    /// and so do executors that a topology of this round does not have.
    pub fn new(
        supervisors: BTreeMap<NodeId, Supervisor>,
        topologies: Vec<Topology>,
        existing: BTreeMap<TopologyId, Placement>,
    ) -> Self {
        let mut cluster = Cluster {
            supervisors,
            topologies,
            placements: BTreeMap::new(),
            occupied: BTreeMap::new(),
            free: BTreeMap::new(),
            n_free: 0,
            blacklisted_hosts: BTreeSet::new(),
            statuses: BTreeMap::new(),
        };
        cluster.keep(existing);
        cluster.count_free();
        cluster
    }

    /// Keeps new work away from supervisors on these hosts. What runs there stays.
    pub fn blacklist_hosts(&mut self, hosts: BTreeSet<String>) {
        self.blacklisted_hosts = hosts;
        self.count_free();
    }

    pub fn topologies(&self) -> &[Topology] {
        &self.topologies
    }

    pub fn supervisors(&self) -> &BTreeMap<NodeId, Supervisor> {
        &self.supervisors
    }

    /// Topologies with too few workers or with executors that run nowhere, in the order of service.
    pub fn needs_scheduling(&self) -> Vec<TopologyId> {
        let needy = |topology: &&Topology| self.is_needy(topology);
        self.topologies
            .iter()
            .filter(needy)
            .map(|topology| topology.id.clone())
            .collect()
    }

    fn is_needy(&self, topology: &Topology) -> bool {
        let Some(placement) = self.placements.get(&topology.id) else {
            return topology.n_workers > 0 || !topology.executors.is_empty();
        };
        let slots: BTreeSet<&Slot> = placement.values().collect();
        topology.n_workers > slots.len() || topology.executors.len() > placement.len()
    }

    /// Where the executors of a topology run; empty when nowhere.
    pub fn placement(&self, topology: &TopologyId) -> impl Iterator<Item = (&ExecutorId, &Slot)> {
        self.placements.get(topology).into_iter().flatten()
    }

    /// The slots that a topology uses, with their executors in order.
    pub fn slots(&self, topology: &TopologyId) -> BTreeMap<Slot, Vec<ExecutorId>> {
        let mut slots: BTreeMap<Slot, Vec<ExecutorId>> = BTreeMap::new();
        for (&executor, slot) in self.placement(topology) {
            slots.entry(slot.clone()).or_default().push(executor);
        }
        slots
    }

    /// Executors of `topology` that run nowhere, in order.
    pub fn unplaced(&self, topology: &Topology) -> Vec<ExecutorId> {
        let placement = self.placements.get(&topology.id);
        let is_unplaced = |executor: &&ExecutorId| {
            placement.is_none_or(|placement| !placement.contains_key(executor))
        };
        topology
            .executors
            .keys()
            .filter(is_unplaced)
            .copied()
            .collect()
    }

    /// Whether a slot could be given to another worker once it is freed: its supervisor is alive,
    /// still has the port, and is not blacklisted.
    pub fn is_reassignable(&self, slot: &Slot) -> bool {
        self.supervisors.get(&slot.node).is_some_and(|supervisor| {
            supervisor.ports.contains(&slot.port)
                && !self.blacklisted_hosts.contains(&supervisor.host)
        })
    }

    pub fn n_free_slots(&self) -> usize {
        self.n_free
    }

    /// The first `n_max` free slots in Storm's order: nodes with more free slots first (then by
    /// id), one slot of each node in turn, lowest port first.
    pub fn free_slots(&self, n_max: usize) -> Vec<Slot> {
        let mut nodes: Vec<(&NodeId, Vec<u16>)> = self
            .free
            .iter()
            .filter(|(_, ports)| !ports.is_empty())
            .map(|(node, ports)| (node, ports.iter().copied().take(n_max).collect()))
            .collect();
        let n_free_of = |node: &NodeId| self.free.get(node).map_or(0, BTreeSet::len);
        nodes.sort_by_key(|(node, _)| std::cmp::Reverse(n_free_of(node)));
        let mut slots = Vec::new();
        for turn in 0.. {
            let n_before = slots.len();
            for (node, ports) in &nodes {
                let Some(&port) = ports.get(turn) else { break };
                if slots.len() == n_max {
                    return slots;
                }
                let node = (*node).clone();
                slots.push(Slot { node, port });
            }
            if slots.len() == n_before {
                break;
            }
        }
        slots
    }

    /// Puts executors of a topology onto a slot, or changes nothing.
    pub fn assign(
        &mut self,
        topology: &TopologyId,
        slot: &Slot,
        executors: &[ExecutorId],
    ) -> Result<(), AssignError> {
        self.check(topology, slot, executors)?;
        if executors.is_empty() {
            return Ok(());
        }
        self.occupied.insert(slot.clone(), topology.clone());
        let ports = self.free.get_mut(&slot.node);
        if ports.is_some_and(|ports| ports.remove(&slot.port)) {
            self.n_free -= 1;
        }
        let placement = self.placements.entry(topology.clone()).or_default();
        placement.extend(executors.iter().map(|&executor| (executor, slot.clone())));
        Ok(())
    }

    fn check(
        &self,
        topology: &TopologyId,
        slot: &Slot,
        executors: &[ExecutorId],
    ) -> Result<(), AssignError> {
        if let Some(holder) = self.occupied.get(slot).filter(|holder| *holder != topology) {
            let (slot, holder) = (slot.clone(), holder.clone());
            return Err(AssignError::SlotTaken { slot, holder });
        }
        let Some(placement) = self.placements.get(topology) else {
            return Ok(());
        };
        match executors
            .iter()
            .find_map(|e| placement.get(e).map(|slot| (*e, slot.clone())))
        {
            Some((executor, slot)) => Err(AssignError::ExecutorPlaced {
                topology: topology.clone(),
                executor,
                slot,
            }),
            None => Ok(()),
        }
    }

    /// Takes whatever a topology runs off these slots.
    pub fn vacate(&mut self, topology: &TopologyId, slots: &BTreeSet<Slot>) {
        if let Some(placement) = self.placements.get_mut(topology) {
            placement.retain(|_, slot| !slots.contains(slot));
        }
        for slot in slots {
            if self.occupied.get(slot) != Some(topology) {
                continue;
            }
            self.occupied.remove(slot);
            if self.is_reassignable(slot) {
                let ports = self.free.entry(slot.node.clone()).or_default();
                self.n_free += usize::from(ports.insert(slot.port));
            }
        }
    }

    /// A line for people about how the scheduling of a topology went.
    pub fn set_status(&mut self, topology: &TopologyId, status: String) {
        self.statuses.insert(topology.clone(), status);
    }

    pub fn statuses(&self) -> &BTreeMap<TopologyId, String> {
        &self.statuses
    }

    /// The result: every topology that runs anywhere, also those that the round left alone.
    pub fn into_placements(self) -> BTreeMap<TopologyId, Placement> {
        self.placements
    }

    fn keep(&mut self, existing: BTreeMap<TopologyId, Placement>) {
        let known: BTreeMap<&TopologyId, &Topology> = self
            .topologies
            .iter()
            .map(|topology| (&topology.id, topology))
            .collect();
        for (id, mut placement) in existing {
            let topology = known.get(&id);
            placement.retain(|executor, slot| {
                let is_ours = topology.is_none_or(|t| t.executors.contains_key(executor));
                is_ours
                    && *self
                        .occupied
                        .entry(slot.clone())
                        .or_insert_with(|| id.clone())
                        == id
            });
            if !placement.is_empty() {
                self.placements.insert(id, placement);
            }
        }
    }

    fn count_free(&mut self) {
        let mut free = BTreeMap::new();
        for (node, supervisor) in &self.supervisors {
            if self.blacklisted_hosts.contains(&supervisor.host) {
                continue;
            }
            let mut ports = supervisor.ports.clone();
            let taken = Slot {
                node: node.clone(),
                port: 0,
            }..=Slot {
                node: node.clone(),
                port: u16::MAX,
            };
            for slot in self.occupied.range(taken).map(|(slot, _)| slot) {
                ports.remove(&slot.port);
            }
            free.insert(node.clone(), ports);
        }
        self.n_free = free.values().map(BTreeSet::len).sum();
        self.free = free;
    }
}

#[cfg(test)]
mod tests;

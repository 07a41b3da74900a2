//! Scheduling as a pure function: a snapshot of the cluster in, assignments out.
//!
//! Who is alive, when a round runs and what becomes of its result is Nimbus's business.

pub mod blacklist;
pub mod choice;
pub mod demand;
pub mod even;
mod free;
pub mod isolation;
pub mod java_order;
pub mod multitenant;
pub mod resource_aware;
pub mod resources;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::id::{ComponentId, ExecutorId, NodeId, Slot, TopologyId};

use demand::Demand;
use free::FreeSlots;
use resources::Capacity;

/// Where each executor of a topology runs.
pub type Placement = BTreeMap<ExecutorId, Slot>;

/// Places what is not placed yet.
pub trait Scheduler: Send {
    /// Runs one round over `cluster`. State kept between rounds belongs to the scheduler.
    fn schedule(&mut self, cluster: &mut Cluster);

    /// Whether a round may come out otherwise only because time has passed.
    fn depends_on_time(&self) -> bool {
        false
    }
}

/// A supervisor that is alive in this round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Supervisor {
    pub host: String,
    /// Where its host stands, as the network topography says.
    pub rack: String,
    /// Ports that may carry workers, without those judged dead in this round.
    pub ports: BTreeSet<u16>,
    pub capacity: Capacity,
    pub uptime_secs: i64,
}

/// A topology that may be scheduled in this round.
#[derive(Clone, Debug)]
pub struct Topology {
    pub id: TopologyId,
    pub name: String,
    /// Who is served with it, where users are told apart.
    pub owner: Option<String>,
    /// Since it was submitted.
    pub uptime_secs: i64,
    /// Workers asked for. Fewer are used when slots or executors are scarce.
    pub n_workers: usize,
    pub executors: Arc<BTreeMap<ExecutorId, ComponentId>>,
    pub demand: Arc<Demand>,
}

/// Where a topology runs, as it is kept between rounds: executors, and the slots that they use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub placement: Arc<Placement>,
    pub slots: Arc<BTreeSet<Slot>>,
}

/// The snapshot that a round works on, and its result.
///
/// A slot carries workers of one topology only, and an executor is placed at most once: `assign`
/// refuses anything else.
#[derive(Clone, Debug)]
pub struct Cluster {
    supervisors: BTreeMap<NodeId, Supervisor>,
    topologies: Vec<Topology>,
    bystanders: Vec<Topology>,
    standings: BTreeMap<TopologyId, Standing>,
    occupied: BTreeMap<Slot, TopologyId>,
    free: FreeSlots,
    blacklisted_hosts: BTreeSet<String>,
    grey: BTreeSet<NodeId>,
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

// === impl Standing ===

impl Standing {
    /// What of it may stand: on slots that nobody else has, of executors that there are.
    fn kept(self, topology: Option<&Topology>, occupied: &BTreeMap<Slot, TopologyId>) -> Self {
        let is_known = |executor: &ExecutorId| {
            topology.is_none_or(|topology| topology.executors.contains_key(executor))
        };
        let is_taken = |slot: &Slot| occupied.contains_key(slot);
        if !self.slots.iter().any(is_taken) && self.placement.keys().all(is_known) {
            return self;
        }
        let mut placement = Arc::unwrap_or_clone(self.placement);
        placement.retain(|executor, slot| is_known(executor) && !is_taken(slot));
        Standing::from(placement)
    }
}

impl From<Placement> for Standing {
    fn from(placement: Placement) -> Self {
        Standing {
            slots: Arc::new(placement.values().cloned().collect()),
            placement: Arc::new(placement),
        }
    }
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
        existing: BTreeMap<TopologyId, impl Into<Standing>>,
    ) -> Self {
        let known: BTreeMap<&TopologyId, &Topology> = topologies
            .iter()
            .map(|topology| (&topology.id, topology))
            .collect();
        let mut standings = BTreeMap::new();
        let mut occupied = BTreeMap::new();
        for (id, standing) in existing {
            let standing = standing.into().kept(known.get(&id).copied(), &occupied);
            if standing.placement.is_empty() {
                continue;
            }
            occupied.extend(standing.slots.iter().map(|slot| (slot.clone(), id.clone())));
            standings.insert(id, standing);
        }
        let mut cluster = Cluster {
            supervisors,
            topologies,
            bystanders: Vec::new(),
            standings,
            occupied,
            free: FreeSlots::default(),
            blacklisted_hosts: BTreeSet::new(),
            grey: BTreeSet::new(),
            statuses: BTreeMap::new(),
        };
        cluster.count_free();
        cluster
    }

    /// Topologies that this round leaves alone, and what they ask for: what they use is taken.
    pub fn with_bystanders(mut self, bystanders: Vec<Topology>) -> Self {
        self.bystanders = bystanders;
        self
    }

    /// What was told of topologies before this round.
    pub fn with_statuses(mut self, statuses: BTreeMap<TopologyId, String>) -> Self {
        self.statuses = statuses;
        self
    }

    /// Keeps new work away from supervisors on these hosts. What runs there stays.
    pub fn blacklist_hosts(&mut self, hosts: BTreeSet<String>) {
        self.blacklisted_hosts = hosts;
        self.count_free();
    }

    /// Supervisors that would be kept away from if others sufficed: used last, by schedulers that
    /// tell nodes apart.
    pub fn grey_list(&mut self, nodes: BTreeSet<NodeId>) {
        self.grey = nodes;
    }

    pub fn grey(&self) -> &BTreeSet<NodeId> {
        &self.grey
    }

    pub fn blacklisted_hosts(&self) -> &BTreeSet<String> {
        &self.blacklisted_hosts
    }

    pub fn is_blacklisted_host(&self, host: &str) -> bool {
        self.blacklisted_hosts.contains(host)
    }

    /// Whether a supervisor is alive and may be given work.
    pub fn is_open(&self, node: &NodeId) -> bool {
        let supervisor = self.supervisors.get(node);
        supervisor.is_some_and(|supervisor| !self.is_blacklisted_host(&supervisor.host))
    }

    /// Ports of an open supervisor that carry nothing.
    pub fn free_ports(&self, node: &NodeId) -> Option<&BTreeSet<u16>> {
        self.free.of(node)
    }

    pub fn bystanders(&self) -> &[Topology] {
        &self.bystanders
    }

    /// Who uses which slot.
    pub fn occupied(&self) -> &BTreeMap<Slot, TopologyId> {
        &self.occupied
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

    /// Whether a topology has too few workers or executors that run nowhere.
    pub fn is_needy(&self, topology: &Topology) -> bool {
        topology.n_workers > self.n_slots(&topology.id) || self.lacks_executors(topology)
    }

    /// Whether executors of a topology run nowhere.
    pub fn lacks_executors(&self, topology: &Topology) -> bool {
        let standing = self.standings.get(&topology.id);
        topology.executors.len() > standing.map_or(0, |standing| standing.placement.len())
    }

    /// How many slots a topology uses.
    pub fn n_slots(&self, topology: &TopologyId) -> usize {
        let standing = self.standings.get(topology);
        standing.map_or(0, |standing| standing.slots.len())
    }

    /// Where the executors of a topology run; empty when nowhere.
    pub fn placement(&self, topology: &TopologyId) -> impl Iterator<Item = (&ExecutorId, &Slot)> {
        let standing = self.standings.get(topology).into_iter();
        standing.flat_map(|standing| standing.placement.iter())
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
        let standing = self.standings.get(&topology.id);
        let placement = standing.map(|standing| &standing.placement);
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
        self.free.n_free()
    }

    /// The first `n_max` free slots in Storm's order.
    pub fn free_slots(&self, n_max: usize) -> Vec<Slot> {
        self.free.first(n_max)
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
        self.free.take(slot);
        let standing = self.standings.entry(topology.clone()).or_default();
        let placement = Arc::make_mut(&mut standing.placement);
        placement.extend(executors.iter().map(|&executor| (executor, slot.clone())));
        Arc::make_mut(&mut standing.slots).insert(slot.clone());
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
        let Some(standing) = self.standings.get(topology) else {
            return Ok(());
        };
        match executors
            .iter()
            .find_map(|e| standing.placement.get(e).map(|slot| (*e, slot.clone())))
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
        if let Some(standing) = self.standings.get_mut(topology) {
            let placement = Arc::make_mut(&mut standing.placement);
            placement.retain(|_, slot| !slots.contains(slot));
            Arc::make_mut(&mut standing.slots).retain(|slot| !slots.contains(slot));
        }
        for slot in slots {
            if self.occupied.get(slot) != Some(topology) {
                continue;
            }
            self.occupied.remove(slot);
            if self.is_reassignable(slot) {
                self.free.give_back(slot);
            }
        }
    }

    /// Takes a topology off its slots and puts it where `placement` says, on slots that are free
    /// then or have been its own.
    pub fn replace(&mut self, topology: &TopologyId, placement: Placement) {
        let standing = self.standings.remove(topology).unwrap_or_default();
        self.vacate(topology, &standing.slots);
        let standing = Standing::from(placement);
        for slot in standing.slots.iter() {
            let holder = self.occupied.insert(slot.clone(), topology.clone());
            assert_eq!(holder, None, "slot [{slot}] is taken");
            self.free.take(slot);
        }
        if !standing.placement.is_empty() {
            self.standings.insert(topology.clone(), standing);
        }
    }

    /// A line for people about how the scheduling of a topology went.
    pub fn set_status(&mut self, topology: &TopologyId, status: String) {
        self.statuses.insert(topology.clone(), status);
    }

    /// The same, where nothing was told before.
    pub fn set_status_if_absent(&mut self, topology: &TopologyId, status: &str) {
        let status = || status.to_owned();
        self.statuses.entry(topology.clone()).or_insert_with(status);
    }

    /// Nothing is to be told any more.
    pub fn clear_status(&mut self, topology: &TopologyId) {
        self.statuses.remove(topology);
    }

    pub fn statuses(&self) -> &BTreeMap<TopologyId, String> {
        &self.statuses
    }

    /// The result: every topology that runs anywhere, also those that the round left alone.
    pub fn into_standings(self) -> BTreeMap<TopologyId, Standing> {
        self.standings
    }

    fn count_free(&mut self) {
        let mut free = FreeSlots::default();
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
            free.open(node.clone(), ports);
        }
        self.free = free;
    }
}

#[cfg(test)]
mod tests;

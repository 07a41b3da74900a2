//! What a topology asks of a cluster: everything about its code and conf that a scheduler reads, in
//! dense form. Made once for a topology and kept.
//!
//! Executors are not here: they follow from parallelism, which may change.

use std::collections::{BTreeMap, BTreeSet};

use crate::conf::{Conf, ConfError, keys};
use crate::id::ComponentId;
use crate::limits;
use crate::topology::{self, ComponentKind, InvalidTopology};
use crate::wire::storm::{Grouping, StormTopology};

use super::resource_aware::constraint::Constraints;
use super::resources::Resources;

/// A topology's requests, its graph, and its wishes.
#[derive(Clone, Debug, Default)]
pub struct Demand {
    /// All that have tasks, system components too, in order of ids.
    pub components: Vec<ComponentDemand>,
    pub shared: Vec<SharedMemory>,
    pub wishes: Wishes,
}

/// One component's part.
#[derive(Clone, Debug)]
pub struct ComponentDemand {
    pub id: ComponentId,
    pub is_spout: bool,
    /// Of one executor.
    pub request: Resources,
    /// Components of the user that it reads from, by their places; none of a system component.
    pub inputs: Vec<Input>,
}

/// One component that another reads from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    pub from: usize,
    /// Whether some stream is taken by shuffle or local-or-shuffle grouping.
    pub is_shuffled: bool,
}

/// Memory that the executors of some components share, in megabytes.
#[derive(Clone, Debug)]
pub struct SharedMemory {
    /// Components by their places.
    pub users: BTreeSet<usize>,
    pub onheap_mb: f64,
    /// Off the heap, once for each worker.
    pub offheap_worker_mb: f64,
    /// Off the heap, once for each node.
    pub offheap_node_mb: f64,
}

/// What a topology's conf says to the schedulers.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// Storm's class name.
    pub strategy: String,
    /// 0 is the most important.
    pub priority: i64,
    /// Largest heap of a worker, in megabytes.
    pub heap_max_mb: f64,
    /// Hosts.
    pub favored: Vec<String>,
    pub unfavored: Vec<String>,
    pub crowding: Crowding,
    pub by_proximity: bool,
    pub ackers_per_worker: usize,
    /// Placements that a search may try.
    pub states_max: u64,
    pub time_max_ms: u64,
    /// Machines that it wants for itself, of the multitenant and the round-robin schedulers.
    pub machines: Option<usize>,
    pub constraints: Constraints,
}

/// What may share a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowding {
    Free,
    OneExecutorPerWorker,
    OneComponentPerWorker,
}

/// What the executors of one worker use together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerUse {
    /// With the memory that is shared within the worker.
    pub total: Resources,
    pub shared_onheap_mb: f64,
    pub shared_offheap_mb: f64,
}

// === impl Demand ===

impl Demand {
    /// Reads the demand of a topology: as submitted, with its system components, and its effective
    /// conf.
    pub fn new(
        user: &StormTopology,
        system: &StormTopology,
        conf: &Conf,
    ) -> Result<Self, InvalidTopology> {
        let mut components = Vec::new();
        for component in topology::components(system) {
            components.push(ComponentDemand {
                id: ComponentId::from(component.id),
                is_spout: component.kind == ComponentKind::Spout,
                request: Resources::of(&component, conf)?,
                inputs: Vec::new(),
            });
        }
        components.sort_by(|a, b| a.id.cmp(&b.id));
        let mut demand = Demand {
            components,
            shared: Vec::new(),
            wishes: Wishes::read(conf).map_err(|error| InvalidTopology::Conf(error.to_string()))?,
        };
        demand.link(user);
        demand.share(user)?;
        Ok(demand)
    }

    /// The place of a component in `components`.
    pub fn place(&self, id: &ComponentId) -> Option<usize> {
        self.components.binary_search_by(|c| c.id.cmp(id)).ok()
    }

    /// Sum of the requests of executors, without what they share.
    pub fn requested<'a>(&self, components: impl Iterator<Item = &'a ComponentId>) -> Resources {
        let mut counts = vec![0u32; self.components.len()];
        for place in components.filter_map(|id| self.place(id)) {
            counts[place] += 1;
        }
        self.sum(counts.into_iter().enumerate())
    }

    /// What these many executors of components use in one worker. A worker takes at least
    /// `cpu_min`.
    pub fn worker(&self, counts: &[(usize, u32)], cpu_min: f64) -> WorkerUse {
        let mut used = WorkerUse {
            total: self.sum(counts.iter().copied()),
            ..WorkerUse::default()
        };
        (used.shared_onheap_mb, used.shared_offheap_mb) = self.shared_in_worker(counts);
        used.total.onheap_mb += used.shared_onheap_mb;
        used.total.offheap_mb += used.shared_offheap_mb;
        used.total.cpu = used.total.cpu.max(cpu_min);
        used
    }

    /// Memory that executors of these components share within a worker, on heap and off, in
    /// megabytes.
    pub fn shared_in_worker(&self, counts: &[(usize, u32)]) -> (f64, f64) {
        let shared = self.shared_by(counts);
        shared.fold((0.0, 0.0), |(onheap_mb, offheap_mb), shared| {
            (
                onheap_mb + shared.onheap_mb,
                offheap_mb + shared.offheap_worker_mb,
            )
        })
    }

    /// Memory that executors of these components share on a node, in megabytes.
    pub fn shared_on_node(&self, counts: &[(usize, u32)]) -> f64 {
        self.shared_by(counts).map(|s| s.offheap_node_mb).sum()
    }

    /// Whether any memory is shared on nodes.
    pub fn shares_on_nodes(&self) -> bool {
        self.shared
            .iter()
            .any(|shared| shared.offheap_node_mb > 0.0)
    }

    /// All shared memory taken once: on heap and off.
    pub fn shared_once(&self) -> Resources {
        let mut sum = Resources::default();
        for shared in &self.shared {
            sum.onheap_mb += shared.onheap_mb;
            sum.offheap_mb += shared.offheap_worker_mb + shared.offheap_node_mb;
        }
        sum
    }

    fn sum(&self, counts: impl Iterator<Item = (usize, u32)>) -> Resources {
        let mut sum = Resources::default();
        for (place, n) in counts.filter(|(_, n)| *n > 0) {
            sum.add(&self.components[place].request, f64::from(n));
        }
        sum
    }

    fn shared_by(&self, counts: &[(usize, u32)]) -> impl Iterator<Item = &SharedMemory> {
        let is_used = |shared: &&SharedMemory| {
            let mut used = counts.iter().filter(|(_, n)| *n > 0);
            used.any(|(place, _)| shared.users.contains(place))
        };
        self.shared.iter().filter(is_used)
    }

    fn link(&mut self, user: &StormTopology) {
        for component in topology::components(user) {
            let mut inputs: BTreeMap<usize, bool> = BTreeMap::new();
            for (source, grouping) in &component.common.inputs {
                let from = ComponentId::from(source.component_id.as_str());
                let is_users = !topology::is_system_id(from.as_str());
                let Some(from) = self.place(&from).filter(|_| is_users) else {
                    continue;
                };
                let is_shuffled =
                    matches!(grouping, Grouping::Shuffle(_) | Grouping::LocalOrShuffle(_));
                *inputs.entry(from).or_default() |= is_shuffled;
            }
            let Some(place) = self.place(&ComponentId::from(component.id)) else {
                continue;
            };
            let input = |(from, is_shuffled)| Input { from, is_shuffled };
            self.components[place].inputs = inputs.into_iter().map(input).collect();
        }
    }

    fn share(&mut self, user: &StormTopology) -> Result<(), InvalidTopology> {
        for (name, memory) in user.shared_memory.iter().flatten() {
            let uses = user.component_to_shared_memory.iter().flatten();
            let users = uses.filter(|(_, names)| names.contains(name));
            let users = users
                .filter_map(|(id, _)| self.place(&ComponentId::from(id.as_str())))
                .collect();
            let amount = |amount: Option<f64>| {
                let amount = amount.unwrap_or(0.0);
                if (0.0..=limits::RESOURCE_AMOUNT_MAX).contains(&amount) {
                    return Ok(amount);
                }
                let most = limits::RESOURCE_AMOUNT_MAX;
                Err(InvalidTopology::Refused(format!(
                    "shared memory of {amount:?} MB: it must be at least 0 and at most {most:?}"
                )))
            };
            self.shared.push(SharedMemory {
                users,
                onheap_mb: amount(memory.on_heap)?,
                offheap_worker_mb: amount(memory.off_heap_worker)?,
                offheap_node_mb: amount(memory.off_heap_node)?,
            });
        }
        Ok(())
    }
}

// === impl Wishes ===

impl Wishes {
    /// Reads a topology's effective conf.
    pub fn read(conf: &Conf) -> Result<Self, ConfError> {
        let crowding = if conf.flag(keys::TOPOLOGY_RAS_ONE_EXECUTOR_PER_WORKER)? == Some(true) {
            Crowding::OneExecutorPerWorker
        } else if conf.flag(keys::TOPOLOGY_RAS_ONE_COMPONENT_PER_WORKER)? == Some(true) {
            Crowding::OneComponentPerWorker
        } else {
            Crowding::Free
        };
        let states = conf.int_or(keys::TOPOLOGY_RAS_CONSTRAINT_MAX_STATE_SEARCH, 10_000)?;
        let machines = conf.int(keys::TOPOLOGY_ISOLATED_MACHINES)?;
        let ackers = conf.int_or(keys::TOPOLOGY_RAS_ACKER_EXECUTORS_PER_WORKER, 1)?;
        let defaults = Wishes::default();
        let heap_mb = conf.float(keys::TOPOLOGY_WORKER_MAX_HEAP_SIZE_MB)?;
        Ok(Wishes {
            strategy: conf.text_or(keys::TOPOLOGY_SCHEDULER_STRATEGY, &defaults.strategy)?,
            priority: conf.int_or(keys::TOPOLOGY_PRIORITY, defaults.priority)?,
            heap_max_mb: heap_mb.unwrap_or(defaults.heap_max_mb),
            favored: conf.texts(keys::TOPOLOGY_SCHEDULER_FAVORED_NODES)?,
            unfavored: conf.texts(keys::TOPOLOGY_SCHEDULER_UNFAVORED_NODES)?,
            crowding,
            by_proximity: conf.flag(keys::TOPOLOGY_RAS_ORDER_EXECUTORS_BY_PROXIMITY_NEEDS)?
                == Some(true),
            ackers_per_worker: usize::try_from(ackers).unwrap_or(0),
            states_max: u64::try_from(states).unwrap_or(0),
            time_max_ms: time_max_ms(conf)?,
            machines: machines.map(|n| usize::try_from(n).unwrap_or(0)),
            constraints: Constraints::read(conf),
        })
    }
}

impl Default for Wishes {
    fn default() -> Self {
        Wishes {
            strategy: "org.apache.storm.scheduler.resource.strategies.scheduling.\
                       DefaultResourceAwareStrategy"
                .to_owned(),
            priority: 29,
            heap_max_mb: 768.0,
            favored: Vec::new(),
            unfavored: Vec::new(),
            crowding: Crowding::Free,
            by_proximity: false,
            ackers_per_worker: 1,
            states_max: 10_000,
            time_max_ms: 60_000 - MARGIN_MS,
            machines: None,
            constraints: Constraints::default(),
        }
    }
}

/// The topology's own limit, below the daemon's.
fn time_max_ms(conf: &Conf) -> Result<u64, ConfError> {
    let daemon_secs = conf.int_or(keys::SCHEDULING_TIMEOUT_SECONDS_PER_TOPOLOGY, 60)?;
    let own_secs = conf.int_or(keys::TOPOLOGY_RAS_CONSTRAINT_MAX_TIME_SECS, daemon_secs)?;
    let ms = |secs: i64| u64::try_from(secs).unwrap_or(0).saturating_mul(1000);
    if own_secs >= daemon_secs {
        Ok(ms(daemon_secs).saturating_sub(MARGIN_MS))
    } else {
        Ok(ms(own_secs))
    }
}

/// A search ends this much before the daemon would end it.
const MARGIN_MS: u64 = 200;

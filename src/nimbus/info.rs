//! What Nimbus tells of cluster and topologies: state, heartbeats and errors joined.
//!
//! Sums over windows and components are in `pages`, those over owners in `owners`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::beats::{PackedStats, SupervisorBeat};
use super::fault::Fault;
use super::leader::Leader;
use super::plan::Plan;
use super::resources::{self, NodeUse};
use super::settings;
use super::state::{State, Topology};
use crate::clock;
use crate::id::{ComponentId, ExecutorId, NodeId, Slot, TopologyId};
use crate::scheduler::resources::Capacity;
use crate::topology;
use crate::wire::storm::{
    ClusterSummary, DebugOptions, ErrorInfo, ExecutorInfo, ExecutorStats, ExecutorSummary,
    NimbusSummary, NumErrorsChoice, SupervisorAssignments, SupervisorSummary, TopologyInfo,
    TopologySummary,
};

/// Answers from the newest state.
pub(crate) struct Info<'a> {
    pub(super) leader: &'a Leader,
    pub(super) state: Arc<State>,
}

/// An executor where it is assigned.
pub(super) struct Placed<'a> {
    pub executor: ExecutorId,
    /// Empty when the topology has no such executor any more.
    pub component: &'a str,
    pub slot: &'a Slot,
    pub host: &'a str,
    /// None until there are statistics of it from there.
    pub worker: Option<Reported>,
}

/// What an executor's worker reported last.
pub(super) struct Reported {
    pub uptime_secs: i32,
    pub stats: ExecutorStats,
}

// === impl Info ===

impl<'a> Info<'a> {
    pub fn new(leader: &'a Leader) -> Self {
        let state = leader.state();
        Info { leader, state }
    }

    /// The topology of an id; Storm's refusal is the id and nothing else.
    pub fn by_id(&self, id: Option<&str>) -> Result<&Arc<Topology>, Fault> {
        let id = id.ok_or_else(|| Fault::Internal("the topology's id is null".to_owned()))?;
        let found = self.state.topologies.get(&TopologyId::from(id));
        found.ok_or_else(|| Fault::NotAlive(id.to_owned()))
    }

    pub fn by_name(&self, name: Option<&str>) -> Result<&Arc<Topology>, Fault> {
        let name = name.ok_or_else(|| Fault::Internal("the topology's name is null".to_owned()))?;
        let found = self.state.by_name(name);
        found.ok_or_else(|| Fault::NotAlive(format!("{name} is not alive")))
    }

    /// Code and conf of a topology, if they can be read.
    pub fn plan(&self, id: Option<&str>) -> Result<&Plan, Fault> {
        let topology = self.by_id(id)?;
        let plan = topology.plan.as_deref();
        plan.ok_or_else(|| Fault::Internal(format!("the blobs of {} are damaged", topology.id)))
    }

    pub fn cluster(&self) -> ClusterSummary {
        let leader = self.leader;
        let now_ms = clock::monotonic_millis();
        let timeout_ms = leader.settings.supervisor_timeout_ms;
        let supervisors = leader.beats().supervisors(timeout_ms, now_ms);
        let used = resources::of_nodes(&self.state);
        let nothing = NodeUse::default();
        let summary = |(node, beat)| {
            let used = used.get(node).unwrap_or(&nothing);
            self.supervisor(node, beat, used, now_ms)
        };
        ClusterSummary {
            supervisors: supervisors.iter().map(summary).collect(),
            nimbus_uptime_secs: uptime_secs(leader),
            topologies: self.topologies(),
            nimbuses: vec![self.nimbus()],
        }
    }

    /// The only Nimbus, which leads.
    pub fn nimbus(&self) -> NimbusSummary {
        let settings = &self.leader.settings;
        let port = self.leader.thrift_port.get().copied();
        NimbusSummary {
            host: settings.host.clone(),
            port: i32::from(port.unwrap_or(settings.thrift_port)),
            uptime_secs: uptime_secs(self.leader),
            is_leader: true,
            version: settings.version.clone(),
            tls_port: Some(settings.tls_port.into()),
        }
    }

    pub fn topologies(&self) -> Vec<TopologySummary> {
        self.state
            .topologies
            .values()
            .map(|t| self.summary(t))
            .collect()
    }

    pub fn summary(&self, topology: &Topology) -> TopologySummary {
        let requested = resources::requested(topology).total;
        let assigned = resources::assigned(topology).total;
        TopologySummary {
            id: topology.id.as_str().to_owned(),
            name: topology.name().to_owned(),
            num_tasks: count(topology.n_tasks()),
            num_executors: count(topology.placement().count()),
            num_workers: count(topology.slots().len()),
            uptime_secs: topology.uptime_secs(clock::wall_secs()),
            status: topology.status().name().to_owned(),
            storm_version: storm_version(topology),
            topology_version: topology.base.topology_version.clone(),
            sched_status: topology.sched_status.clone(),
            owner: topology.base.owner.clone(),
            replication_count: Some(1),
            requested_memonheap: Some(requested.onheap_mb),
            requested_memoffheap: Some(requested.offheap_mb),
            requested_cpu: Some(requested.cpu),
            assigned_memonheap: Some(assigned.onheap_mb),
            assigned_memoffheap: Some(assigned.offheap_mb),
            assigned_cpu: Some(assigned.cpu),
            requested_generic_resources: Some(requested.generic),
            assigned_generic_resources: Some(assigned.generic),
        }
    }

    pub fn topology(&self, topology: &Topology, errors: NumErrorsChoice) -> TopologyInfo {
        // Storm shows them only where they are reckoned with.
        let is_shown = self.leader.settings.is_resource_aware;
        let requested = is_shown.then(|| resources::requested(topology).total);
        let assigned = is_shown.then(|| resources::assigned(topology).total);
        TopologyInfo {
            id: topology.id.as_str().to_owned(),
            name: topology.name().to_owned(),
            uptime_secs: topology.uptime_secs(clock::wall_secs()),
            executors: self.executors(topology),
            status: topology.status().name().to_owned(),
            errors: self.errors(topology, errors),
            component_debug: topology.base.component_debug.clone(),
            storm_version: storm_version(topology),
            sched_status: topology.sched_status.clone(),
            owner: topology.base.owner.clone(),
            replication_count: Some(1),
            requested_memonheap: requested.as_ref().map(|sum| sum.onheap_mb),
            requested_memoffheap: requested.as_ref().map(|sum| sum.offheap_mb),
            requested_cpu: requested.as_ref().map(|sum| sum.cpu),
            assigned_memonheap: assigned.as_ref().map(|sum| sum.onheap_mb),
            assigned_memoffheap: assigned.as_ref().map(|sum| sum.offheap_mb),
            assigned_cpu: assigned.as_ref().map(|sum| sum.cpu),
        }
    }

    /// Assignments that name a node, whole.
    pub fn assignments(&self, node: Option<&str>) -> SupervisorAssignments {
        let node = node.map(NodeId::from);
        let on_node = node.and_then(|node| self.state.on(&node));
        let concerned = on_node.into_iter().flat_map(|node| &node.topologies);
        let assignments = concerned.filter_map(|topology| {
            let assignment = topology.assigned.as_ref()?.assignment().clone();
            Some((topology.id.as_str().to_owned(), assignment))
        });
        SupervisorAssignments {
            storm_assignment: Some(assignments.collect()),
        }
    }

    /// The daemon's conf without its secrets.
    pub fn nimbus_conf(&self) -> String {
        crate::conf::redact::conf(&self.leader.conf).to_json()
    }

    /// What is known of a supervisor; its resources only where they are reckoned with, as in Storm.
    pub(super) fn supervisor(
        &self,
        node: &NodeId,
        beat: &SupervisorBeat,
        used: &NodeUse,
        now_ms: u64,
    ) -> SupervisorSummary {
        let info = &beat.info;
        let settings = &self.leader.settings;
        let used = Some(used).filter(|_| settings.is_resource_aware);
        let capacity = info.resources_map.as_ref().map(Capacity::reported);
        let fragment = used.and_then(|used| {
            let capacity = capacity.unwrap_or_default();
            settings.useful.fragment(&capacity, used)
        });
        SupervisorSummary {
            host: info.hostname.clone(),
            uptime_secs: i32::try_from(beat.uptime_secs(now_ms)).unwrap_or(i32::MAX),
            num_workers: count(settings::ports(info).count()),
            num_used_workers: count(self.state.on(node).map_or(0, |node| node.n_slots)),
            supervisor_id: node.as_str().to_owned(),
            version: info.version.clone(),
            total_resources: info.resources_map.clone(),
            blacklisted: Some(self.leader.blacklisted.load().contains(node)),
            used_mem: used.map(|used| used.memory_mb),
            used_cpu: used.map(|used| used.cpu),
            used_generic_resources: used.map(|used| used.generic.clone()),
            fragmented_mem: fragment.map(|fragment| fragment.memory_mb),
            fragmented_cpu: fragment.map(|fragment| fragment.cpu),
        }
    }

    /// Executors where they are assigned, with what they reported from there.
    pub(super) fn placed<'t>(&self, topology: &'t Topology) -> Vec<Placed<'t>> {
        let Some(assigned) = &topology.assigned else {
            return Vec::new();
        };
        let hosts = assigned.assignment().node_host.as_ref();
        let beats = self.leader.beats();
        let packed = |(executor, slot): (&ExecutorId, &Slot)| {
            let worker = beats.worker_at(&topology.id, slot)?;
            Some((worker.uptime_secs, worker.stats.get(executor)?.clone()))
        };
        let reported: Vec<_> = assigned.placement.iter().map(packed).collect();
        // Nobody's report waits until all is unpacked.
        drop(beats);
        type Entry<'t> = ((&'t ExecutorId, &'t Slot), Option<(i32, PackedStats)>);
        let placed = |((executor, slot), reported): Entry<'t>| {
            let component = topology.executors.get(executor);
            let host = hosts.and_then(|hosts| hosts.get(slot.node.as_str()));
            Placed {
                executor: *executor,
                component: component.map_or("", ComponentId::as_str),
                slot,
                host: host.map_or("", String::as_str),
                worker: reported.map(|(uptime_secs, stats)| Reported {
                    uptime_secs,
                    stats: stats.unpack(),
                }),
            }
        };
        assigned
            .placement
            .iter()
            .zip(reported)
            .map(placed)
            .collect()
    }

    /// What was ever asked of a component, or of the whole topology by its id.
    pub(super) fn debug_of(&self, topology: &Topology, key: &str) -> Option<DebugOptions> {
        topology.base.component_debug.as_ref()?.get(key).cloned()
    }

    fn executors(&self, topology: &Topology) -> Vec<ExecutorSummary> {
        let placed = self.placed(topology).into_iter();
        let summary = |placed: Placed<'_>| ExecutorSummary {
            executor_info: executor_info(placed.executor),
            component_id: placed.component.to_owned(),
            host: placed.host.to_owned(),
            port: i32::from(placed.slot.port),
            // Until there are statistics the worker's age is unknown to Storm's clients.
            uptime_secs: placed
                .worker
                .as_ref()
                .map_or(0, |worker| worker.uptime_secs),
            stats: placed.worker.map(|worker| worker.stats),
        };
        placed.map(summary).collect()
    }

    /// An entry for every component with tasks, newest errors first, and one for workers that
    /// failed.
    fn errors(
        &self,
        topology: &Topology,
        choice: NumErrorsChoice,
    ) -> BTreeMap<String, Vec<ErrorInfo>> {
        let n_max = match choice {
            NumErrorsChoice::All => usize::MAX,
            NumErrorsChoice::One => 1,
            NumErrorsChoice::None => 0,
        };
        let errors = self.leader.errors();
        let of = |component: &ComponentId| {
            let kept = errors.of(&topology.id, component).iter().take(n_max);
            (component.as_str().to_owned(), kept.cloned().collect())
        };
        let plan = topology.plan.iter();
        let components = plan.flat_map(|plan| plan.tasks.values());
        let shown = components.filter(|component| component.as_str() != topology::SYSTEM);
        let mut shown: BTreeMap<_, Vec<_>> = shown.map(of).collect();
        // Storm shows none under this name; ours are workers that died or could not start.
        let (system, of_workers) = of(&topology::SYSTEM.into());
        if !of_workers.is_empty() {
            shown.insert(system, of_workers);
        }
        shown
    }
}

fn storm_version(topology: &Topology) -> Option<String> {
    topology.plan.as_ref()?.user.storm_version.clone()
}

fn executor_info(executor: ExecutorId) -> ExecutorInfo {
    ExecutorInfo {
        task_start: executor.first.0,
        task_end: executor.last.0,
    }
}

fn uptime_secs(leader: &Leader) -> i32 {
    let ms = clock::monotonic_millis().saturating_sub(leader.boot_ms);
    i32::try_from(ms / 1000).unwrap_or(i32::MAX)
}

pub(super) fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

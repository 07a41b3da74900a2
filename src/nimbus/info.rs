//! What Nimbus tells of cluster and topologies: state, heartbeats and errors joined.
//!
//! Sums over windows and components (the pages of the UI) are not here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::beats::SupervisorBeat;
use super::fault::Fault;
use super::leader::{Leader, n_tasks};
use super::plan::{Plan, Resources};
use super::redact;
use super::settings;
use super::state::{State, Topology};
use crate::clock;
use crate::id::{ComponentId, ExecutorId, NodeId, Slot, TopologyId};
use crate::topology;
use crate::wire::storm::{
    ClusterSummary, ErrorInfo, ExecutorInfo, ExecutorSummary, NimbusSummary, NumErrorsChoice,
    SupervisorAssignments, SupervisorSummary, TopologyInfo, TopologySummary,
};

/// Answers from the newest state.
pub(crate) struct Info<'a> {
    leader: &'a Leader,
    state: Arc<State>,
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
        let summary = |(node, beat)| self.supervisor(node, beat, now_ms);
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
        let requested = requested(topology);
        let assigned = assigned(topology);
        TopologySummary {
            id: topology.id.as_str().to_owned(),
            name: topology.name().to_owned(),
            num_tasks: count(n_tasks(topology.placement().map(|(executor, _)| executor))),
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
            // Only the resource-aware scheduler fills the rest.
            ..TopologyInfo::default()
        }
    }

    /// Assignments that name a node, whole.
    pub fn assignments(&self, node: Option<&str>) -> SupervisorAssignments {
        let node = node.map(NodeId::from);
        let concerns = |topology: &&Arc<Topology>| {
            topology
                .placement()
                .any(|(_, slot)| Some(&slot.node) == node.as_ref())
        };
        let concerned = self.state.topologies.values().filter(concerns);
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
        redact::conf(&self.leader.conf).to_json()
    }

    fn supervisor(&self, node: &NodeId, beat: &SupervisorBeat, now_ms: u64) -> SupervisorSummary {
        let info = &beat.info;
        let since_secs = i64::try_from(now_ms.saturating_sub(beat.seen_ms) / 1000).unwrap_or(0);
        let uptime_secs = info.uptime_secs.unwrap_or(0).saturating_add(since_secs);
        SupervisorSummary {
            host: info.hostname.clone(),
            uptime_secs: i32::try_from(uptime_secs).unwrap_or(i32::MAX),
            num_workers: count(settings::ports(info).count()),
            num_used_workers: count(self.state.slots_on(node).len()),
            supervisor_id: node.as_str().to_owned(),
            version: info.version.clone(),
            total_resources: info.resources_map.clone(),
            blacklisted: Some(false),
            ..SupervisorSummary::default()
        }
    }

    fn executors(&self, topology: &Topology) -> Vec<ExecutorSummary> {
        let Some(assigned) = &topology.assigned else {
            return Vec::new();
        };
        let none = BTreeMap::new();
        let hosts = assigned.assignment().node_host.as_ref().unwrap_or(&none);
        let beats = self.leader.beats();
        let summary = |(executor, slot): (&ExecutorId, &Slot)| {
            let worker = beats.worker_at(&topology.id, slot);
            let stats = worker.and_then(|worker| worker.stats.get(executor));
            let component = topology.executors.get(executor);
            ExecutorSummary {
                executor_info: executor_info(*executor),
                component_id: component.map_or_else(String::new, |id| id.as_str().to_owned()),
                host: hosts.get(slot.node.as_str()).cloned().unwrap_or_default(),
                port: i32::from(slot.port),
                // Until there are statistics the worker's age is unknown to Storm's clients.
                uptime_secs: stats.and(worker).map_or(0, |worker| worker.uptime_secs),
                stats: stats.map(|stats| stats.as_ref().clone()),
            }
        };
        assigned.placement.iter().map(summary).collect()
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

/// What all executors ask for, placed or not.
fn requested(topology: &Topology) -> Resources {
    let Some(plan) = &topology.plan else {
        return Resources::default();
    };
    let components = || topology.executors.values();
    plan.requested(components())
        .plus(&plan.shared(components()))
}

/// What the workers were given.
fn assigned(topology: &Topology) -> Resources {
    let assigned = topology.assigned.iter();
    let workers = assigned.flat_map(|assigned| assigned.assignment().worker_resources.iter());
    let sum =
        |part: &Option<f64>, shared: &Option<f64>| part.unwrap_or(0.0) + shared.unwrap_or(0.0);
    let given = workers.flatten().map(|(_, given)| Resources {
        onheap_mb: sum(&given.mem_on_heap, &given.shared_mem_on_heap),
        offheap_mb: sum(&given.mem_off_heap, &given.shared_mem_off_heap),
        cpu: given.cpu.unwrap_or(0.0),
        generic: given.resources.clone().unwrap_or_default(),
    });
    given.fold(Resources::default(), |sum, one| sum.plus(&one))
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

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

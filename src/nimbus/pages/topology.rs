//! A topology's page: each component in one window, totals in all, its workers, its conf.

use std::collections::BTreeMap;

use super::{Wanted, beats, with_resources};
use crate::clock;
use crate::conf::redact;
use crate::id::ComponentId;
use crate::nimbus::fault::Fault;
use crate::nimbus::info::{Info, count};
use crate::nimbus::plan::Plan;
use crate::nimbus::resources;
use crate::nimbus::state::Topology;
use crate::stats::aggregate::{self, SystemParts};
use crate::topology::{self, ComponentKind};
use crate::wire::storm::{
    BoltAggregateStats, CommonAggregateStats, ComponentAggregateStats, ComponentType,
    SpecificAggregateStats, SpoutAggregateStats, TopologyPageInfo,
};

type Components = BTreeMap<String, ComponentAggregateStats>;

impl Info<'_> {
    pub fn topology_page(
        &self,
        id: Option<&str>,
        wanted: &Wanted,
    ) -> Result<TopologyPageInfo, Fault> {
        let topology = self.by_id(id)?;
        let plan = self.plan(id)?;
        let placed = self.placed(topology);
        let sums = aggregate::topology(beats(&placed), wanted.view());
        let complete = |mut components: Components, kind| {
            add_silent(&mut components, plan, (kind, wanted.system));
            self.finish(&mut components, topology, plan);
            Some(components)
        };
        let n_placed = placed.len();
        let workers = self.workers_of(topology, &placed, wanted.system);
        let page = TopologyPageInfo {
            id: topology.id.as_str().to_owned(),
            name: Some(topology.name().to_owned()),
            uptime_secs: Some(topology.uptime_secs(clock::wall_secs())),
            status: Some(topology.status().name().to_owned()),
            num_tasks: Some(count(plan.tasks.len())),
            num_workers: Some(count(sums.n_workers)),
            num_executors: Some(count(n_placed)),
            topology_conf: Some(self.conf_of(plan)),
            id_to_spout_agg_stats: complete(sums.spouts, ComponentKind::Spout),
            id_to_bolt_agg_stats: complete(sums.bolts, ComponentKind::Bolt),
            sched_status: topology.sched_status.clone(),
            topology_stats: Some(sums.totals),
            owner: topology.base.owner.clone(),
            debug_options: self.debug_of(topology, topology.id.as_str()),
            replication_count: Some(1),
            workers: Some(workers).filter(|workers| !workers.is_empty()),
            storm_version: plan.user.storm_version.clone(),
            topology_version: topology.base.topology_version.clone(),
            ..TopologyPageInfo::default()
        };
        Ok(self.with_resources(page, topology))
    }

    /// The newest error, whatever its age, and what each executor asks for.
    fn finish(&self, components: &mut Components, topology: &Topology, plan: &Plan) {
        let errors = self.leader.errors();
        for (id, stats) in components {
            let component = ComponentId::from(id.as_str());
            stats.last_error = errors.of(&topology.id, &component).first().cloned();
            let common = stats.common_stats.take();
            stats.common_stats = with_resources(common, plan.request(&component));
        }
    }

    /// The daemon's conf of today, overlaid with the topology's.
    fn conf_of(&self, plan: &Plan) -> String {
        redact::conf(&self.leader.conf.overlay(&plan.conf)).to_json()
    }

    /// Only the resource-aware scheduler has these figures.
    fn with_resources(&self, page: TopologyPageInfo, topology: &Topology) -> TopologyPageInfo {
        if !self.leader.settings.is_resource_aware {
            return page;
        }
        let requested = resources::requested(topology);
        let assigned = resources::assigned(topology);
        TopologyPageInfo {
            requested_memonheap: Some(requested.total.onheap_mb),
            requested_memoffheap: Some(requested.total.offheap_mb),
            requested_cpu: Some(requested.total.cpu),
            assigned_memonheap: Some(assigned.total.onheap_mb),
            assigned_memoffheap: Some(assigned.total.offheap_mb),
            assigned_cpu: Some(assigned.total.cpu),
            requested_regular_on_heap_memory: Some(requested.regular_onheap_mb()),
            requested_shared_on_heap_memory: Some(requested.shared_onheap_mb),
            requested_regular_off_heap_memory: Some(requested.regular_offheap_mb()),
            requested_shared_off_heap_memory: Some(requested.shared_offheap_mb),
            assigned_regular_on_heap_memory: Some(assigned.regular_onheap_mb()),
            assigned_shared_on_heap_memory: Some(assigned.shared_onheap_mb),
            assigned_regular_off_heap_memory: Some(assigned.regular_offheap_mb()),
            assigned_shared_off_heap_memory: Some(assigned.shared_offheap_mb),
            requested_generic_resources: Some(requested.total.generic),
            assigned_generic_resources: Some(assigned.total.generic),
            ..page
        }
    }
}

/// An entry for each component that did not report, so that the page has them all. Storm adds them
/// only while nobody has reported at all.
fn add_silent(
    components: &mut Components,
    plan: &Plan,
    (kind, system): (ComponentKind, SystemParts),
) {
    let of_kind = topology::components(&plan.system).filter(|component| component.kind == kind);
    let shown = of_kind.filter(|component| system.shows(component.id));
    let mut n_tasks: BTreeMap<&str, usize> = BTreeMap::new();
    for component in plan.tasks.values() {
        *n_tasks.entry(component.as_str()).or_default() += 1;
    }
    for component in shown.filter(|component| component.id != topology::SYSTEM) {
        let silent = || ComponentAggregateStats {
            common_stats: Some(CommonAggregateStats {
                num_executors: Some(topology::parallelism(component.common)),
                num_tasks: Some(count(n_tasks.get(component.id).copied().unwrap_or(0))),
                emitted: Some(0),
                transferred: Some(0),
                acked: Some(0),
                ..CommonAggregateStats::default()
            }),
            ..nothing(kind)
        };
        if !components.contains_key(component.id) {
            components.insert(component.id.to_owned(), silent());
        }
    }
}

fn nothing(kind: ComponentKind) -> ComponentAggregateStats {
    let (kind, specific) = match kind {
        ComponentKind::Bolt => (
            ComponentType::Bolt,
            SpecificAggregateStats::Bolt(BoltAggregateStats {
                execute_latency_ms: Some(0.0),
                process_latency_ms: Some(0.0),
                executed: Some(0),
                capacity: Some(0.0),
            }),
        ),
        ComponentKind::Spout | ComponentKind::StateSpout => (
            ComponentType::Spout,
            SpecificAggregateStats::Spout(SpoutAggregateStats {
                complete_latency_ms: Some(0.0),
            }),
        ),
    };
    ComponentAggregateStats {
        type_: Some(kind.into()),
        specific_stats: Some(specific),
        ..ComponentAggregateStats::default()
    }
}

//! What the topologies of each owner use together, and what a scheduler guarantees to whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::info::{Info, count};
use super::resources;
use super::state::Topology;
use crate::conf::{Conf, keys};
use crate::scheduler::resources::Resources;
use crate::wire::storm::OwnerResourceSummary;

/// What a scheduler's configuration grants users.
enum Guarantees<'a> {
    None,
    /// Memory and CPU by user.
    Pools(&'a Map<String, Value>),
    /// Nodes by user.
    Nodes(&'a Map<String, Value>),
}

impl Info<'_> {
    /// Everybody with topologies or guarantees; or the one who is named, known or not.
    pub fn owners(&self, owner: Option<&str>) -> Vec<OwnerResourceSummary> {
        let guarantees = self.guarantees();
        let mut by_owner: BTreeMap<&str, Vec<&Arc<Topology>>> = BTreeMap::new();
        for topology in self.state.topologies.values() {
            let of = topology.base.owner.as_deref().unwrap_or_default();
            if owner.is_none_or(|owner| owner == of) {
                by_owner.entry(of).or_default().push(topology);
            }
        }
        match owner {
            Some(owner) => drop(by_owner.entry(owner).or_default()),
            None => {
                for user in guarantees.users() {
                    by_owner.entry(user).or_default();
                }
            }
        }
        let summaries = by_owner.into_iter();
        let summaries = summaries.map(|(owner, topologies)| {
            let summary = self.owner(owner, &topologies);
            guarantees.add_to(summary)
        });
        summaries.collect()
    }

    fn owner(&self, owner: &str, topologies: &[&Arc<Topology>]) -> OwnerResourceSummary {
        let (mut n_executors, mut n_workers, mut n_tasks) = (0, 0, 0);
        let (mut requested, mut assigned) = (Resources::default(), Resources::default());
        for topology in topologies {
            n_executors += topology.placement().count();
            n_workers += topology.slots().len();
            n_tasks += topology.n_tasks();
            requested = requested.plus(&resources::requested(topology).total);
            assigned = assigned.plus(&resources::assigned(topology).total);
        }
        OwnerResourceSummary {
            owner: owner.to_owned(),
            total_topologies: Some(count(topologies.len())),
            total_executors: Some(count(n_executors)),
            total_workers: Some(count(n_workers)),
            total_tasks: Some(count(n_tasks)),
            memory_usage: Some(assigned.onheap_mb + assigned.offheap_mb),
            cpu_usage: Some(assigned.cpu),
            requested_on_heap_memory: Some(requested.onheap_mb),
            requested_off_heap_memory: Some(requested.offheap_mb),
            requested_total_memory: Some(requested.onheap_mb + requested.offheap_mb),
            requested_cpu: Some(requested.cpu),
            assigned_on_heap_memory: Some(assigned.onheap_mb),
            assigned_off_heap_memory: Some(assigned.offheap_mb),
            ..OwnerResourceSummary::default()
        }
    }

    fn guarantees(&self) -> Guarantees<'_> {
        let conf: &Conf = &self.leader.conf;
        let scheduler = conf.text(keys::STORM_SCHEDULER).ok().flatten();
        let scheduler = scheduler.unwrap_or_default();
        let (key, of): (_, fn(_) -> _) = if scheduler.ends_with(".ResourceAwareScheduler") {
            (keys::RESOURCE_AWARE_SCHEDULER_USER_POOLS, Guarantees::Pools)
        } else if scheduler.ends_with(".MultitenantScheduler") {
            (keys::MULTITENANT_SCHEDULER_USER_POOLS, Guarantees::Nodes)
        } else {
            return Guarantees::None;
        };
        conf.map(key).map_or(Guarantees::None, of)
    }
}

// === impl Guarantees ===

impl<'a> Guarantees<'a> {
    fn users(&self) -> impl Iterator<Item = &'a str> {
        let by_user = match self {
            Guarantees::None => None,
            Guarantees::Pools(by_user) | Guarantees::Nodes(by_user) => Some(*by_user),
        };
        by_user.into_iter().flat_map(Map::keys).map(String::as_str)
    }

    fn add_to(&self, summary: OwnerResourceSummary) -> OwnerResourceSummary {
        match self {
            Guarantees::None => summary,
            Guarantees::Pools(pools) => {
                let Some(pool) = pools.get(&summary.owner).filter(|pool| pool.is_object()) else {
                    return summary;
                };
                let amount = |name: &str| pool[name].as_f64().unwrap_or(0.0);
                let (memory, cpu) = (amount("memory"), amount("cpu"));
                OwnerResourceSummary {
                    memory_guarantee: Some(memory),
                    cpu_guarantee: Some(cpu),
                    memory_guarantee_remaining: summary.memory_usage.map(|used| memory - used),
                    cpu_guarantee_remaining: summary.cpu_usage.map(|used| cpu - used),
                    ..summary
                }
            }
            Guarantees::Nodes(nodes) => {
                let n = nodes.get(&summary.owner).and_then(Value::as_i64);
                OwnerResourceSummary {
                    isolated_node_guarantee: n.and_then(|n| i32::try_from(n).ok()),
                    ..summary
                }
            }
        }
    }
}

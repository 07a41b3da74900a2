//! Which topology is served first: users in turn, by how far each would go beyond what is
//! guaranteed to it, and the topologies of a user by priority and age (control-plane 6.5).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::scheduler::resources::{Capacity, Resources};
use crate::scheduler::{Cluster, Topology, java_order};
use crate::topology::java_order as text_order;

/// How topologies are put into order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Fair in processor and memory.
    Fair,
    /// Fair within the guarantees, beyond them the newest topology first.
    NewestFirst,
    /// Fair in what users name, too.
    FairInAll,
}

/// What is guaranteed to users. `cpu` and `memory` are Storm's names here.
pub type Pools = BTreeMap<String, BTreeMap<String, f64>>;

/// A user in the simulation that gives the order.
struct User<'a> {
    guaranteed: Capacity,
    assigned: Capacity,
    /// Still to be served, the first at the end.
    waiting: Vec<Waiting<'a>>,
}

struct Waiting<'a> {
    place: usize,
    topology: &'a Topology,
    asked: Resources,
}

// === impl Priority ===

impl Priority {
    /// The priority of a class name of Storm's, or of its older packages.
    pub fn of_class(class: &str) -> Option<Self> {
        let current = class.strip_prefix("org.apache.storm.");
        let name = current.or_else(|| class.strip_prefix("backtype.storm."))?;
        match name.strip_prefix("scheduler.resource.strategies.priority.")? {
            "DefaultSchedulingPriorityStrategy" => Some(Priority::Fair),
            "FIFOSchedulingPriorityStrategy" => Some(Priority::NewestFirst),
            "GenericResourceAwareSchedulingPriorityStrategy" => Some(Priority::FairInAll),
            _ => None,
        }
    }

    /// The topologies of a round in the order of service, by their places. Those that nobody owns
    /// are not served.
    pub fn order(self, cluster: &Cluster, pools: &Pools) -> Vec<usize> {
        let mut left = Capacity::default();
        for supervisor in cluster.supervisors().values() {
            left.add(&supervisor.capacity);
        }
        let mut users = users(cluster, pools);
        let mut order = Vec::new();
        while !users.is_empty() {
            let mut scored: Vec<(f64, User<'_>)> = users
                .into_iter()
                .map(|mut user| (self.score(&mut user, &left), user))
                .collect();
            scored.sort_by(|a, b| a.0.total_cmp(&b.0));
            users = scored.into_iter().map(|(_, user)| user).collect();
            let Some(served) = users[0].waiting.pop() else {
                users.remove(0);
                continue;
            };
            let asked = Capacity {
                memory_mb: served.asked.memory_mb(),
                cpu: served.asked.cpu,
                generic: served.asked.generic,
            };
            users[0].assigned.add(&asked);
            left.cpu -= asked.cpu;
            left.memory_mb -= asked.memory_mb;
            for (name, amount) in &asked.generic {
                if let Some(left) = left.generic.get_mut(name) {
                    *left -= amount;
                }
            }
            order.push(served.place);
        }
        order
    }

    /// The lowest is served next.
    fn score(self, user: &mut User<'_>, left: &Capacity) -> f64 {
        let score = user.share(left, self == Priority::FairInAll);
        if self != Priority::NewestFirst || score < 0.0 {
            return score;
        }
        user.waiting.sort_by(|a, b| by_age(a.topology, b.topology));
        let newest = user.waiting.last();
        newest.map_or(f64::MAX, |newest| newest.topology.uptime_secs as f64)
    }
}

// === impl User ===

impl User<'_> {
    /// How far the user would go beyond its guarantee with the next topology, as a share of what is
    /// left.
    fn share(&self, left: &Capacity, in_all: bool) -> f64 {
        let Some(next) = self.waiting.last() else {
            return f64::MAX;
        };
        if left.cpu <= 0.0 || left.memory_mb <= 0.0 {
            return f64::MAX;
        }
        let cpu = self.assigned.cpu + next.asked.cpu - self.guaranteed.cpu;
        let memory_mb = self.assigned.memory_mb + next.asked.memory_mb();
        let memory_mb = memory_mb - self.guaranteed.memory_mb;
        let mut share = (cpu / left.cpu).max(memory_mb / left.memory_mb);
        for (name, left) in left.generic.iter().filter(|_| in_all) {
            if *left <= 0.0 {
                return f64::MAX;
            }
            let of = |amounts: &BTreeMap<String, f64>| amounts.get(name).copied().unwrap_or(0.0);
            let beyond = of(&self.assigned.generic) + of(&next.asked.generic);
            share = share.max((beyond - of(&self.guaranteed.generic)) / left);
        }
        share
    }
}

/// Users in the order of Java's hash tables, which breaks their ties.
fn users<'a>(cluster: &'a Cluster, pools: &Pools) -> Vec<User<'a>> {
    let mut waiting: BTreeMap<&str, Vec<Waiting<'a>>> = BTreeMap::new();
    for (place, topology) in cluster.topologies().iter().enumerate() {
        let Some(owner) = topology.owner.as_deref().filter(|owner| !owner.is_empty()) else {
            continue;
        };
        let demand = &topology.demand;
        let asked = demand.requested(topology.executors.values());
        waiting.entry(owner).or_default().push(Waiting {
            place,
            topology,
            asked: asked.plus(&demand.shared_once()),
        });
    }
    let mut users: Vec<(&str, User<'a>)> = Vec::new();
    for (owner, mut waiting) in waiting {
        waiting.sort_by(|a, b| by_priority(b.topology, a.topology));
        let mut guaranteed = pools.get(owner).cloned().unwrap_or_default();
        let mut take = |name: &str| guaranteed.remove(name).unwrap_or(0.0);
        let (cpu, memory_mb) = (take("cpu"), take("memory"));
        let user = User {
            guaranteed: Capacity {
                memory_mb,
                cpu,
                generic: guaranteed,
            },
            assigned: Capacity::default(),
            waiting,
        };
        users.push((owner, user));
    }
    let n_buckets = java_order::grown(users.len());
    java_order::arrange(&mut users, n_buckets, |(owner, _)| {
        java_order::text_hash(owner)
    });
    users.into_iter().map(|(_, user)| user).collect()
}

/// Important before others, older before newer.
fn by_priority(a: &Topology, b: &Topology) -> Ordering {
    let priority = |topology: &Topology| topology.demand.wishes.priority;
    priority(a)
        .cmp(&priority(b))
        .then_with(|| b.uptime_secs.cmp(&a.uptime_secs))
        .then_with(|| text_order(a.id.as_str(), b.id.as_str()))
}

/// The newest last, where it is served next.
fn by_age(a: &Topology, b: &Topology) -> Ordering {
    let order = b.uptime_secs.cmp(&a.uptime_secs);
    order.then_with(|| text_order(b.id.as_str(), a.id.as_str()))
}

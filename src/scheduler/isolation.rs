//! Storm's isolation scheduler: gives some topologies, by name, machines of their own; the others
//! are placed evenly on what is left (control-plane 6.5).
//!
//! While a topology cannot have its machines, everything that is not isolated gives way, as in
//! Storm; what a topology that is ending still holds is left to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::id::{ExecutorId, NodeId, Slot, TopologyId};
use crate::partition::shares;

use super::even::DefaultScheduler;
use super::{Cluster, Scheduler, Topology};

/// The scheduler with its reserved machines.
#[derive(Clone, Debug)]
pub struct IsolationScheduler {
    /// By the names of topologies.
    machines: BTreeMap<String, usize>,
    rest: DefaultScheduler,
}

/// What a topology that is isolated still needs.
struct Wanted {
    id: TopologyId,
    /// Executors of each worker.
    workers: Vec<BTreeSet<ExecutorId>>,
    /// Workers on a machine, to how many machines.
    machines: BTreeMap<usize, usize>,
}

/// A worker that runs.
struct Worker {
    slot: Slot,
    topology: TopologyId,
    executors: BTreeSet<ExecutorId>,
}

// === impl IsolationScheduler ===

impl IsolationScheduler {
    pub fn new(machines: BTreeMap<String, usize>, rest: DefaultScheduler) -> Self {
        IsolationScheduler { machines, rest }
    }
}

impl Scheduler for IsolationScheduler {
    fn schedule(&mut self, cluster: &mut Cluster) {
        let blacklisted = cluster.blacklisted_hosts().clone();
        let mut wanted: Vec<Wanted> = Vec::new();
        for topology in cluster.topologies() {
            if let Some(n_machines) = self.machines.get(&topology.name) {
                wanted.push(Wanted::of(topology, *n_machines));
            }
        }
        let mut reserved = blacklisted.clone();
        settle(cluster, &mut wanted, &mut reserved);
        cluster.blacklist_hosts(reserved.clone());
        reserve(cluster, &mut wanted, &mut reserved);
        cluster.blacklist_hosts(reserved.clone());
        let failed: Vec<&Wanted> = wanted.iter().filter(|w| !w.workers.is_empty()).collect();
        let isolated: BTreeSet<TopologyId> = wanted.iter().map(|w| w.id.clone()).collect();
        if failed.is_empty() {
            self.rest
                .place(cluster, |topology| !isolated.contains(&topology.id));
        } else {
            let reason = format!(
                "everything that is not isolated waits: no machine has the slots that {} needs",
                failed
                    .iter()
                    .map(|w| w.id.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            );
            give_way(cluster, &reserved);
            for topology in cluster.topologies().to_vec() {
                let status = match failed.iter().find(|wanted| wanted.id == topology.id) {
                    Some(wanted) => format!(
                        "Not isolated: no machine has the slots for {} more workers",
                        wanted.workers.len()
                    ),
                    None if isolated.contains(&topology.id) => continue,
                    None => format!("Waiting: {reason}"),
                };
                cluster.set_status(&topology.id, status);
            }
            cluster.blacklist_hosts(blacklisted);
            return;
        }
        // What was told while machines were lacking is not so any more.
        for topology in cluster.topologies().to_vec() {
            cluster.clear_status(&topology.id);
        }
        cluster.blacklist_hosts(blacklisted);
    }
}

/// Keeps machines that run just what they should, and frees what isolated topologies run elsewhere.
fn settle(cluster: &mut Cluster, wanted: &mut [Wanted], reserved: &mut BTreeSet<String>) {
    for (host, workers) in workers_by_host(cluster) {
        if !reserved.contains(&host) && is_as_wanted(wanted, &workers) {
            reserved.insert(host);
        } else {
            free(cluster, wanted, workers);
        }
    }
    // Workers outlive their supervisor: what they run has its place, and must not get another.
    for workers in orphans(cluster).into_values() {
        if !is_as_wanted(wanted, &workers) {
            free(cluster, wanted, workers);
        }
    }
}

/// Whether a machine runs one isolated topology, and of that just what it should.
fn is_as_wanted(wanted: &mut [Wanted], workers: &[Worker]) -> bool {
    let owner = &workers[0].topology;
    let mine = wanted.iter_mut().find(|wanted| wanted.id == *owner);
    mine.is_some_and(|wanted| {
        workers.iter().all(|worker| worker.topology == wanted.id) && wanted.accept(workers)
    })
}

/// Takes isolated topologies off a machine.
fn free(cluster: &mut Cluster, wanted: &[Wanted], workers: Vec<Worker>) {
    for worker in workers {
        if wanted.iter().any(|wanted| wanted.id == worker.topology) {
            cluster.vacate(&worker.topology, &BTreeSet::from([worker.slot]));
        }
    }
}

/// Gives each isolated topology machines for the workers that run nowhere, the roomiest first.
fn reserve(cluster: &mut Cluster, wanted: &mut [Wanted], reserved: &mut BTreeSet<String>) {
    let mut hosts = hosts_by_room(cluster);
    for wanted in wanted {
        let mut sizes: Vec<usize> = Vec::new();
        for (n_workers, n_machines) in &wanted.machines {
            sizes.extend(std::iter::repeat_n(*n_workers, *n_machines));
        }
        for n_workers in sizes.into_iter().rev() {
            let Some((_, slots)) = hosts.front().filter(|(_, slots)| slots.len() >= n_workers)
            else {
                continue;
            };
            let slots = slots.clone();
            let (host, _) = hosts.pop_front().expect("just seen");
            clear(cluster, &slots);
            for slot in slots.iter().take(n_workers) {
                let Some(executors) = wanted.workers.pop() else {
                    break;
                };
                let executors: Vec<ExecutorId> = executors.into_iter().collect();
                cluster
                    .assign(&wanted.id, slot, &executors)
                    .expect("the slot was cleared and the executors run nowhere");
            }
            reserved.insert(host);
        }
    }
}

/// Takes everything off the machines that are not reserved.
fn give_way(cluster: &mut Cluster, reserved: &BTreeSet<String>) {
    for (host, workers) in workers_by_host(cluster) {
        if !reserved.contains(&host) {
            for worker in workers {
                cluster.vacate(&worker.topology, &BTreeSet::from([worker.slot]));
            }
        }
    }
}

fn clear(cluster: &mut Cluster, slots: &[Slot]) {
    for slot in slots {
        if let Some(holder) = cluster.occupied().get(slot).cloned() {
            cluster.vacate(&holder, &BTreeSet::from([slot.clone()]));
        }
    }
}

/// Workers of topologies of this round on hosts that are there.
fn workers_by_host(cluster: &Cluster) -> BTreeMap<String, Vec<Worker>> {
    workers_by(cluster, |node| {
        Some(cluster.supervisors().get(node)?.host.clone())
    })
}

/// Workers of topologies of this round whose supervisors are gone, by those.
fn orphans(cluster: &Cluster) -> BTreeMap<NodeId, Vec<Worker>> {
    let is_gone = |node: &NodeId| !cluster.supervisors().contains_key(node);
    workers_by(cluster, |node| is_gone(node).then(|| node.clone()))
}

fn workers_by<K: Ord>(
    cluster: &Cluster,
    machine: impl Fn(&NodeId) -> Option<K>,
) -> BTreeMap<K, Vec<Worker>> {
    let mut workers: BTreeMap<K, Vec<Worker>> = BTreeMap::new();
    for topology in cluster.topologies() {
        for (slot, executors) in cluster.slots(&topology.id) {
            let Some(machine) = machine(&slot.node) else {
                continue;
            };
            workers.entry(machine).or_default().push(Worker {
                slot,
                topology: topology.id.clone(),
                executors: executors.into_iter().collect(),
            });
        }
    }
    workers
}

/// Hosts that may be given, with their slots: most slots first, then most that are free.
fn hosts_by_room(cluster: &Cluster) -> VecDeque<(String, Vec<Slot>)> {
    let ending: BTreeSet<&Slot> = {
        let taking_part: BTreeSet<&TopologyId> = cluster
            .topologies()
            .iter()
            .map(|topology| &topology.id)
            .collect();
        let occupied = cluster.occupied().iter();
        let others = occupied.filter(|(_, holder)| !taking_part.contains(holder));
        others.map(|(slot, _)| slot).collect()
    };
    let mut hosts: BTreeMap<&str, Vec<Slot>> = BTreeMap::new();
    for (node, supervisor) in cluster.supervisors() {
        if cluster.is_open(node) {
            let slots = supervisor.ports.iter().map(|port| Slot {
                node: node.clone(),
                port: *port,
            });
            let slots = slots.filter(|slot| !ending.contains(slot));
            hosts.entry(&supervisor.host).or_default().extend(slots);
        }
    }
    let n_free = |slots: &[Slot]| {
        let is_free = |slot: &&Slot| !cluster.occupied().contains_key(slot);
        slots.iter().filter(is_free).count()
    };
    let mut hosts: Vec<(String, Vec<Slot>)> = hosts
        .into_iter()
        .map(|(host, slots)| (host.to_owned(), slots))
        .collect();
    hosts.sort_by_key(|(_, slots)| std::cmp::Reverse((slots.len(), n_free(slots))));
    hosts.into()
}

// === impl Wanted ===

impl Wanted {
    fn of(topology: &Topology, n_machines: usize) -> Self {
        let n_workers = topology.n_workers.min(topology.executors.len());
        let mut executors: Vec<_> = topology.executors.iter().collect();
        executors.sort_by_key(|(executor, component)| (*component, *executor));
        let mut workers = vec![BTreeSet::new(); n_workers];
        for (turn, (executor, _)) in executors.into_iter().enumerate() {
            if n_workers > 0 {
                workers[turn % n_workers].insert(*executor);
            }
        }
        let mut machines = if n_machines == 0 {
            BTreeMap::new()
        } else {
            shares(n_workers, n_machines)
        };
        machines.remove(&0);
        Wanted {
            id: topology.id.clone(),
            workers,
            machines,
        }
    }

    /// Whether a machine runs just what it should; if so it is none that is wanted any more.
    fn accept(&mut self, there: &[Worker]) -> bool {
        let is_wanted = |worker: &Worker| self.workers.contains(&worker.executors);
        if !self.machines.contains_key(&there.len()) || !there.iter().all(is_wanted) {
            return false;
        }
        self.workers
            .retain(|worker| !there.iter().any(|there| there.executors == *worker));
        let left = self.machines.entry(there.len()).or_default();
        *left -= 1;
        if *left == 0 {
            self.machines.remove(&there.len());
        }
        true
    }
}

#[cfg(test)]
mod tests;

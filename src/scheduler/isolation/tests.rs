//! Machines of their own for some, the rest for the others.

use std::sync::Arc;

use super::*;
use crate::id::{ComponentId, TaskId};
use crate::scheduler::{Placement, Standing, Supervisor};

fn nodes(sizes: &[u16]) -> BTreeMap<NodeId, Supervisor> {
    let supervisor = |(index, n_ports): (usize, &u16)| {
        let supervisor = Supervisor {
            host: format!("h{index}"),
            ports: (6700..6700 + n_ports).collect(),
            ..Supervisor::default()
        };
        (NodeId::from(format!("n{index}")), supervisor)
    };
    sizes.iter().enumerate().map(supervisor).collect()
}

fn topology(name: &str, n_workers: usize, n_executors: i32) -> Topology {
    let task = |task| ExecutorId::new(TaskId(task), TaskId(task));
    let executors = (1..=n_executors).map(|n| (task(n), ComponentId::from("c")));
    Topology {
        id: TopologyId::from(format!("{name}-1-1")),
        name: name.to_owned(),
        owner: None,
        uptime_secs: 0,
        n_workers,
        executors: Arc::new(executors.collect()),
        demand: Arc::default(),
    }
}

fn scheduler() -> IsolationScheduler {
    let machines = BTreeMap::from([("alone".to_owned(), 2)]);
    IsolationScheduler::new(machines, DefaultScheduler::default())
}

fn hosts(cluster: &Cluster, name: &str) -> BTreeMap<String, usize> {
    let mut hosts = BTreeMap::new();
    for slot in cluster
        .slots(&TopologyId::from(format!("{name}-1-1")))
        .into_keys()
    {
        *hosts
            .entry(cluster.supervisors()[&slot.node].host.clone())
            .or_default() += 1;
    }
    hosts
}

fn none() -> BTreeMap<TopologyId, Standing> {
    BTreeMap::new()
}

#[test]
fn an_isolated_topology_shares_no_machine() {
    let topologies = vec![topology("alone", 3, 6), topology("many", 6, 6)];
    let mut cluster = Cluster::new(nodes(&[4, 4, 4]), topologies, none());
    scheduler().schedule(&mut cluster);
    let (alone, many) = (hosts(&cluster, "alone"), hosts(&cluster, "many"));
    assert_eq!(
        alone.values().copied().collect::<BTreeSet<_>>(),
        BTreeSet::from([1, 2])
    );
    assert_eq!(many.len(), 1);
    assert!(many.keys().all(|host| !alone.contains_key(host)));
    assert!(cluster.statuses().is_empty());
    // An undisturbed round moves nothing.
    let topologies = cluster.topologies().to_vec();
    let before = cluster.into_standings();
    let mut again = Cluster::new(nodes(&[4, 4, 4]), topologies, before.clone());
    scheduler().schedule(&mut again);
    assert_eq!(again.into_standings(), before);
}

#[test]
fn others_make_room_for_an_isolated_topology() {
    let many = topology("many", 6, 6);
    let mut cluster = Cluster::new(nodes(&[2, 2, 2]), vec![many.clone()], none());
    scheduler().schedule(&mut cluster);
    assert_eq!(hosts(&cluster, "many").len(), 3);
    let existing = cluster.into_standings();
    let topologies = vec![topology("alone", 2, 2), many];
    let mut cluster = Cluster::new(nodes(&[2, 2, 2]), topologies, existing);
    scheduler().schedule(&mut cluster);
    assert_eq!(hosts(&cluster, "alone").len(), 2);
    assert_eq!(hosts(&cluster, "many").len(), 1);
    assert!(cluster.unplaced(&cluster.topologies()[1]).is_empty());
}

#[test]
fn without_machines_everything_waits_and_says_why() {
    let topologies = vec![topology("alone", 6, 6), topology("many", 1, 2)];
    let mut cluster = Cluster::new(nodes(&[2, 2]), topologies, none());
    scheduler().schedule(&mut cluster);
    assert!(hosts(&cluster, "many").is_empty());
    let status = |name: &str| cluster.statuses()[&TopologyId::from(format!("{name}-1-1"))].clone();
    assert!(status("alone").starts_with("Not isolated"));
    assert!(status("many").starts_with("Waiting"));
}

#[test]
fn workers_that_outlive_their_supervisor_stay_or_make_room() {
    let alone = topology("alone", 2, 2);
    let mut cluster = Cluster::new(nodes(&[2, 2, 2]), vec![alone.clone()], none());
    scheduler().schedule(&mut cluster);
    let standings = cluster.into_standings();
    let slots = Vec::from_iter(standings[&alone.id].slots.iter().cloned());
    let mut left = nodes(&[2, 2, 2]);
    left.remove(&slots[0].node);
    let mut cluster = Cluster::new(left.clone(), vec![alone.clone()], standings.clone());
    scheduler().schedule(&mut cluster);
    assert_eq!(cluster.into_standings(), standings);
    // Both on one machine, where each should have its own.
    let together = standings[&alone.id].placement.keys().zip([6700, 6701]);
    let together = together.map(|(executor, port)| {
        let node = slots[0].node.clone();
        (*executor, Slot { node, port })
    });
    let together = BTreeMap::from([(alone.id.clone(), Placement::from_iter(together))]);
    let mut cluster = Cluster::new(left, vec![alone], together);
    scheduler().schedule(&mut cluster);
    assert_eq!(hosts(&cluster, "alone").len(), 2);
}

#[test]
fn what_an_ending_topology_holds_is_not_taken() {
    let ending = Placement::from([(
        ExecutorId::new(TaskId(1), TaskId(1)),
        Slot {
            node: "n0".into(),
            port: 6700,
        },
    )]);
    let existing = BTreeMap::from([(TopologyId::from("ending"), Standing::from(ending.clone()))]);
    let topologies = vec![topology("alone", 2, 2)];
    let mut cluster = Cluster::new(nodes(&[1, 1, 1]), topologies, existing);
    scheduler().schedule(&mut cluster);
    assert_eq!(hosts(&cluster, "alone").len(), 2);
    assert_eq!(
        cluster.into_standings()[&TopologyId::from("ending")]
            .placement
            .as_ref(),
        &ending
    );
}

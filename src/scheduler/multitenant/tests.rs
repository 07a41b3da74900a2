//! Users with machines of their own, and everybody else.

use std::sync::Arc;

use super::*;
use crate::id::TaskId;
use crate::scheduler::demand::{Demand, Wishes};
use crate::scheduler::{Standing, Supervisor};

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

fn topology(name: &str, owner: &str, n_workers: usize, machines: Option<usize>) -> Topology {
    let task = |task| ExecutorId::new(TaskId(task), TaskId(task));
    let executors = (1..=4).map(|n| (task(n), ComponentId::from("c")));
    let wishes = Wishes {
        machines,
        ..Wishes::default()
    };
    Topology {
        id: TopologyId::from(name),
        name: name.to_owned(),
        owner: Some(owner.to_owned()),
        uptime_secs: 0,
        n_workers,
        executors: Arc::new(executors.collect()),
        demand: Arc::new(Demand {
            wishes,
            ..Demand::default()
        }),
    }
}

fn round(sizes: &[u16], topologies: Vec<Topology>, existing: Existing) -> Cluster {
    let mut cluster = Cluster::new(nodes(sizes), topologies, existing);
    let machines = BTreeMap::from([("alice".to_owned(), 2)]);
    MultitenantScheduler::new(machines).schedule(&mut cluster);
    cluster
}

type Existing = BTreeMap<TopologyId, Standing>;

fn nodes_of(cluster: &Cluster, name: &str) -> BTreeSet<NodeId> {
    let slots = cluster.slots(&TopologyId::from(name)).into_keys();
    slots.map(|slot| slot.node).collect()
}

fn status<'c>(cluster: &'c Cluster, name: &str) -> &'c str {
    &cluster.statuses()[&TopologyId::from(name)]
}

#[test]
fn a_user_with_machines_shares_them_with_nobody() {
    let topologies = vec![
        topology("a", "alice", 2, Some(2)),
        topology("b", "bob", 3, None),
    ];
    let cluster = round(&[2, 2, 4], topologies.clone(), Existing::new());
    let (a, b) = (nodes_of(&cluster, "a"), nodes_of(&cluster, "b"));
    assert_eq!((a.len(), b.len()), (2, 1));
    assert!(a.is_disjoint(&b));
    assert_eq!(status(&cluster, "a"), "Scheduled Isolated on 2 Nodes");
    assert_eq!(status(&cluster, "b"), "Fully Scheduled");
    // An undisturbed round moves nothing.
    let before = cluster.into_standings();
    let again = round(&[2, 2, 4], topologies, before.clone());
    assert_eq!(again.into_standings(), before);
}

#[test]
fn nobody_gets_more_machines_than_allowed() {
    let topologies = vec![topology("a", "alice", 4, Some(3))];
    let cluster = round(&[2, 2, 2], topologies, Existing::new());
    assert!(nodes_of(&cluster, "a").is_empty());
    let expected = "Max Nodes(2) for this user would be exceeded. 1 more nodes needed to run \
                    topology.";
    assert_eq!(status(&cluster, "a"), expected);
}

#[test]
fn machines_are_taken_from_those_who_share() {
    let bob = topology("b", "bob", 4, None);
    let cluster = round(&[2, 2], vec![bob.clone()], Existing::new());
    assert_eq!(nodes_of(&cluster, "b").len(), 2);
    let existing = cluster.into_standings();
    let topologies = vec![topology("a", "alice", 1, None), bob];
    let cluster = round(&[2, 2], topologies, existing);
    let (a, b) = (nodes_of(&cluster, "a"), nodes_of(&cluster, "b"));
    assert_eq!((a.len(), b.len()), (1, 1));
    assert!(a.is_disjoint(&b));
    assert_eq!(
        status(&cluster, "b"),
        "Not fully scheduled (No free slots in default pool) 2 executors not scheduled"
    );
}

#[test]
fn without_slots_the_status_says_so() {
    let topologies = vec![
        topology("b", "bob", 2, None),
        topology("c", "carol", 2, None),
    ];
    let cluster = round(&[2], topologies, Existing::new());
    assert_eq!(
        status(&cluster, "c"),
        "Not fully scheduled (No free slots in default pool) 4 executors not scheduled"
    );
}

//! Supervisors that come and go, turn by turn.

use std::sync::Arc;

use super::*;
use crate::id::{ComponentId, ExecutorId, TaskId, TopologyId};
use crate::scheduler::even::DefaultScheduler;
use crate::scheduler::{Scheduler, Standing, Topology};

const SETTINGS: Settings = Settings {
    window_turns: 30,
    tolerated_turns: 3,
    listed_turns: 180,
    counts_slots: true,
    relief: Relief::Slots,
};

fn nodes(names: &[&str], n_ports: u16) -> BTreeMap<NodeId, Supervisor> {
    let supervisor = |name: &&str| Supervisor {
        host: format!("host-of-{name}"),
        ports: (6700..6700 + n_ports).collect(),
        ..Supervisor::default()
    };
    let nodes = names
        .iter()
        .map(|name| (NodeId::from(*name), supervisor(name)));
    nodes.collect()
}

fn topology(n_workers: usize) -> Topology {
    let task = |task| ExecutorId::new(TaskId(task), TaskId(task));
    let executors = (1..=8).map(|n| (task(n), ComponentId::from("c")));
    Topology {
        id: TopologyId::from("t"),
        name: "t".to_owned(),
        owner: None,
        uptime_secs: 0,
        n_workers,
        executors: Arc::new(executors.collect()),
        demand: Arc::default(),
    }
}

fn listed(blacklist: &Blacklist) -> Vec<&str> {
    blacklist.listed().map(NodeId::as_str).collect()
}

/// Where a round puts a topology of that many workers.
fn used(
    blacklist: &mut Blacklist,
    nodes: BTreeMap<NodeId, Supervisor>,
    n: usize,
) -> BTreeSet<String> {
    let none = BTreeMap::<TopologyId, Standing>::new();
    let mut cluster = Cluster::new(nodes, vec![topology(n)], none);
    blacklist.apply(&mut cluster);
    DefaultScheduler::default().schedule(&mut cluster);
    let slots = cluster.slots(&TopologyId::from("t")).into_keys();
    slots.map(|slot| slot.node.as_str().to_owned()).collect()
}

#[test]
fn who_is_missing_three_times_gets_no_work_until_its_time_is_over() {
    let mut blacklist = Blacklist::new(SETTINGS);
    let (all, without) = (nodes(&["a", "b"], 4), nodes(&["a"], 4));
    blacklist.observe(&all);
    blacklist.turn();
    for turn in 0..3 {
        assert!(listed(&blacklist).is_empty(), "turn {turn}");
        blacklist.observe(&without);
        blacklist.turn();
    }
    assert_eq!(listed(&blacklist), ["b"]);
    blacklist.observe(&all);
    assert_eq!(
        used(&mut blacklist, all.clone(), 2),
        BTreeSet::from(["a".to_owned()])
    );
    // It stays out for its time, though it behaves; then the window has forgotten it.
    for _ in 0..179 {
        blacklist.observe(&all);
        blacklist.turn();
        assert_eq!(listed(&blacklist), ["b"]);
    }
    blacklist.observe(&all);
    blacklist.turn();
    assert!(listed(&blacklist).is_empty());
    assert_eq!(used(&mut blacklist, all, 2).len(), 2);
}

#[test]
fn dead_slots_count_where_they_are_to_count() {
    for counts_slots in [true, false] {
        let mut blacklist = Blacklist::new(Settings {
            counts_slots,
            ..SETTINGS
        });
        blacklist.observe(&nodes(&["a"], 4));
        for _ in 0..3 {
            blacklist.observe(&nodes(&["a"], 3));
            blacklist.turn();
        }
        assert_eq!(listed(&blacklist).len(), usize::from(counts_slots));
    }
}

#[test]
fn a_round_between_two_turns_counts_with_its_turn() {
    let mut blacklist = Blacklist::new(SETTINGS);
    blacklist.observe(&nodes(&["a"], 4));
    for _ in 0..10 {
        blacklist.observe(&nodes(&["a"], 3));
    }
    blacklist.turn();
    assert!(listed(&blacklist).is_empty());
}

#[test]
fn a_listed_supervisor_helps_out_when_slots_are_scarce() {
    let mut blacklist = Blacklist::new(SETTINGS);
    let all = nodes(&["a", "b"], 2);
    blacklist.observe(&all);
    for _ in 0..3 {
        blacklist.observe(&nodes(&["a"], 2));
        blacklist.turn();
    }
    assert_eq!(
        used(&mut blacklist, all.clone(), 2),
        BTreeSet::from(["a".to_owned()])
    );
    assert_eq!(used(&mut blacklist, all, 3).len(), 2);
    assert!(listed(&blacklist).is_empty());
}

#[test]
fn who_is_gone_for_good_is_forgotten() {
    let mut blacklist = Blacklist::new(SETTINGS);
    blacklist.observe(&nodes(&["a", "b"], 4));
    for _ in 0..SETTINGS.window_turns {
        blacklist.observe(&nodes(&["a"], 4));
        blacklist.turn();
    }
    assert!(!blacklist.known.contains_key(&NodeId::from("b")));
    assert!(blacklist.known.contains_key(&NodeId::from("a")));
}

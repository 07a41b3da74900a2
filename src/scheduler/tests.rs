//! The even scheduler against Storm's recorded assignments.

use proptest::prelude::*;
use serde_json::Value;

use super::even::{DefaultScheduler, EvenScheduler, IdleRebalance};
use super::*;
use crate::id::TaskId;
use crate::testing::fixtures::{self, Tally};

fn executor(value: &Value) -> ExecutorId {
    let task = |index: usize| TaskId(value[index].as_i64().unwrap() as i32);
    ExecutorId::new(task(0), task(1))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn supervisors(case: &Value) -> BTreeMap<NodeId, Supervisor> {
    let supervisor = |value: &Value| {
        let ports = items(&value["ports"])
            .map(|port| port.as_u64().unwrap() as u16)
            .collect();
        let host = text(&value["host"]).to_owned();
        let supervisor = Supervisor {
            host,
            ports,
            ..Supervisor::default()
        };
        (NodeId::from(text(&value["id"])), supervisor)
    };
    items(&case["supervisors"]).map(supervisor).collect()
}

/// Topologies in the order in which Storm served them.
fn topologies(case: &Value) -> Vec<Topology> {
    let topology = |value: &Value| {
        let component = |e: &Value| ComponentId::from(text(&e["component"]));
        let executors = items(&value["executors"])
            .map(|e| (executor(&e["executor"]), component(e)))
            .collect();
        let n_workers = value["num_workers"].as_u64().unwrap() as usize;
        plain(text(&value["id"]), n_workers, executors)
    };
    let mut topologies: Vec<Topology> = items(&case["topologies"]).map(topology).collect();
    let served: Vec<&str> = items(&case["needs_scheduling"]).map(text).collect();
    topologies.sort_by_key(|t| served.iter().position(|id| *id == t.id.as_str()));
    topologies
}

/// A topology of which only its executors matter.
fn plain(id: &str, n_workers: usize, executors: BTreeMap<ExecutorId, ComponentId>) -> Topology {
    Topology {
        id: TopologyId::from(id),
        name: id.to_owned(),
        owner: None,
        uptime_secs: 0,
        n_workers,
        executors: Arc::new(executors),
        demand: Arc::default(),
    }
}

/// The placements that a round came to.
fn result(cluster: Cluster) -> BTreeMap<TopologyId, Placement> {
    let standings = cluster.into_standings().into_iter();
    let placements = standings.map(|(id, standing)| (id, Arc::unwrap_or_clone(standing.placement)));
    placements
        .filter(|(_, placement)| !placement.is_empty())
        .collect()
}

fn placements(list: &Value) -> BTreeMap<TopologyId, Placement> {
    let mut placements: BTreeMap<TopologyId, Placement> = BTreeMap::new();
    for topology in items(list) {
        let id = TopologyId::from(text(&topology["topology"]));
        let placement = placements.entry(id).or_default();
        for slot in items(&topology["slots"]) {
            let node = NodeId::from(text(&slot["node"]));
            let port = slot["port"].as_u64().unwrap() as u16;
            let place = |e: &Value| {
                (
                    executor(e),
                    Slot {
                        node: node.clone(),
                        port,
                    },
                )
            };
            placement.extend(items(&slot["executors"]).map(place));
        }
    }
    placements.retain(|_, placement| !placement.is_empty());
    placements
}

fn slot_sizes(placements: &BTreeMap<TopologyId, Placement>) -> Vec<(&TopologyId, Vec<usize>)> {
    let sizes = |placement: &Placement| {
        let mut counts: BTreeMap<&Slot, usize> = BTreeMap::new();
        for slot in placement.values() {
            *counts.entry(slot).or_default() += 1;
        }
        let mut sizes: Vec<usize> = counts.into_values().collect();
        sizes.sort_unstable();
        sizes
    };
    placements
        .iter()
        .map(|(id, placement)| (id, sizes(placement)))
        .collect()
}

#[test]
fn schedules_as_storm_does() {
    let file = "scheduling/default-scheduler.jsonl";
    let mut tally = Tally::new(file);
    for case in fixtures::lines(file) {
        let mut cluster = Cluster::new(
            supervisors(&case),
            topologies(&case),
            placements(&case["existing"]),
        );
        let hosts = items(&case["blacklisted_hosts"])
            .map(|host| text(host).to_owned())
            .collect();
        cluster.blacklist_hosts(hosts);
        let served: Vec<TopologyId> = items(&case["needs_scheduling"])
            .map(|id| TopologyId::from(text(id)))
            .collect();
        let needed = cluster.needs_scheduling();
        let free = cluster.free_slots(usize::MAX);
        let free: Vec<String> = free.iter().map(Slot::to_string).collect();
        let expected_free: Vec<&str> = items(&case["sorted_available_slots"]).map(text).collect();
        match text(&case["scheduler"]) {
            "EvenScheduler" => EvenScheduler::default().schedule(&mut cluster),
            "DefaultScheduler" => DefaultScheduler::default().schedule(&mut cluster),
            other => panic!("no scheduler {other} here"),
        }
        let unplaced: Vec<usize> = cluster
            .topologies()
            .iter()
            .map(|t| cluster.unplaced(t).len())
            .collect();
        let expected_unplaced: Vec<usize> = cluster
            .topologies()
            .iter()
            .map(|t| case["after"][t.id.as_str()]["unassigned"].as_u64().unwrap() as usize)
            .collect();
        let result = result(cluster);
        let expected = placements(&case["result"]);
        let same_result = if case["tie_dependent"].as_bool().unwrap_or(false) {
            slot_sizes(&result) == slot_sizes(&expected)
        } else {
            result == expected
        };
        let equal = same_result
            && needed == served
            && free == expected_free
            && unplaced == expected_unplaced;
        tally.case(equal, || {
            let kind = &case["kind"];
            let services = format!("{needed:?} {served:?}\n  {free:?} {expected_free:?}");
            format!("{kind}: {result:?}\n  expected {expected:?}\n  {services}")
        });
    }
    tally.finish(0);
}

fn slot(node: &str, port: u16) -> Slot {
    let node = NodeId::from(node);
    Slot { node, port }
}

fn one(id: &str, n_workers: usize, n_executors: i32) -> Topology {
    let executor = |task| {
        (
            ExecutorId::new(TaskId(task), TaskId(task)),
            ComponentId::from("c"),
        )
    };
    plain(id, n_workers, (1..=n_executors).map(executor).collect())
}

fn nodes(sizes: &[u16]) -> BTreeMap<NodeId, Supervisor> {
    let supervisor = |(index, &n_ports): (usize, &u16)| {
        let ports = (6700..6700 + n_ports).collect();
        let host = format!("h{index}");
        let supervisor = Supervisor {
            host,
            ports,
            ..Supervisor::default()
        };
        (NodeId::from(format!("n{index:03}")), supervisor)
    };
    sizes.iter().enumerate().map(supervisor).collect()
}

#[test]
fn refuses_what_would_break_the_rules() {
    let mut cluster = Cluster::new(
        nodes(&[2]),
        vec![one("a", 1, 2), one("b", 1, 1)],
        BTreeMap::<_, Standing>::new(),
    );
    let executors: Vec<_> = cluster.topologies()[0].executors.keys().copied().collect();
    cluster
        .assign(&"a".into(), &slot("n000", 6700), &executors[..1])
        .unwrap();
    assert_eq!(
        cluster.assign(&"b".into(), &slot("n000", 6700), &executors[..1]),
        Err(AssignError::SlotTaken {
            slot: slot("n000", 6700),
            holder: "a".into()
        })
    );
    assert!(matches!(
        cluster.assign(&"a".into(), &slot("n000", 6701), &executors),
        Err(AssignError::ExecutorPlaced { .. })
    ));
    assert_eq!(cluster.n_free_slots(), 1);
    cluster.vacate(&"b".into(), &BTreeSet::from([slot("n000", 6700)]));
    assert_eq!(cluster.n_free_slots(), 1);
    cluster.vacate(&"a".into(), &BTreeSet::from([slot("n000", 6700)]));
    assert_eq!(cluster.n_free_slots(), 2);
}

#[test]
fn a_slot_claimed_twice_stays_with_one() {
    let placement = Placement::from([(ExecutorId::new(TaskId(1), TaskId(1)), slot("n000", 6700))]);
    let existing = BTreeMap::from([("a".into(), placement.clone()), ("b".into(), placement)]);
    let mut cluster = Cluster::new(nodes(&[2]), vec![one("a", 1, 1), one("b", 1, 1)], existing);
    DefaultScheduler::default().schedule(&mut cluster);
    let result = result(cluster);
    let of = |id: &str| result[id].values().next().cloned().unwrap();
    assert_eq!((of("a"), of("b")), (slot("n000", 6700), slot("n000", 6701)));
}

#[test]
fn nothing_to_use_places_nothing() {
    for (sizes, n_workers) in [(&[][..], 3), (&[0][..], 3), (&[4][..], 0)] {
        let mut cluster = Cluster::new(
            nodes(sizes),
            vec![one("a", n_workers, 4)],
            BTreeMap::<_, Standing>::new(),
        );
        DefaultScheduler::default().schedule(&mut cluster);
        assert!(result(cluster).is_empty());
    }
}

#[test]
fn many_topologies_are_placed_in_one_round() {
    let topologies: Vec<Topology> = (0..300).map(|i| one(&format!("t{i:03}"), 4, 34)).collect();
    let mut cluster = Cluster::new(nodes(&[4; 400]), topologies, BTreeMap::<_, Standing>::new());
    DefaultScheduler::default().schedule(&mut cluster);
    assert!(cluster.needs_scheduling().is_empty());
    assert_eq!(cluster.n_free_slots(), 400);
    let before = result(cluster.clone());
    DefaultScheduler::default().schedule(&mut cluster);
    assert_eq!(result(cluster), before);
}

#[test]
fn workers_move_to_a_supervisor_that_has_been_idle_for_a_while() {
    let mut cluster = Cluster::new(
        nodes(&[4]),
        vec![one("a", 4, 8)],
        BTreeMap::<_, Standing>::new(),
    );
    DefaultScheduler::default().schedule(&mut cluster);
    let (topologies, existing) = (cluster.topologies().to_vec(), cluster.into_standings());
    for (uptime_secs, moves_max, n_moved) in [(8, None, 0), (9, None, 2), (9, Some(1), 1)] {
        let mut nodes = nodes(&[4, 4]);
        nodes
            .values_mut()
            .for_each(|node| node.uptime_secs = uptime_secs);
        let mut cluster = Cluster::new(nodes, topologies.clone(), existing.clone());
        let idle = Some(IdleRebalance {
            uptime_min_secs: 9,
            moves_max,
        });
        DefaultScheduler { idle }.schedule(&mut cluster);
        let slots = cluster.slots(&"a".into()).into_keys();
        let moved: Vec<Slot> = slots.filter(|slot| slot.node.as_str() == "n001").collect();
        assert_eq!(moved.len(), n_moved, "{uptime_secs} {moves_max:?}");
        assert!(cluster.needs_scheduling().is_empty());
    }
}

/// A round's input: node sizes, and for each topology its workers, executors and where each of them
/// runs already (`None`: nowhere; nodes beyond the list are gone).
type Round = (Vec<u16>, Vec<(usize, Vec<Option<(usize, u16)>>)>);

fn round() -> impl Strategy<Value = Round> {
    let place = proptest::option::of((0..7usize, 6700..6704u16));
    let topology = (0..6usize, proptest::collection::vec(place, 0..12));
    (
        proptest::collection::vec(0..5u16, 0..6),
        proptest::collection::vec(topology, 0..5),
    )
}

fn cluster_of((sizes, wanted): &Round) -> Cluster {
    let mut topologies = Vec::new();
    let mut existing = BTreeMap::new();
    for (index, (n_workers, places)) in wanted.iter().enumerate() {
        let topology = one(&format!("t{index}"), *n_workers, places.len() as i32);
        let executors = topology.executors.keys().zip(places);
        let placement: Placement = executors
            .filter_map(|(e, place)| place.map(|(n, port)| (*e, slot(&format!("n{n:03}"), port))))
            .collect();
        existing.insert(topology.id.clone(), placement);
        topologies.push(topology);
    }
    Cluster::new(nodes(sizes), topologies, existing)
}

proptest! {
    #[test]
    fn a_round_keeps_the_rules(round in round(), by_default in any::<bool>()) {
        let before = cluster_of(&round);
        let mut after = before.clone();
        if by_default {
            DefaultScheduler::default().schedule(&mut after);
        } else {
            EvenScheduler::default().schedule(&mut after);
        }
        let mut holders: BTreeMap<&Slot, &TopologyId> = BTreeMap::new();
        for topology in after.topologies() {
            for (executor, slot) in after.placement(&topology.id) {
                prop_assert!(topology.executors.contains_key(executor));
                prop_assert_eq!(*holders.entry(slot).or_insert(&topology.id), &topology.id);
                let is_new = !before.placement(&topology.id).any(|old| old == (executor, slot));
                prop_assert!(!is_new || after.is_reassignable(slot));
            }
            let (old, new) = (before.slots(&topology.id), after.slots(&topology.id));
            prop_assert!(new.len() <= topology.n_workers.max(old.len()));
            let kept = old.keys().all(|slot| new.contains_key(slot));
            if !before.needs_scheduling().contains(&topology.id) || !by_default {
                prop_assert!(kept, "a slot was given up without need");
            }
            let usable = new.keys().filter(|slot| after.is_reassignable(slot)).count();
            if by_default && usable > 0 && usable == new.len() && topology.n_workers > 0 {
                prop_assert!(after.unplaced(topology).is_empty() || after.n_free_slots() == 0);
            }
        }
        let n_ports: usize = after.supervisors().values().map(|s| s.ports.len()).sum();
        let n_used = holders.keys().filter(|slot| after.is_reassignable(slot)).count();
        prop_assert_eq!(after.n_free_slots(), n_ports - n_used);
    }

    #[test]
    fn a_settled_cluster_stays_as_it_is(round in round()) {
        let mut cluster = cluster_of(&round);
        DefaultScheduler::default().schedule(&mut cluster);
        let settled = cluster.needs_scheduling().is_empty();
        let once = result(cluster.clone());
        DefaultScheduler::default().schedule(&mut cluster);
        if settled {
            prop_assert_eq!(result(cluster), once);
        }
    }
}

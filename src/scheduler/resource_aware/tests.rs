//! The resource-aware scheduler against Storm's recorded assignments.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::constraint::Constraints;
use super::*;
use crate::conf::Conf;
use crate::id::{ComponentId, NodeId, TaskId, TopologyId};
use crate::scheduler::demand::{ComponentDemand, Crowding, Demand, Input, SharedMemory, Wishes};
use crate::scheduler::resources::{Capacity, Resources};
use crate::scheduler::{Standing, Supervisor, Topology};
use crate::testing::fixtures::{self, Tally};

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn executor(value: &Value) -> ExecutorId {
    let task = |index: usize| TaskId(value[index].as_i64().unwrap() as i32);
    ExecutorId::new(task(0), task(1))
}

fn supervisors(case: &Value) -> BTreeMap<NodeId, Supervisor> {
    let supervisor = |value: &Value| {
        let ports = items(&value["ports"]).map(|port| port.as_u64().unwrap() as u16);
        let supervisor = Supervisor {
            host: text(&value["host"]).to_owned(),
            rack: text(&value["rack"]).to_owned(),
            ports: ports.collect(),
            capacity: Capacity {
                memory_mb: number(&value["memory_mb"]),
                cpu: number(&value["cpu"]),
                ..Capacity::default()
            },
            uptime_secs: 1000,
        };
        (NodeId::from(text(&value["id"])), supervisor)
    };
    items(&case["supervisors"]).map(supervisor).collect()
}

fn topology(value: &Value) -> Topology {
    let mut components: Vec<&Value> = items(&value["components"]).collect();
    components.sort_by_key(|component| text(&component["id"]));
    let place = |id: &str| components.iter().position(|c| text(&c["id"]) == id);
    let component = |value: &&Value| {
        let input = value["source"].as_str().and_then(place).map(|from| Input {
            from,
            is_shuffled: true,
        });
        ComponentDemand {
            id: ComponentId::from(text(&value["id"])),
            is_spout: value["kind"] == json!("spout"),
            request: Resources {
                onheap_mb: number(&value["onheap_mb"]),
                offheap_mb: number(&value["offheap_mb"]),
                cpu: number(&value["cpu"]),
                ..Resources::default()
            },
            inputs: input.into_iter().collect(),
        }
    };
    let of_component = |value: &&Value| {
        let id = ComponentId::from(text(&value["id"]));
        let executors = items(&value["executors"]).map(move |e| (executor(e), id.clone()));
        executors.collect::<Vec<_>>()
    };
    Topology {
        id: TopologyId::from(text(&value["id"])),
        name: text(&value["id"]).to_owned(),
        owner: Some(text(&value["user"]).to_owned()),
        uptime_secs: value["uptime_secs"].as_i64().unwrap(),
        n_workers: 1,
        executors: Arc::new(components.iter().flat_map(of_component).collect()),
        demand: Arc::new(Demand {
            components: components.iter().map(component).collect(),
            shared: Vec::new(),
            wishes: Wishes {
                priority: value["priority"].as_i64().unwrap(),
                heap_max_mb: number(&value["worker_max_heap_mb"]),
                ..Wishes::default()
            },
        }),
    }
}

fn placements(list: &Value) -> BTreeMap<TopologyId, Placement> {
    let mut placements: BTreeMap<TopologyId, Placement> = BTreeMap::new();
    for topology in items(list) {
        let id = TopologyId::from(text(&topology["topology"]));
        let placement = placements.entry(id).or_default();
        for slot in items(&topology["slots"]) {
            let place = Slot {
                node: NodeId::from(text(&slot["node"])),
                port: slot["port"].as_u64().unwrap() as u16,
            };
            let executors = items(&slot["executors"]).map(executor);
            placement.extend(executors.map(|executor| (executor, place.clone())));
        }
    }
    placements.retain(|_, placement| !placement.is_empty());
    placements
}

fn settings(pools: Pools) -> Settings {
    Settings {
        priority: Priority::Fair,
        pools,
        attempts_max: 5,
        states_max: 100_000,
        cpu_min: 0.0,
        strategies_allowed: None,
    }
}

/// The time that a search took, masked as in the recordings.
fn masked(status: &str) -> String {
    let Some((before, after)) = status.split_once(" ms, backtracked") else {
        return status.to_owned();
    };
    let before = before.trim_end_matches(|c: char| c.is_ascii_digit());
    format!("{before}# ms, backtracked{after}")
}

#[test]
fn schedules_as_storm_does() {
    let file = "scheduling/resource-aware.jsonl";
    let mut tally = Tally::new(file);
    for case in fixtures::lines(file) {
        let pools: Pools = serde_json::from_value(case["user_pools"].clone()).unwrap();
        let mut cluster = Cluster::new(
            supervisors(&case),
            items(&case["topologies"]).map(topology).collect(),
            placements(&case["existing"]),
        );
        ResourceAwareScheduler::new(settings(pools), || 0).schedule(&mut cluster);
        let statuses: BTreeMap<String, String> = cluster
            .statuses()
            .iter()
            .map(|(id, status)| (id.as_str().to_owned(), masked(status)))
            .collect();
        let expected_statuses: BTreeMap<String, String> =
            serde_json::from_value(case["status"].clone()).unwrap();
        let mut resources: Vec<Value> = Vec::new();
        for topology in cluster.topologies() {
            for (slot, executors) in cluster.slots(&topology.id) {
                let mut counts: BTreeMap<usize, u32> = BTreeMap::new();
                for executor in executors {
                    let component = &topology.executors[&executor];
                    *counts
                        .entry(topology.demand.place(component).unwrap())
                        .or_default() += 1;
                }
                let counts: Vec<_> = counts.into_iter().collect();
                let used = topology.demand.worker(&counts, 0.0).total;
                resources.push(json!({
                    "topology": topology.id.as_str(), "slot": slot.to_string(),
                    "onheap": used.onheap_mb, "offheap": used.offheap_mb, "cpu": used.cpu,
                }));
            }
        }
        let mut expected_resources: Vec<Value> =
            items(&case["worker_resources"]).cloned().collect();
        resources.sort_by_key(Value::to_string);
        expected_resources.sort_by_key(Value::to_string);
        let standings = cluster.into_standings().into_iter();
        let result: BTreeMap<TopologyId, Placement> = standings
            .map(|(id, standing)| (id, standing.placement.as_ref().clone()))
            .filter(|(_, placement)| !placement.is_empty())
            .collect();
        let expected = placements(&case["result"]);
        let equal =
            result == expected && statuses == expected_statuses && resources == expected_resources;
        tally.case(equal, || {
            format!(
                "{}: {:#?}\n  {result:?}\n  expected {expected:?}\n {resources:?}",
                case["kind"],
                statuses
                    .iter()
                    .zip(&expected_statuses)
                    .filter(|(a, b)| a != b)
                    .collect::<Vec<_>>()
            )
        });
    }
    tally.finish(0);
}

/// A topology of a spout `a` and a bolt `b` that reads from it, with so many executors each.
fn pair(id: &str, (n_spouts, n_bolts): (i32, i32), (cpu, onheap_mb): (f64, f64)) -> Topology {
    let part = |id: &str, is_spout, inputs| ComponentDemand {
        id: ComponentId::from(id),
        is_spout,
        request: Resources {
            onheap_mb,
            cpu,
            ..Resources::default()
        },
        inputs,
    };
    let input = Input {
        from: 0,
        is_shuffled: true,
    };
    let executor = |task| {
        let id = if task <= n_spouts { "a" } else { "b" };
        (
            ExecutorId::new(TaskId(task), TaskId(task)),
            ComponentId::from(id),
        )
    };
    Topology {
        id: TopologyId::from(id),
        name: id.to_owned(),
        owner: Some("somebody".to_owned()),
        uptime_secs: 1,
        n_workers: 1,
        executors: Arc::new((1..=n_spouts + n_bolts).map(executor).collect()),
        demand: Arc::new(Demand {
            components: vec![part("a", true, Vec::new()), part("b", false, vec![input])],
            ..Demand::default()
        }),
    }
}

fn with(mut topology: Topology, change: impl FnOnce(&mut Demand)) -> Topology {
    change(Arc::make_mut(&mut topology.demand));
    topology
}

fn node(n_ports: u16, cpu: f64, memory_mb: f64) -> Supervisor {
    Supervisor {
        rack: "/default-rack".to_owned(),
        ports: (6700..6700 + n_ports).collect(),
        capacity: Capacity {
            memory_mb,
            cpu,
            ..Capacity::default()
        },
        ..Supervisor::default()
    }
}

fn hosts(nodes: Vec<Supervisor>) -> BTreeMap<NodeId, Supervisor> {
    let named = nodes.into_iter().enumerate().map(|(index, node)| {
        let host = format!("host{index}");
        (
            NodeId::from(format!("node{index}")),
            Supervisor { host, ..node },
        )
    });
    named.collect()
}

fn run(
    nodes: &BTreeMap<NodeId, Supervisor>,
    topologies: Vec<Topology>,
    existing: BTreeMap<TopologyId, Standing>,
) -> Cluster {
    let mut cluster = Cluster::new(nodes.clone(), topologies, existing);
    ResourceAwareScheduler::new(settings(Pools::new()), || 0).schedule(&mut cluster);
    cluster
}

fn status(cluster: &Cluster, id: &str) -> String {
    cluster.statuses()[&TopologyId::from(id)].clone()
}

/// Executors on each slot, by component.
fn mixes(cluster: &Cluster, id: &str) -> Vec<(String, BTreeMap<String, usize>)> {
    let id = TopologyId::from(id);
    let topology = cluster.topologies().iter().find(|t| t.id == id).unwrap();
    let mix = |(slot, executors): (Slot, Vec<ExecutorId>)| {
        let mut mix = BTreeMap::new();
        for executor in executors {
            let component = topology.executors[&executor].as_str().to_owned();
            *mix.entry(component).or_default() += 1;
        }
        (slot.node.as_str().to_owned(), mix)
    };
    cluster.slots(&id).into_iter().map(mix).collect()
}

#[test]
fn workers_hold_no_more_than_they_may() {
    let nodes = hosts(vec![node(8, 1000.0, 8000.0)]);
    for (crowding, n_workers) in [
        (Crowding::OneExecutorPerWorker, 5),
        (Crowding::OneComponentPerWorker, 2),
        (Crowding::Free, 1),
    ] {
        let topology = pair("t", (2, 3), (10.0, 100.0));
        let topology = with(topology, |demand| demand.wishes.crowding = crowding);
        let cluster = run(&nodes, vec![topology], BTreeMap::<_, Standing>::new());
        assert_eq!(mixes(&cluster, "t").len(), n_workers, "{crowding:?}");
    }
}

#[test]
fn favored_hosts_come_first_and_unfavored_last() {
    let nodes = hosts(vec![
        node(2, 100.0, 1000.0),
        node(2, 900.0, 9000.0),
        node(2, 50.0, 900.0),
    ]);
    let place = |favored: &[&str], unfavored: &[&str]| {
        let owned = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect();
        let topology = with(pair("t", (1, 1), (10.0, 100.0)), |demand| {
            demand.wishes.favored = owned(favored);
            demand.wishes.unfavored = owned(unfavored);
        });
        let cluster = run(&nodes, vec![topology], BTreeMap::<_, Standing>::new());
        mixes(&cluster, "t")[0].0.clone()
    };
    assert_eq!(place(&[], &[]), "node1");
    assert_eq!(place(&["host2"], &[]), "node2");
    assert_eq!(place(&[], &["host1"]), "node0");
}

#[test]
fn constraints_spread_and_part_components() {
    let nodes = hosts(vec![node(4, 400.0, 4000.0), node(4, 400.0, 4000.0)]);
    let constraints = |json: Value| {
        let conf = Conf::new().with(keys::TOPOLOGY_RAS_CONSTRAINTS, json);
        let topology = pair("t", (2, 2), (10.0, 100.0));
        let topology = with(topology, |demand| {
            demand.wishes.strategy = format!("{STRATEGIES}ConstraintSolverStrategy");
            demand.wishes.constraints = Constraints::read(&conf);
        });
        run(&nodes, vec![topology], BTreeMap::<_, Standing>::new())
    };
    let cluster = constraints(json!({"a": {"maxNodeCoLocationCnt": 1}}));
    let spouts: BTreeSet<String> = mixes(&cluster, "t")
        .into_iter()
        .filter(|(_, mix)| mix.contains_key("a"))
        .map(|(node, _)| node)
        .collect();
    assert_eq!(spouts.len(), 2);
    for said in [
        json!([["a", "b"]]),
        json!({"b": {"incompatibleComponents": "a"}}),
    ] {
        let cluster = constraints(said);
        assert!(mixes(&cluster, "t").iter().all(|(_, mix)| mix.len() == 1));
    }
    // Three of them on two nodes cannot be.
    let conf = Conf::new().with(
        keys::TOPOLOGY_RAS_CONSTRAINTS,
        json!({"a": {"maxNodeCoLocationCnt": 1}}),
    );
    let topology = with(pair("t", (3, 1), (10.0, 100.0)), |demand| {
        demand.wishes.strategy = format!("{STRATEGIES}ConstraintSolverStrategy");
        demand.wishes.constraints = Constraints::read(&conf);
    });
    let cluster = run(&nodes, vec![topology], BTreeMap::<_, Standing>::new());
    let expected = "Status: FAIL_OTHER error message: Scheduling not feasible!";
    assert_eq!(status(&cluster, "t"), expected);
}

#[test]
fn shared_memory_counts_once_for_a_worker_and_once_for_a_node() {
    let shared = |onheap_mb, offheap_node_mb| SharedMemory {
        users: BTreeSet::from([0, 1]),
        onheap_mb,
        offheap_worker_mb: 0.0,
        offheap_node_mb,
    };
    // Two workers of 500 MB with 100 MB shared in each, and 300 MB on the node: 1500 MB.
    for (memory_mb, fits) in [(1500.0, true), (1499.0, false)] {
        let topology = with(pair("t", (1, 1), (10.0, 500.0)), |demand| {
            demand.shared = vec![shared(100.0, 300.0)];
            demand.wishes.crowding = Crowding::OneExecutorPerWorker;
        });
        let nodes = hosts(vec![node(4, 400.0, memory_mb)]);
        let cluster = run(&nodes, vec![topology], BTreeMap::<_, Standing>::new());
        assert_eq!(
            !mixes(&cluster, "t").is_empty(),
            fits,
            "{}",
            status(&cluster, "t")
        );
    }
}

#[test]
fn generic_resources_are_kept_for_those_who_ask() {
    let mut nodes = hosts(vec![node(4, 400.0, 4000.0), node(4, 400.0, 4000.0)]);
    let gpu = || BTreeMap::from([("gpu".to_owned(), 1.0)]);
    nodes
        .get_mut(&NodeId::from("node0"))
        .unwrap()
        .capacity
        .generic = gpu();
    let plain = pair("plain", (1, 1), (10.0, 100.0));
    let asking = with(pair("asking", (1, 0), (10.0, 100.0)), |demand| {
        demand.components[0].request.generic = gpu();
    });
    let existing = BTreeMap::<_, Standing>::new();
    let cluster = run(&nodes, vec![plain, asking.clone()], existing);
    assert_eq!(mixes(&cluster, "plain")[0].0, "node1");
    assert_eq!(mixes(&cluster, "asking")[0].0, "node0");
    let two = with(asking, |demand| {
        demand.components[0].request.generic = gpu()
    });
    let two = Topology {
        executors: pair("two", (2, 0), (0.0, 0.0)).executors,
        ..two
    };
    let cluster = run(&nodes, vec![two], BTreeMap::<_, Standing>::new());
    assert!(
        status(&cluster, "asking").contains("gpu=2.0"),
        "{}",
        status(&cluster, "asking")
    );
}

#[test]
fn a_strategy_that_is_unknown_or_not_allowed_is_told() {
    let nodes = hosts(vec![node(4, 400.0, 4000.0)]);
    let unknown = with(pair("t", (1, 1), (10.0, 100.0)), |demand| {
        demand.wishes.strategy = "com.example.Mine".to_owned();
    });
    let none = BTreeMap::<TopologyId, Standing>::new;
    let cluster = run(&nodes, vec![unknown], none());
    assert!(status(&cluster, "t").contains("failed to create instance of topology strategy"));
    let mut cluster = Cluster::new(nodes, vec![pair("t", (1, 1), (10.0, 100.0))], none());
    let settings = Settings {
        strategies_allowed: Some(vec!["one".to_owned(), "two".to_owned()]),
        ..settings(Pools::new())
    };
    ResourceAwareScheduler::new(settings, || 0).schedule(&mut cluster);
    assert!(status(&cluster, "t").ends_with("allowed strategies: [one, two]"));
}

#[test]
fn a_search_ends_when_its_time_is_over() {
    // Forty executors that fit nowhere together: far more states than it may try.
    let nodes = hosts((0..6).map(|_| node(4, 390.0, 100_000.0)).collect());
    let topology = with(pair("t", (20, 20), (57.0, 100.0)), |demand| {
        demand.wishes.time_max_ms = 50;
        demand.wishes.states_max = u64::MAX;
    });
    let mut cluster = Cluster::new(nodes, vec![topology], BTreeMap::<_, Standing>::new());
    let clock = std::sync::atomic::AtomicU64::new(0);
    let tick = move || clock.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let settings = Settings {
        states_max: u64::MAX,
        ..settings(Pools::new())
    };
    ResourceAwareScheduler::new(settings, tick).schedule(&mut cluster);
    assert!(cluster.occupied().is_empty());
    assert!(status(&cluster, "t").contains("Cannot schedule by DefaultResourceAwareStrategy"));
}

/// Sizes of nodes: ports, processor, memory.
type Sizes = Vec<(u16, u32, u32)>;
/// Executors, what each asks for, priority, strategy, crowding.
type Wanted = Vec<((i32, i32), (u32, u32), i64, usize, usize)>;

fn cluster_and_work() -> impl proptest::strategy::Strategy<Value = (Sizes, Wanted, usize)> {
    let node = (1..4u16, 0..300u32, 0..3000u32);
    let size = ((1..4i32, 0..4i32), (0..80u32, 1..500u32));
    let topology = (size.0, size.1, 0..3i64, 0..6usize, 0..3usize);
    (
        proptest::collection::vec(node, 1..4),
        proptest::collection::vec(topology, 1..5),
        0..4usize,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_round_keeps_the_rules((sizes, wanted, n_before) in cluster_and_work()) {
        let node = |(ports, cpu, memory): &(u16, u32, u32)| {
            node(*ports, f64::from(*cpu), f64::from(*memory))
        };
        let nodes = hosts(sizes.iter().map(node).collect());
        let topologies: Vec<Topology> = wanted
            .iter()
            .enumerate()
            .map(|(index, (sizes, (cpu, mb), priority, strategy, crowding))| {
                let asked = (f64::from(*cpu), f64::from(*mb));
                with(pair(&format!("t{index}"), *sizes, asked), |demand| {
                    demand.wishes.priority = *priority;
                    demand.wishes.states_max = 300;
                    let name = ["DefaultResourceAwareStrategy", "GenericResourceAwareStrategy",
                        "ConstraintSolverStrategy", "RoundRobinResourceAwareStrategy",
                        "DefaultResourceAwareStrategyOld", "GenericResourceAwareStrategyOld"]
                        [*strategy];
                    demand.wishes.strategy = format!("{STRATEGIES}{name}");
                    demand.wishes.crowding = [Crowding::Free, Crowding::OneExecutorPerWorker,
                        Crowding::OneComponentPerWorker][*crowding];
                })
            })
            .collect();
        // Some run already, then the others come.
        let first = topologies[..n_before.min(topologies.len())].to_vec();
        let before = run(&nodes, first, BTreeMap::<_, Standing>::new());
        let before = before.into_standings();
        let after = run(&nodes, topologies.clone(), before.clone());
        let mut used: BTreeMap<NodeId, (f64, f64)> = BTreeMap::new();
        for topology in &topologies {
            // All or nothing.
            let n_placed = after.placement(&topology.id).count();
            prop_assert!([0, topology.executors.len()].contains(&n_placed));
            prop_assert!(after.statuses().contains_key(&topology.id));
            for (slot, executors) in after.slots(&topology.id) {
                prop_assert_eq!(after.occupied().get(&slot), Some(&topology.id));
                prop_assert!(nodes[&slot.node].ports.contains(&slot.port));
                let components: BTreeSet<_> =
                    executors.iter().map(|executor| &topology.executors[executor]).collect();
                match topology.demand.wishes.crowding {
                    Crowding::OneExecutorPerWorker => prop_assert_eq!(executors.len(), 1),
                    Crowding::OneComponentPerWorker => prop_assert_eq!(components.len(), 1),
                    Crowding::Free => {}
                }
                let executors = executors.iter().map(|executor| &topology.executors[executor]);
                let asked = topology.demand.requested(executors);
                prop_assert!(asked.onheap_mb <= topology.demand.wishes.heap_max_mb);
                let sum = used.entry(slot.node.clone()).or_default();
                sum.0 += asked.cpu;
                sum.1 += asked.memory_mb();
            }
        }
        for (node, (cpu, memory_mb)) in used {
            let capacity = &nodes[&node].capacity;
            prop_assert!(cpu <= capacity.cpu && memory_mb <= capacity.memory_mb);
        }
        // Where all have their place, the next round moves nothing.
        if topologies.iter().all(|topology| !after.lacks_executors(topology)) {
            let settled = after.into_standings();
            let again = run(&nodes, topologies, settled.clone());
            prop_assert_eq!(again.into_standings(), settled);
        }
    }
}

const STRATEGIES: &str = "org.apache.storm.scheduler.resource.strategies.scheduling.";

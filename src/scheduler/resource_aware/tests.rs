//! The resource-aware scheduler against Storm's recorded assignments.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::id::{ComponentId, NodeId, TaskId, TopologyId};
use crate::scheduler::demand::{ComponentDemand, Demand, Input, Wishes};
use crate::scheduler::resources::{Capacity, Resources};
use crate::scheduler::{Supervisor, Topology};
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

//! From Nimbus's directive to what each slot should run. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::slot::Desired;
use crate::id::{ExecutorId, NodeId, TaskId, TopologyId};
use crate::wire::messages::{SupervisorDirective, TopologyWork};
use crate::wire::storm::NodeInfo;

/// What each port of this node should run, and the assignments to ports that are no slots here.
///
/// Two supervisors of one machine may be told of each other's work: only the node's own counts
/// (control-plane 6.6).
pub fn by_port(
    directive: &SupervisorDirective,
    node: &NodeId,
    ports: &BTreeSet<u16>,
) -> (BTreeMap<u16, Desired>, Vec<(TopologyId, i64)>) {
    let mut wanted: BTreeMap<u16, Desired> = BTreeMap::new();
    let mut strays = BTreeSet::new();
    for (id, work) in &directive.topologies {
        let topology = TopologyId::new(id.as_str());
        let placed = work.assignment.executor_node_port.iter().flatten();
        for (executor, place) in placed.filter(|(_, place)| place.node == node.as_str()) {
            let Some(executor) = executor_id(executor) else {
                continue;
            };
            for port in &place.port {
                match u16::try_from(*port)
                    .ok()
                    .filter(|port| ports.contains(port))
                {
                    Some(port) => {
                        let desired = wanted
                            .entry(port)
                            .or_insert_with(|| empty(&topology, work, place));
                        if desired.topology == topology {
                            desired.executors.insert(executor);
                        }
                    }
                    None => drop(strays.insert((topology.clone(), *port))),
                }
            }
        }
    }
    (wanted, strays.into_iter().collect())
}

fn empty(topology: &TopologyId, work: &TopologyWork, place: &NodeInfo) -> Desired {
    let resources = work
        .assignment
        .worker_resources
        .as_ref()
        .and_then(|all| all.get(place));
    let since = work.slot_epochs.as_ref().and_then(|all| all.get(place));
    Desired {
        topology: topology.clone(),
        executors: BTreeSet::new(),
        resources: resources.cloned().unwrap_or_default(),
        since: since.copied().unwrap_or(0),
        work: work.clone(),
    }
}

fn executor_id(tasks: &[i64]) -> Option<ExecutorId> {
    let [first, last] = tasks else { return None };
    let task = |task: &i64| i32::try_from(*task).ok().map(TaskId);
    Some(ExecutorId::new(task(first)?, task(last)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::storm::Assignment;

    fn place(node: &str, port: i64) -> NodeInfo {
        NodeInfo {
            node: node.into(),
            port: [port].into(),
        }
    }

    #[test]
    fn takes_only_this_nodes_work_and_names_ports_that_are_no_slots() {
        let placed = [
            (vec![1, 2], place("here", 6700)),
            (vec![3, 3], place("here", 6700)),
            (vec![4, 4], place("there", 6700)),
            (vec![5, 5], place("here", 9)),
        ];
        let assignment = Assignment {
            executor_node_port: Some(placed.into()),
            ..Assignment::default()
        };
        let work = TopologyWork {
            assignment,
            epoch: 3,
            ..TopologyWork::default()
        };
        let directive = SupervisorDirective {
            version: 1,
            topologies: [("t-1-1".to_owned(), work)].into(),
            packed: None,
        };
        let (wanted, strays) = by_port(&directive, &"here".into(), &[6700, 6701].into());
        assert_eq!(wanted.len(), 1);
        let executors: Vec<_> = wanted[&6700]
            .executors
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(executors, ["[1-2]", "[3-3]"]);
        assert_eq!(strays, [("t-1-1".into(), 9)]);
    }
}

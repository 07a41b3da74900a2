//! Numbers the tasks of a topology and groups them into executors (control-plane 4.6 and 6.1).
//!
//! Where executors run is the scheduler's business.

use std::collections::BTreeMap;

use crate::conf::Conf;
use crate::id::{ComponentId, ExecutorId, TaskId};
use crate::partition::shares;
use crate::wire::storm::StormTopology;

use super::{InvalidTopology, components, java_order, validate};

/// Task ids 1, 2, 3.. of a system topology whose components carry `topology.tasks`; without it, a
/// component has as many tasks as executors. Components follow one another in Java's order of ids.
///
/// Refuses more tasks than `stormwire.topology.tasks.max` of `conf` before it makes any.
pub fn number(
    system: &StormTopology,
    conf: &Conf,
) -> Result<BTreeMap<TaskId, ComponentId>, InvalidTopology> {
    let mut counts = Vec::new();
    for component in components(system) {
        counts.push((component.id, super::conf::tasks(&component)?));
    }
    validate::n_tasks(&counts, conf)?;
    counts.sort_by(|a, b| java_order(a.0, b.0));
    let mut numbered = BTreeMap::new();
    let mut next = 1;
    for (id, n_tasks) in counts {
        let id = ComponentId::from(id);
        for _ in 0..n_tasks {
            numbered.insert(TaskId(next), id.clone());
            next += 1;
        }
    }
    Ok(numbered)
}

/// Executors asked for, by component: the parallelism hints of a system topology, as Storm records
/// them at launch. A rebalance changes this map and never the tasks.
pub fn parallelism(system: &StormTopology) -> BTreeMap<ComponentId, i32> {
    components(system)
        .map(|component| {
            (
                ComponentId::from(component.id),
                super::parallelism(component.common),
            )
        })
        .collect()
}

/// Executors of each component that `parallelism` names: its tasks in at most that many runs, sizes
/// differing by at most one, larger runs first, no empty run.
pub fn executors(
    tasks: &BTreeMap<TaskId, ComponentId>,
    parallelism: &BTreeMap<ComponentId, i32>,
) -> BTreeMap<ExecutorId, ComponentId> {
    let mut executors = BTreeMap::new();
    for (component, run) in runs(tasks) {
        let wanted = parallelism.get(&component).copied().unwrap_or(0);
        for executor in partition(run, wanted) {
            executors.insert(executor, component.clone());
        }
    }
    executors
}

/// The tasks of each component as one run. Numbering makes them contiguous.
fn runs(tasks: &BTreeMap<TaskId, ComponentId>) -> Vec<(ComponentId, ExecutorId)> {
    let mut runs: Vec<(ComponentId, ExecutorId)> = Vec::new();
    for (&task, component) in tasks {
        match runs.last_mut() {
            Some((last, run)) if last == component => run.last = task,
            _ => runs.push((component.clone(), ExecutorId::new(task, task))),
        }
    }
    runs
}

fn partition(run: ExecutorId, n_wanted: i32) -> Vec<ExecutorId> {
    let n_tasks = (run.last.0 - run.first.0 + 1) as usize;
    let n_chunks = usize::try_from(n_wanted).unwrap_or(0).min(n_tasks);
    let sizes = shares(n_tasks, n_chunks).into_iter().rev();
    let sizes = sizes.flat_map(|(size, n_times)| std::iter::repeat_n(size as i32, n_times));
    let mut first = run.first.0;
    let chunk = |size| {
        let chunk = ExecutorId::new(TaskId(first), TaskId(first + size - 1));
        first += size;
        chunk
    };
    sizes.map(chunk).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunks(n_tasks: i32, n_wanted: i32) -> Vec<(i32, i32)> {
        let run = ExecutorId::new(TaskId(1), TaskId(n_tasks));
        partition(run, n_wanted)
            .iter()
            .map(|e| (e.first.0, e.last.0))
            .collect()
    }

    #[test]
    fn larger_runs_come_first() {
        assert_eq!(chunks(5, 2), [(1, 3), (4, 5)]);
        assert_eq!(chunks(3, 8), [(1, 1), (2, 2), (3, 3)]);
        assert_eq!(chunks(7, 3), [(1, 3), (4, 5), (6, 7)]);
        assert_eq!(chunks(4, 0), []);
        assert_eq!(chunks(4, -2), []);
        assert_eq!(chunks(4, i32::MAX).len(), 4);
    }

    #[test]
    fn a_component_without_a_wish_gets_no_executors() {
        let tasks = BTreeMap::from([(TaskId(1), "a".into()), (TaskId(2), "b".into())]);
        let wishes = BTreeMap::from([("b".into(), 3), ("gone".into(), 2)]);
        let expected = BTreeMap::from([(ExecutorId::new(TaskId(2), TaskId(2)), "b".into())]);
        assert_eq!(executors(&tasks, &wishes), expected);
    }

    proptest! {
        #[test]
        fn a_partition_covers_each_task_once(n_tasks in 1..500i32, n_wanted in -3..600i32) {
            let chunks = chunks(n_tasks, n_wanted);
            if n_wanted <= 0 {
                prop_assert!(chunks.is_empty());
                return Ok(());
            }
            prop_assert_eq!(chunks.len() as i32, n_wanted.min(n_tasks));
            let mut next = 1;
            let mut previous = i32::MAX;
            for (first, last) in &chunks {
                prop_assert_eq!(*first, next);
                let size = last - first + 1;
                prop_assert!(size >= 1 && size <= previous);
                (next, previous) = (last + 1, size);
            }
            prop_assert_eq!(next, n_tasks + 1);
            let size = |(first, last): &(i32, i32)| last - first;
            let (first, last) = (chunks.first().map(size), chunks.last().map(size));
            let spread = first.unwrap_or(0) - last.unwrap_or(0);
            prop_assert!(spread <= 1);
        }
    }
}

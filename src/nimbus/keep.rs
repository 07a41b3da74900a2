//! Matches a fresh placement to the workers that run already, so that as few as possible have to
//! start anew.
//!
//! A scheduler that places from nothing deals equal executors out in any order. Executors of one
//! component are equal to it, so a worker that has what the fresh placement wants of each component
//! on its node can stay as it is. How many workers there are, on which nodes, and how many
//! executors of each component each has, stays as the scheduler decided. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{ComponentId, ExecutorId, Slot};
use crate::scheduler::Placement;

/// How many executors of each component.
type Mix<'a> = BTreeMap<&'a ComponentId, usize>;

/// A worker of the fresh placement.
struct Group<'a> {
    slot: Slot,
    mix: Mix<'a>,
    /// Filled once it is known.
    executors: BTreeSet<ExecutorId>,
}

/// The fresh placement with as many workers of `old` unchanged as it allows. `may_use` says whether
/// a slot of `old` is still the topology's to have.
pub(crate) fn on_old_slots(
    fresh: &Placement,
    old: &Placement,
    components: &BTreeMap<ExecutorId, ComponentId>,
    may_use: impl Fn(&Slot) -> bool,
) -> Placement {
    let mut groups = groups(fresh, components);
    let mut left: BTreeSet<ExecutorId> = fresh.keys().copied().collect();
    let mut old_workers = by_slot(old);
    old_workers.retain(|slot, executors| may_use(slot) && executors.is_subset(&left));
    // Those first that have the slot of the fresh placement too: ports change hands only where they
    // must.
    for is_exact in [true, false] {
        old_workers.retain(|slot, executors| {
            let mix = mix(executors.iter(), components);
            let fits = |group: &&mut Group<'_>| {
                let is_at = match is_exact {
                    true => group.slot == *slot,
                    false => group.slot.node == slot.node,
                };
                is_at && group.executors.is_empty() && group.mix == mix
            };
            let Some(group) = groups.iter_mut().find(fits) else {
                return true;
            };
            left.retain(|executor| !executors.contains(executor));
            group.executors = std::mem::take(executors);
            let given_up = std::mem::replace(&mut group.slot, slot.clone());
            // Whoever was to have this slot gets the one that the worker does not need.
            let is_rival =
                |group: &&mut Group<'_>| group.slot == *slot && group.executors.is_empty();
            if let Some(rival) = groups.iter_mut().find(is_rival) {
                rival.slot = given_up;
            }
            false
        });
    }
    deal(&mut groups, &mut left, old, components);
    let placed = groups.into_iter().flat_map(|group| {
        let Group {
            slot, executors, ..
        } = group;
        executors
            .into_iter()
            .map(move |executor| (executor, slot.clone()))
    });
    placed.collect()
}

/// Fills the other workers: executors that were on a slot before first, then whoever is next.
fn deal(
    groups: &mut [Group<'_>],
    left: &mut BTreeSet<ExecutorId>,
    old: &Placement,
    components: &BTreeMap<ExecutorId, ComponentId>,
) {
    let is_new = |group: &&mut Group<'_>| group.executors.is_empty();
    let mut open: Vec<&mut Group<'_>> = groups.iter_mut().filter(is_new).collect();
    for is_at_home in [true, false] {
        for group in &mut open {
            left.retain(|executor| {
                let is_here = old.get(executor) == Some(&group.slot);
                let wanted = components
                    .get(executor)
                    .and_then(|component| group.mix.get_mut(component))
                    .filter(|n_wanted| **n_wanted > 0 && (is_here || !is_at_home));
                let Some(n_wanted) = wanted else { return true };
                *n_wanted -= 1;
                group.executors.insert(*executor);
                false
            });
        }
    }
}

fn groups<'a>(
    fresh: &Placement,
    components: &'a BTreeMap<ExecutorId, ComponentId>,
) -> Vec<Group<'a>> {
    let groups = by_slot(fresh).into_iter().map(|(slot, executors)| Group {
        mix: mix(executors.iter(), components),
        slot,
        executors: BTreeSet::new(),
    });
    groups.collect()
}

/// The executors of each slot.
pub(crate) fn by_slot(placement: &Placement) -> BTreeMap<Slot, BTreeSet<ExecutorId>> {
    let mut slots: BTreeMap<Slot, BTreeSet<ExecutorId>> = BTreeMap::new();
    for (executor, slot) in placement {
        slots.entry(slot.clone()).or_default().insert(*executor);
    }
    slots
}

fn mix<'a, 'e>(
    executors: impl Iterator<Item = &'e ExecutorId>,
    components: &'a BTreeMap<ExecutorId, ComponentId>,
) -> Mix<'a> {
    let mut mix = Mix::new();
    for component in executors.filter_map(|executor| components.get(executor)) {
        *mix.entry(component).or_default() += 1;
    }
    mix
}

/// Workers of `new` that are as they were in `old`.
#[cfg(test)]
fn n_kept(old: &Placement, new: &Placement) -> usize {
    let new = by_slot(new);
    let old = by_slot(old);
    new.iter()
        .filter(|(slot, executors)| old.get(*slot) == Some(*executors))
        .count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::{NodeId, TaskId};

    fn executor(task: i32) -> ExecutorId {
        ExecutorId::new(TaskId(task), TaskId(task))
    }

    fn slot(node: &str, port: u16) -> Slot {
        Slot {
            node: NodeId::from(node),
            port,
        }
    }

    fn placement(workers: &[(&str, u16, &[i32])]) -> Placement {
        let placed = workers.iter().flat_map(|(node, port, tasks)| {
            tasks
                .iter()
                .map(|task| (executor(*task), slot(node, *port)))
        });
        placed.collect()
    }

    /// Tasks 1 to 9 are of `a`, 11 to 19 of `b`, and so on.
    fn components(placement: &Placement) -> BTreeMap<ExecutorId, ComponentId> {
        let of = |executor: &ExecutorId| format!("c{}", executor.first.0 / 10);
        placement
            .keys()
            .map(|executor| (*executor, ComponentId::from(of(executor).as_str())))
            .collect()
    }

    fn check(old: &Placement, fresh: &Placement, expected: &Placement) {
        let found = on_old_slots(fresh, old, &components(fresh), |_| true);
        assert_eq!(found, *expected);
    }

    #[test]
    fn the_same_again_moves_nothing() {
        let old = placement(&[("n", 6700, &[1, 11]), ("n", 6703, &[2, 12])]);
        // Dealt out another way, on other ports.
        let fresh = placement(&[("n", 6700, &[2, 11]), ("n", 6701, &[1, 12])]);
        check(&old, &fresh, &old);
    }

    #[test]
    fn one_more_executor_changes_one_worker() {
        let old = placement(&[("n", 6700, &[1, 11]), ("n", 6701, &[2, 12])]);
        let fresh = placement(&[("n", 6700, &[1, 11, 13]), ("n", 6701, &[2, 12])]);
        check(&old, &fresh, &fresh);
        let shifted = placement(&[("n", 6700, &[1, 12]), ("n", 6701, &[2, 11, 13])]);
        let expected = placement(&[("n", 6700, &[1, 11]), ("n", 6701, &[2, 12, 13])]);
        check(&old, &shifted, &expected);
    }

    #[test]
    fn an_executor_that_was_split_changes_its_worker_only() {
        let whole = ExecutorId::new(TaskId(11), TaskId(12));
        let mut old = placement(&[("n", 6700, &[1]), ("n", 6701, &[2, 13])]);
        old.insert(whole, slot("n", 6700));
        let fresh = placement(&[("n", 6700, &[1, 12, 13]), ("n", 6701, &[2, 11])]);
        let expected = placement(&[("n", 6700, &[1, 11, 12]), ("n", 6701, &[2, 13])]);
        check(&old, &fresh, &expected);
    }

    #[test]
    fn workers_go_to_the_nodes_that_the_scheduler_chose() {
        let old = placement(&[("n", 6700, &[1]), ("n", 6701, &[2])]);
        let fresh = placement(&[("m", 6700, &[1]), ("n", 6700, &[2])]);
        let expected = placement(&[("m", 6700, &[2]), ("n", 6700, &[1])]);
        check(&old, &fresh, &expected);
    }

    #[test]
    fn a_slot_that_is_gone_is_not_used() {
        let old = placement(&[("n", 6700, &[1]), ("n", 6701, &[2])]);
        let fresh = placement(&[("n", 6702, &[1]), ("n", 6703, &[2])]);
        let may_use = |slot: &Slot| slot.port != 6700;
        let found = on_old_slots(&fresh, &old, &components(&fresh), may_use);
        let expected = placement(&[("n", 6703, &[1]), ("n", 6701, &[2])]);
        assert_eq!(found, expected);
    }

    prop_compose! {
        /// Up to 30 executors of three components on up to 4 ports of 2 nodes.
        fn any_placement()(slots in prop::collection::vec((0..2u8, 0..4u16), 30),
            n in 1..30usize,
        ) -> Placement {
            let placed = slots.into_iter().take(n).enumerate().map(|(task, (node, port))| {
                (executor(task as i32), slot(["n", "m"][usize::from(node)], port))
            });
            placed.collect()
        }
    }

    proptest! {
        /// Every executor is placed once, and each node has workers of the same mixes as the
        /// scheduler gave it.
        #[test]
        fn keeps_what_the_scheduler_decided(old in any_placement(), fresh in any_placement()) {
            let components = components(&fresh);
            let found = on_old_slots(&fresh, &old, &components, |_| true);
            prop_assert!(found.keys().eq(fresh.keys()));
            let mixes = |placement: &Placement| {
                let workers = by_slot(placement).into_iter().map(|(slot, executors)| {
                    (slot.node, mix(executors.iter(), &components))
                });
                let mut mixes: Vec<_> = workers.collect();
                mixes.sort();
                mixes
            };
            prop_assert_eq!(mixes(&found), mixes(&fresh));
            prop_assert!(n_kept(&old, &found) >= n_kept(&old, &fresh));
            let again = on_old_slots(&fresh, &found, &components, |_| true);
            prop_assert_eq!(again, found);
        }
    }
}

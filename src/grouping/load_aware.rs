//! Shuffle by load and distance, Storm's default (data-plane 2.3): near tasks get all tuples while
//! they keep up, and among those in reach the less loaded get more.
//!
//! Which load and distance a task has, and when to look again, is the caller's business.

use crate::id::TaskId;

/// How far a task is from the worker that emits. The nearest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Locality {
    Worker,
    Host,
    Rack,
    Anywhere,
}

/// Mean loads, 0 to 1, at which the reach changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reach {
    /// Above this the next farther tasks get tuples too (`topology.localityaware.higher.bound`).
    pub widens_above: f64,
    /// Below this in the next nearer ones only those do (`topology.localityaware.lower.bound`).
    pub narrows_below: f64,
}

/// What is known of tasks when a grouping looks again.
pub trait Loads {
    fn locality(&self, task: TaskId) -> Locality;

    /// How full the queue of a task is, 0 to 1.
    fn load(&self, task: TaskId) -> f64;
}

/// The tasks of one subscriber, with how many tuples of a round each gets.
#[derive(Clone, Debug)]
pub struct LoadAware {
    targets: Vec<Target>,
    reach: Reach,
    scope: Locality,
    /// One round: whose turn it is, in an order drawn anew at each look.
    turns: Vec<TaskId>,
    next: usize,
    random: fastrand::Rng,
}

#[derive(Clone, Debug)]
struct Target {
    task: TaskId,
    weight: u32,
    locality: Locality,
    load: f64,
}

// === impl LoadAware ===

impl LoadAware {
    /// Nothing is known yet: the nearest tasks share alike. Takes a generator from `random`.
    pub(super) fn new(
        tasks: Vec<TaskId>,
        reach: Reach,
        locality: impl Fn(TaskId) -> Locality,
        random: &mut fastrand::Rng,
    ) -> Self {
        let target = |task| Target {
            task,
            weight: WEIGHT_MAX,
            locality: locality(task),
            load: 0.0,
        };
        let mut grouping = LoadAware {
            targets: tasks.into_iter().map(target).collect(),
            reach,
            scope: Locality::Worker,
            turns: Vec::new(),
            next: 0,
            random: random.fork(),
        };
        grouping.scope = grouping.nearest(Locality::Worker);
        grouping.draw();
        grouping
    }

    pub(super) fn only_target(&self) -> Option<TaskId> {
        match self.targets.as_slice() {
            [one] => Some(one.task),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn choose(&mut self) -> Option<TaskId> {
        let task = self.turns.get(self.next).copied();
        self.next += 1;
        if self.next >= self.turns.len() {
            self.next = 0;
        }
        task
    }

    /// Looks at loads and distances again; comes about once a second.
    pub(super) fn refresh(&mut self, loads: &dyn Loads) {
        for target in &mut self.targets {
            target.locality = loads.locality(target.task);
            target.load = loads.load(target.task);
        }
        let scope = self.next_scope();
        if scope != self.scope {
            self.scope = scope;
            for target in &mut self.targets {
                target.weight = WEIGHT_MAX;
            }
        }
        self.weigh();
        self.draw();
    }

    /// One step at most from where it is, unless nothing is there.
    fn next_scope(&self) -> Locality {
        let scope = self.nearest(self.scope);
        let Some(mean) = self.mean_load(scope) else {
            return scope;
        };
        if mean > self.reach.widens_above {
            return wider(scope);
        }
        let nearer = narrower(scope);
        match self.mean_load(nearer) {
            Some(mean) if mean < self.reach.narrows_below => nearer,
            _ => scope,
        }
    }

    /// The narrowest scope from this one on that has any task.
    fn nearest(&self, from: Locality) -> Locality {
        let nearest = self.targets.iter().map(|target| target.locality).min();
        nearest.map_or(from, |nearest| nearest.max(from))
    }

    /// None where no task is.
    fn mean_load(&self, scope: Locality) -> Option<f64> {
        let within = self.targets.iter().filter(|t| t.locality <= scope);
        let (n, sum) = within.fold((0u32, 0.0), |(n, sum), target| (n + 1, sum + target.load));
        (n > 0).then(|| sum / f64::from(n))
    }

    fn weigh(&mut self) {
        let scope = self.scope;
        let within = |target: &&mut Target| target.locality <= scope;
        let loads = self.targets.iter().filter(|t| t.locality <= scope);
        let least = loads
            .map(|target| target.load)
            .fold(f64::INFINITY, f64::min);
        for target in self.targets.iter_mut().filter(within) {
            target.weight = if target.load <= least + LOAD_TOLERANCE {
                (target.weight + WEIGHT_UP).min(WEIGHT_MAX)
            } else {
                target.weight.saturating_sub(WEIGHT_DOWN)
            };
        }
    }

    /// Deals the turns of the next round.
    fn draw(&mut self) {
        let n_turns = match self.targets.len() {
            1 => 1,
            n => TURNS_MIN.max(n * TURNS_EACH),
        };
        let scope = self.scope;
        let within = || self.targets.iter().filter(|t| t.locality <= scope);
        let sum: u32 = within().map(|target| target.weight).sum();
        self.turns.clear();
        self.next = 0;
        for target in within() {
            let share = f64::from(target.weight) / f64::from(sum) * n_turns as f64;
            // Without any weight the share is no number, which is cut to none.
            let n = (share as usize).min(n_turns - self.turns.len());
            self.turns.extend(std::iter::repeat_n(target.task, n));
        }
        if self.turns.is_empty() {
            let all = within().map(|target| target.task).cycle();
            self.turns.extend(all.take(n_turns));
        }
        let n_dealt = self.turns.len();
        while self.turns.len() < n_turns && n_dealt > 0 {
            let any = self.random.usize(..self.turns.len());
            self.turns.push(self.turns[any]);
        }
        self.random.shuffle(&mut self.turns);
    }
}

fn wider(scope: Locality) -> Locality {
    match scope {
        Locality::Worker => Locality::Host,
        Locality::Host => Locality::Rack,
        Locality::Rack | Locality::Anywhere => Locality::Anywhere,
    }
}

fn narrower(scope: Locality) -> Locality {
    match scope {
        Locality::Worker | Locality::Host => Locality::Worker,
        Locality::Rack => Locality::Host,
        Locality::Anywhere => Locality::Rack,
    }
}

const WEIGHT_MAX: u32 = 100;
const WEIGHT_UP: u32 = 1;
const WEIGHT_DOWN: u32 = 10;
/// A load this much above the least counts as the least.
const LOAD_TOLERANCE: f64 = 0.05;
/// Turns of a round: at least so many, and for many tasks so many each.
const TURNS_MIN: usize = 1000;
const TURNS_EACH: usize = 5;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Tasks from 1 on, each with its distance and load.
    struct Known(Vec<(Locality, f64)>);

    impl Known {
        fn of(&self, task: TaskId) -> (Locality, f64) {
            self.0[usize::try_from(task.0).unwrap() - 1]
        }
    }

    impl Loads for Known {
        fn locality(&self, task: TaskId) -> Locality {
            self.of(task).0
        }

        fn load(&self, task: TaskId) -> f64 {
            self.of(task).1
        }
    }

    use Locality::{Anywhere, Host, Rack, Worker};

    const REACH: Reach = Reach {
        widens_above: 0.8,
        narrows_below: 0.2,
    };

    fn grouping(known: &Known) -> LoadAware {
        let tasks = (1..=known.0.len()).map(|task| TaskId(task as i32));
        let locality = |task| known.locality(task);
        LoadAware::new(
            tasks.collect(),
            REACH,
            locality,
            &mut fastrand::Rng::with_seed(3),
        )
    }

    /// How many tuples of a round each task gets.
    fn round(grouping: &mut LoadAware) -> BTreeMap<i32, usize> {
        let mut counts = BTreeMap::new();
        for _ in 0..grouping.turns.len() {
            let task = grouping.choose().expect("there are tasks");
            *counts.entry(task.0).or_default() += 1;
        }
        counts
    }

    fn who(grouping: &mut LoadAware) -> Vec<i32> {
        round(grouping).into_keys().collect()
    }

    #[test]
    fn alike_tasks_share_alike() {
        let mut four = grouping(&Known(vec![(Worker, 0.0); 4]));
        assert_eq!(
            round(&mut four),
            BTreeMap::from([(1, 250), (2, 250), (3, 250), (4, 250)])
        );
        let mut three = grouping(&Known(vec![(Rack, 0.0); 3]));
        let counts = round(&mut three);
        assert_eq!(counts.values().sum::<usize>(), 1000);
        assert!(
            counts.values().all(|n| (333..=334).contains(n)),
            "{counts:?}"
        );
        assert_eq!(grouping(&Known(vec![(Host, 1.0)])).turns, [TaskId(1)]);
        assert_eq!(grouping(&Known(Vec::new())).choose(), None);
        assert_eq!(grouping(&Known(vec![(Worker, 0.0); 400])).turns.len(), 2000);
    }

    #[test]
    fn near_tasks_get_all_until_they_are_full_and_again_when_they_are_not() {
        let mut known = Known(vec![
            (Worker, 0.5),
            (Host, 0.0),
            (Rack, 0.0),
            (Anywhere, 0.0),
        ]);
        let mut near = grouping(&known);
        assert_eq!(who(&mut near), [1]);
        near.refresh(&known);
        assert_eq!(who(&mut near), [1], "neither full nor empty");
        known.0[0].1 = 0.9;
        known.0[1].1 = 0.9;
        near.refresh(&known);
        assert_eq!(who(&mut near), [1, 2]);
        near.refresh(&known);
        assert_eq!(who(&mut near), [1, 2, 3]);
        known.0[0].1 = 0.19;
        near.refresh(&known);
        assert_eq!(
            who(&mut near),
            [1, 2, 3],
            "together the nearer ones are not idle enough"
        );
        known.0[1].1 = 0.19;
        near.refresh(&known);
        assert_eq!(who(&mut near), [1, 2]);
        near.refresh(&known);
        assert_eq!(who(&mut near), [1]);
    }

    #[test]
    fn what_moves_away_is_followed() {
        let mut known = Known(vec![(Worker, 0.5), (Worker, 0.5)]);
        let mut grouping = grouping(&known);
        known.0 = vec![(Rack, 0.5), (Anywhere, 0.5)];
        grouping.refresh(&known);
        assert_eq!(who(&mut grouping), [1]);
    }

    #[test]
    fn the_loaded_get_less_quickly_and_more_slowly() {
        let mut known = Known(vec![(Worker, 0.3), (Worker, 0.3)]);
        let mut two = grouping(&known);
        known.0[1].1 = 0.36;
        two.refresh(&known);
        assert_eq!(two.targets[1].weight, 90);
        for _ in 0..20 {
            two.refresh(&known);
        }
        assert_eq!(who(&mut two), [1]);
        known.0[1].1 = 0.34;
        two.refresh(&known);
        // One part of 101.
        assert_eq!(two.targets[1].weight, 1);
        let few = round(&mut two)[&2];
        assert!((9..=10).contains(&few), "{few}");
    }

    #[test]
    fn tasks_without_any_weight_take_turns() {
        let known = Known(vec![(Worker, 0.0); 2]);
        let mut two = grouping(&known);
        two.targets.iter_mut().for_each(|target| target.weight = 0);
        two.draw();
        assert_eq!(round(&mut two), BTreeMap::from([(1, 500), (2, 500)]));
    }
}

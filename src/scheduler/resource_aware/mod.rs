//! Storm's resource-aware scheduler: places a topology only where memory, processor and whatever
//! users name suffice, and evicts less important topologies when it must (control-plane 6.5).
//!
//! A topology is placed whole or not at all; its status says which, and what was lacking.

pub mod amounts;
pub mod constraint;
pub mod node;
pub mod priority;
pub mod rank;
pub mod sequence;
pub mod strategy;

use std::collections::{BTreeMap, BTreeSet};

use crate::conf::{convert::java_double, keys};
use crate::id::{ExecutorId, Slot};

use amounts::{Ask, Offer};
use node::{Board, Spot};
use priority::{Pools, Priority};
use strategy::{Limits, Outcome, Strategy};

use super::{Cluster, Placement, Scheduler};

/// The scheduler with its settings.
pub struct ResourceAwareScheduler {
    settings: Settings,
    /// Monotonic milliseconds.
    now_ms: Box<dyn Fn() -> u64 + Send>,
}

/// What the daemon's conf says.
#[derive(Clone, Debug)]
pub struct Settings {
    pub priority: Priority,
    pub pools: Pools,
    /// How often one topology is tried in a round, with more evicted each time.
    pub attempts_max: u32,
    /// Placements that a search may try, whatever the topology says.
    pub states_max: u64,
    /// What a worker takes at least, in percent of a core.
    pub cpu_min: f64,
    /// Class names; None: all.
    pub strategies_allowed: Option<Vec<String>>,
}

// === impl ResourceAwareScheduler ===

impl ResourceAwareScheduler {
    pub fn new(settings: Settings, now_ms: impl Fn() -> u64 + Send + 'static) -> Self {
        ResourceAwareScheduler {
            settings,
            now_ms: Box::new(now_ms),
        }
    }
}

impl Scheduler for ResourceAwareScheduler {
    fn schedule(&mut self, cluster: &mut Cluster) {
        let order = self.settings.priority.order(cluster, &self.settings.pools);
        let is_needy = |place: &usize| cluster.lacks_executors(&cluster.topologies()[*place]);
        let mut statuses = Vec::new();
        let mut changed = BTreeMap::new();
        if order.iter().any(is_needy) {
            let board = Board::new(cluster, self.settings.cpu_min);
            let mut round = Round {
                settings: &self.settings,
                now_ms: &*self.now_ms,
                board,
                order: &order,
                statuses: Vec::new(),
                changed: BTreeSet::new(),
            };
            round.run();
            changed = round.changes();
            statuses = round.statuses;
        } else {
            statuses.extend(order.iter().map(|place| (*place, None)));
        }
        for (place, status) in statuses {
            let id = cluster.topologies()[place].id.clone();
            match status {
                Some(status) => cluster.set_status(&id, status),
                None => cluster.set_status_if_absent(&id, "Fully Scheduled"),
            }
        }
        // All leave before any comes: one may take what another had.
        for place in changed.keys() {
            let id = cluster.topologies()[*place].id.clone();
            cluster.replace(&id, Placement::new());
        }
        for (place, placement) in changed {
            let id = cluster.topologies()[place].id.clone();
            cluster.replace(&id, placement);
        }
    }
}

/// One round over all topologies.
struct Round<'r, 'a> {
    settings: &'r Settings,
    now_ms: &'r dyn Fn() -> u64,
    board: Board<'a>,
    order: &'r [usize],
    /// None: it runs already.
    statuses: Vec<(usize, Option<String>)>,
    changed: BTreeSet<usize>,
}

/// What was taken from a topology for the sake of another.
type Evicted = (usize, Vec<(ExecutorId, usize, Spot)>);

/// What a topology needs against what there is.
struct Needs {
    available: Offer,
    available_mb: f64,
    required: Ask,
    required_mb: f64,
    placed: Ask,
    placed_mb: f64,
    /// What is still lacking after the last attempt.
    missing: Option<(Offer, f64)>,
}

// === impl Round ===

impl Round<'_, '_> {
    fn run(&mut self) {
        for turn in 0..self.order.len() {
            let topology = self.order[turn];
            let status = if self.board.topologies[topology].unplaced().is_empty() {
                None
            } else {
                Some(self.serve(turn))
            };
            self.statuses.push((topology, status));
        }
    }

    /// Places a topology, evicting those that come after it if need be; what to tell of it.
    fn serve(&mut self, turn: usize) -> String {
        let topology = self.order[turn];
        let strategy = match self.strategy(topology) {
            Ok(strategy) => strategy,
            Err(status) => return status,
        };
        let wishes = &self.board.demand(topology).wishes;
        let limits = Limits {
            states_max: wishes.states_max.min(self.settings.states_max),
            time_max_ms: wishes.time_max_ms,
            now_ms: self.now_ms,
        };
        let mut needs = Needs::new(&self.board, topology);
        let mut evicted: Vec<Evicted> = Vec::new();
        for _ in 0..self.settings.attempts_max {
            needs.missing = None;
            let before = self.board.topologies[topology].placed.clone();
            let outcome = if needs.could_be_met() {
                strategy.place(&mut self.board, topology, &limits)
            } else {
                Outcome::NoRoom(String::new())
            };
            let reason = match outcome {
                Outcome::Done(told) => {
                    self.changed.insert(topology);
                    self.changed
                        .extend(evicted.iter().map(|(evicted, _)| *evicted));
                    return format!("Running - {told}");
                }
                Outcome::Hopeless(status) => {
                    self.take_back(topology, &before);
                    self.restore(evicted);
                    return status;
                }
                Outcome::NoRoom(reason) => reason,
            };
            needs.note_missing(&self.board, topology);
            self.take_back(topology, &before);
            let more = self.evict(turn, &mut needs);
            if more.is_empty() {
                self.restore(evicted);
                let lacking = needs.lacking(&self.board);
                return format!(
                    "Not enough resources to schedule after evicting lower priority topologies. \
                     {lacking}{reason}"
                );
            }
            evicted.extend(more);
        }
        self.restore(evicted);
        format!(
            "Failed to make enough resources for {} by evicting lower priority topologies within \
             {} attempts. {}",
            self.board.topologies[topology].topology.id,
            self.settings.attempts_max,
            needs.lacking(&self.board)
        )
    }

    fn strategy(&self, topology: usize) -> Result<Strategy, String> {
        let class = &self.board.demand(topology).wishes.strategy;
        if let Some(allowed) = &self.settings.strategies_allowed
            && !allowed.contains(class)
        {
            return Err(format!(
                "Unsuccessful in scheduling - {class} is not an allowed strategy. Please make sure \
                 your {} config is one of the allowed strategies: [{}]",
                keys::TOPOLOGY_SCHEDULER_STRATEGY,
                allowed.join(", ")
            ));
        }
        Strategy::of_class(class).ok_or_else(|| {
            format!(
                "Unsuccessful in scheduling - failed to create instance of topology strategy \
                 {class}. Please check logs for details"
            )
        })
    }

    /// Takes topologies away, the least important first, until there should be room.
    fn evict(&mut self, turn: usize, needs: &mut Needs) -> Vec<Evicted> {
        let mut evicted = Vec::new();
        for other in self.order[turn + 1..].iter().rev().copied() {
            let held = &self.board.topologies[other];
            if held.placed.is_empty() {
                continue;
            }
            let asked = self.board.asked(other, held.placed.keys().copied());
            needs.gain(&asked, self.board.used_mb(other));
            evicted.push((other, self.clear(other)));
            if needs.could_be_met() {
                break;
            }
        }
        evicted
    }

    fn clear(&mut self, topology: usize) -> Vec<(ExecutorId, usize, Spot)> {
        let held = &self.board.topologies[topology];
        let there = held.placed.iter().filter_map(|(executor, spot)| {
            let component = held.component(*executor)?;
            Some((*executor, component, (*spot)?))
        });
        let there: Vec<_> = there.collect();
        for (executor, component, _) in &there {
            self.board.remove(topology, *executor, *component);
        }
        there
    }

    fn restore(&mut self, evicted: Vec<Evicted>) {
        for (topology, executors) in evicted {
            for (executor, component, spot) in executors {
                self.board.put(topology, executor, component, spot);
            }
        }
    }

    /// Takes back what a failed search left.
    fn take_back(&mut self, topology: usize, before: &BTreeMap<ExecutorId, Option<Spot>>) {
        let held = &self.board.topologies[topology];
        let is_new = |executor: &&ExecutorId| !before.contains_key(executor);
        let new: Vec<ExecutorId> = held.placed.keys().filter(is_new).copied().collect();
        for executor in new {
            let component = self.board.topologies[topology].component(executor);
            let component = component.expect("it was placed by its component");
            self.board.remove(topology, executor, component);
        }
    }

    fn changes(&self) -> BTreeMap<usize, Placement> {
        let placement = |topology: &usize| {
            let placed = self.board.topologies[*topology].placed.iter();
            let mut last: Option<(Spot, Slot)> = None;
            let placed = placed.filter_map(|(executor, spot)| {
                let spot = (*spot)?;
                let slot = match &last {
                    Some((known, slot)) if *known == spot => slot.clone(),
                    _ => self.board.slot(spot),
                };
                last = Some((spot, slot.clone()));
                Some((*executor, slot))
            });
            (*topology, placed.collect())
        };
        self.changed.iter().map(placement).collect()
    }
}

// === impl Needs ===

impl Needs {
    fn new(board: &Board<'_>, topology: usize) -> Self {
        let held = &board.topologies[topology];
        let required = board.asked(topology, held.topology.executors.keys().copied());
        let shared = board.demand(topology).shared_once();
        let available = board.available();
        let mut needs = Needs {
            available_mb: available.memory_mb,
            available,
            required_mb: required.memory_mb() + shared.memory_mb(),
            required,
            placed: Ask::default(),
            placed_mb: 0.0,
            missing: None,
        };
        needs.note_placed(board, topology);
        needs
    }

    fn note_placed(&mut self, board: &Board<'_>, topology: usize) {
        let placed = board.topologies[topology].placed.keys().copied();
        self.placed = board.asked(topology, placed);
        self.placed_mb = board.used_mb(topology);
    }

    /// Whether all nodes together have enough, were they one.
    fn could_be_met(&self) -> bool {
        let mut available = self.available.clone();
        available.give_back(&self.placed);
        let is_enough = available.take(&self.required);
        let enough_memory = self.available_mb + self.placed_mb >= self.required_mb;
        let missing = self.missing.as_ref();
        let is_missing =
            missing.is_some_and(|(offer, memory_mb)| offer.has_any() || *memory_mb > 0.0);
        is_enough && enough_memory && !is_missing
    }

    /// After a failed attempt: what is lacking beyond what is placed.
    fn note_missing(&mut self, board: &Board<'_>, topology: usize) {
        self.note_placed(board, topology);
        let mut missing = self.required.as_offer();
        missing.take(&self.placed);
        self.missing = Some((missing, self.required_mb - self.placed_mb));
    }

    /// Another topology went.
    fn gain(&mut self, asked: &Ask, used_mb: f64) {
        self.available.give_back(asked);
        self.available_mb += used_mb;
        if let Some((missing, missing_mb)) = &mut self.missing {
            missing.take(asked);
            *missing_mb -= used_mb;
        }
    }

    fn lacking(&self, board: &Board<'_>) -> String {
        let mut left = self.available.clone();
        left.take(&self.placed);
        let Some((missing, missing_mb)) = &self.missing else {
            return String::new();
        };
        let mut text = String::new();
        if *missing_mb > 0.0 {
            text += &format!(
                "Additional Memory Required: {} MB (Available: {} MB). ",
                java_double(*missing_mb),
                java_double(left.memory_mb)
            );
        }
        if missing.cpu > 0.0 {
            text += &format!(
                "Additional CPU Required: {}% CPU (Available: {} % CPU).",
                java_double(missing.cpu),
                java_double(left.cpu)
            );
        }
        if missing.has_others() {
            text += &format!(
                " Additional Topology Required Resources: {} Cluster Available Resources: {}.  ",
                board.names.shown(missing),
                board.names.shown(&left)
            );
        }
        text
    }
}

#[cfg(test)]
mod tests;

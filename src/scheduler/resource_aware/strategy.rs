//! Where the executors of one topology go: a search with backtracking over nodes in their ranking,
//! by the strategy that the topology names (control-plane 6.5).
//!
//! Frees nothing but what the search itself placed; who is evicted for whom is decided by the
//! round.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::id::ExecutorId;
use crate::scheduler::demand::Crowding;
use crate::topology;

use super::constraint::PlacedConstraints;
use super::node::{Board, Spot};
use super::rank::{Ranking, Walk, Weighing};
use super::sequence;

/// A way to place a topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    Default,
    DefaultOld,
    Generic,
    GenericOld,
    ConstraintSolver,
    RoundRobin,
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is placed; what to tell.
    Done(String),
    /// Room is lacking; what to tell beside what is missing.
    NoRoom(String),
    /// It would never work; the whole of what to tell.
    Hopeless(String),
}

/// What a search may spend.
pub struct Limits<'a> {
    pub states_max: u64,
    pub time_max_ms: u64,
    /// Monotonic milliseconds.
    pub now_ms: &'a dyn Fn() -> u64,
}

// === impl Strategy ===

impl Strategy {
    /// The strategy of a class name of Storm's, or of its older packages.
    pub fn of_class(class: &str) -> Option<Self> {
        let current = class.strip_prefix("org.apache.storm.");
        let name = current.or_else(|| class.strip_prefix("backtype.storm."))?;
        let simple = name.strip_prefix("scheduler.resource.strategies.scheduling.")?;
        ALL.into_iter().find(|strategy| strategy.name() == simple)
    }

    /// Storm's class name without its package.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Default => "DefaultResourceAwareStrategy",
            Strategy::DefaultOld => "DefaultResourceAwareStrategyOld",
            Strategy::Generic => "GenericResourceAwareStrategy",
            Strategy::GenericOld => "GenericResourceAwareStrategyOld",
            Strategy::ConstraintSolver => "ConstraintSolverStrategy",
            Strategy::RoundRobin => "RoundRobinResourceAwareStrategy",
        }
    }

    /// Whether nodes are ranked anew while the executors of one component are placed.
    fn ranks_anew(self) -> bool {
        !matches!(self, Strategy::DefaultOld | Strategy::RoundRobin)
    }

    fn weighing(self) -> Weighing {
        match self {
            Strategy::DefaultOld => Weighing::Scarcest,
            Strategy::GenericOld => Weighing::Average,
            _ => Weighing::Common,
        }
    }

    /// Places what of a topology runs nowhere. On failure what was placed stays, so that it can be
    /// told; the caller takes it back.
    pub fn place(self, board: &mut Board<'_>, topology: usize, limits: &Limits<'_>) -> Outcome {
        let unplaced = board.topologies[topology].unplaced();
        if unplaced.is_empty() {
            return Outcome::Done(format!("Fully Scheduled by {}", self.name()));
        }
        if board.nodes.is_empty() {
            return Outcome::NoRoom("No available nodes to schedule tasks on!".to_owned());
        }
        let components = &board.demand(topology).components;
        let is_users = |id: &str| !topology::is_system_id(id);
        if !components
            .iter()
            .any(|c| c.is_spout && is_users(c.id.as_str()))
        {
            return hopeless("FAIL_INVALID_TOPOLOGY", "Cannot find a Spout!");
        }
        if u64::try_from(unplaced.len()).unwrap_or(u64::MAX) >= limits.states_max {
            return hopeless(
                "FAIL_OTHER",
                &format!(
                    "Unassignerd Executor count ({}) is greater than searchable state count {}",
                    unplaced.len(),
                    limits.states_max
                ),
            );
        }
        let constraints = (self == Strategy::ConstraintSolver).then(|| {
            let ids: Vec<_> = components.iter().map(|c| c.id.clone()).collect();
            board.demand(topology).wishes.constraints.placed(&ids)
        });
        if let Some(constraints) = &constraints
            && !is_feasible(board, topology, constraints)
        {
            return hopeless("FAIL_OTHER", "Scheduling not feasible!");
        }
        let mut search = Search::new(self, board, topology, limits, constraints);
        search.sequence(unplaced);
        match self {
            Strategy::RoundRobin => search.deal(),
            _ => search.run(),
        }
    }
}

/// Storm's text for what more room would not cure.
fn hopeless(status: &str, reason: &str) -> Outcome {
    Outcome::Hopeless(format!("Status: {status} error message: {reason}"))
}

/// Whether there are enough nodes for components that must be spread.
fn is_feasible(board: &Board<'_>, topology: usize, constraints: &PlacedConstraints) -> bool {
    let held = &board.topologies[topology];
    let mut n_executors: BTreeMap<usize, usize> = BTreeMap::new();
    for executor in held.topology.executors.keys() {
        if let Some(component) = held.component(*executor) {
            *n_executors.entry(component).or_default() += 1;
        }
    }
    constraints.on_node_max.iter().all(|(component, n_max)| {
        let n_executors = n_executors.get(component).copied().unwrap_or(0);
        n_executors <= board.nodes.len().saturating_mul(*n_max)
    })
}

/// A search under way.
struct Search<'s, 'a> {
    strategy: Strategy,
    board: &'s mut Board<'a>,
    topology: usize,
    limits: &'s Limits<'s>,
    constraints: Option<PlacedConstraints>,
    began_ms: u64,
    n_states: u64,
    n_backtracked: u64,
    /// What is to be placed, ackers last, with components.
    executors: Vec<(ExecutorId, usize)>,
    at: usize,
    /// Ackers that no worker has yet.
    ackers: VecDeque<ExecutorId>,
    acker: Option<usize>,
    /// Ackers that came with another executor to its worker.
    bound: BTreeSet<ExecutorId>,
    bound_to: BTreeMap<Spot, Vec<ExecutorId>>,
    brought_ackers: BTreeSet<ExecutorId>,
    /// Free ports of nodes as the search began.
    ports: Vec<Option<Vec<usize>>>,
}

// === impl Search ===

impl<'s, 'a> Search<'s, 'a> {
    fn new(
        strategy: Strategy,
        board: &'s mut Board<'a>,
        topology: usize,
        limits: &'s Limits<'s>,
        constraints: Option<PlacedConstraints>,
    ) -> Self {
        let ports = vec![None; board.nodes.len()];
        let acker = board.demand(topology).place(&topology::ACKER.into());
        Search {
            strategy,
            board,
            topology,
            limits,
            constraints,
            began_ms: (limits.now_ms)(),
            n_states: 0,
            n_backtracked: 0,
            executors: Vec::new(),
            at: 0,
            ackers: VecDeque::new(),
            acker,
            bound: BTreeSet::new(),
            bound_to: BTreeMap::new(),
            brought_ackers: BTreeSet::new(),
            ports,
        }
    }

    fn sequence(&mut self, unplaced: Vec<ExecutorId>) {
        let held = &self.board.topologies[self.topology];
        let by_proximity = held.topology.demand.wishes.by_proximity;
        let mut ordered = match &self.constraints {
            Some(constraints) => sequence::by_constraints(held, &unplaced, constraints),
            None if by_proximity => sequence::by_proximity(held, &unplaced),
            None => sequence::by_connections(held, &unplaced),
        };
        self.ackers = sequence::ackers(held, &unplaced);
        let last: BTreeSet<ExecutorId> = self.ackers.iter().copied().collect();
        ordered.retain(|executor| !last.contains(executor));
        ordered.extend(&self.ackers);
        let component = |executor| Some((executor, held.component(executor)?));
        self.executors = ordered.into_iter().filter_map(component).collect();
    }

    /// Tries nodes in their ranking for one executor after the other, and goes back when there is
    /// none left to try.
    fn run(mut self) -> Outcome {
        let n = self.executors.len();
        // How many places were tried for each executor since the search came to it.
        let mut n_tried = vec![0usize; n];
        let mut spots: Vec<Option<Spot>> = vec![None; n];
        let mut ranking = (!self.strategy.ranks_anew()).then(|| self.rank(None));
        let mut n_seen = 0;
        'executors: loop {
            if self.is_spent() {
                return self.give_up();
            }
            let at = self.at;
            let (executor, component) = self.executors[at];
            if self.bound.contains(&executor) {
                if self.is_last() {
                    return self.done();
                }
                self.at += 1;
                continue;
            }
            if ranking.is_none() || (self.strategy.ranks_anew() && self.continues_component()) {
                n_seen = 0;
                ranking = Some(self.rank(Some(component)));
            }
            let order = ranking.as_mut().expect("just made");
            let mut walk = Walk::default();
            while let Some(node) = order.next(self.board, &mut walk) {
                if !self.board.could_fit(self.topology, component, node) {
                    continue;
                }
                for turn in 0..self.ports_of(node).len() {
                    n_seen += 1;
                    if n_seen <= n_tried[at] {
                        continue;
                    }
                    n_tried[at] += 1;
                    let port = self.ports_of(node)[turn];
                    let spot = Spot { node, port };
                    if !self.is_allowed(component, spot) {
                        continue;
                    }
                    self.settle(spot);
                    if self.is_last() {
                        return self.done();
                    }
                    spots[at] = Some(spot);
                    self.at += 1;
                    continue 'executors;
                }
            }
            ranking = None;
            if at == 0 {
                return self.give_up();
            }
            self.go_back(&spots);
            n_tried[at] = 0;
        }
    }

    /// Deals executors over nodes that no other topology uses; never goes back.
    fn deal(mut self) -> Outcome {
        let n_max = self.board.demand(self.topology).wishes.machines;
        let mut order = self.rank(None);
        let mut nodes = Vec::new();
        let mut walk = Walk::default();
        while let Some(node) = order.next(self.board, &mut walk) {
            let used = self.board.nodes[node].slots.iter();
            let mut used = used.filter_map(|port| port.used.as_ref());
            if n_max.is_none_or(|n_max| nodes.len() < n_max)
                && used.all(|used| used.topology == self.topology)
            {
                nodes.push(node);
            }
        }
        let mut turn = nodes.len();
        'executors: loop {
            if self.is_spent() {
                return self.give_up();
            }
            let (executor, component) = self.executors[self.at];
            if self.bound.contains(&executor) {
                if self.is_last() {
                    return self.done();
                }
                self.at += 1;
                continue;
            }
            if turn >= nodes.len() || self.continues_component() {
                turn = 0;
            }
            while let Some(node) = nodes.get(turn).copied() {
                turn += 1;
                if !self.board.could_fit(self.topology, component, node) {
                    continue;
                }
                for port in self.ports_of(node).to_vec() {
                    let spot = Spot { node, port };
                    if !self.is_allowed(component, spot) {
                        continue;
                    }
                    self.settle(spot);
                    if self.is_last() {
                        return self.done();
                    }
                    self.at += 1;
                    continue 'executors;
                }
            }
            return self.give_up();
        }
    }

    /// Puts the current executor somewhere, with ackers of its own if it opens the worker.
    fn settle(&mut self, spot: Spot) {
        let (executor, component) = self.executors[self.at];
        self.n_states += 1;
        self.board.put(self.topology, executor, component, spot);
        let n_ackers = self.n_ackers_to_bind(component, spot);
        let Some(acker) = self.acker.filter(|_| n_ackers > 0) else {
            return;
        };
        for _ in 0..n_ackers {
            if !self.is_allowed(acker, spot) {
                break;
            }
            let Some(executor) = self.ackers.pop_front() else {
                break;
            };
            self.board.put(self.topology, executor, acker, spot);
            self.bound_to.entry(spot).or_default().push(executor);
            self.bound.insert(executor);
            self.brought_ackers.insert(self.executors[self.at].0);
        }
    }

    fn n_ackers_to_bind(&self, component: usize, spot: Spot) -> usize {
        let wishes = &self.board.demand(self.topology).wishes;
        if wishes.crowding != Crowding::Free
            || Some(component) == self.acker
            || self.bound_to.contains_key(&spot)
            || self.ackers.is_empty()
        {
            return 0;
        }
        let Some(acker) = self.acker else {
            return 0;
        };
        let asks = &self.board.topologies[self.topology].asks;
        let space_mb = wishes.heap_max_mb - asks[component].onheap_mb;
        // A cast from f64 saturates; ackers that need no heap all fit.
        let n_fit = (space_mb / asks[acker].onheap_mb).floor().max(0.0) as usize;
        n_fit.min(self.ackers.len()).min(wishes.ackers_per_worker)
    }

    /// Takes back the last executor that was placed, with the ackers that it brought.
    fn go_back(&mut self, spots: &[Option<Spot>]) {
        self.at -= 1;
        while self.bound.contains(&self.executors[self.at].0) {
            self.at -= 1;
        }
        self.n_backtracked += 1;
        let (executor, component) = self.executors[self.at];
        self.board.remove(self.topology, executor, component);
        let Some(spot) = spots[self.at].filter(|_| self.brought_ackers.remove(&executor)) else {
            return;
        };
        let acker = self.acker.expect("some were bound");
        for executor in self
            .bound_to
            .remove(&spot)
            .unwrap_or_default()
            .into_iter()
            .rev()
        {
            self.board.remove(self.topology, executor, acker);
            self.bound.remove(&executor);
            self.ackers.push_front(executor);
        }
    }

    fn is_allowed(&self, component: usize, spot: Spot) -> bool {
        if !self.board.fits(self.topology, component, spot) {
            return false;
        }
        let Some(constraints) = &self.constraints else {
            return true;
        };
        let used = self.board.nodes[spot.node].slots[spot.port].used.as_ref();
        let there = used.iter().flat_map(|used| &used.counts);
        let incompatible = &constraints.incompatible[component];
        if there.clone().any(|(other, _)| incompatible.contains(other)) {
            return false;
        }
        constraints.on_node_max.get(&component).is_none_or(|n_max| {
            let on_node = self.board.counts_on(self.topology, spot.node);
            let here = on_node.iter().find(|(other, _)| *other == component);
            let n_here = here.map_or(0, |(_, n)| usize::try_from(*n).unwrap_or(usize::MAX));
            n_here < *n_max
        })
    }

    fn rank(&self, component: Option<usize>) -> Ranking {
        let weighing = self.strategy.weighing();
        Ranking::new(self.board, self.topology, component, weighing)
    }

    /// Ports of a node that were free when the search began.
    fn ports_of(&mut self, node: usize) -> &[usize] {
        let board = &*self.board;
        // Ports are asked for before the first executor comes to their node.
        self.ports[node].get_or_insert_with(|| board.free_ports(node))
    }

    /// Whether the executor before was of the same component: Storm ranks nodes anew then, not when
    /// the component changes.
    fn continues_component(&self) -> bool {
        let component = |at: usize| self.executors[at].1;
        self.at == 0 || component(self.at) == component(self.at - 1)
    }

    fn is_last(&self) -> bool {
        self.at + 1 == self.executors.len()
    }

    fn is_spent(&self) -> bool {
        let elapsed_ms = self.elapsed_ms();
        self.n_states > self.limits.states_max || elapsed_ms > self.limits.time_max_ms
    }

    fn elapsed_ms(&self) -> u64 {
        (self.limits.now_ms)().saturating_sub(self.began_ms)
    }

    fn done(&self) -> Outcome {
        Outcome::Done(format!(
            "Fully Scheduled by {} ({} states traversed in {} ms, backtracked {} times)",
            self.strategy.name(),
            self.n_states,
            self.elapsed_ms(),
            self.n_backtracked
        ))
    }

    fn give_up(&self) -> Outcome {
        Outcome::NoRoom(format!(
            "Cannot schedule by {} ({} states traversed in {} ms, backtracked {} times, {} of {} \
             executors scheduled)",
            self.strategy.name(),
            self.n_states,
            self.elapsed_ms(),
            self.n_backtracked,
            self.at,
            self.executors.len()
        ))
    }
}

const ALL: [Strategy; 6] = [
    Strategy::Default,
    Strategy::DefaultOld,
    Strategy::Generic,
    Strategy::GenericOld,
    Strategy::ConstraintSolver,
    Strategy::RoundRobin,
];

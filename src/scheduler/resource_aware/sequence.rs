//! In which order the executors of a topology are placed: components that talk to each other most
//! come first and side by side, or along the flow of tuples, or those with most constraints first;
//! ackers last (control-plane 6.5).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::id::ExecutorId;
use crate::scheduler::java_order;
use crate::topology::{self, java_order as text_order};

use super::constraint::PlacedConstraints;
use super::node::Held;

/// Executors of each component, in the order in which Storm meets them.
struct Queues {
    /// Of the user's components all, by place: how many executors there are.
    n_all: BTreeMap<usize, usize>,
    waiting: BTreeMap<usize, VecDeque<ExecutorId>>,
}

/// Most connections first, each component's executors in turn with its neighbours'.
pub fn by_connections(held: &Held<'_>, unplaced: &[ExecutorId]) -> Vec<ExecutorId> {
    let graph = Graph::of(held);
    let mut queues = Queues::of(held, unplaced);
    let mut ordered = Ordered::default();
    let n = |component: usize| queues.n_all.get(&component).copied().unwrap_or(0);
    let connections = |component: usize| -> usize {
        let neighbours = graph.neighbours(component);
        neighbours
            .into_iter()
            .map(|other| n(other) * n(component))
            .sum()
    };
    let mut components: Vec<usize> = queues.n_all.keys().copied().collect();
    components.sort_by(|a, b| {
        let order = connections(*b).cmp(&connections(*a));
        order.then_with(|| text_order(graph.id(*a), graph.id(*b)))
    });
    let mut sorted = Vec::new();
    for component in components {
        let mut neighbours: Vec<usize> = graph.neighbours(component).into_iter().collect();
        neighbours.sort_by(|a, b| {
            let order = (n(*a) * n(component)).cmp(&(n(*b) * n(component)));
            order.then_with(|| text_order(graph.id(*a), graph.id(*b)))
        });
        sorted.push((component, neighbours));
    }
    for (component, neighbours) in sorted {
        loop {
            let n_before = ordered.len();
            ordered.push(queues.pop(component));
            for neighbour in &neighbours {
                ordered.push(queues.pop(*neighbour));
            }
            if ordered.len() == n_before {
                break;
            }
        }
    }
    ordered.finish(unplaced)
}

/// Along the flow of tuples: each executor followed by those that it feeds.
pub fn by_proximity(held: &Held<'_>, unplaced: &[ExecutorId]) -> Vec<ExecutorId> {
    let graph = Graph::of(held);
    let mut queues = Queues::of(held, unplaced);
    let mut ordered = Ordered::default();
    for component in graph.along_the_flow() {
        let n_turns = queues.n_waiting(component);
        for _ in 0..n_turns {
            take_along(&graph, &mut queues, component, &mut ordered);
        }
    }
    ordered.finish(unplaced)
}

/// Most constraints first.
pub fn by_constraints(
    held: &Held<'_>,
    unplaced: &[ExecutorId],
    constraints: &PlacedConstraints,
) -> Vec<ExecutorId> {
    let mut of_component: BTreeMap<usize, Vec<ExecutorId>> = BTreeMap::new();
    for executor in held.topology.executors.keys() {
        if let Some(component) = held.component(*executor) {
            of_component.entry(component).or_default().push(*executor);
        }
    }
    let n_components = of_component.len();
    let weight = |component: usize| {
        let n_max = constraints.on_node_max.get(&component);
        let spread = n_max.map_or(0, |n_max| n_components / n_max);
        constraints.incompatible[component].len() + spread
    };
    let id = |component: usize| held.topology.demand.components[component].id.as_str();
    let mut components: Vec<usize> = of_component.keys().copied().collect();
    components.sort_by(|a, b| {
        let order = weight(*b).cmp(&weight(*a));
        order.then_with(|| text_order(id(*b), id(*a)))
    });
    let unplaced: BTreeSet<ExecutorId> = unplaced.iter().copied().collect();
    let mut ordered = Vec::new();
    for component in components {
        let executors = of_component.get_mut(&component).expect("one of them");
        let n_buckets = java_order::grown(executors.len());
        java_order::arrange(executors, n_buckets, |e| java_order::executor_hash(*e));
        ordered.extend(executors.iter().filter(|e| unplaced.contains(e)));
    }
    ordered
}

/// Ackers that run nowhere, in the order in which Storm hands them out.
pub fn ackers(held: &Held<'_>, unplaced: &[ExecutorId]) -> VecDeque<ExecutorId> {
    let executors = held.topology.executors.iter();
    let ackers = executors.filter(|(_, component)| component.as_str() == topology::ACKER);
    let mut ackers: Vec<ExecutorId> = ackers.map(|(executor, _)| *executor).collect();
    let n_buckets = java_order::grown(ackers.len());
    java_order::arrange(&mut ackers, n_buckets, |e| java_order::executor_hash(*e));
    let unplaced: BTreeSet<&ExecutorId> = unplaced.iter().collect();
    ackers.retain(|acker| unplaced.contains(acker));
    ackers.into()
}

fn take_along(graph: &Graph<'_>, queues: &mut Queues, component: usize, ordered: &mut Ordered) {
    // Storm recurses here; how deep is bounded by the executors, each taken once. A stack of our
    // own keeps a long chain of components from exhausting the thread's.
    let mut stack = vec![Step::take(component)];
    while let Some(mut step) = stack.pop() {
        if step.children.is_none() {
            step.n_waiting = queues.n_waiting(step.component);
            let Some(executor) = queues.pop(step.component) else {
                continue;
            };
            ordered.push(Some(executor));
            step.children = Some(graph.children_in_order(step.component).into());
        }
        let children = step.children.as_mut().expect("just made");
        if step.n_left == 0 {
            let Some((child, is_shuffled)) = children.pop_front() else {
                continue;
            };
            let n_child = queues.n_waiting(child);
            step.child = child;
            step.n_left = match n_child {
                0 => 0,
                n_child if is_shuffled => (n_child / step.n_waiting).max(1),
                _ => 1,
            };
            stack.push(step);
            continue;
        }
        step.n_left -= 1;
        let child = step.child;
        stack.push(step);
        stack.push(Step::take(child));
    }
}

/// Where `take_along` is.
struct Step {
    component: usize,
    n_waiting: usize,
    children: Option<VecDeque<(usize, bool)>>,
    child: usize,
    n_left: usize,
}

// === impl Step ===

impl Step {
    fn take(component: usize) -> Self {
        Step {
            component,
            n_waiting: 0,
            children: None,
            child: component,
            n_left: 0,
        }
    }
}

/// The user's components and who reads from whom.
struct Graph<'a> {
    held: &'a Held<'a>,
    /// By place: readers, and whether they take some stream by shuffle.
    children: BTreeMap<usize, BTreeMap<usize, bool>>,
    parents: BTreeMap<usize, BTreeSet<usize>>,
}

// === impl Graph ===

impl<'a> Graph<'a> {
    fn of(held: &'a Held<'_>) -> Self {
        let mut graph = Graph {
            held,
            children: BTreeMap::new(),
            parents: BTreeMap::new(),
        };
        for (place, component) in held.topology.demand.components.iter().enumerate() {
            for input in &component.inputs {
                let readers = graph.children.entry(input.from).or_default();
                readers.insert(place, input.is_shuffled);
                graph.parents.entry(place).or_default().insert(input.from);
            }
        }
        graph
    }

    fn id(&self, component: usize) -> &str {
        self.held.topology.demand.components[component].id.as_str()
    }

    fn neighbours(&self, component: usize) -> BTreeSet<usize> {
        let children = self.children.get(&component).into_iter().flatten();
        let parents = self.parents.get(&component).into_iter().flatten();
        children
            .map(|(child, _)| *child)
            .chain(parents.copied())
            .collect()
    }

    /// The user's components in the order of Java's hash tables.
    fn users(&self) -> Vec<usize> {
        let all = 0..self.held.topology.demand.components.len();
        let mut users: Vec<usize> = all
            .filter(|component| !topology::is_system_id(self.id(*component)))
            .collect();
        let n_buckets = java_order::grown(users.len());
        java_order::arrange(&mut users, n_buckets, |c| {
            java_order::text_hash(self.id(*c))
        });
        users
    }

    /// Each component after those that it reads from; those on a cycle last.
    fn along_the_flow(&self) -> Vec<usize> {
        let users = self.users();
        let mut n_inputs: BTreeMap<usize, usize> = users
            .iter()
            .map(|user| (*user, self.parents.get(user).map_or(0, BTreeSet::len)))
            .collect();
        let mut sorted = Vec::new();
        while let Some(next) = users.iter().find(|user| n_inputs.get(user) == Some(&0)) {
            n_inputs.remove(next);
            sorted.push(*next);
            for child in self.children.get(next).into_iter().flat_map(BTreeMap::keys) {
                if let Some(n) = n_inputs.get_mut(child) {
                    *n -= 1;
                }
            }
        }
        sorted.extend(users.iter().filter(|user| n_inputs.contains_key(user)));
        sorted
    }

    /// Readers: those by other groupings before those by shuffle, which come by id.
    fn children_in_order(&self, component: usize) -> Vec<(usize, bool)> {
        let children = self.children.get(&component).into_iter().flatten();
        let mut children: Vec<(usize, bool)> = children.map(|(c, by)| (*c, *by)).collect();
        let n_buckets = java_order::grown(children.len());
        java_order::arrange(&mut children, n_buckets, |(c, _)| {
            java_order::text_hash(self.id(*c))
        });
        // Storm compares them so that each new one that is not shuffled goes before all others.
        let (mut shuffled, mut others): (Vec<_>, Vec<_>) = children
            .into_iter()
            .partition(|(_, is_shuffled)| *is_shuffled);
        others.reverse();
        shuffled.sort_by(|a, b| text_order(self.id(a.0), self.id(b.0)));
        others.extend(shuffled);
        others
    }
}

// === impl Queues ===

impl Queues {
    fn of(held: &Held<'_>, unplaced: &[ExecutorId]) -> Self {
        let mut executors: Vec<ExecutorId> = held.topology.executors.keys().copied().collect();
        let n_buckets = java_order::poured(executors.len());
        java_order::arrange(&mut executors, n_buckets, |e| java_order::executor_hash(*e));
        let components = held.topology.demand.components.iter().enumerate();
        let users = components.filter(|(_, c)| !topology::is_system_id(c.id.as_str()));
        let mut queues = Queues {
            n_all: users.map(|(place, _)| (place, 0)).collect(),
            waiting: BTreeMap::new(),
        };
        let unplaced: BTreeSet<&ExecutorId> = unplaced.iter().collect();
        for executor in executors {
            let component = held.component(executor);
            let Some((component, n)) = component.and_then(|c| Some((c, queues.n_all.get_mut(&c)?)))
            else {
                continue;
            };
            *n += 1;
            if unplaced.contains(&executor) {
                queues
                    .waiting
                    .entry(component)
                    .or_default()
                    .push_back(executor);
            }
        }
        queues
    }

    fn pop(&mut self, component: usize) -> Option<ExecutorId> {
        self.waiting.get_mut(&component)?.pop_front()
    }

    fn n_waiting(&self, component: usize) -> usize {
        self.waiting.get(&component).map_or(0, VecDeque::len)
    }
}

/// Executors in order, each once.
#[derive(Default)]
struct Ordered {
    executors: Vec<ExecutorId>,
    known: BTreeSet<ExecutorId>,
}

// === impl Ordered ===

impl Ordered {
    fn len(&self) -> usize {
        self.executors.len()
    }

    fn push(&mut self, executor: Option<ExecutorId>) {
        if let Some(executor) = executor.filter(|executor| self.known.insert(*executor)) {
            self.executors.push(executor);
        }
    }

    /// With those that came into no queue, which are the system's.
    fn finish(mut self, unplaced: &[ExecutorId]) -> Vec<ExecutorId> {
        let mut left: Vec<ExecutorId> = unplaced.to_vec();
        let n_buckets = java_order::copied(left.len());
        java_order::arrange(&mut left, n_buckets, |e| java_order::executor_hash(*e));
        for executor in left {
            self.push(Some(executor));
        }
        self.executors
    }
}

//! Who is where, as each executor and each thread needs to know it: threads of executors, lanes of
//! emitters, places of ackers.
//!
//! Computed at start and when routes change, never on the tuple path.

use std::collections::BTreeMap;

use crate::id::{ComponentId, TaskId};
use crate::topology;
use crate::wire::storm;
use crate::worker::acking::{AckPlace, AckerHome, places_by_task};
use crate::worker::lane::{Destination, Lane, NO_LANE};
use crate::worker::program::Program;
use crate::worker::route::Routes;
use crate::worker::shared::Shared;

/// What placement has to know of an executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    pub component: ComponentId,
    /// Its component declares that its calls may block.
    pub blocks: bool,
    /// What a tuple of the flow costs it: see `weight`.
    pub weight: usize,
}

/// Tells lanes of one component that lead to the same receiver apart from others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Receiver {
    Executor(usize),
    /// Which worker, and the first task of which executor there.
    Peer(usize, TaskId),
    Nowhere,
}

/// The thread of each executor. Components with enough executors are spread over all `n_threads`;
/// the others fill the threads along the flow of tuples, to equal weights, so that neighbours share
/// one. Ackers come behind the last bolts, whose acks then cross no thread; only what the spout
/// tells them does, and it does so batch by batch. Blocking executors get threads of their own
/// behind those.
pub fn place(seats: &[Seat], flow: &[ComponentId], n_threads: usize) -> Vec<usize> {
    let mut threads = vec![0; seats.len()];
    let mut next_own = n_threads;
    let n_shared = |id: &ComponentId| {
        let same = |seat: &&Seat| seat.component == *id && !seat.blocks;
        seats.iter().filter(same).count()
    };
    let is_single = |seat: &&Seat| !seat.blocks && n_shared(&seat.component) < n_threads;
    let total: usize = seats.iter().filter(is_single).map(|seat| seat.weight).sum();
    let mut placed = 0;
    let (ackers, others): (Vec<_>, Vec<_>) =
        flow.iter().partition(|id| id.as_str() == topology::ACKER);
    for id in others.into_iter().chain(ackers) {
        let is_spread = n_shared(id) >= n_threads;
        let mut n_placed = 0;
        for (seat, thread) in seats.iter().zip(&mut threads) {
            if seat.component != *id {
                continue;
            }
            if seat.blocks {
                *thread = next_own;
                next_own += 1;
            } else if is_spread {
                *thread = n_placed % n_threads;
                n_placed += 1;
            } else {
                // Where its middle falls. Weights are doubled, so that they have one.
                *thread = (2 * placed + seat.weight) * n_threads / (2 * total).max(1);
                placed += seat.weight;
            }
        }
    }
    threads
}

/// What a tuple costs an executor of a component, roughly, beside what its own code does with it:
/// one for taking it, one for emitting, one more for a spout's book-keeping, and two for whatever
/// made the topology's author group by fields, mostly a look-up for each tuple.
pub fn weight(program: &Program, component: &ComponentId) -> usize {
    let id = component.as_str();
    let is_system = |receiver: &ComponentId| topology::is_system_id(receiver.as_str());
    let emits = program.receivers(component).iter().any(|to| !is_system(to));
    if program.system.spouts.contains_key(id) {
        return 2;
    }
    let inputs = program.system.bolts.get(id).map(|bolt| &bolt.common.inputs);
    let is_by_key = |grouping: &storm::Grouping| {
        matches!(
            grouping,
            storm::Grouping::Fields(_) | storm::Grouping::CustomObject(_)
        )
    };
    let looks_up = id != topology::ACKER && inputs.is_some_and(|all| all.values().any(is_by_key));
    1 + usize::from(emits) + 2 * usize::from(looks_up)
}

/// The lanes of one component's executor on `thread`, and the lane of each task by its id.
pub fn lanes(
    program: &Program,
    shared: &Shared,
    routes: &Routes,
    (component, thread): (&ComponentId, usize),
) -> (Vec<Lane>, Vec<u32>) {
    let mut lanes: Vec<Lane> = Vec::new();
    let mut of_task = vec![NO_LANE; program.components.len()];
    let order = program.in_flow_order();
    let rank = |id: &ComponentId| order.iter().position(|other| other == id);
    for receiver in program.receivers(component) {
        // Each cycle has such an edge, and only these do not hold back: so no wait ever comes back
        // to where it began, and still what enters a cycle waits for room in it.
        let leads_back =
            rank(&receiver) <= rank(component) && program.downstream(&receiver).contains(component);
        let mut numbers: BTreeMap<Receiver, u32> = BTreeMap::new();
        for task in program.tasks_of(&receiver) {
            let (key, destination) = destination(shared, routes, task, thread);
            let number = *numbers.entry(key).or_insert_with(|| {
                lanes.push(Lane::new(destination));
                lanes.len() as u32 - 1
            });
            let lane = &mut lanes[number as usize];
            // What is only watched must not wait for those who watch (`sampling`).
            lane.blocks &= !leads_back && receiver.as_str() != topology::EVENT_LOGGER;
            if let Some(place) = of_task.get_mut(task.0 as usize) {
                *place = number;
            }
        }
    }
    (lanes, of_task)
}

fn destination(
    shared: &Shared,
    routes: &Routes,
    task: TaskId,
    thread: usize,
) -> (Receiver, Destination) {
    let handles = shared.executors.iter().enumerate();
    let mut local = handles.filter(|(_, handle)| handle.id.contains(task));
    if let Some((index, handle)) = local.next() {
        let gauge = handle.gauge.clone();
        let destination = match handle.thread == thread {
            true => Destination::Near {
                executor: handle.place,
                gauge,
            },
            false => Destination::Far {
                thread: handle.thread,
                executor: handle.place as u32,
                gauge,
            },
        };
        return (Receiver::Executor(index), destination);
    }
    let outbox = routes.peer_of(task).and_then(|peer| peer.data(task));
    match (routes.place_of(task), outbox) {
        (Some(place), Some(outbox)) => {
            let receiver = Receiver::Peer(place, outbox.executor.first);
            (receiver, Destination::Peer(outbox.clone()))
        }
        _ => (Receiver::Nowhere, Destination::Nowhere),
    }
}

/// Places of all ackers, by their index, and of all tasks, by their id, as seen from `thread`.
pub fn ack_places(
    program: &Program,
    shared: &Shared,
    routes: &Routes,
    thread: usize,
) -> (Vec<AckPlace>, Vec<AckPlace>) {
    let place = |task| match shared.executor_of(task) {
        Some(handle) if handle.thread == thread => AckPlace::Here(handle.place),
        Some(handle) => AckPlace::Thread(handle.thread),
        None => match routes.place_of(task) {
            Some(peer) => AckPlace::Peer(peer),
            None => AckPlace::Nowhere,
        },
    };
    let ackers = program.ackers.iter().map(|task| place(*task)).collect();
    let last = TaskId(program.components.len() as i32 - 1);
    (ackers, places_by_task(last, place))
}

/// Where the memory of each acker is, by its index.
pub fn acker_homes(program: &Program, shared: &Shared, routes: &Routes) -> Vec<AckerHome> {
    let home = |task: &TaskId| match (shared.is_local(*task), routes.peer_of(*task)) {
        (true, _) => AckerHome::Here,
        (_, Some(peer)) => AckerHome::There(peer.number(), peer.n_gone()),
        (_, None) => AckerHome::Nowhere,
    };
    program.ackers.iter().map(home).collect()
}

/// Indices of the ackers on `thread`; where there are none, of those in this worker.
pub fn near_ackers(program: &Program, shared: &Shared, thread: usize) -> Vec<usize> {
    let indexed = || program.ackers.iter().enumerate();
    let is_here = |task: &TaskId| {
        let handle = shared.executor_of(*task);
        handle.is_some_and(|handle| handle.thread == thread)
    };
    let here: Vec<_> = indexed().filter(|(_, task)| is_here(task)).collect();
    let local = indexed().filter(|(_, task)| shared.is_local(**task));
    let chosen = match here.is_empty() {
        true => local.collect(),
        false => here,
    };
    chosen.into_iter().map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seats: &[(&str, bool, usize)], n_threads: usize, expected: &[usize]) {
        let mut flow: Vec<ComponentId> = Vec::new();
        let seats: Vec<_> = seats
            .iter()
            .map(|(component, blocks, weight)| Seat {
                component: (*component).into(),
                blocks: *blocks,
                weight: *weight,
            })
            .collect();
        for seat in &seats {
            if !flow.contains(&seat.component) {
                flow.push(seat.component.clone());
            }
        }
        assert_eq!(place(&seats, &flow, n_threads), expected);
    }

    #[test]
    fn chains_are_cut_where_their_weights_are_equal_and_crowds_are_spread() {
        let words = [
            ("spout", false, 2),
            ("split", false, 2),
            ("count", false, 3),
        ];
        check(&words, 1, &[0, 0, 0]);
        check(&words[..2], 2, &[0, 1]);
        check(&words, 2, &[0, 0, 1]);
        check(&words, 3, &[0, 1, 2]);
        let chain = [
            ("spout", false, 2),
            ("__acker", false, 1),
            ("id", false, 2),
            ("sink", false, 1),
        ];
        check(&chain, 2, &[0, 1, 1, 1]);
        let crowd = [
            ("spout", false, 2),
            ("count", false, 3),
            ("count", false, 3),
        ];
        check(&crowd, 2, &[1, 0, 1]);
        let slow = [("spout", false, 2), ("disk", true, 1), ("disk", true, 1)];
        check(&slow, 2, &[1, 2, 3]);
    }
}

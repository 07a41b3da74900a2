//! In which order a search tries nodes: rack by rack, host by host, those first that hold most of
//! the topology already, then those with most to give (control-plane 6.5).
//!
//! Ranks are made when they are first asked for and then kept, as Storm's lazy iterators do: what
//! a search places meanwhile may or may not be seen by them.

use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};

use super::amounts::{Ask, Offer, Share};
use super::node::Board;

/// How strategies weigh what nodes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighing {
    /// On average, then of what is scarcest; what is rare and not wanted counts against a node.
    Common,
    /// On average only, otherwise as above.
    Average,
    /// Of what is scarcest, then on average.
    Scarcest,
}

/// The nodes in order, for executors of one component.
pub struct Ranking {
    topology: usize,
    /// None: of no component in particular.
    component: Option<usize>,
    weighing: Weighing,
    first: Vec<usize>,
    last: Vec<usize>,
    apart: BTreeSet<usize>,
    /// Executors of the topology when the ranking began.
    n_on_node: Vec<u32>,
    n_on_host: Vec<u32>,
    racks: Ranked,
    hosts: Vec<Option<Ranked>>,
    nodes: Vec<Option<Ranked>>,
}

/// A walk over a ranking, from its beginning.
#[derive(Default)]
pub struct Walk {
    n_first: usize,
    rack: usize,
    host: usize,
    node: usize,
    n_last: usize,
}

/// Places in order, of which only as many are sorted as were asked for.
#[derive(Default)]
struct Ranked {
    sorted: Vec<usize>,
    rest: BinaryHeap<Entry>,
}

struct Entry {
    n_scheduled: u32,
    keys: [f64; 2],
    turn: usize,
    place: usize,
}

// === impl Ranking ===

impl Ranking {
    pub fn new(
        board: &Board<'_>,
        topology: usize,
        component: Option<usize>,
        weighing: Weighing,
    ) -> Self {
        let wishes = &board.demand(topology).wishes;
        let nodes_of = |hosts: &[String]| -> Vec<usize> {
            let host = |name: &String| board.hosts.iter().find(|host| host.name == *name);
            let hosts = hosts.iter().filter_map(host);
            hosts.flat_map(|host| host.nodes.iter().copied()).collect()
        };
        let mut first = nodes_of(&wishes.favored);
        first.retain(|node| !board.grey.contains(node));
        let mut last = nodes_of(&wishes.unfavored);
        last.retain(|node| !board.grey.contains(node) && !first.contains(node));
        last.extend(&board.grey);
        let mut n_on_node = vec![0; board.nodes.len()];
        let mut n_on_host = vec![0; board.hosts.len()];
        let mut n_on_rack = vec![0; board.racks.len()];
        for spot in board.topologies[topology].placed.values().flatten() {
            n_on_node[spot.node] += 1;
            n_on_host[board.nodes[spot.node].host] += 1;
            n_on_rack[board.nodes[spot.node].rack] += 1;
        }
        let mut ranking = Ranking {
            topology,
            component,
            weighing,
            apart: first.iter().chain(&last).copied().collect(),
            first,
            last,
            n_on_node,
            n_on_host,
            racks: Ranked::default(),
            hosts: board.racks.iter().map(|_| None).collect(),
            nodes: board.hosts.iter().map(|_| None).collect(),
        };
        let used = board.racks.iter().enumerate();
        let racks = used.filter(|(_, rack)| !rack.hosts.is_empty());
        let racks = racks.map(|(place, rack)| {
            let mut offer = board.names.nothing();
            for node in rack.hosts.iter().flat_map(|host| &board.hosts[*host].nodes) {
                offer.add(&board.nodes[*node].available);
            }
            (place, rack.turn, offer, n_on_rack[place])
        });
        let racks = racks.collect();
        ranking.racks = ranking.ranked(board, racks);
        ranking
    }

    /// The next node of a walk.
    pub fn next(&mut self, board: &Board<'_>, walk: &mut Walk) -> Option<usize> {
        if let Some(node) = self.first.get(walk.n_first) {
            walk.n_first += 1;
            return Some(*node);
        }
        while let Some(rack) = self.racks.get(walk.rack) {
            let Some(host) = self.host(board, rack, walk.host) else {
                (walk.rack, walk.host, walk.node) = (walk.rack + 1, 0, 0);
                continue;
            };
            let Some(node) = self.node(board, host, walk.node) else {
                (walk.host, walk.node) = (walk.host + 1, 0);
                continue;
            };
            walk.node += 1;
            if !self.apart.contains(&node) {
                return Some(node);
            }
        }
        let node = self.last.get(walk.n_last)?;
        walk.n_last += 1;
        Some(*node)
    }

    fn host(&mut self, board: &Board<'_>, rack: usize, at: usize) -> Option<usize> {
        if self.hosts[rack].is_none() {
            let host = |place: &usize| {
                let host = &board.hosts[*place];
                let mut offer = board.names.nothing();
                for node in &host.nodes {
                    offer.add(&board.nodes[*node].available);
                }
                (*place, host.turn, offer, self.n_on_host[*place])
            };
            let hosts = board.racks[rack].hosts.iter().map(host).collect();
            self.hosts[rack] = Some(self.ranked(board, hosts));
        }
        self.hosts[rack].as_mut()?.get(at)
    }

    fn node(&mut self, board: &Board<'_>, host: usize, at: usize) -> Option<usize> {
        if self.nodes[host].is_none() {
            let node = |place: &usize| {
                let node = &board.nodes[*place];
                let offer = node.available.clone();
                (*place, node.turn, offer, self.n_on_node[*place])
            };
            let nodes = board.hosts[host].nodes.iter().map(node).collect();
            self.nodes[host] = Some(self.ranked(board, nodes));
        }
        self.nodes[host].as_mut()?.get(at)
    }

    fn ranked(&self, board: &Board<'_>, items: Vec<(usize, usize, Offer, u32)>) -> Ranked {
        let mut whole = board.names.nothing();
        for (_, _, offer, _) in &items {
            whole.add(offer);
        }
        let wanted: Option<&Ask> = self
            .component
            .filter(|_| self.weighing != Weighing::Scarcest)
            .map(|component| &board.topologies[self.topology].asks[component]);
        let entry = |(place, turn, offer, n_scheduled): (usize, usize, Offer, u32)| Entry {
            n_scheduled,
            keys: self.weighing.keys(whole.share_of(&offer, wanted)),
            turn,
            place,
        };
        Ranked {
            sorted: Vec::new(),
            rest: items.into_iter().map(entry).collect(),
        }
    }
}

// === impl Weighing ===

impl Weighing {
    fn keys(self, share: Share) -> [f64; 2] {
        match self {
            Weighing::Common => [share.average, share.least],
            Weighing::Average => [share.average, 0.0],
            Weighing::Scarcest => [share.least, share.average],
        }
    }
}

// === impl Ranked ===

impl Ranked {
    fn get(&mut self, at: usize) -> Option<usize> {
        while self.sorted.len() <= at {
            self.sorted.push(self.rest.pop()?.place);
        }
        Some(self.sorted[at])
    }
}

// === impl Entry ===

impl Ord for Entry {
    /// The greatest comes first.
    fn cmp(&self, other: &Self) -> Ordering {
        let keys = self.keys.iter().zip(&other.keys);
        let by_keys = || {
            keys.fold(Ordering::Equal, |so_far, (a, b)| {
                so_far.then(a.total_cmp(b))
            })
        };
        self.n_scheduled
            .cmp(&other.n_scheduled)
            .then_with(by_keys)
            .then_with(|| other.turn.cmp(&self.turn))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

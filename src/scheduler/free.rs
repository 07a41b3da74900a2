//! The slots of a cluster that carry nothing, kept in the order in which Storm gives them out.
//!
//! The order is kept, not made: a round that places many topologies asks for it once for each.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::id::{NodeId, Slot};

/// Free ports of the supervisors that may be given work.
#[derive(Clone, Debug, Default)]
pub struct FreeSlots {
    ports: BTreeMap<NodeId, BTreeSet<u16>>,
    /// Nodes with free ports: those with most first, then by id.
    ranked: BTreeSet<(Reverse<usize>, NodeId)>,
    n_free: usize,
}

// === impl FreeSlots ===

impl FreeSlots {
    /// Makes a node known with the ports that it has to give, which may be none.
    pub fn open(&mut self, node: NodeId, ports: BTreeSet<u16>) {
        self.change(&node, |known| *known = ports);
    }

    pub fn n_free(&self) -> usize {
        self.n_free
    }

    /// Ports of a node that carry nothing; none for one that may not be given work.
    pub fn of(&self, node: &NodeId) -> Option<&BTreeSet<u16>> {
        self.ports.get(node)
    }

    /// A slot is used now.
    pub fn take(&mut self, slot: &Slot) {
        if self.ports.contains_key(&slot.node) {
            self.change(&slot.node, |ports| {
                ports.remove(&slot.port);
            });
        }
    }

    /// A slot is free again.
    pub fn give_back(&mut self, slot: &Slot) {
        self.change(&slot.node, |ports| {
            ports.insert(slot.port);
        });
    }

    /// The first `n_max` in Storm's order: nodes with more free slots first (then by id), one slot
    /// of each node in turn, lowest port first.
    pub fn first(&self, n_max: usize) -> Vec<Slot> {
        let ports = |(_, node): &(_, NodeId)| (node.clone(), self.ports[node].iter());
        let mut nodes: Vec<_> = self.ranked.iter().take(n_max).map(ports).collect();
        let n_wanted = n_max.min(self.n_free);
        let mut slots = Vec::with_capacity(n_wanted);
        while slots.len() < n_wanted {
            let n_left = n_wanted - slots.len();
            let turn = nodes.iter_mut().filter_map(|(node, ports)| {
                let node = node.clone();
                ports.next().map(|port| Slot { node, port: *port })
            });
            slots.extend(turn.take(n_left));
        }
        slots
    }

    fn change(&mut self, node: &NodeId, change: impl FnOnce(&mut BTreeSet<u16>)) {
        let ports = self.ports.entry(node.clone()).or_default();
        let n_before = ports.len();
        change(ports);
        let n_now = ports.len();
        if n_before == n_now {
            return;
        }
        self.n_free = self.n_free - n_before + n_now;
        self.ranked.remove(&(Reverse(n_before), node.clone()));
        if n_now > 0 {
            self.ranked.insert((Reverse(n_now), node.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(nodes: &[(&str, &[u16])]) -> FreeSlots {
        let mut free = FreeSlots::default();
        for (node, ports) in nodes {
            free.open(NodeId::from(*node), ports.iter().copied().collect());
        }
        free
    }

    fn shown(slots: &[Slot]) -> Vec<String> {
        slots.iter().map(Slot::to_string).collect()
    }

    #[test]
    fn nodes_with_most_to_give_come_first_and_take_turns() {
        let mut free = free(&[("a", &[1]), ("b", &[1, 2, 3]), ("c", &[]), ("d", &[5, 6])]);
        assert_eq!(free.n_free(), 6);
        let all = free.first(usize::MAX);
        assert_eq!(shown(&all), ["b:1", "d:5", "a:1", "b:2", "d:6", "b:3"]);
        assert_eq!(shown(&free.first(2)), ["b:1", "d:5"]);
        free.take(&all[0]);
        free.take(&all[0]);
        free.take(&all[3]);
        assert_eq!(shown(&free.first(3)), ["d:5", "a:1", "b:3"]);
        free.give_back(&all[0]);
        assert_eq!(free.n_free(), 5);
        assert_eq!(shown(&free.first(1)), ["b:1"]);
    }

    #[test]
    fn what_is_not_open_is_not_given() {
        let mut free = free(&[("a", &[1])]);
        let foreign = Slot {
            node: NodeId::from("z"),
            port: 1,
        };
        free.take(&foreign);
        assert_eq!(free.of(&foreign.node), None);
        assert_eq!(free.first(0), []);
    }
}

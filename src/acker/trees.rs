//! Where a ledger keeps its trees: a table in which a root's low bits are the place.
//!
//! Spouts name their roots by dense slots and use the last one that became free first, so the live
//! trees lie close together and nothing is hashed. A root whose place is taken by another one lies
//! beside the table, in a map: that is where roots of strangers, of spouts that happen to share a
//! region of the table, and of attackers come to, and they disturb nobody else.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::grouping::SLOT_BITS;

/// What is known of one tuple tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree {
    root: u64,
    /// XOR of all edges that were heard of.
    pub value: u64,
    pub started_ms: i64,
    /// `NO_TASK` until the init arrives.
    pub spout_task: i32,
    /// The rotation it was last put at, without its high bits: none lives for so many.
    rotation: u16,
    pub is_failed: bool,
    is_live: bool,
}

/// All trees of a ledger.
#[derive(Debug)]
pub(super) struct Trees {
    /// Empty or a power of two.
    slots: Vec<Tree>,
    n_in_slots: usize,
    n_max: usize,
    beside: HashMap<u64, Tree, RandomState>,
    rotation: u16,
}

/// Where a tree was found; good until the next change.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Slot(usize),
    Beside(u64),
}

// === impl Trees ===

impl Trees {
    pub(super) fn new(n_max: usize) -> Self {
        Trees {
            n_max,
            slots: Vec::new(),
            n_in_slots: 0,
            beside: HashMap::default(),
            rotation: 0,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.n_in_slots + self.beside.len()
    }

    /// The tree of a root, made anew if there is none. `None` when the ledger holds as many as it
    /// may.
    #[inline]
    pub(super) fn place(&mut self, root: u64, now_ms: i64) -> Option<Place> {
        let index = place_of(root, self.slots.len());
        match self.slots.get_mut(index) {
            Some(slot) if slot.is_live && slot.root == root => Some(Place::Slot(index)),
            // A live tree of a place that is free may still lie beside.
            Some(slot)
                if !slot.is_live && self.beside.is_empty() && self.n_in_slots < self.n_max =>
            {
                *slot = Tree::new(root, now_ms, self.rotation);
                self.n_in_slots += 1;
                Some(Place::Slot(index))
            }
            _ => self.place_beside(root, now_ms),
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Tree> {
        match place {
            Place::Slot(index) => self.slots.get_mut(index),
            Place::Beside(root) => self.beside.get_mut(&root),
        }
    }

    #[inline]
    pub(super) fn remove(&mut self, place: Place) {
        match place {
            Place::Slot(index) => {
                self.slots[index].is_live = false;
                self.n_in_slots -= 1;
            }
            Place::Beside(root) => drop(self.beside.remove(&root)),
        }
    }

    /// Keeps a tree as long as one that is new.
    #[inline]
    pub(super) fn renew(&mut self, place: Place) {
        let rotation = self.rotation;
        if let Some(tree) = self.get_mut(place) {
            tree.rotation = rotation;
        }
    }

    /// Drops what was put `n_buckets` rotations ago or earlier.
    pub(super) fn rotate(&mut self, n_buckets: u16) {
        self.rotation = self.rotation.wrapping_add(1);
        let rotation = self.rotation;
        let is_old = |tree: &Tree| rotation.wrapping_sub(tree.rotation) >= n_buckets;
        for tree in self.slots.iter_mut().filter(|tree| tree.is_live) {
            if is_old(tree) {
                tree.is_live = false;
                self.n_in_slots -= 1;
            }
        }
        self.beside.retain(|_, tree| !is_old(tree));
        // A crowd that is gone leaves no more than a share of its memory behind.
        if self.slots.len() > SLOTS_MIN && self.len() < self.slots.len() / 8 {
            self.resize(self.slots.len() / 2);
        }
    }

    #[cold]
    fn place_beside(&mut self, root: u64, now_ms: i64) -> Option<Place> {
        if self.beside.contains_key(&root) {
            return Some(Place::Beside(root));
        }
        if self.len() >= self.n_max {
            return None;
        }
        let is_crowded = self.len() >= self.slots.len() / 2
            || self.beside.len() >= self.slots.len() / N_BESIDE_SHARE;
        if is_crowded && self.slots.len() < SLOTS_MAX {
            self.resize((self.slots.len() * 2).max(SLOTS_MIN));
        }
        Some(self.put(Tree::new(root, now_ms, self.rotation)))
    }

    /// Puts a tree that is nowhere yet.
    fn put(&mut self, tree: Tree) -> Place {
        let index = place_of(tree.root, self.slots.len());
        match self.slots.get_mut(index) {
            Some(slot) if !slot.is_live => {
                *slot = tree;
                self.n_in_slots += 1;
                Place::Slot(index)
            }
            _ => {
                self.beside.insert(tree.root, tree);
                Place::Beside(tree.root)
            }
        }
    }

    fn resize(&mut self, n_slots: usize) {
        let vacant = Tree {
            is_live: false,
            ..Tree::new(0, 0, 0)
        };
        let slots = std::mem::replace(&mut self.slots, vec![vacant; n_slots]);
        let beside = std::mem::take(&mut self.beside);
        self.n_in_slots = 0;
        let in_slots = slots.into_iter().filter(|tree| tree.is_live);
        for tree in in_slots.chain(beside.into_values()) {
            self.put(tree);
        }
    }
}

// === impl Tree ===

impl Tree {
    fn new(root: u64, now_ms: i64, rotation: u16) -> Self {
        Tree {
            root,
            value: 0,
            started_ms: now_ms,
            spout_task: NO_TASK,
            rotation,
            is_failed: false,
            is_live: true,
        }
    }
}

/// A root's place in a table of `n_slots`, a power of two: the slot that it names, counted from
/// where the salt puts its spout's region (`grouping::root`).
#[inline]
fn place_of(root: u64, n_slots: usize) -> usize {
    let slot = root as usize & ((1 << SLOT_BITS) - 1);
    let salt = (root >> SLOT_BITS) as usize & 0xff;
    (slot + salt * (n_slots >> 8)) & n_slots.wrapping_sub(1)
}

/// Storm's mark of a task that is not known yet.
pub(super) const NO_TASK: i32 = -1;

const SLOTS_MIN: usize = 1024;
/// 128 MB: more trees than this lie beside.
const SLOTS_MAX: usize = 1 << 22;
/// The table grows when one in so many trees lies beside it.
const N_BESIDE_SHARE: usize = 16;

const _: () = assert!(size_of::<Tree>() == 32);

//! What a spout's executor waits for: tracked tuples by the slot that their root names (data-plane
//! 3.3).
//!
//! Calls no spout and reads no clock: `handle_tick` comes once each message timeout, and a tuple
//! that is not over by its second tick has expired, between one and two timeouts after its emit.

use crate::grouping::{SLOT_BITS, slot_of};
use crate::id::TaskId;
use crate::tuple::{StreamNumber, Value};

use super::ledger::Outcome;

/// The tracked tuples of one executor.
#[derive(Debug)]
pub struct PendingTable {
    slots: Vec<Slot>,
    /// For each slot: `n_ticks` when its tuple was emitted or last reset. Beside the slots, so that
    /// those are a line each.
    ticks: Vec<u64>,
    free: Vec<u32>,
    n_pending: usize,
    n_pending_max: usize,
    n_ticks: u64,
}

/// A tracked tuple, as its spout emitted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The task of the executor that emitted it.
    pub task: TaskId,
    pub stream: StreamNumber,
    /// What the spout called it: the argument of its `ack` or `fail`.
    pub id: Value,
    /// When it was emitted, in microseconds since the epoch, if it is sampled; else 0.
    pub emitted_us: i64,
}

/// One cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Slot {
    root: u64,
    pending: Option<Pending>,
}

// === impl PendingTable ===

impl PendingTable {
    /// Holds up to `n_pending_max` tuples: `topology.max.spout.pending` times the executor's tasks.
    /// Without it, as many as roots can name, 16,777,216.
    pub fn new(n_pending_max: Option<usize>) -> Self {
        let most = 1 << SLOT_BITS;
        PendingTable {
            slots: Vec::new(),
            ticks: Vec::new(),
            free: Vec::new(),
            n_pending: 0,
            n_pending_max: n_pending_max.map_or(most, |max| max.min(most)),
            n_ticks: 0,
        }
    }

    /// Number of tuples that are not over.
    #[inline]
    pub fn len(&self) -> usize {
        self.n_pending
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.n_pending == 0
    }

    /// As many as allowed: the spout is not asked for more. One turn of a spout may still emit
    /// several tuples, so the table takes what comes while roots can name it.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.n_pending >= self.n_pending_max
    }

    /// The slot that the next tracked tuple's root has to name. `None` when no root can name
    /// another.
    #[inline]
    pub fn next_slot(&self) -> Option<u32> {
        match self.free.last() {
            Some(slot) => Some(*slot),
            None => u32::try_from(self.slots.len())
                .ok()
                .filter(|slot| slot >> SLOT_BITS == 0),
        }
    }

    /// Enters a tuple whose root was drawn for `next_slot`.
    #[inline]
    pub fn handle_emit(&mut self, root: u64, pending: Pending) {
        debug_assert_eq!(Some(slot_of(root)), self.next_slot());
        let slot = Slot {
            root,
            pending: Some(pending),
        };
        match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                self.ticks[index as usize] = self.n_ticks;
            }
            None => {
                self.slots.push(slot);
                self.ticks.push(self.n_ticks);
            }
        }
        self.n_pending += 1;
    }

    /// Takes an acker's notice. Gives the tuple that is over; `None` for one that is not, and for
    /// roots that are not pending: late notices of what expired or was acked before.
    #[inline]
    pub fn handle_done(&mut self, root: u64, outcome: Outcome) -> Option<Pending> {
        let index = slot_of(root);
        let slot = self
            .slots
            .get_mut(index as usize)
            .filter(|slot| slot.root == root)?;
        if outcome == Outcome::Reset {
            self.ticks[index as usize] = self.n_ticks;
            return None;
        }
        let pending = slot.pending.take()?;
        self.free.push(index);
        self.n_pending -= 1;
        Some(pending)
    }

    /// The roots of all tuples that are not over.
    pub fn roots(&self) -> impl Iterator<Item = u64> {
        let pending = self.slots.iter().filter(|slot| slot.pending.is_some());
        pending.map(|slot| slot.root)
    }

    /// Drops what a task emitted: the component that it would be told to is gone.
    pub fn forget(&mut self, task: TaskId) {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot
                .pending
                .as_ref()
                .is_some_and(|pending| pending.task == task)
            {
                slot.pending = None;
                self.free.push(index as u32);
                self.n_pending -= 1;
            }
        }
    }

    /// Once each message timeout: appends what was pending at the tick before already.
    pub fn handle_tick(&mut self, expired: &mut Vec<Pending>) {
        self.n_ticks += 1;
        for (index, (slot, ticks)) in self.slots.iter_mut().zip(&self.ticks).enumerate() {
            if self.n_ticks - ticks >= N_BUCKETS
                && let Some(pending) = slot.pending.take()
            {
                expired.push(pending);
                // Fewer slots than 2^SLOT_BITS.
                self.free.push(index as u32);
                self.n_pending -= 1;
            }
        }
    }
}

const N_BUCKETS: u64 = 2;

const _: () = assert!(size_of::<Slot>() == 64);

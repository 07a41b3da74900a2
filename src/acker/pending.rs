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
    /// For each slot: `tick` when its tuple was emitted or last reset. Beside the slots, so that
    /// those are a line each.
    ticks: Vec<u8>,
    /// The slot that became free last; it names the one before it.
    free: u32,
    n_pending: usize,
    n_pending_max: usize,
    /// Counts ticks, without high bits: no tuple stays for many.
    tick: u8,
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
    /// Of a free slot: the next free one.
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
            free: NO_SLOT,
            n_pending: 0,
            n_pending_max: n_pending_max.map_or(most, |max| max.min(most)),
            tick: 0,
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
        match self.free {
            NO_SLOT => u32::try_from(self.slots.len())
                .ok()
                .filter(|slot| slot >> SLOT_BITS == 0),
            slot => Some(slot),
        }
    }

    /// Enters a tuple whose root was drawn for `next_slot`.
    #[inline(always)]
    pub fn handle_emit(&mut self, root: u64, pending: Pending) {
        debug_assert_eq!(Some(slot_of(root)), self.next_slot());
        let index = self.free as usize;
        match self.slots.get_mut(index).zip(self.ticks.get_mut(index)) {
            Some((slot, tick)) => {
                self.free = slot.root as u32;
                slot.root = root;
                // None, which the compiler cannot know: nothing to drop.
                std::mem::forget(slot.pending.replace(pending));
                *tick = self.tick;
            }
            None => {
                let pending = Some(pending);
                self.slots.push(Slot { root, pending });
                self.ticks.push(self.tick);
            }
        }
        self.n_pending += 1;
    }

    /// Takes an acker's notice. Gives the tuple that is over, to be released; `None` for one that
    /// is not, and for roots that are not pending: late notices of what expired or was acked.
    #[inline]
    pub fn handle_done(&mut self, root: u64, outcome: Outcome) -> Option<&Pending> {
        let index = slot_of(root) as usize;
        let slot = self.slots.get(index).filter(|slot| slot.root == root)?;
        if outcome == Outcome::Reset {
            self.ticks[index] = self.tick;
            return None;
        }
        slot.pending.as_ref()
    }

    /// Frees the slot of a tuple that is over.
    #[inline]
    pub fn release(&mut self, root: u64) {
        let index = slot_of(root);
        let slot = self.slots.get_mut(index as usize);
        if let Some(slot) = slot.filter(|slot| slot.root == root && slot.pending.is_some()) {
            slot.free(index, &mut self.free);
            self.n_pending -= 1;
        }
    }

    /// The roots of all tuples that are not over.
    pub fn roots(&self) -> impl Iterator<Item = u64> {
        let pending = self.slots.iter().filter(|slot| slot.pending.is_some());
        pending.map(|slot| slot.root)
    }

    /// The roots of what a task emitted under such ids and what is not over.
    pub fn roots_of<'a>(
        &'a self,
        task: TaskId,
        is_meant: impl Fn(&Value) -> bool + 'a,
    ) -> impl Iterator<Item = u64> + 'a {
        let is_meant = move |pending: &Pending| pending.task == task && is_meant(&pending.id);
        let slots = self.slots.iter();
        let meant = slots.filter(move |slot| slot.pending.as_ref().is_some_and(&is_meant));
        meant.map(|slot| slot.root)
    }

    /// Drops what a task emitted: the component that it would be told to is gone.
    pub fn forget(&mut self, task: TaskId) {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let pending = slot.pending.as_ref();
            if pending.is_some_and(|pending| pending.task == task) {
                slot.free(index as u32, &mut self.free);
                self.n_pending -= 1;
            }
        }
    }

    /// Once each message timeout: appends what was pending at the tick before already.
    pub fn handle_tick(&mut self, expired: &mut Vec<Pending>) {
        self.tick = self.tick.wrapping_add(1);
        for (index, (slot, tick)) in self.slots.iter_mut().zip(&self.ticks).enumerate() {
            if self.tick.wrapping_sub(*tick) >= N_BUCKETS
                && let Some(pending) = slot.pending.take()
            {
                expired.push(pending);
                // Fewer slots than 2^SLOT_BITS.
                slot.free(index as u32, &mut self.free);
                self.n_pending -= 1;
            }
        }
    }
}

// === impl Slot ===

impl Slot {
    /// Puts this slot, whose place is `index`, before those that are free.
    #[inline]
    fn free(&mut self, index: u32, first: &mut u32) {
        // Most ids own nothing, for which the compiler would call and compare.
        let plain = self.pending.take_if(|pending| pending.id.is_plain());
        std::mem::forget(plain);
        self.pending = None;
        self.root = u64::from(*first);
        *first = index;
    }
}

const N_BUCKETS: u8 = 2;
/// No root names it.
const NO_SLOT: u32 = u32::MAX;

const _: () = assert!(size_of::<Slot>() == 64);

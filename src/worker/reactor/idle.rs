//! When there is nothing to do: watch for a moment, then sleep until something comes or is due.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Reactor;
use crate::worker::lane::Lanes;
use crate::worker::queue::Link;
use crate::worker::rest::Time;

// === impl Reactor ===

impl Reactor {
    /// Nothing to do: watch for a moment, then sleep until something comes or is due.
    pub(super) fn rest(&mut self, now_us: u64) {
        let next_us = self.timers.next_us();
        let until_us = next_us.map(|next_us| next_us.saturating_sub(now_us));
        let (door, links, here) = (&self.door, &self.links, &self.here);
        let has_input = || door.is_knocked() || links.iter().flatten().any(Link::has_input);
        let siblings = || here.siblings(&self.shared.doors);
        // A thread that only looked after its timers has no reason to expect more at once.
        let may_spin = std::mem::take(&mut self.has_worked);
        let for_room = self.executors.iter().any(|e| e.is_blocked) || self.awaits_ring();
        if may_spin && self.rest.spin(until_us, for_room, siblings, has_input) {
            self.has_worked = true;
            return;
        }
        for executor in self.executors.iter_mut().filter(|e| e.is_blocked) {
            let lanes = &executor.emitter.lanes;
            executor.is_blocked = lanes.is_blocked() && lanes.await_room();
            if !executor.is_blocked {
                // The room came after the executor's turn, and nobody rings for it any more.
                return;
            }
        }
        let mut timeout = match &self.time {
            Time::Real => next_us
                .map(|next_us| Duration::from_micros(next_us.saturating_sub(self.time.now_us()))),
            Time::Simulated(_) => None,
        };
        if self.awaits_ring() {
            timeout = Some(timeout.map_or(RING_RETRY, |timeout| timeout.min(RING_RETRY)));
        }
        let n_lost = &self.shared.counters.n_acks_lost;
        n_lost.fetch_add(self.acks.take_lost(), Ordering::Relaxed);
        self.door.park(timeout, has_input);
    }

    /// Whether anything waits for a slot in a ring: whoever empties rings does not tell.
    fn awaits_ring(&self) -> bool {
        let mut lists = self.acks.to_threads.iter();
        let mut lanes = self.executors.iter().map(|e| &e.emitter.lanes);
        lists.any(|outgoing| !outgoing.records.is_empty()) || lanes.any(Lanes::awaits_ring)
    }
}

/// Between attempts to put something into a ring that was full.
const RING_RETRY: Duration = Duration::from_millis(1);

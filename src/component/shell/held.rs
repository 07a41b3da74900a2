//! Tuples that a bolt's child has and has not answered, by the ids it knows them by.
//!
//! Ids are numbers that look random and that only we can have made: one that comes back is known to
//! be ours, and whether it can still matter. What has waited longer than its spout waits is let go.

use std::collections::HashMap;

use crate::component::shell::settings::Acking;
use crate::tuple::{HeldTuple, Tuple};

/// The in-flight tuples of one task.
pub struct Held {
    tuples: HashMap<u64, HeldTuple>,
    key: u64,
    next_serial: u64,
    /// Tuples with lower serials were let go.
    expired_below: u64,
    /// What was the next serial when the clock last struck.
    boundary: u64,
    rotate_every_ms: u64,
    rotate_at_ms: u64,
    acking: Acking,
}

/// What an id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known<T> {
    InFlight(T),
    /// A tick, or a tuple that nobody waits for any more.
    Untracked,
    /// Answered already, or never ours.
    Unknown,
}

// === impl Held ===

impl Held {
    /// A tuple is kept for at least `timeout_ms`.
    pub fn new(timeout_ms: u64, acking: Acking, key: u64) -> Self {
        Held {
            tuples: HashMap::new(),
            key,
            next_serial: 0,
            expired_below: 0,
            boundary: 0,
            rotate_every_ms: timeout_ms.max(1),
            rotate_at_ms: 0,
            acking,
        }
    }

    /// Takes a tuple on; gives the id that the child gets. Ticks, and all tuples where nobody
    /// tracks them, are not kept: a child that never answers costs no memory.
    pub fn insert(&mut self, tuple: &Tuple<'_>, now_ms: u64) -> i64 {
        if now_ms >= self.rotate_at_ms {
            self.rotate(now_ms);
        }
        let is_kept = self.acking == Acking::On && !tuple.is_tick();
        let serial = self.next_serial << 1 | u64::from(is_kept);
        self.next_serial += 1;
        if is_kept {
            self.tuples.insert(serial, tuple.hold());
        }
        self.scramble(serial)
    }

    /// Whether an id is known; ends its being in flight.
    pub fn take(&mut self, id: &str) -> Known<HeldTuple> {
        let Some(serial) = self.serial(id) else {
            return Known::Unknown;
        };
        match self.tuples.remove(&serial) {
            Some(tuple) => Known::InFlight(tuple),
            None => self.absent(serial),
        }
    }

    /// For anchors.
    pub fn get(&self, id: &str) -> Known<Tuple<'_>> {
        let Some(serial) = self.serial(id) else {
            return Known::Unknown;
        };
        match self.tuples.get(&serial) {
            Some(tuple) => Known::InFlight(tuple.view()),
            None => self.absent(serial),
        }
    }

    /// All of them, at the end of a child. Later ids are new ones.
    pub fn drain(&mut self) -> impl Iterator<Item = HeldTuple> + '_ {
        self.tuples.drain().map(|(_, tuple)| tuple)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.tuples.len()
    }

    /// The serial of an id that was given out.
    fn serial(&self, id: &str) -> Option<u64> {
        let id = id.parse::<i64>().ok()? as u64;
        let serial = id.wrapping_mul(INVERSE) ^ self.key;
        (serial >> 1 < self.next_serial).then_some(serial)
    }

    fn scramble(&self, serial: u64) -> i64 {
        (serial ^ self.key).wrapping_mul(FACTOR) as i64
    }

    fn absent<T>(&self, serial: u64) -> Known<T> {
        let was_kept = serial & 1 == 1;
        match was_kept && serial >> 1 >= self.expired_below {
            true => Known::Unknown,
            false => Known::Untracked,
        }
    }

    fn rotate(&mut self, now_ms: u64) {
        self.rotate_at_ms = now_ms.saturating_add(self.rotate_every_ms);
        self.expired_below = std::mem::replace(&mut self.boundary, self.next_serial);
        let expired_below = self.expired_below;
        self.tuples.retain(|serial, _| serial >> 1 >= expired_below);
    }
}

/// Odd, so that multiplying by it can be undone.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
const INVERSE: u64 = inverse(FACTOR);

/// The number that undoes multiplying by an odd one, modulo 2^64: Newton's iteration doubles the
/// right bits each time.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut n_right_bits = 3;
    while n_right_bits < 64 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        n_right_bits *= 2;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values;
    use crate::worker::harness::Harness;

    fn held(acking: Acking) -> (Harness, Held) {
        (
            Harness::new(&[]),
            Held::new(1000, acking, 0x1234_5678_9abc_def0),
        )
    }

    #[test]
    fn an_id_is_answered_once() {
        let (mut harness, mut held) = held(Acking::On);
        let tuple = harness.input(&values!["a"]);
        let ids: Vec<String> = (0..3)
            .map(|_| held.insert(&tuple.view(), 0).to_string())
            .collect();
        assert_eq!(held.len(), 3);
        assert!(matches!(held.get(&ids[1]), Known::InFlight(_)));
        assert!(matches!(held.take(&ids[1]), Known::InFlight(_)));
        assert!(matches!(held.take(&ids[1]), Known::Unknown));
        assert!(matches!(held.get(&ids[1]), Known::Unknown));
        for bogus in ["", "x", "0", "1", "2", "-1", "99999999999999999999"] {
            assert!(matches!(held.take(bogus), Known::Unknown), "{bogus}");
        }
        assert_eq!(held.drain().count(), 2);
    }

    #[test]
    fn what_nobody_waits_for_is_not_kept() {
        let (mut harness, mut kept) = held(Acking::On);
        let tick = harness.tick();
        let id = kept.insert(&tick.view(), 0).to_string();
        assert_eq!(kept.len(), 0);
        assert!(matches!(kept.take(&id), Known::Untracked));
        let (mut harness, mut unkept) = held(Acking::Off);
        let tuple = harness.input(&values!["a"]);
        let id = unkept.insert(&tuple.view(), 0).to_string();
        assert_eq!(unkept.len(), 0);
        assert!(matches!(unkept.take(&id), Known::Untracked));
    }

    #[test]
    fn what_waits_too_long_is_let_go_and_no_error() {
        let (mut harness, mut held) = held(Acking::On);
        let tuple = harness.input(&values!["a"]);
        let first = held.insert(&tuple.view(), 0).to_string();
        let second = held.insert(&tuple.view(), 1000).to_string();
        assert_eq!(held.len(), 2);
        held.insert(&tuple.view(), 2000);
        assert_eq!(held.len(), 2, "the first is gone");
        assert!(matches!(held.take(&first), Known::Untracked));
        assert!(matches!(held.take(&second), Known::InFlight(_)));
        assert!(matches!(held.take(&second), Known::Unknown));
    }
}

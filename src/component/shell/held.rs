//! Tuples that a bolt's child has and has not answered, by the ids it knows them by.
//!
//! Ids are numbers that look random and that only we can have made: one that comes back is known to
//! be ours, and whether it can still matter. What has waited longer than its spout waits is let go.

use crate::component::shell::settings::Acking;
use crate::tuple::{Key, Part, Shelf, Tuple, TupleError};

/// The in-flight tuples of one task.
pub struct Held {
    /// Without their values, mostly, which the child has.
    shelf: Shelf,
    /// Tuples that nobody waits for.
    n_untracked: u64,
    /// What ids are scrambled by.
    salt: u64,
    /// Tuples with lower keys were let go.
    expired_below: Key,
    /// What was the next key when the clock last struck.
    boundary: Key,
    rotate_every_ms: u64,
    rotate_at_ms: u64,
    acking: Acking,
}

/// What an id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    InFlight(Key),
    /// Nobody waits for its answer: nobody ever did (a tick, or a topology without ackers), or its
    /// spout waits no longer.
    Unawaited,
    /// Answered already, or never ours.
    Unknown,
}

// === impl Held ===

impl Held {
    /// A tuple is kept for at least `timeout_ms`.
    pub fn new(timeout_ms: u64, acking: Acking, salt: u64) -> Self {
        Held {
            shelf: Shelf::default(),
            n_untracked: 0,
            salt,
            expired_below: Key(0),
            boundary: Key(0),
            rotate_every_ms: timeout_ms.max(1),
            rotate_at_ms: 0,
            acking,
        }
    }

    /// Takes a tuple on, as much of it as whoever hears of its end needs; gives the id that the
    /// child gets. Ticks, and all tuples where nobody tracks them, are not kept: a child that never
    /// answers costs no memory.
    pub fn insert(&mut self, tuple: &Tuple<'_>, part: Part) -> Result<i64, TupleError> {
        let serial = match self.acking == Acking::On && !tuple.is_tick() {
            true => self.shelf.put(tuple, part)?.0 << 1 | KEPT,
            false => {
                self.n_untracked += 1;
                (self.n_untracked - 1) << 1
            }
        };
        Ok((serial ^ self.salt).wrapping_mul(FACTOR) as i64)
    }

    /// Lets go of what has waited too long.
    pub fn look_at_clock(&mut self, now_ms: u64) {
        if now_ms >= self.rotate_at_ms {
            self.rotate_at_ms = now_ms.saturating_add(self.rotate_every_ms);
            self.expired_below = std::mem::replace(&mut self.boundary, self.shelf.next());
            self.shelf.release_below(self.expired_below);
        }
    }

    /// What became of an id.
    pub fn find(&self, id: i64) -> Known {
        let serial = (id as u64).wrapping_mul(INVERSE) ^ self.salt;
        let number = serial >> 1;
        if serial & KEPT == 0 {
            return match number < self.n_untracked {
                true => Known::Unawaited,
                false => Known::Unknown,
            };
        }
        match Key(number) {
            key if self.shelf.has(key) => Known::InFlight(key),
            key if key < self.expired_below => Known::Unawaited,
            _ => Known::Unknown,
        }
    }

    /// The same of an id as children write them.
    pub fn find_text(&self, id: &str) -> Known {
        id.parse().map_or(Known::Unknown, |id| self.find(id))
    }

    /// To anchor to.
    pub fn get(&self, key: Key) -> Tuple<'_> {
        self.shelf.get(key)
    }

    /// Ends a tuple's being in flight, by an ack or a fail in `answer`.
    pub fn end(&mut self, key: Key, answer: impl FnOnce(&Tuple<'_>)) {
        answer(&self.shelf.get_stamped(key));
        self.shelf.release(key);
    }

    /// Ends all of them, with the child that had them. Later ids are new ones.
    pub fn end_all(&mut self, mut answer: impl FnMut(&Tuple<'_>)) {
        let keys: Vec<Key> = self.shelf.keys().collect();
        for key in keys {
            self.end(key, &mut answer);
        }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.shelf.keys().count()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shelf.note_lost(self.shelf.keys());
    }
}

/// The bit of a serial that says that its tuple is kept.
const KEPT: u64 = 1;
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
    use std::collections::VecDeque;

    use super::*;
    use crate::testing::allocations;
    use crate::tuple::held::lost_by;
    use crate::values;
    use crate::worker::harness::Harness;

    fn held(acking: Acking) -> (Harness, Held) {
        (
            Harness::new(&[]),
            Held::new(1000, acking, 0x1234_5678_9abc_def0),
        )
    }

    fn end(held: &mut Held, id: i64) -> Known {
        let known = held.find(id);
        if let Known::InFlight(key) = known {
            held.end(key, |_| {});
        }
        known
    }

    #[test]
    fn an_id_is_answered_once() {
        let (mut harness, mut held) = held(Acking::On);
        let tuple = harness.input(&values!["a"]);
        let ids = [(); 3].map(|()| held.insert(&tuple.view(), Part::WithoutValues).unwrap());
        assert_eq!(held.len(), 3);
        assert!(matches!(
            held.find_text(&ids[1].to_string()),
            Known::InFlight(_)
        ));
        assert!(matches!(end(&mut held, ids[1]), Known::InFlight(_)));
        assert_eq!(held.find(ids[1]), Known::Unknown);
        for bogus in ["", "x", "0", "1", "2", "-1", "99999999999999999999"] {
            assert_eq!(held.find_text(bogus), Known::Unknown, "{bogus}");
        }
        let mut n_ended = 0;
        held.end_all(|_| n_ended += 1);
        assert_eq!((n_ended, held.len()), (2, 0));
        assert!(ids.iter().all(|id| held.find(*id) == Known::Unknown));
    }

    #[test]
    fn what_is_kept_is_the_tuple_without_its_values() {
        let (mut harness, mut held) = held(Acking::On);
        let tuple = harness.input(&values!["a"]);
        tuple.view().xor_out_ack(7);
        let id = held.insert(&tuple.view(), Part::WithoutValues).unwrap();
        let Known::InFlight(key) = held.find(id) else {
            panic!("{id} is not known");
        };
        let kept = held.get(key);
        assert_eq!(kept.head(), tuple.view().head());
        assert_eq!(kept.anchors(), tuple.view().anchors());
        assert_eq!(kept.out_ack(), 7);
        assert!(kept.is_empty());
        let whole = held.insert(&tuple.view(), Part::All).unwrap();
        let Known::InFlight(key) = held.find(whole) else {
            panic!("{whole} is not known");
        };
        assert!(held.get(key).values().eq(tuple.view().values()));
    }

    #[test]
    fn tuples_come_and_go_without_an_allocation() {
        let (mut harness, mut held) = held(Acking::On);
        let tuple = harness.input(&values!["a"]);
        let mut in_flight = VecDeque::with_capacity(2000);
        let mut turn = |n_tuples: usize| {
            for _ in 0..n_tuples {
                in_flight.push_back(held.insert(&tuple.view(), Part::WithoutValues).unwrap());
                if in_flight.len() > 1000 {
                    let answered = in_flight.pop_front().unwrap();
                    assert!(matches!(end(&mut held, answered), Known::InFlight(_)));
                }
            }
        };
        turn(3000);
        let (n_allocations, ()) = allocations::during(|| turn(10_000));
        assert_eq!(n_allocations, 0);
    }

    #[test]
    fn what_is_in_flight_when_a_bolt_is_thrown_away_is_lost() {
        let (mut harness, mut held) = held(Acking::On);
        let tuple = harness.input(&values!["a"]);
        let ids = [(); 2].map(|()| held.insert(&tuple.view(), Part::WithoutValues).unwrap());
        end(&mut held, ids[0]);
        let roots: Vec<u64> = tuple.view().anchors().iter().map(|a| a.root).collect();
        assert!(!roots.is_empty());
        assert_eq!(lost_by(|| drop(held)), roots);
    }

    #[test]
    fn a_child_may_forget_some_and_go_on() {
        let (mut harness, mut held) = held(Acking::On);
        let tuple = harness.input(&values!["a"]);
        let mut forgotten = Vec::new();
        for n in 0..50_000 {
            let id = held.insert(&tuple.view(), Part::WithoutValues).unwrap();
            match n % 500 {
                0 => forgotten.push(id),
                _ => assert!(matches!(end(&mut held, id), Known::InFlight(_))),
            }
        }
        assert_eq!(held.len(), forgotten.len());
        for id in forgotten {
            let Known::InFlight(key) = held.find(id) else {
                panic!("{id} is not known");
            };
            assert_eq!(held.get(key).head(), tuple.view().head());
            held.end(key, |ended| {
                assert_eq!(ended.anchors(), tuple.view().anchors())
            });
            assert_eq!(held.find(id), Known::Unknown);
        }
    }

    #[test]
    fn what_nobody_waits_for_is_not_kept() {
        let (mut harness, mut kept) = held(Acking::On);
        let tick = harness.tick();
        let id = kept.insert(&tick.view(), Part::WithoutValues).unwrap();
        assert_eq!(kept.len(), 0);
        assert_eq!(kept.find(id), Known::Unawaited);
        let (mut harness, mut unkept) = held(Acking::Off);
        let tuple = harness.input(&values!["a"]);
        let id = unkept.insert(&tuple.view(), Part::WithoutValues).unwrap();
        assert_eq!(unkept.len(), 0);
        assert_eq!(unkept.find(id), Known::Unawaited);
    }

    #[test]
    fn what_waits_too_long_is_let_go_and_no_error() {
        let (mut harness, mut held) = held(Acking::On);
        let tuple = harness.input(&values!["a"]);
        let insert_at = |held: &mut Held, now_ms| {
            let id = held.insert(&tuple.view(), Part::WithoutValues).unwrap();
            held.look_at_clock(now_ms);
            id
        };
        let first = insert_at(&mut held, 0);
        let second = insert_at(&mut held, 999);
        assert_eq!(held.len(), 2);
        let third = insert_at(&mut held, 1000);
        assert_eq!(held.len(), 2, "the first is gone");
        assert_eq!(held.find(first), Known::Unawaited);
        assert!(matches!(end(&mut held, second), Known::InFlight(_)));
        assert_eq!(held.find(second), Known::Unknown);
        held.look_at_clock(2000);
        assert_eq!(held.find(third), Known::Unawaited);
        assert_eq!(held.find(second), Known::Unawaited);
    }
}

//! Partial key grouping: each key has two candidate tasks and takes the less used one, so that a
//! frequent key does not overload one task (data-plane 2.5).
//!
//! Candidates are Storm's own: its key bytes, Java's linear congruential generator. How much each
//! target got is counted by this instance alone.

use std::fmt::Write;

use crate::id::TaskId;
use crate::tuple::ValueRef;

use super::java_hash::{self, ByteHash};

#[derive(Clone, Debug)]
pub struct PartialKey {
    key: Key,
    targets: Vec<TaskId>,
    n_sent: Vec<u64>,
}

/// What a tuple's key is made of.
#[derive(Clone, Debug)]
enum Key {
    /// The values at these positions.
    Fields(Vec<usize>),
    /// The first value, as text.
    FirstValue,
}

/// Java's `Random`, 48 bits of state.
struct JavaRandom(u64);

// === impl PartialKey ===

impl PartialKey {
    /// By the values at `positions`; with none, by the text of the first value.
    pub(super) fn new(positions: Vec<usize>, targets: Vec<TaskId>) -> Self {
        let key = if positions.is_empty() {
            Key::FirstValue
        } else {
            Key::Fields(positions)
        };
        PartialKey {
            key,
            n_sent: vec![0; targets.len()],
            targets,
        }
    }

    /// `None` without targets.
    pub(super) fn choose(&mut self, values: &[ValueRef<'_>]) -> Option<TaskId> {
        let n_targets = i32::try_from(self.targets.len()).ok().filter(|n| *n > 0)?;
        let mut random = JavaRandom::new(self.key.seed(values).into());
        let first = random.below(n_targets) as usize;
        let mut second = random.below(n_targets) as usize;
        if second == first {
            second = (second + 1) % self.targets.len();
        }
        let chosen = if self.n_sent[second] < self.n_sent[first] {
            second
        } else {
            first
        };
        self.n_sent[chosen] += 1;
        Some(self.targets[chosen])
    }
}

// === impl Key ===

impl Key {
    fn seed(&self, values: &[ValueRef<'_>]) -> i32 {
        let value = |index: usize| values.get(index).copied().unwrap_or_default();
        match self {
            Key::Fields(positions) => {
                let hashes = positions
                    .iter()
                    .map(|index| java_hash::java_hash(value(*index)));
                hashes.fold(1, |seed, hash| {
                    let bytes = hash.to_be_bytes();
                    bytes.into_iter().fold(seed, |seed: i32, byte| {
                        seed.wrapping_mul(31).wrapping_add((byte as i8).into())
                    })
                })
            }
            Key::FirstValue => match value(0) {
                ValueRef::Str(text) => java_hash::polynomial(text.as_bytes()),
                other => {
                    let mut hash = ByteHash(1);
                    write!(hash, "{other}").expect("hashing text does not fail");
                    hash.0
                }
            },
        }
    }
}

// === impl JavaRandom ===

impl JavaRandom {
    fn new(seed: i64) -> Self {
        JavaRandom((seed as u64 ^ MULTIPLIER) & MASK)
    }

    fn next31(&mut self) -> i32 {
        self.0 = self.0.wrapping_mul(MULTIPLIER).wrapping_add(0xb) & MASK;
        (self.0 >> 17) as i32
    }

    /// Uniform in `0..bound`; `bound` is positive.
    fn below(&mut self, bound: i32) -> i32 {
        let mut bits = self.next31();
        if bound & (bound - 1) == 0 {
            return ((i64::from(bound) * i64::from(bits)) >> 31) as i32;
        }
        loop {
            let rest = bits % bound;
            // Java sees that the last, incomplete run of `bound` numbers was hit by its overflow.
            if (bits - rest).checked_add(bound - 1).is_some() {
                return rest;
            }
            bits = self.next31();
        }
    }
}

const MULTIPLIER: u64 = 0x5_deec_e66d;
const MASK: u64 = (1 << 48) - 1;

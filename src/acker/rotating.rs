//! A map that forgets: each rotation drops what was not renewed for as many rotations as it has
//! buckets.
//!
//! Storm keeps a hash map a bucket and looks through all of them; here one map holds each key's
//! bucket, so that a lookup is one probe and a rotation, which is rare, a pass over what is live.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use foldhash::fast::FixedState;

#[derive(Debug)]
pub struct RotatingMap<K, V> {
    /// With the rotation that each was last put at.
    entries: HashMap<K, (u64, V), FixedState>,
    n_buckets: u64,
    n_rotations: u64,
}

/// What becomes of an entry that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Stays in the bucket it is in; a new one starts in the newest.
    Keep,
    /// Moves to the newest bucket.
    Renew,
    Remove,
}

// === impl RotatingMap ===

impl<K: Eq + Hash, V> RotatingMap<K, V> {
    /// An entry lives for at least `n_buckets - 1` full intervals between rotations and is dropped
    /// at the end of the one after. `n_buckets` is at least 1.
    pub fn new(n_buckets: u64) -> Self {
        RotatingMap {
            entries: HashMap::default(),
            n_buckets: n_buckets.max(1),
            n_rotations: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// Puts into the newest bucket, also what lay in an older one.
    pub fn put(&mut self, key: K, value: V) {
        self.entries.insert(key, (self.n_rotations, value));
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.remove(key).map(|(_, value)| value)
    }

    /// Changes the entry of `key`, made by `absent` if there is none, and then does with it as
    /// `change` says. One probe of the map, whatever comes of it.
    #[inline]
    pub fn update<T>(
        &mut self,
        key: K,
        absent: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> (Disposition, T),
    ) -> T {
        match self.entries.entry(key) {
            Entry::Occupied(mut entry) => {
                let (rotation, value) = entry.get_mut();
                let (disposition, result) = change(value);
                match disposition {
                    Disposition::Keep => {}
                    Disposition::Renew => *rotation = self.n_rotations,
                    Disposition::Remove => drop(entry.remove()),
                }
                result
            }
            Entry::Vacant(entry) => {
                let mut value = absent();
                let (disposition, result) = change(&mut value);
                if disposition != Disposition::Remove {
                    entry.insert((self.n_rotations, value));
                }
                result
            }
        }
    }

    /// Starts a new bucket and drops the oldest, whose entries go to `dropped` in no order.
    pub fn rotate(&mut self, mut dropped: impl FnMut(K, V)) {
        self.n_rotations += 1;
        let Some(oldest) = self.n_rotations.checked_sub(self.n_buckets) else {
            return;
        };
        let gone = self
            .entries
            .extract_if(|_, (rotation, _)| *rotation <= oldest);
        gone.for_each(|(key, (_, value))| dropped(key, value));
    }
}

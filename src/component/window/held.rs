//! Where the tuples of windows lie: slabs in the order they came, recycled when all of one left.
//!
//! A `HeldTuple` has a slab of its own, an allocation or two and some 300 bytes; here a tuple costs
//! 64 bytes and 24 for each small value, and hardly an allocation once windows have their size.

use std::collections::VecDeque;

use crate::tuple::{Tuple, TupleBatch, TupleError};

/// The tuples that a windowed bolt holds.
#[derive(Default)]
pub(super) struct Held {
    /// The first holds the keys from `first` on; each is full but the last.
    slabs: VecDeque<Slab>,
    first: u64,
    /// Emptied slabs.
    spare: Vec<TupleBatch>,
}

/// Names a held tuple: counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(u64);

struct Slab {
    /// Gone when all its tuples are, while a slab before it is still there.
    batch: Option<TupleBatch>,
    n_live: usize,
    /// Of the tuples that are sampled: the place in the batch, and when they came.
    stamps: Vec<(usize, i64)>,
}

// === impl Held ===

impl Held {
    /// Takes a copy of a tuple, with all that was noted on it.
    pub fn put(&mut self, tuple: &Tuple<'_>) -> Result<Key, TupleError> {
        if self.slabs.back().is_none_or(|slab| slab.is_full()) {
            self.open(tuple);
        }
        let n_before = (self.slabs.len() - 1) * SLAB_TUPLES;
        let slab = self.slabs.back_mut().expect("one was just opened");
        let batch = slab
            .batch
            .as_mut()
            .expect("a slab that is not full is there");
        let place = batch.len();
        batch.push_from(tuple, tuple.target_task())?;
        if let Some(copy) = batch.get(place) {
            copy.xor_out_ack(tuple.out_ack());
        }
        if tuple.stamp_us() != 0 {
            slab.stamps.push((place, tuple.stamp_us()));
        }
        slab.n_live += 1;
        Ok(Key(self.first + (n_before + place) as u64))
    }

    /// A tuple that was put here and not released since.
    pub fn get(&self, key: Key) -> Tuple<'_> {
        let (index, place) = self.locate(key);
        self.slabs[index].view(place)
    }

    /// The same, for an ack or a fail: what is sampled knows when it came.
    pub fn get_stamped(&self, key: Key) -> Tuple<'_> {
        let (index, place) = self.locate(key);
        let slab = &self.slabs[index];
        let stamp = slab
            .stamps
            .binary_search_by_key(&place, |(place, _)| *place);
        if let Some(batch) = &slab.batch {
            batch.stamp(stamp.map_or(0, |index| slab.stamps[index].1));
        }
        slab.view(place)
    }

    /// Nobody will ask for this tuple again.
    pub fn release(&mut self, key: Key) {
        let (index, _) = self.locate(key);
        let is_last = index + 1 == self.slabs.len();
        let slab = &mut self.slabs[index];
        slab.n_live -= 1;
        // The last one takes further tuples, unless it is full.
        if slab.n_live == 0 && (!is_last || slab.is_full()) {
            self.close(index);
        }
    }

    /// Tuples that are here.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.slabs.iter().map(|slab| slab.n_live).sum()
    }

    fn open(&mut self, like: &Tuple<'_>) {
        let batch = self.spare.pop();
        let new = || {
            let streams = like.streams().clone();
            TupleBatch::with_capacity(streams, SLAB_TUPLES, like.len())
        };
        self.slabs.push_back(Slab {
            batch: Some(batch.unwrap_or_else(new)),
            n_live: 0,
            stamps: Vec::new(),
        });
    }

    fn close(&mut self, index: usize) {
        let slab = &mut self.slabs[index];
        slab.stamps = Vec::new();
        if let Some(mut batch) = slab.batch.take()
            && self.spare.len() < SPARE_SLABS
        {
            batch.clear();
            self.spare.push(batch);
        }
        while self.slabs.front().is_some_and(|slab| slab.batch.is_none()) {
            self.slabs.pop_front();
            self.first += SLAB_TUPLES as u64;
        }
    }

    fn locate(&self, key: Key) -> (usize, usize) {
        let from_first = (key.0 - self.first) as usize;
        (from_first / SLAB_TUPLES, from_first % SLAB_TUPLES)
    }
}

// === impl Slab ===

impl Slab {
    fn is_full(&self) -> bool {
        let is_full = |batch: &TupleBatch| batch.len() >= SLAB_TUPLES;
        self.batch.as_ref().is_none_or(is_full)
    }

    fn view(&self, place: usize) -> Tuple<'_> {
        let batch = self.batch.as_ref();
        batch
            .and_then(|batch| batch.get(place))
            .expect("a key is of a tuple that was not released")
    }
}

/// Tuples of a slab: 16 kB of rows. One tuple that stays holds the others' memory.
const SLAB_TUPLES: usize = 256;
/// Enough for the slabs that one slide empties to be filled by the next, in windows of some ten
/// thousand tuples; larger ones pay an allocation each 256 tuples.
const SPARE_SLABS: usize = 64;

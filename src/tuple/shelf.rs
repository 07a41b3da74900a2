//! Where tuples lie that a component holds: slabs in the order they came, recycled when all of one
//! left.
//!
//! A `HeldTuple` has a slab of its own, an allocation or two and some 300 bytes; here a tuple costs
//! 64 bytes and 24 for each small value, and hardly an allocation once there are slabs enough. Few
//! that stay long do not hold the memory of those that left: they become `HeldTuple`s then.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use super::held;
use super::{HeldTuple, Tuple, TupleBatch, TupleError};

/// Tuples that are held.
#[derive(Default)]
pub struct Shelf {
    /// The first is for the keys from `first` on; each is full but the last. One that all its
    /// tuples have left is gone.
    slabs: VecDeque<Option<Box<Slab>>>,
    first: u64,
    /// By their keys: what was left in slabs that others left long ago.
    stragglers: HashMap<u64, HeldTuple, RandomState>,
    /// Emptied slabs.
    #[expect(clippy::vec_box, reason = "slabs move by pointer, here and in `slabs`")]
    spare: Vec<Box<Slab>>,
}

/// Names a held tuple: counts them, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub u64);

struct Slab {
    batch: TupleBatch,
    live: Live,
    /// Of the tuples that are sampled: the place in the batch, and when they came.
    stamps: Vec<(usize, i64)>,
}

/// Which places of a slab are taken.
#[derive(Default)]
struct Live([u64; SLAB_TUPLES / 64]);

/// How much of a tuple is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    All,
    /// What acking, failing and anchoring take.
    WithoutValues,
}

// === impl Shelf ===

impl Shelf {
    /// Takes a copy of a tuple, with all that was noted on it.
    pub fn put(&mut self, tuple: &Tuple<'_>, part: Part) -> Result<Key, TupleError> {
        if !self.last().is_some_and(Slab::has_room) {
            self.open(tuple, part);
        }
        let key = self.next();
        let slab = self.slabs.back_mut().and_then(Option::as_mut);
        slab.expect("one with room was just opened")
            .put(tuple, part)?;
        Ok(key)
    }

    /// The key of the tuple that is put here next.
    pub fn next(&self) -> Key {
        let n_slabs = self.slabs.len() as u64;
        let n_missing = self.last().map_or(0, |slab| SLAB_TUPLES - slab.batch.len());
        Key(self.first + n_slabs * SLAB_TUPLES as u64 - n_missing as u64)
    }

    /// Whether a key is of a tuple that was put here and not released since.
    pub fn has(&self, key: Key) -> bool {
        self.find(key).is_some() || self.stragglers.contains_key(&key.0)
    }

    /// A tuple that was put here and not released since.
    pub fn get(&self, key: Key) -> Tuple<'_> {
        match self.find(key) {
            Some((slab, place)) => slab.view(place),
            None => self.straggler(key),
        }
    }

    /// The same, for an ack or a fail: what is sampled knows when it came.
    pub fn get_stamped(&self, key: Key) -> Tuple<'_> {
        match self.find(key) {
            Some((slab, place)) => slab.view_stamped(place),
            None => self.straggler(key),
        }
    }

    /// Nobody will ask for this tuple again.
    pub fn release(&mut self, key: Key) {
        if self.find(key).is_none() {
            self.stragglers.remove(&key.0);
            return;
        }
        let (index, place) = self.locate(key);
        let is_last = index + 1 == self.slabs.len();
        let Some(slab) = &mut self.slabs[index] else {
            return;
        };
        slab.live.remove(place);
        // The last one takes further tuples, unless it is full.
        if slab.live.is_empty() && !(is_last && slab.has_room()) {
            self.close(index);
        } else if index + SLABS_BEHIND <= self.slabs.len() {
            self.leave_stragglers(index);
        }
    }

    /// Releases all whose keys are lower.
    pub fn release_below(&mut self, key: Key) {
        let below: Vec<Key> = self.keys().filter(|each| *each < key).collect();
        below.into_iter().for_each(|key| self.release(key));
    }

    /// Those of the tuples that are here.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        let firsts = (self.first..).step_by(SLAB_TUPLES);
        let slabs = firsts.zip(&self.slabs);
        let slabs = slabs.filter_map(|(first, slab)| Some((first, slab.as_ref()?)));
        let in_slabs =
            slabs.flat_map(|(first, slab)| slab.live.places().map(move |n| Key(first + n as u64)));
        self.stragglers.keys().copied().map(Key).chain(in_slabs)
    }

    /// For the end of a shelf: whoever throws away a component hears which trees these of its
    /// tuples were of, which nobody has answered. Stragglers tell by themselves, answered or not.
    pub fn note_lost(&self, unanswered: impl Iterator<Item = Key>) {
        if held::is_watched() {
            unanswered.for_each(|key| held::note(self.get(key).anchors()));
        }
    }

    #[cfg(test)]
    pub fn n_slabs(&self) -> usize {
        self.slabs.iter().flatten().count()
    }

    fn last(&self) -> Option<&Slab> {
        self.slabs.back()?.as_deref()
    }

    /// The slab that has a tuple, and where.
    fn find(&self, key: Key) -> Option<(&Slab, usize)> {
        if key.0 < self.first {
            return None;
        }
        let (index, place) = self.locate(key);
        let slab = self.slabs.get(index)?.as_ref()?;
        slab.live.has(place).then_some((slab, place))
    }

    fn straggler(&self, key: Key) -> Tuple<'_> {
        let tuple = self.stragglers.get(&key.0);
        tuple
            .expect("a key is of a tuple that was not released")
            .view()
    }

    fn open(&mut self, like: &Tuple<'_>, part: Part) {
        let slab = self.spare.pop();
        self.slabs
            .push_back(Some(slab.unwrap_or_else(|| Slab::new(like, part).into())));
        if let Some(index) = self.slabs.len().checked_sub(SLABS_BEHIND) {
            self.leave_stragglers(index);
        }
    }

    /// Gives up a slab that most have left.
    fn leave_stragglers(&mut self, index: usize) {
        let Some(slab) = &self.slabs[index] else {
            return;
        };
        if slab.live.len() > STRAGGLERS_MAX {
            return;
        }
        let first = self.first + (index * SLAB_TUPLES) as u64;
        let places = slab.live.places();
        let held = places.map(|n| (first + n as u64, slab.view_stamped(n).hold()));
        self.stragglers.extend(held);
        self.close(index);
    }

    fn close(&mut self, index: usize) {
        if let Some(mut slab) = self.slabs[index].take()
            && self.spare.len() < SPARE_SLABS
        {
            slab.clear();
            self.spare.push(slab);
        }
        while let Some(None) = self.slabs.front() {
            self.slabs.pop_front();
            self.first += SLAB_TUPLES as u64;
        }
    }

    /// The slab of a key that is not below `first`, and the place there.
    fn locate(&self, key: Key) -> (usize, usize) {
        let from_first = (key.0 - self.first) as usize;
        (from_first / SLAB_TUPLES, from_first % SLAB_TUPLES)
    }
}

// === impl Slab ===

impl Slab {
    fn new(like: &Tuple<'_>, part: Part) -> Self {
        let n_values = match part {
            Part::All => like.len(),
            Part::WithoutValues => 0,
        };
        Slab {
            batch: TupleBatch::with_capacity(like.streams().clone(), SLAB_TUPLES, n_values),
            live: Live::default(),
            stamps: Vec::new(),
        }
    }

    fn put(&mut self, tuple: &Tuple<'_>, part: Part) -> Result<(), TupleError> {
        let place = self.batch.len();
        match part {
            Part::All => self.batch.push_from(tuple, tuple.target_task())?,
            Part::WithoutValues => self.batch.push_without_values(tuple)?,
        }
        if let Some(copy) = self.batch.get(place) {
            copy.xor_out_ack(tuple.out_ack());
        }
        if tuple.stamp_us() != 0 {
            self.stamps.push((place, tuple.stamp_us()));
        }
        self.live.insert(place);
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.batch.len() < SLAB_TUPLES
    }

    fn view(&self, place: usize) -> Tuple<'_> {
        let tuple = self.batch.get(place);
        tuple.expect("places that are taken are filled")
    }

    fn view_stamped(&self, place: usize) -> Tuple<'_> {
        let stamp = self.stamps.binary_search_by_key(&place, |stamp| stamp.0);
        self.batch
            .stamp(stamp.map_or(0, |index| self.stamps[index].1));
        self.view(place)
    }

    fn clear(&mut self) {
        self.batch.clear();
        self.live = Live::default();
        self.stamps.clear();
    }
}

// === impl Live ===

impl Live {
    fn insert(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    fn remove(&mut self, place: usize) {
        self.0[place / 64] &= !(1 << (place % 64));
    }

    fn has(&self, place: usize) -> bool {
        self.0[place / 64] >> (place % 64) & 1 == 1
    }

    fn is_empty(&self) -> bool {
        self.0 == [0; SLAB_TUPLES / 64]
    }

    fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    fn places(&self) -> impl Iterator<Item = usize> + '_ {
        (0..SLAB_TUPLES).filter(|place| self.has(*place))
    }
}

/// Tuples of a slab: 16 kB of rows.
const SLAB_TUPLES: usize = 256;
/// Enough for the slabs that one slide of a window empties to be filled by the next, with some ten
/// thousand tuples in it; larger ones pay an allocation each 256 tuples.
const SPARE_SLABS: usize = 64;
/// How many slabs are opened until one is looked at for stragglers: a MB of rows.
const SLABS_BEHIND: usize = 64;
/// With more it is kept: a tuple then costs a kB at most.
const STRAGGLERS_MAX: u32 = SLAB_TUPLES as u32 / 16;

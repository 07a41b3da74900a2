//! Ids of tuple trees: which acker keeps a root's ledger, and roots drawn so that it is a near one.
//!
//! A root is 64 opaque bits to everyone but the spout that drew it. From low to high:
//!
//! | bits | content |
//! |---|---|
//! | 0..24 | slot of the spout's pending table (`acker::PendingTable`) |
//! | 24..32 | salt of the spout's executor: slots of several lie apart in an acker's ledger |
//! | 32..64 | random, drawn so that Storm's hash of the whole falls on the preferred acker |
//!
//! The tables compare all 64 bits, so the random ones tell a slot's tenants apart.

use super::java_hash;

/// Which of `n_ackers` acker tasks, in the order of their ids, keeps the ledger of `root`: fields
/// grouping on one Long. 0 where there is none.
#[inline]
pub fn acker_index(root: u64, n_ackers: usize) -> usize {
    let hash = 31i32.wrapping_add(java_hash::long(root as i64));
    super::floor_mod(hash, n_ackers)
}

/// A root for a slot whose ledger falls to the acker at index `preferred`, or to any without one.
///
/// `low` is the slot with the salt above it, `preferred` is below `n_ackers`.
#[inline]
pub fn draw_root(
    random: &mut fastrand::Rng,
    n_ackers: usize,
    preferred: Option<usize>,
    low: u32,
) -> u64 {
    debug_assert!(preferred.is_none_or(|index| index < n_ackers));
    if n_ackers <= 1 {
        return u64::from(random.u32(..)) << 32 | u64::from(low);
    }
    let (Some(preferred), Ok(n @ 1..)) = (preferred, i32::try_from(n_ackers)) else {
        return u64::from(random.u32(..)) << 32 | u64::from(low);
    };
    // The hash of a Long is its halves XORed: choose the hash, and the high half follows from it.
    // Drawn again at the ends of the range, where a whole run of `n` hashes does not fit.
    let hash = loop {
        let any = random.i32(..);
        let run = any.checked_sub(any.rem_euclid(n));
        if let Some(hash) = run.and_then(|run| run.checked_add(preferred as i32)) {
            break hash;
        }
    };
    let high = hash.wrapping_sub(31) as u32 ^ low;
    u64::from(high) << 32 | u64::from(low)
}

/// The pending slot that a root of ours names.
#[inline]
pub fn slot_of(root: u64) -> u32 {
    root as u32 & ((1 << SLOT_BITS) - 1)
}

/// Low bits of a root that name its slot: at most 16,777,216 pending roots of one executor.
pub const SLOT_BITS: u32 = 24;

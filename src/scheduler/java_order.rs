//! The order in which Storm meets slots and executors: that of Java's hash tables, by which it
//! breaks ties.
//!
//! Only the order: nothing is looked up by these hashes. Tables whose buckets Java would turn into
//! trees (eight entries in one) are not imitated.

use crate::id::ExecutorId;

/// Java's `String.hashCode`.
pub fn text_hash(text: &str) -> i32 {
    let step = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    text.encode_utf16().fold(0, step)
}

/// The hash of Storm's `WorkerSlot`, from the hash of its node's id.
pub fn slot_hash(node_hash: i32, port: u16) -> i32 {
    node_hash.wrapping_add(i32::from(port).wrapping_mul(13))
}

/// The hash of Storm's `ExecutorDetails`.
pub fn executor_hash(executor: ExecutorId) -> i32 {
    let (first, last) = (executor.first.0, executor.last.0);
    first.wrapping_add(last.wrapping_mul(13))
}

/// Buckets of a table that `n` entries were put into one by one.
pub fn grown(n: usize) -> usize {
    let mut n_buckets = FEWEST_BUCKETS;
    while n > n_buckets / 4 * 3 {
        n_buckets *= 2;
    }
    n_buckets
}

/// Buckets of an empty table of no capacity that a map of `n` entries was put into at once.
pub fn poured(n: usize) -> usize {
    (n * 4 / 3 + 1).next_power_of_two()
}

/// Buckets of a set that was made as a copy of a collection of `n` entries.
pub fn copied(n: usize) -> usize {
    poured(n).max(FEWEST_BUCKETS)
}

/// Puts entries into the order in which a table of `n_buckets` gives them; entries of one bucket
/// keep theirs.
pub fn arrange<T>(entries: &mut [T], n_buckets: usize, hash: impl Fn(&T) -> i32) {
    entries.sort_by_cached_key(|entry| bucket(hash(entry), n_buckets));
}

fn bucket(hash: i32, n_buckets: usize) -> u32 {
    let bits = hash as u32;
    (bits ^ bits >> 16) & (n_buckets as u32 - 1)
}

const FEWEST_BUCKETS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TaskId;

    #[test]
    fn hashes_and_buckets_are_those_of_java() {
        assert_eq!(text_hash("sup0"), 3_541_922);
        assert_eq!(slot_hash(text_hash("sup0"), 6700), 3_541_922 + 13 * 6700);
        assert_eq!(executor_hash(ExecutorId::new(TaskId(8), TaskId(9))), 125);
        assert_eq!([12, 13, 24, 25].map(grown), [16, 32, 32, 64]);
        assert_eq!([0, 1, 11, 12, 17].map(poured), [1, 2, 16, 32, 32]);
        assert_eq!([1, 11, 12].map(copied), [16, 16, 32]);
    }

    #[test]
    fn entries_of_a_bucket_keep_their_order() {
        let mut entries = vec![33, 2, 17, 1];
        arrange(&mut entries, 16, |entry| *entry);
        assert_eq!(entries, [33, 17, 1, 2]);
    }
}

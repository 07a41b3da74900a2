//! Latencies in logarithmic buckets: a few kilobytes for any range, each value to within 2 %.
//!
//! Counts; knows no clock.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often each latency was seen, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    n_values: u64,
}

/// A histogram that some threads fill while another takes what is in it, without a lock: whoever
/// is measured must not wait for who writes it down.
#[derive(Debug)]
pub struct SharedHistogram(Box<[AtomicU64]>);

// === impl SharedHistogram ===

impl SharedHistogram {
    pub fn record(&self, nanos: u64) {
        self.0[bucket(nanos)].fetch_add(1, Ordering::Relaxed);
    }

    /// Takes out what came since the last call: buckets with values, by their numbers.
    pub fn take(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let counts = self.0.iter().enumerate();
        let filled = counts.filter(|(_, count)| count.load(Ordering::Relaxed) > 0);
        filled.map(|(at, count)| (at, count.swap(0, Ordering::Relaxed)))
    }
}

impl Default for SharedHistogram {
    fn default() -> Self {
        SharedHistogram((0..N_BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }
}

// === impl Histogram ===

impl Histogram {
    pub fn new() -> Self {
        Histogram {
            counts: vec![0; N_BUCKETS],
            n_values: 0,
        }
    }

    pub fn record(&mut self, nanos: u64) {
        self.counts[bucket(nanos)] += 1;
        self.n_values += 1;
    }

    pub fn len(&self) -> u64 {
        self.n_values
    }

    /// Adds so many values of one bucket, as [`buckets`](Self::buckets) gives them.
    pub fn add(&mut self, bucket: usize, count: u64) {
        if let Some(there) = self.counts.get_mut(bucket) {
            *there += count;
            self.n_values += count;
        }
    }

    /// The buckets that have values, by their numbers, with how many.
    pub fn buckets(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let counts = self.counts.iter().copied().enumerate();
        counts.filter(|(_, count)| *count > 0)
    }

    pub fn is_empty(&self) -> bool {
        self.n_values == 0
    }

    /// The value below or at which the share `quantile` (0 to 1) of all values lie. `None` without
    /// values.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let rank = (quantile * self.n_values as f64).ceil().max(1.0) as u64;
        let mut n_seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            n_seen += count;
            if n_seen >= rank {
                return Some(middle(index));
            }
        }
        None
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram::new()
    }
}

/// Values below `SUB_BUCKETS` have a bucket each; above, each power of two has that many.
fn bucket(nanos: u64) -> usize {
    if nanos < SUB_BUCKETS {
        return nanos as usize;
    }
    let shift = nanos.ilog2() - SUB_BITS;
    let sub = (nanos >> shift) - SUB_BUCKETS;
    (u64::from(shift + 1) * SUB_BUCKETS + sub) as usize
}

fn middle(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUB_BUCKETS {
        return bucket;
    }
    let shift = bucket / SUB_BUCKETS - 1;
    let low = (SUB_BUCKETS + bucket % SUB_BUCKETS) << shift;
    low + (1 << shift) / 2
}

const SUB_BITS: u32 = 5;
const SUB_BUCKETS: u64 = 1 << SUB_BITS;
const N_BUCKETS: usize = ((64 - SUB_BITS as usize) + 1) << SUB_BITS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_bucket_close_to_it() {
        for exponent in 0..64 {
            for value in [1u64 << exponent, (1 << exponent) | 1 << (exponent / 2)] {
                let found = middle(bucket(value)) as f64;
                let error = (found - value as f64).abs() / value as f64;
                assert!(error <= 0.02, "{value}: {found}");
            }
        }
        assert_eq!(bucket(0), 0);
        assert!(bucket(u64::MAX) < N_BUCKETS);
    }

    #[test]
    fn quantiles_are_ranks() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), None);
        (1..=1000).for_each(|micros| histogram.record(micros * 1000));
        for (quantile, expected) in [(0.0, 1e3), (0.5, 500e3), (0.99, 990e3), (1.0, 1e6)] {
            let found = histogram.quantile(quantile).unwrap() as f64;
            assert!(
                (found - expected).abs() / expected <= 0.02,
                "{quantile}: {found}"
            );
        }
        assert_eq!(histogram.len(), 1000);
        let mut again = Histogram::new();
        for (bucket, count) in histogram.buckets() {
            again.add(bucket, count);
        }
        assert_eq!(
            (again.len(), again.quantile(0.99)),
            (1000, histogram.quantile(0.99))
        );
    }
}

//! What executors count and time, over Storm's windows of ten minutes, three hours, a day and all
//! time (data-plane 11.1 to 11.3); and their sums, in `aggregate`.
//!
//! Plain integers, owned by one executor: reads no clock and shares nothing between threads.

pub mod aggregate;
mod count;
mod executor;
mod latency;
mod sampler;

pub use count::Counts;
pub use executor::{ExecutorTable, Role};
pub use latency::Latencies;
pub use sampler::Sampler;

/// One figure for each of Storm's windows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Windows<T> {
    pub ten_minutes: T,
    pub three_hours: T,
    pub day: T,
    pub all_time: T,
}

/// Bucket lengths and ring size that all counters of an executor share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    n_buckets: usize,
}

// === impl Windows ===

impl<T> Windows<T> {
    /// With the names that Storm's clients know.
    pub fn named(self) -> [(&'static str, T); 4] {
        [
            ("600", self.ten_minutes),
            ("10800", self.three_hours),
            ("86400", self.day),
            (":all-time", self.all_time),
        ]
    }

    pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> Windows<U> {
        Windows {
            ten_minutes: change(self.ten_minutes),
            three_hours: change(self.three_hours),
            day: change(self.day),
            all_time: change(self.all_time),
        }
    }
}

// === impl Layout ===

impl Layout {
    /// `n_buckets` is `num.stat.buckets`; Storm takes at least 2.
    pub fn new(n_buckets: usize) -> Self {
        Layout {
            n_buckets: n_buckets.clamp(2, N_BUCKETS_MAX),
        }
    }

    /// How often counters are to be rotated, in milliseconds: a bucket of the shortest window.
    pub fn rotation_ms(self) -> i64 {
        self.bucket_ms(WINDOWS_MS[0])
    }

    fn bucket_ms(self, window_ms: i64) -> i64 {
        window_ms / (self.n_buckets as i64 - 1)
    }
}

/// The windows that have an edge, in milliseconds.
const WINDOWS_MS: [i64; 3] = [600_000, 10_800_000, 86_400_000];

/// Most buckets of a window, whatever the configuration says.
const N_BUCKETS_MAX: usize = 10_000;

#[cfg(test)]
mod tests;

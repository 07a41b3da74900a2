//! What one executor counts: sampled as Storm samples, kept in Storm's windows (data-plane 11).
//!
//! A thin face over `stats` that knows the executor's streams. Sends nothing.

use crate::tuple::Tuple;

/// The statistics of one executor.
#[derive(Default)]
pub struct Meter {
    n_emitted: u64,
    n_transferred: u64,
    n_acked: u64,
    n_failed: u64,
}

// === impl Meter ===

impl Meter {
    /// One emit to the component's stream of that index, for so many tasks.
    #[inline]
    pub fn emitted(&mut self, _stream: usize, n_targets: usize) {
        self.n_emitted += 1;
        self.n_transferred += n_targets as u64;
    }

    #[inline]
    pub fn acked(&mut self, _tuple: &Tuple<'_>, _now_us: i64) {
        self.n_acked += 1;
    }

    #[inline]
    pub fn failed(&mut self, _tuple: &Tuple<'_>) {
        self.n_failed += 1;
    }

    /// Whether the latency of the next tracked tuple is measured.
    #[inline]
    pub fn samples_latency(&mut self) -> bool {
        false
    }
}

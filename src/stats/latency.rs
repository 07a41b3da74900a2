//! Average durations over Storm's windows. Buckets that reach into a window count whole.

use super::{Layout, WINDOWS_MS, Windows};

/// Averages durations, in whatever unit they are recorded.
#[derive(Clone, Debug)]
pub struct Latencies {
    layout: Layout,
    live: Sum,
    live_since_ms: i64,
    rings: [Vec<(Sum, i64)>; 3],
    all_time: Sum,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    total: i64,
    count: i64,
}

// === impl Latencies ===

impl Latencies {
    pub fn new(layout: Layout, now_ms: i64) -> Self {
        let ring = || vec![(Sum::default(), 0); layout.n_buckets];
        Latencies {
            layout,
            live: Sum::default(),
            live_since_ms: now_ms,
            rings: [ring(), ring(), ring()],
            all_time: Sum::default(),
        }
    }

    #[inline]
    pub fn record(&mut self, duration: i64) {
        self.live.add(Sum {
            total: duration,
            count: 1,
        });
    }

    /// To be called each `Layout::rotation_ms`.
    pub fn rotate(&mut self, now_ms: i64) {
        let live_ms = now_ms - self.live_since_ms;
        for (ring, window_ms) in self.rings.iter_mut().zip(WINDOWS_MS) {
            let (newest, span_ms) = &mut ring[0];
            newest.add(self.live);
            *span_ms += live_ms;
            if *span_ms >= self.layout.bucket_ms(window_ms) {
                ring.rotate_right(1);
                ring[0] = (Sum::default(), 0);
            }
        }
        self.all_time.add(self.live);
        self.live = Sum::default();
        self.live_since_ms = now_ms;
    }

    /// Averages; 0 where nothing was recorded.
    pub fn read(&self, now_ms: i64) -> Windows<f64> {
        let live_ms = now_ms - self.live_since_ms;
        let [ten_minutes, three_hours, day] = [0, 1, 2].map(|index| {
            let mut sum = self.live;
            let mut span_ms = WINDOWS_MS[index] - live_ms;
            for (bucket, bucket_ms) in &self.rings[index] {
                if span_ms <= 0 {
                    break;
                }
                sum.add(*bucket);
                span_ms -= bucket_ms;
            }
            sum.average()
        });
        let mut all_time = self.all_time;
        all_time.add(self.live);
        Windows {
            ten_minutes,
            three_hours,
            day,
            all_time: all_time.average(),
        }
    }
}

// === impl Sum ===

impl Sum {
    #[inline]
    fn add(&mut self, other: Sum) {
        self.total = self.total.wrapping_add(other.total);
        self.count = self.count.wrapping_add(other.count);
    }

    fn average(self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            self.total as f64 / self.count as f64
        }
    }
}

//! A counter over Storm's windows. Reads give what Storm's own buckets would: the oldest bucket
//! counts in proportion to how much of it lies in the window.

use super::{Layout, WINDOWS_MS, Windows};

/// Counts events. To count one is an addition; `rotate` moves what was counted into buckets.
#[derive(Clone, Debug)]
pub struct Counts {
    layout: Layout,
    live: i64,
    live_since_ms: i64,
    rings: [Vec<Bucket>; 3],
    all_time: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    count: i64,
    span_ms: i64,
}

// === impl Counts ===

impl Counts {
    pub fn new(layout: Layout, now_ms: i64) -> Self {
        let ring = || vec![Bucket::default(); layout.n_buckets];
        Counts {
            layout,
            live: 0,
            live_since_ms: now_ms,
            rings: [ring(), ring(), ring()],
            all_time: 0,
        }
    }

    #[inline]
    pub fn add(&mut self, n: i64) {
        self.live += n;
    }

    /// To be called each `Layout::rotation_ms`.
    pub fn rotate(&mut self, now_ms: i64) {
        let live = Bucket {
            count: self.live,
            span_ms: now_ms - self.live_since_ms,
        };
        for (ring, window_ms) in self.rings.iter_mut().zip(WINDOWS_MS) {
            ring[0].count += live.count;
            ring[0].span_ms += live.span_ms;
            if ring[0].span_ms >= self.layout.bucket_ms(window_ms) {
                ring.rotate_right(1);
                ring[0] = Bucket::default();
            }
        }
        self.all_time += self.live;
        self.live = 0;
        self.live_since_ms = now_ms;
    }

    pub fn read(&self, now_ms: i64) -> Windows<i64> {
        let live_ms = now_ms - self.live_since_ms;
        let [ten_minutes, three_hours, day] = [0, 1, 2].map(|index| {
            self.live
                .wrapping_add(within(&self.rings[index], WINDOWS_MS[index] - live_ms))
        });
        Windows {
            ten_minutes,
            three_hours,
            day,
            all_time: self.all_time + self.live,
        }
    }
}

/// What the buckets of the last `span_ms` counted, from the newest on.
fn within(ring: &[Bucket], mut span_ms: i64) -> i64 {
    let mut total: i64 = 0;
    for bucket in ring {
        if span_ms < bucket.span_ms {
            // A negative share, when the live span alone exceeds the window, is subtracted: so does
            // Storm. A share of no time at all is no number, which truncates to 0.
            let share = span_ms as f64 / bucket.span_ms as f64;
            return total.wrapping_add((share * bucket.count as f64) as i64);
        }
        total = total.wrapping_add(bucket.count);
        span_ms -= bucket.span_ms;
    }
    total
}

//! Jittered exponential delays with a ceiling.
//!
//! Counts attempts and says how long to wait; it never sleeps and knows nothing of what is retried.

use std::time::Duration;

/// Delays that double from `base` to `ceiling`, each with up to half of it again as jitter.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    ceiling: Duration,
    attempts: u32,
}

// === impl Backoff ===

impl Backoff {
    pub fn new(base: Duration, ceiling: Duration) -> Self {
        Backoff {
            base,
            ceiling,
            attempts: 0,
        }
    }

    /// The delay before the next attempt. `jitter` is a random number from 0 to 1.
    pub fn next_delay(&mut self, jitter: f64) -> Duration {
        let doubled = self.base.saturating_mul(1u32 << self.attempts.min(16));
        self.attempts = self.attempts.saturating_add(1);
        let delay = doubled.min(self.ceiling);
        (delay + delay.mul_f64(jitter.clamp(0.0, 1.0) / 2.0)).min(self.ceiling)
    }

    /// How many delays were drawn since the last success.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// After a success the next delay is the base again.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_ceiling_and_starts_over_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let delays: Vec<_> = (0..6)
            .map(|_| backoff.next_delay(0.0).as_millis())
            .collect();
        assert_eq!(delays, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.attempts(), 6);
        backoff.reset();
        assert_eq!(backoff.next_delay(1.0).as_millis(), 150);
    }
}

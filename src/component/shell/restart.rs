//! When a child that died is started again, and when no more.
//!
//! Pure: time is an argument. Who starts children is `keeper`.

use std::collections::VecDeque;
use std::time::Duration;

use crate::backoff::Backoff;

/// Deaths of one task's children.
#[derive(Debug, Clone)]
pub struct Restarts {
    n_max: usize,
    window_ms: u64,
    deaths_ms: VecDeque<u64>,
    backoff: Backoff,
}

/// What follows a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterDeath {
    /// Another child at this time.
    RestartAt { at_ms: u64 },
    /// Too many deaths in the window.
    GiveUp,
}

// === impl Restarts ===

impl Restarts {
    pub fn new(n_max: usize, window: Duration) -> Self {
        Restarts {
            n_max,
            window_ms: u64::try_from(window.as_millis()).unwrap_or(u64::MAX),
            deaths_ms: VecDeque::new(),
            backoff: Backoff::new(PAUSE_BASE, PAUSE_MAX),
        }
    }

    /// A child died. `jitter` is a random number from 0 to 1.
    pub fn handle_death(&mut self, now_ms: u64, jitter: f64) -> AfterDeath {
        let window_ms = self.window_ms;
        self.deaths_ms
            .retain(|at_ms| now_ms.saturating_sub(*at_ms) < window_ms);
        if self.deaths_ms.is_empty() {
            self.backoff.reset();
        }
        self.deaths_ms.push_back(now_ms);
        if self.deaths_ms.len() > self.n_max {
            return AfterDeath::GiveUp;
        }
        let pause = self.backoff.next_delay(jitter);
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        AfterDeath::RestartAt {
            at_ms: now_ms.saturating_add(pause_ms),
        }
    }

    /// Deaths within the window, up to the last one.
    pub fn n_deaths(&self) -> usize {
        self.deaths_ms.len()
    }
}

/// Short, since the in-flight tuples of a single death come again at once.
const PAUSE_BASE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_too_many_deaths_end_it() {
        let mut restarts = Restarts::new(3, Duration::from_secs(60));
        let mut at = |now_ms| restarts.handle_death(now_ms, 0.0);
        assert_eq!(at(1000), AfterDeath::RestartAt { at_ms: 1100 });
        assert_eq!(at(2000), AfterDeath::RestartAt { at_ms: 2200 });
        assert_eq!(at(3000), AfterDeath::RestartAt { at_ms: 3400 });
        assert_eq!(at(4000), AfterDeath::GiveUp);
    }

    #[test]
    fn deaths_far_apart_are_each_the_first() {
        let mut restarts = Restarts::new(1, Duration::from_secs(60));
        for round in 1..10 {
            let now_ms = round * 100_000;
            let expected = AfterDeath::RestartAt {
                at_ms: now_ms + 100,
            };
            assert_eq!(restarts.handle_death(now_ms, 0.0), expected);
        }
    }

    #[test]
    fn without_restarts_the_first_death_is_the_last() {
        let mut restarts = Restarts::new(0, Duration::from_secs(60));
        assert_eq!(restarts.handle_death(5, 0.0), AfterDeath::GiveUp);
    }
}

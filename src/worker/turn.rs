//! The clock of an executor's turns: how long one has taken, and what time it was when it began.
//!
//! Most turns are of few tuples: a look at a clock costs as much as one of them. So each turn looks
//! once and knows wall time by how far that was ahead of the monotonic clock a moment ago.

use crate::clock;
use crate::worker::rest::Time;

/// The turns of one executor.
pub struct TurnClock {
    time: Time,
    started_us: u64,
    /// Wall time minus monotonic time, as of `compared_us`.
    ahead_us: i64,
    compared_us: u64,
}

// === impl TurnClock ===

impl TurnClock {
    pub fn new(time: Time) -> Self {
        let now_us = time.now_us();
        TurnClock {
            time,
            started_us: now_us,
            ahead_us: clock::wall_micros().wrapping_sub_unsigned(now_us),
            compared_us: now_us,
        }
    }

    /// A turn begins. Gives wall time, in microseconds since the epoch.
    #[inline]
    pub fn start(&mut self) -> i64 {
        let now_us = self.time.now_us();
        self.started_us = now_us;
        if now_us.wrapping_sub(self.compared_us) >= COMPARE_EVERY_US {
            self.ahead_us = clock::wall_micros().wrapping_sub_unsigned(now_us);
            self.compared_us = now_us;
        }
        self.ahead_us.wrapping_add_unsigned(now_us)
    }

    /// Whether the turn has taken so long that what came of it should go on its way, and others be
    /// served.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.time.now_us().saturating_sub(self.started_us) >= TURN_MAX_US
    }
}

/// Longest turn.
const TURN_MAX_US: u64 = 200;
/// Within this a clock that somebody sets is wrong in our stamps.
const COMPARE_EVERY_US: u64 = 1000;

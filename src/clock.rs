//! The two clocks: wall time for what people and other machines read, monotonic time for what we
//! wait on.
//!
//! Wall time appears only at the edges (records, replies, tuple timestamps); every timeout, delay
//! and age inside is monotonic, so that a clock that jumps moves nothing.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch.
pub fn wall_micros() -> i64 {
    i64::try_from(since_epoch().as_micros()).unwrap_or(i64::MAX)
}

/// Milliseconds since the Unix epoch.
pub fn wall_millis() -> i64 {
    i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX)
}

/// Seconds since the Unix epoch, in 64 bits.
pub fn wall_secs() -> i64 {
    i64::try_from(since_epoch().as_secs()).unwrap_or(i64::MAX)
}

/// Seconds for Storm's i32 fields: stays at the largest value from 2038 on instead of wrapping.
pub fn wall_secs_i32() -> i32 {
    i32::try_from(wall_secs()).unwrap_or(i32::MAX)
}

/// Monotonic microseconds since this process first asked.
pub fn monotonic_micros() -> u64 {
    u64::try_from(start().elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// Monotonic milliseconds since this process first asked.
pub fn monotonic_millis() -> u64 {
    monotonic_micros() / 1000
}

fn since_epoch() -> Duration {
    // A clock before 1970 reads as 1970: nothing here may fail because of it.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

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

/// Nanoseconds of the machine's monotonic clock: the same for all its processes, also for those of
/// a JVM (`System.nanoTime`).
pub fn machine_nanos() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    // The clock exists on every Linux.
    let now = now.map_or(Duration::ZERO, Duration::from);
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// Milliseconds since the machine started, those it slept included: a monotonic clock stands still
/// then.
pub fn boot_millis() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
    // The clock exists on every Linux.
    let now = now.map_or(Duration::ZERO, Duration::from);
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Sleeps by the clock of `boot_millis`: a sleep that was over while the machine slept ends when it
/// wakes.
pub fn boot_sleep(span: Duration) {
    use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};
    let clock = ClockId::CLOCK_BOOTTIME;
    let slept = clock_nanosleep(clock, ClockNanosleepFlags::empty(), &span.into());
    // A signal may end it early, which does no harm; a system without this sleep has the other.
    if slept.is_err_and(|error| error != nix::errno::Errno::EINTR) {
        std::thread::sleep(span);
    }
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

/// A moment of the Gregorian calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    pub year: i64,
    /// From 1.
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    /// From 0, which is Sunday.
    pub weekday: u8,
}

// === impl Civil ===

impl Civil {
    /// Of seconds since the Unix epoch.
    pub fn of_secs(secs: i64) -> Self {
        let (days, of_day) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
        // Years begin in March here, so that the leap day is the last; 400 of them repeat.
        let shifted = days.saturating_add(719_468);
        let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month_index = (5 * of_year + 2) / 153;
        let month = if month_index < 10 {
            month_index + 3
        } else {
            month_index - 9
        };
        // Each is within its small range by the arithmetic above.
        let small = |number: i64| u8::try_from(number).unwrap_or(0);
        Civil {
            year: year + era * 400 + i64::from(month <= 2),
            month: small(month),
            day: small(of_year - (153 * month_index + 2) / 5 + 1),
            hour: small(of_day / 3600),
            minute: small(of_day / 60 % 60),
            second: small(of_day % 60),
            weekday: small((days + 4).rem_euclid(7)),
        }
    }

    /// As Java's `Date.toString` writes it: `Thu Jan 01 00:00:00 UTC 1970`.
    pub fn to_java(self) -> String {
        const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let Civil {
            year,
            day,
            hour,
            minute,
            second,
            ..
        } = self;
        let weekday = DAYS[usize::from(self.weekday) % 7];
        let month = MONTHS[usize::from(self.month.saturating_sub(1)) % 12];
        format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year}")
    }

    /// As part of a file's name: `2026-01-31-235959`.
    pub fn to_file_name(self) -> String {
        let Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
            ..
        } = self;
        format!("{year:04}-{month:02}-{day:02}-{hour:02}{minute:02}{second:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_is_java_s() {
        for (secs, expected) in [
            (0, "Thu Jan 01 00:00:00 UTC 1970"),
            (951_782_400, "Tue Feb 29 00:00:00 UTC 2000"),
            (1_795_339_931, "Sun Nov 22 09:32:11 UTC 2026"),
            (4_107_542_399, "Sun Feb 28 23:59:59 UTC 2100"),
            (4_107_542_400, "Mon Mar 01 00:00:00 UTC 2100"),
            (-1, "Wed Dec 31 23:59:59 UTC 1969"),
        ] {
            assert_eq!(Civil::of_secs(secs).to_java(), expected);
        }
        assert_eq!(
            Civil::of_secs(1_795_339_931).to_file_name(),
            "2026-11-22-093211"
        );
    }
}

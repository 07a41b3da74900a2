//! How long a child's output may lie before it is read: a child that writes each ack by itself
//! would have us woken for each.
//!
//! A child with input left to work on does not wait for us. It is left alone while the half of
//! what lies in its pipe lasts, going by how fast it was; one whose pipe is empty is heard at once.
//! Pure: time is an argument.

use std::time::Duration;

/// What reading the output of one child goes by.
#[derive(Debug, Default)]
pub struct Pace {
    /// What the child had taken at the last look, and when that was.
    last: Option<(u64, u64)>,
    /// The fastest that the child was of late; none before it was seen at work.
    us_for_byte: Option<f64>,
    has_rested: bool,
}

/// A child's pipes at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Pipeline {
    /// Bytes written to it since it was born.
    pub n_written: u64,
    /// Of those, what it has not taken.
    pub n_unread: usize,
    /// Bytes that it said, with the last read.
    pub n_said: usize,
}

// === impl Pace ===

impl Pace {
    /// After a read: how long to leave the child alone.
    pub fn rest(&mut self, pipeline: Pipeline, now_us: u64) -> Option<Duration> {
        let Pipeline {
            n_written,
            n_unread,
            n_said,
        } = pipeline;
        let n_taken = n_written.saturating_sub(n_unread as u64);
        let (n_taken_before, since_us) = *self.last.get_or_insert((n_taken, now_us));
        let n_bytes = n_taken.saturating_sub(n_taken_before);
        if n_bytes >= SAMPLE_BYTES {
            let elapsed_us = now_us.saturating_sub(since_us) as f64;
            self.learn(elapsed_us / n_bytes as f64);
            self.last = Some((n_taken, now_us));
        }
        let has_rested = std::mem::take(&mut self.has_rested);
        let us_for_byte = self.us_for_byte.as_mut()?;
        if n_unread == 0 {
            if has_rested {
                // Perhaps it waited for us: it is faster than we knew.
                *us_for_byte /= 2.0;
            }
            return None;
        }
        let rest_us = (n_unread as f64 * *us_for_byte / 2.0).min(REST_MAX_US);
        // A pipe that fills up holds the child.
        self.has_rested = rest_us >= REST_MIN_US && n_said < SAID_MAX;
        self.has_rested
            .then(|| Duration::from_micros(rest_us as u64))
    }

    fn learn(&mut self, us_for_byte: f64) {
        let fastest = self
            .us_for_byte
            .map_or(us_for_byte, |known| us_for_byte.min(known * FORGETTING));
        self.us_for_byte = Some(fastest);
    }
}

/// What a rate is taken of: some tens of tuples.
const SAMPLE_BYTES: u64 = 4096;
/// How much slower than before a child may be, a sample: its work changes.
const FORGETTING: f64 = 1.05;
/// Less is not worth a timer.
const REST_MIN_US: f64 = 100.0;
/// What a tuple may be late.
const REST_MAX_US: f64 = 2000.0;
/// A third of a pipe.
const SAID_MAX: usize = 24 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const TUPLE_BYTES: u64 = 100;
    const ACK_BYTES: usize = 45;

    /// A child that takes a tuple each so many microseconds, whose pipe is filled up to `n_ahead`
    /// tuples at each read: tuples that it took in `span_us`, and how often it was read.
    fn run(pace: &mut Pace, us_for_tuple: u64, n_ahead: u64, span_us: u64) -> (u64, u64) {
        let (mut now_us, mut n_taken, mut n_written, mut n_reads) = (0, 0, n_ahead, 0);
        while now_us < span_us {
            let pipeline = Pipeline {
                n_written: n_written * TUPLE_BYTES,
                n_unread: ((n_written - n_taken) * TUPLE_BYTES) as usize,
                n_said: ACK_BYTES,
            };
            // Heard after the rest, or at its next word.
            let rest = pace.rest(pipeline, now_us);
            let wait_us = rest.map_or(us_for_tuple, |rest| rest.as_micros() as u64);
            n_reads += 1;
            now_us += wait_us;
            n_taken = (n_taken + wait_us / us_for_tuple).min(n_written);
            n_written = n_taken + n_ahead;
        }
        (n_taken, n_reads)
    }

    #[test]
    fn a_child_with_work_is_read_in_bulk_and_loses_nothing() {
        let (n_taken, n_reads) = run(&mut Pace::default(), 8, 600, 1_000_000);
        assert!(n_reads < n_taken / 50, "{n_reads} reads of {n_taken}");
        assert!(n_taken > 124_000, "{n_taken}");
    }

    #[test]
    fn a_child_with_little_ahead_is_not_starved() {
        for n_ahead in [1, 2, 10, 50, 100] {
            let (n_taken, _) = run(&mut Pace::default(), 8, n_ahead, 1_000_000);
            assert!(n_taken > 120_000, "{n_ahead} ahead: {n_taken}");
        }
    }

    #[test]
    fn a_child_that_waits_is_heard_at_once() {
        let mut pace = Pace::default();
        let mut n_rests = 0;
        for turn in 1..1000u64 {
            let pipeline = Pipeline {
                n_written: turn * TUPLE_BYTES,
                n_unread: 0,
                n_said: ACK_BYTES,
            };
            n_rests += u64::from(pace.rest(pipeline, turn * 30).is_some());
        }
        assert_eq!(n_rests, 0);
    }

    #[test]
    fn a_child_that_became_faster_is_not_kept_waiting_for_long() {
        let mut pace = Pace::default();
        run(&mut pace, 1000, 600, 1_000_000);
        pace.last = None;
        let (n_taken, _) = run(&mut pace, 1, 600, 100_000);
        assert!(n_taken > 90_000, "{n_taken}");
    }
}

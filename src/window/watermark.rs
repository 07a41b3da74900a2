//! How far event time has come: the slowest input stream's newest event, less the lag.
//!
//! Storm's `WaterMarkEventGenerator`. An input stream that is silent holds the watermark for ever,
//! as it does there.

/// The watermarks of one task. `S` names an input stream.
#[derive(Clone, Debug)]
pub struct Watermarks<S> {
    lag_ms: i64,
    n_streams: usize,
    /// The newest event of each stream that had any: few, so found by looking at each.
    newest: Vec<(S, i64)>,
    last_ms: i64,
}

// === impl Watermarks ===

impl<S: Copy + PartialEq> Watermarks<S> {
    /// Of a task with `n_streams` input streams.
    pub fn new(n_streams: usize, lag_ms: i64) -> Self {
        Watermarks {
            lag_ms,
            n_streams,
            newest: Vec::with_capacity(n_streams),
            last_ms: 0,
        }
    }

    /// An event came. False if it is late: the watermark has passed its time, which is 0 at first.
    #[inline]
    pub fn track(&mut self, stream: S, event_ms: i64) -> bool {
        match self.newest.iter_mut().find(|(known, _)| *known == stream) {
            Some((_, newest_ms)) => *newest_ms = event_ms.max(*newest_ms),
            None => self.newest.push((stream, event_ms)),
        }
        event_ms >= self.last_ms
    }

    /// The next watermark, if time has moved on. To be asked each watermark interval; the caller
    /// evaluates what it completes before the next event comes.
    pub fn advance(&mut self) -> Option<i64> {
        if self.newest.len() < self.n_streams {
            return None;
        }
        let slowest_ms = self.newest.iter().map(|(_, newest_ms)| *newest_ms).min()?;
        let watermark_ms = slowest_ms.saturating_sub(self.lag_ms);
        if watermark_ms <= self.last_ms {
            return None;
        }
        self.last_ms = watermark_ms;
        Some(watermark_ms)
    }

    /// The last watermark; 0 before the first.
    pub fn last_ms(&self) -> i64 {
        self.last_ms
    }
}

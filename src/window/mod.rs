//! Windows over a stream of events, as Storm's windowed bolts see them: which events are in a
//! window, when it is evaluated, when an event leaves for good (data-plane 7).
//!
//! Pure: events are whatever is small enough to copy, time is an argument, and what happens is told
//! to a `Listener`. Knows nothing of tuples, acks or timers (`component::window`).

mod config;
mod events;
mod eviction;
mod trigger;
mod watermark;

pub use config::{LATE_TUPLE, WindowConfig, WindowError};
pub use events::{Activation, Firing, Listener, WindowManager};
pub use watermark::Watermarks;

use std::time::Duration;

/// How far a window reaches, or how far it slides: over events or over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// So many events.
    Count(i64),
    /// So many milliseconds.
    Millis(i64),
}

/// So many tuples, where a span of time could stand too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub u32);

/// What time an event has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeSource {
    /// When it came.
    Processing,
    /// What it says itself. Events may be out of order by so much.
    Event { lag_ms: i64 },
}

/// A window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    pub length: Span,
    /// What lies between one window and the next; as long as the window itself in tumbling ones.
    pub sliding: Span,
    pub time: TimeSource,
}

// === impl Span ===

impl From<Count> for Span {
    fn from(count: Count) -> Self {
        Span::Count(i64::from(count.0))
    }
}

impl From<Duration> for Span {
    fn from(time: Duration) -> Self {
        Span::Millis(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests;

//! When a window is evaluated.
//!
//! Storm's `CountTriggerPolicy`, `TimeTriggerPolicy` and their siblings that follow watermarks.
//! What needs a look at the events is asked of `events`, which holds them.

use super::{Definition, Span, TimeSource};

#[derive(Clone, Debug)]
pub(super) enum Trigger {
    /// After so many events.
    Count { every: i64, current: i64 },
    /// When the timer says so.
    Timer { every_ms: i64 },
    /// After so many events that a watermark has passed.
    WatermarkCount { every: i64, last_ms: i64 },
    /// At each multiple of a time that a watermark has passed, where there are events.
    WatermarkTime { every_ms: i64, next_end_ms: i64 },
}

// === impl Trigger ===

impl Trigger {
    pub fn new(definition: &Definition) -> Self {
        match (definition.sliding, definition.time) {
            (Span::Count(every), TimeSource::Processing) => Trigger::Count { every, current: 0 },
            (Span::Millis(every_ms), TimeSource::Processing) => Trigger::Timer { every_ms },
            (Span::Count(every), TimeSource::Event { .. }) => {
                Trigger::WatermarkCount { every, last_ms: 0 }
            }
            (Span::Millis(every_ms), TimeSource::Event { .. }) => Trigger::WatermarkTime {
                every_ms,
                next_end_ms: 0,
            },
        }
    }

    /// An event came; whether the window is evaluated now.
    #[inline]
    pub fn track(&mut self) -> bool {
        let Trigger::Count { every, current } = self else {
            return false;
        };
        *current += 1;
        *current >= *every
    }

    /// The window was evaluated.
    pub fn reset(&mut self) {
        if let Trigger::Count { current, .. } = self {
            *current = 0;
        }
    }
}

/// The first multiple of `every_ms` at or after a time that is not negative; none where time ends.
pub(super) fn aligned(ms: i64, every_ms: i64) -> Option<i64> {
    match ms % every_ms {
        0 => Some(ms),
        over => ms.checked_add(every_ms - over),
    }
}

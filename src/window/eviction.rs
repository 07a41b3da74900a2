//! What becomes of an event when the window is looked through.
//!
//! Four rules, Storm's `CountEvictionPolicy`, `TimeEvictionPolicy` and their two siblings for event
//! time. They count along as they are asked, so each event is asked about once a look and in order.

use super::{Definition, Span, TimeSource};

/// The rule of one window, and what the last trigger told it.
#[derive(Clone, Debug)]
pub(super) struct Eviction {
    rule: Rule,
    context: Option<Context>,
}

/// What to do with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It leaves for good.
    Expire,
    /// It is in the window.
    Process,
    /// It is not in this window and may be in a later one.
    Keep,
    /// Nor is any event behind it.
    Stop,
}

/// What a trigger says of the window that it asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Context {
    /// The window's end.
    pub reference_ms: i64,
    /// Events up to that time, or what the trigger slides by: it knows one of the two.
    pub events: Option<Events>,
    /// Nominal time between two triggers, for a timer that may come late.
    pub sliding_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Events {
    UpToReference(i64),
    Sliding(i64),
}

#[derive(Clone, Debug)]
enum Rule {
    Count {
        threshold: i64,
        /// Events that came and were not expired.
        current: i64,
    },
    Duration {
        length_ms: i64,
        /// By how much the last timer was late, or early: the window grows and shrinks with it.
        delta_ms: i64,
    },
    WatermarkCount {
        threshold: i64,
        /// Events that this look may see; those above the threshold expire.
        current: i64,
        processed: i64,
    },
    WatermarkDuration {
        length_ms: i64,
        lag_ms: i64,
    },
}

// === impl Eviction ===

impl Eviction {
    pub fn new(definition: &Definition) -> Self {
        let rule = match (definition.length, definition.time) {
            (Span::Count(threshold), TimeSource::Processing) => Rule::Count {
                threshold,
                current: 0,
            },
            (Span::Millis(length_ms), TimeSource::Processing) => Rule::Duration {
                length_ms,
                delta_ms: 0,
            },
            (Span::Count(threshold), TimeSource::Event { .. }) => Rule::WatermarkCount {
                threshold,
                current: 0,
                processed: 0,
            },
            (Span::Millis(length_ms), TimeSource::Event { lag_ms }) => {
                Rule::WatermarkDuration { length_ms, lag_ms }
            }
        };
        Eviction {
            rule,
            context: None,
        }
    }

    /// An event came.
    #[inline]
    pub fn track(&mut self) {
        if let Rule::Count { current, .. } = &mut self.rule {
            *current += 1;
        }
    }

    /// Whether the rule needs `Events` of a trigger: to count them costs a look at each.
    pub fn wants_events(&self) -> bool {
        matches!(self.rule, Rule::WatermarkCount { .. })
    }

    /// A trigger is about to look through the window.
    pub fn set_context(&mut self, context: Context) {
        let previous = self.context.replace(context);
        match &mut self.rule {
            Rule::Duration { delta_ms, .. } => {
                if let Some(sliding_ms) = context.sliding_ms {
                    *delta_ms = match previous {
                        // All there is belongs to the first window.
                        None => FIRST_DELTA_MS,
                        Some(previous) => context.reference_ms - previous.reference_ms - sliding_ms,
                    };
                }
            }
            Rule::WatermarkCount {
                current, processed, ..
            } => {
                *current = match context.events {
                    Some(Events::UpToReference(count)) => count,
                    Some(Events::Sliding(count)) => *processed + count,
                    None => *current,
                };
                *processed = 0;
            }
            Rule::Count { .. } | Rule::WatermarkDuration { .. } => {}
        }
    }

    /// About an event of that time. `now_ms` counts only where no trigger has set a reference yet.
    #[inline]
    pub fn evict(&mut self, event_ms: i64, now_ms: i64) -> Action {
        let reference_ms = self.context.map(|context| context.reference_ms);
        match (&mut self.rule, reference_ms) {
            (Rule::Count { threshold, current }, _) => over(threshold, current),
            (
                Rule::Duration {
                    length_ms,
                    delta_ms,
                },
                reference_ms,
            ) => {
                let age_ms = reference_ms.unwrap_or(now_ms) - event_ms;
                match age_ms {
                    age_ms if age_ms >= *length_ms + *delta_ms => Action::Expire,
                    age_ms if age_ms < 0 => Action::Keep,
                    _ => Action::Process,
                }
            }
            // Before the first watermark nothing is known of any event.
            (_, None) => Action::Stop,
            (
                Rule::WatermarkCount {
                    threshold,
                    current,
                    processed,
                },
                Some(reference_ms),
            ) => {
                if event_ms > reference_ms || *processed >= *current {
                    return Action::Keep;
                }
                let action = over(threshold, current);
                if action == Action::Process {
                    *processed += 1;
                }
                action
            }
            (Rule::WatermarkDuration { length_ms, lag_ms }, Some(reference_ms)) => {
                match reference_ms - event_ms {
                    // Out of order by more than the lag: what follows is later still.
                    age_ms if age_ms < -*lag_ms => Action::Stop,
                    age_ms if age_ms < 0 => Action::Keep,
                    age_ms if age_ms >= *length_ms => Action::Expire,
                    _ => Action::Process,
                }
            }
        }
    }
}

/// The oldest events expire while there are too many.
#[inline]
fn over(threshold: &i64, current: &mut i64) -> Action {
    if *current > *threshold {
        *current -= 1;
        return Action::Expire;
    }
    Action::Process
}

/// Storm's `Integer.MAX_VALUE`: 24 days, in which no timer has not come yet.
const FIRST_DELTA_MS: i64 = i32::MAX as i64;

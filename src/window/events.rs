//! The events of a window in the order they came, and what triggers do with them.
//!
//! Storm's `WindowManager`, with two differences that no event can tell: one thread calls it, and
//! a watermark that completes many windows is worked off in steps, so that its caller may do
//! something else between two windows.

use std::collections::VecDeque;
use std::vec;

use super::eviction::{Action, Context, Events, Eviction};
use super::trigger::{Trigger, aligned};
use super::{Definition, Span};

/// A window over events of type `T`.
#[derive(Clone, Debug)]
pub struct WindowManager<T> {
    queue: VecDeque<Event<T>>,
    eviction: Eviction,
    trigger: Trigger,
    /// What is left to do of the last watermark.
    firing: Option<Ends>,
    /// Looks that a trigger asked for. Starts at 1: a mark of 0 is of no look.
    n_triggers: u64,
    n_since_scan: usize,
    /// Expired since the last trigger.
    expired: Vec<T>,
    /// Of the look under way; kept for their memory.
    scan: Scan<T>,
}

/// A window that is evaluated. Events in the order they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activation<'a, T> {
    /// All events of the window, at least one.
    pub events: &'a [T],
    /// Those that were not in the window before this one.
    pub new: &'a [T],
    /// Those that left since the trigger before this one.
    pub expired: &'a [T],
    /// The window's end.
    pub end_ms: i64,
}

/// Who is told what happens.
pub trait Listener<T> {
    /// These left for good: no later window has them. The next activation shows them as expired.
    fn expired(&mut self, events: &[T]);

    /// A window is to be evaluated.
    fn activated(&mut self, window: Activation<'_, T>);

    /// Nothing will ever refer to these again.
    fn forgotten(&mut self, events: &[T]);
}

/// Whether a watermark has completed more windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firing {
    More,
    Done,
}

#[derive(Clone, Copy, Debug)]
struct Event<T> {
    what: T,
    at_ms: i64,
    /// The last trigger whose window it was in.
    mark: u64,
}

/// The ends of the windows that a watermark completes.
#[derive(Clone, Debug)]
enum Ends {
    /// Known from the start.
    Counted(vec::IntoIter<i64>),
    /// Found one after another, up to this time.
    UpTo(i64),
}

#[derive(Clone, Debug)]
struct Scan<T> {
    window: Vec<T>,
    new: Vec<T>,
    leaving: Vec<T>,
}

/// How far a look goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Through all events, which may be out of order.
    Whole,
    /// As far as events expire.
    Head,
}

// === impl WindowManager ===

impl<T: Copy> WindowManager<T> {
    /// Spans are positive, the lag is not negative.
    pub fn new(definition: &Definition) -> Self {
        WindowManager {
            queue: VecDeque::new(),
            eviction: Eviction::new(definition),
            trigger: Trigger::new(definition),
            firing: None,
            n_triggers: 1,
            n_since_scan: 0,
            expired: Vec::new(),
            scan: Scan {
                window: Vec::new(),
                new: Vec::new(),
                leaving: Vec::new(),
            },
        }
    }

    /// An event came. `event_ms` is its time (`now_ms` too where time is that of processing).
    ///
    /// Not while a watermark has still something to do: its windows are complete without it.
    pub fn add(&mut self, what: T, event_ms: i64, now_ms: i64, listener: &mut impl Listener<T>) {
        debug_assert!(!self.is_firing());
        self.queue.push_back(Event {
            what,
            at_ms: event_ms,
            mark: 0,
        });
        self.eviction.track();
        if self.trigger.track() {
            let context = Context {
                reference_ms: now_ms,
                ..Context::default()
            };
            self.evaluate(context, now_ms, listener);
        }
        self.compact(now_ms, listener);
    }

    /// The timer of a window that slides by processing time. False if no event was in the window.
    pub fn timer(&mut self, reference_ms: i64, listener: &mut impl Listener<T>) -> bool {
        let Trigger::Timer { every_ms } = self.trigger else {
            return false;
        };
        let context = Context {
            reference_ms,
            sliding_ms: Some(every_ms),
            ..Context::default()
        };
        self.evaluate(context, reference_ms, listener)
    }

    /// No event before this time will be added any more. `fire` evaluates what that completes.
    pub fn watermark(&mut self, watermark_ms: i64) {
        self.firing = match self.trigger {
            Trigger::WatermarkCount { every, last_ms } => {
                let ends = self.counted_ends(last_ms, watermark_ms, every);
                Some(Ends::Counted(ends.into_iter()))
            }
            Trigger::WatermarkTime { .. } => Some(Ends::UpTo(watermark_ms)),
            Trigger::Count { .. } | Trigger::Timer { .. } => None,
        };
    }

    /// Whether a watermark has still something to do.
    #[inline]
    pub fn is_firing(&self) -> bool {
        self.firing.is_some()
    }

    /// Evaluates at most one window that the last watermark has completed.
    #[inline]
    pub fn fire(&mut self, now_ms: i64, listener: &mut impl Listener<T>) -> Firing {
        match self.firing {
            None => Firing::Done,
            Some(_) => self.fire_next(now_ms, listener),
        }
    }

    /// Events that have not expired, in the order they came.
    pub fn events(&self) -> impl Iterator<Item = T> + '_ {
        self.queue.iter().map(|event| event.what)
    }

    /// How many these are.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn fire_next(&mut self, now_ms: i64, listener: &mut impl Listener<T>) -> Firing {
        let is_done = match &mut self.firing {
            None => return Firing::Done,
            Some(Ends::Counted(ends)) => match ends.next() {
                Some(end_ms) => {
                    self.fire_counted(end_ms, now_ms, listener);
                    false
                }
                None => true,
            },
            Some(Ends::UpTo(watermark_ms)) => {
                let watermark_ms = *watermark_ms;
                self.fire_timed(watermark_ms, now_ms, listener) == Firing::Done
            }
        };
        if !is_done {
            return Firing::More;
        }
        self.firing = None;
        // A watermark counts as something that was added.
        self.compact(now_ms, listener);
        Firing::Done
    }

    fn fire_counted(&mut self, end_ms: i64, now_ms: i64, listener: &mut impl Listener<T>) {
        let Trigger::WatermarkCount { every, last_ms } = &mut self.trigger else {
            return;
        };
        *last_ms = end_ms;
        let context = Context {
            reference_ms: end_ms,
            events: Some(Events::Sliding(*every)),
            ..Context::default()
        };
        self.evaluate(context, now_ms, listener);
    }

    fn fire_timed(
        &mut self,
        watermark_ms: i64,
        now_ms: i64,
        listener: &mut impl Listener<T>,
    ) -> Firing {
        let Trigger::WatermarkTime {
            every_ms,
            next_end_ms: end_ms,
        } = self.trigger
        else {
            return Firing::Done;
        };
        if end_ms > watermark_ms {
            return Firing::Done;
        }
        let counted = self.eviction.wants_events();
        let context = Context {
            reference_ms: end_ms,
            events: counted.then(|| Events::UpToReference(self.count_up_to(end_ms))),
            ..Context::default()
        };
        let next_ms = match self.evaluate(context, now_ms, listener) {
            true => end_ms.checked_add(every_ms),
            // Windows without events are skipped.
            false => self
                .earliest_between(end_ms, watermark_ms)
                .and_then(|earliest_ms| aligned(earliest_ms, every_ms)),
        };
        let Some(next_ms) = next_ms else {
            return Firing::Done;
        };
        self.trigger = Trigger::WatermarkTime {
            every_ms,
            next_end_ms: next_ms,
        };
        Firing::More
    }

    /// Looks for the window that a trigger asks for. False if no event is in it.
    fn evaluate(&mut self, context: Context, now_ms: i64, listener: &mut impl Listener<T>) -> bool {
        self.eviction.set_context(context);
        self.n_triggers += 1;
        self.look(Extent::Whole, now_ms, listener);
        let is_any = !self.scan.window.is_empty();
        if is_any {
            listener.activated(Activation {
                events: &self.scan.window,
                new: &self.scan.new,
                expired: &self.expired,
                end_ms: context.reference_ms,
            });
        }
        listener.forgotten(&self.expired);
        self.expired.clear();
        self.trigger.reset();
        is_any
    }

    /// Has events expire now and then, so that not all wait for a trigger.
    #[inline]
    fn compact(&mut self, now_ms: i64, listener: &mut impl Listener<T>) {
        self.n_since_scan += 1;
        if self.n_since_scan >= SCAN_EVERY {
            self.look(Extent::Head, now_ms, listener);
        }
    }

    /// Goes through the events in order and does with each what the eviction says.
    fn look(&mut self, extent: Extent, now_ms: i64, listener: &mut impl Listener<T>) {
        let Scan {
            window,
            new,
            leaving,
        } = &mut self.scan;
        window.clear();
        new.clear();
        leaving.clear();
        // Events up to `next` were looked at, those up to `kept` of them stay.
        let (mut next, mut kept) = (0, 0);
        while let Some(event) = self.queue.get_mut(next) {
            let action = self.eviction.evict(event.at_ms, now_ms);
            if action == Action::Expire {
                leaving.push(event.what);
                match next {
                    0 => drop(self.queue.pop_front()),
                    _ => next += 1,
                }
                continue;
            }
            if extent == Extent::Head || action == Action::Stop {
                break;
            }
            if action == Action::Process {
                window.push(event.what);
                if event.mark + 1 != self.n_triggers {
                    new.push(event.what);
                }
                event.mark = self.n_triggers;
            }
            if kept < next {
                self.queue.swap(kept, next);
            }
            next += 1;
            kept += 1;
        }
        self.queue.drain(kept..next);
        self.n_since_scan = 0;
        self.expired.extend_from_slice(leaving);
        if !leaving.is_empty() {
            listener.expired(leaving);
        }
    }

    fn count_up_to(&self, end_ms: i64) -> i64 {
        let n_events = self.queue.iter().filter(|event| event.at_ms <= end_ms);
        i64::try_from(n_events.count()).unwrap_or(i64::MAX)
    }

    /// The time of the earliest event after `after_ms` and up to `until_ms`.
    fn earliest_between(&self, after_ms: i64, until_ms: i64) -> Option<i64> {
        let times = self.queue.iter().map(|event| event.at_ms);
        times.filter(|ms| *ms > after_ms && *ms <= until_ms).min()
    }

    /// Where each `every`-th of the events after `after_ms` and up to `until_ms` ends a window: at
    /// the newest of them so far.
    fn counted_ends(&self, after_ms: i64, until_ms: i64, every: i64) -> Vec<i64> {
        let mut ends = Vec::new();
        let (mut n_events, mut newest_ms) = (0, i64::MIN);
        for event in &self.queue {
            if event.at_ms > after_ms && event.at_ms <= until_ms {
                newest_ms = newest_ms.max(event.at_ms);
                n_events += 1;
                if n_events % every == 0 {
                    ends.push(newest_ms);
                }
            }
        }
        ends
    }

    /// What slides by processing time: how often the timer has to come, in milliseconds.
    pub fn timer_every_ms(&self) -> Option<i64> {
        match self.trigger {
            Trigger::Timer { every_ms } => Some(every_ms),
            _ => None,
        }
    }
}

// === impl Definition ===

impl Definition {
    /// How long a window is in time, if that is how it is measured.
    pub fn length_ms(&self) -> Option<i64> {
        match self.length {
            Span::Millis(length_ms) => Some(length_ms),
            Span::Count(_) => None,
        }
    }
}

/// Events added between two looks at the oldest ones.
const SCAN_EVERY: usize = 100;

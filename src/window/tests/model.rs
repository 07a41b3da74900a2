//! Random runs against a model that keeps every event for ever and finds each window anew.
//!
//! Events are out of order by no more than the lag, and where windows are counted in event time not
//! at all: beyond that Storm's answers are its own, and recorded (`recorded`).

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Happened, Record};
use crate::window::{Definition, Firing, Span, TimeSource, Watermarks, WindowManager};

/// Something that comes to a window.
#[derive(Clone, Copy, Debug)]
enum Input {
    /// So many milliseconds after the last one, and so far out of order.
    Event { after_ms: i64, back_ms: i64 },
    /// The timer, or the watermark generator.
    Tick { after_ms: i64 },
}

/// Every event so far: its number is its place.
struct Model {
    definition: Definition,
    times: Vec<i64>,
    /// Ends of the windows so far, with or without events; of timers too.
    ends: Vec<i64>,
    last_window: BTreeSet<u64>,
    /// Events that some trigger has asked about.
    n_counted: usize,
}

// === impl Model ===

impl Model {
    fn new(definition: Definition) -> Self {
        Model {
            definition,
            times: Vec::new(),
            ends: Vec::new(),
            last_window: BTreeSet::new(),
            n_counted: 0,
        }
    }

    fn add(&mut self, event_ms: i64, now_ms: i64) -> Vec<(Vec<u64>, Vec<u64>, i64)> {
        self.times.push(event_ms);
        match (self.definition.sliding, self.definition.time) {
            (Span::Count(every), TimeSource::Processing)
                if self.times.len() as i64 % every == 0 =>
            {
                self.window(now_ms).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn tick(&mut self, at_ms: i64) -> Vec<(Vec<u64>, Vec<u64>, i64)> {
        match (self.definition.sliding, self.definition.time) {
            (Span::Millis(_), TimeSource::Processing) => {
                let window = self.window(at_ms);
                self.ends.push(at_ms);
                window.into_iter().collect()
            }
            (Span::Millis(every_ms), TimeSource::Event { .. }) => {
                let first = self.ends.last().map_or(0, |end_ms| end_ms + every_ms);
                let mut windows = Vec::new();
                for end_ms in (first..=at_ms).step_by(every_ms as usize) {
                    if let Some(window) = self.window(end_ms) {
                        self.ends.push(end_ms);
                        windows.push(window);
                    }
                }
                windows
            }
            (Span::Count(every), TimeSource::Event { .. }) => {
                let mut windows = Vec::new();
                while let Some(end_ms) = self.next_counted(every as usize, at_ms) {
                    windows.extend(self.window(end_ms));
                }
                windows
            }
            (Span::Count(_), TimeSource::Processing) => Vec::new(),
        }
    }

    /// The time at which the next so many events end a window, if the watermark has passed them.
    fn next_counted(&mut self, every: usize, watermark_ms: i64) -> Option<i64> {
        let until = self.n_counted + every;
        let next = self.times.get(self.n_counted..until)?;
        let end_ms = next.iter().copied().max()?;
        if end_ms > watermark_ms {
            return None;
        }
        self.n_counted = until;
        Some(end_ms)
    }

    /// The window that ends at a time: its events and those that are new in it.
    fn window(&mut self, end_ms: i64) -> Option<(Vec<u64>, Vec<u64>, i64)> {
        let after_ms = match (self.definition.length, self.definition.time) {
            (Span::Count(_), _) => i64::MIN,
            (Span::Millis(length_ms), TimeSource::Event { .. }) => end_ms - length_ms,
            // It reaches over what the timer before it would have kept.
            (Span::Millis(length_ms), TimeSource::Processing) => match self.definition.sliding {
                Span::Millis(every_ms) => match self.ends.last() {
                    Some(previous_ms) => previous_ms + every_ms - length_ms,
                    None => i64::MIN,
                },
                Span::Count(_) => end_ms - length_ms,
            },
        };
        let numbers = 0..self.times.len() as u64;
        let mut events: Vec<u64> = numbers
            .filter(|n| {
                let at_ms = self.times[*n as usize];
                at_ms > after_ms && at_ms <= end_ms
            })
            .collect();
        if let Span::Count(length) = self.definition.length {
            let n_over = events.len().saturating_sub(length as usize);
            events.drain(..n_over);
        }
        let last = std::mem::replace(&mut self.last_window, events.iter().copied().collect());
        let new = events.iter().copied().filter(|n| !last.contains(n));
        let new = new.collect();
        (!events.is_empty()).then_some((events, new, end_ms))
    }
}

/// Runs both, and looks whether each event leaves once and before it is shown as expired.
fn run(definition: Definition, inputs: &[Input]) -> Result<(), TestCaseError> {
    let lag_ms = match definition.time {
        TimeSource::Processing => 0,
        TimeSource::Event { lag_ms } => lag_ms,
    };
    let mut manager = WindowManager::new(&definition);
    let mut watermarks = Watermarks::new(1, lag_ms);
    let mut model = Model::new(definition);
    let mut record = Record::default();
    let (mut now_ms, mut n_events) = (1000, 0);
    let mut gone = Vec::new();
    let mut shown = Vec::new();
    for input in inputs {
        let expected = match *input {
            Input::Event { after_ms, back_ms } => {
                now_ms += after_ms;
                let event_ms = now_ms - back_ms.min(lag_ms);
                let is_event_time = definition.time != TimeSource::Processing;
                if is_event_time && !watermarks.track(0, event_ms) {
                    continue;
                }
                manager.add(n_events, event_ms, now_ms, &mut record);
                n_events += 1;
                model.add(event_ms, now_ms)
            }
            Input::Tick { after_ms } => {
                now_ms += after_ms;
                if definition.time == TimeSource::Processing {
                    manager.timer(now_ms, &mut record);
                    model.tick(now_ms)
                } else if let Some(watermark_ms) = watermarks.advance() {
                    manager.watermark(watermark_ms);
                    while manager.fire(now_ms, &mut record) == Firing::More {}
                    model.tick(watermark_ms)
                } else {
                    Vec::new()
                }
            }
        };
        let mut windows = Vec::new();
        for happened in record.take() {
            match happened {
                Happened::Expired(events) => gone.extend(events),
                Happened::Activated {
                    events,
                    new,
                    expired,
                    end_ms,
                } => {
                    prop_assert!(expired.iter().all(|event| gone.contains(event)));
                    prop_assert!(events.iter().all(|event| !gone.contains(event)));
                    shown.extend(expired);
                    windows.push((events, new, end_ms));
                }
            }
        }
        prop_assert_eq!(&windows, &expected, "after {:?}", input);
    }
    let n_gone = gone.len();
    let unique: BTreeSet<u64> = gone.iter().copied().collect();
    prop_assert_eq!(unique.len(), n_gone, "each event leaves once");
    prop_assert_eq!(manager.len() + n_gone, n_events as usize);
    let forgotten: BTreeSet<u64> = record.forgotten.iter().copied().collect();
    prop_assert_eq!(forgotten.len(), record.forgotten.len());
    prop_assert!(shown.iter().all(|event| forgotten.contains(event)));
    Ok(())
}

fn inputs(gap_ms: std::ops::Range<i64>, back_ms: i64) -> impl Strategy<Value = Vec<Input>> {
    let event =
        (gap_ms, 0..=back_ms).prop_map(|(after_ms, back_ms)| Input::Event { after_ms, back_ms });
    let tick = (1..60i64).prop_map(|after_ms| Input::Tick { after_ms });
    // Now and then more events than the manager leaves alone between two looks.
    prop::collection::vec(prop_oneof![12 => event, 1 => tick], 0..500)
}

fn millis() -> impl Strategy<Value = Span> {
    (1..12i64).prop_map(|tens| Span::Millis(10 * tens))
}

fn count() -> impl Strategy<Value = Span> {
    (1..12i64).prop_map(Span::Count)
}

proptest! {
    #[test]
    fn processing_time(
        length in prop_oneof![count(), millis()],
        sliding in prop_oneof![count(), millis()],
        inputs in inputs(0..5, 0),
    ) {
        let time = TimeSource::Processing;
        run(Definition { length, sliding, time }, &inputs)?;
    }

    #[test]
    fn event_time_measured_in_time(
        length in millis(),
        sliding in millis(),
        lag_ms in 0..40i64,
        inputs in inputs(0..5, 40),
    ) {
        let time = TimeSource::Event { lag_ms };
        run(Definition { length, sliding, time }, &inputs)?;
    }

    #[test]
    fn event_time_counted(
        length in prop_oneof![count(), millis()],
        sliding in prop_oneof![count(), millis()],
        lag_ms in 0..40i64,
        inputs in inputs(1..5, 0),
    ) {
        let time = TimeSource::Event { lag_ms };
        run(Definition { length, sliding, time }, &inputs)?;
    }
}

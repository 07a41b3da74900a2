//! Runs of Storm's own window manager.

use serde_json::{Value as Json, json};

use super::{Happened, Record};
use crate::testing::fixtures;
use crate::window::{Definition, Firing, Span, TimeSource, Watermarks, WindowManager};

/// One line's window, and what drives it.
struct Replay {
    manager: WindowManager<u64>,
    watermarks: Watermarks<u64>,
    record: Record,
}

// === impl Replay ===

impl Replay {
    fn new(line: &Json) -> Self {
        let kind = line["kind"].as_str().unwrap();
        let span = |part: &str, value: &Json| {
            let value = value.as_i64().unwrap();
            match kind.contains(&format!("-{part}_count")) {
                true => Span::Count(value),
                false => Span::Millis(value),
            }
        };
        let lag_ms = line["lag_ms"].as_i64().unwrap_or(0);
        let definition = Definition {
            length: span("len", &line["window_length"]),
            sliding: span("slide", &line["sliding_interval"]),
            time: match kind.starts_with("event_time") {
                true => TimeSource::Event { lag_ms },
                false => TimeSource::Processing,
            },
        };
        let n_streams = line["input_streams"].as_u64().unwrap() as usize;
        Replay {
            manager: WindowManager::new(&definition),
            watermarks: Watermarks::new(n_streams, lag_ms),
            record: Record::default(),
        }
    }

    /// Does one step; gives it as it should have been recorded.
    fn step(&mut self, step: &Json) -> Json {
        let mut done = step.clone();
        match step["op"].as_str().unwrap() {
            "event" => {
                let is_accepted = self.event(step);
                if step.get("accepted").is_some() {
                    done["accepted"] = json!(is_accepted);
                }
            }
            "watermark_tick" => {
                if let Some(watermark_ms) = self.watermarks.advance() {
                    self.manager.watermark(watermark_ms);
                    while self.manager.fire(NOW_MS, &mut self.record) == Firing::More {}
                }
            }
            "timer" => {
                let reference_ms = step["reference"].as_i64().unwrap();
                let has_fired = self.manager.timer(reference_ms, &mut self.record);
                done["fired"] = json!(has_fired);
            }
            other => panic!("{other}"),
        }
        done["out"] = self.record.take().iter().map(shown).collect();
        // What followed Storm's own clock was not recorded.
        let recorded = step["out"].as_array().unwrap().iter();
        for (mine, theirs) in done["out"].as_array_mut().unwrap().iter_mut().zip(recorded) {
            if theirs.get("reference").is_some_and(Json::is_null) {
                mine["reference"] = Json::Null;
            }
        }
        done
    }

    /// Whether the event was in time.
    fn event(&mut self, step: &Json) -> bool {
        let id = step["id"].as_u64().unwrap();
        let event_ms = match step["age_ms"].as_i64() {
            Some(age_ms) => NOW_MS - age_ms,
            None => step["ts"].as_i64().unwrap(),
        };
        let is_event_time = step.get("accepted").is_some();
        if is_event_time
            && !self
                .watermarks
                .track(step["stream"].as_u64().unwrap(), event_ms)
        {
            return false;
        }
        self.manager.add(id, event_ms, NOW_MS, &mut self.record);
        true
    }
}

fn shown(happened: &Happened) -> Json {
    match happened {
        Happened::Expired(events) => json!({ "expiry": events }),
        Happened::Activated {
            events,
            new,
            expired,
            end_ms,
        } => json!({"window": events, "new": new, "expired": expired, "reference": end_ms}),
    }
}

#[test]
fn windows_are_storms() {
    let mut tally = fixtures::Tally::new("windowing/windows.jsonl");
    for line in fixtures::lines("windowing/windows.jsonl") {
        let mut replay = Replay::new(&line);
        let steps = line["steps"].as_array().unwrap();
        let different = steps.iter().find_map(|step| {
            let done = replay.step(step);
            (done != *step).then(|| format!("{step} but {done}"))
        });
        tally.case(different.is_none(), || {
            format!("{}: {}", line["kind"], different.unwrap())
        });
    }
    tally.finish(0);
}

/// Any time does: recorded ages are older and younger than windows by minutes.
const NOW_MS: i64 = 1_700_000_000_000;

//! Windows against Storm's recorded runs, a model that knows all events, and bad options.

mod config;
mod model;
mod recorded;

use super::{Activation, Listener};

/// What happened, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Happened {
    Expired(Vec<u64>),
    Activated {
        events: Vec<u64>,
        new: Vec<u64>,
        expired: Vec<u64>,
        end_ms: i64,
    },
}

/// Writes down what happens.
#[derive(Default)]
struct Record {
    happened: Vec<Happened>,
    forgotten: Vec<u64>,
}

// === impl Record ===

impl Record {
    fn take(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }
}

impl Listener<u64> for Record {
    fn expired(&mut self, events: &[u64]) {
        self.happened.push(Happened::Expired(events.to_vec()));
    }

    fn activated(&mut self, window: Activation<'_, u64>) {
        self.happened.push(Happened::Activated {
            events: window.events.to_vec(),
            new: window.new.to_vec(),
            expired: window.expired.to_vec(),
            end_ms: window.end_ms,
        });
    }

    fn forgotten(&mut self, events: &[u64]) {
        self.forgotten.extend_from_slice(events);
    }
}

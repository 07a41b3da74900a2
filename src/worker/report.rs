//! Errors of components on their way to Nimbus: throttled, bounded, never silent.
//!
//! How many of an executor are logged and reported in an interval is bounded (data-plane 4.9); of
//! the rest their number is told. Sends nothing: the worker's report takes them along.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::error;

use crate::clock;
use crate::component::ComponentFailure;
use crate::id::{ComponentId, TaskId};
use crate::limits;

/// An error that a component had.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportedError {
    pub component: ComponentId,
    pub task: TaskId,
    /// Message and causes, a line each; the rest of what is too long is cut off.
    pub text: String,
    /// Wall seconds.
    pub at_secs: i64,
}

/// Errors of a worker that wait to be reported.
#[derive(Default)]
pub struct ErrorLog {
    waiting: Mutex<VecDeque<ReportedError>>,
    /// All that components had, reported or not.
    n_errors: AtomicU64,
    /// Pushed out by newer ones before anyone took them.
    n_dropped: AtomicU64,
}

/// One executor's way into the log.
pub struct Reporter {
    log: Arc<ErrorLog>,
    component: ComponentId,
    throttle: Throttle,
    /// Errors since the last that was told.
    n_untold: u64,
}

/// At most `n_max` errors in `interval_us`.
#[derive(Clone, Copy, Debug)]
pub struct Throttle {
    n_max: u64,
    interval_us: u64,
    started_us: u64,
    n_reported: u64,
}

// === impl ErrorLog ===

impl ErrorLog {
    /// Takes all that wait, oldest first.
    pub fn take(&self) -> Vec<ReportedError> {
        self.lock().drain(..).collect()
    }

    /// Puts back what could not be sent.
    pub fn put_back(&self, errors: Vec<ReportedError>) {
        let mut waiting = self.lock();
        for error in errors.into_iter().rev() {
            if waiting.len() >= limits::REPORTED_ERRORS_MAX {
                self.n_dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            waiting.push_front(error);
        }
    }

    pub fn n_errors(&self) -> u64 {
        self.n_errors.load(Ordering::Relaxed)
    }

    pub fn n_dropped(&self) -> u64 {
        self.n_dropped.load(Ordering::Relaxed)
    }

    fn push(&self, error: ReportedError) {
        let mut waiting = self.lock();
        if waiting.len() >= limits::REPORTED_ERRORS_MAX {
            waiting.pop_front();
            self.n_dropped.fetch_add(1, Ordering::Relaxed);
        }
        waiting.push_back(error);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<ReportedError>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Reporter ===

impl Reporter {
    pub fn new(log: Arc<ErrorLog>, component: ComponentId, throttle: Throttle) -> Self {
        Reporter {
            log,
            component,
            throttle,
            n_untold: 0,
        }
    }

    /// Logs an error and has it reported, unless there were too many of late.
    #[cold]
    pub fn report(&mut self, task: TaskId, failure: &ComponentFailure) {
        self.log.n_errors.fetch_add(1, Ordering::Relaxed);
        if !self.throttle.admits(clock::monotonic_micros()) {
            self.n_untold += 1;
            return;
        }
        let (component, n_untold) = (&self.component, std::mem::take(&mut self.n_untold));
        error!(%component, %task, error = %failure, n_untold, "error in a component");
        let mut text = failure.detail();
        // A child may say what no report to Nimbus has room for: it would be refused for ever.
        text.truncate(text.floor_char_boundary(limits::REPORTED_ERROR_BYTES_MAX));
        self.log.push(ReportedError {
            component: component.clone(),
            task,
            text,
            at_secs: clock::wall_secs(),
        });
    }
}

// === impl Throttle ===

impl Throttle {
    pub fn new(n_max: u64, interval_us: u64) -> Self {
        Throttle {
            n_max,
            interval_us,
            started_us: 0,
            n_reported: 0,
        }
    }

    fn admits(&mut self, now_us: u64) -> bool {
        if self.n_reported == 0 || now_us.saturating_sub(self.started_us) >= self.interval_us {
            self.started_us = now_us;
            self.n_reported = 0;
        }
        self.n_reported += 1;
        self.n_reported <= self.n_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_admits_only_so_many() {
        let mut throttle = Throttle::new(2, 1000);
        let admitted = [0, 1, 2, 999, 1000, 1001, 1002].map(|now| throttle.admits(now));
        assert_eq!(admitted, [true, true, false, false, true, true, false]);
    }

    #[test]
    fn what_is_not_told_is_counted() {
        let log = Arc::new(ErrorLog::default());
        let throttle = Throttle::new(2, u64::MAX);
        let mut reporter = Reporter::new(log.clone(), "split".into(), throttle);
        for number in 0..5 {
            reporter.report(TaskId(1), &ComponentFailure::new(number.to_string()));
        }
        assert_eq!((log.take().len(), log.n_errors()), (2, 5));
        assert_eq!(reporter.n_untold, 3);
    }

    #[test]
    fn a_text_has_no_more_than_nimbus_keeps() {
        let log = Arc::new(ErrorLog::default());
        let mut reporter = Reporter::new(log.clone(), "split".into(), Throttle::new(1, 1));
        // No character ends where the text has to.
        let long = "\u{20ac}".repeat(limits::REPORTED_ERROR_BYTES_MAX);
        reporter.report(TaskId(1), &ComponentFailure::new(long.clone()));
        let text = &log.take()[0].text;
        assert_eq!(text.len(), limits::REPORTED_ERROR_BYTES_MAX / 3 * 3);
        assert!(long.starts_with(text));
    }

    #[test]
    fn the_log_keeps_the_newest_and_counts_the_rest() {
        let log = Arc::new(ErrorLog::default());
        let throttle = Throttle::new(u64::MAX, 1);
        let mut reporter = Reporter::new(log.clone(), "split".into(), throttle);
        for number in 0..limits::REPORTED_ERRORS_MAX + 2 {
            reporter.report(TaskId(1), &ComponentFailure::new(number.to_string()));
        }
        let taken = log.take();
        assert_eq!(taken.first().map(|error| error.text.as_str()), Some("2"));
        assert_eq!(log.n_dropped(), 2);
        log.put_back(taken);
        assert_eq!(log.take().len(), limits::REPORTED_ERRORS_MAX);
    }
}

//! The progress of an upload, on a terminal's standard error only, and only of one that takes long.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::clock;

/// A bar that appears when it is worth it. Removed when it is dropped.
pub struct Progress {
    bar: ProgressBar,
    begun_ms: u64,
    is_shown: bool,
}

// === impl Progress ===

impl Progress {
    /// Of so many bytes, if that is known.
    pub fn of_upload(total_bytes: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(total_bytes, ProgressDrawTarget::hidden());
        let shown = match total_bytes {
            Some(_) => "upload {bar:40} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
            None => "upload {spinner} {bytes}, {bytes_per_sec}",
        };
        let mut progress = Progress {
            bar: match ProgressStyle::with_template(shown) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            },
            begun_ms: clock::monotonic_millis(),
            is_shown: false,
        };
        if total_bytes.is_some_and(|total| total > LARGE_BYTES) {
            progress.show();
        }
        progress
    }

    /// So many bytes more are there.
    pub fn add(&mut self, n_bytes: usize) {
        let elapsed_ms = clock::monotonic_millis().saturating_sub(self.begun_ms);
        if !self.is_shown && Duration::from_millis(elapsed_ms) > PATIENCE {
            self.show();
        }
        self.bar.inc(n_bytes as u64);
    }

    /// indicatif draws nothing where standard error is no terminal.
    fn show(&mut self) {
        self.is_shown = true;
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Above this an upload is shown from its start.
const LARGE_BYTES: u64 = 1 << 20;
/// One that has taken so long is shown too.
const PATIENCE: Duration = Duration::from_millis(500);

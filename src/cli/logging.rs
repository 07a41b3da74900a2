//! Where a process of ours logs to, and how much, unless `RUST_LOG` says otherwise.

use std::io::{IsTerminal, stderr, stdout};

use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::worker::log_levels::LogLevels;

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// Standard error, so that what commands print can be piped.
    Apart,
    /// Standard output: a worker prints nothing else, and it is `worker.log`.
    Output,
}

/// Starts the process's log; the levels are there to be changed while it runs.
pub fn start(level: &str, lines: Lines) -> LogLevels {
    let writer = match lines {
        Lines::Apart => BoxMakeWriter::new(stderr),
        Lines::Output => BoxMakeWriter::new(stdout),
    };
    let filter = EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(level));
    let levels = LogLevels::default();
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(stderr().is_terminal())
        .with_filter(levels.filter(filter));
    tracing_subscriber::registry().with(layer).init();
    levels
}

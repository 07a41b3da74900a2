//! Where a process of ours logs to, and how much, unless `RUST_LOG` says otherwise.

use std::io::{self, IsTerminal, stderr};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::conf::{Conf, keys};
use crate::log_file::{self, Bounds, Stream};
use crate::worker::log_levels::LogLevels;

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// Standard error, so that what commands print can be piped.
    Apart,
    /// Standard output: a worker prints nothing else, and it is `worker.log`.
    Output,
}

/// Lines on their way to a stream. Never fails: a log that cannot be written is no reason to end.
struct Written(Stream);

/// Starts the process's log; the levels are there to be changed while it runs.
pub fn start(level: &str, lines: Lines) -> LogLevels {
    let stream = match lines {
        Lines::Apart => Stream::Error,
        Lines::Output => Stream::Output,
    };
    let filter = EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(level));
    let levels = LogLevels::default();
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(move || Written(stream))
        // It would panic where standard error cannot be written either.
        .log_internal_errors(false)
        .with_ansi(stderr().is_terminal())
        .with_filter(levels.filter(filter));
    tracing_subscriber::registry().with(layer).init();
    levels
}

/// Turns a daemon's standard error to `<name>.log` in `storm.log.dir`, where its conf says so.
pub fn to_file(conf: &Conf, name: &str) -> anyhow::Result<()> {
    if conf.flag(keys::STORMWIRE_DAEMON_LOG_FILE)? != Some(true) {
        return Ok(());
    }
    let path = conf.log_dir()?.join(format!("{name}.log"));
    let bounds = Bounds::of(
        conf,
        keys::STORMWIRE_DAEMON_LOG_BYTES_MAX,
        keys::STORMWIRE_DAEMON_LOG_FILES_MAX,
    )?;
    log_file::redirect(Stream::Error, &path, bounds).map_err(|error| {
        anyhow::anyhow!(
            "cannot log to {}: {error}; make {} a directory that this user may write, or set {} \
             to false",
            path.display(),
            keys::STORM_LOG_DIR,
            keys::STORMWIRE_DAEMON_LOG_FILE
        )
    })
}

// === impl Written ===

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        log_file::write(self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

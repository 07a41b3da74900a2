//! How a child came to its end, in words that name what has to be mended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The end of a child.
#[derive(Debug)]
pub struct Death {
    pub pid: Option<i32>,
    pub cause: Cause,
    /// Absent if the child never lived.
    pub status: Option<ExitStatus>,
    /// The last of what it wrote to standard error.
    pub stderr: String,
}

/// Why a child is gone.
#[derive(Debug)]
pub enum Cause {
    /// It could not be started: why, and what to do.
    NotStarted(String),
    /// It ended on its own, or closed its standard output. With what it wrote of an unfinished
    /// message.
    Ended { partial: String },
    /// It did not answer the handshake.
    NoHandshake { secs: u64 },
    /// It said nothing for too long.
    Silent { secs: u64 },
    /// It broke the protocol.
    Broken(String),
    /// We wanted it to end.
    Stopped,
}

// === impl Death ===

impl Death {
    /// A child that was never alive.
    pub fn unborn(reason: String) -> Self {
        Death {
            pid: None,
            cause: Cause::NotStarted(reason),
            status: None,
            stderr: String::new(),
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("child ")?;
        if let Some(pid) = self.pid {
            write!(f, "{pid} ")?;
        }
        match &self.cause {
            Cause::NotStarted(reason) => return write!(f, "cannot be started: {reason}"),
            Cause::Ended { partial } => {
                write!(f, "ended with {}", Status(self.status))?;
                if !partial.is_empty() {
                    write!(f, " in the middle of a message: {partial}")?;
                }
            }
            Cause::NoHandshake { secs } => write!(
                f,
                "was ended: no answer to the handshake within {secs} s \
                 (stormwire.shell.handshake.timeout.secs)"
            )?,
            Cause::Silent { secs } => write!(
                f,
                "was ended: silent for more than {secs} s (topology.subprocess.timeout.secs)"
            )?,
            Cause::Broken(reason) => write!(f, "was ended: {reason}")?,
            Cause::Stopped => write!(f, "was stopped, {}", Status(self.status))?,
        }
        match self.stderr.trim() {
            "" => write!(f, "; it wrote nothing to stderr"),
            stderr => write!(f, "; last stderr: {stderr}"),
        }
    }
}

/// An exit status in words.
struct Status(Option<ExitStatus>);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(status) = self.0 else {
            return f.write_str("an unknown exit status");
        };
        match (status.code(), status.signal()) {
            (Some(code), _) => write!(f, "exit status {code}"),
            (None, Some(signal)) => {
                let name = nix::sys::signal::Signal::try_from(signal);
                write!(f, "signal {signal}")?;
                name.map_or(Ok(()), |name| write!(f, " ({name})"))
            }
            (None, None) => f.write_str("an unknown exit status"),
        }
    }
}

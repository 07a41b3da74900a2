//! In whose shape commands print: for people, or as Storm's client does, whose output scripts read.
//!
//! Tables are Storm's where the program is called as `storm`, and wherever standard output is no
//! terminal. What Storm's client leaves to its log, and so prints as log lines, has that form only
//! as `storm`; the words are the same.

use std::fmt;
use std::io::IsTerminal as _;

use super::daemon::{complain, say};
use super::stand_in::Name;
use crate::clock;
use crate::rpc::Refusal;

/// How tables are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    People,
    Storm,
}

/// A call that Nimbus, or a DRPC server, did not carry out.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}: {reason}{}", in_brackets(exception))]
pub struct Refused {
    what: String,
    /// The IDL's name.
    exception: Option<&'static str>,
    reason: String,
}

fn in_brackets(exception: &Option<&'static str>) -> String {
    exception.map_or_else(String::new, |name| format!(" ({name})"))
}

/// What was answered, for a person: what was tried, then the words of the answer, then the name of
/// the exception.
pub fn refused(what: &str, error: impl Refusal) -> anyhow::Error {
    let mut reason = error.to_string();
    if reason.starts_with(UNKNOWN_METHOD) {
        reason.push_str(
            "; another service listens at this address, or a version without this call: check the \
             port",
        );
    }
    let refused = Refused {
        what: what.to_owned(),
        exception: error.exception(),
        reason,
    };
    refused.into()
}

/// Says why a command failed. As `storm`, an exception that was answered reads as that of Storm's
/// client: its first line, without the stack.
pub fn failed(error: &anyhow::Error) {
    let name = Name::of_process();
    let exception = error.downcast_ref::<Refused>().and_then(|refused| {
        let exception = refused.exception.filter(|_| name == Name::Storm)?;
        Some(format!("{exception}(msg:{})", refused.reason))
    });
    match exception {
        Some(exception) => complain(format_args!("Exception in thread \"main\" {exception}")),
        None => complain(format_args!("{}: {}", name.text(), Causes(error))),
    }
}

/// An error with its causes, each said once: many errors of ours name their cause in their own
/// text.
pub struct Causes<'e>(pub &'e anyhow::Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = String::new();
        for cause in self.0.chain().map(ToString::to_string) {
            if said.is_empty() {
                said = cause;
            } else if !said.contains(&cause) {
                said.push_str(": ");
                said.push_str(&cause);
            }
        }
        f.write_str(&said)
    }
}

/// Prints what a class of Storm's client logs; with time and class only as `storm`.
pub fn told(class: &str, what: &str) {
    match is_storm() {
        true => say(log_line("INFO", class, what, clock::wall_millis())),
        false => say(what),
    }
}

/// Says what went wrong with one thing of several, and returns the exit code. Storm's client logs
/// it and ends with 0.
pub fn told_error(class: &str, what: &str) -> i32 {
    if !is_storm() {
        complain(what);
        return 1;
    }
    say(log_line("ERROR", class, what, clock::wall_millis()));
    0
}

/// A line as Storm's client logs it to standard output.
fn log_line(level: &str, class: &str, what: &str, wall_ms: i64) -> String {
    let time = time_of_day(wall_ms);
    format!("{time} [main] {level:<5} {class} - {what}")
}

/// `HH:MM:SS.mmm` of this machine's time zone.
fn time_of_day(wall_ms: i64) -> String {
    let secs: libc::time_t = wall_ms.div_euclid(1000);
    // SAFETY: both pointers are to values of this frame; all bytes zero is a valid `tm`, and is
    // what stays if the call fails.
    let time = unsafe {
        let mut time: libc::tm = std::mem::zeroed();
        libc::localtime_r(&secs, &mut time);
        time
    };
    let (hour, minute, second) = (time.tm_hour, time.tm_min, time.tm_sec);
    let millis = wall_ms.rem_euclid(1000);
    format!("{hour:02}:{minute:02}:{second:02}.{millis:03}")
}

/// Whether this process was called as Storm's client.
pub fn is_storm() -> bool {
    Name::of_process() == Name::Storm
}

// === impl Shape ===

impl Shape {
    /// Of this process's standard output.
    pub fn of_output() -> Shape {
        match !is_storm() && std::io::stdout().is_terminal() {
            true => Shape::People,
            false => Shape::Storm,
        }
    }
}

/// How the answer begins of a service without the call: `rpc::Failure::UnknownMethod`.
const UNKNOWN_METHOD: &str = "Invalid method name: ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_without_the_call_is_taken_for_another_one() {
        let failure = crate::rpc::Failure::UnknownMethod("getLeader".to_owned());
        assert!(failure.to_string().starts_with(UNKNOWN_METHOD), "{failure}");
    }

    #[test]
    fn a_cause_that_an_error_names_itself_is_said_once() {
        let port = crate::http::OpenError::Bind {
            name: "ui",
            host: "h".to_owned(),
            port: 1,
            key: "ui.port",
            source: std::io::Error::other("taken"),
        };
        let error = anyhow::Error::from(port).context("no UI");
        let told = "no UI: ui cannot listen on h:1: taken; set ui.port to a free port, or to -1";
        assert_eq!(Causes(&error).to_string(), told);
        let error = anyhow::anyhow!("no room").context("cannot write");
        assert_eq!(Causes(&error).to_string(), "cannot write: no room");
    }

    #[test]
    fn lines_have_the_form_of_storm_s_log() {
        let line = log_line(
            "INFO",
            "o.a.s.c.Activate",
            "Activated topology: words",
            59_007,
        );
        let (time, rest) = line.split_at(12);
        assert!(time.ends_with(":59.007"), "{time}");
        assert_eq!(
            rest,
            " [main] INFO  o.a.s.c.Activate - Activated topology: words"
        );
    }
}

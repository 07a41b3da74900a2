//! The tasks that attend one child: one writes, one reads, one drains standard error, and one
//! watches them and the clock, and sees to the end.
//!
//! The reader never waits for the writer: a child that is blocked on its output still gets its
//! input, and the other way round.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::clock;
use crate::component::multilang::{Encoder, Framer, FromChild, message};
use crate::component::shell::death::{Cause, Death};
use crate::component::shell::link::{End, Event, Link};
use crate::component::shell::liveness::{Verdict, Watch};
use crate::component::shell::process::{Program, Started};
use crate::component::shell::stderr::{self, Tail};

/// Everything about a child that its attendants need.
pub struct Attendance {
    pub program: Program,
    /// The child's name in the log.
    pub name: String,
    pub watch: Watch,
    pub encoder: Encoder,
    pub message_bytes_max: usize,
    pub shutdown_timeout: Duration,
}

/// Starts a child and attends it to its end, which is the link's last event.
pub async fn attend(attendance: Attendance, link: Arc<Link>) {
    let death = match attendance.program.start() {
        Ok(started) => attended(&attendance, started, &link).await,
        Err(reason) => Death::unborn(reason),
    };
    link.push(vec![Event::Gone(death)]);
}

async fn attended(attendance: &Attendance, mut started: Started, link: &Arc<Link>) -> Death {
    let child = &mut started.child;
    let (Some(stdin), Some(stdout), Some(errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Death::unborn("it has no pipes".to_owned());
    };
    link.born(started.process);
    let tail = Arc::new(Tail::default());
    let name = format!("{} pid {}", attendance.name, started.process.pid);
    let mut stderr = tokio::spawn({
        let tail = Arc::clone(&tail);
        async move { stderr::drain(errors, &name, &tail).await }
    });
    let writer = tokio::spawn(write(stdin, Arc::clone(link)));
    let framer = Framer::new(attendance.encoder.serializer, attendance.message_bytes_max);
    let mut reader = tokio::spawn(read(stdout, Arc::clone(link), framer));
    let (cause, status) = watch(attendance, &mut started.child, &mut reader, link).await;
    // Closes the child's standard input.
    writer.abort();
    let status = match (status, &cause) {
        (Some(status), _) => Some(status),
        (None, Cause::Stopped) => stop(&mut started, attendance.shutdown_timeout).await,
        (None, Cause::Ended { .. }) => {
            let ended = timeout(EXIT_PATIENCE, started.child.wait()).await;
            ended.ok().and_then(Result::ok)
        }
        (None, _) => None,
    };
    started.clean_up();
    let status = match status {
        Some(status) => Some(status),
        None => started.child.wait().await.ok(),
    };
    // A process that left the group may still hold the pipe.
    let _ = timeout(DRAIN_PATIENCE, &mut stderr).await;
    stderr.abort();
    reader.abort();
    Death {
        pid: Some(started.process.pid),
        cause,
        status,
        stderr: tail.text(),
    }
}

/// Until the child ends or has to.
async fn watch(
    attendance: &Attendance,
    child: &mut Child,
    reader: &mut JoinHandle<Cause>,
    link: &Link,
) -> (Cause, Option<ExitStatus>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = link.ending.notified() => match link.why_end() {
                Some(End::Stop) => return (Cause::Stopped, None),
                Some(End::Condemned(reason)) => return (Cause::Broken(reason), None),
                None => {}
            },
            read = &mut *reader => return (read.unwrap_or_else(lost_reader), None),
            status = child.wait() => {
                // What it said last is still in the pipe.
                let read = timeout(DRAIN_PATIENCE, &mut *reader).await;
                let cause = match read {
                    Ok(read) => read.unwrap_or_else(lost_reader),
                    Err(_) => Cause::Ended { partial: String::new() },
                };
                return (cause, status.ok());
            }
            _ = ticks.tick() => if let Some(cause) = look(attendance, link) {
                return (cause, None);
            },
        }
    }
}

/// Judges the child by the clock. Gives the reason to end it, if there is one.
fn look(attendance: &Attendance, link: &Link) -> Option<Cause> {
    let watch = &attendance.watch;
    match watch.judge(&link.sight(), clock::monotonic_millis()) {
        Verdict::Well => None,
        Verdict::Ask => {
            let encoder = Encoder {
                serializer: link.serializer(),
                ..attendance.encoder
            };
            let id = fastrand::i64(..).to_string();
            link.write_heartbeat(|out| encoder.heartbeat(out, &id));
            None
        }
        Verdict::EndTurn => {
            tracing::warn!(
                "{}: no answer to activate or deactivate: going on without \
                 (stormwire.shell.suppress.lifecycle spares it these commands)",
                attendance.name
            );
            link.push(link.end_turn().into_iter().collect());
            None
        }
        Verdict::NoHandshake => Some(Cause::NoHandshake {
            secs: watch.handshake_timeout.as_secs(),
        }),
        Verdict::Silent => Some(Cause::Silent {
            secs: watch.silence_timeout.as_secs(),
        }),
    }
}

/// Asks the child to end, and waits for it.
async fn stop(started: &mut Started, patience: Duration) -> Option<ExitStatus> {
    started.process.signal(Signal::SIGTERM);
    timeout(patience, started.child.wait()).await.ok()?.ok()
}

async fn write(mut stdin: ChildStdin, link: Arc<Link>) {
    let mut output = Vec::new();
    loop {
        let n_tuples = link.take_output(&mut output);
        if output.is_empty() {
            link.filled.notified().await;
            continue;
        }
        if stdin.write_all(&output).await.is_err() {
            // The child has closed its input: its output or its exit will say why.
            std::future::pending::<()>().await;
        }
        link.wrote(n_tuples);
        if output.capacity() > OUTPUT_BYTES_KEPT {
            output = Vec::new();
        }
    }
}

async fn read(mut stdout: ChildStdout, link: Arc<Link>, mut framer: Framer) -> Cause {
    loop {
        if let Err(reason) = take_messages(&link, &mut framer) {
            return Cause::Broken(reason);
        }
        link.await_room().await;
        framer.buffer().reserve(READ_BYTES);
        match stdout.read_buf(framer.buffer()).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    match framer.finish() {
        Ok(last) => match take_message(&link, &framer, &last, &mut Vec::new()) {
            Ok(()) => Cause::Ended {
                partial: String::new(),
            },
            Err(reason) => Cause::Broken(reason),
        },
        Err(rest) => Cause::Ended {
            partial: message::excerpt(&rest),
        },
    }
}

/// Everything that has arrived in whole.
fn take_messages(link: &Link, framer: &mut Framer) -> Result<(), String> {
    let mut events = Vec::new();
    let taken = loop {
        match framer.next_message() {
            Ok(Some(message)) => {
                if let Err(reason) = take_message(link, framer, &message, &mut events) {
                    break Err(reason);
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => {
                let began = message::excerpt(framer.buffer());
                break Err(format!("{error}; the child wrote: {began}"));
            }
        }
    };
    link.push(events);
    taken
}

fn take_message(
    link: &Link,
    framer: &Framer,
    bytes: &[u8],
    events: &mut Vec<Event>,
) -> Result<(), String> {
    let serializer = framer.serializer();
    if link.has_shaken_hands() {
        let message = FromChild::read(serializer, bytes).map_err(|error| error.to_string())?;
        link.heard(message, events);
        return Ok(());
    }
    let pid = message::read_pid(serializer, bytes).map_err(|error| {
        format!("no answer to the handshake but something else on its standard output: {error}")
    })?;
    link.shake_hands(
        pid.map_or_else(|| "null".to_owned(), |pid| pid.to_string()),
        serializer,
    );
    Ok(())
}

fn lost_reader(error: tokio::task::JoinError) -> Cause {
    Cause::Broken(format!("its output cannot be read: {error}"))
}

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For a child that closed its output to exit.
const EXIT_PATIENCE: Duration = Duration::from_secs(1);
/// For the pipes of a child that exited to run dry.
const DRAIN_PATIENCE: Duration = Duration::from_millis(500);
const READ_BYTES: usize = 32 * 1024;
const OUTPUT_BYTES_KEPT: usize = 1 << 20;

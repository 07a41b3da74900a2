//! Who attends one child: a thread serves its pipes (`pipes`), a task drains standard error, and
//! one watches all that and the clock, and sees to the end.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::oneshot::{Receiver, error::RecvError};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::clock;
use crate::component::multilang::{Encoder, Framer};
use crate::component::shell::death::{Cause, Death};
use crate::component::shell::link::{End, Event, Link};
use crate::component::shell::liveness::{Verdict, Watch, Watched};
use crate::component::shell::pace::Pace;
use crate::component::shell::pipes::Pipes;
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
    link.push(&mut vec![Event::Gone(death.into())], 0);
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
    let (cause, status) = match serve(attendance, link, stdin, stdout) {
        Ok(mut said) => watch(attendance, &mut started.child, &mut said, link).await,
        Err(error) => {
            let reason = format!("its pipes cannot be served: {error}");
            (Cause::Broken(reason), None)
        }
    };
    link.close();
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
        None => {
            // Of one that left its group nothing has ended yet.
            let _ = started.child.start_kill();
            started.child.wait().await.ok()
        }
    };
    // A process that left the group may still hold the pipe.
    let _ = timeout(DRAIN_PATIENCE, &mut stderr).await;
    stderr.abort();
    Death {
        pid: Some(started.process.pid),
        cause,
        status,
        stderr: tail.text(),
    }
}

/// Starts serving the pipes: the receiver gets why that ended.
fn serve(
    attendance: &Attendance,
    link: &Arc<Link>,
    stdin: ChildStdin,
    stdout: ChildStdout,
) -> io::Result<Receiver<Cause>> {
    // A spout's child waits for us after each message.
    let pace = match attendance.watch.component {
        Watched::Bolt => Some(Pace::default()),
        Watched::Spout => None,
    };
    let pipes = Pipes {
        link: Arc::clone(link),
        framer: Framer::new(attendance.encoder.serializer, attendance.message_bytes_max),
        pace,
    };
    pipes.serve(
        &attendance.name,
        stdin.into_owned_fd()?,
        stdout.into_owned_fd()?,
    )
}

/// Until the child ends or has to.
async fn watch(
    attendance: &Attendance,
    child: &mut Child,
    said: &mut Receiver<Cause>,
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
            cause = &mut *said => return (cause.unwrap_or_else(lost), None),
            status = child.wait() => {
                // What it said last is still in the pipe.
                let cause = match timeout(DRAIN_PATIENCE, &mut *said).await {
                    Ok(cause) => cause.unwrap_or_else(lost),
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
            link.push(&mut link.end_turn().into_iter().collect(), 0);
            None
        }
        Verdict::Deaf => Some(Cause::Broken(
            "it closed its standard input and went on".to_owned(),
        )),
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

fn lost(_: RecvError) -> Cause {
    Cause::Broken("whoever served its pipes panicked".to_owned())
}

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For a child that closed its output to exit.
const EXIT_PATIENCE: Duration = Duration::from_secs(1);
/// For the pipes of a child that exited to run dry.
const DRAIN_PATIENCE: Duration = Duration::from_millis(500);

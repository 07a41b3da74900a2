//! Serves the pipes of one child from a thread of its own: reads all that the child says, and
//! writes what its pipe would not take when the executor wrote.
//!
//! A thread and not a task, since a descriptor that an event loop watches wakes the loop at every
//! single write of the child. A thread that rests is on nobody's list: the child writes on, and its
//! output is read in bulk.
//!
//! Reading never waits for writing: a child that is blocked on its output still gets its input, and
//! the other way round.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::io::ioctl_fionread;
use tokio::sync::oneshot;

use crate::clock;
use crate::component::multilang::{Answer, Framer, FromChild, message};
use crate::component::shell::death::Cause;
use crate::component::shell::link::{Event, Link};
use crate::component::shell::pace::{Pace, Pipeline};

/// A child's pipes, and what is made of them.
pub struct Pipes {
    pub link: Arc<Link>,
    pub framer: Framer,
    /// Where the child need not be heard at once.
    pub pace: Option<Pace>,
}

/// What the thread works with.
struct Served {
    pipes: Pipes,
    /// For waiting alone: the link writes.
    input: OwnedFd,
    output: File,
    chunk: Vec<u8>,
    /// What the executor has to hear of one read; empty between reads.
    events: Vec<Event>,
}

/// What there is to wait for.
#[derive(Debug, Clone, Copy)]
pub struct Interest {
    /// Room in the child's input.
    pub input: bool,
    /// Something from the child.
    pub output: bool,
}

// === impl Pipes ===

impl Pipes {
    /// Starts the thread, which ends with the child's output, when the child breaks the rules, or
    /// once the link is closed: the receiver gets why.
    pub fn serve(
        self,
        name: &str,
        input: OwnedFd,
        output: OwnedFd,
    ) -> io::Result<oneshot::Receiver<Cause>> {
        for pipe in [input.as_fd(), output.as_fd()] {
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        self.link.open_input(input.try_clone()?.into());
        let served = Served {
            pipes: self,
            input,
            output: output.into(),
            chunk: vec![0; READ_BYTES],
            events: Vec::new(),
        };
        let (tell, told) = oneshot::channel();
        let builder = thread::Builder::new().name(name.to_owned());
        builder.spawn(move || {
            let _ = tell.send(served.serve());
        })?;
        Ok(told)
    }

    /// Everything that has arrived in whole.
    fn take_messages(&mut self, events: &mut Vec<Event>) -> Result<(), String> {
        let mut n_bytes = 0;
        let taken = loop {
            match self.framer.next_message() {
                Ok(Some(message)) => {
                    n_bytes += message.len();
                    if let Err(reason) = self.take_message(&message, events) {
                        break Err(reason);
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => {
                    let began = message::excerpt(self.framer.buffer());
                    break Err(format!("{error}; the child wrote: {began}"));
                }
            }
        };
        if n_bytes > 0 {
            self.link.note_life();
        }
        self.link.push(events, n_bytes);
        taken
    }

    fn take_message(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), String> {
        let serializer = self.framer.serializer();
        if self.link.has_shaken_hands() {
            if let Some(answer) = Answer::read(serializer, bytes) {
                events.push(Event::Answer(answer));
                return Ok(());
            }
            let message = FromChild::read(serializer, bytes).map_err(|error| error.to_string())?;
            self.link.heard(message, events);
            return Ok(());
        }
        let pid = message::read_pid(serializer, bytes).map_err(|error| {
            format!("no answer to the handshake but something else on its standard output: {error}")
        })?;
        self.link.shake_hands(
            pid.map_or_else(|| "null".to_owned(), |pid| pid.to_string()),
            serializer,
        );
        Ok(())
    }

    /// The output has ended.
    fn finish(mut self, events: &mut Vec<Event>) -> Cause {
        match self.framer.finish() {
            Ok(last) => {
                let taken = self.take_message(&last, events);
                self.link.push(events, last.len());
                match taken {
                    Ok(()) => Cause::Ended {
                        partial: String::new(),
                    },
                    Err(reason) => Cause::Broken(reason),
                }
            }
            Err(rest) => Cause::Ended {
                partial: message::excerpt(&rest),
            },
        }
    }
}

// === impl Served ===

impl Served {
    fn serve(mut self) -> Cause {
        while !self.pipes.link.is_closed() {
            let interest = self.pipes.link.interest();
            if let Err(error) = self.wait(interest) {
                return Cause::Broken(format!("its pipes cannot be watched: {error}"));
            }
            // With nothing to be read this costs one call, rarer than asking what it was.
            if !interest.output {
                continue;
            }
            match self.output.read(&mut self.chunk) {
                Ok(0) => break,
                Ok(n_bytes) => match self.take(n_bytes) {
                    Ok(rest) => rest.into_iter().for_each(thread::sleep),
                    Err(reason) => return Cause::Broken(reason),
                },
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::Interrupted => {}
                    _ => break,
                },
            }
        }
        match self.pipes.link.is_closed() {
            true => Cause::Stopped,
            false => self.pipes.finish(&mut self.events),
        }
    }

    /// Until there is something to do. The bell ends any wait.
    fn wait(&self, interest: Interest) -> nix::Result<()> {
        let bell = self.pipes.link.bell();
        // Whom nobody waits for must not end the wait, not even by an error: the bell stands in.
        let or_bell = |pipe, is_wanted: bool, flags| match is_wanted {
            true => PollFd::new(pipe, flags),
            false => PollFd::new(bell.as_fd(), PollFlags::POLLIN),
        };
        let mut descriptors = [
            PollFd::new(bell.as_fd(), PollFlags::POLLIN),
            or_bell(self.output.as_fd(), interest.output, PollFlags::POLLIN),
            or_bell(self.input.as_fd(), interest.input, PollFlags::POLLOUT),
        ];
        match poll(&mut descriptors, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
        let [rang, ..] = &descriptors;
        if rang.any() == Some(true) {
            // What was rung is reset; one that was not read just now rings again.
            let _ = bell.read();
        }
        Ok(())
    }

    /// What was read just now; gives how long to leave the child alone then.
    fn take(&mut self, n_bytes: usize) -> Result<Option<Duration>, String> {
        let bytes = self.chunk.get(..n_bytes).unwrap_or_default();
        self.pipes.framer.buffer().extend_from_slice(bytes);
        self.pipes.take_messages(&mut self.events)?;
        let Some(pace) = &mut self.pipes.pace else {
            return Ok(None);
        };
        let n_unread = ioctl_fionread(&self.input).unwrap_or(0);
        let pipeline = Pipeline {
            n_written: self.pipes.link.n_bytes_written(),
            n_unread: usize::try_from(n_unread).unwrap_or(usize::MAX),
            n_said: n_bytes,
        };
        Ok(pace.rest(pipeline, clock::monotonic_micros()))
    }
}

/// What a pipe holds.
const READ_BYTES: usize = 64 * 1024;

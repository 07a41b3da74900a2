//! What an executor and those that attend its child share: bytes out, messages in, and signs.
//!
//! Neither side waits for the other in here: locks are held for a copy, a swap or a write that does
//! not block. How a child is started and ended is `attend`, how it is read and written `pipes`.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::Signal;
use tokio::sync::Notify;

use crate::clock;
use crate::component::Waker;
use crate::component::multilang::{Answer, Command, FromChild, Serializer, UnwritableError};
use crate::component::shell::death::Death;
use crate::component::shell::liveness::Sight;
use crate::component::shell::outbox::Outbox;
use crate::component::shell::pipes::Interest;
use crate::component::shell::turns::TurnKind;
use crate::limits;
use crate::process::Process;

/// One child's link with its executor.
pub struct Link {
    outbox: Mutex<Outbox<File>>,
    inbox: Mutex<Inbox>,
    /// Rung when whoever serves the pipes has something new to wait for.
    bell: EventFd,
    /// The child is to end.
    pub ending: Notify,
    end: Mutex<Option<End>>,
    waker: Waker,
    process: OnceLock<Process>,
    /// Parts that the child's pipe took: calls of the system.
    n_writes: AtomicU64,
    n_bytes_written: AtomicU64,
    heard_ms: AtomicU64,
    turn_since_ms: AtomicU64,
    n_emits_ahead: AtomicUsize,
    /// When its input was found closed.
    deaf_since_ms: OnceLock<u64>,
    has_shaken_hands: AtomicBool,
    is_closed: AtomicBool,
    speaks_message_pack: AtomicBool,
}

/// What a child did, as its executor hears of it.
#[derive(Debug)]
pub enum Event {
    /// It answered the handshake, with this as its pid.
    Started {
        pid: String,
    },
    /// What most messages of a bolt's child are.
    Answer(Answer),
    Message(Box<FromChild>),
    /// A spout's child was asked for tuples and had none.
    HadNothing,
    /// The last event.
    Gone(Box<Death>),
}

/// Why a child is to end.
#[derive(Debug, Clone)]
pub enum End {
    /// The task ends.
    Stop,
    /// The child broke the rules.
    Condemned(String),
}

#[derive(Default)]
struct Inbox {
    events: VecDeque<Event>,
    /// Of the messages that the events came in.
    n_bytes: usize,
    /// Nothing is read until the executor has taken what is here.
    is_full: bool,
}

// === impl Link: the executor's side ===

impl Link {
    /// `handshake` is what the child is written first.
    pub fn new(waker: Waker, handshake: Vec<u8>, serializer: Serializer) -> io::Result<Self> {
        Ok(Link {
            outbox: Mutex::new(Outbox::new(handshake)),
            inbox: Mutex::default(),
            bell: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
            ending: Notify::new(),
            end: Mutex::default(),
            waker,
            process: OnceLock::new(),
            n_writes: AtomicU64::new(0),
            n_bytes_written: AtomicU64::new(0),
            heard_ms: AtomicU64::new(clock::monotonic_millis()),
            turn_since_ms: AtomicU64::new(0),
            n_emits_ahead: AtomicUsize::new(0),
            deaf_since_ms: OnceLock::new(),
            has_shaken_hands: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            speaks_message_pack: AtomicBool::new(serializer == Serializer::MessagePack),
        })
    }

    /// What the child speaks, as far as it is known.
    pub fn serializer(&self) -> Serializer {
        match self.speaks_message_pack.load(Ordering::Relaxed) {
            true => Serializer::MessagePack,
            false => Serializer::Json,
        }
    }

    /// How many more tuples may wait to get into the child's pipe. Where there is no room, the
    /// executor is woken when there is.
    pub fn room(&self, n_max: usize) -> usize {
        let mut outbox = self.outbox();
        if outbox.n_unwritten() >= n_max {
            self.pump_unless_watched(&mut outbox);
        }
        let room = n_max.saturating_sub(outbox.n_unwritten());
        outbox.wants_room = room == 0;
        room
    }

    #[cfg(test)]
    pub fn n_writes(&self) -> u64 {
        self.n_writes.load(Ordering::Relaxed)
    }

    /// Leaves a tuple to be written with others.
    pub fn write_tuple(
        &self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), UnwritableError>,
    ) -> Result<(), UnwritableError> {
        let mut outbox = self.outbox();
        write(&mut outbox.bytes)?;
        outbox.count_tuple();
        Ok(())
    }

    /// Writes the tuples that wait: once a turn, not for each.
    pub fn flush(&self) {
        let mut outbox = self.outbox();
        if outbox.n_unwritten() > 0 {
            self.pump_unless_watched(&mut outbox);
        }
    }

    /// Answers the oldest emit that asked for its task ids. The error is why the child must end.
    pub fn write_task_ids(&self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), String> {
        let mut outbox = self.outbox();
        write(&mut outbox.urgent);
        let command = outbox.turns.handle_ids_written();
        self.open_turn(&mut outbox, command);
        self.pump(&mut outbox);
        let n_unread = outbox.urgent.len();
        drop(outbox);
        self.note_life();
        match n_unread <= limits::SHELL_URGENT_BYTES_MAX {
            true => Ok(()),
            false => Err(format!(
                "it asks for task ids and does not read its standard input: {n_unread} bytes of \
                 them wait; emit with need_task_ids false, or read them"
            )),
        }
    }

    /// Sends a command to a spout's child, when its turn has come.
    pub fn submit(&self, kind: TurnKind, command: Vec<u8>) {
        let mut outbox = self.outbox();
        let command = outbox.turns.submit(kind, command);
        self.open_turn(&mut outbox, command);
        self.pump(&mut outbox);
    }

    /// Asks a spout's child for tuples, so many times.
    pub fn grant(&self, n_nexts: usize, command: Vec<u8>) {
        let mut outbox = self.outbox();
        let command = outbox.turns.grant(n_nexts, command);
        self.open_turn(&mut outbox, command);
        self.pump(&mut outbox);
    }

    /// Takes back what was granted and not begun.
    pub fn revoke(&self) {
        self.outbox().turns.revoke();
    }

    /// How often the child is still to be asked for tuples.
    pub fn n_nexts(&self) -> usize {
        self.outbox().turns.n_nexts()
    }

    /// Tracked emits that have arrived and that the executor has not taken up. To be read after
    /// `n_nexts`: what is no turn any more counts here then.
    pub fn n_emits_ahead(&self) -> usize {
        self.n_emits_ahead.load(Ordering::Relaxed)
    }

    /// The executor has taken up a tracked emit.
    pub fn take_up_emit(&self) {
        self.n_emits_ahead.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes what has arrived, oldest first, into `events`, which is empty.
    pub fn take_events(&self, events: &mut VecDeque<Event>) {
        let mut inbox = self.inbox();
        std::mem::swap(&mut inbox.events, events);
        inbox.n_bytes = 0;
        if std::mem::take(&mut inbox.is_full) {
            drop(inbox);
            // It waited for us, not we for it.
            self.note_life();
            self.ring();
        }
    }

    /// Has the child end. The first reason counts.
    pub fn end(&self, end: End) {
        if let (End::Stop, Some(process)) = (&end, self.process.get()) {
            // At once, since the worker itself may be about to end.
            process.signal(Signal::SIGTERM);
        }
        let mut reason = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        reason.get_or_insert(end);
        drop(reason);
        self.ending.notify_one();
    }

    fn open_turn(&self, outbox: &mut Outbox<File>, command: Option<Vec<u8>>) {
        if let Some(command) = command {
            self.turn_since_ms
                .store(clock::monotonic_millis(), Ordering::Relaxed);
            outbox.bytes.extend_from_slice(&command);
        }
    }

    /// A pipe that was full and has somebody who comes back is not asked again: mostly it is still
    /// full, and finding that out costs a call.
    fn pump_unless_watched(&self, outbox: &mut Outbox<File>) {
        if !outbox.is_watched {
            self.pump(outbox);
        }
    }

    /// Writes what the pipe takes now.
    fn pump(&self, outbox: &mut Outbox<File>) {
        let pumped = outbox.pump();
        self.n_writes.fetch_add(pumped.n_writes, Ordering::Relaxed);
        self.n_bytes_written
            .fetch_add(pumped.n_bytes as u64, Ordering::Relaxed);
        if pumped.n_tuples > 0 && std::mem::take(&mut outbox.wants_room) {
            self.waker.wake();
        }
        if pumped.is_broken {
            let _ = self.deaf_since_ms.set(clock::monotonic_millis());
        }
        if pumped.is_full && !std::mem::replace(&mut outbox.is_watched, true) {
            self.ring();
        }
    }

    fn ring(&self) {
        // It fails where nobody has looked for 2^64 rings.
        let _ = self.bell.write(1);
    }
}

// === impl Link: the attendants' side ===

impl Link {
    pub fn born(&self, process: Process) {
        let _ = self.process.set(process);
    }

    pub fn why_end(&self) -> Option<End> {
        self.end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn has_shaken_hands(&self) -> bool {
        self.has_shaken_hands.load(Ordering::Acquire)
    }

    pub fn shake_hands(&self, pid: String, serializer: Serializer) {
        self.speaks_message_pack
            .store(serializer == Serializer::MessagePack, Ordering::Relaxed);
        self.has_shaken_hands.store(true, Ordering::Release);
        self.push(&mut vec![Event::Started { pid }], 0);
    }

    /// The child's input, which must not block.
    pub fn open_input(&self, input: File) {
        self.outbox().open(input);
    }

    /// Whoever serves the pipes is to end; closes the child's input.
    pub fn close(&self) {
        self.outbox().close();
        self.is_closed.store(true, Ordering::SeqCst);
        self.ring();
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Since the child was born.
    pub fn n_bytes_written(&self) -> u64 {
        self.n_bytes_written.load(Ordering::Relaxed)
    }

    pub fn bell(&self) -> &EventFd {
        &self.bell
    }

    /// Writes what waits, and says what to wait for next.
    pub fn interest(&self) -> Interest {
        let mut outbox = self.outbox();
        // Whoever finds the pipe full from here on rings.
        outbox.is_watched = true;
        self.pump(&mut outbox);
        outbox.is_watched = outbox.is_backed_up();
        let input = outbox.is_watched;
        drop(outbox);
        let output = !self.inbox().is_full;
        Interest { input, output }
    }

    pub fn write_heartbeat(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut outbox = self.outbox();
        write(&mut outbox.urgent);
        self.pump(&mut outbox);
    }

    /// The child says something that can be read.
    pub fn note_life(&self) {
        self.heard_ms
            .store(clock::monotonic_millis(), Ordering::Relaxed);
    }

    /// A message arrived: what the executor has to hear of it.
    pub fn heard(&self, message: FromChild, events: &mut Vec<Event>) {
        match message.command {
            Command::Sync => events.extend(self.end_turn()),
            Command::Emit => {
                let wants_ids = message.need_task_ids && message.task == 0;
                self.outbox().turns.handle_emit(wants_ids);
                if message.id.is_some() {
                    // Before its turn ends, so that it is always one or the other.
                    self.n_emits_ahead.fetch_add(1, Ordering::Relaxed);
                }
                events.push(Event::Message(message.into()));
            }
            _ => events.push(Event::Message(message.into())),
        }
    }

    /// Ends the open turn of a spout's child, and opens the next one if a command waits. What the
    /// executor has to hear of it.
    pub fn end_turn(&self) -> Option<Event> {
        let mut outbox = self.outbox();
        let had_nexts = outbox.turns.n_nexts() > 0;
        let step = outbox.turns.handle_sync();
        let is_unasked = had_nexts && outbox.turns.n_nexts() == 0;
        self.open_turn(&mut outbox, step.command);
        self.pump(&mut outbox);
        drop(outbox);
        if is_unasked {
            // Who looked before, at the emit of this turn, saw no room for another one.
            self.waker.wake();
        }
        step.had_nothing.then_some(Event::HadNothing)
    }

    /// Hands events to the executor and wakes it. They came in messages of so many bytes.
    pub fn push(&self, events: &mut Vec<Event>, n_bytes: usize) {
        if !events.is_empty() {
            let mut inbox = self.inbox();
            inbox.events.extend(events.drain(..));
            inbox.n_bytes += n_bytes;
            // A child that talks faster than its tuples go on waits at its pipe.
            inbox.is_full = inbox.events.len() >= limits::SHELL_INBOX_EVENTS_MAX
                || inbox.n_bytes >= limits::SHELL_INBOX_BYTES_MAX;
            drop(inbox);
            self.waker.wake();
        }
    }

    pub fn sight(&self) -> Sight {
        let is_full = self.inbox().is_full;
        let outbox = self.outbox();
        let since_ms = self.turn_since_ms.load(Ordering::Relaxed);
        Sight {
            heard_ms: self.heard_ms.load(Ordering::Relaxed),
            has_shaken_hands: self.has_shaken_hands(),
            turn: outbox.turns.open().map(|kind| (kind, since_ms)),
            waits_for_us: outbox.turns.owes_ids() || is_full,
            deaf_since_ms: self.deaf_since_ms.get().copied(),
        }
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox<File>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::sync::Arc;

    use nix::fcntl::{FcntlArg, OFlag, fcntl};

    use super::*;

    fn link() -> Link {
        Link::new(Waker::idle(), Vec::new(), Serializer::Json).expect("a descriptor")
    }

    fn said(text: &str) -> FromChild {
        FromChild::read(Serializer::Json, text.as_bytes()).expect("a message")
    }

    /// With room for one, that is taken until its turn ends: an emit alone wakes too early.
    #[test]
    fn the_end_of_the_last_turn_wakes_the_executor() {
        let n_wakes = Arc::new(AtomicUsize::new(0));
        let count = n_wakes.clone();
        let waker = Waker::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let link = Link::new(waker, Vec::new(), Serializer::Json).expect("a descriptor");
        link.grant(2, b"next".to_vec());
        let mut events = Vec::new();
        for n_expected in [0, 1] {
            let emit = r#"{"command": "emit", "tuple": [1], "need_task_ids": false}"#;
            link.heard(said(emit), &mut events);
            link.heard(said(r#"{"command": "sync"}"#), &mut events);
            assert_eq!(n_wakes.load(Ordering::Relaxed), n_expected);
        }
        assert_eq!((link.n_nexts(), events.len()), (0, 2));
    }

    /// Else a spout is asked for more than may be pending.
    #[test]
    fn an_emit_counts_until_its_executor_has_taken_it_up() {
        let link = link();
        link.grant(1, b"next".to_vec());
        assert_eq!(link.n_nexts(), 1);
        let mut events = Vec::new();
        link.heard(
            said(r#"{"command": "emit", "tuple": [1], "need_task_ids": false}"#),
            &mut events,
        );
        assert_eq!(link.n_emits_ahead(), 0, "nobody waits for it");
        link.heard(
            said(r#"{"command": "emit", "tuple": [1], "need_task_ids": false, "id": 7}"#),
            &mut events,
        );
        link.heard(said(r#"{"command": "sync"}"#), &mut events);
        assert_eq!((link.n_nexts(), link.n_emits_ahead()), (0, 1));
        link.push(&mut events, 0);
        link.take_events(&mut VecDeque::new());
        assert_eq!(link.n_emits_ahead(), 1);
        link.take_up_emit();
        assert_eq!(link.n_emits_ahead(), 0);
    }

    #[test]
    fn nothing_is_read_while_many_messages_or_large_ones_wait() {
        let link = link();
        let push = |n_bytes| link.push(&mut vec![Event::HadNothing], n_bytes);
        let n_max = limits::SHELL_INBOX_EVENTS_MAX;
        let large = limits::SHELL_INBOX_BYTES_MAX / 2;
        for (n_messages, n_bytes) in [(n_max, 10), (2, large)] {
            for _ in 1..n_messages {
                push(n_bytes);
            }
            assert!(link.interest().output);
            push(n_bytes);
            assert!(!link.interest().output, "{n_messages} of {n_bytes} bytes");
            link.take_events(&mut VecDeque::new());
            assert!(link.interest().output);
        }
    }

    #[test]
    fn a_child_that_asks_for_task_ids_and_reads_none_is_refused_in_the_end() {
        let link = link();
        let (_output, input): (OwnedFd, OwnedFd) = nix::unistd::pipe().expect("a pipe");
        fcntl(&input, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a pipe");
        link.open_input(input.into());
        let list = vec![b'7'; 1 << 20];
        let write = || link.write_task_ids(|out| out.extend_from_slice(&list));
        let n_lists = limits::SHELL_URGENT_BYTES_MAX / list.len();
        let refused = (0..n_lists + 3).find_map(|_| write().err());
        let reason = refused.expect("a bound");
        assert!(
            reason.contains("does not read its standard input"),
            "{reason}"
        );
    }
}

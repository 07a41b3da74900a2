//! What an executor and the tasks that attend its child share: bytes out, messages in, and signs.
//!
//! Neither side waits for the other in here: locks are held for a copy or a swap. How a child is
//! started, read, written and ended is `attend`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use nix::sys::signal::Signal;
use tokio::sync::Notify;

use crate::clock;
use crate::component::Waker;
use crate::component::multilang::{Command, FromChild, Serializer, UnwritableError};
use crate::component::shell::death::Death;
use crate::component::shell::liveness::Sight;
use crate::component::shell::turns::{TurnKind, Turns};
use crate::process::Process;

/// One child's link with its executor.
pub struct Link {
    outbox: Mutex<Outbox>,
    /// Bytes wait to be written.
    pub filled: Notify,
    inbox: Mutex<VecDeque<Event>>,
    /// The executor has taken messages.
    pub drained: Notify,
    /// The child is to end.
    pub ending: Notify,
    end: Mutex<Option<End>>,
    waker: Waker,
    process: OnceLock<Process>,
    /// Tuples that are not in the child's pipe yet.
    n_unwritten: AtomicUsize,
    heard_ms: AtomicU64,
    turn_since_ms: AtomicU64,
    has_shaken_hands: AtomicBool,
    reader_waits: AtomicBool,
    speaks_message_pack: AtomicBool,
}

/// What a child did, as its executor hears of it.
#[derive(Debug)]
pub enum Event {
    /// It answered the handshake, with this as its pid.
    Started {
        pid: String,
    },
    Message(FromChild),
    /// A spout's child was asked for tuples and had none.
    HadNothing,
    /// The last event.
    Gone(Death),
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
struct Outbox {
    /// Task ids and heartbeats: they go before tuples.
    urgent: Vec<u8>,
    bytes: Vec<u8>,
    /// In `bytes`.
    n_tuples: usize,
    turns: Turns,
}

// === impl Link: the executor's side ===

impl Link {
    /// `handshake` is what the child is written first.
    pub fn new(waker: Waker, handshake: Vec<u8>, serializer: Serializer) -> Self {
        let outbox = Outbox {
            urgent: handshake,
            ..Outbox::default()
        };
        Link {
            outbox: Mutex::new(outbox),
            filled: Notify::new(),
            inbox: Mutex::default(),
            drained: Notify::new(),
            ending: Notify::new(),
            end: Mutex::default(),
            waker,
            process: OnceLock::new(),
            n_unwritten: AtomicUsize::new(0),
            heard_ms: AtomicU64::new(clock::monotonic_millis()),
            turn_since_ms: AtomicU64::new(0),
            has_shaken_hands: AtomicBool::new(false),
            reader_waits: AtomicBool::new(false),
            speaks_message_pack: AtomicBool::new(serializer == Serializer::MessagePack),
        }
    }

    /// What the child speaks, as far as it is known.
    pub fn serializer(&self) -> Serializer {
        match self.speaks_message_pack.load(Ordering::Relaxed) {
            true => Serializer::MessagePack,
            false => Serializer::Json,
        }
    }

    /// Tuples that wait to get into the child's pipe.
    pub fn n_unwritten(&self) -> usize {
        self.n_unwritten.load(Ordering::Acquire)
    }

    /// Leaves a tuple to be written when `flush` says so.
    pub fn write_tuple(
        &self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), UnwritableError>,
    ) -> Result<(), UnwritableError> {
        let mut outbox = self.outbox();
        write(&mut outbox.bytes)?;
        outbox.n_tuples += 1;
        self.n_unwritten.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Has the writer write the tuples that it was not told of: once a turn, not for each.
    pub fn flush(&self) {
        if self.n_unwritten() > 0 && self.outbox().n_tuples > 0 {
            self.filled.notify_one();
        }
    }

    /// Answers the oldest emit that asked for its task ids.
    pub fn write_task_ids(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut outbox = self.outbox();
        write(&mut outbox.urgent);
        let command = outbox.turns.handle_ids_written();
        self.open_turn(&mut outbox, command);
        drop(outbox);
        self.heard_ms
            .store(clock::monotonic_millis(), Ordering::Relaxed);
        self.filled.notify_one();
    }

    /// Sends a command to a spout's child, when its turn has come.
    pub fn submit(&self, kind: TurnKind, command: Vec<u8>) {
        let mut outbox = self.outbox();
        let command = outbox.turns.submit(kind, command);
        self.open_turn(&mut outbox, command);
        drop(outbox);
        self.filled.notify_one();
    }

    /// Asks a spout's child for tuples, so many times.
    pub fn grant(&self, n_nexts: usize, command: Vec<u8>) {
        let mut outbox = self.outbox();
        let command = outbox.turns.grant(n_nexts, command);
        self.open_turn(&mut outbox, command);
        drop(outbox);
        self.filled.notify_one();
    }

    /// Takes back what was granted and not begun.
    pub fn revoke(&self) {
        self.outbox().turns.revoke();
    }

    /// How often the child is still to be asked for tuples.
    pub fn n_nexts(&self) -> usize {
        self.outbox().turns.n_nexts()
    }

    /// Takes what has arrived, oldest first, into `events`, which is empty.
    pub fn take_events(&self, events: &mut VecDeque<Event>) {
        std::mem::swap(&mut *self.inbox(), events);
        if !events.is_empty() {
            self.drained.notify_one();
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

    fn open_turn(&self, outbox: &mut Outbox, command: Option<Vec<u8>>) {
        if let Some(command) = command {
            self.turn_since_ms
                .store(clock::monotonic_millis(), Ordering::Relaxed);
            outbox.bytes.extend_from_slice(&command);
        }
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
        self.push(vec![Event::Started { pid }]);
    }

    /// Takes what is to be written: how many tuples are in it.
    pub fn take_output(&self, output: &mut Vec<u8>) -> usize {
        let mut outbox = self.outbox();
        output.clear();
        if !outbox.urgent.is_empty() {
            std::mem::swap(&mut outbox.urgent, output);
            return 0;
        }
        std::mem::swap(&mut outbox.bytes, output);
        std::mem::take(&mut outbox.n_tuples)
    }

    /// So many tuples are in the child's pipe now.
    pub fn wrote(&self, n_tuples: usize) {
        if n_tuples > 0 {
            self.n_unwritten.fetch_sub(n_tuples, Ordering::AcqRel);
            self.waker.wake();
        }
    }

    pub fn write_heartbeat(&self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.outbox().urgent);
        self.filled.notify_one();
    }

    /// A message arrived: what the executor has to hear of it.
    pub fn heard(&self, message: FromChild, events: &mut Vec<Event>) {
        self.heard_ms
            .store(clock::monotonic_millis(), Ordering::Relaxed);
        match message.command {
            Command::Sync => events.extend(self.end_turn()),
            Command::Emit => {
                let wants_ids = message.need_task_ids && message.task == 0;
                self.outbox().turns.handle_emit(wants_ids);
                events.push(Event::Message(message));
            }
            _ => events.push(Event::Message(message)),
        }
    }

    /// Ends the open turn of a spout's child, and opens the next one if a command waits. What the
    /// executor has to hear of it.
    pub fn end_turn(&self) -> Option<Event> {
        let mut outbox = self.outbox();
        let step = outbox.turns.handle_sync();
        let writes = step.command.is_some();
        self.open_turn(&mut outbox, step.command);
        drop(outbox);
        if writes {
            self.filled.notify_one();
        }
        step.had_nothing.then_some(Event::HadNothing)
    }

    /// Hands events to the executor and wakes it.
    pub fn push(&self, events: Vec<Event>) {
        if !events.is_empty() {
            self.inbox().extend(events);
            self.waker.wake();
        }
    }

    /// Waits until the executor has taken most of what arrived: a child that talks faster than its
    /// tuples go on waits at its pipe.
    pub async fn await_room(&self) {
        while self.inbox().len() >= INBOX_EVENTS_MAX {
            self.reader_waits.store(true, Ordering::Relaxed);
            self.drained.notified().await;
        }
        if self.reader_waits.swap(false, Ordering::Relaxed) {
            self.heard_ms
                .store(clock::monotonic_millis(), Ordering::Relaxed);
        }
    }

    pub fn sight(&self) -> Sight {
        let outbox = self.outbox();
        let since_ms = self.turn_since_ms.load(Ordering::Relaxed);
        Sight {
            heard_ms: self.heard_ms.load(Ordering::Relaxed),
            has_shaken_hands: self.has_shaken_hands(),
            turn: outbox.turns.open().map(|kind| (kind, since_ms)),
            waits_for_us: outbox.turns.owes_ids() || self.reader_waits.load(Ordering::Relaxed),
        }
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inbox(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Messages that may wait for their executor.
const INBOX_EVENTS_MAX: usize = 1024;

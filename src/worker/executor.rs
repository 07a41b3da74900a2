//! One executor: its role, its inbox, its emitter, and what the thread has to do for it afterwards.
//!
//! Knows nothing of other executors; the reactor moves what one emits into another's inbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::acker::AckLedger;
use crate::component::Credentials;
use crate::id::{ComponentId, ExecutorId};
use crate::messaging::gauge::WaitMeter;
use crate::worker::bolt::{BoltRole, Credit};
use crate::worker::emit::Emitter;
use crate::worker::inbox::{Inbox, Queued};
use crate::worker::spout::SpoutRole;

/// An executor as its thread holds it.
pub struct Executor {
    pub id: ExecutorId,
    pub component: ComponentId,
    pub inbox: Inbox,
    pub emitter: Emitter,
    pub role: ExecutorRole,
    /// Set by wakers of the executor's tasks.
    pub woken: Arc<AtomicBool>,
    /// Whether the last look found a receiver full.
    pub is_blocked: bool,
    /// When the executor's one live `Alarm::Call` is due. Those due at other times are void.
    pub call_at_us: Option<u64>,
    /// Every time-out, for spouts and ackers.
    pub expire_every: Option<Duration>,
    /// Shown to outsiders after each turn: pending tuples of a spout, and one more while it may
    /// emit.
    pub n_unfinished: Arc<AtomicUsize>,
    /// For receivers with room, while there was something to do.
    pub waits: Arc<WaitMeter>,
    /// Whether that meter runs.
    pub is_waiting: bool,
}

/// What an executor does.
pub enum ExecutorRole {
    Spout(SpoutRole),
    Bolt(BoltRole),
    Acker(AckLedger),
    /// Of a system component that this worker does not run.
    Sink,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Worked,
    Idle,
}

/// Batches that are done, to be emptied and given back.
#[derive(Default)]
pub struct Recycling {
    pub spent: Vec<Queued>,
    /// Someone waits for room in an inbox that has some now.
    pub has_waiter: bool,
}

// === impl Executor ===

impl Executor {
    /// Whether a turn may do anything. Takes note of the wakers.
    #[inline]
    pub fn is_ready(&mut self, now_us: u64) -> bool {
        let woken = self.woken.load(Ordering::Relaxed) && self.woken.swap(false, Ordering::SeqCst);
        match &mut self.role {
            ExecutorRole::Spout(spout) => {
                if woken {
                    spout.woken();
                }
                woken || spout.is_ready(&self.emitter, now_us)
            }
            ExecutorRole::Bolt(bolt) => woken || !self.inbox.is_empty() || bolt.has_tick(),
            ExecutorRole::Acker(_) | ExecutorRole::Sink => !self.inbox.is_empty(),
        }
    }

    /// One turn.
    #[inline]
    pub fn turn(&mut self, recycling: &mut Recycling, now_us: u64) -> Progress {
        self.is_blocked = self.emitter.lanes.is_blocked();
        let credit = match self.is_blocked {
            true => Credit::None,
            false => Credit::Some,
        };
        if self.is_blocked || self.is_waiting {
            self.note_wait(now_us);
        }
        self.emitter.start_turn();
        match &mut self.role {
            ExecutorRole::Spout(spout) => {
                let progress = spout.turn(&mut self.emitter, credit, now_us);
                let n_unfinished = spout.n_unfinished(&self.emitter);
                self.n_unfinished.store(n_unfinished, Ordering::SeqCst);
                progress
            }
            ExecutorRole::Bolt(bolt) => {
                bolt.turn(&mut self.inbox, &mut self.emitter, recycling, credit)
            }
            ExecutorRole::Acker(_) | ExecutorRole::Sink => self.discard_data(recycling),
        }
    }

    #[cold]
    fn note_wait(&mut self, now_us: u64) {
        let has_work = match &self.role {
            ExecutorRole::Spout(spout) => spout.wants_to_emit(&self.emitter),
            ExecutorRole::Bolt(_) => !self.inbox.is_empty(),
            ExecutorRole::Acker(_) | ExecutorRole::Sink => false,
        };
        let is_waiting = self.is_blocked && has_work;
        match (self.is_waiting, is_waiting) {
            (false, true) => self.waits.begin(now_us),
            (true, false) => self.waits.end(now_us),
            _ => {}
        }
        self.is_waiting = is_waiting;
    }

    /// Makes the components ready, as on the first activation and after a pause for a broken one.
    pub fn start(&mut self) {
        self.emitter.start_turn();
        match &mut self.role {
            ExecutorRole::Spout(spout) => spout.start(&mut self.emitter),
            ExecutorRole::Bolt(bolt) => bolt.start(&mut self.emitter),
            ExecutorRole::Acker(_) | ExecutorRole::Sink => {}
        }
    }

    /// Tells the components of other credentials than before.
    pub fn set_credentials(&mut self, credentials: &Credentials) {
        match &mut self.role {
            ExecutorRole::Spout(spout) => spout.set_credentials(credentials, &mut self.emitter),
            ExecutorRole::Bolt(bolt) => bolt.set_credentials(credentials, &mut self.emitter),
            ExecutorRole::Acker(_) | ExecutorRole::Sink => {}
        }
    }

    /// Ends the components.
    pub fn end(&mut self) {
        match &mut self.role {
            ExecutorRole::Spout(spout) => spout.end(&mut self.emitter),
            ExecutorRole::Bolt(bolt) => bolt.end(&mut self.emitter),
            ExecutorRole::Acker(_) | ExecutorRole::Sink => {}
        }
    }

    /// The pause after which broken components are to be made anew.
    pub fn take_restart(&mut self) -> Option<Duration> {
        match &mut self.role {
            ExecutorRole::Spout(spout) => spout.restart_after.take(),
            ExecutorRole::Bolt(bolt) => bolt.restart_after.take(),
            ExecutorRole::Acker(_) | ExecutorRole::Sink => None,
        }
    }

    /// Notes that a call is wanted at a time. True when an alarm has to be set for it: not while
    /// one is set that comes sooner, after which who still wants to be called says so again.
    pub fn wants_call(&mut self, at_us: u64) -> bool {
        let is_sooner = self.call_at_us.is_none_or(|live_us| at_us < live_us);
        if is_sooner {
            self.call_at_us = Some(at_us);
        }
        is_sooner
    }

    /// Whether the call that is due is the live one, which it then no longer is.
    pub fn take_call(&mut self, due_us: u64) -> bool {
        let is_live = self.call_at_us == Some(due_us);
        if is_live {
            self.call_at_us = None;
        }
        is_live
    }

    /// Ackers get records, never tuples: what a user's topology might send there goes nowhere.
    fn discard_data(&mut self, recycling: &mut Recycling) -> Progress {
        while let Some((batch, cursor)) = self.inbox.current() {
            *cursor = batch.len();
            if let Some((spent, has_waiter)) = self.inbox.finish() {
                recycling.add(spent, has_waiter);
            }
        }
        Progress::Worked
    }
}

// === impl Recycling ===

impl Recycling {
    #[inline]
    pub fn add(&mut self, queued: Queued, has_waiter: bool) {
        self.spent.push(queued);
        self.has_waiter |= has_waiter;
    }
}

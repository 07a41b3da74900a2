//! What came from other workers and is not yet taken: the receiver's side of credits.
//!
//! Each sending process has a session, which goes on over its connections; in it each executor
//! here has an account. Bytes are charged when a frame arrives and given back when the tuples are
//! taken off the executor's queue, which is when their receipt is dropped. No I/O, no clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::id::{self, TaskId};
use crate::limits;
use crate::wire::messages::{Credit, Grant, Hello, Welcome};

/// The sessions of all workers that send to this one.
pub struct Sessions {
    window_bytes: u64,
    senders: Mutex<Senders>,
}

#[derive(Default)]
struct Senders {
    sessions: HashMap<Sender, Arc<Session>>,
    /// Those of the newest assignment that is known, and its epoch.
    assigned: Option<(i64, BTreeSet<Sender>)>,
}

/// Node and port of a worker.
pub type Sender = (String, i32);

/// What one process sent.
pub struct Session {
    generation: i64,
    window_bytes: u64,
    state: Mutex<State>,
    due: Arc<Notify>,
}

/// One connection's part in a session, until another connection takes it over.
pub struct Tenure {
    session: Arc<Session>,
    number: u64,
}

#[derive(Default)]
struct State {
    /// Of the series of frames, as the sender numbers it.
    series: i64,
    /// Frames of the series that arrived.
    n_frames: u64,
    n_frames_told: u64,
    /// Of those that the sender has not heard of, frames of ack records.
    n_acks_untold: u32,
    /// Counts connections; only the last one speaks for the sender.
    tenure: u64,
    /// By the executor's first task.
    accounts: BTreeMap<TaskId, Arc<Account>>,
}

/// What one executor got from one sender, in bytes as `sending::charge` counts them. Only grows.
#[derive(Debug)]
struct Account {
    n_received: AtomicU64,
    n_consumed: AtomicU64,
    /// `n_consumed` as the sender knows it.
    n_told: AtomicU64,
    /// What is worth telling at once.
    n_bytes_due: u64,
    due: Arc<Notify>,
}

/// For tuples on an executor's queue: dropping it gives their bytes back to the sender.
#[derive(Debug)]
pub struct Receipt {
    account: Arc<Account>,
    n_bytes: u64,
}

/// Why a frame or a sender is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    #[error("generation {theirs} is out of date: {known} was here")]
    OldGeneration { theirs: i64, known: i64 },
    #[error("session {theirs} is out of date: {known} was here")]
    OldSession { theirs: i64, known: i64 },
    #[error("the slot has no work since epoch {epoch}")]
    Unassigned { epoch: i64 },
    #[error("the sender has another connection")]
    Superseded,
    #[error("{n_bytes} bytes beyond a window of {window_bytes} for task {task}")]
    NoCredit {
        n_bytes: u64,
        window_bytes: u64,
        task: TaskId,
    },
}

// === impl Sessions ===

impl Sessions {
    /// Grants so many bytes to each executor and sender.
    pub fn new(window_bytes: usize) -> Self {
        Sessions {
            window_bytes: window_bytes as u64,
            senders: Mutex::default(),
        }
    }

    /// An assignment has these workers. What others send who were started for an earlier one is
    /// not taken any more: their executors may be another's. Those of a later assignment may come
    /// before it is known here.
    pub fn keep(&self, epoch: i64, assigned: BTreeSet<Sender>) {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        senders.assigned = Some((epoch, assigned));
        let Senders { sessions, assigned } = &mut *senders;
        sessions.retain(|sender, session| {
            let is_over = is_over(assigned.as_ref(), sender, session.generation);
            if is_over.is_some() {
                session.end_tenure();
            }
            is_over.is_none()
        });
    }

    /// A sender greets on a new connection, which alone counts from here on. `welcome` is told how
    /// far it came before.
    pub fn open(&self, hello: &Hello, welcome: &mut Welcome) -> Result<Tenure, SessionError> {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let Senders { sessions, assigned } = &mut *senders;
        let key = (hello.node.clone(), hello.port);
        let theirs = hello.generation;
        if let Some(epoch) = is_over(assigned.as_ref(), &key, theirs) {
            return Err(SessionError::Unassigned { epoch });
        }
        let known = sessions.get(&key).cloned();
        let session = match known {
            Some(known) if known.generation > theirs => {
                let known = known.generation;
                return Err(SessionError::OldGeneration { theirs, known });
            }
            Some(known) if known.generation == theirs => known,
            replaced => {
                if let Some(replaced) = replaced {
                    replaced.end_tenure();
                }
                if sessions.len() >= limits::LINKS_MAX {
                    sessions.retain(|_, session| Arc::strong_count(session) > 1);
                }
                let session = Arc::new(Session::new(theirs, self.window_bytes));
                sessions.insert(key, session.clone());
                session
            }
        };
        drop(senders);
        let number = session.begin(hello.session.unwrap_or(0), welcome)?;
        Ok(Tenure { session, number })
    }
}

/// The epoch since which a worker's slot has no work, if that is so.
fn is_over(
    assigned: Option<&(i64, BTreeSet<Sender>)>,
    sender: &Sender,
    generation: i64,
) -> Option<i64> {
    let (epoch, assigned) = assigned?;
    let is_over = id::epoch_of(generation) <= *epoch && !assigned.contains(sender);
    is_over.then_some(*epoch)
}

// === impl Session ===

impl Session {
    fn new(generation: i64, window_bytes: u64) -> Self {
        Session {
            generation,
            window_bytes,
            state: Mutex::default(),
            due: Arc::default(),
        }
    }

    fn begin(&self, series: i64, welcome: &mut Welcome) -> Result<u64, SessionError> {
        let mut state = self.state();
        if series < state.series {
            let (theirs, known) = (series, state.series);
            return Err(SessionError::OldSession { theirs, known });
        }
        if series > state.series {
            (state.series, state.n_frames) = (series, 0);
        }
        state.tenure += 1;
        welcome.received = i64::try_from(state.n_frames).ok();
        welcome.window = i64::try_from(self.window_bytes).ok();
        let mut grants = Vec::new();
        state.grants(Which::All, &mut grants);
        welcome.grants = Some(grants);
        state.told();
        // Whoever has a tenure so far finds that it is over.
        self.due.notify_one();
        Ok(state.tenure)
    }

    /// Whoever has a tenure finds that it is over.
    fn end_tenure(&self) {
        self.state().tenure += 1;
        self.due.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Tenure ===

impl Tenure {
    /// Counts a frame as arrived and runs `take` on it while no other connection can bring
    /// anything for the same sender.
    pub fn arrived<T>(&self, take: impl FnOnce(&mut Accounts<'_>) -> T) -> Result<T, SessionError> {
        let mut state = self.state()?;
        state.n_frames += 1;
        Ok(take(&mut Accounts {
            session: &self.session,
            state: &mut state,
        }))
    }

    /// What the sender is to hear now, in the place of what `credit` held; false when there is no
    /// news, but to say that somebody is here.
    pub fn credit(&self, credit: &mut Credit) -> Result<bool, SessionError> {
        let mut state = self.state()?;
        credit.grants.clear();
        state.grants(Which::News, &mut credit.grants);
        credit.frames = i64::try_from(state.n_frames).unwrap_or(i64::MAX);
        let is_news = !credit.grants.is_empty() || state.n_frames_told < state.n_frames;
        state.told();
        Ok(is_news)
    }

    /// Whether the sender has not heard of everything yet, or holds anything for us.
    pub fn is_open(&self) -> bool {
        let state = self.session.state();
        let is_open = |account: &Arc<Account>| {
            account.n_told.load(Ordering::Relaxed) < account.n_received.load(Ordering::Relaxed)
        };
        state.n_frames_told < state.n_frames || state.accounts.values().any(is_open)
    }

    /// Whether the sender holds so many frames of ack records that it should hear of them at once.
    pub fn owes_word(&self) -> bool {
        self.session.state().n_acks_untold >= limits::ACK_FRAMES_UNTOLD_MAX
    }

    /// Ends when there is something to tell, or the tenure may be over. Cancel safe.
    pub async fn due(&self) {
        self.session.due.notified().await;
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, SessionError> {
        let state = self.session.state();
        match state.tenure == self.number {
            true => Ok(state),
            false => {
                // The bell may have been meant for the one whose tenure it is.
                self.session.due.notify_one();
                Err(SessionError::Superseded)
            }
        }
    }
}

/// The accounts of a session while a frame is being taken.
pub struct Accounts<'a> {
    session: &'a Session,
    state: &'a mut State,
}

// === impl Accounts ===

impl Accounts<'_> {
    /// The frame has ack records. No window holds these back.
    pub fn note_acks(&mut self) {
        self.state.n_acks_untold += 1;
    }

    /// Charges a frame to the executor whose first task this is. An executor always may be sent
    /// one frame, however large.
    pub fn charge(&mut self, task: TaskId, n_bytes: usize) -> Result<Receipt, SessionError> {
        let n_bytes = n_bytes as u64;
        let session = self.session;
        let account = self.state.accounts.entry(task).or_insert_with(|| {
            Arc::new(Account {
                n_received: AtomicU64::new(0),
                n_consumed: AtomicU64::new(0),
                n_told: AtomicU64::new(0),
                n_bytes_due: (session.window_bytes / 4).max(1),
                due: session.due.clone(),
            })
        });
        let n_before = account.n_received.load(Ordering::Relaxed);
        let n_waiting = n_before - account.n_consumed.load(Ordering::Acquire).min(n_before);
        if n_waiting > 0 && n_waiting + n_bytes > session.window_bytes {
            return Err(SessionError::NoCredit {
                n_bytes: n_waiting + n_bytes - session.window_bytes,
                window_bytes: session.window_bytes,
                task,
            });
        }
        account
            .n_received
            .store(n_before + n_bytes, Ordering::Relaxed);
        Ok(Receipt {
            account: account.clone(),
            n_bytes,
        })
    }
}

// === impl State ===

/// Which accounts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    News,
}

impl State {
    /// The sender hears of all frames that arrived.
    fn told(&mut self) {
        (self.n_frames_told, self.n_acks_untold) = (self.n_frames, 0);
    }

    fn grants(&self, which: Which, into: &mut Vec<Grant>) {
        let grant = |(task, account): (&TaskId, &Arc<Account>)| {
            let n_consumed = account.n_consumed.load(Ordering::Acquire);
            let n_told = account.n_told.swap(n_consumed, Ordering::AcqRel);
            (which == Which::All || n_told < n_consumed).then(|| Grant {
                task: task.0,
                received: account.n_received.load(Ordering::Relaxed) as i64,
                consumed: n_consumed as i64,
            })
        };
        into.extend(self.accounts.iter().filter_map(grant));
    }
}

// === impl Receipt ===

impl Receipt {
    /// Whether both are for the same executor and sender.
    pub fn is_like(&self, other: &Receipt) -> bool {
        Arc::ptr_eq(&self.account, &other.account)
    }

    /// Makes one of two that are alike.
    pub fn join(&mut self, mut other: Receipt) {
        self.n_bytes += std::mem::take(&mut other.n_bytes);
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let account = &self.account;
        let n_before = account.n_consumed.fetch_add(self.n_bytes, Ordering::AcqRel);
        let n_told = account.n_told.load(Ordering::Acquire);
        let is_due = |n_consumed: u64| n_consumed.saturating_sub(n_told) >= account.n_bytes_due;
        // The one that crosses the line rings, not each that follows.
        if is_due(n_before + self.n_bytes) && !is_due(n_before) {
            account.due.notify_one();
        }
    }
}

//! Where the peers of one component are served in one worker: who is here, who holds which task,
//! what is on its way between them. One state machine behind one lock.
//!
//! Pure: time is monotonic milliseconds, given; waiting and sockets are `hall`'s and the worker's.

mod bolts;
mod spouts;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::Notify;

use super::division::{self, Holding, SessionNumber, Taker};
use super::emission::OutStream;
use super::post::PostLine;
use crate::id::{ComponentId, TaskId};
use crate::limits;
use crate::messaging::packing::Packing;
use crate::messaging::peer_packing::PeerPacking;
use crate::wire::Open;
use crate::wire::messages::{GatewayForm, GatewayRole, GatewayStream, LinkCodec};

pub use bolts::{Answers, Work};
pub use spouts::{Fate, Fates, LostPeer};

use bolts::BoltPost;
use spouts::SpoutPost;

/// What a component is to its peers; never changes.
#[derive(Debug)]
pub struct Profile {
    pub component: ComponentId,
    pub role: GatewayRole,
    /// What a peer has to show, if anything.
    pub token: Option<String>,
    pub outputs: Vec<OutStream>,
    pub inputs: Vec<GatewayStream>,
    /// As JSON, without secrets.
    pub conf: String,
    pub topology_id: String,
    /// Whether the topology tracks tuples: else a bolt's peer answers nothing.
    pub is_acking: bool,
    /// How its topology would have tuples packed.
    pub packing: Packing,
}

/// The state of one desk.
#[derive(Debug)]
pub struct Desk {
    profile: Arc<Profile>,
    /// In the order of the tasks' indexes among those of the component.
    posts: BTreeMap<usize, Post>,
    sessions: BTreeMap<SessionNumber, Session>,
    last_session: SessionNumber,
    /// Where the serials of a task go on when it starts over: no handle names two tuples.
    next_serials: BTreeMap<usize, u64>,
}

/// A peer that asks to be let in.
#[derive(Debug, Clone)]
pub struct Ask {
    pub peer: String,
    pub connection: Option<SocketAddr>,
    pub tasks_max: usize,
    pub lease_ms: u64,
    pub credit: usize,
    pub form: GatewayForm,
    /// The best first.
    pub codecs: Vec<Open<LinkCodec>>,
}

/// A call that cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    #[error("{0}")]
    Refused(String),
    #[error("the session is over or was never one: open another")]
    NoSession,
    #[error("{0}")]
    BadRequest(String),
    /// Not now: it may be possible after the session's bell rang.
    #[error("{0}")]
    Full(String),
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The peer said so.
    Left,
    Disconnected,
    Silent,
}

#[derive(Debug)]
struct Session {
    ask: Ask,
    packing: Option<PeerPacking>,
    /// Rings when anything changed that a parked call may wait for.
    bell: Arc<Notify>,
    heard_ms: u64,
    /// Calls that are being served: while there is one the peer is not silent.
    n_calls: usize,
    fates: Fates,
    /// Tracked tuples of it without a fate.
    n_pending: usize,
    /// Whose turn it is to deliver first.
    turn: usize,
}

#[derive(Debug)]
struct Post {
    task: TaskId,
    line: Arc<PostLine>,
    holding: Holding,
    vacant_since_ms: u64,
    told_vacant_ms: Option<u64>,
    /// To be shown under the component.
    troubles: Vec<String>,
    side: Side,
}

#[derive(Debug)]
enum Side {
    Spout(SpoutPost),
    Bolt(BoltPost),
}

// === impl Desk ===

impl Desk {
    pub fn new(profile: Arc<Profile>) -> Self {
        Desk {
            profile,
            posts: BTreeMap::new(),
            sessions: BTreeMap::new(),
            last_session: 0,
            next_serials: BTreeMap::new(),
        }
    }

    pub fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }

    // ---- Tasks ----------------------------------------------------------------------------------

    /// A task starts, or starts over. `index` is its place among those of the component. Gives the
    /// serial of its first tuple.
    pub fn attach(
        &mut self,
        (index, task): (usize, TaskId),
        line: Arc<PostLine>,
        now_ms: u64,
    ) -> u64 {
        self.end_post(index);
        let serial = self.next_serials.get(&index).copied().unwrap_or(1);
        let side = match self.profile.role {
            GatewayRole::Spout => Side::Spout(SpoutPost::default()),
            GatewayRole::Bolt => Side::Bolt(BoltPost::new(self.profile.is_acking, serial)),
        };
        let post = Post {
            task,
            line,
            holding: Holding::default(),
            vacant_since_ms: now_ms,
            told_vacant_ms: None,
            troubles: Vec::new(),
            side,
        };
        self.posts.insert(index, post);
        self.divide(now_ms);
        serial
    }

    /// A task ended. `line` tells it from another one that has taken its place.
    pub fn detach(&mut self, index: usize, line: &Arc<PostLine>, now_ms: u64) {
        let is_same = |post: &Post| Arc::ptr_eq(&post.line, line);
        if self.posts.get(&index).is_some_and(is_same) {
            self.end_post(index);
            self.divide(now_ms);
        }
    }

    /// Tasks that are here, and whether a peer holds them.
    pub fn tasks(&self) -> impl Iterator<Item = (TaskId, bool)> + '_ {
        let posts = self.posts.values();
        posts.map(|post| (post.task, post.holding.holder.is_some()))
    }

    pub fn is_empty(&self) -> bool {
        self.posts.is_empty()
    }

    /// What has to be shown under the component for a task: what peers reported, and trouble with
    /// them.
    pub fn take_troubles(&mut self, index: usize) -> Vec<String> {
        let post = self.posts.get_mut(&index);
        post.map(|post| std::mem::take(&mut post.troubles))
            .unwrap_or_default()
    }

    // ---- Sessions -------------------------------------------------------------------------------

    /// Lets a peer in. Whether it may come in was asked before.
    pub fn open(&mut self, ask: Ask, now_ms: u64) -> Result<SessionNumber, DeskError> {
        if self.sessions.len() >= limits::GATEWAY_SESSIONS_MAX {
            let n = limits::GATEWAY_SESSIONS_MAX;
            let text = format!("{n} peers of this component are connected already");
            return Err(DeskError::Refused(text));
        }
        self.last_session += 1;
        let session = Session {
            packing: self.profile.packing.agree_with_peer(&ask.codecs),
            ask,
            bell: Arc::new(Notify::new()),
            heard_ms: now_ms,
            n_calls: 0,
            fates: Fates::default(),
            n_pending: 0,
            turn: 0,
        };
        self.sessions.insert(self.last_session, session);
        self.divide(now_ms);
        Ok(self.last_session)
    }

    /// A call begins; gives what rings when something changed for this session.
    pub fn begin(&mut self, session: SessionNumber, now_ms: u64) -> Result<Arc<Notify>, DeskError> {
        let session = self.session(session)?;
        session.heard_ms = now_ms;
        session.n_calls += 1;
        Ok(Arc::clone(&session.bell))
    }

    /// A call is over. That of a session that ended meanwhile is nobody's.
    pub fn end_call(&mut self, session: SessionNumber, now_ms: u64) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.heard_ms = now_ms;
            session.n_calls -= 1;
        }
    }

    /// Ends a session: what its peer had and did not answer fails, its tasks go to others.
    pub fn end(&mut self, number: SessionNumber, ending: Ending, now_ms: u64) {
        let Some(session) = self.sessions.remove(&number) else {
            return;
        };
        let component = &self.profile.component;
        for post in self.posts.values_mut() {
            let is_holder = post.holding.holder == Some(number);
            let reason = (ending != Ending::Left).then(|| {
                let (peer, reason) = (&session.ask.peer, ending.reason(session.ask.lease_ms));
                format!("peer `{peer}` of component {component} is lost: {reason}")
            });
            post.lose(number, reason);
            if is_holder {
                post.vacant_since_ms = now_ms;
                post.line.ring();
            }
        }
        let mut holdings = self.holdings();
        division::forget(&mut holdings, number);
        self.hold(&holdings);
        self.divide(now_ms);
        session.bell.notify_waiters();
        // There may be room again for what others wait to emit.
        let others = self.sessions.values();
        others.for_each(|session| session.bell.notify_waiters());
    }

    /// Sessions whose peers have been silent for too long.
    pub fn silent(&self, now_ms: u64) -> Vec<SessionNumber> {
        let is_silent = |session: &Session| {
            session.n_calls == 0 && now_ms.saturating_sub(session.heard_ms) >= session.ask.lease_ms
        };
        let silent = self.sessions.iter().filter(|(_, one)| is_silent(one));
        silent.map(|(number, _)| *number).collect()
    }

    /// Sessions that a connection opened.
    pub fn of_connection(&self, connection: SocketAddr) -> Vec<SessionNumber> {
        let of_it = |session: &Session| session.ask.connection == Some(connection);
        let found = self.sessions.iter().filter(|(_, one)| of_it(one));
        found.map(|(number, _)| *number).collect()
    }

    /// Tells of tasks that nobody holds, those that have not told of late.
    pub fn tell_vacancies(&mut self, now_ms: u64) {
        let component = &self.profile.component;
        for post in self.posts.values_mut() {
            if post.holding.holder.is_some() {
                continue;
            }
            let since = |at_ms: u64| now_ms.saturating_sub(at_ms);
            let is_due = match post.told_vacant_ms {
                None => since(post.vacant_since_ms) >= millis(limits::GATEWAY_VACANT_AFTER),
                Some(told_ms) => since(told_ms) >= millis(limits::GATEWAY_VACANT_AGAIN),
            };
            if is_due {
                post.told_vacant_ms = Some(now_ms);
                let task = post.task;
                post.trouble(format!(
                    "no peer for component {component}: task {task} waits for a process that \
                     opens it at the gateway"
                ));
            }
        }
    }

    /// The tasks that a peer holds.
    pub fn held(&self, number: SessionNumber) -> Vec<TaskId> {
        let posts = self.posts_of(number);
        posts.map(|(_, post)| post.task).collect()
    }

    pub fn credit(&self, number: SessionNumber) -> usize {
        let session = self.sessions.get(&number);
        session.map_or(0, |session| session.ask.credit)
    }

    pub fn form(&self, number: SessionNumber) -> GatewayForm {
        let session = self.sessions.get(&number);
        session.map_or(GatewayForm::Tuples, |session| session.ask.form)
    }

    /// What was agreed with a peer of how tuples are packed.
    pub fn packing(&self, number: SessionNumber) -> Option<PeerPacking> {
        self.sessions.get(&number)?.packing
    }

    /// Errors that a peer reports, to be shown under the component.
    pub fn report(&mut self, number: SessionNumber, errors: Vec<String>) {
        let post = self
            .posts
            .values_mut()
            .find(|post| post.holding.holder == Some(number));
        if let Some(post) = post {
            for mut text in errors {
                text.truncate(text.floor_char_boundary(limits::REPORTED_ERROR_BYTES_MAX));
                post.trouble(text);
            }
        }
    }

    /// What a task had goes with it. A bolt's peer may have some of it still; a spout's hears that
    /// what it wanted emitted fails.
    fn end_post(&mut self, index: usize) {
        match self.posts.remove(&index).map(|post| post.side) {
            Some(Side::Bolt(bolt)) => {
                self.next_serials.insert(index, bolt.next_serial());
            }
            Some(Side::Spout(spout)) => self.settle(&mut spout.into_fails()),
            None => {}
        }
    }

    fn session(&mut self, number: SessionNumber) -> Result<&mut Session, DeskError> {
        self.sessions.get_mut(&number).ok_or(DeskError::NoSession)
    }

    fn posts_of(&self, number: SessionNumber) -> impl Iterator<Item = (usize, &Post)> {
        let posts = self.posts.iter().map(|(index, post)| (*index, post));
        posts.filter(move |(_, post)| post.holding.holder == Some(number))
    }

    fn ring(&self, number: Option<SessionNumber>) {
        if let Some(session) = number.and_then(|number| self.sessions.get(&number)) {
            session.bell.notify_waiters();
        }
    }

    // ---- Division -------------------------------------------------------------------------------

    /// Gives out tasks anew, and tells those whom it concerns.
    fn divide(&mut self, now_ms: u64) {
        let taker = |(number, session): (&SessionNumber, &Session)| Taker {
            session: *number,
            tasks_max: session.ask.tasks_max,
        };
        let takers: Vec<_> = self.sessions.iter().map(taker).collect();
        let before = self.holdings();
        let mut holdings = before.clone();
        let owing: Vec<_> = self.posts.values().map(Post::is_owing).collect();
        division::divide(&mut holdings, &takers, |place| owing[place]);
        self.hold(&holdings);
        for (post, was) in self.posts.values_mut().zip(&before) {
            match (was.holder, post.holding.holder) {
                (Some(_), None) => post.vacant_since_ms = now_ms,
                (_, Some(_)) => post.told_vacant_ms = None,
                (None, None) => {}
            }
        }
        if holdings != before {
            self.sessions
                .values()
                .for_each(|session| session.bell.notify_waiters());
        }
        self.set_shares();
    }

    fn set_shares(&self) {
        for post in self.posts.values() {
            // One that moves takes nothing on until it has moved.
            let holder = post.holding.holder.filter(|_| post.holding.next.is_none());
            let share = holder.and_then(|number| {
                let credit = self.sessions.get(&number)?.ask.credit;
                let n_tasks = self.posts_of(number).count().max(1);
                Some((credit / n_tasks).max(1))
            });
            post.line.set_share(share.unwrap_or(0));
        }
    }

    fn holdings(&self) -> Vec<Holding> {
        self.posts.values().map(|post| post.holding).collect()
    }

    fn hold(&mut self, holdings: &[Holding]) {
        for (post, holding) in self.posts.values_mut().zip(holdings) {
            post.holding = *holding;
        }
    }
}

// === impl Post ===

impl Post {
    /// What a peer had of the task fails. One that left by itself (no reason) is not told of what
    /// it emitted, but that goes on.
    fn lose(&mut self, session: SessionNumber, reason: Option<String>) {
        let is_holder = self.holding.holder == Some(session);
        match (&mut self.side, reason) {
            (Side::Bolt(bolt), reason) if is_holder => {
                let (n_lost, task) = (bolt.lose(), self.task);
                if let Some(reason) = reason {
                    self.trouble(lost(&reason, n_lost, task));
                }
            }
            (Side::Spout(spout), Some(reason)) => {
                spout.lose(session, is_holder, reason);
                self.line.set_queue(spout.has_queue());
                self.line.ring();
            }
            (Side::Spout(_) | Side::Bolt(_), _) => {}
        }
    }

    /// Whether its holder has not answered all it has.
    fn is_owing(&self) -> bool {
        match &self.side {
            Side::Bolt(bolt) => bolt.is_owing(),
            // What a spout's peer emitted comes back to it whoever holds the task.
            Side::Spout(_) => false,
        }
    }

    fn trouble(&mut self, text: String) {
        if self.troubles.len() < limits::GATEWAY_ERRORS_MAX {
            self.troubles.push(text);
        }
        self.line.ring();
    }
}

// === impl Ending ===

impl Ending {
    fn reason(self, lease_ms: u64) -> String {
        match self {
            Ending::Left => "it left".to_owned(),
            Ending::Disconnected => "its connection ended".to_owned(),
            Ending::Silent => format!("it was silent for {lease_ms} ms"),
        }
    }
}

/// What is shown under the component of a peer that is lost.
pub fn lost(reason: &str, n_lost: usize, task: TaskId) -> String {
    format!("{reason}; {n_lost} tuples of task {task} fail")
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

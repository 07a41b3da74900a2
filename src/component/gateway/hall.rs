//! All desks of a worker, and the sessions at them: finds the desk of a call, lets calls wait, ends
//! sessions that hang up or fall silent.
//!
//! Knows no socket: who calls is said by `Visitor`. Locks are held for one step of a desk, never
//! while waiting.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::desk::{Desk, Ending, Fates, Profile};
use super::division::SessionNumber;
use super::emission::EmissionError;
use super::run::Run;
use crate::clock;
use crate::id::{ComponentId, TaskId};
use crate::messaging::peer_packing::{PeerPacking, PeerUnpackError};
use crate::wire::messages::{GatewayForm, GatewayRole};

pub use super::desk::{Answers, Ask, DeskError};
pub use super::emission::Draft;

/// The desks of one worker.
#[derive(Debug, Default)]
pub struct Hall {
    desks: Mutex<BTreeMap<ComponentId, Arc<OpenDesk>>>,
    sessions: Mutex<HashMap<String, Ticket>>,
}

/// A desk behind its lock.
#[derive(Debug)]
pub struct OpenDesk {
    pub profile: Arc<Profile>,
    state: Mutex<Desk>,
}

/// Who calls.
#[derive(Debug, Clone, Default)]
pub struct Visitor {
    pub connection: Option<SocketAddr>,
    /// The name it proved, where the port asks for one.
    pub principal: Option<String>,
}

/// A session that was opened.
#[derive(Debug)]
pub struct Opened {
    /// By which the peer is known from now on.
    pub secret: String,
    pub desk: Arc<OpenDesk>,
    pub number: SessionNumber,
}

/// What a spout's peer is told.
#[derive(Debug)]
pub struct SpoutReply {
    pub fates: Fates,
    pub credit: usize,
    pub tasks: Vec<TaskId>,
    pub is_active: bool,
}

/// What a bolt's peer is told.
#[derive(Debug)]
pub struct BoltReply {
    /// With the index of each run's task.
    pub runs: Vec<(usize, Run)>,
    pub tasks: Vec<TaskId>,
    pub form: GatewayForm,
    pub packing: Option<PeerPacking>,
}

/// A call of a session: while it lives the peer is not silent.
#[derive(Debug)]
pub struct Call {
    pub desk: Arc<OpenDesk>,
    number: SessionNumber,
    bell: Arc<Notify>,
}

#[derive(Debug, Clone)]
struct Ticket {
    desk: Arc<OpenDesk>,
    number: SessionNumber,
    principal: Option<String>,
}

// === impl Hall ===

impl Hall {
    /// The desk of a component; made by the first of its tasks that asks.
    pub fn desk(&self, profile: Profile) -> Arc<OpenDesk> {
        let mut desks = lock(&self.desks);
        let desk = desks.entry(profile.component.clone()).or_insert_with(|| {
            let profile = Arc::new(profile);
            Arc::new(OpenDesk {
                state: Mutex::new(Desk::new(Arc::clone(&profile))),
                profile,
            })
        });
        Arc::clone(desk)
    }

    /// Tasks by component, and whether a peer holds them.
    pub fn report(&self) -> BTreeMap<ComponentId, BTreeMap<TaskId, bool>> {
        let desks = lock(&self.desks);
        let desks = desks.iter().filter(|(_, desk)| !desk.lock().is_empty());
        desks
            .map(|(component, desk)| (component.clone(), desk.lock().tasks().collect()))
            .collect()
    }

    /// Lets a peer in that may come in.
    pub fn open(
        &self,
        (component, role): (&str, GatewayRole),
        token: Option<&str>,
        visitor: &Visitor,
        ask: Ask,
    ) -> Result<Opened, DeskError> {
        let desk = lock(&self.desks)
            .get(&ComponentId::from(component))
            .cloned();
        let desk = desk.filter(|desk| !desk.lock().is_empty()).ok_or_else(|| {
            DeskError::Refused(format!("no task of a component `{component}` is open here"))
        })?;
        let profile = &desk.profile;
        if profile.role != role {
            let (is, asked) = (name(profile.role), name(role));
            let text = format!("component `{component}` is a {is}, not a {asked}");
            return Err(DeskError::Refused(text));
        }
        if let Some(wanted) = &profile.token
            && !is_same(wanted, token.unwrap_or_default())
        {
            let text = format!("component `{component}` asks for another token");
            return Err(DeskError::Refused(text));
        }
        let secret = secret()?;
        let number = desk.lock().open(ask, clock::monotonic_millis())?;
        let ticket = Ticket {
            desk: Arc::clone(&desk),
            number,
            principal: visitor.principal.clone(),
        };
        lock(&self.sessions).insert(secret.clone(), ticket);
        Ok(Opened {
            secret,
            desk,
            number,
        })
    }

    /// Begins a call of a session.
    pub fn enter(&self, secret: &str, visitor: &Visitor) -> Result<Call, DeskError> {
        let ticket = lock(&self.sessions).get(secret).cloned();
        let ticket = ticket.filter(|ticket| ticket.principal == visitor.principal);
        let Ticket { desk, number, .. } = ticket.ok_or(DeskError::NoSession)?;
        let bell = desk.lock().begin(number, clock::monotonic_millis())?;
        Ok(Call { desk, number, bell })
    }

    /// A peer goes.
    pub fn leave(&self, secret: &str, visitor: &Visitor) -> Result<(), DeskError> {
        let call = self.enter(secret, visitor)?;
        self.end(&call.desk, call.number, Ending::Left);
        Ok(())
    }

    /// A connection ended, and with it the sessions that it opened.
    pub fn hung_up(&self, connection: SocketAddr) {
        for desk in self.all() {
            let ended = desk.lock().of_connection(connection);
            for number in ended {
                self.end(&desk, number, Ending::Disconnected);
            }
        }
    }

    /// Ends sessions of silent peers and tells of tasks without one. To be called often.
    pub fn tick(&self, now_ms: u64) {
        for desk in self.all() {
            let silent = desk.lock().silent(now_ms);
            for number in silent {
                self.end(&desk, number, Ending::Silent);
            }
            desk.lock().tell_vacancies(now_ms);
        }
    }

    fn all(&self) -> Vec<Arc<OpenDesk>> {
        lock(&self.desks).values().cloned().collect()
    }

    fn end(&self, desk: &Arc<OpenDesk>, number: SessionNumber, ending: Ending) {
        let is_it = |ticket: &Ticket| ticket.number == number && Arc::ptr_eq(&ticket.desk, desk);
        lock(&self.sessions).retain(|_, ticket| !is_it(ticket));
        desk.lock().end(number, ending, clock::monotonic_millis());
        let component = &desk.profile.component;
        tracing::info!(%component, session = number, ?ending, "a gateway session ended");
    }
}

// === impl OpenDesk ===

impl OpenDesk {
    pub fn lock(&self) -> MutexGuard<'_, Desk> {
        lock(&self.state)
    }
}

// === impl Call ===

impl Call {
    /// Takes tuples on, as soon as there is room; then tells what became of earlier ones. Without
    /// tuples it waits for that.
    pub async fn emit(
        &self,
        task: Option<TaskId>,
        mut drafts: Vec<Draft>,
        wait: Duration,
    ) -> Result<SpoutReply, DeskError> {
        let until = Instant::now() + wait;
        let is_question = drafts.is_empty();
        self.when_possible(until, |desk, number| desk.push(number, task, &mut drafts))
            .await?;
        loop {
            let mut bell = pin!(self.bell.notified());
            bell.as_mut().enable();
            let reply = self.spout_reply()?;
            if !is_question || !reply.fates.is_empty() || timeout_at(until, bell).await.is_err() {
                return Ok(reply);
            }
        }
    }

    /// Does what the peer says to its tuples, then gives it more, as soon as there are any.
    pub async fn receive(
        &self,
        mut answers: Answers,
        tuples_max: usize,
        wait: Duration,
    ) -> Result<BoltReply, DeskError> {
        let until = Instant::now() + wait;
        let now_ms = clock::monotonic_millis();
        self.when_possible(until, |desk, number| {
            desk.answer(number, &mut answers, now_ms)
        })
        .await?;
        loop {
            let mut bell = pin!(self.bell.notified());
            bell.as_mut().enable();
            let reply = self.bolt_reply(tuples_max)?;
            let is_done = tuples_max == 0 || !reply.runs.is_empty();
            if is_done || timeout_at(until, bell).await.is_err() {
                return Ok(reply);
            }
        }
    }

    /// What was agreed of how tuples are packed.
    pub fn packing(&self) -> Option<PeerPacking> {
        self.desk.lock().packing(self.number)
    }

    /// Shows errors under the component.
    pub fn report(&self, errors: Vec<String>) {
        if !errors.is_empty() {
            self.desk.lock().report(self.number, errors);
        }
    }

    async fn when_possible(
        &self,
        until: Instant,
        mut step: impl FnMut(&mut Desk, SessionNumber) -> Result<(), DeskError>,
    ) -> Result<(), DeskError> {
        loop {
            let mut bell = pin!(self.bell.notified());
            bell.as_mut().enable();
            let done = step(&mut self.desk.lock(), self.number);
            let Err(DeskError::Full(reason)) = done else {
                return done;
            };
            if timeout_at(until, bell).await.is_err() {
                return Err(DeskError::Full(reason));
            }
        }
    }

    fn spout_reply(&self) -> Result<SpoutReply, DeskError> {
        let mut desk = self.desk.lock();
        let (fates, credit) = desk.take_fates(self.number)?;
        Ok(SpoutReply {
            fates,
            credit,
            tasks: desk.held(self.number),
            is_active: desk.is_active(),
        })
    }

    fn bolt_reply(&self, tuples_max: usize) -> Result<BoltReply, DeskError> {
        let mut desk = self.desk.lock();
        Ok(BoltReply {
            runs: desk.take(self.number, tuples_max)?,
            tasks: desk.held(self.number),
            form: desk.form(self.number),
            packing: desk.packing(self.number),
        })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let now_ms = clock::monotonic_millis();
        self.desk.lock().end_call(self.number, now_ms);
    }
}

impl From<EmissionError> for DeskError {
    fn from(error: EmissionError) -> Self {
        DeskError::BadRequest(error.to_string())
    }
}

impl From<PeerUnpackError> for DeskError {
    fn from(error: PeerUnpackError) -> Self {
        DeskError::BadRequest(error.to_string())
    }
}

// === impl Profile ===

impl Profile {
    /// Refuses calls of the other role.
    pub fn expect(&self, role: GatewayRole) -> Result<(), DeskError> {
        if self.role == role {
            return Ok(());
        }
        let (is, not) = (name(self.role), name(role));
        let text = format!("component `{}` is a {is}, not a {not}", self.component);
        Err(DeskError::BadRequest(text))
    }
}

/// Storm's word for it.
fn name(role: GatewayRole) -> &'static str {
    match role {
        GatewayRole::Spout => "spout",
        GatewayRole::Bolt => "bolt",
    }
}

/// Compares what was hashed: how long it takes tells nothing of the token.
fn is_same(wanted: &str, given: &str) -> bool {
    let hash = |text: &str| digest(&SHA256, text.as_bytes());
    hash(wanted).as_ref() == hash(given).as_ref()
}

/// Nobody guesses it.
fn secret() -> Result<String, DeskError> {
    let mut random = [0; SECRET_BYTES];
    let filled = SystemRandom::new().fill(&mut random);
    let none = "this machine gives no random numbers for a session";
    filled.map_err(|_| DeskError::Refused(none.to_owned()))?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const SECRET_BYTES: usize = 18;

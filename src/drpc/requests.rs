//! The requests that are open, who waits for them and who took them: Storm's rules without a
//! socket, a task or a clock (control-plane 10.1).
//!
//! Nothing outlives its request: a function has an entry only while a request waits in it or a
//! fetch is parked for it, a session only while it holds requests. So names that were called once
//! cost nothing, however many there are.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::wire::storm::{DRPCExceptionType, DRPCExecutionException};

/// Everything that one DRPC server has open. `C` is a client that waits for an outcome, `F` a fetch
/// that waits for a request; both are only kept and given back.
///
/// Times are monotonic microseconds. Calls of the same moment may come in any order.
#[derive(Debug)]
pub struct Requests<C, F> {
    bounds: Bounds,
    last_id: u64,
    /// By id, which is also the order of their deadlines: all have the same time.
    open: BTreeMap<u64, Open<C>>,
    functions: HashMap<Arc<str>, Function<F>>,
    sessions: HashMap<Arc<str>, Session>,
    n_bytes: usize,
    n_parked: u64,
}

/// What the server may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// `drpc.request.timeout.secs`, in microseconds.
    pub timeout_us: u64,
    pub requests_max: usize,
    /// Names and arguments of open requests together.
    pub bytes_max: usize,
    pub function_bytes_max: usize,
    pub session_bytes_max: usize,
    /// Arguments that one fetch takes beyond the first.
    pub fetch_bytes_max: usize,
    /// Requests that wait in one function.
    pub queue_max: usize,
    /// How long a session may be silent beyond the time that its fetch may be parked.
    pub silence_us: u64,
    /// How long a session whose connection broke has to come back on another one.
    pub return_us: u64,
}

/// What became of a request.
pub type Outcome = Result<String, DRPCExecutionException>;

/// A request on its way to a spout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub id: u64,
    pub args: String,
}

/// A request that goes to a fetch that was parked.
#[derive(Debug)]
pub struct HandOver<F> {
    pub fetch: F,
    pub request: Taken,
}

/// Who fetches.
#[derive(Clone, Copy, Debug)]
pub enum Fetcher<'a> {
    /// Storm's `fetchRequest`: nobody can tell whether it lives, since it may come on a connection
    /// of its own for each call.
    Poller,
    /// A spout of ours, which calls again and again under one name.
    Session(Caller<'a>),
}

/// A spout of ours that calls.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    pub session: &'a str,
    pub peer: Option<SocketAddr>,
    /// How long its call may be parked.
    pub wait_us: u64,
    /// Counts the calls of the session.
    pub call: i64,
    /// The last call whose reply reached it: what was given to another one since, it never saw.
    pub answered: i64,
}

/// A request that is refused before it begins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("a function's name has at most {max} bytes, this one has {given}")]
    LongName { given: usize, max: usize },
    #[error("function {function} has {max} requests that no topology has fetched: try again later")]
    FullQueue { function: String, max: usize },
    #[error("this DRPC server has {max} requests open: try again later, or on another server")]
    Full { max: usize },
    #[error(
        "this DRPC server holds {max} bytes of requests: try again later, or on another server"
    )]
    FullOfBytes { max: usize },
}

/// The name of a session is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session's name has 1 to {max} bytes")]
pub struct SessionNameError {
    pub max: usize,
}

#[derive(Debug)]
struct Open<C> {
    function: Arc<str>,
    /// Until it is certain that a spout has them.
    args: String,
    client: C,
    due_us: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting,
    Fetched(Option<Arc<str>>),
}

/// Never has both, a request that waits and a fetch that is parked.
#[derive(Debug)]
struct Function<F> {
    waiting: BTreeSet<u64>,
    parked: VecDeque<Parked<F>>,
}

#[derive(Debug)]
struct Parked<F> {
    number: u64,
    session: Arc<str>,
    holder: Holder,
    fetch: F,
}

/// How a session took a request.
#[derive(Clone, Copy, Debug)]
struct Holder {
    peer: Option<SocketAddr>,
    until_us: u64,
    call: i64,
}

/// A spout that holds requests.
#[derive(Debug)]
struct Session {
    held: BTreeSet<u64>,
    /// Of these, what a call was given, and its number: the next call says whether that arrived.
    unconfirmed: Vec<(u64, i64)>,
    peer: Option<SocketAddr>,
    /// When it counts as lost unless it calls.
    until_us: u64,
}

// === impl Requests ===

impl<C, F> Requests<C, F> {
    /// Ids go on behind `last_id`.
    pub fn new(bounds: Bounds, last_id: u64) -> Self {
        Requests {
            bounds,
            last_id,
            open: BTreeMap::new(),
            functions: HashMap::new(),
            sessions: HashMap::new(),
            n_bytes: 0,
            n_parked: 0,
        }
    }

    /// Opens a request; gives its id, and the parked fetch that takes it, if there is one.
    pub fn execute(
        &mut self,
        function: &str,
        args: String,
        client: C,
        now_us: u64,
    ) -> Result<(u64, Option<HandOver<F>>), Refusal> {
        self.admit(function, args.len())?;
        self.last_id += 1;
        let id = self.last_id;
        let name = match self.functions.get_key_value(function) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(function),
        };
        self.n_bytes += function.len() + args.len();
        let mut request = Open {
            function: name,
            args,
            client,
            due_us: now_us.saturating_add(self.bounds.timeout_us),
            state: State::Waiting,
        };
        let hand_over = self.place(id, &mut request);
        self.open.insert(id, request);
        Ok((id, hand_over))
    }

    /// Takes the requests of a function that wait longest, at most `max`.
    pub fn fetch(
        &mut self,
        function: &str,
        fetcher: Fetcher<'_>,
        max: usize,
        now_us: u64,
    ) -> Vec<Taken> {
        let mut taken = Vec::new();
        let Some((name, of)) = self.functions.get_key_value(function) else {
            return taken;
        };
        let name = Arc::clone(name);
        let ids: Vec<u64> = of.waiting.iter().take(max).copied().collect();
        let mut n_bytes = 0;
        for id in ids {
            let Some(mut request) = self.open.remove(&id) else {
                continue;
            };
            n_bytes += request.args.len();
            if !taken.is_empty() && n_bytes > self.bounds.fetch_bytes_max {
                self.open.insert(id, request);
                break;
            }
            if let Some(function) = self.functions.get_mut(&name) {
                function.waiting.remove(&id);
            }
            let args = match fetcher {
                Fetcher::Poller => {
                    request.state = State::Fetched(None);
                    self.n_bytes -= request.args.len();
                    std::mem::take(&mut request.args)
                }
                Fetcher::Session(caller) => {
                    let holder = self.holder(caller, now_us);
                    self.hold(id, &mut request, &Arc::from(caller.session), holder);
                    request.args.clone()
                }
            };
            self.open.insert(id, request);
            taken.push(Taken { id, args });
        }
        self.forget_if_idle(&name);
        taken
    }

    /// A spout of ours calls: what it holds stays its own for as long again. What a call of its
    /// before was given and did not reach it waits again, or goes to the fetches that are returned.
    pub fn heard(
        &mut self,
        caller: Caller<'_>,
        now_us: u64,
    ) -> Result<Vec<HandOver<F>>, SessionNameError> {
        let max = self.bounds.session_bytes_max;
        if caller.session.is_empty() || caller.session.len() > max {
            return Err(SessionNameError { max });
        }
        let holder = self.holder(caller, now_us);
        let Some(session) = self.sessions.get_mut(caller.session) else {
            return Ok(Vec::new());
        };
        session.until_us = holder.until_us;
        session.peer = caller.peer;
        let mut given_again = Vec::new();
        for (id, call) in std::mem::take(&mut session.unconfirmed) {
            // By its very number: a fetch that its spout gave up may still be parked on a dead
            // connection, and be given something after a later one was answered.
            if call != caller.answered {
                given_again.extend(self.put_back(id));
            } else if let Some(request) = self.open.get_mut(&id) {
                self.n_bytes -= request.args.len();
                request.args = String::new();
            }
        }
        Ok(given_again)
    }

    /// Parks a fetch of a function in which nothing waits; gives the number to unpark it by.
    pub fn park(&mut self, function: &str, caller: Caller<'_>, fetch: F, now_us: u64) -> u64 {
        self.n_parked += 1;
        let parked = Parked {
            number: self.n_parked,
            session: Arc::from(caller.session),
            holder: self.holder(caller, now_us),
            fetch,
        };
        let function = match self.functions.get_mut(function) {
            Some(function) => function,
            None => self.functions.entry(Arc::from(function)).or_default(),
        };
        function.parked.push_back(parked);
        self.n_parked
    }

    /// Gives a parked fetch back; `None` when it got its request already.
    pub fn unpark(&mut self, function: &str, number: u64) -> Option<F> {
        let of = self.functions.get_mut(function)?;
        let place = of
            .parked
            .iter()
            .position(|parked| parked.number == number)?;
        let parked = of.parked.remove(place)?;
        self.forget_if_idle(function);
        Some(parked.fetch)
    }

    /// A request that was given to a spout of ours did not reach it: it waits again, before all
    /// that came after it.
    pub fn put_back(&mut self, id: u64) -> Option<HandOver<F>> {
        let mut request = self.open.remove(&id)?;
        self.let_go(id, &request);
        let hand_over = self.place(id, &mut request);
        self.open.insert(id, request);
        hand_over
    }

    /// The function of an open request.
    pub fn function_of(&self, id: u64) -> Option<&str> {
        self.open.get(&id).map(|request| &*request.function)
    }

    /// Ends a request, whoever has it; gives the client that waits for it.
    pub fn close(&mut self, id: u64) -> Option<C> {
        let request = self.open.remove(&id)?;
        self.n_bytes -= request.function.len() + request.args.len();
        self.let_go(id, &request);
        if let State::Waiting = request.state {
            if let Some(function) = self.functions.get_mut(&request.function) {
                function.waiting.remove(&id);
            }
            self.forget_if_idle(&request.function);
        }
        Some(request.client)
    }

    /// A connection of spouts ended. Its parked fetches are given back; what its sessions hold
    /// waits a little for them to come back on another connection.
    pub fn hung_up(&mut self, peer: SocketAddr, now_us: u64) -> Vec<F> {
        let until_us = now_us.saturating_add(self.bounds.return_us);
        for session in self.sessions.values_mut() {
            if session.peer == Some(peer) {
                session.until_us = session.until_us.min(until_us);
            }
        }
        let mut given_back = Vec::new();
        self.functions.retain(|_, function| {
            while let Some(place) = function
                .parked
                .iter()
                .position(|p| p.holder.peer == Some(peer))
            {
                given_back.extend(function.parked.remove(place).map(|parked| parked.fetch));
            }
            !function.is_idle()
        });
        given_back
    }

    /// What ran out of time by now: requests, and those of spouts that count as lost.
    pub fn expire(&mut self, now_us: u64) -> Vec<(C, Outcome)> {
        let mut ended = Vec::new();
        while let Some((&id, request)) = self.open.first_key_value() {
            if request.due_us > now_us {
                break;
            }
            ended.extend(self.close(id).map(|client| (client, Err(timed_out()))));
        }
        let is_lost = |session: &Session| session.until_us <= now_us;
        let lost = self.sessions.values().filter(|session| is_lost(session));
        let lost: Vec<u64> = lost.flat_map(|session| &session.held).copied().collect();
        for id in lost {
            ended.extend(self.close(id).map(|client| (client, Err(spout_lost()))));
        }
        ended
    }

    /// When `expire` has something to do next.
    pub fn next_deadline_us(&self) -> Option<u64> {
        let due = self.open.first_key_value();
        let due = due.map(|(_, request)| request.due_us);
        let lost = self.sessions.values().map(|session| session.until_us).min();
        due.into_iter().chain(lost).min()
    }

    /// The server ends: every client and every parked fetch, at once.
    pub fn shut_down(&mut self) -> (Vec<C>, Vec<F>) {
        let ids: Vec<u64> = self.open.keys().copied().collect();
        let clients = ids.into_iter().filter_map(|id| self.close(id)).collect();
        let functions = self.functions.drain().flat_map(|(_, of)| of.parked);
        (clients, functions.map(|parked| parked.fetch).collect())
    }

    /// Open requests.
    #[cfg(test)]
    pub fn n_open(&self) -> usize {
        self.open.len()
    }

    /// Functions and sessions that have an entry, and bytes that are held.
    #[cfg(test)]
    pub fn footprint(&self) -> (usize, usize, usize) {
        (self.functions.len(), self.sessions.len(), self.n_bytes)
    }

    fn admit(&self, function: &str, n_args: usize) -> Result<(), Refusal> {
        let Bounds {
            function_bytes_max,
            queue_max,
            requests_max,
            bytes_max,
            ..
        } = self.bounds;
        if function.len() > function_bytes_max {
            let (given, max) = (function.len(), function_bytes_max);
            return Err(Refusal::LongName { given, max });
        }
        let waiting = self.functions.get(function).map(|of| of.waiting.len());
        if waiting.is_some_and(|n_waiting| n_waiting >= queue_max) {
            let function = function.to_owned();
            let max = queue_max;
            return Err(Refusal::FullQueue { function, max });
        }
        if self.open.len() >= requests_max {
            return Err(Refusal::Full { max: requests_max });
        }
        let wanted = self.n_bytes.saturating_add(function.len() + n_args);
        if wanted > bytes_max {
            return Err(Refusal::FullOfBytes { max: bytes_max });
        }
        Ok(())
    }

    /// Gives a request to the fetch that has been parked longest; without one it waits.
    fn place(&mut self, id: u64, request: &mut Open<C>) -> Option<HandOver<F>> {
        let name = Arc::clone(&request.function);
        let function = self.functions.entry(Arc::clone(&name)).or_default();
        let Some(parked) = function.parked.pop_front() else {
            function.waiting.insert(id);
            request.state = State::Waiting;
            return None;
        };
        self.forget_if_idle(&name);
        self.hold(id, request, &parked.session, parked.holder);
        Some(HandOver {
            fetch: parked.fetch,
            request: Taken {
                id,
                args: request.args.clone(),
            },
        })
    }

    /// The session has the request from now on.
    fn hold(&mut self, id: u64, request: &mut Open<C>, name: &Arc<str>, holder: Holder) {
        let session = self.sessions.entry(Arc::clone(name)).or_insert(Session {
            held: BTreeSet::new(),
            unconfirmed: Vec::new(),
            peer: holder.peer,
            until_us: holder.until_us,
        });
        session.held.insert(id);
        session.unconfirmed.push((id, holder.call));
        request.state = State::Fetched(Some(Arc::clone(name)));
    }

    fn let_go(&mut self, id: u64, request: &Open<C>) {
        let State::Fetched(Some(name)) = &request.state else {
            return;
        };
        if let Some(session) = self.sessions.get_mut(name) {
            session.held.remove(&id);
            session.unconfirmed.retain(|(given, _)| *given != id);
            if session.held.is_empty() {
                self.sessions.remove(name);
            }
        }
    }

    fn holder(&self, caller: Caller<'_>, now_us: u64) -> Holder {
        let wait_us = caller.wait_us.saturating_add(self.bounds.silence_us);
        Holder {
            peer: caller.peer,
            until_us: now_us.saturating_add(wait_us),
            call: caller.call,
        }
    }

    fn forget_if_idle(&mut self, function: &str) {
        if self.functions.get(function).is_some_and(Function::is_idle) {
            self.functions.remove(function);
        }
    }
}

// === impl Function ===

impl<F> Default for Function<F> {
    fn default() -> Self {
        Function {
            waiting: BTreeSet::new(),
            parked: VecDeque::new(),
        }
    }
}

impl<F> Function<F> {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.parked.is_empty()
    }
}

// ---- What clients are told: Storm's texts and types (control-plane 10.1) ------------------------

/// The answer to a request that a topology completed with a result, or with null.
pub fn completed(result: Option<String>) -> Outcome {
    let none = "Internal Error: No Result and No Exception";
    result.ok_or_else(|| exception(none, DRPCExceptionType::InternalError))
}

/// A topology failed the request and did not say why.
pub fn failed() -> DRPCExecutionException {
    exception("Request failed", DRPCExceptionType::FailedRequest)
}

pub fn shutting_down() -> DRPCExecutionException {
    exception("Server Shutting Down", DRPCExceptionType::ServerShutdown)
}

/// The server has no room, or does not take such a name.
pub fn refused(refusal: &Refusal) -> DRPCExecutionException {
    let text = format!("Request refused: {refusal}");
    exception(&text, DRPCExceptionType::InternalError)
}

fn timed_out() -> DRPCExecutionException {
    exception("Timed Out", DRPCExceptionType::ServerTimeout)
}

/// The request is not given to another spout: part of it may have been done, and only its client
/// knows whether it may be done twice. Storm's topologies end a request that way too when a bolt is
/// lost: by failing it, never by repeating it.
fn spout_lost() -> DRPCExecutionException {
    let text = "Request failed: the worker of the spout that took it is gone";
    exception(text, DRPCExceptionType::FailedRequest)
}

fn exception(text: &str, kind: DRPCExceptionType) -> DRPCExecutionException {
    DRPCExecutionException {
        msg: text.to_owned(),
        type_: Some(kind.into()),
    }
}

#[cfg(test)]
mod tests;

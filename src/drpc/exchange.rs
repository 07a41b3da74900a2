//! Where clients and spouts meet: the open requests with the tasks that wait for them.
//!
//! One lock around `requests`, held for a few map operations and never across an await. Knows
//! neither Thrift nor HTTP, and nobody's rights.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::requests::{
    self, Bounds, Caller, Fetcher, HandOver, Outcome, Requests, SessionNameError, Taken,
};
use crate::{clock, limits};

/// The requests of one server.
#[derive(Debug)]
pub(crate) struct Exchange {
    state: Mutex<State>,
    /// A deadline came that is earlier than the timer's.
    sooner: Notify,
}

#[derive(Debug)]
struct State {
    requests: Requests<oneshot::Sender<Outcome>, oneshot::Sender<Taken>>,
    /// The request that each connection of clients waits for.
    clients: HashMap<SocketAddr, u64>,
    /// What the timer sleeps until.
    armed_us: u64,
    has_ended: bool,
}

/// What a spout of ours asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub function: &'a str,
    pub session: &'a str,
    pub peer: Option<SocketAddr>,
    pub max: usize,
    pub wait: Duration,
    /// The number of this call, and of the last one whose reply arrived.
    pub call: i64,
    pub answered: i64,
}

/// A request closes with its client's call, however that ends.
struct Waiting<'a> {
    exchange: &'a Exchange,
    id: u64,
    peer: Option<SocketAddr>,
}

/// A parked fetch leaves with its call.
struct Parked<'a> {
    exchange: &'a Exchange,
    function: &'a str,
    number: u64,
}

// === impl Exchange ===

impl Exchange {
    /// `timeout` is `drpc.request.timeout.secs`.
    pub fn new(timeout: Duration) -> Arc<Self> {
        let bounds = Bounds {
            timeout_us: micros(timeout),
            requests_max: limits::DRPC_REQUESTS_MAX,
            bytes_max: limits::DRPC_BYTES_MAX,
            function_bytes_max: limits::DRPC_FUNCTION_BYTES_MAX,
            session_bytes_max: limits::DRPC_SESSION_BYTES_MAX,
            fetch_bytes_max: limits::DRPC_FETCH_BYTES_MAX,
            queue_max: limits::DRPC_QUEUE_MAX,
            silence_us: micros(limits::DRPC_SILENCE_MAX),
            return_us: micros(limits::DRPC_RETURN_MAX),
        };
        // Behind all ids of this server's earlier lives: an answer that was on its way when it
        // ended must not settle a stranger's request.
        let last_id = u64::try_from(clock::wall_micros()).unwrap_or(0);
        Arc::new(Exchange {
            state: Mutex::new(State {
                requests: Requests::new(bounds, last_id),
                clients: HashMap::new(),
                armed_us: u64::MAX,
                has_ended: false,
            }),
            sooner: Notify::new(),
        })
    }

    /// Has a topology answer. Whoever drops the call withdraws the request; so does `hung_up` of
    /// `peer`, where there is one.
    pub async fn execute(&self, function: &str, args: String, peer: Option<SocketAddr>) -> Outcome {
        let (client, outcome) = oneshot::channel();
        let _waiting = self.open(function, args, client, peer)?;
        // Without an outcome only for a client that has left.
        outcome.await.unwrap_or_else(|_| Err(requests::failed()))
    }

    fn open(
        &self,
        function: &str,
        args: String,
        client: oneshot::Sender<Outcome>,
        peer: Option<SocketAddr>,
    ) -> Result<Waiting<'_>, crate::wire::storm::DRPCExecutionException> {
        let mut state = self.lock();
        if state.has_ended {
            return Err(requests::shutting_down());
        }
        let now_us = clock::monotonic_micros();
        let opened = state.requests.execute(function, args, client, now_us);
        let (id, hand_over) = opened.map_err(|refusal| requests::refused(&refusal))?;
        if let Some(peer) = peer {
            state.clients.insert(peer, id);
        }
        state.deliver(hand_over);
        self.rearm(&state);
        Ok(Waiting {
            exchange: self,
            id,
            peer,
        })
    }

    /// Storm's `fetchRequest`: the request that waits longest, if there is one.
    pub fn poll(&self, function: &str) -> Option<Taken> {
        let mut state = self.lock();
        let now_us = clock::monotonic_micros();
        let mut taken = state.requests.fetch(function, Fetcher::Poller, 1, now_us);
        taken.pop()
    }

    /// Requests for a spout of ours, as soon as there is one; none when `wait` is over.
    pub async fn await_requests(&self, ask: Ask<'_>) -> Result<Vec<Taken>, SessionNameError> {
        let caller = Caller {
            session: ask.session,
            peer: ask.peer,
            wait_us: micros(ask.wait),
            call: ask.call,
            answered: ask.answered,
        };
        let (fetch, mut request) = oneshot::channel();
        let parked = {
            let mut state = self.lock();
            let now_us = clock::monotonic_micros();
            for given_again in state.requests.heard(caller, now_us)? {
                state.deliver(Some(given_again));
            }
            let fetcher = Fetcher::Session(caller);
            let taken = state.requests.fetch(ask.function, fetcher, ask.max, now_us);
            self.rearm(&state);
            if !taken.is_empty() || ask.max == 0 || ask.wait.is_zero() || state.has_ended {
                return Ok(taken);
            }
            Parked {
                exchange: self,
                function: ask.function,
                number: state.requests.park(ask.function, caller, fetch, now_us),
            }
        };
        let came = tokio::time::timeout(ask.wait, &mut request).await;
        if let Ok(came) = came {
            return Ok(came.into_iter().collect());
        }
        drop(parked);
        // Something may have come in the moment between.
        Ok(request.try_recv().into_iter().collect())
    }

    /// The function of an open request, by the id that spouts know; `None` for what is no id of
    /// ours, or none any more.
    pub fn find(&self, id: &str) -> Option<(u64, String)> {
        // Ids have one form: `01` and `+1` are none.
        let is_plain = id.bytes().all(|byte| byte.is_ascii_digit()) && !id.starts_with('0');
        let id = id.parse().ok().filter(|_| is_plain)?;
        let function = self.lock().requests.function_of(id)?.to_owned();
        Some((id, function))
    }

    /// Ends a request. What ended already stays as it is.
    pub fn settle(&self, id: u64, outcome: Outcome) {
        let client = self.lock().requests.close(id);
        if let Some(client) = client {
            // A client that has just left needs no answer.
            let _ = client.send(outcome);
        }
    }

    /// A client's connection ended: nobody waits for its request any more.
    pub fn client_hung_up(&self, peer: SocketAddr) {
        let mut state = self.lock();
        if let Some(id) = state.clients.remove(&peer) {
            state.requests.close(id);
        }
    }

    /// A spout's connection ended, or that of somebody who answers.
    pub fn spout_hung_up(&self, peer: SocketAddr) {
        let mut state = self.lock();
        // Dropping the senders ends their calls.
        drop(state.requests.hung_up(peer, clock::monotonic_micros()));
        self.rearm(&state);
    }

    /// Ends what runs out of time, when it does. Runs for ever.
    pub async fn watch_deadlines(self: Arc<Self>) {
        loop {
            let sooner = self.sooner.notified();
            let now_us = clock::monotonic_micros();
            let (ended, next_us) = {
                let mut state = self.lock();
                let ended = state.requests.expire(now_us);
                let next_us = state.requests.next_deadline_us();
                state.armed_us = next_us.unwrap_or(u64::MAX);
                (ended, next_us)
            };
            for (client, outcome) in ended {
                let _ = client.send(outcome);
            }
            match next_us {
                None => sooner.await,
                Some(next_us) => {
                    let pause = Duration::from_micros(next_us.saturating_sub(now_us));
                    let _ = tokio::time::timeout(pause, sooner).await;
                }
            }
        }
    }

    /// Tells every client that the server ends, and takes nothing any more.
    pub fn end(&self) {
        let (clients, parked) = {
            let mut state = self.lock();
            state.has_ended = true;
            state.requests.shut_down()
        };
        for client in clients {
            let _ = client.send(Err(requests::shutting_down()));
        }
        drop(parked);
    }

    /// Open requests.
    #[cfg(test)]
    pub fn n_open(&self) -> usize {
        self.lock().requests.n_open()
    }

    /// Functions that have a request waiting or a fetch parked.
    #[cfg(test)]
    pub fn n_functions(&self) -> usize {
        self.lock().requests.footprint().0
    }

    fn rearm(&self, state: &State) {
        let next_us = state.requests.next_deadline_us();
        if next_us.is_some_and(|next_us| next_us < state.armed_us) {
            self.sooner.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn deliver(&mut self, mut hand_over: Option<HandOver<oneshot::Sender<Taken>>>) {
        while let Some(HandOver { fetch, request }) = hand_over {
            hand_over = match fetch.send(request) {
                Ok(()) => None,
                Err(request) => self.requests.put_back(request.id),
            };
        }
    }
}

// === impl Waiting ===

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.exchange.lock();
        state.requests.close(self.id);
        if let Some(peer) = self.peer
            && state.clients.get(&peer) == Some(&self.id)
        {
            state.clients.remove(&peer);
        }
    }
}

// === impl Parked ===

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        let mut state = self.exchange.lock();
        state.requests.unpark(self.function, self.number);
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::storm::DRPCExceptionType;

    fn exchange(timeout_ms: u64) -> Arc<Exchange> {
        let exchange = Exchange::new(Duration::from_millis(timeout_ms));
        tokio::spawn(Arc::clone(&exchange).watch_deadlines());
        exchange
    }

    fn ask(function: &str) -> Ask<'_> {
        Ask {
            function,
            session: "session",
            peer: Some(SocketAddr::from(([127, 0, 0, 1], 9))),
            max: 10,
            wait: Duration::from_secs(5),
            call: 1,
            answered: 0,
        }
    }

    async fn until(is_so: impl Fn() -> bool) {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_parked_fetch_answers_at_once() {
        let exchange = exchange(60_000);
        let spout = tokio::spawn({
            let exchange = Arc::clone(&exchange);
            async move {
                let taken = exchange.await_requests(ask("f")).await.expect("a name");
                let (id, function) = exchange.find(&taken[0].id.to_string()).expect("open");
                exchange.settle(id, Ok(format!("{function}({})", taken[0].args)));
            }
        });
        let outcome = exchange.execute("f", "x".to_owned(), None).await;
        assert_eq!(outcome, Ok("f(x)".to_owned()));
        spout.await.expect("no panic");
        assert_eq!(exchange.n_open(), 0);
    }

    #[tokio::test]
    async fn only_the_plain_form_of_an_id_is_one() {
        let exchange = exchange(60_000);
        let call = tokio::spawn({
            let exchange = Arc::clone(&exchange);
            async move { exchange.execute("f", String::new(), None).await }
        });
        until(|| exchange.n_open() == 1).await;
        let id = exchange.poll("f").expect("open").id;
        let others = [
            "0{}",
            "+{}",
            " {}",
            "{} ",
            "1{}",
            "",
            "x",
            "99999999999999999999",
        ];
        for other in others.map(|form| form.replace("{}", &id.to_string())) {
            assert_eq!(exchange.find(&other), None, "{other:?}");
        }
        assert_eq!(exchange.find(&id.to_string()), Some((id, "f".to_owned())));
        call.abort();
        until(|| exchange.n_open() == 0).await;
    }

    /// An answer to a server that has started anew since must not end a stranger's request.
    #[tokio::test]
    async fn no_server_uses_the_ids_of_the_one_before() {
        let mut ids = Vec::new();
        for _ in 0..2 {
            let exchange = exchange(60_000);
            let call = tokio::spawn({
                let exchange = Arc::clone(&exchange);
                async move { exchange.execute("f", String::new(), None).await }
            });
            until(|| exchange.n_open() == 1).await;
            ids.extend(exchange.poll("f").map(|taken| taken.id));
            call.abort();
        }
        assert!(ids[0] < ids[1], "{ids:?}");
        assert!(
            i64::try_from(ids[1]).is_ok(),
            "others may keep it as a long"
        );
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_withdraws_its_request_and_its_fetch() {
        let exchange = exchange(60_000);
        let call = tokio::spawn({
            let exchange = Arc::clone(&exchange);
            async move { exchange.execute("f", "1".to_owned(), None).await }
        });
        until(|| exchange.n_open() == 1).await;
        call.abort();
        until(|| exchange.n_open() == 0).await;
        assert_eq!(exchange.poll("f"), None);
        let fetch = tokio::spawn({
            let exchange = Arc::clone(&exchange);
            async move { exchange.await_requests(ask("f")).await }
        });
        until(|| exchange.lock().requests.footprint().0 == 1).await;
        fetch.abort();
        until(|| exchange.lock().requests.footprint().0 == 0).await;
    }

    #[tokio::test]
    async fn hanging_up_withdraws_at_once() {
        let exchange = exchange(60_000);
        let peer = SocketAddr::from(([127, 0, 0, 1], 7));
        let call = tokio::spawn({
            let exchange = Arc::clone(&exchange);
            async move { exchange.execute("f", "1".to_owned(), Some(peer)).await }
        });
        until(|| exchange.n_open() == 1).await;
        exchange.client_hung_up(peer);
        assert_eq!(exchange.poll("f"), None);
        assert!(call.await.expect("no panic").is_err());
        assert!(exchange.lock().clients.is_empty());
    }

    #[tokio::test]
    async fn the_end_reaches_everybody() {
        let exchange = exchange(60_000);
        let call = tokio::spawn({
            let exchange = Arc::clone(&exchange);
            async move { exchange.execute("f", String::new(), None).await }
        });
        let fetch = tokio::spawn({
            let exchange = Arc::clone(&exchange);
            async move { exchange.await_requests(ask("g")).await }
        });
        until(|| exchange.lock().requests.footprint().0 == 2).await;
        exchange.end();
        let error = call.await.expect("no panic").expect_err("the end");
        assert_eq!(error.msg, "Server Shutting Down");
        assert_eq!(error.type_, Some(DRPCExceptionType::ServerShutdown.into()));
        assert_eq!(fetch.await.expect("no panic").expect("a name"), []);
        let late = exchange.execute("f", String::new(), None).await;
        assert_eq!(late.expect_err("the end").msg, "Server Shutting Down");
    }

    #[tokio::test]
    async fn deadlines_are_kept_to_the_millisecond() {
        let exchange = exchange(50);
        // A busy machine comes late to some of them, not to all.
        for _ in 0..100 {
            let started = std::time::Instant::now();
            let outcome = exchange.execute("f", String::new(), None).await;
            let waited = started.elapsed();
            assert_eq!(outcome.expect_err("no topology").msg, "Timed Out");
            assert!(waited >= Duration::from_millis(50), "{waited:?}");
            if waited < Duration::from_millis(75) {
                return;
            }
        }
        panic!("each came later than Storm's earliest, 25 ms late");
    }
}

//! Takes the requests of one function from one DRPC server, as soon as they are there: one call
//! after the other, parked by the server while it has none.
//!
//! A server without our call (genuine Storm's) is asked again and again, as Storm's spout does.
//! Does not emit.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::access::Access;
use crate::backoff::Backoff;
use crate::component::Waker;
use crate::limits;
use crate::rpc::client::{Address, ClientOptions, Connection};
use crate::rpc::{Channel, Failure};
use crate::wire::messages::DrpcFetch;
use crate::wire::messages::drpc_spouts::{AwaitRequestsError, Client};
use crate::wire::storm::{DRPCRequest, distributed_rpc_invocations};

/// Fetches until it is dropped.
pub struct Fetching {
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// What to fetch, and who fetches.
#[derive(Clone, Debug)]
pub struct Subject {
    pub server: Address,
    pub function: String,
    /// Names this task of this run of the worker.
    pub session: String,
}

struct Shared {
    subject: Subject,
    access: Access,
    waker: Waker,
    state: Mutex<State>,
    n_arrived: AtomicUsize,
    /// The spout became active or inactive, or took the last request that was here.
    changed: Notify,
}

#[derive(Default)]
struct State {
    arrived: VecDeque<DRPCRequest>,
    is_active: bool,
    trouble: Option<String>,
}

/// Where a session's calls stand, over all its connections.
#[derive(Default)]
struct Calls {
    made: i64,
    answered: i64,
}

/// Why a conversation ended.
enum End {
    /// The spout is not active any more: what is parked must not take requests.
    Unwanted,
    Trouble(String),
}

// === impl Fetching ===

impl Fetching {
    /// Connects in the background; fetches once it is active.
    pub fn start(
        runtime: &tokio::runtime::Handle,
        subject: Subject,
        access: Access,
        waker: Waker,
    ) -> Self {
        let shared = Arc::new(Shared {
            subject,
            access,
            waker,
            state: Mutex::default(),
            n_arrived: AtomicUsize::new(0),
            changed: Notify::new(),
        });
        let task = runtime.spawn(Arc::clone(&shared).run()).abort_handle();
        Fetching { shared, task }
    }

    pub fn server(&self) -> &Address {
        &self.shared.subject.server
    }

    pub fn set_active(&self, is_active: bool) {
        self.shared.lock().is_active = is_active;
        self.shared.changed.notify_one();
    }

    /// Whether a request is here. Cheap.
    pub fn has_arrived(&self) -> bool {
        self.shared.n_arrived.load(Ordering::Acquire) > 0
    }

    /// The request that came first.
    pub fn take(&self) -> Option<DRPCRequest> {
        let mut state = self.shared.lock();
        let request = state.arrived.pop_front();
        let n_left = state.arrived.len();
        drop(state);
        self.shared.n_arrived.store(n_left, Ordering::Release);
        if n_left == 0 {
            self.shared.changed.notify_one();
        }
        request
    }

    /// What went wrong since the last look.
    pub fn take_trouble(&self) -> Option<String> {
        self.shared.lock().trouble.take()
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Shared ===

impl Shared {
    async fn run(self: Arc<Self>) {
        let mut calls = Calls::default();
        let mut backoff = Backoff::new(RETRY_BASE, RETRY_MAX);
        loop {
            let n_answered = calls.answered;
            let End::Trouble(trouble) = self.converse(&mut calls).await else {
                continue;
            };
            if calls.answered > n_answered {
                backoff.reset();
            }
            let server = &self.subject.server;
            tracing::warn!(%server, trouble, "DRPC requests cannot be fetched");
            self.lock().trouble = Some(trouble);
            self.waker.wake();
            sleep(backoff.next_delay(fastrand::f64())).await;
        }
    }

    async fn converse(&self, calls: &mut Calls) -> End {
        let key = match self.access.key() {
            Ok(key) => key,
            Err(error) => return End::Trouble(error.to_string()),
        };
        let options = ClientOptions {
            key,
            call_wait_max: PARK + limits::DRPC_SILENCE_MAX,
            // The largest arguments that a client may send, and what is around them.
            reply_bytes_max: limits::FRAME_BYTES_MAX + limits::DRPC_FETCH_BYTES_MAX,
            ..ClientOptions::default()
        };
        let opened = Connection::open(&self.subject.server, &options).await;
        let mut client = match opened {
            Ok(connection) => Client::new(connection),
            Err(error) => return End::Trouble(error.to_string()),
        };
        loop {
            match self.ask(&mut client, calls).await {
                Ok(requests) => self.arrive(requests),
                Err(Asked::Unwanted) => return End::Unwanted,
                Err(Asked::Refused(AwaitRequestsError::Failure(Failure::UnknownMethod(_)))) => {
                    return self.poll(client.into_channel(), calls).await;
                }
                Err(Asked::Refused(error)) => return End::Trouble(error.to_string()),
            }
            if !self.wants_more() {
                // Says now and then that the session lives, so that nothing it took counts as lost.
                let _ = tokio::time::timeout(PRESENCE_EVERY, self.until_wanted()).await;
            }
        }
    }

    async fn ask<C: Channel>(
        &self,
        client: &mut Client<C>,
        calls: &mut Calls,
    ) -> Result<Vec<DRPCRequest>, Asked> {
        let wants_more = self.wants_more();
        calls.made += 1;
        let fetch = DrpcFetch {
            function_name: self.subject.function.clone(),
            session: self.subject.session.clone(),
            max: if wants_more { FETCH_MAX } else { 0 },
            wait_ms: if wants_more { PARK_MS } else { 0 },
            call: calls.made,
            answered: calls.answered,
        };
        let requests = tokio::select! {
            biased;
            requests = client.await_requests(Some(&fetch)) => requests.map_err(Asked::Refused)?,
            // What the server gives in this moment it takes back with the next call.
            () = self.until_inactive(), if wants_more => return Err(Asked::Unwanted),
        };
        calls.answered = calls.made;
        Ok(requests)
    }

    /// As Storm's spout: asks, and asks again a moment later.
    async fn poll(&self, connection: Connection, calls: &mut Calls) -> End {
        let mut client = distributed_rpc_invocations::Client::new(connection);
        let function = self.subject.function.as_str();
        let mut pause = POLL_PAUSE_MIN;
        loop {
            if !self.wants_more() {
                self.until_wanted().await;
            }
            let request = match client.fetch_request(Some(function)).await {
                Ok(request) => request,
                Err(error) => return End::Trouble(error.to_string()),
            };
            calls.answered += 1;
            if request.request_id.is_empty() {
                sleep(pause).await;
                pause = (pause * 2).min(POLL_PAUSE_MAX);
            } else {
                pause = POLL_PAUSE_MIN;
                self.arrive(vec![request]);
            }
        }
    }

    fn arrive(&self, requests: Vec<DRPCRequest>) {
        if requests.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.arrived.extend(requests);
        self.n_arrived.store(state.arrived.len(), Ordering::Release);
        drop(state);
        self.waker.wake();
    }

    fn wants_more(&self) -> bool {
        let state = self.lock();
        state.is_active && state.arrived.is_empty()
    }

    async fn until_wanted(&self) {
        while !self.wants_more() {
            self.changed.notified().await;
        }
    }

    async fn until_inactive(&self) {
        while self.lock().is_active {
            self.changed.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a call brought nothing.
enum Asked {
    Unwanted,
    Refused(AwaitRequestsError),
}

/// Requests of one call: enough to keep a topology busy until the next.
const FETCH_MAX: i32 = 64;
/// How long the server may park a call.
const PARK: Duration = Duration::from_millis(PARK_MS as u64);
const PARK_MS: i32 = 5000;
/// Well within `limits::DRPC_SILENCE_MAX`.
const PRESENCE_EVERY: Duration = Duration::from_secs(3);
const POLL_PAUSE_MIN: Duration = Duration::from_millis(1);
const POLL_PAUSE_MAX: Duration = Duration::from_millis(10);
const RETRY_BASE: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);

//! A Thrift server over TCP for any `Dispatch`: binds, accepts, bounds, counts, drains.
//!
//! What happens on one connection is in `connection`, who may stay in `admission`. Knows no
//! service.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet, yield_now};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, error, info, warn};

use super::admission::{Admission, Admitted, Bounds, Seat};
use super::connection::{Connection, End};
use super::framing::Form;
use super::{Caller, Dispatch};
use crate::auth::door::{Door, SaslDoor};
use crate::auth::tls;
use crate::conf::keys;
use crate::{clock, limits};

/// Where a service listens.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Name of the service, for logs and errors: `nimbus`.
    pub service: &'static str,
    /// `stormwire.bind.address`: an address or a host name.
    pub host: String,
    /// 0 lets the system choose.
    pub port: u16,
    /// The key that sets the port, for errors: `nimbus.thrift.port`.
    pub port_key: &'static str,
}

/// Bounds of one server, with those of `limits` as default. They exist as fields for tests.
#[derive(Clone, Debug)]
pub struct Limits {
    pub frame_bytes_max: usize,
    pub reply_bytes_max: usize,
    pub read_ahead_bytes_max: usize,
    pub connections: Bounds,
    /// For a TLS handshake or a login.
    pub greeting_wait_max: Duration,
    pub frame_wait_max: Duration,
    pub reply_wait_max: Duration,
    /// Bytes per second.
    pub rate_min: u32,
    pub abandoned_call_max: Duration,
    pub drain_max: Duration,
}

/// A server that has its port and does not yet answer.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    service: &'static str,
    limits: Limits,
}

/// A server that answers. When it is dropped, the server drains by itself.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

/// What happened on one server since its start. Each number only grows.
#[derive(Debug, Default)]
pub struct Counters {
    pub accepted: AtomicU64,
    /// Requests that reached a service.
    pub calls: AtomicU64,
    /// Connections closed at once because all others were busy.
    pub refused: AtomicU64,
    /// Connections that made room for others.
    pub evicted: AtomicU64,
    /// Connections that sent what is no request.
    pub malformed: AtomicU64,
    /// Requests not complete within their deadline, and replies not taken within theirs.
    pub late: AtomicU64,
    pub panicked: AtomicU64,
    /// Calls dropped because their peer was gone.
    pub abandoned: AtomicU64,
    /// Replies above what Java clients accept.
    pub large_replies: AtomicU64,
    /// Times that the system refused a new connection, mostly for want of descriptors.
    pub accept_errors: AtomicU64,
}

/// Why a service could not listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error(
        "{service} cannot listen: {host} is no address of a machine; correct {}",
        keys::STORMWIRE_BIND_ADDRESS
    )]
    Resolve {
        service: &'static str,
        host: String,
        #[source]
        source: io::Error,
    },
    #[error("{service} cannot listen on {address}: {source}; {fix}")]
    Bind {
        service: &'static str,
        address: SocketAddr,
        #[source]
        source: io::Error,
        fix: String,
    },
}

/// What all tasks of one server share.
struct Shared<D> {
    service: &'static str,
    dispatch: Arc<D>,
    door: Door,
    limits: Limits,
    counters: Arc<Counters>,
    admission: Arc<Admission>,
    refusals: RefusalLog,
    stop: watch::Receiver<bool>,
}

/// Lets through so many log lines per period and counts the rest.
#[derive(Default)]
struct RefusalLog {
    period: AtomicU64,
    n_lines: AtomicU64,
}

// === impl Endpoint ===

impl Endpoint {
    fn unresolved(&self, source: io::Error) -> BindError {
        BindError::Resolve {
            service: self.service,
            host: self.host.clone(),
            source,
        }
    }

    fn fix(&self, error: &io::Error) -> String {
        match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "another process listens there: end it, or set {} to a free port",
                self.port_key
            ),
            io::ErrorKind::AddrNotAvailable => {
                let key = keys::STORMWIRE_BIND_ADDRESS;
                format!("this machine has no such address: correct {key}")
            }
            io::ErrorKind::PermissionDenied => {
                format!("ports below 1024 need rights: set {} higher", self.port_key)
            }
            _ => format!(
                "check {} and {}",
                keys::STORMWIRE_BIND_ADDRESS,
                self.port_key
            ),
        }
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Limits {
            frame_bytes_max: limits::FRAME_BYTES_MAX,
            reply_bytes_max: limits::REPLY_BYTES_MAX,
            read_ahead_bytes_max: limits::READ_AHEAD_BYTES_MAX,
            connections: Bounds {
                connections_max: limits::CONNECTIONS_MAX,
                unproven_max: limits::UNPROVEN_CONNECTIONS_MAX,
                half_sent_bytes_max: limits::HALF_SENT_BYTES_MAX,
            },
            greeting_wait_max: limits::LOGIN_WAIT_MAX,
            frame_wait_max: limits::FRAME_WAIT_MAX,
            reply_wait_max: limits::REPLY_WAIT_MAX,
            rate_min: limits::FRAME_RATE_MIN,
            abandoned_call_max: limits::ABANDONED_CALL_MAX,
            drain_max: limits::DRAIN_MAX,
        }
    }
}

impl Limits {
    /// The time for moving `n_bytes`: a fixed wait, and what the slowest accepted line needs.
    pub(super) fn granted(&self, wait: Duration, n_bytes: usize) -> Duration {
        let n_bytes = u32::try_from(n_bytes).unwrap_or(u32::MAX);
        wait + Duration::from_secs_f64(f64::from(n_bytes) / f64::from(self.rate_min.max(1)))
    }
}

// === impl Counters ===

impl Counters {
    /// Counts one more; returns how many there were before.
    pub(super) fn count(counter: &AtomicU64) -> u64 {
        counter.fetch_add(1, Ordering::Relaxed)
    }

    /// Reads one of them.
    pub fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

// === impl Server ===

impl Server {
    /// Takes the port. From now on clients can connect; they are answered once `serve` was called.
    pub async fn bind(endpoint: &Endpoint, limits: Limits) -> Result<Server, BindError> {
        let found = lookup_host((endpoint.host.as_str(), endpoint.port)).await;
        let mut failure = endpoint.unresolved(io::ErrorKind::NotFound.into());
        for address in found.map_err(|source| endpoint.unresolved(source))? {
            match listen(address).and_then(|listener| Ok((listener.local_addr()?, listener))) {
                Ok((address, listener)) => {
                    return Ok(Server {
                        listener,
                        address,
                        service: endpoint.service,
                        limits,
                    });
                }
                Err(source) => {
                    failure = BindError::Bind {
                        service: endpoint.service,
                        address,
                        fix: endpoint.fix(&source),
                        source,
                    };
                }
            }
        }
        Err(failure)
    }

    /// Where it listens, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers from now on, and says so in the log.
    pub fn serve<D: Dispatch>(self, dispatch: Arc<D>) -> Running {
        self.serve_behind(dispatch, Door::Open)
    }

    /// As `serve`, for those who come through a door. Callers have the name that they proved.
    pub fn serve_behind<D: Dispatch>(self, dispatch: Arc<D>, door: Door) -> Running {
        let (stop, stopped) = watch::channel(false);
        let counters = Arc::new(Counters::default());
        let shared = Shared {
            service: self.service,
            dispatch,
            door,
            admission: Admission::new(self.limits.connections),
            limits: self.limits,
            counters: Arc::clone(&counters),
            refusals: RefusalLog::default(),
            stop: stopped,
        };
        announce(self.service, self.address);
        Running {
            address: self.address,
            counters,
            stop,
            accepting: tokio::spawn(accept(self.listener, Arc::new(shared))),
        }
    }
}

/// Takes a port, with room for a storm of clients to wait in until they are accepted.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Else a daemon that comes back must wait until the connections of its last run are forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(limits::WAITING_CONNECTIONS_MAX)
}

// === impl Running ===

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Stops accepting, closes what idles, lets running calls end within `Limits::drain_max`, and
    /// returns when all connections are gone.
    pub async fn drain(self) {
        self.stop.send_replace(true);
        if let Err(failure) = self.accepting.await {
            error!(%failure, "an accept loop ended badly");
        }
    }
}

// === impl Shared ===

impl<D: Dispatch> Shared<D> {
    async fn serve(&self, stream: TcpStream, peer: SocketAddr, seat: Seat) {
        let end = match self.greet_and_serve(stream, peer, seat).await {
            Ok(end) | Err(end) => end,
        };
        self.ended(peer, &end);
    }

    async fn greet_and_serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        seat: Seat,
    ) -> Result<End, End> {
        stream.set_nodelay(true)?;
        let mut caller = Caller {
            peer: Some(peer),
            ..Caller::default()
        };
        match &self.door {
            Door::Open => Ok(self.converse(stream, Form::Framed, caller, seat).await),
            Door::Sasl(sasl) => {
                let (stream, caller) = self.logged_in(sasl, stream, caller, &seat).await?;
                Ok(self.converse(stream, Form::Framed, caller, seat).await)
            }
            Door::Tls(acceptor) => {
                let (stream, principal) = self.greeted(&seat, acceptor.accept(stream)).await?;
                caller.principal = Some(principal.unwrap_or_else(|| tls::ANONYMOUS.to_owned()));
                Ok(self.converse(stream, Form::Unframed, caller, seat).await)
            }
            Door::FramedTls(acceptor) => {
                let (stream, principal) = self.greeted(&seat, acceptor.accept(stream)).await?;
                caller.principal = principal;
                Ok(self.converse(stream, Form::Framed, caller, seat).await)
            }
            Door::LinkTls(links, peers) => {
                let greeting = links.accept_peer(stream, *peers);
                let (stream, principal) = self.greeted(&seat, greeting).await?;
                caller.principal = principal;
                Ok(self.converse(stream, Form::Framed, caller, seat).await)
            }
            Door::TlsOrLogin(acceptor, sasl) => {
                let (stream, principal) = self.greeted(&seat, acceptor.accept(stream)).await?;
                if principal.is_some() {
                    caller.principal = principal;
                    return Ok(self.converse(stream, Form::Unframed, caller, seat).await);
                }
                let (stream, caller) = self.logged_in(sasl, stream, caller, &seat).await?;
                Ok(self.converse(stream, Form::Framed, caller, seat).await)
            }
        }
    }

    async fn logged_in<S>(
        &self,
        sasl: &SaslDoor,
        mut stream: S,
        mut caller: Caller,
        seat: &Seat,
    ) -> Result<(S, Caller), End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let login = async { sasl.log_in(&mut stream).await.map_err(io::Error::other) };
        let identity = self.greeted(seat, login).await?;
        caller.principal = Some(identity.principal);
        caller.real_principal = identity.real_principal;
        caller.token_topology = identity.token_topology;
        Ok((stream, caller))
    }

    /// Waits for a handshake or login, but not for ever and not for one that must go.
    async fn greeted<T>(
        &self,
        seat: &Seat,
        greeting: impl Future<Output = io::Result<T>>,
    ) -> Result<T, End> {
        let waited = self.limits.greeting_wait_max;
        let mut stop = self.stop.clone();
        let greeted = tokio::select! {
            biased;
            () = seat.evicted() => return Err(End::Evicted),
            greeted = timeout(waited, greeting) => greeted,
            () = stopped(&mut stop) => return Err(End::Stopped),
        };
        let greeted = greeted.map_err(|_| End::GreetingLate { waited })?;
        greeted.map_err(End::Greeting)
    }

    async fn converse<S>(&self, stream: S, form: Form, caller: Caller, seat: Seat) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connection = Connection {
            stream,
            form,
            caller,
            dispatch: self.dispatch.as_ref(),
            seat,
            limits: &self.limits,
            counters: &self.counters,
            stop: self.stop.clone(),
        };
        connection.serve().await
    }

    /// Counts and logs how a connection ended.
    fn ended(&self, peer: SocketAddr, end: &End) {
        let service = self.service;
        let counter = match end {
            // A look at whether somebody listens, as monitors and port scanners take it.
            End::Greeting(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Counters::count(&self.counters.malformed);
                debug!(service, %peer, %end, "connection closed");
                return;
            }
            End::PeerClosed | End::Stopped | End::Evicted | End::Io(_) => {
                debug!(service, %peer, %end, "connection closed");
                return;
            }
            End::Panicked(_) => {
                Counters::count(&self.counters.panicked);
                error!(service, %peer, %end, "connection closed");
                return;
            }
            End::Framing(_) | End::CutShort { .. } | End::Refused(_) | End::Greeting(_) => {
                &self.counters.malformed
            }
            End::RequestLate { .. } | End::ReplyLate { .. } | End::GreetingLate { .. } => {
                &self.counters.late
            }
            End::Abandoned(_) => &self.counters.abandoned,
        };
        Counters::count(counter);
        if self.refusals.passes() {
            warn!(service, %peer, %end, "connection closed");
        }
    }

    /// A seat for a new connection; none when it must be turned away.
    fn admit(&self, peer: SocketAddr) -> Option<Seat> {
        let Some(Admitted { seat, n_evicted }) = self.admission.admit(clock::monotonic_millis())
        else {
            Counters::count(&self.counters.refused);
            if self.refusals.passes() {
                let n_open = self.admission.n_open();
                warn!(service = self.service, %peer, n_open, "all connections are busy, refused");
            }
            return None;
        };
        Counters::count(&self.counters.accepted);
        self.counters
            .evicted
            .fetch_add(n_evicted, Ordering::Relaxed);
        Some(seat)
    }

    /// The system gave no connection. For want of descriptors the longest idle one goes, so that
    /// the others are served on.
    async fn accept_failed(&self, failure: io::Error) {
        Counters::count(&self.counters.accept_errors);
        let of_the_peer = matches!(
            failure.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
        );
        if of_the_peer {
            return;
        }
        if self.admission.make_room(clock::monotonic_millis()) {
            Counters::count(&self.counters.evicted);
        }
        if self.refusals.passes() {
            warn!(service = self.service, %failure, "cannot accept a connection");
        }
        sleep(limits::ACCEPT_PAUSE).await;
    }
}

// === impl RefusalLog ===

impl RefusalLog {
    /// Whether one more line may be written now.
    fn passes(&self) -> bool {
        let length_ms = u64::try_from(limits::REFUSAL_LOG_PERIOD.as_millis()).unwrap_or(u64::MAX);
        let period = clock::monotonic_millis() / length_ms.max(1);
        if self.period.swap(period, Ordering::Relaxed) != period {
            let before = self.n_lines.swap(0, Ordering::Relaxed);
            let n_hidden = before.saturating_sub(limits::REFUSAL_LOG_LINES_MAX);
            if n_hidden > 0 {
                warn!(
                    n_hidden,
                    "more connections were refused than these lines show"
                );
            }
        }
        self.n_lines.fetch_add(1, Ordering::Relaxed) < limits::REFUSAL_LOG_LINES_MAX
    }
}

/// The accept loop: ends when told to, and after it all connections.
async fn accept<D: Dispatch>(listener: TcpListener, shared: Arc<Shared<D>>) {
    let mut connections = JoinSet::new();
    let mut stop = shared.stop.clone();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    if let Some(seat) = shared.admit(peer) {
                        let shared = Arc::clone(&shared);
                        connections.spawn(async move { shared.serve(stream, peer, seat).await });
                    }
                    // In a storm those that made room must be gone before the next one comes, or
                    // they pile up.
                    yield_now().await;
                    while connections.try_join_next().is_some() {}
                }
                Err(failure) => shared.accept_failed(failure).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let until = Instant::now() + shared.limits.drain_max;
    while let Ok(Some(_)) = timeout_at(until, connections.join_next()).await {}
    if !connections.is_empty() {
        let n_cut = connections.len();
        warn!(
            service = shared.service,
            n_cut, "stopped with calls still running"
        );
    }
    connections.shutdown().await;
}

/// Done when the server has to stop. That its owner dropped the handle is an order to stop too.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn announce(service: &str, address: SocketAddr) {
    if address.ip().is_loopback() {
        let key = keys::STORMWIRE_BIND_ADDRESS;
        info!(
            "{service} listens on {address}: for this machine only; `{key}: 0.0.0.0` opens it to \
             others"
        );
    } else {
        info!("{service} listens on {address}: open to every machine that reaches it");
    }
}

#[cfg(test)]
mod tests;

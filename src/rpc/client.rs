//! The client's end of a connection: opens it, carries one call after the other, gives it up when
//! its state is unknown.
//!
//! Sends no call twice: whether a repeated call does harm is for its caller to know. Knows no
//! service.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::framing::{self, Form, FramingError, Inbound, fill};
use super::{Channel, Failure};
use crate::auth::door::{self, Key, LoginFailure};
use crate::auth::sasl::client::{Login, LoginError, Negotiation, Step};
use crate::limits;

/// Host and port of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

/// How a client waits.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// For the connection to open.
    pub connect_wait_max: Duration,
    /// From a call to its reply; `storm.thrift.socket.timeout.ms`. A call that the server parks
    /// needs more than it parks for.
    pub call_wait_max: Duration,
    /// Largest reply accepted.
    pub reply_bytes_max: usize,
    /// TLS and login, as the server wants them; without them the default transport.
    pub key: Key,
}

/// How often and after which pauses a connection is tried again (control-plane 1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// `storm.nimbus.retry.times`: attempts after the first.
    pub n_max: u32,
    /// `storm.nimbus.retry.interval.millis`.
    pub interval_ms: u64,
    /// `storm.nimbus.retry.intervalceiling.millis`.
    pub ceiling_ms: u64,
}

/// One open connection.
pub struct Connection {
    stream: Box<dyn Stream>,
    form: Form,
    inbound: Inbound,
    address: Address,
    call_wait_max: Duration,
    state: State,
}

/// A connection that opens when a call needs it, and anew after one failed.
pub struct Reconnecting {
    address: Address,
    options: ClientOptions,
    connection: Option<Connection>,
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot connect to {address}: {source}; check the host name")]
    Resolve {
        address: Address,
        #[source]
        source: io::Error,
    },
    #[error(
        "cannot connect to {address}: {source}; check that the daemon runs there and listens on an \
         address that this machine reaches"
    )]
    Connect {
        address: Address,
        #[source]
        source: io::Error,
    },
    #[error(
        "no TLS with {address}: {source}; check that this is its TLS port, and the certificates of \
         both sides"
    )]
    Tls {
        address: Address,
        #[source]
        source: io::Error,
    },
    #[error(
        "no login at {address}: {source}; check that it takes logins (storm.thrift.transport, or \
         nimbus.thrift.transport and the like), and the name and password in the login file"
    )]
    Login {
        address: Address,
        #[source]
        source: LoginFailed,
    },
    #[error(
        "cannot connect to {address}: no answer within {waited:?}; check host, port and firewalls"
    )]
    TimedOut { address: Address, waited: Duration },
}

/// Why a login did not come about.
#[derive(Debug, thiserror::Error)]
pub enum LoginFailed {
    #[error(transparent)]
    Negotiation(#[from] LoginError),
    #[error("{0}")]
    Connection(#[from] LoginFailure),
}

/// Why a call got no reply. Travels inside `Failure::Transport`.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("sending a call to {address}: {source}")]
    Send {
        address: Address,
        #[source]
        source: io::Error,
    },
    #[error("waiting for the reply of {address}: {source}")]
    Receive {
        address: Address,
        #[source]
        source: io::Error,
    },
    #[error("{address} closed the connection instead of replying; its log says why")]
    Closed { address: Address },
    #[error("no reply of {address} within {waited:?}")]
    TimedOut { address: Address, waited: Duration },
    #[error("the reply of {address} cannot be read: {source}")]
    Framing {
        address: Address,
        #[source]
        source: FramingError,
    },
    #[error("{address} answered call {got} while call {sent} was asked")]
    Sequence {
        address: Address,
        sent: i32,
        got: i32,
    },
    #[error("the connection to {address} ended with an earlier call; open another")]
    Unusable { address: Address },
}

/// What a connection runs on.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for S {}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The next call may be sent.
    Ready,
    /// A call runs, or ended where the state of the stream is unknown.
    Taken,
}

// === impl Address ===

impl Address {
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Address {
            host: host.into(),
            port,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

// === impl ClientOptions ===

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            connect_wait_max: limits::CONNECT_WAIT_MAX,
            call_wait_max: limits::CALL_WAIT_MAX,
            reply_bytes_max: limits::FRAME_BYTES_MAX,
            key: Key::default(),
        }
    }
}

// === impl Retries ===

impl Default for Retries {
    fn default() -> Self {
        Retries {
            n_max: 5,
            interval_ms: 2000,
            ceiling_ms: 60_000,
        }
    }
}

impl Retries {
    /// One attempt only.
    pub const NONE: Retries = Retries {
        n_max: 0,
        interval_ms: 0,
        ceiling_ms: 0,
    };

    /// The pause before retry `n`, counted from 0: grows by powers of two to a threshold, then in
    /// equal steps to the ceiling. `below` draws a number from 0 to one less than its argument.
    pub fn pause(&self, n: u32, below: impl FnOnce(u64) -> u64) -> Duration {
        let threshold = self.threshold();
        let pause_ms = if n < threshold {
            let power = power_of_two(n);
            self.interval_ms
                .saturating_add(power)
                .saturating_add(below(power))
        } else {
            let step = self.step(threshold);
            self.interval_ms
                .saturating_add(power_of_two(threshold))
                .saturating_add(step.saturating_mul(u64::from(n - threshold)))
                .saturating_add(below(step))
                .min(self.ceiling_ms)
        };
        Duration::from_millis(pause_ms)
    }

    /// The largest exponent whose next power of two stays below half of what the pauses may grow
    /// by.
    fn threshold(&self) -> u32 {
        let half = self.ceiling_ms.saturating_sub(self.interval_ms) / 2;
        let mut threshold = 1;
        while threshold < 62 && power_of_two(threshold + 2) < half {
            threshold += 1;
        }
        threshold
    }

    fn step(&self, threshold: u32) -> u64 {
        let n_steps = u64::from(self.n_max.saturating_sub(threshold));
        let room = self.ceiling_ms.saturating_sub(power_of_two(threshold));
        room.checked_div(n_steps).unwrap_or(1).max(1)
    }
}

fn power_of_two(exponent: u32) -> u64 {
    1u64.checked_shl(exponent).unwrap_or(u64::MAX)
}

// === impl Connection ===

impl Connection {
    /// Opens a connection; one attempt.
    pub async fn open(address: &Address, options: &ClientOptions) -> Result<Self, ConnectError> {
        let waited = options.connect_wait_max;
        let opened = timeout(waited, Connection::connect_and_greet(address, options)).await;
        opened.unwrap_or_else(|_| {
            let address = address.clone();
            Err(ConnectError::TimedOut { address, waited })
        })
    }

    async fn connect_and_greet(
        address: &Address,
        options: &ClientOptions,
    ) -> Result<Self, ConnectError> {
        let stream = connect(address).await?;
        let (mut stream, mut form): (Box<dyn Stream>, _) = match &options.key.tls {
            None => (Box::new(stream), Form::Framed),
            Some(tls) => {
                let greeted = tls.connect(&address.host, stream).await;
                let stream = greeted.map_err(|source| ConnectError::Tls {
                    address: address.clone(),
                    source,
                })?;
                (Box::new(stream), Form::Unframed)
            }
        };
        if let Some(login) = &options.key.login {
            let logged_in = log_in(&mut stream, login, &address.host).await;
            logged_in.map_err(|source| ConnectError::Login {
                address: address.clone(),
                source,
            })?;
            form = Form::Framed;
        }
        Ok(Connection {
            stream,
            form,
            inbound: Inbound::new(form, options.reply_bytes_max),
            address: address.clone(),
            call_wait_max: options.call_wait_max,
            state: State::Ready,
        })
    }

    /// Opens a connection, trying as often as `retries` says.
    pub async fn open_patiently(
        address: &Address,
        options: &ClientOptions,
        retries: Retries,
    ) -> Result<Self, ConnectError> {
        for n in 0..retries.n_max {
            match Connection::open(address, options).await {
                Ok(connection) => return Ok(connection),
                Err(failure) => {
                    let pause = retries.pause(n, |bound| fastrand::u64(..bound.max(1)));
                    debug!(%failure, ?pause, "trying again");
                    sleep(pause).await;
                }
            }
        }
        Connection::open(address, options).await
    }

    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether a call can still be sent: no earlier one broke off, and the peer neither closed nor
    /// said anything unasked.
    pub fn is_usable(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let came = pin!(fill(&mut self.stream, &mut self.inbound)).poll(&mut context);
        let is_silent = came.is_pending() && self.inbound.held() == 0;
        self.state == State::Ready && is_silent
    }

    /// The connection, if a call can still be sent.
    pub(crate) fn into_usable(mut self) -> Option<Self> {
        self.is_usable().then_some(self)
    }

    async fn exchange(&mut self, message: &[u8]) -> Result<Bytes, CallError> {
        let address = || self.address.clone();
        if self.state == State::Taken {
            return Err(CallError::Unusable { address: address() });
        }
        // Whoever drops this call, or sees it fail, leaves a reply on its way: no other call may
        // get it.
        self.state = State::Taken;
        let sent = framing::send(&mut self.stream, self.form, message).await;
        sent.map_err(|source| CallError::Send {
            address: address(),
            source,
        })?;
        let reply = loop {
            let polled = self.inbound.poll_message();
            let reply = polled.map_err(|source| CallError::Framing {
                address: address(),
                source,
            })?;
            if let Some(reply) = reply {
                break reply;
            }
            let filled = fill(&mut self.stream, &mut self.inbound).await;
            let n_bytes = filled.map_err(|source| CallError::Receive {
                address: address(),
                source,
            })?;
            if n_bytes == 0 {
                return Err(CallError::Closed { address: address() });
            }
        };
        if let (Some(sent), Some(got)) = (sequence_of(message), sequence_of(&reply))
            && sent != got
        {
            let address = address();
            return Err(CallError::Sequence { address, sent, got });
        }
        self.state = State::Ready;
        Ok(reply)
    }
}

impl Channel for Connection {
    async fn call(&mut self, message: Bytes) -> Result<Bytes, Failure> {
        let waited = self.call_wait_max;
        match timeout(waited, self.exchange(&message)).await {
            Ok(reply) => Ok(reply?),
            Err(_) => {
                let address = self.address.clone();
                Err(CallError::TimedOut { address, waited }.into())
            }
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.address)
    }
}

// === impl Reconnecting ===

impl Reconnecting {
    /// Connects with the first call.
    pub fn new(address: Address, options: ClientOptions) -> Self {
        Reconnecting {
            address,
            options,
            connection: None,
        }
    }

    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl Channel for Reconnecting {
    /// Fails at once when no connection comes about: pauses between attempts are the caller's.
    async fn call(&mut self, message: Bytes) -> Result<Bytes, Failure> {
        let kept = self.connection.take();
        let mut connection = match kept.and_then(Connection::into_usable) {
            Some(connection) => connection,
            None => Connection::open(&self.address, &self.options).await?,
        };
        let reply = connection.call(message).await?;
        self.connection = Some(connection);
        Ok(reply)
    }
}

// === impl ConnectError, CallError ===

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let kind = match &error {
            ConnectError::Resolve { .. } => io::ErrorKind::NotFound,
            ConnectError::Connect { source, .. } | ConnectError::Tls { source, .. } => {
                source.kind()
            }
            ConnectError::Login { .. } => io::ErrorKind::PermissionDenied,
            ConnectError::TimedOut { .. } => io::ErrorKind::TimedOut,
        };
        Failure::Transport(io::Error::new(kind, error))
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let kind = match &error {
            CallError::Send { source, .. } | CallError::Receive { source, .. } => source.kind(),
            CallError::Closed { .. } => io::ErrorKind::UnexpectedEof,
            CallError::TimedOut { .. } => io::ErrorKind::TimedOut,
            CallError::Framing { .. } | CallError::Sequence { .. } => io::ErrorKind::InvalidData,
            CallError::Unusable { .. } => io::ErrorKind::NotConnected,
        };
        Failure::Transport(io::Error::new(kind, error))
    }
}

async fn log_in(
    stream: &mut Box<dyn Stream>,
    login: &Login,
    host: &str,
) -> Result<(), LoginFailed> {
    let sent = |error| LoginFailed::Connection(LoginFailure::Io(error));
    let mut negotiation = Negotiation::new(login, host);
    for message in negotiation.opening() {
        door::send(stream, &message).await.map_err(sent)?;
    }
    loop {
        match negotiation.handle(&door::receive(stream).await?)? {
            Step::Reply(message) => door::send(stream, &message).await.map_err(sent)?,
            Step::Done => return Ok(()),
        }
    }
}

async fn connect(address: &Address) -> Result<TcpStream, ConnectError> {
    let unresolved = |source| ConnectError::Resolve {
        address: address.clone(),
        source,
    };
    let failed = |source| ConnectError::Connect {
        address: address.clone(),
        source,
    };
    let mut failure = unresolved(io::ErrorKind::NotFound.into());
    let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await;
    for resolved in found.map_err(unresolved)? {
        match TcpStream::connect(resolved).await {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(failed)?;
                return Ok(stream);
            }
            Err(source) => failure = failed(source),
        }
    }
    Err(failure)
}

/// The number of a message with a strict header (version, name, number); none when it has no such
/// header.
fn sequence_of(message: &[u8]) -> Option<i32> {
    let (version, rest) = message.split_first_chunk::<4>()?;
    let (name_length, rest) = rest.split_first_chunk::<4>()?;
    if !version.starts_with(&STRICT_VERSION) {
        return None;
    }
    let name_length = usize::try_from(i32::from_be_bytes(*name_length)).ok()?;
    let sequence = rest.get(name_length..)?.first_chunk::<4>()?;
    Some(i32::from_be_bytes(*sequence))
}

const STRICT_VERSION: [u8; 2] = [0x80, 0x01];

#[cfg(test)]
mod tests;

//! An HTTP/1 server that slow, idle and greedy clients do not harm: accepts, admits, keeps
//! deadlines, drains. hyper reads and writes the bytes, axum answers.
//!
//! Knows no route. Bodies have their own deadline, where they are read.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout, timeout_at};
use tracing::{debug, error, info, warn};

use super::body::rate_time;
use super::waiting::Waiting;
use crate::auth::tls::Acceptor;
use crate::rpc::Caller;
use crate::rpc::admission::{Admission, Bounds, Seat};
use crate::{clock, limits};

/// A server that answers. When it is dropped it drains by itself.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

/// What all connections share.
struct Shared {
    service: &'static str,
    router: Router,
    acceptor: Option<Acceptor>,
    admission: Arc<Admission>,
    waiting: Arc<Waiting>,
    stop: watch::Receiver<bool>,
}

/// A stream whose peer must take what is written: with a deadline from the moment that it did not,
/// later by what the slowest accepted line needs for the bytes it took since.
struct Taken<S> {
    stream: S,
    stall: Option<Stall>,
}

/// A body on its way. Until all of it is here its connection can still be told to make room: heads
/// that announce bodies must not take every seat.
struct Arriving {
    body: Incoming,
    seat: Option<Arc<Mutex<Seat>>>,
}

struct Stall {
    deadline: Pin<Box<Sleep>>,
}

// === impl Listener ===

impl Listener {
    /// Takes the port and answers by `router`, inside TLS where there is an acceptor. A port of 0
    /// lets the system choose. Requests carry their `Caller` as an extension.
    pub async fn start(
        service: &'static str,
        (host, port): (&str, u16),
        (router, acceptor): (Router, Option<Acceptor>),
    ) -> io::Result<Listener> {
        let found: Vec<_> = lookup_host((host, port)).await?.collect();
        let listener = TcpListener::bind(found.as_slice()).await?;
        let address = listener.local_addr()?;
        info!("{service} listens on {address}");
        let (stop, stopped) = watch::channel(false);
        let shared = Shared {
            service,
            router,
            acceptor,
            admission: Admission::new(Bounds {
                connections_max: limits::CONNECTIONS_MAX,
                unproven_max: limits::UNPROVEN_CONNECTIONS_MAX,
                half_sent_bytes_max: limits::HALF_SENT_BYTES_MAX,
            }),
            waiting: Arc::new(Waiting::new()),
            stop: stopped,
        };
        Ok(Listener {
            address,
            stop,
            accepting: tokio::spawn(accept(listener, Arc::new(shared))),
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes what idles, lets running requests end within `limits::DRAIN_MAX`.
    pub async fn drain(self) {
        self.stop.send_replace(true);
        if let Err(failure) = self.accepting.await {
            error!(%failure, "an accept loop ended badly");
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut stop = shared.stop.clone();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => shared.admit((stream, peer), &mut connections),
                Err(failure) => {
                    warn!(service = shared.service, %failure, "cannot accept a connection");
                    shared.admission.make_room(clock::monotonic_millis());
                    sleep(limits::ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let until = Instant::now() + limits::DRAIN_MAX;
    while let Ok(Some(_)) = timeout_at(until, connections.join_next()).await {}
    connections.shutdown().await;
}

// === impl Shared ===

impl Shared {
    fn admit(
        self: &Arc<Self>,
        (stream, peer): (TcpStream, SocketAddr),
        connections: &mut JoinSet<()>,
    ) {
        match self.admission.admit(clock::monotonic_millis()) {
            Some(admitted) => {
                let shared = Arc::clone(self);
                let seat = admitted.seat;
                connections.spawn(async move { shared.greet((stream, peer), seat).await });
            }
            // Dropping the stream closes it.
            None => debug!(service = self.service, "all connections are busy, refused"),
        }
    }

    async fn greet(&self, (stream, peer): (TcpStream, SocketAddr), seat: Seat) {
        let _ = stream.set_nodelay(true);
        let mut caller = Caller {
            peer: Some(peer),
            ..Caller::default()
        };
        let Some(acceptor) = &self.acceptor else {
            return self.serve(stream, caller, seat).await;
        };
        let mut stop = self.stop.clone();
        let greeted = tokio::select! {
            greeted = timeout(limits::FRAME_WAIT_MAX, acceptor.accept(stream)) => greeted,
            () = seat.evicted() => return,
            () = stopped(&mut stop) => return,
        };
        match greeted {
            Ok(Ok((stream, principal))) => {
                caller.principal = principal;
                self.serve(stream, caller, seat).await;
            }
            Ok(Err(failure)) => {
                debug!(service = self.service, %failure, "the handshake failed");
            }
            Err(_) => debug!(service = self.service, "the handshake took too long"),
        }
    }

    async fn serve<S>(&self, stream: S, caller: Caller, seat: Seat)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let evicted = seat.leave_signal();
        let seat = Arc::new(Mutex::new(seat));
        let service = service_fn(|request: Request<Incoming>| {
            let router = self.router.clone();
            let (seat, waiting) = (Arc::clone(&seat), Arc::clone(&self.waiting));
            let mut request = request.map(|body| Body::new(Arriving::new(body, &seat)));
            request.extensions_mut().insert(caller.clone());
            async move { answer(router, (&seat, &waiting), request).await }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::HTTP_HEAD_WAIT_MAX)
            .max_header_size(limits::HTTP_HEAD_BYTES_MAX)
            .max_buf_size(2 * limits::HTTP_HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(Taken::new(stream)), service);
        let mut connection = pin!(connection);
        let mut stop = self.stop.clone();
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = evicted.notified() => return,
            () = stopped(&mut stop) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(failure) = ended {
            debug!(service = self.service, %failure, "connection closed");
        }
    }
}

/// Done when the server has to stop, which dropping its handle says too.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn answer(
    router: Router,
    (seat, waiting): (&Mutex<Seat>, &Waiting),
    request: Request,
) -> Result<axum::response::Response, Infallible> {
    let response = waiting.admit(tower_oneshot(router, request).await);
    let mut seat = lock(seat);
    if !response.status().is_client_error() {
        seat.prove();
    }
    seat.idle(clock::monotonic_millis());
    Ok(response)
}

fn lock(seat: &Mutex<Seat>) -> MutexGuard<'_, Seat> {
    seat.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls a router once: it is always ready and never fails.
async fn tower_oneshot(router: Router, request: Request) -> axum::response::Response {
    let service = hyper_util::service::TowerToHyperService::new(router);
    match hyper::service::Service::call(&service, request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

// === impl Arriving ===

impl Arriving {
    fn new(body: Incoming, seat: &Arc<Mutex<Seat>>) -> Self {
        let mut arriving = Arriving {
            body,
            seat: Some(Arc::clone(seat)),
        };
        arriving.look();
        arriving
    }

    /// Says so, once all is here.
    fn look(&mut self) {
        if self.body.is_end_stream()
            && let Some(seat) = self.seat.take()
        {
            // One that has to go is dropped before its answer could be.
            let _ = lock(&seat).busy();
        }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.look();
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl Taken ===

impl<S> Taken<S> {
    fn new(stream: S) -> Self {
        Taken {
            stream,
            stall: None,
        }
    }

    /// What a write came to, held against the deadline.
    fn judge(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match (&written, &mut self.stall) {
            (Poll::Ready(Ok(n_bytes)), Some(stall)) => {
                let granted = rate_time(*n_bytes);
                let later = stall.deadline.deadline() + granted;
                stall.deadline.as_mut().reset(later);
            }
            (Poll::Pending, stall) => {
                let stall = stall.get_or_insert_with(|| Stall {
                    deadline: Box::pin(sleep_until(Instant::now() + limits::REPLY_WAIT_MAX)),
                });
                if stall.deadline.as_mut().poll(context).is_ready() {
                    let late = "the peer does not take the response";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, late)));
                }
            }
            _ => {}
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taken<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let held = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        // The next request: the response to the one before was taken.
        if buffer.filled().len() > held {
            self.stall = None;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taken<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judge(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

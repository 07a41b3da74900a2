//! One connection of a server, from its first byte to its end: requests in, one at a time and in
//! order, replies out.
//!
//! Works on any stream of bytes. Accepting, counting and logging are `server`'s.

use std::any::Any;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::warn;

use super::admission::Seat;
use super::framing::{self, Form, FramingError, Inbound, fill};
use super::server::{Counters, Limits, stopped};
use super::{Caller, Close, Dispatch};
use crate::{clock, limits, process};

/// What one connection needs to be served.
pub(super) struct Connection<'a, S, D> {
    pub stream: S,
    pub form: Form,
    pub caller: Caller,
    pub dispatch: &'a D,
    pub seat: Seat,
    pub limits: &'a Limits,
    pub counters: &'a Counters,
    /// Becomes true when the server drains.
    pub stop: watch::Receiver<bool>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the peer closed it")]
    PeerClosed,
    #[error("the server stops")]
    Stopped,
    #[error("it made room for another")]
    Evicted,
    #[error("the handshake failed: {0}")]
    Greeting(#[source] io::Error),
    #[error("the handshake was not complete within {waited:?}")]
    GreetingLate { waited: Duration },
    #[error("{0}")]
    Framing(#[from] FramingError),
    #[error("the peer closed it {n_bytes} bytes into a request")]
    CutShort { n_bytes: usize },
    #[error("a request was not complete {waited:?} after its first byte; {n_bytes} bytes came")]
    RequestLate { waited: Duration, n_bytes: usize },
    #[error("the peer did not take a reply of {n_bytes} bytes within {waited:?}")]
    ReplyLate { waited: Duration, n_bytes: usize },
    #[error("{0}")]
    Refused(#[from] Close),
    #[error("a handler panicked: {0}")]
    Panicked(String),
    #[error("the peer was gone for {0:?} and its call still ran")]
    Abandoned(Duration),
    #[error("{0}")]
    Io(#[from] io::Error),
}

// === impl Connection ===

impl<S, D> Connection<'_, S, D>
where
    S: AsyncRead + AsyncWrite + Unpin,
    D: Dispatch,
{
    /// Serves until the peer, the server or an error ends it.
    pub async fn serve(mut self) -> End {
        let mut inbound = Inbound::new(self.form, self.limits.frame_bytes_max);
        loop {
            if let Err(end) = self.serve_one(&mut inbound).await {
                self.dispatch.hung_up(&self.caller);
                // What was queued for the peer still goes out; a dead peer must not hold us up.
                let _ = timeout(SHUTDOWN_WAIT_MAX, self.stream.shutdown()).await;
                return end;
            }
        }
    }

    async fn serve_one(&mut self, inbound: &mut Inbound) -> Result<(), End> {
        if *self.stop.borrow() {
            return Err(End::Stopped);
        }
        let message = self.receive(inbound).await?;
        if !self.seat.busy() {
            return Err(End::Evicted);
        }
        Counters::count(&self.counters.calls);
        let is_large = message.len() > limits::LARGE_REQUEST_BYTES;
        let reply = self.answer(inbound, message).await?;
        if reply.as_deref().is_none_or(is_no_exception) {
            self.seat.prove();
        }
        if let Some(reply) = reply {
            self.reply(&reply).await?;
        }
        if is_large {
            process::give_memory_back();
        }
        self.seat.idle(clock::monotonic_millis());
        Ok(())
    }

    /// The next request. A connection may idle as long as it likes, but not inside a request.
    async fn receive(&mut self, inbound: &mut Inbound) -> Result<Bytes, End> {
        let mut first_byte_at = None;
        loop {
            if let Some(message) = inbound.poll_message()? {
                return Ok(message);
            }
            let n_bytes = inbound.held();
            let mut waited = None;
            if n_bytes > 0 {
                if !self.seat.receiving(n_bytes) {
                    return Err(End::Evicted);
                }
                let wait = self.limits.granted(self.limits.frame_wait_max, n_bytes);
                let since = *first_byte_at.get_or_insert_with(Instant::now);
                waited = Some((since + wait, wait));
            }
            tokio::select! {
                biased;
                () = self.seat.evicted() => return Err(End::Evicted),
                filled = fill(&mut self.stream, inbound) => match filled? {
                    0 if n_bytes == 0 => return Err(End::PeerClosed),
                    0 => return Err(End::CutShort { n_bytes }),
                    _ => {}
                },
                () = stopped(&mut self.stop) => return Err(End::Stopped),
                waited = passed(waited) => return Err(End::RequestLate { waited, n_bytes }),
            }
        }
    }

    /// Runs one call to its end, however long it takes. Bytes of the next request are taken
    /// meanwhile, so that a peer that hangs up is noticed; its call is then given a little time to
    /// end by itself.
    async fn answer(
        &mut self,
        inbound: &mut Inbound,
        message: Bytes,
    ) -> Result<Option<Bytes>, End> {
        let mut call = pin!(caught(self.dispatch.dispatch(&self.caller, message)));
        let grace = self.limits.abandoned_call_max;
        let mut gone = None;
        loop {
            let listens = gone.is_none() && inbound.held() < self.limits.read_ahead_bytes_max;
            tokio::select! {
                biased;
                done = &mut call => return Ok(done.map_err(End::Panicked)??),
                filled = fill(&mut self.stream, inbound), if listens => {
                    if matches!(filled, Ok(0) | Err(_)) {
                        gone = Some((Instant::now() + grace, grace));
                        self.dispatch.hung_up(&self.caller);
                    }
                }
                waited = passed(gone) => return Err(End::Abandoned(waited)),
            }
        }
    }

    async fn reply(&mut self, reply: &[u8]) -> Result<(), End> {
        let n_bytes = reply.len();
        if n_bytes > self.limits.reply_bytes_max
            && Counters::count(&self.counters.large_replies) == 0
        {
            let peer = self.caller.peer;
            warn!(
                n_bytes,
                ?peer,
                "Java clients refuse a reply this large; said once"
            );
        }
        let waited = self.limits.granted(self.limits.reply_wait_max, n_bytes);
        match timeout(waited, framing::send(&mut self.stream, self.form, reply)).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(End::ReplyLate { waited, n_bytes }),
        }
    }
}

/// Done at the moment given, with the wait that led there; never when there is none.
async fn passed(deadline: Option<(Instant, Duration)>) -> Duration {
    match deadline {
        Some((at, waited)) => {
            sleep_until(at).await;
            waited
        }
        None => std::future::pending().await,
    }
}

/// The future's output, or what it panicked with.
async fn caught<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    std::future::poll_fn(move |context| {
        // After a panic the future is dropped and never polled again: nobody sees a broken state of
        // it.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panic) => Poll::Ready(Err(text_of(panic.as_ref()))),
        }
    })
    .await
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no text").to_owned()
}

/// Whether a reply says anything but TApplicationException: its type stands in the fourth byte.
fn is_no_exception(reply: &[u8]) -> bool {
    reply.get(3) != Some(&MESSAGE_TYPE_EXCEPTION)
}

const MESSAGE_TYPE_EXCEPTION: u8 = 3;
const SHUTDOWN_WAIT_MAX: Duration = Duration::from_secs(1);

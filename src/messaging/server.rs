//! The receiving side: accepts links of the topology's other workers and hands on what they bring.
//!
//! Always reads: what a sender may send was granted before, so that nobody waits for an executor
//! but those who feed it. Garbage, strangers and broken frames cost their own connection and fail
//! what they carried, and are counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info, warn};

use crate::id::{ExecutorId, TaskId};
use crate::limits;
use crate::messaging::acks::{self, AckBatchError, AckRecord};
use crate::messaging::codec::{self, BatchHead};
use crate::messaging::compress::{Codec, UnpackError, Unpacker};
use crate::messaging::decode::{DecodeError, Incoming};
use crate::messaging::frame::{self, Checksums, FrameError, FrameReader};
use crate::messaging::link::LinkIdentity;
use crate::messaging::packing::Packing;
use crate::messaging::receiving::{Accounts, Receipt, SessionError, Sessions, Turn};
use crate::messaging::sending::charge;
use crate::messaging::transport::{self, LinkReader, LinkWriter};
use crate::wire::messages;

/// Takes what other workers send: one for each link.
pub trait Intake: Send + 'static {
    /// The executor of a task of this worker.
    fn executor_of(&self, task: TaskId) -> Option<ExecutorId>;

    /// Delivers the tuples of a batch, which are for `executor`, or none of them. They are taken
    /// when the receipt is dropped.
    fn tuples(
        &mut self,
        executor: ExecutorId,
        batch: &Incoming<'_>,
        receipt: Receipt,
    ) -> Result<(), DecodeError>;

    /// Tuples came that nobody here can be given: their trees fail.
    fn fail(&mut self, batch: &Incoming<'_>);

    /// Delivers ack records.
    fn acks(&mut self, records: &[AckRecord]);

    /// Nothing more is there at the moment: what was kept back goes on.
    fn flush(&mut self);
}

/// Makes the intakes of links.
pub trait Intakes: Send + Sync + 'static {
    type Intake: Intake;

    fn intake(&self) -> Self::Intake;
}

/// What came in. Only grows.
#[derive(Debug, Default)]
pub struct ServerCounters {
    /// Links that were welcomed.
    n_links: AtomicU64,
    /// Connections whose greeting did not fit.
    n_refused: AtomicU64,
    /// Links that were closed for what they sent.
    n_broken: AtomicU64,
}

/// Why a link was closed from this side.
#[derive(Debug, thiserror::Error)]
enum Misbehaviour {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Batch(#[from] DecodeError),
    #[error(transparent)]
    Acks(#[from] AckBatchError),
    #[error(transparent)]
    Packed(#[from] UnpackError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("a frame that does not belong on this link")]
    OutOfPlace,
}

/// What a server works with.
pub struct ServerParts<I> {
    pub identity: Arc<LinkIdentity>,
    pub sessions: Arc<Sessions>,
    pub intakes: Arc<I>,
    pub counters: Arc<ServerCounters>,
}

/// Accepts links until `stopped` turns true.
pub async fn serve<I: Intakes>(
    listener: TcpListener,
    parts: ServerParts<I>,
    mut stopped: watch::Receiver<bool>,
) {
    let counters = parts.counters;
    let places = Arc::new(Semaphore::new(limits::LINKS_MAX));
    let mut links = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        while links.try_join_next().is_some() {}
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot accept a link");
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            counters.n_refused.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let (identity, sessions) = (parts.identity.clone(), parts.sessions.clone());
        let intake = parts.intakes.intake();
        let link = async move { serve_link((stream, from), &identity, &sessions, intake).await };
        let counters = counters.clone();
        links.spawn(async move {
            let _place = place;
            link.await.count(&counters, from);
        });
    }
    links.shutdown().await;
}

enum Outcome {
    Refused(String),
    Ended,
    Broken(Misbehaviour),
}

// === impl Outcome ===

impl Outcome {
    fn count(self, counters: &ServerCounters, from: SocketAddr) {
        let counter = match self {
            Outcome::Refused(reason) => {
                warn!(%from, reason, "refused a link");
                &counters.n_refused
            }
            Outcome::Ended => &counters.n_links,
            Outcome::Broken(Misbehaviour::Session(error @ SessionError::Superseded)) => {
                debug!(%from, %error, "a link ended");
                &counters.n_links
            }
            Outcome::Broken(Misbehaviour::Frame(FrameError::Io(error))) => {
                debug!(%from, %error, "a link broke");
                &counters.n_links
            }
            Outcome::Broken(misbehaviour) => {
                warn!(%from, error = %misbehaviour, "closed a link");
                &counters.n_broken
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

async fn serve_link<I: Intake>(
    (stream, from): (TcpStream, SocketAddr),
    identity: &LinkIdentity,
    sessions: &Sessions,
    mut intake: I,
) -> Outcome {
    let accepting = transport::accept(stream, &identity.security);
    let (reader, mut writer) = match timeout(limits::GREETING_WAIT_MAX, accepting).await {
        Ok(Ok(halves)) => halves,
        Ok(Err(error)) => return Outcome::Refused(error.to_string()),
        Err(_) => return Outcome::Refused("no greeting in time".to_owned()),
    };
    let mut frames = FrameReader::new(reader, limits::GREETING_BYTES_MAX);
    let greeting = timeout(limits::GREETING_WAIT_MAX, frames.next()).await;
    let hello = match greeting {
        Ok(Ok(Some(messages::Frame::Hello(hello)))) => hello,
        Ok(Ok(_)) => return Outcome::Refused("no greeting".to_owned()),
        Ok(Err(error)) => return Outcome::Refused(error.to_string()),
        Err(_) => return Outcome::Refused("no greeting in time".to_owned()),
    };
    let mut welcome = identity.welcome();
    let codec = Packing::agree(&hello, &mut welcome).map_or("none", Codec::name);
    let judged = identity.judge(&hello);
    let opened = judged.and_then(|()| {
        let opened = sessions.open(&hello, &mut welcome);
        opened.map_err(|error| error.to_string())
    });
    let turn = match opened {
        Ok(turn) => turn,
        Err(reason) => {
            let refused = messages::Refused {
                reason: reason.clone(),
            };
            answer(&mut writer, messages::Frame::Refused(refused)).await;
            return Outcome::Refused(reason);
        }
    };
    answer(&mut writer, messages::Frame::Welcome(welcome)).await;
    info!(%from, node = hello.node, port = hello.port, codec, "accepted a link");
    frames.greeted();
    let mut unpacker = Unpacker::new(identity.packing.plain_max);
    let ends = (&mut frames, &mut unpacker, &mut writer);
    let received = receive(ends, &turn, &mut intake).await;
    // What came before the end is good.
    intake.flush();
    match received {
        Ok(()) => Outcome::Ended,
        Err(misbehaviour) => Outcome::Broken(misbehaviour),
    }
}

async fn answer(writer: &mut LinkWriter, reply: messages::Frame) {
    // A peer that cannot be answered is noticed when it is read from.
    if let Ok(bytes) = frame::to_bytes(&reply, Checksums::Absent) {
        let sent = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        let _ = timeout(limits::GREETING_WAIT_MAX, sent).await;
    }
}

/// Takes frames and tells the sender what was taken, until the connection ends.
async fn receive<I: Intake>(
    (frames, unpacker, writer): (&mut FrameReader<LinkReader>, &mut Unpacker, &mut LinkWriter),
    turn: &Turn,
    intake: &mut I,
) -> Result<(), Misbehaviour> {
    let mut tell_at: Option<Instant> = None;
    loop {
        if tell_at.is_none() && turn.is_open() {
            tell_at = Some(Instant::now() + limits::GRANT_DELAY);
        }
        // A length that was damaged may announce what never comes.
        let patience = match frames.has_part() {
            true => limits::FRAME_WAIT_MAX,
            false => Duration::MAX,
        };
        tokio::select! {
            is_more = timeout(patience, frames.fill()) => {
                if !is_more.unwrap_or(Err(FrameError::Stalled))? {
                    return Ok(());
                }
                while let Some(frame) = frames.take_whole()? {
                    take((frame, unpacker), turn, intake)?;
                }
                intake.flush();
                continue;
            }
            () = turn.due() => {}
            () = sleep_until(tell_at.unwrap_or_else(Instant::now)), if tell_at.is_some() => {
                tell_at = None;
            }
        }
        if let Some(credit) = turn.credit()? {
            let credit = messages::Frame::Credit(credit);
            let bytes = frame::to_bytes(&credit, Checksums::Present)?;
            // The sender always reads, whatever else it does.
            writer.write_all(&bytes).await.map_err(FrameError::Io)?;
            writer.flush().await.map_err(FrameError::Io)?;
        }
    }
}

/// Takes one frame. It counts as arrived whatever is in it: it would be as bad the next time.
fn take<I: Intake>(
    (frame, unpacker): (&[u8], &mut Unpacker),
    turn: &Turn,
    intake: &mut I,
) -> Result<(), Misbehaviour> {
    turn.arrived(|accounts| {
        let frame = unpacker.open(frame)?;
        if let Some((head, body)) = codec::split_frame(frame) {
            return take_batch((head, body), frame.len(), accounts, intake);
        }
        if let Some((count, records)) = acks::split_frame(frame) {
            return take_acks(count, records, intake);
        }
        match frame::decode(frame)? {
            messages::Frame::Batch(batch) => {
                let whole = (BatchHead::from(&batch), &batch.body[..]);
                take_batch(whole, frame.len(), accounts, intake)
            }
            messages::Frame::Acks(batch) => take_acks(batch.count, &batch.records, intake),
            _ => Err(Misbehaviour::OutOfPlace),
        }
    })?
}

fn take_batch<I: Intake>(
    (head, body): (BatchHead, &[u8]),
    n_bytes: usize,
    accounts: &mut Accounts<'_>,
    intake: &mut I,
) -> Result<(), Misbehaviour> {
    let batch = Incoming::open(head, body)?;
    let target = batch.first_target()?;
    let n_bytes = charge(n_bytes, batch.n_rows());
    let Some(executor) = intake.executor_of(target) else {
        // The assignment changed under way: taken, and given back at once.
        drop(accounts.charge(target, n_bytes));
        intake.fail(&batch);
        return Ok(());
    };
    let taken = match accounts.charge(executor.first, n_bytes) {
        Ok(receipt) => intake
            .tuples(executor, &batch, receipt)
            .map_err(Misbehaviour::from),
        Err(error) => Err(error.into()),
    };
    if taken.is_err() {
        intake.fail(&batch);
    }
    taken
}

fn take_acks(count: i32, bytes: &[u8], intake: &mut impl Intake) -> Result<(), Misbehaviour> {
    let mut records = Vec::new();
    acks::read(count, bytes, &mut records)?;
    intake.acks(&records);
    Ok(())
}

// === impl ServerCounters ===

impl ServerCounters {
    pub fn n_refused(&self) -> u64 {
        self.n_refused.load(Ordering::Relaxed)
    }

    pub fn n_broken(&self) -> u64 {
        self.n_broken.load(Ordering::Relaxed)
    }
}

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
use crate::messaging::credit;
use crate::messaging::decode::{DecodeError, Incoming};
use crate::messaging::frame::{self, Checksums, FrameError, FrameReader};
use crate::messaging::link::LinkIdentity;
use crate::messaging::packing::Packing;
use crate::messaging::receiving::{Accounts, Receipt, SessionError, Sessions, Tenure};
use crate::messaging::sending::charge;
use crate::messaging::transport::{self, LinkReader, LinkWriter};
use crate::wire::messages;

/// Takes what other workers send: one for each link.
pub trait Intake: Send + 'static {
    /// The executor of a task of this worker.
    fn executor_of(&self, task: TaskId) -> Option<ExecutorId>;

    /// Whether the topology has such a task, here or elsewhere.
    fn has_task(&self, task: TaskId) -> bool;

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

/// What was turned away. Only grows.
#[derive(Debug, Default)]
pub struct ServerCounters {
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
            Outcome::Ended => return,
            Outcome::Broken(Misbehaviour::Session(error @ SessionError::Superseded)) => {
                return debug!(%from, %error, "a link ended");
            }
            Outcome::Broken(Misbehaviour::Frame(FrameError::Io(error))) => {
                return debug!(%from, %error, "a link broke");
            }
            Outcome::Broken(misbehaviour) => {
                // Quoted: it may hold what a stranger sent, ends of lines included.
                let error = misbehaviour.to_string();
                warn!(%from, error, "closed a link");
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
    let accepting = transport::accept(stream, identity.protection());
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
    let tenure = match opened {
        Ok(tenure) => tenure,
        Err(reason) => {
            let refused = messages::Refused {
                reason: reason.clone(),
            };
            answer(&mut writer, messages::Frame::Refused(refused)).await;
            return Outcome::Refused(reason);
        }
    };
    welcome.salt = (hello.numbered == Some(true)).then(|| fastrand::i32(..));
    let checksums = Checksums::new(welcome.salt);
    answer(&mut writer, messages::Frame::Welcome(welcome)).await;
    info!(%from, node = hello.node, port = hello.port, codec, "accepted a link");
    frames.greeted(checksums);
    let mut opener = Opener {
        unpacker: Unpacker::new(identity.packing.plain_max),
        records: Vec::new(),
    };
    let replies = Replies {
        writer,
        checksums,
        credit: messages::Credit::default(),
        bytes: Vec::new(),
    };
    let ends = (&mut frames, &mut opener, replies);
    let received = receive(ends, &tenure, &mut intake).await;
    // What came before the end is good.
    intake.flush();
    match received {
        Ok(()) => Outcome::Ended,
        Err(misbehaviour) => Outcome::Broken(misbehaviour),
    }
}

async fn answer(writer: &mut LinkWriter, reply: messages::Frame) {
    // A peer that cannot be answered is noticed when it is read from.
    if let Ok(bytes) = frame::to_bytes(&reply) {
        let sent = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        let _ = timeout(limits::GREETING_WAIT_MAX, sent).await;
    }
}

/// Opens what came, in memory that is used again.
struct Opener {
    unpacker: Unpacker,
    records: Vec<AckRecord>,
}

/// Tells the sender what was taken, from memory that is used again.
struct Replies {
    writer: LinkWriter,
    checksums: Checksums,
    credit: messages::Credit,
    bytes: Vec<u8>,
}

impl Replies {
    async fn send(&mut self) -> std::io::Result<()> {
        self.bytes.clear();
        credit::write_frame(&self.credit, &mut self.checksums, &mut self.bytes);
        // The sender always reads, whatever else it does.
        self.writer.write_all(&self.bytes).await?;
        self.writer.flush().await
    }
}

/// What a link reads from, opens frames with and answers to.
type Ends<'a> = (&'a mut FrameReader<LinkReader>, &'a mut Opener, Replies);

/// Takes frames and tells the sender what was taken, until the connection ends.
async fn receive<I: Intake>(
    (frames, opener, mut replies): Ends<'_>,
    tenure: &Tenure,
    intake: &mut I,
) -> Result<(), Misbehaviour> {
    let mut tell_at: Option<Instant> = None;
    let (mut read_at, mut told_at) = (Instant::now(), Instant::now());
    loop {
        if tell_at.is_none() {
            tell_at = match (tenure.is_open(), frames.has_part()) {
                (true, _) => Some(Instant::now() + limits::GRANT_DELAY),
                (false, true) => Some(Instant::now() + limits::LINK_SIGN_DELAY),
                (false, false) => None,
            };
        }
        // A length that was damaged may announce what never comes.
        let patience = match frames.has_part() {
            true => limits::FRAME_WAIT_MAX.saturating_sub(Instant::now().duration_since(read_at)),
            false => Duration::MAX,
        };
        tokio::select! {
            is_more = timeout(patience, frames.fill()) => {
                if !is_more.unwrap_or(Err(FrameError::Stalled))? {
                    return Ok(());
                }
                read_at = Instant::now();
                while let Some(frame) = frames.take_whole()? {
                    take((frame, opener), tenure, intake)?;
                }
                intake.flush();
                if !tenure.owes_word() {
                    continue;
                }
            }
            () = tenure.due() => {}
            () = sleep_until(tell_at.unwrap_or_else(Instant::now)), if tell_at.is_some() => {
                tell_at = None;
            }
        }
        let is_news = tenure.credit(&mut replies.credit)?;
        // A large frame over a slow line: the sender hears that it is on its way.
        if is_news || (frames.has_part() && read_at > told_at) {
            told_at = Instant::now();
            replies.send().await.map_err(FrameError::Io)?;
        }
    }
}

/// Takes one frame. It counts as arrived whatever is in it: it would be as bad the next time.
fn take<I: Intake>(
    (frame, opener): (&[u8], &mut Opener),
    tenure: &Tenure,
    intake: &mut I,
) -> Result<(), Misbehaviour> {
    let Opener { unpacker, records } = opener;
    tenure.arrived(|accounts| {
        let frame = unpacker.open(frame)?;
        if let Some((head, body)) = codec::split_frame(frame) {
            return take_batch((head, body), frame.len(), accounts, intake);
        }
        if let Some(acks) = acks::split_frame(frame) {
            accounts.note_acks();
            return take_acks(acks, records, intake);
        }
        match frame::decode(frame)? {
            messages::Frame::Batch(batch) => {
                let whole = (BatchHead::from(&batch), &batch.body[..]);
                take_batch(whole, frame.len(), accounts, intake)
            }
            messages::Frame::Acks(batch) => {
                accounts.note_acks();
                take_acks((batch.count, &batch.records), records, intake)
            }
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
        intake.fail(&batch);
        // An account is kept for good: nobody gets one for what does not exist.
        if !intake.has_task(target) {
            return Err(Misbehaviour::OutOfPlace);
        }
        // The assignment changed under way: taken, and given back at once.
        drop(accounts.charge(target, n_bytes));
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

fn take_acks(
    (count, bytes): (i32, &[u8]),
    records: &mut Vec<AckRecord>,
    intake: &mut impl Intake,
) -> Result<(), Misbehaviour> {
    records.clear();
    acks::read(count, bytes, records)?;
    intake.acks(records);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::log::Log;
    use crate::wire::WireError;

    #[test]
    fn who_breaks_a_link_writes_no_lines_of_the_log() {
        let log = Log::default();
        let logging = log.of_this_thread();
        let sent = WireError::RequiredFieldMissing {
            field: "node",
            shown: "Hello(node:null, id:\n2026-01-01 ERROR forged)".to_owned(),
        };
        let broken = Outcome::Broken(FrameError::from(sent).into());
        broken.count(
            &ServerCounters::default(),
            SocketAddr::from(([127, 0, 0, 1], 1)),
        );
        drop(logging);
        let log = log.text();
        assert!(log.contains("forged"), "{log}");
        assert_eq!(log.lines().count(), 1, "{log}");
    }
}

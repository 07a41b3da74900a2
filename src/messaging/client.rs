//! The sending side: keeps the connection to one other worker and empties its outbox into it.
//!
//! Tuples and acks share one connection. Acks go first in each write, and no write waits long: the
//! other side always reads, since it has granted room for all that it gets. Reconnects with
//! backoff for as long as it is wanted and goes on where the last connection ended. When the
//! process there is gone instead, the trees of what it had in its hands fail at once.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::clock;
use crate::id::{self, ExecutorId, TaskId};
use crate::limits;
use crate::messaging::acks::AckRecord;
use crate::messaging::codec;
use crate::messaging::credit;
use crate::messaging::decode::Incoming;
use crate::messaging::frame::{self, Checksums, FrameError, FrameReader};
use crate::messaging::link::{LinkError, LinkIdentity};
use crate::messaging::outbox::{DataOutbox, LinkCounters, LinkFace, Load, Outbox};
use crate::messaging::packing::FramePacker;
use crate::messaging::pays::Written;
use crate::messaging::sending::{BadGrant, DataFrame, Freed};
use crate::messaging::transport::{self, LinkReader, LinkWriter};
use crate::wire::messages;

/// Another worker of the topology, as seen from this one.
pub struct Peer {
    /// `host:port` of its data plane.
    pub address: String,
    outbox: Arc<Outbox>,
    /// By the executor that gets the tuples.
    lines: Vec<Arc<DataOutbox>>,
    watch: Box<dyn PeerWatch>,
    epoch: i64,
    number: i64,
    /// Names the series of frames: see `Hello.session`.
    session: AtomicI64,
    /// Processes that were there and are gone.
    n_gone: AtomicU64,
}

/// Who has to know what happens to a peer.
pub trait PeerWatch: Send + Sync + 'static {
    /// Emitters that wait for room in an outbox may go on.
    fn room(&self);

    /// Tuples were lost that belonged to these trees.
    fn lost(&self, roots: Vec<u64>);

    /// The process that was there is gone, and all that its ackers knew.
    fn gone(&self);
}

/// How long a peer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Connect, send, reconnect.
    Yes,
    /// Send what there is if a connection is open, then end.
    UntilEmpty,
    /// End at once; what waits is lost.
    No,
}

/// Pauses between attempts to connect (data-plane 5.4).
#[derive(Clone, Copy, Debug)]
pub struct Reconnects {
    pub base: Duration,
    pub ceiling: Duration,
}

/// A connection that was welcomed.
struct Open {
    writer: LinkWriter,
    replies: FrameReader<LinkReader>,
    welcome: messages::Welcome,
    packer: FramePacker,
    checksums: Checksums,
}

/// The process at the other end, as far as it is known.
#[derive(Default)]
struct Known {
    /// Of the process that last welcomed us and is not known to be gone.
    generation: Option<i64>,
    /// Since when there is no connection to it.
    lost_at: Option<Instant>,
}

// === impl Peer ===

impl Peer {
    /// `executors` are those that the worker runs; emitters stop when `window_bytes` of frames are
    /// on their way to one of them.
    pub fn new(
        address: impl Into<String>,
        executors: &[ExecutorId],
        window_bytes: usize,
        watch: impl PeerWatch,
    ) -> Self {
        let mut executors = executors.to_vec();
        executors.sort_unstable();
        let (outbox, lines) = Outbox::new(&executors, window_bytes);
        Peer {
            address: address.into(),
            outbox,
            lines,
            watch: Box::new(watch),
            epoch: 0,
            number: next_session(),
            session: AtomicI64::new(next_session()),
            n_gone: AtomicU64::new(0),
        }
    }

    /// What is on its way to the executor of a task; none if the worker does not have it.
    pub fn data(&self, task: TaskId) -> Option<&Arc<DataOutbox>> {
        let behind = self
            .lines
            .partition_point(|line| line.executor.first <= task);
        let line = self.lines.get(behind.checked_sub(1)?)?;
        line.executor.contains(task).then_some(line)
    }

    pub fn executors(&self) -> impl ExactSizeIterator<Item = ExecutorId> + '_ {
        self.lines.iter().map(|line| line.executor)
    }

    /// Queues ack records.
    pub fn extend_acks(&self, records: &[AckRecord]) {
        self.outbox.extend_acks(records);
    }

    /// Has links open only to a worker that was started for an assignment of this epoch or a later
    /// one.
    pub fn since(self, epoch: i64) -> Self {
        Peer { epoch, ..self }
    }

    /// See `since`.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Tells peers of this process apart, even such as followed each other in one slot.
    pub fn number(&self) -> i64 {
        self.number
    }

    /// How many processes that were there are gone: what their ackers knew is not known any more.
    pub fn n_gone(&self) -> u64 {
        self.n_gone.load(Ordering::SeqCst)
    }

    /// Tuples that wait here, and one more where acks do.
    pub fn n_waiting(&self) -> usize {
        self.outbox.n_waiting()
    }

    /// Whether everything was handed to the system.
    pub fn is_empty(&self) -> bool {
        self.outbox.is_empty()
    }

    pub fn counters(&self) -> &LinkCounters {
        self.outbox.counters()
    }

    /// Keeps the link of a peer for as long as `wanted` says.
    pub async fn run(
        self: Arc<Self>,
        identity: Arc<LinkIdentity>,
        reconnects: Reconnects,
        mut wanted: watch::Receiver<Wanted>,
    ) {
        self.keep(&identity, reconnects, &mut wanted).await;
        let mut lost = Vec::new();
        let freed = self.outbox.sending().end(&mut lost);
        self.fail(&lost, freed);
    }

    async fn keep(
        &self,
        identity: &LinkIdentity,
        reconnects: Reconnects,
        wanted: &mut watch::Receiver<Wanted>,
    ) {
        let mut known = Known::default();
        let mut backoff = Backoff::new(reconnects.base, reconnects.ceiling);
        while *wanted.borrow_and_update() == Wanted::Yes {
            // Many workers get nothing from this one, ever.
            if self.counters().n_connects() == 0 && self.is_empty() {
                tokio::select! {
                    () = self.outbox.filled() => {}
                    _ = wanted.changed() => {}
                }
                continue;
            }
            let opened = tokio::select! {
                opened = self.open(identity) => opened,
                _ = wanted.changed() => continue,
            };
            let since = Instant::now();
            let error = match self.serve(opened, &mut known, wanted).await {
                Ok(()) => continue,
                Err(error) => error,
            };
            // The first failure is news, the hundredth is not.
            if backoff.attempts().is_power_of_two() || backoff.attempts() == 0 {
                warn!(peer = self.address, %error, "link is down, reconnecting");
            }
            self.judge(&mut known, &error);
            if Instant::now().duration_since(since) > reconnects.ceiling {
                // A connection that was good for a while: the next attempt is made at once.
                backoff.reset();
                continue;
            }
            let delay = backoff.next_delay(fastrand::f64());
            let _ = timeout(delay, wanted.changed()).await;
        }
    }

    /// Uses a connection until it breaks (`Err`) or is no longer wanted (`Ok`).
    async fn serve(
        &self,
        opened: Result<Open, LinkError>,
        known: &mut Known,
        wanted: &mut watch::Receiver<Wanted>,
    ) -> Result<(), LinkError> {
        let Open {
            mut writer,
            mut replies,
            welcome,
            mut packer,
            mut checksums,
        } = opened?;
        info!(
            peer = self.address,
            generation = welcome.generation,
            codec = packer.codec(),
            "connected"
        );
        self.counters().add_connect();
        self.counters().show(LinkFace {
            codec: packer.is_on().then(|| packer.codec()),
            cipher: writer.cipher(),
        });
        if known
            .generation
            .is_some_and(|known| known != welcome.generation)
        {
            // The series that it was greeted with is the first that it knows, and goes on.
            self.lose(known);
        }
        *known = Known {
            generation: Some(welcome.generation),
            lost_at: None,
        };
        let resumed = self.outbox.sending().resume(&welcome);
        match resumed {
            Ok(freed) => self.freed(freed),
            Err(BadGrant) => {
                self.lose_and_begin_anew(known);
                return Err(LinkError::BadGrant);
            }
        }
        let served = tokio::select! {
            sent = self.send((&mut writer, &mut packer, &mut checksums), wanted) => sent,
            error = self.listen(&mut replies) => Err(error),
        };
        if served.is_ok() && *wanted.borrow() == Wanted::UntilEmpty {
            // Closing with anything unread would take back what was sent last.
            let _ = writer.shutdown().await;
            let _ = timeout(limits::GREETING_WAIT_MAX, self.listen(&mut replies)).await;
        }
        known.lost_at = Some(Instant::now());
        packer.tell(&self.address);
        served
    }

    /// A connection broke or could not be made: is the process gone?
    fn judge(&self, known: &mut Known, error: &LinkError) {
        let is_known = known.generation.is_some();
        let silence = known
            .lost_at
            .map_or(Duration::ZERO, |at| Instant::now().duration_since(at));
        if is_known && (error.is_gone() || silence >= limits::LINK_RESUME_MAX) {
            self.lose_and_begin_anew(known);
        }
    }

    /// For a process that may yet turn out to live: it is not to count on from where it was.
    fn lose_and_begin_anew(&self, known: &mut Known) {
        self.session.store(next_session(), Ordering::SeqCst);
        self.lose(known);
    }

    /// The process is gone, or cannot be told from one that is.
    fn lose(&self, known: &mut Known) {
        *known = Known::default();
        self.n_gone.fetch_add(1, Ordering::SeqCst);
        let mut lost = Vec::new();
        let (ack_frames, freed) = {
            let mut sending = self.outbox.sending();
            (sending.take_acks(), sending.abandon(&mut lost))
        };
        self.outbox.doubt(&ack_frames);
        warn!(
            peer = self.address,
            n_tuples = freed.n_tuples,
            "the worker is gone: what it had in its hands fails"
        );
        self.fail(&lost, freed);
        self.watch.gone();
    }

    fn fail(&self, lost: &[DataFrame], freed: Freed) {
        self.counters().add_lost(freed.n_tuples);
        self.freed(freed);
        let mut roots = Vec::new();
        for frame in lost {
            // We wrote it ourselves.
            if let Some((head, body)) = codec::split_frame(&frame.bytes)
                && let Ok(batch) = Incoming::open(head, body)
            {
                roots.extend(batch.roots());
            }
        }
        roots.sort_unstable();
        roots.dedup();
        if !roots.is_empty() {
            self.watch.lost(roots);
        }
    }

    fn freed(&self, freed: Freed) {
        if freed.has_waiter {
            self.watch.room();
        }
    }

    async fn open(&self, identity: &LinkIdentity) -> Result<Open, LinkError> {
        let greet = async {
            let connected = transport::connect(&self.address, identity.protection()).await;
            let (reader, mut writer) = connected?;
            let session = self.session.load(Ordering::SeqCst);
            let hello = messages::Frame::Hello(identity.hello(session));
            let hello = frame::to_bytes(&hello)?;
            writer.write_all(&hello).await.map_err(FrameError::Io)?;
            writer.flush().await.map_err(FrameError::Io)?;
            let mut replies = FrameReader::new(reader, limits::WELCOME_BYTES_MAX);
            match replies.next().await? {
                Some(messages::Frame::Welcome(welcome)) => {
                    let epoch = id::epoch_of(welcome.generation);
                    if epoch < self.epoch {
                        let wanted = self.epoch;
                        return Err(LinkError::Outdated { epoch, wanted });
                    }
                    let checksums = Checksums::new(welcome.salt);
                    replies.greeted(checksums);
                    Ok(Open {
                        checksums,
                        packer: identity.packing.packer(&welcome),
                        writer,
                        replies,
                        welcome,
                    })
                }
                Some(messages::Frame::Refused(refused)) => Err(LinkError::Refused(refused.reason)),
                Some(_) => Err(LinkError::OutOfTurn),
                None => Err(LinkError::Closed),
            }
        };
        let greeted = timeout(limits::GREETING_WAIT_MAX, greet).await;
        greeted.unwrap_or(Err(LinkError::Silent))
    }

    /// Hears what is granted, until the connection ends or is found to be dead: what arrives is
    /// confirmed soon, and a machine or a network that is gone closes nothing.
    async fn listen(&self, replies: &mut FrameReader<LinkReader>) -> LinkError {
        let mut credit = messages::Credit::default();
        loop {
            let n_written = self.outbox.sending().n_written();
            let reply = timeout(limits::LINK_SILENCE_MAX, replies.next_whole());
            let Ok(reply) = reply.await else {
                match self.outbox.sending().n_arrived() < n_written {
                    true => return LinkError::Mute,
                    false => continue,
                }
            };
            let read = match reply {
                Ok(Some(frame)) => credit::read_frame(frame, &mut credit),
                Ok(None) => return LinkError::Closed,
                Err(error) => Err(error),
            };
            match read {
                Ok(true) => {}
                Ok(false) => return LinkError::OutOfTurn,
                Err(error) => return error.into(),
            }
            let credited = self.outbox.sending().credit(credit.frames, &credit.grants);
            let Ok(freed) = credited else {
                return LinkError::BadGrant;
            };
            self.outbox.ring();
            self.freed(freed);
        }
    }

    /// Sends until the connection breaks (`Err`) or is no longer wanted (`Ok`).
    async fn send(
        &self,
        (writer, packer, checksums): (&mut LinkWriter, &mut FramePacker, &mut Checksums),
        wanted: &mut watch::Receiver<Wanted>,
    ) -> Result<(), LinkError> {
        let mut load = Load::default();
        loop {
            self.outbox.take(&mut load);
            let frames = &load.frames;
            if frames.is_empty() {
                // Whatever waits now waits for credit.
                let is_over = match *wanted.borrow() {
                    Wanted::Yes => false,
                    Wanted::UntilEmpty => self.outbox.is_empty(),
                    Wanted::No => true,
                };
                if is_over {
                    return Ok(());
                }
                let waits = &self.counters().waits;
                if !self.outbox.is_empty() {
                    waits.begin(clock::monotonic_micros());
                }
                tokio::select! {
                    () = self.outbox.filled() => {}
                    _ = wanted.changed() => {}
                }
                waits.end(clock::monotonic_micros());
                continue;
            }
            packer.pack(frames);
            let n_bytes = packer.ready(frames).map(<[u8]>::len).sum();
            let began = std::time::Instant::now();
            let written = tokio::select! {
                written = write(writer, packer.ready(frames), checksums) => written,
                () = given_up(wanted) => return Ok(()),
            };
            written.map_err(FrameError::Io)?;
            let n_plain = frames.iter().map(|frame| frame.bytes.len()).sum();
            self.counters().add_bytes(n_plain, n_bytes);
            packer.wrote(Written {
                n_bytes,
                took_ns: u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX),
                is_backlogged: !self.outbox.is_empty(),
            });
        }
    }
}

/// Writes frames, each with its length and checksum, in as few calls as the system takes.
async fn write<'a, W: AsyncWrite + Unpin>(
    writer: &mut W,
    frames: impl Iterator<Item = &'a [u8]>,
    checksums: &mut Checksums,
) -> std::io::Result<()> {
    let mut frames = frames.peekable();
    while frames.peek().is_some() {
        let mut heads = [[0; frame::HEAD_BYTES]; limits::LINK_WRITE_FRAMES];
        let mut slices = [IoSlice::new(&[]); 2 * limits::LINK_WRITE_FRAMES];
        let (places, _) = slices.as_chunks_mut::<2>();
        let mut n_slices = 0;
        // The frame comes last: at the end of places none is taken in vain.
        for ((head, place), frame) in heads.iter_mut().zip(places).zip(&mut frames) {
            *head = frame::head(frame, checksums);
            *place = [IoSlice::new(head), IoSlice::new(frame)];
            n_slices += 2;
        }
        let mut left = slices.get_mut(..n_slices).unwrap_or_default();
        while !left.is_empty() {
            let n_written = writer.write_vectored(left).await?;
            if n_written == 0 {
                return Err(std::io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut left, n_written);
        }
    }
    writer.flush().await
}

async fn given_up(wanted: &mut watch::Receiver<Wanted>) {
    // An engine that is gone wants nothing either.
    let _ = wanted.wait_for(|wanted| *wanted == Wanted::No).await;
}

/// A number that no other series of frames of this process has; later ones are higher.
fn next_session() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    LAST.fetch_add(1, Ordering::SeqCst) + 1
}

//! The receiving side: accepts links of the topology's other workers and hands on what they bring.
//!
//! Garbage, strangers and broken frames cost their own connection and are counted; a full receiver
//! stops the reading of that data link alone, and never that of acks.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use crate::limits;
use crate::messaging::acks::{self, AckBatchError, AckRecord};
use crate::messaging::decode::DecodeError;
use crate::messaging::frame::{self, FrameError, FrameReader};
use crate::messaging::link::LinkIdentity;
use crate::messaging::transport::{self, LinkReader, LinkWriter};
use crate::wire::messages;

/// Takes what other workers send.
pub trait Intake: Send + Sync + 'static {
    /// Delivers the tuples of a batch. An error closes the connection that brought it.
    fn data(&self, batch: &messages::MessageBatch) -> Result<(), DecodeError>;

    /// Delivers ack records. Never waits.
    fn acks(&self, records: Vec<AckRecord>);

    /// Ends when there is room for another batch for `component`; for whatever else, when the link
    /// did not say whom it feeds.
    fn room(&self, component: Option<&str>) -> impl Future<Output = ()> + Send;
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
    #[error("a frame that does not belong on this link")]
    OutOfPlace,
}

/// Accepts links until `stopped` turns true.
pub async fn serve<I: Intake>(
    listener: TcpListener,
    identity: Arc<LinkIdentity>,
    intake: Arc<I>,
    counters: Arc<ServerCounters>,
    mut stopped: watch::Receiver<bool>,
) {
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
        let link = serve_link(stream, from, identity.clone(), intake.clone());
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
    stream: TcpStream,
    from: SocketAddr,
    identity: Arc<LinkIdentity>,
    intake: Arc<I>,
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
    let kind = match identity.judge(&hello) {
        Ok(kind) => kind,
        Err(reason) => {
            let refused = messages::Refused {
                reason: reason.clone(),
            };
            answer(&mut writer, messages::Frame::Refused(refused)).await;
            return Outcome::Refused(reason);
        }
    };
    answer(&mut writer, messages::Frame::Welcome(identity.welcome())).await;
    info!(%from, node = hello.node, port = hello.port, ?kind, "accepted a link");
    frames.set_bytes_max(limits::LINK_FRAME_BYTES_MAX);
    let received = match kind {
        messages::LinkKind::Data => {
            let component = hello.component.as_deref();
            receive_data(&mut frames, &*intake, component).await
        }
        messages::LinkKind::Acks => receive_acks(&mut frames, &*intake).await,
    };
    // Held until here: a peer that sees its reading side close takes the link for broken.
    drop(writer);
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

async fn receive_data(
    frames: &mut FrameReader<LinkReader>,
    intake: &impl Intake,
    component: Option<&str>,
) -> Result<(), Misbehaviour> {
    while let Some(frame) = frames.next().await? {
        let messages::Frame::Batch(batch) = frame else {
            return Err(Misbehaviour::OutOfPlace);
        };
        intake.data(&batch)?;
        intake.room(component).await;
    }
    Ok(())
}

async fn receive_acks(
    frames: &mut FrameReader<LinkReader>,
    intake: &impl Intake,
) -> Result<(), Misbehaviour> {
    while let Some(frame) = frames.next().await? {
        let messages::Frame::Acks(batch) = frame else {
            return Err(Misbehaviour::OutOfPlace);
        };
        let mut records = Vec::new();
        acks::read(batch.count, &batch.records, &mut records)?;
        intake.acks(records);
    }
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

//! The sending side: keeps the connections to one other worker and empties its outboxes into them.
//!
//! Acks have one connection, and so has each component there that gets tuples from here: what one
//! that is full keeps waiting must not be what others wait for.
//!
//! Reconnects with backoff for as long as it is wanted. A frame that was not begun goes into the
//! next connection; one that broke off is counted as lost, and its roots fail by time-out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::id::{self, ComponentId};
use crate::limits;
use crate::messaging::acks;
use crate::messaging::frame::{self, FrameReader};
use crate::messaging::link::{LinkError, LinkIdentity};
use crate::messaging::outbox::{AckOutbox, DataFrame, DataOutbox};
use crate::messaging::transport::{self, LinkReader, LinkWriter};
use crate::wire::messages;

/// Another worker of the topology, as seen from this one.
pub struct Peer {
    /// `host:port` of its data plane.
    pub address: String,
    /// By the component that gets the tuples.
    data: BTreeMap<ComponentId, Arc<DataOutbox>>,
    pub acks: AckOutbox,
    /// Called when emitters that wait for room in a data outbox may go on.
    on_room: Box<dyn Fn() + Send + Sync>,
    epoch: i64,
}

/// How long a peer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Connect, send, reconnect.
    Yes,
    /// Send what there is if a connection is open, then end.
    UntilEmpty,
    /// End at once and drop what waits.
    No,
}

/// Pauses between attempts to connect (data-plane 5.4).
#[derive(Clone, Copy, Debug)]
pub struct Reconnects {
    pub base: Duration,
    pub ceiling: Duration,
}

/// One of the connections.
#[derive(Clone)]
enum Line {
    Data(ComponentId, Arc<DataOutbox>),
    Acks,
}

struct Open {
    writer: LinkWriter,
    reader: LinkReader,
}

// === impl Peer ===

impl Peer {
    /// `components` are those that the worker has tasks of; `capacity` is in tuples that wait for
    /// one of them before emitters are stopped.
    pub fn new(
        address: impl Into<String>,
        components: impl IntoIterator<Item = ComponentId>,
        capacity: usize,
        on_room: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let outbox = |id| (id, Arc::new(DataOutbox::new(capacity)));
        Peer {
            address: address.into(),
            data: components.into_iter().map(outbox).collect(),
            acks: AckOutbox::default(),
            on_room: Box::new(on_room),
            epoch: 0,
        }
    }

    /// What waits for a component of the worker; none if it has no task of it.
    pub fn data(&self, component: &ComponentId) -> Option<&Arc<DataOutbox>> {
        self.data.get(component)
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

    /// Tuples that wait here, and one more where acks do.
    pub fn n_waiting(&self) -> usize {
        let data: usize = self
            .data
            .values()
            .map(|outbox| outbox.gauge.n_queued())
            .sum();
        data + usize::from(!self.acks.is_empty())
    }

    /// Whether everything was handed to the system.
    pub fn is_empty(&self) -> bool {
        self.acks.is_empty() && self.data.values().all(|outbox| outbox.is_empty())
    }

    /// Keeps the links of a peer for as long as `wanted` says.
    pub async fn run(
        self: Arc<Self>,
        identity: Arc<LinkIdentity>,
        reconnects: Reconnects,
        wanted: watch::Receiver<Wanted>,
    ) {
        let data = self.data.iter();
        let data = data.map(|(id, outbox)| Line::Data(id.clone(), outbox.clone()));
        let mut links = JoinSet::new();
        for line in data.chain([Line::Acks]) {
            let (peer, identity, wanted) = (self.clone(), identity.clone(), wanted.clone());
            links.spawn(async move { peer.keep(&line, &identity, reconnects, wanted).await });
        }
        while links.join_next().await.is_some() {}
        let mut has_waiter = false;
        for outbox in self.data.values() {
            has_waiter |= outbox.discard();
        }
        if has_waiter {
            (self.on_room)();
        }
    }

    async fn keep(
        &self,
        line: &Line,
        identity: &LinkIdentity,
        reconnects: Reconnects,
        mut wanted: watch::Receiver<Wanted>,
    ) {
        let (kind, component) = (line.kind(), line.component());
        let component = component.map_or("", ComponentId::as_str);
        let mut backoff = Backoff::new(reconnects.base, reconnects.ceiling);
        while *wanted.borrow_and_update() == Wanted::Yes {
            if let Some(outbox) = line.unused() {
                tokio::select! {
                    () = outbox.filled() => {}
                    _ = wanted.changed() => continue,
                }
            }
            let opened = tokio::select! {
                opened = self.open(line, identity) => opened,
                _ = wanted.changed() => continue,
            };
            let error = match opened {
                Ok(open) => {
                    info!(peer = self.address, ?kind, component, "connected");
                    backoff.reset();
                    match self.send(line, open, &mut wanted).await {
                        Ok(()) => continue,
                        Err(error) => error.to_string(),
                    }
                }
                Err(error) => error.to_string(),
            };
            // The first failure is news, the hundredth is not.
            if backoff.attempts().is_power_of_two() || backoff.attempts() == 0 {
                warn!(
                    peer = self.address,
                    ?kind,
                    component,
                    error,
                    "link is down, reconnecting"
                );
            }
            let delay = backoff.next_delay(fastrand::f64());
            let _ = timeout(delay, wanted.changed()).await;
        }
    }

    async fn open(&self, line: &Line, identity: &LinkIdentity) -> Result<Open, LinkError> {
        let greet = async {
            let connected = transport::connect(&self.address, &identity.security).await;
            let (reader, mut writer) = connected?;
            let hello = messages::Frame::Hello(identity.hello(line.kind(), line.component()));
            let hello = frame::to_bytes(&hello)?;
            writer
                .write_all(&hello)
                .await
                .map_err(frame::FrameError::Io)?;
            writer.flush().await.map_err(frame::FrameError::Io)?;
            let mut replies = FrameReader::new(reader, limits::GREETING_BYTES_MAX);
            match replies.next().await? {
                Some(messages::Frame::Welcome(messages::Welcome { generation, .. }))
                    if id::epoch_of(generation) < self.epoch =>
                {
                    Err(LinkError::Outdated {
                        epoch: id::epoch_of(generation),
                        wanted: self.epoch,
                    })
                }
                Some(messages::Frame::Welcome(_)) => {
                    let reader = replies.into_source();
                    Ok(Open { writer, reader })
                }
                Some(messages::Frame::Refused(refused)) => Err(LinkError::Refused(refused.reason)),
                Some(_) => Err(LinkError::OutOfTurn),
                None => Err(LinkError::Closed),
            }
        };
        let greeted = timeout(limits::GREETING_WAIT_MAX, greet).await;
        greeted.unwrap_or(Err(LinkError::Silent))
    }

    /// Sends until the connection breaks (`Err`) or is no longer wanted (`Ok`).
    async fn send(
        &self,
        line: &Line,
        open: Open,
        wanted: &mut watch::Receiver<Wanted>,
    ) -> Result<(), std::io::Error> {
        let Open {
            mut writer,
            mut reader,
        } = open;
        match line {
            Line::Data(_, outbox) => {
                outbox.counters().add_connect();
                let (writer, reader) = (&mut writer, &mut reader);
                self.send_data(outbox, writer, reader, wanted).await
            }
            Line::Acks => {
                self.acks.counters().add_connect();
                self.send_acks(&mut writer, &mut reader, wanted).await
            }
        }
    }

    async fn send_data(
        &self,
        outbox: &DataOutbox,
        writer: &mut LinkWriter,
        reader: &mut LinkReader,
        wanted: &mut watch::Receiver<Wanted>,
    ) -> Result<(), std::io::Error> {
        loop {
            let frame = match outbox.try_next() {
                Some(frame) => frame,
                None if *wanted.borrow() != Wanted::Yes => return Ok(()),
                None => tokio::select! {
                    frame = outbox.next() => frame,
                    gone = hangup(reader) => return Err(gone),
                    _ = wanted.changed() => continue,
                },
            };
            self.write_frame(outbox, frame, writer, wanted).await?;
        }
    }

    async fn write_frame(
        &self,
        outbox: &DataOutbox,
        frame: DataFrame,
        writer: &mut LinkWriter,
        wanted: &mut watch::Receiver<Wanted>,
    ) -> Result<(), std::io::Error> {
        let mut n_written = 0;
        while n_written < frame.bytes.len() {
            let rest = frame.bytes.get(n_written..).unwrap_or_default();
            let written = tokio::select! {
                written = writer.write(rest) => written,
                () = given_up(wanted) => Err(std::io::ErrorKind::Interrupted.into()),
            };
            match written {
                Ok(n_more) if n_more > 0 => n_written += n_more,
                broken => {
                    if n_written == 0 {
                        outbox.put_back(frame);
                    } else if outbox.lost(frame) {
                        (self.on_room)();
                    }
                    return Err(broken.err().unwrap_or(std::io::ErrorKind::WriteZero.into()));
                }
            }
        }
        if outbox.sent(frame) {
            (self.on_room)();
        }
        tokio::select! {
            flushed = writer.flush() => flushed,
            () = given_up(wanted) => Err(std::io::ErrorKind::Interrupted.into()),
        }
    }

    async fn send_acks(
        &self,
        writer: &mut LinkWriter,
        reader: &mut LinkReader,
        wanted: &mut watch::Receiver<Wanted>,
    ) -> Result<(), std::io::Error> {
        let mut records = Vec::new();
        let mut bytes = Vec::new();
        loop {
            records.clear();
            if !self.acks.try_next(&mut records) {
                if *wanted.borrow() != Wanted::Yes {
                    return Ok(());
                }
                tokio::select! {
                    () = self.acks.next(&mut records) => {}
                    gone = hangup(reader) => return Err(gone),
                    _ = wanted.changed() => continue,
                }
            }
            for part in records.chunks(limits::ACK_RECORDS_MAX) {
                bytes.clear();
                acks::write_frame(part, &mut bytes);
                let write = async {
                    writer.write_all(&bytes).await?;
                    writer.flush().await
                };
                let written = tokio::select! {
                    written = write => written,
                    () = given_up(wanted) => Err(std::io::ErrorKind::Interrupted.into()),
                };
                if let Err(error) = written {
                    self.acks.counters().add_lost(records.len());
                    return Err(error);
                }
            }
            self.acks.counters().add_sent(records.len());
        }
    }
}

// === impl Line ===

impl Line {
    fn kind(&self) -> messages::LinkKind {
        match self {
            Line::Data(..) => messages::LinkKind::Data,
            Line::Acks => messages::LinkKind::Acks,
        }
    }

    fn component(&self) -> Option<&ComponentId> {
        match self {
            Line::Data(component, _) => Some(component),
            Line::Acks => None,
        }
    }

    /// The outbox of a data link that had nothing to send so far: many components of the other
    /// worker get nothing from this one, ever.
    fn unused(&self) -> Option<&DataOutbox> {
        match self {
            Line::Data(_, outbox) if outbox.counters().n_connects() == 0 => Some(outbox),
            _ => None,
        }
    }
}

/// Ends when the peer closes or breaks a connection on which it has nothing to say.
async fn hangup(reader: &mut LinkReader) -> std::io::Error {
    match reader.read(&mut [0; 1]).await {
        Ok(0) => std::io::ErrorKind::UnexpectedEof.into(),
        Ok(_) => std::io::ErrorKind::InvalidData.into(),
        Err(error) => error,
    }
}

async fn given_up(wanted: &mut watch::Receiver<Wanted>) {
    // An engine that is gone wants nothing either.
    let _ = wanted.wait_for(|wanted| *wanted == Wanted::No).await;
}

//! The sending side: keeps two connections to one other worker and empties its outboxes into them.
//!
//! Reconnects with backoff for as long as it is wanted. A frame that was not begun goes into the
//! next connection; one that broke off is counted as lost, and its roots fail by time-out.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::limits;
use crate::messaging::acks;
use crate::messaging::frame::{self, FrameReader};
use crate::messaging::link::{LinkError, LinkIdentity};
use crate::messaging::outbox::{AckOutbox, DataFrame, DataOutbox};
use crate::wire::messages;

/// Another worker of the topology, as seen from this one.
pub struct Peer {
    /// `host:port` of its data plane.
    pub address: String,
    pub data: DataOutbox,
    pub acks: AckOutbox,
    /// Called when emitters that wait for room in `data` may go on.
    on_room: Box<dyn Fn() + Send + Sync>,
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

struct Open {
    writer: OwnedWriteHalf,
    reader: OwnedReadHalf,
}

// === impl Peer ===

impl Peer {
    /// `capacity` in tuples that wait before emitters are stopped.
    pub fn new(
        address: impl Into<String>,
        capacity: usize,
        on_room: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Peer {
            address: address.into(),
            data: DataOutbox::new(capacity),
            acks: AckOutbox::default(),
            on_room: Box::new(on_room),
        }
    }

    /// Keeps both links of a peer for as long as `wanted` says.
    pub async fn run(
        self: Arc<Self>,
        identity: Arc<LinkIdentity>,
        reconnects: Reconnects,
        wanted: watch::Receiver<Wanted>,
    ) {
        let data = self.keep(
            messages::LinkKind::Data,
            &identity,
            reconnects,
            wanted.clone(),
        );
        let acks = self.keep(messages::LinkKind::Acks, &identity, reconnects, wanted);
        tokio::join!(data, acks);
        if self.data.discard() {
            (self.on_room)();
        }
    }

    async fn keep(
        &self,
        kind: messages::LinkKind,
        identity: &LinkIdentity,
        reconnects: Reconnects,
        mut wanted: watch::Receiver<Wanted>,
    ) {
        let mut backoff = Backoff::new(reconnects.base, reconnects.ceiling);
        while *wanted.borrow_and_update() == Wanted::Yes {
            let opened = tokio::select! {
                opened = self.open(kind, identity) => opened,
                _ = wanted.changed() => continue,
            };
            let error = match opened {
                Ok(open) => {
                    info!(peer = self.address, ?kind, "connected");
                    backoff.reset();
                    match self.send(kind, open, &mut wanted).await {
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
                    error,
                    "link is down, reconnecting"
                );
            }
            let delay = backoff.next_delay(fastrand::f64());
            let _ = timeout(delay, wanted.changed()).await;
        }
    }

    async fn open(
        &self,
        kind: messages::LinkKind,
        identity: &LinkIdentity,
    ) -> Result<Open, LinkError> {
        let greet = async {
            let connected = TcpStream::connect(&self.address).await;
            let stream = connected.map_err(|source| LinkError::Connect {
                address: self.address.clone(),
                source,
            })?;
            let _ = stream.set_nodelay(true);
            let (reader, mut writer) = stream.into_split();
            let hello = messages::Frame::Hello(identity.hello(kind));
            let hello = frame::to_bytes(&hello)?;
            writer
                .write_all(&hello)
                .await
                .map_err(frame::FrameError::Io)?;
            let mut replies = FrameReader::new(reader, limits::GREETING_BYTES_MAX);
            match replies.next().await? {
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
        kind: messages::LinkKind,
        open: Open,
        wanted: &mut watch::Receiver<Wanted>,
    ) -> Result<(), std::io::Error> {
        let Open {
            mut writer,
            mut reader,
        } = open;
        match kind {
            messages::LinkKind::Data => {
                self.data.counters().add_connect();
                self.send_data(&mut writer, &mut reader, wanted).await
            }
            messages::LinkKind::Acks => {
                self.acks.counters().add_connect();
                self.send_acks(&mut writer, &mut reader, wanted).await
            }
        }
    }

    async fn send_data(
        &self,
        writer: &mut OwnedWriteHalf,
        reader: &mut OwnedReadHalf,
        wanted: &mut watch::Receiver<Wanted>,
    ) -> Result<(), std::io::Error> {
        loop {
            let frame = match self.data.try_next() {
                Some(frame) => frame,
                None if *wanted.borrow() != Wanted::Yes => return Ok(()),
                None => tokio::select! {
                    frame = self.data.next() => frame,
                    gone = hangup(reader) => return Err(gone),
                    _ = wanted.changed() => continue,
                },
            };
            self.write_frame(frame, writer, wanted).await?;
        }
    }

    async fn write_frame(
        &self,
        frame: DataFrame,
        writer: &mut OwnedWriteHalf,
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
                        self.data.put_back(frame);
                    } else if self.data.lost(frame) {
                        (self.on_room)();
                    }
                    return Err(broken.err().unwrap_or(std::io::ErrorKind::WriteZero.into()));
                }
            }
        }
        if self.data.sent(frame) {
            (self.on_room)();
        }
        Ok(())
    }

    async fn send_acks(
        &self,
        writer: &mut OwnedWriteHalf,
        reader: &mut OwnedReadHalf,
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
                let written = tokio::select! {
                    written = writer.write_all(&bytes) => written,
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

/// Ends when the peer closes or breaks a connection on which it has nothing to say.
async fn hangup(reader: &mut OwnedReadHalf) -> std::io::Error {
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

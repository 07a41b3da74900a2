//! The supervisor's line to Nimbus: keeps asking what to do, and fetches blobs.
//!
//! Tries one address of Coordination after the other, with pauses that grow, for as long as it
//! takes: a supervisor without Nimbus keeps its workers running. Understands nothing of what it
//! carries.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{Mutex, Notify, mpsc, watch};

use crate::backoff::Backoff;
use crate::rpc::Failure;
use crate::rpc::client::{Address, ClientOptions, Reconnecting};
use crate::wire::messages::coordination::{Client, ReadBlobError};
use crate::wire::messages::{BlobChunk, SupervisorDirective, SupervisorReport};

/// Where Coordination is, and a connection for blobs.
#[derive(Clone)]
pub struct Link {
    addresses: Arc<Vec<Address>>,
    blobs: Arc<Mutex<Rotation>>,
}

/// What one exchange with Nimbus brought.
#[derive(Debug)]
pub struct News {
    /// Absent when nothing has changed.
    pub directive: Option<SupervisorDirective>,
    /// How many of the reported errors Nimbus has taken over.
    pub n_errors_delivered: usize,
}

/// Why a blob could not be read.
#[derive(Debug, Error)]
pub enum LinkError {
    #[error("Nimbus has no such blob")]
    NoSuchBlob,
    #[error("{0}")]
    Refused(String),
    #[error("{address}: {failure}")]
    Failed { address: Address, failure: Failure },
}

/// A client of one address, and of the next when that fails.
struct Rotation {
    addresses: Arc<Vec<Address>>,
    index: usize,
    client: Option<Client<Reconnecting>>,
}

// === impl Link ===

impl Link {
    /// `addresses` must not be empty.
    pub fn new(addresses: Vec<Address>) -> Self {
        let addresses = Arc::new(addresses);
        let blobs = Arc::new(Mutex::new(Rotation::new(addresses.clone())));
        Link { addresses, blobs }
    }

    /// Reads a part of a blob. Every address is tried once.
    pub async fn read_blob(
        &self,
        key: &str,
        offset: u64,
        n_bytes_max: usize,
    ) -> Result<BlobChunk, LinkError> {
        let mut rotation = self.blobs.lock().await;
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let length = i32::try_from(n_bytes_max).unwrap_or(i32::MAX);
        let mut n_left = self.addresses.len();
        loop {
            let asked = rotation
                .client()
                .read_blob(Some(key), Some(offset), Some(length))
                .await;
            let failure = match asked {
                Ok(chunk) => return Ok(chunk),
                Err(ReadBlobError::KeyNotFound(_)) => return Err(LinkError::NoSuchBlob),
                Err(ReadBlobError::Authorization(refusal)) => {
                    return Err(LinkError::Refused(refusal.msg));
                }
                Err(ReadBlobError::Failure(failure)) => failure,
            };
            let address = rotation.next();
            n_left -= 1;
            if n_left == 0 {
                return Err(LinkError::Failed { address, failure });
            }
        }
    }

    /// Reports and asks for ever, until the receiver of the news is gone. `nudged` cuts a pause
    /// short.
    pub async fn follow(
        self,
        report: watch::Receiver<SupervisorReport>,
        nudged: &Notify,
        news: mpsc::Sender<News>,
    ) {
        let mut rotation = Rotation::new(self.addresses.clone());
        let mut backoff = Backoff::new(PAUSE_MIN, PAUSE_MAX);
        let mut known_version = 0;
        loop {
            let mut report = report.borrow().clone();
            report.known_version = known_version;
            // The first question is answered at once: a supervisor that starts must hear what to
            // run.
            report.wait_ms = if known_version == 0 { 0 } else { PARK_MS };
            let n_errors_delivered = report.errors.len();
            match rotation.client().sync_supervisor(Some(&report)).await {
                Ok(directive) => {
                    backoff.reset();
                    let is_new = directive.version != known_version;
                    known_version = directive.version;
                    let directive = is_new.then_some(directive);
                    if news
                        .send(News {
                            directive,
                            n_errors_delivered,
                        })
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
                Err(error) => {
                    if backoff.attempts() == 0 {
                        let address = rotation.address();
                        tracing::warn!(%address, %error, "Nimbus does not answer: workers run on");
                    }
                    // Another Nimbus, or this one after a restart, counts its versions anew.
                    known_version = 0;
                    rotation.next();
                    let pause = backoff.next_delay(fastrand::f64());
                    let _ = tokio::time::timeout(pause, nudged.notified()).await;
                }
            }
        }
    }
}

// === impl Rotation ===

impl Rotation {
    fn new(addresses: Arc<Vec<Address>>) -> Self {
        Rotation {
            addresses,
            index: 0,
            client: None,
        }
    }

    fn address(&self) -> Address {
        self.addresses[self.index].clone()
    }

    fn client(&mut self) -> &mut Client<Reconnecting> {
        let options = ClientOptions {
            call_wait_max: CALL_WAIT_MAX,
            ..ClientOptions::default()
        };
        let address = &self.addresses[self.index];
        self.client
            .get_or_insert_with(|| Client::new(Reconnecting::new(address.clone(), options)))
    }

    /// On to the next address; returns the one that was left.
    fn next(&mut self) -> Address {
        let left = self.address();
        self.index = (self.index + 1) % self.addresses.len();
        self.client = None;
        left
    }
}

/// How long Nimbus may hold a question while nothing changes: also the heartbeat's rhythm.
const PARK_MS: i32 = 1_000;

/// For any answer: far above what Nimbus may park.
const CALL_WAIT_MAX: Duration = Duration::from_secs(10);

/// Pauses between attempts while Nimbus is away.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// See `PAUSE_MIN`: a Nimbus that comes back is found within this.
const PAUSE_MAX: Duration = Duration::from_secs(2);

//! The supervisor's line to Nimbus: keeps asking what to do, and fetches blobs.
//!
//! Tries one address of Coordination after the other, with pauses that grow, for as long as it
//! takes: a supervisor without Nimbus keeps its workers running. Understands nothing of what it
//! carries.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{Mutex, Notify, mpsc, watch};

use crate::auth::door::Key;
use crate::backoff::Backoff;
use crate::messaging::packed_record;
use crate::rpc::Failure;
use crate::rpc::client::{Address, ClientOptions, Reconnecting};
use crate::wire::messages::coordination::{Client, ReadBlobError, SyncSupervisorError};
use crate::wire::messages::{BlobChunk, SupervisorDirective, SupervisorReport};

/// Where Coordination is, and a connection for blobs.
#[derive(Clone)]
pub struct Link {
    addresses: Arc<Vec<Address>>,
    key: Key,
    blobs: Arc<Mutex<Rotation>>,
}

/// What one exchange with Nimbus brought.
#[derive(Debug)]
pub struct News {
    /// Absent when nothing has changed.
    pub directive: Option<SupervisorDirective>,
    /// Nimbus has taken over the errors before this position, see `Reported`.
    pub errors_until: u64,
}

/// What a supervisor has to report.
#[derive(Clone, Debug)]
pub struct Reported {
    pub report: SupervisorReport,
    /// How many errors there were before the first of the report: what was delivered is told by
    /// position, since the list changes at both ends while a report is under way.
    pub first_error: u64,
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
    key: Key,
    index: usize,
    client: Option<Client<Reconnecting>>,
}

// === impl Link ===

impl Link {
    /// `addresses` must not be empty.
    pub fn new(addresses: Vec<Address>, key: Key) -> Self {
        let addresses = Arc::new(addresses);
        let blobs = Arc::new(Mutex::new(Rotation::new(addresses.clone(), key.clone())));
        Link {
            addresses,
            key,
            blobs,
        }
    }

    /// Reads a part of a blob, if `user` may. Every address is tried once.
    pub async fn read_blob(
        &self,
        key: &str,
        offset: u64,
        n_bytes_max: usize,
        user: Option<&str>,
    ) -> Result<BlobChunk, LinkError> {
        let mut rotation = self.blobs.lock().await;
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let length = i32::try_from(n_bytes_max).unwrap_or(i32::MAX);
        let mut n_left = self.addresses.len();
        loop {
            let asked = rotation
                .client()
                .read_blob(Some(key), Some(offset), Some(length), user)
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
        reported: watch::Receiver<Reported>,
        nudged: &Notify,
        news: mpsc::Sender<News>,
    ) {
        let mut rotation = Rotation::new(self.addresses.clone(), self.key.clone());
        let mut backoff = Backoff::new(PAUSE_MIN, PAUSE_MAX);
        let mut known_version = 0;
        let mut errors_until = 0;
        loop {
            let (mut report, until) = reported.borrow().clone().after(errors_until);
            report.known_version = known_version;
            // The first question is answered at once: a supervisor that starts must hear what to
            // run.
            report.wait_ms = if known_version == 0 { 0 } else { PARK_MS };
            report.codecs = packed_record::known();
            let answered = rotation.client().sync_supervisor(Some(&report)).await;
            match answered.and_then(unpacked) {
                Ok(directive) => {
                    backoff.reset();
                    errors_until = until;
                    let is_new = directive.version != known_version;
                    known_version = directive.version;
                    let directive = is_new.then_some(directive);
                    if news
                        .send(News {
                            directive,
                            errors_until,
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

/// A directive as it was before Nimbus packed it.
fn unpacked(directive: SupervisorDirective) -> Result<SupervisorDirective, SyncSupervisorError> {
    match &directive.packed {
        None => Ok(directive),
        Some(packed) => {
            let unpacked = packed_record::unpack_record(packed);
            unpacked.map_err(|error| Failure::Protocol(error.to_string()).into())
        }
    }
}

// === impl Reported ===

impl Reported {
    /// The report without the errors that were delivered before, and the position after its last.
    fn after(self, delivered: u64) -> (SupervisorReport, u64) {
        let Reported {
            mut report,
            first_error,
        } = self;
        let n_held = report.errors.len() as u64;
        let n_delivered = delivered.saturating_sub(first_error).min(n_held);
        report
            .errors
            .drain(..usize::try_from(n_delivered).unwrap_or(usize::MAX));
        (report, first_error + n_held)
    }
}

// === impl Rotation ===

impl Rotation {
    fn new(addresses: Arc<Vec<Address>>, key: Key) -> Self {
        Rotation {
            addresses,
            key,
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
            key: self.key.clone(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::ComponentError;

    #[test]
    fn an_error_is_sent_until_it_is_delivered_and_then_never_again() {
        let reported = |first_error, n| Reported {
            report: SupervisorReport {
                errors: vec![ComponentError::default(); n],
                ..SupervisorReport::default()
            },
            first_error,
        };
        // (first held, held, delivered) to (sent, position after them)
        for (first, n, delivered, sent, until) in [
            (0, 0, 0, 0, 0),
            (0, 2, 0, 2, 2),
            // The core has not heard yet that two were delivered, and a third came.
            (0, 3, 2, 1, 3),
            (2, 1, 2, 1, 3),
            // Two were dropped for want of room before they could be delivered.
            (4, 3, 2, 3, 7),
        ] {
            let (report, position) = reported(first, n).after(delivered);
            assert_eq!((report.errors.len(), position), (sent, until));
        }
    }
}

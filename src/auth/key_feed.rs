//! Brings the keys of workers' tokens from Nimbus to another daemon, for as long as that runs.
//!
//! A topology that ended is heard of at once: the call for news is parked at Nimbus. While Nimbus
//! is away the keys stay as they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::door::Key as DoorKey;
use super::worker_token::{Key, TokenKeys};
use crate::backoff::Backoff;
use crate::rpc::client::{Address, ClientOptions, Reconnecting};
use crate::wire::messages::ServiceKeys;
use crate::wire::messages::coordination::Client;
use crate::wire::storm::WorkerTokenServiceType;

/// Where keys come from and go to.
pub struct KeyFeed {
    /// Of Coordination.
    pub addresses: Vec<Address>,
    pub key: DoorKey,
    pub service: WorkerTokenServiceType,
    pub keys: Arc<TokenKeys>,
}

/// A feed that runs; it ends when this is dropped.
pub struct Following(JoinHandle<()>);

// === impl KeyFeed ===

impl KeyFeed {
    pub fn start(self) -> Following {
        Following(tokio::spawn(self.run()))
    }

    async fn run(self) {
        let mut backoff = Backoff::new(PAUSE_MIN, PAUSE_MAX);
        let mut known_version = 0;
        for address in self.addresses.iter().cycle() {
            let options = ClientOptions {
                call_wait_max: CALL_WAIT_MAX,
                key: self.key.clone(),
                ..ClientOptions::default()
            };
            let mut client = Client::new(Reconnecting::new(address.clone(), options));
            let error = loop {
                let wait_ms = i32::try_from(PARK.as_millis()).ok();
                let service = self.service.into();
                let asked = client.token_keys(Some(service), Some(known_version), wait_ms);
                match asked.await {
                    Ok(ServiceKeys { version, keys }) => {
                        backoff.reset();
                        known_version = version;
                        let wrap = |versions: BTreeMap<_, _>| {
                            versions
                                .into_iter()
                                .map(|(at, key)| (at, Key(key)))
                                .collect()
                        };
                        let keys = keys.into_iter().map(|(id, versions)| (id, wrap(versions)));
                        self.keys.replace(keys.collect());
                    }
                    Err(error) => break error,
                }
            };
            if backoff.attempts() == 0 {
                tracing::warn!(%address, %error, "no keys of workers' tokens: those known stay");
            }
            known_version = 0;
            tokio::time::sleep(backoff.next_delay(fastrand::f64())).await;
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

const PARK: Duration = Duration::from_secs(10);
const CALL_WAIT_MAX: Duration = Duration::from_secs(30);
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

//! Finds the Nimbus that leads, and keeps to it (control-plane 1.6).
//!
//! Asks the seeds in their order, as Storm's clients do. Repeats no call and waits between attempts
//! only as `Retries` says; a longer patience is its caller's.

use std::fmt;

use bytes::Bytes;
use tracing::{debug, warn};

use super::client::{Address, ClientOptions, ConnectError, Connection, Retries};
use super::{Channel, Failure};
use crate::conf::keys;
use crate::wire::storm::nimbus::{Client, GetLeaderError};
use crate::wire::storm::{AuthorizationException, NimbusSummary};

/// Where to look for the leader, and how.
#[derive(Clone, Debug)]
pub struct LeaderOptions {
    /// `nimbus.seeds`: hosts, in the order in which they are asked.
    pub seeds: Vec<String>,
    /// `nimbus.thrift.port`.
    pub port: u16,
    /// `nimbus.thrift.tls.port`: used instead when `client` has TLS, unless it is 0.
    pub tls_port: u16,
    pub client: ClientOptions,
    /// For each connection.
    pub retries: Retries,
}

/// The Nimbus that leads, and a connection to its service.
#[derive(Debug)]
pub struct Leader {
    pub summary: NimbusSummary,
    pub connection: Connection,
}

/// A channel to whichever Nimbus leads: looks for it when a call needs it, and anew after a call
/// failed.
pub struct Following {
    options: LeaderOptions,
    /// Of another service on the leader's host; none for Storm's own.
    service_port: Option<u16>,
    connection: Option<Connection>,
}

/// No seed led to a leader.
#[derive(Debug, thiserror::Error)]
pub enum NimbusLeaderNotFoundError {
    #[error(
        "no Nimbus to ask: {} is empty; set it to the hosts that run one",
        keys::NIMBUS_SEEDS
    )]
    NoSeeds,
    /// A Nimbus that answered knows of no leader; the others would not know more.
    #[error("{seed} answers that no Nimbus leads now; try again when one was elected")]
    NoLeader { seed: Address },
    #[error(
        "no Nimbus found that leads: {}; check {} and {}, and that Nimbus runs there",
        list(failures),
        keys::NIMBUS_SEEDS,
        keys::NIMBUS_THRIFT_PORT
    )]
    Seeds { failures: Vec<SeedFailure> },
}

/// How far one seed led.
#[derive(Debug, thiserror::Error)]
pub enum SeedFailure {
    #[error("{0}")]
    Connect(#[source] ConnectError),
    #[error("{seed} was asked for the leader: {source}")]
    Ask {
        seed: Address,
        #[source]
        source: Failure,
    },
    #[error("{seed} does not let us ask for the leader: {source}")]
    Denied {
        seed: Address,
        #[source]
        source: AuthorizationException,
    },
    #[error("{seed} names a leader at {host}, port {port}, which is no port")]
    Port {
        seed: Address,
        host: String,
        port: i32,
    },
    #[error("{seed} names the leader: {source}")]
    Leader {
        seed: Address,
        #[source]
        source: ConnectError,
    },
}

// === impl LeaderOptions ===

impl LeaderOptions {
    /// Finds the leader and connects to it: on the first seed that names one that answers.
    pub async fn find(&self) -> Result<Leader, NimbusLeaderNotFoundError> {
        let mut failures = Vec::new();
        for host in &self.seeds {
            let port = match self.client.key.tls {
                Some(_) if self.tls_port > 0 => self.tls_port,
                _ => self.port,
            };
            let seed = Address::new(host.as_str(), port);
            match self.ask(&seed).await {
                Ok(leader) => return Ok(leader),
                Err(SeedFailure::Ask {
                    seed,
                    source: Failure::NoResult,
                }) => return Err(NimbusLeaderNotFoundError::NoLeader { seed }),
                Err(failure) => {
                    debug!(%failure, "a seed does not lead to Nimbus");
                    failures.push(failure);
                }
            }
        }
        if failures.is_empty() {
            return Err(NimbusLeaderNotFoundError::NoSeeds);
        }
        Err(NimbusLeaderNotFoundError::Seeds { failures })
    }

    async fn ask(&self, seed: &Address) -> Result<Leader, SeedFailure> {
        let opened = Connection::open_patiently(seed, &self.client, self.retries).await;
        let mut client = Client::new(opened.map_err(SeedFailure::Connect)?);
        let summary = client.get_leader().await.map_err(|error| {
            let seed = seed.clone();
            match error {
                GetLeaderError::Authorization(source) => SeedFailure::Denied { seed, source },
                GetLeaderError::Failure(source) => SeedFailure::Ask { seed, source },
            }
        })?;
        // Storm compares with the plain port in TLS mode too.
        if summary.host == seed.host && summary.port == i32::from(self.port) {
            let connection = client.into_channel();
            return Ok(Leader {
                summary,
                connection,
            });
        }
        drop(client);
        let address = self.address_of(seed, &summary)?;
        let opened = Connection::open_patiently(&address, &self.client, self.retries).await;
        let connection = opened.map_err(|source| SeedFailure::Leader {
            seed: seed.clone(),
            source,
        })?;
        Ok(Leader {
            summary,
            connection,
        })
    }

    fn address_of(&self, seed: &Address, leader: &NimbusSummary) -> Result<Address, SeedFailure> {
        let tls_port = leader.tls_port.filter(|port| *port > 0);
        let port = match self.client.key.tls {
            Some(_) => tls_port.unwrap_or(leader.port),
            None => leader.port,
        };
        match u16::try_from(port) {
            Ok(port) if port > 0 => Ok(Address::new(leader.host.as_str(), port)),
            _ => Err(SeedFailure::Port {
                seed: seed.clone(),
                host: leader.host.clone(),
                port,
            }),
        }
    }
}

// === impl Following ===

impl Following {
    /// To the leader's Nimbus service.
    pub fn new(options: LeaderOptions) -> Self {
        Following {
            options,
            service_port: None,
            connection: None,
        }
    }

    /// To another service on the leader's host, such as Coordination.
    pub fn to_port(options: LeaderOptions, port: u16) -> Self {
        Following {
            service_port: Some(port),
            ..Following::new(options)
        }
    }

    /// Where calls go now; none while no leader is known.
    pub fn address(&self) -> Option<&Address> {
        self.connection.as_ref().map(Connection::address)
    }

    /// Looks for the leader again with the next call: after a reply that says the other does not
    /// lead.
    pub fn forget(&mut self) {
        self.connection = None;
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let leader = self.options.find().await?;
        let Some(port) = self.service_port else {
            return Ok(leader.connection);
        };
        let address = Address::new(leader.summary.host, port);
        let options = &self.options;
        Ok(Connection::open_patiently(&address, &options.client, options.retries).await?)
    }
}

impl Channel for Following {
    async fn call(&mut self, message: Bytes) -> Result<Bytes, Failure> {
        let kept = self.connection.take();
        let mut connection = match kept.and_then(Connection::into_usable) {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        match connection.call(message).await {
            Ok(reply) => {
                self.connection = Some(connection);
                Ok(reply)
            }
            Err(failure) => {
                warn!(leader = %connection.address(), %failure, "lost the connection to Nimbus");
                Err(failure)
            }
        }
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Following({:?})", self.connection)
    }
}

// === impl NimbusLeaderNotFoundError ===

impl From<NimbusLeaderNotFoundError> for Failure {
    fn from(error: NimbusLeaderNotFoundError) -> Self {
        Failure::Transport(std::io::Error::new(std::io::ErrorKind::NotConnected, error))
    }
}

fn list(failures: &[SeedFailure]) -> String {
    let texts: Vec<_> = failures.iter().map(SeedFailure::to_string).collect();
    texts.join("; ")
}

#[cfg(test)]
mod tests;

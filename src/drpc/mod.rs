//! The DRPC server: clients call a function over Thrift or HTTP, a topology answers, the client has
//! waited (control-plane 10).
//!
//! Starts, binds and ends here. Knows no topology; its state is in memory and ends with it.

mod exchange;
mod http;
mod listener;
mod requests;
mod service;
mod tls;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;

use self::exchange::Exchange;
use self::listener::Listener;
use self::service::{Clients, DrpcService, Spouts};
use self::tls::HttpsError;
use crate::auth::door::{Door, DoorError, Key, Service};
use crate::auth::key_feed::{Following, KeyFeed};
use crate::auth::tls::Acceptor;
use crate::auth::worker_token::TokenKeys;
use crate::auth::{ClassError, Daemon, Gate};
use crate::conf::{Conf, ConfError, keys};
use crate::rpc::client::Address;
use crate::rpc::server::{BindError, Endpoint, Limits, Running, Server};
use crate::wire::storm::WorkerTokenServiceType;

/// The daemon; `start` gives a handle to one that runs.
pub struct Drpc;

/// A running DRPC server.
pub struct Handle {
    clients: Running,
    spouts: Running,
    http: Option<Listener>,
    https: Option<Listener>,
    exchange: Arc<Exchange>,
    timer: JoinHandle<()>,
    /// Of the tokens by which workers log in; unused where nobody logs in.
    tokens: Arc<TokenKeys>,
    takes_logins: bool,
    feed: Option<Following>,
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Class(#[from] ClassError),
    #[error(transparent)]
    Door(#[from] DoorError),
    #[error(transparent)]
    Https(#[from] HttpsError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(
        "DRPC over HTTP cannot listen on {host}:{port}: {source}; set {key} to a free port, or to \
         -1"
    )]
    Http {
        host: String,
        port: u16,
        key: &'static str,
        source: std::io::Error,
    },
}

// === impl Drpc ===

impl Drpc {
    /// Binds the ports of clients, spouts, HTTP and HTTPS. A port of 0 lets the system choose; a
    /// negative one leaves HTTP or HTTPS out.
    pub async fn start(conf: &Conf) -> Result<Handle, StartError> {
        let endpoint = |service, port_key| -> Result<Endpoint, ConfError> {
            Ok(Endpoint {
                service,
                host: conf.text_or(keys::STORMWIRE_BIND_ADDRESS, "127.0.0.1")?,
                port: conf.port(port_key)?,
                port_key,
            })
        };
        let tokens = Arc::new(TokenKeys::default());
        let gate = Gate::new(conf, Daemon::Drpc)?.with_tokens(Arc::clone(&tokens));
        let gate = Arc::new(gate);
        let door = |service| Door::new(conf, service, Some(Arc::clone(&tokens)));
        let clients_door = door(Service::Drpc)?;
        let spouts_door = door(Service::DrpcInvocations)?;
        let clients = endpoint("drpc", keys::DRPC_PORT)?;
        let clients = Server::bind(&clients, Limits::default()).await?;
        let spouts = endpoint("drpc-invocations", keys::DRPC_INVOCATIONS_PORT)?;
        let spouts = Server::bind(&spouts, Limits::default()).await?;
        let exchange = Exchange::new(conf.secs(keys::DRPC_REQUEST_TIMEOUT_SECS)?);
        let router = http::router(Arc::clone(&exchange), Arc::clone(&gate));
        let acceptor = tls::acceptor(conf)?;
        let is_closed =
            acceptor.is_some() && conf.flag(keys::DRPC_DISABLE_HTTP_BINDING)?.unwrap_or(true);
        let http = match conf.int_or(keys::DRPC_HTTP_PORT, -1)? {
            0.. if !is_closed => Some(start_http(conf, (router.clone(), None)).await?),
            _ => None,
        };
        let https = match acceptor {
            Some(acceptor) => Some(start_http(conf, (router, Some(acceptor))).await?),
            None => None,
        };
        let takes_logins = clients_door.is_sasl() || spouts_door.is_sasl();
        let service = DrpcService::new(Arc::clone(&exchange), gate);
        Ok(Handle {
            clients: clients.serve_behind(Arc::new(Clients::new(&service)), clients_door),
            spouts: spouts.serve_behind(Arc::new(Spouts::new(&service)), spouts_door),
            http,
            https,
            timer: tokio::spawn(Arc::clone(&exchange).watch_deadlines()),
            exchange,
            tokens,
            takes_logins,
            feed: None,
        })
    }
}

async fn start_http(
    conf: &Conf,
    (router, acceptor): (axum::Router, Option<Acceptor>),
) -> Result<Listener, StartError> {
    let (service, key) = match acceptor {
        None => ("drpc-http", keys::DRPC_HTTP_PORT),
        Some(_) => ("drpc-https", keys::DRPC_HTTPS_PORT),
    };
    let host = conf.text_or(keys::STORMWIRE_BIND_ADDRESS, "127.0.0.1")?;
    let port = conf.port(key)?;
    let started = Listener::start(service, (&host, port), (router, acceptor)).await;
    started.map_err(|source| StartError::Http {
        host,
        port,
        key,
        source,
    })
}

// === impl Handle ===

impl Handle {
    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.clients.address()
    }

    /// Where spouts connect, and those who return results.
    pub fn invocations_address(&self) -> SocketAddr {
        self.spouts.address()
    }

    /// Where clients connect over HTTP.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(Listener::address)
    }

    /// Where clients connect over HTTPS.
    pub fn https_address(&self) -> Option<SocketAddr> {
        self.https.as_ref().map(Listener::address)
    }

    /// Where workers log in: has the keys of their tokens from Nimbus from now on, which `conf`
    /// names.
    pub fn follow_tokens(&mut self, conf: &Conf) -> Result<(), StartError> {
        if !self.takes_logins {
            return Ok(());
        }
        let port = conf.port(keys::STORMWIRE_COORDINATION_PORT)?;
        let seeds = conf.texts(keys::NIMBUS_SEEDS)?.into_iter();
        let feed = KeyFeed {
            addresses: seeds.map(|seed| Address::new(seed, port)).collect(),
            key: Key::of_coordination(conf)?,
            service: WorkerTokenServiceType::Drpc,
            keys: Arc::clone(&self.tokens),
        };
        self.feed = Some(feed.start());
        Ok(())
    }

    /// Tells all who wait that the server ends, then closes its ports.
    pub async fn shutdown(self) {
        self.exchange.end();
        self.clients.drain().await;
        for listener in [self.http, self.https].into_iter().flatten() {
            listener.drain().await;
        }
        self.spouts.drain().await;
        self.timer.abort();
    }
}

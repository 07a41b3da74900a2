//! The DRPC server: clients call a function over Thrift or HTTP, a topology answers, the client has
//! waited (control-plane 10).
//!
//! Starts, binds and ends here. Knows no topology; its state is in memory and ends with it.

mod exchange;
mod http;
mod requests;
mod service;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;

use self::exchange::Exchange;
use self::service::{Clients, DrpcService, Spouts};
use crate::auth::door::{Door, Key, Service};
use crate::auth::key_feed::{Following, KeyFeed};
use crate::auth::worker_token::TokenKeys;
use crate::auth::{Daemon, Gate};
use crate::conf::{Conf, ConfError, keys};
use crate::http::ports::PortKeys;
use crate::http::{Ports, StartError};
use crate::rpc::client::Address;
use crate::rpc::server::{Endpoint, Limits, Running, Server};
use crate::wire::storm::WorkerTokenServiceType;

/// The daemon; `start` gives a handle to one that runs.
pub struct Drpc;

/// A running DRPC server.
pub struct Handle {
    clients: Running,
    spouts: Running,
    ports: Ports,
    exchange: Arc<Exchange>,
    timer: JoinHandle<()>,
    /// Of the tokens by which workers log in; unused where nobody logs in.
    tokens: Arc<TokenKeys>,
    takes_logins: bool,
    feed: Option<Following>,
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
        let ports = Ports::open(conf, &PORT_KEYS, router).await?;
        let takes_logins = clients_door.is_sasl() || spouts_door.is_sasl();
        let service = DrpcService::new(Arc::clone(&exchange), gate);
        Ok(Handle {
            clients: clients.serve_behind(Arc::new(Clients::new(&service)), clients_door),
            spouts: spouts.serve_behind(Arc::new(Spouts::new(&service)), spouts_door),
            ports,
            timer: tokio::spawn(Arc::clone(&exchange).watch_deadlines()),
            exchange,
            tokens,
            takes_logins,
            feed: None,
        })
    }
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

    /// Where clients connect over HTTP and HTTPS.
    pub fn ports(&self) -> &Ports {
        &self.ports
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
        self.ports.shutdown().await;
        self.spouts.drain().await;
        self.timer.abort();
    }
}

const PORT_KEYS: PortKeys = PortKeys {
    names: ["drpc-http", "drpc-https"],
    http: keys::DRPC_HTTP_PORT,
    https: keys::DRPC_HTTPS_PORT,
    disable_http: keys::DRPC_DISABLE_HTTP_BINDING,
    need_client_auth: keys::DRPC_HTTPS_NEED_CLIENT_AUTH,
};

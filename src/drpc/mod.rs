//! The DRPC server: clients call a function over Thrift or HTTP, a topology answers, the client has
//! waited (control-plane 10).
//!
//! Starts, binds and ends here. Knows no topology; its state is in memory and ends with it.

mod exchange;
mod http;
mod listener;
mod requests;
mod service;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;

use self::exchange::Exchange;
use self::listener::Listener;
use self::service::{Clients, DrpcService, Spouts};
use crate::auth::{ClassError, Daemon, Gate};
use crate::conf::{Conf, ConfError, keys};
use crate::rpc::server::{BindError, Endpoint, Limits, Running, Server};

/// The daemon; `start` gives a handle to one that runs.
pub struct Drpc;

/// A running DRPC server.
pub struct Handle {
    clients: Running,
    spouts: Running,
    http: Option<Listener>,
    exchange: Arc<Exchange>,
    timer: JoinHandle<()>,
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Class(#[from] ClassError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(
        "DRPC over HTTP cannot listen on {host}:{port}: {source}; set {} to a free port, or to -1",
        keys::DRPC_HTTP_PORT
    )]
    Http {
        host: String,
        port: u16,
        source: std::io::Error,
    },
}

// === impl Drpc ===

impl Drpc {
    /// Binds the ports of clients, spouts and HTTP. A port of 0 lets the system choose; a negative
    /// `drpc.http.port` leaves HTTP out.
    pub async fn start(conf: &Conf) -> Result<Handle, StartError> {
        let endpoint = |service, port_key| -> Result<Endpoint, ConfError> {
            Ok(Endpoint {
                service,
                host: conf.text_or(keys::STORMWIRE_BIND_ADDRESS, "127.0.0.1")?,
                port: conf.port(port_key)?,
                port_key,
            })
        };
        let gate = Arc::new(Gate::new(conf, Daemon::Drpc)?);
        let clients = endpoint("drpc", keys::DRPC_PORT)?;
        let clients = Server::bind(&clients, Limits::default()).await?;
        let spouts = endpoint("drpc-invocations", keys::DRPC_INVOCATIONS_PORT)?;
        let spouts = Server::bind(&spouts, Limits::default()).await?;
        let exchange = Exchange::new(conf.secs(keys::DRPC_REQUEST_TIMEOUT_SECS)?);
        let http = match conf.int_or(keys::DRPC_HTTP_PORT, -1)? {
            ..0 => None,
            _ => Some(
                start_http(conf, http::router(Arc::clone(&exchange), Arc::clone(&gate))).await?,
            ),
        };
        let service = DrpcService::new(Arc::clone(&exchange), gate);
        Ok(Handle {
            clients: clients.serve(Arc::new(Clients::new(&service))),
            spouts: spouts.serve(Arc::new(Spouts::new(&service))),
            http,
            timer: tokio::spawn(Arc::clone(&exchange).watch_deadlines()),
            exchange,
        })
    }
}

async fn start_http(conf: &Conf, router: axum::Router) -> Result<Listener, StartError> {
    let host = conf.text_or(keys::STORMWIRE_BIND_ADDRESS, "127.0.0.1")?;
    let port = conf.port(keys::DRPC_HTTP_PORT)?;
    let started = Listener::start("drpc-http", (&host, port), router).await;
    started.map_err(|source| StartError::Http { host, port, source })
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

    /// Tells all who wait that the server ends, then closes its ports.
    pub async fn shutdown(self) {
        self.exchange.end();
        self.clients.drain().await;
        if let Some(http) = self.http {
            http.drain().await;
        }
        self.spouts.drain().await;
        self.timer.abort();
    }
}

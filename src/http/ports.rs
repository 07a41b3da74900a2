//! The HTTP and HTTPS ports of a daemon, opened as its keys say, and what runs beside them.
//!
//! What is answered there is the daemon's business.

use std::net::SocketAddr;

use axum::Router;
use tokio::task::JoinHandle;

use super::VisitorError;
use super::listener::Listener;
use super::tls::{self, HttpsError};
use crate::auth::ClassError;
use crate::auth::door::DoorError;
use crate::auth::tls::Acceptor;
use crate::conf::{Conf, ConfError, keys};
use crate::rpc::server::BindError;

/// A daemon's keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PortKeys {
    /// Names of the two ports, in logs.
    pub names: [&'static str; 2],
    pub http: &'static str,
    pub https: &'static str,
    /// Whether the one is closed where the other is open: yes, unless it says no.
    pub disable_http: &'static str,
    pub need_client_auth: &'static str,
}

/// A daemon's ports that are open.
#[derive(Debug)]
pub struct Ports {
    names: [&'static str; 2],
    http: Option<Listener>,
    https: Option<Listener>,
    /// What the daemon does besides; ends with it.
    beside: Option<JoinHandle<()>>,
}

/// Why a daemon with such ports could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Class(#[from] ClassError),
    #[error(transparent)]
    Visitors(#[from] VisitorError),
    #[error(transparent)]
    Door(#[from] DoorError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Http(#[from] OpenError),
}

/// Why a port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Https(#[from] HttpsError),
    #[error("{name} cannot listen on {host}:{port}: {source}; set {key} to a free port, or to -1")]
    Bind {
        name: &'static str,
        host: String,
        port: u16,
        key: &'static str,
        source: std::io::Error,
    },
}

// === impl Ports ===

impl Ports {
    /// Binds what the keys ask for. A port of 0 lets the system choose, a negative one is not
    /// opened.
    pub(crate) async fn open(
        conf: &Conf,
        keys: &PortKeys,
        router: Router,
    ) -> Result<Self, OpenError> {
        let acceptor = tls::acceptor(conf, keys)?;
        let is_closed = acceptor.is_some() && conf.flag(keys.disable_http)?.unwrap_or(true);
        let http = match conf.int_or(keys.http, -1)? {
            0.. if !is_closed => {
                let names = (keys.names[0], keys.http);
                Some(start(conf, names, (router.clone(), None)).await?)
            }
            _ => None,
        };
        let https = match acceptor {
            Some(acceptor) => {
                let names = (keys.names[1], keys.https);
                Some(start(conf, names, (router, Some(acceptor))).await?)
            }
            None => None,
        };
        Ok(Ports {
            names: keys.names,
            http,
            https,
            beside: None,
        })
    }

    /// With a task that ends when they do.
    pub(crate) fn beside(self, task: Option<JoinHandle<()>>) -> Self {
        Ports {
            beside: task,
            ..self
        }
    }

    /// Where HTTP is answered.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(Listener::address)
    }

    /// Where HTTPS is answered.
    pub fn https(&self) -> Option<SocketAddr> {
        self.https.as_ref().map(Listener::address)
    }

    /// Those that are open, by name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let addresses = [self.http(), self.https()];
        let named = self.names.into_iter().zip(addresses);
        named.filter_map(|(name, address)| Some((name, address?)))
    }

    /// Lets running requests end.
    pub async fn shutdown(self) {
        if let Some(task) = self.beside {
            task.abort();
        }
        for listener in [self.http, self.https].into_iter().flatten() {
            listener.drain().await;
        }
    }
}

async fn start(
    conf: &Conf,
    (name, key): (&'static str, &'static str),
    (router, acceptor): (Router, Option<Acceptor>),
) -> Result<Listener, OpenError> {
    let host = conf.text_or(keys::STORMWIRE_BIND_ADDRESS, "127.0.0.1")?;
    let port = conf.port(key)?;
    let started = Listener::start(name, (&host, port), (router, acceptor)).await;
    started.map_err(|source| OpenError::Bind {
        name,
        host,
        port,
        key,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: PortKeys = PortKeys {
        names: ["drpc-http", "drpc-https"],
        http: keys::DRPC_HTTP_PORT,
        https: keys::DRPC_HTTPS_PORT,
        disable_http: keys::DRPC_DISABLE_HTTP_BINDING,
        need_client_auth: keys::DRPC_HTTPS_NEED_CLIENT_AUTH,
    };

    #[test]
    fn a_port_without_certificates_names_what_is_missing() {
        let off = tls::acceptor(&Conf::defaults(), &KEYS).expect("off by default");
        assert!(off.is_none());
        let conf = Conf::defaults().with(keys::DRPC_HTTPS_PORT, 3775);
        let error = tls::acceptor(&conf, &KEYS).expect_err("no certificate");
        let error = error.to_string();
        assert!(error.contains("stormwire.tls.certificates"), "{error}");
        assert!(error.contains("drpc.https.port"), "{error}");
    }

    #[tokio::test]
    async fn a_port_that_is_taken_names_its_key() {
        let taken = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await;
        let taken = taken.expect("a port");
        let port = taken.local_addr().expect("it is bound").port();
        let conf = Conf::new().with(keys::DRPC_HTTP_PORT, port);
        let error = Ports::open(&conf, &KEYS, Router::new()).await;
        let error = error.expect_err("it is taken").to_string();
        assert!(
            error.contains("set drpc.http.port to a free port"),
            "{error}"
        );
    }
}

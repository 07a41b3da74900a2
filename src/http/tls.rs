//! HTTPS: which certificates a port shows and takes.
//!
//! PEM files, as on every other port; Java's key stores are not read.

use std::path::PathBuf;

use super::ports::PortKeys;
use crate::auth::tls::{Acceptor, Clients, Identity, TlsError};
use crate::conf::{Conf, ConfError, keys};

/// Why an HTTPS port cannot be opened as configured.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    #[error("{port} is set, but {missing} is not: name a PEM file")]
    Missing {
        port: &'static str,
        missing: &'static str,
    },
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The server's side of handshakes, where the daemon's HTTPS port is set. Clients without a
/// certificate are let in, nameless, unless its key about that says otherwise.
pub(super) fn acceptor(conf: &Conf, ports: &PortKeys) -> Result<Option<Acceptor>, HttpsError> {
    if conf.int_or(ports.https, -1)? < 0 {
        return Ok(None);
    }
    let file = |key| -> Result<Option<PathBuf>, HttpsError> {
        let path = conf.text(key)?.filter(|path| !path.is_empty());
        Ok(path.map(PathBuf::from))
    };
    let missing = |missing| HttpsError::Missing {
        port: ports.https,
        missing,
    };
    let needed = |key| file(key)?.ok_or_else(|| missing(key));
    let identity = Identity {
        certificates: needed(keys::STORMWIRE_TLS_CERTIFICATES)?,
        key: needed(keys::STORMWIRE_TLS_KEY)?,
    };
    let is_needed = conf.flag(ports.need_client_auth)? == Some(true);
    let clients = match file(keys::STORMWIRE_TLS_AUTHORITIES)? {
        Some(authorities) if is_needed => Clients::Certified { authorities },
        Some(authorities) => Clients::CertifiedOrAnonymous { authorities },
        None if is_needed => return Err(missing(keys::STORMWIRE_TLS_AUTHORITIES)),
        None => Clients::Anonymous,
    };
    Ok(Some(Acceptor::new(&identity, &clients)?))
}

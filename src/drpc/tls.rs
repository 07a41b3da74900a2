//! DRPC over HTTPS: which certificates its port shows and takes.
//!
//! PEM files, as on every other port; Java's key stores are not read.

use std::path::PathBuf;

use crate::auth::tls::{Acceptor, Clients, Identity, TlsError};
use crate::conf::{Conf, ConfError, keys};

/// Why the HTTPS port cannot be opened as configured.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    #[error(
        "{} is set, but {missing} is not: name a PEM file",
        keys::DRPC_HTTPS_PORT
    )]
    Missing { missing: &'static str },
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The server's side of handshakes, where `drpc.https.port` is set. Clients without a certificate
/// are let in, nameless, unless `drpc.https.need.client.auth` says otherwise.
pub(crate) fn acceptor(conf: &Conf) -> Result<Option<Acceptor>, HttpsError> {
    if conf.int_or(keys::DRPC_HTTPS_PORT, -1)? < 0 {
        return Ok(None);
    }
    let file = |key| -> Result<Option<PathBuf>, HttpsError> {
        let path = conf.text(key)?.filter(|path| !path.is_empty());
        Ok(path.map(PathBuf::from))
    };
    let needed = |key| file(key)?.ok_or(HttpsError::Missing { missing: key });
    let identity = Identity {
        certificates: needed(keys::STORMWIRE_TLS_CERTIFICATES)?,
        key: needed(keys::STORMWIRE_TLS_KEY)?,
    };
    let is_needed = conf.flag(keys::DRPC_HTTPS_NEED_CLIENT_AUTH)? == Some(true);
    let clients = match file(keys::STORMWIRE_TLS_AUTHORITIES)? {
        Some(authorities) if is_needed => Clients::Certified { authorities },
        Some(authorities) => Clients::CertifiedOrAnonymous { authorities },
        None if is_needed => {
            let missing = keys::STORMWIRE_TLS_AUTHORITIES;
            return Err(HttpsError::Missing { missing });
        }
        None => Clients::Anonymous,
    };
    Ok(Some(Acceptor::new(&identity, &clients)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_without_certificates_names_what_is_missing() {
        let off = acceptor(&Conf::defaults()).expect("off by default");
        assert!(off.is_none());
        let conf = Conf::defaults().with(keys::DRPC_HTTPS_PORT, 3775);
        let error = acceptor(&conf).expect_err("no certificate").to_string();
        assert!(error.contains("stormwire.tls.certificates"), "{error}");
    }
}

//! Nimbus's TLS port: which certificates it shows and takes (control-plane 1.5).
//!
//! Only reads the configuration; handshakes are `auth::tls`'s, the port is `rpc::server`'s.

use crate::auth::tls::{Acceptor, Clients, Identity, TlsError};
use crate::conf::{Conf, ConfError, keys};

/// Why the TLS port cannot be opened as configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    #[error(
        "{} is set, but {missing} is not: name a PEM file",
        keys::NIMBUS_THRIFT_TLS_PORT
    )]
    Missing { missing: &'static str },
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The server's side of handshakes, where `nimbus.thrift.tls.port` is set. Clients must have a
/// certificate unless `nimbus.thrift.tls.client.auth.required` is false.
pub(crate) fn acceptor(conf: &Conf) -> Result<Option<Acceptor>, TlsSetupError> {
    if conf.port(keys::NIMBUS_THRIFT_TLS_PORT)? == 0 {
        return Ok(None);
    }
    let file = |key| {
        let path = conf.text(key)?.filter(|path| !path.is_empty());
        path.ok_or(TlsSetupError::Missing { missing: key })
    };
    let identity = Identity {
        certificates: file(keys::STORMWIRE_TLS_CERTIFICATES)?.into(),
        key: file(keys::STORMWIRE_TLS_KEY)?.into(),
    };
    let is_required = conf
        .flag(keys::NIMBUS_THRIFT_TLS_CLIENT_AUTH_REQUIRED)?
        .unwrap_or(true);
    let clients = match (is_required, file(keys::STORMWIRE_TLS_AUTHORITIES)) {
        (true, authorities) => Clients::Certified {
            authorities: authorities?.into(),
        },
        (false, Ok(authorities)) => Clients::CertifiedOrAnonymous {
            authorities: authorities.into(),
        },
        (false, Err(TlsSetupError::Missing { .. })) => Clients::Anonymous,
        (false, Err(error)) => return Err(error),
    };
    Ok(Some(Acceptor::new(&identity, &clients)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_without_certificates_names_what_is_missing() {
        assert!(
            acceptor(&Conf::defaults())
                .expect("off by default")
                .is_none()
        );
        let conf = Conf::defaults().with(keys::NIMBUS_THRIFT_TLS_PORT, 6629);
        let error = acceptor(&conf).expect_err("no certificate").to_string();
        assert!(error.contains("stormwire.tls.certificates"), "{error}");
    }
}

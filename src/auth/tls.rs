//! TLS of servers and clients, from PEM files (control-plane 1.5).
//!
//! Reads the files once: a renewed certificate needs a restart. Ring is the one crypto provider.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::subject;

/// Certificate chain and key of one side, as PEM files.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The own certificate first, then those that lead to an authority.
    pub certificates: PathBuf,
    pub key: PathBuf,
}

/// Which clients a server lets in.
#[derive(Clone, Debug)]
pub enum Clients {
    /// Those with a certificate of one of these authorities (a PEM file): Storm's default.
    Certified { authorities: PathBuf },
    /// Also those without a certificate.
    CertifiedOrAnonymous { authorities: PathBuf },
    /// Nobody is asked for a certificate.
    Anonymous,
}

/// The server's side of handshakes.
#[derive(Clone, Debug)]
pub struct Acceptor(Arc<ServerConfig>);

/// The client's side of handshakes.
#[derive(Clone, Debug)]
pub struct Connector(Arc<ClientConfig>);

/// Why TLS cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {what} from {}: {source}; a PEM file is expected there", path.display())]
    Read {
        what: &'static str,
        path: PathBuf,
        source: pem::Error,
    },
    #[error("{} holds no certificate; a PEM file with one or more is expected", path.display())]
    Empty { path: PathBuf },
    #[error("cannot use the certificates of {}: {source}", path.display())]
    Unusable {
        path: PathBuf,
        source: rustls::Error,
    },
    #[error("cannot verify clients by {}: {source}", path.display())]
    Verifier {
        path: PathBuf,
        source: rustls::server::VerifierBuilderError,
    },
    #[error("no protocol version in common with this build: {0}")]
    Versions(rustls::Error),
}

// === impl Acceptor ===

impl Acceptor {
    pub fn new(identity: &Identity, clients: &Clients) -> Result<Self, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Versions)?;
        let builder = match clients {
            Clients::Anonymous => builder.with_no_client_auth(),
            Clients::Certified { authorities } | Clients::CertifiedOrAnonymous { authorities } => {
                let roots = Arc::new(roots(authorities)?);
                let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                if matches!(clients, Clients::CertifiedOrAnonymous { .. }) {
                    verifier = verifier.allow_unauthenticated();
                }
                let verifier = verifier.build().map_err(|source| TlsError::Verifier {
                    path: authorities.clone(),
                    source,
                })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let (chain, key) = identity.read()?;
        let config = builder.with_single_cert(chain, key);
        Ok(Acceptor(Arc::new(
            config.map_err(|e| identity.unusable(e))?,
        )))
    }

    /// The handshake. Returns the peer's name too: the subject of its certificate, or what Java
    /// calls a peer without one.
    pub async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(server::TlsStream<TcpStream>, String)> {
        let stream = TlsAcceptor::from(Arc::clone(&self.0))
            .accept(stream)
            .await?;
        let certificate = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(<[_]>::first);
        let principal = match certificate {
            None => ANONYMOUS.to_owned(),
            Some(certificate) => subject::name(certificate).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the client's certificate has no subject",
                )
            })?,
        };
        Ok((stream, principal))
    }
}

// === impl Connector ===

impl Connector {
    /// Trusts servers with a certificate of one of the `authorities` (a PEM file) for the host that
    /// was asked for, and shows `identity` to those that ask.
    pub fn new(authorities: &Path, identity: Option<&Identity>) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Versions)?
            .with_root_certificates(roots(authorities)?);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = identity.read()?;
                let config = builder.with_client_auth_cert(chain, key);
                config.map_err(|e| identity.unusable(e))?
            }
        };
        Ok(Connector(Arc::new(config)))
    }

    /// The handshake with `host`.
    pub async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<client::TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        TlsConnector::from(Arc::clone(&self.0))
            .connect(name, stream)
            .await
    }
}

// === impl Identity ===

impl Identity {
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let chain = certificates(&self.certificates)?;
        let key = PrivateKeyDer::from_pem_file(&self.key);
        let key = key.map_err(|source| unread("a private key", &self.key, source))?;
        Ok((chain, key))
    }

    fn unusable(&self, source: rustls::Error) -> TlsError {
        TlsError::Unusable {
            path: self.certificates.clone(),
            source,
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|source| TlsError::Unusable {
                path: path.to_owned(),
                source,
            })?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unread = |source| unread("certificates", path, source);
    let found = CertificateDer::pem_file_iter(path).map_err(unread)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(unread)?;
    if found.is_empty() {
        let path = path.to_owned();
        return Err(TlsError::Empty { path });
    }
    Ok(found)
}

fn unread(what: &'static str, path: &Path, source: pem::Error) -> TlsError {
    TlsError::Read {
        what,
        path: path.to_owned(),
        source,
    }
}

/// Storm's name of a peer that shows no certificate (control-plane 1.5).
const ANONYMOUS: &str = "CN=ANONYMOUS";

#[cfg(test)]
mod tests;

//! TLS of servers and clients, from PEM files (control-plane 1.5).
//!
//! Renewed files are taken by the next handshake, connections that are open stay as they are; files
//! that cannot be used change nothing. Ring is the one crypto provider.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::subject;
use crate::{clock, limits};

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
pub struct Acceptor(Arc<Renewed<(Identity, Clients), ServerConfig>>);

/// The client's side of handshakes.
#[derive(Clone, Debug)]
pub struct Connector(Arc<Renewed<(PathBuf, Option<Identity>), ClientConfig>>);

/// What was made of some files, and made again when they changed.
pub(super) struct Renewed<F, C> {
    from: F,
    files: Vec<PathBuf>,
    make: fn(&F) -> Result<C, TlsError>,
    current: ArcSwap<C>,
    looked: Mutex<Looked>,
}

/// When the files were looked at, and what they held.
struct Looked {
    at_ms: u64,
    hash: u64,
}

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
        let mut files = identity.files();
        if let Clients::Certified { authorities } | Clients::CertifiedOrAnonymous { authorities } =
            clients
        {
            files.push(authorities.clone());
        }
        let from = (identity.clone(), clients.clone());
        let renewed = Renewed::new(from, files, |(identity, clients)| {
            Acceptor::config(identity, clients)
        })?;
        Ok(Acceptor(Arc::new(renewed)))
    }

    fn config(identity: &Identity, clients: &Clients) -> Result<ServerConfig, TlsError> {
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
        config.map_err(|e| identity.unusable(e))
    }

    /// The handshake. Returns the peer's name too: the subject of its certificate, none for a peer
    /// without one.
    pub async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(server::TlsStream<TcpStream>, Option<String>)> {
        let stream = TlsAcceptor::from(self.0.newest()).accept(stream).await?;
        let principal = principal(stream.get_ref().1.peer_certificates())?;
        Ok((stream, principal))
    }
}

// === impl Connector ===

impl Connector {
    /// Trusts servers with a certificate of one of the `authorities` (a PEM file) for the host that
    /// was asked for, and shows `identity` to those that ask.
    pub fn new(authorities: &Path, identity: Option<&Identity>) -> Result<Self, TlsError> {
        let mut files = vec![authorities.to_owned()];
        files.extend(identity.into_iter().flat_map(Identity::files));
        let from = (authorities.to_owned(), identity.cloned());
        let renewed = Renewed::new(from, files, |(authorities, identity)| {
            Connector::config(authorities, identity.as_ref())
        })?;
        Ok(Connector(Arc::new(renewed)))
    }

    fn config(authorities: &Path, identity: Option<&Identity>) -> Result<ClientConfig, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Versions)?
            .with_root_certificates(roots(authorities)?);
        match identity {
            None => Ok(builder.with_no_client_auth()),
            Some(identity) => {
                let (chain, key) = identity.read()?;
                let config = builder.with_client_auth_cert(chain, key);
                config.map_err(|e| identity.unusable(e))
            }
        }
    }

    /// The handshake with `host`.
    pub async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<client::TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        TlsConnector::from(self.0.newest())
            .connect(name, stream)
            .await
    }
}

// === impl Renewed ===

impl<F, C> Renewed<F, C> {
    pub(super) fn new(
        from: F,
        files: Vec<PathBuf>,
        make: fn(&F) -> Result<C, TlsError>,
    ) -> Result<Self, TlsError> {
        // Read before: a change in between is seen by the next look.
        let hash = hash(&files);
        let current = ArcSwap::from_pointee(make(&from)?);
        let at_ms = clock::monotonic_millis();
        Ok(Renewed {
            from,
            files,
            make,
            current,
            looked: Mutex::new(Looked { at_ms, hash }),
        })
    }

    pub(super) fn newest(&self) -> Arc<C> {
        self.look(clock::monotonic_millis());
        self.current.load_full()
    }

    /// The files are small and read at most once a second, so that no watcher has to run.
    fn look(&self, now_ms: u64) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if now_ms.saturating_sub(looked.at_ms) < limits::CERTIFICATE_CHECK_MS {
            return;
        }
        looked.at_ms = now_ms;
        let hash = hash(&self.files);
        if hash == looked.hash {
            return;
        }
        looked.hash = hash;
        match (self.make)(&self.from) {
            Ok(renewed) => {
                self.current.store(Arc::new(renewed));
                tracing::info!(files = ?self.files, "certificates changed: the new ones are used");
            }
            Err(error) => {
                tracing::warn!(%error, "changed certificates cannot be used: the old ones stay");
            }
        }
    }
}

impl<F: fmt::Debug, C> fmt::Debug for Renewed<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Renewed({:?})", self.from)
    }
}

fn hash(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(file).ok().hash(&mut hasher);
    }
    hasher.finish()
}

// === impl Identity ===

impl Identity {
    pub(super) fn files(&self) -> Vec<PathBuf> {
        vec![self.certificates.clone(), self.key.clone()]
    }

    pub(super) fn read(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let chain = certificates(&self.certificates)?;
        let key = PrivateKeyDer::from_pem_file(&self.key);
        let key = key.map_err(|source| unread("a private key", &self.key, source))?;
        Ok((chain, key))
    }

    pub(super) fn unusable(&self, source: rustls::Error) -> TlsError {
        TlsError::Unusable {
            path: self.certificates.clone(),
            source,
        }
    }
}

/// The name of a client by what it showed: the subject of its certificate, none without one.
pub(super) fn principal(certificates: Option<&[CertificateDer<'_>]>) -> io::Result<Option<String>> {
    let Some(certificate) = certificates.and_then(<[_]>::first) else {
        return Ok(None);
    };
    // One that names nobody is nobody's.
    let name = subject::name(certificate).filter(|name| !name.is_empty());
    let reason = "the client's certificate has no subject";
    let error = || io::Error::new(io::ErrorKind::InvalidData, reason);
    name.map(Some).ok_or_else(error)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

pub(super) fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
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
pub const ANONYMOUS: &str = "CN=ANONYMOUS";

#[cfg(test)]
mod tests;

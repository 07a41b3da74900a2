//! TLS between the workers of one topology: each end shows a certificate, and each checks the
//! other's. The gateway's port shows the same certificate to peers.
//!
//! TLS 1.3 only, nothing is resumed: whoever connects proves anew who it is. Hosts have no part in
//! it: a worker is known by its topology and slot. A peer, which knows neither, may look at the
//! host that Nimbus put into a worker's certificate.

use std::fmt;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, OtherError,
    RootCertStore, ServerConfig, SignatureScheme, version,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, server};

use super::link_authority::PEERS_UNIT;
use super::link_conf::{Ciphers, LinkEncryption};
use super::subject;
use super::tls::{self, Identity, Renewed, TlsError};
use crate::wire::messages::LinkKeys;

/// What encrypts the links of one worker.
#[derive(Debug)]
pub struct LinkTls(Source);

/// Where the certificates come from.
enum Source {
    Issued {
        topology: String,
        port: u16,
        ciphers: Ciphers,
        sides: ArcSwap<Sides>,
    },
    Given(Renewed<Given, Sides>),
}

/// PEM files, and what else is needed to make something of them.
#[derive(Clone, Debug)]
struct Given {
    identity: Identity,
    authorities: std::path::PathBuf,
    ciphers: Ciphers,
}

/// Both sides of handshakes.
struct Sides {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    /// For the gateway's peers, with certificates and without.
    certified_peers: Arc<ServerConfig>,
    any_peers: Arc<ServerConfig>,
}

/// Which peers a gateway lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Those that show a certificate of the topology's authority.
    Certified,
    /// Whoever knows the token, if there is one.
    Any,
}

/// Whom a certificate of the topology makes welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admits {
    Workers,
    PeersToo,
}

/// Chain and key of one worker, and whom it believes.
struct Material {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: RootCertStore,
    /// None: whatever the authorities signed is one of us.
    topology: Option<String>,
}

/// Why links cannot be encrypted as they must be.
#[derive(Debug, thiserror::Error)]
pub enum LinkTlsError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("links are to be encrypted, but Nimbus gave port {port} no certificate")]
    NoCertificate { port: u16 },
    #[error("the certificate for links cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    #[error("the authority of links cannot be used: {0}")]
    Authority(#[from] rustls::server::VerifierBuilderError),
}

/// A certificate that is not of this topology.
#[derive(thiserror::Error)]
#[error("the certificate is of {theirs}, here runs {ours}")]
struct Foreign {
    theirs: String,
    ours: String,
}

/// A certificate of this topology that is no worker's.
#[derive(thiserror::Error)]
#[error("the certificate is of a peer of the gateway, and this is a link between workers")]
struct NoWorker;

/// Checks the other end's certificate, whichever end that is.
#[derive(Clone, Debug)]
struct PeerVerifier {
    admits: Admits,
    roots: Arc<RootCertStore>,
    clients: Arc<dyn ClientCertVerifier>,
    topology: Option<String>,
    provider: Arc<CryptoProvider>,
}

// === impl LinkTls ===

impl LinkTls {
    /// As the conf says, for the worker of `port`; none where links are not encrypted.
    pub fn new(
        encryption: &LinkEncryption,
        (topology, port): (&str, u16),
        keys: Option<&LinkKeys>,
    ) -> Result<Option<Self>, LinkTlsError> {
        let source = match encryption {
            LinkEncryption::Off => return Ok(None),
            LinkEncryption::Issued(ciphers) => {
                let material = Material::issued(topology, port, keys)?;
                Source::Issued {
                    topology: topology.to_owned(),
                    port,
                    sides: ArcSwap::from_pointee(Sides::new(material, ciphers)?),
                    ciphers: ciphers.clone(),
                }
            }
            LinkEncryption::Given {
                identity,
                authorities,
                ciphers,
            } => {
                let mut files = identity.files();
                files.push(authorities.clone());
                let from = Given {
                    identity: identity.clone(),
                    authorities: authorities.clone(),
                    ciphers: ciphers.clone(),
                };
                Source::Given(Renewed::new(from, files, Sides::of_files)?)
            }
        };
        Ok(Some(LinkTls(source)))
    }

    /// Takes over what Nimbus issued anew, for the handshakes to come.
    pub fn renew(&self, keys: Option<&LinkKeys>) -> Result<(), LinkTlsError> {
        if let (
            Source::Issued {
                topology,
                port,
                ciphers,
                sides,
            },
            Some(_),
        ) = (&self.0, keys)
        {
            let material = Material::issued(topology, *port, keys)?;
            sides.store(Arc::new(Sides::new(material, ciphers)?));
        }
        Ok(())
    }

    /// For who connects to this worker. A certificate is a must.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.sides().server.clone())
    }

    /// For connecting to another worker.
    pub fn connector(&self) -> TlsConnector {
        TlsConnector::from(self.sides().client.clone())
    }

    /// The handshake with one of the gateway's peers. Gives its name too: the subject of its
    /// certificate, if it had to show one.
    pub async fn accept_peer(
        &self,
        stream: TcpStream,
        peers: Peers,
    ) -> io::Result<(server::TlsStream<TcpStream>, Option<String>)> {
        let sides = self.sides();
        let config = match peers {
            Peers::Certified => &sides.certified_peers,
            Peers::Any => &sides.any_peers,
        };
        let accepting = TlsAcceptor::from(config.clone()).accept(stream);
        let stream = accepting.await?;
        let principal = tls::principal(stream.get_ref().1.peer_certificates())?;
        Ok((stream, principal))
    }

    /// Whether Nimbus made its certificate.
    pub fn is_issued(&self) -> bool {
        matches!(self.0, Source::Issued { .. })
    }

    /// A name for the server, which rustls wants to have and nobody looks at.
    pub fn server_name() -> ServerName<'static> {
        ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into())
    }

    fn sides(&self) -> Arc<Sides> {
        match &self.0 {
            Source::Issued { sides, .. } => sides.load_full(),
            Source::Given(renewed) => renewed.newest(),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Issued { topology, port, .. } => write!(f, "Issued({topology}, {port})"),
            Source::Given(renewed) => renewed.fmt(f),
        }
    }
}

/// The subject of the other end's certificate.
pub fn peer_name(certificates: Option<&[CertificateDer<'_>]>) -> Option<String> {
    subject::name(certificates?.first()?)
}

// === impl Material ===

impl Material {
    fn issued(topology: &str, port: u16, keys: Option<&LinkKeys>) -> Result<Self, LinkTlsError> {
        let none = LinkTlsError::NoCertificate { port };
        let Some(keys) = keys else {
            return Err(none);
        };
        let own = keys.workers.get(&i32::from(port)).ok_or(none)?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(keys.authority.to_vec()))?;
        Ok(Material {
            chain: vec![CertificateDer::from(own.certificate.to_vec())],
            key: PrivatePkcs8KeyDer::from(own.key.to_vec()).into(),
            roots,
            topology: Some(topology.to_owned()),
        })
    }
}

// === impl Sides ===

impl Sides {
    fn of_files(given: &Given) -> Result<Self, TlsError> {
        let (chain, key) = given.identity.read()?;
        let material = Material {
            chain,
            key,
            roots: tls::roots(&given.authorities)?,
            topology: None,
        };
        Sides::new(material, &given.ciphers).map_err(|error| match error {
            LinkTlsError::Tls(error) => error,
            LinkTlsError::Authority(source) => TlsError::Verifier {
                path: given.authorities.clone(),
                source,
            },
            LinkTlsError::Unusable(source) => given.identity.unusable(source),
            other @ LinkTlsError::NoCertificate { .. } => given
                .identity
                .unusable(rustls::Error::General(other.to_string())),
        })
    }

    fn new(material: Material, Ciphers(cipher_suites): &Ciphers) -> Result<Self, LinkTlsError> {
        let provider = Arc::new(CryptoProvider {
            cipher_suites: cipher_suites.clone(),
            ..ring::default_provider()
        });
        let roots = Arc::new(material.roots);
        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
        let verifier = Arc::new(PeerVerifier {
            admits: Admits::Workers,
            roots,
            clients: clients.build()?,
            topology: material.topology,
            provider: provider.clone(),
        });
        let of_peers = Arc::new(PeerVerifier {
            admits: Admits::PeersToo,
            ..PeerVerifier::clone(&verifier)
        });
        let server = |clients: Option<Arc<PeerVerifier>>| -> Result<_, LinkTlsError> {
            let builder = ServerConfig::builder_with_provider(provider.clone())
                .with_protocol_versions(&[&version::TLS13])?;
            let builder = match clients {
                Some(verifier) => builder.with_client_cert_verifier(verifier),
                None => builder.with_no_client_auth(),
            };
            let (chain, key) = (material.chain.clone(), material.key.clone_key());
            let mut server = builder.with_single_cert(chain, key)?;
            server.send_tls13_tickets = 0;
            server.session_storage = Arc::new(NoServerSessionStorage {});
            Ok(Arc::new(server))
        };
        let (certified_peers, any_peers) = (server(Some(of_peers))?, server(None)?);
        let server = server(Some(verifier.clone()))?;
        let mut client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(material.chain, material.key)?;
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        Ok(Sides {
            server,
            client: Arc::new(client),
            certified_peers,
            any_peers,
        })
    }
}

// === impl Foreign ===

/// rustls shows causes by their `Debug` alone.
impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

// === impl NoWorker ===

impl fmt::Debug for NoWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

// === impl PeerVerifier ===

impl PeerVerifier {
    /// Says which topology a certificate is of before it says that nobody here signed it.
    fn check_topology(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        let Some(ours) = &self.topology else {
            return Ok(());
        };
        let theirs = subject::attribute(certificate, "O");
        if theirs.as_deref() == Some(subject::as_attribute(ours).as_str()) {
            let unit = subject::attribute(certificate, "OU");
            if self.admits == Admits::Workers && unit.as_deref() == Some(PEERS_UNIT) {
                let other = CertificateError::Other(OtherError(Arc::new(NoWorker)));
                return Err(rustls::Error::InvalidCertificate(other));
            }
            return Ok(());
        }
        let foreign = Foreign {
            // Nobody has vouched for it yet: it may hold ends of lines.
            theirs: match theirs {
                Some(id) => format!("topology {}", id.escape_debug()),
                None => "no topology".to_owned(),
            },
            ours: ours.clone(),
        };
        let foreign = CertificateError::Other(OtherError(Arc::new(foreign)));
        Err(rustls::Error::InvalidCertificate(foreign))
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check_topology(certificate)?;
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(certificate)?,
            &self.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.clients
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.clients
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.clients.supported_verify_schemes()
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.clients.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.clients.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check_topology(certificate)?;
        self.clients
            .verify_client_cert(certificate, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.clients
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.clients
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.clients.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::link_authority::LinkAuthority;

    /// It is told before anybody looks at who signed it.
    #[test]
    fn whose_certificate_is_foreign_writes_no_lines_of_a_log() {
        let key = LinkAuthority::new_key().expect("a key");
        let named = "theirs\n2026-01-01 ERROR \u{1b}[31m";
        let authority = LinkAuthority::new(named, &key).expect("an authority");
        let certificate = CertificateDer::from(authority.certificate().to_vec());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).expect("a root");
        let (roots, provider) = (Arc::new(roots), Arc::new(ring::default_provider()));
        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
        let verifier = PeerVerifier {
            admits: Admits::Workers,
            roots,
            clients: clients.build().expect("a verifier"),
            topology: Some("ours".to_owned()),
            provider,
        };
        let refused = verifier.check_topology(&certificate);
        let text = refused.expect_err("foreign").to_string();
        assert!(
            text.contains("topology theirs") && !text.contains(char::is_control),
            "{text:?}"
        );
    }
}

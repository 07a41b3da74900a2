//! The authority of one topology, and the certificates that it makes: for the topology's workers,
//! and for the gateway's peers, which are let in there and nowhere else.
//!
//! Keeps nothing: its key is the caller's to store, and gives the same authority again.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};

use crate::wire::messages::LinkCertificate;

/// Signs certificates of one topology's workers.
pub struct LinkAuthority {
    topology: String,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// No certificate can be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a certificate: {0}")]
pub struct IssueError(#[from] rcgen::Error);

// === impl LinkAuthority ===

impl LinkAuthority {
    /// A new key for an authority: PKCS #8. Secret.
    pub fn new_key() -> Result<Vec<u8>, IssueError> {
        Ok(KeyPair::generate()?.serialize_der())
    }

    /// The authority of a topology by its key. Certificates that it made before stay good.
    pub fn new(topology: &str, key: &[u8]) -> Result<Self, IssueError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name(topology, "links");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::try_from(key)?)?;
        Ok(LinkAuthority {
            topology: topology.to_owned(),
            issuer,
        })
    }

    /// Its own certificate: DER.
    pub fn certificate(&self) -> Bytes {
        Bytes::copy_from_slice(self.issuer.der())
    }

    /// A new certificate, with a new key, by which a worker calls and is called until `expires`.
    /// `host` is where the gateway's peers, who look at it, find the worker.
    pub fn issue(
        &self,
        (worker, host): (&str, Option<&str>),
        expires: SystemTime,
    ) -> Result<LinkCertificate, IssueError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&self.topology, worker);
        params.subject_alt_names = host.and_then(alternative).into_iter().collect();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.sign(params, expires)
    }

    /// A new certificate, with a new key, by which one of the gateway's peers calls until
    /// `expires`. No worker takes it for another worker's.
    pub fn issue_to_peer(
        &self,
        peer: &str,
        expires: SystemTime,
    ) -> Result<LinkCertificate, IssueError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&self.topology, peer);
        let unit = DnType::OrganizationalUnitName;
        params.distinguished_name.push(unit, PEERS_UNIT);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, expires)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        expires: SystemTime,
    ) -> Result<LinkCertificate, IssueError> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.not_before = SystemTime::now()
            .checked_sub(CLOCK_SKEW)
            .map_or(params.not_before, Into::into);
        params.not_after = expires.into();
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(LinkCertificate {
            certificate: Bytes::copy_from_slice(certificate.der()),
            key: Bytes::from(key.serialize_der()),
        })
    }
}

impl std::fmt::Debug for LinkAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LinkAuthority({})", self.topology)
    }
}

fn name(topology: &str, common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, topology);
    name.push(DnType::CommonName, common_name);
    name
}

/// None for a name that no certificate can hold: workers do not look at it.
fn alternative(host: &str) -> Option<SanType> {
    match host.parse::<IpAddr>() {
        Ok(address) => Some(SanType::IpAddress(address)),
        Err(_) => host.try_into().ok().map(SanType::DnsName),
    }
}

/// DER as a PEM file holds it: `CERTIFICATE`, `PRIVATE KEY`.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    // Base64 is ASCII: every place is a boundary.
    let lines: Vec<&str> = (0..text.len())
        .step_by(PEM_LINE_CHARS)
        .map(|at| &text[at..text.len().min(at + PEM_LINE_CHARS)])
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// By this unit (OU) peers of the gateway are told from workers.
pub const PEERS_UNIT: &str = "gateway";
const PEM_LINE_CHARS: usize = 64;
/// By which the clocks of machines may differ.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);

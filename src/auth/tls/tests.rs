//! Handshakes over the loopback address, with certificates made here.

use std::fs;

use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::auth::door::{Door, Key};
use crate::rpc::client::{Address, ClientOptions, Connection};
use crate::rpc::server::{Counters, Endpoint, Limits, Running, Server};
use crate::rpc::{Caller, Channel, Close, Dispatch};

/// Answers every message with the name of its caller, as the name of the method.
struct WhoAmI;

impl Dispatch for WhoAmI {
    async fn dispatch(&self, caller: &Caller, _: Bytes) -> Result<Option<Bytes>, Close> {
        Ok(Some(message(
            caller.principal.as_deref().unwrap_or("nobody"),
        )))
    }
}

fn message(name: &str) -> Bytes {
    let mut bytes = vec![0x80, 1, 0, 2];
    bytes.extend((name.len() as u32).to_be_bytes());
    bytes.extend(name.as_bytes());
    bytes.extend([0, 0, 0, 1, 0]);
    bytes.into()
}

/// An authority, and what it signed, as files.
struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { folder, issuer }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn identity(&self, name: &str, hosts: &[&str]) -> Identity {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Storm");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let identity = Identity {
            certificates: self.folder.path().join(format!("{name}.pem")),
            key: self.folder.path().join(format!("{name}.key")),
        };
        fs::write(&identity.certificates, certificate.pem()).unwrap();
        fs::write(&identity.key, key.serialize_pem()).unwrap();
        identity
    }
}

async fn start(authority: &Authority, clients: &Clients) -> (Running, Address) {
    let endpoint = Endpoint {
        service: "test",
        host: "127.0.0.1".to_owned(),
        port: 0,
        port_key: "test.port",
    };
    let limits = Limits {
        greeting_wait_max: std::time::Duration::from_secs(2),
        ..Limits::default()
    };
    let server = Server::bind(&endpoint, limits).await.unwrap();
    let address = Address::new("127.0.0.1", server.address().port());
    let identity = authority.identity("server", &["127.0.0.1"]);
    let acceptor = Acceptor::new(&identity, clients).unwrap();
    let running = server.serve_behind(Arc::new(WhoAmI), Door::Tls(acceptor));
    (running, address)
}

/// The name that the server gives us, or why it does not.
async fn name_seen(address: &Address, tls: Option<Connector>) -> Result<String, String> {
    let options = ClientOptions {
        key: Key { tls, login: None },
        ..ClientOptions::default()
    };
    let mut connection = Connection::open(address, &options)
        .await
        .map_err(|e| e.to_string())?;
    let mut names = Vec::new();
    for _ in 0..3 {
        let reply = connection
            .call(message("whoAmI"))
            .await
            .map_err(|e| e.to_string())?;
        names.push(String::from_utf8_lossy(&reply[8..reply.len() - 5]).into_owned());
    }
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    Ok(names.remove(0))
}

#[tokio::test]
async fn a_certified_client_is_known_by_its_subject() {
    let authority = Authority::new("ours");
    let clients = Clients::Certified {
        authorities: authority.path(),
    };
    let (_running, address) = start(&authority, &clients).await;
    let alice = authority.identity("alice", &[]);
    let tls = Connector::new(&authority.path(), Some(&alice)).unwrap();
    assert_eq!(
        name_seen(&address, Some(tls)).await.unwrap(),
        "CN=alice,O=Storm"
    );
    let nameless = Connector::new(&authority.path(), None).unwrap();
    assert!(name_seen(&address, Some(nameless)).await.is_err());
    let stranger = Authority::new("ours").identity("alice", &[]);
    let tls = Connector::new(&authority.path(), Some(&stranger));
    assert!(tls.is_err(), "its files are gone");
    let other = Authority::new("other");
    let stranger = other.identity("alice", &[]);
    let tls = Connector::new(&authority.path(), Some(&stranger)).unwrap();
    assert!(name_seen(&address, Some(tls)).await.is_err());
}

#[tokio::test]
async fn a_client_without_a_certificate_is_anonymous_where_that_is_allowed() {
    let authority = Authority::new("ours");
    let either = Clients::CertifiedOrAnonymous {
        authorities: authority.path(),
    };
    for clients in [either, Clients::Anonymous] {
        let (_running, address) = start(&authority, &clients).await;
        let tls = Connector::new(&authority.path(), None).unwrap();
        assert_eq!(
            name_seen(&address, Some(tls)).await.unwrap(),
            "CN=ANONYMOUS"
        );
    }
}

#[tokio::test]
async fn a_server_must_have_the_name_that_was_asked_for() {
    let authority = Authority::new("ours");
    let (_running, address) = start(&authority, &Clients::Anonymous).await;
    let tls = Connector::new(&authority.path(), None).unwrap();
    let elsewhere = Address::new("localhost", address.port);
    let text = name_seen(&elsewhere, Some(tls)).await.unwrap_err();
    assert!(
        text.starts_with(&format!("no TLS with {elsewhere}: ")),
        "{text}"
    );
    let other = Authority::new("other");
    let tls = Connector::new(&other.path(), None).unwrap();
    let text = name_seen(&address, Some(tls)).await.unwrap_err();
    assert!(text.contains("UnknownIssuer"), "{text}");
}

#[tokio::test]
async fn what_is_no_handshake_is_closed_and_the_server_lives() {
    let authority = Authority::new("ours");
    let (running, address) = start(&authority, &Clients::Anonymous).await;
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 100],
        &message("framed"),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", address.port))
            .await
            .unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut alert = Vec::new();
        let _ = stream.read_to_end(&mut alert).await;
    }
    let mut silent = TcpStream::connect(("127.0.0.1", address.port))
        .await
        .unwrap();
    assert_eq!(
        silent.read(&mut [0]).await.unwrap(),
        0,
        "closed at the deadline"
    );
    let counters = running.counters();
    assert_eq!(Counters::read(&counters.malformed), 3);
    assert_eq!(Counters::read(&counters.late), 1);
    let tls = Connector::new(&authority.path(), None).unwrap();
    name_seen(&address, Some(tls)).await.unwrap();
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new("ours");
    let good = authority.identity("server", &["localhost"]);
    let other = authority.identity("other", &["localhost"]);
    let refused = |identity: &Identity| {
        Acceptor::new(identity, &Clients::Anonymous)
            .unwrap_err()
            .to_string()
    };
    let absent = authority.folder.path().join("absent.pem");
    let empty = authority.folder.path().join("empty.pem");
    fs::write(&empty, "no certificate here").unwrap();
    let with = |certificates: &PathBuf, key: &PathBuf| Identity {
        certificates: certificates.clone(),
        key: key.clone(),
    };
    let text = refused(&with(&absent, &good.key));
    assert!(text.starts_with("cannot read certificates from") && text.contains("absent.pem"));
    let text = refused(&with(&good.certificates, &absent));
    assert!(text.starts_with("cannot read a private key from") && text.contains("absent.pem"));
    let text = refused(&with(&empty, &good.key));
    assert!(text.contains("empty.pem holds no certificate"), "{text}");
    let text = refused(&with(&good.certificates, &other.key));
    assert!(text.starts_with("cannot use the certificates of"), "{text}");
}

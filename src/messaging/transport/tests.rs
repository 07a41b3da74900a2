//! Who gets through a worker's port, and what the others are told: over real sockets, with
//! certificates as Nimbus makes them and as it does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rcgen::{CertificateParams, DnType, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::auth::link_authority::LinkAuthority;
use crate::auth::link_conf::LinkEncryption;
use crate::conf::{Conf, keys};
use crate::wire::messages::{LinkCertificate, LinkKeys};

const PORT: u16 = 6700;
/// Begins no frame of ours.
const ANSWER: u8 = 42;

fn authority(topology: &str) -> LinkAuthority {
    LinkAuthority::new(topology, &LinkAuthority::new_key().unwrap()).unwrap()
}

fn in_an_hour() -> SystemTime {
    SystemTime::now() + Duration::from_secs(3600)
}

fn issued(authority: &LinkAuthority) -> LinkCertificate {
    authority
        .issue(("node:6700", Some("localhost")), in_an_hour())
        .unwrap()
}

/// What a worker of `topology` has that trusts `roots` and shows `certificate`.
fn tls_of(topology: &str, roots: &LinkAuthority, certificate: LinkCertificate) -> LinkTls {
    let conf = Conf::defaults().with(keys::STORMWIRE_LINK_ENCRYPTION, true);
    let keys = LinkKeys {
        authority: roots.certificate(),
        workers: [(PORT.into(), certificate)].into(),
    };
    let encryption = LinkEncryption::of(&conf).unwrap();
    let tls = LinkTls::new(&encryption, (topology, PORT), Some(&keys));
    tls.unwrap().unwrap()
}

fn security(topology: &str, roots: &LinkAuthority, shown: LinkCertificate) -> LinkSecurity {
    LinkSecurity::Tls(Arc::new(tls_of(topology, roots, shown)))
}

/// What both ends say of a connection on which the client sends a byte and the server another.
async fn ends(
    server: LinkSecurity,
    client: LinkSecurity,
) -> (Result<(), String>, Result<(), String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = async {
        let (stream, _) = listener.accept().await.unwrap();
        let (mut reader, mut writer) = accept(stream, (&server, &Fence::default()))
            .await
            .map_err(|e| e.to_string())?;
        let mut byte = [0];
        reader
            .read_exact(&mut byte)
            .await
            .map_err(|e| e.to_string())?;
        writer
            .write_all(&[ANSWER])
            .await
            .map_err(|e| e.to_string())?;
        writer.flush().await.map_err(|e| e.to_string())
    };
    let calling = async {
        let (mut reader, mut writer) = connect(&address, (&client, &Fence::default()))
            .await
            .map_err(|e| e.to_string())?;
        writer.write_all(&[0]).await.map_err(|e| e.to_string())?;
        writer.flush().await.map_err(|e| e.to_string())?;
        let mut byte = [9];
        // A server that refuses the certificate says so only after the client is through.
        reader
            .read_exact(&mut byte)
            .await
            .map_err(|e| e.to_string())?;
        match byte {
            [ANSWER] => Ok(()),
            _ => Err("another answer".to_owned()),
        }
    };
    tokio::join!(serving, calling)
}

/// As an authority of nobody signs it: itself.
fn self_signed(not_before: SystemTime) -> LinkCertificate {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "words-1-1");
    params.not_before = not_before.into();
    let key = KeyPair::generate().unwrap();
    LinkCertificate {
        certificate: Bytes::copy_from_slice(params.self_signed(&key).unwrap().der()),
        key: key.serialize_der().into(),
    }
}

/// Neither what is written nor what waits to be flushed, nor TLS's farewell.
#[tokio::test]
async fn nothing_is_sent_past_a_closed_fence() {
    let ours = authority("words-1-1");
    let tls = || security("words-1-1", &ours, issued(&ours));
    for security in [LinkSecurity::Plain, tls()] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let is_open = Arc::new(AtomicBool::new(true));
        let open = is_open.clone();
        let fence = Fence::new(move || open.load(Ordering::SeqCst));
        let accepting = async {
            let (stream, _) = listener.accept().await.unwrap();
            accept(stream, (&security, &Fence::default())).await
        };
        let writing = async {
            let (reader, mut writer) = connect(&address, (&security, &fence)).await?;
            writer.write_all(b"sent").await.unwrap();
            writer.flush().await.unwrap();
            Ok::<_, TransportError>((reader, writer))
        };
        let (accepted, connected) = tokio::join!(accepting, writing);
        let ((mut far, _), (_reader, mut writer)) = (accepted.unwrap(), connected.unwrap());
        is_open.store(false, Ordering::SeqCst);
        assert!(writer.write_all(b"not").await.is_err());
        assert!(writer.flush().await.is_err());
        assert!(writer.shutdown().await.is_err());
        let again = connect(&address, (&security, &fence)).await;
        let error = again.map(drop).unwrap_err().to_string();
        assert!(error.contains("away for longer"), "{error}");
        drop((writer, _reader));
        let mut heard = Vec::new();
        // Over TLS the end comes without its farewell.
        let _ = far.read_to_end(&mut heard).await;
        assert_eq!(heard, b"sent");
    }
}

/// G4 for the worker's port, both ways: what each certificate comes to.
#[tokio::test]
async fn only_workers_of_the_topology_are_let_in() {
    let (ours, theirs) = (authority("words-1-1"), authority("other-1-1"));
    let same_name = authority("words-1-1");
    let good = || security("words-1-1", &ours, issued(&ours));
    let past = SystemTime::now() - Duration::from_secs(60);
    let expired = ours.issue(("node:6700", None), past).unwrap();
    let nobodys = "UnknownIssuer|BadSignature|CaUsedAsEndEntity|not valid yet";
    let strangers = [
        (
            "of another topology",
            issued(&theirs),
            "of topology other-1-1, here runs words-1-1",
        ),
        ("of its own authority", issued(&same_name), nobodys),
        ("self-signed", self_signed(past), nobodys),
        ("expired", expired, "xpired"),
        ("not yet valid", self_signed(in_an_hour()), nobodys),
    ];
    let fits = |text: &str, expected: &str| expected.split('|').any(|part| text.contains(part));
    let mut n_refused = 0;
    for (what, shown, expected) in strangers {
        let stranger = security("words-1-1", &ours, shown);
        let (server, client) = ends(good(), stranger.clone()).await;
        let text = server.expect_err(what);
        assert!(fits(&text, expected), "{what} calls: {text}");
        client.expect_err(what);
        let (server, client) = ends(stranger, good()).await;
        let text = client.expect_err(what);
        assert!(fits(&text, expected), "{what} is called: {text}");
        server.expect_err(what);
        n_refused += 2;
    }
    let (server, client) = ends(good(), LinkSecurity::Plain).await;
    assert!(server.expect_err("plain").contains("are encrypted"));
    client.expect_err("plain");
    let (server, client) = ends(LinkSecurity::Plain, good()).await;
    assert!(server.expect_err("TLS").contains("not encrypted"));
    assert!(client.expect_err("TLS").starts_with("no TLS with"));
    n_refused += 2;
    assert_eq!(ends(good(), good()).await, (Ok(()), Ok(())));
    println!("G4 worker port: {n_refused} / 12 refused, and the right one let in");
}

#[tokio::test]
async fn no_certificate_and_old_protocols_are_refused() {
    let ours = authority("words-1-1");
    let server = security("words-1-1", &ours, issued(&ours));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ours.certificate().to_vec().into()).unwrap();
    let anonymous = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth()
    };
    for (versions, reason) in [
        (
            &[&rustls::version::TLS12],
            "NoCertificatesPresented|Tls12NotOffered",
        ),
        (&[&rustls::version::TLS13], "NoCertificatesPresented"),
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(anonymous(versions)));
        let calling = async {
            let stream = TcpStream::connect(address).await.unwrap();
            // Nobody is named so; the server's refusal comes first where it may.
            let _ = connector.connect(LinkTls::server_name(), stream).await;
        };
        let serving = async {
            let (stream, _) = listener.accept().await.unwrap();
            accept(stream, (&server, &Fence::default()))
                .await
                .err()
                .map(|error| error.to_string())
        };
        let (_, refused) = tokio::join!(calling, serving);
        let text = refused.expect("refused");
        // A client that does not trust us ends it itself.
        let is_named = reason.split('|').any(|part| text.contains(part)) || text.contains("alert");
        assert!(is_named, "{text}");
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_for_the_handshakes_to_come() {
    let ours = authority("words-1-1");
    let expired = SystemTime::now() - Duration::from_secs(60);
    let tls = Arc::new(tls_of(
        "words-1-1",
        &ours,
        ours.issue(("node:6700", None), expired).unwrap(),
    ));
    let good = || security("words-1-1", &ours, issued(&ours));
    let (_, client) = ends(LinkSecurity::Tls(tls.clone()), good()).await;
    client.expect_err("expired");
    let renewed = LinkKeys {
        authority: ours.certificate(),
        workers: [(PORT.into(), issued(&ours))].into(),
    };
    tls.renew(Some(&renewed)).unwrap();
    let (server, client) = ends(LinkSecurity::Tls(tls.clone()), good()).await;
    assert_eq!((server, client), (Ok(()), Ok(())));
    // One that has none for this worker changes nothing.
    assert!(tls.renew(Some(&LinkKeys::default())).is_err());
    tls.renew(None).unwrap();
    assert_eq!(ends(good(), LinkSecurity::Tls(tls)).await.1, Ok(()));
}

#[tokio::test]
async fn whoever_says_nothing_or_nonsense_ends_alone() {
    let ours = authority("words-1-1");
    for security in [
        security("words-1-1", &ours, issued(&ours)),
        LinkSecurity::Plain,
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        for bytes in [
            &b""[..],
            &[22],
            &[22, 3, 1, 255, 255, 0],
            b"GET / HTTP/1.1\r\n\r\n",
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream.shutdown().await.unwrap();
            let (accepted, _) = listener.accept().await.unwrap();
            let outcome = accept(accepted, (&security, &Fence::default())).await;
            let is_plain_text = bytes.first() == Some(&b'G');
            let is_left_to_frames = is_plain_text && matches!(security, LinkSecurity::Plain);
            assert_eq!(outcome.is_ok(), is_left_to_frames, "{bytes:?}");
        }
    }
}

/// Passes one connection on, with one bit changed on the way in.
async fn relay(proxy: TcpListener, behind: std::net::SocketAddr, flipped_at: usize) {
    let (near, _) = proxy.accept().await.unwrap();
    let far = TcpStream::connect(behind).await.unwrap();
    let (mut from_client, mut to_client) = near.into_split();
    let (mut from_server, mut to_server) = far.into_split();
    let back = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
    });
    let (mut buffer, mut n_passed) = (vec![0; 16 << 10], 0);
    while let Ok(n_read @ 1..) = from_client.read(&mut buffer).await {
        if (n_passed..n_passed + n_read).contains(&flipped_at) {
            buffer[flipped_at - n_passed] ^= 0x10;
        }
        n_passed += n_read;
        if to_server.write_all(&buffer[..n_read]).await.is_err() {
            break;
        }
    }
    drop(to_server);
    let _ = back.await;
}

/// B7: a proxy that flips one byte in each tenth of a megabyte. Whatever comes out of TLS is a
/// beginning of what went in.
#[tokio::test]
async fn a_corrupting_line_ends_the_link_and_delivers_nothing_wrong() {
    const SENT: usize = 1 << 20;
    let ours = authority("words-1-1");
    let (server, client) = (
        security("words-1-1", &ours, issued(&ours)),
        security("words-1-1", &ours, issued(&ours)),
    );
    let byte_at = |place: usize| (place % 251) as u8;
    let mut n_delivered = Vec::new();
    for flipped_at in (0..10).map(|part| 1500 + part * SENT / 10) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let proxy = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (behind, before) = (listener.local_addr().unwrap(), proxy.local_addr().unwrap());
        let relaying = tokio::spawn(relay(proxy, behind, flipped_at));
        let sending = async {
            let (_reader, mut writer) =
                connect(&before.to_string(), (&client, &Fence::default())).await?;
            let bytes: Vec<u8> = (0..SENT).map(byte_at).collect();
            let _ = writer.write_all(&bytes).await;
            let _ = writer.shutdown().await;
            Ok::<_, TransportError>(())
        };
        let receiving = async {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok((mut reader, _writer)) = accept(stream, (&server, &Fence::default())).await
            else {
                return 0;
            };
            let (mut received, mut buffer) = (0, vec![0; 16 << 10]);
            while let Ok(n_read @ 1..) = reader.read(&mut buffer).await {
                for byte in &buffer[..n_read] {
                    assert_eq!(*byte, byte_at(received), "wrong at {received}");
                    received += 1;
                }
            }
            received
        };
        let (_, received) = tokio::join!(sending, receiving);
        assert!(received < SENT, "the flip at {flipped_at} went by");
        n_delivered.push(received);
        relaying.abort();
    }
    println!("B7 over TLS: 10 / 10 links ended, bytes before: {n_delivered:?}, wrong 0");
}

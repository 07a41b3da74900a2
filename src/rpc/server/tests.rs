//! A real server on the loopback address, and peers that behave badly. Bounds are small, so that no
//! test waits longer than it must.

use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::*;
use crate::rpc::Close;

/// A service whose requests are words.
#[derive(Default)]
struct Words {
    /// Calls of `park` and `wait` that run now.
    n_waiting: AtomicUsize,
    /// Lets `wait` go on.
    go_on: Notify,
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Dispatch for Words {
    async fn dispatch(&self, caller: &Caller, message: Bytes) -> Result<Option<Bytes>, Close> {
        assert!(caller.peer.is_some() && caller.principal.is_none());
        match message.as_ref() {
            b"close" => Err(Close("asked to".to_owned())),
            b"oneway" => Ok(None),
            b"panic" => panic!("asked to"),
            b"exception" => Ok(Some(Bytes::from_static(&[0x80, 1, 0, 3]))),
            b"huge" => Ok(Some(Bytes::from(vec![7; 64 << 20]))),
            b"park" => {
                let _waiting = Waiting::new(&self.n_waiting);
                std::future::pending().await
            }
            b"wait" => {
                let _waiting = Waiting::new(&self.n_waiting);
                self.go_on.notified().await;
                Ok(Some(message))
            }
            _ => Ok(Some(message)),
        }
    }
}

struct Fixture {
    words: Arc<Words>,
    running: Running,
}

/// Bounds that end every wait after a moment.
fn short() -> Limits {
    Limits {
        frame_wait_max: Duration::from_millis(150),
        reply_wait_max: Duration::from_millis(150),
        rate_min: u32::MAX,
        abandoned_call_max: Duration::from_millis(50),
        drain_max: Duration::from_millis(200),
        ..Limits::default()
    }
}

fn endpoint(port: u16) -> Endpoint {
    Endpoint {
        service: "test",
        host: "127.0.0.1".to_owned(),
        port,
        port_key: "test.port",
    }
}

async fn start(limits: Limits) -> Fixture {
    let words = Arc::new(Words::default());
    let server = Server::bind(&endpoint(0), limits).await.unwrap();
    let running = server.serve(Arc::clone(&words));
    Fixture { words, running }
}

impl Fixture {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.running.address()).await.unwrap()
    }

    /// The server still answers a newcomer.
    async fn assert_lives(&self) {
        let mut stream = self.connect().await;
        send(&mut stream, b"hello").await;
        assert_eq!(receive(&mut stream).await.unwrap(), b"hello");
    }

    fn count(&self, counter: impl Fn(&Counters) -> &AtomicU64) -> u64 {
        Counters::read(counter(self.running.counters()))
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

async fn send(stream: &mut TcpStream, payload: &[u8]) {
    stream.write_all(&frame(payload)).await.unwrap();
}

/// The next reply; none when the server closed the connection.
async fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let read = async {
        let length = stream.read_u32().await.ok()?;
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.ok()?;
        Some(payload)
    };
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, read)
        .await
        .expect("the server replies or closes")
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn requests_of_one_packet_are_answered_in_order() {
    let server = start(short()).await;
    let mut stream = server.connect().await;
    let mut packet = frame(b"one");
    packet.extend(frame(b"oneway"));
    packet.extend(frame(b"wait"));
    packet.extend(frame(b"three"));
    stream.write_all(&packet).await.unwrap();
    assert_eq!(receive(&mut stream).await.unwrap(), b"one");
    server.words.go_on.notify_one();
    assert_eq!(receive(&mut stream).await.unwrap(), b"wait");
    assert_eq!(receive(&mut stream).await.unwrap(), b"three");
    assert_eq!(server.count(|counters| &counters.calls), 4);
}

#[tokio::test]
async fn what_is_no_request_is_closed_and_the_server_lives() {
    let server = start(short()).await;
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let unframed = [0x80, 1, 0, 1, 0, 0, 0, 1, b'x', 0, 0, 0, 1, 0];
    let too_long = (16_384_001u32).to_be_bytes();
    let garbage: [&[u8]; 9] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        &hello,
        &unframed,
        &too_long,
        &[0; 64],
        &[0xff; 64],
        b"Hello\n",
        b"\x00\x00\x00\x05close",
    ];
    for bytes in garbage {
        let mut stream = server.connect().await;
        stream.write_all(bytes).await.unwrap();
        assert_eq!(receive(&mut stream).await, None, "{bytes:?}");
    }
    server.assert_lives().await;
    assert_eq!(server.count(|counters| &counters.malformed), 9);
}

#[tokio::test]
async fn random_bytes_never_end_the_server() {
    let server = start(short()).await;
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let mut bytes = vec![0; random.usize(1..2000)];
        random.fill(&mut bytes);
        let mut stream = server.connect().await;
        // The server may close before it took all.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
    }
    server.assert_lives().await;
}

#[tokio::test]
async fn a_half_sent_request_is_closed_at_its_deadline() {
    let server = start(short()).await;
    let mut stream = server.connect().await;
    stream.write_all(&[0, 0, 0]).await.unwrap();
    assert_eq!(receive(&mut stream).await, None);
    let mut trickle = server.connect().await;
    let slow = async {
        for byte in frame(&[7; 1000]) {
            if trickle.write_all(&[byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), slow)
        .await
        .expect("closed before its end");
    eventually("both are counted", || {
        server.count(|counters| &counters.late) == 2
    })
    .await;
    server.assert_lives().await;
}

#[tokio::test]
async fn a_slow_line_that_moves_is_granted_time() {
    let limits = Limits {
        rate_min: 100,
        ..short()
    };
    let server = start(limits).await;
    let mut stream = server.connect().await;
    let payload = frame(&[7; 1000]);
    for piece in payload.chunks(200) {
        stream.write_all(piece).await.unwrap();
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(receive(&mut stream).await.unwrap(), [7; 1000]);
}

#[tokio::test]
async fn an_announced_length_costs_no_memory() {
    raise_descriptor_limit();
    let limits = Limits {
        frame_wait_max: Duration::from_secs(60),
        connections: Bounds {
            unproven_max: 1100,
            ..Limits::default().connections
        },
        ..short()
    };
    let server = start(limits).await;
    server.assert_lives().await;
    let before = resident_bytes();
    let mut silent = Vec::new();
    for _ in 0..1000 {
        let mut stream = server.connect().await;
        stream.write_all(&(1u32 << 20).to_be_bytes()).await.unwrap();
        silent.push(stream);
    }
    eventually("all are connected", || {
        server.count(|counters| &counters.accepted) == 1001
    })
    .await;
    server.assert_lives().await;
    let grown = resident_bytes().saturating_sub(before);
    println!(
        "1000 connections that announced 1 MiB: {} KiB more",
        grown >> 10
    );
    assert!(grown < 1000 * 65_536, "{grown} bytes");
}

#[tokio::test]
async fn idlers_make_room_for_callers() {
    raise_descriptor_limit();
    let limits = Limits {
        connections: Bounds {
            connections_max: 60,
            unproven_max: 20,
            ..Limits::default().connections
        },
        ..short()
    };
    let server = start(limits).await;
    let mut client = server.connect().await;
    send(&mut client, b"hello").await;
    assert_eq!(receive(&mut client).await.unwrap(), b"hello");
    let mut idlers = Vec::new();
    for _ in 0..300 {
        idlers.push(server.connect().await);
    }
    for _ in 0..50 {
        server.assert_lives().await;
    }
    send(&mut client, b"still here").await;
    assert_eq!(receive(&mut client).await.unwrap(), b"still here");
    assert!(server.count(|counters| &counters.evicted) >= 280);
    assert_eq!(receive(&mut idlers[0]).await, None);
}

#[tokio::test]
async fn clients_that_come_at_once_are_all_served_by_a_full_server() {
    let limits = Limits {
        connections: Bounds {
            connections_max: 40,
            ..Limits::default().connections
        },
        ..short()
    };
    let server = start(limits).await;
    let mut clients = Vec::new();
    for _ in 0..40 {
        let mut client = server.connect().await;
        send(&mut client, b"hello").await;
        receive(&mut client).await.unwrap();
        clients.push(client);
    }
    let mut newcomers = Vec::new();
    for _ in 0..30 {
        newcomers.push(server.connect().await);
    }
    for newcomer in &mut newcomers {
        send(newcomer, b"hello").await;
    }
    for newcomer in &mut newcomers {
        assert_eq!(receive(newcomer).await.unwrap(), b"hello");
    }
    assert_eq!(server.count(|counters| &counters.evicted), 30);
}

#[tokio::test]
async fn an_answer_that_is_an_exception_proves_nothing() {
    let limits = Limits {
        connections: Bounds {
            unproven_max: 1,
            ..Limits::default().connections
        },
        ..short()
    };
    let server = start(limits).await;
    let mut good = server.connect().await;
    send(&mut good, b"hello").await;
    assert!(receive(&mut good).await.is_some());
    let mut stranger = server.connect().await;
    send(&mut stranger, b"exception").await;
    assert!(receive(&mut stranger).await.is_some());
    server.assert_lives().await;
    assert_eq!(receive(&mut stranger).await, None);
    send(&mut good, b"hello").await;
    assert!(receive(&mut good).await.is_some());
}

#[tokio::test]
async fn a_newcomer_is_refused_only_while_all_are_busy() {
    let limits = Limits {
        connections: Bounds {
            connections_max: 1,
            ..Limits::default().connections
        },
        ..short()
    };
    let server = start(limits).await;
    let mut stream = server.connect().await;
    send(&mut stream, b"wait").await;
    let words = Arc::clone(&server.words);
    eventually("it waits", || words.n_waiting.load(Ordering::SeqCst) == 1).await;
    let mut refused = server.connect().await;
    assert_eq!(receive(&mut refused).await, None);
    assert_eq!(server.count(|counters| &counters.refused), 1);
    server.words.go_on.notify_one();
    assert_eq!(receive(&mut stream).await.unwrap(), b"wait");
    server.assert_lives().await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_closed() {
    let server = start(short()).await;
    let mut stream = server.connect().await;
    send(&mut stream, b"huge").await;
    eventually("it is counted", || {
        server.count(|counters| &counters.late) == 1
    })
    .await;
    assert_eq!(server.count(|counters| &counters.large_replies), 1);
    server.assert_lives().await;
}

#[tokio::test]
async fn a_panic_closes_only_its_connection() {
    let server = start(short()).await;
    let mut other = server.connect().await;
    send(&mut other, b"one").await;
    assert!(receive(&mut other).await.is_some());
    let mut stream = server.connect().await;
    send(&mut stream, b"panic").await;
    assert_eq!(receive(&mut stream).await, None);
    assert_eq!(server.count(|counters| &counters.panicked), 1);
    send(&mut other, b"two").await;
    assert_eq!(receive(&mut other).await.unwrap(), b"two");
}

#[tokio::test]
async fn a_parked_call_lasts_and_is_dropped_when_its_peer_goes() {
    let server = start(short()).await;
    let words = Arc::clone(&server.words);
    let mut stream = server.connect().await;
    send(&mut stream, b"park").await;
    eventually("it waits", || words.n_waiting.load(Ordering::SeqCst) == 1).await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(words.n_waiting.load(Ordering::SeqCst), 1);
    drop(stream);
    eventually("it is dropped", || {
        words.n_waiting.load(Ordering::SeqCst) == 0
    })
    .await;
    eventually("it is counted", || {
        server.count(|counters| &counters.abandoned) == 1
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_only_stopped_sending_still_gets_its_reply() {
    let server = start(short()).await;
    let mut stream = server.connect().await;
    send(&mut stream, b"hello").await;
    stream.shutdown().await.unwrap();
    assert_eq!(receive(&mut stream).await.unwrap(), b"hello");
}

#[tokio::test]
async fn without_descriptors_the_longest_idle_connection_goes() {
    let (_stop, stopped) = watch::channel(false);
    let shared = Shared {
        service: "test",
        dispatch: Arc::new(Words::default()),
        door: Door::Open,
        admission: Admission::new(Limits::default().connections),
        limits: short(),
        counters: Arc::default(),
        refusals: RefusalLog::default(),
        stop: stopped,
    };
    let idle = shared.admission.admit(0).expect("there is room").seat;
    shared.accept_failed(nix::errno::Errno::EMFILE.into()).await;
    idle.evicted().await;
    shared.accept_failed(nix::errno::Errno::EMFILE.into()).await;
    assert_eq!(Counters::read(&shared.counters.evicted), 1);
    assert_eq!(Counters::read(&shared.counters.accept_errors), 2);
}

#[tokio::test]
async fn draining_ends_idle_connections_and_lets_calls_finish() {
    let limits = Limits {
        drain_max: Duration::from_secs(20),
        ..short()
    };
    let server = start(limits).await;
    let words = Arc::clone(&server.words);
    let address = server.running.address();
    let mut idle = server.connect().await;
    let mut busy = server.connect().await;
    send(&mut busy, b"wait").await;
    eventually("it waits", || words.n_waiting.load(Ordering::SeqCst) == 1).await;
    let drained = tokio::spawn(server.running.drain());
    assert_eq!(receive(&mut idle).await, None);
    assert!(TcpStream::connect(address).await.is_err());
    words.go_on.notify_one();
    assert_eq!(receive(&mut busy).await.unwrap(), b"wait");
    assert_eq!(receive(&mut busy).await, None);
    drained.await.unwrap();
}

#[tokio::test]
async fn draining_does_not_wait_for_ever() {
    let server = start(short()).await;
    let words = Arc::clone(&server.words);
    let mut stream = server.connect().await;
    send(&mut stream, b"park").await;
    eventually("it waits", || words.n_waiting.load(Ordering::SeqCst) == 1).await;
    server.running.drain().await;
    assert_eq!(words.n_waiting.load(Ordering::SeqCst), 0);
    assert_eq!(receive(&mut stream).await, None);
}

#[tokio::test]
async fn a_dropped_handle_stops_the_server() {
    let server = start(short()).await;
    let mut stream = server.connect().await;
    send(&mut stream, b"hello").await;
    assert!(receive(&mut stream).await.is_some());
    drop(server.running);
    assert_eq!(receive(&mut stream).await, None);
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_fix() {
    let server = start(short()).await;
    let port = server.running.address().port();
    let error = Server::bind(&endpoint(port), short()).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&format!("test cannot listen on 127.0.0.1:{port}")),
        "{text}"
    );
    assert!(text.contains("set test.port to a free port"), "{text}");
    let nowhere = Endpoint {
        host: "no.such.host.invalid".to_owned(),
        ..endpoint(0)
    };
    let text = Server::bind(&nowhere, short())
        .await
        .unwrap_err()
        .to_string();
    assert!(text.contains("no.such.host.invalid"), "{text}");
}

#[test]
fn time_is_granted_for_bytes_that_move() {
    let limits = Limits::default();
    let wait = limits.frame_wait_max;
    assert_eq!(limits.granted(wait, 0), Duration::from_secs(30));
    assert_eq!(limits.granted(wait, 65_536 * 3), Duration::from_secs(33));
}

/// The tests of this file hold more descriptors at once than some systems grant by default.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

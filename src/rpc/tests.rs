//! Recorded frames of genuine Storm against our server and the generated dispatchers: what a frame
//! gets before any service has a say in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::server::{Counters, Endpoint, Limits, Running, Server};
use super::{Caller, Dispatch};
use crate::testing::fixtures::{self, Tally};
use crate::wire::storm::{self, nimbus};

/// A Nimbus that leads and allows every name, and has no other method.
#[derive(Default)]
struct Nimbus {
    uptime_secs: AtomicI32,
}

impl nimbus::Service for Nimbus {
    async fn get_leader(&self, _: &Caller) -> Result<storm::NimbusSummary, nimbus::GetLeaderError> {
        Ok(storm::NimbusSummary {
            host: "localhost".to_owned(),
            port: 6627,
            uptime_secs: self.uptime_secs.load(Ordering::Relaxed),
            is_leader: true,
            version: "3.0.0".to_owned(),
            tls_port: Some(0),
        })
    }

    async fn is_topology_name_allowed(
        &self,
        _: &Caller,
        _: Option<String>,
    ) -> Result<bool, nimbus::IsTopologyNameAllowedError> {
        Ok(true)
    }
}

/// Services without a single method: they only know names and arguments.
struct Nothing;

impl storm::supervisor::Service for Nothing {}
impl storm::distributed_rpc::Service for Nothing {}
impl storm::distributed_rpc_invocations::Service for Nothing {}

/// A server of each of Storm's services.
struct Fixture {
    nimbus: Arc<Nimbus>,
    servers: BTreeMap<&'static str, Running>,
}

impl Fixture {
    async fn start() -> Self {
        let nothing = || Arc::new(Nothing);
        let nimbus = Arc::new(Nimbus::default());
        let drpc = storm::distributed_rpc::Dispatcher(nothing());
        let invocations = storm::distributed_rpc_invocations::Dispatcher(nothing());
        let supervisor = storm::supervisor::Dispatcher(nothing());
        let mut servers = BTreeMap::new();
        servers.insert(
            "nimbus",
            serve(nimbus::Dispatcher(Arc::clone(&nimbus))).await,
        );
        servers.insert("supervisor", serve(supervisor).await);
        servers.insert("drpc", serve(drpc).await);
        servers.insert("drpc-invocations", serve(invocations).await);
        Fixture { nimbus, servers }
    }

    /// What comes back for these bytes, one entry a reply; none where the server closes.
    async fn replies(&self, service: &str, bytes: &[u8], n: usize) -> Vec<Option<Vec<u8>>> {
        let address = self.servers[service].address();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut replies = Vec::new();
        for _ in 0..n {
            let reply = timeout(Duration::from_secs(20), read_reply(&mut stream)).await;
            replies.push(reply.expect("a reply or a closed connection"));
        }
        replies
    }
}

async fn serve<D: Dispatch>(dispatcher: D) -> Running {
    let endpoint = Endpoint {
        service: "test",
        host: "127.0.0.1".to_owned(),
        port: 0,
        port_key: "test.port",
    };
    let server = Server::bind(&endpoint, Limits::default()).await.unwrap();
    server.serve(Arc::new(dispatcher))
}

/// Whether the transport, the headers or the decoder alone decide what the exchange gets, or a
/// method that the test's Nimbus has.
fn needs_no_state(line: &Value) -> bool {
    let exception = &line["decoded_reply"]["exception"];
    let by_protocol = exception["class"] == "TApplicationException"
        && [1, 7].contains(&exception["type"].as_i64().unwrap_or_default());
    let has_method = ["getLeader", "isTopologyNameAllowed"]
        .iter()
        .any(|method| line["method"] == *method);
    let known = line["reply_type"] == "closed" || by_protocol;
    known || (has_method && line["reply_type"] == "reply" && line["service"] == "nimbus")
}

/// The exchanges of one connection, one after the other.
fn conversations(lines: Vec<Value>) -> Vec<Vec<Value>> {
    let mut conversations: Vec<Vec<Value>> = Vec::new();
    for line in lines {
        let key = |line: &Value| {
            let case = line["case"].to_string();
            (
                case,
                line["recording"].to_string(),
                line["connection"].to_string(),
            )
        };
        match conversations.last_mut() {
            Some(last) if last.first().map(key) == Some(key(&line)) => last.push(line),
            _ => conversations.push(vec![line]),
        }
    }
    conversations
}

#[tokio::test]
async fn frames_get_what_storm_gave_them() {
    const FILE: &str = "control/protocol.jsonl";
    let server = Fixture::start().await;
    let mut tally = Tally::new("control/protocol.jsonl (what needs no state)");
    for conversation in conversations(fixtures::lines(FILE)) {
        if !conversation.iter().all(needs_no_state) {
            continue;
        }
        // All requests at once: their replies keep the order.
        let (mut requests, mut expected) = (Vec::new(), Vec::new());
        for line in &conversation {
            let uptime = line["decoded_reply"]["success"]["uptime_secs"].as_i64();
            if let Some(uptime) = uptime.and_then(|uptime| i32::try_from(uptime).ok()) {
                server.nimbus.uptime_secs.store(uptime, Ordering::Relaxed);
            }
            requests.extend(fixtures::base64(line["request_b64"].as_str().unwrap()));
            expected.push(line["reply_b64"].as_str().map(fixtures::base64));
        }
        let service = conversation[0]["service"].as_str().unwrap();
        let got = server.replies(service, &requests, expected.len()).await;
        for ((line, got), expected) in conversation.iter().zip(&got).zip(&expected) {
            let show = |reply: &Option<Vec<u8>>| match reply {
                Some(reply) => String::from_utf8_lossy(reply).into_owned(),
                None => "closed".to_owned(),
            };
            let what = || format!("{}: {:?} not {:?}", line["case"], show(got), show(expected));
            tally.case(got == expected, what);
        }
    }
    tally.finish(0);
    for running in server.servers.values() {
        assert_eq!(Counters::read(&running.counters().panicked), 0);
    }
}

#[tokio::test]
async fn damaged_requests_never_end_a_server() {
    let server = Fixture::start().await;
    let mut random = fastrand::Rng::with_seed(20_260_801);
    for line in fixtures::lines("control/protocol.jsonl") {
        let request = fixtures::base64(line["request_b64"].as_str().unwrap());
        let Some(payload) = request.get(4..).filter(|payload| !payload.is_empty()) else {
            continue;
        };
        let mut stream = connect(&server).await;
        for _ in 0..50 {
            let mut damaged = payload.to_vec();
            for _ in 0..random.usize(1..4) {
                let index = random.usize(..damaged.len());
                damaged[index] = random.u8(..);
            }
            damaged.truncate(random.usize(1..=damaged.len()));
            let mut frame = (damaged.len() as u32).to_be_bytes().to_vec();
            frame.extend(damaged);
            let sent = stream.write_all(&frame).await.is_ok();
            if !sent || read_reply(&mut stream).await.is_none() {
                stream = connect(&server).await;
            }
        }
    }
    let running = &server.servers["nimbus"];
    assert!(Counters::read(&running.counters().calls) > 1000);
    assert_eq!(Counters::read(&running.counters().panicked), 0);
}

async fn connect(server: &Fixture) -> TcpStream {
    TcpStream::connect(server.servers["nimbus"].address())
        .await
        .unwrap()
}

/// The next reply with its length; none when the server closes.
async fn read_reply(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u32().await.ok()?;
    let mut reply = length.to_be_bytes().to_vec();
    reply.resize(4 + length as usize, 0);
    stream.read_exact(&mut reply[4..]).await.ok()?;
    Some(reply)
}

//! The server over its sockets, and the recorded conversations with Storm's.

mod components;

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::*;
use crate::limits;
use crate::rpc::client::{Address, ClientOptions, Connection};
use crate::testing::fixtures::{self, Tally};
use crate::testing::replay::{any, difference, forget};
use crate::testing::thrift_json::Contract;
use crate::wire::messages::{DrpcFetch, drpc_spouts};
use crate::wire::storm::{distributed_rpc, distributed_rpc_invocations};

async fn server(timeout_secs: i64) -> Handle {
    let conf = Conf::defaults()
        .with(keys::DRPC_PORT, 0)
        .with(keys::DRPC_INVOCATIONS_PORT, 0)
        .with(keys::DRPC_HTTP_PORT, 0)
        .with(keys::DRPC_REQUEST_TIMEOUT_SECS, timeout_secs);
    Drpc::start(&conf).await.expect("it starts")
}

async fn connect(address: SocketAddr) -> Connection {
    let address = Address::new(address.ip().to_string(), address.port());
    let opened = Connection::open(&address, &ClientOptions::default()).await;
    opened.expect("it listens")
}

type Invocations = distributed_rpc_invocations::Client<Connection>;

async fn invocations(server: &Handle) -> Invocations {
    Invocations::new(connect(server.invocations_address()).await)
}

async fn fetched(spout: &mut Invocations, function: &str) -> crate::wire::storm::DRPCRequest {
    loop {
        let request = spout.fetch_request(Some(function)).await.expect("answers");
        if !request.request_id.is_empty() {
            return request;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn execute(
    server: &Handle,
    function: &str,
    args: &str,
) -> tokio::task::JoinHandle<Result<String, distributed_rpc::ExecuteError>> {
    let (address, function, args) = (server.address(), function.to_owned(), args.to_owned());
    tokio::spawn(async move {
        let mut client = distributed_rpc::Client::new(connect(address).await);
        client.execute(Some(&function), Some(&args)).await
    })
}

/// Status, content type and body of one HTTP request.
async fn http(server: &Handle, head: &str, body: &str) -> (u16, String, String) {
    let address = server.ports().http().expect("it is on");
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let length = body.len();
    let request = format!(
        "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.expect("it answers");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
    let status = head[9..12].parse().expect("a status");
    let kind = head
        .lines()
        .find_map(|line| line.strip_prefix("content-type: "));
    (status, kind.unwrap_or_default().to_owned(), body.to_owned())
}

#[tokio::test]
async fn http_and_thrift_are_one_server() {
    let server = server(600).await;
    let mut spout = invocations(&server).await;
    let cases = [
        ("POST /drpc/f%C3%BCr", "a/b c", "für", "a/b c"),
        ("GET /drpc/f/one%20two+three", "", "f", "one two+three"),
        ("GET /drpc/f", "", "f", ""),
        ("GET /drpc/f/", "", "f", ""),
        ("POST /drpc/f", "", "f", ""),
    ];
    let mut last_id = None;
    let mut check_id = |request: &crate::wire::storm::DRPCRequest| {
        let id: u64 = request.request_id.parse().expect("digits");
        let before = last_id.replace(id);
        assert!(before.is_none_or(|before| id == before + 1), "ids go on");
    };
    for (head, body, function, args) in cases {
        let answer = async {
            let request = fetched(&mut spout, function).await;
            assert_eq!(request.func_args, args, "{head}");
            check_id(&request);
            let result = spout.result(Some(&request.request_id), Some("\"r\u{e9}\""));
            result.await.expect("answers");
        };
        let (reply, ()) = tokio::join!(http(&server, head, body), answer);
        let kind = "text/plain; charset=utf-8".to_owned();
        assert_eq!(reply, (200, kind, "\"r\u{e9}\"".to_owned()), "{head}");
    }
    let call = execute(&server, "f", "x");
    check_id(&fetched(&mut spout, "f").await);
    call.abort();
    server.shutdown().await;
}

#[tokio::test]
async fn http_errors_have_storms_codes() {
    let server = server(600).await;
    let mut spout = invocations(&server).await;
    let error = |msg: &str, kind: Option<i32>| crate::wire::storm::DRPCExecutionException {
        msg: msg.to_owned(),
        type_: kind.map(crate::wire::Open::from_i32),
    };
    let cases = [
        (Some(0), 500, "INTERNAL_ERROR"),
        (Some(1), 503, "SERVER_SHUTDOWN"),
        (Some(2), 504, "SERVER_TIMEOUT"),
        (Some(3), 400, "FAILED_REQUEST"),
        (Some(9), 500, "Internal Error"),
        (None, 500, "Internal Error"),
    ];
    for (kind, status, name) in cases {
        let fail = async {
            let request = fetched(&mut spout, "f").await;
            let id = Some(request.request_id.as_str());
            let error = error("no \"luck\"", kind);
            let failed = spout.fail_request_v2(id, Some(&error)).await;
            failed.expect("answers");
        };
        let (reply, ()) = tokio::join!(http(&server, "GET /drpc/f/x", ""), fail);
        let body: Value = serde_json::from_str(&reply.2).expect("JSON");
        assert_eq!((reply.0, reply.1.as_str()), (status, "application/json"));
        assert_eq!(body, json!({"error": name, "errorMessage": "no \"luck\""}));
    }
    assert_eq!(http(&server, "GET /elsewhere", "").await.0, 404);
    assert_eq!(http(&server, "DELETE /drpc/f", "").await.0, 405);
    let long = format!("GET /drpc/f/{}", "x".repeat(limits::HTTP_HEAD_BYTES_MAX));
    assert_eq!(http(&server, &long, "").await.0, 431);
    server.shutdown().await;
}

#[tokio::test]
async fn an_http_client_that_leaves_withdraws_its_request() {
    let server = server(600).await;
    let address = server.ports().http().expect("it is on");
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = b"GET /drpc/f/1 HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request).await.expect("it reads");
    let n_open = || server.exchange.n_open();
    eventually(|| n_open() == 1).await;
    drop(stream);
    eventually(|| n_open() == 0).await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_thrift_client_that_leaves_withdraws_its_request() {
    let server = server(600).await;
    let call = execute(&server, "f", "1");
    eventually(|| server.exchange.n_open() == 1).await;
    call.abort();
    eventually(|| server.exchange.n_open() == 0).await;
    server.shutdown().await;
}

#[tokio::test]
async fn the_end_is_told_to_all_who_wait() {
    let server = server(600).await;
    let address = server.ports().http().expect("it is on");
    let over_thrift = execute(&server, "f", "1");
    eventually(|| server.exchange.n_open() == 1).await;
    let mut over_http = TcpStream::connect(address).await.expect("it listens");
    let request = b"GET /drpc/f/1 HTTP/1.1\r\nhost: x\r\n\r\n";
    over_http.write_all(request).await.expect("it reads");
    eventually(|| server.exchange.n_open() == 2).await;
    let started = std::time::Instant::now();
    server.shutdown().await;
    let waited = started.elapsed();
    assert!(waited < limits::DRAIN_MAX, "{waited:?}");
    let error = over_thrift.await.expect("no panic").expect_err("the end");
    let distributed_rpc::ExecuteError::DRPCExecution(error) = error else {
        panic!("{error}")
    };
    assert_eq!(error.msg, "Server Shutting Down");
    let mut reply = String::new();
    over_http.read_to_string(&mut reply).await.expect("closed");
    assert!(reply.starts_with("HTTP/1.1 503 "), "{reply}");
}

#[tokio::test]
async fn a_spout_that_dies_fails_what_it_took_and_no_sooner() {
    let server = server(600).await;
    let mut dying = drpc_spouts::Client::new(connect(server.invocations_address()).await);
    let fetch = DrpcFetch {
        function_name: "f".to_owned(),
        session: "dies".to_owned(),
        max: 1,
        wait_ms: 5000,
        call: 1,
        answered: 0,
    };
    let call = execute(&server, "f", "1");
    let taken = dying.await_requests(Some(&fetch)).await.expect("answers");
    assert_eq!(taken.len(), 1);
    let started = std::time::Instant::now();
    drop(dying);
    let error = call
        .await
        .expect("no panic")
        .expect_err("its spout is gone");
    let waited = started.elapsed();
    let distributed_rpc::ExecuteError::DRPCExecution(error) = error else {
        panic!("{error}")
    };
    assert!(error.msg.starts_with("Request failed"), "{}", error.msg);
    assert!(waited >= limits::DRPC_RETURN_MAX, "{waited:?}");
    server.shutdown().await;
}

#[tokio::test]
async fn a_parked_fetch_on_a_dead_connection_takes_nothing() {
    let server = server(600).await;
    let address = server.invocations_address();
    let fetch = |session: &str| DrpcFetch {
        function_name: "f".to_owned(),
        session: session.to_owned(),
        max: 1,
        wait_ms: 5000,
        call: 1,
        answered: 0,
    };
    let dead = fetch("dead");
    let parked = tokio::spawn(async move {
        let mut client = drpc_spouts::Client::new(connect(address).await);
        drop(client.await_requests(Some(&dead)).await);
    });
    eventually(|| server.exchange.n_functions() == 1).await;
    parked.abort();
    eventually(|| server.exchange.n_functions() == 0).await;
    let call = execute(&server, "f", "1");
    let mut living = drpc_spouts::Client::new(connect(address).await);
    let taken = living
        .await_requests(Some(&fetch("lives")))
        .await
        .expect("answers");
    let mut answer = invocations(&server).await;
    let result = answer.result(Some(&taken[0].request_id), Some("alive"));
    result.await.expect("answers");
    assert_eq!(call.await.expect("no panic").expect("a result"), "alive");
    server.shutdown().await;
}

async fn eventually(is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

// ---- Recorded conversations ---------------------------------------------------------------------

/// A conversation with Storm's server, on ours: clients of a case call first, in the order in which
/// they were answered, then spouts and those who answer do what they did.
struct Replay {
    server: Handle,
    contracts: HashMap<&'static str, Contract>,
    spout: TcpStream,
    /// Ids of requests: Storm's to ours.
    ids: HashMap<String, String>,
}

#[tokio::test]
async fn conversations_go_as_recorded() {
    let lines = fixtures::lines("control/drpc.jsonl");
    let mut tally = Tally::new("control/drpc");
    let mut cases: Vec<(String, Vec<&Value>)> = Vec::new();
    for line in &lines {
        let name = format!("{} {}", line["recording"], line["case"]);
        match cases.last_mut().filter(|(last, _)| *last == name) {
            Some((_, of_case)) => of_case.push(line),
            None => cases.push((name, vec![line])),
        }
    }
    let mut replay = Replay::new().await;
    for (name, of_case) in &cases {
        for (step, found) in replay.case(of_case).await {
            let differs = found.unwrap_or_else(|| "no reply".to_owned());
            tally.case(differs.is_empty(), || format!("{name} {step}: {differs}"));
        }
    }
    tally.finish(0);
}

impl Replay {
    async fn new() -> Self {
        // Recorded time-outs take so long here; a busy machine answers all others before.
        let server = server(4).await;
        let spout = TcpStream::connect(server.invocations_address()).await;
        Replay {
            server,
            contracts: HashMap::from([
                (CLIENTS, Contract::of("DistributedRPC")),
                (SPOUTS, Contract::of("DistributedRPCInvocations")),
            ]),
            spout: spout.expect("it listens"),
            ids: HashMap::new(),
        }
    }

    /// For each step what differs: nothing where the text is empty.
    async fn case(&mut self, lines: &[&Value]) -> Vec<(i64, Option<String>)> {
        let step = |line: &Value| line["step"].as_i64().expect("a number");
        let (clients, spouts): (Vec<&Value>, Vec<&Value>) = lines
            .iter()
            .partition(|line| line["service"] == json!(CLIENTS));
        let mut waiting = Vec::new();
        for line in clients {
            let n_open = self.server.exchange.n_open();
            let mut stream = TcpStream::connect(self.server.address())
                .await
                .expect("listens");
            stream.write_all(&frame(line)).await.expect("it reads");
            eventually(|| self.server.exchange.n_open() > n_open).await;
            waiting.push((line, stream));
        }
        let mut found = Vec::new();
        for line in spouts {
            let request = self.translated(line);
            self.spout.write_all(&request).await.expect("it reads");
            let reply = receive(&mut self.spout).await;
            found.push((step(line), reply.map(|reply| self.judge(line, &reply))));
        }
        for (line, mut stream) in waiting {
            let reply = receive(&mut stream).await;
            found.push((step(line), reply.map(|reply| self.judge(line, &reply))));
        }
        found
    }

    /// The recorded request with our ids.
    fn translated(&self, line: &Value) -> Vec<u8> {
        let contract = &self.contracts[SPOUTS];
        let (message, mut arguments) = contract.arguments(&frame(line)[4..]);
        let Some(id) = arguments["id"].as_str() else {
            return frame(line);
        };
        if let Some(ours) = self.ids.get(id) {
            arguments["id"] = json!(ours);
        }
        let call = contract.call(&message, &arguments);
        let length = u32::try_from(call.len()).expect("small");
        [&length.to_be_bytes()[..], &call].concat()
    }

    fn judge(&mut self, line: &Value, reply: &[u8]) -> String {
        let contract = &self.contracts[line["service"].as_str().expect("a name")];
        let method = line["method"].as_str().expect("a name");
        let recorded = fixtures::base64(line["reply_b64"].as_str().expect("bytes"));
        let mut expected = contract.reply(method, &recorded[4..]);
        let found = contract.reply(method, reply);
        let id = "/success/request_id";
        let (theirs, ours) = (expected.pointer(id), found.pointer(id));
        if let (Some(theirs), Some(ours)) = (theirs, ours) {
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let (theirs, ours) = (text(theirs), text(ours));
            if theirs.is_empty() != ours.is_empty() {
                return format!("id {ours:?} instead of {theirs:?}");
            }
            self.ids.insert(theirs, ours);
            forget(&mut expected, &[id.to_owned()]);
            assert_eq!(expected.pointer(id), Some(&any()));
        }
        let header = |bytes: &[u8]| bytes[..8 + method.len() + 4].to_vec();
        if header(&recorded[4..]) != header(reply) {
            return "another header".to_owned();
        }
        difference(&expected, &found).unwrap_or_default()
    }
}

fn frame(line: &Value) -> Vec<u8> {
    fixtures::base64(line["request_b64"].as_str().expect("bytes"))
}

async fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u32().await.ok()?;
    let mut reply = vec![0; usize::try_from(length).expect("small")];
    stream.read_exact(&mut reply).await.ok()?;
    Some(reply)
}

const CLIENTS: &str = "drpc";
const SPOUTS: &str = "drpc-invocations";

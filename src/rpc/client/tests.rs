//! A client against servers of ours and against sockets that misbehave.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::rpc::server::{Endpoint, Limits, Running, Server};
use crate::rpc::{Caller, Close, Dispatch};

/// Echoes each message; `close` closes.
struct Echo;

impl Dispatch for Echo {
    async fn dispatch(&self, _: &Caller, message: Bytes) -> Result<Option<Bytes>, Close> {
        match message.as_ref() {
            b"close" => Err(Close("asked to".to_owned())),
            _ => Ok(Some(message)),
        }
    }
}

async fn start() -> (Running, Address) {
    let endpoint = Endpoint {
        service: "test",
        host: "localhost".to_owned(),
        port: 0,
        port_key: "test.port",
    };
    let server = Server::bind(&endpoint, Limits::default()).await.unwrap();
    let address = server.address();
    let address = Address::new(address.ip().to_string(), address.port());
    (server.serve(Arc::new(Echo)), address)
}

/// A peer that answers each connection with the same bytes, after it read something.
async fn scripted(bytes: &'static [u8]) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1000];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(bytes).await.unwrap();
            // Stays open, so that only what was sent decides.
            std::mem::forget(stream);
        }
    });
    Address::new("127.0.0.1", address.port())
}

fn hasty() -> ClientOptions {
    ClientOptions {
        call_wait_max: Duration::from_millis(100),
        ..ClientOptions::default()
    }
}

fn message(sequence: i32) -> Bytes {
    let mut bytes = vec![0x80, 1, 0, 1, 0, 0, 0, 1, b'm'];
    bytes.extend(sequence.to_be_bytes());
    bytes.push(0);
    bytes.into()
}

async fn failure_of(connection: &mut Connection, message: Bytes) -> String {
    connection.call(message).await.unwrap_err().to_string()
}

#[tokio::test]
async fn calls_follow_one_another_on_one_connection() {
    let (running, address) = start().await;
    let mut connection = Connection::open(&address, &ClientOptions::default())
        .await
        .unwrap();
    for sequence in 0..100 {
        let reply = connection.call(message(sequence)).await.unwrap();
        assert_eq!(reply, message(sequence));
        assert!(connection.is_usable());
    }
    let large = Bytes::from(vec![7; 5_000_000]);
    assert_eq!(connection.call(large.clone()).await.unwrap(), large);
    running.drain().await;
    assert!(!connection.is_usable());
}

#[tokio::test]
async fn a_connection_that_was_closed_says_so_and_is_not_used_again() {
    let (_running, address) = start().await;
    let mut connection = Connection::open(&address, &ClientOptions::default())
        .await
        .unwrap();
    let text = failure_of(&mut connection, Bytes::from_static(b"close")).await;
    let expected =
        format!("connection failed: {address} closed the connection instead of replying");
    assert!(text.starts_with(&expected), "{text}");
    let text = failure_of(&mut connection, message(1)).await;
    assert!(text.contains("ended with an earlier call"), "{text}");
}

#[tokio::test]
async fn a_late_reply_never_answers_the_next_call() {
    let address = scripted(b"").await;
    let mut connection = Connection::open(&address, &hasty()).await.unwrap();
    let text = failure_of(&mut connection, message(1)).await;
    assert!(
        text.contains(&format!("no reply of {address} within 100ms")),
        "{text}"
    );
    assert!(!connection.is_usable());
}

#[tokio::test]
async fn replies_that_cannot_be_ours_are_refused() {
    let address =
        scripted(b"\x00\x00\x00\x0e\x80\x01\x00\x02\x00\x00\x00\x01m\x00\x00\x00\x07\x00").await;
    let options = ClientOptions {
        reply_bytes_max: 1000,
        ..ClientOptions::default()
    };
    let mut connection = Connection::open(&address, &options).await.unwrap();
    let text = failure_of(&mut connection, message(6)).await;
    assert!(
        text.contains("answered call 7 while call 6 was asked"),
        "{text}"
    );
    let address = scripted(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let mut connection = Connection::open(&address, &options).await.unwrap();
    let text = failure_of(&mut connection, message(6)).await;
    assert!(
        text.contains("a frame announces 1213486160 bytes"),
        "{text}"
    );
}

#[tokio::test]
async fn nobody_there_is_named_with_what_to_check() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
    drop(listener);
    let retries = Retries {
        n_max: 2,
        interval_ms: 1,
        ceiling_ms: 10,
    };
    let opened = Connection::open_patiently(&address, &hasty(), retries).await;
    let text = opened.unwrap_err().to_string();
    assert!(
        text.starts_with(&format!("cannot connect to {address}: ")),
        "{text}"
    );
    assert!(text.contains("check that the daemon runs there"), "{text}");
    let nowhere = Address::new("no.such.host.invalid", 6627);
    let text = Connection::open(&nowhere, &hasty())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with("cannot connect to no.such.host.invalid:6627: "),
        "{text}"
    );
}

#[tokio::test]
async fn a_reconnecting_client_survives_the_end_of_its_server() {
    let (running, address) = start().await;
    let mut client = Reconnecting::new(address.clone(), ClientOptions::default());
    assert_eq!(client.call(message(1)).await.unwrap(), message(1));
    running.drain().await;
    assert!(client.call(message(2)).await.is_err());
    let endpoint = Endpoint {
        service: "test",
        host: address.host.clone(),
        port: address.port,
        port_key: "test.port",
    };
    let server = Server::bind(&endpoint, Limits::default()).await.unwrap();
    let running = server.serve(Arc::new(Echo));
    assert_eq!(client.call(message(3)).await.unwrap(), message(3));
    running.drain().await;
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_costs_no_call() {
    let (running, address) = start().await;
    let mut client = Reconnecting::new(address.clone(), ClientOptions::default());
    assert_eq!(client.call(message(1)).await.unwrap(), message(1));
    running.drain().await;
    let listener = TcpListener::bind((address.host.as_str(), address.port))
        .await
        .unwrap();
    let accepted = tokio::spawn(async move { listener.accept().await.unwrap() });
    // The call goes to the new server on a new connection; nobody answers there.
    tokio::select! {
        reply = client.call(message(2)) => panic!("{reply:?}"),
        accepted = accepted => drop(accepted.unwrap()),
    }
}

#[test]
fn pauses_grow_as_storms_do() {
    let storm = Retries::default();
    let least: Vec<_> = (0..5).map(|n| storm.pause(n, |_| 0).as_millis()).collect();
    assert_eq!(least, [2001, 2002, 2004, 2008, 2016]);
    let most: Vec<_> = (0..5)
        .map(|n| storm.pause(n, |bound| bound - 1).as_millis())
        .collect();
    assert_eq!(most, [2001, 2003, 2007, 2015, 2031]);
}

#[test]
fn pauses_go_on_in_steps_to_the_ceiling() {
    // (1000 - 100) / 2 = 450, so the threshold is 7; (1000 - 128) / (10 - 7) = 290 a step.
    let retries = Retries {
        n_max: 10,
        interval_ms: 100,
        ceiling_ms: 1000,
    };
    let least: Vec<_> = (5..11)
        .map(|n| retries.pause(n, |_| 0).as_millis())
        .collect();
    assert_eq!(least, [132, 164, 228, 518, 808, 1000]);
    assert_eq!(retries.pause(1000, |bound| bound - 1).as_millis(), 1000);
}

#[test]
fn absurd_settings_give_some_pause() {
    for (n_max, interval_ms, ceiling_ms) in [(0, 0, 0), (5, u64::MAX, 0), (u32::MAX, 0, u64::MAX)] {
        let retries = Retries {
            n_max,
            interval_ms,
            ceiling_ms,
        };
        for n in [0, 1, 100, u32::MAX] {
            let _ = retries.pause(n, |bound| bound.saturating_sub(1));
        }
    }
}

#[test]
fn sequences_are_read_from_strict_headers_only() {
    assert_eq!(sequence_of(&message(-5)), Some(-5));
    assert_eq!(
        sequence_of(b"\x00\x00\x00\x01m\x01\x00\x00\x00\x07\x00"),
        None
    );
    assert_eq!(
        sequence_of(&[0x80, 1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
        None
    );
    assert_eq!(sequence_of(&[]), None);
}

//! Leaders and followers on the loopback address.

use std::sync::{Arc, Mutex};

use super::*;
use crate::rpc::Caller;
use crate::rpc::server::{Endpoint, Limits, Running, Server};
use crate::wire::storm::nimbus::{Dispatcher, Service};

/// A Nimbus that only knows who leads.
#[derive(Default)]
struct Nimbus {
    leader: Mutex<Option<NimbusSummary>>,
}

impl Service for Nimbus {
    async fn get_leader(&self, _: &Caller) -> Result<NimbusSummary, GetLeaderError> {
        let leader = self.leader.lock().unwrap().clone();
        leader.ok_or(GetLeaderError::Failure(Failure::NoResult))
    }
}

struct Fixture {
    nimbus: Arc<Nimbus>,
    running: Running,
}

async fn start() -> Fixture {
    let endpoint = Endpoint {
        service: "test",
        host: "127.0.0.1".to_owned(),
        port: 0,
        port_key: "test.port",
    };
    let nimbus = Arc::new(Nimbus::default());
    let server = Server::bind(&endpoint, Limits::default()).await.unwrap();
    let running = server.serve(Arc::new(Dispatcher(Arc::clone(&nimbus))));
    Fixture { nimbus, running }
}

impl Fixture {
    fn port(&self) -> u16 {
        self.running.address().port()
    }

    fn names(&self, host: &str, port: impl Into<i32>) {
        let summary = NimbusSummary {
            host: host.to_owned(),
            port: port.into(),
            is_leader: true,
            version: "3.0.0".to_owned(),
            ..NimbusSummary::default()
        };
        *self.nimbus.leader.lock().unwrap() = Some(summary);
    }

    fn n_accepted(&self) -> u64 {
        crate::rpc::server::Counters::read(&self.running.counters().accepted)
    }
}

fn options(seeds: &[&str], port: u16) -> LeaderOptions {
    LeaderOptions {
        seeds: seeds.iter().map(|seed| (*seed).to_owned()).collect(),
        port,
        tls_port: 0,
        client: ClientOptions::default(),
        retries: Retries::NONE,
    }
}

#[tokio::test]
async fn a_seed_that_leads_is_kept() {
    let server = start().await;
    server.names("127.0.0.1", server.port());
    let leader = options(&["127.0.0.1"], server.port()).find().await.unwrap();
    assert_eq!(leader.summary.version, "3.0.0");
    assert_eq!(server.n_accepted(), 1);
    let mut client = Client::new(leader.connection);
    client.get_leader().await.unwrap();
    assert_eq!(server.n_accepted(), 1);
}

#[tokio::test]
async fn another_leader_is_followed_also_when_only_its_name_differs() {
    let (seed, leader) = (start().await, start().await);
    seed.names("127.0.0.1", leader.port());
    leader.names("127.0.0.1", leader.port());
    let found = options(&["127.0.0.1"], seed.port()).find().await.unwrap();
    assert_eq!(found.connection.address().port, leader.port());
    Client::new(found.connection).get_leader().await.unwrap();
    seed.names("localhost", seed.port());
    let found = options(&["127.0.0.1"], seed.port()).find().await.unwrap();
    assert_eq!(found.connection.address().host, "localhost");
    Client::new(found.connection).get_leader().await.unwrap();
    assert_eq!((seed.n_accepted(), leader.n_accepted()), (3, 1));
}

#[tokio::test]
async fn seeds_are_asked_in_order_until_one_leads_to_nimbus() {
    let server = start().await;
    server.names("127.0.0.1", server.port());
    let seeds = ["no.such.host.invalid", "127.0.0.1"];
    let leader = options(&seeds, server.port()).find().await.unwrap();
    assert_eq!(leader.connection.address().host, "127.0.0.1");
}

#[tokio::test]
async fn each_seed_is_named_with_what_went_wrong() {
    let server = start().await;
    server.names("no.such.host.invalid", 6627);
    let seeds = ["no.such.seed.invalid", "127.0.0.1"];
    let port = server.port();
    let text = options(&seeds, port).find().await.unwrap_err().to_string();
    for part in [
        "no Nimbus found that leads",
        &format!("cannot connect to no.such.seed.invalid:{port}"),
        &format!("127.0.0.1:{port} names the leader: cannot connect to no.such.host.invalid:6627"),
        "check nimbus.seeds and nimbus.thrift.port",
    ] {
        assert!(text.contains(part), "{text}");
    }
    server.names("127.0.0.1", 0);
    let text = options(&["localhost"], port)
        .find()
        .await
        .unwrap_err()
        .to_string();
    assert!(text.contains("which is no port"), "{text}");
    let text = options(&[], port).find().await.unwrap_err().to_string();
    assert!(text.contains("nimbus.seeds is empty"), "{text}");
}

#[tokio::test]
async fn a_null_leader_ends_the_search_at_once() {
    let (first, second) = (start().await, start().await);
    second.names("127.0.0.1", second.port());
    let text = options(&["127.0.0.1", "localhost"], first.port())
        .find()
        .await
        .unwrap_err();
    assert!(
        matches!(text, NimbusLeaderNotFoundError::NoLeader { .. }),
        "{text}"
    );
    assert_eq!(first.n_accepted(), 1);
}

#[tokio::test]
async fn a_follower_changes_over_when_its_leader_is_gone() {
    let (seed, leader, next) = (start().await, start().await, start().await);
    for server in [&seed, &leader, &next] {
        server.names("127.0.0.1", leader.port());
    }
    let mut client = Client::new(Following::new(options(&["127.0.0.1"], seed.port())));
    client.get_leader().await.unwrap();
    client.get_leader().await.unwrap();
    assert_eq!((seed.n_accepted(), leader.n_accepted()), (1, 1));
    leader.running.drain().await;
    assert!(
        client.get_leader().await.is_err(),
        "the seed still names the old one"
    );
    seed.names("127.0.0.1", next.port());
    client.get_leader().await.unwrap();
    assert_eq!(client.channel().address().unwrap().port, next.port());
}

#[tokio::test]
async fn another_service_of_the_leader_is_reached_by_its_own_port() {
    let (seed, other) = (start().await, start().await);
    seed.names("127.0.0.1", seed.port());
    other.names("coordination", 1);
    let options = options(&["127.0.0.1"], seed.port());
    let mut client = Client::new(Following::to_port(options, other.port()));
    assert_eq!(client.get_leader().await.unwrap().host, "coordination");
    assert_eq!(client.channel().address().unwrap().port, other.port());
    client.channel().forget();
    assert!(client.channel().address().is_none());
}

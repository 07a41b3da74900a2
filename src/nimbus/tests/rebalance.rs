//! Rebalances over restarts of Nimbus: what is left of the delay, and changes that are whole or not
//! there.

use super::*;
use crate::cluster::{Batch, ClusterState, EmbeddedStore};
use crate::id::TopologyId;
use crate::wire::messages::RedoRecord;
use crate::wire::stored;
use crate::wire::storm::{RebalanceOptions, TopologySummary};

async fn summary(client: &mut Client) -> TopologySummary {
    let summary = client.get_topology_summary_by_name(Some("words")).await;
    summary.expect("alive")
}

async fn conf_of(client: &mut Client, id: &str) -> Conf {
    let conf = client.get_topology_conf(Some(id)).await.expect("alive");
    Conf::from_json(&conf).expect("JSON")
}

#[tokio::test]
async fn a_restart_goes_on_with_a_rebalance_and_goes_back_to_what_was() {
    let mut fixture = Fixture::new().await;
    let (mut client, mut line) = (fixture.client().await, fixture.line().await);
    submit(&mut client, "words", &words(4)).await;
    work(&mut line, "node").await;
    client.deactivate(Some("words")).await.expect("alive");
    let options = RebalanceOptions {
        wait_secs: Some(1),
        num_workers: Some(3),
        num_executors: Some([("bolt".to_owned(), 2)].into()),
        topology_conf_overrides: Some(r#"{"topology.max.spout.pending": 9}"#.to_owned()),
        ..RebalanceOptions::default()
    };
    let asked = client.rebalance(Some("words"), Some(&options)).await;
    asked.expect("accepted");
    fixture.restart().await;
    let (mut client, mut line) = (fixture.client().await, fixture.line().await);
    assert_eq!(summary(&mut client).await.status, "REBALANCING");
    work(&mut line, "node").await;
    let found = eventually("the end of the rebalance", async || {
        let found = summary(&mut client).await;
        (found.status == "INACTIVE").then_some(found)
    })
    .await;
    assert_eq!((found.num_workers, found.num_executors), (3, 4));
    let conf = conf_of(&mut client, &found.id).await;
    let pending = conf.int(keys::TOPOLOGY_MAX_SPOUT_PENDING);
    assert_eq!(pending.expect("a number"), Some(9));
    // On disk too, blobs and record alike.
    fixture.restart().await;
    let mut client = fixture.client().await;
    let again = summary(&mut client).await;
    assert_eq!((again.status.as_str(), again.num_workers), ("INACTIVE", 3));
    assert_eq!(conf_of(&mut client, &found.id).await, conf);
}

#[tokio::test]
async fn what_was_committed_reaches_its_blobs_at_the_next_start() {
    let mut fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    submit(&mut client, "words", &words(1)).await;
    let id = summary(&mut client).await.id;
    let conf = conf_of(&mut client, &id).await;
    fixture.nimbus.take().expect("running").shutdown().await;
    // The moment after the commit of a rebalance, before its blobs were written.
    let changed = conf.clone().with(keys::TOPOLOGY_MAX_SPOUT_PENDING, 9);
    let store = EmbeddedStore::open(&fixture.path().join("nimbus").join("store")).expect("free");
    let cluster = ClusterState::lead(std::sync::Arc::new(store))
        .await
        .expect("leads");
    let mut batch = Batch::default();
    let redo = RedoRecord {
        code: None,
        conf: Some(stored::pack_conf(&changed)),
    };
    batch
        .redo(&TopologyId::from(id.as_str()), &redo)
        .expect("small");
    cluster.load().await.expect("readable");
    cluster.commit(batch).await.expect("room");
    drop(cluster);
    for _ in 0..2 {
        fixture.nimbus = Some(start(&fixture.conf).await);
        let mut client = fixture.client().await;
        assert_eq!(conf_of(&mut client, &id).await, changed);
        fixture.nimbus.take().expect("running").shutdown().await;
    }
}

#[tokio::test]
async fn blobs_that_cannot_be_written_after_their_commit_are_written_when_they_can() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    submit(&mut client, "words", &words(1)).await;
    let id = summary(&mut client).await.id;
    let blobs = fixture.path().join("blobs");
    let record = blobs.join(format!("meta_{id}-stormconf.ser"));
    let before = std::fs::read(&record).expect("a record");
    // The place of contents is gone for a while, as on a disk that is full.
    let (content, away) = (blobs.join("content"), blobs.join("away"));
    std::fs::rename(&content, &away).expect("a directory");
    let options = RebalanceOptions {
        wait_secs: Some(0),
        topology_conf_overrides: Some(r#"{"topology.max.spout.pending": 9}"#.to_owned()),
        ..RebalanceOptions::default()
    };
    let asked = client.rebalance(Some("words"), Some(&options)).await;
    asked.expect("accepted");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(std::fs::read(&record).expect("a record"), before);
    let _ = std::fs::remove_dir(&content);
    std::fs::rename(&away, &content).expect("nobody made another");
    eventually("the blob is written", async || {
        (std::fs::read(&record).expect("a record") != before).then_some(())
    })
    .await;
    eventually("the change is seen", async || {
        let conf = conf_of(&mut client, &id).await;
        (conf.get(keys::TOPOLOGY_MAX_SPOUT_PENDING) == Some(&9.into())).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_kill_overtakes_a_rebalance_for_good() {
    let mut fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    submit(&mut client, "words", &words(1)).await;
    let options = RebalanceOptions {
        wait_secs: Some(600),
        ..RebalanceOptions::default()
    };
    let asked = client.rebalance(Some("words"), Some(&options)).await;
    asked.expect("accepted");
    let now = crate::wire::storm::KillOptions { wait_secs: Some(1) };
    let killed = client
        .kill_topology_with_opts(Some("words"), Some(&now))
        .await;
    killed.expect("alive");
    fixture.restart().await;
    let mut client = fixture.client().await;
    eventually("its end", async || {
        let all = client.get_topology_summaries().await.expect("answers");
        all.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn overrides_get_round_no_rule_of_a_submission() {
    let bounded = Conf::new()
        .with(keys::STORMWIRE_TOPOLOGY_EXECUTORS_MAX, 10)
        .with(keys::STORMWIRE_TOPOLOGY_TASKS_MAX, 10);
    let fixture = Fixture::with(bounded).await;
    let mut client = fixture.client().await;
    submit(&mut client, "words", &words(1)).await;
    let id = summary(&mut client).await.id;
    let asking = |overrides: &str| RebalanceOptions {
        wait_secs: Some(0),
        topology_conf_overrides: Some(overrides.to_owned()),
        ..RebalanceOptions::default()
    };
    let refused = [
        // Nobody here could encrypt: there is no TLS to tell workers their keys.
        (r#"{"stormwire.link.encryption": true}"#, "encrypt"),
        (r#"{"stormwire.link.codecs": ["gzip"]}"#, "gzip"),
        (
            r#"{"topology.acker.executors": 50, "stormwire.topology.executors.max": 99,
                "stormwire.topology.tasks.max": 99}"#,
            "executors",
        ),
    ];
    for (overrides, reason) in refused {
        let asked = client
            .rebalance(Some("words"), Some(&asking(overrides)))
            .await;
        let text = format!("{:?}", asked.expect_err(overrides));
        assert!(text.contains(reason), "{overrides}: {text}");
    }
    let overrides = r#"{"topology.worker.timeout.secs": 100000, "storm.id": "other-1-1",
                        "topology.name": "other", "topology.max.spout.pending": 7}"#;
    let asked = client
        .rebalance(Some("words"), Some(&asking(overrides)))
        .await;
    asked.expect("accepted");
    let mut line = fixture.line().await;
    work(&mut line, "node").await;
    let conf = eventually("the change is seen", async || {
        let conf = conf_of(&mut client, &id).await;
        (conf.get(keys::TOPOLOGY_MAX_SPOUT_PENDING) == Some(&7.into())).then_some(conf)
    })
    .await;
    assert_eq!(conf.get(keys::STORM_ID), Some(&id.as_str().into()));
    assert_eq!(conf.get(keys::TOPOLOGY_NAME), Some(&"words".into()));
    let timeout_secs = conf.get(keys::TOPOLOGY_WORKER_TIMEOUT_SECS);
    assert_eq!(
        timeout_secs,
        Conf::defaults().get(keys::WORKER_MAX_TIMEOUT_SECS)
    );
}

//! The life of a topology: submitted, seen, steered, ended, and all of it again after a restart.

use std::time::Instant;

use super::*;
use crate::wire::storm::nimbus::{
    ActivateError, GetTopologyInfoError, KillTopologyError, SubmitTopologyError,
};
use crate::wire::storm::{KillOptions, StormTopology, SubmitOptions, TopologyInitialStatus};

#[tokio::test]
async fn a_submitted_topology_is_placed_at_once() {
    let fixture = Fixture::new().await;
    let (mut client, mut line) = (fixture.client().await, fixture.line().await);
    let first = line
        .sync_supervisor(Some(&report("node", 6700..6704, 0)))
        .await
        .expect("alive");
    let begun = Instant::now();
    let parked = tokio::spawn(async move {
        let report = report("node", 6700..6704, first.version);
        (
            line.sync_supervisor(Some(&report))
                .await
                .expect("a directive"),
            Instant::now(),
        )
    });
    submit(&mut client, "words", &words(2)).await;
    let (submitted, _) = parked.await.expect("no panic");
    let mut line = fixture.line().await;
    let mut directive = submitted;
    while directive.topologies.is_empty() {
        let report = report("node", 6700..6704, directive.version);
        directive = line
            .sync_supervisor(Some(&report))
            .await
            .expect("a directive");
    }
    let took = begun.elapsed();
    assert!(took.as_millis() < 5000, "parked to its end: {took:?}");
    let (id, work) = directive.topologies.first_key_value().expect("work");
    assert!(id.starts_with("words-1-"), "{id}");
    assert_eq!(work.epoch, 1);
    let placed = work.assignment.executor_node_port.as_ref().expect("placed");
    // Tasks 1: __acker, 2 and 3: bolt, 4: spout; each an executor, all in the one worker.
    assert_eq!(
        placed.keys().cloned().collect::<Vec<_>>(),
        [[1, 1], [2, 2], [3, 3], [4, 4]]
    );
    let summary = client
        .get_topology_summary_by_name(Some("words"))
        .await
        .expect("alive");
    let numbers = (
        summary.num_tasks,
        summary.num_executors,
        summary.num_workers,
    );
    assert_eq!((summary.status.as_str(), numbers), ("ACTIVE", (4, 4, 1)));
    let cluster = client.get_cluster_info().await.expect("answers");
    assert_eq!(cluster.supervisors.len(), 1);
    assert_eq!(cluster.supervisors[0].num_used_workers, 1);
}

#[tokio::test]
async fn a_restart_changes_no_answer_and_moves_nothing() {
    let mut fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    submit(&mut client, "words", &words(3)).await;
    let directive = work(&mut fixture.line().await, "node").await;
    let id = directive.topologies.keys().next().expect("work").clone();
    client.deactivate(Some("words")).await.expect("alive");
    let before = Answers::ask(&mut client, &id).await;

    fixture.restart().await;
    let mut client = fixture.client().await;
    let after = Answers::ask(&mut client, &id).await;
    assert_eq!(before, after);
    let again = work(&mut fixture.line().await, "node").await;
    let (old, new) = (&directive.topologies[&id], &again.topologies[&id]);
    assert_eq!((old.epoch, &old.assignment), (new.epoch, &new.assignment));
    assert_ne!(directive.version, again.version);
}

#[derive(Debug, PartialEq)]
struct Answers {
    conf: String,
    user: StormTopology,
    system: StormTopology,
    placed: Vec<(i32, i32, String, i32)>,
    status: String,
    numbers: (i32, i32, i32),
}

impl Answers {
    async fn ask(client: &mut Client, id: &str) -> Self {
        let info = client.get_topology_info(Some(id)).await.expect("alive");
        let summary = client.get_topology_summary(Some(id)).await.expect("alive");
        let place = |e: &crate::wire::storm::ExecutorSummary| {
            let info = &e.executor_info;
            (
                info.task_start,
                e.port,
                e.component_id.clone(),
                info.task_end,
            )
        };
        Answers {
            conf: client.get_topology_conf(Some(id)).await.expect("alive"),
            user: client.get_user_topology(Some(id)).await.expect("alive"),
            system: client.get_topology(Some(id)).await.expect("alive"),
            placed: info.executors.iter().map(place).collect(),
            status: summary.status,
            numbers: (
                summary.num_tasks,
                summary.num_executors,
                summary.num_workers,
            ),
        }
    }
}

#[tokio::test]
async fn a_kill_waits_its_time_and_frees_name_slots_and_blobs() {
    let mut fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    submit(&mut client, "words", &words(1)).await;
    let directive = work(&mut fixture.line().await, "node").await;
    let id = directive.topologies.keys().next().expect("work").clone();
    let kill = |secs| KillOptions {
        wait_secs: Some(secs),
    };
    client
        .kill_topology_with_opts(Some("words"), Some(&kill(600)))
        .await
        .expect("alive");
    let summary = client
        .get_topology_summary_by_name(Some("words"))
        .await
        .expect("waiting");
    assert_eq!(summary.status, "KILLED");
    let refused = client.activate(Some("words")).await.expect_err("killed");
    let text = format!("No transition for event: ACTIVATE, status: KILLED storm-id: {id}");
    assert!(matches!(&refused, ActivateError::Failure(f) if f.to_string().contains(&text)));
    let taken = client
        .submit_topology(Some("words"), None, Some("{}"), Some(&words(1)))
        .await;
    assert!(matches!(taken, Err(SubmitTopologyError::AlreadyAlive(e))
        if e.msg == "words is already alive"));

    // The restart neither forgets the kill nor carries it out early; a second kill shortens it.
    fixture.restart().await;
    let mut client = fixture.client().await;
    let summary = client
        .get_topology_summary_by_name(Some("words"))
        .await
        .expect("waiting");
    assert_eq!(summary.status, "KILLED");
    client
        .kill_topology_with_opts(Some("words"), Some(&kill(0)))
        .await
        .expect("alive");
    eventually("the end", async || {
        let free = client.is_topology_name_allowed(Some("words")).await;
        free.expect("answers").then_some(())
    })
    .await;
    let gone = client.get_topology_info(Some(&id)).await.expect_err("gone");
    assert!(matches!(gone, GetTopologyInfoError::NotAlive(e) if e.msg == id));
    let gone = client.kill_topology(Some("words")).await.expect_err("gone");
    assert!(matches!(gone, KillTopologyError::NotAlive(e) if e.msg == "words is not alive"));
    eventually("an empty blob store", async || {
        blobs(&fixture).is_empty().then_some(())
    })
    .await;
    submit(&mut client, "words", &words(1)).await;
}

#[tokio::test]
async fn blobs_of_a_submit_that_was_cut_short_are_cleared() {
    let mut fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    submit(&mut client, "words", &words(1)).await;
    let of_words = blobs(&fixture);
    assert_eq!(of_words.len(), 3);
    for name in [
        "cut-9-1-stormjar.jar",
        "cut-9-1-stormcode.ser",
        "dep-of-somebody.jar",
    ] {
        std::fs::write(
            fixture.path().join("blobs").join(format!("data_{name}")),
            b"x",
        )
        .expect("room");
    }
    fixture.restart().await;
    let mut expected = of_words;
    expected.push("meta_dep-of-somebody.jar".to_owned());
    expected.sort();
    assert_eq!(blobs(&fixture), expected);
}

fn blobs(fixture: &Fixture) -> Vec<String> {
    let entries = std::fs::read_dir(fixture.path().join("blobs")).expect("a directory");
    let names = entries.map(|e| {
        e.expect("an entry")
            .file_name()
            .to_string_lossy()
            .into_owned()
    });
    let mut names: Vec<String> = names.filter(|name| name.starts_with("meta_")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_damaged_topology_can_be_seen_and_killed_and_the_others_go_on() {
    let mut fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    submit(&mut client, "good", &words(1)).await;
    submit(&mut client, "bad", &words(1)).await;
    let bad = client
        .get_topology_summary_by_name(Some("bad"))
        .await
        .expect("alive")
        .id;
    let code = fixture
        .path()
        .join("blobs")
        .join(format!("meta_{bad}-stormcode.ser"));
    std::fs::write(code, b"garbage").expect("writable");
    fixture.restart().await;
    let mut client = fixture.client().await;
    let all = client.get_topology_summaries().await.expect("answers");
    assert_eq!(all.len(), 2);
    client
        .get_user_topology(Some(&bad))
        .await
        .expect_err("damaged");
    let directive = work(&mut fixture.line().await, "node").await;
    assert!(
        directive
            .topologies
            .keys()
            .all(|id| id.starts_with("good-"))
    );
    let now = KillOptions { wait_secs: Some(0) };
    client
        .kill_topology_with_opts(Some("bad"), Some(&now))
        .await
        .expect("alive");
    eventually("the end", async || {
        let all = client.get_topology_summaries().await.expect("answers");
        (all.len() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn topologies_may_start_inactive() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let options = SubmitOptions {
        initial_status: TopologyInitialStatus::Inactive.into(),
        ..SubmitOptions::default()
    };
    let (name, topology) = (Some("quiet"), words(1));
    client
        .submit_topology_with_opts(name, None, None, Some(&topology), Some(&options))
        .await
        .expect("accepted");
    let status = async |client: &mut Client| {
        client
            .get_topology_summary_by_name(name)
            .await
            .expect("alive")
            .status
    };
    assert_eq!(status(&mut client).await, "INACTIVE");
    client.deactivate(name).await.expect("no change");
    client.activate(name).await.expect("alive");
    assert_eq!(status(&mut client).await, "ACTIVE");
}

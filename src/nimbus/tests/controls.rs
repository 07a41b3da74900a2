//! What operators ask of a topology, on its way to nodes and workers and over a restart.

use super::*;
use crate::clock;
use crate::wire::storm::{
    Credentials, LogConfig, LogLevel, LogLevelAction, NodeInfo, ProfileAction, ProfileRequest,
};

fn credentials(name: &str, secret: &str) -> Credentials {
    Credentials {
        creds: [(name.to_owned(), secret.to_owned())].into(),
        topo_owner: None,
    }
}

fn level(timeout_secs: i32) -> LogConfig {
    let level = LogLevel {
        action: LogLevelAction::Update.into(),
        target_log_level: Some("DEBUG".to_owned()),
        reset_log_level_timeout_secs: Some(timeout_secs),
        ..LogLevel::default()
    };
    LogConfig {
        named_logger_level: Some([("ROOT".to_owned(), level)].into()),
    }
}

fn request(port: i32, action: ProfileAction, in_ms: i64) -> ProfileRequest {
    ProfileRequest {
        node_info: NodeInfo {
            node: "localhost".to_owned(),
            port: [i64::from(port)].into(),
        },
        action: action.into(),
        time_stamp: Some(clock::wall_millis() + in_ms),
    }
}

/// A topology with a worker that reports, its id and the worker's report.
async fn placed(fixture: &Fixture) -> (String, WorkerReport) {
    let mut client = fixture.client().await;
    submit(&mut client, "words", &words(1)).await;
    let directive = work(&mut fixture.line().await, "node").await;
    let id = directive.topologies.keys().next().expect("work").clone();
    (id, worker_report(&directive, "node", 1))
}

#[tokio::test]
async fn a_worker_hears_of_all_of_it_also_after_a_restart() {
    let mut fixture = Fixture::new().await;
    let (id, report) = placed(&fixture).await;
    let mut client = fixture.client().await;
    let set = client.set_log_config(Some(&id), Some(&level(600))).await;
    set.expect("alive");
    let debugged = client.debug(Some("words"), Some("bolt"), Some(true), Some(10.0));
    debugged.await.expect("alive");
    for (name, secret) in [("a", "1"), ("b", "1"), ("b", "2")] {
        let creds = credentials(name, secret);
        let uploaded = client.upload_new_credentials(Some("words"), Some(&creds));
        uploaded.await.expect("alive");
    }
    let asked = request(report.port, ProfileAction::JprofileStop, 60_000);
    let set = client.set_worker_profiler(Some(&id), Some(&asked)).await;
    set.expect("alive");
    let before = sync_worker(&mut fixture.line().await, &report).await;
    let before = before.work.expect("it runs");
    let levels = before.log_config.as_ref().expect("set");
    assert!(
        levels
            .named_logger_level
            .as_ref()
            .expect("set")
            .contains_key("ROOT")
    );
    assert_eq!(before.component_debug["bolt"].samplingpct, Some(10.0));
    assert_eq!(before.profile_requests, Some(vec![asked]));
    let held = &before.credentials.as_ref().expect("uploaded").creds;
    let expected = [("a", "1"), ("b", "2")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(*held, expected.into());

    fixture.restart().await;
    let after = sync_worker(&mut fixture.line().await, &report).await;
    assert_eq!(after.work, Some(before));
}

#[tokio::test]
async fn a_request_that_its_worker_carried_out_is_gone() {
    let fixture = Fixture::new().await;
    let (id, report) = placed(&fixture).await;
    let mut client = fixture.client().await;
    let (stop, dump) = (ProfileAction::JprofileStop, ProfileAction::JstackDump);
    let own = request(report.port, stop, 60_000);
    let other_port = request(report.port + 1, stop, 60_000);
    let replaced = request(report.port, dump, 60_000);
    let newer = request(report.port, dump, 90_000);
    for each in [&own, &other_port, &replaced, &newer] {
        let set = client.set_worker_profiler(Some(&id), Some(each)).await;
        set.expect("alive");
    }
    // Only its own, and only what is still asked for.
    let told = WorkerReport {
        profiled: Some(vec![own.clone(), other_port.clone(), replaced]),
        ..report.clone()
    };
    let told = sync_worker(&mut fixture.line().await, &told).await;
    let mut left = told.work.expect("it runs").profile_requests.expect("some");
    left.sort_by_key(|request| request.time_stamp);
    assert_eq!(left, [other_port, newer]);
    let pending =
        client.get_component_pending_profile_actions(Some(&id), Some("bolt"), Some(stop.into()));
    assert_eq!(pending.await.expect("alive"), []);
}

#[tokio::test]
async fn a_level_whose_time_is_over_leaves_the_work() {
    let fixture = Fixture::new().await;
    let (id, report) = placed(&fixture).await;
    let mut client = fixture.client().await;
    let set = client.set_log_config(Some(&id), Some(&level(1))).await;
    set.expect("alive");
    eventually("no level", async || {
        let told = sync_worker(&mut fixture.line().await, &report).await;
        let config = told.work.expect("it runs").log_config.expect("once set");
        config
            .named_logger_level
            .is_some_and(|levels| levels.is_empty())
            .then_some(())
    })
    .await;
}

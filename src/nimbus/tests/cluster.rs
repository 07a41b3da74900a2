//! What supervisors and workers see of Nimbus.

use std::sync::Arc;

use super::*;
use crate::limits;
use crate::nimbus::schedule::{self, Decision};
use crate::nimbus::state::Assigned;
use crate::wire::messages::{AssignmentRecord, ComponentError, WorkerOrder};
use crate::wire::storm::{Assignment, ErrorInfo, SupervisorWorkerHeartbeat};

#[tokio::test]
async fn a_worker_runs_where_it_belongs_and_stops_elsewhere() {
    let fixture = Fixture::new().await;
    let (mut client, mut line) = (fixture.client().await, fixture.line().await);
    submit(&mut client, "words", &words(2)).await;
    let directive = work(&mut line, "node").await;
    let own = worker_report(&directive, "node", 1);
    let answer = sync_worker(&mut line, &own).await;
    assert_eq!(answer.order.known(), Some(WorkerOrder::Run));
    assert_eq!(answer.work.as_ref(), directive.topologies.values().next());

    let stop = Some(WorkerOrder::Stop);
    let elsewhere = WorkerReport {
        port: 6703,
        ..own.clone()
    };
    assert_eq!(sync_worker(&mut line, &elsewhere).await.order.known(), stop);
    let unknown = WorkerReport {
        topology_id: "ghost-1-1".to_owned(),
        ..own.clone()
    };
    assert_eq!(sync_worker(&mut line, &unknown).await.order.known(), stop);
    let fewer = WorkerReport {
        executors: own.executors[1..].to_vec(),
        ..own.clone()
    };
    assert_eq!(sync_worker(&mut line, &fewer).await.order.known(), stop);
    let absurd = WorkerReport {
        port: -1,
        ..own.clone()
    };
    assert_eq!(sync_worker(&mut line, &absurd).await.order.known(), stop);
    // The one that was started later has the slot.
    let newer = WorkerReport {
        generation: own.generation + 1,
        ..own.clone()
    };
    let answer = sync_worker(&mut line, &newer).await;
    assert_eq!(answer.order.known(), Some(WorkerOrder::Run));
    assert_eq!(sync_worker(&mut line, &own).await.order.known(), stop);
}

#[tokio::test]
async fn errors_of_components_are_shown_and_survive() {
    let mut fixture = Fixture::new().await;
    let (mut client, mut line) = (fixture.client().await, fixture.line().await);
    submit(&mut client, "words", &words(1)).await;
    let directive = work(&mut line, "node").await;
    let id = directive.topologies.keys().next().expect("work").clone();
    let error = |component: &str, text: &str| ComponentError {
        topology_id: id.clone(),
        component_id: component.to_owned(),
        error: ErrorInfo {
            error: text.to_owned(),
            error_time_secs: 5,
            host: Some("localhost".to_owned()),
            port: Some(6700),
        },
    };
    let errors = vec![
        error("bolt", "first"),
        error("bolt", "second"),
        error("ghost", "lost"),
    ];
    let report = WorkerReport {
        errors,
        ..worker_report(&directive, "node", 1)
    };
    sync_worker(&mut line, &report).await;
    for _ in 0..2 {
        let info = client.get_topology_info(Some(&id)).await.expect("alive");
        let texts = |component: &str| {
            let errors = info.errors[component].iter();
            errors.map(|error| error.error.clone()).collect::<Vec<_>>()
        };
        assert_eq!(texts("bolt"), ["second", "first"]);
        assert_eq!(
            info.errors.keys().collect::<Vec<_>>(),
            ["__acker", "bolt", "spout"]
        );
        fixture.restart().await;
        client = fixture.client().await;
    }
}

#[tokio::test]
async fn a_placement_that_no_commit_takes_holds_up_no_other() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let leader = &fixture.nimbus().leader;
    for name in ["large", "small"] {
        submit(&mut client, name, &words(1)).await;
        eventually("a round", async || {
            let state = leader.state();
            state.by_name(name)?.assigned.is_some().then_some(())
        })
        .await;
    }
    let state = leader.state();
    let decision = |name: &str, n_bytes: usize| {
        let assignment = Assignment {
            master_code_dir: "x".repeat(n_bytes),
            ..Assignment::default()
        };
        let record = AssignmentRecord {
            assignment,
            epoch: 77,
            ..AssignmentRecord::default()
        };
        Decision {
            seen: Arc::clone(state.by_name(name).expect("alive")),
            assigned: Some(Arc::new(Assigned::new(record, 0))),
            sched_status: None,
            next: None,
        }
    };
    let n_most = limits::STORE_COMMIT_BYTES_MAX;
    let decisions = vec![decision("large", n_most), decision("small", 1)];
    let saved = schedule::save(leader, decisions).await;
    assert!(!saved.expect("the small one"));
    let state = leader.state();
    let epoch = |name: &str| {
        state
            .by_name(name)?
            .assigned
            .as_ref()
            .map(|at| at.record.epoch)
    };
    assert_eq!((epoch("large"), epoch("small")), (Some(1), Some(77)));
}

#[tokio::test]
async fn errors_of_topologies_that_are_gone_are_not_kept() {
    let fixture = Fixture::new().await;
    let lost = ComponentError {
        topology_id: "gone-1-1".to_owned(),
        component_id: "__system".to_owned(),
        error: ErrorInfo::default(),
    };
    let report = SupervisorReport {
        errors: vec![lost],
        ..report("node", 6700..6704, 0)
    };
    let synced = fixture.line().await.sync_supervisor(Some(&report)).await;
    synced.expect("a directive");
    let errors = fixture.nimbus().leader.errors();
    let kept = errors.of(&"gone-1-1".into(), &"__system".into());
    assert!(kept.is_empty(), "{kept:?}");
}

#[tokio::test]
async fn a_worker_reports_no_errors_of_other_topologies() {
    let fixture = Fixture::new().await;
    let (mut client, mut line) = (fixture.client().await, fixture.line().await);
    submit(&mut client, "words", &words(1)).await;
    let directive = work(&mut line, "node").await;
    submit(&mut client, "others", &words(1)).await;
    let others = client.get_topology_summary_by_name(Some("others")).await;
    let others = others.expect("alive").id;
    let own = worker_report(&directive, "node", 1);
    let error = |id: &str| ComponentError {
        topology_id: id.to_owned(),
        component_id: "bolt".to_owned(),
        error: ErrorInfo::default(),
    };
    let report = WorkerReport {
        errors: vec![error(&others), error(&own.topology_id)],
        ..own.clone()
    };
    sync_worker(&mut line, &report).await;
    let errors = fixture.nimbus().leader.errors();
    let n_kept = |id: &str| errors.of(&id.into(), &"bolt".into()).len();
    assert_eq!((n_kept(&others), n_kept(&own.topology_id)), (0, 1));
}

#[tokio::test]
async fn storms_own_heartbeats_count() {
    let fixture = Fixture::new().await;
    let (mut client, mut line) = (fixture.client().await, fixture.line().await);
    submit(&mut client, "words", &words(1)).await;
    let directive = work(&mut line, "node").await;
    let worker = worker_report(&directive, "node", 1);
    let beat = |id: &str| SupervisorWorkerHeartbeat {
        storm_id: id.to_owned(),
        executors: worker.executors.clone(),
        time_secs: 1,
    };
    let sent = client
        .send_supervisor_worker_heartbeat(Some(&beat(&worker.topology_id)))
        .await;
    sent.expect("alive");
    let ghost = client
        .send_supervisor_worker_heartbeat(Some(&beat("ghost-1-1")))
        .await;
    ghost.expect_err("no such topology");
    let assignments = client
        .get_supervisor_assignments(Some("node"))
        .await
        .expect("answers");
    let assigned = assignments.storm_assignment.expect("always set");
    assert!(assigned.contains_key(&worker.topology_id));
    let none = client
        .get_supervisor_assignments(Some("other"))
        .await
        .expect("answers");
    assert_eq!(none.storm_assignment, Some(BTreeMap::new()));
}

#[tokio::test]
async fn blobs_are_read_in_parts() {
    let fixture = Fixture::new().await;
    let (mut client, mut line) = (fixture.client().await, fixture.line().await);
    submit(&mut client, "words", &words(1)).await;
    let id = client
        .get_topology_summary_by_name(Some("words"))
        .await
        .expect("alive")
        .id;
    let key = format!("{id}-stormjar.jar");
    let mut content = Vec::new();
    loop {
        let offset = i64::try_from(content.len()).expect("small");
        let chunk = line
            .read_blob(Some(&key), Some(offset), Some(50), None)
            .await
            .expect("there");
        assert_eq!(chunk.total, i64::try_from(jar().len()).expect("small"));
        if chunk.data.is_empty() {
            break;
        }
        content.extend_from_slice(&chunk.data);
    }
    assert_eq!(content, jar());
    line.read_blob(Some("none"), Some(0), Some(1), None)
        .await
        .expect_err("no such blob");
    line.read_blob(Some("../x"), Some(0), Some(1), None)
        .await
        .expect_err("no key");
    line.read_blob(Some(&key), Some(-1), Some(1), None)
        .await
        .expect_err("negative");
    line.read_blob(Some(&key), Some(0), Some(-1), None)
        .await
        .expect_err("negative");
}

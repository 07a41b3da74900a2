//! What is told to whom: directives that say nothing new, pages of what one may not see, and the
//! history over a restart.

use std::collections::BTreeSet;

use super::*;
use crate::nimbus::info::Info;
use crate::nimbus::pages::Which;
use crate::stats::aggregate::SystemParts;
use crate::wire::storm::KillOptions;

#[tokio::test]
async fn who_knows_all_is_told_nothing() {
    let fixture = Fixture::new().await;
    let (mut client, mut line) = (fixture.client().await, fixture.line().await);
    submit(&mut client, "words", &words(2)).await;
    let directive = work(&mut line, "node").await;
    let mut heartbeat = worker_report(&directive, "node", 1);
    let first = sync_worker(&mut line, &heartbeat).await;
    assert!(first.work.is_some());
    heartbeat.known_version = first.version;
    heartbeat.wait_ms = 0;
    let second = sync_worker(&mut line, &heartbeat).await;
    assert_eq!((second.version, second.work), (first.version, None));

    // Another topology is none of its business; a change of its own is.
    submit(&mut client, "others", &words(1)).await;
    let third = sync_worker(&mut line, &heartbeat).await;
    assert_eq!((third.version, third.work), (first.version, None));
    client.deactivate(Some("words")).await.expect("alive");
    let fourth = sync_worker(&mut line, &heartbeat).await;
    assert!(fourth.version > first.version && fourth.work.is_some());

    // What came from another Nimbus is not known.
    heartbeat.known_version = 5;
    assert!(sync_worker(&mut line, &heartbeat).await.work.is_some());
}

#[tokio::test]
async fn a_supervisor_is_told_of_its_own_node_only() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let (mut busy, mut idle) = (fixture.line().await, fixture.line().await);
    submit(&mut client, "words", &words(2)).await;
    work(&mut busy, "node").await;
    let ask = report("other", 6700..6704, 0);
    let first = idle.sync_supervisor(Some(&ask)).await.expect("answers");
    assert!(first.topologies.is_empty());
    let mut ask = report("other", 6700..6704, first.version);
    ask.wait_ms = 0;
    client.deactivate(Some("words")).await.expect("alive");
    let second = idle.sync_supervisor(Some(&ask)).await.expect("answers");
    assert_eq!(second.version, first.version);
}

#[tokio::test]
async fn workers_of_what_one_may_not_see_are_blank() {
    let fixture = Fixture::new().await;
    let (mut client, mut line) = (fixture.client().await, fixture.line().await);
    submit(&mut client, "words", &words(2)).await;
    let directive = work(&mut line, "node").await;
    let (id, _) = directive.topologies.first_key_value().expect("work");
    let which = Which {
        id: Some("node".to_owned()),
        host: None,
        system: SystemParts::Shown,
    };
    let page = |visible: BTreeSet<crate::id::TopologyId>| {
        let info = Info::new(&fixture.nimbus().leader);
        let page = info.supervisor_page(&which, &visible).expect("a page");
        let mut workers = page.worker_summaries.expect("workers");
        assert_eq!((workers.len(), workers[0].num_executors), (1, Some(4)));
        workers.remove(0)
    };
    let seen = page([id.as_str().into()].into());
    assert_eq!(seen.topology_id.as_ref(), Some(id));
    assert_eq!(seen.component_to_num_tasks.map(|n| n.len()), Some(3));
    let hidden = page(BTreeSet::new());
    assert_eq!(hidden.topology_id.as_deref(), Some(""));
    assert_eq!(hidden.topology_name.as_deref(), Some(""));
    assert_eq!(hidden.component_to_num_tasks.map(|n| n.len()), Some(0));
}

#[tokio::test]
async fn the_history_outlives_topologies_and_nimbus() {
    let mut fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    submit(&mut client, "words", &words(2)).await;
    let id = client.get_topology_summaries().await.expect("answers")[0]
        .id
        .clone();
    let now = KillOptions { wait_secs: Some(0) };
    let killed = client.kill_topology_with_opts(Some("words"), Some(&now));
    killed.await.expect("alive");
    let history = async |fixture: &Fixture| {
        let mut client = fixture.client().await;
        eventually("it is gone", async || {
            let all = client.get_topology_summaries().await.expect("answers");
            all.is_empty().then_some(())
        })
        .await;
        let history = client.get_topology_history(None).await.expect("answers");
        history.topo_ids.expect("a list")
    };
    assert_eq!(history(&fixture).await, std::slice::from_ref(&id));
    fixture.restart().await;
    assert_eq!(history(&fixture).await, [id]);
}

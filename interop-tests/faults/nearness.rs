//! Where tuples of a shuffle go while everybody keeps up: as near as there is a task, by hosts and
//! by racks (data-plane 5). No faults; it shares the others' clusters.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use stormwire::testing::cluster::{TestCluster, eventually};
use stormwire::wire::storm::ExecutorSummary;

use crate::{graphs, program, run};

/// By component, and there by executor.
fn emitted(cluster: &TestCluster) -> BTreeMap<String, Vec<(String, i64)>> {
    let info = cluster.nimbus(|mut nimbus| async move {
        let info = nimbus.get_topology_info_by_name(Some("near")).await;
        info.map_err(|e| e.to_string())
    });
    let executors = info.map(|info| info.executors).unwrap_or_default();
    let n_emitted = |executor: &ExecutorSummary| {
        let emitted = executor.stats.as_ref().map(|stats| &stats.emitted);
        let all_time = emitted.and_then(|windows| windows.get(":all-time"));
        all_time.and_then(|streams| streams.get("default")).copied()
    };
    let mut by_component: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for executor in executors {
        let count = (executor.host.clone(), n_emitted(&executor).unwrap_or(0));
        let of_component = by_component.entry(executor.component_id).or_default();
        of_component.push(count);
    }
    by_component
}

/// One spout and three relays on four workers, so that exactly one relay is near the spout. What
/// it emitted, and what the others did.
fn relayed(cluster: &TestCluster, is_near: impl Fn(&str, &str) -> bool) -> (i64, i64) {
    let conf = json!({
        "topology.workers": 4,
        "topology.acker.executors": 0,
        "topology.stats.sample.rate": 1.0,
    });
    let topology = graphs::near_topology();
    let submitted = run::submit(cluster, ("near", &conf), &topology, graphs::jar(&[]));
    submitted.expect("submitted");
    let sums = || {
        let emitted = emitted(cluster);
        let [(home, _)] = emitted.get("timer")?.as_slice() else {
            return None;
        };
        let relays = emitted.get("relay")?;
        let (near, far): (Vec<_>, Vec<_>) =
            relays.iter().partition(|(host, _)| is_near(home, host));
        if (near.len(), far.len()) != (1, 2) {
            return None;
        }
        let sum = |all: Vec<&(String, i64)>| all.iter().map(|(_, count)| count).sum::<i64>();
        Some((sum(near), sum(far)))
    };
    let (mut near, mut far) = (0, 0);
    eventually("tuples went over a link", || {
        (near, far) = sums().unwrap_or_default();
        near + far >= N_TUPLES
    });
    (near, far)
}

fn check(what: &str, (near, far): (i64, i64)) {
    println!("{what}: {near} tuples stayed near, {far} went far");
    assert_eq!(far, 0, "{near} stayed near");
}

#[test]
fn tuples_stay_on_the_host() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let cluster = TestCluster::start_on_hosts(&program(), dir.path(), 2, 2).boot();
    check("host", relayed(&cluster, |home, host| home == host));
}

#[test]
fn tuples_stay_on_the_rack() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let cluster = start_on_racks(dir.path());
    let rack = |host: &str| RACKS.iter().find(|(own, _)| *own == host).map(|one| one.1);
    check(
        "rack",
        relayed(&cluster, |home, host| rack(home) == rack(host)),
    );
}

fn start_on_racks(dir: &Path) -> TestCluster {
    let racks: BTreeMap<_, _> = RACKS.into_iter().collect();
    TestCluster::start_on_hosts(&program(), dir, 4, 1)
        .setting(&format!("stormwire.network.racks={}", json!(racks)))
        .boot()
}

/// Some seconds of the timer's.
const N_TUPLES: i64 = 500;
const RACKS: [(&str, &str); 4] = [
    ("127.0.0.2", "left"),
    ("127.0.0.3", "right"),
    ("127.0.0.4", "left"),
    ("127.0.0.5", "right"),
];

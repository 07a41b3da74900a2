//! Who counts as alive, and what of its statistics, at made-up times.

use super::*;
use crate::testing::allocations;
use crate::wire::storm::{BoltStats, ExecutorSpecificStats, GlobalStreamId};

const TIMEOUTS: Timeouts = Timeouts {
    executor_ms: 30_000,
    launch_ms: 120_000,
};

fn id() -> TopologyId {
    TopologyId::from("t-1-1")
}

fn slot(port: u16) -> Slot {
    let node = NodeId::from("node");
    Slot { node, port }
}

fn executor_at(task: i32) -> ExecutorId {
    ExecutorId::new(TaskId(task), TaskId(task))
}

fn placement(entries: &[(i32, u16)]) -> Placement {
    entries
        .iter()
        .map(|(task, port)| (executor_at(*task), slot(*port)))
        .collect()
}

fn info(task: i32) -> ExecutorInfo {
    ExecutorInfo {
        task_start: task,
        task_end: task,
    }
}

fn worker(port: i32, tasks: &[i32], generation: i64) -> WorkerReport {
    WorkerReport {
        topology_id: "t-1-1".to_owned(),
        node: "node".to_owned(),
        port,
        generation,
        executors: tasks.iter().map(|task| info(*task)).collect(),
        executor_stats: Some(
            tasks
                .iter()
                .map(|task| (info(*task), Default::default()))
                .collect(),
        ),
        ..WorkerReport::default()
    }
}

fn supervisor(session: &str, meta: Vec<i64>) -> SupervisorReport {
    SupervisorReport {
        node: "node".to_owned(),
        session: session.to_owned(),
        info: SupervisorInfo {
            meta: Some(meta),
            ..SupervisorInfo::default()
        },
        ..SupervisorReport::default()
    }
}

fn dead(beats: &Beats, placement: &Placement, now_ms: u64) -> Vec<i32> {
    let dead = beats.dead(&id(), placement, TIMEOUTS, now_ms);
    dead.into_iter().map(|executor| executor.first.0).collect()
}

#[test]
fn a_new_executor_has_the_launch_time_and_then_the_timeout() {
    let mut beats = Beats::default();
    let placed = placement(&[(1, 6700), (2, 6700)]);
    beats.assigned(&id(), &Placement::new(), &placed, 1000);
    assert!(dead(&beats, &placed, 120_999).is_empty());
    assert_eq!(dead(&beats, &placed, 121_000), [1, 2]);
    beats.worker(&worker(6700, &[1], 1), &slot(6700), 10_000);
    assert_eq!(dead(&beats, &placed, 39_999), [0; 0]);
    assert_eq!(dead(&beats, &placed, 40_000), [1]);
}

#[test]
fn who_stays_goes_on_and_who_moves_starts_over() {
    let mut beats = Beats::default();
    let old = placement(&[(1, 6700), (2, 6701)]);
    beats.assigned(&id(), &Placement::new(), &old, 0);
    beats.worker(&worker(6700, &[1], 1), &slot(6700), 1000);
    beats.worker(&worker(6701, &[2], 1), &slot(6701), 1000);
    let new = placement(&[(1, 6700), (2, 6702)]);
    beats.assigned(&id(), &old, &new, 20_000);
    assert!(beats.worker_at(&id(), &slot(6700)).is_some());
    assert!(beats.worker_at(&id(), &slot(6701)).is_none());
    assert_eq!(dead(&beats, &new, 31_000), [1]);
    assert_eq!(dead(&beats, &new, 140_000), [1, 2]);
}

#[test]
fn after_a_restart_everybody_was_heard_of_at_the_boot() {
    let mut beats = Beats::default();
    let placed = placement(&[(1, 6700)]);
    beats.restored(&id(), &placed, 5000);
    assert!(dead(&beats, &placed, 34_999).is_empty());
    assert_eq!(dead(&beats, &placed, 35_000), [1]);
}

#[test]
fn a_supervisor_vouches_for_workers_that_reported_themselves() {
    let mut beats = Beats::default();
    let placed = placement(&[(1, 6700)]);
    beats.assigned(&id(), &Placement::new(), &placed, 0);
    let mut report = supervisor("a", vec![6700]);
    report.workers = vec![LocalWorker {
        topology_id: "t-1-1".to_owned(),
        port: 6700,
        executors: vec![info(1)],
        ..LocalWorker::default()
    }];
    // One that never came up is not made alive by being started again and again.
    beats.supervisor(&report, 20_000, 119_000);
    assert_eq!(dead(&beats, &placed, 120_000), [1]);
    beats.worker(&worker(6700, &[1], 1), &slot(6700), 121_000);
    beats.supervisor(&report, 20_000, 150_000);
    assert!(dead(&beats, &placed, 179_999).is_empty());
}

#[test]
fn what_a_supervisor_reports_is_news_when_slots_may_have_come() {
    let mut beats = Beats::default();
    let mut heard = |session: &str, meta: &[i64], now_ms| {
        beats.supervisor(&supervisor(session, meta.to_vec()), 20_000, now_ms)
    };
    assert_eq!(heard("a", &[6700], 0), Heard::News);
    assert_eq!(heard("a", &[6700], 5000), Heard::Nothing);
    assert_eq!(heard("b", &[6700], 6000), Heard::News);
    assert_eq!(heard("b", &[6700, 6701], 7000), Heard::News);
    assert_eq!(heard("b", &[6700, 6701], 27_000), Heard::News);
    let alive = |now_ms| beats.supervisors(20_000, now_ms).len();
    assert_eq!((alive(46_999), alive(47_000)), (1, 0));
}

#[test]
fn a_new_generation_begins_its_statistics_anew() {
    let mut beats = Beats::default();
    let placed = placement(&[(1, 6700), (2, 6700)]);
    beats.assigned(&id(), &Placement::new(), &placed, 0);
    // Executor 9 is not of this topology: it must not grow the maps.
    beats.worker(&worker(6700, &[1, 2, 9], 1), &slot(6700), 1);
    let n_stats = |beats: &Beats| beats.worker_at(&id(), &slot(6700)).map(|w| w.stats.len());
    assert_eq!(n_stats(&beats), Some(2));
    beats.worker(&worker(6700, &[1], 2), &slot(6700), 2);
    assert_eq!(n_stats(&beats), Some(1));
    beats.removed(&id());
    assert_eq!(n_stats(&beats), None);
}

/// Ten thousand executors are kept: each has to be small.
#[test]
fn statistics_take_far_less_as_bytes() {
    let source = |component: &str| GlobalStreamId {
        component_id: component.to_owned(),
        stream_id: "default".to_owned(),
    };
    let windows = || ["600", "10800", "86400", ":all-time"].map(str::to_owned);
    let counts = || windows().map(|window| (window, [(source("words"), 1_000_000)].into()));
    let averages = || windows().map(|window| (window, [(source("words"), 0.125)].into()));
    let own = || {
        let streams = || BTreeMap::from([("default".to_owned(), 5), ("__ack_ack".to_owned(), 7)]);
        windows().map(|window| (window, streams()))
    };
    let stats = || ExecutorStats {
        emitted: own().into(),
        transferred: own().into(),
        specific: ExecutorSpecificStats::Bolt(BoltStats {
            acked: counts().into(),
            failed: counts().into(),
            process_ms_avg: averages().into(),
            executed: counts().into(),
            execute_ms_avg: averages().into(),
        }),
        rate: 0.05,
    };
    let (as_maps, stats) = allocations::bytes_during(stats);
    let packed = PackedStats::new(&stats).expect("small");
    println!(
        "statistics: {as_maps} bytes as maps, {} packed",
        packed.0.len()
    );
    assert_eq!(packed.unpack(), stats);
    assert!(packed.0.len() as u64 * 5 < as_maps, "{as_maps}");
}

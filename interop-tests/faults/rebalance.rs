//! Rebalances under load: nothing lost, nothing invented, and who keeps its executors keeps running.
//!
//! Workers and executors go up and down while ids flow; Nimbus and workers are killed in between.

use std::time::{Duration, Instant};

use stormwire::testing::cluster::eventually;
use stormwire::testing::ledger::Verdict;
use stormwire::wire::storm::RebalanceOptions;

use crate::run::{Relay, Run, Shape};
use crate::{count, program};

/// A change, and what it must come to.
struct Change {
    n_workers: Option<i32>,
    executors: &'static [(&'static str, i32)],
    conf: Option<&'static str>,
}

/// Up and down, more executors than tasks, one component, several, ackers, the conf alone, nothing.
const CHANGES: [Change; 10] = [
    Change {
        n_workers: Some(4),
        executors: &[],
        conf: None,
    },
    Change {
        n_workers: Some(1),
        executors: &[],
        conf: None,
    },
    Change {
        n_workers: Some(3),
        executors: &[],
        conf: None,
    },
    Change {
        n_workers: None,
        executors: &[("sink", 3)],
        conf: None,
    },
    Change {
        n_workers: None,
        executors: &[("relay", 6), ("sink", 1)],
        conf: None,
    },
    Change {
        n_workers: None,
        executors: &[],
        conf: None,
    },
    Change {
        n_workers: Some(2),
        executors: &[("relay", 1), ("source", 1)],
        conf: None,
    },
    Change {
        n_workers: None,
        executors: &[("source", 2), ("sink", 50)],
        conf: None,
    },
    Change {
        n_workers: None,
        executors: &[],
        conf: Some(r#"{"topology.max.spout.pending": 150}"#),
    },
    Change {
        n_workers: None,
        executors: &[("relay", 4), ("__acker", 1)],
        conf: None,
    },
];

// === impl Change ===

impl Change {
    fn options(&self, wait_secs: i32) -> RebalanceOptions {
        let executors = self.executors.iter();
        let executors = executors.map(|(component, n)| ((*component).to_owned(), *n));
        RebalanceOptions {
            wait_secs: Some(wait_secs),
            num_workers: self.n_workers,
            num_executors: Some(executors.collect()),
            topology_conf_overrides: self.conf.map(str::to_owned),
            ..RebalanceOptions::default()
        }
    }
}

/// Every change in turn, as often as the run is long. Returns the run, and prints how long each
/// took and how many workers went on.
fn change(name: &str, shape: Shape) -> Run {
    let mut run = Run::start_as(&program(), 2, shape);
    let mut took_ms = Vec::new();
    let mut n_kept = 0;
    for _ in 0..count(1, 5) {
        for change in &CHANGES {
            let before = run.slots();
            let started = Instant::now();
            run.rebalance(&change.options(0));
            run.recover();
            took_ms.push(started.elapsed().as_millis());
            for (slot, (pid, executors)) in run.slots() {
                let Some((old_pid, old_executors)) = before.get(&slot) else {
                    continue;
                };
                if *old_executors == executors && change.conf.is_none() {
                    assert_eq!(pid, *old_pid, "{name}: a worker restarted for nothing");
                    n_kept += 1;
                }
                if change.conf.is_some() {
                    assert_ne!(pid, *old_pid, "{name}: a worker has its old conf");
                }
            }
            run.work_for(Duration::from_millis(300));
        }
    }
    took_ms.sort_unstable();
    println!(
        "{name}: {} rebalances, workers that went on {n_kept}; until acks go on p50 {} ms, max {} ms",
        took_ms.len(),
        took_ms[took_ms.len() / 2],
        took_ms[took_ms.len() - 1]
    );
    assert!(
        n_kept > 0,
        "{name}: a change of some executors leaves some workers alone"
    );
    run
}

fn workers(n_workers: i32) -> Change {
    Change {
        n_workers: Some(n_workers),
        executors: &[],
        conf: None,
    }
}

fn judge(name: &str, verdict: &Verdict) {
    println!("{name}: {verdict}");
    assert_eq!(
        (verdict.n_lost, verdict.n_invented),
        (0, 0),
        "{name}: {verdict}"
    );
}

#[test]
fn r1_native_components_with_ackers() {
    let shape = Shape::new(Relay::Native, 2).unhurried();
    let verdict = change("R1", shape).finish();
    judge("R1", &verdict);
    assert_eq!(verdict.n_duplicates, 0, "nothing was pending: {verdict}");
}

#[test]
fn r2_native_components_without_ackers() {
    let shape = Shape::new(Relay::Native, 0).unhurried();
    let verdict = change("R2", shape).finish_untracked();
    judge("R2", &verdict);
    assert_eq!(verdict.n_duplicates, 0, "{verdict}");
}

#[test]
fn r3_shell_components() {
    let shape = Shape::new(Relay::Shell, 2);
    judge("R3", &change("R3", shape).finish());
}

/// Nimbus dies in the delay, right after it, and a worker dies in each stage.
#[test]
fn r4_nimbus_and_workers_killed_in_the_middle() {
    let shape = Shape::new(Relay::Native, 2);
    let mut run = Run::start_as(&program(), 2, shape);
    let mut n_killed = (0, 0);
    for round in 0..count(6, 40) {
        let n_workers = [4, 1, 3, 2][round % 4];
        run.begin_rebalance(&workers(n_workers).options(1));
        // From within the delay to after the change.
        run.work_for(Duration::from_millis(
            [300, 1_000, 1_060, 1_120, 1_250, 1_600][round % 6],
        ));
        if round % 2 == 0 {
            run.cluster.kill("nimbus");
            run.work_for(Duration::from_millis(200));
            run.cluster.restart("nimbus");
            n_killed.0 += 1;
        } else {
            let workers = run.cluster.workers();
            if let Some((_, worker)) = workers.get(round % 3 % workers.len().max(1)) {
                worker.process.signal(nix::sys::signal::SIGKILL);
                n_killed.1 += 1;
            }
        }
        run.await_status("ACTIVE");
        run.recover();
        let n_workers = usize::try_from(n_workers).expect("few");
        eventually("as many workers as asked for", || {
            run.slots().len() == n_workers
        });
    }
    let (n_nimbus, n_workers) = n_killed;
    println!("R4: Nimbus killed {n_nimbus} times, workers killed {n_workers}");
    judge("R4", &run.finish());
}

/// What is left of the delay goes on after a restart, and the change is whole.
#[test]
fn r5_a_delay_outlives_nimbus() {
    let shape = Shape::new(Relay::Native, 2);
    let mut run = Run::start_as(&program(), 2, shape);
    let asked = Instant::now();
    run.begin_rebalance(
        &Change {
            n_workers: None,
            executors: &[("relay", 5)],
            conf: None,
        }
        .options(10),
    );
    run.work_for(Duration::from_millis(1_500));
    run.cluster.kill("nimbus");
    run.work_for(Duration::from_millis(1_000));
    run.cluster.restart("nimbus");
    assert_eq!(run.status().as_deref(), Some("REBALANCING"));
    run.await_status("ACTIVE");
    let took = asked.elapsed();
    println!(
        "R5: a delay of 10000 ms over a restart took {} ms",
        took.as_millis()
    );
    assert!(took >= Duration::from_secs(10), "{took:?}");
    judge("R5", &run.finish());
}

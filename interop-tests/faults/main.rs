//! Faults under load, on real processes: what is killed, what must not be lost, and the figures.
//!
//! Group A of the fault catalogue as far as the cluster goes today. `STORMWIRE_LONG=1` runs full
//! counts, `STORMWIRE_SEED` repeats a run, `STORMWIRE_BIN` names the program under test.

mod rebalance;
mod run;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use run::{Relay, Run, Shape};
use stormwire::testing::cluster::eventually;
use stormwire::testing::nemesis::{Fault, Nemesis, Plan};

/// The program under test.
fn program() -> PathBuf {
    let named = std::env::var_os("STORMWIRE_BIN").map(PathBuf::from);
    named.unwrap_or_else(|| env!("CARGO_BIN_EXE_stormwire").into())
}

/// The ordinary run's count, or the long run's.
fn count(ordinary: usize, long: usize) -> usize {
    if std::env::var_os("STORMWIRE_LONG").is_some_and(|long| long == "1") {
        long
    } else {
        ordinary
    }
}

/// Strikes a running topology as planned, then lets it finish: nothing lost, nothing invented,
/// duplicates within what was pending.
fn strike(name: &str, seed: u64, n_strikes: usize, faults: &[Fault]) {
    strike_at((name, Relay::Shell), seed, n_strikes, faults);
}

/// The same to a topology with such a relay.
fn strike_at((name, relay): (&str, Relay), seed: u64, n_strikes: usize, faults: &[Fault]) {
    let plan = Plan {
        n_strikes,
        faults: faults.to_vec(),
        pause_ms: 1_000..3_000,
        down_ms: 200..3_000,
    };
    let mut nemesis = Nemesis::new(seed, &plan);
    println!(
        "{name}: seed {}, {n_strikes} strikes of {faults:?}",
        nemesis.seed()
    );
    let shape = Shape { relay, n_ackers: 2 };
    let mut run = Run::start_as(&program(), 2, shape);
    let mut recoveries_ms = Vec::new();
    for strike in nemesis.strikes().to_vec() {
        run.work_for(Duration::from_millis(strike.after_ms));
        if run.carry_out(&strike) {
            nemesis.record(strike.fault);
            recoveries_ms.push(run.recover());
        }
    }
    let verdict = run.finish();
    recoveries_ms.sort_unstable();
    let percentile = |p: usize| recoveries_ms[(recoveries_ms.len() - 1) * p / 100];
    println!("{name}: {nemesis}");
    println!(
        "{name}: {verdict}; recovery p50 {} ms, p99 {} ms, max {} ms",
        percentile(50),
        percentile(99),
        percentile(100)
    );
    let n = nemesis.n_done();
    println!(
        "{name}: no loss in {n} faults bounds the rate of losing faults at {:.3} (95 %)",
        3.0 / n as f64
    );
    assert_eq!(
        (verdict.n_lost, verdict.n_invented),
        (0, 0),
        "{name}: {verdict}"
    );
    let again_max = (run::PENDING_MAX * run::N_SPOUTS + run::UNCOMMITTED_MAX) * n as u64;
    assert!(
        verdict.n_duplicates <= again_max,
        "{name}: more duplicates than were pending or not yet committed: {verdict}"
    );
}

#[test]
fn a1_workers_killed_at_random() {
    strike("A1", 1, count(20, 100), &[Fault::KillWorker]);
}

#[test]
fn a2_all_workers_at_once() {
    strike("A2", 2, count(3, 20), &[Fault::KillAllWorkers]);
}

#[test]
fn a4_supervisor_and_its_workers() {
    strike("A4", 4, count(3, 20), &[Fault::KillNode]);
}

#[test]
fn a8_the_ackers_worker() {
    strike("A8", 8, count(4, 20), &[Fault::KillAckerWorker]);
}

#[test]
fn shell_children_killed_at_random() {
    strike("shell", 5, count(10, 50), &[Fault::KillShellChild]);
}

/// What windows hold dies with their worker, and comes again.
#[test]
fn workers_of_windows_killed_at_random() {
    let faults = [Fault::KillWorker];
    strike_at(("windows", Relay::Windows), 11, count(4, 40), &faults);
}

#[test]
fn workers_that_are_the_topologys_own_program() {
    let faults = [Fault::KillWorker, Fault::KillSupervisor, Fault::KillNimbus];
    strike_at(("program", Relay::Program), 11, count(6, 40), &faults);
}

#[test]
fn everything_in_turn() {
    let all = [
        Fault::KillWorker,
        Fault::KillShellChild,
        Fault::KillSupervisor,
        Fault::KillNimbus,
    ];
    strike("all", 9, count(8, 60), &all);
}

#[test]
fn a3_a_supervisor_that_dies_leaves_its_workers_alone() {
    let n_kills = count(4, 20);
    let mut run = Run::start(&program(), 2);
    let before = run.worker_pids();
    for index in 0..n_kills {
        let name = format!("supervisor-{}", index % 2);
        run.cluster.kill(&name);
        run.work_for(Duration::from_millis(1_500));
        run.cluster.restart(&name);
        run.work_for(Duration::from_millis(1_500));
    }
    assert_eq!(
        run.worker_pids(),
        before,
        "workers must keep their processes"
    );
    let verdict = run.finish();
    println!("A3: {n_kills} supervisors killed, workers moved 0, {verdict}");
    assert_eq!(
        (verdict.n_lost, verdict.n_invented, verdict.n_duplicates),
        (0, 0, 0)
    );
}

#[test]
fn a5_nimbus_killed_under_load_and_during_submits() {
    let n_kills = count(6, 40);
    let mut run = Run::start(&program(), 2);
    let before = run.worker_pids();
    for index in 0..n_kills {
        // Killed at a different moment of the submit each time, from before it began to after it
        // ended.
        let submitted = run.submit_while_nimbus_dies(&format!("half-{index}"), 4 * index as u64);
        run.cluster.restart("nimbus");
        run.check_whole_or_absent(&format!("half-{index}"), submitted);
        run.work_for(Duration::from_millis(500));
    }
    assert_eq!(
        run.worker_pids_of("ledger"),
        before,
        "a restart of Nimbus must move no worker"
    );
    let verdict = run.finish();
    println!(
        "A5: {n_kills} times Nimbus killed, half-made topologies 0, workers moved 0, {verdict}"
    );
    assert_eq!(
        (verdict.n_lost, verdict.n_invented, verdict.n_duplicates),
        (0, 0, 0)
    );
}

#[test]
fn a12_a_topology_that_dies_at_start_does_not_disturb_its_neighbour() {
    let mut run = Run::start(&program(), 2);
    let before = run.worker_pids();
    run.submit_crasher("crasher");
    let started = Instant::now();
    eventually("the reason of the crash is shown", || {
        run.errors_of("crasher")
            .iter()
            .any(|error| error.contains("no-such-program"))
    });
    println!(
        "A12: reason shown {} ms after the submit",
        started.elapsed().as_millis()
    );
    // Time for several restarts.
    run.work_for(Duration::from_secs(8));
    assert_eq!(
        run.worker_pids_of("ledger"),
        before,
        "the neighbour's workers must not restart"
    );
    let verdict = run.finish();
    println!("A12: neighbour: {verdict}");
    assert_eq!(
        (verdict.n_lost, verdict.n_invented, verdict.n_duplicates),
        (0, 0, 0)
    );
}

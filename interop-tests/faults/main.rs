//! Faults under load, on real processes: what is killed, what must not be lost, and the figures.
//!
//! Here is group A of the fault catalogue, processes; `links` has group B, `strain` topologies that
//! are faults themselves, `nearness` no faults at all. `STORMWIRE_LONG=1` runs full counts, `STORMWIRE_SEED` repeats a run,
//! `STORMWIRE_BIN` names the program under test.

mod certificates;
mod graphs;
mod links;
mod nearness;
mod proxy;
mod rebalance;
mod run;
mod strain;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use run::{Relay, Run, Shape};
use stormwire::testing::cluster::eventually;
use stormwire::testing::figures::figure;
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
    strike_shape((name, Shape::new(relay, 2)), seed, n_strikes, faults);
}

/// The same to a topology of such a shape.
fn strike_shape((name, shape): (&str, Shape), seed: u64, n_strikes: usize, faults: &[Fault]) {
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
    let mut run = Run::start_as(&program(), 2, shape);
    let (mut recoveries_ms, mut uncommitted) = (Vec::new(), Vec::new());
    for strike in nemesis.strikes().to_vec() {
        run.work_for(Duration::from_millis(strike.after_ms));
        if let Some(n_uncommitted) = run.carry_out(&strike) {
            nemesis.record(strike.fault);
            uncommitted.push(n_uncommitted);
            recoveries_ms.push(run.recover());
        }
    }
    let verdict = run.finish();
    recoveries_ms.sort_unstable();
    let percentile = |p: usize| recoveries_ms[(recoveries_ms.len() - 1) * p / 100];
    println!("{name}: {nemesis}");
    let told = format!(
        "{name}: {faults:?}: {verdict}; recovery p50 {} ms, p99 {} ms, max {} ms",
        percentile(50),
        percentile(99),
        percentile(100)
    );
    figure(name.split(' ').next().unwrap_or(name), &told);
    let n = nemesis.n_done();
    let n_idle = uncommitted.iter().filter(|n| **n == 0).count();
    println!("{name}: not committed at the strikes: {uncommitted:?}");
    assert!(
        n + 1 >= n_strikes,
        "{name}: {n} victims in {n_strikes} strikes"
    );
    assert!(
        n_idle * 4 <= n,
        "{name}: {n_idle} of {n} strikes met nothing at work"
    );
    println!(
        "{name}: no loss in {n} faults bounds the rate of losing faults at {:.3} (95 %)",
        3.0 / n as f64
    );
    assert_eq!(
        (verdict.n_lost, verdict.n_invented),
        (0, 0),
        "{name}: {verdict}"
    );
    // And what was fed until each strike was felt.
    let fed_since = run::PENDING_MAX * run::N_SPOUTS * n as u64;
    let again_max = uncommitted.iter().sum::<u64>() + fed_since;
    assert!(
        verdict.n_duplicates <= again_max,
        "{name}: more duplicates than were pending or not yet committed: {verdict}"
    );
}

fn shell() -> Shape {
    Shape::new(Relay::Shell, 2)
}

#[test]
fn a1_workers_killed_at_random() {
    strike("A1", 1, count(20, 100), &[Fault::KillWorker]);
}

#[test]
fn a1_workers_of_four_killed_at_random() {
    let shape = Shape {
        n_workers: 4,
        ..Shape::new(Relay::Native, 4)
    };
    strike_shape(
        ("A1 four", shape),
        12,
        count(4, 100),
        &[Fault::KillWorker, Fault::KillAckerWorker],
    );
}

#[test]
fn a1_workers_with_encrypted_and_compressed_links() {
    let files = tempfile::tempdir().expect("a directory");
    let shape = Shape::new(Relay::Native, 2).with("stormwire.link.compression", "always");
    let shape = certificates::encrypted(shape, files.path());
    strike_shape(
        ("A1 encrypted", shape),
        13,
        count(4, 100),
        &[Fault::KillWorker, Fault::KillAllWorkers],
    );
}

/// Paused for less than the time-out nobody minds; for longer it is replaced, once.
#[test]
fn a7_a_worker_that_is_paused() {
    let mut run = Run::start_as(&program(), 2, Shape::new(Relay::Native, 2));
    let before = run.worker_pids();
    let (_, paused) = run.workers_of("ledger").swap_remove(0);
    run.feed_burst();
    paused.process.signal(Signal::SIGSTOP);
    run.work_for(Duration::from_secs(2));
    paused.process.signal(Signal::SIGCONT);
    run.recover();
    assert_eq!(run.worker_pids(), before, "a short pause costs nothing");

    let mut n_replaced = 0;
    for _ in 0..count(1, 10) {
        let before = run.worker_pids();
        let (_, paused) = run.workers_of("ledger").swap_remove(0);
        run.feed_burst();
        paused.process.signal(Signal::SIGSTOP);
        eventually("it is replaced", || {
            run.work_for(Duration::from_millis(100));
            let now = run.worker_pids();
            now.len() == 2 && !now.contains(&paused.process.pid)
        });
        run.recover();
        let now = run.worker_pids();
        assert_eq!(now.difference(&before).count(), 1, "replaced once");
        n_replaced += 1;
    }
    let verdict = run.finish();
    figure(
        "A7",
        &format!("{n_replaced} workers paused and replaced, {verdict}"),
    );
    assert_eq!((verdict.n_lost, verdict.n_invented), (0, 0), "{verdict}");
}

/// How often workers of the ledger topology heard from Nimbus that their work is over.
fn told_to_stop(run: &Run) -> usize {
    let logs = run.worker_logs("ledger").into_iter();
    logs.map(|log| log.matches("the slot is no longer").count())
        .sum()
}

/// How often workers of the ledger topology refused one whose work is another's.
fn refused_as_outdated(run: &Run) -> usize {
    let logs = run.worker_logs("ledger").into_iter();
    logs.map(|log| log.matches("the slot has no work since").count())
        .sum()
}

/// `eventually` for what is measured: looks as often as it can.
fn eventually_exactly(what: &str, mut is_so: impl FnMut() -> bool) {
    let soon = Instant::now() + Duration::from_secs(5);
    while Instant::now() < soon {
        if is_so() {
            return;
        }
    }
    eventually(what, is_so);
}

/// Nobody is there to end it when its work has gone elsewhere: it ends itself, at once and without
/// having to be told.
#[test]
fn a7_a_worker_that_wakes_up_without_its_supervisor() {
    let mut run = Run::start(&program(), 2);
    let (of, paused) = run.workers_of("ledger").swap_remove(0);
    run.cluster.kill(&of);
    run.feed_burst();
    paused.process.signal(Signal::SIGSTOP);
    eventually("its work is elsewhere", || {
        run.work_for(Duration::from_millis(100));
        let workers = run.workers_of("ledger");
        workers.iter().filter(|(name, _)| *name != of).count() == 2
    });
    run.recover();
    let (n_asked, n_refused) = (told_to_stop(&run), refused_as_outdated(&run));
    paused.process.signal(Signal::SIGCONT);
    let woken = Instant::now();
    eventually_exactly("it ends itself", || !paused.process.is_alive());
    let two_owners_us = woken.elapsed().as_micros();
    let logs = run.worker_logs("ledger").concat();
    assert!(
        logs.contains("was paused for longer than Nimbus waits"),
        "it says why: {logs}"
    );
    assert_eq!(told_to_stop(&run), n_asked, "it asked nobody");
    // The others have closed its connections: whatever it wants to say begins with another one.
    assert_eq!(refused_as_outdated(&run), n_refused, "nobody heard of it");
    eventually("its shell children are gone", || {
        paused.children.iter().all(|child| !child.is_alive())
    });
    run.cluster.restart(&of);
    run.recover();
    let verdict = run.finish();
    figure(
        "A7",
        &format!(
            "two owners for {} ms after it woke ({two_owners_us} us until its process was gone), \
             {verdict}",
            two_owners_us / 1000
        ),
    );
    assert_eq!((verdict.n_lost, verdict.n_invented), (0, 0), "{verdict}");
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
    strike("A1 shell", 5, count(10, 50), &[Fault::KillShellChild]);
}

/// What windows hold dies with their worker, and comes again.
#[test]
fn workers_of_windows_killed_at_random() {
    let faults = [Fault::KillWorker];
    strike_at(("A1 windows", Relay::Windows), 11, count(4, 40), &faults);
}

#[test]
fn workers_that_are_the_topologys_own_program() {
    let faults = [Fault::KillWorker, Fault::KillSupervisor, Fault::KillNimbus];
    strike_at(
        ("A1 program", Relay::Program(&["relay"])),
        11,
        count(6, 40),
        &faults,
    );
}

#[test]
fn everything_in_turn() {
    let all = [
        Fault::KillWorker,
        Fault::KillShellChild,
        Fault::KillSupervisor,
        Fault::KillNimbus,
    ];
    strike("A1 all", 9, count(8, 60), &all);
}

#[test]
fn a3_a_supervisor_that_dies_leaves_its_workers_alone() {
    let n_kills = count(4, 20);
    let mut run = Run::start_as(&program(), 2, shell().unhurried());
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
    figure(
        "A3",
        &format!("{n_kills} supervisors killed, workers moved 0, {verdict}"),
    );
    assert_eq!(
        (verdict.n_lost, verdict.n_invented, verdict.n_duplicates),
        (0, 0, 0)
    );
}

#[test]
fn a5_nimbus_killed_under_load_and_during_submits() {
    let n_kills = count(6, 40);
    let mut run = Run::start_as(&program(), 2, shell().unhurried());
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
    figure(
        "A5",
        &format!("{n_kills} times Nimbus killed, half-made 0, workers moved 0, {verdict}"),
    );
    assert_eq!(
        (verdict.n_lost, verdict.n_invented, verdict.n_duplicates),
        (0, 0, 0)
    );
}

#[test]
fn a12_a_topology_that_dies_at_start_does_not_disturb_its_neighbour() {
    let mut run = Run::start_as(&program(), 2, shell().unhurried());
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
    figure(
        "A12",
        &format!("neighbour of one that dies at start: {verdict}"),
    );
    assert_eq!(
        (verdict.n_lost, verdict.n_invented, verdict.n_duplicates),
        (0, 0, 0)
    );
}

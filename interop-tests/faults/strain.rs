//! Topologies that strain a cluster by themselves: bolts that sleep, loops, huge fan-outs, hot keys,
//! components that make every mistake (rows B12 to B14 of the catalogue, and what an emit may not).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::time::{Duration, Instant};

use serde_json::Value;
use stormwire::testing::cluster::eventually;
use stormwire::testing::figures::figure;
use stormwire::testing::ledger::{Deal, Verdict};

use crate::run::{self, Relay, Run, Shape};
use crate::{count, program};

/// Without a bound on what spouts have pending: only back pressure holds them. Time-outs are beyond
/// any nap.
fn unbounded(args: &'static [&'static str], n_ackers: u64) -> Shape {
    Shape::new(Relay::Program(args), n_ackers)
        .with("topology.max.spout.pending", Value::Null)
        .with("topology.message.timeout.secs", count(120, 7_200))
}

fn finish(run: &mut Run, n_ackers: u64) -> Verdict {
    match n_ackers {
        0 => run.finish_untracked(),
        _ => run.finish(),
    }
}

/// Nothing failed, so nothing may come twice.
fn check(what: &str, verdict: &Verdict) {
    assert_eq!(
        (verdict.n_lost, verdict.n_invented, verdict.n_duplicates),
        (0, 0, 0),
        "{what}: {verdict}"
    );
}

fn b12(n_ackers: u64) {
    let what = match n_ackers {
        0 => "without ackers",
        _ => "with ackers",
    };
    let shape = unbounded(&["sleeping", "NAP"], n_ackers)
        .with("topology.executor.receive.buffer.size", QUEUE_TUPLES)
        .with("stormwire.link.window.bytes", WINDOW_BYTES);
    let mut run = Run::prepare(&program(), 2, &shape);
    let nap = run.path("nap");
    run.submit_ledger(&program(), shape.relay);
    run.feed_many(100);
    run.await_workers(&shape);
    // Awake it sees an id through.
    eventually("ids arrive", || run.ledger.n_sunk_bytes() > 0);
    let before = run.worker_pids();
    let rss_awake = run.rss_kib();
    File::create(&nap).expect("the run's directory can be written");
    // A kilobyte each, all told far more than queues and windows have room for.
    let n_ids = count(60_000, 600_000) as u64;
    run.feed_many(n_ids);
    eventually("back pressure has reached the source", || is_at_rest(&run));
    let rss_full = run.rss_kib();
    let (began, mut rss_max) = (Instant::now(), rss_full);
    while began.elapsed() < Duration::from_secs(count(3, 1_800) as u64) {
        std::thread::sleep(Duration::from_millis(100));
        rss_max = rss_max.max(run.rss_kib());
    }
    let secs = began.elapsed().as_secs();
    let (filled, crept) = (rss_full.saturating_sub(rss_awake), rss_max - rss_full);
    fs::remove_file(&nap).expect("the file is there");
    let verdict = finish(&mut run, n_ackers);
    figure(
        "B12",
        &format!(
            "{what}: a worker grew by {filled} KiB until its spouts rested, by {crept} KiB in \
             {secs} s of a sleeping bolt ({} MB were to come), {verdict}",
            n_ids >> 10
        ),
    );
    check(what, &verdict);
    assert_eq!(
        run.worker_pids(),
        before,
        "no worker restarts for a slow bolt"
    );
    assert!(
        filled < FULL_KIB_MAX,
        "{what}: {filled} KiB until it is full"
    );
    assert!(
        crept < CREPT_KIB_MAX,
        "{what}: {crept} KiB in {secs} s of sleep"
    );
}

/// Whether no spout reads any further in the source's file, which has more.
fn is_at_rest(run: &Run) -> bool {
    let before = read_so_far(run);
    for _ in 0..60 {
        std::thread::sleep(Duration::from_millis(50));
        if read_so_far(run) != before {
            return false;
        }
    }
    let length = fs::metadata(run.ledger.source()).map_or(0, |data| data.len());
    !before.is_empty() && before.iter().all(|position| *position < length)
}

/// Where in the source's file the workers' descriptors stand.
fn read_so_far(run: &Run) -> Vec<u64> {
    let mut positions = Vec::new();
    for pid in run.worker_pids() {
        let open = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten();
        for entry in open.flatten() {
            if fs::read_link(entry.path()).is_ok_and(|path| path == run.ledger.source()) {
                let fd = entry.file_name().to_string_lossy().into_owned();
                let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}"));
                let info = info.unwrap_or_default();
                let position = info.lines().find_map(|line| line.strip_prefix("pos:"));
                positions.extend(position.and_then(|text| text.trim().parse::<u64>().ok()));
            }
        }
    }
    positions
}

#[test]
fn b12_a_bolt_that_sleeps_with_ackers() {
    b12(2);
}

#[test]
fn b12_a_bolt_that_sleeps_without_ackers() {
    b12(0);
}

fn b13(n_ackers: u64) {
    let shape = unbounded(&["cycle"], n_ackers)
        .with("topology.executor.receive.buffer.size", 64)
        .with("stormwire.link.window.bytes", 4_096);
    let mut run = Run::start_as(&program(), 2, shape);
    let before = run.worker_pids();
    run.feed_many(count(10_000, 1_000_000) as u64);
    let (mut stalled_max, mut last) = (Duration::ZERO, (0, Instant::now()));
    eventually("all went round", || {
        let n_bytes = run.ledger.n_sunk_bytes();
        if n_bytes != last.0 {
            last = (n_bytes, Instant::now());
        }
        stalled_max = stalled_max.max(last.1.elapsed());
        run.ledger.n_committed() >= run.ledger.n_fed()
    });
    let verdict = finish(&mut run, n_ackers);
    figure(
        "B13",
        &format!(
            "{n_ackers} ackers: five rounds of each id past a slow bolt, at most {} ms without one \
             that arrives, {verdict}",
            stalled_max.as_millis()
        ),
    );
    check("loop", &verdict);
    assert_eq!(run.worker_pids(), before, "no worker restarts for a loop");
}

#[test]
fn b13_a_loop_with_a_slow_bolt() {
    b13(2);
}

#[test]
fn b13_a_loop_with_a_slow_bolt_without_ackers() {
    b13(0);
}

#[test]
fn b14_a_hundred_thousand_children_in_one_call() {
    let shape = unbounded(&["fanout", "100000"], 2);
    let mut run = Run::prepare(&program(), 2, &shape);
    run.submit_ledger(&program(), shape.relay);
    run.await_workers(&shape);
    let before = run.worker_pids();
    let rss_before = run.rss_kib();
    let mut rss_max = 0;
    run.feed_many(count(6, 400) as u64);
    eventually("all children came", || {
        rss_max = rss_max.max(run.rss_kib());
        run.ledger.n_committed() >= run.ledger.n_fed()
    });
    let verdict = run.finish();
    let grown = rss_max.saturating_sub(rss_before);
    figure(
        "B14",
        &format!("1:100,000 in one call, a worker grew by {grown} KiB, {verdict}"),
    );
    check("fan-out", &verdict);
    assert_eq!(run.worker_pids(), before, "no worker falls to a fan-out");
    assert!(grown < FANOUT_KIB_MAX, "{grown} KiB");
}

/// Nine of ten ids have one key: its task is all there is of speed, the queues before it are full.
#[test]
fn s1_a_hot_key() {
    let shape = Shape {
        deal: Deal::Hot,
        ..unbounded(&["hot"], 2)
    };
    let mut run = Run::start_as(&program(), 2, shape);
    let before = run.worker_pids();
    let rss_before = run.rss_kib();
    run.feed_many(count(20_000, 2_000_000) as u64);
    let mut rss_max = 0;
    eventually("all keys are through", || {
        rss_max = rss_max.max(run.rss_kib());
        run.ledger.n_committed() >= run.ledger.n_fed()
    });
    let verdict = run.finish();
    let n_overtaken = n_overtaken(&run);
    let grown = rss_max.saturating_sub(rss_before);
    figure(
        "S1",
        &format!(
            "nine of ten ids to one task, grown {grown} KiB, overtaken {n_overtaken}, {verdict}"
        ),
    );
    check("hot key", &verdict);
    assert_eq!(n_overtaken, 0, "first in, first out between each two tasks");
    assert_eq!(run.worker_pids(), before);
    assert!(grown < HOT_KIB_MAX, "{grown} KiB");
}

/// Ids that arrived behind one that the same spout emitted later for the same key. Asserts too that
/// each key has one task.
fn n_overtaken(run: &Run) -> usize {
    let mut tasks: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
    let mut n_overtaken = 0;
    let arrivals = run.ledger.arrivals().expect("the sinks' files");
    for (task, arrivals) in arrivals.iter().enumerate() {
        let mut last: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for arrival in arrivals.iter().filter(|arrival| arrival.attempt == 1) {
            tasks.entry(arrival.partition).or_default().insert(task);
            let pair = (arrival.number % run::N_SPOUTS, arrival.partition);
            let before = last.insert(pair, arrival.number);
            n_overtaken += usize::from(before > Some(arrival.number));
        }
    }
    assert!(tasks.values().all(|tasks| tasks.len() == 1), "{tasks:?}");
    n_overtaken
}

/// Panics, wrong emits, values that are too large: the tuple fails and comes again, the reason is
/// shown, and no worker notices.
#[test]
fn s2_a_component_that_makes_every_mistake() {
    let shape = Shape::new(Relay::Program(&["moody"]), 2)
        .with("topology.max.error.report.per.interval", 100);
    let mut run = Run::start_as(&program(), 2, shape);
    let before = run.worker_pids();
    // Each kind twice, which is as many errors as Nimbus keeps.
    run.feed_many(400);
    run.recover();
    let reasons = [
        "out of temper at",
        "declares 3 fields, the tuple has 2 values",
        "does not declare a stream `nowhere`",
        "a tuple may have 12000000",
        "no liking for",
    ];
    eventually("each reason is shown", || {
        let errors = run.errors_of("ledger");
        let is_shown = |reason: &&str| errors.iter().any(|error| error.contains(*reason));
        reasons.iter().all(is_shown)
    });
    for _ in 0..count(0, 10) {
        run.feed_many(700);
        run.recover();
    }
    let verdict = run.finish();
    let what = format!("{} kinds of mistakes shown by their reasons", reasons.len());
    figure("S2", &format!("{what}, {verdict}"));
    assert_eq!((verdict.n_lost, verdict.n_invented), (0, 0), "{verdict}");
    assert_eq!(
        run.worker_pids(),
        before,
        "a mistake is its component's alone"
    );
}

/// Room of each queue and each window in B12.
const QUEUE_TUPLES: u64 = 1_024;
const WINDOW_BYTES: u64 = 1 << 20;

/// Of a worker of B12: some queues of a thousand tuples of a kilobyte, windows, buffers.
const FULL_KIB_MAX: u64 = 48 << 10;

/// While nothing moves.
const CREPT_KIB_MAX: u64 = 4 << 10;

/// A hundred thousand rows with their trees, at both ends of a link, for two calls at once.
const FANOUT_KIB_MAX: u64 = 384 << 10;

/// Queues of the usual size.
const HOT_KIB_MAX: u64 = 128 << 10;

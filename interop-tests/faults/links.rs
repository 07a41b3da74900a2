//! Links between workers that are cut, deaf in one direction, forgotten, slow or damaged: group B of
//! the catalogue. No worker restarts for any of it, and nothing is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;
use stormwire::testing::cluster::eventually;
use stormwire::testing::figures::figure;
use stormwire::testing::ledger::Verdict;
use stormwire::wire::storm::RebalanceOptions;

use crate::proxy::Harm;
use crate::run::{self, Relay, Run, Shape};
use crate::{certificates, count, program};

/// A ledger topology over links that can be harmed.
fn start(shape: Shape) -> Run {
    let run = Run::start_as(&program(), 2, shape.apart());
    // Not only with the way between them: a link without a welcome breaks in another manner.
    eventually("both workers are connected", || {
        let n_welcomed = counts(&run, "messaging::client: connected");
        run.links.used().len() == 2 && n_welcomed.len() == 2 && !n_welcomed.contains(&0)
    });
    run
}

fn native() -> Shape {
    Shape::new(Relay::Native, 2)
}

/// The same with reconnects that wait for nothing, where many connections are to break.
fn hasty() -> Shape {
    native()
        .with("storm.messaging.netty.min_wait_ms", 1)
        .with("storm.messaging.netty.max_wait_ms", 20)
}

/// Nothing lost, nothing invented, at most what was pending doubled at each fault, and the same
/// processes as before.
fn judge(row: &str, what: &str, run: &mut Run, (before, n_faults): (&BTreeSet<i32>, u64)) {
    let verdict = run.finish();
    figure(row, &format!("{what}; workers restarted 0, {verdict}"));
    check(&verdict, n_faults);
    assert_eq!(&run.worker_pids(), before, "a worker restarted for a link");
}

fn check(verdict: &Verdict, n_faults: u64) {
    assert_eq!((verdict.n_lost, verdict.n_invented), (0, 0), "{verdict}");
    let again_max = run::PENDING_MAX * run::N_SPOUTS * n_faults;
    assert!(
        verdict.n_duplicates <= again_max,
        "more than {again_max} again: {verdict}"
    );
}

/// How often each worker's log has a text.
fn counts(run: &Run, text: &str) -> Vec<usize> {
    let logs = run.worker_logs("ledger");
    logs.iter().map(|log| log.matches(text).count()).collect()
}

#[test]
fn b1_workers_that_cannot_hear_each_other() {
    let mut run = start(native());
    let before = run.worker_pids();
    for secs in [7, 30, 120].into_iter().take(count(1, 3)) {
        let mut rss_max = run.rss_kib();
        let rss_before = rss_max;
        let both = Harm::Hold {
            to: true,
            from: true,
        };
        run.links.harm(both);
        let began = Instant::now();
        // Longer than the message time-out: trees fail and are tried again all the while.
        while began.elapsed() < Duration::from_secs(secs) {
            run.work_for(Duration::from_millis(200));
            rss_max = rss_max.max(run.rss_kib());
        }
        run.links.harm(Harm::None);
        let healed_ms = run.recover();
        let grown = rss_max.saturating_sub(rss_before);
        // Each turn of replays is what may be pending, again.
        let n_turns = 2 + began.elapsed().as_secs() / 5;
        let what = format!("cut for {secs} s, acks go on {healed_ms} ms after, grown {grown} KiB");
        judge("B1", &what, &mut run, (&before, n_turns));
        assert!(grown < GROWTH_KIB_MAX, "memory grew by {grown} KiB");
    }
}

#[test]
fn b2_workers_of_which_one_cannot_hear_the_other() {
    let mut run = start(native());
    let before = run.worker_pids();
    let mut n_faults = 0;
    for way in ["there", "back"].repeat(count(1, 4)) {
        let n_connections = run.links.n_connections();
        let reports = counts(&run, MUTE);
        let mut ends = run.links.used();
        if way == "back" {
            ends.reverse();
        }
        // Whatever the first sends to the other, be it tuples or replies to tuples.
        ends[0].harm(Harm::Hold {
            to: false,
            from: true,
        });
        ends[1].harm(Harm::Hold {
            to: true,
            from: false,
        });
        let began = Instant::now();
        eventually("both notice", || {
            run.work_for(Duration::from_millis(50));
            let now = counts(&run, MUTE);
            now.iter().zip(&reports).all(|(now, before)| now > before)
        });
        let noticed_ms = began.elapsed().as_millis();
        run.links.harm(Harm::None);
        let healed_ms = run.recover();
        n_faults += 2 + u64::try_from(noticed_ms / 5_000).unwrap_or(0);
        let n_connections = run.links.n_connections() - n_connections;
        let what = format!(
            "nothing passed {way}, both noticed after {noticed_ms} ms, acks go on {healed_ms} ms \
             after it does, {n_connections} connections"
        );
        judge("B2", &what, &mut run, (&before, n_faults));
    }
}

fn damaged_bytes(what: &str, reason: &str, shape: Shape) {
    let mut run = start(shape);
    let before = run.worker_pids();
    let (n_flips, every) = (count(15, 400) as u64, 6 << 10);
    run.links.harm(Harm::Flip(every));
    eventually("many bytes are damaged", || {
        run.work_for(Duration::from_millis(50));
        run.links.n_flipped() >= n_flips
    });
    run.links.harm(Harm::None);
    let (n_bytes, n_flipped) = (run.links.n_bytes(), run.links.n_flipped());
    let verdict = run.finish();
    let what = format!("{what}: {n_flipped} bytes of {n_bytes} damaged, {verdict}");
    figure("B7", &format!("{what}, damaged ones delivered 0"));
    check(&verdict, n_flipped);
    assert_eq!(run.worker_pids(), before, "a worker fell to a damaged byte");
    eventually("the damage is named", || {
        let logs = run.worker_logs("ledger");
        logs.iter().all(|log| log.contains(reason))
    });
}

#[test]
fn b7_damaged_bytes() {
    damaged_bytes("plain", DAMAGED, hasty());
}

#[test]
fn b7_damaged_bytes_of_encrypted_links() {
    let files = tempfile::tempdir().expect("a directory");
    let shape = certificates::encrypted(hasty(), files.path());
    damaged_bytes("encrypted", "link is down", shape);
}

#[test]
fn b8_connections_that_vanish_without_a_word() {
    let mut run = start(native());
    let before = run.worker_pids();
    let n_times = count(1, 20);
    let mut took_ms = Vec::new();
    for _ in 0..n_times {
        run.feed_burst();
        let n_connections = run.links.n_connections();
        let began = Instant::now();
        run.links.forget();
        eventually("both sides connect anew", || {
            run.work_for(Duration::from_millis(50));
            run.links.n_connections() >= n_connections + 2
        });
        took_ms.push(began.elapsed().as_millis());
        run.recover();
    }
    took_ms.sort_unstable();
    let (n, max) = (n_times as u64, took_ms[took_ms.len() - 1]);
    let what = format!("{n} times forgotten, new connections after {max} ms at most");
    judge("B8", &what, &mut run, (&before, 4 * n));
}

#[test]
fn b9_connections_that_end_at_any_byte() {
    let mut run = start(hasty());
    let before = run.worker_pids();
    let n_cuts = count(60, 3_000) as u64;
    // From within the greeting to a thousand bytes behind it.
    run.links.harm(Harm::Cut(37));
    run.links.sever();
    eventually("enough connections were cut", || {
        run.work_for(Duration::from_millis(50));
        run.links.n_cut() >= n_cuts
    });
    run.links.harm(Harm::None);
    let n_cut = run.links.n_cut();
    run.recover();
    let what = format!("{n_cut} connections cut at as many places, half tuples 0");
    judge("B9", &what, &mut run, (&before, n_cut));
}

#[test]
fn b10_workers_come_back_on_the_same_ports_with_other_tasks() {
    let shape = Shape::new(Relay::Keyed, 2);
    let mut run = Run::start_as(&program(), 2, shape);
    let n_rounds = count(4, 30);
    let mut n_uncommitted = 0;
    for round in 0..n_rounds {
        let n_workers = [3, 2, 4, 1][round % 4];
        n_uncommitted += run.load();
        // One lives on, with frames for those that were there.
        let workers = run.workers_of("ledger");
        let n_spared = usize::from(workers.len() > 1);
        for (_, worker) in workers.into_iter().skip(n_spared) {
            worker.process.signal(nix::sys::signal::SIGKILL);
        }
        run.rebalance(&RebalanceOptions {
            wait_secs: Some(0),
            num_workers: Some(n_workers),
            ..RebalanceOptions::default()
        });
        run.recover();
    }
    let verdict = run.finish();
    // Each partition has one task, whatever worker that is on.
    let arrivals = run.ledger.arrivals().expect("the sinks' files");
    let mut tasks: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
    for (task, arrivals) in arrivals.iter().enumerate() {
        for arrival in arrivals {
            tasks.entry(arrival.partition).or_default().insert(task);
        }
    }
    let n_misdelivered = tasks.values().filter(|tasks| tasks.len() > 1).count();
    figure(
        "B10",
        &format!(
            "{n_rounds} times killed and placed anew, misdelivered {n_misdelivered}, {verdict}"
        ),
    );
    assert_eq!(n_misdelivered, 0, "{tasks:?}");
    assert_eq!((verdict.n_lost, verdict.n_invented), (0, 0), "{verdict}");
    let again_max = n_uncommitted + 2 * run::PENDING_MAX * run::N_SPOUTS * n_rounds as u64;
    assert!(verdict.n_duplicates <= again_max, "{verdict}");
}

/// Far less than the topology could do: the spout waits, and nobody takes a worker for dead.
#[test]
fn b11_a_slow_link() {
    let mut run = start(native().with("topology.max.spout.pending", Value::Null));
    let before = run.worker_pids();
    let rss_before = run.rss_kib();
    run.links.harm(Harm::Slow(count(40_000, 125_000) as u64));
    let n_bytes = run.links.n_bytes();
    for _ in 0..count(20, 200) {
        run.feed_many(2_000);
        run.work_for(Duration::from_millis(250));
    }
    let grown = run.rss_kib().saturating_sub(rss_before);
    let n_slowly = run.links.n_bytes() - n_bytes;
    run.links.harm(Harm::None);
    let verdict = run.finish();
    figure(
        "B11",
        &format!("{n_slowly} bytes over a slow link, grown {grown} KiB, {verdict}"),
    );
    assert_eq!((verdict.n_lost, verdict.n_invented), (0, 0), "{verdict}");
    assert_eq!(run.worker_pids(), before, "a worker restarted for a link");
    assert!(grown < GROWTH_KIB_MAX, "memory grew by {grown} KiB");
}

/// What no worker sends, on a worker's port, while its topology runs: each is closed for a reason
/// that the log has, and costs nobody anything.
#[test]
fn f4_strange_frames_on_a_workers_port() {
    let mut run = start(native());
    let before = run.worker_pids();
    run.feed_burst();
    run.recover();
    let front = run.links.used()[0].clone();
    let recorded = front.recorded();
    let n_hello = 4 + u32::from_be_bytes(recorded[..4].try_into().expect("a length")) as usize;
    let mut foreign = recorded[..n_hello].to_vec();
    let id = b"ledger-";
    let place = foreign.windows(id.len()).position(|part| part == id);
    foreign[place.expect("a greeting names its topology")] ^= 1;
    let oversized = [&0x7fff_ffff_i32.to_be_bytes()[..], &[0; 64]].concat();
    let (hello, replayed) = recorded.split_at(n_hello);
    let garbage = b"GET / HTTP/1.1\r\n\r\n";
    let misplaced = [hello, &[0; 64]].concat();
    // What is said first, what after the answer, and the reason.
    let cases: [(&str, &[u8], &[u8], &str); 6] = [
        ("garbage", garbage, &[], "1195725856 bytes announced"),
        (
            "oversized greeting",
            &oversized,
            &[],
            "2147483647 bytes announced",
        ),
        ("foreign", &foreign, &[], "here runs ledger-"),
        ("oversized", hello, &oversized, "2147483647 bytes announced"),
        ("malformed", hello, &misplaced, DAMAGED),
        ("replayed", hello, replayed, DAMAGED),
    ];
    let n_cases = cases.len();
    for (name, first, then, reason) in cases {
        let n_before: usize = counts(&run, reason).iter().sum();
        let mut stranger = TcpStream::connect(front.door.behind).expect("the worker listens");
        let patience = stranger.set_read_timeout(Some(Duration::from_secs(30)));
        patience.expect("a socket takes a time-out");
        // Some are closed before all is written or read.
        let _ = stranger.write_all(first);
        let mut answer = vec![0; 4];
        if !then.is_empty() && stranger.read_exact(&mut answer).is_ok() {
            let _ = stranger.write_all(then);
        }
        let _ = stranger.read_to_end(&mut answer);
        eventually(&format!("{name}: the reason is in the log"), || {
            counts(&run, reason).iter().sum::<usize>() > n_before
        });
        run.recover();
    }
    let what = format!("{n_cases} kinds of strange frames closed, each by its reason");
    judge("F4", &what, &mut run, (&before, n_cases as u64));
}

/// What a worker may grow by while its links are harmed: windows and buffers of a few megabytes,
/// and what the allocator keeps.
const GROWTH_KIB_MAX: u64 = 64 << 10;

const MUTE: &str = "the peer has said nothing for";
const DAMAGED: &str = "damaged, repeated or out of turn";

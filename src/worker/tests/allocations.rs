//! What a link between two workers allocates once it runs: nothing, on none of the threads. Over
//! TLS what the library takes for each of its records. An engine with many receivers neither;
//! chains of few are `bench::guards`'s.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::links::{Plan, blocking};
use super::support::*;
use crate::auth::link_authority::LinkAuthority;
use crate::auth::link_conf::LinkEncryption;
use crate::auth::link_tls::LinkTls;
use crate::component::{Bolt, Collector, Result, Spout, SpoutCollector, TaskContext};
use crate::conf::{Conf, keys};
use crate::messaging::packing::Packing;
use crate::messaging::transport::LinkSecurity;
use crate::testing::allocations;
use crate::tuple::{Tuple, Value};
use crate::values;
use crate::wire::messages::LinkKeys;
use crate::worker::engine::EngineOptions;
use crate::worker::rest::Time;

/// What the test and the threads that count share.
#[derive(Default)]
struct Stage {
    n_emitted: AtomicU64,
    n_executed: AtomicU64,
    /// Who stands still.
    stalled: Mutex<Option<&'static str>>,
}

/// Counts what its thread allocates, window by window of `WINDOW` tuples of the topology.
struct Probe {
    who: &'static str,
    stage: Arc<Stage>,
    found: SyncSender<Found>,
    n_executed: u64,
    n_before: u64,
}

/// Whose thread, and what a window of it came to.
type Found = (&'static str, u64);

/// Emits words of all lengths up to what fits a cell, and numbers.
struct Words {
    is_tracked: bool,
    n_emitted: i64,
    probe: Probe,
}

/// Acks what comes.
struct Sink {
    stage: Arc<Stage>,
    /// Of the last task.
    probe: Option<Probe>,
}

// === impl Stage ===

impl Stage {
    /// Has each of them stand still in turn until nothing moves any more. As much is under way then
    /// as ever can be, and what that takes is there from then on.
    fn fill(&self, everybody: &[&'static str]) {
        for who in everybody.iter().chain(everybody) {
            *self.stalled.lock().unwrap() = Some(who);
            let mut n_before = self.count();
            loop {
                thread::sleep(STILL);
                let n_now = self.count();
                if n_now == std::mem::replace(&mut n_before, n_now) {
                    break;
                }
            }
            *self.stalled.lock().unwrap() = None;
            eventually("it goes on", || self.count().1 > n_before.1 + WINDOW);
        }
    }

    fn count(&self) -> (u64, u64) {
        let [emitted, executed] =
            [&self.n_emitted, &self.n_executed].map(|n| n.load(Ordering::SeqCst));
        (emitted, executed)
    }
}

// === impl Probe ===

impl Probe {
    fn new(who: &'static str, stage: &Arc<Stage>, found: &SyncSender<Found>) -> Self {
        Probe {
            who,
            stage: stage.clone(),
            found: found.clone(),
            n_executed: 0,
            n_before: 0,
        }
    }

    /// At the end of a window: what this thread allocated in it.
    fn look(&mut self) {
        while *self.stage.stalled.lock().unwrap() == Some(self.who) {
            thread::sleep(Duration::from_millis(1));
        }
        let n_executed = self.stage.n_executed.load(Ordering::Relaxed);
        if n_executed >= self.n_executed + WINDOW {
            let n_counted = allocations::on_this_thread() - self.n_before;
            // Nobody waits any more once the test has seen enough.
            let _ = self.found.send((self.who, n_counted));
            self.n_executed = n_executed;
            self.n_before = allocations::on_this_thread();
        }
    }
}

impl Spout for Words {
    fn open(&mut self, _: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        self.probe.look();
        self.probe.stage.n_emitted.fetch_add(1, Ordering::Relaxed);
        self.n_emitted += 1;
        let number = self.n_emitted;
        let word = &LETTERS[..number as usize % (LETTERS.len() + 1)];
        match self.is_tracked {
            false => out.emit(values![word, number]),
            true => out.emit_reliable(values![word, number], Value::Long(number)),
        }
    }
}

impl Bolt for Sink {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        if context.tasks_of("sink").any(|task| task > context.task()) {
            self.probe = None;
        }
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        self.stage.n_executed.fetch_add(1, Ordering::Relaxed);
        if let Some(probe) = &mut self.probe {
            probe.look();
        }
        out.ack(tuple);
        Ok(())
    }
}

/// Counts on the thread that serves the links of both workers.
async fn watch_links(mut probe: Probe, mut stopped: watch::Receiver<bool>) {
    while tokio::time::timeout(Duration::from_millis(1), stopped.wait_for(|is| *is))
        .await
        .is_err()
    {
        probe.look();
    }
}

/// After everything was full once: runs until as many windows in a row as are wanted had no more
/// than `enough(who)` each, and gives for each thread what it counted in all of them. Not all have
/// none: when a thread is held up for longer than ever before, or by more and smaller batches, that
/// takes memory once.
#[track_caller]
fn run_until_steady(
    stage: &Stage,
    finds: &Receiver<Found>,
    (everybody, enough): (&[&'static str], impl Fn(&str) -> u64),
) -> BTreeMap<&'static str, Vec<u64>> {
    eventually("tuples flow", || stage.count().1 > WINDOW);
    stage.fill(everybody);
    while finds.try_recv().is_ok() {}
    let mut windows: BTreeMap<_, Vec<u64>> = everybody.iter().map(|who| (*who, vec![])).collect();
    let (mut n_windows, mut n_steady) = (0, 0);
    while n_steady < N_STEADY * everybody.len() {
        let (who, n_counted) = finds.recv_timeout(PATIENCE).expect("tuples flow");
        windows.get_mut(who).unwrap().push(n_counted);
        n_windows += 1;
        n_steady += 1;
        if n_counted > enough(who) {
            n_steady = 0;
        }
        assert!(n_windows < WINDOWS_MAX, "never steady: {windows:?}");
    }
    windows
}

/// A spout and so many sinks behind it.
fn topology(
    (is_tracked, n_sinks): (bool, i32),
    stage: &Arc<Stage>,
    found: &SyncSender<Found>,
) -> Topology {
    let (of_spout, of_sink) = (
        (stage.clone(), found.clone()),
        (stage.clone(), found.clone()),
    );
    Topology::new()
        .conf(keys::TOPOLOGY_ACKER_EXECUTORS, u64::from(is_tracked))
        .conf(keys::TOPOLOGY_MAX_SPOUT_PENDING, 5000)
        .spout(("spout", 1), &["word", "number"], move || Words {
            is_tracked,
            n_emitted: 0,
            probe: Probe::new("spout", &of_spout.0, &of_spout.1),
        })
        .bolt(("sink", n_sinks), &[], move || Sink {
            stage: of_sink.0.clone(),
            probe: Some(Probe::new("sink", &of_sink.0, &of_sink.1)),
        })
        .connect("spout", "sink", shuffle())
}

/// Runs tuples from one worker to the other: the spout is in the one, the sink in the other, the
/// acker at home with `at_home`.
async fn run(
    (is_tracked, at_home): (bool, &[&str]),
    (security, packing): (LinkSecurity, Packing),
    enough: impl Fn(&str) -> u64 + Send + 'static,
) -> BTreeMap<&'static str, Vec<u64>> {
    let (found, finds) = sync_channel::<Found>(WINDOWS_MAX);
    let stage: Arc<Stage> = Arc::default();
    let plan = Plan {
        // Each second statistics are shown, which takes some allocations.
        time: Time::Simulated(Arc::default()),
        security,
        packing,
        ..Plan::of(topology((is_tracked, 1), &stage, &found))
    };
    let (a, b) = plan.start(at_home, LINK_WINDOW).await;
    b.engine.activate();
    a.engine.activate();
    let (stop, stopped) = watch::channel(false);
    let watch = tokio::spawn(watch_links(Probe::new("links", &stage, &found), stopped));
    let windows =
        blocking(move || run_until_steady(&stage, &finds, (&["spout", "sink", "links"], enough)))
            .await;
    stop.send_replace(true);
    watch.await.unwrap();
    a.stop().await;
    b.stop().await;
    windows
}

fn none(_: &str) -> u64 {
    0
}

/// All that was counted, by thread.
fn show(what: &str, windows: &BTreeMap<&str, Vec<u64>>) {
    for (who, found) in windows {
        let n_with = found.iter().filter(|n| **n > 0).count();
        let n_counted: u64 = found.iter().sum();
        let n_windows = found.len();
        println!("{what}, {who}: {n_counted} in {n_with} of {n_windows} windows");
    }
}

fn packing(codec: &str) -> Packing {
    let conf = Conf::defaults()
        .with(keys::STORMWIRE_LINK_COMPRESSION, "always")
        .with(keys::STORMWIRE_LINK_CODECS, vec![codec]);
    Packing::of(&conf).unwrap()
}

fn tls() -> LinkSecurity {
    let topology = "test-1-1";
    let authority = LinkAuthority::new(topology, &LinkAuthority::new_key().unwrap()).unwrap();
    let life = SystemTime::now() + Duration::from_secs(3600);
    let issued = authority
        .issue(("node:1", Some("localhost")), life)
        .unwrap();
    let keys = LinkKeys {
        authority: authority.certificate(),
        workers: [(1, issued)].into(),
    };
    let conf = Conf::defaults().with(keys::STORMWIRE_LINK_ENCRYPTION, true);
    let encryption = LinkEncryption::of(&conf).unwrap();
    let tls = LinkTls::new(&encryption, (topology, 1), Some(&keys)).unwrap();
    LinkSecurity::Tls(Arc::new(tls.unwrap()))
}

const ALL_THERE: (bool, &[&str]) = (false, &["spout"]);
const ACKER_HERE: (bool, &[&str]) = (true, &["spout", "__acker"]);
const ACKER_THERE: (bool, &[&str]) = (true, &["spout"]);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_steady_link_allocates_nothing() {
    for places in [ALL_THERE, ACKER_HERE, ACKER_THERE] {
        let found = run(places, (LinkSecurity::Plain, Packing::default()), none).await;
        show(&format!("{places:?}"), &found);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_steady_link_that_packs_allocates_nothing() {
    for codec in crate::messaging::compress::Codec::ALL {
        let packing = packing(codec.name());
        let found = run(ACKER_HERE, (LinkSecurity::Plain, packing), none).await;
        show(codec.name(), &found);
    }
}

/// The executors' threads have no part in encryption.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_encrypted_link_allocates_by_the_record() {
    let enough = |who: &str| match who {
        "links" => TLS_ALLOCATIONS_MAX,
        _ => 0,
    };
    let found = run(ACKER_HERE, (tls(), Packing::default()), enough).await;
    show("TLS", &found);
}

/// Each turn of the spout leaves a few tuples for each of many receivers, whose batches come back
/// in bursts.
#[test]
fn a_steady_engine_with_many_receivers_allocates_nothing() {
    for is_tracked in [true, false] {
        let (found, finds) = sync_channel::<Found>(WINDOWS_MAX);
        let stage: Arc<Stage> = Arc::default();
        let topology = topology((is_tracked, 200), &stage, &found)
            .conf(keys::TOPOLOGY_EXECUTOR_RECEIVE_BUFFER_SIZE, 64);
        let engine = topology.run(EngineOptions {
            time: Time::Simulated(Arc::default()),
            ..threads(2)
        });
        let windows = run_until_steady(&stage, &finds, (&["spout", "sink"], none));
        stop(engine);
        show(if is_tracked { "tracked" } else { "untracked" }, &windows);
    }
}

/// Of 22 bytes, the most that lies inside a cell.
const LETTERS: &str = "abcdefghijklmnopqrstuv";
/// Tuples: some tens of frames, so that even an allocation a frame shows in every window.
const WINDOW: u64 = 20_000;
/// Windows in a row, of each thread: 200,000 tuples.
const N_STEADY: usize = 10;
const WINDOWS_MAX: usize = 3000;
/// Who moves, moves within it.
const STILL: Duration = Duration::from_millis(100);
/// What has `stormwire.link.window.bytes` by default.
const LINK_WINDOW: usize = 4 << 20;
const TLS_ALLOCATIONS_MAX: u64 = 1000;

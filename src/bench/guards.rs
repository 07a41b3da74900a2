//! What must not get worse and does not depend on load: allocations of the engine's threads, their
//! sleeps in the kernel, bytes of a tuple on the wire. Times are no business of tests; instructions
//! and system calls are counted from outside, by `interop-tests/test_instructions.py`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

use super::components::{self, ConstFactory, Tracking};
use super::engine;
use crate::component::{
    Blueprint, Bolt, Collector, Factory, Instance, Result, Spout, SpoutCollector, TaskContext,
};
use crate::id::{ComponentId, TaskId};
use crate::messaging::codec;
use crate::testing::allocations;
use crate::tuple::{
    Anchor, Fields, StreamInfo, StreamNumber, StreamTable, Tuple, TupleBatch, TupleHead, Value,
};
use crate::values;
use crate::worker::engine::EngineOptions;
use crate::worker::rest::Time;

/// Tells what its thread did of a kind, window by window of `WINDOW` calls.
struct Probe {
    component: ComponentId,
    count: Count,
    n_calls: u64,
    n_before: u64,
    found: SyncSender<Found>,
}

/// What is counted, of the thread that asks.
type Count = fn() -> u64;

/// What a window came to.
struct Found {
    component: ComponentId,
    n_counted: u64,
}

/// Puts a probe before each component's main call.
struct ProbedFactory {
    inner: ConstFactory,
    /// Takes the spout's place, if there is one.
    spout: Option<fn(Tracking) -> Box<dyn Spout>>,
    count: Count,
    found: SyncSender<Found>,
}

/// Emits words of all lengths up to what fits a cell.
struct WordSpout {
    tracking: Tracking,
    n_emitted: i64,
}

struct ProbedSpout(Box<dyn Spout>, Probe);
struct ProbedBolt(Box<dyn Bolt>, Probe);

// === impl Probe ===

impl Probe {
    fn call(&mut self) {
        self.n_calls += 1;
        if self.n_calls.is_multiple_of(WINDOW) {
            let n_now = (self.count)();
            let found = Found {
                component: self.component.clone(),
                n_counted: n_now - self.n_before,
            };
            // Nobody waits any more once the test has seen enough.
            let _ = self.found.send(found);
            self.n_before = (self.count)();
        }
    }
}

impl Factory for ProbedFactory {
    fn create(&self, component: &ComponentId, blueprint: Blueprint<'_>) -> Result<Instance> {
        let probe = Probe {
            component: component.clone(),
            count: self.count,
            n_calls: 0,
            n_before: 0,
            found: self.found.clone(),
        };
        Ok(match self.inner.create(component, blueprint)? {
            Instance::Spout(spout) => {
                let other = self.spout.map(|make| make(self.inner.tracking));
                let spout = other.unwrap_or(spout);
                Instance::Spout(Box::new(ProbedSpout(spout, probe)))
            }
            Instance::Bolt(bolt) => Instance::Bolt(Box::new(ProbedBolt(bolt, probe))),
        })
    }
}

impl Spout for ProbedSpout {
    fn open(&mut self, context: &TaskContext) -> Result<()> {
        self.0.open(context)
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        self.1.call();
        self.0.next_tuple(out)
    }

    fn ack(&mut self, id: &Value) {
        self.0.ack(id);
    }
}

impl Bolt for ProbedBolt {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        self.0.prepare(context)
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        self.1.call();
        self.0.execute(tuple, out)
    }
}

impl Spout for WordSpout {
    fn open(&mut self, _: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        self.n_emitted += 1;
        let n_bytes = self.n_emitted as usize % (LETTERS.len() + 1);
        let word = &LETTERS[..n_bytes];
        match self.tracking {
            Tracking::Untracked => out.emit(values![word]),
            Tracking::Tracked => out.emit_reliable(values![word], Value::Long(self.n_emitted)),
        }
    }
}

/// A chain of bolts behind a spout, and what is counted in it.
#[derive(Clone, Copy)]
struct Chain<'a> {
    bolts: &'a [&'a str],
    tracking: Tracking,
    n_threads: usize,
    spout: Option<fn(Tracking) -> Box<dyn Spout>>,
}

/// How many windows in a row each component has had by now in which nothing was counted.
struct Rows(BTreeMap<ComponentId, usize>);

// === impl Rows ===

impl Rows {
    fn add(&mut self, found: &Found) {
        let row = self.0.entry(found.component.clone()).or_default();
        *row = match found.n_counted {
            0 => *row + 1,
            _ => 0,
        };
    }

    /// Whether all of so many components have rows that are long enough, at the same time.
    fn are_steady(&self, n_components: usize) -> bool {
        self.0.len() == n_components && self.0.values().all(|row| *row >= N_STEADY)
    }
}

/// How many windows it took until each component had `N_STEADY` in a row in which nothing was
/// counted. Early ones have some, and so does a turn that was interrupted: it may need a batch
/// more, once and for all. What comes again and again leaves no row.
fn windows_until_steady(chain: Chain<'_>, count: Count) -> usize {
    let (found, finds) = sync_channel::<Found>(8);
    let inner = ConstFactory {
        tracking: chain.tracking,
        end: None,
    };
    let factory = Arc::new(ProbedFactory {
        inner,
        spout: chain.spout,
        count,
        found,
    });
    // Time that stands still: each second statistics are shown, which takes some allocations.
    let options = EngineOptions {
        n_threads: chain.n_threads,
        time: Time::Simulated(Arc::default()),
        ..EngineOptions::local(1)
    };
    let started = engine::start(factory, chain.bolts, chain.tracking, options);
    let engine = started.expect("it starts");
    let mut rows = Rows(BTreeMap::new());
    let mut n_windows = 0;
    while !rows.are_steady(chain.bolts.len() + 1) {
        let found = finds.recv_timeout(PATIENCE).expect("tuples flow");
        n_windows += 1;
        assert!(
            n_windows < WINDOWS_MAX,
            "never {N_STEADY} windows of {WINDOW} calls in a row with none; rows now: {:?}",
            rows.0
        );
        rows.add(&found);
    }
    drop(finds);
    engine.stop(PATIENCE).expect("it stops");
    n_windows
}

#[test]
fn what_comes_in_every_few_windows_is_not_steady() {
    let found = |component: &str, n_counted| Found {
        component: component.into(),
        n_counted,
    };
    let mut rows = Rows(BTreeMap::new());
    for window in 0..WINDOWS_MAX {
        rows.add(&found("sink", 0));
        rows.add(&found("spout", u64::from(window % N_STEADY == 0)));
        assert!(!rows.are_steady(2), "after {window}");
    }
    rows.add(&found("spout", 0));
    assert!(rows.are_steady(2));
    rows.add(&found("sink", 1));
    assert!(!rows.are_steady(2), "one of them allocates again");
}

#[test]
fn a_steady_engine_allocates_nothing() {
    let (id, sink) = (components::ID, components::SINK);
    let words = |tracking| -> Box<dyn Spout> {
        Box::new(WordSpout {
            tracking,
            n_emitted: 0,
        })
    };
    for tracking in [Tracking::Untracked, Tracking::Tracked] {
        for (bolts, n_threads) in [(&[sink][..], 1), (&[id, sink][..], 1), (&[id, sink][..], 2)] {
            for spout in [None, Some(words as fn(Tracking) -> Box<dyn Spout>)] {
                let chain = Chain {
                    bolts,
                    tracking,
                    n_threads,
                    spout,
                };
                let n_windows = windows_until_steady(chain, allocations::on_this_thread);
                println!("{bolts:?}, {tracking:?}, {n_threads} threads: steady after {n_windows}");
            }
        }
    }
}

/// A thread with tuples to move does not wait in the kernel for anything: no lock, no sleep, no
/// park. On one thread there are always some, acked ones as well: a spout at its maximum of pending
/// tuples has its bolts and its acker beside it.
#[test]
fn a_busy_thread_never_sleeps() {
    let n_sleeps: Count = || {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("the kernel knows this thread");
        usage.voluntary_context_switches().cast_unsigned()
    };
    let (id, sink) = (components::ID, components::SINK);
    for tracking in [Tracking::Untracked, Tracking::Tracked] {
        for bolts in [&[sink][..], &[id, sink][..]] {
            let chain = Chain {
                bolts,
                tracking,
                n_threads: 1,
                spout: None,
            };
            let n_windows = windows_until_steady(chain, n_sleeps);
            println!("{bolts:?}, {tracking:?}: no sleep after {n_windows} windows");
        }
    }
}

#[test]
fn a_tuple_takes_few_bytes_between_workers() {
    let info = StreamInfo {
        component: "spout".into(),
        stream: "default".into(),
        fields: Fields::new(["str"]).unwrap(),
        direct: false,
    };
    let streams = Arc::new(StreamTable::new([info]).unwrap());
    for (n_anchors, bytes_max) in [(0, 10.0), (1, 26.0)] {
        let mut batch = TupleBatch::new(Arc::clone(&streams));
        for sequence in 0..N_TUPLES {
            let head = TupleHead {
                sequence,
                generation: 7 << 20,
                timestamp_us: 1_700_000_000_000_000,
                source_task: TaskId(3),
                target_task: TaskId(5),
                stream: StreamNumber(0),
            };
            let (root, edge) = (!sequence, sequence << 32);
            let anchors = [Anchor { root, edge }];
            let values = values!["some data"];
            batch.push(head, &anchors[..n_anchors], &values).unwrap();
        }
        let mut frame = Vec::new();
        codec::write_frame(&batch, 0..batch.len(), &mut frame).unwrap();
        let bytes = frame.len() as f64 / N_TUPLES as f64;
        println!("{n_anchors} anchors: {bytes:.2} bytes a tuple");
        assert!(
            bytes <= bytes_max,
            "{bytes} bytes a tuple with {n_anchors} anchors"
        );
    }
}

/// Of 22 bytes, the most that lies inside a cell.
const LETTERS: &str = "abcdefghijklmnopqrstuv";
/// Calls: some tens of batches, so that even an allocation a batch shows in every window.
const WINDOW: u64 = 20_000;
/// Windows in a row, of each component: 200,000 calls.
const N_STEADY: usize = 10;
const WINDOWS_MAX: usize = 3000;
const N_TUPLES: u64 = 1000;
const PATIENCE: Duration = Duration::from_secs(60);

//! What must not get worse and does not depend on load: allocations of the engine's threads, bytes
//! of a tuple on the wire. Times are no business of tests.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use super::components::{self, CountingFactory, Gauges, Tracking};
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

/// Tells the allocations of its thread, window by window of `WINDOW` calls.
struct Probe {
    component: ComponentId,
    n_calls: u64,
    n_before: u64,
    found: SyncSender<Found>,
}

/// What a window came to.
struct Found {
    component: ComponentId,
    n_allocations: u64,
}

/// Puts a probe before each component's main call.
struct ProbedFactory {
    inner: CountingFactory,
    found: SyncSender<Found>,
}

struct ProbedSpout(Box<dyn Spout>, Probe);
struct ProbedBolt(Box<dyn Bolt>, Probe);

// === impl Probe ===

impl Probe {
    fn call(&mut self) {
        self.n_calls += 1;
        if self.n_calls.is_multiple_of(WINDOW) {
            let n_now = allocations::on_this_thread();
            let found = Found {
                component: self.component.clone(),
                n_allocations: n_now - self.n_before,
            };
            // Nobody waits any more once the test has seen enough.
            let _ = self.found.send(found);
            self.n_before = allocations::on_this_thread();
        }
    }
}

impl Factory for ProbedFactory {
    fn create(&self, component: &ComponentId, blueprint: Blueprint<'_>) -> Result<Instance> {
        let probe = Probe {
            component: component.clone(),
            n_calls: 0,
            n_before: 0,
            found: self.found.clone(),
        };
        Ok(match self.inner.create(component, blueprint)? {
            Instance::Spout(spout) => Instance::Spout(Box::new(ProbedSpout(spout, probe))),
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

/// How many windows it took until each component had one without an allocation. Early ones have
/// some, and so does a turn that was interrupted: it may need a batch more, once and for all.
fn windows_until_steady(bolts: &[&str], tracking: Tracking, n_threads: usize) -> usize {
    let (found, finds) = sync_channel::<Found>(8);
    let inner = CountingFactory {
        gauges: Arc::new(Gauges::default()),
        tracking,
    };
    let factory = Arc::new(ProbedFactory { inner, found });
    // Time that stands still: each second statistics are shown, which takes some allocations.
    let options = EngineOptions {
        n_threads,
        time: Time::Simulated(Arc::default()),
        ..EngineOptions::local(1)
    };
    let engine = engine::start(factory, bolts, tracking, options).expect("it starts");
    let mut steady = BTreeSet::new();
    let mut n_windows = 0;
    while steady.len() <= bolts.len() {
        let found = finds.recv_timeout(PATIENCE).expect("tuples flow");
        n_windows += 1;
        assert!(
            n_windows < WINDOWS_MAX,
            "still {} allocations at {} in {WINDOW} calls",
            found.n_allocations,
            found.component
        );
        if found.n_allocations == 0 {
            steady.insert(found.component);
        }
    }
    drop(finds);
    engine.stop(PATIENCE).expect("it stops");
    n_windows
}

#[test]
fn a_steady_engine_allocates_nothing() {
    let (id, sink) = (components::ID, components::SINK);
    for tracking in [Tracking::Untracked, Tracking::Tracked] {
        for (bolts, n_threads) in [(&[sink][..], 1), (&[id, sink][..], 1), (&[id, sink][..], 2)] {
            let n_windows = windows_until_steady(bolts, tracking, n_threads);
            println!("{bolts:?}, {tracking:?}, {n_threads} threads: steady after {n_windows}");
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

/// Calls: some tens of batches, so that even an allocation a batch shows in every window.
const WINDOW: u64 = 20_000;
const WINDOWS_MAX: usize = 400;
const N_TUPLES: u64 = 1000;
const PATIENCE: Duration = Duration::from_secs(60);

//! Data through engines: exact counts, back pressure, ticks, lifecycle, streams.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::support::*;
use crate::component::{
    Bolt, Collector, Result, Spout, SpoutCollector, SpoutEmit, TaskContext, Waker,
};
use crate::conf::keys;
use crate::id::TaskId;
use crate::messaging::fence::Fence;
use crate::tuple::{Tuple, Value};
use crate::values;
use crate::worker::engine::EngineOptions;

/// Emits each sentence once, tracked.
struct Sentences {
    left: Vec<&'static str>,
    events: Arc<Events<Value>>,
}

impl Spout for Sentences {
    fn open(&mut self, _: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        match self.left.pop() {
            Some(sentence) => out.emit_reliable(values![sentence], sentence.into()),
            None => Ok(()),
        }
    }

    fn ack(&mut self, id: &Value) {
        self.events.push(id.clone());
    }
}

/// Emits without end, untracked.
struct Flood(Arc<AtomicUsize>);

impl Spout for Flood {
    fn open(&mut self, _: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        out.emit(values![number as i64])
    }
}

fn split(tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
    for word in tuple.str("sentence")?.split_whitespace() {
        out.emit(tuple, values![word])?;
    }
    out.ack(tuple);
    Ok(())
}

#[test]
fn words_are_counted_exactly() {
    for n_threads in [1, 2, 4] {
        let counts: Arc<Mutex<BTreeMap<String, (usize, i32)>>> = Arc::default();
        let events = Events::new();
        let (shared, spout_events) = (counts.clone(), events.clone());
        let engine = Topology::new()
            .spout(("sentences", 1), &["sentence"], move || Sentences {
                left: ["the cow jumped over the moon", "an apple a day", "the end"].repeat(500),
                events: spout_events.clone(),
            })
            .bolt(("split", 3), &["word"], || BoltFn(split))
            .bolt(("count", 4), &[], move || {
                let counts = shared.clone();
                BoltFn(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                    let mut counts = counts.lock().unwrap();
                    let task = tuple.target_task().0;
                    let word = tuple.str("word")?.to_owned();
                    let count = counts.entry(word).or_insert((0, task));
                    assert_eq!(count.1, task, "a word has one task");
                    count.0 += 1;
                    out.ack(tuple);
                    Ok(())
                })
            })
            .connect("sentences", "split", shuffle())
            .connect("split", "count", fields(&["word"]))
            .run(threads(n_threads));
        events.wait_for(1500);
        let counts = counts.lock().unwrap();
        let of = |word: &str| counts.get(word).map(|count| count.0);
        assert_eq!(counts.values().map(|count| count.0).sum::<usize>(), 6000);
        assert_eq!(of("the"), Some(1500));
        assert_eq!(of("moon"), Some(500));
        assert_eq!(engine.take_errors(), []);
        drop(counts);
        stop(engine);
    }
}

#[test]
fn a_slow_bolt_bounds_what_waits_for_it() {
    for n_threads in [1, 2] {
        let n_emitted = Arc::new(AtomicUsize::new(0));
        let n_executed = Arc::new(AtomicUsize::new(0));
        let is_open = Arc::new(AtomicBool::new(false));
        let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
        let (emitted, executed) = (n_emitted.clone(), n_executed.clone());
        let (gate, waking) = (is_open.clone(), wakers.clone());
        let engine = Topology::new()
            .conf(keys::TOPOLOGY_EXECUTOR_RECEIVE_BUFFER_SIZE, 1024)
            .spout(("flood", 1), &["number"], move || Flood(emitted.clone()))
            .bolt(("gate", 1), &["number"], move || Gate {
                is_open: gate.clone(),
                n_executed: executed.clone(),
                wakers: waking.clone(),
            })
            .connect("flood", "gate", shuffle())
            .run(threads(n_threads));
        eventually("the queue is full", || engine.n_queued() >= 1024);
        eventually("all rest", || engine.shared().is_resting());
        let n_before = n_emitted.load(Ordering::SeqCst);
        assert!(n_before < 1024 + 2048, "{n_before} emitted");
        assert_eq!(n_executed.load(Ordering::SeqCst), 0);
        is_open.store(true, Ordering::SeqCst);
        wakers.lock().unwrap().iter().for_each(Waker::wake);
        eventually("it flows again", || {
            n_executed.load(Ordering::SeqCst) > 50_000
        });
        stop(engine);
    }
}

/// Has nothing, and asks to be called after a second.
struct Idler {
    n_calls: Arc<AtomicUsize>,
    wakers: Arc<Mutex<Vec<Waker>>>,
}

impl Spout for Idler {
    fn open(&mut self, context: &TaskContext) -> Result<()> {
        self.wakers.lock().unwrap().push(context.waker());
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        self.n_calls.fetch_add(1, Ordering::SeqCst);
        out.wake_after(Duration::from_secs(1));
        Ok(())
    }
}

#[test]
fn an_idle_spout_that_is_often_woken_gathers_no_alarms() {
    let (clock, time) = TestClock::new();
    let n_calls = Arc::<AtomicUsize>::default();
    let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
    let (calls, waking) = (n_calls.clone(), wakers.clone());
    let engine = Topology::new()
        .spout(("idler", 1), &["number"], move || Idler {
            n_calls: calls.clone(),
            wakers: waking.clone(),
        })
        .run(EngineOptions { time, ..threads(1) });
    let step = || {
        clock.advance(&engine, Duration::from_millis(100));
        eventually("all rest", || engine.shared().is_resting());
    };
    eventually("it is called", || n_calls.load(Ordering::SeqCst) > 0);
    for _ in 0..9 {
        wakers.lock().unwrap().iter().for_each(Waker::wake);
        step();
    }
    let n_before = n_calls.load(Ordering::SeqCst);
    (0..30).for_each(|_| step());
    let n_more = n_calls.load(Ordering::SeqCst) - n_before;
    assert!((2..=4).contains(&n_more), "{n_more} calls in 3 s");
    stop(engine);
}

/// Emits one tuple in each turn, as soon as the first one has arrived, and with the last one says
/// that it wants to be left alone.
struct Drops {
    n_left: usize,
    n_emitted: Arc<AtomicUsize>,
    has_arrived: Arc<AtomicBool>,
}

impl Spout for Drops {
    fn open(&mut self, _: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        if self.n_left == 0 {
            out.wake_after(Duration::from_secs(3600));
            return Ok(());
        }
        let is_first = self.n_emitted.load(Ordering::SeqCst) == 0;
        if !is_first && !self.has_arrived.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.n_left -= 1;
        if self.n_left > 0 {
            // Longer than a turn.
            let started = Instant::now();
            while started.elapsed() < Duration::from_micros(250) {}
        }
        out.emit(values![1i64])?;
        self.n_emitted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn what_a_full_ring_kept_back_is_delivered_without_a_bell() {
    // One that is being executed, those that the ring has slots for, one more.
    const N_DROPS: usize = 1 + 4096 + 1;
    let (n_emitted, n_executed) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (has_arrived, is_open) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let (emitted, executed) = (n_emitted.clone(), n_executed.clone());
    let (arrived, gate) = (has_arrived.clone(), is_open.clone());
    let engine = Topology::new()
        .conf(keys::TOPOLOGY_ENABLE_MESSAGE_TIMEOUTS, false)
        .conf(keys::TOPOLOGY_ACKER_EXECUTORS, 0)
        .spout(("drops", 1), &["number"], move || Drops {
            n_left: N_DROPS,
            n_emitted: emitted.clone(),
            has_arrived: has_arrived.clone(),
        })
        .bolt(("stuck", 1), &[], move || {
            let (executed, arrived, gate) = (executed.clone(), arrived.clone(), gate.clone());
            BoltFn(move |_: &Tuple<'_>, _: &mut Collector<'_>| {
                arrived.store(true, Ordering::SeqCst);
                while !gate.load(Ordering::SeqCst) {
                    std::thread::park_timeout(Duration::from_millis(5));
                }
                executed.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
        })
        .connect("drops", "stuck", shuffle())
        .run(EngineOptions {
            stats_every: Duration::from_secs(3600),
            ..threads(2)
        });
    eventually("all is emitted", || {
        n_emitted.load(Ordering::SeqCst) == N_DROPS
    });
    is_open.store(true, Ordering::SeqCst);
    eventually("all arrived", || {
        n_executed.load(Ordering::SeqCst) == N_DROPS
    });
    stop(engine);
}

/// Takes nothing until it is opened.
struct Gate {
    is_open: Arc<AtomicBool>,
    n_executed: Arc<AtomicUsize>,
    wakers: Arc<Mutex<Vec<Waker>>>,
}

impl Bolt for Gate {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        self.wakers.lock().unwrap().push(context.waker());
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        self.n_executed.fetch_add(1, Ordering::SeqCst);
        out.emit_unanchored(values![tuple.long(0usize)?])
    }

    fn room(&self) -> usize {
        match self.is_open.load(Ordering::SeqCst) {
            true => 10,
            false => 0,
        }
    }
}

#[test]
fn a_cycle_does_not_come_to_a_stop() {
    let n_done = Arc::new(AtomicUsize::new(0));
    let done = n_done.clone();
    let engine = Topology::new()
        .conf(keys::TOPOLOGY_EXECUTOR_RECEIVE_BUFFER_SIZE, 64)
        .spout(("flood", 1), &["number"], || Flood(Arc::default()))
        .bolt(("twice", 1), &["number"], move || {
            let done = done.clone();
            BoltFn(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                match tuple.source_component().as_str() {
                    "flood" => out.emit_unanchored(values![tuple.long(0usize)?])?,
                    _ => {
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                }
                Ok(())
            })
        })
        .bolt(("back", 1), &["number"], || {
            BoltFn(|tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                out.emit_unanchored(values![tuple.long(0usize)?])
            })
        })
        .connect("flood", "twice", shuffle())
        .connect("twice", "back", shuffle())
        .connect("back", "twice", shuffle())
        .run(threads(2));
    eventually("the cycle turns", || n_done.load(Ordering::SeqCst) > 20_000);
    stop(engine);
}

#[test]
fn a_slow_bolt_in_a_cycle_bounds_what_waits_for_it() {
    let n_emitted = Arc::<AtomicUsize>::default();
    let n_executed = Arc::<AtomicUsize>::default();
    let is_open = Arc::<AtomicBool>::default();
    let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
    let (emitted, executed) = (n_emitted.clone(), n_executed.clone());
    let (gate, waking) = (is_open.clone(), wakers.clone());
    let engine = Topology::new()
        .conf(keys::TOPOLOGY_EXECUTOR_RECEIVE_BUFFER_SIZE, 64)
        .spout(("flood", 1), &["number"], move || Flood(emitted.clone()))
        .bolt(("front", 1), &["number"], || {
            BoltFn(|tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                match tuple.source_component().as_str() {
                    "flood" => out.emit_unanchored(values![tuple.long(0usize)?]),
                    _ => Ok(()),
                }
            })
        })
        .bolt(("gate", 1), &["number"], move || Gate {
            is_open: gate.clone(),
            n_executed: executed.clone(),
            wakers: waking.clone(),
        })
        .connect("flood", "front", shuffle())
        .connect("front", "gate", shuffle())
        .connect("gate", "front", shuffle())
        .run(threads(2));
    eventually("both queues are full", || engine.n_queued() >= 128);
    eventually("all rest", || engine.shared().is_resting());
    let n_before = n_emitted.load(Ordering::SeqCst);
    assert!(n_before < 2 * (64 + 2048), "{n_before} emitted");
    is_open.store(true, Ordering::SeqCst);
    wakers.lock().unwrap().iter().for_each(Waker::wake);
    eventually("the cycle turns", || {
        n_executed.load(Ordering::SeqCst) > 20_000
    });
    stop(engine);
}

/// Others have the executors by then: not one call more.
#[test]
fn executors_stand_still_after_a_pause_that_was_too_long() {
    let n_emitted: Arc<AtomicUsize> = Arc::default();
    let (emitted, is_open) = (n_emitted.clone(), Arc::new(AtomicBool::new(true)));
    let open = is_open.clone();
    let (clock, time) = TestClock::new();
    let engine = Topology::new()
        .spout(("flood", 1), &["number"], move || Flood(emitted.clone()))
        .bolt(("sink", 1), &[], || {
            BoltFn(|tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                out.ack(tuple);
                Ok(())
            })
        })
        .connect("flood", "sink", shuffle())
        .run(EngineOptions {
            time,
            fence: Fence::new(move || open.load(Ordering::SeqCst)),
            ..threads(1)
        });
    let goes_on = |what: &str| {
        let n_before = n_emitted.load(Ordering::SeqCst);
        eventually(what, || n_emitted.load(Ordering::SeqCst) > n_before + 5000);
    };
    goes_on("it flows");
    clock.advance(&engine, Duration::from_secs(2));
    goes_on("a pause, but not too long");
    is_open.store(false, Ordering::SeqCst);
    goes_on("nobody asks while there is no pause");
    clock.advance(&engine, Duration::from_secs(2));
    eventually("its thread is over", || {
        let n_before = n_emitted.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(50));
        n_emitted.load(Ordering::SeqCst) == n_before
    });
    stop(engine);
}

#[test]
fn ticks_come_beside_the_data() {
    let ticks = Events::new();
    let seen = ticks.clone();
    let started: Arc<Mutex<BTreeSet<TaskId>>> = Arc::default();
    let starting = started.clone();
    let (clock, time) = TestClock::new();
    let engine = Topology::new()
        .conf(keys::TOPOLOGY_TICK_TUPLE_FREQ_SECS, 5)
        .spout(("flood", 1), &["number"], || Flood(Arc::default()))
        .bolt(("clock", 2), &[], move || {
            let (ticks, started) = (seen.clone(), starting.clone());
            BoltFn(move |tuple: &Tuple<'_>, _: &mut Collector<'_>| {
                started.lock().unwrap().insert(tuple.target_task());
                if tuple.is_tick() {
                    assert_eq!(tuple.source_component().as_str(), "__system");
                    assert_eq!(tuple.int("rate_secs")?, 5);
                    ticks.push(tuple.target_task());
                }
                Ok(())
            })
        })
        .connect("flood", "clock", shuffle())
        .run(EngineOptions { time, ..threads(2) });
    eventually("both run", || started.lock().unwrap().len() == 2);
    for n_rounds in 1..4 {
        clock.advance(&engine, Duration::from_secs(5));
        let mut tasks = ticks.wait_for(2 * n_rounds).split_off(2 * n_rounds - 2);
        tasks.sort();
        tasks.dedup();
        assert_eq!(tasks.len(), 2);
    }
    assert_eq!(engine.take_errors(), []);
    stop(engine);
}

/// Tells what happens to it.
struct Lifecycle(Arc<Events<&'static str>>);

impl Spout for Lifecycle {
    fn open(&mut self, context: &TaskContext) -> Result<()> {
        assert_eq!(context.component().as_str(), "spout");
        assert_eq!(context.task_index(), 0);
        self.0.push("open");
        Ok(())
    }

    fn next_tuple(&mut self, _: &mut SpoutCollector<'_>) -> Result<()> {
        self.0.push("next");
        Ok(())
    }

    fn activate(&mut self) -> Result<()> {
        self.0.push("activate");
        Ok(())
    }

    fn deactivate(&mut self) -> Result<()> {
        self.0.push("deactivate");
        Ok(())
    }

    fn close(&mut self) {
        self.0.push("close");
    }
}

#[test]
fn a_spout_is_told_its_life() {
    let events = Events::new();
    let spout_events = events.clone();
    let engine = Topology::new()
        .spout(("spout", 1), &["number"], move || {
            Lifecycle(spout_events.clone())
        })
        .run(threads(1));
    assert_eq!(events.wait_for(3)[..3], ["open", "activate", "next"]);
    engine.deactivate();
    eventually("it is told", || events.all().contains(&"deactivate"));
    let n_before = events.len();
    eventually("all rest", || engine.shared().is_resting());
    assert_eq!(events.len(), n_before);
    engine.activate();
    events.wait_for(n_before + 2);
    assert_eq!(events.all()[n_before..n_before + 2], ["activate", "next"]);
    stop(engine);
    assert_eq!(events.all().last(), Some(&"close"));
}

#[test]
fn statistics_count_what_flowed() {
    let events = Events::new();
    let spout_events = events.clone();
    let (clock, time) = TestClock::new();
    let engine = Topology::new()
        .spout(("spout", 1), &["number"], move || {
            Numbers::new(100, &spout_events)
        })
        .bolt(("sink", 1), &[], || {
            BoltFn(|tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                out.ack(tuple);
                Ok(())
            })
        })
        .connect("spout", "sink", shuffle())
        .run(EngineOptions { time, ..threads(1) });
    events.wait_for(100);
    clock.advance(&engine, Duration::from_secs(1));
    let read = |component: &str| {
        let handles = engine.shared().executors.iter();
        let mut stats = handles.filter(|h| h.component.as_str() == component);
        stats.next().and_then(|handle| handle.stats())
    };
    // The first to be shown are empty.
    eventually("they are shown", || {
        ["spout", "sink"].iter().all(|component| {
            let shown = read(component);
            shown.is_some_and(|stats| !stats.emitted.is_empty())
        })
    });
    let emitted = read("spout").unwrap().emitted;
    assert_eq!(emitted[":all-time"]["default"], 100);
    let crate::wire::storm::ExecutorSpecificStats::Bolt(bolt) = read("sink").unwrap().specific
    else {
        panic!("a bolt has a bolt's statistics");
    };
    assert_eq!(bolt.executed[":all-time"].values().sum::<i64>(), 100);
    assert_eq!(bolt.acked["600"].values().sum::<i64>(), 100);
    stop(engine);
}

#[test]
fn executors_with_several_tasks_serve_each() {
    let events = Events::new();
    let spout_events = events.clone();
    let tasks: Arc<Mutex<BTreeMap<TaskId, usize>>> = Arc::default();
    let seen = tasks.clone();
    let engine = Topology::new()
        .spout(("spout", 2), &["number"], move || {
            Numbers::new(100, &spout_events)
        })
        .tasks("spout", 3)
        .bolt(("sink", 2), &[], move || {
            let tasks = seen.clone();
            BoltFn(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                *tasks
                    .lock()
                    .unwrap()
                    .entry(tuple.target_task())
                    .or_default() += 1;
                out.ack(tuple);
                Ok(())
            })
        })
        .tasks("sink", 5)
        .connect("spout", "sink", shuffle())
        .conf(keys::TOPOLOGY_DISABLE_LOADAWARE_MESSAGING, true)
        .run(threads(2));
    let seen = events.wait_for(300);
    let n_acked = |number| {
        seen.iter()
            .filter(|e| **e == Outcome::Acked(number))
            .count()
    };
    assert!((0..100).all(|number| n_acked(number) == 3));
    let counts: Vec<_> = tasks.lock().unwrap().values().copied().collect();
    assert_eq!(counts, [60; 5]);
    stop(engine);
}

/// Emits once to each of its streams, and wrongly before.
struct Streams(bool);

impl Spout for Streams {
    fn open(&mut self, _: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        if std::mem::replace(&mut self.0, true) {
            return Ok(());
        }
        let to = |stream| SpoutEmit {
            stream,
            event_time_us: Some(12_345),
            ..SpoutEmit::default()
        };
        let unknown = out.emit_with(to("other"), values![1i64]).unwrap_err();
        assert!(unknown.message().contains("`other`"), "{unknown}");
        let arity = out.emit_with(to("side"), values![1i64]).unwrap_err();
        assert!(arity.message().contains("declares 2 fields"), "{arity}");
        out.emit(values![7i64])?;
        out.emit_with(to("side"), values!["a", 2.5])
    }
}

#[test]
fn streams_are_told_apart_and_wrong_emits_are_refused() {
    let events = Events::new();
    let seen = events.clone();
    let side = crate::wire::storm::StreamInfo {
        output_fields: vec!["name".to_owned(), "size".to_owned()],
        direct: false,
    };
    let engine = Topology::new()
        .spout(("spout", 1), &["number"], || Streams(false))
        .stream("spout", "side", side)
        .bolt(("sink", 1), &[], move || {
            let seen = seen.clone();
            BoltFn(move |tuple: &Tuple<'_>, _: &mut Collector<'_>| {
                let stream = tuple.source_stream().to_string();
                let now_us = crate::clock::wall_micros();
                match stream.as_str() {
                    "side" => {
                        assert_eq!(tuple.str("name")?, "a");
                        assert_eq!(tuple.double("size")?, 2.5);
                        assert_eq!(tuple.timestamp_us(), 12_345);
                    }
                    _ => assert!((0..60_000_000).contains(&(now_us - tuple.timestamp_us()))),
                }
                seen.push((stream, tuple.id()));
                Ok(())
            })
        })
        .connect("spout", "sink", shuffle())
        .connect_stream(("spout", "side"), "sink", shuffle())
        .run(threads(1));
    let seen = events.wait_for(2);
    assert_eq!(
        (seen[0].0.as_str(), seen[1].0.as_str()),
        ("default", "side")
    );
    assert_eq!((seen[0].1.sequence, seen[1].1.sequence), (0, 1));
    assert_eq!(seen[0].1.generation, 1);
    assert_eq!(engine.take_errors(), []);
    stop(engine);
}

//! Windowed bolts over a real emitter, with a clock that the test moves.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::{
    Count, LateTuple, Runner, TimestampExtractor, Window, WindowCollector, WindowConfig,
    WindowedBolt,
};
use crate::component::{Bolt, ComponentFailure, Emit, Result, Waker};
use crate::conf::keys;
use crate::tuple::held::lost_by;
use crate::tuple::{HeldTuple, Part, Shelf, Value};
use crate::values;
use crate::worker::harness::{self, Harness, Verdict};

/// A windowed bolt under test, one task.
struct Test {
    runner: Runner,
    harness: Harness,
    now_ms: Arc<AtomicI64>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// What a window showed: first values.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    tuples: Vec<i64>,
    new: Vec<i64>,
    expired: Vec<i64>,
    bounds: (Option<i64>, i64),
}

/// Writes down its windows, and does what a test says with each.
struct Probe<F> {
    seen: Arc<Mutex<Vec<Seen>>>,
    extractor: Option<fn() -> TimestampExtractor>,
    then: F,
}

impl<F> WindowedBolt for Probe<F>
where
    F: FnMut(&Window<'_>, &mut WindowCollector<'_>) -> Result<()> + Send,
{
    fn execute(&mut self, window: &Window<'_>, out: &mut WindowCollector<'_>) -> Result<()> {
        assert_eq!(window.len(), window.tuples().len());
        assert!(!window.is_empty());
        self.seen.lock().unwrap().push(Seen {
            tuples: window.tuples().map(|t| t.long(0).unwrap()).collect(),
            new: window.new_tuples().map(|t| t.long(0).unwrap()).collect(),
            expired: window
                .expired_tuples()
                .map(|t| t.long(0).unwrap())
                .collect(),
            bounds: (window.start_ms(), window.end_ms()),
        });
        (self.then)(window, out)
    }

    fn timestamp_extractor(&self) -> Option<TimestampExtractor> {
        self.extractor.map(|make| make())
    }
}

// === impl Test ===

impl Test {
    fn new(
        config: WindowConfig,
        then: impl FnMut(&Window<'_>, &mut WindowCollector<'_>) -> Result<()> + Send + 'static,
    ) -> Self {
        Test::with_extractor(config, None, then)
    }

    fn with_extractor(
        config: WindowConfig,
        extractor: Option<fn() -> TimestampExtractor>,
        then: impl FnMut(&Window<'_>, &mut WindowCollector<'_>) -> Result<()> + Send + 'static,
    ) -> Self {
        Test::build(config, (extractor, Duration::MAX), then)
    }

    fn build(
        config: WindowConfig,
        (extractor, firing_max): (Option<fn() -> TimestampExtractor>, Duration),
        then: impl FnMut(&Window<'_>, &mut WindowCollector<'_>) -> Result<()> + Send + 'static,
    ) -> Self {
        let streams: [(&str, &[&str]); 2] = [("default", &["n"]), ("done", &["late_tuple"])];
        let seen = Arc::new(Mutex::new(Vec::new()));
        let probe = Probe {
            seen: seen.clone(),
            extractor,
            then,
        };
        let now_ms = Arc::new(AtomicI64::new(START_MS));
        let clock = now_ms.clone();
        let mut test = Test {
            runner: Runner::new(probe)
                .with_clock(move || clock.load(Ordering::Relaxed))
                .with_firing_max(firing_max),
            harness: Harness::new(&streams),
            now_ms,
            seen,
        };
        let directory = tempfile::tempdir().unwrap();
        let context = harness::context(directory.path(), config.to_conf(), Waker::idle());
        test.runner.prepare(&context).unwrap();
        test
    }

    /// A tuple (number, time).
    fn input(&mut self, number: i64, time: i64) -> HeldTuple {
        self.harness.input(&values![number, time])
    }

    fn execute(&mut self, number: i64, time: i64) {
        let tuple = self.input(number, time);
        let result = self
            .runner
            .execute(&tuple.view(), &mut self.harness.collector());
        result.unwrap();
    }

    /// Lets so much time pass.
    fn wait(&mut self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
        self.runner.poll(&mut self.harness.collector()).unwrap();
    }

    fn seen(&mut self) -> Vec<Vec<i64>> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        seen.into_iter().map(|seen| seen.tuples).collect()
    }

    #[track_caller]
    fn check_acked(&mut self, expected: &[u64]) {
        let expected: Vec<_> = expected.iter().map(|n| Verdict::Acked(*n)).collect();
        assert_eq!(self.harness.verdicts(), expected);
    }
}

fn idle(_: &Window<'_>, _: &mut WindowCollector<'_>) -> Result<()> {
    Ok(())
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn tuples_are_acked_once_when_they_leave() {
    let config = WindowConfig::new().with_window(Count(3), Count(2));
    let mut test = Test::new(config, idle);
    for number in 1..=8 {
        test.execute(number, 0);
    }
    let first = Seen {
        tuples: vec![1, 2],
        new: vec![1, 2],
        expired: vec![],
        bounds: (None, START_MS),
    };
    let second = Seen {
        tuples: vec![2, 3, 4],
        new: vec![3, 4],
        expired: vec![1],
        bounds: (None, START_MS),
    };
    assert_eq!(test.seen.lock().unwrap()[..2], [first, second]);
    assert_eq!(test.seen()[2..], [vec![4, 5, 6], vec![6, 7, 8]]);
    test.check_acked(&[1, 2, 3, 4, 5]);
}

#[test]
fn emits_join_the_trees_of_the_window() {
    let config = WindowConfig::new().with_window(Count(2), Count(1));
    let mut test = Test::new(config, |window, out| {
        out.emit(values![1i64])?;
        let last: Vec<_> = window.tuples().skip(1).collect();
        let emit = Emit {
            anchors: &last,
            ..Emit::default()
        };
        out.emit_with(emit, values![2i64])?;
        out.emit_unanchored(values![3i64])
    });
    test.execute(1, 0);
    test.execute(2, 0);
    let roots: Vec<_> = test
        .harness
        .emitted()
        .into_iter()
        .map(|e| e.roots)
        .collect();
    // Of the first window, then of the second; the harness gives odd and even ones apart.
    let mut sorted = roots.clone();
    sorted.sort();
    let none = Vec::new;
    assert_eq!(
        sorted,
        [none(), none(), none(), vec![1], vec![1, 2], vec![2]]
    );
}

/// The value of an ack must be what the emits anchored to its tuple come to, in all its windows.
#[test]
fn an_ack_carries_the_edges_of_all_windows() {
    let config = WindowConfig::new().with_window(Count(300), Count(100));
    let mut test = Test::new(config, |_, out| out.emit(values![1i64]));
    for number in 1..=1000 {
        test.execute(number, 0);
    }
    let emitted = test.harness.emitted_edges();
    assert_eq!(emitted.len(), 10);
    let acked = test.harness.acked_values();
    assert_eq!(acked.len(), 700);
    for (root, value) in acked {
        // The edge of the input itself is the harness's.
        let edges = emitted.iter().flatten();
        let out = edges.filter(|anchor| anchor.root == root);
        let out = out.fold(root << 32, |value, anchor| value ^ anchor.edge);
        assert_eq!(value, out, "root {root}");
    }
}

#[test]
fn timers_reach_back_over_what_they_missed() {
    let config = WindowConfig::new().with_tumbling_window(millis(100));
    let mut test = Test::new(config, idle);
    test.execute(1, 0);
    test.wait(99);
    assert!(test.seen().is_empty());
    test.wait(1);
    test.execute(2, 0);
    assert_eq!(test.seen(), [[1]]);
    // Late by 150 ms; the next comes when it would have come.
    test.wait(200);
    test.execute(3, 0);
    test.wait(50);
    assert_eq!(test.seen(), [[2]]);
    test.wait(50);
    assert_eq!(test.seen(), [[3]]);
    test.check_acked(&[1, 2]);
}

#[test]
fn event_time_follows_watermarks() {
    let config = WindowConfig::new()
        .with_window(millis(20), millis(10))
        .with_timestamp_field("b")
        .with_lag(millis(5))
        .with_watermark_interval(millis(100))
        .with_late_tuple_stream("done");
    let mut test = Test::new(config, idle);
    for (number, time) in [(1, 3), (2, 12), (3, 9), (4, 26)] {
        test.execute(number, time);
    }
    assert!(test.seen().is_empty());
    test.wait(100);
    let bounds: Vec<_> = test.seen.lock().unwrap().iter().map(|s| s.bounds).collect();
    assert_eq!(bounds, [(Some(-10), 10), (Some(0), 20)]);
    assert_eq!(test.seen(), [vec![1, 3], vec![1, 2, 3]]);
    assert!(test.harness.verdicts().is_empty());
    // The watermark is at 21.
    test.execute(5, 20);
    let late = &test.harness.emitted()[0];
    assert_eq!((late.stream.as_str(), &late.roots[..]), ("done", &[5][..]));
    let late = LateTuple::read(&late.values[0]).unwrap();
    assert_eq!(late.source_component.as_str(), "source");
    assert_eq!((late.source_task.0, late.source_stream.as_str()), (7, "s2"));
    assert_eq!(late.fields, ["a", "b"]);
    assert_eq!(late.values, [Value::Long(5), Value::Long(20)]);
    test.check_acked(&[5]);
    test.execute(6, 21);
    test.execute(7, 41);
    test.wait(100);
    assert_eq!(test.seen(), [vec![2, 4, 6]]);
    test.check_acked(&[1, 3]);
}

#[test]
fn late_tuples_without_a_stream_are_acked() {
    let config = WindowConfig::new().with_tumbling_window(millis(10));
    fn extractor() -> TimestampExtractor {
        Box::new(|tuple| Ok(tuple.long("b")? * 1000))
    }
    let mut test = Test::with_extractor(config, Some(extractor), idle);
    test.execute(1, 5);
    test.wait(1000);
    assert_eq!(test.seen(), [[1]]);
    test.execute(2, 4);
    test.check_acked(&[2]);
    assert!(test.harness.emitted().is_empty());
}

#[test]
fn a_tuple_without_a_time_fails_alone() {
    let config = WindowConfig::new()
        .with_tumbling_window(Count(2))
        .with_timestamp_field("missing");
    let mut test = Test::new(config, idle);
    let tuple = test.input(1, 1);
    let result = test
        .runner
        .execute(&tuple.view(), &mut test.harness.collector());
    let text = result.unwrap_err().to_string();
    assert!(text.contains("missing"), "{text}");
    assert!(test.harness.verdicts().is_empty());
}

#[test]
fn ticks_are_in_no_window() {
    let config = WindowConfig::new().with_tumbling_window(Count(1));
    let mut test = Test::new(config, idle);
    let tick = test.harness.tick();
    let result = test
        .runner
        .execute(&tick.view(), &mut test.harness.collector());
    result.unwrap();
    assert!(test.seen().is_empty());
}

#[test]
fn an_error_fails_all_that_is_held_and_windows_begin_anew() {
    let config = WindowConfig::new().with_window(Count(3), Count(2));
    let mut n_calls = 0;
    let mut test = Test::new(config, move |_, _| {
        n_calls += 1;
        match n_calls {
            2 => Err(ComponentFailure::new("out of order")),
            _ => Ok(()),
        }
    });
    for number in 1..=4 {
        test.execute(number, 0);
    }
    let verdicts = [
        Verdict::Acked(1),
        Verdict::Failed(2),
        Verdict::Failed(3),
        Verdict::Failed(4),
    ];
    assert_eq!(test.harness.verdicts(), verdicts);
    assert_eq!(test.harness.errors(), ["out of order"]);
    test.execute(5, 0);
    test.execute(6, 0);
    assert_eq!(test.seen(), [vec![1, 2], vec![2, 3, 4], vec![5, 6]]);
}

#[test]
fn a_panic_fails_all_that_is_held() {
    let config = WindowConfig::new().with_tumbling_window(millis(10));
    let mut test = Test::new(config, |_, _| panic!("on purpose"));
    test.execute(1, 0);
    test.execute(2, 0);
    let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test.wait(10)));
    assert!(waited.is_err());
    let verdicts = [Verdict::Failed(1), Verdict::Failed(2)];
    assert_eq!(test.harness.verdicts(), verdicts);
}

#[test]
fn a_panic_of_an_extractor_loses_what_is_held_and_tells() {
    fn extractor() -> TimestampExtractor {
        Box::new(|tuple| {
            assert!(tuple.long(0)? < 3, "on purpose");
            Ok(tuple.long(1)?)
        })
    }
    let config = WindowConfig::new().with_tumbling_window(millis(10));
    let mut test = Test::with_extractor(config, Some(extractor), idle);
    test.execute(1, 5);
    test.execute(2, 6);
    let third = std::panic::AssertUnwindSafe(|| test.execute(3, 7));
    assert!(std::panic::catch_unwind(third).is_err());
    assert!(test.harness.verdicts().is_empty());
    assert_eq!(lost_by(|| drop(test.runner)), [1, 2]);
}

/// Expired tuples stay for the next window to see, and were acked.
#[test]
fn what_expired_is_not_lost_with_its_bolt() {
    let config = WindowConfig::new().with_window(Count(5), millis(1000));
    let mut test = Test::new(config, idle);
    for number in 1..=100 {
        test.execute(number, 0);
    }
    test.check_acked(&(1..=95).collect::<Vec<_>>());
    assert_eq!(lost_by(|| drop(test.runner)), [96, 97, 98, 99, 100]);
}

/// Windows that are complete are shown one after another, not all in one go, and meanwhile no
/// tuple gets between them.
#[test]
fn one_watermark_may_take_several_polls() {
    let config = WindowConfig::new()
        .with_tumbling_window(millis(1))
        .with_timestamp_field("b");
    let mut test = Test::build(config, (None, Duration::ZERO), idle);
    for number in 0..10 {
        test.execute(number, number);
    }
    test.wait(1000);
    assert_eq!(test.seen(), [[0]]);
    assert_eq!(test.runner.room(), 0);
    for _ in 0..30 {
        test.wait(0);
    }
    assert_eq!(test.seen().len(), 9);
    assert!(test.runner.room() > 0);
}

#[test]
fn options_that_make_no_window_are_told_when_the_bolt_is_prepared() {
    let probe = Probe {
        seen: Arc::default(),
        extractor: None,
        then: idle,
    };
    let directory = tempfile::tempdir().unwrap();
    let conf = WindowConfig::new()
        .with_tumbling_window(Count(6))
        .to_conf()
        .with(keys::TOPOLOGY_MAX_SPOUT_PENDING, 11);
    let context = harness::context(directory.path(), conf, Waker::idle());
    let refused = Runner::new(probe).prepare(&context).unwrap_err();
    let text = "Window count (length + sliding interval) value 12 is more than \
                topology.max.spout.pending value 11";
    assert_eq!(refused.to_string(), text);
}

/// What a held tuple costs beside its values.
#[test]
fn held_tuples_lie_in_slabs_that_are_recycled() {
    let mut harness = Harness::new(&[]);
    let mut held = Shelf::default();
    let mut keys = std::collections::VecDeque::new();
    for number in 0..5000i64 {
        let long = "x".repeat(100);
        let tuple = harness.input(&values![number, long.as_str()]);
        keys.push_back((number, held.put(&tuple.view(), Part::All).unwrap()));
        // Now and then one in the middle leaves first.
        let leaver = match number % 7 {
            _ if keys.len() < 700 => None,
            0 => keys.remove(300),
            _ => keys.pop_front(),
        };
        if let Some((number, key)) = leaver {
            assert_eq!(held.get(key).long(0).unwrap(), number);
            held.release(key);
        }
        assert_eq!(held.keys().count(), keys.len());
    }
    for (number, key) in keys {
        let tuple = held.get(key);
        assert_eq!(tuple.long(0).unwrap(), number);
        assert_eq!(tuple.str(1).unwrap().len(), 100);
        held.release(key);
    }
    assert_eq!(held.keys().count(), 0);
}

const START_MS: i64 = 1_700_000_000_000;

//! Windows against Storm's, snapshots, samplers. Pages of many executors are not made here.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::testing::{allocations, fixtures};
use crate::tuple::{Fields, StreamInfo, StreamTable};
use crate::wire::storm;

/// One of the two kinds of counter, driven by a script.
enum Scripted {
    Counts(Counts),
    Latencies(Latencies),
}

impl Scripted {
    /// What a step gives to read, if anything.
    fn step(&mut self, step: &Json) -> Option<Json> {
        let at_ms = step["at"].as_i64().unwrap();
        let value = step["value"].as_i64().unwrap_or_default();
        match (step["op"].as_str().unwrap(), self) {
            ("inc", Scripted::Counts(counts)) => counts.add(value),
            ("record", Scripted::Latencies(latencies)) => latencies.record(value),
            ("rotate", Scripted::Counts(counts)) => counts.rotate(at_ms),
            ("rotate", Scripted::Latencies(latencies)) => latencies.rotate(at_ms),
            ("read", Scripted::Counts(counts)) => return Some(read(counts.read(at_ms))),
            ("read", Scripted::Latencies(latencies)) => return Some(read(latencies.read(at_ms))),
            (other, _) => panic!("unknown step {other}"),
        }
        None
    }
}

fn read<T: Into<Json>>(windows: Windows<T>) -> Json {
    windows
        .named()
        .map(|(name, figure)| (name.to_owned(), figure.into()))
        .into_iter()
        .collect()
}

/// Deliberate difference: an average of nothing is 0 here in every window. Storm says NaN for all
/// time and 0 for the others; such a NaN is compared with 0, all else of the line as it is.
#[test]
fn windows_read_as_storms_do() {
    let mut tally = fixtures::Tally::new("stats/windows.jsonl");
    for line in fixtures::lines("stats/windows.jsonl") {
        let layout = Layout::new(line["buckets"].as_u64().unwrap() as usize);
        let start_ms = line["start"].as_i64().unwrap();
        let is_count = line["kind"].as_str().unwrap().starts_with("count");
        let mut scripted = match is_count {
            true => Scripted::Counts(Counts::new(layout, start_ms)),
            false => Scripted::Latencies(Latencies::new(layout, start_ms)),
        };
        let mut difference = None;
        for step in line["steps"].as_array().unwrap() {
            let result = scripted.step(step);
            let mut expected = step["result"].clone();
            if expected[":all-time"] == "NaN" {
                expected[":all-time"] = json!(0.0);
            }
            if result.as_ref().is_some_and(|result| *result != expected) {
                difference.get_or_insert(format!("{step}: {result:?}"));
            }
        }
        tally.case(difference.is_none(), || {
            format!("{}: {difference:?}", line["kind"])
        });
    }
    tally.finish(0);
}

#[test]
fn a_sampler_picks_one_of_each_run() {
    for seed in 0..10 {
        let mut sampler = Sampler::new(0.05, &mut fastrand::Rng::with_seed(seed));
        assert_eq!(sampler.weight(), 20);
        let mut places = std::collections::BTreeSet::new();
        for _ in 0..50 {
            let hits: Vec<_> = (0..20).filter(|_| sampler.is_hit()).collect();
            assert_eq!(hits.len(), 1);
            places.extend(hits);
        }
        assert!(places.len() > 5, "{places:?}");
    }
}

#[test]
fn a_sampler_takes_any_rate() {
    let weight = |rate| Sampler::new(rate, &mut fastrand::Rng::with_seed(1)).weight();
    assert_eq!(
        [1.0, 0.6, 0.5, 0.3, 7.0, f64::NAN].map(weight),
        [1, 1, 2, 3, 1, 1]
    );
    assert_eq!([0.0, 1e-300].map(weight), [2_147_483_647; 2]);
}

fn table() -> StreamTable {
    let info = |component: &str, stream: &str| StreamInfo {
        component: component.into(),
        stream: stream.into(),
        fields: Fields::new(["x"]).unwrap(),
        direct: false,
    };
    StreamTable::new([info("count", "default"), info("words", "default")]).unwrap()
}

#[test]
fn a_bolts_snapshot_names_own_streams_and_sources() {
    let streams = table();
    let own = streams.number("count", "default").unwrap();
    let source = streams.number("words", "default").unwrap();
    let mut stats = ExecutorTable::new(Role::Bolt, Layout::new(20), 0.05);
    stats.emitted(own, 40, 0);
    stats.transferred(own, 80, 0);
    stats.executed(source, 100, 0);
    stats.acked(source, 60, 0);
    stats.execute_latency(source, 1500, 0);
    stats.execute_latency(source, 500, 0);
    stats.ack_latency(source, 2000, 0);
    stats.rotate(40_000);
    stats.executed(source, 20, 40_000);
    let snapshot = stats.snapshot(&streams, 41_000);

    assert_eq!(json!(snapshot.emitted["600"]), json!({"default": 40}));
    assert_eq!(
        json!(snapshot.transferred[":all-time"]),
        json!({"default": 80})
    );
    assert_eq!(snapshot.rate, 0.05);
    let storm::ExecutorSpecificStats::Bolt(bolt) = snapshot.specific else {
        panic!("a bolt's");
    };
    let words = storm::GlobalStreamId {
        component_id: "words".into(),
        stream_id: "default".into(),
    };
    for window in ["600", "10800", "86400", ":all-time"] {
        assert_eq!(bolt.executed[window], [(words.clone(), 120)].into());
        assert_eq!(bolt.acked[window], [(words.clone(), 60)].into());
        assert_eq!(bolt.execute_ms_avg[window], [(words.clone(), 1.0)].into());
        assert_eq!(bolt.process_ms_avg[window], [(words.clone(), 2.0)].into());
        assert!(bolt.failed.is_empty());
    }
    // 120 calls of 1 ms in 60 and in 600 seconds.
    assert_eq!(stats.capacity(60, 41_000), 0.002);
    assert_eq!(stats.capacity(6000, 41_000), 0.0002);
    assert_eq!(stats.capacity(0, 41_000), 0.0);
}

#[test]
fn a_spouts_snapshot_names_its_streams() {
    let streams = table();
    let own = streams.number("words", "default").unwrap();
    let mut stats = ExecutorTable::new(Role::Spout, Layout::new(20), 1.0);
    stats.acked(own, 3, 0);
    stats.failed(own, 1, 0);
    stats.ack_latency(own, 4000, 0);
    let storm::ExecutorSpecificStats::Spout(spout) = stats.snapshot(&streams, 1).specific else {
        panic!("a spout's");
    };
    assert_eq!(json!(spout.acked["600"]), json!({"default": 3}));
    assert_eq!(json!(spout.failed["600"]), json!({"default": 1}));
    assert_eq!(json!(spout.complete_ms_avg["600"]), json!({"default": 4.0}));
}

#[test]
fn counting_allocates_nothing_once_warm() {
    let streams = table();
    let stream = streams.number("words", "default").unwrap();
    let mut stats = ExecutorTable::new(Role::Bolt, Layout::new(20), 0.05);
    let mut turn = || {
        stats.executed(stream, 20, 0);
        stats.emitted(stream, 20, 0);
        stats.execute_latency(stream, 5, 0);
        stats.rotate(100_000);
    };
    turn();
    assert_eq!(allocations::during(|| (0..100).for_each(|_| turn())).0, 0);
}

proptest! {
    #[test]
    fn all_time_counts_everything(
        steps in prop::collection::vec((0..1000i64, 0..90_000i64), 0..80),
    ) {
        let mut counts = Counts::new(Layout::new(20), 0);
        let (mut total, mut now_ms) = (0, 0);
        for (n, passed_ms) in steps {
            counts.add(n);
            total += n;
            now_ms += passed_ms;
            counts.rotate(now_ms);
            let read = counts.read(now_ms);
            prop_assert_eq!(read.all_time, total);
            prop_assert!(read.ten_minutes <= read.three_hours && read.day <= total);
        }
    }
}

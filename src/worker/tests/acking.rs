//! Every tracked tuple is acked or failed exactly once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::support::*;
use crate::component::{Collector, ComponentFailure, Emit};
use crate::conf::keys;
use crate::tuple::{HeldTuple, Tuple};
use crate::values;
use crate::wire::storm;
use crate::worker::engine::{Engine, EngineOptions};

fn acked(n: i64) -> Vec<Outcome> {
    (0..n).map(Outcome::Acked).collect()
}

fn sorted(mut events: Vec<Outcome>) -> Vec<Outcome> {
    events.sort_by_key(|event| match event {
        Outcome::Acked(number) => (*number, 1),
        Outcome::Failed(number) => (*number, 0),
    });
    events
}

fn pass(tuple: &Tuple<'_>, out: &mut Collector<'_>) -> crate::component::Result<()> {
    out.emit(tuple, values![tuple.long("number")?])?;
    out.ack(tuple);
    Ok(())
}

fn sink(tuple: &Tuple<'_>, out: &mut Collector<'_>) -> crate::component::Result<()> {
    out.ack(tuple);
    Ok(())
}

fn chain(n: i64, events: &Arc<Events<Outcome>>) -> Topology {
    let spout_events = events.clone();
    Topology::new()
        .spout(("spout", 1), &["number"], move || {
            Numbers::new(n, &spout_events)
        })
        .bolt(("pass", 2), &["number"], || BoltFn(pass))
        .bolt(("sink", 2), &[], || BoltFn(sink))
        .connect("spout", "pass", shuffle())
        .connect("pass", "sink", shuffle())
}

#[test]
fn a_chain_is_acked_on_one_thread_and_on_several() {
    for n_threads in [1, 2, 3] {
        let events = Events::new();
        let topology = chain(5000, &events).conf(keys::TOPOLOGY_ACKER_EXECUTORS, 2);
        let engine = topology.run(threads(n_threads));
        let seen = events.wait_for(5000);
        assert_eq!(sorted(seen), acked(5000), "{n_threads} threads");
        assert_eq!(engine.take_errors(), []);
        stop(engine);
    }
}

#[test]
fn what_fails_is_told_and_can_be_replayed() {
    let events = Events::new();
    let spout_events = events.clone();
    let engine = Topology::new()
        .spout(("spout", 1), &["number"], move || {
            Numbers::new(100, &spout_events)
        })
        .bolt(("flaky", 1), &[], || {
            let mut to_fail = [7, 13];
            BoltFn(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                let number = tuple.long(0usize)?;
                match to_fail.iter_mut().find(|left| **left == number) {
                    Some(left) => *left = -1,
                    None => {
                        out.ack(tuple);
                        return Ok(());
                    }
                }
                if number == 13 {
                    return Err(ComponentFailure::new("thirteen"));
                }
                out.fail(tuple);
                Ok(())
            })
        })
        .connect("spout", "flaky", shuffle())
        .run(threads(2));
    let seen = events.wait_for(102);
    let n_acked = |number| {
        seen.iter()
            .filter(|e| **e == Outcome::Acked(number))
            .count()
    };
    assert!((0..100).all(|number| n_acked(number) == 1));
    assert!(seen.contains(&Outcome::Failed(7)) && seen.contains(&Outcome::Failed(13)));
    let errors = engine.take_errors();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].text, "thirteen");
    assert_eq!(errors[0].component.as_str(), "flaky");
    stop(engine);
}

#[test]
fn a_lost_tuple_times_out_between_one_and_two_timeouts() {
    let events = Events::new();
    let spout_events = events.clone();
    let n_seen = Arc::new(AtomicUsize::new(0));
    let counter = n_seen.clone();
    let (clock, time) = TestClock::new();
    let engine = Topology::new()
        .conf(keys::TOPOLOGY_MESSAGE_TIMEOUT_SECS, 30)
        .spout(("spout", 1), &["number"], move || {
            Numbers::new(10, &spout_events)
        })
        .bolt(("hole", 1), &[], move || {
            let counter = counter.clone();
            BoltFn(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                if tuple.long(0usize)? != 3 {
                    out.ack(tuple);
                }
                counter.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
        })
        .connect("spout", "hole", shuffle())
        .run(EngineOptions { time, ..threads(1) });
    events.wait_for(9);
    clock.advance(&engine, Duration::from_secs(30));
    eventually("the first tick is past", || engine.shared().is_resting());
    assert_eq!(events.len(), 9);
    clock.advance(&engine, Duration::from_secs(30));
    let seen = events.wait_for(10);
    assert_eq!(seen[9], Outcome::Failed(3));
    eventually("it is replayed", || n_seen.load(Ordering::SeqCst) == 11);
    stop(engine);
}

#[test]
fn without_timeouts_nothing_expires() {
    let events = Events::new();
    let spout_events = events.clone();
    let (clock, time) = TestClock::new();
    let engine = Topology::new()
        .conf(keys::TOPOLOGY_ENABLE_MESSAGE_TIMEOUTS, false)
        .spout(("spout", 1), &["number"], move || {
            Numbers::new(2, &spout_events)
        })
        .bolt(("hole", 1), &[], || {
            BoltFn(|tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                if tuple.long(0usize)? == 1 {
                    out.ack(tuple);
                }
                Ok(())
            })
        })
        .connect("spout", "hole", shuffle())
        .run(EngineOptions { time, ..threads(1) });
    events.wait_for(1);
    for _ in 0..4 {
        clock.advance(&engine, Duration::from_secs(60));
        eventually("time has passed", || engine.shared().is_resting());
    }
    assert_eq!(events.all(), [Outcome::Acked(1)]);
    stop(engine);
}

#[test]
fn without_ackers_a_tuple_is_acked_after_the_call() {
    let events = Events::new();
    let engine = chain(1000, &events)
        .conf(keys::TOPOLOGY_ACKER_EXECUTORS, 0)
        .run(threads(1));
    assert_eq!(events.wait_for(1000), acked(1000));
    stop(engine);
}

#[test]
fn a_tuple_nobody_takes_is_acked() {
    let events = Events::new();
    let spout_events = events.clone();
    let engine = Topology::new()
        .spout(("spout", 1), &["number"], move || {
            Numbers::new(10, &spout_events)
        })
        .run(threads(1));
    assert_eq!(sorted(events.wait_for(10)), acked(10));
    stop(engine);
}

#[test]
fn pending_tuples_stay_below_their_maximum() {
    let events = Events::new();
    let spout_events = events.clone();
    let held: Arc<std::sync::Mutex<Vec<HeldTuple>>> = Arc::default();
    let holder = held.clone();
    let engine = Topology::new()
        .conf(keys::TOPOLOGY_MAX_SPOUT_PENDING, 8)
        .spout(("spout", 1), &["number"], move || {
            Numbers::new(100, &spout_events)
        })
        .bolt(("hold", 1), &[], move || {
            let held = holder.clone();
            BoltFn(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                let mut held = held.lock().unwrap();
                held.push(tuple.hold());
                assert!(held.len() <= 8);
                if held.len() == 8 {
                    held.drain(..).for_each(|tuple| out.ack(&tuple.view()));
                }
                Ok(())
            })
        })
        .connect("spout", "hold", shuffle())
        .run(threads(2));
    events.wait_for(96);
    eventually("the rest is held", || held.lock().unwrap().len() == 4);
    assert_eq!(engine.take_errors(), []);
    stop(engine);
}

#[test]
fn a_join_of_two_tuples_completes_both_trees() {
    let events = Events::new();
    let spout_events = events.clone();
    let engine = Topology::new()
        .spout(("spout", 1), &["number"], move || {
            Numbers::new(100, &spout_events)
        })
        .bolt(("pair", 1), &["sum"], || {
            let mut first: Option<HeldTuple> = None;
            BoltFn(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                let Some(other) = first.take() else {
                    first = Some(tuple.hold());
                    return Ok(());
                };
                let sum = other.view().long(0usize)? + tuple.long(0usize)?;
                let emit = Emit {
                    anchors: &[other.view(), *tuple],
                    ..Emit::default()
                };
                out.emit_with(emit, values![sum])?;
                out.ack(&other.view());
                out.ack(tuple);
                Ok(())
            })
        })
        .bolt(("sink", 3), &[], || BoltFn(sink))
        .connect("spout", "pair", shuffle())
        .connect("pair", "sink", storm_all())
        .run(threads(2));
    assert_eq!(sorted(events.wait_for(100)), acked(100));
    stop(engine);
}

fn storm_all() -> crate::wire::storm::Grouping {
    crate::wire::storm::Grouping::All(crate::wire::storm::NullStruct::default())
}

#[test]
fn a_reset_keeps_a_tree_alive() {
    let events = Events::new();
    let spout_events = events.clone();
    let (clock, time) = TestClock::new();
    let engine = Topology::new()
        .conf(keys::TOPOLOGY_MESSAGE_TIMEOUT_SECS, 30)
        .conf(keys::TOPOLOGY_TICK_TUPLE_FREQ_SECS, 10)
        .spout(("spout", 1), &["number"], move || {
            Numbers::new(1, &spout_events)
        })
        .bolt(("slow", 1), &[], || {
            let mut held: Option<HeldTuple> = None;
            let mut n_ticks = 0;
            BoltFn(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                if !tuple.is_tick() {
                    held = Some(tuple.hold());
                    return Ok(());
                }
                n_ticks += 1;
                if let Some(held) = &held {
                    match n_ticks < 20 {
                        true => out.reset_timeout(&held.view()),
                        false => out.ack(&held.view()),
                    }
                }
                Ok(())
            })
        })
        .connect("spout", "slow", shuffle())
        .run(EngineOptions { time, ..threads(1) });
    eventually("started", || engine.shared().is_resting());
    for _ in 0..20 {
        clock.advance(&engine, Duration::from_secs(10));
        eventually("a tick", || engine.shared().is_resting());
    }
    assert_eq!(events.wait_for(1), [Outcome::Acked(0)]);
    stop(engine);
}

/// Storm's acker is a bolt: its page tells what came from whom and what it told the spouts.
#[test]
fn ackers_count_as_storms_do() {
    for n_threads in [1, 3] {
        let events = Events::new();
        let topology = chain(100, &events)
            .conf(keys::TOPOLOGY_ACKER_EXECUTORS, 2)
            .conf(keys::TOPOLOGY_STATS_SAMPLE_RATE, 1.0);
        let engine = topology.run(threads(n_threads));
        events.wait_for(100);
        let totals = || {
            let mut totals = Totals::default();
            for (executor, stats) in engine.stats() {
                let handle = engine.shared().executor_of(executor.first).unwrap();
                totals.add(handle.component.as_str(), &stats);
            }
            totals
        };
        let expected = Totals {
            emitted: of([
                ("__acker __ack_ack", 100),
                ("pass __ack_ack", 100),
                ("pass default", 100),
                ("sink __ack_ack", 100),
                ("spout __ack_init", 100),
                ("spout default", 100),
            ]),
            executed: of([
                ("__acker pass:__ack_ack", 100),
                ("__acker sink:__ack_ack", 100),
                ("__acker spout:__ack_init", 100),
                ("pass spout:default", 100),
                ("sink pass:default", 100),
            ]),
        };
        eventually("all is counted", || totals() == expected);
        stop(engine);
    }
}

/// All time, by component and stream.
#[derive(Debug, Default, PartialEq)]
struct Totals {
    emitted: BTreeMap<String, i64>,
    executed: BTreeMap<String, i64>,
}

impl Totals {
    fn add(&mut self, component: &str, stats: &storm::ExecutorStats) {
        for (stream, n) in stats.emitted.get(":all-time").into_iter().flatten() {
            let sum = self.emitted.entry(format!("{component} {stream}"));
            *sum.or_default() += n;
        }
        let storm::ExecutorSpecificStats::Bolt(bolt) = &stats.specific else {
            return;
        };
        for (source, n) in bolt.executed.get(":all-time").into_iter().flatten() {
            let key = format!("{component} {}:{}", source.component_id, source.stream_id);
            *self.executed.entry(key).or_default() += n;
            // Everything is acked, by the acker too.
            assert_eq!(bolt.acked[":all-time"].get(source), Some(n));
        }
    }
}

fn of<const N: usize>(counts: [(&str, i64); N]) -> BTreeMap<String, i64> {
    counts.map(|(key, n)| (key.to_owned(), n)).into()
}

#[test]
fn what_was_never_activated_tells_empty_statistics() {
    let events = Events::new();
    let (program, executors, factory) = chain(1, &events).build();
    let engine = Engine::start(program, &executors, factory, threads(1)).unwrap();
    eventually("all executors tell", || engine.stats().len() == 6);
    for stats in engine.stats().into_values() {
        assert!(stats.emitted.is_empty() && stats.transferred.is_empty());
    }
    stop(engine);
}

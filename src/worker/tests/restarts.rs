//! Components that panic, or cannot start: they start over alone, and only what they had in hand
//! fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::support::*;
use crate::component::{
    Bolt, Collector, ComponentFailure, Result, Spout, SpoutCollector, TaskContext,
};
use crate::conf::keys;
use crate::tuple::{HeldTuple, Tuple, Value};
use crate::values;
use crate::worker::engine::EngineOptions;

#[test]
fn a_bolt_that_panics_starts_over_and_only_its_tuple_fails() {
    let events = Events::new();
    let spout_events = events.clone();
    let n_made = Arc::new(AtomicUsize::new(0));
    let made = n_made.clone();
    let (clock, time) = TestClock::new();
    let engine = Topology::new()
        .spout(("spout", 1), &["number"], move || {
            Numbers::new(100, &spout_events)
        })
        .bolt(("brittle", 1), &[], move || {
            let n_before = made.fetch_add(1, Ordering::SeqCst);
            BoltFn(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                if tuple.long(0usize)? == 42 {
                    assert!(n_before > 0, "the first one breaks");
                }
                out.ack(tuple);
                Ok(())
            })
        })
        .connect("spout", "brittle", shuffle())
        .run(EngineOptions { time, ..threads(1) });
    events.wait_for(43);
    eventually("it is reported", || engine.shared().errors.n_errors() == 1);
    clock.advance(&engine, Duration::from_secs(60));
    let seen = events.wait_for(101);
    assert!(seen.contains(&Outcome::Failed(42)));
    assert!(seen.contains(&Outcome::Acked(42)));
    assert!(
        engine.take_errors()[0]
            .text
            .contains("the first one breaks")
    );
    assert_eq!(n_made.load(Ordering::SeqCst), 2);
    stop(engine);
}

/// The first one takes so many tuples and panics when it is asked for room once more.
struct Moody {
    n_taken: usize,
    n_before_panic: usize,
}

impl Bolt for Moody {
    fn prepare(&mut self, _: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        self.n_taken += 1;
        match tuple.is_tick() {
            true => out.emit_unanchored(values![-1i64])?,
            false => out.emit(tuple, values![tuple.long(0usize)?])?,
        }
        out.ack(tuple);
        Ok(())
    }

    fn room(&self) -> usize {
        assert_ne!(self.n_taken, self.n_before_panic, "no idea");
        1
    }
}

impl Moody {
    fn made(n_made: &AtomicUsize, n_before_panic: usize) -> Self {
        let n_before = n_made.fetch_add(1, Ordering::SeqCst);
        Moody {
            n_taken: 0,
            n_before_panic: if n_before == 0 {
                n_before_panic
            } else {
                usize::MAX
            },
        }
    }
}

#[test]
fn a_bolt_that_panics_when_it_is_asked_for_room_starts_over_and_no_tuple_fails() {
    for n_before_panic in [1, 0] {
        let events = Events::new();
        let spout_events = events.clone();
        let n_made = AtomicUsize::new(0);
        let (clock, time) = TestClock::new();
        let engine = Topology::new()
            .spout(("spout", 1), &["number"], move || {
                Numbers::new(3, &spout_events)
            })
            .bolt(("moody", 1), &["number"], move || {
                Moody::made(&n_made, n_before_panic)
            })
            .bolt(("sink", 1), &[], || {
                BoltFn(|tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                    out.ack(tuple);
                    Ok(())
                })
            })
            .connect("spout", "moody", shuffle())
            .connect("moody", "sink", shuffle())
            .run(EngineOptions { time, ..threads(1) });
        eventually("it breaks", || engine.shared().errors.n_errors() == 1);
        eventually("all rest", || engine.shared().is_resting());
        clock.advance(&engine, Duration::from_secs(1));
        let seen = events.wait_for(3);
        assert_eq!(seen, (0..3).map(Outcome::Acked).collect::<Vec<_>>());
        assert!(engine.take_errors()[0].text.contains("no idea"));
        stop(engine);
    }
}

#[test]
fn a_bolt_that_panics_when_it_is_asked_for_room_for_a_tick_starts_over() {
    let n_made = AtomicUsize::new(0);
    let n_ticks = Arc::new(AtomicUsize::new(0));
    let ticks = n_ticks.clone();
    let (clock, time) = TestClock::new();
    let engine = Topology::new()
        .conf(keys::TOPOLOGY_TICK_TUPLE_FREQ_SECS, 1)
        .spout(("spout", 1), &["number"], || {
            Numbers::new(0, &Events::new())
        })
        .bolt(("moody", 1), &["number"], move || Moody::made(&n_made, 0))
        .bolt(("sink", 1), &[], move || {
            let ticks = ticks.clone();
            BoltFn(move |tuple: &Tuple<'_>, _: &mut Collector<'_>| {
                let n_new = usize::from(!tuple.is_tick());
                ticks.fetch_add(n_new, Ordering::SeqCst);
                Ok(())
            })
        })
        .connect("spout", "moody", shuffle())
        .connect("moody", "sink", shuffle())
        .run(EngineOptions { time, ..threads(1) });
    eventually("all rest", || engine.shared().is_resting());
    clock.advance(&engine, Duration::from_secs(1));
    eventually("it breaks", || engine.shared().errors.n_errors() == 1);
    clock.advance(&engine, Duration::from_secs(1));
    eventually("the next one ticks", || n_ticks.load(Ordering::SeqCst) > 0);
    assert!(engine.take_errors()[0].text.contains("no idea"));
    stop(engine);
}

/// Time stands still: what fails here fails at once and by no time-out.
#[test]
fn what_a_bolt_held_when_it_panicked_fails_at_once() {
    let events = Events::new();
    let spout_events = events.clone();
    let n_made = Arc::new(AtomicUsize::new(0));
    let made = n_made.clone();
    let (clock, time) = TestClock::new();
    let engine = Topology::new()
        .spout(("spout", 1), &["number"], move || {
            Numbers::new(10, &spout_events)
        })
        .bolt(("hoard", 1), &[], move || {
            let n_before = made.fetch_add(1, Ordering::SeqCst);
            let mut held = Vec::new();
            BoltFn(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                if n_before > 0 {
                    out.ack(tuple);
                    return Ok(());
                }
                assert!(tuple.long(0usize)? < 9, "too many");
                held.push(tuple.hold());
                Ok(())
            })
        })
        .connect("spout", "hoard", shuffle())
        .run(EngineOptions { time, ..threads(1) });
    let mut seen = events.wait_for(10);
    seen.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(seen, (0..10).map(Outcome::Failed).collect::<Vec<_>>());
    clock.advance(&engine, Duration::from_secs(1));
    let seen = events.wait_for(20);
    assert!((0..10).all(|n| seen.contains(&Outcome::Acked(n))));
    stop(engine);
}

/// Fails to start the first time.
struct Reluctant(usize, Arc<AtomicUsize>);

impl Bolt for Reluctant {
    fn prepare(&mut self, _: &TaskContext) -> Result<()> {
        match self.0 {
            0 => Err(ComponentFailure::new("not yet")),
            1 => panic!("not now"),
            _ => Ok(()),
        }
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        self.1.fetch_add(1, Ordering::SeqCst);
        out.ack(tuple);
        Ok(())
    }
}

#[test]
fn a_bolt_that_cannot_start_is_tried_again_and_its_tuples_wait() {
    let events = Events::new();
    let spout_events = events.clone();
    let n_made = AtomicUsize::new(0);
    let n_executed = Arc::new(AtomicUsize::new(0));
    let executed = n_executed.clone();
    let (clock, time) = TestClock::new();
    let engine = Topology::new()
        .spout(("spout", 1), &["number"], move || {
            Numbers::new(10, &spout_events)
        })
        .bolt(("late", 1), &[], move || {
            Reluctant(n_made.fetch_add(1, Ordering::SeqCst), executed.clone())
        })
        .connect("spout", "late", shuffle())
        .run(EngineOptions { time, ..threads(2) });
    for n_errors in 1..=2 {
        eventually("it is reported", || {
            engine.shared().errors.n_errors() == n_errors
        });
        eventually("all rest", || engine.shared().is_resting());
        assert_eq!(n_executed.load(Ordering::SeqCst), 0);
        clock.advance(&engine, Duration::from_secs(1));
    }
    assert_eq!(events.wait_for(10).len(), 10);
    let texts = engine.take_errors().into_iter().map(|error| error.text);
    assert_eq!(texts.collect::<Vec<_>>(), ["not yet", "panicked: not now"]);
    stop(engine);
}

/// Panics at its third tuple, the first time it is made.
struct Brittle(usize, Numbers);

impl Spout for Brittle {
    fn open(&mut self, context: &TaskContext) -> Result<()> {
        self.1.open(context)
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        assert!(self.0 > 0 || self.1.next < 3, "three is too many");
        self.1.next_tuple(out)
    }

    fn ack(&mut self, id: &Value) {
        self.1.ack(id);
    }
}

#[test]
fn a_spout_that_panics_starts_over_without_its_pending_tuples() {
    let events = Events::new();
    let spout_events = events.clone();
    let n_made = AtomicUsize::new(0);
    let held: Arc<Mutex<Vec<HeldTuple>>> = Arc::default();
    let holder = held.clone();
    let (clock, time) = TestClock::new();
    let engine = Topology::new()
        .conf(keys::TOPOLOGY_TICK_TUPLE_FREQ_SECS, 2)
        .spout(("spout", 1), &["number"], move || {
            let n_before = n_made.fetch_add(1, Ordering::SeqCst);
            Brittle(n_before, Numbers::new(5, &spout_events))
        })
        .bolt(("hold", 1), &[], move || {
            let held = holder.clone();
            BoltFn(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                let mut held = held.lock().unwrap();
                match tuple.is_tick() {
                    true => held.drain(..).for_each(|tuple| out.ack(&tuple.view())),
                    false => held.push(tuple.hold()),
                }
                Ok(())
            })
        })
        .connect("spout", "hold", shuffle())
        .run(EngineOptions { time, ..threads(1) });
    eventually("it breaks", || engine.shared().errors.n_errors() == 1);
    eventually("three are held", || held.lock().unwrap().len() == 3);
    clock.advance(&engine, Duration::from_secs(1));
    eventually("the next one emits", || held.lock().unwrap().len() == 8);
    clock.advance(&engine, Duration::from_secs(1));
    let mut seen = events.wait_for(5);
    seen.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(seen, (0..5).map(Outcome::Acked).collect::<Vec<_>>());
    stop(engine);
    assert_eq!(events.len(), 5);
}

/// The first one panics when it is called, the second one when it is told that it is active.
struct Hesitant(usize, Numbers);

impl Spout for Hesitant {
    fn open(&mut self, context: &TaskContext) -> Result<()> {
        self.1.open(context)
    }

    fn activate(&mut self) -> Result<()> {
        assert_ne!(self.0, 1, "the second one is not ready");
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        assert_ne!(self.0, 0, "the first one breaks");
        self.1.next_tuple(out)
    }

    fn ack(&mut self, id: &Value) {
        self.1.ack(id);
    }
}

#[test]
fn a_spout_that_panics_when_it_is_told_that_it_is_active_starts_over_alone() {
    let events = Events::new();
    let spout_events = events.clone();
    let n_made = AtomicUsize::new(0);
    let (clock, time) = TestClock::new();
    let engine = Topology::new()
        .spout(("spout", 1), &["number"], move || {
            let n_before = n_made.fetch_add(1, Ordering::SeqCst);
            Hesitant(n_before, Numbers::new(5, &spout_events))
        })
        .run(EngineOptions { time, ..threads(1) });
    for n_errors in 1..=2 {
        eventually("it breaks", || {
            engine.shared().errors.n_errors() == n_errors
        });
        eventually("all rest", || engine.shared().is_resting());
        clock.advance(&engine, Duration::from_secs(1));
    }
    events.wait_for(5);
    let errors = engine.take_errors();
    assert!(errors[1].text.contains("the second one is not ready"));
    stop(engine);
}

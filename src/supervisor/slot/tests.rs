//! The slot's state machine, step by step and under random events.

use proptest::prelude::*;

use super::*;
use crate::id::TaskId;

fn localize() -> Order {
    Order::Localize {
        topology: "t".into(),
        since: 0,
    }
}

fn desired(topology: &str, first: i32) -> Desired {
    let task = TaskId(first);
    Desired {
        topology: topology.into(),
        executors: [ExecutorId::new(task, task)].into(),
        resources: WorkerResources::default(),
        since: 0,
        work: TopologyWork::default(),
    }
}

fn worker(name: &str) -> WorkerId {
    WorkerId(name.to_owned())
}

fn launched(name: &str) -> Result<Launched, String> {
    Ok(Launched {
        id: worker(name),
        silence_ms: 30_000,
    })
}

fn slot() -> Slot {
    Slot::new(Patience {
        start_ms: 120_000,
        shutdown_ms: 3_000,
    })
}

fn orders(slot: &mut Slot) -> Vec<Order> {
    std::iter::from_fn(|| slot.poll_order()).collect()
}

/// A slot whose worker `w` runs topology `t` since `now_ms`.
fn running(now_ms: u64) -> Slot {
    let mut slot = slot();
    slot.handle_desired(Some(desired("t", 1)), now_ms);
    slot.handle_localized(&"t".into(), 0, Ok(()), now_ms);
    slot.handle_launched(launched("w"), now_ms);
    slot.handle_beat(now_ms);
    orders(&mut slot);
    slot
}

#[test]
fn an_assignment_is_localised_launched_and_runs() {
    let mut slot = slot();
    slot.handle_desired(Some(desired("t", 1)), 0);
    assert_eq!(orders(&mut slot), [localize()]);
    slot.handle_localized(&"t".into(), 0, Ok(()), 10);
    assert_eq!(
        orders(&mut slot),
        [Order::Launch(Box::new(desired("t", 1)))]
    );
    slot.handle_launched(launched("w"), 20);
    slot.handle_beat(30);
    assert_eq!(orders(&mut slot), []);
    assert_eq!(slot.worker().map(|(id, _)| id.clone()), Some(worker("w")));
}

#[test]
fn the_files_of_a_worker_that_is_being_started_are_needed() {
    let mut slot = slot();
    slot.handle_desired(Some(desired("t", 1)), 0);
    slot.handle_localized(&"t".into(), 0, Ok(()), 10);
    slot.handle_desired(Some(desired("u", 1)), 20);
    let needed: Vec<&str> = slot.topologies().map(TopologyId::as_str).collect();
    assert_eq!(needed, ["t", "u"]);
}

#[test]
fn the_same_assignment_in_a_newer_epoch_leaves_the_worker_alone() {
    let mut slot = running(0);
    let mut newer = desired("t", 1);
    newer.work.epoch = 9;
    slot.handle_desired(Some(newer), 5);
    assert_eq!(orders(&mut slot), []);
}

/// The same executors, since epoch 7, in which the conf changed.
fn rebalanced() -> Desired {
    let mut desired = desired("t", 1);
    desired.since = 7;
    desired.work.epoch = 7;
    desired.work.blobs_epoch = Some(7);
    desired
}

#[test]
fn a_worker_that_was_asked_to_restart_has_not_failed() {
    let mut slot = running(0);
    slot.handle_restart(&worker("other"));
    assert_eq!(orders(&mut slot), []);
    slot.handle_restart(&worker("w"));
    let found = orders(&mut slot);
    assert!(
        matches!(&found[..], [Order::CleanUp(_), Order::Localize { .. }]),
        "{found:?}"
    );
}

#[test]
fn another_conf_needs_another_process_once() {
    let mut slot = running(0);
    slot.handle_desired(Some(rebalanced()), 5);
    assert_eq!(orders(&mut slot), [Order::Terminate(worker("w"))]);
    slot.handle_exit(&worker("w"), "exit status 0", 10);
    let localize = Order::Localize {
        topology: "t".into(),
        since: 7,
    };
    assert_eq!(orders(&mut slot), [Order::CleanUp(worker("w")), localize]);
    slot.handle_localized(&"t".into(), 0, Ok(()), 20);
    slot.handle_launched(launched("v"), 30);
    orders(&mut slot);
    let mut later = rebalanced();
    later.work.epoch = 8;
    slot.handle_desired(Some(later), 40);
    assert_eq!(orders(&mut slot), []);
}

#[test]
fn files_that_became_old_on_their_way_are_fetched_again() {
    let mut slot = slot();
    slot.handle_desired(Some(desired("t", 1)), 0);
    slot.handle_desired(Some(rebalanced()), 1);
    orders(&mut slot);
    slot.handle_localized(&"t".into(), 0, Ok(()), 2);
    let again = orders(&mut slot);
    assert!(
        matches!(again[..], [Order::Localize { since: 7, .. }]),
        "{again:?}"
    );
    slot.handle_localized(&"t".into(), 7, Ok(()), 3);
    assert_eq!(orders(&mut slot), [Order::Launch(Box::new(rebalanced()))]);
}

/// Other slots of the topology have their files fetched too, older ones before.
#[test]
fn only_files_that_are_new_enough_are_launched() {
    let mut slot = slot();
    slot.handle_desired(Some(rebalanced()), 0);
    orders(&mut slot);
    slot.handle_localized(&"t".into(), 0, Ok(()), 1);
    slot.handle_localized(&"t".into(), 6, Err("x".into()), 2);
    assert_eq!(orders(&mut slot), [], "its own answer comes too");
    slot.handle_localized(&"t".into(), 8, Ok(()), 3);
    assert_eq!(orders(&mut slot), [Order::Launch(Box::new(rebalanced()))]);
}

#[test]
fn other_executors_need_another_process_and_a_deaf_one_is_killed() {
    let mut slot = running(0);
    slot.handle_desired(Some(desired("t", 2)), 100);
    assert_eq!(orders(&mut slot), [Order::Terminate(worker("w"))]);
    slot.handle_timer(3_099);
    assert_eq!(orders(&mut slot), []);
    slot.handle_timer(3_100);
    assert_eq!(orders(&mut slot), [Order::Kill(worker("w"))]);
    slot.handle_exit(&worker("w"), "signal 9", 3_200);
    let expected = [Order::CleanUp(worker("w")), localize()];
    assert_eq!(orders(&mut slot), expected);
}

#[test]
fn a_worker_that_had_worked_restarts_at_once() {
    let mut slot = running(0);
    slot.handle_exit(&worker("w"), "signal 9", 2_000);
    let after = orders(&mut slot);
    assert_eq!(after[0], Order::CleanUp(worker("w")));
    assert!(matches!(&after[1], Order::Report { reason, .. } if reason.contains("signal 9")));
    assert_eq!(after[2], localize());
}

#[test]
fn a_worker_that_dies_at_start_waits_longer_each_time() {
    let mut slot = running(0);
    let mut now_ms = 0;
    let mut waits = Vec::new();
    for _ in 0..12 {
        slot.handle_exit(&worker("w"), "exit status 1", now_ms + 5);
        let died_ms = now_ms + 5;
        now_ms = died_ms;
        while slot.worker().is_none() {
            now_ms += 100;
            slot.handle_timer(now_ms);
            slot.handle_localized(&"t".into(), 0, Ok(()), now_ms);
            slot.handle_launched(launched("w"), now_ms);
        }
        waits.push(now_ms - died_ms);
        orders(&mut slot);
    }
    assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]), "{waits:?}");
    assert_eq!(*waits.last().unwrap(), 30_000);
}

#[test]
fn silence_and_a_start_without_a_heartbeat_end_the_worker() {
    let mut slot = running(0);
    slot.handle_timer(30_000);
    assert_eq!(orders(&mut slot), []);
    slot.handle_timer(30_001);
    let after = orders(&mut slot);
    assert!(matches!(&after[0], Order::Report { reason, .. } if reason.contains("no heartbeat")));
    assert_eq!(after[1], Order::Kill(worker("w")));
}

#[test]
fn work_withdrawn_while_localising_or_launching_leaves_an_empty_slot() {
    let mut slot = slot();
    slot.handle_desired(Some(desired("t", 1)), 0);
    slot.handle_desired(None, 1);
    slot.handle_localized(&"t".into(), 0, Ok(()), 2);
    assert!(slot.is_empty());

    slot.handle_desired(Some(desired("t", 1)), 3);
    slot.handle_localized(&"t".into(), 0, Ok(()), 4);
    slot.handle_desired(None, 5);
    orders(&mut slot);
    slot.handle_launched(launched("w"), 6);
    assert_eq!(orders(&mut slot), [Order::Terminate(worker("w"))]);
}

#[test]
fn a_failed_download_is_reported_and_tried_again() {
    let mut slot = slot();
    slot.handle_desired(Some(desired("t", 1)), 0);
    orders(&mut slot);
    slot.handle_localized(&"t".into(), 0, Err("disk full".into()), 10);
    assert!(
        matches!(&orders(&mut slot)[..], [Order::Report { reason, .. }] if reason == "disk full")
    );
    slot.handle_timer(110);
    assert_eq!(orders(&mut slot), [localize()]);
}

#[test]
fn a_changed_blob_needs_another_process_of_its_topology_only() {
    let mut slot = running(0);
    slot.handle_blob_changed(&"other".into(), 5);
    assert_eq!(orders(&mut slot), []);
    slot.handle_blob_changed(&"t".into(), 5);
    assert_eq!(orders(&mut slot), [Order::Terminate(worker("w"))]);
    slot.handle_blob_changed(&"t".into(), 6);
    slot.handle_exit(&worker("w"), "exit status 0", 10);
    let after = orders(&mut slot);
    assert!(
        matches!(after[..], [Order::CleanUp(_), Order::Localize { .. }]),
        "{after:?}"
    );
    // While the next one is launched its files may become old already.
    slot.handle_localized(&"t".into(), 0, Ok(()), 20);
    orders(&mut slot);
    slot.handle_blob_changed(&"t".into(), 25);
    assert_eq!(orders(&mut slot), []);
    slot.handle_launched(launched("v"), 30);
    assert_eq!(orders(&mut slot), [Order::Terminate(worker("v"))]);
    slot.handle_exit(&worker("v"), "exit status 0", 40);
    orders(&mut slot);
    slot.handle_localized(&"t".into(), 0, Ok(()), 50);
    slot.handle_launched(launched("u"), 60);
    let after = orders(&mut slot);
    assert!(matches!(after[..], [Order::Launch(_)]), "{after:?}");
}

/// What may happen to a slot.
#[derive(Clone, Debug)]
enum Event {
    Desire(Option<i32>),
    Localized(bool),
    Launched(bool),
    Beat,
    Exit,
    Timer(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        prop::option::of(1..3i32).prop_map(Event::Desire),
        any::<bool>().prop_map(Event::Localized),
        any::<bool>().prop_map(Event::Launched),
        Just(Event::Beat),
        Just(Event::Exit),
        (0..50_000u64).prop_map(Event::Timer),
    ]
}

proptest! {
    /// Whatever happens: never two workers in a slot, and once the events stop being odd, the slot
    /// reaches what is wanted.
    #[test]
    fn never_two_workers_and_always_to_the_goal(events in prop::collection::vec(event(), 0..60)) {
        let mut slot = slot();
        let mut now_ms = 0;
        let mut n_launched = 0;
        let mut alive: Option<WorkerId> = None;
        let mut want = None;
        for event in events {
            match event {
                Event::Desire(first) => {
                    want = first;
                    slot.handle_desired(first.map(|first| desired("t", first)), now_ms);
                }
                Event::Localized(well) => {
                    let outcome = if well { Ok(()) } else { Err("x".into()) };
                    slot.handle_localized(&"t".into(), 0, outcome, now_ms);
                }
                Event::Launched(well) if matches!(slot.state, State::Launching { .. }) => {
                    prop_assert!(alive.is_none(), "a second worker in one slot");
                    let id = worker(&format!("w{n_launched}"));
                    n_launched += 1;
                    alive = well.then(|| id.clone());
                    let outcome = if well { launched(&id.0) } else { Err("x".into()) };
                    slot.handle_launched(outcome, now_ms);
                }
                Event::Launched(_) => {}
                Event::Beat => slot.handle_beat(now_ms),
                Event::Exit => {
                    if let Some(id) = alive.take() {
                        slot.handle_exit(&id, "signal 9", now_ms);
                    }
                }
                Event::Timer(later_ms) => {
                    now_ms += later_ms;
                    slot.handle_timer(now_ms);
                }
            }
            orders(&mut slot);
        }
        for _ in 0..10 {
            now_ms += 31_000;
            slot.handle_timer(now_ms);
            if matches!(slot.state, State::Stopping { .. }) && let Some(id) = alive.take() {
                slot.handle_exit(&id, "signal 9", now_ms);
            }
            now_ms += 31_000;
            slot.handle_beat(now_ms);
            slot.handle_timer(now_ms);
            slot.handle_localized(&"t".into(), 0, Ok(()), now_ms);
            if matches!(slot.state, State::Launching { .. }) {
                alive = Some(worker("last"));
                slot.handle_launched(launched("last"), now_ms);
            }
            slot.handle_beat(now_ms);
        }
        let runs = slot.worker().map(|(_, runs)| runs.executors.clone());
        prop_assert_eq!(runs, want.map(|first| desired("t", first).executors));
    }
}

#[test]
fn an_adopted_worker_that_was_only_starting_gets_the_longer_time() {
    for (silence_ms, limit_ms) in [(30_000, 120_000), (300_000, 300_000)] {
        let mut slot = slot();
        let launched = Launched {
            id: worker("w"),
            silence_ms,
        };
        slot.handle_adopted(launched, desired("t", 1), 0);
        slot.handle_desired(Some(desired("t", 1)), 0);
        slot.handle_timer(limit_ms);
        assert_eq!(orders(&mut slot), []);
        slot.handle_timer(limit_ms + 1);
        let ordered = orders(&mut slot);
        assert_eq!(ordered.last(), Some(&Order::Kill(worker("w"))));
    }
}

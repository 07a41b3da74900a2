//! The table of statuses, the stages of a rebalance, and any order of events.

use TopologyStatus::{Active, Inactive, Killed, Rebalancing};
use proptest::prelude::*;

use super::*;

const KILL: Event = Event::Kill {
    delay: Duration::from_secs(30),
};
const REBALANCE: Event = Event::Rebalance {
    delay: Duration::from_secs(30),
};

fn after(status: TopologyStatus, event: Event) -> Option<TopologyStatus> {
    let lifecycle = Lifecycle::new(status);
    match lifecycle.handle_event(event, 0, "t-1-1").ok()? {
        Reaction::Unchanged => Some(status),
        Reaction::Changed(changed) => Some(changed.status()),
    }
}

fn changed(lifecycle: Lifecycle, event: Event, now_ms: u64) -> Lifecycle {
    match lifecycle.handle_event(event, now_ms, "t-1-1") {
        Ok(Reaction::Changed(changed)) => changed,
        other => panic!("no change: {other:?}"),
    }
}

#[test]
fn follows_the_table_of_storm() {
    let rows = [
        (
            Active,
            [
                Some(Active),
                Some(Inactive),
                Some(Rebalancing),
                Some(Killed),
            ],
        ),
        (
            Inactive,
            [
                Some(Active),
                Some(Inactive),
                Some(Rebalancing),
                Some(Killed),
            ],
        ),
        (Rebalancing, [None, None, None, Some(Killed)]),
        (Killed, [None, None, None, Some(Killed)]),
    ];
    for (status, expected) in rows {
        let events = [Event::Activate, Event::Inactivate, REBALANCE, KILL];
        let found = events.map(|event| after(status, event));
        assert_eq!(found, expected, "{status:?}");
    }
    for (event, text) in [
        (Event::Activate, "ACTIVATE"),
        (Event::Inactivate, "INACTIVATE"),
        (REBALANCE, "REBALANCE"),
    ] {
        let refused = Lifecycle::new(Killed).handle_event(event, 0, "t-1-1");
        assert_eq!(
            refused.expect_err("killed").to_string(),
            format!("No transition for event: {text}, status: KILLED storm-id: t-1-1")
        );
    }
}

#[test]
fn a_rebalance_waits_drains_is_placed_and_goes_back() {
    for before in [Active, Inactive] {
        let begun = changed(Lifecycle::new(before), REBALANCE, 1_000);
        assert_eq!(begun.poll_step(30_999, Flow::Still), None);
        assert_eq!(begun.poll_step(31_000, Flow::Moving), Some(Step::Drain));
        let draining = begun.draining(31_000);
        assert_eq!(draining.status(), Rebalancing);
        assert_eq!(draining.poll_step(31_001, Flow::Moving), None);
        assert_eq!(draining.poll_step(31_001, Flow::Still), Some(Step::Place));
        // What does not flow off holds nothing up for ever.
        let until_ms = draining.look_ms().expect("bounded");
        assert_eq!(draining.poll_step(until_ms - 1, Flow::Moving), None);
        assert_eq!(
            draining.poll_step(until_ms, Flow::Moving),
            Some(Step::Place)
        );
        let placing = draining.placing();
        assert!(placing.is_placing() && placing.poll_step(u64::MAX, Flow::Still).is_none());
        assert_eq!(placing.rebalanced(), Lifecycle::new(before));
    }
}

#[test]
fn a_restart_goes_on_with_what_is_left_of_the_delay() {
    let secs = Duration::from_secs;
    let pending = |left, delay| {
        Some(Pending {
            left: secs(left),
            delay: secs(delay),
        })
    };
    let step = |lifecycle: Lifecycle, now_ms| lifecycle.poll_step(now_ms, Flow::Moving);
    for (status, expected) in [(Killed, Step::Remove), (Rebalancing, Step::Drain)] {
        let resumed = |pending, now_ms| Lifecycle::resumed(status, Some(Inactive), pending, now_ms);
        assert_eq!(step(resumed(pending(7, 30), 1000), 7999), None);
        assert_eq!(step(resumed(pending(7, 30), 1000), 8000), Some(expected));
        // A clock that was set back must not lengthen the delay.
        assert_eq!(step(resumed(pending(7200, 30), 0), 30_000), Some(expected));
        assert_eq!(step(resumed(None, 5), 5), Some(expected));
    }
    let active = Lifecycle::resumed(Active, None, pending(0, 0), 0);
    assert_eq!(step(active, 1), None);
}

#[test]
fn a_restart_remembers_what_a_rebalance_goes_back_to() {
    for (previous, expected) in [
        (Some(Inactive), Inactive),
        (Some(Active), Active),
        // Storm may have lost it: its topologies then rebalance for ever.
        (None, Active),
        (Some(Killed), Active),
    ] {
        let resumed = Lifecycle::resumed(Rebalancing, previous, None, 0);
        assert_eq!(resumed.rebalanced().status(), expected, "{previous:?}");
    }
}

#[test]
fn a_kill_overtakes_a_rebalance_at_any_stage() {
    let begun = changed(Lifecycle::new(Inactive), REBALANCE, 0);
    for stage in [begun, begun.draining(30_000), begun.placing()] {
        let killed = changed(stage, KILL, 40_000);
        assert!(!killed.is_placing() && !killed.is_draining());
        assert_eq!(killed.poll_step(69_999, Flow::Still), None);
        assert_eq!(killed.poll_step(70_000, Flow::Moving), Some(Step::Remove));
    }
}

proptest! {
    /// Whatever comes, only a kill ends a topology, and the last one says when; a rebalance always
    /// ends where it began, unless a kill comes.
    #[test]
    fn ends_when_the_last_kill_says(
        events in prop::collection::vec((0..5u8, 0..50u64), 0..40),
    ) {
        let mut lifecycle = Lifecycle::new(Active);
        let mut end: Option<u64> = None;
        // What the status is without rebalances.
        let mut below = Active;
        let mut now = 0;
        for (kind, secs) in &events {
            now += 1;
            let delay = Duration::from_secs(*secs);
            let event = match kind {
                0 => Event::Activate,
                1 => Event::Inactivate,
                2 => Event::Rebalance { delay },
                3 => Event::Kill { delay },
                _ => {
                    // Time goes on until nothing is due.
                    now += secs * 1000;
                    while let Some(step) = lifecycle.poll_step(now, Flow::Still) {
                        match step {
                            Step::Drain => lifecycle = lifecycle.draining(now),
                            Step::Place => lifecycle = lifecycle.placing().rebalanced(),
                            Step::Remove => break,
                        }
                    }
                    continue;
                }
            };
            let was = lifecycle.status();
            match lifecycle.handle_event(event, now, "t") {
                Ok(Reaction::Changed(changed)) => {
                    lifecycle = changed;
                    match event {
                        Event::Activate => below = Active,
                        Event::Inactivate => below = Inactive,
                        Event::Kill { .. } => end = Some(now + secs * 1000),
                        Event::Rebalance { .. } => prop_assert_eq!(changed.previous(), below),
                    }
                }
                Ok(Reaction::Unchanged) => prop_assert_eq!(was, below),
                Err(_) => prop_assert!(matches!(was, Killed | Rebalancing)),
            }
            prop_assert_eq!(lifecycle.status() == Killed, end.is_some());
            if !matches!(lifecycle.status(), Killed | Rebalancing) {
                prop_assert_eq!(lifecycle.status(), below);
            }
        }
        if let Some(end) = end {
            prop_assert_eq!(lifecycle.due().map(|due| due.at_ms), Some(end));
            let before = lifecycle.poll_step(end.saturating_sub(1), Flow::Still);
            prop_assert_eq!(before.is_some(), end == 0);
            prop_assert_eq!(lifecycle.poll_step(end, Flow::Moving), Some(Step::Remove));
        }
    }
}

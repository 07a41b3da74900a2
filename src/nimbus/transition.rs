//! The state machine of a topology: which events change its status, and what is due when.
//!
//! Pure: time comes in as monotonic milliseconds, and what a change means for the store, the
//! workers and the blobs is the caller's business.

use std::time::Duration;

use crate::wire::storm::TopologyStatus;

/// Where a topology is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifecycle {
    status: TopologyStatus,
    due: Option<Due>,
}

/// A step that follows by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Monotonic milliseconds.
    pub at_ms: u64,
    /// The whole delay in milliseconds.
    pub delay_ms: u64,
}

/// What somebody asks of a topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Activate,
    Inactivate,
    /// Ends after the delay, in which its spouts are quiet.
    Kill {
        delay: Duration,
    },
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// It was so already.
    Unchanged,
    Changed(Lifecycle),
}

/// What is due by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The topology's records and blobs go, and its name is free.
    Remove,
}

/// Storm's refusal of an event that the status does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("No transition for event: {event}, status: {status} storm-id: {id}")]
pub(crate) struct NoTransitionError {
    event: &'static str,
    status: &'static str,
    id: String,
}

// === impl Lifecycle ===

impl Lifecycle {
    /// A topology whose status needs no timer.
    pub fn new(status: TopologyStatus) -> Self {
        Lifecycle { status, due: None }
    }

    /// A topology as the store has it. `left` and `delay` are of the step that was pending: we go
    /// on with what is left of it, where Storm starts the whole delay over.
    pub fn resumed(status: TopologyStatus, pending: Option<Pending>, now_ms: u64) -> Self {
        let pending = match (status, pending) {
            (TopologyStatus::Killed, Some(pending)) => Some(pending),
            // Killed by a Nimbus that kept no deadline: nothing holds its end up.
            (TopologyStatus::Killed, None) => Some(Pending::default()),
            _ => None,
        };
        let due = pending.map(|Pending { left, delay }| Due {
            at_ms: now_ms.saturating_add(millis(left.min(delay))),
            delay_ms: millis(delay),
        });
        Lifecycle { status, due }
    }

    pub fn status(&self) -> TopologyStatus {
        self.status
    }

    pub fn due(&self) -> Option<Due> {
        self.due
    }

    /// Section 5.1 of the control plane, without rebalancing.
    pub fn handle_event(
        &self,
        event: Event,
        now_ms: u64,
        id: &str,
    ) -> Result<Reaction, NoTransitionError> {
        use TopologyStatus::{Active, Inactive};
        match (self.status, event) {
            (_, Event::Kill { delay }) => Ok(Reaction::Changed(Self::killed(delay, now_ms))),
            (Active, Event::Activate) | (Inactive, Event::Inactivate) => Ok(Reaction::Unchanged),
            (Inactive, Event::Activate) => Ok(Reaction::Changed(Self::new(Active))),
            (Active, Event::Inactivate) => Ok(Reaction::Changed(Self::new(Inactive))),
            _ => Err(NoTransitionError {
                event: event.name(),
                status: self.status.name(),
                id: id.to_owned(),
            }),
        }
    }

    /// The step that is due by now.
    pub fn poll_step(&self, now_ms: u64) -> Option<Step> {
        let due = self.due?;
        (self.status == TopologyStatus::Killed && due.at_ms <= now_ms).then_some(Step::Remove)
    }

    fn killed(delay: Duration, now_ms: u64) -> Self {
        let delay_ms = millis(delay);
        let at_ms = now_ms.saturating_add(delay_ms);
        Lifecycle {
            status: TopologyStatus::Killed,
            due: Some(Due { at_ms, delay_ms }),
        }
    }
}

/// A delayed step as it lies in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    pub left: Duration,
    pub delay: Duration,
}

// === impl Event ===

impl Event {
    fn name(self) -> &'static str {
        match self {
            Event::Activate => "ACTIVATE",
            Event::Inactivate => "INACTIVATE",
            Event::Kill { .. } => "KILL",
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use TopologyStatus::{Active, Inactive, Killed, Rebalancing};
    use proptest::prelude::*;

    use super::*;

    const KILL: Event = Event::Kill {
        delay: Duration::from_secs(30),
    };

    fn after(status: TopologyStatus, event: Event) -> Option<TopologyStatus> {
        let lifecycle = Lifecycle::new(status);
        match lifecycle.handle_event(event, 0, "t-1-1").ok()? {
            Reaction::Unchanged => Some(status),
            Reaction::Changed(changed) => Some(changed.status()),
        }
    }

    #[test]
    fn follows_the_table_of_storm() {
        let rows = [
            (Active, [Some(Active), Some(Inactive), Some(Killed)]),
            (Inactive, [Some(Active), Some(Inactive), Some(Killed)]),
            (Rebalancing, [None, None, Some(Killed)]),
            (Killed, [None, None, Some(Killed)]),
        ];
        for (status, expected) in rows {
            let found = [Event::Activate, Event::Inactivate, KILL].map(|e| after(status, e));
            assert_eq!(found, expected, "{status:?}");
        }
        let refused = Lifecycle::new(Killed).handle_event(Event::Activate, 0, "t-1-1");
        assert_eq!(
            refused.expect_err("killed").to_string(),
            "No transition for event: ACTIVATE, status: KILLED storm-id: t-1-1"
        );
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
        let killed = Lifecycle::resumed(Killed, pending(7, 30), 1000);
        assert_eq!(killed.poll_step(7999), None);
        assert_eq!(killed.poll_step(8000), Some(Step::Remove));
        // A clock that was set back must not lengthen the delay.
        let jumped = Lifecycle::resumed(Killed, pending(7200, 30), 0);
        assert_eq!(jumped.poll_step(30_000), Some(Step::Remove));
        let unknown = Lifecycle::resumed(Killed, None, 5);
        assert_eq!(unknown.poll_step(5), Some(Step::Remove));
        assert_eq!(
            Lifecycle::resumed(Active, pending(0, 0), 0).poll_step(1),
            None
        );
    }

    proptest! {
        /// Whatever comes, only a kill ends a topology, and the last one says when.
        #[test]
        fn ends_when_the_last_kill_says(
            events in prop::collection::vec((0..3u8, 0..50u64), 0..20),
        ) {
            let mut lifecycle = Lifecycle::new(Active);
            let mut model: Option<u64> = None;
            for (now, (kind, secs)) in (0..).zip(&events) {
                let event = match kind {
                    0 => Event::Activate,
                    1 => Event::Inactivate,
                    _ => Event::Kill { delay: Duration::from_secs(*secs) },
                };
                if let Event::Kill { .. } = event {
                    model = Some(now + secs * 1000);
                }
                match lifecycle.handle_event(event, now, "t") {
                    Ok(Reaction::Changed(changed)) => lifecycle = changed,
                    Ok(Reaction::Unchanged) => {}
                    Err(_) => prop_assert!(model.is_some()),
                }
                prop_assert_eq!(lifecycle.status() == Killed, model.is_some());
            }
            prop_assert_eq!(lifecycle.due().map(|due| due.at_ms), model);
            let end = model.unwrap_or(u64::MAX);
            prop_assert_eq!(lifecycle.poll_step(end.saturating_sub(1)).is_some(), end == 0);
            prop_assert_eq!(lifecycle.poll_step(end).is_some(), model.is_some());
        }
    }
}

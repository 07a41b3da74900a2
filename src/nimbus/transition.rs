//! The state machine of a topology: which events change its status, and what is due when.
//!
//! Pure: time comes in as monotonic milliseconds, and what a change means for the store, the
//! workers and the blobs is the caller's business.

use std::time::Duration;

use crate::limits;
use crate::wire::storm::TopologyStatus;

/// Where a topology is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifecycle {
    status: TopologyStatus,
    /// What it goes back to after a rebalance.
    previous: TopologyStatus,
    due: Option<Due>,
    stage: Stage,
}

/// A step that follows by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Monotonic milliseconds.
    pub at_ms: u64,
    /// The whole delay in milliseconds.
    pub delay_ms: u64,
}

/// How far a rebalance has come. Only the delay outlives Nimbus: what follows begins again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Delayed,
    /// What is under way flows off, at most until then.
    Draining {
        until_ms: u64,
    },
    /// The next round places it.
    Placing,
}

/// What somebody asks of a topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Activate,
    Inactivate,
    /// Changes after the delay, in which its spouts are quiet.
    Rebalance {
        delay: Duration,
    },
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
    /// The delay of a rebalance is over: its workers are asked what is still under way.
    Drain,
    /// Nothing is under way, or it takes too long: the next round places the topology anew.
    Place,
}

/// Whether a topology's workers have nothing under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Still,
    Moving,
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
        Lifecycle {
            status,
            previous: status,
            due: None,
            stage: Stage::Delayed,
        }
    }

    /// A topology as the store has it. `left` and `delay` are of the step that was pending: we go
    /// on with what is left of it, where Storm starts the whole delay over. `previous` is what a
    /// rebalance goes back to.
    pub fn resumed(
        status: TopologyStatus,
        previous: Option<TopologyStatus>,
        pending: Option<Pending>,
        now_ms: u64,
    ) -> Self {
        use TopologyStatus::{Active, Inactive, Killed, Rebalancing};
        let pending = match status {
            // Where the deadline is lost nothing holds the step up.
            Killed | Rebalancing => Some(pending.unwrap_or_default()),
            _ => None,
        };
        let due = pending.map(|Pending { left, delay }| Due {
            at_ms: now_ms.saturating_add(millis(left.min(delay))),
            delay_ms: millis(delay),
        });
        // Storm forgets it in some changes, and the topology then rebalances for ever.
        let previous = match previous {
            Some(Inactive) => Inactive,
            _ => Active,
        };
        Lifecycle {
            status,
            previous,
            due,
            stage: Stage::Delayed,
        }
    }

    pub fn status(&self) -> TopologyStatus {
        self.status
    }

    /// What a rebalance goes back to; of no meaning otherwise.
    pub fn previous(&self) -> TopologyStatus {
        self.previous
    }

    /// The delayed step that was asked for.
    pub fn due(&self) -> Option<Due> {
        self.due
    }

    /// When something has to be looked at by itself, in monotonic milliseconds.
    pub fn look_ms(&self) -> Option<u64> {
        match self.stage {
            Stage::Delayed => self.due.map(|due| due.at_ms),
            Stage::Draining { until_ms } => Some(until_ms),
            Stage::Placing => None,
        }
    }

    /// Whether the delay of a rebalance is over and what is under way has to flow off.
    pub fn is_draining(&self) -> bool {
        matches!(self.stage, Stage::Draining { .. })
    }

    /// Whether the next round places the topology as if it ran nowhere.
    pub fn is_placing(&self) -> bool {
        self.stage == Stage::Placing
    }

    /// Section 5.1 of the control plane.
    pub fn handle_event(
        &self,
        event: Event,
        now_ms: u64,
        id: &str,
    ) -> Result<Reaction, NoTransitionError> {
        use TopologyStatus::{Active, Inactive, Killed, Rebalancing};
        match (self.status, event) {
            (_, Event::Kill { delay }) => {
                Ok(Reaction::Changed(self.delayed(Killed, delay, now_ms)))
            }
            (Active, Event::Activate) | (Inactive, Event::Inactivate) => Ok(Reaction::Unchanged),
            (Inactive, Event::Activate) => Ok(Reaction::Changed(Self::new(Active))),
            (Active, Event::Inactivate) => Ok(Reaction::Changed(Self::new(Inactive))),
            (Active | Inactive, Event::Rebalance { delay }) => {
                Ok(Reaction::Changed(self.delayed(Rebalancing, delay, now_ms)))
            }
            _ => Err(NoTransitionError {
                event: event.name(),
                status: self.status.name(),
                id: id.to_owned(),
            }),
        }
    }

    /// The step that is due by now.
    pub fn poll_step(&self, now_ms: u64, flow: Flow) -> Option<Step> {
        let due = self.due.filter(|due| due.at_ms <= now_ms)?;
        match (self.status, self.stage) {
            (TopologyStatus::Killed, _) => Some(Step::Remove),
            (TopologyStatus::Rebalancing, Stage::Delayed) => Some(Step::Drain),
            (TopologyStatus::Rebalancing, Stage::Draining { until_ms }) => {
                let is_over = flow == Flow::Still || until_ms.max(due.at_ms) <= now_ms;
                is_over.then_some(Step::Place)
            }
            _ => None,
        }
    }

    /// After `Step::Drain`.
    pub fn draining(&self, now_ms: u64) -> Self {
        let until_ms = now_ms.saturating_add(millis(limits::REBALANCE_DRAIN_MAX));
        Lifecycle {
            stage: Stage::Draining { until_ms },
            ..*self
        }
    }

    /// After `Step::Place`.
    pub fn placing(&self) -> Self {
        Lifecycle {
            stage: Stage::Placing,
            ..*self
        }
    }

    /// After a round placed it (Storm's DO_REBALANCE).
    pub fn rebalanced(&self) -> Self {
        Self::new(self.previous)
    }

    fn delayed(&self, status: TopologyStatus, delay: Duration, now_ms: u64) -> Self {
        let delay_ms = millis(delay);
        let at_ms = now_ms.saturating_add(delay_ms);
        Lifecycle {
            status,
            previous: self.status,
            due: Some(Due { at_ms, delay_ms }),
            stage: Stage::Delayed,
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
            Event::Rebalance { .. } => "REBALANCE",
            Event::Kill { .. } => "KILL",
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

//! The state machine of one slot: which worker should be there, which is, and what to do about it.
//!
//! Pure: time comes in as milliseconds of a monotonic clock, what has to be done goes out as
//! [`Order`]s. It starts no process and fetches no blob itself (`launch`, `localizer`); states and
//! reasons follow control-plane 6.8.

use std::collections::{BTreeSet, VecDeque};

use crate::id::{ExecutorId, TopologyId};
use crate::wire::messages::TopologyWork;
use crate::wire::storm::WorkerResources;

/// What Nimbus wants a slot to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    pub topology: TopologyId,
    pub executors: BTreeSet<ExecutorId>,
    pub resources: WorkerResources,
    /// The epoch since which this is what the slot runs: a worker of an earlier one has other
    /// executors or another conf.
    pub since: i64,
    pub work: TopologyWork,
}

/// A worker process, by the id that names its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerId(pub String);

/// A worker that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launched {
    pub id: WorkerId,
    /// How long it may send no heartbeat: the larger of `supervisor.worker.timeout.secs` and its
    /// topology's `topology.worker.timeout.secs`.
    pub silence_ms: u64,
}

/// What the slot asks its owner to do. Each is answered by a `handle_*` call, except `Report`.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Fetch code, conf and jar of a topology; answer: `handle_localized`. Files that were fetched
    /// before this epoch are old.
    Localize { topology: TopologyId, since: i64 },
    /// Start a worker; answer: `handle_launched`.
    Launch(Box<Desired>),
    /// Ask the worker to end (SIGTERM); answer: `handle_exit` when it is gone.
    Terminate(WorkerId),
    /// End it now, with all its children (SIGKILL); answer: `handle_exit`.
    Kill(WorkerId),
    /// Remove what a dead worker left: child processes and its directory.
    CleanUp(WorkerId),
    /// Tell Nimbus and the log why a worker was lost.
    Report {
        topology: TopologyId,
        reason: String,
    },
}

/// How long things may take, in milliseconds.
#[derive(Clone, Debug)]
pub struct Patience {
    /// From launch to the first heartbeat (`supervisor.worker.start.timeout.secs`).
    pub start_ms: u64,
    /// From SIGTERM to SIGKILL (`supervisor.worker.shutdown.sleep.secs`).
    pub shutdown_ms: u64,
}

/// One slot.
#[derive(Debug)]
pub struct Slot {
    patience: Patience,
    desired: Option<Desired>,
    state: State,
    /// The worker that is being launched may have old files.
    is_stale: bool,
    /// Delay before the next restart; doubles while workers die young.
    restart_delay_ms: u64,
    orders: VecDeque<Order>,
}

#[derive(Debug)]
enum State {
    Empty,
    Localizing {
        topology: TopologyId,
        since: i64,
    },
    /// The last attempt failed; the next is due at `due_ms`.
    Waiting {
        due_ms: u64,
    },
    Launching {
        for_work: Desired,
    },
    Starting {
        worker: Worker,
        since_ms: u64,
    },
    Running {
        worker: Worker,
        since_ms: u64,
        last_beat_ms: u64,
    },
    Stopping {
        worker: Worker,
        kill_ms: u64,
    },
}

#[derive(Clone, Debug)]
struct Worker {
    id: WorkerId,
    runs: Desired,
    silence_ms: u64,
}

// === impl Desired ===

impl Desired {
    /// The epoch since which code and conf are unchanged.
    fn blobs_since(&self) -> i64 {
        self.work.blobs_epoch.unwrap_or(0)
    }

    /// Storm's "same assignment": anything else needs another process. Epoch, routing and status
    /// may change under a running worker, which learns of them from Nimbus.
    fn same_worker(&self, other: &Desired) -> bool {
        self.topology == other.topology
            && self.executors == other.executors
            && self.resources == other.resources
            && self.since <= other.work.epoch
    }
}

// === impl Slot ===

impl Slot {
    pub fn new(patience: Patience) -> Self {
        Slot {
            patience,
            desired: None,
            state: State::Empty,
            is_stale: false,
            restart_delay_ms: RESTART_DELAY_MS_MIN,
            orders: VecDeque::new(),
        }
    }

    /// The next thing to do, until there is none.
    pub fn poll_order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// The worker that occupies the slot, with what it runs, if there is one.
    pub fn worker(&self) -> Option<(&WorkerId, &Desired)> {
        self.occupant().map(|worker| (&worker.id, &worker.runs))
    }

    /// The topology whose files this slot needs now or soon.
    pub fn topologies(&self) -> impl Iterator<Item = &TopologyId> {
        let busy = match &self.state {
            State::Launching { for_work } => Some(&for_work.topology),
            _ => self.worker().map(|(_, runs)| &runs.topology),
        };
        busy.into_iter()
            .chain(self.desired.as_ref().map(|desired| &desired.topology))
    }

    pub fn is_empty(&self) -> bool {
        matches!(self.state, State::Empty)
    }

    /// A worker of an earlier supervisor is still there: it counts as started now, and as running
    /// from the first look at a heartbeat.
    pub fn handle_adopted(&mut self, launched: Launched, runs: Desired, now_ms: u64) {
        let worker = Worker {
            id: launched.id,
            runs,
            silence_ms: launched.silence_ms,
        };
        self.state = State::Starting {
            worker,
            since_ms: now_ms,
        };
    }

    /// Nimbus's word on this slot; `None` empties it.
    pub fn handle_desired(&mut self, desired: Option<Desired>, now_ms: u64) {
        let changed_topology =
            self.desired.as_ref().map(|d| &d.topology) != desired.as_ref().map(|d| &d.topology);
        if changed_topology {
            self.restart_delay_ms = RESTART_DELAY_MS_MIN;
        }
        self.desired = desired;
        match &self.state {
            State::Empty => self.begin(),
            State::Waiting { .. } if changed_topology => self.begin(),
            State::Starting { worker, .. } | State::Running { worker, .. } => {
                let keep = self
                    .desired
                    .as_ref()
                    .is_some_and(|desired| desired.same_worker(&worker.runs));
                if !keep {
                    self.stop(now_ms);
                }
            }
            // Localizing and Launching look at `desired` when their answer comes.
            _ => {}
        }
    }

    /// The answer to `Localize`, or to that of another slot: files that were fetched before the
    /// epoch `since` were replaced.
    pub fn handle_localized(
        &mut self,
        topology: &TopologyId,
        since: i64,
        outcome: Result<(), String>,
        now_ms: u64,
    ) {
        match &self.state {
            State::Localizing {
                topology: t,
                since: wanted,
            } if t == topology && since >= *wanted => {}
            // An answer to an order before this slot's, whose own is still to come.
            _ => return,
        }
        match outcome {
            Ok(()) => match self.desired.clone() {
                // Where the conf changed once more meanwhile, it is fetched once more.
                Some(desired)
                    if desired.topology == *topology && desired.blobs_since() <= since =>
                {
                    self.state = State::Launching {
                        for_work: desired.clone(),
                    };
                    self.orders.push_back(Order::Launch(Box::new(desired)));
                }
                _ => self.begin(),
            },
            Err(reason) => {
                self.orders.push_back(Order::Report {
                    topology: topology.clone(),
                    reason,
                });
                self.wait(now_ms);
            }
        }
    }

    /// The answer to `Launch`: the worker, or why none could be started.
    pub fn handle_launched(&mut self, outcome: Result<Launched, String>, now_ms: u64) {
        let State::Launching { for_work } = &self.state else {
            return;
        };
        let runs = for_work.clone();
        match outcome {
            Ok(Launched { id, silence_ms }) => {
                let worker = Worker {
                    id,
                    runs,
                    silence_ms,
                };
                self.state = State::Starting {
                    worker,
                    since_ms: now_ms,
                };
                // What was wanted may have changed while the process started.
                self.handle_desired(self.desired.clone(), now_ms);
                if std::mem::take(&mut self.is_stale)
                    && matches!(self.state, State::Starting { .. })
                {
                    self.stop(now_ms);
                }
            }
            Err(reason) => {
                self.orders.push_back(Order::Report {
                    topology: runs.topology,
                    reason,
                });
                self.wait(now_ms);
            }
        }
    }

    /// A blob of a topology has a version for which its workers must start anew.
    pub fn handle_blob_changed(&mut self, topology: &TopologyId, now_ms: u64) {
        match &self.state {
            State::Starting { worker, .. } | State::Running { worker, .. }
                if worker.runs.topology == *topology =>
            {
                self.stop(now_ms);
            }
            State::Launching { for_work } if for_work.topology == *topology => {
                self.is_stale = true;
            }
            // One that stops starts with the newest anyway.
            _ => {}
        }
    }

    /// The worker's heartbeat changed.
    pub fn handle_beat(&mut self, now_ms: u64) {
        match &mut self.state {
            State::Starting { worker, .. } => {
                let worker = worker.clone();
                self.state = State::Running {
                    worker,
                    since_ms: now_ms,
                    last_beat_ms: now_ms,
                };
            }
            State::Running { last_beat_ms, .. } => *last_beat_ms = now_ms,
            _ => {}
        }
    }

    /// The worker's process is gone; `how` says with which status.
    pub fn handle_exit(&mut self, id: &WorkerId, how: &str, now_ms: u64) {
        if self.worker().is_none_or(|(worker, _)| worker != id) {
            return;
        }
        self.orders.push_back(Order::CleanUp(id.clone()));
        match std::mem::replace(&mut self.state, State::Empty) {
            State::Starting { worker, since_ms } => {
                self.died(&worker, how, now_ms.saturating_sub(since_ms), now_ms);
            }
            State::Running {
                worker, since_ms, ..
            } => {
                self.died(&worker, how, now_ms.saturating_sub(since_ms), now_ms);
            }
            _ => self.begin(),
        }
    }

    /// The worker ended because somebody asked for another in its place: no failure to report.
    pub fn handle_restart(&mut self, id: &WorkerId) {
        if self.worker().is_some_and(|(worker, _)| worker == id) {
            self.orders.push_back(Order::CleanUp(id.clone()));
            self.state = State::Empty;
            self.begin();
        }
    }

    /// Called about five times a second: start timeouts, silence, overdue kills, due restarts.
    pub fn handle_timer(&mut self, now_ms: u64) {
        match &self.state {
            State::Waiting { due_ms } if now_ms >= *due_ms => self.begin(),
            State::Starting { worker, since_ms } => {
                // Who may be silent for long while it runs may be so at its start.
                let limit_ms = self.patience.start_ms.max(worker.silence_ms);
                if now_ms.saturating_sub(*since_ms) > limit_ms {
                    self.kill(now_ms, "sent no heartbeat since its start", limit_ms);
                }
            }
            State::Running {
                worker,
                last_beat_ms,
                ..
            } if now_ms.saturating_sub(*last_beat_ms) > worker.silence_ms => {
                self.kill(now_ms, "sent no heartbeat", worker.silence_ms);
            }
            State::Stopping { worker, kill_ms } if now_ms >= *kill_ms => {
                self.orders.push_back(Order::Kill(worker.id.clone()));
                let worker = worker.clone();
                // A process in the kernel's hands may need more than one look.
                self.state = State::Stopping {
                    worker,
                    kill_ms: now_ms + KILL_AGAIN_MS,
                };
            }
            _ => {}
        }
    }

    fn occupant(&self) -> Option<&Worker> {
        match &self.state {
            State::Starting { worker, .. }
            | State::Running { worker, .. }
            | State::Stopping { worker, .. } => Some(worker),
            _ => None,
        }
    }

    /// From nothing towards what is wanted.
    fn begin(&mut self) {
        match &self.desired {
            Some(desired) => {
                let (topology, since) = (desired.topology.clone(), desired.blobs_since());
                self.orders.push_back(Order::Localize {
                    topology: topology.clone(),
                    since,
                });
                self.state = State::Localizing { topology, since };
            }
            None => self.state = State::Empty,
        }
    }

    fn stop(&mut self, now_ms: u64) {
        let Some(worker) = self.occupant().cloned() else {
            return;
        };
        self.orders.push_back(Order::Terminate(worker.id.clone()));
        self.state = State::Stopping {
            worker,
            kill_ms: now_ms + self.patience.shutdown_ms,
        };
    }

    fn kill(&mut self, now_ms: u64, what: &str, limit_ms: u64) {
        let Some(worker) = self.occupant().cloned() else {
            return;
        };
        let reason = format!(
            "worker {} {what} for {} s: killed",
            worker.id.0,
            limit_ms / 1000
        );
        self.orders.push_back(Order::Report {
            topology: worker.runs.topology.clone(),
            reason,
        });
        self.orders.push_back(Order::Kill(worker.id.clone()));
        self.state = State::Stopping {
            worker,
            kill_ms: now_ms + KILL_AGAIN_MS,
        };
    }

    fn died(&mut self, worker: &Worker, how: &str, lived_ms: u64, now_ms: u64) {
        let wanted = self
            .desired
            .as_ref()
            .is_some_and(|desired| desired.same_worker(&worker.runs));
        if !wanted {
            return self.begin();
        }
        let reason = format!(
            "worker {} ended by itself ({how}): restarting it",
            worker.id.0
        );
        self.orders.push_back(Order::Report {
            topology: worker.runs.topology.clone(),
            reason,
        });
        // One that had worked for a while starts again at once; one that keeps dying young waits
        // longer each time.
        if lived_ms >= self.restart_delay_ms.saturating_mul(LIVED_WELL_FACTOR) {
            self.restart_delay_ms = RESTART_DELAY_MS_MIN;
            return self.begin();
        }
        self.wait(now_ms);
    }

    fn wait(&mut self, now_ms: u64) {
        self.state = State::Waiting {
            due_ms: now_ms + self.restart_delay_ms,
        };
        self.restart_delay_ms = (self.restart_delay_ms * 2).min(RESTART_DELAY_MS_MAX);
    }
}

/// The first restart of a worker that died young.
const RESTART_DELAY_MS_MIN: u64 = 100;

/// A worker that always dies is tried twice a minute: often enough to notice a repair, cheap enough
/// to bear.
const RESTART_DELAY_MS_MAX: u64 = 30_000;

/// A worker that lived ten times the current delay did not die of starting.
const LIVED_WELL_FACTOR: u64 = 10;

/// Between two SIGKILLs to the same worker.
const KILL_AGAIN_MS: u64 = 1_000;

#[cfg(test)]
mod tests;

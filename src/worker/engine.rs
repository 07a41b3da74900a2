//! The executors of one worker on their threads: started, steered, read and stopped.
//!
//! Needs no network and no daemon: tests and benchmarks run it as it is, a worker process gives it
//! routes to other workers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::error;

use crate::component::{Factory, WorkerPlace};
use crate::id::ExecutorId;
use crate::messaging::fence::Fence;
use crate::wire::storm;
use crate::worker::assemble::{self, Assembly};
use crate::worker::program::{Program, ProgramError};
use crate::worker::queue::{Command, Injected};
use crate::worker::reactor::Reactor;
use crate::worker::report::ReportedError;
use crate::worker::rest::{Spinning, Time};
use crate::worker::route::Routes;
use crate::worker::shared::Shared;

/// A running engine. Dropping it without `stop` leaves its threads running.
pub struct Engine {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    health: Arc<Health>,
}

/// How an engine runs.
pub struct EngineOptions {
    /// Of this worker process; part of each tuple's id.
    pub generation: i64,
    /// Threads that executors share; blocking executors get more.
    pub n_threads: usize,
    pub spinning: Spinning,
    pub time: Time,
    pub place: WorkerPlace,
    /// To other workers.
    pub routes: Routes,
    /// How often executors show their statistics.
    pub stats_every: Duration,
    /// Whether executors may go on after a pause.
    pub fence: Fence,
}

/// Why an engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Threads that did not end in time: a component of theirs is blocked.
#[derive(Debug, thiserror::Error)]
#[error("{n_stuck} threads did not end in time")]
pub struct StopError {
    pub n_stuck: usize,
}

#[derive(Default)]
struct Health {
    has_failed: AtomicBool,
}

/// Notices when a thread ends by a panic of our own.
struct Watch(Arc<Health>);

// === impl Engine ===

impl Engine {
    /// Starts the executors; nothing runs before `activate`.
    pub fn start(
        program: Arc<Program>,
        executors: &[ExecutorId],
        factory: Arc<dyn Factory>,
        options: EngineOptions,
    ) -> Result<Self, EngineError> {
        let Assembly { shared, reactors } =
            assemble::assemble(program, executors, factory, options)?;
        let health = Arc::new(Health::default());
        let mut engine = Engine {
            shared,
            threads: Vec::new(),
            health,
        };
        for (index, reactor) in reactors.into_iter().enumerate() {
            match spawn(index, reactor, engine.health.clone()) {
                Ok(thread) => engine.threads.push(thread),
                Err(error) => {
                    let _ = engine.stop(Duration::from_secs(1));
                    return Err(error.into());
                }
            }
        }
        Ok(engine)
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Opens the components the first time, and has spouts emit.
    pub fn activate(&self) {
        self.command(Command::Activate);
    }

    /// Opens the bolts, if they are not, so that what comes for them is not left lying.
    pub fn prepare(&self) {
        self.command(Command::Prepare);
    }

    /// Has spouts pause; bolts and acks go on.
    pub fn deactivate(&self) {
        self.command(Command::Deactivate);
    }

    /// Has all threads look at the time again, after a test changed it.
    pub fn ring(&self) {
        self.shared.ring_all();
    }

    /// The statistics that executors showed last.
    pub fn stats(&self) -> BTreeMap<ExecutorId, storm::ExecutorStats> {
        let executors = self.shared.executors.iter();
        let shown = executors.filter_map(|handle| Some((handle.id, handle.stats()?)));
        shown.collect()
    }

    /// Errors that components had since the last call.
    pub fn take_errors(&self) -> Vec<ReportedError> {
        self.shared.errors.take()
    }

    /// Tuples that wait for executors of this worker.
    pub fn n_queued(&self) -> usize {
        let executors = self.shared.executors.iter();
        executors.map(|handle| handle.gauge.n_queued()).sum()
    }

    /// Whether a thread ended that should not have: the worker is of no more use.
    pub fn has_failed(&self) -> bool {
        self.health.has_failed.load(Ordering::SeqCst)
    }

    /// Ends all components and threads, waiting for them up to `patience`.
    pub fn stop(mut self, patience: Duration) -> Result<(), StopError> {
        self.command(Command::Stop);
        let deadline = Instant::now() + patience;
        let mut n_stuck = 0;
        for thread in self.threads.drain(..) {
            // Threads have no timed join; a stuck one is left behind and named.
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            match thread.is_finished() {
                true => drop(thread.join()),
                false => n_stuck += 1,
            }
        }
        match n_stuck {
            0 => Ok(()),
            n_stuck => Err(StopError { n_stuck }),
        }
    }

    fn command(&self, command: Command) {
        for door in &self.shared.doors {
            door.inject(Injected::Command(command));
        }
    }
}

fn spawn(
    index: usize,
    reactor: Reactor,
    health: Arc<Health>,
) -> Result<JoinHandle<()>, std::io::Error> {
    let thread = std::thread::Builder::new().name(format!("executors-{index}"));
    thread.spawn(move || {
        let watch = Watch(health);
        // The kernel may end a timed sleep up to 50 us late, to save wakes: an age for a tuple.
        // Refused nowhere that is known; without it only sleeps are less exact.
        let _ = nix::sys::prctl::set_timerslack(TIMER_SLACK_NS);
        reactor.run();
        drop(watch);
    })
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!("an executor thread ended by a fault of its own");
            self.0.has_failed.store(true, Ordering::SeqCst);
        }
    }
}

// === impl EngineOptions ===

impl EngineOptions {
    /// One thread, real time, no other workers: what tests start from.
    pub fn local(generation: i64) -> Self {
        EngineOptions {
            generation,
            n_threads: 1,
            spinning: Spinning::Forbidden,
            time: Time::Real,
            place: WorkerPlace::default(),
            routes: Routes::default(),
            stats_every: Duration::from_secs(1),
            fence: Fence::default(),
        }
    }
}

const TIMER_SLACK_NS: u64 = 1_000;

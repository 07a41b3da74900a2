//! Spouts and bolts: what a topology's author writes, and what the worker hands them.
//!
//! The traits are synchronous: an executor calls one component at a time, from one thread, and
//! never while another call of it runs. Knows nothing of threads, queues or sockets (`worker`).

pub mod collector;
pub mod context;
pub mod credentials;
pub mod drpc;
pub mod factory;
pub mod failure;
pub mod gateway;
pub mod metrics;
pub mod multilang;
pub mod native;
pub mod registry;
pub mod shell;
pub mod window;

use crate::grouping::CustomGrouping;
use crate::id::ComponentId;
use crate::tuple::{Tuple, Value};
use crate::wire::storm;

pub use collector::{Collector, Emit, EmitError, Noted, SpoutCollector, SpoutEmit, Witness};
pub use context::{TaskContext, TopologyView, Waker, WorkerPlace};
pub use credentials::Credentials;
pub use failure::ComponentFailure;

/// What component code returns: any `std::error::Error` becomes a [`ComponentFailure`] by `?`.
/// What is none, such as a text or an `anyhow::Error`, goes through [`ComponentFailure::new`].
pub type Result<T, E = ComponentFailure> = std::result::Result<T, E>;

/// A source of tuples. One object per task.
///
/// An `Err` leaves the object as it is. A panic throws it away: another is made and opened in its
/// place, after a while if that happens often.
pub trait Spout: Send {
    /// Called once, when the topology is first active, before anything else.
    fn open(&mut self, context: &TaskContext) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Emits what is there, or nothing. Called again and again while the topology is active and
    /// fewer than `topology.max.spout.pending` tuples are pending. A call that emits nothing
    /// counts as idle: the next one comes after a pause of up to some milliseconds (see
    /// [`SpoutCollector::wake_after`]).
    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()>;

    /// The tree of the tuple that was emitted with `id` is complete.
    fn ack(&mut self, id: &Value) {
        let _ = id;
    }

    /// The tree of the tuple that was emitted with `id` failed or ran out of time.
    fn fail(&mut self, id: &Value) {
        let _ = id;
    }

    /// The topology is active (again). Also called once after `open`.
    fn activate(&mut self) -> Result<()> {
        Ok(())
    }

    /// The topology is not active: no `next_tuple` until `activate`; acks and fails still come.
    fn deactivate(&mut self) -> Result<()> {
        Ok(())
    }

    /// The topology has credentials (before `open`), or other ones than before.
    fn set_credentials(&mut self, credentials: &Credentials) {
        let _ = credentials;
    }

    /// The task ends. Best effort: not called when the worker is killed.
    fn close(&mut self) {}

    /// Called in each of the executor's turns, active or not, and when the task's [`Waker`] fired:
    /// the place for what arrives from other threads.
    fn poll(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        let _ = out;
        Ok(())
    }

    /// Whether `next_tuple` makes sense now. While false only acks, fails and `poll` are delivered.
    fn ready(&self) -> bool {
        true
    }

    /// Whether calls may block (files on slow disks, sleeps, locks): such a component gets a
    /// thread.
    fn blocks(&self) -> bool {
        false
    }
}

/// A consumer of tuples, and often a producer too. One object per task.
///
/// An `Err` leaves the object as it is. A panic fails what it had in hand and throws it away:
/// another is made and prepared in its place, after a while if that happens often.
pub trait Bolt: Send {
    /// Called once, when the topology is first active, before anything else.
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Takes one tuple (ticks included). Whoever receives a tuple acks or fails it, now or later:
    /// [`Tuple::hold`] gives an owned handle for later. `Err` fails the tuple and reports the
    /// error.
    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()>;

    /// Called at the start of each of the executor's turns, again at the end of one that executed
    /// tuples, and when the task's [`Waker`] fired: the place for what arrives from other threads,
    /// and for what is done once for all tuples of a turn.
    fn poll(&mut self, out: &mut Collector<'_>) -> Result<()> {
        let _ = out;
        Ok(())
    }

    /// How many more tuples the bolt takes now; the rest waits in the executor's queue. Asked
    /// before each tuple, so it must be cheap; after it rose the bolt's [`Waker`] has to fire.
    fn room(&self) -> usize {
        usize::MAX
    }

    /// The topology has credentials (before `prepare`), or other ones than before.
    fn set_credentials(&mut self, credentials: &Credentials) {
        let _ = credentials;
    }

    /// The task ends. Best effort: not called when the worker is killed.
    fn cleanup(&mut self) {}

    /// Whether calls may block: such a component gets a thread of its own.
    fn blocks(&self) -> bool {
        false
    }
}

/// One task's component.
pub enum Instance {
    Spout(Box<dyn Spout>),
    Bolt(Box<dyn Bolt>),
}

/// What to make an instance of: a component as its topology describes it.
#[derive(Clone, Copy)]
pub enum Blueprint<'a> {
    Spout(&'a storm::SpoutSpec),
    Bolt(&'a storm::Bolt),
}

/// Makes components: one instance for each task, and another one when a task starts over.
pub trait Factory: Send + Sync {
    /// Fails when the component's object is of a kind or a name that is not known here.
    fn create(&self, component: &ComponentId, blueprint: Blueprint<'_>) -> Result<Instance>;

    /// The grouping of the topology's own by which `subscriber` takes a stream: another one for
    /// each executor that emits to it.
    fn grouping(
        &self,
        subscriber: &ComponentId,
        stream: &storm::GlobalStreamId,
    ) -> Result<Box<dyn CustomGrouping>> {
        let _ = stream;
        Err(ComponentFailure::new(format!(
            "the grouping of component {subscriber} is code of the topology's own program, and \
             this is another one"
        )))
    }
}

// === impl Instance ===

impl Instance {
    /// Whether the component declared that its calls may block.
    pub fn blocks(&self) -> bool {
        match self {
            Instance::Spout(spout) => spout.blocks(),
            Instance::Bolt(bolt) => bolt.blocks(),
        }
    }
}

//! One task's component: made, started, called under guard, and made anew after it failed.
//!
//! A panic or a failed start costs the task alone: it is reported, and the task starts over after
//! a pause that grows. What the component does is its own business.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::component::native::event_log::EventLoggerBolt;
use crate::component::{
    Blueprint, ComponentFailure, Credentials, Factory, Instance, Result, TaskContext,
};
use crate::id::{ComponentId, TaskId};
use crate::limits;
use crate::topology;
use crate::tuple::held;
use crate::worker::program::Program;

/// A component of one kind (`Box<dyn Spout>` or `Box<dyn Bolt>`) and what it takes to make another.
pub struct Task<C> {
    pub id: TaskId,
    component: Option<C>,
    /// When it started; none while it does not run.
    started: Option<Instant>,
    context: TaskContext,
    maker: Maker,
    backoff: Backoff,
}

/// Makes the instances of tasks.
#[derive(Clone)]
pub struct Maker {
    pub program: Arc<Program>,
    pub factory: Arc<dyn Factory>,
}

/// What kind of component a task holds.
pub trait Role: Sized {
    fn set_credentials(&mut self, credentials: &Credentials);

    /// `open` or `prepare`.
    fn start(&mut self, context: &TaskContext) -> Result<()>;

    /// `close` or `cleanup`.
    fn end(&mut self);

    fn from_instance(instance: Instance) -> Option<Self>;
}

// === impl Maker ===

impl Maker {
    /// Makes the component of a task, under guard.
    pub fn make(&self, component: &ComponentId) -> Result<Instance> {
        let id = component.as_str();
        if id == topology::EVENT_LOGGER {
            return Ok(Instance::Bolt(Box::<EventLoggerBolt>::default()));
        }
        let system = &self.program.system;
        let spout = system.spouts.get(id).map(Blueprint::Spout);
        let blueprint = spout.or_else(|| system.bolts.get(id).map(Blueprint::Bolt));
        let Some(blueprint) = blueprint else {
            return Err(ComponentFailure::new(format!("no component {id}")));
        };
        guard(|| self.factory.create(component, blueprint))
    }
}

// === impl Task ===

impl<C: Role> Task<C> {
    /// A task whose component was made already, or could not be.
    pub fn new(context: TaskContext, component: Option<C>, maker: Maker) -> Self {
        Task {
            id: context.task(),
            component,
            started: None,
            context,
            maker,
            backoff: Backoff::new(limits::RESTART_PAUSE_BASE, limits::RESTART_PAUSE_MAX),
        }
    }

    /// The component, once it is started and as long as it works.
    #[inline]
    pub fn component(&mut self) -> Option<&mut C> {
        self.component.as_mut().filter(|_| self.started.is_some())
    }

    pub fn is_running(&self) -> bool {
        self.started.is_some() && self.component.is_some()
    }

    /// Makes the component if need be, and starts it. After an error: when to try again.
    pub fn start(&mut self) -> Result<(), (ComponentFailure, Duration)> {
        let started = self.try_start();
        match started {
            Ok(()) => {
                self.started = Some(Instant::now());
                Ok(())
            }
            // What never started was given no tuples.
            Err(failure) => Err((failure, self.discard().0)),
        }
    }

    /// Tells the component of other credentials than before, once it runs.
    pub fn set_credentials(&mut self, credentials: &Credentials) -> Result<()> {
        match self.component() {
            Some(component) => guard(|| {
                component.set_credentials(credentials);
                Ok(())
            }),
            None => Ok(()),
        }
    }

    /// Drops a component that panicked; gives the pause until it may be made anew, and the roots of
    /// the tuples that it held.
    pub fn discard(&mut self) -> (Duration, Vec<u64>) {
        let component = self.component.take();
        let started = self.started.take();
        if started.is_some_and(|at| at.elapsed() >= limits::RESTART_PAUSE_MAX) {
            // It went well for long: this is new trouble, not more of the old.
            self.backoff.reset();
        }
        // What panicked may do so again when it is dropped.
        let lost = held::lost_by(|| {
            let _ = catch_unwind(AssertUnwindSafe(|| drop(component)));
        });
        (self.backoff.next_delay(fastrand::f64()), lost)
    }

    /// Ends the component, under guard.
    pub fn end(&mut self) -> Result<()> {
        let is_running = self.is_running();
        let Some(mut component) = self.component.take().filter(|_| is_running) else {
            return Ok(());
        };
        guard(|| {
            component.end();
            drop(component);
            Ok(())
        })
    }

    fn try_start(&mut self) -> Result<()> {
        if self.component.is_none() {
            let made = C::from_instance(self.maker.make(self.context.component())?);
            let kind = || ComponentFailure::new("the component is of the other kind");
            self.component = Some(made.ok_or_else(kind)?);
        }
        let credentials = self.context.credentials();
        match &mut self.component {
            Some(component) => guard(|| {
                if !credentials.is_empty() {
                    component.set_credentials(&credentials);
                }
                component.start(&self.context)
            }),
            None => Ok(()),
        }
    }
}

/// Calls component code; a panic becomes a failure.
pub fn guard<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result,
        Err(payload) => Err(panicked(&*payload)),
    }
}

/// What a panic said.
#[cold]
pub fn panicked(payload: &(dyn Any + Send)) -> ComponentFailure {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    ComponentFailure::new(format!("panicked: {}", text.unwrap_or("without a message")))
}

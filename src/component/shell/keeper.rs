//! Keeps a task supplied with a child: starts one, starts another when it died, and stops in the
//! end.
//!
//! Lives with the task's executor and never waits. What a message means is up to the component.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::component::multilang::{Encoder, Handshake};
use crate::component::shell::attend::{Attendance, attend};
use crate::component::shell::context;
use crate::component::shell::death::Death;
use crate::component::shell::link::{End, Event, Link};
use crate::component::shell::liveness::{Watch, Watched};
use crate::component::shell::process::Program;
use crate::component::shell::restart::{AfterDeath, Restarts};
use crate::component::shell::settings::{Exhausted, Settings};
use crate::component::{ComponentFailure, Result, TaskContext, Waker};
use crate::wire::storm::ShellComponent;

/// One task's child, whichever it is at the time.
pub struct Keeper {
    pub settings: Settings,
    /// `component X task N`.
    name: String,
    program: Program,
    watched: Watched,
    handshake: Handshake,
    runtime: tokio::runtime::Handle,
    waker: Waker,
    restarts: Restarts,
    state: State,
    events: VecDeque<Event>,
}

enum State {
    /// A child that has not answered the handshake.
    Starting(Arc<Link>),
    Running {
        link: Arc<Link>,
        pid: String,
    },
    /// A child that is to end because of what it did: nothing it says counts any more.
    Condemned(Arc<Link>),
    Pausing {
        until_ms: u64,
    },
    /// Too many deaths, or the task has ended.
    Stopped,
}

// === impl Keeper ===

impl Keeper {
    /// Starts the first child.
    pub fn start(
        context: &TaskContext,
        component: &ShellComponent,
        watched: Watched,
    ) -> Result<Self> {
        let settings = Settings::read(context.conf(), component)?;
        let runtime = context.place().runtime.clone();
        let runtime = runtime.ok_or_else(|| {
            ComponentFailure::new("shell components need a worker with a runtime for processes")
        })?;
        let mut keeper = Keeper {
            restarts: Restarts::new(settings.n_restarts_max, settings.restart_window),
            settings,
            name: format!("component {} task {}", context.component(), context.task()),
            program: Program::new(context, component)?,
            watched,
            handshake: context::handshake(context),
            runtime,
            waker: context.waker(),
            state: State::Stopped,
            events: VecDeque::new(),
        };
        keeper.launch()?;
        Ok(keeper)
    }

    fn launch(&mut self) -> Result<()> {
        let encoder = self.settings.encoder;
        let mut hello = Vec::new();
        encoder.handshake(&mut hello, &self.handshake)?;
        let link = Link::new(self.waker.clone(), hello, encoder.serializer).map_err(|error| {
            ComponentFailure::new(format!("no descriptor for a child's bell: {error}"))
        })?;
        let link = Arc::new(link);
        let attendance = Attendance {
            program: self.program.clone(),
            name: self.name.clone(),
            watch: Watch {
                component: self.watched,
                handshake_timeout: self.settings.handshake_timeout,
                silence_timeout: self.settings.silence_timeout,
            },
            encoder,
            message_bytes_max: self.settings.message_bytes_max,
            shutdown_timeout: self.settings.shutdown_timeout,
        };
        self.runtime.spawn(attend(attendance, Arc::clone(&link)));
        self.state = State::Starting(link);
        Ok(())
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The link with a child that is ready.
    pub fn link(&self) -> Option<&Link> {
        match &self.state {
            State::Running { link, .. } => Some(link),
            _ => None,
        }
    }

    /// The pid by which the child calls itself.
    pub fn pid(&self) -> &str {
        match &self.state {
            State::Running { pid, .. } => pid,
            _ => "null",
        }
    }

    /// How to write to the child.
    pub fn encoder(&self) -> Encoder {
        let configured = self.settings.encoder;
        match self.link() {
            Some(link) => Encoder {
                serializer: link.serializer(),
                ..configured
            },
            None => configured,
        }
    }

    /// Starts another child if it is time.
    pub fn restart_if_due(&mut self) -> Result<()> {
        match self.state {
            State::Pausing { until_ms } if until_ms <= clock::monotonic_millis() => self.launch(),
            _ => Ok(()),
        }
    }

    /// Has the component called soon.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// Has the component polled after this time.
    pub fn wake_after(&self, delay: Duration) {
        let waker = self.waker.clone();
        self.runtime.spawn(async move {
            tokio::time::sleep(delay).await;
            waker.wake();
        });
    }

    /// The next event, in order. Messages of a condemned child are passed over.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            if self.events.is_empty() {
                let link = match &self.state {
                    State::Starting(link)
                    | State::Condemned(link)
                    | State::Running { link, .. } => link,
                    State::Pausing { .. } | State::Stopped => return None,
                };
                link.take_events(&mut self.events);
            }
            let event = self.events.pop_front()?;
            match (event, &self.state) {
                (Event::Gone(death), _) => return Some(Event::Gone(death)),
                (_, State::Condemned(_)) => {}
                (Event::Started { pid }, State::Starting(link)) => {
                    tracing::info!("{}: launched subprocess with pid {pid}", self.name);
                    self.state = State::Running {
                        link: Arc::clone(link),
                        pid: pid.clone(),
                    };
                    return Some(Event::Started { pid });
                }
                (event, _) => return Some(event),
            }
        }
    }

    /// Gives an event back that cannot be handled yet.
    pub fn put_back(&mut self, event: Event) {
        self.events.push_front(event);
    }

    /// Ends a child that broke the rules. Its death is the next event.
    pub fn condemn(&mut self, reason: String) {
        if let State::Running { link, .. } = &self.state {
            link.end(End::Condemned(reason));
            self.state = State::Condemned(Arc::clone(link));
        }
    }

    /// After a death: another child in a while, or none any more. What there is to show comes
    /// first: the worker itself may end with the last child.
    pub fn handle_death(&mut self, death: &Death, report: impl FnOnce(&ComponentFailure)) {
        self.events.clear();
        let text = format!("{}: {death}", self.name);
        let now_ms = clock::monotonic_millis();
        match self.restarts.handle_death(now_ms, fastrand::f64()) {
            AfterDeath::RestartAt { at_ms } => {
                self.state = State::Pausing { until_ms: at_ms };
                self.wake_after(Duration::from_millis(at_ms - now_ms));
                report(&ComponentFailure::new(text));
            }
            AfterDeath::GiveUp => {
                self.state = State::Stopped;
                let n_deaths = self.restarts.n_deaths();
                let secs = self.settings.restart_window.as_secs();
                report(&ComponentFailure::new(format!(
                    "{text}. That was death {n_deaths} within {secs} s: the child is not started \
                     again (stormwire.shell.restart.max); mend it and submit the topology anew"
                )));
                self.exit_if_wanted();
            }
        }
    }

    /// Ends the child: the task is over.
    pub fn stop(&mut self) {
        if let State::Starting(link) | State::Condemned(link) | State::Running { link, .. } =
            &self.state
        {
            link.end(End::Stop);
        }
        self.state = State::Stopped;
    }

    /// Ends the worker, where the topology wants that once children are given up.
    fn exit_if_wanted(&self) {
        if self.settings.exhausted == Exhausted::ExitWorker {
            tracing::error!("{}: its child is broken: this worker ends", self.name);
            std::process::exit(EXIT_STATUS);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Storm's, when a shell component dies.
const EXIT_STATUS: i32 = 11;

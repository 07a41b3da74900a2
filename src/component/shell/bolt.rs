//! A bolt that is a child process.

use std::fmt::Display;
use std::time::Duration;

use crate::clock;
use crate::component::multilang::message::id_text;
use crate::component::multilang::{Command, FromChild, Outcome};
use crate::component::shell::death::Death;
use crate::component::shell::envelopes::Envelopes;
use crate::component::shell::held::{Held, Known};
use crate::component::shell::keeper::Keeper;
use crate::component::shell::link::Event;
use crate::component::shell::liveness::Watched;
use crate::component::shell::report::Report;
use crate::component::{Bolt, Collector, ComponentFailure, Emit, Result, TaskContext};
use crate::id::TaskId;
use crate::tuple::{Part, Tuple, Value, ValueRef};
use crate::wire::storm::ShellComponent;

/// Sends its tuples to a child process and does what the child says with them.
///
/// A child that dies fails what it had in flight at once, and another one takes its place.
pub struct ShellBolt {
    component: ShellComponent,
    running: Option<Running>,
}

struct Running {
    keeper: Keeper,
    held: Held,
    envelopes: Envelopes,
    report: Report,
    task_ids: Vec<TaskId>,
}

// === impl ShellBolt ===

impl ShellBolt {
    pub fn new(component: ShellComponent) -> Self {
        ShellBolt {
            component,
            running: None,
        }
    }
}

#[cfg(test)]
impl ShellBolt {
    /// Calls of the system that wrote to the child that runs.
    pub fn n_writes(&self) -> u64 {
        let link = self
            .running
            .as_ref()
            .and_then(|running| running.keeper.link());
        link.map_or(0, |link| link.n_writes())
    }
}

impl Bolt for ShellBolt {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        let keeper = Keeper::start(context, &self.component, Watched::Bolt)?;
        let timeout = keeper.settings.message_timeout.unwrap_or(Duration::MAX);
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.running = Some(Running {
            held: Held::new(timeout_ms, keeper.settings.acking, fastrand::u64(..)),
            envelopes: Envelopes::default(),
            report: Report::new(context),
            keeper,
            task_ids: Vec::new(),
        });
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        let gone = || ComponentFailure::new("the component has no child now");
        let running = self.running.as_mut().ok_or_else(gone)?;
        let encoder = running.keeper.encoder();
        let link = running.keeper.link().ok_or_else(gone)?;
        let part = match out.is_watched() {
            true => Part::All,
            false => Part::WithoutValues,
        };
        let id = running.held.insert(tuple, part)?;
        let envelope = running.envelopes.of(tuple, encoder);
        let mut text = itoa::Buffer::new();
        let text = text.format(id);
        let write = |out: &mut _| envelope.tuple(out, text, tuple.values());
        link.write_tuple(write).map_err(|error| {
            if let Known::InFlight(key) = running.held.find(id) {
                running.held.end(key, |_| {});
            }
            error.into()
        })
    }

    fn poll(&mut self, out: &mut Collector<'_>) -> Result<()> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let polled = running.poll(out);
        // A turn that executed anything ends with a poll.
        if let Some(link) = running.keeper.link() {
            link.flush();
        }
        polled
    }

    /// As in Storm, tuples count until they are in the child's pipe; how many the child then holds
    /// is its own decision.
    fn room(&self) -> usize {
        let Some(running) = &self.running else {
            return 0;
        };
        let link = running.keeper.link();
        let n_max = running.keeper.settings.n_pending_max;
        link.map_or(0, |link| link.room(n_max))
    }

    fn cleanup(&mut self) {
        if let Some(running) = &mut self.running {
            running.keeper.stop();
        }
    }
}

// === impl Running ===

impl Running {
    fn poll(&mut self, out: &mut Collector<'_>) -> Result<()> {
        self.keeper.restart_if_due()?;
        self.held.look_at_clock(clock::monotonic_millis());
        while let Some(event) = self.keeper.next_event() {
            match event {
                Event::Message(message) if message.command == Command::Emit && out.is_blocked() => {
                    self.keeper.put_back(Event::Message(message));
                    self.keeper.wake_after(BLOCKED_PAUSE);
                    break;
                }
                Event::Answer(answer) => {
                    let known = self.held.find(answer.id);
                    let settled = self.settle(known, &answer.id, answer.outcome, out);
                    if let Err(reason) = settled {
                        self.keeper.condemn(reason);
                    }
                }
                Event::Message(message) => {
                    if let Err(reason) = self.handle_message(*message, out) {
                        self.keeper.condemn(reason);
                    }
                }
                Event::Gone(death) => self.handle_death(&death, out),
                Event::Started { .. } | Event::HadNothing => {}
            }
        }
        self.report.show_metrics(self.keeper.name());
        Ok(())
    }

    /// An error condemns the child.
    fn handle_message(
        &mut self,
        message: FromChild,
        out: &mut Collector<'_>,
    ) -> Result<(), String> {
        match message.command {
            Command::Emit => self.emit(&message, out),
            Command::Ack => self.answer(message.id, Outcome::Ack, out),
            Command::Fail => self.answer(message.id, Outcome::Fail, out),
            Command::Error | Command::Log | Command::Metrics => {
                if let Some(failure) = self.report.hear(&message, self.keeper.pid()) {
                    out.report_error(&failure);
                }
                Ok(())
            }
            Command::Sync | Command::Other(_) => Ok(()),
        }
    }

    fn emit(&mut self, message: &FromChild, out: &mut Collector<'_>) -> Result<(), String> {
        let stream = message.stream.as_deref().unwrap_or("default");
        let values = message.tuple.as_deref().ok_or("an emit without a tuple")?;
        let values: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
        let mut anchors = Vec::with_capacity(message.anchors.len());
        for id in &message.anchors {
            let id = id.as_deref().unwrap_or("null");
            match self.held.find_text(id) {
                Known::InFlight(key) => anchors.push(self.held.get(key)),
                Known::Unawaited => {}
                Known::Unknown => return Err(format!("Anchored onto {id} after ack/fail")),
            }
        }
        let direct = message.direct_task().transpose();
        let direct = direct.map_err(|task| format!("an emit to task {task}, which cannot be"))?;
        let wants_ids = direct.is_none() && message.need_task_ids;
        let emit = Emit {
            stream,
            anchors: &anchors,
            direct,
            event_time_us: None,
            task_ids: wants_ids.then_some(&mut self.task_ids),
        };
        out.emit_with(emit, values)
            .map_err(|failure| failure.to_string())?;
        if wants_ids && let Some(link) = self.keeper.link() {
            let encoder = self.keeper.encoder();
            link.write_task_ids(|out| encoder.task_ids(out, &self.task_ids))?;
        }
        Ok(())
    }

    fn answer(
        &mut self,
        id: Option<Value>,
        outcome: Outcome,
        out: &mut Collector<'_>,
    ) -> Result<(), String> {
        let id = id.and_then(id_text).ok_or("an ack or fail without an id")?;
        let known = self.held.find_text(&id);
        self.settle(known, &id, outcome, out)
    }

    /// Acks or fails what an id stands for.
    fn settle(
        &mut self,
        known: Known,
        id: &dyn Display,
        outcome: Outcome,
        out: &mut Collector<'_>,
    ) -> Result<(), String> {
        let key = match known {
            Known::InFlight(key) => key,
            Known::Unawaited => return Ok(()),
            Known::Unknown => {
                return Err(format!(
                    "an ack or fail of {id}, which is answered already or never was sent"
                ));
            }
        };
        self.held.end(key, |tuple| match outcome {
            Outcome::Ack => out.ack(tuple),
            Outcome::Fail => out.fail(tuple),
        });
        Ok(())
    }

    fn handle_death(&mut self, death: &Death, out: &mut Collector<'_>) {
        self.held.end_all(|tuple| out.fail(tuple));
        self.keeper
            .handle_death(death, |failure| out.report_error(failure));
    }
}

/// Until receivers that are full are looked at again.
const BLOCKED_PAUSE: Duration = Duration::from_millis(1);

//! A bolt that is a child process.

use std::time::Duration;

use crate::clock;
use crate::component::multilang::message::id_text;
use crate::component::multilang::{Command, FromChild, TupleSource};
use crate::component::shell::death::Death;
use crate::component::shell::held::{Held, Known};
use crate::component::shell::keeper::{Aftermath, Keeper};
use crate::component::shell::link::Event;
use crate::component::shell::liveness::Watched;
use crate::component::shell::report::Report;
use crate::component::{Bolt, Collector, ComponentFailure, Emit, Result, TaskContext};
use crate::id::TaskId;
use crate::tuple::{Tuple, Value, ValueRef};
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

impl Bolt for ShellBolt {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        let keeper = Keeper::start(context, &self.component, Watched::Bolt)?;
        let timeout = keeper.settings.message_timeout.as_millis();
        let timeout_ms = u64::try_from(timeout).unwrap_or(u64::MAX);
        self.running = Some(Running {
            held: Held::new(timeout_ms, keeper.settings.acking, fastrand::u64(..)),
            report: Report::new(context),
            keeper,
            task_ids: Vec::new(),
        });
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, _out: &mut Collector<'_>) -> Result<()> {
        let gone = || ComponentFailure::new("the component has no child now");
        let running = self.running.as_mut().ok_or_else(gone)?;
        let encoder = running.keeper.encoder();
        let link = running.keeper.link().ok_or_else(gone)?;
        let id = running
            .held
            .insert(tuple, clock::monotonic_millis())
            .to_string();
        let source = TupleSource {
            component: tuple.source_component().as_str(),
            stream: tuple.source_stream().as_str(),
            task: tuple.source_task(),
            id: &id,
        };
        link.write_tuple(|out| encoder.tuple(out, source, tuple.values()))
            .map_err(|error| {
                running.held.take(&id);
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
        link.map_or(0, |link| n_max.saturating_sub(link.n_unwritten()))
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
        while let Some(event) = self.keeper.next_event() {
            match event {
                Event::Message(message) if message.command == Command::Emit && out.is_blocked() => {
                    self.keeper.put_back(Event::Message(message));
                    self.keeper.wake_after(BLOCKED_PAUSE);
                    break;
                }
                Event::Message(message) => {
                    if let Err(reason) = self.handle_message(message, out) {
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
            Command::Ack => self.answer(message.id, |tuple| out.ack(&tuple)),
            Command::Fail => self.answer(message.id, |tuple| out.fail(&tuple)),
            Command::Error => {
                out.report_error(&Report::error(&message));
                Ok(())
            }
            Command::Log => {
                self.report.log(self.keeper.pid(), &message);
                Ok(())
            }
            Command::Metrics => self
                .report
                .metric(&message)
                .map_err(|error| error.to_string()),
            Command::Sync | Command::Other(_) => Ok(()),
        }
    }

    fn emit(&mut self, message: &FromChild, out: &mut Collector<'_>) -> Result<(), String> {
        let stream = message.stream.as_deref().unwrap_or("default");
        let values = message.tuple.as_deref().ok_or("an emit without a tuple")?;
        let values: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
        let mut anchors = Vec::with_capacity(message.anchors.len());
        for id in &message.anchors {
            match self.held.get(id) {
                Known::InFlight(tuple) => anchors.push(tuple),
                Known::Untracked => {}
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
            link.write_task_ids(|out| encoder.task_ids(out, &self.task_ids));
        }
        Ok(())
    }

    fn answer(&mut self, id: Option<Value>, answer: impl FnOnce(Tuple<'_>)) -> Result<(), String> {
        let id = id.and_then(id_text).ok_or("an ack or fail without an id")?;
        match self.held.take(&id) {
            Known::InFlight(tuple) => {
                answer(tuple.view());
                Ok(())
            }
            Known::Untracked => Ok(()),
            Known::Unknown => Err(format!(
                "an ack or fail of {id}, which is answered already or never was sent"
            )),
        }
    }

    fn handle_death(&mut self, death: &Death, out: &mut Collector<'_>) {
        for tuple in self.held.drain() {
            out.fail(&tuple.view());
        }
        let (aftermath, failure) = self.keeper.handle_death(death);
        out.report_error(&failure);
        if let Aftermath::GivesUp = aftermath {
            self.keeper.exit_if_wanted();
        }
    }
}

/// Until receivers that are full are looked at again.
const BLOCKED_PAUSE: Duration = Duration::from_millis(1);

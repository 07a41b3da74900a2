//! A spout that is a child process.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock;
use crate::component::multilang::{Command, FromChild, SpoutCommand};
use crate::component::shell::death::Death;
use crate::component::shell::keeper::Keeper;
use crate::component::shell::link::Event;
use crate::component::shell::liveness::Watched;
use crate::component::shell::report::Report;
use crate::component::shell::settings::Lifecycle;
use crate::component::shell::turns::TurnKind;
use crate::component::{Result, Spout, SpoutCollector, SpoutEmit, TaskContext};
use crate::conf::keys;
use crate::id::TaskId;
use crate::tuple::{Value, ValueRef};
use crate::wire::storm::ShellComponent;

/// Asks a child process for tuples, one command at a time.
///
/// Tuples of a child that died are not its successor's: their acks and fails are dropped.
pub struct ShellSpout {
    component: ShellComponent,
    running: Option<Running>,
}

struct Running {
    keeper: Keeper,
    report: Report,
    /// The child's own ids by the numbers that its tuples are emitted with.
    ids: HashMap<i64, Value>,
    next_serial: i64,
    is_active: bool,
    /// `topology.max.spout.pending`.
    n_pending_max: Option<usize>,
    /// Nothing was asked for, since too much was pending.
    is_starved: bool,
    idle_until_ms: u64,
    task_ids: Vec<TaskId>,
}

// === impl ShellSpout ===

impl ShellSpout {
    pub fn new(component: ShellComponent) -> Self {
        ShellSpout {
            component,
            running: None,
        }
    }
}

impl Spout for ShellSpout {
    fn open(&mut self, context: &TaskContext) -> Result<()> {
        let n_pending_max = context.conf().int(keys::TOPOLOGY_MAX_SPOUT_PENDING)?;
        self.running = Some(Running {
            keeper: Keeper::start(context, &self.component, Watched::Spout)?,
            report: Report::new(context),
            ids: HashMap::new(),
            next_serial: 0,
            is_active: false,
            n_pending_max: n_pending_max.and_then(|n_max| usize::try_from(n_max).ok()),
            is_starved: false,
            idle_until_ms: 0,
            task_ids: Vec::new(),
        });
        Ok(())
    }

    /// Asks for the next tuples. What the child emits arrives in `poll`.
    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let now_ms = clock::monotonic_millis();
        match running.idle_until_ms.saturating_sub(now_ms) {
            0 => {
                let n_own = running.ids.len();
                running.ask(n_own);
                // The waker fires when the child has answered.
                out.wake_after(ANSWER_PAUSE);
            }
            wait_ms => out.wake_after(Duration::from_millis(wait_ms)),
        }
        Ok(())
    }

    fn ack(&mut self, id: &Value) {
        if let Some(running) = &mut self.running {
            running.settle(id, SpoutCommand::Ack);
        }
    }

    fn fail(&mut self, id: &Value) {
        if let Some(running) = &mut self.running {
            running.settle(id, SpoutCommand::Fail);
        }
    }

    fn activate(&mut self) -> Result<()> {
        if let Some(running) = &mut self.running {
            running.is_active = true;
            running.tell_lifecycle(SpoutCommand::Activate);
        }
        Ok(())
    }

    fn deactivate(&mut self) -> Result<()> {
        if let Some(running) = &mut self.running {
            running.is_active = false;
            if let Some(link) = running.keeper.link() {
                link.revoke();
            }
            running.tell_lifecycle(SpoutCommand::Deactivate);
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Some(running) = &mut self.running {
            running.keeper.stop();
        }
    }

    fn poll(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        self.running
            .as_mut()
            .map_or(Ok(()), |running| running.poll(out))
    }

    fn ready(&self) -> bool {
        let link = self
            .running
            .as_ref()
            .and_then(|running| running.keeper.link());
        link.is_some_and(|link| link.n_nexts() <= NEXTS_MAX / 2)
    }
}

// === impl Running ===

impl Running {
    fn poll(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        self.keeper.restart_if_due()?;
        while let Some(event) = self.keeper.next_event() {
            match event {
                Event::Started { .. } => {
                    if self.is_active {
                        self.tell_lifecycle(SpoutCommand::Activate);
                    }
                }
                Event::Message(message) if message.command == Command::Emit && out.is_blocked() => {
                    self.keeper.put_back(Event::Message(message));
                    self.keeper.wake_after(BLOCKED_PAUSE);
                    break;
                }
                Event::Answer(_) => self.keeper.condemn(ANSWERED.to_owned()),
                Event::Message(message) => {
                    if let Err(reason) = self.handle_message(*message, out) {
                        self.keeper.condemn(reason);
                    }
                }
                Event::HadNothing => {
                    self.idle_until_ms = clock::monotonic_millis() + IDLE_PAUSE_MS;
                }
                Event::Gone(death) => self.handle_death(&death, out),
            }
        }
        self.report.show_metrics(self.keeper.name());
        Ok(())
    }

    /// An error condemns the child.
    fn handle_message(
        &mut self,
        message: FromChild,
        out: &mut SpoutCollector<'_>,
    ) -> Result<(), String> {
        match &message.command {
            Command::Emit => self.emit(message, out),
            Command::Error | Command::Log | Command::Metrics => {
                if let Some(failure) = self.report.hear(&message, self.keeper.pid()) {
                    out.report_error(&failure);
                }
                Ok(())
            }
            Command::Sync => Ok(()),
            Command::Ack | Command::Fail => Err(ANSWERED.to_owned()),
            Command::Other(name) => Err(format!("`{name}` is no command of a spout")),
        }
    }

    fn emit(&mut self, message: FromChild, out: &mut SpoutCollector<'_>) -> Result<(), String> {
        let direct = message.direct_task().transpose();
        let direct = direct.map_err(|task| format!("an emit to task {task}, which cannot be"))?;
        let values = message.tuple.as_deref().ok_or("an emit without a tuple")?;
        let values: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
        let wants_ids = direct.is_none() && message.need_task_ids;
        let serial = self.next_serial;
        let is_tracked = message.id.is_some();
        let emit = SpoutEmit {
            stream: message.stream.as_deref().unwrap_or("default"),
            id: is_tracked.then_some(Value::Long(serial)),
            direct,
            event_time_us: None,
            task_ids: wants_ids.then_some(&mut self.task_ids),
        };
        out.emit_with(emit, values)
            .map_err(|failure| failure.to_string())?;
        if let Some(id) = message.id {
            self.next_serial += 1;
            self.ids.insert(serial, id);
            if let Some(link) = self.keeper.link() {
                link.take_up_emit();
            }
        }
        if wants_ids && let Some(link) = self.keeper.link() {
            let encoder = self.keeper.encoder();
            link.write_task_ids(|out| encoder.task_ids(out, &self.task_ids))?;
        }
        Ok(())
    }

    /// Grants the child as many `next` as there is room for tuples, up to a limit: it then need not
    /// wait for us between two of them. `n_pending` are the task's own: so is the limit.
    fn ask(&mut self, n_pending: usize) {
        let Some(link) = self.keeper.link() else {
            return;
        };
        let n_asked = link.n_nexts();
        let room = match self.n_pending_max {
            Some(n_max) => n_max.saturating_sub(n_pending + n_asked + link.n_emits_ahead()),
            None => NEXTS_MAX,
        };
        self.is_starved = room == 0;
        let n_nexts = room.min(NEXTS_MAX.saturating_sub(n_asked));
        let mut command = Vec::new();
        let encoder = self.keeper.encoder();
        let written = encoder.command(&mut command, SpoutCommand::Next, EMPTY_ID);
        if written.is_ok() && n_nexts > 0 {
            link.grant(n_nexts, command);
        }
    }

    fn settle(&mut self, serial: &Value, command: SpoutCommand) {
        if std::mem::take(&mut self.is_starved) {
            self.keeper.wake();
        }
        let Value::Long(serial) = serial else { return };
        if let Some(id) = self.ids.remove(serial) {
            self.tell(TurnKind::AckOrFail, command, id.as_ref());
        }
    }

    fn tell_lifecycle(&mut self, command: SpoutCommand) {
        if self.keeper.settings.lifecycle == Lifecycle::Told {
            self.tell(TurnKind::Lifecycle, command, EMPTY_ID);
        }
    }

    fn tell(&mut self, kind: TurnKind, command: SpoutCommand, id: ValueRef<'_>) {
        let Some(link) = self.keeper.link() else {
            return;
        };
        let mut message = Vec::new();
        match self.keeper.encoder().command(&mut message, command, id) {
            Ok(()) => link.submit(kind, message),
            // Ids come from the child itself, and from it as something that can be written.
            Err(error) => tracing::warn!("{}: {command:?}: {error}", self.keeper.name()),
        }
    }

    fn handle_death(&mut self, death: &Death, out: &mut SpoutCollector<'_>) {
        self.ids.clear();
        self.keeper
            .handle_death(death, |failure| out.report_error(failure));
    }
}

/// Why a child that acks or fails is ended.
const ANSWERED: &str = "a spout neither acks nor fails tuples";
/// Times that a child may be asked for tuples ahead of its answers.
const NEXTS_MAX: usize = 16;
/// Commands that concern no tuple have this id.
const EMPTY_ID: ValueRef<'static> = ValueRef::Str("");
/// After a turn without an emit, as Storm's spouts wait.
const IDLE_PAUSE_MS: u64 = 1;
const ANSWER_PAUSE: Duration = Duration::from_secs(1);
const BLOCKED_PAUSE: Duration = Duration::from_millis(1);

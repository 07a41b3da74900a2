//! A bolt executor's turn: ticks, poll, then what waits in the inbox.
//!
//! A turn ends when the inbox is empty, an output batch is full, enough was done, or enough time
//! has passed for other executors of the thread to be served.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::component::{Bolt, Collector, Credentials, Instance, Result, TaskContext};
use crate::id::TaskId;
use crate::tuple::{StreamNumber, TupleBatch, TupleHead, ValueRef};
use crate::worker::emit::Emitter;
use crate::worker::executor::{Progress, Recycling};
use crate::worker::inbox::Inbox;
use crate::worker::task::{Role, Task, panicked};

/// The bolts of one executor.
pub struct BoltRole {
    tasks: Vec<Task<Box<dyn Bolt>>>,
    first_task: TaskId,
    n_running: usize,
    ticks: Option<Ticks>,
    is_tick_due: bool,
    /// Restarts that the reactor has to set an alarm for.
    pub restart_after: Option<Duration>,
}

/// Tick tuples of an executor.
pub struct Ticks {
    /// Apart, since a batch takes lines of its own and few executors have ticks.
    batch: Box<TupleBatch>,
    stream: StreamNumber,
    tasks: Vec<TaskId>,
    rate_secs: i32,
}

/// What a bolt is called for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Room,
    Execute,
}

/// Bounds of one turn.
struct Budget {
    n_done: usize,
    next_look: usize,
}

impl Role for Box<dyn Bolt> {
    fn set_credentials(&mut self, credentials: &Credentials) {
        self.as_mut().set_credentials(credentials);
    }

    fn start(&mut self, context: &TaskContext) -> Result<()> {
        self.prepare(context)
    }

    fn end(&mut self) {
        self.cleanup();
    }

    fn from_instance(instance: Instance) -> Option<Self> {
        match instance {
            Instance::Bolt(bolt) => Some(bolt),
            Instance::Spout(_) => None,
        }
    }
}

// === impl BoltRole ===

impl BoltRole {
    /// `tasks` are of one executor, in order, at least one.
    pub fn new(tasks: Vec<Task<Box<dyn Bolt>>>, ticks: Option<Ticks>) -> Self {
        BoltRole {
            first_task: tasks.first().map_or(TaskId::SYSTEM, |task| task.id),
            tasks,
            n_running: 0,
            ticks,
            is_tick_due: false,
            restart_after: None,
        }
    }

    pub fn tick_every(&self) -> Option<Duration> {
        self.ticks.as_ref().map(Ticks::every)
    }

    pub fn tick(&mut self) {
        self.is_tick_due = true;
    }

    pub fn has_tick(&self) -> bool {
        self.is_tick_due
    }

    /// Starts the tasks that are not running; reports those that fail to.
    pub fn start(&mut self, emitter: &mut Emitter) {
        for (index, task) in self.tasks.iter_mut().enumerate() {
            if task.is_running() {
                continue;
            }
            emitter.set_task(index);
            match task.start() {
                Ok(()) => self.n_running += 1,
                Err((failure, pause)) => {
                    emitter.report_error(&failure);
                    self.restart_after = Some(self.restart_after.map_or(pause, |p| p.min(pause)));
                }
            }
        }
    }

    /// Whether all tasks run: the inbox keeps its order, so one that does not stops the others.
    pub fn is_running(&self) -> bool {
        self.n_running == self.tasks.len()
    }

    /// One turn. `may_execute` is false while a receiver is full: then only `poll` is called.
    pub fn turn(
        &mut self,
        inbox: &mut Inbox,
        emitter: &mut Emitter,
        recycling: &mut Recycling,
        credit: Credit,
    ) -> Progress {
        self.poll(emitter);
        if credit == Credit::None || !self.is_running() {
            return Progress::Idle;
        }
        let mut progress = Progress::Idle;
        if self.is_tick_due && self.has_room(emitter) {
            self.is_tick_due = false;
            if let Some(mut ticks) = self.ticks.take() {
                let mut cursor = 0;
                let batch = ticks.strike(emitter.now_us());
                // Each task gets its tick, whatever the ones before it do with theirs.
                while cursor < batch.len() {
                    let before = cursor;
                    self.run(batch, &mut cursor, emitter, &mut Budget::new());
                    if cursor == before {
                        break;
                    }
                }
                self.ticks = Some(ticks);
                progress = Progress::Worked;
            }
        }
        let mut budget = Budget::new();
        while self.is_running()
            && let Some((batch, cursor)) = inbox.current()
        {
            let before = *cursor;
            self.run(batch, cursor, emitter, &mut budget);
            if *cursor > before {
                progress = Progress::Worked;
            }
            match inbox.finish() {
                Some((spent, has_waiter)) => recycling.add(spent, has_waiter),
                None => break,
            }
            if emitter.lanes.has_sealed() || budget.is_over(emitter) {
                break;
            }
        }
        if progress == Progress::Worked {
            // What a bolt keeps until the end of a turn, such as an fsync, must not wait for the
            // next tuple.
            self.poll(emitter);
        }
        progress
    }

    /// Tells the tasks that run of other credentials than before.
    pub fn set_credentials(&mut self, credentials: &Credentials, emitter: &mut Emitter) {
        for (index, task) in self.tasks.iter_mut().enumerate() {
            emitter.set_task(index);
            if let Err(failure) = task.set_credentials(credentials) {
                emitter.report_error(&failure);
            }
        }
    }

    pub fn end(&mut self, emitter: &mut Emitter) {
        for (index, task) in self.tasks.iter_mut().enumerate() {
            emitter.set_task(index);
            if let Err(failure) = task.end() {
                emitter.report_error(&failure);
            }
        }
        self.n_running = 0;
    }

    /// Whether all tasks take a tuple.
    fn has_room(&mut self, emitter: &mut Emitter) -> bool {
        for index in 0..self.tasks.len() {
            emitter.set_task(index);
            let Some(bolt) = self.tasks[index].component() else {
                continue;
            };
            match catch_unwind(AssertUnwindSafe(|| bolt.room())) {
                Ok(1..) => {}
                Ok(0) => return false,
                Err(payload) => {
                    self.broke(index, &*payload, emitter);
                    return false;
                }
            }
        }
        true
    }

    fn poll(&mut self, emitter: &mut Emitter) {
        for index in 0..self.tasks.len() {
            emitter.set_task(index);
            let Some(bolt) = self.tasks[index].component() else {
                continue;
            };
            let call = AssertUnwindSafe(|| bolt.poll(&mut Collector::new(emitter)));
            match catch_unwind(call) {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => emitter.report_error(&failure),
                Err(payload) => self.broke(index, &*payload, emitter),
            }
        }
    }

    /// Executes tuples of `batch` from `cursor` on, until the budget, the room or the batch ends.
    fn run(
        &mut self,
        batch: &TupleBatch,
        cursor: &mut usize,
        emitter: &mut Emitter,
        budget: &mut Budget,
    ) {
        let mut call = Call::Execute;
        let at = (batch, &mut *cursor);
        let run = AssertUnwindSafe(|| self.run_unguarded(at, &mut call, emitter, budget));
        let Err(payload) = catch_unwind(run) else {
            return;
        };
        // The cursor stands behind the tuple whose execution panicked.
        if call == Call::Execute
            && let Some(tuple) = cursor.checked_sub(1).and_then(|place| batch.get(place))
        {
            emitter.fail(&tuple);
            batch.stamp(0);
        }
        self.broke(emitter.task(), &*payload, emitter);
    }

    fn run_unguarded(
        &mut self,
        (batch, cursor): (&TupleBatch, &mut usize),
        call: &mut Call,
        emitter: &mut Emitter,
        budget: &mut Budget,
    ) {
        let mut room = 0;
        let mut room_of = usize::MAX;
        while let Some(tuple) = batch.get(*cursor) {
            let index = self.index_of(tuple.target_task());
            let Some(bolt) = self.tasks.get_mut(index).and_then(Task::component) else {
                // A tuple for a task that is not here can only be a peer's mistake.
                *cursor += 1;
                emitter.fail(&tuple);
                continue;
            };
            if room == 0 || room_of != index {
                emitter.set_task(index);
                *call = Call::Room;
                room = bolt.room();
                *call = Call::Execute;
                room_of = index;
                if room == 0 {
                    return;
                }
            }
            room -= 1;
            *cursor += 1;
            emitter.set_task(index);
            let started = emitter.meter.executing(batch);
            let result = bolt.execute(&tuple, &mut Collector::new(emitter));
            emitter.meter.executed(&tuple, started);
            if let Err(failure) = result {
                emitter.fail(&tuple);
                emitter.report_error(&failure);
            }
            if started != 0 {
                batch.stamp(0);
            }
            if emitter.lanes.has_sealed() || budget.spend(emitter) {
                return;
            }
        }
    }

    /// A component panicked: it is dropped, the trees of the tuples that it held fail, and it is
    /// made anew after a pause.
    #[cold]
    fn broke(&mut self, index: usize, payload: &(dyn std::any::Any + Send), emitter: &mut Emitter) {
        emitter.report_error(&panicked(payload));
        if let Some(task) = self.tasks.get_mut(index) {
            let (pause, lost) = task.discard();
            lost.iter().for_each(|root| emitter.fail_root(*root));
            self.n_running = self.n_running.saturating_sub(1);
            self.restart_after = Some(self.restart_after.map_or(pause, |p| p.min(pause)));
        }
    }

    #[inline]
    fn index_of(&self, task: TaskId) -> usize {
        usize::try_from(task.0.wrapping_sub(self.first_task.0)).unwrap_or(usize::MAX)
    }
}

/// Whether an executor's receivers have room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credit {
    Some,
    None,
}

// === impl Ticks ===

impl Ticks {
    /// Ticks of `rate_secs` for `tasks`. `batch` is empty, `stream` the ticks' own.
    pub fn new(
        batch: TupleBatch,
        stream: StreamNumber,
        tasks: Vec<TaskId>,
        rate_secs: i32,
    ) -> Self {
        Ticks {
            batch: Box::new(batch),
            stream,
            tasks,
            rate_secs,
        }
    }

    fn every(&self) -> Duration {
        Duration::from_secs(u64::from(self.rate_secs.unsigned_abs()))
    }

    /// A tick for each task.
    fn strike(&mut self, now_us: i64) -> &TupleBatch {
        self.batch.clear();
        for task in &self.tasks {
            let head = TupleHead {
                sequence: 0,
                generation: 0,
                timestamp_us: now_us,
                source_task: TaskId::SYSTEM,
                target_task: *task,
                stream: self.stream,
            };
            let values = [ValueRef::Int(self.rate_secs)];
            // Its stream declares that one field.
            let pushed = self.batch.push(head, &[], &values);
            debug_assert!(pushed.is_ok());
        }
        &self.batch
    }
}

// === impl Budget ===

impl Budget {
    fn new() -> Self {
        Budget {
            n_done: 0,
            next_look: 1,
        }
    }

    /// Counts a tuple; true when the turn should end. The clock is looked at after 1, 4, 16..
    /// tuples: a slow bolt is noticed at once, a fast one pays for few looks.
    #[inline]
    fn spend(&mut self, emitter: &Emitter) -> bool {
        self.n_done += 1;
        self.n_done >= self.next_look && self.look(emitter)
    }

    fn look(&mut self, emitter: &Emitter) -> bool {
        self.next_look = self.n_done * 4;
        self.is_over(emitter)
    }

    fn is_over(&self, emitter: &Emitter) -> bool {
        self.n_done >= TURN_TUPLES || emitter.is_turn_over()
    }
}

/// Tuples of one turn: enough to pay for what a turn costs.
const TURN_TUPLES: usize = 2048;

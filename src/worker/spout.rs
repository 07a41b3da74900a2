//! A spout executor's turn: notices from ackers, time-outs, lifecycle, poll, then `next_tuple`.
//!
//! Acks, fails and `poll` are delivered whatever the receivers say; only `next_tuple` waits for
//! room, for pending tuples below their maximum, and for a pause after it had nothing to emit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::acker::{Outcome, Pending};
use crate::component::{Credentials, Instance, Result, Spout, SpoutCollector, TaskContext};
use crate::id::TaskId;
use crate::messaging::acks::{AckKind, AckRecord};
use crate::worker::acking;
use crate::worker::bolt::Credit;
use crate::worker::emit::Emitter;
use crate::worker::executor::Progress;
use crate::worker::task::{Role, Task, panicked};
use crate::worker::tracker::Tracker;

/// The spouts of one executor.
pub struct SpoutRole {
    tasks: Vec<Task<Box<dyn Spout>>>,
    first_task: TaskId,
    n_running: usize,
    /// What ackers said of roots.
    notices: Vec<AckRecord>,
    is_expiry_due: bool,
    /// What the topology's status says.
    is_wanted_active: bool,
    /// What the spouts were told last.
    is_active: bool,
    pace: Pace,
    expired: Vec<Pending>,
    pub restart_after: Option<Duration>,
}

/// How far a list of notices is told.
#[derive(Default)]
struct Told {
    n_notices: usize,
    /// The task that was told last.
    task_index: usize,
}

/// How far the calls of one turn are.
struct Calls {
    n_rounds: usize,
    next_look: usize,
    /// The task that is called next, or now.
    task_index: usize,
    /// Emits before the round.
    n_before: u64,
    is_anyone_ready: bool,
}

/// Why calls ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallsEnd {
    /// A round emitted nothing.
    Idle,
    /// Enough for one turn.
    Over,
}

/// When a spout that had nothing is called again.
#[derive(Debug)]
struct Pace {
    pause_max: Duration,
    pause: Duration,
    idle_since: Option<Instant>,
    /// Monotonic microseconds; 0: at once.
    next_us: u64,
    /// The last `next_us` that an alarm was set for.
    told_us: u64,
}

impl Role for Box<dyn Spout> {
    fn set_credentials(&mut self, credentials: &Credentials) {
        self.as_mut().set_credentials(credentials);
    }

    fn start(&mut self, context: &TaskContext) -> Result<()> {
        self.open(context)
    }

    fn end(&mut self) {
        self.close();
    }

    fn from_instance(instance: Instance) -> Option<Self> {
        match instance {
            Instance::Spout(spout) => Some(spout),
            Instance::Bolt(_) => None,
        }
    }
}

// === impl SpoutRole ===

impl SpoutRole {
    /// `tasks` are of one executor, in order, at least one. `pause_max` is the longest wait after
    /// a call that emitted nothing, while the spout emitted something of late.
    pub fn new(tasks: Vec<Task<Box<dyn Spout>>>, pause_max: Duration) -> Self {
        SpoutRole {
            first_task: tasks.first().map_or(TaskId::SYSTEM, |task| task.id),
            tasks,
            n_running: 0,
            notices: Vec::new(),
            is_expiry_due: false,
            is_wanted_active: false,
            is_active: false,
            pace: Pace::new(pause_max),
            expired: Vec::new(),
            restart_after: None,
        }
    }

    #[inline]
    pub fn notify(&mut self, notice: AckRecord) {
        self.notices.push(notice);
    }

    /// Takes notices. What is left in their list has no meaning.
    pub fn notify_all(&mut self, notices: &mut Vec<AckRecord>) {
        match self.notices.is_empty() {
            true => std::mem::swap(&mut self.notices, notices),
            false => self.notices.extend_from_slice(notices),
        }
    }

    /// Has all fail that these ackers, by their indices, were to watch.
    pub fn fail_watched_by(&mut self, ackers: &[usize], emitter: &Emitter) {
        if let Some(tracker) = &emitter.tracker {
            let failed = |root| AckRecord {
                root,
                value: 0,
                task: self.first_task,
                kind: AckKind::Failed,
            };
            self.notices.extend(tracker.roots_of(ackers).map(failed));
        }
    }

    pub fn expire(&mut self) {
        self.is_expiry_due = true;
    }

    pub fn set_active(&mut self, is_active: bool) {
        self.is_wanted_active = is_active;
    }

    /// Starts the tasks that are not running; reports those that fail to.
    pub fn start(&mut self, emitter: &mut Emitter) {
        for index in 0..self.tasks.len() {
            let task = &mut self.tasks[index];
            if task.is_running() {
                continue;
            }
            emitter.set_task(index);
            match task.start() {
                Ok(()) => {
                    self.n_running += 1;
                    // A task that starts while the others are active is told apart from them.
                    if self.is_active {
                        self.tell_activity(index, emitter);
                    }
                }
                Err((failure, pause)) => {
                    emitter.report_error(&failure);
                    self.restart_after = Some(self.restart_after.map_or(pause, |p| p.min(pause)));
                }
            }
        }
    }

    /// Whether a turn would do anything, by what is known without calling a component.
    #[inline]
    pub fn is_ready(&self, emitter: &Emitter, now_us: u64) -> bool {
        !self.notices.is_empty()
            || self.is_expiry_due
            || self.is_wanted_active != self.is_active
            || (self.is_active && self.n_running > 0 && self.may_call(emitter, now_us))
    }

    /// One turn.
    pub fn turn(&mut self, emitter: &mut Emitter, credit: Credit, now_us: u64) -> Progress {
        let mut progress = Progress::Idle;
        if !self.notices.is_empty() {
            self.deliver_notices(emitter);
            progress = Progress::Worked;
            // However many there were: emitting has a turn's time of its own.
            emitter.start_turn();
        }
        if self.is_expiry_due {
            self.is_expiry_due = false;
            self.deliver_expired(emitter);
        }
        if self.is_wanted_active != self.is_active {
            self.switch(emitter);
        }
        let n_before = emitter.n_emits;
        self.poll(emitter);
        let asked_by_poll = emitter.wake_after.take();
        if self.is_active && credit == Credit::Some && self.may_call(emitter, now_us) {
            self.call(emitter, now_us);
        }
        if let Some(delay) = asked_by_poll {
            emitter.wake_after(delay);
        }
        if emitter.n_emits > n_before {
            progress = Progress::Worked;
        }
        progress
    }

    /// Whether only full receivers can keep it from emitting.
    pub fn wants_to_emit(&self, emitter: &Emitter) -> bool {
        self.is_active && self.n_running > 0 && !emitter.is_pending_full()
    }

    /// Pending tuples, and one more while the spouts may emit.
    pub fn n_unfinished(&self, emitter: &Emitter) -> usize {
        let n_pending = emitter.tracker.as_ref().map_or(0, Tracker::n_pending);
        n_pending + usize::from(self.is_active)
    }

    /// When `next_tuple` is due, where that is later than now and was not told yet.
    pub fn take_next_call(&mut self, now_us: u64) -> Option<u64> {
        let next_us = self.pace.next_us;
        let is_news = self.is_active && next_us > now_us && next_us != self.pace.told_us;
        is_news.then(|| {
            self.pace.told_us = next_us;
            next_us
        })
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

    #[inline]
    fn may_call(&self, emitter: &Emitter, now_us: u64) -> bool {
        now_us >= self.pace.next_us && !emitter.is_pending_full()
    }

    fn deliver_notices(&mut self, emitter: &mut Emitter) {
        let mut notices = std::mem::take(&mut self.notices);
        let mut told = Told::default();
        while told.n_notices < notices.len() {
            let tell = AssertUnwindSafe(|| self.tell_unguarded(&notices, &mut told, emitter));
            if let Err(payload) = catch_unwind(tell) {
                emitter.set_task(told.task_index);
                self.broke(told.task_index, &*payload, emitter);
            }
        }
        notices.clear();
        self.notices = notices;
    }

    /// Tells the spouts of notices from `told` on.
    fn tell_unguarded(&mut self, notices: &[AckRecord], told: &mut Told, emitter: &mut Emitter) {
        let now_us = emitter.now_us();
        let Some(tracker) = &mut emitter.tracker else {
            told.n_notices = notices.len();
            return;
        };
        while let Some(notice) = notices.get(told.n_notices) {
            told.n_notices += 1;
            let Some(outcome) = acking::outcome(notice.kind) else {
                continue;
            };
            // None for a root that is not pending any more: a late notice.
            let Some(pending) = tracker.look(notice.root, outcome) else {
                continue;
            };
            emitter.meter.finished(pending, outcome, now_us);
            told.task_index = self.index_of(pending.task);
            let task = self.tasks.get_mut(told.task_index);
            if let Some(spout) = task.and_then(Task::component) {
                // Who panics here leaves it pending, and then forgets all that it had.
                match outcome {
                    Outcome::Acked => spout.ack(&pending.id),
                    Outcome::Failed | Outcome::Reset => spout.fail(&pending.id),
                }
            }
            tracker.release(notice.root);
        }
    }

    fn deliver_expired(&mut self, emitter: &mut Emitter) {
        let mut expired = std::mem::take(&mut self.expired);
        if let Some(tracker) = &mut emitter.tracker {
            tracker.rotate(&mut expired);
        }
        for pending in expired.drain(..) {
            let now_us = emitter.now_us();
            emitter.meter.finished(&pending, Outcome::Failed, now_us);
            self.tell_expired(&pending, emitter);
        }
        self.expired = expired;
    }

    fn tell_expired(&mut self, pending: &Pending, emitter: &mut Emitter) {
        let index = self.index_of(pending.task);
        let Some(spout) = self.tasks.get_mut(index).and_then(Task::component) else {
            return;
        };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| spout.fail(&pending.id))) {
            emitter.set_task(index);
            self.broke(index, &*payload, emitter);
        }
    }

    fn switch(&mut self, emitter: &mut Emitter) {
        if self.is_wanted_active && self.n_running == 0 {
            self.start(emitter);
        }
        self.is_active = self.is_wanted_active;
        self.pace.reset();
        for index in 0..self.tasks.len() {
            self.tell_activity(index, emitter);
        }
    }

    /// Tells a task that runs whether it is active.
    fn tell_activity(&mut self, index: usize, emitter: &mut Emitter) {
        emitter.set_task(index);
        let Some(spout) = self.tasks[index].component() else {
            return;
        };
        let call = AssertUnwindSafe(|| match self.is_active {
            true => spout.activate(),
            false => spout.deactivate(),
        });
        match catch_unwind(call) {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => emitter.report_error(&failure),
            Err(payload) => self.broke(index, &*payload, emitter),
        }
    }

    fn poll(&mut self, emitter: &mut Emitter) {
        for index in 0..self.tasks.len() {
            emitter.set_task(index);
            let Some(spout) = self.tasks[index].component() else {
                continue;
            };
            let call = AssertUnwindSafe(|| spout.poll(&mut SpoutCollector::new(emitter)));
            match catch_unwind(call) {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => emitter.report_error(&failure),
                Err(payload) => self.broke(index, &*payload, emitter),
            }
        }
        self.ack_unwatched(emitter);
    }

    /// Calls `next_tuple` of all tasks in turn, until a round emits nothing or the turn is over.
    fn call(&mut self, emitter: &mut Emitter, now_us: u64) {
        let mut calls = Calls {
            n_rounds: 0,
            next_look: 1,
            task_index: 0,
            n_before: emitter.n_emits,
            is_anyone_ready: false,
        };
        emitter.wake_after = None;
        let end = loop {
            let call = AssertUnwindSafe(|| self.call_unguarded(&mut calls, emitter));
            match catch_unwind(call) {
                Ok(end) => break end,
                Err(payload) => {
                    self.broke(calls.task_index, &*payload, emitter);
                    calls.task_index += 1;
                }
            }
        };
        match end {
            CallsEnd::Over => self.pace.reset(),
            CallsEnd::Idle => {
                let asked = emitter.wake_after.take();
                self.pace.idle(asked, calls.is_anyone_ready, now_us);
            }
        }
    }

    fn call_unguarded(&mut self, calls: &mut Calls, emitter: &mut Emitter) -> CallsEnd {
        loop {
            while calls.task_index < self.tasks.len() {
                calls.is_anyone_ready |= self.call_one(calls.task_index, emitter);
                calls.task_index += 1;
            }
            if emitter.n_emits == calls.n_before {
                return CallsEnd::Idle;
            }
            calls.n_rounds += 1;
            if emitter.lanes.has_sealed()
                || emitter.is_pending_full()
                || calls.n_rounds >= TURN_ROUNDS
                || (calls.n_rounds >= calls.next_look && calls.look(emitter))
            {
                return CallsEnd::Over;
            }
            calls.task_index = 0;
            calls.n_before = emitter.n_emits;
            calls.is_anyone_ready = false;
            emitter.wake_after = None;
        }
    }

    /// True when the spout was ready.
    #[inline]
    fn call_one(&mut self, index: usize, emitter: &mut Emitter) -> bool {
        let Some(spout) = self.tasks.get_mut(index).and_then(Task::component) else {
            return false;
        };
        emitter.set_task(index);
        if !spout.ready() {
            return false;
        }
        if let Err(failure) = spout.next_tuple(&mut SpoutCollector::new(emitter)) {
            emitter.report_error(&failure);
            // A spout that fails again and again must not keep a core busy with it.
            emitter.wake_after(FAILURE_PAUSE);
        }
        if !emitter.unwatched.is_empty() {
            self.ack_unwatched(emitter);
        }
        true
    }

    /// Without ackers a tuple counts as acked once the call that emitted it is over (data-plane
    /// 3.1).
    fn ack_unwatched(&mut self, emitter: &mut Emitter) {
        let mut ids = std::mem::take(&mut emitter.unwatched);
        for (task, id) in ids.drain(..) {
            let index = self.index_of(task);
            let Some(spout) = self.tasks.get_mut(index).and_then(Task::component) else {
                continue;
            };
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| spout.ack(&id))) {
                self.broke(index, &*payload, emitter);
            }
        }
        // What the acks themselves would emit comes with the next call: spouts cannot emit in
        // `ack`.
        emitter.unwatched = ids;
    }

    #[cold]
    fn broke(&mut self, index: usize, payload: &(dyn std::any::Any + Send), emitter: &mut Emitter) {
        emitter.report_error(&panicked(payload));
        if let Some(task) = self.tasks.get_mut(index) {
            // What it had pending means nothing to the one that takes its place.
            if let Some(tracker) = &mut emitter.tracker {
                tracker.forget(task.id);
            }
            let (pause, _) = task.discard();
            self.n_running = self.n_running.saturating_sub(1);
            self.restart_after = Some(self.restart_after.map_or(pause, |p| p.min(pause)));
        }
    }

    #[inline]
    fn index_of(&self, task: TaskId) -> usize {
        usize::try_from(task.0.wrapping_sub(self.first_task.0)).unwrap_or(usize::MAX)
    }
}

// === impl Calls ===

impl Calls {
    /// Whether the turn has taken long enough. Asked after 1, 4, 16.. rounds.
    fn look(&mut self, emitter: &Emitter) -> bool {
        self.next_look = self.n_rounds * 4;
        emitter.is_turn_over()
    }
}

// === impl Pace ===

impl Pace {
    fn new(pause_max: Duration) -> Self {
        Pace {
            pause_max: pause_max.max(PAUSE_MIN),
            pause: PAUSE_MIN,
            idle_since: None,
            next_us: 0,
            told_us: 0,
        }
    }

    fn reset(&mut self) {
        self.pause = PAUSE_MIN;
        self.idle_since = None;
        self.next_us = 0;
    }

    /// A round emitted nothing. A spout that is not ready is called when its waker fired; one that
    /// said for how long it has nothing is left alone until then.
    fn idle(&mut self, asked: Option<Duration>, is_ready: bool, now_us: u64) {
        let idle_since = *self.idle_since.get_or_insert_with(Instant::now);
        let pause = match asked {
            Some(asked) => asked,
            None if !is_ready => UNREADY_PAUSE,
            None if idle_since.elapsed() >= LONG_IDLE => self.pause_max * LONG_IDLE_FACTOR,
            None => {
                let pause = self.pause;
                self.pause = (pause * 2).min(self.pause_max);
                pause
            }
        };
        // At least the next microsecond: no alarm is set for one that has begun, and then nobody
        // would call the spout before something else comes.
        let pause_us = u64::try_from(pause.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX);
        self.next_us = now_us.saturating_add(pause_us.max(1));
    }
}

impl SpoutRole {
    /// A waker fired: whoever said it had nothing may have something now.
    pub fn woken(&mut self) {
        self.pace.next_us = 0;
    }
}

/// Rounds of `next_tuple` in one turn: enough to pay for what a turn costs.
const TURN_ROUNDS: usize = 512;
/// First pause after a call that emitted nothing.
const PAUSE_MIN: Duration = Duration::from_micros(50);
/// After this long without a tuple the pause is `LONG_IDLE_FACTOR` times the longest.
const LONG_IDLE: Duration = Duration::from_secs(1);
const LONG_IDLE_FACTOR: u32 = 10;
/// A spout that is not ready is asked again after this even when nobody woke it.
const UNREADY_PAUSE: Duration = Duration::from_millis(100);
/// After `next_tuple` failed.
const FAILURE_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_of_nanoseconds_ends_in_a_time_that_an_alarm_can_be_set_for() {
        let mut pace = Pace::new(Duration::from_millis(1));
        for (asked_nanos, next_us) in [(0, 1001), (70, 1001), (1000, 1001), (1001, 1002)] {
            pace.idle(Some(Duration::from_nanos(asked_nanos)), true, 1000);
            assert_eq!(pace.next_us, next_us, "{asked_nanos}");
        }
    }
}

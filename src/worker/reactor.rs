//! One thread of a worker: takes what came in, gives each of its executors a turn, publishes what
//! they emitted, and rests when there is nothing to do.
//!
//! Executors are cooperative: nothing here interrupts a component. What crosses threads does so
//! once a turn; acks travel on rings of their own and are settled whatever data waits.

mod idle;
mod settle;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::id::TaskId;
use crate::messaging::acks::AckRecord;
use crate::messaging::fence::Fence;
use crate::worker::acking::AckRoutes;
use crate::worker::executor::{Executor, ExecutorRole, Progress, Recycling};
use crate::worker::inbox::{Origin, Queued};
use crate::worker::lane::Destination;
use crate::worker::loads::TaskLoads;
use crate::worker::pool::BatchPool;
use crate::worker::program::Program;
use crate::worker::queue::{Command, Door, Injected, Link, Packet};
use crate::worker::rest::{Rest, Time};
use crate::worker::shared::Shared;
use crate::worker::timer::{Alarm, Timers};
use crate::worker::whereabouts::Here;
use crate::worker::{transfer, wiring};

/// Everything that one thread owns.
pub struct Reactor {
    index: usize,
    executors: Vec<Executor>,
    links: Vec<Option<Link>>,
    door: Arc<Door>,
    shared: Arc<Shared>,
    program: Arc<Program>,
    time: Time,
    rest: Rest,
    fence: Fence,
    here: Here,
    timers: Timers,
    acks: AckRoutes,
    /// What ledgers of this thread have to tell; empty between their turns.
    notices: Vec<AckRecord>,
    pool: BatchPool,
    /// Of other threads, by their numbers: those for which the rings back were full.
    owed: Vec<BatchPool>,
    recycling: Recycling,
    injected: Vec<Injected>,
    routes_version: u64,
    credentials_version: u64,
    /// Threads that something was published to since their doors were last rung.
    unrung: Vec<bool>,
    has_started: bool,
    is_stopped: bool,
    /// Whether any executor did anything since the last rest.
    has_worked: bool,
    stats_every: Duration,
    rotate_every: Duration,
}

/// What a reactor is made of.
pub struct ReactorParts {
    pub index: usize,
    /// In the order of the tuples' flow.
    pub executors: Vec<Executor>,
    pub links: Vec<Option<Link>>,
    pub shared: Arc<Shared>,
    pub program: Arc<Program>,
    pub time: Time,
    pub rest: Rest,
    pub fence: Fence,
    /// How often statistics are shown, and how often they rotate.
    pub stats_every: Duration,
    pub rotate_every: Duration,
}

// === impl Reactor ===

impl Reactor {
    pub fn new(parts: ReactorParts) -> Self {
        let n_threads = parts.links.len();
        let is_bolt = |executor: &Executor| matches!(executor.role, ExecutorRole::Bolt(_));
        let has_bolts = parts.executors.iter().any(is_bolt);
        let all = parts.shared.whereabouts.clone();
        let mut reactor = Reactor {
            here: Here::new(parts.index, all, parts.rest.spinning()),
            door: parts.shared.doors[parts.index].clone(),
            index: parts.index,
            executors: parts.executors,
            links: parts.links,
            shared: parts.shared,
            program: parts.program,
            time: parts.time,
            rest: parts.rest,
            fence: parts.fence,
            timers: Timers::default(),
            acks: AckRoutes::new(n_threads, has_bolts),
            notices: Vec::new(),
            pool: BatchPool::default(),
            owed: (0..n_threads).map(|_| BatchPool::default()).collect(),
            recycling: Recycling::default(),
            injected: Vec::new(),
            routes_version: 0,
            credentials_version: 0,
            unrung: vec![false; n_threads],
            has_started: false,
            is_stopped: false,
            has_worked: false,
            stats_every: parts.stats_every,
            rotate_every: parts.rotate_every,
        };
        reactor.route_acks();
        reactor
    }

    /// Runs until stopped.
    pub fn run(mut self) {
        self.door.occupy();
        self.watch_stats();
        self.shared.activities[self.index].begin();
        let mut looked_us = self.time.now_us();
        while !self.is_stopped {
            let now_us = self.time.now_us();
            let since_us = now_us.saturating_sub(std::mem::replace(&mut looked_us, now_us));
            if since_us >= PAUSE_US && !self.fence.is_open() {
                return;
            }
            self.here.round(now_us);
            let mut progress = self.collect(now_us);
            self.fire(now_us);
            self.refresh_routes(now_us);
            self.refresh_credentials();
            for place in 0..self.executors.len() {
                progress |= self.turn(place, now_us);
            }
            self.flush_acks();
            self.has_worked |= progress;
            if progress {
                let n_turns = &self.shared.signs(self.index).n_turns;
                n_turns.fetch_add(1, Ordering::Relaxed);
                self.rest.worked();
            } else {
                self.rest(now_us);
            }
        }
        for place in 0..self.executors.len() {
            self.executors[place].end();
            self.show(place);
        }
    }

    /// Statistics are told from the beginning: those of what was never activated are empty.
    fn watch_stats(&mut self) {
        let now_us = self.time.now_us();
        for place in 0..self.executors.len() {
            self.show(place);
            let alarms = [
                (Alarm::RotateStats, self.rotate_every),
                (Alarm::ShowStats, self.stats_every),
            ];
            for (alarm, every) in alarms {
                self.timers.set(later(now_us, every), place, alarm);
            }
        }
    }

    /// Takes what others sent.
    fn collect(&mut self, now_us: u64) -> bool {
        let mut worked = false;
        if self.door.answer() {
            let mut injected = std::mem::take(&mut self.injected);
            self.door.collect(&mut injected);
            worked |= !injected.is_empty();
            for what in injected.drain(..) {
                self.take_injected(what, now_us);
            }
            self.injected = injected;
        }
        for thread in 0..self.links.len() {
            worked |= self.collect_from(thread, now_us);
        }
        worked
    }

    fn collect_from(&mut self, thread: usize, now_us: u64) -> bool {
        let Some(link) = &mut self.links[thread] else {
            return false;
        };
        let mut worked = false;
        while let Ok(packet) = link.data_in.pop() {
            worked = true;
            let origin = Origin::Thread(thread);
            let batch = packet.batch;
            let inbox = &mut self.executors[packet.executor as usize].inbox;
            inbox.push(Queued { batch, origin });
        }
        while let Ok(batch) = link.empties_in.pop() {
            self.pool.keep(batch);
        }
        while let Some(batch) = self.owed[thread].take() {
            if let Err(rtrb::PushError::Full(batch)) = link.empties_out.push(batch) {
                self.owed[thread].keep(batch);
                break;
            }
        }
        while let Some(Ok(mut records)) = self.links[thread].as_mut().map(|l| l.acks_in.pop()) {
            worked = true;
            self.settle_all(&mut records, now_us);
            records.clear();
            if let Some(link) = &mut self.links[thread] {
                // A full ring means that enough lists are on their way already.
                let _ = link.spent_acks_out.push(records);
            }
        }
        worked
    }

    fn take_injected(&mut self, what: Injected, now_us: u64) {
        match what {
            Injected::Data(Packet { executor, batch }, receipt) => {
                let origin = Origin::Link(receipt);
                let inbox = &mut self.executors[executor as usize].inbox;
                inbox.push(Queued { batch, origin });
            }
            Injected::Acks(mut records) => {
                self.settle_all(&mut records, now_us);
                self.shared.give_records(records);
            }
            Injected::Command(Command::Prepare) => self.prepare(now_us),
            Injected::Command(Command::Activate) => self.set_active(true, now_us),
            Injected::Command(Command::Deactivate) => self.set_active(false, now_us),
            Injected::Command(Command::Stop) => self.is_stopped = true,
        }
    }

    fn set_active(&mut self, is_active: bool, now_us: u64) {
        if is_active {
            self.prepare(now_us);
        }
        for executor in &mut self.executors {
            if let ExecutorRole::Spout(spout) = &mut executor.role {
                spout.set_active(is_active);
            }
        }
    }

    fn prepare(&mut self, now_us: u64) {
        if !self.has_started {
            self.has_started = true;
            self.start(now_us);
        }
    }

    /// First activation: bolts get ready before any spout of this thread emits, and timers start.
    fn start(&mut self, now_us: u64) {
        for place in 0..self.executors.len() {
            let executor = &mut self.executors[place];
            let every = match &executor.role {
                ExecutorRole::Bolt(bolt) => bolt.tick_every(),
                _ => None,
            };
            if !matches!(executor.role, ExecutorRole::Spout(_)) {
                executor.start();
            }
            let alarms = [(Alarm::Tick, every), (Alarm::Expire, executor.expire_every)];
            for (alarm, every) in alarms {
                if let Some(every) = every {
                    self.timers.set(later(now_us, every), place, alarm);
                }
            }
            self.set_alarms(place, now_us);
        }
    }

    /// Does what is due.
    fn fire(&mut self, now_us: u64) {
        while let Some((due_us, place, alarm)) = self.timers.pop_due(now_us) {
            if alarm == Alarm::Call && !self.executors[place].take_call(due_us) {
                continue;
            }
            let every = self.sound(place, alarm, now_us);
            if let Some(every) = every {
                // After a long turn what was missed is not made up for.
                let next_us = later(due_us, every).max(now_us + 1);
                self.timers.set(next_us, place, alarm);
            }
        }
    }

    /// One alarm; gives its period if it comes again.
    fn sound(&mut self, place: usize, alarm: Alarm, now_us: u64) -> Option<Duration> {
        let executor = &mut self.executors[place];
        match alarm {
            Alarm::Tick => match &mut executor.role {
                ExecutorRole::Bolt(bolt) => {
                    bolt.tick();
                    bolt.tick_every()
                }
                _ => None,
            },
            Alarm::Expire => {
                match &mut executor.role {
                    ExecutorRole::Spout(spout) => spout.expire(),
                    ExecutorRole::Acker(ledger) => {
                        ledger.handle_tick();
                        let lost = &self.shared.counters.n_acks_lost;
                        lost.fetch_add(ledger.take_refused(), Ordering::Relaxed);
                        if let Some(stream) = self.program.tick_stream() {
                            executor.emitter.meter.acker_ticked(stream);
                        }
                    }
                    _ => {}
                }
                executor.expire_every
            }
            Alarm::RotateStats => {
                executor.emitter.meter.rotate();
                Some(self.rotate_every)
            }
            Alarm::ShowStats => {
                self.show(place);
                self.weigh(place);
                Some(self.stats_every)
            }
            Alarm::Call => {
                executor.woken.store(true, Ordering::Relaxed);
                None
            }
            Alarm::Restart => {
                let restarts = &self.shared.counters.n_restarts;
                restarts.fetch_add(1, Ordering::Relaxed);
                executor.start();
                self.set_alarms(place, now_us);
                None
            }
        }
    }

    /// One executor's turn and what follows from it.
    #[inline]
    fn turn(&mut self, place: usize, now_us: u64) -> bool {
        let executor = &mut self.executors[place];
        if executor.emitter.lanes.is_dirty() {
            // Left over from the last turn: its receiver had no room.
            self.publish(place, now_us);
        }
        let executor = &mut self.executors[place];
        if !self.has_started || !executor.is_ready(now_us) {
            return false;
        }
        let activity = &self.shared.activities[self.index];
        activity.enter(place, now_us);
        executor.emitter.lanes.swap_pool(&mut self.pool);
        let progress = executor.turn(&mut self.recycling, now_us);
        executor.emitter.lanes.swap_pool(&mut self.pool);
        activity.leave();
        self.publish(place, now_us);
        self.settle_acks(place, now_us);
        self.recycle();
        self.set_alarms(place, now_us);
        progress == Progress::Worked
    }

    /// Carries the batches of an executor to their receivers.
    fn publish(&mut self, place: usize, now_us: u64) {
        let dirty = self.executors[place].emitter.lanes.take_dirty();
        for number in &dirty {
            self.publish_lane(place, *number, now_us);
        }
        self.executors[place].emitter.lanes.done(dirty);
        for (thread, is_unrung) in self.unrung.iter_mut().enumerate() {
            if std::mem::take(is_unrung)
                && let Some(link) = &self.links[thread]
            {
                link.door.ring();
            }
        }
    }

    fn publish_lane(&mut self, place: usize, number: u32, now_us: u64) {
        let is_open = self.executors[place]
            .emitter
            .lanes
            .lane_mut(number)
            .is_open();
        loop {
            let lane = self.executors[place].emitter.lanes.lane_mut(number);
            let Some(batch) = lane.take() else {
                return;
            };
            let n_tuples = batch.len();
            match &lane.destination {
                Destination::Near { executor, gauge } => {
                    gauge.add(n_tuples);
                    let origin = Origin::Thread(self.index);
                    let executor = *executor;
                    self.executors[executor]
                        .inbox
                        .push(Queued { batch, origin });
                }
                Destination::Far {
                    thread,
                    executor,
                    gauge,
                } => {
                    let (thread, executor) = (*thread, *executor);
                    // Counted before it is there: the receiver must not take what was not added.
                    gauge.add(n_tuples);
                    let Some(link) = &mut self.links[thread] else {
                        return;
                    };
                    if let Err(rtrb::PushError::Full(packet)) =
                        link.data_out.push(Packet { executor, batch })
                    {
                        let has_waiter = gauge.take(n_tuples);
                        lane.put_back(packet.batch);
                        if has_waiter {
                            // The gauge tells but once: who waited for the room would sleep on.
                            self.shared.ring_all();
                        }
                        return;
                    }
                    self.unrung[thread] = true;
                }
                Destination::Peer(outbox) => {
                    let mut failed = Vec::new();
                    match is_open {
                        true => transfer::send(outbox, &batch, &self.shared.counters, &mut failed),
                        false => transfer::overflow(&batch, &self.shared.counters, &mut failed),
                    }
                    for record in &failed {
                        self.settle(record, now_us);
                    }
                    self.pool.keep(batch);
                }
                Destination::Nowhere => {
                    lane.put_back(batch);
                    return;
                }
            }
        }
    }

    /// Gives finished batches back to where they came from.
    fn recycle(&mut self) {
        if std::mem::take(&mut self.recycling.has_waiter) {
            self.shared.ring_all();
        }
        while let Some(Queued { mut batch, origin }) = self.recycling.spent.pop() {
            match origin {
                Origin::Thread(thread) if thread == self.index => self.pool.keep(batch),
                Origin::Thread(thread) => {
                    batch.clear();
                    if let Some(link) = &mut self.links[thread]
                        && let Err(rtrb::PushError::Full(batch)) = link.empties_out.push(batch)
                    {
                        self.owed[thread].keep(batch);
                    }
                }
                Origin::Link(receipt) => {
                    self.shared.give_batch(batch);
                    drop(receipt);
                }
            }
        }
    }

    /// Sets the alarms that a turn asked for.
    fn set_alarms(&mut self, place: usize, now_us: u64) {
        let executor = &mut self.executors[place];
        if let Some(pause) = executor.take_restart() {
            self.timers.set(later(now_us, pause), place, Alarm::Restart);
        }
        let asked = executor.emitter.wake_after.take();
        let asked_us = asked.map(|delay| later(now_us, delay));
        let next_us = match &mut executor.role {
            ExecutorRole::Spout(spout) => spout.take_next_call(now_us),
            _ => None,
        };
        let call_us = asked_us.into_iter().chain(next_us).min();
        if let Some(call_us) = call_us.filter(|at_us| executor.wants_call(*at_us)) {
            self.timers.set(call_us, place, Alarm::Call);
        }
    }

    fn show(&mut self, place: usize) {
        let executor = &mut self.executors[place];
        let first: TaskId = executor.id.first;
        if let Some(handle) = self.shared.executor_of(first)
            && let Some(stats) = executor.emitter.meter.news(&self.shared.streams)
        {
            handle.show(stats);
        }
    }

    /// Takes over new routes: what was not delivered yet is spread over the new lanes.
    fn refresh_routes(&mut self, now_us: u64) {
        let version = self.shared.routes_version();
        if version == self.routes_version {
            return;
        }
        self.routes_version = version;
        let routes = self.shared.routes.load_full();
        for place in 0..self.executors.len() {
            self.publish(place, now_us);
            let executor = &mut self.executors[place];
            let from = (&executor.component, self.index);
            let (lanes, of_task) = wiring::lanes(&self.program, &self.shared, &routes, from);
            if let Err(error) = executor.emitter.lanes.replace(lanes, of_task) {
                tracing::error!(%error, "tuples were lost when routes changed");
            }
        }
        self.route_acks();
        let followed = &self.shared.signs(self.index).routes_version;
        followed.store(version, Ordering::SeqCst);
    }

    /// Tells an executor how loaded those are that it emits to.
    fn weigh(&mut self, place: usize) {
        let routes = self.shared.routes.load();
        let loads = TaskLoads::new(&self.shared, &routes);
        self.executors[place].emitter.refresh_loads(&loads);
    }

    /// Tells components of other credentials. One that starts later asks by itself.
    fn refresh_credentials(&mut self) {
        let version = self.shared.credentials.version();
        if version == self.credentials_version {
            return;
        }
        self.credentials_version = version;
        let credentials = self.shared.credentials.newest();
        for executor in &mut self.executors {
            executor.set_credentials(&credentials);
        }
    }

    fn route_acks(&mut self) {
        let routes = self.shared.routes.load_full();
        let (ackers, tasks) = wiring::ack_places(&self.program, &self.shared, &routes, self.index);
        let homes = wiring::acker_homes(&self.program, &self.shared, &routes);
        let peers = routes.peers().iter().cloned();
        let forgetful = self.acks.replace((ackers, homes), tasks, peers);
        if forgetful.is_empty() {
            return;
        }
        // What those ackers knew is lost: nobody will ever say that these trees are complete.
        for executor in &mut self.executors {
            if let ExecutorRole::Spout(spout) = &mut executor.role {
                spout.fail_watched_by(&forgetful, &executor.emitter);
            }
        }
    }
}

fn later(now_us: u64, delay: Duration) -> u64 {
    now_us.saturating_add(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX))
}

/// A round that took so long may have been a pause of the process: then others have the executors.
const PAUSE_US: u64 = 1_000_000;

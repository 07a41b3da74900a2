//! Puts an engine together: instances, threads, lanes, emitters, executors.
//!
//! All that is decided before the first tuple is decided here; afterwards only routes change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::acker::AckLedger;
use crate::component::{Factory, Instance, TaskContext, WorkerPlace};
use crate::conf::{Conf, ConfError, keys};
use crate::grouping::Loads as _;
use crate::id::{ComponentId, ExecutorId, TaskId};
use crate::limits;
use crate::messaging::fence::Fence;
use crate::stats::{Layout, Role};
use crate::topology;
use crate::tuple::TupleBatch;
use crate::worker::bolt::{BoltRole, Ticks};
use crate::worker::emit::{Acking, Emitter, EmitterParts};
use crate::worker::engine::EngineOptions;
use crate::worker::executor::{Executor, ExecutorRole};
use crate::worker::inbox::Inbox;
use crate::worker::lane::Lanes;
use crate::worker::loads::TaskLoads;
use crate::worker::meter::{Meter, MeterOptions};
use crate::worker::program::{Program, ProgramError};
use crate::worker::queue::{self, Door};
use crate::worker::reactor::{Reactor, ReactorParts};
use crate::worker::report::{Reporter, Throttle};
use crate::worker::rest::{Rest, Spinning, Time};
use crate::worker::shared::{ExecutorHandle, Shared, SharedParts};
use crate::worker::spout::SpoutRole;
use crate::worker::task::{Maker, Role as TaskRole, Task};
use crate::worker::tracker::Tracker;
use crate::worker::wiring::{self, Seat};

/// An engine before its threads start.
pub struct Assembly {
    pub shared: Arc<Shared>,
    pub reactors: Vec<Reactor>,
}

/// What all executors are made with.
struct Assembler {
    program: Arc<Program>,
    shared: Arc<Shared>,
    maker: Maker,
    place: Arc<WorkerPlace>,
    generation: i64,
    time: Time,
    random: fastrand::Rng,
    timeouts: Option<Duration>,
}

/// An executor whose instances are made and whose thread is not yet known.
struct Draft {
    id: ExecutorId,
    component: ComponentId,
    /// One for each task; none where it could not be made, or for a system component.
    instances: Vec<Option<Instance>>,
}

/// Makes everything.
pub fn assemble(
    program: Arc<Program>,
    executors: &[ExecutorId],
    factory: Arc<dyn Factory>,
    options: EngineOptions,
) -> Result<Assembly, ProgramError> {
    let maker = Maker {
        program: program.clone(),
        factory,
    };
    let flow = program.in_flow_order();
    let drafts = draft(&program, executors, &maker, &flow)?;
    let seats: Vec<_> = drafts.iter().map(|draft| draft.seat(&program)).collect();
    let threads = wiring::place(&seats, &flow, options.n_threads.max(1));
    let n_threads = threads.iter().max().map_or(0, |last| last + 1);
    let n_threads = n_threads.max(options.n_threads.max(1));
    let doors: Vec<_> = (0..n_threads).map(|_| Arc::new(Door::default())).collect();
    let capacity = capacity(&program.conf)?;
    let mut n_on_thread = vec![0; n_threads];
    let handles = drafts.iter().zip(&threads).map(|(draft, thread)| {
        let place = n_on_thread[*thread];
        n_on_thread[*thread] += 1;
        let seat = (*thread, place);
        ExecutorHandle::new(draft.id, draft.component.clone(), seat, capacity)
    });
    let shared = Arc::new(Shared::new(SharedParts {
        executors: handles.collect(),
        doors,
        routes: options.routes,
        streams: program.streams.clone(),
        credentials: options.place.credentials.clone(),
    }));
    let mut assembler = Assembler {
        timeouts: program.conf.message_timeout()?,
        program: program.clone(),
        shared: shared.clone(),
        maker,
        place: Arc::new(options.place),
        generation: options.generation,
        time: options.time.clone(),
        random: fastrand::Rng::new(),
    };
    let mut by_thread: BTreeMap<usize, Vec<Executor>> = BTreeMap::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let executor = assembler.executor(index, draft)?;
        let thread = shared.executors[index].thread;
        by_thread.entry(thread).or_default().push(executor);
    }
    let rest = RestOptions {
        time: options.time,
        spinning: options.spinning,
        n_shared: options.n_threads.max(1),
        stats_every: options.stats_every,
        fence: options.fence,
    };
    let reactors = reactors(&program, &shared, by_thread, rest)?;
    Ok(Assembly { shared, reactors })
}

struct RestOptions {
    time: Time,
    spinning: Spinning,
    n_shared: usize,
    stats_every: Duration,
    fence: Fence,
}

fn reactors(
    program: &Arc<Program>,
    shared: &Arc<Shared>,
    mut by_thread: BTreeMap<usize, Vec<Executor>>,
    options: RestOptions,
) -> Result<Vec<Reactor>, ProgramError> {
    let rotate_ms = stats_layout(&program.conf)?.rotation_ms();
    let links = queue::mesh(&shared.doors).into_iter().enumerate();
    let reactors = links.map(|(index, links)| {
        // A thread of a blocking component has better things to do than to spin.
        let spinning = match index < options.n_shared {
            true => options.spinning,
            false => Spinning::Forbidden,
        };
        Reactor::new(ReactorParts {
            index,
            executors: by_thread.remove(&index).unwrap_or_default(),
            links,
            shared: shared.clone(),
            program: program.clone(),
            time: options.time.clone(),
            rest: Rest::new(spinning),
            fence: options.fence.clone(),
            stats_every: options.stats_every,
            rotate_every: Duration::from_millis(rotate_ms.max(1) as u64),
        })
    });
    Ok(reactors.collect())
}

/// The executors in the order of the flow, with their instances.
fn draft(
    program: &Program,
    executors: &[ExecutorId],
    maker: &Maker,
    flow: &[ComponentId],
) -> Result<Vec<Draft>, ProgramError> {
    let mut drafts = Vec::new();
    for id in executors {
        // The pseudo executor of the system, [-1,-1], is part of every worker and runs nothing.
        if id.first == TaskId::SYSTEM {
            continue;
        }
        let component = program.component_of(id.first);
        let of_one = |component: &&ComponentId| {
            id.tasks()
                .all(|task| program.component_of(task) == Some(*component))
        };
        let component = component.filter(of_one);
        let component = component.ok_or(ProgramError::NoSuchExecutor(*id))?;
        let make = |_| match kind(program, component) {
            // Tried again, and reported, when the task starts.
            Kind::Spout | Kind::Bolt => maker.make(component).ok(),
            Kind::Acker | Kind::Unserved => None,
        };
        drafts.push(Draft {
            id: *id,
            component: component.clone(),
            instances: id.tasks().map(make).collect(),
        });
    }
    let rank = |draft: &Draft| {
        let is_acker = draft.component.as_str() == topology::ACKER;
        let place = flow.iter().position(|id| *id == draft.component);
        (is_acker, place, draft.id)
    };
    drafts.sort_by_key(rank);
    Ok(drafts)
}

// === impl Draft ===

impl Draft {
    fn seat(&self, program: &Program) -> Seat {
        let mut made = self.instances.iter().flatten();
        Seat {
            weight: wiring::weight(program, &self.component),
            component: self.component.clone(),
            blocks: made.any(Instance::blocks),
        }
    }
}

// === impl Assembler ===

impl Assembler {
    fn executor(&mut self, index: usize, draft: Draft) -> Result<Executor, ProgramError> {
        let conf = Arc::new(self.program.component_conf(&draft.component)?);
        let kind = kind(&self.program, &draft.component);
        let role = match kind {
            Kind::Spout => {
                let tasks = self.tasks(index, &draft.id, draft.instances, &conf);
                let pause = conf.int(keys::TOPOLOGY_SLEEP_SPOUT_WAIT_STRATEGY_TIME_MS)?;
                let pause_ms = u64::try_from(pause.unwrap_or(1)).unwrap_or(1);
                ExecutorRole::Spout(SpoutRole::new(tasks, Duration::from_millis(pause_ms)))
            }
            Kind::Bolt => {
                let tasks = self.tasks(index, &draft.id, draft.instances, &conf);
                let ticks = self.ticks(&draft.id, &conf)?;
                ExecutorRole::Bolt(BoltRole::new(tasks, ticks))
            }
            Kind::Acker => ExecutorRole::Acker(AckLedger::new()),
            Kind::Unserved => {
                let component = &draft.component;
                warn!(%component, "this worker does not run such system components: idle");
                ExecutorRole::Sink
            }
        };
        let emitter = self.emitter(index, draft.id, kind, &conf)?;
        let handle = &self.shared.executors[index];
        Ok(Executor {
            id: draft.id,
            component: draft.component,
            inbox: Inbox::new(handle.gauge.clone()),
            emitter,
            role,
            woken: handle.woken.clone(),
            is_blocked: false,
            call_at_us: None,
            expire_every: self.timeouts,
            n_unfinished: handle.n_unfinished.clone(),
            waits: handle.waits.clone(),
            is_waiting: false,
        })
    }

    fn tasks<C: TaskRole>(
        &self,
        index: usize,
        id: &ExecutorId,
        instances: Vec<Option<Instance>>,
        conf: &Arc<Conf>,
    ) -> Vec<Task<C>> {
        let component = &self.shared.executors[index].component;
        let task = |(task, instance): (TaskId, Option<Instance>)| {
            let context = TaskContext::new(
                (task, component.clone()),
                conf.clone(),
                (self.program.view.clone(), self.place.clone()),
                self.shared.waker(index),
            );
            let made = instance.and_then(C::from_instance);
            Task::new(context, made, self.maker.clone())
        };
        id.tasks().zip(instances).map(task).collect()
    }

    fn ticks(&self, id: &ExecutorId, conf: &Conf) -> Result<Option<Ticks>, ProgramError> {
        let secs = conf.int(keys::TOPOLOGY_TICK_TUPLE_FREQ_SECS)?;
        let secs = secs.and_then(|secs| i32::try_from(secs).ok());
        let Some(secs) = secs.filter(|secs| *secs > 0) else {
            return Ok(None);
        };
        let batch = TupleBatch::new(self.program.streams.clone());
        let tasks = id.tasks().collect();
        let stream = self.program.tick_stream();
        Ok(stream.map(|stream| Ticks::new(batch, stream, tasks, secs)))
    }

    fn emitter(
        &mut self,
        index: usize,
        id: ExecutorId,
        kind: Kind,
        conf: &Conf,
    ) -> Result<Emitter, ProgramError> {
        let shared = self.shared.clone();
        let program = self.program.clone();
        let handle = &shared.executors[index];
        let component = &handle.component;
        let routes = shared.routes.load();
        let from = (component, handle.thread);
        let (lanes, of_task) = wiring::lanes(&program, &shared, &routes, from);
        let loads = TaskLoads::new(&shared, &routes);
        let locality = |task| loads.locality(task);
        let makes = (component, &*self.maker.factory);
        let streams = program.out_streams(makes, &locality, &mut self.random)?;
        let n_tasks = id.tasks().count();
        let meter = MeterOptions {
            role: match kind {
                Kind::Spout => Role::Spout,
                _ => Role::Bolt,
            },
            layout: stats_layout(conf)?,
            sample_rate: conf.float_or(keys::TOPOLOGY_STATS_SAMPLE_RATE, 0.05)?,
        };
        let acking = match program.ackers.is_empty() {
            true => Acking::Off,
            false => Acking::On,
        };
        let tracker = match (kind, acking) {
            (Kind::Spout, Acking::On) => Some(Tracker::new(
                n_pending_max(conf, n_tasks)?,
                program.ackers.len(),
                wiring::near_ackers(&program, &shared, handle.thread),
                self.random.fork(),
            )),
            _ => None,
        };
        let reporter = Reporter::new(shared.errors.clone(), component.clone(), throttle(conf)?);
        Ok(Emitter::new(EmitterParts {
            component: component.clone(),
            tasks: id.tasks().collect(),
            generation: self.generation,
            acking,
            streams,
            lanes: Lanes::new(lanes, of_task, program.streams.clone()),
            meter: Meter::new(meter, &mut self.random),
            tracker,
            reporter,
            time: self.time.clone(),
            random: self.random.fork(),
            components: program.components.clone(),
            sampled: handle.sampled.clone(),
        }))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Spout,
    Bolt,
    Acker,
    /// Metrics consumers.
    Unserved,
}

fn kind(program: &Program, component: &ComponentId) -> Kind {
    let id = component.as_str();
    if id == topology::ACKER {
        Kind::Acker
    } else if id == topology::EVENT_LOGGER {
        Kind::Bolt
    } else if topology::is_system_id(id) {
        Kind::Unserved
    } else if program.system.spouts.contains_key(id) {
        Kind::Spout
    } else {
        Kind::Bolt
    }
}

/// Tuples that may wait for one executor.
fn capacity(conf: &Conf) -> Result<usize, ConfError> {
    let size = conf.int_or(keys::TOPOLOGY_EXECUTOR_RECEIVE_BUFFER_SIZE, 32_768)?;
    let size = usize::try_from(size).unwrap_or(1);
    Ok(size.clamp(1, limits::INBOX_TUPLES_MAX))
}

fn n_pending_max(conf: &Conf, n_tasks: usize) -> Result<Option<usize>, ConfError> {
    let max = conf.int(keys::TOPOLOGY_MAX_SPOUT_PENDING)?;
    let max = max.and_then(|max| usize::try_from(max).ok());
    // 0 is Storm's other way to say that there is no maximum.
    let max = max.filter(|max| *max > 0);
    Ok(max.map(|max| max.saturating_mul(n_tasks)))
}

fn throttle(conf: &Conf) -> Result<Throttle, ConfError> {
    let n_max = conf.int_or(keys::TOPOLOGY_MAX_ERROR_REPORT_PER_INTERVAL, 5)?;
    let secs = conf.int_or(keys::TOPOLOGY_ERROR_THROTTLE_INTERVAL_SECS, 10)?;
    let n_max = u64::try_from(n_max).unwrap_or(0);
    let interval_us = u64::try_from(secs).unwrap_or(0).saturating_mul(1_000_000);
    Ok(Throttle::new(n_max, interval_us))
}

fn stats_layout(conf: &Conf) -> Result<Layout, ConfError> {
    let n_buckets = conf.int_or(keys::NUM_STAT_BUCKETS, 20)?;
    Ok(Layout::new(usize::try_from(n_buckets).unwrap_or(20)))
}

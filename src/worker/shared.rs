//! What the threads of a worker, its links and its control share.
//!
//! Executors by task, doors and gauges never change while the worker lives; only the routes to
//! other workers do, as a snapshot swapped whole.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::component::credentials::Held;
use crate::component::{Credentials, Waker};
use crate::id::{ComponentId, ExecutorId, TaskId};
use crate::limits;
use crate::messaging::acks::AckRecord;
use crate::messaging::gauge::{Gauge, WaitMeter};
use crate::tuple::{StreamTable, TupleBatch};
use crate::wire::messages;
use crate::wire::storm;
use crate::worker::activity::Activity;
use crate::worker::pool::BatchPool;
use crate::worker::queue::{Door, Injected};
use crate::worker::report::ErrorLog;
use crate::worker::route::Routes;
use crate::worker::sampling::SampledShare;
use crate::worker::whereabouts::Whereabouts;
use arc_swap::ArcSwap;

/// Shared by everything in a worker.
pub struct Shared {
    pub doors: Vec<Arc<Door>>,
    pub executors: Vec<ExecutorHandle>,
    /// Place in `executors` by task id.
    by_task: Vec<Option<usize>>,
    pub routes: ArcSwap<Routes>,
    routes_version: AtomicU64,
    pub errors: Arc<ErrorLog>,
    pub streams: Arc<StreamTable>,
    /// Empty batches of the links.
    pool: Mutex<BatchPool>,
    /// Empty lists of ack records for what links bring.
    ack_lists: Mutex<Vec<Vec<AckRecord>>>,
    pub counters: WorkerCounters,
    pub credentials: Arc<Held>,
    /// What each thread does, by its number.
    pub activities: Vec<Activity>,
    /// Requests for profiles that were carried out, for Nimbus to hear.
    pub profiled: Mutex<Vec<storm::ProfileRequest>>,
    signs: Vec<ThreadSigns>,
    pub whereabouts: Arc<[Whereabouts]>,
    following: Mutex<Following>,
}

/// What one thread shows of itself.
// Written by each thread at each of its turns: none shares its lines with another.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ThreadSigns {
    /// Turns in which something was done. Only grows.
    pub n_turns: AtomicU64,
    /// Of the routes that the thread follows.
    pub routes_version: AtomicU64,
}

/// The assignment that the routes are of.
#[derive(Clone, Copy, Debug, Default)]
struct Following {
    epoch: i64,
    /// What `routes_version` is once a thread has taken its routes over.
    version: u64,
    /// The one before, which some thread may still follow.
    epoch_before: i64,
    phase: Option<messages::TopologyPhase>,
}

/// What outsiders need of an executor.
pub struct ExecutorHandle {
    pub id: ExecutorId,
    pub component: ComponentId,
    pub thread: usize,
    /// Among the executors of its thread.
    pub place: usize,
    pub gauge: Arc<Gauge>,
    pub woken: Arc<AtomicBool>,
    /// Share of its tuples that event loggers get.
    pub sampled: Arc<SampledShare>,
    /// What the executor has beside its inbox that is not done: see `Executor::n_unfinished`.
    pub n_unfinished: Arc<AtomicUsize>,
    /// How long it waited for its receivers.
    pub waits: Arc<WaitMeter>,
    shown: Mutex<Shown>,
}

/// The latest statistics of an executor.
#[derive(Default)]
struct Shown {
    /// None before the first heartbeat's time.
    stats: Option<storm::ExecutorStats>,
    /// Counts how often they changed.
    version: u64,
}

/// What went wrong or was dropped. Only grows.
#[derive(Debug, Default)]
pub struct WorkerCounters {
    /// Tuples that were written for links.
    pub n_sent: AtomicU64,
    /// Tuples that came over links.
    pub n_received: AtomicU64,
    /// Tuples that could not be written for a link.
    pub n_unsendable: AtomicU64,
    /// Tuples that came for tasks that are not here, or in batches that were refused.
    pub n_misrouted: AtomicU64,
    /// Tuples of edges that wait for nobody, beyond what may wait for a link.
    pub n_overflowed: AtomicU64,
    /// Ack records that nobody could be found for.
    pub n_acks_lost: AtomicU64,
    /// Components that were made anew.
    pub n_restarts: AtomicU64,
}

/// What `Shared` is made of.
pub struct SharedParts {
    pub doors: Vec<Arc<Door>>,
    pub executors: Vec<ExecutorHandle>,
    pub routes: Routes,
    pub streams: Arc<StreamTable>,
    pub credentials: Arc<Held>,
}

// === impl Shared ===

impl Shared {
    pub fn new(parts: SharedParts) -> Self {
        let mut by_task = Vec::new();
        for (place, executor) in parts.executors.iter().enumerate() {
            for task in executor.id.tasks() {
                let Ok(index) = usize::try_from(task.0) else {
                    continue;
                };
                if by_task.len() <= index {
                    by_task.resize(index + 1, None);
                }
                by_task[index] = Some(place);
            }
        }
        let signs = parts.doors.iter().map(|_| ThreadSigns::default());
        let whereabouts = parts.doors.iter().map(|_| Whereabouts::default());
        Shared {
            activities: parts.doors.iter().map(|_| Activity::default()).collect(),
            profiled: Mutex::default(),
            credentials: parts.credentials,
            signs: signs.collect(),
            whereabouts: whereabouts.collect(),
            following: Mutex::default(),
            doors: parts.doors,
            executors: parts.executors,
            by_task,
            routes: ArcSwap::from_pointee(parts.routes),
            routes_version: AtomicU64::new(0),
            errors: Arc::new(ErrorLog::default()),
            streams: parts.streams,
            pool: Mutex::default(),
            ack_lists: Mutex::default(),
            counters: WorkerCounters::default(),
        }
    }

    /// The executor of a task, if it is one of this worker's.
    #[inline]
    pub fn executor_of(&self, task: TaskId) -> Option<&ExecutorHandle> {
        let place = self.by_task.get(usize::try_from(task.0).ok()?)?;
        self.executors.get((*place)?)
    }

    pub fn is_local(&self, task: TaskId) -> bool {
        self.executor_of(task).is_some()
    }

    /// Swaps the routes to other workers; threads take them over at their next turn.
    pub fn set_routes(&self, routes: Routes) {
        self.routes.store(Arc::new(routes));
        self.routes_version.fetch_add(1, Ordering::SeqCst);
        self.ring_all();
    }

    #[inline]
    pub fn routes_version(&self) -> u64 {
        self.routes_version.load(Ordering::Acquire)
    }

    /// Where a thread shows its signs.
    #[inline]
    pub fn signs(&self, thread: usize) -> &ThreadSigns {
        &self.signs[thread]
    }

    /// The routes are now of the assignment of this epoch.
    pub fn follow(&self, epoch: i64) {
        let mut following = self.following();
        if following.epoch != epoch {
            *following = Following {
                epoch,
                version: self.routes_version(),
                epoch_before: following.epoch,
                phase: following.phase,
            };
        }
    }

    /// What this phase asks of the worker was told to all threads.
    pub fn enter(&self, phase: messages::TopologyPhase) {
        self.following().phase = Some(phase);
    }

    /// The phase that was entered last.
    pub fn phase(&self) -> Option<messages::TopologyPhase> {
        self.following().phase
    }

    /// The epoch of the assignment that all threads follow.
    pub fn epoch(&self) -> i64 {
        let following = *self.following();
        let follow =
            |signs: &ThreadSigns| signs.routes_version.load(Ordering::SeqCst) >= following.version;
        match self.signs.iter().all(follow) {
            true => following.epoch,
            false => following.epoch_before,
        }
    }

    /// What is under way in this worker.
    pub fn activity(&self) -> messages::Activity {
        let executors = self.executors.iter();
        let n_in_executors: usize = executors
            .map(|handle| handle.gauge.n_queued() + handle.n_unfinished.load(Ordering::SeqCst))
            .sum();
        let routes = self.routes.load();
        let n_leaving: usize = routes.peers().iter().map(|peer| peer.n_waiting()).sum();
        let turns = self.signs.iter().map(|signs| &signs.n_turns);
        let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst).cast_signed();
        messages::Activity {
            n_waiting: i64::try_from(n_in_executors + n_leaving).unwrap_or(i64::MAX),
            n_sent: count(&self.counters.n_sent),
            n_received: count(&self.counters.n_received),
            n_turns: turns.map(count).fold(0, i64::wrapping_add),
        }
    }

    /// A receiver has room again: whoever waited looks anew.
    pub fn ring_all(&self) {
        for door in &self.doors {
            door.knock();
        }
    }

    /// Has threads look at their routes anew, after something about a peer changed.
    pub fn review_routes(&self) {
        self.routes_version.fetch_add(1, Ordering::SeqCst);
        self.ring_all();
    }

    /// Fails trees whose tuples were lost outside of any executor.
    pub fn fail(&self, roots: impl IntoIterator<Item = u64>) {
        let records: Vec<_> = roots.into_iter().map(AckRecord::fail).collect();
        if let Some(door) = self.doors.first().filter(|_| !records.is_empty()) {
            door.inject(Injected::Acks(records));
        }
    }

    /// Threads tell their components at their next turn, if these are others than before; whether
    /// they are.
    pub fn set_credentials(&self, credentials: Credentials) -> bool {
        let are_new = self.credentials.replace(credentials);
        if are_new {
            self.ring_all();
        }
        are_new
    }

    /// Whether all threads sleep: with simulated time nothing happens any more by itself. Of use
    /// where nobody calls them meanwhile.
    pub fn is_resting(&self) -> bool {
        self.doors.iter().all(|door| door.is_parked())
    }

    /// A waker of the executor at a place of `executors`.
    pub fn waker(self: &Arc<Self>, executor: usize) -> Waker {
        let handle = &self.executors[executor];
        let woken = handle.woken.clone();
        let door = self.doors[handle.thread].clone();
        Waker::new(move || {
            woken.store(true, Ordering::SeqCst);
            door.knock();
        })
    }

    /// An empty batch for what a link brings.
    pub fn take_batch(&self) -> Box<TupleBatch> {
        self.pool().take_or_new(&self.streams)
    }

    /// Gives a batch of the links back.
    pub fn give_batch(&self, batch: Box<TupleBatch>) {
        self.pool().keep(batch);
    }

    /// An empty list for ack records that a link brings.
    pub fn take_records(&self) -> Vec<AckRecord> {
        let kept = self.ack_lists().pop();
        kept.unwrap_or_else(|| Vec::with_capacity(limits::ACK_FRAME_RECORDS))
    }

    /// Gives such a list back, whatever is left in it.
    pub fn give_records(&self, mut records: Vec<AckRecord>) {
        records.clear();
        let is_usual = (1..=limits::ACK_LIST_KEEP_RECORDS).contains(&records.capacity());
        let mut lists = self.ack_lists();
        if is_usual && lists.len() < ACK_LISTS {
            lists.push(records);
        }
    }

    fn following(&self) -> MutexGuard<'_, Following> {
        self.following
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn pool(&self) -> MutexGuard<'_, BatchPool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ack_lists(&self) -> MutexGuard<'_, Vec<Vec<AckRecord>>> {
        self.ack_lists
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl ExecutorHandle ===

impl ExecutorHandle {
    pub fn new(
        id: ExecutorId,
        component: ComponentId,
        (thread, place): (usize, usize),
        capacity: usize,
    ) -> Self {
        ExecutorHandle {
            id,
            component,
            thread,
            place,
            gauge: Arc::new(Gauge::new(capacity)),
            woken: Arc::default(),
            sampled: Arc::default(),
            n_unfinished: Arc::default(),
            waits: Arc::default(),
            shown: Mutex::default(),
        }
    }

    pub fn show(&self, stats: storm::ExecutorStats) {
        let mut shown = self.shown();
        shown.stats = Some(stats);
        shown.version += 1;
    }

    /// The statistics that the executor showed last.
    pub fn stats(&self) -> Option<storm::ExecutorStats> {
        self.shown().stats.clone()
    }

    /// The statistics, if they were shown after version `known`, and their version.
    pub fn stats_since(&self, known: u64) -> Option<(storm::ExecutorStats, u64)> {
        let shown = self.shown();
        let stats = shown.stats.as_ref().filter(|_| shown.version > known)?;
        Some((stats.clone(), shown.version))
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Empty lists of ack records that are kept for the links: some reads' worth.
const ACK_LISTS: usize = 32;

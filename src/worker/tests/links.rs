//! Two engines in one process that know each other only by their links.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::support::*;
use crate::component::{Collector, Factory, Result, Spout, SpoutCollector, TaskContext};
use crate::conf::keys;
use crate::grouping::Locality;
use crate::id::{ExecutorId, TaskId};
use crate::messaging::client::{Peer, PeerWatch, Reconnects, Wanted};
use crate::messaging::fence::Fence;
use crate::messaging::gauge::Gauge;
use crate::messaging::link::LinkIdentity;
use crate::messaging::packing::Packing;
use crate::messaging::receiving::Sessions;
use crate::messaging::server::{self, ServerCounters, ServerParts};
use crate::messaging::transport::LinkSecurity;
use crate::tuple::{Tuple, Value};
use crate::values;
use crate::worker::engine::{Engine, EngineOptions};
use crate::worker::intake::WorkerIntakes;
use crate::worker::program::Program;
use crate::worker::rest::Time;
use crate::worker::route::{Route, Routes};
use crate::worker::shared::Shared;

/// A worker without a process: an engine and a server, and the other worker as its peer.
pub(super) struct Half {
    pub engine: Engine,
    pub peer: Arc<Peer>,
    wanted: watch::Sender<Wanted>,
    stop: watch::Sender<bool>,
}

/// Tells an engine what happens to its peer, as `Peers` does in a worker process.
struct Watch(Arc<std::sync::OnceLock<Arc<Shared>>>);

impl PeerWatch for Watch {
    fn room(&self) {
        self.0.get().unwrap().ring_all();
    }

    fn lost(&self, roots: Vec<u64>) {
        self.0.get().unwrap().fail(roots);
    }

    fn gone(&self) {
        self.0.get().unwrap().review_routes();
    }
}

pub(super) struct Plan {
    pub program: Arc<Program>,
    pub factory: Arc<dyn Factory>,
    pub executors: Vec<ExecutorId>,
    pub time: Time,
    pub security: LinkSecurity,
    pub packing: Packing,
}

impl Plan {
    pub fn of(topology: Topology) -> Self {
        let (program, executors, factory) = topology.build();
        Plan {
            program,
            factory,
            executors,
            time: Time::Real,
            security: LinkSecurity::Plain,
            packing: Packing::default(),
        }
    }

    fn is_of(&self, executor: &ExecutorId, components: &[&str]) -> bool {
        let component = self.program.component_of(executor.first);
        component.is_some_and(|id| components.contains(&id.as_str()))
    }

    /// One half runs the executors of `components`, the other all others.
    pub async fn start(self, components: &[&str], window: usize) -> (Half, Half) {
        let (here, there): (Vec<_>, Vec<_>) = self
            .executors
            .iter()
            .partition(|executor| self.is_of(executor, components));
        let listeners = [
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        ];
        let addresses = listeners
            .each_ref()
            .map(|listener| listener.local_addr().unwrap().to_string());
        let [first, second] = listeners;
        let a = self.half(first, (&here, &there), &addresses[1], window);
        let b = self.half(second, (&there, &here), &addresses[0], window);
        (a, b)
    }

    fn half(
        &self,
        listener: TcpListener,
        (own, others): (&[ExecutorId], &[ExecutorId]),
        other_address: &str,
        window: usize,
    ) -> Half {
        let shared: Arc<std::sync::OnceLock<Arc<Shared>>> = Arc::default();
        let watch = Watch(shared.clone());
        let peer = Arc::new(Peer::new(other_address, others, window, watch));
        let tasks: Vec<TaskId> = others
            .iter()
            .flat_map(|executor| executor.tasks())
            .collect();
        let route = Route {
            peer: peer.clone(),
            locality: Locality::Rack,
            tasks,
        };
        let options = EngineOptions {
            routes: Routes::new([route]),
            time: self.time.clone(),
            ..threads(1)
        };
        let program = self.program.clone();
        let engine = Engine::start(program.clone(), own, self.factory.clone(), options).unwrap();
        let _ = shared.set(engine.shared().clone());
        let identity = Arc::new(LinkIdentity {
            topology_id: "test-1-1".to_owned(),
            topology_hash: program.hash,
            node: "node".into(),
            // Which half it is.
            port: u16::from(own.first() < others.first()),
            generation: 1,
            security: self.security.clone(),
            packing: self.packing.clone(),
            fence: Fence::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let intakes = WorkerIntakes::new(engine.shared().clone(), program.clone());
        let parts = ServerParts {
            identity: identity.clone(),
            sessions: Arc::new(Sessions::new(window)),
            intakes: Arc::new(intakes),
            counters: Arc::new(ServerCounters::default()),
        };
        tokio::spawn(server::serve(listener, parts, stopped));
        let reconnects = Reconnects {
            base: Duration::from_millis(1),
            ceiling: Duration::from_millis(10),
        };
        let (wanted, receiver) = watch::channel(Wanted::Yes);
        tokio::spawn(peer.clone().run(identity, reconnects, receiver));
        Half {
            engine,
            peer,
            wanted,
            stop,
        }
    }
}

impl Half {
    pub async fn stop(self) {
        self.wanted.send_replace(Wanted::No);
        self.stop.send_replace(true);
        tokio::task::spawn_blocking(move || stop(self.engine))
            .await
            .unwrap();
    }
}

/// Emits the same text again and again, tracked.
struct Texts {
    next: i64,
    text: String,
    events: Arc<Events<Outcome>>,
}

impl Spout for Texts {
    fn open(&mut self, _: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        if self.next == N_TEXTS {
            return Ok(());
        }
        self.next += 1;
        out.emit_reliable(values![&self.text], Value::Long(self.next))
    }

    fn ack(&mut self, _: &Value) {
        self.events.push(Outcome::Acked(0));
    }

    fn fail(&mut self, _: &Value) {
        self.events.push(Outcome::Failed(0));
    }
}

pub(super) async fn blocking<T: Send + 'static>(wait: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(wait).await.unwrap()
}

/// Of what is on its way to the only executor of the peer.
fn gauge(peer: &Peer) -> &Gauge {
    let executor = peer.executors().next().unwrap();
    &peer.data(executor.first).unwrap().gauge
}

fn pass(tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
    out.emit(tuple, values![tuple.long(0usize)?])?;
    out.ack(tuple);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn trees_over_two_workers_complete() {
    for at_home in [&["spout", "sink"][..], &["spout", "sink", "__acker"]] {
        let events = Events::new();
        let spout_events = events.clone();
        let counts: Arc<Mutex<BTreeMap<i64, usize>>> = Arc::default();
        let shared = counts.clone();
        let topology = Topology::new()
            .conf(keys::TOPOLOGY_ACKER_EXECUTORS, 2)
            .conf(keys::TOPOLOGY_MAX_SPOUT_PENDING, 500)
            .spout(("spout", 1), &["number"], move || {
                Numbers::new(3000, &spout_events)
            })
            .bolt(("pass", 2), &["number"], || BoltFn(pass))
            .bolt(("sink", 2), &[], move || {
                let counts = shared.clone();
                BoltFn(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                    *counts
                        .lock()
                        .unwrap()
                        .entry(tuple.long(0usize)?)
                        .or_default() += 1;
                    out.ack(tuple);
                    Ok(())
                })
            })
            .connect("spout", "pass", shuffle())
            .connect("pass", "sink", fields(&["number"]));
        let (a, b) = Plan::of(topology).start(at_home, WINDOW).await;
        b.engine.activate();
        a.engine.activate();
        let waiting = events.clone();
        let mut seen = blocking(move || waiting.wait_for(3000)).await;
        seen.sort_by_key(|event| format!("{event:?}").len());
        assert!(seen.iter().all(|event| matches!(event, Outcome::Acked(_))));
        let counts = counts.lock().unwrap().clone();
        assert_eq!(counts.len(), 3000);
        assert!(counts.values().all(|count| *count == 1));
        assert_eq!(
            (a.engine.take_errors(), b.engine.take_errors()),
            (vec![], vec![])
        );
        a.stop().await;
        b.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_peer_that_does_not_run_stops_the_spout_and_nothing_is_lost() {
    let events = Events::new();
    let spout_events = events.clone();
    let n_executed = Arc::new(AtomicUsize::new(0));
    let executed = n_executed.clone();
    let topology = Topology::new()
        .conf(keys::TOPOLOGY_EXECUTOR_RECEIVE_BUFFER_SIZE, 256)
        .spout(("spout", 1), &["text"], move || Texts {
            next: 0,
            // Far more than sockets buffer.
            text: "x".repeat(16_384),
            events: spout_events.clone(),
        })
        .bolt(("sink", 1), &[], move || {
            let executed = executed.clone();
            BoltFn(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                executed.fetch_add(1, Ordering::SeqCst);
                out.ack(tuple);
                Ok(())
            })
        })
        .connect("spout", "sink", shuffle());
    let (a, b) = Plan::of(topology)
        .start(&["spout", "__acker"], WINDOW)
        .await;
    // Not activated: what came lies on the queue of `b`.
    a.engine.activate();
    let peer = a.peer.clone();
    blocking(move || eventually("the outbox is full", || gauge(&peer).is_full())).await;
    let shared = a.engine.shared().clone();
    blocking(move || eventually("the spout rests", || shared.is_resting())).await;
    // No more than a turn's tuples beyond the window.
    assert!(gauge(&a.peer).n_queued() < WINDOW + 1024 * 17_000);
    assert!(b.engine.n_queued() * 16_384 <= WINDOW.max(512 * 17_000));
    assert_eq!(n_executed.load(Ordering::SeqCst), 0);
    b.engine.activate();
    let waiting = events.clone();
    let seen = blocking(move || waiting.wait_for(N_TEXTS as usize)).await;
    assert!(seen.iter().all(|event| matches!(event, Outcome::Acked(_))));
    assert_eq!(n_executed.load(Ordering::SeqCst), N_TEXTS as usize);
    a.stop().await;
    b.stop().await;
}

/// Were it refused, it would be so each time that it is replayed.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_one_call_leaves_goes_through_however_much_it_is() {
    let events = Events::new();
    let spout_events = events.clone();
    let n_executed = Arc::new(AtomicUsize::new(0));
    let executed = n_executed.clone();
    let topology = Topology::new()
        .spout(("spout", 1), &["number"], move || {
            Numbers::new(1, &spout_events)
        })
        .bolt(("burst", 1), &["number", "text"], || {
            BoltFn(|tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                let text = "x".repeat(1_000_000);
                for number in 0..N_LARGE as i64 {
                    out.emit(tuple, values![number, &text])?;
                }
                out.ack(tuple);
                Ok(())
            })
        })
        .bolt(("sink", 1), &[], move || {
            let executed = executed.clone();
            BoltFn(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                let n_before = executed.fetch_add(1, Ordering::SeqCst);
                assert_eq!(tuple.long(0usize)?, n_before as i64);
                assert_eq!(tuple.str(1usize)?.len(), 1_000_000);
                out.ack(tuple);
                Ok(())
            })
        })
        .connect("spout", "burst", shuffle())
        .connect("burst", "sink", shuffle());
    let (a, b) = Plan::of(topology)
        .start(&["spout", "burst", "__acker"], WINDOW)
        .await;
    b.engine.activate();
    a.engine.activate();
    let waiting = events.clone();
    let seen = blocking(move || waiting.wait_for(1)).await;
    assert!(matches!(seen[..], [Outcome::Acked(_)]), "{seen:?}");
    assert_eq!(n_executed.load(Ordering::SeqCst), N_LARGE);
    a.stop().await;
    b.stop().await;
}

fn pass_text(tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
    out.emit(tuple, values![tuple.str(0usize)?])?;
    out.ack(tuple);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn workers_that_feed_each_other_do_not_wait_for_each_other() {
    let events = Events::new();
    let spout_events = events.clone();
    let topology = Topology::new()
        .conf(keys::TOPOLOGY_EXECUTOR_RECEIVE_BUFFER_SIZE, 16)
        .spout(("spout", 1), &["text"], move || Texts {
            next: 0,
            text: "x".repeat(16_384),
            events: spout_events.clone(),
        })
        .bolt(("first", 1), &["text"], || BoltFn(pass_text))
        .bolt(("away", 1), &["text"], || BoltFn(pass_text))
        .bolt(("sink", 1), &[], || {
            BoltFn(|tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                out.ack(tuple);
                Ok(())
            })
        })
        .connect("spout", "first", shuffle())
        .connect("first", "away", shuffle())
        .connect("away", "sink", shuffle());
    let at_home = ["spout", "first", "sink", "__acker"];
    // What is full on the way there must not stop what comes back.
    let (a, b) = Plan::of(topology).start(&at_home, 16).await;
    b.engine.activate();
    a.engine.activate();
    let waiting = events.clone();
    let seen = blocking(move || waiting.wait_for(N_TEXTS as usize)).await;
    assert!(seen.iter().all(|event| matches!(event, Outcome::Acked(_))));
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tuples_for_tasks_without_a_worker_wait_for_one() {
    let events = Events::new();
    let spout_events = events.clone();
    let topology = Topology::new()
        .spout(("spout", 1), &["number"], move || {
            Numbers::new(100, &spout_events)
        })
        .bolt(("sink", 1), &[], || {
            BoltFn(|tuple: &Tuple<'_>, out: &mut Collector<'_>| {
                out.ack(tuple);
                Ok(())
            })
        })
        .connect("spout", "sink", shuffle());
    let (a, b) = Plan::of(topology)
        .start(&["spout", "__acker"], WINDOW)
        .await;
    let routes = a.engine.shared().routes.load_full();
    a.engine.shared().set_routes(Routes::default());
    b.engine.activate();
    a.engine.activate();
    let shared = a.engine.shared().clone();
    blocking(move || eventually("the spout rests", || shared.is_resting())).await;
    assert_eq!(events.len(), 0);
    a.engine.shared().set_routes((*routes).clone());
    let waiting = events.clone();
    blocking(move || waiting.wait_for(100)).await;
    a.stop().await;
    b.stop().await;
}

/// Passes numbers back until they went round often enough.
fn go_round(tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
    let (number, n_rounds) = (tuple.long(0usize)?, tuple.long(1usize)?);
    if n_rounds < N_ROUNDS {
        out.emit(tuple, values![number, n_rounds + 1])?;
    }
    out.ack(tuple);
    Ok(())
}

fn enter(tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
    let n_rounds = match tuple.len() {
        1 => 0,
        _ => tuple.long(1usize)?,
    };
    out.emit(tuple, values![tuple.long(0usize)?, n_rounds])?;
    out.ack(tuple);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_cycle_over_workers_with_a_small_window_does_not_stand_still() {
    let events = Events::new();
    let spout_events = events.clone();
    let topology = Topology::new()
        .conf(keys::TOPOLOGY_EXECUTOR_RECEIVE_BUFFER_SIZE, 16)
        .spout(("spout", 1), &["number"], move || {
            Numbers::new(2000, &spout_events)
        })
        .bolt(("first", 1), &["number", "rounds"], || BoltFn(enter))
        .bolt(("away", 1), &["number", "rounds"], || BoltFn(go_round))
        .connect("spout", "first", shuffle())
        .connect("first", "away", shuffle())
        .connect("away", "first", shuffle());
    let at_home = ["spout", "first", "__acker"];
    // A few tuples fill each window.
    let (a, b) = Plan::of(topology).start(&at_home, 300).await;
    b.engine.activate();
    a.engine.activate();
    let waiting = events.clone();
    let seen = blocking(move || waiting.wait_for(2000)).await;
    assert!(seen.iter().all(|event| matches!(event, Outcome::Acked(_))));
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_bolt_that_sleeps_elsewhere_bounds_what_is_sent_without_acks_too() {
    let events = Events::new();
    let spout_events = events.clone();
    let topology = Topology::new()
        .conf(keys::TOPOLOGY_ACKER_EXECUTORS, 0)
        .spout(("spout", 1), &["number"], move || {
            Numbers::new(i64::MAX, &spout_events)
        })
        .bolt(("sink", 1), &[], || BoltFn(pass))
        .connect("spout", "sink", shuffle());
    let window = 10_000;
    let (a, b) = Plan::of(topology).start(&["spout"], window).await;
    // Not activated: the bolt takes nothing.
    a.engine.activate();
    let peer = a.peer.clone();
    blocking(move || eventually("the window is full", || gauge(&peer).is_full())).await;
    let shared = a.engine.shared().clone();
    blocking(move || eventually("the spout rests", || shared.is_resting())).await;
    // A turn's tuples beyond it, of some tens of bytes.
    let n_bytes = gauge(&a.peer).n_queued();
    assert!(
        n_bytes < window + 1024 * 110,
        "{n_bytes} bytes are on their way"
    );
    // Equal and counted values take no bytes of a frame, and are charged for all the same.
    assert!(b.engine.n_queued() <= 1024 + window / 64);
    let n_emitted = events.len();
    for _ in 0..100 {
        a.engine.ring();
        tokio::task::yield_now().await;
    }
    assert_eq!(events.len(), n_emitted);
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_worker_that_dies_fails_what_it_had_and_what_its_ackers_knew_at_once() {
    for at_home in [&["spout", "__acker"][..], &["spout"]] {
        let events = Events::new();
        let spout_events = events.clone();
        let topology = Topology::new()
            .spout(("spout", 1), &["number"], move || {
                Numbers::new(100, &spout_events)
            })
            .bolt(("sink", 1), &[], || BoltFn(pass))
            .connect("spout", "sink", shuffle());
        let mut plan = Plan::of(topology);
        // It stands still: nothing fails by time-out.
        plan.time = Time::Simulated(Arc::default());
        let (a, b) = plan.start(at_home, WINDOW).await;
        // Not activated: it has the tuples, and does nothing with them.
        a.engine.activate();
        let shared = b.engine.shared().clone();
        let has_all = move || {
            let executors = shared.executors.iter();
            executors
                .map(|handle| handle.gauge.n_queued())
                .sum::<usize>()
                == 100
        };
        blocking(move || eventually("all are there", has_all)).await;
        assert_eq!(events.len(), 0);
        b.stop().await;
        let waiting = events.clone();
        let seen = blocking(move || waiting.wait_for(100)).await;
        assert!(seen.iter().all(|event| matches!(event, Outcome::Failed(_))));
        a.stop().await;
    }
}

const N_ROUNDS: i64 = 5;
const N_TEXTS: i64 = 4000;
pub(super) const WINDOW: usize = 1 << 20;
/// Of a megabyte each: more than may wait for an executor.
const N_LARGE: usize = 70;
const _: () = assert!(N_LARGE * 1_000_000 > crate::limits::LOOSE_BYTES_MAX);

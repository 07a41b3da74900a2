//! Topologies, scripted components and waits for the tests of engines.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::component::{
    Blueprint, Bolt, Collector, ComponentFailure, Factory, Instance, Result, Spout, SpoutCollector,
    TaskContext,
};
use crate::conf::{Conf, keys};
use crate::id::{ComponentId, ExecutorId};
use crate::topology::tasks;
use crate::tuple::{Tuple, Value};
use crate::wire::storm;
use crate::worker::engine::{Engine, EngineOptions};
use crate::worker::program::Program;
use crate::worker::rest::Time;

/// A topology under construction, with what makes its components.
pub struct Topology {
    topology: storm::StormTopology,
    conf: Conf,
    makers: BTreeMap<String, Box<dyn Fn() -> Instance + Send + Sync>>,
}

/// Things that happened, to be waited for.
pub struct Events<T> {
    seen: Mutex<Vec<T>>,
    changed: Condvar,
}

/// A clock that a test moves.
pub struct TestClock(Arc<AtomicU64>);

/// Calls closures.
pub struct BoltFn<F>(pub F);

/// Emits `0..n` as ids and values, once each, and again what failed.
pub struct Numbers {
    pub next: i64,
    pub end: i64,
    pub again: Vec<i64>,
    pub events: Arc<Events<Outcome>>,
}

/// What a spout was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Acked(i64),
    Failed(i64),
}

struct Makers(BTreeMap<String, Box<dyn Fn() -> Instance + Send + Sync>>);

// === impl Topology ===

impl Topology {
    pub fn new() -> Self {
        let conf = Conf::defaults()
            .with(keys::TOPOLOGY_WORKERS, 1)
            .with(keys::TOPOLOGY_STATS_SAMPLE_RATE, 1.0);
        Topology {
            topology: storm::StormTopology::default(),
            conf,
            makers: BTreeMap::new(),
        }
    }

    pub fn conf(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        self.conf = self.conf.with(key, value);
        self
    }

    pub fn spout<S: Spout + 'static>(
        mut self,
        (id, parallelism): (&str, i32),
        fields: &[&str],
        make: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        let spec = storm::SpoutSpec {
            spout_object: storm::ComponentObject::Unset,
            common: common(parallelism, fields),
        };
        self.topology.spouts.insert(id.to_owned(), spec);
        let make = move || Instance::Spout(Box::new(make()));
        self.makers.insert(id.to_owned(), Box::new(make));
        self
    }

    pub fn bolt<B: Bolt + 'static>(
        mut self,
        (id, parallelism): (&str, i32),
        fields: &[&str],
        make: impl Fn() -> B + Send + Sync + 'static,
    ) -> Self {
        let bolt = storm::Bolt {
            bolt_object: storm::ComponentObject::Unset,
            common: common(parallelism, fields),
        };
        self.topology.bolts.insert(id.to_owned(), bolt);
        let make = move || Instance::Bolt(Box::new(make()));
        self.makers.insert(id.to_owned(), Box::new(make));
        self
    }

    /// Subscribes `to` to the stream `default` of `from`.
    pub fn connect(self, from: &str, to: &str, grouping: storm::Grouping) -> Self {
        self.connect_stream((from, "default"), to, grouping)
    }

    pub fn connect_stream(
        mut self,
        (from, stream): (&str, &str),
        to: &str,
        grouping: storm::Grouping,
    ) -> Self {
        let source = storm::GlobalStreamId {
            component_id: from.to_owned(),
            stream_id: stream.to_owned(),
        };
        let bolt = self.topology.bolts.get_mut(to).unwrap();
        bolt.common.inputs.insert(source, grouping);
        self
    }

    /// Gives a component more tasks than executors.
    pub fn tasks(mut self, component: &str, n_tasks: i32) -> Self {
        let conf = Conf::new().with(keys::TOPOLOGY_TASKS, n_tasks);
        self.common(component).json_conf = Some(conf.to_json());
        self
    }

    /// Declares a further stream of a component.
    pub fn stream(mut self, component: &str, stream: &str, info: storm::StreamInfo) -> Self {
        let common = self.common(component);
        common.streams.insert(stream.to_owned(), info);
        self
    }

    fn common(&mut self, component: &str) -> &mut storm::ComponentCommon {
        match self.topology.spouts.get_mut(component) {
            Some(spout) => &mut spout.common,
            None => &mut self.topology.bolts.get_mut(component).unwrap().common,
        }
    }

    /// The program, its executors, and what makes its components.
    pub fn build(self) -> (Arc<Program>, Vec<ExecutorId>, Arc<dyn Factory>) {
        let program = Program::new("test-1-1".into(), self.topology, self.conf).unwrap();
        let wanted = tasks::parallelism(&program.system);
        let executors = tasks::executors(&program.view.task_components, &wanted);
        let executors = executors.into_keys().collect();
        (Arc::new(program), executors, Arc::new(Makers(self.makers)))
    }

    /// Runs the whole topology in one engine.
    pub fn run(self, options: EngineOptions) -> Engine {
        let (program, executors, factory) = self.build();
        let engine = Engine::start(program, &executors, factory, options).unwrap();
        engine.activate();
        engine
    }
}

fn common(parallelism: i32, fields: &[&str]) -> storm::ComponentCommon {
    let stream = storm::StreamInfo {
        output_fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        direct: false,
    };
    storm::ComponentCommon {
        inputs: BTreeMap::new(),
        streams: BTreeMap::from([("default".to_owned(), stream)]),
        parallelism_hint: Some(parallelism),
        json_conf: None,
    }
}

pub fn shuffle() -> storm::Grouping {
    storm::Grouping::Shuffle(storm::NullStruct::default())
}

pub fn fields(names: &[&str]) -> storm::Grouping {
    storm::Grouping::Fields(names.iter().map(|name| (*name).to_owned()).collect())
}

/// So many threads.
pub fn threads(n_threads: usize) -> EngineOptions {
    EngineOptions {
        n_threads,
        ..EngineOptions::local(1)
    }
}

/// Stops an engine, which must not hang.
pub fn stop(engine: Engine) {
    assert!(!engine.has_failed());
    engine.stop(PATIENCE).unwrap();
}

/// Waits until `condition` holds; fails the test when it does not in good time.
#[track_caller]
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}

impl Factory for Makers {
    fn create(&self, component: &ComponentId, _: Blueprint<'_>) -> Result<Instance> {
        match self.0.get(component.as_str()) {
            Some(make) => Ok(make()),
            None => Err(ComponentFailure::new(format!("nothing makes {component}"))),
        }
    }
}

// === impl Events ===

impl<T: Clone> Events<T> {
    pub fn new() -> Arc<Self> {
        Arc::new(Events {
            seen: Mutex::new(Vec::new()),
            changed: Condvar::new(),
        })
    }

    pub fn push(&self, event: T) {
        self.seen.lock().unwrap().push(event);
        self.changed.notify_all();
    }

    pub fn all(&self) -> Vec<T> {
        self.seen.lock().unwrap().clone()
    }

    pub fn len(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// Waits for that many events, and gives all there are.
    #[track_caller]
    pub fn wait_for(&self, n_events: usize) -> Vec<T> {
        let seen = self.seen.lock().unwrap();
        let waited = self
            .changed
            .wait_timeout_while(seen, PATIENCE, |seen| seen.len() < n_events);
        let (seen, _) = waited.unwrap();
        assert!(
            seen.len() >= n_events,
            "{} of {n_events} events",
            seen.len()
        );
        seen.clone()
    }
}

// === impl TestClock ===

impl TestClock {
    pub fn new() -> (Self, Time) {
        let now_us = Arc::new(AtomicU64::new(1_000_000));
        (TestClock(now_us.clone()), Time::Simulated(now_us))
    }

    pub fn advance(&self, engine: &Engine, by: Duration) {
        self.0.fetch_add(by.as_micros() as u64, Ordering::SeqCst);
        engine.ring();
    }
}

// === impl BoltFn ===

impl<F> Bolt for BoltFn<F>
where
    F: FnMut(&Tuple<'_>, &mut Collector<'_>) -> Result<()> + Send,
{
    fn prepare(&mut self, _: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        (self.0)(tuple, out)
    }
}

// === impl Numbers ===

impl Numbers {
    pub fn new(end: i64, events: &Arc<Events<Outcome>>) -> Self {
        Numbers {
            next: 0,
            end,
            again: Vec::new(),
            events: events.clone(),
        }
    }
}

impl Spout for Numbers {
    fn open(&mut self, _: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        if let Some(number) = self.again.pop() {
            return out.emit_reliable(crate::values![number], Value::Long(number));
        }
        if self.next < self.end {
            self.next += 1;
            let number = self.next - 1;
            return out.emit_reliable(crate::values![number], Value::Long(number));
        }
        Ok(())
    }

    fn ack(&mut self, id: &Value) {
        if let Value::Long(number) = id {
            self.events.push(Outcome::Acked(*number));
        }
    }

    fn fail(&mut self, id: &Value) {
        if let Value::Long(number) = id {
            self.again.push(*number);
            self.events.push(Outcome::Failed(*number));
        }
    }
}

pub const PATIENCE: Duration = Duration::from_secs(20);

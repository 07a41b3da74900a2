//! One component's task without a worker around it: a real emitter whose lanes a test reads.
//!
//! The task under test is number 1. Bolts have one source, `source` (task 7), and everything that
//! is emitted goes to `sink` (tasks 8 and 9 in turn; direct streams as the emitter says).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::component::{Collector, SpoutCollector, TaskContext, TopologyView, Waker, WorkerPlace};
use crate::conf::Conf;
use crate::grouping::{Grouping, Subscribers};
use crate::id::{ComponentId, StreamId, TaskId, TopologyId};
use crate::messaging::acks::AckKind;
use crate::stats::{Layout, Role};
use crate::tuple::{
    Anchor, Fields, HeldTuple, StreamInfo, StreamTable, Tuple, TupleBatch, TupleHead, Value,
    ValueRef,
};
use crate::wire::storm;
use crate::worker::emit::{Acking, Emitter, EmitterParts, OutStream};
use crate::worker::lane::{Destination, Lane, Lanes};
use crate::worker::meter::{Meter, MeterOptions};
use crate::worker::report::{ErrorLog, Reporter, Throttle};
use crate::worker::tracker::Tracker;

/// The task under test and what surrounds it.
pub(crate) struct Harness {
    emitter: Emitter,
    streams: Arc<StreamTable>,
    errors: Arc<ErrorLog>,
    n_inputs: u64,
}

/// A tuple that the component emitted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Emitted {
    pub stream: String,
    pub values: Vec<Value>,
    pub target: i32,
    /// Numbers of the inputs whose trees it joined.
    pub roots: Vec<u64>,
}

/// What a bolt did with an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// The number of the input.
    Acked(u64),
    Failed(u64),
}

// === impl Harness ===

impl Harness {
    /// The component declares `streams`: a name, its fields, and `direct` for a direct stream.
    /// A bolt's inputs have as many fields as they are given values, up to five.
    pub fn new(streams: &[(&str, &[&str])]) -> Self {
        let info = |component: &str, stream: &str, fields: &[&str]| StreamInfo {
            component: ComponentId::from(component),
            stream: StreamId::from(stream),
            fields: Fields::new(fields.iter().copied()).unwrap(),
            direct: stream.starts_with("direct"),
        };
        let inputs = (0..=5).map(|n| info("source", &format!("s{n}"), &INPUT_FIELDS[..n]));
        let outputs = streams
            .iter()
            .map(|(name, fields)| info(COMPONENT, name, fields));
        let tick = info("__system", "__tick", &["secs"]);
        let table = StreamTable::new(inputs.chain(outputs).chain([tick])).unwrap();
        let streams = Arc::new(table);
        let errors = Arc::new(ErrorLog::default());
        let emitter = emitter(&streams, &errors);
        Harness {
            emitter,
            streams,
            errors,
            n_inputs: 0,
        }
    }

    pub fn collector(&mut self) -> Collector<'_> {
        self.emitter.start_turn();
        Collector::new(&mut self.emitter)
    }

    pub fn spout_collector(&mut self) -> SpoutCollector<'_> {
        self.emitter.start_turn();
        SpoutCollector::new(&mut self.emitter)
    }

    /// A tuple of the source: a tree of its own, whose root is the input's number from 1.
    pub fn input(&mut self, values: &[ValueRef<'_>]) -> HeldTuple {
        self.n_inputs += 1;
        let stream = format!("s{}", values.len());
        let anchor = Anchor {
            root: self.n_inputs,
            edge: self.n_inputs << 32,
        };
        self.tuple(("source", &stream), TaskId(7), &[anchor], values)
    }

    /// A tuple of the source that belongs to the trees `1..=n_trees`.
    pub fn joined_input(&mut self, n_trees: u64) -> HeldTuple {
        let anchors: Vec<_> = (1..=n_trees)
            .map(|root| Anchor { root, edge: root })
            .collect();
        self.tuple(("source", "s0"), TaskId(7), &anchors, &[])
    }

    pub fn tick(&mut self) -> HeldTuple {
        let values = [ValueRef::Long(1)];
        self.tuple(("__system", "__tick"), TaskId::SYSTEM, &[], &values)
    }

    fn tuple(
        &mut self,
        (component, stream): (&str, &str),
        source_task: TaskId,
        anchors: &[Anchor],
        values: &[ValueRef<'_>],
    ) -> HeldTuple {
        let head = TupleHead {
            sequence: self.n_inputs,
            generation: 1,
            timestamp_us: 0,
            source_task,
            target_task: TASK,
            stream: self.streams.number(component, stream).unwrap(),
        };
        let mut batch = TupleBatch::new(Arc::clone(&self.streams));
        batch.push(head, anchors, values).unwrap();
        batch.get(0).unwrap().hold()
    }

    /// What was emitted since the last call.
    pub fn emitted(&mut self) -> Vec<Emitted> {
        let lanes = &mut self.emitter.lanes;
        let mut emitted = Vec::new();
        let dirty = lanes.take_dirty();
        for number in &dirty {
            while let Some(batch) = lanes.lane_mut(*number).take() {
                emitted.extend(batch.iter().map(|tuple| Emitted::from(&tuple)));
            }
        }
        lanes.done(dirty);
        emitted
    }

    /// What was acked and failed since the last call, in that order.
    pub fn verdicts(&mut self) -> Vec<Verdict> {
        let records = std::mem::take(&mut self.emitter.acks).into_iter();
        let verdict = |record: crate::messaging::acks::AckRecord| match record.kind {
            AckKind::Ack => Some(Verdict::Acked(record.root)),
            AckKind::Fail => Some(Verdict::Failed(record.root)),
            _ => None,
        };
        records.filter_map(verdict).collect()
    }

    /// The anchors of what was emitted since the last call, a list for each tuple.
    pub fn emitted_edges(&mut self) -> Vec<Vec<Anchor>> {
        let lanes = &mut self.emitter.lanes;
        let mut anchors = Vec::new();
        let dirty = lanes.take_dirty();
        for number in &dirty {
            while let Some(batch) = lanes.lane_mut(*number).take() {
                anchors.extend(batch.iter().map(|tuple| tuple.anchors().to_vec()));
            }
        }
        lanes.done(dirty);
        anchors
    }

    /// Root and value of each ack since the last call.
    pub fn acked_values(&mut self) -> Vec<(u64, u64)> {
        let records = std::mem::take(&mut self.emitter.acks).into_iter();
        let acks = records.filter(|record| record.kind == AckKind::Ack);
        acks.map(|record| (record.root, record.value)).collect()
    }

    /// Texts of the errors reported since the last call.
    pub fn errors(&mut self) -> Vec<String> {
        self.errors
            .take()
            .into_iter()
            .map(|error| error.text)
            .collect()
    }

    /// Tracked tuples of a spout.
    pub fn n_pending(&mut self) -> usize {
        self.emitter.n_pending()
    }
}

impl From<&Tuple<'_>> for Emitted {
    fn from(tuple: &Tuple<'_>) -> Self {
        Emitted {
            stream: tuple.source_stream().to_string(),
            values: tuple.values().map(ValueRef::to_value).collect(),
            target: tuple.target_task().0,
            roots: tuple.anchors().iter().map(|anchor| anchor.root).collect(),
        }
    }
}

/// A context for the task under test. `object` is its component; `conf` goes over the defaults.
pub(crate) fn context(directory: &Path, conf: Conf, waker: Waker) -> TaskContext {
    let stream = |fields: &[&str], direct| storm::StreamInfo {
        output_fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        direct,
    };
    let streams: BTreeMap<String, storm::StreamInfo> = [
        ("default".to_owned(), stream(&["word"], false)),
        ("done".to_owned(), stream(&["lines"], false)),
    ]
    .into();
    let common = storm::ComponentCommon {
        streams,
        ..Default::default()
    };
    let mut topology = storm::StormTopology::default();
    let bolt = storm::Bolt {
        common,
        ..Default::default()
    };
    topology.bolts.insert(COMPONENT.to_owned(), bolt);
    let tasks = [(1, COMPONENT), (7, "source"), (8, "sink"), (9, "sink")];
    let view = TopologyView {
        topology_id: TopologyId::from("test-1-1"),
        topology,
        task_components: tasks
            .map(|(id, name)| (TaskId(id), ComponentId::from(name)))
            .into(),
    };
    let place = WorkerPlace {
        port: 6700,
        code_dir: directory.to_owned(),
        pid_dir: directory.join("pids"),
        groups_dir: directory.join("groups"),
        runtime: tokio::runtime::Handle::try_current().ok(),
        ..WorkerPlace::default()
    };
    for path in [
        &place.pid_dir,
        &place.groups_dir,
        &directory.join("resources"),
    ] {
        std::fs::create_dir_all(path).unwrap();
    }
    let conf = Arc::new(Conf::defaults().overlay(&conf));
    let id = (TASK, ComponentId::from(COMPONENT));
    TaskContext::new(id, conf, (Arc::new(view), Arc::new(place)), waker)
}

fn emitter(streams: &Arc<StreamTable>, errors: &Arc<ErrorLog>) -> Emitter {
    let own = streams
        .iter()
        .filter(|(_, info)| info.component.as_str() == COMPONENT);
    let out = own.map(|(number, info)| {
        let tasks = vec![TaskId(8), TaskId(9)];
        let grouping = match info.direct {
            true => Grouping::direct(tasks),
            false => Grouping::shuffle(tasks, &mut fastrand::Rng::with_seed(1)),
        };
        OutStream {
            id: info.stream.clone(),
            number,
            n_fields: info.fields.len(),
            subscribers: Subscribers::new(vec![(ComponentId::from("sink"), grouping)]),
        }
    });
    let mut of_task = vec![u32::MAX; 10];
    of_task[8] = 0;
    of_task[9] = 0;
    let options = MeterOptions {
        role: Role::Bolt,
        layout: Layout::new(20),
        sample_rate: 1.0,
    };
    let names = ["", COMPONENT, "", "", "", "", "", "source", "sink", "sink"];
    Emitter::new(EmitterParts {
        component: ComponentId::from(COMPONENT),
        tasks: vec![TASK],
        generation: 1,
        acking: Acking::On,
        streams: out.collect(),
        lanes: Lanes::new(
            vec![Lane::new(Destination::Nowhere)],
            of_task,
            Arc::clone(streams),
        ),
        meter: Meter::new(options, &mut fastrand::Rng::with_seed(1)),
        tracker: Some(Tracker::new(None, 1, vec![], fastrand::Rng::with_seed(2))),
        reporter: Reporter::new(
            Arc::clone(errors),
            ComponentId::from(COMPONENT),
            Throttle::new(1000, 1_000_000),
        ),
        time: crate::worker::rest::Time::Real,
        random: fastrand::Rng::with_seed(3),
        components: names.map(ComponentId::from).into(),
        sampled: Arc::default(),
    })
}

pub(crate) const COMPONENT: &str = "tested";
const TASK: TaskId = TaskId(1);
const INPUT_FIELDS: [&str; 5] = ["a", "b", "c", "d", "e"];

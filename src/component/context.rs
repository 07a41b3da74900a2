//! What a task is told when it starts: who it is, what surrounds it, and how to be woken.
//!
//! Built from the user's topology: system streams are not visible here (data-plane 6.1).

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::credentials::{Credentials, Held};
use super::gateway::hall::Hall;
use super::metrics::{MetricBoard, TaskMetrics};
use super::native::event_log::EventLog;
use crate::conf::Conf;
use crate::id::{ComponentId, StreamId, TaskId, TopologyId};
use crate::wire::storm;

/// The context of one task.
#[derive(Clone)]
pub struct TaskContext {
    pub(crate) task: TaskId,
    pub(crate) component: ComponentId,
    pub(crate) conf: Arc<Conf>,
    pub(crate) topology: Arc<TopologyView>,
    pub(crate) place: Arc<WorkerPlace>,
    pub(crate) waker: Waker,
}

/// A topology as its components may see it.
pub struct TopologyView {
    pub topology_id: TopologyId,
    /// The user's topology, without what the system adds.
    pub topology: storm::StormTopology,
    /// Every task of the topology, system components included.
    pub task_components: BTreeMap<TaskId, ComponentId>,
}

/// Where a worker lives, and what it holds for its components.
#[derive(Default)]
pub struct WorkerPlace {
    pub port: u16,
    /// Where the topology's jar was unpacked: holds `resources/`.
    pub code_dir: PathBuf,
    /// Given to shell children, which write their pid there.
    pub pid_dir: PathBuf,
    /// One record for each process group of a shell child.
    pub groups_dir: PathBuf,
    /// Of the slot: where what is worth keeping is written.
    pub artifacts_dir: PathBuf,
    pub credentials: Arc<Held>,
    /// Of the event loggers of this worker.
    pub events: Arc<EventLog>,
    /// Where components that are processes of their own meet theirs.
    pub gateway: Arc<Hall>,
    /// What components report of themselves in numbers.
    pub metrics: Arc<MetricBoard>,
    /// For sockets, pipes and timers of components that need them; absent in an engine without I/O.
    pub runtime: Option<tokio::runtime::Handle>,
}

/// Wakes the executor of a task from any thread: `poll` is called soon. Cheap when it is awake.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

// === impl TaskContext ===

impl TaskContext {
    pub fn new(
        (task, component): (TaskId, ComponentId),
        conf: Arc<Conf>,
        (topology, place): (Arc<TopologyView>, Arc<WorkerPlace>),
        waker: Waker,
    ) -> Self {
        TaskContext {
            task,
            component,
            conf,
            topology,
            place,
            waker,
        }
    }

    pub fn topology_id(&self) -> &TopologyId {
        &self.topology.topology_id
    }

    /// The effective configuration of this component (data-plane 6.4).
    pub fn conf(&self) -> &Conf {
        &self.conf
    }

    pub fn task(&self) -> TaskId {
        self.task
    }

    pub fn component(&self) -> &ComponentId {
        &self.component
    }

    /// Position among the component's tasks, from 0.
    pub fn task_index(&self) -> usize {
        self.tasks_of(self.component.as_str())
            .position(|task| task == self.task)
            .unwrap_or_default()
    }

    /// The tasks of a component, in ascending order.
    pub fn tasks_of<'a>(&'a self, component: &'a str) -> impl Iterator<Item = TaskId> + 'a {
        self.topology
            .task_components
            .iter()
            .filter(move |(_, id)| id.as_str() == component)
            .map(|(task, _)| *task)
    }

    /// Every task of the topology with its component.
    pub fn task_components(&self) -> &BTreeMap<TaskId, ComponentId> {
        &self.topology.task_components
    }

    /// The user's topology.
    pub fn topology(&self) -> &storm::StormTopology {
        &self.topology.topology
    }

    /// The streams that a component declares, with their fields and whether they are direct.
    pub fn streams_of(&self, component: &str) -> BTreeMap<StreamId, storm::StreamInfo> {
        let streams = self
            .topology
            .common(component)
            .map(|common| &common.streams);
        streams.into_iter().flatten().map(named).collect()
    }

    /// The streams of this task's component.
    pub fn streams(&self) -> BTreeMap<StreamId, storm::StreamInfo> {
        self.streams_of(self.component.as_str())
    }

    /// What this task's component subscribes to: (component, stream) and the grouping.
    pub fn sources(&self) -> BTreeMap<(ComponentId, StreamId), storm::Grouping> {
        self.topology.inputs(self.component.as_str()).collect()
    }

    /// Who subscribes to this task's component: by stream, then by subscriber.
    pub fn targets(&self) -> BTreeMap<StreamId, BTreeMap<ComponentId, storm::Grouping>> {
        let mut targets: BTreeMap<StreamId, BTreeMap<_, _>> = BTreeMap::new();
        for subscriber in self.topology.topology.bolts.keys() {
            for ((source, stream), grouping) in self.topology.inputs(subscriber) {
                if source == self.component {
                    let subscribers = targets.entry(stream).or_default();
                    subscribers.insert(ComponentId::from(subscriber.as_str()), grouping);
                }
            }
        }
        targets
    }

    /// The topology's credentials as they are now.
    pub fn credentials(&self) -> Credentials {
        self.place.credentials.newest()
    }

    /// The numbers that this task reports of itself.
    pub fn metrics(&self) -> Arc<TaskMetrics> {
        self.place.metrics.of(&self.component, self.task)
    }

    /// Where this worker lives.
    pub fn place(&self) -> &WorkerPlace {
        &self.place
    }

    /// Wakes this task's executor.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

// === impl TopologyView ===

impl TopologyView {
    fn common(&self, component: &str) -> Option<&storm::ComponentCommon> {
        let topology = &self.topology;
        let spout = topology.spouts.get(component).map(|spout| &spout.common);
        spout.or_else(|| topology.bolts.get(component).map(|bolt| &bolt.common))
    }

    fn inputs(
        &self,
        component: &str,
    ) -> impl Iterator<Item = ((ComponentId, StreamId), storm::Grouping)> {
        let inputs = self.common(component).map(|common| &common.inputs);
        inputs.into_iter().flatten().map(|(stream, grouping)| {
            let source = ComponentId::from(stream.component_id.as_str());
            let stream = StreamId::from(stream.stream_id.as_str());
            ((source, stream), grouping.clone())
        })
    }
}

fn named((stream, info): (&String, &storm::StreamInfo)) -> (StreamId, storm::StreamInfo) {
    (StreamId::from(stream.as_str()), info.clone())
}

// === impl Waker ===

impl Waker {
    /// A waker that calls `wake`, from any thread and as often as it fires.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Waker(Arc::new(wake))
    }

    /// A waker that wakes nobody.
    pub fn idle() -> Self {
        Waker::new(|| ())
    }

    pub fn wake(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}

//! A topology made ready to run: its system topology, numbered tasks, streams and confs.
//!
//! The same in every worker of the topology, which its hash proves. Says nothing about where tasks
//! run.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::component::{self, ComponentFailure, Factory, TopologyView};
use crate::conf::{Conf, ConfError, keys};
use crate::grouping::{
    Custom, GroupedStream, Grouping, GroupingError, Locality, Reach, Subscribers, Subscription,
};
use crate::id::{ComponentId, TaskId, TopologyId};
use crate::topology::{self, CustomGrouping, InvalidTopology};
use crate::tuple::{StreamInfo, StreamNumber, StreamTable, StreamTableError};
use crate::wire::storm;
use crate::worker::emit::OutStream;
use crate::worker::task;

/// A topology as its workers run it.
pub struct Program {
    pub view: Arc<TopologyView>,
    pub conf: Arc<Conf>,
    pub system: storm::StormTopology,
    pub streams: Arc<StreamTable>,
    /// Component of each task, by its id; the first is nobody's.
    pub components: Arc<[ComponentId]>,
    /// In the order of their ids.
    pub ackers: Vec<TaskId>,
    /// Equal for equal streams and tasks.
    pub hash: u64,
}

/// Why a topology cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    #[error(transparent)]
    Topology(#[from] InvalidTopology),
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Streams(#[from] StreamTableError),
    #[error("component {subscriber}: {source}")]
    Grouping {
        subscriber: ComponentId,
        #[source]
        source: GroupingError,
    },
    #[error("component {subscriber}: {failure}")]
    CustomGrouping {
        subscriber: ComponentId,
        failure: ComponentFailure,
    },
    #[error("executor {0} is not one of the topology's")]
    NoSuchExecutor(crate::id::ExecutorId),
}

// === impl Program ===

impl Program {
    /// `conf` is the effective one: daemon's and topology's.
    pub fn new(
        id: TopologyId,
        user: storm::StormTopology,
        conf: Conf,
    ) -> Result<Self, ProgramError> {
        let system = topology::system::build(&user, &conf)?;
        let tasks = topology::tasks::number(&system, &conf)?;
        let streams = Arc::new(StreamTable::of_topology(&system)?);
        let nobody = ComponentId::from("");
        let last = tasks.keys().next_back().map_or(0, |task| task.0.max(0));
        let component = |task| tasks.get(&TaskId(task)).unwrap_or(&nobody).clone();
        let components: Arc<[ComponentId]> = (0..=last).map(component).collect();
        let is_acker = |id: &ComponentId| id.as_str() == topology::ACKER;
        let ackers = tasks.iter().filter(|(_, id)| is_acker(id));
        Ok(Program {
            hash: hash(&streams, &components),
            ackers: ackers.map(|(task, _)| *task).collect(),
            view: Arc::new(TopologyView {
                topology_id: id,
                topology: user,
                task_components: tasks,
            }),
            conf: Arc::new(conf),
            system,
            streams,
            components,
        })
    }

    pub fn component_of(&self, task: TaskId) -> Option<&ComponentId> {
        self.view.task_components.get(&task)
    }

    /// The tasks of a component, in ascending order.
    pub fn tasks_of(&self, component: &ComponentId) -> Vec<TaskId> {
        let tasks = self.view.task_components.iter();
        let own = tasks.filter(|(_, id)| *id == component);
        own.map(|(task, _)| *task).collect()
    }

    /// The conf of one component (data-plane 6.4).
    pub fn component_conf(&self, component: &ComponentId) -> Result<Conf, ProgramError> {
        match topology::component(&self.system, component.as_str()) {
            Some(component) => Ok(topology::component_conf(&self.conf, &component)?),
            None => Ok((*self.conf).clone()),
        }
    }

    /// What a component may emit on, with the groupings of one of its executors. `factory` makes
    /// those of the topology's own.
    pub fn out_streams(
        &self,
        (component, factory): (&ComponentId, &dyn Factory),
        locality: &dyn Fn(TaskId) -> Locality,
        random: &mut fastrand::Rng,
    ) -> Result<Vec<OutStream>, ProgramError> {
        let reach = self.reach()?;
        let mut readers = topology::subscribers(&self.system, component);
        let mut streams = Vec::new();
        for (number, info) in self.streams.iter() {
            if info.component != *component {
                continue;
            }
            let mut groupings = Vec::new();
            for (subscriber, grouping) in readers.remove(&info.stream).unwrap_or_default() {
                // Acks and notices travel on a path of their own, not as tuples.
                if is_ack_stream(info.stream.as_str()) {
                    continue;
                }
                let subscription = Subscription {
                    stream: &info.fields,
                    tasks: self.tasks_of(&subscriber),
                    locality,
                    reach,
                };
                let built = if is_own(&grouping) {
                    let tasks = &subscription.tasks;
                    own_grouping(factory, info, (&subscriber, tasks)).map_err(|failure| {
                        let subscriber = subscriber.clone();
                        ProgramError::CustomGrouping {
                            subscriber,
                            failure,
                        }
                    })?
                } else {
                    let built = Grouping::of_topology(&grouping, subscription, random);
                    built.map_err(|source| {
                        let subscriber = subscriber.clone();
                        ProgramError::Grouping { subscriber, source }
                    })?
                };
                groupings.push((subscriber, built));
            }
            streams.push(OutStream {
                id: info.stream.clone(),
                number,
                n_fields: info.fields.len(),
                subscribers: Subscribers::new(groupings),
            });
        }
        Ok(streams)
    }

    /// How far shuffles by load reach; None: they take turns.
    fn reach(&self) -> Result<Option<Reach>, ConfError> {
        let conf = &self.conf;
        if conf.flag(keys::TOPOLOGY_DISABLE_LOADAWARE_MESSAGING)? == Some(true) {
            return Ok(None);
        }
        Ok(Some(Reach {
            widens_above: conf.float_or(keys::TOPOLOGY_LOCALITYAWARE_HIGHER_BOUND, 0.8)?,
            narrows_below: conf.float_or(keys::TOPOLOGY_LOCALITYAWARE_LOWER_BOUND, 0.2)?,
        }))
    }

    /// Components that get tuples of `component`.
    pub fn receivers(&self, component: &ComponentId) -> BTreeSet<ComponentId> {
        let readers = topology::subscribers(&self.system, component);
        let data = readers
            .into_iter()
            .filter(|(stream, _)| !is_ack_stream(stream.as_str()));
        data.flat_map(|(_, readers)| readers)
            .map(|(reader, _)| reader)
            .collect()
    }

    /// Components that tuples of `component` may lead to, over any number of others.
    pub fn downstream(&self, component: &ComponentId) -> BTreeSet<ComponentId> {
        let mut found = BTreeSet::new();
        let mut open = vec![component.clone()];
        while let Some(next) = open.pop() {
            for receiver in self.receivers(&next) {
                if found.insert(receiver.clone()) {
                    open.push(receiver);
                }
            }
        }
        found
    }

    /// The number of the tick stream.
    pub fn tick_stream(&self) -> Option<StreamNumber> {
        self.streams.number(topology::SYSTEM, topology::TICK_STREAM)
    }

    /// All components, sources first: each stands behind one that it gets tuples from.
    pub fn in_flow_order(&self) -> Vec<ComponentId> {
        let spouts = self.system.spouts.keys();
        let mut ordered: Vec<_> = spouts.map(|id| ComponentId::from(id.as_str())).collect();
        let mut next = 0;
        while let Some(component) = ordered.get(next).cloned() {
            for receiver in self.receivers(&component) {
                if !ordered.contains(&receiver) {
                    ordered.push(receiver);
                }
            }
            next += 1;
        }
        let all = self.view.task_components.values();
        let rest: BTreeSet<_> = all.filter(|id| !ordered.contains(id)).cloned().collect();
        ordered.extend(rest);
        ordered
    }
}

/// Whether a grouping is code of the topology's own program.
fn is_own(grouping: &storm::Grouping) -> bool {
    match grouping {
        storm::Grouping::CustomObject(object) => {
            topology::custom_grouping(object) == Some(CustomGrouping::OfProgram)
        }
        _ => false,
    }
}

fn own_grouping(
    factory: &dyn Factory,
    info: &StreamInfo,
    (subscriber, tasks): (&ComponentId, &[TaskId]),
) -> component::Result<Grouping> {
    let stream = storm::GlobalStreamId {
        component_id: info.component.to_string(),
        stream_id: info.stream.to_string(),
    };
    let grouped = GroupedStream {
        source: &info.component,
        stream: &info.stream,
        fields: &info.fields,
        subscriber,
        tasks,
    };
    task::guard(|| {
        let grouping = factory.grouping(subscriber, &stream)?;
        Ok(Grouping::Custom(Custom::new(grouping, &grouped)))
    })
}

fn is_ack_stream(stream: &str) -> bool {
    [
        topology::ACK_INIT_STREAM,
        topology::ACK_STREAM,
        topology::ACK_FAIL_STREAM,
        topology::ACK_RESET_TIMEOUT_STREAM,
    ]
    .contains(&stream)
}

/// FNV-1a over the streams' digest and the components of all tasks.
fn hash(streams: &StreamTable, components: &[ComponentId]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut feed = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    feed(&streams.digest().to_le_bytes());
    for component in components {
        feed(&(component.as_str().len() as u64).to_le_bytes());
        feed(component.as_str().as_bytes());
    }
    hash
}

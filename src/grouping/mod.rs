//! Groupings: which tasks of a subscribing component get a tuple (data-plane section 2).
//!
//! Groupers are built once per executor. Choosing allocates nothing and draws randomness only from
//! the generator that it was given. Sends nothing and knows no queues.

mod custom;
mod java_hash;
mod load_aware;
mod partial_key;
mod root;
mod shuffle;

use crate::id::{ComponentId, TaskId};
use crate::topology;
use crate::tuple::{Fields, ValueRef};
use crate::wire::storm;

pub use custom::{Choice, Custom, CustomGrouping, GroupedStream};
pub use java_hash::{deep_hash, java_hash};
pub use load_aware::{LoadAware, Loads, Locality, Reach};
pub use partial_key::PartialKey;
pub use root::{SLOT_BITS, acker_index, draw_root, slot_of};
pub use shuffle::Shuffle;

/// How one subscriber of a stream divides its tuples among its tasks.
#[derive(Debug)]
pub enum Grouping {
    /// Every task.
    All(Vec<TaskId>),
    /// Each task in turn. Also local-or-shuffle, whose targets are chosen when it is built.
    Shuffle(Shuffle),
    /// The same by load and distance.
    LoadAware(LoadAware),
    /// Equal values at these positions always go to the same task.
    Fields {
        positions: Vec<usize>,
        targets: Vec<TaskId>,
    },
    /// One task: that with the lowest id.
    Global(Option<TaskId>),
    /// Any task, by chance.
    None {
        targets: Vec<TaskId>,
        random: fastrand::Rng,
    },
    /// Each key has two tasks, of which it takes the less used one.
    PartialKey(PartialKey),
    /// The task that the emitter names.
    Direct(Vec<TaskId>),
    /// What the topology's own code says.
    Custom(Custom),
}

/// The subscribers of one stream, as one executor sees them.
#[derive(Debug, Default)]
pub struct Subscribers {
    groupings: Vec<(ComponentId, Grouping)>,
}

/// A subscriber of a stream: what it takes and where its tasks are.
pub struct Subscription<'a> {
    /// Fields of the stream.
    pub stream: &'a Fields,
    /// Of the subscriber, in any order.
    pub tasks: Vec<TaskId>,
    /// How far a task is from this worker.
    pub locality: &'a dyn Fn(TaskId) -> Locality,
    /// How far a shuffle by load reaches; None: shuffles take turns.
    pub reach: Option<Reach>,
}

/// Why a grouping cannot be built or a tuple not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupingError {
    #[error("grouping field {field} does not exist in the stream")]
    NoSuchField { field: String },
    #[error("grouping {class} is a Java class that has no equivalent here")]
    Foreign { class: String },
    #[error("grouping is a serialized Java object, which only a JVM can run")]
    Serialized,
    #[error("no grouping is set, or one that this version does not know")]
    Unset,
    #[error("the grouping is to the first {n} tasks of {n_tasks}")]
    TooFew { n: usize, n_tasks: usize },
    #[error("the grouping is of the topology's own program, which is not running here")]
    OfProgram,
    #[error("the grouping of component {subscriber} chose task {task}, which is none of its tasks")]
    NotATask {
        subscriber: ComponentId,
        task: TaskId,
    },
    #[error("component {subscriber} takes the stream by direct grouping: name a task in each emit")]
    DirectOnly { subscriber: ComponentId },
    #[error(
        "component {subscriber} of task {task} does not take the stream by direct grouping: emit \
         without a task"
    )]
    NotDirect {
        subscriber: ComponentId,
        task: TaskId,
    },
}

// === impl Grouping ===

/// `tasks` are those of the subscribing component, in any order.
impl Grouping {
    pub fn all(tasks: Vec<TaskId>) -> Self {
        Grouping::All(sorted(tasks))
    }

    pub fn shuffle(tasks: Vec<TaskId>, random: &mut fastrand::Rng) -> Self {
        Grouping::Shuffle(Shuffle::new(sorted(tasks), random))
    }

    /// Shuffle that prefers near tasks and, among those in reach, the less loaded.
    pub fn by_load(
        tasks: Vec<TaskId>,
        reach: Reach,
        locality: impl Fn(TaskId) -> Locality,
        random: &mut fastrand::Rng,
    ) -> Self {
        Grouping::LoadAware(LoadAware::new(sorted(tasks), reach, locality, random))
    }

    /// By the values of `names`, fields of the stream; no names is Storm's spelling of global.
    pub fn fields(
        stream: &Fields,
        names: &[String],
        tasks: Vec<TaskId>,
    ) -> Result<Self, GroupingError> {
        if names.is_empty() {
            return Ok(Grouping::global(tasks));
        }
        let positions = positions(stream, names)?;
        Ok(Grouping::Fields {
            positions,
            targets: sorted(tasks),
        })
    }

    pub fn global(tasks: Vec<TaskId>) -> Self {
        Grouping::Global(tasks.into_iter().min())
    }

    /// Takes a generator of its own from `random`.
    pub fn none(tasks: Vec<TaskId>, random: &mut fastrand::Rng) -> Self {
        Grouping::None {
            targets: sorted(tasks),
            random: random.fork(),
        }
    }

    /// By the values of `names`, or with none by the text of the first value.
    pub fn partial_key(
        stream: &Fields,
        names: &[String],
        tasks: Vec<TaskId>,
    ) -> Result<Self, GroupingError> {
        let positions = positions(stream, names)?;
        Ok(Grouping::PartialKey(PartialKey::new(
            positions,
            sorted(tasks),
        )))
    }

    pub fn direct(tasks: Vec<TaskId>) -> Self {
        Grouping::Direct(sorted(tasks))
    }

    /// As a topology asks for it.
    pub fn of_topology(
        asked: &storm::Grouping,
        subscription: Subscription<'_>,
        random: &mut fastrand::Rng,
    ) -> Result<Self, GroupingError> {
        let Subscription {
            stream,
            tasks,
            locality,
            reach,
        } = subscription;
        let local = |task| locality(task) == Locality::Worker;
        let shuffle = |tasks: Vec<TaskId>, random: &mut fastrand::Rng| match reach {
            Some(reach) => Grouping::by_load(tasks, reach, locality, random),
            None => Grouping::shuffle(tasks, random),
        };
        Ok(match asked {
            storm::Grouping::Fields(names) => Grouping::fields(stream, names, tasks)?,
            storm::Grouping::Shuffle(_) => shuffle(tasks, random),
            storm::Grouping::All(_) => Grouping::all(tasks),
            storm::Grouping::None(_) => Grouping::none(tasks, random),
            storm::Grouping::Direct(_) => Grouping::direct(tasks),
            storm::Grouping::LocalOrShuffle(_) => shuffle(local_or_all(tasks, local), random),
            storm::Grouping::CustomObject(object) => match topology::custom_grouping(object) {
                Some(topology::CustomGrouping::PartialKey(names)) => {
                    Grouping::partial_key(stream, &names, tasks)?
                }
                Some(topology::CustomGrouping::First(n)) => {
                    let (n_tasks, tasks) = (tasks.len(), sorted(tasks));
                    let first = tasks.get(..n).map(<[TaskId]>::to_vec);
                    Grouping::all(first.ok_or(GroupingError::TooFew { n, n_tasks })?)
                }
                Some(topology::CustomGrouping::OfProgram) => return Err(GroupingError::OfProgram),
                None => {
                    let class = object.full_class_name.clone();
                    return Err(GroupingError::Foreign { class });
                }
            },
            storm::Grouping::CustomSerialized(_) => return Err(GroupingError::Serialized),
            storm::Grouping::Unset => return Err(GroupingError::Unset),
        })
    }

    /// The one task that gets every tuple.
    fn only_target(&self) -> Option<TaskId> {
        match self {
            Grouping::All(tasks)
            | Grouping::None { targets: tasks, .. }
            | Grouping::Fields { targets: tasks, .. } => match tasks.as_slice() {
                [one] => Some(*one),
                _ => None,
            },
            Grouping::Shuffle(shuffle) => shuffle.only_target(),
            Grouping::LoadAware(shuffle) => shuffle.only_target(),
            Grouping::Global(task) => *task,
            Grouping::PartialKey(_) | Grouping::Direct(_) | Grouping::Custom(_) => None,
        }
    }

    /// Appends the tasks that get a tuple of these values: none where there are no tasks, and none
    /// for direct and custom groupings, which ask for more ([`Subscribers`]). The caller has
    /// checked the number of values against the stream's fields.
    #[inline]
    pub fn choose(&mut self, values: &[ValueRef<'_>], targets: &mut Vec<TaskId>) {
        match self {
            Grouping::All(tasks) => targets.extend_from_slice(tasks),
            Grouping::Shuffle(shuffle) => targets.extend(shuffle.choose()),
            Grouping::LoadAware(shuffle) => targets.extend(shuffle.choose()),
            Grouping::Fields {
                positions,
                targets: tasks,
            } => {
                let key = positions
                    .iter()
                    .map(|at| values.get(*at).copied().unwrap_or_default());
                targets.extend(tasks.get(floor_mod(deep_hash(key), tasks.len())));
            }
            Grouping::Global(task) => targets.extend(*task),
            Grouping::None {
                targets: tasks,
                random,
            } => targets.extend(random.choice(&*tasks)),
            Grouping::PartialKey(grouping) => targets.extend(grouping.choose(values)),
            Grouping::Direct(_) | Grouping::Custom(_) => {}
        }
    }
}

// === impl Subscribers ===

impl Subscribers {
    pub fn new(groupings: Vec<(ComponentId, Grouping)>) -> Self {
        Subscribers { groupings }
    }

    /// No one takes the stream.
    pub fn is_empty(&self) -> bool {
        self.groupings.is_empty()
    }

    /// Appends the tasks that get a plain emit of these values by task `source`, subscriber by
    /// subscriber. A single direct grouping makes the stream unusable with plain emit (data-plane
    /// 2.7).
    #[inline]
    pub fn choose(
        &mut self,
        source: TaskId,
        values: &[ValueRef<'_>],
        targets: &mut Vec<TaskId>,
    ) -> Result<(), GroupingError> {
        for (subscriber, grouping) in &mut self.groupings {
            match grouping {
                Grouping::Direct(_) => {
                    return Err(GroupingError::DirectOnly {
                        subscriber: subscriber.clone(),
                    });
                }
                Grouping::Custom(custom) => {
                    custom.choose((source, subscriber), values, targets)?;
                }
                _ => grouping.choose(values, targets),
            }
        }
        Ok(())
    }

    /// Has shuffles by load look at the loads.
    pub fn refresh(&mut self, loads: &dyn Loads) {
        for (_, grouping) in &mut self.groupings {
            if let Grouping::LoadAware(shuffle) = grouping {
                shuffle.refresh(loads);
            }
        }
    }

    /// The one task that gets every plain emit, whatever its values; none where that differs.
    pub fn only_target(&self) -> Option<TaskId> {
        match self.groupings.as_slice() {
            [(_, grouping)] => grouping.only_target(),
            _ => None,
        }
    }

    /// Appends `task` if its component takes the stream by direct grouping. A task of a component
    /// that does not take the stream at all gets nothing, which is no error (data-plane 2.7);
    /// `subscriber` is the component of `task`.
    pub fn choose_direct(
        &self,
        task: TaskId,
        subscriber: &ComponentId,
        targets: &mut Vec<TaskId>,
    ) -> Result<(), GroupingError> {
        let found = self
            .groupings
            .iter()
            .find(|(component, _)| component == subscriber);
        match found {
            None => Ok(()),
            Some((_, Grouping::Direct(tasks))) => {
                targets.extend(tasks.binary_search(&task).is_ok().then_some(task));
                Ok(())
            }
            Some(_) => Err(GroupingError::NotDirect {
                subscriber: subscriber.clone(),
                task,
            }),
        }
    }
}

/// The tasks that are `local`, or all where none is.
fn local_or_all(tasks: Vec<TaskId>, local: impl Fn(TaskId) -> bool) -> Vec<TaskId> {
    let near: Vec<_> = tasks.iter().copied().filter(|task| local(*task)).collect();
    if near.is_empty() { tasks } else { near }
}

fn sorted(mut tasks: Vec<TaskId>) -> Vec<TaskId> {
    tasks.sort_unstable();
    tasks
}

fn positions(stream: &Fields, names: &[String]) -> Result<Vec<usize>, GroupingError> {
    let position = |name: &String| {
        let field = || GroupingError::NoSuchField {
            field: name.clone(),
        };
        stream.position(name).ok_or_else(field)
    };
    names.iter().map(position).collect()
}

/// `hash` modulo `n`, never negative; 0 for no targets.
#[inline]
fn floor_mod(hash: i32, n: usize) -> usize {
    match i32::try_from(n) {
        Ok(0) => 0,
        Ok(n) => hash.rem_euclid(n) as usize,
        // More targets than a hash has values.
        Err(_) => hash.max(0) as usize,
    }
}

#[cfg(test)]
mod tests;

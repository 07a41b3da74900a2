//! What is said of a component once it is added: what it emits, whom it listens to, how it is set.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::parts::MakeGrouping;
use super::{Draft, Input, Mistake, built_in};
use crate::conf::keys;
use crate::grouping::CustomGrouping;
use crate::topology;
use crate::wire::storm::{
    ComponentObject, GlobalStreamId, Grouping, JavaObject, JavaObjectArg, NullStruct, StreamInfo,
};

/// Declares a spout's outputs and settings.
pub type SpoutDeclarer<'t> = Declarer<'t, OfSpout>;

/// Declares a bolt's inputs, outputs and settings.
pub type BoltDeclarer<'t> = Declarer<'t, OfBolt>;

/// Declares what belongs to a component that was just added.
///
/// Where a source is named, `"words"` is its stream `default`, and `("words", "late")` another one.
pub struct Declarer<'t, K> {
    draft: &'t mut Draft,
    kind: PhantomData<K>,
}

/// Of a [`SpoutDeclarer`].
pub enum OfSpout {}

/// Of a [`BoltDeclarer`].
pub enum OfBolt {}

/// A stream of another component.
pub trait Source {
    fn stream(self) -> GlobalStreamId;
}

// === impl Declarer ===

impl<'t, K> Declarer<'t, K> {
    pub(super) fn new(draft: &'t mut Draft) -> Self {
        let kind = PhantomData;
        Declarer { draft, kind }
    }

    /// The fields of tuples on the stream `default`.
    pub fn output_fields<S: Into<String>>(
        &mut self,
        fields: impl IntoIterator<Item = S>,
    ) -> &mut Self {
        self.declare(topology::DEFAULT_STREAM, fields, false)
    }

    /// A stream beside `default`, and the fields of its tuples.
    pub fn stream<S: Into<String>>(
        &mut self,
        stream: &str,
        fields: impl IntoIterator<Item = S>,
    ) -> &mut Self {
        self.declare(stream, fields, false)
    }

    /// A stream of which each tuple goes to the task that the emit names.
    pub fn direct_stream<S: Into<String>>(
        &mut self,
        stream: &str,
        fields: impl IntoIterator<Item = S>,
    ) -> &mut Self {
        self.declare(stream, fields, true)
    }

    /// Sets a value of the component's own conf, by Storm's key.
    pub fn conf(&mut self, key: &str, value: impl Into<Json>) -> &mut Self {
        let is_heard = keys::is_component_overridable(key) || OF_COMPONENTS.contains(&key);
        if !is_heard {
            let (component, key) = (self.draft.id.clone(), key.to_owned());
            let mistake = Mistake::TopologyWide { component, key };
            self.draft.mistakes.push(mistake);
        }
        self.draft.conf.set(key, value);
        self
    }

    /// Tasks, if not one for each executor: the most executors that a rebalance can give it.
    pub fn tasks(&mut self, n: usize) -> &mut Self {
        self.conf(keys::TOPOLOGY_TASKS, n)
    }

    /// Memory of each task in megabytes, for the resource-aware scheduler. Native components have
    /// no heap of their own: all of it counts.
    pub fn memory_mb(&mut self, mb: f64) -> &mut Self {
        self.conf(keys::TOPOLOGY_COMPONENT_RESOURCES_ONHEAP_MEMORY_MB, mb)
    }

    /// Processor of each task for the resource-aware scheduler; 100 is a core.
    pub fn cpu_percent(&mut self, percent: f64) -> &mut Self {
        self.conf(keys::TOPOLOGY_COMPONENT_CPU_PCORE_PERCENT, percent)
    }

    /// Any other resource of each task, by the name that supervisors offer it under.
    pub fn resource(&mut self, name: &str, amount: f64) -> &mut Self {
        let key = keys::TOPOLOGY_COMPONENT_RESOURCES_MAP;
        let mut map = self.draft.conf.map(key).cloned().unwrap_or_default();
        map.insert(name.to_owned(), json!(amount));
        self.conf(key, map)
    }

    fn declare<S: Into<String>>(
        &mut self,
        stream: &str,
        fields: impl IntoIterator<Item = S>,
        direct: bool,
    ) -> &mut Self {
        let output_fields = fields.into_iter().map(Into::into).collect();
        let info = StreamInfo {
            output_fields,
            direct,
        };
        self.draft.streams.push((stream.to_owned(), info));
        self
    }
}

impl Declarer<'_, OfSpout> {
    /// Tuples of each task that may be pending, if not as many as the topology says.
    pub fn max_spout_pending(&mut self, n: usize) -> &mut Self {
        self.conf(keys::TOPOLOGY_MAX_SPOUT_PENDING, n)
    }
}

impl Declarer<'_, OfBolt> {
    /// Has a tick come to each task, in whole seconds: `Tuple::is_tick` tells it apart.
    pub fn tick_every(&mut self, interval: Duration) -> &mut Self {
        if interval.as_secs() == 0 || interval.subsec_nanos() != 0 {
            let component = self.draft.id.clone();
            let mistake = Mistake::TickInterval {
                component,
                interval,
            };
            self.draft.mistakes.push(mistake);
        }
        self.conf(keys::TOPOLOGY_TICK_TUPLE_FREQ_SECS, interval.as_secs())
    }

    /// Each tuple goes to one task, all tasks get as many.
    pub fn shuffle_grouping(&mut self, source: impl Source) -> &mut Self {
        self.subscribe(source, Grouping::Shuffle(NullStruct::default()))
    }

    /// As shuffle, among the tasks of the emitter's own worker where there are any.
    pub fn local_or_shuffle_grouping(&mut self, source: impl Source) -> &mut Self {
        self.subscribe(source, Grouping::LocalOrShuffle(NullStruct::default()))
    }

    /// Equal values of these fields always go to the same task.
    pub fn fields_grouping<S: Into<String>>(
        &mut self,
        source: impl Source,
        fields: impl IntoIterator<Item = S>,
    ) -> &mut Self {
        let fields: Vec<String> = fields.into_iter().map(Into::into).collect();
        let input = self.input(source, Grouping::Fields(fields.clone()));
        if fields.is_empty() {
            let component = self.draft.id.clone();
            self.draft.mistakes.push(Mistake::NoFields { component });
        }
        self.push(Input { fields, ..input })
    }

    /// As fields, but each key has two tasks and takes the less used one: for skewed keys whose
    /// parts are put together later.
    pub fn partial_key_grouping<S: Into<String>>(
        &mut self,
        source: impl Source,
        fields: impl IntoIterator<Item = S>,
    ) -> &mut Self {
        let fields: Vec<String> = fields.into_iter().map(Into::into).collect();
        let args = fields.iter().cloned().map(JavaObjectArg::StringArg);
        let grouping = Grouping::CustomObject(JavaObject {
            full_class_name: topology::PARTIAL_KEY_GROUPING.to_owned(),
            args_list: args.collect(),
        });
        let input = self.input(source, grouping);
        self.push(Input { fields, ..input })
    }

    /// Every task gets each tuple.
    pub fn all_grouping(&mut self, source: impl Source) -> &mut Self {
        self.subscribe(source, Grouping::All(NullStruct::default()))
    }

    /// The task with the lowest id gets everything.
    pub fn global_grouping(&mut self, source: impl Source) -> &mut Self {
        // Storm's spelling of global: no fields.
        self.subscribe(source, Grouping::Fields(Vec::new()))
    }

    /// Any task: how does not matter.
    pub fn none_grouping(&mut self, source: impl Source) -> &mut Self {
        self.subscribe(source, Grouping::None(NullStruct::default()))
    }

    /// The task that the emit names; the source has to declare a direct stream.
    pub fn direct_grouping(&mut self, source: impl Source) -> &mut Self {
        self.subscribe(source, Grouping::Direct(NullStruct::default()))
    }

    /// The tasks that `grouping` says: a closure over [`Choice`](crate::grouping::Choice), or a
    /// type with a state. Each executor that emits gets a clone.
    pub fn custom_grouping<G>(&mut self, source: impl Source, grouping: G) -> &mut Self
    where
        G: CustomGrouping + Clone + Sync + 'static,
    {
        let ComponentObject::JavaObject(object) = built_in(topology::PROGRAM, []) else {
            return self;
        };
        let input = self.input(source, Grouping::CustomObject(object));
        let make: MakeGrouping = Arc::new(move || Box::new(grouping.clone()));
        let make = Some(make);
        self.push(Input { make, ..input })
    }

    fn subscribe(&mut self, source: impl Source, grouping: Grouping) -> &mut Self {
        let input = self.input(source, grouping);
        self.push(input)
    }

    fn input(&self, source: impl Source, grouping: Grouping) -> Input {
        Input {
            stream: source.stream(),
            grouping,
            fields: Vec::new(),
            make: None,
        }
    }

    fn push(&mut self, input: Input) -> &mut Self {
        self.draft.inputs.push(input);
        self
    }
}

// === impl Source ===

impl Source for &str {
    fn stream(self) -> GlobalStreamId {
        (self, topology::DEFAULT_STREAM).stream()
    }
}

impl Source for &String {
    fn stream(self) -> GlobalStreamId {
        self.as_str().stream()
    }
}

impl Source for (&str, &str) {
    fn stream(self) -> GlobalStreamId {
        let (component, stream) = self;
        GlobalStreamId {
            component_id: component.to_owned(),
            stream_id: stream.to_owned(),
        }
    }
}

/// Keys that Storm does not pass on to a component, but reads from its conf.
const OF_COMPONENTS: [&str; 5] = [
    keys::TOPOLOGY_TASKS,
    keys::TOPOLOGY_COMPONENT_RESOURCES_ONHEAP_MEMORY_MB,
    keys::TOPOLOGY_COMPONENT_RESOURCES_OFFHEAP_MEMORY_MB,
    keys::TOPOLOGY_COMPONENT_CPU_PCORE_PERCENT,
    keys::TOPOLOGY_COMPONENT_RESOURCES_MAP,
];

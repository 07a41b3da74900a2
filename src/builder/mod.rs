//! Topologies in Rust: Storm's `TopologyBuilder`, for components that are values of this program.
//!
//! Gives the topology as Thrift describes it and, beside it, the code that it names. Who runs it is
//! `cli::program`'s business; windows, shell children and built-in components are ordinary
//! components here.
//!
//! ```
//! use std::collections::HashMap;
//! use std::time::Duration;
//! use stormwire::prelude::*;
//!
//! /// Emits a word again and again.
//! struct Words;
//!
//! impl Spout for Words {
//!     fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
//!         out.emit(values!["storm"])
//!     }
//! }
//!
//! /// Counts words; emits a count each second.
//! #[derive(Default)]
//! struct Count(HashMap<String, i64>);
//!
//! impl Bolt for Count {
//!     fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
//!         if tuple.is_tick() {
//!             for (word, n) in &self.0 {
//!                 out.emit_unanchored(values![word.as_str(), *n])?;
//!             }
//!         } else {
//!             *self.0.entry(tuple.str("word")?.to_owned()).or_default() += 1;
//!         }
//!         out.ack(tuple);
//!         Ok(())
//!     }
//! }
//!
//! let mut topology = TopologyBuilder::new();
//! topology.set_spout("words", 1, || Words).output_fields(["word"]);
//! topology
//!     .set_bolt("count", 2, Count::default)
//!     .fields_grouping("words", ["word"])
//!     .output_fields(["word", "count"])
//!     .tick_every(Duration::from_secs(1));
//! topology.workers(1).max_spout_pending(1000);
//! let topology = topology.build()?;
//! assert_eq!(topology.wire.bolts["count"].common.parallelism_hint, Some(2));
//! # Ok::<(), stormwire::builder::BuildError>(())
//! ```

mod declare;
mod mistake;
mod parts;

use std::any::type_name;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use crate::component::window::{Runner, WindowConfig, WindowedBolt};
use crate::component::{Bolt, Spout};
use crate::conf::{Conf, keys};
use crate::topology;
use crate::wire::storm::{
    self, ComponentCommon, ComponentObject, GlobalStreamId, JavaObject, JavaObjectArg,
    ShellComponent, SpoutSpec, StormTopology,
};

pub use declare::{BoltDeclarer, Declarer, SpoutDeclarer};
pub use mistake::{BuildError, Mistake};
pub use parts::Parts;

use parts::{Make, MakeGrouping};

/// A topology that is being described. Mistakes are found by [`build`](TopologyBuilder::build), all
/// at once, so that nothing before needs a `?`.
#[derive(Default)]
pub struct TopologyBuilder {
    drafts: Vec<Draft>,
    conf: Conf,
    args: Vec<String>,
    run_for: Option<Duration>,
    /// Of the topology as a whole.
    mistakes: Vec<Mistake>,
}

/// A topology that is described completely.
#[derive(Clone)]
pub struct Topology {
    /// As Nimbus gets it.
    pub wire: StormTopology,
    pub conf: Conf,
    /// Makes its components.
    pub parts: Arc<Parts>,
    /// How long a local run goes on, unless somebody asks for another time.
    pub run_for: Option<Duration>,
}

/// One component, and whatever was said of it.
struct Draft {
    id: String,
    role: Role,
    object: ComponentObject,
    make: Option<Make>,
    parallelism: usize,
    streams: Vec<(String, storm::StreamInfo)>,
    inputs: Vec<Input>,
    conf: Conf,
    window: Option<WindowConfig>,
    mistakes: Vec<Mistake>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Spout,
    Bolt,
}

/// One subscription.
struct Input {
    stream: GlobalStreamId,
    grouping: storm::Grouping,
    /// Fields that the grouping names.
    fields: Vec<String>,
    make: Option<MakeGrouping>,
}

/// A component in another language: a program that speaks Storm's multilang protocol, run in the
/// topology's `resources`.
///
/// ```
/// # use stormwire::prelude::*;
/// # let mut topology = TopologyBuilder::new();
/// topology.set_spout_object("lines", 1, shell("python3", "lines.py")).output_fields(["line"]);
/// ```
pub fn shell(command: &str, script: &str) -> ComponentObject {
    ComponentObject::Shell(ShellComponent {
        execution_command: Some(command.to_owned()),
        script: Some(script.to_owned()),
    })
}

/// A component that comes with Stormwire, by its name and arguments (`component::registry` lists
/// them).
pub fn built_in(name: &str, args: impl IntoIterator<Item = JavaObjectArg>) -> ComponentObject {
    ComponentObject::JavaObject(JavaObject {
        full_class_name: name.to_owned(),
        args_list: args.into_iter().collect(),
    })
}

// === impl TopologyBuilder ===

impl TopologyBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    /// A builder with the arguments of a command line.
    pub fn with_args(args: Vec<String>) -> Self {
        TopologyBuilder {
            args,
            ..Self::default()
        }
    }

    /// What stood behind `--` when the topology was run or submitted. Workers, which build it once
    /// more for its components, see the same.
    pub fn args(&self) -> &[String] {
        &self.args
    }

    /// Adds a spout with so many executors; `make` is called once for each task, in a worker.
    pub fn set_spout<S, F>(&mut self, id: &str, parallelism: usize, make: F) -> SpoutDeclarer<'_>
    where
        S: Spout + 'static,
        F: Fn() -> S + Send + Sync + 'static,
    {
        let make = Make::Spout(Arc::new(move || Box::new(make())));
        self.add(id, Role::Spout, parallelism, own_object(type_name::<S>()));
        SpoutDeclarer::new(self.last(Some(make)))
    }

    /// Adds a bolt with so many executors; `make` is called once for each task, in a worker.
    pub fn set_bolt<B, F>(&mut self, id: &str, parallelism: usize, make: F) -> BoltDeclarer<'_>
    where
        B: Bolt + 'static,
        F: Fn() -> B + Send + Sync + 'static,
    {
        let make = Make::Bolt(Arc::new(move || Box::new(make())));
        self.add(id, Role::Bolt, parallelism, own_object(type_name::<B>()));
        BoltDeclarer::new(self.last(Some(make)))
    }

    /// Adds a bolt that is called with windows of tuples.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use stormwire::prelude::*;
    /// struct Sum;
    ///
    /// impl WindowedBolt for Sum {
    ///     fn execute(
    ///         &mut self,
    ///         window: &Window<'_>,
    ///         out: &mut WindowCollector<'_>,
    ///     ) -> Result<()> {
    ///         let mut sum = 0;
    ///         for tuple in window.tuples() {
    ///             sum += tuple.long("n")?;
    ///         }
    ///         out.emit(values![sum])
    ///     }
    /// }
    ///
    /// # let mut topology = TopologyBuilder::new();
    /// # topology.set_spout_object("numbers", 1, shell("a", "b")).output_fields(["n"]);
    /// let window = WindowConfig::new().with_tumbling_window(Duration::from_secs(1));
    /// topology
    ///     .set_windowed_bolt("sum", 1, window, || Sum)
    ///     .shuffle_grouping("numbers")
    ///     .output_fields(["sum"]);
    /// # topology.build().unwrap();
    /// ```
    pub fn set_windowed_bolt<B, F>(
        &mut self,
        id: &str,
        parallelism: usize,
        window: WindowConfig,
        make: F,
    ) -> BoltDeclarer<'_>
    where
        B: WindowedBolt + 'static,
        F: Fn() -> B + Send + Sync + 'static,
    {
        let make = Make::Bolt(Arc::new(move || Box::new(Runner::new(make()))));
        self.add(id, Role::Bolt, parallelism, own_object(type_name::<B>()));
        let draft = self.last(Some(make));
        draft.conf = window.to_conf();
        draft.window = Some(window);
        BoltDeclarer::new(draft)
    }

    /// Adds a spout that is no code of this program: see [`shell`] and [`built_in`].
    pub fn set_spout_object(
        &mut self,
        id: &str,
        parallelism: usize,
        object: ComponentObject,
    ) -> SpoutDeclarer<'_> {
        self.add(id, Role::Spout, parallelism, object);
        SpoutDeclarer::new(self.last(None))
    }

    /// Adds a bolt that is no code of this program: see [`shell`] and [`built_in`].
    pub fn set_bolt_object(
        &mut self,
        id: &str,
        parallelism: usize,
        object: ComponentObject,
    ) -> BoltDeclarer<'_> {
        self.add(id, Role::Bolt, parallelism, object);
        BoltDeclarer::new(self.last(None))
    }

    /// Sets a value of the topology's conf, by Storm's key; `-c` on the command line goes before.
    pub fn conf(&mut self, key: &str, value: impl Into<Json>) -> &mut Self {
        self.conf.set(key, value);
        self
    }

    /// Worker processes (`topology.workers`).
    pub fn workers(&mut self, n: usize) -> &mut Self {
        self.conf(keys::TOPOLOGY_WORKERS, n)
    }

    /// Executors that watch over tuple trees (`topology.acker.executors`); 0 turns acking off.
    pub fn ackers(&mut self, n: usize) -> &mut Self {
        self.conf(keys::TOPOLOGY_ACKER_EXECUTORS, n)
    }

    /// Tuples of each spout task that may be pending (`topology.max.spout.pending`).
    pub fn max_spout_pending(&mut self, n: usize) -> &mut Self {
        self.conf(keys::TOPOLOGY_MAX_SPOUT_PENDING, n)
    }

    /// After which a tuple tree fails (`topology.message.timeout.secs`); in whole seconds.
    pub fn message_timeout(&mut self, timeout: Duration) -> &mut Self {
        if timeout.as_secs() == 0 || timeout.subsec_nanos() != 0 {
            self.mistakes.push(Mistake::MessageTimeout { timeout });
            return self;
        }
        self.conf(keys::TOPOLOGY_MESSAGE_TIMEOUT_SECS, timeout.as_secs())
    }

    /// Ends a local run after so long; `--seconds` goes before. A submitted topology runs on.
    pub fn run_for(&mut self, span: Duration) -> &mut Self {
        self.run_for = Some(span);
        self
    }

    /// The topology, or everything that is wrong with it.
    pub fn build(self) -> Result<Topology, BuildError> {
        let mut mistakes = self.mistakes;
        mistakes.extend(mistake::find(&self.drafts));
        let of_settings = mistake::of_settings(&self.conf);
        if of_settings.is_empty() {
            mistakes.extend(mistake::of_windows(&self.drafts, &self.conf));
        }
        mistakes.extend(of_settings);
        let mut wire = StormTopology::default();
        let mut parts = Parts::default();
        for draft in self.drafts {
            draft.put(&mut wire, &mut parts);
        }
        if mistakes.is_empty() {
            // What Nimbus would say, said here.
            let effective = Conf::defaults().overlay(&self.conf);
            let built = topology::system::build(&wire, &effective);
            mistakes.extend(built.err().map(Mistake::from));
        }
        if !mistakes.is_empty() {
            return Err(BuildError { mistakes });
        }
        Ok(Topology {
            wire,
            conf: self.conf,
            parts: Arc::new(parts),
            run_for: self.run_for,
        })
    }

    fn add(&mut self, id: &str, role: Role, parallelism: usize, object: ComponentObject) {
        self.drafts.push(Draft {
            id: id.to_owned(),
            role,
            object,
            make: None,
            parallelism,
            streams: Vec::new(),
            inputs: Vec::new(),
            conf: Conf::new(),
            window: None,
            mistakes: Vec::new(),
        });
    }

    fn last(&mut self, make: Option<Make>) -> &mut Draft {
        let draft = self.drafts.last_mut().expect("a component was just added");
        draft.make = make;
        draft
    }
}

// === impl Draft ===

impl Draft {
    fn put(self, wire: &mut StormTopology, parts: &mut Parts) {
        let mut common = ComponentCommon {
            parallelism_hint: i32::try_from(self.parallelism).ok(),
            streams: self.streams.into_iter().collect(),
            json_conf: (!self.conf.is_empty()).then(|| self.conf.to_json()),
            ..ComponentCommon::default()
        };
        for input in self.inputs {
            if let Some(make) = input.make {
                let edge = (self.id.clone(), input.stream.clone());
                parts.groupings.insert(edge, make);
            }
            common.inputs.insert(input.stream, input.grouping);
        }
        if let Some(make) = self.make {
            parts.makes.insert(self.id.clone(), make);
        }
        match self.role {
            Role::Spout => {
                let spout_object = self.object;
                let spout = SpoutSpec {
                    spout_object,
                    common,
                };
                wire.spouts.insert(self.id, spout);
            }
            Role::Bolt => {
                let bolt_object = self.object;
                let bolt = storm::Bolt {
                    bolt_object,
                    common,
                };
                wire.bolts.insert(self.id, bolt);
            }
        }
    }
}

/// Stands for code of this program. The type is for people who look at the topology.
fn own_object(type_name: &str) -> ComponentObject {
    let type_name = JavaObjectArg::StringArg(type_name.to_owned());
    built_in(topology::PROGRAM, [type_name])
}

#[cfg(test)]
mod tests;

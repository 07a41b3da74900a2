//! A topology of the suite, as both sides are told it: its parts, groupings and settings.
//!
//! Ours becomes a Thrift topology of built-in components, genuine Storm's a file that
//! `benches/genuine` reads. Runs nothing.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use crate::conf::Conf;
use crate::wire::storm::{
    Bolt, ComponentCommon, ComponentObject, GlobalStreamId, Grouping, JavaObject, JavaObjectArg,
    NullStruct, ShellComponent, SpoutSpec, StormTopology, StreamInfo,
};

/// A topology and its settings.
#[derive(Clone, Debug)]
pub struct Plan {
    pub conf: Conf,
    pub parts: Vec<Part>,
}

/// A spout or a bolt.
#[derive(Clone, Debug)]
pub struct Part {
    pub id: &'static str,
    /// Our name of it; without its package also that of the Java side.
    pub class: &'static str,
    pub args: Vec<Arg>,
    pub fields: &'static [&'static str],
    pub parallelism: i32,
    /// A bolt's source; a spout has none.
    pub input: Option<(&'static str, By)>,
}

/// How a bolt gets its tuples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Shuffle,
    LocalOrShuffle,
    Field(&'static str),
}

#[derive(Clone, Debug)]
pub enum Arg {
    Text(String),
    Flag(bool),
    Whole(i64),
}

// === impl Plan ===

impl Plan {
    /// Of parts one after another, each fed by the one before.
    pub fn new(conf: Conf, parts: Vec<Part>) -> Self {
        Plan { conf, parts }
    }

    /// For our side.
    pub fn topology(&self) -> StormTopology {
        let mut topology = StormTopology::default();
        for part in &self.parts {
            let object = part.object();
            let common = part.common();
            match part.input {
                None => {
                    let spout_object = object;
                    let spout = SpoutSpec {
                        spout_object,
                        common,
                    };
                    topology.spouts.insert(part.id.to_owned(), spout);
                }
                Some(_) => {
                    let bolt_object = object;
                    let bolt = Bolt {
                        bolt_object,
                        common,
                    };
                    topology.bolts.insert(part.id.to_owned(), bolt);
                }
            }
        }
        topology
    }

    /// For the Java side.
    pub fn to_json(&self) -> serde_json::Value {
        let parts = self.parts.iter().map(|part| {
            json!({
                "id": part.id,
                "class": part.class,
                "args": part.args.iter().map(Arg::json).collect::<Vec<_>>(),
                "fields": part.fields,
                "parallelism": part.parallelism,
                "input": part.input.map(|(from, by)| json!({
                    "from": from,
                    "grouping": match by {
                        By::Shuffle => "shuffle",
                        By::LocalOrShuffle => "local-or-shuffle",
                        By::Field(name) => name,
                    },
                })),
            })
        });
        json!({ "conf": self.conf.clone().into_map(), "parts": parts.collect::<Vec<_>>() })
    }
}

// === impl Part ===

impl Part {
    /// A spout that tells its first argument, the run's directory, whether it tracks.
    pub fn spout(class: &'static str, directory: &Path, is_tracked: bool) -> Self {
        Part {
            id: SPOUT,
            class,
            args: vec![Arg::path(directory), Arg::Flag(is_tracked)],
            fields: &["str"],
            parallelism: 1,
            input: None,
        }
    }

    /// A bolt that is not metered.
    pub fn bolt(id: &'static str, class: &'static str, input: (&'static str, By)) -> Self {
        Part {
            id,
            class,
            args: Vec::new(),
            fields: &[],
            parallelism: 1,
            input: Some(input),
        }
    }

    pub fn with(mut self, arg: Arg) -> Self {
        self.args.push(arg);
        self
    }

    pub fn declaring(mut self, fields: &'static [&'static str]) -> Self {
        self.fields = fields;
        self
    }

    pub fn times(mut self, parallelism: i32) -> Self {
        self.parallelism = parallelism;
        self
    }

    fn object(&self) -> ComponentObject {
        if let (SHELL, [Arg::Text(command), Arg::Text(script)]) = (self.class, &*self.args) {
            return ComponentObject::Shell(ShellComponent {
                execution_command: Some(command.clone()),
                script: Some(script.clone()),
            });
        }
        ComponentObject::JavaObject(JavaObject {
            full_class_name: self.class.to_owned(),
            args_list: self.args.iter().map(Arg::thrift).collect(),
        })
    }

    fn common(&self) -> ComponentCommon {
        let stream = StreamInfo {
            output_fields: self.fields.iter().map(|name| (*name).to_owned()).collect(),
            direct: false,
        };
        let streams = match self.fields.is_empty() {
            true => BTreeMap::new(),
            false => BTreeMap::from([("default".to_owned(), stream)]),
        };
        let input = self.input.map(|(from, by)| {
            let source = GlobalStreamId {
                component_id: from.to_owned(),
                stream_id: "default".to_owned(),
            };
            let grouping = match by {
                By::Shuffle => Grouping::Shuffle(NullStruct::default()),
                By::LocalOrShuffle => Grouping::LocalOrShuffle(NullStruct::default()),
                By::Field(name) => Grouping::Fields(vec![name.to_owned()]),
            };
            (source, grouping)
        });
        ComponentCommon {
            inputs: input.into_iter().collect(),
            streams,
            parallelism_hint: Some(self.parallelism),
            ..ComponentCommon::default()
        }
    }
}

// === impl Arg ===

impl Arg {
    pub fn path(path: &Path) -> Self {
        Arg::Text(path.display().to_string())
    }

    fn thrift(&self) -> JavaObjectArg {
        match self {
            Arg::Text(text) => JavaObjectArg::StringArg(text.clone()),
            Arg::Flag(flag) => JavaObjectArg::BoolArg(*flag),
            Arg::Whole(number) => JavaObjectArg::LongArg(*number),
        }
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Arg::Text(text) => text.as_str().into(),
            Arg::Flag(flag) => (*flag).into(),
            Arg::Whole(number) => (*number).into(),
        }
    }
}

/// The class of a bolt that is a child process: its arguments are program and script.
pub const SHELL: &str = "stormwire.bench.ShellBolt";

/// The id of every plan's spout.
pub const SPOUT: &str = "spout";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::factory;

    #[test]
    fn both_sides_are_told_the_same() {
        let directory = Path::new("/run");
        let parts = vec![
            Part::spout("stormwire.bench.ConstSpout", directory, true),
            Part::bolt("sink", "stormwire.bench.NullBolt", (SPOUT, By::Shuffle))
                .with(Arg::path(directory))
                .times(2),
        ];
        let plan = Plan::new(Conf::new(), parts);
        let topology = plan.topology();
        let checked = factory::check(&topology, &Conf::defaults());
        assert_eq!(checked, Ok(()));
        assert_eq!(topology.bolts["sink"].common.parallelism_hint, Some(2));
        let json = plan.to_json();
        let args = &json["parts"][0]["args"];
        assert_eq!((&args[0], &args[1]), (&json!("/run"), &json!(true)));
        assert_eq!(json["parts"][1]["input"]["grouping"], "shuffle");
        assert_eq!(json["parts"][0]["input"], json!(null));
    }
}

//! What a built-in component says of itself where a topology's author does not have to: its
//! streams with their fields, and settings. In Storm its Java class says so.
//!
//! Thrift clients declare streams themselves; this is for definitions in YAML.

use serde_json::{Map, Value, json};

use super::current_name;
use crate::conf::keys;
use crate::wire::storm::{JavaObject, JavaObjectArg};

/// A component's own word.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declared {
    /// Streams with the names of their fields.
    pub streams: Vec<(&'static str, &'static [&'static str])>,
    /// Settings of the component; none where the class has none to give.
    pub conf: Option<Map<String, Value>>,
}

/// What a class declares; nothing for those whose fields are the author's choice.
pub fn declared(object: &JavaObject) -> Declared {
    let class = current_name(&object.full_class_name);
    let of_class = STREAMS.iter().find(|(names, _)| names.contains(&&*class));
    let streams = of_class.map_or(&[][..], |(_, streams)| streams);
    Declared {
        streams: streams.to_vec(),
        conf: conf(&class, &object.args_list),
    }
}

fn conf(class: &str, args: &[JavaObjectArg]) -> Option<Map<String, Value>> {
    match (class, args) {
        // A spout that says it is not distributed has one task.
        ("org.apache.storm.testing.TestWordSpout", [JavaObjectArg::BoolArg(false)]) => {
            let mut conf = Map::new();
            conf.insert(keys::TOPOLOGY_MAX_TASK_PARALLELISM.to_owned(), json!(1));
            Some(conf)
        }
        _ => None,
    }
}

type Streams = &'static [(&'static str, &'static [&'static str])];

const STREAMS: &[(&[&str], Streams)] = &[
    (
        &["stormwire.FileLineSpout"],
        &[("default", &["number", "line"])],
    ),
    (
        &["stormwire.TimerSpout"],
        &[("default", &["sequence", "ms"])],
    ),
    (
        &["stormwire.RandomSentenceSpout"],
        &[("default", &["sentence"])],
    ),
    (
        &[
            "stormwire.ConstSpout",
            "org.apache.storm.perf.spout.ConstSpout",
        ],
        &[("default", &["str"])],
    ),
    (
        &[
            "stormwire.Split",
            "org.apache.storm.perf.bolt.SplitSentenceBolt",
            "org.apache.storm.testing.TestWordSpout",
            "org.apache.storm.starter.spout.RandomSentenceSpout",
            "org.apache.storm.starter.ExclamationTopology$ExclamationBolt",
        ],
        &[("default", &["word"])],
    ),
    (
        &["stormwire.SplitNumbered"],
        &[("default", &["word", "number", "position"])],
    ),
    (
        &[
            "stormwire.Count",
            "stormwire.CountOnce",
            "org.apache.storm.testing.TestWordCounter",
            "org.apache.storm.starter.WordCountTopology$WordCount",
            "org.apache.storm.flux.examples.WordCounter",
        ],
        &[("default", &["word", "count"])],
    ),
    (
        &["stormwire.WindowCount"],
        &[("default", &["value", "count"])],
    ),
    (&["stormwire.WindowSum"], &[("default", &["sum", "count"])]),
    (
        &["org.apache.storm.flux.examples.TestWindowBolt"],
        &[("default", &["count"])],
    ),
    (
        &["org.apache.storm.perf.bolt.IdBolt"],
        &[("default", &["field1"])],
    ),
    (
        &["org.apache.storm.testing.TestGlobalCount"],
        &[("default", &["global-count"])],
    ),
    (
        &["org.apache.storm.testing.TestAggregatesCounter"],
        &[("default", &["agg-global"])],
    ),
    (
        &["org.apache.storm.drpc.DRPCSpout"],
        &[("default", &["args", "return-info"])],
    ),
    (
        &[
            "org.apache.storm.drpc.JoinResult",
            "org.apache.storm.starter.ManualDRPC$ExclamationBolt",
        ],
        &[("default", &["result", "return-info"])],
    ),
    (
        &["org.apache.storm.drpc.PrepareRequest"],
        &[
            ("default", &["request", "args"]),
            ("ret", &["request", "return"]),
            ("id", &["request"]),
        ],
    ),
    (
        &["org.apache.storm.starter.BasicDRPCTopology$ExclaimBolt"],
        &[("default", &["id", "result"])],
    ),
];

#[cfg(test)]
mod tests {
    use super::super::knows;
    use super::*;

    fn of(class: &str, args: &[JavaObjectArg]) -> Declared {
        declared(&JavaObject {
            full_class_name: class.to_owned(),
            args_list: args.to_vec(),
        })
    }

    #[test]
    fn every_name_is_one_of_the_registry_and_stands_once() {
        let mut names: Vec<_> = STREAMS.iter().flat_map(|(names, _)| *names).collect();
        assert!(names.iter().all(|name| knows(name)));
        let n_names = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), n_names);
    }

    #[test]
    fn classes_of_storm_say_what_they_say_there() {
        let spout = of("backtype.storm.testing.TestWordSpout", &[]);
        assert_eq!(spout.streams, [("default", &["word"][..])]);
        assert_eq!(spout.conf, None);
        let one = of(
            "org.apache.storm.testing.TestWordSpout",
            &[JavaObjectArg::BoolArg(false)],
        );
        let conf = one.conf.expect("of one task");
        assert_eq!(conf[keys::TOPOLOGY_MAX_TASK_PARALLELISM], json!(1));
        assert_eq!(of("stormwire.NullBolt", &[]), Declared::default());
    }
}

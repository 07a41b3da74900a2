//! Definitions that become topologies.

mod includes;
mod refusals;

use serde_json::json;

use super::*;
use crate::conf::keys;
use crate::topology::DEFAULT_STREAM;
use crate::wire::storm::{
    Bolt, ComponentCommon, ComponentObject, GlobalStreamId, Grouping, JavaObject, JavaObjectArg,
    NullStruct, ShellComponent, SpoutSpec, StormTopology, StreamInfo,
};

/// Reads a definition that is a resource, with no other one beside it.
fn define(text: &str) -> Result<Definition, FluxError> {
    define_of(&[("t.yaml", text)], Filter::default())
}

/// Reads the first of some resources.
fn define_of(files: &[(&str, &str)], filter: Filter<'_>) -> Result<Definition, FluxError> {
    let find = |name: &str| {
        let name = name.trim_start_matches('/');
        let found = files.iter().find(|(file, _)| *file == name);
        let text = found.map(|(_, text)| text.as_bytes().to_vec());
        text.ok_or_else(|| "the jar has no such entry".to_owned())
    };
    let options = Options {
        filter,
        resources: Some(&find),
    };
    read(&Source::Resource(files[0].0.to_owned()), &options)
}

fn shell(program: &str, script: &str) -> ComponentObject {
    ComponentObject::Shell(ShellComponent {
        execution_command: Some(program.to_owned()),
        script: Some(script.to_owned()),
    })
}

fn class(name: &str) -> ComponentObject {
    ComponentObject::JavaObject(JavaObject {
        full_class_name: name.to_owned(),
        args_list: Vec::new(),
    })
}

fn common(parallelism: i32, streams: &[(&str, &[&str])]) -> ComponentCommon {
    let info = |fields: &[&str]| StreamInfo {
        output_fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        direct: false,
    };
    let streams = streams.iter();
    ComponentCommon {
        streams: streams
            .map(|(stream, fields)| ((*stream).to_owned(), info(fields)))
            .collect(),
        parallelism_hint: Some(parallelism),
        ..ComponentCommon::default()
    }
}

fn input(from: &str, stream: &str, grouping: Grouping) -> (GlobalStreamId, Grouping) {
    let source = GlobalStreamId {
        component_id: from.to_owned(),
        stream_id: stream.to_owned(),
    };
    (source, grouping)
}

fn by_word() -> Grouping {
    Grouping::Fields(vec!["word".to_owned()])
}

/// The settings of a component.
fn settings(common: &ComponentCommon) -> serde_json::Value {
    let conf = common.json_conf.as_deref().expect("settings");
    serde_json::from_str(conf).expect("JSON")
}

/// The multi-language example of Flux's documentation, in our own words.
const MULTILANG: &str = r#"
name: "shell-topology"
config:
  topology.workers: 1
spouts:
  - id: "sentence-spout"
    className: "org.apache.storm.flux.wrappers.spouts.FluxShellSpout"
    constructorArgs:
      - ["node", "randomsentence.js"]
      - ["word"]
    configMethods:
      - name: "addComponentConfig"
        args: ["rabbitmq.configfile", "etc/rabbit.yml"]
      - name: "addComponentConfig"
        args:
        - "publisher.data_paths"
        - ["actions"]
    parallelism: 1
bolts:
  - id: "splitsentence"
    className: "org.apache.storm.flux.wrappers.bolts.FluxShellBolt"
    constructorArgs:
      - ["python3", "splitsentence.py"]
      - ["word"]
    parallelism: 2
  - id: "log"
    className: "org.apache.storm.flux.wrappers.bolts.LogInfoBolt"
  - id: "count"
    className: "org.apache.storm.testing.TestWordCounter"
    parallelism: 1
streams:
  - name: "spout --> split"
    from: "sentence-spout"
    to: "splitsentence"
    grouping: {type: SHUFFLE}
  - from: "splitsentence"
    to: "count"
    grouping:
      type: FIELDS
      args: ["word"]
  - from: "count"
    to: "log"
    grouping:
      type: LOCAL_OR_SHUFFLE
"#;

/// What Storm's topology builder makes of the same calls.
#[test]
fn the_multilang_example_builds_what_storms_builder_builds() {
    let definition = define(MULTILANG).expect("a topology");
    assert_eq!(definition.name.as_deref(), Some("shell-topology"));
    assert_eq!(definition.conf, Conf::new().with(keys::TOPOLOGY_WORKERS, 1));
    assert_eq!(definition.warnings, []);
    let spout = SpoutSpec {
        spout_object: shell("node", "randomsentence.js"),
        common: ComponentCommon {
            json_conf: Some(
                r#"{"publisher.data_paths":["actions"],"rabbitmq.configfile":"etc/rabbit.yml"}"#
                    .to_owned(),
            ),
            ..common(1, &[(DEFAULT_STREAM, &["word"])])
        },
    };
    let bolt = |object, common: ComponentCommon, inputs: Vec<_>| Bolt {
        bolt_object: object,
        common: ComponentCommon {
            inputs: inputs.into_iter().collect(),
            ..common
        },
    };
    let null = NullStruct::default;
    let split = bolt(
        shell("python3", "splitsentence.py"),
        common(2, &[(DEFAULT_STREAM, &["word"])]),
        vec![input(
            "sentence-spout",
            DEFAULT_STREAM,
            Grouping::Shuffle(null()),
        )],
    );
    let count = bolt(
        class("org.apache.storm.testing.TestWordCounter"),
        common(1, &[(DEFAULT_STREAM, &["word", "count"])]),
        vec![input("splitsentence", DEFAULT_STREAM, by_word())],
    );
    let log = bolt(
        class("org.apache.storm.flux.wrappers.bolts.LogInfoBolt"),
        common(1, &[]),
        vec![input(
            "count",
            DEFAULT_STREAM,
            Grouping::LocalOrShuffle(null()),
        )],
    );
    let bolts = [("splitsentence", split), ("log", log), ("count", count)];
    let expected = StormTopology {
        spouts: [("sentence-spout".to_owned(), spout)].into(),
        bolts: bolts.map(|(id, bolt)| (id.to_owned(), bolt)).into(),
        ..StormTopology::default()
    };
    assert_eq!(definition.topology, expected);
    let details = Details::of(&definition, "shell-topology").to_string();
    let lines = [
        "Topology Name: shell-topology",
        "sentence-spout [1] (org.apache.storm.flux.wrappers.spouts.FluxShellSpout)",
        "splitsentence [2] (org.apache.storm.flux.wrappers.bolts.FluxShellBolt)",
        "splitsentence --FIELDS--> count",
        "topology.workers: 1",
    ];
    for line in lines {
        assert!(
            details.lines().any(|found| found == line),
            "{line}\n{details}"
        );
    }
}

#[test]
fn what_streamparse_writes_is_read() {
    let definition = define(
        r"
bolts:
- className: org.apache.storm.flux.wrappers.bolts.FluxShellBolt
  configMethods:
  - args: [late, [word]]
    name: setNamedStream
  - args: [topology.tick.tuple.freq.secs, 2]
    name: addComponentConfig
  constructorArgs:
  - [streamparse_run, -s json bolts.wordcount.WordCountBolt]
  - [word, count]
  id: count_bolt
  parallelism: 2
config: {pystorm.log.level: info, sudo_user: null, topology.acker.executors: 1}
name: wordcount
spouts:
- className: org.apache.storm.flux.wrappers.spouts.FluxShellSpout
  constructorArgs:
  - [streamparse_run, -s json spouts.words.WordSpout]
  - [word]
  id: word_spout
  parallelism: 1
streams:
- from: word_spout
  grouping: {args: [word], streamId: default, type: FIELDS}
  to: count_bolt
",
    );
    let definition = definition.expect("a topology");
    let count = &definition.topology.bolts["count_bolt"];
    assert_eq!(
        count.bolt_object,
        shell("streamparse_run", "-s json bolts.wordcount.WordCountBolt")
    );
    assert_eq!(count.common.streams["late"].output_fields, ["word"]);
    assert_eq!(
        count.common.streams["default"].output_fields,
        ["word", "count"]
    );
    let ticks = json!({"topology.tick.tuple.freq.secs": 2});
    assert_eq!(settings(&count.common), ticks);
    let inputs = [input("word_spout", "default", by_word())];
    assert_eq!(count.common.inputs, inputs.into());
    assert_eq!(definition.conf.get("sudo_user"), Some(&json!(null)));
}

/// One spout and a bolt of so many lines of YAML, which takes the spout's words.
fn with_bolt(bolt: &str, grouping: &str) -> String {
    let bolt: String = bolt.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "name: t\nspouts:\n  - id: words\n    className: org.apache.storm.testing.TestWordSpout\n\
         bolts:\n  - id: it\n{bolt}streams:\n  - from: words\n    to: it\n    \
         grouping: {grouping}\n"
    )
}

fn bolt(bolt: &str) -> Bolt {
    let text = with_bolt(bolt, "{type: SHUFFLE}");
    let definition = define(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    definition.topology.bolts["it"].clone()
}

const SHELL: &str = "className: org.apache.storm.flux.wrappers.bolts.FluxShellBolt\n";

#[test]
fn commands_environments_and_directories_of_shell_components() {
    let one = bolt(&format!("{SHELL}constructorArgs: [[./count]]"));
    let expected = ComponentObject::Shell(ShellComponent {
        execution_command: Some("./count".to_owned()),
        script: None,
    });
    assert_eq!((one.bolt_object, one.common.json_conf), (expected, None));
    let long = bolt(&format!(
        "{SHELL}constructorArgs: [[python3, -u, count.py, --port, 80]]\n\
         configMethods:\n\
         - {{name: setEnv, args: [{{MODE: fast, PATH: /opt/bin}}]}}\n\
         - {{name: changeChildCWD, args: [false]}}\n\
         - {{name: setDefaultStream, args: [[n]]}}"
    ));
    assert_eq!(long.bolt_object, shell("python3", "-u"));
    assert_eq!(long.common.streams["default"].output_fields, ["n"]);
    assert_eq!(
        settings(&long.common),
        json!({
            keys::STORMWIRE_SHELL_ARGUMENTS: ["count.py", "--port", "80"],
            keys::STORMWIRE_SHELL_ENVIRONMENT: {"MODE": "fast", "PATH": "/opt/bin"},
            keys::STORMWIRE_SHELL_CHANGE_DIRECTORY: false,
        })
    );
    let by_property = bolt(&format!(
        "{SHELL}constructorArgs: [[python3, count.py]]\n\
         properties: [{{name: env, value: {{MODE: fast}}}}]"
    ));
    let variables = json!({keys::STORMWIRE_SHELL_ENVIRONMENT: {"MODE": "fast"}});
    assert_eq!(settings(&by_property.common), variables);
}

#[test]
fn tasks_loads_and_settings_are_written_as_storms_builder_writes_them() {
    let bolt = bolt(
        "className: org.apache.storm.testing.TestWordCounter\n\
         parallelism: '3'\nnumTasks: 100\nonHeapMemoryLoad: 128\noffHeapMemoryLoad: 64\n\
         cpuLoad: 50\nconfig: {topology.tick.tuple.freq.secs: 5}",
    );
    assert_eq!(bolt.common.parallelism_hint, Some(3));
    assert_eq!(
        settings(&bolt.common),
        json!({
            keys::TOPOLOGY_TASKS: 100,
            keys::TOPOLOGY_COMPONENT_RESOURCES_ONHEAP_MEMORY_MB: 128.0,
            keys::TOPOLOGY_COMPONENT_RESOURCES_OFFHEAP_MEMORY_MB: 64.0,
            keys::TOPOLOGY_COMPONENT_CPU_PCORE_PERCENT: 50,
            keys::TOPOLOGY_COMPONENT_RESOURCES_MAP: {
                keys::TOPOLOGY_COMPONENT_RESOURCES_ONHEAP_MEMORY_MB: 128.0,
                keys::TOPOLOGY_COMPONENT_RESOURCES_OFFHEAP_MEMORY_MB: 64.0,
                keys::TOPOLOGY_COMPONENT_CPU_PCORE_PERCENT: 50.0,
            },
            keys::TOPOLOGY_TICK_TUPLE_FREQ_SECS: 5,
        })
    );
}

#[test]
fn windows_are_settings_by_the_methods_of_storms_windowed_bolts() {
    let windowed = |components: &str, methods: &str| {
        let text = with_bolt(
            &format!(
                "className: org.apache.storm.flux.examples.TestWindowBolt\n\
                 configMethods:\n{methods}"
            ),
            "{type: SHUFFLE}",
        );
        let definition = define(&format!("components:\n{components}{text}"));
        let definition = definition.unwrap_or_else(|error| panic!("{error}"));
        let bolt = &definition.topology.bolts["it"];
        assert_eq!(bolt.common.streams["default"].output_fields, ["count"]);
        settings(&bolt.common)
    };
    let base = "org.apache.storm.topology.base.BaseWindowedBolt$";
    let components = format!(
        "  - {{id: five, className: {base}Count, constructorArgs: [5]}}\n  \
           - {{id: three, className: {base}Count, factory: of, factoryArgs: [3]}}\n  \
           - {{id: minute, className: {base}Duration, constructorArgs: [1, MINUTES]}}\n  \
           - {{id: second, className: {base}Duration, factory: seconds, factoryArgs: [1]}}\n"
    );
    assert_eq!(
        windowed(
            &components,
            "- {name: withWindow, args: [ref: five, ref: three]}"
        ),
        json!({
            keys::TOPOLOGY_BOLTS_WINDOW_LENGTH_COUNT: 5,
            keys::TOPOLOGY_BOLTS_SLIDING_INTERVAL_COUNT: 3,
        })
    );
    assert_eq!(
        windowed(&components, "- {name: withWindow, args: [ref: minute]}"),
        json!({
            keys::TOPOLOGY_BOLTS_WINDOW_LENGTH_DURATION_MS: 60_000,
            keys::TOPOLOGY_BOLTS_SLIDING_INTERVAL_COUNT: 1,
        })
    );
    assert_eq!(
        windowed(
            &components,
            "- {name: withTumblingWindow, args: [ref: minute]}\n\
             - {name: withTimestampField, args: [ts]}\n\
             - {name: withLag, args: [ref: second]}\n\
             - {name: withLateTupleStream, args: [late]}"
        ),
        json!({
            keys::TOPOLOGY_BOLTS_WINDOW_LENGTH_DURATION_MS: 60_000,
            keys::TOPOLOGY_BOLTS_SLIDING_INTERVAL_DURATION_MS: 60_000,
            keys::TOPOLOGY_BOLTS_TUPLE_TIMESTAMP_FIELD_NAME: "ts",
            keys::TOPOLOGY_BOLTS_TUPLE_TIMESTAMP_MAX_LAG_MS: 1_000,
            keys::TOPOLOGY_BOLTS_LATE_TUPLE_STREAM: "late",
        })
    );
}

#[test]
fn components_are_referred_to_one_by_one_and_as_lists() {
    let text = with_bolt(
        &format!(
            "{SHELL}constructorArgs: [ref: command, ref: fields]\n\
             configMethods:\n\
             - {{name: setNamedStream, args: [late, reflist: [word, count]]}}\n\
             - {{name: setEnv, args: [ref: variables]}}"
        ),
        "{type: SHUFFLE}",
    );
    let definition = define(&format!(
        "components:\n  \
           - {{id: word, className: java.lang.String, constructorArgs: [word]}}\n  \
           - {{id: count, className: java.lang.String, constructorArgs: [count]}}\n  \
           - {{id: fields, className: org.apache.storm.tuple.Fields, \
                constructorArgs: [reflist: [word, count]]}}\n  \
           - id: command\n    className: java.util.ArrayList\n    \
             constructorArgs: [[python3]]\n    configMethods: [{{name: add, args: [x.py]}}]\n  \
           - id: variables\n    className: java.util.HashMap\n    \
             configMethods: [{{name: put, args: [A, ref: word]}}]\n{text}"
    ));
    let definition = definition.unwrap_or_else(|error| panic!("{error}"));
    let bolt = &definition.topology.bolts["it"];
    assert_eq!(bolt.bolt_object, shell("python3", "x.py"));
    assert_eq!(
        bolt.common.streams["default"].output_fields,
        ["word", "count"]
    );
    assert_eq!(bolt.common.streams["late"].output_fields, ["word", "count"]);
    let variables = json!({keys::STORMWIRE_SHELL_ENVIRONMENT: {"A": "word"}});
    assert_eq!(settings(&bolt.common), variables);
}

#[test]
fn native_components_say_what_they_emit_unless_the_file_does() {
    let named = bolt("className: stormwire.Count\noutputs: [w, n]");
    assert_eq!(named.common.streams["default"].output_fields, ["w", "n"]);
    let streams = bolt("className: stormwire.Count\noutputs: {default: [w, n], done: [x]}");
    assert_eq!(streams.common.streams["done"].output_fields, ["x"]);
    let identity = with_bolt(
        "className: org.apache.storm.testing.IdentityBolt\nconstructorArgs: [ref: fields]",
        "{type: SHUFFLE}",
    );
    let fields = "components: [{id: fields, className: org.apache.storm.tuple.Fields, \
                  constructorArgs: [[a, b]]}]\n";
    let identity = define(&format!("{fields}{identity}")).expect("a topology");
    let identity = &identity.topology.bolts["it"];
    assert_eq!(identity.common.streams["default"].output_fields, ["a", "b"]);
    let ComponentObject::JavaObject(object) = &identity.bolt_object else {
        panic!("{identity:?}");
    };
    assert_eq!(object.args_list, []);
}

#[test]
fn every_grouping_and_stream() {
    let grouping = |text: &str| {
        let text = with_bolt("className: stormwire.NullBolt", text);
        let definition = define(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let inputs = definition.topology.bolts["it"].common.inputs.clone();
        inputs.into_iter().next().expect("a stream")
    };
    let null = NullStruct::default;
    for (text, expected) in [
        ("{type: SHUFFLE}", Grouping::Shuffle(null())),
        ("{type: LOCAL_OR_SHUFFLE}", Grouping::LocalOrShuffle(null())),
        ("{type: ALL}", Grouping::All(null())),
        ("{type: NONE}", Grouping::None(null())),
        ("{type: DIRECT}", Grouping::Direct(null())),
        ("{type: GLOBAL}", Grouping::Fields(vec![])),
        ("{type: FIELDS, args: [word]}", by_word()),
    ] {
        assert_eq!(grouping(text), input("words", "default", expected));
    }
    let (source, _) = grouping("{type: SHUFFLE, streamId: late}");
    assert_eq!(source.stream_id, "late");
    let custom = |text: &str| match grouping(text).1 {
        Grouping::CustomObject(object) => (object.full_class_name, object.args_list),
        other => panic!("{other:?}"),
    };
    let class = "org.apache.storm.testing.NGrouping";
    assert_eq!(
        custom(&format!(
            "{{type: CUSTOM, customClass: {{className: {class}, constructorArgs: [1]}}}}"
        )),
        (class.to_owned(), vec![JavaObjectArg::IntArg(1)])
    );
    let class = "org.apache.storm.grouping.PartialKeyGrouping";
    assert_eq!(
        custom(&format!(
            "{{type: CUSTOM, customClass: {{className: {class}, constructorArgs: [[word]]}}}}"
        )),
        (
            class.to_owned(),
            vec![JavaObjectArg::StringArg("word".to_owned())]
        )
    );
}

#[test]
fn a_bolt_that_no_stream_leads_to_is_left_out_and_told() {
    let text = with_bolt("className: stormwire.NullBolt", "{type: SHUFFLE}");
    let text = text.replace(
        "bolts:\n",
        "bolts:\n  - {id: idle, className: stormwire.Log}\n",
    );
    let definition = define(&text).expect("a topology");
    assert!(!definition.topology.bolts.contains_key("idle"));
    let warnings: Vec<_> = definition.warnings.iter().map(Warning::to_string).collect();
    assert_eq!(
        warnings,
        ["resource t.yaml: line 6: no stream leads to the bolt idle: it is left out, as in Storm"]
    );
}

#[test]
fn a_load_that_counts_for_nothing_is_told() {
    let text = with_bolt(
        "className: stormwire.NullBolt\noffHeapMemoryLoad: 3",
        "{type: SHUFFLE}",
    );
    let definition = define(&text).expect("a topology, as in Storm");
    let bolt = definition.topology.bolts.values().next().expect("a bolt");
    assert_eq!(bolt.common.json_conf, None);
    let warnings: Vec<_> = definition.warnings.iter().map(Warning::to_string).collect();
    let told = "resource t.yaml: line 6: bolts: it: offHeapMemoryLoad counts only beside an \
                onHeapMemoryLoad: it is left out";
    assert_eq!(warnings, [told]);
}

#[test]
fn letters_are_names_and_words_are_booleans() {
    let letters = bolt("className: stormwire.Count\noutputs: [y, N]");
    assert_eq!(letters.common.streams["default"].output_fields, ["y", "N"]);
    let definition =
        define("name: n\nconfig: {a: yes, b: n, c: &c no, d: *c, e: 'y'}\nspouts: []\n");
    let definition = definition.expect("a topology");
    assert_eq!(definition.name.as_deref(), Some("n"));
    let expected = json!({"a": true, "b": "n", "c": false, "d": false, "e": "y"});
    assert_eq!(
        serde_json::Value::Object(definition.conf.into_map()),
        expected
    );
}

//! Definitions that become topologies, and what is said of those that do not.

use super::*;
use crate::wire::storm::{ComponentObject, Grouping};

const WORDS: &str = "
name: words
config: {topology.workers: 2}
spouts:
  - id: lines
    className: org.apache.storm.flux.wrappers.spouts.FluxShellSpout
    constructorArgs: [[python3, lines.py], [number, line]]
    configMethods:
      - {name: setNamedStream, args: [done, [lines]]}
      - {name: addComponentConfig, args: [mine, 7]}
bolts:
  - id: count
    className: stormwire.Count
    constructorArgs: [totals]
    outputs: [word, count]
    parallelism: 3
streams:
  - {from: lines, to: count, grouping: {type: FIELDS, args: [line]}}
  - {from: lines, to: count, grouping: {type: GLOBAL, streamId: done}}
";

fn check(text: &str) -> Result<Definition, DefinitionError> {
    define(&yaml::map(text).expect("YAML"))
}

#[test]
fn a_definition_becomes_a_topology() {
    let definition = check(WORDS).expect("a topology");
    assert_eq!(definition.name.as_deref(), Some("words"));
    assert_eq!(
        definition.conf.int("topology.workers").expect("a number"),
        Some(2)
    );
    let lines = &definition.topology.spouts["lines"];
    let ComponentObject::Shell(shell) = &lines.spout_object else {
        panic!("{lines:?}")
    };
    assert_eq!(shell.execution_command.as_deref(), Some("python3"));
    assert_eq!(shell.script.as_deref(), Some("lines.py"));
    assert_eq!(
        lines.common.streams["default"].output_fields,
        ["number", "line"]
    );
    assert_eq!(lines.common.streams["done"].output_fields, ["lines"]);
    assert_eq!(lines.common.json_conf.as_deref(), Some("{\"mine\":7}"));
    let count = &definition.topology.bolts["count"];
    assert_eq!(count.common.parallelism_hint, Some(3));
    let groupings: Vec<_> = count.common.inputs.values().cloned().collect();
    assert_eq!(
        groupings,
        [
            Grouping::Fields(vec!["line".into()]),
            Grouping::Fields(vec![])
        ]
    );
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (find, replace, expected) in [
        ("id: lines", "id: 7", "spouts: id must be text"),
        (
            "[python3, lines.py]",
            "[python3, -u, lines.py]",
            "spouts: lines: a command has a program",
        ),
        (
            "[python3, lines.py]",
            "python3",
            "spouts: lines: constructorArgs must begin",
        ),
        (
            "parallelism: 3",
            "parallelism: many",
            "bolts: count: parallelism must be a number",
        ),
        (
            "to: count, grouping: {type: F",
            "to: nobody, grouping: {type: F",
            "streams[0]: to: nobody",
        ),
        (
            "type: GLOBAL",
            "type: CUSTOM",
            "streams[1]: grouping CUSTOM; known are",
        ),
        (
            "name: words",
            "includes: []",
            "the file: includes is not supported",
        ),
        (
            "name: setNamedStream",
            "name: changeChildCWD",
            "spouts: lines: configMethods: changeChildCWD",
        ),
        (
            "constructorArgs: [totals]",
            "constructorArgs: [{ref: x}]",
            "bolts: count: constructorArgs:",
        ),
    ] {
        assert!(WORDS.contains(find), "{find}");
        let error = check(&WORDS.replacen(find, replace, 1))
            .expect_err(replace)
            .to_string();
        assert!(error.starts_with(expected), "{replace}: {error}");
    }
}

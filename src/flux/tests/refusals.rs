//! What is said of definitions that become no topology.

use super::*;

const WORDS: &str = "
name: words
config: {topology.workers: 2}
spouts:
  - id: lines
    className: org.apache.storm.flux.wrappers.spouts.FluxShellSpout
    constructorArgs: [[python3, lines.py], [number, line]]
    configMethods:
      - {name: setNamedStream, args: [done, [lines]]}
bolts:
  - id: count
    className: stormwire.Count
    constructorArgs: [totals]
    parallelism: 3
streams:
  - {from: lines, to: count, grouping: {type: FIELDS, args: [line]}}
  - {from: lines, to: count, grouping: {type: GLOBAL, streamId: done}}
";

/// Puts `replace` for `find`, and expects an error that begins so.
#[track_caller]
fn check(find: &str, replace: &str, expected: &str) {
    assert!(WORDS.contains(find), "{find}");
    let error = define(&WORDS.replacen(find, replace, 1)).expect_err(replace);
    let error = error.to_string();
    let expected = format!("resource t.yaml: {expected}");
    assert!(error.starts_with(&expected), "{replace}: {error}");
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_place() {
    assert!(define(WORDS).is_ok());
    check("id: lines", "id: [7]", "line 5: spouts: id must be text");
    check(
        "[python3, lines.py]",
        "python3",
        "line 5: spouts: lines: constructorArgs: the command",
    );
    check(
        ", [number, line]]",
        ", number]",
        "line 5: spouts: lines: constructorArgs: after the",
    );
    check(
        "parallelism: 3",
        "parallelism: many",
        "line 14: bolts: count: parallelism must be a whole",
    );
    check(
        "parallelism: 3",
        "parallelism: 0",
        "line 11: bolts: count: parallelism must be 1 or",
    );
    check(
        "parallelism: 3",
        "paralelism: 3",
        "line 14: bolts: count: paralelism is not known here",
    );
}

#[test]
fn what_is_wrong_with_streams_and_arguments_is_named() {
    check(
        "to: count, grouping: {type: F",
        "to: x, grouping: {type: F",
        "line 16: streams[0]: to: x",
    );
    check(
        "from: lines, to: count, grouping: {type: G",
        "from: x, to: count, grouping: {type: G",
        "line 17: streams[1]: from: x is no spout or bolt",
    );
    check(
        "type: GLOBAL",
        "type: OTHER",
        "line 17: streams[1]: grouping: type OTHER is none of",
    );
    check(
        ", args: [line]",
        "",
        "line 16: streams[0]: grouping: FIELDS needs args",
    );
    check(
        ", streamId: done",
        "",
        "line 17: streams[1]: count has this stream already",
    );
    check(
        "name: setNamedStream",
        "name: setStream",
        "line 9: spouts: lines: setStream with 2",
    );
    check(
        "[totals]",
        "[{ref: x}]",
        "line 13: bolts: count: ref x: `components` has no x by then",
    );
    check(
        "[totals]",
        "[a, b]",
        "line 11: bolts: count: stormwire.Count: 2 arguments, there are at",
    );
    check(
        "[totals]",
        "[[a]]",
        "line 11: bolts: count: constructorArgs: built-in components take",
    );
    check(
        "stormwire.Count",
        "stormwire.ConstSpout",
        "line 11: bolts: count: stormwire.ConstSpout is a",
    );
    check(
        "  - id: count",
        "  - id: lines",
        "line 11: bolts: lines: a spout has this id already",
    );
    check(
        "bolts:",
        "bolts:\n  - {id: count, className: x}",
        "line 12: the file: bolts: count occurs twice",
    );
    check(
        "config:",
        "confg:",
        "line 3: the file: confg is not known here; known are: name, config",
    );
}

#[test]
fn what_takes_a_jvm_is_named_with_its_class() {
    check(
        "stormwire.Count",
        "org.apache.storm.kafka.bolt.KafkaBolt",
        "line 11: bolts: count: the class org.apache.storm.kafka.bolt.KafkaBolt is not built in, \
         and running it takes a JVM, which workers here do not have: write it as a shell component",
    );
    check(
        "spouts:",
        "components:\n  - {id: mapper, className: org.apache.storm.hbase.bolt.mapper.X}\nspouts:",
        "line 5: components: mapper: the class org.apache.storm.hbase.bolt.mapper.X is not",
    );
    check(
        "spouts:",
        "topologySource: {className: com.example.Source}\nspouts:",
        "line 4: topologySource: the class com.example.Source would build the topology",
    );
    check(
        "spouts:",
        "workerHooks:\n  - {id: hook, className: com.example.Hook}\nspouts:",
        "line 5: the file: workerHooks: the class com.example.Hook is a Java object",
    );
    check(
        "{type: GLOBAL,",
        "{type: CUSTOM, customClass: {className: com.example.Grouping},",
        "line 17: streams[1]: grouping: customClass: the grouping com.example.Grouping is not",
    );
    check(
        "spouts.FluxShellSpout",
        "bolts.FluxShellBolt",
        "line 5: spouts: lines: org.apache.storm.flux.wrappers.bolts.FluxShellBolt is a bolt, not",
    );
}

#[test]
fn settings_are_checked() {
    check(
        "workers: 2",
        "workers: \"${n}\"",
        "line 3: config: topology.workers: Field TOPOLOGY_WORKERS must be an Integer within type \
         range; it is \"${n}\"",
    );
    check(
        "parallelism: 3",
        "config: {topology.debug: maybe}",
        "line 14: bolts: count: config: ",
    );
    check(
        "parallelism: 3",
        "config: {topology.kryo.register: []}",
        "line 14: bolts: count: config: topology.kryo.register is of a topology",
    );
}

#[test]
fn text_that_is_no_yaml_names_its_line() {
    let error = define("name: t\nspouts: [\n")
        .expect_err("not closed")
        .to_string();
    assert!(error.starts_with("resource t.yaml: line "), "{error}");
    let error = define("- a\n").expect_err("a list").to_string();
    assert_eq!(
        error,
        "resource t.yaml: line 1: the file: must be `key: value` lines"
    );
}

#[test]
fn hostile_text_ends() {
    assert!(define(&format!("name: {}", "[".repeat(100_000))).is_err());
    assert!(define(&format!("spouts: {}", "{id: ".repeat(100_000))).is_err());
    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for pair in ('a'..='i').collect::<Vec<_>>().windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let aliases = vec![format!("*{from}"); 9].join(",");
        bomb.push_str(&format!("{to}: &{to} [{aliases}]\n"));
    }
    assert!(define(&bomb).is_err());
    let large = " ".repeat(crate::limits::FLUX_FILE_BYTES_MAX + 1);
    let error = define(&large).expect_err("too large").to_string();
    assert!(error.contains("it has more than"), "{error}");
}

/// Lists of references to the list before, so many of each.
fn lists_of_lists(n_lists: usize, n_each: usize) -> String {
    let mut text =
        "name: bomb\ncomponents:\n  - {id: c0, className: java.util.ArrayList}\n".to_owned();
    for at in 1..n_lists {
        let ids = vec![format!("c{}", at - 1); n_each].join(", ");
        let args = format!("constructorArgs: [{{reflist: [{ids}]}}]");
        let list = format!("id: c{at}, className: java.util.ArrayList, {args}");
        text.push_str(&format!("  - {{{list}}}\n"));
    }
    text
}

#[test]
fn a_line_of_many_booleans_is_read_in_one_go() {
    // Looked at from its beginning for each of them, it would take minutes.
    let text = format!(
        "name: long\nconfig: {{a: [{}]}}\n",
        ["true"; 200_000].join(",")
    );
    assert!(define(&text).is_ok());
}

#[test]
fn references_do_not_multiply_without_end() {
    for text in [lists_of_lists(12, 10), lists_of_lists(10_000, 1)] {
        let error = define(&text).expect_err("too much").to_string();
        assert!(error.contains("all references together"), "{error}");
    }
    assert!(define(&lists_of_lists(4, 10)).is_ok());
}

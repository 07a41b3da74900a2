//! Files that include others, and text that is filled in.

use std::fs;

use super::*;

const SPOUT: &str = "org.apache.storm.testing.TestWordSpout";

fn words(id: &str, parallelism: u32) -> String {
    format!("spouts: [{{id: {id}, className: {SPOUT}, parallelism: {parallelism}}}]\n")
}

fn including(file: &str, overrides: bool) -> String {
    format!("includes: [{{resource: true, file: /{file}, override: {overrides}}}]\n")
}

#[test]
fn what_is_there_stays_unless_the_include_overrides() {
    let base = format!("name: base\nconfig: {{a: 1, b: 1}}\n{}", words("words", 2));
    let main = |overrides| {
        format!(
            "name: main\nconfig: {{b: 2}}\n{}{}",
            words("words", 1),
            including("base.yaml", overrides)
        )
    };
    let read = |overrides| {
        let main = main(overrides);
        let files = [("main.yaml", main.as_str()), ("base.yaml", base.as_str())];
        define_of(&files, Filter::default()).expect("a topology")
    };
    let stays = read(false);
    assert_eq!(stays.name.as_deref(), Some("main"));
    assert_eq!(stays.conf, Conf::new().with("a", 1).with("b", 2));
    let words = &stays.topology.spouts["words"];
    assert_eq!(words.common.parallelism_hint, Some(1));
    assert_eq!(stays.warnings.len(), 3, "{:?}", stays.warnings);
    let overridden = read(true);
    assert_eq!(overridden.name.as_deref(), Some("base"));
    assert_eq!(overridden.conf, Conf::new().with("a", 1).with("b", 1));
    let words = &overridden.topology.spouts["words"];
    assert_eq!(words.common.parallelism_hint, Some(2));
    assert_eq!(overridden.warnings, []);
}

#[test]
fn components_and_streams_of_includes_are_used_and_errors_name_their_file() {
    let main = format!(
        "name: t\n{}{}bolts: [{{id: it, className: stormwire.Log, constructorArgs: [ref: p]}}]\n",
        including("more.yaml", false),
        words("words", 1)
    );
    let more = "components: [{id: p, className: java.lang.String, constructorArgs: ['> ']}]\n\
                streams:\n  - {from: words, to: it, grouping: {type: SHUFFLE}}\n";
    let read = |more: &str| {
        let files = [("main.yaml", main.as_str()), ("more.yaml", more)];
        define_of(&files, Filter::default())
    };
    let definition = read(more).expect("a topology");
    assert_eq!(definition.topology.bolts["it"].common.inputs.len(), 1);
    let error = read(&more.replace("from: words", "from: nobody")).expect_err("no source");
    assert_eq!(
        error.to_string(),
        "resource /more.yaml: line 3: streams[0]: from: nobody is no spout or bolt of this \
         definition"
    );
}

#[test]
fn files_lie_in_the_working_directory_or_beside_who_includes_them() {
    let dir = tempfile::tempdir().expect("dir");
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).expect("room");
    fs::write(inner.join("leaf.yaml"), words("words", 3)).expect("room");
    fs::write(inner.join("middle.yaml"), "includes: [file: leaf.yaml]\n").expect("room");
    let main = dir.path().join("main.yaml");
    fs::write(&main, "name: t\nincludes: [file: inner/middle.yaml]\n").expect("room");
    let definition = read(&Source::File(main), &Options::default()).expect("a topology");
    let words = &definition.topology.spouts["words"];
    assert_eq!(words.common.parallelism_hint, Some(3));
}

#[track_caller]
fn check_refused(files: &[(&str, &str)], expected: &str) {
    let error = define_of(files, Filter::default())
        .expect_err(expected)
        .to_string();
    assert_eq!(error, expected);
}

#[test]
fn includes_end() {
    let itself = including("a.yaml", false);
    check_refused(
        &[("a.yaml", itself.as_str())],
        "resource a.yaml: line 1: includes /a.yaml: the file includes itself",
    );
    let depth = crate::limits::FLUX_INCLUDES_DEPTH_MAX;
    let files: Vec<(String, String)> = (0..=depth)
        .map(|n| {
            (
                format!("{n}.yaml"),
                including(&format!("{}.yaml", n + 1), false),
            )
        })
        .collect();
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (&**name, &**text))
        .collect();
    let error = define_of(&files, Filter::default())
        .expect_err("too deep")
        .to_string();
    assert!(
        error.ends_with("more than 10 files include each other"),
        "{error}"
    );
    let many = "  - {resource: true, file: leaf.yaml}\n".repeat(crate::limits::FLUX_FILES_MAX);
    let many = format!("includes:\n{many}");
    let error = define_of(
        &[("a.yaml", many.as_str()), ("leaf.yaml", "{}")],
        Filter::default(),
    );
    let error = error.expect_err("too many").to_string();
    assert!(
        error.ends_with("a definition has at most 100 files"),
        "{error}"
    );
    check_refused(
        &[("a.yaml", "includes: [{resource: true, file: b.yaml}]")],
        "resource a.yaml: line 1: includes b.yaml: the jar has no such entry",
    );
    let missing = read(&Source::Resource("/x.yaml".to_owned()), &Options::default());
    let missing = missing.expect_err("no jar").to_string();
    assert!(missing.contains("give one with --jar"), "{missing}");
}

#[test]
fn properties_fill_included_files_in_too() {
    let properties = "name: filled\nn: 4\nlist: [\"one\", \"words\"]\n";
    let properties = Properties::parse(properties.as_bytes()).expect("properties");
    let environment = |name: &str| (name == "WORKERS").then(|| "2".to_owned());
    let filter = Filter {
        properties: Some(&properties),
        environment: Some(&environment),
    };
    let main = format!(
        "name: \"${{name}}\"\n{}config: {{topology.workers: ${{ENV-WORKERS}}}}\n",
        including("more.yaml", false)
    );
    let more = words("${list[1]}", 0).replace("parallelism: 0", "parallelism: \"${n}\"");
    let files = [("main.yaml", main.as_str()), ("more.yaml", more.as_str())];
    let definition = define_of(&files, filter).expect("a topology");
    assert_eq!(definition.name.as_deref(), Some("filled"));
    assert_eq!(
        definition.conf.int(keys::TOPOLOGY_WORKERS).expect("2"),
        Some(2)
    );
    let words = &definition.topology.spouts["words"];
    assert_eq!(words.common.parallelism_hint, Some(4));
}

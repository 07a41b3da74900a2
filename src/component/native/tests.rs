//! Built-in components over a real emitter, each by its name in the registry.

use std::path::Path;

use super::count::Totals;
use crate::component::{Bolt, Spout, Waker, registry};
use crate::conf::Conf;
use crate::tuple::Value;
use crate::values;
use crate::window::{Count, WindowConfig};
use crate::wire::storm::{JavaObject, JavaObjectArg};
use crate::worker::harness::{self, Emitted, Harness, Verdict};

fn object(class: &str, args: &[JavaObjectArg]) -> JavaObject {
    JavaObject {
        full_class_name: class.to_owned(),
        args_list: args.to_vec(),
    }
}

fn text(text: impl Into<String>) -> JavaObjectArg {
    JavaObjectArg::StringArg(text.into())
}

fn started_bolt(class: &str, args: &[JavaObjectArg], directory: &Path) -> Box<dyn Bolt> {
    let mut bolt = registry::bolt(&object(class, args)).unwrap();
    bolt.prepare(&harness::context(directory, Conf::new(), Waker::idle()))
        .unwrap();
    bolt
}

fn started_spout(class: &str, args: &[JavaObjectArg], directory: &Path) -> Box<dyn Spout> {
    let mut spout = registry::spout(&object(class, args)).unwrap();
    spout
        .open(&harness::context(directory, Conf::new(), Waker::idle()))
        .unwrap();
    spout
}

fn shown(emitted: &[Emitted]) -> Vec<String> {
    let show = |tuple: &Emitted| {
        let values: Vec<_> = tuple.values.iter().map(Value::to_string).collect();
        format!("{} {}", tuple.stream, values.join(" "))
    };
    emitted.iter().map(show).collect()
}

/// Feeds a bolt one tuple after another: what it emits, and that it acks each.
#[track_caller]
fn check_bolt(class: &str, args: &[JavaObjectArg], inputs: &[Vec<Value>], expected: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let n_fields = expected
        .first()
        .map_or(1, |line| line.split(' ').count() - 1);
    let fields = &["a", "b", "c", "d"][..n_fields];
    let mut harness = Harness::new(&[("default", fields)]);
    let mut bolt = started_bolt(class, args, directory.path());
    for input in inputs {
        let values: Vec<_> = input.iter().map(Value::as_ref).collect();
        let tuple = harness.input(&values);
        bolt.execute(&tuple.view(), &mut harness.collector())
            .unwrap();
    }
    let tick = harness.tick();
    bolt.execute(&tick.view(), &mut harness.collector())
        .unwrap();
    bolt.poll(&mut harness.collector()).unwrap();
    let emitted = harness.emitted();
    assert_eq!(shown(&emitted), expected);
    assert!(emitted.iter().all(|tuple| tuple.roots.len() <= 1));
    let acks: Vec<_> = (1..=inputs.len() as u64).map(Verdict::Acked).collect();
    assert_eq!(harness.verdicts(), acks);
}

fn row(values: &[crate::tuple::ValueRef<'_>]) -> Vec<Value> {
    values.iter().map(|value| value.to_value()).collect()
}

#[test]
fn words_are_split_and_counted() {
    let line = row(&values!["the cow  jumped\tthe moon "]);
    let words = [
        "default the",
        "default cow",
        "default jumped",
        "default the",
        "default moon",
    ];
    check_bolt("stormwire.Split", &[], std::slice::from_ref(&line), &words);
    check_bolt(
        "org.apache.storm.perf.bolt.SplitSentenceBolt",
        &[text("a")],
        &[line],
        &words,
    );
    check_bolt(
        "stormwire.SplitNumbered",
        &[],
        &[row(&values![12_i64, "a b a"])],
        &["default a 12 0", "default b 12 1", "default a 12 2"],
    );
    let word = |word: &str| row(&values![word]);
    let counts = ["default a 1", "default b 1", "default a 2"];
    for class in ["stormwire.Count", "backtype.storm.testing.TestWordCounter"] {
        check_bolt(class, &[], &[word("a"), word("b"), word("a")], &counts);
    }
    check_bolt(
        "stormwire.CountOnce",
        &[],
        &[
            row(&values!["a", 1_i64, 0_i64]),
            row(&values!["a", 1_i32, 1_i32]),
            row(&values!["a", 1_i64, 1_i64]),
        ],
        &["default a 1", "default a 2"],
    );
}

#[test]
fn tuples_are_passed_on_chosen_and_sampled() {
    let rows = [
        row(&values![1_i32, "x", 2.5]),
        row(&values![5_i64, "y", 0.5]),
    ];
    check_bolt(
        "stormwire.IdBolt",
        &[],
        &rows,
        &["default 1 x 2.5", "default 5 y 0.5"],
    );
    check_bolt(
        "stormwire.Filter",
        &[text("a"), text(">"), JavaObjectArg::IntArg(3)],
        &rows,
        &["default 5 y 0.5"],
    );
    check_bolt(
        "stormwire.Project",
        &[text("c"), text("a")],
        &rows,
        &["default 2.5 1", "default 0.5 5"],
    );
    check_bolt("stormwire.Log", &[text("> ")], &rows, &[]);
    check_bolt(
        "org.apache.storm.testing.TestGlobalCount",
        &[],
        &rows,
        &["default 1", "default 2"],
    );
    check_bolt(
        "storm.starter.ExclamationTopology$ExclamationBolt",
        &[],
        &[row(&values!["hi"])],
        &["default hi!!!"],
    );
}

#[test]
fn a_wrong_input_is_an_error_and_not_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let mut harness = Harness::new(&[("default", &["word"])]);
    for class in [
        "stormwire.Split",
        "stormwire.CountOnce",
        "stormwire.SplitNumbered",
    ] {
        let mut bolt = started_bolt(class, &[], directory.path());
        let tuple = harness.input(&values![1_i64]);
        assert!(
            bolt.execute(&tuple.view(), &mut harness.collector())
                .is_err(),
            "{class}"
        );
    }
}

#[test]
fn totals_stand_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("totals");
    let mut harness = Harness::new(&[("default", &["word", "count"])]);
    let args = [text(path.to_str().unwrap())];
    let mut bolt = started_bolt("stormwire.CountOnce", &args, directory.path());
    for (word, line, position) in [("a", 1_i64, 0_i64), ("b", 1, 1), ("a", 1, 0), ("a", 2, 0)] {
        let tuple = harness.input(&values![word, line, position]);
        bolt.execute(&tuple.view(), &mut harness.collector())
            .unwrap();
    }
    bolt.cleanup();
    let totals: Totals =
        serde_json::from_slice(&std::fs::read(path.with_extension("1")).unwrap()).unwrap();
    let counts = [("a".into(), 2), ("b".into(), 1)].into();
    assert_eq!(
        totals,
        Totals {
            words: 3,
            repeats: 1,
            counts
        }
    );
}

#[test]
fn a_file_is_read_once_and_failed_lines_come_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("resources/text");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "one\r\n\nthree").unwrap();
    let mut harness = Harness::new(&[("default", &["number", "line"]), ("done", &["lines"])]);
    let mut spout = started_spout("stormwire.FileLineSpout", &[text("text")], directory.path());
    let mut next = |spout: &mut Box<dyn Spout>| {
        spout.next_tuple(&mut harness.spout_collector()).unwrap();
        shown(&harness.emitted())
    };
    assert_eq!(next(&mut spout), ["default 1 one"]);
    assert_eq!(next(&mut spout), ["default 2 "]);
    spout.fail(&Value::Long(1));
    assert_eq!(next(&mut spout), ["default 1 one"]);
    assert_eq!(next(&mut spout), ["default 3 three"]);
    assert!(next(&mut spout).is_empty());
    spout.ack(&Value::Long(1));
    spout.ack(&Value::Long(2));
    assert!(next(&mut spout).is_empty(), "line 3 is pending");
    spout.ack(&Value::Long(3));
    assert_eq!(next(&mut spout), ["done 3"]);
    assert!(next(&mut spout).is_empty());
}

#[test]
fn a_file_can_start_over_and_an_absent_one_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("text");
    std::fs::write(&path, "a\nb\n").unwrap();
    let mut harness = Harness::new(&[("default", &["number", "line"])]);
    let args = [text(path.to_str().unwrap()), JavaObjectArg::BoolArg(true)];
    let mut spout = started_spout("stormwire.FileLineSpout", &args, directory.path());
    for _ in 0..3 {
        spout.next_tuple(&mut harness.spout_collector()).unwrap();
    }
    assert_eq!(
        shown(&harness.emitted()),
        ["default 1 a", "default 2 b", "default 3 a"]
    );
    let absent = object("stormwire.FileLineSpout", &[text("/nowhere/x")]);
    let context = harness::context(directory.path(), Conf::new(), Waker::idle());
    let failure = registry::spout(&absent)
        .unwrap()
        .open(&context)
        .unwrap_err();
    assert!(failure.to_string().contains("/nowhere/x"), "{failure}");
}

#[test]
fn random_sentences_repeat_with_their_seed_and_end_with_their_count() {
    let directory = tempfile::tempdir().unwrap();
    let args = [
        JavaObjectArg::IntArg(7),
        JavaObjectArg::IntArg(0),
        JavaObjectArg::IntArg(3),
    ];
    let run = || {
        let mut harness = Harness::new(&[("default", &["sentence"])]);
        let mut spout = started_spout("stormwire.RandomSentenceSpout", &args, directory.path());
        for _ in 0..4 {
            spout.next_tuple(&mut harness.spout_collector()).unwrap();
        }
        spout.fail(&Value::Long(1));
        spout.next_tuple(&mut harness.spout_collector()).unwrap();
        spout.next_tuple(&mut harness.spout_collector()).unwrap();
        shown(&harness.emitted())
    };
    let first = run();
    assert_eq!(first.len(), 4);
    assert_eq!(first[1], first[3], "what failed came again");
    assert_eq!(run(), first);
}

#[test]
fn paced_spouts_emit_once_an_interval() {
    let directory = tempfile::tempdir().unwrap();
    let mut harness = Harness::new(&[("default", &["sequence", "ms"])]);
    let args = [JavaObjectArg::LongArg(60_000)];
    let mut spout = started_spout("stormwire.TimerSpout", &args, directory.path());
    for _ in 0..3 {
        spout.next_tuple(&mut harness.spout_collector()).unwrap();
    }
    let emitted = harness.emitted();
    assert_eq!(emitted.len(), 1);
    assert_eq!(emitted[0].values[0], Value::Long(0));
}

#[test]
fn a_sink_acks_what_is_on_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let mut harness = Harness::new(&[]);
    let args = [text("out"), text(",")];
    let mut bolt = started_bolt("stormwire.FileSink", &args, directory.path());
    for number in [1_i64, 2] {
        let tuple = harness.input(&values!["x", number]);
        bolt.execute(&tuple.view(), &mut harness.collector())
            .unwrap();
    }
    assert_eq!(harness.verdicts(), []);
    bolt.poll(&mut harness.collector()).unwrap();
    assert_eq!(harness.verdicts(), [Verdict::Acked(1), Verdict::Acked(2)]);
    let path = directory.path().join("resources/out.1");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "x,1\nx,2\n");
}

#[test]
fn the_ledger_goes_on_where_every_id_before_was_acked() {
    let directory = tempfile::tempdir().unwrap();
    let resources = directory.path().join("resources");
    std::fs::create_dir_all(&resources).unwrap();
    std::fs::write(resources.join("ids"), "0 10\n0 11\n1 10\n1 1").unwrap();
    let mut harness = Harness::new(&[("default", &["partition", "seq", "attempt"])]);
    let args = [text("ids"), text("positions")];
    let mut spout = started_spout("stormwire.testing.LedgerSpout", &args, directory.path());
    for _ in 0..5 {
        spout.next_tuple(&mut harness.spout_collector()).unwrap();
    }
    let ids = ["default 0 10 1", "default 0 11 1", "default 1 10 1"];
    assert_eq!(
        shown(&harness.emitted()),
        ids,
        "the last line has no end yet"
    );
    spout.ack(&Value::Long(0));
    spout.ack(&Value::Long(2));
    spout.fail(&Value::Long(1));
    spout.poll(&mut harness.spout_collector()).unwrap();
    spout.next_tuple(&mut harness.spout_collector()).unwrap();
    assert_eq!(shown(&harness.emitted()), ["default 0 11 2"]);
    let position = std::fs::read_to_string(resources.join("positions/0.position")).unwrap();
    assert_eq!(position, "1\n");
    // A new task: what was not acked in order comes again, and the line that has grown its end.
    std::fs::write(resources.join("ids"), "0 10\n0 11\n1 10\n1 11\n").unwrap();
    let mut spout = started_spout("stormwire.testing.LedgerSpout", &args, directory.path());
    for _ in 0..4 {
        spout.next_tuple(&mut harness.spout_collector()).unwrap();
    }
    let ids = ["default 0 11 1", "default 1 10 1", "default 1 11 1"];
    assert_eq!(shown(&harness.emitted()), ids);
}

#[test]
fn the_ledger_sink_writes_whole_lines() {
    let directory = tempfile::tempdir().unwrap();
    let mut harness = Harness::new(&[]);
    let args = [text("ledgers")];
    for attempt in [1_i64, 2] {
        let mut bolt = started_bolt("stormwire.testing.LedgerSink", &args, directory.path());
        let tuple = harness.input(&values![0_i64, 10_i64, attempt]);
        bolt.execute(&tuple.view(), &mut harness.collector())
            .unwrap();
        bolt.poll(&mut harness.collector()).unwrap();
    }
    assert_eq!(harness.verdicts(), [Verdict::Acked(1), Verdict::Acked(2)]);
    let path = directory.path().join("resources/ledgers/1.ledger");
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        "\n0 10 1 1 .\n\n0 10 2 1 .\n"
    );
}

/// Feeds a windowed bolt: what it emits, and the inputs whose trees each emit joins.
#[track_caller]
fn check_windowed(
    class: &str,
    config: WindowConfig,
    inputs: &[Vec<Value>],
    expected: &[(&str, &[u64])],
) {
    let directory = tempfile::tempdir().unwrap();
    let n_fields = expected[0].0.split(' ').count() - 1;
    let mut harness = Harness::new(&[("default", &["a", "b", "c", "d"][..n_fields])]);
    let mut bolt = registry::bolt(&object(class, &[])).unwrap();
    let context = harness::context(directory.path(), config.to_conf(), Waker::idle());
    bolt.prepare(&context).unwrap();
    let mut found = Vec::new();
    for input in inputs {
        let values: Vec<_> = input.iter().map(Value::as_ref).collect();
        let tuple = harness.input(&values);
        bolt.execute(&tuple.view(), &mut harness.collector())
            .unwrap();
        let emitted = harness.emitted();
        let roots = emitted.iter().map(|tuple| tuple.roots.clone());
        found.extend(shown(&emitted).into_iter().zip(roots));
    }
    let expected = expected
        .iter()
        .map(|(text, roots)| ((*text).to_owned(), roots.to_vec()));
    assert_eq!(found, expected.collect::<Vec<_>>());
}

#[test]
fn windows_are_counted_added_up_and_passed_on() {
    let words = ["a", "b", "a", "c"].map(|word| row(&values![word]));
    check_windowed(
        "stormwire.WindowCount",
        WindowConfig::new().with_window(Count(3), Count(1)),
        &words,
        &[
            ("default a 1", &[1]),
            ("default a 1", &[1]),
            ("default b 1", &[2]),
            ("default a 2", &[1, 3]),
            ("default b 1", &[2]),
            ("default b 1", &[2]),
            ("default a 1", &[3]),
            ("default c 1", &[4]),
        ],
    );
    let numbers = [
        row(&values![1i64]),
        row(&values![2i32]),
        row(&values![0.5f64]),
    ];
    check_windowed(
        "stormwire.WindowSum",
        WindowConfig::new().with_window(Count(2), Count(1)),
        &numbers,
        &[
            ("default 1 1", &[1]),
            ("default 3 2", &[1, 2]),
            ("default 2.5 2", &[2, 3]),
        ],
    );
    check_windowed(
        "stormwire.WindowPass",
        WindowConfig::new().with_window(Count(3), Count(2)),
        &words,
        &[
            ("default a", &[1]),
            ("default b", &[2]),
            ("default a", &[3]),
            ("default c", &[4]),
        ],
    );
}

#[test]
fn windows_are_traced() {
    let directory = tempfile::tempdir().unwrap();
    let mut harness = Harness::new(&[]);
    let class = "stormwire.testing.WindowTrace";
    let mut bolt = registry::bolt(&object(class, &[text("trace")])).unwrap();
    let config = WindowConfig::new().with_window(Count(2), Count(1));
    let context = harness::context(directory.path(), config.to_conf(), Waker::idle());
    bolt.prepare(&context).unwrap();
    for number in 1..=3i64 {
        let tuple = harness.input(&values![number]);
        bolt.execute(&tuple.view(), &mut harness.collector())
            .unwrap();
    }
    let trace = std::fs::read_to_string(directory.path().join("resources/trace.1")).unwrap();
    let last: serde_json::Value = serde_json::from_str(trace.lines().last().unwrap()).unwrap();
    assert_eq!(trace.lines().count(), 3);
    assert_eq!(last["tuples"], serde_json::json!(["2", "3"]));
    assert_eq!(last["new"], serde_json::json!(["3"]));
    assert_eq!(last["expired"], serde_json::json!(["1"]));
    assert_eq!(last["start"], serde_json::Value::Null);
}

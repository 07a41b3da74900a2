//! Names, kinds and arguments.

use super::*;
use crate::wire::storm::JavaObjectArg;

fn object(class: &str, args: &[JavaObjectArg]) -> JavaObject {
    JavaObject {
        full_class_name: class.to_owned(),
        args_list: args.to_vec(),
    }
}

fn text(text: &str) -> JavaObjectArg {
    JavaObjectArg::StringArg(text.to_owned())
}

#[track_caller]
fn refused(class: &str, args: &[JavaObjectArg], kind: Kind, expected: &str) {
    let error = check(&object(class, args), kind).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn every_name_is_known_once_and_by_its_older_packages() {
    let mut names: Vec<&str> = ENTRIES
        .iter()
        .flat_map(|entry| entry.names)
        .copied()
        .collect();
    let n_names = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), n_names);
    assert!(names.iter().all(|name| knows(name)));
    assert!(knows("backtype.storm.testing.TestWordSpout"));
    assert!(knows("storm.starter.spout.RandomSentenceSpout"));
    assert!(!knows("com.example.MySpout"));
    assert!(!knows(""));
}

#[test]
fn good_arguments_make_components() {
    let spouts = [
        object(
            "stormwire.FileLineSpout",
            &[text("/tmp/x"), JavaObjectArg::BoolArg(true)],
        ),
        object("stormwire.TimerSpout", &[JavaObjectArg::IntArg(10)]),
        object(
            "stormwire.TimerSpout",
            &[JavaObjectArg::LongArg(10), JavaObjectArg::IntArg(3)],
        ),
        object("stormwire.RandomSentenceSpout", &[]),
        object(
            "org.apache.storm.testing.TestWordSpout",
            &[JavaObjectArg::BoolArg(false)],
        ),
    ];
    for spout in &spouts {
        assert_eq!(check(spout, Kind::Spout), Ok(()), "{spout:?}");
    }
    let bolts = [
        object(
            "stormwire.Filter",
            &[text("n"), text(">="), JavaObjectArg::DoubleArg(0.5)],
        ),
        object("stormwire.Project", &[text("a"), text("b"), text("c")]),
        object("stormwire.Count", &[]),
        object("org.apache.storm.testing.TestGlobalCount", &[]),
    ];
    for bolt in &bolts {
        assert_eq!(check(bolt, Kind::Bolt), Ok(()), "{bolt:?}");
    }
}

#[test]
fn wrong_arguments_are_named_by_position_and_type() {
    refused(
        "stormwire.FileLineSpout",
        &[],
        Kind::Spout,
        "stormwire.FileLineSpout: argument 1 is missing: a text, the path of the file",
    );
    refused(
        "stormwire.TimerSpout",
        &[JavaObjectArg::IntArg(1), text("3")],
        Kind::Spout,
        "stormwire.TimerSpout: argument 2 is a text, expected a whole number, how many to emit",
    );
    refused(
        "stormwire.TimerSpout",
        &[JavaObjectArg::IntArg(-1)],
        Kind::Spout,
        "stormwire.TimerSpout: argument 1: -1 is negative: the interval in milliseconds",
    );
    refused(
        "stormwire.Filter",
        &[text("n"), text("~"), JavaObjectArg::IntArg(1)],
        Kind::Bolt,
        "stormwire.Filter: argument 2: `~` is no comparison: one of = != < <= > >= contains \
         starts-with",
    );
    refused(
        "stormwire.NullBolt",
        &[text("x")],
        Kind::Bolt,
        "stormwire.NullBolt: 1 arguments, there are at most 0",
    );
    refused(
        "stormwire.Project",
        &[text("a"), JavaObjectArg::Unset],
        Kind::Bolt,
        "stormwire.Project: argument 2 is unset, expected a text, a field to emit",
    );
}

#[test]
fn unknown_names_and_wrong_kinds_are_refused() {
    refused(
        "com.example.Bolt",
        &[],
        Kind::Bolt,
        "class com.example.Bolt is not built in: this cluster runs shell components and its own \
         (stormwire.*), and no code of a JVM",
    );
    refused(
        "stormwire.Count",
        &[],
        Kind::Spout,
        "stormwire.Count is a bolt, not a spout",
    );
    refused(
        "stormwire.ConstSpout",
        &[],
        Kind::Bolt,
        "stormwire.ConstSpout is a spout, not a bolt",
    );
}

//! What the components make of tuples; with a server they are tested in `crate::drpc`.

use super::*;
use crate::component::registry;
use crate::component::{Waker, drpc::spout};
use crate::conf::Conf;
use crate::values;
use crate::wire::storm::JavaObject;
use crate::worker::harness::{self, Harness, Verdict};

#[test]
fn return_infos_are_storms() {
    let info = ReturnInfo {
        id: "17".to_owned(),
        server: Address::new("drpc-1.example", 3773),
    };
    assert_eq!(ReturnInfo::parse(&info.to_json()).expect("ours"), info);
    let storms = r#"{"id":"17","host":"drpc-1.example","port":3773}"#;
    assert_eq!(ReturnInfo::parse(storms).expect("Storm's"), info);
    let of_a_shell = r#"{"port": "3773", "host": "drpc-1.example", "id": "17", "more": []}"#;
    assert_eq!(ReturnInfo::parse(of_a_shell).expect("lenient"), info);
    for (bad, what) in [
        ("{", "is no JSON"),
        ("[]", "has no id"),
        (r#"{"id": "1", "port": 1}"#, "has no host"),
        (r#"{"id": "1", "host": "h", "port": 70000}"#, "has no port"),
    ] {
        let error = ReturnInfo::parse(bad).expect_err(bad).to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn tasks_share_servers_as_in_storm() {
    let hosts = || ["a", "b", "c"].map(str::to_owned).to_vec();
    assert_eq!(
        spout::choose(hosts(), 2, 1),
        ["a", "b", "c"],
        "fewer tasks than servers: all"
    );
    let of_tasks: Vec<_> = (0..4)
        .map(|index| spout::choose(hosts(), 4, index))
        .collect();
    assert_eq!(of_tasks, [["a"], ["b"], ["c"], ["a"]]);
    assert_eq!(spout::choose(hosts(), 3, 2), ["c"]);
}

#[test]
fn a_request_is_split_under_an_id_of_its_own() {
    let object = JavaObject {
        full_class_name: "backtype.storm.drpc.PrepareRequest".to_owned(),
        args_list: Vec::new(),
    };
    let mut bolt = registry::bolt(&object).expect("it is built in");
    let mut harness = Harness::new(&[
        ("default", &["request", "args"]),
        ("ret", &["request", "return"]),
        ("id", &["request"]),
    ]);
    let directory = tempfile::tempdir().expect("a directory");
    let context = harness::context(directory.path(), Conf::new(), Waker::idle());
    bolt.prepare(&context).expect("prepared");
    let tuple = harness.input(&values!["args", "info"]);
    bolt.execute(&tuple.view(), &mut harness.collector())
        .expect("executed");
    let mut emitted = harness.emitted();
    emitted.sort_by(|a, b| a.stream.cmp(&b.stream));
    let Value::Long(request) = emitted[0].values[0] else {
        panic!("{emitted:?}")
    };
    assert!(
        request > i64::from(i32::MAX) && request < 1 << 53,
        "{request}"
    );
    let text = |text: &str| Value::Str(text.into());
    let id = || Value::Long(request);
    let streams = emitted
        .iter()
        .map(|tuple| (tuple.stream.as_str(), tuple.values.clone()));
    let expected = [
        ("default", vec![id(), text("args")]),
        ("id", vec![id()]),
        ("ret", vec![id(), text("info")]),
    ];
    assert!(streams.eq(expected), "{emitted:?}");
    assert!(emitted.iter().all(|tuple| tuple.roots == [1]), "anchored");
    assert!(harness.verdicts().contains(&Verdict::Acked(1)));
}

#[test]
fn ids_of_all_widths_are_one() {
    let of = |value: ValueRef<'_>| RequestKey::from(value);
    assert_eq!(of(ValueRef::Int(7)), of(ValueRef::Long(7)));
    assert_ne!(of(ValueRef::Str("7")), of(ValueRef::Long(7)));
    assert_eq!(of(ValueRef::Str("a")), of(ValueRef::Str("a")));
}

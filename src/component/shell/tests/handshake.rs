//! The handshake, against golden vectors and in a child's hands.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;

use super::*;
use crate::component::multilang::Encoder;
use crate::component::shell::context;
use crate::component::{TopologyView, WorkerPlace};
use crate::id::{ComponentId, TaskId, TopologyId};
use crate::testing::fixtures::{self, Tally};
use crate::topology::{system, tasks};
use crate::wire;
use crate::wire::storm::StormTopology;

#[test]
fn handshakes_are_those_of_storm() {
    let file = "multilang/writes.jsonl";
    let mut tally = Tally::new("multilang/writes.jsonl (handshakes)");
    for case in fixtures::lines(file)
        .iter()
        .filter(|case| case["kind"] == "handshake")
    {
        let ours = parsed(&written(case));
        let theirs: Json = parsed(case["out"]["text"].as_str().unwrap());
        tally.case(ours == theirs, || {
            format!("ours:   {ours}\ntheirs: {theirs}")
        });
    }
    tally.finish(0);
}

/// The order of keys is that of a Java hash map: only what they say is compared.
fn parsed(text: &str) -> Json {
    let message = text.strip_suffix("\nend\n").unwrap();
    assert!(!message.contains('\n'));
    serde_json::from_str(message).unwrap()
}

fn written(case: &Json) -> String {
    let topology = decoded(case["topology_thrift_b64"].as_str().unwrap());
    let conf = |key: &str| Conf::from_json(&case[key].to_string()).unwrap();
    let overrides = conf("effective_topology_conf_overrides");
    let effective = Conf::defaults().overlay(&overrides);
    let system = system::build(&topology, &effective).unwrap();
    let number = |value: &Json| value.to_string().trim_matches('"').parse().unwrap();
    let view = TopologyView {
        topology_id: TopologyId::from("t-1-1"),
        topology,
        task_components: tasks::number(&system, &effective).unwrap(),
    };
    let place = WorkerPlace {
        port: 6700,
        code_dir: "/code".into(),
        pid_dir: case["pid_dir"].as_str().unwrap().into(),
        groups_dir: "/groups".into(),
        ..WorkerPlace::default()
    };
    let component = ComponentId::from(case["component"].as_str().unwrap());
    let context = TaskContext::new(
        (TaskId(number(&case["task"])), component),
        Arc::new(conf("conf_written")),
        (Arc::new(view), Arc::new(place)),
        Waker::idle(),
    );
    let mut out = Vec::new();
    Encoder::default()
        .handshake(&mut out, &context::handshake(&context))
        .unwrap();
    String::from_utf8(out).unwrap()
}

fn decoded(base64: &str) -> StormTopology {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for group in base64.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = group
            .iter()
            .fold(0u32, |bits, c| bits << 6 | u32::from(value(*c)));
        let bits = bits << (6 * (4 - group.len()));
        bytes.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    wire::from_bytes(&bytes).unwrap()
}

#[test]
fn a_child_sees_its_place_its_conf_and_its_environment() {
    let mut rig = Rig::bolt(
        r#"
setup = handshake()
context, conf = setup["context"], setup["conf"]
emit([json.dumps({
    "cwd": os.getcwd(),
    "argv": sys.argv,
    "mark": os.environ.get("MARK"),
    "libraries": os.environ["LD_LIBRARY_PATH"].split(":")[1],
    "leader": os.getpgid(0) == os.getpid(),
    "pid": os.path.exists(os.path.join(setup["pidDir"], str(os.getpid()))),
    "task": context["taskid"],
    "component": context["componentid"],
    "tasks": context["task->component"],
    "nulls": "topology.acker.executors" in conf,
    "own": conf["my.key"],
})])
read()
"#,
        conf(&[
            ("my.key", serde_json::json!([1, null])),
            ("topology.environment", serde_json::json!({"MARK": "here"})),
        ]),
    );
    rig.until("the description", |rig| !rig.emitted.is_empty());
    let resources = rig
        .directory
        .path()
        .canonicalize()
        .unwrap()
        .join("resources");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let seen: BTreeMap<String, Json> = serde_json::from_str(&rig.words()[0]).unwrap();
    let expected = serde_json::json!({
        "cwd": text(&resources),
        "argv": ["child.py"],
        "mark": "here",
        "libraries": text(&rig.directory.path().join("resources")),
        "leader": true,
        "pid": true,
        "task": 1,
        "component": "tested",
        "tasks": {"1": "tested", "7": "source", "8": "sink", "9": "sink"},
        "nulls": true,
        "own": [1, null],
    });
    assert_eq!(serde_json::to_value(seen).unwrap(), expected);
}

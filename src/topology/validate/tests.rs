//! Names, structure and sizes: Storm's recorded verdicts, and our own limits.

use bytes::Bytes;
use serde_json::Value;

use super::*;
use crate::testing::fixtures::{self, Tally};
use crate::topology::{conf::ComponentConfError, system};
use crate::wire;
use crate::wire::storm::{
    Bolt, ComponentCommon, ComponentObject, GlobalStreamId, JavaObject, NullStruct, SharedMemory,
    ShellComponent, SpoutSpec, StreamInfo,
};

fn conf_of(value: &Value) -> Conf {
    Conf::from_json(&value.to_string()).unwrap()
}

fn topology_of(case: &Value) -> StormTopology {
    let bytes = fixtures::base64(case["topology_thrift_b64"].as_str().unwrap());
    wire::from_bytes(&bytes).unwrap()
}

/// Whether our verdict is Storm's: the same class of failure and, where the text is Storm's, the
/// text.
fn agrees(ours: &Result<(), InvalidTopology>, expected: &Value) -> bool {
    let accepted = expected["accepted"].as_bool().unwrap();
    let class = expected["exception"].as_str().unwrap_or("");
    let message = expected["message"].as_str().unwrap_or("");
    match ours {
        Ok(()) => accepted,
        Err(_) if accepted => false,
        Err(InvalidTopology::Refused(text)) => {
            let refusals = ["InvalidTopologyException", "IllegalArgumentException"];
            refusals.iter().any(|refusal| class.ends_with(refusal)) && text == message
        }
        Err(InvalidTopology::ComponentConf {
            cause: ComponentConfError::Json(_),
            ..
        }) => class == "java.lang.RuntimeException",
        Err(InvalidTopology::ComponentConf {
            cause: ComponentConfError::Value { reason, .. },
            ..
        }) => {
            class == "java.lang.IllegalArgumentException" && reason == message
                || class == "java.lang.NumberFormatException"
        }
        Err(InvalidTopology::Conf(_)) => class == "java.lang.IllegalArgumentException",
    }
}

#[test]
fn names_are_judged_as_by_storm() {
    let file = "validation/names.jsonl";
    let mut tally = Tally::new(file);
    for case in fixtures::lines(file) {
        let verdict = name(case["name"].as_str());
        tally.case(agrees(&verdict, &case["result"]), || {
            format!("{case}: {verdict:?}")
        });
    }
    tally.finish(0);
}

#[test]
fn structures_are_judged_as_by_storm() {
    let file = "validation/structure.jsonl";
    let mut tally = Tally::new(file);
    for case in fixtures::lines(file) {
        let topology = topology_of(&case);
        let effective = Conf::defaults().overlay(&conf_of(&case["conf"]));
        let verdicts = [
            ("validate_basic", basic(&topology)),
            ("validate_structure", structure(&topology)),
            (
                "system_topology",
                system::build(&topology, &effective).map(drop),
            ),
        ];
        let derived = system::derive(&topology, &effective).ok();
        // Of several violations Storm reports the one that comes first in its hash order.
        let is_other = |key: &str| {
            let judged = match key {
                "validate_structure" => Some(&topology),
                "system_topology" => derived.as_ref(),
                _ => None,
            };
            let all = judged.into_iter().flat_map(dangling);
            all.map(Err).any(|verdict| agrees(&verdict, &case[key]))
        };
        let wrong = verdicts
            .iter()
            .find(|(key, verdict)| !agrees(verdict, &case[key]) && !is_other(key));
        tally.case(wrong.is_none(), || {
            let (key, verdict) = wrong.unwrap();
            format!(
                "{} {key}: {verdict:?}\n  expected {}",
                case["kind"], case[key]
            )
        });
    }
    tally.finish(0);
}

#[test]
fn sizes_are_judged_as_by_storm() {
    let file = "validation/sizes.jsonl";
    let mut tally = Tally::new(file);
    for case in fixtures::lines(file) {
        let daemon = Conf::defaults().overlay(&conf_of(&case["nimbus_conf"]));
        let effective = daemon.overlay(&conf_of(&case["topology_conf"]));
        let verdict = sizes(&topology_of(&case), &effective, &daemon);
        tally.case(agrees(&verdict, &case["result"]), || {
            format!("{} {}: {verdict:?}", case["executors"], case["result"])
        });
    }
    tally.finish(0);
}

fn shell_spout() -> SpoutSpec {
    let stream = StreamInfo {
        output_fields: vec!["word".to_owned()],
        direct: false,
    };
    SpoutSpec {
        spout_object: ComponentObject::Shell(ShellComponent::default()),
        common: ComponentCommon {
            streams: [("default".to_owned(), stream)].into(),
            ..ComponentCommon::default()
        },
    }
}

fn reader(grouping: Grouping) -> Bolt {
    let source = GlobalStreamId {
        component_id: "lines".to_owned(),
        stream_id: "default".to_owned(),
    };
    Bolt {
        bolt_object: ComponentObject::Shell(ShellComponent::default()),
        common: ComponentCommon {
            inputs: [(source, grouping)].into(),
            ..ComponentCommon::default()
        },
    }
}

fn words() -> StormTopology {
    StormTopology {
        spouts: [("lines".to_owned(), shell_spout())].into(),
        bolts: [(
            "count".to_owned(),
            reader(Grouping::Shuffle(NullStruct::default())),
        )]
        .into(),
        ..StormTopology::default()
    }
}

#[track_caller]
fn refused(verdict: Result<impl std::fmt::Debug, InvalidTopology>, parts: &[&str]) {
    let text = verdict.expect_err("is refused").to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

fn is_native(class: &str) -> bool {
    class == "native.Count"
}

#[test]
fn missing_fields_are_named_in_the_order_of_the_grouping() {
    let mut topology = words();
    let fields = ["z", "word", "a", "z"].map(str::to_owned).to_vec();
    topology
        .bolts
        .insert("count".to_owned(), reader(Grouping::Fields(fields)));
    refused(structure(&topology), &["non-existent fields: [z, a, z]"]);
}

#[test]
fn of_components_that_share_an_id_the_last_subscribes() {
    let mut topology = words();
    let mut spout = shell_spout();
    let source = GlobalStreamId {
        component_id: "nobody".to_owned(),
        stream_id: "default".to_owned(),
    };
    let shuffle = Grouping::Shuffle(NullStruct::default());
    spout.common.inputs = [(source, shuffle)].into();
    topology.spouts.insert("count".to_owned(), spout);
    assert_eq!(structure(&topology), Ok(()));
    refused(basic(&topology), &["Duplicate component ids: [count]"]);
}

#[test]
fn what_needs_a_jvm_is_refused_by_name() {
    assert_eq!(runnable(&words(), &is_native), Ok(()));
    let with = |object: ComponentObject| {
        let mut topology = words();
        topology.bolts.get_mut("count").unwrap().bolt_object = object;
        runnable(&topology, &is_native)
    };
    let class = |class: &str| {
        let full_class_name = class.to_owned();
        ComponentObject::JavaObject(JavaObject {
            full_class_name,
            args_list: Vec::new(),
        })
    };
    let bytes = Bytes::from_static(&[0xac, 0xed]);
    refused(
        with(ComponentObject::SerializedJava(bytes.clone())),
        &["[count]", "Java", "JVM"],
    );
    refused(with(ComponentObject::Unset), &["[count]", "no code"]);
    refused(with(class("my.Bolt")), &["[count]", "[my.Bolt]", "JVM"]);
    assert_eq!(with(class("native.Count")), Ok(()));

    let with = |grouping: Grouping| {
        let mut topology = words();
        topology.bolts.insert("count".to_owned(), reader(grouping));
        runnable(&topology, &is_native)
    };
    let custom = |class: &str| {
        let full_class_name = class.to_owned();
        Grouping::CustomObject(JavaObject {
            full_class_name,
            args_list: Vec::new(),
        })
    };
    refused(
        with(Grouping::Unset),
        &["[count]", "[lines]", "[default]", "without a grouping"],
    );
    refused(
        with(Grouping::CustomSerialized(bytes.clone())),
        &["[count]", "[lines]", "JVM"],
    );
    refused(
        with(custom("my.Grouping")),
        &["[count]", "[lines]", "[my.Grouping]"],
    );
    assert_eq!(
        with(custom("org.apache.storm.grouping.PartialKeyGrouping")),
        Ok(())
    );

    let hooks = StormTopology {
        worker_hooks: Some(vec![bytes]),
        ..words()
    };
    refused(runnable(&hooks, &is_native), &["worker hooks"]);
}

#[test]
fn what_storm_would_choke_on_later_is_refused() {
    let names = || Some([("count".to_owned(), ["cache".to_owned()].into())].into());
    let shared = |memory: Option<f64>| {
        let memory = SharedMemory {
            on_heap: memory,
            ..SharedMemory::default()
        };
        Some([("cache".to_owned(), memory)].into())
    };
    let absent = StormTopology {
        component_to_shared_memory: names(),
        ..words()
    };
    refused(runnable(&absent, &is_native), &["[count]", "[cache]"]);
    let present = StormTopology {
        shared_memory: shared(Some(1.0)),
        ..absent.clone()
    };
    assert_eq!(runnable(&present, &is_native), Ok(()));
    for amount in [f64::NAN, f64::INFINITY, -1.0] {
        let strange = StormTopology {
            shared_memory: shared(Some(amount)),
            ..absent.clone()
        };
        refused(runnable(&strange, &is_native), &["[cache]"]);
    }
    for key in runnable::RESOURCE_KEYS {
        for value in ["-1", "\"NaN\"", "\"much\"", "[]"] {
            let mut topology = words();
            let bolt = topology.bolts.get_mut("count").unwrap();
            bolt.common.json_conf = Some(format!("{{{key:?}: {value}}}"));
            refused(runnable(&topology, &is_native), &["[count]", key]);
        }
    }
}

#[test]
fn a_component_larger_than_a_heap_is_refused_in_storms_words() {
    let mut topology = words();
    let bolt = topology.bolts.get_mut("count").unwrap();
    bolt.common.json_conf = Some(
        r#"{"topology.component.resources.onheap.memory.mb": 1500,
            "topology.component.resources.offheap.memory.mb": "500.0"}"#
            .to_owned(),
    );
    let daemon = Conf::defaults();
    refused(
        heap(&topology, &Conf::default(), &daemon),
        &["TOPOLOGY_WORKER_MAX_HEAP_SIZE_MB=768.0 < 2000.0 (Largest"],
    );
    let submitted = conf_of(&serde_json::json!({"topology.worker.max.heap.size.mb": 2000}));
    assert_eq!(heap(&topology, &submitted, &daemon), Ok(()));
    let small = conf_of(&serde_json::json!({"topology.worker.max.heap.size.mb": 1}));
    assert_eq!(heap(&words(), &small, &daemon), Ok(()));
}

fn with_parallelism(hint: i32) -> StormTopology {
    let mut topology = words();
    topology
        .bolts
        .get_mut("count")
        .unwrap()
        .common
        .parallelism_hint = Some(hint);
    topology
}

#[test]
fn absurd_numbers_hit_a_limit_that_says_its_name() {
    let conf = Conf::defaults();
    let of = |json: Value| conf.overlay(&conf_of(&json));
    for hint in [1_000_000, 2_000_000, i32::MAX] {
        refused(
            system::build(&with_parallelism(hint), &conf),
            &[
                "stormwire.topology.executors.max",
                "[count]",
                &hint.to_string(),
            ],
        );
    }
    for hint in [0, -1, i32::MIN, 10_000] {
        assert!(system::build(&with_parallelism(hint), &conf).is_ok());
    }
    let ackers = of(serde_json::json!({"topology.acker.executors": i32::MAX}));
    refused(
        system::build(&words(), &ackers),
        &["stormwire.topology.executors.max", "[__acker]"],
    );
    let workers = of(serde_json::json!({"topology.workers": i32::MAX}));
    refused(
        system::build(&words(), &workers),
        &["stormwire.topology.executors.max", "[__acker]"],
    );
    let few = of(serde_json::json!({"stormwire.topology.executors.max": 3}));
    assert!(system::build(&with_parallelism(1), &few).is_ok());
    refused(
        system::build(&with_parallelism(2), &few),
        &["requests 4 executors, more than 3"],
    );

    let mut topology = words();
    let bolt = topology.bolts.get_mut("count").unwrap();
    bolt.common.json_conf = Some(r#"{"topology.tasks": 2147483647}"#.to_owned());
    refused(
        system::build(&topology, &conf),
        &["stormwire.topology.tasks.max", "[count]"],
    );
}

#[test]
fn too_many_declarations_are_refused_at_once() {
    let many = |n: usize, bolt: &Bolt| {
        let bolts = (0..n)
            .map(|index| (format!("b{index}"), bolt.clone()))
            .collect();
        StormTopology { bolts, ..words() }
    };
    let plain = reader(Grouping::Direct(NullStruct::default()));
    refused(
        system::build(
            &many(limits::TOPOLOGY_COMPONENTS_MAX, &plain),
            &Conf::defaults(),
        ),
        &["components", "TOPOLOGY_COMPONENTS_MAX"],
    );
    let mut wide = plain.clone();
    let stream = StreamInfo::default();
    wide.common.streams = (0..1000)
        .map(|index| (format!("s{index}"), stream.clone()))
        .collect();
    refused(
        limits(&many(150, &wide), 0),
        &["streams", "TOPOLOGY_STREAMS_MAX"],
    );
    refused(
        limits(&many(5000, &plain), 4000),
        &["subscriptions", "TOPOLOGY_INPUTS_MAX"],
    );
    assert_eq!(limits(&many(5000, &plain), 2), Ok(()));
}

#[test]
fn ids_without_a_place_in_a_log_are_refused() {
    let named = |id: &str| {
        let mut topology = words();
        topology.spouts.insert(id.to_owned(), shell_spout());
        limits(&topology, 0)
    };
    refused(named("a\0b"), &["NUL", "a\\0b"]);
    refused(
        named(&"x".repeat(5000)),
        &["TOPOLOGY_ID_BYTES_MAX", "5000 bytes"],
    );
    assert_eq!(named("a/b %2F \u{1f600}"), Ok(()));
    let mut topology = words();
    let spout = topology.spouts.get_mut("lines").unwrap();
    spout
        .common
        .streams
        .insert("s\0".to_owned(), StreamInfo::default());
    refused(limits(&topology, 0), &["Stream", "NUL"]);
}

#[test]
fn names_that_no_file_can_carry_are_refused() {
    for name in [
        "ok",
        " ",
        "\u{65e5}\u{672c}",
        "a-b_c",
        "__sys",
        &"n".repeat(200),
    ] {
        assert_eq!(storable_name(name), Ok(()), "{name:?}");
    }
    for name in ["a%2Fb", "a\nb", "a\0b", "\u{2215}", "a#b", ".."] {
        refused(storable_name(name), &["Topology name"]);
    }
    assert_eq!(name_length(&"n".repeat(200)), Ok(()));
    refused(name_length(&"n".repeat(201)), &["TOPOLOGY_NAME_BYTES_MAX"]);
}

#[test]
fn a_long_chain_and_a_cycle_are_walked_without_recursion() {
    let bolt = |from: usize| {
        let mut bolt = reader(Grouping::Shuffle(NullStruct::default()));
        let source = GlobalStreamId {
            component_id: format!("b{from}"),
            stream_id: "default".to_owned(),
        };
        bolt.common.inputs = [(source, Grouping::Fields(vec!["word".to_owned()]))].into();
        bolt.common.streams = shell_spout().common.streams;
        bolt
    };
    let n = 9000;
    let chain = (0..n)
        .map(|index| (format!("b{index}"), bolt((index + 1) % n)))
        .collect();
    let topology = StormTopology {
        bolts: chain,
        ..StormTopology::default()
    };
    assert!(system::build(&topology, &Conf::defaults()).is_ok());
}

#[test]
fn reasons_do_not_grow_with_what_they_quote() {
    let long = "x".repeat(1 << 20);
    let mut topology = words();
    let bolt = topology.bolts.get_mut("count").unwrap();
    bolt.bolt_object = ComponentObject::JavaObject(JavaObject {
        full_class_name: long.clone(),
        args_list: Vec::new(),
    });
    let fields = (0..50_000).map(|index| format!("field{index}")).collect();
    bolt.common.inputs = reader(Grouping::Fields(fields)).common.inputs;
    let mut spoilt = words();
    let bolt = spoilt.bolts.get_mut("count").unwrap();
    bolt.common.json_conf = Some(format!(r#"{{"topology.tasks": "{long}"}}"#));
    let conf = Conf::defaults();
    let lists = conf_of(&serde_json::json!({"topology.metrics.consumer.register": [long]}));
    for verdict in [
        name(Some(&format!("{long}/"))),
        runnable(&topology, &is_native),
        structure(&topology),
        basic(&spoilt),
        system::build(&words(), &conf.overlay(&lists)).map(drop),
    ] {
        let text = verdict.expect_err("is refused").to_string();
        assert!(
            text.len() <= crate::limits::ERROR_TEXT_BYTES_MAX + 100,
            "{}",
            text.len()
        );
    }
}

#[test]
fn what_fills_a_frame_with_components_is_refused_before_any_work() {
    let spout = shell_spout();
    let spouts = (0..300_000)
        .map(|index| (format!("s{index}"), spout.clone()))
        .collect();
    let topology = StormTopology {
        spouts,
        ..StormTopology::default()
    };
    refused(
        normalise::conf(&Conf::defaults(), &Conf::new(), &topology),
        &["300000 components", "TOPOLOGY_COMPONENTS_MAX"],
    );
}

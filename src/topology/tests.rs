//! Normalisation, system topology and numbering against Storm's recorded ones.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::conf::{Conf, keys};
use crate::testing::fixtures::{self, Tally};
use crate::wire;
use crate::wire::storm::GlobalStreamId;

fn conf_of(value: &Value) -> Conf {
    Conf::from_json(&value.to_string()).unwrap()
}

fn topology_of(case: &Value) -> StormTopology {
    let bytes = fixtures::base64(case["topology_thrift_b64"].as_str().unwrap());
    wire::from_bytes(&bytes).unwrap()
}

fn parsed(json_conf: &Option<String>) -> Value {
    json_conf
        .as_deref()
        .map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}

fn shown_grouping(grouping: &Grouping) -> Value {
    let (kind, value) = match grouping {
        Grouping::Unset => ("unset", Value::Null),
        Grouping::Fields(fields) => ("fields", json!(fields)),
        Grouping::Shuffle(_) => ("shuffle", Value::Null),
        Grouping::All(_) => ("all", Value::Null),
        Grouping::None(_) => ("none", Value::Null),
        Grouping::Direct(_) => ("direct", Value::Null),
        Grouping::LocalOrShuffle(_) => ("local_or_shuffle", Value::Null),
        Grouping::CustomObject(object) => (
            "custom_object",
            json!({"full_class_name": object.full_class_name}),
        ),
        Grouping::CustomSerialized(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            ("custom_serialized", json!(hex))
        }
    };
    json!({"type": kind, "value": value})
}

/// A system topology in the form of the golden vectors, inputs in their order.
fn shown(system: &StormTopology) -> Value {
    let component = |component: Component<'_>| {
        let kind = match component.kind {
            ComponentKind::Spout => "spout",
            ComponentKind::Bolt => "bolt",
            ComponentKind::StateSpout => "state_spout",
        };
        let mut inputs: Vec<(&GlobalStreamId, &Grouping)> =
            component.common.inputs.iter().collect();
        inputs.sort_by(|(a, _), (b, _)| {
            java_order(&a.component_id, &b.component_id)
                .then_with(|| java_order(&a.stream_id, &b.stream_id))
        });
        let input = |(from, grouping): (&GlobalStreamId, &Grouping)| {
            json!({"component": from.component_id, "stream": from.stream_id,
                   "grouping": shown_grouping(grouping)})
        };
        let stream = |(id, info): (&String, &StreamInfo)| {
            (
                id.clone(),
                json!({"fields": info.output_fields, "direct": info.direct}),
            )
        };
        let shown = json!({
            "kind": kind,
            "inputs": inputs.into_iter().map(input).collect::<Vec<_>>(),
            "streams": component.common.streams.iter().map(stream).collect::<Value>(),
            "parallelism_hint": component.common.parallelism_hint,
            "json_conf": parsed(&component.common.json_conf),
        });
        (component.id.to_owned(), shown)
    };
    components(system).map(component).collect()
}

/// What Nimbus would do with a submission, in the form of the golden vectors.
fn normalised(case: &Value) -> Result<Value, InvalidTopology> {
    let (daemon, user) = (Conf::defaults(), topology_of(case));
    let conf = normalise::conf(&daemon, &conf_of(&case["conf"]), &user)?;
    let mut effective = daemon.overlay(&conf);
    let mut ras = Value::Null;
    if case["kind"] == "ras" {
        let numbers = normalise::resource_aware(&user, &effective)?;
        ras = json!({
            "estimated_workers": numbers.estimated_workers,
            keys::TOPOLOGY_ACKER_EXECUTORS: numbers.acker_executors,
            keys::TOPOLOGY_RAS_ACKER_EXECUTORS_PER_WORKER: numbers.acker_executors_per_worker,
            keys::TOPOLOGY_EVENTLOGGER_EXECUTORS: numbers.event_logger_executors,
        });
        effective.set(keys::TOPOLOGY_ACKER_EXECUTORS, numbers.acker_executors);
        effective.set(
            keys::TOPOLOGY_EVENTLOGGER_EXECUTORS,
            numbers.event_logger_executors,
        );
    }
    let stored = normalise::topology(&user, &effective)?;
    let own = |c: Component<'_>| (c.id.to_owned(), parsed(&c.common.json_conf));
    let system = system::build(&stored, &effective)?;
    let tasks = tasks::number(&system, &effective)?;
    let parallelism = tasks::parallelism(&system);
    let mut executors: BTreeMap<String, Vec<[i32; 2]>> = BTreeMap::new();
    for (executor, component) in tasks::executors(&tasks, &parallelism) {
        let runs = executors.entry(component.to_string()).or_default();
        runs.push([executor.first.0, executor.last.0]);
    }
    let task = |(id, component): (&crate::id::TaskId, &ComponentId)| {
        (id.to_string(), json!(component.as_str()))
    };
    let wish = |(component, n): (&ComponentId, &i32)| (component.to_string(), json!(n));
    let (n_ackers, n_loggers) = (
        system::n_ackers(&effective)?,
        system::n_event_loggers(&effective)?,
    );
    Ok(json!({
        "normalized_conf": serde_json::from_str::<Value>(&conf.to_json()).unwrap(),
        "normalized_component_conf": components(&stored).map(own).collect::<Value>(),
        "system_topology": shown(&system),
        "task_to_component": tasks.iter().map(task).collect::<Value>(),
        "component_executors": parallelism.iter().map(wish).collect::<Value>(),
        "executors": executors,
        "ackers": n_ackers,
        "event_loggers": n_loggers,
        "has_ackers": n_ackers > 0,
        "has_event_loggers": n_loggers > 0,
        "ras": ras,
    }))
}

/// Decorators come in hash order from Storm.
fn sort_decorators(value: &mut Value) {
    if let Some(list) = value["normalized_conf"][keys::TOPOLOGY_KRYO_DECORATORS].as_array_mut() {
        list.sort_by_key(Value::to_string);
    }
}

#[test]
fn normalises_and_numbers_as_storm_does() {
    let file = "topology-normalisation/topologies.jsonl";
    let mut tally = Tally::new(file);
    for mut case in fixtures::lines(file) {
        let mut ours =
            normalised(&case).unwrap_or_else(|error| json!({"error": error.to_string()}));
        sort_decorators(&mut case);
        sort_decorators(&mut ours);
        let differs = |key: &&String| case.get(key.as_str()) != ours.get(key.as_str());
        let known = ["kind", "conf", "topology_thrift_b64"];
        let expected = case
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| !known.contains(&key.as_str()));
        let different: Vec<&String> = expected.filter(differs).collect();
        tally.case(different.is_empty(), || {
            let first = different[0].as_str();
            format!(
                "{different:?}: {}\n  expected {}\n  {}",
                ours[first], case[first], ours["error"]
            )
        });
    }
    tally.finish(0);
}

#[test]
fn java_orders_text_by_code_units() {
    let mut ids = [
        "\u{ff5e}wide",
        "a",
        "\u{1f600}s",
        "__acker",
        "Z",
        "$x",
        "~t",
        "\u{e9}t",
    ];
    ids.sort_by(|a, b| java_order(a, b));
    assert_eq!(
        ids,
        [
            "$x",
            "Z",
            "__acker",
            "a",
            "~t",
            "\u{e9}t",
            "\u{1f600}s",
            "\u{ff5e}wide"
        ]
    );
}

fn shell(inputs: &[(&str, &str, Grouping)]) -> crate::wire::storm::Bolt {
    use crate::wire::storm::{Bolt, ShellComponent};
    let input = |(component, stream, grouping): &(&str, &str, Grouping)| {
        let (component_id, stream_id) = ((*component).to_owned(), (*stream).to_owned());
        (
            GlobalStreamId {
                component_id,
                stream_id,
            },
            grouping.clone(),
        )
    };
    let fields = vec!["word".to_owned()];
    Bolt {
        bolt_object: ComponentObject::Shell(ShellComponent::default()),
        common: ComponentCommon {
            inputs: inputs.iter().map(input).collect(),
            streams: [(
                DEFAULT_STREAM.to_owned(),
                StreamInfo {
                    output_fields: fields,
                    direct: false,
                },
            )]
            .into(),
            ..ComponentCommon::default()
        },
    }
}

#[test]
fn finds_who_reads_what() {
    let by_word = Grouping::Fields(vec!["word".to_owned()]);
    let topology = StormTopology {
        bolts: [
            ("a".to_owned(), shell(&[])),
            (
                "\u{ff5e}".to_owned(),
                shell(&[("a", DEFAULT_STREAM, by_word.clone())]),
            ),
            (
                "\u{1f600}".to_owned(),
                shell(&[("a", DEFAULT_STREAM, Grouping::Unset)]),
            ),
        ]
        .into(),
        ..StormTopology::default()
    };
    let readers = subscribers(&topology, &"a".into());
    let expected = vec![
        ("\u{1f600}".into(), Grouping::Unset),
        ("\u{ff5e}".into(), by_word),
    ];
    assert_eq!(readers, BTreeMap::from([(DEFAULT_STREAM.into(), expected)]));
    assert!(subscribers(&topology, &"\u{ff5e}".into()).is_empty());
    let declared: Vec<String> = streams(&topology)
        .into_iter()
        .map(|s| s.component.to_string())
        .collect();
    assert_eq!(declared, ["a", "\u{1f600}", "\u{ff5e}"]);
}

#[test]
fn numbers_the_streams_of_a_system_topology_as_storm_does() {
    let conf = Conf::defaults();
    let topology = StormTopology {
        bolts: [("b".to_owned(), shell(&[]))].into(),
        ..StormTopology::default()
    };
    let topology = normalise::topology(&topology, &conf).unwrap();
    let system = system::build(&topology, &conf).unwrap();
    let of = |id: &str| -> Vec<String> {
        let all = streams(&system).into_iter();
        all.filter(|s| s.component.as_str() == id)
            .map(|s| s.stream.to_string())
            .collect()
    };
    let acker = [
        "__ack_ack",
        "__ack_fail",
        "__ack_reset_timeout",
        "__metrics",
        "__system",
    ];
    assert_eq!(of(ACKER), acker);
    assert_eq!(of("b"), [&acker[..], &["default"]].concat());
    assert_eq!(
        of(SYSTEM),
        [
            "__flush",
            "__metrics",
            "__metrics_tick",
            "__system",
            "__tick"
        ]
    );
    let names: BTreeSet<String> = streams(&system)
        .into_iter()
        .map(|s| s.component.to_string())
        .collect();
    assert_eq!(
        names,
        BTreeSet::from([ACKER.into(), SYSTEM.into(), "b".into()])
    );
}

#[test]
fn knows_the_partial_key_grouping_by_its_class() {
    let of = |class: &str, args_list: Vec<JavaObjectArg>| {
        custom_grouping(&JavaObject {
            full_class_name: class.to_owned(),
            args_list,
        })
    };
    let word = JavaObjectArg::StringArg("word".to_owned());
    let class = "org.apache.storm.grouping.PartialKeyGrouping";
    let by_word = CustomGrouping::PartialKey(vec!["word".to_owned()]);
    assert_eq!(of(class, vec![word.clone()]), Some(by_word.clone()));
    assert_eq!(
        of(
            "backtype.storm.grouping.PartialKeyGrouping",
            vec![word.clone()]
        ),
        Some(by_word)
    );
    assert_eq!(of(class, vec![]), Some(CustomGrouping::PartialKey(vec![])));
    assert_eq!(of(class, vec![JavaObjectArg::IntArg(1)]), None);
    assert_eq!(of("grouping.PartialKeyGrouping", vec![word.clone()]), None);
    assert_eq!(of("my.Grouping", vec![word.clone()]), None);
    let first = "org.apache.storm.testing.NGrouping";
    let one = vec![JavaObjectArg::IntArg(1)];
    assert_eq!(of(first, one), Some(CustomGrouping::First(1)));
    assert_eq!(of(first, vec![JavaObjectArg::IntArg(-1)]), None);
    assert_eq!(of(first, vec![word]), None);
}

//! What a builder makes: the same structures as Storm's, and errors that name what is wrong.

use std::time::Duration;

use super::*;
use crate::component::window::{Window, WindowCollector};
use crate::component::{
    Blueprint, Collector, Factory, Instance, Result as ComponentResult, SpoutCollector,
};
use crate::grouping::{Choice, CustomGrouping, GroupedStream};
use crate::id::{ComponentId, TaskId};
use crate::tuple::{Tuple, ValueRef};
use crate::values;
use crate::wire::storm::{Grouping, NullStruct, StreamInfo};

struct Words;

impl Spout for Words {
    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> ComponentResult<()> {
        out.emit(values!["a"])
    }
}

#[derive(Default)]
struct Drop;

impl Bolt for Drop {
    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> ComponentResult<()> {
        out.ack(tuple);
        Ok(())
    }
}

fn words() -> TopologyBuilder {
    let mut topology = TopologyBuilder::new();
    topology
        .set_spout("words", 3, || Words)
        .output_fields(["word", "n"])
        .stream("late", ["word"])
        .direct_stream("control", ["order"]);
    topology
}

fn input(component: &str, stream: &str) -> GlobalStreamId {
    GlobalStreamId {
        component_id: component.to_owned(),
        stream_id: stream.to_owned(),
    }
}

fn info(fields: &[&str], direct: bool) -> StreamInfo {
    let output_fields = fields.iter().map(|field| (*field).to_owned()).collect();
    StreamInfo {
        output_fields,
        direct,
    }
}

/// A subscription of each kind but the custom ones.
fn every_grouping() -> Topology {
    let mut topology = words();
    topology
        .set_bolt("count", 2, Drop::default)
        .fields_grouping("words", ["word"])
        .all_grouping(("words", "late"))
        .direct_grouping(("words", "control"))
        .output_fields(["word", "count"])
        .tasks(4)
        .tick_every(Duration::from_secs(2))
        .cpu_percent(25.0);
    topology
        .set_bolt("sum", 1, || Drop)
        .global_grouping("count")
        .none_grouping("words")
        .partial_key_grouping(("words", "late"), ["word"]);
    topology
        .set_bolt_object("python", 1, shell("python3", "split.py"))
        .shuffle_grouping("count")
        .local_or_shuffle_grouping("words");
    topology.workers(2).ackers(1).max_spout_pending(100);
    topology.build().expect("no mistakes")
}

#[test]
fn makes_what_storms_builder_makes() {
    let built = every_grouping();
    let spout = &built.wire.spouts["words"];
    assert_eq!(spout.common.parallelism_hint, Some(3));
    assert_eq!(spout.common.json_conf, None);
    assert_eq!(spout.common.inputs.len(), 0);
    let streams = [
        ("default".to_owned(), info(&["word", "n"], false)),
        ("late".to_owned(), info(&["word"], false)),
        ("control".to_owned(), info(&["order"], true)),
    ];
    assert_eq!(spout.common.streams, streams.into());

    let null = NullStruct::default;
    let count = &built.wire.bolts["count"].common;
    let inputs = [
        (
            input("words", "default"),
            Grouping::Fields(vec!["word".to_owned()]),
        ),
        (input("words", "late"), Grouping::All(null())),
        (input("words", "control"), Grouping::Direct(null())),
    ];
    assert_eq!(count.inputs, inputs.into());
    let conf = Conf::from_json(count.json_conf.as_deref().expect("a conf")).expect("JSON");
    let expected = Conf::new()
        .with(keys::TOPOLOGY_TASKS, 4)
        .with(keys::TOPOLOGY_TICK_TUPLE_FREQ_SECS, 2)
        .with(keys::TOPOLOGY_COMPONENT_CPU_PCORE_PERCENT, 25.0);
    assert_eq!(conf, expected);

    let sum = &built.wire.bolts["sum"].common.inputs;
    assert_eq!(
        sum[&input("count", "default")],
        Grouping::Fields(Vec::new())
    );
    assert_eq!(sum[&input("words", "default")], Grouping::None(null()));
    let partial = topology::custom_grouping(match &sum[&input("words", "late")] {
        Grouping::CustomObject(object) => object,
        other => panic!("{other:?}"),
    });
    let by_word = topology::CustomGrouping::PartialKey(vec!["word".to_owned()]);
    assert_eq!(partial, Some(by_word));

    let python = &built.wire.bolts["python"];
    assert_eq!(python.bolt_object, shell("python3", "split.py"));
    let inputs = [
        (input("count", "default"), Grouping::Shuffle(null())),
        (input("words", "default"), Grouping::LocalOrShuffle(null())),
    ];
    assert_eq!(python.common.inputs, inputs.into());
    assert_eq!(
        built.conf,
        Conf::new()
            .with(keys::TOPOLOGY_WORKERS, 2)
            .with(keys::TOPOLOGY_ACKER_EXECUTORS, 1)
            .with(keys::TOPOLOGY_MAX_SPOUT_PENDING, 100)
    );
}

#[track_caller]
fn check_mistakes(topology: TopologyBuilder, expected: &[&str]) {
    let error = topology.build().err().expect("mistakes");
    let found: Vec<String> = error.mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{expected:?} is not in {found:?}");
        assert!(error.to_string().contains(found));
    }
}

#[test]
fn mistakes_in_components() {
    let mut topology = words();
    topology.set_bolt("words", 1, || Drop);
    topology.set_bolt("__acker", 0, || Drop);
    topology
        .set_bolt("twice", 1, || Drop)
        .output_fields(["a", "b", "a"])
        .output_fields(["a"])
        .stream("__ack_init", ["a"])
        .tick_every(Duration::from_millis(1500))
        .conf(keys::TOPOLOGY_WORKERS, 3);
    check_mistakes(
        topology,
        &[
            "two components `words`",
            "`__acker`: ids that begin with `__`",
            "`__acker` has 0 executors",
            "two fields `a` on its stream `default`",
            "`twice` declares the stream `default` twice",
            "stream ids that begin with `__` are Storm's: `__ack_init`",
            "not each 1.5s",
            "sets `topology.workers`",
        ],
    );
}

#[test]
fn mistakes_in_subscriptions() {
    let mut topology = words();
    topology
        .set_bolt("count", 1, || Drop)
        .fields_grouping("words", ["wort"])
        .shuffle_grouping("wrods")
        .shuffle_grouping(("words", "later"))
        .shuffle_grouping(("words", "control"))
        .direct_grouping(("words", "late"))
        .partial_key_grouping(("words", "late"), ["n"]);
    topology
        .set_bolt("sum", 1, || Drop)
        .shuffle_grouping("count")
        .fields_grouping("words", [] as [&str; 0]);
    check_mistakes(
        topology,
        &[
            "groups by the field `wort`, which the stream `default` of `words` has not: it has \
             `word`, `n`",
            "subscribes to `wrods`, which is no component: there are `words`, `count`, `sum`",
            "stream `later` of `words`, which declares `default`, `late`, `control`",
            "takes the direct stream `control` of `words`",
            "takes the stream `late` of `words` by direct grouping",
            "subscribes to the stream `late` of `words` twice",
            "groups by the field `n`, which the stream `late`",
            "`sum` groups by no fields",
            "stream `default` of `count`, which declares none",
        ],
    );
}

struct Nothing;

impl WindowedBolt for Nothing {
    fn execute(
        &mut self,
        _window: &Window<'_>,
        _out: &mut WindowCollector<'_>,
    ) -> ComponentResult<()> {
        Ok(())
    }
}

#[test]
fn windows_are_confs_of_their_components_and_checked() {
    let second = WindowConfig::new().with_tumbling_window(Duration::from_secs(1));
    let mut topology = words();
    topology
        .set_windowed_bolt("good", 1, second.clone(), || Nothing)
        .shuffle_grouping("words");
    let built = topology.build().expect("no mistakes");
    let good = &built.wire.bolts["good"];
    let conf = Conf::from_json(good.common.json_conf.as_deref().expect("a conf")).expect("JSON");
    assert_eq!(conf, second.to_conf());
    let made = built
        .parts
        .create(&ComponentId::from("good"), Blueprint::Bolt(good));
    assert!(matches!(made, Ok(Instance::Bolt(_))));

    let mut topology = words();
    let long = WindowConfig::new().with_tumbling_window(Duration::from_secs(20));
    topology
        .set_windowed_bolt("long", 1, long, || Nothing)
        .shuffle_grouping("words");
    let late = second
        .with_timestamp_field("n")
        .with_late_tuple_stream("too-late");
    topology
        .set_windowed_bolt("late", 1, late, || Nothing)
        .shuffle_grouping("words");
    check_mistakes(
        topology,
        &[
            "`long`: Window duration (length + sliding interval) value 40000",
            "`late`: Stream for late tuples `too-late` is not declared",
        ],
    );
}

#[test]
fn what_nimbus_would_refuse_is_refused_here() {
    let mut topology = words();
    topology
        .set_bolt("many", 1, || Drop)
        .shuffle_grouping("words")
        .tasks(100_000_000);
    check_mistakes(topology, &["stormwire.topology.tasks.max"]);
}

/// To each task in turn.
#[derive(Clone, Default)]
struct InTurn {
    n_tasks: usize,
    next: usize,
}

impl CustomGrouping for InTurn {
    fn prepare(&mut self, stream: &GroupedStream<'_>) {
        self.n_tasks = stream.tasks.len();
    }

    fn choose_tasks(&mut self, choice: &Choice<'_>, chosen: &mut Vec<TaskId>) {
        chosen.push(choice.tasks[self.next]);
        self.next = (self.next + 1) % self.n_tasks;
    }
}

#[test]
fn parts_are_found_by_their_ids() {
    let mut topology = words();
    topology
        .set_bolt("count", 2, || Drop)
        .custom_grouping("words", |choice: &Choice<'_>| match choice.values {
            [ValueRef::Str(word), _] => choice.tasks.get(word.len()).copied(),
            _ => None,
        })
        .custom_grouping(("words", "late"), InTurn::default());
    topology
        .set_bolt_object("null", 1, built_in("stormwire.NullBolt", []))
        .shuffle_grouping("words");
    let built = topology.build().expect("no mistakes");
    let (spout, bolts) = (&built.wire.spouts["words"], &built.wire.bolts);
    let make = |id: &str, blueprint| built.parts.create(&ComponentId::from(id), blueprint);
    assert!(matches!(
        make("words", Blueprint::Spout(spout)),
        Ok(Instance::Spout(_))
    ));
    for bolt in ["count", "null"] {
        assert!(matches!(
            make(bolt, Blueprint::Bolt(&bolts[bolt])),
            Ok(Instance::Bolt(_))
        ));
    }
    let other = make("other", Blueprint::Spout(spout))
        .err()
        .expect("absent");
    assert!(other.to_string().contains("spout other"), "{other}");
    let wrong = make("words", Blueprint::Bolt(&bolts["count"]));
    assert!(wrong.is_err(), "a spout is no bolt");

    let count = ComponentId::from("count");
    let own = Grouping::CustomObject(match built_in(topology::PROGRAM, []) {
        ComponentObject::JavaObject(object) => object,
        other => panic!("{other:?}"),
    });
    for stream in ["default", "late"] {
        let stream = input("words", stream);
        assert_eq!(bolts["count"].common.inputs[&stream], own);
        let grouping = built.parts.grouping(&count, &stream);
        let mut grouping = grouping.expect("the program's own");
        let choice = Choice {
            source: TaskId(1),
            values: &values!["", 1],
            tasks: &[TaskId(7)],
        };
        let mut chosen = Vec::new();
        let info = crate::tuple::Fields::new(["word"]).expect("no repeats");
        grouping.prepare(&GroupedStream {
            source: &ComponentId::from("words"),
            stream: &crate::id::StreamId::from("default"),
            fields: &info,
            subscriber: &count,
            tasks: &[TaskId(7)],
        });
        grouping.choose_tasks(&choice, &mut chosen);
        assert_eq!(chosen, [TaskId(7)]);
    }
    let stranger = built
        .parts
        .grouping(&ComponentId::from("null"), &input("words", "default"));
    assert!(stranger.is_err());
}

#[test]
fn a_program_that_cannot_build_says_why_for_each_component() {
    let built = words().build().expect("no mistakes");
    let spout = Blueprint::Spout(&built.wire.spouts["words"]);
    let broken = Parts::broken("no file words.txt");
    let made = broken.create(&ComponentId::from("words"), spout);
    let failure = made.err().expect("broken").to_string();
    assert!(
        failure.contains("spout words") && failure.contains("words.txt"),
        "{failure}"
    );
}

#[test]
fn settings_are_judged_with_all_the_rest() {
    let mut topology = words();
    topology
        .set_bolt("drop", 1, Drop::default)
        .shuffle_grouping("wrods");
    topology
        .conf("topology.max.spout.pending", "many")
        .workers(0)
        .message_timeout(Duration::from_millis(1_500));
    let error = topology.build().err().expect("mistakes").to_string();
    for told in [
        "subscribes to `wrods`",
        "the setting `topology.max.spout.pending` cannot be \"many\": ",
        "the setting `topology.workers` cannot be 0: ",
        "`-c topology.workers=...`",
        "not after 1.5s",
    ] {
        assert!(error.contains(told), "{told}: {error}");
    }
}

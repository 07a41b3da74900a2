//! The topologies of the runs, as a client of Nimbus builds them, and their jars.

use std::io::{Cursor, Write};
use std::time::Duration;

use stormwire::testing::ledger::Ledger;
use stormwire::window::WindowConfig;
use stormwire::wire::storm::{
    Bolt, ComponentCommon, ComponentObject, GlobalStreamId, Grouping, JavaObject, JavaObjectArg,
    NullStruct, ShellComponent, SpoutSpec, StormTopology, StreamInfo,
};

use crate::run::{self, Relay};

/// Spout, relay, sink: two executors of each, over two workers.
pub fn ledger_topology(ledger: &Ledger, relay: Relay) -> StormTopology {
    let text = |path: std::path::PathBuf| JavaObjectArg::StringArg(path.display().to_string());
    let spout = SpoutSpec {
        spout_object: ComponentObject::JavaObject(JavaObject {
            full_class_name: "stormwire.testing.LedgerSpout".to_owned(),
            args_list: vec![text(ledger.source()), text(ledger.positions())],
        }),
        common: common(&["partition", "seq", "attempt"], run::N_SPOUTS as i32),
    };
    let fields = ["partition", "seq", "attempt"];
    let is_keyed = relay == Relay::Keyed;
    let relay = match relay {
        Relay::Shell => {
            let relay = ComponentObject::Shell(ShellComponent {
                execution_command: Some("python3".to_owned()),
                script: Some("relay.py".to_owned()),
            });
            bolt(relay, "source", &fields)
        }
        Relay::Native | Relay::Keyed | Relay::Program(_) => {
            let relay = ComponentObject::JavaObject(JavaObject {
                full_class_name: "stormwire.IdBolt".to_owned(),
                args_list: Vec::new(),
            });
            let mut relay = bolt(relay, "source", &fields);
            group_by_partition(&mut relay);
            relay.common.json_conf = Some(r#"{"topology.tasks": 6}"#.to_owned());
            relay
        }
        Relay::Windows => {
            let relay = ComponentObject::JavaObject(JavaObject {
                full_class_name: "stormwire.WindowPass".to_owned(),
                args_list: Vec::new(),
            });
            let config = WindowConfig::new()
                .with_window(Duration::from_millis(200), Duration::from_millis(50));
            let mut relay = bolt(relay, "source", &fields);
            relay.common.json_conf = Some(config.to_conf().to_json());
            relay
        }
    };
    let sink = ComponentObject::JavaObject(JavaObject {
        full_class_name: "stormwire.testing.LedgerSink".to_owned(),
        args_list: vec![text(ledger.sink())],
    });
    let mut topology = StormTopology::default();
    topology.spouts.insert("source".to_owned(), spout);
    topology.bolts.insert("relay".to_owned(), relay);
    let mut sink = bolt(sink, "relay", &[]);
    if is_keyed {
        group_by_partition(&mut sink);
    }
    sink.common.json_conf = Some(r#"{"topology.tasks": 3}"#.to_owned());
    topology.bolts.insert("sink".to_owned(), sink);
    topology
}

fn group_by_partition(bolt: &mut Bolt) {
    for grouping in bolt.common.inputs.values_mut() {
        *grouping = Grouping::Fields(vec!["partition".to_owned()]);
    }
}

/// A timer and nothing else.
pub fn idle_topology() -> StormTopology {
    let timer = SpoutSpec {
        spout_object: ComponentObject::JavaObject(JavaObject {
            full_class_name: "stormwire.TimerSpout".to_owned(),
            args_list: vec![JavaObjectArg::LongArg(1_000)],
        }),
        common: common(&["sequence", "ms"], 1),
    };
    let mut topology = StormTopology::default();
    topology.spouts.insert("timer".to_owned(), timer);
    topology
}

/// A timer that is quick, and three tasks that get what it emits.
pub fn near_topology() -> StormTopology {
    let mut topology = idle_topology();
    if let Some(timer) = topology.spouts.get_mut("timer")
        && let ComponentObject::JavaObject(object) = &mut timer.spout_object
    {
        object.args_list = vec![JavaObjectArg::LongArg(5)];
    }
    let relay = ComponentObject::JavaObject(JavaObject {
        full_class_name: "stormwire.IdBolt".to_owned(),
        args_list: Vec::new(),
    });
    let mut relay = bolt(relay, "timer", &["sequence", "ms"]);
    relay.common.parallelism_hint = Some(3);
    topology.bolts.insert("relay".to_owned(), relay);
    topology
}

/// A timer, and a shell bolt whose program does not exist.
pub fn crashing_topology() -> StormTopology {
    let mut topology = idle_topology();
    let crasher = bolt(
        ComponentObject::Shell(ShellComponent {
            execution_command: Some("no-such-program".to_owned()),
            script: Some("x".to_owned()),
        }),
        "timer",
        &[],
    );
    topology.bolts.insert("crasher".to_owned(), crasher);
    topology
}

fn bolt(object: ComponentObject, source: &str, fields: &[&str]) -> Bolt {
    let mut common = common(fields, 2);
    let from = GlobalStreamId {
        component_id: source.to_owned(),
        stream_id: "default".to_owned(),
    };
    common
        .inputs
        .insert(from, Grouping::Shuffle(NullStruct::default()));
    Bolt {
        bolt_object: object,
        common,
    }
}

fn common(fields: &[&str], parallelism: i32) -> ComponentCommon {
    let output_fields = fields.iter().map(|field| (*field).to_owned()).collect();
    let stream = StreamInfo {
        output_fields,
        direct: false,
    };
    ComponentCommon {
        streams: [("default".to_owned(), stream)].into(),
        parallelism_hint: Some(parallelism),
        ..ComponentCommon::default()
    }
}

pub fn jar(scripts: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.add_directory("resources/", options)
        .expect("a zip in memory");
    for (name, text) in scripts {
        zip.start_file(format!("resources/{name}"), options)
            .expect("a zip in memory");
        zip.write_all(text.as_bytes()).expect("a zip in memory");
    }
    zip.finish().expect("a zip in memory").into_inner()
}

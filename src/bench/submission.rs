//! The topologies that benchmarks submit, and how they do it: as any Thrift client would.
//!
//! Knows no cluster and no clock.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};
use std::path::Path;

use anyhow::{Context, Result};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::conf::{Conf, keys};
use crate::rpc::client::Connection;
use crate::wire::storm::nimbus::Client;
use crate::wire::storm::{
    Bolt, ComponentCommon, ComponentObject, GlobalStreamId, Grouping, JavaObject, JavaObjectArg,
    NullStruct, SpoutSpec, StormTopology, StreamInfo,
};

/// A client of a Nimbus.
pub type Nimbus = Client<Connection>;

/// Uploads an empty jar; gives its place. It may be used again and again.
pub async fn upload_jar(nimbus: &mut Nimbus) -> Result<String> {
    upload_jar_of(nimbus, 0).await
}

/// Uploads a jar with a file of so many bytes that cannot be packed, in chunks as Storm's clients
/// do.
pub async fn upload_jar_of(nimbus: &mut Nimbus, n_bytes: usize) -> Result<String> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_directory("resources/", SimpleFileOptions::default())?;
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    zip.start_file("ballast", stored)?;
    zip.write_all(&vec![7; n_bytes])?;
    let jar = zip.finish()?.into_inner();
    let location = nimbus.begin_file_upload().await?;
    for chunk in jar.chunks(CHUNK_BYTES) {
        nimbus.upload_chunk(Some(&location), Some(chunk)).await?;
    }
    nimbus.finish_file_upload(Some(&location)).await?;
    Ok(location)
}

/// Submits with one worker and no ackers.
pub async fn submit(
    nimbus: &mut Nimbus,
    name: &str,
    jar: &str,
    topology: &StormTopology,
) -> Result<()> {
    submit_acked(nimbus, (name, jar), topology, 0).await
}

/// Submits with one worker and so many ackers.
pub async fn submit_acked(
    nimbus: &mut Nimbus,
    (name, jar): (&str, &str),
    topology: &StormTopology,
    n_ackers: i32,
) -> Result<()> {
    let conf = Conf::new()
        .with(keys::TOPOLOGY_WORKERS, 1)
        .with(keys::TOPOLOGY_ACKER_EXECUTORS, n_ackers);
    let conf = conf.to_json();
    let submitted = nimbus.submit_topology(Some(name), Some(jar), Some(&conf), Some(topology));
    let submitted = submitted.await;
    submitted.with_context(|| format!("cannot submit {name}"))
}

/// A tuple every so many milliseconds, appended to `file` with the task's id behind its name.
pub fn ticking(interval_ms: i64, file: &Path) -> StormTopology {
    let timer = object(TIMER, vec![JavaObjectArg::LongArg(interval_ms)]);
    let path = file.to_string_lossy().into_owned();
    let sink = object("stormwire.FileSink", vec![JavaObjectArg::StringArg(path)]);
    topology(timer, sink, 1)
}

/// So many executors that have nothing to do.
pub fn idle(n_executors: i32) -> StormTopology {
    let timer = object(TIMER, vec![JavaObjectArg::LongArg(HOUR_MS)]);
    let sink = object("stormwire.NullBolt", Vec::new());
    topology(timer, sink, n_executors - 1)
}

/// A function that a built-in bolt answers.
pub fn function(name: &str) -> StormTopology {
    let name = JavaObjectArg::StringArg(name.to_owned());
    let spout = object("org.apache.storm.drpc.DRPCSpout", vec![name]);
    let exclaim = "org.apache.storm.starter.ManualDRPC$ExclamationBolt";
    let mut topology = topology(spout, object(exclaim, Vec::new()), 1);
    let returns = Bolt {
        bolt_object: object("org.apache.storm.drpc.ReturnResults", Vec::new()),
        common: ComponentCommon {
            inputs: BTreeMap::from([(source("bolt"), shuffle())]),
            parallelism_hint: Some(1),
            ..Default::default()
        },
    };
    let streams = |fields: &[&str]| BTreeMap::from([("default".to_owned(), stream(fields))]);
    for spout in topology.spouts.values_mut() {
        spout.common.streams = streams(&["args", "return-info"]);
    }
    for bolt in topology.bolts.values_mut() {
        bolt.common.streams = streams(&["result", "return-info"]);
    }
    topology.bolts.insert("return".to_owned(), returns);
    topology
}

/// Texts from a spout to a bolt, one task of each.
pub fn texts(spout: &str, bolt: &str) -> StormTopology {
    let mut topology = topology(object(spout, Vec::new()), object(bolt, Vec::new()), 1);
    for spout in topology.spouts.values_mut() {
        spout.common.streams = BTreeMap::from([("default".to_owned(), stream(&["text"]))]);
    }
    topology
}

fn source(component: &str) -> GlobalStreamId {
    GlobalStreamId {
        component_id: component.to_owned(),
        stream_id: "default".to_owned(),
    }
}

fn shuffle() -> Grouping {
    Grouping::Shuffle(NullStruct::default())
}

fn topology(spout: ComponentObject, bolt: ComponentObject, n_bolts: i32) -> StormTopology {
    let spout = SpoutSpec {
        spout_object: spout,
        common: ComponentCommon {
            streams: BTreeMap::from([("default".to_owned(), stream(&["number", "millis"]))]),
            parallelism_hint: Some(1),
            ..Default::default()
        },
    };
    let bolt = Bolt {
        bolt_object: bolt,
        common: ComponentCommon {
            inputs: BTreeMap::from([(source("spout"), shuffle())]),
            parallelism_hint: Some(n_bolts),
            ..Default::default()
        },
    };
    StormTopology {
        spouts: BTreeMap::from([("spout".to_owned(), spout)]),
        bolts: BTreeMap::from([("bolt".to_owned(), bolt)]),
        ..Default::default()
    }
}

fn stream(fields: &[&str]) -> StreamInfo {
    StreamInfo {
        output_fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        direct: false,
    }
}

fn object(class: &str, args_list: Vec<JavaObjectArg>) -> ComponentObject {
    ComponentObject::JavaObject(JavaObject {
        full_class_name: class.to_owned(),
        args_list,
    })
}

const TIMER: &str = "stormwire.TimerSpout";
/// Of Storm's clients.
const CHUNK_BYTES: usize = 307_200;
const HOUR_MS: i64 = 3_600_000;

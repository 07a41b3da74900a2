//! Nimbus as its clients see it: real servers on the loopback address, real files, and supervisors
//! that only report.

mod access_lists;
mod cluster;
mod controls;
mod life;
mod rebalance;
mod recorded;
mod refused;
mod told;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::conf::{Conf, keys};
use crate::rpc::client::{Address, ClientOptions, Connection};
use crate::wire::messages::coordination;
use crate::wire::messages::{SupervisorDirective, SupervisorReport, WorkerDirective, WorkerReport};
use crate::wire::storm::{
    Bolt, ComponentCommon, ComponentObject, ExecutorInfo, GlobalStreamId, Grouping, NullStruct,
    ShellComponent, SpoutSpec, StormTopology, StreamInfo, SupervisorInfo, nimbus,
};

use super::{Handle, Nimbus};

/// A Nimbus on a directory of its own.
pub(super) struct Fixture {
    directory: tempfile::TempDir,
    conf: Conf,
    nimbus: Option<Handle>,
}

type Client = nimbus::Client<Connection>;
type Line = coordination::Client<Connection>;

// === impl Fixture ===

impl Fixture {
    pub(super) async fn new() -> Self {
        Self::with(Conf::new()).await
    }

    async fn with(overrides: Conf) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let conf = Conf::defaults()
            .with(
                keys::STORM_LOCAL_DIR,
                directory.path().to_string_lossy().as_ref(),
            )
            .with(keys::NIMBUS_THRIFT_PORT, 0)
            .with(keys::STORMWIRE_COORDINATION_PORT, 0)
            .overlay(&overrides);
        let nimbus = start(&conf).await;
        Fixture {
            directory,
            conf,
            nimbus: Some(nimbus),
        }
    }

    pub(super) fn nimbus(&self) -> &Handle {
        self.nimbus.as_ref().expect("running")
    }

    async fn client(&self) -> Client {
        nimbus::Client::new(connect(self.nimbus().address().port()).await)
    }

    async fn line(&self) -> Line {
        coordination::Client::new(connect(self.nimbus().coordination_address().port()).await)
    }

    /// Ends the Nimbus and starts another on the same directory.
    async fn restart(&mut self) {
        self.nimbus.take().expect("running").shutdown().await;
        self.nimbus = Some(start(&self.conf).await);
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}

async fn start(conf: &Conf) -> Handle {
    let known = |class: &str| class.starts_with("io.stormwire.");
    Nimbus::start(conf.clone(), known)
        .await
        .expect("a free directory")
}

async fn connect(port: u16) -> Connection {
    let options = ClientOptions {
        call_wait_max: Duration::from_secs(30),
        ..ClientOptions::default()
    };
    Connection::open(&Address::new("127.0.0.1", port), &options)
        .await
        .expect("listening")
}

/// Polls until something is so; fails after a while.
async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..2000 {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} did not come about");
}

fn shell(script: &str) -> ComponentObject {
    ComponentObject::Shell(ShellComponent {
        execution_command: Some("python3".to_owned()),
        script: Some(script.to_owned()),
    })
}

fn common(parallelism: i32, source: Option<&str>) -> ComponentCommon {
    let input = source.map(|source| {
        let stream = GlobalStreamId {
            component_id: source.to_owned(),
            stream_id: "default".to_owned(),
        };
        (stream, Grouping::Shuffle(NullStruct::default()))
    });
    let stream = StreamInfo {
        output_fields: vec!["word".to_owned()],
        direct: false,
    };
    ComponentCommon {
        inputs: input.into_iter().collect(),
        streams: BTreeMap::from([("default".to_owned(), stream)]),
        parallelism_hint: Some(parallelism),
        json_conf: Some("{}".to_owned()),
    }
}

/// One spout and a bolt of that parallelism behind it.
pub(super) fn words(parallelism: i32) -> StormTopology {
    let spout = SpoutSpec {
        spout_object: shell("words.py"),
        common: common(1, None),
    };
    let bolt = Bolt {
        bolt_object: shell("count.py"),
        common: common(parallelism, Some("spout")),
    };
    StormTopology {
        spouts: BTreeMap::from([("spout".to_owned(), spout)]),
        bolts: BTreeMap::from([("bolt".to_owned(), bolt)]),
        ..StormTopology::default()
    }
}

/// A jar with one script.
fn jar() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("resources/words.py", options)
        .expect("a new entry");
    zip.write_all(b"print()").expect("room");
    zip.finish().expect("room").into_inner()
}

/// Uploads a jar as clients do.
async fn upload(client: &mut Client, jar: &[u8]) -> String {
    let location = client.begin_file_upload().await.expect("room");
    for chunk in jar.chunks(700) {
        let chunk = bytes::Bytes::copy_from_slice(chunk);
        client
            .upload_chunk(Some(&location), Some(&chunk))
            .await
            .expect("open");
    }
    client
        .finish_file_upload(Some(&location))
        .await
        .expect("open");
    location
}

/// Uploads a jar and submits `topology` under a name.
async fn submit(client: &mut Client, name: &str, topology: &StormTopology) {
    let location = upload(client, &jar()).await;
    client
        .submit_topology(Some(name), Some(&location), Some("{}"), Some(topology))
        .await
        .expect("accepted");
}

fn report(node: &str, ports: std::ops::Range<i64>, known_version: i64) -> SupervisorReport {
    SupervisorReport {
        node: node.to_owned(),
        info: SupervisorInfo {
            hostname: "localhost".to_owned(),
            assignment_id: Some(node.to_owned()),
            meta: Some(ports.collect()),
            version: Some("3.0.0".to_owned()),
            uptime_secs: Some(1),
            ..SupervisorInfo::default()
        },
        session: "first".to_owned(),
        known_version,
        wait_ms: 5000,
        ..SupervisorReport::default()
    }
}

/// Reports until the node has work.
async fn work(line: &mut Line, node: &str) -> SupervisorDirective {
    let mut version = 0;
    for _ in 0..20 {
        let report = report(node, 6700..6704, version);
        let directive = line
            .sync_supervisor(Some(&report))
            .await
            .expect("a directive");
        if !directive.topologies.is_empty() {
            return directive;
        }
        version = directive.version;
    }
    panic!("no work came");
}

/// What a worker of the first slot in a directive reports.
/// The report of the worker that was launched as the `count`th of the topology on a node.
fn worker_report(directive: &SupervisorDirective, node: &str, count: i64) -> WorkerReport {
    let (id, work) = directive.topologies.first_key_value().expect("work");
    let placed = work.assignment.executor_node_port.as_ref().expect("placed");
    let here = placed.iter().filter(|(_, info)| info.node == node);
    let port = here
        .clone()
        .filter_map(|(_, info)| info.port.first())
        .min()
        .expect("a port");
    let executors = here
        .filter(|(_, info)| info.port.contains(port))
        .map(|(key, _)| {
            let task = |at: usize| i32::try_from(key[at]).expect("a task");
            ExecutorInfo {
                task_start: task(0),
                task_end: task(1),
            }
        });
    WorkerReport {
        topology_id: id.clone(),
        node: node.to_owned(),
        port: i32::try_from(*port).expect("a port"),
        generation: crate::id::generation(work.epoch, count),
        executors: executors.collect(),
        uptime_secs: 7,
        ..WorkerReport::default()
    }
}

async fn sync_worker(line: &mut Line, report: &WorkerReport) -> WorkerDirective {
    line.sync_worker(Some(report)).await.expect("a directive")
}

//! One loaded cluster: a ledger topology that runs, is fed, struck and judged.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use stormwire::process;
use stormwire::testing::cluster::{TestCluster, WorkerProcess, eventually};
use stormwire::testing::ledger::{Ledger, Verdict};
use stormwire::testing::nemesis::{Fault, Strike};
use stormwire::window::WindowConfig;
use stormwire::wire::storm::{
    Bolt, ComponentCommon, ComponentObject, ExecutorInfo, GlobalStreamId, Grouping, JavaObject,
    JavaObjectArg, KillOptions, NullStruct, RebalanceOptions, ShellComponent, SpoutSpec,
    StormTopology, StreamInfo,
};

/// A cluster with a ledger topology under load.
pub struct Run {
    pub cluster: TestCluster,
    ledger: Ledger,
    n_ackers: u64,
    // Removed last.
    _dir: tempfile::TempDir,
}

/// What stands between the source and the sink, and who watches over the tuples.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub relay: Relay,
    /// Acker tasks; 0 leaves tuples untracked.
    pub n_ackers: u64,
}

/// How the relay is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relay {
    /// A native bolt of six tasks, fed by the ids' partition.
    Native,
    /// Two Python children.
    Shell,
    /// A windowed bolt that holds tuples for some tenths of a second.
    Windows,
    /// Code of the topology's own program, which is its workers too.
    Program,
}

/// `topology.max.spout.pending` of the ledger topology.
pub const PENDING_MAX: u64 = 200;

/// Ids fed right before a fault: some tenths of a second of work.
const BURST: u64 = 4_000;

/// Time for the spout to take up a burst, and too little to finish it.
const BURST_HEAD_START: Duration = Duration::from_millis(40);

/// Acked, but not yet in the source's committed position, which follows by some 20 ms: comes again
/// when the spout's worker dies, since only the source can say what is done.
pub const UNCOMMITTED_MAX: u64 = 1_000;

/// How long nothing may arrive before a run without acks counts as over.
const CALM: Duration = Duration::from_secs(2);

/// For a rebalance with all its bounds, on a busy machine.
const STATUS_WAIT_MAX: Duration = Duration::from_secs(180);

/// Its spout tasks.
pub const N_SPOUTS: u64 = 2;

// === impl Run ===

impl Run {
    /// Starts a cluster with two slots more than the topology needs, submits, and waits until
    /// tuples are acked.
    pub fn start(program: &Path, n_supervisors: usize) -> Self {
        let shape = Shape {
            relay: Relay::Shell,
            n_ackers: 2,
        };
        Self::start_as(program, n_supervisors, shape)
    }

    /// As `start`, with a topology of that shape.
    pub fn start_as(program: &Path, n_supervisors: usize, shape: Shape) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let cluster = TestCluster::start(program, dir.path(), n_supervisors, 3)
            .setting("nimbus.task.timeout.secs=6")
            .setting("nimbus.monitor.freq.secs=1")
            .setting("storm.zookeeper.session.timeout=4000")
            .setting("supervisor.worker.timeout.secs=6")
            .boot();
        let ledger = Ledger::create(&dir.path().join("ledger")).expect("the ledger's files");
        let mut run = Run {
            cluster,
            ledger,
            n_ackers: shape.n_ackers,
            _dir: dir,
        };
        match shape.relay {
            Relay::Program => run.submit_program(program),
            relay => {
                let topology = ledger_topology(&run.ledger, relay);
                let scripts = [("relay.py", include_str!("relay.py"))];
                let submitted = run.submit("ledger", &topology, jar(&scripts));
                submitted.expect("submitted");
            }
        }
        run.feed();
        eventually("the ledger topology acks", || run.ledger.n_committed() > 0);
        run
    }

    /// Feeds ids at a steady rate for so long.
    pub fn work_for(&mut self, span: Duration) {
        let end = Instant::now() + span;
        while Instant::now() < end {
            self.feed();
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn feed(&mut self) {
        self.ledger
            .feed(100)
            .expect("the ledger's source can be written");
    }

    /// Carries a fault out; false when there was no victim.
    pub fn carry_out(&mut self, strike: &Strike) -> bool {
        // So much that tuples are pending when it strikes.
        self.ledger
            .feed(BURST)
            .expect("the ledger's source can be written");
        std::thread::sleep(BURST_HEAD_START);
        let workers = self.workers_of("ledger");
        let picked = |n: usize| usize::try_from(strike.pick % n.max(1) as u64).unwrap_or(0);
        match strike.fault {
            Fault::KillWorker => {
                let Some((_, worker)) = workers.get(picked(workers.len())) else {
                    return false;
                };
                worker.process.signal(nix::sys::signal::SIGKILL);
            }
            Fault::KillAllWorkers => {
                workers
                    .iter()
                    .for_each(|(_, w)| w.process.signal(nix::sys::signal::SIGKILL));
                return !workers.is_empty();
            }
            Fault::KillAckerWorker => {
                let Some(port) = self.acker_port() else {
                    return false;
                };
                let found = workers
                    .iter()
                    .find(|(_, worker)| worker.launch.port == port);
                let Some((_, worker)) = found else {
                    return false;
                };
                worker.process.signal(nix::sys::signal::SIGKILL);
            }
            Fault::KillShellChild => {
                let children: Vec<_> = workers
                    .iter()
                    .flat_map(|(_, w)| w.children.clone())
                    .collect();
                let Some(child) = children.get(picked(children.len())) else {
                    return false;
                };
                process::kill_group(*child);
            }
            Fault::KillSupervisor => {
                let name = format!("supervisor-{}", strike.pick % 2);
                self.down(&name, strike.down_ms);
            }
            Fault::KillNode => {
                let name = format!("supervisor-{}", strike.pick % 2);
                self.cluster.kill(&name);
                for (of, worker) in &workers {
                    if *of == name {
                        worker.process.signal(nix::sys::signal::SIGKILL);
                    }
                }
                self.work_for(Duration::from_millis(strike.down_ms));
                self.cluster.restart(&name);
            }
            Fault::KillNimbus => self.down("nimbus", strike.down_ms),
        }
        true
    }

    fn down(&mut self, name: &str, down_ms: u64) {
        self.cluster.kill(name);
        self.work_for(Duration::from_millis(down_ms));
        self.cluster.restart(name);
    }

    /// Feeds some more and waits until all of it is acked; returns how long that took, in
    /// milliseconds.
    pub fn recover(&mut self) -> u64 {
        self.feed();
        let (goal, since) = (self.ledger.n_fed(), Instant::now());
        eventually("acks go on after a fault", || {
            std::thread::sleep(Duration::from_millis(20));
            self.ledger.n_committed() >= goal
        });
        u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits until everything that was fed is acked, and compares.
    pub fn finish(&mut self) -> Verdict {
        let goal = self.ledger.n_fed();
        eventually("everything fed is acked", || {
            self.ledger.n_committed() >= goal
        });
        self.ledger.check().expect("the ledger's files can be read")
    }

    /// Waits until nothing arrives any more, and compares: where nobody acks, the source knows only
    /// what it emitted.
    pub fn finish_untracked(&mut self) -> Verdict {
        let goal = self.ledger.n_fed();
        eventually("everything fed is emitted", || {
            self.ledger.n_committed() >= goal
        });
        let mut n_bytes = None;
        eventually("nothing arrives any more", || {
            std::thread::sleep(CALM);
            let now = self.ledger.n_sunk_bytes();
            n_bytes.replace(now) == Some(now)
        });
        self.ledger.check().expect("the ledger's files can be read")
    }

    /// Asks for a rebalance, works on, and returns when it is over.
    pub fn rebalance(&mut self, options: &RebalanceOptions) {
        self.begin_rebalance(options);
        self.await_status("ACTIVE");
    }

    pub fn begin_rebalance(&mut self, options: &RebalanceOptions) {
        self.feed_burst();
        let asked = self.cluster.nimbus(|mut nimbus| async move {
            let asked = nimbus.rebalance(Some("ledger"), Some(options)).await;
            asked.map_err(|e| e.to_string())
        });
        asked.expect("a rebalance may be asked for");
    }

    /// Works on until the topology has a status.
    pub fn await_status(&mut self, wanted: &str) {
        let since = Instant::now();
        while self.status().as_deref() != Some(wanted) {
            assert!(since.elapsed() < STATUS_WAIT_MAX, "it is never {wanted}");
            self.work_for(Duration::from_millis(100));
        }
    }

    /// What Nimbus says, if it answers.
    pub fn status(&self) -> Option<String> {
        let summary = self.cluster.nimbus(|mut nimbus| async move {
            let summary = nimbus.get_topology_summary_by_name(Some("ledger")).await;
            summary.map_err(|e| e.to_string())
        });
        summary.ok().map(|summary| summary.status)
    }

    /// Workers by slot: pid and executors.
    pub fn slots(&self) -> BTreeMap<(String, i32), (i32, Vec<ExecutorInfo>)> {
        let workers = self.workers_of("ledger").into_iter();
        let slot = |(name, worker): (String, WorkerProcess)| {
            let launch = worker.launch;
            ((name, launch.port), (worker.process.pid, launch.executors))
        };
        workers.map(slot).collect()
    }

    pub fn feed_burst(&mut self) {
        self.ledger
            .feed(BURST)
            .expect("the ledger's source can be written");
    }

    pub fn worker_pids(&self) -> BTreeSet<i32> {
        self.worker_pids_of("ledger")
    }

    pub fn worker_pids_of(&self, name: &str) -> BTreeSet<i32> {
        self.workers_of(name)
            .iter()
            .map(|(_, worker)| worker.process.pid)
            .collect()
    }

    fn workers_of(&self, name: &str) -> Vec<(String, WorkerProcess)> {
        let prefix = format!("{name}-");
        let mut workers = self.cluster.workers();
        workers.retain(|(_, worker)| worker.launch.topology_id.starts_with(&prefix));
        workers.sort_by_key(|(_, worker)| worker.launch.port);
        workers
    }

    fn acker_port(&self) -> Option<i32> {
        let info = self.cluster.nimbus(|mut nimbus| async move {
            nimbus
                .get_topology_info_by_name(Some("ledger"))
                .await
                .map_err(|e| e.to_string())
        });
        let acker = info
            .ok()?
            .executors
            .into_iter()
            .find(|e| e.component_id == "__acker");
        acker.map(|executor| executor.port)
    }

    /// Errors that Nimbus shows for a topology.
    pub fn errors_of(&self, name: &str) -> Vec<String> {
        let info = self.cluster.nimbus(|mut nimbus| async move {
            nimbus
                .get_topology_info_by_name(Some(name))
                .await
                .map_err(|e| e.to_string())
        });
        let errors = info
            .into_iter()
            .flat_map(|info| info.errors.into_values().flatten());
        errors.map(|error| error.error).collect()
    }

    /// Has `programs/ledger.rs`, which was built beside the program under test, submit itself.
    fn submit_program(&self, program: &Path) {
        let examples = program.parent().expect("a directory").join("examples");
        let ledger = examples.join("ledger");
        assert!(
            ledger.is_file(),
            "{} is missing: build the examples as the program under test",
            ledger.display()
        );
        let conf = CONF.replace("PENDING", &PENDING_MAX.to_string());
        let conf = conf.replace("ACKERS", &self.n_ackers.to_string());
        let conf: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&conf).expect("JSON");
        let mut submit = std::process::Command::new(&ledger);
        submit.args(["submit", "--nimbus", &self.cluster.nimbus_address()]);
        for (key, value) in conf {
            submit.args(["-c".to_owned(), format!("{key}={value}")]);
        }
        submit.arg("--").arg(self.ledger.source());
        submit.arg(self.ledger.positions()).arg(self.ledger.sink());
        let status = submit.status().expect("the topology's program starts");
        assert!(status.success(), "{} submit: {status}", ledger.display());
    }

    fn submit(&self, name: &str, topology: &StormTopology, jar: Vec<u8>) -> Result<(), String> {
        let conf = CONF.replace("PENDING", &PENDING_MAX.to_string());
        let conf = conf.replace("ACKERS", &self.n_ackers.to_string());
        self.cluster.nimbus(|mut nimbus| async move {
            let location = nimbus
                .begin_file_upload()
                .await
                .map_err(|e| e.to_string())?;
            let location = Some(location.as_str());
            nimbus
                .upload_chunk(location, Some(&jar))
                .await
                .map_err(|e| e.to_string())?;
            nimbus
                .finish_file_upload(location)
                .await
                .map_err(|e| e.to_string())?;
            let submitted = nimbus
                .submit_topology(Some(name), location, Some(&conf), Some(topology))
                .await;
            submitted.map_err(|e| e.to_string())
        })
    }

    /// Submits a small topology and kills Nimbus so many milliseconds after the start of that;
    /// returns whether the submit was acknowledged.
    pub fn submit_while_nimbus_dies(&mut self, name: &str, after_ms: u64) -> bool {
        let topology = idle_topology();
        let killed = self.cluster.process_of("nimbus");
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(after_ms));
            killed.signal(nix::sys::signal::SIGKILL);
        });
        let submitted = self.submit(name, &topology, jar(&[])).is_ok();
        killer.join().expect("the killer does not panic");
        self.cluster.kill("nimbus");
        submitted
    }

    /// After a restart a topology is whole or absent; an acknowledged one is whole. Ends it if it
    /// is there.
    pub fn check_whole_or_absent(&mut self, name: &str, acknowledged: bool) {
        let outcome = self.cluster.nimbus(|mut nimbus| async move {
            let all = nimbus
                .get_topology_summaries()
                .await
                .map_err(|e| e.to_string())?;
            let Some(found) = all.into_iter().find(|topology| topology.name == name) else {
                return Ok(false);
            };
            let id = Some(found.id.as_str());
            nimbus
                .get_topology_conf(id)
                .await
                .map_err(|e| format!("its conf: {e}"))?;
            nimbus
                .get_user_topology(id)
                .await
                .map_err(|e| format!("its code: {e}"))?;
            let options = KillOptions { wait_secs: Some(0) };
            let killed = nimbus
                .kill_topology_with_opts(Some(name), Some(&options))
                .await;
            killed.map_err(|e| format!("its end: {e}"))?;
            Ok(true)
        });
        let is_there = outcome.expect("a topology must be whole or absent");
        assert!(
            is_there || !acknowledged,
            "{name} was acknowledged and is gone"
        );
    }

    /// A topology whose shell bolt's program does not exist.
    pub fn submit_crasher(&self, name: &str) {
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
        self.submit(name, &topology, jar(&[])).expect("submitted");
    }
}

/// Spout, relay, sink: two executors of each, over two workers.
fn ledger_topology(ledger: &Ledger, relay: Relay) -> StormTopology {
    let text = |path: std::path::PathBuf| JavaObjectArg::StringArg(path.display().to_string());
    let spout = SpoutSpec {
        spout_object: ComponentObject::JavaObject(JavaObject {
            full_class_name: "stormwire.testing.LedgerSpout".to_owned(),
            args_list: vec![text(ledger.source()), text(ledger.positions())],
        }),
        common: common(&["partition", "seq", "attempt"], N_SPOUTS as i32),
    };
    let fields = ["partition", "seq", "attempt"];
    let relay = match relay {
        Relay::Shell => {
            let relay = ComponentObject::Shell(ShellComponent {
                execution_command: Some("python3".to_owned()),
                script: Some("relay.py".to_owned()),
            });
            bolt(relay, "source", &fields)
        }
        Relay::Native | Relay::Program => {
            let relay = ComponentObject::JavaObject(JavaObject {
                full_class_name: "stormwire.IdBolt".to_owned(),
                args_list: Vec::new(),
            });
            let mut relay = bolt(relay, "source", &fields);
            for grouping in relay.common.inputs.values_mut() {
                *grouping = Grouping::Fields(vec!["partition".to_owned()]);
            }
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
    sink.common.json_conf = Some(r#"{"topology.tasks": 3}"#.to_owned());
    topology.bolts.insert("sink".to_owned(), sink);
    topology
}

/// A timer and nothing else.
fn idle_topology() -> StormTopology {
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

fn jar(scripts: &[(&str, &str)]) -> Vec<u8> {
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

/// Time-outs scaled down, so that one fault's cycle takes seconds.
const CONF: &str = r#"{"topology.workers": 2, "topology.acker.executors": ACKERS,
    "topology.message.timeout.secs": 5, "topology.max.spout.pending": PENDING}"#;

//! One loaded cluster: a ledger topology that runs, is fed, struck and judged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use stormwire::process;
use stormwire::testing::cluster::{TestCluster, WorkerProcess, eventually};
use stormwire::testing::ledger::{Deal, Ledger, Verdict};
use stormwire::testing::nemesis::{Fault, Strike};
use stormwire::wire::storm::{ExecutorInfo, KillOptions, RebalanceOptions, StormTopology};

use crate::graphs;
use crate::proxy::Links;

/// A cluster with a ledger topology under load.
pub struct Run {
    pub cluster: TestCluster,
    /// The ways between workers, where they can be harmed.
    pub links: Links,
    pub ledger: Ledger,
    conf: Map<String, Value>,
    burst: u64,
    // Removed last.
    dir: tempfile::TempDir,
}

/// What stands between the source and the sink, and who watches over the tuples.
#[derive(Clone, Debug)]
pub struct Shape {
    pub relay: Relay,
    /// Acker tasks; 0 leaves tuples untracked.
    pub n_ackers: u64,
    pub n_workers: u64,
    /// Of the topology, beside what all have.
    pub conf: Vec<(&'static str, Value)>,
    pub deal: Deal,
    /// Workers reach each other over `Run::links`.
    pub is_apart: bool,
    /// Nobody is given up for some seconds of silence.
    pub is_unhurried: bool,
}

/// How the relay is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relay {
    /// A native bolt of six tasks, fed by the ids' partition.
    Native,
    /// The same, and from it to the sink's three tasks by partition too.
    Keyed,
    /// Two Python children.
    Shell,
    /// A windowed bolt that holds tuples for some tenths of a second.
    Windows,
    /// Code of the topology's own program, which is its workers too, and what it is told.
    Program(&'static [&'static str]),
}

/// `topology.max.spout.pending` of the ledger topology.
pub const PENDING_MAX: u64 = 200;

/// Ids fed right before a fault: some tenths of a second of work, where Python children or windows
/// have a part in it.
const BURST: u64 = 4_000;

/// The same, for what is native.
const BURST_NATIVE: u64 = 40_000;

/// Bursts until one is seen under way.
const BURSTS_MAX: usize = 10;

/// How long nothing may arrive before a run without acks counts as over.
const CALM: Duration = Duration::from_secs(2);

/// How long what has not arrived may still be on its way, if nothing else arrives.
const CALM_MAX: Duration = Duration::from_secs(60);

/// For a rebalance with all its bounds, on a busy machine.
const STATUS_WAIT_MAX: Duration = Duration::from_secs(180);

/// Its spout tasks.
pub const N_SPOUTS: u64 = 2;

// === impl Shape ===

impl Shape {
    /// Over two workers that know each other's addresses.
    pub fn new(relay: Relay, n_ackers: u64) -> Self {
        Shape {
            relay,
            n_ackers,
            n_workers: 2,
            conf: Vec::new(),
            deal: Deal::Even,
            is_apart: false,
            is_unhurried: false,
        }
    }

    /// The same with a setting of the topology.
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.conf.push((key, value.into()));
        self
    }

    /// The same over links that can be harmed.
    pub fn apart(self) -> Self {
        Shape {
            is_apart: true,
            ..self
        }
    }

    /// The same where nobody is given up for a moment's silence of the machine: for faults that
    /// are to move and to repeat nothing.
    pub fn unhurried(self) -> Self {
        let patient = self.with("topology.message.timeout.secs", 60);
        Shape {
            is_unhurried: true,
            ..patient
        }
    }

    /// Time-outs scaled down, so that one fault's cycle takes seconds.
    fn conf(&self) -> Map<String, Value> {
        let common = [
            ("topology.workers", json!(self.n_workers)),
            ("topology.acker.executors", json!(self.n_ackers)),
            ("topology.message.timeout.secs", json!(5)),
            ("topology.max.spout.pending", json!(PENDING_MAX)),
        ];
        let all = common.into_iter().chain(self.conf.iter().cloned());
        all.map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

// === impl Run ===

impl Run {
    /// Starts a cluster with two slots more than the topology needs, submits, and waits until
    /// tuples are acked.
    pub fn start(program: &Path, n_supervisors: usize) -> Self {
        Self::start_as(program, n_supervisors, Shape::new(Relay::Shell, 2))
    }

    /// As `start`, with a topology of that shape.
    pub fn start_as(program: &Path, n_supervisors: usize, shape: Shape) -> Self {
        let mut run = Self::prepare(program, n_supervisors, &shape);
        run.submit_ledger(program, shape.relay);
        run.feed();
        eventually("the ledger topology acks", || run.ledger.n_committed() > 0);
        run.await_workers(&shape);
        run
    }

    /// Waits until each of the topology's workers runs.
    pub fn await_workers(&self, shape: &Shape) {
        eventually("all workers run", || {
            self.worker_pids().len() as u64 == shape.n_workers
        });
    }

    /// A cluster without its topology.
    pub fn prepare(program: &Path, n_supervisors: usize, shape: &Shape) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let start = match shape.is_apart {
            true => TestCluster::start_apart,
            false => TestCluster::start,
        };
        let (worker_secs, session_ms) = match shape.is_unhurried {
            true => (30, 20_000),
            false => (6, 4_000),
        };
        let cluster = start(program, dir.path(), n_supervisors, 3)
            .setting(&format!("nimbus.task.timeout.secs={worker_secs}"))
            .setting("nimbus.monitor.freq.secs=1")
            .setting(&format!("storm.zookeeper.session.timeout={session_ms}"))
            .setting(&format!("supervisor.worker.timeout.secs={worker_secs}"))
            .boot();
        let links = match shape.is_apart {
            true => Links::open(cluster.doors()),
            false => Links::default(),
        };
        let ledger = Ledger::create_dealt(&dir.path().join("ledger"), shape.deal);
        Run {
            cluster,
            links,
            ledger: ledger.expect("the ledger's files"),
            conf: shape.conf(),
            burst: match shape.relay {
                Relay::Shell | Relay::Windows => BURST,
                Relay::Native | Relay::Keyed | Relay::Program(_) => BURST_NATIVE,
            },
            dir,
        }
    }

    pub fn submit_ledger(&self, program: &Path, relay: Relay) {
        if let Relay::Program(args) = relay {
            return self.submit_program(program, args);
        }
        let topology = graphs::ledger_topology(&self.ledger, relay);
        let jar = graphs::jar(&[("relay.py", include_str!("relay.py"))]);
        self.submit("ledger", &topology, jar).expect("submitted");
    }

    /// A file of this run, that its topology may be told of.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
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
        self.feed_many(100);
    }

    pub fn feed_many(&mut self, n_ids: u64) {
        self.ledger
            .feed(n_ids)
            .expect("the ledger's source can be written");
    }

    /// Feeds a burst, and returns when it is under way: how many ids are then fed and not yet
    /// committed. Those, and no others, may come again when a worker dies: only the source can say
    /// what is done, and its position follows the acks by some 20 ms.
    pub fn load(&mut self) -> u64 {
        // One that is over before this looks is no load.
        let bursts = (0..BURSTS_MAX).map(|_| self.load_once());
        bursts
            .into_iter()
            .find(|n_uncommitted| *n_uncommitted > 0)
            .unwrap_or(0)
    }

    fn load_once(&mut self) -> u64 {
        let before = self.ledger.n_committed();
        self.feed_burst();
        eventually("a burst is under way", || {
            (0..20).any(|_| {
                std::thread::sleep(Duration::from_millis(1));
                self.ledger.n_committed() > before
            })
        });
        self.ledger
            .n_fed()
            .saturating_sub(self.ledger.n_committed())
    }

    /// Carries a fault out under load; returns how many ids were then not committed, or nothing
    /// when there was no victim.
    pub fn carry_out(&mut self, strike: &Strike) -> Option<u64> {
        let n_uncommitted = self.load();
        self.strike(strike).then_some(n_uncommitted)
    }

    fn strike(&mut self, strike: &Strike) -> bool {
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
        let until = Instant::now() + CALM_MAX;
        let mut n_bytes = None;
        loop {
            std::thread::sleep(CALM);
            let now = self.ledger.n_sunk_bytes();
            let verdict = self.ledger.check().expect("the ledger's files can be read");
            // What is lost may be late only, where workers do not get to run.
            let is_over = verdict.n_lost == 0 || Instant::now() >= until;
            if n_bytes.replace(now) == Some(now) && is_over {
                return verdict;
            }
        }
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
        self.feed_many(self.burst);
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

    pub fn workers_of(&self, name: &str) -> Vec<(String, WorkerProcess)> {
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

    /// The logs of a topology's slots, by directory.
    pub fn worker_logs(&self, name: &str) -> Vec<String> {
        self.cluster.worker_logs(&format!("{name}-"))
    }

    /// Of the topology's largest worker.
    pub fn rss_kib(&self) -> u64 {
        let workers = self.workers_of("ledger").into_iter();
        let rss = workers.filter_map(|(_, worker)| rss_kib(worker.process.pid));
        rss.max().unwrap_or(0)
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

    /// Has `programs/ledger`, which was built beside the program under test, submit itself.
    fn submit_program(&self, program: &Path, args: &[&str]) {
        let examples = program.parent().expect("a directory").join("examples");
        let ledger = examples.join("ledger");
        assert!(
            ledger.is_file(),
            "{} is missing: build the examples as the program under test",
            ledger.display()
        );
        let mut submit = std::process::Command::new(&ledger);
        submit.args(["submit", "--nimbus", &self.cluster.nimbus_address()]);
        for (key, value) in &self.conf {
            submit.args(["-c".to_owned(), format!("{key}={value}")]);
        }
        submit.arg("--").arg(self.ledger.source());
        submit.arg(self.ledger.positions()).arg(self.ledger.sink());
        let nap = self.path("nap").display().to_string();
        submit.args(args.iter().map(|arg| arg.replace("NAP", &nap)));
        let status = submit.status().expect("the topology's program starts");
        assert!(status.success(), "{} submit: {status}", ledger.display());
    }

    fn submit(&self, name: &str, topology: &StormTopology, jar: Vec<u8>) -> Result<(), String> {
        let conf = Value::Object(self.conf.clone());
        submit(&self.cluster, (name, &conf), topology, jar)
    }

    /// Submits a small topology and kills Nimbus so many milliseconds after the start of that;
    /// returns whether the submit was acknowledged.
    pub fn submit_while_nimbus_dies(&mut self, name: &str, after_ms: u64) -> bool {
        let topology = graphs::idle_topology();
        let killed = self.cluster.process_of("nimbus");
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(after_ms));
            killed.signal(nix::sys::signal::SIGKILL);
        });
        let submitted = self.submit(name, &topology, graphs::jar(&[])).is_ok();
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
        let submitted = self.submit(name, &graphs::crashing_topology(), graphs::jar(&[]));
        submitted.expect("submitted");
    }
}

/// Uploads a jar and submits a topology with it.
pub fn submit(
    cluster: &TestCluster,
    (name, conf): (&str, &Value),
    topology: &StormTopology,
    jar: Vec<u8>,
) -> Result<(), String> {
    let conf = conf.to_string();
    cluster.nimbus(|mut nimbus| async move {
        let location = nimbus.begin_file_upload().await;
        let location = location.map_err(|e| e.to_string())?;
        let location = Some(location.as_str());
        let uploaded = nimbus.upload_chunk(location, Some(&jar)).await;
        uploaded.map_err(|e| e.to_string())?;
        let finished = nimbus.finish_file_upload(location).await;
        finished.map_err(|e| e.to_string())?;
        let submitted = nimbus
            .submit_topology(Some(name), location, Some(&conf), Some(topology))
            .await;
        submitted.map_err(|e| e.to_string())
    })
}

/// Resident memory of a process.
fn rss_kib(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

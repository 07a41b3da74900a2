//! A cluster of real processes for tests: Nimbus and supervisors of the program under test, each
//! with its own directory below one temporary directory, on ports that were free.
//!
//! Starts, kills, restarts and looks; judges nothing (`testing::ledger`) and decides no faults
//! (`testing::nemesis`).

use std::fs::{self, File};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::ports;
use crate::process::Process;
use crate::rpc::client::{Address, ClientOptions, Connection};
use crate::wire;
use crate::wire::messages::{ProcessRecord, WorkerLaunch};
use crate::wire::storm::nimbus::Client;

/// The cluster. Dropping it kills everything that it started.
pub struct TestCluster {
    dir: PathBuf,
    program: PathBuf,
    /// `-c` settings of every daemon.
    settings: Vec<String>,
    nimbus_port: u16,
    daemons: Vec<Daemon>,
    doors: Vec<Door>,
}

/// Where the worker of a slot is looked for, and where it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    pub front: SocketAddrV4,
    pub behind: SocketAddrV4,
}

/// One daemon process and how to start it again.
struct Daemon {
    name: String,
    args: Vec<String>,
    child: Option<Child>,
}

/// A worker process that a supervisor of the cluster started.
#[derive(Clone, Debug)]
pub struct WorkerProcess {
    pub process: Process,
    pub launch: WorkerLaunch,
    /// Leaders of its shell children's process groups.
    pub children: Vec<Process>,
}

// === impl TestCluster ===

impl TestCluster {
    /// Nimbus and so many supervisors, each with so many slots.
    pub fn start(program: &Path, dir: &Path, n_supervisors: usize, n_slots: usize) -> Self {
        let here = Ipv4Addr::LOCALHOST;
        Self::with_addresses(program, dir, &vec![(here, here); n_supervisors], n_slots)
    }

    /// The same; each supervisor's workers listen at one address of this machine and are looked for
    /// at another, where somebody else must stand between.
    pub fn start_apart(program: &Path, dir: &Path, n_supervisors: usize, n_slots: usize) -> Self {
        let numbers = (2..).take(n_supervisors);
        let addresses = numbers.map(|n| (Ipv4Addr::new(127, 0, 1, n), Ipv4Addr::new(127, 0, 0, n)));
        Self::with_addresses(program, dir, &addresses.collect::<Vec<_>>(), n_slots)
    }

    /// The same; each supervisor is a host of its own, 127.0.0.2 and on.
    pub fn start_on_hosts(
        program: &Path,
        dir: &Path,
        n_supervisors: usize,
        n_slots: usize,
    ) -> Self {
        let hosts = (2..)
            .take(n_supervisors)
            .map(|n| Ipv4Addr::new(127, 0, 0, n));
        let addresses: Vec<_> = hosts.map(|host| (host, host)).collect();
        Self::with_addresses(program, dir, &addresses, n_slots)
    }

    /// Where each slot's worker is looked for and where it listens.
    pub fn doors(&self) -> &[Door] {
        &self.doors
    }

    /// Addresses of supervisors: as they are told, and as they bind.
    fn with_addresses(
        program: &Path,
        dir: &Path,
        supervisors: &[(Ipv4Addr, Ipv4Addr)],
        n_slots: usize,
    ) -> Self {
        let ports = free_ports(2);
        let (nimbus_port, coordination_port) = (ports[0], ports[1]);
        let settings = vec![
            "nimbus.seeds=[\"127.0.0.1\"]".to_owned(),
            format!("nimbus.thrift.port={nimbus_port}"),
            format!("stormwire.coordination.port={coordination_port}"),
        ];
        let mut cluster = TestCluster {
            dir: dir.to_owned(),
            program: program.to_owned(),
            settings,
            nimbus_port,
            daemons: Vec::new(),
            doors: Vec::new(),
        };
        cluster.add("nimbus", "nimbus", Vec::new());
        for (index, (told, bound)) in supervisors.iter().enumerate() {
            let mut ports = free_ports(n_slots + 1);
            let thrift_port = ports.split_off(n_slots)[0];
            let own = vec![
                format!("supervisor.slots.ports={ports:?}"),
                format!("supervisor.thrift.port={thrift_port}"),
                format!("storm.local.hostname={told}"),
                format!("stormwire.bind.address={bound}"),
            ];
            cluster.doors.extend(ports.iter().map(|port| Door {
                front: SocketAddrV4::new(*told, *port),
                behind: SocketAddrV4::new(*bound, *port),
            }));
            cluster.add(&format!("supervisor-{index}"), "supervisor", own);
        }
        cluster
    }

    /// Settings for all daemons, to be given before `boot`.
    pub fn setting(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// Starts every daemon that is not running and waits until each says that it is ready, and
    /// Nimbus knows all supervisors: else the first topology would be placed on some of them.
    pub fn boot(mut self) -> Self {
        for index in 0..self.daemons.len() {
            self.start_daemon(index);
        }
        let supervisors = self.daemons.iter();
        let supervisors = supervisors.filter(|daemon| daemon.name.starts_with("supervisor-"));
        let n_supervisors = supervisors.count();
        eventually("Nimbus knows all supervisors", || {
            let info = self.nimbus(|mut nimbus| async move {
                let info = nimbus.get_cluster_info().await;
                info.map_err(|error| error.to_string())
            });
            info.is_ok_and(|info| info.supervisors.len() == n_supervisors)
        });
        self
    }

    fn add(&mut self, name: &str, command: &str, own: Vec<String>) {
        let local = self.dir.join(name);
        let mut args = vec![command.to_owned()];
        for setting in own
            .iter()
            .chain([&format!("storm.local.dir={}", local.display())])
        {
            args.extend(["-c".to_owned(), setting.clone()]);
        }
        self.daemons.push(Daemon {
            name: name.to_owned(),
            args,
            child: None,
        });
    }

    fn start_daemon(&mut self, index: usize) {
        let common = self
            .settings
            .iter()
            .flat_map(|setting| ["-c", setting.as_str()]);
        let common: Vec<String> = common.map(str::to_owned).collect();
        let daemon = &mut self.daemons[index];
        let out = self.dir.join(format!("{}.out", daemon.name));
        let log = self.dir.join(format!("{}.log", daemon.name));
        let errors = File::options().create(true).append(true).open(&log);
        let child = Command::new(&self.program)
            .args(&daemon.args)
            .args(&common)
            .stdin(Stdio::null())
            .stdout(File::create(&out).expect("the cluster's directory can be written"))
            .stderr(errors.expect("the cluster's directory can be written"))
            .spawn();
        let child = daemon.child.insert(child.expect("the program starts"));
        let name = &daemon.name;
        eventually(&format!("{name} is ready"), || {
            let ended = child.try_wait().expect("our own child can be waited for");
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none(), "{name} ended at its start: {}", said());
            fs::read_to_string(&out).is_ok_and(|text| text.lines().any(|line| line == "ready"))
        });
    }

    /// SIGKILL to a daemon; `restart` brings it back on the same directory and ports.
    pub fn kill(&mut self, name: &str) {
        let daemon = self.daemon(name);
        if let Some(mut child) = daemon.child.take() {
            child.kill().expect("our own child can be killed");
            child.wait().expect("our own child can be waited for");
        }
    }

    /// The process of a daemon that runs.
    pub fn process_of(&mut self, name: &str) -> Process {
        let child = self.daemon(name).child.as_ref().expect("the daemon runs");
        let pid = i32::try_from(child.id()).expect("a pid");
        Process::of_pid(pid).expect("the daemon runs")
    }

    pub fn restart(&mut self, name: &str) {
        let found = self.daemons.iter().position(|daemon| daemon.name == name);
        self.start_daemon(found.expect("a daemon of this cluster"));
    }

    fn daemon(&mut self, name: &str) -> &mut Daemon {
        let found = self.daemons.iter_mut().find(|daemon| daemon.name == name);
        found.expect("a daemon of this cluster")
    }

    /// Every worker that runs now, with its supervisor's name.
    pub fn workers(&self) -> Vec<(String, WorkerProcess)> {
        let mut workers = Vec::new();
        for daemon in &self.daemons {
            let dirs = fs::read_dir(self.dir.join(&daemon.name).join("workers"));
            for dir in dirs.into_iter().flatten().flatten() {
                if let Some(worker) = worker_at(&dir.path()) {
                    workers.push((daemon.name.clone(), worker));
                }
            }
        }
        workers
    }

    /// What all workers wrote of topologies whose ids begin so, a text for each slot.
    pub fn worker_logs(&self, prefix: &str) -> Vec<String> {
        let mut slots = Vec::new();
        for daemon in &self.daemons {
            let all = self.dir.join(&daemon.name).join("logs/workers-artifacts");
            let topologies = entries(&all).into_iter().filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with(prefix)
            });
            slots.extend(topologies.flat_map(|path| entries(&path)));
        }
        slots.sort();
        let text = |slot: PathBuf| fs::read(slot.join("worker.log")).unwrap_or_default();
        let logs = slots.into_iter().map(text);
        logs.map(|log| String::from_utf8_lossy(&log).into_owned())
            .collect()
    }

    /// Where Nimbus listens, as commands take it.
    pub fn nimbus_address(&self) -> String {
        format!("127.0.0.1:{}", self.nimbus_port)
    }

    /// A file below the cluster's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes calls to Nimbus over a fresh connection; fails while it does not answer.
    pub fn nimbus<T, F>(&self, calls: impl FnOnce(Client<Connection>) -> F) -> Result<T, String>
    where
        F: Future<Output = Result<T, String>>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let address = Address::new("127.0.0.1", self.nimbus_port);
        let options = ClientOptions {
            connect_wait_max: Duration::from_secs(5),
            call_wait_max: Duration::from_secs(30),
            ..ClientOptions::default()
        };
        runtime.map_err(|error| error.to_string())?.block_on(async {
            let connection = Connection::open(&address, &options).await;
            calls(Client::new(connection.map_err(|error| error.to_string())?)).await
        })
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        for name in self
            .daemons
            .iter()
            .map(|daemon| daemon.name.clone())
            .collect::<Vec<_>>()
        {
            self.kill(&name);
        }
        for (_, worker) in self.workers() {
            worker.process.signal(nix::sys::signal::SIGKILL);
            worker
                .children
                .into_iter()
                .for_each(crate::process::kill_group);
        }
    }
}

fn worker_at(dir: &Path) -> Option<WorkerProcess> {
    let record: ProcessRecord = read(&dir.join("process"))?;
    let process = Process {
        pid: record.pid,
        start_ticks: record.start_ticks,
    };
    let launch = read(&dir.join("launch"))?;
    let groups = fs::read_dir(dir.join("groups"))
        .into_iter()
        .flatten()
        .flatten();
    let children = groups
        .filter_map(|entry| read::<ProcessRecord>(&entry.path()))
        .map(|record| Process {
            pid: record.pid,
            start_ticks: record.start_ticks,
        })
        .filter(|child| child.is_alive())
        .collect();
    process.is_alive().then_some(WorkerProcess {
        process,
        launch,
        children,
    })
}

fn read<T: wire::Wire>(path: &Path) -> Option<T> {
    wire::from_bytes(&fs::read(path).ok()?).ok()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Ports that nobody uses now, and that nobody is given by chance.
fn free_ports(n: usize) -> Vec<u16> {
    ports::free(n).expect("ports of loopback")
}

/// Waits until something is so. `STORMWIRE_PATIENCE` multiplies the minute that it may take, for
/// slow machines.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let factor = std::env::var("STORMWIRE_PATIENCE")
        .ok()
        .and_then(|text| text.parse().ok());
    let deadline = Instant::now() + Duration::from_secs(60).mul_f64(factor.unwrap_or(1.0));
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

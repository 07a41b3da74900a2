//! Starts worker processes and names their generation.
//!
//! Makes the worker's directory, writes its instructions there, and runs the program; who watches
//! the process afterwards is `slot`'s and `mod`'s business.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::process::{Child, Command};

use super::adopt;
use super::blob_cache;
use super::layout::{self, Layout};
use super::log_readers;
use super::program::{self, WorkerProgramError};
use super::slot::{Desired, WorkerId};
use crate::clock;
use crate::conf::{ConfError, keys};
use crate::id::{self, NodeId};
use crate::limits::WORKER_RECORD_WAIT_MAX;
use crate::log_file::Bounds;
use crate::messaging::link::WIRE_VERSION;
use crate::process::Process;
use crate::wire;
use crate::wire::messages::{ProcessRecord, WorkerLaunch};
use crate::wire::stored::{self, StoredError};
use crate::wire::storm::ExecutorInfo;

/// What runs a topology's executors; each is called as `PROGRAM worker --launch FILE`. Storm's own
/// JVM workers are to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerKind {
    /// This program.
    BuiltIn,
    /// The topology's own, which came in its jar.
    Own(PathBuf),
}

/// Where workers of this supervisor live and whom they talk to.
#[derive(Clone, Debug)]
pub struct Launcher {
    pub layout: Layout,
    pub node: NodeId,
    pub host: String,
    /// `stormwire.bind.address` of this machine, for workers too.
    pub bind_address: String,
    /// The program that `WorkerKind::BuiltIn` runs.
    pub program: PathBuf,
    /// `host:port` addresses of Coordination.
    pub coordination: Vec<String>,
    /// PEM file for workers, where Coordination speaks TLS.
    pub tls_authorities: Option<String>,
    /// How much of a worker's logs is kept.
    pub logs: Bounds,
    /// Held while a generation is drawn: workers of one topology may start at the same time.
    pub drawing: Arc<Mutex<()>>,
}

/// One start of one worker.
struct Plan {
    kind: WorkerKind,
    desired: Desired,
    port: u16,
    /// Reactor threads.
    threads: usize,
    /// `topology.worker.timeout.secs` in milliseconds; 0 where the topology has none of its own.
    silence_ms: u64,
    /// `topology.environment`, on top of the supervisor's own environment.
    environment: BTreeMap<String, String>,
    /// `storm.disable.symlinks`.
    is_without_links: bool,
    /// Blobs that the worker finds beside its code.
    local_names: Vec<String>,
    /// Who may read its logs.
    readers: String,
}

/// A worker process that just started.
#[derive(Debug)]
pub struct Started {
    pub id: WorkerId,
    pub process: Process,
    pub child: Child,
    pub generation: i64,
    /// `topology.worker.timeout.secs` in milliseconds; 0 where the topology has none of its own.
    pub silence_ms: u64,
}

/// Why no worker process could be started.
#[derive(Debug, Error)]
pub enum LaunchError {
    #[error("cannot prepare the worker's directory {path}: {source}")]
    Prepare { path: PathBuf, source: io::Error },
    #[error("cannot start the worker program {program}: {source}")]
    Start { program: PathBuf, source: io::Error },
    #[error("the worker program {program} ended before it could be recorded")]
    Ended { program: PathBuf },
    #[error("cannot write the worker's instructions: {0}")]
    Encode(#[from] wire::WireError),
    #[error("the topology's conf {path} cannot be read: {source}")]
    Unreadable { path: PathBuf, source: StoredError },
    #[error("the topology's conf: {0}")]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Program(#[from] WorkerProgramError),
}

/// Why a worker process must not run: no supervisor would find it again.
#[derive(Debug, Error)]
pub enum NotRecorded {
    #[error("the worker's directory {dir} is gone: its supervisor gave this start up")]
    Gone { dir: PathBuf },
    #[error("process {pid} is on record in {dir}, not this one: a worker starts once")]
    Another { dir: PathBuf, pid: i32 },
    #[error("the process record in {dir} cannot be read: {source}")]
    Unreadable { dir: PathBuf, source: io::Error },
    #[error("no supervisor put this process on record in {dir} within {WORKER_RECORD_WAIT_MAX:?}")]
    TimedOut { dir: PathBuf },
}

// === impl Launcher ===

impl Launcher {
    /// Starts a worker with so many reactor threads. On an error nothing of it is left but, at
    /// most, an unused generation. Blocks on the disk.
    pub fn start(
        &self,
        desired: Desired,
        port: u16,
        threads: usize,
    ) -> Result<Started, LaunchError> {
        let path = self.layout.code(&desired.topology).join("stormconf.ser");
        let unreadable = |source| LaunchError::Unreadable {
            path: path.clone(),
            source,
        };
        let stored = fs::read(&path)
            .map_err(StoredError::from)
            .map_err(unreadable)?;
        let conf = stored::unpack_conf(&stored).map_err(unreadable)?;
        let silence_ms = millis(conf.secs(keys::TOPOLOGY_WORKER_TIMEOUT_SECS)?);
        let environment = conf.text_map(keys::TOPOLOGY_ENVIRONMENT)?;
        let code = self.layout.code(&desired.topology);
        let kind = program::find(&code)?.map_or(WorkerKind::BuiltIn, WorkerKind::Own);
        let topology = &desired.topology.clone();
        let plan = &Plan {
            kind,
            desired,
            port,
            threads,
            silence_ms,
            environment,
            is_without_links: conf.flag(keys::DISABLE_SYMLINKS)?.unwrap_or(false),
            local_names: blob_cache::local_names(&self.layout.code(topology)),
            readers: log_readers::of(&conf)?,
        };
        let id = WorkerId(uuid::Uuid::new_v4().to_string());
        let dir = self.layout.worker(&id.0);
        let started = self.prepare(plan, &id, &dir).and_then(|generation| {
            let (process, child) = self.spawn(plan, &dir)?;
            Ok(Started {
                id,
                process,
                child,
                generation,
                silence_ms,
            })
        });
        if started.is_err() {
            // Nothing half-made: the next attempt makes a directory of its own.
            let _ = fs::remove_dir_all(&dir);
        }
        started
    }

    fn prepare(&self, plan: &Plan, id: &WorkerId, dir: &Path) -> Result<i64, LaunchError> {
        let topology = &plan.desired.topology;
        let log_dir = self.layout.artifacts(topology, plan.port);
        for path in [
            &dir.join("pids"),
            &layout::groups(dir),
            &dir.join("tmp"),
            &log_dir,
        ] {
            fs::create_dir_all(path).map_err(prepare_error(path))?;
        }
        let readers = log_dir.join(log_readers::FILE);
        fs::write(&readers, &plan.readers).map_err(prepare_error(&readers))?;
        for (name, target) in self.links(plan, &log_dir) {
            let link = dir.join(name);
            std::os::unix::fs::symlink(target, &link).map_err(prepare_error(&link))?;
        }
        let launches = self.layout.launches(topology);
        let generation = {
            // The lock guards no data that a panic could have left half changed.
            let _drawing = self.drawing.lock().unwrap_or_else(PoisonError::into_inner);
            next_generation(&launches, plan.desired.work.epoch)
        };
        let generation = generation.map_err(prepare_error(&launches))?;
        let mut work = plan.desired.work.clone();
        if let Some(keys) = &mut work.link_keys {
            // Each worker gets its own key alone.
            keys.workers.retain(|port, _| *port == i32::from(plan.port));
        }
        let launch = WorkerLaunch {
            worker_id: id.0.clone(),
            topology_id: topology.to_string(),
            node: self.node.to_string(),
            host: self.host.clone(),
            port: plan.port.into(),
            generation,
            executors: executor_infos(&plan.desired),
            code_dir: self.layout.code(topology).display().to_string(),
            log_dir: log_dir.display().to_string(),
            coordination: self.coordination.clone(),
            threads: i32::try_from(plan.threads).unwrap_or(1),
            work,
            resources: plan.desired.resources.clone(),
            silence_ms: i64::try_from(plan.silence_ms).ok(),
            tls_authorities: self.tls_authorities.clone(),
            bind_address: Some(self.bind_address.clone()),
            wire_version: Some(WIRE_VERSION),
            log_bytes_max: i64::try_from(self.logs.bytes_max).ok(),
            log_files_max: i32::try_from(self.logs.files_max).ok(),
        };
        let path = layout::launch_record(dir);
        write_durably(&path, &wire::to_bytes(&launch)?).map_err(prepare_error(&path))?;
        Ok(generation)
    }

    /// What a worker finds in its directory: Storm's links to its logs and its jar's resources, and
    /// the blobs that its topology named.
    fn links(&self, plan: &Plan, log_dir: &Path) -> Vec<(String, PathBuf)> {
        if plan.is_without_links {
            return Vec::new();
        }
        let code = self.layout.code(&plan.desired.topology);
        let mut links = vec![
            ("artifacts".to_owned(), log_dir.to_owned()),
            ("resources".to_owned(), code.join("resources")),
        ];
        links.extend(
            plan.local_names
                .iter()
                .map(|name| (name.clone(), code.join(name))),
        );
        links
    }

    fn spawn(&self, plan: &Plan, dir: &Path) -> Result<(Process, Child), LaunchError> {
        let program = match &plan.kind {
            WorkerKind::BuiltIn => &self.program,
            WorkerKind::Own(program) => program,
        };
        let start_error = |source| LaunchError::Start {
            program: program.clone(),
            source,
        };
        let log_dir = self.layout.artifacts(&plan.desired.topology, plan.port);
        let log = append(&log_dir.join("worker.log")).map_err(start_error)?;
        let errors = append(&log_dir.join("worker.log.err")).map_err(start_error)?;
        let mut child = Command::new(program)
            .arg("worker")
            .arg("--launch")
            .arg(layout::launch_record(dir))
            .envs(&plan.environment)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // Workers outlive their supervisor: it dies, the next one adopts them.
            .kill_on_drop(false)
            .spawn()
            .map_err(start_error)?;
        let process = child
            .id()
            .and_then(|pid| Process::of_pid(i32::try_from(pid).ok()?));
        let Some(process) = process else {
            return Err(LaunchError::Ended {
                program: program.clone(),
            });
        };
        let record = ProcessRecord {
            pid: process.pid,
            start_ticks: process.start_ticks,
        };
        if let Err(error) = write_record(dir, &record) {
            // Nobody would know it. Should this fail too, the worker finds no record and ends.
            let _ = child.start_kill();
            return Err(error);
        }
        Ok((process, child))
    }
}

/// The first act of a worker process: waits until its supervisor has put it on record, so that no
/// worker runs that a supervisor's death at the wrong moment would leave to nobody.
pub fn wait_until_recorded(dir: &Path) -> Result<(), NotRecorded> {
    let own = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    let give_up_ms = clock::monotonic_millis().saturating_add(millis(WORKER_RECORD_WAIT_MAX));
    let dir = dir.to_owned();
    loop {
        match adopt::process_at(&layout::process_record(&dir)) {
            Ok(process) if process.pid == own => return Ok(()),
            Ok(Process { pid, .. }) => return Err(NotRecorded::Another { dir, pid }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(NotRecorded::Unreadable { dir, source }),
        }
        if !dir.is_dir() {
            return Err(NotRecorded::Gone { dir });
        }
        if clock::monotonic_millis() >= give_up_ms {
            return Err(NotRecorded::TimedOut { dir });
        }
        std::thread::sleep(RECORD_POLL);
    }
}

fn write_record(dir: &Path, record: &ProcessRecord) -> Result<(), LaunchError> {
    let path = layout::process_record(dir);
    write_durably(&path, &wire::to_bytes(record)?).map_err(prepare_error(&path))
}

/// The executors of an assignment as the wire writes them.
pub fn executor_infos(desired: &Desired) -> Vec<ExecutorInfo> {
    let info = |executor: &crate::id::ExecutorId| ExecutorInfo {
        task_start: executor.first.0,
        task_end: executor.last.0,
    };
    desired.executors.iter().map(info).collect()
}

/// The generation of a new worker: the assignment's epoch, and below it how often this node has
/// started a worker of the topology in that epoch. Counted on disk before the process starts, so
/// that a restarted task never uses one again; a task moves to another node only with a new epoch.
pub(super) fn next_generation(launches: &Path, epoch: i64) -> io::Result<i64> {
    let text = match fs::read_to_string(launches) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let mut numbers = text.split_whitespace().map(str::parse::<i64>);
    let count = match (numbers.next(), numbers.next()) {
        (Some(Ok(of_epoch)), Some(Ok(count))) if of_epoch == epoch => count + 1,
        (Some(Ok(_)), Some(Ok(_))) | (None, None) => 1,
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "not a launch counter",
            ));
        }
    };
    if let Some(parent) = launches.parent() {
        fs::create_dir_all(parent)?;
    }
    write_durably(launches, format!("{epoch} {count}\n").as_bytes())?;
    Ok(id::generation(epoch, count))
}

/// Write, fsync, rename, fsync the directory: the file is whole or as it was. Nobody else may read
/// it: records of workers hold their tokens.
pub fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let half = path.with_extension("half");
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&half)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&half, path)?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// A span of time in milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn append(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new().append(true).create(true).open(path)
}

fn prepare_error(path: &Path) -> impl Fn(io::Error) -> LaunchError + use<> {
    let path = path.to_owned();
    move |source| LaunchError::Prepare {
        path: path.clone(),
        source,
    }
}

/// How often a new worker looks whether it is on record.
const RECORD_POLL: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_runs_only_when_it_is_on_record() {
        let dir = tempfile::tempdir().expect("dir");
        let own = i32::try_from(std::process::id()).expect("a pid");
        let record = |pid| ProcessRecord {
            pid,
            start_ticks: 1,
        };
        write_record(dir.path(), &record(own + 1)).expect("room");
        let another = wait_until_recorded(dir.path());
        assert!(
            matches!(another, Err(NotRecorded::Another { .. })),
            "{another:?}"
        );
        write_record(dir.path(), &record(own)).expect("room");
        wait_until_recorded(dir.path()).expect("on record");
        let gone = wait_until_recorded(&dir.path().join("gone"));
        assert!(matches!(gone, Err(NotRecorded::Gone { .. })), "{gone:?}");
    }

    #[test]
    fn a_generation_is_never_given_twice_and_grows() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("launches/t-1-1");
        let drawn: Vec<i64> = [1, 1, 1, 2, 2, 7]
            .map(|epoch| next_generation(&path, epoch).expect("drawn"))
            .into();
        assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]), "{drawn:?}");
        fs::write(&path, "garbage").expect("file");
        assert!(
            next_generation(&path, 7).is_err(),
            "a damaged counter must not start over"
        );
    }
}

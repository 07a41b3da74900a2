//! Finds the workers that an earlier supervisor left running, and clears away those that died
//! meanwhile.
//!
//! A worker is known by its directory: instructions, and a process record that a reused pid cannot
//! forge. Whether it is still wanted is decided later, by its slot.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::launch::{millis, write_durably};
use super::layout::{self, Layout};
use super::slot::{Desired, WorkerId};
use crate::clock;
use crate::id::{ExecutorId, TaskId};
use crate::limits::KILL_WAIT_MAX;
use crate::process::{self, Process};
use crate::wire;
use crate::wire::messages::{ProcessRecord, WorkerLaunch};

/// A worker that still runs.
#[derive(Debug)]
pub struct Adopted {
    pub id: WorkerId,
    pub port: u16,
    pub process: Process,
    pub generation: i64,
    /// As in `Started`.
    pub silence_ms: u64,
    pub runs: Desired,
}

/// Removes the workers of an earlier boot of the machine, without any signal: they are dead, and
/// pids and start times of their records may by now be those of strangers.
pub fn forget_other_boots(layout: &Layout, boot: &str) -> io::Result<()> {
    let path = layout.boot_id();
    let recorded = match fs::read_to_string(&path) {
        Ok(recorded) => Some(recorded),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if recorded.as_deref() == Some(boot) {
        return Ok(());
    }
    if recorded.is_some() {
        tracing::info!("the machine has booted: earlier workers are forgotten");
        for entry in fs::read_dir(layout.all_workers())? {
            fs::remove_dir_all(entry?.path())?;
        }
    }
    write_durably(&path, boot.as_bytes())
}

/// Looks through the workers' directory. Dead workers' children are killed and their directories
/// removed.
pub fn find(layout: &Layout) -> Vec<Adopted> {
    let Ok(entries) = fs::read_dir(layout.all_workers()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for dir in entries.flatten().map(|entry| entry.path()) {
        match read(&dir) {
            Ok(worker) if worker.process.is_alive() => {
                tracing::info!(
                    worker = worker.id.0,
                    pid = worker.process.pid,
                    "adopted a worker"
                );
                found.push(worker);
            }
            Ok(_) => clean_up(&dir),
            Err(error) => {
                tracing::warn!(path = %dir.display(), %error, "no readable worker: removed");
                match process_at(&layout::process_record(&dir)) {
                    Ok(process) => end(process, &dir),
                    Err(_) => clean_up(&dir),
                }
            }
        }
    }
    found
}

/// Kills a worker that nobody will watch, and clears away what it leaves.
pub fn end(process: Process, dir: &Path) {
    process.signal(nix::sys::signal::Signal::SIGKILL);
    let give_up_ms = clock::monotonic_millis().saturating_add(millis(KILL_WAIT_MAX));
    // Its children are known by its death: `clean_up` spares the session of a living leader.
    while process.is_alive() && clock::monotonic_millis() < give_up_ms {
        std::thread::sleep(KILL_POLL);
    }
    clean_up(dir);
}

/// Ends what a dead worker left: the process groups of its shell children, then the rest of its
/// session, then its directory.
pub fn clean_up(dir: &Path) {
    let groups = fs::read_dir(layout::groups(dir))
        .into_iter()
        .flatten()
        .flatten();
    for record in groups.filter_map(|entry| process_at(&entry.path()).ok()) {
        process::kill_group(record);
    }
    if let Ok(worker) = process_at(&layout::process_record(dir))
        && Process::of_pid(worker.pid).is_none()
    {
        // A child that was started in the worker's last moment may not have been recorded.
        for member in process::session_members(worker.pid) {
            member.signal(nix::sys::signal::Signal::SIGKILL);
        }
    }
    if let Err(error) = fs::remove_dir_all(dir)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %dir.display(), %error, "cannot remove a dead worker's directory");
    }
}

fn read(dir: &Path) -> io::Result<Adopted> {
    let launch: WorkerLaunch = record_at(&layout::launch_record(dir))?;
    let process = process_at(&layout::process_record(dir))?;
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let executor = |info: &crate::wire::storm::ExecutorInfo| {
        ExecutorId::new(TaskId(info.task_start), TaskId(info.task_end))
    };
    let executors: BTreeSet<_> = launch.executors.iter().map(executor).collect();
    Ok(Adopted {
        id: WorkerId(launch.worker_id),
        port: u16::try_from(launch.port).map_err(|_| bad("its port is none"))?,
        process,
        generation: launch.generation,
        silence_ms: launch
            .silence_ms
            .and_then(|ms| u64::try_from(ms).ok())
            .unwrap_or(0),
        runs: Desired {
            topology: launch.topology_id.into(),
            executors,
            resources: launch.resources,
            since: 0,
            work: launch.work,
        },
    })
}

/// The process that a record names.
pub fn process_at(path: &Path) -> io::Result<Process> {
    let record: ProcessRecord = record_at(path)?;
    Ok(Process {
        pid: record.pid,
        start_ticks: record.start_ticks,
    })
}

fn record_at<T: wire::Wire>(path: &Path) -> io::Result<T> {
    let bytes = fs::read(path)?;
    wire::from_bytes(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// How often `end` looks whether the process is gone.
const KILL_POLL: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::path::PathBuf;
    use std::process::{Child, Command};

    use super::*;

    #[test]
    fn an_adopted_worker_keeps_its_topologys_patience() {
        let dir = tempfile::tempdir().expect("dir");
        let mut launch = WorkerLaunch::default();
        let record = wire::to_bytes(&ProcessRecord::default()).expect("small");
        fs::write(layout::process_record(dir.path()), record).expect("room");
        let mut silence = |ms| {
            launch.silence_ms = ms;
            let bytes = wire::to_bytes(&launch).expect("small");
            fs::write(layout::launch_record(dir.path()), bytes).expect("room");
            read(dir.path()).expect("a worker").silence_ms
        };
        assert_eq!((silence(Some(90_000)), silence(None)), (90_000, 0));
    }

    /// A process on record as a worker without readable instructions.
    fn worker(layout: &Layout) -> (Child, Process, PathBuf) {
        let dir = layout.worker("w");
        fs::create_dir_all(&dir).expect("room");
        fs::create_dir_all(layout.supervisor()).expect("room");
        let sleep = Command::new("sleep").arg("60").process_group(0).spawn();
        let child = sleep.expect("sleep");
        let pid = i32::try_from(child.id()).expect("a pid");
        let process = Process::of_pid(pid).expect("just started");
        let record = ProcessRecord {
            pid,
            start_ticks: process.start_ticks,
        };
        let record = wire::to_bytes(&record).expect("small");
        fs::write(layout::process_record(&dir), record).expect("room");
        fs::write(layout::launch_record(&dir), "garbage").expect("room");
        (child, process, dir)
    }

    #[test]
    fn a_worker_with_unreadable_instructions_is_ended() {
        let local = tempfile::tempdir().expect("dir");
        let layout = Layout::new(local.path().into(), local.path().join("logs"));
        let (mut child, process, dir) = worker(&layout);
        assert!(find(&layout).is_empty());
        assert!(!process.is_alive() && !dir.exists());
        child.wait().expect("reaped");
    }

    #[test]
    fn after_a_boot_records_are_forgotten_and_nobody_is_killed() {
        let local = tempfile::tempdir().expect("dir");
        let layout = Layout::new(local.path().into(), local.path().join("logs"));
        let (mut child, process, dir) = worker(&layout);
        for boot in ["one", "one"] {
            forget_other_boots(&layout, boot).expect("room");
            assert!(dir.exists(), "nothing tells that it is of another boot");
        }
        forget_other_boots(&layout, "two").expect("room");
        assert!(find(&layout).is_empty() && !dir.exists());
        assert!(process.is_alive(), "it is a stranger by now");
        child.kill().expect("a child");
        child.wait().expect("reaped");
    }
}

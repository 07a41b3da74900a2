//! Removes logs of workers that are gone, when they are old or take too much room
//! (`logviewer.cleanup.*`, `logviewer.max.*`).
//!
//! A slot in which a worker runs, or may, is never touched: its supervisor has instructions of it
//! on record. Ages are those of files, so the wall clock counts here.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use super::files::{Roots, Slot};
use crate::conf::{Conf, ConfError, keys};
use crate::id::file_name;
use crate::wire;
use crate::wire::messages::WorkerLaunch;

/// What is kept, and where.
#[derive(Clone, Debug)]
pub(super) struct Cleanup {
    roots: Roots,
    /// Records of workers that run.
    running: PathBuf,
    age_max: Duration,
    bytes_max: u64,
    slot_bytes_max: u64,
}

/// The logs of a slot in which nothing runs.
struct Dead {
    directory: PathBuf,
    /// Of the youngest thing in it.
    modified: SystemTime,
    bytes: u64,
}

// === impl Cleanup ===

impl Cleanup {
    /// With its period; none where that is unset, as in Storm.
    pub fn new(conf: &Conf, roots: &Roots) -> Result<Option<(Self, Duration)>, ConfError> {
        let Some(secs) = conf.int(keys::LOGVIEWER_CLEANUP_INTERVAL_SECS)? else {
            return Ok(None);
        };
        let number = |key, default| -> Result<u64, ConfError> {
            Ok(u64::try_from(conf.int_or(key, default)?).unwrap_or(0))
        };
        let age_mins = number(keys::LOGVIEWER_CLEANUP_AGE_MINS, 10_080)?;
        let all_mb = number(keys::LOGVIEWER_MAX_SUM_WORKER_LOGS_SIZE_MB, 4096)?;
        let slot_mb = number(keys::LOGVIEWER_MAX_PER_WORKER_LOGS_SIZE_MB, 2048)?;
        let cleanup = Cleanup {
            roots: roots.clone(),
            running: conf.local_dir()?.join("workers"),
            age_max: Duration::from_secs(age_mins.saturating_mul(60)),
            bytes_max: all_mb << 20,
            // One worker never takes more than half of the room.
            slot_bytes_max: slot_mb.min(all_mb / 2) << 20,
        };
        let secs = u64::try_from(secs).unwrap_or(1).max(1);
        Ok(Some((cleanup, Duration::from_secs(secs))))
    }

    /// Goes once through all of it. Blocks on the disk.
    pub fn run(&self, now: SystemTime) {
        let running = match self.slots_in_use() {
            Ok(running) => running,
            // What runs is not known: nothing may go.
            Err(error) => return warn!(%error, "no clean-up: a worker's record is unreadable"),
        };
        let mut all_bytes = 0;
        let mut dead = Vec::new();
        for slot in self.roots.slots(None, None) {
            let topology = self.roots.workers().join(file_name(&slot.topology));
            let found = Dead::look(topology.join(slot.port.to_string()));
            all_bytes += found.bytes;
            if !running.contains(&slot) {
                dead.push(found);
            }
        }
        dead.sort_by_key(|each| each.modified);
        for each in dead {
            let age = now.duration_since(each.modified).unwrap_or_default();
            if age < STARTING {
                continue;
            }
            if age >= self.age_max || all_bytes > self.bytes_max {
                each.remove();
                all_bytes -= each.bytes;
            } else if each.bytes > self.slot_bytes_max {
                // They may have grown since they were counted.
                all_bytes = all_bytes.saturating_sub(each.trim(self.slot_bytes_max));
            }
        }
    }

    /// Slots for which the supervisor has instructions.
    fn slots_in_use(&self) -> io::Result<BTreeSet<Slot>> {
        let mut slots = BTreeSet::new();
        let workers = match fs::read_dir(&self.running) {
            Ok(workers) => workers,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(slots),
            Err(error) => return Err(error),
        };
        for worker in workers {
            let record = match fs::read(worker?.path().join("launch")) {
                Ok(record) => record,
                // About to start, and then its logs are young; or just gone.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let launch: WorkerLaunch =
                wire::from_bytes(&record).map_err(|error| io::Error::other(error.to_string()))?;
            let slot = Slot::parse(&launch.topology_id, &launch.port.to_string());
            slots.extend(slot);
        }
        Ok(slots)
    }
}

// === impl Dead ===

impl Dead {
    fn look(directory: PathBuf) -> Self {
        let mut modified = modified(&directory);
        let mut bytes = 0;
        for entry in entries(&directory) {
            modified = modified.max(entry.1);
            bytes += entry.2;
        }
        Dead {
            directory,
            modified,
            bytes,
        }
    }

    fn remove(&self) {
        let directory = self.directory.display();
        match fs::remove_dir_all(&self.directory) {
            Ok(()) => info!(%directory, bytes = self.bytes, "old logs removed"),
            Err(error) => warn!(%directory, %error, "old logs cannot be removed"),
        }
        // Fails as long as something is in it.
        if let Some(topology) = self.directory.parent() {
            let _ = fs::remove_dir(topology);
        }
    }

    /// Removes the oldest files until the rest has room; returns how many bytes went.
    fn trim(&self, bytes_max: u64) -> u64 {
        let mut files = entries(&self.directory);
        files.sort_by_key(|(_, modified, _)| *modified);
        let mut gone = 0;
        for (path, _, bytes) in files {
            if self.bytes.saturating_sub(gone) <= bytes_max {
                break;
            }
            match fs::remove_file(&path) {
                Ok(()) => gone += bytes,
                Err(error) => warn!(path = %path.display(), %error, "a log cannot be removed"),
            }
        }
        gone
    }
}

/// What lies in a directory: path, age and size of each file.
fn entries(directory: &Path) -> Vec<(PathBuf, SystemTime, u64)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| {
        // Of a link: its own.
        let metadata = entry.metadata().ok()?;
        let modified = metadata.modified().ok()?;
        Some((entry.path(), modified, metadata.len()))
    });
    files.collect()
}

fn modified(path: &Path) -> SystemTime {
    let metadata = fs::symlink_metadata(path);
    let modified = metadata.and_then(|metadata| metadata.modified());
    // What cannot be looked at is young.
    modified.unwrap_or_else(|_| SystemTime::now())
}

/// A worker may be about to start where something was written so lately.
const STARTING: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::to_bytes;

    struct Place {
        directory: tempfile::TempDir,
        conf: Conf,
    }

    impl Place {
        fn new() -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            let conf = Conf::new()
                .with(
                    keys::STORM_LOCAL_DIR,
                    directory.path().display().to_string(),
                )
                .with(keys::LOGVIEWER_CLEANUP_INTERVAL_SECS, 10)
                .with(keys::LOGVIEWER_CLEANUP_AGE_MINS, 1);
            Place { directory, conf }
        }

        fn slot(&self, topology: &str, n_bytes: usize) -> PathBuf {
            let logs = self.directory.path().join("logs/workers-artifacts");
            let slot = logs.join(topology).join("6700");
            fs::create_dir_all(&slot).expect("room");
            fs::write(slot.join("worker.log"), vec![b'x'; n_bytes]).expect("room");
            slot
        }

        fn runs(&self, topology: &str) {
            let worker = self.directory.path().join("workers").join(topology);
            fs::create_dir_all(&worker).expect("room");
            let launch = WorkerLaunch {
                topology_id: topology.to_owned(),
                port: 6700,
                ..WorkerLaunch::default()
            };
            let launch = to_bytes(&launch).expect("a record");
            fs::write(worker.join("launch"), launch).expect("room");
        }

        fn clean(&self, conf: &Conf, later_secs: u64) {
            let roots = Roots::new(conf).expect("a conf");
            let made = Cleanup::new(conf, &roots).expect("a conf");
            let (cleanup, _) = made.expect("it is on");
            cleanup.run(SystemTime::now() + Duration::from_secs(later_secs));
        }
    }

    #[test]
    fn only_old_logs_of_workers_that_are_gone_go() {
        let place = Place::new();
        let (dead, alive) = (place.slot("dead-1-1", 10), place.slot("alive-1-1", 10));
        place.runs("alive-1-1");
        place.clean(&place.conf, 30);
        assert!(dead.exists() && alive.exists());
        place.clean(&place.conf, 90);
        assert!(!dead.exists() && alive.exists());
        assert!(!dead.parent().expect("its topology").exists());
    }

    #[test]
    fn nothing_goes_while_it_is_unknown_what_runs() {
        let place = Place::new();
        let dead = place.slot("dead-1-1", 10);
        place.runs("alive-1-1");
        let record = place.directory.path().join("workers/alive-1-1/launch");
        fs::write(record, "no record").expect("room");
        place.clean(&place.conf, 90);
        assert!(dead.exists());
    }

    #[test]
    fn what_grew_since_it_was_counted_takes_no_other_file_along() {
        let place = Place::new();
        let slot = place.slot("dead-1-1", 10);
        let dead = Dead::look(slot.clone());
        fs::write(slot.join("worker.log"), vec![b'x'; 1000]).expect("room");
        fs::write(slot.join("worker.log.err"), "kept").expect("room");
        let young = SystemTime::now() + Duration::from_secs(60);
        let err = fs::File::options()
            .append(true)
            .open(slot.join("worker.log.err"));
        err.and_then(|err| err.set_modified(young)).expect("ours");
        assert_eq!(dead.trim(5), 1000);
        assert!(slot.join("worker.log.err").exists() && !slot.join("worker.log").exists());
    }

    #[test]
    fn too_much_is_taken_from_the_dead_alone() {
        let place = Place::new();
        let slots: Vec<_> = ["a-1-1", "b-1-1", "c-1-1"]
            .map(|topology| place.slot(topology, 900 << 10))
            .into();
        place.runs("a-1-1");
        let conf = place.conf.clone();
        let conf = conf.with(keys::LOGVIEWER_MAX_SUM_WORKER_LOGS_SIZE_MB, 2);
        place.clean(&conf, 5);
        assert!(slots.iter().all(|slot| slot.exists()), "too young");
        place.clean(&conf, 40);
        let left: Vec<_> = slots.iter().map(|slot| slot.exists()).collect();
        assert!(left[0], "a worker runs there");
        assert_eq!(left.iter().filter(|left| **left).count(), 2, "{left:?}");
        assert!(
            Cleanup::new(&Conf::new(), &Roots::new(&conf).expect("a conf"))
                .expect("a conf")
                .is_none()
        );
    }
}

//! Where a supervisor keeps what: every path of it, in one place.
//!
//! Storm's own tree (control-plane 6.8), since adapters of shell components look into it: the
//! resources of a topology lie in `.../<topology id>/resources`. Names from outside become single
//! path components (`id::file_name`).

use std::path::{Path, PathBuf};

use crate::id::{TopologyId, file_name};

/// The directories of one supervisor.
#[derive(Clone, Debug)]
pub struct Layout {
    local: PathBuf,
    log: PathBuf,
}

// === impl Layout ===

impl Layout {
    /// `local` is `storm.local.dir`, `log` is `storm.log.dir`.
    pub fn new(local: PathBuf, log: PathBuf) -> Self {
        Layout { local, log }
    }

    /// The supervisor's own: its id, its lock, its launch counters.
    pub fn supervisor(&self) -> PathBuf {
        self.local.join("supervisor")
    }

    /// Names the boot of the machine in which the process records were written.
    pub fn boot_id(&self) -> PathBuf {
        self.supervisor().join("boot-id")
    }

    /// How often workers of a topology were started here, see `launch`.
    pub fn launches(&self, topology: &TopologyId) -> PathBuf {
        self.all_launches().join(file_name(topology.as_str()))
    }

    pub fn all_launches(&self) -> PathBuf {
        self.supervisor().join("launches")
    }

    pub fn all_code(&self) -> PathBuf {
        self.supervisor().join("stormdist")
    }

    /// A topology's code, conf, jar and resources.
    pub fn code(&self, topology: &TopologyId) -> PathBuf {
        self.all_code().join(file_name(topology.as_str()))
    }

    /// Blobs that a user's topologies share.
    pub fn file_cache(&self, user: &str) -> PathBuf {
        self.user_caches().join(file_name(user)).join("filecache")
    }

    pub fn user_caches(&self) -> PathBuf {
        self.supervisor().join("usercache")
    }

    pub fn all_workers(&self) -> PathBuf {
        self.local.join("workers")
    }

    /// What belongs to one worker process. `id` is a UUID of ours.
    pub fn worker(&self, id: &str) -> PathBuf {
        self.all_workers().join(file_name(id))
    }

    /// A slot's logs, which outlive its workers.
    pub fn artifacts(&self, topology: &TopologyId, port: u16) -> PathBuf {
        let topology = file_name(topology.as_str());
        self.log
            .join("workers-artifacts")
            .join(topology)
            .join(port.to_string())
    }
}

/// A worker's instructions: a `WorkerLaunch`.
pub fn launch_record(worker_dir: &Path) -> PathBuf {
    worker_dir.join("launch")
}

/// A file that the worker rewrites every second.
pub fn heartbeat(worker_dir: &Path) -> PathBuf {
    worker_dir.join("heartbeat")
}

/// The worker's own `ProcessRecord`.
pub fn process_record(worker_dir: &Path) -> PathBuf {
    worker_dir.join("process")
}

/// One `ProcessRecord` for each process group of a shell child.
pub fn groups(worker_dir: &Path) -> PathBuf {
    worker_dir.join("groups")
}

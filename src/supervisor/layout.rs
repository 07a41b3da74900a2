//! Where a supervisor keeps what: every path of it, in one place.
//!
//! Storm's own tree (control-plane 6.8), since adapters of shell components look into it: the
//! resources of a topology lie in `.../<topology id>/resources`. Names from outside become single
//! path components here and nowhere else.

use std::path::{Path, PathBuf};

use crate::id::TopologyId;

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

/// An id as one path component: letters, digits and `.-*_` stand for themselves, a blank is `+`,
/// all else is percent-encoded as Java's `URLEncoder` does it. `.` and `..` cannot result.
pub fn file_name(id: &str) -> String {
    let mut name = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'*' | b'_' => name.push(byte.into()),
            b'.' if !matches!(id, "." | "..") => name.push('.'),
            b' ' => name.push('+'),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_single_components() {
        for (id, name) in [
            ("words-1-1700000000", "words-1-1700000000"),
            ("two words", "two+words"),
            ("../etc", "..%2Fetc"),
            ("..", "%2E%2E"),
            ("h\u{e9}", "h%C3%A9"),
            ("a\0b", "a%00b"),
        ] {
            assert_eq!(file_name(id), name);
        }
    }
}

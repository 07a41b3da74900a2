//! The files that may be shown: those of workers' directories and, apart from them, daemons'.
//!
//! Whatever a request names is taken as single names, each opened in the directory before it and
//! no link followed: nothing leads out of the root, whatever else runs on the machine meanwhile.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

use crate::conf::{Conf, ConfError};
use crate::id::file_name;
use crate::limits;
use crate::percent::decode;

/// Where logs lie.
#[derive(Clone, Debug)]
pub(super) struct Roots {
    workers: PathBuf,
    daemons: PathBuf,
}

/// A slot's directory, which outlives its workers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    /// Its id, as clients write it.
    pub topology: String,
    pub port: u16,
}

/// One file of a slot: `<topology id>/<port>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WorkerFile {
    pub slot: Slot,
    pub name: String,
}

// === impl Roots ===

impl Roots {
    pub fn new(conf: &Conf) -> Result<Self, ConfError> {
        let daemons = conf.log_dir()?;
        Ok(Roots {
            workers: daemons.join("workers-artifacts"),
            daemons,
        })
    }

    /// The parent of all workers' directories.
    pub fn workers(&self) -> &Path {
        &self.workers
    }

    /// None where there is no such regular file.
    pub fn open_worker_file(&self, file: &WorkerFile) -> io::Result<Option<File>> {
        let topology = file_name(&file.slot.topology);
        let port = file.slot.port.to_string();
        open_below(&self.workers, &[&topology, &port, &file.name])
    }

    /// A file of the slot that is not shown to anybody.
    pub fn open_beside(&self, slot: &Slot, name: &str) -> io::Result<Option<File>> {
        self.open_worker_file(&WorkerFile {
            slot: slot.clone(),
            name: name.to_owned(),
        })
    }

    /// None where there is no such regular file.
    pub fn open_daemon_file(&self, name: &str) -> io::Result<Option<File>> {
        match is_name(name) {
            true => open_below(&self.daemons, &[name]),
            false => Ok(None),
        }
    }

    /// All slots with logs, or those of one topology or port.
    pub fn slots(&self, topology: Option<&str>, port: Option<u16>) -> Vec<Slot> {
        let topologies = match topology {
            Some(topology) => [topology.to_owned()].into(),
            None => names(&self.workers, fs::FileType::is_dir)
                .iter()
                .map(|name| decode(name))
                .collect::<Vec<_>>(),
        };
        let slots = topologies.into_iter().flat_map(|topology| {
            let directory = self.workers.join(file_name(&topology));
            let ports = match is_directory(&directory) {
                true => names(&directory, fs::FileType::is_dir),
                false => Vec::new(),
            };
            let ports: Vec<u16> = ports.iter().filter_map(|port| port.parse().ok()).collect();
            ports.into_iter().map(move |port| Slot {
                topology: topology.clone(),
                port,
            })
        });
        let slots = slots.filter(|slot| port.is_none_or(|port| port == slot.port));
        slots.take(limits::LOG_FILES_LISTED_MAX).collect()
    }

    /// Whether a worker has left anything there.
    pub fn has(&self, slot: &Slot) -> bool {
        let directory = self.directory(slot);
        directory.parent().is_some_and(is_directory) && is_directory(&directory)
    }

    /// The files of a slot, by name.
    pub fn files(&self, slot: &Slot) -> Vec<WorkerFile> {
        if !self.has(slot) {
            return Vec::new();
        }
        let files = names(&self.directory(slot), fs::FileType::is_file);
        let files = files.into_iter().filter(|name| is_name(name));
        let files = files.map(|name| WorkerFile {
            slot: slot.clone(),
            name,
        });
        files.collect()
    }

    /// The daemons' files, by name.
    pub fn daemon_files(&self) -> Vec<String> {
        let files = names(&self.daemons, fs::FileType::is_file);
        files.into_iter().filter(|name| is_name(name)).collect()
    }

    /// When the file was last written; for the order of search.
    pub fn modified(&self, file: &WorkerFile) -> SystemTime {
        let path = self.directory(&file.slot).join(&file.name);
        let metadata = fs::symlink_metadata(path);
        let modified = metadata.and_then(|metadata| metadata.modified());
        modified.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn directory(&self, slot: &Slot) -> PathBuf {
        let topology = self.workers.join(file_name(&slot.topology));
        topology.join(slot.port.to_string())
    }
}

// === impl WorkerFile ===

impl WorkerFile {
    /// Of exactly three names; none for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (topology, port, name) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || !is_name(name) {
            return None;
        }
        Some(WorkerFile {
            slot: Slot::parse(topology, port)?,
            name: name.to_owned(),
        })
    }
}

impl std::fmt::Display for WorkerFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Slot { topology, port } = &self.slot;
        write!(f, "{topology}/{port}/{}", self.name)
    }
}

// === impl Slot ===

impl Slot {
    /// None where that cannot be one.
    pub fn parse(topology: &str, port: &str) -> Option<Self> {
        // As it is written in names of directories.
        let is_plain = port.bytes().all(|digit| digit.is_ascii_digit()) && !port.starts_with('0');
        let port = port.parse().ok().filter(|_| is_plain)?;
        is_name(topology).then(|| Slot {
            topology: topology.to_owned(),
            port,
        })
    }
}

/// One component of a path that means nothing else.
fn is_name(text: &str) -> bool {
    let is_odd = |c: char| c == '/' || c.is_control();
    !matches!(text, "" | "." | "..") && text.len() <= NAME_BYTES_MAX && !text.contains(is_odd)
}

/// Opens a regular file, component by component; none where one is missing, a link, or of another
/// kind.
fn open_below(root: &Path, names: &[&str]) -> io::Result<Option<File>> {
    let opened = || -> nix::Result<OwnedFd> {
        // The root itself may be a link: the operator put it there.
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let mut at = open(root, flags | OFlag::O_DIRECTORY, Mode::empty())?;
        let (file, directories) = names.split_last().ok_or(Errno::ENOENT)?;
        for name in directories {
            let flags = flags | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
            at = openat(&at, *name, flags, Mode::empty())?;
        }
        // A pipe without a writer would not open.
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        openat(&at, *file, flags, Mode::empty())
    };
    match opened() {
        Ok(file) => {
            let file = File::from(file);
            let is_file = file.metadata()?.is_file();
            Ok(is_file.then_some(file))
        }
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG) => Ok(None),
        // Sockets and devices without a driver.
        Err(Errno::ENXIO | Errno::ENODEV) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Itself, no link to one.
fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Names in a directory of what is of that kind itself, links being none.
fn names(directory: &Path, is_wanted: fn(&fs::FileType) -> bool) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let entries = entries.take(limits::LOG_FILES_LISTED_MAX);
    let wanted = entries.filter(|entry| entry.file_type().is_ok_and(|kind| is_wanted(&kind)));
    let names: BTreeSet<String> = wanted
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.into_iter().collect()
}

/// What file systems take.
const NAME_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::conf::keys;

    fn roots(directory: &Path) -> Roots {
        let slot = directory.join("logs/workers-artifacts/two+words-1-1/6700");
        fs::create_dir_all(&slot).expect("room");
        fs::write(slot.join("worker.log"), "a line").expect("room");
        fs::write(directory.join("logs/nimbus.log"), "of Nimbus").expect("room");
        fs::write(directory.join("secret"), "a secret").expect("room");
        symlink(directory.join("secret"), slot.join("link.log")).expect("room");
        symlink("/etc", slot.join("etc")).expect("room");
        symlink(directory, directory.join("logs/workers-artifacts/away")).expect("room");
        symlink(
            slot,
            directory.join("logs/workers-artifacts/two+words-1-1/6701"),
        )
        .expect("room");
        let log_dir = directory.join("logs").display().to_string();
        Roots::new(&Conf::new().with(keys::STORM_LOG_DIR, log_dir)).expect("a conf")
    }

    fn shown(roots: &Roots, path: &str) -> Option<String> {
        let mut file = roots.open_worker_file(&WorkerFile::parse(path)?).ok()??;
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        Some(text)
    }

    #[test]
    fn files_of_slots_are_found_by_their_topologys_id() {
        let directory = tempfile::tempdir().expect("a directory");
        let roots = roots(directory.path());
        let path = "two words-1-1/6700/worker.log";
        assert_eq!(shown(&roots, path).as_deref(), Some("a line"));
        let slots = roots.slots(None, None);
        assert_eq!(slots.len(), 1, "links are no slots: {slots:?}");
        assert!(roots.has(&slots[0]));
        assert!(["two words-1-1", "nobody-1-1"].into_iter().all(|topology| {
            let linked_or_absent = Slot::parse(topology, "6701").expect("a slot");
            !roots.has(&linked_or_absent)
        }));
        let files: Vec<_> = roots.files(&slots[0]);
        let files: Vec<_> = files.iter().map(WorkerFile::to_string).collect();
        assert_eq!(files, [path]);
        assert_eq!(roots.daemon_files(), ["nimbus.log"]);
        assert!(roots.slots(Some("../logs"), None).is_empty());
        assert!(roots.slots(Some("away"), None).is_empty());
    }

    #[test]
    fn nothing_leads_out() {
        let directory = tempfile::tempdir().expect("a directory");
        let roots = roots(directory.path());
        for path in [
            "two words-1-1/6700/link.log",
            "two words-1-1/6700/etc",
            "two words-1-1/6701/worker.log",
            "two words-1-1/6700",
            "two words-1-1/6700/",
            "two words-1-1/6700/.",
            "two words-1-1/6700/../../../../secret",
            "two words-1-1/6700//worker.log",
            "two words-1-1/06700/worker.log",
            "two words-1-1/+6700/worker.log",
            "two words-1-1/6700/worker.log\0",
            "two words-1-1/6700/%2e%2e",
            "away/6700/secret",
            "../../secret",
            "../logs/nimbus.log",
            "/etc/passwd",
            "/6700/worker.log",
            "",
        ] {
            assert_eq!(shown(&roots, path), None, "{path}");
        }
        for name in [
            "",
            ".",
            "..",
            "../secret",
            "workers-artifacts",
            "/etc/passwd",
            "a\0b",
        ] {
            let opened = roots.open_daemon_file(name).expect("an answer");
            assert!(opened.is_none(), "{name}");
        }
        assert!(
            roots
                .open_daemon_file("nimbus.log")
                .expect("read")
                .is_some()
        );
    }
}

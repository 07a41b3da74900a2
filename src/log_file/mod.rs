//! Files that a standard stream of this process leads to, each kept within bounds: a full one is
//! renamed, and the stream leads to a new one from there on.
//!
//! The stream itself is turned, so that whatever writes to it lands in the file: log lines, prints,
//! a panic's last words. A process has one of each stream, so what is kept here is the process's,
//! too. What becomes of files that were renamed is `rolled`'s business.

mod rolled;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use nix::sys::stat::fstat;
use nix::unistd::{dup2_stderr, dup2_stdout};
use tracing::warn;

use self::rolled::Rolled;
use crate::conf::{Conf, ConfError};

/// One of this process's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Output,
    Error,
}

/// How much of a log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// A file with so many bytes is full. It takes the line that passes this, and what is printed
    /// past the log within a second.
    pub bytes_max: u64,
    /// Full files that are kept beside the one that is written; older ones go.
    pub files_max: usize,
}

/// A stream's file.
#[derive(Debug)]
struct LogFile {
    stream: Stream,
    path: PathBuf,
    rolled: Rolled,
    bounds: Bounds,
    /// Held while the stream is turned to another file.
    turning: Mutex<()>,
    /// Full files may be there that nobody looked after yet.
    is_untidy: AtomicBool,
}

/// Turns a stream to a file from now on. Where it led before, lines for whoever started the
/// process can still be written: `write_to_starter`.
pub fn redirect(stream: Stream, path: &Path, bounds: Bounds) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let file = open(path)?;
    if stream == Stream::Error {
        let before = stream.fd().try_clone_to_owned()?;
        // Only the first is the starter's.
        let _ = STARTERS.set(before);
    }
    stream.turn(&file)?;
    keep(LogFile::new(stream, path, bounds));
    Ok(())
}

/// Keeps the file within bounds to which the starter of this process turned a stream. Does nothing
/// where the stream leads elsewhere.
pub fn adopt(stream: Stream, path: &Path, bounds: Bounds) {
    let file = LogFile::new(stream, path, bounds);
    if file.is_in_place() {
        keep(file);
    }
}

/// Writes to a stream, and to a new file where its own is full. What cannot be written is lost: a
/// full disk ends no process.
pub fn write(stream: Stream, bytes: &[u8]) {
    if let Some(file) = stream.kept().get() {
        file.roll_if_full();
    }
    write_all(stream.fd(), bytes);
}

/// Writes to where standard error led when the process started, if it was turned since.
pub fn write_to_starter(bytes: &[u8]) {
    if let Some(before) = STARTERS.get() {
        write_all(before.as_fd(), bytes);
    }
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match nix::unistd::write(fd, bytes) {
            Ok(0) => return,
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(nix::errno::Errno::EINTR) => {}
            // Nobody reads, or the disk is full.
            Err(_) => return,
        }
    }
}

fn keep(file: LogFile) {
    // A second file for one stream: the first stays, since writers may be at it.
    let _ = file.stream.kept().set(file);
    static ATTENDED: Once = Once::new();
    ATTENDED.call_once(|| {
        let attend = std::thread::Builder::new().name("log-files".to_owned());
        if let Err(error) = attend.spawn(attend_all) {
            warn!(%error, "nobody packs full logs: no thread for it");
        }
    });
}

/// Looks after all files of this process for as long as it lives.
fn attend_all() {
    loop {
        for stream in [Stream::Output, Stream::Error] {
            if let Some(file) = stream.kept().get() {
                file.attend();
            }
        }
        std::thread::sleep(ATTENDED_EVERY);
    }
}

// === impl LogFile ===

impl LogFile {
    fn new(stream: Stream, path: &Path, bounds: Bounds) -> Self {
        LogFile {
            stream,
            path: path.to_owned(),
            rolled: Rolled::new(path),
            bounds,
            turning: Mutex::default(),
            // Of processes before this one.
            is_untidy: AtomicBool::new(true),
        }
    }

    /// What no line of the log sees to: prints past it, another process that renamed the file, or
    /// somebody who removed it, and what becomes of full files.
    fn attend(&self) {
        self.roll_if_full();
        if !self.is_in_place() {
            let _turning = self.turning();
            self.turn_to_path();
        }
        if self.is_untidy.swap(false, Ordering::Relaxed) && self.rolled.tidy(SystemTime::now()) {
            self.is_untidy.store(true, Ordering::Relaxed);
        }
    }

    fn roll_if_full(&self) {
        if !self.is_full() {
            return;
        }
        let _turning = self.turning();
        // Another thread was first.
        if !self.is_full() {
            return;
        }
        // Another process may write to the same file; only one of them renames it.
        let Ok(_only) = self.rolled.lock() else {
            return;
        };
        if self.is_in_place() {
            match self.rolled.take(&self.path, self.bounds.files_max) {
                Ok(()) => self.is_untidy.store(true, Ordering::Relaxed),
                Err(_) => return,
            }
        }
        self.turn_to_path();
    }

    /// Where no file can be opened, the stream stays where it is.
    fn turn_to_path(&self) {
        if let Ok(file) = open(&self.path) {
            let _ = self.stream.turn(&file);
        }
    }

    fn is_full(&self) -> bool {
        let size = fstat(self.stream.fd()).map_or(0, |stat| stat.st_size);
        u64::try_from(size).is_ok_and(|size| size >= self.bounds.bytes_max)
    }

    /// Whether the stream leads to the file that has the name.
    fn is_in_place(&self) -> bool {
        let (Ok(open), Ok(named)) = (fstat(self.stream.fd()), fs::metadata(&self.path)) else {
            return false;
        };
        (open.st_dev, open.st_ino) == (named.dev(), named.ino())
    }

    fn turning(&self) -> MutexGuard<'_, ()> {
        // It guards no data.
        self.turning.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

// === impl Bounds ===

impl Bounds {
    /// As two keys of a conf say.
    pub fn of(conf: &Conf, bytes_key: &str, files_key: &str) -> Result<Self, ConfError> {
        let number = |key, default| -> Result<u64, ConfError> {
            Ok(u64::try_from(conf.int_or(key, default)?).unwrap_or(0))
        };
        Ok(Bounds {
            bytes_max: number(bytes_key, BYTES_MAX)?.max(1),
            files_max: usize::try_from(number(files_key, FILES_MAX)?).unwrap_or(usize::MAX),
        })
    }
}

// === impl Stream ===

impl Stream {
    fn fd(self) -> BorrowedFd<'static> {
        match self {
            Stream::Output => STDOUT.as_fd(),
            Stream::Error => STDERR.as_fd(),
        }
    }

    fn turn(self, file: &File) -> io::Result<()> {
        match self {
            Stream::Output => dup2_stdout(file)?,
            Stream::Error => dup2_stderr(file)?,
        }
        Ok(())
    }

    fn kept(self) -> &'static OnceLock<LogFile> {
        match self {
            Stream::Output => &KEPT[0],
            Stream::Error => &KEPT[1],
        }
    }
}

// Both are open for as long as the process lives: turning one is a single step of the system.
static STDOUT: LazyLock<io::Stdout> = LazyLock::new(io::stdout);
static STDERR: LazyLock<io::Stderr> = LazyLock::new(io::stderr);
static KEPT: [OnceLock<LogFile>; 2] = [OnceLock::new(), OnceLock::new()];
/// Where standard error led when the process started.
static STARTERS: OnceLock<OwnedFd> = OnceLock::new();
/// Storm's, for workers and daemons.
const BYTES_MAX: i64 = 100 << 20;
const FILES_MAX: i64 = 9;
const ATTENDED_EVERY: Duration = Duration::from_secs(1);

//! The store of a cluster: small versioned records under paths, changed in atomic commits.
//!
//! Knows neither what the records mean (`cluster::ClusterState`) nor where they lie (`embedded`,
//! `memory`). Blobs do not belong here.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use tokio::sync::watch;

use crate::limits;

/// An answer on its way from a store.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Names one state of one record; compare for equality only. No record ever has the same twice,
/// also not after it was deleted and made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// The term of one leader. Commits of an earlier term are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// A record as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub bytes: Bytes,
    pub version: Version,
}

/// What a write requires of the record before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Any,
    Absent,
    Version(Version),
}

/// What a write does to its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Put(Bytes),
    /// As `Put`, but the record vanishes when the writer's session ends.
    PutEphemeral(Bytes),
    /// Deleting what is not there changes nothing.
    Delete,
}

/// One change of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub path: String,
    pub expected: Expected,
    pub change: Change,
}

/// Why a store did not do what it was asked; nothing was changed in any case but `Stopped`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("`{path}` is not as expected: {found:?}")]
    Conflict {
        path: String,
        found: Option<Version>,
    },
    #[error("leadership has passed on: term {} is over, this is term {}", held.0, current.0)]
    Deposed { held: Epoch, current: Epoch },
    #[error("`{path}` is not a path of a record: {reason}")]
    Path { path: String, reason: &'static str },
    #[error("a commit of {size} {what} is over the limit of {limit}")]
    TooLarge {
        what: &'static str,
        size: usize,
        limit: usize,
    },
    #[error("the store could not read or write: {reason}")]
    Io { reason: String },
    /// The outcome of a write is not known, or the disk lost writes: nothing is accepted any more.
    #[error("the store has stopped: {reason}")]
    Stopped { reason: String },
}

/// Versioned records under paths such as `/storms/words-1-1700000000`.
pub trait Store: Send + Sync + 'static {
    /// Begins a new term: from now on commits of every earlier one are refused.
    fn lead(&self) -> Pending<'_, Result<Epoch, StoreError>>;

    /// The record at a path, or `None`.
    fn get(&self, path: &str) -> Pending<'_, Result<Option<Entry>, StoreError>>;

    /// The names right below a path, in order: of records and of those that have records below.
    fn children(&self, path: &str) -> Pending<'_, Result<Vec<String>, StoreError>>;

    /// Makes all writes or none, and answers only when they are on disk. The version is that of
    /// every record written.
    fn commit(&self, epoch: Epoch, writes: Vec<Write>) -> Pending<'_, Result<Version, StoreError>>;

    /// Changes with each commit that touches the path or anything below it.
    fn watch(&self, path: &str) -> watch::Receiver<u64>;
}

// === impl Write ===

impl Write {
    /// Writes the record whatever it was.
    pub fn put(path: impl Into<String>, bytes: Bytes) -> Self {
        Write {
            path: path.into(),
            expected: Expected::Any,
            change: Change::Put(bytes),
        }
    }

    /// Deletes the record whatever it was.
    pub fn delete(path: impl Into<String>) -> Self {
        Write {
            path: path.into(),
            expected: Expected::Any,
            change: Change::Delete,
        }
    }

    /// The same write with a condition.
    pub fn when(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }
}

// === impl Expected ===

impl Expected {
    pub(super) fn holds(self, found: Option<Version>) -> bool {
        match self {
            Expected::Any => true,
            Expected::Absent => found.is_none(),
            Expected::Version(version) => found == Some(version),
        }
    }
}

/// Refuses what is no path: relative, with empty or climbing parts, or too long.
pub(super) fn check_path(path: &str) -> Result<(), StoreError> {
    let reason = if path.len() > limits::STORE_PATH_BYTES_MAX {
        "it is too long"
    } else if path.contains('\0') {
        "it has a zero byte"
    } else if !path.starts_with('/') || path.len() == 1 {
        "it must begin with a slash and a name"
    } else if path[1..]
        .split('/')
        .any(|part| matches!(part, "" | "." | ".."))
    {
        "a part of it is empty or a dot"
    } else {
        return Ok(());
    };
    Err(StoreError::Path {
        path: path.chars().take(200).collect(),
        reason,
    })
}

/// Refuses commits with bad paths or beyond the limits.
pub(super) fn check_writes(writes: &[Write]) -> Result<(), StoreError> {
    if writes.len() > limits::STORE_WRITES_MAX {
        return Err(StoreError::TooLarge {
            what: "writes",
            size: writes.len(),
            limit: limits::STORE_WRITES_MAX,
        });
    }
    let size = |write: &Write| match &write.change {
        Change::Put(bytes) | Change::PutEphemeral(bytes) => bytes.len(),
        Change::Delete => 0,
    };
    let total: usize = writes.iter().map(size).sum();
    if total > limits::STORE_COMMIT_BYTES_MAX {
        return Err(StoreError::TooLarge {
            what: "bytes",
            size: total,
            limit: limits::STORE_COMMIT_BYTES_MAX,
        });
    }
    writes.iter().try_for_each(|write| check_path(&write.path))
}

/// The part of `path` right below `parent`, which ends with a slash.
pub(super) fn child_name<'a>(parent: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(parent)?.split('/').next()
}

/// `path` with exactly one slash at its end, so that prefixes end at a name's end.
pub(super) fn as_parent(path: &str) -> String {
    format!("{}/", path.trim_end_matches('/'))
}

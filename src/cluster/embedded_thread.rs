//! The thread that owns the embedded store's file: answers requests one after the other.
//!
//! Commits that wait together share one transaction and one fsync; each keeps its own conditions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use tokio::sync::{mpsc, oneshot};

use super::embedded::OpenError;
use super::embedded_file::{Disk, GuardedFile};
use super::store::{Change, Entry, Epoch, StoreError, Version, Write, as_parent, child_name};
use super::watches::Watches;
use crate::limits;

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the store's users ask of its thread.
pub(super) enum Request {
    Lead {
        reply: Reply<Epoch>,
    },
    Get {
        path: String,
        reply: Reply<Option<Entry>>,
    },
    Children {
        path: String,
        reply: Reply<Vec<String>>,
    },
    Commit {
        epoch: Epoch,
        writes: Vec<Write>,
        reply: Reply<Version>,
    },
}

struct Commit {
    epoch: Epoch,
    writes: Vec<Write>,
    reply: Reply<Version>,
}

/// The state of the thread.
pub(super) struct Owner {
    file: PathBuf,
    disk: Disk,
    watches: Arc<Watches>,
    /// None while the file could not be opened again after a failed write.
    database: Option<Database>,
    ephemeral: BTreeMap<String, Entry>,
    epoch: Epoch,
    revision: u64,
    stopped: Option<String>,
}

/// What the commits of one transaction change in memory once they are on disk.
struct Staged {
    ephemeral: BTreeMap<String, Entry>,
    revision: u64,
    paths: Vec<String>,
}

// === impl Owner ===

impl Owner {
    /// Opens the file, or makes it.
    pub fn open(file: &Path, disk: Disk, watches: Arc<Watches>) -> Result<Self, OpenError> {
        let database = open_database(file, &disk)?;
        let (format, epoch, revision) =
            read_meta(&database).map_err(|error| OpenError::Damaged {
                file: file.to_owned(),
                reason: error.to_string(),
            })?;
        if format > FORMAT {
            let file = file.to_owned();
            return Err(OpenError::Newer { file, format });
        }
        Ok(Owner {
            file: file.to_owned(),
            disk,
            watches,
            database: Some(database),
            ephemeral: BTreeMap::new(),
            epoch: Epoch(epoch),
            revision,
            stopped: None,
        })
    }

    /// Answers until the last user is gone.
    pub fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        let mut requests = Vec::new();
        while inbox.blocking_recv_many(&mut requests, limits::STORE_REQUESTS_MAX) > 0 {
            let mut commits = Vec::new();
            for request in requests.drain(..) {
                match request {
                    // Whoever waits for its commit before it reads has had its answer already.
                    Request::Get { path, reply } => drop(reply.send(self.get(&path))),
                    Request::Children { path, reply } => drop(reply.send(self.children(&path))),
                    Request::Lead { reply } => {
                        self.commit_all(std::mem::take(&mut commits));
                        drop(reply.send(self.lead()));
                    }
                    Request::Commit {
                        epoch,
                        writes,
                        reply,
                    } => commits.push(Commit {
                        epoch,
                        writes,
                        reply,
                    }),
                }
            }
            self.commit_all(commits);
        }
    }

    fn get(&self, path: &str) -> Result<Option<Entry>, StoreError> {
        if let Some(entry) = self.ephemeral.get(path) {
            return Ok(Some(entry.clone()));
        }
        let read = || -> Result<Option<Entry>, redb::Error> {
            let table = self.database()?.begin_read()?.open_table(RECORDS)?;
            let found = table.get(path)?;
            Ok(found.map(|guard| entry(guard.value())))
        };
        read().map_err(io_error)
    }

    fn children(&self, path: &str) -> Result<Vec<String>, StoreError> {
        let parent = as_parent(path);
        let mut names = BTreeSet::new();
        let below = self.ephemeral.range(parent.clone()..);
        names.extend(
            below
                .map_while(|(path, _)| child_name(&parent, path))
                .map(str::to_owned),
        );
        let mut read = || -> Result<(), redb::Error> {
            let table = self.database()?.begin_read()?.open_table(RECORDS)?;
            for found in table.range(parent.as_str()..)? {
                let (path, _) = found?;
                let Some(name) = child_name(&parent, path.value()) else {
                    break;
                };
                if !names.contains(name) {
                    names.insert(name.to_owned());
                }
            }
            Ok(())
        };
        read().map_err(io_error)?;
        Ok(names.into_iter().collect())
    }

    fn lead(&mut self) -> Result<Epoch, StoreError> {
        self.check_running()?;
        let epoch = Epoch(self.epoch.0 + 1);
        let write = || -> Result<(), redb::Error> {
            let transaction = self.database()?.begin_write()?;
            transaction.open_table(META)?.insert(EPOCH, epoch.0)?;
            Ok(transaction.commit()?)
        };
        match write() {
            Ok(()) => {
                self.epoch = epoch;
                Ok(epoch)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    fn commit_all(&mut self, commits: Vec<Commit>) {
        if commits.is_empty() {
            return;
        }
        if let Err(error) = self.check_running() {
            for commit in commits {
                drop(commit.reply.send(Err(error.clone())));
            }
            return;
        }
        match self.write_all(&commits) {
            Ok((outcomes, staged)) => {
                self.ephemeral = staged.ephemeral;
                self.revision = staged.revision;
                let paths = staged.paths.iter().map(String::as_str);
                self.watches.changed(paths, self.revision);
                for (commit, outcome) in commits.into_iter().zip(outcomes) {
                    drop(commit.reply.send(outcome));
                }
            }
            Err(error) => {
                let error = self.failed(error);
                for commit in commits {
                    drop(commit.reply.send(Err(error.clone())));
                }
            }
        }
    }

    /// One transaction with every commit whose conditions hold.
    fn write_all(
        &self,
        commits: &[Commit],
    ) -> Result<(Vec<Result<Version, StoreError>>, Staged), redb::Error> {
        let mut staged = Staged {
            ephemeral: self.ephemeral.clone(),
            revision: self.revision,
            paths: Vec::new(),
        };
        let transaction = self.database()?.begin_write()?;
        let mut outcomes = Vec::with_capacity(commits.len());
        {
            let mut records = transaction.open_table(RECORDS)?;
            for commit in commits {
                let outcome = if commit.epoch == self.epoch {
                    staged.apply(&mut records, &commit.writes)?
                } else {
                    Err(StoreError::Deposed {
                        held: commit.epoch,
                        current: self.epoch,
                    })
                };
                outcomes.push(outcome);
            }
            transaction
                .open_table(META)?
                .insert(REVISION, staged.revision)?;
        }
        if outcomes.iter().any(Result::is_ok) {
            transaction.commit()?;
        } else {
            transaction.abort()?;
        }
        Ok((outcomes, staged))
    }

    fn database(&self) -> Result<&Database, redb::Error> {
        self.database.as_ref().ok_or(redb::Error::DatabaseClosed)
    }

    /// Opens the file again where that can help.
    fn check_running(&mut self) -> Result<(), StoreError> {
        if let Some(reason) = self.stopped.clone() {
            return Err(StoreError::Stopped { reason });
        }
        if self.database.is_none() {
            self.open_again()?;
        }
        Ok(())
    }

    /// After a failed write: closes the file, so that the next write begins from the last commit,
    /// or stops when nobody can know what the disk holds.
    fn failed(&mut self, error: redb::Error) -> StoreError {
        self.database = None;
        let reason = error.to_string();
        if self.disk.sync_failed() {
            return self.stop(format!("fsync of {} failed: {reason}", self.file.display()));
        }
        tracing::error!(file = %self.file.display(), reason, "the store could not write");
        match self.open_again() {
            _ if self.disk.sync_failed() => {
                self.stop("fsync failed while opening again".to_owned())
            }
            Err(stopped @ StoreError::Stopped { .. }) => stopped,
            // Not open now is no news: the next write tries again.
            _ => StoreError::Io { reason },
        }
    }

    fn open_again(&mut self) -> Result<(), StoreError> {
        let io = |error: String| StoreError::Io { reason: error };
        let database =
            open_database(&self.file, &self.disk).map_err(|error| io(error.to_string()))?;
        let (_, epoch, revision) = read_meta(&database).map_err(io_error)?;
        if (epoch, revision) != (self.epoch.0, self.revision) {
            return Err(self.stop("a commit that failed is there all the same".to_owned()));
        }
        self.database = Some(database);
        Ok(())
    }

    fn stop(&mut self, reason: String) -> StoreError {
        tracing::error!(
            reason,
            "the store has stopped: restart Nimbus when the disk is sound"
        );
        self.stopped = Some(reason.clone());
        StoreError::Stopped { reason }
    }
}

// === impl Staged ===

impl Staged {
    /// The writes of one commit, if all its conditions hold; the outer error is the disk's.
    fn apply(
        &mut self,
        records: &mut redb::Table<'_, &'static str, (u64, &'static [u8])>,
        writes: &[Write],
    ) -> Result<Result<Version, StoreError>, redb::Error> {
        // A path that is written twice is judged by what the first write leaves.
        let mut seen: BTreeMap<&str, Option<Version>> = BTreeMap::new();
        let version = Version(self.revision + 1);
        for Write {
            path,
            expected,
            change,
        } in writes
        {
            let found = match seen.get(path.as_str()) {
                Some(found) => *found,
                None => self.version(records, path)?,
            };
            if !expected.holds(found) {
                let path = path.clone();
                return Ok(Err(StoreError::Conflict { path, found }));
            }
            let left = (*change != Change::Delete).then_some(version);
            seen.insert(path, left);
        }
        for Write { path, change, .. } in writes {
            self.ephemeral.remove(path);
            match change {
                Change::Put(bytes) => {
                    records.insert(path.as_str(), (version.0, &bytes[..]))?;
                }
                Change::PutEphemeral(bytes) => {
                    records.remove(path.as_str())?;
                    let bytes = bytes.clone();
                    self.ephemeral
                        .insert(path.clone(), Entry { bytes, version });
                }
                Change::Delete => {
                    records.remove(path.as_str())?;
                }
            }
            self.paths.push(path.clone());
        }
        self.revision = version.0;
        Ok(Ok(version))
    }

    fn version(
        &self,
        records: &redb::Table<'_, &'static str, (u64, &'static [u8])>,
        path: &str,
    ) -> Result<Option<Version>, redb::Error> {
        if let Some(entry) = self.ephemeral.get(path) {
            return Ok(Some(entry.version));
        }
        Ok(records.get(path)?.map(|guard| Version(guard.value().0)))
    }
}

fn entry((version, bytes): (u64, &[u8])) -> Entry {
    Entry {
        bytes: Bytes::copy_from_slice(bytes),
        version: Version(version),
    }
}

fn io_error(error: redb::Error) -> StoreError {
    let reason = error.to_string();
    StoreError::Io { reason }
}

fn open_database(file: &Path, disk: &Disk) -> Result<Database, OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    // Credentials of topologies are in it. One of an earlier version was readable for all.
    let opened = options.mode(0o600).open(file).and_then(|opened| {
        opened.set_permissions(Permissions::from_mode(0o600))?;
        Ok(opened)
    });
    let opened = opened.map_err(|source| OpenError::Io {
        path: file.to_owned(),
        source,
    })?;
    let backend = GuardedFile::new(opened, disk.clone());
    let damaged = |reason: String| OpenError::Damaged {
        file: file.to_owned(),
        reason,
    };
    Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(backend)
        .map_err(|error| match error {
            redb::DatabaseError::Storage(redb::StorageError::Io(source))
                if source.kind() != std::io::ErrorKind::InvalidData
                    && source.kind() != std::io::ErrorKind::UnexpectedEof =>
            {
                let path = file.to_owned();
                OpenError::Io { path, source }
            }
            error => damaged(error.to_string()),
        })
}

/// Format, epoch and revision; a new file gets its tables.
fn read_meta(database: &Database) -> Result<(u64, u64, u64), redb::Error> {
    let read = database.begin_read()?;
    match read.open_table(META) {
        Ok(meta) => {
            let number = |key| -> Result<u64, redb::Error> {
                Ok(meta.get(key)?.map_or(0, |guard| guard.value()))
            };
            Ok((number(FORMAT_KEY)?, number(EPOCH)?, number(REVISION)?))
        }
        Err(redb::TableError::TableDoesNotExist(_)) => {
            drop(read);
            let transaction = database.begin_write()?;
            transaction.open_table(RECORDS)?;
            transaction.open_table(META)?.insert(FORMAT_KEY, FORMAT)?;
            transaction.commit()?;
            Ok((FORMAT, 0, 0))
        }
        Err(error) => Err(error.into()),
    }
}

/// Path to version and bytes.
const RECORDS: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("records");
/// Numbers about the store itself.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT_KEY: &str = "format";
const EPOCH: &str = "epoch";
const REVISION: &str = "revision";
/// Raised when older versions could not read the file any more.
const FORMAT: u64 = 1;
/// The records of a cluster are small, and Nimbus keeps them in memory itself.
const CACHE_BYTES: usize = 4 << 20;

//! The store of a single Nimbus: one redb file, owned by one thread.
//!
//! A commit is acknowledged after fsync. When an fsync fails the store stops, since nobody knows
//! what the disk holds; when a write fails for want of space, the commit fails and the file is
//! opened again from its last commit. Ephemeral records live in memory: their session is this
//! process.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use nix::fcntl::Flock;
use tokio::sync::{mpsc, oneshot, watch};

use super::embedded_file::Disk;
use super::embedded_thread::{Owner, Request};
use super::store::{
    Entry, Epoch, Pending, Store, StoreError, Version, Write, check_path, check_writes,
};
use super::watches::Watches;
use crate::{limits, process};

/// A store in `<directory>/state.redb`, which no other process can open meanwhile.
pub struct EmbeddedStore {
    requests: Option<mpsc::Sender<Request>>,
    watches: Arc<Watches>,
    owner: Option<JoinHandle<()>>,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{} is in use by another Nimbus{holder}", directory.display())]
    InUse { directory: PathBuf, holder: String },
    #[error("{} is damaged or no store of ours: {reason}", file.display())]
    Damaged { file: PathBuf, reason: String },
    #[error("{} was written by a newer version (format {format})", file.display())]
    Newer { file: PathBuf, format: u64 },
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
}

// === impl EmbeddedStore ===

impl EmbeddedStore {
    /// Opens or makes the store in a directory, which is made if need be.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        Self::open_on(directory, Disk::default())
    }

    /// As `open`, on a disk whose faults the caller decides.
    pub(super) fn open_on(directory: &Path, disk: Disk) -> Result<Self, OpenError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { path, source }
        };
        std::fs::create_dir_all(directory).map_err(io(directory))?;
        let lock = lock(directory)?;
        let file = directory.join(FILE);
        let (requests, inbox) = mpsc::channel(limits::STORE_REQUESTS_MAX);
        let watches = Arc::new(Watches::default());
        let (opened, outcome) = std::sync::mpsc::sync_channel(1);
        let run = {
            let (file, watches) = (file.clone(), Arc::clone(&watches));
            move || {
                let _lock = lock;
                match Owner::open(&file, disk, watches) {
                    Ok(owner) => {
                        // Ours is the only sender, and its receiver waits below.
                        let _ = opened.send(Ok(()));
                        owner.run(inbox);
                    }
                    Err(error) => drop(opened.send(Err(error))),
                }
            }
        };
        let thread = std::thread::Builder::new().name("store".to_owned());
        let owner = thread.spawn(run).map_err(io(directory))?;
        match outcome.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                // redb panics on some damaged files instead of returning an error.
                let reason = "its contents make no sense".to_owned();
                return Err(OpenError::Damaged { file, reason });
            }
        }
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(io(directory))?;
        Ok(EmbeddedStore {
            requests: Some(requests),
            watches,
            owner: Some(owner),
        })
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Request,
    ) -> Result<T, StoreError> {
        let gone = || StoreError::Stopped {
            reason: "its thread has ended".to_owned(),
        };
        let (reply, answer) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or_else(gone)?;
        let sent = requests.send(request(reply)).await;
        sent.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Store for EmbeddedStore {
    fn lead(&self) -> Pending<'_, Result<Epoch, StoreError>> {
        Box::pin(self.ask(|reply| Request::Lead { reply }))
    }

    fn get(&self, path: &str) -> Pending<'_, Result<Option<Entry>, StoreError>> {
        let path = path.to_owned();
        Box::pin(async move {
            check_path(&path)?;
            self.ask(|reply| Request::Get { path, reply }).await
        })
    }

    fn children(&self, path: &str) -> Pending<'_, Result<Vec<String>, StoreError>> {
        let path = path.to_owned();
        Box::pin(self.ask(|reply| Request::Children { path, reply }))
    }

    fn commit(&self, epoch: Epoch, writes: Vec<Write>) -> Pending<'_, Result<Version, StoreError>> {
        Box::pin(async move {
            check_writes(&writes)?;
            let request = |reply| Request::Commit {
                epoch,
                writes,
                reply,
            };
            self.ask(request).await
        })
    }

    fn watch(&self, path: &str) -> watch::Receiver<u64> {
        self.watches.watch(path)
    }
}

impl Drop for EmbeddedStore {
    /// Waits for what was asked before, at most one commit's fsync, so that the next open finds no
    /// lock.
    fn drop(&mut self) {
        self.requests = None;
        if let Some(owner) = self.owner.take()
            && owner.join().is_err()
        {
            tracing::error!("the store's thread panicked");
        }
    }
}

/// Takes the directory for this process, or says who has it.
fn lock(directory: &Path) -> Result<Flock<File>, OpenError> {
    let path = directory.join(LOCK);
    let io = |source| OpenError::Io {
        path: path.clone(),
        source,
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(&path).map_err(io)?;
    let mut lock = match process::lock(file) {
        Ok(lock) => lock,
        Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
            let mut pid = String::new();
            // Only to say more: without it the refusal stands all the same.
            let _ = file.read_to_string(&mut pid);
            let holder = match pid.trim() {
                "" => String::new(),
                pid => format!(" (process {pid})"),
            };
            let directory = directory.to_owned();
            return Err(OpenError::InUse { directory, holder });
        }
        Err((_, errno)) => return Err(io(errno.into())),
    };
    lock.set_len(0).map_err(io)?;
    lock.rewind().map_err(io)?;
    writeln!(lock, "{}", std::process::id()).map_err(io)?;
    Ok(lock)
}

const FILE: &str = "state.redb";
const LOCK: &str = "lock";

#[cfg(test)]
#[path = "embedded_tests.rs"]
mod tests;

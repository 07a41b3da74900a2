//! A store in memory, for tests and as the model that the others are measured against.
//!
//! Nothing of it survives the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use super::store::{
    Change, Entry, Epoch, Pending, Store, StoreError, Version, Write, as_parent, check_path,
    check_writes, child_name,
};
use super::watches::Watches;

/// A store whose clones share their records.
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    records: Mutex<Records>,
    watches: Watches,
}

#[derive(Default)]
struct Records {
    by_path: BTreeMap<String, Record>,
    epoch: u64,
    revision: u64,
    failure: Option<StoreError>,
}

#[derive(Clone)]
struct Record {
    bytes: Bytes,
    version: Version,
    lifetime: Lifetime,
}

#[derive(Clone, Copy, PartialEq)]
enum Lifetime {
    Durable,
    Session,
}

// === impl MemoryStore ===

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the session as a crash would: ephemeral records are gone.
    pub fn end_session(&self) {
        let mut records = self.lock();
        let keep = |_: &String, record: &mut Record| record.lifetime == Lifetime::Durable;
        records.by_path.retain(keep);
    }

    /// From now on every commit fails for this reason; `None` ends it.
    pub fn fail_commits(&self, reason: Option<&str>) {
        let failure = |reason: &str| StoreError::Io {
            reason: reason.to_owned(),
        };
        self.lock().failure = reason.map(failure);
    }

    /// From now on the outcome of every commit is unknown for this reason: none is made.
    pub fn stop(&self, reason: &str) {
        let reason = reason.to_owned();
        self.lock().failure = Some(StoreError::Stopped { reason });
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        self.shared
            .records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn commit_now(&self, epoch: Epoch, writes: Vec<Write>) -> Result<Version, StoreError> {
        check_writes(&writes)?;
        let mut records = self.lock();
        let version = records.commit(epoch, &writes)?;
        drop(records);
        let paths = writes.iter().map(|write| write.path.as_str());
        self.shared.watches.changed(paths, version.0);
        Ok(version)
    }
}

impl Store for MemoryStore {
    fn lead(&self) -> Pending<'_, Result<Epoch, StoreError>> {
        let mut records = self.lock();
        records.epoch += 1;
        let epoch = Epoch(records.epoch);
        Box::pin(async move { Ok(epoch) })
    }

    fn get(&self, path: &str) -> Pending<'_, Result<Option<Entry>, StoreError>> {
        let found = check_path(path).map(|()| {
            self.lock().by_path.get(path).map(|record| Entry {
                bytes: record.bytes.clone(),
                version: record.version,
            })
        });
        Box::pin(async move { found })
    }

    fn children(&self, path: &str) -> Pending<'_, Result<Vec<String>, StoreError>> {
        let parent = as_parent(path);
        let records = self.lock();
        let below = records.by_path.range(parent.clone()..);
        let names: BTreeSet<String> = below
            .map_while(|(path, _)| child_name(&parent, path))
            .map(str::to_owned)
            .collect();
        Box::pin(async move { Ok(names.into_iter().collect()) })
    }

    fn commit(&self, epoch: Epoch, writes: Vec<Write>) -> Pending<'_, Result<Version, StoreError>> {
        Box::pin(async move { self.commit_now(epoch, writes) })
    }

    fn watch(&self, path: &str) -> watch::Receiver<u64> {
        self.shared.watches.watch(path)
    }
}

// === impl Records ===

impl Records {
    fn commit(&mut self, epoch: Epoch, writes: &[Write]) -> Result<Version, StoreError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let current = Epoch(self.epoch);
        if epoch != current {
            let held = epoch;
            return Err(StoreError::Deposed { held, current });
        }
        let version = Version(self.revision + 1);
        let mut changed = self.by_path.clone();
        for Write {
            path,
            expected,
            change,
        } in writes
        {
            let found = changed.get(path).map(|record| record.version);
            if !expected.holds(found) {
                let path = path.clone();
                return Err(StoreError::Conflict { path, found });
            }
            let (bytes, lifetime) = match change {
                Change::Put(bytes) => (bytes.clone(), Lifetime::Durable),
                Change::PutEphemeral(bytes) => (bytes.clone(), Lifetime::Session),
                Change::Delete => {
                    changed.remove(path);
                    continue;
                }
            };
            let record = Record {
                bytes,
                version,
                lifetime,
            };
            changed.insert(path.clone(), record);
        }
        self.by_path = changed;
        self.revision = version.0;
        Ok(version)
    }
}

//! Typed records over a store: what a cluster must not forget.
//!
//! Every write carries the leader's term and the version that this leader last saw, so that no
//! write passes by another leader's. Decides nothing about topologies.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::path;
use super::store::{Change, Entry, Epoch, Expected, Store, StoreError, Version, Write};
use crate::id::{ComponentId, TopologyId};
use crate::wire::messages::{
    AssignmentRecord, DeadlineRecord, ErrorRecord, ProfileRecord, RedoRecord,
};
use crate::wire::storm::{
    Credentials, ErrorInfo, LSTopoHistory, LogConfig, PrivateWorkerKey, ProfileRequest, StormBase,
};
use crate::wire::{self, Wire, WireError};

/// The cluster's records, as the leader of one term.
pub struct ClusterState {
    store: Arc<dyn Store>,
    epoch: Epoch,
    versions: Mutex<HashMap<String, Version>>,
}

/// Changes that are made together.
#[derive(Debug, Default)]
pub struct Batch {
    /// By path; none deletes.
    changes: BTreeMap<String, Option<Bytes>>,
    /// Everything below these goes, unless it is in `changes`.
    removed_below: Vec<String>,
}

/// What the store has of one topology.
#[derive(Debug)]
pub struct StoredTopology {
    pub id: TopologyId,
    pub base: StormBase,
    pub assignment: Option<AssignmentRecord>,
    pub deadline: Option<DeadlineRecord>,
    pub redo: Option<RedoRecord>,
    pub errors: BTreeMap<ComponentId, Vec<ErrorInfo>>,
    pub log_config: Option<LogConfig>,
    pub credentials: Option<Credentials>,
    pub profiles: Vec<ProfileRequest>,
}

/// A key of workers' tokens.
#[derive(Debug)]
pub struct StoredKey {
    pub service: String,
    pub topology: TopologyId,
    pub version: i64,
    pub key: PrivateWorkerKey,
}

/// Everything in the store.
#[derive(Debug, Default)]
pub struct Stored {
    pub topologies: Vec<StoredTopology>,
    /// Topologies whose record cannot be read; it stays as it is.
    pub damaged: Vec<TopologyId>,
    /// Topologies that were killed.
    pub history: Vec<LSTopoHistory>,
    pub keys: Vec<StoredKey>,
}

// === impl ClusterState ===

impl ClusterState {
    /// Begins a new term.
    pub async fn lead(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let epoch = store.lead().await?;
        let versions = Mutex::default();
        Ok(ClusterState {
            store,
            epoch,
            versions,
        })
    }

    /// Reads everything. A record that makes no sense is logged with its path and left out.
    pub async fn load(&self) -> Result<Stored, StoreError> {
        let mut stored = Stored::default();
        for part in self.store.children(path::STORMS).await? {
            let Some(id) = path::unescape(&part).map(TopologyId::from) else {
                tracing::error!(path = %format!("{}/{part}", path::STORMS), "not a topology's id");
                continue;
            };
            match self.read(&path::storm(id.as_str())).await? {
                Some(base) => stored.topologies.push(self.load_topology(id, base).await?),
                None => stored.damaged.push(id),
            }
        }
        for part in self.store.children(path::HISTORY).await? {
            let path = format!("{}/{part}", path::HISTORY);
            stored.history.extend(self.read(&path).await?);
        }
        stored.keys = self.load_keys().await?;
        Ok(stored)
    }

    async fn load_keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        let mut keys = Vec::new();
        for service in self.store.children(path::SECRET_KEYS).await? {
            let below = format!("{}/{service}", path::SECRET_KEYS);
            for part in self.store.children(&below).await? {
                let Some(topology) = path::unescape(&part).map(TopologyId::from) else {
                    continue;
                };
                for version in self.store.children(&format!("{below}/{part}")).await? {
                    let path = format!("{below}/{part}/{version}");
                    let (Ok(version), Some(key)) = (version.parse(), self.read(&path).await?)
                    else {
                        continue;
                    };
                    keys.push(StoredKey {
                        service: service.clone(),
                        topology: topology.clone(),
                        version,
                        key,
                    });
                }
            }
        }
        Ok(keys)
    }

    /// Makes all changes of a batch or none; on disk when this returns.
    pub async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let writes = self.writes(batch);
        if writes.is_empty() {
            return Ok(());
        }
        let paths: Vec<(String, bool)> = writes
            .iter()
            .map(|write| (write.path.clone(), write.change == Change::Delete))
            .collect();
        let version = self.store.commit(self.epoch, writes).await?;
        let mut versions = self.versions();
        for (path, is_deleted) in paths {
            if is_deleted {
                versions.remove(&path);
            } else {
                versions.insert(path, version);
            }
        }
        Ok(())
    }

    fn writes(&self, batch: Batch) -> Vec<Write> {
        let versions = self.versions();
        let mut changes = batch.changes;
        for parent in &batch.removed_below {
            let below = |path: &&String| path.starts_with(parent.as_str());
            for path in versions.keys().filter(below) {
                changes.entry(path.clone()).or_insert(None);
            }
        }
        let write = |(path, change): (String, Option<Bytes>)| {
            let known = versions.get(&path).copied();
            Write {
                path,
                expected: known.map_or(Expected::Absent, Expected::Version),
                change: change.map_or(Change::Delete, Change::Put),
            }
        };
        changes.into_iter().map(write).collect()
    }

    async fn load_topology(
        &self,
        id: TopologyId,
        base: StormBase,
    ) -> Result<StoredTopology, StoreError> {
        let assignment = self.read(&path::assignment(id.as_str())).await?;
        let deadline = self.read(&path::deadline(id.as_str())).await?;
        let log_config = self.read(&path::log_config(id.as_str())).await?;
        let credentials = self.read(&path::credentials(id.as_str())).await?;
        let profiles: Option<ProfileRecord> = self.read(&path::profiles(id.as_str())).await?;
        let redo = self.read(&path::redo(id.as_str())).await?;
        let mut errors = BTreeMap::new();
        for part in self.store.children(&path::errors(id.as_str())).await? {
            let Some(component) = path::unescape(&part) else {
                continue;
            };
            let path = path::component_errors(id.as_str(), &component);
            if let Some(ErrorRecord { errors: of_one }) = self.read(&path).await? {
                errors.insert(ComponentId::from(component), of_one);
            }
        }
        Ok(StoredTopology {
            id,
            base,
            assignment,
            deadline,
            redo,
            errors,
            log_config,
            credentials,
            profiles: profiles.unwrap_or_default().requests,
        })
    }

    /// The record at a path; none also when it makes no sense.
    async fn read<T: Wire>(&self, path: &str) -> Result<Option<T>, StoreError> {
        let Some(Entry { bytes, version }) = self.store.get(path).await? else {
            return Ok(None);
        };
        self.versions().insert(path.to_owned(), version);
        match wire::from_bytes(&bytes) {
            Ok(record) => Ok(Some(record)),
            Err(error) => {
                tracing::error!(path, %error, "a record is damaged and set aside");
                Ok(None)
            }
        }
    }

    fn versions(&self) -> MutexGuard<'_, HashMap<String, Version>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Batch ===

impl Batch {
    pub fn base(&mut self, id: &TopologyId, base: &StormBase) -> Result<(), WireError> {
        self.put(path::storm(id.as_str()), base)
    }

    pub fn assignment(
        &mut self,
        id: &TopologyId,
        assignment: &AssignmentRecord,
    ) -> Result<(), WireError> {
        self.put(path::assignment(id.as_str()), assignment)
    }

    /// When the pending step is due.
    pub fn deadline(
        &mut self,
        id: &TopologyId,
        deadline: &DeadlineRecord,
    ) -> Result<(), WireError> {
        self.put(path::deadline(id.as_str()), deadline)
    }

    /// Nothing is pending any more. There must have been a deadline.
    pub fn remove_deadline(&mut self, id: &TopologyId) {
        self.changes.insert(path::deadline(id.as_str()), None);
    }

    /// Contents of blobs that belong to this batch; they get into their files after it.
    pub fn redo(&mut self, id: &TopologyId, redo: &RedoRecord) -> Result<(), WireError> {
        self.put(path::redo(id.as_str()), redo)
    }

    /// The contents of `redo` are in their files.
    pub fn remove_redo(&mut self, id: &TopologyId) {
        self.changes.insert(path::redo(id.as_str()), None);
    }

    /// All errors that are kept of a component, newest first.
    pub fn errors(
        &mut self,
        id: &TopologyId,
        component: &ComponentId,
        errors: Vec<ErrorInfo>,
    ) -> Result<(), WireError> {
        let path = path::component_errors(id.as_str(), component.as_str());
        self.put(path, &ErrorRecord { errors })
    }

    pub fn log_config(&mut self, id: &TopologyId, config: &LogConfig) -> Result<(), WireError> {
        self.put(path::log_config(id.as_str()), config)
    }

    pub fn credentials(
        &mut self,
        id: &TopologyId,
        credentials: &Credentials,
    ) -> Result<(), WireError> {
        self.put(path::credentials(id.as_str()), credentials)
    }

    /// All requests that are kept of a topology.
    pub fn profiles(
        &mut self,
        id: &TopologyId,
        requests: Vec<ProfileRequest>,
    ) -> Result<(), WireError> {
        self.put(path::profiles(id.as_str()), &ProfileRecord { requests })
    }

    /// That a topology was there: outlives it.
    pub fn history(&mut self, entry: &LSTopoHistory) -> Result<(), WireError> {
        self.put(path::history(&entry.topology_id), entry)
    }

    pub fn forget_history(&mut self, id: &TopologyId) {
        self.changes.insert(path::history(id.as_str()), None);
    }

    /// Forgets a topology and all that belongs to it.
    pub fn remove_topology(&mut self, id: &TopologyId) {
        let id = id.as_str();
        for path in [
            path::storm(id),
            path::assignment(id),
            path::deadline(id),
            path::log_config(id),
            path::credentials(id),
            path::profiles(id),
            path::redo(id),
        ] {
            self.changes.insert(path, None);
        }
        self.removed_below.push(format!("{}/", path::errors(id)));
        for service in TOKEN_SERVICES.into_iter().chain([LINK_AUTHORITY]) {
            let below = format!("{}/", path::secret_keys(service, id));
            self.removed_below.push(below);
        }
    }

    /// A key of a topology's workers for `service`, which is Storm's name of it in capitals.
    pub fn secret_key(
        &mut self,
        service: &str,
        id: &TopologyId,
        version: i64,
        key: &PrivateWorkerKey,
    ) -> Result<(), WireError> {
        self.put(path::secret_key(service, id.as_str(), version), key)
    }

    pub fn remove_secret_key(&mut self, service: &str, id: &TopologyId, version: i64) {
        let path = path::secret_key(service, id.as_str(), version);
        self.changes.insert(path, None);
    }

    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.removed_below.is_empty()
    }

    fn put<T: Wire>(&mut self, path: String, record: &T) -> Result<(), WireError> {
        self.changes.insert(path, Some(wire::to_bytes(record)?));
        Ok(())
    }
}

/// Stands in the place of a service for the key of a topology's authority: of its links.
pub const LINK_AUTHORITY: &str = "LINKS";

/// Services that workers enter by tokens.
const TOKEN_SERVICES: [&str; 3] = ["NIMBUS", "DRPC", "SUPERVISOR"];

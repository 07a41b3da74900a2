//! What clients may do with blobs: access lists are asked, live topologies keep theirs, and the
//! store does it.
//!
//! Steps and texts are Storm's (control-plane 3.5 and 7). Sessions are in `blob_sessions`, the
//! rules of access lists in `blob::acl`.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::blob_sessions::{Goal, Owner, SessionError};
use super::fault::Fault;
use super::leader::Leader;
use super::plan::BlobKeys;
use super::state::Topology;
use crate::auth::Rank;
use crate::blob::acl::{self, AclError, Visitor};
use crate::blob::{Blob, BlobError, BlobKey};
use crate::clock;
use crate::conf::{Conf, keys};
use crate::rpc::Caller;
use crate::topology::blob_map::{self, Wanted};
use crate::wire::storm::{
    AccessControl, BeginDownloadResult, ListBlobsResult, ReadableBlobMeta, SettableBlobMeta,
};

/// One caller at the blobs. Every method may block on the disk.
pub(crate) struct Blobs<'a> {
    pub leader: &'a Leader,
    pub client: &'a BlobClient,
}

/// Who a caller is to blobs.
#[derive(Clone, Debug)]
pub(crate) struct BlobClient {
    pub visitor: Visitor,
    /// Local user, as access lists name it.
    pub user: Option<String>,
    /// Principal: whose sessions are whose.
    pub owner: Owner,
}

// === impl Blobs ===

impl Blobs<'_> {
    pub fn begin_create(&self, key: &str, meta: SettableBlobMeta) -> Result<String, Fault> {
        let key = valid(key)?;
        let meta = SettableBlobMeta {
            acl: self.whole(meta.acl, acl::ALL, &key)?,
            ..meta
        };
        self.client
            .visitor
            .check(&meta.acl, acl::ALL, key.as_str())?;
        if self.leader.blobs.info(&key).is_ok() {
            return Err(Fault::KeyExists(key.to_string()));
        }
        self.begin_upload(Goal::Create(key, meta))
    }

    pub fn begin_update(&self, key: &str) -> Result<String, Fault> {
        let key = valid(key)?;
        self.check(&key, acl::WRITE)?;
        self.begin_upload(Goal::Update(key))
    }

    fn begin_upload(&self, goal: Goal) -> Result<String, Fault> {
        let draft = self.leader.blobs.draft();
        let sessions = &self.leader.blob_sessions;
        Ok(sessions.begin_upload(goal, draft, self.client.owner.clone(), now_ms())?)
    }

    pub fn upload(&self, session: &str, chunk: &[u8]) -> Result<(), Fault> {
        let sessions = &self.leader.blob_sessions;
        Ok(sessions.upload_to_disk(session, chunk, &self.client.owner, now_ms())?)
    }

    pub fn finish_upload(&self, session: &str) -> Result<(), Fault> {
        let sessions = &self.leader.blob_sessions;
        Ok(sessions.finish_upload(&self.leader.blobs, session, &self.client.owner)?)
    }

    pub fn cancel_upload(&self, session: &str) -> Result<(), Fault> {
        let sessions = &self.leader.blob_sessions;
        Ok(sessions.cancel_upload(session, &self.client.owner, now_ms())?)
    }

    pub fn meta(&self, key: &str) -> Result<ReadableBlobMeta, Fault> {
        let key = valid(key)?;
        let blob = self.born(&key)?;
        self.client
            .visitor
            .check_any(&blob.meta.acl, key.as_str())?;
        Ok(ReadableBlobMeta {
            settable: blob.meta.clone(),
            version: blob.info.version,
        })
    }

    pub fn set_meta(&self, key: &str, meta: SettableBlobMeta) -> Result<(), Fault> {
        let key = valid(key)?;
        let meta = SettableBlobMeta {
            acl: self.whole(meta.acl, acl::ADMIN, &key)?,
            ..meta
        };
        self.check(&key, acl::ADMIN)?;
        Ok(self.leader.blobs.set_meta(&key, meta)?)
    }

    pub fn begin_download(&self, key: &str) -> Result<BeginDownloadResult, Fault> {
        let key = valid(key)?;
        let blob = self.born(&key)?;
        self.client
            .visitor
            .check(&blob.meta.acl, acl::READ, key.as_str())?;
        let info = blob.info;
        let sessions = &self.leader.blob_sessions;
        Ok(BeginDownloadResult {
            version: info.version,
            session: sessions.begin_download(blob, self.client.owner.clone(), now_ms())?,
            data_size: i64::try_from(info.size).ok(),
        })
    }

    pub fn download(&self, session: &str) -> Result<Bytes, Fault> {
        let length = self.leader.settings.download_chunk_bytes;
        let sessions = &self.leader.blob_sessions;
        Ok(sessions.download(session, length, &self.client.owner, now_ms())?)
    }

    pub fn delete(&self, key: &str) -> Result<(), Fault> {
        let key = valid(key)?;
        let state = self.leader.state();
        let mut live = state.topologies.values();
        if let Some(id) = BlobKeys::owner(&key).filter(|id| self.leader.is_live(id)) {
            return Err(Fault::IllegalState(format!(
                "Attempting to delete blob {key} from under active topology {id}"
            )));
        }
        if let Some(user) = live.find(|topology| uses(topology, key.as_str())) {
            return Err(Fault::IllegalState(format!(
                "Attempting to delete active blob {key} used by topology {}",
                user.id
            )));
        }
        let sessions = &self.leader.blob_sessions;
        let is_blob = self.leader.blobs.info(&key).is_ok();
        if !is_blob && sessions.take_back(&key, &self.client.owner)? {
            return Ok(());
        }
        self.check(&key, acl::WRITE)?;
        Ok(self.leader.blobs.delete(&key)?)
    }

    pub fn list(&self, session: Option<&str>) -> Result<ListBlobsResult, Fault> {
        let sessions = &self.leader.blob_sessions;
        let (keys, session) =
            sessions.list(&self.leader.blobs, session, &self.client.owner, now_ms())?;
        Ok(ListBlobsResult {
            keys: keys.iter().map(ToString::to_string).collect(),
            session,
        })
    }

    /// This Nimbus is the only one that keeps it.
    pub fn replication(&self, key: &str) -> Result<i32, Fault> {
        let key = valid(key)?;
        self.check(&key, acl::READ)?;
        Ok(1)
    }

    /// A local store has as many replicas as it has: Storm refuses every number, also the true one.
    pub fn update_replication(&self, key: &str, wanted: i32) -> Result<i32, Fault> {
        if wanted == 1 {
            let key = valid(key)?;
            self.check(&key, acl::WRITE)?;
            return Ok(1);
        }
        Err(Fault::Internal(format!(
            "blob `{key}` cannot have {wanted} replicas: a local blob store has one on each \
             Nimbus, which is 1"
        )))
    }

    pub fn exists(&self, key: &str) -> Result<bool, Fault> {
        match self.meta(key) {
            Ok(_) => Ok(true),
            Err(Fault::KeyNotFound(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Refuses a blob map that names what is not there or what the submitter may not see, and names
    /// for workers' directories that would lead out of them or hide what is in them.
    pub fn check_map(&self, conf: &Conf) -> Result<(), Fault> {
        let Some(map) = conf
            .map(keys::TOPOLOGY_BLOBSTORE_MAP)
            .filter(|map| !map.is_empty())
        else {
            return Ok(());
        };
        if matches!(
            self.leader.conf.flag(keys::DISABLE_SYMLINKS),
            Ok(Some(true))
        ) {
            return Err(Fault::InvalidTopology(format!(
                "symlinks are disabled so blobs are not supported but {} = {}",
                keys::TOPOLOGY_BLOBSTORE_MAP,
                Value::Object(map.clone())
            )));
        }
        let wanted = blob_map::read(conf);
        let wanted = wanted.map_err(|error| Fault::InvalidTopology(error.to_string()))?;
        for Wanted { key, .. } in wanted {
            match valid(&key).and_then(|key| self.check(&key, acl::READ)) {
                Ok(()) => {}
                Err(Fault::KeyNotFound(key)) => {
                    return Err(Fault::InvalidTopology(format!("Key not found: {key}")));
                }
                Err(denied @ Fault::Denied(_)) => return Err(denied),
                Err(other) => return Err(Fault::InvalidTopology(other.to_string())),
            }
        }
        Ok(())
    }

    fn whole(
        &self,
        acl: Vec<AccessControl>,
        mask: i32,
        key: &BlobKey,
    ) -> Result<Vec<AccessControl>, Fault> {
        let acl = acl::normalise(acl, self.client.user.as_deref(), mask);
        acl::validate(&acl, key.as_str())?;
        Ok(acl)
    }

    fn check(&self, key: &BlobKey, mask: i32) -> Result<(), Fault> {
        let blob = self.born(key)?;
        Ok(self
            .client
            .visitor
            .check(&blob.meta.acl, mask, key.as_str())?)
    }

    /// A blob, if it is one. Of one that was begun Storm has the list but no content, and breaks.
    fn born(&self, key: &BlobKey) -> Result<Arc<Blob>, Fault> {
        match self.leader.blobs.blob(key) {
            Err(BlobError::NotFound { .. }) if self.leader.blob_sessions.is_unborn(key) => Err(
                Fault::Internal(format!("blob `{key}` was begun and never finished")),
            ),
            other => Ok(other?),
        }
    }
}

/// Adds a chunk without touching the disk, or returns it, for `Blobs::upload`.
pub(crate) fn upload_to_memory(
    leader: &Leader,
    caller: &Caller,
    session: &str,
    chunk: Bytes,
) -> Result<Option<Bytes>, Fault> {
    let sessions = &leader.blob_sessions;
    Ok(sessions.upload(session, chunk, &caller.principal, now_ms())?)
}

/// Removes the jars that a topology that is gone had brought for itself; artifacts stay, since
/// others share them. A topology may name any key: only what its owner may delete, and what nobody
/// else needs, goes.
pub(crate) fn remove_dependencies(leader: &Leader, gone: &Topology) {
    let Some(plan) = &gone.plan else {
        return;
    };
    let user = gone.base.principal.clone();
    let user = user.filter(|user| !user.is_empty());
    let client = &BlobClient {
        visitor: visitor(leader, Rank::User, user.clone()),
        owner: user.clone(),
        user,
    };
    let blobs = Blobs { leader, client };
    for key in plan.user.dependency_jars.iter().flatten() {
        match blobs.delete(key) {
            Ok(()) => tracing::info!(key, "removed a dependency of a topology that is gone"),
            Err(Fault::KeyNotFound(_)) => {}
            Err(error) => tracing::warn!(key, %error, "a dependency stays"),
        }
    }
}

/// What a caller of that rank and local user is. Who has a name is held to the lists even where
/// Storm would not: else a name would be worth nothing.
pub(crate) fn visitor(leader: &Leader, rank: Rank, user: Option<String>) -> Visitor {
    let is_held = leader.settings.is_blob_acl_held || leader.gate.has_rules();
    match (rank, user) {
        (Rank::Admin, _) => Visitor::Anybody,
        (Rank::Supervisor, Some(user)) => Visitor::Supervisor(user),
        (_, None) if !is_held => Visitor::Anybody,
        (_, user) => Visitor::User(user),
    }
}

/// Whether a topology that lives needs a blob that is not one of its own three.
fn uses(topology: &Topology, key: &str) -> bool {
    let Some(plan) = &topology.plan else {
        return false;
    };
    let map = plan.conf.map(keys::TOPOLOGY_BLOBSTORE_MAP);
    let jars = plan.user.dependency_jars.iter().flatten();
    let artifacts = plan.user.dependency_artifacts.iter().flatten();
    map.is_some_and(|map| map.contains_key(key)) || jars.chain(artifacts).any(|used| used == key)
}

fn valid(key: &str) -> Result<BlobKey, Fault> {
    BlobKey::new(key).map_err(|error| Fault::Internal(error.to_string()))
}

fn now_ms() -> u64 {
    clock::monotonic_millis()
}

impl From<SessionError> for Fault {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Stranger(_) => Fault::Denied(error.to_string()),
            SessionError::Blob(error) => error.into(),
            other => Fault::Internal(other.to_string()),
        }
    }
}

impl From<AclError> for Fault {
    fn from(error: AclError) -> Self {
        match error {
            AclError::Missing { .. } | AclError::NoneAtAll { .. } | AclError::Twice { .. } => {
                Fault::Denied(error.to_string())
            }
            other => Fault::Internal(other.to_string()),
        }
    }
}

//! Brings a topology's code, conf and jar to this machine, and takes them away again.
//!
//! Everything is fetched into a directory of its own and moved into place whole, so that what lies
//! in `stormdist/<id>` is complete. Says nothing about who needs it (`slot`) and starts nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use tokio::task::spawn_blocking;

use super::archive::ArchiveError;
use super::blob_cache::BlobCache;
use super::download::Source;
use super::extract::{self, ExtractError};
use super::launch::write_durably;
use super::layout::Layout;
use super::link::{Link, LinkError};
use super::program::{self, WorkerProgramError};
use crate::id::TopologyId;
use crate::topology::blob_map::BlobMapError;
use crate::wire::stored::StoredError;

/// Fetches topologies' files through the link to Nimbus.
#[derive(Clone)]
pub struct Localizer {
    layout: Layout,
    link: Link,
    /// What the topology's blob map and dependencies name.
    pub cache: BlobCache,
    /// One fetch of a topology's files at a time.
    turns: Arc<Mutex<Turns>>,
}

type Turns = BTreeMap<TopologyId, Arc<tokio::sync::Mutex<()>>>;

/// Why a topology's files could not be brought here.
#[derive(Debug, Error)]
pub enum LocalizeError {
    #[error("cannot fetch blob {key} from Nimbus: {source}")]
    Fetch { key: String, source: LinkError },
    #[error("blob {key} ended at byte {at} of {total}: Nimbus's store may be damaged")]
    Short { key: String, at: u64, total: u64 },
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("blob {key} changed while it was fetched, again and again")]
    Changed { key: String },
    #[error("blob {key} came with other bytes than Nimbus has: its version is their checksum")]
    Damaged { key: String },
    #[error("blob {key} cannot be uncompressed: {source}")]
    Archive { key: String, source: ArchiveError },
    #[error("{path} cannot be read: {source}")]
    Unreadable { path: PathBuf, source: StoredError },
    #[error(transparent)]
    BlobMap(#[from] BlobMapError),
    #[error(transparent)]
    Extract(#[from] ExtractError),
    #[error(transparent)]
    Program(#[from] WorkerProgramError),
    #[error("the unpacking task ended early: {0}")]
    Unpack(#[from] tokio::task::JoinError),
}

// === impl Localizer ===

impl Localizer {
    pub fn new(layout: Layout, link: Link, cache: BlobCache) -> Self {
        Localizer {
            layout,
            link,
            cache,
            turns: Arc::default(),
        }
    }

    /// Makes sure that `stormdist/<id>` holds `stormcode.ser`, `stormconf.ser` and `resources/`,
    /// `stormjar.jar` and the topology's own program where it has them, and links to the blobs that
    /// it needs. Code and conf that were fetched before the epoch `since` are replaced.
    pub async fn localize(&self, topology: &TopologyId, since: i64) -> Result<(), LocalizeError> {
        let turn = self.turn(topology);
        let _turn = turn.lock().await;
        self.localize_code(topology, since).await?;
        self.cache.bring(topology).await
    }

    async fn localize_code(&self, topology: &TopologyId, since: i64) -> Result<(), LocalizeError> {
        let place = self.layout.code(topology);
        if place.is_dir() {
            return self.refresh(topology, &place, since).await;
        }
        let part = self
            .layout
            .all_code()
            .join(format!(".part-{}", uuid::Uuid::new_v4()));
        let outcome = self.fetch_all(topology, &part).await.and_then(|()| {
            let epoch = part.join(EPOCH);
            fs::write(&epoch, since.to_string()).map_err(write_error(&epoch))?;
            fs::rename(&part, &place).map_err(write_error(&place))?;
            sync_dir(&self.layout.all_code())
        });
        if outcome.is_err() {
            // A part is of no use; should removing fail too, the next start of the supervisor
            // sweeps it.
            let _ = fs::remove_dir_all(&part);
        }
        outcome
    }

    /// Fetches code and conf anew where a rebalance changed them. Workers that run read them no
    /// more; one that starts meanwhile for the old ones is replaced anyway.
    async fn refresh(
        &self,
        topology: &TopologyId,
        place: &Path,
        since: i64,
    ) -> Result<(), LocalizeError> {
        let epoch = place.join(EPOCH);
        let fetched = fs::read_to_string(&epoch).ok();
        let fetched = fetched.and_then(|text| text.trim().parse::<i64>().ok());
        if fetched.unwrap_or(0) >= since {
            return Ok(());
        }
        for name in BLOBS {
            let part = place.join(format!(".{name}-{}", uuid::Uuid::new_v4()));
            let fetched = self.fetch(&format!("{topology}-{name}"), &part).await;
            let replaced = fetched
                .and_then(|()| fs::rename(&part, place.join(name)).map_err(write_error(&part)));
            if replaced.is_err() {
                let _ = fs::remove_file(&part);
                return replaced;
            }
        }
        write_durably(&epoch, since.to_string().as_bytes()).map_err(write_error(&epoch))
    }

    async fn fetch_all(&self, topology: &TopologyId, part: &Path) -> Result<(), LocalizeError> {
        fs::create_dir_all(part).map_err(write_error(part))?;
        for name in BLOBS {
            self.fetch(&format!("{topology}-{name}"), &part.join(name))
                .await?;
        }
        let jar = part.join("stormjar.jar");
        let resources = part.join("resources");
        match self.fetch(&format!("{topology}-stormjar.jar"), &jar).await {
            Ok(()) => {
                let code = part.to_owned();
                let unpack = move || -> Result<(), LocalizeError> {
                    extract::resources(&jar, &resources)?;
                    Ok(program::extract(&jar, &code)?)
                };
                spawn_blocking(unpack).await??;
            }
            // A topology of native components needs no jar, but its directory always exists.
            Err(LocalizeError::Fetch {
                source: LinkError::NoSuchBlob,
                ..
            }) => {
                fs::create_dir_all(&resources).map_err(write_error(&resources))?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn fetch(&self, key: &str, path: &Path) -> Result<(), LocalizeError> {
        let source = Source {
            link: &self.link,
            key,
            user: None,
        };
        let mut n_left = CHANGES_MAX;
        loop {
            let remote = source.remote().await?;
            match source.download(remote, path).await {
                Err(LocalizeError::Changed { .. }) if n_left > 0 => n_left -= 1,
                outcome => return outcome,
            }
        }
    }

    /// Whoever has it locked fetches the topology's files.
    fn turn(&self, topology: &TopologyId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(topology.clone()).or_default())
    }
}

/// Removes the entries of a directory that are not needed any more.
pub fn sweep(dir: &Path, is_needed: impl Fn(&Path) -> bool) {
    for path in fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
    {
        if is_needed(&path) {
            continue;
        }
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        match removed {
            Ok(()) => tracing::debug!(path = %path.display(), "removed what no slot needs"),
            Err(error) => tracing::warn!(path = %path.display(), %error, "cannot remove files"),
        }
    }
}

pub(super) fn sync_dir(path: &Path) -> Result<(), LocalizeError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(write_error(path))
}

pub(super) fn write_error(path: &Path) -> impl Fn(io::Error) -> LocalizeError + use<> {
    let path = path.to_owned();
    move |source| LocalizeError::Write {
        path: path.clone(),
        source,
    }
}

/// Attempts after one during which the blob changed.
const CHANGES_MAX: u32 = 3;
/// What a rebalance may change.
const BLOBS: [&str; 2] = ["stormcode.ser", "stormconf.ser"];
/// The epoch that code and conf were fetched in.
const EPOCH: &str = "epoch";

#[cfg(test)]
mod tests;

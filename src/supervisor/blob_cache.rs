//! Blobs that topologies of this machine share as files: fetched once for each user, renewed when
//! Nimbus has another version, thrown away when nobody needs them and room is wanted.
//!
//! Laid out as Storm does (control-plane 6.8): `<key>.<version>` is the content, `<key>.version`
//! says which is the newest, `<key>.current` leads to it. Workers see changes through that link.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::archive;
use super::download::{Remote, Source};
use super::launch::write_durably;
use super::layout::Layout;
use super::link::{Link, LinkError};
use super::localizer::{LocalizeError, sync_dir, write_error};
use crate::clock;
use crate::conf::{Conf, ConfError, keys};
use crate::id::TopologyId;
use crate::topology::blob_map::{self, Wanted};
use crate::wire::stored;

/// What the configuration says about the cache.
#[derive(Clone, Debug)]
pub struct CacheSettings {
    /// Between two looks for newer versions.
    pub poll_ms: u64,
    /// Between two clean-ups.
    pub clean_ms: u64,
    /// What may lie here although nobody needs it, together with what is needed.
    pub target_bytes: u64,
    /// Downloads at once.
    n_downloads: usize,
    /// Attempts after a first one that failed.
    n_retries: usize,
    /// `storm.disable.symlinks`: then nothing is fetched, since nothing could lead to it.
    is_off: bool,
}

/// The blobs of one supervisor's users.
#[derive(Clone)]
pub struct BlobCache {
    shared: Arc<Shared>,
}

struct Shared {
    settings: CacheSettings,
    layout: Layout,
    link: Link,
    downloads: Semaphore,
    /// One fetch of a blob at a time.
    fetching: Mutex<BTreeMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
    /// Paths that are being made, or that no link leads to yet.
    pending: Mutex<BTreeSet<PathBuf>>,
    /// Held while links change, and while what no link leads to is removed.
    moving: Mutex<()>,
    /// When a blob was last seen in use, in milliseconds of the wall clock, by its link.
    used: Mutex<BTreeMap<PathBuf, i64>>,
}

/// One blob as one user's topologies need it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    wanted: Wanted,
    /// Whose cache it lies in.
    user: String,
    /// Who must be allowed to read it; nobody in particular where callers have no names.
    principal: Option<String>,
}

/// Where an item lies.
struct Place {
    directory: PathBuf,
    key: String,
}

// === impl CacheSettings ===

impl CacheSettings {
    pub fn read(conf: &Conf) -> Result<Self, ConfError> {
        let int = |key, default: i64| {
            let value = conf.int_or(key, default)?;
            Ok::<u64, ConfError>(u64::try_from(value).unwrap_or(0))
        };
        let poll_secs = int(keys::SUPERVISOR_LOCALIZER_UPDATE_BLOB_INTERVAL_SECS, 30)?;
        let target_mb = int(keys::SUPERVISOR_LOCALIZER_CACHE_TARGET_SIZE_MB, 10_240)?;
        let n_downloads = int(keys::SUPERVISOR_BLOBSTORE_DOWNLOAD_THREAD_COUNT, 5)?;
        let n_retries = int(keys::SUPERVISOR_BLOBSTORE_DOWNLOAD_MAX_RETRIES, 3)?;
        Ok(CacheSettings {
            poll_ms: poll_secs.max(1).saturating_mul(1000),
            clean_ms: int(keys::SUPERVISOR_LOCALIZER_CACHE_CLEANUP_INTERVAL_MS, 30_000)?.max(100),
            target_bytes: target_mb.saturating_mul(1 << 20),
            n_downloads: usize::try_from(n_downloads).unwrap_or(5).clamp(1, 64),
            n_retries: usize::try_from(n_retries).unwrap_or(3),
            is_off: conf.flag(keys::DISABLE_SYMLINKS)?.unwrap_or(false),
        })
    }
}

// === impl BlobCache ===

impl BlobCache {
    pub fn new(settings: CacheSettings, layout: Layout, link: Link) -> Self {
        let downloads = Semaphore::new(settings.n_downloads);
        let shared = Arc::new(Shared {
            settings,
            layout,
            link,
            downloads,
            fetching: Mutex::default(),
            pending: Mutex::default(),
            moving: Mutex::default(),
            used: Mutex::default(),
        });
        BlobCache { shared }
    }

    /// Brings the newest versions of all that a topology needs, and puts links to them beside its
    /// code, which must be there.
    pub async fn bring(&self, topology: &TopologyId) -> Result<(), LocalizeError> {
        for item in self.items(topology).await? {
            let place = self.place(&item);
            let remote = self.source(&item).remote().await?;
            self.fetch(&item, remote).await?;
            self.show(&item, remote.version).await?;
            self.touch(&place);
            let link = self
                .shared
                .layout
                .code(topology)
                .join(&item.wanted.local_name);
            replace_link(&place.current(), &link)?;
        }
        Ok(())
    }

    /// Looks for newer versions of what a topology has. They are fetched; those that its workers
    /// may see at once are shown to them. True: there are others, for which they must start anew.
    pub async fn renew(&self, topology: &TopologyId) -> Result<bool, LocalizeError> {
        let mut needs_restart = false;
        for item in self.items(topology).await? {
            let place = self.place(&item);
            let remote = match self.source(&item).remote().await {
                Err(LocalizeError::Fetch {
                    source: LinkError::NoSuchBlob,
                    key,
                }) => {
                    tracing::warn!(key, %topology, "a blob is gone: its workers keep the last one");
                    continue;
                }
                other => other?,
            };
            if place.local() == Some(remote.version) {
                continue;
            }
            self.fetch(&item, remote).await?;
            tracing::info!(key = place.key, version = remote.version, %topology, "a newer blob");
            if item.wanted.restart {
                needs_restart = true;
            } else {
                self.show(&item, remote.version).await?;
            }
        }
        Ok(needs_restart)
    }

    /// Removes old versions, and of what no topology of these needs the longest unused, until the
    /// rest is no larger than it should be.
    pub async fn clean(&self, topologies: BTreeSet<TopologyId>) -> Result<(), LocalizeError> {
        let mut needed = BTreeSet::new();
        for topology in &topologies {
            // One that is not here yet needs nothing that is.
            for item in self.items(topology).await.unwrap_or_default() {
                let place = self.place(&item);
                self.touch(&place);
                needed.insert(place.current());
            }
        }
        let cache = self.clone();
        Ok(spawn_blocking(move || cache.clean_up(&needed)).await?)
    }

    /// What a topology needs, as its conf and code here say.
    async fn items(&self, topology: &TopologyId) -> Result<Vec<Item>, LocalizeError> {
        if self.shared.settings.is_off {
            return Ok(Vec::new());
        }
        let code = self.shared.layout.code(topology);
        spawn_blocking(move || read_items(&code)).await?
    }

    /// Makes sure that a version is here, unpacked where it is to be.
    async fn fetch(&self, item: &Item, remote: Remote) -> Result<(), LocalizeError> {
        let place = self.place(item);
        let turn = self.turn(&place);
        let _turn = turn.lock().await;
        let _permit = self.shared.downloads.acquire().await;
        let target = place.version(remote.version);
        if target.exists() {
            return Ok(());
        }
        fs::create_dir_all(&place.directory).map_err(write_error(&place.directory))?;
        let part = place.part();
        let unpacked = place.part();
        let parts = [part.clone(), unpacked.clone(), target.clone()];
        lock(&self.shared.pending).extend(parts.iter().cloned());
        let outcome = self
            .fetch_into(item, remote, [&part, &unpacked, &target])
            .await;
        for path in parts.iter().take(2) {
            remove(path);
            lock(&self.shared.pending).remove(path);
        }
        if outcome.is_err() {
            lock(&self.shared.pending).remove(&target);
        }
        outcome
    }

    async fn fetch_into(
        &self,
        item: &Item,
        remote: Remote,
        [part, unpacked, target]: [&PathBuf; 3],
    ) -> Result<(), LocalizeError> {
        let mut n_left = self.shared.settings.n_retries;
        while let Err(error) = self.source(item).download(remote, part).await {
            if n_left == 0 || error.is_final() {
                return Err(error);
            }
            n_left -= 1;
            tracing::warn!(key = item.wanted.key, %error, "a download is tried again");
        }
        if !item.wanted.uncompress {
            return fs::rename(part, target).map_err(write_error(target));
        }
        let (from, to, key) = (part.clone(), unpacked.clone(), item.wanted.key.clone());
        let unpack = move || archive::unpack(&from, &to);
        let done = spawn_blocking(unpack).await?;
        done.map_err(|source| LocalizeError::Archive { key, source })?;
        // All that was unpacked, in one step.
        let synced = File::open(unpacked).and_then(|file| Ok(nix::unistd::syncfs(&file)?));
        synced.map_err(write_error(unpacked))?;
        fs::rename(unpacked, target).map_err(write_error(target))
    }

    /// Whoever has it locked fetches the blob.
    fn turn(&self, place: &Place) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = lock(&self.shared.fetching);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(place.current()).or_default())
    }

    fn source<'a>(&'a self, item: &'a Item) -> Source<'a> {
        Source {
            link: &self.shared.link,
            key: &item.wanted.key,
            user: item.principal.as_deref(),
        }
    }

    /// Lets the link lead to a version that is here.
    async fn show(&self, item: &Item, version: i64) -> Result<(), LocalizeError> {
        let (shared, place) = (Arc::clone(&self.shared), self.place(item));
        let show = move || {
            let _moving = lock(&shared.moving);
            place.switch(version)?;
            lock(&shared.pending).remove(&place.version(version));
            Ok(())
        };
        spawn_blocking(show).await?
    }

    fn place(&self, item: &Item) -> Place {
        let kind = if item.wanted.uncompress {
            "archives"
        } else {
            "files"
        };
        Place {
            directory: self.shared.layout.file_cache(&item.user).join(kind),
            key: item.wanted.key.clone(),
        }
    }

    fn touch(&self, place: &Place) {
        lock(&self.shared.used).insert(place.current(), clock::wall_millis());
    }

    /// See `clean`.
    fn clean_up(&self, needed: &BTreeSet<PathBuf>) {
        let _moving = lock(&self.shared.moving);
        let mut idle = Vec::new();
        let mut total = 0;
        for user in entries(&self.shared.layout.user_caches()) {
            for kind in ["files", "archives"] {
                let directory = user.join("filecache").join(kind);
                self.remove_strays(&directory);
                for place in Place::all_in(&directory) {
                    let Some(version) = place.local() else {
                        continue;
                    };
                    let size = disk_bytes(&place.version(version));
                    total += size;
                    if !needed.contains(&place.current()) {
                        idle.push((self.last_used_ms(&place), size, place, version));
                    }
                }
            }
        }
        idle.sort_by_key(|(used_ms, ..)| *used_ms);
        for (_, size, place, version) in idle {
            if total <= self.shared.settings.target_bytes {
                break;
            }
            tracing::info!(
                key = place.key,
                size,
                "nobody needs a blob, and room is wanted"
            );
            // The link goes first: what it leads to is never half there.
            for path in [
                place.current(),
                place.version_file(),
                place.version(version),
            ] {
                remove(&path);
            }
            lock(&self.shared.used).remove(&place.current());
            total -= size;
        }
    }

    /// Old versions, and what an interrupted download left.
    fn remove_strays(&self, directory: &Path) {
        let mut kept = BTreeSet::new();
        for place in Place::all_in(directory) {
            kept.extend([place.current(), place.version_file()]);
            kept.extend(place.local().map(|version| place.version(version)));
        }
        let pending = lock(&self.shared.pending).clone();
        for path in entries(directory) {
            if !kept.contains(&path) && !pending.contains(&path) {
                remove(&path);
            }
        }
    }

    fn last_used_ms(&self, place: &Place) -> i64 {
        let known = lock(&self.shared.used).get(&place.current()).copied();
        // After a restart: when it was fetched.
        let written = || {
            let time = fs::metadata(place.version_file()).ok()?.modified().ok()?;
            let age = time.duration_since(UNIX_EPOCH).ok()?;
            i64::try_from(age.as_millis()).ok()
        };
        known.or_else(written).unwrap_or(0)
    }
}

// === impl Place ===

impl Place {
    fn version(&self, version: i64) -> PathBuf {
        self.directory.join(format!("{}.{version}", self.key))
    }

    fn version_file(&self) -> PathBuf {
        self.directory.join(format!("{}.version", self.key))
    }

    fn current(&self) -> PathBuf {
        self.directory.join(format!("{}{CURRENT}", self.key))
    }

    fn part(&self) -> PathBuf {
        self.directory
            .join(format!(".part-{}", uuid::Uuid::new_v4()))
    }

    /// The version that the link leads to, if it is there.
    fn local(&self) -> Option<i64> {
        let target = fs::read_link(self.current()).ok()?;
        let name = target.file_name()?.to_str()?;
        let version = name.strip_prefix(&self.key)?.strip_prefix('.')?;
        let version = version.parse().ok()?;
        self.version(version).exists().then_some(version)
    }

    /// Shows a version that is here to all who follow the link.
    fn switch(&self, version: i64) -> Result<(), LocalizeError> {
        if self.local() == Some(version) {
            return Ok(());
        }
        let file = self.version_file();
        write_durably(&file, format!("{version}\n").as_bytes()).map_err(write_error(&file))?;
        replace_link(&self.version(version), &self.current())?;
        sync_dir(&self.directory)
    }

    /// Everything in a directory that a link leads to.
    fn all_in(directory: &Path) -> Vec<Place> {
        let place = |path: PathBuf| {
            let key = path
                .file_name()?
                .to_str()?
                .strip_suffix(CURRENT)?
                .to_owned();
            let directory = directory.to_owned();
            Some(Place { directory, key })
        };
        entries(directory).into_iter().filter_map(place).collect()
    }
}

// === impl LocalizeError ===

impl LocalizeError {
    /// Whether another attempt right away cannot help.
    fn is_final(&self) -> bool {
        match self {
            LocalizeError::Fetch { source, .. } => {
                matches!(source, LinkError::NoSuchBlob | LinkError::Refused(_))
            }
            LocalizeError::Changed { .. } | LocalizeError::Short { .. } => false,
            LocalizeError::Damaged { .. } => false,
            _ => true,
        }
    }
}

fn read_items(code: &Path) -> Result<Vec<Item>, LocalizeError> {
    let unreadable = |name: &'static str| {
        let path = code.join(name);
        move |source| LocalizeError::Unreadable { path, source }
    };
    let read = |name: &str| fs::read(code.join(name)).map_err(stored::StoredError::from);
    let conf = read("stormconf.ser").and_then(|bytes| stored::unpack_conf(&bytes));
    let conf = conf.map_err(unreadable("stormconf.ser"))?;
    let topology = read("stormcode.ser").and_then(|bytes| stored::unpack_struct(&bytes));
    let topology = topology.map_err(unreadable("stormcode.ser"))?;
    let text = |key| {
        conf.text(key)
            .ok()
            .flatten()
            .filter(|text| !text.is_empty())
    };
    let user = text(keys::TOPOLOGY_SUBMITTER_USER).unwrap_or_else(|| "storm".to_owned());
    let principal = text(keys::TOPOLOGY_SUBMITTER_PRINCIPAL);
    let mut wanted = blob_map::read(&conf)?;
    let names: BTreeSet<String> = wanted.iter().map(|item| item.local_name.clone()).collect();
    // The map was written by hand, and has the last word on a name.
    let others = blob_map::dependencies(&topology);
    wanted.extend(others.filter(|item| !names.contains(&item.local_name)));
    let item = |wanted| Item {
        wanted,
        user: user.clone(),
        principal: principal.clone(),
    };
    Ok(wanted.into_iter().map(item).collect())
}

/// The names that stand beside a topology's code for its blobs.
pub fn local_names(code: &Path) -> Vec<String> {
    let items = read_items(code).unwrap_or_default().into_iter();
    items.map(|item| item.wanted.local_name).collect()
}

/// A link at `link`, whatever stood there, in one step.
fn replace_link(target: &Path, link: &Path) -> Result<(), LocalizeError> {
    if fs::read_link(link).is_ok_and(|found| found == target) {
        return Ok(());
    }
    let directory = link.parent().unwrap_or(Path::new("."));
    let new = directory.join(format!(".part-{}", uuid::Uuid::new_v4()));
    std::os::unix::fs::symlink(target, &new)
        .and_then(|()| fs::rename(&new, link))
        .map_err(write_error(link))
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(directory).into_iter().flatten().flatten();
    found.map(|entry| entry.path()).collect()
}

/// Bytes of a file, or of all files in a directory; links count nothing.
fn disk_bytes(path: &Path) -> u64 {
    let mut total = 0;
    let mut left = vec![path.to_owned()];
    while let Some(path) = left.pop() {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => left.extend(entries(&path)),
            Ok(found) if found.is_file() => total += found.len(),
            _ => {}
        }
    }
    total
}

fn remove(path: &Path) {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot remove files");
        }
        _ => {}
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const CURRENT: &str = ".current";

#[cfg(test)]
mod tests;

//! Blobs of one local directory: `<local>/blobs/meta_<key>` is a blob's `BlobRecord`, and names the
//! file in `content/` that holds its bytes.
//!
//! A blob comes to be, or changes, whole or not at all: content is written and fsynced first, then
//! its record is, and one rename shows both. What no record names is removed at the next start.
//! Everything that is known of the blobs is in memory too: a listing or a version costs no disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::ops::Bound;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;

use super::draft::{Draft, Sealed};
use super::{BlobKey, BlobKeyError, acl};
use crate::limits;
use crate::wire::messages::BlobRecord;
use crate::wire::storm::SettableBlobMeta;
use crate::wire::{self, WireError};

/// All blobs of one local directory. Every method that takes or gives content may block on the
/// disk.
pub struct LocalBlobs {
    directory: PathBuf,
    n_records: AtomicU64,
    index: RwLock<BTreeMap<BlobKey, Arc<Blob>>>,
    /// Held while a record changes, so that disk and memory agree on the order.
    writer: Mutex<()>,
}

/// A blob as it was at one moment. Its content can be read as long as this is held, whatever
/// becomes of the blob.
#[derive(Debug)]
pub struct Blob {
    pub info: BlobInfo,
    pub meta: SettableBlobMeta,
    content: Arc<Content>,
}

/// What is known of a blob's content without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// Bytes.
    pub size: u64,
    /// CRC-32C of the content: compare for inequality only.
    pub version: i64,
}

/// A part of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobChunk {
    pub data: Bytes,
    pub info: BlobInfo,
}

/// Why a blob could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("there is no blob `{key}`")]
    NotFound { key: BlobKey },
    #[error("there is a blob `{key}` already")]
    Exists { key: BlobKey },
    #[error(transparent)]
    Key(#[from] BlobKeyError),
    #[error("could not {what} blob `{key}`: {source}")]
    Io {
        what: &'static str,
        key: BlobKey,
        source: io::Error,
    },
    #[error("could not write the record of blob `{key}`: {source}")]
    Record { key: BlobKey, source: WireError },
    #[error("could not {what} {}: {source}", path.display())]
    Directory {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// A file of bytes, removed when nobody needs it any more.
#[derive(Debug)]
struct Content {
    path: PathBuf,
    obsolete: AtomicBool,
}

// === impl LocalBlobs ===

impl LocalBlobs {
    /// Opens or makes the directory, and removes what was half made when the last process ended.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, BlobError> {
        let directory = directory.into();
        let (new, contents) = (directory.join(NEW), directory.join(CONTENT));
        match fs::remove_dir_all(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(at("clear", &new)(error));
            }
            _ => {}
        }
        for path in [&new, &contents] {
            fs::create_dir_all(path).map_err(at("make", path))?;
        }
        sync_directory(&directory).map_err(at("fsync", &directory))?;
        let blobs = LocalBlobs {
            directory,
            n_records: AtomicU64::new(0),
            index: RwLock::default(),
            writer: Mutex::default(),
        };
        blobs.restore()?;
        Ok(blobs)
    }

    /// Begins content that no blob has yet.
    pub fn draft(&self) -> Draft {
        let name = uuid::Uuid::new_v4().to_string();
        Draft::new(self.directory.join(CONTENT).join(name))
    }

    /// Makes a blob of a draft; on disk when this returns.
    pub fn create(
        &self,
        key: &BlobKey,
        draft: Draft,
        meta: SettableBlobMeta,
    ) -> Result<BlobInfo, BlobError> {
        let sealed = draft.seal().map_err(io_error("write", key))?;
        let _writer = self.writing();
        if self.index().contains_key(key) {
            return Err(BlobError::Exists { key: key.clone() });
        }
        self.show(key, sealed, meta)
    }

    /// Gives a blob other content, under the access list that it has.
    pub fn replace(&self, key: &BlobKey, draft: Draft) -> Result<BlobInfo, BlobError> {
        let sealed = draft.seal().map_err(io_error("write", key))?;
        let _writer = self.writing();
        let meta = self.blob(key)?.meta.clone();
        self.show(key, sealed, meta)
    }

    /// Writes a whole blob, open to everybody if it is new.
    pub fn put(&self, key: &BlobKey, content: &[u8]) -> Result<BlobInfo, BlobError> {
        self.put_from(key, &mut &content[..], None)
    }

    /// Writes a whole blob. With `meta` it has that access list; else the one that it has, or one
    /// that is open to everybody.
    pub fn put_from(
        &self,
        key: &BlobKey,
        content: &mut impl io::Read,
        meta: Option<SettableBlobMeta>,
    ) -> Result<BlobInfo, BlobError> {
        let mut draft = self.draft();
        let copied = draft.copy(content).and_then(|()| draft.seal());
        let sealed = copied.map_err(io_error("write", key))?;
        let _writer = self.writing();
        let known = || Some(self.blob(key).ok()?.meta.clone());
        let meta = meta.or_else(known).unwrap_or_else(open_meta);
        self.show(key, sealed, meta)
    }

    /// Changes what a blob's owner decides about it.
    pub fn set_meta(&self, key: &BlobKey, meta: SettableBlobMeta) -> Result<(), BlobError> {
        let _writer = self.writing();
        let blob = self.blob(key)?;
        let info = blob.info;
        let content = Arc::clone(&blob.content);
        self.write_record(key, &content.path, info, &meta)?;
        let blob = Blob {
            info,
            meta,
            content,
        };
        self.index_mut().insert(key.clone(), Arc::new(blob));
        sync_directory(&self.directory).map_err(io_error("write", key))
    }

    /// What is known of a blob, and the way to its content.
    pub fn blob(&self, key: &BlobKey) -> Result<Arc<Blob>, BlobError> {
        let known = self.index().get(key).cloned();
        known.ok_or_else(|| BlobError::NotFound { key: key.clone() })
    }

    /// Size and version.
    pub fn info(&self, key: &BlobKey) -> Result<BlobInfo, BlobError> {
        Ok(self.blob(key)?.info)
    }

    /// Up to `length` bytes from `offset`, fewer at the end and never more than
    /// `limits::BLOB_READ_BYTES_MAX`; none at or past the end.
    pub fn read_at(
        &self,
        key: &BlobKey,
        offset: u64,
        length: usize,
    ) -> Result<BlobChunk, BlobError> {
        let blob = self.blob(key)?;
        let data = blob.read(offset, length).map_err(io_error("read", key))?;
        let info = blob.info;
        Ok(BlobChunk { data, info })
    }

    /// The whole content, for blobs that are small by nature: code and confs.
    pub fn read_all(&self, key: &BlobKey) -> Result<Bytes, BlobError> {
        let blob = self.blob(key)?;
        let mut content = Vec::new();
        let read = File::open(&blob.content.path)
            .and_then(|mut file| file.read_to_end(&mut content))
            .map_err(io_error("read", key));
        read?;
        Ok(Bytes::from(content))
    }

    /// Removes a blob.
    pub fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        let _writer = self.writing();
        let blob = self.blob(key)?;
        fs::remove_file(self.record_path(key)).map_err(io_error("delete", key))?;
        blob.content.obsolete.store(true, Ordering::Relaxed);
        self.index_mut().remove(key);
        sync_directory(&self.directory).map_err(io_error("delete", key))
    }

    /// All keys, in order.
    pub fn list(&self) -> Vec<BlobKey> {
        self.index().keys().cloned().collect()
    }

    /// Up to `n` keys after one, in order.
    pub fn list_after(&self, after: Option<&BlobKey>, n: usize) -> Vec<BlobKey> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let index = self.index();
        let keys = index.range::<BlobKey, _>((from, Bound::Unbounded));
        keys.map(|(key, _)| key.clone()).take(n).collect()
    }

    /// One rename, and the blob has this content and this meta.
    fn show(
        &self,
        key: &BlobKey,
        sealed: Sealed,
        meta: SettableBlobMeta,
    ) -> Result<BlobInfo, BlobError> {
        let info = sealed.info();
        // The content's name must be on disk before a record that has it.
        let contents = self.directory.join(CONTENT);
        sync_directory(&contents).map_err(io_error("write", key))?;
        self.write_record(key, sealed.path(), info, &meta)?;
        let content = Arc::new(Content {
            path: sealed.keep(),
            obsolete: AtomicBool::new(false),
        });
        let blob = Blob {
            info,
            meta,
            content,
        };
        let old = self.index_mut().insert(key.clone(), Arc::new(blob));
        let synced = sync_directory(&self.directory).map_err(io_error("write", key));
        if let (Some(old), Ok(())) = (old, &synced) {
            old.content.obsolete.store(true, Ordering::Relaxed);
        }
        synced.map(|()| info)
    }

    fn write_record(
        &self,
        key: &BlobKey,
        content: &Path,
        info: BlobInfo,
        meta: &SettableBlobMeta,
    ) -> Result<(), BlobError> {
        let name = content.file_name().unwrap_or_default().to_string_lossy();
        let record = BlobRecord {
            content_file: name.into_owned(),
            size: i64::try_from(info.size).unwrap_or(i64::MAX),
            version: info.version,
            meta: meta.clone(),
        };
        let bytes = wire::to_bytes(&record).map_err(|source| BlobError::Record {
            key: key.clone(),
            source,
        })?;
        let number = self.n_records.fetch_add(1, Ordering::Relaxed);
        let half = self.directory.join(NEW).join(number.to_string());
        let written = (|| {
            let mut file = File::create(&half)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&half, self.record_path(key))
        })();
        if written.is_err() {
            // Should this fail too, the next start clears the directory.
            let _ = fs::remove_file(&half);
        }
        written.map_err(io_error("write", key))
    }

    /// Reads all records, takes over blobs of the form before there were any, and removes content
    /// that is nobody's.
    fn restore(&self) -> Result<(), BlobError> {
        let mut legacy = Vec::new();
        let mut used = BTreeSet::new();
        let mut n_damaged = 0;
        let failed = |source| at("list", &self.directory)(source);
        for found in fs::read_dir(&self.directory).map_err(failed)? {
            let name = found.map_err(failed)?.file_name();
            let Some(name) = name.to_str() else { continue };
            let key = |prefix| BlobKey::new(name.strip_prefix(prefix)?).ok();
            if let Some(key) = key(RECORD) {
                match self.load(&key) {
                    Ok(blob) => {
                        used.insert(blob.content.path.clone());
                        self.index_mut().insert(key, Arc::new(blob));
                    }
                    Err(reason) => {
                        n_damaged += 1;
                        tracing::error!(%key, reason, "a blob is damaged and left as it is");
                    }
                }
            } else {
                legacy.extend(key(LEGACY));
            }
        }
        // Content without a record may be that of a damaged one, which a person may still want.
        if n_damaged == 0 {
            self.remove_unused(&used)?;
        }
        for key in legacy {
            let path = self.directory.join(format!("{LEGACY}{key}"));
            let mut file = File::open(&path).map_err(io_error("read", &key))?;
            self.put_from(&key, &mut file, None)?;
            fs::remove_file(&path).map_err(io_error("take over", &key))?;
        }
        Ok(())
    }

    fn load(&self, key: &BlobKey) -> Result<Blob, String> {
        let bytes = fs::read(self.record_path(key)).map_err(|error| error.to_string())?;
        let record: BlobRecord = wire::from_bytes(&bytes).map_err(|error| error.to_string())?;
        let is_ours = uuid::Uuid::try_parse(&record.content_file).is_ok();
        if !is_ours {
            return Err(format!("{:?} is no content file", record.content_file));
        }
        let path = self.directory.join(CONTENT).join(&record.content_file);
        let size = fs::metadata(&path)
            .map_err(|error| error.to_string())?
            .len();
        if i64::try_from(size).ok() != Some(record.size) {
            return Err(format!("{size} bytes are there, {} were", record.size));
        }
        let content = Content {
            path,
            obsolete: AtomicBool::new(false),
        };
        Ok(Blob {
            info: BlobInfo {
                size,
                version: record.version,
            },
            meta: record.meta,
            content: Arc::new(content),
        })
    }

    fn remove_unused(&self, used: &BTreeSet<PathBuf>) -> Result<(), BlobError> {
        let contents = self.directory.join(CONTENT);
        let failed = |source| at("list", &contents)(source);
        for found in fs::read_dir(&contents).map_err(failed)? {
            let path = found.map_err(failed)?.path();
            if !used.contains(&path) {
                fs::remove_file(&path).map_err(at("remove", &path))?;
            }
        }
        Ok(())
    }

    fn record_path(&self, key: &BlobKey) -> PathBuf {
        self.directory.join(format!("{RECORD}{key}"))
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<BlobKey, Arc<Blob>>> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<BlobKey, Arc<Blob>>> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Blob ===

impl Blob {
    /// As `LocalBlobs::read_at`.
    pub fn read(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let left = usize::try_from(self.info.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let n_bytes = length.min(left).min(limits::BLOB_READ_BYTES_MAX);
        if n_bytes == 0 {
            return Ok(Bytes::new());
        }
        let mut data = vec![0; n_bytes];
        File::open(&self.content.path)?.read_exact_at(&mut data, offset)?;
        Ok(Bytes::from(data))
    }
}

// === impl Content ===

impl Drop for Content {
    fn drop(&mut self) {
        if self.obsolete.load(Ordering::Relaxed)
            && let Err(error) = fs::remove_file(&self.path)
        {
            let path = self.path.display();
            tracing::warn!(%path, %error, "old content stays until the next start");
        }
    }
}

/// What is said of a blob when nobody says anything.
fn open_meta() -> SettableBlobMeta {
    SettableBlobMeta {
        acl: vec![acl::world()],
        replication_factor: None,
    }
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn io_error(what: &'static str, key: &BlobKey) -> impl Fn(io::Error) -> BlobError + use<> {
    let key = key.clone();
    move |source| BlobError::Io {
        what,
        key: key.clone(),
        source,
    }
}

fn at(what: &'static str, path: &Path) -> impl Fn(io::Error) -> BlobError + use<> {
    let path = path.to_owned();
    move |source| BlobError::Directory {
        what,
        path: path.clone(),
        source,
    }
}

/// Where records grow; a name that no key can have.
const NEW: &str = ".new";
/// Where content lies.
const CONTENT: &str = "content";
/// In front of each key, as in Storm.
const RECORD: &str = "meta_";
/// In front of a key whose file is the content itself: the form of our first stores.
const LEGACY: &str = "data_";

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;

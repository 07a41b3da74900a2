//! Blobs as files of one directory: `<local>/blobs/data_<key>`, each the plain content.
//!
//! A blob comes to be whole or not at all: written to `<local>/blobs/.new/<number>`, fsynced,
//! renamed, and the directory fsynced. What a crash leaves in `.new` is removed at the next start.
//! Versions are checksums of the content, counted at the first question and then remembered.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::crc32c::Crc32c;
use super::{BlobKey, BlobKeyError};
use crate::limits;

/// All blobs of one local directory. Every method may block on the disk.
pub struct LocalBlobs {
    directory: PathBuf,
    n_made: AtomicU64,
    versions: Mutex<HashMap<BlobKey, (FileId, i64)>>,
}

/// A blob on its way: invisible until `finish`, gone when dropped before.
pub struct BlobWriter<'a> {
    blobs: &'a LocalBlobs,
    key: BlobKey,
    temporary: PathBuf,
    file: File,
    size: u64,
    crc: Crc32c,
    finished: Finished,
}

#[derive(PartialEq)]
enum Finished {
    No,
    Yes,
}

/// What is known of a blob without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// Bytes.
    pub size: u64,
    /// Compare for inequality only.
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
    #[error(transparent)]
    Key(#[from] BlobKeyError),
    #[error("could not {what} blob `{key}`: {source}")]
    Io {
        what: &'static str,
        key: BlobKey,
        source: io::Error,
    },
    #[error("could not {what} {}: {source}", path.display())]
    Directory {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// Tells a file from the one that had its name before.
#[derive(Clone, Copy, PartialEq)]
struct FileId {
    inode: u64,
    size: u64,
    modified_ns: i128,
}

// === impl LocalBlobs ===

impl LocalBlobs {
    /// Opens or makes the directory, and removes what was half made when the last process ended.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, BlobError> {
        let directory = directory.into();
        let new = directory.join(NEW);
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| BlobError::Directory { what, path, source }
        };
        match std::fs::remove_dir_all(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("clear", &new)(error));
            }
            _ => {}
        }
        std::fs::create_dir_all(&new).map_err(failed("make", &new))?;
        sync_directory(&directory).map_err(failed("fsync", &directory))?;
        Ok(LocalBlobs {
            directory,
            n_made: AtomicU64::new(0),
            versions: Mutex::default(),
        })
    }

    /// Begins a blob that will replace the one of that key, if there is one.
    pub fn create(&self, key: &BlobKey) -> Result<BlobWriter<'_>, BlobError> {
        let number = self.n_made.fetch_add(1, Ordering::Relaxed);
        let temporary = self.directory.join(NEW).join(number.to_string());
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).open(&temporary);
        Ok(BlobWriter {
            file: file.map_err(|source| failed("make", key, source))?,
            blobs: self,
            key: key.clone(),
            temporary,
            size: 0,
            crc: Crc32c::new(),
            finished: Finished::No,
        })
    }

    /// Writes a whole blob.
    pub fn put(&self, key: &BlobKey, content: &[u8]) -> Result<BlobInfo, BlobError> {
        let mut writer = self.create(key)?;
        writer.write(content)?;
        writer.finish()
    }

    /// Writes a blob from a file, which stays.
    pub fn put_file(&self, key: &BlobKey, file: &mut File) -> Result<BlobInfo, BlobError> {
        let mut writer = self.create(key)?;
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            let n = file.read(&mut buffer);
            match n.map_err(|source| failed("copy", key, source))? {
                0 => return writer.finish(),
                n => writer.write(&buffer[..n])?,
            }
        }
    }

    /// Size and version.
    pub fn info(&self, key: &BlobKey) -> Result<BlobInfo, BlobError> {
        let file = self.open_blob(key)?;
        self.info_of(key, &file)
    }

    /// Up to `length` bytes from `offset`, fewer at the end and never more than
    /// `limits::BLOB_READ_BYTES_MAX`; none at or past the end.
    pub fn read_at(
        &self,
        key: &BlobKey,
        offset: u64,
        length: usize,
    ) -> Result<BlobChunk, BlobError> {
        let file = self.open_blob(key)?;
        let info = self.info_of(key, &file)?;
        let left = usize::try_from(info.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut data = vec![0; length.min(left).min(limits::BLOB_READ_BYTES_MAX)];
        file.read_exact_at(&mut data, offset)
            .map_err(|source| failed("read", key, source))?;
        let data = Bytes::from(data);
        Ok(BlobChunk { data, info })
    }

    /// The whole content, for blobs that are small by nature: code and confs.
    pub fn read_all(&self, key: &BlobKey) -> Result<Bytes, BlobError> {
        let mut file = self.open_blob(key)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)
            .map_err(|source| failed("read", key, source))?;
        Ok(Bytes::from(content))
    }

    /// Removes a blob.
    pub fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        std::fs::remove_file(self.path(key)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => BlobError::NotFound { key: key.clone() },
            _ => failed("delete", key, error),
        })?;
        self.versions().remove(key);
        sync_directory(&self.directory).map_err(|source| failed("delete", key, source))
    }

    /// All keys, in order. Files that are no blobs are left out.
    pub fn list(&self) -> Result<Vec<BlobKey>, BlobError> {
        let failed = |source| BlobError::Directory {
            what: "list",
            path: self.directory.clone(),
            source,
        };
        let mut keys = Vec::new();
        for found in std::fs::read_dir(&self.directory).map_err(failed)? {
            let name = found.map_err(failed)?.file_name();
            let key = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            keys.extend(key.and_then(|key| BlobKey::new(key).ok()));
        }
        keys.sort();
        Ok(keys)
    }

    fn path(&self, key: &BlobKey) -> PathBuf {
        self.directory.join(format!("{PREFIX}{key}"))
    }

    fn open_blob(&self, key: &BlobKey) -> Result<File, BlobError> {
        File::open(self.path(key)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => BlobError::NotFound { key: key.clone() },
            _ => failed("open", key, error),
        })
    }

    fn info_of(&self, key: &BlobKey, file: &File) -> Result<BlobInfo, BlobError> {
        let io = |source| failed("read", key, source);
        let id = FileId::of(file).map_err(io)?;
        let known = self.versions().get(key).copied();
        let version = match known {
            Some((known, version)) if known == id => version,
            _ => {
                let version = checksum(file).map_err(io)?;
                self.versions().insert(key.clone(), (id, version));
                version
            }
        };
        let size = id.size;
        Ok(BlobInfo { size, version })
    }

    fn versions(&self) -> std::sync::MutexGuard<'_, HashMap<BlobKey, (FileId, i64)>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl BlobWriter ===

impl BlobWriter<'_> {
    /// Adds to the end.
    pub fn write(&mut self, content: &[u8]) -> Result<(), BlobError> {
        self.file
            .write_all(content)
            .map_err(|source| failed("write", &self.key, source))?;
        self.crc.update(content);
        self.size += content.len() as u64;
        Ok(())
    }

    /// Makes the blob visible, on disk when this returns.
    pub fn finish(mut self) -> Result<BlobInfo, BlobError> {
        let io = |source| failed("write", &self.key, source);
        self.file.sync_all().map_err(io)?;
        let id = FileId::of(&self.file).map_err(io)?;
        std::fs::rename(&self.temporary, self.blobs.path(&self.key)).map_err(io)?;
        self.finished = Finished::Yes;
        sync_directory(&self.blobs.directory)
            .map_err(|source| failed("write", &self.key, source))?;
        let version = i64::from(self.crc.value());
        let mut versions = self.blobs.versions();
        versions.insert(self.key.clone(), (id, version));
        let size = self.size;
        Ok(BlobInfo { size, version })
    }
}

impl Drop for BlobWriter<'_> {
    fn drop(&mut self) {
        if self.finished == Finished::No
            && let Err(error) = std::fs::remove_file(&self.temporary)
        {
            let path = self.temporary.display();
            tracing::warn!(%path, %error, "a half-made blob stays until the next start");
        }
    }
}

// === impl FileId ===

impl FileId {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(FileId {
            inode: metadata.ino(),
            size: metadata.len(),
            modified_ns: i128::from(metadata.mtime()) * 1_000_000_000
                + i128::from(metadata.mtime_nsec()),
        })
    }
}

fn checksum(file: &File) -> io::Result<i64> {
    let mut crc = Crc32c::new();
    let mut buffer = vec![0; COPY_BYTES];
    let mut offset = 0;
    loop {
        match file.read_at(&mut buffer, offset)? {
            0 => return Ok(i64::from(crc.value())),
            n => {
                crc.update(&buffer[..n]);
                offset += n as u64;
            }
        }
    }
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn failed(what: &'static str, key: &BlobKey, source: io::Error) -> BlobError {
    let key = key.clone();
    BlobError::Io { what, key, source }
}

/// Where blobs grow; a name that no key can have.
const NEW: &str = ".new";
/// In front of each key, as in Storm.
const PREFIX: &str = "data_";
const COPY_BYTES: usize = 128 << 10;

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;

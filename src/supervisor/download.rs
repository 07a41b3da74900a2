//! Brings one version of a blob into a file: whole and undamaged, never parts of two.
//!
//! Knows neither where files belong nor who needs them (`localizer`, `blob_cache`).

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::link::{Link, LinkError};
use super::localizer::{LocalizeError, write_error};
use crate::blob::Crc32c;
use crate::limits::BLOB_READ_BYTES_MAX;

/// A blob at Nimbus.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub link: &'a Link,
    pub key: &'a str,
    /// Who must be allowed to read it; nobody in particular where callers have no names.
    pub user: Option<&'a str>,
}

/// What Nimbus has of a blob.
#[derive(Clone, Copy, Debug)]
pub struct Remote {
    /// Its checksum.
    pub version: i64,
    total: u64,
}

// === impl Source ===

impl Source<'_> {
    pub async fn remote(self) -> Result<Remote, LocalizeError> {
        let read = self.link.read_blob(self.key, 0, 0, self.user).await;
        let chunk = read.map_err(|source| self.unread(source))?;
        Ok(Remote {
            version: chunk.version,
            total: u64::try_from(chunk.total).unwrap_or(0),
        })
    }

    /// Brings that version to `path`. As an error the file is of no use.
    pub async fn download(self, remote: Remote, path: &Path) -> Result<(), LocalizeError> {
        let key = || self.key.to_owned();
        let mut file = File::create(path).map_err(write_error(path))?;
        let mut crc = Crc32c::new();
        let (mut at, total) = (0, remote.total);
        while at < total {
            let read = self
                .link
                .read_blob(self.key, at, BLOB_READ_BYTES_MAX, self.user);
            let chunk = read.await.map_err(|source| self.unread(source))?;
            if chunk.version != remote.version {
                return Err(LocalizeError::Changed { key: key() });
            }
            if chunk.data.is_empty() {
                let key = key();
                return Err(LocalizeError::Short { key, at, total });
            }
            file.write_all(&chunk.data).map_err(write_error(path))?;
            crc.update(&chunk.data);
            at += chunk.data.len() as u64;
        }
        if i64::from(crc.value()) != remote.version {
            return Err(LocalizeError::Damaged { key: key() });
        }
        file.sync_all().map_err(write_error(path))
    }

    fn unread(self, source: LinkError) -> LocalizeError {
        let key = self.key.to_owned();
        LocalizeError::Fetch { key, source }
    }
}

//! Downloads of blobs in chunks, for peers older than Storm 2.0.
//!
//! Serves blobs by key only: no path of a client is ever opened.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;

use crate::blob::{Blob, BlobError, BlobKey, BlobKeyError, LocalBlobs};
use crate::limits;

/// Open downloads.
pub(crate) struct Downloads {
    age_max_ms: u64,
    sessions: DashMap<String, Download>,
}

#[derive(Clone)]
struct Download {
    /// Who began it; none where callers have no names.
    owner: Option<String>,
    blob: Arc<Blob>,
    offset: u64,
    touched_ms: u64,
}

/// Why a download failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DownloadError {
    #[error("Could not find input stream for id {0}")]
    Unknown(String),
    #[error("{} downloads are open already", limits::DOWNLOADS_MAX)]
    TooMany,
    #[error(transparent)]
    Key(#[from] BlobKeyError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("the blob cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

// === impl Downloads ===

impl Downloads {
    pub fn new(age_max: Duration) -> Self {
        Downloads {
            age_max_ms: u64::try_from(age_max.as_millis()).unwrap_or(u64::MAX),
            sessions: DashMap::new(),
        }
    }

    /// Opens a download of a blob and names it.
    pub fn begin(
        &self,
        blobs: &LocalBlobs,
        file: &str,
        owner: Option<String>,
        now_ms: u64,
    ) -> Result<String, DownloadError> {
        let blob = blobs.blob(&BlobKey::new(file)?)?;
        self.expire(now_ms);
        let id = uuid::Uuid::new_v4().to_string();
        if self.sessions.len() >= limits::DOWNLOADS_MAX {
            return Err(DownloadError::TooMany);
        }
        let download = Download {
            owner,
            blob,
            offset: 0,
            touched_ms: now_ms,
        };
        self.sessions.insert(id.clone(), download);
        Ok(id)
    }

    /// For all but who began it there is no such download.
    pub fn check_owner(&self, id: &str, owner: Option<&str>) -> Result<(), DownloadError> {
        let download = self.sessions.get(id);
        let is_own = download.is_some_and(|download| download.owner.as_deref() == owner);
        let unknown = || DownloadError::Unknown(id.to_owned());
        is_own.then_some(()).ok_or_else(unknown)
    }

    /// The next bytes, none at the end; then the download is over.
    pub fn chunk(&self, id: &str, length: usize, now_ms: u64) -> Result<Bytes, DownloadError> {
        let unknown = || DownloadError::Unknown(id.to_owned());
        // A copy: no guard of the map may be held while the disk is read.
        let download = self.sessions.get(id).map(|download| download.clone());
        let Download { blob, offset, .. } = download.ok_or_else(unknown)?;
        let data = blob.read(offset, length)?;
        if data.is_empty() {
            self.sessions.remove(id);
        } else if let Some(mut download) = self.sessions.get_mut(id) {
            download.offset = offset + data.len() as u64;
            download.touched_ms = now_ms;
        }
        Ok(data)
    }

    pub fn expire(&self, now_ms: u64) {
        self.sessions
            .retain(|_, download| now_ms.saturating_sub(download.touched_ms) <= self.age_max_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_comes_in_chunks_and_then_an_empty_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let blobs = LocalBlobs::open(directory.path()).expect("room");
        blobs
            .put(&BlobKey::new("a").expect("a key"), b"abcde")
            .expect("room");
        let downloads = Downloads::new(Duration::from_secs(600));
        let id = downloads.begin(&blobs, "a", None, 0).expect("there");
        downloads.check_owner(&id, None).expect("its own");
        downloads
            .check_owner(&id, Some("eve"))
            .expect_err("not hers");
        let chunk = || downloads.chunk(&id, 3, 0);
        assert_eq!(&chunk().expect("open")[..], b"abc");
        assert_eq!(&chunk().expect("open")[..], b"de");
        assert!(chunk().expect("open").is_empty());
        let over = chunk().expect_err("over").to_string();
        assert_eq!(over, format!("Could not find input stream for id {id}"));
        downloads
            .begin(&blobs, "../a", None, 0)
            .expect_err("a path");
        downloads
            .begin(&blobs, "none", None, 0)
            .expect_err("not there");
    }
}

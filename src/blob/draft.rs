//! Content on its way to become a blob's: invisible, checksummed as it grows, gone when dropped.
//!
//! Holds no file open: thousands of drafts that grow byte by byte cost some memory each and no
//! descriptor. Which blob it becomes, and when, is `local`'s business.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use super::crc32c::Crc32c;
use super::local::BlobInfo;
use crate::limits::BLOB_DRAFT_BUFFER_BYTES;

/// Content that grows.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    /// What is not in the file yet.
    buffer: Vec<u8>,
    size: u64,
    crc: Crc32c,
    state: State,
}

/// Content that is whole and on disk, and not yet anybody's.
#[derive(Debug)]
pub struct Sealed {
    draft: Draft,
}

#[derive(Debug, PartialEq)]
enum State {
    /// There is no file yet.
    Buffered,
    Filed,
    /// The file belongs to a blob.
    Kept,
}

// === impl Draft ===

impl Draft {
    /// The file at `path` must not exist; it comes to be with the first bytes that do not fit the
    /// buffer.
    pub(super) fn new(path: PathBuf) -> Self {
        Draft {
            path,
            buffer: Vec::new(),
            size: 0,
            crc: Crc32c::new(),
            state: State::Buffered,
        }
    }

    /// Whether so many bytes more would only go to memory.
    pub fn takes_in_memory(&self, n_bytes: usize) -> bool {
        self.buffer.len() + n_bytes <= BLOB_DRAFT_BUFFER_BYTES
    }

    /// Adds to the end. After an error the content is not to be used any more.
    pub fn write(&mut self, content: &[u8]) -> io::Result<()> {
        self.crc.update(content);
        self.size += content.len() as u64;
        if self.takes_in_memory(content.len()) {
            self.buffer.extend_from_slice(content);
            return Ok(());
        }
        let mut file = self.file()?;
        file.write_all(&self.buffer)?;
        self.buffer.clear();
        file.write_all(content)
    }

    /// Adds all that a reader has.
    pub fn copy(&mut self, reader: &mut impl Read) -> io::Result<()> {
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(()),
                n => self.write(&buffer[..n])?,
            }
        }
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Puts everything on disk.
    pub fn seal(mut self) -> io::Result<Sealed> {
        let mut file = self.file()?;
        file.write_all(&self.buffer)?;
        self.buffer = Vec::new();
        file.sync_all()?;
        Ok(Sealed { draft: self })
    }

    fn file(&mut self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let file = match self.state {
            State::Buffered => options.write(true).create_new(true).open(&self.path)?,
            _ => options.append(true).open(&self.path)?,
        };
        self.state = State::Filed;
        Ok(file)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.state == State::Filed
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            let path = self.path.display();
            tracing::warn!(%path, %error, "content of no blob stays until the next start");
        }
    }
}

// === impl Sealed ===

impl Sealed {
    pub fn info(&self) -> BlobInfo {
        BlobInfo {
            size: self.draft.size,
            version: i64::from(self.draft.crc.value()),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.draft.path
    }

    /// From now on the file belongs to a blob.
    pub(super) fn keep(mut self) -> PathBuf {
        self.draft.state = State::Kept;
        self.draft.path.clone()
    }
}

const COPY_BYTES: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_ends_in_an_error_and_leaves_nothing() {
        // Every write to this device fails for want of space.
        let full = Path::new("/dev/full");
        assert!(full.exists(), "/dev/full is needed for this test");
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("draft");
        std::os::unix::fs::symlink(full, &path).expect("room");
        let mut draft = Draft::new(path.clone());
        draft.state = State::Filed;
        draft.write(b"little").expect("only in memory");
        draft
            .write(&[7; BLOB_DRAFT_BUFFER_BYTES])
            .expect_err("no room");
        drop(draft);
        assert!(path.symlink_metadata().is_err(), "the file is gone");
    }
}

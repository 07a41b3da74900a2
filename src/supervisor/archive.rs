//! Unpacks an archive that a user stored as a blob: zip, jar, tar, and either gzipped.
//!
//! What it is, its first bytes say, not its key. It is a stranger's: nothing may come to lie, or
//! lead, outside of the target, and what it unpacks to is bounded. Fetching it is `blob_cache`'s.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use thiserror::Error;

use super::extract::{self, ExtractError};
use super::tar::{self, Entry, Kind};
use crate::limits::{BLOB_BYTES_MAX, JAR_ENTRIES_MAX};

/// Why an archive could not be unpacked.
#[derive(Debug, Error)]
pub enum ArchiveError {
    #[error("the archive cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error(transparent)]
    Extract(#[from] ExtractError),
    #[error("the archive's link {link:?} leads to {target:?}, which is not inside of it: refused")]
    Link { link: PathBuf, target: PathBuf },
    #[error("the archive has more than {JAR_ENTRIES_MAX} entries (limit JAR_ENTRIES_MAX)")]
    TooMany,
}

/// Where a tar file goes.
struct Unpacking<'a> {
    target: &'a Path,
    max: u64,
    left: u64,
    /// Made last, so that nothing is ever written through one.
    links: Vec<(PathBuf, PathBuf)>,
}

/// Unpacks `source` to `target`: a directory, or a file where it is no archive or one gzipped file.
/// On an error the caller removes `target`.
pub fn unpack(source: &Path, target: &Path) -> Result<(), ArchiveError> {
    let file = File::open(source)?;
    let max = extract::unpacked_max(file.metadata()?.len(), BLOB_BYTES_MAX);
    let mut file = BufReader::with_capacity(START_BYTES, file);
    let start = file.fill_buf()?;
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        return Ok(extract::all(source, target)?);
    }
    if tar::is_tar(start) {
        return unpack_tar(&mut file, target, max);
    }
    if !start.starts_with(b"\x1f\x8b") {
        return copy(&mut file, target, max);
    }
    let mut inner = BufReader::with_capacity(START_BYTES, MultiGzDecoder::new(file));
    match tar::is_tar(inner.fill_buf()?) {
        true => unpack_tar(&mut inner, target, max),
        false => copy(&mut inner, target, max),
    }
}

fn copy(reader: &mut impl Read, target: &Path, max: u64) -> Result<(), ArchiveError> {
    match extract::write(reader, target, 0o644, max)? {
        Some(_) => Ok(()),
        None => Err(ExtractError::TooLarge { max }.into()),
    }
}

fn unpack_tar(reader: &mut impl Read, target: &Path, max: u64) -> Result<(), ArchiveError> {
    extract::create_dir(target)?;
    let mut unpacking = Unpacking {
        target,
        max,
        left: max,
        links: Vec::new(),
    };
    let mut n_entries = 0;
    while let Some(entry) = tar::next(reader)? {
        n_entries += 1;
        if n_entries > JAR_ENTRIES_MAX {
            return Err(ArchiveError::TooMany);
        }
        unpacking.entry(&entry, reader)?;
        io::copy(&mut reader.take(entry.padding()), &mut io::sink())?;
    }
    unpacking.link_all()
}

// === impl Unpacking ===

impl Unpacking<'_> {
    fn entry(&mut self, entry: &Entry, reader: &mut impl Read) -> Result<(), ArchiveError> {
        let path = self.target.join(extract::inside(&entry.name)?);
        if path != self.target
            && let Some(parent) = path.parent()
        {
            extract::create_dir(parent)?;
        }
        match &entry.kind {
            Kind::Directory => Ok(extract::create_dir(&path)?),
            Kind::File => {
                let mut content = reader.take(entry.size);
                let mode = entry.mode | 0o600;
                let written = extract::write(&mut content, &path, mode, self.left)?;
                self.left -= written.ok_or(ExtractError::TooLarge { max: self.max })?;
                // A name that came twice keeps its first content.
                io::copy(&mut content, &mut io::sink())?;
                match content.limit() {
                    0 => Ok(()),
                    _ => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                }
            }
            Kind::HardLink(to) => {
                let to = self.target.join(extract::inside(to)?);
                match fs::hard_link(&to, &path) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                    other => Ok(other?),
                }
            }
            Kind::Symlink(to) => {
                if self.links.len() >= JAR_ENTRIES_MAX {
                    return Err(ArchiveError::TooMany);
                }
                self.links.push((path, to.into()));
                Ok(())
            }
        }
    }

    /// Links may lead one through the other: where each ends, the file system says.
    fn link_all(self) -> Result<(), ArchiveError> {
        let root = self.target.canonicalize()?;
        for (link, to) in &self.links {
            match std::os::unix::fs::symlink(to, link) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => other?,
            }
        }
        for (link, to) in self.links {
            let ends = link.canonicalize();
            let is_inside = ends.is_ok_and(|ends| ends.starts_with(&root));
            if !is_inside || to.is_absolute() || to.as_os_str() == OsStr::new("") {
                return Err(ArchiveError::Link { link, target: to });
            }
        }
        Ok(())
    }
}

/// Enough to see what a file is.
const START_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests;

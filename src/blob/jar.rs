//! Opens a stranger's jar in bounded memory, for those who look into it or unpack it.
//!
//! A zip file's directory is read whole when it is opened, so what it may cost is decided before:
//! by the bytes that are read, and by the number of entries that it claims. Judges no names
//! (`nimbus`, `supervisor`).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::limits::{JAR_DIRECTORY_BYTES_MAX, JAR_ENTRIES_MAX};

/// Why a jar could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum JarOpenError {
    #[error(transparent)]
    NotZip(#[from] ZipError),
    #[error(
        "the jar has more than {JAR_ENTRIES_MAX} entries (limit JAR_ENTRIES_MAX), or its directory \
         takes more than {JAR_DIRECTORY_BYTES_MAX} bytes (limit JAR_DIRECTORY_BYTES_MAX)"
    )]
    TooMany,
}

/// A file of which only so many bytes may be read.
pub struct Metered {
    file: BufReader<File>,
    left: Arc<AtomicU64>,
}

/// Opens a jar of at most `JAR_ENTRIES_MAX` entries; its contents may then be read without limit.
pub fn open_jar(file: File) -> Result<ZipArchive<Metered>, JarOpenError> {
    open_within(file, JAR_DIRECTORY_BYTES_MAX)
}

fn open_within(file: File, n_bytes_max: u64) -> Result<ZipArchive<Metered>, JarOpenError> {
    if !claims_few(&file).map_err(ZipError::from)? {
        return Err(JarOpenError::TooMany);
    }
    let left = Arc::new(AtomicU64::new(n_bytes_max));
    let metered = Metered {
        file: BufReader::new(file),
        left: Arc::clone(&left),
    };
    let archive = ZipArchive::new(metered).map_err(|error| match left.load(Ordering::Relaxed) {
        0 => JarOpenError::TooMany,
        _ => JarOpenError::NotZip(error),
    })?;
    if archive.len() > JAR_ENTRIES_MAX {
        return Err(JarOpenError::TooMany);
    }
    left.store(u64::MAX, Ordering::Relaxed);
    Ok(archive)
}

/// Whether no end record of the file claims more than `JAR_ENTRIES_MAX` entries: the reader makes
/// room for what is claimed. The 16-bit count of plain zip files cannot; of Zip64 only the form is
/// accepted that writers make, with the record right before its locator.
fn claims_few(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL_BYTES);
    let mut tail = vec![0; usize::try_from(length - start).unwrap_or(0)];
    file.read_exact_at(&mut tail, start)?;
    let ends = tail.windows(END.len()).enumerate();
    let mut ends = ends.filter(|(_, bytes)| *bytes == END).map(|(at, _)| at);
    let is_fine = |end: usize| {
        let locator_at = end.checked_sub(LOCATOR_BYTES);
        let Some(locator) = locator_at.and_then(|at| tail.get(at..end)) else {
            return true;
        };
        if !locator.starts_with(LOCATOR) {
            return true;
        }
        let record_at = (end - LOCATOR_BYTES).checked_sub(RECORD_BYTES);
        let record = record_at.and_then(|at| Some((at, tail.get(at..at + RECORD_BYTES)?)));
        record.is_some_and(|(at, record)| {
            record.starts_with(RECORD)
                && number(locator, 8) == Some(start + at as u64)
                && number(record, 32).is_some_and(|n| n <= JAR_ENTRIES_MAX as u64)
        })
    };
    Ok(ends.all(is_fine))
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::other("the zip file's directory is too large"));
        }
        let n_max = usize::try_from(left).unwrap_or(usize::MAX);
        let n_max = buffer.len().min(n_max);
        let n = self.file.read(&mut buffer[..n_max])?;
        self.left.store(left - n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl Seek for Metered {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Signatures of a zip file's end record, and of Zip64's end record and its locator.
const END: &[u8] = b"PK\x05\x06";
const RECORD: &[u8] = b"PK\x06\x06";
const LOCATOR: &[u8] = b"PK\x06\x07";
const RECORD_BYTES: usize = 56;
const LOCATOR_BYTES: usize = 20;
/// An end record with the longest comment, and the two of Zip64 before it, with room.
const TAIL_BYTES: u64 = (1 << 16) + 128;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn stored(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("room");
        file.write_all(content).expect("room");
        file
    }

    #[test]
    fn only_the_directory_counts() {
        let mut zip = ZipWriter::new(tempfile::tempfile().expect("room"));
        zip.start_file("a", SimpleFileOptions::default())
            .expect("an entry");
        zip.write_all(&[7; 10_000]).expect("room");
        let file = zip.finish().expect("room");
        let opened = open_within(file.try_clone().expect("a file"), 50);
        assert!(matches!(opened, Err(JarOpenError::TooMany)));
        let mut archive = open_within(file, 1000).expect("a small directory");
        let mut content = Vec::new();
        let mut entry = archive.by_index(0).expect("an entry");
        entry.read_to_end(&mut content).expect("no limit");
        assert_eq!(content.len(), 10_000);
    }

    #[test]
    fn a_claim_of_many_entries_is_refused_before_room_is_made() {
        // Long enough for the claim to be possible by the file's length.
        let forged = |n_entries: u64| {
            let padding = vec![0; 1 << 20];
            let mut zip = padding.clone();
            zip.extend(RECORD);
            zip.extend(44u64.to_le_bytes());
            zip.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            zip.extend(n_entries.to_le_bytes());
            zip.extend(n_entries.to_le_bytes());
            zip.extend((padding.len() as u64).to_le_bytes());
            zip.extend(0u64.to_le_bytes());
            zip.extend(LOCATOR);
            zip.extend(0u32.to_le_bytes());
            zip.extend((padding.len() as u64).to_le_bytes());
            zip.extend(1u32.to_le_bytes());
            zip.extend(END);
            zip.extend([0, 0, 0, 0]);
            zip.extend([0xff; 12]);
            zip.extend([0, 0]);
            open_jar(stored(&zip)).err().expect("no such entries")
        };
        let many = forged(JAR_ENTRIES_MAX as u64 + 1);
        assert!(matches!(many, JarOpenError::TooMany), "{many}");
        let few = forged(1);
        assert!(matches!(few, JarOpenError::NotZip(_)), "{few}");
    }
}

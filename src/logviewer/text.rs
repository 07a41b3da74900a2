//! Parts of log files as text; those that are packed too.
//!
//! Blocks on the disk. Which file, and who may read it, is decided before.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use flate2::read::MultiGzDecoder;

use crate::limits;

/// A file that is open for reading.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    is_packed: bool,
    /// Of its text; of a packed one as it says itself.
    length: u64,
}

/// A part of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub start: u64,
    pub text: String,
}

/// Why a part cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum TextError {
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("there is nothing: the file ends before that")]
    PastEnd,
    #[error("too far into a packed file: download it instead")]
    TooFar,
}

// === impl Log ===

impl Log {
    pub fn new(mut file: File, name: &str) -> io::Result<Self> {
        let is_packed = name.ends_with(".gz");
        let mut length = file.metadata()?.len();
        if is_packed {
            length = 0;
            if file.seek(SeekFrom::End(-4)).is_ok() {
                let mut last = [0; 4];
                file.read_exact(&mut last)?;
                length = u32::from_le_bytes(last).into();
            }
            file.rewind()?;
        }
        Ok(Log {
            file,
            is_packed,
            length,
        })
    }

    /// Of its text, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// So many bytes from `start` on, or the last of the file.
    pub fn part(self, start: Option<u64>, length: u64) -> Result<Part, TextError> {
        let start = start.unwrap_or_else(|| self.length.saturating_sub(length));
        let mut bytes = Vec::new();
        self.reader(start)?.take(length).read_to_end(&mut bytes)?;
        Ok(Part {
            start,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }

    /// Its text from there on.
    pub fn reader(self, start: u64) -> Result<Box<dyn Read + Send>, TextError> {
        let Log {
            mut file,
            is_packed,
            length,
        } = self;
        if !is_packed {
            if start > length {
                return Err(TextError::PastEnd);
            }
            file.seek(SeekFrom::Start(start))?;
            return Ok(Box::new(file));
        }
        if start > limits::LOG_SEARCH_BYTES_MAX {
            return Err(TextError::TooFar);
        }
        let mut unpacked = MultiGzDecoder::new(file);
        // What it says of its length is less than there is where it has several members.
        if io::copy(&mut unpacked.by_ref().take(start), &mut io::sink())? < start {
            return Err(TextError::PastEnd);
        }
        Ok(Box::new(unpacked))
    }
}

/// Names of what people can read; the rest is only for download.
pub(super) fn is_text(name: &str) -> bool {
    let is_log = name.contains(".log");
    is_log
        || [".txt", ".yaml", ".pid"]
            .iter()
            .any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn log(content: &[u8], name: &str) -> Log {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(content).expect("room");
        file.rewind().expect("a file");
        Log::new(file, name).expect("it can be read")
    }

    #[test]
    fn parts_of_plain_and_packed_files() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(b"0123456789").expect("memory");
        let packed = packed.finish().expect("memory");
        for (content, name) in [
            (&b"0123456789"[..], "worker.log"),
            (&packed, "worker.log.1.gz"),
        ] {
            let part = |start, length| log(content, name).part(start, length);
            assert_eq!(part(Some(2), 3).expect("there").text, "234", "{name}");
            let last = part(None, 4).expect("there");
            assert_eq!((last.start, last.text.as_str()), (6, "6789"), "{name}");
            assert_eq!(part(Some(10), 3).expect("the end").text, "", "{name}");
            assert!(
                matches!(part(Some(11), 3), Err(TextError::PastEnd)),
                "{name}"
            );
        }
    }

    #[test]
    fn an_archive_of_several_is_read_to_its_end() {
        let mut packed = Vec::new();
        for text in ["0123456789", "abc"] {
            let mut member = GzEncoder::new(&mut packed, Compression::fast());
            member.write_all(text.as_bytes()).expect("memory");
            member.finish().expect("memory");
        }
        let part = |start| log(&packed, "worker.log.1.gz").part(Some(start), 9);
        assert_eq!(part(8).expect("there").text, "89abc");
        assert!(matches!(part(14), Err(TextError::PastEnd)));
    }

    #[test]
    fn what_is_no_archive_is_an_error() {
        assert!(log(b"abc", "x.gz").part(None, 10).is_err());
        assert!(log(b"not packed at all", "x.gz").part(Some(0), 10).is_err());
    }
}

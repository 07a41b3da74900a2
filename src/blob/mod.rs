//! Blobs: jars, code and confs, too large for the store, named by key.
//!
//! Knows no sessions and no replication; those are Nimbus's.

pub mod acl;
mod crc32c;
mod draft;
mod jar;
mod local;
pub mod program;

pub use crc32c::Crc32c;
pub use draft::Draft;
pub use jar::{JarOpenError, Metered, open_jar};
pub use local::{Blob, BlobChunk, BlobError, BlobInfo, LocalBlobs};

use crate::limits;

/// A valid key: letters, digits, blank, tab, `_`, `-` and `.`, and no name of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobKey(String);

/// A text that is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key:?} is not a valid blob key: {reason}")]
pub struct BlobKeyError {
    pub key: String,
    pub reason: &'static str,
}

// === impl BlobKey ===

impl BlobKey {
    /// Section 7 of the control plane: `^[\w \t\._-]+$` with letters of any script, not `.` or
    /// `..`.
    pub fn new(key: impl Into<String>) -> Result<Self, BlobKeyError> {
        let key = key.into();
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '\t' | '_' | '-' | '.');
        let reason = if key.is_empty() {
            "it is empty"
        } else if key == "." || key == ".." {
            "it names a directory"
        } else if key.len() > limits::BLOB_KEY_BYTES_MAX {
            "it is too long"
        } else if !key.chars().all(allowed) {
            "only letters, digits, blanks, `_`, `-` and `.` are allowed"
        } else {
            return Ok(BlobKey(key));
        };
        let key = key.chars().take(limits::BLOB_KEY_BYTES_MAX).collect();
        Err(BlobKeyError { key, reason })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for BlobKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_writes_no_lines_of_a_log() {
        let forged = "a\n2026-01-01T00:00:00Z ERROR all is lost \u{1b}[31m";
        let error = BlobKey::new(forged).expect_err("no key").to_string();
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}

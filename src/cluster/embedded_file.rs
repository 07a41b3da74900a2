//! The file below the embedded store, which remembers whether an fsync of it ever failed.
//!
//! Takes no locks: the store's directory is locked as a whole.

use std::fs::File;
use std::io::{Error, Result};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use redb::StorageBackend;

/// A file on a disk.
#[derive(Debug)]
pub(super) struct GuardedFile {
    file: File,
    disk: Disk,
}

/// What is known of the disk, and how it behaves: as it does, unless a test says otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    sync_failed: Arc<AtomicBool>,
    fault: Arc<AtomicU8>,
}

/// A fault of the disk.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
pub(super) enum Fault {
    None = 0,
    Full = 1,
    Sync = 2,
}

// === impl Disk ===

impl Disk {
    /// Whether writes may be lost although the system reported them as done.
    pub fn sync_failed(&self) -> bool {
        self.sync_failed.load(Ordering::Acquire)
    }

    #[cfg(test)]
    pub fn set(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::Release);
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault.load(Ordering::Acquire) == fault as u8 && fault != Fault::None
    }
}

// === impl GuardedFile ===

impl GuardedFile {
    pub fn new(file: File, disk: Disk) -> Self {
        GuardedFile { file, disk }
    }

    fn check_space(&self) -> Result<()> {
        if self.disk.has(Fault::Full) {
            return Err(Error::from(std::io::ErrorKind::StorageFull));
        }
        Ok(())
    }
}

impl StorageBackend for GuardedFile {
    fn len(&self) -> Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.check_space()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<()> {
        let outcome = if self.disk.has(Fault::Sync) {
            Err(Error::other("fsync failed"))
        } else {
            self.file.sync_data()
        };
        if outcome.is_err() {
            self.disk.sync_failed.store(true, Ordering::Release);
        }
        outcome
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.check_space()?;
        self.file.write_all_at(data, offset)
    }
}

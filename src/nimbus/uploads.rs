//! Files that clients send and fetch in chunks: the inbox of jars, and downloads of blobs.
//!
//! Sessions live in memory and expire; what a restart or a silent client leaves is removed by age.
//! A path that a client names is opened only if it resolves into the inbox or an allowed directory.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use dashmap::DashMap;

use crate::limits;

/// The inbox and its sessions. Methods may block on the disk for the length of one chunk.
pub(crate) struct Uploads {
    inbox: PathBuf,
    allowed: Vec<PathBuf>,
    session_age_max: Duration,
    jar_age_max: Duration,
    sessions: DashMap<String, Arc<Mutex<Session>>>,
}

struct Session {
    /// Who began it; none where callers have no names.
    owner: Option<String>,
    file: Option<File>,
    size: u64,
    touched_ms: u64,
}

/// Why an upload failed. Storm answers all of these as internal errors.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error("File for that location does not exist (or timed out)")]
    Unknown,
    #[error("{} uploads are open already", limits::UPLOADS_MAX)]
    TooMany,
    #[error("the upload is larger than {} bytes", limits::UPLOAD_BYTES_MAX)]
    TooLarge,
    #[error("could not write {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Why a location is not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocationError {
    #[error("the jar at `{location}` cannot be read: {source}")]
    Unreadable { location: String, source: io::Error },
    #[error(
        "uploadedJarLocation `{location}` is outside of the inbox and of the directories in \
         {allow_key}"
    )]
    Outside {
        location: String,
        allow_key: &'static str,
    },
}

// === impl Uploads ===

impl Uploads {
    /// Makes the inbox if need be. `allowed` are further directories that may hold jars.
    pub fn open(inbox: PathBuf, allowed: &[String], ages: Ages) -> Result<Self, UploadError> {
        let io = |source| UploadError::Io {
            path: inbox.clone(),
            source,
        };
        std::fs::create_dir_all(&inbox).map_err(io)?;
        let inbox = inbox.canonicalize().map_err(io)?;
        // A directory that is not there holds no jars either.
        let resolve = |path: &String| Path::new(path).canonicalize().ok();
        Ok(Uploads {
            inbox,
            allowed: allowed.iter().filter_map(resolve).collect(),
            session_age_max: ages.session,
            jar_age_max: ages.jar,
            sessions: DashMap::new(),
        })
    }

    /// Opens an upload and names its location.
    pub fn begin(&self, owner: Option<String>, now_ms: u64) -> Result<String, UploadError> {
        self.expire_sessions(now_ms);
        let path = self
            .inbox
            .join(format!("stormjar-{}.jar", uuid::Uuid::new_v4()));
        let location = path.to_string_lossy().into_owned();
        if self.sessions.len() >= limits::UPLOADS_MAX {
            return Err(UploadError::TooMany);
        }
        let mut options = File::options();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|source| UploadError::Io { path, source })?;
        let session = Session {
            owner,
            file: Some(file),
            size: 0,
            touched_ms: now_ms,
        };
        let session = Arc::new(Mutex::new(session));
        self.sessions.insert(location.clone(), session);
        Ok(location)
    }

    /// For all but who began it there is no such upload.
    pub fn check_owner(&self, location: &str, owner: Option<&str>) -> Result<(), UploadError> {
        let session = self
            .sessions
            .get(location)
            .map(|session| Arc::clone(&session));
        let is_own = session.is_some_and(|session| lock(&session).owner.as_deref() == owner);
        is_own.then_some(()).ok_or(UploadError::Unknown)
    }

    /// Adds to the end. An upload that fails is over, and its file is gone.
    pub fn chunk(&self, location: &str, bytes: &[u8], now_ms: u64) -> Result<(), UploadError> {
        // A copy: no guard of the map may be held while the disk is written.
        let session = self
            .sessions
            .get(location)
            .map(|session| Arc::clone(&session));
        let session = session.ok_or(UploadError::Unknown)?;
        let outcome = lock(&session).add(location, bytes, now_ms);
        if outcome.is_err() {
            self.sessions.remove(location);
            remove(Path::new(location));
        }
        outcome
    }

    /// Ends an upload; the file stays for as many submits as come before it is too old.
    pub fn finish(&self, location: &str) -> Result<(), UploadError> {
        let (_, session) = self.sessions.remove(location).ok_or(UploadError::Unknown)?;
        lock(&session).file = None;
        Ok(())
    }

    /// Opens a jar that a client names, wherever links lead, if it lies where jars may lie.
    pub fn open_jar(&self, location: &str, allow_key: &'static str) -> Result<File, LocationError> {
        let unreadable = |source| LocationError::Unreadable {
            location: location.to_owned(),
            source,
        };
        let path = Path::new(location).canonicalize().map_err(unreadable)?;
        let within = |directory: &PathBuf| path.starts_with(directory);
        if !within(&self.inbox) && !self.allowed.iter().any(within) {
            let location = location.to_owned();
            return Err(LocationError::Outside {
                location,
                allow_key,
            });
        }
        // No link may take the file's place between the check and here, and no pipe may block us.
        let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
        let mut options = File::options();
        let file = options
            .read(true)
            .custom_flags(flags)
            .open(&path)
            .map_err(unreadable)?;
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err(unreadable(io::Error::other("it is not a file")));
        }
        Ok(file)
    }

    /// Ends sessions that have been silent for too long.
    pub fn expire_sessions(&self, now_ms: u64) {
        let age_max_ms = u64::try_from(self.session_age_max.as_millis()).unwrap_or(u64::MAX);
        self.sessions.retain(|location, session| {
            // One that is locked is being written to.
            let Ok(session) = session.try_lock() else {
                return true;
            };
            let stays = now_ms.saturating_sub(session.touched_ms) <= age_max_ms;
            if !stays {
                remove(Path::new(location));
            }
            stays
        });
    }

    /// Removes files of the inbox that are too old and not being written.
    pub fn clean_inbox(&self, now: SystemTime) {
        let entries = match std::fs::read_dir(&self.inbox) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(inbox = %self.inbox.display(), %error, "the inbox is not readable");
                return;
            }
        };
        for entry in entries.flatten() {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            // A file from the future, after a clock was set back, is young.
            let age = modified.map(|modified| now.duration_since(modified).unwrap_or_default());
            let path = entry.path();
            let is_open = self.sessions.contains_key(path.to_string_lossy().as_ref());
            if !is_open && age.is_ok_and(|age| age > self.jar_age_max) {
                remove(&path);
            }
        }
    }
}

/// How long things may lie unused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ages {
    pub session: Duration,
    pub jar: Duration,
}

// === impl Session ===

impl Session {
    fn add(&mut self, location: &str, bytes: &[u8], now_ms: u64) -> Result<(), UploadError> {
        let file = self.file.as_mut().ok_or(UploadError::Unknown)?;
        self.size += bytes.len() as u64;
        if self.size > limits::UPLOAD_BYTES_MAX {
            self.file = None;
            return Err(UploadError::TooLarge);
        }
        self.touched_ms = now_ms;
        let written = file.write_all(bytes);
        written.map_err(|source| {
            self.file = None;
            let path = PathBuf::from(location);
            UploadError::Io { path, source }
        })
    }
}

fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a file of the inbox stays");
        }
        _ => {}
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

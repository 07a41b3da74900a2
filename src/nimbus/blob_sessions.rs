//! Sessions of blobs: uploads, downloads and listings that clients go through call by call.
//!
//! Each belongs to the principal that opened it and ends when it was silent for too long; what an
//! upload left is gone with it. Who may open one is decided in `blobs`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;

use super::leader::lock;
use crate::blob::{Blob, BlobError, BlobKey, Draft, LocalBlobs};
use crate::limits;
use crate::wire::storm::SettableBlobMeta;

/// Everything that is open.
pub(crate) struct BlobSessions {
    age_max_ms: u64,
    uploads: DashMap<String, Arc<Mutex<Upload>>>,
    downloads: DashMap<String, Arc<Mutex<Download>>>,
    listings: DashMap<String, Listing>,
    seats: [Arc<Seats>; 3],
    unborn: Mutex<BTreeMap<BlobKey, Unborn>>,
}

/// What an upload will do when it is finished.
#[derive(Clone, Debug)]
pub(crate) enum Goal {
    Create(BlobKey, SettableBlobMeta),
    Update(BlobKey),
}

/// Why a session cannot do what it is asked. Storm answers all but `Stranger` as internal errors.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("Blob for session {0} does not exist (or timed out)")]
    Unknown(String),
    #[error("Blob list for session {0} does not exist (or timed out)")]
    UnknownList(String),
    #[error("session {0} was opened by another principal")]
    Stranger(String),
    #[error("too many sessions are open already: {0} at once")]
    TooMany(usize),
    #[error("the blob is larger than {} bytes", limits::BLOB_BYTES_MAX)]
    TooLarge,
    #[error("the session cannot go on: {0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// Who opened a session: none on the simple transport.
pub(crate) type Owner = Option<String>;

/// A place among all sessions of a kind, given back when dropped.
struct Seat {
    seats: Arc<Seats>,
    owner: Owner,
}

#[derive(Default)]
struct Seats(Mutex<HashMap<Owner, usize>>);

struct Upload {
    session: String,
    seat: Seat,
    goal: Goal,
    /// None once it is finished, cancelled or broken.
    draft: Option<Draft>,
    touched_ms: u64,
}

struct Download {
    seat: Seat,
    blob: Arc<Blob>,
    offset: u64,
    touched_ms: u64,
}

struct Listing {
    seat: Seat,
    /// The last key that was told.
    after: BlobKey,
    touched_ms: u64,
}

/// A key that was begun and is no blob: Storm lists it, and breaks at questions about it
/// (control-plane 3.5, recorded).
enum Unborn {
    Growing {
        session: String,
    },
    /// Storm never forgets it; here it is as if it had never been once a session would be over.
    Cancelled {
        at_ms: u64,
    },
}

// === impl BlobSessions ===

impl BlobSessions {
    pub fn new(age_max: Duration) -> Self {
        BlobSessions {
            age_max_ms: u64::try_from(age_max.as_millis()).unwrap_or(u64::MAX),
            uploads: DashMap::new(),
            downloads: DashMap::new(),
            listings: DashMap::new(),
            seats: Default::default(),
            unborn: Mutex::default(),
        }
    }

    /// Opens an upload. A key can only be created once at a time.
    pub fn begin_upload(
        &self,
        goal: Goal,
        draft: Draft,
        owner: Owner,
        now_ms: u64,
    ) -> Result<String, SessionError> {
        let seat = self.seat(Kind::Upload, owner, now_ms)?;
        let session = new_id();
        if let Goal::Create(key, _) = &goal {
            let mut unborn = lock(&self.unborn);
            if matches!(unborn.get(key), Some(Unborn::Growing { .. })) {
                return Err(BlobError::Exists { key: key.clone() }.into());
            }
            let session = session.clone();
            unborn.insert(key.clone(), Unborn::Growing { session });
        }
        let upload = Upload {
            session: session.clone(),
            seat,
            goal,
            draft: Some(draft),
            touched_ms: now_ms,
        };
        let upload = Arc::new(Mutex::new(upload));
        self.uploads.insert(session.clone(), upload);
        Ok(session)
    }

    /// Adds to an upload if that costs no disk: else returns the bytes, for `upload_to_disk`.
    pub fn upload(
        &self,
        session: &str,
        chunk: Bytes,
        owner: &Owner,
        now_ms: u64,
    ) -> Result<Option<Bytes>, SessionError> {
        let upload = self.find_upload(session)?;
        // One that is locked is writing.
        let Ok(mut guard) = upload.try_lock() else {
            return Ok(Some(chunk));
        };
        let draft = guard.draft_of(session, owner)?;
        if !draft.takes_in_memory(chunk.len()) {
            return Ok(Some(chunk));
        }
        draft.write(&chunk)?;
        guard.touched_ms = now_ms;
        Ok(None)
    }

    /// Adds to an upload. One that fails is over, and what it wrote is gone.
    pub fn upload_to_disk(
        &self,
        session: &str,
        chunk: &[u8],
        owner: &Owner,
        now_ms: u64,
    ) -> Result<(), SessionError> {
        let upload = self.find_upload(session)?;
        let mut guard = lock(&upload);
        let draft = guard.draft_of(session, owner)?;
        let outcome = match draft.size() + chunk.len() as u64 {
            size if size > limits::BLOB_BYTES_MAX => Err(SessionError::TooLarge),
            _ => draft.write(chunk).map_err(SessionError::Io),
        };
        guard.touched_ms = now_ms;
        if outcome.is_err() {
            self.uploads.remove(session);
            self.forget(&mut guard);
        }
        outcome
    }

    /// Ends an upload; then the blob is there, on disk, or nothing is.
    pub fn finish_upload(
        &self,
        blobs: &LocalBlobs,
        session: &str,
        owner: &Owner,
    ) -> Result<(), SessionError> {
        let upload = self.find_upload(session)?;
        let mut guard = lock(&upload);
        guard.draft_of(session, owner)?;
        self.uploads.remove(session);
        let draft = guard.draft.take();
        let draft = draft.ok_or_else(|| SessionError::Unknown(session.to_owned()))?;
        let shown = match guard.goal.clone() {
            Goal::Create(key, meta) => blobs.create(&key, draft, meta),
            Goal::Update(key) => blobs.replace(&key, draft),
        };
        self.forget(&mut guard);
        shown?;
        Ok(())
    }

    /// Gives an upload up.
    pub fn cancel_upload(
        &self,
        session: &str,
        owner: &Owner,
        now_ms: u64,
    ) -> Result<(), SessionError> {
        let upload = self.find_upload(session)?;
        let mut guard = lock(&upload);
        guard.draft_of(session, owner)?;
        self.uploads.remove(session);
        self.forget(&mut guard);
        if let Goal::Create(key, _) = &guard.goal {
            let mut unborn = lock(&self.unborn);
            if unborn.len() < limits::BLOB_SESSIONS_MAX {
                unborn.insert(key.clone(), Unborn::Cancelled { at_ms: now_ms });
            }
        }
        Ok(())
    }

    /// Opens a download: of the content that the blob has now, whatever becomes of the blob.
    pub fn begin_download(
        &self,
        blob: Arc<Blob>,
        owner: Owner,
        now_ms: u64,
    ) -> Result<String, SessionError> {
        let download = Download {
            seat: self.seat(Kind::Download, owner, now_ms)?,
            blob,
            offset: 0,
            touched_ms: now_ms,
        };
        let session = new_id();
        let download = Arc::new(Mutex::new(download));
        self.downloads.insert(session.clone(), download);
        Ok(session)
    }

    /// The next bytes, none at the end; then the download is over.
    pub fn download(
        &self,
        session: &str,
        length: usize,
        owner: &Owner,
        now_ms: u64,
    ) -> Result<Bytes, SessionError> {
        let found = self.downloads.get(session).map(|found| Arc::clone(&found));
        let found = found.ok_or_else(|| SessionError::Unknown(session.to_owned()))?;
        let mut download = lock(&found);
        download.seat.check(session, owner)?;
        let data = download.blob.read(download.offset, length)?;
        download.offset += data.len() as u64;
        download.touched_ms = now_ms;
        if data.is_empty() {
            self.downloads.remove(session);
        }
        Ok(data)
    }

    /// A page of keys and the session for the next one. Without a session a listing begins; the
    /// page after the last is empty and ends it.
    pub fn list(
        &self,
        blobs: &LocalBlobs,
        session: Option<&str>,
        owner: &Owner,
        now_ms: u64,
    ) -> Result<(Vec<BlobKey>, String), SessionError> {
        let Some(session) = session.filter(|session| !session.is_empty()) else {
            let session = new_id();
            let keys = self.keys_after(blobs, None);
            if let Some(last) = keys.last() {
                let listing = Listing {
                    seat: self.seat(Kind::Listing, owner.clone(), now_ms)?,
                    after: last.clone(),
                    touched_ms: now_ms,
                };
                self.listings.insert(session.clone(), listing);
            }
            return Ok((keys, session));
        };
        let unknown = || SessionError::UnknownList(session.to_owned());
        let mut listing = self.listings.get_mut(session).ok_or_else(unknown)?;
        listing.seat.check(session, owner)?;
        let keys = self.keys_after(blobs, Some(&listing.after));
        listing.touched_ms = now_ms;
        match keys.last() {
            Some(last) => listing.after = last.clone(),
            None => {
                drop(listing);
                self.listings.remove(session);
            }
        }
        Ok((keys, session.to_owned()))
    }

    /// Whether a key was begun and is not there: growing, or cancelled a while ago.
    pub fn is_unborn(&self, key: &BlobKey) -> bool {
        lock(&self.unborn).contains_key(key)
    }

    /// Takes back a key that was begun; whether there was one. An upload that still grows ends in
    /// an error: only whoever began it may do that.
    pub fn take_back(&self, key: &BlobKey, owner: &Owner) -> Result<bool, SessionError> {
        let session = match lock(&self.unborn).get(key) {
            None => return Ok(false),
            Some(Unborn::Cancelled { .. }) => None,
            Some(Unborn::Growing { session }) => Some(session.clone()),
        };
        if let Some(session) = session {
            // One that is being finished is as good as a blob.
            let upload = self.find_upload(&session)?;
            lock(&upload).seat.check(&session, owner)?;
            self.uploads.remove(&session);
        }
        Ok(lock(&self.unborn).remove(key).is_some())
    }

    /// Ends what was silent for too long.
    pub fn expire(&self, now_ms: u64) {
        let is_old = |touched_ms: u64| now_ms.saturating_sub(touched_ms) > self.age_max_ms;
        self.uploads.retain(|_, upload| {
            // One that is locked is being written to.
            let Ok(mut upload) = upload.try_lock() else {
                return true;
            };
            let is_over = is_old(upload.touched_ms);
            if is_over {
                self.forget(&mut upload);
            }
            !is_over
        });
        self.downloads
            .retain(|_, download| match download.try_lock() {
                Ok(download) => !is_old(download.touched_ms),
                Err(_) => true,
            });
        self.listings
            .retain(|_, listing| !is_old(listing.touched_ms));
        lock(&self.unborn).retain(|_, unborn| match unborn {
            Unborn::Growing { .. } => true,
            Unborn::Cancelled { at_ms } => !is_old(*at_ms),
        });
    }

    fn keys_after(&self, blobs: &LocalBlobs, after: Option<&BlobKey>) -> Vec<BlobKey> {
        let n_keys = limits::BLOB_KEYS_LISTED_MAX;
        let mut keys: BTreeSet<BlobKey> = blobs.list_after(after, n_keys).into_iter().collect();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let unborn = lock(&self.unborn);
        let more = unborn.range::<BlobKey, _>((from, Bound::Unbounded));
        keys.extend(more.map(|(key, _)| key.clone()).take(n_keys));
        keys.into_iter().take(n_keys).collect()
    }

    fn find_upload(&self, session: &str) -> Result<Arc<Mutex<Upload>>, SessionError> {
        // A copy: no guard of the map may be held while the disk is written.
        let upload = self.uploads.get(session).map(|upload| Arc::clone(&upload));
        upload.ok_or_else(|| SessionError::Unknown(session.to_owned()))
    }

    /// Nothing stays of an upload; its key is free.
    fn forget(&self, upload: &mut Upload) {
        upload.draft = None;
        if let Goal::Create(key, _) = &upload.goal {
            let mut unborn = lock(&self.unborn);
            // It may have been taken back, and begun by somebody else.
            let is_own = matches!(unborn.get(key), Some(Unborn::Growing { session })
                if *session == upload.session);
            if is_own {
                unborn.remove(key);
            }
        }
    }

    fn seat(&self, kind: Kind, owner: Owner, now_ms: u64) -> Result<Seat, SessionError> {
        let seats = &self.seats[kind as usize];
        seats.take(owner.clone()).or_else(|_| {
            self.expire(now_ms);
            seats.take(owner)
        })
    }
}

/// Sessions are counted by kind.
#[derive(Clone, Copy)]
enum Kind {
    Upload,
    Download,
    Listing,
}

// === impl Upload ===

impl Upload {
    fn draft_of(&mut self, session: &str, owner: &Owner) -> Result<&mut Draft, SessionError> {
        self.seat.check(session, owner)?;
        let draft = self.draft.as_mut();
        draft.ok_or_else(|| SessionError::Unknown(session.to_owned()))
    }
}

// === impl Seats ===

impl Seats {
    fn take(self: &Arc<Self>, owner: Owner) -> Result<Seat, SessionError> {
        let mut taken = self.taken();
        let n_all: usize = taken.values().sum();
        if n_all >= limits::BLOB_SESSIONS_MAX {
            return Err(SessionError::TooMany(limits::BLOB_SESSIONS_MAX));
        }
        let n_own = taken.entry(owner.clone()).or_default();
        if owner.is_some() && *n_own >= limits::BLOB_SESSIONS_OF_ONE_MAX {
            return Err(SessionError::TooMany(limits::BLOB_SESSIONS_OF_ONE_MAX));
        }
        *n_own += 1;
        let seats = Arc::clone(self);
        Ok(Seat { seats, owner })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Owner, usize>> {
        lock(&self.0)
    }
}

// === impl Seat ===

impl Seat {
    /// An id alone does not make somebody a session's owner.
    fn check(&self, session: &str, owner: &Owner) -> Result<(), SessionError> {
        match self.owner == *owner {
            true => Ok(()),
            false => Err(SessionError::Stranger(session.to_owned())),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if let Some(n_own) = taken.get_mut(&self.owner) {
            *n_own -= 1;
            if *n_own == 0 {
                taken.remove(&self.owner);
            }
        }
    }
}

fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests;

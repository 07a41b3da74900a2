//! Why Nimbus refuses a call, in the cases that its clients can tell apart.
//!
//! Actions speak in these; `service` says once how each goes over the wire.

use super::downloads::DownloadError;
use super::leader::ChangeError;
use super::transition::NoTransitionError;
use super::uploads::UploadError;
use crate::auth::Refused;
use crate::blob::BlobError;
use crate::cluster::StoreError;
use crate::topology::InvalidTopology;

/// A refusal. The text is what the client reads; Storm's own where Storm has one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0}")]
    NotAlive(String),
    #[error("{0}")]
    AlreadyAlive(String),
    #[error("{0}")]
    InvalidTopology(String),
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    KeyNotFound(String),
    #[error("{0}")]
    KeyExists(String),
    #[error("{0}")]
    IllegalState(String),
    /// A change may be on disk or not: what belongs to it must stay. Goes out as `Internal` does.
    #[error("{0}")]
    Undecided(String),
    /// What Storm answers as an internal error.
    #[error("{0}")]
    Internal(String),
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Fault::Denied(refused.to_string())
    }
}

impl From<InvalidTopology> for Fault {
    fn from(error: InvalidTopology) -> Self {
        match error {
            InvalidTopology::Refused(text) => Fault::InvalidTopology(text),
            other => Fault::Internal(other.to_string()),
        }
    }
}

impl From<BlobError> for Fault {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::NotFound { key } => Fault::KeyNotFound(key.to_string()),
            BlobError::Exists { key } => Fault::KeyExists(key.to_string()),
            other => Fault::Internal(other.to_string()),
        }
    }
}

impl From<ChangeError> for Fault {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Store(StoreError::Stopped { .. }) => Fault::Undecided(error.to_string()),
            other => Fault::Internal(other.to_string()),
        }
    }
}

macro_rules! internal {
    ($($error:ty),*) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Fault::Internal(error.to_string())
            }
        }
    )*};
}

internal!(
    DownloadError,
    NoTransitionError,
    UploadError,
    tokio::task::JoinError,
    crate::wire::WireError
);

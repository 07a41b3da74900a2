//! How each call of Nimbus refuses: which exceptions it declares, and that all else is an internal
//! error.
//!
//! Decides nothing: `fault` says why, this says how that goes over the wire.

use super::fault::Fault;
use crate::limits;
use crate::rpc::Failure;
use crate::wire::storm::nimbus::*;
use crate::wire::storm::{
    AlreadyAliveException, AuthorizationException, IllegalStateException, InvalidTopologyException,
    KeyAlreadyExistsException, KeyNotFoundException, NotAliveException,
};

/// Keeps a reply from growing with the name or the text that it quotes.
fn short(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(limits::ERROR_TEXT_BYTES_MAX));
    text
}

/// Maps refusals to the exceptions that each method declares; all else is an internal error.
macro_rules! faults {
    ($($error:ident: $($fault:ident => $exception:ident),*;)*) => {$(
        impl From<Fault> for $error {
            fn from(fault: Fault) -> Self {
                match fault {
                    $(Fault::$fault(msg) => $exception { msg: short(msg) }.into(),)*
                    other => Failure::Internal(short(other.to_string())).into(),
                }
            }
        }
    )*};
}

macro_rules! of_topology {
    ($($error:ident)*) => {
        faults! {$(
            $error: NotAlive => NotAliveException, Denied => AuthorizationException;
        )*}
    };
}

macro_rules! of_blob {
    ($($error:ident)*) => {
        faults! {$(
            $error: KeyNotFound => KeyNotFoundException, Denied => AuthorizationException;
        )*}
    };
}

macro_rules! of_cluster {
    ($($error:ident)*) => {
        faults! {$($error: Denied => AuthorizationException;)*}
    };
}

faults! {
    SetLogConfigError: ;
    GetLogConfigError: ;
    SetWorkerProfilerError: ;
    GetComponentPendingProfileActionsError: ;
    ProcessWorkerMetricsError: ;
    SubmitTopologyError: AlreadyAlive => AlreadyAliveException,
        InvalidTopology => InvalidTopologyException, Denied => AuthorizationException;
    SubmitTopologyWithOptsError: AlreadyAlive => AlreadyAliveException,
        InvalidTopology => InvalidTopologyException, Denied => AuthorizationException;
    RebalanceError: NotAlive => NotAliveException,
        InvalidTopology => InvalidTopologyException, Denied => AuthorizationException;
}

faults! {
    BeginCreateBlobError: KeyExists => KeyAlreadyExistsException, Denied => AuthorizationException;
    DeleteBlobError: IllegalState => IllegalStateException, KeyNotFound => KeyNotFoundException,
        Denied => AuthorizationException;
    // Nothing is declared here.
    ListBlobsError:;
    CreateStateInZookeeperError:;
}

of_blob! {
    BeginUpdateBlobError GetBlobMetaError SetBlobMetaError BeginBlobDownloadError
    GetBlobReplicationError UpdateBlobReplicationError
}

of_topology! {
    KillTopologyError KillTopologyWithOptsError ActivateError DeactivateError
    GetTopologySummaryByNameError GetTopologySummaryError GetTopologyInfoError
    GetTopologyInfoByNameError GetTopologyInfoWithOptsError GetTopologyInfoByNameWithOptsError
    GetTopologyConfError GetTopologyError GetUserTopologyError SendSupervisorWorkerHeartbeatError
    GetTopologyPageInfoError GetComponentPageInfoError GetSupervisorPageInfoError
    DebugError UploadNewCredentialsError
}

of_cluster! {
    BeginFileUploadError UploadChunkError FinishFileUploadError BeginFileDownloadError
    DownloadChunkError SendSupervisorWorkerHeartbeatsError GetNimbusConfError GetClusterInfoError
    GetTopologySummariesError GetLeaderError IsTopologyNameAllowedError
    GetSupervisorAssignmentsError UploadBlobChunkError FinishBlobUploadError CancelBlobUploadError
    DownloadBlobChunkError IsRemoteBlobExistsError GetTopologyHistoryError
    GetOwnerResourceSummariesError
}

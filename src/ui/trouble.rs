//! Why a route has no answer, and what HTTP calls it (control-plane 11.1).

use axum::http::StatusCode;

use super::pages::log_config::BadLevels;
use crate::auth::Refused;
use crate::conf::{ConfError, keys};
use crate::http::body::BodyError;
use crate::http::origin::ForeignOriginError;
use crate::http::place::PlaceError;
use crate::http::visitor::Unnamed;
use crate::rpc::Failure;
use crate::wire::messages::metric_reader;
use crate::wire::storm::nimbus;
use crate::wire::storm::{AuthorizationException, InvalidTopologyException, NotAliveException};

/// What is said instead of an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("there is no such route: {path}")]
    NoRoute { path: String },
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error("this route does not take {method}")]
    Method { method: String },
    #[error(transparent)]
    Unnamed(#[from] Unnamed),
    #[error("UI request refused: {0}")]
    Refused(#[from] Refused),
    #[error(transparent)]
    Foreign(#[from] ForeignOriginError),
    #[error("actions are switched off here: {} is false", keys::UI_ACTIONS_ENABLED)]
    NoActions,
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Levels(#[from] BadLevels),
    /// A part of the address that is no number; Java's words.
    #[error("For input string: \"{text}\"")]
    Number { text: String },
    #[error("`{text}` is no HOST:PORT of a worker")]
    Worker { text: String },
    #[error("no such topology: {0}")]
    NotAlive(String),
    #[error("{}", no_supervisor(host.as_deref()))]
    NoSupervisor { host: Option<String> },
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Invalid(String),
    #[error("too many requests wait for Nimbus: try again later")]
    Busy,
    #[error("{said}: {0}", said = nimbus_said(.0))]
    Nimbus(#[from] Failure),
    #[error("Nimbus sent what cannot be read: {0}")]
    Conf(#[from] ConfError),
}

fn no_supervisor(host: Option<&str>) -> String {
    match host {
        Some(host) => format!("there is no supervisor on host {host}"),
        None => "say which supervisor: ?id=ID, or ?host=HOST".to_owned(),
    }
}

fn nimbus_said(failure: &Failure) -> &'static str {
    match failure {
        Failure::Transport(_) => "Nimbus does not answer",
        _ => "Nimbus cannot say",
    }
}

// === impl Trouble ===

impl Trouble {
    /// Whatever Storm has no status for is a 500.
    pub fn status(&self) -> StatusCode {
        match self {
            Trouble::NoRoute { .. } => StatusCode::NOT_FOUND,
            Trouble::Place(_) => StatusCode::BAD_REQUEST,
            Trouble::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Trouble::Denied(_) => StatusCode::UNAUTHORIZED,
            Trouble::Unnamed(_)
            | Trouble::Refused(_)
            | Trouble::Foreign(_)
            | Trouble::NoActions => StatusCode::FORBIDDEN,
            Trouble::Body(error) => error.status(),
            Trouble::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Trouble::Levels(_)
            | Trouble::Number { .. }
            | Trouble::Worker { .. }
            | Trouble::NotAlive(_)
            | Trouble::NoSupervisor { .. }
            | Trouble::Invalid(_)
            | Trouble::Nimbus(_)
            | Trouble::Conf(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<AuthorizationException> for Trouble {
    fn from(error: AuthorizationException) -> Self {
        Trouble::Denied(error.msg)
    }
}

impl From<NotAliveException> for Trouble {
    fn from(error: NotAliveException) -> Self {
        Trouble::NotAlive(error.msg)
    }
}

impl From<InvalidTopologyException> for Trouble {
    fn from(error: InvalidTopologyException) -> Self {
        Trouble::Invalid(error.msg)
    }
}

/// What each call can answer with.
macro_rules! calls {
    ($($service:ident::$error:ident { $($variant:ident),* }),* $(,)?) => {$(
        impl From<$service::$error> for Trouble {
            fn from(error: $service::$error) -> Self {
                match error {
                    $service::$error::Failure(error) => error.into(),
                    $($service::$error::$variant(error) => error.into(),)*
                }
            }
        }
    )*};
}

calls! {
    nimbus::GetNimbusConfError { Authorization },
    nimbus::GetClusterInfoError { Authorization },
    nimbus::GetOwnerResourceSummariesError { Authorization },
    nimbus::GetTopologyHistoryError { Authorization },
    nimbus::GetSupervisorPageInfoError { Authorization, NotAlive },
    nimbus::GetTopologySummariesError { Authorization },
    nimbus::GetTopologyPageInfoError { Authorization, NotAlive },
    nimbus::GetTopologyInfoWithOptsError { Authorization, NotAlive },
    nimbus::GetTopologyError { Authorization, NotAlive },
    nimbus::GetTopologyConfError { Authorization, NotAlive },
    nimbus::GetComponentPageInfoError { Authorization, NotAlive },
    nimbus::GetComponentPendingProfileActionsError { },
    nimbus::GetLogConfigError { },
    nimbus::SetLogConfigError { },
    nimbus::SetWorkerProfilerError { },
    nimbus::DebugError { Authorization, NotAlive },
    nimbus::ActivateError { Authorization, NotAlive },
    nimbus::DeactivateError { Authorization, NotAlive },
    nimbus::RebalanceError { Authorization, InvalidTopology, NotAlive },
    nimbus::KillTopologyWithOptsError { Authorization, NotAlive },
    metric_reader::GetTaskMetricsError { Authorization, NotAlive },
}

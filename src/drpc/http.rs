//! DRPC over HTTP (control-plane 10.2): routes, bodies and what each error becomes.
//!
//! Requests live in `exchange`, connections and bodies in `crate::http`.

use std::sync::Arc;

use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::exchange::Exchange;
use crate::auth::{Gate, Operation, Target};
use crate::http::body::{Bodies, BodyError};
use crate::limits;
use crate::rpc::Caller;
use crate::wire::storm::{DRPCExceptionType, DRPCExecutionException};
use crate::wire::{Enumeration, Open};

/// What the routes share.
struct Shared {
    exchange: Arc<Exchange>,
    gate: Arc<Gate>,
    bodies: Bodies,
}

/// Why a request has no result.
#[derive(Debug)]
enum Refused {
    Failed(DRPCExecutionException),
    Denied(String),
    Body(BodyError),
}

/// `POST /drpc/{func}`, `GET /drpc/{func}/{args}` and `GET /drpc/{func}`.
pub(crate) fn router(exchange: Arc<Exchange>, gate: Arc<Gate>) -> Router {
    let shared = Shared {
        exchange,
        gate,
        bodies: Bodies::new(limits::FRAME_BYTES_MAX),
    };
    let without_args = get(with_nothing).post(with_body);
    Router::new()
        .route("/drpc/{function}", without_args.clone())
        .route("/drpc/{function}/", without_args)
        .route("/drpc/{function}/{args}", get(with_args))
        .with_state(Arc::new(shared))
}

async fn with_nothing(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
) -> Result<Response, Refused> {
    shared.execute(&caller, &function, String::new()).await
}

async fn with_args(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path((function, args)): Path<(String, String)>,
) -> Result<Response, Refused> {
    shared.execute(&caller, &function, args).await
}

async fn with_body(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(function): Path<String>,
    body: Body,
) -> Result<Response, Refused> {
    let read = shared.bodies.read(body).await.map_err(Refused::Body)?;
    let args = String::from_utf8_lossy(&read.bytes).into_owned();
    // From here on the exchange counts the bytes.
    drop(read);
    shared.execute(&caller, &function, args).await
}

// === impl Shared ===

impl Shared {
    async fn execute(
        &self,
        caller: &Caller,
        function: &str,
        args: String,
    ) -> Result<Response, Refused> {
        // Only a certificate gives a name: who says so in a header could say anything
        // (CVE-2018-1332).
        let target = Target::Function(function);
        let permitted = self.gate.permit(caller, Operation::Execute, target).await;
        permitted.map_err(|refused| Refused::Denied(refused.to_string()))?;
        // The server drops this call when its client leaves; that withdraws the request.
        let outcome = self.exchange.execute(function, args, None).await;
        outcome
            .map(IntoResponse::into_response)
            .map_err(Refused::Failed)
    }
}

// === impl Refused ===

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, kind, text) = match self {
            Refused::Failed(error) => {
                let kind = error.type_.as_ref().and_then(Open::known);
                let name = kind.map_or("Internal Error", Enumeration::name);
                (status_of(kind), name, error.msg)
            }
            Refused::Denied(text) => (StatusCode::INTERNAL_SERVER_ERROR, "Not Authorized", text),
            Refused::Body(error) => {
                let kind = match error {
                    BodyError::TooLarge { .. } => "Too Large",
                    BodyError::Late => "Timed Out",
                    BodyError::Full => "Busy",
                    BodyError::Unreadable => "Bad Request",
                };
                (error.status(), kind, error.to_string())
            }
        };
        let body = json!({ "error": kind, "errorMessage": text }).to_string();
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

fn status_of(kind: Option<DRPCExceptionType>) -> StatusCode {
    match kind {
        Some(DRPCExceptionType::FailedRequest) => StatusCode::BAD_REQUEST,
        Some(DRPCExceptionType::ServerShutdown) => StatusCode::SERVICE_UNAVAILABLE,
        Some(DRPCExceptionType::ServerTimeout) => StatusCode::GATEWAY_TIMEOUT,
        Some(DRPCExceptionType::InternalError) | None => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

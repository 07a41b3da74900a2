//! DRPC over HTTP (control-plane 10.2): routes, bodies and what each error becomes.
//!
//! Requests live in `exchange`, connections in `listener`.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use axum::Extension;
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::exchange::Exchange;
use super::listener::rate_time;
use crate::auth::{Gate, Operation, Target};
use crate::limits;
use crate::rpc::Caller;
use crate::wire::storm::{DRPCExceptionType, DRPCExecutionException};
use crate::wire::{Enumeration, Open};

/// What the routes share.
struct Shared {
    exchange: Arc<Exchange>,
    gate: Arc<Gate>,
    /// Bytes that bodies may still take, over all connections.
    body_bytes: Semaphore,
}

/// Why a request has no result.
#[derive(Debug)]
enum Refused {
    Failed(DRPCExecutionException),
    Denied(String),
    TooLarge,
    Late,
    Full,
    Unreadable,
}

/// `POST /drpc/{func}`, `GET /drpc/{func}/{args}` and `GET /drpc/{func}`.
pub(crate) fn router(exchange: Arc<Exchange>, gate: Arc<Gate>) -> Router {
    let shared = Shared {
        exchange,
        gate,
        body_bytes: Semaphore::new(limits::HALF_SENT_BYTES_MAX),
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
    let (args, room) = shared.read(body).await?;
    // From here on the exchange counts the bytes.
    drop(room);
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

    /// The body as text; it has a deadline like a request over Thrift.
    async fn read(&self, mut body: Body) -> Result<(String, Option<SemaphorePermit<'_>>), Refused> {
        let started = Instant::now();
        let mut bytes = Vec::new();
        let mut room: Option<SemaphorePermit<'_>> = None;
        loop {
            let until = started + limits::FRAME_WAIT_MAX + rate_time(bytes.len());
            let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
            let frame = timeout_at(until, frame).await.map_err(|_| Refused::Late)?;
            let Some(frame) = frame else { break };
            let Ok(data) = frame.map_err(|_| Refused::Unreadable)?.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > limits::FRAME_BYTES_MAX {
                return Err(Refused::TooLarge);
            }
            let n_bytes = u32::try_from(data.len()).unwrap_or(u32::MAX);
            let more = self.body_bytes.try_acquire_many(n_bytes);
            let more = more.map_err(|_| Refused::Full)?;
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
            bytes.extend_from_slice(&data);
        }
        Ok((String::from_utf8_lossy(&bytes).into_owned(), room))
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
            Refused::TooLarge => {
                let max = limits::FRAME_BYTES_MAX;
                let text = format!("the body has more than {max} bytes");
                (StatusCode::PAYLOAD_TOO_LARGE, "Too Large", text)
            }
            Refused::Late => {
                let text = "the body did not arrive in time".to_owned();
                (StatusCode::REQUEST_TIMEOUT, "Timed Out", text)
            }
            Refused::Full => {
                let text = "too many bodies are on their way: try again later".to_owned();
                (StatusCode::SERVICE_UNAVAILABLE, "Busy", text)
            }
            Refused::Unreadable => {
                let text = "the body cannot be read".to_owned();
                (StatusCode::BAD_REQUEST, "Bad Request", text)
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

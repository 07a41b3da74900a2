//! Bodies of requests: whole or not at all, with a deadline, each bounded and all together.
//!
//! Knows nothing of what they hold.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::StatusCode;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::limits;

/// Reads the bodies of one server.
#[derive(Debug)]
pub(crate) struct Bodies {
    /// Of one body.
    bytes_max: usize,
    /// Bytes that bodies may still take, over all connections.
    room: Semaphore,
}

/// A whole body. Its bytes count until it is dropped.
#[derive(Debug)]
pub(crate) struct Read<'a> {
    pub bytes: Vec<u8>,
    _room: Option<SemaphorePermit<'a>>,
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body has more than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("the body did not arrive in time")]
    Late,
    #[error("too many bodies are on their way: try again later")]
    Full,
    #[error("the body cannot be read")]
    Unreadable,
}

// === impl Bodies ===

impl Bodies {
    /// Bodies of at most so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Bodies {
            bytes_max,
            room: Semaphore::new(limits::HALF_SENT_BYTES_MAX),
        }
    }

    /// The body, once all of it has come; it has a deadline like a request over Thrift.
    pub async fn read(&self, mut body: Body) -> Result<Read<'_>, BodyError> {
        let started = Instant::now();
        let mut bytes = Vec::new();
        let mut room: Option<SemaphorePermit<'_>> = None;
        loop {
            let until = started + limits::FRAME_WAIT_MAX + rate_time(bytes.len());
            let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
            let frame = timeout_at(until, frame)
                .await
                .map_err(|_| BodyError::Late)?;
            let Some(frame) = frame else { break };
            let Ok(data) = frame.map_err(|_| BodyError::Unreadable)?.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > self.bytes_max {
                let bytes_max = self.bytes_max;
                return Err(BodyError::TooLarge { bytes_max });
            }
            let n_bytes = u32::try_from(data.len()).unwrap_or(u32::MAX);
            let more = self.room.try_acquire_many(n_bytes);
            let more = more.map_err(|_| BodyError::Full)?;
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Read { bytes, _room: room })
    }
}

// === impl BodyError ===

impl BodyError {
    /// What HTTP calls it.
    pub fn status(self) -> StatusCode {
        match self {
            BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Late => StatusCode::REQUEST_TIMEOUT,
            BodyError::Full => StatusCode::SERVICE_UNAVAILABLE,
            BodyError::Unreadable => StatusCode::BAD_REQUEST,
        }
    }
}

/// What the slowest accepted line needs for so many bytes.
pub(crate) fn rate_time(n_bytes: usize) -> Duration {
    let n_bytes = u32::try_from(n_bytes).unwrap_or(u32::MAX);
    Duration::from_secs_f64(f64::from(n_bytes) / f64::from(limits::FRAME_RATE_MIN))
}

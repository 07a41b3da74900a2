//! Replies that wait for their clients to take them: bounded all together, so that clients who read
//! slowly or not at all cost a server no more memory than that.
//!
//! Knows not what a reply says. What is read from a file as it goes out (`Streamed`) counts as what
//! its buffers hold.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::StatusCode;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::reply;
use crate::limits;

/// Room for the replies of one server.
#[derive(Debug)]
pub(super) struct Waiting {
    ordinary: Arc<Semaphore>,
    /// Few of these fill their room; then only they are refused.
    large: Arc<Semaphore>,
    streamed: Arc<Semaphore>,
}

/// Marks a response, as an extension, whose body is not in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streamed;

/// A body that counts until it is taken. It goes out in slices: a buffer that took it whole would
/// hold it uncounted.
struct Counted {
    body: Body,
    slice: Bytes,
    _room: OwnedSemaphorePermit,
}

// === impl Waiting ===

impl Waiting {
    pub fn new() -> Self {
        let room = || Arc::new(Semaphore::new(limits::HTTP_WAITING_BYTES_MAX));
        Waiting {
            ordinary: room(),
            large: room(),
            streamed: room(),
        }
    }

    /// The response, or word that too many are on their way.
    pub fn admit(&self, response: Response) -> Response {
        let is_streamed = response.extensions().get::<Streamed>().is_some();
        let (room, n_bytes) = match response.body().size_hint().lower() {
            0 => return response,
            _ if is_streamed => (&self.streamed, limits::HTTP_STREAMED_REPLY_BYTES),
            n_bytes if n_bytes > limits::HTTP_LARGE_REPLY_BYTES => (&self.large, n_bytes),
            n_bytes => (&self.ordinary, n_bytes),
        };
        let n_bytes = u32::try_from(n_bytes).unwrap_or(u32::MAX);
        match Arc::clone(room).try_acquire_many_owned(n_bytes) {
            Ok(room) => response.map(|body| {
                Body::new(Counted {
                    body,
                    slice: Bytes::new(),
                    _room: room,
                })
            }),
            Err(_) => {
                let text = "too many replies wait for clients that do not read: try again later";
                reply::failure(StatusCode::SERVICE_UNAVAILABLE, text, None)
            }
        }
    }
}

// === impl Counted ===

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.slice.is_empty() {
            let polled = ready!(Pin::new(&mut self.body).poll_frame(context));
            match polled.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.slice = data,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let n_bytes = self.slice.len().min(SLICE_BYTES);
        let slice = self.slice.split_to(n_bytes);
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.slice.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.body.size_hint();
        let held = self.slice.len() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(held));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint
    }
}

const SLICE_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    async fn read(response: Response) -> Vec<u8> {
        let body = axum::body::to_bytes(response.into_body(), usize::MAX);
        body.await.expect("memory").to_vec()
    }

    #[tokio::test]
    async fn replies_count_until_they_are_taken() {
        let waiting = Waiting::new();
        let text = "x".repeat(limits::HTTP_WAITING_BYTES_MAX / 2);
        let reply = || waiting.admit(text.clone().into_response());
        let (first, second) = (reply(), reply());
        assert_eq!(first.body().size_hint().exact(), Some(text.len() as u64));
        assert_eq!(reply().status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            waiting.admit("small".into_response()).status(),
            StatusCode::OK
        );
        let mut streamed = text.clone().into_response();
        streamed.extensions_mut().insert(Streamed);
        assert_eq!(waiting.admit(streamed).status(), StatusCode::OK);
        assert_eq!(read(first).await, text.as_bytes());
        assert_eq!(reply().status(), StatusCode::OK);
        drop(second);
        assert_eq!(reply().status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn what_streams_counts_as_its_buffers() {
        let waiting = Waiting::new();
        let download = || {
            let mut response = "a file".into_response();
            response.extensions_mut().insert(Streamed);
            waiting.admit(response)
        };
        let n_bytes = usize::try_from(limits::HTTP_STREAMED_REPLY_BYTES).expect("few");
        let n_max = limits::HTTP_WAITING_BYTES_MAX / n_bytes;
        let mut downloads: Vec<_> = (0..n_max).map(|_| download()).collect();
        assert!(downloads.iter().all(|each| each.status() == StatusCode::OK));
        assert_eq!(download().status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(waiting.admit("x".into_response()).status(), StatusCode::OK);
        downloads.pop();
        assert_eq!(download().status(), StatusCode::OK);
    }
}

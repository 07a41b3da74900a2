//! Whole files as bodies of responses, read as fast as they are taken.
//!
//! Which file it is, is decided before.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncSeekExt, ReadBuf};

use crate::http::Streamed;
use crate::limits;

/// A file on its way.
struct Sent {
    file: tokio::fs::File,
    left: u64,
    buffer: Box<[u8]>,
}

/// The file as an attachment of that name; a part of it, where `range` is a header that asks for
/// one.
pub(super) async fn respond(file: File, name: &str, range: Option<&str>) -> io::Result<Response> {
    let length = file.metadata()?.len();
    let part = range.and_then(|range| part_of(range, length));
    let wanted = part.clone().unwrap_or(0..length);
    let mut file = tokio::fs::File::from_std(file);
    file.seek(io::SeekFrom::Start(wanted.start)).await?;
    let body = Body::new(Sent {
        file,
        left: wanted.end - wanted.start,
        buffer: vec![0; limits::LOG_DOWNLOAD_CHUNK_BYTES].into(),
    });
    let status = match part {
        Some(_) => StatusCode::PARTIAL_CONTENT,
        None => StatusCode::OK,
    };
    let mut response = (status, body).into_response();
    response.extensions_mut().insert(Streamed);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "no-cache, no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox",
        ),
        (header::ACCEPT_RANGES, "bytes"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{}\"", plain(name))) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    if let Some(Range { start, end }) = part {
        let text = format!("bytes {start}-{}/{length}", end.saturating_sub(1));
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(header::CONTENT_RANGE, value);
        }
    }
    Ok(response)
}

/// The one range of a header that can be had; the whole file is an answer to every other.
fn part_of(range: &str, length: u64) -> Option<Range<u64>> {
    let (start, end) = range.strip_prefix("bytes=")?.split_once('-')?;
    let part = match (start, end) {
        ("", last) => length.saturating_sub(last.parse().ok()?)..length,
        (start, "") => start.parse().ok()?..length,
        (start, end) => start.parse().ok()?..end.parse::<u64>().ok()?.checked_add(1)?.min(length),
    };
    (part.start < part.end).then_some(part)
}

/// A name that needs no quotes.
fn plain(name: &str) -> String {
    let is_kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.chars()
        .map(|c| if is_kept(c) { c } else { '-' })
        .collect()
}

// === impl Sent ===

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let sent = self.get_mut();
        if sent.left == 0 {
            return Poll::Ready(None);
        }
        let mut buffer = ReadBuf::new(&mut sent.buffer);
        if let Err(error) = ready!(Pin::new(&mut sent.file).poll_read(context, &mut buffer)) {
            return Poll::Ready(Some(Err(error)));
        }
        let read = buffer.filled();
        // A log that grows meanwhile is sent as long as it was.
        let n_bytes = usize::try_from(sent.left)
            .unwrap_or(usize::MAX)
            .min(read.len());
        let Some(taken) = read.get(..n_bytes).filter(|taken| !taken.is_empty()) else {
            let shrunk = io::Error::new(io::ErrorKind::UnexpectedEof, "the file was cut short");
            return Poll::Ready(Some(Err(shrunk)));
        };
        sent.left -= taken.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(taken)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_cannot_be_had_are_none() {
        for (range, part) in [
            ("bytes=0-3", Some(0..4)),
            ("bytes=2-", Some(2..10)),
            ("bytes=-3", Some(7..10)),
            ("bytes=8-99", Some(8..10)),
            ("bytes=10-", None),
            ("bytes=5-4", None),
            ("bytes=0-18446744073709551615", None),
            ("bytes=0-1,3-4", None),
            ("lines=0-1", None),
        ] {
            assert_eq!(part_of(range, 10), part, "{range}");
        }
        assert_eq!(plain("a/b\"\r\n.log"), "a-b---.log");
    }
}

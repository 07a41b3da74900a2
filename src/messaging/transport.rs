//! The byte stream of a link: how it is opened and accepted, and who may be at its other end.
//!
//! Everything above reads and writes `LinkReader` and `LinkWriter` and does not know what protects
//! them. Knows frames only as far as a stranger has to be told why it is not let in.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_rustls::TlsStream;
use tracing::info;

use crate::auth::link_tls::{self, LinkTls};
use crate::limits;
use crate::messaging::fence::Fence;
use crate::wire::{self, messages};

/// What protects the links of one worker. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub enum LinkSecurity {
    /// Nothing: whoever reaches the port is heard.
    #[default]
    Plain,
    /// Both ends show certificates, and nobody else reads along.
    Tls(Arc<LinkTls>),
}

/// What comes from the other worker.
pub enum LinkReader {
    Plain(OwnedReadHalf),
    Tls(ReadHalf<TlsStream<TcpStream>>),
}

/// What goes to the other worker, as long as the fence lets it. Flush it before waiting for
/// anything else: what was written may wait here. Closes the sending direction when it is dropped.
pub struct LinkWriter {
    half: WriterHalf,
    fence: Fence,
}

enum WriterHalf {
    Plain(OwnedWriteHalf),
    /// With its cipher suite.
    Tls(WriteHalf<TlsStream<TcpStream>>, Option<&'static str>),
}

/// Why there is no byte stream to the other worker.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("cannot connect to {address}: {source}")]
    Connect {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("no TLS with {peer}: {source}")]
    Handshake {
        peer: String,
        #[source]
        source: io::Error,
    },
    #[error("the connection ended before it said anything: {0}")]
    Nothing(io::Error),
    #[error("a connection in plain, but the links of this topology are encrypted")]
    Plain,
    #[error("a connection that begins with TLS, but the links of this topology are not encrypted")]
    Encrypted,
}

// === impl LinkSecurity ===

impl LinkSecurity {
    /// What encrypts, if anything does.
    pub fn tls(&self) -> Option<Arc<LinkTls>> {
        match self {
            LinkSecurity::Plain => None,
            LinkSecurity::Tls(tls) => Some(Arc::clone(tls)),
        }
    }
}

/// Opens a stream to `address` (`host:port`). Bound its time from outside.
pub async fn connect(
    address: &str,
    (security, fence): (&LinkSecurity, &Fence),
) -> Result<(LinkReader, LinkWriter), TransportError> {
    let failed = |source| TransportError::Connect {
        address: address.to_owned(),
        source,
    };
    fence.pass().map_err(failed)?;
    let stream = TcpStream::connect(address).await.map_err(failed)?;
    settle(&stream);
    match security {
        LinkSecurity::Plain => Ok(plain(stream, fence)),
        LinkSecurity::Tls(tls) => {
            let connecting = tls.connector().connect(LinkTls::server_name(), stream);
            let stream = connecting
                .await
                .map_err(|source| handshake(address, source))?;
            Ok(encrypted(stream.into(), address, fence))
        }
    }
}

/// Takes a connection that came in, once it is clear that it speaks as this worker does: others are
/// told so in their own way. Bound its time from outside.
pub async fn accept(
    mut stream: TcpStream,
    (security, fence): (&LinkSecurity, &Fence),
) -> Result<(LinkReader, LinkWriter), TransportError> {
    settle(&stream);
    let mut first = [0];
    let n_bytes = stream
        .peek(&mut first)
        .await
        .map_err(TransportError::Nothing)?;
    if n_bytes == 0 {
        return Err(TransportError::Nothing(io::ErrorKind::UnexpectedEof.into()));
    }
    match (security, first == [TLS_HANDSHAKE]) {
        (LinkSecurity::Plain, false) => Ok(plain(stream, fence)),
        (LinkSecurity::Plain, true) => {
            let _ = stream.write_all(&TLS_FAILURE).await;
            Err(TransportError::Encrypted)
        }
        (LinkSecurity::Tls(_), false) => {
            let _ = stream.write_all(&refused(&TransportError::Plain)).await;
            Err(TransportError::Plain)
        }
        (LinkSecurity::Tls(tls), true) => {
            let from = stream
                .peer_addr()
                .map(|from| from.to_string())
                .unwrap_or_default();
            let accepting = tls.acceptor().accept(stream).await;
            let stream = accepting.map_err(|source| handshake(&from, source))?;
            Ok(encrypted(stream.into(), &from, fence))
        }
    }
}

/// No delay, and an end of connections whose other side is gone without a word. What the system
/// refuses here is done without.
fn settle(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let secs = |span: Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
    let interval = secs(limits::LINK_KEEPALIVE_INTERVAL);
    let _ = setsockopt(stream, sockopt::KeepAlive, &true);
    let idle = secs(limits::LINK_KEEPALIVE_IDLE);
    let _ = setsockopt(stream, sockopt::TcpKeepIdle, &idle);
    let _ = setsockopt(stream, sockopt::TcpKeepInterval, &interval);
    let _ = setsockopt(stream, sockopt::TcpKeepCount, &limits::LINK_KEEPALIVES);
}

fn handshake(peer: &str, source: io::Error) -> TransportError {
    let peer = peer.to_owned();
    TransportError::Handshake { peer, source }
}

/// A frame as both kinds of greeting read it: nothing but its length before it.
fn refused(reason: &TransportError) -> Vec<u8> {
    let reason = reason.to_string();
    let frame = messages::Frame::Refused(messages::Refused { reason });
    let frame = wire::to_bytes(&frame).unwrap_or_default();
    let length = u32::try_from(frame.len()).unwrap_or_default();
    [&length.to_be_bytes()[..], &frame].concat()
}

fn plain(stream: TcpStream, fence: &Fence) -> (LinkReader, LinkWriter) {
    let (reader, writer) = stream.into_split();
    let writer = LinkWriter {
        half: WriterHalf::Plain(writer),
        fence: fence.clone(),
    };
    (LinkReader::Plain(reader), writer)
}

fn encrypted(stream: TlsStream<TcpStream>, peer: &str, fence: &Fence) -> (LinkReader, LinkWriter) {
    let (_, session) = stream.get_ref();
    let cipher = session.negotiated_cipher_suite().map(|suite| suite.suite());
    let name = link_tls::peer_name(session.peer_certificates()).unwrap_or_default();
    info!(peer, name, ?cipher, "the link is encrypted");
    let (reader, writer) = tokio::io::split(stream);
    let cipher = cipher.and_then(|cipher| cipher.as_str());
    let writer = LinkWriter {
        half: WriterHalf::Tls(writer, cipher),
        fence: fence.clone(),
    };
    (LinkReader::Tls(reader), writer)
}

// === impl LinkReader ===

impl AsyncRead for LinkReader {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            LinkReader::Plain(reader) => Pin::new(reader).poll_read(context, into),
            LinkReader::Tls(reader) => match Pin::new(reader).poll_read(context, into) {
                // The end without TLS's own farewell: frames show whether anything is missing.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    Poll::Ready(Ok(()))
                }
                polled => polled,
            },
        }
    }
}

// === impl LinkWriter ===

impl LinkWriter {
    /// The cipher suite, of what is encrypted.
    pub fn cipher(&self) -> Option<&'static str> {
        match &self.half {
            WriterHalf::Plain(_) => None,
            WriterHalf::Tls(_, cipher) => *cipher,
        }
    }

    /// What writes, if this process may.
    fn passed(self: Pin<&mut Self>) -> io::Result<&mut WriterHalf> {
        let writer = self.get_mut();
        writer.fence.pass()?;
        Ok(&mut writer.half)
    }
}

impl AsyncWrite for LinkWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.passed()? {
            WriterHalf::Plain(writer) => Pin::new(writer).poll_write(context, bytes),
            WriterHalf::Tls(writer, _) => Pin::new(writer).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.passed()? {
            WriterHalf::Plain(writer) => Pin::new(writer).poll_write_vectored(context, slices),
            WriterHalf::Tls(writer, _) => Pin::new(writer).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.half {
            WriterHalf::Plain(writer) => writer.is_write_vectored(),
            WriterHalf::Tls(writer, _) => writer.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.passed()? {
            WriterHalf::Plain(writer) => Pin::new(writer).poll_flush(context),
            WriterHalf::Tls(writer, _) => Pin::new(writer).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.passed()? {
            WriterHalf::Plain(writer) => Pin::new(writer).poll_shutdown(context),
            WriterHalf::Tls(writer, _) => Pin::new(writer).poll_shutdown(context),
        }
    }
}

/// First byte of a TLS connection: the type of a record. No frame of ours begins so, since that
/// would be one of hundreds of megabytes.
const TLS_HANDSHAKE: u8 = 22;
/// An alert record: fatal, handshake failure.
const TLS_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

#[cfg(test)]
mod tests;

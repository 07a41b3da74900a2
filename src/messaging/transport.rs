//! The byte stream of a link: how it is opened and accepted, and who may be at its other end.
//!
//! Everything above reads and writes `LinkReader` and `LinkWriter` and does not know what protects
//! them; nothing here knows frames.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// What protects the links of one worker. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub enum LinkSecurity {
    /// Nothing: whoever reaches the port is heard.
    #[default]
    Plain,
}

/// What comes from the other worker.
pub enum LinkReader {
    Plain(OwnedReadHalf),
}

/// What goes to the other worker. Flush it before waiting for anything else: what was written may
/// wait here. Closes the sending direction when it is dropped.
pub enum LinkWriter {
    Plain(OwnedWriteHalf),
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
}

/// Opens a stream to `address` (`host:port`). Bound its time from outside.
pub async fn connect(
    address: &str,
    security: &LinkSecurity,
) -> Result<(LinkReader, LinkWriter), TransportError> {
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|source| TransportError::Connect {
        address: address.to_owned(),
        source,
    })?;
    let _ = stream.set_nodelay(true);
    match security {
        LinkSecurity::Plain => Ok(plain(stream)),
    }
}

/// Takes a connection that came in. Bound its time from outside.
pub async fn accept(
    stream: TcpStream,
    security: &LinkSecurity,
) -> Result<(LinkReader, LinkWriter), TransportError> {
    let _ = stream.set_nodelay(true);
    match security {
        LinkSecurity::Plain => Ok(plain(stream)),
    }
}

fn plain(stream: TcpStream) -> (LinkReader, LinkWriter) {
    let (reader, writer) = stream.into_split();
    (LinkReader::Plain(reader), LinkWriter::Plain(writer))
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
        }
    }
}

// === impl LinkWriter ===

impl AsyncWrite for LinkWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            LinkWriter::Plain(writer) => Pin::new(writer).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            LinkWriter::Plain(writer) => Pin::new(writer).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            LinkWriter::Plain(writer) => writer.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            LinkWriter::Plain(writer) => Pin::new(writer).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            LinkWriter::Plain(writer) => Pin::new(writer).poll_shutdown(context),
        }
    }
}

//! Calls between daemons and their clients: who asks, what can fail, and the seams between the
//! generated services and the sockets.
//!
//! One whole Thrift message goes in and one comes out. Frames, sockets, deadlines and retries live
//! in the files below; the bytes of a message belong to `wire`.

pub(crate) mod admission;
pub mod client;
mod connection;
pub mod framing;
pub mod leader;
pub mod server;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;

/// Who sent a request, as far as the transport knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Address of the peer; none for a call inside the process.
    pub peer: Option<SocketAddr>,
    /// For whom it is done: the name that the transport authenticated, or the one that its bearer
    /// speaks for. None on the simple transport (control-plane 1.1).
    pub principal: Option<String>,
    /// Who was authenticated, where that is somebody else than `principal`.
    pub real_principal: Option<String>,
    /// Id of the topology whose worker token was shown, if it was one.
    pub token_topology: Option<String>,
}

/// Why a call had no result of its own: everything but the exceptions that the method declares.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// TApplicationException 1: the service has no such method. Holds the method's name.
    #[error("Invalid method name: '{0}'")]
    UnknownMethod(String),
    /// TApplicationException 7, or a reply that could not be decoded. Holds the decoder's message.
    #[error("{0}")]
    Protocol(String),
    /// TApplicationException 6: something undeclared went wrong in the service. Holds the cause.
    #[error("{0}")]
    Internal(String),
    /// An empty result of a method that promises one: Java's null (TApplicationException 5 in
    /// clients).
    #[error("the reply holds no result")]
    NoResult,
    /// The bytes did not reach the peer, or its reply did not come back.
    #[error("connection failed: {0}")]
    Transport(#[from] std::io::Error),
}

/// Why a call has no result, as the IDL declares it.
pub trait Refusal: fmt::Display {
    /// The IDL's name of the exception that the service threw; none where it threw nothing that it
    /// declares.
    fn exception(&self) -> Option<&'static str>;
}

/// The connection must be dropped without a reply (control-plane 1.3: a message that ends too
/// early, a header of another version). Holds the reason, for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Close(pub String);

/// Serves whole messages. The generated `Dispatcher` of each service implements it.
pub trait Dispatch: Send + Sync + 'static {
    /// One whole message in, the encoded reply out; none for a oneway method.
    ///
    /// It may take as long as it wants. A server drops it where it waits when its peer has been
    /// gone for `limits::ABANDONED_CALL_MAX`, and when a drain takes longer than
    /// `limits::DRAIN_MAX`: what must not stay half done belongs into one step of the store, or a
    /// task of its own.
    fn dispatch(
        &self,
        caller: &Caller,
        message: Bytes,
    ) -> impl Future<Output = Result<Option<Bytes>, Close>> + Send;

    /// The peer hung up, noticed at once also where a call of it still runs; no other call of that
    /// connection follows. May be told twice.
    fn hung_up(&self, caller: &Caller) {
        let _ = caller;
    }
}

/// A connection that carries one call after the other. The generated clients call through it.
pub trait Channel: Send {
    /// Sends one whole message and waits for the one that answers it.
    fn call(&mut self, message: Bytes) -> impl Future<Output = Result<Bytes, Failure>> + Send;
}

#[cfg(test)]
mod tests;

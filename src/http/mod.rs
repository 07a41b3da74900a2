//! What daemons with an HTTP port share: connections with deadlines and bounds, TLS, bodies, query
//! parameters, parts of paths, who asks, what other origins may, pages without room for foreign
//! script.
//!
//! Knows no route and no daemon.

pub(crate) mod body;
pub(crate) mod listener;
pub(crate) mod origin;
pub(crate) mod page;
pub(crate) mod place;
pub(crate) mod ports;
pub(crate) mod query;
pub(crate) mod reply;
mod tls;
pub(crate) mod visitor;
mod waiting;

pub use ports::{OpenError, Ports, StartError};
pub use visitor::VisitorError;
pub(crate) use waiting::Streamed;

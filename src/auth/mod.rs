//! Who a caller is, as far as the transport can prove it, and what it may do.
//!
//! `gate` is what services ask before they do anything; on the simple transport nobody is anybody
//! (control-plane 1.1). Kerberos is not here.

pub mod authorizer;
mod drpc_acl;
pub mod gate;
pub mod identity;
mod impersonation;
mod names;
pub mod operation;
mod subject;
pub mod tls;

pub use authorizer::Target;
pub use gate::{Daemon, Gate, Rank, Refused};
pub use names::ClassError;
pub use operation::Operation;

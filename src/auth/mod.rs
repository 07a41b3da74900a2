//! Who a caller is, as far as the transport can prove it, and what it may do.
//!
//! `gate` is what services ask before they do anything; on the simple transport nobody is anybody
//! (control-plane 1.1). Kerberos is not here.

pub mod accounts;
pub mod authorizer;
pub mod door;
mod drpc_acl;
pub mod gate;
pub mod identity;
mod impersonation;
pub mod jaas;
pub mod key_feed;
pub mod link_authority;
pub mod link_conf;
pub mod link_tls;
mod names;
pub mod operation;
pub mod sasl;
pub mod secret;
mod subject;
pub mod tls;
pub mod worker_token;

pub use authorizer::Target;
pub use gate::{Daemon, Gate, Rank, Refused};
pub use names::ClassError;
pub use operation::Operation;

//! Who a peer is, as far as its transport can prove it.
//!
//! What a peer may do is decided above. TLS with client certificates is here; on the simple
//! transport nobody is anybody (control-plane 1.1).

mod subject;
pub mod tls;

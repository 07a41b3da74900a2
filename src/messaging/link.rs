//! How two workers agree that they belong together: Hello, then Welcome or Refused.
//!
//! Unequal topologies would misroute streams without noticing (data-plane 15, 11), so their hashes
//! are compared before anything else is said. Authentication is not here yet.

use crate::id::{ComponentId, NodeId};
use crate::messaging::frame::FrameError;
use crate::messaging::transport::{LinkSecurity, TransportError};
use crate::wire::messages;

/// What a worker says of itself on each of its links, and what protects them.
#[derive(Clone, Debug)]
pub struct LinkIdentity {
    pub topology_id: String,
    /// Of the system topology's streams and task numbers.
    pub topology_hash: u64,
    pub node: NodeId,
    pub port: u16,
    pub generation: i64,
    pub security: LinkSecurity,
}

/// Why a link did not come about.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error("the peer said nothing in time")]
    Silent,
    #[error("the peer closed the connection during the greeting")]
    Closed,
    #[error("the peer refused: {0}")]
    Refused(String),
    #[error("the peer is of epoch {epoch}, and one of {wanted} is to take its place")]
    Outdated { epoch: i64, wanted: i64 },
    #[error("the peer spoke out of turn")]
    OutOfTurn,
    #[error(transparent)]
    Frame(#[from] FrameError),
}

// === impl LinkIdentity ===

impl LinkIdentity {
    /// `component` is the one that a data link feeds.
    pub(super) fn hello(
        &self,
        kind: messages::LinkKind,
        component: Option<&ComponentId>,
    ) -> messages::Hello {
        messages::Hello {
            wire_version: WIRE_VERSION,
            topology_id: self.topology_id.clone(),
            topology_hash: self.hash_bytes(),
            node: self.node.to_string(),
            port: self.port.into(),
            generation: self.generation,
            kind: kind.into(),
            component: component.map(|id| id.as_str().to_owned()),
        }
    }

    pub(super) fn welcome(&self) -> messages::Welcome {
        messages::Welcome {
            wire_version: WIRE_VERSION,
            generation: self.generation,
        }
    }

    /// The kind of link that `hello` asks for, or why it does not fit.
    pub(super) fn judge(&self, hello: &messages::Hello) -> Result<messages::LinkKind, String> {
        if hello.wire_version != WIRE_VERSION {
            let theirs = hello.wire_version;
            return Err(format!("wire version {theirs}, here {WIRE_VERSION}"));
        }
        if hello.topology_id != self.topology_id {
            let (theirs, ours) = (&hello.topology_id, &self.topology_id);
            return Err(format!("topology {theirs}, here runs {ours}"));
        }
        if hello.topology_hash != self.hash_bytes() {
            return Err("streams or task numbers of the topology differ".to_owned());
        }
        hello
            .kind
            .known()
            .ok_or_else(|| "unknown kind of link".to_owned())
    }

    fn hash_bytes(&self) -> bytes::Bytes {
        bytes::Bytes::copy_from_slice(&self.topology_hash.to_be_bytes())
    }
}

/// Of frames and batch bodies together.
pub const WIRE_VERSION: i32 = 2;

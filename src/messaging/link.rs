//! How two workers agree that they belong together: Hello, then Welcome or Refused.
//!
//! Unequal topologies would misroute streams without noticing (data-plane 15, 11), so their hashes
//! are compared before anything else is said. Who may speak at all is `transport`'s.

use crate::id::NodeId;
use crate::limits;
use crate::messaging::codec::BODY_VERSION;
use crate::messaging::fence::Fence;
use crate::messaging::frame::FrameError;
use crate::messaging::packing::Packing;
use crate::messaging::transport::{LinkSecurity, TransportError};
use crate::wire::messages;

/// What a worker says of itself on each of its links, and what it does to their bytes.
#[derive(Clone, Debug)]
pub struct LinkIdentity {
    pub topology_id: String,
    /// Of the system topology's streams and task numbers.
    pub topology_hash: u64,
    pub node: NodeId,
    pub port: u16,
    pub generation: i64,
    pub security: LinkSecurity,
    /// What it does to make frames smaller.
    pub packing: Packing,
    pub fence: Fence,
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
    #[error(
        "the peer has said nothing for {} s while tuples or acks were on their way to it",
        limits::LINK_SILENCE_MAX.as_secs()
    )]
    Mute,
    #[error("the peer refused: {0}")]
    Refused(String),
    #[error("the peer is of epoch {epoch}, and one of {wanted} is to take its place")]
    Outdated { epoch: i64, wanted: i64 },
    #[error("the peer spoke out of turn")]
    OutOfTurn,
    #[error("the peer grants what was never sent")]
    BadGrant,
    #[error(transparent)]
    Frame(#[from] FrameError),
}

// === impl LinkError ===

impl LinkError {
    /// Whether it shows that the process is gone: its machine answers, and nobody listens there.
    pub(super) fn is_gone(&self) -> bool {
        let LinkError::Transport(TransportError::Connect { source, .. }) = self else {
            return false;
        };
        source.kind() == std::io::ErrorKind::ConnectionRefused
    }
}

// === impl LinkIdentity ===

impl LinkIdentity {
    /// What its byte streams go by.
    pub(super) fn protection(&self) -> (&LinkSecurity, &Fence) {
        (&self.security, &self.fence)
    }

    pub(super) fn hello(&self, session: i64) -> messages::Hello {
        let mut hello = messages::Hello {
            wire_version: WIRE_VERSION,
            topology_id: self.topology_id.clone(),
            topology_hash: self.hash_bytes(),
            node: self.node.to_string(),
            port: self.port.into(),
            generation: self.generation,
            kind: messages::LinkKind::Data.into(),
            session: Some(session),
            body_version: Some(BODY_VERSION),
            numbered: Some(true),
            ..messages::Hello::default()
        };
        self.packing.offer(&mut hello);
        hello.checksum = Some(checksum(&hello));
        hello
    }

    pub(super) fn welcome(&self) -> messages::Welcome {
        messages::Welcome {
            wire_version: WIRE_VERSION,
            generation: self.generation,
            ..messages::Welcome::default()
        }
    }

    /// Why `hello` does not fit, if it does not.
    pub(super) fn judge(&self, hello: &messages::Hello) -> Result<(), String> {
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
        if hello.body_version != Some(BODY_VERSION) {
            let theirs = hello.body_version.unwrap_or_default();
            return Err(format!("batches of version {theirs}, here {BODY_VERSION}"));
        }
        if hello.checksum.is_some_and(|told| told != checksum(hello)) {
            return Err("a greeting came damaged: its checksum is wrong".to_owned());
        }
        match hello.kind.known() {
            Some(messages::LinkKind::Data) => Ok(()),
            None => Err("unknown kind of link".to_owned()),
        }
    }

    fn hash_bytes(&self) -> bytes::Bytes {
        bytes::Bytes::copy_from_slice(&self.topology_hash.to_be_bytes())
    }
}

/// Of what a receiver keeps of a greeting beyond its connection: a later generation or session that
/// nobody has would shut out the one who has an earlier one.
fn checksum(hello: &messages::Hello) -> i32 {
    let mut hasher = crc32fast::Hasher::new();
    let session = hello.session.unwrap_or_default();
    for text in [&hello.topology_id, &hello.node] {
        hasher.update(text.as_bytes());
        hasher.update(&[0]);
    }
    for number in [hello.port.into(), hello.generation, session] {
        hasher.update(&i64::to_be_bytes(number));
    }
    hasher.finalize() as i32
}

/// Of frames and greetings together, and of launch records and Coordination: all that programs of
/// topologies, which bring their own copy of this code along, speak with a cluster.
pub const WIRE_VERSION: i32 = 3;

//! How components are let in by DRPC servers: as the topology's conf says, with its newest token.
//!
//! Opens no connection.

use std::sync::Arc;

use crate::auth::door::{DoorError, Key, Service, Transport};
use crate::auth::worker_token;
use crate::component::TaskContext;
use crate::component::credentials::Held;
use crate::conf::Conf;
use crate::wire::storm::WorkerTokenServiceType;

/// What a topology has to show.
#[derive(Clone)]
pub struct Access {
    conf: Arc<Conf>,
    credentials: Arc<Held>,
}

// === impl Access ===

impl Access {
    pub fn new(context: &TaskContext) -> Self {
        Access {
            conf: Arc::new(context.conf().clone()),
            credentials: Arc::clone(&context.place().credentials),
        }
    }

    /// For a connection that opens now: the topology's worker token where servers ask for a login,
    /// or else what the machine's own clients show.
    pub fn key(&self) -> Result<Key, DoorError> {
        let service = Service::DrpcInvocations;
        if matches!(
            Transport::of(&self.conf, service)?,
            Transport::Plain | Transport::Digest
        ) {
            let name = worker_token::credential_key(WorkerTokenServiceType::Drpc);
            if let Some(token) = self.credentials.newest().get(name) {
                return Key::of_worker(Some(token), None);
            }
        }
        Key::new(&self.conf, service)
    }
}

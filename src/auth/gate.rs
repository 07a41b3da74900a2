//! The one check before every call: may this caller do this? Speaking for others first, then the
//! service's authorizer (control-plane 8.1).
//!
//! What an operation is about is found by the service that asks.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::authorizer::{Admins, Authorizer, SimpleAcl, Target, names, set};
use super::identity::{Identities, Subject};
use super::impersonation::Impersonation;
use super::names::ClassError;
use super::operation::{Class, Operation};
use super::worker_token::TokenKeys;
use crate::conf::{Conf, keys};
use crate::rpc::Caller;

/// A daemon whose services a gate guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Daemon {
    Nimbus,
    Supervisor,
    Drpc,
}

/// Guards the services of one daemon.
#[derive(Debug)]
pub struct Gate {
    daemon: Daemon,
    identities: Identities,
    authorizer: Authorizer,
    impersonation: Option<Impersonation>,
    admins: Admins,
    supervisors: BTreeSet<String>,
    /// For Coordination, whatever the authorizer is.
    coordination: SimpleAcl,
    /// Of the workers that may come by a token.
    tokens: Option<Arc<TokenKeys>>,
}

/// What a caller is to the whole cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// `nimbus.admins`, `nimbus.admins.groups`.
    Admin,
    /// `nimbus.supervisor.users`.
    Supervisor,
    /// Anybody with a name.
    User,
    /// The simple transport's callers.
    Nobody,
}

/// A call is refused. The text is Storm's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{} is not authorized", about(*operation, topology.as_deref()))]
    NotAuthorized {
        operation: Operation,
        topology: Option<String>,
    },
    #[error("DRPC request '{}' for '{user}' user is not authorized", operation.name())]
    Drpc { operation: Operation, user: String },
    #[error(
        "principal {real} is not authorized to impersonate principal {principal} from host {host} \
         Please see SECURITY.MD to learn how to configure impersonation acls."
    )]
    Impersonation {
        real: String,
        principal: String,
        host: String,
    },
    #[error("{daemon} does not support impersonation")]
    NoImpersonation { daemon: &'static str },
}

// === impl Gate ===

impl Gate {
    /// Reads the rules; a class that is not there is an error, not an open door.
    pub fn new(conf: &Conf, daemon: Daemon) -> Result<Self, ClassError> {
        Ok(Gate {
            daemon,
            identities: Identities::new(conf)?,
            authorizer: Authorizer::new(conf, daemon.authorizer_key())?,
            impersonation: Impersonation::new(conf)?,
            admins: Admins::new(conf)?,
            supervisors: set(conf, keys::NIMBUS_SUPERVISOR_USERS)?,
            coordination: SimpleAcl::new(conf)?,
            tokens: None,
        })
    }

    /// A token of which these have no key any more is refused on open connections, too.
    pub fn with_tokens(mut self, tokens: Arc<TokenKeys>) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Whether the caller may.
    pub async fn permit(
        &self,
        caller: &Caller,
        operation: Operation,
        target: Target<'_>,
    ) -> Result<(), Refused> {
        let subject = self.subject(caller).await;
        self.permit_impersonation(caller, subject.as_ref()).await?;
        if self.is_in_force(caller, target)
            && self.permits(caller, subject.as_ref(), operation, target)
        {
            return Ok(());
        }
        let user = caller.principal.as_deref().unwrap_or("unknown");
        let (peer, named) = (caller.peer, operation.name());
        let on = match target {
            Target::Cluster => None,
            // Never the conf: it holds what no log may.
            Target::Named(name) | Target::Topology { name, .. } | Target::Function(name) => {
                Some(name)
            }
        };
        tracing::info!(user, ?peer, operation = named, on, "a call is refused");
        Err(match (operation.class(), target) {
            (Class::Execute | Class::Invoke, _) => Refused::Drpc {
                operation,
                user: user.to_owned(),
            },
            (_, Target::Named(name) | Target::Topology { name, .. }) => Refused::NotAuthorized {
                operation,
                topology: Some(name.to_owned()),
            },
            _ => Refused::NotAuthorized {
                operation,
                topology: None,
            },
        })
    }

    /// Coordination hands out what Storm keeps in ZooKeeper, behind ZooKeeper's own rules. Where
    /// callers have names, these must be of supervisors or of the topology's own workers, even
    /// without an authorizer; keys go to nobody without a name.
    fn permits(
        &self,
        caller: &Caller,
        subject: Option<&Subject>,
        operation: Operation,
        target: Target<'_>,
    ) -> bool {
        match subject {
            Some(subject) if operation.is_coordination() => {
                let is_own_worker =
                    operation == Operation::SyncWorker && caller.token_topology.is_some();
                let is_shut = matches!(self.authorizer, Authorizer::Deny);
                let acl = &self.coordination;
                !is_shut && (is_own_worker || acl.permits(subject, operation, target))
            }
            None if operation == Operation::TokenKeys => false,
            subject => self.authorizer.permits(subject, operation, target),
        }
    }

    /// A worker that showed its token speaks for its own topology, not for others of the same
    /// owner, and for as long as the topology has keys.
    fn is_in_force(&self, caller: &Caller, target: Target<'_>) -> bool {
        let Some(own) = &caller.token_topology else {
            return true;
        };
        let is_known = self.tokens.as_ref().is_none_or(|tokens| tokens.knows(own));
        let Target::Topology { conf, .. } = target else {
            return is_known;
        };
        let id = conf.get(keys::STORM_ID).and_then(serde_json::Value::as_str);
        is_known && id == Some(own)
    }

    /// The caller with local user and groups; none on the simple transport.
    pub async fn subject(&self, caller: &Caller) -> Option<Subject> {
        let principal = caller.principal.as_deref()?;
        Some(self.identities.subject(principal).await)
    }

    pub async fn rank(&self, caller: &Caller) -> Rank {
        match self.subject(caller).await {
            None => Rank::Nobody,
            Some(subject) if self.admins.contain(&subject) => Rank::Admin,
            Some(subject) if names(&self.supervisors, &subject) => Rank::Supervisor,
            Some(_) => Rank::User,
        }
    }

    /// Who a principal or user is here.
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    /// Whether an authorizer is set.
    pub fn has_rules(&self) -> bool {
        !self.authorizer.is_open()
    }

    /// Storm lets everybody speak for everybody where no rules are set (CVE-2018-1332); here nobody
    /// may.
    async fn permit_impersonation(
        &self,
        caller: &Caller,
        subject: Option<&Subject>,
    ) -> Result<(), Refused> {
        let (Some(real), Some(subject)) = (&caller.real_principal, subject) else {
            return Ok(());
        };
        if *real == subject.principal {
            return Ok(());
        }
        if self.daemon != Daemon::Nimbus {
            let daemon = self.daemon.name();
            return Err(Refused::NoImpersonation { daemon });
        }
        let host = caller.peer.map(|peer| peer.ip());
        let real_subject = self.identities.subject(real).await;
        let rules = self.impersonation.as_ref();
        if rules.is_some_and(|rules| rules.permits(&real_subject, subject, host)) {
            return Ok(());
        }
        let principal = &subject.principal;
        let key = keys::NIMBUS_IMPERSONATION_AUTHORIZER;
        let is_set = rules.is_some();
        tracing::warn!(
            real,
            principal,
            ?host,
            is_set,
            "impersonation refused; see {key}"
        );
        Err(Refused::Impersonation {
            real: real.clone(),
            principal: principal.clone(),
            host: host.map_or_else(|| "unknown".to_owned(), |host| host.to_string()),
        })
    }
}

fn about(operation: Operation, topology: Option<&str>) -> String {
    match topology {
        Some(topology) => format!("{} on topology {topology}", operation.name()),
        None => operation.name().to_owned(),
    }
}

// === impl Daemon ===

impl Daemon {
    fn authorizer_key(self) -> &'static str {
        match self {
            Daemon::Nimbus => keys::NIMBUS_AUTHORIZER,
            Daemon::Supervisor => keys::SUPERVISOR_AUTHORIZER,
            Daemon::Drpc => keys::DRPC_AUTHORIZER,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Daemon::Nimbus => "Nimbus",
            Daemon::Supervisor => "Supervisor",
            Daemon::Drpc => "DRPC",
        }
    }
}

#[cfg(test)]
mod tests;

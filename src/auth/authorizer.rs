//! Storm's authorizers: who may do what, by the class that the configuration names.
//!
//! Pure but for the ACL file of DRPC. Who the caller is, and how a refusal reads, is `gate`'s.

use std::collections::BTreeSet;

use serde_json::Value;

use super::drpc_acl::DrpcAcl;
use super::identity::Subject;
use super::names::{ClassError, choose};
use super::operation::{Class, Operation};
use crate::conf::{Conf, keys};

/// What an operation is about.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    Cluster,
    /// A topology of that name, whether there is one or not.
    Named(&'a str),
    /// A topology that is there, and its conf, which says who its users are.
    Topology {
        name: &'a str,
        conf: &'a Conf,
    },
    /// A DRPC function.
    Function(&'a str),
}

/// The rules of one service.
#[derive(Debug)]
pub enum Authorizer {
    /// No authorizer is set, or Storm's `NoopAuthorizer`: everybody may do everything.
    Open,
    /// Nobody may do anything.
    Deny,
    SimpleAcl(SimpleAcl),
    /// `storm.auth.simple-white-list.users`: they may do everything.
    WhiteList(BTreeSet<String>),
    SupervisorAcl(SupervisorAcl),
    DrpcAcl(DrpcAcl),
}

/// Users and groups of the cluster (control-plane 8.2).
#[derive(Debug)]
pub struct SimpleAcl {
    admins: Admins,
    supervisors: BTreeSet<String>,
    users: BTreeSet<String>,
    groups: BTreeSet<String>,
}

/// Who may ask a supervisor.
#[derive(Debug)]
pub struct SupervisorAcl {
    admins: Admins,
    nimbus: BTreeSet<String>,
}

/// `nimbus.admins` and `nimbus.admins.groups`.
#[derive(Debug)]
pub(super) struct Admins {
    users: BTreeSet<String>,
    groups: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Noop,
    Deny,
    SimpleAcl,
    WhiteList,
    SupervisorAcl,
    DrpcAcl,
}

// === impl Authorizer ===

impl Authorizer {
    /// The one that `key` names.
    pub fn new(conf: &Conf, key: &'static str) -> Result<Self, ClassError> {
        Ok(match choose(conf, key, &KINDS)? {
            None | Some(Kind::Noop) => Authorizer::Open,
            Some(Kind::Deny) => Authorizer::Deny,
            Some(Kind::SimpleAcl) => Authorizer::SimpleAcl(SimpleAcl::new(conf)?),
            Some(Kind::WhiteList) => {
                Authorizer::WhiteList(set(conf, keys::STORM_AUTH_SIMPLE_WHITE_LIST_USERS)?)
            }
            Some(Kind::SupervisorAcl) => Authorizer::SupervisorAcl(SupervisorAcl::new(conf)?),
            Some(Kind::DrpcAcl) => Authorizer::DrpcAcl(DrpcAcl::new(conf)?),
        })
    }

    /// Whether the subject may. Nobody, which is all that the simple transport knows, may nothing
    /// wherever there are rules: Storm's simple ACL breaks there (control-plane 8.2).
    pub fn permits(
        &self,
        subject: Option<&Subject>,
        operation: Operation,
        target: Target<'_>,
    ) -> bool {
        match (self, subject) {
            (Authorizer::Open, _) => true,
            (Authorizer::Deny, _) => false,
            // A function that the file does not name is open to nobody in particular, too.
            (Authorizer::DrpcAcl(acl), subject) => acl.permits(subject, operation, target),
            (_, None) => false,
            (Authorizer::SimpleAcl(acl), Some(subject)) => acl.permits(subject, operation, target),
            (Authorizer::WhiteList(users), Some(subject)) => users.contains(&subject.principal),
            (Authorizer::SupervisorAcl(acl), Some(subject)) => {
                acl.permits(subject, operation, target)
            }
        }
    }

    pub fn is_open(&self) -> bool {
        matches!(self, Authorizer::Open)
    }
}

// === impl SimpleAcl ===

impl SimpleAcl {
    pub(super) fn new(conf: &Conf) -> Result<Self, ClassError> {
        Ok(SimpleAcl {
            admins: Admins::new(conf)?,
            supervisors: set(conf, keys::NIMBUS_SUPERVISOR_USERS)?,
            users: set(conf, keys::NIMBUS_USERS)?,
            groups: set(conf, keys::NIMBUS_GROUPS)?,
        })
    }

    pub(super) fn permits(
        &self,
        subject: &Subject,
        operation: Operation,
        target: Target<'_>,
    ) -> bool {
        let class = operation.class();
        if self.admins.contain(subject) {
            return true;
        }
        if names(&self.supervisors, subject) {
            return matches!(class, Class::Supervisor | Class::Find | Class::Blob);
        }
        match class {
            Class::User | Class::Find | Class::Blob => self.is_user(subject),
            Class::Topology => is_topology_user(subject, target),
            Class::TopologyRead => {
                is_topology_user(subject, target) || is_topology_reader(subject, target)
            }
            Class::Supervisor | Class::Nimbus | Class::Local | Class::Execute | Class::Invoke => {
                false
            }
        }
    }

    /// Everybody, where nobody is named. Storm also lets everybody in where only groups are named
    /// (CVE-2026-82431).
    fn is_user(&self, subject: &Subject) -> bool {
        let is_open = self.users.is_empty() && self.groups.is_empty();
        is_open || self.users.contains(&subject.user) || shares(&self.groups, &subject.groups)
    }
}

// === impl SupervisorAcl ===

impl SupervisorAcl {
    fn new(conf: &Conf) -> Result<Self, ClassError> {
        // Storm's own fall-back.
        let key = if conf
            .get(keys::NIMBUS_DAEMON_USERS)
            .is_some_and(|v| !v.is_null())
        {
            keys::NIMBUS_DAEMON_USERS
        } else {
            keys::NIMBUS_SUPERVISOR_USERS
        };
        Ok(SupervisorAcl {
            admins: Admins::new(conf)?,
            nimbus: set(conf, key)?,
        })
    }

    fn permits(&self, subject: &Subject, operation: Operation, target: Target<'_>) -> bool {
        if self.admins.contain(subject) {
            return true;
        }
        if names(&self.nimbus, subject) {
            return operation.class() == Class::Nimbus;
        }
        operation.class() == Class::Local && is_topology_user(subject, target)
    }
}

// === impl Admins ===

impl Admins {
    pub fn new(conf: &Conf) -> Result<Self, ClassError> {
        Ok(Admins {
            users: set(conf, keys::NIMBUS_ADMINS)?,
            groups: set(conf, keys::NIMBUS_ADMINS_GROUPS)?,
        })
    }

    pub fn contain(&self, subject: &Subject) -> bool {
        names(&self.users, subject) || shares(&self.groups, &subject.groups)
    }
}

/// Whether the topology names the subject as a user, by name or by group.
pub fn is_topology_user(subject: &Subject, target: Target<'_>) -> bool {
    is_named(subject, target, keys::TOPOLOGY_USERS, keys::TOPOLOGY_GROUPS)
}

/// Whether the topology names the subject as a reader.
pub fn is_topology_reader(subject: &Subject, target: Target<'_>) -> bool {
    let keys = (
        keys::TOPOLOGY_READONLY_USERS,
        keys::TOPOLOGY_READONLY_GROUPS,
    );
    is_named(subject, target, keys.0, keys.1)
}

fn is_named(subject: &Subject, target: Target<'_>, users: &str, groups: &str) -> bool {
    let Target::Topology { conf, .. } = target else {
        return false;
    };
    names(&texts(conf, users), subject) || shares(&texts(conf, groups), &subject.groups)
}

pub(super) fn names(users: &BTreeSet<String>, subject: &Subject) -> bool {
    // A certificate without a common name stands for no user.
    let is_user = !subject.user.is_empty() && users.contains(&subject.user);
    users.contains(&subject.principal) || is_user
}

fn shares(named: &BTreeSet<String>, own: &BTreeSet<String>) -> bool {
    named.intersection(own).next().is_some()
}

/// Text or a list of it; what is neither names nobody. A topology's conf is its submitter's: Nimbus
/// puts a null for a user without a name.
fn texts(conf: &Conf, key: &str) -> BTreeSet<String> {
    match conf.get(key) {
        Some(Value::String(one)) => BTreeSet::from([one.clone()]),
        Some(Value::Array(all)) => all
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => BTreeSet::new(),
    }
}

pub(super) fn set(conf: &Conf, key: &'static str) -> Result<BTreeSet<String>, ClassError> {
    Ok(conf.texts(key)?.into_iter().collect())
}

const KINDS: [(&str, Kind); 6] = [
    ("authorizer.NoopAuthorizer", Kind::Noop),
    ("authorizer.DenyAuthorizer", Kind::Deny),
    ("authorizer.SimpleACLAuthorizer", Kind::SimpleAcl),
    ("authorizer.SimpleWhitelistAuthorizer", Kind::WhiteList),
    (
        "authorizer.SupervisorSimpleACLAuthorizer",
        Kind::SupervisorAcl,
    ),
    ("authorizer.DRPCSimpleACLAuthorizer", Kind::DrpcAcl),
];

#[cfg(test)]
mod tests;

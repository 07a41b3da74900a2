//! Who may speak for whom, and from where: `nimbus.impersonation.acl` (control-plane 8.3).
//!
//! Hosts are compared by address. Names in the list are looked up once, at the start: a look-up of
//! the caller's own name would let the caller say who it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, ToSocketAddrs as _};

use serde_json::Value;

use super::identity::Subject;
use super::names::{ClassError, choose};
use crate::conf::{Conf, keys};

/// The rules; there are none unless `nimbus.impersonation.authorizer` names Storm's class.
#[derive(Debug)]
pub struct Impersonation {
    /// By the principal or user who may speak for others.
    rules: BTreeMap<String, Rule>,
}

#[derive(Debug, Default)]
struct Rule {
    /// From everywhere.
    any_host: bool,
    hosts: BTreeSet<IpAddr>,
    /// For everybody.
    any_group: bool,
    groups: BTreeSet<String>,
}

// === impl Impersonation ===

impl Impersonation {
    pub fn new(conf: &Conf) -> Result<Option<Self>, ClassError> {
        let key = keys::NIMBUS_IMPERSONATION_AUTHORIZER;
        if choose(conf, key, &[("authorizer.ImpersonationAuthorizer", ())])?.is_none() {
            return Ok(None);
        }
        let acl = conf
            .map(keys::NIMBUS_IMPERSONATION_ACL)
            .into_iter()
            .flatten();
        let rules = acl.map(|(user, rule)| (user.clone(), Rule::new(rule)));
        Ok(Some(Impersonation {
            rules: rules.collect(),
        }))
    }

    /// Whether `real` may speak for `other` from `host`.
    pub fn permits(&self, real: &Subject, other: &Subject, host: Option<IpAddr>) -> bool {
        let by_principal = self.rules.get(&real.principal);
        let by_user = self.rules.get(&real.user);
        let rules: Vec<_> = by_principal.into_iter().chain(by_user).collect();
        let from_host = rules.iter().any(|rule| {
            rule.any_host || host.is_some_and(|host| rule.hosts.contains(&host.to_canonical()))
        });
        let for_other = rules
            .iter()
            .any(|rule| rule.any_group || rule.groups.intersection(&other.groups).next().is_some());
        from_host && for_other
    }
}

// === impl Rule ===

impl Rule {
    fn new(value: &Value) -> Self {
        let texts = |name: &str| -> BTreeSet<String> {
            let all = value.get(name).and_then(Value::as_array);
            let all = all.into_iter().flatten();
            all.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let (hosts, groups) = (texts("hosts"), texts("groups"));
        Rule {
            any_host: hosts.contains(ANY),
            hosts: hosts.iter().flat_map(|host| addresses(host)).collect(),
            any_group: groups.contains(ANY),
            groups,
        }
    }
}

fn addresses(host: &str) -> BTreeSet<IpAddr> {
    if host == ANY {
        return BTreeSet::new();
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return BTreeSet::from([address.to_canonical()]);
    }
    match (host, 0).to_socket_addrs() {
        Ok(found) => found.map(|found| found.ip().to_canonical()).collect(),
        Err(error) => {
            let key = keys::NIMBUS_IMPERSONATION_ACL;
            tracing::warn!(host, %error, "{key} names a host that has no address");
            BTreeSet::new()
        }
    }
}

const ANY: &str = "*";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn subject(name: &str, groups: &[&str]) -> Subject {
        Subject {
            principal: format!("{name}@REALM"),
            user: name.to_owned(),
            groups: Arc::new(groups.iter().map(|group| (*group).to_owned()).collect()),
        }
    }

    #[test]
    fn host_and_group_must_both_be_allowed() {
        let conf = Conf::defaults()
            .with(
                keys::NIMBUS_IMPERSONATION_AUTHORIZER,
                "org.apache.storm.security.auth.authorizer.ImpersonationAuthorizer",
            )
            .with(
                keys::NIMBUS_IMPERSONATION_ACL,
                json!({
                    "ui": {"hosts": ["10.0.0.1", "localhost"], "groups": ["dev"]},
                    "root@REALM": {"hosts": ["*"], "groups": ["*"]},
                }),
            );
        let rules = Impersonation::new(&conf).expect("known").expect("set");
        let at = |address: &str| Some(address.parse::<IpAddr>().expect("an address"));
        let (ui, root) = (subject("ui", &[]), subject("root", &[]));
        let (dev, other) = (subject("dora", &["dev"]), subject("otto", &["sales"]));
        assert!(rules.permits(&ui, &dev, at("10.0.0.1")));
        assert!(
            rules.permits(&ui, &dev, at("127.0.0.1")),
            "by a name that was looked up"
        );
        assert!(rules.permits(&ui, &dev, at("::ffff:10.0.0.1")));
        assert!(!rules.permits(&ui, &dev, at("10.0.0.2")));
        assert!(!rules.permits(&ui, &other, at("10.0.0.1")));
        assert!(!rules.permits(&ui, &dev, None));
        assert!(
            rules.permits(&root, &other, at("10.9.9.9")),
            "by its principal"
        );
        assert!(
            !rules.permits(&dev, &other, at("10.0.0.1")),
            "not in the list"
        );
    }

    #[test]
    fn without_the_class_there_are_no_rules() {
        assert!(
            Impersonation::new(&Conf::defaults())
                .expect("unset")
                .is_none()
        );
        let conf = Conf::defaults().with(keys::NIMBUS_IMPERSONATION_AUTHORIZER, "my.Own");
        Impersonation::new(&conf).expect_err("not there");
    }
}

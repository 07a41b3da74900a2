//! Who a principal is on this cluster: its local user and that user's groups (control-plane 8.3).
//!
//! Groups come from the system's own data base, never through a shell: names are callers' text.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::unistd::{Gid, Group, User, getgrouplist};
use regex::Regex;
use serde_json::Value;

use super::names::{ClassError, choose};
use crate::conf::{Conf, ConfError, ConversionError, keys};
use crate::{clock, limits};

/// A user's groups.
pub type Groups = Arc<BTreeSet<String>>;

/// Turns principals into users, and users into groups.
#[derive(Debug)]
pub struct Identities {
    to_local: ToLocal,
    /// `x509.cert.principal.to.local.regex`.
    of_common_name: Option<Regex>,
    groups: GroupSource,
}

/// A caller's name, and whom it stands for here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// As the transport says it.
    pub principal: String,
    /// The local user.
    pub user: String,
    pub groups: Groups,
}

/// `storm.principal.tolocal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ToLocal {
    /// The principal is the user.
    Same,
    /// What stands before the first slash or at sign.
    Kerberos,
    /// The common name of a certificate's subject.
    CommonName,
    /// That, and for what is no subject the Kerberos rule.
    CommonNameOrKerberos,
}

#[derive(Clone, Copy, Debug)]
enum Service {
    System,
    Fixed,
}

/// `storm.group.mapping.service`.
#[derive(Debug)]
enum GroupSource {
    System {
        kept_ms: u64,
        cache: Mutex<BTreeMap<String, (u64, Groups)>>,
    },
    Fixed(BTreeMap<String, Groups>),
}

// === impl Identities ===

impl Identities {
    pub fn new(conf: &Conf) -> Result<Self, ClassError> {
        let to_local = choose(conf, keys::STORM_PRINCIPAL_TO_LOCAL_PLUGIN, &TO_LOCAL)?;
        let service = choose(
            conf,
            keys::STORM_GROUP_MAPPING_SERVICE_PROVIDER_PLUGIN,
            &GROUP_SERVICES,
        )?;
        let key = keys::STORM_GROUP_MAPPING_SERVICE_CACHE_DURATION_SECS;
        let kept_secs = conf.int_or(key, 120)?;
        let groups = match service {
            Some(Service::Fixed) => GroupSource::Fixed(fixed(conf)),
            Some(Service::System) | None => GroupSource::System {
                kept_ms: u64::try_from(kept_secs).unwrap_or(0).saturating_mul(1000),
                cache: Mutex::default(),
            },
        };
        Ok(Identities {
            to_local: to_local.unwrap_or(ToLocal::Same),
            of_common_name: pattern(conf)?,
            groups,
        })
    }

    /// The local user of a principal.
    pub fn user(&self, principal: &str) -> String {
        let before = || principal.split(['/', '@']).next().unwrap_or_default();
        match self.to_local {
            ToLocal::Same => principal.to_owned(),
            ToLocal::Kerberos => before().to_owned(),
            ToLocal::CommonName => self.of_subject(principal).unwrap_or_default(),
            ToLocal::CommonNameOrKerberos => {
                let of_subject = self.of_subject(principal);
                of_subject.unwrap_or_else(|| before().to_owned())
            }
        }
    }

    /// The user whom a certificate's subject names: nobody, where the pattern does not fit. None
    /// for what is no subject.
    fn of_subject(&self, principal: &str) -> Option<String> {
        let name = common_name(principal)?;
        let Some(pattern) = &self.of_common_name else {
            return Some(name);
        };
        let found = pattern.captures(&name);
        let first = found.and_then(|found| found.iter().skip(1).flatten().next());
        Some(
            first
                .map(|group| group.as_str().to_owned())
                .unwrap_or_default(),
        )
    }

    pub async fn subject(&self, principal: &str) -> Subject {
        let user = self.user(principal);
        let groups = self.groups(&user).await;
        Subject {
            principal: principal.to_owned(),
            user,
            groups,
        }
    }

    /// The groups of a local user; none for a user that the system does not know.
    pub async fn groups(&self, user: &str) -> Groups {
        let (kept_ms, cache) = match &self.groups {
            GroupSource::Fixed(groups) => return groups.get(user).cloned().unwrap_or_default(),
            GroupSource::System { kept_ms, cache } => (*kept_ms, cache),
        };
        let now_ms = clock::monotonic_millis();
        let kept = {
            let cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.get(user).cloned()
        };
        if let Some((since_ms, groups)) = kept
            && now_ms.saturating_sub(since_ms) < kept_ms
        {
            return groups;
        }
        let asked = user.to_owned();
        // The system may ask a directory somewhere else.
        let asking = tokio::task::spawn_blocking(move || of_system(&asked));
        let found = tokio::time::timeout(GROUPS_WAIT_MAX, asking).await;
        let groups: Groups = match found {
            Ok(Ok(groups)) => Arc::new(groups),
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(user, "the system does not say the groups of a user");
                return Groups::default();
            }
        };
        let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= limits::GROUP_CACHE_MAX {
            cache.clear();
        }
        cache.insert(user.to_owned(), (now_ms, Arc::clone(&groups)));
        groups
    }
}

fn of_system(user: &str) -> BTreeSet<String> {
    let Ok(name) = CString::new(user) else {
        return BTreeSet::new();
    };
    let Ok(Some(found)) = User::from_name(user) else {
        return BTreeSet::new();
    };
    let named = |gid: &Gid| Group::from_gid(*gid).ok().flatten().map(|group| group.name);
    let all = getgrouplist(&name, found.gid).unwrap_or_default();
    all.iter().filter_map(named).collect()
}

/// `storm.fixed.group.mapping`: user to groups.
fn fixed(conf: &Conf) -> BTreeMap<String, Groups> {
    let parameters = conf.map(keys::STORM_GROUP_MAPPING_SERVICE_PARAMS);
    let mapping = parameters.and_then(|parameters| parameters.get(FIXED_MAPPING));
    let users = mapping.and_then(Value::as_object);
    let groups = |value: &Value| -> BTreeSet<String> {
        let all = value.as_array().into_iter().flatten();
        all.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let entries = users.into_iter().flatten();
    entries
        .map(|(user, value)| (user.clone(), Arc::new(groups(value))))
        .collect()
}

/// The first common name of a subject in the form of RFC 2253; none for other text.
fn common_name(subject: &str) -> Option<String> {
    let mut parts = Vec::new();
    let (mut part, mut escaped) = (String::new(), false);
    for char in subject.chars() {
        match char {
            _ if escaped => {
                part.push(char);
                escaped = false;
            }
            '\\' => escaped = true,
            ',' | '+' => parts.push(std::mem::take(&mut part)),
            _ => part.push(char),
        }
    }
    parts.push(part);
    let named = |part: &String| part.trim_start().strip_prefix("CN=").map(str::to_owned);
    parts.iter().find_map(named)
}

fn pattern(conf: &Conf) -> Result<Option<Regex>, ConfError> {
    let key = keys::X509_CERT_PRINCIPAL_TO_LOCAL_REGEX;
    let Some(text) = conf.text(key)?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let refused = |reason: String| ConfError::Value {
        key: key.to_owned(),
        source: ConversionError::WrongType(reason),
    };
    let pattern = Regex::new(&text).map_err(|error| refused(error.to_string()))?;
    match pattern.captures_len() {
        1 => Err(refused(format!(
            "`{text}` has no group, which would be the user"
        ))),
        _ => Ok(Some(pattern)),
    }
}

const TO_LOCAL: [(&str, ToLocal); 4] = [
    ("DefaultPrincipalToLocal", ToLocal::Same),
    ("KerberosPrincipalToLocal", ToLocal::Kerberos),
    ("X509CertPrincipalToLocal", ToLocal::CommonName),
    (
        "X509CertOrKerberosPrincipalToLocal",
        ToLocal::CommonNameOrKerberos,
    ),
];

const GROUP_SERVICES: [(&str, Service); 2] = [
    ("ShellBasedGroupsMapping", Service::System),
    ("FixedGroupsMapping", Service::Fixed),
];

const FIXED_MAPPING: &str = "storm.fixed.group.mapping";
const GROUPS_WAIT_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identities(to_local: &str) -> Identities {
        let class = format!("org.apache.storm.security.auth.{to_local}");
        let conf = Conf::defaults()
            .with(keys::STORM_PRINCIPAL_TO_LOCAL_PLUGIN, class)
            .with(
                keys::STORM_GROUP_MAPPING_SERVICE_PROVIDER_PLUGIN,
                "backtype.storm.security.auth.FixedGroupsMapping",
            )
            .with(
                keys::STORM_GROUP_MAPPING_SERVICE_PARAMS,
                json!({"storm.fixed.group.mapping": {"alice": ["dev", "ops"]}}),
            );
        Identities::new(&conf).expect("known classes")
    }

    #[test]
    fn principals_become_users_as_the_plugin_says() {
        let of = |plugin: &str, principal: &str| identities(plugin).user(principal);
        assert_eq!(of("DefaultPrincipalToLocal", "a/b@C"), "a/b@C");
        assert_eq!(of("KerberosPrincipalToLocal", "a/b@C"), "a");
        let subject = "OU=x,CN=al\\,ice,C=DE";
        assert_eq!(of("X509CertPrincipalToLocal", subject), "al,ice");
        assert_eq!(of("X509CertPrincipalToLocal", "alice"), "");
        // A comma inside of a name does not start another.
        assert_eq!(of("X509CertPrincipalToLocal", "OU=x\\,CN=root,CN=b"), "b");
        assert_eq!(of("X509CertOrKerberosPrincipalToLocal", "a/b@C"), "a");
    }

    #[test]
    fn a_pattern_says_what_of_the_common_name_is_the_user() {
        let key = keys::X509_CERT_PRINCIPAL_TO_LOCAL_REGEX;
        let with = |pattern: &str| {
            let class = "org.apache.storm.security.auth.X509CertPrincipalToLocal";
            let conf = Conf::defaults().with(keys::STORM_PRINCIPAL_TO_LOCAL_PLUGIN, class);
            Identities::new(&conf.with(key, pattern))
        };
        let of = |pattern, subject| with(pattern).expect("a pattern").user(subject);
        assert_eq!(of("([a-z_]+).*", "CN=alice01,OU=x"), "alice");
        assert_eq!(of(r"^svc-(\w+)$|^(\w+)@", "CN=bob@example.com"), "bob");
        assert_eq!(of(r"^svc-(\w+)$", "CN=root"), "", "nobody");
        assert_eq!(of("(x)", "no subject"), "");
        for bad in ["(", "no group"] {
            let error = with(bad).expect_err("useless").to_string();
            assert!(error.contains(key), "{error}");
        }
    }

    #[test]
    fn an_unknown_plugin_is_refused_with_the_choices() {
        let conf = Conf::defaults().with(keys::STORM_PRINCIPAL_TO_LOCAL_PLUGIN, "my.Own");
        let error = Identities::new(&conf).expect_err("not there").to_string();
        assert!(error.contains("storm.principal.tolocal"), "{error}");
        assert!(error.contains("KerberosPrincipalToLocal"), "{error}");
    }

    #[tokio::test]
    async fn groups_come_from_the_map_or_the_system() {
        let subject = identities("DefaultPrincipalToLocal").subject("alice").await;
        assert_eq!(subject.groups.iter().collect::<Vec<_>>(), ["dev", "ops"]);
        let system = Identities::new(&Conf::defaults()).expect("the default");
        assert!(system.groups("root").await.contains("root"));
        for hostile in ["$(id)", "a;b", "no\0user", "", "-Gn"] {
            assert!(system.groups(hostile).await.is_empty(), "{hostile:?}");
        }
    }
}

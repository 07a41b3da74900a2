//! Who asks over HTTP: a certificate says it, or a proxy in front that the operator trusts.
//!
//! Storm has classes for that (`ui.filter`, `logviewer.filter`); here there is one, `HeaderUser`,
//! and every other is refused by name. What somebody may is decided elsewhere.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName};

use crate::conf::{Conf, ConfError};
use crate::rpc::Caller;

/// How visitors are told apart.
#[derive(Debug)]
pub(crate) enum Visitors {
    /// By their certificate, where one is asked for; else all are nobody.
    Certified,
    /// By a header, which only these may send.
    Header {
        name: HeaderName,
        proxies: Vec<IpAddr>,
    },
}

/// Why the filter cannot be as configured.
#[derive(Debug, thiserror::Error)]
pub enum VisitorError {
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(
        "{key} names `{class}`, a Java class, which does not run here; `{HEADER_USER}` takes the \
         user from a header that a proxy sets"
    )]
    Unknown { key: &'static str, class: String },
    #[error(
        "{key}: {HEADER_USER} needs `proxies`, the addresses that may name a user, as in \
         {{\"header\": \"{DEFAULT_HEADER}\", \"proxies\": \"127.0.0.1\"}}"
    )]
    Proxies { key: &'static str },
    #[error("{key}: `{header}` is no name of a header")]
    Header { key: &'static str, header: String },
}

/// A request that names nobody, or comes past the proxy.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unnamed {
    #[error("requests come through the proxy that says who asks; {peer} is none")]
    NotAProxy { peer: String },
    #[error("the proxy named no user: header {header} is missing")]
    Missing { header: String },
}

// === impl Visitors ===

impl Visitors {
    /// As the first of these keys says that is set: the class, and its parameters.
    pub fn new(
        conf: &Conf,
        filters: &[(&'static str, &'static str)],
    ) -> Result<Self, VisitorError> {
        for (key, params_key) in filters {
            let class = conf.text(key)?.filter(|class| !class.trim().is_empty());
            let Some(class) = class else { continue };
            if class.trim() != HEADER_USER {
                return Err(VisitorError::Unknown { key, class });
            }
            return Visitors::header(conf, params_key);
        }
        Ok(Visitors::Certified)
    }

    fn header(conf: &Conf, key: &'static str) -> Result<Self, VisitorError> {
        let params = conf.text_map(key)?;
        let header = params.get("header").map_or(DEFAULT_HEADER, String::as_str);
        let name = HeaderName::try_from(header).map_err(|_| VisitorError::Header {
            key,
            header: header.to_owned(),
        })?;
        let proxies = params.get("proxies").map_or("", String::as_str).split(',');
        let proxies = proxies.map(|proxy| proxy.trim().parse());
        match proxies.collect::<Result<Vec<IpAddr>, _>>() {
            Ok(proxies) => Ok(Visitors::Header { name, proxies }),
            Err(_) => Err(VisitorError::Proxies { key }),
        }
    }

    /// Whether everybody has a name.
    pub fn are_named(&self) -> bool {
        matches!(self, Visitors::Header { .. })
    }

    /// The caller with the name that counts.
    pub fn name(&self, mut caller: Caller, headers: &HeaderMap) -> Result<Caller, Unnamed> {
        let Visitors::Header { name, proxies } = self else {
            return Ok(caller);
        };
        let peer = caller.peer.map(|peer| peer.ip().to_canonical());
        if !peer.is_some_and(|peer| proxies.contains(&peer)) {
            return Err(Unnamed::NotAProxy {
                peer: peer.map_or_else(|| "it".to_owned(), |peer| peer.to_string()),
            });
        }
        // A proxy that adds to a header instead of replacing it lets its visitors choose.
        let mut values = headers.get_all(name).iter();
        let value = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().map(str::trim),
            _ => None,
        };
        match value.filter(|user| !user.is_empty()) {
            Some(user) => {
                caller.principal = Some(user.to_owned());
                Ok(caller)
            }
            None => Err(Unnamed::Missing {
                header: name.to_string(),
            }),
        }
    }
}

const HEADER_USER: &str = "stormwire.HeaderUser";
const DEFAULT_HEADER: &str = "X-Forwarded-User";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::conf::keys;

    fn visitors(class: &str, params: serde_json::Value) -> Result<Visitors, VisitorError> {
        let conf = Conf::new()
            .with(keys::UI_FILTER, class)
            .with(keys::UI_FILTER_PARAMS, params);
        Visitors::new(&conf, &[(keys::UI_FILTER, keys::UI_FILTER_PARAMS)])
    }

    fn caller(peer: &str) -> Caller {
        Caller {
            peer: peer.parse().ok(),
            ..Caller::default()
        }
    }

    #[test]
    fn a_class_that_is_not_here_is_refused_by_name() {
        let error = visitors("org.example.Filter", json!({})).expect_err("a Java class");
        assert!(
            error.to_string().contains("`org.example.Filter`"),
            "{error}"
        );
        let error = visitors(HEADER_USER, json!({})).expect_err("no proxies");
        assert!(error.to_string().contains("ui.filter.params"), "{error}");
    }

    #[test]
    fn only_the_proxy_names_a_user() {
        let visitors = visitors(HEADER_USER, json!({"proxies": "127.0.0.1, ::1"}));
        let visitors = visitors.expect("a filter");
        let mut headers = HeaderMap::new();
        let here = caller("127.0.0.1:7");
        let missing = visitors.name(here.clone(), &headers);
        assert!(matches!(missing, Err(Unnamed::Missing { .. })));
        headers.append("x-forwarded-user", "alice".parse().expect("a header"));
        let named = visitors.name(here.clone(), &headers).expect("named");
        assert_eq!(named.principal.as_deref(), Some("alice"));
        let stranger = visitors.name(caller("10.0.0.1:7"), &headers);
        assert!(matches!(stranger, Err(Unnamed::NotAProxy { .. })));
        headers.append("x-forwarded-user", "root".parse().expect("a header"));
        assert!(visitors.name(here, &headers).is_err(), "two names are none");
    }
}

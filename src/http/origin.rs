//! Which sites' pages may act on a server through a visitor's browser: its own, and those that its
//! operator names.
//!
//! Browsers say where a request comes from, unless a page tells them not to; scripts say nothing
//! and may act. Reads are not guarded here: Storm lets every site read (control-plane 11.1).

use std::collections::BTreeSet;
use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, header};

use crate::conf::{Conf, ConfError, keys};

/// The sites of one server.
#[derive(Debug)]
pub(crate) struct Origins {
    /// As browsers write them: `https://host:port`.
    allowed: BTreeSet<String>,
    /// Bound to loopback: a name that is none of its own is somebody's who points it here.
    is_local: bool,
    /// The machine's, and those of the sites.
    names: BTreeSet<String>,
}

/// A page of another site asks.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a page of {origin} may not act here: open this server by its own address, or list the origin \
     in {}",
    keys::STORMWIRE_UI_ORIGINS
)]
pub(crate) struct ForeignOriginError {
    origin: String,
}

// === impl Origins ===

impl Origins {
    pub fn new(conf: &Conf) -> Result<Self, ConfError> {
        let bind = conf.text_or(keys::STORMWIRE_BIND_ADDRESS, "127.0.0.1")?;
        let allowed = conf.texts(keys::STORMWIRE_UI_ORIGINS)?.into_iter();
        let allowed: BTreeSet<_> = allowed.map(|origin| origin.to_ascii_lowercase()).collect();
        let sites = allowed.iter().filter_map(|origin| origin.split_once("://"));
        let mut names: BTreeSet<_> = sites
            .map(|(_, authority)| name_of(authority).to_owned())
            .collect();
        names.insert(conf.host_name()?.to_ascii_lowercase());
        Ok(Origins {
            allowed,
            is_local: is_loopback(&bind),
            names,
        })
    }

    /// Whether the site of a preflight may act.
    pub fn is_known(&self, headers: &HeaderMap) -> bool {
        self.check(headers).is_ok()
    }

    /// Whether a request that changes something comes from where it may.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), ForeignOriginError> {
        let foreign = |origin: &str| ForeignOriginError {
            origin: origin.chars().take(200).collect(),
        };
        if let Some(origin) = text(headers, &header::ORIGIN) {
            return match self.is_own(origin, headers) {
                true => Ok(()),
                false => Err(foreign(origin)),
            };
        }
        // Old browsers say less, and `GET` has no Origin.
        let referrer = text(headers, &header::REFERER);
        if let Some(referrer) = referrer.filter(|page| !self.is_own(origin_of(page), headers)) {
            return Err(foreign(origin_of(referrer)));
        }
        match text(headers, &FETCH_SITE) {
            Some("same-origin" | "none") => Ok(()),
            // Sent to servers on loopback or behind TLS only: elsewhere a page that has its browser
            // send no Referer could pass for a script.
            None if referrer.is_none() && is_browser(headers) => Err(foreign("a site unnamed")),
            None => Ok(()),
            Some(_) if referrer.is_some() => Ok(()),
            Some(site) => Err(foreign(&format!("another site ({site})"))),
        }
    }

    /// Whether the server is called by a name of its own. A page of a name that somebody points
    /// here is this server's own to its browser, which says nothing of another site then.
    pub fn check_name(&self, headers: &HeaderMap) -> Result<(), ForeignOriginError> {
        match text(headers, &header::HOST) {
            Some(host) if self.is_local && !self.is_own_name(name_of(host)) => {
                Err(ForeignOriginError {
                    origin: host.chars().take(200).collect(),
                })
            }
            _ => Ok(()),
        }
    }

    fn is_own_name(&self, name: &str) -> bool {
        is_loopback(name) || self.names.contains(&name.to_ascii_lowercase())
    }

    fn is_own(&self, origin: &str, headers: &HeaderMap) -> bool {
        let origin = origin.to_ascii_lowercase();
        if self.allowed.contains(&origin) {
            return true;
        }
        let Some((_, authority)) = origin.split_once("://") else {
            return false;
        };
        let host = text(headers, &header::HOST);
        host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
            && (!self.is_local || self.is_own_name(name_of(authority)))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    // What is no text is of no site that we know.
    headers
        .get(name)
        .map(|value| value.to_str().unwrap_or("null"))
}

/// What all browsers call themselves, and no page can change for a request without an Origin.
fn is_browser(headers: &HeaderMap) -> bool {
    text(headers, &header::USER_AGENT).is_some_and(|agent| agent.starts_with("Mozilla/"))
}

/// The origin of a page's address.
fn origin_of(page: &str) -> &str {
    let start = page.find("://").map_or(0, |at| at + 3);
    let end = page[start..]
        .find(['/', '?', '#'])
        .map_or(page.len(), |at| at + start);
    &page[..end]
}

/// The host of `host:port` or `[host]:port`.
fn name_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn acts(origins: &Origins, headers: &[(&'static str, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| {
            let value = HeaderValue::from_str(value).expect("a header");
            (HeaderName::from_static(name), value)
        });
        origins.check(&headers.collect()).is_ok()
    }

    #[test]
    fn scripts_and_own_pages_act_and_others_do_not() {
        let conf = Conf::new().with(keys::STORMWIRE_UI_ORIGINS, vec!["https://Ops.example"]);
        let local = Origins::new(&conf).expect("a conf");
        let host = ("host", "localhost:8080");
        let agent = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)");
        for (expected, headers) in [
            (true, &[host][..]),
            (true, &[host, ("origin", "http://localhost:8080")]),
            (true, &[host, ("origin", "https://ops.example")]),
            (
                true,
                &[host, ("referer", "http://localhost:8080/?a=http://x")],
            ),
            (true, &[host, ("sec-fetch-site", "same-origin")]),
            (true, &[host, ("sec-fetch-site", "none")]),
            (false, &[host, ("origin", "http://localhost:8081")]),
            (false, &[host, ("origin", "null")]),
            (false, &[host, ("origin", "http://evil.example")]),
            (false, &[host, ("origin", "http://ops.example")]),
            (
                false,
                &[host, ("referer", "http://evil.example/localhost:8080")],
            ),
            (false, &[host, ("sec-fetch-site", "cross-site")]),
            (false, &[host, ("sec-fetch-site", "same-site")]),
            // A name of theirs that they point at us.
            (
                false,
                &[("host", "evil.example"), ("origin", "http://evil.example")],
            ),
            (false, &[("origin", "http://localhost:8080")]),
            // An image or a script of a page whose referrer policy is `no-referrer`.
            (false, &[host, agent]),
            (true, &[host, agent, ("referer", "http://localhost:8080/")]),
            (true, &[host, agent, ("sec-fetch-site", "none")]),
            (true, &[host, ("user-agent", "curl/8.5")]),
        ] {
            assert_eq!(acts(&local, headers), expected, "{headers:?}");
        }
        let name = |origins: &Origins, host| {
            let host = HeaderValue::from_static(host);
            let headers = [(header::HOST, host)].into_iter().collect();
            origins.check_name(&headers).is_ok()
        };
        for own in [
            "localhost:1",
            "127.0.0.1",
            "[::1]:1",
            "LOCALHOST",
            "ops.example",
        ] {
            assert!(name(&local, own), "{own}");
        }
        for other in ["evil.example:8000", "localhost.evil.example", "0.0.0.0", ""] {
            assert!(!name(&local, other), "{other}");
        }
        assert!(local.check_name(&HeaderMap::new()).is_ok());
        let machine = Origins::new(&conf.clone().with(keys::STORM_LOCAL_HOSTNAME, "node-1"));
        let machine = machine.expect("a conf");
        assert!(name(&machine, "node-1:8000") && !name(&machine, "node-2:8000"));
        let open = Origins::new(&conf.with(keys::STORMWIRE_BIND_ADDRESS, "0.0.0.0"));
        let named = [("host", "ui:80"), ("origin", "http://ui:80")];
        assert!(acts(&open.expect("a conf"), &named));
    }
}

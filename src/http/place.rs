//! The parts of a path that a route names. The router takes paths apart.

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::http::Uri;
use axum::middleware::map_request;

/// A path as the router hands it over.
pub(crate) type RawPlace = Result<RawPathParams, RawPathParamsRejection>;

/// The named parts of a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place(Vec<(String, String)>);

/// A part that is no text.
#[derive(Debug, thiserror::Error)]
#[error("a part of the address is no UTF-8")]
pub(crate) struct PlaceError;

// === impl Place ===

impl Place {
    pub fn new(raw: RawPlace) -> Result<Self, PlaceError> {
        let raw = raw.map_err(|_| PlaceError)?;
        let parts = raw.iter();
        let parts = parts.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Place(parts.collect()))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(own, _)| own == name);
        found.next().map(|(_, value)| value.as_str())
    }
}

/// What a request asks for, for a line of the log. An address may hold letters beyond ASCII, among
/// them controls that terminals obey: escaped.
pub(crate) fn shown(uri: &Uri) -> String {
    let asked = uri.path_and_query().map_or("", |asked| asked.as_str());
    let letters = asked.chars().take(SHOWN_MAX);
    letters.flat_map(char::escape_debug).collect()
}

/// The routes, which then also answer where an address ends with a slash too many, as Storm's do.
pub(crate) fn with_or_without_slash(routes: Router) -> Router {
    Router::new()
        .fallback_service(routes)
        .layer(map_request(strip_last_slash))
}

async fn strip_last_slash(mut request: Request) -> Request {
    if let Some(stripped) = without_last_slash(request.uri()) {
        *request.uri_mut() = stripped;
    }
    request
}

/// Nothing where none is too many: the root is a slash.
fn without_last_slash(uri: &Uri) -> Option<Uri> {
    let path = uri
        .path()
        .strip_suffix('/')
        .filter(|path| !path.is_empty())?;
    let place = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(place.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// How much of an address a line of the log has: room for a log file with its topology.
const SHOWN_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_the_log_moves_no_terminal() {
        let uri: Uri = "/log?file=a%0Ab\u{9b}2J".parse().expect("an address");
        assert_eq!(shown(&uri), "/log?file=a%0Ab\\u{9b}2J");
    }

    #[test]
    fn one_slash_behind_an_address_is_no_other_address() {
        let stripped = |text: &str| {
            let uri = text.parse().expect("an address");
            without_last_slash(&uri).map(|uri| uri.to_string())
        };
        let taken = Some("/api/v1/topology/summary".to_owned());
        assert_eq!(stripped("/api/v1/topology/summary/"), taken);
        let asked = Some("/topology/a%2Fb?sys=true&window=/".to_owned());
        assert_eq!(stripped("/topology/a%2Fb/?sys=true&window=/"), asked);
        let whole = Some("http://host:1/a".to_owned());
        assert_eq!(stripped("http://host:1/a/"), whole);
        assert_eq!(stripped("/a//"), Some("/a/".to_owned()));
        for kept in ["/", "/?a=/", "/a", "/a?b=c/", "*"] {
            assert_eq!(stripped(kept), None, "{kept}");
        }
    }
}

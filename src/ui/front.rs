//! The page for people: one file, that shows what the REST API says.
//!
//! Its script and its style stand in it and are named by their hashes: nothing else runs. What
//! Storm has as pages of their own are places of it; who comes by their addresses is sent there.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::answer::Ui;
use crate::http::page;
use crate::http::query::Query;
use crate::percent::encode_part;

/// `/`, `/index.html`, and Storm's pages, to which its API and people's bookmarks lead.
pub(super) fn router() -> Router<Arc<Ui>> {
    Router::new()
        .route("/", get(front))
        .route("/index.html", get(front))
        .route("/topology.html", get(elsewhere))
        .route("/visualize.html", get(elsewhere))
        .route("/component.html", get(elsewhere))
        .route("/supervisor.html", get(elsewhere))
}

async fn front() -> Response {
    page::html(StatusCode::OK, PAGE.to_owned(), &POLICY)
}

async fn elsewhere(address: Uri) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, place(&address))]).into_response()
}

/// The place that stands for one of Storm's pages; supervisors have none but the front.
fn place(address: &Uri) -> String {
    let query = Query::new(address.query());
    let part = |name| query.get(name).map(encode_part);
    let id = part("id");
    let parts = match address.path() {
        "/component.html" => part("topology_id").zip(id.map(Some)),
        "/supervisor.html" => None,
        _ => id.map(|id| (id, None)),
    };
    match parts {
        Some((topology, Some(component))) => {
            format!("./#/topology/{topology}/component/{component}")
        }
        Some((topology, None)) => format!("./#/topology/{topology}"),
        None => "./".to_owned(),
    }
}

/// What stands between two tags of the page.
fn inside<'a>(page: &'a str, tag: &str) -> &'a str {
    let start = page.split_once(&format!("<{tag}>"));
    let end = start.and_then(|(_, rest)| rest.split_once(&format!("</{tag}>")));
    end.map_or("", |(inside, _)| inside)
}

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let script = page::source_hash(inside(PAGE, "script"));
    let style = page::source_hash(inside(PAGE, "style"));
    let policy = format!(
        "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

const PAGE: &str = include_str!("assets/index.html");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_storms_pages_lead_to_places_of_this_one() {
        for (address, led) in [
            ("/topology.html?id=t-1-2", "./#/topology/t-1-2"),
            (
                "/topology.html?id=a+b%2Fc&window=600",
                "./#/topology/a%20b%2Fc",
            ),
            ("/visualize.html?id=t-1-2", "./#/topology/t-1-2"),
            (
                "/component.html?id=%22%0D&topology_id=t-1-2",
                "./#/topology/t-1-2/component/%22%0D",
            ),
            ("/component.html?id=split", "./"),
            ("/topology.html", "./"),
            ("/supervisor.html?id=s", "./"),
        ] {
            assert_eq!(
                place(&address.parse().expect("an address")),
                led,
                "{address}"
            );
        }
    }

    #[test]
    fn the_page_has_one_script_and_one_style_and_nothing_from_elsewhere() {
        assert_eq!(PAGE.matches("<script").count(), 1);
        assert_eq!(PAGE.matches("<style").count(), 1);
        assert!(!inside(PAGE, "script").is_empty() && !inside(PAGE, "style").is_empty());
        for way in [
            "innerHTML",
            "outerHTML",
            "document.write",
            "eval(",
            " src=",
            "onclick=",
        ] {
            assert!(!PAGE.contains(way), "{way}");
        }
        let policy = POLICY.to_str().expect("text");
        assert!(policy.contains("script-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}

//! The log viewer's routes (control-plane 11.4): which address asks what.
//!
//! What the answer is, `handlers` says.

use std::future::Future;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use axum::{Extension, Router};
use serde_json::{Value, json};

use super::access::Reader;
use super::handlers::{Trouble, Viewer, WhichLog};
use super::page;
use crate::conf::keys;
use crate::http::place::{self, Place, RawPlace, with_or_without_slash};
use crate::http::query::Query;
use crate::http::reply;
use crate::rpc::Caller;

/// One request.
pub(super) struct Asked {
    pub viewer: Arc<Viewer>,
    pub reader: Reader,
    pub query: Query,
    pub place: Place,
    pub range: Option<String>,
}

/// All routes.
pub(super) fn router(viewer: Arc<Viewer>) -> Router {
    let worker = WhichLog::Worker;
    let daemon = WhichLog::Daemon;
    let api = Router::new()
        .route(
            "/log",
            html(move |asked| asked.viewer.clone().log(worker, asked)),
        )
        .route(
            "/daemonlog",
            html(move |asked| asked.viewer.clone().log(daemon, asked)),
        )
        .route(
            "/download",
            html(move |asked| asked.viewer.clone().download(worker, asked)),
        )
        .route(
            "/daemondownload",
            html(move |asked| asked.viewer.clone().download(daemon, asked)),
        )
        .route("/listLogs", data(|asked| asked.viewer.clone().list(asked)))
        .route(
            "/searchLogs",
            data(|asked| asked.viewer.clone().list(asked)),
        )
        .route("/search", data(|asked| asked.viewer.clone().search(asked)))
        .route(
            "/deepSearch/{topology}",
            data(|asked| asked.viewer.clone().deep_search(asked)),
        )
        .route(
            "/dumps/{topology}/{worker}",
            html(|asked| asked.viewer.clone().dumps(asked)),
        )
        .route(
            "/dumps/{topology}/{worker}/{file}",
            html(|asked| asked.viewer.clone().dump(asked)),
        );
    let routes = Router::new()
        .nest("/api/v1", api)
        .fallback(no_route)
        .with_state(viewer);
    with_or_without_slash(routes)
}

/// Answers for people.
fn html<F>(answer: impl Fn(Asked) -> F + Clone + Send + Sync + 'static) -> MethodRouter<Arc<Viewer>>
where
    F: Future<Output = Result<Response, Trouble>> + Send + 'static,
{
    get(
        async move |State(viewer): State<Arc<Viewer>>,
                    Extension(caller): Extension<Caller>,
                    path: RawPlace,
                    request: Request| {
            let place = place::shown(request.uri());
            let outcome = match Asked::new(viewer, caller, path, request).await {
                Ok((asked, _)) => answer(asked).await,
                Err(trouble) => Err(trouble),
            };
            outcome.unwrap_or_else(|trouble| {
                tracing::info!(asked = %place, %trouble, "a request was refused or failed");
                let mut text = trouble.to_string();
                if let Trouble::NotFound = trouble {
                    text.push_str(&format!(
                        " It is looked for in {} of this log viewer, which has to be that of the \
                         worker's supervisor.",
                        keys::STORM_LOG_DIR
                    ));
                }
                page::refusal(trouble.status(), &text)
            })
        },
    )
}

/// Answers for programs.
fn data<F>(answer: impl Fn(Asked) -> F + Clone + Send + Sync + 'static) -> MethodRouter<Arc<Viewer>>
where
    F: Future<Output = Result<Value, Trouble>> + Send + 'static,
{
    get(
        async move |State(viewer): State<Arc<Viewer>>,
                    Extension(caller): Extension<Caller>,
                    path: RawPlace,
                    request: Request| {
            let sharing = Sharing::of(&viewer, request.headers());
            let place = place::shown(request.uri());
            match Asked::new(viewer, caller, path, request).await {
                Ok((asked, callback)) => {
                    let outcome = answer(asked).await;
                    sharing.respond(outcome, &place, callback.as_deref())
                }
                Err(trouble) => sharing.respond(Err(trouble), &place, None),
            }
        },
    )
}

/// Which other site's page may read an answer: none but those that may act on the UI. Logs hold
/// what no page that happens to be open should see.
struct Sharing(Option<HeaderValue>);

impl Sharing {
    fn of(viewer: &Viewer, headers: &HeaderMap) -> Self {
        let origin = headers.get(header::ORIGIN);
        Sharing(origin.filter(|_| viewer.origins.is_known(headers)).cloned())
    }

    fn respond(
        self,
        outcome: Result<Value, Trouble>,
        place: &str,
        callback: Option<&str>,
    ) -> Response {
        let mut response = match outcome {
            Ok(value) => reply::json(StatusCode::OK, &value, callback),
            Err(trouble @ Trouble::NotFound) => {
                let body = json!({"error": "Not Found", "errorMessage": trouble.to_string()});
                reply::json(trouble.status(), &body, callback)
            }
            Err(trouble) => {
                tracing::info!(asked = %place, %trouble, "a request was refused or failed");
                reply::failure(trouble.status(), &trouble.to_string(), callback)
            }
        };
        let headers = response.headers_mut();
        headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        if let Some(origin) = self.0 {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        }
        response
    }
}

async fn no_route() -> Response {
    page::refusal(StatusCode::NOT_FOUND, "There is no such page.")
}

// === impl Asked ===

impl Asked {
    /// The request of somebody who has a name, or is nobody; and the callback it names.
    async fn new(
        viewer: Arc<Viewer>,
        caller: Caller,
        path: RawPlace,
        request: Request,
    ) -> Result<(Self, Option<String>), Trouble> {
        let headers = request.headers();
        viewer.origins.check_name(headers)?;
        let caller = viewer.visitors.name(caller, headers)?;
        let query = Query::new(request.uri().query());
        let callback = query.get("callback").map(str::to_owned);
        if callback.is_some() {
            // Any page could read it by a script element.
            viewer.origins.check(headers)?;
        }
        let place = Place::new(path)?;
        let range = headers
            .get(header::RANGE)
            .and_then(|range| range.to_str().ok());
        let asked = Asked {
            reader: viewer.access.reader(&caller).await,
            query,
            place,
            range: range.map(str::to_owned),
            viewer,
        };
        Ok((asked, callback))
    }

    /// A part of the path that the route has.
    pub fn part(&self, name: &str) -> &str {
        self.place.get(name).unwrap_or_default()
    }

    /// A number of the query.
    pub fn number(&self, name: &'static str) -> Result<Option<u64>, Trouble> {
        let Some(text) = self.query.get(name).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let number = text.parse().map_err(|_| Trouble::Number { name })?;
        Ok(Some(number))
    }
}

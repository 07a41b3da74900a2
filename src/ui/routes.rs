//! The routes of Storm UI (control-plane 11.2, 11.3): each address makes a question or an order.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{Extension, Router};

use super::answer::Ui;
use super::ask::{About, Ask, Order, Profile, Shown};
use super::front;
use super::pages::ALL_TIME;
use super::trouble::Trouble;
use crate::http::place::{self, Place, RawPlace, with_or_without_slash};
use crate::http::query::Query;
use crate::http::reply;
use crate::rpc::Caller;

/// What an address says beside its route.
struct Given {
    place: Place,
    query: Query,
}

type Read = fn(&Given) -> Result<Ask, Trouble>;

/// All routes, and the page for people.
pub(super) fn router(ui: Arc<Ui>) -> Router {
    let api = Router::new()
        .merge(cluster())
        .merge(topologies())
        .merge(orders())
        .merge(profiling());
    let routes = Router::new()
        .nest("/api/v1", api)
        .merge(front::router())
        .method_not_allowed_fallback(no_method)
        .fallback(no_route)
        .with_state(ui);
    with_or_without_slash(routes)
}

fn cluster() -> Router<Arc<Ui>> {
    Router::new()
        .route("/cluster/configuration", ask(|_| Ok(Ask::Configuration)))
        .route("/cluster/summary", ask(|_| Ok(Ask::Cluster)))
        .route("/nimbus/summary", ask(|_| Ok(Ask::Nimbuses)))
        .route("/owner-resources", ask(|_| Ok(Ask::Owners)))
        .route(
            "/owner-resources/{id}",
            ask(|given| Ok(Ask::Owner(given.part("id")))),
        )
        .route("/history/summary", ask(|_| Ok(Ask::History)))
        .route("/supervisor/summary", ask(|_| Ok(Ask::Supervisors)))
        .route(
            "/supervisor",
            ask(|given| {
                Ok(Ask::Supervisor {
                    id: given.query.get("id").map(str::to_owned),
                    host: given.query.get("host").map(str::to_owned),
                    system: given.query.flag("sys"),
                })
            }),
        )
        .route("/topology/summary", ask(|_| Ok(Ask::Topologies)))
}

fn topologies() -> Router<Arc<Ui>> {
    let page = || ask(|given| Ok(given.about(About::Page(given.shown()?))));
    Router::new()
        .route("/topology/{id}", page())
        // The same, since Storm 2.
        .route("/topology/{id}/metrics", page())
        .route(
            "/topology-workers/{id}",
            ask(|given| Ok(given.about(About::Workers))),
        )
        .route(
            "/topology/{id}/lag",
            ask(|given| Ok(given.about(About::Lag))),
        )
        .route(
            "/topology/{id}/visualization-init",
            ask(|given| Ok(given.about(About::Streams(given.drawn())))),
        )
        .route(
            "/topology/{id}/visualization",
            ask(|given| Ok(given.about(About::Drawing(given.drawn())))),
        )
        .route(
            "/topology/{id}/component/{component}",
            ask(|given| {
                let component = given.part("component");
                Ok(given.about(About::Component(component, given.shown()?)))
            }),
        )
        .route(
            "/topology/{id}/logconfig",
            ask_or_order(
                |given| Ok(given.about(About::LogConfig)),
                |given| Ok(given.order(Order::LogConfig)),
            ),
        )
}

fn orders() -> Router<Arc<Ui>> {
    let debug: Read = |given| {
        Ok(given.order(Order::Debug {
            component: given.place.get("component").map(str::to_owned),
            action: given.part("action"),
            percent: given.part("percent"),
        }))
    };
    Router::new()
        .route(
            "/topology/{id}/activate",
            order(|given| Ok(given.order(Order::Activate))),
        )
        .route(
            "/topology/{id}/deactivate",
            order(|given| Ok(given.order(Order::Deactivate))),
        )
        .route(
            "/topology/{id}/rebalance/{wait}",
            order(|given| Ok(given.order(Order::Rebalance(given.part("wait"))))),
        )
        .route(
            "/topology/{id}/kill/{wait}",
            order(|given| Ok(given.order(Order::Kill(given.part("wait"))))),
        )
        .route("/topology/{id}/debug/{action}/{percent}", order(debug))
        .route(
            "/topology/{id}/component/{component}/debug/{action}/{percent}",
            order(debug),
        )
}

/// `GET` as in Storm 1, `POST` as since 2.
fn profiling() -> Router<Arc<Ui>> {
    let both = |read: Read| ask_or_order(read, read);
    let profiles: [(&str, Read); 5] = [
        ("stop", |given| Ok(given.profile(Profile::Stop))),
        ("dumpprofile", |given| {
            Ok(given.profile(Profile::DumpRecording))
        }),
        (
            "dumpjstack",
            |given| Ok(given.profile(Profile::DumpThreads)),
        ),
        ("dumpheap", |given| Ok(given.profile(Profile::DumpHeap))),
        ("restartworker", |given| Ok(given.profile(Profile::Restart))),
    ];
    let start = both(|given| Ok(given.profile(Profile::Start(given.part("minutes")))));
    let started = Router::new().route("/topology/{id}/profiling/start/{worker}/{minutes}", start);
    profiles.into_iter().fold(started, |router, (what, read)| {
        let path = format!("/topology/{{id}}/profiling/{what}/{{worker}}");
        router.route(&path, both(read))
    })
}

fn ask(read: Read) -> MethodRouter<Arc<Ui>> {
    let preflight = |ui, headers| preflight(ui, headers, "GET, HEAD, OPTIONS");
    take(MethodFilter::GET, read).options(preflight)
}

fn order(read: Read) -> MethodRouter<Arc<Ui>> {
    let preflight = |ui, headers| preflight(ui, headers, "POST, OPTIONS");
    take(MethodFilter::POST, read).options(preflight)
}

fn ask_or_order(asked: Read, ordered: Read) -> MethodRouter<Arc<Ui>> {
    let preflight = |ui, headers| preflight(ui, headers, "GET, HEAD, POST, OPTIONS");
    take(MethodFilter::GET, asked)
        .merge(take(MethodFilter::POST, ordered))
        .options(preflight)
}

fn take(method: MethodFilter, read: Read) -> MethodRouter<Arc<Ui>> {
    on(
        method,
        move |State(ui), Extension(caller), path: RawPlace, request: Request| async move {
            match Given::new(path, &request) {
                Ok(given) => serve(ui, caller, given, (read, request)).await,
                Err(trouble) => failed(&trouble),
            }
        },
    )
}

async fn serve(
    ui: Arc<Ui>,
    caller: Caller,
    given: Given,
    (read, request): (Read, Request),
) -> Response {
    let callback = given.query.get("callback");
    let asked = place::shown(request.uri());
    let outcome = match read(&given) {
        Ok(ask) => ui.hear(&ask, caller, request).await,
        Err(trouble) => Err(trouble),
    };
    match outcome {
        Ok(answer) => reply::json(StatusCode::OK, &answer, callback),
        Err(trouble) => {
            let status = trouble.status();
            let text = trouble.to_string();
            // Quoted: an address holds what a visitor likes, ends of lines included.
            tracing::info!(%asked, %status, trouble = ?text, "a request was refused or failed");
            reply::failure(status, &text, callback)
        }
    }
}

impl Ui {
    /// What must hold before anything is looked up.
    async fn hear(
        &self,
        ask: &Ask,
        caller: Caller,
        request: Request,
    ) -> Result<serde_json::Value, Trouble> {
        let headers = request.headers();
        let who = self.visitors.name(caller, headers)?;
        if ask.is_order() {
            self.origins.check(headers)?;
            if !self.has_actions {
                return Err(Trouble::NoActions);
            }
        }
        // A script element of any site sends the visitor's certificate along.
        let is_script = Query::new(request.uri().query()).get("callback").is_some();
        if is_script && who.principal.is_some() {
            self.origins.check(headers)?;
        }
        self.answer(ask, &who, request.into_body()).await
    }
}

/// What a browser asks before it sends another site's request; and which methods a route takes.
async fn preflight(
    State(ui): State<Arc<Ui>>,
    headers: HeaderMap,
    allowed: &'static str,
) -> Response {
    let methods = match ui.origins.is_known(&headers) {
        true => "GET, POST, PUT",
        false => "GET",
    };
    let mut response = StatusCode::OK.into_response();
    let answered = response.headers_mut();
    for (name, value) in [
        (header::ALLOW, allowed),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, methods),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, reply::ALLOWED_HEADERS),
    ] {
        answered.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn no_route(request: Request) -> Response {
    let path = request.uri().path().chars().take(200).collect();
    failed(&Trouble::NoRoute { path })
}

async fn no_method(method: Method) -> Response {
    let method = method.as_str().chars().take(20).collect();
    failed(&Trouble::Method { method })
}

fn failed(trouble: &Trouble) -> Response {
    reply::failure(trouble.status(), &trouble.to_string(), None)
}

// === impl Given ===

impl Given {
    fn new(path: RawPlace, request: &Request) -> Result<Self, Trouble> {
        Ok(Given {
            place: Place::new(path)?,
            query: Query::new(request.uri().query()),
        })
    }

    /// A part that the route has.
    fn part(&self, name: &str) -> String {
        self.place.get(name).unwrap_or_default().to_owned()
    }

    fn about(&self, about: About) -> Ask {
        Ask::Topology(self.part("id"), about)
    }

    fn order(&self, order: Order) -> Ask {
        self.about(About::Order(order))
    }

    fn profile(&self, what: Profile) -> Ask {
        let worker = self.part("worker");
        self.order(Order::Profile { worker, what })
    }

    /// Windows are named by their length in seconds.
    fn shown(&self) -> Result<Shown, Trouble> {
        let window = self.query.get("window").unwrap_or(ALL_TIME);
        if window != ALL_TIME && window.parse::<i32>().is_err() {
            let text = window.chars().take(200).collect();
            return Err(Trouble::Number { text });
        }
        Ok(self.drawn())
    }

    /// For drawings any text may name a window; one that is not there has no numbers.
    fn drawn(&self) -> Shown {
        Shown {
            window: self.query.get("window").unwrap_or(ALL_TIME).to_owned(),
            system: self.query.flag("sys"),
        }
    }
}

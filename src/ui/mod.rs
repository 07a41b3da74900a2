//! Storm UI's REST API, and a page for people over it (control-plane 11).
//!
//! A client of Nimbus like any other: it keeps nothing, and knows of the cluster what it asks.

mod answer;
mod ask;
mod front;
mod nimbus;
mod orders;
mod pages;
mod routes;
mod trouble;

use std::sync::Arc;

use self::answer::Ui as Answers;
use self::nimbus::Pool;
use self::pages::Site;
pub use self::pages::links::DaemonLogs;
use crate::auth::{Daemon, Gate};
use crate::conf::{Conf, ConfError, keys};
use crate::http::body::Bodies;
use crate::http::origin::Origins;
use crate::http::ports::PortKeys;
use crate::http::visitor::Visitors;
use crate::http::{Ports, StartError};
use crate::limits;

/// The daemon; `start` gives its ports, which end with it.
pub struct Ui;

// === impl Ui ===

impl Ui {
    /// Binds its ports. Nimbus is looked for with the first request.
    pub async fn start(conf: &Conf, daemons: DaemonLogs) -> Result<Ports, StartError> {
        let flag =
            |key, default| -> Result<bool, ConfError> { Ok(conf.flag(key)?.unwrap_or(default)) };
        let visitors = Visitors::new(conf, &[(keys::UI_FILTER, keys::UI_FILTER_PARAMS)])?;
        let answers = Answers {
            nimbus: Pool::new(conf)?,
            gate: Gate::new(conf, Daemon::Nimbus)?,
            visitors,
            origins: Origins::new(conf)?,
            bodies: Bodies::new(limits::UI_BODY_BYTES_MAX),
            site: Site::new(conf, daemons)?,
            has_actions: flag(keys::UI_ACTIONS_ENABLED, true)?,
            may_profile: flag(keys::WORKER_PROFILER_ENABLED, false)?,
        };
        let router = routes::router(Arc::new(answers));
        Ok(Ports::open(conf, &PORT_KEYS, router).await?)
    }
}

const PORT_KEYS: PortKeys = PortKeys {
    names: ["ui", "ui-https"],
    http: keys::UI_PORT,
    https: keys::UI_HTTPS_PORT,
    disable_http: keys::UI_DISABLE_HTTP_BINDING,
    need_client_auth: keys::UI_HTTPS_NEED_CLIENT_AUTH,
};

//! The log viewer of one machine: shows, searches, lists and hands out the logs of its workers
//! (control-plane 11.4), and clears old ones away.
//!
//! Reads files and nothing else: it knows neither Nimbus nor the supervisor beside it.

mod access;
mod cleanup;
mod download;
mod files;
mod handlers;
mod page;
mod routes;
mod search;
mod text;

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::sleep;
use tracing::error;

use self::access::Access;
use self::cleanup::Cleanup;
use self::files::Roots;
use self::handlers::Viewer;
use crate::conf::{Conf, keys};
use crate::http::origin::Origins;
use crate::http::ports::PortKeys;
use crate::http::visitor::Visitors;
use crate::http::{Ports, StartError};

/// The daemon; `start` gives its ports, which end with it.
pub struct Logviewer;

// === impl Logviewer ===

impl Logviewer {
    /// Binds its ports, and cleans up where that is switched on.
    pub async fn start(conf: &Conf) -> Result<Ports, StartError> {
        let filters = [
            (keys::LOGVIEWER_FILTER, keys::LOGVIEWER_FILTER_PARAMS),
            (keys::UI_FILTER, keys::UI_FILTER_PARAMS),
        ];
        let visitors = Visitors::new(conf, &filters)?;
        let roots = Roots::new(conf)?;
        let cleanup = Cleanup::new(conf, &roots)?;
        let access = Access::new(conf, &visitors)?;
        let viewer = Viewer::new(conf, (roots, access), (visitors, Origins::new(conf)?))?;
        let router = routes::router(Arc::new(viewer));
        let ports = Ports::open(conf, &PORT_KEYS, router).await?;
        Ok(ports.beside(cleanup.map(|cleanup| tokio::spawn(clean(cleanup)))))
    }
}

async fn clean((cleanup, period): (Cleanup, std::time::Duration)) {
    loop {
        let own = cleanup.clone();
        let cleaned = tokio::task::spawn_blocking(move || own.run(SystemTime::now()));
        if let Err(failure) = cleaned.await {
            error!(%failure, "a clean-up of logs ended badly");
        }
        sleep(period).await;
    }
}

const PORT_KEYS: PortKeys = PortKeys {
    names: ["logviewer", "logviewer-https"],
    http: keys::LOGVIEWER_PORT,
    https: keys::LOGVIEWER_HTTPS_PORT,
    disable_http: keys::LOGVIEWER_DISABLE_HTTP_BINDING,
    need_client_auth: keys::LOGVIEWER_HTTPS_NEED_CLIENT_AUTH,
};

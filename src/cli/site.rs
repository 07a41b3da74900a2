//! `ui` and `logviewer`, alone or within `dev`.
//!
//! Within `dev` a port that somebody else has is no reason to run nothing.

use anyhow::Result;

use super::daemon::{announce, complain, runtime, say, told_to_stop};
use crate::conf::{Conf, keys};
use crate::http::{OpenError, Ports, StartError};
use crate::logviewer::Logviewer;
use crate::ui::{DaemonLogs, Ui};

/// `stormwire ui`.
pub fn ui(conf: &Conf) -> Result<i32> {
    runtime()?.block_on(async { serve(Ui::start(conf, DaemonLogs::OfEach).await?).await })
}

/// `stormwire logviewer`.
pub fn logviewer(conf: &Conf) -> Result<i32> {
    runtime()?.block_on(async { serve(Logviewer::start(conf).await?).await })
}

async fn serve(ports: Ports) -> Result<i32> {
    announce(&ports);
    let told_to_stop = told_to_stop()?;
    say("ready");
    told_to_stop.await;
    ports.shutdown().await;
    Ok(0)
}

/// What `dev` shows over HTTP.
pub struct Site {
    ui: Option<Ports>,
    viewer: Option<Ports>,
}

// === impl Site ===

impl Site {
    /// Starts what the conf has a port for. `conf` names the Nimbus that runs.
    pub async fn start(conf: &Conf) -> Result<Self> {
        let viewer = match Logviewer::start(conf).await {
            Ok(viewer) => Some(viewer),
            Err(StartError::Http(error @ OpenError::Bind { .. })) => {
                complain(format_args!("no log viewer: {error}"));
                None
            }
            Err(error) => return Err(error.into()),
        };
        let links = with_links(conf, viewer.as_ref());
        let ui = match Ui::start(&links, DaemonLogs::InOne(LOG)).await {
            Ok(ui) => Some(ui),
            // Without what it takes to call Nimbus the rest of the cluster is of use, too.
            Err(error @ (StartError::Http(OpenError::Bind { .. }) | StartError::Door(_))) => {
                complain(format_args!("no UI: {error}"));
                None
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Site { ui, viewer })
    }

    pub fn announce(&self) {
        [&self.ui, &self.viewer]
            .into_iter()
            .flatten()
            .for_each(announce);
    }

    /// Lets running requests end.
    pub async fn stop(self) {
        for ports in [self.ui, self.viewer].into_iter().flatten() {
            ports.shutdown().await;
        }
    }
}

/// The UI's links lead to the ports that the log viewer has, whatever the system chose; to none
/// where it has none.
fn with_links(conf: &Conf, viewer: Option<&Ports>) -> Conf {
    let port = |address: Option<std::net::SocketAddr>| {
        address.map_or(-1, |address| i64::from(address.port()))
    };
    conf.clone()
        .with(keys::LOGVIEWER_PORT, port(viewer.and_then(Ports::http)))
        .with(
            keys::LOGVIEWER_HTTPS_PORT,
            port(viewer.and_then(Ports::https)),
        )
}

/// Of `dev`, where its conf asks for a file: `logging` makes the name out of the command's.
const LOG: &str = "dev.log";

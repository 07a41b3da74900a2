//! The head of a cluster: takes topologies in, places them, watches over them and tells of them.
//!
//! Starts, binds and ends here; each action has a file of its own. Runs no topology code.

mod access;
mod beats;
mod blob_sessions;
mod blobs;
mod coordination;
mod credentials;
mod debug;
mod downloads;
mod errors;
mod fault;
mod flows;
mod gateways;
mod history;
mod housekeeping;
mod info;
mod jar;
mod keep;
mod leader;
mod link_keys;
mod log_config;
mod news;
mod owners;
mod pages;
mod plan;
mod profiler;
mod program;
mod push;
mod rebalance;
mod refusals;
mod resources;
mod schedule;
mod service;
mod settings;
mod state;
mod steer;
mod stillness;
mod submit;
mod tokens;
mod transition;
mod uploads;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;

use self::coordination::Coordination;
use self::gateways::NimbusPort;
use self::leader::{Leader, Parts, RestoreError};
use self::service::NimbusService;
use self::settings::Settings;
use self::tokens::Tokens;
use self::uploads::{UploadError, Uploads};
use crate::auth::door::{Door, DoorError, Key, Service, Transport};
use crate::auth::link_conf::{LinkConfError, LinkEncryption};
use crate::auth::worker_token::TokenKeys;
use crate::auth::{ClassError, Daemon, Gate};
use crate::blob::{BlobError, LocalBlobs};
use crate::cluster::{ClusterState, EmbeddedStore, OpenError, Store, StoreError};
use crate::conf::{Conf, ConfError, keys};
use crate::messaging::packing::{Packing, PackingError};
use crate::rpc::server::{BindError, Endpoint, Limits, Running, Server};
use crate::scheduler::choice::ChoiceError;
use crate::wire::messages;

/// The daemon; `start` gives a handle to one that runs.
pub struct Nimbus;

/// A running Nimbus. Dropped without `shutdown`, it stops without saving what it may still save.
pub struct Handle {
    /// Where clients connect.
    address: SocketAddr,
    /// Nimbus's own port, and the same service inside TLS: whichever of them is open.
    nimbus: Vec<Running>,
    coordination: Running,
    leader: Arc<Leader>,
    timers: JoinSet<()>,
}

/// Why Nimbus could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Class(#[from] ClassError),
    #[error(transparent)]
    Scheduler(#[from] ChoiceError),
    #[error("{0}{remedy}", remedy = remedy(.0))]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Inbox(#[from] InboxError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Door(#[from] DoorError),
    #[error(transparent)]
    Links(#[from] LinkConfError),
    #[error(transparent)]
    Packing(#[from] PackingError),
}

/// What makes a store open.
fn remedy(error: &OpenError) -> String {
    let directory = keys::STORM_LOCAL_DIR;
    match error {
        OpenError::InUse { .. } => {
            format!("; end that one, or give this one a {directory} of its own")
        }
        OpenError::Io { .. } => {
            format!("; set {directory} to a directory that this user may write")
        }
        OpenError::Damaged { .. } | OpenError::Newer { .. } => String::new(),
    }
}

/// The inbox of uploads cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InboxError(String);

// === impl Nimbus ===

impl Nimbus {
    /// Opens the state in `storm.local.dir`, binds both services and starts the timers.
    /// `known_class` says whether workers have a native component of a class name.
    ///
    /// Refuses a directory that another Nimbus uses. A port of 0 lets the system choose.
    pub async fn start(conf: Conf, known_class: fn(&str) -> bool) -> Result<Handle, StartError> {
        let settings = Settings::read(&conf)?;
        let directory = settings.local_dir.join("nimbus");
        let opening = directory.join("store");
        let store = tokio::task::spawn_blocking(move || EmbeddedStore::open(&opening));
        let store = match store.await {
            Ok(store) => store?,
            Err(failure) => {
                let reason = failure.to_string();
                return Err(StoreError::Stopped { reason }.into());
            }
        };
        Self::start_on(Arc::new(store), conf, known_class).await
    }

    /// As `start`, on a store that the caller opened.
    pub async fn start_on(
        store: Arc<dyn Store>,
        conf: Conf,
        known_class: fn(&str) -> bool,
    ) -> Result<Handle, StartError> {
        let settings = Settings::read(&conf)?;
        LinkEncryption::of_cluster(&conf)?;
        Packing::of(&conf)?;
        let gate = Gate::new(&conf, Daemon::Nimbus)?;
        let rounds = schedule::Rounds::new(&conf, &settings)?;
        let inbox = settings.local_dir.join("nimbus").join("inbox");
        let blobs = LocalBlobs::open(settings.blobs_dir.clone())?;
        let uploads = Uploads::open(inbox, &settings.upload_path_allow, settings.ages);
        let uploads = uploads.map_err(|error: UploadError| InboxError(error.to_string()))?;
        let tokens = Arc::new(TokenKeys::default());
        let doors = Doors::new(&conf, &settings, &tokens)?;
        let nimbus = bound(endpoint(&settings), doors.plain).await?;
        let tls = bound(tls_endpoint(&settings), doors.tls).await?;
        // Storm's clients take the port from a topology's conf, for example to upload credentials.
        let thrift_port = nimbus.as_ref().map(|(server, _)| server.address().port());
        let thrift_port = thrift_port.unwrap_or(settings.thrift_port);
        let conf = conf.with(keys::NIMBUS_THRIFT_PORT, thrift_port);
        let coordination = coordination_endpoint(&settings);
        let coordination = Server::bind(&coordination, Limits::default()).await?;
        let parts = Parts {
            cluster: ClusterState::lead(store).await?,
            settings,
            blobs,
            uploads,
            known_class,
            gate: gate.with_tokens(Arc::clone(&tokens)),
            tokens: Tokens::new(&conf, tokens)?,
            supervisor_key: Key::new(&conf, Service::Supervisor)?,
            conf,
        };
        let leader = Leader::restore(parts).await.map_err(|error| match error {
            RestoreError::Store(error) => StartError::Store(error),
            RestoreError::Blob(error) => StartError::Blob(error),
        })?;
        leader.thrift_port.get_or_init(|| thrift_port);
        let mut timers = JoinSet::new();
        timers.spawn(schedule::run(Arc::clone(&leader), rounds));
        timers.spawn(steer::run_due(Arc::clone(&leader)));
        timers.spawn(housekeeping::run(Arc::clone(&leader)));
        let service = Arc::new(NimbusService::new(Arc::clone(&leader)));
        let parked = Arc::new(Coordination::new(Arc::clone(&leader)));
        let dispatch = Arc::new(NimbusPort::new(service));
        let open = nimbus.into_iter().chain(tls);
        let serve =
            |(server, door): (Server, Door)| server.serve_behind(Arc::clone(&dispatch), door);
        let nimbus: Vec<Running> = open.map(serve).collect();
        Ok(Handle {
            address: nimbus.first().expect("Doors opens one").address(),
            nimbus,
            coordination: coordination.serve_behind(
                Arc::new(messages::coordination::Dispatcher(parked)),
                doors.coordination,
            ),
            leader,
            timers,
        })
    }
}

// === impl Handle ===

impl Handle {
    /// Where clients connect: Nimbus's own port, or the one inside TLS if that is the only one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where supervisors and workers connect.
    pub fn coordination_address(&self) -> SocketAddr {
        self.coordination.address()
    }

    /// Answers what is being asked, ends the timers, closes the store.
    pub async fn shutdown(mut self) {
        self.leader.stop();
        self.coordination.drain().await;
        for server in self.nimbus {
            server.drain().await;
        }
        while let Some(ended) = self.timers.join_next().await {
            if let Err(failure) = ended {
                tracing::error!(%failure, "a timer of Nimbus ended badly");
            }
        }
    }
}

/// How the three ports are entered: those of Nimbus's service that are open, and Coordination's.
struct Doors {
    plain: Option<Door>,
    tls: Option<Door>,
    coordination: Door,
}

impl Doors {
    fn new(conf: &Conf, settings: &Settings, tokens: &Arc<TokenKeys>) -> Result<Self, DoorError> {
        let tls_key = keys::NIMBUS_THRIFT_TLS_PORT;
        let has_tls = settings.tls_port > 0;
        let tls = has_tls.then(|| Door::tls(conf, Service::Nimbus, tls_key));
        // Whoever asks for TLS only must not find the other port open.
        let is_only = conf.flag(keys::NIMBUS_THRIFT_TLS_SERVER_ONLY)? == Some(true);
        let is_plain = !is_only || Transport::of(conf, Service::Nimbus)? == Transport::Tls;
        if !is_plain && !has_tls {
            return Err(DoorError::NoTlsPort);
        }
        let plain = is_plain.then(|| Door::new(conf, Service::Nimbus, Some(Arc::clone(tokens))));
        Ok(Doors {
            plain: plain.transpose()?,
            tls: tls.transpose()?,
            coordination: Door::coordination(conf, Arc::clone(tokens))?,
        })
    }
}

/// The port of a door, if there is one.
async fn bound(
    endpoint: Endpoint,
    door: Option<Door>,
) -> Result<Option<(Server, Door)>, BindError> {
    let Some(door) = door else {
        return Ok(None);
    };
    let server = Server::bind(&endpoint, Limits::default()).await?;
    Ok(Some((server, door)))
}

fn endpoint(settings: &Settings) -> Endpoint {
    Endpoint {
        service: "nimbus",
        host: settings.bind_address.clone(),
        port: settings.thrift_port,
        port_key: keys::NIMBUS_THRIFT_PORT,
    }
}

fn tls_endpoint(settings: &Settings) -> Endpoint {
    Endpoint {
        service: "nimbus over TLS",
        host: settings.bind_address.clone(),
        port: settings.tls_port,
        port_key: keys::NIMBUS_THRIFT_TLS_PORT,
    }
}

fn coordination_endpoint(settings: &Settings) -> Endpoint {
    Endpoint {
        service: "coordination",
        host: settings.bind_address.clone(),
        port: settings.coordination_port,
        port_key: keys::STORMWIRE_COORDINATION_PORT,
    }
}

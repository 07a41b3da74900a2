//! The supervisor: runs on each machine, starts and watches the worker processes that Nimbus
//! assigned to it.
//!
//! Reads its part of the assignments over Coordination (`link`), keeps one state machine per slot
//! (`slot`) and carries out what they order (`supervise`). Workers outlive it: the next one adopts
//! them (`adopt`).

mod adopt;
mod archive;
mod blob_cache;
mod desired;
mod download;
mod extract;
pub mod health;
mod launch;
mod layout;
mod link;
mod localizer;
mod log_readers;
mod program;
mod service;
mod slot;
mod supervise;
mod tar;

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::Flock;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::auth::door::{Door, DoorError, Service};
use crate::auth::key_feed::{Following, KeyFeed};
use crate::auth::link_conf::{LinkConfError, LinkEncryption};
use crate::auth::worker_token::TokenKeys;
use crate::auth::{ClassError, Daemon, Gate};
use crate::conf::{Conf, ConfError, keys};
use crate::id::{NodeId, TopologyId};
use crate::process;
use crate::rpc::server::{BindError, Endpoint, Limits, Running, Server};
use crate::wire::storm::{self, WorkerTokenServiceType};
pub use launch::{NotRecorded, wait_until_recorded};
use layout::Layout;
use supervise::{Core, Settings};

/// What becomes of the workers when the supervisor stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// They keep running; the next supervisor adopts them.
    KeepWorkers,
    /// They are ended first, in order.
    EndWorkers,
}

/// A running supervisor.
pub struct Handle {
    /// Where the Supervisor service listens.
    pub address: SocketAddr,
    pub node: NodeId,
    stop: watch::Sender<Option<Stop>>,
    server: Running,
    /// Brings the keys of workers' tokens for as long as it is held.
    _feed: Option<Following>,
    core: JoinHandle<()>,
    health: health::Watch,
}

/// Why a supervisor could not start.
#[derive(Debug, Error)]
pub enum StartError {
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error("cannot prepare {path}: {source}")]
    Prepare { path: PathBuf, source: io::Error },
    #[error(
        "another supervisor runs on {path}: stop it, or give this one a storm.local.dir of its own"
    )]
    Locked { path: PathBuf },
    #[error(transparent)]
    Class(#[from] ClassError),
    #[error(transparent)]
    Door(#[from] DoorError),
    #[error(transparent)]
    Links(#[from] LinkConfError),
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// Starts a supervisor whose built-in workers run `program`.
pub async fn start(conf: &Conf, program: PathBuf) -> Result<Handle, StartError> {
    let settings = Settings::from_conf(conf, program)?;
    LinkEncryption::of_cluster(conf)?;
    let checks = health::Checks::from_conf(conf)?;
    let tokens = Arc::new(TokenKeys::default());
    let door = Door::new(conf, Service::Supervisor, Some(Arc::clone(&tokens)))?;
    let gate = Gate::new(conf, Daemon::Supervisor)?.with_tokens(Arc::clone(&tokens));
    let dir = settings.layout.supervisor();
    for path in [
        &dir,
        &settings.layout.all_code(),
        &settings.layout.all_workers(),
    ] {
        fs::create_dir_all(path).map_err(prepare_error(path))?;
    }
    let lock = lock(&dir.join("lock"))?;
    // Without it (an odd kernel) records are judged by pid and start time alone.
    if let Ok(boot) = fs::read_to_string(BOOT_ID) {
        let path = settings.layout.boot_id();
        adopt::forget_other_boots(&settings.layout, &boot).map_err(prepare_error(&path))?;
    }
    let node = node_id(&dir.join("node-id"))?;
    let shared = Arc::new(service::Shared::default());
    let service = service::SupervisorService {
        shared: shared.clone(),
        layout: settings.layout.clone(),
        host: settings.host.clone(),
        gate,
    };
    let server = Server::bind(&endpoint(conf)?, Limits::default()).await?;
    let address = server.address();
    let feed = door.is_sasl().then(|| KeyFeed {
        addresses: settings.coordination.clone(),
        key: settings.key.clone(),
        service: WorkerTokenServiceType::Supervisor,
        keys: tokens,
    });
    let feed = feed.map(KeyFeed::start);
    let service = Arc::new(storm::supervisor::Dispatcher(Arc::new(service)));
    let server = server.serve_behind(service, door);
    let (stop, stopped) = watch::channel(None);
    let core = Core::new(settings, node.clone(), address.port(), shared);
    let core = tokio::spawn(async move {
        core.run(stopped).await;
        drop(lock);
    });
    Ok(Handle {
        address,
        node,
        stop,
        server,
        _feed: feed,
        core,
        health: checks.watch(),
    })
}

// === impl Handle ===

impl Handle {
    /// Returns when health checks say that this machine is not fit to run workers: then the
    /// supervisor is to stop, with its workers, and not to come back before somebody looked.
    pub async fn unfit(&mut self) {
        self.health.unfit().await;
    }

    /// Stops the supervisor; returns when it has, and when its workers have if they were to end.
    pub async fn stop(self, stop: Stop) {
        // The receiver is gone only when the core has ended already.
        let _ = self.stop.send(Some(stop));
        if let Err(error) = self.core.await {
            tracing::error!(%error, "the supervisor's core ended by a panic");
        }
        self.server.drain().await;
    }
}

/// Ends all workers that run on this machine for the supervisor of a configuration, whether that
/// runs or not; returns their ports and topologies.
pub fn end_workers(conf: &Conf) -> Result<Vec<(u16, TopologyId)>, ConfError> {
    let layout = Layout::new(conf.local_dir()?, conf.log_dir()?);
    let workers = adopt::find(&layout);
    for worker in &workers {
        adopt::end(worker.process, &layout.worker(&worker.id.0));
    }
    let ended = workers.into_iter();
    Ok(ended
        .map(|worker| (worker.port, worker.runs.topology))
        .collect())
}

fn endpoint(conf: &Conf) -> Result<Endpoint, ConfError> {
    Ok(Endpoint {
        service: "supervisor",
        host: conf.text(keys::STORMWIRE_BIND_ADDRESS)?.unwrap_or_default(),
        port: conf.port(keys::SUPERVISOR_THRIFT_PORT)?,
        port_key: keys::SUPERVISOR_THRIFT_PORT,
    })
}

/// One supervisor for each local directory, by a lock that ends with its process.
fn lock(path: &Path) -> Result<Flock<File>, StartError> {
    let file = File::create(path).map_err(prepare_error(path))?;
    process::lock(file).map_err(|_| StartError::Locked {
        path: path.to_owned(),
    })
}

/// This machine's id in assignments: drawn once, kept for good.
fn node_id(path: &Path) -> Result<NodeId, StartError> {
    match fs::read_to_string(path) {
        Ok(id) if !id.trim().is_empty() => return Ok(id.trim().into()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(prepare_error(path)(source)),
    }
    let id = uuid::Uuid::new_v4().to_string();
    launch::write_durably(path, id.as_bytes()).map_err(prepare_error(path))?;
    Ok(id.into())
}

fn prepare_error(path: &Path) -> impl Fn(io::Error) -> StartError + use<> {
    let path = path.to_owned();
    move |source| StartError::Prepare {
        path: path.clone(),
        source,
    }
}

/// The kernel's name for this boot: another after each.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

//! A worker process from its launch to its exit code.
//!
//! Sockets, timers and signals live on the calling thread; executors have threads of their own
//! (`engine`). Runs on while Nimbus or the supervisor are away.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::auth::link_conf::{LinkConfError, LinkEncryption};
use crate::auth::link_tls::{LinkTls, LinkTlsError};
use crate::clock;
use crate::component::credentials::Held;
use crate::component::{Factory, WorkerPlace};
use crate::conf::{Conf, ConfError, keys};
use crate::id::{ExecutorId, NodeId, TaskId, TopologyId};
use crate::messaging::fence::Fence;
use crate::messaging::link::LinkIdentity;
use crate::messaging::packing::{Packing, PackingError};
use crate::messaging::receiving::Sessions;
use crate::messaging::server::{self, ServerCounters, ServerParts};
use crate::messaging::transport::LinkSecurity;
use crate::wire::messages::{
    TopologyPhase, TopologyWork, WorkerDirective, WorkerLaunch, WorkerOrder,
};
use crate::wire::stored::{self, StoredError};
use crate::wire::storm::{StormTopology, TopologyStatus};
use crate::worker::controls::{self, Consequence, Controls};
use crate::worker::engine::{Engine, EngineError, EngineOptions};
use crate::worker::gateway::{Gateway, GatewayError};
use crate::worker::intake::WorkerIntakes;
use crate::worker::lease::{self, Lease};
use crate::worker::log_levels::LogLevels;
use crate::worker::nimbus_line::{self, LineError, NimbusLine, Rhythm};
use crate::worker::peers::{self, Peers};
use crate::worker::program::{Program, ProgramError};
use crate::worker::rest::{Spinning, Time};
use crate::worker::route::Routes;
use crate::worker::shared::Shared;

/// Why a worker could not start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("{}: {source}", path.display())]
    Unreadable { path: PathBuf, source: StoredError },
    #[error("port {port} is none")]
    BadPort { port: i32 },
    #[error(
        "cannot listen on {address}: {source}; another process has the port ({}), or the \
         machine no such address ({})",
        keys::SUPERVISOR_SLOTS_PORTS,
        keys::STORMWIRE_BIND_ADDRESS
    )]
    Listen { address: String, source: io::Error },
    #[error("cannot prepare {}: {source}", path.display())]
    Prepare { path: PathBuf, source: io::Error },
    #[error("cannot watch for signals: {0}")]
    Signals(io::Error),
    #[error("cannot start the watch of the lease: {0}")]
    Watch(io::Error),
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Line(#[from] LineError),
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error(transparent)]
    LinkConf(#[from] LinkConfError),
    #[error(transparent)]
    LinkTls(#[from] LinkTlsError),
    #[error(transparent)]
    Packing(#[from] PackingError),
}

/// A worker that runs.
struct Worker {
    engine: Engine,
    peers: Peers,
    /// What other workers send.
    sessions: Arc<Sessions>,
    controls: Controls,
    security: LinkSecurity,
    dir: PathBuf,
    terminated: Signal,
    news: mpsc::Receiver<WorkerDirective>,
    server_stop: watch::Sender<bool>,
    /// Where components that are processes of their own connect, if there are any.
    gateway: Option<Gateway>,
    tasks: Vec<JoinHandle<()>>,
    /// `supervisor.worker.shutdown.sleep.secs`.
    patience: Duration,
    n_beats: u64,
    is_active: bool,
}

/// Runs a worker until it is told to stop; gives its exit code. `dir` is the worker's own
/// directory, where its instructions lie. Blocks the calling thread.
/// `levels` are of this process's log.
pub fn run(launch: WorkerLaunch, dir: &Path, factory: Arc<dyn Factory>, levels: LogLevels) -> i32 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "cannot start a runtime");
            return EXIT_FAILED;
        }
    };
    let code = runtime.block_on(async {
        match Worker::start(launch, dir, factory, levels).await {
            Ok(worker) => worker.run().await,
            Err(error) => {
                error!(%error, "the worker cannot start");
                // Only to say more than the exit code does: who starts it shows this to people.
                let _ = std::fs::write(dir.join(FAILURE_FILE), error.to_string());
                EXIT_FAILED
            }
        }
    });
    // What still runs is a shell child's last words at most: nobody waits for them.
    runtime.shutdown_background();
    code
}

// === impl Worker ===

impl Worker {
    async fn start(
        launch: WorkerLaunch,
        dir: &Path,
        factory: Arc<dyn Factory>,
        levels: LogLevels,
    ) -> Result<Self, WorkerError> {
        let terminated = signal(SignalKind::terminate()).map_err(WorkerError::Signals)?;
        let code_dir = PathBuf::from(&launch.code_dir);
        let program = load(&launch, &code_dir)?;
        let conf = program.conf.clone();
        let (port, listener) = listen(&launch, &conf).await?;
        let lease = Arc::<Lease>::default();
        let fence = lease::fence(&lease, &dir.join(GROUPS_DIR));
        let identity = Arc::new(identity(&launch, &program, (port, fence.clone()))?);
        let (security, packing) = (identity.security.clone(), identity.packing.clone());
        let mut peers = Peers::new(identity.clone(), &conf)?;
        let rhythm = rhythm(&conf)?;
        let place = place(dir, code_dir, &launch, port)?;
        let (hall, metrics) = (place.gateway.clone(), place.metrics.clone());
        let options = EngineOptions {
            fence: fence.clone(),
            ..options(&launch, place, (peers.follow(&launch.work), &rhythm))
        };
        let executors: Vec<_> = launch.executors.iter().map(executor_id).collect();
        let engine = Engine::start(program.clone(), &executors, factory, options)?;
        peers.attach(engine.shared().clone());
        engine.shared().follow(launch.work.epoch);
        let (server_stop, stopped) = watch::channel(false);
        let shared = engine.shared().clone();
        let parts = server_parts(identity, &shared, &program)?;
        let sessions = parts.sessions.clone();
        sessions.keep(launch.work.epoch, peers::senders(&launch.work));
        let server = server::serve(listener, parts, stopped);
        let (sender, news) = mpsc::channel(1);
        let work = launch.work.clone();
        let launch = Arc::new(launch);
        let controls = Controls::new(shared.clone(), launch.clone(), levels, dir.to_owned());
        let gateway =
            Gateway::start((hall, fence.clone()), security.tls(), &program, &launch).await?;
        let line = NimbusLine::new(launch, shared, rhythm)?;
        let line = line.with_packing(packing).with_gateway(gateway.as_ref());
        let line = line.with_metrics(metrics);
        lease::watch(&lease, dir.join(GROUPS_DIR)).map_err(WorkerError::Watch)?;
        let line = line.with_lease(lease, fence);
        let tasks = vec![tokio::spawn(server), tokio::spawn(line.run(sender))];
        let patience = conf.secs(keys::SUPERVISOR_WORKER_SHUTDOWN_SLEEP_SECS)?;
        let mut worker = Worker {
            engine,
            peers,
            sessions,
            controls,
            security,
            dir: dir.to_owned(),
            terminated,
            news,
            server_stop,
            gateway,
            tasks,
            patience: patience.max(Duration::from_secs(1)),
            n_beats: 0,
            is_active: false,
        };
        worker.controls.begin(work.clone());
        worker.follow_status(&work);
        info!(port, n_executors = executors.len(), "the worker runs");
        Ok(worker)
    }

    async fn run(mut self) -> i32 {
        let mut beats = tokio::time::interval(BEAT_EVERY);
        loop {
            tokio::select! {
                _ = beats.tick() => {
                    self.beat();
                    if self.controls.tick() == Consequence::Restart {
                        info!("asked to restart");
                        self.end().await;
                        return EXIT_RESTART;
                    }
                }
                _ = self.terminated.recv() => {
                    info!("told to end");
                    return self.end().await;
                }
                directive = self.news.recv() => match directive {
                    Some(directive) if directive.order.known() == Some(WorkerOrder::Stop) => {
                        info!("the slot is no longer this worker's");
                        self.wait_for_supervisor().await;
                        return self.end().await;
                    }
                    Some(directive) => self.follow(directive),
                    None => {
                        error!("the line to Nimbus ended by a fault of its own");
                        return EXIT_FAILED;
                    }
                },
            }
            if self.engine.has_failed() {
                // Its components are in no known state: whoever supervises starts a new process.
                return EXIT_FAILED;
            }
        }
    }

    /// Its supervisor hears the same from Nimbus and ends this process: one that ended before it
    /// heard would look like a failure to it. Where there is none any more the wait ends.
    async fn wait_for_supervisor(&mut self) {
        self.engine.deactivate();
        let _ = tokio::time::timeout(SUPERVISOR_WAIT, self.terminated.recv()).await;
    }

    fn follow(&mut self, directive: WorkerDirective) {
        if let Some(work) = directive.work {
            self.renew_certificate(&work);
            self.sessions.keep(work.epoch, peers::senders(&work));
            let routes = self.peers.follow(&work);
            let shared = self.engine.shared();
            if *shared.routes.load_full() != routes {
                info!("the assignment changed: new routes");
                shared.set_routes(routes);
            }
            shared.follow(work.epoch);
            self.controls.follow(&work);
            self.follow_status(&work);
            self.engine.shared().enter(nimbus_line::phase(&work));
        }
    }

    /// Before new links are opened.
    fn renew_certificate(&self, work: &TopologyWork) {
        if let LinkSecurity::Tls(tls) = &self.security
            && let Err(error) = tls.renew(work.link_keys.as_ref())
        {
            warn!(%error, "the renewed certificate is of no use: the old one stays");
        }
    }

    fn follow_status(&mut self, work: &TopologyWork) {
        let phase = nimbus_line::phase(work);
        if phase != TopologyPhase::Steady {
            // Others may be active already, or have been: their tuples must flow off.
            self.engine.prepare();
        }
        let is_settling = phase == TopologyPhase::Settling;
        let status = work.status.known().filter(|_| !is_settling);
        match status {
            Some(TopologyStatus::Active) if self.is_active => {}
            Some(TopologyStatus::Active) => {
                info!("the topology is active");
                self.is_active = true;
                self.engine.activate();
            }
            // Killed, rebalancing and unknown ones too: nothing new starts (data-plane 12.2). Nor
            // while other workers do not yet know who is where.
            _ if self.is_active => {
                info!("the topology is not active");
                self.is_active = false;
                self.engine.deactivate();
            }
            _ => {}
        }
    }

    /// Shows the supervisor that this process is alive and its loop turns.
    fn beat(&mut self) {
        self.n_beats += 1;
        let text = format!("{} {}\n", self.n_beats, clock::wall_millis());
        if let Err(error) = std::fs::write(self.dir.join("heartbeat"), text) {
            warn!(%error, "cannot write the heartbeat");
        }
    }

    /// Spouts pause, what is under way flows off for a while, components end, threads end.
    async fn end(self) -> i32 {
        let deadline = Instant::now() + self.patience.mul_f32(0.8);
        self.engine.deactivate();
        let drained = Instant::now() + self.patience.mul_f32(0.4);
        while Instant::now() < drained && (self.engine.n_queued() > 0 || !self.peers.is_empty()) {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let engine = self.engine;
        let stopped = tokio::task::spawn_blocking(move || engine.stop(left)).await;
        if let Ok(Err(error)) = stopped {
            warn!(%error, "ending without their components");
        }
        // Shell children were told to end; those that take their time have what is left of ours.
        let groups = self.dir.join(GROUPS_DIR);
        while Instant::now() < deadline && has_entries(&groups) {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
        if let Some(gateway) = self.gateway {
            gateway.stop();
        }
        self.peers.close(LAST_WORDS).await;
        self.server_stop.send_replace(true);
        self.tasks.iter().for_each(JoinHandle::abort);
        EXIT_DONE
    }
}

/// What protects the links, as the conf asks for. Never less: a worker without the certificate that
/// it needs does not start.
fn security(launch: &WorkerLaunch, conf: &Conf, port: u16) -> Result<LinkSecurity, WorkerError> {
    let encryption = LinkEncryption::of(conf)?;
    let of = (launch.topology_id.as_str(), port);
    let tls = LinkTls::new(&encryption, of, launch.work.link_keys.as_ref())?;
    Ok(tls.map_or(LinkSecurity::Plain, |tls| LinkSecurity::Tls(Arc::new(tls))))
}

fn options(
    launch: &WorkerLaunch,
    place: WorkerPlace,
    (routes, rhythm): (Routes, &Rhythm),
) -> EngineOptions {
    EngineOptions {
        generation: launch.generation,
        n_threads: usize::try_from(launch.threads).unwrap_or(1).max(1),
        spinning: spinning(launch.threads),
        time: Time::Real,
        place,
        routes,
        stats_every: rhythm.stats_every,
        fence: Fence::default(),
    }
}

fn identity(
    launch: &WorkerLaunch,
    program: &Program,
    (port, fence): (u16, Fence),
) -> Result<LinkIdentity, WorkerError> {
    Ok(LinkIdentity {
        topology_id: launch.topology_id.clone(),
        topology_hash: program.hash,
        node: NodeId::from(launch.node.as_str()),
        port,
        generation: launch.generation,
        security: security(launch, &program.conf, port)?,
        packing: Packing::of(&program.conf)?,
        fence,
    })
}

/// What the side needs to which other workers connect.
fn server_parts(
    identity: Arc<LinkIdentity>,
    shared: &Arc<Shared>,
    program: &Arc<Program>,
) -> Result<ServerParts<WorkerIntakes>, WorkerError> {
    Ok(ServerParts {
        identity,
        sessions: Arc::new(Sessions::new(peers::window_bytes(&program.conf)?)),
        intakes: Arc::new(WorkerIntakes::new(shared.clone(), program.clone())),
        counters: Arc::new(ServerCounters::default()),
    })
}

fn rhythm(conf: &Conf) -> Result<Rhythm, ConfError> {
    let orphan_after = conf.secs(keys::STORMWIRE_WORKER_ORPHAN_TIMEOUT_SECS)?;
    let stats_every = conf.secs(keys::STORMWIRE_STATS_REPORT_SECS)?;
    Ok(Rhythm {
        stats_every: stats_every.max(Duration::from_secs(1)),
        orphan_after: (!orphan_after.is_zero()).then_some(orphan_after),
    })
}

/// Whether anything lies in a directory that can be read.
fn has_entries(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
}

fn load(launch: &WorkerLaunch, code_dir: &Path) -> Result<Arc<Program>, WorkerError> {
    let read = |name: &str| {
        let path = code_dir.join(name);
        let bytes = std::fs::read(&path).map_err(StoredError::from);
        bytes.map_err(|source| WorkerError::Unreadable { path, source })
    };
    let unreadable = |name: &str| {
        let path = code_dir.join(name);
        move |source| WorkerError::Unreadable { path, source }
    };
    let id = TopologyId::from(launch.topology_id.as_str());
    let code: StormTopology =
        stored::unpack_struct(&read(CODE_FILE)?).map_err(unreadable(CODE_FILE))?;
    let conf = stored::unpack_conf(&read(CONF_FILE)?).map_err(unreadable(CONF_FILE))?;
    // Nimbus stored the effective conf; the defaults are for keys that it did not know yet.
    Ok(Arc::new(Program::new(
        id,
        code,
        Conf::defaults().overlay(&conf),
    )?))
}

/// The worker's port, open where its supervisor listens: the conf is of Nimbus's machine.
async fn listen(launch: &WorkerLaunch, conf: &Conf) -> Result<(u16, TcpListener), WorkerError> {
    let port = launch.port;
    let port = u16::try_from(port).map_err(|_| WorkerError::BadPort { port })?;
    let host = match &launch.bind_address {
        Some(address) => address.clone(),
        None => conf.text_or(keys::STORMWIRE_BIND_ADDRESS, "127.0.0.1")?,
    };
    let listener = TcpListener::bind((host.as_str(), port)).await;
    let listener = listener.map_err(|source| WorkerError::Listen {
        address: format!("{host}:{port}"),
        source,
    })?;
    Ok((port, listener))
}

fn place(
    dir: &Path,
    code_dir: PathBuf,
    launch: &WorkerLaunch,
    port: u16,
) -> Result<WorkerPlace, WorkerError> {
    let place = WorkerPlace {
        artifacts_dir: PathBuf::from(&launch.log_dir),
        credentials: Arc::new(Held::new(controls::credentials(&launch.work))),
        port,
        code_dir,
        pid_dir: dir.join("pids"),
        groups_dir: dir.join(GROUPS_DIR),
        runtime: Some(tokio::runtime::Handle::current()),
        ..WorkerPlace::default()
    };
    for path in [&place.pid_dir, &place.groups_dir] {
        let made = std::fs::create_dir_all(path);
        let path = path.clone();
        made.map_err(|source| WorkerError::Prepare { path, source })?;
    }
    Ok(place)
}

fn executor_id(info: &crate::wire::storm::ExecutorInfo) -> ExecutorId {
    ExecutorId::new(TaskId(info.task_start), TaskId(info.task_end))
}

/// Threads spin only where each may have a core of its own.
fn spinning(n_threads: i32) -> Spinning {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    match usize::try_from(n_threads).is_ok_and(|n_threads| n_threads <= n_cores) {
        true => Spinning::Allowed,
        false => Spinning::Forbidden,
    }
}

/// How long a worker that Nimbus has no use for waits to be ended by its supervisor.
const SUPERVISOR_WAIT: Duration = Duration::from_secs(1);

/// Somebody asked for a new process; its supervisor starts one.
pub const EXIT_RESTART: i32 = 64;
/// In a worker's directory: why it could not start.
pub const FAILURE_FILE: &str = "failure";
/// It did what it was told.
const EXIT_DONE: i32 = 0;
/// It could not start, or broke.
const EXIT_FAILED: i32 = 1;

/// Where each shell child's process group is on record while it lives.
const GROUPS_DIR: &str = "groups";
const CODE_FILE: &str = "stormcode.ser";
const CONF_FILE: &str = "stormconf.ser";

const BEAT_EVERY: Duration = Duration::from_secs(1);
/// Between looks at whether everything has flowed off.
const DRAIN_LOOK: Duration = Duration::from_millis(10);
/// For what the links still hold when the executors have ended.
const LAST_WORDS: Duration = Duration::from_millis(300);

//! The supervisor's one task: owns the slots, hears of everything that happens, carries out their
//! orders.
//!
//! Decides nothing about a slot itself (`slot`). What may block (files, downloads, starting a
//! process) runs in tasks of its own and comes back as an event.

mod blobs;
mod ending;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use self::blobs::Looks;
use super::adopt;
use super::blob_cache::{BlobCache, CacheSettings};
use super::launch::{Launcher, Started, executor_infos, millis};
use super::layout::{self, Layout};
use super::link::{Link, News, Reported};
use super::localizer::Localizer;
use super::service::Shared;
use super::slot::{Desired, Launched, Order, Patience, Slot, WorkerId};
use super::{Stop, desired};
use crate::auth::door::{DoorError, Key, Transport};
use crate::blob::program::PLATFORM;
use crate::clock;
use crate::conf::{Conf, ConfError, keys};
use crate::id::{NodeId, TopologyId};
use crate::limits::{COMPONENT_ERRORS_HELD_MAX, SUPERVISOR_EVENTS_MAX};
use crate::log_file::Bounds;
use crate::process::Process;
use crate::rpc::client::Address;
use crate::scheduler::resources;
use crate::wire::messages::{ComponentError, LocalWorker, SupervisorDirective, SupervisorReport};
use crate::wire::storm::{ErrorInfo, SupervisorInfo};
use crate::worker;

/// What the configuration says about a supervisor.
#[derive(Clone, Debug)]
pub struct Settings {
    pub layout: Layout,
    pub host: String,
    bind_address: String,
    pub program: PathBuf,
    pub ports: BTreeSet<u16>,
    pub coordination: Vec<Address>,
    /// How Coordination is entered.
    pub key: Key,
    pub tls_authorities: Option<String>,
    /// How much of each worker's logs is kept.
    logs: Bounds,
    cache: CacheSettings,
    patience: Patience,
    silence_ms: u64,
    /// Reactor threads of each worker; by default the cores are shared out among the slots in use.
    threads: Option<usize>,
    meta: BTreeMap<String, String>,
    resources: BTreeMap<String, f64>,
    version: String,
}

/// The supervisor's state.
pub struct Core {
    settings: Settings,
    node: NodeId,
    shared: Arc<Shared>,
    link: Link,
    localizer: Localizer,
    looks: Looks,
    launcher: Launcher,
    places: BTreeMap<u16, Place>,
    errors: Vec<ComponentError>,
    /// How many errors there were before the first that is held.
    first_error: u64,
    session: String,
    server_port: u16,
    events: mpsc::Sender<Event>,
    inbox: mpsc::Receiver<Event>,
    tasks: JoinSet<()>,
}

/// A slot with what only its owner knows of its worker.
struct Place {
    slot: Slot,
    live: Option<Live>,
}

/// A worker process.
struct Live {
    id: WorkerId,
    process: Process,
    generation: i64,
    since_ms: u64,
    /// Nobody waits for an adopted process: its end is noticed by looking.
    adopted: bool,
    heartbeat: Vec<u8>,
}

/// What comes back from tasks.
enum Event {
    /// Files of before the epoch `since` were replaced.
    Localized {
        topology: TopologyId,
        since: i64,
        outcome: Result<(), String>,
    },
    Launched {
        port: u16,
        outcome: Result<Box<Started>, String>,
    },
    Exited {
        port: u16,
        id: WorkerId,
        /// None: somebody asked for another process in its place.
        how: Option<String>,
    },
    /// Blobs were looked at; workers of these topologies must start anew.
    Renewed { changed: Vec<TopologyId> },
}

// === impl Settings ===

impl Settings {
    pub fn from_conf(conf: &Conf, program: PathBuf) -> Result<Self, DoorError> {
        let port = |port: i64| u16::try_from(port).ok();
        let ports = conf.ints(keys::SUPERVISOR_SLOTS_PORTS)?;
        let secs_ms = |key| Ok::<u64, ConfError>(millis(conf.secs(key)?));
        let coordination_port = conf.port(keys::STORMWIRE_COORDINATION_PORT)?;
        let seeds = conf.texts(keys::NIMBUS_SEEDS)?;
        let threads = conf.int(keys::STORMWIRE_WORKER_THREADS)?;
        Ok(Settings {
            layout: Layout::new(conf.local_dir()?, conf.log_dir()?),
            host: conf.host_name()?,
            bind_address: conf.text_or(keys::STORMWIRE_BIND_ADDRESS, "127.0.0.1")?,
            program,
            ports: ports.into_iter().filter_map(port).collect(),
            coordination: seeds
                .iter()
                .map(|seed| Address::new(seed, coordination_port))
                .collect(),
            key: Key::of_coordination(conf)?,
            tls_authorities: match Transport::of_coordination(conf)? {
                Transport::Tls => conf.text(keys::STORMWIRE_TLS_AUTHORITIES)?,
                _ => None,
            },
            logs: Bounds::of(
                conf,
                keys::STORMWIRE_WORKER_LOG_BYTES_MAX,
                keys::STORMWIRE_WORKER_LOG_FILES_MAX,
            )?,
            cache: CacheSettings::read(conf)?,
            patience: Patience {
                start_ms: secs_ms(keys::SUPERVISOR_WORKER_START_TIMEOUT_SECS)?,
                shutdown_ms: secs_ms(keys::SUPERVISOR_WORKER_SHUTDOWN_SLEEP_SECS)?,
            },
            silence_ms: secs_ms(keys::SUPERVISOR_WORKER_TIMEOUT_SECS)?,
            threads: threads.and_then(|threads| usize::try_from(threads).ok()),
            meta: conf.text_map(keys::SUPERVISOR_SCHEDULER_META)?,
            resources: resources::offered(conf)?,
            version: conf
                .text(keys::STORMWIRE_VERSION_REPORTED)?
                .unwrap_or_default(),
        })
    }
}

// === impl Core ===

impl Core {
    pub fn new(settings: Settings, node: NodeId, server_port: u16, shared: Arc<Shared>) -> Self {
        let (events, inbox) = mpsc::channel(SUPERVISOR_EVENTS_MAX);
        let link = Link::new(settings.coordination.clone(), settings.key.clone());
        let layout = settings.layout.clone();
        let place = |port: &u16| {
            (
                *port,
                Place {
                    slot: Slot::new(settings.patience.clone()),
                    live: None,
                },
            )
        };
        Core {
            localizer: Localizer::new(
                layout.clone(),
                link.clone(),
                BlobCache::new(settings.cache.clone(), layout.clone(), link.clone()),
            ),
            looks: Looks::new(clock::monotonic_millis()),
            launcher: Launcher {
                layout,
                node: node.clone(),
                host: settings.host.clone(),
                bind_address: settings.bind_address.clone(),
                program: settings.program.clone(),
                coordination: settings
                    .coordination
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                tls_authorities: settings.tls_authorities.clone(),
                logs: settings.logs,
                drawing: Arc::default(),
            },
            places: settings.ports.iter().map(place).collect(),
            errors: Vec::new(),
            first_error: 0,
            session: uuid::Uuid::new_v4().to_string(),
            server_port,
            events,
            inbox,
            tasks: JoinSet::new(),
            settings,
            node,
            shared,
            link,
        }
    }

    /// Runs until told to stop.
    pub async fn run(mut self, mut stopped: watch::Receiver<Option<Stop>>) {
        self.adopt();
        self.sweep();
        let (publish, report) = watch::channel(self.report());
        let (send_news, mut news) = mpsc::channel(1);
        let (link, shared) = (self.link.clone(), self.shared.clone());
        let sync =
            tokio::spawn(async move { link.follow(report, &shared.nudged, send_news).await });
        let mut ticks = tokio::time::interval(TICK);
        let mut stop = None;
        loop {
            tokio::select! {
                Some(event) = self.inbox.recv() => self.handle(event),
                // News that waits already must not bring back what is being ended.
                Some(news) = news.recv(), if stop.is_none() => self.handle_news(news),
                _ = ticks.tick() => self.tick(),
                Ok(()) = stopped.changed(), if stop.is_none() => {
                    stop = *stopped.borrow();
                    if stop == Some(Stop::EndWorkers) {
                        sync.abort();
                        self.want(BTreeMap::new());
                    }
                }
            }
            self.carry_out();
            publish.send_replace(self.report());
            let empty = self.places.values().all(|place| place.slot.is_empty());
            if stop == Some(Stop::KeepWorkers) || stop == Some(Stop::EndWorkers) && empty {
                break;
            }
        }
        sync.abort();
        self.tasks.shutdown().await;
    }

    fn adopt(&mut self) {
        let now_ms = clock::monotonic_millis();
        for found in adopt::find(&self.settings.layout) {
            let Some(place) = self.places.get_mut(&found.port) else {
                tracing::warn!(
                    port = found.port,
                    "a worker runs on a port that is no slot: ended"
                );
                adopt::end(found.process, &self.settings.layout.worker(&found.id.0));
                continue;
            };
            if let Some(live) = &place.live {
                tracing::warn!(
                    port = found.port,
                    "two workers run on a port: the newer stays"
                );
                if live.generation >= found.generation {
                    adopt::end(found.process, &self.settings.layout.worker(&found.id.0));
                    continue;
                }
                adopt::end(live.process, &self.settings.layout.worker(&live.id.0));
            }
            let silence_ms = self.settings.silence_ms.max(found.silence_ms);
            let launched = Launched {
                id: found.id.clone(),
                silence_ms,
            };
            place.slot.handle_adopted(launched, found.runs, now_ms);
            place.live = Some(Live {
                id: found.id,
                process: found.process,
                generation: found.generation,
                since_ms: now_ms,
                adopted: true,
                heartbeat: Vec::new(),
            });
        }
    }

    fn handle(&mut self, event: Event) {
        let now_ms = clock::monotonic_millis();
        match event {
            Event::Localized {
                topology,
                since,
                outcome,
            } => {
                for place in self.places.values_mut() {
                    let outcome = outcome.clone();
                    place
                        .slot
                        .handle_localized(&topology, since, outcome, now_ms);
                }
            }
            Event::Launched { port, outcome } => self.handle_launched(port, outcome, now_ms),
            Event::Exited { port, id, how } => self.handle_exited(port, &id, how, now_ms),
            Event::Renewed { changed } => {
                self.handle_renewed(changed, now_ms);
            }
        }
    }

    fn handle_news(&mut self, news: News) {
        // What was delivered with the report need not be sent again.
        let n_delivered = news.errors_until.saturating_sub(self.first_error);
        let n_delivered = usize::try_from(n_delivered).unwrap_or(usize::MAX);
        self.forget_errors(n_delivered.min(self.errors.len()));
        if let Some(directive) = news.directive {
            self.handle_directive(directive);
        }
    }

    fn handle_directive(&mut self, directive: SupervisorDirective) {
        let (wanted, strays) = desired::by_port(&directive, &self.node, &self.settings.ports);
        for (topology, port) in strays {
            let reason = format!(
                "assigned to port {port}, which is no slot of node {} (supervisor.slots.ports)",
                self.node
            );
            self.report_error(&topology, None, reason);
        }
        self.want(wanted);
        self.sweep_launches(&directive);
        self.shared.directive.store(Some(Arc::new(directive)));
        self.sweep();
    }

    fn want(&mut self, mut wanted: BTreeMap<u16, Desired>) {
        let now_ms = clock::monotonic_millis();
        for (port, place) in &mut self.places {
            place.slot.handle_desired(wanted.remove(port), now_ms);
        }
    }

    fn handle_launched(&mut self, port: u16, outcome: Result<Box<Started>, String>, now_ms: u64) {
        let Some(place) = self.places.get_mut(&port) else {
            return;
        };
        let started = match outcome {
            Ok(started) => *started,
            Err(reason) => return place.slot.handle_launched(Err(reason), now_ms),
        };
        tracing::info!(
            port,
            worker = started.id.0,
            pid = started.process.pid,
            generation = started.generation,
            "started a worker"
        );
        place.live = Some(Live {
            id: started.id.clone(),
            process: started.process,
            generation: started.generation,
            since_ms: now_ms,
            adopted: false,
            heartbeat: Vec::new(),
        });
        let events = self.events.clone();
        let (id, mut child) = (started.id.clone(), started.child);
        let failure = self
            .settings
            .layout
            .worker(&id.0)
            .join(worker::FAILURE_FILE);
        self.tasks.spawn(async move {
            let how = ending::how(child.wait().await, &failure).await;
            // The core outlives this task unless it is stopping.
            let _ = events.send(Event::Exited { port, id, how }).await;
        });
        let launched = Launched {
            id: started.id,
            silence_ms: started.silence_ms.max(self.settings.silence_ms),
        };
        place.slot.handle_launched(Ok(launched), now_ms);
    }

    fn handle_exited(&mut self, port: u16, id: &WorkerId, how: Option<String>, now_ms: u64) {
        let Some(place) = self.places.get_mut(&port) else {
            return;
        };
        if place.live.as_ref().is_some_and(|live| live.id == *id) {
            tracing::info!(port, worker = id.0, how, "a worker ended");
            place.live = None;
            match how {
                Some(how) => place.slot.handle_exit(id, &how, now_ms),
                None => place.slot.handle_restart(id),
            }
            self.sweep();
        }
    }

    /// Looks at heartbeats and adopted processes, and lets the slots judge the time.
    fn tick(&mut self) {
        let now_ms = clock::monotonic_millis();
        let mut gone = Vec::new();
        for (port, place) in &mut self.places {
            if let Some(live) = &mut place.live {
                let dir = self.settings.layout.worker(&live.id.0);
                // Only a change counts: the clocks of the two processes need not agree.
                if let Ok(heartbeat) = std::fs::read(layout::heartbeat(&dir))
                    && !heartbeat.is_empty()
                    && heartbeat != live.heartbeat
                {
                    live.heartbeat = heartbeat;
                    place.slot.handle_beat(now_ms);
                }
                if live.adopted && !live.process.is_alive() {
                    gone.push((*port, live.id.clone()));
                }
            }
            place.slot.handle_timer(now_ms);
        }
        self.tend_blobs(now_ms);
        for (port, id) in gone {
            let how = Some("not our child: exit status unknown".to_owned());
            self.handle_exited(port, &id, how, now_ms);
        }
        while self.tasks.try_join_next().is_some() {}
    }

    fn carry_out(&mut self) {
        let mut localize: BTreeMap<TopologyId, i64> = BTreeMap::new();
        let ports: Vec<u16> = self.places.keys().copied().collect();
        for port in ports {
            while let Some(order) = self.places.get_mut(&port).and_then(|p| p.slot.poll_order()) {
                match order {
                    Order::Localize { topology, since } => {
                        let newest = localize.entry(topology).or_insert(since);
                        *newest = since.max(*newest);
                    }
                    Order::Launch(desired) => self.launch(port, *desired),
                    Order::Terminate(id) => self.signal(port, &id, nix::sys::signal::SIGTERM),
                    Order::Kill(id) => self.signal(port, &id, nix::sys::signal::SIGKILL),
                    Order::CleanUp(id) => self.clean_up(&id),
                    Order::Report { topology, reason } => {
                        self.report_error(&topology, Some(port), reason);
                    }
                }
            }
        }
        for (topology, since) in localize {
            let (localizer, events) = (self.localizer.clone(), self.events.clone());
            self.tasks.spawn(async move {
                let outcome = localizer.localize(&topology, since).await;
                let localized = Event::Localized {
                    topology,
                    since,
                    outcome: outcome.map_err(|error| error.to_string()),
                };
                let _ = events.send(localized).await;
            });
        }
    }

    fn launch(&mut self, port: u16, desired: Desired) {
        let in_use = self
            .places
            .values()
            .filter(|place| !place.slot.is_empty())
            .count()
            .max(1);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.settings.threads.unwrap_or((cores / in_use).max(1));
        let (launcher, events) = (self.launcher.clone(), self.events.clone());
        self.tasks.spawn(async move {
            let start = tokio::task::spawn_blocking(move || launcher.start(desired, port, threads));
            let outcome = match start.await {
                Ok(Ok(started)) => Ok(Box::new(started)),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(format!("starting the worker broke off: {error}")),
            };
            let _ = events.send(Event::Launched { port, outcome }).await;
        });
    }

    fn signal(&self, port: u16, id: &WorkerId, signal: nix::sys::signal::Signal) {
        let live = self.places.get(&port).and_then(|place| place.live.as_ref());
        if let Some(live) = live.filter(|live| live.id == *id) {
            live.process.signal(signal);
        }
    }

    fn clean_up(&mut self, id: &WorkerId) {
        let dir = self.settings.layout.worker(&id.0);
        adopt::clean_up(&dir);
    }

    fn report_error(&mut self, topology: &TopologyId, port: Option<u16>, reason: String) {
        tracing::warn!(
            topology = topology.as_str(),
            port,
            reason,
            "a worker failed"
        );
        if self.errors.len() >= COMPONENT_ERRORS_HELD_MAX {
            // The newest say most about what is wrong now.
            self.forget_errors(1);
        }
        self.errors.push(ComponentError {
            topology_id: topology.to_string(),
            component_id: SYSTEM_COMPONENT.to_owned(),
            error: ErrorInfo {
                error: reason,
                error_time_secs: clock::wall_secs_i32(),
                host: Some(self.settings.host.clone()),
                port: port.map(i32::from),
            },
        });
    }

    /// The oldest errors are delivered or given up; there must be so many.
    fn forget_errors(&mut self, n: usize) {
        self.errors.drain(..n);
        self.first_error += n as u64;
    }

    /// What the slots need now or soon.
    fn topologies(&self) -> impl Iterator<Item = &TopologyId> {
        let places = self.places.values();
        places.flat_map(|place| place.slot.topologies())
    }

    /// What Nimbus is told; the link fills in what is the link's.
    fn report(&self) -> Reported {
        let now_ms = clock::monotonic_millis();
        let worker = |(port, place): (&u16, &Place)| {
            let live = place.live.as_ref()?;
            let (_, runs) = place.slot.worker()?;
            Some(LocalWorker {
                topology_id: runs.topology.to_string(),
                port: (*port).into(),
                worker_id: live.id.0.clone(),
                generation: live.generation,
                executors: executor_infos(runs),
                uptime_secs: i32::try_from((now_ms - live.since_ms) / 1000).unwrap_or(i32::MAX),
            })
        };
        let workers: Vec<_> = self.places.iter().filter_map(worker).collect();
        let used_ports = workers.iter().map(|worker| worker.port.into()).collect();
        let info = SupervisorInfo {
            time_secs: clock::wall_secs(),
            hostname: self.settings.host.clone(),
            assignment_id: Some(self.node.to_string()),
            used_ports: Some(used_ports),
            meta: Some(
                self.settings
                    .ports
                    .iter()
                    .map(|port| (*port).into())
                    .collect(),
            ),
            scheduler_meta: Some(self.settings.meta.clone()),
            uptime_secs: Some(i64::try_from(now_ms / 1000).unwrap_or(i64::MAX)),
            version: Some(self.settings.version.clone()),
            resources_map: Some(self.settings.resources.clone()),
            server_port: Some(self.server_port.into()),
        };
        let report = SupervisorReport {
            node: self.node.to_string(),
            info,
            session: self.session.clone(),
            workers,
            errors: self.errors.clone(),
            platform: Some(PLATFORM.to_owned()),
            ..SupervisorReport::default()
        };
        Reported {
            report,
            first_error: self.first_error,
        }
    }
}

/// Where a worker's death is shown: no component of the topology is to blame for it.
const SYSTEM_COMPONENT: &str = "__system";

/// How often heartbeats are looked at and time-outs judged.
const TICK: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;

//! `dev`, `nimbus`, `supervisor`, `drpc`, `worker`: runs daemons until they are told to stop.
//!
//! Prints where each listens, then `ready`, so that scripts know when to go on.

use std::fmt::Display;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use super::site::Site;
use crate::component::Factory;
use crate::component::factory::BuiltIn;
use crate::component::registry;
use crate::conf::{Conf, keys};
use crate::drpc::{self, Drpc};
use crate::http::Ports;
use crate::log_file::{self, Bounds, Stream};
use crate::messaging::link::WIRE_VERSION;
use crate::nimbus::{self, Nimbus};
use crate::supervisor::{self, Stop};
use crate::wire;
use crate::wire::messages::WorkerLaunch;
use crate::worker;
use crate::worker::log_levels::LogLevels;

/// `stormwire dev`.
pub fn dev(conf: &Conf) -> Result<i32> {
    runtime()?.block_on(async {
        let mut drpc = Drpc::start(conf).await?;
        let conf_of_all = for_topologies(conf, &drpc)?;
        let mut cluster = Cluster::start(&conf_of_all, registry::knows).await?;
        let coordination = cluster.nimbus.coordination_address();
        let here = conf
            .clone()
            .with(keys::NIMBUS_SEEDS, vec![coordination.ip().to_string()])
            .with(keys::STORMWIRE_COORDINATION_PORT, coordination.port());
        drpc.follow_tokens(&here)?;
        let nimbus = cluster.nimbus.address();
        let of_site = here.with(keys::NIMBUS_THRIFT_PORT, nimbus.port());
        let of_site = of_site.with(keys::NIMBUS_SEEDS, vec![nimbus.ip().to_string()]);
        let site = Site::start(&of_site).await?;
        cluster.announce();
        announce_drpc(&drpc);
        site.announce();
        let told_to_stop = told_to_stop()?;
        say("ready");
        let code = tokio::select! {
            () = told_to_stop => 0,
            () = cluster.supervisor.unfit() => {
                complain(UNFIT);
                1
            }
        };
        say("stopping: workers first");
        let stop = async {
            site.stop().await;
            cluster.stop().await;
            drpc.shutdown().await;
        };
        tokio::select! {
            () = stop => {}
            // Whoever asks twice does not want to wait.
            again = stopped() => again?,
        }
        Ok(code)
    })
}

/// `stormwire nimbus`.
pub fn nimbus(conf: &Conf) -> Result<i32> {
    runtime()?.block_on(async {
        let nimbus = Nimbus::start(conf.clone(), registry::knows).await?;
        say(format_args!("nimbus {}", nimbus.address()));
        say(format_args!(
            "coordination {}",
            nimbus.coordination_address()
        ));
        let told_to_stop = told_to_stop()?;
        say("ready");
        told_to_stop.await;
        nimbus.shutdown().await;
        Ok(0)
    })
}

/// `stormwire supervisor`. Its workers outlive it.
pub fn supervisor(conf: &Conf) -> Result<i32> {
    runtime()?.block_on(async {
        let mut supervisor = supervisor::start(conf, program()?).await?;
        say(format_args!(
            "supervisor {} node {}",
            supervisor.address, supervisor.node
        ));
        let told_to_stop = told_to_stop()?;
        say("ready");
        tokio::select! {
            () = told_to_stop => {}
            () = supervisor.unfit() => {
                complain(UNFIT);
                supervisor.stop(Stop::EndWorkers).await;
                return Ok(1);
            }
        }
        supervisor.stop(Stop::KeepWorkers).await;
        Ok(0)
    })
}

/// `stormwire drpc`.
pub fn drpc(conf: &Conf) -> Result<i32> {
    runtime()?.block_on(async {
        let mut drpc = Drpc::start(conf).await?;
        drpc.follow_tokens(conf)?;
        announce_drpc(&drpc);
        let told_to_stop = told_to_stop()?;
        say("ready");
        told_to_stop.await;
        drpc.shutdown().await;
        Ok(0)
    })
}

fn announce_drpc(drpc: &drpc::Handle) {
    say(format_args!("drpc {}", drpc.address()));
    say(format_args!(
        "drpc-invocations {}",
        drpc.invocations_address()
    ));
    announce(drpc.ports());
}

/// Prints where HTTP and HTTPS are answered.
pub fn announce(ports: &Ports) {
    for (name, address) in ports.named() {
        say(format_args!("{name} {address}"));
    }
}

/// What Nimbus tells topologies: the ports of this DRPC server, whatever the system chose, and this
/// server itself unless `drpc.servers` names others.
fn for_topologies(conf: &Conf, drpc: &drpc::Handle) -> Result<Conf> {
    let mut conf = conf
        .clone()
        .with(keys::DRPC_PORT, drpc.address().port())
        .with(
            keys::DRPC_INVOCATIONS_PORT,
            drpc.invocations_address().port(),
        );
    if conf.texts(keys::DRPC_SERVERS)?.is_empty() {
        let host = match drpc.invocations_address().ip() {
            ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
            ip => ip.to_string(),
        };
        conf = conf.with(keys::DRPC_SERVERS, vec![host]);
    }
    Ok(conf)
}

/// `stormwire worker`.
pub fn worker(launch: &Path, levels: LogLevels) -> Result<i32> {
    worker_of(launch, levels, |_| Arc::new(BuiltIn))
}

/// The `worker` command of any program: runs a worker whose components `factory` makes.
pub fn worker_of(
    launch: &Path,
    levels: LogLevels,
    factory: impl FnOnce(&WorkerLaunch) -> Arc<dyn Factory>,
) -> Result<i32> {
    // A session of its own: signals to the supervisor's terminal do not reach it. Fails only for a
    // process that already leads a group, which then has what it needs.
    let _ = nix::unistd::setsid();
    let dir = launch
        .parent()
        .context("--launch names a file in the worker's directory")?;
    let unreadable = || format!("cannot read the instructions {}", launch.display());
    let instructions = std::fs::read(launch).with_context(unreadable)?;
    let instructions: WorkerLaunch = wire::from_bytes(&instructions).with_context(unreadable)?;
    if let Some(theirs) = instructions.wire_version.filter(|n| *n != WIRE_VERSION) {
        bail!(
            "the supervisor speaks wire version {theirs}, this program {WIRE_VERSION}: build it \
             with the cluster's version of Stormwire"
        );
    }
    keep_logs(&instructions);
    supervisor::wait_until_recorded(dir)?;
    let factory = factory(&instructions);
    Ok(worker::run(instructions, dir, factory, levels))
}

/// The files to which the supervisor turned this worker's streams.
fn keep_logs(launch: &WorkerLaunch) {
    let bounds = Bounds {
        bytes_max: launch.log_bytes_max.map_or(u64::MAX, i64::cast_unsigned),
        files_max: launch
            .log_files_max
            .map_or(0, |n| usize::try_from(n).unwrap_or(0)),
    };
    let directory = Path::new(&launch.log_dir);
    log_file::adopt(Stream::Output, &directory.join("worker.log"), bounds);
    log_file::adopt(Stream::Error, &directory.join("worker.log.err"), bounds);
}

/// Nimbus and a supervisor in this process.
pub struct Cluster {
    pub nimbus: nimbus::Handle,
    pub supervisor: supervisor::Handle,
}

// === impl Cluster ===

impl Cluster {
    /// Starts both; the supervisor talks to this Nimbus, whatever ports the system chose, and its
    /// workers are this program. `known_class` says which classes it has.
    pub async fn start(conf: &Conf, known_class: fn(&str) -> bool) -> Result<Self> {
        let nimbus = Nimbus::start(conf.clone(), known_class).await?;
        let conf = conf
            .clone()
            .with(
                keys::NIMBUS_SEEDS,
                vec![nimbus.coordination_address().ip().to_string()],
            )
            .with(keys::NIMBUS_THRIFT_PORT, nimbus.address().port())
            .with(
                keys::STORMWIRE_COORDINATION_PORT,
                nimbus.coordination_address().port(),
            );
        let supervisor = supervisor::start(&conf, program()?).await?;
        Ok(Cluster { nimbus, supervisor })
    }

    fn announce(&self) {
        say(format_args!("nimbus {}", self.nimbus.address()));
        say(format_args!(
            "coordination {}",
            self.nimbus.coordination_address()
        ));
        say(format_args!(
            "supervisor {} node {}",
            self.supervisor.address, self.supervisor.node
        ));
    }

    /// Ends the workers, then the daemons.
    pub async fn stop(self) {
        self.supervisor.stop(Stop::EndWorkers).await;
        self.nimbus.shutdown().await;
    }
}

/// A runtime for daemons: two threads serve what tens of connections ask.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    give_memory_back();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .enable_all()
        .build();
    runtime.context("cannot start the async runtime")
}

/// Has the system's allocator keep one heap and give back what is free at its end. Of its own
/// accord glibc makes a heap for each thread, and each keeps what its busiest moment took.
fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: plain numbers, and no other thread allocates yet; a refusal changes nothing.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, HEAPS_MAX);
        libc::mallopt(libc::M_TRIM_THRESHOLD, FREE_BYTES_KEPT);
    }
}

fn program() -> Result<std::path::PathBuf> {
    std::env::current_exe().context("cannot tell which file this program is, to start workers")
}

/// Prints a line. Nobody needs to read it: `println!` would panic once a pipe's reader is gone, and
/// `dev` would then leave its workers behind.
pub fn say(line: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Prints a line to standard error, for somebody or nobody; where that is a file by now, to whoever
/// started this process as well.
pub fn complain(line: impl Display) {
    let line = format!("{line}\n");
    log_file::write(Stream::Error, line.as_bytes());
    log_file::write_to_starter(line.as_bytes());
}

/// Returns on SIGINT or SIGTERM.
pub async fn stopped() -> Result<()> {
    told_to_stop()?.await;
    Ok(())
}

/// Listens for SIGINT and SIGTERM from now on, and ends with the first. Whoever reads `ready` may
/// send one at once.
pub fn told_to_stop() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Said before a supervisor ends by itself. As in Storm, whoever watches over it decides what then.
const UNFIT: &str = "health checks say that this machine is not fit to run workers: they are \
                     ended, and the supervisor stops; the log names the script";
/// A daemon has two threads that work and some that wait for the disk.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEAPS_MAX: i32 = 1;
/// As glibc starts with, before it lets the number grow with what a program frees.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const FREE_BYTES_KEPT: i32 = 128 << 10;

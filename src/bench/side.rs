//! Who runs a plan: our engine in this process, our daemons and workers in theirs, or genuine
//! Storm.
//!
//! Each is started, given a plan, and watched from outside in the same way.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::dev::Dev;
use super::genuine::{Genuine, Installed};
use super::meters::{self, Meters};
use super::plan::{Plan, SPOUT};
use super::submission::{self, Nimbus};
use super::{Scratch, machine};
use crate::clock;
use crate::component::factory::BuiltIn;
use crate::conf::{Conf, keys};
use crate::id::TopologyId;
use crate::topology::tasks;
use crate::wire::storm::ExecutorStats;
use crate::worker::engine::{Engine, EngineOptions};
use crate::worker::program::Program;
use crate::worker::rest::Spinning;

/// One of the sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Our engine in this process, without daemons.
    Embedded,
    /// `stormwire dev` and its workers, processes of their own.
    Cluster,
    /// Genuine Storm's daemons and workers, all in one JVM.
    Genuine,
}

/// How a side is started.
pub struct Setting<'a> {
    pub n_workers: usize,
    /// Of the engine in this process.
    pub n_threads: usize,
    pub installed: Option<&'a Installed>,
}

/// A side that has started, with a directory for what it writes. Dropping it ends it.
pub struct Running {
    host: Host,
    scratch: Scratch,
}

enum Host {
    Embedded {
        n_threads: usize,
        engine: Option<(Engine, Arc<Program>)>,
    },
    Cluster(Dev),
    Genuine(Genuine),
}

/// When a submit began and when its call returned, by the machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct Submitted {
    pub started_nanos: u64,
    pub ended_nanos: u64,
}

// === impl Side ===

impl Side {
    pub fn name(self) -> &'static str {
        match self {
            Side::Embedded => "ours, in process",
            Side::Cluster => "ours, cluster",
            Side::Genuine => "genuine",
        }
    }
}

// === impl Running ===

impl Running {
    /// Starts the daemons, if the side has any.
    pub fn start(side: Side, setting: &Setting<'_>) -> Result<Self> {
        let scratch = Scratch::new()?;
        let host = match side {
            Side::Embedded => Host::Embedded {
                n_threads: setting.n_threads,
                engine: None,
            },
            Side::Cluster => {
                let directory = scratch.path().join("cluster");
                let dev = Dev::with_slots(&directory, setting.n_workers)?;
                Host::Cluster(dev)
            }
            Side::Genuine => {
                let installed = setting.installed.context("genuine Storm is absent")?;
                let genuine = Genuine::start(installed, scratch.path(), setting.n_workers)?;
                Host::Genuine(genuine)
            }
        };
        Ok(Running { host, scratch })
    }

    /// Where meters write and plans may put their files.
    pub fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// The root of its processes.
    pub fn pid(&self) -> i32 {
        match &self.host {
            Host::Embedded { .. } => machine::own_pid(),
            Host::Cluster(dev) => dev.pid(),
            Host::Genuine(genuine) => genuine.pid(),
        }
    }

    /// Runs a plan: once for each `Running`.
    pub fn submit(&mut self, plan: &Plan) -> Result<Submitted> {
        let directory = PathBuf::from(self.scratch.path());
        match &mut self.host {
            Host::Genuine(genuine) => genuine.submit(plan, &directory),
            Host::Embedded { n_threads, engine } => {
                let started_nanos = clock::machine_nanos();
                *engine = Some(embed(plan, *n_threads)?);
                Ok(Submitted {
                    started_nanos,
                    ended_nanos: clock::machine_nanos(),
                })
            }
            Host::Cluster(dev) => dev.calls(async |nimbus: &mut Nimbus| {
                let jar = submission::upload_jar(nimbus).await?;
                let (conf, topology) = (plan.conf.to_json(), plan.topology());
                let started_nanos = clock::machine_nanos();
                nimbus
                    .submit_topology(Some(NAME), Some(&jar), Some(&conf), Some(&topology))
                    .await
                    .context("cannot submit")?;
                Ok(Submitted {
                    started_nanos,
                    ended_nanos: clock::machine_nanos(),
                })
            }),
        }
    }

    /// Has the spouts emit so many tuples a second; 0: as many as they can.
    pub fn set_rate(&self, rate: u64) -> Result<()> {
        meters::set_rate(self.directory(), rate)
    }

    /// Waits for a state of the meters.
    pub fn until(&self, what: &str, is_so: impl Fn(&Meters) -> bool) -> Result<Meters> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let meters = Meters::read(self.directory())?;
            if is_so(&meters) {
                return Ok(meters);
            }
            self.check()?;
            if Instant::now() > deadline {
                bail!("waited in vain for {what}");
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Whether the engine in this process goes on without errors; the others' show as missing
    /// tuples.
    pub fn check(&self) -> Result<()> {
        let Host::Embedded {
            engine: Some((engine, _)),
            ..
        } = &self.host
        else {
            return Ok(());
        };
        if let Some(error) = engine.take_errors().first() {
            bail!("component {} reported: {}", error.component, error.text);
        }
        match engine.has_failed() {
            true => bail!("a thread of the engine ended"),
            false => Ok(()),
        }
    }

    /// Has the spouts stop; gives what the statistics (over `getTopologyInfo` where there is a
    /// Nimbus) say that they emitted.
    pub fn told_emitted(&mut self) -> Result<u64> {
        match &mut self.host {
            Host::Genuine(genuine) => genuine.told_emitted(),
            Host::Embedded { engine, .. } => {
                let (engine, program) = engine.as_ref().context("nothing was submitted")?;
                engine.deactivate();
                std::thread::sleep(STATS_WAIT);
                let of_spouts = engine.stats().into_iter().filter(|(executor, _)| {
                    let component = program.component_of(executor.first);
                    component.is_some_and(|component| component.as_str() == SPOUT)
                });
                Ok(of_spouts.map(|(_, stats)| emitted(&stats)).sum())
            }
            Host::Cluster(dev) => dev.calls(async |nimbus: &mut Nimbus| {
                nimbus.deactivate(Some(NAME)).await?;
                tokio::time::sleep(STATS_WAIT).await;
                let info = nimbus.get_topology_info_by_name(Some(NAME)).await?;
                let executors = info.executors.iter();
                let spouts = executors.filter(|executor| executor.component_id == SPOUT);
                let stats = spouts.filter_map(|executor| executor.stats.as_ref());
                Ok(stats.map(emitted).sum())
            }),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Host::Embedded { engine, .. } = &mut self.host
            && let Some((engine, _)) = engine.take()
            && let Err(error) = engine.stop(PATIENCE)
        {
            eprintln!("{error}");
        }
    }
}

fn emitted(stats: &ExecutorStats) -> u64 {
    let of_all_time = stats.emitted.get(ALL_TIME);
    let count = of_all_time.and_then(|streams| streams.get("default"));
    count.map_or(0, |count| u64::try_from(*count).unwrap_or(0))
}

/// Starts an engine of a plan in this process.
fn embed(plan: &Plan, n_threads: usize) -> Result<(Engine, Arc<Program>)> {
    let conf = Conf::defaults().overlay(&plan.conf);
    let conf = conf.with(keys::TOPOLOGY_NAME, NAME);
    let id = TopologyId::from("bench-1-1");
    let program = Arc::new(Program::new(id, plan.topology(), conf)?);
    let wanted = tasks::parallelism(&program.system);
    let executors = tasks::executors(&program.view.task_components, &wanted);
    let executors: Vec<_> = executors.into_keys().collect();
    let spinning = match n_threads <= machine::n_cores() {
        true => Spinning::Allowed,
        false => Spinning::Forbidden,
    };
    let options = EngineOptions {
        n_threads,
        spinning,
        ..EngineOptions::local(1)
    };
    let engine = Engine::start(Arc::clone(&program), &executors, Arc::new(BuiltIn), options);
    let engine = engine.context("cannot start an engine")?;
    engine.activate();
    Ok((engine, program))
}

const NAME: &str = "bench";
const ALL_TIME: &str = ":all-time";
/// For the last statistics to get where they are asked for.
const STATS_WAIT: Duration = Duration::from_millis(2500);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Genuine Storm takes many seconds from a submit to its first tuple.
const PATIENCE: Duration = Duration::from_secs(90);

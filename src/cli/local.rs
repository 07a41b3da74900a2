//! Runs a topology in a cluster of its own, in this process: Nimbus and a supervisor; the workers
//! are children that run this same program.
//!
//! Shows what the components print and report while it goes on, and what they did at its end. What
//! the topology is, its caller says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Map, json};

use super::client::{self, Nimbus, refused};
use super::daemon::{Cluster, complain, runtime, stopped, told_to_stop};
use super::output::Output;
use super::submit::{self, Submission};
use super::topology::components;
use crate::conf::{Conf, keys};
use crate::limits;
use crate::ports;
use crate::rpc::client::Address;
use crate::wire::storm::TopologyInfo;

/// A topology to run here.
pub struct LocalRun<'r> {
    pub name: &'r str,
    pub submission: Submission,
    /// Settings of the topology and of its cluster alike.
    pub settings: Conf,
    /// Until Ctrl-C without it.
    pub span: Option<Duration>,
    /// Which classes the workers have.
    pub known_class: fn(&str) -> bool,
    /// What workers log, unless `RUST_LOG` says otherwise.
    pub log_level: &'static str,
}

// === impl LocalRun ===

impl LocalRun<'_> {
    /// Runs it to its end; returns the exit code.
    pub fn run(self) -> Result<i32> {
        let runtime = runtime()?;
        // Before there is anything that a signal would leave behind.
        let told_to_stop = {
            let _within = runtime.enter();
            told_to_stop()?
        };
        let dir = format!("stormwire-local-{}", uuid::Uuid::new_v4());
        let dir = std::env::temp_dir().join(dir);
        fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let done = runtime.block_on(self.run_in(&dir, told_to_stop));
        // Only what a worker wrote tells more than the error.
        if done.is_err() && dir.join(LOGS).exists() {
            return done
                .map(|()| 0)
                .with_context(|| format!("its logs are in {}", dir.display()));
        }
        let removed = fs::remove_dir_all(&dir);
        done?;
        removed.with_context(|| format!("cannot remove {}", dir.display()))?;
        Ok(0)
    }

    async fn run_in(mut self, dir: &Path, told_to_stop: impl Future<Output = ()>) -> Result<()> {
        let mut told_to_stop = pin!(told_to_stop);
        let conf = std::mem::take(&mut self.submission.conf).overlay(&self.settings);
        // Every tuple counts in a table that somebody compares with what was printed.
        let conf = Conf::new()
            .with(keys::TOPOLOGY_STATS_SAMPLE_RATE, 1.0)
            .overlay(&conf);
        self.submission.conf = logging(conf, self.log_level);
        let of_cluster = of_cluster(dir, &self.submission.conf)?.overlay(&self.settings);
        let cluster = Cluster::start(&of_cluster, self.known_class).await?;
        let address = cluster.nimbus.address();
        let address = Address::new(address.ip().to_string(), address.port());
        let mut output = Output::new(dir.join(LOGS));
        let end = match self.span {
            Some(span) if span < FOREVER => format!("for {span:?}"),
            _ => "until Ctrl-C".to_owned(),
        };
        complain(format_args!("{} runs {end}; nimbus {address}", self.name));
        let begun = async {
            let mut nimbus = client::to_address(&address, &of_cluster).await?;
            submit::hand_in(&mut nimbus, &self.submission).await?;
            anyhow::Ok(nimbus)
        };
        let watched = async {
            let mut nimbus = tokio::select! {
                begun = begun => begun?,
                () = &mut told_to_stop => return Ok(None),
            };
            tokio::select! {
                watched = watch(&mut nimbus, self.name, &mut output) => watched?,
                () = &mut told_to_stop => {}
                () = sleep(self.span) => {}
            }
            // What the workers counted up to now reaches Nimbus with their next report.
            tokio::time::sleep(LAST_REPORT).await;
            look(&mut nimbus, self.name).await.map(Some)
        };
        let watched = watched.await;
        tokio::select! {
            () = cluster.stop() => {}
            // Whoever asks twice does not want to wait.
            again = stopped() => again?,
        }
        // Components that end may have last words.
        output.show_rest();
        if let Some(info) = watched? {
            complain(format_args!("\n{}", components(&info)));
        }
        Ok(())
    }
}

/// Shows what workers print, and errors as they are reported.
async fn watch(nimbus: &mut Nimbus, name: &str, output: &mut Output) -> Result<()> {
    let mut shown = BTreeSet::new();
    let mut n_looks: u32 = 0;
    loop {
        output.show();
        if n_looks.is_multiple_of(ERRORS_EVERY) {
            let info = look(nimbus, name).await?;
            for (component, errors) in &info.errors {
                for error in errors.iter().rev() {
                    let seen = (
                        component.clone(),
                        error.error_time_secs,
                        error.error.clone(),
                    );
                    if shown.len() < limits::ERRORS_SHOWN_MAX && shown.insert(seen) {
                        complain(format_args!("{component}: {}", error.error));
                    }
                }
            }
        }
        n_looks = n_looks.wrapping_add(1);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look(nimbus: &mut Nimbus, name: &str) -> Result<TopologyInfo> {
    let info = nimbus.get_topology_info_by_name(Some(name)).await;
    info.map_err(|error| refused("look at the topology", error))
}

async fn sleep(span: Option<Duration>) {
    match span {
        Some(span) => tokio::time::sleep(span).await,
        None => std::future::pending().await,
    }
}

/// A cluster on free ports, with as many slots as the topology has workers.
fn of_cluster(dir: &Path, topology: &Conf) -> Result<Conf> {
    let n_workers = topology.int_or(keys::TOPOLOGY_WORKERS, 1)?.max(1);
    let ports = ports::free(usize::try_from(n_workers)?)?;
    Ok(Conf::defaults()
        .with(keys::STORM_LOCAL_DIR, dir.display().to_string())
        .with(keys::STORM_LOG_DIR, dir.join(LOGS).display().to_string())
        .with(keys::NIMBUS_THRIFT_PORT, 0)
        .with(keys::STORMWIRE_COORDINATION_PORT, 0)
        .with(keys::SUPERVISOR_THRIFT_PORT, 0)
        // Nobody comes back to a run that was killed.
        .with(keys::STORMWIRE_WORKER_ORPHAN_TIMEOUT_SECS, 10)
        .with(keys::SUPERVISOR_SLOTS_PORTS, ports))
}

/// Has workers log at a level. Whoever sets `RUST_LOG` gets what it says.
fn logging(conf: Conf, level: &str) -> Conf {
    if std::env::var_os(LOG_VARIABLE).is_some() {
        return conf;
    }
    let given = conf.map(keys::TOPOLOGY_ENVIRONMENT).cloned();
    let mut environment: Map<_, _> = given.unwrap_or_default();
    environment
        .entry(LOG_VARIABLE)
        .or_insert_with(|| json!(level));
    conf.with(keys::TOPOLOGY_ENVIRONMENT, environment)
}

const LOG_VARIABLE: &str = "RUST_LOG";

/// Below the run's directory.
const LOGS: &str = "logs";

/// Soon enough for a person who reads along.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks at the output between two looks for errors.
const ERRORS_EVERY: u32 = 10;

/// Executors hand their counts over each second, and workers report each second.
const LAST_REPORT: Duration = Duration::from_millis(2_200);

/// Longer than anybody waits: clients that want no end say the largest number there is.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

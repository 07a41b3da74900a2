//! Runs a topology in a cluster of its own, in this process: Nimbus and a supervisor; the workers
//! are children that run this same program.
//!
//! Shows what the components print and report while it goes on, and what they did at its end.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Map, json};

use super::super::ConfArgs;
use super::super::client::{self, Nimbus, refused};
use super::super::daemon::{Cluster, complain, runtime, stopped};
use super::super::submit::{self, Submission};
use super::super::topology::components;
use super::output::Output;
use super::{Build, BuildArgs, topology};
use crate::builder::Topology;
use crate::component::registry;
use crate::conf::{Conf, keys};
use crate::limits;
use crate::rpc::client::Address;
use crate::topology::PROGRAM;
use crate::wire::storm::{TopologyInfo, TopologyInitialStatus};

/// How to run the topology here.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// End after so many seconds; without it at Ctrl-C, or when the topology itself says.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// A setting of the topology or its cluster, by Storm's key: `-c topology.workers=2`. The value
    /// is JSON, or else plain text.
    #[arg(short = 'c', value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// A directory with what shell components run: it becomes their working directory.
    #[arg(long, value_name = "DIR")]
    resources: Option<PathBuf>,
    #[command(flatten)]
    build: BuildArgs,
}

/// Runs the topology that `build` describes.
pub fn run(name: &str, build: Build<'_>, args: &RunArgs) -> Result<i32> {
    let topology = topology(build, &args.build.args)?;
    let dir = std::env::temp_dir().join(format!("stormwire-{name}-{}", uuid::Uuid::new_v4()));
    fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    match runtime()?.block_on(run_in(&dir, name, topology, args)) {
        Ok(()) => {
            let removed = fs::remove_dir_all(&dir);
            removed.with_context(|| format!("cannot remove {}", dir.display()))?;
            Ok(0)
        }
        Err(error) => Err(error.context(format!("its logs are in {}", dir.display()))),
    }
}

async fn run_in(dir: &Path, name: &str, topology: Topology, args: &RunArgs) -> Result<()> {
    let settings = submit::settings(&ConfArgs {
        settings: args.settings.clone(),
        ..ConfArgs::default()
    })?;
    let conf = quiet(topology.conf.overlay(&settings));
    let submission = Submission {
        name: name.to_owned(),
        topology: topology.wire,
        jar: match &args.resources {
            Some(resources) => submit::zip_resources(resources)?,
            None => submit::zip_nothing()?,
        },
        conf,
        status: TopologyInitialStatus::Active,
    };
    let of_cluster = of_cluster(dir, &submission.conf)?.overlay(&settings);
    let cluster = Cluster::start(&of_cluster, is_known).await?;
    let address = cluster.nimbus.address();
    let address = Address::new(address.ip().to_string(), address.port());
    let mut output = Output::new(dir.join(LOGS));
    let end = match args.seconds.map(Duration::from_secs).or(topology.run_for) {
        Some(span) => format!("for {span:?}"),
        None => "until Ctrl-C".to_owned(),
    };
    complain(format_args!("{name} runs {end}; nimbus {address}"));
    let watched = async {
        let mut nimbus = client::to_address(&address, &of_cluster).await?;
        submit::hand_in(&mut nimbus, &submission).await?;
        let span = args.seconds.map(Duration::from_secs).or(topology.run_for);
        tokio::select! {
            watched = watch(&mut nimbus, name, &mut output) => watched?,
            signalled = stopped() => signalled?,
            () = sleep(span) => {}
        }
        // What the workers counted up to now reaches Nimbus with their next report.
        tokio::time::sleep(LAST_REPORT).await;
        look(&mut nimbus, name).await
    };
    let watched = watched.await;
    tokio::select! {
        () = cluster.stop() => {}
        // Whoever asks twice does not want to wait.
        again = stopped() => again?,
    }
    // Components that end may have last words.
    output.show_rest();
    complain(format_args!("\n{}", components(&watched?)));
    Ok(())
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

/// Workers of this cluster are this very program.
fn is_known(class: &str) -> bool {
    class == PROGRAM || registry::knows(class)
}

/// A cluster on free ports, with as many slots as the topology has workers.
fn of_cluster(dir: &Path, topology: &Conf) -> Result<Conf> {
    let n_workers = topology.int_or(keys::TOPOLOGY_WORKERS, 1)?.max(1);
    // Held until all are drawn, so that no port comes twice.
    let listeners: Vec<TcpListener> = (0..n_workers)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<std::io::Result<_>>()?;
    let ports: Vec<u16> = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect::<std::io::Result<_>>()?;
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

/// Has workers log only what is wrong: the rest of their output is the components' own. Whoever
/// sets `RUST_LOG` gets what it says.
fn quiet(conf: Conf) -> Conf {
    if std::env::var_os(LOG_VARIABLE).is_some() {
        return conf;
    }
    let given = conf.map(keys::TOPOLOGY_ENVIRONMENT).cloned();
    let mut environment: Map<_, _> = given.unwrap_or_default();
    environment
        .entry(LOG_VARIABLE)
        .or_insert_with(|| json!("warn"));
    conf.with(keys::TOPOLOGY_ENVIRONMENT, environment)
}

const LOG_VARIABLE: &str = "RUST_LOG";

/// Below the run's directory.
const LOGS: &str = "logs";

/// Soon enough for a person who reads along.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks at the output between two looks for errors.
const ERRORS_EVERY: u32 = 10;

/// Workers report each second.
const LAST_REPORT: Duration = Duration::from_millis(1_100);

//! Runs a program's topology in a cluster of its own, in this process: the workers are children
//! that run this same program.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::super::ConfArgs;
use super::super::local::LocalRun;
use super::super::submit::{self, Submission};
use super::{Build, BuildArgs, topology};
use crate::component::registry;
use crate::topology::PROGRAM;
use crate::wire::storm::TopologyInitialStatus;

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
    let settings = submit::settings(&ConfArgs {
        settings: args.settings.clone(),
        ..ConfArgs::default()
    })?;
    let run = LocalRun {
        name,
        submission: Submission {
            name: name.to_owned(),
            topology: topology.wire,
            jar: match &args.resources {
                Some(resources) => submit::zip_resources(resources)?,
                None => submit::zip_nothing()?,
            },
            conf: topology.conf,
            status: TopologyInitialStatus::Active,
        },
        settings,
        span: args.seconds.map(Duration::from_secs).or(topology.run_for),
        known_class: is_known,
        // The rest of their output is the components' own.
        log_level: "warn",
    };
    run.run()
}

/// Workers of this cluster are this very program.
fn is_known(class: &str) -> bool {
    class == PROGRAM || registry::knows(class)
}

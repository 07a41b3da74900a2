//! `submit` of a topology's program: the program itself is the jar.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::super::ClientArgs;
use super::super::submit::{self, Submission};
use super::{Build, BuildArgs, jar, topology};

/// Where to submit the topology, and how.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// The topology's name, instead of the program's.
    #[arg(long)]
    name: Option<String>,
    /// The same program, built for another platform (Rust's target triple). May be repeated.
    #[arg(long, value_name = "FILE")]
    also: Vec<PathBuf>,
    /// A directory with what shell components run: it becomes their working directory.
    #[arg(long, value_name = "DIR")]
    resources: Option<PathBuf>,
    /// Submit it deactivated.
    #[arg(long)]
    inactive: bool,
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    build: BuildArgs,
}

/// Submits the topology that `build` describes.
pub fn run(name: &str, build: Build<'_>, args: &SubmitArgs) -> Result<i32> {
    let topology = topology(build, &args.build.args)?;
    let submission = Submission {
        name: args.name.clone().unwrap_or_else(|| name.to_owned()),
        conf: topology.conf.overlay(&submit::settings(&args.client.conf)?),
        topology: topology.wire,
        jar: jar::pack(&args.also, args.resources.as_deref())?,
        status: submit::status(args.inactive),
    };
    submit::send(&args.client, &submission)?;
    Ok(0)
}

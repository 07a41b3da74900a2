//! A topology as a program of its own: its `main` and its command line.
//!
//! The same executable runs the topology in a cluster of its own, submits itself to another one,
//! and is what runs there: supervisors take it out of the jar and start it as the worker.

mod jar;
mod run;
mod stamp;
mod submit;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::shape::Causes;
use super::{WorkerArgs, daemon, logging};
use crate::builder::{Parts, Topology, TopologyBuilder};
use crate::component::{self, Factory};
use crate::conf::keys;
use crate::wire::messages::WorkerLaunch;
use crate::wire::stored;
use crate::worker::task;

/// What describes the topology, in every process anew.
type Build<'b> = &'b dyn Fn(&mut TopologyBuilder) -> component::Result<()>;

/// The command line of a topology's program.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct ProgramCli {
    #[command(subcommand)]
    command: Option<ProgramCommand>,
    #[command(flatten)]
    run: run::RunArgs,
}

#[derive(Debug, Subcommand)]
enum ProgramCommand {
    /// Run the topology here, in a cluster of its own; the same as no command.
    Run(run::RunArgs),
    /// Submit the topology to a cluster, with this program as its code.
    Submit(submit::SubmitArgs),
    /// Run one worker. Supervisors call this.
    #[command(hide = true)]
    Worker(WorkerArgs),
}

/// What `build` itself is told.
#[derive(Clone, Debug, Default, Args)]
struct BuildArgs {
    /// Arguments of the topology's own, behind `--`; its workers get them too.
    #[arg(last = true, value_name = "ARGUMENT")]
    args: Vec<String>,
}

/// The `main` of a topology's program.
///
/// `build` describes the topology. It is called wherever components are needed: here, where the
/// topology is run or submitted, and in each worker; it has to say the same each time, of nothing
/// but [`TopologyBuilder::args`].
///
/// ```no_run
/// use std::process::ExitCode;
/// use stormwire::prelude::*;
///
/// struct Hello;
///
/// impl Spout for Hello {
///     fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
///         out.emit(values!["hello"])
///     }
/// }
///
/// fn build(topology: &mut TopologyBuilder) -> Result<()> {
///     topology.set_spout("hello", 1, || Hello).output_fields(["word"]);
///     Ok(())
/// }
///
/// fn main() -> ExitCode {
///     stormwire::program::main("hello", build)
/// }
/// ```
pub fn main(
    name: &'static str,
    build: impl Fn(&mut TopologyBuilder) -> component::Result<()>,
) -> ExitCode {
    let about = format!("The topology {name}: runs it here, or submits it to a cluster.");
    let matches = ProgramCli::command().name(name).about(about).get_matches();
    let cli = match ProgramCli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let (level, lines) = match &cli.command {
        Some(ProgramCommand::Worker(_)) => ("info", logging::Lines::Output),
        _ => ("error", logging::Lines::Apart),
    };
    let levels = logging::start(level, lines);
    let done = match cli.command {
        None => run::run(name, &build, &cli.run),
        Some(ProgramCommand::Run(args)) => run::run(name, &build, &args),
        Some(ProgramCommand::Submit(args)) => submit::run(name, &build, &args),
        Some(ProgramCommand::Worker(args)) => daemon::worker_of(&args.launch, levels, |launch| {
            let parts = parts(&build, launch);
            let parts = parts.unwrap_or_else(|error| Parts::broken(Causes(&error).to_string()));
            Arc::new(parts) as Arc<dyn Factory>
        }),
    };
    match done {
        Ok(code) => u8::try_from(code).unwrap_or(1).into(),
        Err(error) => {
            daemon::complain(format_args!("{name}: {}", Causes(&error)));
            ExitCode::FAILURE
        }
    }
}

/// The topology, as it is described for these arguments.
fn topology(build: Build<'_>, args: &[String]) -> Result<Topology> {
    let mut builder = TopologyBuilder::with_args(args.to_vec());
    let told = task::guard(|| build(&mut builder));
    told.map_err(|failure| anyhow!("cannot build the topology: {failure}"))?;
    if !args.is_empty() {
        builder.conf(keys::STORMWIRE_PROGRAM_ARGS, args.to_vec());
    }
    builder.build().context("cannot build the topology")
}

/// What a worker makes its components with.
fn parts(build: Build<'_>, launch: &WorkerLaunch) -> Result<Parts> {
    let path = std::path::Path::new(&launch.code_dir).join("stormconf.ser");
    let unreadable = || format!("cannot read {}", path.display());
    let conf = std::fs::read(&path).with_context(unreadable)?;
    let conf = stored::unpack_conf(&conf).with_context(unreadable)?;
    let args = conf.texts(keys::STORMWIRE_PROGRAM_ARGS)?;
    let topology = topology(build, &args)?;
    Ok(Arc::unwrap_or_clone(topology.parts))
}

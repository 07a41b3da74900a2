//! The commands: what each takes, and which file carries it out.
//!
//! Reads arguments and nothing else; the only place, with the files below, that prints for people.

mod bench;
mod blob;
mod client;
mod daemon;
mod demo;
mod drpc;
pub mod logging;
mod operations;
pub mod program;
mod steer;
mod submit;
mod table;
mod topology;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::conf::{Conf, ConfError};
use crate::worker::log_levels::LogLevels;

/// Apache Storm's daemons in Rust: run, steer and look at topologies.
#[derive(Debug, Parser)]
#[command(name = "stormwire", version, about)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole cluster here: Nimbus, a supervisor and a DRPC server in this process, workers as
    /// its children.
    Dev(ConfArgs),
    /// Run Nimbus, the coordinator.
    Nimbus(ConfArgs),
    /// Run a supervisor, which starts the workers of this machine.
    Supervisor(ConfArgs),
    /// Run a DRPC server, through which clients call functions that topologies answer.
    Drpc(ConfArgs),
    /// Run one worker. Supervisors call this.
    #[command(hide = true)]
    Worker(WorkerArgs),
    /// Submit a topology that a YAML file describes.
    Submit(submit::SubmitArgs),
    /// List the topologies that run.
    List(ClientArgs),
    /// End topologies, once the tuples in flight had time to finish.
    Kill(steer::KillArgs),
    /// Let topologies' spouts emit again.
    Activate(steer::NamesArgs),
    /// Stop topologies' spouts; their bolts finish what is in flight.
    Deactivate(steer::NamesArgs),
    /// Change a running topology's workers, executors, resources or settings.
    Rebalance(steer::RebalanceArgs),
    /// List, read, write and share blobs: files that topologies find beside their code.
    Blobstore(blob::BlobArgs),
    /// Show a topology: components, executors, counts, latencies, errors.
    Info(topology::NameArgs),
    /// Call functions that topologies answer, and print their results.
    DrpcClient(drpc::ClientArgs),
    /// Set the level of a topology's loggers, for a while or until it is taken back.
    #[command(name = "set_log_level", visible_alias = "set-log-level")]
    SetLogLevel(operations::LogLevelArgs),
    /// Give a topology's components new credentials.
    UploadCredentials(operations::CredentialsArgs),
    /// Count the words of a text with Python spouts and bolts on a cluster of its own.
    Demo(demo::DemoArgs),
    /// Measure this build on this machine: tuples, calls, submits, idleness.
    Bench(bench::BenchArgs),
}

/// Where settings come from: defaults, then storm.yaml, then these.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfArgs {
    /// A setting, by Storm's key: `-c nimbus.thrift.port=6627`. The value is JSON, or else plain
    /// text.
    #[arg(short = 'c', value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// The storm.yaml to read instead of the one that is found by itself.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// How a client command finds Nimbus.
#[derive(Clone, Debug, Default, Args)]
pub struct ClientArgs {
    #[command(flatten)]
    pub conf: ConfArgs,
    /// Nimbus's address; without it nimbus.seeds and nimbus.thrift.port say where.
    #[arg(long, value_name = "HOST:PORT")]
    pub nimbus: Option<String>,
}

/// What a supervisor tells a worker.
#[derive(Clone, Debug, Args)]
pub struct WorkerArgs {
    /// The file with the worker's instructions.
    #[arg(long, value_name = "FILE")]
    pub launch: PathBuf,
}

// === impl Cli ===

impl Cli {
    /// What is logged unless `RUST_LOG` says otherwise: daemons tell what they do, commands only
    /// what is wrong.
    pub fn log_level(&self) -> &'static str {
        match self.command {
            Command::Dev(_)
            | Command::Nimbus(_)
            | Command::Supervisor(_)
            | Command::Drpc(_)
            | Command::Worker(_) => "info",
            _ => "error",
        }
    }

    /// Carries the command out; returns the process's exit code. `levels` are of its log.
    pub fn run(self, levels: LogLevels) -> anyhow::Result<i32> {
        match self.command {
            Command::Dev(args) => daemon::dev(&args.conf()?),
            Command::Nimbus(args) => daemon::nimbus(&args.conf()?),
            Command::Supervisor(args) => daemon::supervisor(&args.conf()?),
            Command::Drpc(args) => daemon::drpc(&args.conf()?),
            Command::Worker(args) => daemon::worker(&args.launch, levels),
            Command::Submit(args) => submit::run(args),
            Command::List(args) => topology::list(&args),
            Command::Kill(args) => steer::kill(&args),
            Command::Activate(args) => steer::activate(&args),
            Command::Deactivate(args) => steer::deactivate(&args),
            Command::Rebalance(args) => steer::rebalance(&args),
            Command::Blobstore(args) => blob::run(args),
            Command::Info(args) => topology::info(&args),
            Command::DrpcClient(args) => drpc::run(&args),
            Command::SetLogLevel(args) => operations::set_log_level(&args),
            Command::UploadCredentials(args) => operations::upload_credentials(&args),
            Command::Demo(args) => demo::run(&args),
            Command::Bench(args) => bench::run(&args),
        }
    }
}

// === impl ConfArgs ===

impl ConfArgs {
    /// Defaults, storm.yaml and the settings given, in this order.
    pub fn conf(&self) -> Result<Conf, ConfError> {
        Conf::load(self.config.as_deref(), &self.settings)
    }
}

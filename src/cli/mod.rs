//! The commands: what each takes, and which file carries it out.
//!
//! Reads arguments and nothing else; the only place, with the files below, that prints for people.

mod absent;
mod admin;
mod bench;
mod blob;
mod client;
mod confvalue;
mod daemon;
mod demo;
mod drpc;
mod errors;
mod flow;
pub mod flux;
mod gateway;
mod jar;
mod java;
mod local;
pub mod logging;
mod monitor;
mod node;
mod operations;
mod output;
pub mod program;
mod progress;
mod shape;
mod shell;
mod site;
pub mod stand_in;
mod steer;
pub mod storm_env;
mod submit;
mod table;
mod topology;
mod words;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use self::absent::{Absent, Unneeded};
use crate::conf::{Conf, ConfError, keys};
use crate::worker::log_levels::LogLevels;

pub use shape::failed;

/// Apache Storm's daemons in Rust: run, steer and look at topologies.
#[derive(Debug, Parser)]
#[command(name = "stormwire", version, about, infer_long_args = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole cluster here: Nimbus, a supervisor, a DRPC server, the UI and the log viewer in
    /// this process, workers as its children.
    Dev(ConfArgs),
    /// Run Nimbus, the coordinator.
    Nimbus(ConfArgs),
    /// Run a supervisor, which starts the workers of this machine.
    Supervisor(ConfArgs),
    /// Run a DRPC server, through which clients call functions that topologies answer.
    Drpc(ConfArgs),
    /// Run the UI: Storm's REST API, and a page for people.
    Ui(ConfArgs),
    /// Run the log viewer of a supervisor's machine.
    Logviewer(ConfArgs),
    /// Run one worker. Supervisors call this.
    #[command(hide = true)]
    Worker(WorkerArgs),
    /// Submit a topology that a YAML file describes.
    Submit(submit::SubmitArgs),
    /// Run, submit or show a topology that YAML files describe, with the options of Storm's Flux.
    Flux(flux::FluxArgs),
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
    /// Show how many tuples a component emits, interval after interval.
    Monitor(monitor::MonitorArgs),
    /// Print the latest error of each component of a topology, as JSON.
    GetErrors(topology::NameArgs),
    /// Set the level of a topology's loggers, for a while or until it is taken back.
    #[command(name = "set_log_level", visible_alias = "set-log-level")]
    SetLogLevel(operations::LogLevelArgs),
    /// Run the main class of a jar, which submits a topology: Flux, or a Java class, in a JVM.
    Jar(jar::JarArgs),
    /// Run a topology of a jar here, in a cluster of its own: Flux only.
    Local(jar::JarArgs),
    /// Upload a directory as a jar, then call a program that submits a topology.
    Shell(shell::ShellArgs),
    /// Give a topology's components new credentials.
    UploadCredentials(operations::CredentialsArgs),
    /// Print a setting of this machine's configuration.
    #[command(visible_alias = "remoteconfvalue")]
    Localconfvalue(confvalue::ValueArgs),
    /// Print the version that clients are told, and this program's.
    Version(ConfArgs),
    /// Print the class path on which Java main classes run.
    Classpath(ConfArgs),
    /// Print the class path with which `jar --storm-server-classpath` runs them.
    #[command(name = "server_classpath")]
    ServerClasspath(ConfArgs),
    /// Run the health scripts of this machine's supervisor once.
    #[command(visible_alias = "healthcheck")]
    NodeHealthCheck(ConfArgs),
    /// End the workers of this machine's supervisor.
    #[command(name = "kill_workers")]
    KillWorkers(ConfArgs),
    /// Look at what operators of Storm find in ZooKeeper.
    Admin(admin::AdminArgs),
    /// Not needed: says so, and stays until it is told to stop.
    DevZookeeper(ConfArgs),
    /// Not needed: says so, and stays until it is told to stop.
    Pacemaker(ConfArgs),
    /// Not there: SQL becomes Java components.
    Sql(absent::AnyArgs),
    /// Not there: there is no Pacemaker.
    Heartbeats(absent::AnyArgs),
    /// Not there: there is no Clojure.
    Repl(absent::AnyArgs),
    /// Get a certificate from Nimbus for a process that serves a component over the gateway, where
    /// the topology's links are encrypted.
    GatewayCertificate(gateway::CertificateArgs),
    /// Count the words of a text with Python spouts and bolts on a cluster of its own.
    Demo(demo::DemoArgs),
    /// Measure this build on this machine: tuples, calls, submits, idleness.
    Bench(bench::BenchArgs),
    /// Be the child of a measured shell bolt.
    #[command(hide = true)]
    BenchChild,
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

// === impl Command ===

impl Command {
    /// A daemon's name, which its log has too, and its settings; none of what is no daemon.
    fn as_daemon(&self) -> Option<(&'static str, &ConfArgs)> {
        match self {
            Command::Dev(args) => Some(("dev", args)),
            Command::Nimbus(args) => Some(("nimbus", args)),
            Command::Supervisor(args) => Some(("supervisor", args)),
            Command::Drpc(args) => Some(("drpc", args)),
            Command::Ui(args) => Some(("ui", args)),
            Command::Logviewer(args) => Some(("logviewer", args)),
            _ => None,
        }
    }
}

// === impl Cli ===

impl Cli {
    /// Starts the process's log where the command and its conf say; the levels are there to be
    /// changed.
    fn start_log(&self) -> anyhow::Result<LogLevels> {
        // Daemons tell what they do, commands only what is wrong.
        if let Some((name, args)) = self.command.as_daemon() {
            logging::to_file(&args.conf()?, name)?;
            return Ok(logging::start("info", logging::Lines::Apart));
        }
        Ok(match self.command {
            Command::Worker(_) => logging::start("info", logging::Lines::Output),
            _ => logging::start("error", logging::Lines::Apart),
        })
    }

    /// Carries the command out; returns the process's exit code.
    pub fn run(self) -> anyhow::Result<i32> {
        let levels = self.start_log()?;
        match self.command {
            Command::Dev(args) => daemon::dev(&args.conf()?),
            Command::Nimbus(args) => daemon::nimbus(&args.conf()?),
            Command::Supervisor(args) => daemon::supervisor(&args.conf()?),
            Command::Drpc(args) => daemon::drpc(&args.conf()?),
            Command::Ui(args) => site::ui(&args.conf()?),
            Command::Logviewer(args) => site::logviewer(&args.conf()?),
            Command::Worker(args) => daemon::worker(&args.launch, levels),
            Command::Submit(args) => submit::run(args),
            Command::Flux(args) => flux::run(args),
            Command::List(args) => topology::list(&args),
            Command::Kill(args) => steer::kill(&args),
            Command::Activate(args) => steer::activate(&args),
            Command::Deactivate(args) => steer::deactivate(&args),
            Command::Rebalance(args) => steer::rebalance(&args),
            Command::Blobstore(args) => blob::run(args),
            Command::Info(args) => topology::info(&args),
            Command::GatewayCertificate(args) => gateway::certificate(&args),
            Command::DrpcClient(args) => drpc::run(&args),
            Command::Monitor(args) => monitor::monitor(&args),
            Command::GetErrors(args) => errors::get_errors(&args),
            Command::Jar(args) => jar::jar(&args),
            Command::Local(args) => jar::local(&args),
            Command::Shell(args) => shell::shell(&args),
            Command::Localconfvalue(args) => confvalue::show(&args),
            Command::Version(args) => version(&args),
            Command::Classpath(args) => java::show_class_path(&args, false),
            Command::ServerClasspath(args) => java::show_class_path(&args, true),
            Command::NodeHealthCheck(args) => node::health_check(&args),
            Command::KillWorkers(args) => node::kill_workers(&args),
            Command::Admin(args) => admin::run(&args),
            Command::DevZookeeper(args) => Unneeded::ZooKeeper.run(&args),
            Command::Pacemaker(args) => Unneeded::Pacemaker.run(&args),
            Command::Sql(args) => Absent::Sql.refuse(&args),
            Command::Heartbeats(args) => Absent::Heartbeats.refuse(&args),
            Command::Repl(args) => Absent::Repl.refuse(&args),
            Command::SetLogLevel(args) => operations::set_log_level(&args),
            Command::UploadCredentials(args) => operations::upload_credentials(&args),
            Command::Demo(args) => demo::run(&args),
            Command::Bench(args) => bench::run(&args),
            Command::BenchChild => bench::run_child(),
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

/// `stormwire version`: the line that scripts look for is the first.
fn version(args: &ConfArgs) -> anyhow::Result<i32> {
    let reported = args
        .conf()?
        .text_or(keys::STORMWIRE_VERSION_REPORTED, "Unknown")?;
    daemon::say(format_args!("Storm {reported}"));
    daemon::say(format_args!("Stormwire {}", env!("CARGO_PKG_VERSION")));
    Ok(0)
}

//! The program: arguments, logging, command, exit code. Everything else is the library's.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use stormwire::cli::{Cli, Command};
use stormwire::worker::log_levels::LogLevels;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

#[global_allocator]
static ALLOCATOR: stormwire::allocations::Counting = stormwire::allocations::Counting;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // RUST_LOG says what is logged; by default what a person should see. Logs go to standard error,
    // so that what commands print can be piped; a worker prints nothing else, and its standard
    // output is worker.log.
    let writer = match &cli.command {
        Command::Worker(_) => BoxMakeWriter::new(std::io::stdout),
        _ => BoxMakeWriter::new(std::io::stderr),
    };
    let filter = EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(cli.log_level()));
    let levels = LogLevels::default();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(std::io::stderr().is_terminal())
        .with_filter(levels.filter(filter));
    tracing_subscriber::registry().with(lines).init();
    match cli.run(levels) {
        Ok(code) => u8::try_from(code).unwrap_or(1).into(),
        Err(error) => {
            eprintln!("stormwire: {error:#}");
            ExitCode::FAILURE
        }
    }
}

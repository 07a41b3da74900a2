//! The program: arguments, logging, command, exit code. Everything else is the library's.

use std::process::ExitCode;

use clap::Parser;
use stormwire::cli::{Cli, Command, logging};

#[global_allocator]
static ALLOCATOR: stormwire::allocations::Counting = stormwire::allocations::Counting;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let lines = match &cli.command {
        Command::Worker(_) => logging::Lines::Output,
        _ => logging::Lines::Apart,
    };
    let levels = logging::start(cli.log_level(), lines);
    match cli.run(levels) {
        Ok(code) => u8::try_from(code).unwrap_or(1).into(),
        Err(error) => {
            eprintln!("stormwire: {error:#}");
            ExitCode::FAILURE
        }
    }
}

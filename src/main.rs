//! The program: arguments, logging, command, exit code. Everything else is the library's.

use std::process::ExitCode;

use stormwire::cli::{self, stand_in, storm_env};

#[global_allocator]
static ALLOCATOR: stormwire::allocations::Counting = stormwire::allocations::Counting;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    let done = storm_env::enter(&args).and_then(|()| stand_in::parse(args).run());
    match done {
        Ok(code) => u8::try_from(code).unwrap_or(1).into(),
        Err(error) => {
            cli::failed(&error);
            ExitCode::FAILURE
        }
    }
}

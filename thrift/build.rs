//! Generates Rust from the IDL files beside it, for `src/wire/generated.rs` to include.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

mod emit;
mod idl;

fn main() -> ExitCode {
    match generate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn generate() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("thrift");
    let target = env::var("OUT_DIR")?;
    println!("cargo::rerun-if-changed=thrift");
    // Topologies' programs are named after it in their jars.
    println!("cargo::rustc-env=STORMWIRE_TARGET={}", env::var("TARGET")?);
    let mut documents = Vec::new();
    for file in FILES {
        let path = folder.join(file);
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("{}: {error}; put the file there", path.display()))?;
        documents.push(idl::parse(&format!("thrift/{file}"), &text)?);
    }
    let model = emit::Model::new(documents)?;
    for file in FILES {
        let scope = emit::stem(file);
        fs::write(
            Path::new(&target).join(format!("{scope}.rs")),
            model.emit(scope),
        )?;
    }
    Ok(())
}

const FILES: [&str; 2] = ["storm.thrift", "messages.thrift"];

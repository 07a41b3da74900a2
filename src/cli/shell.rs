//! `shell`: uploads a directory as a jar, then calls a program that submits a topology by Thrift.
//!
//! The program gets Nimbus's host and port and the jar's place as its last three arguments: the way
//! in for submitters in any language. Its exit code is ours; Storm's client ends with 0 always.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::submit::{upload, zip_resources};
use super::words::Words;
use super::{ClientArgs, client};

/// What to upload, and what to call then.
#[derive(Debug, Args)]
pub struct ShellArgs {
    /// DIRECTORY COMMAND ARGUMENT..., and among them -c KEY=VALUE, --config FILE, --nimbus
    /// HOST:PORT. The files of DIRECTORY become `resources/` of the jar: where shell components
    /// run. COMMAND is called with HOST PORT JAR behind its own arguments.
    #[arg(value_name = "DIRECTORY COMMAND ARGUMENT")]
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// `stormwire shell`.
pub fn shell(args: &ShellArgs) -> Result<i32> {
    let words = Words::read(&args.words, &["nimbus"], &[])?;
    let [dir, command, arguments @ ..] = words.rest.as_slice() else {
        bail!("a directory and a command are needed: shell DIRECTORY COMMAND ARGUMENT...");
    };
    let jar = zip_resources(Path::new(dir))?;
    let client = ClientArgs {
        nimbus: words
            .has("nimbus")
            .then(|| words.option("nimbus").to_owned()),
        conf: words.conf.clone(),
    };
    let (address, location) = client::block_on(async {
        let (mut nimbus, address) = client::connect_named(&client).await?;
        let location = upload(&mut nimbus, &jar).await?;
        Ok((address, location))
    })?;
    let status = Command::new(command)
        .args(arguments)
        .arg(&address.host)
        .arg(address.port.to_string())
        .arg(location)
        .status()
        .with_context(|| format!("cannot run {command}"))?;
    // As shells tell a signal.
    let by_signal = status.signal().map(|signal| 128 + signal);
    Ok(status.code().or(by_signal).unwrap_or(1))
}

//! `gateway-certificate`: what a peer of a topology's gateways needs where links are encrypted.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use super::ClientArgs;
use super::client::{self, refused};
use super::daemon::say;
use crate::wire::messages::gateway_finder::Client;

/// Whose certificate, and where it goes.
#[derive(Debug, Args)]
pub struct CertificateArgs {
    /// The topology's name.
    pub topology: String,
    /// The directory that gets authority.pem, certificate.pem and key.pem.
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    pub into: PathBuf,
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `stormwire gateway-certificate`.
pub fn certificate(args: &CertificateArgs) -> Result<i32> {
    let name = &args.topology;
    let issued = client::block_on(async {
        let mut nimbus = Client::new(client::connection(&args.client).await?);
        let issued = nimbus.gateway_certificate(Some(name)).await;
        issued.map_err(|e| refused(&format!("get a certificate for peers of {name}"), e))
    })?;
    std::fs::create_dir_all(&args.into)
        .with_context(|| format!("cannot make {}", args.into.display()))?;
    let files = [
        ("authority.pem", &issued.authority, READ_BY_ALL),
        ("certificate.pem", &issued.certificate, READ_BY_ALL),
        ("key.pem", &issued.key, SECRET),
    ];
    for (file, text, mode) in files {
        let path = args.into.join(file);
        write(&path, text, mode).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let hours = issued
        .expires_ms
        .saturating_sub(crate::clock::wall_millis())
        / MILLIS_PER_HOUR;
    say(format_args!(
        "{}: authority.pem, certificate.pem and key.pem, good for {hours} hours",
        args.into.display()
    ));
    Ok(0)
}

/// A new file each time: one that others can read already must not get a secret.
fn write(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}

const READ_BY_ALL: u32 = 0o644;
const SECRET: u32 = 0o600;
const MILLIS_PER_HOUR: i64 = 3_600_000;

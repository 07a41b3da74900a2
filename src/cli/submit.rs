//! `stormwire submit`: a topology from a YAML file, with its scripts, to Nimbus over Thrift.

use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::client::{self, Nimbus, refused};
use super::{ClientArgs, ConfArgs};
use crate::conf::Conf;
use crate::flux;
use crate::wire::storm::{StormTopology, SubmitOptions, TopologyInitialStatus};

/// A topology to submit.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// The topology's YAML file, in the shape of Storm's Flux.
    pub file: PathBuf,
    /// The topology's name, instead of the file's.
    #[arg(long)]
    pub name: Option<String>,
    /// A directory with what shell components run: scripts, virtualenvs. It becomes their working
    /// directory.
    #[arg(long, value_name = "DIR", conflicts_with = "jar")]
    pub resources: Option<PathBuf>,
    /// A zip or jar with a `resources/` folder, instead of a directory.
    #[arg(long, value_name = "FILE")]
    pub jar: Option<PathBuf>,
    /// Submit it deactivated.
    #[arg(long)]
    pub inactive: bool,
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What Nimbus gets.
pub struct Submission {
    pub name: String,
    pub conf: Conf,
    pub topology: StormTopology,
    /// The jar's bytes.
    pub jar: Vec<u8>,
    pub status: TopologyInitialStatus,
}

/// Submits.
pub fn run(args: SubmitArgs) -> Result<i32> {
    let definition = flux::read(&args.file)?;
    let name = args.name.clone().or(definition.name);
    let name =
        name.context("the topology has no name: give --name, or a `name:` line in its file")?;
    let conf = definition.conf.overlay(&settings(&args.client.conf)?);
    let jar = match (&args.resources, &args.jar) {
        (Some(dir), _) => zip_resources(dir)?,
        (None, Some(jar)) => {
            fs::read(jar).with_context(|| format!("cannot read {}", jar.display()))?
        }
        (None, None) => zip_nothing()?,
    };
    let submission = Submission {
        name,
        conf,
        topology: definition.topology,
        jar,
        status: status(args.inactive),
    };
    send(&args.client, &submission)?;
    Ok(0)
}

/// The status that a topology begins in.
pub fn status(is_inactive: bool) -> TopologyInitialStatus {
    match is_inactive {
        true => TopologyInitialStatus::Inactive,
        false => TopologyInitialStatus::Active,
    }
}

/// Uploads the jar, submits the topology, says so.
pub fn send(args: &ClientArgs, submission: &Submission) -> Result<()> {
    let name = &submission.name;
    client::block_on(async {
        let mut nimbus = client::connect(args).await?;
        hand_in(&mut nimbus, submission).await
    })?;
    println!("Submitted topology: {name}");
    Ok(())
}

/// Uploads the jar and submits the topology.
pub async fn hand_in(nimbus: &mut Nimbus, submission: &Submission) -> Result<()> {
    let name = &submission.name;
    let location = upload(nimbus, &submission.jar).await?;
    let options = SubmitOptions {
        initial_status: submission.status.into(),
        creds: None,
    };
    let submitted = nimbus
        .submit_topology_with_opts(
            Some(name),
            Some(&location),
            Some(&submission.conf.to_json()),
            Some(&submission.topology),
            Some(&options),
        )
        .await;
    submitted.map_err(|e| refused(&format!("submit {name}"), e))
}

/// Sends a jar to Nimbus; returns where it put it.
pub async fn upload(nimbus: &mut Nimbus, jar: &[u8]) -> Result<String> {
    let failed = |e: String| refused("upload the jar", e);
    let begun = nimbus.begin_file_upload().await;
    let location = begun.map_err(|e| failed(e.to_string()))?;
    let bar = ProgressBar::new(jar.len() as u64);
    bar.set_style(ProgressStyle::with_template(
        "upload {bar:40} {bytes}/{total_bytes}",
    )?);
    for chunk in jar.chunks(CHUNK_BYTES) {
        let sent = nimbus.upload_chunk(Some(&location), Some(chunk)).await;
        sent.map_err(|e| failed(e.to_string()))?;
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    let finished = nimbus.finish_file_upload(Some(&location)).await;
    finished.map_err(|e| failed(e.to_string()))?;
    Ok(location)
}

/// What `-c` and `--config` add to the topology's conf; the cluster's own defaults stay out of it.
pub fn settings(args: &ConfArgs) -> Result<Conf> {
    let with = args.conf()?;
    let without = ConfArgs {
        settings: Vec::new(),
        ..args.clone()
    }
    .conf()?;
    let given = with
        .iter()
        .filter(|(key, value)| without.get(key) != Some(*value));
    let mut conf: Conf = given
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect();
    // A setting that repeats a default is a setting all the same.
    for setting in &args.settings {
        let key = setting.split('=').next().unwrap_or_default();
        if let Some(value) = with.get(key) {
            conf.set(key, value.clone());
        }
    }
    Ok(conf)
}

/// A jar with nothing in it.
pub fn zip_nothing() -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_directory("resources/", SimpleFileOptions::default())?;
    Ok(zip.finish()?.into_inner())
}

/// A jar of a directory.
pub fn zip_resources(dir: &Path) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_directory("resources/", SimpleFileOptions::default())?;
    add_resources(&mut zip, dir)?;
    Ok(zip.finish()?.into_inner())
}

/// Adds a directory's files below `resources/`, exec bits kept.
pub fn add_resources(zip: &mut ZipWriter<Cursor<Vec<u8>>>, dir: &Path) -> Result<()> {
    let mut dirs = vec![dir.to_owned()];
    while let Some(inner) = dirs.pop() {
        let listed = fs::read_dir(&inner);
        for entry in listed.with_context(|| format!("cannot read {}", inner.display()))? {
            let path = entry?.path();
            let metadata =
                fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
            if metadata.is_dir() {
                dirs.push(path);
                continue;
            }
            let below = path.strip_prefix(dir).unwrap_or(&path);
            let options =
                SimpleFileOptions::default().unix_permissions(metadata.permissions().mode());
            zip.start_file(format!("resources/{}", below.display()), options)?;
            let content = fs::read(&path);
            let content = content.with_context(|| format!("cannot read {}", path.display()))?;
            zip.write_all(&content)?;
        }
    }
    Ok(())
}

/// What every client of Storm sends at a time.
const CHUNK_BYTES: usize = 307_200;

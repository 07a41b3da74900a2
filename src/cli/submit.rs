//! `stormwire submit`: a topology from a YAML file, with its scripts, to Nimbus over Thrift.

use std::fs::{self, File};
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::client::{self, Nimbus, refused};
use super::daemon::{complain, say};
use super::progress::Progress;
use super::{ClientArgs, ConfArgs};
use crate::conf::Conf;
use crate::wire::storm::{StormTopology, SubmitOptions, TopologyInitialStatus};
use crate::{flux, limits};

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

/// What a topology's shell components run: in a jar, in a directory, or nothing.
#[derive(Debug, Default)]
pub struct Files {
    /// A jar or zip, of which `resources/` counts.
    pub jar: Option<PathBuf>,
    /// A directory that becomes a jar's `resources/`.
    pub resources: Option<PathBuf>,
}

/// Submits.
pub fn run(args: SubmitArgs) -> Result<i32> {
    let files = Files {
        jar: args.jar,
        resources: args.resources,
    };
    let resources = |name: &str| files.resource(name);
    let options = flux::Options {
        resources: Some(&resources),
        ..flux::Options::default()
    };
    let definition = flux::read(&flux::Source::File(args.file), &options)?;
    for warning in &definition.warnings {
        complain(format_args!("warning: {warning}"));
    }
    let name = args.name.or(definition.name);
    let name =
        name.context("the topology has no name: give --name, or a `name:` line in its file")?;
    let conf = definition.conf.overlay(&settings(&args.client.conf)?);
    let submission = Submission {
        name,
        conf,
        topology: definition.topology,
        jar: files.pack()?,
        status: status(args.inactive),
    };
    send(&args.client, &submission)?;
    Ok(0)
}

// === impl Files ===

impl Files {
    /// The jar that Nimbus gets.
    pub fn pack(&self) -> Result<Vec<u8>> {
        match (&self.resources, &self.jar) {
            (Some(dir), _) => zip_resources(dir),
            (None, Some(jar)) => {
                fs::read(jar).with_context(|| format!("cannot read {}", jar.display()))
            }
            (None, None) => zip_nothing(),
        }
    }

    /// A file within the jar, by its name there, which may begin with `/`.
    pub fn resource(&self, name: &str) -> Result<Vec<u8>, String> {
        let name = name.trim_start_matches('/');
        let most = limits::FLUX_FILE_BYTES_MAX as u64 + 1;
        let mut bytes = Vec::new();
        match (&self.resources, &self.jar) {
            (Some(dir), _) => {
                let below = Path::new(name.strip_prefix("resources/").unwrap_or(name));
                let mut parts = below.components();
                if !parts.all(|part| matches!(part, Component::Normal(_))) {
                    return Err("a resource's name is a path without `..`".to_owned());
                }
                let file = File::open(dir.join(below)).map_err(|error| error.to_string())?;
                let read = file.take(most).read_to_end(&mut bytes);
                read.map_err(|error| error.to_string())?;
            }
            (None, Some(jar)) => {
                let of_jar = |error: String| format!("{}: {error}", jar.display());
                let file = File::open(jar).map_err(|error| of_jar(error.to_string()))?;
                let archive = crate::blob::open_jar(file);
                let mut archive = archive.map_err(|error| of_jar(error.to_string()))?;
                let entry = archive
                    .by_name(name)
                    .map_err(|error| of_jar(error.to_string()))?;
                let read = entry.take(most).read_to_end(&mut bytes);
                read.map_err(|error| of_jar(error.to_string()))?;
            }
            (None, None) => {
                return Err(
                    "it is a resource of a jar, and there is none: give one with --jar, or \
                            a directory with --resources"
                        .to_owned(),
                );
            }
        }
        Ok(bytes)
    }
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
    say(format_args!("Submitted topology: {name}"));
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
    let begun = nimbus.begin_file_upload().await;
    let location = begun.map_err(|e| refused(UPLOAD, e))?;
    let mut progress = Progress::of_upload(Some(jar.len() as u64));
    for chunk in jar.chunks(CHUNK_BYTES) {
        let sent = nimbus.upload_chunk(Some(&location), Some(chunk)).await;
        sent.map_err(|e| refused(UPLOAD, e))?;
        progress.add(chunk.len());
    }
    let finished = nimbus.finish_file_upload(Some(&location)).await;
    finished.map_err(|e| refused(UPLOAD, e))?;
    Ok(location)
}

/// What `-c` adds to the topology's conf; what is the cluster's, by default or by `--config`, stays
/// out of it.
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

/// What is being done when that fails.
const UPLOAD: &str = "upload the jar";
/// What every client of Storm sends at a time.
const CHUNK_BYTES: usize = 307_200;

//! `blobstore`: list, read, write and share blobs, in the shape of Storm's own command.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};

use super::ClientArgs;
use super::client::{self, Nimbus, refused};
use super::progress::Progress;
use super::shape::{is_storm, told, told_error};
use crate::blob::acl;
use crate::wire::storm::nimbus::GetBlobMetaError;
use crate::wire::storm::{AccessControl, SettableBlobMeta};

/// What to do with blobs.
#[derive(Debug, Args)]
pub struct BlobArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List blobs: key, version and access list.
    List {
        /// Only these.
        keys: Vec<String>,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Write a blob's content to a file or to the standard output (needs read access).
    Cat {
        key: String,
        /// Where to write it.
        #[arg(short, long, visible_alias = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Make a blob of a file or of the standard input.
    Create {
        key: String,
        /// Its content.
        #[arg(short, long, visible_alias = "FILE")]
        file: Option<PathBuf>,
        /// Who may do what: `[uo]:[user]:[r-][w-][a-]`, separated by commas, as in
        /// `u:alice:rwa,o::r`.
        #[arg(short, long, value_name = "ACL")]
        acl: Option<String>,
        /// Copies that a replicated store keeps.
        #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        replication_factor: Option<i32>,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Give a blob other content (needs write access). Topologies that use it see it in a while.
    Update {
        key: String,
        /// The content.
        #[arg(short, long, visible_alias = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Delete blobs (needs write access).
    Delete {
        #[arg(required = true)]
        keys: Vec<String>,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Say who may do what with a blob (needs admin access).
    SetAcl {
        key: String,
        /// `[uo]:[user]:[r-][w-][a-]`, separated by commas; without it the list stays.
        #[arg(short, long = "set", value_name = "ACL")]
        set: Option<String>,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show or change how many copies of a blob there are.
    Replication {
        key: String,
        /// Show it.
        #[arg(long, conflicts_with = "update", required_unless_present = "update")]
        read: bool,
        /// Change it.
        #[arg(long, requires = "replication_factor")]
        update: bool,
        #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        replication_factor: Option<i32>,
        #[command(flatten)]
        client: ClientArgs,
    },
}

/// `stormwire blobstore`.
pub fn run(args: BlobArgs) -> Result<i32> {
    client::block_on(async {
        match args.action {
            Action::List { keys, client } => list(&mut client::connect(&client).await?, keys).await,
            Action::Cat { key, file, client } => {
                let mut nimbus = client::connect(&client).await?;
                cat(&mut nimbus, &key, file.as_deref()).await
            }
            Action::Create {
                key,
                file,
                acl,
                replication_factor,
                client,
            } => {
                let meta = SettableBlobMeta {
                    acl: parse(acl.as_deref())?.unwrap_or_default(),
                    replication_factor,
                };
                if is_storm() {
                    let acl = texts(&meta.acl);
                    told(CLASS, &format!("Creating {key} with ACL {acl}"));
                }
                let mut source = open(file.as_deref())?;
                let mut nimbus = client::connect(&client).await?;
                let begun = nimbus.begin_create_blob(Some(&key), Some(&meta)).await;
                let session = begun.map_err(|e| refused(&format!("create {key}"), e))?;
                upload(&mut nimbus, &session, &mut source).await?;
                told(CLASS, &format!("Successfully created {key}"));
                Ok(0)
            }
            Action::Update { key, file, client } => {
                let mut source = open(file.as_deref())?;
                let mut nimbus = client::connect(&client).await?;
                let begun = nimbus.begin_update_blob(Some(&key)).await;
                let session = begun.map_err(|e| refused(&format!("update {key}"), e))?;
                upload(&mut nimbus, &session, &mut source).await?;
                told(CLASS, &format!("Successfully updated {key}"));
                Ok(0)
            }
            Action::Delete { keys, client } => {
                delete(&mut client::connect(&client).await?, &keys).await
            }
            Action::SetAcl { key, set, client } => {
                let acl = parse(set.as_deref())?;
                set_acl(&mut client::connect(&client).await?, &key, acl).await
            }
            Action::Replication {
                key,
                replication_factor,
                update,
                client,
                ..
            } => {
                let wanted = replication_factor.filter(|_| update);
                replication(&mut client::connect(&client).await?, &key, wanted).await
            }
        }
    })
}

async fn list(nimbus: &mut Nimbus, keys: Vec<String>) -> Result<i32> {
    let all = keys.is_empty();
    let keys = if all { all_keys(nimbus).await? } else { keys };
    let mut code = 0;
    for key in keys {
        match nimbus.get_blob_meta(Some(&key)).await {
            Ok(meta) => {
                let acl = texts(&meta.settable.acl);
                told(CLASS, &format!("{key} {} {acl}", meta.version));
            }
            // Of all blobs, those are shown that may be seen and are still there.
            Err(_) if all => {}
            Err(GetBlobMetaError::KeyNotFound(_)) => {
                code = told_error(CLASS, &format!("{key} NOT FOUND"));
            }
            Err(GetBlobMetaError::Authorization(_)) => {
                code = told_error(CLASS, &format!("ACCESS DENIED to key: {key}"));
            }
            Err(error) => return Err(refused(&format!("show {key}"), error)),
        }
    }
    Ok(code)
}

async fn all_keys(nimbus: &mut Nimbus) -> Result<Vec<String>> {
    let mut session = String::new();
    let mut keys = Vec::new();
    loop {
        let page = nimbus.list_blobs(Some(&session)).await;
        let page = page.map_err(|e| refused("list blobs", e))?;
        if page.keys.is_empty() {
            keys.sort();
            return Ok(keys);
        }
        keys.extend(page.keys);
        session = page.session;
    }
}

async fn cat(nimbus: &mut Nimbus, key: &str, file: Option<&Path>) -> Result<i32> {
    let begun = nimbus.begin_blob_download(Some(key)).await;
    let session = begun
        .map_err(|e| refused(&format!("read {key}"), e))?
        .session;
    let mut out: Box<dyn io::Write> = match file {
        Some(path) => Box::new(
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?,
        ),
        None => Box::new(io::stdout().lock()),
    };
    loop {
        let chunk = nimbus.download_blob_chunk(Some(&session)).await;
        let chunk = chunk.map_err(|e| refused(&format!("read {key}"), e))?;
        if chunk.is_empty() {
            out.flush()?;
            return Ok(0);
        }
        out.write_all(&chunk)?;
    }
}

/// What a blob is made of.
struct Source {
    content: Box<dyn Read>,
    /// As far as it is known.
    n_bytes: Option<u64>,
}

fn open(file: Option<&Path>) -> Result<Source> {
    let Some(path) = file else {
        return Ok(Source {
            content: Box::new(io::stdin().lock()),
            n_bytes: None,
        });
    };
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let n_bytes = file.metadata().ok().filter(|metadata| metadata.is_file());
    Ok(Source {
        content: Box::new(file),
        n_bytes: n_bytes.map(|metadata| metadata.len()),
    })
}

/// Sends everything; what cannot be sent whole is given up.
async fn upload(nimbus: &mut Nimbus, session: &str, source: &mut Source) -> Result<()> {
    let sent = send(nimbus, session, source).await;
    if sent.is_err() {
        // Without it Nimbus forgets the upload in ten minutes.
        let _ = nimbus.cancel_blob_upload(Some(session)).await;
        return sent;
    }
    let finished = nimbus.finish_blob_upload(Some(session)).await;
    finished.map_err(|e| refused("finish the upload", e))
}

async fn send(nimbus: &mut Nimbus, session: &str, source: &mut Source) -> Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut progress = Progress::of_upload(source.n_bytes);
    loop {
        let n_read = source
            .content
            .read(&mut buffer)
            .context("cannot read the content")?;
        let Some(chunk) = buffer.get(..n_read).filter(|chunk| !chunk.is_empty()) else {
            return Ok(());
        };
        let chunk = bytes::Bytes::copy_from_slice(chunk);
        let sent = nimbus.upload_blob_chunk(Some(session), Some(&chunk)).await;
        sent.map_err(|e| refused("send the content", e))?;
        progress.add(n_read);
    }
}

async fn delete(nimbus: &mut Nimbus, keys: &[String]) -> Result<i32> {
    for key in keys {
        let deleted = nimbus.delete_blob(Some(key)).await;
        deleted.map_err(|e| refused(&format!("delete {key}"), e))?;
        told(CLASS, &format!("deleted {key}"));
    }
    Ok(0)
}

async fn set_acl(nimbus: &mut Nimbus, key: &str, acl: Option<Vec<AccessControl>>) -> Result<i32> {
    let what = format!("set the access list of {key}");
    let meta = nimbus.get_blob_meta(Some(key)).await;
    let meta = meta.map_err(|e| refused(&what, e))?.settable;
    let meta = SettableBlobMeta {
        acl: acl.unwrap_or(meta.acl),
        ..meta
    };
    let set = nimbus.set_blob_meta(Some(key), Some(&meta)).await;
    set.map_err(|e| refused(&what, e))?;
    let what = format!("Setting ACL for {key} to {}", texts(&meta.acl));
    told(CLASS, &what);
    Ok(0)
}

async fn replication(nimbus: &mut Nimbus, key: &str, wanted: Option<i32>) -> Result<i32> {
    let Some(wanted) = wanted else {
        let count = nimbus.get_blob_replication(Some(key)).await;
        let count = count.map_err(|e| refused(&format!("show {key}"), e))?;
        told(CLASS, &format!("Current replication factor {count}"));
        return Ok(0);
    };
    let count = nimbus
        .update_blob_replication(Some(key), Some(wanted))
        .await;
    let count = count.map_err(|e| refused(&format!("replicate {key}"), e))?;
    told(CLASS, &format!("Replication factor is set to {count}"));
    Ok(0)
}

fn parse(text: Option<&str>) -> Result<Option<Vec<AccessControl>>> {
    match text {
        None => Ok(None),
        Some("") => bail!("an empty access list: write who may do what, as in u:alice:rwa,o::r"),
        Some(text) => Ok(Some(acl::parse(text)?)),
    }
}

fn texts(acl: &[AccessControl]) -> String {
    let texts: Vec<String> = acl.iter().map(acl::text).collect();
    format!("[{}]", texts.join(", "))
}

/// As Storm's log shortens its command's name.
const CLASS: &str = "o.a.s.c.Blobstore";
/// Below what servers and clients of any age take in one message.
const CHUNK_BYTES: usize = 256 << 10;

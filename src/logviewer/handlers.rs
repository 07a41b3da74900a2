//! What the log viewer answers: may the reader, where is the file, what of it.
//!
//! Files are read by a few at once, apart from the threads that serve sockets.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::access::{Access, Reader};
use super::download;
use super::files::{Roots, Slot, WorkerFile};
use super::page::{self, LogPage};
use super::routes::Asked;
use super::search::{Match, Wanted, search};
use super::text::{Log, TextError, is_text};
use crate::conf::{Conf, ConfError, keys};
use crate::http::origin::{ForeignOriginError, Origins};
use crate::http::place::PlaceError;
use crate::http::visitor::{Unnamed, Visitors};
use crate::limits;
use crate::percent::encode;

/// What all requests share.
pub(super) struct Viewer {
    pub visitors: Visitors,
    pub origins: Origins,
    pub access: Access,
    roots: Roots,
    /// This machine's name, which the names of downloads begin with.
    host: String,
    /// Of this viewer, for links to it.
    address: String,
    /// `supervisor.slots.ports`.
    slot_ports: Vec<i64>,
    turns: Arc<Semaphore>,
}

/// Whose log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhichLog {
    Worker,
    Daemon,
}

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("The file was not found on this node.")]
    NotFound,
    #[error(
        "There is no such file in {}. Daemons write their logs to standard error, and to files \
         there where {} is true.",
        keys::STORM_LOG_DIR,
        keys::STORMWIRE_DAEMON_LOG_FILE
    )]
    NoDaemonLog,
    #[error("You may not read this log.")]
    Forbidden,
    #[error(transparent)]
    Unnamed(#[from] Unnamed),
    #[error(transparent)]
    Foreign(#[from] ForeignOriginError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error("{name} is no whole number")]
    Number { name: &'static str },
    #[error(
        "search-string has to have 1 to {} bytes",
        limits::LOG_SEARCH_TEXT_BYTES_MAX
    )]
    SearchText,
    #[error("others read logs: try again later")]
    Busy,
    #[error(transparent)]
    Text(#[from] TextError),
    #[error("it cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

/// Ends a search when nobody waits for it any more.
struct Over(Arc<AtomicBool>);

// === impl Viewer ===

impl Viewer {
    pub fn new(
        conf: &Conf,
        (roots, access): (Roots, Access),
        (visitors, origins): (Visitors, Origins),
    ) -> Result<Self, ConfError> {
        let (scheme, port) = match conf.int(keys::LOGVIEWER_HTTPS_PORT)? {
            Some(port @ 0..) => ("https", port),
            _ => ("http", conf.int_or(keys::LOGVIEWER_PORT, 8000)?),
        };
        let host = conf.host_name()?;
        Ok(Viewer {
            visitors,
            origins,
            access,
            roots,
            address: format!("{scheme}://{host}:{port}/api/v1"),
            host,
            slot_ports: conf.ints(keys::SUPERVISOR_SLOTS_PORTS)?,
            turns: Arc::new(Semaphore::new(limits::LOG_READERS_MAX)),
        })
    }

    /// A part of a file, as a page.
    pub async fn log(self: Arc<Self>, which: WhichLog, asked: Asked) -> Result<Response, Trouble> {
        let start = asked.number("start")?;
        let length = asked.number("length")?.unwrap_or(PAGE_BYTES);
        let length = length.min(limits::LOG_PAGE_BYTES_MAX);
        self.read(move |viewer, _| {
            let name = asked.query.get("file").unwrap_or_default();
            let file = viewer.open(which, name, &asked.reader)?;
            let others = viewer.others(which, name, &asked.reader);
            let log = Log::new(file, name)?;
            let file_length = log.length();
            let part = match is_text(name) {
                true => Some(log.part(start, length)?),
                false => None,
            };
            let page = LogPage {
                route: match which {
                    WhichLog::Worker => "log",
                    WhichLog::Daemon => "daemonlog",
                },
                download: match which {
                    WhichLog::Worker => "download",
                    WhichLog::Daemon => "daemondownload",
                },
                file: name,
                others: &others,
                part: part.as_ref(),
                length,
                file_length,
                grep: asked.query.get("grep").filter(|grep| !grep.is_empty()),
            };
            Ok(page.respond())
        })
        .await
    }

    /// A whole file.
    pub async fn download(
        self: Arc<Self>,
        which: WhichLog,
        asked: Asked,
    ) -> Result<Response, Trouble> {
        let name = asked.query.get("file").unwrap_or_default().to_owned();
        let range = asked.range.clone();
        let attachment = format!("{}-{name}", self.host);
        let file = self.read(move |viewer, _| viewer.open(which, &name, &asked.reader));
        Ok(download::respond(file.await?, &attachment, range.as_deref()).await?)
    }

    /// Files of workers, by name.
    pub async fn list(self: Arc<Self>, asked: Asked) -> Result<Value, Trouble> {
        let port = asked.number("port")?;
        let port = port.map(|port| u16::try_from(port).unwrap_or(0));
        self.read(move |viewer, _| {
            let slots = viewer.roots.slots(asked.query.get("topoId"), port);
            let slots = slots
                .into_iter()
                .filter(|slot| viewer.access.shows(&asked.reader, &viewer.roots, slot));
            let files = slots.flat_map(|slot| viewer.roots.files(&slot));
            let mut files: Vec<_> = files
                .take(limits::LOG_FILES_LISTED_MAX)
                .map(|file| file.to_string())
                .collect();
            files.sort();
            Ok(json!(files))
        })
        .await
    }

    /// Places in one file.
    pub async fn search(self: Arc<Self>, asked: Asked) -> Result<Value, Trouble> {
        let n_max = matches_max(asked.number("num-matches")?, 10);
        let start = asked.number("start-byte-offset")?.unwrap_or(0);
        let which = match asked.query.get("is-daemon") {
            Some("yes") => WhichLog::Daemon,
            _ => WhichLog::Worker,
        };
        self.read(move |viewer, over| {
            let name = asked.query.get("file").unwrap_or_default();
            let file = viewer.open(which, name, &asked.reader);
            let file = file.map_err(|trouble| match trouble {
                Trouble::NoDaemonLog => Trouble::NotFound,
                other => other,
            })?;
            let text = asked.query.get("search-string").unwrap_or_default();
            if text.is_empty() || text.len() > limits::LOG_SEARCH_TEXT_BYTES_MAX {
                return Err(Trouble::SearchText);
            }
            let wanted = Wanted {
                text: text.as_bytes(),
                n_max,
                start,
                bytes_max: limits::LOG_SEARCH_BYTES_MAX,
            };
            let (found, _) = viewer.look((which, name), file, wanted, over)?;
            Ok(found)
        })
        .await
    }

    /// Places in the logs of a topology.
    pub async fn deep_search(self: Arc<Self>, asked: Asked) -> Result<Value, Trouble> {
        let n_max = matches_max(asked.number("num-matches")?, 1);
        let from_file = asked.number("start-file-offset")?.unwrap_or(0);
        let start = asked.number("start-byte-offset")?.unwrap_or(0);
        let port = match asked.query.get("port") {
            None | Some("" | "*") => None,
            Some(_) => asked.number("port")?,
        };
        self.read(move |viewer, over| {
            let text = asked.query.get("search-string").unwrap_or_default();
            if text.is_empty() {
                return Ok(json!([]));
            }
            if text.len() > limits::LOG_SEARCH_TEXT_BYTES_MAX {
                return Err(Trouble::SearchText);
            }
            let deep = Deep {
                text,
                n_max,
                with_archived: asked.query.box_is_checked("search-archived"),
                over,
            };
            match port {
                None => viewer.look_everywhere(&asked, &deep),
                Some(port) => viewer.look_at_port(&asked, port, (from_file, start), &deep),
            }
        })
        .await
    }

    /// Places in the logs of all slots.
    fn look_everywhere(&self, asked: &Asked, deep: &Deep<'_>) -> Result<Value, Trouble> {
        let mut left = Left::default();
        let mut all = Vec::new();
        for slot in self.roots.slots(Some(asked.part("topology")), None) {
            let files = self.searched(&slot, &asked.reader, deep.with_archived);
            if !files.is_empty() {
                all.push(self.look_deep(&files, (0, 0), deep, &mut left)?);
            }
        }
        Ok(json!(all))
    }

    /// Places in the logs of one slot, from a byte of its file of this number on.
    fn look_at_port(
        &self,
        asked: &Asked,
        port: u64,
        (from_file, start): (u64, u64),
        deep: &Deep<'_>,
    ) -> Result<Value, Trouble> {
        let mut own = self.slot_ports.iter();
        let is_slot = own.any(|own| u64::try_from(*own) == Ok(port));
        let slot = Slot::parse(asked.part("topology"), &port.to_string()).filter(|_| is_slot);
        let files = slot.map(|slot| self.searched(&slot, &asked.reader, deep.with_archived));
        let Some(files) = files.filter(|files| !files.is_empty()) else {
            return Ok(json!([]));
        };
        let from_file = match deep.with_archived {
            true => usize::try_from(from_file).unwrap_or(usize::MAX),
            false => 0,
        };
        self.look_deep(&files, (from_file, start), deep, &mut Left::default())
    }

    /// A worker's dumps and profiles, as a list.
    pub async fn dumps(self: Arc<Self>, asked: Asked) -> Result<Response, Trouble> {
        self.read(move |viewer, _| {
            let slot = viewer.dump_slot(&asked)?;
            if !viewer.roots.has(&slot) {
                return Err(Trouble::NotFound);
            }
            let files = viewer.roots.files(&slot).into_iter();
            let files = files.map(|file| file.name).filter(|name| is_dump(name));
            let files: Vec<_> = files.collect();
            Ok(page::dumps(
                asked.part("topology"),
                asked.part("worker"),
                &files,
            ))
        })
        .await
    }

    /// One of them.
    pub async fn dump(self: Arc<Self>, asked: Asked) -> Result<Response, Trouble> {
        let range = asked.range.clone();
        let found = self.read(move |viewer, _| {
            let slot = viewer.dump_slot(&asked)?;
            let name = asked.part("file");
            if !is_dump(name) {
                return Err(Trouble::NotFound);
            }
            let text = format!("{}/{}/{name}", slot.topology, slot.port);
            let file = WorkerFile::parse(&text).ok_or(Trouble::NotFound)?;
            let file = viewer.roots.open_worker_file(&file)?;
            let attachment = format!("{}-{text}", viewer.host);
            Ok((file.ok_or(Trouble::NotFound)?, attachment))
        });
        let (file, attachment) = found.await?;
        Ok(download::respond(file, &attachment, range.as_deref()).await?)
    }

    fn dump_slot(&self, asked: &Asked) -> Result<Slot, Trouble> {
        let worker = asked.part("worker");
        // This machine's, whatever name it goes by.
        let (_, port) = worker.rsplit_once(':').ok_or(Trouble::NotFound)?;
        let slot = Slot::parse(asked.part("topology"), port).ok_or(Trouble::NotFound)?;
        match self.access.shows(&asked.reader, &self.roots, &slot) {
            true => Ok(slot),
            false => Err(Trouble::Forbidden),
        }
    }

    /// Opens what a request names, for a reader who may.
    fn open(&self, which: WhichLog, name: &str, reader: &Reader) -> Result<File, Trouble> {
        match which {
            WhichLog::Worker => {
                let file = WorkerFile::parse(name).ok_or(Trouble::NotFound)?;
                if !self.access.shows(reader, &self.roots, &file.slot) {
                    return Err(Trouble::Forbidden);
                }
                self.roots.open_worker_file(&file)?.ok_or(Trouble::NotFound)
            }
            WhichLog::Daemon => {
                if !self.access.shows_daemons(reader) {
                    return Err(Trouble::Forbidden);
                }
                let opened = self.roots.open_daemon_file(name)?;
                opened.ok_or(Trouble::NoDaemonLog)
            }
        }
    }

    /// Files that a page about this one offers.
    fn others(&self, which: WhichLog, name: &str, reader: &Reader) -> Vec<String> {
        match (which, WorkerFile::parse(name)) {
            (WhichLog::Daemon, _) => self.roots.daemon_files(),
            (WhichLog::Worker, None) => Vec::new(),
            (WhichLog::Worker, Some(file)) => {
                let slots = self
                    .roots
                    .slots(Some(&file.slot.topology), None)
                    .into_iter();
                let shown = slots.filter(|slot| self.access.shows(reader, &self.roots, slot));
                let files = shown.flat_map(|slot| self.roots.files(&slot));
                let files = files.take(limits::LOG_FILES_LISTED_MAX);
                files.map(|file| file.to_string()).collect()
            }
        }
    }

    /// The logs of a slot, the youngest first; without those that were rolled only that.
    fn searched(&self, slot: &Slot, reader: &Reader, with_archived: bool) -> Vec<WorkerFile> {
        if !self.access.shows(reader, &self.roots, slot) {
            return Vec::new();
        }
        let mut files = self.roots.files(slot);
        files.retain(|file| file.name.starts_with("worker.log"));
        files.sort_by_key(|file| std::cmp::Reverse(self.roots.modified(file)));
        if !with_archived {
            files.truncate(1);
        }
        files
    }

    /// Looks through one file: the answer, and how many bytes it took.
    fn look(
        &self,
        (which, name): (WhichLog, &str),
        file: File,
        wanted: Wanted<'_>,
        over: &AtomicBool,
    ) -> Result<(Value, u64), Trouble> {
        let reader = Log::new(file, name)?.reader(wanted.start)?;
        let found = search(reader, wanted, || over.load(Ordering::Relaxed))?;
        let text = String::from_utf8_lossy(wanted.text);
        let shown = found.matches.iter().map(|each| {
            json!({
                "byteOffset": each.offset,
                "beforeString": String::from_utf8_lossy(&each.before),
                "afterString": String::from_utf8_lossy(&each.after),
                "matchString": text,
                "logviewerURL": self.link((which, name), each, wanted.text.len()),
            })
        });
        let mut answer = json!({
            "isDaemon": if which == WhichLog::Daemon { "yes" } else { "no" },
            "searchString": text,
            "startByteOffset": wanted.start,
            "matches": shown.collect::<Vec<_>>(),
        });
        if let Some(next) = found.next {
            answer["nextByteOffset"] = json!(next);
        }
        Ok((answer, found.bytes_read))
    }

    /// A page with the match in its middle.
    fn link(&self, (which, name): (WhichLog, &str), found: &Match, n_bytes: usize) -> String {
        let half = (PAGE_BYTES / 2).saturating_sub(n_bytes as u64 / 2);
        let start = found.offset.saturating_sub(half);
        let route = match which {
            WhichLog::Worker => "log",
            WhichLog::Daemon => "daemonlog",
        };
        let (address, file) = (&self.address, encode(name));
        format!("{address}/{route}?file={file}&start={start}&length={PAGE_BYTES}")
    }

    /// Looks through the files of one slot until enough was found.
    fn look_deep(
        &self,
        files: &[WorkerFile],
        (from_file, start): (usize, u64),
        deep: &Deep<'_>,
        left: &mut Left,
    ) -> Result<Value, Trouble> {
        let (mut offset, mut start, mut n_found) = (from_file, start, 0);
        let mut matches = Vec::new();
        while let Some(file) = files.get(offset) {
            let n_max = left.n_matches.min(deep.n_max - n_found);
            if n_max == 0 || left.bytes == 0 || deep.over.load(Ordering::Relaxed) {
                break;
            }
            let name = file.to_string();
            let wanted = Wanted {
                text: deep.text.as_bytes(),
                n_max,
                start,
                bytes_max: left.bytes,
            };
            let opened = self.roots.open_worker_file(file)?;
            let looked = opened
                .map(|opened| self.look((WhichLog::Worker, &name), opened, wanted, deep.over));
            // One that is gone, or no archive, hides nothing of the others.
            if let Some(Ok((mut answer, bytes_read))) = looked {
                left.bytes = left.bytes.saturating_sub(bytes_read);
                let n_here = answer["matches"].as_array().map_or(0, Vec::len);
                left.n_matches = left.n_matches.saturating_sub(n_here);
                n_found += n_here;
                // The rest of it is for the next search, which is told where that begins.
                let is_cut = left.bytes == 0 && answer.get("nextByteOffset").is_some();
                if n_here > 0 || is_cut {
                    answer["fileName"] = json!(name);
                    answer["port"] = json!(file.slot.port.to_string());
                    matches.push(answer);
                }
                if is_cut || n_here == n_max {
                    break;
                }
            }
            offset += 1;
            start = 0;
        }
        Ok(json!({ "fileOffset": offset, "searchString": deep.text, "matches": matches }))
    }

    /// Does it on a thread that may block, when it is its turn.
    async fn read<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Viewer, &AtomicBool) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn = timeout(limits::LOG_READ_WAIT_MAX, turn).await;
        let turn = turn.ok().and_then(Result::ok).ok_or(Trouble::Busy)?;
        let over = Arc::new(AtomicBool::new(false));
        let _over = Over(Arc::clone(&over));
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&self, &over)
        });
        let failed = |error: tokio::task::JoinError| Trouble::Io(std::io::Error::other(error));
        done.await.map_err(failed)?
    }
}

/// What a search through many files looks for.
struct Deep<'a> {
    text: &'a str,
    n_max: usize,
    with_archived: bool,
    over: &'a AtomicBool,
}

/// What a search through many files may still take, over all of them.
struct Left {
    bytes: u64,
    n_matches: usize,
}

fn matches_max(asked: Option<u64>, default: usize) -> usize {
    let asked = asked.map_or(default, |n| usize::try_from(n).unwrap_or(usize::MAX));
    asked.clamp(1, limits::LOG_MATCHES_MAX)
}

/// Files that workers write when they are asked for a dump or a profile.
fn is_dump(name: &str) -> bool {
    let is_ours = ["jstack-", "memory-", "recording-"]
        .iter()
        .any(|kind| name.starts_with(kind));
    is_ours && name.ends_with(".txt")
}

// === impl Left ===

impl Default for Left {
    fn default() -> Self {
        Left {
            bytes: limits::LOG_SEARCH_BYTES_MAX,
            n_matches: limits::LOG_MATCHES_MAX,
        }
    }
}

// === impl Over ===

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

// === impl Trouble ===

impl Trouble {
    pub fn status(&self) -> StatusCode {
        match self {
            Trouble::NotFound | Trouble::NoDaemonLog => StatusCode::NOT_FOUND,
            Trouble::Forbidden | Trouble::Unnamed(_) | Trouble::Foreign(_) => StatusCode::FORBIDDEN,
            Trouble::Place(_) | Trouble::Number { .. } | Trouble::SearchText => {
                StatusCode::BAD_REQUEST
            }
            Trouble::Text(TextError::PastEnd | TextError::TooFar) => StatusCode::BAD_REQUEST,
            Trouble::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Trouble::Text(TextError::Io(_)) | Trouble::Io(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Of a page, unless it says otherwise: Storm's.
const PAGE_BYTES: u64 = 51_200;

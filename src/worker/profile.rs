//! Requests for profiles: carried out once each, into files beside the worker's log.
//!
//! Storm's supervisor runs a script for them; here the worker looks at itself. What it writes is
//! `sampler`'s and `dump`'s business.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use tracing::{info, warn};

use crate::clock::{self, Civil};
use crate::limits;
use crate::wire::storm::{ProfileAction, ProfileRequest};
use crate::worker::controls::Consequence;
use crate::worker::dump;
use crate::worker::sampler::Sampler;
use crate::worker::shared::Shared;

/// Where a worker's profiles go, and what they call it.
#[derive(Clone, Debug)]
pub struct Place {
    /// The slot's artifacts directory.
    pub artifacts: PathBuf,
    /// One record for each shell child.
    pub groups: PathBuf,
    /// Of the worker, for people.
    pub name: String,
}

/// Carries requests out.
pub struct Profiler {
    shared: Arc<Shared>,
    place: Place,
    /// Requests of the last directive: only others are news.
    known: Vec<ProfileRequest>,
    running: Option<Running>,
    restart: Option<ProfileRequest>,
}

/// A profile that is being taken.
struct Running {
    sampler: Sampler,
    /// Wall milliseconds.
    end_ms: i64,
    /// The request that is done when it ends.
    request: Option<ProfileRequest>,
}

// === impl Profiler ===

impl Profiler {
    pub fn new(shared: Arc<Shared>, place: Place) -> Self {
        Profiler {
            shared,
            place,
            known: Vec::new(),
            running: None,
            restart: None,
        }
    }

    /// Takes over the requests to this worker, as they are now.
    pub fn follow(&mut self, requests: Vec<ProfileRequest>, now_ms: i64) {
        let known = std::mem::replace(&mut self.known, requests.clone());
        for request in requests {
            if !known.contains(&request) {
                self.carry_out(request, now_ms);
            }
        }
    }

    /// Ends a profile whose time is over.
    pub fn tick(&mut self, now_ms: i64) -> Consequence {
        if self
            .running
            .as_ref()
            .is_some_and(|running| running.end_ms <= now_ms)
        {
            self.finish();
        }
        // Not before Nimbus has heard: the next process would be asked again.
        let wanted = self.restart.as_ref();
        if wanted.is_some_and(|request| !self.profiled().contains(request)) {
            return Consequence::Restart;
        }
        Consequence::RunOn
    }

    fn carry_out(&mut self, request: ProfileRequest, now_ms: i64) {
        let Some(action) = request.action.known() else {
            return;
        };
        info!(action = action.name(), "a profile was asked for");
        let (shared, groups, name) = (&self.shared, &self.place.groups, &self.place.name);
        match action {
            ProfileAction::JstackDump => {
                self.write("jstack", &dump::threads(shared, groups, name));
            }
            ProfileAction::JmapDump => {
                self.write("memory", &dump::memory(shared, groups, name));
            }
            ProfileAction::JprofileDump => match &self.running {
                Some(running) => self.write("recording", &running.sampler.report(name)),
                None => warn!("no profile is being taken: ask for one that ends in the future"),
            },
            ProfileAction::JprofileStart => self.start(i64::MAX, now_ms),
            ProfileAction::JprofileStop => {
                let end_ms = request.time_stamp.unwrap_or(0);
                if end_ms > now_ms {
                    self.start(end_ms, now_ms);
                    if let Some(running) = &mut self.running {
                        // Storm's way to ask for a profile: it is done when its time comes.
                        running.request = Some(request);
                        return;
                    }
                } else {
                    self.finish();
                }
            }
            ProfileAction::JvmRestart => self.restart = Some(request.clone()),
        }
        self.done(request);
    }

    /// Starts a profile, or has the one that runs end at another time.
    fn start(&mut self, end_ms: i64, now_ms: i64) {
        let span_ms = i64::try_from(limits::PROFILE_SPAN_MAX.as_millis()).unwrap_or(i64::MAX);
        let end_ms = end_ms.min(now_ms.saturating_add(span_ms));
        if let Some(running) = &mut self.running {
            running.end_ms = end_ms;
            return;
        }
        match Sampler::start(self.shared.clone(), self.place.groups.clone()) {
            Ok(sampler) => {
                self.running = Some(Running {
                    sampler,
                    end_ms,
                    request: None,
                });
            }
            Err(error) => warn!(%error, "no profile can be taken"),
        }
    }

    fn finish(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        let report = running.sampler.report(&self.place.name);
        running.sampler.stop();
        self.write("recording", &report);
        if let Some(request) = running.request {
            self.done(request);
        }
    }

    fn done(&self, request: ProfileRequest) {
        self.profiled().push(request);
    }

    fn profiled(&self) -> std::sync::MutexGuard<'_, Vec<ProfileRequest>> {
        let profiled = &self.shared.profiled;
        profiled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, kind: &str, text: &str) {
        match write(&self.place.artifacts, kind, text) {
            Ok(path) => info!(path = %path.display(), "written"),
            Err(error) => warn!(kind, %error, "a profile cannot be written"),
        }
    }
}

/// Writes a file of its own, readable for the user that runs the worker and its group; the oldest
/// ones make room.
fn write(directory: &Path, kind: &str, text: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    make_room(directory)?;
    let now = Civil::of_secs(clock::wall_secs()).to_file_name();
    let start = format!("{kind}-{}-{now}", std::process::id());
    for number in 1.. {
        let path = match number {
            1 => directory.join(format!("{start}.txt")),
            number => directory.join(format!("{start}-{number}.txt")),
        };
        let mut options = OpenOptions::new();
        match options.write(true).create_new(true).mode(0o640).open(&path) {
            Ok(mut file) => return file.write_all(text.as_bytes()).map(|()| path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn make_room(directory: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = KINDS.iter().any(|kind| name.starts_with(kind)) && name.ends_with(".txt");
        if let (true, Ok(metadata)) = (is_ours, entry.metadata()) {
            files.push((metadata.modified()?, entry.path()));
        }
    }
    files.sort();
    let n_gone = (files.len() + 1).saturating_sub(limits::PROFILE_FILES_MAX);
    files
        .iter()
        .take(n_gone)
        .try_for_each(|(_, path)| fs::remove_file(path))
}

/// Starts of the names of what is written here.
const KINDS: [&str; 3] = ["jstack-", "memory-", "recording-"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_names_of_their_own_and_the_oldest_go() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("worker.log"), "kept").expect("room");
        let first = write(dir.path(), "jstack", "first").expect("room");
        let second = write(dir.path(), "jstack", "second").expect("room");
        assert_ne!(first, second);
        assert_eq!(fs::read_to_string(&first).expect("there"), "first");
        for _ in 0..limits::PROFILE_FILES_MAX {
            write(dir.path(), "memory", "more").expect("room");
        }
        let n_files = fs::read_dir(dir.path()).expect("there").count();
        assert_eq!(n_files, limits::PROFILE_FILES_MAX + 1);
        assert!(!first.exists() && dir.path().join("worker.log").exists());
    }
}

//! Files that are full: numbered as they come, packed, and the oldest removed.
//!
//! `worker.log` becomes `worker.log.7`, and that in time `worker.log.7.gz`. A number is never given
//! again while its file is there and no file changes it, so that a link to a place in a log stays
//! right. Each step is one rename or one removal: whatever dies in between, the next to look goes
//! on from there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use nix::fcntl::{Flock, FlockArg};
use tracing::warn;

/// The full files of one log.
#[derive(Debug)]
pub(super) struct Rolled {
    directory: PathBuf,
    name: String,
    /// Nothing is packed before: the last attempt failed, most likely for want of room.
    rests_until: Mutex<Option<SystemTime>>,
}

/// What there is of one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Forms {
    is_plain: bool,
    is_packed: bool,
    /// Half a packed one, which is being made or was left behind.
    is_half: bool,
}

// === impl Rolled ===

impl Rolled {
    /// Of the log at this path.
    pub fn new(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default();
        Rolled {
            directory: path.parent().unwrap_or(Path::new(".")).to_owned(),
            name: name.to_string_lossy().into_owned(),
            rests_until: Mutex::default(),
        }
    }

    /// Held while a log of the directory is renamed, against other processes that write it. An
    /// error where one of them does so now.
    pub fn lock(&self) -> io::Result<Flock<File>> {
        let directory = File::open(&self.directory)?;
        let locked = Flock::lock(directory, FlockArg::LockExclusiveNonblock);
        locked.map_err(|(_, error)| error.into())
    }

    /// Makes room for one more, and renames the full file to the next number.
    pub fn take(&self, full: &Path, files_max: usize) -> io::Result<()> {
        let found = self.found();
        let number = found.keys().next_back().map_or(1, |last| last + 1);
        fs::rename(full, self.path(number, PLAIN))?;
        let n_surplus = (found.len() + 1).saturating_sub(files_max);
        for number in found.keys().copied().chain([number]).take(n_surplus) {
            self.remove(number);
        }
        Ok(())
    }

    /// Packs what is not, once nobody writes to it any more, and clears away what a death left
    /// behind. Returns whether something is left to do later. Blocks on the disk.
    pub fn tidy(&self, now: SystemTime) -> bool {
        if self.rests(now) {
            return true;
        }
        let mut is_left = false;
        for (number, forms) in self.found() {
            match forms {
                // It died between the rename and the removal.
                Forms {
                    is_plain: true,
                    is_packed: true,
                    ..
                } => delete(&self.path(number, PLAIN)),
                Forms { is_plain: true, .. } if !self.is_settled(number, now) => is_left = true,
                Forms { is_plain: true, .. } => {
                    if let Err(error) = self.pack(number) {
                        let path = self.path(number, PLAIN);
                        warn!(path = %path.display(), %error, "a full log cannot be packed now");
                        *self.rest() = Some(now + REST);
                        return true;
                    }
                }
                Forms { is_half: true, .. } => delete(&self.path(number, HALF)),
                _ => {}
            }
        }
        is_left
    }

    /// The packed file has its name only when it is whole.
    fn pack(&self, number: u64) -> io::Result<()> {
        let (plain, half) = (self.path(number, PLAIN), self.path(number, HALF));
        // Two processes with one log: one of them packs.
        let file = File::open(&plain)?;
        let Ok(mut file) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
            return Ok(());
        };
        let packed = || -> io::Result<()> {
            let mut encoder = GzEncoder::new(File::create(&half)?, Compression::fast());
            io::copy(&mut *file, &mut encoder)?;
            let packed = encoder.finish()?;
            // Of the lines in it, as viewers order logs.
            packed.set_modified(file.metadata()?.modified()?)?;
            packed.sync_all()?;
            fs::rename(&half, self.path(number, PACKED))
        };
        let packed = { packed }();
        match packed {
            Ok(()) => delete(&plain),
            Err(_) => delete(&half),
        }
        packed
    }

    /// Whether the last line in it is old enough that no writer is still at it.
    fn is_settled(&self, number: u64, now: SystemTime) -> bool {
        let modified = fs::metadata(self.path(number, PLAIN)).and_then(|it| it.modified());
        let age = modified.map(|modified| now.duration_since(modified).unwrap_or_default());
        age.is_ok_and(|age| age >= SETTLED)
    }

    fn remove(&self, number: u64) {
        for form in [PLAIN, PACKED, HALF] {
            delete(&self.path(number, form));
        }
    }

    fn found(&self) -> BTreeMap<u64, Forms> {
        let mut found: BTreeMap<u64, Forms> = BTreeMap::new();
        let entries = fs::read_dir(&self.directory).into_iter().flatten();
        for entry in entries.flatten() {
            let name = entry.file_name();
            let rest = name.to_str().and_then(|name| {
                let rest = name.strip_prefix(&self.name)?;
                rest.strip_prefix('.')
            });
            let Some(rest) = rest else { continue };
            let (number, form) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
            // As it is written here: no sign, no zeros in front.
            let Some(number) = number
                .parse()
                .ok()
                .filter(|n: &u64| n.to_string() == number)
            else {
                continue;
            };
            match form {
                PLAIN => found.entry(number).or_default().is_plain = true,
                PACKED => found.entry(number).or_default().is_packed = true,
                HALF => found.entry(number).or_default().is_half = true,
                _ => {}
            }
        }
        found
    }

    fn path(&self, number: u64, form: &str) -> PathBuf {
        self.directory.join(format!("{}.{number}{form}", self.name))
    }

    fn rests(&self, now: SystemTime) -> bool {
        self.rest().is_some_and(|until| now < until)
    }

    fn rest(&self) -> std::sync::MutexGuard<'_, Option<SystemTime>> {
        self.rests_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is gone already is gone.
fn delete(path: &Path) {
    let _ = fs::remove_file(path);
}

const PLAIN: &str = "";
const PACKED: &str = ".gz";
const HALF: &str = ".gz.half";
/// A line that was under way while its file was renamed, and processes that notice only once a
/// second that another one renamed it.
const SETTLED: Duration = Duration::from_secs(3);
/// After a failure: it is most likely a full disk, and packing takes a processor's time.
const REST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    struct Place {
        directory: tempfile::TempDir,
        rolled: Rolled,
    }

    impl Place {
        fn new() -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            let rolled = Rolled::new(&directory.path().join("worker.log"));
            Place { directory, rolled }
        }

        fn fill(&self, text: &str) {
            let full = self.directory.path().join("worker.log");
            fs::write(&full, text).expect("room");
            self.rolled.take(&full, 3).expect("renamed");
            assert!(!full.exists());
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.directory.path())
                .expect("there")
                .flatten();
            let mut names: Vec<_> = entries
                .filter_map(|entry| entry.file_name().into_string().ok())
                .collect();
            names.sort();
            names
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.directory.path().join(name), text).expect("room");
        }

        fn unpacked(&self, name: &str) -> String {
            let file = File::open(self.directory.path().join(name)).expect("there");
            let mut text = String::new();
            GzDecoder::new(file)
                .read_to_string(&mut text)
                .expect("gzip");
            text
        }
    }

    fn later() -> SystemTime {
        SystemTime::now() + SETTLED + Duration::from_secs(1)
    }

    #[test]
    fn numbers_go_on_and_the_oldest_goes() {
        let place = Place::new();
        for text in ["a", "b", "c", "d", "e"] {
            place.fill(text);
        }
        let kept = ["worker.log.3", "worker.log.4", "worker.log.5"];
        assert_eq!(place.names(), kept);
        assert!(
            place.rolled.tidy(SystemTime::now()),
            "they were written just now"
        );
        assert_eq!(place.names(), kept);
        assert!(!place.rolled.tidy(later()));
        assert_eq!(place.names(), kept.map(|name| format!("{name}.gz")));
        assert_eq!(place.unpacked("worker.log.4.gz"), "d");
        place.fill("f");
        let kept = ["worker.log.4.gz", "worker.log.5.gz", "worker.log.6"];
        assert_eq!(place.names(), kept);
    }

    #[test]
    fn what_a_death_left_behind_is_cleared_and_no_other_file() {
        let place = Place::new();
        let others = [
            "events.log",
            "events.log.1",
            "worker.log",
            "worker.log.+2",
            "worker.log.02",
            "worker.log.err",
            "worker.log.err.1",
            "worker.log.old",
            "worker.yaml",
        ];
        for name in others {
            place.write(name, "kept");
        }
        // Dead while it packed; after the rename; while it packed what was removed since.
        place.write("worker.log.1", "first");
        place.write("worker.log.1.gz.half", "hal");
        place.fill("second");
        assert!(!place.rolled.tidy(later()));
        place.write("worker.log.2", "second");
        place.write("worker.log.9.gz.half", "hal");
        assert!(!place.rolled.tidy(later()));
        let mut expected: Vec<_> = others.iter().map(ToString::to_string).collect();
        expected.retain(|name| name != "worker.log");
        expected.extend(["worker.log.1.gz", "worker.log.2.gz"].map(str::to_owned));
        expected.sort();
        assert_eq!(place.names(), expected);
        assert_eq!(place.unpacked("worker.log.1.gz"), "first");
        assert_eq!(place.unpacked("worker.log.2.gz"), "second");
    }

    #[test]
    fn what_cannot_be_packed_stays_and_is_not_tried_all_the_time() {
        let place = Place::new();
        place.fill("text");
        // No file can be made under that name.
        fs::create_dir(place.directory.path().join("worker.log.1.gz.half")).expect("room");
        assert!(place.rolled.tidy(later()), "later");
        fs::remove_dir(place.directory.path().join("worker.log.1.gz.half")).expect("empty");
        assert!(place.rolled.tidy(later()), "it rests");
        assert_eq!(place.names(), ["worker.log.1"]);
        assert!(!place.rolled.tidy(later() + REST + SETTLED));
        assert_eq!(place.names(), ["worker.log.1.gz"]);
    }
}

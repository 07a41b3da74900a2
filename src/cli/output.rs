//! What the workers of a local run print: their logs, copied to where this process prints.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Copies what is new in the logs of all workers below a directory.
pub struct Output {
    logs: PathBuf,
    shown: BTreeMap<PathBuf, Shown>,
}

/// A log that is read along. It is held open: when it is turned (`log_file`), its end is still here
/// and its name is another file's.
struct Shown {
    file: File,
    n_bytes: u64,
}

// === impl Output ===

impl Output {
    /// Of the workers whose `storm.log.dir` it is.
    pub fn new(logs: PathBuf) -> Self {
        Output {
            logs,
            shown: BTreeMap::new(),
        }
    }

    /// Copies all that is there.
    pub fn show_rest(&mut self) {
        while self.show() {}
    }

    /// Copies whole lines, some of each file: one that is being written comes next time. Says
    /// whether there were any.
    pub fn show(&mut self) -> bool {
        let mut has_shown = false;
        for slot in self.slots() {
            for (file, is_error) in [("worker.log", false), ("worker.log.err", true)] {
                let path = slot.join(file);
                // A log that cannot be read yet, or any more, says nothing.
                let Ok(lines) = self.new_lines(&path) else {
                    continue;
                };
                has_shown |= !lines.is_empty();
                // Whoever read along may have gone away.
                let _ = match is_error {
                    true => io::stderr().lock().write_all(&lines),
                    false => io::stdout().lock().write_all(&lines),
                };
            }
        }
        let _ = io::stdout().flush();
        has_shown
    }

    /// What came to a log since the last look, out of the file that is turned before the next.
    fn new_lines(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        if let Some(shown) = self.shown.get_mut(path) {
            // Asked first: what is written until it is turned is read then.
            let is_turned = shown.is_turned(path);
            let lines = shown.new_lines(is_turned)?;
            if !lines.is_empty() || !is_turned {
                return Ok(lines);
            }
        }
        let mut shown = Shown {
            file: File::open(path)?,
            n_bytes: 0,
        };
        let lines = shown.new_lines(false);
        self.shown.insert(path.to_owned(), shown);
        lines
    }

    /// Directories with a worker's log: of each topology, of each port.
    fn slots(&self) -> Vec<PathBuf> {
        let inside = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten();
        let topologies = inside(self.logs.join("workers-artifacts"));
        let slots = topologies.flat_map(|topology| inside(topology.path()));
        slots.map(|slot| slot.path()).collect()
    }
}

// === impl Shown ===

impl Shown {
    /// Whole lines, or all that is there where nothing comes after it.
    fn new_lines(&mut self, is_turned: bool) -> io::Result<Vec<u8>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.n_bytes))?;
        let mut bytes = Vec::new();
        file.take(CHUNK_BYTES_MAX).read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n');
        // A line longer than what is read at once is shown in parts.
        let is_full = bytes.len() as u64 == CHUNK_BYTES_MAX;
        let rest = if is_full || is_turned { bytes.len() } else { 0 };
        bytes.truncate(whole.map_or(rest, |at| at + 1));
        self.n_bytes += bytes.len() as u64;
        Ok(bytes)
    }

    /// Whether the name is another file's by now.
    fn is_turned(&self, path: &Path) -> bool {
        let (Ok(named), Ok(held)) = (fs::metadata(path), self.file.metadata()) else {
            return false;
        };
        (named.dev(), named.ino()) != (held.dev(), held.ino())
    }
}

/// Of one file at a time: a topology that prints faster than it is read does not fill the memory.
const CHUNK_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// The file is renamed, and what follows is another one of that name.
    #[test]
    fn a_log_that_was_turned_is_shown_to_its_end_and_so_is_the_next() {
        let dir = tempfile::tempdir().expect("dir");
        let slot = dir.path().join("workers-artifacts/t-1/6700");
        fs::create_dir_all(&slot).expect("room");
        let log = slot.join("worker.log");
        let mut output = Output::new(dir.path().to_owned());
        let mut written = File::create(&log).expect("room");
        written
            .write_all(b"a line of the first file\n")
            .expect("room");
        assert!(output.show());
        written.write_all(b"its last\n").expect("room");
        fs::rename(&log, slot.join("worker.log.1")).expect("renamed");
        fs::write(&log, "short\n").expect("room");
        let n_shown = (0..9).filter(|_| output.show()).count();
        assert!(n_shown >= 2, "its last, and the next file's: {n_shown}");
        assert!(!output.show());
    }

    #[test]
    fn whole_lines_are_shown_once() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("worker.log");
        let mut output = Output::new(dir.path().to_owned());
        let mut check = |content: &str, expected: &str| {
            fs::write(&path, content).expect("room");
            let lines = output.new_lines(&path).expect("readable");
            assert_eq!(lines, expected.as_bytes());
        };
        check("", "");
        check("one\ntw", "one\n");
        check("one\ntwo\nthree", "two\n");
        check("one\ntwo\nthree", "");
    }
}

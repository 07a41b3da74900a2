//! What the workers of a local run print: their logs, copied to where this process prints.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// Copies what is new in the logs of all workers below a directory.
pub struct Output {
    logs: PathBuf,
    /// Bytes that were shown of each file.
    shown: BTreeMap<PathBuf, u64>,
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
                let shown = self.shown.entry(path.clone()).or_default();
                // A log that cannot be read yet, or any more, says nothing.
                let Ok(lines) = new_lines(&path, *shown) else {
                    continue;
                };
                *shown += lines.len() as u64;
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

    /// Directories with a worker's log: of each topology, of each port.
    fn slots(&self) -> Vec<PathBuf> {
        let inside = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten();
        let topologies = inside(self.logs.join("workers-artifacts"));
        let slots = topologies.flat_map(|topology| inside(topology.path()));
        slots.map(|slot| slot.path()).collect()
    }
}

fn new_lines(path: &PathBuf, from: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(CHUNK_BYTES_MAX).read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n');
    // A line longer than what is read at once is shown in parts.
    let is_full = bytes.len() as u64 == CHUNK_BYTES_MAX;
    let end = whole.map_or(if is_full { bytes.len() } else { 0 }, |at| at + 1);
    bytes.truncate(end);
    Ok(bytes)
}

/// Of one file at a time: a topology that prints faster than it is read does not fill the memory.
const CHUNK_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_are_shown_once() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("worker.log");
        let check = |content: &str, from: u64, expected: &str| {
            fs::write(&path, content).expect("room");
            let lines = new_lines(&path, from).expect("readable");
            assert_eq!(lines, expected.as_bytes());
        };
        check("", 0, "");
        check("one\ntw", 0, "one\n");
        check("one\ntwo\nthree", 4, "two\n");
        check("one\n", 4, "");
    }
}

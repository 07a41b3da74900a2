//! The event logger: writes sampled tuples to `events.log` beside the worker's log, in the lines of
//! Storm's `FileBasedEventLogger`.
//!
//! Which tuples come is decided where they are emitted. All event loggers of a worker share one
//! file, which rotates and is bounded.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;

use crate::clock::{self, Civil};
use crate::component::native::is_tick;
use crate::component::{Bolt, Collector, ComponentFailure, Result, TaskContext};
use crate::conf::{Conf, keys};
use crate::limits;
use crate::tuple::Tuple;

/// One task of `__eventlogger`.
#[derive(Default)]
pub struct EventLoggerBolt {
    log: Option<Arc<EventLog>>,
    lines: String,
    /// Said once, when something is wrong with what the topology asks for.
    complaint: Option<String>,
    /// Monotonic milliseconds before which no failed write is reported again.
    quiet_until_ms: u64,
}

/// The file of a worker's event loggers.
#[derive(Debug, Default)]
pub struct EventLog {
    file: Mutex<Option<EventFile>>,
}

/// Where it lies and how it is bounded.
#[derive(Clone, Debug)]
struct Layout {
    path: PathBuf,
    bytes_max: u64,
    /// Files kept beside the one that is written.
    n_old: u64,
}

#[derive(Debug)]
struct EventFile {
    file: File,
    layout: Layout,
    n_bytes: u64,
    inode: u64,
    /// Monotonic milliseconds of the last look whether the file is still there.
    looked_ms: u64,
}

// === impl EventLoggerBolt ===

impl Bolt for EventLoggerBolt {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        let conf = context.conf();
        self.complaint = complaint(conf);
        let megabytes = conf.int_or(keys::TOPOLOGY_EVENTLOGGER_ROTATION_SIZE_MB, 100)?;
        let n_files = conf.int_or(keys::TOPOLOGY_EVENTLOGGER_MAX_RETAINED_FILES, 5)?;
        let positive = |number: i64| u64::try_from(number).unwrap_or(0).max(1);
        let layout = Layout {
            path: context.place().artifacts_dir.join(FILE),
            bytes_max: positive(megabytes).saturating_mul(1 << 20),
            n_old: positive(n_files).min(limits::EVENT_LOG_FILES_MAX),
        };
        let log = context.place().events.clone();
        log.open(layout)?;
        self.log = Some(log);
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if is_tick(tuple, out) {
            return Ok(());
        }
        self.write_line(tuple)?;
        out.ack(tuple);
        if self.lines.len() >= FLUSH_BYTES {
            self.flush(out);
        }
        Ok(())
    }

    fn poll(&mut self, out: &mut Collector<'_>) -> Result<()> {
        self.flush(out);
        if let Some(complaint) = self.complaint.take() {
            out.report_error(&ComponentFailure::new(complaint));
        }
        Ok(())
    }

    fn blocks(&self) -> bool {
        true
    }
}

impl EventLoggerBolt {
    /// Date, component, task, message id and values, as Storm's `EventInfo` shows them, in UTC.
    fn write_line(&mut self, tuple: &Tuple<'_>) -> Result<()> {
        let date = Civil::of_secs(tuple.long("ts")? / 1000).to_java();
        let (component, task) = (tuple.str("component-id")?, tuple.source_task());
        let start = self.lines.len();
        write!(self.lines, "{date},{component},{task},")?;
        if !tuple.is_null("message-id")? {
            write!(self.lines, "{}", tuple.value("message-id")?)?;
        }
        write!(self.lines, ",{}", tuple.value("values")?)?;
        end_line(&mut self.lines, start);
        Ok(())
    }

    fn flush(&mut self, out: &mut Collector<'_>) {
        let Some(log) = self.log.as_ref().filter(|_| !self.lines.is_empty()) else {
            return;
        };
        let now_ms = clock::monotonic_millis();
        if let Err(error) = log.append(self.lines.as_bytes(), now_ms)
            && now_ms >= self.quiet_until_ms
        {
            self.quiet_until_ms = now_ms + QUIET_MS;
            out.report_error(&ComponentFailure::new(format!(
                "sampled tuples are lost: {FILE} cannot be written: {error}"
            )));
        }
        self.lines.clear();
    }
}

// === impl EventLog ===

impl EventLog {
    /// Opens the file, unless another event logger of this worker has.
    fn open(&self, layout: Layout) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.is_none() {
            *file = Some(EventFile::open(layout)?);
        }
        Ok(())
    }

    fn append(&self, lines: &[u8], now_ms: u64) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.as_mut()
            .map_or(Ok(()), |file| file.append(lines, now_ms))
    }
}

// === impl EventFile ===

impl EventFile {
    fn open(layout: Layout) -> io::Result<Self> {
        if let Some(directory) = layout.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .append(true)
            .mode(0o640)
            .open(&layout.path)?;
        let metadata = file.metadata()?;
        Ok(EventFile {
            n_bytes: metadata.len(),
            inode: metadata.ino(),
            looked_ms: clock::monotonic_millis(),
            file,
            layout,
        })
    }

    fn append(&mut self, lines: &[u8], now_ms: u64) -> io::Result<()> {
        if now_ms.saturating_sub(self.looked_ms) >= LOOK_MS {
            self.looked_ms = now_ms;
            let is_there = fs::metadata(&self.layout.path).is_ok_and(|m| m.ino() == self.inode);
            if !is_there {
                // Somebody removed it: the next lines go where they are looked for.
                *self = EventFile::open(self.layout.clone())?;
            }
        }
        if self.n_bytes > 0 && self.n_bytes + lines.len() as u64 > self.layout.bytes_max {
            rotate(&self.layout)?;
            *self = EventFile::open(self.layout.clone())?;
        }
        self.file.write_all(lines)?;
        self.n_bytes += lines.len() as u64;
        Ok(())
    }
}

/// `events.log` becomes `events.log.1`, that `.2` and so on; the oldest goes.
fn rotate(layout: &Layout) -> io::Result<()> {
    let old = |number: u64| PathBuf::from(format!("{}.{number}", layout.path.display()));
    for number in (1..layout.n_old).rev() {
        move_file(&old(number), &old(number + 1))?;
    }
    move_file(&layout.path, &old(1))
}

fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        moved => moved,
    }
}

/// Ends a line that begins at `start`: it stays one line, and a short one.
fn end_line(lines: &mut String, start: usize) {
    let longest = start + limits::EVENT_LOG_LINE_BYTES_MAX;
    if lines.len() > longest {
        lines.truncate(lines.floor_char_boundary(longest));
        lines.push_str("...");
    }
    if lines[start..].contains(['\n', '\r']) {
        let line = lines[start..].replace('\n', "\\n").replace('\r', "\\r");
        lines.truncate(start);
        lines.push_str(&line);
    }
    lines.push('\n');
}

/// Names loggers that the topology registers and nobody here can run.
fn complaint(conf: &Conf) -> Option<String> {
    let Some(Json::Array(entries)) = conf.get(keys::TOPOLOGY_EVENT_LOGGER_REGISTER) else {
        return None;
    };
    let classes = entries
        .iter()
        .filter_map(|entry| entry.get("class")?.as_str());
    let foreign: Vec<&str> = classes
        .filter(|class| !OWN_CLASSES.contains(class))
        .collect();
    (!foreign.is_empty()).then(|| {
        format!(
            "{} names {}, which only a JVM can run: sampled tuples go to {FILE} alone",
            keys::TOPOLOGY_EVENT_LOGGER_REGISTER,
            foreign.join(", ")
        )
    })
}

const FILE: &str = "events.log";
/// Storm's logger that we are.
const OWN_CLASSES: [&str; 2] = [
    "org.apache.storm.metric.FileBasedEventLogger",
    "backtype.storm.metric.FileBasedEventLogger",
];
/// Lines are written at the end of a turn, or sooner when there are many.
const FLUSH_BYTES: usize = 1 << 18;
/// Between looks whether the file is still there.
const LOOK_MS: u64 = 1000;
/// Between reports of writes that fail.
const QUIET_MS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_rotates_and_old_ones_go() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = EventLog::default();
        let layout = Layout {
            path: dir.path().join("6700").join(FILE),
            bytes_max: 10,
            n_old: 2,
        };
        log.open(layout.clone()).expect("room");
        for number in 0..5 {
            log.append(format!("line {number}\n").as_bytes(), 0)
                .expect("room");
        }
        let read = |name: &str| fs::read_to_string(dir.path().join("6700").join(name)).ok();
        assert_eq!(read("events.log").as_deref(), Some("line 4\n"));
        assert_eq!(read("events.log.1").as_deref(), Some("line 3\n"));
        assert_eq!(read("events.log.2").as_deref(), Some("line 2\n"));
        assert_eq!(read("events.log.3"), None);
    }

    #[test]
    fn a_file_that_was_removed_comes_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = EventLog::default();
        let path = dir.path().join(FILE);
        let layout = Layout {
            path: path.clone(),
            bytes_max: 1000,
            n_old: 1,
        };
        log.open(layout).expect("room");
        let now_ms = clock::monotonic_millis();
        log.append(b"first\n", now_ms).expect("room");
        fs::remove_file(&path).expect("there");
        log.append(b"second\n", now_ms + LOOK_MS).expect("room");
        assert_eq!(fs::read_to_string(&path).expect("there"), "second\n");
    }

    #[test]
    fn a_line_stays_one_short_line() {
        let mut lines = "before\n".to_owned();
        let start = lines.len();
        lines.push_str("a\nb\rc");
        end_line(&mut lines, start);
        assert_eq!(lines, "before\na\\nb\\rc\n");
        let mut long = "x".repeat(limits::EVENT_LOG_LINE_BYTES_MAX * 2);
        end_line(&mut long, 0);
        assert_eq!(long.len(), limits::EVENT_LOG_LINE_BYTES_MAX + "...\n".len());
    }

    #[test]
    fn loggers_of_others_are_named() {
        let register = |class: &str| {
            let entry = serde_json::json!([{ "class": class }]);
            Conf::new().with(keys::TOPOLOGY_EVENT_LOGGER_REGISTER, entry)
        };
        assert_eq!(complaint(&Conf::new()), None);
        assert_eq!(complaint(&register(OWN_CLASSES[0])), None);
        let said = complaint(&register("com.example.KafkaLogger")).expect("a complaint");
        assert!(said.contains("com.example.KafkaLogger"), "{said}");
    }
}

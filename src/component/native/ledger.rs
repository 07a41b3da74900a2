//! The two ends of a loss test: a source that knows what it must deliver, a sink that proves what
//! came.
//!
//! The source reads ids from a file and commits its position only on acks; the sink writes down
//! every id it gets and acks when that is on the disk. Comparing the two files is the checker's
//! job.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use crate::clock;
use crate::component::native::file_sink::Appender;
use crate::component::native::{is_tick, resource};
use crate::component::{
    Bolt, Collector, ComponentFailure, Result, Spout, SpoutCollector, TaskContext,
};
use crate::tuple::{Tuple, Value};
use crate::values;

/// Emits (partition, seq, attempt), all longs, for each line `partition seq` of a file, which may
/// grow.
///
/// Task i of n takes the lines whose number from 0 is i modulo n. Its position, the number of its
/// lines up to which all are acked, stands in the file `<directory>/<task index>.position`; a task
/// that starts over goes on from there.
pub struct LedgerSpout {
    path: String,
    directory: String,
    source: Option<BufReader<File>>,
    /// A line whose end was not there yet.
    partial: String,
    /// Lines of the file read so far, all tasks' lines.
    n_read: i64,
    n_tasks: i64,
    task_index: i64,
    /// Own lines read so far.
    position: i64,
    pending: BTreeMap<i64, Id>,
    failed: VecDeque<i64>,
    commit: Commit,
}

/// One line of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Id {
    partition: i64,
    seq: i64,
    attempt: i64,
}

/// The committed position and the file it stands in.
#[derive(Default)]
struct Commit {
    file: PathBuf,
    position: i64,
    due_ms: u64,
}

/// Appends `partition seq attempt task .` for each tuple of a `LedgerSpout` to the file
/// `<directory>/<task>.ledger`, then fsyncs, then acks. A line without its dot was cut short by a
/// crash and was not acked.
pub struct LedgerSinkBolt {
    directory: String,
    task: String,
    appender: Option<Appender>,
}

// === impl LedgerSpout ===

impl LedgerSpout {
    pub fn new(path: String, directory: String) -> Self {
        LedgerSpout {
            path,
            directory,
            source: None,
            partial: String::new(),
            n_read: 0,
            n_tasks: 1,
            task_index: 0,
            position: 0,
            pending: BTreeMap::new(),
            failed: VecDeque::new(),
            commit: Commit::default(),
        }
    }

    /// The next own line, if it is there in whole.
    fn read_id(&mut self) -> Result<Option<(i64, Id)>> {
        let Some(source) = &mut self.source else {
            return Ok(None);
        };
        loop {
            source.read_line(&mut self.partial)?;
            if !self.partial.ends_with('\n') {
                return Ok(None);
            }
            let line = std::mem::take(&mut self.partial);
            let number = self.n_read;
            self.n_read += 1;
            if number.rem_euclid(self.n_tasks) != self.task_index {
                continue;
            }
            let position = self.position;
            self.position += 1;
            if position < self.commit.position {
                continue;
            }
            let mut words = line.split_whitespace().map(str::parse);
            let (Some(Ok(partition)), Some(Ok(seq)), None) =
                (words.next(), words.next(), words.next())
            else {
                return Err(ComponentFailure::new(format!(
                    "{}: line {} is not `partition seq`: {line:?}",
                    self.path,
                    number + 1
                )));
            };
            return Ok(Some((
                position,
                Id {
                    partition,
                    seq,
                    attempt: 0,
                },
            )));
        }
    }

    fn emit(&mut self, position: i64, out: &mut SpoutCollector<'_>) -> Result<()> {
        let Some(id) = self.pending.get_mut(&position) else {
            return Ok(());
        };
        id.attempt += 1;
        let values = values![id.partition, id.seq, id.attempt];
        out.emit_reliable(values, Value::Long(position))
    }

    /// Up to which of its own lines the task has seen every ack.
    fn acked_position(&self) -> i64 {
        self.pending.keys().next().copied().unwrap_or(self.position)
    }
}

impl Spout for LedgerSpout {
    fn open(&mut self, context: &TaskContext) -> Result<()> {
        let path = resource(context, &self.path);
        let file = File::open(&path).map_err(|error| {
            ComponentFailure::from(error).context(format!("open {}", path.display()))
        })?;
        self.source = Some(BufReader::new(file));
        self.n_tasks = context
            .tasks_of(context.component().as_str())
            .count()
            .max(1) as i64;
        self.task_index = context.task_index() as i64;
        let directory = resource(context, &self.directory);
        self.commit = Commit::open(directory.join(format!("{}.position", self.task_index)))?;
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        if let Some(position) = self.failed.pop_front() {
            return self.emit(position, out);
        }
        let Some((position, id)) = self.read_id()? else {
            return Ok(());
        };
        self.pending.insert(position, id);
        self.emit(position, out)
    }

    fn ack(&mut self, id: &Value) {
        if let Value::Long(position) = id {
            self.pending.remove(position);
        }
    }

    fn fail(&mut self, id: &Value) {
        if let Value::Long(position) = id {
            self.failed.push_back(*position);
        }
    }

    fn poll(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        let position = self.acked_position();
        if position <= self.commit.position {
            return Ok(());
        }
        match self.commit.wait_ms() {
            0 => self.commit.advance(position),
            wait_ms => {
                out.wake_after(std::time::Duration::from_millis(wait_ms));
                Ok(())
            }
        }
    }

    fn close(&mut self) {
        if let Err(failure) = self.commit.advance(self.acked_position()) {
            tracing::warn!("the last position is not written: {failure}");
        }
    }

    fn blocks(&self) -> bool {
        true
    }
}

// === impl Commit ===

impl Commit {
    fn open(file: PathBuf) -> Result<Self> {
        if let Some(directory) = file.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let position = match std::fs::read_to_string(&file) {
            Ok(text) => text.trim().parse()?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error.into()),
        };
        Ok(Commit {
            file,
            position,
            due_ms: 0,
        })
    }

    fn wait_ms(&self) -> u64 {
        self.due_ms.saturating_sub(clock::monotonic_millis())
    }

    /// Whole or not at all: a reader never sees half a number.
    fn advance(&mut self, position: i64) -> Result<()> {
        if position <= self.position {
            return Ok(());
        }
        let next = PathBuf::from(format!("{}.next", self.file.display()));
        let mut file = File::create(&next)?;
        writeln!(file, "{position}")?;
        file.sync_data()?;
        std::fs::rename(&next, &self.file)?;
        self.position = position;
        self.due_ms = clock::monotonic_millis() + COMMIT_INTERVAL_MS;
        Ok(())
    }
}

// === impl LedgerSinkBolt ===

impl LedgerSinkBolt {
    pub fn new(directory: String) -> Self {
        LedgerSinkBolt {
            directory,
            task: String::new(),
            appender: None,
        }
    }
}

impl Bolt for LedgerSinkBolt {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        self.task = context.task().to_string();
        let directory = resource(context, &self.directory);
        let mut appender = Appender::open(&directory.join(format!("{}.ledger", self.task)))?;
        // Ends a line that a crash cut short.
        appender.begin(b"\n");
        self.appender = Some(appender);
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        let Some(appender) = &mut self.appender else {
            return Ok(());
        };
        if is_tick(tuple, out) {
            return Ok(());
        }
        let (partition, seq, attempt) = (tuple.value(0)?, tuple.value(1)?, tuple.value(2)?);
        appender.append(tuple, |lines| {
            writeln!(lines, "{partition} {seq} {attempt} {} .", self.task)
        })?;
        if appender.is_full() {
            appender.sync(out)
        } else {
            Ok(())
        }
    }

    fn poll(&mut self, out: &mut Collector<'_>) -> Result<()> {
        self.appender
            .as_mut()
            .map_or(Ok(()), |appender| appender.sync(out))
    }

    fn blocks(&self) -> bool {
        true
    }
}

const COMMIT_INTERVAL_MS: u64 = 20;

//! Reads a text file line by line, and reads it so that nothing is lost: failed lines come again.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use crate::component::native::resource;
use crate::component::{ComponentFailure, Result, Spout, SpoutCollector, SpoutEmit, TaskContext};
use crate::id::StreamId;
use crate::limits;
use crate::tuple::Value;
use crate::values;

/// Emits (number from 1, line), the number as id; lines are shared out among the tasks. At the end
/// of the file, when each line was acked, emits (number of lines in the file) to the stream `done`,
/// if the component declares it.
pub struct FileLineSpout {
    path: String,
    at_end: AtEnd,
    source: Option<BufReader<File>>,
    /// Of the line read last, in all rounds.
    number: i64,
    n_tasks: i64,
    task_index: i64,
    pending: HashMap<i64, Box<str>>,
    failed: VecDeque<i64>,
    progress: Progress,
    tells: bool,
    buffer: Vec<u8>,
}

/// What comes after the last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    Stop,
    /// The first line again, with the numbers going on.
    StartOver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Reading,
    /// Every line was emitted; some may be pending.
    Ended,
    /// The end was told.
    Told,
}

// === impl FileLineSpout ===

impl FileLineSpout {
    /// A relative path is looked for in the jar's `resources`.
    pub fn new(path: String, at_end: AtEnd) -> Self {
        FileLineSpout {
            path,
            at_end,
            source: None,
            number: 0,
            n_tasks: 1,
            task_index: 0,
            pending: HashMap::new(),
            failed: VecDeque::new(),
            progress: Progress::Reading,
            tells: false,
            buffer: Vec::new(),
        }
    }

    /// The next line that is this task's; false at the end of the file.
    fn read_line(&mut self) -> Result<bool> {
        let Some(source) = &mut self.source else {
            return Ok(false);
        };
        let mut rewound = false;
        loop {
            self.buffer.clear();
            let bytes_max = limits::FILE_LINE_BYTES_MAX as u64;
            let n_read = source
                .by_ref()
                .take(bytes_max)
                .read_until(b'\n', &mut self.buffer)?;
            if n_read == 0 {
                if self.at_end == AtEnd::Stop || rewound {
                    return Ok(false);
                }
                source.seek(SeekFrom::Start(0))?;
                rewound = true;
                continue;
            }
            if n_read as u64 == bytes_max && self.buffer.last() != Some(&b'\n') {
                return Err(ComponentFailure::new(format!(
                    "{}: line {} has more than {bytes_max} bytes",
                    self.path,
                    self.number + 1,
                )));
            }
            self.number += 1;
            if self.number.rem_euclid(self.n_tasks) == self.task_index {
                return Ok(true);
            }
        }
    }

    fn line(&self) -> Box<str> {
        let text = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        String::from_utf8_lossy(text).into()
    }

    fn tell_end(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        self.progress = Progress::Told;
        tracing::info!(path = %self.path, lines = self.number, "the whole file is processed");
        if !self.tells {
            return Ok(());
        }
        let emit = SpoutEmit {
            stream: DONE_STREAM,
            ..SpoutEmit::default()
        };
        out.emit_with(emit, values![self.number])
    }
}

impl Spout for FileLineSpout {
    fn open(&mut self, context: &TaskContext) -> Result<()> {
        let path = resource(context, &self.path);
        let file = File::open(&path).map_err(|error| {
            ComponentFailure::from(error).context(format!("open {}", path.display()))
        })?;
        self.source = Some(BufReader::with_capacity(READ_BYTES, file));
        self.n_tasks = context
            .tasks_of(context.component().as_str())
            .count()
            .max(1) as i64;
        self.task_index = context.task_index() as i64;
        self.tells = context.streams().contains_key(&StreamId::from(DONE_STREAM));
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        if let Some(number) = self.failed.pop_front() {
            if let Some(line) = self.pending.get(&number) {
                out.emit_reliable(values![number, &**line], Value::Long(number))?;
            }
            return Ok(());
        }
        match self.progress {
            Progress::Reading => {
                if !self.read_line()? {
                    self.progress = Progress::Ended;
                    return Ok(());
                }
                let line = self.line();
                out.emit_reliable(values![self.number, &*line], Value::Long(self.number))?;
                self.pending.insert(self.number, line);
                Ok(())
            }
            Progress::Ended if self.pending.is_empty() => self.tell_end(out),
            Progress::Ended | Progress::Told => Ok(()),
        }
    }

    fn ack(&mut self, id: &Value) {
        if let Value::Long(number) = id {
            self.pending.remove(number);
        }
    }

    fn fail(&mut self, id: &Value) {
        if let Value::Long(number) = id {
            tracing::debug!(path = %self.path, number, "a line failed and comes again");
            self.failed.push_back(*number);
        }
    }
}

const DONE_STREAM: &str = "done";
const READ_BYTES: usize = 64 * 1024;

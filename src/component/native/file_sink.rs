//! Appends tuples to a file, and acks them only when they are on the disk.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::component::native::{is_tick, resource};
use crate::component::{Bolt, Collector, ComponentFailure, Result, TaskContext};
use crate::tuple::{HeldTuple, Tuple};

/// Appends each tuple as a line: its values as text, with a separator between them. One fsync for
/// all tuples of a turn.
pub struct FileSinkBolt {
    path: String,
    separator: String,
    appender: Option<Appender>,
}

/// Lines and the tuples they came from, until they are on the disk.
pub struct Appender {
    file: File,
    lines: Vec<u8>,
    held: Vec<HeldTuple>,
}

// === impl FileSinkBolt ===

impl FileSinkBolt {
    /// A relative path lies in the jar's `resources`. Each task has a file of its own: `path.N`.
    pub fn new(path: String, separator: String) -> Self {
        FileSinkBolt {
            path,
            separator,
            appender: None,
        }
    }
}

impl Bolt for FileSinkBolt {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        let path = resource(context, &format!("{}.{}", self.path, context.task()));
        self.appender = Some(Appender::open(&path)?);
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        let Some(appender) = &mut self.appender else {
            return Ok(());
        };
        if is_tick(tuple, out) {
            return Ok(());
        }
        appender.append(tuple, |lines| {
            for (index, value) in tuple.values().enumerate() {
                let separator = if index > 0 {
                    self.separator.as_str()
                } else {
                    ""
                };
                write!(lines, "{separator}{value}")?;
            }
            writeln!(lines)
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

// === impl Appender ===

impl Appender {
    /// Opens a file for appending; it and its directory are made where they are absent.
    pub fn open(path: &Path) -> Result<Self> {
        let file = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| OpenOptions::new().create(true).append(true).open(path));
        let file = file.map_err(|error| {
            ComponentFailure::from(error).context(format!("open {}", path.display()))
        })?;
        Ok(Appender {
            file,
            lines: Vec::new(),
            held: Vec::new(),
        })
    }

    /// Goes to the file before the first line.
    pub fn begin(&mut self, bytes: &[u8]) {
        self.lines.extend_from_slice(bytes);
    }

    /// Adds a line for `tuple`, which is acked after the next `sync`.
    pub fn append(
        &mut self,
        tuple: &Tuple<'_>,
        write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>,
    ) -> Result<()> {
        write(&mut self.lines)?;
        self.held.push(tuple.hold());
        Ok(())
    }

    /// Whether to sync now rather than at the end of the turn.
    pub fn is_full(&self) -> bool {
        self.held.len() >= SYNC_TUPLES_MAX || self.lines.len() >= SYNC_BYTES_MAX
    }

    /// Puts the lines on the disk and acks their tuples, or fails them all.
    pub fn sync(&mut self, out: &mut Collector<'_>) -> Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let synced = self
            .file
            .write_all(&self.lines)
            .and_then(|()| self.file.sync_data());
        self.lines.clear();
        for tuple in self.held.drain(..) {
            match &synced {
                Ok(()) => out.ack(&tuple.view()),
                Err(_) => out.fail(&tuple.view()),
            }
        }
        Ok(synced?)
    }
}

const SYNC_TUPLES_MAX: usize = 4096;
const SYNC_BYTES_MAX: usize = 1 << 20;

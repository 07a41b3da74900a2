//! Spouts that make their own text: constants, random sentences, random words.

use std::collections::HashMap;

use crate::component::native::timer::Pace;
use crate::component::{Result, Spout, SpoutCollector, TaskContext};
use crate::tuple::Value;
use crate::values;

/// Emits one text again and again, tracked by a counter: (text).
pub struct ConstSpout {
    text: String,
    count: i64,
}

/// Emits random choices of a list of texts: (text).
pub struct ChoiceSpout {
    choices: &'static [&'static str],
    random: fastrand::Rng,
    pace: Pace,
    tracking: Tracking,
    /// How many to emit, or no end of them.
    n_left: Option<i64>,
    next_id: i64,
    /// Which text each pending tuple had.
    pending: HashMap<i64, usize>,
    failed: Vec<usize>,
}

/// Whether what fails is emitted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracking {
    /// Emitted with ids, and again when it failed.
    Replayed,
    /// Emitted and forgotten.
    Untracked,
}

// === impl ConstSpout ===

impl ConstSpout {
    pub fn new(text: String) -> Self {
        ConstSpout { text, count: 0 }
    }
}

impl Spout for ConstSpout {
    fn open(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    #[inline]
    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        self.count += 1;
        out.emit_reliable(values![self.text.as_str()], Value::Long(self.count))
    }
}

// === impl ChoiceSpout ===

impl ChoiceSpout {
    pub fn new(choices: &'static [&'static str], tracking: Tracking) -> Self {
        ChoiceSpout {
            choices,
            random: fastrand::Rng::new(),
            pace: Pace::default(),
            tracking,
            n_left: None,
            next_id: 0,
            pending: HashMap::new(),
            failed: Vec::new(),
        }
    }

    /// The same choices in each run. Tasks of one component differ all the same.
    pub fn seeded(mut self, seed: i64) -> Self {
        self.random = fastrand::Rng::with_seed(seed as u64);
        self
    }

    pub fn paced(mut self, interval_ms: u64) -> Self {
        self.pace = Pace::new(interval_ms);
        self
    }

    pub fn limited(mut self, count: i64) -> Self {
        self.n_left = Some(count);
        self
    }

    fn choose(&mut self) -> Option<usize> {
        if let Some(failed) = self.failed.pop() {
            return Some(failed);
        }
        if self.n_left.is_some_and(|n_left| n_left <= 0) {
            return None;
        }
        self.n_left = self.n_left.map(|n_left| n_left - 1);
        Some(self.random.usize(..self.choices.len()))
    }
}

impl Spout for ChoiceSpout {
    fn open(&mut self, context: &TaskContext) -> Result<()> {
        for _ in 0..context.task_index() {
            // A stream of its own for each task.
            self.random = self.random.fork();
        }
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        if !self.pace.is_due(out) {
            return Ok(());
        }
        let Some(chosen) = self.choose() else {
            return Ok(());
        };
        let Some(text) = self.choices.get(chosen) else {
            return Ok(());
        };
        if self.tracking == Tracking::Untracked {
            return out.emit(values![*text]);
        }
        let id = self.next_id;
        self.next_id += 1;
        self.pending.insert(id, chosen);
        out.emit_reliable(values![*text], Value::Long(id))
    }

    fn ack(&mut self, id: &Value) {
        if let Value::Long(id) = id {
            self.pending.remove(id);
        }
    }

    fn fail(&mut self, id: &Value) {
        if let Value::Long(id) = id {
            self.failed.extend(self.pending.remove(id));
        }
    }
}

/// Five sentences with 32 words in all, as Storm's word count benchmark has.
pub const SENTENCES: &[&str] = &[
    "the ferry leaves the old harbour at seven",
    "nine grey herons stand along the river",
    "rain fell on the tin roof",
    "a letter came from the north coast",
    "she counted every word",
];

/// What Storm's word spout for tests emits.
pub const WORDS: &[&str] = &["nathan", "mike", "jackson", "golda", "bertels"];

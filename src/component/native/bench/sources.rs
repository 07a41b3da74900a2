//! The texts that the benchmark's spouts emit.
//!
//! Knows no clock and counts nothing.

use crate::component::native::sentence::SENTENCES;
use crate::component::{ComponentFailure, Result};

/// One text after another.
pub trait Source: Send {
    /// Once, before anything else.
    fn open(&mut self) -> Result<()> {
        Ok(())
    }

    /// The next text; none at the end.
    fn next(&mut self) -> Option<&str>;

    /// How many there are, if there is an end.
    fn size(&self) -> Option<u64> {
        None
    }
}

/// Storm-perf's constant, again and again.
pub struct Constant;

/// The lines of a file, or their words, again and again.
pub struct Lines {
    path: String,
    unit: Unit,
    texts: Vec<Box<str>>,
    position: usize,
}

/// What of a file is emitted at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Line,
    Word,
}

/// Five sentences of 32 words in all, in random order.
pub struct Sentences(fastrand::Rng);

/// So many random texts of 100 characters, then nothing.
pub struct Strings {
    size: u64,
    n_given: u64,
    random: fastrand::Rng,
    text: String,
}

// === impl Constant ===

impl Source for Constant {
    #[inline]
    fn next(&mut self) -> Option<&str> {
        Some("some data")
    }
}

// === impl Lines ===

impl Lines {
    pub fn new(path: String, unit: Unit) -> Self {
        Lines {
            path,
            unit,
            texts: Vec::new(),
            position: 0,
        }
    }
}

impl Source for Lines {
    fn open(&mut self) -> Result<()> {
        let text = std::fs::read_to_string(&self.path).map_err(|error| {
            ComponentFailure::from(error).context(format!("read {}", self.path))
        })?;
        self.texts = match self.unit {
            Unit::Line => text.lines().map(Box::from).collect(),
            Unit::Word => text.split_whitespace().map(Box::from).collect(),
        };
        match self.texts.is_empty() {
            true => Err(ComponentFailure::new(format!("{} is empty", self.path))),
            false => Ok(()),
        }
    }

    #[inline]
    fn next(&mut self) -> Option<&str> {
        let text = self.texts.get(self.position)?;
        self.position += 1;
        if self.position == self.texts.len() {
            self.position = 0;
        }
        Some(text)
    }
}

// === impl Sentences ===

impl Default for Sentences {
    fn default() -> Self {
        Sentences(fastrand::Rng::with_seed(SEED))
    }
}

impl Source for Sentences {
    fn next(&mut self) -> Option<&str> {
        SENTENCES.get(self.0.usize(..SENTENCES.len())).copied()
    }
}

// === impl Strings ===

impl Strings {
    pub fn new(size: u64) -> Self {
        Strings {
            size,
            n_given: 0,
            random: fastrand::Rng::with_seed(SEED),
            text: String::new(),
        }
    }
}

impl Source for Strings {
    fn next(&mut self) -> Option<&str> {
        if self.n_given == self.size {
            return None;
        }
        self.n_given += 1;
        self.text.clear();
        for _ in 0..STRING_CHARS {
            self.text.push(self.random.lowercase());
        }
        Some(&self.text)
    }

    fn size(&self) -> Option<u64> {
        Some(self.size)
    }
}

const SEED: u64 = 1;
/// Of each random text.
const STRING_CHARS: usize = 100;

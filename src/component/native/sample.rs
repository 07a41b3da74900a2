//! What Storm ships for tests and first steps, beyond what `count` and `pass` already are.

use std::collections::{HashMap, HashSet};

use crate::component::native::is_tick;
use crate::component::{Bolt, Collector, Result, TaskContext};
use crate::tuple::{Tuple, Value};
use crate::values;

/// Emits how many tuples it has seen: (count), an int.
#[derive(Default)]
pub struct GlobalCountBolt {
    count: i32,
}

/// Takes (word, count), and emits for how many words it has seen a count: (number), an int.
#[derive(Default)]
pub struct AggregatesCountBolt {
    words: HashSet<Value>,
}

/// Counts the first field: (value, count), the count an int.
#[derive(Default)]
pub struct WordCountBolt {
    counts: HashMap<Value, i32>,
}

/// Appends three exclamation marks to the first field: (text).
#[derive(Default)]
pub struct ExclamationBolt {
    text: String,
}

// === impl GlobalCountBolt ===

impl Bolt for GlobalCountBolt {
    fn prepare(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if is_tick(tuple, out) {
            return Ok(());
        }
        self.count = self.count.wrapping_add(1);
        out.emit(tuple, values![self.count])?;
        out.ack(tuple);
        Ok(())
    }
}

// === impl AggregatesCountBolt ===

impl Bolt for AggregatesCountBolt {
    fn prepare(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if is_tick(tuple, out) {
            return Ok(());
        }
        self.words.insert(tuple.value(0)?.to_value());
        let number = i32::try_from(self.words.len()).unwrap_or(i32::MAX);
        out.emit(tuple, values![number])?;
        out.ack(tuple);
        Ok(())
    }
}

// === impl WordCountBolt ===

impl Bolt for WordCountBolt {
    fn prepare(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if is_tick(tuple, out) {
            return Ok(());
        }
        let word = tuple.value(0)?;
        let count = self.counts.entry(word.to_value()).or_default();
        *count = count.wrapping_add(1);
        out.emit(tuple, values![word, *count])?;
        out.ack(tuple);
        Ok(())
    }
}

// === impl ExclamationBolt ===

impl Bolt for ExclamationBolt {
    fn prepare(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if is_tick(tuple, out) {
            return Ok(());
        }
        self.text.clear();
        self.text.push_str(tuple.str(0)?);
        self.text.push_str("!!!");
        out.emit(tuple, values![self.text.as_str()])?;
        out.ack(tuple);
        Ok(())
    }
}

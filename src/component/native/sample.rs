//! What Storm ships for tests and first steps, beyond what `count` and `pass` already are.

use std::collections::HashMap;

use crate::component::native::is_tick;
use crate::component::{Bolt, Collector, Result, TaskContext};
use crate::tuple::{Tuple, Value};
use crate::values;

/// Emits how many tuples it has seen: (count), an int.
#[derive(Default)]
pub struct GlobalCountBolt {
    count: i32,
}

/// Takes (word, count), and emits the sum of the last counts of all words: (sum), an int.
#[derive(Default)]
pub struct AggregatesCountBolt {
    counts: HashMap<Value, i32>,
    sum: i32,
}

/// Counts the first field: (value, count), the count an int.
#[derive(Default)]
pub struct WordCountBolt {
    counts: HashMap<Value, i32>,
}

/// Emits each word as if it came for the first time: (word, 1), the number an int.
pub struct WordOnceBolt;

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
        let count = tuple.int(1)?;
        let last = self.counts.insert(tuple.value(0)?.to_value(), count);
        self.sum = self.sum.wrapping_sub(last.unwrap_or(0)).wrapping_add(count);
        out.emit(tuple, values![self.sum])?;
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

// === impl WordOnceBolt ===

impl Bolt for WordOnceBolt {
    fn prepare(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if is_tick(tuple, out) {
            return Ok(());
        }
        out.emit(tuple, values![tuple.value(0)?, 1i32])?;
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

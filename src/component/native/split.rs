//! Splits text into words.

use crate::component::native::is_tick;
use crate::component::{Bolt, Collector, Result, TaskContext};
use crate::tuple::Tuple;
use crate::values;

/// Emits each word of a text field: (word).
pub struct SplitBolt {
    /// The first field, if none is named.
    field: Option<String>,
}

/// Emits each word of a numbered line, (number, line) in: (word, number, position from 0).
pub struct SplitNumberedBolt;

// === impl SplitBolt ===

impl SplitBolt {
    pub fn new(field: Option<String>) -> Self {
        SplitBolt { field }
    }
}

impl Bolt for SplitBolt {
    fn prepare(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if is_tick(tuple, out) {
            return Ok(());
        }
        let text = match &self.field {
            Some(field) => tuple.str(field.as_str())?,
            None => tuple.str(0)?,
        };
        for word in text.split_whitespace() {
            out.emit(tuple, values![word])?;
        }
        out.ack(tuple);
        Ok(())
    }
}

// === impl SplitNumberedBolt ===

impl Bolt for SplitNumberedBolt {
    fn prepare(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if is_tick(tuple, out) {
            return Ok(());
        }
        let number = tuple.value(0)?;
        for (position, word) in (0_i64..).zip(tuple.str(1)?.split_whitespace()) {
            out.emit(tuple, values![word, number, position])?;
        }
        out.ack(tuple);
        Ok(())
    }
}

//! Bolts that make nothing new: pass on, drop, choose fields, log.

use crate::component::native::is_tick;
use crate::component::{Bolt, Collector, Result, TaskContext};
use crate::tuple::{Tuple, ValueRef};

/// Emits each tuple as it is, anchored, and acks it.
pub struct IdBolt;

/// Acks each tuple.
pub struct NullBolt;

/// Emits the named fields, in the order of the names.
pub struct ProjectBolt {
    fields: Vec<String>,
}

/// Writes each tuple to the worker's log, at level info.
pub struct LogBolt {
    prefix: String,
    component: String,
    task: String,
}

// === impl IdBolt ===

impl Bolt for IdBolt {
    fn prepare(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if is_tick(tuple, out) {
            return Ok(());
        }
        emit_copy(tuple, out)?;
        out.ack(tuple);
        Ok(())
    }
}

/// Emits the same values, anchored. Tuples of a few fields cost no allocation.
pub fn emit_copy(tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
    fn first<'a, const N: usize>(tuple: &Tuple<'a>) -> [ValueRef<'a>; N] {
        let mut values = tuple.values();
        std::array::from_fn(|_| values.next().unwrap_or_default())
    }
    match tuple.len() {
        1 => out.emit(tuple, first::<1>(tuple)),
        2 => out.emit(tuple, first::<2>(tuple)),
        3 => out.emit(tuple, first::<3>(tuple)),
        4 => out.emit(tuple, first::<4>(tuple)),
        _ => out.emit(tuple, tuple.values().collect::<Vec<_>>()),
    }
}

// === impl NullBolt ===

impl Bolt for NullBolt {
    fn prepare(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    #[inline]
    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        out.ack(tuple);
        Ok(())
    }
}

// === impl ProjectBolt ===

impl ProjectBolt {
    pub fn new(fields: Vec<String>) -> Self {
        ProjectBolt { fields }
    }
}

impl Bolt for ProjectBolt {
    fn prepare(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if is_tick(tuple, out) {
            return Ok(());
        }
        let mut chosen = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            chosen.push(tuple.value(field.as_str())?);
        }
        out.emit(tuple, chosen)?;
        out.ack(tuple);
        Ok(())
    }
}

// === impl LogBolt ===

impl LogBolt {
    pub fn new(prefix: String) -> Self {
        LogBolt {
            prefix,
            component: String::new(),
            task: String::new(),
        }
    }
}

impl Bolt for LogBolt {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        self.component = context.component().to_string();
        self.task = format!("{}:{}", context.component(), context.task());
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        let values: Vec<String> = tuple.values().map(|value| value.to_string()).collect();
        tracing::info!(
            component = %self.component,
            task = %self.task,
            "{}source: {}:{}, stream: {}, [{}]",
            self.prefix,
            tuple.source_component(),
            tuple.source_task(),
            tuple.source_stream(),
            values.join(", "),
        );
        out.ack(tuple);
        Ok(())
    }
}

//! Windowed bolts that are built in. Which windows is configuration of the component.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use crate::component::native::resource;
use crate::component::window::{Window, WindowCollector, WindowedBolt};
use crate::component::{ComponentFailure, Emit, Result, TaskContext};
use crate::tuple::{Tuple, TupleError, Value, ValueRef};
use crate::values;

/// Counts the values of a field in each window: (value, count: long) for each, in the order in
/// which they first came, anchored to the tuples that were counted.
pub struct WindowCountBolt {
    field: Option<String>,
}

/// Adds up a field in each window: (sum, number of tuples: long), anchored to all tuples. The sum
/// is a long, or a double where one is among the values.
pub struct WindowSumBolt {
    field: Option<String>,
}

/// Emits how many tuples each window has: (number), an int, anchored to all of them.
pub struct WindowSizeBolt;

/// Emits what is new in each window as it is, each tuple anchored to the one it was.
pub struct WindowPassBolt;

/// Writes down each window: a line of JSON with its bounds, and of its tuples, the new and the
/// expired ones the first value each.
pub struct WindowTraceBolt {
    path: String,
    file: Option<(PathBuf, File)>,
}

// === impl WindowCountBolt ===

impl WindowCountBolt {
    /// Without a field, the first.
    pub fn new(field: Option<String>) -> Self {
        WindowCountBolt { field }
    }
}

impl WindowedBolt for WindowCountBolt {
    fn execute(&mut self, window: &Window<'_>, out: &mut WindowCollector<'_>) -> Result<()> {
        let mut places: HashMap<Value, usize> = HashMap::new();
        let mut counted: Vec<(ValueRef<'_>, Vec<Tuple<'_>>)> = Vec::new();
        for tuple in window.tuples() {
            let value = read(&tuple, self.field.as_deref())?;
            let place = *places.entry(value.to_value()).or_insert_with(|| {
                counted.push((value, Vec::new()));
                counted.len() - 1
            });
            counted[place].1.push(tuple);
        }
        for (value, tuples) in &counted {
            let emit = Emit {
                anchors: tuples,
                ..Emit::default()
            };
            let count = i64::try_from(tuples.len()).unwrap_or(i64::MAX);
            out.emit_with(emit, values![*value, count])?;
        }
        Ok(())
    }
}

// === impl WindowSumBolt ===

impl WindowSumBolt {
    /// Without a field, the first.
    pub fn new(field: Option<String>) -> Self {
        WindowSumBolt { field }
    }
}

impl WindowedBolt for WindowSumBolt {
    fn execute(&mut self, window: &Window<'_>, out: &mut WindowCollector<'_>) -> Result<()> {
        let (mut whole, mut fractions) = (0i64, None);
        for tuple in window.tuples() {
            match read(&tuple, self.field.as_deref())? {
                ValueRef::Byte(value) => whole = whole.wrapping_add(i64::from(value)),
                ValueRef::Short(value) => whole = whole.wrapping_add(i64::from(value)),
                ValueRef::Int(value) => whole = whole.wrapping_add(i64::from(value)),
                ValueRef::Long(value) => whole = whole.wrapping_add(value),
                ValueRef::Float(value) => *fractions.get_or_insert(0.0) += f64::from(value),
                ValueRef::Double(value) => *fractions.get_or_insert(0.0) += value,
                other => {
                    let text = format!("{other} is no number to add up");
                    return Err(ComponentFailure::new(text));
                }
            }
        }
        let count = i64::try_from(window.len()).unwrap_or(i64::MAX);
        match fractions {
            None => out.emit(values![whole, count]),
            Some(fractions) => out.emit(values![whole as f64 + fractions, count]),
        }
    }
}

// === impl WindowSizeBolt ===

impl WindowedBolt for WindowSizeBolt {
    fn execute(&mut self, window: &Window<'_>, out: &mut WindowCollector<'_>) -> Result<()> {
        out.emit(values![i32::try_from(window.len()).unwrap_or(i32::MAX)])
    }
}

// === impl WindowPassBolt ===

impl WindowedBolt for WindowPassBolt {
    fn execute(&mut self, window: &Window<'_>, out: &mut WindowCollector<'_>) -> Result<()> {
        for tuple in window.new_tuples() {
            let emit = Emit {
                anchors: &[tuple],
                ..Emit::default()
            };
            out.emit_with(emit, tuple.values().collect::<Vec<_>>())?;
        }
        Ok(())
    }
}

// === impl WindowTraceBolt ===

impl WindowTraceBolt {
    /// A relative path lies in the jar's `resources`. Each task has a file of its own: `path.N`.
    pub fn new(path: String) -> Self {
        WindowTraceBolt { path, file: None }
    }
}

impl WindowedBolt for WindowTraceBolt {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        let path = resource(context, &format!("{}.{}", self.path, context.task()));
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(|error| {
            ComponentFailure::from(error).context(format!("open {}", path.display()))
        })?;
        self.file = Some((path, file));
        Ok(())
    }

    fn execute(&mut self, window: &Window<'_>, _out: &mut WindowCollector<'_>) -> Result<()> {
        let firsts = |tuples: &mut dyn Iterator<Item = Tuple<'_>>| -> Vec<String> {
            tuples
                .map(|tuple| tuple.values().next().unwrap_or_default().to_string())
                .collect()
        };
        let line = json!({
            "start": window.start_ms(),
            "end": window.end_ms(),
            "tuples": firsts(&mut window.tuples()),
            "new": firsts(&mut window.new_tuples()),
            "expired": firsts(&mut window.expired_tuples()),
        });
        let Some((path, file)) = &mut self.file else {
            return Ok(());
        };
        file.write_all(format!("{line}\n").as_bytes())
            .map_err(|error| {
                ComponentFailure::from(error).context(format!("write {}", path.display()))
            })
    }

    fn blocks(&self) -> bool {
        true
    }
}

/// The named field, or the first.
fn read<'t>(tuple: &Tuple<'t>, field: Option<&str>) -> Result<ValueRef<'t>, TupleError> {
    match field {
        Some(field) => tuple.value(field),
        None => tuple.value(0),
    }
}

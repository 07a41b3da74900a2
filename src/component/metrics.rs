//! Numbers by name that components report of themselves. The worker's next report takes them to
//! Nimbus, which tells them to whoever asks.
//!
//! Nothing is registered: the first report of a name makes the metric. Knows no wire and no clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::id::{ComponentId, TaskId};
use crate::limits;
use crate::tuple::Value;

/// The metrics of a worker's tasks.
#[derive(Debug, Default)]
pub struct MetricBoard {
    tasks: Mutex<BTreeMap<TaskId, Arc<TaskMetrics>>>,
}

/// The metrics of one task; they outlive a child that dies and a component that is made anew.
#[derive(Debug)]
pub struct TaskMetrics {
    component: ComponentId,
    task: TaskId,
    values: Mutex<Values>,
}

#[derive(Debug, Default)]
struct Values {
    by_name: BTreeMap<Box<str>, f64>,
    n_changes: u64,
}

/// One metric as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub component: ComponentId,
    pub task: TaskId,
    pub name: String,
    pub value: f64,
}

/// A report that says nothing we can keep.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricError {
    #[error("a metric without a name")]
    NoName,
    #[error(
        "a metric's name of {n_bytes} bytes: it may have {}",
        limits::METRIC_NAME_BYTES_MAX
    )]
    LongName { n_bytes: usize },
    #[error("metric {name}: {params} is neither null, a number nor a map of numbers")]
    WrongParams { name: String, params: String },
    #[error(
        "metric {name}: a task has at most {} names",
        limits::METRICS_OF_TASK_MAX
    )]
    TooMany { name: String },
}

// === impl MetricBoard ===

impl MetricBoard {
    /// The metrics of a task, from now on or as they are.
    pub fn of(&self, component: &ComponentId, task: TaskId) -> Arc<TaskMetrics> {
        let new = || TaskMetrics {
            component: component.clone(),
            task,
            values: Mutex::default(),
        };
        let mut tasks = lock(&self.tasks);
        Arc::clone(tasks.entry(task).or_insert_with(|| Arc::new(new())))
    }

    /// Counts changes: unequal numbers tell that there is something new.
    pub fn version(&self) -> u64 {
        let tasks = lock(&self.tasks);
        tasks
            .values()
            .map(|task| lock(&task.values).n_changes)
            .sum()
    }

    /// All of them, by task and name; as many as a worker may report.
    pub fn readings(&self) -> Vec<Reading> {
        let tasks: Vec<_> = lock(&self.tasks).values().cloned().collect();
        let readings = tasks.iter().flat_map(|task| task.readings());
        readings.take(limits::METRICS_OF_WORKER_MAX).collect()
    }
}

// === impl TaskMetrics ===

impl TaskMetrics {
    /// What a multilang child's `metrics` asks for: null counts one up, a number is the new value,
    /// a map is one metric for each of its keys.
    pub fn report(&self, name: Option<&str>, params: &Value) -> Result<(), MetricError> {
        let name = name
            .filter(|name| !name.is_empty())
            .ok_or(MetricError::NoName)?;
        match params {
            Value::Null => self.update(name, |value| value + 1.0),
            Value::Map(entries) => entries.iter().try_for_each(|(key, value)| {
                let name = format!("{name}.{key}");
                let number = number(value).ok_or_else(|| wrong(&name, value))?;
                self.update(&name, |_| number)
            }),
            params => {
                let number = number(params).ok_or_else(|| wrong(name, params))?;
                self.update(name, |_| number)
            }
        }
    }

    /// All in a line, `a=1, b=2`.
    pub fn line(&self) -> String {
        let values = lock(&self.values);
        let shown = values
            .by_name
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        shown.collect::<Vec<_>>().join(", ")
    }

    pub fn version(&self) -> u64 {
        lock(&self.values).n_changes
    }

    fn readings(&self) -> Vec<Reading> {
        let values = lock(&self.values);
        let readings = values.by_name.iter().map(|(name, value)| Reading {
            component: self.component.clone(),
            task: self.task,
            name: name.to_string(),
            value: *value,
        });
        readings.collect()
    }

    fn update(&self, name: &str, change: impl FnOnce(f64) -> f64) -> Result<(), MetricError> {
        let mut values = lock(&self.values);
        if let Some(value) = values.by_name.get_mut(name) {
            *value = change(*value);
        } else if name.len() > limits::METRIC_NAME_BYTES_MAX {
            let n_bytes = name.len();
            return Err(MetricError::LongName { n_bytes });
        } else if values.by_name.len() >= limits::METRICS_OF_TASK_MAX {
            let name = name.to_owned();
            return Err(MetricError::TooMany { name });
        } else {
            values.by_name.insert(name.into(), change(0.0));
        }
        values.n_changes += 1;
        Ok(())
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(f64::from(*value)),
        Value::Long(value) => Some(*value as f64),
        Value::Float(value) => Some(f64::from(*value)),
        Value::Double(value) => Some(*value),
        Value::BigInteger(_) | Value::Decimal { .. } => value.to_string().parse().ok(),
        _ => None,
    }
}

fn wrong(name: &str, params: &Value) -> MetricError {
    MetricError::WrongParams {
        name: name.to_owned(),
        params: params.to_string(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No change of what is behind these locks can be half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> (MetricBoard, Arc<TaskMetrics>) {
        let board = MetricBoard::default();
        let metrics = board.of(&"split".into(), TaskId(3));
        (board, metrics)
    }

    #[test]
    fn counters_gauges_and_maps_of_them() {
        let (board, metrics) = metrics();
        metrics.report(Some("seen"), &Value::Null).unwrap();
        metrics.report(Some("seen"), &Value::Null).unwrap();
        metrics.report(Some("depth"), &Value::Int(7)).unwrap();
        metrics.report(Some("depth"), &Value::Double(2.5)).unwrap();
        let map = Value::Map(vec![(Value::Str("a".into()), Value::Long(3))]);
        metrics.report(Some("by"), &map).unwrap();
        assert_eq!(metrics.line(), "by.a=3, depth=2.5, seen=2");
        let text = metrics.report(Some("x"), &Value::Str("y".into()));
        let text = text.unwrap_err().to_string();
        assert!(text.contains("metric x: y is neither"), "{text}");
        assert_eq!(board.version(), 5);
    }

    #[test]
    fn a_board_shows_each_task_and_keeps_what_a_component_left() {
        let (board, metrics) = metrics();
        metrics.report(Some("seen"), &Value::Null).unwrap();
        drop(metrics);
        let again = board.of(&"split".into(), TaskId(3));
        again.report(Some("seen"), &Value::Null).unwrap();
        let other = board.of(&"split".into(), TaskId(4));
        other.report(Some("seen"), &Value::Long(9)).unwrap();
        let shown: Vec<_> = board
            .readings()
            .into_iter()
            .map(|reading| (reading.task.0, reading.name, reading.value))
            .collect();
        let seen = || "seen".to_owned();
        assert_eq!(shown, [(3, seen(), 2.0), (4, seen(), 9.0)]);
    }

    #[test]
    fn names_are_there_short_and_few() {
        let (_, metrics) = metrics();
        let count = |name: &str| metrics.report(Some(name), &Value::Null);
        assert_eq!(metrics.report(None, &Value::Null), Err(MetricError::NoName));
        assert_eq!(count(""), Err(MetricError::NoName));
        let n_bytes = limits::METRIC_NAME_BYTES_MAX + 1;
        assert_eq!(
            count(&"x".repeat(n_bytes)),
            Err(MetricError::LongName { n_bytes })
        );
        for number in 0..limits::METRICS_OF_TASK_MAX {
            count(&number.to_string()).unwrap();
        }
        let name = "more".to_owned();
        assert_eq!(count(&name), Err(MetricError::TooMany { name }));
        count("7").unwrap();
    }
}

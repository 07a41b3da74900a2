//! Metrics that children report: registered by their first report, kept, and shown in the worker's
//! log.

use std::collections::BTreeMap;

use crate::tuple::Value;

/// The metrics of one task's children.
#[derive(Debug, Default)]
pub struct Metrics {
    values: BTreeMap<Box<str>, f64>,
    is_changed: bool,
}

/// A report that says nothing we can keep.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricError {
    #[error("a metric without a name")]
    NoName,
    #[error("metric {name}: {params} is neither null, a number nor a map of numbers")]
    WrongParams { name: String, params: String },
    #[error("more than {METRICS_MAX} metrics")]
    TooMany,
}

// === impl Metrics ===

impl Metrics {
    /// Null counts one up, a number is the new value, a map is one metric for each of its keys.
    pub fn report(&mut self, name: Option<&str>, params: &Value) -> Result<(), MetricError> {
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

    /// By name, as they stand.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.values.iter().map(|(name, value)| (&**name, *value))
    }

    /// All of them in a line, if any changed since the last call.
    pub fn take_line(&mut self) -> Option<String> {
        let is_changed = std::mem::take(&mut self.is_changed);
        let shown = || self.iter().map(|(name, value)| format!("{name}={value}"));
        is_changed.then(|| shown().collect::<Vec<_>>().join(", "))
    }

    fn update(&mut self, name: &str, change: impl FnOnce(f64) -> f64) -> Result<(), MetricError> {
        self.is_changed = true;
        if let Some(value) = self.values.get_mut(name) {
            *value = change(*value);
            return Ok(());
        }
        if self.values.len() >= METRICS_MAX {
            return Err(MetricError::TooMany);
        }
        self.values.insert(name.into(), change(0.0));
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

/// Names of metrics that one task's children may use.
const METRICS_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_gauges_and_maps_of_them() {
        let mut metrics = Metrics::default();
        metrics.report(Some("seen"), &Value::Null).unwrap();
        metrics.report(Some("seen"), &Value::Null).unwrap();
        metrics.report(Some("depth"), &Value::Int(7)).unwrap();
        metrics.report(Some("depth"), &Value::Double(2.5)).unwrap();
        let map = Value::Map(vec![(Value::Str("a".into()), Value::Long(3))]);
        metrics.report(Some("by"), &map).unwrap();
        assert_eq!(metrics.take_line().unwrap(), "by.a=3, depth=2.5, seen=2");
        assert_eq!(metrics.take_line(), None);
        assert_eq!(metrics.report(None, &Value::Null), Err(MetricError::NoName));
        assert_eq!(
            metrics.report(Some(""), &Value::Null),
            Err(MetricError::NoName)
        );
        let text = metrics.report(Some("x"), &Value::Str("y".into()));
        assert!(
            text.unwrap_err()
                .to_string()
                .contains("metric x: y is neither")
        );
    }

    #[test]
    fn names_are_bounded() {
        let mut metrics = Metrics::default();
        for number in 0..METRICS_MAX {
            metrics
                .report(Some(&number.to_string()), &Value::Null)
                .unwrap();
        }
        assert_eq!(
            metrics.report(Some("more"), &Value::Null),
            Err(MetricError::TooMany)
        );
        metrics.report(Some("7"), &Value::Null).unwrap();
    }
}

//! A tuple that came too late for its window, as a value: Storm's `DetachedTuple`.
//!
//! It is the one value of the tuple on the late stream, a map of names that any language reads.

use crate::id::{ComponentId, StreamId, TaskId};
use crate::tuple::{Tuple, Value, ValueRef};

/// A tuple without its topology around it.
#[derive(Clone, Debug, PartialEq)]
pub struct LateTuple {
    pub source_component: ComponentId,
    pub source_task: TaskId,
    pub source_stream: StreamId,
    pub fields: Vec<String>,
    pub values: Vec<Value>,
}

/// A value that `LateTuple` did not make.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a late tuple without `{0}`")]
pub struct NotLateError(&'static str);

// === impl LateTuple ===

impl LateTuple {
    /// The value for a late stream.
    pub(super) fn value(tuple: &Tuple<'_>) -> Value {
        let fields = tuple.fields().iter().map(text);
        let values = tuple.values().map(ValueRef::to_value);
        Value::Map(vec![
            (text(COMPONENT), text(tuple.source_component().as_str())),
            (text(TASK), Value::Int(tuple.source_task().0)),
            (text(STREAM), text(tuple.source_stream().as_str())),
            (text(FIELDS), Value::List(fields.collect())),
            (text(VALUES), Value::List(values.collect())),
        ])
    }

    /// Reads such a value, whichever worker it came from.
    pub fn read(value: &Value) -> Result<Self, NotLateError> {
        let entry = |name: &'static str| -> Result<&Value, NotLateError> {
            let Value::Map(entries) = value else {
                return Err(NotLateError(name));
            };
            let named = entries.iter().find(|(key, _)| *key == text(name));
            named.map(|(_, value)| value).ok_or(NotLateError(name))
        };
        let string = |name| match entry(name)? {
            Value::Str(text) => Ok(text.to_string()),
            _ => Err(NotLateError(name)),
        };
        let list = |name| match entry(name)? {
            Value::List(values) => Ok(values.as_slice()),
            _ => Err(NotLateError(name)),
        };
        let field = |value: &Value| match value {
            Value::Str(text) => Ok(text.to_string()),
            _ => Err(NotLateError(FIELDS)),
        };
        Ok(LateTuple {
            source_component: ComponentId::from(string(COMPONENT)?),
            source_task: match entry(TASK)? {
                Value::Int(task) => TaskId(*task),
                _ => return Err(NotLateError(TASK)),
            },
            source_stream: StreamId::from(string(STREAM)?),
            fields: list(FIELDS)?.iter().map(field).collect::<Result<_, _>>()?,
            values: list(VALUES)?.to_vec(),
        })
    }
}

fn text(text: &str) -> Value {
    Value::Str(text.into())
}

const COMPONENT: &str = "srcComponent";
const TASK: &str = "srcTask";
const STREAM: &str = "srcStream";
const FIELDS: &str = "fields";
const VALUES: &str = "values";

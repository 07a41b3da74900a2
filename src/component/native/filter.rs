//! Lets tuples pass whose field compares as asked.

use std::cmp::Ordering;
use std::str::FromStr;

use crate::component::native::is_tick;
use crate::component::native::pass::emit_copy;
use crate::component::{Bolt, Collector, Result, TaskContext};
use crate::tuple::{Tuple, Value, ValueRef};

/// Emits the tuples whose field passes the test, and acks all.
pub struct FilterBolt {
    field: String,
    test: Test,
    operand: Value,
}

/// How a field is compared with the operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
    /// Of texts.
    Contains,
    /// Of texts.
    StartsWith,
}

/// No such test.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no comparison: one of = != < <= > >= contains starts-with")]
pub struct UnknownTestError(String);

// === impl Test ===

impl FromStr for Test {
    type Err = UnknownTestError;

    fn from_str(text: &str) -> Result<Self, UnknownTestError> {
        Ok(match text {
            "=" | "==" => Test::Equal,
            "!=" => Test::NotEqual,
            "<" => Test::Less,
            "<=" => Test::AtMost,
            ">" => Test::Greater,
            ">=" => Test::AtLeast,
            "contains" => Test::Contains,
            "starts-with" => Test::StartsWith,
            _ => return Err(UnknownTestError(text.to_owned())),
        })
    }
}

impl Test {
    /// Numbers of different types compare by size, texts by their characters; values that do not
    /// compare (a number and a text, NaN) are unequal and pass nothing else.
    fn passes(self, value: ValueRef<'_>, operand: &Value) -> bool {
        let order = compare(value, operand.as_ref());
        match self {
            Test::Equal => order == Some(Ordering::Equal),
            Test::NotEqual => order != Some(Ordering::Equal),
            Test::Less => order == Some(Ordering::Less),
            Test::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Test::Greater => order == Some(Ordering::Greater),
            Test::AtLeast => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Test::Contains => texts(value, operand).is_some_and(|(a, b)| a.contains(b)),
            Test::StartsWith => texts(value, operand).is_some_and(|(a, b)| a.starts_with(b)),
        }
    }
}

// === impl FilterBolt ===

impl FilterBolt {
    pub fn new(field: String, test: Test, operand: Value) -> Self {
        FilterBolt {
            field,
            test,
            operand,
        }
    }
}

impl Bolt for FilterBolt {
    fn prepare(&mut self, _context: &TaskContext) -> Result<()> {
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if is_tick(tuple, out) {
            return Ok(());
        }
        if self
            .test
            .passes(tuple.value(self.field.as_str())?, &self.operand)
        {
            emit_copy(tuple, out)?;
        }
        out.ack(tuple);
        Ok(())
    }
}

fn texts<'v>(value: ValueRef<'v>, operand: &'v Value) -> Option<(&'v str, &'v str)> {
    match (value, operand) {
        (ValueRef::Str(value), Value::Str(operand)) => Some((value, operand)),
        _ => None,
    }
}

fn compare(left: ValueRef<'_>, right: ValueRef<'_>) -> Option<Ordering> {
    match (left, right) {
        (ValueRef::Null, ValueRef::Null) => Some(Ordering::Equal),
        (ValueRef::Str(left), ValueRef::Str(right)) => Some(left.cmp(right)),
        (ValueRef::Bool(left), ValueRef::Bool(right)) => Some(left.cmp(&right)),
        (ValueRef::Bytes(left), ValueRef::Bytes(right)) => Some(left.cmp(right)),
        _ => match (whole(left), whole(right)) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => real(left)?.partial_cmp(&real(right)?),
        },
    }
}

fn whole(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Byte(value) => Some(value.into()),
        ValueRef::Short(value) => Some(value.into()),
        ValueRef::Int(value) => Some(value.into()),
        ValueRef::Long(value) => Some(value),
        _ => None,
    }
}

fn real(value: ValueRef<'_>) -> Option<f64> {
    match value {
        ValueRef::Float(value) => Some(value.into()),
        ValueRef::Double(value) => Some(value),
        ValueRef::Nested(number @ (Value::BigInteger(_) | Value::Decimal { .. })) => {
            number.to_string().parse().ok()
        }
        _ => whole(value).map(|value| value as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<'a>(value: impl Into<ValueRef<'a>>, test: &str, operand: Value, expected: bool) {
        let value = value.into();
        let test: Test = test.parse().unwrap();
        assert_eq!(
            test.passes(value, &operand),
            expected,
            "{value:?} {test:?} {operand:?}"
        );
    }

    #[test]
    fn numbers_compare_across_types_and_nothing_else_does() {
        check(3_i32, "=", Value::Long(3), true);
        check(3_i32, "<", Value::Double(3.5), true);
        check(3_i64, ">=", Value::Int(4), false);
        check(f64::NAN, "=", Value::Double(f64::NAN), false);
        check(f64::NAN, "!=", Value::Double(1.0), true);
        check("3", "=", Value::Long(3), false);
        check("3", "<", Value::Long(4), false);
        check(i64::MAX, ">", Value::Long(i64::MAX - 1), true);
    }

    #[test]
    fn texts_compare_by_their_characters() {
        check("apple", "<", Value::Str("pear".into()), true);
        check("apple", "contains", Value::Str("pp".into()), true);
        check("apple", "starts-with", Value::Str("pp".into()), false);
        check(3_i32, "contains", Value::Str("3".into()), false);
        assert!(
            "~".parse::<Test>()
                .unwrap_err()
                .to_string()
                .contains("one of")
        );
    }
}

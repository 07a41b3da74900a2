//! How large the values of one tuple may be: what would not fit a frame between workers is refused
//! when it is emitted, wherever its receivers are, so that it does not depend on their place.

use crate::component::EmitError;
use crate::limits;
use crate::tuple::{Value, ValueRef};

/// Refuses values that are too large together, or nested too deeply.
#[inline(always)]
pub(super) fn check(stream: &str, values: &[ValueRef<'_>]) -> Result<(), EmitError> {
    let mut n_bytes = 0usize;
    for value in values {
        match value {
            ValueRef::Str(text) => n_bytes = n_bytes.saturating_add(text.len()),
            ValueRef::Bytes(bytes) => n_bytes = n_bytes.saturating_add(bytes.len()),
            ValueRef::Nested(value) => {
                n_bytes = n_bytes.saturating_add(n_bytes_within(value, limits::VALUE_DEPTH_MAX));
            }
            _ => {}
        }
    }
    match n_bytes <= limits::TUPLE_VALUES_BYTES_MAX {
        true => Ok(()),
        false => Err(refused(stream, n_bytes)),
    }
}

#[cold]
fn refused(stream: &str, n_bytes: usize) -> EmitError {
    match n_bytes {
        usize::MAX => EmitError::TooDeep {
            stream: stream.to_owned(),
            depth_max: limits::VALUE_DEPTH_MAX,
        },
        n_bytes => EmitError::TooLarge {
            stream: stream.to_owned(),
            n_bytes,
            n_bytes_max: limits::TUPLE_VALUES_BYTES_MAX,
        },
    }
}

/// Bytes of a value and what it holds; `usize::MAX` when it is nested more than `depth` deep.
fn n_bytes_within(value: &Value, depth: usize) -> usize {
    let sum = |all: usize, value: &Value| all.saturating_add(n_bytes_within(value, depth - 1));
    match value {
        Value::Str(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(_) | Value::Map(_) | Value::BigInteger(_) | Value::Decimal { .. }
            if depth == 0 =>
        {
            usize::MAX
        }
        Value::BigInteger(bytes) => bytes.len(),
        Value::Decimal { unscaled, .. } => unscaled.len(),
        Value::List(items) => items.iter().fold(items.len(), sum),
        Value::Map(entries) => {
            let both = entries.iter().flat_map(|(key, value)| [key, value]);
            both.fold(entries.len(), sum)
        }
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values;

    #[test]
    fn what_fits_a_frame_is_taken_and_no_more() {
        let most = "x".repeat(limits::TUPLE_VALUES_BYTES_MAX);
        assert_eq!(check("s", &values![most.as_str(), 1i64]), Ok(()));
        let error = check("s", &values![most.as_str(), "y"]).unwrap_err();
        let n_bytes = limits::TUPLE_VALUES_BYTES_MAX + 1;
        let text = format!("{n_bytes} bytes of values for stream `s`");
        assert!(error.to_string().starts_with(&text), "{error}");
        let list = Value::List(vec![Value::from(most.as_str()), Value::from("y")]);
        assert!(matches!(
            check("s", &[ValueRef::from(&list)]),
            Err(EmitError::TooLarge { .. })
        ));
    }

    #[test]
    fn values_nest_as_deep_as_a_link_carries_them() {
        let nest = |depth| (0..depth).fold(Value::Long(1), |inner, _| Value::List(vec![inner]));
        let deepest = nest(limits::VALUE_DEPTH_MAX);
        assert_eq!(check("s", &[ValueRef::from(&deepest)]), Ok(()));
        let deeper = nest(limits::VALUE_DEPTH_MAX + 1);
        let error = check("s", &[ValueRef::from(&deeper)]).unwrap_err();
        assert!(matches!(error, EmitError::TooDeep { .. }), "{error}");
    }
}

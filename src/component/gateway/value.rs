//! Values between tuples and peers: what a `Value` of messages.thrift stands for, and back.
//!
//! Nothing is converted into another type: what a language cannot tell apart its client decides.

use bytes::Bytes;

use crate::limits;
use crate::tuple::{Value, ValueRef, number};
use crate::wire::{messages, storm};

/// Why a peer's value is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    #[error("a value is not set, or of a kind that is not known here")]
    Unset,
    #[error("{0} is no UTF-16 code unit")]
    Char(i32),
    #[error("a number of any size needs at least one byte")]
    Empty,
    #[error("a number has {0} bytes, {max} at most", max = number::BYTES_MAX)]
    Large(usize),
    #[error("values are nested more than {} deep", limits::VALUE_DEPTH_MAX)]
    Depth,
}

/// What a peer sent, as a tuple holds it.
pub fn received(value: messages::Value) -> Result<Value, ValueError> {
    at_depth(value, 0)
}

fn at_depth(value: messages::Value, depth: usize) -> Result<Value, ValueError> {
    use messages::Value as Sent;
    if depth >= limits::VALUE_DEPTH_MAX {
        return Err(ValueError::Depth);
    }
    let inner = |value| at_depth(value, depth + 1);
    Ok(match value {
        Sent::Unset => return Err(ValueError::Unset),
        Sent::NullValue(_) => Value::Null,
        Sent::BoolValue(v) => Value::Bool(v),
        Sent::ByteValue(v) => Value::Byte(v),
        Sent::ShortValue(v) => Value::Short(v),
        Sent::IntValue(v) => Value::Int(v),
        Sent::LongValue(v) => Value::Long(v),
        Sent::FloatValue(v) => Value::Float(v as f32),
        Sent::DoubleValue(v) => Value::Double(v),
        Sent::CharValue(v) => Value::Char(u16::try_from(v).map_err(|_| ValueError::Char(v))?),
        Sent::StringValue(v) => Value::Str(v.into_boxed_str()),
        Sent::BytesValue(v) => Value::Bytes(v),
        Sent::ListValue(items) => {
            Value::List(items.into_iter().map(inner).collect::<Result<_, _>>()?)
        }
        Sent::MapValue(entries) => {
            let entry = |entry: messages::Entry| Ok((inner(entry.key)?, inner(entry.value)?));
            Value::Map(entries.into_iter().map(entry).collect::<Result<_, _>>()?)
        }
        Sent::BigIntegerValue(digits) => Value::BigInteger(digits_of(&digits)?),
        Sent::DecimalValue(decimal) => Value::Decimal {
            unscaled: digits_of(&decimal.unscaled)?,
            scale: decimal.scale,
        },
    })
}

fn digits_of(digits: &Bytes) -> Result<Box<[u8]>, ValueError> {
    match digits.len() {
        0 => Err(ValueError::Empty),
        n_bytes if n_bytes > number::BYTES_MAX => Err(ValueError::Large(n_bytes)),
        _ => Ok(digits.as_ref().into()),
    }
}

/// What a tuple holds, as it is sent to a peer.
pub fn sent(value: ValueRef<'_>) -> messages::Value {
    use messages::Value as Sent;
    match value {
        ValueRef::Null => Sent::NullValue(storm::NullStruct::default()),
        ValueRef::Bool(v) => Sent::BoolValue(v),
        ValueRef::Byte(v) => Sent::ByteValue(v),
        ValueRef::Short(v) => Sent::ShortValue(v),
        ValueRef::Int(v) => Sent::IntValue(v),
        ValueRef::Long(v) => Sent::LongValue(v),
        ValueRef::Float(v) => Sent::FloatValue(v.into()),
        ValueRef::Double(v) => Sent::DoubleValue(v),
        ValueRef::Char(v) => Sent::CharValue(v.into()),
        ValueRef::Str(v) => Sent::StringValue(v.to_owned()),
        ValueRef::Bytes(v) => Sent::BytesValue(Bytes::copy_from_slice(v)),
        ValueRef::Nested(value) => nested(value),
    }
}

fn nested(value: &Value) -> messages::Value {
    use messages::Value as Sent;
    match value {
        Value::List(items) => {
            Sent::ListValue(items.iter().map(|item| sent(item.as_ref())).collect())
        }
        Value::Map(entries) => {
            let entry = |(key, value): &(Value, Value)| messages::Entry {
                key: sent(key.as_ref()),
                value: sent(value.as_ref()),
            };
            Sent::MapValue(entries.iter().map(entry).collect())
        }
        Value::BigInteger(digits) => Sent::BigIntegerValue(Bytes::copy_from_slice(digits)),
        Value::Decimal { unscaled, scale } => Sent::DecimalValue(messages::Decimal {
            unscaled: Bytes::copy_from_slice(unscaled),
            scale: *scale,
        }),
        flat => sent(flat.as_ref()),
    }
}

/// About what a value takes in memory and on the wire, in bytes.
pub fn weight(value: ValueRef<'_>) -> usize {
    let own = match value {
        ValueRef::Str(text) => text.len(),
        ValueRef::Bytes(bytes) => bytes.len(),
        ValueRef::Nested(Value::List(items)) => {
            items.iter().map(|item| weight(item.as_ref())).sum()
        }
        ValueRef::Nested(Value::Map(entries)) => {
            let entry =
                |(key, value): &(Value, Value)| weight(key.as_ref()) + weight(value.as_ref());
            entries.iter().map(entry).sum()
        }
        ValueRef::Nested(Value::BigInteger(digits)) => digits.len(),
        ValueRef::Nested(Value::Decimal { unscaled, .. }) => unscaled.len(),
        _ => 0,
    };
    own + VALUE_BYTES
}

/// What any value costs beside what is in it.
const VALUE_BYTES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back_as_it_was() {
        let values = [
            Value::Null,
            Value::Bool(true),
            Value::Byte(-1),
            Value::Short(-2),
            Value::Int(3),
            Value::Long(i64::MIN),
            Value::Float(0.1),
            Value::Double(0.1),
            Value::Char(0xd800),
            Value::Str("ä\u{0}".into()),
            Value::Bytes(Bytes::from_static(b"\xff")),
            Value::List(vec![Value::Null, Value::List(vec![Value::Int(1)])]),
            Value::Map(vec![(Value::Str("k".into()), Value::Double(f64::NAN))]),
            Value::BigInteger([1, 2, 3].into()),
            Value::Decimal {
                unscaled: [9].into(),
                scale: -4,
            },
        ];
        for value in values {
            assert_eq!(received(sent(value.as_ref())), Ok(value));
        }
    }

    #[test]
    fn what_is_no_value_is_named() {
        use messages::Value as Sent;
        assert_eq!(received(Sent::Unset), Err(ValueError::Unset));
        let list = Sent::ListValue(vec![Sent::Unset]);
        assert_eq!(received(list), Err(ValueError::Unset));
        for code in [-1, 65_536] {
            assert_eq!(received(Sent::CharValue(code)), Err(ValueError::Char(code)));
        }
        let empty = Sent::BigIntegerValue(Bytes::new());
        assert_eq!(received(empty), Err(ValueError::Empty));
        // Written as text, one of a megabyte would hold up its thread for a minute.
        let number = |n_bytes| Sent::BigIntegerValue(vec![1; n_bytes].into());
        assert!(received(number(number::BYTES_MAX)).is_ok());
        let n_bytes = number::BYTES_MAX + 1;
        assert_eq!(received(number(n_bytes)), Err(ValueError::Large(n_bytes)));
        let unscaled = Sent::DecimalValue(messages::Decimal {
            unscaled: vec![1; n_bytes].into(),
            scale: 0,
        });
        assert_eq!(received(unscaled), Err(ValueError::Large(n_bytes)));
        let deep = |n| (0..n).fold(Sent::LongValue(1), |inner, _| Sent::ListValue(vec![inner]));
        assert!(received(deep(limits::VALUE_DEPTH_MAX - 1)).is_ok());
        assert_eq!(
            received(deep(limits::VALUE_DEPTH_MAX)),
            Err(ValueError::Depth)
        );
    }
}

//! Typed values of the golden vectors, as the values that we carry.
//!
//! Java has more types than travel between our components. Where one of ours has the same content
//! and the same hash, it stands in: a list for an array, a Long of milliseconds for a date, and for
//! a set the map of its elements to null that Java's own sets are. UUIDs have no such counterpart.

use bytes::Bytes;
use serde_json::Value as Json;

use crate::tuple::{Value, number};

/// `None` when the value is, or contains, one that we do not carry.
pub fn value(typed: &Json) -> Option<Value> {
    let v = &typed["v"];
    Some(match text(&typed["t"]) {
        "null" => Value::Null,
        "string" => Value::from(text(v)),
        "int" => Value::Int(integer(v) as i32),
        "long" => Value::Long(integer(v)),
        "short" => Value::Short(integer(v) as i16),
        "byte" => Value::Byte(integer(v) as i8),
        "char" => Value::Char(integer(v) as u16),
        "bool" => Value::Bool(v.as_bool().expect("a bool")),
        "float" => float(&typed["bits"]),
        "double" => double(&typed["bits"]),
        "biginteger" => Value::BigInteger(number::from_decimal(text(v)).expect("digits")),
        "bigdecimal" => Value::Decimal {
            unscaled: number::from_decimal(text(&typed["unscaled"])).expect("digits"),
            scale: integer(&typed["scale"]) as i32,
        },
        "date" => Value::Long(integer(&typed["ms"])),
        "byte[]" => Value::Bytes(hex(text(&typed["hex"]))),
        "short[]" => Value::List(items(v).map(|v| Value::Short(integer(v) as i16)).collect()),
        "char[]" => Value::List(items(v).map(|v| Value::Char(integer(v) as u16)).collect()),
        "int[]" => Value::List(items(v).map(|v| Value::Int(integer(v) as i32)).collect()),
        "long[]" => Value::List(items(v).map(|v| Value::Long(integer(v))).collect()),
        "boolean[]" => Value::List(
            items(v)
                .map(|v| Value::Bool(v.as_bool().expect("a bool")))
                .collect(),
        ),
        "float[]" => Value::List(items(&typed["bits"]).map(float).collect()),
        "double[]" => Value::List(items(&typed["bits"]).map(double).collect()),
        "string[]" | "object[]" | "list" => {
            Value::List(items(v).map(value).collect::<Option<_>>()?)
        }
        "set" => Value::Map(
            items(v)
                .map(|item| Some((value(item)?, Value::Null)))
                .collect::<Option<_>>()?,
        ),
        "map" => Value::Map(
            items(v)
                .map(|entry| Some((value(&entry[0])?, value(&entry[1])?)))
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

fn items(json: &Json) -> std::slice::Iter<'_, Json> {
    json.as_array().expect("an array").iter()
}

fn text(json: &Json) -> &str {
    json.as_str().expect("a string")
}

fn integer(json: &Json) -> i64 {
    json.as_i64().expect("an integer")
}

fn float(bits: &Json) -> Value {
    Value::Float(f32::from_bits(
        u32::from_str_radix(text(bits), 16).expect("32 bits"),
    ))
}

fn double(bits: &Json) -> Value {
    Value::Double(f64::from_bits(
        u64::from_str_radix(text(bits), 16).expect("64 bits"),
    ))
}

fn hex(digits: &str) -> Bytes {
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("a byte");
    (0..digits.len()).step_by(2).map(byte).collect()
}

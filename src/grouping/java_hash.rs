//! Java's `hashCode` of a value, which fields grouping and the choice of an acker are made of
//! (data-plane 2.1). Wraps in 32 bits, as Java does.
//!
//! Byte strings inside a list or map hash by content: Java takes their address there, so that Storm
//! groups them differently in each worker. Not for hash maps: `Value` implements `Hash`.

use std::fmt;

use crate::tuple::number::{self, Magnitude};
use crate::tuple::{Value, ValueRef};

/// The hash of a list of values, in order: what fields grouping takes modulo the number of targets.
#[inline]
pub fn deep_hash<'a>(values: impl IntoIterator<Item = ValueRef<'a>>) -> i32 {
    values
        .into_iter()
        .fold(1, |hash, value| step(hash, java_hash(value)))
}

/// The hash of one value; 0 for null.
#[inline]
pub fn java_hash(value: ValueRef<'_>) -> i32 {
    match value {
        ValueRef::Null => 0,
        ValueRef::Bool(true) => 1231,
        ValueRef::Bool(false) => 1237,
        ValueRef::Byte(v) => v.into(),
        ValueRef::Short(v) => v.into(),
        ValueRef::Int(v) => v,
        ValueRef::Long(v) => long(v),
        ValueRef::Float(v) if v.is_nan() => 0x7fc0_0000,
        ValueRef::Float(v) => v.to_bits() as i32,
        ValueRef::Double(v) if v.is_nan() => long(0x7ff8_0000_0000_0000),
        ValueRef::Double(v) => long(v.to_bits() as i64),
        ValueRef::Char(v) => v.into(),
        ValueRef::Str(v) => text(v),
        ValueRef::Bytes(v) => polynomial(v),
        ValueRef::Nested(v) => nested(v),
    }
}

/// A Long's hash.
#[inline]
pub fn long(value: i64) -> i32 {
    (value ^ (value as u64 >> 32) as i64) as i32
}

/// Hash of the bytes that are written to it as text: Java's hash of a byte array.
pub(super) struct ByteHash(pub i32);

impl fmt::Write for ByteHash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = text
            .bytes()
            .fold(self.0, |hash, byte| step(hash, (byte as i8).into()));
        Ok(())
    }
}

/// A byte array's hash.
#[inline]
pub(super) fn polynomial(bytes: &[u8]) -> i32 {
    bytes
        .iter()
        .fold(1, |hash, byte| step(hash, (*byte as i8).into()))
}

#[inline]
fn step(hash: i32, element: i32) -> i32 {
    hash.wrapping_mul(31).wrapping_add(element)
}

/// A String's hash, over UTF-16 code units. ASCII, most of what keys are made of, needs no decoding
/// and is taken four at a time, which shortens the chain of multiplications.
#[inline]
fn text(text: &str) -> i32 {
    if !text.is_ascii() {
        return text
            .encode_utf16()
            .fold(0, |hash, unit| step(hash, unit.into()));
    }
    let mut hash = 0i32;
    let (fours, rest) = text.as_bytes().as_chunks::<4>();
    for [a, b, c, d] in fours {
        let [a, b, c, d] = [*a, *b, *c, *d].map(i32::from);
        let sum = a * (31 * 31 * 31) + b * (31 * 31) + c * 31 + d;
        hash = hash.wrapping_mul(31 * 31 * 31 * 31).wrapping_add(sum);
    }
    rest.iter()
        .fold(hash, |hash, byte| step(hash, (*byte).into()))
}

fn nested(value: &Value) -> i32 {
    match value {
        Value::List(items) => deep_hash(items.iter().map(Value::as_ref)),
        Value::Map(entries) => entries.iter().fold(0, |sum: i32, (key, value)| {
            sum.wrapping_add(java_hash(key.as_ref()) ^ java_hash(value.as_ref()))
        }),
        Value::BigInteger(bytes) => big_integer(bytes),
        Value::Decimal { unscaled, scale } => step(big_integer(unscaled), *scale),
        flat => java_hash(flat.as_ref()),
    }
}

fn big_integer(bytes: &[u8]) -> i32 {
    let Magnitude { is_negative, words } = number::magnitude(bytes);
    let hash = words.iter().fold(0, |hash, word| step(hash, *word as i32));
    if is_negative {
        hash.wrapping_neg()
    } else {
        hash
    }
}

//! Equality, order and hash of values, consistent with each other and with Java's `equals`.
//!
//! `grouping::java_hash` is something else: the 32-bit hash that routes tuples.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use super::number;
use super::value::{Value, ValueRef};

// === impl Value ===

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Types in the order of `Value`'s variants, and within one by content.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Value::List(a), Value::List(b)) => a.cmp(b),
            (Value::Map(a), Value::Map(b)) => sorted(a).cmp(&sorted(b)),
            (Value::BigInteger(a), Value::BigInteger(b)) => compare_integers(a, b),
            (
                Value::Decimal {
                    unscaled: a,
                    scale: a_scale,
                },
                Value::Decimal {
                    unscaled: b,
                    scale: b_scale,
                },
            ) => a_scale.cmp(b_scale).then_with(|| compare_integers(a, b)),
            (a, b) => compare_flat(a.as_ref(), b.as_ref()),
        }
    }
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind().hash(state);
        match self {
            Value::List(items) => items.hash(state),
            Value::Map(entries) => sorted(entries).hash(state),
            Value::BigInteger(bytes) => number::trimmed(bytes).hash(state),
            Value::Decimal { unscaled, scale } => {
                (number::trimmed(unscaled), scale).hash(state);
            }
            flat => hash_flat(flat.as_ref(), state),
        }
    }
}

// === impl ValueRef ===

impl PartialEq for ValueRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (ValueRef::Nested(a), ValueRef::Nested(b)) => a == b,
            (a, b) => compare_flat(*a, *b).is_eq(),
        }
    }
}

impl Eq for ValueRef<'_> {}

fn compare_flat(a: ValueRef<'_>, b: ValueRef<'_>) -> Ordering {
    match (a, b) {
        (ValueRef::Bool(a), ValueRef::Bool(b)) => a.cmp(&b),
        (ValueRef::Byte(a), ValueRef::Byte(b)) => a.cmp(&b),
        (ValueRef::Short(a), ValueRef::Short(b)) => a.cmp(&b),
        (ValueRef::Int(a), ValueRef::Int(b)) => a.cmp(&b),
        (ValueRef::Long(a), ValueRef::Long(b)) => a.cmp(&b),
        (ValueRef::Float(a), ValueRef::Float(b)) => one_nan32(a).total_cmp(&one_nan32(b)),
        (ValueRef::Double(a), ValueRef::Double(b)) => one_nan64(a).total_cmp(&one_nan64(b)),
        (ValueRef::Char(a), ValueRef::Char(b)) => a.cmp(&b),
        (ValueRef::Str(a), ValueRef::Str(b)) => a.cmp(b),
        (ValueRef::Bytes(a), ValueRef::Bytes(b)) => a.cmp(b),
        (a, b) => a.kind().cmp(&b.kind()),
    }
}

fn hash_flat<H: Hasher>(value: ValueRef<'_>, state: &mut H) {
    match value {
        ValueRef::Bool(v) => v.hash(state),
        ValueRef::Byte(v) => v.hash(state),
        ValueRef::Short(v) => v.hash(state),
        ValueRef::Int(v) => v.hash(state),
        ValueRef::Long(v) => v.hash(state),
        ValueRef::Float(v) => one_nan32(v).to_bits().hash(state),
        ValueRef::Double(v) => one_nan64(v).to_bits().hash(state),
        ValueRef::Char(v) => v.hash(state),
        ValueRef::Str(v) => v.hash(state),
        ValueRef::Bytes(v) => v.hash(state),
        ValueRef::Null | ValueRef::Nested(_) => {}
    }
}

/// Entries have no order of their own.
fn sorted(entries: &[(Value, Value)]) -> Vec<&(Value, Value)> {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort();
    entries
}

/// By value, of two's complement numbers of any length.
fn compare_integers(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (number::trimmed(a), number::trimmed(b));
    let is_negative = |bytes: &[u8]| bytes[0] >= 0x80;
    match (is_negative(a), is_negative(b)) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        // A longer number is further from zero; of equal length the bytes decide.
        (false, false) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
        (true, true) => b.len().cmp(&a.len()).then_with(|| a.cmp(b)),
    }
}

/// Java knows one NaN: all others become it.
fn one_nan32(value: f32) -> f32 {
    if value.is_nan() { f32::NAN } else { value }
}

fn one_nan64(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

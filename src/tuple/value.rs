//! One value of a tuple: owned (`Value`), and borrowed from wherever it lies (`ValueRef`).
//!
//! Java's types stay apart: an int is not a long, since fields grouping tells them apart and so may
//! a receiver. Nothing here converts one type into another, and nothing knows JSON, MessagePack or
//! Thrift.

use std::fmt;

use bytes::Bytes;

/// An owned value of one of the types that travel between components.
///
/// Equality, order and hash follow Java's `equals`: types never equal each other, NaN equals NaN,
/// 0.0 differs from -0.0, 1.0 differs from 1.00 as a decimal, and a map's entries have no order.
#[derive(Clone, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Byte(i8),
    Short(i16),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    /// Java's `char`: one UTF-16 code unit, possibly half a character.
    Char(u16),
    Str(Box<str>),
    Bytes(Bytes),
    List(Vec<Value>),
    /// The entries, each key once.
    Map(Vec<(Value, Value)>),
    /// An integer of any size: two's complement, big endian, of at least one byte.
    BigInteger(Box<[u8]>),
    /// `unscaled * 10^-scale`; `unscaled` as in `BigInteger`.
    Decimal {
        unscaled: Box<[u8]>,
        scale: i32,
    },
}

/// A value that lies in a tuple, in a `Value` or in the caller's own variables.
#[derive(Clone, Copy, Default)]
pub enum ValueRef<'a> {
    #[default]
    Null,
    Bool(bool),
    Byte(i8),
    Short(i16),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    /// Java's `char`: one UTF-16 code unit.
    Char(u16),
    Str(&'a str),
    Bytes(&'a [u8]),
    /// A list, a map or a number of any size.
    Nested(&'a Value),
}

/// The type of a value, as errors name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueKind {
    Null,
    Bool,
    Byte,
    Short,
    Int,
    Long,
    Float,
    Double,
    Char,
    Str,
    Bytes,
    List,
    Map,
    BigInteger,
    Decimal,
}

/// An array of `ValueRef` from expressions that convert into one: `values![word, 1i64]`.
///
/// Nothing is allocated: strings and bytes stay where they are. Taken are `bool`, `i8` to `i64`,
/// `f32`, `f64`, `&str`, `&[u8]`, and `&Value` for what is nested or too big; of others a
/// conversion: `text.as_str()`, `count as i64`, `&Value::List(..)`.
#[macro_export]
macro_rules! values {
    () => { [] as [$crate::tuple::ValueRef<'static>; 0] };
    ($($value:expr),+ $(,)?) => { [$($crate::tuple::ValueRef::from($value)),+] };
}

// === impl Value ===

impl Value {
    pub fn kind(&self) -> ValueKind {
        match self {
            Value::List(_) => ValueKind::List,
            Value::Map(_) => ValueKind::Map,
            Value::BigInteger(_) => ValueKind::BigInteger,
            Value::Decimal { .. } => ValueKind::Decimal,
            flat => ValueRef::from(flat).kind(),
        }
    }

    /// Bytes of what it holds, about as many as it takes on a link.
    pub fn n_bytes(&self) -> usize {
        match self {
            Value::Str(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::BigInteger(bytes) => bytes.len(),
            Value::Decimal { unscaled, .. } => unscaled.len(),
            Value::List(items) => items.iter().map(|item| 1 + item.n_bytes()).sum(),
            Value::Map(entries) => {
                let both = entries.iter().flat_map(|(key, value)| [key, value]);
                both.map(|value| 1 + value.n_bytes()).sum()
            }
            _ => size_of::<u64>(),
        }
    }

    /// Whether it owns no memory.
    #[inline]
    pub fn is_plain(&self) -> bool {
        matches!(
            self,
            Value::Null
                | Value::Bool(_)
                | Value::Byte(_)
                | Value::Short(_)
                | Value::Int(_)
                | Value::Long(_)
                | Value::Float(_)
                | Value::Double(_)
                | Value::Char(_)
        )
    }

    /// The same value, borrowed.
    #[inline]
    pub fn as_ref(&self) -> ValueRef<'_> {
        ValueRef::from(self)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::List(items) => f.debug_tuple("List").field(items).finish(),
            Value::Map(entries) => f.debug_tuple("Map").field(entries).finish(),
            Value::BigInteger(_) => write!(f, "BigInteger({self})"),
            Value::Decimal { .. } => write!(f, "Decimal({self})"),
            flat => fmt::Debug::fmt(&ValueRef::from(flat), f),
        }
    }
}

// === impl ValueRef ===

impl ValueRef<'_> {
    pub fn kind(self) -> ValueKind {
        match self {
            ValueRef::Null => ValueKind::Null,
            ValueRef::Bool(_) => ValueKind::Bool,
            ValueRef::Byte(_) => ValueKind::Byte,
            ValueRef::Short(_) => ValueKind::Short,
            ValueRef::Int(_) => ValueKind::Int,
            ValueRef::Long(_) => ValueKind::Long,
            ValueRef::Float(_) => ValueKind::Float,
            ValueRef::Double(_) => ValueKind::Double,
            ValueRef::Char(_) => ValueKind::Char,
            ValueRef::Str(_) => ValueKind::Str,
            ValueRef::Bytes(_) => ValueKind::Bytes,
            ValueRef::Nested(value) => value.kind(),
        }
    }

    /// An owned copy.
    pub fn to_value(self) -> Value {
        match self {
            ValueRef::Null => Value::Null,
            ValueRef::Bool(v) => Value::Bool(v),
            ValueRef::Byte(v) => Value::Byte(v),
            ValueRef::Short(v) => Value::Short(v),
            ValueRef::Int(v) => Value::Int(v),
            ValueRef::Long(v) => Value::Long(v),
            ValueRef::Float(v) => Value::Float(v),
            ValueRef::Double(v) => Value::Double(v),
            ValueRef::Char(v) => Value::Char(v),
            ValueRef::Str(v) => Value::Str(v.into()),
            ValueRef::Bytes(v) => Value::Bytes(Bytes::copy_from_slice(v)),
            ValueRef::Nested(v) => v.clone(),
        }
    }
}

impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueRef::Null => f.write_str("Null"),
            ValueRef::Bool(v) => write!(f, "Bool({v})"),
            ValueRef::Byte(v) => write!(f, "Byte({v})"),
            ValueRef::Short(v) => write!(f, "Short({v})"),
            ValueRef::Int(v) => write!(f, "Int({v})"),
            ValueRef::Long(v) => write!(f, "Long({v})"),
            ValueRef::Float(v) => write!(f, "Float({v:?})"),
            ValueRef::Double(v) => write!(f, "Double({v:?})"),
            ValueRef::Char(v) => write!(f, "Char({v:#x})"),
            ValueRef::Str(v) => write!(f, "Str({v:?})"),
            ValueRef::Bytes(v) => f.debug_tuple("Bytes").field(v).finish(),
            ValueRef::Nested(v) => v.fmt(f),
        }
    }
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    #[inline]
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => ValueRef::Null,
            Value::Bool(v) => ValueRef::Bool(*v),
            Value::Byte(v) => ValueRef::Byte(*v),
            Value::Short(v) => ValueRef::Short(*v),
            Value::Int(v) => ValueRef::Int(*v),
            Value::Long(v) => ValueRef::Long(*v),
            Value::Float(v) => ValueRef::Float(*v),
            Value::Double(v) => ValueRef::Double(*v),
            Value::Char(v) => ValueRef::Char(*v),
            Value::Str(v) => ValueRef::Str(v),
            Value::Bytes(v) => ValueRef::Bytes(v),
            nested => ValueRef::Nested(nested),
        }
    }
}

impl From<()> for ValueRef<'_> {
    fn from((): ()) -> Self {
        ValueRef::Null
    }
}

impl<'a, T: Into<ValueRef<'a>>> From<Option<T>> for ValueRef<'a> {
    #[inline]
    fn from(value: Option<T>) -> Self {
        value.map_or(ValueRef::Null, Into::into)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for ValueRef<'a> {
    #[inline]
    fn from(value: &'a [u8; N]) -> Self {
        ValueRef::Bytes(value)
    }
}

// === impl ValueKind ===

impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValueKind::Null => "null",
            ValueKind::Bool => "boolean",
            ValueKind::Byte => "byte",
            ValueKind::Short => "short",
            ValueKind::Int => "int",
            ValueKind::Long => "long",
            ValueKind::Float => "float",
            ValueKind::Double => "double",
            ValueKind::Char => "char",
            ValueKind::Str => "string",
            ValueKind::Bytes => "bytes",
            ValueKind::List => "list",
            ValueKind::Map => "map",
            ValueKind::BigInteger => "big integer",
            ValueKind::Decimal => "decimal",
        })
    }
}

macro_rules! scalars {
    ($($variant:ident($scalar:ty)),*) => {$(
        impl From<$scalar> for ValueRef<'_> {
            #[inline]
            fn from(value: $scalar) -> Self {
                ValueRef::$variant(value)
            }
        }

        impl From<$scalar> for Value {
            fn from(value: $scalar) -> Self {
                Value::$variant(value)
            }
        }
    )*};
}

macro_rules! borrowed {
    ($($variant:ident($source:ty)),*) => {$(
        impl<'a> From<&'a $source> for ValueRef<'a> {
            #[inline]
            fn from(value: &'a $source) -> Self {
                ValueRef::$variant(value)
            }
        }
    )*};
}

macro_rules! owned {
    ($($variant:ident($source:ty)),*) => {$(
        impl From<$source> for Value {
            fn from(value: $source) -> Self {
                Value::$variant(value.into())
            }
        }
    )*};
}

// A u16 is no char by itself, and unsigned numbers are no Java numbers: the caller says what it
// means.
scalars!(
    Bool(bool),
    Byte(i8),
    Short(i16),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64)
);
borrowed!(
    Str(str),
    Str(String),
    Str(Box<str>),
    Bytes([u8]),
    Bytes(Vec<u8>),
    Bytes(Bytes)
);
owned!(
    Str(&str),
    Str(String),
    Str(Box<str>),
    Bytes(Bytes),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>)
);

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Self {
        value.to_value()
    }
}

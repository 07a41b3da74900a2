//! Values as packed bytes: the innermost layer of the batch codec.
//!
//! A value is a tag (the id of its variant in `Value` of messages.thrift) and data; in a column of
//! equal types the tag stands once. Integers are variable-length, texts and byte strings carry
//! their length. Bytes from a peer are only ever refused, never trusted: no length is believed
//! before it is there.

use crate::limits;
use crate::tuple::{Value, ValueRef};

/// Why packed bytes could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackedError {
    #[error("the data ends within a value")]
    Truncated,
    #[error("unknown value tag {tag}")]
    UnknownTag { tag: u8 },
    #[error("unknown mode {mode} of a column")]
    UnknownMode { mode: u8 },
    #[error("a text is not UTF-8")]
    NotUtf8,
    #[error("a number does not fit its type")]
    OutOfRange,
    #[error("values are nested more than {} deep", limits::VALUE_DEPTH_MAX)]
    TooDeep,
}

/// What is left to read.
#[derive(Clone, Copy)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes }
    }

    #[inline]
    pub fn left(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub fn byte(&mut self) -> Result<u8, PackedError> {
        let (first, rest) = self.bytes.split_first().ok_or(PackedError::Truncated)?;
        self.bytes = rest;
        Ok(*first)
    }

    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], PackedError> {
        let (head, rest) = self
            .bytes
            .split_first_chunk()
            .ok_or(PackedError::Truncated)?;
        self.bytes = rest;
        Ok(*head)
    }

    #[inline]
    pub fn slice(&mut self, n_bytes: usize) -> Result<&'a [u8], PackedError> {
        let (head, rest) = self
            .bytes
            .split_at_checked(n_bytes)
            .ok_or(PackedError::Truncated)?;
        self.bytes = rest;
        Ok(head)
    }

    /// An unsigned number of up to ten bytes, seven bits each, lowest first.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, PackedError> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        self.long_varint(first)
    }

    fn long_varint(&mut self, first: u8) -> Result<u64, PackedError> {
        let mut value = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(PackedError::OutOfRange);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(PackedError::OutOfRange)
    }

    #[inline]
    pub fn zigzag(&mut self) -> Result<i64, PackedError> {
        let folded = self.varint()?;
        Ok((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    /// A length with that many bytes behind it.
    #[inline]
    pub fn sized(&mut self) -> Result<&'a [u8], PackedError> {
        let n_bytes = usize::try_from(self.varint()?).map_err(|_| PackedError::Truncated)?;
        self.slice(n_bytes)
    }

    /// The data of a value of type `tag`. What is no flat value goes to `nested`.
    #[inline]
    pub fn value(&mut self, tag: u8) -> Result<Unpacked<'a>, PackedError> {
        let flat = match tag {
            tag::NULL => ValueRef::Null,
            tag::BOOL => ValueRef::Bool(self.byte()? != 0),
            tag::BYTE => ValueRef::Byte(self.byte()? as i8),
            tag::SHORT => ValueRef::Short(narrow(self.zigzag()?)?),
            tag::INT => ValueRef::Int(narrow(self.zigzag()?)?),
            tag::LONG => ValueRef::Long(self.zigzag()?),
            tag::FLOAT => ValueRef::Float(f32::from_le_bytes(self.array()?)),
            tag::DOUBLE => ValueRef::Double(f64::from_le_bytes(self.array()?)),
            tag::CHAR => ValueRef::Char(narrow(self.varint()? as i64)?),
            tag::STR => {
                let text = std::str::from_utf8(self.sized()?);
                ValueRef::Str(text.map_err(|_| PackedError::NotUtf8)?)
            }
            tag::BYTES => ValueRef::Bytes(self.sized()?),
            _ => return Ok(Unpacked::Nested(self.nested(tag, 0)?)),
        };
        Ok(Unpacked::Flat(flat))
    }

    fn nested(&mut self, tag: u8, depth: usize) -> Result<Value, PackedError> {
        if depth >= limits::VALUE_DEPTH_MAX {
            return Err(PackedError::TooDeep);
        }
        match tag {
            tag::LIST => {
                let n_items = self.count(1)?;
                let items = (0..n_items).map(|_| self.tagged(depth));
                Ok(Value::List(items.collect::<Result<_, _>>()?))
            }
            tag::MAP => {
                let n_entries = self.count(2)?;
                let entry = |_| Ok((self.tagged(depth)?, self.tagged(depth)?));
                let entries = (0..n_entries).map(entry);
                Ok(Value::Map(entries.collect::<Result<_, _>>()?))
            }
            tag::BIG_INTEGER => Ok(Value::BigInteger(self.sized()?.into())),
            tag::DECIMAL => {
                let scale = narrow(self.zigzag()?)?;
                let unscaled = self.sized()?.into();
                Ok(Value::Decimal { unscaled, scale })
            }
            tag => Err(PackedError::UnknownTag { tag }),
        }
    }

    fn tagged(&mut self, depth: usize) -> Result<Value, PackedError> {
        let tag = self.byte()?;
        if tag >= tag::LIST {
            return self.nested(tag, depth + 1);
        }
        match self.value(tag)? {
            Unpacked::Flat(value) => Ok(value.to_value()),
            Unpacked::Nested(value) => Ok(value),
        }
    }

    /// A number of elements, each of which takes at least `n_bytes_min` of what is left.
    fn count(&mut self, n_bytes_min: usize) -> Result<usize, PackedError> {
        let count = usize::try_from(self.varint()?).map_err(|_| PackedError::Truncated)?;
        if count > self.left() / n_bytes_min {
            return Err(PackedError::Truncated);
        }
        Ok(count)
    }
}

/// A value as it was found.
pub enum Unpacked<'a> {
    Flat(ValueRef<'a>),
    Nested(Value),
}

pub(super) fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T, PackedError> {
    T::try_from(value).map_err(|_| PackedError::OutOfRange)
}

/// Appends an unsigned number, seven bits a byte, lowest first.
#[inline]
pub fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number so that small ones of either sign are short.
#[inline]
pub fn put_zigzag(value: i64, out: &mut Vec<u8>) {
    put_varint(((value << 1) ^ (value >> 63)) as u64, out);
}

/// Appends a length and the bytes.
#[inline]
pub fn put_sized(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// The tag of a value's type.
#[inline]
pub fn tag_of(value: ValueRef<'_>) -> u8 {
    match value {
        ValueRef::Null => tag::NULL,
        ValueRef::Bool(_) => tag::BOOL,
        ValueRef::Byte(_) => tag::BYTE,
        ValueRef::Short(_) => tag::SHORT,
        ValueRef::Int(_) => tag::INT,
        ValueRef::Long(_) => tag::LONG,
        ValueRef::Float(_) => tag::FLOAT,
        ValueRef::Double(_) => tag::DOUBLE,
        ValueRef::Char(_) => tag::CHAR,
        ValueRef::Str(_) => tag::STR,
        ValueRef::Bytes(_) => tag::BYTES,
        ValueRef::Nested(Value::List(_)) => tag::LIST,
        ValueRef::Nested(Value::Map(_)) => tag::MAP,
        ValueRef::Nested(Value::BigInteger(_)) => tag::BIG_INTEGER,
        ValueRef::Nested(Value::Decimal { .. }) => tag::DECIMAL,
        ValueRef::Nested(flat) => tag_of(flat.as_ref()),
    }
}

/// Appends the data of a value, without its tag.
#[inline]
pub fn put_value(value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), PackedError> {
    match value {
        ValueRef::Null => {}
        ValueRef::Bool(v) => out.push(u8::from(v)),
        ValueRef::Byte(v) => out.push(v as u8),
        ValueRef::Short(v) => put_zigzag(v.into(), out),
        ValueRef::Int(v) => put_zigzag(v.into(), out),
        ValueRef::Long(v) => put_zigzag(v, out),
        ValueRef::Float(v) => out.extend_from_slice(&v.to_le_bytes()),
        ValueRef::Double(v) => out.extend_from_slice(&v.to_le_bytes()),
        ValueRef::Char(v) => put_varint(v.into(), out),
        ValueRef::Str(v) => put_sized(v.as_bytes(), out),
        ValueRef::Bytes(v) => put_sized(v, out),
        ValueRef::Nested(v) => return put_nested(v, 0, out),
    }
    Ok(())
}

fn put_nested(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), PackedError> {
    if depth >= limits::VALUE_DEPTH_MAX {
        return Err(PackedError::TooDeep);
    }
    match value {
        Value::List(items) => {
            put_varint(items.len() as u64, out);
            for item in items {
                put_tagged(item, depth, out)?;
            }
        }
        Value::Map(entries) => {
            put_varint(entries.len() as u64, out);
            for (key, value) in entries {
                put_tagged(key, depth, out)?;
                put_tagged(value, depth, out)?;
            }
        }
        Value::BigInteger(bytes) => put_sized(bytes, out),
        Value::Decimal { unscaled, scale } => {
            put_zigzag((*scale).into(), out);
            put_sized(unscaled, out);
        }
        flat => return put_value(flat.as_ref(), out),
    }
    Ok(())
}

fn put_tagged(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), PackedError> {
    let tag = tag_of(value.as_ref());
    out.push(tag);
    // What is flat nests nothing: it may stand in the deepest list.
    match tag < tag::LIST {
        true => put_value(value.as_ref(), out),
        false => put_nested(value, depth + 1, out),
    }
}

/// The types of values, by the ids of their variants in `Value` of messages.thrift.
pub mod tag {
    pub const NULL: u8 = 1;
    pub const BOOL: u8 = 2;
    pub const BYTE: u8 = 3;
    pub const SHORT: u8 = 4;
    pub const INT: u8 = 5;
    pub const LONG: u8 = 6;
    pub const FLOAT: u8 = 7;
    pub const DOUBLE: u8 = 8;
    pub const CHAR: u8 = 9;
    pub const STR: u8 = 10;
    pub const BYTES: u8 = 11;
    pub const LIST: u8 = 12;
    pub const MAP: u8 = 13;
    pub const BIG_INTEGER: u8 = 14;
    pub const DECIMAL: u8 = 15;
}

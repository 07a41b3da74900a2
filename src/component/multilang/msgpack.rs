//! MessagePack both ways: finds where an object ends, reads it, writes values.
//!
//! Reads every type but extensions; raw bytes of the old format are text. Knows nothing of
//! messages.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use crate::component::multilang::node::{Node, last_of_each_key};
use crate::component::multilang::number;
use crate::limits;
use crate::tuple::{Value, ValueRef};

/// Why bytes are not a MessagePack object that we take.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MessagePackError {
    #[error("byte {byte:#04x} begins no value that we read")]
    Unsupported { byte: u8 },
    #[error("not a map")]
    NotAMap,
    #[error("ends in the middle of a value")]
    UnexpectedEnd,
    #[error("values nested deeper than {}", limits::MULTILANG_DEPTH_MAX)]
    TooDeep,
}

/// How far the search for an object's end has come; goes on where it stopped when more bytes
/// arrive.
#[derive(Debug, Default)]
pub struct Extent {
    scanned: usize,
    /// Values still to come at each level of nesting, outermost first. Empty: nothing begun.
    open: Vec<u64>,
}

/// Gives the fields of a map in the order they come.
pub fn each_field<'a>(
    bytes: &'a [u8],
    take: &mut dyn FnMut(Cow<'a, str>, Node<'a>),
) -> Result<(), MessagePackError> {
    let mut reader = Reader { rest: bytes };
    let Head::Map(n_entries) = reader.head()? else {
        return Err(MessagePackError::NotAMap);
    };
    for _ in 0..n_entries {
        let key = match reader.node(1)? {
            Node::Text(key) => key,
            Node::Bytes(key) => String::from_utf8_lossy(key),
            other => Cow::Owned(other.into_value().to_string()),
        };
        take(key, reader.node(1)?);
    }
    Ok(())
}

/// Appends one value. Numbers too big for MessagePack's own types become text.
pub fn write(out: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => out.push(0xc0),
        ValueRef::Bool(value) => out.push(0xc2 + u8::from(value)),
        ValueRef::Byte(value) => write_integer(out, i64::from(value)),
        ValueRef::Short(value) => write_integer(out, i64::from(value)),
        ValueRef::Int(value) => write_integer(out, i64::from(value)),
        ValueRef::Long(value) => write_integer(out, value),
        ValueRef::Float(value) => write_sized(out, 0xca, &value.to_be_bytes()),
        ValueRef::Double(value) => write_sized(out, 0xcb, &value.to_be_bytes()),
        ValueRef::Char(unit) => {
            let text = String::from_utf16_lossy(&[unit]);
            write_text(out, &text);
        }
        ValueRef::Str(text) => write_text(out, text),
        ValueRef::Bytes(bytes) => {
            write_length(out, [None, Some(0xc4), Some(0xc5), Some(0xc6)], bytes.len());
            out.extend_from_slice(bytes);
        }
        ValueRef::Nested(Value::List(items)) => {
            write_array_head(out, items.len());
            items.iter().for_each(|item| write(out, item.as_ref()));
        }
        ValueRef::Nested(Value::Map(entries)) => {
            write_map_head(out, entries.len());
            for (key, value) in entries {
                write(out, key.as_ref());
                write(out, value.as_ref());
            }
        }
        ValueRef::Nested(number @ (Value::BigInteger(_) | Value::Decimal { .. })) => {
            let text = number.to_string();
            match text.parse::<u64>() {
                Ok(fits) => write_sized(out, 0xcf, &fits.to_be_bytes()),
                Err(_) => write_text(out, &text),
            }
        }
        ValueRef::Nested(flat) => write(out, flat.as_ref()),
    }
}

pub fn write_text(out: &mut Vec<u8>, text: &str) {
    write_length(
        out,
        [Some(0xa0), Some(0xd9), Some(0xda), Some(0xdb)],
        text.len(),
    );
    out.extend_from_slice(text.as_bytes());
}

pub fn write_integer(out: &mut Vec<u8>, value: i64) {
    if let Ok(small) = i8::try_from(value) {
        if small < -32 {
            out.push(0xd0);
        }
        out.extend_from_slice(&small.to_be_bytes());
    } else if let Ok(small) = i16::try_from(value) {
        write_sized(out, 0xd1, &small.to_be_bytes());
    } else if let Ok(small) = i32::try_from(value) {
        write_sized(out, 0xd2, &small.to_be_bytes());
    } else {
        write_sized(out, 0xd3, &value.to_be_bytes());
    }
}

pub fn write_array_head(out: &mut Vec<u8>, n_items: usize) {
    write_length(out, [Some(0x90), None, Some(0xdc), Some(0xdd)], n_items);
}

pub fn write_map_head(out: &mut Vec<u8>, n_entries: usize) {
    write_length(out, [Some(0x80), None, Some(0xde), Some(0xdf)], n_entries);
}

/// The four forms of a length: within the code's low bits, and in 8, 16 and 32 bits.
fn write_length(out: &mut Vec<u8>, codes: [Option<u8>; 4], length: usize) {
    let [within, eight, sixteen, thirty_two] = codes;
    // Text keeps 5 bits within its code, containers 4.
    let within_max = if within == Some(0xa0) { 31 } else { 15 };
    let wide = u32::try_from(length).unwrap_or(u32::MAX);
    match (within, eight, sixteen, thirty_two) {
        (Some(code), ..) if wide <= within_max => out.push(code | wide as u8),
        (_, Some(code), ..) if wide <= 0xff => out.extend([code, wide as u8]),
        (_, _, Some(code), _) if wide <= 0xffff => {
            write_sized(out, code, &(wide as u16).to_be_bytes())
        }
        (.., code) => write_sized(out, code.unwrap_or_default(), &wide.to_be_bytes()),
    }
}

fn write_sized(out: &mut Vec<u8>, code: u8, bytes: &[u8]) {
    out.push(code);
    out.extend_from_slice(bytes);
}

/// The beginning of a value: all of it, or how much follows.
enum Head {
    Null,
    Bool(bool),
    Number(Value),
    /// Bytes of UTF-8.
    Text(usize),
    Bytes(usize),
    List(u32),
    Map(u32),
}

struct Reader<'a> {
    rest: &'a [u8],
}

// === impl Extent ===

impl Extent {
    /// The next whole object, cut from the front of `buffer`.
    pub fn search(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, MessagePackError> {
        if self.open.is_empty() {
            if buffer.is_empty() {
                return Ok(None);
            }
            self.open.push(1);
        }
        while let Some(to_come) = self.open.last_mut() {
            if *to_come == 0 {
                self.open.pop();
                continue;
            }
            let mut reader = Reader {
                rest: buffer.get(self.scanned..).unwrap_or_default(),
            };
            let before = reader.rest.len();
            let head = match reader.head() {
                Ok(head) => head,
                Err(MessagePackError::UnexpectedEnd) => return Ok(None),
                Err(error) => return Err(error),
            };
            let head_len = before - reader.rest.len();
            let (body_len, children) = match head {
                Head::Text(length) | Head::Bytes(length) => (length, 0),
                Head::List(items) => (0, u64::from(items)),
                Head::Map(entries) => (0, u64::from(entries) * 2),
                Head::Null | Head::Bool(_) | Head::Number(_) => (0, 0),
            };
            if reader.rest.len() < body_len {
                return Ok(None);
            }
            *to_come -= 1;
            self.scanned += head_len + body_len;
            if children > 0 {
                self.open.push(children);
            }
            if self.open.len() > limits::MULTILANG_DEPTH_MAX + 1 {
                return Err(MessagePackError::TooDeep);
            }
        }
        Ok(Some(
            buffer.split_to(std::mem::take(&mut self.scanned)).freeze(),
        ))
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], MessagePackError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(MessagePackError::UnexpectedEnd)?;
        self.rest = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], MessagePackError> {
        let taken = self.take(N)?;
        taken
            .try_into()
            .map_err(|_| MessagePackError::UnexpectedEnd)
    }

    /// A length of 8, 16 or 32 bits, by the low bits of the code that announces it.
    fn length(&mut self, width: u8) -> Result<u32, MessagePackError> {
        Ok(match width {
            0 => u32::from(self.fixed::<1>()?[0]),
            1 => u32::from(u16::from_be_bytes(self.fixed()?)),
            _ => u32::from_be_bytes(self.fixed()?),
        })
    }

    /// What to reserve: no more than the bytes that are there can hold, and never much.
    fn bounded(&self, count: u32) -> usize {
        (count as usize).min(self.rest.len()).min(RESERVED_MAX)
    }

    fn head(&mut self) -> Result<Head, MessagePackError> {
        let [code] = self.fixed()?;
        let whole = |value: i64| Head::Number(number::signed(value));
        Ok(match code {
            0x00..=0x7f | 0xe0..=0xff => whole(i64::from(i8::from_be_bytes([code]))),
            0x80..=0x8f => Head::Map(u32::from(code & 0x0f)),
            0x90..=0x9f => Head::List(u32::from(code & 0x0f)),
            0xa0..=0xbf => Head::Text(usize::from(code & 0x1f)),
            0xc0 => Head::Null,
            0xc2 | 0xc3 => Head::Bool(code == 0xc3),
            0xc4..=0xc6 => Head::Bytes(self.length(code - 0xc4)? as usize),
            0xca => Head::Number(Value::Float(f32::from_be_bytes(self.fixed()?))),
            0xcb => Head::Number(Value::Double(f64::from_be_bytes(self.fixed()?))),
            0xcc..=0xce => whole(i64::from(self.length(code - 0xcc)?)),
            0xcf => Head::Number(number::unsigned(u64::from_be_bytes(self.fixed()?))),
            0xd0 => whole(i64::from(i8::from_be_bytes(self.fixed()?))),
            0xd1 => whole(i64::from(i16::from_be_bytes(self.fixed()?))),
            0xd2 => whole(i64::from(i32::from_be_bytes(self.fixed()?))),
            0xd3 => whole(i64::from_be_bytes(self.fixed()?)),
            0xd9..=0xdb => Head::Text(self.length(code - 0xd9)? as usize),
            0xdc | 0xdd => Head::List(self.length(code - 0xdb)?),
            0xde | 0xdf => Head::Map(self.length(code - 0xdd)?),
            0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => {
                return Err(MessagePackError::Unsupported { byte: code });
            }
        })
    }

    fn node(&mut self, depth: usize) -> Result<Node<'a>, MessagePackError> {
        if depth > limits::MULTILANG_DEPTH_MAX {
            return Err(MessagePackError::TooDeep);
        }
        Ok(match self.head()? {
            Head::Null => Node::Null,
            Head::Bool(value) => Node::Bool(value),
            Head::Number(value) => Node::Number(value),
            Head::Text(length) => Node::Text(String::from_utf8_lossy(self.take(length)?)),
            Head::Bytes(length) => Node::Bytes(self.take(length)?),
            Head::List(n_items) => {
                let mut items = Vec::with_capacity(self.bounded(n_items));
                for _ in 0..n_items {
                    items.push(self.node(depth + 1)?.into_value());
                }
                Node::List(items)
            }
            Head::Map(n_entries) => {
                let mut entries = Vec::with_capacity(self.bounded(n_entries));
                for _ in 0..n_entries {
                    let key = self.node(depth + 1)?.into_value();
                    entries.push((key, self.node(depth + 1)?.into_value()));
                }
                Node::Map(last_of_each_key(entries))
            }
        })
    }
}

/// Values to reserve room for before they are read.
const RESERVED_MAX: usize = 1024;

//! Writes JSON byte for byte as Storm does (json-smart with its default style).
//!
//! Two differences, both decided: NaN becomes null, which every child can read, where Storm writes
//! a bare word; and bytes can go out as base64 when the topology asks for it, where Storm gives up.

use std::io::Write as _;

use crate::tuple::{Value, ValueRef};

/// What to do with raw bytes, which JSON cannot hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BytesPolicy {
    /// As Storm: the tuple cannot be sent.
    #[default]
    Refuse,
    /// As base64 text, with padding.
    Base64,
}

/// A value that cannot be written for a child.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "a byte array cannot be sent to a child as JSON: set stormwire.shell.bytes.base64, \
     or use MessagePack"
)]
pub struct UnwritableError;

/// Appends one value.
pub fn write(
    out: &mut Vec<u8>,
    value: ValueRef<'_>,
    policy: BytesPolicy,
) -> Result<(), UnwritableError> {
    match value {
        ValueRef::Null => out.extend_from_slice(b"null"),
        ValueRef::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        ValueRef::Byte(value) => write_integer(out, i64::from(value)),
        ValueRef::Short(value) => write_integer(out, i64::from(value)),
        ValueRef::Int(value) => write_integer(out, i64::from(value)),
        ValueRef::Long(value) => write_integer(out, value),
        ValueRef::Float(number) if !number.is_finite() => out.extend_from_slice(b"null"),
        ValueRef::Double(number) if !number.is_finite() => out.extend_from_slice(b"null"),
        ValueRef::Float(_) | ValueRef::Double(_) => write_as_java_prints(out, value),
        // json-smart writes a Character as a bean, and a Character has no properties.
        ValueRef::Char(_) => out.extend_from_slice(b"{}"),
        ValueRef::Str(text) => write_text(out, text),
        ValueRef::Bytes(_) if policy == BytesPolicy::Refuse => return Err(UnwritableError),
        ValueRef::Bytes(bytes) => write_base64(out, bytes),
        ValueRef::Nested(value) => write_nested(out, value, policy)?,
    }
    Ok(())
}

/// Appends a string in quotes. Storm escapes what would be unsafe inside a web page too.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    // No end before the last byte: so the processor takes many at a time.
    if text
        .bytes()
        .fold(true, |plain, byte| plain & is_plain(byte))
    {
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    let mut plain = 0;
    for (offset, c) in text.char_indices() {
        let short = match c {
            '"' => b'"',
            '\\' => b'\\',
            '/' => b'/',
            '\u{8}' => b'b',
            '\u{c}' => b'f',
            '\n' => b'n',
            '\r' => b'r',
            '\t' => b't',
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2000}'..='\u{20ff}' => b'u',
            _ => continue,
        };
        out.extend_from_slice(text.get(plain..offset).unwrap_or_default().as_bytes());
        out.extend([b'\\', short]);
        if short == b'u' {
            out.extend_from_slice(format!("{:04X}", u32::from(c)).as_bytes());
        }
        plain = offset + c.len_utf8();
    }
    out.extend_from_slice(text.get(plain..).unwrap_or_default().as_bytes());
    out.push(b'"');
}

/// What is written as it is, wherever it stands: most texts have nothing else.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\' | b'/')
}

/// Appends a whole number.
pub fn write_integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn write_nested(
    out: &mut Vec<u8>,
    value: &Value,
    policy: BytesPolicy,
) -> Result<(), UnwritableError> {
    match value {
        Value::List(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(out, item.as_ref(), policy)?;
            }
            out.push(b']');
        }
        Value::Map(entries) => {
            out.push(b'{');
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_key(out, key);
                out.push(b':');
                write(out, value.as_ref(), policy)?;
            }
            out.push(b'}');
        }
        Value::BigInteger(_) | Value::Decimal { .. } => {
            write_as_java_prints(out, value.as_ref());
        }
        flat => write(out, flat.as_ref(), policy)?,
    }
    Ok(())
}

fn write_as_java_prints(out: &mut Vec<u8>, value: ValueRef<'_>) {
    // Writing into a vector cannot fail.
    let _ = write!(out, "{value}");
}

/// Keys become text, as `String.valueOf` would make it.
fn write_key(out: &mut Vec<u8>, key: &Value) {
    match key {
        Value::Str(text) => write_text(out, text),
        other => write_text(out, &other.to_string()),
    }
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| chunk.get(index).copied().map_or(0, u32::from);
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4usize {
            let sextet = (group >> (18 - 6 * position)) & 0x3f;
            let letter = BASE64_LETTERS.get(sextet as usize).copied().unwrap_or(b'=');
            out.push(if position <= chunk.len() {
                letter
            } else {
                b'='
            });
        }
    }
    out.push(b'"');
}

const BASE64_LETTERS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

//! Reads JSON as leniently as Storm's own reader (json-smart, permissive), so that no adapter that
//! works on Storm is turned away: single quotes, bare words, redundant commas, text after the
//! value.
//!
//! Knows nothing of messages and their keys (`message`). Two differences from Storm: bare
//! `Infinity` and `-Infinity` are doubles here, since Python's `json` writes them, and depth is
//! bounded.

use std::borrow::Cow;

use crate::component::multilang::node::{Node, last_of_each_key};
use crate::component::multilang::number;
use crate::limits;
use crate::tuple::Value;

/// What is wrong with a text that should be a JSON object. Offsets are in bytes.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum JsonError {
    #[error("not a JSON object")]
    NotAnObject,
    #[error("JSON ends in the middle of a value")]
    UnexpectedEnd,
    #[error("unexpected `{}` at offset {offset}", *byte as char)]
    UnexpectedByte { byte: u8, offset: usize },
    #[error("`{literal}` is no number that we can hold")]
    BadNumber { literal: String },
    #[error("values nested deeper than {}", limits::MULTILANG_DEPTH_MAX)]
    TooDeep,
}

/// Gives the fields of an object in the order they come, duplicates included. What follows it is
/// ignored.
pub fn each_field<'a>(
    text: &'a str,
    take: &mut dyn FnMut(Cow<'a, str>, Node<'a>),
) -> Result<(), JsonError> {
    let mut reader = Reader { text, position: 0 };
    reader.skip_blanks();
    match reader.current() {
        b'{' => reader.fields(1, take),
        byte @ (b':' | b'}' | b']') => Err(reader.unexpected(byte)),
        _ => Err(JsonError::NotAnObject),
    }
}

struct Reader<'a> {
    text: &'a str,
    position: usize,
}

/// What ends a bare word, beside the end of the text.
#[derive(Clone, Copy)]
enum Stop {
    Item,
    Field,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// The byte at the position; `END` at the end of the text.
    fn current(&self) -> u8 {
        self.byte_at(self.position)
    }

    fn byte_at(&self, position: usize) -> u8 {
        self.text.as_bytes().get(position).copied().unwrap_or(END)
    }

    fn advance(&mut self) {
        self.position += 1;
    }

    fn slice(&self, start: usize, end: usize) -> &'a str {
        // Both ends stand beside ASCII bytes, so they are character boundaries.
        self.text
            .get(start..end.min(self.text.len()))
            .unwrap_or_default()
    }

    fn unexpected(&self, byte: u8) -> JsonError {
        JsonError::UnexpectedByte {
            byte,
            offset: self.position,
        }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.current(), b' ' | b'\r' | b'\n' | b'\t') {
            self.advance();
        }
    }

    /// After a value any control character counts as a blank.
    fn skip_controls(&mut self) {
        while self.current() <= b' ' && self.current() != END {
            self.advance();
        }
    }

    /// From `{` to after `}`.
    fn fields(
        &mut self,
        depth: usize,
        take: &mut dyn FnMut(Cow<'a, str>, Node<'a>),
    ) -> Result<(), JsonError> {
        loop {
            self.advance();
            match self.current() {
                b' ' | b'\r' | b'\n' | b'\t' | b',' => continue,
                byte @ (b':' | b']' | b'[' | b'{') => return Err(self.unexpected(byte)),
                b'}' => {
                    self.advance();
                    return Ok(());
                }
                _ => {
                    let (key, node) = self.field(depth)?;
                    take(key, node);
                }
            }
            self.skip_controls();
            match self.current() {
                b'}' => {
                    self.advance();
                    return Ok(());
                }
                b',' => {}
                END => return Err(JsonError::UnexpectedEnd),
                byte => return Err(self.unexpected(byte)),
            }
        }
    }

    fn field(&mut self, depth: usize) -> Result<(Cow<'a, str>, Node<'a>), JsonError> {
        let key = match self.current() {
            quote @ (b'"' | b'\'') => self.quoted(quote)?,
            _ => Cow::Borrowed(self.bare_word(|byte| byte == b':')),
        };
        self.skip_controls();
        match self.current() {
            b':' => self.advance(),
            END => return Err(JsonError::UnexpectedEnd),
            byte => return Err(self.unexpected(byte)),
        }
        if self.position >= self.text.len() {
            return Err(JsonError::UnexpectedEnd);
        }
        Ok((key, self.value(Stop::Field, depth)?))
    }

    /// From `[` to after `]`.
    fn items(&mut self, depth: usize) -> Result<Vec<Value>, JsonError> {
        let mut items = Vec::new();
        self.advance();
        loop {
            match self.current() {
                b' ' | b'\r' | b'\n' | b'\t' | b',' => self.advance(),
                b']' => {
                    self.advance();
                    return Ok(items);
                }
                byte @ (b':' | b'}') => return Err(self.unexpected(byte)),
                END => return Err(JsonError::UnexpectedEnd),
                _ => items.push(self.value(Stop::Item, depth)?.into_value()),
            }
        }
    }

    fn value(&mut self, stop: Stop, depth: usize) -> Result<Node<'a>, JsonError> {
        self.skip_blanks();
        match self.current() {
            byte @ (b':' | b'}' | b']') => Err(self.unexpected(byte)),
            b'{' | b'[' if depth >= limits::MULTILANG_DEPTH_MAX => Err(JsonError::TooDeep),
            b'{' => self.map(depth + 1).map(Node::Map),
            b'[' => Ok(Node::List(self.items(depth + 1)?)),
            quote @ (b'"' | b'\'') => Ok(Node::Text(self.quoted(quote)?)),
            b'0'..=b'9' | b'-' => self.number(stop),
            first => {
                let text = self.bare_word(|byte| stop.ends_at(byte));
                // A word behind a control character is text, whatever it spells.
                Ok(match first {
                    ..=b' ' => Node::Text(Cow::Borrowed(text)),
                    _ => word(text),
                })
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Value, Value)>, JsonError> {
        let mut entries = Vec::new();
        self.fields(depth, &mut |key, node| {
            entries.push((Value::Str(key.into()), node.into_value()));
        })?;
        Ok(last_of_each_key(entries))
    }

    /// Everything up to where `ends`, without blanks around it.
    fn bare_word(&mut self, ends: impl Fn(u8) -> bool) -> &'a str {
        let start = self.position;
        while self.current() != END && !ends(self.current()) {
            self.advance();
        }
        self.slice(start, self.position).trim_matches(java_blank)
    }

    fn digits(&mut self) {
        while self.current().is_ascii_digit() {
            self.advance();
        }
    }

    /// A number, or a bare word that begins like one.
    fn number(&mut self, stop: Stop) -> Result<Node<'a>, JsonError> {
        let start = self.position;
        self.advance();
        self.digits();
        let mut is_whole = true;
        if self.current() == b'.' {
            is_whole = false;
            self.advance();
            self.digits();
        }
        let mut is_word = false;
        if matches!(self.current(), b'e' | b'E') {
            is_whole = false;
            self.advance();
            match self.current() {
                b'+' | b'-' | b'0'..=b'9' => {
                    self.advance();
                    self.digits();
                }
                _ => is_word = true,
            }
        }
        let end = self.position;
        self.skip_controls();
        let next = self.current();
        // What is beyond ASCII ends a number without making a word of it, as in json-smart.
        if is_word || (next < BARE_BYTE_MAX && !stop.ends_at(next) && next != END) {
            self.bare_word(|byte| stop.ends_at(byte));
            return Ok(word(
                self.slice(start, self.position).trim_matches(java_blank),
            ));
        }
        let literal = self.slice(start, end);
        let bad = || JsonError::BadNumber {
            literal: literal.chars().take(40).collect(),
        };
        let value = match is_whole {
            true => number::integer(literal),
            false => number::decimal(literal),
        };
        value.map(Node::Number).ok_or_else(bad)
    }

    /// From the quote to after its like.
    fn quoted(&mut self, quote: u8) -> Result<Cow<'a, str>, JsonError> {
        let start = self.position + 1;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == quote);
        let end = start + length.ok_or(JsonError::UnexpectedEnd)?;
        let content = self.slice(start, end);
        if !content.as_bytes().contains(&b'\\') {
            self.position = end + 1;
            return Ok(Cow::Borrowed(content));
        }
        self.position = start;
        self.escaped(quote).map(Cow::Owned)
    }

    fn escaped(&mut self, quote: u8) -> Result<String, JsonError> {
        let mut text = Units::default();
        loop {
            let run = self.position;
            while !matches!(self.current(), b'\\' | b'"' | b'\'' | ..=b'\x1f' | b'\x7f') {
                self.advance();
            }
            text.push_str(self.slice(run, self.position));
            match self.current() {
                END => return Err(JsonError::UnexpectedEnd),
                byte if byte == quote => {
                    self.advance();
                    return Ok(text.finish());
                }
                byte @ (b'"' | b'\'') => text.push(u16::from(byte)),
                b'\\' => {
                    self.advance();
                    self.escape(&mut text)?;
                }
                // Raw control characters vanish from a string that has escapes, as in json-smart.
                _ => {}
            }
            self.advance();
        }
    }

    /// At the character after a backslash; leaves the position at the last one of the sequence.
    fn escape(&mut self, text: &mut Units) -> Result<(), JsonError> {
        match self.current() {
            b't' => text.push(0x09),
            b'n' => text.push(0x0a),
            b'r' => text.push(0x0d),
            b'f' => text.push(0x0c),
            b'b' => text.push(0x08),
            byte @ (b'\\' | b'\'' | b'"' | b'/') => text.push(u16::from(byte)),
            b'u' => text.push(self.hex(4)?),
            b'x' => text.push(self.hex(2)?),
            END => return Err(JsonError::UnexpectedEnd),
            // An unknown escape vanishes with the UTF-16 unit after it.
            0x80.. => {
                let after = self.text.get(self.position..).unwrap_or_default();
                let escaped = after.chars().next().unwrap_or(LOST);
                if let [_, low] = escaped.encode_utf16(&mut [0; 2]) {
                    text.push(*low);
                }
                self.position += escaped.len_utf8() - 1;
            }
            _ => {}
        }
        Ok(())
    }

    fn hex(&mut self, n_digits: usize) -> Result<u16, JsonError> {
        let mut value = 0u16;
        for _ in 0..n_digits {
            self.advance();
            let byte = self.current();
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                b'A'..=b'F' => byte - b'A' + 10,
                END => return Err(JsonError::UnexpectedEnd),
                _ => return Err(self.unexpected(byte)),
            };
            value = value << 4 | u16::from(digit);
        }
        Ok(value)
    }
}

// === impl Stop ===

impl Stop {
    fn ends_at(self, byte: u8) -> bool {
        match self {
            Stop::Item => matches!(byte, b',' | b']'),
            Stop::Field => matches!(byte, b',' | b'}'),
        }
    }
}

/// Text under construction from UTF-16 units: halves of a pair that stand alone become U+FFFD.
#[derive(Default)]
struct Units {
    text: String,
    high: Option<u16>,
}

// === impl Units ===

impl Units {
    fn push(&mut self, unit: u16) {
        let high = self.high.take();
        match (high, unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                self.text
                    .extend(char::decode_utf16([high, unit]).map(|c| c.unwrap_or(LOST)));
            }
            (high, unit) => {
                self.text.extend(high.map(|_| LOST));
                match unit {
                    0xd800..=0xdbff => self.high = Some(unit),
                    _ => self
                        .text
                        .push(char::from_u32(u32::from(unit)).unwrap_or(LOST)),
                }
            }
        }
    }

    fn push_str(&mut self, text: &str) {
        if !text.is_empty() {
            self.text.extend(self.high.take().map(|_| LOST));
            self.text.push_str(text);
        }
    }

    fn finish(mut self) -> String {
        self.text.extend(self.high.take().map(|_| LOST));
        self.text
    }
}

fn word(text: &str) -> Node<'_> {
    match text {
        "null" => Node::Null,
        "true" => Node::Bool(true),
        "false" => Node::Bool(false),
        // A 32-bit float in json-smart, unlike every other number with a point.
        "NaN" => Node::Number(Value::Float(f32::NAN)),
        "Infinity" => Node::Number(Value::Double(f64::INFINITY)),
        "-Infinity" => Node::Number(Value::Double(f64::NEG_INFINITY)),
        _ => Node::Text(Cow::Borrowed(text)),
    }
}

/// What Java trims off a text.
fn java_blank(c: char) -> bool {
    c <= ' '
}

/// json-smart marks the end of its input with this control character, and so ends at one that is
/// there.
const END: u8 = 0x1a;
const BARE_BYTE_MAX: u8 = 126;
const LOST: char = '\u{fffd}';

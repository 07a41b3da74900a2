//! Reads the JSON that clients send as configuration, as leniently as Storm's parser does.
//!
//! Strict JSON goes the short way. What is not strict is read again with Storm's allowances: commas
//! too many, single quotes, names and values without quotes, leading zeros, control characters in
//! text. Depth is bounded. Knows nothing of what a configuration means.

use std::iter::Peekable;
use std::str::CharIndices;

use serde_json::{Map, Value};

use crate::limits;

/// Text that even a lenient reader cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {reason}")]
pub struct JsonError {
    /// Bytes from the start of the text.
    pub position: usize,
    pub reason: &'static str,
}

/// The value that the text holds.
pub fn read(text: &str) -> Result<Value, JsonError> {
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    let mut reader = Reader {
        text,
        rest: text.char_indices().peekable(),
    };
    reader.skip_blanks();
    let value = reader.value(0)?;
    reader.skip_blanks();
    match reader.rest.peek() {
        Some(_) => Err(reader.error("something follows the value")),
        None => Ok(value),
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        if depth >= limits::CONF_DEPTH_MAX {
            return Err(self.error("nested too deeply"));
        }
        match self.rest.peek().map(|(_, c)| *c) {
            Some('{') => self.map(depth),
            Some('[') => self.list(depth),
            Some(quote @ ('"' | '\'')) => self.quoted(quote).map(Value::String),
            Some(_) => match self.bare(&[',', ']', '}']) {
                "" => Err(self.error("a value is missing")),
                word => Ok(bare_value(word)),
            },
            None => Err(self.error("the text ends where a value is due")),
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, JsonError> {
        let mut map = Map::new();
        self.rest.next();
        loop {
            self.skip_commas();
            let name = match self.rest.peek().map(|(_, c)| *c) {
                Some('}') => {
                    self.rest.next();
                    return Ok(Value::Object(map));
                }
                Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
                Some(_) => self.bare(&[':', ',', ']', '}']).to_owned(),
                None => return Err(self.error("a map is not closed")),
            };
            self.skip_blanks();
            match self.rest.next() {
                Some((_, ':')) => {}
                _ => return Err(self.error("a name without a value")),
            }
            self.skip_blanks();
            let value = self.value(depth + 1)?;
            map.insert(name, value);
            self.separator('}')?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, JsonError> {
        let mut list = Vec::new();
        self.rest.next();
        loop {
            self.skip_commas();
            match self.rest.peek().map(|(_, c)| *c) {
                Some(']') => {
                    self.rest.next();
                    return Ok(Value::Array(list));
                }
                Some(_) => list.push(self.value(depth + 1)?),
                None => return Err(self.error("a list is not closed")),
            }
            self.separator(']')?;
        }
    }

    /// After an entry: a comma, or the end, which is left for the caller.
    fn separator(&mut self, close: char) -> Result<(), JsonError> {
        self.skip_blanks();
        match self.rest.peek().map(|(_, c)| *c) {
            Some(',') => Ok(()),
            Some(c) if c == close => Ok(()),
            _ => Err(self.error("neither a comma nor the end after an entry")),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, JsonError> {
        let mut text = String::new();
        self.rest.next();
        loop {
            match self.rest.next() {
                Some((_, c)) if c == quote => return Ok(text),
                Some((_, '\\')) => text.push(self.escape()?),
                Some((_, c)) => text.push(c),
                None => return Err(self.error("text is not closed")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        match self.rest.next().map(|(_, c)| c) {
            Some('n') => Ok('\n'),
            Some('t') => Ok('\t'),
            Some('r') => Ok('\r'),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('u') => self.unicode(),
            Some(c) => Ok(c),
            None => Err(self.error("text is not closed")),
        }
    }

    /// `\uXXXX`, or two of them for a character beyond 16 bits; half a pair becomes the replacement
    /// character, for our text cannot hold it.
    fn unicode(&mut self) -> Result<char, JsonError> {
        let high = self.code_unit()?;
        if !(0xD800..0xDC00).contains(&high) {
            return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let mut ahead = self.rest.clone();
        let paired = matches!(ahead.next(), Some((_, '\\')));
        if !paired || !matches!(ahead.next(), Some((_, 'u'))) {
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        let behind_high = std::mem::replace(&mut self.rest, ahead);
        let low = self.code_unit()?;
        if !(0xDC00..0xE000).contains(&low) {
            // No other half: it stands for itself.
            self.rest = behind_high;
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn code_unit(&mut self) -> Result<u32, JsonError> {
        let mut code = 0;
        for _ in 0..4 {
            match self.rest.next().and_then(|(_, c)| c.to_digit(16)) {
                Some(digit) => code = code * 16 + digit,
                None => return Err(self.error("\\u without four hexadecimal digits")),
            }
        }
        Ok(code)
    }

    /// A word without quotes, up to one of the stops.
    fn bare(&mut self, stops: &[char]) -> &str {
        let start = self.position();
        while self.rest.next_if(|(_, c)| !stops.contains(c)).is_some() {}
        let end = self.position();
        self.text.get(start..end).unwrap_or_default().trim()
    }

    fn skip_blanks(&mut self) {
        while self.rest.next_if(|(_, c)| c.is_whitespace()).is_some() {}
    }

    fn skip_commas(&mut self) {
        let skipped = |c: char| c.is_whitespace() || c == ',';
        while self.rest.next_if(|(_, c)| skipped(*c)).is_some() {}
    }

    fn position(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn error(&mut self, reason: &'static str) -> JsonError {
        JsonError {
            position: self.position(),
            reason,
        }
    }
}

/// A word without quotes is a constant, a number with or without leading zeros, or text.
fn bare_value(word: &str) -> Value {
    match word {
        "null" => return Value::Null,
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let numeric = word.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    if let Some(integer) = numeric.then(|| word.parse::<i64>().ok()).flatten() {
        return integer.into();
    }
    let double = numeric.then(|| word.parse::<f64>().ok()).flatten();
    match double.filter(|double| double.is_finite()) {
        Some(double) => double.into(),
        None => word.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(text: &str, expected: Value) {
        assert_eq!(read(text), Ok(expected), "{text}");
    }

    #[test]
    fn strict_json_is_itself() {
        check(
            "{\"a\":[1,2.0,null,true,\"x\"]}",
            json!({"a": [1, 2.0, null, true, "x"]}),
        );
    }

    #[test]
    fn what_storm_forgives_is_forgiven() {
        check("{\"a\":1,}", json!({"a": 1}));
        check("[1,,2,]", json!([1, 2]));
        check("{'a':'it\\'s'}", json!({"a": "it's"}));
        check("{a: b c, d: 007}", json!({"a": "b c", "d": 7}));
        check("{\"a\":1,\"a\":2}", json!({"a": 2}));
        check("{\"a\":\"x\ty\n\"}", json!({"a": "x\ty\n"}));
        check("{a:-1.5e3,b:NaN}", json!({"a": -1500.0, "b": "NaN"}));
        check(
            "[\"\\ud83d\\ude00\\ud83d!\"]",
            json!(["\u{1F600}\u{FFFD}!"]),
        );
        check(
            "[\"\\ud83d\\u0041\", \"\\ud83d\\ud83d\\ude00\", \"\\ude00\"]",
            json!(["\u{FFFD}A", "\u{FFFD}\u{1F600}", "\u{FFFD}"]),
        );
    }

    #[test]
    fn broken_text_is_refused() {
        for text in [
            "",
            "{nope",
            "{\"a\"}",
            "[1",
            "{\"a\":",
            "\"x",
            "{} x",
            "[\"\\u12\"]",
            "{a:}",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(read(&"[".repeat(1_000_000)).is_err());
        assert!(read(&"{a:".repeat(1_000_000)).is_err());
    }
}

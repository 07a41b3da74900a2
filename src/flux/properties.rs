//! Reads a Java properties file: what Flux's `--filter` and the command for credentials name.
//!
//! As Java does: `key=value`, `key: value` or `key value`; `#` and `!` begin comments; a backslash
//! at a line's end joins the next one, and `\t \n \r \f \uXXXX` are characters. The text is UTF-8
//! where it can be, and Latin-1 where it cannot, which is what Java reads.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// Keys with their values; the last of two equal keys counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

// === impl Properties ===

impl Properties {
    /// Reads a whole file. Errors name the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
        };
        let mut properties = BTreeMap::new();
        let mut lines = text.lines().enumerate();
        while let Some((at, line)) = lines.next() {
            let line = line.trim_start_matches(BLANKS);
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            let mut logical = line.to_owned();
            while is_continued(&logical) {
                logical.pop();
                let Some((_, next)) = lines.next() else { break };
                logical.push_str(next.trim_start_matches(BLANKS));
            }
            let (key, value) =
                entry(&logical).map_err(|error| format!("line {}: {error}", at + 1))?;
            properties.insert(key, value);
        }
        Ok(Properties(properties))
    }

    pub fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

/// Whether a line ends with a backslash that is not itself behind one.
fn is_continued(line: &str) -> bool {
    let n_backslashes = line.bytes().rev().take_while(|byte| *byte == b'\\').count();
    n_backslashes % 2 == 1
}

/// Splits a logical line at the first separator that is not behind a backslash.
fn entry(line: &str) -> Result<(String, String), String> {
    let mut chars = line.chars().peekable();
    let mut key = String::new();
    while let Some(&c) = chars.peek() {
        match c {
            '=' | ':' => break,
            c if BLANKS.contains(&c) => break,
            _ => key.push(character(&mut chars)?),
        }
    }
    skip_blanks(&mut chars);
    if chars.next_if(|c| ['=', ':'].contains(c)).is_some() {
        skip_blanks(&mut chars);
    }
    let mut value = String::new();
    while chars.peek().is_some() {
        value.push(character(&mut chars)?);
    }
    Ok((key, value))
}

fn skip_blanks(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| BLANKS.contains(c)).is_some() {}
}

/// The next character, of one or of an escape.
fn character(chars: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    let plain = chars.next().unwrap_or_default();
    if plain != '\\' {
        return Ok(plain);
    }
    Ok(match chars.next() {
        Some('t') => '\t',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('f') => '\u{c}',
        Some('u') => {
            let unit = code_unit(chars)?;
            if !(0xd800..0xdc00).contains(&unit) {
                return char::from_u32(unit).ok_or_else(|| lone(unit));
            }
            // Two of them are one character beyond the basic plane.
            if (chars.next(), chars.next()) != (Some('\\'), Some('u')) {
                return Err(lone(unit));
            }
            let low = code_unit(chars)?;
            let units = [unit, low].map(|unit| u16::try_from(unit).unwrap_or_default());
            let decoded = char::decode_utf16(units).next();
            decoded.and_then(Result::ok).ok_or_else(|| lone(unit))?
        }
        Some(other) => other,
        None => '\\',
    })
}

fn lone(unit: u32) -> String {
    format!("\\u{unit:04x} is half a character")
}

fn code_unit(chars: &mut Peekable<Chars<'_>>) -> Result<u32, String> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = chars.next().and_then(|c| c.to_digit(16));
        unit = unit * 16 + digit.ok_or("\\u needs four hexadecimal digits")?;
    }
    Ok(unit)
}

const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, key: &str, expected: &str) {
        let properties = Properties::parse(text.as_bytes()).expect("properties");
        assert_eq!(properties.get(key), Some(expected), "{text}");
    }

    #[test]
    fn separators_comments_and_joined_lines() {
        check("a=1", "a", "1");
        check("a : 1 ", "a", "1 ");
        check("a 1 = 2", "a", "1 = 2");
        check("# a=0\n! a=0\n  a=1\n\n", "a", "1");
        check("a=1\na=2", "a", "2");
        check("a=x,\\\n   y", "a", "x,y");
        check("a=x\\\\\nb=1", "a", "x\\");
        check("a", "a", "");
        check("a\\ b\\=c=d", "a b=c", "d");
        check(
            "topology.name: substitution\r\n",
            "topology.name",
            "substitution",
        );
    }

    #[test]
    fn escapes_and_encodings() {
        check("a=\\t\\u00e4\\ud83d\\ude00\\q", "a", "\tä😀q");
        let latin = Properties::parse(b"a=\xe4").expect("properties");
        assert_eq!(latin.get("a"), Some("ä"));
        let error = Properties::parse(b"\na=\\u12").expect_err("too short");
        assert_eq!(error, "line 2: \\u needs four hexadecimal digits");
        assert!(Properties::parse(b"a=\\udc00").is_err());
        assert!(Properties::parse(b"a=\\ud83dx").is_err());
    }
}

//! The text of DIGEST-MD5 (RFC 2831): `name=value` with commas between, some values quoted.
//!
//! Knows no meaning of a name.

use std::collections::BTreeMap;

/// The directives of one challenge or response, as bytes: names and passwords may be in any
/// character set.
pub(super) type Directives = BTreeMap<String, Vec<u8>>;

/// The directives in the text; none when it is something else, or names one twice.
pub(super) fn parse(text: &[u8]) -> Option<Directives> {
    let mut directives = Directives::new();
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        // Empty elements are allowed.
        if let Some(after) = rest.strip_prefix(b",") {
            rest = after.trim_ascii_start();
            continue;
        }
        let equals = rest.iter().position(|byte| *byte == b'=')?;
        let (name, after) = rest.split_at_checked(equals)?;
        let name = std::str::from_utf8(name.trim_ascii())
            .ok()?
            .to_ascii_lowercase();
        let (value, after) = value(after.get(1..)?.trim_ascii_start())?;
        rest = after.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
        if name.is_empty() || directives.insert(name, value).is_some() {
            return None;
        }
    }
    Some(directives)
}

fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| *byte == b',');
        let (value, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
        return Some((value.trim_ascii_end().to_vec(), rest));
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    loop {
        match bytes.next()? {
            (at, b'"') => return Some((value, quoted.get(at + 1..)?)),
            (_, b'\\') => value.push(*bytes.next()?.1),
            (_, byte) => value.push(*byte),
        }
    }
}

/// `name="value"`, escaped.
pub(super) fn quoted(name: &str, value: &[u8]) -> Vec<u8> {
    let mut text = format!("{name}=\"").into_bytes();
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(*byte);
    }
    text.push(b'"');
    text
}

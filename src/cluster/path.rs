//! Where each record lies: Storm's layout below its root, and additions of ours.

/// All topologies: one `StormBase` each.
pub const STORMS: &str = "/storms";
/// One `AssignmentRecord` for each topology that was scheduled.
pub const ASSIGNMENTS: &str = "/assignments";
/// Errors by topology and component.
pub const ERRORS: &str = "/errors";

/// All entries of the history.
pub const HISTORY: &str = "/history";

/// That a topology was there; Storm keeps this in a file of each Nimbus.
pub fn history(id: &str) -> String {
    format!("{HISTORY}/{}", escape(id))
}

/// The record of a topology itself.
pub fn storm(id: &str) -> String {
    format!("{STORMS}/{}", escape(id))
}

/// The record of where a topology runs.
pub fn assignment(id: &str) -> String {
    format!("{ASSIGNMENTS}/{}", escape(id))
}

/// When a pending kill or rebalance is due; Storm does not keep it and starts the delay over.
pub fn deadline(id: &str) -> String {
    format!("/deadlines/{}", escape(id))
}

/// Levels of a topology's loggers.
pub fn log_config(id: &str) -> String {
    format!("/logconfigs/{}", escape(id))
}

/// What a topology's components may show to others. A secret.
pub fn credentials(id: &str) -> String {
    format!("/credentials/{}", escape(id))
}

/// What a topology's workers are asked to tell of themselves; Storm has a record for each request.
pub fn profiles(id: &str) -> String {
    format!("/profilerconfigs/{}", escape(id))
}

/// What of a change still has to get into a topology's blobs.
pub fn redo(id: &str) -> String {
    format!("/redo/{}", escape(id))
}

/// Keys of workers' tokens, by service, topology and version.
pub const SECRET_KEYS: &str = "/secretkeys";

/// All keys of one topology for one service.
pub fn secret_keys(service: &str, id: &str) -> String {
    format!("{SECRET_KEYS}/{service}/{}", escape(id))
}

/// One key.
pub fn secret_key(service: &str, id: &str, version: i64) -> String {
    format!("{}/{version}", secret_keys(service, id))
}

/// Everything about a topology's errors.
pub fn errors(id: &str) -> String {
    format!("{ERRORS}/{}", escape(id))
}

/// The errors of one component. Its id may hold anything, so it is escaped.
pub fn component_errors(id: &str, component: &str) -> String {
    format!("{ERRORS}/{}/{}", escape(id), escape(component))
}

/// A name as one part of a path: what is not a letter, digit or one of `-_` becomes `%xx`.
pub fn escape(name: &str) -> String {
    if name.is_empty() {
        return EMPTY.to_owned();
    }
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

/// What `escape` was given; `None` for text that it does not make.
pub fn unescape(part: &str) -> Option<String> {
    if part == EMPTY {
        return Some(String::new());
    }
    let mut out = Vec::with_capacity(part.len());
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// Stands for the empty name, which Storm allows for components.
const EMPTY: &str = "%";
const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_one_part_of_a_path() {
        for name in ["words", "a/b", "..", "", "caf\u{e9} %", "\u{0}"] {
            let part = escape(name);
            assert!(!part.contains('/') && part != "..", "{part}");
            assert_eq!(unescape(&part).as_deref(), Some(name));
        }
        assert_eq!(unescape("%4"), None);
        assert_eq!(unescape("%ff"), None);
    }
}

//! Golden vectors of genuine Storm: reads them and counts how many cases came out equal.
//!
//! They lie in `interop-tests/fixtures`, or in the folder that `STORMWIRE_FIXTURES` names, in the
//! format that the README there describes. Knows nothing of what a group means.

use std::path::PathBuf;

use serde_json::Value;

/// Cases that came out equal, and those that did not.
pub struct Tally {
    file: String,
    n_total: usize,
    different: Vec<String>,
}

/// The lines of one file, such as `fields-grouping/fields-grouping.jsonl`.
///
/// A folder that `STORMWIRE_FIXTURES` names may hold only some groups: a file that is absent there
/// gives no lines and says so. In our own folder every file must be there.
pub fn lines(file: &str) -> Vec<Value> {
    let path = root().join(file);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(_) if std::env::var_os("STORMWIRE_FIXTURES").is_some() => {
            eprintln!("fixtures {file}: absent in the folder given, 0 / 0 equal");
            return Vec::new();
        }
        Err(error) => panic!("fixtures {}: {error}", path.display()),
    };
    let parse = |line| {
        let line = without_lone_surrogates(line);
        serde_json::from_str(&line).expect("a fixture line is JSON")
    };
    text.lines()
        .filter(|line| !line.is_empty())
        .map(parse)
        .collect()
}

/// The line with `\ufffd` for each escaped half of a surrogate pair that stands alone: Java's texts
/// may have such, ours cannot.
fn without_lone_surrogates(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        let escape = &rest[at..];
        let unit = |at: usize| u16::from_str_radix(escape.get(at + 2..at + 6)?, 16).ok();
        let first = unit(0).filter(|_| escape.starts_with("\\u"));
        let second = unit(6).filter(|_| escape.get(6..8) == Some("\\u"));
        let (n_bytes, is_lone) = match (first, second) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, false),
            (Some(0xd800..=0xdfff), _) => (6, true),
            (Some(_), _) => (6, false),
            (None, _) => (2, false),
        };
        out.push_str(&rest[..at]);
        out.push_str(match is_lone {
            true => "\\ufffd",
            false => &escape[..n_bytes],
        });
        rest = &escape[n_bytes..];
    }
    out + rest
}

/// The bytes of a `..._b64` text.
pub fn base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut n_bits) = (0u32, 0);
    for letter in text.bytes().take_while(|letter| *letter != b'=') {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => panic!("'{letter}' is not base64"),
        };
        bits = bits << 6 | u32::from(value);
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push((bits >> n_bits) as u8);
        }
    }
    bytes
}

fn root() -> PathBuf {
    std::env::var_os("STORMWIRE_FIXTURES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("interop-tests/fixtures"),
        PathBuf::from,
    )
}

// === impl Tally ===

impl Tally {
    pub fn new(file: &str) -> Self {
        Tally {
            file: file.to_owned(),
            n_total: 0,
            different: Vec::new(),
        }
    }

    /// Counts one case; `what` describes it and both sides, and is kept only when they differ.
    pub fn case(&mut self, equal: bool, what: impl FnOnce() -> String) {
        self.n_total += 1;
        if !equal {
            self.different.push(what());
        }
    }

    /// Prints `equal / total` and fails unless exactly `n_deliberate` cases differ. The caller
    /// lists the reason of each deliberate difference beside the number.
    pub fn finish(self, n_deliberate: usize) {
        let n_equal = self.n_total - self.different.len();
        println!("fixtures {}: {n_equal} / {} equal", self.file, self.n_total);
        if self.different.len() > n_deliberate {
            let shown: Vec<_> = self.different.iter().take(10).map(String::as_str).collect();
            panic!(
                "{} of {} differ:\n{}",
                self.different.len(),
                self.n_total,
                shown.join("\n")
            );
        }
    }
}

//! Storm's versions: read leniently, and chosen among what a cluster has.
//!
//! Only major and minor count. Says nothing about what a version can do.

use std::fmt;
use std::str::FromStr;

/// Major and minor of a version; `-1.-1` for `Unknown`. Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    pub major: i32,
    pub minor: i32,
}

/// Text that is no version; the messages are those of Storm and Java.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// It does not begin with two numbers.
    #[error("Cannot parse '{text}'")]
    NotAVersion { text: String },
    /// One of the two numbers does not fit 32 bits.
    #[error("For input string: \"{digits}\"")]
    TooLarge { digits: String },
}

// === impl Version ===

impl Version {
    /// What Storm calls itself when it does not know.
    pub const UNKNOWN: Version = Version {
        major: -1,
        minor: -1,
    };

    pub fn new(major: i32, minor: i32) -> Self {
        Version { major, minor }
    }

    /// The version to run a topology of this version with: the lowest that is not below it within
    /// the same major, else the highest below it within the same major (control-plane 4.2).
    pub fn choose(self, available: impl IntoIterator<Item = Version>) -> Option<Version> {
        let same = |version: &Version| version.major == self.major;
        let (mut above, mut below) = (None, None);
        for version in available.into_iter().filter(same) {
            if version >= self {
                above = Some(above.map_or(version, |best: Version| best.min(version)));
            } else {
                below = Some(below.map_or(version, |best: Version| best.max(version)));
            }
        }
        above.or(below)
    }
}

impl FromStr for Version {
    type Err = VersionError;

    /// Two numbers with some of `.`, `-` and `_` between them, then the rest of the line, which
    /// must not end: `2.6.1`, `0.9.5-incubating`, `2..1`.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        if text == "Unknown" {
            return Ok(Version::UNKNOWN);
        }
        let not_a_version = || VersionError::NotAVersion {
            text: text.to_owned(),
        };
        let (major, rest) = split_digits(text).ok_or_else(not_a_version)?;
        let after = rest.trim_start_matches(['.', '-', '_']);
        let (minor, tail) = split_digits(after).ok_or_else(not_a_version)?;
        if after.len() == rest.len() || tail.contains(ENDS_OF_LINES) {
            return Err(not_a_version());
        }
        Ok(Version::new(number(major)?, number(minor)?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The digits at the start, of which there must be one, and what follows.
fn split_digits(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn number(digits: &str) -> Result<i32, VersionError> {
    digits.parse().map_err(|_| VersionError::TooLarge {
        digits: digits.to_owned(),
    })
}

/// What ends a line to Java's patterns.
const ENDS_OF_LINES: [char; 5] = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::fixtures::{self, Tally};

    fn version(value: &Value) -> Version {
        value
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("a version")
    }

    fn parsed(line: &Value) -> bool {
        let text = line["version"].as_str().expect("text");
        match text.parse::<Version>() {
            Ok(version) => {
                line["major"] == version.major
                    && line["minor"] == version.minor
                    && line["string"] == version.to_string()
            }
            Err(error) => {
                let class = match &error {
                    VersionError::NotAVersion { .. } => "java.lang.IllegalArgumentException",
                    VersionError::TooLarge { .. } => "java.lang.NumberFormatException",
                };
                line["error"] == json!({"exception": class, "message": error.to_string()})
            }
        }
    }

    #[test]
    fn golden_versions() {
        let file = "config/versions.jsonl";
        let mut tally = Tally::new(file);
        for line in fixtures::lines(file) {
            let equal = match line["kind"].as_str() {
                Some("parse") => parsed(&line),
                Some("compatible") => {
                    let available = line["available"].as_array().expect("a list");
                    let chosen = version(&line["requested"]).choose(available.iter().map(version));
                    line["result"] == json!(chosen.map(|version| version.to_string()))
                }
                other => panic!("kind {other:?} is not known here"),
            };
            tally.case(equal, || line.to_string());
        }
        tally.finish(0);
    }

    #[test]
    fn any_separators_and_one_line() {
        for good in ["2..1", "2.-_1", "2_1 x", "2.1\u{b}"] {
            assert_eq!(good.parse(), Ok(Version::new(2, 1)), "{good}");
        }
        for bad in [
            "2 .1",
            "21",
            "2.1\n",
            "2.1\nx",
            "2.1\rx",
            "2.1\u{85}x",
            "2.1\u{2028}",
        ] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?}");
        }
    }
}

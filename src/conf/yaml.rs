//! Reads YAML 1.1 as Storm's parser does: `10_000` and `010` are numbers, `yes` and `off` booleans,
//! `<<` merges, the last of two equal keys wins.
//!
//! Does not make dates of what looks like one, nor numbers of `1:30` (YAML 1.1's base 60): both
//! stay text. A bare `y` or `n` is a boolean here, as YAML 1.1 says, and text to Storm's parser.
//! Knows nothing of keys and files.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

use crate::limits;

/// Text that is no YAML, or not the map that a configuration is.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct YamlError {
    /// From 1; 0 where it is unknown.
    pub line: u64,
    pub column: u64,
    pub reason: String,
}

/// The map that the text holds; empty text is an empty map.
pub fn map(text: &str) -> Result<Map<String, Value>, YamlError> {
    let not_a_map = || YamlError {
        line: 1,
        column: 1,
        reason: "a configuration is `key: value` lines, this is something else".to_owned(),
    };
    match read(text)? {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(not_a_map()),
    }
}

/// What the text holds, whatever `T` takes. How deep it is, and how much, is bounded.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        let column = error.location().map_or(0, |location| location.column());
        let told = error.without_snippet().to_string();
        // Whoever shows this says the place first, and once.
        let place = format!(" at line {line}, column {column}");
        let reason = told.strip_suffix(&place).unwrap_or(&told).to_owned();
        YamlError {
            line,
            column,
            reason,
        }
    })
}

/// The line, from 1, on which a top-level key stands; none when it came by a merge.
pub fn line_of(text: &str, key: &str) -> Option<usize> {
    let opens = |line: &str| {
        let bare = line.trim_start_matches(['"', '\'']);
        bare.strip_prefix(key).is_some_and(|rest| {
            let rest = rest.trim_start_matches(['"', '\'']).trim_start();
            rest.starts_with(':')
        })
    };
    // The last one counts, as its value is the one that was taken.
    let lines = text.lines().enumerate();
    let position = lines.filter(|(_, line)| opens(line)).last()?;
    Some(position.0 + 1)
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        legacy_octal_numbers: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        with_snippet: false,
        emit_comments: false,
        budget: serde_saphyr::budget! {
            max_depth: limits::CONF_DEPTH_MAX,
            max_nodes: limits::CONF_NODES_MAX,
            max_documents: 1,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(text: &str, expected: Value) {
        match map(text) {
            Ok(found) => assert_eq!(Value::Object(found), expected, "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }

    #[test]
    fn numbers_are_those_of_yaml_1_1() {
        check("a: 10_000", json!({"a": 10_000}));
        check("a: 010", json!({"a": 8}));
        check("a: 0x1F", json!({"a": 31}));
        check("a: -1", json!({"a": -1}));
        check("a: 1.0", json!({"a": 1.0}));
        check("a: 1e3", json!({"a": 1000.0}));
        check("a: .inf", json!({"a": ".inf"}));
        check("a: \"10\"", json!({"a": "10"}));
        check("a: 9223372036854775807", json!({"a": i64::MAX}));
    }

    #[test]
    fn booleans_and_nulls_are_those_of_yaml_1_1() {
        check("a: yes", json!({"a": true}));
        check("a: Off", json!({"a": false}));
        check("a: 'yes'", json!({"a": "yes"}));
        check(
            "a: ~\nb:\nc: null",
            json!({"a": null, "b": null, "c": null}),
        );
    }

    #[test]
    fn lists_maps_merges_and_repeats() {
        check("a: [x, 1]\nb:\n  - z\n", json!({"a": ["x", 1], "b": ["z"]}));
        check(
            "base: &b {x: 1, y: 2}\na:\n  <<: *b\n  y: 3\n",
            json!({"base": {"x": 1, "y": 2}, "a": {"x": 1, "y": 3}}),
        );
        check("a: 1\na: 2\n", json!({"a": 2}));
        check("", json!({}));
        check("# nothing\n", json!({}));
    }

    #[test]
    fn what_is_no_map_says_where() {
        assert!(map("- a\n- b\n").is_err());
        assert!(map("just text").is_err());
        let error = map("a: 1\nb: [1, 2\nc: 3\n").expect_err("the list is not closed");
        assert!(error.line >= 2, "{error}");
        let error = map("a: [1\nb: 2").expect_err("the list is not closed");
        let place = "line 2, column 2: illegal placement of ':' indicator";
        assert_eq!(error.to_string(), place);
    }

    #[test]
    fn hostile_text_is_refused_in_bounded_time() {
        assert!(map(&"[".repeat(100_000)).is_err());
        assert!(map(&"{a: ".repeat(100_000)).is_err());
        assert!(map(&"- ".repeat(100_000)).is_err());
        let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for pair in ('a'..='i').collect::<Vec<_>>().windows(2) {
            let (from, to) = (pair[0], pair[1]);
            let aliases = vec![format!("*{from}"); 9].join(",");
            bomb.push_str(&format!("{to}: &{to} [{aliases}]\n"));
        }
        assert!(map(&bomb).is_err());
    }

    #[test]
    fn the_line_of_a_key() {
        let text = "# x\nui.port: 1\n\"nimbus.seeds\" : [a]\nui.port: 2\n";
        assert_eq!(line_of(text, "ui.port"), Some(4));
        assert_eq!(line_of(text, "nimbus.seeds"), Some(3));
        assert_eq!(line_of(text, "ui"), None);
    }
}

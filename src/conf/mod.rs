//! A configuration: Storm's keys and users' own, with JSON-like values.
//!
//! `Conf` holds and reads them, `load` puts one together for a daemon, `keys` spells the known
//! ones, `validate` checks them. What a key does is its reader's business.

use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::{Map, Value};

pub mod convert;
mod daemon;
mod json;
pub mod keys;
mod load;
pub(crate) mod redact;
mod topology;
pub mod validate;
pub(crate) mod yaml;

pub use convert::ConversionError;
pub use json::JsonError;
pub use load::find;

/// Keys with their values, in key order. Cheap to read, copied whole when it changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conf {
    entries: Map<String, Value>,
}

/// Why there is no configuration, or no such value in it.
#[derive(Debug, thiserror::Error)]
pub enum ConfError {
    #[error("{}: {source}; name another file with --config or STORM_CONF_DIR", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {bytes} bytes, a configuration file has at most {limit}", path.display())]
    TooLarge {
        path: PathBuf,
        bytes: u64,
        limit: u64,
    },
    #[error("{}: line {line}, column {column}: {reason}", path.display())]
    Yaml {
        path: PathBuf,
        line: u64,
        column: u64,
        reason: String,
    },
    #[error("-c {text}: not key=value, as in -c topology.workers=2")]
    Override { text: String },
    /// A known key whose value breaks its rules. `origin` is the file and line, or `-c`.
    #[error("{origin}: {key}: {reason}. Its meaning: {meaning} Correct the value or remove it")]
    Invalid {
        origin: String,
        key: String,
        reason: String,
        meaning: &'static str,
    },
    #[error("the configuration is no JSON, {0}")]
    Json(#[from] JsonError),
    #[error("the configuration is no JSON object but {found}; {{}} is one that sets nothing")]
    NotAnObject { found: &'static str },
    #[error("{key}: {source}")]
    Value {
        key: String,
        source: ConversionError,
    },
}

// === impl Conf ===

impl Conf {
    pub fn new() -> Self {
        Conf::default()
    }

    /// Storm's shipped defaults, and those of our own keys.
    pub fn defaults() -> Self {
        DEFAULTS.clone()
    }

    /// Reads a configuration as a client sends it. Blank text is an empty one: .NET clients send no
    /// conf at all, or empty text, where others send `{}`. Commas too many and missing quotes are
    /// forgiven as Storm forgives them; `null`, a list and broken JSON are errors.
    pub fn from_json(text: &str) -> Result<Self, ConfError> {
        if text.trim().is_empty() {
            return Ok(Conf::new());
        }
        match json::read(text)? {
            Value::Object(entries) => Ok(Conf { entries }),
            other => Err(ConfError::NotAnObject {
                found: json_type(&other),
            }),
        }
    }

    /// JSON with keys in order, without blanks: equal configurations give equal text.
    pub fn to_json(&self) -> String {
        // Writing a Value to memory has no way to fail: its keys are text.
        serde_json::to_string(&self.entries).expect("a JSON value is JSON")
    }

    /// This configuration with the entries of `other` put over it, key by key; an explicit null
    /// counts as an entry.
    pub fn overlay(&self, other: &Conf) -> Conf {
        let mut both = self.clone();
        both.entries.extend(other.entries.clone());
        both
    }

    /// The value as it is; `None` when the key is absent, `Value::Null` when it is null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key)
    }

    pub fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Returns the value that was there.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> Option<Value> {
        self.entries.insert(key.to_owned(), value.into())
    }

    /// This configuration with one more entry; for building one in place.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Conf {
        self.set(key, value);
        self
    }

    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.entries.remove(key)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Entries in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value))
    }

    pub fn into_map(self) -> Map<String, Value> {
        self.entries
    }

    /// A 32-bit integer, as Storm reads one: text that holds one too, a fraction never. `None` when
    /// absent or null.
    pub fn int(&self, key: &str) -> Result<Option<i64>, ConfError> {
        self.read(key, |value| convert::int(value).map(i64::from))
    }

    /// [`Conf::int`] with a value for absent and null.
    pub fn int_or(&self, key: &str, default: i64) -> Result<i64, ConfError> {
        Ok(self.int(key)?.unwrap_or(default))
    }

    /// A 64-bit integer; a fraction is cut off.
    pub fn long(&self, key: &str) -> Result<Option<i64>, ConfError> {
        self.read(key, convert::long)
    }

    /// Any number, or text that holds one.
    pub fn float(&self, key: &str) -> Result<Option<f64>, ConfError> {
        self.read(key, convert::double)
    }

    /// [`Conf::float`] with a value for absent and null.
    pub fn float_or(&self, key: &str, default: f64) -> Result<f64, ConfError> {
        Ok(self.float(key)?.unwrap_or(default))
    }

    /// `true` or `false`; text is refused. `None` when absent or null.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, ConfError> {
        self.read(key, convert::boolean)
    }

    /// Anything as text.
    pub fn text(&self, key: &str) -> Result<Option<String>, ConfError> {
        self.read(key, convert::text)
    }

    /// [`Conf::text`] with a value for absent and null.
    pub fn text_or(&self, key: &str, default: &str) -> Result<String, ConfError> {
        Ok(self.text(key)?.unwrap_or_else(|| default.to_owned()))
    }

    /// Text or a list of it; absent and null are an empty list.
    pub fn texts(&self, key: &str) -> Result<Vec<String>, ConfError> {
        Ok(self.read(key, convert::texts)?.unwrap_or_default())
    }

    /// A list of 32-bit integers, such as ports; absent and null are an empty list.
    pub fn ints(&self, key: &str) -> Result<Vec<i64>, ConfError> {
        let entries = |value: &Value| match value {
            Value::Array(entries) => entries
                .iter()
                .map(|entry| convert::int(entry).map(i64::from))
                .collect(),
            single => convert::int(single).map(|int| vec![int.into()]),
        };
        Ok(self.read(key, entries)?.unwrap_or_default())
    }

    /// A map, with nothing said about its values; `None` when absent, null or no map.
    pub fn map(&self, key: &str) -> Option<&Map<String, Value>> {
        self.get(key).and_then(Value::as_object)
    }

    fn read<T>(
        &self,
        key: &str,
        convert: impl Fn(&Value) -> Result<T, ConversionError>,
    ) -> Result<Option<T>, ConfError> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => convert(value).map(Some).map_err(|source| ConfError::Value {
                key: key.to_owned(),
                source,
            }),
        }
    }
}

impl From<Map<String, Value>> for Conf {
    fn from(entries: Map<String, Value>) -> Self {
        Conf { entries }
    }
}

impl FromIterator<(String, Value)> for Conf {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(entries: I) -> Self {
        Conf {
            entries: entries.into_iter().collect(),
        }
    }
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

static DEFAULTS: LazyLock<Conf> = LazyLock::new(|| {
    let entries = yaml::map(include_str!("defaults.yaml")).expect("our own defaults are YAML");
    Conf { entries }
});

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing::fixtures;

    proptest! {
        /// Half-formed text is likelier to reach deep into a reader than random bytes.
        #[test]
        fn no_text_breaks_a_reader(text in "[\\[\\]{}:,'\"\\\\#&*!|>a-c0-9ué<~ \n\t-]{0,60}") {
            let _ = Conf::from_json(&text);
            let _ = yaml::map(&text);
            let _ = yaml::line_of(&text, "a");
        }

        #[test]
        fn json_comes_back_as_it_went(
            entries in proptest::collection::btree_map("[a-zé.\"]{1,5}", any::<i64>(), 0..5),
        ) {
            let values = entries.into_iter().map(|(key, value)| (key, value.into()));
            let conf: Conf = values.collect();
            prop_assert_eq!(Conf::from_json(&conf.to_json()).expect("our own JSON"), conf);
        }
    }

    #[test]
    fn golden_defaults() {
        let file = "config/defaults.json";
        let mut tally = fixtures::Tally::new(file);
        let defaults = Conf::defaults();
        for line in fixtures::lines(file) {
            let theirs = line.as_object().expect("one map of keys");
            for (key, value) in theirs {
                let ours = defaults.get(key);
                tally.case(ours == Some(value), || {
                    format!("{key}: {ours:?}, not {value}")
                });
            }
            for (key, _) in defaults
                .iter()
                .filter(|(key, _)| !theirs.contains_key(*key))
            {
                assert!(
                    key.starts_with("stormwire."),
                    "{key} is no key of Storm's defaults"
                );
            }
        }
        tally.finish(0);
    }

    #[test]
    fn each_of_our_keys_has_a_default_and_is_known() {
        let defaults = Conf::defaults();
        for key in keys::all().filter(|key| key.scope == keys::Scope::Own) {
            assert!(defaults.contains(key.name), "{} has no default", key.name);
        }
        for (key, _) in defaults.iter() {
            assert!(keys::find(key).is_some(), "{key} is in no table");
        }
    }

    #[test]
    fn the_other_side_of_an_overlay_wins_even_with_null() {
        let below = Conf::new().with("a", 1).with("b", 2);
        let above = Conf::new().with("b", Value::Null).with("c", 3);
        let both = below.overlay(&above);
        assert_eq!(both.to_json(), r#"{"a":1,"b":null,"c":3}"#);
        assert_eq!(both.int("b").expect("null is none"), None);
    }

    #[test]
    fn blank_json_is_empty_and_other_json_is_an_error() {
        for text in ["", " \n", "{}"] {
            assert!(Conf::from_json(text).expect("an empty conf").is_empty());
        }
        for text in ["null", "[]", "3", "\"x\"", "{nope"] {
            assert!(Conf::from_json(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_name_the_key() {
        let conf = Conf::new()
            .with("ui.port", "80a")
            .with("ports", json!([1, "2"]));
        let error = conf.int("ui.port").expect_err("no number");
        assert_eq!(error.to_string(), "ui.port: For input string: \"80a\"");
        assert_eq!(conf.ints("ports").expect("ports"), [1, 2]);
        assert_eq!(conf.texts("ports").expect("texts"), ["1", "2"]);
        assert_eq!(conf.int_or("absent", 7).expect("the default"), 7);
    }
}

//! YAML with the lines that its values stand on, and how its maps are read: key by key, with what
//! is wrong named by its place and line.
//!
//! Knows nothing of Flux's own keys.

use std::collections::HashMap;
use std::{fmt, thread};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::DefinitionError;
use crate::conf::convert;
use crate::conf::yaml::{self, YamlError};
use crate::limits;

type Result<T> = std::result::Result<T, DefinitionError>;

/// A value, and the line from 1 on which it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub line: u64,
    /// Line and column from 1 of the value itself, where `line` may be an alias of it.
    defined: (u64, u64),
    pub yaml: Yaml,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Yaml {
    /// Null, a boolean, a number or text.
    Scalar(Value),
    List(Vec<Node>),
    /// In the file's order, no key twice: the last one counts.
    Map(Vec<(String, Node)>),
}

/// A map of the file, with its name in messages.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    pub place: String,
    pub line: u64,
    entries: &'a [(String, Node)],
}

/// A text by its lines, each taken apart when it is first looked into: one line may hold all.
struct Lines<'t> {
    lines: Vec<&'t str>,
    chars: HashMap<usize, Vec<char>>,
}

// === impl Node ===

impl Node {
    /// Reads a text.
    pub fn parse(text: &str) -> std::result::Result<Self, YamlError> {
        // A frame of the parser takes kilobytes, and how deep a text goes is its author's choice
        // up to a bound: on a stack that has room for all of it.
        let parse = || yaml::read::<Node>(text);
        let parsed = thread::scope(|scope| {
            let thread = thread::Builder::new().stack_size(limits::FLUX_STACK_BYTES);
            let thread = thread.spawn_scoped(scope, parse);
            thread.map(|running| running.join())
        });
        let failed = |reason: &str| YamlError {
            line: 0,
            column: 0,
            reason: reason.to_owned(),
        };
        let mut node = match parsed {
            Ok(Ok(parsed)) => parsed?,
            Ok(Err(_)) => return Err(failed("the parser gave up")),
            Err(_) => return Err(failed("there is no thread to parse it")),
        };
        node.keep_letters(&mut Lines::of(text));
        Ok(node)
    }

    /// Makes text again of a bare `y` or `n`, which is a boolean to our parser and a letter to
    /// Storm's: fields have such names.
    fn keep_letters(&mut self, lines: &mut Lines<'_>) {
        match &mut self.yaml {
            Yaml::Scalar(value @ Value::Bool(_)) => {
                if let Some(letter) = lines.letter_at(self.defined) {
                    *value = Value::String(letter.to_string());
                }
            }
            Yaml::Scalar(_) => {}
            Yaml::List(nodes) => nodes.iter_mut().for_each(|node| node.keep_letters(lines)),
            Yaml::Map(entries) => {
                let nodes = entries.iter_mut().map(|(_, node)| node);
                nodes.for_each(|node| node.keep_letters(lines));
            }
        }
    }

    /// The value without its lines.
    pub fn json(&self) -> Value {
        match &self.yaml {
            Yaml::Scalar(value) => value.clone(),
            Yaml::List(nodes) => nodes.iter().map(Node::json).collect(),
            Yaml::Map(entries) => Value::Object(to_json(entries)),
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.yaml, Yaml::Scalar(Value::Null))
    }

    /// Text; numbers and booleans count as their text, as they do to Storm where it wants text.
    pub fn text(&self) -> Option<String> {
        match &self.yaml {
            Yaml::Scalar(Value::String(text)) => Some(text.clone()),
            Yaml::Scalar(value @ (Value::Number(_) | Value::Bool(_))) => Some(value.to_string()),
            _ => None,
        }
    }

    /// A list of text.
    pub fn texts(&self) -> Option<Vec<String>> {
        match &self.yaml {
            Yaml::List(nodes) => nodes.iter().map(Node::text).collect(),
            _ => None,
        }
    }

    /// A 32-bit number; text that holds one counts too, which is what a substituted value in quotes
    /// is.
    pub fn whole(&self) -> Option<i32> {
        match &self.yaml {
            Yaml::Scalar(value @ (Value::Number(_) | Value::String(_))) => convert::int(value).ok(),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let spanned = Spanned::<Yaml>::deserialize(deserializer)?;
        Ok(Node {
            line: spanned.referenced.line(),
            defined: (spanned.defined.line(), spanned.defined.column()),
            yaml: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of YAML")
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Yaml, E> {
        Ok(Yaml::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Yaml, E> {
        Ok(Yaml::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Yaml, E> {
        Ok(Yaml::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Yaml, E> {
        Ok(Yaml::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Yaml, E> {
        Ok(Yaml::Scalar(value.into()))
    }

    fn visit_string<E>(self, value: String) -> std::result::Result<Yaml, E> {
        Ok(Yaml::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> std::result::Result<Yaml, E> {
        Ok(Yaml::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> std::result::Result<Yaml, E> {
        Ok(Yaml::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Yaml, D::Error> {
        Yaml::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Yaml, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Yaml::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Yaml, A::Error> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        let mut places = HashMap::new();
        while let Some((key, node)) = map.next_entry::<String, Node>()? {
            match places.get(&key) {
                Some(&place) => entries[place] = (key, node),
                None => {
                    places.insert(key.clone(), entries.len());
                    entries.push((key, node));
                }
            }
        }
        Ok(Yaml::Map(entries))
    }
}

// === impl Lines ===

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        Lines {
            lines: text.lines().collect(),
            chars: HashMap::new(),
        }
    }

    /// The word at a place, if it is the letter y or n alone.
    fn letter_at(&mut self, (line, column): (u64, u64)) -> Option<char> {
        let line = usize::try_from(line).ok()?.checked_sub(1)?;
        let column = usize::try_from(column).ok()?.checked_sub(1)?;
        let text = *self.lines.get(line)?;
        let chars = self.chars.entry(line);
        let chars = chars.or_insert_with(|| text.chars().collect());
        let letter = chars.get(column).filter(|c| "yYnN".contains(**c))?;
        let next = chars.get(column + 1);
        let is_alone = next.is_none_or(|next| !next.is_alphanumeric());
        is_alone.then_some(*letter)
    }
}

// === impl Object ===

impl<'a> Object<'a> {
    /// A map that `place` names in messages; null is an empty one.
    pub fn of(node: &'a Node, place: impl Into<String>) -> Result<Self> {
        let (place, line) = (place.into(), node.line);
        match &node.yaml {
            Yaml::Map(entries) => Ok(Object {
                place,
                line,
                entries,
            }),
            Yaml::Scalar(Value::Null) => Ok(Object {
                place,
                line,
                entries: &[],
            }),
            _ => Err(DefinitionError {
                line,
                place,
                what: "must be `key: value` lines".to_owned(),
            }),
        }
    }

    /// Refuses keys that would be ignored otherwise.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        match self
            .entries
            .iter()
            .find(|(key, _)| !known.contains(&key.as_str()))
        {
            Some((key, node)) => Err(self.wrong_at(
                node,
                format!("{key} is not known here; known are: {}", known.join(", ")),
            )),
            None => Ok(()),
        }
    }

    /// The value of a key. Null is as good as absent.
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        let entry = self.entries.iter().find(|(name, _)| name == key);
        entry.map(|(_, node)| node).filter(|node| !node.is_null())
    }

    /// Text that must be there.
    pub fn text(&self, key: &str) -> Result<String> {
        let missing = || self.wrong(format!("{key} is missing"));
        self.optional_text(key)?.ok_or_else(missing)
    }

    pub fn optional_text(&self, key: &str) -> Result<Option<String>> {
        self.read(key, "must be text", Node::text)
    }

    /// A 32-bit number.
    pub fn whole(&self, key: &str) -> Result<Option<i32>> {
        self.read(key, "must be a whole number", Node::whole)
    }

    pub fn flag(&self, key: &str) -> Result<bool> {
        let flag = self.read(key, "must be true or false", |node| match node.yaml {
            Yaml::Scalar(Value::Bool(flag)) => Some(flag),
            _ => None,
        })?;
        Ok(flag.unwrap_or(false))
    }

    /// The entries of a list; absent, none.
    pub fn list(&self, key: &str) -> Result<&'a [Node]> {
        match self.get(key).map(|node| (node, &node.yaml)) {
            None => Ok(&[]),
            Some((_, Yaml::List(nodes))) => Ok(nodes),
            Some((node, _)) => Err(self.wrong_at(node, format!("{key} must be a list"))),
        }
    }

    /// A map without its lines; absent, an empty one.
    pub fn json_map(&self, key: &str) -> Result<Map<String, Value>> {
        match self.get(key) {
            None => Ok(Map::new()),
            Some(node) => match node.json() {
                Value::Object(map) => Ok(map),
                _ => Err(self.wrong_at(node, format!("{key} must be `key: value` lines"))),
            },
        }
    }

    /// What is wrong with the whole.
    pub fn wrong(&self, what: impl Into<String>) -> DefinitionError {
        DefinitionError {
            line: self.line,
            place: self.place.clone(),
            what: what.into(),
        }
    }

    /// What is wrong with a part.
    pub fn wrong_at(&self, node: &Node, what: impl Into<String>) -> DefinitionError {
        DefinitionError {
            line: node.line,
            ..self.wrong(what)
        }
    }

    fn read<T>(
        &self,
        key: &str,
        otherwise: &str,
        read: impl FnOnce(&Node) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(node) = self.get(key) else {
            return Ok(None);
        };
        let wrong = || self.wrong_at(node, format!("{key} {otherwise}"));
        read(node).map(Some).ok_or_else(wrong)
    }
}

fn to_json(entries: &[(String, Node)]) -> Map<String, Value> {
    let entries = entries.iter();
    entries
        .map(|(key, node)| (key.clone(), node.json()))
        .collect()
}

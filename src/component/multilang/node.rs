//! A value from a child before anybody asked for its type: text still lies in the message.
//!
//! What both readers give (`json_read`, `msgpack`) and messages take their fields from (`message`).

use std::borrow::Cow;
use std::collections::HashMap;

use crate::tuple::Value;

/// A value whose text still lies in the message.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'a> {
    Null,
    Bool(bool),
    /// A number of any type.
    Number(Value),
    Text(Cow<'a, str>),
    /// Raw bytes: MessagePack only.
    Bytes(&'a [u8]),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

// === impl Node ===

impl Node<'_> {
    pub fn into_value(self) -> Value {
        match self {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(value),
            Node::Number(value) => value,
            Node::Text(text) => Value::Str(text.into()),
            Node::Bytes(bytes) => Value::Bytes(bytes::Bytes::copy_from_slice(bytes)),
            Node::List(items) => Value::List(items),
            Node::Map(entries) => Value::Map(entries),
        }
    }
}

/// Of entries with equal keys only the last one, as a Java map would hold them.
pub fn last_of_each_key(mut entries: Vec<(Value, Value)>) -> Vec<(Value, Value)> {
    let mut last = HashMap::with_capacity(entries.len());
    for (index, (key, _)) in entries.iter().enumerate() {
        last.insert(key, index);
    }
    if last.len() == entries.len() {
        return entries;
    }
    let mut kept: Vec<usize> = last.into_values().collect();
    kept.sort_unstable();
    kept.into_iter()
        .filter_map(|index| entries.get_mut(index).map(std::mem::take))
        .collect()
}

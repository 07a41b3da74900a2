//! The objects that definitions build and hand to spouts and bolts: `components`, what refers to
//! them, and arguments.
//!
//! Storm makes any Java object. Made here are the few classes that native spouts and bolts take;
//! every other one is named.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::DefinitionError;
use super::document::Entry;
use super::node::{Node, Object, Yaml};
use crate::limits;

type Result<T> = std::result::Result<T, DefinitionError>;

/// An argument, or what a component of `components` is.
#[derive(Clone, Debug, PartialEq)]
pub enum Bean {
    /// What YAML itself can say.
    Plain(Value),
    /// `org.apache.storm.tuple.Fields`.
    Fields(Vec<String>),
    /// `BaseWindowedBolt.Count`.
    Count(i32),
    /// `BaseWindowedBolt.Duration`, in milliseconds.
    Duration(i32),
    /// Several, by `reflist`.
    List(Vec<Bean>),
}

/// The components by their ids.
#[derive(Debug, Default)]
pub struct Beans {
    by_id: BTreeMap<String, Bean>,
    /// Bytes that references have copied: lists of references to lists grow by powers.
    copied_bytes: Cell<usize>,
}

/// A call in `configMethods`, or a property, which is a call of its setter.
#[derive(Debug)]
pub struct Call<'a> {
    pub name: String,
    pub args: Vec<Bean>,
    /// Where it stands.
    pub node: &'a Node,
}

// === impl Bean ===

impl Bean {
    /// Text, or a list of it, or fields: what is an array of text to a Java method.
    pub fn texts(&self) -> Option<Vec<String>> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match self {
            Bean::Fields(names) => Some(names.clone()),
            Bean::Plain(Value::Array(values)) => values.iter().map(text).collect(),
            Bean::List(beans) => {
                let plain = beans.iter().map(Bean::plain);
                plain.map(|value| value.as_ref().and_then(text)).collect()
            }
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Bean::Plain(value) => value.as_str(),
            _ => None,
        }
    }

    pub fn whole(&self) -> Option<i32> {
        match self {
            Bean::Plain(value) => value.as_i64().and_then(|n| i32::try_from(n).ok()),
            _ => None,
        }
    }

    /// What YAML can say of it.
    pub fn plain(&self) -> Option<Value> {
        match self {
            Bean::Plain(value) => Some(value.clone()),
            Bean::Fields(names) => Some(names.clone().into()),
            Bean::List(beans) => beans.iter().map(Bean::plain).collect(),
            Bean::Count(_) | Bean::Duration(_) => None,
        }
    }

    /// What it takes in memory, about.
    fn bytes(&self) -> usize {
        let within: usize = match self {
            Bean::Plain(value) => bytes(value),
            Bean::Fields(names) => names.iter().map(|name| VALUE_BYTES + name.len()).sum(),
            Bean::List(beans) => beans.iter().map(Bean::bytes).sum(),
            Bean::Count(_) | Bean::Duration(_) => 0,
        };
        VALUE_BYTES + within
    }
}

// === impl Beans ===

impl Beans {
    /// Builds an entry of `components`, of what was built before it.
    pub fn add(&mut self, entry: &Entry) -> Result<()> {
        let place = format!("components: {}", entry.id);
        let bean = self.build(&Object::of(&entry.node, place)?)?;
        self.by_id.insert(entry.id.clone(), bean);
        Ok(())
    }

    /// The arguments under a key.
    pub fn args(&self, object: &Object<'_>, key: &str) -> Result<Vec<Bean>> {
        let args = object.list(key)?.iter();
        args.map(|arg| self.resolve(object, arg)).collect()
    }

    /// `properties`, then `configMethods`: the order in which Storm calls them.
    pub fn calls<'a>(&self, object: &Object<'a>) -> Result<Vec<Call<'a>>> {
        let mut calls = Vec::new();
        for node in object.list("properties")? {
            let property = Object::of(node, format!("{}: properties", object.place))?;
            property.only(&["name", "value", "ref"])?;
            let name = property.text("name")?;
            let value = match (property.get("value"), property.optional_text("ref")?) {
                (Some(_), Some(_)) => {
                    return Err(property.wrong(format!("{name} has both a value and a ref")));
                }
                (Some(value), None) => Bean::Plain(value.json()),
                (None, Some(id)) => self.named(&property, node, &id)?,
                (None, None) => Bean::Plain(Value::Null),
            };
            calls.push(Call {
                name: setter(&name),
                args: vec![value],
                node,
            });
        }
        for node in object.list("configMethods")? {
            let method = Object::of(node, format!("{}: configMethods", object.place))?;
            method.only(&["name", "args"])?;
            calls.push(Call {
                name: method.text("name")?,
                args: self.args(&method, "args")?,
                node,
            });
        }
        Ok(calls)
    }

    /// What an argument stands for: itself, or `{ref: id}`, or `{reflist: [ids]}`.
    fn resolve(&self, object: &Object<'_>, arg: &Node) -> Result<Bean> {
        let Yaml::Map(entries) = &arg.yaml else {
            return Ok(Bean::Plain(arg.json()));
        };
        let [(key, node)] = entries.as_slice() else {
            return Ok(Bean::Plain(arg.json()));
        };
        match key.as_str() {
            "ref" => {
                let id = node.text();
                let id = id.ok_or_else(|| object.wrong_at(node, "ref must be an id"))?;
                self.named(object, node, &id)
            }
            "reflist" => {
                let ids = node.texts();
                let ids = ids.ok_or_else(|| object.wrong_at(node, "reflist must be ids"))?;
                let beans = ids.iter().map(|id| self.named(object, node, id));
                beans.collect::<Result<_>>().map(Bean::List)
            }
            _ => Ok(Bean::Plain(arg.json())),
        }
    }

    fn named(&self, object: &Object<'_>, node: &Node, id: &str) -> Result<Bean> {
        let missing = || {
            let what = format!("ref {id}: `components` has no {id} by then");
            object.wrong_at(node, what)
        };
        let bean = self.by_id.get(id).ok_or_else(missing)?;
        let copied_bytes = self.copied_bytes.get().saturating_add(bean.bytes());
        if copied_bytes > limits::FLUX_COPIED_BYTES_MAX {
            let most = limits::FLUX_COPIED_BYTES_MAX;
            let what =
                format!("ref {id}: all references together stand for more than {most} bytes");
            return Err(object.wrong_at(node, what));
        }
        self.copied_bytes.set(copied_bytes);
        Ok(bean.clone())
    }

    fn build(&self, object: &Object<'_>) -> Result<Bean> {
        object.only(&OBJECT_KEYS)?;
        let class = object.text("className")?;
        let factory = object.optional_text("factory")?;
        let args = match (&factory, object.get("constructorArgs")) {
            (Some(_), None) => self.args(object, "factoryArgs")?,
            _ => self.args(object, "constructorArgs")?,
        };
        let made = match (class.as_str(), factory.as_deref(), args.as_slice()) {
            (FIELDS, None, [names]) => names.texts().map(Bean::Fields),
            (COUNT, None | Some("of"), [count]) => count.whole().map(Bean::Count),
            (DURATION, unit, args) => duration(unit, args),
            _ if class.starts_with("java.") => java(&class, factory.as_deref(), &args),
            _ if ![FIELDS, COUNT].contains(&class.as_str()) => {
                return Err(object.wrong(format!(
                    "the class {class} is not built in, and making one takes a JVM. Built in are: \
                     {}, and java.lang's and java.util's values",
                    [FIELDS, COUNT, DURATION].join(", ")
                )));
            }
            _ => None,
        };
        let unfit = || {
            let made_of = match &factory {
                Some(factory) => format!("{class}.{factory}"),
                None => class.clone(),
            };
            object.wrong(format!("{made_of} takes other arguments than these"))
        };
        let mut bean = made.ok_or_else(unfit)?;
        for call in self.calls(object)? {
            if !fill(&mut bean, &call) {
                let what = format!("{} has no method {} for these arguments", class, call.name);
                return Err(object.wrong_at(call.node, what));
            }
        }
        Ok(bean)
    }
}

/// What a value takes in memory, about.
fn bytes(value: &Value) -> usize {
    let within: usize = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(bytes).sum(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| VALUE_BYTES + key.len() + bytes(value))
            .sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    VALUE_BYTES + within
}

/// The method that sets a property.
fn setter(property: &str) -> String {
    let mut chars = property.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    "set".chars().chain(first).chain(chars).collect()
}

/// A `Duration` of a number and its unit, which is Java's `TimeUnit` or the name of a factory.
fn duration(factory: Option<&str>, args: &[Bean]) -> Option<Bean> {
    let (count, unit) = match (factory, args) {
        (None, [count, unit]) => (count.whole()?, unit.text()?),
        (Some("of"), [count]) => (count.whole()?, "MILLISECONDS"),
        (Some("seconds"), [count]) => (count.whole()?, "SECONDS"),
        (Some("minutes"), [count]) => (count.whole()?, "MINUTES"),
        (Some("hours"), [count]) => (count.whole()?, "HOURS"),
        (Some("days"), [count]) => (count.whole()?, "DAYS"),
        _ => return None,
    };
    let count = i64::from(count);
    let ms = match unit {
        "NANOSECONDS" => count / 1_000_000,
        "MICROSECONDS" => count / 1_000,
        "MILLISECONDS" => count,
        "SECONDS" => count * 1_000,
        "MINUTES" => count * 60_000,
        "HOURS" => count * 3_600_000,
        "DAYS" => count * 86_400_000,
        _ => return None,
    };
    let ms = i32::try_from(ms).ok().filter(|_| count >= 0);
    ms.map(Bean::Duration)
}

/// Java's own values and collections of them.
fn java(class: &str, factory: Option<&str>, args: &[Bean]) -> Option<Bean> {
    let value = match (class.strip_prefix("java.")?, args) {
        ("lang.String", []) => "".into(),
        ("lang.String", [value]) => value.text()?.into(),
        ("lang.Integer" | "lang.Short" | "lang.Byte" | "lang.Long", [value]) => {
            let number = value.plain()?;
            let of_text = value.text().and_then(|text| text.parse::<i64>().ok());
            number.as_i64().or(of_text)?.into()
        }
        ("lang.Double" | "lang.Float", [value]) => {
            let number = value.plain()?;
            let of_text = value.text().and_then(|text| text.parse::<f64>().ok());
            number.as_f64().or(of_text)?.into()
        }
        ("lang.Boolean", [value]) => match value.plain()? {
            Value::String(text) => (text == "true").into(),
            flag => flag.as_bool()?.into(),
        },
        ("util.ArrayList" | "util.LinkedList", []) => Value::Array(Vec::new()),
        ("util.ArrayList" | "util.LinkedList", [list]) => {
            Value::Array(list.plain()?.as_array()?.clone())
        }
        ("util.HashMap" | "util.LinkedHashMap" | "util.TreeMap" | "util.Properties", []) => {
            Value::Object(Map::new())
        }
        ("util.HashMap" | "util.LinkedHashMap" | "util.TreeMap", [map]) => {
            Value::Object(map.plain()?.as_object()?.clone())
        }
        _ => return None,
    };
    let is_made = factory.is_none() || factory == Some("valueOf");
    is_made.then_some(Bean::Plain(value))
}

/// Calls a method of a list or a map; false where it has none such.
fn fill(bean: &mut Bean, call: &Call<'_>) -> bool {
    let Bean::Plain(value) = bean else {
        return false;
    };
    let args: Option<Vec<Value>> = call.args.iter().map(Bean::plain).collect();
    let Some(args) = args else { return false };
    match (value, call.name.as_str(), args.as_slice()) {
        (Value::Array(list), "add", [entry]) => list.push(entry.clone()),
        (Value::Array(list), "addAll", [Value::Array(more)]) => list.extend(more.iter().cloned()),
        (Value::Object(map), "put" | "setProperty", [Value::String(key), entry]) => {
            map.insert(key.clone(), entry.clone());
        }
        (Value::Object(map), "putAll", [Value::Object(more)]) => map.extend(more.clone()),
        _ => return false,
    }
    true
}

/// What any object of a definition may say.
pub const OBJECT_KEYS: [&str; 7] = [
    "id",
    "className",
    "constructorArgs",
    "properties",
    "configMethods",
    "factory",
    "factoryArgs",
];

const VALUE_BYTES: usize = size_of::<Value>();

const FIELDS: &str = "org.apache.storm.tuple.Fields";
const COUNT: &str = "org.apache.storm.topology.base.BaseWindowedBolt$Count";
const DURATION: &str = "org.apache.storm.topology.base.BaseWindowedBolt$Duration";

//! The first message to a child: where to leave its pid, what surrounds it, its configuration.
//!
//! Holds values that are ready to be written; who builds the context from a topology is `shell`.

use serde_json::Value as Json;

use crate::component::multilang::number;
use crate::tuple::Value;

/// What a child is told before anything else.
#[derive(Debug, Clone, PartialEq)]
pub struct Handshake {
    /// Absolute path of the directory in which the child creates a file named by its pid.
    pub pid_dir: String,
    /// A map: the task, its component, its streams and what they are connected to.
    pub context: Value,
    /// A map: the whole configuration of the component, defaults and explicit nulls included.
    pub conf: Value,
}

// === impl Handshake ===

impl Handshake {
    /// `conf` goes out without the keys that hold secrets of the cluster.
    pub fn new<'c>(
        pid_dir: String,
        context: Value,
        conf: impl IntoIterator<Item = (&'c str, &'c Json)>,
    ) -> Self {
        let entries = conf
            .into_iter()
            .filter(|(key, _)| !is_secret(key))
            .map(|(key, value)| (text(key), from_json(value)));
        Handshake {
            pid_dir,
            context,
            conf: Value::Map(entries.collect()),
        }
    }

    /// The message, its keys in Storm's order.
    pub fn as_value(&self) -> Value {
        Value::Map(vec![
            (text("pidDir"), text(&self.pid_dir)),
            (text("context"), self.context.clone()),
            (text("conf"), self.conf.clone()),
        ])
    }
}

/// A value of a configuration as a value of a message.
pub fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => number::signed(whole),
            (None, Some(whole)) => number::unsigned(whole),
            (None, None) => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(string) => text(string),
        Json::Array(items) => Value::List(items.iter().map(from_json).collect()),
        Json::Object(entries) => {
            let entry = |(key, value): (&String, &Json)| (text(key), from_json(value));
            Value::Map(entries.iter().map(entry).collect())
        }
    }
}

fn text(text: &str) -> Value {
    Value::Str(text.into())
}

/// Storm hands its daemons' passwords to every child; no adapter reads them.
fn is_secret(key: &str) -> bool {
    let is_daemons = DAEMON_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
    is_daemons && SECRET_SUFFIXES.iter().any(|suffix| key.ends_with(suffix))
}

const DAEMON_PREFIXES: [&str; 9] = [
    "storm.",
    "nimbus.",
    "supervisor.",
    "worker.",
    "drpc.",
    "ui.",
    "logviewer.",
    "blobstore.",
    "stormwire.",
];
const SECRET_SUFFIXES: [&str; 5] = ["auth.payload", "password", ".secret", ".token", "secretkey"];

//! `localconfvalue`, `remoteconfvalue`: what a setting is here, as Storm's client prints it.
//!
//! Both read this machine's configuration. Storm's two differ in whether `~/.storm` is looked into;
//! here there is one search for storm.yaml (`conf`).

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::ConfArgs;
use super::daemon::say;
use crate::conf::convert::java_double;

/// A setting to show.
#[derive(Debug, Args)]
pub struct ValueArgs {
    /// The setting's key.
    #[arg(value_name = "KEY")]
    key: String,
    #[command(flatten)]
    conf: ConfArgs,
}

/// `stormwire localconfvalue`. A key that is not set is null.
pub fn show(args: &ValueArgs) -> Result<i32> {
    let conf = args.conf.conf()?;
    let value = conf.get(&args.key).unwrap_or(&Value::Null);
    say(format_args!("{}: {}", args.key, outermost(value)));
    Ok(0)
}

/// The elements of a list stand apart by blanks.
fn outermost(value: &Value) -> String {
    match value {
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(text).collect();
            elements.join(" ")
        }
        value => text(value),
    }
}

/// As Java makes text of it; keys of maps in their order.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => number.to_string(),
            None => number
                .as_f64()
                .map_or_else(|| number.to_string(), java_double),
        },
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(text).collect();
            format!("[{}]", elements.join(", "))
        }
        Value::Object(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{key}={}", text(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_read_as_in_java() {
        for (value, expected) in [
            (json!(null), "null"),
            (json!(6627), "6627"),
            (json!(0.05), "0.05"),
            (json!(["a", "b"]), "a b"),
            (json!([6700, 6701]), "6700 6701"),
            (json!({"b": [1, 2], "a": {}}), "{a={}, b=[1, 2]}"),
        ] {
            assert_eq!(outermost(&value), expected);
        }
    }
}

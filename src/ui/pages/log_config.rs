//! `topology/{id}/logconfig`: levels of loggers, as they are and as they shall be.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::wire::storm::{LogConfig, LogLevel, LogLevelAction};

/// A body that says nothing that can be done.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::ui) enum BadLevels {
    #[error(
        "the body is no object with `namedLoggerLevels`, as in {{\"namedLoggerLevels\": \
         {{\"com.x\": {{\"target_level\": \"DEBUG\", \"timeout\": 60}}}}}}"
    )]
    Shape,
    #[error("logger {logger}: `{field}` is {found}")]
    Field {
        logger: String,
        field: &'static str,
        found: String,
    },
}

/// Levels that were set.
pub(in crate::ui) fn page(config: &LogConfig) -> Value {
    let levels = config.named_logger_level.iter().flatten();
    let levels = levels.map(|(logger, level)| {
        let level = json!({
            "target_level": level.target_log_level,
            "reset_level": level.reset_log_level,
            "timeout": level.reset_log_level_timeout_secs.unwrap_or(0),
            "timeout_epoch": level.reset_log_level_timeout_epoch.unwrap_or(0),
        });
        (logger.clone(), level)
    });
    json!({ "namedLoggerLevels": levels.collect::<Map<_, _>>() })
}

/// What a body asks for, logger by logger: a level, or with null that it is taken back.
pub(in crate::ui) fn read(body: &[u8]) -> Result<BTreeMap<String, LogLevel>, BadLevels> {
    let body: Value = serde_json::from_slice(body).map_err(|_| BadLevels::Shape)?;
    let levels = body.get("namedLoggerLevels").and_then(Value::as_object);
    let levels = levels.ok_or(BadLevels::Shape)?.iter();
    levels
        .map(|(logger, wanted)| Ok((logger.clone(), level(logger, wanted)?)))
        .collect()
}

fn level(logger: &str, wanted: &Value) -> Result<LogLevel, BadLevels> {
    let bad = |field: &'static str, value: Option<&Value>| BadLevels::Field {
        logger: logger.to_owned(),
        field,
        found: value.map_or_else(|| "missing".to_owned(), Value::to_string),
    };
    let target = match wanted.get("target_level") {
        None | Some(Value::Null) => {
            return Ok(LogLevel {
                action: LogLevelAction::Remove.into(),
                ..LogLevel::default()
            });
        }
        Some(Value::String(name)) => name.to_ascii_uppercase(),
        other => return Err(bad("target_level", other)),
    };
    let timeout = wanted.get("timeout");
    let secs = match timeout {
        None | Some(Value::Null) => Some(0),
        Some(given) => given.as_i64().and_then(|secs| i32::try_from(secs).ok()),
    };
    Ok(LogLevel {
        action: LogLevelAction::Update.into(),
        // What is no level counts as DEBUG, as in Storm's library for logs.
        target_log_level: Some(match LEVELS.contains(&target.as_str()) {
            true => target,
            false => "DEBUG".to_owned(),
        }),
        reset_log_level_timeout_secs: Some(secs.ok_or_else(|| bad("timeout", timeout))?),
        ..LogLevel::default()
    })
}

const LEVELS: [&str; 8] = [
    "OFF", "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ALL",
];

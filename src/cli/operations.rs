//! `set_log_level` and `upload-credentials`: what an operator changes of a topology that runs.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::ClientArgs;
use super::client::{self, refused};
use super::daemon::say;
use super::shape::{is_storm, told};
use super::table::table;
use crate::clock;
use crate::flux::Properties;
use crate::wire::storm::{Credentials, LogConfig, LogLevel, LogLevelAction};

/// Levels to set and to take back.
#[derive(Debug, Args)]
pub struct LogLevelArgs {
    /// The topology's name.
    name: String,
    /// A level for a logger, for so many seconds or until it is removed. Loggers are ROOT, a
    /// component, a module such as stormwire.messaging, or a package of Storm's. Levels are ALL,
    /// TRACE, DEBUG, INFO, WARN, ERROR, FATAL and OFF.
    #[arg(short = 'l', long = "log-setting", value_name = "LOGGER=LEVEL[:SECS]")]
    levels: Vec<String>,
    /// A logger whose level is to be what it was.
    #[arg(short = 'r', long = "remove-log-setting", value_name = "LOGGER")]
    removed: Vec<String>,
    #[command(flatten)]
    client: ClientArgs,
}

/// Credentials to hand over.
#[derive(Debug, Args)]
pub struct CredentialsArgs {
    /// The topology's name.
    name: String,
    /// A file of Java properties with a line NAME=VALUE for each credential; `-` is standard input.
    /// What stands on the command line itself other users of this machine can see.
    #[arg(short = 'f', long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Refuse unless the topology belongs to this user.
    #[arg(short = 'u', long, value_name = "OWNER")]
    user: Option<String>,
    /// End with 1 where there is nothing to hand over.
    #[arg(short = 'e', long)]
    exception_when_empty: bool,
    /// Names and values in turn.
    #[arg(value_name = "NAME VALUE")]
    pairs: Vec<String>,
    #[command(flatten)]
    client: ClientArgs,
}

/// `stormwire set_log_level`. Without anything to set it shows what is set.
pub fn set_log_level(args: &LogLevelArgs) -> Result<i32> {
    let mut levels = BTreeMap::new();
    for text in &args.levels {
        let (logger, level) = parse_level(text)?;
        levels.insert(logger, level);
    }
    for logger in &args.removed {
        let action = LogLevelAction::Remove.into();
        let level = LogLevel {
            action,
            ..LogLevel::default()
        };
        levels.insert(logger.clone(), level);
    }
    let name = &args.name;
    let config = client::block_on(async {
        let mut nimbus = client::connect(&args.client).await?;
        let summary = nimbus.get_topology_summary_by_name(Some(name)).await;
        let id = summary.map_err(|e| refused(&format!("find {name}"), e))?.id;
        if !levels.is_empty() {
            let config = LogConfig {
                named_logger_level: Some(levels),
            };
            let set = nimbus.set_log_config(Some(&id), Some(&config)).await;
            set.map_err(|e| refused(&format!("set levels of {name}"), e))?;
            if is_storm() {
                let config = as_storm(&config);
                let what = format!("Log config {config} is sent for topology {name}");
                told("o.a.s.c.SetLogLevel", &what);
                return Ok(None);
            }
        }
        let config = nimbus.get_log_config(Some(&id)).await;
        let config = config.map_err(|e| refused(&format!("read the levels of {name}"), e))?;
        Ok(Some(config))
    })?;
    if let Some(config) = config {
        say(show(&config));
    }
    Ok(0)
}

/// `stormwire upload-credentials`.
pub fn upload_credentials(args: &CredentialsArgs) -> Result<i32> {
    let mut creds = match &args.file {
        Some(path) => read_file(path)?,
        None => BTreeMap::new(),
    };
    for pair in args.pairs.chunks(2) {
        let [name, value] = pair else {
            bail!("credentials are pairs of a name and a value: the last name has no value");
        };
        creds.insert(name.clone(), value.clone());
    }
    let name = &args.name;
    let names: Vec<String> = creds.keys().cloned().collect();
    let is_nothing = names.is_empty();
    let credentials = Credentials {
        creds,
        topo_owner: args.user.clone(),
    };
    client::block_on(async {
        let mut nimbus = client::connect(&args.client).await?;
        if is_storm() || is_nothing {
            let summary = nimbus.get_topology_summary_by_name(Some(name)).await;
            let id = summary.map_err(|e| refused(&format!("find {name}"), e))?.id;
            if is_storm() {
                let what = format!("Using topology conf from {id} as basis for getting new creds");
                told(CREDENTIALS_CLASS, &what);
            }
        }
        if is_nothing {
            // As in Storm, which gets some from its plugins of credentials: only those that run in
            // a JVM could have any.
            return Ok(());
        }
        let uploaded = nimbus
            .upload_new_credentials(Some(name), Some(&credentials))
            .await;
        uploaded.map_err(|e| refused(&format!("upload credentials of {name}"), e))
    })?;
    if is_nothing && args.exception_when_empty {
        bail!("No credentials were uploaded for {name}: give -f FILE or NAME VALUE");
    }
    if is_storm() {
        told(
            CREDENTIALS_CLASS,
            &format!("Uploaded new creds to topology: {name}"),
        );
    } else if is_nothing {
        say(format_args!("Nothing to upload to {name}"));
    } else {
        say(format_args!(
            "Uploaded credentials to {name}: {}",
            names.join(", ")
        ));
    }
    Ok(0)
}

/// `LOGGER=LEVEL[:SECS]`.
fn parse_level(text: &str) -> Result<(String, LogLevel)> {
    let wanted = || format!("-l {text}: not LOGGER=LEVEL or LOGGER=LEVEL:SECS");
    let (logger, rest) = text.split_once('=').with_context(wanted)?;
    let (level, secs) = match rest.split_once(':') {
        Some((level, secs)) => {
            let secs = secs.parse::<i32>().ok().filter(|secs| *secs >= 0);
            (level, Some(secs.with_context(wanted)?))
        }
        // As Storm's client, which always says for how long: 0 is for good.
        None => (rest, Some(0)),
    };
    let level = level.to_ascii_uppercase();
    if logger.is_empty() || !LEVELS.contains(&level.as_str()) {
        bail!("{}; levels are {}", wanted(), LEVELS.join(", "));
    }
    let set = LogLevel {
        action: LogLevelAction::Update.into(),
        target_log_level: Some(level),
        reset_log_level_timeout_secs: secs,
        ..LogLevel::default()
    };
    Ok((logger.to_owned(), set))
}

/// A request as Java shows it, in the order of loggers' names.
fn as_storm(config: &LogConfig) -> String {
    let levels = config.named_logger_level.iter().flatten();
    let shown: Vec<String> = levels
        .map(|(logger, level)| {
            let action = match level.action.known() {
                Some(LogLevelAction::Remove) => "REMOVE",
                _ => "UPDATE",
            };
            let target = level.target_log_level.as_ref();
            let target = target.map(|target| format!(", target_log_level:{target}"));
            let secs = level.reset_log_level_timeout_secs;
            let secs = secs.map(|secs| format!(", reset_log_level_timeout_secs:{secs}"));
            let (target, secs) = (target.unwrap_or_default(), secs.unwrap_or_default());
            format!("{logger}=LogLevel(action:{action}{target}{secs})")
        })
        .collect();
    format!("LogConfig(named_logger_level:{{{}}})", shown.join(", "))
}

fn show(config: &LogConfig) -> String {
    let levels = config.named_logger_level.iter().flatten();
    let rows: Vec<_> = levels
        .map(|(logger, level)| {
            let end_ms = level.reset_log_level_timeout_epoch;
            let left = end_ms.map(|end_ms| (end_ms - clock::wall_millis()).max(0) / 1000);
            [
                logger.clone(),
                level.target_log_level.clone().unwrap_or_default(),
                left.map_or_else(|| "removed".to_owned(), |secs| format!("{secs} s from now")),
            ]
        })
        .collect();
    if rows.is_empty() {
        return "No levels are set: workers log as they were started to.".to_owned();
    }
    table(["LOGGER", "LEVEL", "UNTIL"], rows)
}

/// Java's properties, as Storm's command takes them. A name without a value is a mistake here.
fn read_file(path: &Path) -> Result<BTreeMap<String, String>> {
    let mut bytes = Vec::new();
    let read = match path == Path::new("-") {
        true => std::io::stdin().read_to_end(&mut bytes).map(drop),
        false => std::fs::read(path).map(|read| bytes = read),
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    let parsed = Properties::parse(&bytes);
    let parsed = parsed.map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    let creds = parsed.into_map();
    // The line may be a secret, so it is not shown.
    if creds.values().any(String::is_empty) {
        bail!("{}: a line is not NAME=VALUE", path.display());
    }
    Ok(creds)
}

const LEVELS: [&str; 8] = [
    "ALL", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "OFF",
];

/// What Storm's log calls its class of `upload-credentials`.
const CREDENTIALS_CLASS: &str = "o.a.s.c.UploadCredentials";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_read_as_storm_s_command_reads_them() {
        for (text, expected) in [
            ("ROOT=DEBUG", Some(("ROOT", "DEBUG", Some(0)))),
            ("a.b=warn:30", Some(("a.b", "WARN", Some(30)))),
            ("a.b=LOUD", None),
            ("a.b", None),
            ("=INFO", None),
            ("a=INFO:soon", None),
            ("a=INFO:-1", None),
        ] {
            let found = parse_level(text).ok();
            let found = found.as_ref().map(|(logger, level)| {
                let target = level.target_log_level.as_deref().unwrap_or_default();
                (logger.as_str(), target, level.reset_log_level_timeout_secs)
            });
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_file_of_credentials_is_one_of_properties() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("creds");
        let text = "# one\nuser = eve\n\ntoken=a=b\nkey: \\\n  a\\u0062\n";
        std::fs::write(&path, text).expect("room");
        let found = read_file(&path).expect("readable");
        let expected = [("token", "a=b"), ("user", "eve"), ("key", "ab")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, BTreeMap::from(expected));
        std::fs::write(&path, "s3cret\n").expect("room");
        let refused = read_file(&path).expect_err("no pair").to_string();
        assert!(
            refused.contains("not NAME=VALUE") && !refused.contains("s3cret"),
            "{refused}"
        );
    }
}

//! `topology.blobstore.map` and a topology's dependencies: which blobs its workers find as files,
//! and under which names.
//!
//! Whether the blobs exist is Nimbus's question; fetching them is the supervisor's.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::conf::{Conf, keys};
use crate::limits;
use crate::wire::storm::StormTopology;

/// A blob that a topology's workers need as a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    pub key: String,
    /// What it is called in the worker's directory.
    pub local_name: String,
    /// An archive: its content is wanted, in a directory.
    pub uncompress: bool,
    /// A new version needs another worker process.
    pub restart: bool,
}

/// Why a map makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobMapError {
    #[error("{}: {what} of {key} is {value}", keys::TOPOLOGY_BLOBSTORE_MAP)]
    Option {
        what: &'static str,
        key: String,
        value: Value,
    },
    #[error(
        "{}: {name:?} cannot be a local name: it must be one plain name, and none that workers' \
         directories have already",
        keys::TOPOLOGY_BLOBSTORE_MAP
    )]
    LocalName { name: String },
    #[error(
        "{}: two blobs have the local name {name:?}",
        keys::TOPOLOGY_BLOBSTORE_MAP
    )]
    Twice { name: String },
}

/// The entries of a conf's blob map.
pub fn read(conf: &Conf) -> Result<Vec<Wanted>, BlobMapError> {
    let mut wanted = Vec::new();
    let mut names = BTreeSet::new();
    for (key, options) in conf.map(keys::TOPOLOGY_BLOBSTORE_MAP).into_iter().flatten() {
        let entry = Wanted {
            local_name: local_name(key, options)?,
            uncompress: flag(key, options, "uncompress")?,
            restart: flag(key, options, "workerRestart")?,
            key: key.clone(),
        };
        if !names.insert(entry.local_name.clone()) {
            return Err(BlobMapError::Twice {
                name: entry.local_name,
            });
        }
        wanted.push(entry);
    }
    Ok(wanted)
}

/// The jars and artifacts that a topology's submitter uploaded beside it: workers have them under
/// their keys. A key that cannot be a name is left out; no store has such a blob.
pub fn dependencies(topology: &StormTopology) -> impl Iterator<Item = Wanted> {
    let jars = topology.dependency_jars.iter().flatten();
    let artifacts = topology.dependency_artifacts.iter().flatten();
    let usable = jars.chain(artifacts).filter(|key| is_local_name(key));
    usable.map(|key| Wanted {
        key: key.clone(),
        local_name: key.clone(),
        uncompress: false,
        restart: true,
    })
}

fn local_name(key: &str, options: &Value) -> Result<String, BlobMapError> {
    let name = match options.get("localname") {
        None | Some(Value::Null) => key.to_owned(),
        Some(Value::String(name)) => name.clone(),
        Some(other) => {
            return Err(BlobMapError::Option {
                what: "localname",
                key: key.to_owned(),
                value: other.clone(),
            });
        }
    };
    match is_local_name(&name) {
        true => Ok(name),
        false => Err(BlobMapError::LocalName { name }),
    }
}

/// As Storm reads a flag: absent is false, and text says it too.
fn flag(key: &str, options: &Value, what: &'static str) -> Result<bool, BlobMapError> {
    match options.get(what) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(other) => Err(BlobMapError::Option {
            what,
            key: key.to_owned(),
            value: other.clone(),
        }),
    }
}

/// Whether a file may have this name in a worker's directory: one plain name, and none that stands
/// there already.
fn is_local_name(name: &str) -> bool {
    let is_plain = |c: char| !matches!(c, '/' | '\\') && !c.is_control();
    (1..=limits::BLOB_KEY_BYTES_MAX).contains(&name.len())
        && name.chars().all(is_plain)
        && !matches!(name, "." | "..")
        && !TAKEN_NAMES.contains(&name)
}

/// Entries of a worker's directory, Storm's or ours, and of a topology's.
const TAKEN_NAMES: [&str; 13] = [
    "artifacts",
    "groups",
    "heartbeat",
    "heartbeats",
    "launch",
    "pids",
    "process",
    "resources",
    "stormcode.ser",
    "stormconf.ser",
    "stormjar.jar",
    "stormwire",
    "tmp",
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(map: Value) -> Result<Vec<Wanted>, BlobMapError> {
        read(&Conf::new().with(keys::TOPOLOGY_BLOBSTORE_MAP, map))
    }

    #[test]
    fn options_have_storms_defaults() {
        let wanted = map(json!({
            "plain": {},
            "null": null,
            "full": {"localname": "a.zip", "uncompress": true, "workerRestart": "true"},
        }));
        let entry = |key: &str, name: &str, flag| Wanted {
            key: key.to_owned(),
            local_name: name.to_owned(),
            uncompress: flag,
            restart: flag,
        };
        let mut wanted = wanted.expect("a map");
        wanted.sort();
        let all = [
            entry("full", "a.zip", true),
            entry("null", "null", false),
            entry("plain", "plain", false),
        ];
        assert_eq!(wanted, all);
        assert_eq!(read(&Conf::new()), Ok(Vec::new()));
    }

    #[test]
    fn a_local_name_is_one_plain_name() {
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/etc/passwd",
            "a\\b",
            "a\0",
            "tmp",
            "heartbeat",
        ] {
            let read = map(json!({"k": {"localname": bad}}));
            assert!(
                matches!(read, Err(BlobMapError::LocalName { .. })),
                "{bad:?}"
            );
        }
        for good in ["a", ".hidden", "%2e%2e", "two words", "w\u{f6}rter.txt"] {
            assert!(map(json!({"k": {"localname": good}})).is_ok(), "{good:?}");
        }
        let twice = map(json!({"k": {"localname": "a"}, "a": {}}));
        assert!(matches!(twice, Err(BlobMapError::Twice { .. })));
        let odd = map(json!({"k": {"uncompress": 1}}));
        assert!(matches!(odd, Err(BlobMapError::Option { .. })));
    }

    #[test]
    fn dependencies_are_files_under_their_keys() {
        let topology = StormTopology {
            dependency_jars: Some(vec!["dep-a.jar".to_owned(), "../b".to_owned()]),
            dependency_artifacts: Some(vec!["dep-c.jar".to_owned()]),
            ..StormTopology::default()
        };
        let names: Vec<_> = dependencies(&topology)
            .map(|wanted| wanted.local_name)
            .collect();
        assert_eq!(names, ["dep-a.jar", "dep-c.jar"]);
    }
}

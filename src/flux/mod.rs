//! Topologies from YAML files, in the shape of Storm's Flux.
//!
//! What is here: shell components by Flux's wrapper classes, built-in components by name, streams
//! with their groupings, conf. What needs a JVM, and the parts of Flux that are not here yet, are
//! refused by name (`build`). Runs and submits nothing.

mod build;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use thiserror::Error;

use crate::conf::Conf;
use crate::conf::yaml::{self, YamlError};
use crate::wire::storm::StormTopology;

/// A topology as its file describes it.
#[derive(Clone, Debug)]
pub struct Definition {
    pub name: Option<String>,
    pub conf: Conf,
    pub topology: StormTopology,
}

/// Why a file describes no topology.
#[derive(Debug, Error)]
pub enum FluxError {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {source}", path.display())]
    Yaml { path: PathBuf, source: YamlError },
    #[error("{}: {source}", path.display())]
    Definition {
        path: PathBuf,
        source: DefinitionError,
    },
}

/// What is wrong with a definition, and where.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("{place}: {what}")]
pub struct DefinitionError {
    pub place: String,
    pub what: String,
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Definition, FluxError> {
    let unreadable = |source| FluxError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let map = yaml::map(&text).map_err(|source| FluxError::Yaml {
        path: path.to_owned(),
        source,
    })?;
    define(&map).map_err(|source| FluxError::Definition {
        path: path.to_owned(),
        source,
    })
}

fn define(map: &Map<String, Value>) -> Result<Definition, DefinitionError> {
    build::only(
        map,
        "the file",
        &["name", "config", "spouts", "bolts", "streams"],
    )?;
    let name = map.get("name").and_then(Value::as_str).map(str::to_owned);
    let conf = match map.get("config") {
        None | Some(Value::Null) => Conf::new(),
        Some(Value::Object(entries)) => Conf::from(entries.clone()),
        Some(_) => return Err(build::wrong("config", "must be `key: value` lines")),
    };
    Ok(Definition {
        name,
        conf,
        topology: build::topology(map)?,
    })
}

#[cfg(test)]
mod tests;

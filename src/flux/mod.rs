//! Topologies from YAML files: Storm's Flux.
//!
//! A file is filled in (`substitute`, `properties`), parsed with its lines (`node`), joined with
//! what it includes (`load`, `document`) and built (`build`): objects first (`objects`), then
//! spouts and bolts (`vertex`), which are shell components (`shell`) or built in (`native`), then
//! streams. What takes a JVM is refused, by its class, file and line. Runs and submits nothing.

mod build;
mod document;
mod load;
mod native;
mod node;
mod objects;
mod properties;
mod shell;
mod show;
mod substitute;
mod vertex;

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::conf::Conf;
use crate::wire::storm::StormTopology;

pub use properties::Properties;
pub use show::{Details, Outline};
pub use substitute::Filter;

/// A topology as its files describe it.
#[derive(Clone, Debug)]
pub struct Definition {
    pub name: Option<String>,
    pub conf: Conf,
    pub topology: StormTopology,
    /// For people.
    pub outline: Outline,
    pub warnings: Vec<Warning>,
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    /// By its name within a jar, which may begin with `/`.
    Resource(String),
}

/// Reads a resource of a jar; the error says why there is none.
pub type Resources<'r> = &'r dyn Fn(&str) -> Result<Vec<u8>, String>;

/// How to read a definition.
#[derive(Clone, Copy, Default)]
pub struct Options<'o> {
    pub filter: Filter<'o>,
    pub resources: Option<Resources<'o>>,
}

/// The name of a file in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// What a definition says in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub origin: Origin,
    /// Begins with the line.
    pub what: String,
}

/// Why files describe no topology.
#[derive(Debug, Error)]
pub enum FluxError {
    #[error("cannot read {origin}: {reason}")]
    Unreadable { origin: Origin, reason: String },
    #[error("{origin}: line {line}, column {column}: {reason}")]
    Yaml {
        origin: Origin,
        line: u64,
        column: u64,
        reason: String,
    },
    #[error("{origin}: line {line}: includes {file}: {what}")]
    Include {
        origin: Origin,
        line: u64,
        file: String,
        what: String,
    },
    #[error("{origin}: {source}")]
    Definition {
        origin: Origin,
        source: DefinitionError,
    },
}

/// What is wrong with a definition, and where.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("line {line}: {place}: {what}")]
pub struct DefinitionError {
    /// From 1.
    pub line: u64,
    pub place: String,
    pub what: String,
}

/// Reads a definition with all that it includes.
pub fn read(source: &Source, options: &Options<'_>) -> Result<Definition, FluxError> {
    let mut loader = load::Loader::new(options);
    let document = loader.load(source)?;
    build::definition(document, loader.warnings)
}

/// Reads the file of properties.
pub fn read_properties(source: &Source, options: &Options<'_>) -> Result<Properties, FluxError> {
    let bytes = load::read(source, options)?;
    Properties::parse(&bytes).map_err(|reason| FluxError::Unreadable {
        origin: Origin(source.to_string()),
        reason,
    })
}

// === impl Source ===

impl Source {
    pub fn file(path: &Path) -> Self {
        Source::File(path.to_owned())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => path.display().fmt(f),
            Source::Resource(name) => write!(f, "resource {name}"),
        }
    }
}

// === impl Origin ===

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Warning ===

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.what)
    }
}

// === impl DefinitionError ===

impl DefinitionError {
    fn of(self, origin: &Origin) -> FluxError {
        FluxError::Definition {
            origin: origin.clone(),
            source: self,
        }
    }
}

#[cfg(test)]
mod tests;

//! Reads a definition's files: the first one and those that it includes, each filled in
//! (`substitute`) before it is parsed.
//!
//! Storm ignores what an included file includes; here that counts too, so many files deep.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::document::{Document, Include};
use super::node::Node;
use super::{FluxError, Options, Origin, Source, Warning};
use crate::limits;

/// Files on their way to one document.
pub struct Loader<'o> {
    options: &'o Options<'o>,
    n_files: usize,
    /// The files that include the one which is read.
    open: Vec<String>,
    pub warnings: Vec<Warning>,
}

// === impl Loader ===

impl<'o> Loader<'o> {
    pub fn new(options: &'o Options<'o>) -> Self {
        Loader {
            options,
            n_files: 0,
            open: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Reads a file with all that it includes.
    pub fn load(&mut self, source: &Source) -> Result<Document, FluxError> {
        let origin = Rc::new(Origin(source.to_string()));
        self.n_files += 1;
        let bytes = read(source, self.options)?;
        let yaml = |line, column, reason: String| FluxError::Yaml {
            origin: Origin::clone(&origin),
            line,
            column,
            reason,
        };
        let text = String::from_utf8(bytes)
            .map_err(|_| yaml(0, 0, "not UTF-8: save the file as UTF-8".to_owned()))?;
        let filled = self.options.filter.fill(&text);
        let filled = filled.map_err(|error| yaml(error.line, 0, error.what))?;
        for what in filled.warnings {
            self.warn(&origin, what);
        }
        let node = Node::parse(&filled.text)
            .map_err(|error| yaml(error.line, error.column, error.reason))?;
        let parsed = Document::parse(node, &origin);
        let (mut document, includes) = parsed.map_err(|source| source.of(&origin))?;
        self.open.push(identity(source));
        for include in includes {
            let included = self.load_include(source, &origin, &include)?;
            for what in document.include(included, include.overrides) {
                let line = include.line;
                self.warn(
                    &origin,
                    format!(
                        "line {line}: {} without override: left out {what}",
                        include.file
                    ),
                );
            }
        }
        self.open.pop();
        Ok(document)
    }

    fn load_include(
        &mut self,
        from: &Source,
        origin: &Origin,
        include: &Include,
    ) -> Result<Document, FluxError> {
        let wrong = |what: String| FluxError::Include {
            origin: origin.clone(),
            line: include.line,
            file: include.file.clone(),
            what,
        };
        let source = match include.is_resource {
            true => Source::Resource(include.file.clone()),
            false => Source::File(beside(from, Path::new(&include.file))),
        };
        if self.open.contains(&identity(&source)) {
            return Err(wrong("the file includes itself".to_owned()));
        }
        if self.open.len() >= limits::FLUX_INCLUDES_DEPTH_MAX {
            let most = limits::FLUX_INCLUDES_DEPTH_MAX;
            return Err(wrong(format!("more than {most} files include each other")));
        }
        if self.n_files >= limits::FLUX_FILES_MAX {
            let most = limits::FLUX_FILES_MAX;
            return Err(wrong(format!("a definition has at most {most} files")));
        }
        self.load(&source).map_err(|error| match error {
            FluxError::Unreadable { reason, .. } => wrong(reason),
            other => other,
        })
    }

    fn warn(&mut self, origin: &Origin, what: String) {
        if self.warnings.len() < limits::FLUX_WARNINGS_MAX {
            self.warnings.push(Warning {
                origin: origin.clone(),
                what,
            });
        }
    }
}

/// The bytes of a file or of a resource, of a bounded size.
pub fn read(source: &Source, options: &Options<'_>) -> Result<Vec<u8>, FluxError> {
    let read = match source {
        Source::File(path) => read_file(path).map_err(|error| error.to_string()),
        Source::Resource(name) => match options.resources {
            Some(resources) => resources(name),
            None => Err(
                "it is a resource of a jar, and there is none: give one with --jar, or a \
                         directory with --resources"
                    .to_owned(),
            ),
        },
    };
    let unreadable = |reason| FluxError::Unreadable {
        origin: Origin(source.to_string()),
        reason,
    };
    let bytes = read.map_err(unreadable)?;
    match bytes.len() > limits::FLUX_FILE_BYTES_MAX {
        true => Err(unreadable(format!(
            "it has more than {} bytes",
            limits::FLUX_FILE_BYTES_MAX
        ))),
        false => Ok(bytes),
    }
}

fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = limits::FLUX_FILE_BYTES_MAX as u64 + 1;
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Where an included file is: as Storm looks for it, from the working directory, or else beside the
/// file that includes it.
fn beside(from: &Source, file: &Path) -> PathBuf {
    match from {
        Source::File(from) if file.is_relative() && !file.exists() => {
            from.parent().unwrap_or(Path::new("")).join(file)
        }
        _ => file.to_owned(),
    }
}

/// One name for each file, whichever way leads to it.
fn identity(source: &Source) -> String {
    match source {
        Source::File(path) => {
            let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
            path.display().to_string()
        }
        Source::Resource(name) => format!("resource {}", name.trim_start_matches('/')),
    }
}

//! Looks into an uploaded jar before it is accepted: is it a zip, and do its entries stay inside?
//!
//! Extracts nothing; supervisors check again when they do.

use std::fs::File;

use crate::blob::{self, JarOpenError};

/// Why a jar is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JarError {
    #[error("the jar is not a zip file: {0}")]
    NotZip(String),
    #[error(transparent)]
    TooMany(JarOpenError),
    #[error("the jar's entry `{entry}` would lie outside of the topology's directory")]
    Climbs { entry: String },
}

/// Reads the jar's directory and judges every name in it.
pub(crate) fn check(file: &File) -> Result<(), JarError> {
    let not_zip = |error: String| JarError::NotZip(error);
    let file = file
        .try_clone()
        .map_err(|error| not_zip(error.to_string()))?;
    let archive = blob::open_jar(file).map_err(|error| match error {
        JarOpenError::NotZip(error) => not_zip(error.to_string()),
        too_many => JarError::TooMany(too_many),
    })?;
    for name in archive.file_names() {
        let name = name.map_err(|error| not_zip(error.to_string()))?;
        if climbs(&name) {
            let entry = name.chars().take(SHOWN_CHARS).collect();
            return Err(JarError::Climbs { entry });
        }
    }
    Ok(())
}

/// Whether a name could be read as a path out of a directory, by any system's rules.
fn climbs(name: &str) -> bool {
    let mut parts = name.split(['/', '\\']);
    name.starts_with(['/', '\\'])
        || name.contains('\0')
        || name.get(1..2) == Some(":")
        || parts.any(|part| part == "..")
}

const SHOWN_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn jar(names: &[&str]) -> File {
        let mut zip = ZipWriter::new(tempfile::tempfile().expect("room"));
        for name in names {
            zip.start_file(*name, SimpleFileOptions::default())
                .expect("a new entry");
            zip.write_all(b"x").expect("room");
        }
        zip.finish().expect("room")
    }

    #[test]
    fn ordinary_jars_pass() {
        let names = [
            "META-INF/MANIFEST.MF",
            "resources/a..b/c.py",
            "resources/..x",
        ];
        check(&jar(&names)).expect("nothing climbs");
        check(&jar(&[])).expect("an empty zip is a zip");
    }

    #[test]
    fn an_entry_that_climbs_is_named() {
        for bad in [
            "../evil",
            "resources/../../evil",
            "/etc/evil",
            "C:evil",
            "a\\..\\..\\b",
        ] {
            let error = check(&jar(&["resources/a", bad])).expect_err(bad);
            assert!(
                matches!(&error, JarError::Climbs { entry } if entry == bad),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_no_zip_is_refused() {
        let mut text = tempfile::tempfile().expect("room");
        check(&text).expect_err("empty");
        text.write_all(b"PK\x03\x04 and nothing else")
            .expect("room");
        text.rewind().expect("a file");
        assert!(matches!(check(&text), Err(JarError::NotZip(_))));
    }
}

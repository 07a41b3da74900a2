//! Packs a topology's program into a jar, for each platform that it was built for.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::super::submit::add_resources;
use super::stamp;
use crate::blob::program::{DIR, MANIFEST, Manifest};
use crate::limits::PROGRAM_BYTES_MAX;
use crate::messaging::link::WIRE_VERSION;

/// A jar with this program, those in `also`, and the files below `resources`.
pub fn pack(also: &[PathBuf], resources: Option<&Path>) -> Result<Vec<u8>> {
    let own = std::env::current_exe().context("cannot tell which file this program is")?;
    let mut programs = BTreeMap::new();
    for path in std::iter::once(&own).chain(also) {
        let program = read(path)?;
        let Some(stamp) = stamp::find(&program) else {
            bail!(
                "{} is no topology's program: there is no Stormwire in it",
                path.display()
            );
        };
        if stamp.wire_version != WIRE_VERSION {
            bail!(
                "{} speaks wire version {}, this program {WIRE_VERSION}: build both with the same \
                 Stormwire",
                path.display(),
                stamp.wire_version
            );
        }
        if programs.insert(stamp.platform.clone(), program).is_some() {
            bail!(
                "{} is a second program for {}",
                path.display(),
                stamp.platform
            );
        }
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_directory("resources/", SimpleFileOptions::default())?;
    // Symbols and code pack well at any level; submits should not take seconds.
    let packed = SimpleFileOptions::default().compression_level(Some(LEVEL));
    zip.start_file(MANIFEST, packed)?;
    zip.write_all(&Manifest::own().to_json())?;
    for (platform, program) in &programs {
        zip.start_file(format!("{DIR}{platform}"), packed.unix_permissions(0o755))?;
        zip.write_all(program)?;
    }
    if let Some(resources) = resources {
        add_resources(&mut zip, resources)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// An executable, as large as a cluster takes it.
fn read(path: &Path) -> Result<Vec<u8>> {
    let unreadable = || format!("cannot read {}", path.display());
    let n_bytes = fs::metadata(path).with_context(unreadable)?.len();
    if n_bytes > PROGRAM_BYTES_MAX {
        bail!(
            "{} has {n_bytes} bytes, more than {PROGRAM_BYTES_MAX} (limit PROGRAM_BYTES_MAX): \
             strip it of its symbols",
            path.display()
        );
    }
    fs::read(path).with_context(unreadable)
}

const LEVEL: i64 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::program::{PLATFORM, Programs};
    use zip::ZipArchive;

    #[test]
    fn a_cluster_finds_the_program_that_was_packed() {
        let dir = tempfile::tempdir().expect("dir");
        fs::write(dir.path().join("split.py"), "pass").expect("room");
        let jar = pack(&[], Some(dir.path())).expect("packed");
        let mut archive = ZipArchive::new(Cursor::new(jar)).expect("a zip");
        let programs = Programs::find(&mut archive)
            .expect("sound")
            .expect("a program");
        programs.manifest.check().expect("our own version");
        programs.for_platform(PLATFORM).expect("our own platform");
        archive.by_name("resources/split.py").expect("a resource");
    }

    #[test]
    fn what_is_no_program_of_ours_is_not_packed() {
        let dir = tempfile::tempdir().expect("dir");
        let script = dir.path().join("script");
        fs::write(&script, "#!/bin/sh").expect("room");
        let error = pack(&[script], None).expect_err("a script").to_string();
        assert!(error.contains("no Stormwire in it"), "{error}");
        let own = std::env::current_exe().expect("a program");
        let error = pack(&[own], None).expect_err("twice").to_string();
        assert!(error.contains(PLATFORM), "{error}");
    }
}

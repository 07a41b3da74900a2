//! A topology's own worker program on this machine: taken out of the jar once, judged again before
//! each start.
//!
//! It lies in a directory of the topology's that no blob and no entry of the jar can name, under a
//! name of ours. What a jar's programs must be is said by `blob::program`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::extract::{self, ExtractError};
use crate::blob::program::{Manifest, PLATFORM, ProgramError, Programs};
use crate::blob::{self, JarOpenError};
use crate::limits::PROGRAM_BYTES_MAX;

/// Why a topology's program cannot be run here.
#[derive(Debug, Error)]
pub enum WorkerProgramError {
    #[error(transparent)]
    Jar(#[from] JarOpenError),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Extract(#[from] ExtractError),
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
}

/// Takes the program for this platform out of a jar, if the jar has any, into `code`, the
/// topology's directory.
pub fn extract(jar: &Path, code: &Path) -> Result<(), WorkerProgramError> {
    let read_error = |source| WorkerProgramError::Read {
        path: jar.to_owned(),
        source,
    };
    let mut archive = blob::open_jar(File::open(jar).map_err(read_error)?)?;
    let Some(programs) = Programs::find(&mut archive)? else {
        return Ok(());
    };
    programs.manifest.check()?;
    let index = programs.for_platform(PLATFORM)?;
    let mut entry = archive.by_index(index).map_err(ProgramError::from)?;
    let dir = code.join(DIR);
    extract::create_dir(&dir)?;
    // For its owner alone, whatever the jar says.
    let path = dir.join(PROGRAM);
    // The size that a jar declares is not believed.
    let written = extract::write(&mut entry, &path, 0o700, PROGRAM_BYTES_MAX)?;
    written.ok_or_else(|| ProgramError::TooLarge {
        entry: PLATFORM.to_owned(),
    })?;
    let manifest = &programs.manifest.to_json()[..];
    let record = dir.join(RECORD);
    extract::write(&mut &*manifest, &record, 0o600, u64::MAX - 1)?;
    // The directory that is moved into place must not name a file whose bytes are not there.
    for path in [&path, &record, &dir] {
        let synced = File::open(path).and_then(|file| file.sync_all());
        synced.map_err(read_error)?;
    }
    Ok(())
}

/// The program that runs a topology's workers; none where that is ours. The supervisor may be of
/// another version than the one that took the program out of its jar.
pub fn find(code: &Path) -> Result<Option<PathBuf>, WorkerProgramError> {
    let dir = code.join(DIR);
    let path = dir.join(RECORD);
    match fs::read(&path) {
        Ok(json) => Manifest::from_json(&json)?.check()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(WorkerProgramError::Read { path, source }),
    }
    Ok(Some(dir.join(PROGRAM)))
}

/// In a topology's directory. No blob's local name can be this one (`topology::blob_map`).
const DIR: &str = "stormwire";
const PROGRAM: &str = "worker";
const RECORD: &str = "manifest.json";

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn jar(dir: &Path, platform: &str, manifest: &Manifest) -> PathBuf {
        let path = dir.join("topology.jar");
        let mut zip = ZipWriter::new(File::create(&path).expect("jar"));
        // Not executable by the jar's word, and writable for all.
        let options = SimpleFileOptions::default().unix_permissions(0o666);
        let own = fs::read(std::env::current_exe().expect("a program")).expect("readable");
        for (name, content) in [
            (format!("stormwire/bin/{platform}"), &own[..64]),
            ("stormwire/manifest.json".to_owned(), &manifest.to_json()),
        ] {
            zip.start_file(name, options).expect("entry");
            zip.write_all(content).expect("content");
        }
        zip.finish().expect("zip");
        path
    }

    #[test]
    fn a_program_becomes_executable_for_its_owner_alone() {
        let dir = tempfile::tempdir().expect("dir");
        let jar = jar(dir.path(), PLATFORM, &Manifest::own());
        extract(&jar, dir.path()).expect("extracted");
        let path = find(dir.path()).expect("judged").expect("there");
        let metadata = fs::metadata(&path).expect("a file");
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o700);
        assert_eq!(metadata.len(), 64);
        assert!(path.starts_with(dir.path()));
    }

    #[test]
    fn a_jar_without_a_program_leaves_workers_to_us() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("empty.jar");
        let zip = ZipWriter::new(File::create(&path).expect("jar"));
        zip.finish().expect("zip");
        extract(&path, dir.path()).expect("nothing to do");
        assert_eq!(find(dir.path()).expect("judged"), None);
    }

    #[test]
    fn other_platforms_and_versions_are_refused_when_unpacked_and_when_started() {
        let dir = tempfile::tempdir().expect("dir");
        let foreign = jar(dir.path(), "unheard-of-linux-gnu", &Manifest::own());
        let error = extract(&foreign, dir.path())
            .expect_err("foreign")
            .to_string();
        assert!(
            error.contains("unheard-of-linux-gnu") && error.contains(PLATFORM),
            "{error}"
        );
        let mut later = Manifest::own();
        later.wire_version += 1;
        let jar = jar(dir.path(), PLATFORM, &later);
        let error = extract(&jar, dir.path()).expect_err("later").to_string();
        assert!(error.contains("wire version"), "{error}");
        // Unpacked by a supervisor of its version, found by us.
        let at = dir.path().join(DIR);
        fs::create_dir_all(&at).expect("room");
        fs::write(at.join(RECORD), later.to_json()).expect("room");
        let error = find(dir.path()).expect_err("later").to_string();
        assert!(error.contains("wire version"), "{error}");
    }
}

//! Takes `resources/` out of a topology's jar into a directory, or all of a zip file.
//!
//! The jar is a stranger's: no entry may leave the directory, the sizes that it declares are not
//! believed, and what it unpacks to is bounded. Exec bits are kept, so that scripts and whole
//! virtualenvs run as they are. Fetching the jar is `localizer`'s.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

use crate::blob::{self, JarOpenError};
use crate::limits::{JAR_UNPACKED_BYTES_MAX, UNPACKED_BYTES_FREE, UNPACKED_RATIO_MAX};

/// Why a jar's resources could not be unpacked.
#[derive(Debug, Error)]
pub enum ExtractError {
    #[error("the jar {jar} is not a readable zip file: {source}")]
    NotAZip {
        jar: PathBuf,
        source: zip::result::ZipError,
    },
    #[error("the entry {entry:?} climbs out of the directory: refused, nothing was unpacked")]
    Escapes { entry: String },
    #[error("the jar's entry {entry:?} is a symbolic link: put the file itself into the jar")]
    Link { entry: String },
    #[error(transparent)]
    TooMany(JarOpenError),
    #[error(
        "it unpacks to more than {max} bytes (limits JAR_UNPACKED_BYTES_MAX, BLOB_BYTES_MAX, \
         UNPACKED_RATIO_MAX)"
    )]
    TooLarge { max: u64 },
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
}

/// Unpacks every entry below `resources/` into `target`, which is created even when there is none.
///
/// On an error the caller removes `target`: it may hold a part.
pub fn resources(jar: &Path, target: &Path) -> Result<(), ExtractError> {
    below("resources/", jar, target)
}

/// Unpacks every entry of a zip file into `target`, under the same rules.
pub fn all(zip: &Path, target: &Path) -> Result<(), ExtractError> {
    below("", zip, target)
}

fn below(prefix: &str, jar: &Path, target: &Path) -> Result<(), ExtractError> {
    let not_a_zip = |source| ExtractError::NotAZip {
        jar: jar.to_owned(),
        source,
    };
    let file = File::open(jar).map_err(|source| not_a_zip(source.into()))?;
    let packed = file.metadata().map_err(|source| not_a_zip(source.into()))?;
    let max = unpacked_max(packed.len(), JAR_UNPACKED_BYTES_MAX);
    let mut archive = blob::open_jar(file).map_err(|error| match error {
        JarOpenError::NotZip(source) => not_a_zip(source),
        too_many => ExtractError::TooMany(too_many),
    })?;
    create_dir(target)?;
    let mut left = max;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(not_a_zip)?;
        let full = entry.name().map_err(not_a_zip)?.into_owned();
        let Some(name) = full.strip_prefix(prefix) else {
            continue;
        };
        if entry.is_symlink() {
            return Err(ExtractError::Link { entry: full });
        }
        let path = target.join(inside(OsStr::new(name))?);
        if name.is_empty() || name.ends_with('/') {
            create_dir(&path)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            create_dir(parent)?;
        }
        let mode = entry.unix_mode().map_or(0o644, |mode| mode & 0o777 | 0o600);
        left -= write(&mut entry, &path, mode, left)?.ok_or(ExtractError::TooLarge { max })?;
    }
    Ok(())
}

/// How many bytes a packed file of some size may unpack to, `most` at most.
pub(super) fn unpacked_max(packed_bytes: u64, most: u64) -> u64 {
    let by_size = packed_bytes.saturating_mul(UNPACKED_RATIO_MAX);
    by_size.saturating_add(UNPACKED_BYTES_FREE).min(most)
}

/// A path below the target, made of plain names only.
pub(super) fn inside(name: &OsStr) -> Result<PathBuf, ExtractError> {
    let escapes = || ExtractError::Escapes {
        entry: name.to_string_lossy().into_owned(),
    };
    if name.as_bytes().iter().any(|byte| matches!(byte, 0 | b'\\')) {
        return Err(escapes());
    }
    let mut path = PathBuf::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return Err(escapes()),
        }
    }
    Ok(path)
}

pub(super) fn create_dir(path: &Path) -> Result<(), ExtractError> {
    fs::create_dir_all(path).map_err(|source| ExtractError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Copies one entry; returns its true size, none when it is larger than what is left. A name that
/// occurs twice keeps its first content.
pub(super) fn write(
    entry: &mut impl Read,
    path: &Path,
    mode: u32,
    left: u64,
) -> Result<Option<u64>, ExtractError> {
    let failed = |source| ExtractError::Write {
        path: path.to_owned(),
        source,
    };
    let opened = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Some(0)),
        Err(error) => return Err(failed(error)),
    };
    let n_bytes = io::copy(&mut entry.take(left + 1), &mut file).map_err(failed)?;
    if n_bytes > left {
        return Ok(None);
    }
    // The umask may have taken bits that the jar's author meant to give.
    file.set_permissions(fs::Permissions::from_mode(mode))
        .map_err(failed)?;
    Ok(Some(n_bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn jar(dir: &Path, entries: &[(&str, u32)]) -> PathBuf {
        let path = dir.join("topology.jar");
        let mut zip = ZipWriter::new(File::create(&path).expect("jar"));
        for (name, mode) in entries {
            let options = SimpleFileOptions::default().unix_permissions(*mode);
            zip.start_file(*name, options).expect("entry");
            zip.write_all(name.as_bytes()).expect("content");
        }
        zip.finish().expect("zip");
        path
    }

    #[test]
    fn unpacks_only_resources_and_keeps_exec_bits() {
        let dir = tempfile::tempdir().expect("dir");
        let entries = [
            ("resources/a/run.sh", 0o755),
            ("resources/b.py", 0o644),
            ("c.class", 0o644),
        ];
        let jar = jar(dir.path(), &entries);
        let target = dir.path().join("resources");
        resources(&jar, &target).expect("unpacked");
        let run = target.join("a/run.sh");
        assert_eq!(
            fs::read_to_string(&run).expect("file"),
            "resources/a/run.sh"
        );
        assert_eq!(
            fs::metadata(&run).expect("file").permissions().mode() & 0o777,
            0o755
        );
        assert_eq!(
            fs::metadata(target.join("b.py"))
                .expect("file")
                .permissions()
                .mode()
                & 0o777,
            0o644
        );
        assert!(!dir.path().join("c.class").exists() && !target.join("c.class").exists());
    }

    #[test]
    fn a_jar_without_resources_still_gives_the_directory() {
        let dir = tempfile::tempdir().expect("dir");
        let jar = jar(dir.path(), &[("c.class", 0o644)]);
        resources(&jar, &dir.path().join("resources")).expect("unpacked");
        assert!(dir.path().join("resources").is_dir());
    }

    #[test]
    fn nothing_leaves_the_directory() {
        for name in [
            "resources/../evil",
            "resources/a/../../evil",
            "resources//../evil",
            "resources/..\\evil",
            "resources/a\0b",
        ] {
            let dir = tempfile::tempdir().expect("dir");
            let jar = jar(dir.path(), &[(name, 0o644)]);
            let outcome = resources(&jar, &dir.path().join("resources"));
            assert!(
                matches!(outcome, Err(ExtractError::Escapes { .. })),
                "{name:?}: {outcome:?}"
            );
            assert!(!dir.path().join("evil").exists(), "{name:?}");
        }
        // An absolute name below resources/ is only a strange relative one.
        let dir = tempfile::tempdir().expect("dir");
        let absolute = jar(dir.path(), &[("resources//etc/evil", 0o644)]);
        let outcome = resources(&absolute, &dir.path().join("resources"));
        assert!(
            matches!(outcome, Err(ExtractError::Escapes { .. })),
            "{outcome:?}"
        );
    }

    #[test]
    fn links_and_files_that_are_no_zip_are_refused() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("links.jar");
        let mut zip = ZipWriter::new(File::create(&path).expect("jar"));
        zip.add_symlink(
            "resources/link",
            "/etc/passwd",
            SimpleFileOptions::default(),
        )
        .expect("entry");
        zip.finish().expect("zip");
        let outcome = resources(&path, &dir.path().join("resources"));
        assert!(
            matches!(outcome, Err(ExtractError::Link { .. })),
            "{outcome:?}"
        );

        let text = dir.path().join("no.jar");
        fs::write(&text, "not a zip").expect("file");
        let outcome = resources(&text, &dir.path().join("resources"));
        assert!(
            matches!(outcome, Err(ExtractError::NotAZip { .. })),
            "{outcome:?}"
        );
    }

    #[test]
    fn a_bomb_stops_at_what_is_left() {
        let dir = tempfile::tempdir().expect("dir");
        let outcome = write(&mut io::repeat(0), &dir.path().join("bomb"), 0o644, 1 << 20);
        assert!(matches!(outcome, Ok(None)), "{outcome:?}");
        assert!(fs::metadata(dir.path().join("bomb")).expect("file").len() <= (1 << 20) + 1);
    }

    #[test]
    fn what_may_be_unpacked_follows_what_was_packed() {
        assert_eq!(unpacked_max(0, u64::MAX), UNPACKED_BYTES_FREE);
        assert_eq!(unpacked_max(42 << 10, 1 << 40) >> 20, 68);
        assert_eq!(unpacked_max(1 << 30, 4 << 30), 4 << 30);
        assert_eq!(unpacked_max(u64::MAX, 7), 7);
    }
}

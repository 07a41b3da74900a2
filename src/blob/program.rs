//! A topology's own program in its jar: one executable for each platform, and a manifest that says
//! how they talk.
//!
//! Reads and judges; where a program is unpacked and started is the supervisor's business.

use std::io::{Read, Seek};

use serde::{Deserialize, Serialize};
use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

use crate::limits::{
    ERROR_TEXT_BYTES_MAX, PROGRAM_BYTES_MAX, PROGRAM_MANIFEST_BYTES_MAX, PROGRAMS_MAX,
};
use crate::messaging::link::WIRE_VERSION;

/// The programs of a jar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    pub manifest: Manifest,
    entries: Vec<Entry>,
}

/// What is said of all programs of a jar: the entry [`MANIFEST`], a JSON object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What they speak with supervisors, Nimbus and each other.
    pub wire_version: i32,
    /// Of the library that they were built with; for people.
    #[serde(default)]
    pub stormwire: String,
}

/// One program.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// A target triple, such as `x86_64-unknown-linux-gnu`.
    platform: String,
    /// Of the entry in the jar.
    index: usize,
}

/// Why a jar's programs cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    #[error("the jar cannot be read: {0}")]
    Zip(#[from] ZipError),
    #[error("the jar has programs in {DIR}, but no {MANIFEST}")]
    NoManifest,
    #[error("the jar's {MANIFEST} cannot be read: {reason}")]
    BadManifest { reason: String },
    #[error("the jar has a {MANIFEST}, but no program in {DIR}")]
    NoProgram,
    #[error("the jar has more than {PROGRAMS_MAX} programs (limit PROGRAMS_MAX)")]
    TooMany,
    #[error(
        "the jar's entry `{entry}` is no program: expected one file named after its target triple, \
         as in {DIR}{PLATFORM}"
    )]
    Name { entry: String },
    #[error("the jar has two programs for {platform}")]
    Twice { platform: String },
    #[error("the jar's entry `{entry}` is a symbolic link: put the program itself into the jar")]
    Link { entry: String },
    #[error(
        "the jar's entry `{entry}` has more than {PROGRAM_BYTES_MAX} bytes (limit \
         PROGRAM_BYTES_MAX)"
    )]
    TooLarge { entry: String },
    #[error("the jar's entry `{entry}` is no executable for {platform}: {reason}")]
    NotExecutable {
        entry: String,
        platform: String,
        reason: &'static str,
    },
    #[error(
        "the program speaks wire version {theirs}, this cluster {WIRE_VERSION}: build it with the \
         cluster's version of Stormwire"
    )]
    WireVersion { theirs: i32 },
    #[error(
        "the program was built for {given}, and cannot run on {wanted}: build it for that too, and \
         submit both (--also FILE)"
    )]
    Platform { given: String, wanted: String },
}

// === impl Programs ===

impl Programs {
    /// Looks for programs; a jar that has none is an ordinary one. Reads the manifest and the first
    /// bytes of each program.
    pub fn find<R: Read + Seek>(archive: &mut ZipArchive<R>) -> Result<Option<Self>, ProgramError> {
        // Most entries of most jars are no business of ours: only these are opened.
        let mut found = Vec::new();
        for (index, name) in archive.file_names().enumerate() {
            let name = name?;
            if name == MANIFEST || name.len() > DIR.len() && name.starts_with(DIR) {
                found.push((index, name.into_owned()));
            }
            if found.len() > PROGRAMS_MAX + 1 {
                return Err(ProgramError::TooMany);
            }
        }
        let mut entries: Vec<Entry> = Vec::new();
        let mut manifest = None;
        for (index, name) in found {
            let mut file = archive.by_index(index)?;
            let Some(platform) = name.strip_prefix(DIR) else {
                manifest = Some(read_manifest(&mut file)?);
                continue;
            };
            judge(platform, &mut file)?;
            let platform = platform.to_owned();
            if entries.iter().any(|other| other.platform == platform) {
                return Err(ProgramError::Twice { platform });
            }
            entries.push(Entry { platform, index });
        }
        match (manifest, entries.is_empty()) {
            (None, true) => Ok(None),
            (None, false) => Err(ProgramError::NoManifest),
            (Some(_), true) => Err(ProgramError::NoProgram),
            (Some(manifest), false) => Ok(Some(Programs { manifest, entries })),
        }
    }

    /// The position in the jar of the program for a platform.
    pub fn for_platform(&self, platform: &str) -> Result<usize, ProgramError> {
        let of = |wanted: &str| self.entries.iter().find(|entry| entry.platform == wanted);
        let found = of(platform).or_else(|| of(&stand_in(platform)?));
        found.map(|entry| entry.index).ok_or_else(|| {
            let given: Vec<_> = self.entries.iter().map(|e| e.platform.as_str()).collect();
            ProgramError::Platform {
                given: given.join(", "),
                wanted: shown(platform),
            }
        })
    }
}

// === impl Manifest ===

impl Manifest {
    /// Of programs that are built with this library.
    pub fn own() -> Self {
        Manifest {
            wire_version: WIRE_VERSION,
            stormwire: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    pub fn from_json(json: &[u8]) -> Result<Self, ProgramError> {
        serde_json::from_slice(json).map_err(|error| ProgramError::BadManifest {
            reason: error.to_string(),
        })
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::json!(self).to_string().into_bytes()
    }

    /// Whether its programs can talk with what runs here.
    pub fn check(&self) -> Result<(), ProgramError> {
        match self.wire_version {
            WIRE_VERSION => Ok(()),
            theirs => Err(ProgramError::WireVersion { theirs }),
        }
    }
}

fn read_manifest(file: &mut impl Read) -> Result<Manifest, ProgramError> {
    let mut json = Vec::new();
    file.take(PROGRAM_MANIFEST_BYTES_MAX + 1)
        .read_to_end(&mut json)
        .map_err(ZipError::from)?;
    if json.len() as u64 > PROGRAM_MANIFEST_BYTES_MAX {
        let reason = format!("it has more than {PROGRAM_MANIFEST_BYTES_MAX} bytes");
        return Err(ProgramError::BadManifest { reason });
    }
    Manifest::from_json(&json)
}

/// Whether an entry may be the program for a platform: a file of a bearable size that begins as an
/// executable of Linux does, for the triple's processor.
fn judge<R: Read>(platform: &str, file: &mut ZipFile<'_, R>) -> Result<(), ProgramError> {
    let entry = shown(&format!("{DIR}{platform}"));
    if file.is_symlink() {
        return Err(ProgramError::Link { entry });
    }
    if !is_platform(platform) {
        return Err(ProgramError::Name { entry });
    }
    if file.size() > PROGRAM_BYTES_MAX {
        return Err(ProgramError::TooLarge { entry });
    }
    let mut head = Vec::new();
    file.take(ELF_HEAD_BYTES)
        .read_to_end(&mut head)
        .map_err(ZipError::from)?;
    let reason = not_executable(&head, platform);
    reason.map_or(Ok(()), |reason| {
        Err(ProgramError::NotExecutable {
            entry,
            platform: platform.to_owned(),
            reason,
        })
    })
}

/// Why the start of a file is not that of an ELF executable for a platform; none if it is.
fn not_executable(head: &[u8], platform: &str) -> Option<&'static str> {
    let (Some(magic), Some(order), Some(kind), Some(machine)) = (
        head.get(..4),
        head.get(5),
        head.get(16..18),
        head.get(18..20),
    ) else {
        return Some("it is too short");
    };
    if magic != b"\x7fELF" {
        return Some("it does not begin as an ELF file does");
    }
    let number = |bytes: &[u8]| match (order, bytes) {
        (2, [high, low]) | (_, [low, high]) => u16::from_be_bytes([*high, *low]),
        _ => 0,
    };
    // Fixed and position-independent executables.
    if !matches!(number(kind), 2 | 3) {
        return Some("it is an ELF file that cannot be started");
    }
    let processor = platform.split('-').next().unwrap_or_default();
    let known = MACHINES.iter().find(|(name, _)| *name == processor);
    match known {
        Some((_, wanted)) if *wanted != number(machine) => Some("it is for another processor"),
        _ => None,
    }
}

/// Whether a name can be a target triple: a single plain name.
fn is_platform(name: &str) -> bool {
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.');
    (1..=PLATFORM_BYTES_MAX).contains(&name.len())
        && name.bytes().all(is_plain)
        && !name.starts_with('.')
}

/// A platform whose programs run here too: those for musl bring their C library along.
fn stand_in(platform: &str) -> Option<String> {
    let gnu = platform.strip_suffix("-linux-gnu")?;
    Some(format!("{gnu}-linux-musl"))
}

fn shown(name: &str) -> String {
    let mut name = name.to_owned();
    name.truncate(name.floor_char_boundary(ERROR_TEXT_BYTES_MAX.min(SHOWN_BYTES)));
    name
}

/// The target triple that this code was built for.
pub const PLATFORM: &str = env!("STORMWIRE_TARGET");

/// Where a jar has its programs, each named after its target triple.
pub const DIR: &str = "stormwire/bin/";

/// Which entry of a jar is its manifest.
pub const MANIFEST: &str = "stormwire/manifest.json";

/// Longest target triple.
const PLATFORM_BYTES_MAX: usize = 64;
const SHOWN_BYTES: usize = 200;
/// The head of an ELF file up to its machine.
const ELF_HEAD_BYTES: u64 = 20;
/// ELF's numbers of the processors that Rust's triples for Linux begin with.
const MACHINES: [(&str, u16); 8] = [
    ("aarch64", 183),
    ("arm", 40),
    ("i686", 3),
    ("loongarch64", 258),
    ("powerpc64le", 21),
    ("riscv64gc", 243),
    ("s390x", 22),
    ("x86_64", 62),
];

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn elf(machine: u16) -> Vec<u8> {
        let mut head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0".to_vec();
        head.extend(machine.to_le_bytes());
        head.extend([0; 44]);
        head
    }

    fn find(entries: &[(&str, &[u8])]) -> Result<Option<Programs>, ProgramError> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in entries {
            zip.start_file(*name, SimpleFileOptions::default())
                .expect("a new entry");
            zip.write_all(content).expect("room");
        }
        let jar = zip.finish().expect("room");
        Programs::find(&mut ZipArchive::new(jar).expect("a zip"))
    }

    #[track_caller]
    fn check_refused(entries: &[(&str, &[u8])], expected: &str) {
        let error = find(entries).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }

    const X86: &str = "stormwire/bin/x86_64-unknown-linux-gnu";

    #[test]
    fn a_jar_without_programs_is_an_ordinary_one() {
        assert_eq!(find(&[("resources/stormwire/bin/x", b"")]).unwrap(), None);
        assert_eq!(find(&[("stormwire/bin/", b"")]).unwrap(), None);
    }

    #[test]
    fn programs_are_found_by_platform() {
        let (x86, arm, own) = (elf(62), elf(183), Manifest::own().to_json());
        let jar: [(&str, &[u8]); 4] = [
            ("resources/a.py", b"x"),
            (X86, &x86),
            ("stormwire/bin/aarch64-unknown-linux-musl", &arm),
            (MANIFEST, &own),
        ];
        let programs = find(&jar).unwrap().expect("programs");
        programs.manifest.check().expect("our own version");
        assert_eq!(
            programs.for_platform("x86_64-unknown-linux-gnu").unwrap(),
            1
        );
        // Built for musl, it runs beside any C library.
        assert_eq!(
            programs.for_platform("aarch64-unknown-linux-gnu").unwrap(),
            2
        );
        let error = programs
            .for_platform("riscv64gc-unknown-linux-gnu")
            .unwrap_err();
        let text = error.to_string();
        for part in [
            "x86_64-unknown-linux-gnu",
            "aarch64-unknown-linux-musl",
            "riscv64gc-unknown-linux-gnu",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(programs.for_platform("x86_64-unknown-linux-musl").is_err());
    }

    #[test]
    fn another_wire_version_is_refused_by_name() {
        let (program, theirs) = (elf(62), WIRE_VERSION + 7);
        let json = format!(r#"{{"wire_version": {theirs}, "later": true}}"#);
        let programs = find(&[(X86, &program), (MANIFEST, json.as_bytes())]);
        let error = programs.unwrap().unwrap().manifest.check().unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&format!(
                "wire version {theirs}, this cluster {WIRE_VERSION}"
            )),
            "{text}"
        );
    }

    #[test]
    fn what_is_no_program_is_refused_by_name() {
        let (program, own) = (elf(62), Manifest::own().to_json());
        let own = (MANIFEST, &own[..]);
        check_refused(&[(X86, &program)], "no stormwire/manifest.json");
        check_refused(&[own], "no program in stormwire/bin/");
        check_refused(&[own, (X86, b"#!/bin/sh\necho hello there\n")], "ELF");
        check_refused(&[own, (X86, b"\x7fELF")], "too short");
        check_refused(&[own, (X86, &elf(183))], "another processor");
        let mut object = program.clone();
        object[16] = 1;
        check_refused(&[own, (X86, &object)], "cannot be started");
        for name in ["a/b", "..", ".hidden", "a b", "x86_64-\u{e9}"] {
            let name = format!("{DIR}{name}");
            check_refused(&[own, (&name, &program)], "is no program");
        }
        check_refused(&[(MANIFEST, b"[]"), (X86, &program)], "cannot be read");
        let long = vec![b' '; PROGRAM_MANIFEST_BYTES_MAX as usize + 1];
        check_refused(&[(MANIFEST, &long), (X86, &program)], "more than");
        let many: Vec<String> = (0..=PROGRAMS_MAX)
            .map(|n| format!("{DIR}x86_64-unknown-linux-{n}"))
            .collect();
        let mut jar = vec![own];
        jar.extend(many.iter().map(|name| (name.as_str(), &program[..])));
        check_refused(&jar, "PROGRAMS_MAX");
    }

    #[test]
    fn a_link_is_no_program() {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.add_symlink(X86, "/bin/sh", SimpleFileOptions::default())
            .expect("an entry");
        let jar = zip.finish().expect("room");
        let error = Programs::find(&mut ZipArchive::new(jar).expect("a zip")).unwrap_err();
        assert!(matches!(error, ProgramError::Link { .. }), "{error}");
    }
}

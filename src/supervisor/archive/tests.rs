//! Archives of every kind, good and bad, on real files; made by the system's own tar.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::*;

struct Rig(tempfile::TempDir);

impl Rig {
    fn new() -> Self {
        let rig = Rig(tempfile::tempdir().expect("a directory"));
        fs::create_dir_all(rig.path("in/deep")).expect("room");
        fs::write(rig.path("in/deep/run.sh"), "#!/bin/sh\n").expect("room");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(rig.path("in/deep/run.sh"), mode).expect("ours");
        fs::write(rig.path("in/plain"), vec![b'x'; 1000]).expect("room");
        rig
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Packs `in/` with the system's tar.
    fn tar(&self, options: &[&str]) -> PathBuf {
        let archive = self.path("archive");
        let packed = Command::new("tar")
            .args(options)
            .arg("-f")
            .arg(&archive)
            .arg("-C")
            .arg(self.path("in"))
            .arg(".")
            .status();
        assert!(packed.expect("tar is installed").success());
        archive
    }

    fn unpack(&self, archive: &Path) -> Result<(), ArchiveError> {
        unpack(archive, &self.path("out"))
    }

    fn is_whole(&self) {
        let run = self.path("out/deep/run.sh");
        assert_eq!(fs::read_to_string(&run).expect("there"), "#!/bin/sh\n");
        let mode = fs::metadata(&run).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
        assert_eq!(fs::read(self.path("out/plain")).expect("there").len(), 1000);
    }
}

/// An entry of a tar file by hand.
fn entry(name: &str, kind: u8, target: &str, content: &[u8]) -> Vec<u8> {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    block[156] = kind;
    block[157..157 + target.len()].copy_from_slice(target.as_bytes());
    block[257..263].copy_from_slice(b"ustar\0");
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut entry = block.to_vec();
    entry.extend(content);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

#[test]
fn tar_files_of_every_form_are_unpacked() {
    for options in [
        &["-c"][..],
        &["-cz"],
        &["-c", "--format=pax"],
        &["-c", "--format=ustar"],
        &["-c", "--format=v7", "--warning=no-timestamp"],
    ] {
        let rig = Rig::new();
        let archive = rig.tar(options);
        if options.contains(&"--format=v7") {
            // Without the magic it cannot be told from any file, and stays one.
            rig.unpack(&archive).expect("a file");
            assert!(rig.path("out").is_file());
            continue;
        }
        rig.unpack(&archive)
            .unwrap_or_else(|error| panic!("{options:?}: {error}"));
        rig.is_whole();
    }
}

#[test]
fn long_names_and_links_inside_are_kept() {
    for format in ["--format=gnu", "--format=pax"] {
        let rig = Rig::new();
        let deep = "d".repeat(90);
        let directory = rig.path("in").join(&deep).join(&deep);
        fs::create_dir_all(&directory).expect("room");
        fs::write(directory.join("file"), "far").expect("room");
        std::os::unix::fs::symlink("deep/run.sh", rig.path("in/link")).expect("room");
        std::os::unix::fs::symlink(format!("{deep}/{deep}"), rig.path("in/far")).expect("room");
        std::os::unix::fs::symlink("far/../../plain", rig.path("in/back")).expect("room");
        fs::hard_link(rig.path("in/plain"), rig.path("in/same")).expect("room");
        let archive = rig.tar(&["-c", format]);
        rig.unpack(&archive)
            .unwrap_or_else(|error| panic!("{format}: {error}"));
        rig.is_whole();
        let text = |name: &str| fs::read_to_string(rig.path("out").join(name)).expect("there");
        assert_eq!((&*text("link"), &*text("far/file")), ("#!/bin/sh\n", "far"));
        assert_eq!((text("back").len(), text("same").len()), (1000, 1000));
    }
}

#[test]
fn zip_files_and_single_files_are_unpacked() {
    let rig = Rig::new();
    let path = rig.path("a.zip");
    let mut zip = zip::ZipWriter::new(File::create(&path).expect("room"));
    let options = zip::write::SimpleFileOptions::default();
    for (name, content) in [("plain", "p"), ("deep/file", "f"), ("resources/r", "r")] {
        zip.start_file(name, options).expect("an entry");
        zip.write_all(content.as_bytes()).expect("room");
    }
    zip.finish().expect("room");
    rig.unpack(&path).expect("a zip file");
    assert_eq!(
        fs::read_to_string(rig.path("out/deep/file")).expect("there"),
        "f"
    );
    assert_eq!(
        fs::read_to_string(rig.path("out/resources/r")).expect("there"),
        "r"
    );

    let rig = Rig::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"only text").expect("memory");
    fs::write(rig.path("a.gz"), gzip.finish().expect("memory")).expect("room");
    rig.unpack(&rig.path("a.gz")).expect("a gzipped file");
    assert_eq!(
        fs::read_to_string(rig.path("out")).expect("a file"),
        "only text"
    );

    let rig = Rig::new();
    rig.unpack(&rig.path("in/plain")).expect("no archive");
    assert_eq!(fs::read(rig.path("out")).expect("a file").len(), 1000);
}

#[test]
fn nothing_comes_to_lie_or_lead_outside() {
    let file = |name: &str| entry(name, b'0', "", b"evil");
    let link = |name: &str, target: &str| entry(name, b'2', target, b"");
    for (what, parts) in [
        ("a climbing name", vec![file("../evil")]),
        ("one that climbs later", vec![file("a/../../evil")]),
        ("an absolute name", vec![file("/tmp/stormwire-evil")]),
        ("a link out", vec![link("a", "..")]),
        ("an absolute link", vec![link("a", "/etc")]),
        ("a dangling link", vec![link("a", "none")]),
        (
            "a link through a link",
            vec![link("d", "."), link("e", "d/../secret")],
        ),
        ("a hard link out", vec![entry("a", b'1', "../secret", b"")]),
        ("a device", vec![entry("a", b'3', "", b"")]),
        ("an end too early", vec![file("a")[..514].to_vec()]),
        (
            "a wrong checksum",
            vec![[&b"x"[..], &file("a")[1..]].concat()],
        ),
    ] {
        let rig = Rig::new();
        fs::write(rig.path("secret"), "secret").expect("room");
        fs::write(rig.path("archive"), parts.concat()).expect("room");
        let outcome = rig.unpack(&rig.path("archive"));
        assert!(outcome.is_err(), "{what}");
        assert!(!rig.path("evil").exists(), "{what}");
        assert!(!Path::new("/tmp/stormwire-evil").exists(), "{what}");
        assert_eq!(
            fs::read_to_string(rig.path("secret")).expect("there"),
            "secret",
            "{what}"
        );
    }
}

#[test]
fn nothing_is_written_through_a_link() {
    let rig = Rig::new();
    let parts = [
        entry("a", b'2', "..", b""),
        entry("a/evil", b'0', "", b"evil"),
    ];
    fs::write(rig.path("archive"), parts.concat()).expect("room");
    rig.unpack(&rig.path("archive"))
        .expect("the link's name is taken by a directory");
    assert!(!rig.path("evil").exists());
    assert_eq!(
        fs::read_to_string(rig.path("out/a/evil")).expect("there"),
        "evil"
    );
}

#[test]
fn a_name_that_claims_to_be_huge_costs_no_memory() {
    let rig = Rig::new();
    let mut claim = entry("a", b'L', "", b"");
    claim[124..135].copy_from_slice(b"77777777777");
    claim[148..156].copy_from_slice(b"        ");
    let sum: u32 = claim[..512].iter().map(|byte| u32::from(*byte)).sum();
    claim[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    fs::write(rig.path("archive"), &claim).expect("room");
    let error = rig.unpack(&rig.path("archive")).expect_err("no such name");
    assert!(error.to_string().contains("a name is too long"), "{error}");
}

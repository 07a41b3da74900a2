//! The blob store on a local disk: what survives, what is refused.

use super::*;

fn key(text: &str) -> BlobKey {
    BlobKey::new(text).expect("a valid key")
}

fn names(directory: &Path) -> Vec<String> {
    let found = std::fs::read_dir(directory).expect("a directory");
    let name = |entry: io::Result<std::fs::DirEntry>| {
        let name = entry.expect("an entry").file_name();
        name.into_string().expect("text")
    };
    found.map(name).collect()
}

#[test]
fn a_blob_is_written_read_in_parts_replaced_and_deleted() {
    let directory = tempfile::tempdir().expect("a directory");
    let blobs = LocalBlobs::open(directory.path()).expect("a new directory");
    let key = key("words-1-1700000000-stormconf.ser");
    let info = blobs.put(&key, b"123456789").expect("room");
    assert_eq!(
        info,
        BlobInfo {
            size: 9,
            version: 0xe306_9283
        }
    );
    let chunk = blobs.read_at(&key, 3, 4).expect("there");
    assert_eq!((&chunk.data[..], chunk.info), (&b"4567"[..], info));
    assert_eq!(&blobs.read_at(&key, 7, 400).expect("there").data[..], b"89");
    assert!(
        blobs
            .read_at(&key, u64::MAX, 1)
            .expect("there")
            .data
            .is_empty()
    );
    assert_eq!(blobs.list().expect("readable"), std::slice::from_ref(&key));
    let other = blobs.put(&key, b"other").expect("room");
    assert_ne!(other.version, info.version);
    assert_eq!(blobs.info(&key).expect("there"), other);
    blobs.delete(&key).expect("there");
    assert!(matches!(blobs.info(&key), Err(BlobError::NotFound { .. })));
    assert!(matches!(
        blobs.delete(&key),
        Err(BlobError::NotFound { .. })
    ));
}

#[test]
fn equal_content_has_an_equal_version_also_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let blobs = LocalBlobs::open(directory.path()).expect("a new directory");
    let info = blobs.put(&key("a"), b"same").expect("room");
    let again = LocalBlobs::open(directory.path()).expect("the same directory");
    assert_eq!(again.info(&key("a")).expect("there"), info);
    assert_eq!(again.put(&key("a"), b"same").expect("room"), info);
}

#[test]
fn what_is_half_made_is_invisible_and_goes_away() {
    let directory = tempfile::tempdir().expect("a directory");
    let blobs = LocalBlobs::open(directory.path()).expect("a new directory");
    let mut writer = blobs.create(&key("a")).expect("room");
    writer.write(b"half").expect("room");
    assert!(blobs.list().expect("readable").is_empty());
    drop(writer);
    assert!(names(&directory.path().join(NEW)).is_empty());
    // As a crash would leave it:
    std::mem::forget(blobs.create(&key("b")).expect("room"));
    let again = LocalBlobs::open(directory.path()).expect("the same directory");
    assert!(names(&directory.path().join(NEW)).is_empty());
    assert!(again.list().expect("readable").is_empty());
}

#[test]
fn keys_are_those_that_storm_allows() {
    for good in ["a", "dep-x.jar", "\u{e9}t\u{e9} 1\t_", ".hidden", "..."] {
        assert!(BlobKey::new(good).is_ok(), "{good}");
    }
    let long = "x".repeat(limits::BLOB_KEY_BYTES_MAX + 1);
    for bad in ["", ".", "..", "a/b", "a:b", "a%b", "a\nb", "a\0", &long] {
        assert!(BlobKey::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_full_disk_leaves_nothing_half_made() {
    // Every write to this device fails for want of space.
    let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
        panic!("/dev/full is needed for this test");
    };
    let directory = tempfile::tempdir().expect("a directory");
    let blobs = LocalBlobs::open(directory.path()).expect("a new directory");
    let mut writer = blobs.create(&key("a")).expect("room");
    writer.file = full;
    let error = writer.write(b"x").expect_err("no room");
    assert!(
        error.to_string().starts_with("could not write blob `a`"),
        "{error}"
    );
    drop(writer);
    assert!(names(&directory.path().join(NEW)).is_empty());
    assert!(blobs.list().expect("readable").is_empty());
}

//! The blob store on a local disk: what survives, what is refused.

use super::*;

fn key(text: &str) -> BlobKey {
    BlobKey::new(text).expect("a valid key")
}

fn names(directory: &Path) -> Vec<String> {
    let found = fs::read_dir(directory).expect("a directory");
    let name = |entry: io::Result<fs::DirEntry>| {
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
    assert_eq!(blobs.list(), std::slice::from_ref(&key));
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
    let mut draft = blobs.draft();
    draft.write(b"little").expect("room");
    assert!(
        names(&directory.path().join(CONTENT)).is_empty(),
        "no file yet"
    );
    draft.write(&[7; 10_000]).expect("room");
    assert_eq!(names(&directory.path().join(CONTENT)).len(), 1);
    assert!(blobs.list().is_empty());
    drop(draft);
    assert!(names(&directory.path().join(CONTENT)).is_empty());
    // As a crash would leave it:
    let mut crashed = blobs.draft();
    crashed.write(&[7; 10_000]).expect("room");
    std::mem::forget(crashed);
    fs::write(directory.path().join(NEW).join("7"), "half").expect("room");
    let kept = blobs.put(&key("a"), b"whole").expect("room");
    let again = LocalBlobs::open(directory.path()).expect("the same directory");
    assert!(names(&directory.path().join(NEW)).is_empty());
    assert_eq!(names(&directory.path().join(CONTENT)).len(), 1);
    assert_eq!(again.info(&key("a")).expect("there"), kept);
}

#[test]
fn a_draft_of_many_small_parts_is_the_same_as_of_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let blobs = LocalBlobs::open(directory.path()).expect("a new directory");
    let content: Vec<u8> = (0..20_000u32).map(|n| (n % 251) as u8).collect();
    let whole = blobs.put(&key("whole"), &content).expect("room");
    let mut draft = blobs.draft();
    for byte in &content {
        draft.write(&[*byte]).expect("room");
    }
    let parts = blobs
        .create(&key("parts"), draft, open_meta())
        .expect("room");
    assert_eq!(parts, whole);
    assert_eq!(blobs.read_all(&key("parts")).expect("there"), content);
}

#[test]
fn a_key_is_created_once_and_only_what_is_there_is_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    let blobs = LocalBlobs::open(directory.path()).expect("a new directory");
    let meta = SettableBlobMeta {
        acl: acl::parse("u:alice:rwa").expect("a list"),
        replication_factor: Some(3),
    };
    let missing = blobs.replace(&key("a"), blobs.draft());
    assert!(matches!(missing, Err(BlobError::NotFound { .. })));
    blobs
        .create(&key("a"), blobs.draft(), meta.clone())
        .expect("new");
    let exists = blobs.create(&key("a"), blobs.draft(), meta.clone());
    assert!(matches!(exists, Err(BlobError::Exists { .. })));
    // Content may change under a list, and a list over a content; a restart keeps both.
    blobs.put(&key("a"), b"new").expect("room");
    assert_eq!(blobs.blob(&key("a")).expect("there").meta, meta);
    blobs.set_meta(&key("a"), open_meta()).expect("there");
    let again = LocalBlobs::open(directory.path()).expect("the same directory");
    assert_eq!(again.blob(&key("a")).expect("there").meta, open_meta());
    assert_eq!(again.read_all(&key("a")).expect("there"), "new");
    assert_eq!(names(&directory.path().join(CONTENT)).len(), 1);
}

#[test]
fn content_stays_for_those_who_read_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let blobs = LocalBlobs::open(directory.path()).expect("a new directory");
    blobs.put(&key("a"), b"old").expect("room");
    let old = blobs.blob(&key("a")).expect("there");
    blobs.put(&key("a"), b"new").expect("room");
    assert_eq!(old.read(0, 10).expect("still there"), "old");
    let new = blobs.blob(&key("a")).expect("there");
    blobs.delete(&key("a")).expect("there");
    assert_eq!(new.read(1, 10).expect("still there"), "ew");
    assert!(new.read(3, 10).expect("past the end").is_empty());
    assert_eq!(names(&directory.path().join(CONTENT)).len(), 2);
    drop((old, new));
    assert!(names(&directory.path().join(CONTENT)).is_empty());
}

#[test]
fn a_damaged_record_costs_no_other_blob() {
    let directory = tempfile::tempdir().expect("a directory");
    let blobs = LocalBlobs::open(directory.path()).expect("a new directory");
    for name in ["a", "b", "c"] {
        blobs.put(&key(name), name.as_bytes()).expect("room");
    }
    let path = |name: &str| directory.path().join(format!("{RECORD}{name}"));
    fs::write(path("a"), "garbage").expect("room");
    // A record that names a file elsewhere reads nothing there.
    let record = BlobRecord {
        content_file: "../meta_c".to_owned(),
        size: 1,
        ..BlobRecord::default()
    };
    fs::write(path("b"), wire::to_bytes(&record).expect("small")).expect("room");
    let again = LocalBlobs::open(directory.path()).expect("the same directory");
    assert_eq!(again.list(), [key("c")]);
    assert_eq!(again.read_all(&key("c")).expect("there"), "c");
    assert_eq!(
        names(&directory.path().join(CONTENT)).len(),
        3,
        "nothing is thrown away"
    );
}

#[test]
fn blobs_of_our_first_stores_are_taken_over() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(
        directory.path().join("data_a-1-1-stormcode.ser"),
        "123456789",
    )
    .expect("room");
    for _ in 0..2 {
        let blobs = LocalBlobs::open(directory.path()).expect("an old directory");
        let blob = blobs.blob(&key("a-1-1-stormcode.ser")).expect("taken over");
        assert_eq!((blob.info.version, &blob.meta), (0xe306_9283, &open_meta()));
        assert_eq!(blob.read(0, 9).expect("there"), "123456789");
    }
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

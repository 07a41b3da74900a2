//! Uploads on real files: chunks, locations that are allowed, and what is cleaned up.

use std::io::Read as _;

use super::*;

const KEY: &str = "stormwire.upload.path.allow";

fn uploads(directory: &Path, allowed: &[String]) -> Uploads {
    let ages = Ages {
        session: Duration::from_secs(600),
        jar: Duration::from_secs(3600),
    };
    Uploads::open(directory.join("inbox"), allowed, ages).expect("room")
}

fn content(uploads: &Uploads, location: &str) -> Vec<u8> {
    let mut content = Vec::new();
    let mut file = uploads.open_jar(location, KEY).expect("in the inbox");
    file.read_to_end(&mut content).expect("readable");
    content
}

#[test]
fn chunks_become_a_file_that_serves_more_than_one_submit() {
    let directory = tempfile::tempdir().expect("a directory");
    let uploads = uploads(directory.path(), &[]);
    let location = uploads.begin(None, 0).expect("room");
    assert!(
        location.contains("/inbox/stormjar-") && location.ends_with(".jar"),
        "{location}"
    );
    uploads.chunk(&location, b"ab", 1).expect("open");
    uploads.chunk(&location, b"", 2).expect("open");
    uploads.chunk(&location, b"c", 3).expect("open");
    uploads.finish(&location).expect("open");
    assert_eq!(content(&uploads, &location), b"abc");
    assert_eq!(content(&uploads, &location), b"abc");
    assert!(matches!(
        uploads.chunk(&location, b"d", 4),
        Err(UploadError::Unknown)
    ));
    assert!(matches!(
        uploads.finish(&location),
        Err(UploadError::Unknown)
    ));
}

#[test]
fn silent_uploads_expire_with_their_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let uploads = uploads(directory.path(), &[]);
    let silent = uploads.begin(None, 0).expect("room");
    let busy = uploads.begin(None, 0).expect("room");
    uploads.chunk(&busy, b"x", 500_000).expect("open");
    uploads.expire_sessions(700_000);
    assert!(matches!(
        uploads.chunk(&silent, b"x", 700_000),
        Err(UploadError::Unknown)
    ));
    assert!(!Path::new(&silent).exists());
    uploads.chunk(&busy, b"x", 700_000).expect("not silent");
}

#[test]
fn old_jars_go_and_open_uploads_stay() {
    let directory = tempfile::tempdir().expect("a directory");
    let uploads = uploads(directory.path(), &[]);
    let done = uploads.begin(None, 0).expect("room");
    uploads.finish(&done).expect("open");
    let open = uploads.begin(None, 0).expect("room");
    let now = SystemTime::now();
    uploads.clean_inbox(now + Duration::from_secs(3000));
    assert!(Path::new(&done).exists());
    uploads.clean_inbox(now + Duration::from_secs(4000));
    assert!(!Path::new(&done).exists());
    assert!(Path::new(&open).exists());
}

#[test]
fn the_number_of_uploads_is_bounded() {
    let directory = tempfile::tempdir().expect("a directory");
    let uploads = uploads(directory.path(), &[]);
    for _ in 0..limits::UPLOADS_MAX {
        uploads.begin(None, 0).expect("room");
    }
    assert!(matches!(uploads.begin(None, 1), Err(UploadError::TooMany)));
    uploads
        .begin(None, 700_000)
        .expect("the others have expired");
}

#[test]
fn no_path_leads_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    std::fs::create_dir(at("allowed")).expect("room");
    for name in ["secret", "allowed/jar"] {
        std::fs::write(at(name), b"x").expect("room");
    }
    let uploads = uploads(directory.path(), &[at("allowed"), at("absent")]);
    std::os::unix::fs::symlink(at("secret"), at("inbox/link")).expect("room");
    std::fs::create_dir(at("inbox/directory")).expect("room");
    assert_eq!(content(&uploads, &at("allowed/jar")), b"x");
    for outside in [
        "secret",
        "inbox/../secret",
        "inbox/link",
        "allowed/../secret",
    ] {
        let error = uploads.open_jar(&at(outside), KEY).expect_err(outside);
        assert!(matches!(error, LocationError::Outside { .. }), "{error}");
    }
    for unreadable in ["inbox/none", "inbox/directory", "inbox/\0"] {
        let error = uploads
            .open_jar(&at(unreadable), KEY)
            .expect_err(unreadable);
        assert!(matches!(error, LocationError::Unreadable { .. }), "{error}");
    }
    uploads.open_jar("", KEY).expect_err("no path");
}

#[test]
fn an_upload_is_there_for_its_owner_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let uploads = uploads(directory.path(), &[]);
    let location = uploads.begin(Some("ann".to_owned()), 0).expect("room");
    uploads
        .check_owner(&location, Some("ann"))
        .expect("her own");
    for other in [Some("bob"), None] {
        let refused = uploads.check_owner(&location, other);
        assert!(matches!(refused, Err(UploadError::Unknown)));
    }
    uploads
        .check_owner("none", None)
        .expect_err("no such upload");
}

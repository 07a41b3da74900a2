//! Sessions on a real store: who owns them, what expires, what is left.

use super::*;
use crate::blob::acl;

struct Rig {
    directory: tempfile::TempDir,
    blobs: LocalBlobs,
    sessions: BlobSessions,
}

impl Rig {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let blobs = LocalBlobs::open(directory.path()).expect("room");
        let sessions = BlobSessions::new(Duration::from_secs(600));
        Rig {
            directory,
            blobs,
            sessions,
        }
    }

    fn create(&self, name: &str, owner: &Owner, now_ms: u64) -> Result<String, SessionError> {
        let meta = SettableBlobMeta {
            acl: vec![acl::world()],
            replication_factor: None,
        };
        let goal = Goal::Create(key(name), meta);
        let draft = self.blobs.draft();
        self.sessions
            .begin_upload(goal, draft, owner.clone(), now_ms)
    }

    fn write(&self, session: &str, content: &[u8], owner: &Owner) -> Result<(), SessionError> {
        let chunk = Bytes::copy_from_slice(content);
        match self.sessions.upload(session, chunk, owner, 0)? {
            Some(chunk) => self.sessions.upload_to_disk(session, &chunk, owner, 0),
            None => Ok(()),
        }
    }

    fn n_files(&self) -> usize {
        let contents = std::fs::read_dir(self.directory.path().join("content"));
        contents.expect("a directory").count()
    }

    fn listed(&self) -> Vec<String> {
        let (keys, _) = self
            .sessions
            .list(&self.blobs, None, &None, 0)
            .expect("a page");
        keys.iter().map(ToString::to_string).collect()
    }
}

fn key(name: &str) -> BlobKey {
    BlobKey::new(name).expect("a key")
}

#[test]
fn a_key_that_is_begun_is_taken_until_it_is_finished_or_given_up() {
    let rig = Rig::new();
    let first = rig.create("a", &None, 0).expect("room");
    assert!(rig.sessions.is_unborn(&key("a")));
    let second = rig.create("a", &None, 0);
    assert!(matches!(
        second,
        Err(SessionError::Blob(BlobError::Exists { .. }))
    ));
    rig.sessions
        .cancel_upload(&first, &None, 1000)
        .expect("open");
    // Storm never lets such a key go; here it can be begun again, and is forgotten in time.
    assert!(rig.sessions.is_unborn(&key("a")));
    assert_eq!(rig.listed(), ["a"]);
    let third = rig.create("a", &None, 2000).expect("free");
    rig.write(&third, b"content", &None).expect("open");
    rig.sessions
        .finish_upload(&rig.blobs, &third, &None)
        .expect("room");
    assert!(!rig.sessions.is_unborn(&key("a")));
    assert_eq!(rig.blobs.read_all(&key("a")).expect("there"), "content");
    let after = rig.write(&third, b"x", &None);
    assert!(matches!(after, Err(SessionError::Unknown(_))));
    let other = rig.create("b", &None, 0).expect("room");
    rig.sessions
        .cancel_upload(&other, &None, 1000)
        .expect("open");
    rig.sessions.expire(600_000);
    assert_eq!(rig.listed(), ["a", "b"]);
    rig.sessions.expire(601_001);
    assert_eq!(rig.listed(), ["a"]);
}

#[test]
fn silent_sessions_leave_no_byte() {
    let rig = Rig::new();
    let n_sessions = 2000;
    rig.blobs.put(&key("read"), b"content").expect("room");
    for n in 0..n_sessions {
        let session = rig.create(&format!("k{n}"), &None, 0).expect("room");
        rig.write(&session, &vec![7; n * 10], &None).expect("open");
        let blob = rig.blobs.blob(&key("read")).expect("there");
        rig.sessions.begin_download(blob, None, 0).expect("room");
    }
    rig.sessions.list(&rig.blobs, None, &None, 0).expect("room");
    assert!(rig.n_files() > 1000);
    let busy = rig.create("busy", &None, 599_000).expect("room");
    rig.sessions.expire(600_001);
    assert_eq!(rig.sessions.uploads.len(), 1);
    assert!(rig.sessions.downloads.is_empty() && rig.sessions.listings.is_empty());
    assert_eq!(rig.n_files(), 1);
    assert_eq!(rig.listed(), ["busy", "read"]);
    rig.sessions
        .finish_upload(&rig.blobs, &busy, &None)
        .expect("not silent");
    let taken = rig.sessions.seats[Kind::Upload as usize].taken();
    assert!(taken.is_empty(), "{taken:?}");
}

#[test]
fn an_id_does_not_make_an_owner() {
    let rig = Rig::new();
    let (alice, bob) = (Some("alice".to_owned()), Some("bob".to_owned()));
    let upload = rig.create("a", &alice, 0).expect("room");
    for thief in [&bob, &None] {
        let stolen = rig.write(&upload, b"x", thief);
        assert!(matches!(stolen, Err(SessionError::Stranger(_))));
        let stolen = rig.sessions.finish_upload(&rig.blobs, &upload, thief);
        assert!(matches!(stolen, Err(SessionError::Stranger(_))));
        let stolen = rig.sessions.cancel_upload(&upload, thief, 0);
        assert!(matches!(stolen, Err(SessionError::Stranger(_))));
    }
    rig.write(&upload, b"hers", &alice).expect("hers");
    rig.sessions
        .finish_upload(&rig.blobs, &upload, &alice)
        .expect("hers");
    let blob = rig.blobs.blob(&key("a")).expect("there");
    let download = rig
        .sessions
        .begin_download(blob, alice.clone(), 0)
        .expect("room");
    let stolen = rig.sessions.download(&download, 10, &bob, 0);
    assert!(matches!(stolen, Err(SessionError::Stranger(_))));
    assert_eq!(
        rig.sessions
            .download(&download, 10, &alice, 0)
            .expect("hers"),
        "hers"
    );
    let (_, list) = rig
        .sessions
        .list(&rig.blobs, None, &alice, 0)
        .expect("room");
    let stolen = rig.sessions.list(&rig.blobs, Some(&list), &bob, 0);
    assert!(matches!(stolen, Err(SessionError::Stranger(_))));
}

#[test]
fn one_principal_cannot_take_all_sessions() {
    let rig = Rig::new();
    rig.blobs.put(&key("a"), b"").expect("room");
    let blob = rig.blobs.blob(&key("a")).expect("there");
    let greedy = Some("greedy".to_owned());
    let begin = |owner: &Owner, now_ms| {
        let begun = rig
            .sessions
            .begin_download(Arc::clone(&blob), owner.clone(), now_ms);
        begun.map(drop)
    };
    for _ in 0..limits::BLOB_SESSIONS_OF_ONE_MAX {
        begin(&greedy, 0).expect("room");
    }
    assert!(matches!(begin(&greedy, 1), Err(SessionError::TooMany(_))));
    let mut n_others = 0;
    while begin(&None, 1).is_ok() {
        n_others += 1;
    }
    assert_eq!(
        n_others,
        limits::BLOB_SESSIONS_MAX - limits::BLOB_SESSIONS_OF_ONE_MAX
    );
    begin(&greedy, 700_000).expect("the others have expired");
}

#[test]
fn a_listing_comes_in_pages_of_a_hundred() {
    let rig = Rig::new();
    let (none, session) = rig
        .sessions
        .list(&rig.blobs, Some(""), &None, 0)
        .expect("a page");
    assert!(none.is_empty());
    let unknown = rig.sessions.list(&rig.blobs, Some(&session), &None, 0);
    assert!(matches!(unknown, Err(SessionError::UnknownList(_))));
    for n in 0..250 {
        rig.blobs.put(&key(&format!("k{n:03}")), b"").expect("room");
    }
    let growing = rig.create("k100.5", &None, 0).expect("room");
    let (mut found, session) = rig
        .sessions
        .list(&rig.blobs, None, &None, 0)
        .expect("a page");
    assert_eq!(found.len(), 100);
    for n_more in [100, 51, 0] {
        let (page, same) = rig
            .sessions
            .list(&rig.blobs, Some(&session), &None, 0)
            .expect("a page");
        assert_eq!((page.len(), &same), (n_more, &session));
        found.extend(page);
    }
    assert!(found.is_sorted() && found.len() == 251 && found[101] == key("k100.5"));
    let over = rig.sessions.list(&rig.blobs, Some(&session), &None, 0);
    assert!(matches!(over, Err(SessionError::UnknownList(_))));
    rig.sessions
        .cancel_upload(&growing, &None, 0)
        .expect("open");
}

#[test]
fn what_is_deleted_while_it_grows_stays_deleted() {
    let rig = Rig::new();
    let session = rig.create("a", &None, 0).expect("room");
    rig.write(&session, &[7; 10_000], &None).expect("open");
    let stranger = Some("bob".to_owned());
    let stolen = rig.sessions.take_back(&key("a"), &stranger);
    assert!(matches!(stolen, Err(SessionError::Stranger(_))));
    assert!(rig.sessions.take_back(&key("a"), &None).expect("ours"));
    assert!(!rig.sessions.take_back(&key("a"), &None).expect("nobody's"));
    let finished = rig.sessions.finish_upload(&rig.blobs, &session, &None);
    assert!(matches!(finished, Err(SessionError::Unknown(_))));
    assert_eq!((rig.n_files(), rig.listed().len()), (0, 0));
    // An update of a blob that goes meanwhile does not bring it back.
    rig.blobs.put(&key("b"), b"").expect("room");
    let goal = Goal::Update(key("b"));
    let update = rig
        .sessions
        .begin_upload(goal, rig.blobs.draft(), None, 0)
        .expect("room");
    rig.blobs.delete(&key("b")).expect("there");
    let finished = rig.sessions.finish_upload(&rig.blobs, &update, &None);
    assert!(matches!(
        finished,
        Err(SessionError::Blob(BlobError::NotFound { .. }))
    ));
    assert_eq!(rig.n_files(), 0);
}

//! The embedded store: what survives a crash, watches, limits.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use bytes::Bytes;
use proptest::prelude::*;

use super::super::embedded_file::Fault;
use super::super::{Change, Expected, MemoryStore};
use super::*;

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.build().expect("a runtime")
}

fn put(path: &str, text: &str) -> Write {
    Write::put(path, Bytes::copy_from_slice(text.as_bytes()))
}

#[tokio::test]
async fn a_commit_is_all_or_nothing_and_survives_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = EmbeddedStore::open(directory.path()).expect("a new store");
    let epoch = store.lead().await.expect("a term");
    let version = store
        .commit(epoch, vec![put("/storms/a", "1"), put("/storms/b/c", "2")])
        .await
        .expect("no condition");
    let stale = vec![
        Write::delete("/storms/a"),
        put("/storms/b/c", "3").when(Expected::Absent),
    ];
    let conflict = store.commit(epoch, stale).await;
    let path = "/storms/b/c".to_owned();
    let found = Some(version);
    assert_eq!(conflict, Err(StoreError::Conflict { path, found }));
    let ephemeral = Write {
        path: "/supervisors/n".to_owned(),
        expected: Expected::Absent,
        change: Change::PutEphemeral(Bytes::from_static(b"here")),
    };
    store.commit(epoch, vec![ephemeral]).await.expect("absent");
    let names = |path| store.children(path);
    assert_eq!(
        names("/").await,
        Ok(vec!["storms".into(), "supervisors".into()])
    );
    assert_eq!(names("/storms").await, Ok(vec!["a".into(), "b".into()]));
    drop(store);

    let store = EmbeddedStore::open(directory.path()).expect("the same store");
    let entry = store.get("/storms/a").await.expect("readable");
    let bytes = Bytes::from_static(b"1");
    assert_eq!(entry, Some(Entry { bytes, version }));
    assert_eq!(store.get("/supervisors/n").await, Ok(None));
    let next = store.lead().await.expect("a term");
    assert_eq!(next.0, epoch.0 + 1);
    let deposed = store.commit(epoch, vec![put("/x", "late")]).await;
    let (held, current) = (epoch, next);
    assert_eq!(deposed, Err(StoreError::Deposed { held, current }));
}

#[tokio::test]
async fn watchers_hear_of_what_is_below_their_path() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = EmbeddedStore::open(directory.path()).expect("a new store");
    let epoch = store.lead().await.expect("a term");
    let mut storms = store.watch("/storms");
    let mut other = store.watch("/storm");
    store
        .commit(epoch, vec![put("/storms/a", "1")])
        .await
        .expect("no condition");
    assert!(storms.has_changed().expect("open"));
    assert!(!other.has_changed().expect("open"));
    assert_eq!(
        (*storms.borrow_and_update(), *other.borrow_and_update()),
        (1, 0)
    );
}

#[tokio::test]
async fn bad_paths_and_giant_commits_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = EmbeddedStore::open(directory.path()).expect("a new store");
    let epoch = store.lead().await.expect("a term");
    for path in ["", "/", "a", "/a//b", "/a/../b", "/a/", "/\0"] {
        let refused = store.commit(epoch, vec![put(path, "")]).await;
        assert!(
            matches!(refused, Err(StoreError::Path { .. })),
            "{path}: {refused:?}"
        );
    }
    let many = vec![put("/a", ""); limits::STORE_WRITES_MAX + 1];
    let refused = store.commit(epoch, many).await;
    assert!(
        matches!(refused, Err(StoreError::TooLarge { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_second_nimbus_on_the_directory_is_refused_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let _first = EmbeddedStore::open(directory.path()).expect("a new store");
    let second = EmbeddedStore::open(directory.path())
        .err()
        .expect("a refusal");
    let expected = format!(
        "{} is in use by another Nimbus (process {})",
        directory.path().display(),
        std::process::id()
    );
    assert_eq!(second.to_string(), expected);
}

#[test]
fn a_damaged_file_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(EmbeddedStore::open(directory.path()).expect("a new store"));
    let file = directory.path().join("state.redb");
    let whole = std::fs::read(&file).expect("the file");
    let mut torn = whole.clone();
    torn.truncate(whole.len() / 2);
    let mut noise = whole.clone();
    noise[..8192].fill(0x5a);
    for damaged in [b"not a store".to_vec(), torn, noise] {
        std::fs::write(&file, damaged).expect("writable");
        let error = EmbeddedStore::open(directory.path())
            .err()
            .expect("a refusal");
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("state.redb"), "{error}");
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_commit_and_room_heals_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = Disk::default();
    let store = EmbeddedStore::open_on(directory.path(), disk.clone()).expect("a new store");
    let epoch = store.lead().await.expect("a term");
    store
        .commit(epoch, vec![put("/a", "before")])
        .await
        .expect("room");
    disk.set(Fault::Full);
    for _ in 0..2 {
        let full = store.commit(epoch, vec![put("/a", "during")]).await;
        assert!(matches!(full, Err(StoreError::Io { .. })), "{full:?}");
    }
    disk.set(Fault::None);
    store
        .commit(epoch, vec![put("/b", "after")])
        .await
        .expect("room again");
    let a = store.get("/a").await.expect("readable").expect("there");
    assert_eq!(&a.bytes[..], b"before");
}

#[tokio::test]
async fn a_failed_fsync_stops_the_store() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = Disk::default();
    let store = EmbeddedStore::open_on(directory.path(), disk.clone()).expect("a new store");
    let epoch = store.lead().await.expect("a term");
    store
        .commit(epoch, vec![put("/a", "before")])
        .await
        .expect("sound");
    disk.set(Fault::Sync);
    let failed = store.commit(epoch, vec![put("/a", "during")]).await;
    assert!(
        matches!(failed, Err(StoreError::Stopped { .. })),
        "{failed:?}"
    );
    disk.set(Fault::None);
    let later = store.commit(epoch, vec![put("/a", "later")]).await;
    assert!(
        matches!(later, Err(StoreError::Stopped { .. })),
        "{later:?}"
    );
    drop(store);
    let store = EmbeddedStore::open(directory.path()).expect("a sound disk");
    assert!(store.get("/a").await.expect("readable").is_some());
}

/// The test runs itself as the child that commits until it is killed.
#[test]
fn kill_nine_loses_no_acknowledged_commit() {
    const CHILD: &str = "STORMWIRE_TEST_STORE";
    const NAME: &str = "cluster::embedded::tests::kill_nine_loses_no_acknowledged_commit";
    if let Some(directory) = std::env::var_os(CHILD) {
        return runtime().block_on(commit_and_print(Path::new(&directory)));
    }
    let directory = tempfile::tempdir().expect("a directory");
    let mut acked = 0;
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", NAME, "--nocapture"])
            .env(CHILD, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let acks = output.lines().map_while(Result::ok);
        let mut acks = acks.filter_map(|line| line.strip_prefix("acked ")?.parse::<u64>().ok());
        for number in acks.by_ref() {
            acked = number;
            if number >= round * 20 {
                break;
            }
        }
        child.kill().expect("running");
        acked = acks.last().unwrap_or(acked);
        child.wait().expect("killed");
    }
    assert!(acked >= 60, "{acked}");
    let store = EmbeddedStore::open(directory.path()).expect("a whole file");
    runtime().block_on(async {
        for number in 1..=acked {
            let entry = store.get(&format!("/n/{number}")).await.expect("readable");
            assert!(entry.is_some(), "{number} of {acked} is lost");
        }
    });
}

async fn commit_and_print(directory: &Path) {
    let store = EmbeddedStore::open(directory).expect("a whole file");
    let epoch = store.lead().await.expect("a term");
    let there = store.children("/n").await.expect("readable");
    let last = there
        .iter()
        .filter_map(|name| name.parse::<u64>().ok())
        .max();
    for number in last.unwrap_or(0) + 1.. {
        let write = put(&format!("/n/{number}"), "x").when(Expected::Absent);
        store.commit(epoch, vec![write]).await.expect("absent");
        println!("acked {number}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Write>),
    Stale,
    EndSession,
}

fn write() -> impl Strategy<Value = Write> {
    let path = prop::sample::select(vec!["/a", "/a/b", "/a/c/d", "/a-b", "/b"]);
    let expected = prop_oneof![
        4 => Just(Expected::Any),
        1 => Just(Expected::Absent),
        2 => (0..12u64).prop_map(|version| Expected::Version(Version(version))),
    ];
    let bytes = prop::collection::vec(any::<u8>(), 0..4).prop_map(Bytes::from);
    let change = prop_oneof![
        3 => bytes.clone().prop_map(Change::Put),
        1 => bytes.prop_map(Change::PutEphemeral),
        2 => Just(Change::Delete),
    ];
    (path, expected, change).prop_map(|(path, expected, change)| Write {
        path: path.to_owned(),
        expected,
        change,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(write(), 1..4).prop_map(Step::Commit),
        1 => Just(Step::Stale),
        1 => Just(Step::EndSession),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn behaves_as_the_store_in_memory(steps in prop::collection::vec(step(), 1..16)) {
        runtime().block_on(async {
            let directory = tempfile::tempdir().expect("a directory");
            let mut embedded = EmbeddedStore::open(directory.path()).expect("a new store");
            let memory = MemoryStore::new();
            let mut epoch = embedded.lead().await.expect("a term");
            assert_eq!(memory.lead().await, Ok(epoch));
            for step in steps {
                match step {
                    Step::Commit(writes) => {
                        let expected = memory.commit(epoch, writes.clone()).await;
                        assert_eq!(embedded.commit(epoch, writes).await, expected);
                    }
                    Step::Stale => {
                        let late = vec![put("/a", "late")];
                        let expected = memory.commit(Epoch(epoch.0 - 1), late.clone()).await;
                        assert_eq!(embedded.commit(Epoch(epoch.0 - 1), late).await, expected);
                    }
                    Step::EndSession => {
                        drop(embedded);
                        memory.end_session();
                        embedded = EmbeddedStore::open(directory.path()).expect("a whole file");
                        epoch = embedded.lead().await.expect("a term");
                        assert_eq!(memory.lead().await, Ok(epoch));
                    }
                }
                for path in ["/a", "/a/b", "/a/c/d", "/a-b", "/b"] {
                    assert_eq!(embedded.get(path).await, memory.get(path).await);
                }
                for path in ["/", "/a", "/a/c"] {
                    assert_eq!(embedded.children(path).await, memory.children(path).await);
                }
            }
        });
    }
}

//! What bad submissions get: a reason that says what and where, and a server that goes on.

use super::*;
use crate::wire::storm::nimbus::SubmitTopologyError;
use crate::wire::storm::{JavaObject, StormTopology, WorkerTokenServiceType};
use As::{Denied, Internal, InvalidTopology};

/// What a refusal came as.
#[derive(Debug, PartialEq)]
enum As {
    InvalidTopology,
    Denied,
    Internal,
}

struct Submission {
    name: &'static str,
    location: Option<String>,
    conf: &'static str,
    topology: StormTopology,
}

/// Submits; gives the kind of refusal and its text, or none.
async fn refusal(client: &mut Client, submission: &Submission) -> Option<(As, String)> {
    let Submission {
        name,
        location,
        conf,
        topology,
    } = submission;
    let outcome = client
        .submit_topology(Some(name), location.as_deref(), Some(conf), Some(topology))
        .await;
    match outcome.err()? {
        SubmitTopologyError::InvalidTopology(e) => Some((As::InvalidTopology, e.msg)),
        SubmitTopologyError::Authorization(e) => Some((As::Denied, e.msg)),
        SubmitTopologyError::Failure(e) => Some((As::Internal, e.to_string())),
        SubmitTopologyError::AlreadyAlive(e) => panic!("{}", e.msg),
    }
}

fn plain() -> Submission {
    Submission {
        name: "words",
        location: None,
        conf: "{}",
        topology: words(1),
    }
}

fn with_topology(change: impl FnOnce(&mut StormTopology)) -> Submission {
    let mut submission = plain();
    change(&mut submission.topology);
    submission
}

fn with_bolt(change: impl FnOnce(&mut Bolt)) -> Submission {
    with_topology(|topology| change(topology.bolts.get_mut("bolt").expect("there")))
}

#[tokio::test]
async fn each_bad_submission_has_its_reason_and_leaves_nothing() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    let not_zip = upload(&mut client, b"no zip").await;
    let climbing = upload(&mut client, &climbing_jar()).await;
    let rows = bad_confs().into_iter().chain(bad_components());
    for (submission, kind, text) in rows.chain(bad_jars(not_zip, climbing)) {
        let (found, message) = refusal(&mut client, &submission)
            .await
            .unwrap_or_else(|| panic!("accepted: {} {} {text}", submission.name, submission.conf));
        assert!(
            found == kind && message.contains(text),
            "{found:?} {message}; expected {text}"
        );
        assert!(
            client
                .get_topology_summaries()
                .await
                .expect("answers")
                .is_empty()
        );
    }
    assert!(
        client
            .is_topology_name_allowed(Some("words"))
            .await
            .expect("answers")
    );
    assert_eq!(n_blobs(fixture.path()), (0, 0));
    assert_eq!(refusal(&mut client, &plain()).await, None);
}

/// A submission, how it is refused, and what the text says among other things.
type Row = (Submission, As, &'static str);

fn bad_confs() -> Vec<Row> {
    vec![
        (
            Submission {
                name: "a.b",
                ..plain()
            },
            InvalidTopology,
            "Topology name 'a.b' is not valid",
        ),
        (
            Submission {
                name: "a%b",
                ..plain()
            },
            Internal,
            "%",
        ),
        (
            Submission {
                conf: "{nope",
                ..plain()
            },
            Internal,
            "JSON",
        ),
        (
            Submission {
                conf: "[1]",
                ..plain()
            },
            Internal,
            "no JSON object",
        ),
        (
            Submission {
                conf: r#"{"topology.workers": "two"}"#,
                ..plain()
            },
            InvalidTopology,
            "Field TOPOLOGY_WORKERS must be",
        ),
        (
            Submission {
                conf: r#"{"topology.blobstore.map": {"none": {}}}"#,
                ..plain()
            },
            InvalidTopology,
            "Key not found: none",
        ),
    ]
}

fn bad_components() -> Vec<Row> {
    let java = JavaObject {
        full_class_name: "com.example.Unknown".to_owned(),
        args_list: Vec::new(),
    };
    let object = |object| with_bolt(|bolt| bolt.bolt_object = object);
    let json = |text: &str| {
        let text = text.to_owned();
        with_bolt(|bolt| bolt.common.json_conf = Some(text))
    };
    let reserved = with_topology(|topology| {
        let spout = topology.spouts.remove("spout").expect("there");
        topology.spouts.insert("__spout".to_owned(), spout);
        topology.bolts.clear();
    });
    let serialized = ComponentObject::SerializedJava(b"\xac\xed".as_ref().into());
    vec![
        (
            object(ComponentObject::JavaObject(java)),
            InvalidTopology,
            "bolt",
        ),
        (object(serialized), InvalidTopology, "bolt"),
        (
            object(ComponentObject::Unset),
            Internal,
            "Unrecognized type 0",
        ),
        (
            with_bolt(|b| b.common = common(1, Some("ghost"))),
            InvalidTopology,
            "[ghost]",
        ),
        (
            with_bolt(|b| b.common.parallelism_hint = Some(1_000_000)),
            InvalidTopology,
            "20000",
        ),
        (json("{broken"), Internal, "bolt"),
        (json(""), Internal, "bolt"),
        (
            json(r#"{"topology.tasks": 2.0}"#),
            Internal,
            "Don't know how to convert 2.0 to int",
        ),
        (
            reserved,
            InvalidTopology,
            "__spout is not a valid component id.",
        ),
    ]
}

fn bad_jars(not_zip: String, climbing: String) -> Vec<Row> {
    let at = |location: &str| Submission {
        location: Some(location.to_owned()),
        ..plain()
    };
    vec![
        (
            at("/etc/passwd"),
            Denied,
            "`/etc/passwd` is outside of the inbox",
        ),
        (at(""), Internal, "cannot be read"),
        (at("/nonexistent.jar"), Internal, "/nonexistent.jar"),
        (at(&not_zip), InvalidTopology, "not a zip file"),
        (at(&climbing), InvalidTopology, "`resources/../../evil`"),
    ]
}

fn climbing_jar() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("resources/../../evil", options)
        .expect("a new entry");
    zip.finish().expect("room").into_inner()
}

#[tokio::test]
async fn one_of_many_submits_of_a_name_is_accepted() {
    let fixture = Fixture::new().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut client = fixture.client().await;
        tasks.spawn(async move {
            let topology = words(1);
            client
                .submit_topology(Some("words"), None, Some("{}"), Some(&topology))
                .await
        });
    }
    let outcomes = tasks.join_all().await;
    let accepted = outcomes.iter().filter(|outcome| outcome.is_ok());
    assert_eq!(accepted.count(), 1);
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    for error in refused {
        assert!(
            matches!(error, SubmitTopologyError::AlreadyAlive(_)),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn empty_confs_are_accepted_as_some_clients_send_them() {
    let fixture = Fixture::new().await;
    let mut client = fixture.client().await;
    for (name, conf) in [("absent", None), ("empty", Some(""))] {
        let submitted = client
            .submit_topology(Some(name), None, conf, Some(&words(1)))
            .await;
        submitted.expect("accepted");
    }
}

#[tokio::test]
async fn a_store_that_fails_refuses_and_nothing_half_made_remains() {
    let directory = tempfile::tempdir().expect("a directory");
    let conf = Conf::defaults()
        .with(
            keys::STORM_LOCAL_DIR,
            directory.path().to_string_lossy().as_ref(),
        )
        .with(keys::NIMBUS_THRIFT_PORT, 0)
        .with(keys::STORMWIRE_COORDINATION_PORT, 0);
    let store = crate::cluster::MemoryStore::new();
    let on = std::sync::Arc::new(store.clone());
    let handle = Nimbus::start_on(on, conf, |_| false)
        .await
        .expect("a free directory");
    let mut client = nimbus::Client::new(connect(handle.address().port()).await);
    submit(&mut client, "before", &words(1)).await;
    store.fail_commits(Some("no space"));
    let refused = client
        .submit_topology(Some("words"), None, Some("{}"), Some(&words(1)))
        .await;
    let text = refused.expect_err("no space").to_string();
    assert!(text.contains("no space"), "{text}");
    client
        .kill_topology(Some("before"))
        .await
        .expect_err("no space");
    client
        .deactivate(Some("before"))
        .await
        .expect_err("no space");
    let all = client.get_topology_summaries().await.expect("answers");
    assert_eq!((all.len(), all[0].status.as_str()), (1, "ACTIVE"));
    assert_eq!(n_blobs(directory.path()), (3, 3));
    store.fail_commits(None);
    submit(&mut client, "words", &words(1)).await;
    client.deactivate(Some("before")).await.expect("room again");
    // Where a record may be on disk, the blobs stay with it.
    store.stop("lost writes");
    let doubtful = client
        .submit_topology(Some("maybe"), None, Some("{}"), Some(&words(1)))
        .await;
    let text = doubtful.expect_err("lost writes").to_string();
    assert!(text.contains("lost writes"), "{text}");
    let n_all = 3 + 3 + 2;
    assert_eq!(
        n_blobs(directory.path()),
        (n_all, n_all),
        "code and conf, but no jar was given"
    );
    handle.shutdown().await;
}

#[tokio::test]
async fn keys_of_workers_that_the_store_did_not_take_are_not_in_force() {
    let directory = tempfile::tempdir().expect("a directory");
    let digest = "org.apache.storm.security.auth.digest.DigestSaslTransportPlugin";
    let conf = Conf::defaults()
        .with(
            keys::STORM_LOCAL_DIR,
            directory.path().to_string_lossy().as_ref(),
        )
        .with(keys::DRPC_THRIFT_TRANSPORT_PLUGIN, digest)
        .with(keys::NIMBUS_THRIFT_PORT, 0)
        .with(keys::STORMWIRE_COORDINATION_PORT, 0);
    let store = crate::cluster::MemoryStore::new();
    let on = std::sync::Arc::new(store.clone());
    let handle = Nimbus::start_on(on, conf, |_| false)
        .await
        .expect("a free directory");
    let mut client = nimbus::Client::new(connect(handle.address().port()).await);
    submit(&mut client, "words", &words(1)).await;
    let (tokens, drpc) = (&handle.leader.tokens, WorkerTokenServiceType::Drpc);
    let n_known = || tokens.of_service(drpc).keys.len();
    assert_eq!(n_known(), 1);
    let state = handle.leader.state();
    tokens.removed(state.topologies.keys().next().expect("words"));
    store.fail_commits(Some("no space"));
    crate::nimbus::tokens::renew(&handle.leader).await;
    assert_eq!(n_known(), 0, "the next Nimbus would not know it");
    store.fail_commits(None);
    crate::nimbus::tokens::renew(&handle.leader).await;
    assert_eq!(n_known(), 1);
    handle.shutdown().await;
}

/// Records of blobs and their contents in a Nimbus's directory.
fn n_blobs(local: &std::path::Path) -> (usize, usize) {
    let entries = |path: std::path::PathBuf| std::fs::read_dir(path).expect("a directory");
    let records = entries(local.join("blobs")).filter(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        name.to_string_lossy().starts_with("meta_")
    });
    (
        records.count(),
        entries(local.join("blobs/content")).count(),
    )
}

//! Access lists of blobs, held: what each caller may, with sessions and submissions.

use super::*;
use crate::blob::acl::{self, Visitor};
use crate::nimbus::blobs::{BlobClient, Blobs};
use crate::nimbus::fault::Fault;
use crate::wire::storm::SettableBlobMeta;

fn client(user: &str) -> BlobClient {
    BlobClient {
        visitor: Visitor::User(Some(user.to_owned())),
        user: Some(user.to_owned()),
        owner: Some(user.to_owned()),
    }
}

fn meta(list: &str) -> SettableBlobMeta {
    SettableBlobMeta {
        acl: match list {
            "" => Vec::new(),
            list => acl::parse(list).expect("a list"),
        },
        replication_factor: None,
    }
}

fn denied<T: std::fmt::Debug>(outcome: Result<T, Fault>) -> String {
    match outcome {
        Err(Fault::Denied(text)) => text,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_its_owners_and_whom_the_owner_lets_in() {
    let fixture = Fixture::new().await;
    let leader = &*fixture.nimbus().leader;
    let (alice, bob) = (&client("alice"), &client("bob"));
    let as_user = |client| Blobs { leader, client };
    let session = as_user(alice)
        .begin_create("private", meta(""))
        .expect("hers");
    // Neither the id of a session nor a list helps a stranger.
    denied(as_user(bob).upload(&session, b"evil"));
    denied(as_user(bob).finish_upload(&session));
    denied(as_user(bob).delete("private"));
    as_user(alice).upload(&session, b"content").expect("hers");
    as_user(alice).finish_upload(&session).expect("hers");
    let text = denied(as_user(bob).begin_download("private"));
    assert_eq!(text, "[bob] does not have [READ ] access to private");
    let text = denied(as_user(bob).meta("private"));
    assert_eq!(text, "[bob] does not have access to private");
    denied(as_user(bob).begin_update("private"));
    denied(as_user(bob).delete("private"));
    denied(as_user(bob).set_meta("private", meta("u:bob:rwa")));
    denied(as_user(bob).exists("private"));
    denied(as_user(bob).replication("private"));
    let map = r#"{"topology.blobstore.map": {"private": {}}}"#;
    let conf = crate::conf::Conf::from_json(map).expect("JSON");
    denied(as_user(bob).check_map(&conf));
    as_user(alice).check_map(&conf).expect("hers");
    // A supervisor reads and no more; an administrator may everything.
    let supervisor = &BlobClient {
        visitor: Visitor::Supervisor("storm".to_owned()),
        ..client("storm")
    };
    as_user(supervisor)
        .begin_download("private")
        .expect("to bring it to workers");
    denied(as_user(supervisor).delete("private"));
    // Who is let in may what the list says; the owner stays one.
    as_user(alice)
        .set_meta("private", meta("u:bob:r"))
        .expect("hers");
    let download = as_user(bob).begin_download("private").expect("let in");
    assert_eq!(
        as_user(bob).download(&download.session).expect("his"),
        "content"
    );
    denied(as_user(alice).download(&download.session));
    denied(as_user(bob).delete("private"));
    let admin = &BlobClient {
        visitor: Visitor::Anybody,
        ..client("root")
    };
    as_user(admin).delete("private").expect("an administrator");
    let gone = as_user(alice).meta("private");
    assert!(matches!(gone, Err(Fault::KeyNotFound(_))), "{gone:?}");
}

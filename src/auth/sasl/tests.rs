//! Both sides against each other, and the server against clients that lie.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::client::{Login, LoginError};
use super::server::{Identity, Mechanisms, Step};
use super::*;
use crate::auth::accounts::Accounts;
use crate::auth::secret::Secret;
use crate::auth::worker_token::{self, TokenKeys};
use crate::wire::storm::WorkerTokenServiceType;

fn accounts() -> Accounts {
    let users = [
        ("ann", "pa,ss\"word"),
        ("Jürgen", "Schlüssel"),
        ("日本", "鍵"),
    ];
    let users = users.map(|(name, password)| (name.to_owned(), Secret::from(password)));
    Accounts::new(BTreeMap::from(users), None)
}

fn login(user: &str, password: &str) -> Login {
    Login {
        user: user.to_owned(),
        password: Secret::from(password),
        authorise_as: None,
    }
}

fn server(accounts: &Accounts) -> server::Negotiation<'_> {
    server::Negotiation::new(accounts, Mechanisms::PlainToo, 1).expect("randomness")
}

/// Lets both negotiate to the end.
fn negotiate(accounts: &Accounts, login: &Login) -> Result<Identity, LoginError> {
    let mut client = client::Negotiation::new(login, "some.host");
    let mut server = server(accounts);
    let mut to_server = client.opening().to_vec();
    loop {
        let step = server.handle(&to_server.remove(0));
        let (reply, identity) = match step {
            Step::Silent => continue,
            Step::Reply(reply) | Step::Refused(reply) => (reply, None),
            Step::Done(reply, identity) => (reply, Some(identity)),
        };
        match client.handle(&reply)? {
            client::Step::Reply(message) => to_server.push(message),
            client::Step::Done => return Ok(identity.expect("the server is done, too")),
        }
    }
}

fn say(status: Status, payload: &[u8]) -> Message {
    Message::new(status, payload)
}

fn is_refused(step: &Step, status: Status) -> bool {
    matches!(step, Step::Refused(reply) if reply.status == status)
}

#[test]
fn digest_takes_the_right_password_only() {
    let accounts = accounts();
    for (user, password) in [
        ("ann", "pa,ss\"word"),
        ("Jürgen", "Schlüssel"),
        ("日本", "鍵"),
    ] {
        let identity = negotiate(&accounts, &login(user, password)).expect("the password");
        assert_eq!(identity.principal, user);
        assert_eq!(identity.real_principal, None);
    }
    for (user, password) in [
        ("ann", "other"),
        ("ann", ""),
        ("eve", "pa,ss\"word"),
        ("", ""),
    ] {
        let refused = negotiate(&accounts, &login(user, password));
        let text = "the name or the password is wrong".to_owned();
        assert_eq!(refused, Err(LoginError::Refused(text)), "{user}");
    }
}

#[test]
fn somebody_else_is_named_beside_who_logged_in() {
    let mut login = login("ann", "pa,ss\"word");
    login.authorise_as = Some("bob".to_owned());
    let identity = negotiate(&accounts(), &login).expect("the password");
    assert_eq!(identity.principal, "bob");
    assert_eq!(identity.real_principal.as_deref(), Some("ann"));
    login.authorise_as = Some("ann".to_owned());
    let identity = negotiate(&accounts(), &login).expect("the password");
    assert_eq!(identity.real_principal, None);
}

#[test]
fn a_worker_logs_in_by_its_token_and_speaks_for_its_owner_only() {
    let keys = Arc::new(TokenKeys::default());
    let key = worker_token::new_key("owner", 1000).expect("randomness");
    keys.insert("words-1-1", 1, key.clone());
    let nimbus = WorkerTokenServiceType::Nimbus;
    let token = worker_token::sign(nimbus, "words-1-1", 1, &key).expect("signed");
    let text = worker_token::to_text(&token).expect("text");
    let (user, password) = worker_token::login(&text).expect("a token");
    let accounts = Accounts::new(BTreeMap::new(), Some(Arc::clone(&keys)));
    let mut login = Login {
        user,
        password,
        authorise_as: None,
    };
    let identity = negotiate(&accounts, &login).expect("a good token");
    assert_eq!(identity.principal, "owner");
    assert_eq!(identity.token_topology.as_deref(), Some("words-1-1"));
    login.authorise_as = Some("root".to_owned());
    negotiate(&accounts, &login).expect_err("for somebody else");
    login.authorise_as = None;
    keys.remove("words-1-1");
    negotiate(&accounts, &login).expect_err("a killed topology");
}

#[test]
fn plain_compares_the_password() {
    let accounts = accounts();
    let attempt = |payload: &[u8]| {
        let mut server = server(&accounts);
        assert_eq!(server.handle(&say(Status::Start, b"PLAIN")), Step::Silent);
        server.handle(&say(Status::Complete, payload))
    };
    let done = attempt(b"\0ann\0pa,ss\"word");
    assert!(matches!(done, Step::Done(_, identity) if identity.principal == "ann"));
    let other = attempt(b"bob\0ann\0pa,ss\"word");
    let is_both = |identity: &Identity| {
        identity.principal == "bob" && identity.real_principal.as_deref() == Some("ann")
    };
    assert!(matches!(other, Step::Done(_, identity) if is_both(&identity)));
    for wrong in [
        &b"\0ann\0password"[..],
        b"\0eve\0",
        b"",
        b"ann",
        b"\0\0",
        b"\0\xff\0x",
    ] {
        assert!(is_refused(&attempt(wrong), Status::Bad), "{wrong:?}");
    }
    let digest_only = server::Negotiation::new(&accounts, Mechanisms::Digest, 1);
    let step = digest_only
        .expect("randomness")
        .handle(&say(Status::Start, b"PLAIN"));
    let text = "Unsupported mechanism type PLAIN";
    assert_eq!(step, Step::Refused(say(Status::Bad, text.as_bytes())));
}

#[test]
fn a_response_serves_once_and_for_its_own_nonce() {
    let accounts = accounts();
    let login = login("ann", "pa,ss\"word");
    let mut client = client::Negotiation::new(&login, "localhost");
    let [start, first] = client.opening();
    let mut negotiation = server(&accounts);
    negotiation.handle(&start);
    let Step::Reply(challenge) = negotiation.handle(&first) else {
        panic!("a challenge is due");
    };
    let Ok(client::Step::Reply(response)) = client.handle(&challenge) else {
        panic!("a response is due");
    };
    let mut another = server(&accounts);
    another.handle(&start);
    another.handle(&first);
    assert!(
        is_refused(&another.handle(&response), Status::Bad),
        "a recorded response"
    );
    assert!(matches!(negotiation.handle(&response), Step::Done(..)));
    assert!(
        is_refused(&negotiation.handle(&response), Status::Error),
        "once more"
    );
}

#[test]
fn what_is_changed_in_a_response_is_refused() {
    let accounts = accounts();
    let changes: [(&str, &str); 6] = [
        ("nc=00000001", "nc=00000002"),
        ("storm_thrift_server/", "other_service/"),
        ("realm=\"localhost\"", "realm=\"elsewhere\""),
        ("qop=auth", "qop=auth-conf"),
        ("maxbuf=65536", "username=\"eve\""),
        ("charset=utf-8,", "charset=utf-8,nonce=\"x\","),
    ];
    for (from, to) in changes {
        let login = login("ann", "pa,ss\"word");
        let mut client = client::Negotiation::new(&login, "localhost");
        let mut negotiation = server(&accounts);
        let [start, first] = client.opening();
        negotiation.handle(&start);
        let Step::Reply(challenge) = negotiation.handle(&first) else {
            panic!("a challenge is due");
        };
        let Ok(client::Step::Reply(response)) = client.handle(&challenge) else {
            panic!("a response is due");
        };
        let text = String::from_utf8(response.payload).expect("text");
        assert!(text.contains(from), "{text}");
        let changed = say(Status::Ok, text.replacen(from, to, 1).as_bytes());
        assert!(
            is_refused(&negotiation.handle(&changed), Status::Bad),
            "{to}"
        );
    }
}

#[test]
fn a_server_without_the_password_is_not_believed() {
    let login = login("ann", "pa,ss\"word");
    let mut client = client::Negotiation::new(&login, "localhost");
    let challenge = b"realm=\"localhost\",nonce=\"n\",charset=utf-8,algorithm=md5-sess";
    let responded = client.handle(&say(Status::Ok, challenge));
    assert!(matches!(responded, Ok(client::Step::Reply(_))));
    let done = client.handle(&say(
        Status::Complete,
        b"rspauth=00000000000000000000000000000000",
    ));
    assert_eq!(done, Err(LoginError::NoProof));
    let mut client = client::Negotiation::new(&login, "localhost");
    let done = client.handle(&say(Status::Complete, b""));
    assert_eq!(done, Err(LoginError::Unexpected(Status::Complete)));
    for bad in [
        &b"nonce=\"n\""[..],
        b"nonce=\"n\",algorithm=md5-sess,qop=\"auth-conf\"",
        b"=",
    ] {
        let mut client = client::Negotiation::new(&login, "localhost");
        assert_eq!(
            client.handle(&say(Status::Ok, bad)),
            Err(LoginError::Challenge)
        );
    }
}

#[test]
fn order_and_lengths_are_kept() {
    let accounts = accounts();
    for status in [Status::Ok, Status::Bad, Status::Error, Status::Complete] {
        assert!(is_refused(
            &server(&accounts).handle(&say(status, b"")),
            Status::Error
        ));
    }
    let mut twice = server(&accounts);
    twice.handle(&say(Status::Start, b"DIGEST-MD5"));
    assert!(is_refused(
        &twice.handle(&say(Status::Start, b"DIGEST-MD5")),
        Status::Error
    ));
    let long = [b'X'; 4000];
    let Step::Refused(reply) = server(&accounts).handle(&say(Status::Start, &long)) else {
        panic!("no such mechanism");
    };
    assert!(reply.payload.len() < 100, "not echoed whole");
    assert_eq!(Message::header([1, 0, 0, 0, 9]), Ok((Status::Start, 9)));
    assert_eq!(
        Message::header([0, 0, 0, 0, 9]),
        Err(MessageError::Status(0))
    );
    Message::header([1, 0xff, 0xff, 0xff, 0xff]).expect_err("four gigabytes");
    Message::header([1, 0, 1, 0, 0]).expect_err("more than a response needs");
    assert_eq!(
        say(Status::Complete, b"ab").to_bytes(),
        [5, 0, 0, 0, 2, b'a', b'b']
    );
}

proptest::proptest! {
    /// No text of a peer breaks either side.
    #[test]
    fn hostile_text_is_refused(text in "[a-z=\",\\\\ 0-9\u{e9}]{0,80}") {
        let accounts = accounts();
        let mut negotiation = server(&accounts);
        negotiation.handle(&say(Status::Start, b"DIGEST-MD5"));
        negotiation.handle(&say(Status::Ok, b""));
        let step = negotiation.handle(&say(Status::Ok, text.as_bytes()));
        proptest::prop_assert!(is_refused(&step, Status::Bad));
        let login = login("ann", "x");
        let _ = client::Negotiation::new(&login, "h").handle(&say(Status::Ok, text.as_bytes()));
    }
}

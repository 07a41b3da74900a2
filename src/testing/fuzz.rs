//! What fuzzers call: each target takes any bytes and must neither panic, nor disagree with itself,
//! nor ask for much more memory than it was given.
//!
//! A seeded run of these is part of `cargo test` (`fuzz/tests.rs`, on the stable toolchain);
//! `fuzz/` in the root of the repository holds the same as targets of `cargo fuzz`.

use std::collections::BTreeMap;

use crate::auth::accounts::Accounts;
use crate::auth::sasl::Message;
use crate::auth::sasl::server::{Mechanisms, Negotiation, Step};
use crate::auth::secret::Secret;
use crate::conf::Conf;
use crate::wire::message::read_header;
use crate::wire::messages::{self, coordination, drpc_spouts};
use crate::wire::scan::{self, Scanner};
use crate::wire::storm::{self, distributed_rpc, distributed_rpc_invocations, nimbus, supervisor};
use crate::wire::{Method, WireError, recode};

/// Where a message ends: the same place whether it comes whole or in two parts.
pub fn scan(data: &[u8]) {
    let whole = scan::message_end(data).ok();
    assert!(whole.is_none_or(|end| end <= data.len()));
    for cut in [
        1,
        data.len() / 3,
        data.len() / 2,
        data.len().saturating_sub(1),
    ] {
        let mut scanner = Scanner::message(data.len());
        let first = scanner.scan(&data[..cut.min(data.len())]);
        let parts = match first {
            Ok(None) => scanner.scan(data),
            decided => decided,
        };
        assert_eq!(parts.ok().flatten(), whole, "cut at {cut}");
    }
}

/// A call or reply of the method that its header names, of whatever service. What can be read is
/// written so that it reads the same again.
pub fn decode(data: &[u8]) {
    let Ok((header, body)) = read_header(data) else {
        return;
    };
    for methods in SERVICES {
        for method in methods.iter().filter(|method| method.name == header.name) {
            settles(method.recode_arguments, body);
            settles(method.recode_reply, body);
        }
    }
}

/// Structs that rest on disk or come without a header.
pub fn record(data: &[u8]) {
    for recode in RECORDS {
        settles(recode, data);
    }
}

/// The text of a conf, as clients send it.
pub fn conf(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(conf) = Conf::from_json(&text) {
        let again = Conf::from_json(&conf.to_json()).expect("our own JSON is JSON");
        assert_eq!(again.to_json(), conf.to_json());
    }
}

/// What a client may say before it is anybody: no message but the password makes it somebody.
pub fn sasl(data: &[u8]) {
    let password = Secret::from(PASSWORD);
    let accounts = Accounts::new(BTreeMap::from([("alice".to_owned(), password)]), None);
    let negotiation = Negotiation::new(&accounts, Mechanisms::PlainToo, 0);
    let mut negotiation = negotiation.expect("the system has randomness");
    let mut rest = data;
    while let Some((header, tail)) = rest.split_first_chunk() {
        let Ok((status, length)) = Message::header(*header) else {
            return;
        };
        let Some((payload, tail)) = tail.split_at_checked(length) else {
            return;
        };
        match negotiation.handle(&Message::new(status, payload)) {
            Step::Silent | Step::Reply(_) => rest = tail,
            Step::Refused(_) => return,
            Step::Done(_, identity) => panic!("{identity:?} logged in"),
        }
    }
}

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// Every target, by the name of its file under `fuzz/targets`.
pub const TARGETS: [(&str, Target); 5] = [
    ("scan", scan),
    ("decode", decode),
    ("record", record),
    ("conf", conf),
    ("sasl", sasl),
];

/// Longer than damage can make by chance.
const PASSWORD: &str = "a password that no fuzzer finds";

fn settles(recode: Recode, data: &[u8]) {
    if let Ok(once) = recode(data) {
        let twice = recode(&once).expect("what we write can be read");
        assert_eq!(once, twice);
    }
}

type Recode = fn(&[u8]) -> Result<bytes::Bytes, WireError>;

static SERVICES: [&[Method]; 6] = [
    nimbus::METHODS,
    supervisor::METHODS,
    distributed_rpc::METHODS,
    distributed_rpc_invocations::METHODS,
    coordination::METHODS,
    drpc_spouts::METHODS,
];

static RECORDS: [Recode; 8] = [
    recode::<messages::Frame>,
    recode::<messages::WorkerLaunch>,
    recode::<messages::AssignmentRecord>,
    recode::<storm::StormTopology>,
    recode::<storm::StormBase>,
    recode::<storm::ClusterWorkerHeartbeat>,
    recode::<storm::WorkerToken>,
    recode::<storm::WorkerTokenInfo>,
];

#[cfg(test)]
mod tests;

//! What fuzzers call: each target takes any bytes and must neither panic, nor disagree with itself,
//! nor ask for much more memory than it was given.
//!
//! A seeded run of these is part of `cargo test` (`fuzz/tests.rs`, on the stable toolchain);
//! `fuzz/` in the root of the repository holds the same as targets of `cargo fuzz`.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::auth::accounts::Accounts;
use crate::auth::sasl::Message;
use crate::auth::sasl::server::{Mechanisms, Negotiation, Step};
use crate::auth::secret::Secret;
use crate::conf::Conf;
use crate::id::{ExecutorId, TaskId};
use crate::messaging::acks;
use crate::messaging::codec::{self, BatchHead};
use crate::messaging::decode::Incoming;
use crate::tuple::{Fields, StreamInfo, StreamTable, TupleBatch};
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

/// A batch between workers, as a frame or as the bare body of one: read whole or not at all, and
/// written so that it reads the same again.
pub fn batch(data: &[u8]) {
    if let Some((count, records)) = acks::split_frame(data) {
        let _ = acks::read(count, records, &mut Vec::new());
    }
    let bare = BatchHead {
        generation: 1,
        source_task: 1,
        count: data.first().map_or(1, |first| i32::from(first % 8)),
        body_version: codec::BODY_VERSION,
    };
    let (head, body) = codec::split_frame(data).unwrap_or((bare, data));
    let Ok(incoming) = Incoming::open(head, body) else {
        return;
    };
    // What is regular takes no bytes: bounds of their own hold it, not the length of the batch.
    if incoming.n_rows() > 8 || incoming.roots().take(9).count() > 8 {
        return;
    }
    let executor = ExecutorId::new(TaskId(1), TaskId(100));
    let mut once = TupleBatch::new(FUZZ_STREAMS.clone());
    if incoming.read_into(&mut once, executor).is_err() {
        assert!(once.is_empty());
        return;
    }
    let mut frame = Vec::new();
    let written = codec::write_frame(&once, 0..once.len(), &mut frame);
    written.expect("what was read can be written");
    let (head, body) = codec::split_frame(&frame).expect("our own layout");
    let mut twice = TupleBatch::new(FUZZ_STREAMS.clone());
    let incoming = Incoming::open(head, body).expect("what we write can be read");
    let read = incoming.read_into(&mut twice, executor);
    read.expect("what we write can be read");
    let mut again = Vec::new();
    let written = codec::write_frame(&twice, 0..twice.len(), &mut again);
    written.expect("what was read can be written");
    assert_eq!(frame, again);
}

/// Of 0 to 4 fields.
static FUZZ_STREAMS: LazyLock<Arc<StreamTable>> = LazyLock::new(|| {
    let info = |n_fields: usize| StreamInfo {
        component: "source".into(),
        stream: format!("s{n_fields}").as_str().into(),
        fields: Fields::new((0..n_fields).map(|field| field.to_string())).expect("all differ"),
        direct: false,
    };
    Arc::new(StreamTable::new((0..5).map(info)).expect("all differ"))
});

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// Every target, by the name of its file under `fuzz/targets`.
pub const TARGETS: [(&str, Target); 6] = [
    ("scan", scan),
    ("decode", decode),
    ("record", record),
    ("conf", conf),
    ("sasl", sasl),
    ("batch", batch),
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

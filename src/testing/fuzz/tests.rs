//! A run of every target on damaged copies of what genuine clients and servers said.
//!
//! Seeded, so that a failure comes again; bounded by time, which `STORMWIRE_FUZZ_SECS` changes.
//! `STORMWIRE_FUZZ_SEED` starts elsewhere.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::TARGETS;
use crate::auth::sasl::{Message, Status};
use crate::id::TaskId;
use crate::messaging::acks::{self, AckRecord};
use crate::messaging::codec;
use crate::testing::figures::figure;
use crate::testing::{allocations, fixtures};
use crate::tuple::{Anchor, StreamNumber, TupleBatch, TupleHead, Value, ValueRef};
use crate::values;

/// A message of each conversation that was recorded, without its frame.
fn corpus() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for file in FILES {
        for line in fixtures::lines(&format!("control/{file}.jsonl")) {
            for side in ["request_b64", "reply_b64"] {
                let Some(frame) = line[side].as_str().map(fixtures::base64) else {
                    continue;
                };
                // The long ones are whole topologies: slow to damage, and much the same.
                if (5..SEED_BYTES_MAX).contains(&frame.len()) {
                    found.push(frame[4..].to_vec());
                }
            }
            if let Some(conf) = line["decoded_request"]["args"]["jsonConf"].as_str() {
                found.push(conf.as_bytes().to_vec());
            }
        }
    }
    found.extend(logins());
    found.extend(batches());
    found
}

/// A frame of tuples of every kind of value, and one of acks.
fn batches() -> [Vec<u8>; 2] {
    let mut batch = TupleBatch::new(super::FUZZ_STREAMS.clone());
    let nested = Value::List(vec![Value::Map(vec![(Value::Bool(true), Value::Null)])]);
    // As the streams of the target: the number of a stream is its number of fields.
    let rows: [[ValueRef<'_>; 2]; 4] = [
        values!["some data", 1i64],
        values!["some data", 7i32],
        values!["x", 1.5f64],
        [ValueRef::Str("yes"), ValueRef::Nested(&nested)],
    ];
    for (sequence, row) in (0u64..).zip(&rows) {
        let head = TupleHead {
            sequence,
            generation: 1 << 20,
            timestamp_us: 1_700_000_000_000_000 + sequence as i64,
            source_task: TaskId(2),
            target_task: TaskId(3),
            stream: StreamNumber(2),
        };
        let anchor = |edge: u64| Anchor { root: !edge, edge };
        let anchors: Vec<Anchor> = (0..sequence).map(anchor).collect();
        batch.push(head, &anchors, row).expect("two values");
    }
    let mut tuples = Vec::new();
    codec::write_frame(&batch, 0..batch.len(), &mut tuples).expect("a frame is written");
    let mut acks = Vec::new();
    acks::write_frame(&[AckRecord::fail(1), AckRecord::fail(u64::MAX)], &mut acks);
    [tuples, acks]
}

/// What clients say who log in, with another password.
fn logins() -> [Vec<u8>; 2] {
    let said = |messages: [(Status, &[u8]); 3]| {
        let bytes = messages.map(|(status, payload)| Message::new(status, payload).to_bytes());
        bytes.concat()
    };
    let response = b"charset=utf-8,username=\"alice\",realm=\"localhost\",nonce=\"x\",\
        nc=00000001,cnonce=\"y\",digest-uri=\"storm_thrift_server/localhost\",maxbuf=65536,\
        response=d388dad90d4bbd760a152321f2143af7,qop=auth";
    [
        said([
            (Status::Start, b"PLAIN"),
            (Status::Ok, b"\0alice\0wrong"),
            (Status::Complete, b""),
        ]),
        said([
            (Status::Start, b"DIGEST-MD5"),
            (Status::Ok, b""),
            (Status::Ok, response),
        ]),
    ]
}

/// Damages `data` in one to six ways.
fn mutate(rng: &mut fastrand::Rng, corpus: &[Vec<u8>], data: &mut Vec<u8>) {
    for _ in 0..rng.usize(1..=6) {
        if data.is_empty() {
            data.push(rng.u8(..));
        }
        let at = rng.usize(..data.len());
        let n = rng.usize(1..=16).min(data.len() - at);
        match rng.u8(..9) {
            0 => data[at] ^= 1 << rng.u8(..8),
            1 => data[at] = rng.u8(..),
            2 => data[at] = rng.choice(TYPES).expect("some"),
            3 => overwrite(data, at, &rng.choice(NUMBERS).expect("some").to_be_bytes()),
            4 => drop(data.drain(at..at + n)),
            5 => data.truncate(at),
            6 => {
                let part = data[at..at + n].to_vec();
                data.splice(at..at, part);
            }
            7 => data
                .splice(at..at, (0..n).map(|_| rng.u8(..)))
                .for_each(drop),
            _ => {
                let other = &corpus[rng.usize(..corpus.len())];
                let from = rng.usize(..=other.len());
                let to = rng.usize(from..=other.len());
                data.splice(at..at, other[from..to].iter().copied());
            }
        }
        data.truncate(MUTANT_BYTES_MAX);
    }
}

fn overwrite(data: &mut [u8], at: usize, with: &[u8]) {
    for (byte, new) in data[at..].iter_mut().zip(with) {
        *byte = *new;
    }
}

#[test]
fn damaged_conversations_neither_panic_nor_cost_much() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seconds = number("STORMWIRE_FUZZ_SECS").unwrap_or(SECONDS);
    let seed = number("STORMWIRE_FUZZ_SEED").unwrap_or(SEED);
    let corpus = corpus();
    assert!(
        corpus.len() > 500,
        "only {} messages to start from",
        corpus.len()
    );
    let mut rng = fastrand::Rng::with_seed(seed);
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut n_runs, mut worst) = (0u64, (0, "", 0));
    while Instant::now() < end {
        // Logins and batches stand at the end; among so many calls they would hardly ever come up.
        let first = if rng.u8(..8) == 0 {
            corpus.len() - 4
        } else {
            0
        };
        let mut data = corpus[rng.usize(first..corpus.len())].clone();
        mutate(&mut rng, &corpus, &mut data);
        for (name, target) in TARGETS {
            let run = || catch_unwind(AssertUnwindSafe(|| target(&data)));
            let (asked, outcome) = allocations::bytes_during(run);
            let case = || format!("{name}, seed {seed}, run {n_runs}: {}", hex(&data));
            assert!(outcome.is_ok(), "panic in {}", case());
            let bound = BYTES_FREE + BYTES_PER_BYTE * data.len() as u64;
            assert!(asked <= bound, "{asked} bytes asked for in {}", case());
            let ratio = asked.saturating_sub(BYTES_FREE) / (data.len() as u64).max(1);
            worst = worst.max((ratio, name, data.len()));
        }
        n_runs += 1;
    }
    let (ratio, name, length) = worst;
    let text = format!(
        "{n_runs} damaged messages from {} recorded in {} targets, seed {seed}, {seconds} s: 0 \
         panics; at most {ratio} bytes asked for per byte ({name}, {length} bytes)",
        corpus.len(),
        TARGETS.len()
    );
    figure("F1", &text);
    assert!(n_runs > 0);
}

fn hex(data: &[u8]) -> String {
    data.iter().map(|byte| format!("{byte:02x}")).collect()
}

const FILES: [&str; 9] = [
    "apache-python",
    "blobs-java",
    "drpc",
    "operations-java",
    "protocol",
    "reads-python",
    "streamparse",
    "submit-java",
    "supervisor",
];

const SECONDS: u64 = 10;
const SEED: u64 = 20_261_122;
const SEED_BYTES_MAX: usize = 8_192;
const MUTANT_BYTES_MAX: usize = 16_384;

/// What a target may ask for whatever it is given: error texts, first blocks of buffers.
const BYTES_FREE: u64 = 8 << 10;
/// What it may ask for beyond that, over its whole run and for all types that it tries.
const BYTES_PER_BYTE: u64 = 512;

/// Types of the binary protocol, and some that are none.
const TYPES: [u8; 14] = [0, 1, 2, 3, 4, 6, 8, 10, 11, 12, 13, 14, 15, 255];
/// Where lengths and counts go wrong.
const NUMBERS: [i32; 10] = [
    0,
    1,
    -1,
    2,
    127,
    255,
    65_536,
    i32::MAX,
    i32::MIN,
    0x0100_0000,
];

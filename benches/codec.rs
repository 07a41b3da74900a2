//! Bytes: a control struct as large as what `getClusterInfo` answers, batches of tuples, and what
//! their frames cost to pack and to encrypt.
//!
//! Throughput is in structs and in tuples. Sockets are not measured here.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use stormwire::id::{ExecutorId, TaskId};
use stormwire::messaging::codec;
use stormwire::messaging::codec::BatchHead;
use stormwire::messaging::compress::{Codec, Packer, Unpacker};
use stormwire::messaging::decode::Incoming;
use stormwire::messaging::frame::{self, Checksums};
use stormwire::tuple::{
    Anchor, Fields, StreamInfo, StreamNumber, StreamTable, TupleBatch, TupleHead,
};
use stormwire::values;
use stormwire::wire::{self, messages, storm};

/// A cluster of 3 supervisors and 10 topologies: some 2 kB.
fn cluster() -> storm::ClusterSummary {
    let resources: BTreeMap<String, f64> = [("cpu.pcore.percent", 400.0), ("memory.mb", 4096.0)]
        .map(|(name, amount)| (name.to_owned(), amount))
        .into();
    let supervisor = |number: i32| storm::SupervisorSummary {
        host: format!("host-{number}.example"),
        uptime_secs: 86_400 + number,
        num_workers: 4,
        num_used_workers: 3,
        supervisor_id: format!("5f1c2d3e-0000-4000-8000-{number:012}"),
        version: Some("3.0.0".to_owned()),
        total_resources: Some(resources.clone()),
        used_mem: Some(1024.0),
        used_cpu: Some(120.0),
        ..Default::default()
    };
    let topology = |number: i32| storm::TopologySummary {
        id: format!("word-count-{number}-1700000000"),
        name: format!("word-count-{number}"),
        num_tasks: 28,
        num_executors: 28,
        num_workers: 3,
        uptime_secs: 3_600,
        status: "ACTIVE".to_owned(),
        storm_version: Some("3.0.0".to_owned()),
        owner: Some("storm".to_owned()),
        replication_count: Some(1),
        ..Default::default()
    };
    let nimbus = storm::NimbusSummary {
        host: "nimbus.example".to_owned(),
        port: 6627,
        uptime_secs: 86_400,
        is_leader: true,
        version: "3.0.0".to_owned(),
        tls_port: Some(0),
    };
    storm::ClusterSummary {
        supervisors: (0..3).map(supervisor).collect(),
        topologies: (0..10).map(topology).collect(),
        nimbuses: vec![nimbus],
        ..Default::default()
    }
}

fn control(c: &mut Criterion) {
    let cluster = cluster();
    let bytes = wire::to_bytes(&cluster).expect("a cluster is written");
    println!("cluster summary: {} bytes", bytes.len());
    let mut group = c.benchmark_group("thrift/cluster-summary");
    group.throughput(Throughput::Elements(1));
    group.bench_function("encode", |b| {
        b.iter(|| wire::to_bytes(black_box(&cluster)));
    });
    group.bench_function("decode", |b| {
        b.iter(|| wire::from_bytes::<storm::ClusterSummary>(black_box(&bytes)));
    });
    group.bench_function("scan", |b| {
        b.iter(|| wire::scan::value_end(black_box(&bytes), STRUCT));
    });
    group.finish();
}

fn streams() -> Arc<StreamTable> {
    let info = StreamInfo {
        component: "spout".into(),
        stream: "default".into(),
        fields: Fields::new(["word", "count"]).expect("two names"),
        direct: false,
    };
    Arc::new(StreamTable::new([info]).expect("one stream"))
}

/// The tuple of performance.md 2b: a word and a long, ids and times as they come.
fn batch(streams: &Arc<StreamTable>, n_anchors: usize) -> TupleBatch {
    let words = ["some data", "a", "harbour", "leaves", "old"];
    let mut batch = TupleBatch::new(Arc::clone(streams));
    for sequence in 0..N_TUPLES {
        let head = TupleHead {
            sequence,
            generation: 7 << 20,
            timestamp_us: 1_700_000_000_000_000,
            source_task: TaskId(3),
            target_task: TaskId(5),
            stream: StreamNumber(0),
        };
        let anchor = Anchor {
            root: sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            edge: sequence.wrapping_mul(0xc2b2_ae3d_27d4_eb4f),
        };
        let word = words[sequence as usize % words.len()];
        batch
            .push(
                head,
                &[anchor][..n_anchors],
                &values![word, sequence as i64],
            )
            .expect("the stream has two fields");
    }
    batch
}

fn batches(c: &mut Criterion) {
    let streams = streams();
    for (name, n_anchors) in [("unanchored", 0), ("anchored", 1)] {
        let batch = batch(&streams, n_anchors);
        let mut frame = Vec::new();
        codec::write_frame(&batch, 0..batch.len(), &mut frame).expect("a frame is written");
        println!(
            "batch {name}: {:.1} bytes a tuple",
            frame.len() as f64 / N_TUPLES as f64
        );
        let body = match wire::from_bytes::<messages::Frame>(&frame) {
            Ok(messages::Frame::Batch(body)) => body,
            other => panic!("not a batch: {other:?}"),
        };
        let mut group = c.benchmark_group(format!("batch/{name}"));
        group.throughput(Throughput::Elements(N_TUPLES));
        group.bench_function("encode", |b| {
            b.iter(|| {
                frame.clear();
                codec::write_frame(black_box(&batch), 0..batch.len(), &mut frame)
            });
        });
        group.bench_function("decode", |b| {
            let mut batch = TupleBatch::new(Arc::clone(&streams));
            let executor = ExecutorId::new(TaskId(5), TaskId(5));
            b.iter(|| {
                batch.clear();
                let incoming = Incoming::open(BatchHead::from(&body), black_box(&body.body));
                incoming.and_then(|incoming| incoming.read_into(&mut batch, executor))
            });
        });
        let mut checksums = Checksums::new(Some(1));
        group.bench_function("checksum", |b| {
            b.iter(|| frame::head(black_box(&frame), &mut checksums));
        });
        packed(&mut group, name, &frame);
        encrypted(&mut group, &frame);
        group.finish();
    }
}

fn packed(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, frame: &[u8]) {
    for codec in Codec::ALL {
        let mut packer = Packer::new(*codec, ZSTD_LEVEL).expect("memory for a codec's tables");
        let mut bytes = Vec::new();
        assert!(packer.pack(frame, &mut bytes), "a batch becomes smaller");
        let ratio = frame.len() as f64 / bytes.len() as f64;
        println!("batch {name}: {} to 1 by {}", ratio, codec.name());
        let (packed, mut scratch) = (bytes.clone(), bytes);
        group.bench_function(format!("pack/{}", codec.name()), |b| {
            b.iter(|| packer.pack(black_box(frame), &mut scratch));
        });
        let mut unpacker = Unpacker::new(frame.len());
        group.bench_function(format!("unpack/{}", codec.name()), |b| {
            b.iter(|| unpacker.open(black_box(&packed)).map(<[u8]>::len));
        });
    }
}

/// What TLS does with a frame beside its own records: AES-GCM, in place.
fn encrypted(group: &mut BenchmarkGroup<'_, WallTime>, frame: &[u8]) {
    for (name, algorithm) in [
        ("aes-128-gcm", &aead::AES_128_GCM),
        ("aes-256-gcm", &aead::AES_256_GCM),
    ] {
        let key = [7; 32];
        let key = UnboundKey::new(algorithm, &key[..algorithm.key_len()]).expect("its own length");
        let key = LessSafeKey::new(key);
        // One number for all: nothing of this is ever sent.
        let number = || Nonce::assume_unique_for_key([1; aead::NONCE_LEN]);
        let mut bytes = frame.to_vec();
        group.bench_function(format!("seal/{name}"), |b| {
            b.iter(|| {
                key.seal_in_place_separate_tag(number(), Aad::empty(), black_box(&mut bytes))
                    .expect("not too long")
            });
        });
        let mut sealed = frame.to_vec();
        key.seal_in_place_append_tag(number(), Aad::empty(), &mut sealed)
            .expect("not too long");
        let mut bytes = sealed.clone();
        group.bench_function(format!("open/{name}"), |b| {
            b.iter(|| {
                // Opened in place, so each needs a copy: a small part of what opening takes.
                bytes.copy_from_slice(&sealed);
                key.open_in_place(number(), Aad::empty(), black_box(&mut bytes))
                    .map(|plain| plain.len())
                    .expect("what was sealed")
            });
        });
    }
}

const N_TUPLES: u64 = 1000;
/// Storm's.
const ZSTD_LEVEL: i32 = 3;
/// Thrift's code of a struct.
const STRUCT: u8 = 12;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20);
    targets = control, batches
}
criterion_main!(benches);

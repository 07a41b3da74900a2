//! Handing batches from one thread to another through the worker's rings, empties coming back.
//!
//! Two threads that spin: on a machine whose cores are busy with other work the figures say little.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use stormwire::id::TaskId;
use stormwire::tuple::{Fields, StreamInfo, StreamNumber, StreamTable, TupleBatch, TupleHead};
use stormwire::values;
use stormwire::worker::queue::{self, Door, Link, Packet};

fn streams() -> Arc<StreamTable> {
    let info = StreamInfo {
        component: "spout".into(),
        stream: "default".into(),
        fields: Fields::new(["str"]).expect("one name"),
        direct: false,
    };
    Arc::new(StreamTable::new([info]).expect("one stream"))
}

/// The two ends of the rings between two threads.
fn link() -> (Link, Link) {
    let doors = [Arc::new(Door::default()), Arc::new(Door::default())];
    let mut links = queue::mesh(&doors);
    let right = links[1][0].take().expect("a mesh links all pairs");
    let left = links[0][1].take().expect("a mesh links all pairs");
    (left, right)
}

/// Reads what comes and sends the memory back, until told to stop.
fn consume(mut link: Link, stop: &AtomicBool) {
    let mut n_bytes = 0;
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut packet) = link.data_in.pop() else {
            std::hint::spin_loop();
            continue;
        };
        for tuple in packet.batch.iter() {
            n_bytes += tuple.str(0).map_or(0, str::len);
        }
        packet.batch.clear();
        let put = link.empties_out.push(packet.batch);
        assert!(put.is_ok(), "more batches than the ring has slots");
    }
    black_box(n_bytes);
}

/// Fills and sends `n_batches` of `n_tuples`, as fast as empty ones come back.
fn produce(link: &mut Link, (n_batches, n_tuples): (u64, u64)) {
    for number in 0..n_batches {
        let mut batch = take_empty(link);
        for row in 0..n_tuples {
            let head = TupleHead {
                sequence: number * n_tuples + row,
                generation: 7 << 20,
                timestamp_us: 1_700_000_000_000_000,
                source_task: TaskId(1),
                target_task: TaskId(2),
                stream: StreamNumber(0),
            };
            batch
                .push(head, &[], &values!["some data"])
                .expect("one value");
        }
        let packet = Packet { executor: 0, batch };
        let sent = link.data_out.push(packet);
        assert!(sent.is_ok(), "more batches than the ring has slots");
    }
}

fn take_empty(link: &mut Link) -> Box<TupleBatch> {
    loop {
        match link.empties_in.pop() {
            Ok(batch) => return batch,
            Err(_) => std::hint::spin_loop(),
        }
    }
}

fn handover(c: &mut Criterion) {
    let streams = streams();
    let mut group = c.benchmark_group("ring");
    for n_tuples in [1, 16, 64, 512] {
        group.throughput(Throughput::Elements(n_tuples));
        let id = BenchmarkId::new("batches-of", n_tuples);
        group.bench_function(id, |b| {
            let (mut left, mut right) = link();
            // Tuples in flight as in an executor's queue, so that they stay within the caches.
            for _ in 0..(TUPLES_IN_FLIGHT / n_tuples).min(BATCHES_MAX) {
                let batch = Box::new(TupleBatch::new(Arc::clone(&streams)));
                let put = right.empties_out.push(batch);
                assert!(put.is_ok(), "more batches than the ring has slots");
            }
            let stop = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| consume(right, &stop));
                b.iter_custom(|n_batches| {
                    let started = Instant::now();
                    produce(&mut left, (n_batches, n_tuples));
                    started.elapsed()
                });
                stop.store(true, Ordering::Relaxed);
            });
        });
    }
    group.finish();
}

const TUPLES_IN_FLIGHT: u64 = 8192;
/// As many as fit the ring that brings empty batches back.
const BATCHES_MAX: u64 = 1024;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20);
    targets = handover
}
criterion_main!(benches);

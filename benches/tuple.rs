//! What a tuple costs by itself: into a batch and out, the choice of a target, its acks. No threads,
//! queues or bytes between workers.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stormwire::acker::{AckLedger, LedgerRecord, Pending, PendingTable};
use stormwire::grouping::{self, Grouping};
use stormwire::id::TaskId;
use stormwire::tuple::{
    Anchor, Fields, StreamInfo, StreamNumber, StreamTable, Tuple, TupleBatch, TupleHead, Value,
};
use stormwire::values;

/// What a bolt is to the engine: code that it cannot see through.
trait Sink {
    fn take(&mut self, tuple: &Tuple<'_>);
}

struct CountBytes(usize);

impl Sink for CountBytes {
    fn take(&mut self, tuple: &Tuple<'_>) {
        self.0 += tuple.str("word").map_or(0, str::len);
    }
}

fn streams() -> (Arc<StreamTable>, StreamNumber) {
    let info = StreamInfo {
        component: "words".into(),
        stream: "default".into(),
        fields: Fields::new(["word"]).expect("one field"),
        direct: false,
    };
    let table = StreamTable::new([info]).expect("one stream");
    let stream = table.number("words", "default").expect("its number");
    (Arc::new(table), stream)
}

fn batches(criterion: &mut Criterion) {
    let (streams, stream) = streams();
    let mut batch = TupleBatch::new(streams);
    let mut sink: Box<dyn Sink> = black_box(Box::new(CountBytes(0)));
    let mut turn = |word: &str, anchors: &[Anchor]| {
        batch.clear();
        for sequence in 0..N_TUPLES {
            let head = TupleHead {
                sequence,
                generation: 1,
                timestamp_us: 1,
                source_task: TaskId(1),
                target_task: TaskId(2),
                stream,
            };
            batch
                .push(head, anchors, &values![black_box(word)])
                .expect("one value");
        }
        batch.iter().for_each(|tuple| sink.take(&tuple));
    };
    let mut group = criterion.benchmark_group("batch");
    group.throughput(Throughput::Elements(N_TUPLES));
    let anchor = [Anchor { root: 1, edge: 2 }];
    let long = "a sentence of more than two and twenty bytes";
    group.bench_function("inline", |b| b.iter(|| turn("some data", &[])));
    group.bench_function("inline, anchored", |b| {
        b.iter(|| turn("some data", &anchor))
    });
    group.bench_function("arena", |b| b.iter(|| turn(long, &[])));
    group.finish();
}

fn groupings(criterion: &mut Criterion) {
    let fields = Fields::new(["word"]).expect("one field");
    let names = ["word".to_owned()];
    let tasks: Vec<_> = (1..9).map(TaskId).collect();
    let mut random = fastrand::Rng::with_seed(1);
    let by_field = Grouping::fields(&fields, &names, tasks.clone()).expect("a known field");
    let partial = Grouping::partial_key(&fields, &names, tasks.clone()).expect("a known field");
    let shuffle = Grouping::shuffle(tasks, &mut random);
    let mut group = criterion.benchmark_group("grouping");
    group.throughput(Throughput::Elements(1));
    let mut targets = Vec::new();
    for (name, mut grouping) in [
        ("fields", by_field),
        ("partial key", partial),
        ("shuffle", shuffle),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                targets.clear();
                grouping.choose(&values![black_box("some data")], &mut targets);
                targets.first().copied()
            })
        });
    }
    group.finish();
}

/// The whole life of a tree at its spout and its acker, with many alive.
fn acking(criterion: &mut Criterion) {
    let (_, stream) = streams();
    let mut random = fastrand::Rng::with_seed(1);
    let mut ledger = AckLedger::new();
    let mut table = PendingTable::new(None);
    let mut roots = Vec::new();
    let mut group = criterion.benchmark_group("acker");
    group.throughput(Throughput::Elements(N_TUPLES));
    group.bench_function("emit, init, ack, done", |b| {
        b.iter(|| {
            roots.clear();
            for n in 0..N_TUPLES {
                let slot = table.next_slot().expect("few are pending");
                let root = grouping::draw_root(&mut random, 2, Some(1), slot);
                let (task, id) = (TaskId(1), Value::Long(n as i64));
                table.handle_emit(
                    root,
                    Pending {
                        task,
                        stream,
                        id,
                        emitted_us: 0,
                    },
                );
                ledger.handle(
                    LedgerRecord::Init {
                        root,
                        value: n,
                        spout_task: task,
                    },
                    0,
                );
                roots.push(root);
            }
            for (value, root) in (0..).zip(&roots) {
                let notice = ledger.handle(LedgerRecord::Ack { root: *root, value }, 0);
                if let Some(notice) = notice {
                    table.handle_done(notice.root, notice.outcome);
                }
            }
        })
    });
    group.finish();
}

const N_TUPLES: u64 = 1024;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20);
    targets = batches, groupings, acking
}
criterion_main!(benches);

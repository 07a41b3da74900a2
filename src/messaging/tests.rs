//! The codec against the generated types and against hostile bytes, and links over real sockets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use super::acks::{self, AckKind, AckRecord};
use super::client::{Peer, Reconnects, Wanted};
use super::codec;
use super::decode::{self, DecodeError, Rows};
use super::frame;
use super::link::LinkIdentity;
use super::outbox::{DataFrame, DataOutbox};
use super::server::{self, Intake, ServerCounters};
use crate::id::TaskId;
use crate::messaging::transport::LinkSecurity;
use crate::tuple::{
    Anchor, Fields, StreamInfo, StreamNumber, StreamTable, TupleBatch, TupleError, TupleHead,
    Value, ValueRef,
};
use crate::wire::{self, messages};

/// Streams with 0 to 20 fields; the number of a stream is its number of fields.
fn streams() -> Arc<StreamTable> {
    let info = |n_fields: usize| StreamInfo {
        component: "source".into(),
        stream: format!("s{n_fields:02}").as_str().into(),
        fields: Fields::new((0..n_fields).map(|field| field.to_string())).unwrap(),
        direct: false,
    };
    Arc::new(StreamTable::new((0..=20).map(info)).unwrap())
}

#[derive(Clone, Debug, PartialEq)]
struct Row {
    head: TupleHead,
    anchors: Vec<Anchor>,
    values: Vec<Value>,
}

#[derive(Default)]
struct Collected(Vec<Row>);

impl Rows for Collected {
    fn row(
        &mut self,
        head: TupleHead,
        anchors: &[Anchor],
        values: &[ValueRef<'_>],
    ) -> Result<(), TupleError> {
        self.0.push(Row {
            head,
            anchors: anchors.to_vec(),
            values: values.iter().map(|value| value.to_value()).collect(),
        });
        Ok(())
    }
}

fn value() -> impl Strategy<Value = Value> {
    let flat = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i8>().prop_map(Value::Byte),
        any::<i16>().prop_map(Value::Short),
        any::<i32>().prop_map(Value::Int),
        any::<i64>().prop_map(Value::Long),
        any::<f32>().prop_map(Value::Float),
        any::<f64>().prop_map(Value::Double),
        any::<u16>().prop_map(Value::Char),
        "\\PC{0,40}".prop_map(|text| Value::Str(text.into())),
        prop::collection::vec(any::<u8>(), 0..60).prop_map(|b| Value::Bytes(b.into())),
        prop::collection::vec(any::<u8>(), 1..20).prop_map(|b| Value::BigInteger(b.into())),
        (prop::collection::vec(any::<u8>(), 1..20), any::<i32>()).prop_map(|(b, scale)| {
            let unscaled = b.into();
            Value::Decimal { unscaled, scale }
        }),
    ];
    flat.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::vec((inner.clone(), inner), 0..3).prop_map(Value::Map),
        ]
    })
}

fn anchor() -> impl Strategy<Value = Anchor> {
    (any::<u64>(), any::<u64>()).prop_map(|(root, edge)| Anchor { root, edge })
}

fn row() -> impl Strategy<Value = Row> {
    let head = (1u64..4, any::<i64>(), 1..50i32, 0u8..3);
    let n_fields = prop_oneof![Just(0usize), Just(1), Just(2), 0..=20usize];
    (head, prop::collection::vec(anchor(), 0..4), n_fields).prop_flat_map(
        |((sequence, timestamp_us, target, _), anchors, n_fields)| {
            let values = prop::collection::vec(value(), n_fields);
            values.prop_map(move |values| Row {
                head: TupleHead {
                    sequence,
                    generation: 7,
                    timestamp_us,
                    source_task: TaskId(3),
                    target_task: TaskId(target),
                    stream: StreamNumber(values.len() as u32),
                },
                anchors: anchors.clone(),
                values,
            })
        },
    )
}

fn batch(streams: &Arc<StreamTable>, rows: &[Row]) -> TupleBatch {
    let mut batch = TupleBatch::new(streams.clone());
    for row in rows {
        let values: Vec<ValueRef<'_>> = row.values.iter().map(Value::as_ref).collect();
        batch.push(row.head, &row.anchors, &values).unwrap();
    }
    batch
}

/// The frame of a batch, as the generated types read it.
fn encoded(batch: &TupleBatch) -> (Vec<u8>, messages::MessageBatch) {
    let mut bytes = Vec::new();
    codec::write_frame(batch, 0..batch.len(), &mut bytes).unwrap();
    let frame = wire::from_bytes::<messages::Frame>(&bytes[4..]).unwrap();
    let messages::Frame::Batch(message) = frame else {
        panic!("a batch is a batch");
    };
    (bytes, message)
}

proptest! {
    #[test]
    fn rows_come_back_and_the_generated_types_agree(
        rows in prop::collection::vec(row(), 1..20),
    ) {
        let streams = streams();
        let (bytes, message) = encoded(&batch(&streams, &rows));
        prop_assert_eq!(message.count as usize, rows.len());
        prop_assert_eq!(message.generation, 7);
        let again = frame::to_bytes(&messages::Frame::Batch(message.clone())).unwrap();
        prop_assert_eq!(again, bytes);
        let mut back = Collected::default();
        decode::read_batch(&message, &streams, &mut back).unwrap();
        prop_assert_eq!(back.0, rows);
    }

    #[test]
    fn damaged_bodies_are_read_or_refused(
        rows in prop::collection::vec(row(), 1..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        count in 1..100i32,
    ) {
        let streams = streams();
        let (_, mut message) = encoded(&batch(&streams, &rows));
        let mut body = message.body.to_vec();
        for (place, byte) in damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        message.body = Bytes::from(body.clone());
        let _ = decode::read_batch(&message, &streams, &mut Collected::default());
        message.count = count;
        let _ = decode::read_batch(&message, &streams, &mut Collected::default());
        body.truncate(cut.index(body.len()));
        message.body = Bytes::from(body);
        let _ = decode::read_batch(&message, &streams, &mut Collected::default());
    }

    #[test]
    fn ack_frames_agree_with_the_generated_types(
        roots in prop::collection::vec(any::<u64>(), 0..40),
    ) {
        let record = |root: &u64| AckRecord {
            root: *root,
            value: root.rotate_left(7),
            task: TaskId(5),
            kind: AckKind::Init,
        };
        let records: Vec<_> = roots.iter().map(record).collect();
        let mut bytes = Vec::new();
        acks::write_frame(&records, &mut bytes);
        let frame = wire::from_bytes::<messages::Frame>(&bytes[4..]).unwrap();
        let messages::Frame::Acks(batch) = &frame else {
            panic!("acks are acks");
        };
        let mut back = Vec::new();
        acks::read(batch.count, &batch.records, &mut back).unwrap();
        prop_assert_eq!(back, records);
        prop_assert_eq!(frame::to_bytes(&frame).unwrap(), bytes);
    }
}

fn simple(n_rows: u64) -> Vec<Row> {
    let row = |sequence| Row {
        head: TupleHead {
            sequence,
            generation: 7,
            timestamp_us: 1_700_000_000_000_000,
            source_task: TaskId(3),
            target_task: TaskId(4),
            stream: StreamNumber(2),
        },
        anchors: Vec::new(),
        values: vec![Value::Str("some data".into()), Value::Long(sequence as i64)],
    };
    (0..n_rows).map(row).collect()
}

#[test]
fn an_ordinary_tuple_is_small() {
    let (bytes, _) = encoded(&batch(&streams(), &simple(512)));
    let n_bytes = bytes.len() as f64 / 512.0;
    assert!(n_bytes < 13.0, "{n_bytes} bytes a tuple");
}

#[test]
fn what_does_not_fit_the_topology_is_refused() {
    let streams = streams();
    let (_, message) = encoded(&batch(&streams, &simple(3)));
    let refused = |change: &dyn Fn(&mut messages::MessageBatch)| {
        let mut message = message.clone();
        change(&mut message);
        decode::read_batch(&message, &streams, &mut Collected::default()).unwrap_err()
    };
    let version = refused(&|m| m.body_version = 9);
    assert_eq!(version, DecodeError::UnknownVersion { version: 9 });
    for count in [0, -1, i32::MAX] {
        assert_eq!(
            refused(&|m| m.count = count),
            DecodeError::BadCount { count }
        );
    }
    let mut other = message.body.to_vec();
    other[3] = 99;
    let unknown = refused(&|m| m.body = Bytes::from(other.clone()));
    assert_eq!(unknown, DecodeError::UnknownStream { number: 99 });
    let mut longer = message.body.to_vec();
    longer.push(0);
    let trailing = refused(&|m| m.body = Bytes::from(longer.clone()));
    assert_eq!(trailing, DecodeError::TrailingBytes { left: 1 });
}

// ---- Links ---------------------------------------------------------------------------------------

/// Collects what links bring; may be told to have no room.
struct Basket {
    streams: Arc<StreamTable>,
    rows: Mutex<Collected>,
    records: Mutex<Vec<AckRecord>>,
    is_full: watch::Sender<bool>,
    changed: Notify,
}

impl Basket {
    fn new() -> Arc<Self> {
        Arc::new(Basket {
            streams: streams(),
            rows: Mutex::default(),
            records: Mutex::default(),
            is_full: watch::channel(false).0,
            changed: Notify::new(),
        })
    }

    fn n_rows(&self) -> usize {
        self.rows.lock().unwrap().0.len()
    }

    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if condition(self) {
                    return;
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
        assert!(waited.is_ok(), "not in time: {what}");
    }
}

impl Intake for Basket {
    fn data(&self, batch: &messages::MessageBatch) -> Result<(), DecodeError> {
        let read = decode::read_batch(batch, &self.streams, &mut *self.rows.lock().unwrap());
        self.changed.notify_waiters();
        self.changed.notify_one();
        read
    }

    fn acks(&self, records: Vec<AckRecord>) {
        self.records.lock().unwrap().extend(records);
        self.changed.notify_one();
    }

    async fn room(&self, _: Option<&str>) {
        let mut is_full = self.is_full.subscribe();
        let _ = is_full.wait_for(|is_full| !*is_full).await;
    }
}

fn identity(topology_hash: u64) -> Arc<LinkIdentity> {
    Arc::new(LinkIdentity {
        topology_id: "words-1-1".to_owned(),
        topology_hash,
        node: "node".into(),
        port: 6700,
        generation: 7,
        security: LinkSecurity::Plain,
    })
}

struct Server {
    address: String,
    basket: Arc<Basket>,
    counters: Arc<ServerCounters>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(address: &str, basket: Arc<Basket>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let counters = Arc::new(ServerCounters::default());
        let (stop, stopped) = watch::channel(false);
        let serve = server::serve(
            listener,
            identity(1),
            basket.clone(),
            counters.clone(),
            stopped,
        );
        Server {
            address,
            basket,
            counters,
            stop,
            task: tokio::spawn(serve),
        }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}

fn reconnects() -> Reconnects {
    Reconnects {
        base: Duration::from_millis(1),
        ceiling: Duration::from_millis(5),
    }
}

fn peer(address: &str, capacity: usize) -> (Arc<Peer>, watch::Sender<Wanted>) {
    let peer = Arc::new(Peer::new(address, ["sink".into()], capacity, || ()));
    let (wanted, receiver) = watch::channel(Wanted::Yes);
    tokio::spawn(peer.clone().run(identity(1), reconnects(), receiver));
    (peer, wanted)
}

fn data(peer: &Peer) -> &DataOutbox {
    peer.data(&"sink".into()).unwrap()
}

fn push(peer: &Peer, rows: &[Row]) {
    let batch = batch(&streams(), rows);
    let mut bytes = data(peer).buffer();
    codec::write_frame(&batch, 0..batch.len(), &mut bytes).unwrap();
    let n_tuples = batch.len();
    data(peer).push(DataFrame { bytes, n_tuples });
}

fn record(root: u64) -> AckRecord {
    AckRecord {
        root,
        value: root,
        task: TaskId(0),
        kind: AckKind::Ack,
    }
}

#[tokio::test]
async fn data_and_acks_arrive_and_acks_do_not_wait_for_data() {
    let server = Server::start("127.0.0.1:0", Basket::new()).await;
    let (peer, wanted) = peer(&server.address, 1000);
    push(&peer, &simple(5));
    server
        .basket
        .until("rows", |basket| basket.n_rows() == 5)
        .await;
    server.basket.is_full.send_replace(true);
    push(&peer, &simple(1));
    push(&peer, &simple(1));
    peer.acks.extend(&[record(1), record(2)]);
    let has_acks = |basket: &Basket| basket.records.lock().unwrap().len() == 2;
    server.basket.until("acks", has_acks).await;
    assert!(server.basket.n_rows() <= 6);
    server.basket.is_full.send_replace(false);
    server
        .basket
        .until("the rest", |basket| basket.n_rows() == 7)
        .await;
    assert_eq!(server.basket.rows.lock().unwrap().0[..5], simple(5));
    wanted.send_replace(Wanted::No);
    server.end().await;
}

#[tokio::test]
async fn what_waits_for_a_peer_that_is_away_arrives_when_it_is_back() {
    let server = Server::start("127.0.0.1:0", Basket::new()).await;
    let address = server.address.clone();
    let (peer, _wanted) = peer(&address, 10);
    push(&peer, &simple(1));
    server
        .basket
        .until("one", |basket| basket.n_rows() == 1)
        .await;
    server.end().await;
    // The link notices by itself; what is queued meanwhile fills the outbox.
    while data(&peer).counters().n_connects() > 0 && !data(&peer).gauge.is_full() {
        push(&peer, &simple(5));
        tokio::task::yield_now().await;
    }
    assert!(data(&peer).gauge.is_full());
    let server = Server::start(&address, Basket::new()).await;
    let n_lost = || data(&peer).counters().n_lost() as usize;
    server
        .basket
        .until("the rest", |basket| basket.n_rows() + n_lost() >= 5)
        .await;
    server.end().await;
}

#[tokio::test]
async fn strangers_are_refused_and_garbage_costs_its_connection_alone() {
    let server = Server::start("127.0.0.1:0", Basket::new()).await;
    let (good, _wanted) = peer(&server.address, 1000);
    let stranger = Arc::new(Peer::new(
        server.address.clone(),
        ["sink".into()],
        10,
        || (),
    ));
    let (_other_wanted, receiver) = watch::channel(Wanted::Yes);
    tokio::spawn(stranger.clone().run(identity(2), reconnects(), receiver));
    push(&stranger, &simple(3));
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 64],
        &[0, 0, 0, 1, 0],
    ] {
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut rest = Vec::new();
        // Closed by the server, politely or not.
        let _ = stream.read_to_end(&mut rest).await;
    }
    push(&good, &simple(4));
    server
        .basket
        .until("the good ones", |basket| basket.n_rows() == 4)
        .await;
    let refused = || server.counters.n_refused() >= 4;
    while !refused() {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.basket.n_rows(), 4);
    assert_eq!(data(&stranger).counters().n_sent(), 0);
    server.end().await;
}

#[tokio::test]
async fn a_broken_frame_after_the_greeting_closes_its_link() {
    let server = Server::start("127.0.0.1:0", Basket::new()).await;
    for kind in [messages::LinkKind::Data, messages::LinkKind::Acks] {
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        let hello = messages::Frame::Hello(identity(1).hello(kind, None));
        stream
            .write_all(&frame::to_bytes(&hello).unwrap())
            .await
            .unwrap();
        stream.write_all(&[0x7f, 0xff, 0xff, 0xff]).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.is_empty(), "it was welcomed first");
    }
    while server.counters.n_broken() < 2 {
        tokio::task::yield_now().await;
    }
    server.end().await;
}

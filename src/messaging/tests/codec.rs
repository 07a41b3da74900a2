//! The codec against the generated types and against hostile bytes.

use bytes::Bytes;
use proptest::prelude::*;

use super::{EXECUTOR, Row, batch, simple, streams};
use crate::id::TaskId;
use crate::limits;
use crate::messaging::acks::{self, AckKind, AckRecord};
use crate::messaging::codec::{self, BatchHead, EncodeError};
use crate::messaging::decode::{DecodeError, Incoming};
use crate::messaging::packed::PackedError;
use crate::tuple::{Anchor, StreamNumber, TupleBatch, TupleError, TupleHead, Value};
use crate::wire::{self, messages};

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

/// The frame of a batch, as the generated types read it.
fn encoded(batch: &TupleBatch) -> (Vec<u8>, messages::MessageBatch) {
    let mut bytes = Vec::new();
    codec::write_frame(batch, 0..batch.len(), &mut bytes).unwrap();
    match wire::from_bytes::<messages::Frame>(&bytes).unwrap() {
        messages::Frame::Batch(message) => (bytes, message),
        other => panic!("a batch is a batch, not {other:?}"),
    }
}

fn read(message: &messages::MessageBatch, batch: &mut TupleBatch) -> Result<(), DecodeError> {
    Incoming::open(BatchHead::from(message), &message.body)?.read_into(batch, EXECUTOR)
}

fn decoded(message: &messages::MessageBatch) -> Result<Vec<Row>, DecodeError> {
    let mut batch = TupleBatch::new(streams());
    read(message, &mut batch)?;
    Ok(batch.iter().map(|tuple| Row::of(&tuple)).collect())
}

/// What damage does: an error leaves nothing behind.
fn read_or_refused(message: &messages::MessageBatch) {
    let mut batch = batch(&streams(), &simple(2));
    let n_before = batch.len();
    if read(message, &mut batch).is_err() {
        assert_eq!(batch.len(), n_before);
    }
    let before: Vec<Row> = batch
        .iter()
        .take(n_before)
        .map(|tuple| Row::of(&tuple))
        .collect();
    assert_eq!(before, simple(2));
    if let Ok(incoming) = Incoming::open(BatchHead::from(message), &message.body) {
        assert!(incoming.roots().count() <= crate::limits::BATCH_ANCHORS_MAX);
    }
}

/// The tuple as the generated type of one message, there and back over its bytes.
fn as_message(row: &Row) -> messages::Message {
    let message = messages::Message {
        id: messages::MessageId {
            generation: row.head.generation,
            source_task: row.head.source_task.0,
            sequence: row.head.sequence as i64,
        },
        timestamp_us: row.head.timestamp_us,
        stream: row.head.stream.0.to_string(),
        target_task: row.head.target_task.0,
        anchors: row
            .anchors
            .iter()
            .map(|anchor| messages::Anchor {
                root: anchor.root as i64,
                edge: anchor.edge as i64,
            })
            .collect(),
        values: row.values.iter().map(as_value).collect(),
    };
    wire::from_bytes(&wire::to_bytes(&message).unwrap()).unwrap()
}

fn as_value(value: &Value) -> messages::Value {
    match value {
        Value::Null => messages::Value::NullValue(wire::storm::NullStruct::default()),
        Value::Bool(v) => messages::Value::BoolValue(*v),
        Value::Byte(v) => messages::Value::ByteValue(*v),
        Value::Short(v) => messages::Value::ShortValue(*v),
        Value::Int(v) => messages::Value::IntValue(*v),
        Value::Long(v) => messages::Value::LongValue(*v),
        Value::Float(v) => messages::Value::FloatValue((*v).into()),
        Value::Double(v) => messages::Value::DoubleValue(*v),
        Value::Char(v) => messages::Value::CharValue((*v).into()),
        Value::Str(v) => messages::Value::StringValue(v.to_string()),
        Value::Bytes(v) => messages::Value::BytesValue(v.clone()),
        Value::List(items) => messages::Value::ListValue(items.iter().map(as_value).collect()),
        Value::Map(entries) => {
            let entry = |(key, value): &(Value, Value)| messages::Entry {
                key: as_value(key),
                value: as_value(value),
            };
            messages::Value::MapValue(entries.iter().map(entry).collect())
        }
        Value::BigInteger(v) => messages::Value::BigIntegerValue(Bytes::copy_from_slice(v)),
        Value::Decimal { unscaled, scale } => messages::Value::DecimalValue(messages::Decimal {
            unscaled: Bytes::copy_from_slice(unscaled),
            scale: *scale,
        }),
    }
}

proptest! {
    #[test]
    fn rows_come_back_and_the_generated_types_agree(
        rows in prop::collection::vec(row(), 1..20),
    ) {
        let (bytes, message) = encoded(&batch(&streams(), &rows));
        prop_assert_eq!(message.count as usize, rows.len());
        prop_assert_eq!(message.generation, 7);
        prop_assert_eq!(message.first_sequence as u64, rows[0].head.sequence);
        prop_assert_eq!(message.first_timestamp_us, rows[0].head.timestamp_us);
        let again = wire::to_bytes(&messages::Frame::Batch(message.clone())).unwrap();
        prop_assert_eq!(&again[..], &bytes[..]);
        let (head, body) = codec::split_frame(&bytes).unwrap();
        prop_assert_eq!(head, BatchHead::from(&message));
        prop_assert_eq!(body, &message.body[..]);
        let back = decoded(&message).unwrap();
        for (row, back) in rows.iter().zip(&back) {
            prop_assert_eq!(as_message(row), as_message(back));
        }
        prop_assert_eq!(&back, &rows);
        let incoming = Incoming::open(head, body).unwrap();
        let roots = rows.iter().flat_map(|row| &row.anchors).map(|anchor| anchor.root);
        prop_assert_eq!(incoming.roots().collect::<Vec<_>>(), roots.collect::<Vec<_>>());
    }

    #[test]
    fn damaged_bodies_are_read_or_refused(
        rows in prop::collection::vec(row(), 1..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        count in 1..100i32,
    ) {
        let (_, mut message) = encoded(&batch(&streams(), &rows));
        let mut body = message.body.to_vec();
        for (place, byte) in damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        message.body = Bytes::from(body.clone());
        read_or_refused(&message);
        message.count = count;
        read_or_refused(&message);
        body.truncate(cut.index(body.len()));
        message.body = Bytes::from(body);
        read_or_refused(&message);
    }

    #[test]
    fn any_bytes_are_a_frame_or_none(frame in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = codec::split_frame(&frame);
        let _ = acks::split_frame(&frame);
        if let Ok(incoming) = Incoming::open(HEAD, &frame) {
            let _ = incoming.read_into(&mut TupleBatch::new(streams()), EXECUTOR);
        }
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
        let frame = wire::from_bytes::<messages::Frame>(&bytes).unwrap();
        let messages::Frame::Acks(batch) = &frame else {
            panic!("acks are acks");
        };
        let mut back = Vec::new();
        acks::read(batch.count, &batch.records, &mut back).unwrap();
        prop_assert_eq!(back, records);
        prop_assert_eq!(acks::split_frame(&bytes), Some((batch.count, &batch.records[..])));
        prop_assert_eq!(&wire::to_bytes(&frame).unwrap()[..], &bytes[..]);
    }
}

#[test]
fn an_ordinary_tuple_is_small() {
    let (bytes, _) = encoded(&batch(&streams(), &simple(512)));
    let n_bytes = bytes.len() as f64 / 512.0;
    assert!(n_bytes < 13.0, "{n_bytes} bytes a tuple");
}

#[test]
fn values_travel_nested_as_deep_as_emits_take_them() {
    let nest = |depth| (0..depth).fold(Value::Long(1), |inner, _| Value::List(vec![inner]));
    let with = |value| {
        let mut rows = simple(1);
        rows[0].values[0] = value;
        rows
    };
    let deepest = with(nest(limits::VALUE_DEPTH_MAX));
    let (_, message) = encoded(&batch(&streams(), &deepest));
    assert_eq!(decoded(&message), Ok(deepest));
    let deeper = batch(&streams(), &with(nest(limits::VALUE_DEPTH_MAX + 1)));
    assert_eq!(
        codec::write_frame(&deeper, 0..1, &mut Vec::new()),
        Err(EncodeError::Value(PackedError::TooDeep))
    );
}

#[test]
fn what_does_not_fit_the_topology_is_refused() {
    let (_, message) = encoded(&batch(&streams(), &simple(3)));
    let refused = |change: &dyn Fn(&mut messages::MessageBatch)| {
        let mut message = message.clone();
        change(&mut message);
        decoded(&message).unwrap_err()
    };
    let version = refused(&|m| m.body_version = 9);
    assert_eq!(version.to_string(), "body version 9, only 2 is known here");
    for count in [0, -1, i32::MAX] {
        assert_eq!(
            refused(&|m| m.count = count),
            DecodeError::BadCount { count }
        );
    }
    let mut longer = message.body.to_vec();
    longer.push(0);
    let trailing = refused(&|m| m.body = Bytes::from(longer.clone()));
    assert_eq!(trailing, DecodeError::TrailingBytes { left: 1 });
    let mut other = simple(3);
    other[2].head.target_task = TaskId(51);
    let (_, message) = encoded(&batch(&streams(), &other));
    let expected = DecodeError::OtherExecutor {
        target: 51,
        executor: EXECUTOR,
    };
    assert_eq!(decoded(&message), Err(expected));
}

/// A body by hand: numbers that are all the same, one for each column before the values.
fn body(stream: i64, n_anchors: i64, n_values: i64) -> Vec<u8> {
    let mut body = Vec::new();
    let (sequence, timestamp, target) = (1, 0, 1);
    for number in [
        sequence, timestamp, stream, target, n_anchors, n_values, 0, 0,
    ] {
        body.push(0);
        crate::messaging::packed::put_zigzag(number, &mut body);
        crate::messaging::packed::put_zigzag(0, &mut body);
    }
    body
}

#[test]
fn what_is_only_claimed_costs_nothing() {
    let read = |body: &[u8], count| {
        let head = BatchHead { count, ..HEAD };
        let mut batch = TupleBatch::new(streams());
        let read = Incoming::open(head, body)
            .and_then(|incoming| incoming.read_into(&mut batch, EXECUTOR));
        assert!(batch.is_empty() || read.is_ok());
        read
    };
    assert_eq!(read(&body(0, 0, 0), 3), Ok(()));
    let unknown = TupleError::UnknownStream {
        stream: StreamNumber(99),
    };
    assert_eq!(read(&body(99, 0, 0), 3), Err(unknown.into()));
    for n_anchors in [1 << 30, -1] {
        let too_many = read(&body(0, n_anchors, 0), 1);
        assert_eq!(too_many, Err(PackedError::Truncated.into()));
    }
    for n_values in [1, 1 << 40, -1] {
        let too_many = read(&body(0, 0, n_values), 1);
        assert!(matches!(too_many, Err(DecodeError::TooManyValues { .. })));
    }
}

/// Each column is held against each row: what no stream has must not come to that.
#[test]
fn more_columns_than_any_stream_has_are_refused() {
    let with_columns = |n_values: i64| {
        let mut body = body(0, 0, n_values);
        for _ in 0..n_values {
            body.extend_from_slice(&1u32.to_le_bytes());
            body.push(crate::messaging::packed::tag::NULL);
        }
        let head = BatchHead { count: 1, ..HEAD };
        let incoming = Incoming::open(head, &body).unwrap();
        incoming.read_into(&mut TupleBatch::new(streams()), EXECUTOR)
    };
    let widest = with_columns(20);
    assert!(matches!(widest, Err(DecodeError::Tuple(_))), "{widest:?}");
    let wider = with_columns(21);
    assert_eq!(wider, Err(DecodeError::TooManyValues { n_values: 21 }));
}

const HEAD: BatchHead = BatchHead {
    generation: 7,
    source_task: 3,
    count: 3,
    body_version: codec::BODY_VERSION,
};

//! Batches, views and values: what goes in comes out, without an allocation for small ones.

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::id::TaskId;
use crate::testing::allocations;
use crate::values;

fn streams() -> Arc<StreamTable> {
    let info = |component: &str, stream: &str, fields: &[&str]| StreamInfo {
        component: component.into(),
        stream: stream.into(),
        fields: Fields::new(fields.iter().copied()).unwrap(),
        direct: false,
    };
    let table = StreamTable::new([
        info("words", "default", &["word", "count"]),
        info("words", "one", &["word"]),
        info("words", "none", &[]),
        info("__system", "__tick", &["rate_secs"]),
    ]);
    Arc::new(table.unwrap())
}

fn head(streams: &StreamTable, stream: &str, sequence: u64) -> TupleHead {
    TupleHead {
        sequence,
        generation: 7 << 20,
        timestamp_us: 1_700_000_000_000_000 + sequence as i64,
        source_task: TaskId(3),
        target_task: TaskId(5),
        stream: streams.number("words", stream).unwrap(),
    }
}

fn batch_of_one(values: &[ValueRef<'_>]) -> TupleBatch {
    let streams = streams();
    let mut batch = TupleBatch::new(streams.clone());
    batch
        .push(head(&streams, "default", 1), &[], values)
        .unwrap();
    batch
}

#[test]
fn a_tuple_reads_back() {
    let streams = streams();
    let mut batch = TupleBatch::new(streams.clone());
    let anchor = Anchor { root: 11, edge: 12 };
    let long = "a text that is longer than what fits into its cell";
    batch
        .push(
            head(&streams, "default", 1),
            &[anchor],
            &values!["word", 1i64],
        )
        .unwrap();
    batch
        .push(head(&streams, "default", 2), &[], &values![long, ()])
        .unwrap();
    batch
        .push(head(&streams, "none", 3), &[anchor, anchor], &values![])
        .unwrap();

    let first = batch.get(0).unwrap();
    assert_eq!(first.source_component().as_str(), "words");
    assert_eq!(first.source_stream().as_str(), "default");
    assert_eq!(
        (first.source_task(), first.target_task()),
        (TaskId(3), TaskId(5))
    );
    assert_eq!(
        first.id(),
        TupleId {
            generation: 7 << 20,
            task: TaskId(3),
            sequence: 1
        }
    );
    assert_eq!(first.timestamp_us(), 1_700_000_000_000_001);
    assert_eq!(first.anchors(), [anchor]);
    assert_eq!(first.str("word"), Ok("word"));
    assert_eq!(first.long(1), Ok(1));
    assert!(!first.is_tick());
    let second = batch.get(1).unwrap();
    assert_eq!(second.str(0), Ok(long));
    assert_eq!(second.is_null("count"), Ok(true));
    assert!(second.anchors().is_empty());
    assert_eq!(batch.get(2).unwrap().anchors(), [anchor, anchor]);
    assert!(batch.get(3).is_none());
}

#[test]
fn texts_around_the_inline_limit_read_back() {
    for length in 0..60 {
        let text = "x".repeat(length);
        let batch = batch_of_one(&values![&text, text.as_bytes()]);
        let tuple = batch.get(0).unwrap();
        assert_eq!(
            (tuple.str(0), tuple.bytes(1)),
            (Ok(text.as_str()), Ok(text.as_bytes()))
        );
    }
}

#[test]
fn errors_name_component_stream_field_and_types() {
    let batch = batch_of_one(&values!["word", 1i64]);
    let tuple = batch.get(0).unwrap();
    let check = |error: TupleError, text: &str| assert_eq!(error.to_string(), text);
    check(
        tuple.int("count").unwrap_err(),
        "field count of stream default of component words: expected int, found long",
    );
    check(
        tuple.str(1).unwrap_err(),
        "field count of stream default of component words: expected string, found long",
    );
    check(
        tuple.value("colour").unwrap_err(),
        "field colour of stream default of component words does not exist",
    );
    check(
        tuple.value(2).unwrap_err(),
        "field 2 of stream default of component words does not exist",
    );
}

#[test]
fn a_wrong_number_of_values_is_refused() {
    let streams = streams();
    let mut batch = TupleBatch::new(streams.clone());
    let error = batch
        .push(head(&streams, "default", 1), &[], &values!["word"])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "stream default of component words: 1 values for 2 declared fields"
    );
    assert!(batch.is_empty());
    let unknown = TupleHead {
        stream: StreamNumber(99),
        ..head(&streams, "one", 1)
    };
    let error = batch.push(unknown, &[], &values!["word"]).unwrap_err();
    assert_eq!(
        error,
        TupleError::UnknownStream {
            stream: StreamNumber(99)
        }
    );
    let error = batch.push_again(head(&streams, "one", 1), &[]).unwrap_err();
    assert_eq!(error, TupleError::NothingToRepeat);
}

#[test]
fn a_held_tuple_outlives_its_batch() {
    let streams = streams();
    let mut batch = TupleBatch::new(streams.clone());
    let anchors = [Anchor { root: 1, edge: 2 }, Anchor { root: 3, edge: 4 }];
    let list = Value::from(vec![Value::from(1), Value::from("two")]);
    let long = "longer than two and twenty bytes";
    batch
        .push(head(&streams, "one", 1), &anchors, &values!["before"])
        .unwrap();
    batch
        .push(
            head(&streams, "default", 2),
            &anchors,
            &values![long, &list],
        )
        .unwrap();
    batch.stamp(99);
    batch.get(1).unwrap().xor_out_ack(5);
    let held = batch.get(1).unwrap().hold();
    let expected = format!("{:?}", batch.get(1).unwrap());
    batch.clear();

    let tuple = held.view();
    assert_eq!(format!("{tuple:?}"), expected);
    assert_eq!((tuple.str(0), tuple.nested(1)), (Ok(long), Ok(&list)));
    assert_eq!(tuple.anchors(), anchors);
    assert_eq!((tuple.out_ack(), tuple.stamp_us()), (5, 99));
    tuple.xor_out_ack(4);
    assert_eq!((tuple.out_ack(), held.clone().view().out_ack()), (1, 1));
}

#[test]
fn a_shelf_knows_what_was_put_there_and_not_released() {
    let streams = streams();
    let mut batch = TupleBatch::new(streams.clone());
    let anchors = [Anchor { root: 1, edge: 2 }, Anchor { root: 3, edge: 4 }];
    let mut shelf = Shelf::default();
    for sequence in 0..1000 {
        let head = head(&streams, "default", sequence);
        batch.push(head, &anchors, &values!["word", 1i64]).unwrap();
        batch.stamp(sequence as i64);
        let tuple = batch.get(0).unwrap();
        assert_eq!(shelf.next(), Key(sequence));
        let part = [Part::All, Part::WithoutValues][sequence as usize % 2];
        assert_eq!(shelf.put(&tuple, part), Ok(Key(sequence)));
        batch.clear();
    }
    let check = |shelf: &Shelf, key: u64| {
        let tuple = shelf.get_stamped(Key(key));
        assert_eq!((tuple.id().sequence, tuple.stamp_us()), (key, key as i64));
        assert_eq!(tuple.anchors(), anchors);
        let n_values = if key.is_multiple_of(2) { 2 } else { 0 };
        assert_eq!(tuple.values().count(), n_values);
    };
    for key in (0..1000).step_by(3) {
        check(&shelf, key);
        shelf.release(Key(key));
    }
    shelf.release_below(Key(700));
    let mut here: Vec<u64> = shelf.keys().map(|key| key.0).collect();
    here.sort_unstable();
    let expected: Vec<u64> = (700..1000).filter(|key| key % 3 != 0).collect();
    assert_eq!(here, expected);
    here.iter().for_each(|key| check(&shelf, *key));
    for key in [0, 1, 699, 702, 1000, u64::MAX] {
        assert!(!shelf.has(Key(key)), "{key}");
    }
    assert!(here.iter().all(|key| shelf.has(Key(*key))));
    let lost = held::lost_by(|| shelf.note_lost(shelf.keys()));
    assert_eq!(lost, [1, 3], "each root once");
    shelf_lives_on_when_empty(&streams);
}

fn shelf_lives_on_when_empty(streams: &Arc<StreamTable>) {
    let mut batch = TupleBatch::new(streams.clone());
    let head = head(streams, "one", 7);
    batch.push(head, &[], &values!["word"]).unwrap();
    let mut shelf = Shelf::default();
    for number in 0..1000 {
        let key = shelf.put(&batch.get(0).unwrap(), Part::All).unwrap();
        assert_eq!(key, Key(number), "no key is given twice");
        shelf.release(key);
        assert_eq!(shelf.keys().count(), 0);
    }
}

#[test]
fn few_that_stay_on_a_shelf_do_not_hold_the_memory_of_others() {
    for part in [Part::All, Part::WithoutValues] {
        // Some leave before others of their slab are looked at, some after.
        for n_behind in [0, 20_000] {
            check_stragglers(part, n_behind);
        }
    }
}

fn check_stragglers(part: Part, n_behind: usize) {
    let streams = streams();
    let mut batch = TupleBatch::new(streams.clone());
    let mut shelf = Shelf::default();
    let mut staying = Vec::new();
    let mut leaving = VecDeque::new();
    let n_tuples = 100_000;
    for sequence in 0..n_tuples {
        let head = head(&streams, "default", sequence);
        batch.push(head, &[], &values!["word", 1i64]).unwrap();
        batch.stamp(1 + sequence as i64);
        let key = shelf.put(&batch.get(0).unwrap(), part).unwrap();
        batch.clear();
        match sequence % 1000 {
            0 => staying.push(key),
            _ => leaving.push_back(key),
        }
        if leaving.len() > n_behind {
            shelf.release(leaving.pop_front().unwrap());
        }
    }
    leaving.into_iter().for_each(|key| shelf.release(key));
    assert!(shelf.n_slabs() < 70, "{} slabs", shelf.n_slabs());
    let mut here: Vec<Key> = shelf.keys().collect();
    here.sort_unstable();
    assert_eq!(here, staying);
    for key in staying {
        assert!(shelf.has(key));
        let tuple = shelf.get_stamped(key);
        assert_eq!(tuple.id().sequence, key.0);
        assert_eq!(tuple.stamp_us(), 1 + key.0 as i64);
        assert!(tuple.is_empty() || tuple.str(0) == Ok("word"));
        shelf.release(key);
        assert!(!shelf.has(key));
    }
    assert_eq!(shelf.keys().count(), 0);
}

#[test]
fn further_targets_share_values() {
    let streams = streams();
    let mut batch = TupleBatch::new(streams.clone());
    let first = head(&streams, "default", 1);
    batch.push(first, &[], &values!["word", 1i64]).unwrap();
    for task in 6..9 {
        let anchor = Anchor {
            root: 1,
            edge: task as u64,
        };
        let head = TupleHead {
            target_task: TaskId(task),
            sequence: task as u64,
            ..first
        };
        batch.push_again(head, &[anchor]).unwrap();
    }
    batch.push(first, &[], &values!["other", 2i64]).unwrap();
    let read: Vec<_> = batch
        .iter()
        .map(|t| (t.target_task().0, t.str(0).unwrap()))
        .collect();
    assert_eq!(
        read,
        [
            (5, "word"),
            (6, "word"),
            (7, "word"),
            (8, "word"),
            (5, "other")
        ]
    );
    assert_eq!(
        batch.get(3).unwrap().anchors(),
        [Anchor { root: 1, edge: 8 }]
    );
}

#[test]
fn tuples_of_several_generations_share_a_batch() {
    let streams = streams();
    let mut batch = TupleBatch::new(streams.clone());
    for round in 0..2 {
        for generation in [5, 5, 9, 0, 9, -1, 5] {
            let head = TupleHead {
                generation,
                ..head(&streams, "none", round)
            };
            batch.push(head, &[], &values![]).unwrap();
        }
        let read: Vec<_> = batch.iter().map(|tuple| tuple.id().generation).collect();
        assert_eq!(read, [5, 5, 9, 0, 9, -1, 5]);
        batch.clear();
    }
}

#[test]
fn ticks_are_known_by_their_stream() {
    let streams = streams();
    let mut batch = TupleBatch::new(streams.clone());
    let stream = streams.number("__system", "__tick").unwrap();
    let tick = TupleHead {
        stream,
        source_task: TaskId::SYSTEM,
        ..head(&streams, "one", 0)
    };
    batch.push(tick, &[], &values![30]).unwrap();
    assert!(batch.get(0).unwrap().is_tick());
}

#[test]
fn the_tuple_path_allocates_nothing_once_warm() {
    let streams = streams();
    let mut batches = [
        TupleBatch::new(streams.clone()),
        TupleBatch::new(streams.clone()),
    ];
    let mut turn = |n_tuples: u64| -> usize {
        let [batch, copies] = &mut batches;
        let mut n_bytes = 0;
        for sequence in 0..n_tuples {
            let head = head(&streams, "default", sequence);
            let anchors = [
                Anchor {
                    root: sequence,
                    edge: 1,
                },
                Anchor { root: 2, edge: 3 },
            ];
            let text =
                ["short", "a text that goes to the arena of the batch"][sequence as usize % 2];
            let n_anchors = sequence as usize % 3;
            batch
                .push(head, &anchors[..n_anchors], &values![text, sequence as i64])
                .unwrap();
            batch.push_again(head, &anchors[..1]).unwrap();
        }
        for tuple in batch.iter() {
            copies.push_from(&tuple, TaskId(9)).unwrap();
            tuple.xor_out_ack(tuple.anchors().iter().map(|anchor| anchor.edge).sum());
        }
        for tuple in copies.iter() {
            n_bytes += tuple.str("word").unwrap().len() + tuple.long(1).unwrap() as usize;
        }
        batch.clear();
        copies.clear();
        n_bytes
    };
    turn(1000);
    let (n_allocations, _) = allocations::during(|| (0..10).map(|_| turn(1000)).sum::<usize>());
    assert_eq!(n_allocations, 0);
}

#[test]
fn a_huge_tuple_does_not_pin_its_memory() {
    let streams = streams();
    let mut batch = TupleBatch::new(streams.clone());
    batch
        .push(head(&streams, "one", 1), &[], &values![&vec![0u8; 8 << 20]])
        .unwrap();
    batch.clear();
    assert!(batch.arena_bytes() <= 1 << 20);
}

#[test]
fn batches_cross_threads_and_held_tuples_too() {
    fn crosses<T: Send>() {}
    crosses::<TupleBatch>();
    crosses::<HeldTuple>();
    crosses::<TupleError>();
}

#[test]
fn equality_is_that_of_java() {
    let integer = |bytes: &[u8]| Value::BigInteger(bytes.into());
    assert_ne!(Value::from(1i32), Value::from(1i64));
    assert_eq!(Value::from(f64::NAN), Value::from(-f64::NAN));
    assert_ne!(Value::from(0.0), Value::from(-0.0));
    assert_eq!(integer(&[0, 0, 5]), integer(&[5]));
    assert!(integer(&[0xff, 0x00]) < integer(&[0xff]));
    assert!(integer(&[0x80]) > integer(&[0x80, 0x00]));
    assert!(integer(&[0x7f]) < integer(&[0x00, 0x80]));
    let entries = |pairs: [(i32, &str); 2]| {
        Value::Map(
            pairs
                .map(|(key, value)| (key.into(), value.into()))
                .to_vec(),
        )
    };
    assert_eq!(entries([(1, "a"), (2, "b")]), entries([(2, "b"), (1, "a")]));
    assert_ne!(entries([(1, "a"), (2, "b")]), entries([(1, "b"), (2, "a")]));
}

pub fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i8>().prop_map(Value::Byte),
        any::<i16>().prop_map(Value::Short),
        any::<i32>().prop_map(Value::Int),
        any::<i64>().prop_map(Value::Long),
        any::<f32>().prop_map(Value::Float),
        any::<f64>().prop_map(Value::Double),
        any::<u16>().prop_map(Value::Char),
        ".{0,40}".prop_map(Value::from),
        any::<Vec<u8>>().prop_map(Value::from),
        any::<Vec<u8>>().prop_map(|bytes| Value::BigInteger(bytes.into())),
        (any::<Vec<u8>>(), any::<i32>()).prop_map(|(bytes, scale)| Value::Decimal {
            unscaled: bytes.into(),
            scale
        }),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        let entry = (inner.clone(), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::List),
            prop::collection::vec(entry, 0..4).prop_map(Value::Map),
        ]
    })
}

fn hash_of(value: &Value) -> u64 {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

proptest! {
    #[test]
    fn any_batch_reads_back(
        tuples in prop::collection::vec(
            (any_value(), any_value(), prop::collection::vec(any::<(u64, u64)>(), 0..4)),
            0..20,
        ),
    ) {
        let streams = streams();
        let mut batch = TupleBatch::new(streams.clone());
        let mut copy = TupleBatch::new(streams.clone());
        for round in 0..2 {
            for (index, (a, b, anchors)) in tuples.iter().enumerate() {
                let anchors = anchors.iter().map(|&(root, edge)| Anchor { root, edge });
                let anchors: Vec<_> = anchors.collect();
                let head = head(&streams, "default", index as u64 + round);
                batch.push(head, &anchors, &values![a, b]).unwrap();
            }
            for (index, tuple) in batch.iter().enumerate().rev() {
                let (a, b, anchors) = &tuples[index];
                prop_assert_eq!(&tuple.value(0).unwrap().to_value(), a);
                prop_assert_eq!(tuple.value("count").unwrap(), b.as_ref());
                let read: Vec<_> = tuple.anchors().iter().map(|a| (a.root, a.edge)).collect();
                prop_assert_eq!(&read, anchors);
                copy.push_from(&tuple, TaskId(8)).unwrap();
                let copied = copy.get(copy.len() - 1).unwrap();
                prop_assert_eq!(copied.id(), tuple.id());
                prop_assert_eq!(copied.anchors(), tuple.anchors());
                prop_assert!(copied.values().eq(tuple.values()));
                prop_assert!(tuple.hold().view().values().eq(tuple.values()));
            }
            batch.clear();
            copy.clear();
        }
    }

    #[test]
    fn order_equality_and_hash_agree(a in any_value(), b in any_value()) {
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(&a, &a.clone());
        prop_assert_eq!(hash_of(&a), hash_of(&a.clone()));
        prop_assert_eq!(a == b, a.as_ref() == b.as_ref());
    }

    #[test]
    fn floats_print_so_that_they_read_back(value: f64) {
        let printed = Value::from(value).to_string();
        let back: f64 = printed.replace("Infinity", "inf").parse().unwrap();
        prop_assert_eq!(Value::from(back), Value::from(value));
    }
}

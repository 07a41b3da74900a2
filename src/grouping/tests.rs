//! Groupings: Storm's recorded choices, and what holds for any input.

use proptest::prelude::*;

use super::*;
use crate::testing::{allocations, fixtures, typed};
use crate::tuple::{Value, number};
use crate::values;

fn tasks(range: std::ops::Range<i32>) -> Vec<TaskId> {
    range.map(TaskId).collect()
}

fn chosen(grouping: &mut Grouping, values: &[ValueRef<'_>]) -> Vec<i32> {
    let mut targets = Vec::new();
    grouping.choose(values, &mut targets);
    targets.into_iter().map(|task| task.0).collect()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

/// Deliberate difference: lines with a UUID. Our tuples carry none: no format that a component of
/// ours speaks has them, and as text they hash as text.
#[test]
fn fields_grouping_chooses_as_storm_does() {
    let mut tally = fixtures::Tally::new("fields-grouping/fields-grouping.jsonl");
    let mut n_uncarried = 0;
    for line in fixtures::lines("fields-grouping/fields-grouping.jsonl") {
        let values = line["values"].as_array().unwrap().iter().map(typed::value);
        let values: Option<Vec<_>> = values.collect();
        n_uncarried += usize::from(values.is_none());
        let actual = values.map(|values| {
            let key: Vec<_> = values.iter().map(Value::as_ref).collect();
            let positions: Vec<_> = (0..key.len()).collect();
            let index = (1..=17).map(|n| {
                let targets = tasks(0..n);
                let mut grouping = Grouping::Fields {
                    positions: positions.clone(),
                    targets,
                };
                chosen(&mut grouping, &key)[0]
            });
            (deep_hash(key.iter().copied()), index.collect())
        });
        let index = line["index"].as_array().unwrap().iter();
        let expected: (i32, Vec<i32>) = (
            line["hash"].as_i64().unwrap() as i32,
            index.map(|index| index.as_i64().unwrap() as i32).collect(),
        );
        tally.case(actual.as_ref() == Some(&expected), || {
            format!("{line}: {actual:?}")
        });
    }
    tally.finish(n_uncarried);
}

/// Deliberate difference: lines whose key has a UUID, as above.
#[test]
fn partial_key_grouping_chooses_as_storm_does() {
    let mut tally = fixtures::Tally::new("partial-key/partial-key.jsonl");
    let mut n_uncarried = 0;
    for line in fixtures::lines("partial-key/partial-key.jsonl") {
        let texts = |json: &serde_json::Value| -> Vec<String> {
            let texts = json.as_array().into_iter().flatten();
            texts
                .map(|text| text.as_str().unwrap().to_owned())
                .collect()
        };
        let numbers = |json: &serde_json::Value| -> Vec<i32> {
            let numbers = json.as_array().unwrap().iter();
            numbers
                .map(|number| number.as_i64().unwrap() as i32)
                .collect()
        };
        let stream = Fields::new(texts(&line["output_fields"])).unwrap();
        let key = texts(&line["fields"]);
        let targets = numbers(&line["tasks"]).into_iter().map(TaskId).collect();
        let mut grouping = Grouping::partial_key(&stream, &key, targets).unwrap();
        let is_key = |index: usize| match key.is_empty() {
            true => index == 0,
            false => key.iter().any(|name| stream.position(name) == Some(index)),
        };
        // What is no part of the key may be of any type.
        let tuple = |values: &serde_json::Value| -> Option<Vec<Value>> {
            let values = values.as_array().unwrap().iter().enumerate();
            let value = |(index, value)| match is_key(index) {
                true => typed::value(value),
                false => Some(Value::Null),
            };
            values.map(value).collect()
        };
        let tuples: Option<Vec<_>> = line["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(tuple)
            .collect();
        n_uncarried += usize::from(tuples.is_none());
        let actual: Option<Vec<_>> = tuples.map(|tuples| {
            let choose = |values: &Vec<Value>| {
                let values: Vec<_> = values.iter().map(Value::as_ref).collect();
                chosen(&mut grouping, &values)[0]
            };
            tuples.iter().map(choose).collect()
        });
        let expected: Vec<_> = line["chosen"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(numbers)
            .collect();
        tally.case(actual.as_ref() == Some(&expected), || {
            format!("{line}: {actual:?}")
        });
    }
    tally.finish(n_uncarried);
}

#[test]
fn hashes_are_those_of_java() {
    let check = |values: &[ValueRef<'_>], hash: i32| {
        assert_eq!(deep_hash(values.iter().copied()), hash, "{values:?}");
    };
    check(&[], 1);
    check(&values![()], 31);
    check(&values!["word"], 3655465);
    check(&values!["h\u{e9}"], 3488);
    check(&values!["\u{1F600}"], 1772930);
    check(&values![-1i32], 30);
    check(&values![-1i64], 31);
    check(&values![0x0102030405060708i64], 67372075);
    check(&values![-0.0f64], -2147483617);
    check(&values![-f64::NAN], 2146959391);
    check(&values![&[1, 2, 0xfd]], 30842);
    check(&values!["a", 1], 3969);
    let list = Value::List(vec![1.into(), Value::List(vec![2.into(), 3.into()])]);
    check(&values![&list], 2049);
    let map = Value::Map(vec![("k".into(), 7i64.into()), ("j".into(), Value::Null)]);
    check(&values![&map], 245);
    let big = |digits| number::from_decimal(digits).unwrap();
    check(&values![&Value::BigInteger(big("258"))], 289);
    check(
        &values![&Value::BigInteger(big("-18446744073709551616"))],
        -930,
    );
    check(
        &values![&Value::Decimal {
            unscaled: big("1250"),
            scale: 2
        }],
        38783,
    );
}

#[test]
fn shuffle_goes_round_and_starts_at_the_second() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut grouping = Grouping::shuffle(tasks(1..6), &mut random);
        let first: Vec<_> = (0..5).flat_map(|_| chosen(&mut grouping, &[])).collect();
        let second: Vec<_> = (0..5).flat_map(|_| chosen(&mut grouping, &[])).collect();
        assert_eq!(first, second);
        let mut all = first.clone();
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3, 4, 5]);
        let mut permuted = tasks(1..6);
        fastrand::Rng::with_seed(seed).shuffle(&mut permuted);
        assert_eq!(first[0], permuted[1].0);
    }
    let mut one = Grouping::shuffle(tasks(4..5), &mut fastrand::Rng::with_seed(1));
    assert_eq!([chosen(&mut one, &[]), chosen(&mut one, &[])], [[4], [4]]);
}

#[test]
fn local_or_shuffle_stays_near_while_it_can() {
    let build = |n_far: i32| {
        let subscription = Subscription {
            stream: &Fields::new(["a"]).unwrap(),
            tasks: tasks(1..9),
            locality: &|task| match task.0 > n_far {
                true => Locality::Worker,
                false => Locality::Host,
            },
            reach: None,
        };
        let asked = storm::Grouping::LocalOrShuffle(storm::NullStruct::default());
        let mut random = fastrand::Rng::with_seed(1);
        Grouping::of_topology(&asked, subscription, &mut random).unwrap()
    };
    let (mut near, mut far) = (build(6), build(8));
    let pick = |grouping: &mut Grouping| -> Vec<_> {
        let mut picked: Vec<_> = (0..8).flat_map(|_| chosen(grouping, &[])).collect();
        picked.sort_unstable();
        picked
    };
    assert_eq!(pick(&mut near), [7, 7, 7, 7, 8, 8, 8, 8]);
    assert_eq!(pick(&mut far), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn the_others_choose_as_they_are_named() {
    let mut random = fastrand::Rng::with_seed(1);
    assert_eq!(chosen(&mut Grouping::all(tasks(3..6)), &[]), [3, 4, 5]);
    assert_eq!(chosen(&mut Grouping::global(tasks(3..6)), &[]), [3]);
    assert!(chosen(&mut Grouping::direct(tasks(3..6)), &[]).is_empty());
    let mut none = Grouping::none(tasks(3..6), &mut random);
    let picked: std::collections::BTreeSet<_> =
        (0..100).flat_map(|_| chosen(&mut none, &[])).collect();
    assert_eq!(picked, [3, 4, 5].into());
}

#[test]
fn a_component_without_tasks_gets_nothing() {
    let mut random = fastrand::Rng::with_seed(1);
    let stream = Fields::new(["a"]).unwrap();
    let by_a = names(&["a"]);
    let groupings = [
        Grouping::all(vec![]),
        Grouping::shuffle(vec![], &mut random),
        Grouping::fields(&stream, &by_a, vec![]).unwrap(),
        Grouping::fields(&stream, &[], vec![]).unwrap(),
        Grouping::global(vec![]),
        Grouping::none(vec![], &mut random),
        Grouping::partial_key(&stream, &by_a, vec![]).unwrap(),
        Grouping::direct(vec![]),
    ];
    for mut grouping in groupings {
        assert!(
            chosen(&mut grouping, &values!["x"]).is_empty(),
            "{grouping:?}"
        );
    }
}

#[test]
fn unknown_fields_are_refused() {
    let stream = Fields::new(["a"]).unwrap();
    let error = GroupingError::NoSuchField { field: "b".into() };
    let by_b = names(&["b"]);
    assert_eq!(Grouping::fields(&stream, &by_b, vec![]).unwrap_err(), error);
    assert_eq!(
        Grouping::partial_key(&stream, &by_b, vec![]).unwrap_err(),
        error
    );
}

#[test]
fn a_topologys_groupings_are_those_it_asks_for() {
    let stream = Fields::new(["a", "b"]).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut build = |asked: storm::Grouping| {
        let subscription = Subscription {
            stream: &stream,
            tasks: tasks(1..4),
            locality: &|task| match task.0 {
                2 => Locality::Worker,
                _ => Locality::Rack,
            },
            reach: Some(Reach {
                widens_above: 0.8,
                narrows_below: 0.2,
            }),
        };
        Grouping::of_topology(&asked, subscription, &mut random)
    };
    let none = storm::NullStruct::default();
    let by_b = storm::Grouping::Fields(names(&["b"]));
    assert!(matches!(build(by_b), Ok(Grouping::Fields { positions, .. }) if positions == [1]));
    assert!(matches!(
        build(storm::Grouping::Fields(vec![])),
        Ok(Grouping::Global(Some(TaskId(1))))
    ));
    let mut near = build(storm::Grouping::LocalOrShuffle(none.clone())).unwrap();
    assert_eq!(chosen(&mut near, &[]), [2]);
    assert!(matches!(
        build(storm::Grouping::All(none.clone())),
        Ok(Grouping::All(_))
    ));
    assert!(matches!(
        build(storm::Grouping::None(none.clone())),
        Ok(Grouping::None { .. })
    ));
    assert!(matches!(
        build(storm::Grouping::Direct(none)),
        Ok(Grouping::Direct(_))
    ));
    let object = |class: &str| {
        storm::Grouping::CustomObject(storm::JavaObject {
            full_class_name: class.into(),
            args_list: vec![storm::JavaObjectArg::StringArg("a".into())],
        })
    };
    let mut first = |n| {
        build(storm::Grouping::CustomObject(storm::JavaObject {
            full_class_name: "org.apache.storm.testing.NGrouping".into(),
            args_list: vec![storm::JavaObjectArg::IntArg(n)],
        }))
    };
    assert!(matches!(first(1), Ok(Grouping::All(tasks)) if tasks.len() == 1));
    assert!(matches!(
        first(99),
        Err(GroupingError::TooFew { n: 99, .. })
    ));
    let partial = build(object("org.apache.storm.grouping.PartialKeyGrouping"));
    assert!(matches!(partial, Ok(Grouping::PartialKey(_))));
    assert_eq!(
        build(object("a.b.C")).unwrap_err().to_string(),
        "grouping a.b.C is a Java class that has no equivalent here"
    );
    let serialized = storm::Grouping::CustomSerialized(vec![1].into());
    assert_eq!(build(serialized).unwrap_err(), GroupingError::Serialized);
    assert_eq!(
        build(storm::Grouping::Unset).unwrap_err(),
        GroupingError::Unset
    );
}

#[test]
fn direct_subscribers_refuse_plain_emits_and_others_direct_ones() {
    let (a, b, c) = ("a".into(), "b".into(), "c".into());
    let mut targets = Vec::new();
    let mut plain = Subscribers::new(vec![
        (a, Grouping::all(tasks(1..3))),
        (b, Grouping::global(tasks(5..7))),
    ]);
    plain.choose(TaskId(1), &[], &mut targets).unwrap();
    assert_eq!(targets, [TaskId(1), TaskId(2), TaskId(5)]);
    let b = ComponentId::from("b");
    assert_eq!(
        plain.choose_direct(TaskId(5), &b, &mut targets),
        Err(GroupingError::NotDirect {
            subscriber: b.clone(),
            task: TaskId(5)
        })
    );

    targets.clear();
    let mut direct = Subscribers::new(vec![
        ("a".into(), Grouping::all(tasks(1..3))),
        (b.clone(), Grouping::direct(tasks(5..7))),
    ]);
    assert_eq!(
        direct.choose(TaskId(1), &[], &mut vec![]),
        Err(GroupingError::DirectOnly {
            subscriber: b.clone()
        })
    );
    direct.choose_direct(TaskId(6), &b, &mut targets).unwrap();
    direct.choose_direct(TaskId(9), &c, &mut targets).unwrap();
    assert_eq!(targets, [TaskId(6)]);
}

#[test]
fn choosing_allocates_nothing() {
    let mut random = fastrand::Rng::with_seed(1);
    let stream = Fields::new(["a", "b"]).unwrap();
    let mut subscribers = Subscribers::new(vec![
        ("all".into(), Grouping::all(tasks(1..9))),
        (
            "shuffle".into(),
            Grouping::shuffle(tasks(1..9), &mut random),
        ),
        (
            "fields".into(),
            Grouping::fields(&stream, &names(&["b"]), tasks(1..9)).unwrap(),
        ),
        ("global".into(), Grouping::global(tasks(1..9))),
        ("none".into(), Grouping::none(tasks(1..9), &mut random)),
        (
            "first".into(),
            Grouping::partial_key(&stream, &[], tasks(1..9)).unwrap(),
        ),
        (
            "partial".into(),
            Grouping::partial_key(&stream, &names(&["b"]), tasks(1..9)).unwrap(),
        ),
    ]);
    let mut targets = Vec::with_capacity(64);
    let (n_allocations, _) = allocations::during(|| {
        for n in 0..100i64 {
            targets.clear();
            subscribers
                .choose(TaskId(1), &values![n as f64, "word"], &mut targets)
                .unwrap();
        }
    });
    assert_eq!((n_allocations, targets.len()), (0, 14));
}

proptest! {
    #[test]
    fn equal_values_share_a_target_in_range(
        key in crate::tuple::any_value(),
        other in crate::tuple::any_value(),
        n in 1..40i32,
    ) {
        let stream = Fields::new(["other", "key"]).unwrap();
        let targets = tasks(10..10 + n);
        let mut by_key = Grouping::fields(&stream, &names(&["key"]), targets.clone()).unwrap();
        let first = chosen(&mut by_key, &values![(), &key]);
        prop_assert_eq!(&first, &chosen(&mut by_key, &values![&other, &key.clone()]));
        prop_assert!(first.len() == 1 && (10..10 + n).contains(&first[0]));

        let mut partial = Grouping::partial_key(&stream, &names(&["key"]), targets).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        seen.extend((0..20).flat_map(|_| chosen(&mut partial, &values![&other, &key])));
        prop_assert!(seen.len() <= 2 && seen.iter().all(|task| (10..10 + n).contains(task)));
    }

    #[test]
    fn strings_hash_by_utf16_units(text in ".{0,30}|[ -~]{0,30}") {
        let expected = text
            .encode_utf16()
            .fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
        prop_assert_eq!(java_hash(ValueRef::Str(&text)), expected);
    }

    #[test]
    fn drawn_roots_prefer_their_acker_and_name_their_slot(
        seed: u64,
        n_ackers in 1..100usize,
        preferred: proptest::sample::Index,
        slot in 0..1u32 << SLOT_BITS,
    ) {
        let mut random = fastrand::Rng::with_seed(seed);
        let preferred = preferred.index(n_ackers);
        let root = draw_root(&mut random, n_ackers, Some(preferred), slot);
        prop_assert_eq!(acker_index(root, n_ackers), preferred);
        prop_assert_eq!(slot_of(root), slot);
        // The acker is chosen by fields grouping on the root as a Long.
        let by_root = deep_hash(values![root as i64]).rem_euclid(n_ackers as i32);
        prop_assert_eq!(by_root as usize, preferred);
        let free = draw_root(&mut random, n_ackers, None, slot);
        prop_assert_eq!(slot_of(free), slot);
        prop_assert_ne!(free, root);
    }
}

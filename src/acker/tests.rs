//! The ledger and the pending table: Storm's recorded runs and simple models.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::grouping::draw_root;
use crate::id::TaskId;
use crate::testing::{allocations, fixtures};
use crate::tuple::{StreamNumber, Value};

fn integer(json: &Json) -> i64 {
    json.as_i64().expect("an integer")
}

/// The record of an acker's input tuple; `None` for streams that it does not know.
fn record(stream: &str, values: &Json) -> Option<LedgerRecord> {
    let root = integer(&values[0]) as u64;
    Some(match stream {
        "__ack_init" => LedgerRecord::Init {
            root,
            value: integer(&values[1]) as u64,
            spout_task: TaskId(integer(&values[2]) as i32),
        },
        "__ack_ack" => LedgerRecord::Ack {
            root,
            value: integer(&values[1]) as u64,
        },
        "__ack_fail" => LedgerRecord::Fail { root },
        "__ack_reset_timeout" => LedgerRecord::Reset { root },
        _ => return None,
    })
}

/// What Storm's acker emits for a notice.
fn emitted(notice: Notice) -> Json {
    let stream = match notice.outcome {
        Outcome::Acked => "__ack_ack",
        Outcome::Failed => "__ack_fail",
        Outcome::Reset => "__ack_reset_timeout",
    };
    let values = json!([notice.root as i64, notice.elapsed_ms]);
    json!({"op": "emit_direct", "task": notice.spout_task.0, "stream": stream, "values": values})
}

#[test]
fn the_ledger_answers_as_storms_acker_does() {
    let mut tally = fixtures::Tally::new("acker/acker.jsonl");
    for line in fixtures::lines("acker/acker.jsonl") {
        let mut ledger = AckLedger::new();
        let mut now_ms = 0;
        let mut out = Vec::new();
        for step in line["steps"].as_array().unwrap() {
            now_ms += integer(&step["advance_ms"]);
            let stream = step["stream"].as_str().unwrap();
            let mut answers = Vec::new();
            if stream == "__tick" {
                ledger.handle_tick();
            } else if let Some(record) = record(stream, &step["values"]) {
                answers.extend(ledger.handle(record, now_ms).map(emitted));
                answers.push(json!({"op": "ack"}));
            }
            out.push(Json::from(answers));
        }
        let expected: Vec<_> = line["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["out"].clone())
            .collect();
        let first = (0..out.len()).find(|index| out[*index] != expected[*index]);
        tally.case(first.is_none(), || {
            let index = first.unwrap();
            format!("step {index}: {} but {}", line["steps"][index], out[index])
        });
    }
    tally.finish(0);
}

fn pending(n: i64) -> Pending {
    Pending {
        task: TaskId(1),
        stream: StreamNumber(0),
        id: Value::Long(n),
        emitted_us: 0,
    }
}

/// A notice and what follows from it.
fn done(table: &mut PendingTable, root: u64, outcome: Outcome) -> Option<Pending> {
    let pending = table.handle_done(root, outcome)?.clone();
    table.release(root);
    Some(pending)
}

fn emit(table: &mut PendingTable, random: &mut fastrand::Rng, n: i64) -> u64 {
    let root = draw_root(random, 3, Some(1), table.next_slot().unwrap());
    table.handle_emit(root, pending(n));
    root
}

#[test]
fn what_is_pending_expires_at_its_second_tick() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut table = PendingTable::new(Some(3));
    let mut expired = Vec::new();
    let first = emit(&mut table, &mut random, 1);
    let second = emit(&mut table, &mut random, 2);
    table.handle_tick(&mut expired);
    let third = emit(&mut table, &mut random, 3);
    assert!(table.is_full() && expired.is_empty());
    assert_eq!(done(&mut table, second, Outcome::Reset), None);
    table.handle_tick(&mut expired);
    assert_eq!((expired.as_slice(), table.len()), (&[pending(1)][..], 2));
    assert_eq!(done(&mut table, first, Outcome::Acked), None);
    assert_eq!(done(&mut table, third, Outcome::Failed), Some(pending(3)));
    assert_eq!(done(&mut table, third, Outcome::Failed), None);
    table.handle_tick(&mut expired);
    assert_eq!(
        (expired.as_slice(), table.len()),
        (&[pending(1), pending(2)][..], 0)
    );
}

#[test]
fn acking_allocates_nothing_once_warm() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut table = PendingTable::new(Some(1000));
    let mut ledger = AckLedger::new();
    let (mut records, mut notices) = (Vec::new(), Vec::new());
    let mut turn = || {
        records.clear();
        for n in 0..1000 {
            let root = emit(&mut table, &mut random, n);
            let edge = random.u64(..);
            records.push(LedgerRecord::Ack { root, value: edge });
            records.push(LedgerRecord::Init {
                root,
                value: edge,
                spout_task: TaskId(1),
            });
        }
        records.reverse();
        notices.extend(
            records
                .iter()
                .filter_map(|record| ledger.handle(*record, 1)),
        );
        notices
            .drain(..)
            .filter_map(|n| done(&mut table, n.root, n.outcome))
            .count()
    };
    turn();
    let (n_allocations, n_done) = allocations::during(|| (0..10).map(|_| turn()).sum::<usize>());
    assert_eq!((n_allocations, n_done), (0, 10_000));
}

/// Roots of strangers, however many and wherever they point, cost their own memory and time and
/// lose nobody else's tree.
#[test]
fn a_crowd_of_foreign_roots_disturbs_nobody() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut table = PendingTable::new(None);
    let mut ledger = AckLedger::with_max(20_000);
    let init = |root, value| LedgerRecord::Init {
        root,
        value,
        spout_task: TaskId(1),
    };
    let own: Vec<u64> = (0..2000)
        .map(|n| emit(&mut table, &mut random, n))
        .collect();
    for root in &own[..1000] {
        assert_eq!(ledger.handle(init(*root, 7), 1), None);
    }
    // All of one slot, then of slots at random.
    for n in 0..9000u64 {
        assert_eq!(
            ledger.handle(
                LedgerRecord::Ack {
                    root: n << 32 | 5,
                    value: 1
                },
                1
            ),
            None
        );
        assert_eq!(
            ledger.handle(
                LedgerRecord::Ack {
                    root: random.u64(..),
                    value: 1
                },
                1
            ),
            None
        );
    }
    for root in &own[1000..] {
        assert_eq!(ledger.handle(init(*root, 7), 1), None);
    }
    // It is full: what it does not know yet is refused, and nothing else.
    assert_eq!((ledger.len(), ledger.take_refused()), (20_000, 0));
    assert_eq!(ledger.handle(init(u64::MAX, 0), 1), None);
    assert_eq!((ledger.len(), ledger.take_refused()), (20_000, 1));
    for root in &own {
        let notice = ledger.handle(
            LedgerRecord::Ack {
                root: *root,
                value: 7,
            },
            1,
        );
        assert_eq!(
            notice.map(|n| (n.root, n.outcome)),
            Some((*root, Outcome::Acked))
        );
    }
    for _ in 0..3 {
        ledger.handle_tick();
    }
    assert!(ledger.is_empty());
}

/// A tree as one would write it down without thinking of buckets or bits: when it was last put, the
/// values that were XORed into it.
#[derive(Clone, Default)]
struct NaiveTree {
    values: Vec<u64>,
    spout_task: Option<i32>,
    is_failed: bool,
    put_at_tick: u32,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Tick,
    Take(LedgerRecord),
}

fn any_step() -> impl Strategy<Value = Step> {
    // Several that name the same slot, with the same salt and with another one.
    let high = prop_oneof![Just(0u64), Just(1 << 24), Just(1 << 32), Just(7 << 40)];
    let root = (0..3u64, high).prop_map(|(slot, high)| high | slot);
    let value = 0..4u64;
    prop_oneof![
        1 => Just(Step::Tick),
        3 => (root.clone(), value.clone(), 0..3i32).prop_map(|(root, value, task)| {
            Step::Take(LedgerRecord::Init { root, value, spout_task: TaskId(task) })
        }),
        6 => (root.clone(), value).prop_map(|(root, value)| {
            Step::Take(LedgerRecord::Ack { root, value })
        }),
        1 => root.clone().prop_map(|root| Step::Take(LedgerRecord::Fail { root })),
        1 => root.prop_map(|root| Step::Take(LedgerRecord::Reset { root })),
    ]
}

fn naive_outcome(tree: &NaiveTree, record: LedgerRecord) -> Option<Outcome> {
    tree.spout_task?;
    if tree.values.iter().fold(0, |all, value| all ^ value) == 0 {
        return Some(Outcome::Acked);
    }
    if tree.is_failed {
        return Some(Outcome::Failed);
    }
    matches!(record, LedgerRecord::Reset { .. }).then_some(Outcome::Reset)
}

proptest! {
    #[test]
    fn the_ledger_agrees_with_a_naive_one(steps in prop::collection::vec(any_step(), 0..200)) {
        let mut ledger = AckLedger::new();
        let mut naive: HashMap<u64, NaiveTree> = HashMap::new();
        let mut tick = 0;
        for step in steps {
            let Step::Take(record) = step else {
                tick += 1;
                ledger.handle_tick();
                naive.retain(|_, tree| tick - tree.put_at_tick < 3);
                continue;
            };
            let fresh = NaiveTree { put_at_tick: tick, ..NaiveTree::default() };
            let tree = naive.entry(record.root()).or_insert(fresh);
            match record {
                LedgerRecord::Init { value, spout_task, .. } => {
                    tree.values.push(value);
                    tree.spout_task = Some(spout_task.0);
                }
                LedgerRecord::Ack { value, .. } => tree.values.push(value),
                LedgerRecord::Fail { .. } => {
                    tree.is_failed = true;
                    tree.put_at_tick = tick;
                }
                LedgerRecord::Reset { .. } => tree.put_at_tick = tick,
            }
            let expected = naive_outcome(tree, record).map(|outcome| (outcome, tree.spout_task));
            if matches!(expected, Some((Outcome::Acked | Outcome::Failed, _))) {
                naive.remove(&record.root());
            }
            let actual = ledger.handle(record, 0);
            prop_assert_eq!(actual.map(|n| (n.outcome, Some(n.spout_task.0))), expected);
            prop_assert_eq!(ledger.len(), naive.len());
        }
    }

    /// Every emit is over exactly once: acked, failed or expired, whatever notices arrive, in any
    /// order and however often.
    #[test]
    fn every_emit_is_over_once(
        seed: u64,
        steps in prop::collection::vec((0..8u8, any::<prop::sample::Index>()), 0..300),
    ) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut table = PendingTable::new(None);
        let mut roots: Vec<u64> = Vec::new();
        // What is pending, with the ticks seen since its emit or reset.
        let mut model: BTreeMap<usize, u32> = BTreeMap::new();
        let mut expired = Vec::new();
        for (step, index) in steps {
            match step {
                0..4 => {
                    let n = roots.len();
                    roots.push(emit(&mut table, &mut random, n as i64));
                    model.insert(n, 0);
                }
                4..7 if !roots.is_empty() => {
                    let n = index.index(roots.len());
                    let outcomes = [Outcome::Acked, Outcome::Failed, Outcome::Reset];
                    let outcome = outcomes[step as usize - 4];
                    let done = done(&mut table, roots[n], outcome);
                    if outcome == Outcome::Reset {
                        prop_assert_eq!(done, None);
                        model.entry(n).and_modify(|ticks| *ticks = 0);
                    } else {
                        let expected = model.remove(&n).map(|_| pending(n as i64));
                        prop_assert_eq!(done, expected);
                    }
                }
                _ => {
                    table.handle_tick(&mut expired);
                    model.values_mut().for_each(|ticks| *ticks += 1);
                    let gone: Vec<_> =
                        model.extract_if(.., |_, ticks| *ticks >= 2).map(|(n, _)| n).collect();
                    expired.sort_by(|a, b| a.id.cmp(&b.id));
                    let expected: Vec<_> = gone.into_iter().map(|n| pending(n as i64)).collect();
                    prop_assert_eq!(&expired, &expected);
                    expired.clear();
                }
            }
            prop_assert_eq!(table.len(), model.len());
        }
    }
}

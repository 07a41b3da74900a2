//! Each grouping reaches the tasks it should, through a whole engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use super::support::*;
use crate::component::{Collector, Result, Spout, SpoutCollector, SpoutEmit, TaskContext};
use crate::conf::keys;
use crate::id::TaskId;
use crate::tuple::{Tuple, Value};
use crate::values;
use crate::wire::storm::{Grouping, JavaObject, JavaObjectArg, NullStruct};

type Seen = Arc<Mutex<BTreeMap<i64, Vec<TaskId>>>>;

/// Sends 1200 numbers to four tasks; gives the tasks by number.
fn deliveries(grouping: Grouping) -> BTreeMap<i64, Vec<TaskId>> {
    deliveries_of(Topology::new(), grouping)
}

fn deliveries_of(topology: Topology, grouping: Grouping) -> BTreeMap<i64, Vec<TaskId>> {
    let seen: Seen = Arc::default();
    let sink = seen.clone();
    let events = Events::new();
    let spout_events = events.clone();
    let engine = topology
        .spout(("spout", 1), &["number"], move || {
            Numbers::new(1200, &spout_events)
        })
        .bolt(("sink", 4), &[], move || recorder(&sink))
        .connect("spout", "sink", grouping)
        .run(threads(2));
    events.wait_for(1200);
    assert_eq!(engine.take_errors(), []);
    stop(engine);
    let seen = seen.lock().unwrap();
    seen.clone()
}

fn recorder(
    seen: &Seen,
) -> BoltFn<impl FnMut(&Tuple<'_>, &mut Collector<'_>) -> Result<()> + Send + use<>> {
    let seen = seen.clone();
    BoltFn(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
        let number = tuple.long("number")?;
        let mut seen = seen.lock().unwrap();
        seen.entry(number).or_default().push(tuple.target_task());
        out.ack(tuple);
        Ok(())
    })
}

fn per_task(deliveries: &BTreeMap<i64, Vec<TaskId>>) -> BTreeMap<TaskId, usize> {
    let mut counts = BTreeMap::new();
    for task in deliveries.values().flatten() {
        *counts.entry(*task).or_default() += 1;
    }
    counts
}

fn check_one_each(grouping: Grouping) -> BTreeMap<TaskId, usize> {
    let deliveries = deliveries(grouping);
    assert_eq!(deliveries.len(), 1200);
    assert!(deliveries.values().all(|tasks| tasks.len() == 1));
    per_task(&deliveries)
}

#[test]
fn shuffle_is_even() {
    for grouping in [shuffle(), Grouping::LocalOrShuffle(NullStruct::default())] {
        let in_turn = Topology::new().conf(keys::TOPOLOGY_DISABLE_LOADAWARE_MESSAGING, true);
        let counts = per_task(&deliveries_of(in_turn, grouping.clone()));
        assert_eq!(counts.into_values().collect::<Vec<_>>(), [300; 4]);
        // By load the turns of a thousand are drawn, and nobody here is so much slower.
        let counts = check_one_each(grouping);
        assert_eq!(counts.len(), 4);
        assert!(counts.values().all(|n| *n >= 150), "{counts:?}");
    }
}

#[test]
fn none_and_partial_key_reach_all_tasks() {
    assert_eq!(
        check_one_each(Grouping::None(NullStruct::default())).len(),
        4
    );
    let partial_key = Grouping::CustomObject(JavaObject {
        full_class_name: "org.apache.storm.grouping.PartialKeyGrouping".to_owned(),
        args_list: vec![JavaObjectArg::StringArg("number".to_owned())],
    });
    assert_eq!(check_one_each(partial_key).len(), 4);
}

#[test]
fn fields_follow_storms_hash() {
    let deliveries = deliveries(fields(&["number"]));
    let tasks: BTreeSet<_> = deliveries.values().flatten().copied().collect();
    let tasks: Vec<_> = tasks.into_iter().collect();
    for (number, got) in deliveries {
        assert_eq!(got, [tasks[(31 + number as usize) % 4]], "{number}");
    }
}

#[test]
fn global_takes_the_lowest_task_and_all_takes_each() {
    let global = check_one_each(fields(&[]));
    assert_eq!(global.len(), 1);
    let all = deliveries(Grouping::All(NullStruct::default()));
    let counts = per_task(&all);
    assert_eq!(counts.values().copied().collect::<Vec<_>>(), [1200; 4]);
    assert_eq!(counts.keys().next(), global.keys().next());
}

/// Emits one number to each task of `sink`, and learns where it went.
struct Director {
    next: i64,
    tasks: Vec<TaskId>,
    events: Arc<Events<Value>>,
}

impl Spout for Director {
    fn open(&mut self, context: &TaskContext) -> Result<()> {
        self.tasks = context.tasks_of("sink").collect();
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        let Some(task) = self.tasks.pop() else {
            return Ok(());
        };
        let n_before = out.n_pending();
        assert!(out.emit(values![0i64]).is_err(), "the stream is direct");
        let refused = out.emit_reliable(values![0i64], Value::Long(-1));
        assert!(refused.is_err(), "the stream is direct");
        assert_eq!(
            out.n_pending(),
            n_before,
            "nobody waits for what was refused"
        );
        let mut told = vec![TaskId(99)];
        let emit = SpoutEmit {
            direct: Some(task),
            id: Some(Value::Long(self.next)),
            task_ids: Some(&mut told),
            ..SpoutEmit::default()
        };
        out.emit_with(emit, values![self.next])?;
        assert_eq!(told, [task]);
        self.next += 1;
        Ok(())
    }

    fn ack(&mut self, id: &Value) {
        self.events.push(id.clone());
    }
}

#[test]
fn direct_reaches_the_task_that_is_named() {
    for n_ackers in [1, 0] {
        let seen: Seen = Arc::default();
        let sink = seen.clone();
        let events = Events::new();
        let spout_events = events.clone();
        let engine = Topology::new()
            .conf(keys::TOPOLOGY_ACKER_EXECUTORS, n_ackers)
            .spout(("spout", 1), &["number"], move || Director {
                next: 0,
                tasks: Vec::new(),
                events: spout_events.clone(),
            })
            .bolt(("sink", 3), &[], move || recorder(&sink))
            .connect("spout", "sink", Grouping::Direct(NullStruct::default()))
            .run(threads(2));
        let mut acked = events.wait_for(3);
        acked.sort_by_key(|id| format!("{id:?}"));
        assert_eq!(acked, [0, 1, 2].map(Value::Long));
        // Without ackers, before they arrive.
        eventually("all arrive", || seen.lock().unwrap().len() == 3);
        assert_eq!(engine.take_errors(), []);
        stop(engine);
        let counts = per_task(&seen.lock().unwrap());
        assert_eq!(counts.into_values().collect::<Vec<_>>(), [1; 3]);
    }
}

//! What stands between source and sink: one function for each shape.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use stormwire::prelude::*;

use super::{Ends, ID};

/// A bolt that is one function.
struct Each<F>(F);

impl<F> Bolt for Each<F>
where
    F: FnMut(&Tuple<'_>, &mut Collector<'_>) -> Result<()> + Send,
{
    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        (self.0)(tuple, out)
    }
}

/// The same, and it may block its thread.
struct Blocking<F>(F);

impl<F> Bolt for Blocking<F>
where
    F: FnMut(&Tuple<'_>, &mut Collector<'_>) -> Result<()> + Send,
{
    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        (self.0)(tuple, out)
    }

    fn blocks(&self) -> bool {
        true
    }
}

fn id_of(tuple: &Tuple<'_>) -> Result<[i64; 3]> {
    let [partition, seq, attempt] = ID;
    Ok([
        tuple.long(partition)?,
        tuple.long(seq)?,
        tuple.long(attempt)?,
    ])
}

/// Passes on the id alone.
fn pass(tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
    let [partition, seq, attempt] = id_of(tuple)?;
    out.emit(tuple, values![partition, seq, attempt])?;
    out.ack(tuple);
    Ok(())
}

/// All ids of a partition go to the same task, by a grouping that is code of this program.
pub fn relay(topology: &mut TopologyBuilder, ends: &Ends) {
    fn by_partition(choice: &Choice<'_>) -> Option<TaskId> {
        let Some(ValueRef::Long(partition)) = choice.values.first() else {
            return None;
        };
        let index = *partition as usize % choice.tasks.len();
        choice.tasks.get(index).copied()
    }
    topology
        .set_bolt("relay", 2, || Each(pass))
        .custom_grouping("source", by_partition)
        .output_fields(ID)
        .tasks(6);
    ends.sink(topology).shuffle_grouping("relay").tasks(3);
}

/// A bolt that sleeps for as long as the file `nap` is there, and gets a kilobyte with each id.
pub fn sleeping(topology: &mut TopologyBuilder, ends: &Ends, nap: &str) {
    fn fatten(tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        let [partition, seq, attempt] = id_of(tuple)?;
        out.emit(tuple, values![partition, seq, attempt, FAT])?;
        out.ack(tuple);
        Ok(())
    }
    let nap = PathBuf::from(nap);
    let sleeper = move || {
        let nap = nap.clone();
        Blocking(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
            while nap.exists() {
                std::thread::sleep(Duration::from_millis(20));
            }
            pass(tuple, out)
        })
    };
    topology
        .set_bolt("fatten", 2, || Each(fatten))
        .shuffle_grouping("source")
        .output_fields(["partition", "seq", "attempt", "fat"]);
    topology
        .set_bolt("sleeper", 2, sleeper)
        .shuffle_grouping("fatten")
        .output_fields(ID);
    ends.sink(topology).shuffle_grouping("sleeper");
}

/// Ids go round between two bolts, of which one is slow, before they come to the sink.
pub fn cycle(topology: &mut TopologyBuilder, ends: &Ends) {
    fn enter(tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        let [partition, seq, attempt] = id_of(tuple)?;
        let n_rounds = match tuple.len() {
            4 => tuple.long("rounds")?,
            _ => 0,
        };
        out.emit(tuple, values![partition, seq, attempt, n_rounds])?;
        out.ack(tuple);
        Ok(())
    }
    let go_round = || {
        let mut n_taken = 0_u64;
        Blocking(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
            n_taken += 1;
            if n_taken.is_multiple_of(64) {
                std::thread::sleep(Duration::from_millis(1));
            }
            let [partition, seq, attempt] = id_of(tuple)?;
            match tuple.long("rounds")? + 1 {
                N_ROUNDS.. => {
                    let emit = Emit {
                        stream: "done",
                        anchors: std::slice::from_ref(tuple),
                        ..Emit::default()
                    };
                    out.emit_with(emit, values![partition, seq, attempt])?;
                }
                n_rounds => out.emit(tuple, values![partition, seq, attempt, n_rounds])?,
            }
            out.ack(tuple);
            Ok(())
        })
    };
    let fields = ["partition", "seq", "attempt", "rounds"];
    topology
        .set_bolt("enter", 2, || Each(enter))
        .shuffle_grouping("source")
        .shuffle_grouping("away")
        .output_fields(fields);
    topology
        .set_bolt("away", 2, go_round)
        .shuffle_grouping("enter")
        .output_fields(fields)
        .stream("done", ID);
    ends.sink(topology).shuffle_grouping(("away", "done"));
}

/// One call of `execute` emits so many children of an id; the id goes on when all of them came.
pub fn fanout(topology: &mut TopologyBuilder, ends: &Ends, n_children: i64) {
    let fan = move || {
        Each(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
            let [partition, seq, attempt] = id_of(tuple)?;
            for child in 0..n_children {
                out.emit(tuple, values![partition, seq, attempt, child])?;
            }
            out.ack(tuple);
            Ok(())
        })
    };
    let gather = move || {
        let mut sums: HashMap<[i64; 3], (i64, i64)> = HashMap::new();
        Each(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
            let id = id_of(tuple)?;
            let (n_came, sum) = sums.entry(id).or_default();
            *n_came += 1;
            *sum += tuple.long("child")?;
            // Each child once, and none twice in another's place.
            if (*n_came, *sum) == (n_children, n_children * (n_children - 1) / 2) {
                sums.remove(&id);
                let [partition, seq, attempt] = id;
                out.emit(tuple, values![partition, seq, attempt])?;
            }
            out.ack(tuple);
            Ok(())
        })
    };
    topology
        .set_bolt("fan", 2, fan)
        .shuffle_grouping("source")
        .output_fields(["partition", "seq", "attempt", "child"]);
    topology
        .set_bolt("gather", 2, gather)
        .fields_grouping("fan", ["partition", "seq"])
        .output_fields(ID);
    ends.sink(topology).shuffle_grouping("gather");
}

/// Each partition has one task on the whole way, and each task is slow.
pub fn hot(topology: &mut TopologyBuilder, ends: &Ends) {
    let slow = || {
        let mut n_taken = 0_u64;
        Blocking(move |tuple: &Tuple<'_>, out: &mut Collector<'_>| {
            n_taken += 1;
            if n_taken.is_multiple_of(32) {
                std::thread::sleep(Duration::from_millis(1));
            }
            pass(tuple, out)
        })
    };
    topology
        .set_bolt("slow", 4, slow)
        .fields_grouping("source", ["partition"])
        .output_fields(ID);
    ends.sink(topology)
        .fields_grouping("slow", ["partition"])
        .tasks(4);
}

/// Five kinds of mistakes, one for each of five ids in a row of fifty of one partition, at their
/// first attempts: few, since who panics often starts again after ever longer pauses.
pub fn moody(topology: &mut TopologyBuilder, ends: &Ends) {
    fn moody(tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        let [partition, seq, attempt] = id_of(tuple)?;
        let mistake = match (partition, attempt) {
            (0, 1) => seq % 50,
            _ => 0,
        };
        let nowhere = || Emit {
            stream: "nowhere",
            anchors: std::slice::from_ref(tuple),
            ..Emit::default()
        };
        match mistake {
            1 => panic!("out of temper at {seq}"),
            2 => out.emit(tuple, values![partition, seq])?,
            3 => out.emit_with(nowhere(), values![partition])?,
            4 => out.emit(
                tuple,
                values![partition, seq, "x".repeat(TOO_LARGE).as_str()],
            )?,
            5 => return Err(ComponentFailure::new(format!("no liking for {seq}"))),
            _ => {}
        }
        out.emit(tuple, values![partition, seq, attempt])?;
        out.ack(tuple);
        Ok(())
    }
    topology
        .set_bolt("moody", 2, || Each(moody))
        .shuffle_grouping("source")
        .output_fields(ID);
    ends.sink(topology).shuffle_grouping("moody");
}

/// A kilobyte.
const FAT: &str = match std::str::from_utf8(&[b'f'; 1024]) {
    Ok(fat) => fat,
    Err(_) => "",
};

/// How often an id goes round.
const N_ROUNDS: i64 = 5;

/// Bytes of one value beyond what a tuple may have.
const TOO_LARGE: usize = 12_000_001;

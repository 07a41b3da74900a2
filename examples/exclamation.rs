//! Puts exclamation marks behind words, twice: `cargo run --example exclamation`.
//!
//! Storm's oldest example, with two things more: a stream beside `default`, and a grouping of our
//! own. Ends by itself after some seconds.

use std::process::ExitCode;
use std::time::Duration;

use stormwire::prelude::*;

/// Emits names in turn, four a second.
struct Names {
    n_emitted: usize,
    pace: Pace,
}

impl Spout for Names {
    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        if !self.pace.is_due(out) {
            return Ok(());
        }
        let name = NAMES[self.n_emitted % NAMES.len()];
        self.n_emitted += 1;
        out.emit_reliable(values![name], Value::Long(self.n_emitted as i64))
    }
}

/// Adds `!!!`; what is long goes to the stream `loud` too.
struct Exclaim;

impl Bolt for Exclaim {
    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        let exclaimed = format!("{}!!!", tuple.str(0)?);
        out.emit(tuple, values![exclaimed.as_str()])?;
        if exclaimed.len() > 9 {
            let loud = Emit {
                stream: "loud",
                anchors: &[*tuple],
                ..Emit::default()
            };
            out.emit_with(loud, values![exclaimed.to_uppercase().as_str()])?;
        }
        out.ack(tuple);
        Ok(())
    }
}

/// Prints what comes, and which task it came to.
#[derive(Default)]
struct Print(i32);

impl Bolt for Print {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        self.0 = context.task().0;
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        println!("task {} of print: {}", self.0, tuple.str(0)?);
        out.ack(tuple);
        Ok(())
    }
}

/// Words with the same initial meet at the same task.
fn by_initial(choice: &Choice<'_>) -> Option<TaskId> {
    let initial = match choice.values {
        [ValueRef::Str(word)] => word.bytes().next()?,
        _ => return None,
    };
    let index = usize::from(initial) % choice.tasks.len();
    choice.tasks.get(index).copied()
}

fn build(topology: &mut TopologyBuilder) -> Result<()> {
    let names = || Names {
        n_emitted: 0,
        pace: Pace::new(250),
    };
    topology
        .set_spout("names", 1, names)
        .output_fields(["name"]);
    topology
        .set_bolt("exclaim", 2, || Exclaim)
        .shuffle_grouping("names")
        .output_fields(["word"])
        .stream("loud", ["word"]);
    topology
        .set_bolt("again", 2, || Exclaim)
        .shuffle_grouping("exclaim")
        .output_fields(["word"])
        .stream("loud", ["word"]);
    topology
        .set_bolt("print", 2, Print::default)
        .custom_grouping("again", by_initial)
        .custom_grouping(("exclaim", "loud"), by_initial);
    topology.run_for(Duration::from_secs(5));
    Ok(())
}

fn main() -> ExitCode {
    stormwire::program::main("exclamation", build)
}

const NAMES: [&str; 5] = ["nathan", "mike", "jackson", "golda", "bertels"];

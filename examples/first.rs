//! The first topology in Rust: `cargo run --example first`. The top README shows it.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use stormwire::prelude::*;

/// Emits words in turn; says a word again if anybody failed to count it.
#[derive(Default)]
struct Words {
    next: usize,
    again: Vec<usize>,
}

impl Spout for Words {
    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        let number = self.again.pop().unwrap_or(self.next);
        self.next = self.next.max(number + 1);
        let word = ["storm", "spout", "bolt", "storm"][number % 4];
        out.emit_reliable(values![word], Value::Long(number as i64))
    }

    fn fail(&mut self, id: &Value) {
        if let Value::Long(number) = id {
            self.again.push(*number as usize);
        }
    }
}

/// Counts words, and prints its counts at each tick.
#[derive(Default)]
struct Count(HashMap<String, u64>);

impl Bolt for Count {
    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if tuple.is_tick() {
            println!("{:?}", self.0);
        } else {
            *self.0.entry(tuple.str("word")?.to_owned()).or_default() += 1;
        }
        out.ack(tuple);
        Ok(())
    }
}

fn build(topology: &mut TopologyBuilder) -> Result<()> {
    topology
        .set_spout("words", 1, Words::default)
        .output_fields(["word"]);
    topology
        .set_bolt("count", 2, Count::default)
        .fields_grouping("words", ["word"])
        .tick_every(Duration::from_secs(1));
    topology.max_spout_pending(1000);
    Ok(())
}

fn main() -> ExitCode {
    stormwire::program::main("first", build)
}

//! Counts the words of Moby-Dick: `cargo run --release --example word_count [-- -- TEXT]`.
//!
//! A spout that reads a text once and says again what failed, a bolt that splits, one that counts,
//! one that shows the most frequent words each second. Ends by itself after some seconds; `submit`
//! hands it to a cluster.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use stormwire::prelude::*;

/// Emits the lines of a text, each until it is acked.
struct Lines {
    text: Arc<Vec<String>>,
    /// Numbers of lines that are still to be emitted, the next one last.
    open: Vec<usize>,
}

impl Spout for Lines {
    fn open(&mut self, context: &TaskContext) -> Result<()> {
        // Several tasks share the lines.
        let n_tasks = context.tasks_of("lines").count();
        let own = (context.task_index()..self.text.len()).step_by(n_tasks);
        self.open = own.rev().collect();
        Ok(())
    }

    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        let Some(number) = self.open.pop() else {
            return Ok(());
        };
        let line = self.text[number].as_str();
        out.emit_reliable(values![line], Value::Long(number as i64))
    }

    fn fail(&mut self, id: &Value) {
        if let Value::Long(number) = id {
            self.open.push(*number as usize);
        }
    }
}

/// Takes lines apart.
struct Split;

impl Bolt for Split {
    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        let is_part = |c: char| c.is_alphanumeric() || c == '\'';
        for word in tuple.str("line")?.split(|c: char| !is_part(c)) {
            if !word.is_empty() {
                out.emit(tuple, values![word.to_lowercase().as_str()])?;
            }
        }
        out.ack(tuple);
        Ok(())
    }
}

/// Counts its share of the words.
#[derive(Default)]
struct Count(HashMap<String, i64>);

impl Bolt for Count {
    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        let word = tuple.str("word")?;
        let count = self.0.entry(word.to_owned()).or_default();
        *count += 1;
        out.emit(tuple, values![word, *count])?;
        out.ack(tuple);
        Ok(())
    }
}

/// Keeps all counts, and prints the highest at each tick where they changed.
#[derive(Default)]
struct Show {
    counts: BTreeMap<String, i64>,
    is_new: bool,
}

impl Bolt for Show {
    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if !tuple.is_tick() {
            let (word, count) = (tuple.str("word")?, tuple.long("count")?);
            self.counts.insert(word.to_owned(), count);
            self.is_new = true;
        } else if std::mem::take(&mut self.is_new) {
            let mut top: Vec<_> = self.counts.iter().collect();
            top.sort_by_key(|(_, count)| -**count);
            let top = top.iter().take(8);
            let top: Vec<_> = top.map(|(word, count)| format!("{word} {count}")).collect();
            let total: i64 = self.counts.values().sum();
            println!("{total} words: {}", top.join(", "));
        }
        out.ack(tuple);
        Ok(())
    }
}

fn build(topology: &mut TopologyBuilder) -> Result<()> {
    // A file where the worker runs, if one is named; else the book that comes with the example.
    let text = match topology.args() {
        [] => include_str!("moby-dick.txt").to_owned(),
        [path] => std::fs::read_to_string(path)?,
        _ => return Err(ComponentFailure::new("expected one text, or none")),
    };
    let text = Arc::new(text.lines().map(str::to_owned).collect());
    let lines = move || Lines {
        text: Arc::clone(&text),
        open: Vec::new(),
    };
    topology
        .set_spout("lines", 1, lines)
        .output_fields(["line"]);
    topology
        .set_bolt("split", 2, || Split)
        .shuffle_grouping("lines")
        .output_fields(["word"]);
    topology
        .set_bolt("count", 2, Count::default)
        .fields_grouping("split", ["word"])
        .output_fields(["word", "count"]);
    topology
        .set_bolt("show", 1, Show::default)
        .global_grouping("count")
        .tick_every(Duration::from_secs(1));
    topology.max_spout_pending(1000);
    topology.run_for(Duration::from_secs(6));
    Ok(())
}

fn main() -> ExitCode {
    stormwire::program::main("word-count", build)
}

//! The three most frequent words of the last seconds: `cargo run --example rolling_top_n`.
//!
//! A windowed bolt counts over a window of three seconds that slides each second; one bolt puts the
//! counts of its tasks together and prints them at each tick. Ends by itself.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use stormwire::prelude::*;

/// Emits words, a thousand a second; which ones are frequent changes all the time.
struct Words {
    n_emitted: usize,
    pace: Pace,
}

impl Spout for Words {
    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        if !self.pace.is_due(out) {
            return Ok(());
        }
        for _ in 0..10 {
            self.n_emitted += 1;
            let number = self.n_emitted;
            // The favourite is every third word for two seconds, then another one.
            let favourite = number / 2000;
            let index = match number % 3 {
                0 => favourite,
                _ => number,
            };
            let word = WORDS[index % WORDS.len()];
            out.emit_reliable(values![word], Value::Long(number as i64))?;
        }
        Ok(())
    }
}

/// Counts its share of the words of a window.
struct RollingCount;

impl WindowedBolt for RollingCount {
    fn execute(&mut self, window: &Window<'_>, out: &mut WindowCollector<'_>) -> Result<()> {
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        for tuple in window.tuples() {
            *counts.entry(tuple.str("word")?).or_default() += 1;
        }
        for (word, count) in counts {
            out.emit_unanchored(values![word, count, window.end_ms()])?;
        }
        Ok(())
    }
}

/// The newest counts of each counting task.
#[derive(Default)]
struct Rank(BTreeMap<TaskId, Counts>);

#[derive(Default)]
struct Counts {
    end_ms: i64,
    of_word: Vec<(String, i64)>,
}

impl Bolt for Rank {
    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if tuple.is_tick() {
            let mut all: Vec<_> = self.0.values().flat_map(|counts| &counts.of_word).collect();
            all.sort_by_key(|(_, count)| -count);
            let top = all.iter().take(3);
            let top: Vec<_> = top.map(|(word, count)| format!("{word} {count}")).collect();
            println!("top of three seconds: {}", top.join(", "));
        } else {
            let counts = self.0.entry(tuple.source_task()).or_default();
            let end_ms = tuple.long("window")?;
            if counts.end_ms != end_ms {
                // A new window: words that left it are not counted any more.
                *counts = Counts {
                    end_ms,
                    ..Counts::default()
                };
            }
            let word = tuple.str("word")?.to_owned();
            counts.of_word.push((word, tuple.long("count")?));
        }
        out.ack(tuple);
        Ok(())
    }
}

fn build(topology: &mut TopologyBuilder) -> Result<()> {
    let words = || Words {
        n_emitted: 0,
        pace: Pace::new(10),
    };
    topology
        .set_spout("words", 1, words)
        .output_fields(["word"]);
    let window = WindowConfig::new().with_window(Duration::from_secs(3), Duration::from_secs(1));
    topology
        .set_windowed_bolt("count", 2, window, || RollingCount)
        .fields_grouping("words", ["word"])
        .output_fields(["word", "count", "window"]);
    topology
        .set_bolt("rank", 1, Rank::default)
        .global_grouping("count")
        .tick_every(Duration::from_secs(1));
    topology.run_for(Duration::from_secs(8));
    Ok(())
}

fn main() -> ExitCode {
    stormwire::program::main("rolling-top-n", build)
}

const WORDS: [&str; 5] = ["whale", "sea", "ship", "captain", "storm"];

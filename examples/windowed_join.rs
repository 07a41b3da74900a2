//! Joins orders with their payments by event time: `cargo run --example windowed_join`.
//!
//! Both come out of order; a windowed bolt waits for stragglers, joins within windows of one second
//! of event time, and hands what comes later still to a stream of its own. Ends by itself.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stormwire::component::window::LateTuple;
use stormwire::prelude::*;

/// Emits an event every 50 ms: its order's number, an amount, and when it happened.
struct Events {
    number: i64,
    pace: Pace,
    /// How long ago events happened when they arrive, in milliseconds, in turn.
    delays_ms: &'static [i64],
}

impl Events {
    fn new(delays_ms: &'static [i64]) -> Self {
        Events {
            number: 0,
            pace: Pace::new(50),
            delays_ms,
        }
    }
}

impl Spout for Events {
    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        if !self.pace.is_due(out) {
            return Ok(());
        }
        self.number += 1;
        let delay_ms = self.delays_ms[self.number as usize % self.delays_ms.len()];
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
        let amount = self.number % 90 + 10;
        out.emit_reliable(
            values![self.number, amount, now_ms - delay_ms],
            Value::Long(self.number),
        )
    }
}

/// Orders and payments of the same number within one window.
struct Join;

impl WindowedBolt for Join {
    fn execute(&mut self, window: &Window<'_>, out: &mut WindowCollector<'_>) -> Result<()> {
        let mut orders = HashMap::new();
        let is_order = |tuple: &Tuple<'_>| tuple.source_component().as_str() == "orders";
        for order in window.tuples().filter(is_order) {
            orders.insert(order.long("number")?, order);
        }
        for payment in window.tuples().filter(|tuple| !is_order(tuple)) {
            let number = payment.long("number")?;
            if let Some(order) = orders.get(&number) {
                // The two that it came from are replayed if it is lost, the rest of the window not.
                let joined = Emit {
                    anchors: &[*order, payment],
                    ..Emit::default()
                };
                let (owed, paid) = (order.long("amount")?, payment.long("amount")?);
                out.emit_with(joined, values![number, owed, paid, window.end_ms()])?;
            }
        }
        Ok(())
    }
}

/// Prints what was joined, a line for each window, and what came too late.
#[derive(Default)]
struct Print {
    end_ms: i64,
    numbers: Vec<i64>,
}

impl Bolt for Print {
    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if tuple.source_stream().as_str() == "late" {
            let late = LateTuple::read(tuple.nested(0)?)?;
            println!("too late, of {}: {:?}", late.source_component, late.values);
        } else {
            let end_ms = tuple.long("window")?;
            if end_ms != self.end_ms {
                self.end_ms = end_ms;
                let numbers = std::mem::take(&mut self.numbers);
                println!("paid in one window: {} orders {numbers:?}", numbers.len());
            }
            self.numbers.push(tuple.long("number")?);
        }
        out.ack(tuple);
        Ok(())
    }
}

fn build(topology: &mut TopologyBuilder) -> Result<()> {
    let fields = ["number", "amount", "at_ms"];
    topology
        .set_spout("orders", 1, || Events::new(&[0, 120, 40]))
        .output_fields(fields);
    topology
        .set_spout("payments", 1, || {
            Events::new(&[0, 0, 300, 0, 0, 80, 0, 0, 0, 0, 150, 0, 3000, 0, 0, 0, 0])
        })
        .output_fields(fields);
    let window = WindowConfig::new()
        .with_tumbling_window(Duration::from_secs(1))
        .with_timestamp_field("at_ms")
        .with_lag(Duration::from_millis(400))
        .with_watermark_interval(Duration::from_millis(200))
        .with_late_tuple_stream("late");
    topology
        .set_windowed_bolt("join", 1, window, || Join)
        .fields_grouping("orders", ["number"])
        .fields_grouping("payments", ["number"])
        .output_fields(["number", "owed", "paid", "window"])
        .stream("late", ["late_tuple"]);
    topology
        .set_bolt("print", 1, Print::default)
        .global_grouping("join")
        .global_grouping(("join", "late"));
    topology.run_for(Duration::from_secs(8));
    Ok(())
}

fn main() -> ExitCode {
    stormwire::program::main("windowed-join", build)
}

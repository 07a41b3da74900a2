//! A topology's program for the tests: the ledger's source and sink, and between them a relay and
//! a grouping that are code of this program.
//!
//! Arguments: the source's file, its directory of positions, the sink's directory. The spout's file
//! and positions make it replay what a killed worker had not done.

use std::process::ExitCode;

use stormwire::component::native::ledger::{LedgerSinkBolt, LedgerSpout};
use stormwire::prelude::*;

/// Passes on what comes.
struct Relay;

impl Bolt for Relay {
    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        let [partition, seq, attempt] = ["partition", "seq", "attempt"];
        let (partition, seq) = (tuple.long(partition)?, tuple.long(seq)?);
        out.emit(tuple, values![partition, seq, tuple.long(attempt)?])?;
        out.ack(tuple);
        Ok(())
    }
}

/// All ids of a partition go to the same task.
fn by_partition(choice: &Choice<'_>) -> Option<TaskId> {
    let Some(ValueRef::Long(partition)) = choice.values.first() else {
        return None;
    };
    let index = *partition as usize % choice.tasks.len();
    choice.tasks.get(index).copied()
}

fn build(topology: &mut TopologyBuilder) -> Result<()> {
    let [source, positions, sinks] = topology.args().to_vec().try_into().map_err(|_| {
        ComponentFailure::new("expected the source's file, its positions, the sinks' directory")
    })?;
    let fields = ["partition", "seq", "attempt"];
    let spout = move || LedgerSpout::new(source.clone(), positions.clone());
    topology.set_spout("source", 2, spout).output_fields(fields);
    topology
        .set_bolt("relay", 2, || Relay)
        .custom_grouping("source", by_partition)
        .output_fields(fields)
        .tasks(6);
    topology
        .set_bolt("sink", 2, move || LedgerSinkBolt::new(sinks.clone()))
        .shuffle_grouping("relay")
        .tasks(3);
    topology.workers(2).ackers(2);
    Ok(())
}

fn main() -> ExitCode {
    stormwire::program::main("ledger", build)
}

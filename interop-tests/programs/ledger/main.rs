//! A topology's program for the tests: the ledger's source and sink, and between them what strains
//! a cluster.
//!
//! Arguments: the source's file, its directory of positions, the sink's directory; then the shape of
//! what is between, `relay` if none is named, and what that shape is told. The spout's file and
//! positions make it replay what a killed worker had not done.

mod shapes;

use std::process::ExitCode;

use stormwire::builder::BoltDeclarer;
use stormwire::component::native::ledger::{LedgerSinkBolt, LedgerSpout};
use stormwire::prelude::*;

/// What all shapes begin and end with.
struct Ends {
    source: String,
    positions: String,
    sinks: String,
}

// === impl Ends ===

impl Ends {
    /// The spout `source`, of two tasks.
    fn source(&self, topology: &mut TopologyBuilder) {
        let (source, positions) = (self.source.clone(), self.positions.clone());
        let spout = move || LedgerSpout::new(source.clone(), positions.clone());
        topology.set_spout("source", 2, spout).output_fields(ID);
    }

    /// The bolt `sink`, of two executors, for its caller to connect.
    fn sink<'t>(&self, topology: &'t mut TopologyBuilder) -> BoltDeclarer<'t> {
        let sinks = self.sinks.clone();
        topology.set_bolt("sink", 2, move || LedgerSinkBolt::new(sinks.clone()))
    }
}

fn build(topology: &mut TopologyBuilder) -> Result<()> {
    let args = topology.args().to_vec();
    let [source, positions, sinks, rest @ ..] = args.as_slice() else {
        return Err(ComponentFailure::new(
            "expected the source's file, its positions, the sinks' directory",
        ));
    };
    let ends = Ends {
        source: source.clone(),
        positions: positions.clone(),
        sinks: sinks.clone(),
    };
    topology.workers(2).ackers(2);
    ends.source(topology);
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    match rest.as_slice() {
        [] | ["relay"] => shapes::relay(topology, &ends),
        ["sleeping", nap] => shapes::sleeping(topology, &ends, nap),
        ["cycle"] => shapes::cycle(topology, &ends),
        ["fanout", n_children] => shapes::fanout(topology, &ends, n_children.parse()?),
        ["hot"] => shapes::hot(topology, &ends),
        ["moody"] => shapes::moody(topology, &ends),
        other => return Err(ComponentFailure::new(format!("no shape is {other:?}"))),
    }
    Ok(())
}

fn main() -> ExitCode {
    stormwire::program::main("ledger", build)
}

/// The fields of an id.
const ID: [&str; 3] = ["partition", "seq", "attempt"];

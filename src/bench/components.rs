//! Spout and bolts that count, and the topologies made of them: what the guards look at.
//!
//! Counters are plain stores of the task's own. Starts no engine, stamps no latency.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::component::native::pass::IdBolt;
use crate::component::{
    Blueprint, Bolt, Collector, ComponentFailure, Factory, Instance, Result, Spout, SpoutCollector,
    TaskContext,
};
use crate::id::ComponentId;
use crate::tuple::{Tuple, Value};
use crate::values;
use crate::wire::storm;

/// What the components count and who reads it.
#[derive(Default)]
pub struct Gauges {
    emitted: Line,
    acked: Line,
    executed: Line,
}

/// A counter with cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Line(AtomicU64);

/// Whether the spout gives message ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracking {
    Tracked,
    Untracked,
}

/// Makes the components, all for one pair of gauges.
pub struct CountingFactory {
    pub gauges: Arc<Gauges>,
    pub tracking: Tracking,
}

/// Emits the same text again and again.
struct ConstSpout {
    gauges: Arc<Gauges>,
    tracking: Tracking,
    n_emitted: u64,
    n_acked: u64,
}

/// Acks and counts.
struct NullBolt {
    gauges: Arc<Gauges>,
    n_executed: u64,
}

// === impl CountingFactory ===

impl Factory for CountingFactory {
    fn create(&self, component: &ComponentId, _: Blueprint<'_>) -> Result<Instance> {
        let gauges = Arc::clone(&self.gauges);
        match component.as_str() {
            SPOUT => Ok(Instance::Spout(Box::new(ConstSpout {
                gauges,
                tracking: self.tracking,
                n_emitted: 0,
                n_acked: 0,
            }))),
            ID => Ok(Instance::Bolt(Box::new(IdBolt))),
            SINK => Ok(Instance::Bolt(Box::new(NullBolt {
                gauges,
                n_executed: 0,
            }))),
            other => Err(ComponentFailure::new(format!(
                "no benchmark has a `{other}`"
            ))),
        }
    }
}

// === impl ConstSpout ===

impl Spout for ConstSpout {
    fn open(&mut self, _: &TaskContext) -> Result<()> {
        Ok(())
    }

    #[inline]
    fn next_tuple(&mut self, out: &mut SpoutCollector<'_>) -> Result<()> {
        let id = self.n_emitted as i64;
        self.n_emitted += 1;
        self.gauges
            .emitted
            .0
            .store(self.n_emitted, Ordering::Relaxed);
        if self.tracking == Tracking::Untracked {
            return out.emit(values![TEXT]);
        }
        out.emit_reliable(values![TEXT], Value::Long(id))
    }

    #[inline]
    fn ack(&mut self, _: &Value) {
        self.n_acked += 1;
        self.gauges.acked.0.store(self.n_acked, Ordering::Relaxed);
    }
}

// === impl NullBolt ===

impl Bolt for NullBolt {
    fn prepare(&mut self, _: &TaskContext) -> Result<()> {
        Ok(())
    }

    #[inline]
    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        self.n_executed += 1;
        self.gauges
            .executed
            .0
            .store(self.n_executed, Ordering::Relaxed);
        out.ack(tuple);
        Ok(())
    }
}

/// A chain from the spout over the bolts named, one executor each, each fed by local-or-shuffle.
pub fn chain(bolts: &[&str]) -> storm::StormTopology {
    let mut topology = storm::StormTopology::default();
    let spout = storm::SpoutSpec {
        spout_object: storm::ComponentObject::Unset,
        common: common(None),
    };
    topology.spouts.insert(SPOUT.to_owned(), spout);
    let mut from = SPOUT;
    for id in bolts {
        let bolt = storm::Bolt {
            bolt_object: storm::ComponentObject::Unset,
            common: common(Some(from)),
        };
        topology.bolts.insert((*id).to_owned(), bolt);
        from = id;
    }
    topology
}

fn common(from: Option<&str>) -> storm::ComponentCommon {
    let stream = storm::StreamInfo {
        output_fields: vec!["str".to_owned()],
        direct: false,
    };
    let grouping = storm::Grouping::LocalOrShuffle(storm::NullStruct::default());
    let input = from.map(|component| storm::GlobalStreamId {
        component_id: component.to_owned(),
        stream_id: "default".to_owned(),
    });
    storm::ComponentCommon {
        inputs: input.map(|input| (input, grouping)).into_iter().collect(),
        streams: BTreeMap::from([("default".to_owned(), stream)]),
        parallelism_hint: Some(1),
        ..Default::default()
    }
}

pub const ID: &str = "id";
pub const SINK: &str = "sink";
const SPOUT: &str = "spout";

/// Storm-perf's constant.
const TEXT: &str = "some data";

//! A constant spout, a bolt that acks, and chains made of them: what is looked at where nothing is
//! to be metered.
//!
//! Starts no engine, stamps no latency, counts no more than what tells the end.

use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use crate::component::native::pass::IdBolt;
use crate::component::{
    Blueprint, Bolt, Collector, ComponentFailure, Factory, Instance, Result, Spout, SpoutCollector,
    TaskContext,
};
use crate::id::ComponentId;
use crate::tuple::{Tuple, Value};
use crate::values;
use crate::wire::storm;

/// Whether the spout gives message ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracking {
    Tracked,
    Untracked,
}

/// Makes the components.
pub struct ConstFactory {
    pub tracking: Tracking,
    /// None: the spout goes on and on.
    pub end: Option<End>,
}

/// So many tuples, and who is told when the last one is done.
#[derive(Clone)]
pub struct End {
    pub n_tuples: u64,
    pub done: SyncSender<()>,
}

/// Emits the same text again and again.
struct ConstSpout {
    tracking: Tracking,
    n_left: u64,
    countdown: Countdown,
}

/// Acks.
struct NullBolt {
    countdown: Countdown,
}

/// Tells once that all is done.
struct Countdown {
    n_left: u64,
    done: Option<SyncSender<()>>,
}

// === impl ConstFactory ===

impl Factory for ConstFactory {
    fn create(&self, component: &ComponentId, _: Blueprint<'_>) -> Result<Instance> {
        let n_tuples = self.end.as_ref().map_or(u64::MAX, |end| end.n_tuples);
        // An acked tuple is done when the spout hears of it, another one when the last bolt had it.
        let countdown = |is_last: bool| Countdown {
            n_left: n_tuples,
            done: self
                .end
                .as_ref()
                .filter(|_| is_last)
                .map(|end| end.done.clone()),
        };
        match component.as_str() {
            SPOUT => Ok(Instance::Spout(Box::new(ConstSpout {
                tracking: self.tracking,
                n_left: n_tuples,
                countdown: countdown(self.tracking == Tracking::Tracked),
            }))),
            ID => Ok(Instance::Bolt(Box::new(IdBolt))),
            SINK => Ok(Instance::Bolt(Box::new(NullBolt {
                countdown: countdown(self.tracking == Tracking::Untracked),
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
        if self.n_left == 0 {
            out.wake_after(LONG);
            return Ok(());
        }
        self.n_left -= 1;
        match self.tracking {
            Tracking::Untracked => out.emit(values![TEXT]),
            Tracking::Tracked => out.emit_reliable(values![TEXT], Value::Long(self.n_left as i64)),
        }
    }

    #[inline]
    fn ack(&mut self, _: &Value) {
        self.countdown.count();
    }
}

// === impl NullBolt ===

impl Bolt for NullBolt {
    fn prepare(&mut self, _: &TaskContext) -> Result<()> {
        Ok(())
    }

    #[inline]
    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        out.ack(tuple);
        self.countdown.count();
        Ok(())
    }
}

// === impl Countdown ===

impl Countdown {
    #[inline]
    fn count(&mut self) {
        self.n_left -= 1;
        if self.n_left == 0
            && let Some(done) = &self.done
        {
            // Who does not wait any more need not be told.
            let _ = done.send(());
        }
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

/// What a spout that is done waits for.
const LONG: Duration = Duration::from_secs(3600);

/// Storm-perf's constant.
const TEXT: &str = "some data";

//! What is counted of ack traffic.
//!
//! Storm's ackers are bolts, and what they get and tell are tuples of streams with statistics. Here
//! it is records, many of which merge on their way. So a sampled message leaves a tally beside its
//! record, which goes the same way to the same acker and is counted there.

use crate::acker::Outcome;
use crate::id::TaskId;
use crate::messaging::acks::{AckKind, AckRecord};
use crate::topology;
use crate::tuple::{StreamNumber, StreamTable};
use crate::worker::emit::OutStream;
use crate::worker::meter::Meter;

/// The ack traffic of one executor, as far as it is counted.
pub struct AckCounts {
    /// Storm's streams between a component and the ackers; those that the component does not have
    /// are none.
    init: Option<StreamNumber>,
    ack: Option<StreamNumber>,
    fail: Option<StreamNumber>,
    reset: Option<StreamNumber>,
    /// For the ackers, in the order they arose.
    pub tallies: Vec<AckRecord>,
}

// === impl AckCounts ===

impl AckCounts {
    /// Of a component that declares these.
    pub fn new(streams: &[OutStream]) -> Self {
        let number = |id: &str| {
            let found = streams.iter().find(|stream| stream.id.as_str() == id);
            found.map(|stream| stream.number)
        };
        AckCounts {
            init: number(topology::ACK_INIT_STREAM),
            ack: number(topology::ACK_STREAM),
            fail: number(topology::ACK_FAIL_STREAM),
            reset: number(topology::ACK_RESET_TIMEOUT_STREAM),
            tallies: Vec::new(),
        }
    }

    /// A sampled message to the acker of a root: counts it here, and leaves a tally.
    pub fn sent(&mut self, kind: AckKind, root: u64, meter: &mut Meter) {
        let stream = match kind {
            AckKind::Init => self.init,
            AckKind::Ack => self.ack,
            AckKind::Fail => self.fail,
            AckKind::Reset => self.reset,
            _ => None,
        };
        let Some(stream) = stream else {
            return;
        };
        let value = meter.sent_to_acker(stream);
        let task = TaskId(i32::try_from(stream.0).unwrap_or(-1));
        match self.tallies.last_mut() {
            Some(last) if last.root == root && last.task == task => last.value += value,
            _ => self.tallies.push(AckRecord {
                root,
                value,
                task,
                kind: AckKind::Tally,
            }),
        }
    }

    /// This acker tells a spout what became of a tree.
    #[inline]
    pub fn told(&self, outcome: Outcome, meter: &mut Meter) {
        let stream = match outcome {
            Outcome::Acked => self.ack,
            Outcome::Failed => self.fail,
            Outcome::Reset => self.reset,
        };
        if let Some(stream) = stream {
            meter.emitted(stream, 1);
        }
    }
}

/// A tally came to the acker whose meter this is. Another worker may have sent anything.
pub fn came(tally: &AckRecord, streams: &StreamTable, meter: &mut Meter) {
    let stream = u32::try_from(tally.task.0).map(StreamNumber);
    let known = stream.ok().filter(|stream| streams.get(*stream).is_some());
    if let Some(stream) = known.filter(|_| tally.kind == AckKind::Tally) {
        meter.acker_took(stream, tally.value.min(TALLY_MAX));
    }
}

/// Most messages of one tally: more than any turn sends.
const TALLY_MAX: u64 = u32::MAX as u64;

//! What a bolt says of the tuples it was given, as records for ackers.

use super::{Acking, Emitter};
use crate::id::TaskId;
use crate::messaging::acks::{AckKind, AckRecord};
use crate::tuple::{Tuple, Value};

// === impl Emitter ===

impl Emitter {
    #[inline]
    pub(crate) fn ack(&mut self, tuple: &Tuple<'_>) {
        if self.acking == Acking::Off {
            return;
        }
        let out_ack = tuple.out_ack();
        for anchor in tuple.anchors() {
            self.record(AckKind::Ack, anchor.root, anchor.edge ^ out_ack);
        }
        if tuple.stamp_us() != 0 {
            self.tally(AckKind::Ack, tuple);
            self.meter.acked(tuple);
        }
    }

    #[inline]
    pub(crate) fn fail(&mut self, tuple: &Tuple<'_>) {
        if self.acking == Acking::Off {
            return;
        }
        for anchor in tuple.anchors() {
            self.record(AckKind::Fail, anchor.root, 0);
        }
        if tuple.stamp_us() != 0 {
            self.tally(AckKind::Fail, tuple);
            self.meter.failed(tuple);
        }
    }

    /// Fails a tree of which a tuple was lost.
    pub(in crate::worker) fn fail_root(&mut self, root: u64) {
        if self.acking == Acking::On {
            self.record(AckKind::Fail, root, 0);
        }
    }

    /// Fails the trees of the current task's tuples with such ids; its spout hears of each as of
    /// any other failure. Gives how many there are.
    pub(crate) fn give_up(&mut self, is_meant: impl Fn(&Value) -> bool) -> usize {
        let task = self.sequences[self.current].task;
        let tracker = self.tracker.as_ref();
        let roots = tracker.map(|tracker| tracker.roots_with(task, is_meant));
        let roots = roots.unwrap_or_default();
        roots.iter().for_each(|root| self.fail_root(*root));
        roots.len()
    }

    pub(crate) fn reset_timeout(&mut self, tuple: &Tuple<'_>) {
        if self.acking == Acking::Off {
            return;
        }
        for anchor in tuple.anchors() {
            self.record(AckKind::Reset, anchor.root, 0);
        }
        if tuple.stamp_us() != 0 {
            self.tally(AckKind::Reset, tuple);
        }
    }

    #[inline]
    fn record(&mut self, kind: AckKind, root: u64, value: u64) {
        let record = AckRecord {
            root,
            value,
            task: TaskId(0),
            kind,
        };
        // The words of one sentence end one behind another: their acks are one record.
        if !self.acks.last_mut().is_some_and(|last| last.merge(&record)) {
            self.acks.push(record);
        }
    }

    /// The messages to ackers about a tuple that is sampled.
    #[cold]
    fn tally(&mut self, kind: AckKind, tuple: &Tuple<'_>) {
        for anchor in tuple.anchors() {
            self.ack_counts.sent(kind, anchor.root, &mut self.meter);
        }
    }
}

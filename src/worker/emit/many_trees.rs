//! Tuples with several anchors, or with anchors that belong to several trees (data-plane 3.1).

use super::{Acking, Emitter};
use crate::component::{EmitError, Result};
use crate::id::StreamId;
use crate::limits;
use crate::tuple::{Anchor, Tuple, TupleHead, ValueRef};

// === impl Emitter ===

impl Emitter {
    #[cold]
    pub(super) fn send_plain_in_many_trees(
        &mut self,
        stream: usize,
        anchor: &Tuple<'_>,
        values: &[ValueRef<'_>],
    ) -> Result<()> {
        self.choose_plain(stream, values)?;
        self.send_in_many_trees(stream, self.now_us, &[*anchor], values)
    }

    /// The general case: several anchors, or anchors that belong to several trees (3.1).
    #[cold]
    pub(super) fn send_in_many_trees(
        &mut self,
        stream: usize,
        at_us: i64,
        anchors: &[Tuple<'_>],
        values: &[ValueRef<'_>],
    ) -> Result<()> {
        if self.acking == Acking::Off {
            return self.send(stream, at_us, values, |_| []);
        }
        // Before any of its anchors counts on it.
        check(&self.streams[stream].id, anchors)?;
        let all = std::mem::take(&mut self.targets);
        let mut merged: Vec<Anchor> = Vec::new();
        let mut sent = Ok(());
        for target in &all {
            merged.clear();
            for tuple in anchors.iter().filter(|tuple| !tuple.anchors().is_empty()) {
                let edge = self.random.u64(..);
                tuple.xor_out_ack(edge);
                for Anchor { root, .. } in tuple.anchors() {
                    join(&mut merged, Anchor { root: *root, edge });
                }
            }
            join_rest(&mut merged);
            let sequence = &mut self.sequences[self.current];
            let head = TupleHead {
                sequence: sequence.next,
                generation: self.generation,
                timestamp_us: at_us,
                source_task: sequence.task,
                target_task: *target,
                stream: self.streams[stream].number,
            };
            sequence.next += 1;
            sent = self.lanes.push(head, &merged, values);
            if sent.is_err() {
                break;
            }
        }
        self.n_emits += 1;
        let number = self.streams[stream].number;
        self.meter.emitted(number, all.len());
        self.targets = all;
        Ok(sent?)
    }
}

/// Refuses a tuple of more trees than a message between workers can name.
fn check(stream: &StreamId, anchors: &[Tuple<'_>]) -> Result<(), EmitError> {
    let n_anchors: usize = anchors.iter().map(|tuple| tuple.anchors().len()).sum();
    if n_anchors <= limits::TUPLE_TREES_MAX {
        return Ok(());
    }
    let roots = anchors.iter().flat_map(|tuple| tuple.anchors());
    let mut roots: Vec<u64> = roots.map(|anchor| anchor.root).collect();
    roots.sort_unstable();
    roots.dedup();
    match roots.len() {
        ..=limits::TUPLE_TREES_MAX => Ok(()),
        n_trees => Err(EmitError::TooManyTrees {
            stream: stream.to_string(),
            n_trees,
            n_trees_max: limits::TUPLE_TREES_MAX,
        }),
    }
}

/// Adds an edge to a tuple's anchors: one for each tree, as long as these are few.
fn join(anchors: &mut Vec<Anchor>, added: Anchor) {
    let few = anchors.iter_mut().take(ANCHORS_FEW);
    match few.rev().find(|anchor| anchor.root == added.root) {
        Some(anchor) => anchor.edge ^= added.edge,
        None => anchors.push(added),
    }
}

/// The same for a tuple that is anchored to a window of many thousands.
fn join_rest(anchors: &mut Vec<Anchor>) {
    if anchors.len() <= ANCHORS_FEW {
        return;
    }
    anchors.sort_unstable_by_key(|anchor| anchor.root);
    anchors.dedup_by(|next, kept| {
        let is_same = next.root == kept.root;
        if is_same {
            kept.edge ^= next.edge;
        }
        is_same
    });
}

/// Anchors that are looked through one by one.
const ANCHORS_FEW: usize = 16;

#[cfg(test)]
mod tests {
    use crate::limits;
    use crate::values;
    use crate::worker::harness::Harness;

    #[test]
    fn a_tuple_of_more_trees_than_a_link_carries_is_refused_and_leaves_its_anchors_as_they_were() {
        let mut harness = Harness::new(&[("default", &["n"])]);
        let most = harness.joined_input(limits::TUPLE_TREES_MAX as u64);
        let more = harness.joined_input(limits::TUPLE_TREES_MAX as u64 + 1);
        let mut out = harness.collector();
        let refused = out.emit(&more.view(), values![1i64]).unwrap_err();
        assert!(refused.message().contains("900001 trees"), "{refused}");
        assert_eq!(more.view().out_ack(), 0);
        out.emit(&most.view(), values![2i64]).unwrap();
        assert_ne!(most.view().out_ack(), 0);
        assert_eq!(harness.emitted_edges().len(), 1);
    }
}

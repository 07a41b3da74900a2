//! What a new assignment means for the workers that run: which go on as they are, which are to be
//! replaced, and whether spouts wait meanwhile.
//!
//! Decides no placement; of a rebalanced topology it matches the scheduler's to the old one.

use std::collections::{BTreeMap, BTreeSet};

use super::Snapshot;
use crate::id::{ExecutorId, Slot, TopologyId};
use crate::nimbus::keep;
use crate::nimbus::rebalance::Next;
use crate::nimbus::state::{Topology, node_info};
use crate::scheduler::Standing;
use crate::wire::messages::{AssignmentRecord, RedoRecord};
use crate::wire::storm::{Assignment, NodeInfo};

// === impl Snapshot ===

impl Snapshot {
    /// The record of a new assignment.
    pub(super) fn record(&self, topology: &Topology, standing: &Standing) -> AssignmentRecord {
        let old = topology.assigned.as_deref();
        let assignment = self.assignment(topology, &standing.placement);
        let epoch = old.map_or(0, |old| old.record.epoch) + 1;
        let is_settling = match self.fresh.get(&topology.id) {
            Some(next) => next.settles,
            None => old.is_some_and(|old| old.settles_until_ms.is_some()),
        };
        let blobs_epoch = match self.has_new_plan(topology) {
            true => Some(epoch),
            false => old.and_then(|old| old.record.blobs_epoch),
        };
        AssignmentRecord {
            slot_epochs: self.slot_epochs(topology, standing, (&assignment, epoch)),
            blobs_epoch,
            assignment,
            epoch,
            is_settling: is_settling.then_some(true),
        }
    }

    /// Has as many workers of a rebalanced topology as possible go on as they are.
    pub(super) fn keep_workers(&self, next: &Next, standings: &mut BTreeMap<TopologyId, Standing>) {
        let id = &next.topology.id;
        let offered = self.offered();
        let others = standings.iter().filter(|(other, _)| *other != id);
        let taken: BTreeSet<Slot> = others
            .flat_map(|(_, at)| at.slots.iter().cloned())
            .collect();
        let may_use = |slot: &Slot| {
            let supervisor = offered.get(&slot.node);
            !taken.contains(slot) && supervisor.is_some_and(|s| s.ports.contains(&slot.port))
        };
        if let (Some(old), Some(fresh)) = (&next.seen.assigned, standings.get_mut(id)) {
            let executors = &next.topology.executors;
            let kept = keep::on_old_slots(&fresh.placement, &old.placement, executors, may_use);
            *fresh = kept.into();
        }
    }

    /// Whether a rebalance gives the topology another conf or code.
    fn has_new_plan(&self, topology: &Topology) -> bool {
        let next = self.fresh.get(&topology.id);
        next.is_some_and(|next| next.redo != RedoRecord::default())
    }

    /// Since when each slot has run what it runs now: where that changes, its worker is to be
    /// replaced. A topology that was nowhere before has no such slots.
    fn slot_epochs(
        &self,
        topology: &Topology,
        standing: &Standing,
        (assignment, epoch): (&Assignment, i64),
    ) -> Option<BTreeMap<NodeInfo, i64>> {
        let old = topology.assigned.as_deref()?;
        let is_same_plan = !self.has_new_plan(topology);
        let resources_at = |assignment: &Assignment, slot: &NodeInfo| {
            assignment.worker_resources.as_ref()?.get(slot).cloned()
        };
        let before = keep::by_slot(&old.placement);
        let since = |(slot, executors): (Slot, BTreeSet<ExecutorId>)| {
            let key = node_info(&slot);
            let is_same = is_same_plan
                && before.get(&slot) == Some(&executors)
                && resources_at(assignment, &key) == resources_at(old.assignment(), &key);
            let since = if is_same { old.epoch_of(&slot) } else { epoch };
            (key, since)
        };
        let slots = keep::by_slot(&standing.placement).into_iter();
        Some(slots.map(since).collect())
    }
}

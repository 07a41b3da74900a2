//! Whether anything is under way in a topology, and whether its workers follow its assignment, by
//! what they report.
//!
//! A worker's word is of one moment, and a tuple may be on its way between two that look idle at
//! different ones. So a topology counts as still when all its workers were idle over a common span
//! of time, and what they sent to each other is what they got. Pure: time is monotonic
//! milliseconds, of Nimbus's clock only.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::transition::Flow;
use crate::id::{Slot, TopologyId};
use crate::wire::messages::{Activity, TopologyPhase, WorkerReport};

/// The last words of all workers.
#[derive(Debug, Default)]
pub(crate) struct Stillness {
    topologies: HashMap<TopologyId, BTreeMap<Slot, Pulse>>,
}

/// The last words of one worker.
#[derive(Clone, Debug)]
struct Pulse {
    generation: i64,
    /// Of the assignment that it follows.
    epoch: i64,
    activity: Activity,
    /// When the first of the last reports came that all say the same and that nothing waits.
    idle_since_ms: Option<u64>,
    /// When the report before the last came: the last one was made after it.
    previous_ms: u64,
    last_ms: u64,
}

// === impl Stillness ===

impl Stillness {
    /// A worker reported from a slot that is its own.
    pub fn heard(&mut self, report: &WorkerReport, slot: &Slot, now_ms: u64) {
        let id = TopologyId::from(report.topology_id.as_str());
        let pulses = self.topologies.entry(id).or_default();
        let known = pulses
            .get(slot)
            .filter(|known| known.generation == report.generation);
        let activity = report.activity.clone().unwrap_or_default();
        // A worker that has not heard of the drain may be idle and start to work.
        let is_draining = report.phase == Some(TopologyPhase::Draining.into());
        let is_idle = is_draining && report.activity.is_some() && activity.n_waiting == 0;
        let unchanged = known.filter(|known| known.activity == activity);
        let since_ms = unchanged.and_then(|known| known.idle_since_ms);
        let pulse = Pulse {
            generation: report.generation,
            epoch: report.epoch.unwrap_or(0),
            activity,
            idle_since_ms: is_idle.then(|| since_ms.unwrap_or(now_ms)),
            previous_ms: known.map_or(0, |known| known.last_ms),
            last_ms: now_ms,
        };
        pulses.insert(slot.clone(), pulse);
    }

    /// Only these slots are the topology's now.
    pub fn assigned(&mut self, id: &TopologyId, slots: &BTreeSet<&Slot>) {
        if let Some(pulses) = self.topologies.get_mut(id) {
            pulses.retain(|slot, _| slots.contains(slot));
        }
    }

    pub fn removed(&mut self, id: &TopologyId) {
        self.topologies.remove(id);
    }

    /// Whether any worker of the topology was heard of just now.
    pub fn is_alive(&self, id: &TopologyId, now_ms: u64) -> bool {
        self.pulses(id).any(|(_, pulse)| pulse.is_fresh(now_ms))
    }

    /// Whether anything is under way in the workers that can be heard; nobody waits for the others.
    pub fn flow(&self, id: &TopologyId, now_ms: u64) -> Flow {
        let pulses = self.pulses(id).map(|(_, pulse)| pulse);
        let pulses: Vec<&Pulse> = pulses.filter(|pulse| pulse.is_fresh(now_ms)).collect();
        let sum = |count: fn(&Activity) -> i64| -> i64 {
            let counts = pulses.iter().map(|pulse| count(&pulse.activity));
            counts.fold(0, i64::wrapping_add)
        };
        let mut idle_since_ms = 0;
        for pulse in &pulses {
            match pulse.idle_since_ms {
                Some(since_ms) => idle_since_ms = since_ms.max(idle_since_ms),
                None => return Flow::Moving,
            }
        }
        let Some(idle_until_ms) = pulses.iter().map(|pulse| pulse.previous_ms).min() else {
            return Flow::Still;
        };
        // Counts differ for ever after a worker or a link broke: then a longer calm must do.
        let span_ms = match sum(|of| of.n_sent) == sum(|of| of.n_received) {
            true => 0,
            false => CALM_MS,
        };
        match idle_until_ms >= idle_since_ms.saturating_add(span_ms) {
            true => Flow::Still,
            false => Flow::Moving,
        }
    }

    /// Whether each of these slots has a worker of at least the given epoch that follows the
    /// assignment of `epoch`.
    pub fn follows<'a>(
        &self,
        id: &TopologyId,
        epoch: i64,
        mut slots: impl Iterator<Item = (&'a Slot, i64)>,
    ) -> bool {
        let pulses = self.topologies.get(id);
        slots.all(|(slot, since)| {
            let pulse = pulses.and_then(|pulses| pulses.get(slot));
            pulse.is_some_and(|pulse| {
                pulse.epoch >= epoch && crate::id::epoch_of(pulse.generation) >= since
            })
        })
    }

    fn pulses(&self, id: &TopologyId) -> impl Iterator<Item = (&Slot, &Pulse)> {
        self.topologies.get(id).into_iter().flatten()
    }
}

// === impl Pulse ===

impl Pulse {
    fn is_fresh(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.last_ms) < SILENT_MS
    }
}

/// A worker that was not heard of for so long is not waited for: it reports each second.
const SILENT_MS: u64 = 4_000;
/// How long nothing may change in any worker where counts do not tell: far longer than a frame
/// takes between two of them.
const CALM_MS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports as (worker, time, waiting, sent, received, turns).
    fn flow_after(reports: &[(u16, u64, i64, i64, i64, i64)], now_ms: u64) -> Flow {
        let mut stillness = Stillness::default();
        for (port, at_ms, n_waiting, n_sent, n_received, n_turns) in reports {
            let report = WorkerReport {
                topology_id: "t".to_owned(),
                generation: 1 << 20,
                phase: Some(TopologyPhase::Draining.into()),
                activity: Some(Activity {
                    n_waiting: *n_waiting,
                    n_sent: *n_sent,
                    n_received: *n_received,
                    n_turns: *n_turns,
                }),
                ..WorkerReport::default()
            };
            stillness.heard(&report, &slot(*port), *at_ms);
        }
        stillness.flow(&"t".into(), now_ms)
    }

    fn slot(port: u16) -> Slot {
        Slot {
            node: "n".into(),
            port,
        }
    }

    #[test]
    fn all_must_have_been_idle_at_one_time() {
        // One is idle before the other's tuple reaches it.
        let early = [(1, 10, 0, 5, 5, 9), (2, 20, 0, 6, 5, 9)];
        assert_eq!(flow_after(&early, 30), Flow::Moving);
        let once = [
            (1, 10, 0, 5, 5, 9),
            (2, 12, 0, 5, 5, 9),
            (1, 14, 0, 5, 5, 9),
        ];
        assert_eq!(flow_after(&once, 30), Flow::Moving);
        let both = [
            (2, 16, 0, 5, 5, 9),
            (1, 18, 0, 5, 5, 9),
            (2, 20, 0, 5, 5, 9),
        ];
        let all: Vec<_> = once.into_iter().chain(both).collect();
        assert_eq!(flow_after(&all, 30), Flow::Still);
        // It is as idle as before, but worked in between.
        let worked = [(1, 22, 0, 5, 5, 10), (1, 24, 0, 5, 5, 10)];
        let all: Vec<_> = all.into_iter().chain(worked).collect();
        assert_eq!(flow_after(&all, 30), Flow::Moving);
    }

    #[test]
    fn what_waits_or_is_on_its_way_moves() {
        let at = |at_ms, n_waiting, n_received| {
            [
                (1, at_ms, n_waiting, 7, 0, 3),
                (2, at_ms, 0, 0, n_received, 3),
            ]
        };
        let until = |until_ms, n_waiting, n_received| -> Vec<_> {
            let times = (0..=until_ms).step_by(100);
            times.flat_map(|ms| at(ms, n_waiting, n_received)).collect()
        };
        assert_eq!(flow_after(&until(5_000, 1, 7), 5_000), Flow::Moving);
        assert_eq!(flow_after(&until(300, 0, 7), 300), Flow::Still);
        // A frame that is on its way arrives within the calm; one that broke off never does.
        assert_eq!(flow_after(&until(1_000, 0, 6), 1_000), Flow::Moving);
        assert_eq!(flow_after(&until(1_200, 0, 6), 1_200), Flow::Still);
    }

    #[test]
    fn calm_before_the_drain_says_nothing() {
        let mut stillness = Stillness::default();
        let report = |phase: TopologyPhase| WorkerReport {
            topology_id: "t".to_owned(),
            activity: Some(Activity::default()),
            phase: Some(phase.into()),
            ..WorkerReport::default()
        };
        for at_ms in [0, 100, 200] {
            stillness.heard(&report(TopologyPhase::Settling), &slot(1), at_ms);
        }
        stillness.heard(&report(TopologyPhase::Draining), &slot(1), 300);
        assert_eq!(stillness.flow(&"t".into(), 300), Flow::Moving);
        stillness.heard(&report(TopologyPhase::Draining), &slot(1), 350);
        assert_eq!(stillness.flow(&"t".into(), 350), Flow::Still);
    }

    #[test]
    fn nobody_waits_for_the_dead() {
        assert_eq!(flow_after(&[], 0), Flow::Still);
        let busy = [(1, 0, 9, 0, 0, 1)];
        assert_eq!(flow_after(&busy, SILENT_MS - 1), Flow::Moving);
        assert_eq!(flow_after(&busy, SILENT_MS), Flow::Still);
    }

    #[test]
    fn settled_is_whoever_is_new_enough_and_follows() {
        let mut stillness = Stillness::default();
        let id = TopologyId::from("t");
        let follows = |stillness: &Stillness, since| {
            stillness.follows(&id, 4, [(&slot(1), since)].into_iter())
        };
        assert!(!follows(&stillness, 0));
        let mut report = WorkerReport {
            topology_id: "t".to_owned(),
            generation: 3 << 20 | 2,
            epoch: Some(3),
            ..WorkerReport::default()
        };
        stillness.heard(&report, &slot(1), 0);
        assert!(!follows(&stillness, 0), "it follows the old assignment");
        report.epoch = Some(4);
        stillness.heard(&report, &slot(1), 1);
        assert!(follows(&stillness, 3));
        assert!(!follows(&stillness, 4), "it is to be replaced");
        assert!(!stillness.is_alive(&id, SILENT_MS + 1) && stillness.is_alive(&id, 2));
        stillness.assigned(&id, &BTreeSet::new());
        assert!(!follows(&stillness, 0));
    }
}

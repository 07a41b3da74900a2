//! Who was heard of last, and when: supervisors, executors, and the statistics of workers.
//!
//! Lives in memory only: after a restart everybody counts as heard of at the boot. Pure but for the
//! arguments: time is monotonic milliseconds.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;

use crate::id::{ExecutorId, NodeId, Slot, TaskId, TopologyId};
use crate::limits;
use crate::scheduler::Placement;
use crate::wire;
use crate::wire::messages::{
    GatewayReport, LocalWorker, SupervisorReport, TaskMetric, WorkerFlow, WorkerReport,
};
use crate::wire::storm::{ExecutorInfo, ExecutorStats, SupervisorInfo};

/// Everything heard.
#[derive(Debug, Default)]
pub(crate) struct Beats {
    supervisors: BTreeMap<NodeId, SupervisorBeat>,
    topologies: HashMap<TopologyId, TopologyBeats>,
}

/// The last report of a supervisor.
#[derive(Clone, Debug)]
pub(crate) struct SupervisorBeat {
    pub info: SupervisorInfo,
    pub session: String,
    /// The target triple that its programs must be for.
    pub platform: Option<String>,
    pub seen_ms: u64,
}

/// The last report of a worker.
#[derive(Clone, Debug)]
pub(crate) struct WorkerBeat {
    pub generation: i64,
    pub uptime_secs: i32,
    pub seen_ms: u64,
    pub stats: HashMap<ExecutorId, PackedStats>,
    /// Where peers of its components connect.
    pub gateway: Option<GatewayReport>,
    /// What its tasks report of themselves in numbers.
    pub metrics: Vec<TaskMetric>,
    /// What flows from it.
    pub flow: Option<WorkerFlow>,
}

/// Statistics of an executor, as bytes: a tenth of what they take as maps, and few are ever read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PackedStats(Bytes);

#[derive(Debug, Default)]
struct TopologyBeats {
    executors: BTreeMap<ExecutorId, ExecutorBeat>,
    workers: BTreeMap<Slot, WorkerBeat>,
}

#[derive(Clone, Copy, Debug)]
struct ExecutorBeat {
    assigned_ms: u64,
    /// None until it was heard of for the first time where it is.
    seen_ms: Option<u64>,
}

/// Bounds of silence in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub executor_ms: u64,
    /// For one that was not heard of yet.
    pub launch_ms: u64,
}

/// What a supervisor's report changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// New, back after a silence, or with other ports: there may be slots to give.
    News,
    Nothing,
    /// There are too many supervisors already.
    Refused,
}

// === impl SupervisorBeat ===

impl SupervisorBeat {
    /// Its age as reported, and the time since.
    pub fn uptime_secs(&self, now_ms: u64) -> i64 {
        let since_secs = i64::try_from(now_ms.saturating_sub(self.seen_ms) / 1000).unwrap_or(0);
        self.info
            .uptime_secs
            .unwrap_or(0)
            .saturating_add(since_secs)
    }
}

// === impl Beats ===

impl Beats {
    /// A supervisor reported. Its workers count as heard of: it is the judge of those on its node.
    pub fn supervisor(&mut self, report: &SupervisorReport, timeout_ms: u64, now_ms: u64) -> Heard {
        let node = NodeId::from(report.node.as_str());
        let known = self.supervisors.get(&node);
        if known.is_none() && self.supervisors.len() >= limits::SUPERVISORS_MAX {
            return Heard::Refused;
        }
        let is_same = known.is_some_and(|known| {
            known.session == report.session
                && known.info.meta == report.info.meta
                && now_ms.saturating_sub(known.seen_ms) < timeout_ms
        });
        let beat = SupervisorBeat {
            info: report.info.clone(),
            session: report.session.clone(),
            platform: report.platform.clone(),
            seen_ms: now_ms,
        };
        self.supervisors.insert(node.clone(), beat);
        for worker in &report.workers {
            self.local_worker(&node, worker, now_ms);
        }
        if is_same { Heard::Nothing } else { Heard::News }
    }

    /// A supervisor is still connected.
    pub fn touch_supervisor(&mut self, node: &NodeId, now_ms: u64) {
        if let Some(beat) = self.supervisors.get_mut(node) {
            beat.seen_ms = now_ms;
        }
    }

    /// Supervisors that are not silent.
    pub fn supervisors(&self, timeout_ms: u64, now_ms: u64) -> BTreeMap<NodeId, SupervisorBeat> {
        let is_alive = |beat: &SupervisorBeat| now_ms.saturating_sub(beat.seen_ms) < timeout_ms;
        let alive = self.supervisors.iter().filter(|(_, beat)| is_alive(beat));
        alive
            .map(|(node, beat)| (node.clone(), beat.clone()))
            .collect()
    }

    pub fn has_supervisor(&self, node: &NodeId) -> bool {
        self.supervisors.contains_key(node)
    }

    /// Forgets supervisors that have been silent for so long that nobody waits for them.
    pub fn forget_supervisors(&mut self, silent_ms: u64, now_ms: u64) {
        self.supervisors
            .retain(|_, beat| now_ms.saturating_sub(beat.seen_ms) < silent_ms);
    }

    /// A worker reported from a slot that is its own. Executors that are not there are passed over.
    pub fn worker(&mut self, report: &WorkerReport, slot: &Slot, now_ms: u64) {
        let id = TopologyId::from(report.topology_id.as_str());
        let Some(beats) = self.topologies.get_mut(&id) else {
            return;
        };
        for info in &report.executors {
            beats.seen(executor(info), now_ms);
        }
        let worker = beats
            .workers
            .entry(slot.clone())
            .or_insert_with(|| WorkerBeat {
                generation: report.generation,
                uptime_secs: 0,
                seen_ms: now_ms,
                stats: HashMap::new(),
                gateway: None,
                metrics: Vec::new(),
                flow: None,
            });
        if worker.generation != report.generation {
            worker.stats.clear();
            worker.metrics.clear();
            worker.flow = None;
        }
        worker.generation = report.generation;
        worker.uptime_secs = report.uptime_secs;
        worker.seen_ms = now_ms;
        worker.gateway = report.gateway.clone();
        if let Some(metrics) = &report.metrics {
            worker.metrics = kept(metrics);
        }
        if report.flow.is_some() {
            worker.flow = report.flow.clone();
        }
        for (info, stats) in report.executor_stats.iter().flatten() {
            let executor = executor(info);
            if beats.executors.contains_key(&executor) {
                worker
                    .stats
                    .extend(PackedStats::new(stats).map(|stats| (executor, stats)));
            }
        }
    }

    /// Executors were heard of through Storm's own heartbeat calls.
    pub fn executors(&mut self, id: &TopologyId, executors: &[ExecutorInfo], now_ms: u64) {
        if let Some(beats) = self.topologies.get_mut(id) {
            for info in executors {
                beats.seen(executor(info), now_ms);
            }
        }
    }

    /// The newest worker that reported from a slot.
    pub fn worker_at(&self, id: &TopologyId, slot: &Slot) -> Option<&WorkerBeat> {
        self.topologies.get(id)?.workers.get(slot)
    }

    /// What the workers of a topology offer to peers of its components.
    pub fn gateways(&self, id: &TopologyId) -> impl Iterator<Item = &GatewayReport> {
        let beats = self.topologies.get(id).into_iter();
        beats.flat_map(|beats| {
            beats
                .workers
                .values()
                .filter_map(|worker| worker.gateway.as_ref())
        })
    }

    /// What the tasks of a topology report of themselves in numbers.
    pub fn metrics(&self, id: &TopologyId) -> impl Iterator<Item = &TaskMetric> {
        let beats = self.topologies.get(id).into_iter();
        let workers = beats.flat_map(|beats| beats.workers.values());
        workers.flat_map(|worker| &worker.metrics)
    }

    /// What flows from the workers of a topology.
    pub fn flows(&self, id: &TopologyId) -> Vec<WorkerFlow> {
        let beats = self.topologies.get(id).into_iter();
        let workers = beats.flat_map(|beats| beats.workers.values());
        workers.filter_map(|worker| worker.flow.clone()).collect()
    }

    /// A topology has a new placement: executors that moved start over, those that stayed go on.
    pub fn assigned(&mut self, id: &TopologyId, old: &Placement, new: &Placement, now_ms: u64) {
        let beats = self.topologies.entry(id.clone()).or_default();
        let slots: BTreeSet<&Slot> = new.values().collect();
        beats.workers.retain(|slot, _| slots.contains(slot));
        let beat = |(executor, slot): (&ExecutorId, &Slot)| {
            let stayed = old.get(executor) == Some(slot);
            let known = beats.executors.get(executor).copied();
            let fresh = ExecutorBeat {
                assigned_ms: now_ms,
                seen_ms: None,
            };
            (*executor, known.filter(|_| stayed).unwrap_or(fresh))
        };
        beats.executors = new.iter().map(beat).collect();
    }

    /// After a restart all executors count as heard of just now: nobody could report meanwhile.
    pub fn restored(&mut self, id: &TopologyId, placement: &Placement, now_ms: u64) {
        let beat = ExecutorBeat {
            assigned_ms: now_ms,
            seen_ms: Some(now_ms),
        };
        let beats = self.topologies.entry(id.clone()).or_default();
        beats.executors = placement.keys().map(|executor| (*executor, beat)).collect();
    }

    pub fn removed(&mut self, id: &TopologyId) {
        self.topologies.remove(id);
    }

    /// Executors of a placement that have been silent for too long. One that was never heard of has
    /// the launch time; once heard of, only the timeout counts (Storm grants the launch time
    /// anyway).
    pub fn dead(
        &self,
        id: &TopologyId,
        placement: &Placement,
        timeouts: Timeouts,
        now_ms: u64,
    ) -> BTreeSet<ExecutorId> {
        let Some(beats) = self.topologies.get(id) else {
            return BTreeSet::new();
        };
        let is_dead = |executor: &&ExecutorId| {
            beats.executors.get(executor).is_none_or(|beat| {
                let (since, bound) = match beat.seen_ms {
                    Some(seen_ms) => (seen_ms, timeouts.executor_ms),
                    None => (
                        beat.assigned_ms,
                        timeouts.launch_ms.max(timeouts.executor_ms),
                    ),
                };
                now_ms.saturating_sub(since) >= bound
            })
        };
        placement.keys().filter(is_dead).copied().collect()
    }

    fn local_worker(&mut self, node: &NodeId, worker: &LocalWorker, now_ms: u64) {
        let id = TopologyId::from(worker.topology_id.as_str());
        let Ok(port) = u16::try_from(worker.port) else {
            return;
        };
        let slot = Slot {
            node: node.clone(),
            port,
        };
        // Only a worker that reported itself from there may be vouched for: else one that never
        // comes up would look alive for ever.
        if let Some(beats) = self.topologies.get_mut(&id)
            && beats.workers.contains_key(&slot)
        {
            for info in &worker.executors {
                beats.seen(executor(info), now_ms);
            }
        }
    }
}

// === impl PackedStats ===

impl PackedStats {
    /// None for what is too large to be told again.
    fn new(stats: &ExecutorStats) -> Option<Self> {
        let packed = wire::to_bytes(stats).ok()?;
        // Copied, so that no spare capacity stays.
        Some(PackedStats(Bytes::copy_from_slice(&packed)))
    }

    pub fn unpack(&self) -> ExecutorStats {
        // They were packed here.
        wire::from_bytes(&self.0).unwrap_or_default()
    }
}

// === impl TopologyBeats ===

impl TopologyBeats {
    fn seen(&mut self, executor: ExecutorId, now_ms: u64) {
        if let Some(beat) = self.executors.get_mut(&executor) {
            beat.seen_ms = Some(now_ms);
        }
    }
}

/// No more, and no longer names, than a worker of ours reports.
fn kept(metrics: &[TaskMetric]) -> Vec<TaskMetric> {
    let metrics = metrics.iter().take(limits::METRICS_OF_WORKER_MAX);
    let is_short = |metric: &&TaskMetric| metric.name.len() <= limits::METRIC_NAME_BYTES_MAX;
    metrics.filter(is_short).cloned().collect()
}

/// An executor as heartbeats write it.
pub(crate) fn executor(info: &ExecutorInfo) -> ExecutorId {
    ExecutorId::new(TaskId(info.task_start), TaskId(info.task_end))
}

#[cfg(test)]
mod tests;

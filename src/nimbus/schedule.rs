//! Scheduling rounds: snapshot, scheduler, difference, publish.
//!
//! A round is pure; the loop below gives it what it needs, commits what it decides, and lets the
//! supervisors know. It never waits for a supervisor.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::beats::{SupervisorBeat, Timeouts};
use super::leader::{ChangeError, Edit, Leader};
use super::push::Pushes;
use super::rebalance::{self, Next};
use super::resources;
use super::settings::{self, Settings};
use super::state::{Assigned, State, Topology, executor_key, node_info};
use crate::clock;
use crate::cluster::StoreError;
use crate::conf::{Conf, keys};
use crate::id::{ExecutorId, NodeId, Slot, TopologyId};
use crate::scheduler::blacklist::Blacklist;
use crate::scheduler::choice::{self, ChoiceError};
use crate::scheduler::resources::Capacity;
use crate::scheduler::{self, Cluster, Placement, Scheduler, Standing};
use crate::wire::storm::{Assignment, TopologyStatus};

/// What a round knows.
pub(crate) struct Snapshot {
    pub state: Arc<State>,
    /// Those that are alive.
    pub supervisors: BTreeMap<NodeId, SupervisorBeat>,
    /// Executors that have been silent for too long.
    pub dead: BTreeMap<TopologyId, BTreeSet<ExecutorId>>,
    pub phase: Phase,
    /// Topologies that are placed as if they ran nowhere; `state` has them as they are to be.
    pub fresh: BTreeMap<TopologyId, Arc<Next>>,
    /// For Storm's `master_code_dir`.
    pub local_dir: String,
    /// What a worker takes at least, in percent of a core.
    pub worker_cpu_min: f64,
    /// Wall clock.
    pub now_secs: i64,
    /// Monotonic.
    pub now_ms: u64,
}

/// The scheduler and what it remembers from round to round.
pub(crate) struct Rounds {
    scheduler: Box<dyn Scheduler>,
    blacklist: Blacklist,
    /// By host.
    racks: BTreeMap<String, String>,
    turn_ms: u64,
    /// When the blacklist had its last turn.
    turned_ms: Option<u64>,
    /// What the last round saw, and when.
    last: Option<(Seen, u64)>,
}

/// Everything that a round's outcome depends on, but for the time.
#[derive(PartialEq)]
struct Seen {
    version: i64,
    offered: BTreeMap<NodeId, scheduler::Supervisor>,
    dead: BTreeMap<TopologyId, BTreeSet<ExecutorId>>,
    phase: Phase,
    blacklisted: BTreeSet<NodeId>,
}

/// Whether running topologies may be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// After a start, until the supervisors have reported: only what runs nowhere is placed.
    Recovering,
    Settled,
}

/// What is to be of a topology, as it was seen.
#[derive(Clone)]
pub(crate) struct Decision {
    pub seen: Arc<Topology>,
    /// None: it stays where it is, and only something else is told of it.
    pub assigned: Option<Arc<Assigned>>,
    pub sched_status: Option<String>,
    /// Of a rebalance: what changes beside the assignment.
    pub next: Option<Arc<Next>>,
}

// === impl Snapshot ===

impl Snapshot {
    /// What is known now.
    pub fn take(leader: &Leader, now_ms: u64) -> Self {
        let settings = &leader.settings;
        let (state, fresh) = rebalance::prepare(leader, leader.state());
        let beats = leader.beats();
        let supervisors = beats.supervisors(settings.supervisor_timeout_ms, now_ms);
        let dead = state.topologies.values().filter_map(|topology| {
            let placement = &topology.assigned.as_ref()?.placement;
            let timeouts = timeouts(settings, topology);
            let dead = beats.dead(&topology.id, placement, timeouts, now_ms);
            (!dead.is_empty()).then(|| (topology.id.clone(), dead))
        });
        let dead = dead.collect();
        drop(beats);
        let since_boot_ms = now_ms.saturating_sub(leader.boot_ms);
        Snapshot {
            phase: phase(&state, &supervisors, since_boot_ms < settings.recovery_ms()),
            state,
            supervisors,
            dead,
            fresh,
            local_dir: settings.local_dir.to_string_lossy().into_owned(),
            worker_cpu_min: settings.worker_cpu_min,
            now_secs: clock::wall_secs(),
            now_ms,
        }
    }

    /// One round: what is assigned anew. One that sees what the last saw is over at once.
    pub fn round(&self, rounds: &mut Rounds) -> Vec<Decision> {
        let mut offered = self.offered();
        for supervisor in offered.values_mut() {
            if let Some(rack) = rounds.racks.get(&supervisor.host) {
                supervisor.rack.clone_from(rack);
            }
        }
        rounds.note_bad(&offered, self.now_ms);
        let mut seen = Seen {
            version: self.state.version,
            offered: offered.clone(),
            dead: self.dead.clone(),
            phase: self.phase,
            blacklisted: rounds.blacklisted(),
        };
        for supervisor in seen.offered.values_mut() {
            supervisor.uptime_secs = 0;
        }
        if self.fresh.is_empty() && rounds.is_known(&seen, self.now_ms) {
            return Vec::new();
        }
        let (considered, left_alone): (Vec<&Arc<Topology>>, Vec<&Arc<Topology>>) = self
            .state
            .topologies
            .values()
            .partition(|topology| self.considers(topology));
        let asked = considered.iter().map(|topology| self.asked(topology));
        let bystanders = left_alone.iter().map(|topology| self.asked(topology));
        let told = considered.iter().filter_map(|topology| {
            let status = topology.sched_status.clone()?;
            Some((topology.id.clone(), status))
        });
        let mut cluster = Cluster::new(offered, asked.collect(), self.existing())
            .with_bystanders(bystanders.collect())
            .with_statuses(told.collect());
        rounds.blacklist.apply(&mut cluster);
        rounds.scheduler.schedule(&mut cluster);
        let mut statuses = cluster.statuses().clone();
        let mut standings = cluster.into_standings();
        for next in self.fresh.values() {
            self.keep_workers(next, &mut standings);
        }
        let decide = |topology: &&Arc<Topology>| {
            let standing = standings.remove(&topology.id).unwrap_or_default();
            let status = statuses.remove(&topology.id);
            self.decide(topology, standing, status)
        };
        let decisions: Vec<Decision> = considered.iter().filter_map(decide).collect();
        // A decision may come to nothing; then the next round has to make it again.
        rounds.last = decisions.is_empty().then_some((seen, self.now_ms));
        decisions
    }

    fn asked(&self, topology: &Topology) -> scheduler::Topology {
        let plan = topology.plan.as_ref();
        scheduler::Topology {
            id: topology.id.clone(),
            name: topology.name().to_owned(),
            owner: topology.base.owner.clone(),
            uptime_secs: topology.uptime_secs(self.now_secs).into(),
            n_workers: usize::try_from(topology.base.num_workers).unwrap_or(0),
            executors: Arc::clone(&topology.executors),
            demand: plan
                .map(|plan| Arc::clone(&plan.demand))
                .unwrap_or_default(),
        }
    }

    /// Topologies that are ending, or that cannot be read, stay as they are.
    fn considers(&self, topology: &Topology) -> bool {
        let runs = topology.placement().next().is_some();
        let may_move = !runs || self.phase == Phase::Settled;
        topology.status() != TopologyStatus::Killed && topology.plan.is_some() && may_move
    }

    /// Supervisors with the ports that may be given; one where an executor died is not given in the
    /// same round.
    fn offered(&self) -> BTreeMap<NodeId, scheduler::Supervisor> {
        let mut offered: BTreeMap<NodeId, scheduler::Supervisor> = BTreeMap::new();
        for (node, beat) in &self.supervisors {
            let resources = beat.info.resources_map.as_ref();
            let supervisor = scheduler::Supervisor {
                host: beat.info.hostname.clone(),
                rack: DEFAULT_RACK.to_owned(),
                ports: settings::ports(&beat.info).collect(),
                capacity: resources.map(Capacity::reported).unwrap_or_default(),
                uptime_secs: beat.uptime_secs(self.now_ms),
            };
            offered.insert(node.clone(), supervisor);
        }
        for (id, dead) in &self.dead {
            let placement = self
                .state
                .topologies
                .get(id)
                .and_then(|t| t.assigned.as_ref());
            let slots = placement
                .into_iter()
                .flat_map(|assigned| assigned.placement.iter());
            for (_, slot) in slots.filter(|(executor, _)| dead.contains(executor)) {
                if let Some(supervisor) = offered.get_mut(&slot.node) {
                    supervisor.ports.remove(&slot.port);
                }
            }
        }
        offered
    }

    /// What runs and stays; of topologies that this round leaves alone, everything.
    fn existing(&self) -> BTreeMap<TopologyId, Standing> {
        let mut existing = BTreeMap::new();
        for (id, topology) in &self.state.topologies {
            let is_fresh = self.fresh.contains_key(id) && self.considers(topology);
            let Some(assigned) = topology.assigned.as_ref().filter(|_| !is_fresh) else {
                continue;
            };
            let standing = match self.dead.get(id).filter(|_| self.considers(topology)) {
                Some(dead) => {
                    let mut placement = assigned.placement.as_ref().clone();
                    placement.retain(|executor, _| !dead.contains(executor));
                    placement.into()
                }
                None => Standing {
                    placement: Arc::clone(&assigned.placement),
                    slots: Arc::clone(&assigned.slots),
                },
            };
            existing.insert(id.clone(), standing);
        }
        existing
    }

    fn decide(
        &self,
        topology: &Arc<Topology>,
        standing: Standing,
        sched_status: Option<String>,
    ) -> Option<Decision> {
        let old = topology.assigned.as_deref();
        let next = self.fresh.get(&topology.id).cloned();
        let stays = |old: &Assigned| {
            Arc::ptr_eq(&old.placement, &standing.placement) || old.placement == standing.placement
        };
        if next.is_none() && old.is_some_and(stays) {
            let is_told = topology.sched_status == sched_status;
            return (!is_told).then(|| Decision {
                seen: Arc::clone(topology),
                assigned: None,
                sched_status,
                next: None,
            });
        }
        let record = self.record(topology, &standing);
        let now_ms = self.now_ms;
        Some(Decision {
            seen: match &next {
                Some(next) => Arc::clone(&next.seen),
                None => Arc::clone(topology),
            },
            assigned: Some(Arc::new(Assigned::standing(record, standing, now_ms))),
            sched_status,
            next,
        })
    }

    fn assignment(&self, topology: &Topology, placement: &Placement) -> Assignment {
        let none = Assignment::default();
        let old = topology
            .assigned
            .as_ref()
            .map_or(&none, |old| old.assignment());
        let old_placement = topology.assigned.as_ref().map(|old| &old.placement);
        // Entries of executors that are gone stay, as in Storm.
        let mut started = old.executor_start_time_secs.clone().unwrap_or_default();
        for (executor, slot) in placement {
            let stayed = old_placement.is_some_and(|old| old.get(executor) == Some(slot));
            let key = executor_key(*executor);
            if !stayed || !started.contains_key(&key) {
                started.insert(key, self.now_secs);
            }
        }
        let host = |node: &NodeId| {
            let reported = self.supervisors.get(node).map(|beat| &beat.info.hostname);
            let known = old
                .node_host
                .as_ref()
                .and_then(|hosts| hosts.get(node.as_str()));
            Some((node.as_str().to_owned(), reported.or(known)?.clone()))
        };
        let nodes: BTreeSet<&NodeId> = placement.values().map(|slot| &slot.node).collect();
        let at =
            |(executor, slot): (&ExecutorId, &Slot)| (executor_key(*executor), node_info(slot));
        Assignment {
            master_code_dir: self.local_dir.clone(),
            node_host: Some(nodes.into_iter().filter_map(host).collect()),
            executor_node_port: Some(placement.iter().map(at).collect()),
            executor_start_time_secs: Some(started),
            worker_resources: Some(resources::of_workers(
                topology,
                placement,
                self.worker_cpu_min,
            )),
            total_shared_off_heap: Some(BTreeMap::new()),
            owner: topology.base.owner.clone(),
        }
    }
}

// === impl Rounds ===

impl Rounds {
    /// With the scheduler that the daemon's conf names.
    pub fn new(conf: &Conf, settings: &Settings) -> Result<Self, ChoiceError> {
        let period = settings.monitor_period.as_millis();
        Ok(Rounds {
            scheduler: choice::scheduler(conf, clock::monotonic_millis)?,
            blacklist: Blacklist::new(choice::blacklist(conf)?),
            racks: choice::racks(conf)?,
            turn_ms: u64::try_from(period).unwrap_or(u64::MAX),
            turned_ms: None,
            last: None,
        })
    }

    /// Supervisors that get no new work.
    pub fn blacklisted(&self) -> BTreeSet<NodeId> {
        self.blacklist.listed().cloned().collect()
    }

    /// Rounds come when something happens, the blacklist reckons in periods.
    fn note_bad(&mut self, offered: &BTreeMap<NodeId, scheduler::Supervisor>, now_ms: u64) {
        self.blacklist.observe(offered);
        let turned_ms = *self.turned_ms.get_or_insert(now_ms);
        // Timers are late, never early; two periods that were slept through are one.
        if now_ms.saturating_sub(turned_ms) >= self.turn_ms {
            self.blacklist.turn();
            self.turned_ms = Some(now_ms);
        }
    }

    fn is_known(&self, seen: &Seen, now_ms: u64) -> bool {
        let Some((last, last_ms)) = &self.last else {
            return false;
        };
        let is_fresh = now_ms.saturating_sub(*last_ms) < WHOLE_ROUND_MS;
        is_fresh && !self.scheduler.depends_on_time() && last == seen
    }
}

fn phase(state: &State, supervisors: &BTreeMap<NodeId, SupervisorBeat>, is_young: bool) -> Phase {
    let all_reported = state
        .nodes()
        .into_iter()
        .all(|node| supervisors.contains_key(node));
    if is_young && !all_reported {
        Phase::Recovering
    } else {
        Phase::Settled
    }
}

/// The bounds of a topology, which may ask for more patience than the cluster has.
fn timeouts(settings: &Settings, topology: &Topology) -> Timeouts {
    let plan = topology.plan.as_ref();
    let own = plan.and_then(|plan| plan.conf.secs(keys::TOPOLOGY_WORKER_TIMEOUT_SECS).ok());
    let own_ms = own.map_or(0, |own| u64::try_from(own.as_millis()).unwrap_or(u64::MAX));
    Timeouts {
        executor_ms: settings.task_timeout_ms.max(own_ms),
        launch_ms: settings.task_launch_ms,
    }
}

/// How long a worker of the topology may be silent before its executors may be another's.
pub(crate) fn lease_ms(settings: &Settings, topology: &Topology) -> i64 {
    i64::try_from(timeouts(settings, topology).executor_ms).unwrap_or(i64::MAX)
}

/// Runs rounds, on the timer and when something changed, until Nimbus stops.
pub(crate) async fn run(leader: Arc<Leader>, rounds: Rounds) {
    let mut stop = leader.stopping();
    let mut rounds = Some(rounds);
    let mut pushes = Pushes::default();
    loop {
        if let Err(error) = round(&leader, &mut rounds, &mut pushes).await {
            tracing::error!(%error, "a scheduling round could not be saved");
        }
        tokio::select! {
            _ = stop.wait_for(|stopped| *stopped) => return,
            () = leader.schedule_soon.notified() => {}
            () = tokio::time::sleep(leader.settings.monitor_period) => {}
        }
    }
}

/// Leaves no `rounds` where the scheduler panicked.
async fn round(
    leader: &Arc<Leader>,
    rounds: &mut Option<Rounds>,
    pushes: &mut Pushes,
) -> Result<(), ChangeError> {
    let snapshot = Snapshot::take(leader, clock::monotonic_millis());
    // After a panic what the scheduler remembered is not to be trusted: it begins anew.
    let anew = || Rounds::new(&leader.conf, &leader.settings);
    let mut taken = match rounds.take().map_or_else(anew, Ok) {
        Ok(taken) => taken,
        Err(error) => {
            tracing::error!(%error, "nothing is placed: there is no scheduler");
            return Ok(());
        }
    };
    // A search for room may take a processor for a while.
    let searched = tokio::task::spawn_blocking(move || {
        let decisions = snapshot.round(&mut taken);
        (snapshot, taken, decisions)
    });
    let (snapshot, taken, decisions) = match searched.await {
        Ok(done) => done,
        Err(failure) => {
            tracing::error!(%failure, "a scheduling round failed, the next one begins anew");
            return Ok(());
        }
    };
    let blacklisted = taken.blacklisted();
    if **leader.blacklisted.load() != blacklisted {
        tracing::info!(?blacklisted, "supervisors that get no new work");
        leader.blacklisted.store(Arc::new(blacklisted));
    }
    *rounds = Some(taken);
    if decisions.is_empty() {
        return Ok(());
    }
    let nodes = decisions.iter().flat_map(changed_nodes).collect();
    for decision in &decisions {
        log(decision, snapshot.dead.get(&decision.seen.id));
    }
    let overtaken = save(leader, decisions).await?;
    if overtaken {
        leader.schedule_soon.notify_one();
    }
    pushes.push(leader, &snapshot.supervisors, &nodes);
    Ok(())
}

/// Makes decisions true, all at once; whether one came too late for what its topology is now.
///
/// Where one commit does not take them all, each gets its own: what none takes, be it for the size
/// of its conf, must not keep the other topologies from being placed.
pub(super) async fn save(leader: &Leader, decisions: Vec<Decision>) -> Result<bool, ChangeError> {
    let all = decisions.clone();
    match leader.change(|state| publish(state, all)).await {
        Err(ChangeError::Store(StoreError::TooLarge { .. })) => {}
        outcome => return outcome,
    }
    let mut overtaken = false;
    for decision in decisions {
        let topology = decision.seen.id.clone();
        let saved = leader.change(|state| publish(state, vec![decision]));
        match saved.await {
            Err(ChangeError::Store(error @ StoreError::TooLarge { .. })) => {
                tracing::error!(%topology, %error, "a topology cannot be placed");
            }
            outcome => overtaken |= outcome?,
        }
    }
    Ok(overtaken)
}

/// The edit that makes decisions true, and whether one came too late for what its topology is now.
fn publish(state: &State, decisions: Vec<Decision>) -> Result<(Edit, bool), ChangeError> {
    let mut edit = Edit::default();
    let mut overtaken = false;
    for Decision {
        seen,
        assigned,
        sched_status,
        next,
    } in decisions
    {
        let is_current = |now: &&Arc<Topology>| Arc::ptr_eq(now, &seen);
        let Some(now) = state.topologies.get(&seen.id).filter(is_current) else {
            overtaken = true;
            continue;
        };
        if let Some(assigned) = &assigned {
            edit.batch.assignment(&seen.id, &assigned.record)?;
        }
        if let Some(next) = &next {
            rebalance::commit(&mut edit, next)?;
        }
        let topology = Topology {
            assigned: assigned.or_else(|| now.assigned.clone()),
            sched_status,
            ..Topology::clone(next.as_ref().map_or(now, |next| &next.topology))
        };
        edit.topologies
            .push((seen.id.clone(), Some(Arc::new(topology))));
    }
    Ok((edit, overtaken))
}

/// Nodes whose executors are others than before.
fn changed_nodes(decision: &Decision) -> BTreeSet<NodeId> {
    let Some(assigned) = &decision.assigned else {
        return BTreeSet::new();
    };
    let none = Placement::new();
    let old = decision
        .seen
        .assigned
        .as_ref()
        .map_or(&none, |old| old.placement.as_ref());
    let new = assigned.placement.as_ref();
    let moved = |(executor, slot): &(&ExecutorId, &Slot), other: &Placement| {
        other.get(*executor) != Some(*slot)
    };
    let left = old.iter().filter(|entry| moved(entry, new));
    let came = new.iter().filter(|entry| moved(entry, old));
    left.chain(came)
        .map(|(_, slot)| slot.node.clone())
        .collect()
}

fn log(decision: &Decision, dead: Option<&BTreeSet<ExecutorId>>) {
    let status = decision.sched_status.as_deref();
    let Some(assigned) = &decision.assigned else {
        tracing::info!(topology = %decision.seen.id, status, "looked at");
        return;
    };
    tracing::info!(
        topology = %decision.seen.id,
        epoch = assigned.record.epoch,
        n_executors = assigned.placement.len(),
        n_workers = assigned.slots.len(),
        n_dead = dead.map_or(0, BTreeSet::len),
        status,
        "assigned"
    );
}

/// A round is made whole at least so often, whatever it sees: a search that ran out of time may
/// find more of it.
const WHOLE_ROUND_MS: u64 = 60_000;

/// Storm's rack of hosts of which nothing is known.
const DEFAULT_RACK: &str = "/default-rack";

mod fresh;
#[cfg(test)]
mod tests;

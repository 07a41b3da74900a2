//! Rounds over simulated time: a cluster of reports, no sockets and no sleeping.

use super::super::tests::{Fixture, words};
use super::super::transition::Lifecycle;
use super::*;
use crate::conf::Conf;
use crate::nimbus::beats::Beats;
use crate::nimbus::plan::Plan;
use crate::wire::messages::{SupervisorReport, WorkerReport};
use crate::wire::storm::{ExecutorInfo, StormBase, SupervisorInfo};

/// A cluster whose clock is a number.
struct Simulation {
    state: State,
    beats: Beats,
    rounds: Rounds,
    phase: Phase,
    now_ms: u64,
}

fn rounds() -> Rounds {
    let conf = Conf::defaults().with(keys::STORM_LOCAL_DIR, "/local");
    let settings = Settings::read(&conf).expect("defaults");
    Rounds::new(&conf, &settings).expect("defaults")
}

// === impl Simulation ===

impl Simulation {
    fn new() -> Self {
        Simulation {
            state: State::new(BTreeMap::new(), 1),
            beats: Beats::default(),
            rounds: rounds(),
            phase: Phase::Settled,
            now_ms: 0,
        }
    }

    fn add(&mut self, name: &str, n_workers: i32, parallelism: i32) -> TopologyId {
        let conf = Conf::defaults();
        let user = crate::topology::normalise::topology(&words(parallelism), &conf);
        let plan = Plan::new(user.expect("sound"), conf.clone(), &conf).expect("sound");
        let id = TopologyId::from(name);
        let topology = Topology {
            id: id.clone(),
            base: StormBase {
                name: name.to_owned(),
                num_workers: n_workers,
                owner: Some("somebody".to_owned()),
                ..StormBase::default()
            },
            lifecycle: Lifecycle::new(TopologyStatus::Active),
            executors: Arc::new(plan.executors(&plan.hints())),
            plan: Some(Arc::new(plan)),
            assigned: None,
            sched_status: None,
            controls: Default::default(),
        };
        self.state.topologies.insert(id.clone(), Arc::new(topology));
        self.state.version += 1;
        id
    }

    fn set_status(&mut self, id: &TopologyId, status: TopologyStatus) {
        let topology = self.state.topologies.get_mut(id).expect("there");
        Arc::make_mut(topology).lifecycle = Lifecycle::new(status);
        self.state.version += 1;
    }

    /// Supervisors report, and so do the workers on them.
    fn report(&mut self, nodes: &[&str], ports: std::ops::Range<i64>) {
        for node in nodes {
            let report = SupervisorReport {
                node: (*node).to_owned(),
                info: SupervisorInfo {
                    hostname: format!("host-of-{node}"),
                    meta: Some(ports.clone().collect()),
                    ..SupervisorInfo::default()
                },
                ..SupervisorReport::default()
            };
            self.beats.supervisor(&report, SUPERVISOR_MS, self.now_ms);
            for topology in self.state.topologies.values() {
                for slot in topology.slots().filter(|slot| slot.node.as_str() == *node) {
                    let executors = topology.executors_at(slot).expect("its own slot");
                    let report = worker_report(&topology.id, slot, executors);
                    self.beats.worker(&report, slot, self.now_ms);
                }
            }
        }
    }

    /// One round; says which topologies were assigned anew.
    fn round(&mut self) -> Vec<TopologyId> {
        let state = Arc::new(self.state.clone());
        let dead = state.topologies.values().filter_map(|topology| {
            let placement = &topology.assigned.as_ref()?.placement;
            Some((
                topology.id.clone(),
                self.beats
                    .dead(&topology.id, placement, TIMEOUTS, self.now_ms),
            ))
        });
        let snapshot = Snapshot {
            dead: dead.filter(|(_, dead)| !dead.is_empty()).collect(),
            supervisors: self.beats.supervisors(SUPERVISOR_MS, self.now_ms),
            phase: self.phase,
            fresh: BTreeMap::new(),
            local_dir: "/local".to_owned(),
            worker_cpu_min: 0.0,
            now_secs: i64::try_from(self.now_ms / 1000).expect("small"),
            now_ms: self.now_ms,
            state,
        };
        let decisions = snapshot.round(&mut self.rounds);
        let before = self.state.clone();
        let (edit, overtaken) = publish(&before, decisions).expect("records");
        assert!(!overtaken);
        let mut changed = Vec::new();
        for (id, topology) in edit.topologies {
            let topology = topology.expect("rounds remove nothing");
            let none = Placement::new();
            let old = before.topologies[&id].assigned.as_ref();
            let new = &topology.assigned.as_ref().expect("assigned").placement;
            self.beats.assigned(
                &id,
                old.map_or(&none, |old| &old.placement),
                new,
                self.now_ms,
            );
            self.state.topologies.insert(id.clone(), topology);
            changed.push(id);
        }
        self.state.version += i64::from(!changed.is_empty());
        changed
    }

    fn advance(&mut self, secs: u64) {
        self.now_ms += secs * 1000;
    }

    fn assigned(&self, id: &TopologyId) -> &Assigned {
        self.state.topologies[id]
            .assigned
            .as_ref()
            .expect("assigned")
    }

    fn nodes(&self, id: &TopologyId) -> BTreeSet<String> {
        let slots = self.assigned(id).placement.values();
        slots.map(|slot| slot.node.as_str().to_owned()).collect()
    }
}

fn worker_report(id: &TopologyId, slot: &Slot, executors: &BTreeSet<ExecutorId>) -> WorkerReport {
    let info = |executor: &ExecutorId| ExecutorInfo {
        task_start: executor.first.0,
        task_end: executor.last.0,
    };
    WorkerReport {
        topology_id: id.as_str().to_owned(),
        node: slot.node.as_str().to_owned(),
        port: i32::from(slot.port),
        executors: executors.iter().map(info).collect(),
        ..WorkerReport::default()
    }
}

#[test]
fn a_topology_is_placed_evenly_and_then_left_alone() {
    let mut cluster = Simulation::new();
    let id = cluster.add("words", 2, 4);
    cluster.report(&["a", "b"], 6700..6704);
    assert_eq!(cluster.round(), std::slice::from_ref(&id));
    let assigned = cluster.assigned(&id);
    assert_eq!(assigned.record.epoch, 1);
    // One acker, one spout, four bolts on two workers.
    assert_eq!(assigned.placement.len(), 6);
    let assignment = assigned.assignment();
    let hosts = assignment.node_host.as_ref().expect("set");
    assert_eq!(hosts["a"], "host-of-a");
    assert_eq!(assignment.master_code_dir, "/local");
    assert_eq!(assignment.owner.as_deref(), Some("somebody"));
    let resources = assignment.worker_resources.as_ref().expect("set").values();
    let memory: Vec<_> = resources.map(|resources| resources.mem_on_heap).collect();
    assert_eq!(memory, [Some(384.0), Some(384.0)]);
    assert_eq!(cluster.nodes(&id).len(), 2);
    for _ in 0..20 {
        cluster.advance(10);
        cluster.report(&["a", "b"], 6700..6704);
        assert!(cluster.round().is_empty());
    }
}

#[test]
fn without_slots_an_empty_assignment_is_written_once_and_filled_later() {
    let mut cluster = Simulation::new();
    let id = cluster.add("words", 1, 1);
    assert_eq!(cluster.round(), std::slice::from_ref(&id));
    assert!(cluster.assigned(&id).placement.is_empty());
    assert!(cluster.round().is_empty());
    cluster.report(&["a"], 6700..6701);
    assert_eq!(cluster.round(), std::slice::from_ref(&id));
    assert_eq!(cluster.assigned(&id).record.epoch, 2);
    let other = cluster.add("more", 1, 1);
    cluster.round();
    assert!(
        cluster.assigned(&other).placement.is_empty(),
        "a slot has one topology"
    );
}

#[test]
fn the_work_of_a_lost_node_moves_when_its_executors_are_dead() {
    let mut cluster = Simulation::new();
    let id = cluster.add("words", 2, 4);
    cluster.report(&["a", "b"], 6700..6704);
    cluster.round();
    cluster.report(&["a", "b"], 6700..6704);
    let started = cluster
        .assigned(&id)
        .assignment()
        .executor_start_time_secs
        .clone();
    // Node b falls silent. Its supervisor is gone after 20 s; its executors are dead after 30.
    for _ in 0..2 {
        cluster.advance(10);
        cluster.report(&["a"], 6700..6704);
        assert!(cluster.round().is_empty());
    }
    cluster.advance(10);
    cluster.report(&["a"], 6700..6704);
    assert_eq!(cluster.round(), std::slice::from_ref(&id));
    let assigned = cluster.assigned(&id);
    assert_eq!(assigned.record.epoch, 2);
    assert_eq!(assigned.placement.len(), 6);
    assert_eq!(cluster.nodes(&id), BTreeSet::from(["a".to_owned()]));
    // Those that stayed keep their start; those that moved begin now.
    let new = assigned
        .assignment()
        .executor_start_time_secs
        .clone()
        .expect("set");
    let old = started.expect("set");
    let n_kept = new
        .iter()
        .filter(|(key, secs)| old.get(*key) == Some(secs))
        .count();
    assert_eq!((n_kept, new.len()), (3, 6));
    // The node comes back: what runs stays where it is.
    cluster.advance(5);
    cluster.report(&["a", "b"], 6700..6704);
    assert!(cluster.round().is_empty());
}

#[test]
fn a_dead_workers_slot_is_not_given_again_in_the_same_round() {
    let mut cluster = Simulation::new();
    let id = cluster.add("words", 1, 1);
    cluster.report(&["a"], 6700..6701);
    cluster.round();
    cluster.advance(120);
    // The supervisor is there, the worker never came up.
    let report = SupervisorReport {
        node: "a".to_owned(),
        info: SupervisorInfo {
            hostname: "host-of-a".to_owned(),
            meta: Some(vec![6700]),
            ..SupervisorInfo::default()
        },
        ..SupervisorReport::default()
    };
    cluster
        .beats
        .supervisor(&report, SUPERVISOR_MS, cluster.now_ms);
    assert_eq!(cluster.round(), std::slice::from_ref(&id));
    assert!(cluster.assigned(&id).placement.is_empty());
    assert_eq!(cluster.round(), std::slice::from_ref(&id));
    assert_eq!(cluster.assigned(&id).placement.len(), 3);
}

#[test]
fn a_killed_topology_is_not_touched() {
    let mut cluster = Simulation::new();
    let id = cluster.add("words", 1, 1);
    cluster.report(&["a"], 6700..6704);
    cluster.round();
    cluster.set_status(&id, TopologyStatus::Killed);
    cluster.advance(600);
    cluster.report(&["b"], 6700..6704);
    assert!(cluster.round().is_empty());
    assert_eq!(cluster.assigned(&id).record.epoch, 1);
}

#[test]
fn after_a_restart_nothing_moves_before_the_supervisors_reported() {
    let mut cluster = Simulation::new();
    // It asks for more workers than there are slots, and so it is looked at in every round.
    let id = cluster.add("wide", 8, 6);
    cluster.report(&["a", "b"], 6700..6702);
    cluster.round();
    let placement = cluster.assigned(&id).placement.clone();
    assert_eq!(cluster.nodes(&id).len(), 2);

    cluster.beats = Beats::default();
    cluster.beats.restored(&id, &placement, cluster.now_ms);
    let settings_say_young = true;
    cluster.report(&["b"], 6700..6702);
    let supervisors = cluster.beats.supervisors(SUPERVISOR_MS, cluster.now_ms);
    cluster.phase = phase(&cluster.state, &supervisors, settings_say_young);
    assert_eq!(cluster.phase, Phase::Recovering);
    let new = cluster.add("new", 1, 1);
    // What runs nowhere may be placed all the same; here no slot is left for it.
    assert_eq!(cluster.round(), [new]);
    assert_eq!(cluster.assigned(&id).placement, placement);

    cluster.report(&["a", "b"], 6700..6702);
    let supervisors = cluster.beats.supervisors(SUPERVISOR_MS, cluster.now_ms);
    cluster.phase = phase(&cluster.state, &supervisors, settings_say_young);
    assert_eq!(cluster.phase, Phase::Settled);
    assert!(cluster.round().is_empty());
    assert_eq!(
        phase(&cluster.state, &BTreeMap::new(), false),
        Phase::Settled
    );
}

#[test]
fn a_decision_that_was_overtaken_is_dropped() {
    let mut cluster = Simulation::new();
    let id = cluster.add("words", 1, 1);
    cluster.report(&["a"], 6700..6704);
    let snapshot = Snapshot {
        state: Arc::new(cluster.state.clone()),
        supervisors: cluster.beats.supervisors(SUPERVISOR_MS, 0),
        dead: BTreeMap::new(),
        fresh: BTreeMap::new(),
        phase: Phase::Settled,
        local_dir: String::new(),
        worker_cpu_min: 0.0,
        now_secs: 0,
        now_ms: 0,
    };
    let decisions = snapshot.round(&mut cluster.rounds);
    assert_eq!(decisions.len(), 1);
    assert_eq!(
        changed_nodes(&decisions[0]),
        BTreeSet::from([NodeId::from("a")])
    );
    // Somebody kills it meanwhile.
    cluster.set_status(&id, TopologyStatus::Killed);
    let (edit, overtaken) = publish(&cluster.state, decisions).expect("records");
    assert!(overtaken && edit.topologies.is_empty() && edit.batch.is_empty());
}

const SUPERVISOR_MS: u64 = 20_000;
const TIMEOUTS: Timeouts = Timeouts {
    executor_ms: 30_000,
    launch_ms: 120_000,
};

/// A scheduler with a fault.
struct Panics;

impl Scheduler for Panics {
    fn schedule(&mut self, _: &mut Cluster) {
        panic!("no such slot");
    }
}

#[tokio::test]
async fn after_a_round_that_panics_there_are_others() {
    let fixture = Fixture::new().await;
    let leader = &fixture.nimbus().leader;
    let mut taken = Some(Rounds {
        scheduler: Box::new(Panics),
        ..rounds()
    });
    let mut pushes = Pushes::default();
    let outcome = round(leader, &mut taken, &mut pushes).await;
    assert!(outcome.is_ok() && taken.is_none());
    let outcome = round(leader, &mut taken, &mut pushes).await;
    assert!(outcome.is_ok() && taken.is_some());
}

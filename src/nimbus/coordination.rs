//! The Coordination service: supervisors and workers report and ask what they have to do.
//!
//! A call for which there is no news is parked for a while, so that news travel at once. Storm's
//! own heartbeat calls are in `service`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::access::permit_topology;
use super::beats::{self, Heard};
use super::blobs;
use super::fault::Fault;
use super::leader::{Leader, detached};
use super::news::Topic;
use super::profiler;
use super::schedule;
use super::state::Topology;
use crate::auth::{Operation, Target};
use crate::blob::{BlobChunk, BlobKey, acl};
use crate::clock;
use crate::id::{self, ComponentId, ExecutorId, NodeId, Slot, TopologyId};
use crate::limits;
use crate::messaging::packed_record;
use crate::messaging::packing::Packing;
use crate::rpc::{Caller, Failure};
use crate::topology;
use crate::wire::Open;
use crate::wire::messages::coordination::{
    ReadBlobError, Service, SyncSupervisorError, SyncWorkerError, TokenKeysError,
};
use crate::wire::messages::{
    BlobChunk as WireChunk, ComponentError, ServiceKeys, SupervisorDirective, SupervisorReport,
    TopologyWork, WorkerDirective, WorkerOrder, WorkerReport,
};
use crate::wire::storm::{AuthorizationException, KeyNotFoundException, WorkerTokenServiceType};

/// Answers supervisors and workers.
pub(crate) struct Coordination {
    leader: Arc<Leader>,
    /// Of large directives.
    packing: Packing,
}

/// What a worker has to do.
enum Verdict {
    Run(Arc<Topology>),
    Stop,
}

// === impl Coordination ===

impl Coordination {
    pub fn new(leader: Arc<Leader>) -> Self {
        Coordination {
            // What cannot be had kept Nimbus from starting.
            packing: Packing::of(&leader.conf).unwrap_or_default(),
            leader,
        }
    }

    async fn supervisor(&self, report: SupervisorReport) -> Result<SupervisorDirective, Fault> {
        let leader = &self.leader;
        let now_ms = clock::monotonic_millis();
        let timeout_ms = leader.settings.supervisor_timeout_ms;
        match leader.beats().supervisor(&report, timeout_ms, now_ms) {
            Heard::News => {
                tracing::info!(node = report.node, "a supervisor reported");
                leader.schedule_soon.notify_one();
            }
            Heard::Nothing => {}
            Heard::Refused => {
                let n = limits::SUPERVISORS_MAX;
                return Err(Fault::Denied(format!("there are {n} supervisors already")));
            }
        }
        self.errors(report.errors.iter());
        let node = NodeId::from(report.node.as_str());
        let known = report.known_version;
        self.park(Topic::Node(&node), known, report.wait_ms).await;
        leader
            .beats()
            .touch_supervisor(&node, clock::monotonic_millis());
        let state = leader.state();
        if leader
            .news
            .is_known(Topic::Node(&node), known, state.version)
        {
            // The version that it has says so.
            return Ok(SupervisorDirective {
                version: known,
                ..SupervisorDirective::default()
            });
        }
        let topologies = state
            .on(&node)
            .into_iter()
            .flat_map(|node| &node.topologies);
        let is_here = |slot: &&Slot| slot.node == node;
        let work = topologies.filter_map(|topology| {
            let work = self.work(topology, topology.slots().filter(is_here))?;
            Some((topology.id.as_str().to_owned(), work))
        });
        let directive = SupervisorDirective {
            topologies: work.collect(),
            version: state.version,
            packed: None,
        };
        let codecs = report.codecs.as_ref();
        Ok(match self.packing.pack_record(&directive, codecs) {
            None => directive,
            packed => SupervisorDirective {
                packed,
                version: state.version,
                ..SupervisorDirective::default()
            },
        })
    }

    async fn worker(&self, report: WorkerReport) -> WorkerDirective {
        let slot = slot(&report);
        let id = TopologyId::from(report.topology_id.as_str());
        if let (Some(slot), Verdict::Run(_)) = (&slot, self.judge(&report, slot.as_ref())) {
            let now_ms = clock::monotonic_millis();
            self.leader.beats().worker(&report, slot, now_ms);
            self.leader.stillness().heard(&report, slot, now_ms);
            // It was let in as a worker of this topology, and speaks for no other.
            let own = |error: &&ComponentError| error.topology_id == report.topology_id;
            self.errors(report.errors.iter().filter(own));
            if report.profiled.is_some() {
                let (leader, report) = (Arc::clone(&self.leader), report.clone());
                let done = detached(async move { profiler::done(&leader, &report).await });
                if let Ok(Err(error)) = done.await {
                    tracing::warn!(%error, "requests for profiles stay on record");
                }
            }
            self.park(Topic::Topology(&id), report.known_version, report.wait_ms)
                .await;
        }
        let mut version = self.leader.state().version;
        let verdict = self.judge(&report, slot.as_ref());
        let lease_ms = match &verdict {
            Verdict::Run(topology) => Some(schedule::lease_ms(&self.leader.settings, topology)),
            Verdict::Stop => None,
        };
        let (order, work) = match verdict {
            Verdict::Run(_) if self.knows(&id, report.known_version, version) => {
                version = report.known_version;
                (WorkerOrder::Run, None)
            }
            Verdict::Run(topology) => (WorkerOrder::Run, self.work(&topology, slot.iter())),
            Verdict::Stop => {
                let WorkerReport {
                    topology_id,
                    node,
                    port,
                    generation,
                    ..
                } = &report;
                tracing::info!(topology_id, node, port, generation, "a worker must stop");
                (WorkerOrder::Stop, None)
            }
        };
        let packed_work = work.as_ref().and_then(|work| {
            let codecs = report.codecs.as_ref();
            self.packing.pack_record(work, codecs)
        });
        WorkerDirective {
            version,
            order: order.into(),
            work: work.filter(|_| packed_work.is_none()),
            packed_work,
            codecs: packed_record::known(),
            lease_ms,
        }
    }

    /// A worker runs on while its slot has exactly its executors, and no newer worker reports from
    /// there.
    fn judge(&self, report: &WorkerReport, slot: Option<&Slot>) -> Verdict {
        let id = TopologyId::from(report.topology_id.as_str());
        let state = self.leader.state();
        let (Some(slot), Some(topology)) = (slot, state.topologies.get(&id)) else {
            return Verdict::Stop;
        };
        let own: BTreeSet<ExecutorId> = report.executors.iter().map(beats::executor).collect();
        if own.is_empty() || Some(&own) != topology.executors_at(slot) {
            return Verdict::Stop;
        }
        // Its executors are the same, but what it was started with is not.
        let since = topology.assigned.as_ref().map_or(0, |at| at.epoch_of(slot));
        if id::epoch_of(report.generation) < since {
            return Verdict::Stop;
        }
        let beats = self.leader.beats();
        let newest = beats.worker_at(&id, slot).map(|worker| worker.generation);
        if newest.is_some_and(|newest| newest > report.generation) {
            return Verdict::Stop;
        }
        Verdict::Run(Arc::clone(topology))
    }

    /// What nodes and workers have to know, with the token by which the workers come back, and what
    /// encrypts the links of those in `slots`.
    fn work<'a>(
        &self,
        topology: &Topology,
        slots: impl Iterator<Item = &'a Slot>,
    ) -> Option<TopologyWork> {
        let tokens = &self.leader.tokens;
        let mut work = topology.work()?;
        let hosts = work.assignment.node_host.as_ref();
        work.link_keys = tokens.links.issue(&topology.id, slots, hosts);
        work.worker_token = tokens.for_coordination(&topology.id);
        let by_service = tokens.credentials(&topology.id);
        if !by_service.is_empty() {
            let credentials = work.credentials.get_or_insert_default();
            credentials.creds.extend(by_service);
        }
        Some(work)
    }

    async fn permit(&self, caller: &Caller, operation: Operation) -> Result<(), Fault> {
        let gate = &self.leader.gate;
        Ok(gate.permit(caller, operation, Target::Cluster).await?)
    }

    /// A worker of a topology that is gone may hear that it is.
    async fn permit_worker(&self, caller: &Caller, report: &WorkerReport) -> Result<(), Fault> {
        let id = TopologyId::from(report.topology_id.as_str());
        match self.leader.state().topologies.get(&id) {
            None => Ok(()),
            Some(topology) => {
                permit_topology(&self.leader, caller, Operation::SyncWorker, topology).await
            }
        }
    }

    /// Whether a worker has heard all that there is to hear of its topology.
    fn knows(&self, id: &TopologyId, known: i64, now: i64) -> bool {
        self.leader.news.is_known(Topic::Topology(id), known, now)
    }

    async fn park(&self, topic: Topic<'_>, known_version: i64, wait_ms: i32) {
        let wait_ms = u64::try_from(wait_ms).unwrap_or(0);
        // A supervisor must be heard of several times within the silence that makes it lost.
        let longest_ms = limits::PARK_MS_MAX.min(self.leader.settings.supervisor_timeout_ms / 3);
        let wait_max = Duration::from_millis(wait_ms.min(longest_ms));
        self.leader
            .wait_for_news(topic, known_version, wait_max)
            .await;
    }

    fn errors<'r>(&self, reported: impl Iterator<Item = &'r ComponentError>) {
        let state = self.leader.state();
        for ComponentError {
            topology_id,
            component_id,
            error,
        } in reported
        {
            let id = TopologyId::from(topology_id.as_str());
            let component = ComponentId::from(component_id.as_str());
            // What were kept of a topology that is gone, nobody would ever forget.
            let Some(topology) = state.topologies.get(&id) else {
                continue;
            };
            let plan = topology.plan.as_ref();
            let is_known = component_id == topology::SYSTEM
                || plan.is_some_and(|plan| plan.request(&component).is_some());
            if is_known {
                self.leader.errors().report(&id, &component, error.clone());
            }
        }
    }

    async fn blob(
        &self,
        key: String,
        (offset, length): (i64, i32),
        user: Option<String>,
    ) -> Result<WireChunk, Fault> {
        let key = BlobKey::new(key).map_err(|error| Fault::Internal(error.to_string()))?;
        let (Ok(offset), Ok(length)) = (u64::try_from(offset), usize::try_from(length)) else {
            let text = format!("offset {offset} and length {length} must not be negative");
            return Err(Fault::Internal(text));
        };
        let leader = Arc::clone(&self.leader);
        if user.is_some() {
            let owner = Caller {
                principal: user.clone(),
                ..Caller::default()
            };
            let visitor = blobs::visitor(&leader, leader.gate.rank(&owner).await, user);
            let acl = &leader.blobs.blob(&key)?.meta.acl;
            visitor.check(acl, acl::READ, key.as_str())?;
        }
        let read = move || Ok::<_, Fault>(leader.blobs.read_at(&key, offset, length)?);
        let BlobChunk { data, info } = tokio::task::spawn_blocking(read).await??;
        Ok(WireChunk {
            data,
            total: i64::try_from(info.size).unwrap_or(i64::MAX),
            version: info.version,
        })
    }
}

impl Service for Coordination {
    async fn sync_supervisor(
        &self,
        caller: &Caller,
        report: Option<SupervisorReport>,
    ) -> Result<SupervisorDirective, SyncSupervisorError> {
        self.permit(caller, Operation::SyncSupervisor).await?;
        let report = report.ok_or_else(|| absent("report"))?;
        Ok(self.supervisor(report).await?)
    }

    async fn sync_worker(
        &self,
        caller: &Caller,
        report: Option<WorkerReport>,
    ) -> Result<WorkerDirective, SyncWorkerError> {
        let mut report = report.ok_or_else(|| absent("report"))?;
        self.permit_worker(caller, &report).await?;
        if let Some(packed) = report.packed_stats.take() {
            let unpacked = packed_record::unpack_record::<WorkerReport>(&packed);
            let unpacked = unpacked.map_err(|error| Failure::Protocol(error.to_string()))?;
            report.executor_stats = unpacked.executor_stats;
        }
        Ok(self.worker(report).await)
    }

    async fn read_blob(
        &self,
        caller: &Caller,
        key: Option<String>,
        offset: Option<i64>,
        length: Option<i32>,
        user: Option<String>,
    ) -> Result<WireChunk, ReadBlobError> {
        self.permit(caller, Operation::FetchBlob).await?;
        let key = key.ok_or_else(|| absent("key"))?;
        let length = length.unwrap_or(i32::MAX);
        Ok(self.blob(key, (offset.unwrap_or(0), length), user).await?)
    }

    async fn token_keys(
        &self,
        caller: &Caller,
        service: Option<Open<WorkerTokenServiceType>>,
        known_version: Option<i64>,
        wait_ms: Option<i32>,
    ) -> Result<ServiceKeys, TokenKeysError> {
        self.permit(caller, Operation::TokenKeys).await?;
        let service = service.and_then(|service| service.known());
        let service = service.ok_or_else(|| absent("service"))?;
        let wait_ms = u64::try_from(wait_ms.unwrap_or(0)).unwrap_or(0);
        let wait_max = Duration::from_millis(wait_ms.min(limits::PARK_MS_MAX));
        let tokens = &self.leader.tokens;
        let mut stopping = self.leader.stopping();
        tokio::select! {
            () = tokens.changed(known_version.unwrap_or(0), wait_max) => {}
            _ = stopping.wait_for(|stopped| *stopped) => {}
        }
        Ok(tokens.of_service(service))
    }
}

/// Maps refusals to the exceptions that all calls here declare.
macro_rules! refusals {
    ($($error:ident $(: $fault:ident => $exception:ident)?;)*) => {$(
        impl From<Fault> for $error {
            fn from(fault: Fault) -> Self {
                match fault {
                    Fault::Denied(msg) => AuthorizationException { msg }.into(),
                    $(Fault::$fault(msg) => $exception { msg }.into(),)?
                    other => Failure::Internal(other.to_string()).into(),
                }
            }
        }
    )*};
}

refusals! {
    SyncSupervisorError;
    SyncWorkerError;
    ReadBlobError: KeyNotFound => KeyNotFoundException;
    TokenKeysError;
}

fn slot(report: &WorkerReport) -> Option<Slot> {
    let port = u16::try_from(report.port).ok()?;
    let node = NodeId::from(report.node.as_str());
    Some(Slot { node, port })
}

fn absent(argument: &str) -> Failure {
    Failure::Internal(format!("`{argument}` is null"))
}

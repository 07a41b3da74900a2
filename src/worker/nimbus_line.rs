//! A worker's line to Nimbus: its heartbeat, statistics and errors out; status, routes and orders
//! in.
//!
//! While Nimbus is away the worker runs on: the line retries with growing pauses, over all
//! addresses in turn. Decides nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::warn;

use crate::auth::door::{DoorError, Key};
use crate::backoff::Backoff;
use crate::clock;
use crate::component::metrics::MetricBoard;
use crate::messaging::fence::Fence;
use crate::messaging::packed_record;
use crate::messaging::packing::Packing;
use crate::rpc::Failure;
use crate::rpc::client::{Address, ClientOptions, Reconnecting};
use crate::wire::Open;
use crate::wire::messages::coordination::{Client, SyncWorkerError};
use crate::wire::messages::{
    ComponentError, LinkCodec, TaskMetric, TopologyPhase, TopologyWork, WorkerDirective,
    WorkerLaunch, WorkerOrder, WorkerReport,
};
use crate::wire::storm;
use crate::worker::flow;
use crate::worker::gateway::{Gateway, GatewayReporter};
use crate::worker::lease::Lease;
use crate::worker::report::ReportedError;
use crate::worker::shared::Shared;

/// The line of one worker.
pub struct NimbusLine {
    launch: Arc<WorkerLaunch>,
    shared: Arc<Shared>,
    started: Instant,
    stats_every: Duration,
    addresses: Vec<Address>,
    /// How Coordination is entered: by the newest token.
    key: Key,
    address: usize,
    client: Option<Client<Reconnecting>>,
    /// Versions of the statistics that Nimbus has, by the executor's place.
    known_stats: Vec<u64>,
    orphan_after: Option<Duration>,
    /// What the topology goes through, by Nimbus's last word.
    phase: TopologyPhase,
    gateway: Option<GatewayReporter>,
    metrics: Arc<MetricBoard>,
    /// Version of the metrics that Nimbus has.
    known_metrics: u64,
    /// Of large statistics.
    packing: Packing,
    /// What Nimbus can unpack; none before it said so.
    codecs: Option<Vec<Open<LinkCodec>>>,
    lease: Arc<Lease>,
    fence: Fence,
}

/// How often a worker reports what, and for how long it bears silence.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// `stormwire.stats.report.secs`.
    pub stats_every: Duration,
    /// `stormwire.worker.orphan.timeout.secs`.
    pub orphan_after: Option<Duration>,
}

/// Statistics of executors that changed.
struct StatsNews(BTreeMap<storm::ExecutorInfo, storm::ExecutorStats>);

/// Why a worker cannot talk to Nimbus at all.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error("`{text}` is no address of Coordination: host:port is")]
    Address { text: String },
    #[error(transparent)]
    Door(#[from] DoorError),
}

// === impl NimbusLine ===

impl NimbusLine {
    pub fn new(
        launch: Arc<WorkerLaunch>,
        shared: Arc<Shared>,
        rhythm: Rhythm,
    ) -> Result<Self, LineError> {
        let key = key(&launch, launch.work.worker_token.as_deref())?;
        let addresses = launch.coordination.iter().map(|text| parse(text));
        Ok(NimbusLine {
            phase: phase(&launch.work),
            addresses: addresses.collect::<Result<_, _>>()?,
            key,
            launch,
            known_stats: vec![0; shared.executors.len()],
            shared,
            started: Instant::now(),
            stats_every: rhythm.stats_every,
            orphan_after: rhythm.orphan_after,
            address: 0,
            client: None,
            gateway: None,
            metrics: Arc::default(),
            known_metrics: 0,
            packing: Packing::default(),
            codecs: None,
            lease: Arc::default(),
            fence: Fence::default(),
        })
    }

    /// Keeps there what Nimbus grants with each answer, and reports only while it may.
    pub fn with_lease(self, lease: Arc<Lease>, fence: Fence) -> Self {
        NimbusLine {
            lease,
            fence,
            ..self
        }
    }

    /// Also tells where peers of components connect.
    pub fn with_gateway(self, gateway: Option<&Gateway>) -> Self {
        let gateway = gateway.map(Gateway::reporter);
        NimbusLine { gateway, ..self }
    }

    /// Also tells what components report of themselves in numbers.
    pub fn with_metrics(self, metrics: Arc<MetricBoard>) -> Self {
        NimbusLine { metrics, ..self }
    }

    /// Packs large statistics so, once Nimbus said that it can unpack them.
    pub fn with_packing(self, packing: Packing) -> Self {
        NimbusLine { packing, ..self }
    }

    /// Reports and asks for ever, until the receiver of the directives is gone.
    pub async fn run(mut self, news: mpsc::Sender<WorkerDirective>) {
        if self.addresses.is_empty() {
            // A worker that nobody coordinates, as in a test: it runs with what it was launched
            // with.
            news.closed().await;
            return;
        }
        let mut backoff = Backoff::new(PAUSE_MIN, PAUSE_MAX);
        let mut known_version = 0;
        let mut stats_due = Instant::now();
        let mut answered = Instant::now();
        loop {
            let is_stats_due = Instant::now() >= stats_due;
            let errors = self.shared.errors.take();
            let (stats, versions) = self.stats(is_stats_due);
            let mut report = self.report(known_version, stats, &errors);
            // Asked for first: what is read is of this version or a later one.
            let metrics_version = self.metrics.version();
            if is_stats_due && metrics_version != self.known_metrics {
                report.metrics = Some(self.readings());
            }
            let sent_ms = clock::boot_millis();
            match self.sync(&report).await {
                Ok(directive) => {
                    backoff.reset();
                    answered = Instant::now();
                    known_version = directive.version;
                    self.known_stats = versions;
                    if report.metrics.is_some() {
                        self.known_metrics = metrics_version;
                    }
                    self.told((&report, sent_ms), &directive);
                    if is_stats_due {
                        stats_due = Instant::now() + self.stats_every;
                    }
                    let epoch = self.enter(directive.work.as_ref());
                    if news.send(directive).await.is_err() {
                        return;
                    }
                    if let Some(epoch) = epoch {
                        self.wait_until_followed(epoch).await;
                    }
                }
                Err(error) => {
                    self.shared.errors.put_back(errors);
                    if backoff.attempts() == 0 {
                        let address = &self.addresses[self.address];
                        warn!(%address, %error, "Nimbus does not answer: running on");
                    }
                    if self
                        .orphan_after
                        .is_some_and(|limit| answered.elapsed() > limit)
                    {
                        warn!("no Nimbus answered for too long: ending");
                        // Without a receiver the worker is ending already.
                        let _ = news.send(stop()).await;
                        return;
                    }
                    known_version = 0;
                    self.turn_to_another();
                    let pause = backoff.next_delay(fastrand::f64());
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = news.closed() => return,
                    }
                }
            }
        }
    }

    /// The next call goes to another Nimbus, or to this one after a restart, which counts its
    /// versions anew.
    fn turn_to_another(&mut self) {
        self.codecs = None;
        self.known_stats.fill(0);
        self.known_metrics = 0;
        self.address = (self.address + 1) % self.addresses.len();
        self.client = None;
    }

    /// Takes note of what the topology goes through, and its newest token; gives the epoch that the
    /// next report is to say is followed, where Nimbus waits for that.
    fn enter(&mut self, work: Option<&TopologyWork>) -> Option<i64> {
        self.renew_key(work);
        // Without work all is as before.
        self.phase = work.map_or(self.phase, phase);
        let epoch = work.map(|work| work.epoch);
        epoch.filter(|_| self.phase != TopologyPhase::Steady)
    }

    async fn wait_until_followed(&self, epoch: i64) {
        let deadline = Instant::now() + FOLLOW_WAIT_MAX;
        while self.shared.epoch() != epoch && Instant::now() < deadline {
            tokio::time::sleep(FOLLOW_LOOK).await;
        }
    }

    /// Nimbus has heard of these requests, and says what it can unpack and for how long it bears
    /// silence.
    fn told(&mut self, (report, sent_ms): (&WorkerReport, u64), directive: &WorkerDirective) {
        self.lease.renew(sent_ms, directive.lease_ms);
        self.codecs.clone_from(&directive.codecs);
        let n_told = report.profiled.as_ref().map_or(0, Vec::len);
        self.profiled().drain(..n_told);
    }

    fn profiled(&self) -> std::sync::MutexGuard<'_, Vec<storm::ProfileRequest>> {
        let profiled = &self.shared.profiled;
        profiled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token that was renewed serves for the next connection.
    fn renew_key(&mut self, work: Option<&TopologyWork>) {
        let token = work.and_then(|work| work.worker_token.as_deref());
        let Some(token) = token else {
            return;
        };
        match key(&self.launch, Some(token)) {
            Ok(key) if self.key.login != key.login => {
                self.key = key;
                self.client = None;
            }
            Ok(_) => {}
            Err(error) => warn!(%error, "the renewed token is of no use"),
        }
    }

    async fn sync(&mut self, report: &WorkerReport) -> Result<WorkerDirective, SyncWorkerError> {
        if !self.fence.is_open() {
            // It is ending.
            std::future::pending::<()>().await;
        }
        let answer = self.client().sync_worker(Some(report)).await;
        answer.and_then(unpacked)
    }

    fn client(&mut self) -> &mut Client<Reconnecting> {
        let address = &self.addresses[self.address];
        let options = ClientOptions {
            call_wait_max: CALL_WAIT_MAX,
            key: self.key.clone(),
            ..ClientOptions::default()
        };
        self.client
            .get_or_insert_with(|| Client::new(Reconnecting::new(address.clone(), options)))
    }

    fn report(
        &self,
        known_version: i64,
        stats: Option<StatsNews>,
        errors: &[ReportedError],
    ) -> WorkerReport {
        let launch = &self.launch;
        let uptime_secs = i32::try_from(self.started.elapsed().as_secs()).unwrap_or(i32::MAX);
        let flow = { stats.as_ref() }.map(|_| flow::of_worker(&self.shared, launch, uptime_secs));
        let stats = WorkerReport {
            executor_stats: stats.map(|stats| stats.0),
            ..WorkerReport::default()
        };
        let packed_stats = stats.executor_stats.as_ref().and_then(|_| {
            let known = self.codecs.as_ref();
            self.packing.pack_record(&stats, known)
        });
        WorkerReport {
            topology_id: launch.topology_id.clone(),
            node: launch.node.clone(),
            port: launch.port,
            generation: launch.generation,
            executors: launch.executors.clone(),
            uptime_secs,
            flow,
            executor_stats: stats.executor_stats.filter(|_| packed_stats.is_none()),
            packed_stats,
            codecs: packed_record::known(),
            errors: errors.iter().map(|error| self.error(error)).collect(),
            known_version,
            wait_ms: match self.phase {
                // The first question is answered at once: what was launched may be old by now.
                _ if known_version == 0 => 0,
                TopologyPhase::Steady => PARK_MS,
                // Nimbus waits for what the reports say.
                TopologyPhase::Draining | TopologyPhase::Settling => BRISK_PARK_MS,
            },
            epoch: Some(self.shared.epoch()),
            // Asked for first: what is counted is of this phase or a later one.
            phase: self.shared.phase().map(Into::into),
            activity: Some(self.shared.activity()),
            profiled: Some(self.profiled().clone()).filter(|told| !told.is_empty()),
            gateway: self.gateway.as_ref().map(GatewayReporter::report),
            metrics: None,
        }
    }

    fn readings(&self) -> Vec<TaskMetric> {
        let readings = self.metrics.readings().into_iter();
        let metric = readings.map(|reading| TaskMetric {
            component: reading.component.to_string(),
            task: reading.task.0,
            name: reading.name,
            value: reading.value,
        });
        metric.collect()
    }

    fn error(&self, error: &ReportedError) -> ComponentError {
        ComponentError {
            topology_id: self.launch.topology_id.clone(),
            component_id: error.component.to_string(),
            error: storm::ErrorInfo {
                error: error.text.clone(),
                error_time_secs: i32::try_from(error.at_secs).unwrap_or(i32::MAX),
                host: Some(self.launch.host.clone()),
                port: Some(self.launch.port),
            },
        }
    }

    /// What changed of the statistics since Nimbus took them last, if they are due, and the
    /// versions that it has once it took these.
    fn stats(&self, is_due: bool) -> (Option<StatsNews>, Vec<u64>) {
        let mut versions = self.known_stats.clone();
        if !is_due {
            return (None, versions);
        }
        let mut changed = BTreeMap::new();
        for (handle, known) in self.shared.executors.iter().zip(&mut versions) {
            if let Some((stats, version)) = handle.stats_since(*known) {
                let info = storm::ExecutorInfo {
                    task_start: handle.id.first.0,
                    task_end: handle.id.last.0,
                };
                changed.insert(info, stats);
                *known = version;
            }
        }
        (Some(StatsNews(changed)), versions)
    }
}

/// As if Nimbus said so.
fn stop() -> WorkerDirective {
    WorkerDirective {
        order: WorkerOrder::Stop.into(),
        ..WorkerDirective::default()
    }
}

/// A directive as it was before Nimbus packed it.
fn unpacked(mut directive: WorkerDirective) -> Result<WorkerDirective, SyncWorkerError> {
    if let Some(packed) = directive.packed_work.take() {
        let work = packed_record::unpack_record(&packed);
        let work = work.map_err(|error| Failure::Protocol(error.to_string()))?;
        directive.work = Some(work);
    }
    Ok(directive)
}

/// What a topology goes through; nothing where a newer Nimbus names what we do not know.
pub fn phase(work: &TopologyWork) -> TopologyPhase {
    let phase = work.phase.and_then(|phase| phase.known());
    phase.unwrap_or(TopologyPhase::Steady)
}

fn key(launch: &WorkerLaunch, token: Option<&str>) -> Result<Key, DoorError> {
    Key::of_worker(token, launch.tls_authorities.as_deref().map(Path::new))
}

fn parse(text: &str) -> Result<Address, LineError> {
    let address = || {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().ok()?;
        let host = host.to_owned();
        Some(Address { host, port })
    };
    let text = text.to_owned();
    address().ok_or(LineError::Address { text })
}

/// How long Nimbus may hold a question while nothing changes: also the heartbeat's rhythm.
const PARK_MS: i32 = 1000;
/// The same while Nimbus waits for tuples to flow off or for workers to come.
const BRISK_PARK_MS: i32 = 50;
/// How long a report waits for threads that have not taken over new routes.
const FOLLOW_WAIT_MAX: Duration = Duration::from_millis(500);
/// Between looks at whether they have.
const FOLLOW_LOOK: Duration = Duration::from_millis(2);
/// For any answer: far above what Nimbus may park.
const CALL_WAIT_MAX: Duration = Duration::from_secs(10);
/// Pauses between attempts while Nimbus is away.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        let address = |host: &str, port| Address {
            host: host.to_owned(),
            port,
        };
        assert_eq!(parse("nimbus:6640").unwrap(), address("nimbus", 6640));
        assert_eq!(parse("[::1]:6640").unwrap(), address("::1", 6640));
        for text in ["nimbus", "nimbus:", "nimbus:99999"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

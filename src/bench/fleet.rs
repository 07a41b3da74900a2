//! Supervisors and workers that do nothing but report to Nimbus, as many as are wanted.
//!
//! Each has its own connection and heartbeat, as real ones have, and follows its directives; no
//! process is started and no tuple flows.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::{AbortHandle, JoinSet};

use crate::rpc::client::{Address, ClientOptions, Connection};
use crate::wire::messages::coordination::Client;
use crate::wire::messages::{
    SupervisorDirective, SupervisorReport, TopologyWork, WorkerOrder, WorkerReport,
};
use crate::wire::storm::{
    BoltStats, ExecutorInfo, ExecutorSpecificStats, ExecutorStats, GlobalStreamId, SupervisorInfo,
};

/// All that reports. Ends with its owner.
pub struct Fleet {
    coordination: Address,
    supervisors: JoinSet<()>,
    seen: Arc<Seen>,
}

/// What the fleet saw and did.
#[derive(Default)]
pub struct Seen {
    /// When a topology was first in a directive, by its id.
    placed: Mutex<HashMap<String, Instant>>,
    n_reports: AtomicU64,
    n_workers: AtomicUsize,
    /// Statistics are in each heartbeat whose number this divides.
    stats_every: AtomicU64,
}

/// Where a worker is and what it runs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Post {
    topology_id: String,
    node: String,
    port: i32,
    epoch: i64,
    executors: Vec<ExecutorInfo>,
}

// === impl Fleet ===

impl Fleet {
    pub fn new(coordination: Address) -> Self {
        let seen = Seen {
            stats_every: AtomicU64::new(1),
            ..Seen::default()
        };
        Fleet {
            coordination,
            supervisors: JoinSet::new(),
            seen: Arc::new(seen),
        }
    }

    /// Grows to so many supervisors of so many slots each.
    pub fn grow(&mut self, n_supervisors: usize, n_slots: i64) {
        for number in self.supervisors.len()..n_supervisors {
            let (address, seen) = (self.coordination.clone(), Arc::clone(&self.seen));
            self.supervisors.spawn(async move {
                let node = format!("node-{number:04}");
                if let Err(error) = supervise(&address, &seen, (&node, n_slots)).await {
                    eprintln!("{node} ended: {error:#}");
                }
            });
        }
    }

    pub fn seen(&self) -> &Seen {
        &self.seen
    }
}

// === impl Seen ===

impl Seen {
    pub fn placed_at(&self, id: &str) -> Option<Instant> {
        self.placed().get(id).copied()
    }

    pub fn n_placed(&self) -> usize {
        self.placed().len()
    }

    /// Heartbeats of workers so far.
    pub fn n_reports(&self) -> u64 {
        self.n_reports.load(Ordering::Relaxed)
    }

    /// Workers that have reported and still do.
    pub fn n_workers(&self) -> usize {
        self.n_workers.load(Ordering::Relaxed)
    }

    pub fn set_stats_every(&self, n_heartbeats: u64) {
        self.stats_every
            .store(n_heartbeats.max(1), Ordering::Relaxed);
    }

    fn placed(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        self.placed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, directive: &SupervisorDirective) {
        let mut placed = self.placed();
        for id in directive.topologies.keys() {
            if !placed.contains_key(id) {
                placed.insert(id.clone(), Instant::now());
            }
        }
    }
}

async fn supervise(
    address: &Address,
    seen: &Arc<Seen>,
    (node, n_slots): (&str, i64),
) -> Result<()> {
    let mut client = connect(address).await?;
    let mut report = SupervisorReport {
        node: node.to_owned(),
        info: SupervisorInfo {
            hostname: node.to_owned(),
            meta: Some((6700..6700 + n_slots).collect()),
            resources_map: Some(BTreeMap::from([
                ("memory.mb".to_owned(), 1e6),
                ("cpu.pcore.percent".to_owned(), 1e5),
            ])),
            ..SupervisorInfo::default()
        },
        session: "bench".to_owned(),
        ..SupervisorReport::default()
    };
    let mut workers: BTreeMap<Post, AbortHandle> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    loop {
        let asked = client.sync_supervisor(Some(&report)).await;
        let directive = asked.context("syncSupervisor failed")?;
        if directive.version != report.known_version {
            seen.note(&directive);
            let mut posts: Vec<Post> = posts(&directive, node).collect();
            posts.sort();
            workers.retain(|post, task| {
                let stays = posts.binary_search(post).is_ok();
                if !stays {
                    task.abort();
                }
                stays
            });
            for post in posts {
                workers.entry(post).or_insert_with_key(|post| {
                    let (address, seen) = (address.clone(), Arc::clone(seen));
                    let working = post.clone();
                    tasks.spawn(async move {
                        if let Err(error) = work(&address, &seen, &working).await {
                            eprintln!("{}:{} ended: {error:#}", working.node, working.port);
                        }
                    })
                });
            }
        }
        report.known_version = directive.version;
        report.wait_ms = 3000;
    }
}

/// What a node has to run.
fn posts<'a>(directive: &'a SupervisorDirective, node: &'a str) -> impl Iterator<Item = Post> {
    let topologies = directive.topologies.iter();
    topologies.flat_map(move |(id, work)| posts_of(id, work, node))
}

fn posts_of(id: &str, work: &TopologyWork, node: &str) -> Vec<Post> {
    let mut posts: BTreeMap<i64, Post> = BTreeMap::new();
    for (executor, slot) in work.assignment.executor_node_port.iter().flatten() {
        let (Some(port), [first, last]) = (slot.port.first(), executor.as_slice()) else {
            continue;
        };
        if slot.node != node {
            continue;
        }
        let task = |number: &i64| i32::try_from(*number).unwrap_or(0);
        let post = posts.entry(*port).or_insert_with(|| Post {
            topology_id: id.to_owned(),
            node: node.to_owned(),
            port: i32::try_from(*port).unwrap_or(0),
            epoch: work.epoch,
            executors: Vec::new(),
        });
        post.executors.push(ExecutorInfo {
            task_start: task(first),
            task_end: task(last),
        });
    }
    posts.into_values().collect()
}

/// A heartbeat each second, and whenever there is news.
async fn work(address: &Address, seen: &Seen, post: &Post) -> Result<()> {
    let mut client = connect(address).await?;
    let mut report = WorkerReport {
        topology_id: post.topology_id.clone(),
        node: post.node.clone(),
        port: post.port,
        generation: (post.epoch << GENERATION_BITS) | 1,
        executors: post.executors.clone(),
        epoch: Some(post.epoch),
        ..WorkerReport::default()
    };
    let _counted = Counted::new(&seen.n_workers);
    for number in 0.. {
        let has_stats = number % seen.stats_every.load(Ordering::Relaxed) == 0;
        report.executor_stats = has_stats.then(|| {
            let all = post.executors.iter();
            all.map(|info| (info.clone(), stats(number))).collect()
        });
        report.uptime_secs = i32::try_from(number).unwrap_or(i32::MAX);
        let asked = client.sync_worker(Some(&report)).await;
        let directive = asked.context("syncWorker failed")?;
        seen.n_reports.fetch_add(1, Ordering::Relaxed);
        if directive.order.known() == Some(WorkerOrder::Stop) {
            return Ok(());
        }
        report.known_version = directive.version;
        report.wait_ms = 1000;
    }
    Ok(())
}

/// Of a busy bolt: one source, its own stream and the acker's.
fn stats(number: u64) -> ExecutorStats {
    let count = i64::try_from(number).unwrap_or(0) * 20;
    let source = GlobalStreamId {
        component_id: "spout".to_owned(),
        stream_id: "default".to_owned(),
    };
    let counts = || by_window(BTreeMap::from([(source.clone(), count)]));
    let averages = || by_window(BTreeMap::from([(source.clone(), 0.25)]));
    let streams = BTreeMap::from([
        ("default".to_owned(), count),
        ("__ack_ack".to_owned(), count),
    ]);
    ExecutorStats {
        emitted: by_window(streams.clone()),
        transferred: by_window(streams),
        specific: ExecutorSpecificStats::Bolt(BoltStats {
            acked: counts(),
            failed: BTreeMap::new(),
            process_ms_avg: averages(),
            executed: counts(),
            execute_ms_avg: averages(),
        }),
        rate: 0.05,
    }
}

fn by_window<T: Clone>(value: T) -> BTreeMap<String, T> {
    let windows = ["600", "10800", "86400", ":all-time"];
    windows
        .map(|window| (window.to_owned(), value.clone()))
        .into()
}

async fn connect(address: &Address) -> Result<Client<Connection>> {
    let options = ClientOptions {
        call_wait_max: CALL_WAIT_MAX,
        ..ClientOptions::default()
    };
    Ok(Client::new(Connection::open(address, &options).await?))
}

/// Counts while it is there.
struct Counted<'a>(&'a AtomicUsize);

// === impl Counted ===

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Of a generation, those below its epoch.
const GENERATION_BITS: u32 = 20;
/// Far above what Nimbus may park.
const CALL_WAIT_MAX: Duration = Duration::from_secs(60);

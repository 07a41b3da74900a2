//! One Nimbus, in a process of its own, with more and more topologies: what calls cost while all
//! their supervisors and workers send heartbeats.
//!
//! The fleet is in this process and shares the machine with Nimbus: latencies are of both together,
//! CPU time and memory of Nimbus alone.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;

use super::fleet::Fleet;
use super::machine;
use super::submission::{self, Nimbus};
use super::{Figure, Options, ReferenceKind, Scratch};
use crate::conf::{Conf, keys};
use crate::process::Process;
use crate::rpc::client::{Address, ClientOptions, Connection};
use crate::wire::storm::nimbus::Client;

/// Nimbus as a child. Dropping it ends it.
struct Daemon {
    child: Child,
    nimbus: Address,
    coordination: Address,
}

/// What was measured at one number of topologies.
struct Level<'a> {
    case: String,
    daemon: &'a Daemon,
    fleet: &'a Fleet,
    figures: Vec<Figure>,
}

/// The curve: the same figures at each number of topologies.
pub fn control_scale(options: &Options) -> Result<Vec<Figure>> {
    // A connection for each worker, at both ends.
    let (_, n_files_max) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, n_files_max, n_files_max)?;
    let scratch = Scratch::new()?;
    let daemon = Daemon::start(scratch.path())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let connection = Connection::open(&daemon.nimbus, &ClientOptions::default()).await?;
        let mut client = Client::new(connection);
        let jar = submission::upload_jar(&mut client).await?;
        let mut fleet = Fleet::new(daemon.coordination.clone());
        let mut figures = Vec::new();
        let mut n_there = 0;
        for n_topologies in &options.topologies {
            fleet.grow(n_supervisors(*n_topologies), SLOTS);
            let n_executors = n_topologies * EXECUTORS;
            fleet
                .seen()
                .set_stats_every(n_executors.div_ceil(10_000) as u64);
            let mut level = Level {
                case: format!("control-scale {n_topologies}"),
                daemon: &daemon,
                fleet: &fleet,
                figures: Vec::new(),
            };
            level
                .fill(&mut client, &jar, n_there..*n_topologies)
                .await?;
            level.ask(&mut client, options).await?;
            level.watch(options).await?;
            n_there = *n_topologies;
            figures.append(&mut level.figures);
        }
        anyhow::Ok(figures)
    })
}

// === impl Level ===

impl Level<'_> {
    /// Submits one after another; the last of them are measured.
    async fn fill(
        &mut self,
        client: &mut Nimbus,
        jar: &str,
        numbers: std::ops::Range<usize>,
    ) -> Result<()> {
        let measured_from = numbers.end.saturating_sub(MEASURED).max(numbers.start);
        let (mut calls, mut placed, mut ids) = (vec![], vec![], vec![]);
        for number in numbers.clone() {
            let name = format!("scale-{number}");
            let started = Instant::now();
            submit(client, &name, jar).await?;
            if number < measured_from {
                continue;
            }
            calls.push(millis(started.elapsed()));
            let summary = client.get_topology_summary_by_name(Some(&name)).await?;
            ids.push((summary.id.clone(), started));
            // Each alone: else the wait would be for the round of those before.
            let at = self.until_placed(&summary.id).await?;
            placed.push(millis(at.duration_since(started)));
        }
        let all = numbers.end;
        until("all topologies are placed", || {
            self.fleet.seen().n_placed() >= all
        })
        .await?;
        let p99 = quantile(&calls, 0.99);
        let most = |figure: Figure, ms| figure.against(ReferenceKind::AtMost, ms);
        self.add(most(self.figure("submit call", "ms", calls), 500.0));
        self.add(most(
            self.figure("submit call, p99", "ms", vec![p99]),
            500.0,
        ));
        self.add(self.figure("submit to supervisor told", "ms", placed));
        Ok(())
    }

    /// Calls that read, and one that changes one topology.
    async fn ask(&mut self, client: &mut Nimbus, options: &Options) -> Result<()> {
        let n = options.n_repetitions * 4;
        let all = client.get_topology_summaries().await?;
        let some: Vec<_> = all.iter().cycle().step_by(7).take(n).collect();
        let (mut clusters, mut pages, mut infos, mut changes) = (vec![], vec![], vec![], vec![]);
        for topology in some {
            let id = Some(topology.id.as_str());
            let started = Instant::now();
            client.get_cluster_info().await?;
            clusters.push(millis(started.elapsed()));
            let started = Instant::now();
            client
                .get_topology_page_info(id, Some(":all-time"), Some(true))
                .await?;
            pages.push(millis(started.elapsed()));
            let started = Instant::now();
            client.get_topology_info(id).await?;
            infos.push(millis(started.elapsed()));
            let started = Instant::now();
            client.deactivate(Some(&topology.name)).await?;
            changes.push(millis(started.elapsed()));
            client.activate(Some(&topology.name)).await?;
        }
        let clusters = self.figure("getClusterInfo", "ms", clusters);
        self.add(clusters.against(ReferenceKind::AtMost, 50.0));
        self.add(self.figure("getTopologyPageInfo", "ms", pages));
        self.add(self.figure("getTopologyInfo", "ms", infos));
        self.add(self.figure("deactivate", "ms", changes));
        Ok(())
    }

    /// Only heartbeats.
    async fn watch(&mut self, options: &Options) -> Result<()> {
        tokio::time::sleep(options.ours.warm_up).await;
        let (mut rates, mut cpu) = (vec![], vec![]);
        for _ in 0..options.ours.n_windows {
            let before = (self.fleet.seen().n_reports(), self.daemon.usage());
            let started = Instant::now();
            tokio::time::sleep(options.ours.window).await;
            let secs = started.elapsed().as_secs_f64();
            let after = (self.fleet.seen().n_reports(), self.daemon.usage());
            rates.push((after.0 - before.0) as f64 / secs);
            let used = after.1.cpu.saturating_sub(before.1.cpu);
            cpu.push(used.as_secs_f64() / secs * 100.0);
        }
        let memory = self.daemon.usage().resident_bytes as f64 / f64::from(1 << 20);
        let n_workers = self.fleet.seen().n_workers() as f64;
        self.add(self.figure("workers", "", vec![n_workers]));
        self.add(self.figure("worker heartbeats", "/s", rates));
        self.add(self.figure("Nimbus CPU", "%", cpu));
        let memory = self.figure("Nimbus memory", "MiB", vec![memory]);
        self.add(memory.against(ReferenceKind::AtMost, 300.0));
        Ok(())
    }

    async fn until_placed(&self, id: &str) -> Result<Instant> {
        let seen = self.fleet.seen();
        until("a topology is placed", || seen.placed_at(id).is_some()).await?;
        seen.placed_at(id).context("it was placed")
    }

    fn figure(&self, what: &'static str, unit: &'static str, values: Vec<f64>) -> Figure {
        Figure::new(&self.case, (what, unit), values)
    }

    fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }
}

/// 30 executors and an acker for each of three workers.
async fn submit(client: &mut Nimbus, name: &str, jar: &str) -> Result<()> {
    let conf = Conf::new().with(keys::TOPOLOGY_WORKERS, WORKERS).to_json();
    let topology = submission::idle(EXECUTORS as i32 - WORKERS);
    let submitted = client.submit_topology(Some(name), Some(jar), Some(&conf), Some(&topology));
    submitted
        .await
        .with_context(|| format!("cannot submit {name}"))
}

fn n_supervisors(n_topologies: usize) -> usize {
    (n_topologies * WORKERS as usize).div_ceil(SLOTS as usize) + 1
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        if Instant::now() > deadline {
            bail!("{what}: not within {} seconds", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn quantile(values: &[f64], quantile: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (sorted.len() as f64 * quantile).ceil() as usize;
    sorted
        .get(index.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}

// === impl Daemon ===

impl Daemon {
    fn start(directory: &Path) -> Result<Self> {
        let program = std::env::current_exe().context("cannot tell which file this program is")?;
        let log = directory.join("nimbus.log");
        let settings = [
            (keys::STORM_LOCAL_DIR, directory.display().to_string()),
            (keys::NIMBUS_THRIFT_PORT, "0".to_owned()),
            (keys::STORMWIRE_COORDINATION_PORT, "0".to_owned()),
        ];
        let mut command = Command::new(program);
        command.arg("nimbus");
        for (key, value) in settings {
            command.arg("-c").arg(format!("{key}={value}"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(std::fs::File::create(&log)?);
        let mut child = command.spawn().context("cannot start stormwire nimbus")?;
        let stdout = child.stdout.take().context("Nimbus has no output")?;
        let mut daemon = Daemon {
            child,
            nimbus: Address::new("127.0.0.1", 0),
            coordination: Address::new("127.0.0.1", 0),
        };
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            match line.split_once(' ') {
                Some(("nimbus", rest)) => daemon.nimbus = parse(rest)?,
                Some(("coordination", rest)) => daemon.coordination = parse(rest)?,
                None if line == "ready" => return Ok(daemon),
                _ => {}
            }
        }
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        bail!("stormwire nimbus ended before it was ready: {log}");
    }

    fn usage(&self) -> machine::Usage {
        machine::usage(i32::try_from(self.child.id()).unwrap_or(0))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).unwrap_or(0);
        if let Some(nimbus) = Process::of_pid(pid) {
            nimbus.signal(Signal::SIGKILL);
        }
        // Its directory goes with the benchmark.
        let _ = self.child.wait();
    }
}

fn parse(text: &str) -> Result<Address> {
    let (host, port) = text.trim().rsplit_once(':').context("no address")?;
    Ok(Address::new(host, port.parse()?))
}

/// Of each topology, with the ackers.
const EXECUTORS: usize = 33;
const WORKERS: i32 = 3;
/// Of each supervisor.
const SLOTS: i64 = 30;
/// Submits of one level that are measured.
const MEASURED: usize = 50;
/// For one topology to be placed, or all.
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&values, 0.99), 99.0);
        assert_eq!(quantile(&values, 0.5), 50.0);
        assert_eq!(quantile(&[7.0], 0.99), 7.0);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn there_are_slots_for_all() {
        for n in [1, 10, 300, 1000] {
            assert!(
                n_supervisors(n) * SLOTS as usize >= n * WORKERS as usize,
                "{n}"
            );
        }
    }
}

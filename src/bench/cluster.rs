//! What happens once, or nothing at all: `stormwire dev` as a child process, watched from outside.
//!
//! Topologies are of built-in components. Times include what the watching itself takes, a
//! millisecond at most.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use super::dev::Dev;
use super::genuine::Installed;
use super::machine::{self, Usage};
use super::plan::{Arg, By, Part, Plan, SPOUT};
use super::side::{Running, Setting, Side};
use super::submission::{self, Nimbus};
use super::suite::Flow;
use super::{Figure, Options, ReferenceKind, Scratch, meters};
use crate::clock;
use crate::conf::{Conf, keys};
use crate::process::Process;
use crate::wire::storm::KillOptions;

/// Submit to first tuple, and kill to free slot: with jars of 1 kB and 50 MB, and beside other
/// topologies.
pub fn submit(options: &Options) -> Result<Vec<Figure>> {
    let n_others = if options.is_long {
        N_OTHERS_LONG
    } else {
        N_OTHERS
    };
    let mut figures = Vec::new();
    for (n_bytes, n_others) in [(SMALL_JAR, 0), (BIG_JAR, 0), (SMALL_JAR, n_others)] {
        let jar = format!("jar of {} kB", n_bytes / 1000);
        let case = match n_others {
            0 => format!("submit, {jar}"),
            _ => format!("submit, {jar}, {n_others} others"),
        };
        eprintln!("{case} ..");
        figures.extend(submit_beside(&case, (n_bytes, n_others), options)?);
    }
    Ok(figures)
}

/// Again and again on one cluster.
fn submit_beside(
    case: &str,
    (n_bytes, n_others): (usize, usize),
    options: &Options,
) -> Result<Vec<Figure>> {
    let scratch = Scratch::new()?;
    let directory = scratch.path().join("cluster");
    let dev = Dev::with_slots(&directory, n_others + 1)?;
    let mut uploaded = vec![];
    let (mut accepted, mut first, mut gone, mut free) = (vec![], vec![], vec![], vec![]);
    dev.calls(async |nimbus: &mut Nimbus| {
        others(nimbus, n_others).await?;
        until("the others' workers", || {
            machine::children(dev.pid()).len() == n_others
        })?;
        for number in 0..options.n_repetitions {
            let started = Instant::now();
            let jar = submission::upload_jar_of(nimbus, n_bytes).await?;
            uploaded.push(millis(started));
            let sink = scratch.path().join(format!("tuples-{number}"));
            let name = format!("bench-submit-{number}");
            let topology = submission::ticking(1, &sink.join("sink"));
            let started = Instant::now();
            submission::submit(nimbus, &name, &jar, &topology).await?;
            accepted.push(millis(started));
            until("the first tuple", || written(&sink) > 0)?;
            first.push(millis(started));
            let started = Instant::now();
            let now = KillOptions { wait_secs: Some(0) };
            let killed = nimbus
                .kill_topology_with_opts(Some(&name), Some(&now))
                .await;
            killed.with_context(|| format!("cannot kill {name}"))?;
            until("the end of the worker", || {
                machine::children(dev.pid()).len() == n_others
            })?;
            gone.push(millis(started));
            wait_until_free(nimbus, n_others).await?;
            free.push(millis(started));
        }
        Ok(())
    })?;
    let figure = |what: &'static str, values| Figure::new(case, (what, "ms"), values);
    let first = figure("submit to first tuple", first).against(ReferenceKind::AtMost, 300.0);
    Ok(vec![
        figure("upload", uploaded),
        figure("submit call", accepted),
        first.aiming_at(80.0),
        figure("kill(0) to worker gone", gone),
        figure("kill(0) to slot free", free),
    ])
}

/// Topologies that have a worker each and nothing to do.
async fn others(nimbus: &mut Nimbus, n_others: usize) -> Result<()> {
    let jar = submission::upload_jar(nimbus).await?;
    for number in 0..n_others {
        let name = format!("bench-other-{number}");
        submission::submit(nimbus, &name, &jar, &submission::idle(2)).await?;
    }
    Ok(())
}

/// An idle cluster, then one idle topology of 100 executors on it.
pub fn idle(options: &Options) -> Result<Vec<Figure>> {
    let scratch = Scratch::new()?;
    let started = Instant::now();
    let dev = Dev::start(&scratch.path().join("cluster"))?;
    let ready = millis(started);
    std::thread::sleep(SETTLING);
    let alone = watch("dev", dev.pid(), options.idle)?;
    dev.calls(async |nimbus: &mut Nimbus| {
        let jar = submission::upload_jar(nimbus).await?;
        submission::submit(nimbus, "bench-idle", &jar, &submission::idle(N_EXECUTORS)).await
    })?;
    let worker = only_worker(dev.pid())?;
    std::thread::sleep(SETTLING);
    let of_worker = watch("the worker", worker, options.idle)?;
    let beside = watch("dev", dev.pid(), options.idle)?;
    let figure = |what: &'static str, unit, value| Figure::new("idle", (what, unit), vec![value]);
    let mut figures = vec![
        figure("dev start to ready", "ms", ready),
        figure("dev memory", "MiB", mib(&alone)).against(ReferenceKind::AtMost, 60.0),
        figure("dev threads", "", alone.n_threads as f64).against(ReferenceKind::AtMost, 24.0),
        figure("dev CPU", "% of a core", percent(&alone, options)),
        figure("worker of 100 executors, memory", "MiB", mib(&of_worker)),
        figure(
            "worker of 100 executors, threads",
            "",
            of_worker.n_threads as f64,
        ),
        figure(
            "worker of 100 executors, CPU",
            "% of a core",
            percent(&of_worker, options),
        )
        .against(ReferenceKind::AtMost, 1.0)
        .aiming_at(0.2),
        figure("dev with that topology, memory", "MiB", mib(&beside)),
        figure(
            "dev with that topology, CPU",
            "% of a core",
            percent(&beside, options),
        ),
    ];
    if let Some(installed) = &options.installed {
        eprintln!("  genuine");
        figures.extend(idle_genuine(installed, options)?);
    }
    Ok(figures)
}

/// Genuine Storm's daemons, then with an idle topology of as many executors: all in one JVM.
fn idle_genuine(installed: &Installed, options: &Options) -> Result<Vec<Figure>> {
    let setting = Setting {
        n_workers: 1,
        n_threads: 1,
        installed: Some(installed),
    };
    let mut running = Running::start(Side::Genuine, &setting)?;
    std::thread::sleep(SETTLING_GENUINE);
    let alone = watch("genuine Storm", running.pid(), options.idle)?;
    let directory = running.directory().to_owned();
    let spout = Part::spout("stormwire.bench.SleepSpout", &directory, false);
    let sink = Part::bolt("sink", "stormwire.bench.NullBolt", (SPOUT, By::Shuffle));
    let parts = vec![
        spout.with(Arg::Whole(HOUR_MS)),
        sink.with(Arg::path(&directory)).times(N_EXECUTORS - 1),
    ];
    let conf = Conf::new()
        .with(keys::TOPOLOGY_WORKERS, 1)
        .with(keys::TOPOLOGY_ACKER_EXECUTORS, 0);
    running.submit(&Plan::new(conf, parts))?;
    running.until("the executors", |meters| meters.reach(1))?;
    std::thread::sleep(SETTLING_GENUINE);
    let beside = watch("genuine Storm", running.pid(), options.idle)?;
    let figure = |what: &'static str, unit, value| {
        Figure::new("idle", (what, unit), vec![value]).of(Side::Genuine)
    };
    Ok(vec![
        figure("dev memory", "MiB", mib(&alone)),
        figure("dev threads", "", alone.n_threads as f64),
        figure("dev CPU", "% of a core", percent(&alone, options)),
        figure("dev with that topology, memory", "MiB", mib(&beside)),
        figure(
            "worker of 100 executors, threads",
            "",
            (beside.n_threads - alone.n_threads) as f64,
        ),
        // Of daemons and topology together, which are one process.
        figure(
            "worker of 100 executors, CPU",
            "% of a core",
            percent(&beside, options),
        ),
    ])
}

/// SIGKILL of the worker until its successor's first tuple, of ConstSpout to NullBolt.
pub fn restart(options: &Options) -> Result<Vec<Figure>> {
    let variant = Flow::ConstNull.variants(false).swap_remove(1);
    let setting = Setting {
        n_workers: 1,
        n_threads: 1,
        installed: None,
    };
    let mut running = Running::start(Side::Cluster, &setting)?;
    let plan = variant.plan(running.directory())?;
    running.submit(&plan)?;
    let mut times = Vec::new();
    for _ in 0..options.n_repetitions {
        running.until("a tuple", |meters| meters.first_nanos().is_some())?;
        std::thread::sleep(SETTLING);
        let worker = only_worker(running.pid())?;
        let worker = Process::of_pid(worker).context("the worker is gone")?;
        // What it wrote would be read as its successor's.
        let killed_nanos = clock::machine_nanos();
        worker.signal(Signal::SIGKILL);
        until("the death of the worker", || !worker.is_alive())?;
        meters::forget(running.directory(), worker.pid)?;
        let meters = running.until("a tuple of the next worker", |meters| {
            meters.first_nanos().is_some()
        })?;
        let first_nanos = meters.first_nanos().unwrap_or(killed_nanos);
        times.push((first_nanos - killed_nanos) as f64 / 1e6);
    }
    let figure = Figure::new("restart", ("worker killed to next tuple", "ms"), times);
    Ok(vec![figure.better_when_less().headline()])
}

/// The pid of the one worker, once there is one.
fn only_worker(dev: i32) -> Result<i32> {
    until("a worker", || machine::children(dev).len() == 1)?;
    let pid = machine::children(dev).first().copied();
    pid.context("the worker ended by itself")
}

async fn wait_until_free(nimbus: &mut Nimbus, n_others: usize) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let cluster = nimbus.get_cluster_info().await?;
        let used = cluster.supervisors.iter();
        let n_used: i32 = used.map(|supervisor| supervisor.num_used_workers).sum();
        if n_used as usize == n_others && cluster.topologies.len() == n_others {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bail!("waited in vain for the slot to be free");
}

/// Bytes that the sinks of a directory have written.
fn written(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let lengths = files.filter_map(|file| Some(file.metadata().ok()?.len()));
    lengths.sum()
}

fn until(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        if Instant::now() > deadline {
            bail!("waited in vain for {what}");
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// What a process uses over a span: CPU of that span, memory and threads at its end.
fn watch(name: &str, pid: i32, span: Duration) -> Result<Usage> {
    let before = machine::usage(pid);
    std::thread::sleep(span);
    let after = machine::usage(pid);
    if before.n_threads == 0 || after.n_threads == 0 {
        bail!("{name} ended while it was watched");
    }
    Ok(Usage {
        cpu: after.cpu.saturating_sub(before.cpu),
        ..after
    })
}

fn percent(usage: &Usage, options: &Options) -> f64 {
    100.0 * usage.cpu.as_secs_f64() / options.idle.as_secs_f64()
}

fn mib(usage: &Usage) -> f64 {
    usage.resident_bytes as f64 / 1024.0 / 1024.0
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

const N_EXECUTORS: i32 = 100;
const HOUR_MS: i64 = 3_600_000;
const SMALL_JAR: usize = 1000;
const BIG_JAR: usize = 50_000_000;
/// Topologies with a worker process each; as many as a run of minutes has room for, and as many as
/// the suite asks for.
const N_OTHERS: usize = 30;
const N_OTHERS_LONG: usize = 300;
/// For the timers of a JVM that has just started.
const SETTLING_GENUINE: Duration = Duration::from_secs(5);
/// After a start, before a process counts as idle.
const SETTLING: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Hundreds of workers start at once, too.
const PATIENCE: Duration = Duration::from_secs(60);

//! A whole cluster as a user runs it: `stormwire dev` as a child process, watched from outside.
//!
//! Topologies are of built-in components; what arrives is seen in the file of a sink. Times
//! include what the watching itself takes, a millisecond at most.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use super::dev::Dev;
use super::machine::{self, Usage};
use super::submission::{self, Nimbus};
use super::{Figure, Options, ReferenceKind, Scratch};
use crate::process::Process;
use crate::wire::storm::KillOptions;

/// Submit to first tuple, and kill to free slot, again and again on one cluster.
pub fn submit(options: &Options) -> Result<Vec<Figure>> {
    let scratch = Scratch::new()?;
    let dev = Dev::start(&scratch.path().join("cluster"))?;
    let (mut accepted, mut first, mut gone, mut free) = (vec![], vec![], vec![], vec![]);
    dev.calls(async |nimbus: &mut Nimbus| {
        let jar = submission::upload_jar(nimbus).await?;
        for number in 0..options.n_repetitions {
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
                machine::children(dev.pid()).is_empty()
            })?;
            gone.push(millis(started));
            wait_until_free(nimbus).await?;
            free.push(millis(started));
        }
        Ok(())
    })?;
    let figure = |what, values| Figure::new("submit", (what, "ms"), values);
    Ok(vec![
        figure("submit call", accepted),
        figure("submit to first tuple", first).against(ReferenceKind::AtMost, 300.0),
        figure("kill(0) to worker gone", gone),
        figure("kill(0) to slot free", free),
    ])
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
    let worker = only_worker(&dev)?;
    std::thread::sleep(SETTLING);
    let of_worker = watch("the worker", worker, options.idle)?;
    let beside = watch("dev", dev.pid(), options.idle)?;
    let figure = |what, unit, value| Figure::new("idle", (what, unit), vec![value]);
    Ok(vec![
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
        .against(ReferenceKind::AtMost, 1.0),
        figure("dev with that topology, memory", "MiB", mib(&beside)),
        figure(
            "dev with that topology, CPU",
            "% of a core",
            percent(&beside, options),
        ),
    ])
}

/// SIGKILL of the worker until its successor's first tuple.
pub fn restart(options: &Options) -> Result<Vec<Figure>> {
    let scratch = Scratch::new()?;
    let dev = Dev::start(&scratch.path().join("cluster"))?;
    let sink = scratch.path().join("tuples");
    dev.calls(async |nimbus: &mut Nimbus| {
        let jar = submission::upload_jar(nimbus).await?;
        let topology = submission::ticking(1, &sink.join("sink"));
        submission::submit(nimbus, "bench-restart", &jar, &topology).await
    })?;
    until("the first tuple", || written(&sink) > 0)?;
    let mut times = Vec::new();
    for _ in 0..options.n_repetitions {
        std::thread::sleep(SETTLING);
        let worker = Process::of_pid(only_worker(&dev)?).context("the worker is gone")?;
        let started = Instant::now();
        worker.signal(Signal::SIGKILL);
        until("the death of the worker", || !worker.is_alive())?;
        let before = written(&sink);
        until("a tuple of the next worker", || written(&sink) > before)?;
        times.push(millis(started));
    }
    let what = "worker killed to next tuple";
    Ok(vec![Figure::new("restart", (what, "ms"), times)])
}

/// The pid of the one worker, once there is one.
fn only_worker(dev: &Dev) -> Result<i32> {
    until("a worker", || machine::children(dev.pid()).len() == 1)?;
    let pid = machine::children(dev.pid()).first().copied();
    pid.context("the worker ended by itself")
}

async fn wait_until_free(nimbus: &mut Nimbus) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let cluster = nimbus.get_cluster_info().await?;
        let mut supervisors = cluster.supervisors.iter();
        let is_free = supervisors.all(|supervisor| supervisor.num_used_workers == 0);
        if is_free && cluster.topologies.is_empty() {
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
/// After a start, before a process counts as idle.
const SETTLING: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(20);

//! `stormwire demo`: counts the words of a text on a cluster of its own, and proves the count.
//!
//! Starts Nimbus and a supervisor on free ports, submits over Thrift like any client a topology
//! whose spout and splitter are Python, watches it through Thrift, and compares the result with the
//! text's own count. Any difference is exit code 1.

mod count;
mod topology;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::client::{self, Nimbus, refused};
use super::daemon::{Cluster, runtime, say, stopped};
use super::table::table;
use super::topology::components;
use crate::component::registry;
use crate::conf::{Conf, keys};
use crate::ports;
use crate::rpc::client::Address;
use crate::wire::storm::{KillOptions, TopologyInfo};
use topology::{Plan, Submission};

/// What to count.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The text to count; by default the one that comes with Stormwire.
    #[arg(long, value_name = "TEXT")]
    pub file: Option<PathBuf>,
    /// Read no further after so many seconds, and compare with what was read.
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
}

/// What came out.
struct Outcome {
    totals: crate::component::native::count::Totals,
    own: count::Own,
    replays: u64,
    took: Duration,
}

/// Runs the demo.
pub fn run(args: &DemoArgs) -> Result<i32> {
    let dir = std::env::temp_dir().join(format!("stormwire-demo-{}", uuid::Uuid::new_v4()));
    fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let outcome = runtime()?.block_on(demo(args, &dir));
    match outcome {
        Ok(outcome) => {
            let code = report(&outcome);
            if code == 0 {
                fs::remove_dir_all(&dir)
                    .with_context(|| format!("cannot remove {}", dir.display()))?;
            } else {
                say(format_args!("logs and results stay in {}", dir.display()));
            }
            Ok(code)
        }
        Err(error) => Err(error.context(format!("demo failed; its logs are in {}", dir.display()))),
    }
}

async fn demo(args: &DemoArgs, dir: &Path) -> Result<Outcome> {
    let text = text(args, dir)?;
    let whole = count::own(&text, u64::MAX)?;
    say(format_args!(
        "text: {} ({} words)",
        text.display(),
        whole.n_words
    ));
    let (totals, done) = (dir.join("totals"), dir.join("done"));
    let plan = Plan {
        text: &text,
        seconds: args.seconds,
        totals: &totals,
        done: &done,
    };
    let submission = Submission::new(&plan)?;

    let conf = conf(dir)?;
    let cluster = Cluster::start(&conf, registry::knows).await?;
    let thrift = Address::new(
        cluster.nimbus.address().ip().to_string(),
        cluster.nimbus.address().port(),
    );
    say(format_args!(
        "cluster: nimbus {thrift}, one supervisor, workers as child processes"
    ));
    let mut nimbus = client::to_address(&thrift, &conf).await?;
    let started = Instant::now();
    submit(&mut nimbus, &submission).await?;
    let watched = tokio::select! {
        watched = watch(&mut nimbus, whole, &done) => watched,
        // The cluster ends with its demo, also when somebody ends that.
        signalled = stopped() => signalled.and_then(|()| bail!("ended by a signal")),
    };
    let took = started.elapsed();
    let finished = match watched {
        Ok((n_lines, replays)) => finish(&text, n_lines, replays, &totals).await,
        Err(error) => Err(error),
    };
    let killed = nimbus
        .kill_topology_with_opts(Some(NAME), Some(&KillOptions { wait_secs: Some(0) }))
        .await;
    cluster.stop().await;
    let (totals, own, replays) = finished?;
    killed.map_err(|e| refused("kill the topology", e))?;
    Ok(Outcome {
        totals,
        own,
        replays,
        took,
    })
}

/// The text to count: the one given, or ours, which travels inside the program.
fn text(args: &DemoArgs, dir: &Path) -> Result<PathBuf> {
    match &args.file {
        Some(path) => {
            fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))
        }
        None => {
            let path = dir.join("moby-dick.txt");
            fs::write(&path, TEXT).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(path)
        }
    }
}

fn conf(dir: &Path) -> Result<Conf> {
    Ok(Conf::defaults()
        .with(
            keys::STORM_LOCAL_DIR,
            dir.join("cluster").display().to_string(),
        )
        .with(keys::NIMBUS_THRIFT_PORT, 0)
        .with(keys::STORMWIRE_COORDINATION_PORT, 0)
        .with(keys::SUPERVISOR_THRIFT_PORT, 0)
        // Nobody comes back to a demo that was killed.
        .with(keys::STORMWIRE_WORKER_ORPHAN_TIMEOUT_SECS, 10)
        .with(keys::SUPERVISOR_SLOTS_PORTS, ports::free(1)?))
}

async fn submit(nimbus: &mut Nimbus, submission: &Submission) -> Result<()> {
    let location = super::submit::upload(nimbus, &submission.jar).await?;
    let json = submission.conf.to_json();
    let submitted = nimbus
        .submit_topology(
            Some(NAME),
            Some(&location),
            Some(&json),
            Some(&submission.topology),
        )
        .await;
    submitted.map_err(|e| refused("submit the topology", e))
}

/// Shows the topology until it says that every line was acked; returns (lines read, lines sent
/// again).
async fn watch(nimbus: &mut Nimbus, whole: count::Own, done: &Path) -> Result<(u64, u64)> {
    let bar = ProgressBar::with_draw_target(Some(whole.n_lines), ProgressDrawTarget::stderr());
    let template = "{msg}\n{bar:40} {pos}/{len} lines acked, {per_sec}, {elapsed}";
    bar.set_style(ProgressStyle::with_template(template)?);
    let mut last_acked = (0, Instant::now());
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let info = nimbus.get_topology_info_by_name(Some(NAME)).await;
        let info = info.map_err(|e| refused("look at the topology", e))?;
        let acked = acked(&info);
        bar.set_position(acked);
        bar.set_message(components(&info));
        if bar.is_hidden() {
            say(format_args!("{acked} of {} lines acked", whole.n_lines));
        }
        if let Some(end) = end(done) {
            bar.set_position(whole.n_lines.min(acked.max(end.0)));
            bar.finish();
            return Ok(end);
        }
        if acked != last_acked.0 {
            last_acked = (acked, Instant::now());
        }
        if last_acked.1.elapsed() > STALLED {
            bar.abandon();
            bail!("nothing was acked for {STALLED:?}: {}", errors(&info));
        }
    }
}

/// What the spout said when it was through: lines read, lines sent again.
fn end(done: &Path) -> Option<(u64, u64)> {
    let text = count::task_files(done).ok()?.into_iter().find_map(|path| {
        let text = fs::read_to_string(path).ok()?;
        text.ends_with('\n').then_some(text)
    })?;
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn acked(info: &TopologyInfo) -> u64 {
    let lines = info
        .executors
        .iter()
        .filter(|executor| executor.component_id == "lines");
    let spouts = lines.filter_map(|executor| super::topology::spout_acked(executor, "default"));
    u64::try_from(spouts.sum::<i64>()).unwrap_or(0)
}

fn errors(info: &TopologyInfo) -> String {
    let errors = info.errors.iter().flat_map(|(component, errors)| {
        errors
            .iter()
            .map(move |error| format!("{component}: {}", error.error))
    });
    let errors: Vec<String> = errors.collect();
    if errors.is_empty() {
        "no component reported an error".to_owned()
    } else {
        errors.join("; ")
    }
}

/// Waits for the counter's files to say what its tasks know, and counts the text's part itself.
async fn finish(
    text: &Path,
    n_lines: u64,
    replays: u64,
    totals: &Path,
) -> Result<(crate::component::native::count::Totals, count::Own, u64)> {
    let own = count::own(text, n_lines)?;
    let deadline = Instant::now() + SETTLED;
    loop {
        let counted = count::counted(totals)?;
        if counted.words == own.n_words || Instant::now() > deadline {
            return Ok((counted, own, replays));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Prints the result; returns the exit code.
fn report(outcome: &Outcome) -> i32 {
    let top = count::top(&outcome.totals, 10);
    let rows = top
        .into_iter()
        .map(|(word, n)| [word.to_owned(), n.to_string()]);
    say(format_args!("\n{}\n", table(["WORD", "COUNT"], rows)));
    let secs = outcome.took.as_secs_f64();
    let rate = outcome.own.n_words as f64 / secs;
    say(format_args!(
        "lines: {}, words a second: {rate:.0}, seconds: {secs:.1}",
        outcome.own.n_lines
    ));
    say(format_args!(
        "replays: {} lines sent again, {} words came again and were dropped",
        outcome.replays, outcome.totals.repeats
    ));
    say(format_args!("words: {}", outcome.totals.words));
    if outcome.totals.words == outcome.own.n_words {
        say(format_args!("the text's own count is the same"));
        return 0;
    }
    say(format_args!(
        "the text's own count is {}: THEY DIFFER",
        outcome.own.n_words
    ));
    1
}

const NAME: &str = "words";

const TEXT: &str = include_str!("../../../examples/moby-dick.txt");

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A minute without an ack: longer than any start and any replay.
const STALLED: Duration = Duration::from_secs(90);

/// The counter's files are a tenth of a second old at most.
const SETTLED: Duration = Duration::from_secs(5);

//! `monitor`: how many tuples a component emits, interval after interval, until it is told to stop.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use super::ClientArgs;
use super::client::{self, Nimbus, refused};
use super::daemon::say;
use super::topology::ALL_TIME;
use crate::clock;
use crate::conf::convert::java_double;
use crate::wire::storm::{GetInfoOptions, NumErrorsChoice, TopologyInfo};

/// What to look at, and how often.
#[derive(Debug, Args)]
pub struct MonitorArgs {
    /// The topology's name.
    name: String,
    /// Seconds from one look to the next.
    #[arg(short, long, value_name = "SECS", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    interval: u32,
    /// The component; without one its choices are shown.
    #[arg(short = 'm', long, value_name = "COMPONENT")]
    component: Option<String>,
    /// The stream.
    #[arg(short, long, value_name = "STREAM", default_value = "default")]
    stream: String,
    /// What is counted.
    #[arg(short, long, value_enum, default_value_t = Watch::Emitted)]
    watch: Watch,
    #[command(flatten)]
    client: ClientArgs,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Watch {
    /// Tuples that it emitted.
    Emitted,
    /// Tuples that went to receivers: one for each of them.
    Transferred,
}

/// What one look found.
struct Count {
    n_executors: usize,
    /// None where no executor has counted on the stream yet.
    n_tuples: Option<i64>,
}

/// `stormwire monitor`. Ends by a signal, or when the topology is gone.
pub fn monitor(args: &MonitorArgs) -> Result<i32> {
    client::block_on(async {
        let mut nimbus = client::connect(&args.client).await?;
        match &args.component {
            Some(component) => follow(&mut nimbus, args, component).await,
            None => {
                choices(&look(&mut nimbus, args).await?, &args.name);
                say("Please use -m to specify one component");
                Ok(0)
            }
        }
    })
}

async fn follow(nimbus: &mut Nimbus, args: &MonitorArgs, component: &str) -> Result<i32> {
    let watch = match args.watch {
        Watch::Emitted => "emitted",
        Watch::Transferred => "transferred",
    };
    say(format_args!(
        "topology\tcomponent\tparallelism\tstream\ttime-diff ms\t{watch}\tthroughput (Kt/s)"
    ));
    let mut ticks = tokio::time::interval(Duration::from_secs(args.interval.into()));
    // The first line has all there ever was, in no time.
    let mut before = None;
    loop {
        ticks.tick().await;
        let now_ms = clock::monotonic_millis();
        let info = look(nimbus, args).await?;
        let count = count(&info, component, args);
        if count.n_executors == 0 {
            choices(&info, &args.name);
            bail!("component: {component} not found");
        }
        let stream = &args.stream;
        let Some(n_tuples) = count.n_tuples else {
            bail!("stream: {stream} not found");
        };
        let (before_ms, n_before) = before.unwrap_or((now_ms, 0));
        let (passed_ms, more) = (now_ms.saturating_sub(before_ms), n_tuples - n_before);
        let rate = match passed_ms {
            0 => 0.0,
            passed_ms => more as f64 / passed_ms as f64,
        };
        say(format_args!(
            "{}\t{component}\t{}\t{stream}\t{passed_ms}\t{more}\t{}",
            args.name,
            count.n_executors,
            java_double(rate)
        ));
        before = Some((now_ms, n_tuples));
    }
}

async fn look(nimbus: &mut Nimbus, args: &MonitorArgs) -> Result<TopologyInfo> {
    let options = GetInfoOptions {
        num_err_choice: Some(NumErrorsChoice::None.into()),
    };
    let info = nimbus.get_topology_info_by_name_with_opts(Some(&args.name), Some(&options));
    let info = info.await;
    info.map_err(|error| refused(&format!("monitor {}", args.name), error))
}

fn count(info: &TopologyInfo, component: &str, args: &MonitorArgs) -> Count {
    let mut count = Count {
        n_executors: 0,
        n_tuples: None,
    };
    let executors = info.executors.iter();
    for executor in executors.filter(|executor| executor.component_id == component) {
        count.n_executors += 1;
        let Some(stats) = &executor.stats else {
            continue;
        };
        let counted = match args.watch {
            Watch::Emitted => &stats.emitted,
            Watch::Transferred => &stats.transferred,
        };
        let streams = counted.get(ALL_TIME);
        if let Some(n) = streams.and_then(|streams| streams.get(&args.stream)) {
            *count.n_tuples.get_or_insert(0) += n;
        }
    }
    count
}

fn choices(info: &TopologyInfo, name: &str) {
    let executors = info.executors.iter();
    let components: BTreeSet<&str> = executors
        .map(|executor| executor.component_id.as_str())
        .collect();
    say(format_args!("Available components for {name} :"));
    say(RULE);
    for component in components {
        say(component);
    }
    say(RULE);
}

const RULE: &str = "------------------";

//! A function call from its client to a topology and back: `stormwire dev` as a child, a spout, a
//! built-in bolt and `ReturnResults` in its worker, acked.
//!
//! One client that calls again and again shows latency, several at once show the rate.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::dev::Dev;
use super::histogram::Histogram;
use super::submission::{self, Nimbus};
use super::{Figure, Options, ReferenceKind, Scratch};
use crate::rpc::client::{Address, ClientOptions, Connection};
use crate::wire::storm::distributed_rpc::Client;

/// Latency of one client's calls, and how many a second several clients make.
pub fn round_trip(options: &Options) -> Result<Vec<Figure>> {
    let scratch = Scratch::new()?;
    let dev = Dev::start(&scratch.path().join("cluster"))?;
    dev.calls(async |nimbus: &mut Nimbus| {
        let jar = submission::upload_jar(nimbus).await?;
        let topology = submission::function(FUNCTION);
        submission::submit_acked(nimbus, ("bench-drpc", &jar), &topology, 1).await
    })?;
    let mut latencies: [Vec<f64>; QUANTILES.len()] = Default::default();
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    // The first call waits for the worker to start.
    calls(dev.drpc(), Duration::ZERO)?;
    calls(dev.drpc(), options.ours.warm_up)?;
    for _ in 0..options.ours.n_windows {
        let histogram = calls(dev.drpc(), options.ours.window)?;
        for (values, (quantile, _)) in latencies.iter_mut().zip(QUANTILES) {
            values.extend(histogram.quantile(quantile).map(|nanos| nanos as f64 / 1e3));
        }
        alone.push(histogram.len() as f64 / options.ours.window.as_secs_f64());
        let n_calls = many_calls(dev.drpc(), options.ours.window)?;
        together.push(n_calls as f64 / options.ours.window.as_secs_f64());
    }
    let mut figures = Vec::new();
    for (values, (quantile, what)) in latencies.into_iter().zip(QUANTILES) {
        let figure = Figure::new("drpc", (what, "us"), values);
        figures.push(match quantile {
            0.5 => figure.against(ReferenceKind::AtMost, 300.0),
            0.99 => figure.against(ReferenceKind::AtMost, 1000.0),
            _ => figure,
        });
    }
    figures.push(Figure::new("drpc", ("calls of one client", "1/s"), alone));
    figures.push(Figure::new(
        "drpc",
        ("calls of 16 clients", "1/s"),
        together,
    ));
    Ok(figures)
}

/// One client's calls for so long, at least one; their round trips.
fn calls(server: &Address, span: Duration) -> Result<Histogram> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(call_for(server.clone(), span))
}

/// How many calls several clients make at once.
fn many_calls(server: &Address, span: Duration) -> Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let clients = (0..N_CLIENTS).map(|_| tokio::spawn(call_for(server.clone(), span)));
        let mut n_calls = 0;
        for client in clients.collect::<Vec<_>>() {
            n_calls += client.await??.len();
        }
        Ok(n_calls)
    })
}

async fn call_for(server: Address, span: Duration) -> Result<Histogram> {
    let connection = Connection::open(&server, &ClientOptions::default()).await?;
    let mut client = Client::new(connection);
    let mut histogram = Histogram::new();
    let until = Instant::now() + span;
    loop {
        let started = Instant::now();
        let result = client.execute(Some(FUNCTION), Some("a request")).await;
        let result = result.context("cannot call the function")?;
        let nanos = started.elapsed().as_nanos();
        histogram.record(u64::try_from(nanos).unwrap_or(u64::MAX));
        if result != "a request!!!" {
            bail!("the function answered {result:?}");
        }
        if Instant::now() >= until {
            return Ok(histogram);
        }
    }
}

const FUNCTION: &str = "bench";
const N_CLIENTS: usize = 16;
const QUANTILES: [(f64, &str); 3] = [
    (0.5, "round trip, p50"),
    (0.99, "round trip, p99"),
    (0.999, "round trip, p99.9"),
];

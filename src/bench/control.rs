//! Calls to a Nimbus in this process, over loopback sockets.
//!
//! Server and callers share the machine, so the figure is that of both together.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Figure, Options, ReferenceKind, Scratch, submission};
use crate::component::registry;
use crate::conf::{Conf, keys};
use crate::nimbus::{self, Nimbus};
use crate::rpc::client::{Address, ClientOptions, Connection};
use crate::wire::storm::nimbus::Client;

/// getClusterInfo as fast as 1 and as 8 connections can ask, one call at a time each.
pub fn cluster_info(options: &Options) -> Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let scratch = Scratch::new()?;
        let conf = Conf::defaults()
            .with(
                keys::STORM_LOCAL_DIR,
                scratch.path().to_string_lossy().as_ref(),
            )
            .with(keys::NIMBUS_THRIFT_PORT, 0)
            .with(keys::STORMWIRE_COORDINATION_PORT, 0);
        let nimbus = Nimbus::start(conf, registry::knows).await?;
        let measured = match fill(&nimbus).await {
            Ok(()) => measure(&nimbus, options).await,
            Err(error) => Err(error),
        };
        nimbus.shutdown().await;
        measured
    })
}

async fn measure(nimbus: &nimbus::Handle, options: &Options) -> Result<Vec<Figure>> {
    let address = address(nimbus);
    let mut figures = Vec::new();
    for (n_connections, what) in [(1, "calls, 1 connection"), (8, "calls, 8 connections")] {
        let mut rates = Vec::new();
        call_for(options.ours.warm_up, n_connections, &address).await?;
        for _ in 0..options.ours.n_windows {
            rates.push(call_for(options.ours.window, n_connections, &address).await? / 1e3);
        }
        let figure = Figure::new("cluster-info", (what, "k/s"), rates);
        figures.push(match n_connections {
            1 => figure,
            _ => figure.against(ReferenceKind::AtLeast, 100.0),
        });
    }
    Ok(figures)
}

/// Topologies to tell of: without supervisors they wait for slots.
async fn fill(nimbus: &nimbus::Handle) -> Result<()> {
    let address = address(nimbus);
    let mut client = Client::new(Connection::open(&address, &ClientOptions::default()).await?);
    let jar = submission::upload_jar(&mut client).await?;
    for number in 0..N_TOPOLOGIES {
        let name = format!("bench-cluster-info-{number}");
        submission::submit(&mut client, &name, &jar, &submission::idle(10)).await?;
    }
    Ok(())
}

fn address(nimbus: &nimbus::Handle) -> Address {
    let address = nimbus.address();
    Address::new(address.ip().to_string(), address.port())
}

/// Calls a second while so many connections ask for that long.
async fn call_for(window: Duration, n_connections: usize, address: &Address) -> Result<f64> {
    let mut callers = tokio::task::JoinSet::new();
    let started = Instant::now();
    for _ in 0..n_connections {
        let address = address.clone();
        callers.spawn(async move {
            let connection = Connection::open(&address, &ClientOptions::default()).await?;
            let mut client = Client::new(connection);
            let mut n_calls = 0u64;
            while started.elapsed() < window {
                client.get_cluster_info().await?;
                n_calls += 1;
            }
            anyhow::Ok(n_calls)
        });
    }
    let mut n_calls = 0;
    while let Some(ended) = callers.join_next().await {
        n_calls += ended?.context("getClusterInfo failed")?;
    }
    Ok(n_calls as f64 / started.elapsed().as_secs_f64())
}

const N_TOPOLOGIES: usize = 10;

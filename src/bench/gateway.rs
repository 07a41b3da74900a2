//! Tuples between a worker and a peer: `stormwire dev` as a child, a component that is a process of
//! its own, played by a stock client of ours that does nothing with what it sends and gets.
//!
//! So the figures are those of the engine's side; what a language's client costs comes on top.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::dev::Dev;
use super::machine;
use super::submission::{self, Nimbus};
use super::{Figure, Options, Scratch};
use crate::rpc::client::{Address, ClientOptions, Connection};
use crate::wire::messages::{
    GatewayColumn, GatewayColumns, GatewayEmit, GatewayForm, GatewayOpen, GatewayRange,
    GatewayReceive, GatewayRole, gateway, gateway_finder,
};

/// What is measured, by the topology's name, its ackers, and the peer's role.
#[derive(Clone, Copy)]
struct Flow {
    what: &'static str,
    cost: &'static str,
    n_ackers: i32,
    role: GatewayRole,
}

/// A peer at work.
struct Peer {
    client: gateway::Client<Connection>,
    session: String,
    role: GatewayRole,
    is_tracked: bool,
    next_id: i64,
    answers: Vec<GatewayRange>,
}

/// Rates and costs of each flow.
pub fn flows(options: &Options) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for flow in FLOWS {
        let (rates, costs) = measure(flow, options)?;
        figures.push(Figure::new("gateway", (flow.what, "M/s"), rates));
        figures.push(Figure::new("gateway", (flow.cost, "ns"), costs));
    }
    Ok(figures)
}

fn measure(flow: Flow, options: &Options) -> Result<(Vec<f64>, Vec<f64>)> {
    let scratch = Scratch::new()?;
    let dev = Dev::start(&scratch.path().join("cluster"))?;
    dev.calls(async |nimbus: &mut Nimbus| {
        let jar = submission::upload_jar(nimbus).await?;
        let topology = match flow.role {
            GatewayRole::Spout => submission::texts("stormwire.GatewaySpout", "stormwire.NullBolt"),
            GatewayRole::Bolt => submission::texts("stormwire.ConstSpout", "stormwire.GatewayBolt"),
        };
        submission::submit_acked(nimbus, (NAME, &jar), &topology, flow.n_ackers).await
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut peer = Peer::open(dev.nimbus(), flow).await?;
        peer.work_for(options.ours.warm_up).await?;
        let (mut rates, mut costs) = (Vec::new(), Vec::new());
        for _ in 0..options.ours.n_windows {
            let (started, before) = (Instant::now(), worker_time(&dev));
            let n_tuples = peer.work_for(options.ours.window).await? as f64;
            let spent = worker_time(&dev).saturating_sub(before);
            rates.push(n_tuples / started.elapsed().as_secs_f64() / 1e6);
            costs.push(spent.as_nanos() as f64 / n_tuples);
        }
        if rates.contains(&0.0) {
            bail!("no tuple passed in a window of {:?}", options.ours.window);
        }
        Ok((rates, costs))
    })
}

/// Processor time that the workers took so far.
fn worker_time(dev: &Dev) -> Duration {
    let workers = machine::children(dev.pid());
    workers.iter().map(|pid| machine::usage(*pid).cpu).sum()
}

// === impl Peer ===

impl Peer {
    /// Waits until the worker is there.
    async fn open(nimbus: &Address, flow: Flow) -> Result<Self> {
        let component = match flow.role {
            GatewayRole::Spout => "spout",
            GatewayRole::Bolt => "bolt",
        };
        let until = Instant::now() + PATIENCE;
        let options = ClientOptions::default();
        loop {
            let connection = Connection::open(nimbus, &options).await?;
            let mut finder = gateway_finder::Client::new(connection);
            let places = finder.find_gateways(Some(NAME), Some(component)).await?;
            if let Some(place) = places.first() {
                let port = u16::try_from(place.port).context("no port")?;
                let connection = Connection::open(&Address::new("127.0.0.1", port), &options).await;
                let mut client = gateway::Client::new(connection?);
                let request = GatewayOpen {
                    component: component.to_owned(),
                    role: flow.role.into(),
                    form: Some(GatewayForm::Columns.into()),
                    credit: Some(4 * BATCH as i32),
                    ..GatewayOpen::default()
                };
                let session = client.open(Some(&request)).await?.session;
                return Ok(Peer {
                    client,
                    session,
                    role: flow.role,
                    is_tracked: flow.n_ackers > 0,
                    next_id: 0,
                    answers: Vec::new(),
                });
            }
            if Instant::now() > until {
                bail!("no worker waits for a peer of {component}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sends or takes tuples for so long; gives how many.
    async fn work_for(&mut self, span: Duration) -> Result<u64> {
        let until = Instant::now() + span;
        let mut n_tuples = 0;
        while Instant::now() < until {
            n_tuples += match self.role {
                GatewayRole::Spout => self.emit().await?,
                GatewayRole::Bolt => self.receive().await?,
            };
        }
        Ok(n_tuples)
    }

    /// Emits a batch; counts what was acked, or what was sent where nothing is tracked.
    async fn emit(&mut self) -> Result<u64> {
        let ids = self.next_id..self.next_id + BATCH as i64;
        self.next_id = ids.end;
        let columns = GatewayColumns {
            columns: vec![GatewayColumn::Strings(vec!["some data".to_owned(); BATCH])],
            ids: self.is_tracked.then(|| ids.collect()),
            ..GatewayColumns::default()
        };
        let request = GatewayEmit {
            session: self.session.clone(),
            columns: Some(vec![columns]),
            ..GatewayEmit::default()
        };
        let fates = self.client.emit(Some(&request)).await?;
        Ok(match self.is_tracked {
            true => fates.acked.len() as u64,
            false => BATCH as u64,
        })
    }

    /// Acks what came last and takes what there is.
    async fn receive(&mut self) -> Result<u64> {
        let request = GatewayReceive {
            session: self.session.clone(),
            ack_ranges: Some(std::mem::take(&mut self.answers)),
            tuples_max: Some(BATCH as i32),
            ..GatewayReceive::default()
        };
        let delivery = self.client.receive(Some(&request)).await?;
        let mut n_tuples = 0;
        for run in delivery.runs {
            n_tuples += u64::from(run.count.unsigned_abs());
            self.answers.push(GatewayRange {
                first: run.first_handle,
                count: run.count,
            });
        }
        Ok(n_tuples)
    }
}

const NAME: &str = "bench-gateway";
const BATCH: usize = 2000;
const PATIENCE: Duration = Duration::from_secs(20);
const FLOWS: [Flow; 3] = [
    Flow {
        what: "spout's tuples, no acks",
        cost: "worker's time a tuple, no acks",
        n_ackers: 0,
        role: GatewayRole::Spout,
    },
    Flow {
        what: "spout's tuples, acked",
        cost: "worker's time a tuple, acked",
        n_ackers: 1,
        role: GatewayRole::Spout,
    },
    Flow {
        what: "bolt's tuples, acked",
        cost: "worker's time a tuple, to a bolt",
        n_ackers: 1,
        role: GatewayRole::Bolt,
    },
];

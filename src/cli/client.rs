//! How a command reaches Nimbus, and how its refusals read.

use std::future::Future;

use anyhow::{Context, Result, anyhow};

use super::ClientArgs;
use crate::auth::door::{Key, Service};
use crate::conf::{Conf, keys};
use crate::rpc::client::{Address, ClientOptions, Connection, Retries};
use crate::rpc::leader::LeaderOptions;
use crate::wire::storm::nimbus::Client;

/// A client of the Nimbus that leads.
pub type Nimbus = Client<Connection>;

/// Runs a command's asynchronous part on this thread.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}

/// Connects as the arguments say: to the address given, or to the leader that the seeds name.
pub async fn connect(args: &ClientArgs) -> Result<Nimbus> {
    match &args.nimbus {
        Some(address) => to_address(&parse("--nimbus", address)?, &args.conf.conf()?).await,
        None => to_leader(&args.conf.conf()?).await,
    }
}

/// Connects to one address, with no look for a leader.
pub async fn to_address(address: &Address, conf: &Conf) -> Result<Nimbus> {
    let options = client_options(conf)?;
    Ok(Client::new(Connection::open(address, &options).await?))
}

async fn to_leader(conf: &Conf) -> Result<Nimbus> {
    let leader = leader_options(conf)?.find().await?;
    Ok(Client::new(leader.connection))
}

/// By TLS or with a login, as Storm's keys say: `nimbus.thrift.client.use.tls`,
/// `nimbus.thrift.transport`, `storm.thrift.transport`.
fn client_options(conf: &Conf) -> Result<ClientOptions> {
    Ok(ClientOptions {
        key: Key::new(conf, Service::Nimbus)?,
        ..ClientOptions::default()
    })
}

fn leader_options(conf: &Conf) -> Result<LeaderOptions> {
    Ok(LeaderOptions {
        seeds: conf.texts(keys::NIMBUS_SEEDS)?,
        port: conf.port(keys::NIMBUS_THRIFT_PORT)?,
        tls_port: conf.port(keys::NIMBUS_THRIFT_TLS_PORT)?,
        client: client_options(conf)?,
        // A person waits: they rather read what is wrong than wait for five attempts.
        retries: Retries::NONE,
    })
}

/// The address that an option gives.
pub fn parse(option: &str, address: &str) -> Result<Address> {
    let split = address.rsplit_once(':');
    let parsed = split.and_then(|(host, port)| Some(Address::new(host, port.parse().ok()?)));
    parsed.with_context(|| format!("{option} {address}: not HOST:PORT, as in localhost:6627"))
}

/// What Nimbus answered, for a person: what was tried, then its words.
pub fn refused(what: &str, error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot {what}: {error}")
}

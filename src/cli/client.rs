//! How a command reaches Nimbus.
//!
//! What Nimbus answers is shown by `shape`.

use std::future::Future;

use anyhow::{Context, Result};

use super::ClientArgs;
pub use super::shape::refused;
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
    Ok(Client::new(connection(args).await?))
}

/// The same for a service beside Storm's on Nimbus's port.
pub async fn connection(args: &ClientArgs) -> Result<Connection> {
    let conf = args.conf.conf()?;
    match &args.nimbus {
        Some(address) => {
            let options = client_options(&conf)?;
            let address = parse("--nimbus", address)?;
            Ok(Connection::open(&address, &options).await?)
        }
        None => Ok(leader_options(&conf)?.find().await?.connection),
    }
}

/// As `connect`, with the leader's own word of where it is, for whoever calls it next.
pub async fn connect_named(args: &ClientArgs) -> Result<(Nimbus, Address)> {
    let conf = args.conf.conf()?;
    if let Some(address) = &args.nimbus {
        let address = parse("--nimbus", address)?;
        return Ok((to_address(&address, &conf).await?, address));
    }
    let leader = leader_options(&conf)?.find().await?;
    let port = u16::try_from(leader.summary.port).context("the leader's port is none")?;
    let address = Address::new(&leader.summary.host, port);
    Ok((Client::new(leader.connection), address))
}

/// Connects to one address, with no look for a leader.
pub async fn to_address(address: &Address, conf: &Conf) -> Result<Nimbus> {
    let options = client_options(conf)?;
    Ok(Client::new(Connection::open(address, &options).await?))
}

/// By TLS or with a login, as Storm's keys say: `nimbus.thrift.client.use.tls`,
/// `nimbus.thrift.transport`, `storm.thrift.transport`.
fn client_options(conf: &Conf) -> Result<ClientOptions> {
    let key = Key::new(conf, Service::Nimbus)?;
    let wait = match key.tls {
        Some(_) => keys::STORM_THRIFT_TLS_SOCKET_TIMEOUT_MS,
        None => keys::STORM_THRIFT_SOCKET_TIMEOUT_MS,
    };
    Ok(ClientOptions {
        call_wait_max: conf.reply_wait(wait)?,
        key,
        ..ClientOptions::default()
    })
}

fn leader_options(conf: &Conf) -> Result<LeaderOptions> {
    // What Storm's clients before 1.0 were told, and their scripts still say.
    let host = conf.text(keys::NIMBUS_HOST)?;
    Ok(LeaderOptions {
        seeds: match host.filter(|host| !host.is_empty()) {
            Some(host) => vec![host],
            None => conf.texts(keys::NIMBUS_SEEDS)?,
        },
        port: conf.port(keys::NIMBUS_THRIFT_PORT)?,
        tls_port: conf.port(keys::NIMBUS_THRIFT_TLS_PORT)?,
        client: client_options(conf)?,
        // A person waits: they rather read what is wrong than wait for five attempts.
        retries: Retries::NONE,
    })
}

/// The address that an option gives; one of IPv6 stands in brackets.
pub fn parse(option: &str, address: &str) -> Result<Address> {
    let split = address.rsplit_once(':');
    let parsed = split.and_then(|(host, port)| {
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        Some(Address::new(bare.unwrap_or(host), port.parse().ok()?))
    });
    parsed.with_context(|| format!("{option} {address}: not HOST:PORT, as in localhost:6627"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_shown() {
        for text in ["localhost:6627", "10.0.0.1:1", "[::1]:6627"] {
            let address = parse("--nimbus", text).expect("an address");
            assert_eq!(address.to_string(), text);
            assert!(!address.host.contains('['), "{address:?}");
        }
        for text in ["localhost", "localhost:", ":x", "h:65536"] {
            let error = parse("--nimbus", text).expect_err(text).to_string();
            assert!(error.contains("not HOST:PORT"), "{error}");
        }
    }

    #[test]
    fn a_reply_is_waited_for_as_long_as_the_conf_says() {
        let wait = |ms: i64| {
            let conf = Conf::defaults().with(keys::STORM_THRIFT_SOCKET_TIMEOUT_MS, ms);
            client_options(&conf).expect("options").call_wait_max
        };
        assert_eq!(wait(1500), Duration::from_millis(1500));
        assert!(
            wait(0) > Duration::from_secs(1 << 30),
            "for ever, as in Java"
        );
        let default = client_options(&Conf::defaults()).expect("options");
        assert_eq!(default.call_wait_max, Duration::from_secs(600));
    }
}

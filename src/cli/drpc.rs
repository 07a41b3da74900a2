//! `drpc-client`: calls functions of a DRPC server, in the shape of `storm drpc-client`.
//!
//! Prints each result as Storm does; the first failure ends it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::ConfArgs;
use super::client::{self, block_on, refused};
use super::daemon::say;
use crate::auth::door::{Key, Service};
use crate::conf::{Conf, keys};
use crate::rpc::client::{Address, ClientOptions, Connection};
use crate::wire::storm::distributed_rpc::Client;

/// What to call, and where.
#[derive(Debug, Args)]
pub struct ClientArgs {
    #[command(flatten)]
    pub conf: ConfArgs,
    /// The DRPC server's address; without it one of drpc.servers at drpc.port, or else this
    /// machine.
    #[arg(long, value_name = "HOST:PORT")]
    pub server: Option<String>,
    /// The function that gets all arguments; without it each argument follows its function.
    #[arg(short = 'f', long, value_name = "FUNCTION")]
    pub function: Option<String>,
    /// Arguments, or functions and their arguments in turn.
    #[arg(value_name = "[FUNCTION] ARGUMENT", required = true)]
    pub words: Vec<String>,
}

/// Calls one after another.
pub fn run(args: &ClientArgs) -> Result<i32> {
    let calls = calls(args)?;
    block_on(async {
        let mut client = connect(args).await?;
        for (function, argument) in calls {
            let result = client.execute(Some(function), Some(argument)).await;
            let result = result.map_err(|error| refused(&format!("call {function}"), error))?;
            say(format_args!("{function} \"{argument}\" => \"{result}\""));
        }
        Ok(0)
    })
}

fn calls(args: &ClientArgs) -> Result<Vec<(&str, &str)>> {
    let words = args.words.iter().map(String::as_str);
    if let Some(function) = &args.function {
        return Ok(words
            .map(|argument| (function.as_str(), argument))
            .collect());
    }
    let words: Vec<_> = words.collect();
    if words.len() % 2 != 0 {
        let n_words = words.len();
        bail!("without -f each function needs an argument; there are {n_words} words");
    }
    let pairs = words.chunks_exact(2);
    Ok(pairs.map(|pair| (pair[0], pair[1])).collect())
}

/// Tries the servers in an order of its own, so that many clients share them.
async fn connect(args: &ClientArgs) -> Result<Client<Connection>> {
    let conf = args.conf.conf()?;
    let mut addresses = match &args.server {
        Some(server) => vec![client::parse("--server", server)?],
        None => configured(&conf)?,
    };
    fastrand::shuffle(&mut addresses);
    let options = options(&conf)?;
    let mut failure = None;
    for address in &addresses {
        match Connection::open(address, &options).await {
            Ok(connection) => return Ok(Client::new(connection)),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.map_or_else(|| anyhow::anyhow!("no server"), Into::into))
}

fn options(conf: &Conf) -> Result<ClientOptions> {
    Ok(ClientOptions {
        key: Key::new(conf, Service::Drpc)?,
        // As Storm's client: the server ends what takes too long, by `drpc.request.timeout.secs`.
        call_wait_max: Duration::MAX,
        ..ClientOptions::default()
    })
}

fn configured(conf: &Conf) -> Result<Vec<Address>> {
    let port = conf.port(keys::DRPC_PORT)?;
    let hosts = conf.texts(keys::DRPC_SERVERS)?;
    let hosts = match hosts.is_empty() {
        true => vec!["127.0.0.1".to_owned()],
        false => hosts,
    };
    let unset = || format!("{} is 0: name the address with --server", keys::DRPC_PORT);
    Some(port).filter(|port| *port > 0).with_context(unset)?;
    Ok(hosts
        .into_iter()
        .map(|host| Address::new(host, port))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(function: Option<&str>, words: &[&str]) -> ClientArgs {
        ClientArgs {
            conf: ConfArgs::default(),
            server: None,
            function: function.map(str::to_owned),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    #[test]
    fn the_server_says_when_a_call_took_too_long() {
        let conf = Conf::defaults().with(keys::DRPC_REQUEST_TIMEOUT_SECS, 1_000_000);
        let options = options(&conf).expect("options");
        assert!(options.call_wait_max > Duration::from_secs(1_000_000));
    }

    #[test]
    fn arguments_are_read_as_storm_reads_them() {
        let pairs = args(None, &["f", "1", "g", "2"]);
        assert_eq!(calls(&pairs).expect("pairs"), [("f", "1"), ("g", "2")]);
        let all = args(Some("f"), &["1", "2", "3"]);
        assert_eq!(
            calls(&all).expect("all"),
            [("f", "1"), ("f", "2"), ("f", "3")]
        );
        let odd = calls(&args(None, &["f"])).expect_err("odd").to_string();
        assert!(odd.contains("1 words"), "{odd}");
    }
}

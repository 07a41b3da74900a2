//! Storm's verbs that have nothing to do here: each says why, and what there is instead.
//!
//! What a cluster of Storm needs beside its daemons, ZooKeeper and Pacemaker, may be started here
//! all the same, since scripts do: it does nothing, but stays, with its port open.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use tokio::net::TcpListener;

use super::ConfArgs;
use super::client::block_on;
use super::daemon::{say, stopped};
use crate::conf::keys;

/// Whatever Storm's verb takes.
#[derive(Debug, Args)]
pub struct AnyArgs {
    #[arg(
        value_name = "ARGUMENT",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<String>,
}

/// A verb that is refused.
#[derive(Clone, Copy, Debug)]
pub enum Absent {
    Sql,
    Heartbeats,
    Repl,
}

/// A daemon that nothing here needs.
#[derive(Clone, Copy, Debug)]
pub enum Unneeded {
    ZooKeeper,
    Pacemaker,
}

// === impl Absent ===

impl Absent {
    pub fn refuse(self, _: &AnyArgs) -> Result<i32> {
        match self {
            Absent::Sql => bail!(
                "sql: SQL becomes Java components, which need a JVM on the workers; describe the \
                 topology in YAML (`flux`) or as a program"
            ),
            Absent::Heartbeats => bail!(
                "heartbeats: there is no Pacemaker; Nimbus keeps heartbeats in memory, and `info` \
                 and getTopologyInfo show what they bring"
            ),
            Absent::Repl => bail!("repl: it is Clojure's; any Thrift client talks to Nimbus"),
        }
    }
}

// === impl Unneeded ===

impl Unneeded {
    /// Says so, and stays until it is told to stop. Its port is open, since scripts wait for that;
    /// who connects is hung up on.
    pub fn run(self, args: &ConfArgs) -> Result<i32> {
        let (name, port_key) = match self {
            Unneeded::ZooKeeper => ("ZooKeeper", keys::STORM_ZOOKEEPER_PORT),
            Unneeded::Pacemaker => ("Pacemaker", keys::PACEMAKER_PORT),
        };
        let conf = args.conf()?;
        let host = conf.text_or(keys::STORMWIRE_BIND_ADDRESS, "127.0.0.1")?;
        let port = conf.port(port_key)?;
        block_on(async {
            let listener = TcpListener::bind((host.as_str(), port)).await;
            let listener = listener.with_context(|| format!("{port_key}: {host}:{port}"))?;
            say(format_args!(
                "No {name} is needed: Nimbus has a store of its own. {} answers nobody; it is open \
                 for scripts that wait for it",
                listener.local_addr()?
            ));
            say("ready");
            tokio::select! {
                stopped = stopped() => stopped?,
                () = async { loop { drop(listener.accept().await) } } => {}
            }
            Ok(0)
        })
    }
}

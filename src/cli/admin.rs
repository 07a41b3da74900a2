//! `admin`: what Storm's operators look up in ZooKeeper, here by Nimbus's own calls.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use super::client::{self, Nimbus, refused};
use super::daemon::{complain, say};
use super::shape::{Causes, told};
use super::{ClientArgs, absent::AnyArgs};
use crate::wire::storm::nimbus::{GetBlobMetaError, GetUserTopologyError};
use crate::wire::storm::{KillOptions, StormTopology};
use crate::wire::{self, stored};

/// What to look up, or to mend.
#[derive(Debug, Args)]
pub struct AdminArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
#[command(rename_all = "snake_case")]
enum Action {
    /// Kill topologies whose blobs are missing.
    RemoveCorruptTopologies(ClientArgs),
    /// Print topologies, by id, or out of files in Thrift's binary form.
    PrintTopo(NamesArgs),
    /// Print what Nimbus knows of supervisors: of these ids, or of all.
    PrintSuper(NamesArgs),
    /// Print what supervisors are to run, of these topologies' ids or of all.
    PrintAssignment(NamesArgs),
    /// Not there: no call gives credentials away, not even their names.
    Creds(AnyArgs),
    /// Not there: there is no ZooKeeper.
    ZkCli(AnyArgs),
}

#[derive(Debug, Args)]
struct NamesArgs {
    names: Vec<String>,
    #[command(flatten)]
    client: ClientArgs,
}

/// `stormwire admin`. A command that fails ends with 3, as Storm's.
pub fn run(args: &AdminArgs) -> Result<i32> {
    let done = match &args.action {
        Action::RemoveCorruptTopologies(client) => remove_corrupt_topologies(client),
        Action::PrintTopo(args) => print_topologies(args),
        Action::PrintSuper(args) => print_supervisors(args),
        Action::PrintAssignment(args) => print_assignments(args),
        Action::Creds(_) => Err(anyhow::anyhow!(
            "credentials are in Nimbus's store, which is its own, and no call gives them away"
        )),
        Action::ZkCli(_) => Err(anyhow::anyhow!(
            "there is no ZooKeeper: Nimbus keeps its state in a store of its own"
        )),
    };
    if let Err(error) = done {
        let causes = Causes(&error);
        complain(format_args!("Error while running the command: {causes}"));
        return Ok(FAILED);
    }
    Ok(0)
}

fn remove_corrupt_topologies(args: &ClientArgs) -> Result<()> {
    client::block_on(async {
        let mut nimbus = client::connect(args).await?;
        let topologies = nimbus.get_topology_summaries().await;
        let topologies = topologies.map_err(|e| refused("list topologies", e))?;
        let mut corrupt = Vec::new();
        for topology in &topologies {
            if !is_whole(&mut nimbus, &topology.id).await? {
                corrupt.push(topology);
            }
        }
        let ids: Vec<&str> = corrupt
            .iter()
            .map(|topology| topology.id.as_str())
            .collect();
        told(
            "o.a.s.c.AdminCommands",
            &format!("of {} topologies lack blobs: {ids:?}", topologies.len()),
        );
        let options = KillOptions { wait_secs: Some(0) };
        for topology in corrupt {
            let name = &topology.name;
            let killed = nimbus.kill_topology_with_opts(Some(name), Some(&options));
            killed
                .await
                .map_err(|e| refused(&format!("kill {name}"), e))?;
        }
        Ok(())
    })
}

/// Whether each blob is there that a topology cannot do without.
async fn is_whole(nimbus: &mut Nimbus, id: &str) -> Result<bool> {
    for kind in ["stormcode.ser", "stormconf.ser"] {
        let key = format!("{id}-{kind}");
        match nimbus.get_blob_meta(Some(&key)).await {
            Ok(_) => {}
            Err(GetBlobMetaError::KeyNotFound(_)) => return Ok(false),
            Err(error) => return Err(refused(&format!("look for {key}"), error)),
        }
    }
    Ok(true)
}

fn print_topologies(args: &NamesArgs) -> Result<()> {
    for name in &args.names {
        let topology = match std::fs::read(Path::new(name)) {
            // Packed, as blobs hold it, or as it is on the wire.
            Ok(bytes) => match stored::unpack_struct::<StormTopology>(&bytes) {
                Ok(topology) => topology,
                Err(_) => {
                    wire::from_bytes(&bytes).with_context(|| format!("{name} holds no topology"))?
                }
            },
            Err(_) => fetch(args, name)?,
        };
        say(format_args!("{name}:\n{topology:#?}"));
    }
    Ok(())
}

fn fetch(args: &NamesArgs, id: &str) -> Result<StormTopology> {
    client::block_on(async {
        let mut nimbus = client::connect(&args.client).await?;
        let topology = nimbus.get_user_topology(Some(id)).await;
        topology.map_err(|error| match error {
            GetUserTopologyError::NotAlive(_) => anyhow::anyhow!(
                "there is no file {id}, and no topology with this id (NotAliveException); `list` \
                 shows the ids of those that run"
            ),
            error => refused(&format!("fetch {id}"), error),
        })
    })
}

fn print_supervisors(args: &NamesArgs) -> Result<()> {
    let supervisors = client::block_on(async {
        let mut nimbus = client::connect(&args.client).await?;
        let cluster = nimbus.get_cluster_info().await;
        Ok(cluster
            .map_err(|e| refused("list supervisors", e))?
            .supervisors)
    })?;
    for supervisor in supervisors {
        let id = &supervisor.supervisor_id;
        if args.names.is_empty() || args.names.contains(id) {
            say(format_args!("{id}:\n{supervisor:#?}"));
        }
    }
    Ok(())
}

fn print_assignments(args: &NamesArgs) -> Result<()> {
    client::block_on(async {
        let mut nimbus = client::connect(&args.client).await?;
        let cluster = nimbus.get_cluster_info().await;
        let cluster = cluster.map_err(|e| refused("list supervisors", e))?;
        let mut shown = BTreeSet::new();
        for supervisor in cluster.supervisors {
            let node = &supervisor.supervisor_id;
            let assignments = nimbus.get_supervisor_assignments(Some(node)).await;
            let what = format!("read the assignments of {node}");
            let assignments = assignments.map_err(|e| refused(&what, e))?;
            for (topology, assignment) in assignments.storm_assignment.iter().flatten() {
                let is_asked = args.names.is_empty() || args.names.contains(topology);
                if is_asked && shown.insert(topology.clone()) {
                    say(format_args!("{topology}:\n{assignment:#?}"));
                }
            }
        }
        Ok(())
    })
}

/// Storm's exit code of a command that failed.
const FAILED: i32 = 3;

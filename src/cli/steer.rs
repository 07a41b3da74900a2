//! `kill`, `activate`, `deactivate`, `rebalance`: what changes topologies, over Thrift, with the
//! arguments of Storm's own commands.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;

use super::ClientArgs;
use super::client::{self, Nimbus, refused};
use super::shape::{failed, told};
use crate::conf::{Conf, keys};
use crate::wire::storm::{KillOptions, RebalanceOptions};

/// Topologies to act on.
#[derive(Debug, Args)]
pub struct NamesArgs {
    /// The topologies' names.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// Go on with the next one after one that is refused.
    #[arg(short, long)]
    pub ignore_errors: bool,
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Topologies to end.
#[derive(Debug, Args)]
pub struct KillArgs {
    #[command(flatten)]
    pub topologies: NamesArgs,
    /// Seconds between stopping its spouts and ending its workers; by default its message timeout.
    #[arg(short, long, visible_alias = "wait-time-secs", value_name = "SECS")]
    #[arg(value_parser = clap::value_parser!(i32).range(0..))]
    pub wait: Option<i32>,
}

/// A topology to change while it runs.
#[derive(Debug, Args)]
pub struct RebalanceArgs {
    /// The topology's name.
    pub name: String,
    /// Seconds between stopping its spouts and the change; by default its message timeout.
    #[arg(short, long, alias = "wait", value_name = "SECS")]
    #[arg(value_parser = clap::value_parser!(i32).range(0..))]
    pub wait_time_secs: Option<i32>,
    /// Workers that it is to have.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub num_workers: Option<i32>,
    /// Executors that a component is to have, at most one for each of its tasks: `-e split=4`.
    #[arg(short, long, value_name = "COMPONENT=N")]
    pub executor: Vec<String>,
    /// Resources of components, in JSON: `-r '{"split": {"cpu.pcore.percent": 50}}'`.
    #[arg(short, long, value_name = "JSON")]
    pub resources: Option<String>,
    /// Settings that the topology is to run with, in JSON: `-t '{"topology.debug": true}'`. A
    /// topology's setting that is given with `-c` counts too.
    #[arg(short, long, value_name = "JSON")]
    pub topology_conf: Option<String>,
    #[command(flatten)]
    pub client: ClientArgs,
}

/// `stormwire kill`.
pub fn kill(args: &KillArgs) -> Result<i32> {
    let options = KillOptions {
        wait_secs: args.wait,
    };
    let done = ("KillTopology", "Killed topology");
    each(&args.topologies, done, async |nimbus, name| {
        let killed = nimbus
            .kill_topology_with_opts(Some(name), Some(&options))
            .await;
        killed.map_err(|e| refused(&format!("kill {name}"), e))
    })
}

/// `stormwire activate`.
pub fn activate(args: &NamesArgs) -> Result<i32> {
    let done = ("Activate", "Activated topology");
    each(args, done, async |nimbus, name| {
        let activated = nimbus.activate(Some(name)).await;
        activated.map_err(|e| refused(&format!("activate {name}"), e))
    })
}

/// `stormwire deactivate`.
pub fn deactivate(args: &NamesArgs) -> Result<i32> {
    let done = ("Deactivate", "Deactivated topology");
    each(args, done, async |nimbus, name| {
        let deactivated = nimbus.deactivate(Some(name)).await;
        deactivated.map_err(|e| refused(&format!("deactivate {name}"), e))
    })
}

/// `stormwire rebalance`.
pub fn rebalance(args: &RebalanceArgs) -> Result<i32> {
    let (name, options) = (&args.name, args.options()?);
    client::block_on(async {
        let mut nimbus = client::connect(&args.client).await?;
        let rebalanced = nimbus.rebalance(Some(name), Some(&options)).await;
        rebalanced.map_err(|e| refused(&format!("rebalance {name}"), e))
    })?;
    let what = format!("Topology {name} is rebalancing");
    told("o.a.s.c.Rebalance", &what);
    Ok(0)
}

// === impl RebalanceArgs ===

impl RebalanceArgs {
    fn options(&self) -> Result<RebalanceOptions> {
        let executors = self.executor.iter().map(|text| executor(text));
        let executors = executors.collect::<Result<BTreeMap<_, _>>>()?;
        let resources = self.resources.as_deref().map(resources).transpose()?;
        Ok(RebalanceOptions {
            wait_secs: self.wait_time_secs,
            num_workers: self.num_workers,
            num_executors: (!executors.is_empty()).then_some(executors),
            topology_resources_overrides: resources,
            topology_conf_overrides: self.conf()?,
            principal: None,
        })
    }

    fn conf(&self) -> Result<Option<String>> {
        let given = self.topology_conf.as_deref();
        let given = given.map(Conf::from_json).transpose();
        let mut conf = given
            .context("--topology-conf is no JSON object")?
            .unwrap_or_default();
        // What says where Nimbus is says nothing of the topology.
        let set = Conf::from_settings(&self.client.conf.settings)?;
        for (key, value) in set.iter() {
            if key.starts_with("topology.") || keys::find(key).is_none() {
                conf.set(key, value.clone());
            }
        }
        Ok((!conf.is_empty()).then(|| conf.to_json()))
    }
}

/// Does something to each topology in turn. Stops at the first refusal unless told to go on; then
/// the exit code says that there was one.
fn each(
    args: &NamesArgs,
    (class, done): (&str, &str),
    act: impl AsyncFn(&mut Nimbus, &str) -> Result<()>,
) -> Result<i32> {
    client::block_on(async {
        let mut nimbus = client::connect(&args.client).await?;
        let mut code = 0;
        for name in &args.names {
            match act(&mut nimbus, name).await {
                Ok(()) => told(&format!("o.a.s.c.{class}"), &format!("{done}: {name}")),
                Err(error) if args.ignore_errors => {
                    failed(&error);
                    code = 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(code)
    })
}

/// `component=n`, where the name may hold any character.
fn executor(text: &str) -> Result<(String, i32)> {
    let parsed = || {
        let (component, n_executors) = text.rsplit_once('=')?;
        Some((component.to_owned(), n_executors.trim().parse().ok()?))
    };
    parsed().ok_or_else(|| anyhow!("`-e {text}`: COMPONENT=N is needed, such as split=4"))
}

fn resources(text: &str) -> Result<BTreeMap<String, BTreeMap<String, f64>>> {
    let all: serde_json::Value = serde_json::from_str(text).context("--resources is no JSON")?;
    let Some(all) = all.as_object() else {
        bail!("--resources: {{\"component\": {{\"resource\": amount}}}} is needed");
    };
    let of_component = |(component, resources): (&String, &serde_json::Value)| {
        let resources = resources.as_object().into_iter().flatten();
        let amounts = resources.map(|(name, amount)| {
            let amount = amount.as_f64();
            let amount = amount.with_context(|| format!("{name} of {component} is no number"));
            Ok((name.clone(), amount?))
        });
        Ok((component.clone(), amounts.collect::<Result<_>>()?))
    };
    all.iter().map(of_component).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn options(args: &[&str]) -> Result<RebalanceOptions> {
        let args = ["stormwire", "rebalance", "words"].iter().chain(args);
        match Cli::try_parse_from(args)?.command {
            Command::Rebalance(args) => args.options(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_are_storms() {
        assert_eq!(options(&[]).expect("none"), RebalanceOptions::default());
        let all = options(&[
            "-w",
            "5",
            "-n",
            "4",
            "-e",
            "split=3",
            "-e",
            "a=b=2",
            "-r",
            r#"{"split": {"cpu.pcore.percent": 30}}"#,
            "-t",
            r#"{"topology.debug": true}"#,
            "-c",
            "topology.max.spout.pending=7",
            "-c",
            "nimbus.thrift.port=1",
        ]);
        let expected = RebalanceOptions {
            wait_secs: Some(5),
            num_workers: Some(4),
            num_executors: Some([("split".to_owned(), 3), ("a=b".to_owned(), 2)].into()),
            topology_resources_overrides: Some(
                [(
                    "split".to_owned(),
                    [("cpu.pcore.percent".to_owned(), 30.0)].into(),
                )]
                .into(),
            ),
            topology_conf_overrides: Some(
                r#"{"topology.debug":true,"topology.max.spout.pending":7}"#.to_owned(),
            ),
            principal: None,
        };
        assert_eq!(all.expect("sound"), expected);
    }

    #[test]
    fn bad_options_say_what_is_needed() {
        for (args, text) in [
            (["-e", "split"], "COMPONENT=N"),
            (["-e", "split=x"], "COMPONENT=N"),
            (["-r", "[]"], "amount"),
            (["-r", r#"{"a": {"b": "c"}}"#], "b of a is no number"),
            (["-t", "nope"], "no JSON object"),
        ] {
            let refused = format!("{:#}", options(&args).expect_err("refused"));
            assert!(refused.contains(text), "{args:?}: {refused}");
        }
    }
}

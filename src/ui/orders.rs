//! Carries out what a visitor orders, and answers as Storm UI does (control-plane 11.3).
//!
//! Who may order, and from where, is decided before.

use serde_json::{Value, json};

use super::ask::{Order, Profile};
use super::nimbus::Lent;
use super::pages::links::Links;
use super::pages::log_config;
use super::trouble::Trouble;
use crate::clock;
use crate::wire::storm::{
    GetInfoOptions, KillOptions, LogConfig, NodeInfo, NumErrorsChoice, ProfileAction,
    ProfileRequest, RebalanceOptions,
};

/// What orders need beside Nimbus.
pub(super) struct Means<'a> {
    pub links: &'a Links,
    /// `worker.profiler.enabled`.
    pub may_profile: bool,
    /// Of the request.
    pub body: &'a [u8],
}

/// Does it, on the topology of that id.
pub(super) async fn carry_out(
    nimbus: &mut Lent<'_>,
    (id, order): (&str, &Order),
    means: Means<'_>,
) -> Result<Value, Trouble> {
    let operation = match order {
        Order::LogConfig => return set_levels(nimbus, id, means.body).await,
        Order::Profile { worker, what } => {
            return profile(nimbus, (id, worker), what, means).await;
        }
        Order::Activate => {
            let name = name(nimbus, id).await?;
            nimbus.activate(Some(&name)).await?;
            "activate".to_owned()
        }
        Order::Deactivate => {
            let name = name(nimbus, id).await?;
            nimbus.deactivate(Some(&name)).await?;
            "deactivate".to_owned()
        }
        Order::Rebalance(wait) => {
            let options = RebalanceOptions {
                wait_secs: Some(int(wait)?),
                ..RebalanceOptions::default()
            };
            let name = name(nimbus, id).await?;
            nimbus.rebalance(Some(&name), Some(&options)).await?;
            "rebalance".to_owned()
        }
        Order::Kill(wait) => {
            let options = KillOptions {
                wait_secs: Some(int(wait)?),
            };
            let name = name(nimbus, id).await?;
            let killed = nimbus.kill_topology_with_opts(Some(&name), Some(&options));
            killed.await?;
            "kill".to_owned()
        }
        Order::Debug {
            component,
            action,
            percent,
        } => {
            let percent = f64::from(int(percent)?);
            let name = name(nimbus, id).await?;
            let is_on = action == "enable";
            let component = component.as_deref();
            let debug = nimbus.debug(Some(&name), component, Some(is_on), Some(percent));
            debug.await?;
            format!("debug/{action}")
        }
    };
    Ok(json!({ "topologyOperation": operation, "topologyId": id, "status": "success" }))
}

/// Orders go by name, routes by id: another topology of the same name must not be meant.
async fn name(nimbus: &mut Lent<'_>, id: &str) -> Result<String, Trouble> {
    let options = GetInfoOptions {
        num_err_choice: Some(NumErrorsChoice::None.into()),
    };
    let info = nimbus.get_topology_info_with_opts(Some(id), Some(&options));
    Ok(info.await?.name)
}

async fn set_levels(nimbus: &mut Lent<'_>, id: &str, body: &[u8]) -> Result<Value, Trouble> {
    // All or none; Storm sends logger by logger.
    let config = LogConfig {
        named_logger_level: Some(log_config::read(body)?),
    };
    nimbus.set_log_config(Some(id), Some(&config)).await?;
    let config = nimbus.get_log_config(Some(id)).await?;
    Ok(log_config::page(&config))
}

async fn profile(
    nimbus: &mut Lent<'_>,
    (id, worker): (&str, &str),
    what: &Profile,
    means: Means<'_>,
) -> Result<Value, Trouble> {
    if !means.may_profile {
        return Ok(json!({
            "status": "disabled",
            "message": "Profiling is not enabled on this server",
        }));
    }
    let no_worker = || Trouble::Worker {
        text: worker.chars().take(200).collect(),
    };
    let (host, port) = worker.rsplit_once(':').ok_or_else(no_worker)?;
    let number: u16 = port.parse().map_err(|_| no_worker())?;
    let now_ms = clock::wall_millis();
    let (action, time_ms) = match what {
        Profile::Start(minutes) => {
            let end_ms = now_ms.saturating_add(i64::from(int(minutes)?).saturating_mul(60_000));
            (ProfileAction::JprofileStop, end_ms)
        }
        Profile::Stop => (ProfileAction::JprofileStop, 0),
        Profile::DumpRecording => (ProfileAction::JprofileDump, now_ms),
        Profile::DumpThreads => (ProfileAction::JstackDump, now_ms),
        Profile::DumpHeap => (ProfileAction::JmapDump, now_ms),
        Profile::Restart => (ProfileAction::JvmRestart, now_ms),
    };
    let request = ProfileRequest {
        node_info: NodeInfo {
            node: host.to_owned(),
            port: [i64::from(number)].into(),
        },
        action: action.into(),
        time_stamp: Some(time_ms),
    };
    let sent = nimbus.set_worker_profiler(Some(id), Some(&request));
    sent.await?;
    Ok(match what {
        Profile::Start(minutes) => json!({
            "status": "ok",
            "id": worker,
            "timeout": minutes,
            "dumplink": means.links.dumps(host, port, id),
        }),
        _ => json!({ "status": "ok", "id": worker }),
    })
}

fn int(text: &str) -> Result<i32, Trouble> {
    text.parse().map_err(|_| Trouble::Number {
        text: text.chars().take(200).collect(),
    })
}

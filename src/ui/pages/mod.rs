//! What each route answers: Thrift structs in, JSON out, with the keys of Storm UI (control-plane
//! 11.2).
//!
//! Pure: nothing is asked here. What a struct leaves out becomes what Java's getters give: zero,
//! false, null.

pub(super) mod cluster;
pub(super) mod component;
pub(super) mod links;
pub(super) mod log_config;
pub(super) mod nimbus;
pub(super) mod owners;
pub(super) mod supervisors;
pub(super) mod topologies;
pub(super) mod topology;
pub(super) mod visualization;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use self::links::{DaemonLogs, Links};
use crate::conf::{Conf, ConfError, keys};

/// What pages show of the UI's own conf.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub links: Links,
    /// `scheduler.display.resource`.
    pub display_resource: Value,
    bugtracker: Value,
    central_log: Value,
    version: String,
    /// `host:port` of each of `nimbus.seeds` that is another machine's.
    seeds: Vec<String>,
}

// === impl Site ===

impl Site {
    pub fn new(conf: &Conf, daemons: DaemonLogs) -> Result<Self, ConfError> {
        let shown = |key| conf.get(key).cloned().unwrap_or(Value::Null);
        let port = conf.port(keys::NIMBUS_THRIFT_PORT)?;
        let seeds = conf.texts(keys::NIMBUS_SEEDS)?.into_iter();
        let others = seeds.filter(|seed| !is_this_machine(seed));
        Ok(Site {
            links: Links::new(conf, daemons)?,
            display_resource: shown(keys::SCHEDULER_DISPLAY_RESOURCE),
            bugtracker: shown(keys::UI_PROJECT_BUGTRACKER_URL),
            central_log: shown(keys::UI_CENTRAL_LOGGING_URL),
            version: conf.text_or(keys::STORMWIRE_VERSION_REPORTED, "3.0.0")?,
            seeds: others.map(|seed| format!("{seed}:{port}")).collect(),
        })
    }

    /// Puts the links of the whole site on a page.
    fn sign(&self, page: &mut Map<String, Value>) {
        page.insert("bugtracker-url".to_owned(), self.bugtracker.clone());
        page.insert("central-log-url".to_owned(), self.central_log.clone());
    }
}

fn is_this_machine(host: &str) -> bool {
    let is_own = |ip: std::net::IpAddr| ip.is_loopback() || ip.is_unspecified();
    host == "localhost" || host.parse().is_ok_and(is_own)
}

/// `1d 2h 3m 4s`, from the largest unit that is there; nothing for 0.
fn uptime(secs: i32) -> String {
    let mut left = secs;
    let mut parts = Vec::new();
    for (unit, many) in [("s", 60), ("m", 60), ("h", 24), ("d", i32::MAX)] {
        if left > 0 {
            parts.insert(0, format!("{}{unit}", left % many));
            left /= many;
        }
    }
    parts.join(" ")
}

/// A window for people: `All time`, `10m 0s`.
fn hint(window: &str) -> String {
    match (window, window.parse()) {
        (ALL_TIME, _) => "All time".to_owned(),
        (_, Ok(secs)) => uptime(secs),
        (other, Err(_)) => other.to_owned(),
    }
}

/// Three decimals as text, rounded as Java does it: the shortest text of the number, half up. `0`
/// where there is none.
fn decimals(value: Option<f64>) -> Value {
    let Some(value) = value else {
        return json!("0");
    };
    let plain = || format!("{value:.3}");
    let shortest = format!("{value}");
    let text = match shortest.split_once('.') {
        Some((whole, fraction)) if fraction.len() > 3 && whole.len() < 15 => {
            let kept = format!("{whole}{}", &fraction[..3]);
            let is_up = fraction.as_bytes()[3] >= b'5';
            let digits = kept.trim_start_matches('-').parse::<u64>();
            let rounded = digits.map(|digits| digits + u64::from(is_up));
            let sign = if value < 0.0 { "-" } else { "" };
            match rounded {
                Ok(digits) => format!("{sign}{}.{:03}", digits / 1000, digits % 1000),
                Err(_) => plain(),
            }
        }
        _ => plain(),
    };
    json!(text)
}

/// Resources beyond memory and CPU, as Storm writes them: `gpu.count=2.0 licences=1.0`.
fn generic(resources: Option<&BTreeMap<String, f64>>) -> Value {
    let Some(resources) = resources else {
        return Value::Null;
    };
    let others = resources
        .iter()
        .filter(|(name, _)| !COMMON_RESOURCES.contains(&name.as_str()));
    let texts: Vec<_> = others
        .map(|(name, amount)| format!("{name}={amount:?}"))
        .collect();
    json!(texts.join(" "))
}

/// What is left of each of the first.
fn difference(all: &BTreeMap<String, f64>, used: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let left = |(name, amount): (&String, &f64)| {
        let used = used.get(name).copied().unwrap_or(0.0);
        (name.clone(), amount - used)
    };
    all.iter().map(left).collect()
}

/// An amount of a request; null where it says nothing.
fn amount(resources: Option<&BTreeMap<String, f64>>, name: &str) -> Value {
    json!(resources.and_then(|resources| resources.get(name)))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

pub(super) const ALL_TIME: &str = ":all-time";

const MEMORY: &str = "memory.mb";
const CPU: &str = "cpu.pcore.percent";
const ON_HEAP: &str = "onheap.memory.mb";
const OFF_HEAP: &str = "offheap.memory.mb";
const COMMON_RESOURCES: [&str; 4] = [MEMORY, CPU, ON_HEAP, OFF_HEAP];

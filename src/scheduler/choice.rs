//! Which scheduler a cluster runs, with which settings: Storm's class names and keys
//! (`storm.scheduler`, control-plane 12). A name or number that makes no sense keeps Nimbus from
//! starting.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::conf::{Conf, ConfError, convert, keys};
use crate::limits;

use super::Scheduler;
use super::blacklist::{self, Relief};
use super::even::{DefaultScheduler, EvenScheduler, IdleRebalance};
use super::isolation::IsolationScheduler;
use super::multitenant::MultitenantScheduler;
use super::resource_aware::priority::{Pools, Priority};
use super::resource_aware::{ResourceAwareScheduler, Settings};

/// Why the configuration gives no scheduler.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    #[error("{key}: there is no [{class}] here; the choices are {}", choices.join(", "))]
    Unknown {
        key: &'static str,
        class: String,
        choices: Vec<String>,
    },
    #[error("{key}: {reason}")]
    Value { key: &'static str, reason: String },
    #[error(transparent)]
    Conf(#[from] ConfError),
}

/// The scheduler that the daemon's conf names; none named: Storm's default. `now_ms` gives
/// monotonic milliseconds.
pub fn scheduler(conf: &Conf, now_ms: fn() -> u64) -> Result<Box<dyn Scheduler>, ChoiceError> {
    let key = keys::STORM_SCHEDULER;
    let class = conf.text(key)?.unwrap_or_default();
    let idle = idle(conf)?;
    let rest = DefaultScheduler { idle };
    Ok(match choose(key, &class, &SCHEDULERS)? {
        "" | "DefaultScheduler" => Box::new(rest),
        "EvenScheduler" => Box::new(EvenScheduler { idle }),
        "IsolationScheduler" => Box::new(IsolationScheduler::new(machines(conf)?, rest)),
        "multitenant.MultitenantScheduler" => {
            let key = keys::MULTITENANT_SCHEDULER_USER_POOLS;
            Box::new(MultitenantScheduler::new(whole_numbers(conf, key)?))
        }
        _ => Box::new(ResourceAwareScheduler::new(resource_aware(conf)?, now_ms)),
    })
}

/// How supervisors are kept away from, in turns of `nimbus.monitor.freq.secs`.
pub fn blacklist(conf: &Conf) -> Result<blacklist::Settings, ChoiceError> {
    let period_secs = conf.int_or(keys::NIMBUS_MONITOR_FREQ_SECS, 10)?.max(1);
    let turns = |key, default| -> Result<u64, ChoiceError> {
        let secs = conf.int_or(key, default)?;
        Ok(u64::try_from(secs / period_secs).unwrap_or(0))
    };
    let window = turns(keys::BLACKLIST_SCHEDULER_TOLERANCE_TIME, 300)?;
    let window = usize::try_from(window).unwrap_or(usize::MAX);
    let tolerated = conf.int_or(keys::BLACKLIST_SCHEDULER_TOLERANCE_COUNT, 3)?;
    let counts = conf.flag(keys::BLACKLIST_SCHEDULER_ASSUME_SUPERVISOR_BAD_BASED_ON_BAD_SLOT)?;
    let key = keys::BLACKLIST_SCHEDULER_STRATEGY;
    let strategy = conf.text_or(key, "")?;
    let reporter_key = keys::BLACKLIST_SCHEDULER_REPORTER;
    choose(reporter_key, &conf.text_or(reporter_key, "")?, &REPORTERS)?;
    Ok(blacklist::Settings {
        window_turns: window.min(limits::BLACKLIST_TURNS_MAX),
        tolerated_turns: usize::try_from(tolerated).unwrap_or(1).max(1),
        listed_turns: turns(keys::BLACKLIST_SCHEDULER_RESUME_TIME, 1800)?,
        counts_slots: counts.unwrap_or(true),
        relief: match choose(key, &strategy, &BLACKLIST_STRATEGIES)? {
            "blacklist.strategies.RasBlacklistStrategy" => Relief::Resources,
            _ => Relief::Slots,
        },
    })
}

/// The rack of each host that the conf knows. Others are on Storm's default rack.
pub fn racks(conf: &Conf) -> Result<BTreeMap<String, String>, ChoiceError> {
    let key = keys::STORM_NETWORK_TOPOGRAPHY_PLUGIN;
    let class = conf.text_or(key, "")?;
    let class = class.strip_prefix("org.apache.storm.").unwrap_or(&class);
    if !["", "networktopography.DefaultRackDNSToSwitchMapping"].contains(&class) {
        return Err(ChoiceError::Unknown {
            key,
            class: class.to_owned(),
            choices: vec![
                "org.apache.storm.networktopography.DefaultRackDNSToSwitchMapping".to_owned(),
                format!("(with {})", keys::STORMWIRE_NETWORK_RACKS),
            ],
        });
    }
    Ok(conf.text_map(keys::STORMWIRE_NETWORK_RACKS)?)
}

fn resource_aware(conf: &Conf) -> Result<Settings, ChoiceError> {
    let key = keys::RESOURCE_AWARE_SCHEDULER_PRIORITY_STRATEGY;
    let class = conf.text_or(key, PRIORITIES[0])?;
    let full = class
        .strip_prefix("backtype.storm.")
        .map(|name| format!("{STORM}{name}"));
    let priority = Priority::of_class(full.as_deref().unwrap_or(&class));
    let attempts_key = keys::RESOURCE_AWARE_SCHEDULER_MAX_TOPOLOGY_SCHEDULING_ATTEMPTS;
    let attempts = conf.int_or(attempts_key, 5)?;
    let states = conf.int_or(keys::RESOURCE_AWARE_SCHEDULER_MAX_STATE_SEARCH, 100_000)?;
    let allowed_key = keys::NIMBUS_SCHEDULER_STRATEGY_CLASS_WHITELIST;
    let allowed = conf.get(allowed_key).filter(|allowed| !allowed.is_null());
    let cpu_key = keys::STORM_WORKER_MIN_CPU_PCORE_PERCENT;
    let cpu_min = conf.float_or(cpu_key, 0.0)?;
    if !(0.0..=limits::RESOURCE_AMOUNT_MAX).contains(&cpu_min) {
        let reason = format!("{cpu_min:?} is no share of a core in percent");
        return Err(ChoiceError::Value {
            key: cpu_key,
            reason,
        });
    }
    Ok(Settings {
        priority: priority.ok_or_else(|| ChoiceError::Unknown {
            key,
            class,
            choices: PRIORITIES.map(str::to_owned).to_vec(),
        })?,
        pools: pools(conf)?,
        attempts_max: u32::try_from(attempts).unwrap_or(1).max(1),
        states_max: u64::try_from(states).unwrap_or(0),
        cpu_min,
        strategies_allowed: match allowed {
            Some(_) => Some(conf.texts(allowed_key)?),
            None => None,
        },
    })
}

/// What is guaranteed to each user.
pub fn pools(conf: &Conf) -> Result<Pools, ChoiceError> {
    let key = keys::RESOURCE_AWARE_SCHEDULER_USER_POOLS;
    let mut pools = Pools::new();
    for (user, amounts) in entries(conf, key)? {
        let Value::Object(amounts) = amounts else {
            let reason = format!("what is guaranteed to [{user}] is no map of amounts");
            return Err(ChoiceError::Value { key, reason });
        };
        let mut pool = BTreeMap::new();
        for (name, amount) in amounts {
            let amount = convert::double(amount).ok();
            let amount =
                amount.filter(|amount| (0.0..=limits::RESOURCE_AMOUNT_MAX).contains(amount));
            let amount = amount.ok_or_else(|| ChoiceError::Value {
                key,
                reason: format!("[{name}] of [{user}] is no amount"),
            })?;
            pool.insert(name.clone(), amount);
        }
        pools.insert(user.clone(), pool);
    }
    Ok(pools)
}

fn idle(conf: &Conf) -> Result<Option<IdleRebalance>, ChoiceError> {
    if conf.flag(keys::NIMBUS_EVEN_REBALANCE_ON_IDLE_SUPERVISOR_ENABLED)? != Some(true) {
        return Ok(None);
    }
    let rounds = conf.int_or(
        keys::NIMBUS_EVEN_REBALANCE_IDLE_SUPERVISOR_MIN_STABLE_ROUNDS,
        3,
    )?;
    let period_secs = conf.int_or(keys::SUPERVISOR_MONITOR_FREQUENCY_SECS, 3)?;
    let moves = conf.int_or(keys::NIMBUS_EVEN_REBALANCE_MAX_FREE_PER_TOPOLOGY, 0)?;
    Ok(Some(IdleRebalance {
        uptime_min_secs: rounds.max(0).saturating_mul(period_secs.max(1)),
        moves_max: usize::try_from(moves).ok().filter(|moves| *moves > 0),
    }))
}

/// The machines that topologies have for themselves; there must be some, as in Storm.
fn machines(conf: &Conf) -> Result<BTreeMap<String, usize>, ChoiceError> {
    let key = keys::ISOLATION_SCHEDULER_MACHINES;
    let machines = whole_numbers(conf, key)?;
    if machines.is_empty() {
        let reason = "the isolation scheduler needs names of topologies with numbers of machines";
        let reason = reason.to_owned();
        return Err(ChoiceError::Value { key, reason });
    }
    Ok(machines)
}

fn whole_numbers(conf: &Conf, key: &'static str) -> Result<BTreeMap<String, usize>, ChoiceError> {
    let number = |(name, value): (&String, &Value)| {
        let number = convert::int(value)
            .ok()
            .and_then(|n| usize::try_from(n).ok());
        let number = number.ok_or_else(|| ChoiceError::Value {
            key,
            reason: format!("the number of [{name}] is none from 0 up"),
        })?;
        Ok((name.clone(), number))
    };
    entries(conf, key)?.map(number).collect()
}

fn entries<'a>(
    conf: &'a Conf,
    key: &'static str,
) -> Result<impl Iterator<Item = (&'a String, &'a Value)>, ChoiceError> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    match conf.get(key) {
        None | Some(Value::Null) => Ok(NONE.iter()),
        Some(Value::Object(entries)) => Ok(entries.iter()),
        Some(_) => Err(ChoiceError::Value {
            key,
            reason: "it must be a map".to_owned(),
        }),
    }
}

/// The class without Storm's package, if it is one of the choices. Nothing is the first.
fn choose(
    key: &'static str,
    class: &str,
    choices: &[&'static str],
) -> Result<&'static str, ChoiceError> {
    if class.is_empty() {
        return Ok("");
    }
    let current = class.strip_prefix(STORM);
    let name = current.or_else(|| class.strip_prefix("backtype.storm.scheduler."));
    let found = choices.iter().find(|choice| Some(**choice) == name);
    found.copied().ok_or_else(|| ChoiceError::Unknown {
        key,
        class: class.to_owned(),
        choices: choices
            .iter()
            .map(|choice| format!("{STORM}{choice}"))
            .collect(),
    })
}

const STORM: &str = "org.apache.storm.scheduler.";
const SCHEDULERS: [&str; 5] = [
    "DefaultScheduler",
    "EvenScheduler",
    "IsolationScheduler",
    "multitenant.MultitenantScheduler",
    "resource.ResourceAwareScheduler",
];
const BLACKLIST_STRATEGIES: [&str; 2] = [
    "blacklist.strategies.DefaultBlacklistStrategy",
    "blacklist.strategies.RasBlacklistStrategy",
];
const REPORTERS: [&str; 1] = ["blacklist.reporters.LogReporter"];
const PRIORITIES: [&str; 3] = [
    "org.apache.storm.scheduler.resource.strategies.priority.DefaultSchedulingPriorityStrategy",
    "org.apache.storm.scheduler.resource.strategies.priority.FIFOSchedulingPriorityStrategy",
    "org.apache.storm.scheduler.resource.strategies.priority.\
     GenericResourceAwareSchedulingPriorityStrategy",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(key: &str, value: Value) -> String {
        let conf = Conf::defaults().with(key, value);
        let conf = match key {
            keys::ISOLATION_SCHEDULER_MACHINES => {
                conf.with(keys::STORM_SCHEDULER, format!("{STORM}IsolationScheduler"))
            }
            keys::STORM_SCHEDULER => conf,
            _ => conf.with(keys::STORM_SCHEDULER, format!("{STORM}{}", SCHEDULERS[4])),
        };
        let error = scheduler(&conf, || 0).err().map(|error| error.to_string());
        let error = error.or_else(|| blacklist(&conf).err().map(|error| error.to_string()));
        let error = error.or_else(|| racks(&conf).err().map(|error| error.to_string()));
        error.expect("refused")
    }

    #[test]
    fn every_scheduler_of_storm_can_be_named_in_both_packages() {
        for package in [STORM, "backtype.storm.scheduler."] {
            for class in SCHEDULERS {
                let conf = Conf::defaults()
                    .with(keys::STORM_SCHEDULER, format!("{package}{class}"))
                    .with(keys::ISOLATION_SCHEDULER_MACHINES, json!({"a": 1}));
                assert!(scheduler(&conf, || 0).is_ok(), "{package}{class}");
            }
        }
        assert!(scheduler(&Conf::defaults(), || 0).is_ok());
        assert!(blacklist(&Conf::defaults()).is_ok());
        assert!(racks(&Conf::defaults()).is_ok_and(|racks| racks.is_empty()));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_key() {
        let cases = [
            (keys::STORM_SCHEDULER, json!("com.example.Mine")),
            (keys::ISOLATION_SCHEDULER_MACHINES, json!({})),
            (keys::ISOLATION_SCHEDULER_MACHINES, json!({"a": -1})),
            (keys::ISOLATION_SCHEDULER_MACHINES, json!({"a": 1e300})),
            (
                keys::RESOURCE_AWARE_SCHEDULER_USER_POOLS,
                json!({"a": {"cpu": -1}}),
            ),
            (
                keys::RESOURCE_AWARE_SCHEDULER_USER_POOLS,
                json!({"a": {"cpu": "NaN"}}),
            ),
            (keys::RESOURCE_AWARE_SCHEDULER_USER_POOLS, json!({"a": 7})),
            (
                keys::RESOURCE_AWARE_SCHEDULER_PRIORITY_STRATEGY,
                json!("com.example.Mine"),
            ),
            (keys::STORM_WORKER_MIN_CPU_PCORE_PERCENT, json!(-3)),
            (
                keys::BLACKLIST_SCHEDULER_STRATEGY,
                json!("com.example.Mine"),
            ),
            (
                keys::BLACKLIST_SCHEDULER_REPORTER,
                json!("com.example.Mine"),
            ),
            (
                keys::STORM_NETWORK_TOPOGRAPHY_PLUGIN,
                json!("com.example.Mine"),
            ),
        ];
        for (key, value) in cases {
            let text = refused(key, value.clone());
            assert!(text.contains(key), "{text}");
            if value == json!("com.example.Mine") {
                assert!(text.contains("org.apache.storm."), "{text}");
            }
        }
    }
}

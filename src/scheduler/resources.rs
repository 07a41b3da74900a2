//! Amounts of memory, processor and what users name, as Storm's schedulers reckon with them, under
//! the names that Storm gives them (control-plane 6.5).
//!
//! Says what is asked and what is there; who gets what is decided elsewhere.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::conf::{Conf, ConfError, ConversionError, convert, keys};
use crate::limits;
use crate::topology::conf::json_conf;
use crate::topology::{self, Component, InvalidTopology};

/// What one executor asks for, or several together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    pub onheap_mb: f64,
    pub offheap_mb: f64,
    /// Percent of one core.
    pub cpu: f64,
    /// What users name, such as GPUs.
    pub generic: BTreeMap<String, f64>,
}

/// What a supervisor has to give.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Capacity {
    pub memory_mb: f64,
    /// Percent of one core.
    pub cpu: f64,
    pub generic: BTreeMap<String, f64>,
}

// === impl Resources ===

impl Resources {
    /// What one executor of a component asks for: what the conf says of all, or of its kind, under
    /// what the component says itself.
    pub fn of(component: &Component<'_>, conf: &Conf) -> Result<Resources, InvalidTopology> {
        let mut amounts = defaults(component.id, conf)?;
        amounts.extend(declared(component)?);
        Ok(Resources::named(amounts))
    }

    /// What one executor of a component of the system asks for.
    pub fn of_system(component: &str, conf: &Conf) -> Result<Resources, InvalidTopology> {
        Ok(Resources::named(defaults(component, conf)?))
    }

    /// What one executor asks for, by short name.
    fn named(mut amounts: BTreeMap<String, f64>) -> Resources {
        let mut take = |name: &str| amounts.remove(name).unwrap_or(0.0);
        let resources = Resources {
            onheap_mb: take(ONHEAP),
            offheap_mb: take(OFFHEAP),
            cpu: take(CPU),
            generic: BTreeMap::new(),
        };
        amounts.remove(TOTAL_MEMORY);
        Resources {
            generic: amounts,
            ..resources
        }
    }

    pub fn memory_mb(&self) -> f64 {
        self.onheap_mb + self.offheap_mb
    }

    pub fn plus(mut self, other: &Resources) -> Resources {
        self.add(other, 1.0);
        self
    }

    /// Adds what `n` like `other` ask for.
    pub fn add(&mut self, other: &Resources, n: f64) {
        self.onheap_mb += other.onheap_mb * n;
        self.offheap_mb += other.offheap_mb * n;
        self.cpu += other.cpu * n;
        for (name, amount) in &other.generic {
            *self.generic.entry(name.clone()).or_default() += amount * n;
        }
    }

    /// All amounts by the names that Storm's structs carry.
    pub fn by_name(&self) -> BTreeMap<String, f64> {
        let mut amounts = self.generic.clone();
        amounts.insert(ONHEAP.to_owned(), self.onheap_mb);
        amounts.insert(OFFHEAP.to_owned(), self.offheap_mb);
        amounts.insert(CPU.to_owned(), self.cpu);
        amounts
    }
}

// === impl Capacity ===

impl Capacity {
    pub fn add(&mut self, other: &Capacity) {
        self.cpu += other.cpu;
        self.memory_mb += other.memory_mb;
        for (name, amount) in &other.generic {
            *self.generic.entry(name.clone()).or_default() += amount;
        }
    }

    /// Takes `other` away, and nothing below zero.
    pub fn subtract(&mut self, other: &Capacity) {
        self.cpu = (self.cpu - other.cpu).max(0.0);
        self.memory_mb = (self.memory_mb - other.memory_mb).max(0.0);
        for (name, amount) in &mut self.generic {
            let taken = other.generic.get(name).copied().unwrap_or(0.0);
            *amount = (*amount - taken).max(0.0);
        }
    }

    /// Whether there is anything at all.
    pub fn is_any(&self) -> bool {
        let mut others = self.generic.values();
        self.cpu > 0.0 || self.memory_mb > 0.0 || others.any(|amount| *amount > 0.0)
    }

    /// Reads what a supervisor reports. An amount that is none (negative, infinite, no number)
    /// counts as nothing, one beyond all machines as the most that we reckon with.
    pub fn reported(resources: &BTreeMap<String, f64>) -> Self {
        let mut capacity = Capacity::default();
        for (name, amount) in resources {
            let amount = match amount {
                amount if amount.is_nan() || *amount < 0.0 => 0.0,
                amount => amount.min(limits::RESOURCE_AMOUNT_MAX),
            };
            match short_name(name) {
                TOTAL_MEMORY => capacity.memory_mb = amount,
                CPU => capacity.cpu = amount,
                ONHEAP | OFFHEAP => {}
                name => {
                    if capacity.generic.len() < limits::RESOURCE_NAMES_MAX {
                        capacity.generic.insert(name.to_owned(), amount);
                    }
                }
            }
        }
        capacity
    }
}

/// What a machine offers by its conf, under short names; the map of resources has the last word.
///
/// Refuses what makes no sense: Nimbus would count it as nothing, and here somebody can be told.
pub fn offered(conf: &Conf) -> Result<BTreeMap<String, f64>, ConfError> {
    let memory_mb = conf.float_or(keys::SUPERVISOR_MEMORY_CAPACITY_MB, 4096.0)?;
    let cpu = conf.float_or(keys::SUPERVISOR_CPU_CAPACITY, 400.0)?;
    let mut amounts = BTreeMap::from([(TOTAL_MEMORY.to_owned(), memory_mb), (CPU.to_owned(), cpu)]);
    let key = keys::SUPERVISOR_RESOURCES_MAP;
    let refused = |source| ConfError::Value {
        key: key.to_owned(),
        source,
    };
    for (name, amount) in conf.map(key).into_iter().flatten() {
        let amount = convert::double(amount).map_err(refused)?;
        amounts.insert(short_name(name).to_owned(), amount);
    }
    for (name, amount) in &amounts {
        if !(0.0..=limits::RESOURCE_AMOUNT_MAX).contains(amount) {
            let reason = format!("{amount:?} is no amount of {name}");
            return Err(refused(ConversionError::WrongType(reason)));
        }
    }
    Ok(amounts)
}

/// Storm's short name for a resource that may be named by its old configuration key.
pub fn short_name(name: &str) -> &str {
    match name {
        keys::TOPOLOGY_COMPONENT_RESOURCES_ONHEAP_MEMORY_MB => ONHEAP,
        keys::TOPOLOGY_COMPONENT_RESOURCES_OFFHEAP_MEMORY_MB => OFFHEAP,
        keys::TOPOLOGY_COMPONENT_CPU_PCORE_PERCENT | keys::SUPERVISOR_CPU_CAPACITY => CPU,
        keys::SUPERVISOR_MEMORY_CAPACITY_MB => TOTAL_MEMORY,
        name => name,
    }
}

/// What the conf says of components of this kind, by short name.
fn defaults(component: &str, conf: &Conf) -> Result<BTreeMap<String, f64>, InvalidTopology> {
    let mut amounts = BTreeMap::new();
    let named = conf.map(keys::TOPOLOGY_COMPONENT_RESOURCES_MAP);
    for (name, value) in named.into_iter().flatten() {
        note(&mut amounts, name, value, component)?;
    }
    let of_kind = match component {
        topology::ACKER => Some(&ACKER_KEYS),
        id if id.starts_with(topology::METRICS_CONSUMER_PREFIX) => Some(&METRICS_CONSUMER_KEYS),
        _ => None,
    };
    let of_kind = of_kind.into_iter().flatten().zip(COMPONENT_KEYS);
    for (key, name) in of_kind {
        if let Some(value) = conf.get(key).filter(|value| !value.is_null()) {
            note(&mut amounts, name, value, component)?;
        }
    }
    for key in COMPONENT_KEYS {
        let value = conf.get(key).filter(|value| !value.is_null());
        if let Some(value) = value.filter(|_| !amounts.contains_key(short_name(key))) {
            note(&mut amounts, key, value, component)?;
        }
    }
    Ok(amounts)
}

/// What a component says itself, by short name: in its map, else under the old keys.
fn declared(component: &Component<'_>) -> Result<BTreeMap<String, f64>, InvalidTopology> {
    let own = json_conf(component)?;
    let mut amounts = BTreeMap::new();
    for key in COMPONENT_KEYS {
        if let Some(value) = own.get(key).filter(|value| !value.is_null()) {
            note(&mut amounts, key, value, component.id)?;
        }
    }
    let map = own.map(keys::TOPOLOGY_COMPONENT_RESOURCES_MAP);
    for (name, value) in map.into_iter().flatten() {
        note(&mut amounts, name, value, component.id)?;
    }
    Ok(amounts)
}

fn note(
    amounts: &mut BTreeMap<String, f64>,
    name: &str,
    value: &Value,
    component: &str,
) -> Result<(), InvalidTopology> {
    let refuse = |what: String| {
        Err(InvalidTopology::Refused(format!(
            "component [{component}] asks for {what}"
        )))
    };
    let shown: String = name.chars().take(NAME_SHOWN_MAX).collect();
    let Ok(amount) = convert::double(value) else {
        return refuse(format!("an amount of [{shown}] that is not a number"));
    };
    if !(0.0..=limits::RESOURCE_AMOUNT_MAX).contains(&amount) {
        let most = limits::RESOURCE_AMOUNT_MAX;
        return refuse(format!(
            "{amount:?} of [{shown}]: it must be at least 0 and at most {most:?}"
        ));
    }
    amounts.insert(short_name(name).to_owned(), amount);
    if amounts.len() > limits::RESOURCE_NAMES_MAX {
        let most = limits::RESOURCE_NAMES_MAX;
        return refuse(format!("more than {most} kinds of resources"));
    }
    Ok(())
}

/// Memory on the heap, in megabytes.
pub const ONHEAP: &str = "onheap.memory.mb";
/// Memory off the heap, in megabytes.
pub const OFFHEAP: &str = "offheap.memory.mb";
/// Memory of a supervisor, in megabytes.
pub const TOTAL_MEMORY: &str = "memory.mb";
/// Processor, in percent of one core.
pub const CPU: &str = "cpu.pcore.percent";

/// On heap, off heap, CPU; in this order below too.
const COMPONENT_KEYS: [&str; 3] = [
    keys::TOPOLOGY_COMPONENT_RESOURCES_ONHEAP_MEMORY_MB,
    keys::TOPOLOGY_COMPONENT_RESOURCES_OFFHEAP_MEMORY_MB,
    keys::TOPOLOGY_COMPONENT_CPU_PCORE_PERCENT,
];
const ACKER_KEYS: [&str; 3] = [
    keys::TOPOLOGY_ACKER_RESOURCES_ONHEAP_MEMORY_MB,
    keys::TOPOLOGY_ACKER_RESOURCES_OFFHEAP_MEMORY_MB,
    keys::TOPOLOGY_ACKER_CPU_PCORE_PERCENT,
];
const METRICS_CONSUMER_KEYS: [&str; 3] = [
    keys::TOPOLOGY_METRICS_CONSUMER_RESOURCES_ONHEAP_MEMORY_MB,
    keys::TOPOLOGY_METRICS_CONSUMER_RESOURCES_OFFHEAP_MEMORY_MB,
    keys::TOPOLOGY_METRICS_CONSUMER_CPU_PCORE_PERCENT,
];
/// Characters of a name in an error.
const NAME_SHOWN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_machine_offers_what_its_conf_says_under_short_names() {
        let conf = Conf::new().with(keys::SUPERVISOR_CPU_CAPACITY, 800).with(
            keys::SUPERVISOR_RESOURCES_MAP,
            json!({"gpu.count": 2, "supervisor.memory.capacity.mb": 1024}),
        );
        let expected = [(CPU, 800.0), ("gpu.count", 2.0), (TOTAL_MEMORY, 1024.0)];
        let expected = expected.map(|(name, amount)| (name.to_owned(), amount));
        assert_eq!(offered(&conf).expect("sound"), BTreeMap::from(expected));
        for bad in [json!(-1), json!(1e300), json!("NaN"), json!("many")] {
            let conf = Conf::new().with(keys::SUPERVISOR_RESOURCES_MAP, json!({ "gpu": bad }));
            let error = offered(&conf).expect_err("senseless").to_string();
            assert!(error.contains(keys::SUPERVISOR_RESOURCES_MAP), "{error}");
        }
    }

    #[test]
    fn what_a_supervisor_reports_is_bounded() {
        let reported = [
            ("cpu.pcore.percent", f64::NAN),
            ("supervisor.memory.capacity.mb", f64::INFINITY),
            ("gpu", -3.0),
        ];
        let reported = reported
            .map(|(name, amount)| (name.to_owned(), amount))
            .into();
        let capacity = Capacity::reported(&reported);
        assert_eq!(
            (capacity.cpu, capacity.memory_mb),
            (0.0, limits::RESOURCE_AMOUNT_MAX)
        );
        assert_eq!(capacity.generic["gpu"], 0.0);
    }
}

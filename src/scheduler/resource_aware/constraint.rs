//! Which components may not share a worker, and how many executors of one may share a node
//! (`topology.ras.constraints`, `topology.spread.components`).
//!
//! What the conf says of components that a topology does not have is passed over, as in Storm.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::conf::{Conf, convert, keys};
use crate::id::ComponentId;

/// The constraints of a topology's conf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    pairs: BTreeSet<(ComponentId, ComponentId)>,
    on_node_max: BTreeMap<ComponentId, usize>,
    /// Asked for by the old key: one on a node, where nothing else was said.
    spread: BTreeSet<ComponentId>,
}

/// Constraints by the places of components.
#[derive(Clone, Debug, Default)]
pub struct PlacedConstraints {
    /// For each component, those that its workers may not hold.
    pub incompatible: Vec<BTreeSet<usize>>,
    pub on_node_max: BTreeMap<usize, usize>,
}

// === impl Constraints ===

impl Constraints {
    /// Reads a topology's conf. What makes no sense is passed over: it was validated at submit.
    pub fn read(conf: &Conf) -> Self {
        let mut constraints = Constraints::default();
        match conf.get(keys::TOPOLOGY_RAS_CONSTRAINTS) {
            Some(Value::Array(pairs)) => {
                for pair in pairs {
                    if let [Some(one), Some(other), ..] = [pair.get(0), pair.get(1)] {
                        constraints.part(one.as_str(), other.as_str());
                    }
                }
            }
            Some(Value::Object(of_components)) => {
                for (component, said) in of_components {
                    constraints.note(component, said);
                }
            }
            _ => {}
        }
        let spread = conf.get(keys::TOPOLOGY_SPREAD_COMPONENTS);
        let spread = spread.and_then(Value::as_array).into_iter().flatten();
        constraints.spread = spread
            .filter_map(Value::as_str)
            .map(ComponentId::from)
            .collect();
        constraints
    }

    /// Whether the executors of a component are to be spread, by the old key.
    pub fn is_spread(&self, component: &ComponentId) -> bool {
        self.spread.contains(component)
    }

    /// The constraints that concern these components, by their places.
    pub fn placed(&self, components: &[ComponentId]) -> PlacedConstraints {
        let place = |id: &ComponentId| components.iter().position(|component| component == id);
        let mut placed = PlacedConstraints {
            incompatible: vec![BTreeSet::new(); components.len()],
            on_node_max: BTreeMap::new(),
        };
        for (one, other) in &self.pairs {
            if let (Some(one), Some(other)) = (place(one), place(other)) {
                placed.incompatible[one].insert(other);
                placed.incompatible[other].insert(one);
            }
        }
        for (component, n_max) in &self.on_node_max {
            if let Some(component) = place(component) {
                placed.on_node_max.insert(component, *n_max);
            }
        }
        for component in self.spread.iter().filter_map(place) {
            placed.on_node_max.entry(component).or_insert(1);
        }
        placed
    }

    fn note(&mut self, component: &str, said: &Value) {
        if let Some(n_max) = said.get(MAX_ON_NODE) {
            let n_max = convert::int(n_max).ok().filter(|n_max| *n_max >= 1);
            if let Some(n_max) = n_max.and_then(|n_max| usize::try_from(n_max).ok()) {
                self.on_node_max.insert(ComponentId::from(component), n_max);
            }
        }
        match said.get(INCOMPATIBLE) {
            Some(Value::Array(others)) => {
                for other in others {
                    self.part(Some(component), other.as_str());
                }
            }
            Some(other) => self.part(Some(component), other.as_str()),
            None => {}
        }
    }

    fn part(&mut self, one: Option<&str>, other: Option<&str>) {
        if let (Some(one), Some(other)) = (one, other) {
            let pair = (ComponentId::from(one), ComponentId::from(other));
            self.pairs.insert(pair);
        }
    }
}

const MAX_ON_NODE: &str = "maxNodeCoLocationCnt";
const INCOMPATIBLE: &str = "incompatibleComponents";

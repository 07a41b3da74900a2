//! The newest errors of each component, as workers and supervisors report them.
//!
//! Kept in memory and written to the store by a timer, at most once a second for all together: an
//! error storm must not become a storm of commits.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::id::{ComponentId, TopologyId};
use crate::limits;
use crate::wire::storm::ErrorInfo;

/// Errors by topology and component, newest first.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    topologies: HashMap<TopologyId, BTreeMap<ComponentId, Vec<ErrorInfo>>>,
    unsaved: BTreeSet<(TopologyId, ComponentId)>,
}

// === impl Errors ===

impl Errors {
    /// Adds an error. The caller has checked that the topology has such a component.
    pub fn report(&mut self, id: &TopologyId, component: &ComponentId, mut error: ErrorInfo) {
        if error.error.len() > limits::REPORTED_ERROR_BYTES_MAX {
            let end = error
                .error
                .floor_char_boundary(limits::REPORTED_ERROR_BYTES_MAX);
            error.error.truncate(end);
        }
        let of_topology = self.topologies.entry(id.clone()).or_default();
        let of_component = of_topology.entry(component.clone()).or_default();
        of_component.insert(0, error);
        of_component.truncate(limits::ERRORS_KEPT);
        self.unsaved.insert((id.clone(), component.clone()));
    }

    pub fn restored(&mut self, id: &TopologyId, errors: BTreeMap<ComponentId, Vec<ErrorInfo>>) {
        self.topologies.insert(id.clone(), errors);
    }

    pub fn removed(&mut self, id: &TopologyId) {
        self.topologies.remove(id);
        self.unsaved.retain(|(topology, _)| topology != id);
    }

    /// Newest first.
    pub fn of(&self, id: &TopologyId, component: &ComponentId) -> &[ErrorInfo] {
        let of_topology = self.topologies.get(id);
        of_topology
            .and_then(|components| components.get(component))
            .map_or(&[], Vec::as_slice)
    }

    /// What changed since the last call.
    pub fn take_unsaved(&mut self) -> Vec<(TopologyId, ComponentId, Vec<ErrorInfo>)> {
        let unsaved = std::mem::take(&mut self.unsaved);
        let with_errors = |(id, component): (TopologyId, ComponentId)| {
            let errors = self.of(&id, &component).to_vec();
            (id, component, errors)
        };
        unsaved.into_iter().map(with_errors).collect()
    }

    /// The store did not take these: they are due again.
    pub fn put_back(&mut self, unsaved: impl Iterator<Item = (TopologyId, ComponentId)>) {
        let known = unsaved.filter(|(id, _)| self.topologies.contains_key(id));
        self.unsaved.extend(known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> ErrorInfo {
        ErrorInfo {
            error: text.to_owned(),
            ..ErrorInfo::default()
        }
    }

    #[test]
    fn the_newest_are_kept_and_saved_once() {
        let mut errors = Errors::default();
        let (id, bolt) = (TopologyId::from("t-1-1"), ComponentId::from("bolt"));
        for n in 0..12 {
            errors.report(&id, &bolt, error(&n.to_string()));
        }
        let texts: Vec<_> = errors
            .of(&id, &bolt)
            .iter()
            .map(|e| e.error.as_str())
            .collect();
        assert_eq!(texts, ["11", "10", "9", "8", "7", "6", "5", "4", "3", "2"]);
        let unsaved = errors.take_unsaved();
        assert_eq!((unsaved.len(), unsaved[0].2.len()), (1, 10));
        assert!(errors.take_unsaved().is_empty());
        errors.put_back([(id.clone(), bolt.clone())].into_iter());
        assert_eq!(errors.take_unsaved().len(), 1);
        errors.removed(&id);
        errors.put_back([(id.clone(), bolt.clone())].into_iter());
        assert!(errors.take_unsaved().is_empty() && errors.of(&id, &bolt).is_empty());
    }

    #[test]
    fn a_giant_error_is_cut_at_a_character() {
        let mut errors = Errors::default();
        let (id, bolt) = (TopologyId::from("t-1-1"), ComponentId::from("bolt"));
        errors.report(
            &id,
            &bolt,
            error(&"\u{20ac}".repeat(limits::REPORTED_ERROR_BYTES_MAX)),
        );
        let length = errors.of(&id, &bolt)[0].error.len();
        assert!(
            length <= limits::REPORTED_ERROR_BYTES_MAX
                && length > limits::REPORTED_ERROR_BYTES_MAX - 3
        );
    }
}

//! Which of an executor's tuples its event loggers see: a share that is set from outside.
//!
//! Costs an emit one comparison while it is off. Who may set it, and what becomes of the tuples, is
//! other files' business (`controls`, `component::native::event_log`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::id::{ComponentId, TopologyId};
use crate::wire::storm::DebugOptions;

/// Percent of tuples, set by one thread and read by another.
#[derive(Debug, Default)]
pub struct SampledShare(AtomicU64);

/// The share as its executor uses it.
pub struct Sampling {
    share: Arc<SampledShare>,
    /// The stream to event loggers among the executor's streams; none where there are none.
    stream: Option<usize>,
    /// As of the start of the turn; 0 is off.
    percent: f64,
}

// === impl SampledShare ===

impl SampledShare {
    pub fn set(&self, percent: f64) {
        self.0.store(percent.to_bits(), Ordering::Relaxed);
    }

    pub fn percent(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

// === impl Sampling ===

impl Sampling {
    pub fn new(share: Arc<SampledShare>, stream: Option<usize>) -> Self {
        Sampling {
            share,
            stream,
            percent: 0.0,
        }
    }

    /// Takes over what was set; once a turn.
    #[inline]
    pub fn refresh(&mut self) {
        if self.stream.is_some() {
            self.percent = self.share.percent();
        }
    }

    #[inline]
    pub fn is_on(&self) -> bool {
        self.percent > 0.0
    }

    /// The stream for the next tuple, if it belongs to the share.
    pub fn draw(&self, random: &mut fastrand::Rng) -> Option<usize> {
        let belongs = random.f64() * 100.0 < self.percent;
        self.stream.filter(|_| belongs)
    }
}

/// What share the loggers of a topology get of a component: what is set for it, else what is set
/// for the topology (data-plane 11.7).
pub fn share_of(
    component: &ComponentId,
    topology: &TopologyId,
    options: &BTreeMap<String, DebugOptions>,
) -> f64 {
    let own = options.get(component.as_str());
    let found = own.or_else(|| options.get(topology.as_str()));
    let enabled = found.filter(|options| options.enable == Some(true));
    let percent = enabled.and_then(|options| options.samplingpct);
    // `max` turns what is no number into 0.
    percent.unwrap_or(0.0).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(options: &[(&str, bool, Option<f64>)], expected: f64) {
        let option = |(key, enable, percent): &(&str, bool, Option<f64>)| {
            let options = DebugOptions {
                enable: Some(*enable),
                samplingpct: *percent,
            };
            ((*key).to_owned(), options)
        };
        let options = options.iter().map(option).collect();
        let found = share_of(&"split".into(), &"words-1-1".into(), &options);
        assert_eq!(found, expected);
    }

    #[test]
    fn a_component_comes_before_its_topology() {
        check(&[], 0.0);
        check(&[("words-1-1", true, Some(10.0))], 10.0);
        check(
            &[("words-1-1", true, Some(10.0)), ("split", true, Some(5.0))],
            5.0,
        );
        check(
            &[("words-1-1", true, Some(10.0)), ("split", false, Some(5.0))],
            0.0,
        );
        check(&[("count", true, Some(10.0))], 0.0);
        check(&[("split", true, None)], 0.0);
        check(&[("split", true, Some(f64::NAN))], 0.0);
    }

    #[test]
    fn the_share_holds() {
        let share = Arc::new(SampledShare::default());
        let mut sampling = Sampling::new(share.clone(), Some(3));
        sampling.refresh();
        assert!(!sampling.is_on());
        share.set(25.0);
        sampling.refresh();
        let mut random = fastrand::Rng::with_seed(7);
        let n_drawn = (0..10_000)
            .filter(|_| sampling.draw(&mut random) == Some(3))
            .count();
        assert!((2_300..2_700).contains(&n_drawn), "{n_drawn}");
        let mut without = Sampling::new(share, None);
        without.refresh();
        assert!(!without.is_on());
    }
}

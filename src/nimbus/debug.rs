//! Sampling of tuples for the event logger: which components, and what share of what they emit.
//!
//! Only keeps the wish; workers carry it out, where the topology has event loggers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fault::Fault;
use super::leader::{ChangeError, Edit, Leader};
use super::state::Topology;
use crate::id::TopologyId;
use crate::limits;
use crate::wire::storm::DebugOptions;

/// What a client asks for.
pub(crate) struct Sampling {
    /// None or empty: the whole topology.
    pub component: Option<String>,
    pub enable: bool,
    /// Percent of emitted tuples.
    pub percent: f64,
}

/// Turns sampling on or off; on disk when this returns.
pub(crate) async fn set(
    leader: Arc<Leader>,
    id: TopologyId,
    sampling: Sampling,
) -> Result<(), Fault> {
    let Sampling {
        component,
        enable,
        percent,
    } = sampling;
    leader
        .change(|state| {
            let topology = state.topologies.get(&id);
            let topology = topology.ok_or_else(|| Fault::NotAlive(format!("{id} is not alive")))?;
            let component = component.filter(|component| !component.is_empty());
            let key = component.unwrap_or_else(|| id.to_string());
            let mut options = topology.base.component_debug.clone().unwrap_or_default();
            merge(&mut options, key, enable, percent)?;
            Ok::<_, Fault>((edit(topology, options)?, ()))
        })
        .await?;
    tracing::info!(topology = %id, enable, percent, "sampling of tuples changed");
    Ok(())
}

/// Turning off keeps the share for the next time. Where Storm adds the new share to the old one,
/// the new one counts.
fn merge(
    options: &mut BTreeMap<String, DebugOptions>,
    key: String,
    enable: bool,
    percent: f64,
) -> Result<(), Fault> {
    // A component that does not exist harms nobody, as in Storm; many of them would.
    let n_max = limits::TOPOLOGY_COMPONENTS_MAX + 1;
    if key.len() > limits::TOPOLOGY_ID_BYTES_MAX
        || (!options.contains_key(&key) && options.len() >= n_max)
    {
        return Err(Fault::Internal(format!(
            "component ids end at {} bytes, and sampling at {n_max} components",
            limits::TOPOLOGY_ID_BYTES_MAX
        )));
    }
    let of_key = options.entry(key).or_default();
    of_key.enable = Some(enable);
    if enable {
        let percent = if percent.is_nan() { 0.0 } else { percent };
        of_key.samplingpct = Some(percent.clamp(0.0, 100.0));
    }
    Ok(())
}

fn edit(topology: &Topology, options: BTreeMap<String, DebugOptions>) -> Result<Edit, ChangeError> {
    let mut edit = Edit::default();
    let mut changed = topology.clone();
    changed.base.component_debug = Some(options);
    edit.batch.base(&topology.id, &changed.base)?;
    edit.topologies
        .push((topology.id.clone(), Some(Arc::new(changed))));
    Ok(edit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(calls: &[(bool, f64)], expected: (bool, Option<f64>)) {
        let mut options = BTreeMap::new();
        for (enable, percent) in calls {
            merge(&mut options, "split".to_owned(), *enable, *percent).expect("valid");
        }
        let DebugOptions {
            enable,
            samplingpct,
        } = options["split"];
        assert_eq!((enable, samplingpct), (Some(expected.0), expected.1));
    }

    #[test]
    fn shares_are_bounded_overwritten_and_kept() {
        check(&[(true, 150.0)], (true, Some(100.0)));
        check(&[(true, -1.0)], (true, Some(0.0)));
        check(&[(true, f64::NAN)], (true, Some(0.0)));
        check(&[(true, 10.0), (true, 20.0)], (true, Some(20.0)));
        check(&[(true, 10.0), (false, 0.0)], (false, Some(10.0)));
        check(&[(false, 5.0)], (false, None));
    }

    #[test]
    fn keys_are_bounded() {
        let long = "x".repeat(limits::TOPOLOGY_ID_BYTES_MAX + 1);
        assert!(merge(&mut BTreeMap::new(), long, true, 1.0).is_err());
    }
}

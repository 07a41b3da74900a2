//! The pages of a UI: one topology, one component or one supervisor with its figures.
//!
//! Joins state, heartbeats and errors; the sums are `stats::aggregate`'s, shorter answers are in
//! `info`.

mod component;
mod supervisor;
mod topology;
mod workers;

pub(crate) use self::supervisor::Which;
use super::info::Placed;
use crate::scheduler::resources::Resources;
use crate::stats::aggregate::{Beat, SystemParts, View};
use crate::wire::storm::CommonAggregateStats;

/// A page as it was asked for: Storm takes any text for a window's name.
pub(crate) struct Wanted {
    pub window: Option<String>,
    pub system: SystemParts,
}

// === impl Wanted ===

impl Wanted {
    pub fn new(window: Option<String>, is_include_sys: Option<bool>) -> Self {
        Wanted {
            window,
            system: system_parts(is_include_sys),
        }
    }

    fn view(&self) -> View<'_> {
        View {
            window: self.window.as_deref(),
            system: self.system,
        }
    }
}

/// An argument that is absent is false, as in Storm.
pub(crate) fn system_parts(is_include_sys: Option<bool>) -> SystemParts {
    match is_include_sys {
        Some(true) => SystemParts::Shown,
        _ => SystemParts::Hidden,
    }
}

/// Heartbeats of the executors that sent some.
fn beats<'a>(placed: &'a [Placed<'a>]) -> impl Iterator<Item = Beat<'a>> {
    placed.iter().filter_map(|placed| {
        let worker = placed.worker.as_ref()?;
        Some(Beat {
            executor: placed.executor,
            component: placed.component,
            host: placed.host,
            port: i32::from(placed.slot.port),
            uptime_secs: worker.uptime_secs,
            stats: &worker.stats,
        })
    })
}

fn with_resources(
    common: Option<CommonAggregateStats>,
    resources: Option<&Resources>,
) -> Option<CommonAggregateStats> {
    let mut common = common.unwrap_or_default();
    common.resources_map = resources.map(Resources::by_name);
    Some(common)
}

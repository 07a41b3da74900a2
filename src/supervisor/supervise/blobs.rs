//! When the supervisor looks for newer blobs and for room, and which files no slot needs any more.
//!
//! How blobs are fetched and thrown away is in `blob_cache`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Core, Event};
use crate::id::TopologyId;
use crate::supervisor::localizer;
use crate::wire::messages::SupervisorDirective;

/// When it was last looked.
#[derive(Debug)]
pub(super) struct Looks {
    renewed_ms: u64,
    cleaned_ms: u64,
    /// One at a time.
    is_under_way: bool,
}

// === impl Looks ===

impl Looks {
    pub fn new(now_ms: u64) -> Self {
        Looks {
            renewed_ms: now_ms,
            cleaned_ms: 0,
            is_under_way: false,
        }
    }
}

// === impl Core ===

impl Core {
    /// Looks for newer versions of blobs, and throws away what nobody needs, when it is time.
    pub(super) fn tend_blobs(&mut self, now_ms: u64) {
        let settings = &self.settings.cache;
        let is_due = |last_ms: u64, period_ms| now_ms.saturating_sub(last_ms) >= period_ms;
        let renew = is_due(self.looks.renewed_ms, settings.poll_ms);
        let clean = is_due(self.looks.cleaned_ms, settings.clean_ms);
        if self.looks.is_under_way || !renew && !clean {
            return;
        }
        self.looks.is_under_way = true;
        if renew {
            self.looks.renewed_ms = now_ms;
        }
        if clean {
            self.looks.cleaned_ms = now_ms;
        }
        let topologies: BTreeSet<TopologyId> = self.topologies().cloned().collect();
        let (cache, events) = (self.localizer.cache.clone(), self.events.clone());
        self.tasks.spawn(async move {
            let mut changed = Vec::new();
            for topology in topologies.iter().filter(|_| renew) {
                match cache.renew(topology).await {
                    Ok(true) => changed.push(topology.clone()),
                    Ok(false) => {}
                    Err(error) => tracing::warn!(%topology, %error, "blobs are not renewed"),
                }
            }
            if clean && let Err(error) = cache.clean(topologies).await {
                tracing::warn!(%error, "the cache of blobs is not cleaned");
            }
            let _ = events.send(Event::Renewed { changed }).await;
        });
    }

    /// Blobs were looked at: the workers of these topologies start anew.
    pub(super) fn handle_renewed(&mut self, changed: Vec<TopologyId>, now_ms: u64) {
        self.looks.is_under_way = false;
        for topology in changed {
            tracing::info!(%topology, "a blob changed: its workers start anew");
            for place in self.places.values_mut() {
                place.slot.handle_blob_changed(&topology, now_ms);
            }
        }
    }

    /// Removes files of topologies that no slot needs any more.
    pub(super) fn sweep(&self) {
        let layout = &self.settings.layout;
        let code: BTreeSet<PathBuf> = self.topologies().map(|id| layout.code(id)).collect();
        let busy = !self.tasks.is_empty();
        let is_part = |path: &std::path::Path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with(".part-")
        };
        // A part may be a download under way.
        localizer::sweep(&layout.all_code(), |path| {
            code.contains(path) || busy && is_part(path)
        });
    }

    /// Removes the launch counters of topologies that Nimbus has no work for here: one that comes
    /// back has a higher epoch, so its count may start over. Without Nimbus's word an epoch may
    /// still stand, and a count that starts over would give generations twice.
    pub(super) fn sweep_launches(&self, directive: &SupervisorDirective) {
        let layout = &self.settings.layout;
        let named = directive.topologies.keys();
        let named = named.map(|id| layout.launches(&TopologyId::new(id.as_str())));
        let held = self.topologies().map(|id| layout.launches(id));
        let needed: BTreeSet<PathBuf> = named.chain(held).collect();
        // Beside a counter lies its next content while that is being written.
        localizer::sweep(&layout.all_launches(), |path| {
            needed.contains(path) || needed.contains(&path.with_extension(""))
        });
    }
}

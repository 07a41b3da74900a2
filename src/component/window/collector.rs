//! A windowed bolt's way out: emits are anchored to the window's tuples.
//!
//! Neither acks nor fails: the runner acks a tuple when it leaves its windows.

use super::Window;
use crate::component::{Collector, ComponentFailure, Emit, Result};
use crate::tuple::{Tuple, ValueRef};

/// A collector for one window.
pub struct WindowCollector<'w> {
    out: Collector<'w>,
    window: Window<'w>,
    /// The window's tuples, once something is anchored to all of them.
    anchors: Option<Vec<Tuple<'w>>>,
}

// === impl WindowCollector ===

impl<'w> WindowCollector<'w> {
    pub(super) fn new(out: Collector<'w>, window: Window<'w>) -> Self {
        WindowCollector {
            out,
            window,
            anchors: None,
        }
    }

    /// Emits to the stream `default`, anchored to all tuples of the window: if it is lost, each of
    /// them is replayed. Costs some steps and 16 bytes for each tuple of the window; where a result
    /// comes from a few of them, `emit_with` takes those.
    pub fn emit<'v>(&mut self, values: impl AsRef<[ValueRef<'v>]>) -> Result<()> {
        self.emit_to(Emit::default().stream, values)
    }

    /// Emits to a stream, anchored to all tuples of the window.
    pub fn emit_to<'v>(&mut self, stream: &str, values: impl AsRef<[ValueRef<'v>]>) -> Result<()> {
        let window = self.window;
        let anchors = self
            .anchors
            .get_or_insert_with(|| window.tuples().collect());
        let emit = Emit {
            stream,
            anchors,
            ..Emit::default()
        };
        self.out.emit_with(emit, values)
    }

    /// Emits as told, anchored to just the tuples that are given.
    pub fn emit_with<'v>(
        &mut self,
        emit: Emit<'_>,
        values: impl AsRef<[ValueRef<'v>]>,
    ) -> Result<()> {
        self.out.emit_with(emit, values)
    }

    /// Emits to the stream `default` without an anchor: nobody hears of its loss.
    pub fn emit_unanchored<'v>(&mut self, values: impl AsRef<[ValueRef<'v>]>) -> Result<()> {
        self.out.emit_unanchored(values)
    }

    /// Shows an error under the component without failing anything. Throttled.
    pub fn report_error(&mut self, failure: &ComponentFailure) {
        self.out.report_error(failure);
    }

    /// Whether a receiver is full: what is emitted now piles up.
    pub fn is_blocked(&self) -> bool {
        self.out.is_blocked()
    }
}

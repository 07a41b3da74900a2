//! Windowed bolts: what their author writes, and the ordinary bolt that runs one.
//!
//! When a window is due and what is in it is `crate::window`'s matter. Stateful windowed bolts and
//! persistent windows are not here.

mod collector;
mod late;
mod runner;

pub use crate::window::{Count, LATE_TUPLE, WindowConfig, WindowError};
pub use collector::WindowCollector;
pub use late::{LateTuple, NotLateError};
pub use runner::{Runner, check};

use crate::component::{Credentials, Result, TaskContext};
use crate::tuple::{Key, Shelf, Tuple};

/// A bolt that is called with windows of tuples. One object per task, run by a [`Runner`].
///
/// Which windows is configuration of its component ([`WindowConfig`]). Each tuple is acked by the
/// runner, when it leaves for good: after the last window that it is in, or when the next one is
/// found to be without it. Ticks are acked and are in no window.
pub trait WindowedBolt: Send {
    /// Called once, when the topology is first active, before anything else.
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Takes a window, which is never empty.
    ///
    /// `Err` is reported, and fails every tuple that is held for this window and later ones: they
    /// are replayed to windows that begin anew, as after a restart of the worker.
    fn execute(&mut self, window: &Window<'_>, out: &mut WindowCollector<'_>) -> Result<()>;

    /// How to read the event time out of a tuple, where it does not stand in a field that the
    /// configuration names. Asked once, before `prepare`.
    fn timestamp_extractor(&self) -> Option<TimestampExtractor> {
        None
    }

    /// The topology has credentials (before `prepare`), or other ones than before.
    fn set_credentials(&mut self, credentials: &Credentials) {
        let _ = credentials;
    }

    /// The task ends. Best effort: not called when the worker is killed.
    fn cleanup(&mut self) {}

    /// Whether calls may block: such a component gets a thread of its own.
    fn blocks(&self) -> bool {
        false
    }
}

/// Gives a tuple's event time, in milliseconds since the epoch. `Err` fails the tuple.
pub type TimestampExtractor = Box<dyn FnMut(&Tuple<'_>) -> Result<i64> + Send>;

/// The tuples of a window, in the order they came.
#[derive(Clone, Copy)]
pub struct Window<'w> {
    held: &'w Shelf,
    tuples: &'w [Key],
    new: &'w [Key],
    expired: &'w [Key],
    length_ms: Option<i64>,
    end_ms: i64,
}

// === impl Window ===

impl<'w> Window<'w> {
    /// All tuples of the window.
    pub fn tuples(&self) -> impl ExactSizeIterator<Item = Tuple<'w>> + Clone + use<'w> {
        views(self.held, self.tuples)
    }

    /// Those that were not in the window before this one.
    pub fn new_tuples(&self) -> impl ExactSizeIterator<Item = Tuple<'w>> + Clone + use<'w> {
        views(self.held, self.new)
    }

    /// Those that left since the window before this one. They are acked already.
    pub fn expired_tuples(&self) -> impl ExactSizeIterator<Item = Tuple<'w>> + Clone + use<'w> {
        views(self.held, self.expired)
    }

    /// Number of tuples, at least one.
    pub fn len(&self) -> usize {
        self.tuples.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tuples.is_empty()
    }

    /// Where a window that is measured in time begins, in milliseconds since the epoch: a tuple of
    /// just that time is not in it.
    pub fn start_ms(&self) -> Option<i64> {
        self.length_ms.map(|length_ms| self.end_ms - length_ms)
    }

    /// Where the window ends, in milliseconds since the epoch: a tuple of just that time is in it.
    /// Of windows that are counted in processing time, when it was evaluated.
    pub fn end_ms(&self) -> i64 {
        self.end_ms
    }
}

fn views<'w>(
    held: &'w Shelf,
    keys: &'w [Key],
) -> impl ExactSizeIterator<Item = Tuple<'w>> + Clone + use<'w> {
    keys.iter().map(|key| held.get(*key))
}

#[cfg(test)]
mod tests;

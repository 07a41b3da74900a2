//! Tuples that are dropped while someone looks: those that a component held when it broke.
//!
//! A held tuple that is dropped says nothing: most were acked before. Only when a whole component
//! is thrown away are its tuples lost, and their trees can fail at once instead of by time-out.

use std::cell::{Cell, RefCell};

use super::{Anchor, HeldTuple};

thread_local! {
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
    static LOST: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Runs `throw_away`; gives the roots of the held tuples that were dropped on this thread
/// meanwhile, each once.
pub fn lost_by(throw_away: impl FnOnce()) -> Vec<u64> {
    IS_WATCHED.set(true);
    throw_away();
    IS_WATCHED.set(false);
    let mut roots = LOST.take();
    roots.sort_unstable();
    roots.dedup();
    roots
}

impl Drop for HeldTuple {
    #[inline]
    fn drop(&mut self) {
        if is_watched() {
            note(self.view().anchors());
        }
    }
}

/// Whether tuples that this thread drops now are lost.
#[inline]
pub(super) fn is_watched() -> bool {
    // Where thread-locals are gone already nobody watches any more.
    IS_WATCHED.try_with(Cell::get).unwrap_or(false)
}

#[cold]
pub(super) fn note(anchors: &[Anchor]) {
    let roots = anchors.iter().map(|anchor| anchor.root);
    LOST.with_borrow_mut(|lost| lost.extend(roots));
}

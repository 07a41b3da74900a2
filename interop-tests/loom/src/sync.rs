//! What `door` is made of, of loom's kind; and a way to take its fences away.

use std::cell::Cell;
use std::time::Duration;

pub use loom::sync::atomic::{AtomicBool, Ordering};
pub use loom::sync::{Mutex, MutexGuard};
pub use loom::thread::{Thread, current};

thread_local! {
    // Loom runs all threads of a model on one of the system's.
    static HAS_NO_FENCES: Cell<bool> = const { Cell::new(false) };
}

/// Runs a model whose fences do nothing.
#[cfg(test)]
pub fn without_fences(model: impl FnOnce()) {
    HAS_NO_FENCES.set(true);
    model();
}

pub fn fence(order: Ordering) {
    if !HAS_NO_FENCES.get() {
        loom::sync::atomic::fence(order);
    }
}

/// Time-outs are left out: a wake that only a time-out would bring is a lost one.
pub fn park(_timeout: Option<Duration>) {
    loom::thread::park();
}

//! The way into a thread for everybody but its sibling threads' rings, and the bell that wakes it.
//!
//! Knows nothing of what is handed in. `interop-tests/loom` runs this file under loom, with atomics
//! and threads of its own: that is why those come from `sync`.

use std::sync::{OnceLock, PoisonError};
use std::time::Duration;

use super::sync::{AtomicBool, Mutex, MutexGuard, Ordering, Thread, current, fence, park};

/// One thread's door. `T` is what others hand in.
pub struct Door<T> {
    parked: AtomicBool,
    /// Someone injected or woke a component since the thread last looked.
    knocked: AtomicBool,
    injected: Mutex<Vec<T>>,
    thread: OnceLock<Thread>,
}

// === impl Door ===

impl<T> Door<T> {
    /// Called once by the thread behind the door.
    pub fn occupy(&self) {
        let _ = self.thread.set(current());
    }

    pub fn inject(&self, what: T) {
        self.lock().push(what);
        self.knock();
    }

    /// Has the thread look at everything soon.
    pub fn knock(&self) {
        self.knocked.store(true, Ordering::SeqCst);
        self.ring();
    }

    /// After something was put into a ring of the thread behind the door. True when it slept.
    #[inline]
    pub fn ring(&self) -> bool {
        // Orders what was published before the look at `parked`; `park` has the mirror image.
        fence(Ordering::SeqCst);
        let wakes = self.parked.load(Ordering::Relaxed) && self.take_parked();
        if wakes && let Some(thread) = self.thread.get() {
            thread.unpark();
        }
        wakes
    }

    /// Whether it slept and this call is the one that wakes it. Writes nothing where it did not:
    /// loom believes that such a write may hide a later `parked` (see `interop-tests/loom`).
    #[inline]
    fn take_parked(&self) -> bool {
        self.parked
            .compare_exchange(true, false, Ordering::SeqCst, Ordering::Relaxed)
            .is_ok()
    }

    /// Whether anyone knocked since the last call.
    #[inline]
    pub fn answer(&self) -> bool {
        self.knocked.load(Ordering::Relaxed) && self.knocked.swap(false, Ordering::SeqCst)
    }

    /// Whether the thread sleeps and nobody has called it since.
    pub fn is_parked(&self) -> bool {
        self.parked.load(Ordering::SeqCst) && !self.knocked.load(Ordering::SeqCst)
    }

    #[inline]
    pub fn is_knocked(&self) -> bool {
        self.knocked.load(Ordering::Relaxed)
    }

    /// Takes what was injected; `into` is empty and its memory is used for what comes next.
    pub fn collect(&self, into: &mut Vec<T>) {
        std::mem::swap(&mut *self.lock(), into);
    }

    /// Sleeps until rung, knocked or timed out, unless `has_work` says at the last moment that
    /// there is something to do.
    pub fn park(&self, timeout: Option<Duration>, has_work: impl FnOnce() -> bool) {
        self.parked.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if !self.is_knocked() && !has_work() {
            park(timeout);
        }
        self.parked.store(false, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        // Nothing under the lock can leave the list half changed.
        self.injected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Door<T> {
    fn default() -> Self {
        Door {
            parked: AtomicBool::new(false),
            knocked: AtomicBool::new(false),
            injected: Mutex::new(Vec::new()),
            thread: OnceLock::new(),
        }
    }
}

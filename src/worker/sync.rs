//! What `door` is made of. `interop-tests/loom` has a module of the same names that loom watches.

use std::time::Duration;

pub use std::sync::atomic::{AtomicBool, Ordering, fence};
pub use std::sync::{Mutex, MutexGuard};
pub use std::thread::{Thread, current};

/// Sleeps until unparked or timed out, or for no reason.
pub fn park(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => std::thread::park_timeout(timeout),
        None => std::thread::park(),
    }
}

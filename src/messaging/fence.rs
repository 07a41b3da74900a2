//! Whether this process may still send: the last word before bytes leave it for other workers.
//!
//! A worker that was away for longer than others wait for it has no work any more, whichever of its
//! threads finds out first. What that means is the worker's; here it is only asked.

use std::io;
use std::sync::Arc;

/// Asked before each call of the system that writes. Cheap to clone.
#[derive(Clone)]
pub struct Fence(Arc<dyn Fn() -> bool + Send + Sync>);

// === impl Fence ===

impl Fence {
    /// `is_open` may be asked from any thread at any time. It need not return when it is not.
    pub fn new(is_open: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Fence(Arc::new(is_open))
    }

    /// Never opens again once it was not.
    #[inline]
    pub fn is_open(&self) -> bool {
        (self.0)()
    }

    /// The same for what writes.
    pub(super) fn pass(&self) -> io::Result<()> {
        let text = "this process was away for longer than others wait for it: it sends nothing";
        match self.is_open() {
            true => Ok(()),
            false => Err(io::Error::other(text)),
        }
    }
}

/// Of what nobody waits for.
impl Default for Fence {
    fn default() -> Self {
        Fence::new(|| true)
    }
}

impl std::fmt::Debug for Fence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Fence").field(&self.is_open()).finish()
    }
}

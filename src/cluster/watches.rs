//! Who wants to hear of changes, for the stores that live in this process.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::sync::watch;

use super::store::as_parent;

/// Channels by path; those that nobody listens to any more are dropped at the next change or watch.
#[derive(Default)]
pub(super) struct Watches {
    by_parent: Mutex<BTreeMap<String, watch::Sender<u64>>>,
}

// === impl Watches ===

impl Watches {
    pub fn watch(&self, path: &str) -> watch::Receiver<u64> {
        let mut by_parent = self.lock();
        by_parent.retain(|_, sender| sender.receiver_count() > 0);
        let sender = by_parent.entry(as_parent(path));
        sender.or_insert_with(|| watch::channel(0).0).subscribe()
    }

    /// Tells those who watch one of the paths, or a path above one.
    pub fn changed<'a>(&self, paths: impl Iterator<Item = &'a str>, revision: u64) {
        let mut by_parent = self.lock();
        if by_parent.is_empty() {
            return;
        }
        by_parent.retain(|_, sender| sender.receiver_count() > 0);
        for path in paths {
            let path = as_parent(path);
            for (parent, sender) in &*by_parent {
                if path.starts_with(parent.as_str()) {
                    sender.send_replace(revision);
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, watch::Sender<u64>>> {
        // A panic elsewhere leaves the map whole: each step above is one insertion or removal.
        self.by_parent
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

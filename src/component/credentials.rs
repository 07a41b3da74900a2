//! What a component may show to others to be let in: names and secrets, and how it hears of new
//! ones.
//!
//! Where they come from is the worker's business. No text shows a secret.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

/// The credentials of a topology at one moment.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials(Arc<BTreeMap<String, String>>);

/// The newest credentials of a worker, shared by all that need them.
#[derive(Debug, Default)]
pub struct Held {
    newest: ArcSwap<Credentials>,
    /// Counts changes.
    version: AtomicU64,
}

// === impl Credentials ===

impl Credentials {
    pub fn new(secrets: BTreeMap<String, String>) -> Self {
        Credentials(Arc::new(secrets))
    }

    /// The secret of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names and secrets, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, secret)| (name.as_str(), secret.as_str()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Names alone.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

// === impl Held ===

impl Held {
    pub fn new(credentials: Credentials) -> Self {
        Held {
            newest: ArcSwap::from_pointee(credentials),
            version: AtomicU64::new(0),
        }
    }

    pub fn newest(&self) -> Credentials {
        self.newest.load().as_ref().clone()
    }

    /// Another number after each change.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Replaces them; whether they are others than before.
    pub fn replace(&self, credentials: Credentials) -> bool {
        if **self.newest.load() == credentials {
            return false;
        }
        self.newest.store(Arc::new(credentials));
        self.version.fetch_add(1, Ordering::AcqRel);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_counts_and_no_text_shows_a_secret() {
        let held = Held::default();
        let made =
            |secret: &str| Credentials::new([("token".to_owned(), secret.to_owned())].into());
        assert!(held.replace(made("s3cret")));
        assert!(!held.replace(made("s3cret")));
        assert_eq!(held.version(), 1);
        assert_eq!(held.newest().get("token"), Some("s3cret"));
        assert!(!format!("{held:?}").contains("s3cret"), "{held:?}");
        assert_eq!(format!("{:?}", held.newest()), "{\"token\"}");
    }
}

//! Whose password a server knows: users of the login file, and workers by their tokens.
//!
//! Pure look-up; who changes the keys of tokens calls `worker_token`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::secret::Secret;
use super::worker_token::TokenKeys;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub password: Secret,
    pub principal: String,
    /// Of a worker's token.
    pub token_topology: Option<String>,
}

/// Everybody whom one service knows.
#[derive(Debug, Default)]
pub struct Accounts {
    users: BTreeMap<String, Secret>,
    tokens: Option<Arc<TokenKeys>>,
}

// === impl Accounts ===

impl Accounts {
    pub fn new(users: BTreeMap<String, Secret>, tokens: Option<Arc<TokenKeys>>) -> Self {
        Accounts { users, tokens }
    }

    /// The account of a name: of a user, or of a token that is good at `now_ms` (wall clock).
    pub fn find(&self, name: &str, now_ms: i64) -> Option<Account> {
        if let Some(password) = self.users.get(name) {
            return Some(Account {
                password: password.clone(),
                principal: name.to_owned(),
                token_topology: None,
            });
        }
        self.tokens.as_ref()?.account(name, now_ms)
    }
}

//! Tokens by which a worker logs in as the owner of its topology (control-plane 8.5).
//!
//! A token is a name and a password that follows from it by a key; here keys are in memory. Their
//! records belong to `nimbus`, their way to other daemons to `rpc`'s callers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::accounts::Account;
use super::secret::Secret;
use crate::limits;
use crate::wire::storm::{PrivateWorkerKey, WorkerToken, WorkerTokenInfo, WorkerTokenServiceType};
use crate::wire::{self, WireError};

/// Keys of one service, by topology and version.
#[derive(Debug, Default)]
pub struct TokenKeys(Mutex<BTreeMap<String, BTreeMap<i64, Key>>>);

/// A key whose `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub PrivateWorkerKey);

// === impl TokenKeys ===

impl TokenKeys {
    /// Adds a key, or replaces the one of that version.
    pub fn insert(&self, topology: &str, version: i64, key: PrivateWorkerKey) {
        let mut keys = self.lock();
        let versions = keys.entry(topology.to_owned()).or_default();
        versions.insert(version, Key(key));
    }

    /// From now on no token of the topology is good.
    pub fn remove(&self, topology: &str) {
        self.lock().remove(topology);
    }

    /// Takes what another daemon says are all keys.
    pub fn replace(&self, all: BTreeMap<String, BTreeMap<i64, Key>>) {
        *self.lock() = all;
    }

    pub fn knows(&self, topology: &str) -> bool {
        self.lock().contains_key(topology)
    }

    /// All keys, for a daemon that has to know them too.
    pub fn all(&self) -> BTreeMap<String, BTreeMap<i64, Key>> {
        self.lock().clone()
    }

    /// The newest version of a topology's keys, with its expiry.
    pub fn newest(&self, topology: &str) -> Option<(i64, i64)> {
        let keys = self.lock();
        let (version, key) = keys.get(topology)?.last_key_value()?;
        Some((*version, key.0.expiration_time_millis))
    }

    /// Forgets what expired; returns it, for its records.
    pub fn expire(&self, now_ms: i64) -> Vec<(String, i64)> {
        let mut keys = self.lock();
        let mut gone = Vec::new();
        for (topology, versions) in keys.iter_mut() {
            versions.retain(|version, key| {
                let stays = key.0.expiration_time_millis > now_ms;
                if !stays {
                    gone.push((topology.clone(), *version));
                }
                stays
            });
        }
        gone
    }

    /// The account behind the name that a token gives: base64 of its information.
    pub(super) fn account(&self, name: &str, now_ms: i64) -> Option<Account> {
        if name.len() > limits::SASL_MESSAGE_BYTES_MAX {
            return None;
        }
        let info_bytes = STANDARD.decode(name).ok()?;
        let info: WorkerTokenInfo = wire::from_bytes(&info_bytes).ok()?;
        let keys = self.lock();
        let key = &keys.get(&info.topology_id)?.get(&info.secret_version)?.0;
        let is_good = info.user_name == key.user_name
            && info.expiration_time_millis > now_ms
            && key.expiration_time_millis > now_ms;
        is_good.then(|| Account {
            password: password(&key.key, &info_bytes),
            principal: info.user_name.clone(),
            token_topology: Some(info.topology_id.clone()),
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<i64, Key>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new key of 256 random bits; none when the system gives no randomness.
pub fn new_key(user: &str, expires_ms: i64) -> Option<PrivateWorkerKey> {
    let mut key = vec![0; KEY_BYTES];
    SystemRandom::new().fill(&mut key).ok()?;
    Some(PrivateWorkerKey {
        key: key.into(),
        user_name: user.to_owned(),
        expiration_time_millis: expires_ms,
    })
}

/// The token of a topology by one of its keys.
pub fn sign(
    service: WorkerTokenServiceType,
    topology: &str,
    version: i64,
    key: &PrivateWorkerKey,
) -> Result<WorkerToken, WireError> {
    let info = WorkerTokenInfo {
        user_name: key.user_name.clone(),
        topology_id: topology.to_owned(),
        secret_version: version,
        expiration_time_millis: key.expiration_time_millis,
    };
    let info = wire::to_bytes(&info)?;
    let signature = signature(&key.key, &info);
    Ok(WorkerToken {
        service_type: service.into(),
        info,
        signature: Bytes::copy_from_slice(signature.as_ref()),
    })
}

/// As credentials hold it.
pub fn to_text(token: &WorkerToken) -> Result<String, WireError> {
    Ok(STANDARD.encode(wire::to_bytes(token)?))
}

/// Name and password of a token in credentials; none when it is no token.
pub fn login(text: &str) -> Option<(String, Secret)> {
    let token: WorkerToken = wire::from_bytes(&STANDARD.decode(text).ok()?).ok()?;
    let password = STANDARD.encode(&token.signature);
    Some((
        STANDARD.encode(&token.info),
        Secret::from(password.as_str()),
    ))
}

/// The key of credentials under which a service's token lies.
pub fn credential_key(service: WorkerTokenServiceType) -> &'static str {
    match service {
        WorkerTokenServiceType::Nimbus => "STORM_WORKER_TOKEN_NIMBUS",
        WorkerTokenServiceType::Drpc => "STORM_WORKER_TOKEN_DRPC",
        WorkerTokenServiceType::Supervisor => "STORM_WORKER_TOKEN_SUPERVISOR",
    }
}

fn password(key: &[u8], info: &[u8]) -> Secret {
    Secret::from(STANDARD.encode(signature(key, info)).as_str())
}

fn signature(key: &[u8], info: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), info)
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Key({} until {})",
            self.0.user_name, self.0.expiration_time_millis
        )
    }
}

const KEY_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const NIMBUS: WorkerTokenServiceType = WorkerTokenServiceType::Nimbus;

    #[test]
    fn a_token_is_good_while_its_key_is() {
        let keys = TokenKeys::default();
        let key = new_key("ann", 1000).expect("randomness");
        keys.insert("words-1-1", 3, key.clone());
        let token = sign(NIMBUS, "words-1-1", 3, &key).expect("signed");
        let (name, password) = login(&to_text(&token).expect("text")).expect("a token");
        let account = keys.account(&name, 999).expect("good");
        assert_eq!(account.password, password);
        assert_eq!(account.principal, "ann");
        assert_eq!(account.token_topology.as_deref(), Some("words-1-1"));
        assert!(keys.account(&name, 1000).is_none(), "expired");
        assert_eq!(keys.newest("words-1-1"), Some((3, 1000)));
        // The same name with a later expiry is signed by nobody.
        let forged = PrivateWorkerKey {
            expiration_time_millis: 9999,
            ..key.clone()
        };
        let forged = sign(NIMBUS, "words-1-1", 3, &forged).expect("signed");
        let (other, _) = login(&to_text(&forged).expect("text")).expect("a token");
        assert!(keys.account(&other, 1000).is_none());
        // Another service has other keys.
        assert!(TokenKeys::default().account(&name, 1).is_none());
        keys.remove("words-1-1");
        assert!(keys.account(&name, 1).is_none() && !keys.knows("words-1-1"));
        for hostile in ["", "ann", "====", "AAAA", "DAABAAAA"] {
            assert!(keys.account(hostile, 1).is_none());
            assert!(login(hostile).is_none(), "{hostile}");
        }
    }

    #[test]
    fn old_keys_go_when_they_expire_and_none_is_shown() {
        let keys = TokenKeys::default();
        let old = new_key("ann", 10).expect("randomness");
        assert!(!format!("{:?}", Key(old.clone())).contains("key"));
        keys.insert("a", 1, old);
        keys.insert("a", 2, new_key("ann", 20).expect("randomness"));
        assert_eq!(keys.expire(10), [("a".to_owned(), 1)]);
        assert_eq!(keys.newest("a"), Some((2, 20)));
    }
}

//! What encrypts the links of topologies: an authority for each, whose key is in the store, and a
//! certificate for each of its workers, made when work is handed out (`auth::link_authority`).
//!
//! Certificates are kept nowhere but here: after a restart workers get new ones of the same
//! authority, and links that are open stay open.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::plan::Plan;
use super::state::Topology;
use crate::auth::link_authority::{self, IssueError, LinkAuthority};
use crate::auth::link_conf::LinkEncryption;
use crate::clock;
use crate::cluster::{Batch, LINK_AUTHORITY, StoredKey};
use crate::id::{Slot, TopologyId};
use crate::wire::WireError;
use crate::wire::messages::{GatewayCertificate, LinkCertificate, LinkKeys};
use crate::wire::storm::PrivateWorkerKey;

/// The authorities of all topologies whose links Nimbus encrypts.
pub(crate) struct LinkAuthorities {
    held: Mutex<BTreeMap<TopologyId, Held>>,
    /// Of a certificate, in milliseconds.
    life_ms: i64,
}

struct Held {
    authority: LinkAuthority,
    issued: BTreeMap<Slot, Issued>,
}

struct Issued {
    certificate: LinkCertificate,
    host: Option<String>,
    expires_ms: i64,
}

// === impl LinkAuthorities ===

impl LinkAuthorities {
    pub fn new(life_ms: i64) -> Self {
        LinkAuthorities {
            held: Mutex::default(),
            life_ms,
        }
    }

    /// Takes an authority up that the store has.
    pub fn restore(&self, stored: &StoredKey) {
        match Held::new(&stored.topology, &stored.key.key) {
            Ok(held) => drop(self.lock().insert(stored.topology.clone(), held)),
            Err(error) => {
                let topology = &stored.topology;
                tracing::error!(%topology, %error, "links get a new authority");
            }
        }
    }

    /// Draws an authority for a topology that needs one and has none, into the batch; it is
    /// `restore`d once it is on disk.
    pub fn draw(
        &self,
        (id, plan): (&TopologyId, Option<&Plan>),
        batch: &mut Batch,
    ) -> Result<Option<StoredKey>, WireError> {
        if !is_wanted(plan) || self.lock().contains_key(id) {
            return Ok(None);
        }
        let key = match LinkAuthority::new_key() {
            Ok(key) => key,
            Err(error) => {
                tracing::error!(topology = %id, %error, "its links cannot be encrypted");
                return Ok(None);
            }
        };
        let key = PrivateWorkerKey {
            key: key.into(),
            user_name: String::new(),
            expiration_time_millis: i64::MAX,
        };
        batch.secret_key(LINK_AUTHORITY, id, FIRST_VERSION, &key)?;
        Ok(Some(StoredKey {
            service: LINK_AUTHORITY.to_owned(),
            topology: id.clone(),
            version: FIRST_VERSION,
            key,
        }))
    }

    pub fn removed(&self, id: &TopologyId) {
        self.lock().remove(id);
    }

    /// What workers in these slots need, by hosts of nodes; none for a topology whose links Nimbus
    /// does not encrypt.
    pub fn issue<'a>(
        &self,
        id: &TopologyId,
        slots: impl Iterator<Item = &'a Slot>,
        hosts: Option<&BTreeMap<String, String>>,
    ) -> Option<LinkKeys> {
        let now_ms = clock::wall_millis();
        let mut all = self.lock();
        let held = all.get_mut(id)?;
        held.issued.retain(|_, issued| issued.expires_ms > now_ms);
        let mut workers = BTreeMap::new();
        for slot in slots {
            let host = hosts.and_then(|hosts| hosts.get(slot.node.as_str()));
            let host = host.map(String::as_str);
            match held.certificate((slot, host), now_ms, self.life_ms) {
                Ok(certificate) => drop(workers.insert(i32::from(slot.port), certificate)),
                Err(error) => tracing::error!(topology = %id, %slot, %error, "no certificate"),
            }
        }
        Some(LinkKeys {
            authority: held.authority.certificate(),
            workers,
        })
    }

    /// The topology's authority as PEM, where Nimbus encrypts its links.
    pub fn authority(&self, id: &TopologyId) -> Option<String> {
        let all = self.lock();
        let certificate = all.get(id)?.authority.certificate();
        Some(link_authority::pem(CERTIFICATE, &certificate))
    }

    /// A new certificate for a peer of the topology's gateways; none where Nimbus does not encrypt
    /// its links. Nothing of it is kept.
    pub fn issue_to_peer(
        &self,
        id: &TopologyId,
        peer: &str,
    ) -> Option<Result<GatewayCertificate, IssueError>> {
        let all = self.lock();
        let authority = &all.get(id)?.authority;
        let life = Duration::from_millis(u64::try_from(self.life_ms).unwrap_or(0));
        let issued = authority.issue_to_peer(peer, SystemTime::now() + life);
        Some(issued.map(|issued| GatewayCertificate {
            authority: link_authority::pem(CERTIFICATE, &authority.certificate()),
            certificate: link_authority::pem(CERTIFICATE, &issued.certificate),
            key: link_authority::pem("PRIVATE KEY", &issued.key),
            expires_ms: clock::wall_millis().saturating_add(self.life_ms),
        }))
    }

    /// Whether the topology lacks its authority, or a certificate is to be renewed.
    pub fn is_due(&self, topology: &Topology, now_ms: i64) -> bool {
        match self.lock().get(&topology.id) {
            None => is_wanted(topology.plan.as_deref()),
            Some(held) => {
                let is_old = |issued: &Issued| issued.is_old(now_ms, self.life_ms);
                let mut slots = topology.slots().filter_map(|slot| held.issued.get(slot));
                slots.any(is_old)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TopologyId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Held ===

impl Held {
    fn new(id: &TopologyId, key: &[u8]) -> Result<Self, IssueError> {
        Ok(Held {
            authority: LinkAuthority::new(id.as_str(), key)?,
            issued: BTreeMap::new(),
        })
    }

    /// The slot's certificate, or a new one where less than half of its life is left, or its node
    /// has another host.
    fn certificate(
        &mut self,
        (slot, host): (&Slot, Option<&str>),
        now_ms: i64,
        life_ms: i64,
    ) -> Result<LinkCertificate, IssueError> {
        if let Some(issued) = self.issued.get(slot)
            && !issued.is_old(now_ms, life_ms)
            && issued.host.as_deref() == host
        {
            return Ok(issued.certificate.clone());
        }
        let life = Duration::from_millis(u64::try_from(life_ms).unwrap_or(0));
        let name = format!("{}:{}", slot.node, slot.port);
        let certificate = self
            .authority
            .issue((&name, host), SystemTime::now() + life)?;
        let issued = Issued {
            certificate: certificate.clone(),
            host: host.map(str::to_owned),
            expires_ms: now_ms.saturating_add(life_ms),
        };
        self.issued.insert(slot.clone(), issued);
        Ok(certificate)
    }
}

// === impl Issued ===

impl Issued {
    fn is_old(&self, now_ms: i64, life_ms: i64) -> bool {
        self.expires_ms - now_ms < life_ms / 2
    }
}

fn is_wanted(plan: Option<&Plan>) -> bool {
    let encryption = plan.map(|plan| LinkEncryption::of(&plan.conf));
    matches!(encryption, Some(Ok(LinkEncryption::Issued(_))))
}

/// Authorities are never replaced while their topology lives.
const FIRST_VERSION: i64 = 1;
/// Of a PEM file.
const CERTIFICATE: &str = "CERTIFICATE";

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE_MS: i64 = 86_400_000;

    fn slot(port: u16) -> Slot {
        let node = "node".into();
        Slot { node, port }
    }

    fn stored(topology: &str) -> StoredKey {
        StoredKey {
            service: LINK_AUTHORITY.to_owned(),
            topology: topology.into(),
            version: FIRST_VERSION,
            key: PrivateWorkerKey {
                key: LinkAuthority::new_key().expect("randomness").into(),
                ..PrivateWorkerKey::default()
            },
        }
    }

    #[test]
    fn a_slot_keeps_its_certificate_for_half_of_its_life() {
        let (authorities, stored) = (LinkAuthorities::new(LIFE_MS), stored("words-1-1"));
        authorities.restore(&stored);
        let id = &stored.topology;
        let slots = [slot(6700), slot(6701)];
        let first = authorities.issue(id, slots.iter(), None).expect("held");
        assert_eq!(first.workers.len(), 2);
        assert_ne!(first.workers[&6700], first.workers[&6701]);
        let again = authorities
            .issue(id, slots[..1].iter(), None)
            .expect("held");
        assert_eq!(again.workers.len(), 1);
        assert_eq!(again.workers[&6700], first.workers[&6700]);
        let mut all = authorities.lock();
        let held = all.get_mut(id).expect("held");
        let now_ms = clock::wall_millis();
        let soon = now_ms + LIFE_MS / 2 - 1000;
        let kept = held
            .certificate((&slots[0], None), soon, LIFE_MS)
            .expect("made");
        assert_eq!(kept, first.workers[&6700]);
        let late = now_ms + LIFE_MS / 2 + 1000;
        let renewed = held
            .certificate((&slots[0], None), late, LIFE_MS)
            .expect("made");
        assert_ne!(renewed, kept);
        let moved = held.certificate((&slots[0], Some("h")), late, LIFE_MS);
        assert_ne!(moved.expect("made"), renewed, "peers look at the host");
    }

    #[test]
    fn a_peer_gets_a_certificate_that_no_link_takes() {
        let (authorities, stored) = (LinkAuthorities::new(LIFE_MS), stored("words-1-1"));
        let id = &stored.topology;
        assert!(authorities.issue_to_peer(id, "ann").is_none());
        authorities.restore(&stored);
        let issued = authorities.issue_to_peer(id, "ann").expect("held");
        let issued = issued.expect("made");
        assert_eq!(Some(&issued.authority), authorities.authority(id).as_ref());
        let text = format!("{issued:?}");
        assert!(
            !text.contains("PRIVATE") && text.contains("expires_ms"),
            "{text}"
        );
        for (part, label) in [
            (&issued.certificate, CERTIFICATE),
            (&issued.key, "PRIVATE KEY"),
        ] {
            assert!(part.starts_with(&format!("-----BEGIN {label}-----\n")));
        }
    }

    #[test]
    fn a_restart_keeps_the_authority_and_a_kill_ends_it() {
        let stored = stored("words-1-1");
        let issue = |authorities: &LinkAuthorities| {
            authorities.issue(&stored.topology, [slot(6700)].iter(), None)
        };
        let (before, after) = (LinkAuthorities::new(LIFE_MS), LinkAuthorities::new(LIFE_MS));
        before.restore(&stored);
        after.restore(&stored);
        let (old, new) = (issue(&before).expect("held"), issue(&after).expect("held"));
        assert_ne!(old.workers, new.workers);
        for (roots, worker) in [(&old, &new), (&new, &old), (&old, &old)] {
            let mixed = LinkKeys {
                authority: roots.authority.clone(),
                workers: worker.workers.clone(),
            };
            let conf = crate::conf::Conf::defaults()
                .with(crate::conf::keys::STORMWIRE_LINK_ENCRYPTION, true);
            let encryption = LinkEncryption::of(&conf).expect("on");
            let of = ("words-1-1", 6700);
            let tls = crate::auth::link_tls::LinkTls::new(&encryption, of, Some(&mixed));
            assert!(tls.expect("usable").is_some());
        }
        after.removed(&stored.topology);
        assert!(issue(&after).is_none());
    }

    #[test]
    fn keys_are_not_shown() {
        let authorities = LinkAuthorities::new(LIFE_MS);
        let stored = stored("words-1-1");
        authorities.restore(&stored);
        let keys = authorities.issue(&stored.topology, [slot(6700)].iter(), None);
        let keys = keys.expect("held");
        let text = format!("{keys:?}");
        let key = format!("{:?}", keys.workers[&6700].key);
        assert!(!text.contains(&key) && text.len() < 6000, "{text}");
    }
}

//! Keys of workers' tokens: drawn at submit, renewed at half their life, gone with their topology
//! (control-plane 8.5).
//!
//! Tokens themselves are kept nowhere: they follow from the keys. Checking them is `auth`'s.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::leader::{ChangeError, Edit, Leader};
use super::link_keys::LinkAuthorities;
use super::state::Topology;
use crate::auth::door::{DoorError, Service, Transport};
use crate::auth::worker_token::{self, TokenKeys};
use crate::clock;
use crate::cluster::{Batch, LINK_AUTHORITY, StoredKey};
use crate::conf::{Conf, keys};
use crate::id::TopologyId;
use crate::wire::WireError;
use crate::wire::messages::ServiceKeys;
use crate::wire::storm::{StormBase, WorkerTokenServiceType};

/// The keys of all services.
pub(crate) struct Tokens {
    services: [(WorkerTokenServiceType, Arc<TokenKeys>); 3],
    /// How long a key is good, in milliseconds.
    life_ms: i64,
    /// Of these, those that take logins.
    on: [bool; 3],
    /// Whether Coordination does.
    is_coordination_on: bool,
    /// Another number after each change of a key, and in each run of Nimbus.
    version: watch::Sender<i64>,
    /// By which workers know each other: drawn, renewed and gone with their tokens.
    pub links: LinkAuthorities,
}

// === impl Tokens ===

impl Tokens {
    /// `nimbus` holds the keys by which Nimbus's own ports know workers.
    pub fn new(conf: &Conf, nimbus: Arc<TokenKeys>) -> Result<Self, DoorError> {
        let takes_logins = |service| -> Result<bool, DoorError> {
            let transport = Transport::of(conf, service)?;
            Ok(matches!(transport, Transport::Plain | Transport::Digest))
        };
        let is_coordination_on = Transport::of_coordination(conf)?.proves_names();
        let life_ms = life_ms(conf)?;
        Ok(Tokens {
            services: [
                (WorkerTokenServiceType::Nimbus, nimbus),
                (WorkerTokenServiceType::Drpc, Arc::default()),
                (WorkerTokenServiceType::Supervisor, Arc::default()),
            ],
            life_ms,
            on: [
                is_coordination_on,
                takes_logins(Service::Drpc)? || takes_logins(Service::DrpcInvocations)?,
                takes_logins(Service::Supervisor)?,
            ],
            is_coordination_on,
            version: watch::channel(clock::wall_micros()).0,
            links: LinkAuthorities::new(life_ms),
        })
    }

    /// Ends when keys changed since `known`, or when the time is over.
    pub async fn changed(&self, known: i64, wait_max: Duration) {
        let mut version = self.version.subscribe();
        let changed = version.wait_for(|version| *version != known);
        // An error means that the sender is gone, and with it this Nimbus; else the time is over.
        let _ = tokio::time::timeout(wait_max, changed).await;
    }

    /// Takes keys up that the store has.
    pub fn restore(&self, stored: Vec<StoredKey>) {
        for stored in stored {
            if stored.service == LINK_AUTHORITY {
                self.links.restore(&stored);
                continue;
            }
            let StoredKey {
                service,
                topology,
                version,
                key,
            } = stored;
            let named = |(kind, _): &&(WorkerTokenServiceType, _)| path_name(*kind) == service;
            if let Some((_, keys)) = self.services.iter().find(named) {
                keys.insert(topology.as_str(), version, key);
            }
        }
    }

    /// Takes keys up that were just committed, before any worker hears of them.
    pub fn take_up(&self, drawn: Vec<StoredKey>) {
        if !drawn.is_empty() {
            self.restore(drawn);
            self.tell();
        }
    }

    /// Draws a key for each service into an edit; none where nobody logs in. It is in force once it
    /// is on disk: a token of another would be good until Nimbus starts anew, and then no more.
    pub fn draw(&self, topology: &Topology, edit: &mut Edit) -> Result<(), WireError> {
        let now_ms = clock::wall_millis();
        let id = &topology.id;
        let batch = &mut edit.batch;
        let authority = self.links.draw((id, topology.plan.as_deref()), batch)?;
        edit.keys.extend(authority);
        let user = owner(&topology.base);
        for (service, keys) in self.on() {
            let version = keys.newest(id.as_str()).map_or(0, |(version, _)| version) + 1;
            let expires_ms = now_ms.saturating_add(self.life_ms);
            let Some(key) = worker_token::new_key(user, expires_ms) else {
                tracing::error!("this machine gives no random numbers: no tokens for workers");
                continue;
            };
            batch.secret_key(path_name(*service), id, version, &key)?;
            edit.keys.push(StoredKey {
                service: path_name(*service).to_owned(),
                topology: id.clone(),
                version,
                key,
            });
        }
        Ok(())
    }

    /// From now on no token of the topology is good.
    pub fn removed(&self, id: &TopologyId) {
        for (_, keys) in &self.services {
            keys.remove(id.as_str());
        }
        self.links.removed(id);
        self.tell();
    }

    /// The token by which a topology's workers enter Coordination, where they must.
    pub fn for_coordination(&self, id: &TopologyId) -> Option<String> {
        let nimbus = WorkerTokenServiceType::Nimbus;
        self.is_coordination_on.then(|| self.token(nimbus, id))?
    }

    /// The tokens for a topology's credentials, under Storm's names.
    pub fn credentials(&self, id: &TopologyId) -> BTreeMap<String, String> {
        let token = |(service, _): &(WorkerTokenServiceType, Arc<TokenKeys>)| {
            let name = worker_token::credential_key(*service);
            Some((name.to_owned(), self.token(*service, id)?))
        };
        self.on().filter_map(token).collect()
    }

    /// All keys of a service, for the daemon behind it.
    pub fn of_service(&self, service: WorkerTokenServiceType) -> ServiceKeys {
        // Before the keys: a change in between is told again.
        let version = *self.version.borrow();
        let plain = |versions: BTreeMap<i64, worker_token::Key>| {
            versions.into_iter().map(|(at, key)| (at, key.0)).collect()
        };
        let all = self.keys(service).all().into_iter();
        ServiceKeys {
            version,
            keys: all.map(|(id, versions)| (id, plain(versions))).collect(),
        }
    }

    /// The services that workers log in at.
    fn on(&self) -> impl Iterator<Item = &(WorkerTokenServiceType, Arc<TokenKeys>)> {
        let services = self.services.iter().zip(self.on);
        services.filter_map(|(service, is_on)| is_on.then_some(service))
    }

    fn tell(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    fn token(&self, service: WorkerTokenServiceType, id: &TopologyId) -> Option<String> {
        let mut all = self.keys(service).all();
        let (version, key) = all.remove(id.as_str())?.pop_last()?;
        let token = worker_token::sign(service, id.as_str(), version, &key.0);
        token.and_then(|token| worker_token::to_text(&token)).ok()
    }

    fn keys(&self, service: WorkerTokenServiceType) -> &Arc<TokenKeys> {
        let [nimbus, drpc, supervisor] = &self.services;
        match service {
            WorkerTokenServiceType::Nimbus => &nimbus.1,
            WorkerTokenServiceType::Drpc => &drpc.1,
            WorkerTokenServiceType::Supervisor => &supervisor.1,
        }
    }

    /// Whether less than half of the life of some key is left, or one is missing.
    fn is_due(&self, topology: &Topology, now_ms: i64) -> bool {
        let is_old = |(_, keys): &(_, Arc<TokenKeys>)| {
            let newest = keys.newest(topology.id.as_str());
            newest.is_none_or(|(_, expires_ms)| expires_ms - now_ms < self.life_ms / 2)
        };
        self.on().any(is_old) || self.links.is_due(topology, now_ms)
    }
}

/// Draws new keys where they are due, and forgets those that expired.
pub(crate) async fn renew(leader: &Leader) {
    let now_ms = clock::wall_millis();
    let tokens = &leader.tokens;
    for topology in leader.state().topologies.values() {
        if !tokens.is_due(topology, now_ms) {
            continue;
        }
        let id = &topology.id;
        let renewed = leader.change(|state| {
            let mut edit = Edit::default();
            let Some(topology) = state.topologies.get(id) else {
                return Ok((edit, ()));
            };
            tokens.draw(topology, &mut edit)?;
            // Unchanged, but its workers have to hear of the new token and certificates.
            edit.topologies
                .push((id.clone(), Some(Arc::clone(topology))));
            Ok::<_, ChangeError>((edit, ()))
        });
        match renewed.await {
            Ok(()) => tracing::info!(topology = %id, "the tokens of its workers were renewed"),
            Err(error) => tracing::warn!(topology = %id, %error, "tokens could not be renewed"),
        }
    }
    forget_expired(leader, now_ms).await;
}

async fn forget_expired(leader: &Leader, now_ms: i64) {
    let mut batch = Batch::default();
    for (service, keys) in &leader.tokens.services {
        for (topology, version) in keys.expire(now_ms) {
            let id = TopologyId::from(topology);
            batch.remove_secret_key(path_name(*service), &id, version);
        }
    }
    let edit = Edit {
        batch,
        ..Edit::default()
    };
    let forgotten = leader.change(|_| Ok::<_, ChangeError>((edit, ()))).await;
    if let Err(error) = forgotten {
        tracing::warn!(%error, "expired keys stay in the store");
    }
}

fn life_ms(conf: &Conf) -> Result<i64, DoorError> {
    if let Some(secs) = conf.int(keys::STORMWIRE_WORKER_TOKEN_LIFE_SECS)? {
        return Ok(secs.max(1).saturating_mul(1000));
    }
    let hours = conf.int_or(keys::STORM_WORKER_TOKEN_LIFE_TIME_HOURS, 24)?;
    Ok(hours.max(1).saturating_mul(3_600_000))
}

/// Whom a topology's workers are.
fn owner(base: &StormBase) -> &str {
    let named = [base.principal.as_deref(), base.owner.as_deref()];
    let named = named.into_iter().flatten().find(|name| !name.is_empty());
    named.unwrap_or_default()
}

fn path_name(service: WorkerTokenServiceType) -> &'static str {
    match service {
        WorkerTokenServiceType::Nimbus => "NIMBUS",
        WorkerTokenServiceType::Drpc => "DRPC",
        WorkerTokenServiceType::Supervisor => "SUPERVISOR",
    }
}

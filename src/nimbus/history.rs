//! Which topologies ran and run: the killed ones are kept on disk, each with who may know of it.
//!
//! Entries go by their age where the configuration says so, and the oldest when there are too many.
//! Who somebody is, and in which groups, is `auth`'s.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::leader::{ChangeError, Edit, Leader};
use super::state::Topology;
use crate::clock;
use crate::conf::{Conf, ConfError, keys};
use crate::id::TopologyId;
use crate::limits;
use crate::wire::storm::{LSTopoHistory, TopologyHistoryInfo};

/// Killed topologies, by id.
#[derive(Debug, Default)]
pub(crate) struct History(BTreeMap<TopologyId, LSTopoHistory>);

/// Who asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Viewer {
    pub user: String,
    pub groups: BTreeSet<String>,
}

/// When killed topologies are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// `logviewer.cleanup.interval.secs`.
    pub interval_secs: i64,
    /// `logviewer.cleanup.age.mins`, in seconds.
    pub age_secs: i64,
}

/// Who may know of a topology: its own users and those of its logs.
struct Audience {
    users: Vec<String>,
    groups: Vec<String>,
}

/// The cluster's administrators.
struct Admins {
    users: Vec<String>,
    groups: Vec<String>,
}

/// Storm's answer: what is assigned, and what was killed. Without a user, everything.
pub(crate) fn answer(leader: &Leader, viewer: Option<&Viewer>) -> TopologyHistoryInfo {
    let admins = Admins::of(&leader.conf);
    let state = leader.state();
    let assigned = state.topologies.values().filter(|topology| {
        let sees = |viewer: &Viewer| {
            admins.has(viewer) || admins.has_group_of(viewer) || Audience::of(topology).has(viewer)
        };
        topology.assigned.is_some() && viewer.is_none_or(sees)
    });
    let mut ids: BTreeSet<TopologyId> = assigned.map(|topology| topology.id.clone()).collect();
    let history = leader.history();
    let killed = history.0.iter().filter(|(_, entry)| {
        let sees = |viewer: &Viewer| {
            admins.has(viewer)
                || entry.users.contains(&viewer.user)
                || entry
                    .groups
                    .iter()
                    .any(|group| viewer.groups.contains(group))
        };
        viewer.is_none_or(sees)
    });
    ids.extend(killed.map(|(id, _)| id.clone()));
    TopologyHistoryInfo {
        topo_ids: Some(ids.into_iter().map(|id| id.as_str().to_owned()).collect()),
    }
}

/// Adds to a kill's edit that the topology was there.
pub(crate) fn note(edit: &mut Edit, topology: &Topology) -> Result<(), ChangeError> {
    let Audience { users, groups } = Audience::of(topology);
    let entry = LSTopoHistory {
        topology_id: topology.id.as_str().to_owned(),
        time_stamp: clock::wall_secs(),
        users,
        groups,
    };
    edit.batch.history(&entry)?;
    edit.history.push(entry);
    Ok(())
}

/// Forgets what is older than the configuration wants it.
pub(crate) async fn purge(leader: &Leader, expiry: Expiry) -> Result<(), ChangeError> {
    let since_secs = clock::wall_secs().saturating_sub(expiry.age_secs);
    let old = leader.history().older_than(since_secs);
    forget(leader, old).await
}

/// Forgets the oldest entries beyond the bound.
pub(crate) async fn bound(leader: &Leader) -> Result<(), ChangeError> {
    let surplus = leader.history().surplus(limits::HISTORY_KEPT);
    forget(leader, surplus).await
}

async fn forget(leader: &Leader, ids: Vec<TopologyId>) -> Result<(), ChangeError> {
    for some in ids.chunks(limits::HISTORY_FORGOTTEN_TOGETHER) {
        let forgotten = leader.change(|_| {
            let mut edit = Edit::default();
            some.iter().for_each(|id| edit.batch.forget_history(id));
            Ok::<_, ChangeError>((edit, ()))
        });
        forgotten.await?;
        let mut history = leader.history();
        some.iter().for_each(|id| drop(history.0.remove(id)));
    }
    Ok(())
}

// === impl History ===

impl History {
    pub fn restored(entries: Vec<LSTopoHistory>) -> Self {
        let mut history = History::default();
        history.extend(entries);
        history
    }

    pub fn extend(&mut self, entries: Vec<LSTopoHistory>) {
        for entry in entries {
            let id = TopologyId::from(entry.topology_id.as_str());
            self.0.insert(id, entry);
        }
    }

    fn older_than(&self, since_secs: i64) -> Vec<TopologyId> {
        let old = self
            .0
            .iter()
            .filter(|(_, entry)| entry.time_stamp < since_secs);
        old.map(|(id, _)| id.clone()).collect()
    }

    fn surplus(&self, n_max: usize) -> Vec<TopologyId> {
        let n_surplus = self.0.len().saturating_sub(n_max);
        if n_surplus == 0 {
            return Vec::new();
        }
        let mut by_age: Vec<_> = self
            .0
            .iter()
            .map(|(id, entry)| (entry.time_stamp, id))
            .collect();
        by_age.sort_unstable();
        by_age
            .into_iter()
            .take(n_surplus)
            .map(|(_, id)| id.clone())
            .collect()
    }
}

// === impl Expiry ===

impl Expiry {
    /// None where no interval is set: then nothing is forgotten, as in Storm.
    pub fn read(conf: &Conf) -> Result<Option<Self>, ConfError> {
        let interval_secs = conf.int(keys::LOGVIEWER_CLEANUP_INTERVAL_SECS)?;
        let age_mins = conf.int_or(keys::LOGVIEWER_CLEANUP_AGE_MINS, 10_080)?;
        Ok(interval_secs.map(|interval_secs| Expiry {
            interval_secs: interval_secs.max(1),
            age_secs: age_mins.saturating_mul(60),
        }))
    }
}

// === impl Audience ===

impl Audience {
    fn of(topology: &Topology) -> Self {
        let Some(plan) = &topology.plan else {
            // Its conf cannot be read: it stays with whoever submitted it.
            let owners = [&topology.base.owner, &topology.base.principal];
            let owners = owners.into_iter().flatten();
            return Audience {
                users: owners.filter(|owner| !owner.is_empty()).cloned().collect(),
                groups: Vec::new(),
            };
        };
        let names = |keys: [&str; 2]| {
            let all: BTreeSet<_> = keys.iter().flat_map(|key| texts(&plan.conf, key)).collect();
            all.into_iter().collect()
        };
        Audience {
            users: names([keys::LOGS_USERS, keys::TOPOLOGY_USERS]),
            groups: names([keys::LOGS_GROUPS, keys::TOPOLOGY_GROUPS]),
        }
    }

    fn has(&self, viewer: &Viewer) -> bool {
        self.users.contains(&viewer.user)
            || self
                .groups
                .iter()
                .any(|group| viewer.groups.contains(group))
    }
}

// === impl Admins ===

impl Admins {
    fn of(conf: &Conf) -> Self {
        Admins {
            users: texts(conf, keys::NIMBUS_ADMINS),
            groups: texts(conf, keys::NIMBUS_ADMINS_GROUPS),
        }
    }

    fn has(&self, viewer: &Viewer) -> bool {
        self.users.contains(&viewer.user)
    }

    fn has_group_of(&self, viewer: &Viewer) -> bool {
        self.groups
            .iter()
            .any(|group| viewer.groups.contains(group))
    }
}

/// A text or a list of texts. On open clusters `topology.users` holds a null too.
fn texts(conf: &Conf, key: &str) -> Vec<String> {
    match conf.get(key) {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(values)) => {
            let texts = values.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, time_stamp: i64) -> LSTopoHistory {
        LSTopoHistory {
            topology_id: id.to_owned(),
            time_stamp,
            users: Vec::new(),
            groups: Vec::new(),
        }
    }

    #[test]
    fn the_oldest_go_first() {
        let entries = [("c", 30), ("a", 10), ("d", 40), ("b", 20)];
        let entries = entries.map(|(id, secs)| entry(id, secs)).into();
        let history = History::restored(entries);
        let ids = |ids: Vec<TopologyId>| {
            let ids: Vec<_> = ids.iter().map(|id| id.as_str().to_owned()).collect();
            ids.join("")
        };
        assert_eq!(ids(history.older_than(30)), "ab");
        assert_eq!(ids(history.older_than(10)), "");
        assert_eq!(ids(history.surplus(4)), "");
        assert_eq!(ids(history.surplus(1)), "abc");
    }

    #[test]
    fn nothing_is_forgotten_without_an_interval() {
        let read = |conf: Conf| Expiry::read(&conf).unwrap();
        assert_eq!(read(Conf::new()), None);
        let conf = Conf::new()
            .with(keys::LOGVIEWER_CLEANUP_INTERVAL_SECS, 60)
            .with(keys::LOGVIEWER_CLEANUP_AGE_MINS, 2);
        let expected = Expiry {
            interval_secs: 60,
            age_secs: 120,
        };
        assert_eq!(read(conf), Some(expected));
    }

    #[test]
    fn names_are_a_text_or_a_list_with_holes() {
        let conf = Conf::new()
            .with("one", "a")
            .with("many", serde_json::json!(["a", null, "b", 3]));
        assert_eq!(texts(&conf, "one"), ["a"]);
        assert_eq!(texts(&conf, "many"), ["a", "b"]);
        assert!(texts(&conf, "none").is_empty());
    }
}

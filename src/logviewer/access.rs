//! Who may read which logs: everybody where nobody has a name, as in Storm; else those that the
//! cluster's conf or the slot's own list names (control-plane 11.4).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;

use super::StartError;
use super::files::{Roots, Slot};
use crate::auth::identity::{Identities, Subject};
use crate::conf::{Conf, keys};
use crate::http::visitor::Visitors;
use crate::limits;
use crate::rpc::Caller;

/// The rules of one log viewer.
#[derive(Debug)]
pub(super) struct Access {
    is_restricted: bool,
    identities: Identities,
    /// `logs.users` and `nimbus.admins`, and so on.
    named: Named,
}

/// Users and groups.
#[derive(Debug, Default, PartialEq, Eq)]
struct Named {
    users: BTreeSet<String>,
    groups: BTreeSet<String>,
}

/// A visitor, as far as logs are concerned.
#[derive(Debug)]
pub(super) enum Reader {
    /// Nobody is asked for a name.
    Anybody,
    Nobody,
    Named(Subject),
}

// === impl Access ===

impl Access {
    pub fn new(conf: &Conf, visitors: &Visitors) -> Result<Self, StartError> {
        let key = keys::LOGVIEWER_HTTPS_NEED_CLIENT_AUTH;
        let is_restricted = visitors.are_named() || conf.flag(key)? == Some(true);
        let texts = |keys: [&str; 2]| -> Result<BTreeSet<String>, StartError> {
            let mut texts = conf.texts(keys[0])?;
            texts.append(&mut conf.texts(keys[1])?);
            Ok(texts.into_iter().collect())
        };
        Ok(Access {
            is_restricted,
            identities: Identities::new(conf)?,
            named: Named {
                users: texts([keys::LOGS_USERS, keys::NIMBUS_ADMINS])?,
                groups: texts([keys::LOGS_GROUPS, keys::NIMBUS_ADMINS_GROUPS])?,
            },
        })
    }

    /// Who it is that asks.
    pub async fn reader(&self, caller: &Caller) -> Reader {
        match caller.principal.as_deref() {
            _ if !self.is_restricted => Reader::Anybody,
            None => Reader::Nobody,
            Some(principal) => Reader::Named(self.identities.subject(principal).await),
        }
    }

    /// Whether the reader may see daemons' logs. Storm shows them to everybody (CVE-2023-43123 is
    /// of that kind).
    pub fn shows_daemons(&self, reader: &Reader) -> bool {
        match reader {
            Reader::Anybody => true,
            Reader::Nobody => false,
            Reader::Named(subject) => self.named.contains(subject),
        }
    }

    /// Whether the reader may see the files of a slot. Blocks on the disk.
    pub fn shows(&self, reader: &Reader, roots: &Roots, slot: &Slot) -> bool {
        let Reader::Named(subject) = reader else {
            return self.shows_daemons(reader);
        };
        let own = || Named::of_slot(roots, slot).is_some_and(|own| own.contains(subject));
        self.named.contains(subject) || own()
    }
}

// === impl Named ===

impl Named {
    /// Of the list that the supervisor wrote beside the logs. None, and then nobody, where it
    /// cannot be read.
    fn of_slot(roots: &Roots, slot: &Slot) -> Option<Self> {
        let file: File = roots.open_beside(slot, READERS_FILE).ok()??;
        let mut text = String::new();
        let mut file = file.take(limits::LOG_READERS_FILE_BYTES_MAX);
        file.read_to_string(&mut text).ok()?;
        let list = Conf::from_json(&text).ok()?;
        Some(Named {
            users: list.texts(keys::LOGS_USERS).ok()?.into_iter().collect(),
            groups: list.texts(keys::LOGS_GROUPS).ok()?.into_iter().collect(),
        })
    }

    fn contains(&self, subject: &Subject) -> bool {
        let is_user = !subject.user.is_empty() && self.users.contains(&subject.user);
        is_user || self.groups.intersection(&subject.groups).next().is_some()
    }
}

/// Storm's name of that list.
const READERS_FILE: &str = "worker.yaml";

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn caller(principal: Option<&str>) -> Caller {
        Caller {
            peer: "127.0.0.1:1".parse().ok(),
            principal: principal.map(str::to_owned),
            ..Caller::default()
        }
    }

    #[tokio::test]
    async fn where_visitors_have_names_only_named_ones_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let slot_dir = directory.path().join("workers-artifacts/words-1-1/6700");
        fs::create_dir_all(&slot_dir).expect("room");
        let list = json!({"logs.users": ["bob"], "logs.groups": []}).to_string();
        fs::write(slot_dir.join(READERS_FILE), list).expect("room");
        let conf = Conf::new()
            .with(keys::STORM_LOG_DIR, directory.path().display().to_string())
            .with(keys::LOGS_USERS, "alice")
            .with(keys::UI_FILTER, "stormwire.HeaderUser")
            .with(keys::UI_FILTER_PARAMS, json!({"proxies": "127.0.0.1"}));
        let roots = Roots::new(&conf).expect("a conf");
        let slot = Slot::parse("words-1-1", "6700").expect("a slot");
        let other = Slot::parse("words-2-1", "6700").expect("a slot");
        let filters = [(keys::UI_FILTER, keys::UI_FILTER_PARAMS)];
        let visitors = Visitors::new(&conf, &filters).expect("a filter");
        let access = Access::new(&conf, &visitors).expect("rules");
        for (who, daemons, own, others) in [
            (Some("alice"), true, true, true),
            (Some("bob"), false, true, false),
            (Some("eve"), false, false, false),
            (None, false, false, false),
        ] {
            let reader = access.reader(&caller(who)).await;
            assert_eq!(access.shows_daemons(&reader), daemons, "{who:?}");
            assert_eq!(access.shows(&reader, &roots, &slot), own, "{who:?}");
            assert_eq!(access.shows(&reader, &roots, &other), others, "{who:?}");
        }
        let open = Access::new(&Conf::new(), &Visitors::Certified).expect("no rules");
        let reader = open.reader(&caller(None)).await;
        assert!(open.shows(&reader, &roots, &slot) && open.shows_daemons(&reader));
    }
}

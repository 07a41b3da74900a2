//! Tells the log viewer who may read a worker's logs, in Storm's file beside them.
//!
//! The viewer decides, where visitors have names at all.

use serde_json::json;

use crate::conf::{Conf, ConfError, keys};

/// What the file says for a topology of that conf: JSON, which is YAML too.
pub(super) fn of(conf: &Conf) -> Result<String, ConfError> {
    let owner = conf.text(keys::TOPOLOGY_SUBMITTER_USER)?;
    let mut users = conf.texts(keys::LOGS_USERS)?;
    users.append(&mut conf.texts(keys::TOPOLOGY_USERS)?);
    users.extend(owner.clone());
    let mut groups = conf.texts(keys::LOGS_GROUPS)?;
    groups.append(&mut conf.texts(keys::TOPOLOGY_GROUPS)?);
    for names in [&mut users, &mut groups] {
        names.sort();
        names.dedup();
    }
    let file = json!({
        keys::TOPOLOGY_SUBMITTER_USER: owner,
        keys::LOGS_USERS: users,
        keys::LOGS_GROUPS: groups,
    });
    Ok(format!("{file}\n"))
}

/// Beside the logs.
pub(super) const FILE: &str = "worker.yaml";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_the_topology_read_its_logs() {
        let conf = Conf::new()
            .with(keys::TOPOLOGY_SUBMITTER_USER, "alice")
            .with(keys::TOPOLOGY_USERS, vec!["bob", "alice"])
            .with(keys::LOGS_GROUPS, "readers");
        let written = of(&conf).expect("a good conf");
        let read = Conf::from_json(&written).expect("JSON");
        assert_eq!(
            read.texts(keys::LOGS_USERS).expect("users"),
            ["alice", "bob"]
        );
        assert_eq!(read.texts(keys::LOGS_GROUPS).expect("groups"), ["readers"]);
    }
}

//! Each authorizer against a handful of subjects.

use std::sync::Arc;

use serde_json::json;

use super::*;

fn subject(user: &str, groups: &[&str]) -> Subject {
    Subject {
        principal: format!("{user}@REALM"),
        user: user.to_owned(),
        groups: Arc::new(groups.iter().map(|group| (*group).to_owned()).collect()),
    }
}

fn authorizer(class: &str, conf: Conf) -> Authorizer {
    let class = format!("org.apache.storm.security.auth.authorizer.{class}");
    let conf = conf.with(keys::NIMBUS_AUTHORIZER, class);
    Authorizer::new(&conf, keys::NIMBUS_AUTHORIZER).expect("a known class")
}

fn acl() -> Conf {
    Conf::defaults()
        .with(keys::NIMBUS_ADMINS, json!(["root"]))
        .with(keys::NIMBUS_ADMINS_GROUPS, json!(["wheel"]))
        .with(keys::NIMBUS_SUPERVISOR_USERS, json!(["super"]))
        .with(keys::NIMBUS_USERS, json!(["ann", "bob"]))
}

fn topology() -> Conf {
    Conf::new()
        .with(keys::TOPOLOGY_USERS, json!([null, "ann"]))
        .with(keys::TOPOLOGY_GROUPS, "team")
        .with(keys::TOPOLOGY_READONLY_USERS, json!(["eve@REALM"]))
        .with(keys::TOPOLOGY_READONLY_GROUPS, json!(["readers"]))
}

/// Who of some subjects may.
fn who(acl: &Authorizer, operation: Operation) -> Vec<&'static str> {
    let conf = topology();
    let target = match operation.class() {
        Class::Topology | Class::TopologyRead | Class::Local => Target::Topology {
            name: "words",
            conf: &conf,
        },
        _ => Target::Cluster,
    };
    let subjects: [(&str, &[&str]); 8] = [
        ("root", &[]),
        ("kurt", &["wheel"]),
        ("super", &[]),
        ("ann", &[]),
        ("bob", &[]),
        ("tim", &["team"]),
        ("eve", &[]),
        ("rod", &["readers"]),
    ];
    let may = |(user, groups): &(&str, &[&str])| {
        acl.permits(Some(&subject(user, groups)), operation, target)
    };
    let permitted = subjects.iter().filter(|one| may(one));
    permitted.map(|(user, _)| *user).collect()
}

#[test]
fn the_simple_acl_knows_storms_classes() {
    let acl = authorizer("SimpleACLAuthorizer", acl());
    assert_eq!(
        who(&acl, Operation::SubmitTopology),
        ["root", "kurt", "ann", "bob"]
    );
    assert_eq!(
        who(&acl, Operation::GetLeader),
        ["root", "kurt", "super", "ann", "bob"]
    );
    assert_eq!(
        who(&acl, Operation::FileDownload),
        ["root", "kurt", "super"]
    );
    assert_eq!(
        who(&acl, Operation::KillTopology),
        ["root", "kurt", "ann", "tim"]
    );
    let readers = ["root", "kurt", "ann", "tim", "eve", "rod"];
    assert_eq!(who(&acl, Operation::GetTopologyConf), readers);
    assert!(
        !acl.permits(None, Operation::GetLeader, Target::Cluster),
        "nobody"
    );
    // A topology that is not named is nobody's.
    let ann = subject("ann", &[]);
    assert!(!acl.permits(Some(&ann), Operation::KillTopology, Target::Cluster));
}

#[test]
fn groups_of_users_count_where_no_user_is_named() {
    let conf = acl()
        .with(keys::NIMBUS_USERS, json!([]))
        .with(keys::NIMBUS_GROUPS, json!(["team"]));
    let grouped = authorizer("SimpleACLAuthorizer", conf);
    assert_eq!(
        who(&grouped, Operation::GetClusterInfo),
        ["root", "kurt", "tim"]
    );
    let open = acl().with(keys::NIMBUS_USERS, json!([]));
    let open = authorizer("SimpleACLAuthorizer", open);
    assert_eq!(
        who(&open, Operation::GetClusterInfo).len(),
        7,
        "all but the supervisor"
    );
}

#[test]
fn a_supervisor_obeys_nimbus_and_tells_topology_users() {
    let local = Operation::GetLocalAssignmentForStorm;
    let fallen_back = authorizer("SupervisorSimpleACLAuthorizer", acl());
    let named = acl().with(keys::NIMBUS_DAEMON_USERS, json!(["bob"]));
    let named = authorizer("SupervisorSimpleACLAuthorizer", named);
    let push = Operation::SendSupervisorAssignments;
    assert_eq!(who(&fallen_back, push), ["root", "kurt", "super"]);
    assert_eq!(who(&named, push), ["root", "kurt", "bob"]);
    assert_eq!(who(&named, local), ["root", "kurt", "ann", "tim"]);
    assert_eq!(who(&named, Operation::GetLeader), ["root", "kurt"]);
}

#[test]
fn the_other_classes() {
    let none = Authorizer::new(&acl(), keys::NIMBUS_AUTHORIZER).expect("unset");
    let noop = authorizer("NoopAuthorizer", acl());
    let deny = authorizer("DenyAuthorizer", acl());
    for operation in [Operation::KillTopology, Operation::GetLeader] {
        assert!(none.permits(None, operation, Target::Cluster));
        assert!(noop.permits(None, operation, Target::Cluster));
        assert_eq!(who(&deny, operation), [""; 0]);
    }
    let conf = acl().with(
        keys::STORM_AUTH_SIMPLE_WHITE_LIST_USERS,
        json!(["bob@REALM"]),
    );
    let list = authorizer("SimpleWhitelistAuthorizer", conf);
    assert_eq!(who(&list, Operation::KillTopology), ["bob"]);
    assert!(!list.permits(None, Operation::GetLeader, Target::Cluster));
    let unknown = Conf::defaults().with(keys::NIMBUS_AUTHORIZER, "com.example.Mine");
    let error = Authorizer::new(&unknown, keys::NIMBUS_AUTHORIZER).expect_err("not there");
    let text = error.to_string();
    assert!(
        text.contains("nimbus.authorizer") && text.contains("com.example.Mine"),
        "{text}"
    );
    assert!(text.contains("SimpleACLAuthorizer"), "{text}");
}

#[test]
fn a_certificate_without_a_user_is_no_empty_user() {
    let conf = acl().with(keys::NIMBUS_ADMINS, json!([""]));
    let acl = authorizer("SimpleACLAuthorizer", conf);
    assert!(!acl.permits(
        Some(&subject("", &[])),
        Operation::KillTopology,
        Target::Cluster
    ));
}

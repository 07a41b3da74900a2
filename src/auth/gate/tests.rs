//! The table of calls and roles, to the last cell; and what holds beside it.

use serde_json::json;

use super::*;
use crate::auth::operation::{self, ROWS, Row};
use crate::auth::worker_token;

const TABLE: &str = include_str!("../../../interop-tests/access.tsv");
const CLASSES: &str = "org.apache.storm.security.auth.authorizer.";
const FUNCTION: &str = "words";

/// The principal of each role, in the table's order.
const ROLES: [(&str, Option<&str>); 6] = [
    ("nobody", None),
    ("other", Some("bob")),
    ("reader", Some("rae")),
    ("user", Some("ann")),
    ("supervisor", Some("super")),
    ("admin", Some("root")),
];

fn conf() -> Conf {
    Conf::defaults()
        .with(
            keys::NIMBUS_AUTHORIZER,
            format!("{CLASSES}SimpleACLAuthorizer"),
        )
        .with(
            keys::SUPERVISOR_AUTHORIZER,
            format!("{CLASSES}SupervisorSimpleACLAuthorizer"),
        )
        .with(
            keys::DRPC_AUTHORIZER,
            format!("{CLASSES}DRPCSimpleACLAuthorizer"),
        )
        .with(keys::DRPC_AUTHORIZER_ACL_STRICT, true)
        .with(keys::NIMBUS_ADMINS, json!(["root"]))
        .with(keys::NIMBUS_SUPERVISOR_USERS, json!(["super"]))
        .with(keys::NIMBUS_DAEMON_USERS, json!(["super"]))
        .with(keys::NIMBUS_USERS, json!(["ann", "bob", "rae"]))
        .with(
            keys::STORM_GROUP_MAPPING_SERVICE_PROVIDER_PLUGIN,
            "org.apache.storm.security.auth.FixedGroupsMapping",
        )
}

fn topology() -> Conf {
    Conf::new()
        .with(keys::STORM_ID, "words-1-1")
        .with(keys::TOPOLOGY_USERS, json!(["ann"]))
        .with(keys::TOPOLOGY_READONLY_USERS, json!(["rae"]))
}

fn caller(principal: Option<&str>) -> Caller {
    Caller {
        principal: principal.map(str::to_owned),
        ..Caller::default()
    }
}

fn target<'a>(row: &Row, topology: &'a Conf) -> Target<'a> {
    match row.operation.class() {
        Class::Topology | Class::TopologyRead | Class::Local => Target::Topology {
            name: "words",
            conf: topology,
        },
        Class::Execute | Class::Invoke => Target::Function(FUNCTION),
        _ => Target::Cluster,
    }
}

async fn cells(conf: &Conf) -> Vec<String> {
    let gate = |daemon| Gate::new(conf, daemon).expect("known classes");
    let (nimbus, supervisor, drpc) = (
        gate(Daemon::Nimbus),
        gate(Daemon::Supervisor),
        gate(Daemon::Drpc),
    );
    let topology = topology();
    let mut lines = Vec::new();
    for row in ROWS {
        let gate = match row.service {
            "Supervisor" => &supervisor,
            "DistributedRPC" | "DistributedRPCInvocations" | "DrpcSpouts" => &drpc,
            _ => &nimbus,
        };
        let mut line = format!("{}\t{}", row.service, row.method);
        for (_, principal) in ROLES {
            let caller = caller(principal);
            let permitted = gate
                .permit(&caller, row.operation, target(row, &topology))
                .await;
            line.push_str(if permitted.is_ok() { "\tyes" } else { "\tno" });
        }
        lines.push(line);
    }
    lines
}

#[tokio::test]
async fn the_table_holds_to_the_last_cell() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("acl.yaml");
    let acl = "drpc.authorizer.acl: {words: {client.users: [ann, rae], invocation.user: ann}}";
    std::fs::write(&file, acl).expect("room");
    let file = file.to_string_lossy();
    let conf = conf().with(keys::DRPC_AUTHORIZER_ACL_FILENAME, file.as_ref());
    let mut table = TABLE.lines().filter(|line| !line.starts_with('#'));
    let head: Vec<_> = table.next().expect("a head").split('\t').collect();
    let roles: Vec<_> = ROLES.iter().map(|(role, _)| *role).collect();
    assert_eq!(head, [vec!["service", "call"], roles].concat());
    let (table, found): (Vec<_>, _) = (table.collect(), cells(&conf).await);
    println!("access: {} calls x {} roles", table.len(), ROLES.len());
    assert_eq!(
        found, table,
        "interop-tests/access.tsv says who may call what"
    );
}

#[tokio::test]
async fn without_an_authorizer_everybody_may_but_for_coordination() {
    let open = Conf::defaults().with(keys::NIMBUS_SUPERVISOR_USERS, json!(["super"]));
    let gate = Gate::new(&open, Daemon::Nimbus).expect("known classes");
    let topology = topology();
    for row in ROWS.iter().filter(|row| row.service == "Nimbus") {
        for principal in [None, Some("anyone")] {
            let target = target(row, &topology);
            let permitted = gate.permit(&caller(principal), row.operation, target).await;
            permitted.expect("no rules");
        }
    }
    let may = async |principal, operation, target| {
        gate.permit(&caller(principal), operation, target)
            .await
            .is_ok()
    };
    let words = Target::Topology {
        name: "words",
        conf: &topology,
    };
    for operation in [Operation::SyncSupervisor, Operation::FetchBlob] {
        assert!(
            may(None, operation, Target::Cluster).await,
            "the simple transport"
        );
        assert!(!may(Some("anyone"), operation, Target::Cluster).await);
        assert!(may(Some("super"), operation, Target::Cluster).await);
    }
    assert!(!may(None, Operation::TokenKeys, Target::Cluster).await);
    assert!(!may(Some("anyone"), Operation::TokenKeys, Target::Cluster).await);
    assert!(may(Some("super"), Operation::TokenKeys, Target::Cluster).await);
    assert!(may(Some("ann"), Operation::SyncWorker, words).await);
    assert!(!may(Some("anyone"), Operation::SyncWorker, words).await);
}

#[tokio::test]
async fn refusals_read_as_storms() {
    let gate = Gate::new(&conf(), Daemon::Nimbus).expect("known classes");
    let refused = async |operation, target| {
        let permitted = gate.permit(&caller(None), operation, target).await;
        permitted.expect_err("nobody").to_string()
    };
    let leader = refused(Operation::GetLeader, Target::Cluster).await;
    assert_eq!(leader, "getLeader is not authorized");
    let kill = refused(Operation::KillTopology, Target::Named("words")).await;
    assert_eq!(kill, "killTopology on topology words is not authorized");
    let drpc = Gate::new(&conf(), Daemon::Drpc).expect("known classes");
    let bob = caller(Some("bob"));
    let execute = drpc
        .permit(&bob, Operation::Execute, Target::Function("f"))
        .await;
    assert_eq!(
        execute.expect_err("no such function").to_string(),
        "DRPC request 'execute' for 'bob' user is not authorized"
    );
}

#[tokio::test]
async fn nobody_speaks_for_others_unless_rules_say_so() {
    let impersonating = Caller {
        peer: "127.0.0.1:1".parse().ok(),
        principal: Some("ann".to_owned()),
        real_principal: Some("ui".to_owned()),
        token_topology: None,
    };
    let asked = async |conf: &Conf, daemon| {
        let gate = Gate::new(conf, daemon).expect("known classes");
        let operation = Operation::GetLeader;
        gate.permit(&impersonating, operation, Target::Cluster)
            .await
    };
    let refused = asked(&conf(), Daemon::Nimbus).await.expect_err("no rules");
    assert_eq!(
        refused.to_string(),
        "principal ui is not authorized to impersonate principal ann from host 127.0.0.1 Please \
         see SECURITY.MD to learn how to configure impersonation acls."
    );
    let with_rules = conf()
        .with(
            keys::NIMBUS_IMPERSONATION_AUTHORIZER,
            format!("{CLASSES}ImpersonationAuthorizer"),
        )
        .with(
            keys::NIMBUS_IMPERSONATION_ACL,
            json!({"ui": {"hosts": ["127.0.0.1"], "groups": ["*"]}}),
        );
    asked(&with_rules, Daemon::Nimbus).await.expect("allowed");
    let supervisor = asked(&with_rules, Daemon::Supervisor).await;
    let text = supervisor.expect_err("never").to_string();
    assert_eq!(text, "Supervisor does not support impersonation");
}

#[tokio::test]
async fn a_token_is_for_one_topology_and_while_it_lives() {
    let tokens = Arc::new(TokenKeys::default());
    let key = worker_token::new_key("ann", i64::MAX).expect("randomness");
    tokens.insert("words-1-1", 1, key);
    let gate = Gate::new(&conf(), Daemon::Nimbus).expect("known classes");
    let gate = gate.with_tokens(Arc::clone(&tokens));
    let worker = |id: &str| Caller {
        token_topology: Some(id.to_owned()),
        ..caller(Some("ann"))
    };
    let words = topology();
    let other = topology().with(keys::STORM_ID, "other-2-2");
    let may = async |caller: &Caller, conf: &Conf| {
        let target = Target::Topology { name: "t", conf };
        gate.permit(caller, Operation::SyncWorker, target)
            .await
            .is_ok()
    };
    assert!(may(&worker("words-1-1"), &words).await);
    assert!(
        !may(&worker("words-1-1"), &other).await,
        "of the same owner"
    );
    tokens.remove("words-1-1");
    assert!(
        !may(&worker("words-1-1"), &words).await,
        "on a connection that stayed open"
    );
    let find = gate
        .permit(&worker("words-1-1"), Operation::GetLeader, Target::Cluster)
        .await;
    find.expect_err("a token of nothing");
}

#[test]
fn no_call_is_without_a_row() {
    assert!(operation::of("Nimbus", "getLeader").is_some());
    assert!(operation::of("Nimbus", "getLeaders").is_none());
}

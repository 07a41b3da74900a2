//! Recorded conversations of genuine clients with a genuine supervisor, held against our service.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::Value;

use super::*;
use crate::auth::Daemon;
use crate::conf::Conf;
use crate::rpc::Dispatch;
use crate::testing::fixtures::{self, Tally};
use crate::testing::replay::{any, difference, forget};
use crate::testing::thrift_json::Contract;
use crate::wire::messages::TopologyWork;
use crate::wire::storm::supervisor::Dispatcher;

/// A supervisor that was told of the topologies that the recorded one knew.
struct Recorded {
    contract: Contract,
    dispatcher: Dispatcher<SupervisorService>,
    _dir: tempfile::TempDir,
}

// === impl Recorded ===

impl Recorded {
    fn new(lines: &[Value]) -> Self {
        let contract = Contract::of("Supervisor");
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path().to_owned(), dir.path().join("logs"));
        let mut directive = SupervisorDirective::default();
        for line in lines {
            let method = line["method"].as_str().expect("a method");
            let (_, arguments) = contract.arguments(&frame(line, "request_b64"));
            let reply = contract.reply(method, &frame(line, "reply_b64"));
            let mut known = BTreeSet::new();
            if let (Some(id), Some(found)) = (arguments["id"].as_str(), reply.get("success")) {
                let work = TopologyWork {
                    assignment: contract.typed("Assignment", found),
                    ..TopologyWork::default()
                };
                directive.topologies.insert(id.to_owned(), work);
                known.insert(id.to_owned());
            }
            let heard = arguments["heartbeat"]["storm_id"].as_str();
            known.extend(
                heard
                    .filter(|_| reply.get("exception").is_none())
                    .map(str::to_owned),
            );
            for id in known {
                let code = layout.code(&TopologyId::from(id.as_str()));
                std::fs::create_dir_all(&code).expect("room");
                std::fs::write(code.join("stormconf.ser"), "").expect("room");
            }
        }
        let shared = Arc::new(Shared::default());
        shared.directive.store(Some(Arc::new(directive)));
        let service = SupervisorService {
            shared,
            layout,
            host: "localhost".to_owned(),
            gate: Gate::new(&Conf::defaults(), Daemon::Supervisor).expect("known classes"),
        };
        Recorded {
            contract,
            dispatcher: Dispatcher(Arc::new(service)),
            _dir: dir,
        }
    }

    async fn call(&self, line: &Value) -> Value {
        let request = Bytes::from(frame(line, "request_b64"));
        let caller = Caller::default();
        let reply = self.dispatcher.dispatch(&caller, request).await;
        let reply = reply.expect("no reason to close").expect("a reply");
        let method = line["method"].as_str().expect("a method");
        self.contract.reply(method, &reply)
    }
}

fn frame(line: &Value, key: &str) -> Vec<u8> {
    fixtures::base64(line[key].as_str().expect("a frame"))[4..].to_vec()
}

#[tokio::test]
async fn conversations_go_as_recorded() {
    let lines = fixtures::lines("control/supervisor.jsonl");
    let recorded = Recorded::new(&lines);
    let mut tally = Tally::new("control/supervisor");
    for line in &lines {
        let method = line["method"].as_str().expect("a method");
        let mut expected = recorded.contract.reply(method, &frame(line, "reply_b64"));
        if expected["exception"]["type"] == 6 {
            // Ours adds the cause, as the specification allows.
            expected["exception"]["message"] = any();
        }
        let pointers = line["volatile"].as_array().expect("a list").iter();
        let pointers = pointers.filter_map(|p| p.as_str()?.strip_prefix("/decoded_reply"));
        forget(
            &mut expected,
            &pointers.map(str::to_owned).collect::<Vec<_>>(),
        );
        let found = recorded.call(line).await;
        let difference = difference(&expected, &found);
        tally.case(difference.is_none(), || {
            format!("{}: {}", line["case"], difference.unwrap_or_default())
        });
    }
    tally.finish(0);
}

#[tokio::test]
async fn absent_arguments_are_internal_errors_and_a_push_without_one_is_a_nudge() {
    let recorded = Recorded::new(&[]);
    for (method, refused) in [
        ("getLocalAssignmentForStorm", true),
        ("sendSupervisorWorkerHeartbeat", true),
        ("sendSupervisorAssignments", false),
    ] {
        let call = recorded
            .contract
            .call(&Contract::message(method), &serde_json::json!({}));
        let caller = Caller::default();
        let reply = recorded
            .dispatcher
            .dispatch(&caller, Bytes::from(call))
            .await;
        let reply = reply.expect("no reason to close").expect("a reply");
        let reply = recorded.contract.reply(method, &reply);
        assert_eq!(
            reply["exception"]["type"] == 6,
            refused,
            "{method}: {reply}"
        );
    }
}

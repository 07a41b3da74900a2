//! Traffic of genuine clients and servers, both ways.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::idl::{Field, Type};
use super::schema::{Schema, schema};
use super::values::{Tree, tree};
use super::{Method, SERVICES};
use crate::rpc::{Caller, Close, Dispatch};
use crate::testing::figures::figure;
use crate::testing::fixtures::{self, Tally};
use crate::wire::message::{ApplicationException, read_header};
use crate::wire::storm::{distributed_rpc, distributed_rpc_invocations, nimbus, supervisor};
use crate::wire::{from_bytes, scan};

const FILES: [&str; 11] = [
    "control/apache-python.jsonl",
    "control/blobs-java.jsonl",
    "control/drpc.jsonl",
    "control/operations-java.jsonl",
    "control/protocol.jsonl",
    "control/reads-java.jsonl",
    "control/reads-python.jsonl",
    "control/streamparse.jsonl",
    "control/submit-java.jsonl",
    "control/supervisor.jsonl",
    "control/validation.jsonl",
];

/// Implements nothing: whatever can be decoded has an unknown method.
struct Nothing;

impl nimbus::Service for Nothing {}
impl supervisor::Service for Nothing {}
impl distributed_rpc::Service for Nothing {}
impl distributed_rpc_invocations::Service for Nothing {}

/// Of the frames, only those whose length is true reach this layer.
fn message(case: &Value, key: &str) -> Option<Bytes> {
    let frame = fixtures::base64(case[key].as_str()?);
    let (length, rest) = frame.split_first_chunk()?;
    let n = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    let is_whole = n == rest.len();
    is_whole.then(|| Bytes::copy_from_slice(rest))
}

fn method(case: &Value) -> Option<&'static Method> {
    service_and_method(case).map(|(_, method)| method)
}

fn service_and_method(case: &Value) -> Option<(&'static str, &'static Method)> {
    let service = match case["service"].as_str()? {
        "nimbus" => "Nimbus",
        "supervisor" => "Supervisor",
        "drpc" => "DistributedRPC",
        "drpc-invocations" => "DistributedRPCInvocations",
        other => panic!("the service {other} is not known"),
    };
    let (_, name, methods) = SERVICES.iter().find(|(_, name, _)| *name == service)?;
    let method = methods
        .iter()
        .find(|method| case["method"] == method.name)?;
    Some((name, method))
}

fn about(case: &Value, what: &str) -> String {
    format!(
        "{} {} step {}: {what}",
        case["case"], case["method"], case["step"]
    )
}

/// Decodes and encodes again: the same value but for what is listed at `finish`.
fn check_recode(tally: &mut Tally, case: &Value, key: &str) {
    let (Some(message), Some(method)) = (message(case, key), method(case)) else {
        return;
    };
    let (_, body) = read_header(&message).unwrap();
    let recode = match key {
        "request_b64" => method.recode_arguments,
        _ => method.recode_reply,
    };
    match recode(body) {
        Ok(again) => {
            let mut expected = tree(body, 12);
            if method.name == "getClusterInfo" {
                add_uptime(&mut expected);
            }
            let equal = expected == tree(&again, 12);
            tally.case(equal, || about(case, "encoded again, it is another value"));
            assert_eq!(
                recode(&again).unwrap(),
                again,
                "{}",
                about(case, "not stable")
            );
        }
        Err(error) => tally.case(false, || about(case, &error.to_string())),
    }
}

/// We send clients of 0.9 the uptime of Nimbus that they require; Storm 3.0 does not.
fn add_uptime(reply: &mut Tree) {
    let Tree::Struct(reply) = reply else { return };
    if let Some(Tree::Struct(summary)) = reply.get_mut(&0) {
        summary.insert(2, Tree::Fixed(vec![0; 4]));
    }
}

/// The structs of the IDL that a value of a type has, at any depth.
fn name_structs(schema: &Schema, kind: &Type, tree: &Tree, names: &mut BTreeSet<String>) {
    match (kind, tree) {
        (Type::Named { name, .. }, Tree::Struct(fields)) => {
            names.insert(name.clone());
            name_fields(schema, schema.record("storm", name).1, fields, names);
        }
        (Type::List(item), Tree::List(items)) => {
            for each in items {
                name_structs(schema, item, each, names);
            }
        }
        (Type::Set(item), Tree::Set(items)) => {
            for each in items {
                name_structs(schema, item, each, names);
            }
        }
        (Type::Map(key, value), Tree::Map(entries)) => {
            for (k, v) in entries {
                name_structs(schema, key, k, names);
                name_structs(schema, value, v, names);
            }
        }
        _ => {}
    }
}

fn name_fields(
    schema: &Schema,
    known: &[Field],
    fields: &BTreeMap<i16, Tree>,
    names: &mut BTreeSet<String>,
) {
    for field in known {
        if let Some(value) = fields.get(&field.id) {
            name_structs(schema, &field.kind, value, names);
        }
    }
}

/// F6: how much of the contract stands in the recorded traffic, all of which the tests around this
/// one hold to be the same after a round trip.
#[test]
fn recorded_traffic_covers_the_contract() {
    let schema = schema();
    let (mut names, mut n_messages) = (BTreeSet::new(), 0);
    for case in FILES.into_iter().flat_map(fixtures::lines) {
        let Some((service, method)) = service_and_method(&case) else {
            continue;
        };
        let (arguments, reply) = schema.method("storm", service, method.name);
        for (key, known) in [("request_b64", arguments), ("reply_b64", &reply[..])] {
            let Some(message) = message(&case, key) else {
                continue;
            };
            let recode = match key {
                "request_b64" => method.recode_arguments,
                _ => method.recode_reply,
            };
            let Ok((_, body)) = read_header(&message) else {
                continue;
            };
            if recode(body).is_ok()
                && let Tree::Struct(fields) = tree(body, 12)
            {
                n_messages += 1;
                name_fields(&schema, known, &fields, &mut names);
            }
        }
    }
    let n_all = schema.document("storm").structs.len();
    let text = format!(
        "{n_messages} messages of genuine Java and Python peers equal after a round trip, {} of \
         the {n_all} structs of the IDL in them",
        names.len()
    );
    figure("F6", &text);
    assert!(n_messages > 500 && names.len() > 60, "{text}");
}

#[test]
fn requests_decode_to_the_same_values() {
    for file in FILES {
        let mut tally = Tally::new(&format!("{file} requests"));
        for case in fixtures::lines(file) {
            let is_refused = case["decoded_request"]["undecodable"] == true
                || case["decoded_reply"]["exception"]["type"] == 7;
            if !is_refused {
                check_recode(&mut tally, &case, "request_b64");
            }
        }
        // bad-utf8: an invalid text comes out with replacement characters, as in Java.
        tally.finish(usize::from(file == "control/protocol.jsonl"));
    }
}

#[test]
fn replies_decode_to_the_same_values() {
    for file in FILES {
        let mut tally = Tally::new(&format!("{file} replies"));
        for case in fixtures::lines(file) {
            if case["decoded_reply"]["exception"]["class"] != "TApplicationException" {
                check_recode(&mut tally, &case, "reply_b64");
            }
        }
        tally.finish(0);
    }
}

/// What Java refuses is refused with its words; what it closes on closes; what it answers decodes.
#[tokio::test]
async fn refusals_are_those_of_java() {
    for file in FILES {
        let mut tally = Tally::new(&format!("{file} refusals"));
        for case in fixtures::lines(file) {
            let Some(message) = message(&case, "request_b64") else {
                continue;
            };
            let outcome = dispatch(&case, message).await;
            if case["reply_type"] == "closed" {
                tally.case(outcome.is_err(), || about(&case, "was not closed"));
                continue;
            }
            let Ok(Some(reply)) = outcome else {
                tally.case(false, || about(&case, &format!("{outcome:?}")));
                continue;
            };
            let (header, body) = read_header(&reply).unwrap();
            let given: ApplicationException = from_bytes(body).unwrap();
            let expected = &case["decoded_reply"]["exception"];
            let is_refusal = expected["type"] == 7 || expected["type"] == 1;
            let seqid = case["decoded_request"]["seqid"] == header.seqid;
            let equal = match is_refusal {
                true => expected["type"] == given.kind && expected["message"] == given.message,
                false => given.kind == 1,
            };
            tally.case(equal && seqid, || {
                about(&case, &format!("{given:?} for {expected}"))
            });
        }
        tally.finish(0);
    }
}

async fn dispatch(case: &Value, message: Bytes) -> Result<Option<Bytes>, Close> {
    let caller = Caller::default();
    let nothing = Arc::new(Nothing);
    match case["service"].as_str() {
        Some("supervisor") => {
            supervisor::Dispatcher(nothing)
                .dispatch(&caller, message)
                .await
        }
        Some("drpc") => {
            distributed_rpc::Dispatcher(nothing)
                .dispatch(&caller, message)
                .await
        }
        Some("drpc-invocations") => {
            let dispatcher = distributed_rpc_invocations::Dispatcher(nothing);
            dispatcher.dispatch(&caller, message).await
        }
        _ => nimbus::Dispatcher(nothing).dispatch(&caller, message).await,
    }
}

/// A reader of a stream without frames finds the end that the frame names.
#[test]
fn messages_end_where_their_frames_end() {
    for file in FILES {
        for case in fixtures::lines(file) {
            let is_strange = case["decoded_request"]["undecodable"] == true
                || case["decoded_request"]["trailing_bytes"].is_number();
            for key in ["request_b64", "reply_b64"] {
                let Some(message) = message(&case, key).filter(|bytes| !bytes.is_empty()) else {
                    continue;
                };
                if is_strange && key == "request_b64" || case["reply_type"] == "closed" {
                    continue;
                }
                assert_eq!(scan::message_end(&message).unwrap(), message.len());
                let mut scanner = scan::Scanner::message(message.len() + 7);
                for end in (0..message.len()).step_by(101) {
                    let found = scanner.scan(&message[..end]).unwrap();
                    assert_eq!(found, None, "{}", about(&case, "ends too early"));
                }
                assert_eq!(scanner.scan(&message).unwrap(), Some(message.len()));
            }
        }
    }
}

//! The built-in spout and `ReturnResults` against this server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::component::{Spout, TaskContext, Waker, registry};
use crate::values;
use crate::wire::storm::{JavaObject, JavaObjectArg};
use crate::worker::harness::{self, Harness, Verdict};

fn object(class: &str, args: &[&str]) -> JavaObject {
    let text = |arg: &&str| JavaObjectArg::StringArg((*arg).to_owned());
    JavaObject {
        full_class_name: class.to_owned(),
        args_list: args.iter().map(text).collect(),
    }
}

fn context(server: &Handle, directory: &tempfile::TempDir) -> TaskContext {
    let conf = Conf::new()
        .with(keys::DRPC_SERVERS, vec!["127.0.0.1".to_owned()])
        .with(
            keys::DRPC_INVOCATIONS_PORT,
            server.invocations_address().port(),
        );
    harness::context(directory.path(), conf, Waker::idle())
}

struct Running {
    spout: Box<dyn Spout>,
    harness: Harness,
}

fn spout(server: &Handle, directory: &tempfile::TempDir) -> Running {
    let object = object("org.apache.storm.drpc.DRPCSpout", &["f"]);
    let mut spout = registry::spout(&object).expect("it is built in");
    spout.open(&context(server, directory)).expect("opened");
    spout.activate().expect("active");
    Running {
        spout,
        harness: Harness::new(&[("default", &["args", "return-info"])]),
    }
}

impl Running {
    /// The next emitted (arguments, return info).
    async fn emits(&mut self) -> (String, String) {
        eventually(|| self.spout.ready()).await;
        let emitted = self.spout.next_tuple(&mut self.harness.spout_collector());
        emitted.expect("emitted");
        let emitted = self.harness.emitted();
        assert_eq!(emitted.len(), 1, "one request a call");
        (
            emitted[0].values[0].to_string(),
            emitted[0].values[1].to_string(),
        )
    }
}

#[tokio::test]
async fn a_request_goes_out_and_its_result_comes_back() {
    let server = server(600).await;
    let directory = tempfile::tempdir().expect("a directory");
    let mut spout = spout(&server, &directory);
    let object = object("org.apache.storm.drpc.ReturnResults", &[]);
    let mut bolt = registry::bolt(&object).expect("it is built in");
    bolt.prepare(&context(&server, &directory))
        .expect("prepared");
    let mut harness = Harness::new(&[]);
    let mut ids = BTreeSet::new();
    for (number, result) in [(1, Some("one")), (2, None)] {
        let call = execute(&server, "f", "args");
        let (args, info) = spout.emits().await;
        assert_eq!(args, "args");
        let port = server.invocations_address().port();
        let parsed: Value = serde_json::from_str(&info).expect("JSON");
        let id = parsed["id"].as_str().expect("text").to_owned();
        assert!(ids.insert(id.clone()), "a new one");
        assert_eq!(parsed, json!({"id": id, "host": "127.0.0.1", "port": port}));
        let value = result.map_or(crate::tuple::ValueRef::Null, Into::into);
        let tuple = harness.input(&values![value, info.as_str()]);
        bolt.execute(&tuple.view(), &mut harness.collector())
            .expect("taken");
        let outcome = call.await.expect("no panic");
        match (result, outcome) {
            (Some(result), outcome) => assert_eq!(outcome.expect("a result"), result),
            (None, outcome) => {
                let error = outcome.expect_err("null").to_string();
                assert!(error.contains("No Result and No Exception"), "{error}");
            }
        }
        let mut verdicts = Vec::new();
        while verdicts.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
            bolt.poll(&mut harness.collector()).expect("polled");
            verdicts = harness.verdicts();
        }
        assert_eq!(verdicts, [Verdict::Acked(number)]);
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_tuple_that_fails_fails_its_request() {
    let server = server(600).await;
    let directory = tempfile::tempdir().expect("a directory");
    let mut spout = spout(&server, &directory);
    let call = execute(&server, "f", "args");
    let (_, info) = spout.emits().await;
    let info: Value = serde_json::from_str(&info).expect("JSON");
    let id = crate::tuple::Value::List(vec![
        crate::tuple::Value::Str(info["id"].as_str().expect("text").into()),
        crate::tuple::Value::Long(0),
    ]);
    spout.spout.fail(&id);
    let error = call.await.expect("no panic").expect_err("failed");
    let distributed_rpc::ExecuteError::DRPCExecution(error) = error else {
        panic!("{error}")
    };
    assert_eq!(error.msg, "Request failed");
    server.shutdown().await;
}

#[tokio::test]
async fn an_inactive_spout_takes_nothing_and_one_that_closes_lets_go() {
    let server = server(600).await;
    let directory = tempfile::tempdir().expect("a directory");
    let mut first = spout(&server, &directory);
    eventually(|| server.exchange.n_functions() == 1).await;
    first.spout.deactivate().expect("inactive");
    eventually(|| server.exchange.n_functions() == 0).await;
    let call = execute(&server, "f", "for the second");
    eventually(|| server.exchange.n_open() == 1).await;
    let mut second = spout(&server, &directory);
    let (args, _) = second.emits().await;
    assert_eq!(args, "for the second");
    assert!(!first.spout.ready());
    second.spout.close();
    let error = call
        .await
        .expect("no panic")
        .expect_err("its spout is gone");
    assert!(error.to_string().contains("Request failed"), "{error}");
    server.shutdown().await;
}

#[tokio::test]
async fn a_spout_follows_a_server_that_starts_again() {
    let first = server(600).await;
    let port = first.invocations_address().port();
    let directory = tempfile::tempdir().expect("a directory");
    let mut spout = spout(&first, &directory);
    let call = execute(&first, "f", "1");
    spout.emits().await;
    first.shutdown().await;
    assert!(call.await.expect("no panic").is_err());
    let conf = Conf::defaults()
        .with(keys::DRPC_PORT, 0)
        .with(keys::DRPC_INVOCATIONS_PORT, port)
        .with(keys::DRPC_HTTP_PORT, -1);
    let again = Drpc::start(&conf).await.expect("its port is free");
    let call = execute(&again, "f", "2");
    assert_eq!(spout.emits().await.0, "2");
    call.abort();
    again.shutdown().await;
}

#[tokio::test]
async fn results_for_a_server_that_is_gone_fail_after_three_tries() {
    let server = server(600).await;
    let directory = tempfile::tempdir().expect("a directory");
    let object = object("org.apache.storm.drpc.ReturnResults", &[]);
    let mut bolt = registry::bolt(&object).expect("it is built in");
    bolt.prepare(&context(&server, &directory))
        .expect("prepared");
    let port = server.invocations_address().port();
    server.shutdown().await;
    // Whoever connects is turned away.
    let n_tries = Arc::new(AtomicUsize::new(0));
    let counted = n_tries.clone();
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("free");
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut harness = Harness::new(&[]);
    for id in ["1", "2", "3"] {
        let info = json!({"id": id, "host": "127.0.0.1", "port": port}).to_string();
        let tuple = harness.input(&values!["result", info.as_str()]);
        bolt.execute(&tuple.view(), &mut harness.collector())
            .expect("taken");
    }
    let mut verdicts = Vec::new();
    while verdicts.len() < 3 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        bolt.poll(&mut harness.collector()).expect("polled");
        verdicts.extend(harness.verdicts());
    }
    verdicts.sort();
    assert_eq!(verdicts, [1, 2, 3].map(Verdict::Failed));
    let n_tries = n_tries.load(Ordering::SeqCst);
    assert!((3..9).contains(&n_tries), "{n_tries}, of three answers");
    let errors = harness.errors();
    assert!(errors[0].contains("cannot return the result"), "{errors:?}");
    let tuple = harness.input(&values!["result", "no JSON"]);
    let refused = bolt.execute(&tuple.view(), &mut harness.collector());
    assert!(
        refused
            .expect_err("refused")
            .to_string()
            .contains("is no JSON")
    );
}

/// A server that knows Storm's calls only.
struct Genuine(Arc<crate::drpc::service::DrpcService>);

impl crate::rpc::Dispatch for Genuine {
    async fn dispatch(
        &self,
        caller: &crate::rpc::Caller,
        message: bytes::Bytes,
    ) -> Result<Option<bytes::Bytes>, crate::rpc::Close> {
        distributed_rpc_invocations::Dispatcher(Arc::clone(&self.0))
            .dispatch(caller, message)
            .await
    }
}

#[tokio::test]
async fn a_genuine_server_is_polled() {
    let ours = server(600).await;
    let gate = Arc::new(Gate::new(&Conf::defaults(), Daemon::Drpc).expect("no rules"));
    let service = DrpcService::new(Arc::clone(&ours.exchange), gate);
    let endpoint = Endpoint {
        service: "genuine",
        host: "127.0.0.1".to_owned(),
        port: 0,
        port_key: keys::DRPC_INVOCATIONS_PORT,
    };
    let genuine = Server::bind(&endpoint, Limits::default())
        .await
        .expect("a port");
    let port = genuine.address().port();
    let genuine = genuine.serve(Arc::new(Genuine(service)));
    let directory = tempfile::tempdir().expect("a directory");
    let conf = Conf::new()
        .with(keys::DRPC_SERVERS, vec!["127.0.0.1".to_owned()])
        .with(keys::DRPC_INVOCATIONS_PORT, port);
    let object = object("backtype.storm.drpc.DRPCSpout", &["f"]);
    let mut spout = registry::spout(&object).expect("it is built in");
    let context = harness::context(directory.path(), conf, Waker::idle());
    spout.open(&context).expect("opened");
    spout.activate().expect("active");
    let mut spout = Running {
        spout,
        harness: Harness::new(&[("default", &["args", "return-info"])]),
    };
    for args in ["1", "2"] {
        let call = execute(&ours, "f", args);
        assert_eq!(spout.emits().await.0, args);
        call.abort();
    }
    genuine.drain().await;
    ours.shutdown().await;
}

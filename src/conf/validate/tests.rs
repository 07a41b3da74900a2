//! Storm's recorded verdicts on values and combinations, and the little they do not cover.

use serde_json::{Value, json};

use super::*;
use crate::testing::fixtures::{self, Tally};

fn verdict(result: Result<(), Violation>) -> Value {
    let refused = |class: &str, message: String| {
        json!({
            "accepted": false,
            "exception": format!("java.lang.{class}"),
            "message": message,
        })
    };
    match result {
        Ok(()) => json!({"accepted": true}),
        Err(Violation::Illegal(message)) => refused("IllegalArgumentException", message),
        Err(Violation::NotANumber(message)) => refused("NumberFormatException", message),
        Err(Violation::ClassNotFound(message) | Violation::CheckFailed(message)) => {
            refused("RuntimeException", message)
        }
    }
}

fn golden(file: &str, conf: impl Fn(&Value) -> Conf) {
    let mut tally = Tally::new(file);
    for line in fixtures::lines(file) {
        let ours = verdict(topology(&conf(&line)));
        tally.case(ours == line["result"], || {
            format!(
                "{}{}: {ours}, not {}",
                line["key"], line["value"], line["result"]
            )
        });
    }
    tally.finish(0);
}

#[test]
fn golden_values() {
    golden("validation/conf-values.jsonl", |line| {
        let key = line["key"].as_str().expect("a key");
        Conf::new().with(key, line["value"].clone())
    });
}

#[test]
fn golden_combinations() {
    golden("validation/conf-combinations.jsonl", |line| {
        Conf::from(line["conf"].as_object().expect("a conf").clone())
    });
}

#[test]
fn keys_of_supervisors_workers_and_pacemaker_are_checked_too() {
    for (key, bad) in [
        (keys::SUPERVISOR_THRIFT_PORT, json!("x")),
        (keys::SUPERVISOR_CPU_CAPACITY, json!(-1)),
        (keys::SUPERVISOR_RESOURCES_MAP, json!({"gpu": "x"})),
        (keys::SUPERVISOR_RUN_WORKER_AS_USER, json!(1)),
        (keys::TASK_REFRESH_POLL_SECS, json!(0)),
        (keys::NUM_STAT_BUCKETS, json!(1.5)),
        (keys::CLIENT_BLOBSTORE, json!(true)),
        (keys::TRANSACTIONAL_ZOOKEEPER_SERVERS, json!("x")),
        (keys::PACEMAKER_SERVERS, json!([1])),
        (keys::PACEMAKER_AUTH_METHOD, json!(null)),
        (keys::PACEMAKER_AUTH_METHOD, json!("none")),
        (keys::STORM_ZOOKEEPER_TOPOLOGY_AUTH_PAYLOAD, json!(null)),
    ] {
        let verdict = topology(&Conf::new().with(key, bad.clone()));
        assert!(verdict.is_err(), "{key} {bad}");
    }
    let good = Conf::new().with(keys::PACEMAKER_AUTH_METHOD, "KERBEROS");
    assert_eq!(topology(&good), Ok(()));
}

#[test]
fn defaults_obey_the_rules() {
    for (name, value) in Conf::defaults().iter() {
        let key = keys::find(name).expect("defaults are of known keys");
        assert_eq!(daemon_value(key, value), Ok(()), "{name}");
    }
}

#[test]
fn class_names_fail_apart_from_invalid_topologies() {
    let conf = Conf::new().with(keys::STORM_NETWORK_TOPOGRAPHY_PLUGIN, "com.example.Racks");
    let violation = topology(&conf).expect_err("no such class");
    assert!(!violation.is_invalid_topology());
    let old = Conf::new().with(
        keys::STORM_NETWORK_TOPOGRAPHY_PLUGIN,
        "backtype.storm.Racks",
    );
    assert_eq!(topology(&old), Ok(()));
    let workers = Conf::new().with(keys::TOPOLOGY_WORKERS, 0);
    let violation = topology(&workers).expect_err("no workers");
    assert!(violation.is_invalid_topology());
}

#[test]
fn daemon_keys_and_unknown_keys_are_not_checked_in_topologies() {
    let conf = Conf::new()
        .with(keys::UI_PORT, "x")
        .with("my.key", json!({"a": []}));
    assert_eq!(topology(&conf), Ok(()));
}

#[test]
fn a_daemon_may_leave_its_port_to_the_system() {
    let key = keys::find(keys::NIMBUS_THRIFT_PORT).expect("a known key");
    assert_eq!(daemon_value(key, &json!(0)), Ok(()));
    assert!(daemon_value(key, &json!(-1)).is_err());
    assert!(topology(&Conf::new().with(keys::NIMBUS_THRIFT_PORT, 0)).is_err());
}

#[test]
fn slots_are_ports_without_repeats() {
    let key = keys::find(keys::SUPERVISOR_SLOTS_PORTS).expect("a known key");
    for bad in [json!([6700, 6700]), json!(["a"]), json!([0]), json!(6700)] {
        assert!(daemon_value(key, &bad).is_err(), "{bad}");
    }
    assert_eq!(daemon_value(key, &json!([6700, 6701])), Ok(()));
}

#[test]
fn reporters_with_an_odd_filter() {
    let check = |filter: Value| {
        let reporters = json!([{"class": "a.B", "filter": filter}]);
        topology(&Conf::new().with(keys::TOPOLOGY_METRICS_REPORTERS, reporters))
    };
    assert_eq!(check(json!({"class": "x"})), Ok(()));
    assert!(check(json!({"class": 1})).is_err_and(|v| v.is_invalid_topology()));
    assert!(check(Value::Null).is_err_and(|v| !v.is_invalid_topology()));
}

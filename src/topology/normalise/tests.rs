//! What a submitted configuration and topology become.

use serde_json::json;

use super::*;
use crate::topology::ComponentKind;
use crate::topology::component_conf;
use crate::wire::storm::{ComponentObject, SpoutSpec};

fn conf_of(value: Value) -> Conf {
    Conf::from_json(&value.to_string()).unwrap()
}

fn with_json_conf(json_conf: &str) -> StormTopology {
    let mut spout = SpoutSpec::default();
    spout.common.json_conf = Some(json_conf.to_owned());
    StormTopology {
        spouts: [("s".to_owned(), spout)].into(),
        ..StormTopology::default()
    }
}

#[test]
fn keys_that_only_the_cluster_decides_are_overruled() {
    let daemon = Conf::defaults().overlay(&conf_of(json!({
        "storm.messaging.netty.authentication": true,
        "nimbus.thrift.client.use.tls": true,
        "storm.metrics.reporters": [{"class": "r.R"}],
    })));
    let submitted = conf_of(json!({
        "storm.messaging.netty.authentication": false,
        "nimbus.thrift.client.use.tls": false,
        "storm.cgroup.hierarchy.dir": "/mine",
        "storm.local.hostname": "me",
        "storm.workers.artifacts.dir": "/x",
        "storm.zookeeper.topology.auth.scheme": "digest",
        "storm.zookeeper.topology.auth.payload": "a:b",
        "topology.classpath.beginning": "x.jar",
        "user.k": 1,
    }));
    let conf = conf(&daemon, &submitted, &StormTopology::default()).unwrap();
    assert_eq!(
        conf.get("storm.messaging.netty.authentication"),
        Some(&json!(true))
    );
    assert_eq!(conf.get("nimbus.thrift.client.use.tls"), Some(&json!(true)));
    assert_eq!(
        conf.get("storm.cgroup.hierarchy.dir"),
        Some(&json!("/cgroup/storm_resources"))
    );
    assert_eq!(
        conf.get("topology.metrics.reporters"),
        Some(&json!([{"class": "r.R"}]))
    );
    assert_eq!(conf.get("user.k"), Some(&json!(1)));
    for gone in [
        "storm.local.hostname",
        "storm.workers.artifacts.dir",
        "storm.zookeeper.topology.auth.scheme",
        "storm.zookeeper.topology.auth.payload",
        "topology.classpath.beginning",
    ] {
        assert_eq!(conf.get(gone), None, "{gone}");
    }
}

#[test]
fn workers_call_nimbus_over_tls_where_topology_or_cluster_says_so() {
    for (cluster, own) in [(false, false), (false, true), (true, false)] {
        let key = keys::TOPOLOGY_WORKER_NIMBUS_THRIFT_CLIENT_USE_TLS;
        let daemon = Conf::defaults().overlay(&Conf::new().with(key, cluster));
        let submitted = Conf::new().with(key, own);
        let conf = conf(&daemon, &submitted, &StormTopology::default()).unwrap();
        for key in [key, keys::NIMBUS_THRIFT_CLIENT_USE_TLS] {
            assert_eq!(conf.get(key), Some(&json!(cluster || own)), "{key}");
        }
    }
}

#[test]
fn the_estimate_of_workers_caps_ackers_too() {
    let conf = |n_max: i32| {
        let own = Conf::new()
            .with(keys::TOPOLOGY_ACKER_EXECUTORS, 12)
            .with(keys::TOPOLOGY_MAX_TASK_PARALLELISM, n_max);
        Conf::defaults().overlay(&own)
    };
    let estimated = |n_max| {
        let numbers = resource_aware(&with_json_conf("{}"), &conf(n_max)).unwrap();
        (numbers.estimated_workers, numbers.acker_executors)
    };
    assert_eq!(estimated(1), (1, 12));
    assert_eq!(estimated(12), (3, 12));
}

#[test]
fn kryo_settings_that_are_none_are_refused() {
    for (key, value) in [
        ("topology.kryo.register", json!("com.A")),
        ("topology.kryo.register", json!([1])),
        ("topology.kryo.decorators", json!({"com.A": 1})),
        ("topology.kryo.decorators", json!([null])),
    ] {
        let topology = with_json_conf(&json!({key: value}).to_string());
        let error = conf(&Conf::defaults(), &Conf::default(), &topology).unwrap_err();
        assert!(error.to_string().contains(key), "{error}");
    }
}

#[test]
fn a_json_conf_that_is_none_is_refused_by_component() {
    for text in ["", "null", "[]", "{", "1"] {
        let error = topology(&with_json_conf(text), &Conf::defaults()).unwrap_err();
        assert!(
            error.to_string().starts_with("component [s]: json_conf"),
            "{text:?}: {error}"
        );
    }
}

#[test]
fn tasks_follow_the_nearest_setting() {
    let n = |json_conf: &str, conf: Value| {
        let conf = Conf::defaults().overlay(&conf_of(conf));
        let mut topology = with_json_conf(json_conf);
        topology
            .spouts
            .get_mut("s")
            .unwrap()
            .common
            .parallelism_hint = Some(4);
        let normalised = super::topology(&topology, &conf).unwrap();
        let spout = &normalised.spouts["s"];
        let text = spout.common.json_conf.as_deref().unwrap();
        conf_of(serde_json::from_str(text).unwrap())
            .int(keys::TOPOLOGY_TASKS)
            .unwrap()
            .unwrap()
    };
    assert_eq!(n("{}", json!({})), 4);
    assert_eq!(n("{}", json!({"topology.tasks": 6})), 6);
    assert_eq!(
        n(r#"{"topology.tasks": "8"}"#, json!({"topology.tasks": 6})),
        8
    );
    assert_eq!(
        n(r#"{"topology.tasks": null}"#, json!({"topology.tasks": 6})),
        4
    );
    assert_eq!(n(r#"{"topology.tasks": 0}"#, json!({})), 0);
    assert_eq!(n("{}", json!({"topology.max.task.parallelism": 3})), 3);
    let own_max = r#"{"topology.max.task.parallelism": 2}"#;
    assert_eq!(n(own_max, json!({"topology.max.task.parallelism": 3})), 2);
}

#[test]
fn a_component_runs_with_the_few_keys_it_may_set() {
    let topology = with_json_conf(
        r#"{"topology.debug": true, "topology.workers": 9, "topology.tasks": 3, "mine": [1],
            "topology.bolts.watermark.event.interval.ms": 5, "topology.tick.tuple.freq.secs": 2}"#,
    );
    let spout = &topology.spouts["s"];
    let component = Component {
        id: "s",
        kind: ComponentKind::Spout,
        object: &ComponentObject::Unset,
        common: &spout.common,
    };
    let base = conf_of(json!({"topology.debug": false, "topology.workers": 1, "other": 1}));
    let expected = conf_of(json!({
        "topology.debug": true, "topology.workers": 1, "other": 1, "mine": [1],
        "topology.tick.tuple.freq.secs": 2,
    }));
    assert_eq!(component_conf(&base, &component).unwrap(), expected);
}

#[test]
fn a_cluster_that_encrypts_has_no_topology_without() {
    for key in [
        keys::STORMWIRE_LINK_ENCRYPTION,
        keys::STORM_MESSAGING_NETTY_TLS_ENABLE,
    ] {
        let daemon = Conf::defaults().with(key, true);
        let mut conf = daemon.clone().with(keys::STORMWIRE_LINK_ENCRYPTION, false);
        hold(&daemon, &mut conf).expect("a conf");
        assert_eq!(
            conf.get(keys::STORMWIRE_LINK_ENCRYPTION),
            Some(&true.into())
        );
    }
}

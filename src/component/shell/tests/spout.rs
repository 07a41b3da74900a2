//! Spouts: the lock step, ids of every type, lifecycle, and children that die between.

use serde_json::json;

use super::*;
use crate::conf::keys;

const LOOP: &str = r#"
def turns():
    while True:
        message = read()
        if isinstance(message, dict):
            yield message["command"], message["id"]
            write({"command": "sync"})
"#;

#[test]
fn tuples_are_asked_for_and_ids_come_back_as_they_were() {
    let body = format!(
        r#"{LOOP}
handshake()
ids = [0, "a/1", 2.5, [1, "x"], {{"k": None}}, "", True]
for command, id in turns():
    if command == "next" and ids:
        emit([len(ids)], id=ids.pop(0))
    elif command in ("ack", "fail"):
        emit([command + " " + json.dumps(id)])
"#
    );
    let mut rig = Rig::spout(&body, Conf::new());
    rig.until("the tuples", |rig| rig.emitted.len() == 7);
    assert_eq!(rig.harness.n_pending(), 7);
    for number in 0..7 {
        let id = Rig::tracked(number);
        match number {
            5 => rig.component.fail(&id),
            _ => rig.component.ack(&id),
        }
    }
    // Once more: the child must not hear of it twice.
    rig.component.ack(&Rig::tracked(0));
    rig.until("the answers", |rig| rig.emitted.len() == 14);
    let expected = [
        "ack 0",
        "ack \"a/1\"",
        "ack 2.5",
        "ack [1, \"x\"]",
        "ack {\"k\": null}",
        "fail \"\"",
        "ack true",
    ];
    assert_eq!(&rig.words()[7..], expected);
    assert!(rig.errors.is_empty(), "{:?}", rig.errors);
}

#[test]
fn what_other_tasks_have_pending_is_not_counted() {
    let body = format!(
        r#"{LOOP}
handshake()
for command, id in turns():
    if command == "next":
        emit(["own"], id=1)
"#
    );
    let conf = Conf::new().with(keys::TOPOLOGY_MAX_SPOUT_PENDING, 3);
    let mut rig = Rig::spout(&body, conf);
    for number in 100..103 {
        let mut out = rig.harness.spout_collector();
        out.emit_reliable(crate::values!["other"], Value::Long(number))
            .unwrap();
    }
    rig.until("own tuples", |rig| {
        rig.words().iter().filter(|word| *word == "own").count() == 3
    });
}

#[test]
fn a_spout_hears_of_its_life_and_is_left_alone_between() {
    let body = format!(
        r#"{LOOP}
handshake()
for command, id in turns():
    if command != "next":
        emit([command])
    elif not os.path.exists("told"):
        open("told", "w").close()
        emit(["next"])
"#
    );
    let mut rig = Rig::spout(&body, Conf::new());
    rig.until("next", |rig| rig.emitted.len() == 2);
    rig.component.deactivate().unwrap();
    rig.until("deactivate", |rig| rig.emitted.len() == 3);
    rig.component.activate().unwrap();
    rig.until("activate", |rig| rig.emitted.len() == 4);
    assert_eq!(rig.words(), ["activate", "next", "deactivate", "activate"]);
}

#[test]
fn commands_that_an_adapter_does_not_know_can_be_spared_it() {
    let body = format!(
        r#"{LOOP}
handshake()
for command, id in turns():
    if command == "next":
        emit(["next"])
    else:
        sys.exit(1)
"#
    );
    let spared = conf(&[("stormwire.shell.suppress.lifecycle", json!(true))]);
    let mut rig = Rig::spout(&body, spared);
    rig.until("tuples", |rig| rig.emitted.len() >= 3);
    assert!(rig.errors.is_empty(), "{:?}", rig.errors);
}

#[test]
fn an_activate_that_is_not_answered_stops_nothing() {
    let mut rig = Rig::spout(
        r#"
handshake()
while True:
    message = read()
    if message["command"] == "next":
        emit(["next"])
        write({"command": "sync"})
"#,
        conf(&[("topology.subprocess.timeout.secs", json!(1))]),
    );
    rig.until("tuples", |rig| rig.emitted.len() >= 3);
    assert!(rig.errors.is_empty(), "{:?}", rig.errors);
}

#[test]
fn task_ids_are_answered_within_the_turn() {
    let mut rig = Rig::spout(
        r#"
handshake()
while True:
    message = read()
    if message["command"] == "next":
        write({"command": "emit", "tuple": ["a"], "id": "a"})
        first = read()
        assert isinstance(first, list), first
        emit([json.dumps(first)])
    write({"command": "sync"})
"#,
        Conf::new(),
    );
    rig.until("tuples", |rig| rig.emitted.len() >= 4);
    let target = rig.emitted[0].target;
    assert_eq!(rig.words()[1], format!("[{target}]"));
    // Acks that are due in the middle of it come after the turn.
    for number in 0..2 {
        rig.component.ack(&Rig::tracked(number));
    }
    let n_before = rig.emitted.len();
    rig.until("more tuples", |rig| rig.emitted.len() >= n_before + 4);
    assert!(rig.errors.is_empty(), "{:?}", rig.errors);
}

#[test]
fn more_syncs_than_turns_are_tolerated() {
    let body = format!(
        r#"{LOOP}
handshake()
write({{"command": "sync"}})
for command, id in turns():
    if command == "next":
        emit(["x"])
        write({{"command": "sync"}})
"#
    );
    let mut rig = Rig::spout(&body, Conf::new());
    rig.until("tuples", |rig| rig.emitted.len() >= 5);
    assert!(rig.errors.is_empty(), "{:?}", rig.errors);
}

#[test]
fn a_dead_childs_tuples_are_not_its_successors() {
    let body = format!(
        r#"{LOOP}
again = os.path.exists("again")
open("again", "w").close()
handshake()
for command, id in turns():
    if command == "next" and not again:
        emit(["first"], id=1)
        sys.stderr.write("enough\n")
        sys.exit(7)
    elif command == "next":
        emit(["second"], id=2)
    elif command == "ack":
        emit(["ack " + str(id)])
"#
    );
    let mut rig = Rig::spout(&body, Conf::new());
    rig.until("the next child", |rig| {
        rig.words().iter().any(|word| word == "second")
    });
    assert_eq!(rig.errors.len(), 1);
    assert!(
        rig.errors[0].contains("exit status 7; last stderr: enough"),
        "{}",
        rig.errors[0]
    );
    rig.component.ack(&Rig::tracked(0));
    rig.component.ack(&Rig::tracked(1));
    rig.until("the ack", |rig| {
        rig.words().iter().any(|word| word.starts_with("ack"))
    });
    assert!(
        !rig.words().contains(&"ack 1".to_owned()),
        "{:?}",
        rig.words()
    );
}

#[test]
fn commands_of_bolts_and_unknown_ones_end_a_spouts_child() {
    for command in ["bogus", "ack", ""] {
        let body = format!(
            "{LOOP}\nhandshake()\n\
             for command, id in turns(): write({{'command': '{command}'}})"
        );
        let mut rig = Rig::spout(&body, Conf::new());
        rig.until("an error", |rig| !rig.errors.is_empty());
        assert!(rig.errors[0].contains("spout"), "{}", rig.errors[0]);
    }
}

#[test]
fn a_spout_that_hangs_in_its_turn_is_ended() {
    let mut rig = Rig::spout(
        "import time\nhandshake()\nread()\nwrite({'command': 'sync'})\nread()\ntime.sleep(1000)",
        conf(&[("topology.subprocess.timeout.secs", json!(1))]),
    );
    rig.until("an error", |rig| !rig.errors.is_empty());
    assert!(
        rig.errors[0].contains("silent for more than 1 s"),
        "{}",
        rig.errors[0]
    );
}

#[test]
fn no_more_is_asked_for_than_may_be_pending() {
    let body = format!(
        r#"{LOOP}
handshake()
for command, id in turns():
    if command == "next":
        emit(["x"], id=1)
"#
    );
    let mut rig = Rig::spout(&body, conf(&[("topology.max.spout.pending", json!(3))]));
    rig.until("tuples", |rig| rig.emitted.len() >= 3);
    let until = Instant::now() + Duration::from_millis(200);
    rig.until("time", |_| Instant::now() >= until);
    assert_eq!(rig.emitted.len(), 3);
}

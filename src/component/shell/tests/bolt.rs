//! Bolts whose children behave.

use serde_json::json;

use super::*;
use crate::clock;
use crate::conf::keys;
use crate::tuple::ValueRef;

#[test]
fn tuples_go_out_and_come_back_anchored_acked_and_failed() {
    let mut rig = Rig::bolt(
        r#"
handshake()
for t in tuples():
    word = t["tuple"][0]
    if word == "bad":
        write({"command": "fail", "id": t["id"]})
    else:
        emit([word.upper()], anchors=[t["id"]])
        emit([t["comp"], t["task"]], stream="other", anchors=t["id"])
        emit(["loose"])
        ack(t)
"#,
        Conf::new(),
    );
    for word in ["a", "bad", "b"] {
        rig.feed(word);
    }
    rig.until("all answers", |rig| rig.verdicts.len() == 3);
    assert_eq!(
        rig.verdicts,
        [Verdict::Acked(1), Verdict::Failed(2), Verdict::Acked(3)]
    );
    assert_eq!(
        rig.words(),
        ["A", "source", "loose", "B", "source", "loose"]
    );
    let roots: Vec<_> = rig
        .emitted
        .iter()
        .map(|tuple| tuple.roots.as_slice())
        .collect();
    let expected: [&[u64]; 6] = [&[1], &[1], &[], &[3], &[3], &[]];
    assert_eq!(roots, expected);
    assert_eq!(rig.emitted[1].stream, "other");
    assert_eq!(rig.emitted[1].values[1], Value::Int(7));
    assert!(rig.errors.is_empty(), "{:?}", rig.errors);
}

#[test]
fn a_thousand_tuples_keep_their_order_and_the_queue_its_bound() {
    let mut rig = Rig::bolt(
        r#"
handshake()
for t in tuples():
    emit(t["tuple"], anchors=[t["id"]])
    ack(t)
"#,
        conf(&[("topology.shellbolt.max.pending", json!(7))]),
    );
    for number in 0..1000 {
        rig.feed(&number.to_string());
        assert!(rig.component.room() <= 7);
    }
    rig.until("all answers", |rig| rig.verdicts.len() == 1000);
    let expected: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
    assert_eq!(rig.words(), expected);
}

#[test]
fn task_ids_come_back_in_the_order_of_their_emits() {
    let mut rig = Rig::bolt(
        r#"
handshake()
waiting = []
def ids_of(message):
    write(message)
    while True:
        answer = read()
        if isinstance(answer, list):
            return answer
        waiting.append(answer)
for t in tuples():
    first = ids_of({"command": "emit", "tuple": ["x"]})
    second = ids_of({"command": "emit", "tuple": ["y"], "task": 0, "need_task_ids": True})
    # A direct emit is never answered.
    write({"command": "emit", "tuple": ["z"], "stream": "direct1", "task": 9})
    emit([json.dumps([first, second])])
    ack(t)
"#,
        Conf::new(),
    );
    rig.feed("a");
    rig.until("the answer", |rig| !rig.verdicts.is_empty());
    let targets: Vec<_> = rig.emitted.iter().map(|tuple| tuple.target).collect();
    assert_eq!(targets[2], 9);
    let expected = format!("[[{}], [{}]]", targets[0], targets[1]);
    assert_eq!(rig.words(), ["x", "y", "z", &expected]);
}

#[test]
fn where_time_outs_are_off_no_answer_comes_too_late() {
    let conf = Conf::new()
        .with(keys::TOPOLOGY_ENABLE_MESSAGE_TIMEOUTS, false)
        .with(keys::TOPOLOGY_MESSAGE_TIMEOUT_SECS, 0);
    let mut rig = Rig::bolt(
        r#"
handshake()
held = []
for t in tuples():
    held.append(t)
    if len(held) == 4:
        for each in held:
            ack(each)
"#,
        conf,
    );
    for word in ["a", "b", "c", "d"] {
        // Longer than the time-out would be.
        let until_ms = clock::monotonic_millis() + 3;
        rig.until("time", |_| clock::monotonic_millis() >= until_ms);
        rig.feed(word);
    }
    rig.until("all answers", |rig| rig.verdicts.len() == 4);
    assert_eq!(rig.verdicts, [1, 2, 3, 4].map(Verdict::Acked));
}

#[test]
fn ticks_reach_the_child_and_may_be_acked_or_not() {
    let mut rig = Rig::bolt(
        r#"
handshake()
for t in tuples():
    emit([t["comp"] + t["stream"] + str(t["task"])], anchors=[t["id"]])
    ack(t)
    ack(t)
"#,
        Conf::new(),
    );
    rig.until("room", |rig| rig.component.room() > 0);
    let tick = rig.harness.tick();
    rig.component
        .execute(&tick.view(), &mut rig.harness.collector())
        .unwrap();
    rig.until("the answer", |rig| !rig.emitted.is_empty());
    assert_eq!(rig.words(), ["__system__tick-1"]);
    assert!(rig.errors.is_empty());
}

#[test]
fn a_silent_child_is_asked_for_a_sign_of_life() {
    let mut rig = Rig::bolt(
        r#"
handshake()
while True:
    message = read()
    if message["stream"] == "__heartbeat":
        emit([json.dumps([message["comp"], message["task"], message["tuple"]])])
"#,
        Conf::new(),
    );
    rig.until("a heartbeat", |rig| !rig.emitted.is_empty());
    assert_eq!(rig.words(), ["[null, -1, []]"]);
}

#[test]
fn logs_errors_and_metrics_are_taken_and_strange_commands_passed_over() {
    let mut rig = Rig::bolt(
        r#"
handshake()
for t in tuples():
    write({"command": "log", "msg": "hello", "level": 9})
    write({"command": "metrics", "name": "seen", "params": None})
    write({"command": "metrics", "name": "depth", "params": 3})
    write({"command": "metrics", "name": "", "params": 3})
    write({"command": "bogus"})
    write({"command": "error", "msg": "went wrong"})
    ack(t)
"#,
        Conf::new(),
    );
    rig.feed("a");
    rig.until("the answer", |rig| !rig.verdicts.is_empty());
    assert_eq!(
        rig.errors,
        [
            "a metric without a name",
            "Shell Process Exception: went wrong"
        ]
    );
}

#[test]
fn big_tuples_pass_both_ways() {
    let mut rig = Rig::bolt(
        r#"
handshake()
for t in tuples():
    emit([t["tuple"][0][::-1]], anchors=[t["id"]])
    ack(t)
"#,
        Conf::new(),
    );
    let word = "a".repeat(5_000_000) + "z";
    rig.feed(&word);
    rig.until("the answer", |rig| !rig.verdicts.is_empty());
    let Some(Value::Str(back)) = rig.emitted[0].values.first() else {
        panic!("no text")
    };
    assert!(back.starts_with("za") && back.len() == word.len());
}

#[test]
fn carriage_returns_and_many_lines_are_one_message() {
    let mut rig = Rig::bolt(
        r#"
handshake()
for t in tuples():
    sys.stdout.write('{"command":\r\n"emit", "need_task_ids": false,\r\n"tuple": ["x"]}\r\nend\r\n')
    sys.stdout.write('{"command": "ack",\n"id": "%s"}\nend\n' % t["id"])
    sys.stdout.flush()
"#,
        Conf::new(),
    );
    rig.feed("a");
    rig.until("the answer", |rig| !rig.verdicts.is_empty());
    assert_eq!(rig.words(), ["x"]);
}

#[test]
fn message_pack_children_are_spoken_to_in_message_pack() {
    let body = r#"
import struct
def pack(value):
    if value is None: return b"\xc0"
    if value is True: return b"\xc3"
    if value is False: return b"\xc2"
    if isinstance(value, int): return b"\xd3" + struct.pack(">q", value)
    if isinstance(value, str):
        value = value.encode()
        return b"\xd9" + bytes([len(value)]) + value
    if isinstance(value, bytes): return b"\xc4" + bytes([len(value)]) + value
    if isinstance(value, list):
        return bytes([0x90 + len(value)]) + b"".join(map(pack, value))
    return bytes([0x80 + len(value)]) + b"".join(pack(k) + pack(v) for k, v in value.items())
pipe = sys.stdin.buffer
def take(form):
    return struct.unpack(form, pipe.read(struct.calcsize(form)))[0]
def unpack():
    code = pipe.read(1)
    if not code: sys.exit(0)
    code = code[0]
    if code < 0x80: return code
    if code >= 0xe0: return code - 256
    if code < 0x90: return {unpack(): unpack() for _ in range(code & 15)}
    if code < 0xa0: return [unpack() for _ in range(code & 15)]
    if code < 0xc0: return pipe.read(code & 31).decode()
    if code in (0xc0, 0xc2, 0xc3): return {0xc0: None, 0xc2: False, 0xc3: True}[code]
    if code in (0xca, 0xcb): return take(">f" if code == 0xca else ">d")
    if 0xcc <= code <= 0xd3: return take(">" + "BHIQbhiq"[code - 0xcc])
    size = take(">" + {0xc4: "B", 0xc5: "H", 0xc6: "I", 0xd9: "B", 0xda: "H", 0xdb: "I",
                       0xdc: "H", 0xdd: "I", 0xde: "H", 0xdf: "I"}[code])
    if code <= 0xc6: return pipe.read(size)
    if code <= 0xdb: return pipe.read(size).decode()
    if code <= 0xdd: return [unpack() for _ in range(size)]
    return {unpack(): unpack() for _ in range(size)}
def write(message):
    sys.stdout.buffer.write(pack(message))
    sys.stdout.buffer.flush()
setup = unpack()
assert all(isinstance(key, str) for key in setup["context"]["task->component"])
write({"pid": os.getpid()})
while True:
    t = unpack()
    if t["stream"] == "__heartbeat":
        assert t["comp"] is None
        write({"command": "sync"})
        continue
    write({"command": "emit", "tuple": [t["tuple"][0] + b"!"], "anchors": [t["id"]],
           "need_task_ids": False})
    write({"command": "ack", "id": t["id"]})
"#;
    // The class of the topology says so.
    let class = json!("com.yelp.pyleus.serializer.MessagePackSerializer");
    let mut rig = Rig::bolt(body, conf(&[("topology.multilang.serializer", class)]));
    for number in 1..=3 {
        rig.until("room", |rig| rig.component.room() > 0);
        let tuple = rig.harness.input(&[ValueRef::Bytes(b"raw")]);
        rig.component
            .execute(&tuple.view(), &mut rig.harness.collector())
            .unwrap();
        rig.until("the answer", |rig| rig.verdicts.len() == number);
    }
    assert_eq!(rig.emitted[0].values, [Value::Bytes((&b"raw!"[..]).into())]);
    assert!(rig.errors.is_empty(), "{:?}", rig.errors);
}

#[test]
fn bytes_for_a_json_child_fail_the_tuple_and_nothing_else() {
    let mut rig = Rig::bolt("handshake()\nfor t in tuples(): ack(t)", Conf::new());
    rig.until("room", |rig| rig.component.room() > 0);
    let tuple = rig.harness.input(&[ValueRef::Bytes(b"raw")]);
    let refused = rig
        .component
        .execute(&tuple.view(), &mut rig.harness.collector());
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("stormwire.shell.bytes.base64")
    );
    rig.feed("a");
    rig.until("the answer", |rig| !rig.verdicts.is_empty());
    assert_eq!(rig.verdicts, [Verdict::Acked(2)]);
}

#[test]
fn a_child_ends_with_its_task_and_leaves_nothing() {
    // Neither the end of its input nor SIGTERM moves this child, and it has a child of its own.
    let mut rig = Rig::bolt(
        r#"
import signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen(["sleep", "1000"])
handshake()
emit([str(os.getpid()), str(grandchild.pid)], stream="other")
while True:
    time.sleep(1000)
"#,
        conf(&[("supervisor.worker.shutdown.sleep.secs", json!(1))]),
    );
    rig.until("the pids", |rig| !rig.emitted.is_empty());
    let pids: Vec<i32> = rig.emitted[0]
        .values
        .iter()
        .map(|pid| pid.to_string().parse().unwrap())
        .collect();
    let alive = |pid: &i32| crate::process::Process::of_pid(*pid).is_some();
    assert!(pids.iter().all(alive));
    assert_eq!(rig.traces(), 2);
    rig.component.cleanup();
    rig.until("end of both", |rig| {
        !pids.iter().any(alive) && rig.traces() == 0
    });
}

/// A write for each tuple is what costs Storm most: here they gather while the child reads.
#[test]
fn a_thousand_tuples_take_few_writes() {
    let mut rig = Rig::bolt(
        r#"
handshake()
for t in tuples():
    write({"command": "ack", "id": t["id"]})
"#,
        Conf::new(),
    );
    rig.until("the child", |rig| rig.component.room() > 0);
    let before = rig.component.n_writes();
    let mut n_fed = 0;
    while n_fed < 1000 {
        rig.until("room", |rig| rig.component.room() > 0);
        // As an executor's turn does: as many as there is room for, then one look around.
        let room = rig.component.room().min(1000 - n_fed);
        for number in 0..room {
            rig.feed_in_turn(&format!("word{}", n_fed + number));
        }
        n_fed += room;
    }
    rig.until("all answers", |rig| rig.verdicts.len() == 1000);
    let n_writes = rig.component.n_writes() - before;
    println!("1000 tuples: {n_writes} writes");
    // A turn has up to 100; the pipe may take some of them in parts.
    assert!(n_writes <= 50, "{n_writes} writes");
}

/// Each message of a child may cost a few allocations, and none grows with what came before.
#[test]
fn a_tuple_and_its_ack_cost_few_allocations() {
    let mut rig = Rig::bolt(
        r#"
handshake()
for t in tuples():
    write({"command": "ack", "id": t["id"]})
"#,
        Conf::new(),
    );
    let tuple = rig.harness.input(&crate::values!["some data"]);
    let mut windows = Vec::new();
    for _ in 0..5 {
        rig.until("room", |rig| rig.component.room() >= 100);
        let n_before = crate::testing::allocations::on_this_thread();
        for _ in 0..100 {
            let mut out = rig.harness.collector();
            rig.component.execute(&tuple.view(), &mut out).unwrap();
        }
        windows.push(crate::testing::allocations::on_this_thread() - n_before);
    }
    println!("allocations for 100 tuples: {windows:?}");
    // The copy of the tuple is one; what grows at first (the queue, the map) is there by the end.
    let last = windows.last().unwrap();
    assert!(*last <= 210, "{windows:?}");
}

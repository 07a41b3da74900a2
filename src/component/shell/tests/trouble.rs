//! Children that break the rules, hang and die; and the bolts that live on.

use serde_json::json;

use super::*;

/// A bolt with one tuple in flight whose child then does `body`: the error that is reported. The
/// tuple fails and another child takes over.
#[track_caller]
fn check_trouble(body: &str, conf: Conf, expected: &[&str]) {
    let script = format!(
        r#"
again = os.path.exists("again")
open("again", "w").close()
setup = handshake()
for t in tuples():
    if again or t["tuple"][0] == "good":
        ack(t)
        continue
{}
"#,
        body.trim_matches('\n')
            .lines()
            .map(|line| format!("    {line}\n"))
            .collect::<String>()
    );
    let mut rig = Rig::bolt(&script, conf);
    rig.feed("good");
    rig.feed("bad");
    rig.until("an error", |rig| !rig.errors.is_empty());
    assert_eq!(rig.verdicts, [Verdict::Acked(1), Verdict::Failed(2)]);
    let error = &rig.errors[0];
    assert!(
        error.starts_with("component tested task 1: child "),
        "{error}"
    );
    for part in expected {
        assert!(error.contains(part), "{part:?} is not in {error}");
    }
    rig.feed("bad");
    rig.until("the next child", |rig| rig.verdicts.len() == 3);
    assert_eq!(rig.verdicts[2], Verdict::Acked(3));
    assert_eq!(rig.errors.len(), 1);
}

#[test]
fn what_is_no_message_ends_the_child() {
    for text in ["hello", "", "[1]", "null", r#"{\"msg\": \"x\"}"#, "{"] {
        let body = format!("sys.stdout.write(\"{text}\\nend\\n\")\nsys.stdout.flush()\nread()");
        check_trouble(&body, Conf::new(), &["was ended: ", "the child wrote: "]);
    }
}

#[test]
fn garbage_is_shown() {
    let body = r#"
print("debug: at line 7", flush=True)
ack(t)
read()
"#;
    check_trouble(
        body,
        Conf::new(),
        &["not a JSON object", "debug: at line 7"],
    );
}

#[test]
fn an_exit_is_explained_by_its_status_and_stderr() {
    let body = r#"
sys.stderr.write("Traceback: no such module\n")
sys.exit(3)
"#;
    check_trouble(
        body,
        Conf::new(),
        &[
            "ended with exit status 3",
            "last stderr: Traceback: no such module",
        ],
    );
}

#[test]
fn a_kill_is_explained_by_its_signal() {
    let body = "os.kill(os.getpid(), 9)";
    check_trouble(
        body,
        Conf::new(),
        &["ended with signal 9 (SIGKILL)", "nothing to stderr"],
    );
}

#[test]
fn half_a_message_and_a_closed_pipe_are_shown() {
    let body = r#"
sys.stdout.write('{"command": "emi')
sys.stdout.flush()
os.close(1)
read()
"#;
    check_trouble(
        body,
        Conf::new(),
        &["in the middle of a message: {\"command\": \"emi"],
    );
}

/// What ends its group does not reach it then.
#[test]
fn a_child_that_left_its_group_is_ended_too() {
    let body = r#"
os.setpgid(0, os.getpgid(os.getppid()))
sys.stdout.write("no message\nend\n")
sys.stdout.flush()
__import__("signal").pause()
"#;
    check_trouble(body, Conf::new(), &["was ended: ", "no message"]);
}

#[test]
fn a_child_that_closes_its_input_and_talks_on_is_ended() {
    let mut rig = Rig::bolt(
        r#"
import time
again = os.path.exists("again")
open("again", "w").close()
handshake()
for t in tuples():
    if again:
        ack(t)
        continue
    os.close(0)
    emit(["closed"])
    while True:
        write({"command": "sync"})
        time.sleep(0.05)
"#,
        Conf::new(),
    );
    rig.feed("a");
    rig.until("the end of its input", |rig| !rig.emitted.is_empty());
    rig.feed("b");
    rig.until("an error", |rig| !rig.errors.is_empty());
    assert_eq!(rig.verdicts, [Verdict::Failed(1), Verdict::Failed(2)]);
    let error = &rig.errors[0];
    assert!(error.contains("closed its standard input"), "{error}");
    rig.feed("c");
    rig.until("the next child", |rig| rig.verdicts.len() == 3);
    assert_eq!(rig.verdicts[2], Verdict::Acked(3));
}

#[test]
fn a_child_that_hangs_is_ended() {
    let body = r#"
import time
while True:
    time.sleep(1000)
"#;
    let timeout = conf(&[("topology.subprocess.timeout.secs", json!(1))]);
    check_trouble(body, timeout, &["silent for more than 1 s"]);
}

#[test]
fn wrong_ids_anchors_streams_and_arities_end_the_child() {
    let cases = [
        (
            "write({'command': 'ack', 'id': '12345'})\nread()",
            "an ack or fail of 12345",
        ),
        ("write({'command': 'ack'})\nread()", "without an id"),
        (
            "ack(t)\nemit(['x'], anchors=[t['id']])\nread()",
            "after ack/fail",
        ),
        ("emit(['x'], anchors=[None])\nread()", "Anchored onto null"),
        (
            "emit(['x'], stream='nowhere')\nread()",
            "does not declare a stream `nowhere`",
        ),
        (
            "emit(['x', 'y'])\nread()",
            "declares 1 fields, the tuple has 2 values",
        ),
        (
            "emit(['x'], task=5000000000)\nread()",
            "task 5000000000, which cannot be",
        ),
        (
            "write({'command': 'emit'})\nread()",
            "an emit without a tuple",
        ),
    ];
    for (body, expected) in cases {
        let in_flight = !body.starts_with("ack(t)");
        if in_flight {
            check_trouble(body, Conf::new(), &[expected]);
            continue;
        }
        let script = format!(
            "handshake()\nfor t in tuples():\n{}",
            body.lines()
                .map(|line| format!("    {line}\n"))
                .collect::<String>()
        );
        let mut rig = Rig::bolt(&script, Conf::new());
        rig.feed("a");
        rig.until("an error", |rig| !rig.errors.is_empty());
        assert!(rig.errors[0].contains(expected), "{}", rig.errors[0]);
    }
}

#[test]
fn a_banner_before_the_handshake_is_quoted() {
    let mut rig = Rig::bolt(
        "print('Welcome to my bolt')\nhandshake()\nread()",
        Conf::new(),
    );
    rig.until("an error", |rig| !rig.errors.is_empty());
    let error = &rig.errors[0];
    assert!(error.contains("no answer to the handshake"), "{error}");
    assert!(error.contains("Welcome to my bolt"), "{error}");
}

#[test]
fn a_handshake_that_is_not_answered_has_an_end() {
    let mut rig = Rig::bolt(
        "read()\nread()",
        conf(&[("stormwire.shell.handshake.timeout.secs", json!(1))]),
    );
    rig.until("an error", |rig| !rig.errors.is_empty());
    assert!(
        rig.errors[0].contains("no answer to the handshake within 1 s"),
        "{}",
        rig.errors[0]
    );
}

#[test]
fn a_missing_interpreter_is_named_with_where_it_was_looked_for() {
    let shell = ShellComponent {
        execution_command: Some("python9".to_owned()),
        script: Some("child.py".to_owned()),
    };
    let conf = conf(&[("topology.environment", json!({"PATH": "/nowhere/bin"}))]);
    let mut rig = Rig::bolt_of(shell, "", conf);
    rig.until("an error", |rig| !rig.errors.is_empty());
    let error = &rig.errors[0];
    for part in [
        "component tested task 1",
        "`python9`",
        "PATH (/nowhere/bin)",
        "install it",
        "tested is",
    ] {
        assert!(error.contains(part), "{part:?} is not in {error}");
    }
}

#[test]
fn a_missing_script_is_explained_by_the_interpreter() {
    let shell = ShellComponent {
        execution_command: Some("python3".to_owned()),
        script: Some("no such.py".to_owned()),
    };
    let mut rig = Rig::bolt_of(shell, "", Conf::new());
    rig.until("an error", |rig| !rig.errors.is_empty());
    let error = &rig.errors[0];
    assert!(
        error.contains("exit status 2") && error.contains("no such.py"),
        "{error}"
    );
}

#[test]
fn after_too_many_deaths_the_task_stops_and_says_so() {
    let mut rig = Rig::bolt(
        "open('starts', 'a').write('x')\nsys.exit(1)",
        conf(&[("stormwire.shell.restart.max", json!(2))]),
    );
    let gave_up = |rig: &Rig<_>| {
        rig.errors
            .iter()
            .any(|error| error.contains("not started again"))
    };
    rig.until("the last error", gave_up);
    assert_eq!(rig.errors.len(), 3);
    assert!(
        rig.errors[2].contains("death 3 within 60 s"),
        "{}",
        rig.errors[2]
    );
    assert_eq!(rig.component.room(), 0);
    let starts = std::fs::read(rig.directory.path().join("resources/starts")).unwrap();
    assert_eq!(starts, b"xxx");
    assert_eq!(rig.traces(), 0);
}

#[test]
fn a_flood_of_stderr_stops_nobody() {
    let mut rig = Rig::bolt(
        r#"
sys.stderr.write("x" * 300000 + "\n")
sys.stderr.flush()
handshake()
for t in tuples():
    for number in range(20000):
        sys.stderr.write("line %d of many that are written here\n" % number)
    sys.stderr.flush()
    ack(t)
    if t["tuple"][0] == "last":
        sys.exit(4)
"#,
        Conf::new(),
    );
    rig.feed("a");
    rig.feed("last");
    rig.until("an error", |rig| !rig.errors.is_empty());
    assert_eq!(rig.verdicts, [Verdict::Acked(1), Verdict::Acked(2)]);
    let error = &rig.errors[0];
    assert!(error.contains("exit status 4"), "{error}");
    assert!(
        error.contains("line 19999 of many") && error.len() < 10_000,
        "{}",
        error.len()
    );
}

#[test]
fn a_child_blocked_on_its_output_still_gets_its_input() {
    // It writes far more than a pipe holds before it reads on, while we have more for it than a
    // pipe holds.
    let mut rig = Rig::bolt(
        r#"
handshake()
for t in tuples():
    for number in range(50):
        emit(["y" * 20000])
    ack(t)
"#,
        Conf::new(),
    );
    let word = "x".repeat(50_000);
    for _ in 0..20 {
        rig.feed(&word);
    }
    rig.until("all answers", |rig| rig.verdicts.len() == 20);
    assert_eq!(rig.emitted.len(), 1000);
}

#[test]
fn what_is_in_the_pipe_of_a_child_that_exits_still_counts() {
    let mut rig = Rig::bolt(
        r#"
handshake()
for t in tuples():
    emit(["last words"], anchors=[t["id"]])
    ack(t)
    os._exit(0)
"#,
        Conf::new(),
    );
    rig.feed("a");
    rig.until("an error", |rig| !rig.errors.is_empty());
    assert_eq!(rig.words(), ["last words"]);
    assert_eq!(rig.verdicts, [Verdict::Acked(1)]);
    assert!(
        rig.errors[0].contains("ended with exit status 0"),
        "{}",
        rig.errors[0]
    );
}

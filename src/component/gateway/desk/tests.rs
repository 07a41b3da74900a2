//! A desk without an engine and without sockets: what tasks and peers say, in whatever order.

use super::*;
use crate::component::Waker;
use crate::component::gateway::emission::Draft;
use crate::component::gateway::run::Run;
use crate::tuple::HeldTuple;
use crate::values;
use crate::wire::messages::{GatewayMessage, Value as WireValue};
use crate::worker::harness::Harness;

/// A desk with tasks 10, 11, ...; tuples are made by the harness.
struct Stage {
    desk: Desk,
    lines: Vec<Arc<PostLine>>,
    harness: Harness,
    /// The serial of the next tuple of each task.
    serials: Vec<u64>,
}

// === impl Stage ===

impl Stage {
    fn new(role: GatewayRole, n_tasks: usize) -> Self {
        let word = OutStream {
            name: "default".to_owned(),
            fields: vec!["word".to_owned()],
            is_direct: false,
        };
        let profile = Profile {
            component: ComponentId::from("c"),
            role,
            token: None,
            outputs: vec![word],
            inputs: Vec::new(),
            conf: String::new(),
            topology_id: "t-1-1".to_owned(),
            is_acking: true,
            packing: Default::default(),
        };
        let mut stage = Stage {
            desk: Desk::new(Arc::new(profile)),
            lines: Vec::new(),
            harness: Harness::new(&[]),
            serials: Vec::new(),
        };
        (0..n_tasks).for_each(|index| stage.attach(index));
        stage
    }

    fn attach(&mut self, index: usize) {
        let line = Arc::new(PostLine::new(Waker::idle()));
        let task = TaskId(10 + index as i32);
        let first = self.desk.attach((index, task), Arc::clone(&line), 0);
        if index < self.lines.len() {
            (self.lines[index], self.serials[index]) = (line, first);
        } else {
            self.lines.push(line);
            self.serials.push(first);
        }
    }

    fn open(&mut self, peer: &str) -> SessionNumber {
        let ask = Ask {
            peer: peer.to_owned(),
            connection: None,
            tasks_max: usize::MAX,
            lease_ms: 1000,
            credit: 100,
            form: GatewayForm::Tuples,
            codecs: Vec::new(),
        };
        self.desk.open(ask, 0).unwrap()
    }

    /// The task executes so many tuples.
    fn execute(&mut self, index: usize, n: usize) {
        let tuples: Vec<HeldTuple> = (0..n).map(|_| self.harness.input(&values!["w"])).collect();
        let mut run = Run::new(&tuples[0].view(), Some(self.serials[index]));
        for tuple in &tuples[1..] {
            run.push(&tuple.view()).unwrap();
        }
        self.serials[index] += n as u64;
        self.lines[index].add_waiting(run.len(), run.n_bytes());
        self.desk.hand_over(index, &mut vec![run], None, 0);
    }

    /// Handles of what a session is given.
    fn take(&mut self, session: SessionNumber, n_max: usize) -> Vec<i64> {
        let mut tuples = Vec::new();
        for (index, run) in self.desk.take(session, n_max).unwrap() {
            run.into_tuples(index, &mut tuples);
        }
        tuples.iter().map(|tuple| tuple.handle).collect()
    }

    fn ack(&mut self, session: SessionNumber, handles: &[i64]) -> Result<(), DeskError> {
        let mut answers = Answers {
            acks: handles.to_vec(),
            ..Answers::default()
        };
        self.desk.answer(session, &mut answers, 0)
    }

    /// What the task has to do, in short.
    fn work(&mut self, index: usize) -> Vec<String> {
        let work = self.desk.take_work(index);
        let text = |work: &Work| match work {
            Work::Emit(emission) => format!("emit {:?}", emission.anchors(0)),
            Work::Settle { acked, failed } => format!("ack {acked:?} fail {failed:?}"),
            Work::Lost { below } => format!("lost {below}"),
        };
        work.iter().map(text).collect()
    }

    fn draft(&self, anchors: &[i64], id: Option<i64>) -> Draft {
        let message = GatewayMessage {
            values: vec![WireValue::StringValue("w".to_owned())],
            anchors: Some(anchors.to_vec()),
            id,
            ..GatewayMessage::default()
        };
        Draft::of_message(&self.desk.profile.outputs, message).unwrap()
    }
}

#[track_caller]
fn check_refused(outcome: Result<(), DeskError>, expected: &str) {
    let error = outcome.unwrap_err();
    assert!(matches!(error, DeskError::BadRequest(_)), "{error:?}");
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn answers_reach_the_task_that_has_the_tuple() {
    let mut stage = Stage::new(GatewayRole::Bolt, 2);
    let peer = stage.open("p");
    stage.execute(0, 3);
    stage.execute(1, 1);
    let handles = stage.take(peer, 10);
    assert_eq!(handles.len(), 4);
    let mut answers = Answers {
        drafts: vec![stage.draft(&[1, 2], None)],
        acks: vec![1],
        ack_ranges: std::iter::once(2..3).collect(),
        fails: vec![*handles.iter().max().unwrap(), 3],
        task: None,
    };
    stage.desk.answer(peer, &mut answers, 0).unwrap();
    assert_eq!(
        stage.work(0),
        ["emit [1, 2]", "ack [1, 2] fail []", "ack [] fail [3]"]
    );
    assert_eq!(stage.work(1), ["ack [] fail [1]"]);
    assert_eq!(stage.lines[0].n_waiting(), 0);
}

#[test]
fn a_call_is_done_whole_or_not_at_all() {
    let mut stage = Stage::new(GatewayRole::Bolt, 1);
    let (peer, other) = (stage.open("p"), stage.open("q"));
    stage.execute(0, 2);
    let handles = stage.take(peer, 10);
    check_refused(stage.ack(peer, &[handles[0], 77]), "77 is no handle");
    check_refused(stage.ack(peer, &[-1]), "-1 is no handle");
    check_refused(
        stage.ack(other, &handles),
        "is no handle of a tuple of this",
    );
    let twice = [handles[0], handles[0]];
    check_refused(stage.ack(peer, &twice), "is acked or failed already");
    assert_eq!(stage.work(0), [""; 0], "nothing of it was done");
    stage.ack(peer, &handles).unwrap();
    check_refused(stage.ack(peer, &handles), "is acked or failed already");
    let mut late = Answers {
        drafts: vec![stage.draft(&handles, None)],
        ..Answers::default()
    };
    check_refused(
        stage.desk.answer(peer, &mut late, 0),
        "is acked or failed already",
    );
    stage.ack(peer, &[0, 0]).expect("ticks need no answer");
    assert_eq!(stage.work(0), ["ack [1, 2] fail []"]);
}

#[test]
fn a_lost_peer_fails_what_it_had_and_the_next_one_goes_on() {
    let mut stage = Stage::new(GatewayRole::Bolt, 1);
    let (first, second) = (stage.open("p"), stage.open("q"));
    stage.execute(0, 5);
    let handles = stage.take(first, 3);
    stage.ack(first, &handles[..1]).unwrap();
    stage.desk.end(first, Ending::Disconnected, 0);
    assert_eq!(stage.work(0), ["ack [1] fail []", "lost 4"]);
    let troubles = stage.desk.take_troubles(0);
    assert!(
        troubles[0].contains("`p` of component c is lost"),
        "{troubles:?}"
    );
    assert!(troubles[0].contains("2 tuples of task 10 fail"));
    assert_eq!(stage.ack(first, &handles), Err(DeskError::NoSession));
    assert_eq!(stage.desk.held(second), [TaskId(10)]);
    assert_eq!(stage.take(second, 10), [4, 5]);
    stage.ack(second, &[2]).expect("too late, and no harm");
    assert_eq!(stage.work(0), ["ack [] fail []"; 0]);
}

#[test]
fn what_waited_too_long_is_given_to_nobody() {
    let mut stage = Stage::new(GatewayRole::Bolt, 1);
    let peer = stage.open("p");
    stage.execute(0, 5);
    assert_eq!(stage.take(peer, 2), [1, 2]);
    stage.execute(0, 3);
    stage.desk.hand_over(0, &mut Vec::new(), Some(7), 0);
    assert_eq!(stage.lines[0].n_waiting(), 2);
    stage.ack(peer, &[1]).expect("too late, and no harm");
    let handles = stage.take(peer, 10);
    assert_eq!(handles, [7, 8], "serials go on as the task counts them");
    stage.ack(peer, &handles).unwrap();
    assert_eq!(stage.work(0), ["ack [7, 8] fail []"]);
    assert_eq!(
        (stage.lines[0].n_waiting(), stage.lines[0].bytes_waiting()),
        (0, 0)
    );
}

#[test]
fn a_task_moves_to_a_peer_that_joins_when_its_first_one_owes_nothing() {
    let mut stage = Stage::new(GatewayRole::Bolt, 2);
    let first = stage.open("p");
    stage.execute(1, 2);
    let handles = stage.take(first, 10);
    let second = stage.open("q");
    assert_eq!(stage.desk.held(first).len(), 2);
    assert_eq!(stage.lines[1].share(), 0, "it takes nothing on meanwhile");
    stage.execute(1, 1);
    assert_eq!(stage.take(first, 10), [0; 0]);
    stage.ack(first, &handles).unwrap();
    assert_eq!(stage.desk.held(second), [TaskId(11)]);
    assert_eq!(stage.lines[1].share(), 100);
    assert_eq!(stage.take(second, 10).len(), 1);
}

#[test]
fn what_a_task_cannot_emit_yet_is_bounded() {
    let mut stage = Stage::new(GatewayRole::Bolt, 1);
    let peer = stage.open("p");
    let large = || GatewayMessage {
        values: vec![WireValue::StringValue("x".repeat(7 << 20))],
        ..GatewayMessage::default()
    };
    let emit = |stage: &mut Stage| {
        let draft = Draft::of_message(&stage.desk.profile.outputs, large()).unwrap();
        let mut answers = Answers {
            drafts: vec![draft],
            ..Answers::default()
        };
        stage.desk.answer(peer, &mut answers, 0)
    };
    for _ in 0..3 {
        emit(&mut stage).unwrap();
    }
    let full = emit(&mut stage);
    assert!(matches!(full, Err(DeskError::Full(_))), "{full:?}");
    stage.ack(peer, &[]).expect("answers without emits pass");
    assert_eq!(stage.work(0).len(), 3);
    emit(&mut stage).unwrap();
}

#[test]
fn a_peers_errors_are_bounded() {
    let mut stage = Stage::new(GatewayRole::Spout, 1);
    let peer = stage.open("p");
    let long = "\u{e4}".repeat(limits::REPORTED_ERROR_BYTES_MAX);
    stage.desk.report(peer, vec![long; 100]);
    let told = stage.desk.take_troubles(0);
    assert_eq!(told.len(), limits::GATEWAY_ERRORS_MAX);
    assert!(told[0].len() <= limits::REPORTED_ERROR_BYTES_MAX);
}

#[test]
fn credit_is_shared_by_the_tasks_of_a_peer() {
    let mut stage = Stage::new(GatewayRole::Bolt, 4);
    assert_eq!(stage.lines[0].share(), 0, "nobody is here");
    stage.open("p");
    assert!(stage.lines.iter().all(|line| line.share() == 25));
    stage.open("q");
    assert!(stage.lines.iter().all(|line| line.share() == 50));
}

#[test]
fn a_task_that_starts_over_uses_no_handle_again() {
    let mut stage = Stage::new(GatewayRole::Bolt, 1);
    let peer = stage.open("p");
    stage.execute(0, 2);
    let handles = stage.take(peer, 10);
    let line = Arc::clone(&stage.lines[0]);
    stage.attach(0);
    stage.desk.detach(0, &line, 0);
    assert_eq!(stage.desk.tasks().count(), 1, "the old one is gone already");
    stage.execute(0, 1);
    stage.ack(peer, &handles).expect("of the life before: void");
    assert_eq!(stage.take(peer, 10), [3]);
    assert_eq!(stage.work(0), [""; 0]);
}

#[test]
fn a_silent_peer_is_told_from_one_that_waits() {
    let mut stage = Stage::new(GatewayRole::Bolt, 1);
    let peer = stage.open("p");
    assert!(stage.desk.silent(999).is_empty());
    assert_eq!(stage.desk.silent(1000), [peer]);
    stage.desk.begin(peer, 500).unwrap();
    assert!(stage.desk.silent(9000).is_empty(), "a call is parked");
    stage.desk.end_call(peer, 9000);
    assert!(stage.desk.silent(9999).is_empty());
    assert_eq!(stage.desk.silent(10_000), [peer]);
    stage.desk.end(peer, Ending::Silent, 10_000);
    assert!(stage.desk.begin(peer, 10_000).is_err());
    stage.desk.end_call(peer, 10_000);
}

#[test]
fn a_task_without_a_peer_says_so_now_and_then() {
    let mut stage = Stage::new(GatewayRole::Bolt, 1);
    let told = |stage: &mut Stage, now_ms| {
        stage.desk.tell_vacancies(now_ms);
        stage.desk.take_troubles(0)
    };
    assert!(told(&mut stage, 2999).is_empty());
    let troubles = told(&mut stage, 3000);
    assert!(troubles[0].contains("no peer for component c: task 10"));
    assert!(told(&mut stage, 4000).is_empty());
    assert_eq!(told(&mut stage, 63_000).len(), 1);
    let peer = stage.open("p");
    assert!(told(&mut stage, 200_000).is_empty());
    stage.desk.end(peer, Ending::Left, 200_000);
    assert!(told(&mut stage, 202_999).is_empty());
    assert_eq!(told(&mut stage, 203_000).len(), 1);
}

#[test]
fn a_spouts_tuples_are_taken_on_all_or_none_and_their_fates_come_back() {
    let mut stage = Stage::new(GatewayRole::Spout, 1);
    let (peer, other) = (stage.open("p"), stage.open("q"));
    let mut drafts = vec![stage.draft(&[], Some(7)), stage.draft(&[], None)];
    stage.desk.push(peer, None, &mut drafts).unwrap();
    assert!(stage.lines[0].has_queue());
    let emission = stage.desk.next_emission(0).unwrap();
    assert_eq!((emission.id(0), emission.session), (Some(7), peer));
    stage.desk.next_emission(0).unwrap();
    assert!(!stage.lines[0].has_queue());
    let mut fates = vec![(peer, 7, Fate::Acked), (99, 7, Fate::Acked)];
    stage.desk.settle(&mut fates);
    let (fates, credit) = stage.desk.take_fates(peer).unwrap();
    assert_eq!((fates.acked, fates.failed), (vec![7], vec![]));
    assert_eq!(credit, limits::GATEWAY_QUEUE_TUPLES_MAX);
    let mut drafts = vec![stage.draft(&[], None)];
    let full = stage.desk.push(other, None, &mut drafts);
    assert!(matches!(full, Err(DeskError::Full(_))), "it holds no task");
    check_refused(
        stage.desk.push(other, Some(TaskId(10)), &mut drafts),
        "task 10 is not held by this session",
    );
    assert_eq!(drafts.len(), 1, "they stay the caller's");
}

#[test]
fn a_spouts_queue_is_bounded_by_one_call_more() {
    let mut stage = Stage::new(GatewayRole::Spout, 1);
    let peer = stage.open("p");
    for _ in 0..limits::GATEWAY_QUEUE_TUPLES_MAX {
        let mut drafts = vec![stage.draft(&[], None)];
        stage.desk.push(peer, None, &mut drafts).unwrap();
    }
    let mut drafts = vec![stage.draft(&[], None)];
    let full = stage.desk.push(peer, None, &mut drafts);
    assert!(matches!(full, Err(DeskError::Full(_))), "{full:?}");
    assert_eq!(stage.desk.take_fates(peer).unwrap().1, 0);
    stage.desk.next_emission(0).unwrap();
    stage.desk.push(peer, None, &mut drafts).unwrap();
}

#[test]
fn there_are_only_so_many_sessions() {
    let mut stage = Stage::new(GatewayRole::Spout, 1);
    for _ in 0..limits::GATEWAY_SESSIONS_MAX {
        stage.open("p");
    }
    let ask = stage.desk.sessions[&1].ask.clone();
    let refused = stage.desk.open(ask, 0).unwrap_err().to_string();
    assert!(
        refused.contains("1024 peers of this component"),
        "{refused}"
    );
}

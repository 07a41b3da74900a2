//! Spout and bolt at a real emitter, their peers at the hall.

use std::time::Duration;

use super::hall::{Answers, Ask, DeskError, Draft, Hall, Opened, Visitor};
use super::{GatewayBolt, GatewaySpout};
use crate::clock;
use crate::component::{Bolt, Spout, Waker};
use crate::conf::{Conf, keys};
use crate::tuple::Value;
use crate::values;
use crate::wire::messages::{GatewayColumn, GatewayColumns, GatewayForm, GatewayRole, GatewayRun};
use crate::worker::harness::{self, COMPONENT, Harness, Verdict};

fn ask() -> Ask {
    Ask {
        peer: "p".to_owned(),
        connection: Some(([127, 0, 0, 1], 7).into()),
        tasks_max: usize::MAX,
        lease_ms: 1000,
        credit: 4,
        form: GatewayForm::Columns,
        codecs: Vec::new(),
    }
}

fn open(hall: &Hall, role: GatewayRole) -> Opened {
    let opened = hall.open((COMPONENT, role), None, &Visitor::default(), ask());
    opened.expect("let in")
}

fn words(words: &[&str]) -> GatewayColumns {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    GatewayColumns {
        columns: vec![GatewayColumn::Strings(words)],
        ..GatewayColumns::default()
    }
}

fn drafts(opened: &Opened, columns: GatewayColumns) -> Vec<Draft> {
    let outputs = &opened.desk.profile.outputs;
    Draft::all(outputs, None, Some(vec![columns])).expect("what is declared")
}

/// A bolt that is prepared, and the hall where its peers come.
macro_rules! bolt {
    ($hall:ident, $bolt:ident, $conf:expr) => {
        let directory = tempfile::tempdir().expect("a directory");
        let context = harness::context(directory.path(), $conf, Waker::idle());
        let $hall = context.place().gateway.clone();
        let mut $bolt = GatewayBolt::default();
        $bolt.prepare(&context).expect("a desk");
    };
}

async fn receive(hall: &Hall, secret: &str, answers: Answers) -> Vec<GatewayRun> {
    let call = hall.enter(secret, &Visitor::default()).expect("a session");
    let received = call.receive(answers, 100, Duration::ZERO).await;
    let runs = received.expect("taken").runs.into_iter();
    runs.map(|(index, run)| run.into_columns(index)).collect()
}

#[tokio::test]
async fn a_bolts_peer_gets_its_tuples_and_its_word_is_done() {
    bolt!(hall, bolt, Conf::new());
    let mut harness = Harness::new(&[("default", &["word"])]);
    assert_eq!(bolt.room(), 0, "nobody is here");
    let peer = open(&hall, GatewayRole::Bolt);
    assert_eq!(bolt.room(), 4);
    for word in ["a", "b", "c", "d"] {
        let tuple = harness.input(&values![word]);
        bolt.execute(&tuple.view(), &mut harness.collector())
            .unwrap();
    }
    assert_eq!(bolt.room(), 0, "its credit is used up");
    bolt.poll(&mut harness.collector()).unwrap();
    let runs = receive(&hall, &peer.secret, Answers::default()).await;
    assert_eq!((runs.len(), runs[0].count), (1, 4));
    let first = runs[0].first_handle;
    let answers = Answers {
        drafts: drafts(
            &peer,
            GatewayColumns {
                anchors: Some(vec![first, first + 2]),
                ..words(&["A", "C"])
            },
        ),
        ack_ranges: std::iter::once(first..first + 3).collect(),
        fails: vec![first + 3],
        ..Answers::default()
    };
    assert!(receive(&hall, &peer.secret, answers).await.is_empty());
    bolt.poll(&mut harness.collector()).unwrap();
    let emitted = harness.emitted();
    assert_eq!(emitted[0].values, [Value::Str("A".into())]);
    assert_eq!((&emitted[0].roots, &emitted[1].roots), (&vec![1], &vec![3]));
    let verdicts = [
        Verdict::Acked(1),
        Verdict::Acked(2),
        Verdict::Acked(3),
        Verdict::Failed(4),
    ];
    assert_eq!(harness.verdicts(), verdicts);
    assert_eq!(bolt.room(), 4);
}

#[tokio::test]
async fn a_peer_that_hangs_up_fails_what_it_had_at_once() {
    bolt!(hall, bolt, Conf::new());
    let mut harness = Harness::new(&[("default", &["word"])]);
    let peer = open(&hall, GatewayRole::Bolt);
    for word in ["a", "b"] {
        let tuple = harness.input(&values![word]);
        bolt.execute(&tuple.view(), &mut harness.collector())
            .unwrap();
    }
    bolt.poll(&mut harness.collector()).unwrap();
    assert_eq!(
        receive(&hall, &peer.secret, Answers::default()).await.len(),
        1
    );
    hall.hung_up(([127, 0, 0, 1], 7).into());
    bolt.poll(&mut harness.collector()).unwrap();
    assert_eq!(harness.verdicts(), [Verdict::Failed(1), Verdict::Failed(2)]);
    assert!(harness.errors()[0].contains("2 tuples of task 1 fail"));
    let gone = hall.enter(&peer.secret, &Visitor::default());
    assert_eq!(gone.unwrap_err(), DeskError::NoSession);
}

/// A spout that waits no longer replays: what its peer was not given by then must not pile up.
#[tokio::test]
async fn for_a_peer_that_takes_nothing_no_more_waits_than_its_credit() {
    let conf = Conf::new().with(keys::TOPOLOGY_MESSAGE_TIMEOUT_SECS, 10);
    bolt!(hall, bolt, conf);
    let mut harness = Harness::new(&[("default", &["word"])]);
    let peer = open(&hall, GatewayRole::Bolt);
    let mut now_ms = clock::monotonic_millis();
    let fill = |bolt: &mut GatewayBolt, harness: &mut Harness, round: i32, now_ms| {
        let mut is_tick = true;
        while bolt.room() > 0 {
            let tuple = match is_tick {
                true => harness.tick(),
                false => harness.input(&values![round]),
            };
            bolt.execute(&tuple.view(), &mut harness.collector())
                .unwrap();
            is_tick = !is_tick;
        }
        bolt.poll_at(now_ms, &mut harness.collector()).unwrap();
    };
    for round in 0..10 {
        fill(&mut bolt, &mut harness, round, now_ms);
        assert!(bolt.n_waiting() <= 4, "{} wait", bolt.n_waiting());
        now_ms += 10_000;
        bolt.poll_at(now_ms, &mut harness.collector()).unwrap();
    }
    fill(&mut bolt, &mut harness, 10, now_ms);
    let runs = receive(&hall, &peer.secret, Answers::default()).await;
    let columns: Vec<_> = runs.into_iter().flat_map(|run| run.columns).collect();
    let newest = GatewayColumn::Ints(vec![10]);
    assert!(
        columns.contains(&newest),
        "what lives is given: {columns:?}"
    );
    assert_eq!(bolt.n_waiting(), 0);
}

/// What came of the anchor is not whole: an ack of it must not say so.
#[tokio::test]
async fn a_tuple_whose_output_is_refused_fails() {
    bolt!(hall, bolt, Conf::new());
    // Its emitter knows no stream but the other one.
    let mut harness = Harness::new(&[("done", &["lines"])]);
    let peer = open(&hall, GatewayRole::Bolt);
    for word in ["a", "b"] {
        let tuple = harness.input(&values![word]);
        bolt.execute(&tuple.view(), &mut harness.collector())
            .unwrap();
    }
    bolt.poll(&mut harness.collector()).unwrap();
    let runs = receive(&hall, &peer.secret, Answers::default()).await;
    let first = runs[0].first_handle;
    let anchored = GatewayColumns {
        anchors: Some(vec![first]),
        ..words(&["A"])
    };
    let answers = Answers {
        drafts: drafts(&peer, anchored),
        acks: vec![first, first + 1],
        ..Answers::default()
    };
    receive(&hall, &peer.secret, answers).await;
    bolt.poll(&mut harness.collector()).unwrap();
    assert_eq!(harness.verdicts(), [Verdict::Failed(1), Verdict::Acked(2)]);
    assert_eq!(harness.errors().len(), 1);
    assert_eq!(bolt.room(), 4);
}

#[tokio::test]
async fn where_time_outs_are_off_no_answer_comes_too_late() {
    let conf = Conf::new()
        .with(keys::TOPOLOGY_ENABLE_MESSAGE_TIMEOUTS, false)
        .with(keys::TOPOLOGY_MESSAGE_TIMEOUT_SECS, 0);
    bolt!(hall, bolt, conf);
    let mut harness = Harness::new(&[("default", &["word"])]);
    let peer = open(&hall, GatewayRole::Bolt);
    let tuple = harness.input(&values!["a"]);
    bolt.execute(&tuple.view(), &mut harness.collector())
        .unwrap();
    bolt.poll(&mut harness.collector()).unwrap();
    let runs = receive(&hall, &peer.secret, Answers::default()).await;
    let answers = Answers {
        acks: vec![runs[0].first_handle],
        ..Answers::default()
    };
    // Many times as long as the time-out would be.
    let until_ms = clock::monotonic_millis() + 5;
    while clock::monotonic_millis() < until_ms {
        bolt.poll(&mut harness.collector()).unwrap();
    }
    receive(&hall, &peer.secret, answers).await;
    bolt.poll(&mut harness.collector()).unwrap();
    assert_eq!(harness.verdicts(), [Verdict::Acked(1)]);
}

#[tokio::test]
async fn a_tick_needs_no_answer_and_a_topology_without_ackers_none_at_all() {
    bolt!(
        hall,
        bolt,
        Conf::new().with(keys::TOPOLOGY_ACKER_EXECUTORS, 0)
    );
    let mut harness = Harness::new(&[("default", &["word"])]);
    let peer = open(&hall, GatewayRole::Bolt);
    for round in 0..3 {
        for _ in 0..4 {
            let tuple = harness.input(&values!["a"]);
            bolt.execute(&tuple.view(), &mut harness.collector())
                .unwrap();
        }
        let tick = harness.tick();
        bolt.execute(&tick.view(), &mut harness.collector())
            .unwrap();
        assert_eq!(bolt.room(), 0);
        bolt.poll(&mut harness.collector()).unwrap();
        let runs = receive(&hall, &peer.secret, Answers::default()).await;
        let handles: Vec<_> = runs.iter().map(|run| run.first_handle).collect();
        assert_eq!(handles, [round * 4 + 1, 0]);
        assert_eq!(bolt.room(), 4, "what was taken does not count");
    }
}

#[tokio::test]
async fn a_spouts_peer_hears_of_acks_and_fails() {
    let directory = tempfile::tempdir().expect("a directory");
    let context = harness::context(directory.path(), Conf::new(), Waker::idle());
    let hall = context.place().gateway.clone();
    let mut harness = Harness::new(&[("default", &["word"])]);
    let mut spout = GatewaySpout::default();
    spout.open(&context).unwrap();
    spout.activate().unwrap();
    let peer = open(&hall, GatewayRole::Spout);
    let call = hall.enter(&peer.secret, &Visitor::default()).unwrap();
    assert!(!spout.ready());
    let columns = GatewayColumns {
        ids: Some(vec![70, 71, 72]),
        ..words(&["a", "b", "c"])
    };
    let reply = call
        .emit(None, drafts(&peer, columns), Duration::ZERO)
        .await;
    assert!(reply.unwrap().is_active);
    while spout.ready() {
        spout.next_tuple(&mut harness.spout_collector()).unwrap();
    }
    assert_eq!(harness.emitted().len(), 3);
    spout.ack(&Value::Long(0));
    spout.fail(&Value::Long(2));
    spout.ack(&Value::Long(55));
    let waits = call.emit(None, Vec::new(), Duration::from_secs(5));
    let (reply, ()) = tokio::join!(waits, async {
        spout.poll(&mut harness.spout_collector()).unwrap();
    });
    let fates = reply.unwrap().fates;
    assert_eq!((fates.acked, fates.failed), (vec![70], vec![72]));
}

#[tokio::test]
async fn what_a_lost_spouts_peer_has_pending_fails_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let context = harness::context(directory.path(), Conf::new(), Waker::idle());
    let hall = context.place().gateway.clone();
    let mut harness = Harness::new(&[("default", &["word"])]);
    let mut spout = GatewaySpout::default();
    spout.open(&context).unwrap();
    spout.activate().unwrap();
    let peer = open(&hall, GatewayRole::Spout);
    let call = hall.enter(&peer.secret, &Visitor::default()).unwrap();
    let tracked = |first, all: &[&str]| GatewayColumns {
        ids: Some((first..).take(all.len()).collect()),
        ..words(all)
    };
    let mut sent = drafts(&peer, tracked(1, &["a", "b", "c", "d"]));
    sent.extend(drafts(&peer, tracked(5, &["e", "f"])));
    sent.extend(drafts(&peer, words(&["untracked"])));
    call.emit(None, sent, Duration::ZERO).await.unwrap();
    for _ in 0..3 {
        spout.next_tuple(&mut harness.spout_collector()).unwrap();
    }
    assert_eq!((harness.emitted().len(), harness.n_pending()), (3, 3));
    drop(call);
    hall.hung_up(([127, 0, 0, 1], 7).into());
    spout.poll(&mut harness.spout_collector()).unwrap();
    let verdicts = harness.verdicts();
    let failed = verdicts
        .iter()
        .filter(|one| matches!(one, Verdict::Failed(_)));
    assert_eq!(failed.count(), 3, "what ackers know of");
    let told = harness.errors();
    assert!(told[0].contains("6 tuples of task 1 fail"), "{told:?}");
    while spout.ready() {
        spout.next_tuple(&mut harness.spout_collector()).unwrap();
    }
    let emitted = harness.emitted();
    assert_eq!(emitted.len(), 1, "{emitted:?}");
    assert_eq!(emitted[0].values, [Value::Str("untracked".into())]);
}

/// Its peer stays, and so does its session: it must not wait for fates that nobody knows any more.
#[tokio::test]
async fn what_a_task_had_that_starts_over_fails_at_its_peer() {
    let directory = tempfile::tempdir().expect("a directory");
    let context = harness::context(directory.path(), Conf::new(), Waker::idle());
    let hall = context.place().gateway.clone();
    let mut harness = Harness::new(&[("default", &["word"])]);
    let mut spout = GatewaySpout::default();
    spout.open(&context).unwrap();
    spout.activate().unwrap();
    let peer = open(&hall, GatewayRole::Spout);
    let call = hall.enter(&peer.secret, &Visitor::default()).unwrap();
    let tracked = |first, all: &[&str]| GatewayColumns {
        ids: Some((first..).take(all.len()).collect()),
        ..words(all)
    };
    let mut sent = drafts(&peer, tracked(1, &["a", "b", "c", "d"]));
    sent.extend(drafts(&peer, tracked(5, &["e"])));
    call.emit(None, sent, Duration::ZERO).await.unwrap();
    for _ in 0..3 {
        spout.next_tuple(&mut harness.spout_collector()).unwrap();
    }
    // Acked, and not handed over yet.
    spout.ack(&Value::Long(1));
    for is_over_before in [false, true] {
        if is_over_before {
            drop(std::mem::take(&mut spout));
        }
        let mut next = GatewaySpout::default();
        next.open(&context).unwrap();
        next.activate().unwrap();
        spout = next;
        let waits = call.emit(None, Vec::new(), Duration::from_secs(5));
        let mut fates = waits.await.unwrap().fates;
        fates.failed.sort_unstable();
        match is_over_before {
            false => assert_eq!((fates.acked, fates.failed), (vec![2], vec![1, 3, 4, 5])),
            true => assert_eq!((fates.acked, fates.failed), (vec![], vec![6])),
        }
        let sent = drafts(&peer, tracked(6, &["f"]));
        let reply = call.emit(None, sent, Duration::ZERO).await.unwrap();
        assert_eq!(reply.tasks.len(), 1, "the task is its own again");
    }
    assert!(spout.ready(), "and takes tuples on");
}

#[tokio::test]
async fn who_may_not_come_in_is_told_why() {
    let token = Conf::new().with(keys::STORMWIRE_GATEWAY_TOKEN, "sesame");
    bolt!(hall, bolt, token);
    let visitor = Visitor::default();
    let opened = |component, role, token| {
        let opened = hall.open((component, role), token, &visitor, ask());
        opened.map(drop).unwrap_err().to_string()
    };
    let (spout, is_bolt) = (GatewayRole::Spout, GatewayRole::Bolt);
    assert!(opened("other", is_bolt, None).contains("no task of a component `other`"));
    assert!(opened(COMPONENT, spout, None).contains("is a bolt, not a spout"));
    for wrong in [None, Some(""), Some("sesam"), Some("sesame ")] {
        assert!(opened(COMPONENT, is_bolt, wrong).contains("asks for another token"));
    }
    let right = hall.open((COMPONENT, is_bolt), Some("sesame"), &visitor, ask());
    let right = right.expect("let in");
    assert!(
        !right.desk.profile.conf.contains("sesame"),
        "it is a secret"
    );
    let ann = Visitor {
        principal: Some("ann".to_owned()),
        ..Visitor::default()
    };
    assert!(hall.enter(&right.secret, &ann).is_err(), "somebody else");
    assert!(hall.enter("", &visitor).is_err());
    let call = hall.enter(&right.secret, &visitor).unwrap();
    assert!(call.desk.profile.expect(spout).is_err());
    bolt.cleanup();
    assert!(opened(COMPONENT, is_bolt, None).contains("no task"));
}

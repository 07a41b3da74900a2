//! Both sides of credits against each other, without a connection: whatever is cut, delayed and
//! taken, nothing is lost, doubled or too much.

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::prelude::*;

use super::{EXECUTOR, OTHER_EXECUTOR};
use crate::id::TaskId;
use crate::messaging::gauge::Gauge;
use crate::messaging::receiving::{Receipt, SessionError, Sessions, Turn};
use crate::messaging::sending::{BadGrant, DataFrame, FrameBytes, Freed, Sending, charge};
use crate::wire::messages::{Credit, Grant, Hello, Welcome};

/// What happens between two workers.
#[derive(Clone, Debug)]
enum Event {
    /// So many bytes for one of two executors.
    Push(usize, u16),
    Ack,
    /// The link's task writes.
    Write,
    /// So many frames arrive.
    Arrive(usize),
    /// An executor takes what came first.
    Consume(usize),
    /// The receiver tells what was taken, and the sender hears it.
    Credit,
    /// The connection breaks with all that is on it; another is made.
    Cut,
}

/// A frame is its number in four bytes, and padding; acks have the top bit set.
struct Model {
    sending: Sending,
    gauges: [Arc<Gauge>; 2],
    sessions: Sessions,
    turn: Turn,
    wire: VecDeque<FrameBytes>,
    queues: [VecDeque<Receipt>; 2],
    arrived: [Vec<u32>; 3],
    pushed: [Vec<u32>; 3],
    acks: Vec<FrameBytes>,
}

const WINDOW: usize = 1000;

fn hello(generation: i64, session: i64) -> Hello {
    Hello {
        node: "node".to_owned(),
        generation,
        session: Some(session),
        ..Hello::default()
    }
}

fn sending() -> (Sending, [Arc<Gauge>; 2]) {
    let gauges = [Arc::new(Gauge::new(WINDOW)), Arc::new(Gauge::new(WINDOW))];
    let executors = [EXECUTOR, OTHER_EXECUTOR].into_iter();
    (Sending::new(executors.zip(gauges.clone())), gauges)
}

impl Model {
    fn new() -> Self {
        let (mut sending, gauges) = sending();
        let sessions = Sessions::new(WINDOW);
        let mut welcome = Welcome::default();
        let turn = sessions.open(&hello(7, 1), &mut welcome).unwrap();
        sending.resume(&welcome).unwrap();
        Model {
            sending,
            gauges,
            sessions,
            turn,
            wire: VecDeque::new(),
            queues: Default::default(),
            arrived: Default::default(),
            pushed: Default::default(),
            acks: Vec::new(),
        }
    }

    fn frame(&mut self, kind: usize, n_bytes: usize) -> FrameBytes {
        let number = self.pushed[kind].len() as u32 | (kind as u32) << 24;
        self.pushed[kind].push(number);
        let mut bytes = number.to_be_bytes().to_vec();
        bytes.resize(4 + n_bytes, 0);
        Arc::new(bytes)
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Push(line, n_bytes) => {
                let bytes = self.frame(*line, usize::from(*n_bytes));
                let frame = DataFrame { bytes, n_tuples: 1 };
                assert!(self.sending.push(*line, frame).is_ok());
            }
            Event::Ack => {
                let bytes = self.frame(2, 10);
                self.acks.push(bytes);
            }
            Event::Write => {
                let mut frames = Vec::new();
                self.sending.take(&mut self.acks, 2 * WINDOW, &mut frames);
                self.wire.extend(frames);
            }
            Event::Arrive(n_frames) => (0..*n_frames).for_each(|_| self.arrive()),
            Event::Consume(line) => drop(self.queues[*line].pop_front()),
            Event::Credit => {
                if let Some(Credit { frames, grants }) = self.turn.credit().unwrap() {
                    self.sending.credit(frames, &grants).unwrap();
                }
            }
            Event::Cut => {
                self.wire.clear();
                let mut welcome = Welcome::default();
                let turn = self.sessions.open(&hello(7, 1), &mut welcome).unwrap();
                let before = std::mem::replace(&mut self.turn, turn);
                let late = before.arrived(|_| ());
                assert_eq!(late, Err(SessionError::Superseded));
                self.sending.resume(&welcome).unwrap();
            }
        }
    }

    fn arrive(&mut self) {
        let Some(frame) = self.wire.pop_front() else {
            return;
        };
        let number = u32::from_be_bytes(*frame.first_chunk().unwrap());
        let kind = (number >> 24) as usize;
        self.arrived[kind].push(number);
        let n_bytes = charge(frame.len(), 1);
        let charged = self.turn.arrived(|accounts| match kind {
            0 => Some(accounts.charge(EXECUTOR.first, n_bytes)),
            1 => Some(accounts.charge(OTHER_EXECUTOR.first, n_bytes)),
            _ => None,
        });
        if let Some(receipt) = charged.unwrap() {
            // The sender never sends what it has no credit for.
            self.queues[kind].push_back(receipt.unwrap());
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..2usize, 0..400u16).prop_map(|(line, n_bytes)| Event::Push(line, n_bytes)),
        // Larger than any window.
        1 => (0..2usize, 1500..3000u16).prop_map(|(line, n_bytes)| Event::Push(line, n_bytes)),
        1 => Just(Event::Ack),
        4 => Just(Event::Write),
        4 => (1..5usize).prop_map(Event::Arrive),
        3 => (0..2usize).prop_map(Event::Consume),
        2 => Just(Event::Credit),
        1 => Just(Event::Cut),
    ]
}

proptest! {
    #[test]
    fn everything_arrives_once_in_order_within_the_window(
        events in prop::collection::vec(event(), 0..120),
    ) {
        let mut model = Model::new();
        for event in &events {
            model.happen(event);
        }
        // The receiver goes on taking: all must come.
        for _ in 0..2 * events.len() + 2 {
            let settle = [
                Event::Write,
                Event::Arrive(100),
                Event::Consume(0),
                Event::Consume(1),
                Event::Credit,
            ];
            settle.iter().for_each(|event| model.happen(event));
        }
        prop_assert_eq!(&model.arrived, &model.pushed);
        prop_assert!(model.sending.is_empty());
        for gauge in &model.gauges {
            prop_assert_eq!(gauge.n_queued(), 0);
        }
    }
}

fn push(sending: &mut Sending, line: usize, n_bytes: usize) {
    // As many as it takes of a window.
    let bytes = Arc::new(vec![0; n_bytes - charge(0, 3)]);
    assert!(sending.push(line, DataFrame { bytes, n_tuples: 3 }).is_ok());
}

fn take(sending: &mut Sending) -> usize {
    let mut frames = Vec::new();
    sending.take(&mut Vec::new(), usize::MAX, &mut frames);
    frames.len()
}

fn welcome(window: i64) -> Welcome {
    Welcome {
        window: Some(window),
        ..Welcome::default()
    }
}

#[test]
fn one_that_is_slow_keeps_nobody_else_waiting() {
    let (mut sending, gauges) = sending();
    sending.resume(&welcome(1000)).unwrap();
    for _ in 0..5 {
        push(&mut sending, 0, 400);
    }
    assert_eq!(take(&mut sending), 2);
    assert!(gauges[0].is_full());
    push(&mut sending, 1, 400);
    assert_eq!(take(&mut sending), 1);
    let grant = |task, consumed| Grant {
        task,
        received: 800,
        consumed,
    };
    let freed = sending.credit(3, &[grant(1, 400)]).unwrap();
    assert_eq!(freed.n_tuples, 3);
    assert_eq!(take(&mut sending), 1);
    assert_eq!(sending.credit(3, &[grant(1, 1201)]), Err(BadGrant));
    assert_eq!(sending.credit(9, &[]), Err(BadGrant));
    assert_eq!(sending.credit(-1, &[]), Err(BadGrant));
}

#[test]
fn only_what_was_written_is_lost_with_a_process() {
    let (mut sending, gauges) = sending();
    sending.resume(&welcome(1000)).unwrap();
    for _ in 0..4 {
        push(&mut sending, 0, 400);
    }
    assert_eq!(take(&mut sending), 2);
    let mut lost = Vec::new();
    let freed = sending.abandon(&mut lost);
    assert_eq!((lost.len(), freed.n_tuples), (2, 6));
    assert_eq!(gauges[0].n_queued(), 800);
    // The next process gets the rest.
    sending.resume(&welcome(1000)).unwrap();
    assert_eq!(take(&mut sending), 2);
    lost.clear();
    assert_eq!(sending.end(&mut lost).n_tuples, 6);
    assert_eq!((lost.len(), gauges[0].n_queued()), (2, 0));
    assert_eq!(sending.end(&mut lost), Freed::default());
}

#[test]
fn what_waits_for_nobody_is_bounded() {
    let (mut sending, _) = sending();
    let n_bytes = crate::limits::LOOSE_BYTES_MAX / 4;
    (0..4).for_each(|_| push(&mut sending, 0, n_bytes));
    let bytes = Arc::new(vec![0]);
    let refused = sending.push(0, DataFrame { bytes, n_tuples: 1 });
    assert!(refused.is_err());
    // Another executor's is its own matter.
    push(&mut sending, 1, n_bytes);
}

#[test]
fn older_processes_and_series_are_refused() {
    let sessions = Sessions::new(10);
    let open = |generation, session| {
        let opened = sessions.open(&hello(generation, session), &mut Welcome::default());
        opened.map_err(|error| error.to_string())
    };
    let first = open(7, 4).unwrap();
    let older = open(6, 9).err().unwrap();
    assert_eq!(older, "generation 6 is out of date: 7 was here");
    let older = open(7, 3).err().unwrap();
    assert_eq!(older, "session 3 is out of date: 4 was here");
    assert!(first.credit().is_ok());
    let next = open(8, 1).unwrap();
    assert_eq!(first.credit(), Err(SessionError::Superseded));
    assert!(next.credit().is_ok());
}

#[test]
fn a_sender_without_credit_is_found_out() {
    let sessions = Sessions::new(100);
    let turn = sessions
        .open(&hello(7, 1), &mut Welcome::default())
        .unwrap();
    let charge = |n_bytes| {
        turn.arrived(|accounts| accounts.charge(TaskId(1), n_bytes))
            .unwrap()
    };
    let large = charge(5000).unwrap();
    let beyond = charge(1).unwrap_err();
    assert_eq!(
        beyond.to_string(),
        "4901 bytes beyond a window of 100 for task 1"
    );
    drop(large);
    let mut receipt = charge(60).unwrap();
    receipt.join(charge(40).unwrap());
    assert!(charge(1).is_err());
    drop(receipt);
    let told = turn.credit().unwrap().unwrap();
    let grant = Grant {
        task: 1,
        received: 5100,
        consumed: 5100,
    };
    assert_eq!((told.frames, told.grants), (5, vec![grant]));
    assert_eq!(turn.credit(), Ok(None));
}

//! Both sides of credits against each other, without a connection: whatever is cut, delayed and
//! taken, nothing is lost, doubled or too much.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use proptest::prelude::*;

use super::{EXECUTOR, OTHER_EXECUTOR};
use crate::id::{self, TaskId};
use crate::limits;
use crate::messaging::acks::{self, AckRecord};
use crate::messaging::gauge::Gauge;
use crate::messaging::receiving::{Receipt, SessionError, Sessions, Tenure};
use crate::messaging::sending::{BadGrant, DataFrame, FrameBytes, Freed, Sending, charge};
use crate::testing::allocations;
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
    tenure: Tenure,
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
        let tenure = sessions.open(&hello(7, 1), &mut welcome).unwrap();
        sending.resume(&welcome).unwrap();
        Model {
            sending,
            gauges,
            sessions,
            tenure,
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
                assert!(self.sending.push(*line, frame));
            }
            Event::Ack => {
                let bytes = self.frame(2, 10);
                self.acks.push(bytes);
            }
            Event::Write => {
                let mut frames = Vec::new();
                self.sending.take(&mut self.acks, 2 * WINDOW, &mut frames);
                self.wire
                    .extend(frames.into_iter().map(|frame| frame.bytes));
            }
            Event::Arrive(n_frames) => (0..*n_frames).for_each(|_| self.arrive()),
            Event::Consume(line) => drop(self.queues[*line].pop_front()),
            Event::Credit => {
                let mut credit = Credit::default();
                if self.tenure.credit(&mut credit).unwrap() {
                    self.sending.credit(credit.frames, &credit.grants).unwrap();
                }
            }
            Event::Cut => {
                self.wire.clear();
                let mut welcome = Welcome::default();
                let tenure = self.sessions.open(&hello(7, 1), &mut welcome).unwrap();
                let before = std::mem::replace(&mut self.tenure, tenure);
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
        let charged = self.tenure.arrived(|accounts| match kind {
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
    assert!(sending.push(line, DataFrame { bytes, n_tuples: 3 }));
}

fn take(sending: &mut Sending) -> usize {
    let mut frames = Vec::new();
    sending.take(&mut Vec::new(), usize::MAX, &mut frames);
    frames.len()
}

/// Whether there is news for the sender.
fn credit(tenure: &Tenure) -> Result<bool, SessionError> {
    tenure.credit(&mut Credit::default())
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
fn counts_as_high_as_numbers_go_end_nothing() {
    let (mut sending, _) = sending();
    let tasks = EXECUTOR.first.0..=EXECUTOR.last.0;
    let grants: Vec<Grant> = tasks
        .map(|task| Grant {
            task,
            received: i64::MAX,
            consumed: i64::MAX,
        })
        .collect();
    assert!(grants.len() > 1, "together they are more than a sum holds");
    let welcome = Welcome {
        grants: Some(grants),
        ..welcome(1000)
    };
    sending.resume(&welcome).unwrap();
    push(&mut sending, 0, 400);
    assert_eq!(take(&mut sending), 1);
}

#[test]
fn what_waits_for_nobody_is_bounded() {
    let (mut sending, _) = sending();
    let n_bytes = crate::limits::LOOSE_BYTES_MAX / 4;
    (0..4).for_each(|_| push(&mut sending, 0, n_bytes));
    assert!(!sending.is_overfull(0));
    push(&mut sending, 0, charge(1, 3));
    assert!(sending.is_overfull(0));
    // Another executor's is its own matter.
    assert!(!sending.is_overfull(1));
    sending.end(&mut Vec::new());
    assert!(!sending.is_overfull(0));
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
    assert_eq!(credit(&first), Ok(false));
    let next = open(8, 1).unwrap();
    assert_eq!(credit(&first), Err(SessionError::Superseded));
    assert_eq!(credit(&next), Ok(false));
}

/// Node and port stand for the process: what woke up when its work was another's is not heard.
#[test]
fn a_sender_whose_slot_has_no_work_any_more_is_refused() {
    let sessions = Sessions::new(10);
    let of_epoch = |epoch| id::generation(epoch, 0);
    let open = |generation| {
        let opened = sessions.open(&hello(generation, 1), &mut Welcome::default());
        opened.map_err(|error| error.to_string())
    };
    let here = || BTreeSet::from([("node".to_owned(), 0)]);
    let first = open(of_epoch(3)).unwrap();
    sessions.keep(4, here());
    assert_eq!(credit(&first), Ok(false));
    sessions.keep(5, BTreeSet::new());
    assert_eq!(credit(&first), Err(SessionError::Superseded));
    let taken = first.arrived(|_| ());
    assert_eq!(taken, Err(SessionError::Superseded));
    let over = "the slot has no work since epoch 5";
    assert_eq!(open(of_epoch(3)).err().unwrap(), over);
    assert_eq!(open(of_epoch(5)).err().unwrap(), over);
    // Its supervisor heard of the next assignment before this worker did.
    let next = open(of_epoch(6)).unwrap();
    sessions.keep(6, here());
    assert_eq!(credit(&next), Ok(false));
}

#[test]
fn frames_of_acks_are_confirmed_by_their_number() {
    let sessions = Sessions::new(1000);
    let tenure = sessions
        .open(&hello(1, 1), &mut Welcome::default())
        .unwrap();
    for n_told in 0..3 {
        for n_untold in 0..limits::ACK_FRAMES_UNTOLD_MAX {
            assert!(!tenure.owes_word(), "{n_untold} after {n_told}");
            tenure.arrived(|_| ()).unwrap();
            tenure.arrived(|accounts| accounts.note_acks()).unwrap();
        }
        assert!(tenure.owes_word());
        assert!(credit(&tenure).unwrap());
    }
}

#[test]
fn ack_frames_use_the_same_memory_again() {
    let (mut sending, _) = sending();
    let mut frames = Vec::new();
    let mut round = |root| {
        for _ in 0..limits::ACK_FRAMES_UNTOLD_MAX {
            let mut bytes = sending.ack_buffer();
            let record = AckRecord::fail(root);
            acks::write_frame(
                &[record; limits::ACK_FRAME_RECORDS],
                Arc::get_mut(&mut bytes).unwrap(),
            );
            sending.take(&mut vec![bytes], usize::MAX, &mut frames);
        }
        frames.clear();
        let n_written = i64::try_from(sending.n_written()).unwrap();
        sending.credit(n_written, &[]).unwrap();
    };
    round(0);
    // One for the list that a call of `take` is given.
    let (n_allocations, ()) = allocations::during(|| round(1));
    assert_eq!(n_allocations, u64::from(limits::ACK_FRAMES_UNTOLD_MAX));
}

#[test]
fn a_sender_without_credit_is_found_out() {
    let sessions = Sessions::new(100);
    let tenure = sessions
        .open(&hello(7, 1), &mut Welcome::default())
        .unwrap();
    let charge = |n_bytes| {
        tenure
            .arrived(|accounts| accounts.charge(TaskId(1), n_bytes))
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
    let mut told = Credit::default();
    assert_eq!(tenure.credit(&mut told), Ok(true));
    let grant = Grant {
        task: 1,
        received: 5100,
        consumed: 5100,
    };
    assert_eq!((told.frames, &told.grants), (5, &vec![grant]));
    assert_eq!(tenure.credit(&mut told), Ok(false));
}

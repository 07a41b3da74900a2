//! What one worker has to send to another, and what it has sent and must remember: the sender's
//! side of credits. No I/O, no clock.
//!
//! Each executor of the other worker has a queue and a window of its own, so that one that is slow
//! keeps nobody else waiting. Frames count on over connections: what a broken one swallowed goes
//! again to the same process. A frame is held until its tuples were taken off the receiver's queue,
//! so that it can be told which trees a process that died had in its hands.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::id::ExecutorId;
use crate::limits;
use crate::messaging::acks;
use crate::messaging::gauge::Gauge;
use crate::wire::messages::{Grant, Welcome};

/// A frame without its length. Shared with the write that is under way.
pub type FrameBytes = Arc<Vec<u8>>;

/// One encoded batch; or ack records on their way to the wire, which are no tuples.
#[derive(Clone, Debug, Default)]
pub struct DataFrame {
    pub bytes: FrameBytes,
    pub n_tuples: usize,
}

// === impl DataFrame ===

impl DataFrame {
    /// What it takes of a window.
    #[inline]
    pub fn charge(&self) -> usize {
        charge(self.bytes.len(), self.n_tuples)
    }
}

/// What a frame takes of a window, on both sides: its bytes, and for each tuple what it becomes at
/// the receiver, since regular tuples are next to nothing on the wire.
#[inline]
pub fn charge(n_bytes: usize, n_tuples: usize) -> usize {
    n_bytes + n_tuples * limits::LINK_TUPLE_BYTES
}

/// All that is on its way to one other worker.
pub struct Sending {
    /// What each executor there may have in its hands, in bytes; 0 before the first greeting.
    window: u64,
    lines: Vec<Line>,
    /// Lines that may have something to send, in turn.
    ready: VecDeque<usize>,
    /// Frames of this session that were written.
    n_frames: u64,
    /// Of those, how many arrived, as the receiver said last.
    n_arrived: u64,
    /// Ack frames that were written and may not have arrived, by their numbers.
    acks: VecDeque<(u64, FrameBytes)>,
    /// Ack frames that did not arrive.
    acks_again: VecDeque<FrameBytes>,
    spare: Spare,
    /// Of ack frames, which have other sizes.
    spare_acks: Spare,
    /// The worker is wanted no more: nobody will take anything.
    is_over: bool,
}

/// Frames' memory to be used again.
#[derive(Default)]
struct Spare {
    buffers: Vec<FrameBytes>,
    /// What they can hold together.
    n_bytes: usize,
    /// Smaller ones are not kept: they would grow, each by itself and at any time.
    n_bytes_min: usize,
}

/// What is on its way to one executor.
struct Line {
    executor: ExecutorId,
    /// Bytes that wait and are held.
    gauge: Arc<Gauge>,
    waiting: VecDeque<DataFrame>,
    n_waiting_bytes: usize,
    /// Written, and not taken off the receiver's queue.
    held: VecDeque<Held>,
    n_sent: u64,
    n_consumed: u64,
    grants: BTreeMap<i32, (u64, u64)>,
    is_ready: bool,
}

struct Held {
    frame: DataFrame,
    /// Of the frame in its session.
    number: u64,
    /// `n_sent` once it was written.
    end: u64,
}

/// A peer counts what it cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadGrant;

/// What became of waiting and held frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    pub n_tuples: usize,
    /// Someone waits for the room.
    pub has_waiter: bool,
}

// === impl Sending ===

impl Sending {
    /// `gauges` are in bytes, one for each executor.
    pub fn new(lines: impl IntoIterator<Item = (ExecutorId, Arc<Gauge>)>) -> Self {
        let line = |(executor, gauge)| Line {
            executor,
            gauge,
            waiting: VecDeque::new(),
            n_waiting_bytes: 0,
            held: VecDeque::new(),
            n_sent: 0,
            n_consumed: 0,
            grants: BTreeMap::new(),
            is_ready: false,
        };
        Sending {
            window: 0,
            lines: lines.into_iter().map(line).collect(),
            ready: VecDeque::new(),
            n_frames: 0,
            n_arrived: 0,
            acks: VecDeque::new(),
            acks_again: VecDeque::new(),
            spare: Spare::default(),
            spare_acks: Spare {
                n_bytes_min: acks::FRAME_BYTES_MAX,
                ..Spare::default()
            },
            is_over: false,
        }
    }

    /// Memory for the next frame, which nobody else has.
    pub fn buffer(&mut self) -> FrameBytes {
        self.spare.take().unwrap_or_default()
    }

    /// The same for the next ack frame.
    pub fn ack_buffer(&mut self) -> FrameBytes {
        let n_out = self.acks.len();
        self.spare_acks.take().unwrap_or_else(|| match n_out {
            0..limits::ACK_BUFFERS_FULL_MAX => Arc::new(Vec::with_capacity(acks::FRAME_BYTES_MAX)),
            _ => FrameBytes::default(),
        })
    }

    /// Queues a frame for the executor of a line. False, and it is lost, after the end.
    #[must_use]
    pub fn push(&mut self, line: usize, frame: DataFrame) -> bool {
        let Some(to) = self.lines.get_mut(line).filter(|_| !self.is_over) else {
            return false;
        };
        let n_bytes = frame.charge();
        to.gauge.add(n_bytes);
        to.n_waiting_bytes += n_bytes;
        to.waiting.push_back(frame);
        self.make_ready(line);
        true
    }

    /// Whether more waits for the executor of a line than may, which only edges that do not look
    /// at the gauge can bring about.
    pub fn is_overfull(&self, line: usize) -> bool {
        let line = self.lines.get(line);
        line.is_some_and(|line| line.n_waiting_bytes > limits::LOOSE_BYTES_MAX)
    }

    /// Whether nothing waits, be it for credit or for a connection.
    pub fn is_empty(&self) -> bool {
        self.acks_again.is_empty() && self.lines.iter().all(|line| line.waiting.is_empty())
    }

    /// Frames of this session that were written, or are about to be.
    pub fn n_written(&self) -> u64 {
        self.n_frames
    }

    /// How many of them arrived, as far as is known.
    pub fn n_arrived(&self) -> u64 {
        self.n_arrived
    }

    /// Tuples that wait.
    pub fn n_waiting(&self) -> usize {
        let waiting = self.lines.iter().flat_map(|line| &line.waiting);
        waiting.map(|frame| frame.n_tuples).sum()
    }

    /// Takes frames to be written next, in this order: acks that go again, `acks`, then tuples as
    /// credits allow, the executors in turn, up to `n_bytes_max` or one frame.
    pub fn take(
        &mut self,
        acks: &mut Vec<FrameBytes>,
        n_bytes_max: usize,
        into: &mut Vec<DataFrame>,
    ) {
        let mut n_bytes = 0;
        for bytes in self.acks_again.drain(..).chain(acks.drain(..)) {
            self.n_frames += 1;
            n_bytes += bytes.len();
            self.acks.push_back((self.n_frames, bytes.clone()));
            into.push(DataFrame { bytes, n_tuples: 0 });
        }
        while n_bytes < n_bytes_max && into.len() < limits::LINK_WRITE_FRAMES {
            let Some(index) = self.ready.pop_front() else {
                break;
            };
            let Some(line) = self.lines.get_mut(index) else {
                continue;
            };
            line.is_ready = false;
            if let Some(frame) = line.take(self.window, self.n_frames + 1) {
                self.n_frames += 1;
                n_bytes += frame.bytes.len();
                into.push(frame);
                self.make_ready(index);
            }
        }
    }

    /// The receiver says what arrived and what was taken.
    pub fn credit(&mut self, n_frames: i64, grants: &[Grant]) -> Result<Freed, BadGrant> {
        let n_frames = u64::try_from(n_frames).map_err(|_| BadGrant)?;
        if n_frames > self.n_frames {
            return Err(BadGrant);
        }
        self.n_arrived = n_frames;
        let n_arrived = self.acks.partition_point(|(number, _)| *number <= n_frames);
        for (_, bytes) in self.acks.drain(..n_arrived) {
            self.spare_acks.keep(bytes);
        }
        let mut freed = Freed::default();
        for grant in grants {
            let (received, consumed) = totals(grant)?;
            let has_task = |line: &Line| line.executor.contains(crate::id::TaskId(grant.task));
            // An executor that went elsewhere before our routes did.
            let Some(index) = self.lines.iter().position(has_task) else {
                continue;
            };
            if let Some(line) = self.lines.get_mut(index) {
                line.grants.insert(grant.task, (received, consumed));
                let (_, n_consumed) = line.granted();
                if n_consumed > line.n_sent {
                    return Err(BadGrant);
                }
                line.n_consumed = n_consumed.max(line.n_consumed);
                line.free(&mut self.spare, &mut freed);
            }
            self.make_ready(index);
        }
        Ok(freed)
    }

    /// A connection was made: goes on after what arrived, and counts as the receiver does.
    pub fn resume(&mut self, welcome: &Welcome) -> Result<Freed, BadGrant> {
        let n_arrived = u64::try_from(welcome.received.unwrap_or(0)).map_err(|_| BadGrant)?;
        if n_arrived > self.n_frames {
            return Err(BadGrant);
        }
        self.window = u64::try_from(welcome.window.unwrap_or(0)).unwrap_or(0);
        (self.n_frames, self.n_arrived) = (n_arrived, n_arrived);
        for line in &mut self.lines {
            line.go_back(n_arrived);
            line.grants.clear();
        }
        let lost = self
            .acks
            .partition_point(|(number, _)| *number <= n_arrived);
        let lost = self.acks.split_off(lost);
        for (_, bytes) in lost.into_iter().rev() {
            self.acks_again.push_front(bytes);
        }
        let grants = welcome.grants.as_deref().unwrap_or_default();
        for grant in grants {
            let counted = totals(grant)?;
            let has_task = |line: &&mut Line| line.executor.contains(crate::id::TaskId(grant.task));
            if let Some(line) = self.lines.iter_mut().find(has_task) {
                line.grants.insert(grant.task, counted);
            }
        }
        let mut freed = Freed::default();
        for index in 0..self.lines.len() {
            if let Some(line) = self.lines.get_mut(index) {
                line.count_anew();
                line.free(&mut self.spare, &mut freed);
            }
            self.make_ready(index);
        }
        Ok(freed)
    }

    /// Takes out the ack frames of which nobody can say whether they arrived.
    pub fn take_acks(&mut self) -> Vec<FrameBytes> {
        let written = self.acks.drain(..).map(|(_, bytes)| bytes);
        written.chain(self.acks_again.drain(..)).collect()
    }

    /// The process that got them is gone: takes out all frames that it may have had in its hands.
    /// What it never got stays for the next one.
    pub fn abandon(&mut self, lost: &mut Vec<DataFrame>) -> Freed {
        (self.n_frames, self.n_arrived) = (0, 0);
        self.acks.clear();
        self.acks_again.clear();
        let mut freed = Freed::default();
        for line in &mut self.lines {
            line.grants.clear();
            (line.n_sent, line.n_consumed) = (0, 0);
            for held in line.held.drain(..) {
                freed.add(&line.gauge, &held.frame);
                lost.push(held.frame);
            }
        }
        freed
    }

    /// The worker is wanted no more: takes out all frames, and takes no further ones.
    pub fn end(&mut self, lost: &mut Vec<DataFrame>) -> Freed {
        self.is_over = true;
        let mut freed = self.abandon(lost);
        for line in &mut self.lines {
            line.n_waiting_bytes = 0;
            for frame in line.waiting.drain(..) {
                freed.add(&line.gauge, &frame);
                lost.push(frame);
            }
        }
        freed
    }

    fn make_ready(&mut self, index: usize) {
        if let Some(line) = self.lines.get_mut(index)
            && !line.is_ready
            && !line.waiting.is_empty()
        {
            line.is_ready = true;
            self.ready.push_back(index);
        }
    }
}

// === impl Spare ===

impl Spare {
    /// The buffer that came back last: nobody else has it.
    fn take(&mut self) -> Option<FrameBytes> {
        // A write that is under way may still have those that were confirmed in the meantime.
        let is_free = |bytes: &FrameBytes| Arc::strong_count(bytes) == 1;
        let place = self.buffers.iter().rposition(is_free)?;
        let mut bytes = self.buffers.swap_remove(place);
        self.n_bytes -= bytes.capacity();
        if let Some(unshared) = Arc::get_mut(&mut bytes) {
            unshared.clear();
        }
        Some(bytes)
    }

    fn keep(&mut self, bytes: FrameBytes) {
        let n_bytes = self.n_bytes + bytes.capacity();
        if self.buffers.len() < limits::LINK_BUFFERS_KEPT
            && n_bytes <= limits::LINK_BUFFERS_KEPT_BYTES
            && (self.n_bytes_min..=limits::LINK_BUFFER_KEEP_BYTES).contains(&bytes.capacity())
        {
            self.n_bytes = n_bytes;
            self.buffers.push(bytes);
        }
    }
}

// === impl Line ===

impl Line {
    /// The next frame, if the executor may have it. One always may be on its way, however large.
    fn take(&mut self, window: u64, number: u64) -> Option<DataFrame> {
        let n_bytes = self.waiting.front()?.charge();
        let n_out = self.n_sent.saturating_sub(self.n_consumed);
        if n_out > 0 && n_out + n_bytes as u64 > window {
            return None;
        }
        let frame = self.waiting.pop_front()?;
        self.n_waiting_bytes -= n_bytes;
        // A receiver that counts anew may have said any number.
        self.n_sent = self.n_sent.saturating_add(n_bytes as u64);
        let taken = frame.clone();
        self.held.push_back(Held {
            frame,
            number,
            end: self.n_sent,
        });
        Some(taken)
    }

    /// Lets go of frames that were taken off the receiver's queue.
    fn free(&mut self, spare: &mut Spare, freed: &mut Freed) {
        let n_done = self
            .held
            .partition_point(|held| held.end <= self.n_consumed);
        for held in self.held.drain(..n_done) {
            freed.add(&self.gauge, &held.frame);
            spare.keep(held.frame.bytes);
        }
    }

    /// Has what did not arrive wait again.
    fn go_back(&mut self, n_arrived: u64) {
        let n_there = self.held.partition_point(|held| held.number <= n_arrived);
        for held in self.held.drain(n_there..).rev() {
            self.n_waiting_bytes += held.frame.charge();
            self.waiting.push_front(held.frame);
        }
    }

    /// Takes over the receiver's count: only it knows all that this process ever sent it.
    fn count_anew(&mut self) {
        (self.n_sent, self.n_consumed) = self.granted();
        let mut end = self.n_sent;
        for held in self.held.iter_mut().rev() {
            held.end = end;
            end = end.saturating_sub(held.frame.charge() as u64);
        }
    }

    /// Bytes received and consumed, as the receiver said last.
    fn granted(&self) -> (u64, u64) {
        let add =
            |a: (u64, u64), b: &(u64, u64)| (a.0.saturating_add(b.0), a.1.saturating_add(b.1));
        self.grants.values().fold((0, 0), add)
    }
}

// === impl Freed ===

impl Freed {
    fn add(&mut self, gauge: &Gauge, frame: &DataFrame) {
        self.n_tuples += frame.n_tuples;
        self.has_waiter |= gauge.take(frame.charge());
    }
}

fn totals(grant: &Grant) -> Result<(u64, u64), BadGrant> {
    let total = |bytes: i64| u64::try_from(bytes).map_err(|_| BadGrant);
    let (received, consumed) = (total(grant.received)?, total(grant.consumed)?);
    match consumed <= received {
        true => Ok((received, consumed)),
        false => Err(BadGrant),
    }
}

//! `stormwire.GatewayBolt`: hands its tuples to peers and does what they say with them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::desk::Work;
use super::emission::Emission;
use super::hall::OpenDesk;
use super::post::PostLine;
use super::run::Run;
use super::settings;
use crate::clock;
use crate::component::{Bolt, Collector, ComponentFailure, Emit, Result, TaskContext};
use crate::limits;
use crate::tuple::{HeldTuple, Tuple};
use crate::wire::messages::GatewayRole;

/// One task of such a bolt. A peer that is lost fails what it had at once; what it was not yet
/// given goes to the next one.
#[derive(Default)]
pub struct GatewayBolt {
    running: Option<Running>,
}

struct Running {
    desk: Arc<OpenDesk>,
    index: usize,
    line: Arc<PostLine>,
    is_acking: bool,
    /// Executed since the last poll.
    runs: Vec<Run>,
    bytes_new: usize,
    n_new: usize,
    held: Held,
    /// What peers said and is not yet done.
    work: VecDeque<Work>,
    /// Whether the desk may have more of it.
    may_have_work: bool,
    /// How far the emission at the front of `work` is.
    place: usize,
}

/// Tuples that are not answered, by their serials.
struct Held {
    first: u64,
    tuples: VecDeque<Option<(HeldTuple, usize)>>,
    n_held: usize,
    n_bytes: usize,
    /// The next serial when the clock last struck, and when it strikes again.
    boundary: u64,
    rotate_every_ms: u64,
    rotate_at_ms: u64,
}

// === impl GatewayBolt ===

#[cfg(test)]
impl GatewayBolt {
    /// A poll at another time than now.
    pub fn poll_at(&mut self, now_ms: u64, out: &mut Collector<'_>) -> Result<()> {
        self.running
            .as_mut()
            .map_or(Ok(()), |running| running.poll(now_ms, out))
    }

    /// Tuples that wait for a peer to take them.
    pub fn n_waiting(&self) -> usize {
        let running = self.running.as_ref();
        running.map_or(0, |running| running.line.n_waiting() + running.n_new)
    }
}

impl Bolt for GatewayBolt {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        let desk = settings::desk(context, GatewayRole::Bolt)?;
        let line = Arc::new(PostLine::new(context.waker()));
        let post = (context.task_index(), context.task());
        let now_ms = clock::monotonic_millis();
        let first = desk.lock().attach(post, Arc::clone(&line), now_ms);
        let timeout = context.conf().message_timeout()?.unwrap_or(Duration::MAX);
        self.running = Some(Running {
            is_acking: desk.profile.is_acking,
            desk,
            index: context.task_index(),
            line,
            runs: Vec::new(),
            bytes_new: 0,
            n_new: 0,
            held: Held::new(first, timeout, now_ms),
            work: VecDeque::new(),
            may_have_work: false,
            place: 0,
        });
        Ok(())
    }

    fn execute(&mut self, tuple: &Tuple<'_>, _out: &mut Collector<'_>) -> Result<()> {
        let closed = || ComponentFailure::new("the component is not open");
        self.running.as_mut().ok_or_else(closed)?.take(tuple);
        Ok(())
    }

    fn poll(&mut self, out: &mut Collector<'_>) -> Result<()> {
        match &mut self.running {
            Some(running) => running.poll(clock::monotonic_millis(), out),
            None => Ok(()),
        }
    }

    fn room(&self) -> usize {
        let Some(running) = &self.running else {
            return 0;
        };
        // Tuples count until they are answered; those that need no answer (ticks, and all where
        // none are tracked) until the peer took them.
        let (line, held) = (&running.line, &running.held);
        let n_tuples = held.n_held.max(line.n_waiting() + running.n_new);
        let n_bytes = held.n_bytes.max(line.bytes_waiting() + running.bytes_new);
        match n_bytes < limits::GATEWAY_HELD_BYTES_MAX {
            true => line.share().saturating_sub(n_tuples),
            false => 0,
        }
    }

    fn cleanup(&mut self) {
        self.running = None;
    }
}

// === impl Running ===

impl Running {
    fn take(&mut self, tuple: &Tuple<'_>) {
        let is_tick = tuple.is_tick();
        let serial = (!is_tick).then(|| self.held.next());
        let pushed = self.runs.last_mut().and_then(|run| run.push(tuple));
        let n_bytes = pushed.unwrap_or_else(|| {
            let run = Run::new(tuple, serial);
            let n_bytes = run.n_bytes();
            self.runs.push(run);
            n_bytes
        });
        self.n_new += 1;
        self.bytes_new += n_bytes;
        if !is_tick {
            self.held
                .push(self.is_acking.then(|| tuple.hold()), n_bytes);
        }
    }

    fn poll(&mut self, now_ms: u64, out: &mut Collector<'_>) -> Result<()> {
        let has_news = self.line.heard();
        self.may_have_work |= has_news;
        let expired = self.held.rotate(now_ms);
        if has_news || expired.is_some() || !self.runs.is_empty() {
            self.line.add_waiting(self.n_new, self.bytes_new);
            (self.n_new, self.bytes_new) = (0, 0);
            let mut desk = self.desk.lock();
            desk.hand_over(self.index, &mut self.runs, expired, now_ms);
            let troubles = desk.take_troubles(self.index);
            drop(desk);
            for trouble in troubles {
                out.report_error(&ComponentFailure::new(trouble));
            }
        }
        while self.may_have_work {
            if self.work.is_empty() {
                self.work = self.desk.lock().take_work(self.index).into();
                self.may_have_work = !self.work.is_empty();
            }
            if !self.work(out) {
                break;
            }
        }
        Ok(())
    }

    /// Does what peers said; false when a receiver is full.
    fn work(&mut self, out: &mut Collector<'_>) -> bool {
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Emit(emission) => {
                    match self.held.emit(&emission, &mut self.place, out) {
                        Ok(true) => self.place = 0,
                        Ok(false) => {
                            self.work.push_front(Work::Emit(emission));
                            out.wake_after(BLOCKED_PAUSE);
                            return false;
                        }
                        Err(failure) => {
                            // The tuple was refused: the next one may not be. What came of its
                            // anchors is not whole, whatever the peer says of them.
                            out.report_error(&failure);
                            let anchors = emission.anchors(self.place).iter();
                            for tuple in anchors.filter_map(|serial| self.held.remove(*serial)) {
                                out.fail(&tuple.view());
                            }
                            self.place += 1;
                            self.work.push_front(Work::Emit(emission));
                        }
                    }
                }
                Work::Settle { acked, failed } => {
                    for tuple in acked.iter().filter_map(|serial| self.held.remove(*serial)) {
                        out.ack(&tuple.view());
                    }
                    for tuple in failed.iter().filter_map(|serial| self.held.remove(*serial)) {
                        out.fail(&tuple.view());
                    }
                }
                Work::Lost { below } => {
                    for tuple in self.held.drain_below(below) {
                        out.fail(&tuple.view());
                    }
                }
            }
        }
        true
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let now_ms = clock::monotonic_millis();
        self.desk.lock().detach(self.index, &self.line, now_ms);
    }
}

// === impl Held ===

impl Held {
    /// Serials begin at `first`; a tuple is kept for at least `timeout`.
    fn new(first: u64, timeout: Duration, now_ms: u64) -> Self {
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let rotate_every_ms = timeout_ms.max(1);
        Held {
            first,
            tuples: VecDeque::new(),
            n_held: 0,
            n_bytes: 0,
            boundary: first,
            rotate_every_ms,
            rotate_at_ms: now_ms.saturating_add(rotate_every_ms),
        }
    }

    fn next(&self) -> u64 {
        self.first + self.tuples.len() as u64
    }

    fn push(&mut self, tuple: Option<HeldTuple>, n_bytes: usize) {
        match tuple {
            Some(tuple) => {
                self.tuples.push_back(Some((tuple, n_bytes)));
                self.n_held += 1;
                self.n_bytes += n_bytes;
            }
            // Nobody waits for an answer.
            None => {
                self.tuples.clear();
                self.first = self.next() + 1;
            }
        }
    }

    fn get(&self, serial: u64) -> Option<&HeldTuple> {
        let place = usize::try_from(serial.checked_sub(self.first)?).ok()?;
        self.tuples.get(place)?.as_ref().map(|(tuple, _)| tuple)
    }

    fn remove(&mut self, serial: u64) -> Option<HeldTuple> {
        let place = usize::try_from(serial.checked_sub(self.first)?).ok()?;
        let (tuple, n_bytes) = self.tuples.get_mut(place)?.take()?;
        self.n_held -= 1;
        self.n_bytes -= n_bytes;
        while let Some(None) = self.tuples.front() {
            self.tuples.pop_front();
            self.first += 1;
        }
        Some(tuple)
    }

    fn drain_below(&mut self, serial: u64) -> Vec<HeldTuple> {
        let mut drained = Vec::new();
        while self.first < serial
            && let Some(front) = self.tuples.pop_front()
        {
            self.first += 1;
            if let Some((tuple, n_bytes)) = front {
                self.n_held -= 1;
                self.n_bytes -= n_bytes;
                drained.push(tuple);
            }
        }
        drained
    }

    /// Lets go of what has waited longer than its spout waits; gives below which serial that is.
    fn rotate(&mut self, now_ms: u64) -> Option<u64> {
        if now_ms < self.rotate_at_ms {
            return None;
        }
        self.rotate_at_ms = now_ms.saturating_add(self.rotate_every_ms);
        let next = self.next();
        let below = std::mem::replace(&mut self.boundary, next);
        let n_before = self.tuples.len();
        drop(self.drain_below(below));
        (self.tuples.len() < n_before).then_some(below)
    }

    /// Emits the tuples of an emission from a place on: true when that were all, false when a
    /// receiver is full.
    fn emit(
        &self,
        emission: &Emission,
        place: &mut usize,
        out: &mut Collector<'_>,
    ) -> Result<bool> {
        while *place < emission.n_tuples() {
            if out.is_blocked() {
                return Ok(false);
            }
            emission.with_values(*place, |values| {
                let mut serials = emission.anchors(*place).iter();
                if emission.is_plain() {
                    match (emission.anchors(*place), serials.next()) {
                        ([], _) => return out.emit_unanchored(values),
                        ([_], Some(serial)) => {
                            return match self.get(*serial) {
                                Some(anchor) => out.emit(&anchor.view(), values),
                                None => out.emit_unanchored(values),
                            };
                        }
                        _ => {}
                    }
                }
                let anchors = emission.anchors(*place).iter();
                let anchors = anchors.filter_map(|serial| self.get(*serial));
                let anchors: Vec<Tuple<'_>> = anchors.map(HeldTuple::view).collect();
                let emit = Emit {
                    stream: emission.stream(),
                    anchors: &anchors,
                    direct: emission.direct(),
                    event_time_us: emission.event_time_us(*place),
                    task_ids: None,
                };
                out.emit_with(emit, values)
            })?;
            *place += 1;
        }
        Ok(true)
    }
}

/// Until receivers that are full are looked at again.
const BLOCKED_PAUSE: Duration = Duration::from_millis(1);

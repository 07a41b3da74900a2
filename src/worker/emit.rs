//! The emitter behind the collectors: from an emit to tuples in lanes and records for ackers.
//!
//! Holds what one executor's emits need (streams, groupings, sequences, random numbers, pending
//! roots), so that an emit touches nothing shared. What lies in lanes and lists travels when the
//! turn ends.

mod acks;
mod bounds;
mod many_trees;

use std::time::Duration;

use crate::acker::Pending;
use crate::component::{ComponentFailure, EmitError, Result};
use crate::grouping::{Loads, Subscribers};
use crate::id::{ComponentId, StreamId, TaskId};
use crate::messaging::acks::{AckKind, AckRecord};
use crate::topology;
use crate::tuple::{Anchor, StreamNumber, Tuple, TupleHead, Value, ValueRef};
use crate::worker::ack_counts::AckCounts;
use crate::worker::lane::Lanes;
use crate::worker::meter::Meter;
use crate::worker::report::Reporter;
use crate::worker::rest::Time;
use crate::worker::sampling::{SampledShare, Sampling};
use crate::worker::tracker::Tracker;
use crate::worker::turn::TurnClock;

/// What one executor emits through.
pub struct Emitter {
    pub(super) lanes: Lanes,
    /// For ackers, in the order they arose.
    pub(super) acks: Vec<AckRecord>,
    pub(super) ack_counts: AckCounts,
    pub(super) meter: Meter,
    /// Of a spout whose topology has ackers.
    pub(super) tracker: Option<Tracker>,
    /// Ids that were emitted where there are no ackers: acked when the call is over (3.1).
    pub(super) unwatched: Vec<(TaskId, Value)>,
    pub(super) wake_after: Option<Duration>,
    /// Counts emits: a spout that emitted nothing is idle.
    pub(super) n_emits: u64,
    component: ComponentId,
    reporter: Reporter,
    streams: Vec<OutStream>,
    default_stream: Option<DefaultStream>,
    sequences: Vec<Sequence>,
    current: usize,
    generation: i64,
    turn: TurnClock,
    now_us: i64,
    acking: Acking,
    random: fastrand::Rng,
    targets: Vec<TaskId>,
    /// Component of each task, by its id; for direct emits.
    components: std::sync::Arc<[ComponentId]>,
    sampling: Sampling,
}

/// Whether the topology has ackers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acking {
    On,
    Off,
}

/// One declared stream.
pub struct OutStream {
    pub id: StreamId,
    pub number: StreamNumber,
    pub n_fields: usize,
    pub subscribers: Subscribers,
}

/// An emit that is not the ordinary one.
pub struct Order<'e> {
    pub stream: &'e str,
    pub direct: Option<TaskId>,
    pub event_time_us: Option<i64>,
    pub task_ids: Option<&'e mut Vec<TaskId>>,
}

/// Everything that an emitter is made of.
pub struct EmitterParts {
    pub component: ComponentId,
    pub tasks: Vec<TaskId>,
    pub generation: i64,
    pub acking: Acking,
    pub streams: Vec<OutStream>,
    pub lanes: Lanes,
    pub meter: Meter,
    pub tracker: Option<Tracker>,
    pub reporter: Reporter,
    pub time: Time,
    pub random: fastrand::Rng,
    /// Component of each task, by its id.
    pub components: std::sync::Arc<[ComponentId]>,
    /// Share of its tuples that event loggers get.
    pub sampled: std::sync::Arc<SampledShare>,
}

/// What plain emits need of the stream `default`.
#[derive(Clone, Copy)]
struct DefaultStream {
    index: usize,
    number: StreamNumber,
    n_fields: usize,
    /// Where one task gets all its tuples: most emits need no choice.
    only_target: Option<TaskId>,
}

/// One task's next sequence number.
struct Sequence {
    task: TaskId,
    next: u64,
}

// === impl Emitter ===

impl Emitter {
    pub fn new(parts: EmitterParts) -> Self {
        let is_default = |stream: &OutStream| stream.id.as_str() == DEFAULT_STREAM;
        let sequence = |task: &TaskId| Sequence {
            task: *task,
            next: 0,
        };
        let is_events = |stream: &OutStream| stream.id.as_str() == topology::EVENT_LOG_STREAM;
        let events = parts.streams.iter().position(is_events);
        let default_stream = parts.streams.iter().position(is_default).map(|index| {
            let stream = &parts.streams[index];
            DefaultStream {
                index,
                number: stream.number,
                n_fields: stream.n_fields,
                only_target: stream.subscribers.only_target(),
            }
        });
        let mut turn = TurnClock::new(parts.time);
        Emitter {
            now_us: turn.start(),
            turn,
            sampling: Sampling::new(parts.sampled, events),
            default_stream,
            sequences: parts.tasks.iter().map(sequence).collect(),
            lanes: parts.lanes,
            acks: Vec::new(),
            ack_counts: AckCounts::new(&parts.streams),
            meter: parts.meter,
            tracker: parts.tracker,
            unwatched: Vec::new(),
            wake_after: None,
            n_emits: 0,
            component: parts.component,
            reporter: parts.reporter,
            streams: parts.streams,
            current: 0,
            generation: parts.generation,
            acking: parts.acking,
            random: parts.random,
            targets: Vec::new(),
            components: parts.components,
        }
    }

    /// Reads the clock: the time of all that is emitted until the next call.
    #[inline]
    pub(super) fn start_turn(&mut self) {
        self.now_us = self.turn.start();
        self.sampling.refresh();
    }

    /// Whether the turn has taken long enough.
    #[inline]
    pub(super) fn is_turn_over(&self) -> bool {
        self.turn.is_over()
    }

    /// Has shuffles by load look at the loads.
    pub(super) fn refresh_loads(&mut self, loads: &dyn Loads) {
        for stream in &mut self.streams {
            stream.subscribers.refresh(loads);
        }
    }

    /// Wall microseconds at the start of the turn.
    pub(super) fn now_us(&self) -> i64 {
        self.now_us
    }

    /// Which of the executor's tasks is called next.
    #[inline]
    pub(super) fn set_task(&mut self, index: usize) {
        self.current = index;
    }

    /// That one.
    pub(super) fn task(&self) -> usize {
        self.current
    }

    // Emits to `default` are inlined into the component: what its values are, is known only there.
    #[inline(always)]
    pub(crate) fn emit_unanchored(&mut self, values: &[ValueRef<'_>]) -> Result<()> {
        let stream = self.plain_default(values)?;
        self.send_plain(stream, values, |_| [])?;
        self.sample(None, values);
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn emit_anchored(
        &mut self,
        anchor: &Tuple<'_>,
        values: &[ValueRef<'_>],
    ) -> Result<()> {
        let stream = self.plain_default(values)?;
        match anchor.anchors() {
            [Anchor { root, .. }] if self.acking == Acking::On => {
                let root = *root;
                self.send_plain(stream, values, |edge| {
                    anchor.xor_out_ack(edge);
                    [Anchor { root, edge }]
                })
            }
            [] => self.send_plain(stream, values, |_| []),
            _ => self.send_plain_in_many_trees(stream.index, anchor, values),
        }?;
        self.sample(None, values);
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn emit_tracked(&mut self, values: &[ValueRef<'_>], id: Value) -> Result<()> {
        let stream = self.plain_default(values)?;
        if self.sampling.is_on() {
            return self.emit_tracked_and_sampled(stream.index, values, id);
        }
        // First: what is refused here is pending nowhere.
        self.choose_default(stream, values)?;
        let Some((root, is_sampled)) = self.track(stream.number, id)? else {
            return self.send_default(stream, values, |_| []);
        };
        let mut all_edges = 0;
        self.send_default(stream, values, |edge| {
            all_edges ^= edge;
            [Anchor { root, edge }]
        })?;
        self.tell_root(root, all_edges, is_sampled);
        Ok(())
    }

    #[cold]
    fn emit_tracked_and_sampled(
        &mut self,
        stream: usize,
        values: &[ValueRef<'_>],
        id: Value,
    ) -> Result<()> {
        self.choose_plain(stream, values)?;
        let sampled = id.clone();
        self.send_tracked(stream, self.now_us, id, values)?;
        self.sample(Some(&sampled), values);
        Ok(())
    }

    pub(crate) fn emit_ordered(
        &mut self,
        order: Order<'_>,
        anchors: &[Tuple<'_>],
        values: &[ValueRef<'_>],
    ) -> Result<()> {
        let stream = self.choose(&order, values)?;
        let at_us = order.event_time_us.unwrap_or(self.now_us);
        match anchors.iter().all(|anchor| anchor.anchors().is_empty()) {
            true => self.send(stream, at_us, values, |_| [])?,
            false => self.send_in_many_trees(stream, at_us, anchors, values)?,
        }
        self.tell_targets(order.task_ids);
        self.sample(None, values);
        Ok(())
    }

    pub(crate) fn emit_from_spout(
        &mut self,
        order: Order<'_>,
        id: Option<Value>,
        values: &[ValueRef<'_>],
    ) -> Result<()> {
        let stream = self.choose(&order, values)?;
        let at_us = order.event_time_us.unwrap_or(self.now_us);
        let sampled = id.clone().filter(|_| self.sampling.is_on());
        match id {
            Some(id) => self.send_tracked(stream, at_us, id, values)?,
            None => self.send(stream, at_us, values, |_| [])?,
        }
        self.tell_targets(order.task_ids);
        self.sample(sampled.as_ref(), values);
        Ok(())
    }

    pub(crate) fn report_error(&mut self, failure: &ComponentFailure) {
        let task = self.sequences.get(self.current).map(|of| of.task);
        self.reporter
            .report(task.unwrap_or(TaskId::SYSTEM), failure);
    }

    pub(crate) fn wake_after(&mut self, delay: Duration) {
        let sooner = self.wake_after.map_or(delay, |wanted| wanted.min(delay));
        self.wake_after = Some(sooner);
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.lanes.is_blocked()
    }

    pub(crate) fn n_pending(&self) -> usize {
        self.tracker.as_ref().map_or(0, Tracker::n_pending)
    }

    /// Whether `topology.max.spout.pending` is reached.
    #[inline]
    pub(super) fn is_pending_full(&self) -> bool {
        self.tracker.as_ref().is_some_and(Tracker::is_full)
    }

    /// Checks a plain emit to the stream `default`.
    #[inline(always)]
    fn plain_default(&mut self, values: &[ValueRef<'_>]) -> Result<DefaultStream> {
        let Some(stream) = self.default_stream else {
            return Err(self.unknown_stream(DEFAULT_STREAM).into());
        };
        if stream.n_fields != values.len() {
            return Err(wrong_arity(&self.streams[stream.index], values.len()).into());
        }
        bounds::check(DEFAULT_STREAM, values)?;
        Ok(stream)
    }

    /// Chooses the targets of a plain emit.
    #[inline(never)]
    fn choose_plain(&mut self, stream: usize, values: &[ValueRef<'_>]) -> Result<()> {
        self.targets.clear();
        let source = self.sequences[self.current].task;
        let subscribers = &mut self.streams[stream].subscribers;
        subscribers.choose(source, values, &mut self.targets)?;
        Ok(())
    }

    /// Checks an emit and chooses its targets.
    fn choose(&mut self, order: &Order<'_>, values: &[ValueRef<'_>]) -> Result<usize> {
        let same = |stream: &OutStream| stream.id.as_str() == order.stream;
        let Some(index) = self.streams.iter().position(same) else {
            return Err(self.unknown_stream(order.stream).into());
        };
        let stream = &mut self.streams[index];
        if stream.n_fields != values.len() {
            return Err(wrong_arity(stream, values.len()).into());
        }
        bounds::check(order.stream, values)?;
        self.targets.clear();
        match order.direct {
            None => {
                let source = self.sequences[self.current].task;
                stream
                    .subscribers
                    .choose(source, values, &mut self.targets)?;
            }
            Some(task) => {
                let place = usize::try_from(task.0).unwrap_or(usize::MAX);
                // A task that does not exist gets nothing, like one that does not subscribe (2.7).
                if let Some(component) = self.components.get(place) {
                    let targets = &mut self.targets;
                    stream.subscribers.choose_direct(task, component, targets)?;
                }
            }
        }
        Ok(index)
    }

    /// Chooses the targets of a plain emit to the stream `default` and puts a tuple for each into
    /// its lane. `anchors` makes those of one tuple from its edge.
    #[inline(always)]
    fn send_plain<const N: usize>(
        &mut self,
        stream: DefaultStream,
        values: &[ValueRef<'_>],
        anchors: impl FnMut(u64) -> [Anchor; N],
    ) -> Result<()> {
        self.choose_default(stream, values)?;
        self.send_default(stream, values, anchors)
    }

    /// The first half of `send_plain`.
    #[inline(always)]
    fn choose_default(&mut self, stream: DefaultStream, values: &[ValueRef<'_>]) -> Result<()> {
        match stream.only_target {
            Some(_) => Ok(()),
            None => self.choose_plain(stream.index, values),
        }
    }

    /// The second half of `send_plain`.
    #[inline(always)]
    fn send_default<const N: usize>(
        &mut self,
        stream: DefaultStream,
        values: &[ValueRef<'_>],
        mut anchors: impl FnMut(u64) -> [Anchor; N],
    ) -> Result<()> {
        let Some(target) = stream.only_target else {
            return self.send(stream.index, self.now_us, values, anchors);
        };
        let mut head = self.head(stream.number, self.now_us, 1);
        head.target_task = target;
        let edge = if N == 0 { 0 } else { self.random.u64(..) };
        self.lanes.push(head, &anchors(edge), values)?;
        Ok(())
    }

    /// Puts a tuple for each of `targets` into its lane.
    #[inline]
    fn send<const N: usize>(
        &mut self,
        stream: usize,
        at_us: i64,
        values: &[ValueRef<'_>],
        mut anchors: impl FnMut(u64) -> [Anchor; N],
    ) -> Result<()> {
        let number = self.streams[stream].number;
        let mut head = self.head(number, at_us, self.targets.len());
        let mut targets = self.targets.iter();
        let Some(first) = targets.next() else {
            return Ok(());
        };
        let mut edge = || if N == 0 { 0 } else { self.random.u64(..) };
        head.target_task = *first;
        self.lanes.push(head, &anchors(edge()), values)?;
        for target in targets {
            head.sequence += 1;
            head.target_task = *target;
            self.lanes.push_next(head, &anchors(edge()), values)?;
        }
        Ok(())
    }

    /// Counts an emit; gives the head of its first tuple, but for its target.
    #[inline(always)]
    fn head(&mut self, stream: StreamNumber, at_us: i64, n_targets: usize) -> TupleHead {
        let sequence = &mut self.sequences[self.current];
        let head = TupleHead {
            sequence: sequence.next,
            generation: self.generation,
            timestamp_us: at_us,
            source_task: sequence.task,
            target_task: TaskId(0),
            stream,
        };
        sequence.next += n_targets as u64;
        self.n_emits += 1;
        self.meter.emitted(head.stream, n_targets);
        head
    }

    fn send_tracked(
        &mut self,
        stream: usize,
        at_us: i64,
        id: Value,
        values: &[ValueRef<'_>],
    ) -> Result<()> {
        let number = self.streams[stream].number;
        let Some((root, is_sampled)) = self.track(number, id)? else {
            return self.send(stream, at_us, values, |_| []);
        };
        let mut all_edges = 0;
        self.send(stream, at_us, values, |edge| {
            all_edges ^= edge;
            [Anchor { root, edge }]
        })?;
        self.tell_root(root, all_edges, is_sampled);
        Ok(())
    }

    /// Takes a tree into the pending table: its root, and whether it is sampled. None where there
    /// are no ackers.
    #[inline(always)]
    fn track(&mut self, stream: StreamNumber, id: Value) -> Result<Option<(u64, bool)>> {
        let task = self.sequences[self.current].task;
        let Some(tracker) = &mut self.tracker else {
            self.unwatched.push((task, id));
            return Ok(None);
        };
        let is_sampled = self.meter.samples_tree();
        let root = tracker.insert(Pending {
            task,
            stream,
            id,
            emitted_us: if is_sampled { self.now_us } else { 0 },
        })?;
        Ok(Some((root, is_sampled)))
    }

    /// Tells the acker of a new tree.
    #[inline(always)]
    fn tell_root(&mut self, root: u64, all_edges: u64, is_sampled: bool) {
        self.acks.push(AckRecord {
            root,
            value: all_edges,
            task: self.sequences[self.current].task,
            kind: AckKind::Init,
        });
        if is_sampled {
            self.ack_counts.sent(AckKind::Init, root, &mut self.meter);
        }
    }

    /// Shows the event loggers an emit, if it is one of the share that they get.
    #[inline]
    fn sample(&mut self, id: Option<&Value>, values: &[ValueRef<'_>]) {
        if self.sampling.is_on() {
            self.show_sample(id, values);
        }
    }

    #[cold]
    fn show_sample(&mut self, id: Option<&Value>, values: &[ValueRef<'_>]) {
        let Some(stream) = self.sampling.draw(&mut self.random) else {
            return;
        };
        let copies: Vec<Value> = values.iter().map(|value| value.to_value()).collect();
        let (copies, component) = (Value::List(copies), self.component.clone());
        let event = [
            ValueRef::from(component.as_str()),
            id.map_or(ValueRef::Null, ValueRef::from),
            ValueRef::Long(self.now_us / 1000),
            ValueRef::Nested(&copies),
        ];
        self.targets.clear();
        let source = self.sequences[self.current].task;
        let subscribers = &mut self.streams[stream].subscribers;
        if let Err(error) = subscribers.choose(source, &event, &mut self.targets) {
            tracing::debug!(%component, %error, "a sampled tuple has no logger");
            return;
        }
        // Who watches must not hold up what is watched: a logger that is behind misses this one.
        self.targets.retain(|task| self.lanes.has_room(*task));
        if let Err(error) = self.send(stream, self.now_us, &event, |_| []) {
            tracing::debug!(%component, %error, "a sampled tuple could not be shown");
        }
    }

    fn tell_targets(&self, task_ids: Option<&mut Vec<TaskId>>) {
        if let Some(task_ids) = task_ids {
            task_ids.clear();
            task_ids.extend_from_slice(&self.targets);
        }
    }

    #[cold]
    fn unknown_stream(&self, stream: &str) -> EmitError {
        EmitError::UnknownStream {
            component: self.component.to_string(),
            stream: stream.to_owned(),
        }
    }
}

#[cold]
fn wrong_arity(stream: &OutStream, given: usize) -> EmitError {
    EmitError::Arity {
        stream: stream.id.to_string(),
        declared: stream.n_fields,
        given,
    }
}

const DEFAULT_STREAM: &str = "default";

//! What a component emits through: thin faces over the executor's emitter.
//!
//! No trait objects and no allocation per tuple; the rules of anchors, groupings and targets are in
//! `worker::emit`. A collector lives for one call: what emits later does so from `poll`.

use std::time::Duration;

use crate::component::{ComponentFailure, Result};
use crate::id::TaskId;
use crate::tuple::{HeldTuple, Tuple, Value, ValueRef};
use crate::worker::emit::{Emitter, Order};

/// A bolt's way out.
pub struct Collector<'a> {
    emitter: &'a mut Emitter,
    witness: Option<&'a mut Witness>,
}

/// What a bolt did with a collector that another bolt lent it: emits go out and are noted, acks and
/// fails are only noted.
#[derive(Default)]
pub struct Witness {
    noted: Vec<Noted>,
    task_ids: Vec<TaskId>,
}

/// One of these doings, in their order.
pub enum Noted {
    /// The first value of the tuple, and the tasks it went to.
    Emitted(Value, Vec<TaskId>),
    Acked(HeldTuple),
    Failed(HeldTuple),
}

/// A spout's way out.
pub struct SpoutCollector<'a> {
    emitter: &'a mut Emitter,
}

/// Everything about a bolt's emit but its values. The default: unanchored, to the stream `default`.
pub struct Emit<'e> {
    pub stream: &'e str,
    /// The tuples whose trees the new tuple joins.
    pub anchors: &'e [Tuple<'e>],
    /// The one task that gets the tuple, on a stream with direct grouping. A task that does not
    /// take the stream gets nothing, which is no error, as in Storm.
    pub direct: Option<TaskId>,
    /// Microseconds since the epoch; else the time of emission.
    pub event_time_us: Option<i64>,
    /// Filled with the tasks that the tuple was sent to (cleared first).
    pub task_ids: Option<&'e mut Vec<TaskId>>,
}

/// Everything about a spout's emit but its values. The default: untracked, to the stream `default`.
pub struct SpoutEmit<'e> {
    pub stream: &'e str,
    /// What `ack` or `fail` is called with; without one the tuple is not tracked.
    pub id: Option<Value>,
    /// The one task that gets the tuple, on a stream with direct grouping. A task that does not
    /// take the stream gets nothing, which is no error, as in Storm.
    pub direct: Option<TaskId>,
    /// Microseconds since the epoch; else the time of emission.
    pub event_time_us: Option<i64>,
    /// Filled with the tasks that the tuple was sent to (cleared first).
    pub task_ids: Option<&'e mut Vec<TaskId>>,
}

/// Why an emit was refused. The tuple went nowhere; the component may go on.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EmitError {
    #[error(
        "component {component} does not declare a stream `{stream}`: declare its fields where the \
         topology is built"
    )]
    UnknownStream { component: String, stream: String },
    #[error("stream `{stream}` declares {declared} fields, the tuple has {given} values")]
    Arity {
        stream: String,
        declared: usize,
        given: usize,
    },
    #[error("{n_bytes} bytes of values for stream `{stream}`: a tuple may have {n_bytes_max}")]
    TooLarge {
        stream: String,
        n_bytes: usize,
        n_bytes_max: usize,
    },
    #[error("a value for stream `{stream}` is nested more than {depth_max} deep")]
    TooDeep { stream: String, depth_max: usize },
    #[error(
        "a tuple for stream `{stream}` of {n_trees} trees, {n_trees_max} at most: anchor it to the \
         tuples that it comes from, or emit it unanchored"
    )]
    TooManyTrees {
        stream: String,
        n_trees: usize,
        n_trees_max: usize,
    },
}

// === impl Collector ===

impl<'a> Collector<'a> {
    pub(crate) fn new(emitter: &'a mut Emitter) -> Self {
        Collector {
            emitter,
            witness: None,
        }
    }

    /// The same collector, to hand on for a while.
    pub fn reborrow(&mut self) -> Collector<'_> {
        Collector {
            emitter: &mut *self.emitter,
            witness: self.witness.as_deref_mut(),
        }
    }

    /// A collector to lend to another bolt.
    pub fn watched<'w>(&'w mut self, witness: &'w mut Witness) -> Collector<'w> {
        Collector {
            emitter: &mut *self.emitter,
            witness: Some(witness),
        }
    }

    /// Emits to the stream `default`, anchored to `anchor`.
    #[inline]
    pub fn emit<'v>(
        &mut self,
        anchor: &Tuple<'_>,
        values: impl AsRef<[ValueRef<'v>]>,
    ) -> Result<()> {
        if self.witness.is_some() {
            let emit = Emit {
                anchors: std::slice::from_ref(anchor),
                ..Emit::default()
            };
            return self.emit_with(emit, values);
        }
        self.emitter.emit_anchored(anchor, values.as_ref())
    }

    /// Emits to the stream `default` without an anchor: nobody hears of its loss.
    #[inline]
    pub fn emit_unanchored<'v>(&mut self, values: impl AsRef<[ValueRef<'v>]>) -> Result<()> {
        if self.witness.is_some() {
            return self.emit_with(Emit::default(), values);
        }
        self.emitter.emit_unanchored(values.as_ref())
    }

    /// Emits as told.
    pub fn emit_with<'v>(
        &mut self,
        emit: Emit<'_>,
        values: impl AsRef<[ValueRef<'v>]>,
    ) -> Result<()> {
        if let Some(witness) = &mut self.witness {
            return witness.emit(self.emitter, emit, values.as_ref());
        }
        let order = Order {
            stream: emit.stream,
            direct: emit.direct,
            event_time_us: emit.event_time_us,
            task_ids: emit.task_ids,
        };
        self.emitter
            .emit_ordered(order, emit.anchors, values.as_ref())
    }

    /// Whether acks and fails go to another bolt, which goes by the values of their tuples.
    pub fn is_watched(&self) -> bool {
        self.witness.is_some()
    }

    /// Done with `tuple`, and with all emits anchored to it. Once for each tuple, and not after
    /// `fail`.
    #[inline]
    pub fn ack(&mut self, tuple: &Tuple<'_>) {
        match &mut self.witness {
            None => self.emitter.ack(tuple),
            Some(witness) => witness.noted.push(Noted::Acked(tuple.hold())),
        }
    }

    /// Fails the trees of `tuple`: their spouts are told at once.
    #[inline]
    pub fn fail(&mut self, tuple: &Tuple<'_>) {
        match &mut self.witness {
            None => self.emitter.fail(tuple),
            Some(witness) => witness.noted.push(Noted::Failed(tuple.hold())),
        }
    }

    /// Starts the time-out of the trees of `tuple` anew.
    pub fn reset_timeout(&mut self, tuple: &Tuple<'_>) {
        self.emitter.reset_timeout(tuple);
    }

    /// Shows an error under the component without failing anything. Throttled.
    pub fn report_error(&mut self, failure: &ComponentFailure) {
        self.emitter.report_error(failure);
    }

    /// Whether a receiver is full: what is emitted now piles up.
    pub fn is_blocked(&self) -> bool {
        self.emitter.is_blocked()
    }

    /// Has `poll` called again no later than after `delay`.
    pub fn wake_after(&mut self, delay: Duration) {
        self.emitter.wake_after(delay);
    }
}

// === impl Witness ===

impl Witness {
    /// What was noted since the last call.
    pub fn take(&mut self) -> Vec<Noted> {
        std::mem::take(&mut self.noted)
    }

    fn emit(
        &mut self,
        emitter: &mut Emitter,
        emit: Emit<'_>,
        values: &[ValueRef<'_>],
    ) -> Result<()> {
        let order = Order {
            stream: emit.stream,
            direct: emit.direct,
            event_time_us: emit.event_time_us,
            task_ids: Some(&mut self.task_ids),
        };
        emitter.emit_ordered(order, emit.anchors, values)?;
        let first = values.first().copied().unwrap_or_default().to_value();
        self.noted
            .push(Noted::Emitted(first, self.task_ids.clone()));
        if let Some(task_ids) = emit.task_ids {
            task_ids.clone_from(&self.task_ids);
        }
        Ok(())
    }
}

// === impl SpoutCollector ===

impl<'a> SpoutCollector<'a> {
    pub(crate) fn new(emitter: &'a mut Emitter) -> Self {
        SpoutCollector { emitter }
    }

    /// Emits to the stream `default`, untracked.
    #[inline]
    pub fn emit<'v>(&mut self, values: impl AsRef<[ValueRef<'v>]>) -> Result<()> {
        self.emitter.emit_unanchored(values.as_ref())
    }

    /// Emits to the stream `default`; `ack` or `fail` will be called with `id`, exactly once.
    #[inline]
    pub fn emit_reliable<'v>(
        &mut self,
        values: impl AsRef<[ValueRef<'v>]>,
        id: Value,
    ) -> Result<()> {
        self.emitter.emit_tracked(values.as_ref(), id)
    }

    /// Emits as told.
    pub fn emit_with<'v>(
        &mut self,
        emit: SpoutEmit<'_>,
        values: impl AsRef<[ValueRef<'v>]>,
    ) -> Result<()> {
        let order = Order {
            stream: emit.stream,
            direct: emit.direct,
            event_time_us: emit.event_time_us,
            task_ids: emit.task_ids,
        };
        self.emitter
            .emit_from_spout(order, emit.id, values.as_ref())
    }

    /// Fails this task's pending tuples with such ids, as when who asked for them is gone: `fail`
    /// is called with each, once its acker knows. Gives how many there are.
    pub fn give_up(&mut self, is_meant: impl Fn(&Value) -> bool) -> usize {
        self.emitter.give_up(is_meant)
    }

    /// Tracked tuples of this executor that were neither acked nor failed yet.
    pub fn n_pending(&self) -> usize {
        self.emitter.n_pending()
    }

    /// Shows an error under the component. Throttled.
    pub fn report_error(&mut self, failure: &ComponentFailure) {
        self.emitter.report_error(failure);
    }

    /// Whether a receiver is full: what is emitted now piles up.
    pub fn is_blocked(&self) -> bool {
        self.emitter.is_blocked()
    }

    /// Has `next_tuple` (and `poll`) called again no later than after `delay`, and after a call
    /// that emitted nothing no earlier either.
    pub fn wake_after(&mut self, delay: Duration) {
        self.emitter.wake_after(delay);
    }
}

// === impl Emit ===

impl Default for Emit<'_> {
    fn default() -> Self {
        Emit {
            stream: "default",
            anchors: &[],
            direct: None,
            event_time_us: None,
            task_ids: None,
        }
    }
}

// === impl SpoutEmit ===

impl Default for SpoutEmit<'_> {
    fn default() -> Self {
        SpoutEmit {
            stream: "default",
            id: None,
            direct: None,
            event_time_us: None,
            task_ids: None,
        }
    }
}

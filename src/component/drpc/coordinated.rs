//! `org.apache.storm.coordination.CoordinatedBolt`: a bolt around another one that knows when all
//! tuples of a request have passed it (data-plane 10.1). The request's id is the first value of
//! every tuple.
//!
//! When they have, the bolt inside may finish (a batch bolt emits what it gathered), and each task
//! behind is told how many tuples it was sent.

use std::collections::BTreeMap;

use super::RequestKey;
use super::tracking::{Kind, Rules, Standing, Tracking};
use crate::clock;
use crate::component::{
    Bolt, Collector, ComponentFailure, Emit, Noted, Result, TaskContext, Witness,
};
use crate::conf::keys;
use crate::id::TaskId;
use crate::tuple::{HeldTuple, Tuple, ValueRef};
use crate::values;

/// A bolt that gathers the tuples of a request and has its say when all are there.
pub trait BatchBolt: Bolt {
    /// All tuples of the request were executed. What is emitted may be anchored to `last`.
    fn finish(
        &mut self,
        request: ValueRef<'_>,
        last: &Tuple<'_>,
        out: &mut Collector<'_>,
    ) -> Result<()>;

    /// The request failed, or is too old: no more of it comes.
    fn abandon(&mut self, request: &RequestKey);
}

/// The bolt inside.
pub enum Delegate {
    Bolt(Box<dyn Bolt>),
    Batch(Box<dyn BatchBolt>),
    /// A shell child: when all tuples of a request are there, it gets the one that was held, of the
    /// id stream or of the coordination stream; the request goes on when the child acks it.
    ShellBatch(Box<dyn Bolt>),
}

/// Who reports to this bolt, and which stream brings ids.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    pub sources: BTreeMap<String, Reports>,
    /// Component and stream.
    pub ids: Option<(String, String)>,
}

/// How many reports of a source make one request complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reports {
    /// One: a request goes to one task there.
    Single,
    /// One of each task.
    All,
}

/// The bolt around.
pub struct CoordinatedBolt {
    spec: Spec,
    delegate: Delegate,
    witness: Witness,
    running: Option<Running>,
}

struct Running {
    tracking: Tracking<HeldTuple>,
    /// Of this component, where it has one.
    coordination_stream: Option<String>,
    targets: Vec<TaskId>,
}

/// What completes a request.
#[derive(Clone, Copy)]
enum Last<'t> {
    /// A tuple that came.
    Arrived(&'t Tuple<'t>),
    /// The held tuple, as a child had it and acked it.
    Spoken(&'t Tuple<'t>),
}

// === impl Spec ===

impl Spec {
    /// `sources` is `component=single` or `component=all`, separated by commas; `ids` is
    /// `component:stream`. Both may be empty.
    pub fn parse(sources: &str, ids: &str) -> Result<Self, String> {
        let mut spec = Spec::default();
        for source in sources.split(',').filter(|source| !source.is_empty()) {
            let (component, reports) = match source.split_once('=') {
                Some((component, "single")) => (component, Reports::Single),
                Some((component, "all")) => (component, Reports::All),
                _ => {
                    return Err(format!(
                        "`{source}` is not component=single or component=all"
                    ));
                }
            };
            spec.sources.insert(component.to_owned(), reports);
        }
        if !ids.is_empty() {
            let (component, stream) = ids
                .split_once(':')
                .ok_or_else(|| format!("`{ids}` is not component:stream"))?;
            spec.ids = Some((component.to_owned(), stream.to_owned()));
        }
        Ok(spec)
    }

    fn kind_of(&self, tuple: &Tuple<'_>) -> Result<Kind> {
        let (component, stream) = (tuple.source_component(), tuple.source_stream());
        let is_id = |(of, on): &(String, String)| component.as_str() == of && stream.as_str() == on;
        if self.ids.as_ref().is_some_and(is_id) {
            return Ok(Kind::Id);
        }
        if self.sources.is_empty() || !stream.as_str().ends_with(COORDINATION_STREAM) {
            return Ok(Kind::Regular);
        }
        match RequestKey::from(tuple.value(1)?) {
            RequestKey::Whole(n_tuples) => Ok(Kind::Report(n_tuples)),
            RequestKey::Other(other) => {
                let text = format!("a report of {other} tuples is none");
                Err(ComponentFailure::new(text))
            }
        }
    }
}

// === impl CoordinatedBolt ===

impl CoordinatedBolt {
    pub fn new(spec: Spec, delegate: Delegate) -> Self {
        CoordinatedBolt {
            spec,
            delegate,
            witness: Witness::default(),
            running: None,
        }
    }

    /// A tuple that only steers: a report, or an id.
    fn steer(
        &mut self,
        (key, kind): (&RequestKey, Kind),
        tuple: &Tuple<'_>,
        out: &mut Collector<'_>,
    ) -> Result<()> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let is_held = running.tracking.holds(kind);
        if is_held {
            running.tracking.hold(key, tuple.hold());
        }
        let ended = self.settle(key, tuple, out);
        if !is_held {
            match &ended {
                Ok(Standing::Failed) | Err(_) => out.fail(tuple),
                Ok(_) => out.ack(tuple),
            }
        }
        if let Err(failure) = ended {
            // The tuple is dealt with.
            out.report_error(&failure);
        }
        Ok(())
    }

    /// Does with the tuples that the bolt inside acked or failed what their request demands.
    fn deal(&mut self, out: &mut Collector<'_>) -> Result<()> {
        // Finishing a request may have the bolt inside do more.
        loop {
            let noted = self.witness.take();
            if noted.is_empty() {
                return Ok(());
            }
            for doing in noted {
                self.deal_with(doing, out)?;
            }
        }
    }

    fn deal_with(&mut self, doing: Noted, out: &mut Collector<'_>) -> Result<()> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        match doing {
            Noted::Emitted(request, tasks) => {
                let key = RequestKey::from(request.as_ref());
                running.tracking.sent(&key, &tasks);
            }
            Noted::Acked(held) => {
                let tuple = held.view();
                let key = RequestKey::from(tuple.value(0)?);
                if self.spec.kind_of(&tuple)? != Kind::Regular {
                    // The child of a batch is done with its last word.
                    return self.complete(&key, Last::Spoken(&tuple), out);
                }
                running.tracking.acked(&key);
                match self.settle(&key, &tuple, out) {
                    Ok(Standing::Failed) => out.fail(&tuple),
                    Ok(_) => out.ack(&tuple),
                    Err(failure) => {
                        out.fail(&tuple);
                        return Err(failure);
                    }
                }
            }
            Noted::Failed(held) => {
                let tuple = held.view();
                let key = RequestKey::from(tuple.value(0)?);
                let is_regular = self.spec.kind_of(&tuple)? == Kind::Regular;
                running.tracking.failed(&key);
                self.settle(&key, &tuple, out)?;
                if is_regular {
                    out.fail(&tuple);
                }
            }
        }
        Ok(())
    }

    /// Ends the request if it is complete or failed.
    fn settle(
        &mut self,
        key: &RequestKey,
        tuple: &Tuple<'_>,
        out: &mut Collector<'_>,
    ) -> Result<Standing> {
        let Some(running) = &mut self.running else {
            return Ok(Standing::Unknown);
        };
        let standing = running.tracking.standing(key);
        match standing {
            Standing::Failed => self.give_up(key, out),
            Standing::Complete => {
                if let Err(failure) = self.finish(key, tuple, out) {
                    self.give_up(key, out);
                    return Err(failure);
                }
            }
            Standing::Open | Standing::Unknown => {}
        }
        Ok(standing)
    }

    fn finish(
        &mut self,
        key: &RequestKey,
        tuple: &Tuple<'_>,
        out: &mut Collector<'_>,
    ) -> Result<()> {
        match &mut self.delegate {
            Delegate::Bolt(_) => {}
            Delegate::Batch(bolt) => {
                let held = self.running.as_ref();
                let held = held.and_then(|running| running.tracking.last_held(key));
                let last = held.map_or(*tuple, HeldTuple::view);
                let mut out = out.watched(&mut self.witness);
                bolt.finish(tuple.value(0)?, &last, &mut out)?;
                self.count_emits();
            }
            Delegate::ShellBatch(bolt) => {
                let held = self.running.as_ref();
                let held = held.and_then(|running| running.tracking.last_held(key));
                if let Some(last) = held {
                    let mut out = out.watched(&mut self.witness);
                    return bolt.execute(&last.view(), &mut out);
                }
            }
        }
        self.complete(key, Last::Arrived(tuple), out)
    }

    /// What a batch emitted when it finished counts before the others are told.
    fn count_emits(&mut self) {
        let Some(running) = &mut self.running else {
            return;
        };
        for doing in self.witness.take() {
            if let Noted::Emitted(request, tasks) = doing {
                let key = RequestKey::from(request.as_ref());
                running.tracking.sent(&key, &tasks);
            }
        }
    }

    /// Tells each task behind how many tuples it was sent, and lets the request go.
    fn complete(
        &mut self,
        key: &RequestKey,
        last: Last<'_>,
        out: &mut Collector<'_>,
    ) -> Result<()> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let Some(mut over) = running.tracking.end(key) else {
            return Ok(());
        };
        // What is anchored to a copy of a tuple must be acked with that copy.
        let anchor = match last {
            Last::Spoken(tuple) => {
                over.held.pop();
                *tuple
            }
            Last::Arrived(tuple) => over.held.last().map_or(*tuple, HeldTuple::view),
        };
        if let Some(stream) = &running.coordination_stream {
            let request = anchor.value(0)?;
            for task in &running.targets {
                let n_tuples = over.sent.get(task).copied().unwrap_or(0);
                let n_tuples = i32::try_from(n_tuples).unwrap_or(i32::MAX);
                let emit = Emit {
                    stream,
                    anchors: &[anchor],
                    direct: Some(*task),
                    ..Emit::default()
                };
                out.emit_with(emit, values![request, n_tuples])?;
            }
        }
        for held in &over.held {
            out.ack(&held.view());
        }
        if let Last::Spoken(tuple) = last {
            out.ack(tuple);
        }
        Ok(())
    }

    fn give_up(&mut self, key: &RequestKey, out: &mut Collector<'_>) {
        let over = self
            .running
            .as_mut()
            .and_then(|running| running.tracking.end(key));
        for held in over.into_iter().flat_map(|over| over.held) {
            out.fail(&held.view());
        }
        if let Delegate::Batch(bolt) = &mut self.delegate {
            bolt.abandon(key);
        }
    }
}

impl Bolt for CoordinatedBolt {
    fn prepare(&mut self, context: &TaskContext) -> Result<()> {
        let timeout_ms = context
            .conf()
            .secs(keys::TOPOLOGY_MESSAGE_TIMEOUT_SECS)?
            .as_millis();
        let n_reports = self
            .spec
            .sources
            .iter()
            .map(|(component, reports)| match reports {
                Reports::Single => 1,
                Reports::All => context.tasks_of(component).count(),
            });
        let rules = Rules {
            n_reports: Some(n_reports.sum()).filter(|_| !self.spec.sources.is_empty()),
            needs_id: self.spec.ids.is_some(),
            // Time-outs come up to half as late again.
            kept_ms: u64::try_from(timeout_ms).unwrap_or(u64::MAX).max(1000) * 2,
            requests_max: REQUESTS_MAX,
        };
        let mut targets = context.targets().into_iter();
        let behind = targets.find(|(stream, _)| stream.as_str().ends_with(COORDINATION_STREAM));
        let (coordination_stream, subscribers) = behind.unzip();
        let subscribers = subscribers.unwrap_or_default();
        let tasks = subscribers.keys().flat_map(|component| {
            let tasks: Vec<_> = context.tasks_of(component.as_str()).collect();
            tasks
        });
        self.running = Some(Running {
            tracking: Tracking::new(rules),
            coordination_stream: coordination_stream.map(|stream| stream.to_string()),
            targets: tasks.collect(),
        });
        self.delegate.bolt().prepare(context)
    }

    fn execute(&mut self, tuple: &Tuple<'_>, out: &mut Collector<'_>) -> Result<()> {
        if tuple.is_tick() {
            return self.delegate.bolt().execute(tuple, out);
        }
        let key = RequestKey::from(tuple.value(0)?);
        let kind = self.spec.kind_of(tuple)?;
        if let Some(running) = &mut self.running {
            running
                .tracking
                .arrived(&key, kind, clock::monotonic_millis());
        }
        if kind != Kind::Regular {
            self.steer((&key, kind), tuple, out)?;
            return self.deal(out);
        }
        let mut watched = out.watched(&mut self.witness);
        let executed = self.delegate.bolt().execute(tuple, &mut watched);
        let dealt = self.deal(out);
        if executed.is_err() {
            if let Some(running) = &mut self.running {
                running.tracking.failed(&key);
            }
            self.give_up(&key, out);
        }
        executed.and(dealt)
    }

    fn poll(&mut self, out: &mut Collector<'_>) -> Result<()> {
        let mut watched = out.watched(&mut self.witness);
        let polled = self.delegate.bolt().poll(&mut watched);
        let dealt = self.deal(out);
        let now_ms = clock::monotonic_millis();
        while let Some(running) = &mut self.running
            && let Some((key, over)) = running.tracking.next_old(now_ms)
        {
            for held in over.held {
                out.fail(&held.view());
            }
            if let Delegate::Batch(bolt) = &mut self.delegate {
                bolt.abandon(&key);
            }
        }
        polled.and(dealt)
    }

    fn room(&self) -> usize {
        match &self.delegate {
            Delegate::Bolt(bolt) | Delegate::ShellBatch(bolt) => bolt.room(),
            Delegate::Batch(bolt) => bolt.room(),
        }
    }

    fn cleanup(&mut self) {
        self.delegate.bolt().cleanup();
    }

    fn blocks(&self) -> bool {
        match &self.delegate {
            Delegate::Bolt(bolt) | Delegate::ShellBatch(bolt) => bolt.blocks(),
            Delegate::Batch(bolt) => bolt.blocks(),
        }
    }
}

// === impl Delegate ===

impl Delegate {
    fn bolt(&mut self) -> &mut dyn Bolt {
        match self {
            Delegate::Bolt(bolt) | Delegate::ShellBatch(bolt) => bolt.as_mut(),
            Delegate::Batch(bolt) => bolt.as_mut(),
        }
    }
}

/// How the stream of reports ends in both of Storm's packages.
const COORDINATION_STREAM: &str = "storm.coordination.CoordinatedBolt/coord-stream";
/// Requests that one task tracks.
const REQUESTS_MAX: usize = 65_536;
